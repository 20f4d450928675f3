package content

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"lookout/flows"
)

// The shipped texts are held to the style; what breaks a rule says why in its own file.
func TestShippedPackHasNoStyleFaults(t *testing.T) {
	t.Parallel()
	if faults := shipped(t).Lint(); len(faults) > 0 {
		t.Error(faults)
	}
}

// small is the shipped pack with other texts, flows and plans.
func small(t *testing.T, shipped *Pack, archive *txtar.Archive) *Pack {
	t.Helper()
	p := *shipped
	p.plans, p.files = map[string]*Plan{}, map[string][]byte{}
	flowFiles := fstest.MapFS{}
	for _, f := range archive.Files {
		p.files[f.Name] = f.Data
		if name, ok := strings.CutPrefix(f.Name, "flows/"); ok {
			flowFiles[name] = &fstest.MapFile{Data: f.Data}
		}
	}
	c := &checker{speaks: p.service.style}
	p.texts = c.texts(p.files)
	for _, err := range c.faults {
		t.Errorf("it has another fault too: %v", err)
	}
	var err error
	if p.program, err = flows.Load(fs.FS(flowFiles), &p); err != nil {
		t.Errorf("it has another fault too: %v", err)
		return &p
	}
	c = &checker{}
	p.plans = c.plans(&p)
	for _, err := range c.faults {
		t.Errorf("it has another fault too: %v", err)
	}
	return &p
}

// Each mistake of testdata/wrong is found where it stands; in the languages that have
// it, and nowhere else. The first line of each file says what must be found first:
// "# FILE:LINE CHECK: MESSAGE".
func TestEveryStyleMistakeIsFound(t *testing.T) {
	t.Parallel()
	pack := shipped(t)
	files, err := filepath.Glob("testdata/wrong/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no wrong files:", err)
	}
	found := map[string]bool{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(strings.TrimSpace(string(archive.Comment)), "# ")
		p := small(t, pack, archive)
		if p.program == nil {
			continue
		}
		faults := p.Lint()
		var got []string
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%s:%d %s: %s", f.File, f.Line, f.Code, f.Message))
			if f.Mend == "" || f.Code != faults[0].Code {
				t.Errorf("%s: a fault without a mend, or another than the first: %+v", file, f)
			}
			found[f.Code] = true
		}
		if len(got) == 0 || got[0] != want || len(got) > 2 {
			t.Errorf("%s: found\n%s\nwant\n%s", file, strings.Join(got, "\n"), want)
		}
	}
	manual, err := os.ReadFile("../docs/content.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("lint.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?:l\.fault\([^"]*|l\.ofText\(t, [^"]*(?:"en-GB", )?)"([a-z-]+)"`).FindAllStringSubmatch(strings.ReplaceAll(string(source), `"flows/"`, "flows/"), -1)
	if len(codes) < 10 {
		t.Errorf("the checks of lint.go are not found: %v", codes)
	}
	for _, m := range codes {
		if code := m[1]; !found[code] && code != "en-GB" {
			t.Errorf("no wrong file shows the check %s", code)
		} else if !strings.Contains(string(manual), "`"+code+"`") && code != "en-GB" {
			t.Errorf("docs/content.md does not explain the check %s", code)
		}
	}
	for code := range found {
		if !slices.Contains(lintCodes, code) && !slices.Contains([]string{"never", "falls", "lower", "planned", "row", "except", "unmeant"}, code) {
			t.Errorf("the check %s is in no list", code)
		}
	}
}
