package content

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Unsigned lists what of the pack no clinician has signed, as file and name. Empty: every
// text, flow, plan, list and lexicon file says `approved`. The calendar is no
// clinical word, and is not asked.
func (p *Pack) Unsigned() []string {
	p.unsignedOnce.Do(func() { p.unsigned = p.findUnsigned() })
	return p.unsigned
}

func (p *Pack) findUnsigned() []string {
	var out []string
	for _, file := range sortedKeys(p.files) {
		if !strings.HasSuffix(file, ".yaml") || strings.HasPrefix(file, "calendar/") {
			continue
		}
		var doc yaml.Node
		if err := yaml.Load(p.files[file], &doc); err != nil || len(doc.Content) == 0 {
			continue // Load has refused it, or it is empty
		}
		out = append(out, unsigned(file, doc.Content[0])...)
	}
	return out
}

// unsigned looks at a file, or at each entry of one that is a list.
func unsigned(file string, n *yaml.Node) []string {
	if n.Kind == yaml.SequenceNode {
		var out []string
		for _, entry := range n.Content {
			out = append(out, unsigned(file, entry)...)
		}
		return out
	}
	name, state := "", ""
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key, value := n.Content[i].Value, n.Content[i+1]; key {
		case "id":
			name = value.Value
		case "review":
			state = value.Value
			for j := 0; value.Kind == yaml.MappingNode && j+1 < len(value.Content); j += 2 {
				if value.Content[j].Value == "state" {
					state = value.Content[j+1].Value
				}
			}
		}
	}
	if state == "approved" {
		return nil
	}
	return []string{strings.TrimSuffix(fmt.Sprintf("%s %s", file, name), " ")}
}
