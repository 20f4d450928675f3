package widget

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// People write by socket and by form, look by every page, and text, all at once, on one
// chat: each message is stored once, and the race detector has something to look at.
func TestChatAtOnce(t *testing.T) {
	const people, rounds = 2, 6
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, Promise: bot.DefaultPromise, Sending: bot.Sending{From: 600, To: 960}, PageEvery: time.Minute, Lease: time.Minute}
	team.Hours.Location = time.UTC
	for i := range team.Hours.Week {
		team.Hours.Week[i] = []bot.Spell{{From: 540, To: 1020}}
	}
	at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	now := func() time.Time { return at }
	b, err := bot.New(t.Context(), bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, Now: now, Outlets: map[string]bot.Outlet{Channel: {Sender: Sender{}, Lease: time.Minute, Forms: true}}})
	if err != nil {
		t.Fatal(err)
	}
	stopping := make(chan struct{})
	defer close(stopping)
	c, err := New(Config{Bot: b, Values: store, PublicURL: "http://x", PhoneChannel: "sms", Now: now, Log: slog.New(slog.DiscardHandler), Stopping: stopping})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	var all, delivering sync.WaitGroup
	delivering.Go(func() { b.Run(ctx) })
	defer func() { stop(); delivering.Wait() }()
	words := []string{"found a lump in my breast", "no", "it is worse today", "thanks", "cant feel my legs", "help"}
	var ids []string
	for n := range people {
		phone := bot.Address{Channel: "sms", At: fmt.Sprintf("+4477009001%02d", n)}
		p, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: phone.At, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
		token := fmt.Sprint("token", n)
		value, err := json.Marshal(session{Patient: p.ID, Began: at, Ends: at.Add(sessionLives)})
		if err == nil {
			err = store.PutValue(t.Context(), drawerSessions, hashed(token), value, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Cookie": {cookieName + "=" + token}, "Origin": {server.URL}, "Accept": {"application/json"}}
		ask := func(method, path string, form url.Values) {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(form.Encode()))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header = header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%s: %d, %v: %s", path, answer.StatusCode, err, body)
			}
		}
		all.Go(func() {
			for i := range rounds {
				ask("POST", "/chat/say", url.Values{"id": {fmt.Sprint("form", i)}, "words": {words[(i+n)%len(words)]}})
			}
		})
		all.Go(func() {
			conn, answer, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/chat/ws", http.Header{"Cookie": header["Cookie"], "Origin": header["Origin"]})
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
			defer conn.Close()
			if err := conn.WriteJSON(frame{Type: "hello"}); err != nil {
				t.Error(err)
			}
			for i := range rounds {
				id := fmt.Sprint("socket", i)
				if err := conn.WriteJSON(frame{Type: "say", ID: id, Text: words[(i+2)%len(words)]}); err != nil {
					t.Error(err)
					return
				}
				for {
					var r reply
					if err := conn.ReadJSON(&r); err != nil {
						t.Error(err)
						return
					}
					if r.ID == id {
						if r.Type != "stored" {
							t.Errorf("%s is %s", id, r.Type)
						}
						break
					}
				}
			}
		})
		for _, path := range []string{"/chat/news?after=0", "/chat/earlier?before=1000000", "/chat/settings", "/chat"} {
			all.Go(func() {
				for range rounds {
					ask("GET", path, nil)
				}
			})
		}
		all.Go(func() {
			for i := range rounds {
				if err := b.Receive(t.Context(), bot.Inbound{From: phone, Text: words[(i+4)%len(words)], CarrierID: fmt.Sprint(p.ID, i)}); err != nil {
					t.Error(err)
				}
				b.Nudge(p.ID)
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		moments, err := b.Thread(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		came := 0
		for _, m := range moments {
			if m.Kind == bot.EntryIn {
				came++
			}
		}
		if came != 3*rounds {
			t.Errorf("%d messages are stored, want %d", came, 3*rounds)
		}
	}
}
