package redisstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
)

// A server that may forget is refused, with the reason and the name by which an
// operator may accept it all the same.
func TestRefusesAServerThatMayForget(t *testing.T) {
	for name, x := range map[string]struct {
		settings []string
		fault    string
	}{
		"NoFile":       {[]string{"--appendonly", "no"}, faultAppendOnly},
		"SyncedLater":  {[]string{"--appendfsync", "everysec"}, faultSync},
		"RewriteFirst": {[]string{"--no-appendfsync-on-rewrite", "yes"}, faultRewrite},
		"Evicts":       {[]string{"--maxmemory-policy", "allkeys-lru"}, faultEviction},
		"HidesIt":      {[]string{"--rename-command", `CONFIG ""`}, faultUnseen},
	} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t, x.settings...)
			s, err := Open(t.Context(), "redis://"+server.Addr, Options{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), "redis.accept: "+x.fault) {
				t.Errorf("the refusal does not say how to accept it: %v", err)
			}
			accepted := openAt(t, "redis://"+server.Addr, Options{Accept: []string{x.fault}})
			if err := accepted.Commit(t.Context(), note("a-p1", "")); err != nil {
				t.Errorf("accepted by name: %v", err)
			}
			if st := accepted.State(); len(st.Accepted) != 1 || st.Accepted[0].Name != x.fault {
				t.Errorf("what was accepted: %+v", st.Accepted)
			}
		})
	}
}

func TestRefusesAReplica(t *testing.T) {
	master := storetest.StartRedis(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := storetest.StartRedis(t, "--replicaof", host+" "+port, "--replica-read-only", "no", "--repl-diskless-sync-delay", "0")
	replica.Await(t, storetest.Synced, 0)
	if s, err := Open(t.Context(), "redis://"+replica.Addr, Options{}); err == nil {
		s.Close()
		t.Error("a replica was opened")
	} else if !strings.Contains(err.Error(), "is a slave") {
		t.Errorf("the refusal: %v", err)
	}
	// A master with a replica must not go on without it.
	if s, err := Open(t.Context(), "redis://"+master.Addr, Options{}); err == nil {
		s.Close()
		t.Error("a master whose replica may be lost was opened")
	} else if !strings.Contains(err.Error(), faultReplicas) {
		t.Errorf("the refusal: %v", err)
	}
}

// A server that is changed while lookout serves is found by the next check:
// patients are refused, what is under way is still settled, and it heals.
func TestAServerThatIsChangedMeanwhile(t *testing.T) {
	server := storetest.StartRedis(t)
	s := openAt(t, "redis://"+server.Addr, Options{Now: time.Now})
	ctx := t.Context()
	c := note("a-p1", "")
	c.Send = []bot.Outgoing{{ID: "a-p1-m1", To: bot.Address{Channel: "sms", At: "+447700900123"}, CreatedAt: t0}}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	admin := client(t, server.Addr)
	if err := admin.ConfigSet(ctx, "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	s.Check(ctx)
	if err := s.Commit(ctx, note("a-p2", "")); !errors.Is(err, bot.ErrUnavailable) || !strings.Contains(err.Error(), "appendfsync") {
		t.Errorf("a patient on a server that may forget: %v", err)
	}
	claimed, err := s.ClaimOutgoing(ctx, "sms", t0, time.Minute, 1)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%v, %v", claimed, err)
	}
	if err := s.Settle(ctx, bot.Settlement{ID: claimed[0].ID, Fence: claimed[0].Fence, State: bot.OutSent, At: t0}); err != nil {
		t.Errorf("settling what went: %v", err)
	}
	if _, err := s.Load(ctx, "a-p1"); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := admin.ConfigSet(ctx, "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	s.Check(ctx)
	if err := s.Commit(ctx, note("a-p2", "")); err != nil {
		t.Errorf("on a server that keeps again: %v", err)
	}
}

func TestRefusesANewerFormat(t *testing.T) {
	server := storetest.StartRedis(t)
	if err := client(t, server.Addr).Set(context.Background(), keys{"lookout"}.format(), schema+1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), "redis://"+server.Addr, Options{}); err == nil {
		s.Close()
		t.Fatal("servers of a newer lookout were opened")
	} else if !strings.Contains(err.Error(), "newer lookout") {
		t.Errorf("the refusal: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]target{
		"redis://h":                            {kind: alone, hosts: []string{"h:6379"}, prefix: "lookout"},
		"rediss://u:p%40ss@h:1/0?prefix=x":     {kind: alone, hosts: []string{"h:1"}, user: "u", password: "p@ss", tls: true, prefix: "x"},
		"redis+sentinel://:pw@a,b:2/mymaster":  {kind: sentinel, hosts: []string{"a:26379", "b:2"}, password: "pw", master: "mymaster", prefix: "lookout"},
		"redis+cluster://a:1,b:2,c:3?tls=true": {kind: clusters, hosts: []string{"a:1", "b:2", "c:3"}, tls: true, prefix: "lookout"},
		"redis://[::1]:7000":                   {kind: alone, hosts: []string{"[::1]:7000"}, prefix: "lookout"},
	} {
		got, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !slices.Equal(got.hosts, want.hosts) || got.kind != want.kind || got.user != want.user || got.password != want.password ||
			got.tls != want.tls || got.prefix != want.prefix || got.master != want.master {
			t.Errorf("%s: %+v, want %+v", text, *got, want)
		}
		if s := got.String(); strings.Contains(s, "p@ss") || strings.Contains(s, "pw") {
			t.Errorf("%s shows its password: %s", text, s)
		}
	}
	for text, why := range map[string]string{
		"sqlite:x":                 "no kind of store",
		"redis://h/3":              "database 0",
		"redis://a,b":              "one host",
		"redis+sentinel://a:1":     "name the master",
		"redis://":                 "host is missing",
		"redis://h?pool=3":         `no option "pool"`,
		"redis://h?prefix=a{b}":    "prefix",
		"redis://:secret@h\x00:1/": "cannot be read",
	} {
		_, err := parse(text)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want a fault with %q", text, err, why)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the fault of %q repeats its password", text)
		}
	}
	if _, err := Open(context.Background(), "redis://h", Options{Accept: []string{"apendfsync"}}); err == nil || !strings.Contains(err.Error(), "no fault") {
		t.Errorf("a misspelt acceptance: %v", err)
	}
}
