package flows

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/flows/triage"
)

func itoa(n int) string { return strconv.Itoa(n) }

// OpenQuestion is the question that waits for an answer.
type OpenQuestion struct {
	Name     string // of its flow and step: "check-in/body"
	Text     string // text id
	Kind     triage.Kind
	Concepts []string
	Trouble  string // the answer that is bad news, as [triage.Question] has it
	Options  []Option
	Min, Max float64
	// Practical says that it is not about her health.
	Practical bool
}

// Settles says whether a reading is no more than an answer to a question that is not
// about her health: then nobody has to read it. What is urgent never is.
func (q OpenQuestion) Settles(r triage.Reading) bool {
	if q.Kind == triage.Text && r.Answer.Kind == triage.FreeText {
		return q.Practical && r.Level < triage.Soon // whoever looks after the flow gets her words from it
	}
	if q.Kind == triage.Scale && r.Answer.Kind == triage.Value { // it says nothing of her, however high it is
		return q.Practical && !r.Answer.More && r.Level < triage.Emergency
	}
	switch r.Answer.Kind {
	case triage.SaidYes, triage.SaidNo, triage.Unsure, triage.Refused, triage.Value, triage.Chosen:
		return q.Practical && !r.Answer.More && r.Level < triage.Urgent
	}
	return false
}

// Asked is the question as the reader knows it, in the words and the language in which
// it was asked. today is the day where she is.
func (q OpenQuestion) Asked(prompt, locale string, today time.Time) *triage.Question {
	return &triage.Question{Scripted: true, Prompt: prompt, Kind: q.Kind, Concepts: q.Concepts, Trouble: q.Trouble,
		Options: q.Choices(locale), Min: q.Min, Max: q.Max, Today: today}
}

// Choices are its options as the reader knows them, with the words of a language.
func (q OpenQuestion) Choices(locale string) []triage.Option {
	var out []triage.Option
	for _, o := range q.Options {
		label := o.Label
		if strings.HasPrefix(locale, "cy") && o.Welsh != "" {
			label = o.Welsh
		}
		out = append(out, triage.Option{Key: o.Key, Label: label})
	}
	return out
}

// Open gives the question that waits, if the talk waits for one.
func (p *Program) Open(s State) (OpenQuestion, bool) {
	st := p.at(&s)
	if st == nil || st.verb != "ask" {
		return OpenQuestion{}, false
	}
	return st.open(s.Frames[len(s.Frames)-1].Flow), true
}

func (st *step) open(flow string) OpenQuestion {
	return OpenQuestion{Name: flow + "/" + st.name, Text: st.text, Kind: st.kind, Concepts: st.concepts, Trouble: st.trouble, Options: st.options, Min: st.min, Max: st.max, Practical: st.practical}
}

// at is the step where the talk stands; nil when the program does not have it.
func (p *Program) at(s *State) *step {
	if len(s.Frames) == 0 {
		return nil
	}
	frame := &s.Frames[len(s.Frames)-1]
	f := p.flows[frame.Flow]
	if f == nil {
		return nil
	}
	return f.steps[frame.Step]
}

// Timer keys: what a timer is for, and the wait that it belongs to.
const (
	timerRemind = "remind"
	timerExpire = "expire"
	timerWait   = "wait"
	timerAgain  = "again"
)

func timerKey(what string, wait, n int) string { return what + ":" + itoa(wait) + ":" + itoa(n) }

// TimerAskAgain is a timer that asks the open question once more, for a person
// who has said "later".
func TimerAskAgain(s State) string { return timerKey(timerAgain, s.Wait, 0) }

// parseTimer reads a key; ok is false for what is no key.
func parseTimer(key string) (what string, wait, n int, ok bool) {
	what, rest, _ := strings.Cut(key, ":")
	first, second, _ := strings.Cut(rest, ":")
	wait, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	return what, wait, n, err1 == nil && err2 == nil
}

// run is one event being worked through.
type run struct {
	p       *Program
	s       State
	facts   *Facts
	now     time.Time
	effects []Effect
	steps   int
	again   bool   // the question that comes next has been asked before
	words   string // of hers, when she has just answered a question in words
	// decide, when it is set, takes the branches in place of their conditions: it
	// gives a number below n.
	decide func(n int) int
	took   func(way string) // nil: nobody traces
}

var errNoEvent = errors.New("the event says nothing: set one of Start, Aside, Reply, Timer and Stop")

// Step moves a talk by one event. The state that it is given is not changed.
//
// The error is the caller's mistake: an event that says nothing, a flow that is
// not there, a start while a talk is open, an aside while none is. Nothing that she writes, and no state
// however damaged, is an error: what cannot go on is handed to a person, and
// ends with the outcome "broken". A reply while no question is open, and a timer
// of an earlier wait, do nothing.
func Step(p *Program, s State, e Event, facts Facts) (State, []Effect, error) {
	r := &run{p: p, s: clone(s), facts: &facts, now: e.Now}
	if err := r.take(e); err != nil {
		return s, nil, err
	}
	return r.s, r.effects, nil
}

// take works through one event.
func (r *run) take(e Event) error {
	switch {
	case e.Start != "":
		if r.s.Active() {
			return fmt.Errorf("start %s: the talk %s is open: stop it first", e.Start, r.s.Flow)
		}
		f := r.p.flows[e.Start]
		if f == nil {
			return fmt.Errorf("start %q: there is no such flow", e.Start)
		}
		r.s = State{Flow: e.Start, Started: e.Now, Frames: []Frame{{Flow: e.Start}}}
		r.enter(f.start)
	case e.Aside != "":
		return r.aside(e.Aside)
	case e.Reply != nil:
		r.reply(e.Reply)
	case e.Form != nil:
		r.fill(e.Form, e.Stop)
	case e.Timer != "":
		r.timer(e.Timer)
	case e.Stop != "":
		if r.s.Active() {
			r.finish(e.Stop)
		}
	default:
		return errNoEvent
	}
	return nil
}

// aside goes through another flow beside the open question, which is asked again
// after it; a wait begins anew.
func (r *run) aside(flow string) error {
	f := r.p.flows[flow]
	st := r.p.at(&r.s)
	switch {
	case f == nil:
		return fmt.Errorf("aside %q: there is no such flow", flow)
	case st == nil || st.verb != "ask" && st.verb != "wait" || len(r.s.Frames) >= maxFrames:
		return fmt.Errorf("aside %s: there is no open talk to come back to", flow)
	}
	r.leaveFlow()
	r.s.Frames = append(r.s.Frames, Frame{Flow: flow})
	r.enter(f.start)
	return nil
}

// clone copies what a step may change in place. It changes no BackFrames in
// place, nor the answers in them, nor what is held of a form.
func clone(s State) State {
	s.Frames = slices.Clone(s.Frames)
	for i := range s.Frames {
		s.Frames[i].Answers = maps.Clone(s.Frames[i].Answers)
	}
	s.Named = slices.Clone(s.Named)
	return s
}

func (r *run) top() *Frame { return &r.s.Frames[len(r.s.Frames)-1] }

func (r *run) do(e Effect) { r.effects = append(r.effects, e) }

// finish ends the talk, whatever stands in it.
func (r *run) finish(outcome string) {
	for i := range r.s.Frames {
		r.unheard(&r.s.Frames[i])
	}
	flow := r.s.Flow
	r.s = State{}
	r.do(Effect{Ended: &Ended{Flow: flow, Outcome: outcome}})
}

// handOver ends the talk with a row for a person.
func (r *run) handOver(concern, reason, outcome string) {
	r.do(Effect{Escalate: &Escalate{Level: triage.Routine, Concern: concern, Reason: reason}})
	r.finish(outcome)
}

// broken ends a talk that cannot go on. What she wrote has been read already,
// and a person looks at it.
func (r *run) broken() {
	r.handOver(concernUnclear, "The talk with her could not go on; look at what she wrote.", outcomeBroken)
}

// enter runs the talk on from a step of the innermost flow, up to the next wait
// or the end.
func (r *run) enter(name string) {
	for {
		r.top().Step = name
		st := r.p.at(&r.s)
		if r.steps++; st == nil || r.steps > maxSteps {
			r.broken()
			return
		}
		switch st.verb {
		case "ask", "wait":
			to, ok := r.given(st)
			if !ok {
				r.wait(st)
				return
			}
			name = to
		case "form":
			r.showForm(st)
			name = st.next
		case "say":
			r.do(Effect{Say: &Say{Text: st.text}})
			r.goes(st, "say", st.next)
			name = st.next
			if st.end == "" {
				break
			}
			if len(r.s.Frames) == 1 {
				r.finish(st.end)
				return
			}
			r.leaveFlow()
			r.unheard(r.top())
			r.s.Frames = r.s.Frames[:len(r.s.Frames)-1]
			call := r.p.at(&r.s)
			if call == nil {
				r.broken()
				return
			}
			switch call.verb {
			case "call":
				name = call.next
			case "ask", "wait": // it was left for an aside
				name, r.again = call.name, true
			default:
				r.broken()
				return
			}
		case "escalate":
			r.do(Effect{Escalate: &Escalate{Level: st.level, Concern: st.concern, Reason: st.reason, Words: r.words}})
			r.goes(st, "escalate", st.next)
			name = st.next
		case "branch":
			name = r.choose(st)
		case "call":
			called := r.p.flows[st.call]
			if called == nil || len(r.s.Frames) >= maxFrames {
				r.broken()
				return
			}
			r.goes(st, "call", st.next)
			r.leaveFlow()
			r.s.Frames = append(r.s.Frames, Frame{Flow: st.call})
			name = called.start
		default:
			r.broken()
			return
		}
	}
}

// leaveFlow keeps the way back to the question before, when the talk leaves the
// flow that asked it.
func (r *run) leaveFlow() {
	if r.s.Back == "" || r.s.BackFrames != nil {
		return
	}
	r.s.BackFrames = slices.Clone(r.s.Frames)
	r.s.BackFrames[len(r.s.BackFrames)-1].Step = r.s.Back
}

// choose takes the first branch that is known to hold.
func (r *run) choose(st *step) string {
	if r.decide != nil {
		if i := r.decide(len(st.branches) + 1); i < len(st.branches) {
			return st.branches[i].next
		}
		return st.otherwise
	}
	frame := r.top()
	k := &known{frame: frame, steps: r.p.flows[frame.Flow].saves, named: r.s.Named, facts: r.facts}
	for i := range st.branches {
		if st.branches[i].holds(k) {
			r.goes(st, "branch", st.branches[i].next)
			return st.branches[i].next
		}
	}
	r.goes(st, "branch", st.otherwise)
	return st.otherwise
}

// wait asks, or waits, and sets the timers that belong to it.
func (r *run) wait(st *step) {
	if r.s.Wait >= maxWaits || r.s.Wait < 0 {
		r.handOver(concernUnclear, "The talk with her went on for too long and was ended; look at what she wrote.", outcomeHandedOver)
		return
	}
	r.s.Wait++
	r.s.Reminded, r.s.Unclear, r.s.Digressed = 0, 0, false
	r.s.AskedAt = r.now
	if st.verb == "wait" {
		r.s.Back, r.s.BackFrames = "", nil
		r.timerAt(timerWait, 0, st.wait)
		return
	}
	r.ask(st, r.again)
	for i, remind := range st.remind {
		r.timerAt(timerRemind, i, remind.after)
	}
	r.timerAt(timerExpire, 0, st.expire)
}

// ask sends a question, with the form that it stands in, if that is open.
func (r *run) ask(st *step, again bool) {
	ask := &Ask{Text: st.text, Options: st.options, Again: again}
	if _, form := r.p.openForm(&r.s); form != nil {
		ask.Form = form.text
	}
	r.do(Effect{Ask: ask})
}

func (r *run) timerAt(what string, n int, after time.Duration) {
	r.do(Effect{SetTimer: &SetTimer{Key: timerKey(what, r.s.Wait, n), At: r.now.Add(after)}})
}

// timer runs what a timer was set for, unless the talk has moved on since.
func (r *run) timer(key string) {
	what, wait, n, ok := parseTimer(key)
	if !ok || !r.s.Active() || wait != r.s.Wait {
		return
	}
	st := r.p.at(&r.s)
	switch {
	case st == nil || (st.verb != "ask" && st.verb != "wait"):
		r.broken()
	case what == timerWait && st.verb == "wait":
		r.goes(st, "wait", st.next)
		r.enter(st.next)
	case st.verb != "ask":
	case what == timerAgain:
		r.ask(st, true)
	case what == timerRemind && n >= 0 && n < len(st.remind) && r.s.Reminded <= n:
		r.s.Reminded = n + 1
		r.goes(st, "reminded", "")
		r.do(Effect{Say: &Say{Text: st.remind[n].text, Options: st.options, Reminder: true}})
	case what == timerExpire:
		r.goes(st, "expired", st.expired)
		r.moveOn(st, st.expired)
	}
}

// moveOn goes on from an open question, which she can still come back to. What is left
// of a form is asked one by one.
func (r *run) moveOn(st *step, to string) {
	r.top().Form = ""
	r.s.Back, r.s.BackFrames = st.name, nil
	r.enter(to)
}

// reply takes an answer to the open question. With no question open there is
// nothing for the talk to do: the reading has been acted on by the caller.
func (r *run) reply(reply *Reply) {
	if !r.s.Active() {
		return
	}
	r.name(reply.Reading)
	st := r.p.at(&r.s)
	switch {
	case st == nil || (st.verb != "ask" && st.verb != "wait"):
		r.broken()
		return
	case st.verb == "wait":
		return
	}
	answer := st.answer(reply)
	switch answer.Kind {
	case triage.Correction:
		if r.goBack() {
			return
		}
		if st.kind != triage.Text { // to which it is as good an answer as any
			r.unclear(st)
			return
		}
		answer = triage.Answer{Kind: triage.FreeText}
	case triage.NoAnswer:
		if r.s.Digressed || !st.elsewhere(reply.Reading) {
			r.unclear(st)
			return
		}
		// It has been read, and she is told what becomes of it; the question stands.
		r.s.Digressed = true
		r.ask(st, true)
		return
	case triage.WantsNurse:
		if st.on[string(triage.WantsNurse)] == "" {
			r.handOver(concernContact, "She would rather talk to a nurse.", outcomeHandedOver)
			return
		}
	}
	if st.kind == triage.Text && answer.Kind == triage.FreeText {
		r.words = reply.Text
	}
	r.keep(st, answer, reply.Text)
	to := st.to(answer)
	r.goes(st, "answered", to)
	r.moveOn(st, to)
}

// goBack asks the question before the open one again, as things stood then. What
// her first answer set off for a nurse stays: a correction never lowers. It says
// whether there was a question to go back to.
func (r *run) goBack() bool {
	frames, step := r.s.BackFrames, r.s.Back
	if frames == nil {
		frames = r.s.Frames
	}
	back := State{Frames: slices.Clone(frames)}
	if step == "" || len(back.Frames) == 0 || len(back.Frames) > maxFrames {
		return false
	}
	back.Frames[len(back.Frames)-1].Step = step
	if st := r.p.at(&back); st == nil || st.verb != "ask" {
		return false
	}
	back.Frames[len(back.Frames)-1].Form = ""
	r.s.Frames, r.s.Back, r.s.BackFrames = back.Frames, "", nil
	r.again = true
	r.enter(step)
	return true
}

// name remembers which concepts she has named as hers and present.
func (r *run) name(reading triage.Reading) {
	for i := range reading.Findings {
		f := &reading.Findings[i]
		if hers(f) && len(r.s.Named) < maxNamed && !slices.Contains(r.s.Named, f.Concept) {
			r.s.Named = append(r.s.Named, f.Concept)
		}
	}
}

// hers says whether a finding is said, of herself, and now.
func hers(f *triage.Finding) bool {
	return f.Polarity != "denied" && f.Experiencer != "other" && f.Time != "past" && f.Time != "hypothetical"
}

// elsewhere says whether she wrote of something else than what she was asked, and
// was understood: to say that she was not would be untrue.
func (st *step) elsewhere(reading triage.Reading) bool {
	return reading.Understood && slices.ContainsFunc(reading.Findings, func(f triage.Finding) bool {
		return !slices.Contains(st.concepts, f.Concept) && !slices.Contains(guesses, f.Concept)
	})
}

// guesses are the concepts by which the reader says that it did not understand.
var guesses = []string{"not_understood", "other_language", "reads_like_trouble", "reads_like_request"}

// keep saves an answer under its name.
func (r *run) keep(st *step, answer triage.Answer, text string) {
	if st.save != "" {
		frame := r.top()
		if frame.Answers == nil {
			frame.Answers = make(map[string]triage.Answer, 1)
		}
		frame.Answers[st.save] = answer
	}
	if st.record != "" {
		r.do(Effect{Save: &Save{Field: st.record, Question: r.top().Flow + "/" + st.name, Answer: answer, Text: text}})
	}
}

// unclear asks again, as often as the step allows, and then goes where a person reads it.
func (r *run) unclear(st *step) {
	if r.s.Unclear >= st.times || r.s.Unclear < 0 {
		r.goes(st, "unclear", st.unclearNext)
		r.moveOn(st, st.unclearNext)
		return
	}
	r.s.Unclear++
	r.top().Form = "" // what was not understood as a form is asked one by one
	r.goes(st, "unclear", "")
	r.do(Effect{Say: &Say{Text: st.unclear, Options: st.options}})
}

// answer is how a reading answers this question; NoAnswer when it does not,
// whatever the reading says.
func (st *step) answer(reply *Reply) triage.Answer {
	reading := reply.Reading
	a := reading.Answer
	switch a.Kind {
	case triage.WantsNurse, triage.Refused, triage.Correction:
		return a
	case triage.Unsure:
		if st.kind != triage.Text {
			return a
		}
	}
	ok := false
	switch st.kind {
	case triage.Text:
		return triage.Answer{Kind: triage.FreeText}
	case triage.YesNo:
		if a.Kind != triage.SaidYes && a.Kind != triage.SaidNo {
			return st.named(reading)
		}
		ok = true
	case triage.Choice:
		if i := slices.IndexFunc(st.options, func(o Option) bool {
			return o.Welsh != "" && strings.EqualFold(o.Welsh, strings.Trim(reply.Text, " .!"))
		}); i >= 0 {
			return triage.Answer{Kind: triage.Chosen, Option: st.options[i].Key}
		}
		ok = a.Kind == triage.Chosen && slices.ContainsFunc(st.options, func(o Option) bool { return o.Key == a.Option })
	case triage.Scale, triage.Number:
		ok = a.Kind == triage.Value && a.Number >= st.min && a.Number <= st.max
	case triage.Weight:
		ok = a.Kind == triage.Value && a.Number > 0 && !math.IsInf(a.Number, 0)
	case triage.Date:
		ok = a.Kind == triage.Value && a.DaysAgo >= 0
	}
	if !ok {
		return triage.Answer{}
	}
	return a
}

// named answers a question about symptoms by what she names: "my hip hurts" to
// "any new pain?" is a yes, "no lumps" is a no. A question that names no
// concepts may as well ask whether she is better: there, naming says nothing. Where a
// no is the bad news ("Can you keep drinks down?"), only what was asked about is a no.
func (st *step) named(reading triage.Reading) triage.Answer {
	if len(st.concepts) == 0 {
		return triage.Answer{}
	}
	bad, good, least := triage.SaidYes, triage.SaidNo, triage.Soon
	if st.trouble == "no" {
		bad, good, least = good, bad, triage.Emergency+1
	}
	denied, said := false, false
	for i := range reading.Findings {
		f := &reading.Findings[i]
		switch {
		case f.Polarity == "denied":
			denied = true
		case hers(f) && (slices.Contains(st.concepts, f.Concept) || f.Level >= least):
			return triage.Answer{Kind: bad, More: true}
		default:
			said = true
		}
	}
	if denied && !said && reading.Level == triage.None {
		return triage.Answer{Kind: good, More: true}
	}
	return triage.Answer{}
}

// to is the step that an answer leads to. Ranges hold whole numbers: 7.5 goes
// where 8 goes.
func (st *step) to(a triage.Answer) string {
	key := string(a.Kind)
	switch a.Kind {
	case triage.Chosen:
		key = a.Option
	case triage.Value:
		n := a.Number
		if st.kind == triage.Date {
			n = float64(a.DaysAgo)
		}
		n = math.Floor(n + 0.5)
		for _, r := range st.ranges {
			if n >= r.from && n <= r.to {
				return r.next
			}
		}
		return st.next
	}
	if to := st.on[key]; to != "" {
		return to
	}
	return st.next
}
