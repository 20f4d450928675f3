package rehearsal

import (
	"slices"
	"strings"
	"testing"

	"lookout/content"
)

// What a conversation is on a real store (bot's TestWholeConversations) it is in memory
// too, and playing it on the same content twice shows no difference.
func TestInMemoryAsOnAFile(t *testing.T) {
	t.Parallel()
	pack, err := content.Load(content.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	recordings, err := ReadRecordings(content.Embedded())
	if err != nil || !Has(content.Embedded()) || recordings.Count() < 100 {
		t.Fatalf("%d recordings: %v", recordings.Count(), err)
	}
	few := &Recordings{}
	for _, c := range recordings.Whole {
		if c.file == "conversations/paging.txt" || c.file == "conversations/shared-phone.txt" || c.file == "conversations/clock-changes.txt" {
			few.Whole = append(few.Whole, c)
		}
	}
	for _, s := range recordings.Scripts {
		if s.Flow == "leg" {
			few.Scripts = append(few.Scripts, s)
		}
	}
	if len(few.Whole) < 3 || len(few.Scripts) == 0 {
		t.Fatal("the conversations have gone")
	}
	for _, c := range few.Whole {
		played, err := c.Play(t.Context(), pack, nil)
		if err != nil {
			t.Fatal(err)
		}
		was := slices.Clone(c.Heading)
		was = append(was, c.opening...)
		for _, turn := range c.turns {
			was = append(append(append(was, turn.remarks...), turn.does), turn.outs...)
		}
		if was = append(was, c.closing...); !slices.Equal(was, played.Lines) {
			t.Errorf("%s goes otherwise in memory:\n%s", c.at(0), strings.Join(played.Lines, "\n"))
		}
	}
	n := 0
	differences, err := few.Differs(t.Context(), pack, pack, func(i int) { n = i })
	if err != nil || len(differences) > 0 || n != few.Count() {
		t.Errorf("the same content twice: %v, %d of %d played, %v", differences, n, few.Count(), err)
	}
}

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

// A recording that a pack cannot play is no end of the comparison.
func TestARecordingThatCannotBePlayed(t *testing.T) {
	t.Parallel()
	if _, err := ReadScript("f", "flow: leg"); err == nil {
		t.Error("a heading without a talk is read")
	}
	if _, err := ReadScript("f", "# x\ncolour: blue\n\n> no\n"); err == nil || !strings.HasPrefix(err.Error(), "f:2: ") {
		t.Errorf("a heading that is none: %v", err)
	}
}
