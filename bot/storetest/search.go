package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// Names as they are spread in Britain among women of that age: a few are very
// common, and they begin alike.
var (
	givenNames = strings.Fields(`Susan Margaret Mary Patricia Christine Elizabeth Linda Jean Carol Jacqueline Barbara Ann Janet Julie Pauline Maureen Sandra Sheila Brenda Dorothy
		Joan Kathleen Joyce Valerie Gillian Lesley Jennifer Pamela Denise Karen Tracey Sharon Deborah Helen Alison Angela Diane Lorraine Amanda Jane Sarah Anne Wendy Marilyn Sylvia
		Rosemary Hilary Frances Ruth Sian Rhiannon Bronwen Nasreen Fatima Priya Agnieszka Ngozi Mei Olga Ingrid`)
	familyNames = strings.Fields(`Smith Jones Williams Taylor Brown Davies Evans Wilson Thomas Roberts Johnson Lewis Walker Robinson Wood Thompson White Watson Jackson Wright Green
		Harris Cooper King Lee Martin Clarke James Morgan Hughes Edwards Hill Moore Clark Harrison Scott Young Morris Hall Ward Turner Carter Phillips Mitchell Patel Adams Campbell
		Anderson Allen Cook Bailey Parker Miller Davis Murphy Price Bell Baker Griffiths Kelly Simpson Marshall Collins Bennett Cox Richardson Fox Gray Rose Chapman Hunt Robertson
		Shaw Reynolds Lloyd Ellis Richards Russell Wilkinson Khan Graham Stewart Reid Murray Powell Palmer Holmes Rogers Stevens Walsh Hunter Thomson Matthews Ross Owen Mason Knight
		Kennedy Butler Saunders Cole Pearce Dean Foster Harvey Hudson Gibson Mills Berry Dixon Grant Gordon Fisher Barnes Elliott Lawson O'Brien Begum Hussain Ali Ahmed Singh Kaur`)
)

// BenchFind fills a store with people, and measures what the desk's searches take.
func BenchFind(b *testing.B, s bot.Store, people int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(names []string) string { return names[int(float64(len(names))*random.Float64()*random.Float64())] }
	work, wait := committers(b, s)
	for i := range people {
		rec := patient(i)
		rec.Patient.ID = fmt.Sprintf("%s-p%016x", service, random.Uint64())
		rec.Patient.GivenName, rec.Patient.FamilyName = pick(givenNames), pick(familyNames)
		rec.Patient.NHSNumber = fmt.Sprintf("999%07d", i)
		rec.Patient.Addresses = []bot.Address{{Channel: "sms", At: fmt.Sprintf("+4477%08d", i)}}
		rec.Patient.BirthDate = fmt.Sprintf("%d-%02d-%02d", 1940+random.IntN(40), 1+random.IntN(12), 1+random.IntN(28))
		work <- bot.Change{Record: rec}
	}
	wait()
	queries := []string{"smith", "margaret jones", "s", "ma", "griff", "O'Brien", "zz", "susan smith", "patel", "999 000 0123", "07700 000123", "1961-04-30"}
	timeSearches(b, people, queries, func(q string) (int, error) {
		found, err := s.Find(ctx, service, q, 20)
		return len(found), err
	})
}

// Beside is one of two things that are measured beside each other.
type Beside struct {
	Name string
	Do   func(i int64)
}

// BenchBeside measures two things in turns, so that a machine that is busy is so for both:
// how many a second 64 callers do, the CPU time of this process for one, and the rate of
// the second as a part of the first's.
func BenchBeside(b *testing.B, first, second Beside) {
	b.Helper()
	const part = 500
	var took, worked [2]time.Duration
	var i atomic.Int64
	round := func(do func(i int64)) (time.Duration, time.Duration) {
		begin, cpu := time.Now(), busy()
		var left atomic.Int64
		left.Store(part)
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					do(i.Add(1))
				}
			})
		}
		wg.Wait()
		return time.Since(begin), busy() - cpu
	}
	both := []Beside{first, second}
	for _, x := range both {
		round(x.Do)
	}
	n := 0
	for b.Loop() {
		for k, x := range both {
			d, cpu := round(x.Do)
			took[k], worked[k] = took[k]+d, worked[k]+cpu
		}
		n += part
	}
	for k, x := range both {
		b.ReportMetric(float64(n)/took[k].Seconds(), x.Name+"/s")
		b.ReportMetric(float64(worked[k].Microseconds())/float64(n), x.Name+"-cpu-µs")
	}
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "of-"+first.Name)
}

// busy is the CPU time that this process has used.
func busy() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// said commits a message of somebody's, as it comes in.
func said(t testing.TB, s bot.Store, rec bot.Record, at time.Time, text string) bot.Record {
	t.Helper()
	c := change(rec)
	c.Entries = []bot.Entry{{At: at, Kind: bot.EntryIn, By: "patient", Text: text}, {At: at, Kind: bot.EntryOut, By: "lookout", Text: "an answer of ours"}}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	rec.Version++
	return rec
}

// Each is found by the words of all of her messages, who said it last first; not by ours, not
// for another service, and by none of them when she is erased. Where words are sealed, a
// store may name somebody too many: what must not be found is asked for as many words.
func foundByWhatTheySaid(t *testing.T, h Harness) {
	s := open(t, h)
	find := func(of string, words ...string) []string {
		t.Helper()
		ids, err := s.Said(ctx, of, words, 10)
		must(t, err)
		return ids
	}
	a := said(t, s, patient(1), t0, "My hip aches, since the gardening")
	a = said(t, s, a, t0.Add(48*time.Hour), "It is Siân's lwmp I mean, she's 61 today")
	b := said(t, s, patient(2), t0.Add(24*time.Hour), "both HIPS are fine")
	A, B := a.Patient.ID, b.Patient.ID
	for query, want := range map[string][]string{"hip": {B, A}, "the hips": {B, A}, "garden's": nil, "gardening hip": {A}, "hip lwmp sian": {A}, "LWMP": {A}, "aches": {A}} {
		words := bot.SearchWords(query)
		if got := find(service, words...); want != nil && !slices.Equal(got, want) {
			t.Errorf("%q (%q) finds %v, want %v", query, words, got, want)
		}
	}
	if got, err := s.Said(ctx, service, []string{"hip"}, 1); err != nil || !slices.Equal(got, []string{B}) {
		t.Errorf("the last who said it: %v, %v", got, err)
	}
	if got := find(service); len(got) != 0 {
		t.Errorf("no word at all finds %v", got)
	}
	must(t, s.EnterSaid(ctx, A))
	if got := find(service, "hip"); !slices.Equal(got, []string{B, A}) {
		t.Errorf("entered again, it finds %v", got)
	}
	wantErr(t, s.EnterSaid(ctx, "anytown-nobody"), bot.ErrNotFound, "entering the words of nobody")
	must(t, s.Erase(ctx, A, a.Version, bot.AuditEntry{At: t0, By: "ann", Did: "erase", Patient: A}))
	wrong := 0
	for _, w := range bot.SearchWords("aches since gardening mean today answer ours lump armpit swollen tired scan weight cough") {
		wrong += len(find(service, w)) + len(find("elsewhere", w))
	}
	if wrong > 3 {
		t.Errorf("what nobody said is found %d times", wrong)
	}
	if got := find(service, "hip"); !slices.Equal(got, []string{B}) {
		t.Errorf("after an erasure it finds %v", got)
	}
}

// Every message is found that was committed before the search, however many came since the
// last one and whoever enters their words meanwhile, and also when the last to come was
// erased before her words were entered: what comes next takes her place in a file.
func foundAsSoonAsTheyCame(t *testing.T, h Harness) {
	s := open(t, h)
	find := func(word string) []string {
		t.Helper()
		ids, err := s.Said(ctx, service, bot.SearchWords(word), 1000)
		must(t, err)
		return ids
	}
	const many = 450
	var wg sync.WaitGroup
	for k := range 3 {
		wg.Go(func() {
			for i := k; i < many; i += 3 {
				said(t, s, patient(i), t0, "the seaside again")
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := s.EnterNewSaid(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if got := find("seaside"); len(got) != many {
		t.Errorf("%d of %d are found", len(got), many)
	}
	for n := range 3 {
		must(t, s.EnterNewSaid(ctx))
		last := said(t, s, patient(many+2*n), t0, "never entered")
		must(t, s.Erase(ctx, last.Patient.ID, last.Version, bot.AuditEntry{At: t0, By: "ann", Did: "erase", Patient: last.Patient.ID}))
		next := said(t, s, patient(many+2*n+1), t0, "the allotment")
		if got := find("allotment"); len(got) != n+1 || !slices.Contains(got, next.Patient.ID) {
			t.Errorf("after an erasure: %v, and %s is the last", got, next.Patient.ID)
		}
		must(t, s.Erase(ctx, patient(n).Patient.ID, 1, bot.AuditEntry{At: t0, By: "ann", Did: "erase", Patient: patient(n).Patient.ID}))
		last = said(t, s, patient(many+2*n), t0, "entered")
		must(t, s.EnterNewSaid(ctx))
		must(t, s.Erase(ctx, last.Patient.ID, last.Version, bot.AuditEntry{At: t0, By: "ann", Did: "erase", Patient: last.Patient.ID}))
	}
	if got := find("seaside"); len(got) != many-3 {
		t.Errorf("%d of %d are found after erasures", len(got), many-3)
	}
}

// BenchSaid fills a store with people who have written six messages each, in words that are
// spread as words are, and measures the desk's searches by them.
func BenchSaid(b *testing.B, s bot.Store, find func(query string) (int, error), people int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	spread := rand.NewZipf(random, 1.1, 4, 20_000)
	work, wait := committers(b, s)
	for i := range people {
		rec := patient(i)
		rec.Patient.ID = fmt.Sprintf("%s-p%016x", service, random.Uint64())
		rec.Patient.Addresses = nil
		c := change(rec)
		for n := range 6 {
			at := t0.Add(time.Duration(random.IntN(365*24)) * time.Hour)
			text := make([]string, 12)
			for k := range text {
				text[k] = fmt.Sprintf("word%dx", spread.Uint64())
			}
			c.Entries = append(c.Entries, bot.Entry{At: at, Kind: bot.EntryIn, By: "patient", Text: strings.Join(text, " ")},
				bot.Entry{At: at, Kind: bot.EntryReading, Reading: &triage.Reading{Level: triage.Routine, Why: "nothing that worries was found"}}, bot.Entry{At: at, Kind: bot.EntryOut, By: "lookout", Text: "Thank you. Somebody reads this by 4pm tomorrow.", Ref: fmt.Sprintf("m%d", n)})
		}
		work <- c
	}
	wait()
	begin := time.Now()
	if err := s.EnterNewSaid(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("words of %d messages entered in %s", 6*people, time.Since(begin))
	queries := []string{"word0x", "word1x word2x", "word0x word1x word3x", "word40x", "word500x", "word500x word0x", "word3000x word4000x", "word15000x", "nobodysaidthis", "word0x nobodysaidthis"}
	timeSearches(b, people, queries, find)
}

// committers take changes and commit them, many at a time; wait ends them when all that
// was given is kept.
func committers(b *testing.B, s bot.Store) (work chan<- bot.Change, wait func()) {
	changes := make(chan bot.Change, 64)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for c := range changes {
				if err := s.Commit(ctx, c); err != nil && !b.Failed() {
					b.Error(err)
				}
			}
		})
	}
	return changes, func() {
		close(changes)
		wg.Wait()
	}
}

// timeSearches searches in turns for each of the queries, and says how long it took.
func timeSearches(b *testing.B, people int, queries []string, find func(query string) (int, error)) {
	b.Helper()
	var took []time.Duration
	slowest, worst := "", time.Duration(0)
	for i := 0; b.Loop(); i++ {
		q := queries[i%len(queries)]
		begin := time.Now()
		n, err := find(q)
		if err != nil {
			b.Fatal(err)
		}
		if i < len(queries) {
			b.Logf("%-24s %3d found in %s", q, n, time.Since(begin))
		}
		d := time.Since(begin)
		if took = append(took, d); d > worst {
			slowest, worst = q, d
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
	b.Logf("%d searches among %d people; the slowest, %q, took %s", len(took), people, slowest, worst)
}
