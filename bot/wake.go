package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// Wake does all that is due at now, for every patient, and says for how many.
// It may be called at any time, twice, or on two machines: a wake happens once.
// Several patients are woken at once, so that their changes share the store's
// commits; one patient's fault does not keep the others waiting, and the faults
// come back joined. Nor does a part of the store that does not answer: all who are
// due are tried, for those who lie there may be the first, each time.
func (b *Bot) Wake(ctx context.Context) (int, error) {
	const (
		batch  = 512
		rounds = 50 // what one patient can want in a minute, and far more
	)
	done := 0
	var faults, unanswered []error
	failed, woken := make(map[string]bool), make(map[string]int)
	joined := func() error {
		if n := len(unanswered); n > 0 { // one stands for all: they may be thousands, each second
			faults = append(faults, fmt.Errorf("wake %d people for whom the store does not answer: %w", n, unanswered[0]))
		}
		return errors.Join(faults...)
	}
	for {
		due, err := b.store.Due(ctx, b.now(), batch+len(failed))
		if err != nil {
			faults = append(faults, fmt.Errorf("look for what is due: %w", err))
			return done, joined()
		}
		due = slices.DeleteFunc(due, func(d Due) bool { return failed[d.Patient] })
		if len(due) == 0 {
			return done, joined()
		}
		for i, err := range b.wakeAll(ctx, due) {
			patient := due[i].Patient
			if woken[patient]++; err == nil && woken[patient] > rounds {
				err = errors.New("what is due is due again at once, each time")
			}
			if err == nil {
				done++
				continue
			}
			failed[patient] = true
			if errors.Is(err, ErrUnavailable) {
				unanswered = append(unanswered, err)
			} else {
				faults = append(faults, fmt.Errorf("wake %s: %w", patient, err))
				b.log.Error("wake failed", "patient", patient, "err", err)
			}
			if ctx.Err() != nil {
				return done, joined()
			}
		}
	}
}

// wakingAtOnce is how many patients are woken side by side: enough to fill the
// groups that a store commits together.
const wakingAtOnce = 64

// wakeAll wakes patients, and gives what came of each.
func (b *Bot) wakeAll(ctx context.Context, due []Due) []error {
	faults := make([]error, len(due))
	atOnce(len(due), func(i int) { faults[i] = b.wakePatient(ctx, due[i].Patient) })
	return faults
}

// atOnce does n things, wakingAtOnce of them side by side.
func atOnce(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(wakingAtOnce, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// wakePatient does what is due for one patient, in one turn.
func (b *Bot) wakePatient(ctx context.Context, patient string) (err error) {
	ctx, span := b.span(ctx, "wake")
	defer func() { done(span, err) }()
	return b.turn(ctx, patient, "", nil, func(t *turn) error {
		due := t.wakes()
		if len(due) == 0 {
			return errNothing
		}
		// The record's version makes it happen once, also where two machines wake her
		// at the same moment. A name would not do: the same wake may be set again for
		// the same minute, by a plan that was changed.
		t.unasked = true
		for _, w := range due {
			t.unwake(w.Key)
			tag(span, "wake."+string(w.Kind), "due")
			t.handle(w)
		}
		return nil
	})
}

// wakes lists those of hers that are due, earliest first.
func (t *turn) wakes() []Wake {
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
			t.comeBack(row, "its time to come back has come")
			t.guardAgain(row)
		}
	case WakeDue:
		t.wakeDue(w, t.rowByID(w.Ref))
	case WakeUntaken:
		t.wakeUntaken(t.rowByID(w.Ref))
	case WakeWarn:
		t.wakeWarn(t.rowByID(w.Ref))
	case WakeTell:
		t.wakeTell(t.rowByID(w.Ref))
	case WakeReask:
		t.wakeReask(w)
	case WakeAgain:
		t.wakeAgain(w)
	case WakeResume:
		if t.rec.Patient.Status == Paused && (t.mourning() || t.misdirected()) {
			t.holdBack() // nobody has looked yet whose death it was, or whose number
			return
		}
		if row := t.row("private"); t.rec.Patient.NotHere && row != nil && row.State != Closed {
			t.pause(pauseWeeks, "no nurse has agreed another way with her yet")
			return
		}
		if t.rec.Patient.Status == Paused {
			t.rec.Patient.NotHere = false
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
	if when, why := t.slot(t.now, w.Key); when.After(t.now) && !t.mayText() {
		w.At = when
		t.wake(w)
		t.entry(Entry{Kind: EntryPlan, Ref: w.Ref, Why: "moved: " + why})
		return
	}
	t.step(flows.Event{Timer: w.Ref})
}

// Items that are no plan's.
const (
	inviteItem  = "invitation"
	welcomeItem = "welcome"
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
	when, shifts := t.rules().place(from, t.rec.Patient.ID+item.ID, true)
	if when.IsZero() {
		t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "cannot be planned: " + shiftWords(shifts)})
		t.openRow("unreachable", triage.Routine, "Her plan cannot go on by text: "+shiftWords(shifts)+". Agree another way with her.", "(her plan cannot go on)", nil)
		return
	}
	if len(shifts) > 0 {
		t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "planned for " + when.In(t.zone()).Format(time.DateOnly) + ": " + shiftWords(shifts)})
	}
	t.wake(Wake{Key: "plan", Kind: WakePlan, At: when, Ref: item.ID, N: int(1000*item.Rows + 0.5), Due: item.At})
	if hours := t.bot.service.Hours; hours.day(when).Equal(hours.day(t.now)) {
		t.bot.spread.more.Store(true)
	}
}

// nextItem is the first item of her plan that is not done and not before her
// enrolment. What is due soon is worked out once a turn, and what is due later only
// when nothing is due soon.
func (t *turn) nextItem() (content.Item, bool) {
	plan, ok := t.bot.content.Plan(t.rec.Patient.Plan)
	if !ok {
		return content.Item{}, false
	}
	today := t.now.In(t.zone())
	if t.soon == nil {
		t.soon = plan.Due(t.person(), time.Time{}, today.AddDate(0, 0, soonDays))
	}
	for _, item := range t.soon {
		if _, done := t.rec.Planned[item.ID]; !done {
			return item, true
		}
	}
	if later := plan.Due(t.person(), today.AddDate(0, 0, soonDays), today.AddDate(2, 0, 0)); len(later) > 0 {
		return later[0], true
	}
	return content.Item{}, false
}

// soonDays is a little longer than most of what is planned lies apart.
const soonDays = 100

// wakePlan sends what is due of her plan, or moves or drops it, with the reason.
func (t *turn) wakePlan(w Wake) {
	if w.Ref == inviteItem {
		if t.rec.Patient.Status == Invited {
			if when, why := t.slot(t.now, w.Ref); !t.mayText() {
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
	if !t.now.Before(item.Stale) {
		t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "dropped: it was due on " + item.At.Format(time.DateOnly) + " and is stale now"})
		t.planNext(item.ID)
		return
	}
	if !t.reachable() {
		t.putOff(w, t.now.Add(unreachedHolds), "put off: "+unreachedReason)
		return
	}
	if waits := t.waits(); waits != "" {
		t.putOff(w, t.bot.service.Hours.day(t.now).AddDate(0, 0, 1), "put off: "+waits)
		return
	}
	// What lookout slept through is planned again, with a place of its own in what is
	// left of the day: a backlog never goes all at once.
	if t.now.Sub(w.At) > late {
		t.putOff(w, t.now, "planned again: lookout was not there when it was due")
		return
	}
	if !t.mayText() || !t.spaced() {
		t.putOff(w, t.now, "put off")
		return
	}
	t.entry(Entry{Kind: EntryPlan, Ref: item.ID, Why: "sent"})
	t.released += w.N
	if item.Flow != "" {
		t.begin(item.Flow, "her plan: "+item.ID)
	} else {
		t.say(item.Text, nil, PriorityPlanned)
	}
	t.rec.LastOut = t.now // what comes next is planned from here
	t.planNext(item.ID)
}

// spaced says whether the last unasked text is two days old.
func (t *turn) spaced() bool {
	return t.rec.LastOut.IsZero() || !t.now.Before(t.rec.LastOut.Add(betweenPlanned))
}

// waits says why her plan waits for something of hers: a talk that is open, or a
// concern about which nobody has spoken with her yet. To ask how she is while she
// waits to be rung about it would tell her that nobody has read what she wrote.
func (t *turn) waits() string {
	if t.rec.Talk.Active() {
		return "a talk with her is open"
	}
	for _, r := range t.rec.Rows {
		if r.State != Closed && (r.Level >= triage.Urgent || r.Level >= triage.Soon && !r.Spoke) {
			return "a concern of hers is open (" + r.Level.String() + ")"
		}
	}
	return ""
}

// putOff gives an item of her plan the next place from a time on, and says why.
func (t *turn) putOff(w Wake, from time.Time, why string) {
	when, shifts := t.rules().place(from, t.rec.Patient.ID+w.Ref, true)
	if when.IsZero() {
		when = t.now.AddDate(0, 0, planAhead)
	}
	if words := shiftWords(shifts); words != "" {
		why += " (" + words + ")"
	}
	t.movePlan(w, when, why)
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
	row.State = Open
	t.letGo(row)
	t.changed(row, "given back: "+by+"'s claim ran out without work", true)
	t.guardAgain(row)
}
