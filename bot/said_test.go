package bot_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/internal/memory"
	"lookout/bot/redisstore"
	"lookout/bot/sqlitestore"
	"lookout/bot/storetest"
	"lookout/bot/vault"
	"lookout/content"
)

func TestSearchWords(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil,
		"The pains are in my LEGS, and my leg's worse!": {"pain", "leg", "worse"},
		"I've a lump  lumps":                            {"ive", "lump"},
		"999 07700 900123 at 4pm":                       {"4pm"},
		"lwmp yn fy mron; wedi blino'n lân":             {"lwmp", "mron", "blinon", "lan"},
		"abscess bruises bodies virus toes":             {"abscess", "bruise", "body", "virus", "toe"},
	} {
		if got := bot.SearchWords(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// older is a store whose messages are from before they were searched by their words.
type older struct {
	*memory.Store
	entered []string
}

func (o *older) EnterSaid(ctx context.Context, patient string) error {
	o.entered = append(o.entered, patient)
	return o.Store.EnterSaid(ctx, patient)
}

func (o *older) Said(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	return o.entered, nil // says too much
}

func saidBot(t testing.TB, store bot.Store) *bot.Bot {
	t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, Promise: bot.DefaultPromise, PageEvery: time.Minute, Lease: 30 * time.Minute}
	team.Hours.Location = time.UTC
	b, err := bot.New(t.Context(), bot.Config{Store: store, Content: pack, Service: team, PublicURL: "http://x", Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What an index says too much is not shown: her journal decides, and the newest message
// with most of the words is. Words that were kept before there was an index are entered once.
func TestFoundByHerWords(t *testing.T) {
	o := &older{Store: memory.New(nil)}
	b := saidBot(t, o)
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	for n, texts := range [][]string{{"My left hip aches", "the hip, and a cough", "a cough again"}, {"hips are fine"}, {"nothing new"}} {
		c := bot.Change{Record: bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("anytown-p%d", n), Service: "anytown", GivenName: "Mary", Status: bot.Active}}}
		for i, text := range texts {
			c.Entries = append(c.Entries, bot.Entry{At: at.AddDate(0, 0, i), Kind: bot.EntryIn, By: "patient", Text: text})
		}
		c.Entries = append(c.Entries, bot.Entry{At: at, Kind: bot.EntryNote, By: "ann", Text: "hip: she limps"})
		if err := o.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.EnterSaid(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.entered) != 3 {
		t.Fatalf("entered %v, want each once", o.entered)
	}
	for query, want := range map[string][]string{"hip": {"the hip, and a cough", "hips are fine"}, "coughing cough": nil, "cough HIPS": {"the hip, and a cough"}, "cough": {"a cough again"}, "limps": nil, "and the": nil} {
		found, more, err := b.FindSaid(t.Context(), query, 10)
		var got []string
		for _, f := range found {
			got = append(got, f.Message.Text)
			if query == "cough HIPS" && (len(f.Spans) != 2 || f.Message.Text[f.Spans[0].Start:f.Spans[0].End] != "hip") {
				t.Errorf("%q: spans %+v", query, f.Spans)
			}
		}
		if err != nil || more || !slices.Equal(got, want) {
			t.Errorf("%q finds %q, %v, %v; want %q", query, got, more, err, want)
		}
	}
	if found, more, err := b.FindSaid(t.Context(), "hip", 1); len(found) != 1 || !more || err != nil {
		t.Errorf("one of two: %d, %v, %v", len(found), more, err)
	}
}

// What the desk's search by words takes among 50,000 people, journals opened and all.
func BenchmarkFindSaid(b *testing.B) {
	for name, sealed := range map[string]bool{"Clear": false, "Sealed": true} {
		var v *vault.Vault
		if sealed {
			_, v = storetest.Keys(b)
		}
		for kind, open := range map[string]func(b *testing.B) (bot.Store, error){
			"File": func(b *testing.B) (bot.Store, error) {
				return sqlitestore.OpenWith(b.Context(), filepath.Join(b.TempDir(), "lookout.db"), sqlitestore.Options{Keys: vault.Opening{Vault: v}})
			},
			"Redis": func(b *testing.B) (bot.Store, error) {
				server := storetest.StartRedis(b, "--appendfsync", "no")
				return redisstore.Open(b.Context(), "redis://"+server.Addr, redisstore.Options{Accept: []string{"appendfsync"}, Keys: vault.Opening{Vault: v}})
			},
		} {
			b.Run(kind+name, func(b *testing.B) {
				store, err := open(b)
				if err != nil {
					b.Fatal(err)
				}
				defer store.Close()
				lookout := saidBot(b, store)
				storetest.BenchSaid(b, store, func(query string) (int, error) {
					found, _, err := lookout.FindSaid(b.Context(), query, 20)
					return len(found), err
				}, 50_000)
			})
		}
	}
}
