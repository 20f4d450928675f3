package desk

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// closing is the one page on which a row is closed.
func (d *Desk) closing(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showClosing(w, r, u, http.StatusOK, "", nil)
}

// showClosing shows it, with what is wrong with what was chosen, and what happened
// since; what was typed stays.
func (d *Desk) showClosing(w http.ResponseWriter, r *http.Request, u bot.User, status int, fault string, since []moment) error {
	row, err := d.Bot.Row(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if row.State == bot.Closed {
		return fmt.Errorf("%w: it is closed", bot.ErrConflict)
	}
	c, err := d.Bot.Case(r.Context(), row.Patient)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read row", row.Patient, row.ID); err != nil {
		return err
	}
	drafts, err := d.Bot.Drafts(r.Context(), row.ID, u.Email)
	if err != nil {
		return err
	}
	lost := r.PostFormValue("text")
	if r.Method == http.MethodGet {
		lost = drafts["close"]
	}
	words, _ := d.Bot.Preview(r.Context(), bot.Saying{Patient: row.Patient, TextID: "desk.closed"})
	pack := d.Bot.Content()
	d.show(w, r, status, "close", view{"Title": "Close", "Fault": fault, "Since": since, "Lost": lost, "Row": row, "Case": c, "Upto": upto(&c), "Outcomes": pack.Outcomes(), "Routes": pack.Routes(),
		"Outcome": r.PostFormValue("outcome"), "Route": r.PostFormValue("route"), "Own": r.PostFormValue("own"), "Tell": r.PostFormValue("tell"), "Ends": pack.ReferralEnds(),
		"Today": d.now(), "ClosingText": words, "FilterTests": pack.FilterTests(), "Unheard": row.Level == triage.Emergency && !row.Spoke, "Expected": d.expected(&c, nil)})
	return nil
}

func (d *Desk) close(w http.ResponseWriter, r *http.Request, u bot.User) error {
	a := act(r, u)
	c := bot.Closing{Row: a.Row, By: a.By, Seen: a.Seen, Outcome: r.PostFormValue("outcome"), Route: r.PostFormValue("route"), Note: strings.TrimSpace(r.PostFormValue("text"))}
	switch r.PostFormValue("tell") {
	case "yes":
		c.TellHer = "desk.closed"
	case "own":
		if c.Words = strings.TrimSpace(r.PostFormValue("own")); c.Words == "" {
			return d.showClosing(w, r, u, http.StatusUnprocessableEntity, "Write what she is told, or choose another", nil)
		}
	}
	if c.Outcome == "" {
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, "Say what came of it", nil)
	}
	if outcome, _ := d.Bot.Content().Outcome(c.Outcome); outcome.Ends != "" && r.PostFormValue("sure") == "" {
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, "Check that it is her whose follow-up ends, and say so below: this cannot be taken back", nil)
	}
	row, err := d.Bot.CloseRow(d.acting(r, u, "close row"), c)
	var wrong *bot.FieldError
	var stale *bot.StaleError
	switch {
	case errors.As(err, &stale):
		since, err := d.since(r, stale.Row.Patient)
		if err != nil {
			return err
		}
		return d.showClosing(w, r, u, http.StatusConflict, "The case has changed since you opened this page. Nothing was closed: look at what is new, then close it", since)
	case errors.As(err, &wrong):
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, fieldNames[wrong.Field]+" "+wrong.Problem, nil)
	case errors.Is(err, bot.ErrRefused):
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, "That is not possible: "+strings.TrimPrefix(err.Error(), "refused: "), nil)
	case err != nil:
		return err
	}
	if err := d.Bot.PutDraft(r.Context(), row.ID, u.Email, "close", ""); err != nil {
		return err
	}
	if r.PostFormValue("then") == "next" {
		next, err := d.Bot.Queue(r.Context(), bot.QueueFilter{States: []bot.RowState{bot.Open}, Limit: 1})
		if err != nil {
			return err
		}
		if len(next) > 0 {
			http.Redirect(w, r, "/desk/rows/"+next[0].ID, http.StatusSeeOther)
			return nil
		}
	}
	http.Redirect(w, r, "/desk/?closed="+row.ID, http.StatusSeeOther)
	return nil
}

// board lists the referrals that have no outcome yet, the least time left first.
func (d *Desk) board(w http.ResponseWriter, r *http.Request, u bot.User) error {
	open, err := d.Bot.Queue(r.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}, Limit: 500})
	if err != nil {
		return err
	}
	ended, err := d.Bot.Queue(r.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: []bot.RowState{bot.Closed}, ClosedSince: d.Now().AddDate(0, 0, -90), Limit: 500})
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read referrals", "", fmt.Sprintf("%d rows", len(open)+len(ended))); err != nil {
		return err
	}
	inTime, clocked := 0, 0
	shown := ended[:0]
	for _, row := range ended {
		route, _ := d.Bot.Content().Route(row.Referral.Route)
		if row.Referral.Outcome == "" { // its closing was taken back
			continue
		}
		if shown = append(shown, row); route.FDS && row.Referral.Outcome != "withdrawn" {
			if clocked++; row.Referral.OutcomeAt.Before(row.Referral.DueAt.AddDate(0, 0, 1)) {
				inTime++
			}
		}
	}
	d.show(w, r, http.StatusOK, "board", view{"Title": "Referrals", "Open": open, "Ended": shown, "InTime": inTime, "Clocked": clocked, "Target": d.Bot.Content().FDSTarget(d.now())})
	return nil
}

// endReferral records what came of a referral.
func (d *Desk) endReferral(w http.ResponseWriter, r *http.Request, u bot.User) error {
	on, err := time.ParseInLocation(time.DateOnly, r.PostFormValue("day"), d.Bot.Service().Location)
	if err != nil {
		err = &bot.FieldError{Field: "on", Problem: "must be a day"}
	} else {
		_, err = d.Bot.EndReferral(d.acting(r, u, "record outcome of referral"), act(r, u), r.PostFormValue("end"), on)
	}
	var wrong *bot.FieldError
	if errors.As(err, &wrong) {
		return d.showClosing(w, r, u, http.StatusUnprocessableEntity, fieldNames[wrong.Field]+" "+wrong.Problem, nil)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/referrals", http.StatusSeeOther)
	return nil
}
