package bot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lookout/content"
	"lookout/flows/triage"
)

// ReferralConcern is what a row of a referral is about.
const ReferralConcern = "referral"

// referralWarning is how long before the end of its clock a referral without an
// outcome comes back into the queue.
const referralWarning = 7 * 24 * time.Hour

// refer starts the clock of a referral: a row of its own, which waits, and comes
// back before the time is over if nobody has recorded what came of it.
func (t *turn) refer(from *Row, route content.Route, by string) {
	t.entry(Entry{Kind: EntryReferral, By: by, Ref: from.ID, Why: "referred: " + route.Label})
	if route.Days == 0 {
		return
	}
	due := t.bot.service.Hours.day(t.now).AddDate(0, 0, route.Days)
	back := t.bot.service.Hours.Next(due.Add(-referralWarning))
	if back.IsZero() || !back.After(t.now) {
		back = due
	}
	t.rec.NextRow++
	t.rec.Rows = append(t.rec.Rows, Row{
		ID: fmt.Sprintf("%s%s%d", t.rec.Patient.ID, RowMark, t.rec.NextRow), Service: t.rec.Patient.Service,
		Patient: t.rec.Patient.ID, PatientName: t.rec.Patient.Name(), PatientBorn: t.rec.Patient.BirthDate, PatientNHS: t.rec.Patient.NHSNumber, Concern: ReferralConcern, Level: triage.Routine,
		Reason:   route.Label + ": no outcome is recorded yet.",
		Message:  "(referred about: " + t.bot.content.ConcernLabel(from.Concern) + ")",
		OpenedAt: t.now, DueAt: due, State: Snoozed, WakeAt: back, PutOffWhy: "waits for the outcome of the referral", Spoke: true,
		Referral: &Referral{Route: route.Key, From: from.ID, At: t.now, DueAt: due},
	})
	row := &t.rec.Rows[len(t.rec.Rows)-1]
	t.changed(row, "", false)
	t.wake(Wake{Key: "snooze:" + row.ID, Kind: WakeSnooze, At: back, Ref: row.ID})
}

// EndReferral records what came of a referral, on the day on which it was known,
// and closes its row.
func (b *Bot) EndReferral(ctx context.Context, a Act, end string, on time.Time) (Row, error) {
	choice, ok := b.content.ReferralEnd(end)
	if !ok {
		return Row{}, &FieldError{"end", "is not one of the list: choose what came of it"}
	}
	var ended Row
	_, err := b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		if r.Referral == nil {
			return fmt.Errorf("%w: this row is no referral", ErrConflict)
		}
		if on.After(t.now) || on.Before(b.service.Hours.day(r.Referral.At)) {
			return &FieldError{"on", "must be a day from the referral until today"}
		}
		referral := *r.Referral
		referral.Outcome, referral.OutcomeAt = end, on
		r.Referral = &referral
		t.entry(Entry{Kind: EntryReferral, By: a.By, Ref: r.ID, Why: choice.Label + ", known on " + dayWords(on.In(b.service.Location), "")})
		t.shut(r, a.By, "")
		ended = *r
		t.drop(r.ID)
		return nil
	})
	return ended, err
}

// shut closes a row and takes back everything that waits for it.
func (t *turn) shut(r *Row, by, outcome string) {
	t.letGo(r)
	r.State, r.ClosedAt, r.ClosedBy, r.Outcome = Closed, t.now, by, outcome
	r.WakeAt, r.PutOffWhy = time.Time{}, ""
	t.unpage(r)
	t.changed(r, "", false)
	t.promiseKept(r)
	t.unwake("snooze:" + r.ID)
}

// drop takes a closed row off those that come with her record.
func (t *turn) drop(id string) {
	t.rec.Rows = slices.DeleteFunc(t.rec.Rows, func(x Row) bool { return x.ID == id })
}

// Met is a criterion that she meets.
type Met struct {
	content.Criterion
	Since time.Time // the zero time: it is always so
	Why   string    // in plain words
}

// met says which criteria of a referral for non-specific symptoms she meets, and
// since when. What a nurse has marked as expected is explained, and counts for none.
func met(criteria []content.Criterion, rec *Record, name func(concept string) string, now time.Time) []Met {
	var out []Met
	for _, c := range criteria {
		if c.Always {
			out = append(out, Met{Criterion: c})
			continue
		}
		var best *Met
		better := func(m Met) {
			if best == nil || m.Since.Before(best.Since) {
				best = &m
			}
		}
		for _, e := range rec.Past {
			lasted := int(now.Sub(e.First) / (24 * time.Hour))
			if slices.Contains(c.Concepts, e.Concept) && !e.Gone && !e.ExpectedUntil.After(now) && lasted >= c.Days {
				better(Met{c, e.First, fmt.Sprintf("%s, for %d days", name(e.Concept), lasted)})
			}
		}
		if m, ok := weightLoss(c, rec.Weights); ok {
			better(m)
		}
		if best != nil {
			out = append(out, *best)
		}
	}
	return out
}

// weightLoss compares her last weight with any of 60 to 120 days before it (clinical.md 6.6).
func weightLoss(c content.Criterion, weights []Weight) (Met, bool) {
	if c.WeightLoss == 0 || len(weights) == 0 {
		return Met{}, false
	}
	last := weights[len(weights)-1]
	for _, w := range weights {
		days := int(last.At.Sub(w.At) / (24 * time.Hour))
		if loss := 100 * (w.Kg - last.Kg) / w.Kg; days >= 60 && days <= 120 && loss > c.WeightLoss {
			return Met{c, last.At, fmt.Sprintf("%.1f kg, then %.1f kg after %d days (%.0f%% less)", w.Kg, last.Kg, days, loss)}, true
		}
	}
	return Met{}, false
}

// undoFor is how long a closing can be taken back by whoever closed the row. Her
// text waits for as long.
const undoFor = 30 * time.Second

// UndoClose opens a row again that the actor closed just now, and takes back her
// text and the referral that went with it.
func (b *Bot) UndoClose(ctx context.Context, a Act) (Row, error) {
	row, err := b.Row(ctx, a.Row)
	if err != nil {
		return Row{}, err
	}
	var after Row
	err = b.turn(ctx, row.Patient, "", nil, func(t *turn) error {
		row, err := b.Row(t.ctx, a.Row) // anew with each try: it does not come with her record
		if err != nil {
			return err
		}
		outcome, _ := b.content.Outcome(row.Outcome)
		switch {
		case row.State != Closed || row.ClosedBy != a.By || row.Referral != nil:
			return fmt.Errorf("%w: only who closed a row can take that back", ErrConflict)
		case t.now.After(row.ClosedAt.Add(undoFor)):
			return fmt.Errorf("%w: it was closed more than %d seconds ago; she may have her text already. If it is not over, write a note, or ring her", ErrRefused, int(undoFor.Seconds()))
		case outcome.Ends != "":
			return fmt.Errorf("%w: her follow-up has ended with it, and her texts were taken back. Ask whoever runs lookout to enrol her again", ErrRefused)
		case t.row(row.Concern) != nil:
			return fmt.Errorf("%w: she has written again since, and a new row is open about it: go on there", ErrConflict)
		}
		if row.ClosingText != "" {
			t.change.Cancel = append(t.change.Cancel, row.ClosingText)
		}
		for _, r := range slices.Clone(t.rec.Rows) {
			if r.Referral != nil && r.Referral.From == row.ID && r.OpenedAt.Equal(row.ClosedAt) {
				t.shut(t.rowByID(r.ID), a.By, "")
				t.drop(r.ID)
			}
		}
		row.ClosedAt, row.ClosedBy, row.Outcome, row.ClosingText = time.Time{}, "", "", ""
		t.rec.Rows = append(t.rec.Rows, row)
		r := &t.rec.Rows[len(t.rec.Rows)-1]
		t.claim(r, a.By, "opened again: closing it was taken back")
		t.hold(r)
		if !r.Spoke {
			t.guard(r)
		}
		after = *r
		return nil
	})
	return after, err
}
