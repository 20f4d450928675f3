package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// What a million people may cost on sqlite.
const (
	enrolledMemory = 400 // MB
	enrolledStart  = 3 * time.Second
	enrolledFlat   = 0.20 // by how much a wake may cost more or less than among few
	enrolledFew    = 10_000
)

// enrolledWaves is in how many minutes wakes are measured, enrolledWave how many
// people are woken in each: as many among few as among many.
const (
	enrolledWaves = 9
	enrolledWave  = 1000
)

// manyEnrolled measures lookout with many people enrolled: it makes a store of them
// on sqlite, starts a process on it, lets it take texts, and wakes people in it and in
// a store of few in turns.
func (b *bench) manyEnrolled() error {
	if b.Enrolled < enrolledFew {
		return fmt.Errorf("--enrolled must be at least %d: they are held against so many", enrolledFew)
	}
	pack, err := content.Shipped()
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		return err
	}
	// The first day on which anything is due is a Tuesday ahead: the process, which goes by
	// the wall clock, has nothing to send meanwhile.
	day := time.Now().In(zone).AddDate(0, 0, 2)
	for day.Weekday() != time.Tuesday || pack.Holiday("england-and-wales", day) != "" {
		day = day.AddDate(0, 0, 1)
	}
	w := &woken{bench: b, pack: pack, zone: zone, first: time.Date(day.Year(), day.Month(), day.Day(), 10, 0, 0, 0, zone)}
	few, many := filepath.Join(b.dir, "few.db"), filepath.Join(b.dir, "many.db")
	for _, s := range []struct {
		path string
		n    int
	}{{few, enrolledFew}, {many, b.Enrolled}} {
		began := time.Now()
		if err := w.fill(s.path, s.n); err != nil {
			return fmt.Errorf("enrol %d people: %w", s.n, err)
		}
		size, err := os.Stat(s.path)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.out, "%d people enrolled in %s: a file of %.0f MB, %.1f KB a person\n", s.n, time.Since(began).Round(time.Second), float64(size.Size())/1e6, float64(size.Size())/1e3/float64(s.n))
	}
	b.table = tabwriter.NewWriter(b.out, 2, 4, 2, ' ', 0)
	fmt.Fprintf(b.table, "\n%d enrolled, sqlite\tmeasured\ttarget\t\n", b.Enrolled)
	if err := b.serveMany(many); err != nil {
		return err
	}
	if err := w.compare(few, many); err != nil {
		return err
	}
	return b.table.Flush()
}

// held prints one line of the table, and whether it is as it should be.
func (b *bench) held(what, is, target string, ok bool) {
	word := "held"
	if !ok {
		word = "NOT HELD"
	}
	fmt.Fprintf(b.table, "%s\t%s\t%s\t%s\n", what, is, target, word)
}

// serveMany starts a process on the store, asks what it asks itself all day, and has
// people all over it write.
func (b *bench) serveMany(path string) error {
	b.Patients = b.Enrolled
	began := time.Now()
	stop, _, err := b.begin("sqlite:" + path)
	if err != nil {
		return err
	}
	defer stop()
	took := time.Since(began)
	b.held("start, until it is ready", fmt.Sprintf("%.2f s", took.Seconds()), "below 3 s", took < enrolledStart)
	idle, err := b.resident()
	if err != nil {
		return err
	}
	began = time.Now()
	if _, err := b.use(); err != nil { // /metrics counts everybody
		return err
	}
	counted := time.Since(began)
	rate, n, err := b.flood(func(i int64) error { return b.webhook(i * 7919) })
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	most, err := b.resident()
	if err != nil {
		return err
	}
	b.held("memory at most, after the start", fmt.Sprintf("%.0f MB", idle), "", true)
	b.held(fmt.Sprintf("memory at most, after %d texts from all over", n), fmt.Sprintf("%.0f MB", most), fmt.Sprintf("at most %d MB", enrolledMemory), most <= enrolledMemory)
	fmt.Fprintf(b.table, "texts taken a second, from all over\t%.0f\t\t\n", rate)
	fmt.Fprintf(b.table, "/metrics, which counts everybody\t%.0f ms\t\t\n", 1000*counted.Seconds())
	return nil
}

// resident is the most memory that the process has had so far, in MB.
func (b *bench) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return kb / 1e3, nil
		}
	}
	return 0, errors.New("the system does not say how much memory the process has had")
}

// woken makes stores of people who are to be woken, and wakes them.
type woken struct {
	*bench
	pack  *content.Pack
	zone  *time.Location
	first time.Time // the minute of the first wave
}

// somebody is the nth of n people: as she stands three months after her treatment,
// with the check-in of that quarter before her.
func (w *woken) somebody(i, n int) bot.Change {
	given := []string{"Mary", "Ann", "Susan", "Olu", "Priya", "Jane", "Grace", "Megan"}
	family := []string{"Jones", "Patel", "Smith", "Okafor", "Evans", "Brown", "Khan", "Walker", "Hughes", "Begum"}
	ended := w.first.AddDate(0, -3, 0).Format(time.DateOnly)
	at := w.first.AddDate(0, 0, 1+i%27).Add(time.Duration(i/27%360) * time.Minute)
	// The waves are people from all over the file.
	if every := n / (enrolledWaves * enrolledWave); i%every == 0 && i/every < enrolledWaves*enrolledWave {
		at = w.first.Add(time.Duration(i/every%enrolledWaves) * time.Minute)
	}
	id := fmt.Sprintf("anytown-p%016x", uint64(i+1)*0x9E3779B97F4A7C15) // in no order, as real ones are
	enrolled := w.first.AddDate(0, 0, -3)
	rec := bot.Record{
		Patient: bot.Patient{ID: id, Service: "anytown", GivenName: given[i%len(given)], FamilyName: family[i/len(given)%len(family)], BirthDate: fmt.Sprintf("19%02d-%02d-%02d", 40+i%50, 1+i/50%12, 1+i/600%28),
			NHSNumber: fmt.Sprintf("999%07d", i%10_000_000), Locale: "en-GB", Status: bot.Active, Plan: "standard", Channel: "sms",
			Addresses: []bot.Address{{Channel: "sms", At: benchPhone(int64(i))}}, TreatmentEnded: ended, EnrolledAt: enrolled, Profile: bot.Profile{Tablets: "letrozole"},
			Consents: []bot.Consent{{To: "sms", Yes: true, At: enrolled, By: "bench", How: "agreed to texts when she was enrolled"}}},
		NextOut: 1, Spoken: enrolled, LastOut: enrolled,
		Wakes: []bot.Wake{{Key: "plan", Kind: bot.WakePlan, At: at, Ref: "check-in-quarter-1", N: 96, Due: at}},
	}
	return bot.Change{Record: rec, Entries: []bot.Entry{
		{At: enrolled, Kind: bot.EntryStatus, By: "bench", Why: "enrolled on the plan standard"},
		{At: enrolled, Kind: bot.EntryConsent, By: "bench", Why: "agreed to texts when she was enrolled"},
		{At: enrolled, Kind: bot.EntryOut, By: "lookout", Channel: "sms", TextID: "welcome", Text: "Hello, this is the Anytown breast nurses' texting service. We will ask you from time to time how you are."},
	}}
}

// fill enrols n people.
func (w *woken) fill(path string, n int) (err error) {
	store, err := sqlitestore.Open(w.ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var next atomic.Int64
	return w.atOnce(4*callers, func(int) error {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			if err := store.Commit(w.ctx, w.somebody(int(i), n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// turnedClock is a clock that stands where it was put.
type turnedClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *turnedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *turnedClock) put(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// compare wakes people in both stores in turns, a wave at a time, and holds the cost
// of a wake among many against that among few. The first wave warms up and is left out.
func (w *woken) compare(paths ...string) (err error) {
	type side struct {
		clock     turnedClock
		bot       *bot.Bot
		took, cpu float64
		n         int
	}
	var sides []*side
	for _, path := range paths {
		store, err := sqlitestore.Open(w.ctx, path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		s := &side{}
		team := &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: "england-and-wales", Location: w.zone, NurseLine: "01632 960 001", CancerLine: "01632 960 002",
			Promise: bot.DefaultPromise, Hours: bot.Hours{Location: w.zone, Closed: func(day time.Time) string { return w.pack.Holiday("england-and-wales", day) }},
			Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}}
		for day := time.Monday; day <= time.Friday; day++ {
			team.Hours.Week[day] = []bot.Spell{{From: 540, To: 1020}}
		}
		if s.bot, err = bot.New(w.ctx, bot.Config{Store: store, Content: w.pack, Service: team, PublicURL: "https://lookout.example.nhs.uk", Now: s.clock.now}); err != nil {
			return err
		}
		sides = append(sides, s)
	}
	for wave := range enrolledWaves {
		for _, s := range sides {
			s.clock.put(w.first.Add(time.Duration(wave)*time.Minute + time.Second))
			began, cpu := time.Now(), ownCPU()
			n, err := s.bot.Wake(w.ctx)
			if err != nil || n != enrolledWave {
				return fmt.Errorf("%d of %d were woken: %w", n, enrolledWave, err)
			}
			if wave > 0 {
				s.took, s.cpu, s.n = s.took+time.Since(began).Seconds(), s.cpu+ownCPU()-cpu, s.n+n
			}
		}
	}
	few, many := sides[0], sides[1]
	us := func(total float64, s *side) float64 { return 1e6 * total / float64(s.n) }
	share := us(many.cpu, many) / us(few.cpu, few)
	w.held(fmt.Sprintf("CPU of a wake that is due, among %d (among %d: %.0f us)", w.Enrolled, enrolledFew, us(few.cpu, few)), fmt.Sprintf("%.0f us, %+.0f%%", us(many.cpu, many), 100*(share-1)),
		fmt.Sprintf("within %.0f%%", 100*enrolledFlat), share > 1-enrolledFlat && share < 1+enrolledFlat)
	fmt.Fprintf(w.table, "time of such a wake, with its durable commit, 64 at once\t%.0f us (few: %.0f us)\t\t\n", us(many.took, many), us(few.took, few))
	return nil
}

// ownCPU is the processor's time that this process has had, in seconds.
func ownCPU() float64 {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return float64(use.Utime.Sec+use.Stime.Sec) + float64(use.Utime.Usec+use.Stime.Usec)/1e6
}
