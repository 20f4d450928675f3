package redisstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/storetest"
)

// wrote is a change with a message of somebody who is new.
func wrote(patient, key, text string) bot.Change {
	c := note(patient, key)
	c.Entries = append(c.Entries, bot.Entry{At: t0, Kind: bot.EntryIn, By: "patient", Text: text})
	return c
}

// A server that takes no writes, and has nothing of a message but where its words are looked
// up, does not keep it from being taken: its words are entered when the server does again.
func TestWordsDecideNothingAboutAMessage(t *testing.T) {
	cluster := storetest.StartCluster(t, 3, 0, nil)
	s := openAt(t, cluster.URL, Options{})
	ctx := t.Context()
	at := func(key string) string {
		t.Helper()
		node, err := s.servers.server(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return node.Options().Addr
	}
	words := []string{"lump", "armpit", "swollen", "tired", "cough", "gardening", "seaside", "allotment", "weight", "back"}
	word := func(fits func(server string) bool) string {
		t.Helper()
		i := slices.IndexFunc(words, func(w string) bool { return fits(at(s.keys.said("a", s.vault.Said("a", w)))) })
		if i < 0 {
			t.Fatal("no word fits")
		}
		return words[i]
	}
	word1 := word(func(server string) bool { return server != at(s.keys.probe()) })
	refuses := at(s.keys.said("a", s.vault.Said("a", word1)))
	word2 := word(func(server string) bool { return server != refuses })
	// Everything else of two people, elsewhere.
	var people []bot.Change
	for i := 0; len(people) < 2; i++ {
		c := wrote(fmt.Sprintf("a-p%d", i), fmt.Sprintf("in:SM%d", i), "the "+[]string{word1, word2}[len(people)]+" again")
		c.Record.Patient.Addresses = []bot.Address{number(i)}
		if at(s.keys.record(c.Record.Patient.ID)) != refuses && at(s.keys.claims(c.Key)) != refuses && at(s.keys.at("a", number(i))) != refuses {
			people = append(people, c)
		}
	}
	replicas := func(n string) {
		t.Helper()
		if err := client(t, refuses).ConfigSet(ctx, "min-replicas-to-write", n).Err(); err != nil {
			t.Fatal(err)
		}
	}
	replicas("1") // and it has none
	for _, c := range people {
		if err := s.Commit(ctx, c); err != nil {
			t.Errorf("a message: %v", err)
		}
		if err := s.Commit(ctx, c); !errors.Is(err, bot.ErrDuplicate) {
			t.Errorf("the message again: %v", err)
		}
	}
	if err := s.EnterNewSaid(ctx); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("words that cannot be entered: %v", err)
	}
	if ids, err := s.Said(ctx, "a", []string{word2}, 10); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("a search that may lack somebody: %v, %v", ids, err)
	}
	if n, err := s.servers.cluster.ZCard(ctx, s.keys.said("a", s.vault.Said("a", word2))).Result(); err != nil || n != 1 {
		t.Errorf("%d, %v: words that could be entered wait for those that could not", n, err)
	}
	replicas("0")
	if err := s.EnterNewSaid(ctx); err != nil {
		t.Fatal(err)
	}
	for i, c := range people {
		if n, err := s.servers.cluster.HLen(ctx, s.keys.unsaid(slotOf(c.Record.Patient.ID))).Result(); err != nil || n != 0 {
			t.Errorf("%d, %v: her words are entered, and noted as not", n, err)
		}
		ids, err := s.Said(ctx, "a", []string{[]string{word1, word2}[i]}, 10)
		if err != nil || !slices.Equal(ids, []string{c.Record.Patient.ID}) {
			t.Errorf("%v, %v: want %s", ids, err, c.Record.Patient.ID)
		}
	}
}

// What happens to her while her words are entered counts: of somebody who is erased nothing
// stays, and what she has written meanwhile is entered the next time.
func TestWordsThatAreEnteredMeanwhile(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	for name, x := range map[string]struct {
		meanwhile func(s *Store) error
		word      string
		found     []string
	}{
		"Erased": {func(s *Store) error {
			return s.Erase(t.Context(), "a-p1", 1, bot.AuditEntry{By: "ann@example.org", Did: "erase", At: t0})
		}, "seaside", nil},
		"WroteAgain": {func(s *Store) error {
			c := wrote("a-p1", "in:SM2", "the allotment")
			c.Base = 1
			return s.Commit(t.Context(), c)
		}, "allotment", []string{"a-p1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := openAt(t, url+"?prefix="+name, Options{}), t.Context()
			if err := s.Commit(ctx, wrote("a-p1", "in:SM1", "the seaside")); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			s.servers.single.AddHook(before(func(commands []redis.Cmder) {
				if has(commands, "zadd") {
					once.Do(func() {
						if err := x.meanwhile(s); err != nil {
							t.Error(err)
						}
					})
				}
			}))
			if err := s.EnterNewSaid(ctx); err != nil {
				t.Fatal(err)
			}
			if ids, err := s.Said(ctx, "a", []string{x.word}, 10); err != nil || !slices.Equal(ids, x.found) {
				t.Errorf("%q: %v, %v, want %v", x.word, ids, err, x.found)
			}
			if n, err := s.servers.single.HLen(ctx, s.keys.unsaid(slotOf("a-p1"))).Result(); err != nil || n != 0 {
				t.Errorf("%d, %v: nothing is left to enter, and she is noted", n, err)
			}
		})
	}
}
