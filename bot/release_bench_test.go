package bot_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// released is how many check-ins fall due in the same minute.
const released = 100_000

// eachOf does n things, 64 at once.
func eachOf(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cpu is the processor time that this process has had, in microseconds: on a busy
// machine it says more than the clock.
func cpu(b *testing.B) float64 {
	b.Helper()
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Sec+use.Stime.Sec)*1e6 + float64(use.Utime.Usec+use.Stime.Usec)
}

// BenchmarkRelease is 100,000 check-ins that fall due in one minute: each a whole turn
// (load, plan, flow, text) and a durable commit. It is measured against what the
// same store on the same file gives in the same run, with as many callers: for the
// barest commit that it has, a value of 200 bytes, and for changes of the same size
// (a record, three entries, a message) with nothing decided about them.
func BenchmarkRelease(b *testing.B) {
	ctx := context.Background()
	pack, err := content.Shipped()
	if err != nil {
		b.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 11, 0, 0, 0, zone)
	for b.Loop() {
		b.StopTimer()
		store, err := sqlitestore.Open(ctx, filepath.Join(b.TempDir(), "lookout.db"))
		if err != nil {
			b.Fatal(err)
		}
		team := &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: "england-and-wales", Location: zone, NurseLine: "01632 960001", CancerLine: "01632 960002",
			Promise: bot.DefaultPromise, Hours: bot.Hours{Location: zone, Closed: func(day time.Time) string { return pack.Holiday("england-and-wales", day) }},
			Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}}
		for day := time.Monday; day <= time.Friday; day++ {
			team.Hours.Week[day] = []bot.Spell{{From: 540, To: 1020}}
		}
		lookout, err := bot.New(ctx, bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return now }})
		if err != nil {
			b.Fatal(err)
		}
		due := func(i int) bot.Record {
			return bot.Record{
				Patient: bot.Patient{ID: fmt.Sprintf("anytown-p%06d", i), Service: "anytown", GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Locale: "en-GB", Status: bot.Active, Plan: "standard",
					Addresses: []bot.Address{{Channel: smsChannel, At: fmt.Sprintf("+4477%08d", i)}}, TreatmentEnded: "2026-08-24", EnrolledAt: now.AddDate(0, 0, -3), Profile: bot.Profile{Tablets: "letrozole"}},
				Wakes: []bot.Wake{{Key: "plan", Kind: bot.WakePlan, At: now.Add(-time.Minute), Ref: "check-in-quarter-1", N: 96, Due: now}},
			}
		}
		const others = released / 4
		eachOf(b, released+others, func(i int) error { return store.Commit(ctx, bot.Change{Record: due(i)}) })
		alike, alikeCPU := time.Now(), cpu(b)
		eachOf(b, others, func(i int) error {
			rec := due(released + i)
			rec.Wakes[0].At = now.AddDate(0, 3, 0)
			entry := bot.Entry{At: now, Kind: bot.EntryOut, By: "lookout", Channel: smsChannel, Text: "Hello Mary, Anytown breast nurses here. Any change in your chest since we last asked?", TextID: "check-in.start"}
			return store.Commit(ctx, bot.Change{Base: 1, Record: rec, Entries: []bot.Entry{{At: now, Kind: bot.EntryPlan, Ref: "check-in-quarter-1", Why: "sent"}, {At: now, Kind: bot.EntryFlow, Why: "began"}, entry},
				Send: []bot.Outgoing{{ID: rec.Patient.ID + "-m1", Service: "anytown", Patient: rec.Patient.ID, To: rec.Patient.Addresses[0], Text: entry.Text, Priority: bot.PriorityPlanned, CreatedAt: now, State: bot.OutPending}}})
		})
		same := others / time.Since(alike).Seconds()
		sameCPU := (cpu(b) - alikeCPU) / others
		floor := time.Now()
		value := make([]byte, 200)
		eachOf(b, released/4, func(i int) error { return store.PutValue(ctx, "floor", fmt.Sprint(i), value, time.Time{}) })
		bare := float64(released/4) / time.Since(floor).Seconds()
		b.StartTimer()
		begun, begunCPU := time.Now(), cpu(b)
		n, err := lookout.Wake(ctx)
		rate := float64(n) / time.Since(begun).Seconds()
		rateCPU := (cpu(b) - begunCPU) / float64(n)
		b.StopTimer()
		if err != nil || n != released {
			b.Fatalf("%d of %d were released: %v", n, released, err)
		}
		if st, err := store.Stats(ctx, now); err != nil || st.Outgoing != released+others || st.WakesDue != 0 {
			b.Fatalf("%+v, %v", st, err)
		}
		b.ReportMetric(rate, "released/s")
		b.ReportMetric(bare, "bare-commits/s")
		b.ReportMetric(rate/bare, "of-bare")
		b.ReportMetric(same, "like-commits/s")
		b.ReportMetric(rate/same, "of-like")
		b.ReportMetric(rateCPU, "cpu-µs/released")
		b.ReportMetric(sameCPU, "cpu-µs/like-commit")
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
