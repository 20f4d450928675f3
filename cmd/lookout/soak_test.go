package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"lookout/bot"
)

// sized reads how much a test shall do: a little with all the others, more by `make soak`.
func sized(t *testing.T, name string, little int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return little
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: must be a number above 0", name)
	}
	return n
}

// light opens sockets that need little memory on this side, which is in this process too.
var light = websocket.Dialer{ReadBufferSize: 256, WriteBufferSize: 256, WriteBufferPool: &sync.Pool{}, HandshakeTimeout: time.Minute}

// weight is the memory that each of n sockets takes, with its other side, in bytes.
func weight(n int, open func(i int) *websocket.Conn) (each int, conns []*websocket.Conn) {
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	for i := range n {
		conns = append(conns, open(i))
	}
	return int(used()-min(before, used())) / n, conns
}

// Many pages are open and some write, while lookout is started anew: what was called
// stored is there once, in order. The figures are for who asks (make soak); a busy
// machine fails nothing by being slow.
func TestChatSoak(t *testing.T) {
	idle, chatting, says := sized(t, "SOAK_IDLE", 64), sized(t, "SOAK_CHATTING", 8), sized(t, "SOAK_SAYS", 6)
	restarts := sized(t, "SOAK_RESTARTS", 1)
	store := "sqlite:" + filepath.Join(t.TempDir(), "lookout.db")
	behind := func(s *settings) { s.TrustedProxies = []string{"127.0.0.1"} }
	w := newWorldOn(t, store, behind)
	const pages = 8 // of one idle person
	people := make([]string, chatting+(idle+pages-1)/pages)
	cookies := make([]string, len(people))
	for i := range people {
		p, err := w.process.bot.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: fmt.Sprint("Soak", i), BirthDate: "1961-04-30", TreatmentEnded: "2026-09-30"}, "test")
		if err != nil {
			t.Fatal(err)
		}
		people[i], cookies[i] = p.ID, w.cookie(p.ID, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	var at atomic.Value
	at.Store(w.url)
	dial := func(person int, after int64) (*websocket.Conn, error) {
		home := at.Load().(string)
		conn, _, err := light.Dial("ws"+strings.TrimPrefix(home, "http")+"/chat/ws", http.Header{"Origin": {home}, "Cookie": {cookies[person]}})
		if err != nil {
			return nil, err
		}
		return conn, conn.WriteJSON(map[string]any{"type": "hello", "after": after})
	}

	echo := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(rw, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, text, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, text) != nil {
				return
			}
		}
	}))
	defer echo.Close()
	floor, plain := weight(idle, func(int) *websocket.Conn {
		conn, _, err := light.Dial("ws"+strings.TrimPrefix(echo.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	})
	for _, conn := range plain {
		conn.Close()
	}
	each, open := weight(idle, func(i int) *websocket.Conn {
		conn, err := dial(chatting+i/pages, 0)
		if err == nil {
			_, _, err = conn.ReadMessage() // the news that answer the hello
		}
		if err != nil {
			t.Fatal(err)
		}
		return conn
	})
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	t.Logf("%d idle pages: %d bytes each, with the test's own side; a plain echo server's: %d", idle, each, floor)

	var took []time.Duration
	var mu sync.Mutex
	var stored atomic.Int64
	reached := make(chan struct{}, chatting*says)
	var writers sync.WaitGroup
	for person := range chatting {
		writers.Go(func() {
			var conn *websocket.Conn
			for n := range says {
				for began := time.Now(); ; began = (time.Time{}) {
					ok := conn != nil
					if !ok {
						if c, err := dial(person, 0); err == nil {
							conn, ok = c, true
						}
					}
					if ok && sayAndHear(conn, fmt.Sprint("m", n), fmt.Sprint("word ", n)) {
						if !began.IsZero() {
							mu.Lock()
							took = append(took, time.Since(began))
							mu.Unlock()
						}
						break
					}
					if conn != nil {
						conn.Close()
						conn = nil
					}
					if t.Context().Err() != nil {
						return
					}
					runtime.Gosched()
				}
				stored.Add(1)
				reached <- struct{}{}
			}
			conn.Close()
		})
	}
	for n := range restarts {
		for stored.Load() < int64(chatting*says*(n+1)/(restarts+1)) {
			<-reached
		}
		w.halt()
		w = newWorldOn(t, store, behind)
		at.Store(w.url)
	}
	writers.Wait()
	var want []string
	for n := range says {
		want = append(want, fmt.Sprint("word ", n))
	}
	for person := range chatting {
		if said := w.saidBy(people[person]); said != strings.Join(want, "|") {
			t.Errorf("person %d has said %s", person, said)
		}
	}
	slices.Sort(took)
	if len(took) > 0 {
		t.Logf("%d messages over %d restarts: stored in %v (median), %v (99%%)", chatting*says, restarts, took[len(took)/2], took[len(took)*99/100])
	}
}

// sayAndHear sends a message and waits until it is called stored.
func sayAndHear(conn *websocket.Conn, id, text string) bool {
	if conn.WriteJSON(map[string]any{"type": "say", "id": id, "text": text}) != nil {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		var f struct{ Type, ID string }
		if conn.ReadJSON(&f) != nil || f.Type == "later" {
			return false
		}
		if f.Type == "stored" && f.ID == id {
			return true
		}
	}
}

// cookie opens a chat from an address, as a proxy tells of it, and gives the session's
// cookie: so many from one address would be refused.
func (w *world) cookie(id, from string) string {
	w.Helper()
	link, err := w.process.bot.NewLink(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	address, _ := url.Parse(link)
	form := url.Values{"k": {address.Query().Get("k")}, "day": {"30"}, "month": {"4"}, "year": {"1961"}}
	r, err := http.NewRequestWithContext(w.Context(), "POST", w.url+"/chat/open", strings.NewReader(form.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", "203.0.113.9, "+from)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.Fatal(err)
	}
	response.Body.Close()
	if len(response.Cookies()) != 1 {
		w.Fatalf("the link did not open: %d", response.StatusCode)
	}
	return response.Cookies()[0].Name + "=" + response.Cookies()[0].Value
}
