package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"lookout/content"
)

// The folders of recordings, beside those of the pack.
const (
	wholeFolder = "conversations"
	talkFolder  = "talks"
)

// Recordings are conversations and talks that were written down.
type Recordings struct {
	Whole   []*Conversation
	Scripts []*Script
}

// Has says whether a content folder has recordings of its own.
func Has(fsys fs.FS) bool {
	for _, folder := range []string{wholeFolder, talkFolder} {
		if files, err := fs.Glob(fsys, folder+"/*.txt"); err == nil && len(files) > 0 {
			return true
		}
	}
	return false
}

// ReadRecordings reads conversations/*.txt and talks/*.txt of a content folder. The
// error joins all faults.
func ReadRecordings(fsys fs.FS) (*Recordings, error) {
	r := &Recordings{}
	var faults []error
	for _, folder := range []string{wholeFolder, talkFolder} {
		files, err := fs.Glob(fsys, folder+"/*.txt")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := fs.ReadFile(fsys, file)
			if err != nil {
				return nil, err
			}
			if folder == wholeFolder {
				whole, err := ReadConversations(file, string(text))
				faults = append(faults, err)
				r.Whole = append(r.Whole, whole...)
				continue
			}
			script, err := ReadScript(file, string(text))
			if faults = append(faults, err); script != nil {
				r.Scripts = append(r.Scripts, script)
			}
		}
	}
	return r, errors.Join(faults...)
}

// Count is how many there are to play.
func (r *Recordings) Count() int { return len(r.Whole) + r.Talks() }

// Talks is how many of them are talks of one flow.
func (r *Recordings) Talks() int {
	n := 0
	for _, s := range r.Scripts {
		n += len(s.Talks)
	}
	return n
}

// Difference is a recording that goes otherwise on another pack.
type Difference struct {
	Where string // file and line
	Shows string // what the recording shows
	// Words says that it takes the same course, in other words.
	Words bool
	Lines []DiffLine
}

// DiffLine is a line of a Difference: on both packs (""), or only "before" or "now".
type DiffLine struct{ On, Words string }

// Differs plays every recording on two packs, in memory, and gives those that go
// otherwise on the second, in their order. played is called after each.
func (r *Recordings) Differs(ctx context.Context, before, now *content.Pack, played func(n int)) ([]Difference, error) {
	var out []Difference
	n := 0
	compare := func(where, shows string, play func(*content.Pack) ([]Told, error)) error {
		n++
		was, errWas := play(before)
		is, errIs := play(now)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// A recording that one pack cannot play says so in its place.
		for told, err := range map[*[]Told]error{&was: errWas, &is: errIs} {
			if err != nil {
				*told = []Told{same("it cannot be played: " + err.Error())}
			}
		}
		if d := difference(was, is); d != nil {
			d.Where, d.Shows = where, shows
			out = append(out, *d)
		}
		played(n)
		return nil
	}
	for _, c := range r.Whole {
		err := compare(c.at(0), strings.TrimPrefix(c.Heading[0], "# "), func(pack *content.Pack) ([]Told, error) {
			p, err := c.Play(ctx, pack, nil)
			if err != nil {
				return nil, err
			}
			return p.Told, nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, s := range r.Scripts {
		for i, talk := range s.Talks {
			shows := strings.TrimPrefix(s.Heading[:strings.IndexByte(s.Heading+"\n", '\n')], "# ")
			if own, ok := strings.CutPrefix(talk, "# "); ok {
				shows, _, _ = strings.Cut(own, "\n")
			}
			err := compare(fmt.Sprintf("%s:%d", s.File, s.first[i]), shows, func(pack *content.Pack) ([]Told, error) {
				p, err := s.Play(pack, talk, nil)
				if err != nil {
					return nil, err
				}
				return p.Told, nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// around is how many lines that are the same are shown round one that is not.
const around = 2

// difference compares two courses; nil when not even a word is otherwise.
func difference(was, is []Told) *Difference {
	if slices.Equal(was, is) {
		return nil
	}
	course := func(t Told) string { return t.Course }
	d := &Difference{Words: slices.EqualFunc(was, is, func(a, b Told) bool { return a.Course == b.Course })}
	if d.Words {
		course = func(t Told) string { return t.Words }
	}
	all := align(was, is, course)
	near := make([]bool, len(all))
	for i, l := range all {
		if l.On != "" {
			for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
				near[j] = true
			}
		}
	}
	for i, l := range all {
		switch {
		case near[i]:
			d.Lines = append(d.Lines, l)
		case i == 0 || near[i-1]:
			d.Lines = append(d.Lines, DiffLine{"", "…"})
		}
	}
	return d
}

// align lays two courses beside one another by their longest common part.
func align(was, is []Told, by func(Told) string) []DiffLine {
	common := make([][]int, len(was)+1)
	for i := range common {
		common[i] = make([]int, len(is)+1)
	}
	for i := len(was) - 1; i >= 0; i-- {
		for j := len(is) - 1; j >= 0; j-- {
			if by(was[i]) == by(is[j]) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []DiffLine
	for i, j := 0, 0; i < len(was) || j < len(is); {
		switch {
		case i < len(was) && j < len(is) && by(was[i]) == by(is[j]):
			out = append(out, DiffLine{"", is[j].Words})
			i, j = i+1, j+1
		case j == len(is) || i < len(was) && common[i+1][j] >= common[i][j+1]:
			out = append(out, DiffLine{"before", was[i].Words})
			i++
		default:
			out = append(out, DiffLine{"now", is[j].Words})
			j++
		}
	}
	return out
}

// Coverage says which ways of a flow the recordings go.
type Coverage struct {
	Flow string
	Ways int
	Open []string // that none goes, as flows.Program.Ways has them
	By   []string // the files of the talks that begin with this flow
}

// Cover plays every recording on a pack, and says for each flow which of its ways are gone.
func (r *Recordings) Cover(ctx context.Context, pack *content.Pack) ([]Coverage, error) {
	gone := map[string]bool{}
	by := map[string][]string{}
	for _, s := range r.Scripts {
		by[s.Flow] = append(by[s.Flow], path.Base(s.File))
		for _, talk := range s.Talks {
			if _, err := s.Play(pack, talk, func(way string) { gone[way] = true }); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range r.Whole {
		if _, err := c.play(ctx, pack, nil, func(way string) { gone[way] = true }); err != nil {
			return nil, err
		}
	}
	var out []Coverage
	for _, flow := range pack.Program().Flows() {
		ways := pack.Program().Ways(flow)
		open := slices.DeleteFunc(slices.Clone(ways), func(way string) bool { return gone[way] })
		out = append(out, Coverage{flow, len(ways), open, by[flow]})
	}
	return out, nil
}
