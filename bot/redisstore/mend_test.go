package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/storetest"
)

// A server of a Cluster that lost what leads to people gets it back from the
// people's own slots, when it is another than before or was started again.
func TestMendsAfterAFailOver(t *testing.T) {
	cluster := storetest.StartCluster(t, 3, 0, nil)
	s := openAt(t, cluster.URL, Options{})
	ctx := t.Context()
	const people = 30
	commitReachable(t, s, people)
	claimed, err := s.ClaimOutgoing(ctx, "sms", t0, time.Minute, people)
	if err != nil || len(claimed) != people {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	for _, o := range claimed {
		if err := s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0}); err != nil {
			t.Fatal(err)
		}
	}
	awaitMended(t, s)
	forgetWhatLeadsToPeople(t, s)
	if at, err := s.PatientsAt(ctx, "a", number(7)); err != nil || len(at) != 0 {
		t.Fatalf("%v, %v: nothing was lost", at, err)
	}
	cluster.Servers[1].Kill()
	cluster.Servers[1].Again(t)
	cluster.Servers[1].Await(t, "Cluster state changed: ok", 0)
	awaitMended(t, s)
	again := mending{}
	if err := s.mend(ctx, &again); err != nil || again.put != 0 || len(again.passed) != 0 {
		t.Errorf("mended again: %+v, %v", again, err)
	}
	for i := range people {
		id := fmt.Sprintf("a-p%d", i)
		if at, err := s.PatientsAt(ctx, "a", number(i)); err != nil || len(at) != 1 || at[0] != id {
			t.Errorf("at her number: %v, %v", at, err)
		}
		if seen, err := s.Seen(ctx, fmt.Sprintf("in:SM%d", i)); err != nil || !seen {
			t.Errorf("her key: %v, %v", seen, err)
		}
		if o, err := s.OutgoingByCarrier(ctx, "C"+id+"-m1"); err != nil || o.Patient != "" || o.ID != id+"-m1" {
			t.Errorf("her message: %v, %v", o.ID, err)
		}
	}
}

// number is the telephone of the ith person.
func number(i int) bot.Address {
	return bot.Address{Channel: "sms", At: fmt.Sprintf("+44770090%04d", i)}
}

// commitReachable commits people, each with a number, a key and a message to her.
func commitReachable(t *testing.T, s *Store, people int) {
	t.Helper()
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			for i := k; i < people; i += 16 {
				c := note(fmt.Sprintf("a-p%d", i), fmt.Sprintf("in:SM%d", i))
				c.Record.Patient.Addresses = []bot.Address{number(i)}
				c.Send = []bot.Outgoing{{ID: c.Record.Patient.ID + "-m1", To: number(i), CreatedAt: t0}}
				if err := s.Commit(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// forgetWhatLeadsToPeople is as a fail-over of every server at once: nothing that leads to
// people is left.
func forgetWhatLeadsToPeople(t *testing.T, s *Store) {
	t.Helper()
	err := s.servers.masters(t.Context(), func(ctx context.Context, c *redis.Client) error {
		all, err := c.Keys(ctx, "*").Result()
		if err != nil {
			return err
		}
		for _, k := range all {
			if strings.Contains(k, ":at:") || strings.HasSuffix(k, "}:keys") || strings.HasSuffix(k, "}:carrier") {
				if err := c.Del(ctx, k).Err(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// isMended says whether everybody was looked over for the servers as they run now.
func isMended(t *testing.T, s *Store) bool {
	t.Helper()
	are, err := s.runs(t.Context())
	mended := plain("get", s.keys.mended())
	if err == nil {
		err = s.servers.read(t.Context(), mended)
	}
	was, none := mended.done.Text()
	return err == nil && none == nil && was == are
}

// awaitMended has the servers checked, as a failed write does, until everybody was looked over.
func awaitMended(t *testing.T, s *Store) {
	t.Helper()
	for !isMended(t, s) {
		s.checkSoon()
		if err := pause(t.Context(), askAgain); err != nil {
			t.Fatal(err)
		}
	}
}

// mendAnew has everybody looked over again, as after a fail-over.
func mendAnew(t *testing.T, s *Store) {
	t.Helper()
	if err := s.servers.write(t.Context(), plain("del", s.keys.mended())); err != nil {
		t.Fatal(err)
	}
	s.checkSoon()
}

// found counts whom their numbers lead to.
func found(t *testing.T, s *Store, people int) (n int) {
	t.Helper()
	for i := range people {
		at, err := s.PatientsAt(t.Context(), "a", number(i))
		if err != nil {
			t.Fatal(err)
		}
		n += len(at)
	}
	return n
}

// before is a hook of a client: it is called before commands are sent.
type before func(commands []redis.Cmder)

func (b before) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (b before) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		b(commands)
		return next(ctx, commands)
	}
}

func has(commands []redis.Cmder, name string) bool {
	return slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Name() == name })
}

// While people are looked over, which takes minutes in a region, the servers are checked as
// ever: a fault that is over refuses nobody any longer.
func TestAMendHoldsUpNoCheck(t *testing.T) {
	cluster := storetest.StartCluster(t, 3, 0, nil)
	s := openAt(t, cluster.URL, Options{})
	ctx := t.Context()
	const people = 300
	commitReachable(t, s, people)
	awaitMended(t, s)
	reached, held := make(chan struct{}), make(chan struct{})
	begun, let := sync.OnceFunc(func() { close(reached) }), sync.OnceFunc(func() { close(held) })
	t.Cleanup(let)
	hold := before(func(commands []redis.Cmder) {
		if has(commands, "hkeys") { // only leavingsOf asks so
			begun()
			<-held
		}
	})
	err := s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error { c.AddHook(hold); return nil })
	if err != nil {
		t.Fatal(err)
	}
	forgetWhatLeadsToPeople(t, s)
	mendAnew(t, s)
	<-reached
	s.state.Store(&State{Faults: []Fault{{Name: faultRole, Server: cluster.Servers[0].Addr, Text: "is still loading its file"}}})
	if err := s.Commit(ctx, note("a-late", "late")); !errors.Is(err, bot.ErrUnavailable) {
		t.Fatalf("a patient on a server with a fault: %v", err)
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for err = bot.ErrUnavailable; err != nil; err = s.Commit(ctx, note("a-late", "late")) {
		if late := pause(soon, askAgain); late != nil {
			t.Fatalf("the servers are well, and patients are still refused: %v", err)
		}
	}
	if n, err := s.servers.cluster.Exists(ctx, s.keys.mended()).Result(); err != nil || n != 0 {
		t.Fatalf("%d, %v: the mend was not held up", n, err)
	}
	let()
	awaitMended(t, s)
	if n := found(t, s, people); n != people {
		t.Errorf("the numbers of %d of %d lead to them", n, people)
	}
}

// Somebody whose record cannot be read keeps nobody else from being put back, and has her
// turn when it can be.
func TestAMendPassesOverWhoCannotBeRead(t *testing.T) {
	cluster := storetest.StartCluster(t, 3, 0, nil)
	s := openAt(t, cluster.URL, Options{})
	ctx := t.Context()
	const people = 100
	commitReachable(t, s, people)
	awaitMended(t, s)
	record := s.keys.record("a-p0") // the first by id
	is, err := s.servers.cluster.Get(ctx, record).Result()
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		t.Helper()
		if err := s.servers.cluster.Set(ctx, record, text, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	put("1 \n{")
	forgetWhatLeadsToPeople(t, s)
	mendAnew(t, s)
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for n := 0; n < people-1; n = found(t, s, people) {
		if late := pause(soon, askAgain); late != nil {
			t.Fatalf("the numbers of %d of %d lead to them, and one cannot be read", n, people)
		}
	}
	if isMended(t, s) {
		t.Error("all counts as done, and somebody is left")
	}
	put(is)
	awaitMended(t, s)
	if n := found(t, s, people); n != people {
		t.Errorf("the numbers of %d of %d lead to them", n, people)
	}
}

// A server that lost the last entries of the audit, which are in the log already, takes
// new ones after it: they get no number that the log has seen, and none of them is lost.
func TestTheAuditGoesOnAfterAFailOver(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{})
	ctx := t.Context()
	read := func(n int) {
		t.Helper()
		if err := s.Audit(ctx, bot.AuditEntry{By: "ann@example.org", Did: fmt.Sprint("read ", n), At: t0}); err != nil {
			t.Fatal(err)
		}
	}
	log := func(want int) {
		t.Helper()
		entries, err := s.AuditLog(ctx, 0, 100)
		if err != nil || len(entries) != want {
			t.Errorf("%d entries, want %d: %v", len(entries), want, err)
		}
	}
	read(1)
	sl := slotOf("ann@example.org")
	behind, err := s.servers.single.HGetAll(ctx, s.keys.counters(sl)).Result()
	if err != nil || len(behind) == 0 {
		t.Fatal(behind, err)
	}
	read(2)
	read(3)
	log(3)
	// The replica that is promoted has only seen the first.
	if err := s.servers.single.ZRemRangeByRank(ctx, s.keys.audit(sl), 1, -1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.servers.single.HSet(ctx, s.keys.counters(sl), behind).Err(); err != nil {
		t.Fatal(err)
	}
	read(4)
	commit := note("a-p1", "k1")
	commit.Audit = []bot.AuditEntry{{By: "ann@example.org", Did: "note row", At: t0}}
	if err := s.Commit(ctx, commit); err != nil {
		t.Fatal(err)
	}
	read(5)
	log(6)
}
