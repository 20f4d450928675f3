package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
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
func (*flowsCheckCmd) Help() string {
	return "Example:\n  lookout flows check ./content\n\nEach fault is one line, FILE:LINE: what is wrong: how to mend it. docs/flows.md explains them."
}

// Run loads the pack, which is the check.
func (c *flowsCheckCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Dir}).pack()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "No faults: %d flows, pack %s.\n", len(pack.Program().Flows()), pack.Digest())
	if drafts := pack.Drafts(); len(drafts) > 0 {
		fmt.Fprintf(e.out, "Not approved by a clinician: %d of %d parts; lookout content status --all lists them.\n", len(drafts), len(pack.Entries()))
	}
	return nil
}

type flowsGraphCmd struct {
	Flow    string `arg:"" optional:"" help:"One flow; all of them when not given."`
	Content string `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
	Locale  string `help:"The language of the words." default:"en-GB"`
}

// Help is shown by lookout flows graph --help.
func (*flowsGraphCmd) Help() string {
	return "Example:\n  lookout flows graph check-in > check-in.mmd\n\nGitHub, GitLab and mermaid.live draw it."
}

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
	words := func(id string) string {
		text, err := pack.Text(id, c.Locale, "sms", sampleVars(pack))
		if err != nil {
			return "" // its id is shown
		}
		return text
	}
	for i, name := range names {
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		if _, err := io.WriteString(e.out, pack.Program().Mermaid(name, words)); err != nil {
			return err
		}
	}
	return nil
}

func noFlow(name string, names []string) error {
	return fmt.Errorf("there is no flow %q: the flows are %s", name, strings.Join(names, ", "))
}

// sampleVars are made-up values for the placeholders of texts.
func sampleVars(pack *content.Pack) map[string]string {
	vars := map[string]string{"given_name": "Mary", "service": "Anytown breast nurses", "nurse_line": "01632 960001", "cancer_line": "01632 960002",
		"by": "5pm on Thursday", "since": "10:30am", "level": "soon", "nurse": "Ann", "link": "https://lookout.example.nhs.uk/chat", "desk": "https://lookout.example.nhs.uk/desk/"}
	for k, v := range pack.NationVars(tryNation) {
		vars[k] = v
	}
	return vars
}

const tryNation = "england-and-wales"

type flowsTryCmd struct {
	Flow    string            `arg:"" help:"The flow to play."`
	Content string            `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
	Locale  string            `help:"The language of the words." default:"en-GB"`
	Channel string            `help:"Whose wording: sms or chat." default:"sms" enum:"sms,chat"`
	Save    string            `help:"Write the talk into a file: a test, as those in cmd/lookout/testdata/conversations." placeholder:"FILE"`
	Fact    map[string]string `help:"What is known of her, as NAME=VALUE; docs/flows.md lists the names. Several are parted by semicolons." placeholder:"NAME=VALUE" default:"tablets=letrozole"`
}

// Help is shown by lookout flows try --help.
func (*flowsTryCmd) Help() string {
	return `Example:
  lookout flows try check-in --fact "tablets=tamoxifen;age=61"

Answer as a patient would. ":wait 2d" moves the clock on (30m, 3h, 2d, 1w), ":quit" ends it.
Nothing is kept or sent. What the desk does, command words, and several texts in a row are left out.`
}

// Run plays a flow in this terminal.
func (c *flowsTryCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	if !pack.Program().Has(c.Flow) {
		return noFlow(c.Flow, pack.Program().Flows())
	}
	t := &try{pack: pack, out: e.out, locale: c.Locale, channel: c.Channel, now: e.now(), timers: map[string]time.Time{}, rows: map[string]triage.Level{}}
	if err := t.know(maps.Clone(c.Fact)); err != nil {
		return err
	}
	if c.Save == "" {
		return t.play(c.Flow, e.in, false)
	}
	return t.save(c, e.in)
}

// save plays a talk, and writes it with its heading as a conversation that is a test.
// It is not written over what is there: that may be a test that somebody has read.
func (t *try) save(c *flowsTryCmd, in io.Reader) error {
	file, err := os.OpenFile(c.Save, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	fmt.Fprintf(file, "# A talk of the flow %s. Say here what it shows.\nflow: %s\n", c.Flow, c.Flow)
	for _, name := range slices.Sorted(maps.Keys(c.Fact)) {
		fmt.Fprintf(file, "fact: %s=%s\n", name, c.Fact[name])
	}
	fmt.Fprintln(file)
	t.out = io.MultiWriter(t.out, file)
	return errors.Join(t.play(c.Flow, in, true), file.Close())
}

// play plays a flow until it ends or there is no more to answer. With echo, it
// writes what was answered too, so that the output is the whole talk.
func (t *try) play(flow string, in io.Reader, echo bool) error {
	if err := t.step(flows.Event{Start: flow}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for t.state.Active() {
		fmt.Fprint(t.out, "> ")
		if !lines.Scan() {
			fmt.Fprintln(t.out)
			return lines.Err()
		}
		words := strings.TrimSpace(lines.Text())
		if echo {
			fmt.Fprintln(t.out, words)
		}
		command, argument, _ := strings.Cut(words, " ")
		switch {
		case words == "":
		case words == ":quit":
			return nil
		case command == ":wait":
			if err := t.wait(argument); err != nil {
				fmt.Fprintln(t.out, "  ", err)
			}
		case strings.HasPrefix(words, ":"):
			fmt.Fprintln(t.out, "   there are :wait 2d and :quit; anything else is what she writes")
		default:
			if err := t.answer(words); err != nil {
				return err
			}
		}
	}
	return nil
}

// try is one flow being played, between this terminal and nobody.
type try struct {
	pack            *content.Pack
	out             io.Writer
	locale, channel string
	now             time.Time
	state           flows.State
	timers          map[string]time.Time    // of the talk, by key
	rows            map[string]triage.Level // that a nurse would have by now, by concern
	profile         triage.Profile
	facts           flows.Facts
	took            func(way string) // tells the ways that the talk goes; nil: nobody asks
}

// know puts what the command line says of her into the terms of the reader and
// of the flows.
func (t *try) know(given map[string]string) error {
	t.facts = flows.Facts{Open: true, Profile: map[string]any{}, Service: map[string]any{"open_access": true, "nation": tryNation}, Past: map[string]int{}}
	p := &t.profile
	bools := map[string]*bool{"lobular": &p.Lobular, "nodes_removed": &p.NodesRemoved, "lymphoedema": &p.Lymphoedema, "implant": &p.Implant,
		"bisphosphonate": &p.Bisphosphonate, "abemaciclib": &p.Abemaciclib, "male": &p.Male, "lives_alone": &p.LivesAlone}
	tris := map[string]*triage.Tri{"on_chemo": &p.OnChemo, "immunotherapy": &p.Immunotherapy, "trastuzumab": &p.Trastuzumab, "post_menopause": &p.PostMenopause}
	texts := map[string]*string{"tablets": &p.Tablets, "side": &p.Side}
	for name := range bools { // as for patients, what is not ticked is not so
		t.facts.Profile[name] = false
	}
	for name := range texts {
		t.facts.Profile[name] = ""
	}
	var names []string
	for _, field := range flows.ProfileFields() {
		names = append(names, field.Name)
		text, ok := given[field.Name]
		if !ok {
			continue
		}
		delete(given, field.Name)
		switch field.Type {
		case "bool":
			yes, err := strconv.ParseBool(text)
			if err != nil {
				return fmt.Errorf("--fact %s: write true or false", field.Name)
			}
			t.facts.Profile[field.Name] = yes
			if to := bools[field.Name]; to != nil {
				*to = yes
			}
			if to := tris[field.Name]; to != nil {
				*to = map[bool]triage.Tri{true: triage.Yes, false: triage.No}[yes]
			}
		case "int":
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return fmt.Errorf("--fact %s: write a number", field.Name)
			}
			t.facts.Profile[field.Name], p.Age = n, n
		case "string":
			if !slices.Contains(field.Values, text) {
				return fmt.Errorf("--fact %s: must be one of %s", field.Name, strings.Trim(strings.Join(field.Values, ", "), ", "))
			}
			t.facts.Profile[field.Name] = text
			*texts[field.Name] = text
		}
	}
	for name := range given {
		return fmt.Errorf("--fact %s: there is no such fact: the facts are %s", name, strings.Join(names, ", "))
	}
	return nil
}

// words are those of a text; a text that cannot be rendered says why.
func (t *try) words(id string) string {
	words, err := t.pack.Text(id, t.locale, t.channel, sampleVars(t.pack))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return words
}

// ask asks a question, with the list of its options where it has any.
func (t *try) ask(id string, options []flows.Option) {
	fmt.Fprintf(t.out, "lookout: %s\n", t.question(id, options))
}

func (t *try) question(id string, options []flows.Option) string {
	vars := sampleVars(t.pack)
	maps.Copy(vars, content.Choices(options, t.locale))
	words, err := t.pack.Text(id, t.locale, t.channel, vars)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return words
}

func (t *try) say(id string) { fmt.Fprintf(t.out, "lookout: %s\n", t.words(id)) }

// note tells what would happen beside the talk.
func (t *try) note(format string, args ...any) {
	fmt.Fprintf(t.out, "   ["+format+"]\n", args...)
}

// step moves the talk, and shows what follows.
func (t *try) step(e flows.Event) error {
	e.Now = t.now
	next, effects, err := flows.Traced(t.pack.Program(), t.state, e, t.facts, t.took)
	if err != nil {
		return err
	}
	t.state = next
	for _, x := range effects {
		switch {
		case x.Say != nil:
			t.ask(x.Say.Text, x.Say.Options)
		case x.Ask != nil:
			t.ask(x.Ask.Text, x.Ask.Options)
		case x.Escalate != nil:
			t.note("row for the nurse: %s, %s: %s", x.Escalate.Level, x.Escalate.Concern, x.Escalate.Reason)
		case x.SetTimer != nil:
			t.timers[x.SetTimer.Key] = x.SetTimer.At
		case x.Save != nil:
			t.note("recorded: her answer as %s", x.Save.Field)
		case x.Ended != nil:
			t.note("the talk ended: %s", x.Ended.Outcome)
		}
	}
	return nil
}

// answer reads her words, shows the reading, and moves the talk.
func (t *try) answer(words string) error {
	var q *triage.Question
	open, ok := t.pack.Program().Open(t.state)
	if ok {
		q = &triage.Question{Scripted: true, Prompt: t.question(open.Text, open.Options), Kind: open.Kind, Concepts: open.Concepts, Options: open.Choices(), Min: open.Min, Max: open.Max, Today: t.now}
	}
	r := triage.Read(t.pack.Lexicon(), words, q, t.profile, nil)
	t.note("read as %s: %s", r.Level, r.Why)
	top := ""
	for _, f := range r.Findings {
		t.note("“%s”: %s, %s, %s, %s", f.Text, f.Concept, f.Polarity, f.Time, f.Level)
		if f.Level == r.Level && f.Polarity != "denied" && top == "" {
			top = t.pack.Concern(f.Concept)
		}
	}
	switch {
	case r.Level == triage.Emergency:
		if id := t.pack.EmergencyText(r); id != "" {
			t.say(id)
		} else {
			t.say("safety.emergency")
		}
		t.note("row for the nurse: emergency; whoever is on duty is paged")
		return t.step(flows.Event{Stop: "emergency"})
	case ok && open.Settles(r):
	case r.Level > triage.None:
		if top == "" {
			top = "not-understood"
		}
		if r.Level <= t.rows[top] {
			t.note("added to the row for the nurse: %s, %s", t.rows[top], top)
			break
		}
		t.rows[top] = r.Level
		t.note("row for the nurse: %s, %s", r.Level, top)
		if r.Level > triage.Routine || top != "not-understood" {
			t.say(t.pack.PromiseText(r.Level, top))
		}
	}
	if r.Command != "" {
		t.note("as a command word this would be %s; played as an answer", r.Command)
	}
	return t.step(flows.Event{Reply: &flows.Reply{Text: words, Reading: r}})
}

var waitForm = regexp.MustCompile(`^([1-9]\d{0,3})\s*([mhdw])$`)

// wait moves the clock on, and runs the timers that fall due, in their order.
func (t *try) wait(text string) error {
	m := waitForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return errors.New("write it like :wait 30m, :wait 3h, :wait 2d or :wait 1w")
	}
	n, _ := strconv.Atoi(m[1])
	until := t.now.Add(time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]])
	for {
		due := ""
		for key, at := range t.timers {
			if !at.After(until) && (due == "" || at.Before(t.timers[due]) || (at.Equal(t.timers[due]) && key < due)) {
				due = key
			}
		}
		if due == "" {
			t.now = until
			t.note("it is %s", until.Format("Monday 2 January, 15:04"))
			return nil
		}
		t.now = t.timers[due]
		delete(t.timers, due)
		if err := t.step(flows.Event{Timer: due}); err != nil {
			return err
		}
	}
}
