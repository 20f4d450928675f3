package flows

import (
	"strings"
	"testing"
	"time"
)

// A condition is said in words that somebody reads who writes none.
func TestConditionWords(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		"said('back_pain') || said('dvt')":                         "she has said “back pain” or “dvt”",
		"had('cough', 14) && !profile.male":                        "she told of “cough” in the last 14 days and not: “male” is ticked for her",
		"answer.score >= 4.0":                                      "her answer “score” is at least 4",
		"profile.tablets == 'tamoxifen' || profile.tablets != ''":  "the tablet that she takes is “tamoxifen” or the tablet that she takes is not none",
		"(profile.age < 50) && service.open_access && open":        "(her age is less than 50) and the hospital has open access and the desk is open",
		"answer.told in ['no', 'partly'] && service.nation == 'x'": "her answer “told” is one of [“no”, “partly”] and the nation is “x”",
	} {
		if got := ConditionWords(condition); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", condition, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: "1 hour", 48 * time.Hour: "2 days", 14 * 24 * time.Hour: "2 weeks", 90 * time.Minute: "90 minutes"} {
		if got := LengthWords(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// All of a step is told: what it does, and every way from it.
func TestAFlowInWords(t *testing.T) {
	t.Parallel()
	p := program(t)
	if p.InWords("nothing") != nil {
		t.Error("a flow that is not there is told")
	}
	var lines []string
	for _, s := range p.InWords("small") {
		lines = append(lines, s.Step+":", "  "+strings.Join(s.Lines(), "\n  "))
	}
	const want = `pain:
  begins the talk
  asks t.pain (yes or no)
  a yes, or a high number, says of her: bone pain
  reminds after 2 days with t.reminder
  not understood: asks again with t.unclear, once
  no answer in 1 week: gone
  any other answer: route
  not sure: bad
  yes: bad
  still not understood: person`
	if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if file, line := p.At("small", "pain"); file != "small.yaml" || line < 2 {
		t.Errorf("it stands in %s:%d", file, line)
	}
}
