package flows

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"lookout/flows/triage"
)

const scores = `flow: scores
version: 1
review: {state: draft, author: a}
source: s
start: hello
steps:
  hello: {say: t.hello, next: all}
  all: {form: t.all, questions: [pain, tired, more]}
  pain:
    ask: t.pain
    kind: yes_no
    concepts: [bone_pain]
    save: pain
    record: survey_pain
    on: {yes: where}
    next: tired
    expire: {after: 2d, next: tired}
    unclear: {say: t.unclear, times: 1, next: tired}
  where:
    ask: t.where
    kind: text
    next: tired
    expire: {after: 2d, next: end}
  tired:
    ask: t.tired
    kind: scale
    save: tired
    next: more
    expire: {after: 2d, next: end}
    unclear: {say: t.number, times: 1, next: more}
  more:
    ask: t.more
    kind: text
    practical: true
    next: tell
    expire: {after: 2d, next: end}
  tell: {escalate: routine, concern: c, reason: r, next: route}
  route: {branch: [{when: answer.tired >= 7.0, next: bad}], else: end}
  bad: {say: t.bad, next: end}
  end: {say: t.end, end: completed}
`

// A form is one open ask. What she answers of it is kept, and the talk goes over it as
// over single answers; what she leaves out is asked alone; a question that an answer
// brings up comes between; words instead of the form answer its first question, or
// let it be shown once more.
func TestForm(t *testing.T) {
	t.Parallel()
	p, err := Load(fstest.MapFS{"scores.yaml": {Data: []byte(scores)}}, refs{})
	if err != nil {
		t.Fatal(err)
	}
	yes, no := triage.Answer{Kind: triage.SaidYes}, triage.Answer{Kind: triage.SaidNo}
	score := func(n float64) triage.Answer { return triage.Answer{Kind: triage.Value, Number: n} }
	form := func(stop string, answers ...any) Event {
		e := Event{Form: []Filled{}, Stop: stop}
		for i := 0; i < len(answers); i += 2 {
			e.Form = append(e.Form, Filled{"scores/" + answers[i].(string), Reply{"her words", triage.Reading{Answer: answers[i+1].(triage.Answer)}}})
		}
		return e
	}
	text := triage.Answer{Kind: triage.FreeText}
	begin := "t.hello ?t.pain in t.all"
	for name, x := range map[string]struct {
		events []Event
		want   string
	}{
		"all": {[]Event{form("", "pain", no, "tired", score(8), "more", text)}, "=survey_pain !c “her words” t.bad t.end .completed"},
		"half of it": {[]Event{form("", "pain", no, "more", text), say(score(3))},
			"=survey_pain ?t.tired | !c “her words” t.end .completed"},
		"the first left out": {[]Event{form("", "tired", score(2)), say(no), say(text)}, "?t.pain | =survey_pain ?t.more | !c “…” t.end .completed"},
		"nothing of it":      {[]Event{form(""), say(no)}, "?t.pain | =survey_pain ?t.tired"},
		"a question between": {[]Event{form("", "pain", yes, "tired", score(2), "more", text), say(text)},
			"=survey_pain ?t.where | !c “her words” t.end .completed"},
		"not to be read":       {[]Event{form("", "pain", triage.Answer{}), say(no)}, "t.unclear | =survey_pain ?t.tired"},
		"off the scale":        {[]Event{form("", "pain", no, "tired", score(77), "more", text)}, "=survey_pain ?t.tired"},
		"a nurse":              {[]Event{form("", "pain", no, "tired", triage.Answer{Kind: triage.WantsNurse})}, "=survey_pain !contact-request .handed over"},
		"an emergency in it":   {[]Event{form("emergency", "pain", no, "tired", score(2))}, "=survey_pain .emergency"},
		"words for a nurse":    {[]Event{form("emergency", "more", text)}, "!not-understood “her words” .emergency"},
		"of another flow":      {[]Event{{Form: []Filled{{"gone/pain", Reply{"", triage.Reading{Answer: no}}}}}}, "t.unclear"},
		"one word answers one": {[]Event{say(no), say(score(4))}, "=survey_pain ?t.tired | ?t.more"},
		"words of something else": {[]Event{{Reply: &Reply{"my leg", triage.Reading{Understood: true, Findings: []triage.Finding{{Concept: "breast_lump", Polarity: "said", Time: "past", Level: triage.Routine}}}}}, form("", "pain", no)},
			"?again t.pain in t.all | =survey_pain ?t.tired"},
		"sorry, I meant no": {[]Event{form("", "pain", no, "tired", score(2)), say(triage.Answer{Kind: triage.Correction}), say(score(9))},
			"=survey_pain ?t.more | ?again t.tired | ?t.more"},
		"silence":         {[]Event{{Timer: "expire:1:0"}}, "?t.tired"},
		"later":           {[]Event{{Timer: "again:1:0"}, form("", "pain", no)}, "?again t.pain in t.all | =survey_pain ?t.tired"},
		"sent once more":  {[]Event{form("", "pain", no), form("", "pain", no)}, "=survey_pain ?t.tired | "},
		"beside the talk": {[]Event{{Aside: "scores"}, form("", "pain", no, "tired", score(1), "more", text)}, "t.hello ?t.pain in t.all | =survey_pain !c “her words” t.end ?again t.pain in t.all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s State
			var got []string
			for _, e := range append([]Event{{Start: "scores"}}, x.events...) {
				e.Now = at.Add(time.Minute)
				next, effects, err := Step(p, s, e, Facts{})
				if err != nil {
					t.Fatal(err)
				}
				s = stored(t, next)
				var line []string
				for i, w := range effects {
					switch {
					case w.Save != nil:
						line = append(line, "="+w.Save.Field)
					case w.Ask != nil && w.Ask.Form != "":
						line = append(line, words(effects[i:i+1])+" in "+w.Ask.Form)
					case w.Escalate != nil && w.Escalate.Words != "":
						line = append(line, words(effects[i:i+1])+" “"+w.Escalate.Words+"”")
					case words(effects[i:i+1]) != "":
						line = append(line, words(effects[i:i+1]))
					}
				}
				got = append(got, strings.Join(line, " "))
			}
			if all := strings.Join(got, " | "); all != begin+" | "+x.want {
				t.Errorf("it went\n%s\nwant\n%s", all, begin+" | "+x.want)
			}
		})
	}
	if f, ok := p.Form(State{Flow: "scores", Frames: []Frame{{Flow: "scores", Step: "pain", Form: "all"}}}); !ok || len(f.Questions) != 3 || f.Questions[1].Name != "scores/tired" {
		t.Errorf("the open form is %+v", f)
	}
}
