package flows

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lookout/flows/triage"
)

// StepWords is a step in plain words, for whoever reads a flow and writes none.
type StepWords struct {
	Step string
	Verb string // "ask", "form", "say", "branch", "call", "wait" or "escalate"
	// Does says what it does; Ways, where it leads; each a phrase of its own.
	Does []string
	Ways []WayWords
	// Texts are the ids of what it says: first what it asks or says, then reminders
	// and what is said when she is not understood.
	Texts []string
	// Of a question: its kind, the ends of a scale, and the options of a choice.
	Kind     triage.Kind
	Min, Max float64
	Options  []Option
	Concepts []string // what the bad answer says of her
	Trouble  string   // which answer that is, where the flow says it
	// Weighed says that it is told what an answer means: concepts, or that it is practical.
	Weighed bool
	// Rises are the rows that a number makes at once, from the lowest answer up.
	Rises []Rise
	Shows []string // of a form: the steps that it shows at once
	Calls string   // the flow that it goes through
	Ends  string   // how it ends the talk
	Waits time.Duration
	// Of a row: how urgent it is, and why.
	Level  triage.Level
	Reason string
}

// Rise is the row that an answer makes at once.
type Rise struct {
	Answer string
	Level  triage.Level
}

// WayWords is a way from a step: when it is taken, and the step that it leads to.
type WayWords struct{ When, To string }

// Lines are all that it does and where it leads, a phrase each.
func (s StepWords) Lines() []string {
	lines := slices.Clone(s.Does)
	for _, w := range s.Ways {
		line := "goes on to " + w.To
		if w.When != "" {
			line = w.When + ": " + w.To
		}
		lines = append(lines, line)
	}
	return lines
}

// InWords tells a flow step by step, in the order in which it is written; nil when
// there is no such flow.
func (p *Program) InWords(name string) []StepWords {
	f := p.flows[name]
	if f == nil {
		return nil
	}
	var out []StepWords
	for _, id := range f.order {
		s := f.steps[id]
		w := s.inWords(id == f.start)
		for _, r := range s.ranges {
			level := triage.None
			if to := f.steps[r.next]; to != nil && to.verb == "escalate" {
				level = to.level
			}
			w.Rises = append(w.Rises, Rise{r.String(), level})
		}
		out = append(out, w)
	}
	return out
}

// Kinds of question, in words.
var kindWords = map[string]string{"yes_no": "yes or no", "scale": "a number on a scale", "choice": "one of a list", "number": "a number", "date": "a day", "weight": "her weight", "text": "her own words"}

// troubleWords are the answers that are bad news, in words.
var troubleWords = map[string]string{"": "a yes, or a high number,", "yes": "a yes", "no": "a no", "high": "a high number", "low": "a low number"}

func (s *step) inWords(first bool) StepWords {
	out := StepWords{Step: s.name, Verb: s.verb, Kind: s.kind, Min: s.min, Max: s.max, Options: s.options, Concepts: s.concepts, Trouble: s.trouble, Weighed: len(s.concepts) > 0 || s.practical, Shows: s.questions, Calls: s.call, Ends: s.end, Waits: s.wait, Level: s.level, Reason: s.reason}
	does := func(format string, args ...any) { out.Does = append(out.Does, fmt.Sprintf(format, args...)) }
	says := func(id string) string { out.Texts = append(out.Texts, id); return id }
	if first {
		does("begins the talk")
	}
	switch s.verb {
	case "ask":
		kind := kindWords[string(s.kind)]
		if s.kind == "scale" || s.kind == "number" {
			kind = fmt.Sprintf("a number from %g to %g", s.min, s.max)
		}
		does("asks %s (%s)", says(s.text), kind)
		for i, o := range s.options {
			does("answer %d: “%s” (%s), in Welsh “%s”", i+1, o.Label, o.Key, o.Welsh)
		}
		if len(s.concepts) > 0 {
			does("%s says of her: %s", troubleWords[s.trouble], conceptWords(s.concepts))
		}
		if s.record != "" {
			does("keeps the answer in her record as %s", s.record)
		}
		if s.practical {
			does("is not about her health: a bare answer makes no row")
		}
		for _, r := range s.remind {
			does("reminds after %s with %s", LengthWords(r.after), says(r.text))
		}
		if s.unclear != "" {
			does("not understood: asks again with %s, %s", says(s.unclear), timesWords(s.times))
		}
	case "form":
		does("shows as one form where that can be, under %s: %s; by text message one is asked after another", says(s.text), strings.Join(s.questions, ", "))
	case "say":
		does("says %s", says(s.text))
		if s.end != "" {
			does("ends the talk: %s", s.end)
		}
	case "branch":
		does("looks at what is known of her")
	case "call":
		does("goes through the flow %s", s.call)
	case "wait":
		does("waits %s", LengthWords(s.wait))
	case "escalate":
		does("puts a row before the nurse: %s, %s: “%s”", s.level, s.concern, s.reason)
	}
	for _, to := range s.targets() {
		out.Ways = append(out.Ways, WayWords{s.whenWords(to), to.step})
	}
	return out
}

func timesWords(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func conceptWords(concepts []string) string {
	words := make([]string, len(concepts))
	for i, c := range concepts {
		words[i] = strings.ReplaceAll(c, "_", " ")
	}
	return strings.Join(words, ", ")
}

// whenWords says when a way is taken; "" for the only way of a step.
func (s *step) whenWords(to target) string {
	switch {
	case to.what == "expire":
		return "no answer in " + LengthWords(s.expire)
	case to.what == "unclear":
		return "still not understood"
	case to.what == "else":
		return "else"
	case to.what == "next" && s.verb != "ask", s.verb == "form":
		return ""
	case to.what == "next" && len(s.on)+len(s.ranges) > 0:
		return "any other answer"
	case to.what == "next":
		return "any answer"
	}
	if when, ok := strings.CutPrefix(to.what, "when "); ok {
		return ConditionWords(when)
	}
	answer := strings.TrimPrefix(to.what, "the answer ")
	switch answer {
	case "yes", "no":
		return answer
	case "unsure":
		return "not sure"
	case "refused":
		return "would rather not say"
	case "nurse":
		return "would rather talk to somebody"
	case "text":
		return "any words"
	}
	for _, o := range s.options {
		if o.Key == answer {
			return "“" + o.Label + "”"
		}
	}
	return strings.Replace(answer, "-", " to ", 1)
}

// LengthWords is a length of time in words: "2 days".
func LengthWords(d time.Duration) string {
	const day = 24 * time.Hour
	n, unit := int64(d/time.Minute), "minute"
	switch {
	case d%(7*day) == 0 && d > 0:
		n, unit = int64(d/(7*day)), "week"
	case d%day == 0:
		n, unit = int64(d/day), "day"
	case d%time.Hour == 0:
		n, unit = int64(d/time.Hour), "hour"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// The parts of a condition, with how each is said. They are tried from left to
// right and the first that fits is taken.
var conditionParts = []struct {
	form  *regexp.Regexp
	words func(m []string) string
}{
	{regexp.MustCompile(`^said\('([^']*)'\)`), func(m []string) string { return "she has said “" + strings.ReplaceAll(m[1], "_", " ") + "”" }},
	{regexp.MustCompile(`^had\('([^']*)',\s*(\d+)\)`), func(m []string) string {
		return "she told of “" + strings.ReplaceAll(m[1], "_", " ") + "” in the last " + m[2] + " days"
	}},
	{regexp.MustCompile(`^answer\.(\w+)`), func(m []string) string { return "her answer “" + strings.ReplaceAll(m[1], "_", " ") + "”" }},
	{regexp.MustCompile(`^profile\.(tablets|side|age)\b`), func(m []string) string {
		return map[string]string{"tablets": "the tablet that she takes", "side": "the side of her surgery", "age": "her age"}[m[1]]
	}},
	{regexp.MustCompile(`^profile\.(\w+)`), func(m []string) string { return "“" + strings.ReplaceAll(m[1], "_", " ") + "” is ticked for her" }},
	{regexp.MustCompile(`^service\.open_access\b`), func([]string) string { return "the hospital has open access" }},
	{regexp.MustCompile(`^service\.nation\b`), func([]string) string { return "the nation" }},
	{regexp.MustCompile(`^open\b`), func([]string) string { return "the desk is open" }},
	{regexp.MustCompile(`^'([^']*)'`), func(m []string) string {
		if m[1] == "" {
			return "none"
		}
		return "“" + m[1] + "”"
	}},
	{regexp.MustCompile(`^(\d+)\.0\b`), func(m []string) string { return m[1] }},
	{regexp.MustCompile(`^\s*&&\s*`), func([]string) string { return " and " }},
	{regexp.MustCompile(`^\s*\|\|\s*`), func([]string) string { return " or " }},
	{regexp.MustCompile(`^\s*==\s*`), func([]string) string { return " is " }},
	{regexp.MustCompile(`^\s*!=\s*`), func([]string) string { return " is not " }},
	{regexp.MustCompile(`^\s*>=\s*`), func([]string) string { return " is at least " }},
	{regexp.MustCompile(`^\s*<=\s*`), func([]string) string { return " is at most " }},
	{regexp.MustCompile(`^\s*>\s*`), func([]string) string { return " is more than " }},
	{regexp.MustCompile(`^\s*<\s*`), func([]string) string { return " is less than " }},
	{regexp.MustCompile(`^\s+in\s+`), func([]string) string { return " is one of " }},
	{regexp.MustCompile(`^!\s*`), func([]string) string { return "not: " }},
	{regexp.MustCompile(`^\w+`), func(m []string) string { return m[0] }},
}

// ConditionWords says a condition in plain words.
func ConditionWords(condition string) string {
	var out strings.Builder
rest:
	for condition != "" {
		for _, part := range conditionParts {
			if m := part.form.FindStringSubmatch(condition); m != nil {
				out.WriteString(part.words(m))
				condition = condition[len(m[0]):]
				continue rest
			}
		}
		out.WriteByte(condition[0])
		condition = condition[1:]
	}
	return strings.ReplaceAll(out.String(), "” or she has said “", "” or “")
}
