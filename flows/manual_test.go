package flows

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// anyRefs has every text, concept and concern.
type anyRefs struct{}

func (anyRefs) HasText(string) bool    { return true }
func (anyRefs) HasConcept(string) bool { return true }
func (anyRefs) HasConcern(string) bool { return true }

// Every example of docs/flows.md is right: as it stands, or as steps of a flow
// whose other steps are only ends.
func TestTheManualsExamples(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(manual), -1)
	verbs := map[string]bool{}
	for _, m := range examples {
		text := m[1]
		name := "sleep.yaml"
		if !strings.HasPrefix(text, "flow:") {
			first := regexp.MustCompile(`(?m)^  ([a-z_]+):`).FindStringSubmatch(text)[1]
			name, text = "x.yaml", "flow: x\nversion: 1\nreview: {state: draft, author: a}\nsource: s\nstart: "+first+"\nsteps:\n"+text
		}
		for _, v := range regexp.MustCompile(`(ask|form|say|branch|call|wait|escalate):`).FindAllStringSubmatch(text, -1) {
			verbs[v[1]] = true
		}
		files := fstest.MapFS{name: {Data: []byte(text)}, "pain.yaml": {Data: []byte("flow: pain\nversion: 1\nreview: {state: draft, author: a}\nsource: s\nstart: a\nsteps:\n  a: {say: t, end: completed}\n")}}
		_, err := Load(files, anyRefs{})
		var faults Faults
		if errors.As(err, &faults) { // give it the ends that it leads to
			added := map[string]bool{}
			for _, f := range faults {
				if to := regexp.MustCompile(`leads to "([a-z_]+)"`).FindStringSubmatch(f.Message); to != nil && !added[to[1]] {
					added[to[1]] = true
					text += "  " + to[1] + ": {say: t, end: completed}\n"
				}
			}
			files[name] = &fstest.MapFile{Data: []byte(text)}
			_, err = Load(files, anyRefs{})
		}
		if err != nil {
			t.Errorf("an example of the manual is wrong:\n%v\n%s", err, text)
		}
	}
	if len(verbs) != 7 {
		t.Errorf("the manual shows only %v", verbs)
	}
}

// The manual names every fact.
func TestTheManualNamesEveryFact(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(ProfileFields(), ServiceFields()...) {
		if !strings.Contains(string(manual), "`"+f.Name+"`") && !strings.Contains(string(manual), "."+f.Name+"`") {
			t.Errorf("docs/flows.md does not name %s", f.Name)
		}
	}
}
