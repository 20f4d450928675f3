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
