package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
	pack, err := content.Load(content.Embedded())
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
