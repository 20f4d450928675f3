package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a change of the content changes stands there in plain words, old and new beside
// one another; and the recorded conversations that it turns go otherwise, with both ways.
func TestContentDiff(t *testing.T) {
	t.Parallel()
	dir := spoilt(t, "leg", "on: {unsure: done}\n    next: done\n    expire: {after: 3d, next: quiet}\n    unclear: {say: ask.unclear-when, times: 1, next: done}\n",
		"on: {unsure: person}\n    next: done\n    expire: {after: 3d, next: quiet}\n    unclear: {say: ask.unclear-when, times: 1, next: done}\n  person: {escalate: routine, concern: not-understood, reason: She cannot say since when., next: done}\n")
	recordings := t.TempDir()
	for _, folder := range []string{"conversations", "talks"} {
		if err := os.Mkdir(filepath.Join(recordings, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	talk := "# Legs.\nflow: leg\n\n# She is not sure.\nlookout: x\n> no\n> not sure\n---\n# Nothing of that.\n> no\n> 3 weeks\n"
	whole := "# A lump is told.\npatient: Mary, 07700900123\nclock: Tue 24 Nov 2026 10:30\n\nher: found a lump in my breast\n---\n" +
		"# The leg.\npatient: Mary, 07700900123\nclock: Tue 24 Nov 2026 10:30\n\ndesk: Ann starts leg\nher: no\nher: not sure\n"
	for file, text := range map[string]string{"talks/leg.txt": talk, "conversations/lump.txt": whole} {
		if err := os.WriteFile(filepath.Join(recordings, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := filepath.Join(dir, "texts", "tablets.yaml")
	was, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, []byte(strings.Replace(string(was), "Are you taking your daily tablets?", "Do you take your daily tablets?", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := lookout(t, "", "content", "diff", "embedded", dir, "--recordings", recordings)
	if err != nil {
		t.Fatal(err)
	}
	rest := out
	for _, want := range []string{
		"Texts\n=====", "English (its version is still", "Are you taking your daily tablets?", "| Do you take your daily tablets?",
		"Flows\n=====", "leg\n  step since", "not sure: done", "| not sure: person",
		"Of 4 recorded conversations 2 would go otherwise, and 0 would take the same course in other words.",
		"conversations/lump.txt:7: The leg.", "before", "now", "row: routine not-understood",
		"talks/leg.txt:4: She is not sure.", "now        [row for the nurse: routine, not-understood",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q where it belongs in\n%s", want, out)
		}
		rest = after
	}
	if strings.Contains(out, "A lump is told") || strings.Contains(out, "Nothing of that") {
		t.Errorf("what goes the same way is told:\n%s", out)
	}
	if _, err := lookout(t, "", "content", "diff", "embedded", dir, "--recordings", dir+"/flows"); err == nil || !strings.Contains(err.Error(), "no conversations") {
		t.Errorf("a folder without recordings: %v", err)
	}
}
