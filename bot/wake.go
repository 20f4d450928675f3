package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// Wake does all that is due at now, for every patient, and says for how many.
// It may be called at any time, twice, or on two machines: a wake happens once.
// One patient's fault does not keep the others waiting; the faults come back joined.
func (b *Bot) Wake(ctx context.Context) (int, error) {
	const (
		batch  = 200
		rounds = 50 // what one patient can want in a minute, and far more
	)
	done := 0
	var faults []error
	failed, woken := make(map[string]bool), make(map[string]int)
	for {
		due, err := b.store.Due(ctx, b.now(), batch+len(failed))
		if err != nil {
			return done, errors.Join(append(faults, fmt.Errorf("look for what is due: %w", err))...)
		}
		before := done
		for _, d := range due {
			if failed[d.Patient] {
				continue
			}
			err := b.wakePatient(ctx, d.Patient)
			if woken[d.Patient]++; err == nil && woken[d.Patient] > rounds {
				err = errors.New("what is due is due again at once, each time")
			}
			if err != nil {
				failed[d.Patient] = true
				faults = append(faults, fmt.Errorf("wake %s: %w", d.Patient, err))
				b.log.Error("wake failed", "patient", d.Patient, "err", err)
				if ctx.Err() != nil || errors.Is(err, ErrUnavailable) {
					return done, errors.Join(faults...)
				}
				continue
			}
			done++
		}
		if done == before {
			return done, errors.Join(faults...)
		}
	}
}

// wakePatient does what is due for one patient, in one turn.
func (b *Bot) wakePatient(ctx context.Context, patient string) error {
	return b.turn(ctx, patient, "", nil, func(t *turn) error {
		due := t.due()
		if len(due) == 0 {
			return errNothing
		}
		// The record's version makes it happen once, also where two machines wake her
		// at the same moment. A name would not do: the same wake may be set again for
		// the same minute, by a plan that was changed.
		t.unasked = true
		for _, w := range due {
			t.unwake(w.Key)
			t.handle(w)
		}
		return nil
	})
}

// due lists her wakes that are due, earliest first.
func (t *turn) due() []Wake {
	var due []Wake
	for _, w := range t.rec.Wakes {
		if !w.At.After(t.now) {
			due = append(due, w)
		}
	}
	slices.SortStableFunc(due, func(a, b Wake) int { return a.At.Compare(b.At) })
	return due
}

func (t *turn) handle(w Wake) {
	switch w.Kind {
	case WakeTalk:
		t.wakeTalk(w)
	case WakePlan:
		t.wakePlan(w)
	case WakeLease:
		t.wakeLease(w)
	case WakePage:
		if row := t.rowByID(w.Ref); row != nil {
			t.pageAgain(row, w.N)
		}
	case WakeSnooze:
		if row := t.rowByID(w.Ref); row != nil && row.State == Snoozed {
			row.State, row.WakeAt = Open, time.Time{}
			t.changed(row, "its time to come back has come", true)
		}
	case WakeDue:
		t.wakeDue(w)
	case WakeResume:
		if t.rec.Patient.Status == Paused && t.mourning() {
			t.holdBack() // nobody has looked yet whose death it was
			return
		}
		if t.rec.Patient.Status == Paused {
			t.rec.Patient.Status, t.rec.Patient.PausedUntil = Active, time.Time{}
			t.entry(Entry{Kind: EntryStatus, Why: "the pause is over"})
			t.planNext("")
		}
	}
}

// mayAsk says whether unasked texts may go to her now, and if not, why.
func (t *turn) mayAsk() (bool, string) {
	switch s := t.rec.Patient.Status; s {
	case Active, Invited:
		return true, ""
	default:
		return false, "she is " + string(s)
	}
}

// wakeTalk passes a timer of the talk on. Outside the hours in which somebody
// could hear the answer it waits.
func (t *turn) wakeTalk(w Wake) {
	if !t.rec.Talk.Active() {
		return
	}
	if ok, why := t.mayAsk(); !ok {
		t.endTalk(why)
		return
	}
	if when, why := t.slot(t.now, w.Key); when.After(t.now) && !t.bot.mayTextNow(t.now) {
		w.At = when
		t.wake(w)
		t.entry(Entry{Kind: EntryPlan, Ref: w.Ref, Why: "moved: " + why})
		return
	}
	t.step(flows.Event{Timer: w.Ref})
}

// mayTextNow says whether now lies inside sending hours of an open day, early
// enough for an answer to be read.
func (b *Bot) mayTextNow(now time.Time) bool {
	s := b.service
	spells, _ := s.Hours.Spells(now)
	if len(spells) == 0 {
		return false
	}
	day := s.Hours.day(now)
	return !now.Before(at(day, max(s.Sending.From, spells[0].From))) &&
		now.Before(at(day, s.Sending.To)) && now.Before(s.Hours.Close(now).Add(-s.Sending.Before))
}

// slot is the first moment at which an unasked text may go to her.
func (t *turn) slot(from time.Time, what string) (time.Time, string) {
	return t.bot.service.Hours.Slot(from, t.bot.service.Sending, t.rec.Patient.ID+what)
}

// The rules of unasked texts (clinical.md 8.3): two days between them; what is
// more than two weeks late is dropped and said so, rather than sent stale.
const (
	betweenPlanned = 48 * time.Hour
	staleAfter     = 14 * 24 * time.Hour
	inviteItem     = "invitation"
	welcomeItem    = "welcome"
)

// planNext sets the wake for the next item of her plan that is not done.
func (t *turn) planNext(justDone string) {
	p := &t.rec.Patient
	if justDone != "" {
		if t.rec.Planned == nil {
			t.rec.Planned = make(map[string]time.Time)
		}
		t.rec.Planned[justDone] = t.now
	}
	t.unwake("plan")
	if p.Status != Active {
		return
	}
	item, ok := t.nextItem()
	if !ok {
		t.entry(Entry{Kind: EntryPlan, Why: "her plan has nothing more to send"})
		return
	}
	from := item.At
	if from.Before(t.now) {
		from = t.now
	}
	if earliest := t.rec.LastOut.Add(betweenPlanned); !t.rec.LastOut.IsZero() && from.Before(earliest) {
		from = earliest
	}
	when, _ := t.slot(from, item.ID)
	if when.IsZero() {
		t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "cannot be planned: the desk has no open day"})
		return
	}
	t.wake(Wake{Key: "plan", Kind: WakePlan, At: when, Ref: item.ID})
}

// nextItem is the first item of her plan that is not done and not before her enrolment.
func (t *turn) nextItem() (content.Item, bool) {
	p := &t.rec.Patient
	plan, ok := t.bot.content.Plan(p.Plan)
	if !ok {
		return content.Item{}, false
	}
	zone := t.zone()
	anchors := map[string]time.Time{"enrolled": p.EnrolledAt.In(zone)}
	if ended, err := time.ParseInLocation(time.DateOnly, p.TreatmentEnded, zone); err == nil {
		anchors["treatment_ended"] = ended
	}
	for _, item := range plan.Items(anchors, p.EnrolledAt.In(zone).AddDate(0, 0, -1), t.now.AddDate(2, 0, 0)) {
		if _, done := t.rec.Planned[item.ID]; !done {
			return item, true
		}
	}
	return content.Item{}, false
}

// wakePlan sends what is due of her plan, or moves or drops it, with the reason.
func (t *turn) wakePlan(w Wake) {
	if w.Ref == inviteItem {
		if t.rec.Patient.Status == Invited {
			if when, why := t.slot(t.now, w.Ref); !t.bot.mayTextNow(t.now) {
				t.movePlan(w, when, why)
				return
			}
			t.begin(inviteItem, "she was enrolled")
		}
		return
	}
	if ok, why := t.mayAsk(); !ok {
		t.entry(Entry{Kind: EntryPlan, Ref: w.Ref, Why: "not sent: " + why})
		return
	}
	if w.Ref == welcomeItem {
		t.welcome()
		return
	}
	item, ok := t.nextItem()
	if !ok || item.ID != w.Ref {
		t.planNext("") // the plan was changed; look again
		return
	}
	if t.now.Sub(item.At) > staleAfter {
		t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "dropped: it was due on " + item.At.Format(time.DateOnly) + " and is stale now"})
		t.planNext(item.ID)
		return
	}
	if earliest := t.rec.LastOut.Add(betweenPlanned); !t.rec.LastOut.IsZero() && t.now.Before(earliest) {
		when, _ := t.slot(earliest, w.Ref)
		t.movePlan(w, when, "another text went out less than 48 hours ago")
		return
	}
	if !t.bot.mayTextNow(t.now) {
		when, why := t.slot(t.now, w.Ref)
		t.movePlan(w, when, why)
		return
	}
	if t.rec.Talk.Active() || t.hasUrgentRow() {
		when, _ := t.slot(t.now.AddDate(0, 0, 1), w.Ref)
		t.movePlan(w, when, "a talk or an urgent concern of hers is open")
		return
	}
	t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "sent"})
	if item.Flow != "" {
		t.begin(item.Flow, "her plan: "+item.ID)
	} else {
		t.say(item.Text, nil, PriorityPlanned)
	}
	t.planNext(item.ID)
}

// movePlan puts an item of her plan off.
func (t *turn) movePlan(w Wake, when time.Time, why string) {
	if !when.After(t.now) {
		when = t.now.Add(time.Hour)
	}
	w.At = when
	t.wake(w)
	t.entry(Entry{Kind: EntryPlan, Ref: w.Ref, Why: "moved to " + when.UTC().Format(time.RFC3339) + ": " + why})
}

func (t *turn) hasUrgentRow() bool {
	return slices.ContainsFunc(t.rec.Rows, func(r Row) bool { return r.State != Closed && r.Level >= triage.Urgent })
}

// wakeLease gives a row back whose claim has run out.
func (t *turn) wakeLease(w Wake) {
	row := t.rowByID(w.Ref)
	if row == nil || row.State != Claimed {
		return
	}
	if row.ClaimUntil.After(t.now) { // extended since
		t.wake(Wake{Key: w.Key, Kind: WakeLease, At: row.ClaimUntil, Ref: row.ID})
		return
	}
	by := row.ClaimedBy
	row.State, row.ClaimedBy, row.ClaimUntil = Open, "", time.Time{}
	t.changed(row, "given back: "+by+"'s claim ran out without work", true)
	if row.Level == triage.Emergency && !row.Spoke {
		row.AckedBy = ""
		t.page(row, 0)
	}
}

// wakeDue runs when a row's promise is due and nobody has closed it.
func (t *turn) wakeDue(w Wake) {
	row := t.rowByID(w.Ref)
	if row == nil || row.State == Closed || row.Spoke {
		return
	}
	if row.DueAt.After(t.now) {
		t.wake(Wake{Key: w.Key, Kind: WakeDue, At: row.DueAt, Ref: row.ID})
		return
	}
	t.changed(row, "the time that she was told has passed, and nobody has spoken with her", true)
	// The ladder already pages for an emergency; an urgent promise that is missed pages too.
	if row.Level == triage.Urgent && row.AckedBy == "" {
		t.page(row, 0)
	}
}
