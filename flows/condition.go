package flows

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"

	"lookout/flows/triage"
)

// ProfileFields are the facts about her that a condition may ask about, as
// `profile.NAME`. One that is not known makes the condition unknown.
var ProfileFields = map[string]*cel.Type{
	"tablets": cel.StringType, "side": cel.StringType,
	"lobular": cel.BoolType, "nodes_removed": cel.BoolType, "lymphoedema": cel.BoolType, "implant": cel.BoolType,
	"bisphosphonate": cel.BoolType, "abemaciclib": cel.BoolType, "male": cel.BoolType, "lives_alone": cel.BoolType,
	"on_chemo": cel.BoolType, "immunotherapy": cel.BoolType, "trastuzumab": cel.BoolType, "post_menopause": cel.BoolType,
	"age": cel.IntType,
}

// ServiceFields are the facts about the service, as `service.NAME`.
var ServiceFields = map[string]*cel.Type{"open_access": cel.BoolType, "nation": cel.StringType}

// conditions compiles the conditions of a branch, against the answers that the
// flow can have.
func (l *loader) conditions(f *flow, s *step) {
	options := []cel.EnvOption{
		cel.ClearMacros(),
		cel.Variable("open", cel.BoolType),
		cel.Variable("named", cel.ListType(cel.StringType)),
		cel.Variable("past", cel.MapType(cel.StringType, cel.IntType)),
	}
	for name, t := range ProfileFields {
		options = append(options, cel.Variable("profile."+name, t))
	}
	for name, t := range ServiceFields {
		options = append(options, cel.Variable("service."+name, t))
	}
	for name, asked := range f.saves {
		if t := kinds[asked.kind]; t != nil {
			options = append(options, cel.Variable("answer."+name, t))
		}
	}
	options = append(options, cel.Macros(
		// said('c'): she has named the concept in this talk.
		cel.GlobalMacro("said", 1, func(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			if err := l.conceptArgument(h, args[0]); err != nil {
				return nil, err
			}
			return h.NewCall(operators.In, args[0], h.NewIdent("named")), nil
		}),
		// had('c', days): she named it at most so many days ago, and it is not gone.
		cel.GlobalMacro("had", 2, func(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			if err := l.conceptArgument(h, args[0]); err != nil {
				return nil, err
			}
			return h.NewCall(operators.LogicalAnd,
				h.NewCall(operators.In, args[0], h.NewIdent("past")),
				h.NewCall(operators.LessEquals, h.NewCall(operators.Index, h.NewIdent("past"), h.Copy(args[0])), args[1])), nil
		}),
	))
	env, err := cel.NewEnv(options...)
	if err != nil {
		l.fault(s.line, "condition", "the conditions cannot be read: "+err.Error(), "mend the names of the answers")
		return
	}
	seen := make(map[string]bool)
	for i := range s.branches {
		b := &s.branches[i]
		if strings.TrimSpace(b.when) == "" {
			l.fault(s.line, "condition", fmt.Sprintf("a branch of %s has no condition", s.name), "write `when:`")
			continue
		}
		if seen[b.when] {
			l.fault(s.line, "condition", fmt.Sprintf("the condition %s stands twice, and the second can never be reached", b.when), "take one out")
		}
		seen[b.when] = true
		compiled, issues := env.Compile(b.when)
		if issues.Err() != nil {
			l.fault(s.line, "condition", fmt.Sprintf("the condition %s does not hold together: %s", b.when, oneLine(issues.Err())), "answers are "+answerNames(f)+"; see docs/flows.md")
			continue
		}
		if compiled.OutputType() != cel.BoolType {
			l.fault(s.line, "condition", fmt.Sprintf("the condition %s is not a yes or no", b.when), "compare it with something")
			continue
		}
		program, err := env.Program(compiled, cel.CostLimit(10_000))
		if err != nil {
			l.fault(s.line, "condition", err.Error(), "make the condition simpler")
			continue
		}
		b.program = program
	}
}

func (l *loader) conceptArgument(h parser.ExprHelper, arg ast.Expr) *common.Error {
	concept, ok := "", false
	if arg.Kind() == ast.LiteralKind {
		concept, ok = arg.AsLiteral().Value().(string)
	}
	if !ok {
		return h.NewError(arg.ID(), "the concept must be written out, in quotes")
	}
	if !l.refs.HasConcept(concept) {
		return h.NewError(arg.ID(), fmt.Sprintf("there is no concept %q in the lexicon", concept))
	}
	return nil
}

func oneLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(first, "ERROR: ")
}

func answerNames(f *flow) string {
	var names []string
	for _, step := range f.order {
		if s := f.steps[step]; s != nil && s.save != "" {
			names = append(names, "answer."+s.save)
		}
	}
	if len(names) == 0 {
		return "none in this flow"
	}
	return strings.Join(names, ", ")
}

// known gives a condition its facts. What is not known is not there: the
// condition is an error then, unless the rest of it decides, and takes no branch.
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
	switch kinds[asked.kind] {
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
func (b *branch) holds(k *known) bool {
	value, _, err := b.program.Eval(k)
	if err != nil {
		return false
	}
	yes, _ := value.Value().(bool)
	return yes
}
