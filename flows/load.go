package flows

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strconv"
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

// Fault is one mistake of an author's.
type Fault struct {
	Code      string // short and stable: "unreachable", "no-text", …
	File      string
	Line, Col int
	Message   string // what is wrong
	Mend      string // what to do
}

func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Message, f.Mend)
}

// Faults are all mistakes of a load, in the order of the files.
type Faults []Fault

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
	start      string
	steps      map[string]*step
	order      []string // as written
	saves      map[string]*step
}

// step is one compiled step. Exactly one verb is set.
type step struct {
	name string
	line int
	verb string // "ask", "say", "branch", "call", "wait", "escalate"

	text        string // of ask and say
	kind        triage.Kind
	concepts    []string
	options     []triage.Option
	min, max    float64
	save        string
	record      string
	on          map[string]string
	ranges      []rangeTo
	next        string
	end         string
	remind      []remind
	expire      time.Duration
	expired     string
	unclear     string // text
	times       int
	unclearNext string

	branches  []branch
	otherwise string
	call      string
	wait      time.Duration
	level     triage.Level
	concern   string
	reason    string
}

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
	next    string
}

// The file form. Every field is checked by Load; unknown ones are refused.
type flowFile struct {
	Flow    string               `yaml:"flow"`
	Version int                  `yaml:"version"`
	Review  reviewFile           `yaml:"review"`
	Source  string               `yaml:"source"`
	Start   string               `yaml:"start"`
	Steps   map[string]*stepFile `yaml:"steps"`
}

type reviewFile struct {
	State    string `yaml:"state"`
	Author   string `yaml:"author"`
	Reviewer string `yaml:"reviewer"`
	Next     string `yaml:"next"`
}

type stepFile struct {
	Ask      string            `yaml:"ask"`
	Kind     string            `yaml:"kind"`
	Concepts []string          `yaml:"concepts"`
	Options  []optionFile      `yaml:"options"`
	Min      *float64          `yaml:"min"`
	Max      *float64          `yaml:"max"`
	Save     string            `yaml:"save"`
	Record   string            `yaml:"record"`
	On       map[string]string `yaml:"on"`
	Next     string            `yaml:"next"`
	Remind   []remindFile      `yaml:"remind"`
	Expire   *expireFile       `yaml:"expire"`
	Unclear  *unclearFile      `yaml:"unclear"`

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

// loader gathers faults while it reads.
type loader struct {
	refs   Refs
	faults Faults
	file   string
	lines  map[string]int // of each step of the file at hand
	top    int
}

// Load reads every *.yaml at the root of fsys as a flow. The error is [Faults],
// all of them at once; the program is nil then.
func Load(fsys fs.FS, refs Refs) (*Program, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	l := &loader{refs: refs}
	p := &Program{flows: make(map[string]*flow)}
	if len(files) == 0 {
		l.file = "flows"
		l.fault(1, "empty", "there is no flow", "add at least the flow check-in in check-in.yaml")
	}
	var loaded []*flow
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		if f := l.flow(file, text); f != nil {
			if p.flows[f.name] == nil {
				p.flows[f.name] = f
				p.names = append(p.names, f.name)
			}
			loaded = append(loaded, f)
		}
	}
	slices.Sort(p.names)
	for _, f := range loaded {
		l.file = f.file
		l.links(p, f)
	}
	if len(l.faults) == 0 {
		for _, f := range loaded {
			l.file = f.file
			l.shape(p, f)
		}
	}
	if len(l.faults) > 0 {
		slices.SortStableFunc(l.faults, func(a, b Fault) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		return nil, l.faults
	}
	return p, nil
}

func (l *loader) fault(line int, code, message, mend string) {
	l.faults = append(l.faults, Fault{Code: code, File: l.file, Line: max(line, 1), Message: message, Mend: mend})
}

// flow reads one file.
func (l *loader) flow(file string, text []byte) *flow {
	l.file = file
	var f flowFile
	if !l.decode(text, &f) {
		return nil
	}
	l.lines, l.top = stepLines(text), 1
	want := strings.TrimSuffix(file, ".yaml")
	if f.Flow != want {
		l.fault(1, "name", fmt.Sprintf("the flow is called %q, but its file %s", f.Flow, file), fmt.Sprintf("write `flow: %s`", want))
	}
	if f.Version < 1 {
		l.fault(1, "version", "the version is missing", "write `version: 1`, and raise it at every change")
	}
	l.review(f.Review)
	if f.Source == "" {
		l.fault(1, "source", "the source is missing", "say in `source:` where the questions come from")
	}
	out := &flow{name: want, file: file, start: f.Start, steps: make(map[string]*step), saves: make(map[string]*step)}
	for name := range f.Steps {
		out.order = append(out.order, name)
	}
	slices.SortFunc(out.order, func(a, b string) int { return cmp.Or(cmp.Compare(l.lines[a], l.lines[b]), strings.Compare(a, b)) })
	if len(f.Steps) == 0 {
		l.fault(1, "empty", "the flow has no steps", "add steps")
		return nil
	}
	for _, name := range out.order {
		if f.Steps[name] == nil {
			l.fault(l.lines[name], "verb", fmt.Sprintf("step %s is empty", name), "give it one of ask, say, branch, call, wait, escalate")
			continue
		}
		s := l.step(name, f.Steps[name])
		out.steps[name] = s
		if s.save != "" {
			if other := out.saves[s.save]; other != nil && other.kind != s.kind {
				l.fault(s.line, "save", fmt.Sprintf("steps %s and %s both save as %q, and ask for different kinds of answer", other.name, name, s.save), "give one of them another name")
			}
			out.saves[s.save] = s
		}
	}
	// Conditions come last: they may name any answer of the flow.
	for _, name := range out.order {
		if s := out.steps[name]; s != nil && s.verb == "branch" {
			l.conditions(out, s)
		}
	}
	return out
}

// decode reads YAML strictly, and turns each of its errors into a fault.
func (l *loader) decode(text []byte, into any) (ok bool) {
	defer func() {
		if r := recover(); r != nil { // a parser must not take the service down
			l.fault(1, "yaml", "the file cannot be read", "check its indents and quotes")
			ok = false
		}
	}()
	err := yaml.Load(text, into, yaml.WithKnownFields())
	if err == nil {
		return true
	}
	var many *yaml.LoadErrors
	if errors.As(err, &many) {
		for _, e := range many.Errors {
			l.fault(e.Mark.Line, "yaml", e.Message, "check the spelling and the indent")
		}
		return false
	}
	line := 1
	if m := lineInError.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	l.fault(line, "yaml", err.Error(), "check the indents and the quotes of this line and the one above")
	return false
}

var lineInError = regexp.MustCompile(`line (\d+)`)

// stepLines finds the line of each step.
func stepLines(text []byte) map[string]int {
	lines := make(map[string]int)
	var doc yaml.Node
	if yaml.Load(text, &doc) != nil || len(doc.Content) == 0 {
		return lines
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "steps" {
			continue
		}
		steps := root.Content[i+1]
		for j := 0; j+1 < len(steps.Content); j += 2 {
			lines[steps.Content[j].Value] = steps.Content[j].Line
		}
	}
	return lines
}

func (l *loader) review(r reviewFile) {
	switch r.State {
	case "draft":
		if r.Reviewer != "" {
			l.fault(1, "review", "the review state is draft, and a reviewer is named", "set `state: approved`, or take the reviewer out")
		}
	case "approved":
		if r.Reviewer == "" {
			l.fault(1, "review", "the review state is approved, and nobody is named", "name the clinician in `reviewer:`")
		}
	default:
		l.fault(1, "review", "the review state is missing", "write `review: {state: draft, author: …}`")
	}
	if r.Author == "" {
		l.fault(1, "review", "the author is missing", "name who wrote it in `review: {author: …}`")
	}
	if r.Next != "" {
		if _, err := time.Parse(time.DateOnly, r.Next); err != nil {
			l.fault(1, "review", "the next review is not a date", "write it like 2027-11-24")
		}
	}
}

// step reads one step, alone.
func (l *loader) step(name string, f *stepFile) *step {
	s := &step{name: name, line: l.lines[name], next: f.Next, end: f.End}
	var verbs []string
	for verb, value := range map[string]bool{"ask": f.Ask != "", "say": f.Say != "", "branch": len(f.Branch) > 0,
		"call": f.Call != "", "wait": f.Wait != "", "escalate": f.Escalate != ""} {
		if value {
			verbs = append(verbs, verb)
		}
	}
	slices.Sort(verbs)
	if len(verbs) != 1 {
		l.fault(s.line, "verb", fmt.Sprintf("step %s has %d verbs (%s)", name, len(verbs), strings.Join(verbs, ", ")), "give it exactly one of ask, say, branch, call, wait, escalate")
		return s
	}
	s.verb = verbs[0]
	l.misplaced(s, f)
	switch s.verb {
	case "ask":
		l.ask(s, f)
	case "say":
		s.text = f.Say
		l.needText(s.line, f.Say)
		if (f.Next == "") == (f.End == "") {
			l.fault(s.line, "next", fmt.Sprintf("step %s has to have either next or end", name), "say where it goes on, or how the talk ends")
		}
	case "branch":
		s.otherwise = f.Else
		if f.Else == "" {
			l.fault(s.line, "else", fmt.Sprintf("the branch %s has no else", name), "say in `else:` where it goes when no condition holds or is known")
		}
		for _, b := range f.Branch {
			s.branches = append(s.branches, branch{when: b.When, next: b.Next})
		}
	case "call":
		s.call = f.Call
		l.needNext(s)
	case "wait":
		s.wait = l.duration(s.line, "wait", f.Wait)
		l.needNext(s)
	case "escalate":
		s.concern, s.reason = f.Concern, f.Reason
		level, err := triage.ParseLevel(f.Escalate)
		if err != nil || level == triage.None || level == triage.Emergency {
			l.fault(s.line, "level", fmt.Sprintf("%q is not a level that a flow can escalate to", f.Escalate), "use urgent, soon or routine; an emergency is found by the reading of her words")
		}
		s.level = level
		if f.Reason == "" {
			l.fault(s.line, "reason", fmt.Sprintf("step %s gives the nurse no reason", name), "say in one sentence why the row is there")
		}
		if !l.refs.HasConcern(f.Concern) {
			l.fault(s.line, "concern", fmt.Sprintf("%q is not a concern", f.Concern), "use one of those in service/concerns.yaml")
		}
		l.needNext(s)
	}
	return s
}

// misplaced finds fields that another verb owns: the author meant something that would be ignored.
func (l *loader) misplaced(s *step, f *stepFile) {
	for _, x := range []struct {
		set   bool
		field string
		verbs string
	}{
		{f.Kind != "", "kind", "ask"}, {len(f.Concepts) > 0, "concepts", "ask"}, {len(f.Options) > 0, "options", "ask"},
		{f.Min != nil || f.Max != nil, "min and max", "ask"}, {f.Save != "", "save", "ask"}, {f.Record != "", "record", "ask"}, {len(f.On) > 0, "on", "ask"},
		{len(f.Remind) > 0, "remind", "ask"}, {f.Expire != nil, "expire", "ask"}, {f.Unclear != nil, "unclear", "ask"},
		{f.End != "", "end", "say"}, {f.Else != "", "else", "branch"}, {f.Next != "", "next", "ask say call wait escalate"},
		{f.Concern != "", "concern", "escalate"}, {f.Reason != "", "reason", "escalate"},
	} {
		if x.set && !slices.Contains(strings.Fields(x.verbs), s.verb) {
			l.fault(s.line, "misplaced", fmt.Sprintf("step %s is a %s, which has no %s", s.name, s.verb, x.field), "take it out, or make it a step of its own")
		}
	}
}

func (l *loader) needNext(s *step) {
	if s.next == "" {
		l.fault(s.line, "next", fmt.Sprintf("step %s does not say where it goes on", s.name), "add `next:`")
	}
}

func (l *loader) needText(line int, id string) {
	if !l.refs.HasText(id) {
		l.fault(line, "no-text", fmt.Sprintf("there is no text %q", id), "add it to content/texts, or mend the spelling")
	}
}

// kinds lists the kinds of question, with the type of their answers in conditions.
var kinds = map[triage.Kind]*cel.Type{
	triage.YesNo: cel.StringType, triage.Choice: cel.StringType, triage.Text: cel.StringType,
	triage.Scale: cel.DoubleType, triage.Number: cel.DoubleType, triage.Weight: cel.DoubleType, triage.Date: cel.IntType,
}

// always are the answers that every question can get.
var always = []string{"unsure", "refused", "nurse"}

func (l *loader) ask(s *step, f *stepFile) {
	s.text, s.kind, s.save, s.record, s.concepts = f.Ask, triage.Kind(f.Kind), f.Save, f.Record, f.Concepts
	l.needText(s.line, f.Ask)
	if kinds[s.kind] == nil {
		l.fault(s.line, "kind", fmt.Sprintf("%q is not a kind of question", f.Kind), "use yes_no, scale, choice, number, date, weight or text")
		return
	}
	if f.Save != "" && !identifier.MatchString(f.Save) {
		l.fault(s.line, "save", fmt.Sprintf("%q cannot be the name of an answer", f.Save), "use small letters, digits and _ and begin with a letter")
	}
	for _, c := range f.Concepts {
		if !l.refs.HasConcept(c) {
			l.fault(s.line, "concept", fmt.Sprintf("there is no concept %q in the lexicon", c), "mend the spelling, or add it to content/lexicon")
		}
	}
	if s.kind == triage.Scale || s.kind == triage.Number {
		s.min, s.max = 0, 10
		if s.kind == triage.Number {
			s.max = 9999
		}
		if f.Min != nil {
			s.min = *f.Min
		}
		if f.Max != nil {
			s.max = *f.Max
		}
		if !(s.min < s.max) {
			l.fault(s.line, "range", "min is not below max", "mend the two")
		}
	}
	l.options(s, f)
	l.on(s, f)
	l.time(s, f)
	if s.kind == triage.Text {
		if f.Unclear != nil {
			l.fault(s.line, "misplaced", "any words answer a text question: it needs no unclear", "take it out")
		}
		return
	}
	if f.Unclear == nil {
		l.fault(s.line, "unclear", fmt.Sprintf("step %s does not say what happens when she is not understood", s.name), "add `unclear: {say: …, times: 1, next: …}`")
		return
	}
	s.unclear, s.times, s.unclearNext = f.Unclear.Say, f.Unclear.Times, f.Unclear.Next
	l.needText(s.line, s.unclear)
	if s.times < 1 || s.times > 3 {
		l.fault(s.line, "unclear", "times must be 1, 2 or 3", "ask again once or twice, then let a person read it")
	}
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (l *loader) options(s *step, f *stepFile) {
	if s.kind != triage.Choice {
		if len(f.Options) > 0 {
			l.fault(s.line, "options", "only a choice has options", "set `kind: choice`, or take them out")
		}
		return
	}
	if len(f.Options) < 2 {
		l.fault(s.line, "options", "a choice needs at least two options", "add `options:`")
	}
	seen := make(map[string]bool)
	for _, o := range f.Options {
		label := strings.ToLower(o.Label)
		if !identifier.MatchString(o.Key) || o.Label == "" || slices.Contains(always, o.Key) {
			l.fault(s.line, "options", fmt.Sprintf("the option %q needs a key of small letters and a label", o.Key), "write `{key: pain, label: Pain}`")
		}
		if seen[o.Key] || seen["label:"+label] {
			l.fault(s.line, "options", fmt.Sprintf("the option %q is there twice", o.Key), "give each its own key and label")
		}
		seen[o.Key], seen["label:"+label] = true, true
		s.options = append(s.options, triage.Option{Key: o.Key, Label: o.Label})
	}
}

// on reads where each answer leads, and checks that every answer leads somewhere.
func (l *loader) on(s *step, f *stepFile) {
	s.on = make(map[string]string)
	var named []string
	switch s.kind {
	case triage.YesNo:
		named = []string{"yes", "no"}
	case triage.Choice:
		for _, o := range s.options {
			named = append(named, o.Key)
		}
	}
	keys := make([]string, 0, len(f.On))
	for key := range f.On {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if slices.Contains(named, key) || slices.Contains(always, key) {
			s.on[key] = f.On[key]
			continue
		}
		from, to, ok := parseRange(key)
		if numeric := kinds[s.kind] == cel.DoubleType || s.kind == triage.Date; !ok || !numeric {
			l.fault(s.line, "on", fmt.Sprintf("%q is not an answer to this question", key), "use "+strings.Join(append(named, always...), ", ")+rangeHelp(numeric))
			continue
		}
		s.ranges = append(s.ranges, rangeTo{from, to, f.On[key]})
	}
	slices.SortFunc(s.ranges, func(a, b rangeTo) int { return cmp.Compare(a.from, b.from) })
	for i, r := range s.ranges {
		if r.from > r.to {
			l.fault(s.line, "range", fmt.Sprintf("the range %g-%g runs backwards", r.from, r.to), "write the smaller number first")
		}
		if i > 0 && r.from <= s.ranges[i-1].to {
			l.fault(s.line, "range", fmt.Sprintf("two ranges hold %g", r.from), "let them not overlap: 0-3, 4-7, 8-10")
		}
		if s.kind == triage.Scale && (r.from < s.min || r.to > s.max) {
			l.fault(s.line, "range", fmt.Sprintf("the range %g-%g is outside the scale", r.from, r.to), fmt.Sprintf("the scale runs from %g to %g", s.min, s.max))
		}
	}
	if s.next == "" && !l.exhaustive(s, named) {
		l.fault(s.line, "next", fmt.Sprintf("step %s has answers that lead nowhere", s.name), "add `next:` for every answer that `on` does not name")
	}
}

func rangeHelp(numeric bool) string {
	if numeric {
		return ", or a range like 0-3"
	}
	return ""
}

func parseRange(key string) (from, to float64, ok bool) {
	a, b, found := strings.Cut(key, "-")
	if !found {
		b = a
	}
	from, err1 := strconv.ParseFloat(a, 64)
	to, err2 := strconv.ParseFloat(b, 64)
	ok = err1 == nil && err2 == nil && !math.IsNaN(from) && !math.IsNaN(to) && !math.IsInf(from, 0) && !math.IsInf(to, 0)
	return from, to, ok
}

func (l *loader) exhaustive(s *step, named []string) bool {
	if len(named) == 0 {
		return false
	}
	for _, key := range append(named, "unsure", "refused") {
		if s.on[key] == "" {
			return false
		}
	}
	return true
}

// time reads reminders and expiry: every question has an end.
func (l *loader) time(s *step, f *stepFile) {
	if f.Expire == nil {
		l.fault(s.line, "expire", fmt.Sprintf("step %s waits for ever", s.name), "add `expire: {after: 7d, next: …}`")
		return
	}
	s.expire, s.expired = l.duration(s.line, "expire", f.Expire.After), f.Expire.Next
	var last time.Duration
	for _, r := range f.Remind {
		after := l.duration(s.line, "remind", r.After)
		l.needText(s.line, r.Say)
		if after <= last || after >= s.expire {
			l.fault(s.line, "remind", fmt.Sprintf("the reminder after %s does not come after the one before it and before the question expires", r.After), "put reminders in order, all before expire")
		}
		last = after
		s.remind = append(s.remind, remind{after, r.Say})
	}
	if len(f.Remind) > 3 {
		l.fault(s.line, "remind", "more than three reminders", "somebody who does not answer three times wants to be rung, not texted")
	}
}

var durationForm = regexp.MustCompile(`^(\d{1,4})(m|h|d|w)$`)

func (l *loader) duration(line int, what, text string) time.Duration {
	m := durationForm.FindStringSubmatch(text)
	n := 0
	if m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	if n == 0 {
		l.fault(line, "duration", fmt.Sprintf("%q is not a length of time (%s)", text, what), "write it like 30m, 48h, 7d or 2w")
		return time.Hour
	}
	unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
	return time.Duration(n) * unit
}
