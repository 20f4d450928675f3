package flows

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v4"

	"lookout/flows/triage"
)

// Refs says what flows may refer to outside of themselves.
type Refs interface {
	HasText(id string) bool
	HasConcept(id string) bool
	HasConcern(id string) bool
}

// Program is a set of flows, checked and compiled. It never changes, and may be
// used by many goroutines.
type Program struct {
	flows map[string]*flow
	names []string
}

// Has says whether there is a flow of that name.
func (p *Program) Has(name string) bool { return p.flows[name] != nil }

// Flows lists the flows by name.
func (p *Program) Flows() []string { return slices.Clone(p.names) }

// About says who answers for a flow; the zero About when there is no such flow.
func (p *Program) About(name string) About {
	if f := p.flows[name]; f != nil {
		return f.about
	}
	return About{}
}

// At is where a step stands, for an editor to jump to: its file and its line there. An
// empty step is the head of the flow.
func (p *Program) At(flow, step string) (file string, line int) {
	f := p.flows[flow]
	if f == nil {
		return "", 0
	}
	if s := f.steps[step]; s != nil {
		return f.file, s.line
	}
	return f.file, 1
}

// Fault is one mistake of an author's.
type Fault struct {
	Code      string // short and stable: "unreachable", "no-text", …; docs/flows.md lists them all
	File      string
	Line, Col int    // from 1
	Message   string // what is wrong
	Mend      string // what to do
}

// String is the fault as one line that an editor can jump to.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Message, f.Mend)
}

// Faults are all mistakes of a load, in the order of the files.
type Faults []Fault

// Error gives each fault its line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// flow is one compiled flow.
type flow struct {
	name, file string
	about      About
	start      string
	steps      map[string]*step
	order      []string         // as written
	saves      map[string]*step // by the name that answers are kept under: a step that asks for it
	root       *yaml.Node       // the file, while it is loaded
}

// step is one compiled step. Exactly one verb is set.
type step struct {
	name string
	line int    // of its file
	verb string // "ask", "form", "say", "branch", "call", "wait", "escalate"

	text        string // of ask, form and say
	kind        triage.Kind
	concepts    []string
	options     []Option
	min, max    float64
	save        string
	record      string
	practical   bool
	trouble     string
	on          map[string]string
	ranges      []rangeTo // in rising order, not overlapping
	next        string
	end         string
	remind      []remind
	expire      time.Duration
	expired     string
	unclear     string // text
	times       int
	unclearNext string

	questions []string // of a form; the first is its next

	branches  []branch
	otherwise string
	call      string
	wait      time.Duration
	level     triage.Level
	concern   string
	reason    string
}

// rangeTo leads the whole numbers from and to, and all between, to a step.
type rangeTo struct {
	from, to float64
	next     string
}

type remind struct {
	after time.Duration
	text  string
}

type branch struct {
	when    string
	program cel.Program
	asks    question // what the condition asks about
	next    string
}

// loader gathers faults while it reads.
type loader struct {
	kept   bool // of a pack that was kept: fields that are not known are passed over
	refs   Refs
	faults Faults
	file   string     // at hand
	root   *yaml.Node // of the file at hand
	env    *cel.Env   // of conditions, without the answers of a flow
	asking *question  // of the condition that is being compiled

	circles map[string][]State // of the flows in which silence has no end: the places that follow one another
}

// Load reads every *.yaml at the root of fsys as a flow. The error is [Faults],
// all of them at once, or one of reading fsys; the program is nil then. Faults
// in single steps hide those in the shape of the whole.
func Load(fsys fs.FS, refs Refs) (*Program, error) { return loadFlows(fsys, refs, false) }

// LoadKept reads the flows of a pack that was kept when a talk began on it, perhaps by a
// later lookout: a field that this one does not know is passed over.
func LoadKept(fsys fs.FS, refs Refs) (*Program, error) { return loadFlows(fsys, refs, true) }

func loadFlows(fsys fs.FS, refs Refs, kept bool) (*Program, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	l := &loader{refs: refs, kept: kept, circles: make(map[string][]State)}
	if l.env, err = l.conditionEnv(); err != nil {
		return nil, err
	}
	p := &Program{flows: make(map[string]*flow)}
	if len(files) == 0 {
		l.file = "check-in.yaml"
		l.fault(pos{}, "empty", "add at least the flow check-in", "there is no flow at all")
	}
	var loaded []*flow
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		if f := l.flow(file, text); f != nil {
			p.flows[f.name] = f
			p.names = append(p.names, f.name)
			loaded = append(loaded, f)
		}
	}
	slices.Sort(p.names)
	for _, f := range loaded {
		l.file, l.root = f.file, f.root
		l.links(p, f)
	}
	// What follows walks the flows, and needs them to hang together.
	for _, check := range []func(*Program, *flow){l.shape, l.reach, l.explore, l.endless} {
		if len(l.faults) > 0 {
			break
		}
		for _, f := range loaded {
			l.file, l.root = f.file, f.root
			check(p, f)
		}
	}
	if len(l.faults) > 0 {
		slices.SortStableFunc(l.faults, func(a, b Fault) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		return nil, l.faults
	}
	for _, f := range loaded {
		f.root = nil
	}
	return p, nil
}

func (l *loader) fault(at pos, code, mend, format string, args ...any) {
	l.faults = append(l.faults, Fault{Code: code, File: l.file, Line: max(at.line, 1), Col: max(at.col, 1), Message: fmt.Sprintf(format, args...), Mend: mend})
}

// flow reads one file; nil when it holds no flow.
func (l *loader) flow(file string, text []byte) *flow {
	l.file = file
	var f flowFile
	if !l.decode(text, &f) {
		return nil
	}
	want := strings.TrimSuffix(file, ".yaml")
	if f.Flow != want {
		l.fault(l.at("flow"), "name", fmt.Sprintf("write `flow: %s`", want), "the flow is called %q, and its file %s", f.Flow, file)
	}
	if f.Version < 1 {
		l.fault(l.at("version"), "version", "write `version: 1`, and raise it at every change", "the version is missing")
	}
	l.review(f.Review)
	if f.Source == "" {
		l.fault(l.at("source"), "source", "say in `source:` where the questions come from", "the source is missing")
	}
	if len(f.Steps) == 0 {
		l.fault(l.at("steps"), "no-steps", "add steps", "the flow has no steps")
		return nil
	}
	out := &flow{name: want, file: file, about: About{f.Version, f.Review, f.Source}, start: f.Start,
		steps: make(map[string]*step), saves: make(map[string]*step), root: l.root}
	for name := range f.Steps {
		out.order = append(out.order, name)
	}
	slices.SortFunc(out.order, func(a, b string) int {
		at, bt := l.at("steps", a), l.at("steps", b)
		return cmp.Or(cmp.Compare(at.line, bt.line), cmp.Compare(at.col, bt.col), strings.Compare(a, b))
	})
	for _, name := range out.order {
		if !identifier.MatchString(name) {
			l.fault(l.at("steps", name), "name", "use small letters, digits and _, and begin with a letter", "%q cannot be the name of a step", name)
		}
		if f.Steps[name] == nil {
			l.fault(l.at("steps", name), "verb", "give it one of ask, form, say, branch, call, wait, escalate", "step %s is empty", name)
			continue
		}
		s := l.step(name, f.Steps[name])
		out.steps[name] = s
		if s.save == "" {
			continue
		}
		if other := out.saves[s.save]; other != nil && (other.kind != s.kind) {
			l.fault(l.at("steps", name, "save"), "save", "give one of them another name", "steps %s and %s both save as %q, and ask for different kinds of answer", other.name, name, s.save)
		}
		out.saves[s.save] = s
	}
	// Conditions come last: they may name any answer of the flow.
	l.conditions(out)
	return out
}

// review checks who wrote a flow, and who has signed it.
func (l *loader) review(r Review) {
	for _, f := range r.Faults() {
		l.fault(l.at("review", f.Field), "review", f.Mend, "%s", f.Message)
	}
}

// step reads one step, alone.
func (l *loader) step(name string, f *stepFile) *step {
	s := &step{name: name, line: l.at("steps", name).line, next: f.Next, end: f.End}
	var verbs []string
	for _, v := range []struct {
		name string
		set  bool
	}{{"ask", f.Ask != ""}, {"form", f.Form != ""}, {"say", f.Say != ""}, {"branch", len(f.Branch) > 0}, {"call", f.Call != ""}, {"wait", f.Wait != ""}, {"escalate", f.Escalate != ""}} {
		if v.set {
			verbs = append(verbs, v.name)
		}
	}
	at := l.at("steps", name)
	if len(verbs) != 1 {
		l.fault(at, "verb", "give it exactly one of ask, form, say, branch, call, wait, escalate", "step %s has %d verbs (%s)", name, len(verbs), strings.Join(verbs, ", "))
		return s
	}
	s.verb = verbs[0]
	l.misplaced(s, f)
	switch s.verb {
	case "ask":
		l.ask(s, f)
	case "form":
		l.form(s, f)
	case "say":
		s.text = f.Say
		l.needText(f.Say, "steps", name, "say")
		if (f.Next == "") == (f.End == "") {
			l.fault(at, "next", "say where it goes on, or how the talk ends", "step %s has to have either next or end", name)
		}
	case "branch":
		s.otherwise = f.Else
		if f.Else == "" {
			l.fault(at, "else", "say in `else:` where it goes when no condition holds or is known", "the branch %s has no else", name)
		}
		for _, b := range f.Branch {
			s.branches = append(s.branches, branch{when: b.When, next: b.Next})
		}
	case "call":
		s.call = f.Call
		l.needNext(s)
	case "wait":
		s.wait = l.duration(f.Wait, "steps", name, "wait")
		l.needNext(s)
	case "escalate":
		l.escalate(s, f)
		l.needNext(s)
	}
	return s
}

func (l *loader) escalate(s *step, f *stepFile) {
	s.concern, s.reason = f.Concern, f.Reason
	level, err := triage.ParseLevel(f.Escalate)
	if err != nil || level == triage.None || level == triage.Emergency {
		l.fault(l.at("steps", s.name, "escalate"), "level", "use urgent, soon or routine; an emergency is found by the reading of her words", "%q is not a level that a flow can escalate to", f.Escalate)
	}
	s.level = level
	if f.Reason == "" {
		l.fault(l.at("steps", s.name), "reason", "say in one sentence why the row is there", "step %s gives the nurse no reason", s.name)
	}
	if !l.refs.HasConcern(f.Concern) {
		l.fault(l.at("steps", s.name, "concern"), "concern", "use one of those in service/concerns.yaml", "%q is not a concern", f.Concern)
	}
}

// misplaced finds fields that another verb owns: the author meant something that would be ignored.
func (l *loader) misplaced(s *step, f *stepFile) {
	for _, x := range []struct {
		set   bool
		field string
		verbs string
	}{
		{f.Kind != "", "kind", "ask"}, {len(f.Concepts) > 0, "concepts", "ask"}, {len(f.Options) > 0, "options", "ask"},
		{f.Min != nil, "min", "ask"}, {f.Max != nil, "max", "ask"}, {f.Save != "", "save", "ask"}, {f.Record != "", "record", "ask"}, {f.Practical, "practical", "ask"}, {f.Trouble != "", "trouble", "ask"}, {len(f.On) > 0, "on", "ask"},
		{len(f.Remind) > 0, "remind", "ask"}, {f.Expire != nil, "expire", "ask"}, {f.Unclear != nil, "unclear", "ask"},
		{len(f.Questions) > 0, "questions", "form"}, {f.End != "", "end", "say"}, {f.Else != "", "else", "branch"}, {f.Next != "", "next", "ask say call wait escalate"},
		{f.Concern != "", "concern", "escalate"}, {f.Reason != "", "reason", "escalate"},
	} {
		if x.set && !slices.Contains(strings.Fields(x.verbs), s.verb) {
			l.fault(l.at("steps", s.name, x.field), "misplaced", "take it out, or make it a step of its own", "step %s is a %s, which has no %s", s.name, s.verb, x.field)
		}
	}
}

func (l *loader) needNext(s *step) {
	if s.next == "" {
		l.fault(l.at("steps", s.name), "next", "add `next:`", "step %s does not say where it goes on", s.name)
	}
}

// needText checks that the text which a field names is there.
func (l *loader) needText(id string, path ...string) {
	switch {
	case id == "":
		l.fault(l.at(path...), "no-text", "name a text in content/texts", "the text is missing")
	case !l.refs.HasText(id):
		l.fault(l.at(path...), "no-text", "add it to content/texts, or mend the spelling", "there is no text %q", id)
	}
}
