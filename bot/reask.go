package bot

import (
	"slices"
	"time"

	"lookout/flows/triage"
)

// How a sign of illness is asked about again (clinical.md 6.3 and 6.5): two days
// after what was urgent, and two weeks after anything that she told, because what
// has lasted for two weeks is no passing thing. Silence clears nothing.
const (
	reaskUrgent = 48 * time.Hour
	reaskLast   = 14 * 24 * time.Hour
	reaskStale  = 7 * 24 * time.Hour // so late it is not asked any more: a check-in comes anyway

	flowTwoDays  = "again-two-days"
	flowTwoWeeks = "again-two-weeks"
)

// reask plans to ask again about a row that was opened or raised. Of several the
// soonest counts: one question is about all that she told.
func (t *turn) reask(row *Row) {
	if row.Level < triage.Soon || !t.bot.content.AsksAgain(row.Concern) {
		return
	}
	w := Wake{Key: "reask", Kind: WakeReask, Ref: row.Concern, Due: t.now.Add(reaskLast)}
	if row.Level >= triage.Urgent {
		w.Due = t.now.Add(reaskUrgent)
		w.N = 1 // two days; the two weeks follow
	}
	if i := slices.IndexFunc(t.rec.Wakes, func(x Wake) bool { return x.Key == w.Key }); i >= 0 && !t.rec.Wakes[i].Due.After(w.Due) {
		return
	}
	w.At = w.Due
	if when, _ := t.slot(w.Due, w.Key); when.After(w.Due) {
		w.At = when
	}
	t.wake(w)
}

// wakeReask asks again, moves the question, or drops it with its reason.
func (t *turn) wakeReask(w Wake) {
	next := Wake{Key: w.Key, Kind: WakeReask, Ref: w.Ref, Due: w.Due.Add(reaskLast - reaskUrgent)}
	next.At = next.Due
	drop := func(why string) {
		t.entry(Entry{Kind: EntryPlan, Ref: w.Key, Why: "dropped: " + why})
		if w.N == 1 {
			t.wake(next)
		}
	}
	switch why := t.settled(w.Ref); {
	case t.rec.Patient.Status != Active:
		t.entry(Entry{Kind: EntryPlan, Ref: w.Key, Why: "not asked again: she is " + string(t.rec.Patient.Status)})
		return
	case why != "":
		t.entry(Entry{Kind: EntryPlan, Ref: w.Key, Why: "not asked again: " + why})
		return
	case t.now.Sub(w.Due) > reaskStale:
		drop("it is a week late")
		return
	case !t.reachable():
		drop("texts do not reach her")
		return
	}
	if why := t.waits(); why != "" {
		when, _ := t.slot(t.now.AddDate(0, 0, 1), w.Key)
		t.movePlan(w, when, "put off: "+why)
		return
	}
	if !t.mayText() || !t.spaced() {
		from := t.now
		if !t.spaced() {
			from = t.rec.LastOut.Add(betweenPlanned)
		}
		when, why := t.slot(from, w.Key)
		t.movePlan(w, when, why)
		return
	}
	flow := flowTwoWeeks
	if w.N == 1 {
		flow = flowTwoDays
		t.wake(next)
	}
	t.begin(flow, "she told of "+w.Ref)
	t.rec.LastOut = t.now
}

// reaskClosed takes the question back when a row is closed in a way that leaves
// nothing to ask about: it was nothing, or she went to A&E.
func (t *turn) reaskClosed(row *Row) {
	if row.Outcome != "not-needed" && row.Outcome != "emergency" {
		return
	}
	t.rec.Wakes = slices.DeleteFunc(t.rec.Wakes, func(w Wake) bool { return w.Kind == WakeReask && w.Ref == row.Concern })
}

// settled says why nobody need ask again about a concern; "" when it is open.
func (t *turn) settled(concern string) string {
	told := false
	for _, e := range t.rec.Past {
		if t.bot.content.Concern(e.Concept) != concern {
			continue
		}
		if told = true; !e.Gone && !e.ExpectedUntil.After(t.now) {
			return ""
		}
	}
	if told {
		return "she says that it has gone, or it is known and expected"
	}
	return ""
}
