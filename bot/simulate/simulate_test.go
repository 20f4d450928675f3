package simulate

import (
	"encoding/json"
	"math"
	"runtime"
	"testing"
	"time"
	_ "time/tzdata"

	"golang.org/x/sys/unix"

	"lookout/bot"
	"lookout/content"
)

// team is a service with the shipped content, open Monday to Friday.
func team(t testing.TB, nurses int) Config {
	t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	s := &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: "england-and-wales", Location: zone, OpenAccess: true, NurseLine: "01632 960001", CancerLine: "01632 960002",
		Promise: bot.DefaultPromise, PageEvery: 5 * time.Minute, Lease: 30 * time.Minute, RowsPerNurse: 12,
		Hours:   bot.Hours{Location: zone, Closed: func(day time.Time) string { return pack.Holiday("england-and-wales", day) }},
		Sending: bot.Sending{From: 10 * 60, To: 16 * 60, Before: time.Hour}}
	for day := time.Monday; day <= time.Friday; day++ {
		s.Hours.Week[day] = []bot.Spell{{From: 9 * 60, To: 17 * 60}}
		s.Hours.Nurses[day] = nurses
	}
	return Config{Pack: pack, Service: s, Start: time.Date(2027, 1, 4, 0, 0, 0, 0, zone), PricePerSegment: 0.02}
}

func run(t testing.TB, c Config) *Figures {
	t.Helper()
	f, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The same seed gives the same figures, on one core and on many; another gives others.
func TestSameSeedSameFigures(t *testing.T) {
	c := team(t, 2)
	c.Patients, c.Days, c.Seed = 50, 49, 7
	text := func(c Config) string {
		out, err := json.Marshal(run(t, c))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	first := text(c)
	was := runtime.GOMAXPROCS(1)
	second := text(c)
	runtime.GOMAXPROCS(was)
	if first != second {
		t.Errorf("on one core:\n%s\n%s", first, second)
	}
	c.Seed = 8
	if text(c) == first {
		t.Error("another seed gives the same figures")
	}
}

// cpu is the processor time that this process has had, in milliseconds: on a busy
// machine it says more than the clock.
func cpu(b *testing.B) float64 {
	b.Helper()
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Sec+use.Stime.Sec)*1e3 + float64(use.Utime.Usec+use.Stime.Usec)/1e3
}

// BenchmarkRun is a year of 2,000 people; the goal is 10,000 patient-years a minute on
// two cores, 12 ms of processor time each.
func BenchmarkRun(b *testing.B) {
	c := team(b, 4)
	c.Patients, c.Days = 2000, 365
	years, before := 0.0, cpu(b)
	for i := 0; b.Loop(); i++ {
		c.Seed = uint64(i)
		years += run(b, c).Years
	}
	b.ReportMetric(years/b.Elapsed().Minutes(), "patient-years/min")
	b.ReportMetric((cpu(b)-before)/years, "cpu-ms/patient-year")
}

// Memory grows with patients, and not with days: a year leaves no more behind than
// a quarter, but for what each record holds of its own plan.
func TestForgetsWhatIsPast(t *testing.T) {
	left := func(days int) (kept, heap int) {
		c := team(t, 2)
		c.Patients, c.Days, c.Seed = 20, 400, 5
		w, err := newWorld(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.until(c.Start.AddDate(0, 0, days)); err != nil {
			t.Fatal(err)
		}
		size := w.store.Size()
		if size.Past > 0 {
			t.Errorf("after %d days %d journal entries, keys and audit entries are kept", days, size.Past)
		}
		return size.Kept, size.Due
	}
	quarter, dueQuarter := left(100)
	year, dueYear := left(400)
	if year > 2*quarter+4*20 || dueYear > 2*dueQuarter+20*20 {
		t.Errorf("after a quarter %d kept and %d due times, after a year %d and %d", quarter, dueQuarter, year, dueYear)
	}
}

// What is simulated holds together: everybody is asked, most answer, an illness that
// is told is heard of, and no row is counted twice.
func TestFiguresHoldTogether(t *testing.T) {
	c := team(t, 3)
	c.Patients, c.Days, c.Seed = 250, 160, 11
	f := run(t, c)
	total := f.Total()
	rows, promised := rowsOf(total), 0
	for _, p := range f.Rows {
		promised += p.Rows
		if p.Kept+p.Late != p.Rows || len(p.Waits) != p.Rows {
			t.Errorf("%+v", p)
		}
	}
	switch {
	case total.Asked < 250, total.Answered > total.Asked, float64(total.Answered) < 0.7*float64(total.Asked):
		t.Errorf("%d of %d check-ins answered", total.Answered, total.Asked)
	case rows == 0, promised > rows, promised < rows*9/10, total.Promised != promised:
		t.Errorf("%d rows, %d promises by level, %d by week", rows, promised, total.Promised)
	case total.Seconds == 0 || total.Seconds > total.Staffed:
		t.Errorf("%d s of work in %d s of the rota", total.Seconds, total.Staffed)
	case f.Years < 50 || f.Years > 120:
		t.Errorf("%.0f patient-years", f.Years)
	}
	// The plan's own rates are those that are measured: within 10 rows of each 100 messages.
	held := 0
	for _, l := range f.Lines {
		if l.Sent < 80 {
			continue
		}
		held++
		if came := float64(l.Rows) / float64(l.Sent); math.Abs(came-l.PlanRows) > 0.10 {
			t.Errorf("%s: %.2f rows come for each of %d messages, and the plan says %.2f: set its alerts, or find what makes the rows", l.ID, came, l.Sent, l.PlanRows)
		}
		if l.Answered > l.Sent {
			t.Errorf("%s: %d of %d answered", l.ID, l.Answered, l.Sent)
		}
	}
	if held < 4 {
		t.Errorf("only %d lines of the plan were sent often enough: %+v", held, f.Lines)
	}
	heard, cases := 0, 0
	for _, x := range f.Found {
		heard, cases = heard+len(x.Days), cases+x.Cases
	}
	if cases == 0 || heard+f.Unheard != cases {
		t.Errorf("%d ill, %d heard of, %d not", cases, heard, f.Unheard)
	}
}
