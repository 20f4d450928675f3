package rehearsal

import (
	"strings"
	"testing"
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

// A file of talks that is not written as it has to be is refused, at its line.
func TestTalkFilesAreStrict(t *testing.T) {
	t.Parallel()
	if _, err := ReadScript("f", "flow: leg"); err == nil {
		t.Error("a heading without a talk is read")
	}
	if _, err := ReadScript("f", "# x\ncolour: blue\n\n> no\n"); err == nil || !strings.HasPrefix(err.Error(), "f:2: ") {
		t.Errorf("a heading that is none: %v", err)
	}
}
