package flows

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lookout/flows/triage"
)

// Limits of the exploration at load. A flow that needs more is too tangled to
// be reviewed, and is refused.
const (
	maxPlaces = 20_000  // states of a talk that differ in where it stands
	maxRuns   = 200_000 // events tried
)

// explorer runs one flow, and those that it calls, through Step: every answer,
// every silence, every branch, from every place that can be reached.
//
// What she answered before is left out of a place; in exchange every branch is
// taken both ways. So it tries more than can happen, and misses nothing.
type explorer struct {
	p      *Program
	places []State
	number map[string]int // of each place
	// quiet are the places that follow when she says nothing, or nothing that can
	// be understood.
	quiet [][]int
	runs  int
}

// explore proves that every talk of a flow comes to an end whatever she does,
// and that no event runs on for too long.
func (l *loader) explore(p *Program, f *flow) {
	x := &explorer{p: p, number: make(map[string]int)}
	x.try(State{}, Event{Start: f.name}, func(next State, broken bool) { l.arrive(x, f, State{}, next, broken) })
	for at := 0; at < len(x.places) && !x.tangled(); at++ {
		s := x.places[at]
		for _, e := range p.possible(s) {
			x.try(s, e.Event, func(next State, broken bool) {
				to := l.arrive(x, f, s, next, broken)
				if e.quiet && to >= 0 {
					x.quiet[at] = append(x.quiet[at], to)
				}
			})
		}
	}
	if x.tangled() {
		l.fault(l.at("steps"), "tangled", "put questions between the branches, or split the flow", "there are too many ways through this flow to try them all")
		return
	}
	for _, n := range x.circle() {
		l.circles[f.name] = append(l.circles[f.name], x.places[n])
	}
}

// endless tells of a flow in which silence has no end, unless it has that from a
// flow that it calls.
func (l *loader) endless(p *Program, f *flow) {
	circle := l.circles[f.name]
	if circle == nil || p.calls(f, func(called string) bool { return l.circles[called] != nil }) {
		return
	}
	var steps []string
	for _, place := range circle {
		frame := place.Frames[len(place.Frames)-1]
		if len(place.Frames) > 1 {
			frame.Step = frame.Flow + "/" + frame.Step
		}
		steps = append(steps, frame.Step)
	}
	if steps = slices.Compact(steps); len(steps) == 1 {
		steps = append(steps, steps[0])
	}
	l.fault(l.at("steps", circle[0].Frames[0].Step), "endless", "let `expire` and `unclear` lead to an end", "if she never answers, or is never understood, these steps follow one another for ever (%s)", strings.Join(steps, " → "))
}

// calls says whether a flow calls, itself or through others, one that is meant.
func (p *Program) calls(f *flow, meant func(flow string) bool) bool {
	return slices.ContainsFunc(f.order, func(name string) bool {
		s := f.steps[name]
		return s.verb == "call" && (meant(s.call) || p.calls(p.flows[s.call], meant))
	})
}

func (x *explorer) tangled() bool { return len(x.places) > maxPlaces || x.runs > maxRuns }

// arrive takes in the place that an event leads to; -1 when that is the end.
func (l *loader) arrive(x *explorer, f *flow, from, next State, broken bool) int {
	if broken {
		step := f.start
		if len(from.Frames) > 0 {
			step = from.Frames[0].Step
		}
		if !slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Code == "long" && f.File == l.file }) {
			l.fault(l.at("steps", step), "long", "put a question or a wait in between", "from step %s, one event runs through more than %d steps, or more than %d calls in calls", step, maxSteps, maxFrames)
		}
	}
	if !next.Active() {
		return -1
	}
	key := next.place()
	at, ok := x.number[key]
	if !ok {
		at = len(x.places)
		x.number[key] = at
		x.places = append(x.places, next)
		x.quiet = append(x.quiet, nil)
	}
	return at
}

// place names where a talk stands.
func (s *State) place() string {
	var b strings.Builder
	for _, frames := range [][]Frame{s.Frames, s.BackFrames} {
		for _, f := range frames {
			b.WriteString(f.Flow)
			b.WriteByte('/')
			b.WriteString(f.Step)
			if f.Form != "" {
				b.WriteString("=" + f.Form)
			}
			for _, name := range slices.Sorted(maps.Keys(f.Held)) {
				fmt.Fprintf(&b, "+%s:%v", name, f.Held[name].Answer)
			}
			b.WriteByte('>')
		}
		b.WriteByte('|')
	}
	b.WriteString(s.Back)
	b.WriteByte('|')
	b.WriteString(itoa(s.Unclear))
	if s.Digressed {
		b.WriteByte('d')
	}
	return b.String()
}

// try runs an event with every way of deciding the branches that it meets.
func (x *explorer) try(s State, e Event, do func(next State, broken bool)) {
	var path, widths []int
	for x.runs++; x.runs <= maxRuns; x.runs++ {
		met := 0
		r := &run{p: x.p, s: clone(s), facts: &Facts{}, decide: func(n int) int {
			if met == len(path) {
				path, widths = append(path, 0), append(widths, n)
			}
			met++
			return path[met-1]
		}}
		err := r.take(e)
		broken := err != nil || slices.ContainsFunc(r.effects, func(e Effect) bool { return e.Ended != nil && e.Ended.Outcome == outcomeBroken })
		next := r.s
		next.Wait, next.Named, next.Reminded = 1, nil, 0
		for i := range next.Frames {
			next.Frames[i].Answers = nil
		}
		next.BackFrames = slices.Clone(next.BackFrames)
		for i := range next.BackFrames {
			next.BackFrames[i].Answers = nil
		}
		do(next, broken)
		i := len(path) - 1
		for i >= 0 && path[i]+1 == widths[i] {
			i--
		}
		if i < 0 {
			return
		}
		path, widths = path[:i+1], widths[:i+1]
		path[i]++
	}
}

// possibility is one thing that can happen next.
type possibility struct {
	Event
	quiet bool // she has said nothing that could be understood
}

// possible lists what can happen where a talk stands, one of each sort.
func (p *Program) possible(s State) []possibility {
	st := p.at(&s)
	if st.verb == "wait" {
		return []possibility{{Event{Timer: timerKey(timerWait, s.Wait, 0)}, true}}
	}
	out := []possibility{{Event{Timer: timerKey(timerExpire, s.Wait, 0)}, true}}
	if st.kind != triage.Text { // which any words answer
		out = append(out, possibility{Event{Reply: &Reply{}}, true})
		of := triage.Reading{Understood: true, Findings: []triage.Finding{{Concept: "something else", Level: triage.Routine, Polarity: "said", Time: "past"}}}
		out = append(out, possibility{Event{Reply: &Reply{Reading: of}}, false})
	}
	answer := func(a triage.Answer) {
		out = append(out, possibility{Event{Reply: &Reply{Reading: triage.Reading{Answer: a}}}, false})
	}
	answer(triage.Answer{Kind: triage.Correction})
	for _, a := range st.possible() {
		answer(a)
	}
	if f, form := p.openForm(&s); form != nil {
		// Each question alone, and each with all others answered.
		filled := func(name string, a triage.Answer) Filled {
			return Filled{Question: f.name + "/" + name, Reply: Reply{Reading: triage.Reading{Answer: a}}}
		}
		if st.kind != triage.Text {
			out = append(out, possibility{Event{Form: []Filled{filled(form.next, triage.Answer{})}}, true})
		}
		for i, name := range form.questions {
			for _, a := range f.steps[name].possible() {
				var all []Filled
				for j, other := range form.questions {
					if j == i {
						all = append(all, filled(name, a))
					} else {
						all = append(all, filled(other, f.steps[other].possible()[0]))
					}
				}
				out = append(out, possibility{Event{Form: all[i : i+1]}, false}, possibility{Event{Form: all}, false})
			}
		}
	}
	return out
}

// possible lists what a question can be answered, one of each sort.
func (st *step) possible() (out []triage.Answer) {
	answer := func(a triage.Answer) { out = append(out, a) }
	named, always := st.words()
	for _, word := range append(named, always...) {
		if st.kind == triage.Choice && slices.Contains(named, word) {
			answer(triage.Answer{Kind: triage.Chosen, Option: word})
		} else {
			answer(triage.Answer{Kind: triage.AnswerKind(word)})
		}
	}
	numbers := []float64{st.min, st.max, st.max + 1}
	for _, r := range st.ranges {
		numbers = append(numbers, r.from, r.to, r.to+0.5)
	}
	for _, n := range numbers {
		answer(triage.Answer{Kind: triage.Value, Number: n, DaysAgo: int(n)})
	}
	return out
}

// circle finds a circle among the places that follow one another in silence.
func (x *explorer) circle() []int {
	const open, done = 1, 2
	state := make([]uint8, len(x.places))
	var path []int
	var visit func(at int) []int
	visit = func(at int) []int {
		switch state[at] {
		case done:
			return nil
		case open:
			return append(slices.Clone(path[slices.Index(path, at):]), at)
		}
		state[at] = open
		path = append(path, at)
		for _, next := range x.quiet[at] {
			if circle := visit(next); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		state[at] = done
		return nil
	}
	for at := range x.places {
		if circle := visit(at); circle != nil {
			return circle
		}
	}
	return nil
}
