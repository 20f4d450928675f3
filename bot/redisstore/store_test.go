package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/bot/vault"
)

// prefixes keeps the stores of one server apart.
var prefixes atomic.Int64

// harness opens stores on servers that are there already, each under a prefix of its own.
func harness(url string, o Options) storetest.Harness {
	return storetest.Harness{Open: func(t *testing.T) (bot.Store, func(*testing.T) bot.Store) {
		own := fmt.Sprintf("%s?prefix=t%d", url, prefixes.Add(1))
		again := func(t *testing.T) bot.Store {
			s, err := Open(context.Background(), own, o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return again(t), again
	}}
}

func TestConformance(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.Run(t, harness("redis://"+server.Addr, Options{}))
}

// This run of the suite is on a store that is encrypted.
func TestConformanceOnACluster(t *testing.T) {
	t.Parallel()
	cluster := storetest.StartCluster(t, 3, 0, nil)
	_, v := storetest.Keys(t)
	storetest.Run(t, harness(cluster.URL, Options{Keys: vault.Opening{Vault: v}}))
	t.Run("PassesOverWhatItCannotOpen", func(t *testing.T) {
		own := fmt.Sprintf("%s?prefix=t%d", cluster.URL, prefixes.Add(1))
		var said storetest.Said
		storetest.PassesOverWhatItCannotOpen(t, storetest.Place{Said: &said, Open: func(o vault.Opening) (storetest.Sealable, error) {
			return Open(context.Background(), own, Options{Keys: o, Log: slog.New(slog.NewTextHandler(&said, nil))})
		}})
	})
}

// The suite runs on a master that the Sentinels name, and again on the one that
// they name after it has died.
func TestConformanceWithSentinels(t *testing.T) {
	t.Parallel()
	w := storetest.StartWatched(t, 2, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--repl-ping-replica-period", "1")
	h := harness(w.URL, Options{Copies: 1})
	t.Run("Before", func(t *testing.T) { storetest.Run(t, h) })
	w.FailOver(t)
	t.Run("After", func(t *testing.T) { storetest.Run(t, h) })
}

func TestSealed(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.RunSealed(t, func(t *testing.T) storetest.Place {
		own := fmt.Sprintf("t%d", prefixes.Add(1))
		var said storetest.Said
		return storetest.Place{
			Said: &said,
			Open: func(o vault.Opening) (storetest.Sealable, error) {
				s, err := Open(context.Background(), fmt.Sprintf("redis://%s?prefix=%s", server.Addr, own), Options{Keys: o, Log: slog.New(slog.NewTextHandler(&said, nil))})
				if err != nil {
					return nil, err
				}
				return s, nil
			},
			Bytes: func(t *testing.T) []byte { return everyByte(t, server, own) },
		}
	})
}

// A lookout that has the store open in the clear refuses patients once it was encrypted.
func TestEncryptedUnderSomebodysHands(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	serving := openAt(t, url, Options{})
	if err := serving.Commit(t.Context(), note("a-p1", "k1")); err != nil {
		t.Fatal(err)
	}
	_, v := storetest.Keys(t)
	command := openAt(t, url, Options{Keys: vault.Opening{Vault: v, Encrypt: true}})
	if _, err := command.Reseal(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := serving.Check(t.Context()).Refusal(); err == nil || !strings.Contains(err.Error(), "start lookout again") {
		t.Errorf("the check of a lookout that has it open in the clear: %v", err)
	}
	if err := serving.Commit(t.Context(), note("a-p2", "k2")); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("it takes patients: %v", err)
	}
	if err := command.Check(t.Context()).Refusal(); err != nil {
		t.Errorf("the one that has encrypted it: %v", err)
	}
}

// everyByte is what the server holds under a prefix, and what stands in its file
// after it was written anew.
func everyByte(t *testing.T, server *storetest.Redis, prefix string) []byte {
	c := client(t, server.Addr)
	var all strings.Builder
	keys := c.Scan(t.Context(), 0, prefix+":*", 1000).Iterator()
	for keys.Next(t.Context()) {
		k := keys.Val()
		fmt.Fprintln(&all, k, c.Get(t.Context(), k).Val(), c.HGetAll(t.Context(), k).Val(), c.LRange(t.Context(), k, 0, -1).Val(), c.SMembers(t.Context(), k).Val(), c.ZRange(t.Context(), k, 0, -1).Val())
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	for done := false; !done; { // another may be under way
		from := server.Said()
		done = c.BgRewriteAOF(t.Context()).Err() == nil
		server.Await(t, "Background AOF rewrite finished successfully", from)
	}
	files, err := filepath.Glob(filepath.Join(server.Dir, "appendonlydir", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return []byte(all.String())
}

func TestMove(t *testing.T) {
	server := storetest.StartRedis(t)
	h := harness("redis://"+server.Addr, Options{})
	storetest.RunMove(t, h, h)
}

func TestBackup(t *testing.T) {
	_, v := storetest.Keys(t)
	h := harness("redis://"+storetest.StartRedis(t).Addr, Options{Keys: vault.Opening{Vault: v}})
	storetest.RunBackup(t, h, h)
}

// A process that has seen which of her rows are open asks for those in the same breath
// as her record; what another process has done since must still come.
func TestRowsThatAnotherProcessHasChanged(t *testing.T) {
	server := storetest.StartRedis(t)
	one, two := openAt(t, "redis://"+server.Addr, Options{}), openAt(t, "redis://"+server.Addr, Options{})
	row := func(n int, state bot.RowState) bot.Row {
		return bot.Row{ID: fmt.Sprintf("a-p1-r%d", n), Service: "a", Patient: "a-p1", State: state, OpenedAt: t0, DueAt: t0}
	}
	commit := func(s *Store, rows ...bot.Row) {
		t.Helper()
		rec, err := s.Load(t.Context(), "a-p1")
		if errors.Is(err, bot.ErrNotFound) {
			rec = somebody(1)
		}
		if err := s.Commit(t.Context(), bot.Change{Base: rec.Version, Record: rec, Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	see := func(s *Store, want ...bot.Row) {
		t.Helper()
		rec, err := s.Load(t.Context(), "a-p1")
		if err != nil || !reflect.DeepEqual(rec.Rows, want) {
			t.Errorf("%+v, %v, want %+v", rec.Rows, err, want)
		}
		found, err := s.RecordsAt(t.Context(), "a", rec.Patient.Addresses[0])
		if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], rec) {
			t.Errorf("by her address: %+v, %v", found, err)
		}
	}
	commit(one, row(1, bot.Open), row(2, bot.Open))
	see(one, row(1, bot.Open), row(2, bot.Open))
	commit(two, row(2, bot.Claimed), row(3, bot.Open))
	see(one, row(1, bot.Open), row(2, bot.Claimed), row(3, bot.Open))
	commit(two, row(1, bot.Closed), row(3, bot.Claimed))
	see(one, row(2, bot.Claimed), row(3, bot.Claimed))
	commit(two, row(2, bot.Closed), row(3, bot.Closed))
	see(one)
}
