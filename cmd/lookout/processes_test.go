package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
)

// What one process commits, those who watch at another hear.
func TestHintsReachTheOtherProcess(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	one, other := newWorldOn(t, url), newWorldOn(t, url)
	one.carrier.Allow(mary) // either may send what the other committed
	other.carrier.Allow(mary)
	hints := other.process.bot.Watch(t.Context())
	one.enrolUnheard("Mary", mary)
	for n := 0; ; n++ { // until the other has begun to listen, hints are lost
		one.reply(mary, fmt.Sprintf("found a lump in my breast %d", n))
		select {
		case hint := <-hints:
			if hint.Patient != "" {
				t.Logf("heard after %d texts", n+1)
				return
			}
		default:
		}
		if n > 200 {
			t.Fatal("no hint came")
		}
	}
}

// Two processes that send by one number keep its rate together, not each for itself.
func TestTwoProcessesShareTheRate(t *testing.T) {
	const rate, texts = 10, 26
	slow := func(s *settings) { s.Twilio.PerSecond = rate }
	url := "redis://" + storetest.StartRedis(t).Addr
	one, other := newWorldOn(t, url, slow), newWorldOn(t, url, slow)
	var mu sync.Mutex
	var came []time.Time
	for _, w := range []*world{one, other} {
		w.carrier.Receipts = false
		w.carrier.OnMessage = func(m standin.Message) {
			if !m.Inbound {
				mu.Lock()
				defer mu.Unlock()
				came = append(came, time.Now())
			}
		}
	}
	began := time.Now()
	var writing sync.WaitGroup
	for n := range texts {
		stranger := fmt.Sprintf("+4477009004%02d", n)
		one.carrier.Allow(stranger) // either may answer
		other.carrier.Allow(stranger)
		writing.Go(func() { one.reply(stranger, "who is this") })
	}
	writing.Wait()
	if !eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(came) == texts }) {
		t.Fatalf("%d texts came, want %d", len(came), texts)
	}
	// A second's worth goes at once, the others after it. Each for itself would have one:
	// without bot.Config.Pace it takes less than a second, and this fails.
	if took, least := came[texts-1].Sub(began), time.Second*(texts-rate)/rate-100*time.Millisecond; took < least {
		t.Errorf("%d texts by two processes at %d a second took %s, want %s at least", texts, rate, took, least)
	}
}
