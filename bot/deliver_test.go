package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// timed is a carrier that notes when a message came to it, and does something while it
// has one.
type timed struct {
	mu    sync.Mutex
	took  map[string]time.Time // by address, the first time
	while func(ctx context.Context, out bot.Outgoing)
}

func newTimed(while func(context.Context, bot.Outgoing)) *timed {
	return &timed{took: make(map[string]time.Time), while: while}
}

func (c *timed) Send(ctx context.Context, out bot.Outgoing) (bot.Sent, error) {
	c.mu.Lock()
	if c.took[out.To.At].IsZero() {
		c.took[out.To.At] = time.Now()
	}
	c.mu.Unlock()
	c.while(ctx, out)
	return bot.Sent{CarrierID: out.ID}, ctx.Err()
}

// came says when it first had something for at; zero: never.
func (c *timed) came(at string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.took[at]
}

// serving runs b as a process does, with a tick each second, until the test has ended.
// It gives what the ticks said was wrong.
func serving(t *testing.T, b *bot.Bot) (faults func() []error) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		had []error
	)
	ctx, stop := context.WithCancel(t.Context())
	all.Go(func() { b.Run(ctx) })
	all.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := b.KeepDelivering(); err != nil {
				mu.Lock()
				had = append(had, err)
				mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { stop(); all.Wait() })
	return func() []error {
		mu.Lock()
		defer mu.Unlock()
		return had
	}
}

// hears gives b a text from a number or an address, that lookout answers.
func hears(t *testing.T, b *bot.Bot, channel, at, text string) {
	t.Helper()
	if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: channel, At: at}, Text: text, CarrierID: at + text}); err != nil {
		t.Fatal(err)
	}
}

// Texts that have piled up keep nothing back that goes by another way, and are no fault
// while they leave.
func TestABacklogOfTextsKeepsNoPageByMailBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nurse, late, waiting = "ann@anytown.example", "+447700900200", 90
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		texts, mails := newTimed(func(context.Context, bot.Outgoing) {}), newTimed(func(context.Context, bot.Outgoing) {})
		b, team := newBot(t, &at, map[string]bot.Outlet{
			"sms":  {Sender: texts, PerSecond: 1, Lease: time.Minute},
			"mail": {Sender: mails, Lease: time.Minute}})
		team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "mail", At: nurse}}}}
		for i := range waiting {
			hears(t, b, "sms", fmt.Sprintf("+4477009001%02d", i), "who is this")
		}
		faults := serving(t, b)
		time.Sleep(70 * time.Second) // virtual time, here and below
		hears(t, b, "sms", late, "who is this")
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		hears(t, b, "sms", "+447700900201", "crushing pain in my chest, cant breathe")
		time.Sleep(3 * time.Second)
		if came := mails.came(nurse); came.IsZero() || came.Sub(begun) > 2*time.Second {
			t.Errorf("the nurse was mailed at %s, the emergency came at %s", came, begun)
		}
		if !texts.came(late).IsZero() {
			t.Error("no texts were waiting any more")
		}
		if got := faults(); len(got) > 0 {
			t.Errorf("texts leave one after another, and the tick says %v", got)
		}
	})
}

// A mail server that does not answer keeps no text back, and a text that hangs none that
// comes after it.
func TestAHungMessageKeepsNoTextBack(t *testing.T) {
	for _, hangs := range []string{"mail", "sms"} {
		t.Run(hangs, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const her = "+447700900201"
				at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
				hung := func(ctx context.Context, out bot.Outgoing) {
					if out.To.Channel == hangs && out.To.At != her {
						<-ctx.Done() // when its lease is nearly over
					}
				}
				texts, mails := newTimed(hung), newTimed(hung)
				b, _ := newBot(t, &at, map[string]bot.Outlet{"sms": {Sender: texts, Lease: time.Minute}, "mail": {Sender: mails, Lease: time.Minute}})
				faults := serving(t, b)
				for i := range 3 {
					time.Sleep(1500 * time.Millisecond)
					hears(t, b, hangs, fmt.Sprintf("+4477009001%02d", i), "who is this")
				}
				time.Sleep(100 * time.Millisecond)
				begun := time.Now()
				hears(t, b, "sms", her, "crushing pain in my chest, cant breathe")
				time.Sleep(3 * time.Second)
				if came := texts.came(her); came.IsZero() || came.Sub(begun) > 2*time.Second {
					t.Errorf("her answer left at %s, her text came at %s", came, begun)
				}
				time.Sleep(2 * time.Minute)
				if got := faults(); len(got) > 0 {
					t.Errorf("each was settled when its time was over, and the tick says %v", got)
				}
			})
		})
	}
}

// deaf is a store that says no to one look at the outbox, or never answers one.
type deaf struct {
	bot.Store
	looks atomic.Int32
	look  func(n int32) error
}

func (d *deaf) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
	if err := d.look(d.looks.Add(1)); err != nil {
		return nil, err
	}
	return d.Store.ClaimOutgoing(ctx, channel, now, lease, limit)
}

// The tick says a fault once, and the channel is looked at again; it says that nothing
// moves until something does.
func TestTheTickSaysWhatIsWrongWithAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
		const her = "+447700900201"
		no := errors.New("no")
		answers := make(chan struct{})
		store := &deaf{Store: newStore(t), look: func(n int32) error {
			switch n {
			case 1:
				return no
			case 4:
				<-answers
			}
			return nil
		}}
		texts := newTimed(func(context.Context, bot.Outgoing) {})
		b, _ := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: texts, Lease: time.Minute}})
		faults := serving(t, b)
		time.Sleep(30 * time.Second)
		if got := faults(); len(got) != 1 || !errors.Is(got[0], no) || !strings.Contains(got[0].Error(), "sms") {
			t.Errorf("after one fault the ticks say %v", got)
		}
		time.Sleep(time.Minute)
		stood := len(faults())
		if stood < 10 {
			t.Errorf("for a minute the store has not answered, and the ticks say %v", faults())
		}
		close(answers)
		hears(t, b, "sms", her, "who is this")
		time.Sleep(time.Minute)
		if got := faults(); len(got) > stood+1 || texts.came(her).IsZero() {
			t.Errorf("the store answers: her answer left at %s, and the ticks say %v", texts.came(her), got[stood:])
		}
	})
}
