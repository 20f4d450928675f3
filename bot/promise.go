package bot

import (
	"slices"
	"time"

	"lookout/flows/triage"
)

// A promise is the time by which she was told that somebody rings her. What guards
// it, from the moment that a row is opened or raised:
//
//	untaken   an urgent row that nobody has taken for so long is paged
//	warn      nobody has it, and it is soon due: the lead is paged
//	tell      nobody has it, and it is about to be missed: she is told which door to try
//	due       it has passed: whoever holds the row, the lead is paged and she is told
//
// Each is a wake in her record, set in the commit that opens the row, and taken
// back in the commit in which somebody has spoken with her or closed it.
const (
	stepUntaken = "untaken:"
	stepWarn    = "warn:"
	stepTell    = "tell:"
	stepDue     = "due:"
)

// watchRow sets what must happen if nobody acts on a row: an emergency is paged
// at once and again until somebody answers.
func (t *turn) watchRow(row *Row) {
	if row.Level == triage.Emergency {
		t.page(row, 0)
	}
	t.guard(row)
}

// guard sets the wakes that guard a row's promise, whoever has it now.
func (t *turn) guard(row *Row) {
	p, hours := &t.bot.service.Promise, t.bot.service.Hours
	set := func(step string, kind WakeKind, at time.Time) {
		if at.After(t.now) {
			t.wake(Wake{Key: step + row.ID, Kind: kind, At: at, Ref: row.ID})
		}
	}
	t.wake(Wake{Key: stepDue + row.ID, Kind: WakeDue, At: row.DueAt, Ref: row.ID})
	if row.Level == triage.Urgent && p.Untaken > 0 {
		set(stepUntaken, WakeUntaken, hours.Add(t.now, p.Untaken))
	}
	if row.Level == triage.Urgent || row.Level == triage.Soon {
		set(stepWarn, WakeWarn, hours.Back(row.DueAt, p.Warn))
		set(stepTell, WakeTell, hours.Back(row.DueAt, p.Tell))
	}
}

// guardAgain guards the promise of a row that nobody has any more: she gave it back, her
// claim ran out, or it was put off and is back. What fired while it was in her hands fires
// anew, and the ladder that she silenced begins again.
func (t *turn) guardAgain(row *Row) {
	switch {
	case !unheard(row):
		return
	case row.Level == triage.Emergency:
		row.AckedBy = ""
		t.page(row, 0)
		return
	}
	waits := slices.ContainsFunc(t.rec.Wakes, func(w Wake) bool { return w.Key == stepUntaken+row.ID })
	warn := t.bot.service.Hours.Back(row.DueAt, t.bot.service.Promise.Warn)
	if !waits {
		t.guard(row)
	}
	if row.Level >= triage.Soon && row.PagedTo == "" && !warn.After(t.now) && t.now.Before(row.DueAt) {
		t.wakeWarn(row)
	}
}

// promiseKept takes back what guards a promise.
func (t *turn) promiseKept(row *Row) {
	for _, step := range []string{stepUntaken, stepWarn, stepTell, stepDue} {
		t.unwake(step + row.ID)
	}
}

// unheard says whether the promise of a row can still be missed.
func unheard(row *Row) bool { return row != nil && row.State != Closed && !row.Spoke }

// wakeUntaken pages for an urgent row that nobody has taken. One that is put off is in a
// nurse's hands until it comes back.
func (t *turn) wakeUntaken(row *Row) {
	if unheard(row) && row.State == Snoozed {
		t.wake(Wake{Key: stepUntaken + row.ID, Kind: WakeUntaken, At: row.WakeAt, Ref: row.ID})
		return
	}
	if unheard(row) && row.State != Claimed && !t.paging(row) {
		t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: "urgent, and nobody has taken it"})
		t.page(row, 0)
	}
}

// wakeWarn pages the lead while the promise can still be kept.
func (t *turn) wakeWarn(row *Row) {
	if unheard(row) && row.State != Claimed {
		t.pageLead(row, "nobody has taken it, and its time is nearly over")
	}
}

// wakeTell tells her in time that the promise may be missed.
func (t *turn) wakeTell(row *Row) {
	if unheard(row) && row.State != Claimed {
		t.tellOfMiss(row)
	}
}

// wakeDue runs when a row's promise is due and nobody has spoken with her.
func (t *turn) wakeDue(w Wake, row *Row) {
	if !unheard(row) {
		return
	}
	if row.DueAt.After(t.now) {
		t.wake(Wake{Key: w.Key, Kind: WakeDue, At: row.DueAt, Ref: row.ID})
		return
	}
	t.entry(Entry{Kind: EntryRow, Ref: row.ID, Why: "the time that she was told has passed, and nobody has spoken with her"})
	t.kept(row, true)
	if row.Level == triage.Emergency {
		// What is due of an emergency is that somebody has it (HZ5).
		if row.State != Claimed && row.AckedBy == "" {
			t.pageLead(row, "an emergency that nobody has answered")
			t.tellOfMiss(row)
		}
		return
	}
	t.tellOfMiss(row)
	switch {
	case row.Level < triage.Soon:
	case row.State == Claimed:
		t.pageLead(row, row.ClaimedBy+" has it, and has not spoken with her")
	case row.Level == triage.Urgent && !t.paging(row):
		t.page(row, 0)
	case row.Level == triage.Soon && row.PagedTo == "": // else the lead was warned
		t.pageLead(row, "its time has passed, and nobody has it")
	}
}

// paging says whether somebody is being paged for a row, or has answered just now.
func (t *turn) paging(row *Row) bool {
	return slices.ContainsFunc(t.rec.Wakes, func(w Wake) bool { return w.Key == "page:"+row.ID })
}

// tellOfMiss tells her, once, that the promise may be missed, and which door to try
// now (desk research 5, 2). About a small thing, or to her silence, none was made.
func (t *turn) tellOfMiss(row *Row) {
	if row.Level < triage.Soon || row.ToldOfMiss || row.Level < triage.Emergency && !row.Promised {
		return
	}
	if !t.mayTell() {
		t.entry(Entry{Kind: EntryRow, Ref: row.ID, Why: "she is not told that the promise may be missed: no texts go to her"})
		return
	}
	row.ToldOfMiss = true
	t.kept(row, false)
	priority := PriorityReply // it answers what she wrote: it waits for no sending hours
	if row.Level == triage.Emergency {
		priority = PriorityEmergency
	}
	id := t.bot.content.MissedText(row.Level, row.Concern)
	t.sayFrom(t.bot.content, id, priority, func(string) map[string]string { return t.byVars(row) })
}
