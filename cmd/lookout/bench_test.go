package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
	"lookout/channels/sms/standin"
	"lookout/content"
)

// benchWorld is a lookout with a carrier, without the tests' turned clock.
func benchWorld(b *testing.B, people int) (*process, *standin.Carrier, []string) {
	b.Helper()
	carrier := standin.New("AC00000000000000000000000000000001", "secret")
	carrier.Receipts = false
	twilio := httptest.NewServer(carrier)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	carrier.Product = "http://" + addr
	s := &settings{Addr: addr, Store: "sqlite:" + filepath.Join(b.TempDir(), "lookout.db")}
	s.Twilio.AccountSID, s.Twilio.AuthToken, s.Twilio.From, s.Twilio.APIURL, s.Twilio.PerSecond = carrier.SID, carrier.Token, ourNumber, twilio.URL, 100_000
	s.defaults()
	pack, err := content.Shipped()
	if err != nil {
		b.Fatal(err)
	}
	team, err := s.team(pack)
	if err != nil {
		b.Fatal(err)
	}
	p, err := newProcess(b.Context(), s, pack, team, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.serve(ctx, func(string) { close(ready) }) }()
	<-ready
	b.Cleanup(func() { cancel(); <-ended; carrier.Close(); twilio.Close() })
	phones := make([]string, people)
	for i := range phones {
		phones[i] = fmt.Sprintf("+4477009%05d", i)
		if _, err := p.bot.Enrol(b.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: phones[i], TreatmentEnded: "2026-09-30", ConsentSMS: true}, "bench"); err != nil {
			b.Fatal(err)
		}
	}
	return p, carrier, phones
}

// BenchmarkWebhooks is many at once: from the signed webhook to the durable answer, with delivery beside it.
func BenchmarkWebhooks(b *testing.B) {
	_, carrier, phones := benchWorld(b, 500)
	var n atomic.Int64
	b.ResetTimer()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			if _, status, err := carrier.Reply(phones[int(i)%len(phones)], ourNumber, fmt.Sprintf("no nothing new thanks %d", i)); err != nil || status != http.StatusOK {
				b.Error(status, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
}

// arrivals notes when texts come to phones.
type arrivals struct {
	mu   sync.Mutex
	seen map[string]chan time.Time // by number: one text is waited for
}

func (a *arrivals) await(number string) <-chan time.Time {
	c := make(chan time.Time, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[number] = c
	return c
}

func (a *arrivals) note(m standin.Message) {
	if m.Inbound {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.seen[m.To]; c != nil {
		c <- time.Now()
		delete(a.seen, m.To)
	}
}

// percentiles reports the middle and the 99th of 100 of what was measured, in milliseconds.
func percentiles(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[min(len(took)-1, int(share*float64(len(took))))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), name+"-p50-ms")
	b.ReportMetric(at(0.99), name+"-p99-ms")
}

// asked is a lookout with n people who have a check-in's first question before them.
func asked(b *testing.B, n int) (*standin.Carrier, []string, *arrivals) {
	p, carrier, phones := benchWorld(b, n)
	a := &arrivals{seen: map[string]chan time.Time{}}
	carrier.OnMessage = a.note
	for i, phone := range phones {
		there := a.await(phone)
		ids, err := p.store.PatientsAt(b.Context(), p.bot.Service().ID, bot.Address{Channel: "sms", At: phone})
		if err != nil || len(ids) != 1 {
			b.Fatal(i, ids, err)
		}
		if err := p.bot.Start(b.Context(), ids[0], "check-in", "bench"); err != nil {
			b.Fatal(err)
		}
		<-there
	}
	return carrier, phones, a
}

// BenchmarkReplyIdle is one answer at a time: from the moment it leaves her phone
// to the moment the next question is at the carrier.
func BenchmarkReplyIdle(b *testing.B) {
	carrier, phones, a := asked(b, b.N)
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i, phone := range phones {
		there := a.await(phone)
		begun := time.Now()
		if _, status, err := carrier.Reply(phone, ourNumber, "no nothing new thanks"); err != nil || status != http.StatusOK {
			b.Fatal(status, err)
		}
		took[i] = (<-there).Sub(begun)
	}
	percentiles(b, "text", took)
}

// BenchmarkReply500 is 500 answers a second, each at its own moment whether or
// not the earlier ones have been served: the webhook's answer, and the next
// question at the carrier. The carrier runs beside it on the same cores.
func BenchmarkReply500(b *testing.B) {
	carrier, phones, a := asked(b, b.N)
	answered, texted := make([]time.Duration, b.N), make([]time.Duration, b.N)
	var wg sync.WaitGroup
	begun := time.Now()
	b.ResetTimer()
	for i, phone := range phones {
		due := begun.Add(time.Duration(i) * 2 * time.Millisecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			there := a.await(phone)
			if _, status, err := carrier.Reply(phone, ourNumber, "no nothing new thanks"); err != nil || status != http.StatusOK {
				b.Error(status, err)
				return
			}
			answered[i] = time.Since(due)
			texted[i] = (<-there).Sub(due)
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
	percentiles(b, "webhook", answered)
	percentiles(b, "text", texted)
}
