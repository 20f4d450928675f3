package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
	"lookout/content"
	"lookout/flows/triage"
)

// row shows the case of a row.
func (d *Desk) row(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := d.Bot.Look(r.Context(), row.ID, u.Email); err != nil {
		return err
	}
	return d.showCase(w, r, u, row.Patient, row.ID, http.StatusOK, view{})
}

// link texts her a one-time link to the web chat.
func (d *Desk) link(w http.ResponseWriter, r *http.Request, u bot.User) error {
	id := r.PathValue("id")
	if err := d.Bot.SendLink(bot.Audited(r.Context(), entry(r, u, "text her a link to the chat", "", "")), id, u.Email); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/patients/"+id, http.StatusSeeOther)
	return nil
}

// call keeps what she said on the telephone, and leads to the row that it belongs to.
func (d *Desk) call(w http.ResponseWriter, r *http.Request, u bot.User) error {
	id, words := r.PathValue("id"), r.PostFormValue("text")
	row, err := d.Bot.TookCall(bot.Audited(r.Context(), entry(r, u, "write down a call from her", "", "")), id, u.Email, words)
	var wrong *bot.FieldError
	if errors.As(err, &wrong) {
		return d.showCase(w, r, u, id, "", http.StatusUnprocessableEntity, view{"Fault": fieldNames[wrong.Field] + " " + wrong.Problem, "At": "call", "Call": words})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/rows/"+row.ID, http.StatusSeeOther)
	return nil
}

// endCarer takes back what she has let somebody see, at her word.
func (d *Desk) endCarer(w http.ResponseWriter, r *http.Request, u bot.User) error {
	id := r.PathValue("id")
	if err := d.Bot.EndCarer(bot.Audited(r.Context(), entry(r, u, "end a carer's access", "", r.PathValue("carer"))), id, r.PathValue("carer"), u.Email); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/patients/"+id, http.StatusSeeOther)
	return nil
}

// photo shows a photo that she sent, to somebody who works the queue, each time with
// an entry in the audit. Nothing in it can run, and no browser keeps it.
func (d *Desk) photo(w http.ResponseWriter, r *http.Request, u bot.User) error {
	id, name := r.PathValue("id"), r.PathValue("name")
	photo, err := d.Bot.Photo(r.Context(), id, name)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "look at photo", id, name); err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "image/jpeg")
	head.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Content-Disposition", "inline; filename=photo.jpg")
	_, err = w.Write(photo)
	return err
}

func (d *Desk) patient(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showCase(w, r, u, r.PathValue("id"), "", http.StatusOK, view{})
}

// moment is one line of the timeline, ready to show.
type moment struct {
	bot.Moment
	Who     string
	Machine bool
	Spans   []bot.Span // of Text: what was found in it
}

// showCase shows a case. What stands in more is shown beside it: a fault, what
// happened since, what was typed.
func (d *Desk) showCase(w http.ResponseWriter, r *http.Request, u bot.User, patient, rowID string, status int, more view) error {
	c, err := d.Bot.Case(r.Context(), patient)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read patient", patient, rowID); err != nil {
		return err
	}
	var row *bot.Row
	for i := range c.Rows {
		if c.Rows[i].ID == rowID || (rowID == "" && row == nil && c.Rows[i].State != bot.Closed) {
			row = &c.Rows[i]
		}
	}
	everything := r.URL.Query().Get("timeline") == "everything"
	timeline := d.moments(r.Context(), &c)
	if !everything {
		timeline = slices.DeleteFunc(timeline, func(m moment) bool { return m.Machine && machinery[m.Kind] })
	}
	pack := d.Bot.Content()
	phone, _ := c.Patient.Address("sms")
	v := view{"Title": c.Patient.Name(), "Case": c, "Row": row, "Moments": timeline, "Everything": everything, "Phone": phone.At, "MayLink": mayLink(&c.Patient), "Emergency": triage.Emergency, "Urgent": triage.Urgent,
		"Ask": []string(nil), "Findings": []triage.Finding(nil), "Rung": []moment(nil), "Mine": false, "Offered": false, "MayTakeOver": false, "Looking": []string(nil), "Drafts": map[string]string{},
		"Expected": d.expected(&c, nil), "Trends": trends(pack, &c), "Changes": d.changes(&c), "Upto": upto(&c), "Levels": levels, "Sheets": bot.Sheets, "Plans": pack.PlanChoices(),
		"RingResults": pack.RingResults(), "Texts": []choice(nil), "Colleagues": []bot.User(nil), "Fault": "", "At": "", "Since": []moment(nil), "Check": nil, "Call": "",
		"Tomorrow": d.Bot.Service().Hours.Next(midnight(d.now(), 1)), "MaxExpected": d.Now().AddDate(0, 0, 28), "Today": d.now()}
	if row != nil {
		if err := d.aboutRow(r, u, &c, row, v); err != nil {
			return err
		}
	}
	for key, x := range more {
		v[key] = x
	}
	d.show(w, r, status, "case", v)
	return nil
}

// machinery is what lookout notes for itself: it stands in the timeline when
// somebody asks for it.
var machinery = map[bot.EntryKind]bool{bot.EntryFlow: true, bot.EntryPlan: true}

// aboutRow adds what the case shows of one row.
func (d *Desk) aboutRow(r *http.Request, u bot.User, c *bot.Case, row *bot.Row, v view) error {
	pack := d.Bot.Content()
	v["Ask"], v["Expected"] = pack.AskNext(row.Concern), d.expected(c, row)
	v["Mine"], v["Offered"] = row.ClaimedBy == u.Email, row.OfferedTo == u.Email
	v["MayTakeOver"] = row.State == bot.Claimed && row.ClaimedBy != u.Email && u.Role == bot.Lead
	var findings []triage.Finding
	var rung []moment
	for _, m := range slices.Backward(c.Moments) { // the reading that speaks of this concern, latest first
		if m.Reading != nil && findings == nil {
			for _, f := range m.Reading.Findings {
				if pack.Concern(f.Concept) == row.Concern {
					findings = append(findings, f)
				}
			}
		}
		if m.Kind == bot.EntryRing && m.Ref == row.ID {
			rung = append(rung, moment{Moment: m, Who: d.person(r.Context(), m.By)})
		}
	}
	v["Findings"], v["Rung"] = findings, rung
	if row.State == bot.Closed {
		return nil
	}
	looking, err := d.Bot.Looking(r.Context())
	if err != nil {
		return err
	}
	v["Looking"] = slices.DeleteFunc(looking[row.ID], func(who string) bool { return who == u.Email || who == row.ClaimedBy })
	if row.ClaimedBy != u.Email {
		return nil
	}
	if v["Drafts"], err = d.Bot.Drafts(r.Context(), row.ID, u.Email); err != nil {
		return err
	}
	v["Texts"] = d.texts(r, c.Patient.ID)
	v["Colleagues"], err = d.colleagues(r, u)
	return err
}

// upto is the last entry of her journal that the page shows.
func upto(c *bot.Case) int64 {
	if len(c.Moments) == 0 {
		return 0
	}
	return c.Moments[len(c.Moments)-1].Seq
}

// moments are her timeline, newest first, with what was found in her words.
func (d *Desk) moments(ctx context.Context, c *bot.Case) []moment {
	found := map[string][]bot.Span{}
	for _, m := range c.Moments {
		if m.Reading == nil || m.Why != "" { // several texts read as one are in no one of them
			continue
		}
		for _, f := range m.Reading.Findings {
			if f.Polarity != "denied" && f.Level > triage.None {
				found[m.Ref] = append(found[m.Ref], bot.Span{Start: f.Start, End: f.End, Concept: f.Concept})
			}
		}
	}
	names := map[string]string{}
	var out []moment
	for _, m := range slices.Backward(c.Moments) {
		x := moment{Moment: m}
		switch m.By {
		case "patient":
			x.Who = cmp.Or(c.Patient.GivenName, "Unknown number")
		case "carer":
			x.Who = d.Bot.CarerName(&c.Patient, m.Ref)
		case "lookout", "carrier":
			x.Who, x.Machine = "Lookout, automatic", true
		default:
			if names[m.By] == "" {
				names[m.By] = d.person(ctx, m.By)
			}
			x.Who = names[m.By]
		}
		if m.Kind == bot.EntryIn {
			x.Spans = found[m.Carrier]
		}
		out = append(out, x)
	}
	return out
}

// changed is what is different since somebody last spoke with her, or closed a row.
type changed struct {
	When             time.Time
	What             string
	Wrote            int
	New, Worse, Gone []string
	Weight           string
}

func (d *Desk) changes(c *bot.Case) *changed {
	var x *changed
	for _, m := range slices.Backward(c.Moments) {
		human := m.By != "patient" && m.By != "lookout" && m.By != "carrier" && m.By != "carer"
		if human && (m.Kind == bot.EntryRing && (m.Why == bot.RangUs || d.spoke(m.Why)) || m.Kind == bot.EntryRow && strings.HasPrefix(m.Why, "closed")) {
			x = &changed{When: m.At, What: d.person(context.Background(), m.By) + ": " + m.Why}
			break
		}
	}
	if x == nil {
		return nil
	}
	for _, m := range c.Moments {
		if m.Kind == bot.EntryIn && m.At.After(x.When) {
			x.Wrote++
		}
	}
	for _, e := range c.Past {
		concept, _ := d.Bot.Content().Lexicon().Concept(e.Concept)
		switch {
		case !e.Last.After(x.When) || concept.Level < triage.Soon:
		case e.Gone:
			x.Gone = append(x.Gone, concept.Name)
		case e.Worsening:
			x.Worse = append(x.Worse, concept.Name)
		case e.Times <= 1:
			x.New = append(x.New, concept.Name)
		}
	}
	if n := len(c.Weights); n > 1 && c.Weights[n-1].At.After(x.When) {
		x.Weight = fmt.Sprintf("%.1f kg, and %.1f kg before", c.Weights[n-1].Kg, c.Weights[n-2].Kg)
	}
	return x
}

// spoke says whether a call's result, as the journal has it, was a talk with her.
func (d *Desk) spoke(label string) bool {
	return slices.ContainsFunc(d.Bot.Content().RingResults(), func(c content.Choice) bool { return c.Spoke && c.Label == label })
}

// expectable is a concept of hers that can be, or is, known and expected.
type expectable struct {
	Concept, Name string
	Until         time.Time // the zero time: it is not
}

// expected lists what is marked as expected, and what of the row could be.
func (d *Desk) expected(c *bot.Case, row *bot.Row) []expectable {
	var out []expectable
	for _, e := range c.Past {
		concept, ok := d.Bot.Content().Lexicon().Concept(e.Concept)
		marked := e.ExpectedUntil.After(d.Now())
		if !ok || concept.Level >= triage.Emergency || e.Gone || !marked && (row == nil || d.Bot.Content().Concern(e.Concept) != row.Concern) {
			continue
		}
		x := expectable{Concept: e.Concept, Name: concept.Name}
		if marked {
			x.Until = e.ExpectedUntil.AddDate(0, 0, -1)
		}
		out = append(out, x)
	}
	return out
}

// levels are what a nurse may say that a row should have been.
var levels = []triage.Level{triage.Emergency, triage.Urgent, triage.Soon, triage.Routine, triage.None}

// choice is an approved text with its words as she would get them.
type choice struct {
	content.Choice
	Words string
	Age   int // the reading age
}

func (d *Desk) texts(r *http.Request, patient string) []choice {
	var out []choice
	for _, t := range d.Bot.Content().DeskTexts() {
		words, err := d.Bot.Preview(r.Context(), bot.Saying{Patient: patient, TextID: t.Key})
		if err == nil {
			out = append(out, choice{t, words, content.ReadingAge(words)})
		}
	}
	return out
}

// acting is the context of an act: what it changes is committed with the audit entry of it.
func (d *Desk) acting(r *http.Request, u bot.User, did string) context.Context {
	return bot.Audited(r.Context(), entry(r, u, did, "", r.PathValue("id")))
}

// act is what a form does to a row; the form says which state of it was on the screen.
func act(r *http.Request, u bot.User) bot.Act {
	seen, _ := strconv.Atoi(r.PostFormValue("seen"))
	return bot.Act{Row: r.PathValue("id"), By: u.Email, Seen: seen}
}

// on makes a page of an act on a row: it goes back to the row, or shows it with what
// was wrong. What was typed is never lost.
func (d *Desk) on(did, field string, do func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error)) page {
	return func(w http.ResponseWriter, r *http.Request, u bot.User) error {
		row, err := do(d.acting(r, u, did), r, act(r, u))
		if err != nil {
			return d.refused(w, r, u, field, err)
		}
		if err := d.Bot.PutDraft(r.Context(), row.ID, u.Email, field, ""); err != nil {
			return err
		}
		http.Redirect(w, r, "/desk/rows/"+row.ID, http.StatusSeeOther)
		return nil
	}
}

// refused shows the case with what was wrong, and keeps what was typed in its field.
func (d *Desk) refused(w http.ResponseWriter, r *http.Request, u bot.User, field string, err error) error {
	var stale *bot.StaleError
	var wrong *bot.FieldError
	id := r.PathValue("id")
	more := view{"At": field}
	status := http.StatusConflict
	switch {
	case errors.As(err, &stale):
		more["Fault"] = "This case has changed since you opened the page. Nothing was done yet: look at what is new, then do it again."
	case errors.As(err, &wrong):
		status = http.StatusUnprocessableEntity
		more["Fault"] = fieldNames[wrong.Field] + " " + wrong.Problem
	case errors.Is(err, bot.ErrRefused):
		more["Fault"] = "That is not possible: " + strings.TrimPrefix(err.Error(), "refused: ")
	default:
		return err
	}
	row, e := d.Bot.Row(r.Context(), id)
	if e != nil {
		return e
	}
	if row.State == bot.Closed {
		return err
	}
	if stale != nil {
		if more["Since"], e = d.since(r, row.Patient); e != nil {
			return e
		}
	}
	if text := r.PostFormValue("text"); text != "" && field != "" {
		if e := d.Bot.PutDraft(r.Context(), id, u.Email, field, text); e != nil {
			return e
		}
	}
	return d.showCase(w, r, u, row.Patient, id, status, more)
}

// since is what happened since the page was made that a form came from.
func (d *Desk) since(r *http.Request, patient string) ([]moment, error) {
	seen, _ := strconv.ParseInt(r.PostFormValue("upto"), 10, 64)
	c, err := d.Bot.Case(r.Context(), patient)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(d.moments(r.Context(), &c), func(m moment) bool { return m.Seq <= seen || m.Reading != nil }), nil
}

// when reads a day and a time of the service's clock from a form.
func (d *Desk) when(r *http.Request) (time.Time, error) {
	switch r.PostFormValue("when") {
	case "hour":
		return d.Now().Add(time.Hour), nil
	case "hours":
		return d.Now().Add(3 * time.Hour), nil
	case "tomorrow":
		return d.Bot.Service().Hours.Next(midnight(d.now(), 1)), nil
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", r.PostFormValue("day")+" "+cmp.Or(r.PostFormValue("time"), "09:00"), d.Bot.Service().Location)
	if err != nil {
		return at, &bot.FieldError{Field: "until", Problem: "must be one of the times, or a day and a time"}
	}
	return at, nil
}

// rowActs are the acts of the case page, by what stands behind the row's address.
func (d *Desk) rowActs() map[string]page {
	b := d.Bot
	return map[string]page{
		"take":     d.on("take row", "", func(ctx context.Context, _ *http.Request, a bot.Act) (bot.Row, error) { return b.Take(ctx, a) }),
		"release":  d.on("give row back", "", func(ctx context.Context, _ *http.Request, a bot.Act) (bot.Row, error) { return b.Release(ctx, a) }),
		"takeover": d.on("take row over", "", func(ctx context.Context, _ *http.Request, a bot.Act) (bot.Row, error) { return b.TakeOver(ctx, a) }),
		"turndown": d.on("turn offered row down", "", func(ctx context.Context, _ *http.Request, a bot.Act) (bot.Row, error) { return b.TurnDown(ctx, a) }),
		"undo":     d.on("take closing back", "", func(ctx context.Context, _ *http.Request, a bot.Act) (bot.Row, error) { return b.UndoClose(ctx, a) }),
		"ring": d.on("ring", "", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			return b.Ring(ctx, a, r.PostFormValue("result"))
		}),
		"note": d.on("note", "note", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			return b.Note(ctx, a, r.PostFormValue("text"))
		}),
		"plan": d.on("note plan", "plan", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			plan, ok := b.Content().PlanChoice(r.PostFormValue("plan"))
			if !ok {
				return bot.Row{}, &bot.FieldError{Field: "plan", Problem: "is missing: choose one of the list"}
			}
			return b.Note(ctx, a, strings.TrimSpace("Plan: "+plan.Label+". "+r.PostFormValue("text")))
		}),
		"putoff": d.on("put row off", "putoff", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			until, err := d.when(r)
			if err != nil {
				return bot.Row{}, err
			}
			return b.PutOff(ctx, a, until, r.PostFormValue("text"))
		}),
		"offer": d.on("offer row", "offer", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			return b.Offer(ctx, a, r.PostFormValue("to"), r.PostFormValue("text"))
		}),
		"level": d.on("say that the level is wrong", "level", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			level, err := triage.ParseLevel(r.PostFormValue("should"))
			if err != nil {
				return bot.Row{}, &bot.FieldError{Field: "level", Problem: "is missing: choose what it should have been"}
			}
			return b.WrongLevel(ctx, a, level, r.PostFormValue("text"))
		}),
		"expect": d.on("mark as expected", "expect", func(ctx context.Context, r *http.Request, a bot.Act) (bot.Row, error) {
			row, err := b.Row(ctx, a.Row)
			if err != nil {
				return row, err
			}
			x := bot.Expecting{Patient: row.Patient, Concept: r.PostFormValue("concept"), By: a.By, Why: r.PostFormValue("text")}
			if r.PostFormValue("back") == "" {
				if x.Until, err = time.ParseInLocation(time.DateOnly, r.PostFormValue("day"), b.Service().Location); err != nil {
					return row, &bot.FieldError{Field: "until", Problem: "must be a day"}
				}
			}
			return row, b.Expect(ctx, x)
		}),
		"text": d.text,
	}
}

// textCheck is what a text costs and asks of its reader.
type textCheck struct {
	Words string
	Parts int
	Age   int
}

// text sends her a text, or shows what it would be.
func (d *Desk) text(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	a := act(r, u)
	s := bot.Saying{Patient: row.Patient, Row: row.ID, By: u.Email, Seen: a.Seen, TextID: r.PostFormValue("text_id"), Words: r.PostFormValue("text")}
	if r.PostFormValue("check") != "" {
		words, err := d.Bot.Preview(r.Context(), s)
		if err != nil {
			return d.refused(w, r, u, "text", err)
		}
		if err := d.Bot.PutDraft(r.Context(), row.ID, u.Email, "text", s.Words); err != nil {
			return err
		}
		return d.showCase(w, r, u, row.Patient, row.ID, http.StatusOK, view{"Check": &textCheck{words, d.Segments(words), content.ReadingAge(words)}, "At": "text"})
	}
	if err := d.Bot.Say(d.acting(r, u, "text her"), s); err != nil {
		return d.refused(w, r, u, "text", err)
	}
	if err := d.Bot.PutDraft(r.Context(), row.ID, u.Email, "text", ""); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/rows/"+row.ID, http.StatusSeeOther)
	return nil
}

// looking is said by an open page now and then.
func (d *Desk) looking(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if err := d.Bot.Look(r.Context(), r.PathValue("id"), u.Email); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// version says which state of a row the desk has, so that an open page can ask
// whether it is still that. It says nothing of a patient.
func (d *Desk) version(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	fmt.Fprint(w, row.Changed)
	return nil
}

// draft keeps what she has begun to write, while she writes it.
func (d *Desk) draft(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	field := r.PostFormValue("field")
	if !slices.Contains(draftFields, field) {
		return &bot.FieldError{Field: "text", Problem: "belongs to no field that is kept"}
	}
	if err := d.Bot.PutDraft(r.Context(), row.ID, u.Email, field, r.PostFormValue("text")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// draftFields are the fields whose text is kept while it is written.
var draftFields = []string{"note", "text", "plan", "putoff", "offer", "level", "expect", "close"}
