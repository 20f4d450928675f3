package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lookout/bot/redisstore"
	"lookout/bot/storetest"
)

func TestSettingsOfTheStore(t *testing.T) {
	s, err := loaded(t, goodSettings+"store: redis://127.0.0.1:1\nredis: {accept: \"appendfsync, min-replicas\", copies: 1}\n")
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.redisOptions()
	if err != nil || o.Copies != 1 || strings.Join(o.Accept, "+") != "appendfsync+min-replicas" {
		t.Errorf("%+v, %v", o, err)
	}
	for file, want := range map[string]string{
		"store: redis+sentinel://:marker@127.0.0.1:1\n":                     "name the master",
		"store: redis://127.0.0.1:1/7\n":                                    "database 0",
		"store: redis://127.0.0.1:1\nredis: {accept: everything}\n":         `"everything" is no fault`,
		"store: redis://127.0.0.1:1\nredis: {copies: many}\n":               "redis.copies:",
		"store: sqlite:x.db\nredis: {copies: 1}\n":                          "redis: is for a Redis store",
		"store: mongodb://127.0.0.1\n":                                      "store: must be",
		"store: redis://127.0.0.1:1\nredis: {accept: [appendfsync], on: 1}": "on",
	} {
		_, err := loaded(t, goodSettings+file)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a fault with %q", file, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "marker") {
			t.Errorf("%q: its password is repeated", file)
		}
	}
}

// The doctor says what the servers are, what was accepted of them, and why they
// are refused.
func TestDoctorOnRedis(t *testing.T) {
	server := storetest.StartRedis(t, "--appendfsync", "everysec")
	s := &settings{Store: "redis://" + server.Addr}
	if _, _, err := redisAnswers(&env{ctx: t.Context(), now: time0}, s); err == nil || !strings.Contains(err.Error(), "redis.accept: appendfsync") {
		t.Errorf("a server that may forget: %v", err)
	}
	s.Redis.Accept = "appendfsync"
	good, _, err := redisAnswers(&env{ctx: t.Context(), now: time0}, s)
	if err != nil || !strings.Contains(good, "master") || !strings.Contains(good, "accepted: ") || !strings.Contains(good, "clock that is off") {
		t.Errorf("%q, %v", good, err)
	}
}

// A server that is changed under a serving lookout takes it out of the load
// balancer, with the fault's name and no address, until it is put right.
func TestReadyOnlyWhileTheStoreKeeps(t *testing.T) {
	server := storetest.StartRedis(t)
	w := newWorldOn(t, "redis://"+server.Addr)
	ready := func() (int, string) {
		r, err := http.Get(w.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(text)
	}
	if status, text := ready(); status != 200 || text != "ready\nthe store is not encrypted\n" {
		t.Errorf("at first: %d %s", status, text)
	}
	store := w.process.store.(*redisstore.Store)
	server.Set(t, "appendfsync", "no")
	store.Check(t.Context())
	if status, text := ready(); status != 503 || !strings.Contains(text, "appendfsync") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("on a server that may forget: %d %s", status, text)
	}
	if _, status, err := w.carrier.Reply(mary, ourNumber, "found a lump"); err != nil || status != 503 {
		t.Errorf("a text on a server that may forget was answered with %d, %v", status, err)
	}
	for page, says := range map[string]string{"/desk/sign-in": "Nothing can be saved", "/metrics": "\nlookout_store_trusted 0\n"} {
		if text := w.fetch(http.DefaultClient, w.url+page, 200); !strings.Contains(text, says) {
			t.Errorf("%s does not say %q", page, says)
		}
	}
	server.Set(t, "appendfsync", "always")
	store.Check(t.Context())
	if status, _ := ready(); status != 200 {
		t.Errorf("when it keeps again: %d", status)
	}
}

func time0() time.Time { return time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC) }
