package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lookout/bot/rehearsal"
	"lookout/content"
)

// spoilt is a copy of the pack in which one flow has mistakes.
func spoilt(t *testing.T, flow, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, content.Embedded()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "flows", flow+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q to spoil", path, old)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFlowsCheckSaysWhereAndHowToMend(t *testing.T) {
	t.Parallel()
	_, err := lookout(t, "", "flows", "check", spoilt(t, "leg", "on: {unsure: done}", "on: {unsure: gone}"))
	if err == nil || !strings.Contains(err.Error(), "flows/leg.yaml:") || !strings.Contains(err.Error(), `leads to "gone"`) || !strings.Contains(err.Error(), "mend the name") {
		t.Errorf("%v: want the file, the line, the fault and its mending", err)
	}
	out, err := lookout(t, "", "flows", "check")
	if err != nil || !strings.Contains(out, "Not approved by a clinician: ") {
		t.Errorf("the embedded pack: %v\n%s", err, out)
	}
}

// A talk that goes otherwise than it stands is a fault, until --update writes it anew: as
// it goes now, and not a byte else.
func TestFlowsCheckUpdatesTalks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, content.Embedded()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "talks", "tired.txt")
	shipped, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(shipped, []byte("lookout: Thank you"), []byte("lookout: Thanks"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lookout(t, "", "flows", "check", dir); err == nil || !strings.Contains(err.Error(), "talks/tired.txt:") || !strings.Contains(err.Error(), "--update") {
		t.Errorf("a talk that goes otherwise: %v", err)
	}
	out, err := lookout(t, "", "flows", "check", "--update", dir)
	if err != nil || strings.Count(out, "is written anew") != 1 {
		t.Errorf("--update: %v\n%s", err, out)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, shipped) {
		t.Errorf("the talk is not as it goes now: %v\n%s", err, now)
	}
	if _, err := lookout(t, "", "flows", "check", "--update"); err == nil {
		t.Error("--update took the embedded pack, which cannot be written")
	}
}

// The report says how many ways of each flow are walked, and names with file and line a
// way that nobody has walked. (That the shipped talks walk all is held by TestConversations.)
func TestFlowsCoverage(t *testing.T) {
	t.Parallel()
	recordings := t.TempDir()
	if err := os.Mkdir(filepath.Join(recordings, "talks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(recordings, "talks", "leg.txt"), []byte("# Legs.\nflow: leg\n\n> no\n> 3 weeks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := lookout(t, "", "flows", "coverage", "--recordings", recordings)
	if err == nil || !strings.Contains(err.Error(), "flows/leg.yaml:15: no talk goes leg/since expired → quiet: write one") || strings.Contains(err.Error(), "leg/since answered → done") ||
		!regexp.MustCompile(`leg +[1-9]\d* of +[1-9]\d* ways walked  leg\.txt`).MatchString(out) || !strings.Contains(out, "ways walked; talks played: 1") {
		t.Errorf("one talk: %v\n%s", err, out)
	}
}

func TestFlowsGraphShowsTheWords(t *testing.T) {
	t.Parallel()
	out, err := lookout(t, "", "flows", "graph", "leg")
	if err != nil || strings.Count(out, "flowchart TD") != 1 || !strings.Contains(out, "Since when?") || !strings.Contains(out, `-->|"not understood"|`) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = lookout(t, "", "flows", "graph", "leg", "--format", "svg")
	if err != nil || !strings.HasPrefix(out, "<svg ") || !strings.Contains(out, "Since when?") {
		t.Errorf("as SVG: %v\n%s", err, out)
	}
	if _, err = lookout(t, "", "flows", "graph", "--format", "svg"); err == nil || !strings.Contains(err.Error(), "name one flow") {
		t.Errorf("all flows as SVG: %v", err)
	}
	out, err = lookout(t, "", "flows", "graph")
	if err != nil || strings.Count(out, "flowchart TD") < 9 {
		t.Errorf("all flows: %v, %d pictures", err, strings.Count(out, "flowchart TD"))
	}
}

// A talk that was played by hand is a test: it is read back, and goes as it went.
func TestFlowsTrySavesATest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "leg.txt")
	args := []string{"flows", "try", "leg", "--save", path, "--fact", "tablets=tamoxifen"}
	if _, err := lookout(t, "no\n3 weeks ago\n", args...); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rehearsal.ReadScript(path, string(text))
	if err != nil || c.Flow != "leg" || c.Facts["tablets"] != "tamoxifen" || len(c.Talks) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if got := rehearsal.Answers(c.Talks[0]); got != "no\n3 weeks ago\n" || !strings.Contains(c.Talks[0], "the talk ended: completed") {
		t.Errorf("it holds %q:\n%s", got, c.Talks[0])
	}
	if _, err := lookout(t, "no\n", args...); err == nil {
		t.Error("a test that is there was written over")
	}
}

// A played talk shows what she is told, what was read, and what a nurse gets.
func TestFlowsTry(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, in string
		args     []string
		want     []string // in this order
		not      string
	}{
		{name: "a correction, a second row that is the same", in: "no\nyes\nmy hip aches\n3 weeks\n3\nsorry, meant 8\n8\n:quit\n",
			want: []string{"Any change", "Any pain", "row for the nurse: soon", "contact you by", "own words", "added to the row", "Since when?", "How bad", "ease it?", "How bad", "row for the nurse: urgent", "ring you", "ease it?"}},
		{name: "an emergency ends the talk", in: "I can't feel my legs and I've wet myself\nno\n",
			want: []string{"read as emergency", "999", "the talk ended: emergency"}, not: "Any pain"},
		{name: "the clock: a reminder, then silence", in: ":wait 2d\n:wait 1w\n",
			want: []string{"not had your reply", "row for the nurse: routine, no-answer", "the talk ended: expired"}},
		{name: "a fact takes its branch", in: "no\nno\nno\n:quit\n", args: []string{"--fact", "tablets=tamoxifen;age=61"}, want: []string{"daily tablets"}},
		{name: "and another the other", in: "no\nno\nno\n:quit\n", args: []string{"--fact", "lobular=true"}, want: []string{"felt low"}, not: "daily tablets"},
		{name: "what is no command", in: ":wait soon\n:foo\n:quit\n", want: []string{"write it like :wait", "there are :wait 2d and :quit"}, not: "read as"},
		{name: "in Welsh", in: ":quit\n", args: []string{"--locale", "cy"}, want: []string{"Helo Mary"}},
	} {
		out, err := lookout(t, x.in, append([]string{"flows", "try", "check-in"}, x.args...)...)
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		rest := out
		for _, want := range x.want {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("%s: no %q where it belongs in\n%s", x.name, want, out)
				break
			}
			rest = after
		}
		if x.not != "" && strings.Contains(out, x.not) {
			t.Errorf("%s: %q should not be in\n%s", x.name, x.not, out)
		}
	}
}

func TestFlowsTryRefusesFactsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, fact := range []string{"tablet=tamoxifen", "tablets=asprin", "age=old", "age=-1", "male=maybe"} {
		name, _, _ := strings.Cut(fact, "=")
		if _, err := lookout(t, "", "flows", "try", "check-in", "--fact", fact); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", fact, err)
		}
	}
}
