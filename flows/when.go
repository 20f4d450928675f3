package flows

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// A Condition is a condition that stands outside of a flow: of an item of a
// plan. It is written in the language of branches, without answers, and may be
// used by many goroutines.
type Condition struct{ branch }

// ParseCondition compiles a condition about her profile, her service and what
// she has named before (had). It asks about no talk, for there is none.
func ParseCondition(text string, refs Refs) (*Condition, error) {
	l := &loader{refs: refs}
	env, err := l.conditionEnv()
	if err != nil {
		return nil, err
	}
	c := &Condition{branch{when: text}}
	l.asking = &c.asks
	compiled, issues := env.Compile(text)
	switch {
	case issues.Err() != nil:
		return nil, errors.New(oneLine(issues.Err()))
	case compiled.OutputType() != cel.BoolType:
		return nil, errors.New("it is not a yes or no: compare it with something")
	case len(c.asks.said) > 0:
		return nil, errors.New("said() asks about a talk, and there is none: use had()")
	}
	for _, ref := range compiled.NativeRep().ReferenceMap() {
		if ref.Name == "open" || ref.Name == "named" {
			return nil, fmt.Errorf("%s says nothing on the day of planning: ask about profile, service or had()", strings.TrimSpace(ref.Name))
		}
	}
	if c.program, err = env.Program(compiled); err != nil {
		return nil, err
	}
	return c, nil
}

// Holds says whether the condition is known to be true.
func (c *Condition) Holds(facts Facts) bool { return c.holds(&known{facts: &facts}) }
