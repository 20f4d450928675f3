package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The command runs the same twice, compares another pack, and writes its page and
// its table; the page is sound for everybody.
func TestSimulateCommand(t *testing.T) {
	folder := t.TempDir()
	other := filepath.Join(folder, "monthly")
	if err := os.CopyFS(other, os.DirFS("../../content")); err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(other, "plans", "standard.yaml")
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, []byte(strings.Replace(string(text), "after: 3m, every: 3m", "after: 3m, every: 1m", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	html, csv := filepath.Join(folder, "page.html"), filepath.Join(folder, "weeks.csv")
	args := []string{"simulate", "--patients", "120", "--days", "91", "--seed", "3"}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	t.Chdir(folder)
	first, err := at(t, now, args...)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := at(t, now.AddDate(1, 0, 0), args...); err != nil || again != first {
		t.Errorf("run again: %v\n%s\n%s", err, first, again)
	}
	out, err := at(t, now, append(args, "--compare", other, "--html", html, "--csv", csv)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"now", "monthly", "Check-ins answered", "Promises kept", "Busiest day", "First symptom to a nurse", "Nobody real answers"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	lines, err := os.ReadFile(csv)
	if err != nil || strings.Count(string(lines), "\n") != 1+2*13 {
		t.Errorf("the table has %d lines, %v", strings.Count(string(lines), "\n"), err)
	}
	page := newBrowser(t).tab()
	page.open("file://" + html)
	page.reads("120 made-up patients")
	page.click("summary", "now")
	page.sound("simulation")
	for _, wrong := range [][]string{{"--patients", "0"}, {"--days", "3"}, {"--from", "soon"}, {"--compare", "/nowhere"}, {"--html", "/nowhere/x.html"}} {
		if _, err := at(t, now, append([]string{"simulate", "--patients", "2", "--days", "7"}, wrong...)...); err == nil {
			t.Errorf("%v: no error", wrong)
		}
	}
}
