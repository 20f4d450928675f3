package content

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lookout/flows"
)

// Change is one thing of the content that is otherwise than it was, in words that a
// clinician can read.
type Change struct {
	Part string // "Texts", "Flows", "Plans", "Lexicon", "Service" or "Calendar"
	ID   string // of the text, the flow, the plan or the file
	What string // which of it: "English", "step body", "back_pain, level"
	// Before and Now are the words of old and new, a phrase each; none where it was
	// not there, or is there no more.
	Before, Now []string
	Note        string // what the author should look at
}

// Parts are those of Change, in the order in which Diff gives them.
var Parts = []string{"Texts", "Flows", "Plans", "Lexicon", "Service", "Calendar"}

// Diff says what is otherwise in another pack than in this one. Versions, sources and
// reviews are not told: Entries has them.
func (p *Pack) Diff(next *Pack) []Change {
	if p.digest == next.digest {
		return nil
	}
	out := slices.Concat(p.diffTexts(next), p.diffFlows(next))
	for _, x := range []struct{ part, folder string }{{"Plans", "plans"}, {"Lexicon", "lexicon"}, {"Service", "service"}, {"Calendar", "calendar"}} {
		out = append(out, p.diffFolder(next, x.part, x.folder)...)
	}
	return out
}

// both are the keys of two maps, in order.
func both[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return sortedKeys(all)
}

// Wordings says how the wordings of a text are called, by their keys.
var Wordings = map[string]string{"en-GB": "English", "en-GB/chat": "English, in the web chat", "en-GB/email": "English, by e-mail", "en-GB/webhook": "English, to another system", "cy": "Welsh", "cy/chat": "Welsh, in the web chat"}

func (p *Pack) diffTexts(next *Pack) []Change {
	var out []Change
	for _, id := range both(p.texts, next.texts) {
		was, is := p.texts[id], next.texts[id]
		var old, now map[string]string
		if was != nil {
			old = was.wording
		}
		if is != nil {
			now = is.wording
		}
		for _, key := range both(old, now) {
			if old[key] == now[key] {
				continue
			}
			c := Change{Part: "Texts", ID: id, What: Wordings[key], Before: phrase(old[key]), Now: phrase(now[key])}
			if was != nil && is != nil && was.about.Version == is.about.Version {
				c.Note = fmt.Sprintf("its version is still %d: raise it", is.about.Version)
			}
			out = append(out, c)
		}
	}
	return out
}

func phrase(words string) []string {
	if words == "" {
		return nil
	}
	return []string{words}
}

func (p *Pack) diffFlows(next *Pack) []Change {
	var out []Change
	old, now := map[string][]flows.StepWords{}, map[string][]flows.StepWords{}
	for _, name := range p.program.Flows() {
		old[name] = p.program.InWords(name)
	}
	for _, name := range next.program.Flows() {
		now[name] = next.program.InWords(name)
	}
	for _, name := range both(old, now) {
		note := ""
		if p.program.Has(name) && next.program.Has(name) && p.program.About(name).Version == next.program.About(name).Version {
			note = fmt.Sprintf("the version of the flow is still %d: raise it", next.program.About(name).Version)
		}
		was, is := byStep(old[name]), byStep(now[name])
		for _, step := range stepOrder(old[name], now[name]) {
			before, after := was[step], is[step]
			if slices.Equal(before, after) {
				continue
			}
			c := Change{Part: "Flows", ID: name, What: "step " + step, Before: missingFrom(before, after), Now: missingFrom(after, before), Note: note}
			if len(c.Before) == 0 && len(c.Now) == 0 { // the order alone
				c.Before, c.Now = before, after
			}
			out = append(out, c)
			note = ""
		}
	}
	return out
}

// stepOrder are the steps as the new flow has them, and then those that are gone.
func stepOrder(old, now []flows.StepWords) []string {
	var out []string
	for _, s := range slices.Concat(now, old) {
		if !slices.Contains(out, s.Step) {
			out = append(out, s.Step)
		}
	}
	return out
}

func byStep(steps []flows.StepWords) map[string][]string {
	out := make(map[string][]string)
	for _, s := range steps {
		out[s.Step] = s.Lines()
	}
	return out
}

// missingFrom are the phrases of one list that another has not.
func missingFrom(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

func (p *Pack) diffFolder(next *Pack, part, folder string) []Change {
	var out []Change
	for _, file := range both(p.files, next.files) {
		name, ok := strings.CutPrefix(file, folder+"/")
		if !ok || slices.Equal(p.files[file], next.files[file]) {
			continue
		}
		id, isYAML := strings.CutSuffix(name, ".yaml")
		if !isYAML {
			out = append(out, Change{Part: part, ID: id, What: "the second reader", Now: []string{"it was trained anew: `lookout triage diff` shows which messages it reads otherwise"}})
			continue
		}
		was, is := leaves(p.files[file]), leaves(next.files[file])
		for _, path := range both(was, is) {
			before, after := missingFrom(was[path], is[path]), missingFrom(is[path], was[path])
			if len(before)+len(after) > 0 {
				out = append(out, Change{Part: part, ID: id, What: path, Before: before, Now: after})
			}
		}
	}
	return out
}

// leaves are the values of a file by where they stand, in words. A list of words is
// one place with several values; an item of a list is named by its id.
func leaves(file []byte) map[string][]string {
	out := make(map[string][]string)
	var doc yaml.Node
	if yaml.Load(file, &doc) != nil || len(doc.Content) == 0 {
		return out
	}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		switch n.Kind {
		case yaml.AliasNode:
			walk(path, n.Alias)
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i].Value
				if slices.Contains([]string{"version", "review", "source", "cy_review"}, key) {
					continue
				}
				walk(join(path, key), n.Content[i+1])
			}
		case yaml.SequenceNode:
			for i, item := range n.Content {
				if item.Kind != yaml.MappingNode {
					walk(path, item)
					continue
				}
				walk(join(strings.TrimSuffix(path, plural(path)), nameOf(item, i)), item)
			}
		case yaml.ScalarNode:
			if strings.Contains(strings.TrimSpace(n.Value), "\n") { // a long list of words
				out[path] = append(out[path], strings.Fields(n.Value)...)
				return
			}
			out[path] = append(out[path], valueWords(path, n.Value))
		}
	}
	walk("", doc.Content[0])
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return strings.TrimSuffix(path, ", ") + ", " + name
}

// plural is the name of a list whose items have names of their own, which say enough.
func plural(path string) string {
	for _, name := range []string{"concepts", "items", "concerns", "sheets"} {
		if path == name {
			return name
		}
	}
	return ""
}

// nameOf is what an item of a list is called.
func nameOf(item *yaml.Node, i int) string {
	for _, key := range []string{"id", "key", "around", "name"} {
		for j := 0; j+1 < len(item.Content); j += 2 {
			if item.Content[j].Value == key {
				return item.Content[j+1].Value
			}
		}
	}
	return fmt.Sprintf("number %d", i+1)
}

var offsetForm = regexp.MustCompile(`^(\d{1,3})([dwmy])$`)

// valueWords is a value in words: "4w" in a plan is 4 weeks, and a condition is a
// sentence.
func valueWords(path, value string) string {
	field := path[strings.LastIndex(path, " ")+1:]
	if m := offsetForm.FindStringSubmatch(value); m != nil && slices.Contains([]string{"after", "before", "every", "until", "keep", "ends", "except"}, field) {
		unit := map[string]string{"d": "day", "w": "week", "m": "month", "y": "year"}[m[2]]
		if m[1] != "1" {
			unit += "s"
		}
		return m[1] + " " + unit
	}
	if field == "when" {
		return flows.ConditionWords(value)
	}
	return cmp.Or(value, "nothing")
}

// State says who answers for a part of the pack as one line: its version, and
// whether a clinician has approved it.
func (e Entry) State() string {
	state := fmt.Sprintf("version %d, draft by %s", e.Version, e.Review.Author)
	if e.Review.Approved() {
		state = fmt.Sprintf("version %d, approved by %s", e.Version, e.Review.Reviewer)
	}
	if day, err := time.Parse(time.DateOnly, e.Review.Next); err == nil {
		state += ", looked at again by " + day.Format("2 January 2006")
	}
	return state
}
