package bot_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/rehearsal"
)

// crowd is a team with many patients whose first check-in is due on one day.
func crowd(t *testing.T, n int, rows float64) *world {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Begin: time.Date(2026, 11, 2, 9, 0, 0, 0, zone)})
	w.Team.RowsPerNurse = rows
	for i := range n {
		p, err := w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: fmt.Sprint("Jones", i), BirthDate: "1961-04-30", Phone: fmt.Sprintf("+4477009%05d", i), TreatmentEnded: "2026-11-02", ConsentSMS: true}, "Ann")
		if err != nil {
			t.Fatal(err)
		}
		w.People = append(w.People, rehearsal.Person{ID: p.ID, Name: "Mary", Phone: ""})
	}
	return w
}

// asked gives the days on which each patient was first asked something, after
// letting time go by in steps; down says when lookout does not run.
func (w *world) asked(until time.Time, step time.Duration, down func(time.Time) bool) map[string][]string {
	w.t.Helper()
	days := map[string][]string{}
	for ; w.Now.Before(until); w.Now = w.Now.Add(step) {
		if down(w.Now) {
			continue
		}
		if err := w.Level(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.Wake(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.Deliver(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		for _, out := range w.Sent {
			if strings.HasPrefix(out.TextID, "check-in.start") {
				day := w.Now.Format(time.DateOnly)
				days[day] = append(days[day], out.Patient)
				w.allowed("crowd", out)
			}
		}
		w.Sent = nil
	}
	return days
}

func never(time.Time) bool { return false }

// 120 check-ins fall due on one day, and the two days' answers of one nurse are
// 12 rows each: they are spread, nobody is forgotten, and no day has too many.
func TestSendsAreSpreadByWhatNursesCanAnswer(t *testing.T) {
	t.Parallel()
	run := func() map[string][]string {
		w := crowd(t, 120, 12)
		return w.asked(w.Now.AddDate(0, 0, 24), 10*time.Minute, never)
	}
	days := run()
	total := 0
	for day, who := range days {
		total += len(who)
		// 0.85 answered by 0.58 alerts: 0.493 rows a check-in; the first reminder's text is another's.
		if expected := 0.493 * float64(len(who)); expected > 12.001 {
			t.Errorf("%s: %d check-ins, of which %.2f rows are to be expected", day, len(who), expected)
		}
	}
	if total < 120 || len(days) < 5 {
		t.Errorf("%d check-ins on %d days", total, len(days))
	}
	again := run()
	for day := range days {
		slices.Sort(days[day])
		slices.Sort(again[day])
		if !slices.Equal(days[day], again[day]) {
			t.Errorf("%s: from run to run others are asked", day)
		}
	}
}

// lookout was down over the whole day on which check-ins were due. They do not all
// go in the first minute after it; what has become stale is dropped and said so.
func TestBacklogAfterDowntime(t *testing.T) {
	t.Parallel()
	w := crowd(t, 60, 0)
	due := time.Date(2026, 11, 16, 0, 0, 0, 0, w.Team.Location)
	up := due.AddDate(0, 0, 1).Add(12 * time.Hour)
	byMinute := map[string]int{}
	w.asked(due, 10*time.Minute, never)
	for w.Now = up; w.Now.Before(due.AddDate(0, 0, 3)); w.Now = w.Now.Add(5 * time.Minute) {
		if _, err := w.Wake(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, out := range w.Sent {
			if strings.HasPrefix(out.TextID, "check-in.start") {
				byMinute[w.Now.Format("Mon 15:04")]++
				w.allowed("backlog", out)
			}
		}
		w.Sent = nil
	}
	total, most := 0, 0
	for _, n := range byMinute {
		total, most = total+n, max(most, n)
	}
	if total != 60 || most > 12 {
		t.Errorf("%d of 60 went, at most %d at once: %v", total, most, byMinute)
	}
	journal, err := w.Store.Journal(t.Context(), w.People[rand.IntN(60)].ID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(journal, func(e bot.Entry) bool {
		return strings.HasPrefix(e.Why, "moved to 2026-11-1") && strings.Contains(e.Why, "lookout was not there")
	}) {
		t.Errorf("no reason in the journal: %+v", journal)
	}

	// And down for two months: the check-in of week 2 is stale, the later one goes.
	w = crowd(t, 5, 0)
	days := w.asked(w.Now.AddDate(0, 0, 75), time.Hour, func(now time.Time) bool {
		return now.Before(w.Now.AddDate(0, 0, 0)) || now.Before(time.Date(2027, 1, 4, 9, 0, 0, 0, w.Team.Location))
	})
	journal, err = w.Store.Journal(t.Context(), w.People[0].ID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(journal, func(e bot.Entry) bool {
		return e.Ref == "check-in-week-1" && strings.HasPrefix(e.Why, "dropped: it was due on 2026-11-16")
	}) {
		t.Error("the stale check-in is not said to be dropped")
	}
	for day, who := range days {
		if len(who) > 5 {
			t.Errorf("%s: %d check-ins to 5 people", day, len(who))
		}
	}
}
