package bot_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lookout/bot"
)

// Two processes share a store, and everything happens at once: people write by text and in
// the chat, nurses take, note, give back and close, the clock wakes, what waits is
// delivered, and pages are read. No message is lost or counts twice, a row has one holder,
// and the race detector has something to look at.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const people, rounds = 3, 6
	at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	store := newStore(t)
	out := &carrier{text: map[string]string{}, dead: map[string]bool{}}
	var bots []*bot.Bot
	for range 2 {
		b, _ := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: out, Lease: time.Minute}, "chat": {Sender: &carrier{text: map[string]string{}}, Lease: time.Minute, Forms: true}})
		bots = append(bots, b)
	}
	var ids, phones []string
	for n := range people {
		phones = append(phones, fmt.Sprintf("+4477009001%02d", n))
		p, err := bots[0].Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: fmt.Sprint("Jones", n), BirthDate: "1961-04-30", Phone: phones[n], TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	// Whoever is too slow is told so; nothing else is a fault.
	slow := func(err error) bool {
		return err == nil || errors.Is(err, bot.ErrConflict) || errors.Is(err, bot.ErrRefused) || errors.Is(err, bot.ErrUnavailable)
	}
	words := []string{"found a lump in my breast", "no", "yes", "it is worse today", "thanks", "cant feel my legs", "CALL", "7"}
	var all sync.WaitGroup
	for n, id := range ids {
		b := bots[n%2]
		for _, way := range []string{"sms", "chat"} {
			all.Go(func() {
				for i := range rounds {
					in := bot.Inbound{From: bot.Address{Channel: "sms", At: phones[n]}, Text: words[(i+n)%len(words)], CarrierID: fmt.Sprint(way, ":", id, ":", i)}
					if way == "chat" {
						in.From, in.Patient = bot.Address{Channel: "chat", At: id}, id
					}
					for { // as a carrier does, and once more
						if err := b.Receive(t.Context(), in); err == nil {
							break
						} else if !errors.Is(err, bot.ErrUnavailable) {
							t.Error(err)
							return
						}
					}
					if err := bots[(n+1)%2].Receive(t.Context(), in); err != nil && !errors.Is(err, bot.ErrUnavailable) {
						t.Error(err)
					}
					if _, err := b.Hers(t.Context(), id, 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	for n, by := range []string{"ann@example.org", "bea@example.org", "car@example.org"} {
		b := bots[n%2]
		all.Go(func() {
			for range rounds {
				rows, err := b.Queue(t.Context(), bot.QueueFilter{})
				if err != nil {
					t.Error(err)
					return
				}
				for i, r := range rows {
					a := bot.Act{Row: r.ID, By: by}
					if taken, err := b.Take(t.Context(), a); err == nil && taken.ClaimedBy != by {
						t.Errorf("%s takes a row, and %s has it", by, taken.ClaimedBy)
					} else if !slow(err) {
						t.Error(err)
					}
					_, err := b.Note(t.Context(), a, "looked at")
					if err == nil && i%2 == 0 {
						_, err = b.CloseRow(t.Context(), bot.Closing{Row: r.ID, By: by, Outcome: "advice"})
					} else if err == nil {
						_, err = b.Release(t.Context(), a)
					}
					if !slow(err) {
						t.Error(err)
					}
				}
				if _, err := b.Case(t.Context(), ids[n]); err != nil {
					t.Error(err)
				}
				if _, err := b.Find(t.Context(), "jones", 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, b := range bots {
		all.Go(func() {
			for range rounds {
				if _, err := b.Wake(t.Context()); !slow(err) {
					t.Error(err)
				}
				if _, err := b.Deliver(t.Context()); !slow(err) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		entries, err := store.Journal(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		came := map[string]int{}
		for _, e := range entries {
			if e.Kind == bot.EntryIn {
				came[e.Carrier]++
			}
		}
		if len(came) != 2*rounds {
			t.Errorf("%d of %d messages of %s are kept", len(came), 2*rounds, id)
		}
		for message, n := range came {
			if n != 1 {
				t.Errorf("%s counts %d times", message, n)
			}
		}
		rows, err := store.Queue(t.Context(), bot.QueueFilter{Patient: id, States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}})
		if err != nil {
			t.Fatal(err)
		}
		var open []string
		for _, r := range rows {
			if open = append(open, r.Concern); r.State == bot.Claimed && r.ClaimedBy == "" {
				t.Errorf("%s is taken by nobody", r.ID)
			}
		}
		if slices.Sort(open); len(slices.Compact(slices.Clone(open))) != len(open) {
			t.Errorf("two rows about the same: %v", open)
		}
	}
}

// Who asks for a code to a telephone that two people share does not take the talk of the
// other away: what comes from it next is still hers with whom lookout spoke.
func TestACodeTakesNoTalkAway(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	phone := bot.Address{Channel: "sms", At: herPhone}
	daughter, err := w.Enrol(t.Context(), bot.Enrolment{GivenName: "Nia", FamilyName: "Jones", BirthDate: "1985-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.at = w.at.Add(time.Minute)
	if err := w.Start(t.Context(), daughter.ID, "check-in", "Ann"); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.at = w.at.Add(time.Minute)
	if err := w.TextCode(t.Context(), phone, "123456", func([]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.at = w.at.Add(time.Minute)
	if row := w.writes("found a lump in my breast"); row.Patient != daughter.ID {
		t.Error("the answer to her check-in stands in her mother's record")
	}
}
