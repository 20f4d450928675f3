package bot_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
)

// writes counts what is written to a store of what became of messages.
type writes struct {
	bot.Store
	settled, commits atomic.Int64
	last             string
}

func (w *writes) Settle(ctx context.Context, all ...bot.Settlement) error {
	w.settled.Add(int64(len(all)))
	w.last = all[len(all)-1].ID
	return w.Store.Settle(ctx, all...)
}

func (w *writes) Commit(ctx context.Context, c bot.Change) error {
	w.commits.Add(1)
	return w.Store.Commit(ctx, c)
}

// The sweep reads the carrier's last word on each message of two days again every three
// minutes: what was taken in is written, and told to the desks, once.
func TestAReceiptThatWasTakenInIsNotWrittenAgain(t *testing.T) {
	for _, state := range []bot.OutState{bot.OutDelivered, bot.OutUndelivered} {
		at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
		store := &writes{Store: newStore(t)}
		b, _ := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: &carrier{text: map[string]string{}, dead: map[string]bool{}}, Lease: time.Minute}})
		if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
			t.Fatal(err)
		}
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: herPhone}, Text: "found a lump in my breast", CarrierID: "SM1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		receipt := bot.DeliveryReceipt{Outgoing: store.last, State: state}
		if err := b.DeliveryReceipt(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
		if out, err := store.Outgoing(t.Context(), store.last); err != nil || out.State != state {
			t.Fatalf("the first receipt: %v, %v", out.State, err)
		}
		hints := b.Watch(t.Context())
		settled, commits := store.settled.Load(), store.commits.Load()
		for range 20 {
			if err := b.DeliveryReceipt(t.Context(), receipt); err != nil {
				t.Fatal(err)
			}
		}
		if store.settled.Load() != settled || store.commits.Load() != commits || len(hints) != 0 {
			t.Errorf("%s: 20 times the same made %d settlements, %d commits, %d hints", state, store.settled.Load()-settled, store.commits.Load()-commits, len(hints))
		}
	}
}

// A page's last word is taken in once too; and one that came when the row was answered does
// not move the ladder when the row is paged again.
func TestAPageThatFailedFailsOnce(t *testing.T) {
	for _, answered := range []bool{false, true} {
		at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
		store := &writes{Store: newStore(t)}
		phones := &carrier{text: map[string]string{}, dead: map[string]bool{}}
		b, team := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: phones, Lease: time.Minute}})
		for _, d := range [][2]string{{"Ann", annsPhone}, {"Bea", beasPhone}} {
			team.Duty = append(team.Duty, bot.Duty{Name: d[0], Addresses: []bot.Address{{Channel: "sms", At: d[1]}}})
		}
		w := &ward{T: t, Bot: b, team: team, at: at, out: phones}
		w.her = must[bot.Patient](w)(w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"))
		w.deliver()
		row := w.writes("cant feel my legs")
		w.deliver()
		receipt := bot.DeliveryReceipt{Outgoing: phones.last(annsPhone), State: bot.OutUndelivered}
		if answered {
			w.answer(annsPhone, "ACK")
		}
		if err := b.DeliveryReceipt(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
		settled, commits := store.settled.Load(), store.commits.Load()
		again := func() {
			if err := b.DeliveryReceipt(t.Context(), receipt); err != nil {
				t.Fatal(err)
			}
		}
		again()
		if store.settled.Load() != settled || store.commits.Load() != commits {
			t.Errorf("answered: %t: the same again made %d settlements, %d commits", answered, store.settled.Load()-settled, store.commits.Load()-commits)
		}
		if !answered {
			continue
		}
		at = at.Add(31 * time.Minute)
		w.deliver()
		again()
		if r := w.row(row.ID); r.AckedBy != "" || r.PagedTo != "Ann" {
			t.Errorf("she is paged again, and the old failure gives %+v", r)
		}
	}
}
