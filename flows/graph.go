package flows

import (
	"fmt"
	"strings"
)

// Mermaid draws a flow as a Mermaid flowchart; "" when there is no such flow.
func (p *Program) Mermaid(name string) string {
	f := p.flows[name]
	if f == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "flowchart TD\n  start((%s)) --> %s\n", name, f.start)
	for _, id := range f.order {
		s := f.steps[id]
		shape := map[string]string{"ask": "  %s[/\"ask %s\"/]\n", "say": "  %s[\"say %s\"]\n", "branch": "  %s{\"%s\"}\n", "call": "  %s[[\"call %s\"]]\n", "wait": "  %s(\"wait %s\")\n", "escalate": "  %s>\"row: %s\"]\n"}[s.verb]
		label := map[string]string{"ask": s.text, "say": s.text, "branch": id, "call": s.call, "wait": s.wait.String(), "escalate": s.level.String() + ", " + s.concern}[s.verb]
		fmt.Fprintf(&b, shape, id, label)
		for _, to := range s.targets() {
			fmt.Fprintf(&b, "  %s -->|\"%s\"| %s\n", id, strings.ReplaceAll(to.what, `"`, "'"), to.step)
		}
		if s.end != "" {
			fmt.Fprintf(&b, "  %s --> end_%s((\"%s\"))\n", id, id, s.end)
		}
	}
	return b.String()
}
