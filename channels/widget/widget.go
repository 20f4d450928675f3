// Package widget is the patient's web chat.
//
// It promises: a message is called stored only after the bot has made it durable;
// the same message handed in twice counts once; after any cut the page takes up
// where it was; every page works without JavaScript. Before she has shown who she
// is, a page holds no name and no history; nothing of hers is in an address after
// the first. No page of ours runs a script or a style that is not a file of ours, and
// none shows in the frame of a page that is not on the service's list. It refuses to
// know what a message means and how it is kept.
//
// assets/chat.ts is the element <lookout-chat>, bundled into assets/chat.js; docs/chat.md
// says how the two halves speak.
package widget

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/SherClockHolmes/webpush-go"
	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"lookout/bot"
)

//go:generate go test -run TestBundleIsFresh -write

// Channel is the name under which the bot knows this door.
const Channel = "chat"

//go:embed assets/*.css assets/*.js assets/*.html assets/*.json
var files embed.FS

// Bot is what the chat asks of the bot.
type Bot interface {
	Receive(ctx context.Context, in bot.Inbound) error
	Relations(locale string) []bot.Named
	AddCarer(ctx context.Context, patient string, c bot.Carer) (code string, err error)
	EndCarer(ctx context.Context, patient, carer, by string) error
	Seen(ctx context.Context, key string) (bool, error)
	KeepPhoto(ctx context.Context, patient, name string, photo []byte, kind string) (bot.Media, error)
	Hers(ctx context.Context, patient string, after int64) (bot.Hers, error)
	Thread(ctx context.Context, patient string, after int64, limit int) ([]bot.Moment, error)
	Patient(ctx context.Context, id string) (bot.Patient, error)
	User(ctx context.Context, email string) (bot.User, error)
	SetLanguage(ctx context.Context, patient, locale, by string) error
	SetChannel(ctx context.Context, patient, channel, by string) error
	WishesOf(ctx context.Context, patient string) (bot.Wishes, error)
	SetWishes(ctx context.Context, patient string, w bot.Wishes, by string) error
	Audit(ctx context.Context, entry bot.AuditEntry) error
	Advise(ctx context.Context, words, locale string) (bot.Advice, error)
	Signs(ctx context.Context, locale string) (string, error)
	TextCode(ctx context.Context, at bot.Address, code string, keep func(patients []string) error) error
	Vouched(ctx context.Context, who, once string) (patient string, err error)
	Case(ctx context.Context, patient string) (bot.Case, error)
	Sheet(key string, c *bot.Case) (bot.Sheet, error)
	Watch(ctx context.Context) <-chan bot.Hint
	Nudge(patient string)
	Service() *bot.Service
}

// Values keeps links and sessions.
type Values interface {
	PutValue(ctx context.Context, drawer, key string, value []byte, expires time.Time) error
	Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error)
	DeleteValue(ctx context.Context, drawer, key string) error
}

// Config is what the chat needs.
type Config struct {
	Bot       Bot
	Values    Values
	PublicURL string
	Origins   []string // of the hospital's pages that may show the chat in a frame
	VouchKey  string   // shared with a hospital's page that vouches for people; "": none does
	Push      *Push    // nil: nobody is told of messages by web push
	// PhoneChannel is the bot's name of telephones, and ParseNumber reads a number as
	// people write it.
	PhoneChannel string
	ParseNumber  func(text string) (string, error)
	Now          func() time.Time
	Log          *slog.Logger
	Stopping     <-chan struct{} // closed when open sockets shall let go
	// WriteWait is how long a page may take to take what is sent to it; 0: 10 seconds.
	WriteWait time.Duration
	// PingEvery is how often an open page is asked whether it is there, and its session
	// looked at; 0: 25 seconds.
	PingEvery time.Duration
}

// Chat serves /chat.
type Chat struct {
	Config
	pages   *template.Template
	words   map[string]map[string]string // by language and key
	csrf    *http.CrossOriginProtection
	upgrade websocket.Upgrader
	secure  bool
	policy  string
	assets  map[string]*asset // by address
	hub     hub
	mu      sync.Mutex
	limits  map[string]*rate.Limiter
	// decoding holds a place for each photo that may be decoded at once.
	decoding chan struct{}
}

// New makes the chat. Its templates and words are checked here.
func New(c Config) (*Chat, error) {
	public, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	w := &Chat{Config: c, csrf: http.NewCrossOriginProtection(), secure: public.Scheme == "https", limits: make(map[string]*rate.Limiter), decoding: make(chan struct{}, 1), hub: hub{persons: make(map[string][]*client)}}
	w.upgrade = websocket.Upgrader{HandshakeTimeout: 5 * time.Second, ReadBufferSize: 512, WriteBufferSize: 1024, WriteBufferPool: &buffers,
		CheckOrigin: func(r *http.Request) bool {
			origin, err := url.Parse(r.Header.Get("Origin"))
			return err == nil && origin.Host != "" && (origin.Host == public.Host || origin.Host == r.Host)
		}}
	w.WriteWait, w.PingEvery = cmp.Or(w.WriteWait, writeWait), cmp.Or(w.PingEvery, pingEvery)
	frames := "'none'"
	if len(c.Origins) > 0 {
		frames = strings.Join(c.Origins, " ")
	}
	// form-action also holds for where a form's answer leads: "leave this page" leads away.
	w.policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'self' https://www.bbc.co.uk; frame-ancestors " + frames
	if w.words, err = loadWords(); err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	zone := c.Bot.Service().Location
	w.pages, err = template.New("").Funcs(template.FuncMap{"clock": func(lang string, t time.Time) string { return clock(lang, t.In(zone)) }, "born": born, "date": func(t time.Time) string { return t.In(zone).Format("2 January 2006") }, "scale": scale, "answers": answers, "yesNo": func() []string { return []string{"yes", "no", "unsure"} }}).
		Option("missingkey=error").ParseFS(files, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-c.Stopping; cancel() }()
	if w.assets, err = w.loadAssets(); err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	go w.hub.listen(c.Bot.Watch(ctx))
	return w, nil
}

// scale lists the numbers of a scale.
func scale(q bot.Asking) []int {
	from, to := int(q.Min), int(q.Max)
	if to == 0 {
		to = 10
	}
	var out []int
	for n := from; n <= to && len(out) < 21; n++ {
		out = append(out, n)
	}
	return out
}

// answers lists what can be chosen in answer to a question of a form.
func answers(words map[string]string, q bot.Asking) []string {
	switch q.Kind {
	case "yes_no":
		return []string{words["yes"], words["no"], words["unsure"]}
	case "scale":
		var out []string
		for _, n := range scale(q) {
			out = append(out, strconv.Itoa(n))
		}
		return out
	}
	return q.Options
}

// Register puts the chat's addresses on a mux.
func (c *Chat) Register(mux *http.ServeMux) {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /chat", c.page)
	pages.HandleFunc("POST /chat/open", c.open)
	pages.HandleFunc("POST /chat/code", c.askCode)
	pages.HandleFunc("POST /chat/code/open", c.openByCode)
	pages.HandleFunc("POST /chat/vouch", c.vouch)
	pages.HandleFunc("GET /chat/settings", c.settings)
	pages.HandleFunc("POST /chat/settings", c.saveSettings)
	pages.HandleFunc("GET /chat/held.json", c.held)
	pages.HandleFunc("POST /chat/carers", c.addCarer)
	pages.HandleFunc("POST /chat/carers/end", c.endCarer)
	pages.HandleFunc("GET /chat/sheets/{key}", c.sheet)
	pages.HandleFunc("POST /chat/say", c.say)
	pages.HandleFunc("POST /chat/ask", c.ask)
	pages.HandleFunc("GET /chat/news", c.poll)
	pages.HandleFunc("GET /chat/earlier", c.earlier)
	pages.HandleFunc("GET /chat/ws", c.socket)
	pages.HandleFunc("POST /chat/leave", c.leave)
	pages.HandleFunc("POST /chat/stay", c.stay)
	pages.HandleFunc("POST /chat/push", c.keepPush)
	pages.HandleFunc("POST /chat/language", c.speak)
	for path, a := range c.assets {
		pages.HandleFunc("GET "+path, a.serve)
	}
	handler := c.csrf.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", c.policy)
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		head.Set("Cache-Control", "no-store")
		limit := int64(maxForm)
		if isPhotoForm(r) {
			limit = maxPhotoForm
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		pages.ServeHTTP(w, r)
	}))
	mux.Handle("/chat", handler)
	mux.Handle("/chat/", handler)
}

// maxForm bounds what a page may send at once, in bytes.
const maxForm = 64 << 10

// gone says whether an error means that something is not there, and nothing worse.
func (c *Chat) gone(err error) bool { return errors.Is(err, bot.ErrNotFound) }

func (c *Chat) show(w http.ResponseWriter, r *http.Request, status int, page string, v map[string]any) {
	s := c.Bot.Service()
	v["Service"], v["NurseLine"] = s.Name, s.NurseLine
	if _, ok := v["Key"]; !ok {
		v["Key"] = ""
	}
	if _, ok := v["Lang"]; !ok {
		v["Lang"] = language(r)
	}
	v["W"] = c.words[v["Lang"].(string)]
	v["OtherLang"] = english
	if v["Lang"] == english {
		v["OtherLang"] = welsh
	}
	var b strings.Builder
	if err := c.pages.ExecuteTemplate(&b, page, v); err != nil {
		c.Log.ErrorContext(r.Context(), "a page of the chat could not be made", "page", page, "err", err)
		http.Error(w, "This page could not be made. In an emergency ring 999.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}

func (c *Chat) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil { // who has gone away wants no answer
		c.Log.ErrorContext(r.Context(), "chat request failed", "route", r.Pattern, "err", err)
	}
	w.Header().Set("Retry-After", "3")
	http.Error(w, c.words[language(r)]["again_soon"], http.StatusServiceUnavailable)
}

// page is the chat of somebody who has shown who she is; else it asks.
func (c *Chat) page(w http.ResponseWriter, r *http.Request) {
	if k := r.URL.Query().Get("k"); k != "" { // looking uses no link up: phones look at links by themselves
		c.show(w, r, http.StatusOK, "open", map[string]any{"Key": k, "Fault": false, "Carer": c.forCarer(r, k)})
		return
	}
	s, err := c.who(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if s.Patient == "" {
		c.welcome(w, r, http.StatusOK, "")
		return
	}
	c.showChat(w, r, http.StatusOK, s, "", "")
}

// showChat shows her messages, with what was wrong with what she sent (a key of the
// words), and the words of it.
func (c *Chat) showChat(w http.ResponseWriter, r *http.Request, status int, s session, fault, words string) {
	n, err := c.newsFor(r.Context(), s, 0)
	if err != nil && (c.gone(err) || errors.Is(err, errOut)) { // she has been erased, or a carer's access ended, since
		c.welcome(w, r, http.StatusOK, "")
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p, err := c.Bot.Patient(r.Context(), s.Patient)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := map[string]any{"Lang": c.hers(r, p.Locale), "News": n, "Me": s.me(), "ID": rand.Text(), "Fault": fault, "Words": words, "Carer": "", "Here": ""}
	if carer, _ := s.carer(&p); carer != nil {
		v["Lang"], v["Here"], v["Carer"] = language(r), p.GivenName, "read"
		if carer.Write {
			v["Carer"] = "write"
		}
	}
	c.show(w, r, status, "chat", v)
}

// hers is the language that a signed-in person is spoken to in: her record's; where
// she has not said which, her browser's.
func (c *Chat) hers(r *http.Request, locale string) string {
	if slices.Contains([]string{english, welsh}, locale) {
		return locale
	}
	return language(r)
}

// welcome is the page of somebody of whom nothing is known: the signs to know, how
// to reach the team, and how to get in.
func (c *Chat) welcome(w http.ResponseWriter, r *http.Request, status int, advice string) {
	c.welcomeWith(w, r, status, advice, "")
}

// welcomeWith also gives back words that were not taken.
func (c *Chat) welcomeWith(w http.ResponseWriter, r *http.Request, status int, advice, words string) {
	signs, err := c.Bot.Signs(r.Context(), language(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.show(w, r, status, "closed", map[string]any{"Signs": signs, "Advice": advice, "Lost": words})
}

// ask answers words of somebody of whom nothing is known. They are read, and kept
// nowhere.
func (c *Chat) ask(w http.ResponseWriter, r *http.Request) {
	if !c.allow("ask:"+bot.Household(r.RemoteAddr), 6*time.Second, 10) {
		c.fail(w, r, bot.ErrUnavailable)
		return
	}
	a, err := c.Bot.Advise(r.Context(), r.FormValue("words"), language(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.welcome(w, r, http.StatusOK, a.Text)
}

// Sender delivers to the chat: what is in the journal is in the chat, so that
// there is nothing to hand over. Her devices are told, if she wants that.
type Sender struct{ Push *Push }

// Send is part of bot.Sender.
func (s Sender) Send(_ context.Context, m bot.Outgoing) (bot.Sent, error) {
	urgency := webpush.UrgencyNormal
	if m.Priority == bot.PriorityEmergency {
		urgency = webpush.UrgencyHigh
	}
	s.Push.tell(m.Patient, urgency)
	return bot.Sent{CarrierID: "chat:" + m.ID, Delivered: true}, nil
}
