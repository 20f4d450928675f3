package widget

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"lookout/bot"
	"lookout/bot/redisstore"
	"lookout/bot/sqlitestore"
	"lookout/bot/storetest"
	"lookout/content"
)

var leaveAt = time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)

// place is one process with a chat of its own on a store that others share.
type place struct {
	*testing.T
	bot *bot.Bot
	url string
}

func newPlace(t *testing.T, store bot.Store, relay bot.Relay, ping time.Duration) *place {
	t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, Promise: bot.DefaultPromise, Sending: bot.Sending{From: 600, To: 960}, PageEvery: time.Minute, Lease: time.Minute}
	team.Hours.Location = time.UTC
	now := func() time.Time { return leaveAt }
	b, err := bot.New(t.Context(), bot.Config{Store: store, Relay: relay, Content: pack, Service: team, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	stopping := make(chan struct{})
	t.Cleanup(func() { close(stopping) })
	c, err := New(Config{Bot: b, Values: store, PublicURL: "http://x", PhoneChannel: "sms", Now: now, Log: slog.New(slog.DiscardHandler), Stopping: stopping, PingEvery: ping})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &place{t, b, server.URL}
}

// signedIn is the cookie of a session of somebody who is enrolled.
func (p *place) signedIn(values Values) string {
	p.Helper()
	her, err := p.bot.Enrol(p.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: "+447700900123", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		p.Fatal(err)
	}
	value, err := json.Marshal(session{Patient: her.ID, Began: leaveAt, Ends: leaveAt.Add(sessionLives)})
	if err == nil {
		err = values.PutValue(p.Context(), drawerSessions, hashed("token"), value, leaveAt.Add(sessionLives))
	}
	if err != nil {
		p.Fatal(err)
	}
	return cookieName + "=token"
}

// open is a page of hers that has its messages.
func (p *place) open(cookie string) *websocket.Conn {
	p.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+p.url[len("http"):]+"/chat/ws", http.Header{"Cookie": {cookie}, "Origin": {p.url}})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if err := conn.WriteJSON(frame{Type: "hello"}); err != nil {
		p.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		p.Fatal(err)
	}
	return conn
}

func (p *place) leave(cookie string) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), "POST", p.url+"/chat/leave", nil)
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	answer, err := (&http.Transport{}).RoundTrip(r)
	if err != nil {
		p.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusSeeOther {
		p.Fatalf("leave: %d", answer.StatusCode)
	}
}

// closed reads a page to its end.
func closed(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, closeSignedOut) {
				t.Errorf("the page that is open elsewhere: %v", err)
			}
			return
		}
	}
}

// Who leaves at one process is signed out of her pages at another at once: it is told.
func TestLeavingIsHeardAtTheOtherProcess(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	var stores [2]*redisstore.Store
	for i := range stores {
		var err error
		if stores[i], err = redisstore.Open(t.Context(), url, redisstore.Options{}); err != nil {
			t.Fatal(err)
		}
		defer stores[i].Close()
	}
	one, other := newPlace(t, stores[0], stores[0], time.Hour), newPlace(t, stores[1], stores[1], time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { other.bot.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()
	cookie := one.signedIn(stores[0])
	hints := other.bot.Watch(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for heard := false; !heard; { // until the other has begun to listen, hints are lost
		one.bot.Nudge("nobody")
		select {
		case <-hints:
			heard = true
		case <-tick.C:
		}
	}
	page := other.open(cookie)
	one.leave(cookie)
	closed(t, page)
}

// Where no hint comes through, the other process finds it in the store: when it asks
// whether the page is there, and when the page sends something.
func TestLeavingIsFoundWithoutAHint(t *testing.T) {
	for name, ping := range map[string]time.Duration{"asked": 10 * time.Millisecond, "sends": time.Hour} {
		t.Run(name, func(t *testing.T) {
			store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			one, other := newPlace(t, store, nil, time.Hour), newPlace(t, store, nil, ping)
			cookie := one.signedIn(store)
			page := other.open(cookie)
			one.leave(cookie)
			if ping == time.Hour {
				if err := page.WriteJSON(frame{Type: "hello"}); err != nil {
					t.Fatal(err)
				}
			}
			closed(t, page)
		})
	}
}
