package flows

import (
	"fmt"
	"slices"
	"strings"
)

// links checks that everything a flow points at is there, and that every step
// can be reached.
func (l *loader) links(p *Program, f *flow) {
	if f.start == "" || f.steps[f.start] == nil {
		l.fault(1, "start", fmt.Sprintf("the flow %s does not begin at one of its steps", f.name), "write `start:` with the name of a step")
	}
	for _, name := range f.order {
		s := f.steps[name]
		if s == nil {
			continue
		}
		for _, to := range s.targets() {
			if to.step == "" {
				l.fault(s.line, "no-step", fmt.Sprintf("step %s does not say where %s leads", name, to.what), "name a step")
			} else if f.steps[to.step] == nil {
				l.fault(s.line, "no-step", fmt.Sprintf("step %s leads to %q (%s), which is not there", name, to.step, to.what), "mend the name, or add the step")
			}
		}
		if s.verb == "call" && s.call != "" && p.flows[s.call] == nil {
			l.fault(s.line, "no-flow", fmt.Sprintf("step %s calls the flow %q, which is not there", name, s.call), "mend the name, or add the flow")
		}
	}
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		s := f.steps[name]
		if s == nil || reached[name] {
			return
		}
		reached[name] = true
		for _, to := range s.targets() {
			visit(to.step)
		}
	}
	visit(f.start)
	for _, name := range f.order {
		if f.steps[name] != nil && !reached[name] {
			l.fault(f.steps[name].line, "unreachable", fmt.Sprintf("nothing leads to step %s", name), "lead to it, or take it out")
		}
	}
}

// target is a step that another leads to.
type target struct{ step, what string }

// targets lists where a step can lead.
func (s *step) targets() []target {
	var out []target
	add := func(step, what string) { out = append(out, target{step, what}) }
	switch s.verb {
	case "ask":
		for key, to := range s.on {
			add(to, "the answer "+key)
		}
		for _, r := range s.ranges {
			add(r.next, fmt.Sprintf("the range %g-%g", r.from, r.to))
		}
		if s.next != "" {
			add(s.next, "next")
		}
		if s.expire > 0 {
			add(s.expired, "expire")
		}
		if s.unclear != "" {
			add(s.unclearNext, "unclear")
		}
	case "branch":
		for _, b := range s.branches {
			add(b.next, "when "+b.when)
		}
		if s.otherwise != "" {
			add(s.otherwise, "else")
		}
	default:
		if s.next != "" {
			add(s.next, "next")
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.what, b.what) })
	return out
}

// shape checks what a flow does as a whole: no flow calls itself, nothing turns
// in a circle without waiting for her, and silence comes to an end.
func (l *loader) shape(p *Program, f *flow) {
	if path := p.callsItself(f.name); path != nil {
		l.fault(1, "recursion", "the flow calls itself: "+strings.Join(path, " → "), "end the talk instead, or wait for the next check-in")
		return
	}
	// A circle without a wait would turn for ever inside one event.
	if circle := f.circle(func(s *step) []string {
		if s.verb == "ask" || s.verb == "wait" || (s.verb == "call" && !p.passesThrough(s.call, nil)) {
			return nil
		}
		return stepNames(s.targets())
	}); circle != nil {
		l.fault(f.steps[circle[0]].line, "loop", "these steps turn in a circle without waiting for her: "+strings.Join(circle, " → "), "put a question or a wait into the circle")
	}
	// If she never answers, the talk must end: along expiry alone there is no circle.
	if circle := f.circle(func(s *step) []string {
		if s.verb == "ask" {
			return []string{s.expired}
		}
		return stepNames(s.targets())
	}); circle != nil {
		l.fault(f.steps[circle[0]].line, "endless", "if she never answers, these steps follow one another for ever: "+strings.Join(circle, " → "), "let `expire` lead to an end")
	}
}

func stepNames(targets []target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.step
	}
	return names
}

// circle finds a circle among the steps that can be reached, along the given edges.
func (f *flow) circle(edges func(*step) []string) []string {
	const fresh, open, done = 0, 1, 2
	state := make(map[string]int)
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		s := f.steps[name]
		if s == nil || state[name] == done {
			return nil
		}
		if state[name] == open {
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = open
		path = append(path, name)
		for _, next := range edges(s) {
			if circle := visit(next); circle != nil {
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
	var search func(at string, path []string) []string
	seen := make(map[string]bool)
	search = func(at string, path []string) []string {
		f := p.flows[at]
		if f == nil {
			return nil
		}
		path = append(path, at)
		for _, stepName := range f.order {
			s := f.steps[stepName]
			if s == nil || s.verb != "call" {
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

// passesThrough says whether a flow can run from its start to its end without waiting.
func (p *Program) passesThrough(name string, under []string) bool {
	f := p.flows[name]
	if f == nil || slices.Contains(under, name) {
		return false
	}
	under = append(under, name)
	seen := make(map[string]bool)
	var visit func(step string) bool
	visit = func(stepName string) bool {
		s := f.steps[stepName]
		if s == nil || seen[stepName] {
			return false
		}
		seen[stepName] = true
		switch {
		case s.verb == "ask" || s.verb == "wait":
			return false
		case s.verb == "say" && s.end != "":
			return true
		case s.verb == "call" && !p.passesThrough(s.call, under):
			return false
		}
		for _, to := range s.targets() {
			if visit(to.step) {
				return true
			}
		}
		return false
	}
	return visit(f.start)
}
