package flows

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"lookout/flows/triage"
)

// A Field is a fact that a condition may ask about.
type Field struct {
	Name string
	Type string // "bool", "string" or "int"
	// Values are all that a string can be; empty when that is not known here.
	Values []string
}

// ProfileFields lists the facts about her, as `profile.NAME` in conditions. One
// that is not known makes the condition unknown.
func ProfileFields() []Field {
	return []Field{
		{"tablets", "string", []string{"", "tamoxifen", "letrozole", "anastrozole", "exemestane"}},
		{"side", "string", []string{"", "left", "right", "both"}},
		{"lobular", "bool", nil}, {"nodes_removed", "bool", nil}, {"lymphoedema", "bool", nil}, {"implant", "bool", nil},
		{"bisphosphonate", "bool", nil}, {"abemaciclib", "bool", nil}, {"male", "bool", nil}, {"lives_alone", "bool", nil},
		{"on_chemo", "bool", nil}, {"immunotherapy", "bool", nil}, {"trastuzumab", "bool", nil}, {"post_menopause", "bool", nil},
		{"age", "int", nil}, // years
	}
}

// ServiceFields lists the facts about the service, as `service.NAME`.
func ServiceFields() []Field {
	return []Field{{"open_access", "bool", nil}, {"nation", "string", nil}}
}

// question is what a condition asks about: the names of its facts, and the
// values that it compares them with.
type question struct {
	names   []string // "answer.score", "profile.side", "open"
	said    []string // concepts
	had     []string // concepts
	numbers []float64
	strings []string
}

// conditionEnv is what every condition knows, beside the answers of its flow.
func (l *loader) conditionEnv() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ClearMacros(),
		cel.CrossTypeNumericComparisons(true), // answer.score >= 4, without a point
		cel.Variable("open", cel.BoolType),
		cel.Variable("named", cel.ListType(cel.StringType)),
		cel.Variable("past", cel.MapType(cel.StringType, cel.IntType)),
		cel.Macros(cel.GlobalMacro("said", 1, l.said), cel.GlobalMacro("had", 2, l.had)),
	}
	celTypes := map[string]*cel.Type{"bool": cel.BoolType, "string": cel.StringType, "int": cel.IntType}
	for _, f := range ProfileFields() {
		options = append(options, cel.Variable("profile."+f.Name, celTypes[f.Type]))
	}
	for _, f := range ServiceFields() {
		options = append(options, cel.Variable("service."+f.Name, celTypes[f.Type]))
	}
	return cel.NewEnv(options...)
}

// said('c'): she has named the concept in this talk.
func (l *loader) said(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	concept, err := l.conceptArgument(h, args[0])
	if err != nil {
		return nil, err
	}
	l.asking.said = append(l.asking.said, concept)
	return h.NewCall(operators.In, args[0], h.NewIdent("named")), nil
}

// had('c', days): she named it at most so many days ago, and it is not gone.
func (l *loader) had(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	concept, err := l.conceptArgument(h, args[0])
	if err != nil {
		return nil, err
	}
	l.asking.had = append(l.asking.had, concept)
	return h.NewCall(operators.LogicalAnd,
		h.NewCall(operators.In, args[0], h.NewIdent("past")),
		h.NewCall(operators.LessEquals, h.NewCall(operators.Index, h.NewIdent("past"), h.Copy(args[0])), args[1])), nil
}

func (l *loader) conceptArgument(h parser.ExprHelper, arg ast.Expr) (string, *common.Error) {
	concept, ok := "", false
	if arg.Kind() == ast.LiteralKind {
		concept, ok = arg.AsLiteral().Value().(string)
	}
	if !ok {
		return "", h.NewError(arg.ID(), "the concept must be written out, in quotes")
	}
	if !l.refs.HasConcept(concept) {
		return "", h.NewError(arg.ID(), fmt.Sprintf("there is no concept '%s' in the lexicon", concept))
	}
	return concept, nil
}

// conditions compiles every condition of a flow, against the answers that the
// flow can have.
func (l *loader) conditions(f *flow) {
	if !slices.ContainsFunc(f.order, func(name string) bool { return f.steps[name] != nil && f.steps[name].verb == "branch" }) {
		return
	}
	var options []cel.EnvOption
	for name, asked := range f.saves {
		if t := answerType(asked.kind); t != nil && identifier.MatchString(name) {
			options = append(options, cel.Variable("answer."+name, t))
		}
	}
	env, err := l.env.Extend(options...)
	if err != nil {
		l.fault(l.at("steps"), "condition", "give the answers other names", "the answers of this flow cannot be used in conditions: %v", err)
		return
	}
	for _, name := range f.order {
		if s := f.steps[name]; s != nil && s.verb == "branch" {
			for i := range s.branches {
				l.condition(env, f, &s.branches[i], l.at("steps", name, "branch", fmt.Sprint(i)))
			}
		}
	}
}

// condition compiles one condition, and notes what it asks about.
func (l *loader) condition(env *cel.Env, f *flow, b *branch, at pos) {
	if strings.TrimSpace(b.when) == "" {
		l.fault(at, "condition", "write `when:`", "a branch has no condition")
		return
	}
	l.asking = &b.asks
	compiled, issues := env.Compile(b.when)
	if issues.Err() != nil {
		l.fault(at, "condition", "answers are "+answerNames(f)+"; docs/flows.md lists the other facts", "the condition %s does not hold together (%s)", b.when, oneLine(issues.Err()))
		return
	}
	if compiled.OutputType() != cel.BoolType {
		l.fault(at, "condition", "compare it with something", "the condition %s is not a yes or no", b.when)
		return
	}
	tree := compiled.NativeRep()
	for _, ref := range tree.ReferenceMap() {
		if ref.Name != "" && ref.Name != "named" && ref.Name != "past" && !slices.Contains(b.asks.names, ref.Name) {
			b.asks.names = append(b.asks.names, ref.Name)
		}
	}
	slices.Sort(b.asks.names)
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.LiteralKind {
			return
		}
		switch v := e.AsLiteral().(type) {
		case types.Int:
			b.asks.numbers = append(b.asks.numbers, float64(v))
		case types.Double:
			b.asks.numbers = append(b.asks.numbers, float64(v))
		case types.String:
			b.asks.strings = append(b.asks.strings, string(v))
		}
	}))
	if len(b.asks.names)+len(b.asks.said)+len(b.asks.had) == 0 {
		l.fault(at, "condition", "ask about an answer or a fact, or use else", "the condition %s is always the same", b.when)
		return
	}
	program, err := env.Program(compiled) // without macros there are no loops: the text bounds the cost
	if err != nil {
		l.fault(at, "condition", "make it simpler", "the condition %s cannot be run (%v)", b.when, err)
		return
	}
	b.program = program
}

// oneLine is the first line of what the compiler says, without the place inside
// of the condition.
func oneLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	first = strings.TrimPrefix(first, "ERROR: ")
	if _, message, ok := strings.Cut(first, ": "); ok && strings.HasPrefix(first, "<input>") {
		first = message
	}
	first, _, _ = strings.Cut(first, " expecting {") // every sort of token that there is
	return first
}

func answerNames(f *flow) string {
	var names []string
	for _, step := range f.order {
		if s := f.steps[step]; s != nil && s.save != "" && !slices.Contains(names, "answer."+s.save) {
			names = append(names, "answer."+s.save)
		}
	}
	if len(names) == 0 {
		return "none in this flow"
	}
	return strings.Join(names, ", ")
}

// known gives a condition its facts. What is not known is not there: the
// condition is an error then, unless the rest of it decides (CEL's || and &&
// take an error like an unknown), and takes no branch.
type known struct {
	frame *Frame
	steps map[string]*step
	named []string
	facts *Facts
}

// Parent is part of cel.Activation; there is none.
func (k *known) Parent() cel.Activation { return nil }

// ResolveName is part of cel.Activation.
func (k *known) ResolveName(name string) (any, bool) {
	switch name {
	case "open":
		return k.facts.Open, true
	case "named":
		return k.named, true
	case "past":
		if k.facts.Past == nil {
			return map[string]int{}, true
		}
		return k.facts.Past, true
	}
	group, field, found := strings.Cut(name, ".")
	if !found {
		return nil, false
	}
	switch group {
	case "profile":
		v, ok := k.facts.Profile[field]
		return v, ok
	case "service":
		v, ok := k.facts.Service[field]
		return v, ok
	case "answer":
		answer, ok := k.frame.Answers[field]
		if !ok {
			return nil, false
		}
		return conditionValue(answer, k.steps[field])
	}
	return nil, false
}

// conditionValue puts an answer into the type that conditions know it by.
func conditionValue(a triage.Answer, asked *step) (any, bool) {
	if asked == nil {
		return nil, false
	}
	switch answerType(asked.kind) {
	case cel.DoubleType:
		return a.Number, a.Kind == triage.Value
	case cel.IntType:
		return int64(a.DaysAgo), a.Kind == triage.Value
	}
	if a.Kind == triage.Chosen {
		return a.Option, true
	}
	return string(a.Kind), a.Kind != triage.NoAnswer
}

// holds says whether a condition is known to be true.
func (b *branch) holds(facts cel.Activation) bool {
	value, _, err := b.program.Eval(facts)
	if err != nil {
		return false
	}
	yes, _ := value.Value().(bool)
	return yes
}
