package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
)

// Between a file and Redis, both ways.
func TestMoveBetweenKinds(t *testing.T) {
	server := storetest.StartRedis(t)
	var n atomic.Int64
	opener := func(where func(t *testing.T) string) storetest.Harness {
		return storetest.Harness{Open: func(t *testing.T) (bot.Store, func(*testing.T) bot.Store) {
			own := where(t)
			again := func(t *testing.T) bot.Store {
				s, err := openStore(context.Background(), &settings{Store: own}, slog.New(slog.DiscardHandler), time.Now)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			return again(t), again
		}}
	}
	file := opener(func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "lookout.db") })
	redis := opener(func(*testing.T) string { return fmt.Sprintf("redis://%s?prefix=t%d", server.Addr, n.Add(1)) })
	t.Run("ToRedis", func(t *testing.T) { storetest.RunMove(t, file, redis) })
	t.Run("ToAFile", func(t *testing.T) { storetest.RunMove(t, redis, file) })
}

// A lookout that was on a file goes on, on Redis, where it was.
func TestMigrate(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "lookout.db")
	before := newWorldOn(t, path)
	id := before.enrol("Mary", mary)
	before.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	before.expect(mary, 0, "Any change in your chest")
	before.stop()
	url := "redis://" + storetest.StartRedis(t).Addr
	out, err := lookout(t, "", "migrate", "--from", path, "--to", url)
	if err != nil || !strings.Contains(out, "1 people") {
		t.Fatalf("%s, %v", out, err)
	}
	after := newWorldOn(t, url)
	after.reply(mary, "yes I've found a lump under my arm, about 2 weeks now") // to the question that was put before
	after.expect(mary, 0, "Your nurse will contact you by")
	if rows := after.rows("open"); len(rows) != 1 || rows[0]["level"] != "soon" {
		t.Errorf("rows after the move: %v", rows)
	}
	for _, x := range []struct{ from, to, want string }{
		{path, path, "the same store"}, {"sqlite:" + t.TempDir() + "/none.db", url, "--from"}, {path, "redis://127.0.0.1:1/3", "--to: store:"},
		{path, url, "not the same"}, // she went on living there
	} {
		if _, err := lookout(t, "", "migrate", "--from", x.from, "--to", x.to); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("from %s to %s: %v, want a fault with %q", x.from, x.to, err, x.want)
		}
	}
}
