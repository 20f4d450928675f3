package bot_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/internal/memory"
	"lookout/content"
)

var (
	monthPeople = flag.Int("month.people", 50_000, "how many people BenchmarkMonth has beside 10,000")
	monthDays   = flag.Int("month.days", 30, "how many days they have")
)

// takes is a carrier that takes every text.
type takes struct{ n atomic.Int64 }

func (c *takes) Send(context.Context, bot.Outgoing) (bot.Sent, error) {
	return bot.Sent{CarrierID: fmt.Sprint("SM", c.n.Add(1)), Delivered: true}, nil
}

// BenchmarkMonth is a month of many people's check-ins on the shipped plan, planned,
// released and given to a carrier, none of them answered: every first text, reminder
// and end of a talk is a wake. It is virtual time and a store in memory: what it
// measures is the planning and the turns, beside the same month of 10,000 people.
// Thirty million wakes of a million people: go test ./bot -run xxx -bench Month
// -benchtime 1x -timeout 3h -month.people 1000000 -month.days 180
func BenchmarkMonth(b *testing.B) {
	const few = 10_000
	for b.Loop() {
		fewWakes, fewCPU := month(b, few)
		wakes, perWake := month(b, *monthPeople)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(wakes), "wakes")
		b.ReportMetric(perWake, "cpu-µs/wake")
		b.ReportMetric(fewCPU, "cpu-µs/wake-of-few")
		b.ReportMetric(perWake/fewCPU, "of-few")
		b.ReportMetric(perWake*30e6/1e6/60, "core-min/30-million")
		b.ReportMetric(float64(fewWakes), "wakes-of-few")
	}
}

// month has so many people for its days, and says how often they were woken and what
// processor time each wake took.
func month(b *testing.B, people int) (wakes int64, cpuEach float64) {
	b.Helper()
	ctx := context.Background()
	pack, err := content.Shipped()
	if err != nil {
		b.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, zone) // a Monday; the clocks change on the 29th
	now := begin
	team := &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: "england-and-wales", Location: zone, NurseLine: "01632 960001", CancerLine: "01632 960002",
		Promise: bot.DefaultPromise, Hours: bot.Hours{Location: zone, Closed: func(day time.Time) string { return pack.Holiday("england-and-wales", day) }},
		Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}}
	for day := time.Monday; day <= time.Friday; day++ {
		team.Hours.Week[day] = []bot.Spell{{From: 540, To: 1020}}
	}
	store := memory.New(func(bot.Change) {}) // it forgets what is past
	carrier := &takes{}
	lookout, err := bot.New(ctx, bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return now },
		Outlets: map[string]bot.Outlet{smsChannel: {Sender: carrier, Lease: time.Hour}}})
	if err != nil {
		b.Fatal(err)
	}
	// Their treatment ended over the last two years, a day for each; each is planned on
	// the first day.
	eachOf(b, people, func(i int) error {
		return store.Commit(ctx, bot.Change{Record: bot.Record{
			Patient: bot.Patient{ID: fmt.Sprintf("anytown-p%016x", uint64(i+1)*0x9E3779B97F4A7C15), Service: "anytown", GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Locale: "en-GB", Status: bot.Active,
				Plan: "standard", Addresses: []bot.Address{{Channel: smsChannel, At: fmt.Sprintf("+4477%08d", i)}}, TreatmentEnded: begin.AddDate(0, 0, -i%730).Format(time.DateOnly), EnrolledAt: begin.AddDate(0, 0, -3),
				Profile: bot.Profile{Tablets: "letrozole"}},
			Wakes: []bot.Wake{{Key: "plan", Kind: bot.WakePlan, At: begin.Add(time.Duration(i%540) * time.Minute), Ref: "to be planned"}},
		}})
	})
	// The collector would count a million people's records again and again, which no other
	// store holds in memory: it runs between the days, and is not counted.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	took, swept := 0.0, 0
	for end := begin.AddDate(0, 0, *monthDays); ; {
		next, ok := store.NextDue()
		if !ok || next.After(end) {
			break
		}
		if day := next.YearDay(); day != swept {
			runtime.GC()
			swept = day
		}
		if now = next.Truncate(time.Minute); now.Before(next) {
			now = now.Add(time.Minute)
		}
		began := cpu(b)
		n, err := lookout.Wake(ctx)
		took += cpu(b) - began
		if err != nil {
			b.Fatal(err)
		}
		wakes += int64(n)
		if _, err := lookout.Deliver(ctx); err != nil {
			b.Fatal(err)
		}
	}
	if int64(people) > carrier.n.Load() || wakes < 2*int64(people) {
		b.Fatalf("%d people were woken %d times and had %d texts", people, wakes, carrier.n.Load())
	}
	b.Logf("%d people: %d wakes, %d texts, %.0f µs of processor each", people, wakes, carrier.n.Load(), took/float64(wakes))
	return wakes, took / float64(wakes)
}
