package rehearsal

import (
	"fmt"
	"strings"
	"time"

	"lookout/content"
)

// Script is one file of content/talks: a heading of lines with a hash that says what
// it shows, `flow: NAME`, `fact: NAME=VALUE` lines, an empty line, and talks as
// `lookout flows try` plays them, parted by lines of three dashes. A talk may begin
// with lines with a hash. What she writes and the moves of the clock stand behind
// `> `; all else is what lookout says and does.
type Script struct {
	File, Heading, Flow string
	Facts               map[string]string
	Talks               []string
}

const dashes = Dashes + "\n"

// ReadScript reads a file, strictly.
func ReadScript(file, text string) (*Script, error) {
	head, talk, ok := strings.Cut(text, "\n\n")
	if !ok {
		return nil, fmt.Errorf("%s: no empty line parts the heading from the talk", file)
	}
	s := &Script{File: file, Heading: head, Facts: map[string]string{"tablets": "letrozole"}, Talks: strings.Split(talk, dashes)}
	for n, line := range strings.Split(head, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case name == "flow":
			s.Flow = value
		case name == "fact":
			field, is, _ := strings.Cut(value, "=")
			s.Facts[field] = is
		default:
			return nil, fmt.Errorf("%s:%d: the heading has `# what it shows`, `flow: NAME` and `fact: NAME=VALUE`, and not %q", file, n+1, line)
		}
	}
	return s, nil
}

// String is the file with talks as they are now.
func (s *Script) String() string { return s.Heading + "\n\n" + strings.Join(s.Talks, dashes) }

// Answers are what she writes in a talk, and the moves of the clock.
func Answers(talk string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(talk, "\n") {
		if words, ok := strings.CutPrefix(line, "> "); ok {
			out.WriteString(words + "\n")
		}
	}
	return out.String()
}

// PlayedTalk is a talk as it went.
type PlayedTalk struct {
	Words string // as a file has it
	Told  []Told
	Open  bool // it is not over when all is answered
}

// Play plays one of the talks again on a pack, with what she wrote in it.
func (s *Script) Play(pack *content.Pack, talk string, took func(way string)) (*PlayedTalk, error) {
	t, err := NewTalk(pack, time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), s.Facts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	out := &PlayedTalk{}
	t.Took = took
	t.Tell = func(l Line) {
		if l.Course != "" {
			out.Told = append(out.Told, Told{l.String(), l.Course})
		}
	}
	var words strings.Builder
	for line := range strings.Lines(talk) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		words.WriteString(line)
	}
	if err := t.Play(s.Flow, strings.NewReader(Answers(talk)), &words, true); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	out.Words, out.Open = words.String(), t.Active()
	return out, nil
}
