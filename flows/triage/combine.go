package triage

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// rule raises the level when several things are true at once.
type rule struct {
	id     string
	when   []string // each: concept ids by "|", or a fact such as "on_chemo", "night"
	unless []string
	level  Level
	why    string
}

// ruleFacts are what a rule may name beside concepts.
var ruleFacts = map[string]func(*reader) bool{
	"on_chemo":       func(r *reader) bool { return r.p.OnChemo == Yes },
	"off_chemo":      func(r *reader) bool { return r.p.OnChemo == No },
	"immunotherapy":  func(r *reader) bool { return r.p.Immunotherapy == Yes },
	"trastuzumab":    func(r *reader) bool { return r.p.Trastuzumab == Yes },
	"lobular":        func(r *reader) bool { return r.p.Lobular },
	"bisphosphonate": func(r *reader) bool { return r.p.Bisphosphonate },
	"abemaciclib":    func(r *reader) bool { return r.p.Abemaciclib },
	"lives_alone":    func(r *reader) bool { return r.p.LivesAlone },
	"night":          func(r *reader) bool { return r.has(markNight) },
	"sudden":         func(r *reader) bool { return r.has(markSudden) },
	"severe":         func(r *reader) bool { return r.has(markSevere) },
	"worse":          func(r *reader) bool { return r.has(markWorse) },
	"uneased":        func(r *reader) bool { return r.has(markUneased) },
}

// has says whether a mark stands in the message, and is not denied.
func (r *reader) has(k markKind) bool {
	if r.kinds&bit(k) == 0 {
		return false
	}
	for i := range r.tokens {
		if r.marked(i, bit(k)) && !r.plainlyDenied(i) {
			return true
		}
	}
	return false
}

func (c *compiler) rules(f lexiconFile, node *yaml.Node) {
	for i, x := range f.Rules {
		line := lineOf(node, i, "rules")
		level, err := ParseLevel(x.Level)
		switch {
		case x.ID == "" || x.Why == "":
			c.fault(line, "a rule needs an id and a why")
		case err != nil:
			c.fault(line, "rule %s: %v", x.ID, err)
		case len(x.When) == 0:
			c.fault(line, "rule %s: it has no `when`: name the concepts that make it", x.ID)
		case x.Source == "" && f.Source == "":
			c.fault(line, "rule %s: the source is missing: say where it comes from", x.ID)
		}
		for _, w := range append(slices.Clone(x.When), x.Unless...) {
			for name := range strings.SplitSeq(w, "|") {
				if c.lex.concepts[name] == nil && ruleFacts[name] == nil {
					c.fault(line, "rule %s: %q is neither a concept nor a fact: mend the spelling", x.ID, name)
				}
			}
		}
		c.lex.rules = append(c.lex.rules, rule{x.ID, x.When, x.Unless, level, x.Why})
	}
}

// combine applies the rules. They only raise.
func (r *reader) combine() {
	for i := range r.lex.rules {
		x := &r.lex.rules[i]
		if !r.all(x.when) || (len(x.unless) > 0 && r.all(x.unless)) {
			continue
		}
		r.out.Rules = append(r.out.Rules, x.id)
		if x.level > r.out.Level {
			r.out.Level, r.out.Why = x.level, x.why
		}
	}
}

// all says whether every condition of a rule holds, on findings that are hers and present.
func (r *reader) all(when []string) bool {
	for _, w := range when {
		holds := false
		for name := range strings.SplitSeq(w, "|") {
			if fact := ruleFacts[name]; fact != nil {
				holds = holds || fact(r)
				continue
			}
			for i := range r.out.Findings {
				f := &r.out.Findings[i]
				holds = holds || f.Concept == name && f.Polarity == "said" && f.Level > Routine
			}
		}
		if !holds {
			return false
		}
	}
	return true
}

// Ages and times after which what persists must be seen, and how long a nurse's
// "known and expected" holds at most (clinical digest 6.5, DN4).
const (
	persistentDays  = 14
	recurringDays   = 10
	expectedMaxDays = 28
)

// persist raises what has gone on for too long, and spares one step what a nurse
// has marked as known and expected: never below routine, never an emergency.
func (r *reader) persist() {
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		c := r.lex.concepts[f.Concept]
		if c == nil || f.Polarity != "said" || f.Time == "past" || f.Time == "hypothetical" || f.Experiencer == "other" || c.Level < Soon {
			continue
		}
		days, times, expected, worse := f.Days, 0, 0, f.Trend == "worse"
		for _, p := range r.history {
			if p.Concept == f.Concept && !p.Gone && (p.Side == "" || f.Side == "" || p.Side == f.Side) {
				days, times, expected = max(days, p.FirstDaysAgo), p.Times, min(p.ExpectedDays, expectedMaxDays)
				worse = worse || p.Worsening && f.Severity > p.LastSeverity && p.LastSeverity >= 0
			}
		}
		worth := max(f.Level, r.hinted(f))
		long := days >= persistentDays || times >= 1 && days >= recurringDays
		switch {
		case f.Level < Soon && c.New && times > 0 && long:
			f.Level, f.Rule = Soon, fmt.Sprintf("%s: it has gone on for %d days", f.Concept, days)
			r.out.Rules = append(r.out.Rules, "persistence (clinical digest 6.5)")
		case expected > 0 && worth > Routine && worth < Emergency && !worse && f.Severity < 8:
			r.spared = max(r.spared, worth)
			r.doubts = slices.DeleteFunc(r.doubts, func(d doubt) bool { return d.concept == f.Concept })
			f.Level, f.Rule = worth-1, f.Concept+": marked as known and expected"
			r.out.Rules = append(r.out.Rules, "known and expected (DN4)")
		}
	}
}
