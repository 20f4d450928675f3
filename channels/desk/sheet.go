package desk

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusans"
	"github.com/go-fonts/dejavu/dejavusansbold"

	"lookout/bot"
)

// sheetPage shows a sheet, to be read and printed.
func (d *Desk) sheetPage(w http.ResponseWriter, r *http.Request, u bot.User) error {
	c, s, err := d.openSheet(r, u, "read sheet: ")
	if err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "sheet", view{"Title": s.Title, "Sheet": s, "Patient": c.Patient, "Sheets": bot.Sheets, "Today": d.now(), "MayLink": mayLink(&c.Patient) && slices.Contains(bot.HerSheets, s.Key), "Sent": r.URL.Query().Has("sent")})
	return nil
}

// sheetPDF gives the same as a file. The page is the form that everybody can read;
// no library that we can use writes a PDF with a structure for screen readers.
func (d *Desk) sheetPDF(w http.ResponseWriter, r *http.Request, u bot.User) error {
	_, s, err := d.openSheet(r, u, "export sheet: ")
	if err != nil {
		return err
	}
	file, err := pdfOf(&s, d.now())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `attachment; filename="`+s.Key+`.pdf"`)
	w.Write(file)
	return nil
}

func (d *Desk) openSheet(r *http.Request, u bot.User, did string) (bot.Case, bot.Sheet, error) {
	c, err := d.Bot.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return c, bot.Sheet{}, err
	}
	s, err := d.Bot.Sheet(r.PathValue("key"), &c)
	if err != nil {
		return c, s, err
	}
	return c, s, d.audit(r, u, did+s.Key, c.Patient.ID, "")
}

// sheetLink texts her a link to the sheet, which opens when she has said who she is.
func (d *Desk) sheetLink(w http.ResponseWriter, r *http.Request, u bot.User) error {
	id, key := r.PathValue("id"), r.PathValue("key")
	if err := d.Bot.SendSheet(bot.Audited(r.Context(), entry(r, u, "text her a link to her "+key, "", "")), id, key, u.Email); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/patients/"+id+"/sheets/"+key+"?sent", http.StatusSeeOther)
	return nil
}

// mayLink says whether a link can be texted to her, and opened.
func mayLink(p *bot.Patient) bool {
	phone, _ := p.Address("sms")
	return phone.At != "" && p.BirthDate != "" && p.Status != bot.Stopped && p.Status != bot.Ended
}

// pdfOf is the sheet on one page of A4.
func pdfOf(s *bot.Sheet, day time.Time) ([]byte, error) {
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
	facts := func(list []bot.Fact) {
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
			text("", 10, "• "+m.Words())
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
