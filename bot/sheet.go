package bot

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lookout/content"
	"lookout/flows/triage"
)

// Sheet is a page about a person that she can hold, with her facts in it.
type Sheet struct {
	content.Sheet
	Who     []Fact // who she is and whose patient
	History []Fact
	Told    []Told // what is open, the longest first
	Met     []Met
	Tests   []string
	Words   string // what she wrote last about the most dangerous of it
	WordsAt time.Time

	TreatmentHeading, WordsHeading string // in her voice, or about her
}

// Fact is one thing that stands on a sheet.
type Fact struct{ Key, Value string }

// Told is one thing that she told of and that is not over.
type Told struct {
	Name        string
	First, Last time.Time
	Times       int
	Worse       bool
}

// Sheets are the pages that each person has; HerSheets are those that are hers to open by
// herself: the letter to her GP is read by a nurse before it is given out.
var (
	Sheets    = []string{"summary", "gp-letter", "ae-card"}
	HerSheets = []string{"summary", "ae-card"}
)

// Sheet fills a sheet for somebody. [ErrNotFound]: there is none of that key.
func (b *Bot) Sheet(key string, c *Case) (Sheet, error) {
	service, pack := b.service, b.content
	vars := pack.NationVars(cmp.Or(c.Patient.Nation, service.Nation))
	vars["nurse_line"], vars["cancer_line"], vars["service"] = service.NurseLine, service.CancerLine, service.Name
	words, ok := pack.Sheet(key, vars)
	if !ok {
		return Sheet{}, ErrNotFound
	}
	p, x := &c.Patient, &c.Patient.Profile
	s := Sheet{Sheet: words, TreatmentHeading: "My treatment", WordsHeading: "In my own words"}
	if key == "gp-letter" {
		s.TreatmentHeading, s.WordsHeading = "Treatment", "In her own words"
	}
	add := func(to *[]Fact, key, value string) {
		if value != "" {
			*to = append(*to, Fact{key, value})
		}
	}
	add(&s.Who, "Name", p.Name())
	add(&s.Who, "Born", LongDay(p.BirthDate))
	add(&s.Who, "NHS number", SpacedNHSNumber(p.NHSNumber))
	add(&s.Who, "In follow-up with", service.Name)
	add(&s.History, "Treatment ended", LongDay(p.TreatmentEnded))
	add(&s.History, "Side", x.Side)
	add(&s.History, "Last operation", LongDay(x.Surgery))
	for _, yes := range []struct {
		is    bool
		words string
	}{{x.NodesRemoved, "Lymph nodes removed"}, {x.Lymphoedema, "Lymphoedema"}, {x.Implant, "Implant"}, {x.Lobular, "Lobular cancer"}, {x.OnChemo, "On chemotherapy now"},
		{x.Bisphosphonate, "Bisphosphonate"}, {x.Abemaciclib, "Abemaciclib"}, {x.Trastuzumab, "Trastuzumab"}} {
		if yes.is {
			add(&s.History, yes.words, "yes")
		}
	}
	add(&s.History, "Last chemotherapy", LongDay(x.LastChemo))
	add(&s.History, "Hormone tablets", x.Tablets)
	add(&s.History, "Last mammogram", LongDay(x.LastMammogram))
	for _, e := range c.Past {
		concept, ok := pack.Lexicon().Concept(e.Concept)
		if ok && !e.Gone && concept.Level >= triage.Soon {
			s.Told = append(s.Told, Told{concept.Name, e.First, e.Last, e.Times, e.Worsening})
		}
	}
	slices.SortStableFunc(s.Told, func(x, y Told) int { return x.First.Compare(y.First) })
	if key != "ae-card" {
		s.Met = c.Met
	}
	if words.Tests {
		s.Tests = pack.FilterTests()
	}
	var worst *Row
	for i := range c.Rows {
		if r := &c.Rows[i]; r.State != Closed && r.Referral == nil && (worst == nil || r.Level > worst.Level) {
			worst = r
		}
	}
	if worst != nil {
		s.Words, s.WordsAt = worst.Message, worst.OpenedAt
	}
	return s, nil
}

// Since says in plain words from when to when she told of it.
func (t Told) Since() string {
	words := "since " + t.First.Format("2 January 2006")
	if t.Times > 1 {
		words += fmt.Sprintf(", told %d times, last on %s", t.Times, t.Last.Format("2 January 2006"))
	}
	if t.Worse {
		words += ", getting worse"
	}
	return words
}

// LongDay writes a day as people do; "" stays "".
func LongDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 January 2006")
}

// SpacedNHSNumber writes an NHS number as people read it.
func SpacedNHSNumber(n string) string {
	if len(n) != 10 {
		return n
	}
	return n[:3] + " " + n[3:6] + " " + n[6:]
}

// Words says a criterion with its day.
func (m Met) Words() string {
	words := m.Label
	if !m.Since.IsZero() {
		words += ", since " + m.Since.Format("2 January 2006")
	}
	if m.Why != "" {
		words += " (" + m.Why + ")"
	}
	return words
}
