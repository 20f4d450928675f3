package flows

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"lookout/flows/triage"
)

// A form is nothing but a way of asking: it shows questions of its flow at once, where
// that can be, and each of them stays the step that it is, with its own ways, reminders
// and end. The talk stands at the first. When she sends the form, her answers are held,
// and the talk goes its way over them as if she had given them one after another; it
// stops where she has answered nothing, and asks that alone. So the two channels share
// one flow, and one question at most is open.

// Form is the form that is open.
type Form struct {
	Text      string // that stands above it
	Questions []OpenQuestion
}

// Form gives the form that waits for her, if the talk waits for one.
func (p *Program) Form(s State) (Form, bool) {
	f, form := p.openForm(&s)
	if form == nil {
		return Form{}, false
	}
	out := Form{Text: form.text}
	for _, name := range form.questions {
		out.Questions = append(out.Questions, f.steps[name].open(f.name))
	}
	return out, true
}

// Question gives a question by its name, whether or not it is open.
func (p *Program) Question(name string) (OpenQuestion, bool) {
	flow, step, _ := strings.Cut(name, "/")
	f := p.flows[flow]
	if f == nil {
		return OpenQuestion{}, false
	}
	st := f.steps[step]
	if st == nil || st.verb != "ask" {
		return OpenQuestion{}, false
	}
	return st.open(flow), true
}

// openForm is the form that waits for her, and its flow; nil when none does.
func (p *Program) openForm(s *State) (*flow, *step) {
	if st := p.at(s); st == nil || st.verb != "ask" {
		return nil, nil
	}
	top := &s.Frames[len(s.Frames)-1]
	f := p.flows[top.Flow]
	form := f.steps[top.Form]
	if form == nil || form.verb != "form" || form.next != top.Step {
		return nil, nil
	}
	return f, form
}

// showForm begins a form: its first question is asked, and the others beside it.
func (r *run) showForm(st *step) {
	r.unheard(r.top())
	r.top().Form, r.top().Held = st.name, nil
	r.goes(st, "form", st.next)
}

// fill takes in what she answered of the open form, and goes on as far as that leads.
// With stop, it is kept, and the talk ends.
func (r *run) fill(filled []Filled, stop string) {
	f, form := r.p.openForm(&r.s)
	if form != nil {
		held, nurse := r.fillIn(f, form, filled)
		r.top().Form, r.top().Held = "", held
		switch st := f.steps[form.next]; {
		case stop != "":
		case nurse:
			r.handOver(concernContact, "She would rather talk to a nurse.", outcomeHandedOver)
		case len(held) == 0 && st.kind != triage.Text && len(filled) > 0:
			r.unclear(st)
		default:
			r.enter(st.name)
		}
	}
	if stop != "" && r.s.Active() {
		r.finish(stop)
	}
}

// fillIn saves and records her answers to a form, and gives those that could be read;
// nurse says that she would rather talk to somebody.
func (r *run) fillIn(f *flow, form *step, filled []Filled) (held map[string]Held, nurse bool) {
	for i := range filled {
		x := &filled[i]
		_, name, _ := strings.Cut(x.Question, "/")
		if !slices.Contains(form.questions, name) || x.Question != f.name+"/"+name {
			continue
		}
		r.name(x.Reading)
		st := f.steps[name]
		answer := st.answer(&x.Reply)
		switch {
		case answer.Kind == triage.Correction && st.kind == triage.Text:
			answer = triage.Answer{Kind: triage.FreeText} // it stands alone: nothing comes before it
		case answer.Kind == triage.NoAnswer, answer.Kind == triage.Correction:
			continue // it is asked alone
		case answer.Kind == triage.WantsNurse && st.on[string(triage.WantsNurse)] == "":
			nurse = true
			continue
		}
		r.keep(st, answer, x.Text)
		h := Held{Answer: answer}
		if st.kind == triage.Text && answer.Kind == triage.FreeText {
			h.Words = x.Text
		}
		if held == nil {
			held = make(map[string]Held, len(filled))
		}
		held[name] = h
	}
	return held, nurse
}

// given takes the answer to a question that she has given in a form before the talk came
// to it, and says where it leads.
func (r *run) given(st *step) (to string, ok bool) {
	top := r.top()
	h, ok := top.Held[st.name]
	if !ok || st.verb != "ask" {
		return "", false
	}
	left := maps.Clone(top.Held) // older frames may share it
	delete(left, st.name)
	if top.Held = left; len(left) == 0 {
		top.Held = nil
	}
	r.words = h.Words
	r.s.Back, r.s.BackFrames = st.name, nil
	to = st.to(h.Answer)
	r.goes(st, "answered", to)
	return to, true
}

// unheard gives words to a nurse that she wrote in a form for a question to which the
// talk never came, where nothing else would show them.
func (r *run) unheard(frame *Frame) {
	for _, name := range slices.Sorted(maps.Keys(frame.Held)) {
		f := r.p.flows[frame.Flow]
		if f == nil || frame.Held[name].Words == "" {
			continue
		}
		if st := f.steps[name]; st != nil && st.practical && st.record == "" {
			r.do(Effect{Escalate: &Escalate{Level: triage.Routine, Concern: concernUnclear, Reason: "She wrote this in a form, and the talk took another way.", Words: frame.Held[name].Words}})
		}
	}
}

// form reads a form; links checks that its questions are ones.
func (l *loader) form(s *step, f *stepFile) {
	s.text, s.questions = f.Form, f.Questions
	l.needText(f.Form, "steps", s.name, "form")
	if n := len(f.Questions); n < 2 || n > maxQuestions {
		l.fault(l.at("steps", s.name, "questions"), "form", "name 2 to "+itoa(maxQuestions)+" questions of this flow", "the form %s has %d questions", s.name, n)
		return
	}
	s.next = f.Questions[0]
}

// maxQuestions is how many questions a form may have: more is no chat, and tires.
const maxQuestions = 8

// formLinks checks that the questions of a form are questions of its flow, and that the
// talk comes from each to the next.
func (l *loader) formLinks(f *flow, s *step) {
	for i, name := range s.questions {
		at := l.at("steps", s.name, "questions", strconv.Itoa(i))
		q := f.steps[name]
		switch {
		case !slices.Contains(f.order, name):
			l.fault(at, "no-step", "mend the name, or add the step", "the form %s shows %q, which is not there", s.name, name)
		case q == nil || q.verb == "": // told already
		case q.verb != "ask":
			l.fault(at, "form", "name an ask, or take it out", "the form %s shows step %s, which asks nothing", s.name, name)
		case slices.Contains(s.questions[:i], name):
			l.fault(at, "form", "take it out once", "the form %s shows step %s twice", s.name, name)
		case i > 0 && !f.leads(s.questions[i-1], name):
			l.fault(at, "form", "put the questions in the order in which they follow one another", "no way leads from step %s to step %s: in text messages it would not be asked", s.questions[i-1], name)
		}
	}
}

// leads says whether a way leads from one step to another.
func (f *flow) leads(from, to string) bool {
	seen := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		s := f.steps[name]
		if s == nil || seen[name] {
			return false
		}
		seen[name] = true
		return slices.ContainsFunc(s.targets(), func(t target) bool { return t.step == to || visit(t.step) })
	}
	return visit(from)
}
