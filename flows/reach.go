package flows

import (
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"lookout/flows/triage"
)

// maxTried is how many combinations of facts are tried on one condition before
// it is taken to be reachable.
const maxTried = 50_000

// given are the answers that can be there at a step: name → what it can be.
// A number stands for itself as aNumber. An answer that can be there may also be
// missing: she did not answer, or was not understood.
type given map[string]map[string]bool

const aNumber = "#"

// add takes in what another path brings, and says whether that was news.
func (g given) add(other given) (news bool) {
	for name, values := range other {
		if g[name] == nil {
			g[name], news = make(map[string]bool), true
		}
		for v := range values {
			if !g[name][v] {
				g[name][v], news = true, true
			}
		}
	}
	return news
}

// brings are the answers at the end of an edge that leaves the step s.
func (s *step) brings(before given, to target) given {
	if s.verb != "ask" || s.save == "" {
		return before
	}
	out := maps.Clone(before)
	values := make(map[string]bool)
	out[s.save] = values
	named, always := s.words()
	all := append(named, always...)
	number := answerType(s.kind) != cel.StringType
	switch to.at[0] {
	case "on":
		if key := to.at[1]; slices.Contains(all, key) {
			values[key] = true
		} else {
			values[aNumber] = true
		}
	case "next":
		values[aNumber] = number
		for _, key := range all {
			values[key] = s.on[key] == "" && key != string(triage.WantsNurse)
		}
	default:
		// Not answered this time; but she may have answered, and taken it back.
		maps.Copy(values, before[s.save])
		values[aNumber] = values[aNumber] || number
		for _, key := range all {
			values[key] = values[key] || key != string(triage.WantsNurse) || s.on[key] != ""
		}
	}
	maps.DeleteFunc(values, func(_ string, can bool) bool { return !can })
	return out
}

// answersAt finds which answers can be there at each step of a flow.
func (f *flow) answersAt() map[string]given {
	at := map[string]given{f.start: {}}
	work := []string{f.start}
	for len(work) > 0 {
		name := work[0]
		work = work[1:]
		s := f.steps[name]
		for _, to := range s.targets() {
			first := at[to.step] == nil
			if first {
				at[to.step] = given{}
			}
			if news := at[to.step].add(s.brings(at[name], to)); news || first {
				work = append(work, to.step)
			}
		}
	}
	return at
}

// reach checks every condition against what can be known where it stands: it
// asks for no answer that nobody can have given, it can be true, and those
// before it leave it something.
func (l *loader) reach(_ *Program, f *flow) {
	at := f.answersAt()
	for _, name := range f.order {
		s := f.steps[name]
		if s.verb != "branch" {
			continue
		}
		l.unanswered(s, at[name])
		for i := range s.branches {
			b := &s.branches[i]
			here := l.at("steps", name, "branch", itoa(i))
			if slices.ContainsFunc(b.asks.names, func(n string) bool { return isAnswer(n) && at[name][n[len("answer."):]] == nil }) {
				continue // said already
			}
			switch {
			case !f.canBe(s, at[name], s.branches[i:i+1]):
				l.fault(here, "never", "compare it with a value that it can have", "the condition %s can never be true here", b.when)
			case !f.canBe(s, at[name], s.branches[:i+1]):
				l.fault(here, "shadowed", "put it first, or take it out", "the condition %s is never reached: those before it take every case", b.when)
			}
		}
	}
}

func isAnswer(name string) bool { return strings.HasPrefix(name, "answer.") }

// unanswered finds conditions on answers that no path to here can have brought.
func (l *loader) unanswered(s *step, at given) {
	for i, b := range s.branches {
		for _, name := range b.asks.names {
			if isAnswer(name) && at[strings.TrimPrefix(name, "answer.")] == nil {
				l.fault(l.at("steps", s.name, "branch", itoa(i)), "unanswered", "ask before you branch, or mend the name", "the condition %s needs %s, which she cannot have given on any way to here", b.when, name)
			}
		}
	}
}

// canBe says whether the last of some conditions can hold while those before it
// do not. True when there are too many combinations to tell.
func (f *flow) canBe(s *step, at given, branches []branch) bool {
	last := &branches[len(branches)-1]
	taken := func(facts assignment) bool {
		for i := range branches {
			if branches[i].holds(facts) {
				return i == len(branches)-1
			}
		}
		return false
	}
	// First with only what the condition itself asks about, then with all of it.
	for _, asked := range [][]branch{{*last}, branches} {
		facts := f.facts(at, asked)
		tries := 1
		for _, x := range facts {
			if tries *= len(x.values); tries > maxTried {
				return true
			}
		}
		if every(facts, taken) {
			return true
		}
	}
	return false
}

// fact is one thing that conditions ask about, with the values worth trying. The
// first is nil, for unknown.
type fact struct {
	name   string
	values []any
}

// assignment gives facts their values.
type assignment map[string]any

// every tries each combination of values until one does; it says whether one did.
func every(facts []fact, do func(assignment) bool) bool {
	a := make(assignment, len(facts))
	pick := make([]int, len(facts))
	for {
		for i, x := range facts {
			a[x.name] = x.values[pick[i]]
		}
		if do(a) {
			return true
		}
		i := 0
		for ; i < len(pick); i++ {
			if pick[i]++; pick[i] < len(facts[i].values) {
				break
			}
			pick[i] = 0
		}
		if i == len(pick) {
			return false
		}
	}
}

// facts lists what some conditions ask about.
func (f *flow) facts(at given, branches []branch) []fact {
	var all question
	for _, b := range branches {
		all.names = append(all.names, b.asks.names...)
		all.said = append(all.said, b.asks.said...)
		all.had = append(all.had, b.asks.had...)
		all.numbers = append(all.numbers, b.asks.numbers...)
		all.strings = append(all.strings, b.asks.strings...)
	}
	unique := func(list []string) []string { slices.Sort(list); return slices.Compact(list) }
	var out []fact
	for _, concept := range unique(all.said) {
		out = append(out, fact{"said:" + concept, []any{nil, true}})
	}
	for _, concept := range unique(all.had) {
		days := []any{nil}
		for _, n := range near(all.numbers, 0, 36500) {
			days = append(days, int(n))
		}
		out = append(out, fact{"had:" + concept, days})
	}
	for _, name := range unique(all.names) {
		out = append(out, fact{name, append([]any{nil}, f.values(name, at, all)...)})
	}
	return out
}

// values lists what a fact can be, as far as it makes a difference to the
// conditions that ask about it.
func (f *flow) values(name string, at given, asked question) []any {
	var out []any
	group, field, _ := strings.Cut(name, ".")
	switch group {
	case "answer":
		for _, v := range slices.Sorted(maps.Keys(at[field])) {
			if v != aNumber {
				if answerType(f.saves[field].kind) == cel.StringType {
					out = append(out, v)
				}
				continue
			}
			low, high := f.span(field)
			for _, n := range near(asked.numbers, low, high) {
				if f.saves[field].kind == triage.Date {
					out = append(out, int64(n))
				} else {
					out = append(out, n)
				}
			}
		}
		return out
	case "open":
		return []any{true, false}
	}
	for _, field := range slices.Concat(prefixed("profile.", ProfileFields()), prefixed("service.", ServiceFields())) {
		switch {
		case field.Name != name:
		case field.Type == "bool":
			out = append(out, true, false)
		case field.Type == "int":
			for _, n := range near(asked.numbers, 0, 130) {
				out = append(out, int(n))
			}
		case len(field.Values) > 0:
			for _, v := range field.Values {
				out = append(out, v)
			}
		default:
			for _, v := range append(asked.strings, "", "another") {
				out = append(out, v)
			}
		}
	}
	return out
}

func prefixed(prefix string, fields []Field) []Field {
	for i := range fields {
		fields[i].Name = prefix + fields[i].Name
	}
	return fields
}

// span is between which numbers an answer lies, over all steps that ask for it.
func (f *flow) span(name string) (low, high float64) {
	for _, s := range f.steps {
		if s.save != name {
			continue
		}
		switch s.kind {
		case triage.Scale, triage.Number:
			low, high = min(low, s.min), max(high, s.max)
		case triage.Weight:
			low, high = 0, 400 // kg
		default:
			low, high = 0, 36500 // days
		}
	}
	return low, high
}

// near lists the numbers at which a comparison with one of the given can change,
// and the two ends.
func near(numbers []float64, low, high float64) []float64 {
	out := []float64{low, high}
	for _, n := range numbers {
		for _, x := range []float64{n - 1, n - 0.5, n, n + 0.5, n + 1} {
			if x > low && x < high {
				out = append(out, x)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Parent is part of cel.Activation; there is none.
func (a assignment) Parent() cel.Activation { return nil }

// ResolveName is part of cel.Activation.
func (a assignment) ResolveName(name string) (any, bool) {
	switch name {
	case "named":
		var said []string
		for fact, v := range a {
			if concept, ok := strings.CutPrefix(fact, "said:"); ok && v != nil {
				said = append(said, concept)
			}
		}
		return said, true
	case "past":
		past := make(map[string]int)
		for fact, v := range a {
			if concept, ok := strings.CutPrefix(fact, "had:"); ok && v != nil {
				past[concept] = v.(int)
			}
		}
		return past, true
	}
	v := a[name]
	return v, v != nil
}
