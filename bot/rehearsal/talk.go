package rehearsal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// Quit ends the playing of a talk.
const Quit = ":quit"

// talkNation is where a talk takes place.
const talkNation = "england-and-wales"

// SampleVars are made-up values for the placeholders of texts.
func SampleVars(pack *content.Pack) map[string]string {
	vars := map[string]string{"given_name": "Mary", "service": "Anytown breast nurses", "nurse_line": "01632 960001", "cancer_line": "01632 960002",
		"by": "5pm on Thursday", "since": "10:30am", "level": "soon", "nurse": "Ann", "begins": "Tuesday 22 December", "when": "Mon to Fri from 10am to 4pm",
		"link": "https://lookout.example.nhs.uk/chat", "desk": "https://lookout.example.nhs.uk/desk/"}
	for k, v := range pack.NationVars(talkNation) {
		vars[k] = v
	}
	return vars
}

// Line is one thing that is said in a talk, or told beside it.
type Line struct {
	By     string // "lookout", "her", or "" for what happens beside the talk
	Words  string
	Course string // the same without words that may be written anew: of a text its id
}

// String is the line as a terminal shows it and as a file has it.
func (l Line) String() string {
	switch l.By {
	case "lookout":
		return "lookout: " + strings.ReplaceAll(l.Words, "\n", "\n"+under)
	case "her":
		return "> " + l.Words
	}
	return "   [" + l.Words + "]"
}

// Talk is one flow being played, between whoever answers and nobody. What the desk
// does, command words, and several texts in a row are left out.
type Talk struct {
	Locale, Channel string    // whose words: "en-GB", "sms"
	Now             time.Time // moved on by Wait
	Tell            func(Line)
	Took            func(way string) // tells the ways that the talk goes, as flows.Program.Ways lists them; nil: nobody asks

	pack    *content.Pack
	state   flows.State
	timers  map[string]time.Time    // of the talk, by key
	rows    map[string]triage.Level // that a nurse would have by now, by concern
	profile triage.Profile
	facts   flows.Facts
}

// NewTalk makes a talk of nobody yet, in English by text message. given is what is
// known of her, by the names of flows.ProfileFields.
func NewTalk(pack *content.Pack, now time.Time, given map[string]string) (*Talk, error) {
	t := &Talk{pack: pack, Locale: "en-GB", Channel: "sms", Now: now, Tell: func(Line) {}, timers: map[string]time.Time{}, rows: map[string]triage.Level{}}
	return t, t.know(maps.Clone(given))
}

// Active says whether the talk goes on.
func (t *Talk) Active() bool { return t.state.Active() }

// Start begins a flow.
func (t *Talk) Start(flow string) error {
	if !t.pack.Program().Has(flow) {
		return fmt.Errorf("there is no flow %q: the flows are %s", flow, strings.Join(t.pack.Program().Flows(), ", "))
	}
	return t.step(flows.Event{Start: flow})
}

// Take takes a line of whoever plays her: an answer, or `:wait 2d`. The error of a
// line that is neither says what is.
func (t *Talk) Take(words string) error {
	words = strings.TrimSpace(words)
	if words == "" {
		return nil
	}
	t.Tell(Line{"her", words, "> " + words})
	command, argument, _ := strings.Cut(words, " ")
	switch {
	case command == ":wait":
		return t.wait(argument)
	case command == ":form":
		return t.fill(argument)
	case strings.HasPrefix(words, ":"):
		return &NoCommandError{"there are :wait 2d and :quit, and where a form is open :form STEP: words / STEP: words; anything else is what she writes"}
	}
	return t.answer(words)
}

// Shown is a question of the form that is open, as she sees it.
type Shown struct {
	Step, Prompt string
}

// Form gives the questions of the form that is open; none where one is asked after another.
func (t *Talk) Form() []Shown {
	form, ok := t.pack.Program().Form(t.state)
	if !ok || t.Channel != Chat {
		return nil
	}
	var out []Shown
	for _, q := range form.Questions {
		_, step, _ := strings.Cut(q.Name, "/")
		out = append(out, Shown{step, strings.ReplaceAll(t.question(q.Text, q.Options), "\n", ", ")})
	}
	return out
}

// NoCommandError is a line that begins like a command and is none. The talk goes on.
type NoCommandError struct{ Say string }

func (e *NoCommandError) Error() string { return e.Say }

// Play plays a flow until it ends or there is no more to answer, and writes each
// line. With echo, it writes what was answered too, so that the output is the whole
// talk.
func (t *Talk) Play(flow string, in io.Reader, out io.Writer, echo bool) error {
	tell := t.Tell
	defer func() { t.Tell = tell }()
	t.Tell = func(l Line) {
		switch {
		case l.By != "her":
			fmt.Fprintln(out, l)
		case echo:
			fmt.Fprintln(out, l.Words)
		}
		tell(l)
	}
	if err := t.Start(flow); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for t.Active() {
		fmt.Fprint(out, "> ")
		if !lines.Scan() {
			fmt.Fprintln(out)
			return lines.Err()
		}
		words := strings.TrimSpace(lines.Text())
		if words == Quit || words == "" && echo {
			if echo {
				fmt.Fprintln(out, words)
			}
			if words == Quit {
				return nil
			}
		}
		err := t.Take(words)
		var none *NoCommandError
		if errors.As(err, &none) {
			fmt.Fprintln(out, "  ", none)
			tell(Line{Words: none.Say, Course: none.Say})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// know puts what is said of her into the terms of the reader and
// of the flows.
func (t *Talk) know(given map[string]string) error {
	t.facts = flows.Facts{Open: true, Profile: map[string]any{}, Service: map[string]any{"open_access": true, "nation": talkNation}, Past: map[string]int{}}
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
				return fmt.Errorf("the fact %s: write true or false", field.Name)
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
				return fmt.Errorf("the fact %s: write a number", field.Name)
			}
			t.facts.Profile[field.Name], p.Age = n, n
		case "string":
			if !slices.Contains(field.Values, text) {
				return fmt.Errorf("the fact %s: must be one of %s", field.Name, strings.Trim(strings.Join(field.Values, ", "), ", "))
			}
			t.facts.Profile[field.Name] = text
			*texts[field.Name] = text
		}
	}
	for name := range given {
		return fmt.Errorf("the fact %s: there is no such fact: the facts are %s", name, strings.Join(names, ", "))
	}
	return nil
}

// question is one with the list of its options where it has any.
func (t *Talk) question(id string, options []flows.Option) string {
	vars := SampleVars(t.pack)
	maps.Copy(vars, content.Choices(options, t.Locale))
	words, err := t.pack.Text(id, t.Locale, t.Channel, vars)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return words
}

func (t *Talk) say(id string, options []flows.Option) {
	t.Tell(Line{"lookout", t.question(id, options), "lookout: " + id})
}

// note tells what would happen beside the talk.
func (t *Talk) note(format string, args ...any) {
	words := fmt.Sprintf(format, args...)
	t.Tell(Line{Words: words, Course: words})
}

// step moves the talk, and shows what follows.
func (t *Talk) step(e flows.Event) error {
	e.Now = t.Now
	next, effects, err := flows.Traced(t.pack.Program(), t.state, e, t.facts, t.Took)
	if err != nil {
		return err
	}
	t.state = next
	for _, x := range effects {
		switch {
		case x.Say != nil:
			t.say(x.Say.Text, x.Say.Options)
		case x.Ask != nil:
			if x.Ask.Form != "" && t.Channel == Chat {
				t.say(x.Ask.Form, nil)
				for _, q := range t.Form() {
					t.Tell(Line{Words: fmt.Sprintf("form, %s: %s", q.Step, q.Prompt), Course: "form, " + q.Step})
				}
				continue
			}
			t.say(x.Ask.Text, x.Ask.Options)
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
func (t *Talk) answer(words string) error {
	open, ok := t.pack.Program().Open(t.state)
	r := t.read(words, open, ok)
	if r.Level == triage.Emergency {
		return t.step(flows.Event{Stop: "emergency"})
	}
	return t.step(flows.Event{Reply: &flows.Reply{Text: words, Reading: r}})
}

// fill takes what she fills in of a form, reads each answer with its question, and moves
// the talk.
func (t *Talk) fill(text string) error {
	answers, words, err := parseForm(text)
	switch {
	case err != nil:
		return &NoCommandError{err.Error()}
	case t.Form() == nil:
		return &NoCommandError{"no form is open; play it as in the chat: --channel chat, or channel: chat"}
	}
	open, _ := t.pack.Program().Open(t.state)
	e := flows.Event{Form: []flows.Filled{}}
	for _, a := range answers {
		name := whole(a.Question, open.Name)
		q, ok := t.pack.Program().Question(name)
		r := t.read(a.Text, q, ok)
		if r.Level == triage.Emergency {
			e.Stop = "emergency"
			continue
		}
		e.Form = append(e.Form, flows.Filled{Question: name, Reply: flows.Reply{Text: a.Text, Reading: r}})
	}
	if words != "" && t.read(words, flows.OpenQuestion{}, false).Level == triage.Emergency {
		e.Stop = "emergency"
	}
	return t.step(e)
}

// read reads words of hers, in answer to a question if there is one, and shows the reading
// and what a nurse would have of it.
func (t *Talk) read(words string, open flows.OpenQuestion, ok bool) triage.Reading {
	var q *triage.Question
	if ok {
		q = open.Asked(t.question(open.Text, open.Options), t.Locale, t.Now)
	}
	r := triage.Read(t.pack.Lexicon(), words, q, t.profile, nil)
	t.Tell(Line{Words: fmt.Sprintf("read as %s: %s", r.Level, r.Why), Course: "read as " + r.Level.String()})
	top := ""
	for _, f := range r.Findings {
		t.Tell(Line{Words: fmt.Sprintf("“%s”: %s, %s, %s, %s", f.Text, f.Concept, f.Polarity, f.Time, f.Level)})
		if f.Level == r.Level && f.Polarity != "denied" && top == "" {
			top = t.pack.Concern(f.Concept)
		}
	}
	switch {
	case r.Level == triage.Emergency:
		if id := t.pack.EmergencyText(r); id != "" {
			t.say(id, nil)
		} else {
			t.say("safety.emergency", nil)
		}
		t.note("row for the nurse: emergency; whoever is on duty is paged")
		return r
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
			t.say(t.pack.PromiseText(r.Level, top), nil)
		}
	}
	if r.Command != "" {
		t.note("as a command word this would be %s; played as an answer", r.Command)
	}
	return r
}

var waitForm = regexp.MustCompile(`^([1-9]\d{0,3})\s*([mhdw])$`)

// wait moves the clock on, and runs the timers that fall due, in their order.
func (t *Talk) wait(text string) error {
	m := waitForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return &NoCommandError{"write it like :wait 30m, :wait 3h, :wait 2d or :wait 1w"}
	}
	n, _ := strconv.Atoi(m[1])
	until := t.Now.Add(time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]])
	for {
		due := ""
		for key, at := range t.timers {
			if !at.After(until) && (due == "" || at.Before(t.timers[due]) || (at.Equal(t.timers[due]) && key < due)) {
				due = key
			}
		}
		if due == "" {
			t.Now = until
			t.note("it is %s", until.Format("Monday 2 January, 15:04"))
			return nil
		}
		t.Now = t.timers[due]
		delete(t.timers, due)
		if err := t.step(flows.Event{Timer: due}); err != nil {
			return err
		}
	}
}
