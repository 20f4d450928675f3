package flows

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lookout/flows/triage"
)

// refs knows one text, two concepts and one concern.
type refs struct{}

func (refs) HasText(id string) bool    { return id == "t" || strings.HasPrefix(id, "t.") }
func (refs) HasConcept(id string) bool { return id == "bone_pain" || id == "breast_lump" }
func (refs) HasConcern(id string) bool { return id == "c" }

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
			mark := "?"
			if e.Ask.Again {
				mark = "?again "
			}
			out = append(out, mark+e.Ask.Text)
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
func talk(t *testing.T, p *Program, facts Facts, events ...Event) []string {
	t.Helper()
	var s State
	var out []string
	for _, e := range events {
		e.Now = at
		next, effects, err := Step(p, s, e, facts)
		if err != nil {
			t.Fatal(err)
		}
		s = stored(t, next)
		out = append(out, words(effects))
	}
	return out
}

// stored is a state as it comes back from a store.
func stored(t interface{ Fatal(...any) }, s State) State {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestTalks(t *testing.T) {
	t.Parallel()
	p := program(t)
	start := Event{Start: "small"}
	yes, no := say(triage.Answer{Kind: triage.SaidYes}), say(triage.Answer{Kind: triage.SaidNo})
	score := func(n float64) Event { return say(triage.Answer{Kind: triage.Value, Number: n}) }
	nothing, back, nurse, words := say(triage.Answer{}), say(triage.Answer{Kind: triage.Correction}), say(triage.Answer{Kind: triage.WantsNurse}), say(triage.Answer{Kind: triage.FreeText})
	reminder, gone := Event{Timer: "remind:1:0"}, Event{Timer: "expire:1:0"}
	for name, x := range map[string]struct {
		events []Event
		want   []string
	}{
		"no":                        {[]Event{start, no}, []string{"?t.pain", "t.bye .completed"}},
		"yes, mild":                 {[]Event{start, yes, score(3)}, []string{"?t.pain", "?t.bad", "t.bye .completed"}},
		"yes, bad":                  {[]Event{start, yes, score(7), words}, []string{"?t.pain", "?t.bad", "?t.since", "t.sub t.bye .completed"}},
		"names what is asked":       {[]Event{start, say(triage.Answer{}, "bone_pain")}, []string{"?t.pain", "?t.bad"}},
		"names something worse":     {[]Event{start, say(triage.Answer{}, "breast_lump")}, []string{"?t.pain", "?t.bad"}},
		"what she named is kept":    {[]Event{start, say(triage.Answer{Kind: triage.SaidYes}, "breast_lump"), score(1)}, []string{"?t.pain", "?t.bad", "?t.since"}},
		"names another later":       {[]Event{start, yes, say(triage.Answer{Kind: triage.Value, Number: 1}, "breast_lump")}, []string{"?t.pain", "?t.bad", "?t.since"}},
		"denies it":                 {[]Event{start, denial("bone_pain")}, []string{"?t.pain", "t.bye .completed"}},
		"a number, no yes":          {[]Event{start, score(3)}, []string{"?t.pain", "t.unclear"}},
		"a yes, no number":          {[]Event{start, yes, yes}, []string{"?t.pain", "?t.bad", "t.number"}},
		"out of the scale":          {[]Event{start, yes, score(11)}, []string{"?t.pain", "?t.bad", "t.number"}},
		"no number at all":          {[]Event{start, yes, score(math.NaN())}, []string{"?t.pain", "?t.bad", "t.number"}},
		"not understood":            {[]Event{start, nothing, nothing}, []string{"?t.pain", "t.unclear", "!c t.bye .completed"}},
		"understood at last":        {[]Event{start, nothing, yes, nothing, score(2)}, []string{"?t.pain", "t.unclear", "?t.bad", "t.number", "t.bye .completed"}},
		"wants a nurse":             {[]Event{start, nurse, yes}, []string{"?t.pain", "!contact-request .handed over", ""}},
		"would rather not say":      {[]Event{start, say(triage.Answer{Kind: triage.Refused})}, []string{"?t.pain", "t.bye .completed"}},
		"not sure":                  {[]Event{start, say(triage.Answer{Kind: triage.Unsure})}, []string{"?t.pain", "?t.bad"}},
		"corrects":                  {[]Event{start, yes, back, no}, []string{"?t.pain", "?t.bad", "?again t.pain", "t.bye .completed"}},
		"corrects only once":        {[]Event{start, yes, back, back}, []string{"?t.pain", "?t.bad", "?again t.pain", "t.unclear"}},
		"corrects at the start":     {[]Event{start, back}, []string{"?t.pain", "t.unclear"}},
		"corrects before a call":    {[]Event{start, yes, score(7), back, score(2)}, []string{"?t.pain", "?t.bad", "?t.since", "?again t.bad", "t.bye .completed"}},
		"corrects after an expiry":  {[]Event{start, yes, {Timer: "expire:2:0"}}, []string{"?t.pain", "?t.bad", "!c t.gone .expired"}},
		"reminded, expires":         {[]Event{start, reminder, reminder, gone}, []string{"?t.pain", "t.reminder", "", "!c t.gone .expired"}},
		"answers after a reminder":  {[]Event{start, reminder, no}, []string{"?t.pain", "t.reminder", "t.bye .completed"}},
		"stale timers":              {[]Event{start, yes, gone, reminder, {Timer: "wait:2:0"}, {Timer: "remind:2:5"}, {Timer: "nonsense"}}, []string{"?t.pain", "?t.bad", "", "", "", "", ""}},
		"later":                     {[]Event{start, {Timer: "again:1:0"}, yes, {Timer: "again:1:0"}}, []string{"?t.pain", "?again t.pain", "?t.bad", ""}},
		"an answer after the end":   {[]Event{start, no, yes, {Timer: "expire:1:0"}, {Stop: "stopped"}}, []string{"?t.pain", "t.bye .completed", "", "", ""}},
		"stopped, and starts again": {[]Event{start, {Stop: "emergency"}, yes, start}, []string{"?t.pain", ".emergency", "", "?t.pain"}},
	} {
		if diff := cmp.Diff(x.want, talk(t, p, Facts{}, x.events...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Two questions with reminders, a wait, and a call of a flow with two questions.
func TestLongerTalks(t *testing.T) {
	t.Parallel()
	const asks = ", expire: {after: 7d, next: end}, remind: [{after: 2d, say: t.reminder}], unclear: {say: t, times: 1, next: end}}\n"
	const head = "version: 1\nreview: {state: draft, author: a}\nsource: s\nstart: a\nsteps:\n"
	p, err := Load(fstest.MapFS{
		"outer.yaml": {Data: []byte("flow: outer\n" + head + "  a: {ask: t.1, kind: yes_no, next: b" + asks + "  b: {ask: t.2, kind: yes_no, next: c" + asks +
			"  c: {wait: 2d, next: d}\n  d: {ask: t.3, kind: yes_no, next: e" + asks + "  e: {call: inner, next: f}\n  f: {ask: t.6, kind: yes_no, next: end" + asks + "  end: {say: t.end, end: completed}\n")},
		"inner.yaml": {Data: []byte("flow: inner\n" + head + "  a: {ask: t.4, kind: yes_no, next: b" + asks + "  b: {ask: t.5, kind: yes_no, next: end" + asks + "  end: {say: t.inner, end: completed}\n")},
	}, refs{})
	if err != nil {
		t.Fatal(err)
	}
	start, no, back := Event{Start: "outer"}, say(triage.Answer{Kind: triage.SaidNo}), say(triage.Answer{Kind: triage.Correction})
	to3 := []Event{start, no, no, {Timer: "wait:3:0"}}
	to3said := []string{"?t.1", "?t.2", "", "?t.3"}
	for name, x := range map[string]struct {
		events []Event
		want   []string
	}{
		"each question has its own reminders":  {[]Event{start, {Timer: "remind:1:0"}, no, {Timer: "remind:2:0"}}, []string{"?t.1", "t.reminder", "?t.2", "t.reminder"}},
		"a reply while nothing is asked":       {[]Event{start, no, no, no, {Timer: "wait:3:0"}}, []string{"?t.1", "?t.2", "", "", "?t.3"}},
		"nothing to go back to after a wait":   {append(to3, back), append(to3said, "t")},
		"back inside the flow that was called": {append(to3, no, no, back, no, no), append(to3said, "?t.4", "?t.5", "?again t.4", "?t.5", "t.inner ?t.6")},
		"back out of the flow that was called": {append(to3, no, back, no), append(to3said, "?t.4", "?again t.3", "?t.4")},
		"back into the flow that was called":   {append(to3, no, no, no, back, no, no), append(to3said, "?t.4", "?t.5", "t.inner ?t.6", "?again t.5", "t.inner ?t.6", "t.end .completed")},
	} {
		if diff := cmp.Diff(x.want, talk(t, p, Facts{}, x.events...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A question that she was not sure about has no number, and no condition on it
// holds: neither that it was low nor that it was high.
func TestNoNumberIsNotZero(t *testing.T) {
	t.Parallel()
	p := one(t, "  a: {ask: t, kind: scale, save: x, next: b"+rest+"  b:\n    branch: [{when: answer.x < 4, next: low}, {when: answer.x >= 4, next: high}]\n    else: other\n"+
		"  low: {say: t.low, end: low}\n  high: {say: t.high, end: high}\n  other: {say: t.other, end: other}\n")
	for _, x := range []struct {
		answer triage.Answer
		want   string
	}{
		{triage.Answer{Kind: triage.Unsure}, "t.other .other"}, {triage.Answer{Kind: triage.Refused}, "t.other .other"},
		{triage.Answer{Kind: triage.Value, Number: 0}, "t.low .low"}, {triage.Answer{Kind: triage.Value, Number: 4}, "t.high .high"},
	} {
		if got := talk(t, p, Facts{}, Event{Start: "one"}, say(x.answer))[1]; got != x.want {
			t.Errorf("%+v: %q, want %q", x.answer, got, x.want)
		}
	}
}

// Conditions that can hold, if only on one way, are not refused.
func TestConditionsThatCanHold(t *testing.T) {
	t.Parallel()
	const c = ", save: x, expire: {after: 7d, next: end}, unclear: {say: t, times: 1, next: end}}\n  b: {branch: [{when: %q, next: end}], else: end}\n  end: {say: t, end: end}\n"
	for _, steps := range []string{
		"  a: {ask: t, kind: scale, on: {8-10: b}, next: end" + fmt.Sprintf(c, "answer.x >= 9"),
		"  a: {ask: t, kind: yes_no, on: {yes: b}, next: end" + fmt.Sprintf(c, "answer.x == 'yes'"),
		"  a: {ask: t, kind: yes_no, on: {yes: end, nurse: b}, next: end" + fmt.Sprintf(c, "answer.x == 'nurse'"),
		"  a: {ask: t, kind: date, next: b" + fmt.Sprintf(c, "answer.x > 13 && answer.x <= 28"),
		"  a: {ask: t, kind: weight, next: b" + fmt.Sprintf(c, "answer.x < 45.5"),
		"  a: {ask: t, kind: text, next: b" + fmt.Sprintf(strings.Replace(c, ", unclear: {say: t, times: 1, next: end}", "", 1), "answer.x != 'refused'"),
		"  a: {ask: t, kind: choice, options: [{key: p, label: P}, {key: q, label: Q}], save: x, next: a2, expire: {after: 7d, next: a2}, unclear: {say: t, times: 1, next: a2}}\n" +
			"  a2: {ask: t, kind: choice, options: [{key: r, label: R}, {key: s, label: S}], on: {r: end, s: end}, next: end" + fmt.Sprintf(strings.Replace(c, "after: 7d, next: end", "after: 7d, next: b", 1), "answer.x == 'p'"),
	} {
		one(t, steps)
	}
}

// denial is a reply that answers in no other way than by denying.
func denial(concepts ...string) Event {
	var r triage.Reading
	for _, c := range concepts {
		r.Findings = append(r.Findings, triage.Finding{Concept: c, Polarity: "denied", Time: "now", Experiencer: "her"})
	}
	return Event{Reply: &Reply{Reading: r}}
}

// one is a program of one flow, of the given steps.
func one(t testing.TB, steps string) *Program {
	t.Helper()
	p, err := Load(fstest.MapFS{"one.yaml": {Data: []byte("flow: one\nversion: 1\nreview: {state: draft, author: a}\nsource: s\nstart: a\nsteps:\n" + steps)}}, refs{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const rest = ", expire: {after: 7d, next: none}, unclear: {say: t, times: 1, next: none}}\n  none: {say: t.none, end: none}\n"

// Every kind of question takes its own answers, and leads each where it belongs.
func TestAnswersOfEachKind(t *testing.T) {
	t.Parallel()
	value := func(n float64) triage.Answer { return triage.Answer{Kind: triage.Value, Number: n, DaysAgo: int(n)} }
	chosen := func(key string) triage.Answer { return triage.Answer{Kind: triage.Chosen, Option: key} }
	plain := func(k triage.AnswerKind) triage.Answer { return triage.Answer{Kind: k} }
	const (
		scale  = "kind: scale, on: {0-3: low, 4-7: middle, 8-10: high, unsure: middle}, next: other"
		number = "kind: number, min: 1, max: 5, on: {1: low}, next: other"
		date   = "kind: date, on: {0-13: low, 14-365: high}, next: other"
		weight = "kind: weight, on: {30-49: low}, next: other"
		choice = "kind: choice, options: [{key: pain, label: Pain}, {key: lump, label: A lump}], on: {lump: high}, next: other"
		text   = "kind: text, on: {refused: low}, next: other"
		consnt = "kind: yes_no, on: {yes: high, no: low}, next: other"
	)
	ends := "  low: {say: t.low, end: low}\n  middle: {say: t.middle, end: middle}\n  high: {say: t.high, end: high}\n  other: {say: t.other, end: other}\n"
	for _, x := range []struct {
		kind   string
		answer triage.Answer
		want   string // the outcome; "" when she is asked again
	}{
		{scale, value(0), "low"}, {scale, value(3), "low"}, {scale, value(3.4), "low"}, {scale, value(3.5), "middle"}, {scale, value(7.5), "high"}, {scale, value(10), "high"},
		{scale, value(10.1), ""}, {scale, value(-1), ""}, {scale, value(math.NaN()), ""}, {scale, value(math.Inf(1)), ""}, {scale, plain(triage.SaidYes), ""}, {scale, chosen("pain"), ""},
		{scale, plain(triage.Unsure), "middle"}, {scale, plain(triage.Refused), "other"}, {scale, plain(triage.FreeText), ""},
		{number, value(1), "low"}, {number, value(5), "other"}, {number, value(6), ""}, {number, value(0), ""},
		{date, value(0), "low"}, {date, value(13), "low"}, {date, value(14), "high"}, {date, value(366), "other"}, {date, triage.Answer{Kind: triage.Value, DaysAgo: -3}, ""},
		{weight, value(49.4), "low"}, {weight, value(49.5), "other"}, {weight, value(0), ""}, {weight, value(math.Inf(1)), ""},
		{choice, chosen("lump"), "high"}, {choice, chosen("pain"), "other"}, {choice, chosen("rash"), ""}, {choice, chosen(""), ""}, {choice, plain(triage.SaidNo), ""},
		{text, plain(triage.NoAnswer), "other"}, {text, plain(triage.FreeText), "other"}, {text, plain(triage.Unsure), "other"}, {text, value(3), "other"},
		{text, plain(triage.Refused), "low"}, {text, plain(triage.Correction), "other"}, {text, plain(triage.SaidNo), "other"},
		{consnt, plain(triage.SaidYes), "high"}, {consnt, plain(triage.SaidNo), "low"}, {consnt, value(1), ""}, {consnt, plain("something else"), ""},
	} {
		steps := "  a: {ask: t, " + x.kind + rest + ends
		if x.kind == text {
			steps = "  a: {ask: t, " + x.kind + ", expire: {after: 7d, next: none}}\n  none: {say: t.none, end: none}\n" + ends
		}
		// An end that this question does not lead to would be unreachable.
		for _, end := range []string{"low", "middle", "high", "other"} {
			if !strings.Contains(x.kind, ": "+end) {
				steps = strings.Replace(steps, fmt.Sprintf("  %s: {say: t.%s, end: %s}\n", end, end, end), "", 1)
			}
		}
		got := talk(t, one(t, steps), Facts{}, Event{Start: "one"}, say(x.answer))[1]
		want := "t"
		if x.want != "" {
			want = "t." + x.want + " ." + x.want
		}
		if got != want {
			t.Errorf("%s answered %+v: %q, want %q", x.kind, x.answer, got, want)
		}
	}
}

// To a question that may as well ask for what is good, naming a symptom is
// neither a yes nor a no.
func TestNamingAnswersOnlyQuestionsAboutSymptoms(t *testing.T) {
	t.Parallel()
	p := one(t, "  a: {ask: t, kind: yes_no, on: {yes: eased}, next: other"+rest+"  eased: {say: t.eased, end: eased}\n  other: {say: t.other, end: other}\n")
	for _, e := range []Event{say(triage.Answer{}, "bone_pain"), denial("bone_pain")} {
		if got := talk(t, p, Facts{}, Event{Start: "one"}, e)[1]; got != "t" {
			t.Errorf("%q: want that she is asked again", got)
		}
	}
}

// Where a no is the bad news ("Can you keep drinks down?"), naming what was asked about
// is a no, denying it a yes, and naming something else is neither.
func TestNamingWhereANoIsTheBadNews(t *testing.T) {
	t.Parallel()
	p := one(t, "  a: {ask: t, kind: yes_no, trouble: no, concepts: [bone_pain], on: {yes: good, no: bad}, next: other"+rest+"  good: {say: t.good, end: good}\n  bad: {say: t.bad, end: bad}\n  other: {say: t.other, end: other}\n")
	for want, e := range map[string]Event{"t.bad .bad": say(triage.Answer{}, "bone_pain"), "t.good .good": denial("bone_pain"), "t": say(triage.Answer{}, "breast_lump")} {
		if got := talk(t, p, Facts{}, Event{Start: "one"}, e)[1]; got != want {
			t.Errorf("%+v: got %q, want %q", e.Reply.Reading, got, want)
		}
	}
}

// A finding of somebody else, of the past or of a fear is no answer.
func TestOnlyWhatIsHersAndNowCounts(t *testing.T) {
	t.Parallel()
	p := program(t)
	for _, f := range []triage.Finding{
		{Concept: "bone_pain", Polarity: "said", Time: "now", Experiencer: "other", Level: triage.Soon},
		{Concept: "bone_pain", Polarity: "said", Time: "past", Experiencer: "her", Level: triage.Soon},
		{Concept: "bone_pain", Polarity: "said", Time: "hypothetical", Experiencer: "her", Level: triage.Soon},
	} {
		e := Event{Reply: &Reply{Reading: triage.Reading{Findings: []triage.Finding{f}}}}
		if got := talk(t, p, Facts{}, Event{Start: "small"}, e)[1]; got != "t.unclear" {
			t.Errorf("%+v: %q, want that she is asked again", f, got)
		}
		f.Concept = "breast_lump" // which route asks about
		e = Event{Reply: &Reply{Reading: triage.Reading{Answer: triage.Answer{Kind: triage.SaidNo}, Findings: []triage.Finding{f}}}}
		if got := talk(t, p, Facts{}, Event{Start: "small"}, e)[1]; got != "t.bye .completed" {
			t.Errorf("%+v: %q, want that it does not count as named", f, got)
		}
	}
}

// What a condition does not know takes no branch, unless the rest of it decides.
func TestConditions(t *testing.T) {
	t.Parallel()
	tamoxifen := Facts{Profile: map[string]any{"tablets": "tamoxifen", "age": 71, "lobular": true}, Service: map[string]any{"open_access": true, "nation": "scotland"}, Past: map[string]int{"bone_pain": 10}, Open: true}
	for _, x := range []struct {
		when        string
		known, none bool // with the facts above, and with none at all
	}{
		{"profile.tablets == 'tamoxifen'", true, false}, {"profile.tablets != 'tamoxifen'", false, false},
		{"profile.age >= 70", true, false}, {"profile.age < 70", false, false},
		{"profile.lobular", true, false}, {"!profile.lobular", false, false}, {"!profile.male", false, false},
		{"profile.male || profile.lobular", true, false}, {"profile.male && open", false, false}, {"profile.male || !open", false, true},
		{"service.open_access && service.nation == 'scotland'", true, false},
		{"had('bone_pain', 14)", true, false}, {"had('bone_pain', 9)", false, false}, {"!had('bone_pain', 14)", false, true},
		{"said('bone_pain')", false, false}, {"!said('bone_pain')", true, true}, {"open", true, false},
	} {
		p := one(t, fmt.Sprintf("  a: {branch: [{when: %q, next: yes_}], else: no_}\n  yes_: {say: t.yes, end: e}\n  no_: {say: t.no, end: e}\n", x.when))
		for _, f := range []struct {
			facts Facts
			want  bool
		}{{tamoxifen, x.known}, {Facts{}, x.none}} {
			got := talk(t, p, f.facts, Event{Start: "one"})[0]
			if want := map[bool]string{true: "t.yes .e", false: "t.no .e"}[f.want]; got != want {
				t.Errorf("%s with %+v: %q, want %q", x.when, f.facts, got, want)
			}
		}
	}
}

// Reminders and expiry are set when a question is asked, from that moment, each
// under the number of its wait.
func TestTimers(t *testing.T) {
	t.Parallel()
	p := program(t)
	s, effects, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Effect{{Ask: &Ask{Text: "t.pain"}}, {SetTimer: &SetTimer{"remind:1:0", at.Add(48 * time.Hour)}}, {SetTimer: &SetTimer{"expire:1:0", at.Add(7 * 24 * time.Hour)}}}
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Error(diff)
	}
	next, effects, _ := Step(p, s, Event{Now: at.Add(time.Hour), Timer: TimerAskAgain(s)}, Facts{})
	if diff := cmp.Diff([]Effect{{Ask: &Ask{Text: "t.pain", Again: true}}}, effects); diff != "" || next.Wait != 1 {
		t.Errorf("asked again: %s", diff)
	}
}

// What an ask records is given to the caller, with her words.
func TestRecord(t *testing.T) {
	t.Parallel()
	p := one(t, "  a: {ask: t, kind: weight, record: weight, next: other"+rest+"  other: {say: t.other, end: other}\n")
	s, _, _ := Step(p, State{}, Event{Now: at, Start: "one"}, Facts{})
	answer := triage.Answer{Kind: triage.Value, Number: 61.5}
	_, effects, _ := Step(p, s, Event{Now: at, Reply: &Reply{Text: "61.5 kg", Reading: triage.Reading{Answer: answer}}}, Facts{})
	if diff := cmp.Diff(&Save{Field: "weight", Question: "one/a", Answer: answer, Text: "61.5 kg"}, effects[0].Save); diff != "" {
		t.Error(diff)
	}
}

// Somebody who never stops is handed to a person.
func TestATalkHasAnEndEvenForWhoeverAnswersForEver(t *testing.T) {
	t.Parallel()
	p := one(t, "  a: {ask: t, kind: yes_no, on: {yes: a}, next: none"+rest)
	events := []Event{{Start: "one"}}
	for range maxWaits {
		events = append(events, say(triage.Answer{Kind: triage.SaidYes}))
	}
	got := talk(t, p, Facts{}, events...)
	if last := got[len(got)-1]; last != "!not-understood .handed over" {
		t.Errorf("after %d answers: %q", maxWaits, last)
	}
}

// The caller's mistakes are errors, and change nothing.
func TestCallersMistakes(t *testing.T) {
	t.Parallel()
	p := program(t)
	open, _, _ := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
	for name, x := range map[string]struct {
		s State
		e Event
	}{
		"no such flow": {State{}, Event{Start: "nothing"}}, "two talks at once": {open, Event{Start: "small"}}, "no event": {open, Event{}},
	} {
		next, effects, err := Step(p, x.s, x.e, Facts{})
		if err == nil || len(effects) > 0 || cmp.Diff(x.s, next) != "" {
			t.Errorf("%s: %v %v %v", name, next, effects, err)
		}
	}
}

// A talk whose step is gone does not lose her answer: a person gets a row.
// When she writes of something else, and is understood, that is read and answered,
// and the question is asked again once. What she writes next of other things is no
// answer either, and goes the way of what is not understood.
func TestADigressionIsAskedAgainOnce(t *testing.T) {
	t.Parallel()
	p := load(t, `flow: x
version: 1
review: {state: draft, author: a}
source: s
start: a
steps:
  a: {ask: t, kind: yes_no, concepts: [bone_pain], next: b, expire: {after: 7d, next: b}, unclear: {say: unclear, times: 1, next: b}}
  b: {say: t, end: completed}
`)
	s, _, err := Step(p, State{}, Event{Start: "x"}, Facts{})
	if err != nil {
		t.Fatal(err)
	}
	of := func(concept string, understood bool) Event {
		return Event{Reply: &Reply{Text: "…", Reading: triage.Reading{Understood: understood, Findings: []triage.Finding{{Concept: concept, Polarity: "said", Time: "past", Level: triage.Routine}}}}}
	}
	for i, x := range []struct {
		e    Event
		want string
	}{
		{of("mammo_admin", true), "ask t again"}, {of("mammo_admin", true), "say unclear"}, {of("mammo_admin", true), "say t, ended completed"},
	} {
		var effects []Effect
		if s, effects, err = Step(p, s, x.e, Facts{}); err != nil {
			t.Fatal(err)
		}
		if got := told(effects); got != x.want {
			t.Errorf("message %d: %s, want %s", i+1, got, x.want)
		}
	}
	// What was not understood, or is about the question itself, is no digression.
	for _, e := range []Event{of("mammo_admin", false), of("not_understood", true), of("bone_pain", true)} {
		s, _, _ := Step(p, State{}, Event{Start: "x"}, Facts{})
		if _, effects, err := Step(p, s, e, Facts{}); err != nil || told(effects) != "say unclear" {
			t.Errorf("%+v: %s (%v), want that it is explained", e.Reply.Reading, told(effects), err)
		}
	}
}

// load reads a flow that is called x.
func load(t *testing.T, text string) *Program {
	t.Helper()
	p, err := Load(fstest.MapFS{"x.yaml": {Data: []byte(text)}}, anyRefs{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func told(effects []Effect) string {
	var out []string
	for _, e := range effects {
		switch {
		case e.Ask != nil && e.Ask.Again:
			out = append(out, "ask "+e.Ask.Text+" again")
		case e.Ask != nil:
			out = append(out, "ask "+e.Ask.Text)
		case e.Say != nil:
			out = append(out, "say "+e.Say.Text)
		case e.Ended != nil:
			out = append(out, "ended "+e.Ended.Outcome)
		}
	}
	return strings.Join(out, ", ")
}

// A choice is answered in Welsh too, by the very words.
func TestAChoiceInWelsh(t *testing.T) {
	t.Parallel()
	p := load(t, `flow: x
version: 1
review: {state: draft, author: a}
source: s
start: a
steps:
  a: {ask: t, kind: choice, options: [{key: all, label: All, cy: I gyd}, {key: some, label: Some, cy: Rhai}], on: {some: c}, next: b, expire: {after: 7d, next: b}, unclear: {say: unclear, times: 1, next: b}}
  b: {say: b, end: completed}
  c: {say: c, end: completed}
`)
	s, effects, err := Step(p, State{}, Event{Start: "x"}, Facts{})
	if err != nil || len(effects) == 0 || len(effects[0].Ask.Options) != 2 {
		t.Fatal(effects, err)
	}
	if _, effects, err = Step(p, s, Event{Reply: &Reply{Text: "rhai."}}, Facts{}); err != nil || told(effects) != "say c, ended completed" {
		t.Errorf("%s (%v)", told(effects), err)
	}
}

func TestATalkThatCannotGoOn(t *testing.T) {
	t.Parallel()
	p := program(t)
	many := make([]Frame, maxFrames)
	for i := range many {
		many[i] = Frame{Flow: "sub", Step: "since"}
	}
	many[len(many)-1] = Frame{Flow: "small", Step: "pain"}
	answers := say(triage.Answer{Kind: triage.SaidNo}, "breast_lump")
	for name, frames := range map[string][]Frame{
		"step gone":             {{Flow: "small", Step: "removed"}},
		"flow gone":             {{Flow: "removed", Step: "a"}},
		"stands on no wait":     {{Flow: "small", Step: "bye"}},
		"the call behind it":    {{Flow: "small", Step: "removed"}, {Flow: "sub", Step: "since"}},
		"too many calls":        many,
		"it was called by none": {{Flow: "small", Step: "bye"}, {Flow: "sub", Step: "since"}},
	} {
		for _, e := range []Event{answers, {Timer: "expire:1:0"}} {
			e.Now = at
			next, effects, err := Step(p, State{Flow: "small", Frames: frames, Wait: 1}, e, Facts{})
			if name == "too many calls" && e.Timer != "" {
				continue // it expires and returns from all of them
			}
			if got := words(effects); err != nil || next.Active() || !strings.HasSuffix(got, "!not-understood .broken") {
				t.Errorf("%s: %v %q %v: want a row for a person and the end of the talk", name, next, got, err)
			}
		}
	}
}

// Whatever the bytes: Load answers with faults that say where they are, or with
// a program whose talk ends in silence.
func FuzzLoad(f *testing.F) {
	f.Add(small)
	f.Add(sub)
	for _, pattern := range []string{"testdata/wrong/*.yaml", "testdata/wrong/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Load(fstest.MapFS{"small.yaml": {Data: []byte(text)}}, refs{})
		if err != nil {
			for _, fault := range err.(Faults) {
				if fault.Line < 1 || fault.Line > len(text)+2 || fault.Message == "" || fault.Mend == "" {
					t.Fatalf("a fault that does not say where or how to mend: %+v", fault)
				}
			}
			return
		}
		s, _, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
		for fired := 0; s.Active(); fired++ {
			if fired > maxWaits || err != nil {
				t.Fatalf("silence does not end the talk: %+v %v", s, err)
			}
			what := timerExpire
			if p.at(&s).verb == "wait" {
				what = timerWait
			}
			s, _, err = Step(p, s, Event{Now: at, Timer: timerKey(what, s.Wait, 0)}, Facts{})
		}
	})
}

// Whatever a store gives back as a state: no panic, no error, and a talk that
// cannot go on reaches a person.
func FuzzState(f *testing.F) {
	p := program(f)
	s, _, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "yes", 8.0)
		s, _, _ = Step(p, s, say(triage.Answer{Kind: triage.SaidYes, Number: 8}, "breast_lump"), Facts{})
	}
	f.Fuzz(func(t *testing.T, text, kind string, number float64) {
		var s State
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		for _, e := range []Event{say(triage.Answer{Kind: triage.AnswerKind(kind), Number: number}), {Timer: timerKey(timerExpire, s.Wait, 0)}, {Timer: kind}} {
			e.Now = at
			next, effects, err := Step(p, s, e, Facts{})
			if err != nil && e.Timer != "" || err != nil && e.Reply != nil {
				t.Fatal(err)
			}
			if s.Active() && !next.Active() && !strings.Contains(words(effects), " .") {
				t.Fatalf("the talk vanished: %q", words(effects))
			}
		}
	})
}

// One reply: the state decoded, a step taken, the state encoded. The answer
// leads to the next question, or over a branch.
func BenchmarkStep(b *testing.B) {
	p := program(b)
	s, _, err := Step(p, State{}, Event{Now: at, Start: "small"}, Facts{})
	if err != nil {
		b.Fatal(err)
	}
	answered, _, err := Step(p, s, say(triage.Answer{Kind: triage.SaidYes}, "bone_pain"), Facts{})
	if err != nil {
		b.Fatal(err)
	}
	for _, x := range []struct {
		name  string
		s     State
		reply Event
	}{{"ask", s, say(triage.Answer{Kind: triage.SaidYes}, "bone_pain")}, {"branch", answered, say(triage.Answer{Kind: triage.Value, Number: 8})}} {
		b.Run(x.name, func(b *testing.B) {
			stored, err := json.Marshal(x.s)
			if err != nil {
				b.Fatal(err)
			}
			x.reply.Now = at
			b.ReportAllocs()
			for b.Loop() {
				var s State
				if err := json.Unmarshal(stored, &s); err != nil {
					b.Fatal(err)
				}
				next, _, err := Step(p, s, x.reply, Facts{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := json.Marshal(next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Reading and checking flows, every path tried.
func BenchmarkLoad(b *testing.B) {
	files := fstest.MapFS{"small.yaml": {Data: []byte(small)}, "sub.yaml": {Data: []byte(sub)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(files, refs{}); err != nil {
			b.Fatal(err)
		}
	}
}
