package flows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lookout/flows/triage"
)

// anyProgram draws flows that an author could have written without a mistake.
// Steps lead forward, and answers anywhere; later flows are called by earlier.
func anyProgram(t *rapid.T) fstest.MapFS {
	files := fstest.MapFS{}
	flows := rapid.IntRange(1, 3).Draw(t, "flows")
	for f := range flows {
		var b strings.Builder
		fmt.Fprintf(&b, "flow: f%d\nversion: 1\nreview: {state: draft, author: a}\nsource: s\nstart: s0\nsteps:\n", f)
		last, calls := rapid.IntRange(1, 7).Draw(t, "steps"), 0
		shown := 0              // so many of the next steps stand in a form
		var conditions []string // that can hold at the step at hand
		for i := range last {
			after := func() string { return fmt.Sprintf("s%d", rapid.IntRange(i+1, last).Draw(t, "to")) }
			verb := rapid.SampledFrom([]string{"ask", "ask", "ask", "ask", "form", "form", "say", "branch", "wait", "escalate", "call"}).Draw(t, "verb")
			if verb == "call" && (f+1 >= flows || calls == 2) {
				verb = "say"
			}
			if verb == "form" && i+2 >= last {
				verb = "ask"
			}
			if shown > 0 {
				verb, shown = "ask", shown-1
			}
			fmt.Fprintf(&b, "  s%d: ", i)
			switch verb {
			case "ask":
				conditions = append(conditions, anyQuestion(t, &b, i, last, after))
			case "form":
				shown = rapid.IntRange(2, last-i-1).Draw(t, "shown")
				var names []string
				for k := range shown {
					names = append(names, fmt.Sprintf("s%d", i+1+k))
				}
				fmt.Fprintf(&b, "{form: t.form, questions: [%s]}\n", strings.Join(names, ", "))
			case "say":
				fmt.Fprintf(&b, "{say: t.%d, next: s%d}\n", i, i+1)
			case "wait":
				fmt.Fprintf(&b, "{wait: 2d, next: s%d}\n", i+1)
			case "escalate":
				fmt.Fprintf(&b, "{escalate: soon, concern: c, reason: r, next: s%d}\n", i+1)
			case "call":
				calls++
				fmt.Fprintf(&b, "{call: f%d, next: s%d}\n", rapid.IntRange(f+1, flows-1).Draw(t, "called"), i+1)
			case "branch":
				all := append([]string{"said('bone_pain')", "had('bone_pain', 14)", "open", "profile.tablets == 'tamoxifen'", "profile.age >= 70", "!profile.lobular"}, conditions...)
				drawn := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, rapid.ID[string]).Draw(t, "conditions")
				for k, when := range drawn {
					drawn[k] = fmt.Sprintf("{when: %q, next: %s}", when, after())
				}
				fmt.Fprintf(&b, "{branch: [%s], else: s%d}\n", strings.Join(drawn, ", "), i+1)
			}
		}
		fmt.Fprintf(&b, "  s%d: {say: t.end, end: completed}\n", last)
		files[fmt.Sprintf("f%d.yaml", f)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return files
}

// anyQuestion draws a question, and gives a condition on its answer that every
// later step of the flow may see hold: refusing and scoring 5 always lead on.
func anyQuestion(t *rapid.T, b *strings.Builder, i, last int, after func() string) string {
	kind := rapid.SampledFrom([]triage.Kind{triage.YesNo, triage.Scale, triage.Choice, triage.Number, triage.Date, triage.Weight, triage.Text}).Draw(t, "kind")
	fmt.Fprintf(b, "{ask: t.%d, kind: %s, save: a%d, next: s%d", i, kind, i, i+1)
	keys := map[triage.Kind][]string{triage.YesNo: {"yes", "no", "unsure", "nurse"}, triage.Scale: {"8-10", "unsure"}, triage.Choice: {"x", "y"},
		triage.Number: {"1-3", "nurse"}, triage.Date: {"0-13"}, triage.Weight: {"30-40"}, triage.Text: {"nurse"}}[kind]
	var on []string
	for _, key := range keys {
		if rapid.Bool().Draw(t, "on "+key) {
			on = append(on, fmt.Sprintf("%s: s%d", key, rapid.IntRange(0, last).Draw(t, "back or forth")))
		}
	}
	if len(on) > 0 {
		fmt.Fprintf(b, ", on: {%s}", strings.Join(on, ", "))
	}
	if kind == triage.Choice {
		fmt.Fprint(b, ", options: [{key: x, label: X}, {key: y, label: Y}]")
	}
	if rapid.Bool().Draw(t, "symptom") {
		fmt.Fprint(b, ", concepts: [bone_pain]")
	}
	if rapid.Bool().Draw(t, "reminded") {
		fmt.Fprint(b, ", remind: [{after: 1d, say: t}, {after: 2d, say: t}]")
	}
	fmt.Fprintf(b, ", expire: {after: 3d, next: %s}", after())
	if kind != triage.Text {
		fmt.Fprintf(b, ", unclear: {say: t.unclear, times: %d, next: %s}", rapid.IntRange(1, 2).Draw(t, "times"), after())
	}
	fmt.Fprint(b, "}\n")
	switch kind {
	case triage.Scale:
		return fmt.Sprintf("answer.a%d >= 5", i)
	case triage.Number, triage.Weight, triage.Date:
		return fmt.Sprintf("answer.a%d >= 70", i)
	}
	return fmt.Sprintf("answer.a%d == 'refused'", i)
}

// anyReply draws a reading, fitting or not.
func anyReply(t *rapid.T) Event {
	r := triage.Reading{Answer: triage.Answer{
		Kind: rapid.SampledFrom([]triage.AnswerKind{triage.NoAnswer, triage.SaidYes, triage.SaidNo, triage.Unsure, triage.Value, triage.Value, triage.Chosen,
			triage.FreeText, triage.Refused, triage.WantsNurse, triage.Correction, triage.Correction, "nonsense"}).Draw(t, "answer"),
		Number:  rapid.Float64Range(-2, 100).Draw(t, "number"),
		DaysAgo: rapid.IntRange(-2, 400).Draw(t, "days"),
		Option:  rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "option"),
	}}
	for range rapid.IntRange(0, 2).Draw(t, "findings") {
		r.Findings = append(r.Findings, triage.Finding{
			Concept:  rapid.SampledFrom([]string{"bone_pain", "breast_lump"}).Draw(t, "concept"),
			Polarity: rapid.SampledFrom([]string{"said", "denied"}).Draw(t, "polarity"), Time: "now", Experiencer: "her",
			Level: rapid.SampledFrom(triage.Levels[:]).Draw(t, "level"),
		})
	}
	return Event{Reply: &Reply{Text: "…", Reading: r}}
}

// anyForm fills in a part of a form, or of what is none.
func anyForm(t *rapid.T, form Form) Event {
	e := Event{Form: []Filled{}}
	for _, q := range form.Questions {
		if rapid.Bool().Draw(t, "answers it") {
			reply := anyReply(t).Reply
			if q.Kind == triage.YesNo && rapid.Bool().Draw(t, "plainly") {
				reply.Reading.Answer = triage.Answer{Kind: triage.SaidNo}
			}
			e.Form = append(e.Form, Filled{q.Name, *reply})
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "with more") == 0 {
		e.Form = append(e.Form, Filled{rapid.SampledFrom([]string{"f0/s1", "f1/s0", "gone", ""}).Draw(t, "question"), *anyReply(t).Reply})
	}
	if rapid.IntRange(0, 9).Draw(t, "and ends") == 0 {
		e.Stop = "stopped"
	}
	return e
}

// world is a talk with its timers and its clock.
type world struct {
	*rapid.T
	p      *Program
	s      State
	now    time.Time
	timers map[string]time.Time
	facts  Facts
}

// step takes one event, and holds it to what is promised of any.
func (w *world) step(e Event) {
	e.Now = w.now
	before, err := json.Marshal(w.s)
	if err != nil {
		w.Fatal(err)
	}
	next, effects, err := Step(w.p, w.s, e, w.facts)
	if err != nil {
		w.Fatalf("%+v: %v", e, err)
	}
	if after, _ := json.Marshal(w.s); string(after) != string(before) {
		w.Fatal("the state that was given was changed")
	}
	// What has been stored and read back goes on the same.
	again, sameEffects, _ := Step(w.p, stored(w.T, w.s), e, w.facts)
	if diff := cmp.Diff(stored(w.T, next), stored(w.T, again)) + cmp.Diff(effects, sameEffects); diff != "" {
		w.Fatalf("the stored state goes on differently:\n%s", diff)
	}
	asks, ends, escalated := 0, 0, false
	for _, x := range effects {
		switch {
		case ends > 0:
			w.Fatalf("something follows the end: %s", words(effects))
		case x.Ask != nil:
			asks++
		case x.Escalate != nil:
			escalated = true
		case x.SetTimer != nil:
			if !x.SetTimer.At.After(w.now) {
				w.Fatalf("a timer in the past: %+v", x.SetTimer)
			}
			if w.timers[x.SetTimer.Key] = x.SetTimer.At; asks > 1 {
				w.Fatal("two questions")
			}
		case x.Ended != nil:
			ends++
			if x.Ended.Outcome == outcomeBroken || (x.Ended.Outcome == outcomeHandedOver && !escalated) {
				w.Fatalf("ended badly: %s", words(effects))
			}
		}
	}
	if asks > 1 {
		w.Fatalf("two questions at once: %s", words(effects))
	}
	if wasOpen := w.s.Active() || e.Start != ""; (ends == 1) != (wasOpen && !next.Active()) {
		w.Fatalf("an end that is none, or no end: %s %+v", words(effects), next)
	}
	if next.Active() {
		if st := w.p.at(&next); st == nil || (st.verb != "ask" && st.verb != "wait") {
			w.Fatalf("the talk stands where nothing is waited for: %+v", next)
		}
		open, waits := w.p.Open(next)
		if asks > 0 && !waits {
			w.Fatal("a question was asked, and none is open")
		}
		if form, ok := w.p.Form(next); ok && (form.Questions[0].Name != open.Name || len(next.Frames[len(next.Frames)-1].Held) > 0) {
			w.Fatalf("a form is open beside the question %s: %+v", open.Name, next)
		}
	}
	w.s = next
}

// due gives the timer that comes next.
func (w *world) due() (key string) {
	for k, at := range w.timers {
		if key == "" || at.Before(w.timers[key]) || (at.Equal(w.timers[key]) && k < key) {
			key = k
		}
	}
	return key
}

// fire runs the next timer at its time.
func (w *world) fire() {
	key := w.due()
	w.now = w.timers[key]
	delete(w.timers, key)
	w.step(Event{Timer: key})
}

// Any flows that hold no mistake load. Whatever happens then in whatever order,
// each event keeps what is promised of it (see world.step), a timer of an
// earlier wait does nothing, and once she falls silent the talk ends by its
// timers alone.
func TestAnyTalkOfAnyProgram(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		files := anyProgram(t)
		p, err := Load(files, refs{})
		if err != nil {
			for name, file := range files {
				t.Logf("%s:\n%s", name, file.Data)
			}
			t.Fatalf("a right program is refused:\n%v", err)
		}
		w := &world{T: t, p: p, now: at, timers: map[string]time.Time{}}
		if rapid.Bool().Draw(t, "facts") {
			w.facts = Facts{Profile: map[string]any{"tablets": "tamoxifen", "age": 71, "lobular": false}, Past: map[string]int{"bone_pain": 3}, Open: true}
		}
		w.step(Event{Start: "f0"})
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				if w.due() != "" {
					w.fire()
				}
			case 1: // a timer of an earlier wait, or of none
				before := w.s
				w.step(Event{Timer: fmt.Sprintf("%s:%d:0", rapid.SampledFrom([]string{"remind", "expire", "wait", "again", "x"}).Draw(t, "timer"), rapid.IntRange(-1, w.s.Wait-1).Draw(t, "wait"))})
				if diff := cmp.Diff(before, w.s); diff != "" {
					t.Fatalf("a stale timer did something:\n%s", diff)
				}
			case 2:
				if w.s.Active() {
					w.step(Event{Timer: TimerAskAgain(w.s)})
				} else {
					w.step(Event{Start: "f0"})
				}
			default:
				form, open := w.p.Form(w.s)
				if open && rapid.IntRange(0, 2).Draw(t, "as a form") > 0 || rapid.IntRange(0, 19).Draw(t, "a form of before") == 0 {
					w.step(anyForm(t, form))
				} else {
					w.step(anyReply(t))
				}
			}
		}
		for fired := 0; w.s.Active(); fired++ {
			if fired > 3*maxWaits+40 { // each wait has at most three timers; those of the events before come too
				t.Fatal("silence did not end the talk")
			}
			if w.due() == "" {
				t.Fatal("the talk waits, and no timer will ever come")
			}
			w.fire()
		}
	})
}

// No state, however damaged, is an error or a panic; what she writes into one
// that cannot go on reaches a person.
func TestDamagedStates(t *testing.T) {
	t.Parallel()
	p := program(t)
	rapid.Check(t, func(t *rapid.T) {
		frame := rapid.Custom(func(t *rapid.T) Frame {
			return Frame{Flow: rapid.SampledFrom([]string{"", "small", "sub", "gone"}).Draw(t, "flow"), Step: rapid.SampledFrom([]string{"", "pain", "bad", "route", "sub", "bye", "since", "end", "gone_"}).Draw(t, "step"),
				Answers: map[string]triage.Answer{"bad": {Kind: triage.Value, Number: rapid.Float64().Draw(t, "number")}, "x": {}}}
		})
		s := State{
			Flow: "small", Frames: rapid.SliceOfN(frame, 1, 40).Draw(t, "frames"), Wait: rapid.Int().Draw(t, "wait"), Reminded: rapid.Int().Draw(t, "reminded"), Unclear: rapid.Int().Draw(t, "unclear"),
			Back: rapid.SampledFrom([]string{"", "pain", "bye", "gone"}).Draw(t, "back"), BackFrames: rapid.SliceOfN(frame, 0, 3).Draw(t, "back frames"), Named: rapid.SliceOf(rapid.String()).Draw(t, "named"),
		}
		st := p.at(&s)
		e := anyReply(t)
		if rapid.Bool().Draw(t, "timer") {
			e = Event{Timer: timerKey(rapid.SampledFrom([]string{"remind", "expire", "wait", "again"}).Draw(t, "timer"), s.Wait, rapid.Int().Draw(t, "n"))}
		}
		e.Now = at
		next, effects, err := Step(p, s, e, Facts{})
		if err != nil {
			t.Fatal(err)
		}
		if st == nil && (next.Active() || words(effects) != "!not-understood .broken") {
			t.Fatalf("%q: want a row for a person and the end of the talk", words(effects))
		}
		if next.Active() && next.Wait > maxWaits && next.Wait != s.Wait {
			t.Fatal("the talk goes on beyond its limit")
		}
	})
}
