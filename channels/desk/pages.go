package desk

import (
	"context"
	"encoding/json"
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

// tabs are the views of the queue, in the order in which they are shown.
var tabs = []struct{ Key, Label string }{{"now", "To do now"}, {"today", "Today"}, {"all", "All open"}, {"mine", "Mine"}, {"done", "Done today"}}

// queue is the list: most dangerous first, then least time left.
func (d *Desk) queue(w http.ResponseWriter, r *http.Request, u bot.User) error {
	open, err := d.Bot.Queue(r.Context(), bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed}, Limit: 2000})
	if err != nil {
		return err
	}
	closed, err := d.Bot.Queue(r.Context(), bot.QueueFilter{States: []bot.RowState{bot.Closed}, Limit: 200})
	if err != nil {
		return err
	}
	now := d.Now().In(d.Bot.Service().Location)
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, now.Location())
	in := map[string]func(bot.Row) bool{
		"now":   func(x bot.Row) bool { return x.State == bot.Open && x.DueAt.Before(midnight) },
		"today": func(x bot.Row) bool { return x.DueAt.Before(midnight) },
		"all":   func(bot.Row) bool { return true },
		"mine":  func(x bot.Row) bool { return x.ClaimedBy == u.Email },
		"done":  func(x bot.Row) bool { return x.ClosedAt.After(midnight.AddDate(0, 0, -1)) },
	}
	tab := r.URL.Query().Get("show")
	if in[tab] == nil {
		tab = "all"
	}
	type tabView struct {
		Key, Label string
		Count      int
		Here       bool
	}
	var views []tabView
	var rows []bot.Row
	emergencies := 0
	for _, row := range open {
		if row.Level == triage.Emergency && row.State == bot.Open {
			emergencies++
		}
	}
	for _, t := range tabs {
		list := open
		if t.Key == "done" {
			list = closed
		}
		var kept []bot.Row
		for _, x := range list {
			if in[t.Key](x) {
				kept = append(kept, x)
			}
		}
		views = append(views, tabView{t.Key, t.Label, len(kept), t.Key == tab})
		if t.Key == tab {
			rows = kept
		}
	}
	tag := etag(open)
	if r.Header.Get("X-Have") == tag { // the script asks whether anything has changed
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := d.audit(r, u, "read queue: "+tab, "", ""); err != nil {
		return err
	}
	title := "The queue"
	if emergencies > 0 {
		title = fmt.Sprintf("(%d emergency) The queue", emergencies)
	}
	d.show(w, r, http.StatusOK, "queue", view{"Title": title, "Tabs": views, "Rows": rows, "Emergencies": emergencies, "Tag": tag, "Tab": tab})
	return nil
}

// row shows the case of a row.
func (d *Desk) row(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return d.showCase(w, r, u, row.Patient, row.ID)
}

func (d *Desk) patient(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showCase(w, r, u, r.PathValue("id"), "")
}

// moment is one line of the timeline, ready to show.
type moment struct {
	bot.Moment
	Who     string
	Machine bool
}

func (d *Desk) showCase(w http.ResponseWriter, r *http.Request, u bot.User, patient, rowID string) error {
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
	var moments []moment
	for _, m := range slices.Backward(c.Moments) {
		x := moment{Moment: m}
		switch m.By {
		case "patient":
			x.Who = c.Patient.GivenName
			if x.Who == "" {
				x.Who = "Unknown number"
			}
		case "lookout", "carrier":
			x.Who, x.Machine = "Lookout, automatic", true
		default:
			x.Who = d.person(r.Context(), m.By)
		}
		moments = append(moments, x)
	}
	pack := d.Bot.Content()
	var ask []string
	var findings []triage.Finding
	if row != nil {
		ask = pack.AskNext(row.Concern)
		for _, m := range slices.Backward(c.Moments) { // the reading that speaks of this concern, latest first
			if m.Reading != nil && findings == nil {
				for _, f := range m.Reading.Findings {
					if pack.Concern(f.Concept) == row.Concern {
						findings = append(findings, f)
					}
				}
			}
		}
	}
	phone, _ := c.Patient.Address("sms")
	d.show(w, r, http.StatusOK, "case", view{"Title": c.Patient.Name(), "Case": c, "Row": row, "Moments": moments, "Ask": ask, "Findings": findings,
		"Phone": phone.At, "Mine": row != nil && row.ClaimedBy == u.Email, "RingResults": pack.RingResults(), "Texts": d.texts(r, patient), "Emergency": triage.Emergency, "Urgent": triage.Urgent})
	return nil
}

// choice is an approved text with its words as she would get them.
type choice struct {
	content.Choice
	Words string
}

func (d *Desk) texts(r *http.Request, patient string) []choice {
	var out []choice
	for _, t := range d.Bot.Content().DeskTexts() {
		words, err := d.Bot.Preview(r.Context(), bot.Saying{Patient: patient, TextID: t.Key})
		if err == nil {
			out = append(out, choice{t, words})
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

// acted goes back to the row after an act.
func (d *Desk) acted(w http.ResponseWriter, r *http.Request, row bot.Row, err error) error {
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/rows/"+row.ID, http.StatusSeeOther)
	return nil
}

func (d *Desk) take(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Take(d.acting(r, u, "take row"), act(r, u))
	return d.acted(w, r, row, err)
}

func (d *Desk) release(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Release(d.acting(r, u, "give row back"), act(r, u))
	return d.acted(w, r, row, err)
}

func (d *Desk) ring(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Ring(d.acting(r, u, "ring"), act(r, u), r.FormValue("result"))
	return d.acted(w, r, row, err)
}

func (d *Desk) note(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Note(d.acting(r, u, "note"), act(r, u), r.FormValue("text"))
	return d.acted(w, r, row, err)
}

func (d *Desk) text(w http.ResponseWriter, r *http.Request, u bot.User) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err == nil {
		err = d.Bot.Say(d.acting(r, u, "text her"), bot.Saying{Patient: row.Patient, Row: row.ID, By: u.Email, TextID: r.FormValue("text_id"), Words: r.FormValue("text")})
	}
	return d.acted(w, r, row, err)
}

// closing is the one page on which a row is closed.
func (d *Desk) closing(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showClosing(w, r, u, http.StatusOK, "")
}

// showClosing shows it, with what is wrong with what was chosen; what was typed stays.
func (d *Desk) showClosing(w http.ResponseWriter, r *http.Request, u bot.User, status int, fault string) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if row.State == bot.Closed {
		return fmt.Errorf("%w: it is closed", bot.ErrConflict)
	}
	if err := d.audit(r, u, "read row", row.Patient, row.ID); err != nil {
		return err
	}
	words, _ := d.Bot.Preview(r.Context(), bot.Saying{Patient: row.Patient, TextID: "desk.closed"})
	d.show(w, r, status, "close", view{"Title": "Close", "Fault": fault, "Lost": r.PostFormValue("text"), "Row": row, "Outcomes": d.Bot.Content().Outcomes(), "ClosingText": words,
		"Unheard": row.Level == triage.Emergency && !row.Spoke})
	return nil
}

func (d *Desk) close(w http.ResponseWriter, r *http.Request, u bot.User) error {
	c := bot.Closing{Row: r.PathValue("id"), By: u.Email, Outcome: r.FormValue("outcome"), Note: strings.TrimSpace(r.FormValue("text"))}
	if r.FormValue("tell") == "yes" {
		c.TellHer = "desk.closed"
	}
	if c.Outcome == "" {
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, "Say what came of it")
	}
	if _, err := d.Bot.CloseRow(d.acting(r, u, "close row"), c); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/", http.StatusSeeOther)
	return nil
}

// search finds people; what was typed never stands in an address.
func (d *Desk) search(w http.ResponseWriter, r *http.Request, u bot.User) error {
	people, err := d.Bot.Find(r.Context(), r.FormValue("q"), 50)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "search", "", fmt.Sprintf("%d found", len(people))); err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "search", view{"Title": "Search", "People": people, "Query": r.FormValue("q")})
	return nil
}

// beat is how often a live connection says that it is alive.
const beat = 15 * time.Second

// events tells open pages that something has changed: look again. It carries
// nothing of a patient. Proxies that buffer are flushed by padding.
func (d *Desk) events(w http.ResponseWriter, r *http.Request, u bot.User) error {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	hints := d.Bot.Watch(r.Context())
	if _, err := fmt.Fprintf(w, ": %s\nretry: 3000\n\n", strings.Repeat(" ", 2048)); err != nil {
		return nil
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if err := rc.SetWriteDeadline(time.Now().Add(2 * beat)); err != nil {
			return nil
		}
		if err := rc.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-d.Stopping:
			return nil
		case hint, ok := <-hints:
			if !ok {
				return nil
			}
			data, err := json.Marshal(map[string]any{"row": hint.Row, "level": hint.Level, "new": hint.New})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "event: change\ndata: %s\n\n", data); err != nil {
				return nil
			}
		case <-tick.C:
			if _, err := fmt.Fprint(w, "event: beat\ndata: {}\n\n"); err != nil {
				return nil
			}
		}
	}
}
