package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each line of docs/hazards.md names tests and conversations that exist, or the
// issue that will close it; and no hazard has lost its line.
func TestHazardsTable(t *testing.T) {
	tests := testNames(t)
	table, err := os.ReadFile("../../docs/hazards.md")
	if err != nil {
		t.Fatal(err)
	}
	shows := map[string][]string{} // what each whole conversation says that it shows
	files, err := filepath.Glob("../../content/conversations/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, m := range regexp.MustCompile(`(?m)^shows: (.+)$`).FindAllSubmatch(text, -1) {
			ids = append(ids, strings.Split(string(m[1]), ", ")...)
		}
		shows[filepath.Base(file)] = ids
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !regexp.MustCompile(`^ (HZ|T)\d+ $`).MatchString(cells[1]) {
			continue
		}
		have[strings.TrimSpace(cells[1])] = true
		shown, open := strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])
		if shown == "" && open == "" {
			t.Errorf("%s is neither shown nor open", cells[1])
		}
		for name := range strings.SplitSeq(shown, ", ") {
			if name == "" || tests[name] {
				continue
			}
			_, err := os.Stat(filepath.Join("../../content/talks", name))
			if _, whole := shows[name]; err != nil && !whole {
				t.Errorf("%s: there is no test or conversation %s", cells[1], name)
			}
			if id := strings.TrimSpace(cells[1]); shows[name] != nil {
				shows[name] = slices.DeleteFunc(shows[name], func(s string) bool { return s == id })
			}
		}
	}
	for file, ids := range shows {
		if len(ids) > 0 {
			t.Errorf("%s says that it shows %v, and their lines do not name it", file, ids)
		}
	}
	for n := 1; n <= 16; n++ {
		if id := "HZ" + string("0123456789"[n/10]) + string("0123456789"[n%10]); !have[strings.Replace(id, "HZ0", "HZ", 1)] {
			t.Errorf("%s has no line", id)
		}
	}
}

// testNames are the tests that there are.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	named := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range named.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// Each line of docs/asvs.md says how it stands with a reason, and names tests that exist.
func TestASVSTable(t *testing.T) {
	tests := testNames(t)
	table, err := os.ReadFile("../../docs/asvs.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !regexp.MustCompile(`^ \d+\.\d+\.\d+ $`).MatchString(cells[1]) {
			continue
		}
		id, state := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[3])
		if lines[id] {
			t.Errorf("%s stands there twice", id)
		}
		lines[id] = true
		if !slices.Contains([]string{"met", "partly", "no", "yours", "–"}, state) {
			t.Errorf("%s: %q is no state", id, state)
		}
		for _, name := range regexp.MustCompile(`Test[A-Z][A-Za-z0-9]+`).FindAllString(cells[4], -1) {
			if !tests[name] {
				t.Errorf("%s: there is no test %s", id, name)
			}
		}
	}
	if len(lines) < 200 {
		t.Errorf("%d lines were read", len(lines))
	}
}
