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

// facts that a rule may name beside concepts.
var ruleFacts = map[string]func(*reader) bool{
	"on_chemo":       func(r *reader) bool { return r.p.OnChemo == Yes },
	"immunotherapy":  func(r *reader) bool { return r.p.Immunotherapy == Yes },
	"trastuzumab":    func(r *reader) bool { return r.p.Trastuzumab == Yes },
	"lobular":        func(r *reader) bool { return r.p.Lobular },
	"bisphosphonate": func(r *reader) bool { return r.p.Bisphosphonate },
	"abemaciclib":    func(r *reader) bool { return r.p.Abemaciclib },
	"lives_alone":    func(r *reader) bool { return r.p.LivesAlone },
	"night":          func(r *reader) bool { return r.has[markNight] },
	"sudden":         func(r *reader) bool { return r.has[markSudden] },
	"severe":         func(r *reader) bool { return r.has[markSevere] },
	"worse":          func(r *reader) bool { return r.has[markWorse] },
}

func (c *compiler) rules(f lexiconFile, node *yaml.Node) {
	for i, x := range f.Rules {
		line := lineOf(node, "rules", i)
		level, err := ParseLevel(x.Level)
		switch {
		case x.ID == "" || x.Why == "":
			c.fault(line, "a rule needs an id and a why")
		case err != nil:
			c.fault(line, "rule %s: %v", x.ID, err)
		case len(x.When) == 0:
			c.fault(line, "rule %s: it has no `when`", x.ID)
		case x.Source == "" && f.Source == "":
			c.fault(line, "rule %s: the source is missing", x.ID)
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

// combine applies the rules, and what her history says. They only raise.
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
	r.persist()
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
				holds = holds || (f.Concept == name && f.Polarity == "said" && f.Time != "hypothetical" && (f.Level > None || f.Time == "now"))
			}
		}
		if !holds {
			return false
		}
	}
	return true
}

// persist raises what has gone on for too long: 14 days, or 28 where an old
// ache would else count as routine (clinical.md 6.5), and what a nurse has
// marked as known and expected it spares until then.
func (r *reader) persist() {
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		if f.Polarity != "said" || f.Time == "past" || f.Time == "hypothetical" || f.Experiencer == "other" || f.Level == None || f.Level >= Soon {
			continue
		}
		days, times := f.Days, 1
		for _, p := range r.history {
			if p.Concept == f.Concept && !p.Gone {
				days, times = max(days, p.FirstDaysAgo), times+p.Times
			}
		}
		c := r.lex.concepts[f.Concept]
		if c == nil || !c.New {
			continue
		}
		if days >= 14 || (times >= 2 && days >= 10) {
			f.Level = Soon
			f.Rule = fmt.Sprintf("%s: it has gone on for %d days", f.Concept, days)
			r.out.Rules = append(r.out.Rules, "persistence (clinical.md 6.5)")
		}
	}
}
