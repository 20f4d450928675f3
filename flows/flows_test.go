package flows

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lookout/flows/triage"
)

// refs knows one text, two concepts and one concern.
type refs struct{}

func (refs) HasText(id string) bool    { return id == "t" || strings.HasPrefix(id, "t.") }
func (refs) HasConcept(id string) bool { return id == "bone_pain" || id == "breast_lump" }
func (refs) HasConcern(id string) bool { return id == "c" }

// Each wrong file holds one mistake, and its first line says which.
func TestEveryMistakeIsFound(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no wrong files", err)
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(strings.TrimPrefix(strings.SplitN(string(text), "\n", 2)[0], "# want: "))
		name := filepath.Base(file)
		_, err = Load(fstest.MapFS{name: {Data: text}}, refs{})
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: loaded without a fault: %v", name, err)
			continue
		}
		if faults[0].Code != want {
			t.Errorf("%s: found %v first, want %s", name, faults, want)
		}
		for _, f := range faults {
			found[f.Code] = true
			if f.File != name || f.Line < 1 || f.Message == "" || f.Mend == "" {
				t.Errorf("%s: a fault that does not say where, what and how to mend: %+v", name, f)
			}
		}
	}
	for _, source := range []string{"load.go", "condition.go", "shape.go"} {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`l\.fault\([^,]+, "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !found[m[1]] {
				t.Errorf("the fault %q of %s has no wrong file in testdata", m[1], source)
			}
		}
	}
}

const small = `flow: small
version: 1
review: {state: draft, author: a}
source: s
start: pain
steps:
  pain:
    ask: t.pain
    kind: yes_no
    concepts: [bone_pain]
    save: pain
    on: {yes: bad, unsure: bad}
    next: route
    remind: [{after: 48h, say: t.reminder}]
    expire: {after: 7d, next: gone}
    unclear: {say: t.unclear, times: 1, next: person}
  bad:
    ask: t.bad
    kind: scale
    save: bad
    next: route
    expire: {after: 2d, next: gone}
    unclear: {say: t.number, times: 1, next: person}
  route:
    branch:
      - {when: "answer.bad >= 7.0 || said('breast_lump')", next: sub}
    else: bye
  sub: {call: sub, next: bye}
  person: {escalate: routine, concern: c, reason: r, next: bye}
  bye: {say: t.bye, end: completed}
  gone: {escalate: routine, concern: c, reason: no answer, next: gone_say}
  gone_say: {say: t.gone, end: expired}
`

const sub = `flow: sub
version: 1
review: {state: draft, author: a}
source: s
start: since
steps:
  since:
    ask: t.since
    kind: text
    save: since
    next: end
    expire: {after: 2d, next: end}
  end: {say: t.sub, end: completed}
`

func program(t testing.TB) *Program {
	t.Helper()
	p, err := Load(fstest.MapFS{"small.yaml": {Data: []byte(small)}, "sub.yaml": {Data: []byte(sub)}}, refs{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// say is a reply whose reading answers in this way.
func say(a triage.Answer, concepts ...string) Event {
	r := triage.Reading{Answer: a}
	for _, c := range concepts {
		r.Findings = append(r.Findings, triage.Finding{Concept: c, Polarity: "said", Time: "now", Experiencer: "her", Level: triage.Soon})
	}
	return Event{Reply: &Reply{Text: "…", Reading: r}}
}

// words puts effects into a line, for comparing.
func words(effects []Effect) string {
	var out []string
	for _, e := range effects {
		switch {
		case e.Say != nil:
			out = append(out, e.Say.Text)
		case e.Ask != nil:
			out = append(out, "?"+e.Ask.Text)
		case e.Escalate != nil:
			out = append(out, "!"+e.Escalate.Concern)
		case e.Ended != nil:
			out = append(out, "."+e.Ended.Outcome)
		}
	}
	return strings.Join(out, " ")
}

var at = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// talk runs events, and carries the state through JSON between every two.
func talk(t *testing.T, p *Program, events ...Event) []string {
	t.Helper()
	var s State
	var out []string
	for _, e := range events {
		e.Now = at
		next, effects, err := Step(p, s, e, Facts{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		s = State{}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, words(effects))
	}
	return out
}

func TestTalks(t *testing.T) {
	p := program(t)
	start := Event{Start: "small"}
	yes, no := say(triage.Answer{Kind: triage.SaidYes}), say(triage.Answer{Kind: triage.SaidNo})
	nothing := say(triage.Answer{})
	for name, x := range map[string]struct {
		events []Event
		want   []string
	}{
		"no":                {[]Event{start, no}, []string{"?t.pain", "t.bye .completed"}},
		"yes, mild":         {[]Event{start, yes, say(triage.Answer{Kind: triage.Value, Number: 3})}, []string{"?t.pain", "?t.bad", "t.bye .completed"}},
		"yes, bad":          {[]Event{start, yes, say(triage.Answer{Kind: triage.Value, Number: 7}), say(triage.Answer{Kind: triage.FreeText})}, []string{"?t.pain", "?t.bad", "?t.since", "t.sub t.bye .completed"}},
		"names it":          {[]Event{start, say(triage.Answer{}, "bone_pain")}, []string{"?t.pain", "?t.bad"}},
		"names another":     {[]Event{start, yes, say(triage.Answer{Kind: triage.Value, Number: 1}, "breast_lump")}, []string{"?t.pain", "?t.bad", "?t.since"}},
		"out of the scale":  {[]Event{start, yes, say(triage.Answer{Kind: triage.Value, Number: 11})}, []string{"?t.pain", "?t.bad", "t.number"}},
		"not understood":    {[]Event{start, nothing, nothing}, []string{"?t.pain", "t.unclear", "!c t.bye .completed"}},
		"wants a nurse":     {[]Event{start, say(triage.Answer{Kind: triage.WantsNurse})}, []string{"?t.pain", "!contact-request .handed over"}},
		"takes it back":     {[]Event{start, no}, []string{"?t.pain", "t.bye .completed"}},
		"corrects":          {[]Event{start, yes, say(triage.Answer{Kind: triage.Correction}), no}, []string{"?t.pain", "?t.bad", "?t.pain", "t.bye .completed"}},
		"reminded, expires": {[]Event{start, {Timer: "remind:1:0"}, {Timer: "remind:1:0"}, {Timer: "expire:1:0"}}, []string{"?t.pain", "t.reminder", "", "!c t.gone .expired"}},
		"stale timer":       {[]Event{start, yes, {Timer: "expire:1:0"}, {Timer: "remind:1:0"}}, []string{"?t.pain", "?t.bad", "", ""}},
		"later":             {[]Event{start, {Timer: "again:1:0"}}, []string{"?t.pain", "?t.pain"}},
		"stopped":           {[]Event{start, {Stop: "emergency"}, yes}, []string{"?t.pain", ".emergency", ""}},
	} {
		if diff := cmp.Diff(x.want, talk(t, p, x.events...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A talk whose step is gone does not lose her answer.
func TestAnswerToAStepThatIsGone(t *testing.T) {
	s := State{Flow: "small", Frames: []Frame{{Flow: "small", Step: "removed"}}, Wait: 1}
	next, effects, err := Step(program(t), s, say(triage.Answer{Kind: triage.SaidNo}, "breast_lump"), Facts{})
	if err != nil || next.Active() || words(effects) != "!not-understood .broken" {
		t.Errorf("%v %q %v: want a row for a person and the end of the talk", next, words(effects), err)
	}
}

// Whatever comes in whatever order: a talk ends when its timers run, there are
// never two questions in one step, the state that was given is not changed, and
// what goes through JSON goes on the same.
func TestProperties(t *testing.T) {
	p := program(t)
	rapid.Check(t, func(t *rapid.T) {
		var s State
		answers := rapid.SampledFrom([]triage.Answer{{}, {Kind: triage.SaidYes}, {Kind: triage.SaidNo}, {Kind: triage.Unsure}, {Kind: triage.Refused}, {Kind: triage.WantsNurse},
			{Kind: triage.Correction}, {Kind: triage.Value, Number: 8}, {Kind: triage.Value, Number: -5}, {Kind: triage.Chosen, Option: "x"}, {Kind: triage.FreeText}})
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			var e Event
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				if s.Active() {
					continue
				}
				e.Start = "small"
			case 1, 2:
				e = say(answers.Draw(t, "answer"))
			case 3:
				e.Timer = fmt.Sprintf("%s:%d:%d", rapid.SampledFrom([]string{"remind", "expire", "wait", "again", "x"}).Draw(t, "timer"), rapid.IntRange(0, 5).Draw(t, "wait"), rapid.IntRange(-1, 2).Draw(t, "n"))
			}
			e.Now = at
			before, _ := json.Marshal(s)
			next, effects, err := Step(p, s, e, Facts{})
			if err != nil {
				t.Fatal(err)
			}
			if after, _ := json.Marshal(s); string(after) != string(before) {
				t.Fatal("the state that was given was changed")
			}
			asks := 0
			for _, x := range effects {
				if x.Ask != nil {
					asks++
				}
			}
			if asks > 1 {
				t.Fatalf("two questions at once: %s", words(effects))
			}
			s = next
		}
		for i := 0; s.Active(); i++ {
			if i > 20 {
				t.Fatal("silence did not end the talk")
			}
			s, _, _ = Step(p, s, Event{Now: at, Timer: fmt.Sprintf("expire:%d:0", s.Wait)}, Facts{})
		}
	})
}

// Whatever the bytes: Load answers, and a program that it accepts can be started.
func FuzzLoad(f *testing.F) {
	f.Add(small)
	f.Add(sub)
	files, _ := filepath.Glob("testdata/wrong/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Load(fstest.MapFS{"small.yaml": {Data: []byte(text)}}, refs{})
		if err != nil {
			return
		}
		if _, _, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{}); err != nil {
			t.Fatal(err)
		}
	})
}

// One reply: the state decoded, a step taken, the state encoded.
func BenchmarkStep(b *testing.B) {
	p := program(b)
	s, _, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
	if err != nil {
		b.Fatal(err)
	}
	stored, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	e := say(triage.Answer{Kind: triage.SaidYes}, "bone_pain")
	e.Now = at
	b.ReportAllocs()
	for b.Loop() {
		var s State
		if err := json.Unmarshal(stored, &s); err != nil {
			b.Fatal(err)
		}
		next, _, err := Step(p, s, e, Facts{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(next); err != nil {
			b.Fatal(err)
		}
	}
}

// Every step and every way on stands in the picture.
func TestMermaid(t *testing.T) {
	picture := program(t).Mermaid("small")
	for _, want := range []string{"flowchart TD", `pain[/"ask t.pain"/]`, `pain -->|"the answer yes"| bad`, `-->|"expire"| gone`, `bye --> end_bye(("completed"))`} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture lacks %s:\n%s", want, picture)
		}
	}
}
