package bot_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/rehearsal"
)

// sleepy is a store whose caller sleeps after a claim, as a process that is
// paused does, until what happens meanwhile has happened.
type sleepy struct {
	bot.Store
	meanwhile func()
}

func (s *sleepy) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
	out, err := s.Store.ClaimOutgoing(ctx, channel, now, lease, limit)
	if len(out) > 0 && s.meanwhile != nil {
		meanwhile := s.meanwhile
		s.meanwhile = nil
		meanwhile()
	}
	return out, err
}

// counter counts what was sent.
type counter struct {
	mu   sync.Mutex
	sent map[string]int
}

func (c *counter) Send(_ context.Context, o bot.Outgoing) (bot.Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[o.ID]++
	return bot.Sent{CarrierID: "C" + o.ID}, nil
}

// A process that sleeps through its lease sends nothing more of what it had
// claimed: another has it by then.
func TestWhoSleepsThroughItsLeaseSendsNothing(t *testing.T) {
	w := newWorld(t, rehearsal.Setting{Begin: time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC), Nation: "england-and-wales"})
	if _, err := w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: "+447700900123",
		TreatmentEnded: "2026-09-30", ConsentSMS: true}, "ann@example.nhs.uk"); err != nil {
		t.Fatal(err)
	}
	if err := w.Receive(t.Context(), bot.Inbound{Service: "anytown", From: bot.Address{Channel: smsChannel, At: "+447700900123"}, Text: "found a lump in my breast", CarrierID: "SM1"}); err != nil {
		t.Fatal(err)
	}
	carrier := &counter{sent: map[string]int{}}
	process := func(store bot.Store) *bot.Bot {
		b, err := bot.New(t.Context(), bot.Config{Store: store, Content: w.Pack, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk",
			Now: func() time.Time { return w.Now }, Outlets: map[string]bot.Outlet{smsChannel: {Sender: carrier, Lease: time.Minute}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := process(w.Store)
	sleeper := process(&sleepy{Store: w.Store, meanwhile: func() {
		w.Now = w.Now.Add(time.Minute)
		if n, err := other.Deliver(t.Context()); err != nil || n == 0 {
			t.Errorf("the other delivered %d, %v", n, err)
		}
	}})
	if _, err := sleeper.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(carrier.sent) == 0 {
		t.Error("nothing was sent")
	}
	for id, n := range carrier.sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
		if o, err := w.Store.Outgoing(t.Context(), id); err != nil || o.State != bot.OutSent {
			t.Errorf("%s is %s, %v", id, o.State, err)
		}
	}
}
