package desk

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusans"
	"github.com/go-fonts/dejavu/dejavusansbold"

	"lookout/bot"
	"lookout/content"
	"lookout/flows/triage"
)

// sheet is a page about a person that she can hold, with her facts in it.
type sheet struct {
	content.Sheet
	Who     []fact // who she is and whose patient
	History []fact
	Told    []told // what is open, the longest first
	Met     []bot.Met
	Tests   []string
	Words   string // what she wrote last about the most dangerous of it
	WordsAt time.Time

	TreatmentHeading, WordsHeading string // in her voice, or about her
}

type fact struct{ Key, Value string }

// told is one thing that she told of and that is not over.
type told struct {
	Name        string
	First, Last time.Time
	Times       int
	Worse       bool
}

// sheets are the pages that each person has.
var sheets = []string{"summary", "gp-letter", "ae-card"}

// sheetOf fills a sheet for somebody.
func (d *Desk) sheetOf(key string, c *bot.Case) (sheet, error) {
	service, pack := d.Bot.Service(), d.Bot.Content()
	vars := pack.NationVars(cmp.Or(c.Patient.Nation, service.Nation))
	vars["nurse_line"], vars["cancer_line"], vars["service"] = service.NurseLine, service.CancerLine, service.Name
	words, ok := pack.Sheet(key, vars)
	if !ok {
		return sheet{}, bot.ErrNotFound
	}
	p, x := &c.Patient, &c.Patient.Profile
	s := sheet{Sheet: words, TreatmentHeading: "My treatment", WordsHeading: "In my own words"}
	if key == "gp-letter" {
		s.TreatmentHeading, s.WordsHeading = "Treatment", "In her own words"
	}
	add := func(to *[]fact, key, value string) {
		if value != "" {
			*to = append(*to, fact{key, value})
		}
	}
	add(&s.Who, "Name", p.Name())
	add(&s.Who, "Born", longDay(p.BirthDate))
	add(&s.Who, "NHS number", spaced(p.NHSNumber))
	add(&s.Who, "In follow-up with", service.Name)
	add(&s.History, "Treatment ended", longDay(p.TreatmentEnded))
	add(&s.History, "Side", x.Side)
	add(&s.History, "Last operation", longDay(x.Surgery))
	for _, yes := range []struct {
		is    bool
		words string
	}{{x.NodesRemoved, "Lymph nodes removed"}, {x.Lymphoedema, "Lymphoedema"}, {x.Implant, "Implant"}, {x.Lobular, "Lobular cancer"}, {x.OnChemo, "On chemotherapy now"},
		{x.Bisphosphonate, "Bisphosphonate"}, {x.Abemaciclib, "Abemaciclib"}, {x.Trastuzumab, "Trastuzumab"}} {
		if yes.is {
			add(&s.History, yes.words, "yes")
		}
	}
	add(&s.History, "Last chemotherapy", longDay(x.LastChemo))
	add(&s.History, "Hormone tablets", x.Tablets)
	add(&s.History, "Last mammogram", longDay(x.LastMammogram))
	for _, e := range c.Past {
		concept, ok := pack.Lexicon().Concept(e.Concept)
		if ok && !e.Gone && concept.Level >= triage.Soon {
			s.Told = append(s.Told, told{concept.Name, e.First, e.Last, e.Times, e.Worsening})
		}
	}
	slices.SortStableFunc(s.Told, func(x, y told) int { return x.First.Compare(y.First) })
	if key != "ae-card" {
		s.Met = c.Met
	}
	if words.Tests {
		s.Tests = pack.FilterTests()
	}
	var worst *bot.Row
	for i := range c.Rows {
		if r := &c.Rows[i]; r.State != bot.Closed && r.Referral == nil && (worst == nil || r.Level > worst.Level) {
			worst = r
		}
	}
	if worst != nil {
		s.Words, s.WordsAt = worst.Message, worst.OpenedAt
	}
	return s, nil
}

// longDay writes a day as people do; "" stays "".
func longDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 January 2006")
}

// spaced writes an NHS number as people read it.
func spaced(n string) string {
	if len(n) != 10 {
		return n
	}
	return n[:3] + " " + n[3:6] + " " + n[6:]
}

// Since says in plain words from when to when she told of it.
func (t told) Since() string {
	words := "since " + t.First.Format("2 January 2006")
	if t.Times > 1 {
		words += fmt.Sprintf(", told %d times, last on %s", t.Times, t.Last.Format("2 January 2006"))
	}
	if t.Worse {
		words += ", getting worse"
	}
	return words
}

// sheetPage shows a sheet, to be read and printed.
func (d *Desk) sheetPage(w http.ResponseWriter, r *http.Request, u bot.User) error {
	c, s, err := d.openSheet(r, u, "read sheet: ")
	if err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "sheet", view{"Title": s.Title, "Sheet": s, "Patient": c.Patient, "Sheets": sheets, "Today": d.now()})
	return nil
}

// sheetPDF gives the same as a file. The page is the form that everybody can read;
// no library that we can use writes a PDF with a structure for screen readers.
func (d *Desk) sheetPDF(w http.ResponseWriter, r *http.Request, u bot.User) error {
	_, s, err := d.openSheet(r, u, "export sheet: ")
	if err != nil {
		return err
	}
	file, err := s.pdf(d.now())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `attachment; filename="`+s.Key+`.pdf"`)
	w.Write(file)
	return nil
}

func (d *Desk) openSheet(r *http.Request, u bot.User, did string) (bot.Case, sheet, error) {
	c, err := d.Bot.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return c, sheet{}, err
	}
	s, err := d.sheetOf(r.PathValue("key"), &c)
	if err != nil {
		return c, s, err
	}
	return c, s, d.audit(r, u, did+s.Key, c.Patient.ID, "")
}

// pdf is the sheet on one page of A4.
func (s *sheet) pdf(day time.Time) ([]byte, error) {
	f := fpdf.New("P", "mm", "A4", "")
	f.SetLang("en-GB")
	f.SetTitle(s.Title, true)
	f.AddUTF8FontFromBytes("sans", "", dejavusans.TTF)
	f.AddUTF8FontFromBytes("sans", "B", dejavusansbold.TTF)
	f.SetMargins(18, 16, 18)
	f.SetAutoPageBreak(true, 14)
	f.AddPage()
	text := func(style string, size float64, words string) {
		f.SetFont("sans", style, size)
		f.MultiCell(0, size*0.5, words, "", "L", false)
		f.Ln(1)
	}
	heading := func(words string) { f.Ln(1.5); text("B", 11, words) }
	text("B", 18, s.Title)
	text("", 10, s.Intro)
	facts := func(list []fact) {
		for _, x := range list {
			text("", 10, x.Key+": "+x.Value)
		}
	}
	facts(s.Who)
	if len(s.History) > 0 {
		heading(s.TreatmentHeading)
		facts(s.History)
	}
	if s.Words != "" {
		heading(s.WordsHeading + ", " + s.WordsAt.Format("2 January 2006"))
		text("", 10, "“"+s.Words+"”")
	}
	if len(s.Told) > 0 {
		heading("What is not over")
		for _, t := range s.Told {
			text("", 10, "• "+t.Name+", "+t.Since())
		}
	}
	if len(s.Met) > 0 {
		heading("Criteria for non-specific symptoms (NSS) that are met")
		for _, m := range s.Met {
			text("", 10, "• "+met(m))
		}
	}
	heading(s.AskHeading)
	for _, ask := range s.Ask {
		text("", 10, "• "+ask)
	}
	if len(s.Tests) > 0 {
		heading("Core filter tests")
		text("", 10, strings.Join(s.Tests, ", ")+".")
	}
	f.Ln(2)
	text("", 9, s.Closing)
	text("", 8, "Made on "+day.Format("2 January 2006")+" by lookout. The words and rules in use have not been approved by a clinician.")
	var out bytes.Buffer
	err := f.Output(&out)
	return out.Bytes(), err
}

// met says a criterion with its day.
func met(m bot.Met) string {
	words := m.Label
	if !m.Since.IsZero() {
		words += ", since " + m.Since.Format("2 January 2006")
	}
	if m.Why != "" {
		words += " (" + m.Why + ")"
	}
	return words
}
