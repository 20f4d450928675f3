package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"lookout/bot"
	"lookout/channels/sms"
	"lookout/channels/widget"
)

// opened is a browser that has opened her chat by a link.
func (w *world) opened(id string) *http.Client {
	w.Helper()
	link, err := w.process.bot.NewLink(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	at, err := url.Parse(link)
	if err != nil {
		w.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	for range 3 { // a phone that looks at links by itself does not use them up
		if page := w.fetch(c, link, 200); strings.Contains(page, "Mary") || strings.Contains(page, "check") {
			w.Errorf("the page says something of her before she has shown who she is: %s", page)
		}
	}
	form := url.Values{"k": {at.Query().Get("k")}, "day": {"1"}, "month": {"4"}, "year": {"1961"}}
	w.submit(c, "/chat/open", form, 403)
	form.Set("day", "30")
	w.submit(c, "/chat/open", form, 200)
	jar2, _ := cookiejar.New(nil)
	w.submit(&http.Client{Jar: jar2}, "/chat/open", form, 403) // a stolen link that has been used
	return c
}

func (w *world) fetch(c *http.Client, address string, want int) string {
	w.Helper()
	response, err := c.Get(address)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		w.Fatalf("%s: %d, want %d", address, response.StatusCode, want)
	}
	return string(page)
}

func (w *world) submit(c *http.Client, path string, form url.Values, want int) string {
	w.Helper()
	response, err := c.PostForm(w.url+path, form)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		w.Fatalf("%s: %d, want %d: %s", path, response.StatusCode, want, page)
	}
	return string(page)
}

// socket opens a live connection and says where it was.
func (w *world) socket(c *http.Client, after int64) *websocket.Conn {
	w.Helper()
	base, _ := url.Parse(w.url + "/chat")
	header := http.Header{"Origin": {w.url}}
	for _, cookie := range c.Jar.Cookies(base) {
		header.Add("Cookie", cookie.String())
	}
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(w.url, "http")+"/chat/ws", header)
	if err != nil {
		w.Fatalf("socket: %v (%v)", err, response)
	}
	w.Cleanup(func() { conn.Close() })
	if err := conn.WriteJSON(map[string]any{"type": "hello", "after": after}); err != nil {
		w.Fatal(err)
	}
	return conn
}

type chatLine struct {
	Seq  int64
	ID   string
	By   string
	Name string
	Text string
}

// closing reads until the other side closes, and gives the code and the reason.
func (w *world) closing(conn *websocket.Conn) *websocket.CloseError {
	w.Helper()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return closed
		case err != nil:
			w.Fatalf("socket: %v", err)
		}
	}
}

// until reads frames until one satisfies done, and gives the lines that came.
func (w *world) until(conn *websocket.Conn, done func(kind, id string, lines []chatLine) bool) []chatLine {
	w.Helper()
	var all []chatLine
	conn.SetReadDeadline(time.Now().Add(patience))
	for {
		var f struct {
			Type, ID string
			Lines    []chatLine
		}
		if err := conn.ReadJSON(&f); err != nil {
			w.Fatalf("socket: %v after %v", err, all)
		}
		all = append(all, f.Lines...)
		if done(f.Type, f.ID, all) {
			return all
		}
	}
}

// The chat: who she is first; what is stored is said; the same message twice
// counts once; after a cut nothing is missing and nothing twice; the same queue as SMS.
func TestChat(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	if page := w.fetch(c, w.url+"/chat", 200); !strings.Contains(page, `role="log"`) || strings.Contains(page, "?k=") {
		t.Error("the chat's page is not there, or the link is still in it")
	}
	conn := w.socket(c, 0)
	say := map[string]any{"type": "say", "id": "one", "text": "found a lump in my breast"}
	for range 2 {
		if err := conn.WriteJSON(say); err != nil {
			t.Fatal(err)
		}
		w.until(conn, func(kind, id string, _ []chatLine) bool { return kind == "stored" && id == "one" })
	}
	if rows := w.rows("open"); len(rows) != 1 || rows[0]["level"] != "soon" || strings.Count(rows[0]["message"].(string), "lump") != 1 {
		t.Errorf("rows: %v", rows)
	}
	conn.Close() // a cut
	again := w.socket(c, 0)
	lines := w.until(again, func(_, _ string, lines []chatLine) bool {
		return len(lines) > 1 && strings.Contains(lines[len(lines)-1].Text, "Your nurse will contact you")
	})
	mine, last := 0, int64(0)
	for _, l := range lines {
		if l.Seq <= last {
			t.Errorf("line %d after %d", l.Seq, last)
		}
		last = l.Seq
		if l.By == "you" {
			mine++
		}
	}
	if mine != 1 {
		t.Errorf("her one message came back %d times", mine)
	}
	again.Close()
	third := w.socket(c, last)
	if err := third.WriteJSON(map[string]any{"type": "say", "id": "two", "text": "and my chest is tight and I cant breathe"}); err != nil {
		t.Fatal(err)
	}
	for _, l := range w.until(third, func(_, _ string, lines []chatLine) bool {
		return len(lines) > 0 && strings.Contains(lines[len(lines)-1].Text, "ring 999")
	}) {
		if l.Seq <= last {
			t.Errorf("line %d came again", l.Seq)
		}
	}
	w.expect(nursePhone, 0, "emergency in the queue")
	// Without JavaScript: the form, twice with the same id as an impatient finger does.
	form := url.Values{"id": {"three"}, "words": {"hello from the form"}}
	w.submit(c, "/chat/say", form, 200)
	if page := w.submit(c, "/chat/say", form, 200); strings.Count(page, "hello from the form") != 1 {
		t.Error("a form that is sent twice does not show its words once")
	}
	jar, _ := cookiejar.New(nil)
	if page := w.fetch(&http.Client{Jar: jar}, w.url+"/chat", 200); strings.Contains(page, "found a lump") {
		t.Error("a browser without a session sees her words")
	}
}

// A socket that says what no page of ours says is closed; one whose session has ended
// is told so; when lookout stops, each is told when to come back.
func TestChatClosings(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	for name, text := range map[string]string{"no JSON": "hello", "no type of ours": `{"type":"bye"}`, "before the beginning": `{"type":"hello","after":-1}`} {
		conn := w.socket(c, 0)
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := w.closing(conn); got.Code != websocket.ClosePolicyViolation {
			t.Errorf("%s: closed with %v", name, got)
		}
	}
	conn := w.socket(c, 0)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"say","id":"x","text":"`+strings.Repeat("a", 17<<10)+`"}`)); err != nil {
		t.Fatal(err)
	}
	if got := w.closing(conn); got.Code != websocket.CloseMessageTooBig {
		t.Errorf("a frame too large: closed with %v", got)
	}
	_, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(w.url, "http")+"/chat/ws", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin may connect: %v", response)
	}

	var pages []*websocket.Conn
	for range 11 {
		conn := w.socket(c, 0)
		w.until(conn, func(kind, _ string, _ []chatLine) bool { return kind == "news" })
		pages = append(pages, conn)
	}
	if got := w.closing(pages[0]); got.Code != 4409 {
		t.Errorf("the eleventh page of one person closed the first with %v", got)
	}

	conn = pages[10]
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.submit(c, "/chat/leave", nil, 303)
	if got := w.closing(conn); got.Code != 4401 {
		t.Errorf("she left, and the socket was closed with %v", got)
	}
	conn = w.socket(w.opened(id), 0)
	w.until(conn, func(kind, _ string, _ []chatLine) bool { return kind == "news" })
	w.halt()
	got := w.closing(conn)
	if ms, err := strconv.Atoi(got.Text); got.Code != websocket.CloseServiceRestart || err != nil || ms < 200 {
		t.Errorf("lookout stopped, and the socket was closed with %v", got)
	}
}

// A link is tried with five birth dates and no more, and what is said is the same.
func TestLinkIsTriedFiveTimes(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	link, err := w.process.bot.NewLink(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := url.Parse(link)
	form := url.Values{"k": {at.Query().Get("k")}, "month": {"4"}, "year": {"1961"}}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	var first string
	for day := range 5 {
		form.Set("day", strconv.Itoa(day+1))
		page := w.submit(c, "/chat/open", form, 403)
		if first = cmp.Or(first, page); page != first {
			t.Errorf("try %d is answered otherwise", day+1)
		}
	}
	form.Set("day", "30")
	if page := w.submit(c, "/chat/open", form, 403); page != first {
		t.Error("the right date after five wrong ones is answered otherwise")
	}
	jar, _ = cookiejar.New(nil)
	if page := w.submit(&http.Client{Jar: jar}, "/chat/language", url.Values{"to": {"cy"}, "k": {"a/link"}}, 200); !strings.Contains(page, `name="k" value="a/link"`) || !strings.Contains(page, `lang="cy"`) {
		t.Errorf("another language loses the link: %s", page)
	}
	form.Set("k", "nolinkatall")
	if page := w.submit(c, "/chat/open", form, 403); strings.ReplaceAll(page, "nolinkatall", at.Query().Get("k")) != first {
		t.Error("a link that never was is answered otherwise")
	}
}

// Somebody of whom nothing is known gets the signs to know and the nurses' number;
// her words are read and answered, and kept nowhere.
func TestVisitor(t *testing.T) {
	w := newWorld(t)
	c := http.DefaultClient
	if page := w.fetch(c, w.url+"/chat", 200); !strings.Contains(page, "lump") || !strings.Contains(page, "01632 960 001") {
		t.Error("the signs to know or the nurses' number are not there")
	}
	if page := w.submit(c, "/chat/ask", url.Values{"words": {"my chest is tight and I cant breathe"}}, 200); !strings.Contains(page, "ring 999 or go to A&amp;E now") {
		t.Errorf("an emergency is answered: %s", page)
	}
	if page := w.submit(c, "/chat/ask", url.Values{"words": {"can I park there?"}}, 200); !strings.Contains(page, "No nurse reads") {
		t.Errorf("a question is answered: %s", page)
	}
	if rows := w.rows("open"); len(rows) != 0 {
		t.Errorf("what was not to be kept is at the desk: %v", rows)
	}
	if st, err := w.process.store.Stats(t.Context(), w.clock.now()); err != nil || st.Patients != 0 {
		t.Errorf("a visitor was kept: %+v, %v", st, err)
	}
}

// Without a link: a code to the telephone on her record and her birth date let her in,
// once; a number that nobody has is answered the same.
func TestChatByCode(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	ticket := regexp.MustCompile(`name="ticket" value="([A-Z0-9]+)"`)
	known := w.submit(c, "/chat/code", url.Values{"phone": {"07700 900123"}}, 200)
	unknown := w.submit(c, "/chat/code", url.Values{"phone": {"07700 900777"}}, 200)
	if ticket.ReplaceAllString(known, "") != ticket.ReplaceAllString(unknown, "") {
		t.Error("a number that nobody has is answered otherwise")
	}
	text := w.expect(mary, 1, "your code is")
	form := url.Values{"ticket": {ticket.FindStringSubmatch(known)[1]}, "code": {"000000x"}, "day": {"30"}, "month": {"4"}, "year": {"1961"}}
	wrong := w.submit(c, "/chat/code/open", form, 403)
	form.Set("code", regexp.MustCompile(`[0-9]{6}`).FindString(text.Body))
	form.Set("day", "29")
	if page := w.submit(c, "/chat/code/open", form, 403); page != wrong {
		t.Error("a wrong birth date is answered otherwise than a wrong code")
	}
	form.Set("day", "30")
	if page := w.submit(c, "/chat/code/open", form, 200); !strings.Contains(page, `role="log"`) || strings.Contains(page, text.Body) {
		t.Error("the code does not open her messages, or stands among them")
	}
	other, _ := cookiejar.New(nil)
	w.submit(&http.Client{Jar: other}, "/chat/code/open", form, 403)

	if err := w.process.bot.SetLanguage(t.Context(), id, "cy", "patient"); err != nil {
		t.Fatal(err)
	}
	for n := range 4 { // three texts an hour to one number, and no more
		want := 200
		if n >= 2 {
			want = 429
		}
		w.submit(c, "/chat/code", url.Values{"phone": {"07700 900123"}}, want)
	}
	w.expect(mary, 2, "eich cod yw")
	w.expect(mary, 3, "eich cod yw")
}

// The hospital's own page vouches for her: by a word that is for us, short-lived,
// signed with the key, and used once.
func TestChatByTheHospitalsWord(t *testing.T) {
	const key = "a key for tests only, of forty letters.."
	w := newWorld(t, func(s *settings) { s.Chat.VouchKey = key })
	id := w.enrol("Mary", mary)
	now := w.clock.now()
	claims := func(change func(*jwt.RegisteredClaims)) jwt.RegisteredClaims {
		c := jwt.RegisteredClaims{Subject: "9990123454", Audience: jwt.ClaimStrings{w.url + "/chat"}, ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(4 * time.Minute))}
		change(&c)
		return c
	}
	sign := func(key string, c jwt.RegisteredClaims) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	same := func(*jwt.RegisteredClaims) {}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	unsigned, _ := jwt.NewWithClaims(jwt.SigningMethodNone, claims(same)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for what, word := range map[string]string{
		"another key":      sign(strings.Repeat("x", 40), claims(same)),
		"no signature":     unsigned,
		"another audience": sign(key, claims(func(c *jwt.RegisteredClaims) { c.Audience = jwt.ClaimStrings{"https://elsewhere.example"} })),
		"run out": sign(key, claims(func(c *jwt.RegisteredClaims) {
			c.IssuedAt = jwt.NewNumericDate(now.Add(-time.Hour))
			c.ExpiresAt = jwt.NewNumericDate(now.Add(-time.Hour + 4*time.Minute))
		})),
		"too long a life": sign(key, claims(func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(now.Add(6 * time.Minute)) })),
		"no end":          sign(key, claims(func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil })),
		"no name":         sign(key, claims(func(c *jwt.RegisteredClaims) { c.ID = "" })),
		"nobody of ours":  sign(key, claims(func(c *jwt.RegisteredClaims) { c.Subject = "9990123455" })),
	} {
		w.submit(c, "/chat/vouch", url.Values{"voucher": {word}}, 403)
		if page := w.fetch(c, w.url+"/chat", 200); strings.Contains(page, `role="log"`) {
			t.Errorf("%s lets somebody in", what)
		}
	}
	word := sign(key, claims(same))
	w.submit(c, "/chat/vouch", url.Values{"voucher": {word}}, 204)
	if page := w.fetch(c, w.url+"/chat", 200); !strings.Contains(page, `role="log"`) {
		t.Error("she is not in")
	}
	w.submit(c, "/chat/vouch", url.Values{"voucher": {word}}, 403)
	w.submit(c, "/chat/vouch", url.Values{"voucher": {sign(key, claims(func(c *jwt.RegisteredClaims) { c.Subject = id }))}}, 204)
}

// Her settings: when and where she is reached, pause and start; what is held about
// her, and all of it as a file.
func TestChatSettings(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	w.submit(c, "/chat/say", url.Values{"id": {"one"}, "words": {"hello from the chat"}}, 200)
	page := w.submit(c, "/chat/settings", url.Values{"time": {"set_morning"}, "channel": {"chat"}}, 200)
	for _, words := range []string{"Saved.", "Mary Jones", "30 April 1961", strings.TrimPrefix(mary, "+")} {
		if !strings.Contains(page, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	p, err := w.process.bot.Patient(t.Context(), id)
	if err != nil || p.Wish.From != 480 || p.Wish.To != 720 || p.Addresses[0].Channel != "chat" {
		t.Errorf("kept: %+v, %v", p, err)
	}
	w.submit(c, "/chat/settings", url.Values{"channel": {"pigeon"}}, 422)
	w.submit(c, "/chat/say", url.Values{"id": {"two"}, "choice": {"PAUSE"}}, 200)
	if page := w.fetch(c, w.url+"/chat/settings", 200); !strings.Contains(page, "Start again") {
		t.Error("she is paused, and cannot start again")
	}
	var held struct {
		About    map[string]any `json:"about_you"`
		Messages []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(w.fetch(c, w.url+"/chat/held.json", 200)), &held); err != nil || held.About["family_name"] != "Jones" || len(held.Messages) < 3 {
		t.Errorf("the file holds %+v, %v", held, err)
	}
	jar, _ := cookiejar.New(nil)
	for _, path := range []string{"/chat/settings", "/chat/held.json"} {
		if page := w.fetch(&http.Client{Jar: jar}, w.url+path, 401); strings.Contains(page, "Jones") {
			t.Errorf("%s says who she is to a stranger", path)
		}
	}
}

// She sees that the nurse who has her messages writes to her, and no longer when she has
// stopped, or sent it; who has not taken her messages is not shown.
func TestChatWriting(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	w.submit(c, "/chat/say", url.Values{"id": {"one"}, "words": {"found a lump in my breast"}}, 200)
	row := w.rows("open")[0]["id"].(string)
	conn := w.socket(c, 0)
	sees := func(writing string) {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(patience))
		for {
			var f struct{ Writing, Holder string }
			if err := conn.ReadJSON(&f); err != nil {
				t.Fatalf("%q is never shown to write: %v", writing, err)
			}
			if f.Writing == writing && (f.Holder != "") {
				return
			}
		}
	}
	draft := func(by, text string) {
		t.Helper()
		if err := w.process.bot.PutDraft(t.Context(), row, by, "text", text); err != nil {
			t.Fatal(err)
		}
	}
	draft("bea@anytown.example", "Dear")
	w.call("POST", "/api/v1/queue/"+row+"/claim", `{"by":"ann@anytown.example"}`, 200)
	sees("")
	draft("ann@anytown.example", "Dear")
	sees("ann")
	draft("bea@anytown.example", "") // not hers to end
	draft("ann@anytown.example", "")
	sees("")
	draft("ann@anytown.example", "Dear Mary")
	sees("ann")
	w.clock.forward(11 * time.Second)
	if page := w.fetch(c, w.url+"/chat/news", 200); strings.Contains(page, `"writing"`) {
		t.Error("a nurse who has stopped to write is shown to write")
	}
}

// A session's end is told before it comes, and can be put off; at the end an open page is
// closed, and what comes by the form is given back, an emergency in it answered.
func TestChatSessionEnds(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	days := func(n int) { w.clock.forward(time.Duration(n) * 24 * time.Hour) }
	if page := w.fetch(c, w.url+"/chat", 200); strings.Contains(page, "Stay signed in") {
		t.Error("a session that has just begun is said to end")
	}
	days(28)
	if page := w.fetch(c, w.url+"/chat", 200); !strings.Contains(page, "You will be signed out on <strong>Thu 24 Dec") {
		t.Error("she is not told that the session ends")
	}
	if page := w.submit(c, "/chat/stay", nil, 200); strings.Contains(page, "Stay signed in") || !strings.Contains(page, `role="log"`) {
		t.Error("she cannot stay")
	}
	days(29)
	conn := w.socket(c, 0)
	w.until(conn, func(kind, _ string, _ []chatLine) bool { return kind == "news" })
	days(2)
	if err := conn.WriteJSON(map[string]any{"type": "hello"}); err != nil {
		t.Fatal(err)
	}
	if got := w.closing(conn); got.Code != 4401 {
		t.Errorf("at its end the page is closed with %v", got)
	}
	page := w.submit(c, "/chat/say", url.Values{"id": {"x"}, "words": {"my chest is tight & I cant breathe"}}, 401)
	for _, words := range []string{"Not sent: you were signed out", "my chest is tight &amp; I cant breathe</textarea>", "go to A&amp;E now"} {
		if !strings.Contains(page, words) {
			t.Errorf("what she wrote when she was signed out: the page does not say %q", words)
		}
	}
	if rows := w.rows("open"); len(rows) != 0 {
		t.Errorf("words of nobody whom we know are at the desk: %v", rows)
	}
}

// A nurse texts her a link to her summary. It shows nothing before she has said who she
// is, opens once, leads to no other's, and never to the letter to her GP; each look is
// in the audit.
func TestSummaryByLink(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Zebedeemarker", mary)
	w.reply(mary, "found a lump in my breast")
	w.expect(mary, 0, "Your nurse will")
	if err := w.process.bot.SendSheet(t.Context(), id, "gp-letter", "ann@example.org"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("a link to the letter to her GP: %v", err)
	}
	skip := w.texts(mary)
	if err := w.process.bot.SendSheet(t.Context(), id, "summary", "ann@example.org"); err != nil {
		t.Fatal(err)
	}
	text := w.expect(mary, skip, "/chat?k=").Body
	link := text[strings.Index(text, w.url):]
	at, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	if page := w.fetch(c, at.String(), 200); strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "lump") {
		t.Error("it tells something of her before she has said who she is")
	}
	w.fetch(c, w.url+"/chat/sheets/summary", 401)
	form := url.Values{"k": {at.Query().Get("k")}, "day": {"1"}, "month": {"4"}, "year": {"1961"}}
	w.submit(c, "/chat/open", form, 403)
	form.Set("day", "30")
	if page := w.submit(c, "/chat/open", form, 200); !strings.Contains(page, "My summary") || !strings.Contains(page, "found a lump in my breast") || !strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "Bone profile") {
		t.Errorf("her summary: %s", page)
	}
	if page := w.fetch(c, w.url+"/chat/sheets/ae-card", 200); !strings.Contains(page, "Spinal cord compression") {
		t.Error("her card is not there")
	}
	w.fetch(c, w.url+"/chat/sheets/gp-letter", 404)
	again, _ := cookiejar.New(nil)
	w.submit(&http.Client{Jar: again}, "/chat/open", form, 403)
	log, err := w.process.bot.AccessTo(t.Context(), id)
	if err != nil || !slices.ContainsFunc(log, func(e bot.AuditEntry) bool { return e.Did == "read sheet: summary" && e.By == "patient" }) {
		t.Errorf("%v: her look is not in the audit", err)
	}
}

// A page that takes nothing of what is sent to it is dropped, while another of hers goes
// on at once; when it comes back it says what it has, and gets the rest, each line once.
func TestChatSlowPage(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	stopping := make(chan struct{})
	defer close(stopping)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	impatient, err := widget.New(widget.Config{Bot: w.process.bot, Values: w.process.store, PublicURL: w.url, PhoneChannel: "sms", ParseNumber: sms.ParseNumber, Now: w.clock.now,
		Log: slog.New(slog.DiscardHandler), Stopping: stopping, WriteWait: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	impatient.Register(mux)
	const messages = 25
	for n := range messages {
		w.submit(c, "/chat/say", url.Values{"id": {strconv.Itoa(n)}, "words": {fmt.Sprintf("%d: can I park there? ", n) + strings.Repeat("I have been round the car park. ", 200)}}, 200)
	}
	connect := func(dialer *websocket.Dialer) *websocket.Conn {
		t.Helper()
		base, _ := url.Parse(w.url + "/chat")
		header := http.Header{"Origin": {w.url}}
		for _, cookie := range c.Jar.Cookies(base) {
			header.Add("Cookie", cookie.String())
		}
		conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/chat/ws", header)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	slow := connect(&websocket.Dialer{NetDial: func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}})
	dropped := false
	for end := time.Now().Add(patience); !dropped && time.Now().Before(end); { // it asks for all, again and again, and reads nothing
		slow.SetWriteDeadline(time.Now().Add(5 * time.Second))
		dropped = slow.WriteJSON(map[string]any{"type": "hello", "after": 0}) != nil
	}
	if !dropped {
		t.Fatal("a page that reads nothing is never dropped")
	}
	again := connect(websocket.DefaultDialer)
	if err := again.WriteJSON(map[string]any{"type": "hello", "after": 0}); err != nil {
		t.Fatal(err)
	}
	mine, last := 0, int64(0)
	w.until(again, func(_, _ string, lines []chatLine) bool {
		mine = 0
		for _, l := range lines {
			if l.By == "you" {
				mine++
			}
		}
		last = lines[len(lines)-1].Seq
		return mine >= messages
	})
	if err := again.WriteJSON(map[string]any{"type": "say", "id": "last", "text": "thank you"}); err != nil {
		t.Fatal(err)
	}
	for _, l := range w.until(again, func(_, id string, lines []chatLine) bool { return len(lines) > 0 }) {
		if l.Seq <= last || mine != messages {
			t.Errorf("line %d came again, or a line of %d is missing: %d", l.Seq, messages, mine)
		}
	}
}
