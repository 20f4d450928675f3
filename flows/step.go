package flows

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/flows/triage"
)

// OpenQuestion is the question that waits for an answer.
type OpenQuestion struct {
	Text     string // text id
	Kind     triage.Kind
	Concepts []string
	Options  []triage.Option
	Min, Max float64
}

// Open gives the question that waits, if the talk waits for one.
func (p *Program) Open(s State) (OpenQuestion, bool) {
	st := p.at(&s)
	if st == nil || st.verb != "ask" {
		return OpenQuestion{}, false
	}
	return OpenQuestion{Text: st.text, Kind: st.kind, Concepts: st.concepts, Options: st.options, Min: st.min, Max: st.max}, true
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

func timerKey(what string, wait, n int) string {
	return what + ":" + strconv.Itoa(wait) + ":" + strconv.Itoa(n)
}

// TimerAskAgain is a timer that asks the open question once more, for a person
// who has said "later".
func TimerAskAgain(s State) string { return timerKey(timerAgain, s.Wait, 0) }

// parseTimer reads a key; ok is false for what is no key.
func parseTimer(key string) (what string, wait, n int, ok bool) {
	parts := strings.Split(key, ":")
	if len(parts) != 3 {
		return "", 0, 0, false
	}
	wait, err1 := strconv.Atoi(parts[1])
	n, err2 := strconv.Atoi(parts[2])
	return parts[0], wait, n, err1 == nil && err2 == nil
}

// run is one event being worked through.
type run struct {
	p       *Program
	s       State
	facts   *Facts
	now     time.Time
	effects []Effect
	steps   int
}

// Step moves a talk by one event. The state that it is given is not changed.
// The error is the caller's: an event that is none, or a flow that is not there.
func Step(p *Program, s State, e Event, facts Facts) (State, []Effect, error) {
	r := &run{p: p, s: clone(s), facts: &facts, now: e.Now}
	switch {
	case e.Start != "":
		if s.Active() {
			return s, nil, fmt.Errorf("start %s: the talk %s is open: stop it first", e.Start, s.Flow)
		}
		f := p.flows[e.Start]
		if f == nil {
			return s, nil, fmt.Errorf("start %q: there is no such flow", e.Start)
		}
		r.s = State{Flow: e.Start, Started: e.Now, Frames: []Frame{{Flow: e.Start}}}
		r.enter(f.start)
	case e.Reply != nil:
		r.reply(e.Reply)
	case e.Timer != "":
		r.timer(e.Timer)
	case e.Stop != "":
		if s.Active() {
			r.finish(e.Stop)
		}
	default:
		return s, nil, fmt.Errorf("an event that says nothing")
	}
	return r.s, r.effects, nil
}

// clone copies what a step may change.
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
	flow := r.s.Flow
	r.s = State{}
	r.do(Effect{Ended: &Ended{Flow: flow, Outcome: outcome}})
}

// handOver ends the talk with a row for a person.
func (r *run) handOver(concern, reason, outcome string) {
	r.do(Effect{Escalate: &Escalate{Level: triage.Routine, Concern: concern, Reason: reason}})
	r.finish(outcome)
}

// enter runs the talk on from a step of the innermost flow, up to the next wait
// or the end.
func (r *run) enter(name string) {
	for {
		if r.steps++; r.steps > maxSteps {
			r.handOver("not-understood", "The talk ran in a circle and was ended; look at what she wrote.", "broken")
			return
		}
		frame := r.top()
		frame.Step = name
		f := r.p.flows[frame.Flow]
		var st *step
		if f != nil {
			st = f.steps[name]
		}
		if st == nil {
			r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
			return
		}
		switch st.verb {
		case "ask", "wait":
			r.wait(st)
			return
		case "say":
			r.do(Effect{Say: &Say{Text: st.text}})
			if st.end != "" {
				if len(r.s.Frames) == 1 {
					r.finish(st.end)
					return
				}
				r.s.Frames = r.s.Frames[:len(r.s.Frames)-1]
				r.s.Back = ""
				name = r.returnTo()
				continue
			}
			name = st.next
		case "escalate":
			r.do(Effect{Escalate: &Escalate{Level: st.level, Concern: st.concern, Reason: st.reason}})
			name = st.next
		case "branch":
			name = r.choose(f, st)
		case "call":
			if len(r.s.Frames) >= maxFrames {
				r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
				return
			}
			called := r.p.flows[st.call]
			if called == nil {
				r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
				return
			}
			r.s.Frames = append(r.s.Frames, Frame{Flow: st.call})
			r.s.Back = ""
			name = called.start
		default:
			r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
			return
		}
	}
}

// returnTo is the step behind the call that has just ended; "" when it is not there.
func (r *run) returnTo() string {
	if st := r.p.at(&r.s); st != nil {
		return st.next
	}
	return ""
}

// choose takes the first branch that is known to hold.
func (r *run) choose(f *flow, st *step) string {
	k := &known{frame: r.top(), steps: f.saves, named: r.s.Named, facts: r.facts}
	for i := range st.branches {
		if st.branches[i].holds(k) {
			return st.branches[i].next
		}
	}
	return st.otherwise
}

// wait asks, or waits, and sets the timers that belong to it.
func (r *run) wait(st *step) {
	r.s.Wait++
	r.s.Reminded, r.s.Unclear = 0, 0
	r.s.AskedAt = r.now
	if r.s.Wait > maxWaits {
		r.handOver("not-understood", "The talk went on for too long and was ended; look at what she wrote.", "handed over")
		return
	}
	if st.verb == "wait" {
		r.timerAt(timerWait, 0, st.wait)
		return
	}
	r.do(Effect{Ask: &Ask{Text: st.text}})
	for i, remind := range st.remind {
		r.timerAt(timerRemind, i, remind.after)
	}
	r.timerAt(timerExpire, 0, st.expire)
}

func (r *run) timerAt(what string, n int, after time.Duration) {
	r.do(Effect{SetTimer: &SetTimer{Key: timerKey(what, r.s.Wait, n), At: r.now.Add(after)}})
}

// timer runs what a timer was set for, unless the talk has moved on since.
func (r *run) timer(key string) {
	what, wait, n, ok := parseTimer(key)
	st := r.p.at(&r.s)
	if !ok || wait != r.s.Wait || !r.s.Active() {
		return
	}
	if st == nil {
		r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
		return
	}
	switch {
	case what == timerWait && st.verb == "wait":
		r.enter(st.next)
	case st.verb != "ask":
	case what == timerAgain:
		r.do(Effect{Ask: &Ask{Text: st.text, Again: true}})
	case what == timerRemind && n >= 0 && n < len(st.remind) && r.s.Reminded <= n:
		r.s.Reminded = n + 1
		r.do(Effect{Say: &Say{Text: st.remind[n].text, Reminder: true}})
	case what == timerExpire:
		r.enter(st.expired)
	}
}

// reply takes an answer to the open question. With no question open there is
// nothing for the talk to do: the reading has been acted on by the caller.
func (r *run) reply(reply *Reply) {
	if !r.s.Active() {
		return
	}
	r.name(reply.Reading)
	st := r.p.at(&r.s)
	if st == nil {
		r.handOver("not-understood", "The talk could not go on; look at what she wrote.", "broken")
		return
	}
	if st.verb != "ask" {
		return
	}
	answer := st.answer(reply.Reading)
	switch answer.Kind {
	case triage.NoAnswer:
		r.unclear(st)
		return
	case triage.Correction:
		if back := r.s.Back; back != "" && r.p.flows[r.top().Flow].steps[back] != nil {
			r.s.Back = ""
			r.enter(back)
			return
		}
		r.unclear(st)
		return
	case triage.WantsNurse:
		if st.on["nurse"] == "" {
			r.handOver("contact-request", "She would rather talk to a nurse.", "handed over")
			return
		}
	}
	r.keep(st, answer, reply.Text)
	r.s.Back = st.name
	r.enter(st.to(answer))
}

// name remembers which concepts she has named as hers and present.
func (r *run) name(reading triage.Reading) {
	for _, f := range reading.Findings {
		if f.Polarity == "denied" || f.Experiencer == "other" || f.Time == "past" || f.Time == "hypothetical" {
			continue
		}
		if !slices.Contains(r.s.Named, f.Concept) && len(r.s.Named) < maxNamed {
			r.s.Named = append(r.s.Named, f.Concept)
		}
	}
}

// keep saves an answer under its name.
func (r *run) keep(st *step, answer triage.Answer, text string) {
	if st.save != "" {
		frame := r.top()
		if frame.Answers == nil {
			frame.Answers = make(map[string]triage.Answer, 4)
		}
		frame.Answers[st.save] = answer
	}
	if st.record != "" {
		r.do(Effect{Save: &Save{Field: st.record, Answer: answer, Text: text}})
	}
}

// unclear asks again, as often as the step allows, and then goes where a person reads it.
func (r *run) unclear(st *step) {
	if st.unclear == "" || r.s.Unclear >= st.times {
		if st.unclearNext != "" {
			r.enter(st.unclearNext)
		} else {
			r.enter(st.expired)
		}
		return
	}
	r.s.Unclear++
	r.do(Effect{Say: &Say{Text: st.unclear}})
}

// answer is how a reading answers this question. A person who names what was
// asked about has said yes, and one who denies it all has said no.
func (st *step) answer(reading triage.Reading) triage.Answer {
	a := reading.Answer
	switch st.kind {
	case triage.Text:
		if a.Kind == triage.WantsNurse || a.Kind == triage.Refused || a.Kind == triage.Correction {
			return a
		}
		return triage.Answer{Kind: triage.FreeText}
	case triage.YesNo:
		if a.Kind != triage.NoAnswer {
			return a
		}
		said, denied := false, false
		for _, f := range reading.Findings {
			hers := f.Experiencer != "other" && f.Time != "past" && f.Time != "hypothetical"
			asked := slices.Contains(st.concepts, f.Concept) || f.Level >= triage.Soon
			switch {
			case f.Polarity == "denied":
				denied = true
			case hers && asked:
				said = true
			}
		}
		if said {
			return triage.Answer{Kind: triage.SaidYes, More: true}
		}
		if denied && reading.Level == triage.None {
			return triage.Answer{Kind: triage.SaidNo, More: true}
		}
	case triage.Choice:
		if a.Kind == triage.Chosen && !slices.ContainsFunc(st.options, func(o triage.Option) bool { return o.Key == a.Option }) {
			return triage.Answer{}
		}
		if a.Kind == triage.SaidYes || a.Kind == triage.SaidNo {
			return triage.Answer{}
		}
	case triage.Scale, triage.Number, triage.Weight:
		if a.Kind == triage.Value && st.min < st.max && (a.Number < st.min || a.Number > st.max) {
			return triage.Answer{}
		}
		if a.Kind == triage.SaidYes || a.Kind == triage.SaidNo || a.Kind == triage.Chosen {
			return triage.Answer{}
		}
	case triage.Date:
		if a.Kind == triage.SaidYes || a.Kind == triage.SaidNo || a.Kind == triage.Chosen {
			return triage.Answer{}
		}
	}
	return a
}

// to is the step that an answer leads to.
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
	if st.next == "" {
		return st.unclearNext // Load has shown that every other answer is in `on`
	}
	return st.next
}
