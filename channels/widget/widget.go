// Package widget is the patient's web chat.
//
// It promises: a message is called stored only after the bot has made it durable;
// the same message handed in twice counts once; after any cut the page takes up
// where it was; every page works without JavaScript. Before she has shown who she
// is, a page holds no name and no history; nothing of hers is in an address after
// the first. It refuses to know what a message means and how it is kept.
package widget

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"lookout/bot"
)

// Channel is the name under which the bot knows this door.
const Channel = "chat"

//go:embed assets
var files embed.FS

// Bot is what the chat asks of the bot.
type Bot interface {
	Receive(ctx context.Context, in bot.Inbound) error
	Thread(ctx context.Context, patient string, after int64, limit int) ([]bot.Moment, error)
	Patient(ctx context.Context, id string) (bot.Patient, error)
	PromiseTo(ctx context.Context, patient string) (string, error)
	OpenQuestion(ctx context.Context, patient string) (kind string, options []string, err error)
	Watch(ctx context.Context) <-chan bot.Hint
	Service() *bot.Service
}

// Values keeps links and sessions.
type Values interface {
	PutValue(ctx context.Context, drawer, key string, value []byte, expires time.Time) error
	Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	DeleteValue(ctx context.Context, drawer, key string) error
}

// Config is what the chat needs.
type Config struct {
	Bot       Bot
	Values    Values
	PublicURL string
	Now       func() time.Time
	Log       *slog.Logger
	Stopping  <-chan struct{} // closed when open sockets shall let go
}

// Chat serves /chat.
type Chat struct {
	Config
	pages   *template.Template
	csrf    *http.CrossOriginProtection
	upgrade websocket.Upgrader
	secure  bool
	mu      sync.Mutex
	limits  map[string]*rate.Limiter
}

// New makes the chat. Its templates are checked here.
func New(c Config) (*Chat, error) {
	public, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	w := &Chat{Config: c, csrf: http.NewCrossOriginProtection(), secure: public.Scheme == "https", limits: make(map[string]*rate.Limiter)}
	w.upgrade = websocket.Upgrader{HandshakeTimeout: 5 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 1024,
		CheckOrigin: func(r *http.Request) bool {
			origin, err := url.Parse(r.Header.Get("Origin"))
			return err == nil && origin.Host != "" && (origin.Host == public.Host || origin.Host == r.Host)
		}}
	zone := c.Bot.Service().Location
	w.pages, err = template.New("").Funcs(template.FuncMap{"clock": func(t time.Time) string { return t.In(zone).Format("Mon 2 Jan, 15:04") }}).
		Option("missingkey=error").ParseFS(files, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	return w, nil
}

// Register puts the chat's addresses on a mux.
func (c *Chat) Register(mux *http.ServeMux) {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /chat", c.page)
	pages.HandleFunc("POST /chat/open", c.open)
	pages.HandleFunc("POST /chat/say", c.say)
	pages.HandleFunc("GET /chat/thread", c.thread)
	pages.HandleFunc("GET /chat/ws", c.socket)
	pages.HandleFunc("POST /chat/leave", c.leave)
	pages.HandleFunc("GET /chat/widget.js", c.widget)
	for _, name := range []string{"chat.css", "chat.js"} {
		pages.HandleFunc("GET /chat/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			http.ServeFileFS(w, r, files, "assets/"+name)
		})
	}
	handler := c.csrf.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cache-Control", "no-store")
		pages.ServeHTTP(w, r)
	}))
	mux.Handle("/chat", handler)
	mux.Handle("/chat/", handler)
}

// widget is the script for a hospital's own page, with what it says of this service.
func (c *Chat) widget(w http.ResponseWriter, r *http.Request) {
	script, err := files.ReadFile("assets/widget.js")
	var team []byte
	if err == nil {
		s := c.Bot.Service()
		team, err = json.Marshal(map[string]string{"service": s.Name, "nurseLine": s.NurseLine, "chat": c.PublicURL + "/chat"})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(bytes.Replace(script, []byte("const team = {};"), append(append([]byte("const team = "), team...), ';'), 1))
}

// The drawers of links, of tries with a link, and of sessions. Tokens are kept hashed.
const (
	drawerLinks    = "chat-link"
	drawerSessions = "chat-session"
	cookieName     = "lookout_chat"
	sessionLives   = 30 * 24 * time.Hour
	maxTries       = 5
)

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// who gives the patient whose session the request carries, or "".
func (c *Chat) who(r *http.Request) (string, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return "", nil
	}
	value, err := c.Values.Value(r.Context(), drawerSessions, hashed(cookie.Value), c.Now())
	if errors.Is(err, bot.ErrNotFound) {
		return "", nil
	}
	return string(value), err
}

// allow bounds how often something may happen: burst at once, then one each every.
func (c *Chat) allow(key string, every time.Duration, burst int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.limits) > 100_000 {
		c.limits = make(map[string]*rate.Limiter)
	}
	l := c.limits[key]
	if l == nil {
		l = rate.NewLimiter(rate.Every(every), burst)
		c.limits[key] = l
	}
	return l.AllowN(c.Now(), 1)
}

func (c *Chat) show(w http.ResponseWriter, status int, page string, v map[string]any) {
	s := c.Bot.Service()
	v["Service"], v["NurseLine"] = s.Name, s.NurseLine
	var b strings.Builder
	if err := c.pages.ExecuteTemplate(&b, page, v); err != nil {
		c.Log.Error("a page of the chat could not be made", "page", page, "err", err)
		http.Error(w, "This page could not be made. In an emergency ring 999.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}

func (c *Chat) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil { // who has gone away wants no answer
		c.Log.Error("chat request failed", "route", r.Pattern, "err", err)
	}
	w.Header().Set("Retry-After", "3")
	http.Error(w, "Not sent yet. Please try again in a moment. If it is urgent ring the nurses, or 999.", http.StatusServiceUnavailable)
}

// page is the chat of somebody who has shown who she is; else it asks.
func (c *Chat) page(w http.ResponseWriter, r *http.Request) {
	if k := r.URL.Query().Get("k"); k != "" { // looking uses no link up: phones look at links by themselves
		c.show(w, http.StatusOK, "open", map[string]any{"Key": k, "Fault": ""})
		return
	}
	patient, err := c.who(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if patient == "" {
		c.show(w, http.StatusOK, "closed", map[string]any{})
		return
	}
	moments, err := c.Bot.Thread(r.Context(), patient, 0, 0)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	promise, err := c.Bot.PromiseTo(r.Context(), patient)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	_, options, err := c.Bot.OpenQuestion(r.Context(), patient)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(moments) > 200 {
		moments = moments[len(moments)-200:]
	}
	last := int64(0)
	lines := make([]line, len(moments))
	for i, m := range moments {
		lines[i] = lineOf(m)
		last = m.Seq
	}
	c.show(w, http.StatusOK, "chat", map[string]any{"Lines": lines, "Promise": promise, "Options": options, "Last": last, "ID": rand.Text()})
}

// open takes a link and her birth date. Whatever is wrong, the words are the same.
func (c *Chat) open(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	key := r.FormValue("k")
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	refuse := func() {
		c.show(w, http.StatusForbidden, "open", map[string]any{"Key": key, "Fault": "That did not open the page. Check your date of birth. A link opens once and for seven days: ask us for a new one."})
	}
	if !c.allow("address:"+from, 6*time.Second, 30) || !c.allow("link:"+hashed(key), time.Hour, maxTries) {
		refuse()
		return
	}
	value, err := c.Values.Value(r.Context(), drawerLinks, hashed(key), c.Now())
	if err != nil {
		refuse()
		return
	}
	var link struct {
		Patient string `json:"patient"`
	}
	if json.Unmarshal(value, &link) != nil {
		refuse()
		return
	}
	p, err := c.Bot.Patient(r.Context(), link.Patient)
	if err != nil || p.BirthDate == "" || p.BirthDate != birthDate(r.FormValue("day"), r.FormValue("month"), r.FormValue("year")) {
		refuse()
		return
	}
	if _, err := c.Values.TakeValue(r.Context(), drawerLinks, hashed(key), c.Now()); err != nil {
		refuse() // somebody was faster
		return
	}
	token := make([]byte, 32)
	rand.Read(token)
	session := base64.RawURLEncoding.EncodeToString(token)
	if err := c.Values.PutValue(r.Context(), drawerSessions, hashed(session), []byte(p.ID), c.Now().Add(sessionLives)); err != nil {
		c.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: session, Path: "/chat", HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLives.Seconds())})
	http.Redirect(w, r, "/chat", http.StatusSeeOther)
}

// birthDate puts three fields together; "" when they are no date.
func birthDate(day, month, year string) string {
	d, err1 := strconv.Atoi(strings.TrimSpace(day))
	m, err2 := strconv.Atoi(strings.TrimSpace(month))
	y, err3 := strconv.Atoi(strings.TrimSpace(year))
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if err1 != nil || err2 != nil || err3 != nil || t.Day() != d || int(t.Month()) != m {
		return ""
	}
	return t.Format(time.DateOnly)
}

// leave ends the session and goes somewhere harmless.
func (c *Chat) leave(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		if err := c.Values.DeleteValue(r.Context(), drawerSessions, hashed(cookie.Value)); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/chat", MaxAge: -1})
	http.Redirect(w, r, "https://www.bbc.co.uk/weather", http.StatusSeeOther)
}

// maxWords bounds one message, in bytes.
const maxWords = 8 << 10

// take hands one message to the bot; nil means that it is durable.
func (c *Chat) take(ctx context.Context, patient, id, words string) error {
	words = strings.TrimSpace(words)
	switch {
	case words == "" || id == "" || len(id) > 64:
		return &bot.FieldError{Field: "message", Problem: "is empty"}
	case len(words) > maxWords:
		return &bot.FieldError{Field: "message", Problem: "is too long: send it in parts"}
	case !c.allow("say:"+patient, time.Second, 20):
		return fmt.Errorf("%w: too many messages at once", bot.ErrUnavailable)
	}
	return c.Bot.Receive(ctx, bot.Inbound{From: bot.Address{Channel: Channel, At: patient}, To: "chat", Text: words, CarrierID: "chat:" + patient + ":" + id, Patient: patient, At: c.Now()})
}

// say is the form, for browsers without JavaScript.
func (c *Chat) say(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	patient, err := c.who(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if patient == "" {
		c.show(w, http.StatusUnauthorized, "closed", map[string]any{})
		return
	}
	words := r.FormValue("words")
	if strings.TrimSpace(words) == "" {
		words = r.FormValue("choice")
	}
	var field *bot.FieldError
	if err := c.take(r.Context(), patient, r.FormValue("id"), words); err != nil && !errors.As(err, &field) {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/chat", http.StatusSeeOther)
}

// line is one message as the page shows it.
type line struct {
	Seq  int64     `json:"seq"`
	ID   string    `json:"id,omitempty"` // the client's own, of hers
	Who  string    `json:"who"`
	Mine bool      `json:"mine"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	Loud bool      `json:"loud,omitempty"` // an emergency text
}

func lineOf(m bot.Moment) line {
	l := line{Seq: m.Seq, Text: m.Text, At: m.At, Who: "Lookout, automatic", Loud: strings.Contains(m.TextID, "emergency")}
	switch {
	case m.Kind == bot.EntryIn:
		l.Who, l.Mine = "You", true
		if parts := strings.Split(m.Carrier, ":"); len(parts) == 3 && parts[0] == "chat" {
			l.ID = parts[2]
		}
	case m.By != "lookout":
		name, _, _ := strings.Cut(m.By, "@")
		l.Who = name + ", breast care nurse"
	}
	return l
}

// after gives what is new to a page.
func (c *Chat) after(ctx context.Context, patient string, seq int64) ([]line, error) {
	moments, err := c.Bot.Thread(ctx, patient, seq, 500)
	lines := make([]line, len(moments))
	for i, m := range moments {
		lines[i] = lineOf(m)
	}
	return lines, err
}

// thread is for pages whose sockets are blocked: they ask.
func (c *Chat) thread(w http.ResponseWriter, r *http.Request) {
	patient, err := c.who(r)
	if patient == "" && err == nil {
		http.Error(w, "sign in again", http.StatusUnauthorized)
		return
	}
	seq, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	var lines []line
	if err == nil {
		lines, err = c.after(r.Context(), patient, seq)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"type": "lines", "lines": lines})
}

// The bounds of a socket: a client that is silent or slow for longer is dropped,
// and takes up again where it was.
const (
	writeWait = 10 * time.Second
	pongWait  = 60 * time.Second
	pingEvery = 25 * time.Second
)

// frame is what a page sends.
type frame struct {
	Type  string `json:"type"` // "hello", "say"
	After int64  `json:"after"`
	ID    string `json:"id"`
	Text  string `json:"text"`
}

// socket is one page's live connection: this goroutine writes, another reads.
func (c *Chat) socket(w http.ResponseWriter, r *http.Request) {
	patient, err := c.who(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if patient == "" {
		http.Error(w, "sign in again", http.StatusUnauthorized)
		return
	}
	conn, err := c.upgrade.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hints := c.Bot.Watch(ctx)
	frames := make(chan frame)
	go func() {
		defer cancel()
		conn.SetReadLimit(16 << 10)
		conn.SetReadDeadline(time.Now().Add(pongWait))
		conn.SetPongHandler(func(string) error { return conn.SetReadDeadline(time.Now().Add(pongWait)) })
		for {
			var f frame
			if err := conn.ReadJSON(&f); err != nil {
				return
			}
			select {
			case frames <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	seq, hello := int64(0), false
	write := func(v any) bool {
		conn.SetWriteDeadline(time.Now().Add(writeWait))
		return conn.WriteJSON(v) == nil
	}
	news := func() bool {
		lines, err := c.after(ctx, patient, seq)
		if err != nil {
			return false
		}
		if len(lines) > 0 {
			seq = lines[len(lines)-1].Seq
			return write(map[string]any{"type": "lines", "lines": lines})
		}
		return true
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for ok := true; ok; {
		select {
		case <-ctx.Done():
			return
		case <-c.Stopping:
			conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, ""), time.Now().Add(writeWait))
			return
		case <-ping.C:
			ok = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) == nil
		case hint := <-hints:
			if hello && (hint.Patient == patient || hint.Patient == "") {
				ok = news()
			}
		case f := <-frames:
			switch f.Type {
			case "hello":
				seq, hello = f.After, true
				ok = news()
			case "say":
				var field *bot.FieldError
				switch err := c.take(ctx, patient, f.ID, f.Text); {
				case err == nil:
					ok = write(map[string]any{"type": "stored", "id": f.ID}) && (!hello || news())
				case errors.As(err, &field):
					ok = write(map[string]any{"type": "refused", "id": f.ID, "why": field.Problem})
				default:
					ok = write(map[string]any{"type": "later", "id": f.ID})
				}
			}
		}
	}
}

// Sender delivers to the chat: what is in the journal is in the chat, so that
// there is nothing to hand over.
type Sender struct{}

// Send is part of bot.Sender.
func (Sender) Send(_ context.Context, m bot.Outgoing) (bot.Sent, error) {
	return bot.Sent{CarrierID: "chat:" + m.ID, Delivered: true}, nil
}
