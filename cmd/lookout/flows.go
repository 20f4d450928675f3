package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

type flowsCmd struct {
	Check flowsCheckCmd `cmd:"" help:"Find every mistake of a content folder, with file and line."`
	Graph flowsGraphCmd `cmd:"" help:"Draw flows as Mermaid flowcharts."`
	Try   flowsTryCmd   `cmd:"" help:"Play a flow in the terminal, with the reading of each answer."`
}

type flowsCheckCmd struct {
	Dir string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
}

// Help is shown by lookout flows check --help.
func (*flowsCheckCmd) Help() string { return "Example:\n  lookout flows check ./content" }

// Run loads the pack, which is the check.
func (c *flowsCheckCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Dir}).pack()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "No faults: %d flows, pack %s.\nNot approved by a clinician.\n", len(pack.Program().Flows()), pack.Digest())
	return nil
}

type flowsGraphCmd struct {
	Flow    string `arg:"" optional:"" help:"One flow; all of them when not given."`
	Content string `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
}

// Help is shown by lookout flows graph --help.
func (*flowsGraphCmd) Help() string { return "Example:\n  lookout flows graph check-in > check-in.mmd" }

// Run draws.
func (c *flowsGraphCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	names := pack.Program().Flows()
	if c.Flow != "" {
		if !slices.Contains(names, c.Flow) {
			return noFlow(c.Flow, names)
		}
		names = []string{c.Flow}
	}
	for _, name := range names {
		fmt.Fprintln(e.out, pack.Program().Mermaid(name))
	}
	return nil
}

func noFlow(name string, names []string) error {
	return fmt.Errorf("there is no flow %q: the flows are %s", name, strings.Join(names, ", "))
}

type flowsTryCmd struct {
	Flow    string `arg:"" help:"The flow to play."`
	Content string `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
	Tablets string `help:"The hormone tablet that she takes." default:"letrozole"`
}

// Help is shown by lookout flows try --help.
func (*flowsTryCmd) Help() string {
	return "Example:\n  lookout flows try check-in\n\nAnswer as a patient would. “:wait 2d” moves the clock on, “:quit” ends it."
}

// Run plays a flow between this terminal and nobody: nothing is kept or sent.
func (c *flowsTryCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	if !pack.Program().Has(c.Flow) {
		return noFlow(c.Flow, pack.Program().Flows())
	}
	t := &try{env: e, pack: pack, now: time.Now(), tablets: c.Tablets, timers: map[string]time.Time{}}
	if err := t.step(flows.Event{Start: c.Flow}); err != nil {
		return err
	}
	lines := bufio.NewScanner(e.in)
	for t.state.Active() {
		fmt.Fprint(e.out, "> ")
		if !lines.Scan() {
			fmt.Fprintln(e.out)
			return lines.Err()
		}
		words := strings.TrimSpace(lines.Text())
		switch {
		case words == ":quit":
			return nil
		case strings.HasPrefix(words, ":wait"):
			if err := t.wait(strings.TrimSpace(strings.TrimPrefix(words, ":wait"))); err != nil {
				fmt.Fprintln(e.out, "  ", err)
			}
		case words != "":
			if err := t.answer(words); err != nil {
				return err
			}
		}
	}
	return nil
}

// try is one flow being played.
type try struct {
	*env
	pack    *content.Pack
	state   flows.State
	now     time.Time
	tablets string
	timers  map[string]time.Time
}

// vars are made-up values for the placeholders.
func (t *try) vars() map[string]string {
	vars := map[string]string{"given_name": "Mary", "service": "Anytown breast nurses", "nurse_line": "01632 960 001", "cancer_line": "01632 960 002", "by": "5pm on Thursday", "link": "https://…"}
	for k, v := range t.pack.NationVars("england-and-wales") {
		vars[k] = v
	}
	return vars
}

func (t *try) say(id string) {
	words, err := t.pack.Text(id, "en-GB", "sms", t.vars())
	if err != nil {
		words = err.Error()
	}
	fmt.Fprintf(t.out, "lookout: %s\n", words)
}

func (t *try) step(e flows.Event) error {
	e.Now = t.now
	next, effects, err := flows.Step(t.pack.Program(), t.state, e, flows.Facts{Open: true,
		Profile: map[string]any{"tablets": t.tablets}, Service: map[string]any{"open_access": true, "nation": "england-and-wales"}})
	if err != nil {
		return err
	}
	t.state = next
	for _, x := range effects {
		switch {
		case x.Say != nil:
			t.say(x.Say.Text)
		case x.Ask != nil:
			t.say(x.Ask.Text)
		case x.Escalate != nil:
			fmt.Fprintf(t.out, "   [row for the nurse: %s, %s: %s]\n", x.Escalate.Level, x.Escalate.Concern, x.Escalate.Reason)
		case x.SetTimer != nil:
			t.timers[x.SetTimer.Key] = x.SetTimer.At
		case x.Save != nil:
			fmt.Fprintf(t.out, "   [kept as %s]\n", x.Save.Field)
		case x.Ended != nil:
			fmt.Fprintf(t.out, "   [the talk ended: %s]\n", x.Ended.Outcome)
		}
	}
	return nil
}

// answer reads her words, shows the reading, and moves the talk.
func (t *try) answer(words string) error {
	var q *triage.Question
	if open, ok := t.pack.Program().Open(t.state); ok {
		prompt, _ := t.pack.Text(open.Text, "en-GB", "sms", t.vars())
		q = &triage.Question{Prompt: prompt, Kind: open.Kind, Concepts: open.Concepts, Options: open.Options, Min: open.Min, Max: open.Max, Today: t.now}
	}
	r := triage.Read(t.pack.Lexicon(), words, q, triage.Profile{Tablets: t.tablets}, nil)
	fmt.Fprintf(t.out, "   [read as %s: %s]\n", r.Level, r.Why)
	for _, f := range r.Findings {
		fmt.Fprintf(t.out, "   [“%s”: %s, %s, %s, %s]\n", f.Text, f.Concept, f.Polarity, f.Time, f.Level)
	}
	if r.Level == triage.Emergency {
		id := t.pack.EmergencyText(r)
		if id == "" {
			id = "safety.emergency"
		}
		t.say(id)
		return t.step(flows.Event{Stop: "emergency"})
	}
	return t.step(flows.Event{Reply: &flows.Reply{Text: words, Reading: r}})
}

// wait moves the clock on, and runs the timers that fall due, in their order.
func (t *try) wait(text string) error {
	text = strings.ReplaceAll(text, " ", "")
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n := 0
		if _, err := fmt.Sscan(days, &n); err != nil {
			return errors.New("write it like :wait 2d or :wait 3h")
		}
		text = fmt.Sprintf("%dh", 24*n)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("write it like :wait 2d or :wait 3h")
	}
	until := t.now.Add(d)
	for {
		key, at := "", until
		for k, when := range t.timers {
			if !when.After(at) && (key == "" || when.Before(at) || k < key) {
				key, at = k, when
			}
		}
		if key == "" {
			t.now = until
			return nil
		}
		delete(t.timers, key)
		t.now = at
		if err := t.step(flows.Event{Timer: key}); err != nil {
			return err
		}
	}
}
