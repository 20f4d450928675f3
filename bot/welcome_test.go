package bot_test

import (
	"context"
	"testing"
	"time"

	"lookout/bot"
)

// sent notes what is handed to a carrier.
type sent struct{ texts []string }

func (s *sent) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	s.texts = append(s.texts, out.TextID)
	return bot.Sent{CarrierID: out.ID}, nil
}

// A welcome that somebody else set off by enrolling her does not wake her: it waits
// for sending hours, however late its wake comes. By day it goes at once.
func TestWelcomeWaitsForSendingHours(t *testing.T) {
	for _, night := range []bool{false, true} {
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		if night {
			at = at.Add(12 * time.Hour)
		}
		var carrier sent
		b, _ := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: &carrier, Lease: time.Minute, JoinUpTo: 300}})
		if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: "+447700900101", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
			t.Fatal(err)
		}
		work := func(want int) {
			t.Helper()
			if _, err := b.Wake(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(carrier.texts) != want {
				t.Errorf("at %s she has had %v, want %d", at.Format("Mon 15:04"), carrier.texts, want)
			}
		}
		if !night {
			work(1)
			continue
		}
		work(0)
		at = at.AddDate(0, 0, 1) // the process was down all day: again it is night
		work(0)
		// Her place in the day's window is hers alone, by her id; a tick that comes
		// some minutes late does not cost her a day.
		for at = at.Add(10 * time.Hour); len(carrier.texts) == 0 && at.Day() == 26; at = at.Add(10 * time.Minute) {
			b.Wake(t.Context())
			b.Deliver(t.Context())
		}
		if at.Day() != 26 || at.Hour() >= 17 {
			t.Errorf("it was %s before she was welcomed", at.Format("Mon 15:04"))
		}
		at = at.AddDate(0, 0, 1)
		work(1)
	}
}
