package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lookout/flows/triage"
)

// Act is an act of a member of the team on a row.
type Act struct {
	Row string
	By  string
	// Seen is the Changed of the row as the actor saw it: when the row has changed
	// since, the act is refused with a *[StaleError]. 0: she says of no state that she saw.
	Seen int

	lead bool // she may act on what another holds
}

// onRow is the turn of an act on a row that is not closed. It is refused while
// another holds the row, or when the row is no longer what the actor saw, and
// extends the actor's own claim.
func (b *Bot) onRow(ctx context.Context, a Act, act func(t *turn, row *Row) error) (Row, error) {
	if a.By == "" {
		return Row{}, &FieldError{"by", "is missing: say who acts"}
	}
	row, err := b.store.Row(ctx, a.Row)
	if err == nil && row.Service != b.service.ID && !b.canary(row.Service) {
		err = ErrNotFound
	}
	if err != nil {
		return Row{}, err
	}
	var after Row
	err = b.turn(ctx, row.Patient, "", nil, func(t *turn) error {
		r := t.rowByID(a.Row)
		if r == nil {
			return fmt.Errorf("%w: the row is closed", ErrConflict)
		}
		if r.State == Claimed && r.ClaimedBy != a.By && r.OfferedTo != a.By && !a.lead {
			return &HeldError{r.ClaimedBy, r.ClaimUntil}
		}
		if a.Seen != 0 && a.Seen != r.Changed {
			return &StaleError{*r}
		}
		if err := act(t, r); err != nil {
			return err
		}
		if r = t.rowByID(a.Row); r != nil {
			if r.State == Claimed {
				t.hold(r)
			}
			after = *r
		}
		return nil
	})
	return after, err
}

// onOwnRow is onRow for acts that only the holder may do, or anybody while nobody
// holds the row: to be offered a row is not to hold it.
func (b *Bot) onOwnRow(ctx context.Context, a Act, act func(t *turn, row *Row) error) (Row, error) {
	return b.onRow(ctx, a, func(t *turn, r *Row) error {
		if r.State == Claimed && r.ClaimedBy != a.By {
			return &HeldError{r.ClaimedBy, r.ClaimUntil}
		}
		return act(t, r)
	})
}

// hold starts or extends a claim, and sets the time at which it runs out.
func (t *turn) hold(row *Row) {
	row.ClaimUntil = t.now.Add(t.bot.service.Lease)
	t.kept(row, false)
	t.wake(Wake{Key: "lease:" + row.ID, Kind: WakeLease, At: row.ClaimUntil, Ref: row.ID})
}

// letGo takes a claim, and what was offered with it, off a row.
func (t *turn) letGo(row *Row) {
	row.ClaimedBy, row.ClaimUntil = "", time.Time{}
	row.OfferedTo, row.OfferWhy = "", ""
	t.unwake("lease:" + row.ID)
}

// claim gives a row to a nurse.
func (t *turn) claim(row *Row, by, why string) {
	t.letGo(row)
	row.State, row.ClaimedBy, row.AckedBy, row.WakeAt, row.PutOffWhy = Claimed, by, "", time.Time{}, ""
	t.unpage(row)
	t.unwake("snooze:" + row.ID)
	t.entry(Entry{Kind: EntryRow, By: by, Ref: row.ID, Why: why})
	t.changed(row, "", false)
}

// Take claims a row. Of two who take it at once one gets it, and the other a
// *[HeldError]. Taking one's own row again extends the claim. To take a row is to
// begin to look: it is never refused because something came since.
func (b *Bot) Take(ctx context.Context, a Act) (Row, error) {
	a.Seen = 0
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		if r.State != Claimed {
			t.claim(r, a.By, "taken")
		}
		return nil
	})
}

// Release gives a row back to the queue.
func (b *Bot) Release(ctx context.Context, a Act) (Row, error) {
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		if r.State != Claimed {
			return fmt.Errorf("%w: nobody holds this row", ErrConflict)
		}
		r.State = Open
		t.letGo(r)
		t.entry(Entry{Kind: EntryRow, By: a.By, Ref: r.ID, Why: "given back"})
		t.changed(r, "", true)
		t.guardAgain(r)
		return nil
	})
}

// Ring notes an attempt to ring her and what came of it; the results are those
// of the content. A result that counts as spoken keeps the promise.
func (b *Bot) Ring(ctx context.Context, a Act, result string) (Row, error) {
	ring, ok := b.content.RingResult(result)
	if !ok {
		return Row{}, &FieldError{"result", "is not one of the results of a call: choose one from the list"}
	}
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		r.Rung++
		if ring.Spoke {
			if !r.Spoke {
				r.Spoke, r.SpokeAt = true, t.now
			}
			t.promiseKept(r)
		}
		t.entry(Entry{Kind: EntryRing, By: a.By, Ref: r.ID, Why: ring.Label})
		t.changed(r, "", false)
		return nil
	})
}

// Note adds a nurse's note to a row and to the timeline.
func (b *Bot) Note(ctx context.Context, a Act, text string) (Row, error) {
	if strings.TrimSpace(text) == "" {
		return Row{}, &FieldError{"text", "is missing: write the note"}
	}
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		t.entry(Entry{Kind: EntryNote, By: a.By, Ref: r.ID, Text: text})
		t.changed(r, "", false)
		return nil
	})
}

// maxPutOff is how far off a row can be put: what must wait longer is no concern of
// the queue's, it is an appointment.
const maxPutOff = 90 * 24 * time.Hour

// PutOff snoozes a row until a time, with the reason. It wakes then, or on any word
// of hers before. What she was promised is not put off: unless somebody has spoken
// with her, the row comes back before it is due, and an emergency not at all.
func (b *Bot) PutOff(ctx context.Context, a Act, until time.Time, why string) (Row, error) {
	why = strings.TrimSpace(why)
	if why == "" {
		return Row{}, &FieldError{"why", "is missing: say what you wait for, so that a colleague knows"}
	}
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		switch {
		case !until.After(t.now):
			return &FieldError{"until", "must be a time that is still to come"}
		case until.After(t.now.Add(maxPutOff)):
			return &FieldError{"until", "is more than 90 days away: close the row, and make an appointment"}
		case !r.Spoke && r.Level == triage.Emergency:
			return fmt.Errorf("%w: it is an emergency, and nobody has spoken with her yet; ring her first", ErrRefused)
		case !r.Spoke && !until.Before(r.DueAt):
			return fmt.Errorf("%w: she was told that somebody rings her by %s, and nobody has spoken with her yet; choose a time before that, or ring her first",
				ErrRefused, b.service.ByWords(r.DueAt, t.now, ""))
		}
		t.unpage(r)
		t.snooze(r, a.By, until, why)
		return nil
	})
}

// snooze puts a row off.
func (t *turn) snooze(r *Row, by string, until time.Time, why string) {
	t.letGo(r)
	r.State, r.WakeAt, r.PutOffWhy = Snoozed, until, why
	t.entry(Entry{Kind: EntryRow, By: by, Ref: r.ID, Why: "put off until " + t.bot.service.ByWords(until, t.now, "") + ": " + why})
	t.changed(r, "", false)
	t.wake(Wake{Key: "snooze:" + r.ID, Kind: WakeSnooze, At: until, Ref: r.ID})
}

// comeBack wakes a row that was put off.
func (t *turn) comeBack(r *Row, why string) {
	r.State, r.WakeAt, r.PutOffWhy = Open, time.Time{}, ""
	t.unwake("snooze:" + r.ID)
	t.changed(r, why, true)
}

// wakeRows wakes every row of hers that was put off, whatever she has written about,
// and lets nobody act on one that she holds without seeing it. A referral waits for
// the hospital, not for her, and stays.
func (t *turn) wakeRows() {
	for i := range t.rec.Rows {
		switch r := &t.rec.Rows[i]; {
		case r.State == Snoozed && r.Referral == nil:
			t.comeBack(r, "she wrote: it was put off and is back")
			t.guardAgain(r)
		case r.State == Claimed:
			t.changed(r, "", false)
		}
	}
}

// Offer offers a row that the actor holds to a colleague, with the reason. She holds
// it until the colleague has accepted: nobody is given a row who does not know of it.
func (b *Bot) Offer(ctx context.Context, a Act, to, why string) (Row, error) {
	why = strings.TrimSpace(why)
	who, err := b.User(ctx, to)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && (who.Disabled || who.Role != Nurse && who.Role != Lead):
		return Row{}, &FieldError{"to", "must be a nurse of the team who can sign in"}
	case err != nil:
		return Row{}, err
	case who.Email == strings.ToLower(a.By):
		return Row{}, &FieldError{"to", "is you: offer it to a colleague, or give it back"}
	case why == "":
		return Row{}, &FieldError{"why", "is missing: say why you hand it over"}
	}
	return b.onOwnRow(ctx, a, func(t *turn, r *Row) error {
		if r.State != Claimed {
			return fmt.Errorf("%w: take the row first; then you can hand it over", ErrConflict)
		}
		r.OfferedTo, r.OfferWhy = who.Email, why
		t.entry(Entry{Kind: EntryRow, By: a.By, Ref: r.ID, Why: "offered to " + who.Name + ": " + why})
		t.changed(r, "", true)
		return nil
	})
}

// TakeOver takes a row over that was offered. A lead may take over any.
func (b *Bot) TakeOver(ctx context.Context, a Act) (Row, error) {
	a.Seen = 0
	who, err := b.User(ctx, a.By)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Row{}, err
	}
	a.lead = who.Role == Lead
	return b.onRow(ctx, a, func(t *turn, r *Row) error {
		if r.State != Claimed || r.OfferedTo != a.By && !a.lead {
			return fmt.Errorf("%w: this row is not offered to you any more", ErrConflict)
		}
		t.claim(r, a.By, "taken over from "+r.ClaimedBy)
		return nil
	})
}

// TurnDown says no to a row that was offered, or takes one's own offer back. The row
// stays with whoever holds it.
func (b *Bot) TurnDown(ctx context.Context, a Act) (Row, error) {
	a.Seen = 0
	return b.onRow(ctx, a, func(t *turn, r *Row) error {
		if r.OfferedTo == "" {
			return fmt.Errorf("%w: this row is not offered to anybody", ErrConflict)
		}
		why := "turned down"
		if r.ClaimedBy == a.By {
			why = "took the offer back"
		}
		r.OfferedTo, r.OfferWhy = "", ""
		t.entry(Entry{Kind: EntryRow, By: a.By, Ref: r.ID, Why: why})
		t.changed(r, "", true)
		return nil
	})
}

// farewell tells her that her texts end, when a nurse closes a row because she has
// left: that another hospital takes over, if she has said so. Nothing goes to a number
// that may not be hers, and the text waits until the closing cannot be taken back.
func (t *turn) farewell(r *Row) {
	p := &t.rec.Patient
	if p.Status != Active && p.Status != Paused || t.mourning() || t.misdirected() {
		return
	}
	id := "plan.farewell"
	if p.MovesTo != "" {
		id = "desk.moved"
	}
	if !t.bot.content.HasText(id) || t.told(id, 30*24*time.Hour) {
		return
	}
	before := len(t.change.Send)
	t.sayFrom(t.bot.content, id, PriorityReply, func(string) map[string]string { return nil })
	if t.flush(); len(t.change.Send) > before {
		text := &t.change.Send[before]
		text.NotBefore, r.ClosingText = t.now.Add(undoFor), text.ID
	}
}

// CloseRow closes a row with an outcome, can start the clock of a referral, and can
// tell her what was agreed. For half a minute that can be taken back; her text waits
// for as long.
func (b *Bot) CloseRow(ctx context.Context, c Closing) (Row, error) {
	outcome, ok := b.content.Outcome(c.Outcome)
	if !ok {
		return Row{}, &FieldError{"outcome", "is not one of the outcomes: choose one of " + strings.Join(b.content.OutcomeKeys(), ", ")}
	}
	route, ok := b.content.Route(c.Route)
	if c.Route != "" && !ok {
		return Row{}, &FieldError{"route", "is not one of the routes: choose one of the list"}
	}
	tells := c.TellHer != "" || strings.TrimSpace(c.Words) != ""
	if outcome.Ends == "died" && tells {
		return Row{}, &FieldError{"outcome", "says that she has died: no text can go to her with it"}
	}
	var closed Row
	_, err := b.onOwnRow(ctx, Act{Row: c.Row, By: c.By, Seen: c.Seen}, func(t *turn, r *Row) error {
		if tells {
			if err := t.tell(Saying{By: c.By, TextID: c.TellHer, Words: c.Words}); err != nil {
				return err
			}
			before := len(t.change.Send)
			if t.flush(); len(t.change.Send) > before {
				text := &t.change.Send[before]
				text.NotBefore, r.ClosingText = t.now.Add(undoFor), text.ID
			}
		}
		if c.Note != "" {
			t.entry(Entry{Kind: EntryNote, By: c.By, Ref: r.ID, Text: c.Note})
		}
		t.entry(Entry{Kind: EntryRow, By: c.By, Ref: r.ID, Why: "closed: " + outcome.Label})
		t.shut(r, c.By, c.Outcome)
		t.reaskClosed(r)
		if r.Concern == "unreachable" { // somebody has looked at her number: it is tried again
			t.rec.Reach = nil
		}
		if outcome.Ends == "left" && !tells {
			t.farewell(r)
			t.kept(r, false)
		}
		closed = *r
		if c.Route != "" {
			t.refer(&closed, route, c.By)
		}
		t.drop(c.Row)
		if outcome.Ends != "" && t.rec.Patient.Status != Stranger {
			t.end(c.By, outcome.Ends)
		}
		return nil
	})
	return closed, err
}
