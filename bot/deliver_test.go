package bot_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lookout/bot"
)

// slow is a carrier that notes to whom it sends, and does something while it has its
// first message.
type slow struct {
	mu    sync.Mutex
	sent  []string
	first func()
}

func (s *slow) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent = append(s.sent, out.To.At); len(s.sent) == 1 {
		s.first()
	}
	return bot.Sent{CarrierID: out.ID}, nil
}

// At a number's rate an emergency does not stand in line: its text and the nurse's page
// go before questions that were waiting before them.
func TestEmergencyGoesFirstAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const her, nurse = "+447700900109", "+447700900900"
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		carrier := &slow{first: func() {}}
		b, team := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: carrier, PerSecond: 1, Lease: time.Minute}})
		team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: nurse}}}}
		for i := range 5 {
			if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: fmt.Sprintf("+4477009001%02d", i), TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
				t.Fatal(err)
			}
		}
		carrier.first = func() {
			if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: her}, Text: "crushing pain in my chest, cant breathe", CarrierID: "SM1"}); err != nil {
				t.Error(err)
			}
		}
		begun := time.Now()
		if _, err := b.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(carrier.sent) != 7 || carrier.sent[1] != her || carrier.sent[2] != nurse {
			t.Errorf("sent to %v, want %s and %s behind the first", carrier.sent, her, nurse)
		}
		if took := time.Since(begun); took < 5*time.Second || took > 8*time.Second {
			t.Errorf("seven texts at one a second took %s", took)
		}
	})
}

// Looking for what there is not uses nothing of a number's rate up: a text that comes
// after it leaves at once.
func TestLookingCostsNothingOfTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		carrier := &slow{first: func() {}}
		b, _ := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: carrier, PerSecond: 1, Lease: time.Minute}})
		begun := time.Now()
		for range 10 {
			if _, err := b.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900109"}, Text: "who is this", CarrierID: "SM1"}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Deliver(t.Context()); n != 1 || err != nil {
			t.Errorf("%d were sent, %v", n, err)
		}
		// One that fills the second, and the look for another after it.
		if took := time.Since(begun); len(carrier.sent) != 1 || took > 1100*time.Millisecond {
			t.Errorf("it left, and nothing was found behind it, after %s", took)
		}
	})
}

// lossy is a carrier that takes a message and loses its answer, and can be asked.
type lossy struct {
	slow
	asked []string
}

func (l *lossy) Send(ctx context.Context, out bot.Outgoing) (bot.Sent, error) {
	_, err := l.slow.Send(ctx, out)
	return bot.Sent{}, &bot.SendError{Class: bot.SendUnknown, Err: fmt.Errorf("no answer: %w", err)}
}

func (l *lossy) Find(_ context.Context, out bot.Outgoing, _ func(string) bool) (bot.Sent, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, out.ID)
	return bot.Sent{CarrierID: "SM-" + out.ID}, true, nil
}

// A page that may have gone is not said to be taken back when the row is taken
// meanwhile: it has reached the nurse.
func TestAPageThatMayHaveGoneIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nurse = "+447700900900"
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		carrier := &lossy{slow: slow{first: func() {}}}
		b, team := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: carrier, Lease: time.Minute}})
		team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: nurse}}}}
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900109"}, Text: "crushing pain in my chest, cant breathe", CarrierID: "SM1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, err := b.Queue(t.Context(), bot.QueueFilter{})
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if _, err := b.Take(t.Context(), bot.Act{Row: rows[0].ID, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Minute)
		if _, err := b.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(carrier.asked) != 2 {
			t.Errorf("the carrier was asked for %v, want her text and the page", carrier.asked)
		}
		for _, id := range carrier.asked {
			if err := b.DeliveryReceipt(t.Context(), bot.DeliveryReceipt{CarrierID: "SM-" + id, State: bot.OutDelivered}); err != nil {
				t.Errorf("that %s went is not known: %v", id, err)
			}
		}
		if len(carrier.sent) != 2 {
			t.Errorf("sent to %v, want each once", carrier.sent)
		}
	})
}

// crowded is a carrier that answers nobody until it has so many messages at once.
type crowded struct {
	mu      sync.Mutex
	wait    int
	have    map[string]int // by telephone
	most    int            // to one telephone at once
	at      int            // with the carrier now
	enough  chan struct{}
	settled int
}

func (c *crowded) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	c.mu.Lock()
	c.have[out.To.At]++
	c.most = max(c.most, c.have[out.To.At])
	if c.at++; c.at == c.wait {
		close(c.enough)
	}
	c.mu.Unlock()
	<-c.enough
	c.mu.Lock()
	defer c.mu.Unlock()
	c.have[out.To.At]--
	c.settled++
	return bot.Sent{CarrierID: out.ID}, nil
}

// A slow carrier does not make one batch wait for another: several are with it at
// once, and never two texts to the same telephone.
func TestSeveralBatchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		const people = 60
		carrier := &crowded{wait: people, have: make(map[string]int), enough: make(chan struct{})}
		b, _ := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: carrier, Lease: time.Minute}})
		for i := range people + 10 { // ten of them write twice
			from := bot.Address{Channel: "sms", At: fmt.Sprintf("+4477009001%02d", i%people)}
			text := "who is this"
			if i >= people {
				text = "crushing pain in my chest, cant breathe"
			}
			if err := b.Receive(t.Context(), bot.Inbound{From: from, Text: text, CarrierID: fmt.Sprint("SM", i)}); err != nil {
				t.Fatal(err)
			}
		}
		n, err := b.Deliver(t.Context()) // would never end, were fewer with the carrier at once
		if n != people+10 || carrier.settled != n || carrier.most != 1 || err != nil {
			t.Errorf("%d sent, %d taken, at most %d to one telephone at once, %v", n, carrier.settled, carrier.most, err)
		}
	})
}
