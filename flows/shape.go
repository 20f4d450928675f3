package flows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lookout/flows/triage"
)

// target is a step that another leads to.
type target struct {
	step string
	what string   // the edge, in words
	at   []string // where it stands, below the step
}

// targets lists where a step can lead, in a fixed order.
func (s *step) targets() []target {
	var out []target
	add := func(step, what string, at ...string) { out = append(out, target{step, what, at}) }
	switch s.verb {
	case "ask":
		for key, to := range s.on {
			add(to, "the answer "+key, "on", key)
		}
		for _, r := range s.ranges {
			add(r.next, "the answer "+r.String(), "on", r.String())
		}
		if s.next != "" {
			add(s.next, "next", "next")
		}
		if s.expire > 0 || s.expired != "" {
			add(s.expired, "expire", "expire")
		}
		if s.unclear != "" || s.unclearNext != "" {
			add(s.unclearNext, "unclear", "unclear")
		}
	case "branch":
		for i, b := range s.branches {
			add(b.next, "when "+b.when, "branch", fmt.Sprint(i))
		}
		if s.otherwise != "" {
			add(s.otherwise, "else", "else")
		}
	case "form":
		if s.next != "" {
			add(s.next, "its first question", "questions", "0")
		}
	default:
		if s.next != "" {
			add(s.next, "next", "next")
		}
	}
	if s.verb == "ask" {
		slices.SortStableFunc(out, func(a, b target) int { return cmp.Compare(a.what, b.what) })
	}
	return out
}

// String is the range as an author writes it.
func (r rangeTo) String() string {
	if r.from == r.to {
		return fmt.Sprintf("%g", r.from)
	}
	return fmt.Sprintf("%g-%g", r.from, r.to)
}

// links checks that everything a flow points at is there, and that every step
// can be reached.
func (l *loader) links(p *Program, f *flow) {
	if !slices.Contains(f.order, f.start) {
		l.fault(l.at("start"), "start", "write `start:` with the name of a step", "the flow %s does not begin at one of its steps", f.name)
	}
	whole := !slices.ContainsFunc(l.faults, func(x Fault) bool { return x.File == f.file })
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if f.steps[name] == nil || reached[name] {
			return
		}
		reached[name] = true
		for _, to := range f.steps[name].targets() {
			visit(to.step)
		}
		for _, shown := range f.steps[name].questions { // formLinks tells when no way leads there
			visit(shown)
		}
	}
	visit(f.start)
	for _, name := range f.order {
		s := f.steps[name]
		if s == nil || s.verb == "" {
			continue
		}
		for _, to := range s.targets() {
			at := l.at(append([]string{"steps", name}, to.at...)...)
			if to.step == "" {
				l.fault(at, "no-step", "name a step", "step %s does not say where it goes on (%s)", name, to.what)
			} else if !slices.Contains(f.order, to.step) {
				l.fault(at, "no-step", "mend the name, or add the step", "step %s leads to %q (%s), which is not there", name, to.step, to.what)
			}
		}
		if to := f.steps[s.next]; s.verb == "ask" && s.kind == triage.Text && s.practical && s.record == "" && (to == nil || to.verb != "escalate") {
			l.fault(l.at("steps", name, "practical"), "practical", "let its answer lead to an escalate, which shows her words to the nurse, or `record:` it", "nobody would get the words that she answers to step %s", name)
		}
		if s.verb == "form" {
			l.formLinks(f, s)
		}
		if s.verb == "call" && p.flows[s.call] == nil {
			l.fault(l.at("steps", name, "call"), "no-flow", "mend the name, or add the flow", "step %s calls the flow %q, which is not there or cannot be read", name, s.call)
		}
		if !reached[name] && whole { // else what leads to it may be the mistake
			l.fault(l.at("steps", name), "unreachable", "lead to it, or take it out", "nothing leads to step %s", name)
		}
	}
}

// shape finds what would turn for ever inside one event: a flow that calls
// itself, and a circle without a wait.
func (l *loader) shape(p *Program, f *flow) {
	if path := p.callsItself(f.name); path != nil {
		if slices.Min(path) != f.name {
			return // it is told once, where the first of them is
		}
		call := slices.IndexFunc(f.order, func(name string) bool { return f.steps[name].call == path[1] })
		l.fault(l.at("steps", f.order[call], "call"), "recursion", "end the talk instead, or lead back to an earlier step", "the flow calls itself (%s)", strings.Join(path, " → "))
		return
	}
	passes := p.passing()
	if circle := f.circle(func(s *step) []target {
		if s.verb == "ask" || s.verb == "wait" || (s.verb == "call" && !passes[s.call]) {
			return nil
		}
		return s.targets()
	}); circle != nil {
		l.fault(l.at("steps", circle[0]), "loop", "put a question or a wait into the circle", "these steps turn in a circle without waiting for her (%s)", strings.Join(circle, " → "))
	}
}

// circle finds a circle among the steps, along the given edges.
func (f *flow) circle(edges func(*step) []target) []string {
	const open, done = 1, 2
	state := make(map[string]int)
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case open:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = open
		path = append(path, name)
		for _, to := range edges(f.steps[name]) {
			if circle := visit(to.step); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range f.order {
		if circle := visit(name); circle != nil {
			return circle
		}
	}
	return nil
}

// callsItself gives the chain of calls that leads a flow back to itself.
func (p *Program) callsItself(name string) []string {
	seen := make(map[string]bool)
	var search func(at string, path []string) []string
	search = func(at string, path []string) []string {
		f := p.flows[at]
		path = append(path, at)
		for _, stepName := range f.order {
			s := f.steps[stepName]
			if s.verb != "call" {
				continue
			}
			if s.call == name {
				return append(slices.Clone(path), name)
			}
			if !seen[s.call] {
				seen[s.call] = true
				if found := search(s.call, path); found != nil {
					return found
				}
			}
		}
		return nil
	}
	return search(name, nil)
}

// passing finds the flows that can run from their start to their end without
// waiting for her.
func (p *Program) passing() map[string]bool {
	passes := make(map[string]bool)
	for changed := true; changed; { // each round finds at least one more, or is the last
		changed = false
		for _, name := range p.names {
			if !passes[name] && p.flows[name].passes(passes) {
				passes[name], changed = true, true
			}
		}
	}
	return passes
}

// passes says whether a flow can run through without waiting, when of those
// that it calls only the given ones can.
func (f *flow) passes(others map[string]bool) bool {
	seen := make(map[string]bool)
	var visit func(name string) bool
	visit = func(name string) bool {
		s := f.steps[name]
		if seen[name] {
			return false
		}
		seen[name] = true
		switch {
		case s.verb == "ask" || s.verb == "wait" || (s.verb == "call" && !others[s.call]):
			return false
		case s.end != "":
			return true
		}
		return slices.ContainsFunc(s.targets(), func(to target) bool { return visit(to.step) })
	}
	return visit(f.start)
}
