package bot_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// ward is a team with a clock, a carrier, two nurses and one patient.
type ward struct {
	*bot.Bot
	*testing.T
	team *bot.Service
	at   time.Time
	out  *carrier
	her  bot.Patient
	n    int
}

const (
	annsPhone = "+447700900900"
	beasPhone = "+447700900901"
	carPhone  = "+447700900902"
	herPhone  = "+447700900101"
)

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{T: t, at: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), out: &carrier{text: map[string]string{}, dead: map[string]bool{}}}
	w.Bot, w.team = newBot(t, &w.at, map[string]bot.Outlet{"sms": {Sender: w.out, Lease: time.Minute}})
	for _, d := range [][2]string{{"Ann", annsPhone}, {"Bea", beasPhone}, {"Car", carPhone}} {
		w.team.Duty = append(w.team.Duty, bot.Duty{Name: d[0], Addresses: []bot.Address{{Channel: "sms", At: d[1]}}})
	}
	for email, role := range map[string]bot.Role{"ann@example.org": bot.Nurse, "bea@example.org": bot.Nurse, "lea@example.org": bot.Lead, "al@example.org": bot.Auditor} {
		if err := w.PutUser(t.Context(), bot.User{Email: email, Name: strings.ToUpper(email[:1]) + email[1:3], Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.her, err = w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	return w
}

// writes takes in a text of hers, and gives the row that is the most dangerous then.
func (w *ward) writes(words string) bot.Row {
	w.Helper()
	w.n++
	if err := w.Receive(w.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: herPhone}, Text: words, CarrierID: fmt.Sprint("SM", w.n)}); err != nil {
		w.Fatal(err)
	}
	rows, err := w.Queue(w.Context(), bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}})
	if err != nil || len(rows) == 0 {
		w.Fatalf("%v, %v", rows, err)
	}
	return rows[0]
}

// deliver does what is due, and says to whom something went.
func (w *ward) deliver() string {
	w.Helper()
	if _, err := w.Wake(w.Context()); err != nil {
		w.Fatal(err)
	}
	for range 3 {
		if _, err := w.Deliver(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	return w.out.took()
}

func (w *ward) row(id string) bot.Row {
	w.Helper()
	r, err := w.Row(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func must[T any](w *ward) func(T, error) T {
	return func(x T, err error) T {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		return x
	}
}

// Trap: an act on a row that has changed since is refused with the row as it is, and
// does nothing. Pages and clocks change nothing that she has to look at.
func TestStaleActIsRefused(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	seen := must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "ann@example.org", Seen: row.Changed})).Changed
	w.writes("and my breast is red and hot") // it makes a row of its own, and she has to see it all the same
	for name, act := range map[string]func(bot.Act) error{
		"note":    func(a bot.Act) error { _, err := w.Note(t.Context(), a, "will see her"); return err },
		"ring":    func(a bot.Act) error { _, err := w.Ring(t.Context(), a, "spoke"); return err },
		"put off": func(a bot.Act) error { _, err := w.PutOff(t.Context(), a, w.at.Add(time.Hour), "later"); return err },
		"release": func(a bot.Act) error { _, err := w.Release(t.Context(), a); return err },
		"offer": func(a bot.Act) error {
			_, err := w.Offer(t.Context(), a, "bea@example.org", "my shift ends")
			return err
		},
		"level": func(a bot.Act) error { _, err := w.WrongLevel(t.Context(), a, triage.Emergency, "worse"); return err },
		"text": func(a bot.Act) error {
			return w.Say(t.Context(), bot.Saying{Patient: w.her.ID, Row: a.Row, By: a.By, Seen: a.Seen, Words: "come on Friday"})
		},
		"close": func(a bot.Act) error {
			_, err := w.CloseRow(t.Context(), bot.Closing{Row: a.Row, By: a.By, Seen: a.Seen, Outcome: "advice"})
			return err
		},
	} {
		before := w.row(row.ID)
		err := act(bot.Act{Row: row.ID, By: "ann@example.org", Seen: seen})
		var stale *bot.StaleError
		if !errors.As(err, &stale) || !errors.Is(err, bot.ErrConflict) || stale.Row.Changed == seen {
			t.Errorf("%s: %v, want that the row is stale", name, err)
		}
		if after := w.row(row.ID); after.Changed != before.Changed || after.State != bot.Claimed || after.Rung != 0 {
			t.Errorf("%s has done something though it was refused: %+v", name, after)
		}
	}
	seen = w.row(row.ID).Changed
	w.at = w.at.Add(10 * time.Minute)
	w.deliver()
	if _, err := w.Note(t.Context(), bot.Act{Row: row.ID, By: "ann@example.org", Seen: seen}, "will see her"); err != nil {
		t.Errorf("after minutes in which nothing came: %v", err)
	}
}

// Trap: a row is handed over only to a nurse who can work it, and only when she says
// yes; until then it is with whoever had it.
func TestHandOver(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	ann, bea := bot.Act{Row: row.ID, By: "ann@example.org"}, bot.Act{Row: row.ID, By: "bea@example.org"}
	if _, err := w.Offer(t.Context(), ann, "bea@example.org", "my shift ends"); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("a row that she does not hold: %v", err)
	}
	must[bot.Row](w)(w.Take(t.Context(), ann))
	for _, to := range []string{"al@example.org", "nobody@example.org", "ann@example.org", ""} {
		if _, err := w.Offer(t.Context(), ann, to, "my shift ends"); !errors.Is(err, bot.ErrInvalid) {
			t.Errorf("offered to %q: %v", to, err)
		}
	}
	if _, err := w.Offer(t.Context(), ann, "bea@example.org", " "); !errors.Is(err, bot.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	must[bot.Row](w)(w.Offer(t.Context(), ann, "bea@example.org", "my shift ends"))
	if r := w.row(row.ID); r.ClaimedBy != "ann@example.org" || r.OfferedTo != "bea@example.org" {
		t.Fatalf("%+v", r)
	}
	var held *bot.HeldError
	if _, err := w.Note(t.Context(), bea, "x"); !errors.As(err, &held) {
		t.Errorf("to be offered a row is to hold it: %v", err)
	}
	must[bot.Row](w)(w.TurnDown(t.Context(), bea))
	if _, err := w.TakeOver(t.Context(), bea); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("taken over after she said no: %v", err)
	}
	must[bot.Row](w)(w.Offer(t.Context(), ann, "bea@example.org", "my shift ends"))
	if r := must[bot.Row](w)(w.TakeOver(t.Context(), bea)); r.ClaimedBy != "bea@example.org" || r.OfferedTo != "" {
		t.Errorf("%+v", r)
	}
	if _, err := w.Note(t.Context(), ann, "x"); !errors.As(err, &held) {
		t.Errorf("she still works what she has handed over: %v", err)
	}
	if r := must[bot.Row](w)(w.TakeOver(t.Context(), bot.Act{Row: row.ID, By: "lea@example.org"})); r.ClaimedBy != "lea@example.org" {
		t.Errorf("a lead cannot take a row over: %+v", r)
	}
	must[bot.Row](w)(w.Release(t.Context(), bot.Act{Row: row.ID, By: "lea@example.org"}))
	must[bot.Row](w)(w.Take(t.Context(), bea))
	// An offer ends with the claim.
	must[bot.Row](w)(w.Offer(t.Context(), bea, "ann@example.org", "lunch"))
	w.at = w.at.Add(31 * time.Minute)
	w.deliver()
	if r := w.row(row.ID); r.State != bot.Open || r.OfferedTo != "" {
		t.Errorf("after the claim ran out: %+v", r)
	}
}

// Trap: what is marked as known and expected spares one level until its day, never
// an emergency, never for long; she is told of it, and it ends by itself.
func TestExpected(t *testing.T) {
	w := newWard(t)
	row := w.writes("my hip has been aching for three weeks")
	w.deliver()
	concept := ""
	c, err := w.Case(t.Context(), w.her.ID)
	if err != nil || len(c.Past) == 0 {
		t.Fatalf("%+v, %v", c.Past, err)
	}
	for _, e := range c.Past {
		concept = e.Concept
	}
	x := bot.Expecting{Patient: w.her.ID, Concept: concept, Until: w.at.AddDate(0, 0, 14), By: "ann@example.org", Why: "bone scan clear on 20 November"}
	bad := x
	bad.Concept = "leg_weakness"
	if err := w.Expect(t.Context(), bad); !errors.Is(err, bot.ErrRefused) {
		t.Errorf("an emergency is marked as expected: %v", err)
	}
	for name, change := range map[string]func(*bot.Expecting){
		"for ever": func(x *bot.Expecting) { x.Until = w.at.AddDate(0, 0, 60) }, "over": func(x *bot.Expecting) { x.Until = w.at.AddDate(0, 0, -1) },
		"no reason": func(x *bot.Expecting) { x.Why = "" }, "no concept": func(x *bot.Expecting) { x.Concept = "green" },
	} {
		bad := x
		change(&bad)
		if err := w.Expect(t.Context(), bad); !errors.Is(err, bot.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Expect(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if to := w.deliver(); to != herPhone || !strings.Contains(w.out.text[herPhone], "expect it until Tuesday 8 December") {
		t.Errorf("%q: she is not told: %s", to, w.out.text[herPhone])
	}
	must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "ann@example.org"}))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: "ann@example.org", Outcome: "advice"}))
	if r := w.writes("my hip is aching"); r.Level >= row.Level {
		t.Errorf("while it is expected: %s, want less than %s: %s", r.Level, row.Level, r.Reason)
	}
	if r := w.writes("my hip aches and now I cant feel my legs"); r.Level != triage.Emergency {
		t.Errorf("an emergency beside it is %s", r.Level)
	}
	if err := w.Expect(t.Context(), bot.Expecting{Patient: w.her.ID, Concept: concept, By: "ann@example.org"}); err != nil {
		t.Errorf("taken back: %v", err)
	}
	if err := w.Expect(t.Context(), bot.Expecting{Patient: w.her.ID, Concept: concept, By: "ann@example.org"}); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("taken back twice: %v", err)
	}
}

// A nurse says that a row should have been higher: it is raised, somebody is paged,
// and her words are a labelled message in the form of the corpus.
func TestWrongLevelMakesALabelledMessage(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	w.deliver()
	a := bot.Act{Row: row.ID, By: "bea@example.org"}
	if _, err := w.WrongLevel(t.Context(), a, row.Level, "same"); !errors.Is(err, bot.ErrInvalid) {
		t.Errorf("the level that it has: %v", err)
	}
	if _, err := w.WrongLevel(t.Context(), a, triage.Emergency, ""); !errors.Is(err, bot.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	raised := must[bot.Row](w)(w.WrongLevel(t.Context(), a, triage.Emergency, "it bleeds heavily"))
	if raised.Level != triage.Emergency || !raised.DueAt.Before(row.DueAt) || w.deliver() != annsPhone {
		t.Errorf("it is not raised, or nobody is paged: %+v", raised)
	}
	lines, err := w.LabelledJSONL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	examples, err := triage.ReadExamples(strings.NewReader(string(lines)), "export")
	if err != nil || len(examples) != 1 {
		t.Fatalf("%v: %s", err, lines)
	}
	if x := examples[0]; x.Text != "found a lump in my breast" || x.Level != triage.Emergency || len(x.Concepts) == 0 || x.Tags[1] != "should-be-higher" {
		t.Errorf("%+v", x)
	}
	if strings.Contains(string(lines), "Mary") || strings.Contains(string(lines), "bea@") {
		t.Errorf("it says who: %s", lines)
	}
	// A level that was too high is labelled, and nothing is lowered.
	must[bot.Row](w)(w.WrongLevel(t.Context(), a, triage.Soon, "an old scar"))
	if r := w.row(row.ID); r.Level != triage.Emergency {
		t.Errorf("a machine's level was lowered to %s", r.Level)
	}
}

// Trap: a gap in the rota at a bank holiday calls the whole list. A night belongs to
// the day before it; who covers a day comes before the rota.
func TestRota(t *testing.T) {
	w := newWard(t)
	w.team.OnCall[time.Tuesday] = []string{"Bea", "Ann"}
	w.team.OnCallOn = map[string][]string{"2026-12-25": {}}
	w.team.Hours.Closed = func(day time.Time) string {
		return map[string]string{"12-25": "Christmas Day"}[day.Format("01-02")]
	}
	first := func() string {
		t.Helper()
		row := w.writes("cant feel my legs")
		got := strings.TrimSpace(strings.ReplaceAll(w.deliver(), herPhone, ""))
		must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "ann@example.org"}))
		must[bot.Row](w)(w.Ring(t.Context(), bot.Act{Row: row.ID, By: "ann@example.org"}, "spoke"))
		must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: "ann@example.org", Outcome: "emergency"}))
		w.deliver()
		return got
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), beasPhone},
		{time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC), beasPhone},
		{time.Date(2026, 11, 25, 8, 1, 0, 0, time.UTC), annsPhone},
		{time.Date(2026, 12, 25, 12, 0, 0, 0, time.UTC), annsPhone},
	} {
		if w.at = c.at; first() != c.want {
			t.Errorf("at %s another was paged than %s", c.at, c.want)
		}
	}
	boxing := time.Date(2026, 12, 26, 0, 0, 0, 0, time.UTC)
	if err := w.Cover(t.Context(), boxing, []string{"Car", "Ann"}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]string{{"Zoe"}, {"Ann", "Ann"}} {
		if err := w.Cover(t.Context(), boxing, bad); !errors.Is(err, bot.ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := w.Cover(t.Context(), boxing.AddDate(0, 0, -9), []string{"Ann"}); !errors.Is(err, bot.ErrInvalid) {
		t.Errorf("a day that is over: %v", err)
	}
	if w.at = boxing.Add(12 * time.Hour); first() != carPhone {
		t.Error("whoever covers the day was not paged")
	}
	shifts, err := w.Rota(t.Context(), 3)
	if err != nil || len(shifts) != 3 || !shifts[0].Covered || shifts[0].Names[0] != "Car" || shifts[1].Covered {
		t.Errorf("%+v, %v", shifts, err)
	}
	if err := w.Cover(t.Context(), boxing, nil); err != nil {
		t.Fatal(err)
	}
	if first() != annsPhone {
		t.Error("the cover was taken back, and still counts")
	}
}

// Once a day those on call are sent a test message; one that does not arrive pages
// the lead, and the lead's own everybody else.
func TestDailyTestOfThePagingList(t *testing.T) {
	w := newWard(t)
	w.team.OnCall[time.Tuesday] = []string{"Ann"}
	w.team.Duty[1].Lead = true
	check := func() string {
		t.Helper()
		if err := w.CheckReach(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.deliver()
	}
	w.at = time.Date(2026, 11, 24, 8, 59, 0, 0, time.UTC)
	if to := check(); to != "" {
		t.Errorf("before 9am: %q", to)
	}
	w.at = w.at.Add(time.Minute)
	if to := check(); to != annsPhone || !strings.Contains(w.out.text[annsPhone], "daily test") {
		t.Errorf("at 9am: %q", to)
	}
	if to := check(); to != "" {
		t.Errorf("twice a day: %q", to)
	}
	reach, err := w.Reachable(t.Context())
	if err != nil || len(reach) != 3 || reach[0].State != bot.OutSent || reach[1].State != "" || !reach[1].Lead {
		t.Errorf("%+v, %v", reach, err)
	}
	w.at = w.at.AddDate(0, 0, 7)
	w.out.dead[annsPhone] = true
	if to := check(); to != beasPhone || !strings.Contains(w.out.text[beasPhone], "did not reach Ann") {
		t.Errorf("a phone on call is dead: %q is told", to)
	}
	w.team.OnCall[time.Tuesday] = []string{"Bea"}
	w.at = w.at.AddDate(0, 0, 7)
	w.out.dead = map[string]bool{beasPhone: true}
	if to := check(); to != annsPhone+" "+carPhone {
		t.Errorf("the lead's phone is dead: %q are told", to)
	}
	w.team.OnCall[time.Tuesday] = []string{"Ann"}
	w.at = w.at.AddDate(0, 0, 7)
	w.out.dead = map[string]bool{annsPhone: true, beasPhone: true}
	if to := check(); to != carPhone || !strings.Contains(w.out.text[carPhone], "did not reach Ann") {
		t.Errorf("the phones on call and of the lead are dead: %q is told", to)
	}
	w.out.dead[carPhone] = true
	w.at = w.at.AddDate(0, 0, 7)
	w.out.refused = nil
	if check(); len(w.out.refused) > 4 { // the test, the lead, and everybody else but the lead
		t.Errorf("nobody can be reached, and %q were tried", w.out.refused)
	}
}

// A row that its holder raises is guarded by its new time, also when her claim runs out
// and nobody has it.
func TestARaisedRowIsGuardedWhoeverHoldsIt(t *testing.T) {
	w := newWard(t)
	row := w.writes("CALL")
	ann := bot.Act{Row: row.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), ann))
	raised := must[bot.Row](w)(w.WrongLevel(t.Context(), ann, triage.Urgent, "she sounds breathless"))
	if row.Level != triage.Routine || raised.DueAt.Format("15:04") != "17:00" {
		t.Fatalf("%s until %s, then %s until %s", row.Level, row.DueAt, raised.Level, raised.DueAt)
	}
	w.deliver()
	w.at = w.at.Add(31 * time.Minute)
	w.deliver()
	if r := w.row(row.ID); r.State != bot.Open {
		t.Fatalf("the claim has not run out: %+v", r)
	}
	if w.at = w.at.Add(w.team.Promise.Untaken); w.deliver() != annsPhone {
		t.Error("nobody is paged for an urgent row that nobody has")
	}
}

// An answer to a page is for a row that is being paged for, and not for one that somebody
// has taken, and given back, since.
func TestAnAnswerIsForARowThatIsPagedFor(t *testing.T) {
	w := newWard(t)
	old := w.writes("found a lump in my breast")
	w.at = w.at.Add(time.Minute)
	newer := w.writes("cant feel my legs")
	w.deliver()
	bea := bot.Act{Row: newer.ID, By: "bea@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), bea))
	must[bot.Row](w)(w.Ring(t.Context(), bea, "spoke"))
	if r := must[bot.Row](w)(w.Release(t.Context(), bea)); r.PagedTo != "" {
		t.Errorf("she is rung, and the list still says that %s is paged", r.PagedTo)
	}
	w.at = w.at.Add(time.Minute)
	must[bot.Row](w)(w.WrongLevel(t.Context(), bot.Act{Row: old.ID, By: "bea@example.org"}, triage.Emergency, "it bleeds heavily"))
	if w.deliver() != annsPhone {
		t.Fatal("Ann is not paged")
	}
	if err := w.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: annsPhone}, Text: "ACK", CarrierID: "ack"}); err != nil {
		t.Fatal(err)
	}
	if acked, other := w.row(old.ID).AckedBy, w.row(newer.ID).AckedBy; acked != "Ann" || other != "" {
		t.Errorf("the row that she was paged for is answered by %q, the other by %q", acked, other)
	}
}

// The text with which her follow-up ends belongs to the row that was closed.
func TestAFarewellIsOfTheClosedRow(t *testing.T) {
	w := newWard(t)
	closes := w.writes("found a lump in my breast")
	stays := w.writes("cant feel my legs")
	ann := bot.Act{Row: closes.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), ann))
	closed := must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: closes.ID, By: ann.By, Outcome: "left"}))
	if r := w.row(closes.ID); closed.ClosingText == "" || r.ClosingText != closed.ClosingText {
		t.Errorf("the closed row does not know its text: %q, kept %q", closed.ClosingText, r.ClosingText)
	}
	if r := w.row(stays.ID); r.ClosingText != "" {
		t.Errorf("a row that stays has a text of closing: %q", r.ClosingText)
	}
}

// Trap: a death is reported while twelve texts to her still wait, the nurse's own among
// them. Not one goes out: neither while the report waits for a nurse, nor after she has
// closed it.
func TestTrapDeathWithTextsQueued(t *testing.T) {
	w := newWard(t)
	for i := range 12 {
		if err := w.Say(t.Context(), bot.Saying{Patient: w.her.ID, By: "ann@example.org", Words: fmt.Sprint("Your appointment is on Friday. ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	w.at = w.at.Add(time.Minute) // the carrier was down
	row := w.writes("This is her husband. Mary passed away on Sunday")
	if to := w.deliver(); strings.Contains(to, herPhone) {
		t.Errorf("texts went out after the report: %q", to)
	}
	// What a nurse writes after it, she means for the family.
	a := bot.Act{Row: row.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), a))
	if err := w.Say(t.Context(), bot.Saying{Patient: w.her.ID, By: a.By, Words: "We are so sorry. Ann will ring you."}); err != nil {
		t.Fatal(err)
	}
	w.at = w.at.Add(time.Minute)
	if to := w.deliver(); to != herPhone {
		t.Errorf("the nurse's word to the family: %q", to)
	}
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: a.By, Outcome: "died"}))
	for range 14 {
		w.at = w.at.Add(24 * time.Hour)
		if to := w.deliver(); strings.Contains(to, herPhone) {
			t.Errorf("texts went out on %s: %q", w.at.Format(time.DateOnly), to)
		}
	}
}

// What she says on the telephone is read like a message, opens or joins rows that the nurse
// then holds as spoken with, and neither texts her nor pages anybody. A row that a colleague
// holds stays hers.
func TestTookCall(t *testing.T) {
	w := newWard(t)
	call := func(by, words string) bot.Row {
		t.Helper()
		return must[bot.Row](w)(w.TookCall(t.Context(), w.her.ID, by, words))
	}
	row := call("ann@example.org", "cant feel her legs since this morning, and wet herself")
	if row.Level != triage.Emergency || row.State != bot.Claimed || row.ClaimedBy != "ann@example.org" || !row.Spoke || !strings.HasPrefix(row.Message, "By telephone: cant feel") || len(row.Spans) == 0 || !strings.Contains(row.Message[row.Spans[0].Start:row.Spans[0].End], "legs") {
		t.Errorf("%+v", row)
	}
	w.at = w.at.Add(2 * time.Hour)
	if to := w.deliver(); to != "" {
		t.Errorf("somebody was texted or paged: %q", to)
	}
	must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org"}))
	if r := call("ann@example.org", "she still cannot feel her legs"); r.ID != row.ID || r.ClaimedBy != "bea@example.org" || !strings.Contains(r.Message, "still cannot feel") {
		t.Errorf("a colleague's row: %+v", r)
	}
	w.deliver()
	if r := call("ann@example.org", "asks where to park on Friday"); r.State != bot.Claimed && r.ClaimedBy == "" {
		t.Errorf("nobody has the call: %+v", r)
	}
	for _, words := range []string{" ", strings.Repeat("x", 2001)} {
		var wrong *bot.FieldError
		if _, err := w.TookCall(t.Context(), w.her.ID, "ann@example.org", words); !errors.As(err, &wrong) || wrong.Field != "text" {
			t.Errorf("%d characters: %v", len(words), err)
		}
	}
	call("ann@example.org", "her husband rang: she passed away on Sunday")
	if p := must[bot.Patient](w)(w.Patient(t.Context(), w.her.ID)); p.Status != bot.Paused {
		t.Errorf("a death was reported by telephone, and she is %s", p.Status)
	}
}
