package flows

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Mermaid draws a flow as a Mermaid flowchart; "" when there is no such flow.
// words gives the words of a text by its id; where it gives none, and where it
// is nil, the id is shown.
func (p *Program) Mermaid(name string, words func(text string) string) string {
	f := p.flows[name]
	if f == nil {
		return ""
	}
	text := func(id string) string {
		if words != nil {
			if w := words(id); w != "" {
				return w
			}
		}
		return id
	}
	var b strings.Builder
	fmt.Fprintf(&b, "flowchart TD\n  start((%s)) --> s_%s\n", label(name), f.start)
	for _, id := range f.order {
		s := f.steps[id]
		switch s.verb { // the shapes of a flowchart: input, output, decision, subroutine, delay, flag
		case "ask":
			fmt.Fprintf(&b, "  s_%s[/\"%s (%s)\"/]\n", id, label(text(s.text)), s.kind)
		case "form":
			fmt.Fprintf(&b, "  s_%s{{\"in a form at once, by text one by one: %s\"}}\n", id, label(strings.Join(s.questions, ", ")))
		case "say":
			fmt.Fprintf(&b, "  s_%s[\"%s\"]\n", id, label(text(s.text)))
		case "branch":
			fmt.Fprintf(&b, "  s_%s{\"%s\"}\n", id, label(id))
		case "call":
			fmt.Fprintf(&b, "  s_%s[[\"%s\"]]\n", id, label(s.call))
		case "wait":
			fmt.Fprintf(&b, "  s_%s(\"wait %s\")\n", id, days(s.wait))
		case "escalate":
			fmt.Fprintf(&b, "  s_%s>\"%s: %s\"]\n", id, s.level, label(s.reason))
		}
		for _, to := range s.targets() {
			arrow := "-->"
			if edge := s.edge(to); edge != "" {
				arrow = fmt.Sprintf("-->|\"%s\"|", label(edge))
			}
			fmt.Fprintf(&b, "  s_%s %s s_%s\n", id, arrow, to.step)
		}
		if s.end != "" {
			fmt.Fprintf(&b, "  s_%s --> end_%s((\"%s\"))\n", id, id, label(s.end))
		}
	}
	return b.String()
}

// edge says in a few words what leads from a step to another; "" when it has
// no other way.
func (s *step) edge(to target) string {
	switch to.what {
	case "its first question":
		return ""
	case "expire":
		return "no answer in " + days(s.expire)
	case "unclear":
		return "not understood"
	case "next":
		switch {
		case s.verb != "ask":
			return ""
		case len(s.on)+len(s.ranges) > 0:
			return "any other answer"
		}
		return "any answer"
	}
	return strings.TrimPrefix(strings.TrimPrefix(to.what, "the answer "), "when ")
}

// days writes a length of time as an author does.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

const maxLabel = 80 // characters of a text that a picture shows

// label makes words safe to stand between quotes in Mermaid.
func label(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	if utf8.RuneCountInString(words) > maxLabel {
		words = string([]rune(words)[:maxLabel-1]) + "…"
	}
	return strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(words)
}
