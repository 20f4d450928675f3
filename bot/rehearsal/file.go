package rehearsal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/bot"
)

const (
	// Dashes are the line that parts the conversations of a file.
	Dashes  = "---"
	nothing = "nothing"
)

// Conversation is one of a file: its settings, and its turns.
type Conversation struct {
	file  string
	first int // number of its first line in the file

	Heading    []string // with the empty line at its end
	enrolments []bot.Enrolment
	Setting

	opening []string // what happens when she is enrolled
	turns   []turn
	closing []string // remarks behind the last turn
}

// Setting is where and when a conversation takes place.
type Setting struct {
	Nation     string // of content/service/nations.yaml
	ClosedDoor bool   // the hospital has no open access
	Duty       []bot.Duty
	Begin      time.Time
}

// turn is one thing that is done, and what the file says comes of it.
type turn struct {
	line    int // from 0, within the conversation
	remarks []string
	does    string
	outs    []string
}

// at is a place of the file.
func (c *Conversation) at(line int) string { return fmt.Sprintf("%s:%d", c.file, c.first+line) }

// ReadConversations reads a file, strictly. The README beside the files (content/conversations)
// is the contract.
func ReadConversations(file, text string) ([]*Conversation, error) {
	var out []*Conversation
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for first := 0; first <= len(lines); {
		last := first
		for last < len(lines) && lines[last] != Dashes {
			last++
		}
		c := &Conversation{file: file, first: first + 1, Setting: Setting{Nation: "england-and-wales"}}
		if err := c.read(lines[first:last]); err != nil {
			return nil, err
		}
		out = append(out, c)
		first = last + 1
	}
	return out, nil
}

func (c *Conversation) read(lines []string) error {
	body := slices.Index(lines, "") + 1
	if body == 0 {
		return fmt.Errorf("%s: an empty line has to part the heading from the turns", c.at(0))
	}
	c.Heading = lines[:body]
	if !strings.HasPrefix(lines[0], "# ") {
		return fmt.Errorf("%s: the heading has to begin with `# what it shows`", c.at(0))
	}
	for i, line := range lines[:body-1] {
		if err := c.setting(line); err != nil {
			return fmt.Errorf("%s: %w", c.at(i), err)
		}
	}
	if c.Begin.IsZero() {
		return fmt.Errorf("%s: the heading has to end with a clock", c.at(body-2))
	}
	if c.Duty == nil {
		c.Duty, _ = ReadDuty("Ann 07700900901, Bea 07700900902")
	}
	for i := range c.enrolments {
		if e := &c.enrolments[i]; e.TreatmentEnded == "" {
			e.TreatmentEnded = c.Begin.AddDate(0, 0, -20).Format(time.DateOnly)
		}
	}
	var remarks []string
	outs := &c.opening
	for i, line := range lines[body:] {
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
			remarks = append(remarks, line)
			continue
		case isOutput(line):
			if len(remarks) > 0 {
				return fmt.Errorf("%s: remarks stand before what is done, not before what happens", c.at(body+i))
			}
			*outs = append(*outs, line)
			continue
		}
		if who, what, ok := strings.Cut(line, ": "); !ok || what == "" || !c.does(who) {
			return fmt.Errorf("%s: %q is neither done nor happens: see content/conversations/README.md", c.at(body+i), line)
		}
		c.turns = append(c.turns, turn{line: body + i, remarks: remarks, does: line})
		outs, remarks = &c.turns[len(c.turns)-1].outs, nil
	}
	c.closing = remarks
	return nil
}

// does says whether somebody of that name can do anything.
func (c *Conversation) does(who string) bool {
	m := modifier.FindStringSubmatch(who)
	if m == nil {
		return false
	}
	_, number := e164(m[1])
	return number || slices.Contains([]string{"clock", "desk", "carrier"}, who) || m[1] == "her" && len(c.enrolments) == 1 ||
		slices.ContainsFunc(c.enrolments, func(e bot.Enrolment) bool { return e.GivenName == m[1] }) ||
		slices.ContainsFunc(c.Duty, func(d bot.Duty) bool { return d.Name == m[1] })
}

// isOutput says whether a line tells what happens.
func isOutput(line string) bool {
	what, _, ok := strings.Cut(line, ": ")
	word, rest, _ := strings.Cut(what, " ")
	switch {
	case line == nothing:
		return true
	case !ok:
		return false
	case rest == "":
		return slices.Contains([]string{"lookout", "form", "row", "plan", "then", "refused"}, word)
	}
	return word == "page" || strings.HasPrefix(what, "lookout to ") || what == "lookout in the chat" || rest == "is"
}

// setting reads a line of the heading.
func (c *Conversation) setting(line string) error {
	name, value, _ := strings.Cut(line, ": ")
	if !c.Begin.IsZero() {
		return errors.New("the clock has to be the last line of the heading")
	}
	var err error
	switch {
	case strings.HasPrefix(line, "# "):
	case name == "shows":
	case name == "nation":
		c.Nation = value
	case line == "open access: no":
		c.ClosedDoor = true
	case name == "duty":
		c.Duty, err = ReadDuty(value)
	case name == "patient":
		var e bot.Enrolment
		if e, err = readPatient(value); err == nil {
			c.enrolments = append(c.enrolments, e)
		}
	case name == "clock":
		var zone *time.Location
		if zone, err = time.LoadLocation("Europe/London"); err == nil {
			c.Begin, err = clockTime(value, zone)
		}
	default:
		err = fmt.Errorf("%q is no line of a heading: see content/conversations/README.md", line)
	}
	return err
}

// ReadDuty reads who is paged, in order: "Ann 07700900901, Bea 07700900902".
func ReadDuty(text string) ([]bot.Duty, error) {
	var duty []bot.Duty
	for one := range strings.SplitSeq(text, ", ") {
		name, local, _ := strings.Cut(one, " ")
		number, ok := e164(local)
		if !ok {
			return nil, fmt.Errorf("%q is no name with a number from 07700900000 to 07700900999", one)
		}
		duty = append(duty, bot.Duty{Name: name, Addresses: []bot.Address{{Channel: Channel, At: number}}})
	}
	return duty, nil
}

func readPatient(text string) (bot.Enrolment, error) {
	parts := strings.Split(text, ", ")
	e := bot.Enrolment{GivenName: parts[0], FamilyName: "Jones", BirthDate: "1961-04-30", Locale: "en-GB", ConsentSMS: true}
	if len(parts) < 2 {
		return e, errors.New("a patient has a name and a number")
	}
	var ok bool
	if e.Phone, ok = e164(parts[1]); !ok {
		return e, fmt.Errorf("%q is no number from 07700900000 to 07700900999", parts[1])
	}
	for _, fact := range parts[2:] {
		tablets, isTablets := strings.CutPrefix(fact, "tablets ")
		ended, isEnd := strings.CutPrefix(fact, "treatment ended ")
		switch {
		case fact == "Welsh":
			e.Locale = "cy"
		case fact == "both languages":
			e.Locale = "both"
		case fact == "not asked yet":
			e.ConsentSMS = false
		case fact == "on chemotherapy":
			e.Profile.OnChemo, e.Profile.ChemoKnown = true, true
		case isTablets:
			e.Profile.Tablets = tablets
		case isEnd:
			e.TreatmentEnded = ended
		default:
			return e, fmt.Errorf("%q is nothing that a patient line says", fact)
		}
	}
	return e, nil
}
