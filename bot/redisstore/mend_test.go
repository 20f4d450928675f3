package redisstore

import (
	"context"
	"fmt"
	"strings"
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
	number := func(i int) bot.Address { return bot.Address{Channel: "sms", At: fmt.Sprintf("+44770090%04d", i)} }
	for i := range people {
		c := note(fmt.Sprintf("a-p%d", i), fmt.Sprintf("in:SM%d", i))
		c.Record.Patient.Addresses = []bot.Address{number(i)}
		c.Send = []bot.Outgoing{{ID: c.Record.Patient.ID + "-m1", To: number(i), CreatedAt: t0}}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	claimed, err := s.ClaimOutgoing(ctx, "sms", t0, time.Minute, people)
	if err != nil || len(claimed) != people {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	for _, o := range claimed {
		if err := s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0}); err != nil {
			t.Fatal(err)
		}
	}
	// As after a fail-over of every server at once: nothing that leads to people is left.
	err = s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
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
	if at, err := s.PatientsAt(ctx, "a", number(7)); err != nil || len(at) != 0 {
		t.Fatalf("%v, %v: nothing was lost", at, err)
	}
	cluster.Servers[1].Kill()
	cluster.Servers[1].Again(t)
	cluster.Servers[1].Await(t, "Cluster state changed: ok", 0)
	for {
		s.checkSoon() // as a failed write does
		if at, err := s.PatientsAt(ctx, "a", number(people-1)); err == nil && len(at) == 1 {
			break
		}
		if err := pause(ctx, askAgain); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.mend(ctx); err != nil || n != 0 {
		t.Errorf("mended again: %d, %v", n, err)
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
