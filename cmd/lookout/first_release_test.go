package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/content"
)

// What the first release has written is opened by this one, and no talk is lost: Mary
// is in the middle of her check-in, on the content that it began with, and Gwen has a
// row that a nurse holds. testdata/first-release/README.md says how the files were made.
func TestUpgradeFromTheFirstRelease(t *testing.T) {
	t.Run("File", func(t *testing.T) {
		text, err := os.ReadFile("testdata/first-release/lookout.db")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "lookout.db")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		goesOnFromTheFirstRelease(t, "sqlite:"+path)
		if copies, _ := filepath.Glob(path + ".before-*"); len(copies) != 1 {
			t.Errorf("copies from before the upgrade: %v, want one", copies)
		}
	})
	t.Run("Redis", func(t *testing.T) {
		server := storetest.StartRedis(t)
		loadCommands(t, server.Addr, "testdata/first-release/redis.txt")
		goesOnFromTheFirstRelease(t, "redis://"+server.Addr)
	})
}

func goesOnFromTheFirstRelease(t *testing.T, store string) {
	w := newWorldOn(t, store)
	// The carrier's ids go on after those that the files hold.
	const elsewhere = "+447700900555"
	w.carrier.Allow(elsewhere)
	for range 10 {
		if _, err := w.process.twilio.Send(t.Context(), bot.Outgoing{To: bot.Address{Channel: "sms", At: elsewhere}, Text: "x", CreatedAt: w.clock.now()}); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := w.process.store.PatientsAt(t.Context(), "anytown", bot.Address{Channel: "sms", At: mary})
	if err != nil || len(ids) != 1 {
		t.Fatalf("at her number: %v, %v", ids, err)
	}
	before, err := w.process.store.Load(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	if before.Talk.Flow != "check-in" || before.Talk.Pack == pack.Digest() {
		t.Fatalf("her talk is %q on %s: it should be in the middle of a check-in, on another content", before.Talk.Flow, before.Talk.Pack)
	}
	for _, x := range []struct{ says, hears string }{
		{"no", "weight, appetite"}, {"no", "your daily tablets"}, {"all", "trouble you"}, {"no", "felt low or worried"}, {"no", "anything you would like"}, {"no", "all for now"},
	} {
		n := w.texts(mary)
		w.reply(mary, x.says)
		w.expect(mary, n, x.hears)
	}
	after, err := w.process.store.Load(t.Context(), ids[0])
	if err != nil || after.Talk.Flow != "" {
		t.Errorf("after her last answer she is still in %q, %v", after.Talk.Flow, err)
	}
	entries, err := w.process.store.Journal(t.Context(), ids[0], 0, 0)
	if err != nil || len(entries) < 20 || entries[0].Why != "enrolled on the plan standard" {
		t.Errorf("her journal has %d entries, %v", len(entries), err)
	}
	rows := w.rows("claimed")
	if len(rows) != 1 || rows[0]["patient_name"] != "Gwen Price" || rows[0]["claimed_by"] != "ann" || !strings.Contains(rows[0]["message"].(string), "lump in my breast") {
		t.Fatalf("rows: %v", rows)
	}
	w.call("POST", "/api/v1/queue/"+rows[0]["id"].(string)+"/close", `{"by":"ann","outcome":"clinic"}`, 200)
	if found, err := w.process.store.Find(t.Context(), "anytown", "gwen pri", 5); err != nil || len(found) != 1 {
		t.Errorf("a search finds %d, %v", len(found), err)
	}
	// A text that Twilio delivers once more is still known.
	if seen, err := w.process.store.Seen(t.Context(), "in:SM00000000000000000000000000000003"); err != nil || !seen {
		t.Errorf("a message of the first release is not known: %v, %v", seen, err)
	}
	if state, err := w.process.bot.VerifyAudit(t.Context(), ""); err != nil || state.Broken != "" || state.Entries < 5 {
		t.Errorf("the audit: %+v, %v", state, err)
	}
}

// loadCommands gives a server commands, one a line: each word is a Go string, or
// bytes as base64:….
func loadCommands(t *testing.T, addr, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: time.Minute})
	defer c.Close()
	pipe := c.Pipeline()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var words []any
		for rest := strings.TrimSpace(lines.Text()); rest != ""; rest = strings.TrimSpace(rest) {
			if text, ok := strings.CutPrefix(rest, "base64:"); ok {
				text, rest, _ = strings.Cut(text, " ")
				data, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				words = append(words, data)
				continue
			}
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatal(err)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatal(err)
			}
			words, rest = append(words, word), rest[len(quoted):]
		}
		pipe.Do(context.Background(), words...)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}
