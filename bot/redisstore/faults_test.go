package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/storetest"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func openAt(tb testing.TB, url string, o Options) *Store {
	tb.Helper()
	s, err := Open(context.Background(), url, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func client(tb testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	tb.Cleanup(func() { c.Close() })
	return c
}

// note is a change that creates somebody with one journal entry.
func note(patient, key string) bot.Change {
	return bot.Change{Key: key, Record: bot.Record{Patient: bot.Patient{ID: patient, Service: "a"}}, Entries: []bot.Entry{{At: t0, Kind: bot.EntryNote, Text: "x"}}}
}

// An answer that is lost after the server has done what it was asked must not
// make the client ask again by itself: the caller is told that the outcome is
// unknown, and its own retry meets ErrDuplicate.
func TestALostAnswerIsNotRepeated(t *testing.T) {
	t.Run("Alone", func(t *testing.T) {
		p := startProxy(t, storetest.StartRedis(t).Addr)
		loseAnswers(t, "redis://"+p.addr, p)
	})
	t.Run("Cluster", func(t *testing.T) {
		var proxies []*proxy
		c := storetest.StartCluster(t, 3, 0, func(addr string) string {
			p := startProxy(t, addr)
			proxies = append(proxies, p)
			return p.addr
		})
		loseAnswers(t, c.URL, proxies...)
	})
	t.Run("Sentinel", func(t *testing.T) {
		p := startProxy(t, storetest.StartRedis(t).Addr)
		s := storetest.StartSentinel(t, "lookout", p.addr, 1)
		loseAnswers(t, "redis+sentinel://"+s.Addr+"/lookout", p)
	})
}

func loseAnswers(t *testing.T, url string, proxies ...*proxy) {
	s := openAt(t, url, Options{Accept: []string{faultReplicas}})
	ctx := t.Context()
	arm := func(request string) (struck func() int) {
		var all []func() int
		for _, p := range proxies {
			all = append(all, p.loseAnswerTo(request))
		}
		return func() (n int) {
			for _, struck := range all {
				n += struck()
			}
			return n
		}
	}
	for i := range 20 { // every server knows the script
		if err := s.Commit(ctx, note(fmt.Sprintf("a-warm%d", i), "")); err != nil {
			t.Fatal(err)
		}
	}
	list := s.keys.in(7, "lost")
	struck := arm("lost")
	if err := s.servers.write(ctx, plain("rpush", list, "x")); !errors.Is(err, bot.ErrUnavailable) || struck() != 1 {
		t.Errorf("a write whose answer was lost: %v (lost %d)", err, struck())
	}
	length := plain("llen", list)
	if err := s.servers.read(ctx, length); err != nil {
		t.Fatal(err)
	}
	if n, _ := length.done.Int64(); n != 1 {
		t.Errorf("the write was done %d times, want once", n)
	}
	for i, key := range []string{"in:SM1", ""} {
		c := note(fmt.Sprintf("a-p%d", i), key)
		struck := arm(scriptCommit.sha)
		if err := s.Commit(ctx, c); !errors.Is(err, bot.ErrUnavailable) || struck() != 1 {
			t.Errorf("a commit whose answer was lost: %v (lost %d), want ErrUnavailable", err, struck())
		}
		want := bot.ErrDuplicate
		if key == "" {
			want = bot.ErrConflict
		}
		if err := s.Commit(ctx, c); !errors.Is(err, want) {
			t.Errorf("the caller's retry: %v, want %v", err, want)
		}
		entries, err := s.Journal(ctx, c.Record.Patient.ID, 0, 0)
		if err != nil || len(entries) != 1 {
			t.Errorf("%d entries, %v: want the one", len(entries), err)
		}
	}
}

func TestForgottenScripts(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	for i := range 3 {
		if err := s.Commit(t.Context(), note(fmt.Sprintf("a-p%d", i), "")); err != nil {
			t.Fatal(err)
		}
		if err := client(t, server.Addr).ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stats(t.Context(), t0); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything that was acknowledged before a kill is there after it, and what was
// not is there once or not at all.
func TestKilledUnderLoad(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	acked, tried := writeUntilFault(t, s, 8, func() { server.Kill() })
	if err := s.Commit(t.Context(), note("a-late", "late")); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("with no server: %v", err)
	}
	server.Again(t)
	lost, extra := compare(t, s, acked, tried)
	if lost != 0 {
		t.Errorf("%d of %d acknowledged changes are lost", lost, len(acked))
	}
	t.Logf("%d acknowledged, %d unknown, of which %d were kept", len(acked), len(tried)-len(acked), extra)
}

// writeUntilFault commits with so many callers, each its own patients, until a
// commit fails; after some hundred commits it has the fault happen.
func writeUntilFault(t *testing.T, s *Store, callers int, fault func()) (acked, tried map[string]bool) {
	t.Helper()
	acked, tried = make(map[string]bool), make(map[string]bool)
	var mu sync.Mutex
	var n atomic.Int64
	var once sync.Once
	var wg, struck sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("w%d-%d", w, i)
				mu.Lock()
				tried[key] = true
				mu.Unlock()
				err := s.Commit(context.Background(), note("a-"+key, key))
				if err != nil {
					if !errors.Is(err, bot.ErrUnavailable) {
						t.Errorf("a commit beside the fault: %v", err)
					}
					return
				}
				mu.Lock()
				acked[key] = true
				mu.Unlock()
				if n.Add(1) == 300 {
					once.Do(func() { struck.Go(fault) })
				}
			}
		})
	}
	wg.Wait()
	struck.Wait()
	return acked, tried
}

// compare counts what was acknowledged and is lost, and what was not and is there.
// What is there must be whole, and a retry of it a duplicate; a retry of what is
// not is done, once: that is how a sweep brings back what a fail-over lost.
func compare(t *testing.T, s *Store, acked, tried map[string]bool) (lost, extra int) {
	t.Helper()
	for key := range tried {
		seen, err := s.Seen(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case acked[key] && !seen:
			lost++
		case !acked[key] && seen:
			extra++
		}
		want := error(nil)
		if seen {
			want = bot.ErrDuplicate
		}
		if err := s.Commit(t.Context(), note("a-"+key, key)); !errors.Is(err, want) {
			t.Errorf("retry of %s (seen %v): %v, want %v", key, seen, err, want)
		}
		if entries, err := s.Journal(t.Context(), "a-"+key, 0, 0); err != nil || len(entries) != 1 {
			t.Errorf("%s has %d entries, %v", key, len(entries), err)
		}
	}
	return lost, extra
}

// What a fail-over loses, measured: replicas that are a moment behind (here:
// they stand still) know nothing of what the master acknowledged meanwhile, when it did not
// wait for them. With Options.Copies it does, and nothing acknowledged is lost.
func TestFailOver(t *testing.T) {
	t.Parallel()
	for _, copies := range []int{0, 1} {
		t.Run(fmt.Sprintf("Copies%d", copies), func(t *testing.T) {
			t.Parallel()
			w := storetest.StartWatched(t, 2, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10")
			s := openAt(t, w.URL, Options{Copies: copies})
			for i := range 50 {
				if err := s.Commit(t.Context(), note(fmt.Sprintf("a-before%d", i), fmt.Sprintf("before%d", i))); err != nil {
					t.Fatal(err)
				}
			}
			stopped := w.Servers[1:]
			for _, r := range stopped {
				r.Signal(stopSignal)
			}
			// What the kernel keeps for a process that stands still would reach it later:
			// more than that, so that what comes behind stays with the master.
			if err := client(t, w.Servers[0].Addr).Set(t.Context(), "filler", make([]byte, 48<<20), 0).Err(); err != nil {
				t.Fatal(err)
			}
			acked, tried := make(map[string]bool), make(map[string]bool)
			for i := range 5 {
				key := fmt.Sprintf("blind%d", i)
				tried[key] = true
				if err := s.Commit(t.Context(), note("a-"+key, key)); err == nil {
					acked[key] = true
				} else if !errors.Is(err, bot.ErrUnavailable) {
					t.Fatal(err)
				}
				if copies > 0 {
					break // each takes the whole wait
				}
			}
			from := w.Said()
			w.Servers[0].Kill()
			for _, r := range stopped {
				r.Signal(goOnSignal)
			}
			w.AwaitSwitch(t, from)
			awaitWrites(t, s)
			for i := range 50 {
				if seen, err := s.Seen(t.Context(), fmt.Sprintf("before%d", i)); err != nil || !seen {
					t.Errorf("a change that the replicas had is lost: %v", err)
				}
			}
			n := len(acked)
			lost, _ := compare(t, s, acked, tried)
			t.Logf("copies %d: of %d changes acknowledged while the replicas stood still, %d were lost", copies, n, lost)
			switch {
			case copies == 0 && lost != n:
				t.Errorf("%d of %d were lost: the replicas cannot have had them", lost, n)
			case copies > 0 && n != 0:
				t.Errorf("%d changes were acknowledged that no replica had", n)
			}
		})
	}
}

// What no replica has yet, nobody goes by: no message leaves under such a claim, and nobody
// is told "done before" of such a change, for a fail-over would lose both.
func TestWhatNoReplicaHasCountsForNothing(t *testing.T) {
	t.Parallel()
	asTold := []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "10"}
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		w := storetest.StartWatched(t, 1, asTold...)
		countsForNothing(t, w.URL, w.Servers[1:])
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		c := storetest.StartCluster(t, 3, 1, nil, asTold...)
		countsForNothing(t, c.URL, c.Servers[3:])
	})
}

func countsForNothing(t *testing.T, url string, replicas []*storetest.Redis) {
	s := openAt(t, url, Options{Copies: 1})
	ctx := t.Context()
	to := bot.Address{Channel: "sms", At: "+447700900123"}
	c := note("a-p1", "k0")
	c.Send = []bot.Outgoing{{ID: "a-p1-m0", To: bot.Address{Channel: "sms", At: "+447700900122"}, CreatedAt: t0}}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	if all, err := s.ClaimOutgoing(ctx, "sms", t0, time.Hour, 10); err != nil || len(all) != 1 { // the scripts are known from here on
		t.Fatal(all, err)
	}
	c.Key, c.Base = "k1", 1
	c.Send = []bot.Outgoing{{ID: "a-p1-m1", To: to, CreatedAt: t0}}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas {
		r.Signal(stopSignal)
	}
	unsure := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, bot.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	// The replicas are lost after it was seen which messages are ready.
	claim := &claiming{store: s, channel: "sms", now: millis(t0), until: millis(t0.Add(time.Minute)), limit: 1, settled: map[string]bool{}, gone: map[string]bool{}}
	recipient := s.recipient(to)
	leased := scriptClaim.call([]string{s.keys.messages("a-p1"), s.keys.ready(slotOf("a-p1"), "sms"), s.keys.later(slotOf("a-p1"), "sms")},
		"1", recipient+":a-p1-m1", claim.now, claim.until)
	if s.servers.single != nil {
		unsure("a claim", claim.tryAtOnce(ctx, []candidate{{member{slot: slotOf("a-p1"), name: recipient + ":a-p1-m1"}, recipient, "a-p1-m1", "a-p1", "1"}}))
		if len(claim.claimed) != 0 {
			t.Error("a message is claimed, and no replica knows of it")
		}
	} else {
		unsure("a claim", s.servers.write(ctx, leased))
		unsure("what became of it", leased.err())
	}
	unsure("a change", s.Commit(ctx, note("a-p2", "k2")))
	unsure("the change again", s.Commit(ctx, note("a-p2", "k2")))
	seen, err := s.Seen(ctx, "k2")
	if s.servers.single != nil {
		unsure("whether the key was used", err)
	} else if seen { // on a Cluster it may have come no further than its claim
		t.Error("the key is told as used, and no replica knows of it")
	}
	for _, r := range replicas {
		r.Signal(goOnSignal)
	}
	awaitWrites(t, s)
	for err = bot.ErrUnavailable; errors.Is(err, bot.ErrUnavailable); { // another server's replica is a moment later
		if err := pause(ctx, askAgain); err != nil {
			t.Fatal(err)
		}
		err = s.Commit(ctx, note("a-p2", "k2"))
	}
	if err != nil && !errors.Is(err, bot.ErrDuplicate) {
		t.Errorf("the change again, with its replicas: %v", err)
	}
	claimed, err := s.ClaimOutgoing(ctx, "sms", t0.Add(2*time.Minute), time.Minute, 10)
	if err != nil || len(claimed) != 1 || !claimed[0].Unsettled {
		t.Errorf("claimed again: %+v, %v; want it as one that may have gone", claimed, err)
	}
}

// A master without its replica keeps back what lies there, and what goes to a telephone that
// is held there. No other text, page or retry waits for it, also where each claim has room for one,
// and what became of others is settled.
func TestAMasterWithoutItsReplicaKeepsBackNobodyElse(t *testing.T) {
	t.Parallel()
	t.Run("Silent", func(t *testing.T) { // writes are done there, and it is not known whether they stay
		t.Parallel()
		keepsBackNobodyElse(t, func(replica *storetest.Redis) (again func()) {
			replica.Signal(stopSignal)
			return func() { replica.Signal(goOnSignal) }
		})
	})
	t.Run("Gone", func(t *testing.T) { // writes are refused
		t.Parallel()
		keepsBackNobodyElse(t, func(replica *storetest.Redis) (again func()) {
			replica.Kill()
			return func() { replica.Again(t) }
		})
	})
}

func keepsBackNobodyElse(t *testing.T, lose func(replica *storetest.Redis) (again func())) {
	c := storetest.StartCluster(t, 3, 1, nil, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10")
	s := openAt(t, c.URL, Options{Copies: 1})
	ctx, first := t.Context(), client(t, c.Servers[0].Addr)
	const bad, well = true, false
	lies := func(sl slot) bool { // on the first master, which has the first third of the hash slots
		hash, err := first.ClusterKeySlot(ctx, s.keys.due(sl)).Result()
		if err != nil {
			t.Fatal(err)
		}
		return hash < 1<<14/3
	}
	n := 0
	person := func(on bool) string {
		for {
			n++
			if id := fmt.Sprintf("a-p%d", n); lies(slotOf(id)) == on {
				return id
			}
		}
	}
	phone := func(on bool) bot.Address {
		for {
			n++
			if at := (bot.Address{Channel: "sms", At: fmt.Sprintf("+44770090%04d", n)}); lies(slotOf(s.recipient(at))) == on {
				return at
			}
		}
	}
	send := func(patient string, to bot.Address, what bot.Priority, from time.Time) (id string) {
		n++
		c := note(patient, "")
		c.Send = []bot.Outgoing{{ID: patient + "-m0", To: to, Priority: what, CreatedAt: t0.Add(time.Duration(n) * time.Millisecond), NotBefore: from}}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		return c.Send[0].ID
	}
	nurse, later := phone(well), t0.Add(time.Minute)
	kept := []string{
		send(person(bad), nurse, bot.PriorityPage, t0),
		send(person(well), phone(bad), bot.PriorityReply, t0),
		send(person(bad), phone(well), bot.PriorityReply, later),
	}
	page, text := send(person(well), nurse, bot.PriorityPage, t0), send(person(well), phone(well), bot.PriorityReply, t0)
	retry := send(person(well), phone(well), bot.PriorityReply, later)

	again := lose(c.Servers[3])
	claimed := func(now time.Time) (ids []string) { // one by one, till a claim gives none
		t.Helper()
		for {
			batch, err := s.ClaimOutgoing(ctx, "sms", now, time.Hour, 1)
			if len(batch) == 0 {
				if !errors.Is(err, bot.ErrUnavailable) {
					t.Errorf("what is kept back is told as %v, want ErrUnavailable", err)
				}
				return ids
			}
			if err != nil || len(ids) == 10 {
				t.Fatal(batch, err)
			}
			ids = append(ids, batch[0].ID)
			if err := s.Settle(ctx, bot.Settlement{ID: batch[0].ID, Fence: batch[0].Fence, State: bot.OutSent, At: now}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := claimed(t0.Add(time.Second)), []string{page, text}; !slices.Equal(got, want) {
		t.Errorf("%v may leave, want %v", got, want)
	}
	if got, want := claimed(later), []string{retry}; !slices.Equal(got, want) {
		t.Errorf("%v may leave a minute later, want %v", got, want)
	}
	// What becomes of the one whose carrier's id is looked up there is not known; of the other it is.
	carriersID := func(on bool) string {
		for {
			n++
			if id := fmt.Sprintf("SM%d", n); lies(slotOf(id)) == on {
				return id
			}
		}
	}
	if err := s.Settle(ctx, bot.Settlement{ID: page, State: bot.OutDelivered, CarrierID: carriersID(bad), At: later},
		bot.Settlement{ID: text, State: bot.OutDelivered, CarrierID: carriersID(well), At: later}); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("what can only be settled in part: %v, want ErrUnavailable", err)
	}
	for id, want := range map[string]bot.OutState{page: bot.OutSent, text: bot.OutDelivered} {
		if o, err := s.Outgoing(ctx, id); err != nil || o.State != want {
			t.Errorf("%s is %s, %v; want %s", id, o.State, err, want)
		}
	}
	again()
	c.AwaitWhole(t, 3)
	var got []string
	for len(got) < len(kept) { // the servers take writes again a moment later
		batch, err := s.ClaimOutgoing(ctx, "sms", t0.Add(2*time.Hour), time.Hour, 10)
		if err != nil && !errors.Is(err, bot.ErrUnavailable) {
			t.Fatal(err)
		}
		for _, o := range batch {
			got = append(got, o.ID)
		}
		if err := pause(ctx, askAgain); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(kept))) {
		t.Errorf("with its replica %v may leave, want %v", got, kept)
	}
}

// From Redis 7.2 on, WAIT is for what its connection has written and nothing else: whatever
// waits writes something, if it only reads or finds nothing to change.
func TestWhatWaitsWrites(t *testing.T) {
	t.Parallel()
	w := storetest.StartWatched(t, 1, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10")
	s := openAt(t, w.URL, Options{Copies: 1})
	ctx, c := t.Context(), client(t, w.Servers[0].Addr)
	if err := s.Commit(ctx, note("a-p1", "k1")); err != nil {
		t.Fatal(err)
	}
	marks := func() int64 {
		t.Helper()
		stats, err := c.Info(ctx, "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, calls, _ := strings.Cut(stats, "cmdstat_set:calls=")
		calls, _, _ = strings.Cut(calls, ",")
		return atoi(calls)
	}
	done := s.keys.done("a-p1")
	for what, wait := range map[string]func() error{
		"a sure read":             func() error { return s.servers.sure(ctx, plain("hget", done, "k1")) },
		"a claim that is another": func() error { return s.servers.write(ctx, plain("hsetnx", s.keys.claims("k1"), "k1", "1 a-p2")) },
		"a bar that is too late":  func() error { return s.servers.write(ctx, scriptBar.call([]string{done}, "k1", 1)) },
		"whether it was done": func() error {
			if seen, err := s.Seen(ctx, "k1"); err != nil || !seen {
				return fmt.Errorf("seen: %v, %w", seen, err)
			}
			return nil
		},
		"the change again": func() error {
			if err := s.Commit(ctx, note("a-p1", "k1")); !errors.Is(err, bot.ErrDuplicate) {
				return fmt.Errorf("%w, want ErrDuplicate", err)
			}
			return nil
		},
	} {
		before := marks()
		if err := wait(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if marks() == before {
			t.Errorf("%s waits for nothing: it has written nothing", what)
		}
	}
	before := marks()
	if seen, err := s.Seen(ctx, "k9"); err != nil || seen {
		t.Errorf("a key that was not used: %v, %v", seen, err)
	}
	if marks() != before {
		t.Error("a key that was not used is waited for")
	}
}

// awaitWrites waits until the store takes changes again after a fail-over.
func awaitWrites(t *testing.T, s *Store) {
	t.Helper()
	for i := range 100 {
		if err := s.Commit(t.Context(), note(fmt.Sprintf("a-await%d", i), "")); err == nil {
			return
		}
		if err := pause(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no change is taken after the fail-over")
}

// The hash slots of a Cluster move to another master while changes come in:
// none fails, none is lost.
func TestMovingSlots(t *testing.T) {
	cluster := storetest.StartCluster(t, 3, 0, nil)
	s := openAt(t, cluster.URL, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	var acked atomic.Int64
	begun := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("w%d-%d", w, i)
				if err := s.Commit(context.Background(), note("a-"+key, key)); err != nil {
					t.Errorf("while slots move: %v", err)
					return
				}
				if acked.Add(1) == 50 {
					close(begun)
				}
			}
		})
	}
	<-begun
	for n := range 20 { // of the first master's to the second
		hash, err := client(t, cluster.Servers[0].Addr).ClusterKeySlot(t.Context(), s.keys.who(slot(n))).Result()
		if err != nil {
			t.Fatal(err)
		}
		from := int(hash) * 3 / 16384
		cluster.Move(t, int(hash), cluster.Servers[from], cluster.Servers[(from+1)%3])
	}
	cancel()
	wg.Wait()
	st, err := s.Stats(t.Context(), t0)
	if err != nil || int64(st.Patients) != acked.Load() {
		t.Errorf("%d patients of %d acknowledged, %v", st.Patients, acked.Load(), err)
	}
}

// A change that finds the memory full is refused whole.
func TestFullMemory(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	c := client(t, server.Addr)
	used, err := c.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	var bytesUsed int
	_, rest, _ := strings.Cut(used, "used_memory:")
	fmt.Sscanf(rest, "%d", &bytesUsed)
	if err := c.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(bytesUsed+200_000)).Err(); err != nil {
		t.Fatal(err)
	}
	big := func(n int) bot.Change {
		c := note(fmt.Sprintf("a-p%d", n), fmt.Sprintf("k%d", n))
		c.Entries[0].Text = strings.Repeat("x", 20_000)
		return c
	}
	n := 0
	for ; n < 100 && err == nil; n++ {
		err = s.Commit(t.Context(), big(n))
	}
	if !errors.Is(err, bot.ErrUnavailable) {
		t.Fatalf("with the memory full: %v", err)
	}
	failed := big(n - 1)
	if _, err := s.Load(t.Context(), failed.Record.Patient.ID); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("the refused change left a record: %v", err)
	}
	if entries, err := s.Journal(t.Context(), failed.Record.Patient.ID, 0, 0); err != nil || len(entries) != 0 {
		t.Errorf("the refused change left %d entries, %v", len(entries), err)
	}
	if err := c.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), failed); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// Whoever reads the server's files after an erasure finds nothing of her.
func TestErasedFromTheBytes(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	const marker, number = "Zebedeemarker", "+447700900123"
	rec := bot.Record{Patient: bot.Patient{ID: "a-p1", Service: "a", GivenName: marker, Addresses: []bot.Address{{Channel: "sms", At: number}}}}
	for n := range 20 {
		c := bot.Change{Base: int64(n), Record: rec, Entries: []bot.Entry{{Text: strings.Repeat(marker+" ", 100)}},
			Send: []bot.Outgoing{{ID: fmt.Sprintf("a-p1-m%d", n+1), To: rec.Patient.Addresses[0], Text: marker, CreatedAt: t0}}}
		if err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if claimed, err := s.ClaimOutgoing(t.Context(), "sms", t0, time.Minute, 5); err != nil || len(claimed) != 1 {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	from := server.Said()
	if err := s.Erase(t.Context(), "a-p1", 20, bot.AuditEntry{Did: "erase"}); err != nil {
		t.Fatal(err)
	}
	server.Await(t, "Background AOF rewrite finished successfully", from)
	err := filepath.WalkDir(server.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removes its old file meanwhile
		}
		for _, words := range []string{marker, strings.ToLower(marker), number} {
			if n := bytes.Count(data, []byte(words)); n > 0 {
				t.Errorf("%s holds her %d times (%s)", filepath.Base(path), n, words)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	left, err := client(t, server.Addr).Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range left {
		if strings.Contains(k, "a-p1") || strings.Contains(k, "4477") {
			t.Errorf("key %q is left", k)
		}
	}
}

// A change whose caller died between the commit and the tidying is tidied by the sweep.
func TestSweepTakesOutWhatWasLeft(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	old := bot.Address{Channel: "sms", At: "+447700900123"}
	c := note("a-p1", "")
	c.Record.Patient.Addresses = []bot.Address{old}
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Base, c.Record.Patient.Addresses = 1, nil
	e, err := s.encode(&c, false)
	if err != nil {
		t.Fatal(err)
	}
	run := scriptCommit.call(e.keys, e.args...) // and nothing after it
	if err := s.servers.write(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	at, err := s.PatientsAt(t.Context(), "a", old)
	if err != nil || len(at) != 0 {
		t.Errorf("at the old number: %v, %v", at, err)
	}
	there := func() int64 {
		n, err := client(t, server.Addr).Exists(t.Context(), s.keys.at("a", old)).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if there() != 1 {
		t.Fatal("nothing was left to take out")
	}
	if _, err := s.Sweep(t.Context(), t0); err != nil {
		t.Fatal(err)
	}
	if there() != 0 {
		t.Error("her old number is still kept after the sweep")
	}
}
