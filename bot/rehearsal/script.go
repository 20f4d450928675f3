package rehearsal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
)

// Script is one file of content/talks: a heading of lines with a hash that says what
// it shows, `flow: NAME`, `channel: chat` where it is not text messages, `locale: cy` where
// it is not English, `fact: NAME=VALUE` lines, an empty line, and talks as
// `lookout flows try` plays them, parted by lines of three dashes. A talk may begin
// with lines with a hash. What she writes and the moves of the clock stand behind
// `> `; all else is what lookout says and does.
type Script struct {
	File, Heading, Flow string
	Channel, Locale     string
	Facts               map[string]string
	Talks               []string

	first []int          // line of the file at which each talk begins
	at    map[string]int // line of the heading on which something stands: "flow", or a fact
}

const dashes = Dashes + "\n"

// ReadScript reads a file, strictly. The error is [flows.Faults]: all mistakes at once.
func ReadScript(file, text string) (*Script, error) {
	s := &Script{File: file, Channel: Channel, Locale: "en-GB", Facts: map[string]string{"tablets": "letrozole"}, at: map[string]int{}}
	var faults flows.Faults
	fault := func(line int, code, message, mend string) {
		faults = append(faults, flows.Fault{Code: code, File: file, Line: line, Col: 1, Message: message, Mend: mend})
	}
	head, talks, ok := strings.Cut(text, "\n\n")
	if !ok {
		fault(1, "heading", "no empty line parts the heading from the talks", "put one behind the heading")
	}
	s.Heading = head
	for i, line := range strings.Split(head, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case name == "flow" && value != "":
			s.Flow, s.at["flow"] = value, i+1
		case name == "channel" && (value == Chat || value == Channel):
			s.Channel = value
		case name == "locale" && (value == "cy" || value == "en-GB"):
			s.Locale = value
		case name == "fact" && strings.Contains(value, "="):
			field, is, _ := strings.Cut(value, "=")
			s.Facts[field], s.at[field] = is, i+1
		default:
			fault(i+1, "heading", fmt.Sprintf("%q is no line of a heading", line), "write `# what it shows`, `flow: NAME`, `channel: chat`, `locale: cy` or `fact: NAME=VALUE`")
		}
	}
	if !strings.HasPrefix(head, "#") {
		fault(1, "heading", "the file does not say what it shows", "begin it with `# what it shows`")
	}
	if s.Flow == "" {
		fault(1, "flow", "the heading names no flow", "write `flow: NAME` into it")
	}
	if !ok {
		return nil, faults
	}
	s.Talks = strings.Split(talks, dashes)
	line := strings.Count(head, "\n") + 3
	for _, talk := range s.Talks {
		s.first = append(s.first, line)
		if Answers(talk) == "" && !strings.Contains(talk, "   [the talk ended: ") {
			fault(line, "empty", "nobody answers anything in this talk", "write what she answers behind `> `, or take the talk out")
		}
		was := "#"
		for one := range strings.SplitSeq(strings.TrimSuffix(talk, "\n"), "\n") {
			sort := sortOf(one, was)
			switch {
			case sort == "":
				fault(line, "line", fmt.Sprintf("%q is nothing that a talk has", one), "begin what she writes with `> `, and what lookout says with `lookout: `; lookout flows check --update writes what lookout says and does")
			case sort == "#" && was != "#":
				fault(line, "line", "a remark stands in the middle of a talk", "put it above the talk")
			case strings.HasPrefix(one, "> :") && !commandForm.MatchString(one):
				fault(line, "command", fmt.Sprintf("%q is no command", one), "write :wait 2d, :form STEP: words / STEP: words, or :quit")
			}
			if sort != "" {
				was = sort
			}
			line++
		}
		line++ // the dashes
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

var commandForm = regexp.MustCompile(`^> :(wait [1-9]\d{0,3}\s*[mhdw]|form \S+: .+|quit)$`)

// under is where the second line of what is said stands.
const under = "         "

// sortOf says what a line of a talk is: a remark (#), hers (>), lookout's (l), beside it
// ([), or nothing that is known.
func sortOf(line, before string) string {
	switch {
	case strings.HasPrefix(line, "# "):
		return "#"
	case strings.HasPrefix(line, "> "), line == ">":
		return ">"
	case strings.HasPrefix(line, "lookout: "), strings.HasPrefix(line, under) && before == "l":
		return "l"
	case strings.HasPrefix(line, "   "):
		return "["
	}
	return ""
}

// Check finds what a file asks for that a pack does not have. The fault names the line.
func (s *Script) Check(pack *content.Pack) flows.Faults {
	var faults flows.Faults
	if !pack.Program().Has(s.Flow) {
		faults = append(faults, flows.Fault{Code: "no-flow", File: s.File, Line: s.at["flow"], Col: 1, Message: fmt.Sprintf("there is no flow %q", s.Flow), Mend: "name one of " + strings.Join(pack.Program().Flows(), ", ")})
	}
	for name, value := range s.Facts {
		if _, err := NewTalk(pack, time.Time{}, map[string]string{name: value}); err != nil {
			faults = append(faults, flows.Fault{Code: "fact", File: s.File, Line: max(s.at[name], 1), Col: 1, Message: err.Error(), Mend: "docs/flows.md lists the facts, each with profile. before it"})
		}
	}
	slices.SortFunc(faults, func(a, b flows.Fault) int { return a.Line - b.Line })
	return faults
}

// Otherwise plays every talk on a pack, and tells at which line of the file one goes
// otherwise than it stands there, or does not end. A talk of nothing but her words is held
// to nothing.
func (s *Script) Otherwise(pack *content.Pack, took func(way string)) (flows.Faults, error) {
	var faults flows.Faults
	for i, was := range s.Talks {
		if !strings.Contains("\n"+was, "\nlookout: ") {
			continue
		}
		played, err := s.Play(pack, was, took)
		if err != nil {
			return nil, err
		}
		fault := flows.Fault{Code: "otherwise", File: s.File, Col: 1, Mend: "mend the content; or, if it is right so, write it anew: lookout flows check --update"}
		is, stands := strings.Split(played.Words, "\n"), strings.Split(was, "\n")
		n := 0
		for n < min(len(is), len(stands)) && is[n] == stands[n] {
			n++
		}
		switch {
		case n < len(is) && n < len(stands):
			fault.Line, fault.Message = s.first[i]+n, fmt.Sprintf("it goes otherwise: %q, and not %q", is[n], stands[n])
		case n < len(is) || n < len(stands):
			fault.Line, fault.Message = s.first[i]+n, "it goes on for longer, or ends before"
		case played.Open:
			fault.Line, fault.Message, fault.Mend = s.first[i]+n-1, "the talk is still open at its end", "answer what is open, or let time go by: > :wait 1w"
		default:
			continue
		}
		faults = append(faults, fault)
	}
	return faults, nil
}

// Update makes the talks what they are on a pack.
func (s *Script) Update(pack *content.Pack) error {
	for i, was := range s.Talks {
		played, err := s.Play(pack, was, nil)
		if err != nil {
			return err
		}
		s.Talks[i] = played.Words
	}
	return nil
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
	t.Took, t.Channel, t.Locale = took, s.Channel, s.Locale
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
