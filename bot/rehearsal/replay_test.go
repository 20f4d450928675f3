package rehearsal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lookout/content"
	"lookout/flows"
)

// Two courses are laid beside one another by what they have in common, with a few lines
// round what is otherwise; words alone are told as such.
func TestDifference(t *testing.T) {
	t.Parallel()
	told := func(lines ...string) []Told {
		var out []Told
		for _, l := range lines {
			words, course, ok := strings.Cut(l, "|")
			if !ok {
				course = words
			}
			out = append(out, Told{words, course})
		}
		return out
	}
	show := func(d *Difference) string {
		var out []string
		for _, l := range d.Lines {
			out = append(out, strings.TrimSpace(l.On+" "+l.Words))
		}
		return strings.Join(out, "; ")
	}
	if d := difference(told("a", "b"), told("a", "b")); d != nil {
		t.Errorf("the same: %+v", d)
	}
	d := difference(told("1", "2", "3", "her: no", "Old words|text", "end"), told("1", "2", "3", "her: no", "row", "New words|text", "end"))
	if d.Words || show(d) != "…; 3; her: no; now row; New words; end" {
		t.Errorf("another course: %v %s", d.Words, show(d))
	}
	if d := difference(told("Old|text", "end"), told("New|text", "end")); !d.Words || show(d) != "before Old; now New; end" {
		t.Errorf("other words: %v %s", d.Words, show(d))
	}
}

// A file of talks that is not written as it has to be is refused, with every mistake at
// its line, as a flow is.
func TestTalkFilesAreStrict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"flow: leg": "f:1 heading; f:1 heading",
		"# x\ncolour: blue\nchannel: fax\n\n> no\n":                        "f:1 flow; f:2 heading; f:3 heading",
		"# x\nflow: leg\n\n> no\nshe: no\n   [read as none]\n":             "f:5 line",
		"# x\nflow: leg\n\n# a\n> no\n# b\n---\n> :wait soon\n> :form a\n": "f:6 line; f:8 command; f:9 command",
		"# x\nflow: leg\n\nlookout: Well?\n---\n> no\n":                    "f:4 empty",
		"# x\nflow: leg\nchannel: chat\nlocale: cy\n\nlookout: Which?\n         1 this\n> :form a: 1 / b: 2\n   [the talk ended: completed]\n": "",
	} {
		_, err := ReadScript("f", text)
		var faults flows.Faults
		if errors.As(err, &faults) != (want != "") {
			t.Errorf("%q: %v", text, err)
		}
		var got []string
		for _, x := range faults {
			got = append(got, fmt.Sprintf("%s:%d %s", x.File, x.Line, x.Code))
		}
		slices.SortStableFunc(got, strings.Compare)
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("%q: %s, want %s", text, all, want)
		}
	}
}

// A talk that asks for what the content does not have, goes otherwise than it stands, or
// does not end, is told at its line.
func TestTalksAreHeldToTheContent(t *testing.T) {
	t.Parallel()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadScript("f", "# x\nflow: lag\nfact: tall=true\nfact: age=old\n\n> no\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range s.Check(pack) {
		got = append(got, fmt.Sprintf("%d %s", x.Line, x.Code))
	}
	if all := strings.Join(got, "; "); all != "2 no-flow; 3 fact; 4 fact" {
		t.Errorf("found %s", all)
	}
	s, err = ReadScript("f", "# x\nflow: times\nchannel: chat\n\n> :form part: morning / day: Friday\n---\n"+
		"lookout: Here are a few short questions. Answer what you can.\n   [form, part: when]\n> :form part: morning\n")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := s.Otherwise(pack, nil)
	if err != nil || len(faults) != 1 || faults[0].Line != 8 || faults[0].Code != "otherwise" {
		t.Errorf("%v, %v", faults, err)
	}
}
