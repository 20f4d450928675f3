package bot_test

import (
	"errors"
	"testing"
	"time"

	"lookout/bot"
	"lookout/content"
)

// People are erased when the service's years are over, and never one who is
// followed up, whose concern is open, or who has written since.
func TestRetention(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	b, team := newBot(t, &at, nil)
	team.KeepYears = 8
	says := func(phone, id, words string) {
		t.Helper()
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: phone}, Text: words, CarrierID: id}); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]string{}
	for phone, does := range map[string]string{"+447700900101": "stays", "+447700900102": "stops", "+447700900103": "stops, with a concern open", "+447700900104": "stops, and writes later"} {
		p, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: phone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		ids[does] = p.ID
		if does == "stays" {
			continue
		}
		if does == "stops, with a concern open" {
			says(phone, "SM1"+phone, "found a lump in my breast")
		}
		says(phone, "SM2"+phone, "STOP")
	}
	if n, err := b.Retain(t.Context()); n != 0 || err != nil {
		t.Fatalf("on the same day: %d erased, %v", n, err)
	}
	at = at.AddDate(5, 0, 0)
	says("+447700900104", "SM3", "STOP")
	at = at.AddDate(3, 0, 1)
	for _, want := range []int{1, 0} { // the second time there is nobody left to erase
		if n, err := b.Retain(t.Context()); n != want || err != nil {
			t.Fatalf("after 8 years: %d erased, %v, want %d", n, err, want)
		}
	}
	for does, id := range ids {
		if _, err := b.Patient(t.Context(), id); errors.Is(err, bot.ErrNotFound) != (does == "stops") {
			t.Errorf("who %s: %v", does, err)
		}
	}
	team.KeepYears = 0
	at = at.AddDate(50, 0, 0)
	if n, err := b.Retain(t.Context()); n != 0 || err != nil {
		t.Errorf("without a setting: %d erased, %v", n, err)
	}
}

// newBot makes a team with a store on a file, open from 9 to 5 on every day and
// texting from 10 to 4, whose clock is at.
func newBot(t *testing.T, at *time.Time, outlets map[string]bot.Outlet) (*bot.Bot, *bot.Service) {
	t.Helper()
	return botOn(t, newStore(t), at, outlets)
}

// botOn is newBot on a store that is there.
func botOn(t *testing.T, store bot.Store, at *time.Time, outlets map[string]bot.Outlet) (*bot.Bot, *bot.Service) {
	t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, NurseLine: "01632 960 001", CancerLine: "01632 960 002",
		Promise: bot.DefaultPromise, Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}, PageEvery: time.Minute, Lease: 30 * time.Minute}
	team.Hours.Location = time.UTC
	for i := range team.Hours.Week {
		team.Hours.Week[i] = []bot.Spell{{From: 540, To: 1020}}
	}
	b, err := bot.New(t.Context(), bot.Config{Store: store, Content: pack, Service: team, PublicURL: "http://x", Outlets: outlets, Now: func() time.Time { return *at }})
	if err != nil {
		t.Fatal(err)
	}
	return b, team
}
