package content

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lookout/flows"
)

// Entry is one part of the pack for which somebody answers: a flow, a text, or a
// file of one of the other folders.
type Entry struct {
	File string
	Line int    // from 1
	ID   string // "check-in.start"; of a file without ids, its name
	flows.About
	// Welsh is what is said of its Welsh words; "" when it has none.
	Welsh string
}

// Entries lists every part of the pack, in the order of the files.
func (p *Pack) Entries() []Entry { return slices.Clone(p.entries) }

// Drafts are the parts that no clinician has approved.
func (p *Pack) Drafts() []Entry {
	return slices.DeleteFunc(p.Entries(), func(e Entry) bool { return e.Review.Approved() })
}

// Overdue are the parts whose next review should have been before a day.
func (p *Pack) Overdue(day time.Time) []Entry {
	today := day.Format(time.DateOnly)
	return slices.DeleteFunc(p.Entries(), func(e Entry) bool { return e.Review.Next == "" || e.Review.Next >= today })
}

// about checks what stands at the head of a file.
func (c *checker) about(file string, data []byte, a flows.About) {
	if a.Version < 1 {
		c.fault(file, lineOf(data, "version:"), "the version is missing: write `version: 1`, and raise it at every change")
	}
	if a.Source == "" {
		c.fault(file, lineOf(data, "source:"), "the source is missing: say in `source:` where it comes from")
	}
	for _, f := range a.Review.Faults() {
		c.fault(file, lineOf(data, "review:"), "%s: %s", f.Message, f.Mend)
	}
}

// entriesOf lists the parts of the pack, once it is loaded, and checks the heads
// of the files that nobody else has checked.
func (c *checker) entriesOf(p *Pack) []Entry {
	var out []Entry
	for _, file := range sortedKeys(p.files) {
		folder, name, _ := strings.Cut(file, "/")
		name, isYAML := strings.CutSuffix(name, ".yaml")
		switch {
		case !isYAML: // the second reader's numbers belong to the lexicon that they were trained with
		case folder == "texts":
			for _, id := range sortedKeys(p.texts) {
				if t := p.texts[id]; t.file == file {
					out = append(out, Entry{File: file, Line: t.line, ID: id, About: t.about, Welsh: t.welshReview})
				}
			}
		case folder == "flows":
			if p.program != nil {
				out = append(out, Entry{File: file, Line: 1, ID: name, About: p.program.About(name)})
			}
		default:
			var a flows.About
			if yaml.Load(p.files[file], &a) == nil { // else it has been told
				c.about(file, p.files[file], a)
			}
			out = append(out, Entry{File: file, Line: 1, ID: name, About: a})
		}
	}
	return out
}
