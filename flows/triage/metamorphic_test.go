package triage

import (
	"strings"
	"testing"
)

// Words that say nothing take nothing away: with a greeting, a name, a kiss or in
// capitals a message that reaches a nurse still reaches her, and no emergency is
// lost: what is labelled so, for what is urgent and was read too high may come down. A red flag behind a "but" is an emergency whatever stands before it.
func TestWordsAroundLowerNothing(t *testing.T) {
	lex := shipped(t)
	around := map[string]func(string) string{
		"greeting": func(s string) string { return "Hello. " + s },
		"name":     func(s string) string { return "Hi its Jean here. " + s },
		"kiss":     func(s string) string { return s + " x" },
		"capitals": strings.ToUpper,
	}
	lowered, n := map[string]int{}, 0
	for _, x := range labelledMessages(t, 30) {
		if x.Ask != nil || len(strings.Fields(x.Text)) < 3 {
			continue // of one or two words ("fit again") a sentence before them makes something else
		}
		n++
		plain := Read(lex, x.Text, nil, Profile{}, nil)
		if !plain.Understood {
			continue // with more words about it somebody may understand it
		}
		was := plain.Level
		for name, change := range around {
			got := Read(lex, change(x.Text), nil, Profile{}, nil).Level
			switch {
			case x.Level == Emergency && was == Emergency && got < Emergency, was >= Soon && got == None:
				lowered[name]++
				t.Errorf("%s: %s becomes %s with a %s", x.ID, was, got, name)
			}
		}
		if got := Read(lex, strings.TrimRight(x.Text, ".!? ")+", but my legs have gone weak", nil, Profile{}, nil).Level; got != Emergency {
			t.Errorf("%s: with “but my legs have gone weak” it is %s", x.ID, got)
		}
	}
	t.Logf("%d messages; lowered: %v", n, lowered)
}
