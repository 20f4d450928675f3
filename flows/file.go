package flows

import (
	"errors"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// The form of a file. Fields that are not here are refused.
type flowFile struct {
	Flow    string               `yaml:"flow"`
	Version int                  `yaml:"version"`
	Review  Review               `yaml:"review"`
	Source  string               `yaml:"source"`
	Start   string               `yaml:"start"`
	Steps   map[string]*stepFile `yaml:"steps"`
}

type stepFile struct {
	Ask      string       `yaml:"ask"`
	Kind     string       `yaml:"kind"`
	Concepts []string     `yaml:"concepts"`
	Options  []optionFile `yaml:"options"`
	Min      *float64     `yaml:"min"`
	Max      *float64     `yaml:"max"`
	Save     string       `yaml:"save"`
	Record   string       `yaml:"record"`
	Trouble  string       `yaml:"trouble"` // which answer is the bad news
	// Practical questions are not about her health: a bare answer makes no row.
	Practical bool              `yaml:"practical"`
	On        map[string]string `yaml:"on"`
	Next      string            `yaml:"next"`
	Remind    []remindFile      `yaml:"remind"`
	Expire    *expireFile       `yaml:"expire"`
	Unclear   *unclearFile      `yaml:"unclear"`

	// A form is its questions shown at once, where that can be: steps of the same flow.
	Form      string   `yaml:"form"`
	Questions []string `yaml:"questions"`

	Say string `yaml:"say"`
	End string `yaml:"end"`

	Branch []branchFile `yaml:"branch"`
	Else   string       `yaml:"else"`

	Call string `yaml:"call"`
	Wait string `yaml:"wait"`

	Escalate string `yaml:"escalate"`
	Concern  string `yaml:"concern"`
	Reason   string `yaml:"reason"`
}

type optionFile struct {
	Key   string `yaml:"key"`
	Label string `yaml:"label"`
	Welsh string `yaml:"cy"`
}
type remindFile struct {
	After string `yaml:"after"`
	Say   string `yaml:"say"`
}
type expireFile struct {
	After string `yaml:"after"`
	Next  string `yaml:"next"`
}
type unclearFile struct {
	Say   string `yaml:"say"`
	Times int    `yaml:"times"`
	Next  string `yaml:"next"`
}
type branchFile struct {
	When string `yaml:"when"`
	Next string `yaml:"next"`
}

// pos is a place in a file, both counted from 1.
type pos struct{ line, col int }

// decode reads YAML strictly, and turns each of its errors into a fault.
func (l *loader) decode(text []byte, into any) (ok bool) {
	defer func() {
		if r := recover(); r != nil { // a parser must not take the service down
			l.fault(pos{}, "yaml", "check its indents and quotes", "the file cannot be read")
			ok = false
		}
	}()
	l.root = nil
	err := yaml.Load(text, into, yaml.WithKnownFields(!l.kept))
	if err == nil {
		var doc yaml.Node
		if err = yaml.Load(text, &doc); err == nil {
			l.root = &doc
			return true
		}
	}
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		for _, e := range many.Errors {
			l.badYAML(e)
		}
	case errors.As(err, &one):
		l.badYAML(one)
	default:
		l.fault(pos{}, "yaml", "check its indents and quotes", "%v", err)
	}
	return false
}

var (
	unknownField = regexp.MustCompile(`^field (.+) not found in type`)
	twiceDefined = regexp.MustCompile(`^mapping key (.+) already defined at line (\d+)`)
	noDocument   = regexp.MustCompile(`no documents in stream`)
)

// badYAML says in an author's words what the parser found.
func (l *loader) badYAML(e *yaml.LoadError) {
	at := pos{e.Mark.Line, e.Mark.Column}
	if m := unknownField.FindStringSubmatch(e.Message); m != nil {
		l.fault(at, "unknown-key", "mend the spelling; docs/flows.md lists the fields of each kind of step", "there is no field %q here", m[1])
		return
	}
	if m := twiceDefined.FindStringSubmatch(e.Message); m != nil {
		first, _ := strconv.Atoi(m[2])
		l.fault(at, "duplicate", "keep one of them, or give one another name", "%s stands twice, first on line %d", m[1], first)
		return
	}
	if noDocument.MatchString(e.Message) {
		l.fault(pos{}, "empty", "write a flow into it, or take the file away", "the file is empty")
		return
	}
	l.fault(at, "yaml", "check the indents and the quotes, here and in the line above", "this does not read as YAML (%s)", e.Message)
}

// at is where a field stands: the deepest part of the path that the file has.
// A list is entered by the number of its item, from "0".
func (l *loader) at(path ...string) pos {
	if l.root == nil || len(l.root.Content) == 0 {
		return pos{1, 1}
	}
	node := l.root.Content[0]
	found := pos{1, 1}
	for _, name := range path {
		if node.Kind == yaml.AliasNode && node.Alias != nil {
			node = node.Alias
		}
		var next *yaml.Node
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == name {
					found = pos{node.Content[i].Line, node.Content[i].Column}
					next = node.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(node.Content) {
				next = node.Content[i]
				found = pos{next.Line, next.Column}
			}
		}
		if next == nil {
			break
		}
		node = next
	}
	return found
}
