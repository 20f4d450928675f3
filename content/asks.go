package content

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"lookout/flows"
	"lookout/flows/triage"
)

// Ask is what a whole message asks for, beside the command words: a flow, at once.
type Ask struct {
	Flow string
	Link bool              // a link to her page goes with it
	Keep map[string]string // what is recorded before the flow begins, by the names of docs/flows.md
	Days []time.Weekday    // the days that her words name
}

type asksFile struct {
	flows.About `yaml:",inline"`
	// Names are the words of the days, of the parts of a day and of lengths of time.
	Days    map[string]map[string][]string `yaml:"days"`
	Parts   map[string]partOfDay           `yaml:"parts"`
	Lengths []lengthWord                   `yaml:"lengths"`
	Asks    []askFile                      `yaml:"asks"`
}

type partOfDay struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// lengthWord is a word for so many weeks.
type lengthWord struct {
	Weeks float64  `yaml:"weeks"`
	Words []string `yaml:"words"`
}

type askFile struct {
	Flow  string            `yaml:"flow"`
	Link  bool              `yaml:"link"`
	Keep  map[string]string `yaml:"keep"`
	Words []string          `yaml:"en-GB"`
	Welsh []string          `yaml:"cy"`
}

const asksPath = "service/asks.yaml"

// asks are those of a pack, ready to be looked up. The zero asks are none.
type asks struct {
	by    map[string]Ask // by plain words, those without {days}
	days  []dayForm
	named map[string]time.Weekday // by their words
	parts map[string][2]int       // minutes after midnight
	weeks map[string]float64
}

// dayForm is an ask with days in it.
type dayForm struct {
	form   *regexp.Regexp
	ask    Ask
	except bool
}

var weekdays = map[string]time.Weekday{"monday": time.Monday, "tuesday": time.Tuesday, "wednesday": time.Wednesday,
	"thursday": time.Thursday, "friday": time.Friday, "saturday": time.Saturday, "sunday": time.Sunday}

// PlainWords are the words of a short text, without case and marks.
func PlainWords(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '-'
	}), " ")
}

// asks reads service/asks.yaml. A pack from before it has none.
func (c *checker) asks(files map[string][]byte) asks {
	out := asks{by: map[string]Ask{}, named: map[string]time.Weekday{}, parts: map[string][2]int{}, weeks: map[string]float64{}}
	var f asksFile
	if files[asksPath] == nil || !c.decode(asksPath, files[asksPath], &f) {
		return out
	}
	for _, key := range sortedKeys(f.Days) {
		day, ok := weekdays[key]
		if !ok {
			c.fault(asksPath, 1, "%q is not a day: use monday to sunday", key)
		}
		for _, words := range f.Days[key] {
			for _, w := range words {
				out.named[PlainWords(w)] = day
			}
		}
	}
	for _, key := range []string{"morning", "afternoon", "evening"} {
		from, err1 := time.Parse("15:04", f.Parts[key].From)
		to, err2 := time.Parse("15:04", f.Parts[key].To)
		if err1 != nil || err2 != nil || !from.Before(to) {
			c.fault(asksPath, 1, "parts: %s needs a time from which and one to which it goes, like 12:00", key)
		}
		out.parts[key] = [2]int{from.Hour()*60 + from.Minute(), to.Hour()*60 + to.Minute()}
	}
	for _, l := range f.Lengths {
		for _, w := range l.Words {
			out.weeks[PlainWords(w)] = l.Weeks
		}
	}
	for i, a := range f.Asks {
		for _, record := range sortedKeys(a.Keep) {
			if !keeps(record, a.Keep[record], out.parts) {
				c.fault(asksPath, 1, "asks: number %d keeps %s: %q, which is none of its values", i+1, record, a.Keep[record])
			}
		}
		for _, phrase := range slices.Concat(a.Words, a.Welsh) {
			ask := Ask{Flow: a.Flow, Link: a.Link, Keep: a.Keep}
			if !strings.Contains(phrase, "{days}") {
				if _, twice := out.by[PlainWords(phrase)]; twice {
					c.fault(asksPath, 1, "asks: %q stands there twice", phrase)
				}
				out.by[PlainWords(phrase)] = ask
				continue
			}
			before, after, _ := strings.Cut(phrase, "{days}")
			form := regexp.QuoteMeta(PlainWords(before)) + " (.+) " + regexp.QuoteMeta(PlainWords(after))
			out.days = append(out.days, dayForm{regexp.MustCompile("^" + strings.TrimSpace(form) + "$"), ask, a.Keep["texts_day"] == "except"})
		}
		if len(a.Words) == 0 || len(a.Welsh) == 0 {
			c.fault(asksPath, 1, "asks: number %d needs words in both languages", i+1)
		}
	}
	return out
}

// keeps says whether a record may have a value.
func keeps(record, value string, parts map[string][2]int) bool {
	_, part := parts[value]
	_, day := weekdays[value]
	switch record {
	case "texts_time":
		return part || value == "any"
	case "texts_day":
		return day || value == "any" || value == "these" || value == "except" // of {days}
	}
	return false
}

// Ask gives what a whole message asks for; false: nothing that service/asks.yaml has.
func (p *Pack) Ask(message string) (Ask, bool) {
	words := PlainWords(message)
	if words == "" || len(words) > 80 {
		return Ask{}, false
	}
	if ask, ok := p.asks.by[words]; ok {
		return ask, true
	}
	for _, f := range p.asks.days {
		m := f.form.FindStringSubmatch(words)
		if m == nil {
			continue
		}
		if days := p.asks.daysIn(m[1]); len(days) > 0 {
			ask := f.ask
			if f.except {
				days = slices.DeleteFunc([]time.Weekday{1, 2, 3, 4, 5, 6, 0}, func(d time.Weekday) bool { return slices.Contains(days, d) })
			}
			ask.Days = days
			return ask, true
		}
	}
	return Ask{}, false
}

// between are the words that stand between days.
var between = []string{"and", "or", "a", "ac", "neu", "on", "ar"}

// daysIn reads "monday and friday"; nil when there is another word in it.
func (a *asks) daysIn(words string) []time.Weekday {
	var days []time.Weekday
	words = strings.ReplaceAll(strings.ReplaceAll(words, "ddydd ", ""), "dydd ", "")
	for _, w := range strings.Fields(words) {
		day, ok := a.named[w]
		switch {
		case ok && !slices.Contains(days, day):
			days = append(days, day)
		case !ok && !slices.Contains(between, w):
			return nil
		}
	}
	return days
}

// PartOfDay gives the minutes after midnight of "morning", "afternoon" or "evening".
func (p *Pack) PartOfDay(key string) (from, to int, ok bool) {
	part, ok := p.asks.parts[key]
	return part[0], part[1], ok
}

// Weekday gives a day by its English name in small letters.
func Weekday(key string) (time.Weekday, bool) {
	d, ok := weekdays[key]
	return d, ok
}

// WeeksOf is how many weeks a number of hers means: "2 months" is 8.
func (p *Pack) WeeksOf(number float64, words string) float64 {
	for _, w := range strings.Fields(PlainWords(words)) {
		if weeks := p.asks.weeks[w]; weeks > 0 {
			return number * weeks
		}
	}
	return number
}

// askFlows are the flows that messages start.
func (a *asks) flows() []string {
	names := map[string]bool{}
	for _, x := range a.by {
		names[x.Flow] = true
	}
	for _, x := range a.days {
		names[x.ask.Flow] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// askable checks what asks name, once everything is read.
func (c *checker) askable(p *Pack) {
	for _, flow := range p.asks.flows() {
		if p.program != nil && !p.program.Has(flow) {
			c.fault(asksPath, 1, "there is no flow %q", flow)
		}
	}
	for _, words := range sortedKeys(p.asks.by) {
		if p.lexicon != nil && triage.Read(p.lexicon, words, nil, triage.Profile{}, nil).Command != "" {
			c.fault(asksPath, 1, "%q is a command word already: it would never come here", words)
		}
	}
}

// Uses says whether a text leaves a placeholder open.
func (p *Pack) Uses(id, name string) bool {
	t := p.texts[id]
	return t != nil && strings.Contains(t.wording["en-GB"], "{"+name+"}")
}
