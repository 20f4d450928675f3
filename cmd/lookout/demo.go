package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lookout/bot"
	"lookout/channels/desk"
	"lookout/channels/sms/standin"
)

//go:embed demo.html
var demoPages embed.FS

type demoCmd struct {
	Dir   string `help:"Where the demo keeps its state." default:"lookout-demo" placeholder:"FOLDER"`
	Fresh bool   `help:"Start over: throw the state of the last demo away."`
	Addr  string `help:"Where to listen." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
}

// Help is shown by lookout demo --help.
func (*demoCmd) Help() string { return "Example:\n  lookout demo --fresh" }

// demoPassword is that of the made-up nurses; the demo listens on this machine only.
const demoPassword = "demo-demo-demo"

// Numbers that Ofcom keeps for drama.
const (
	demoNumber = "+447700900001"
	demoNurse  = "+447700900900"
	demoLead   = "+447700900901"
)

// people are the made-up patients with a phone on the screen.
var people = []struct{ Given, Family, Born, Phone, Tablets, Side string }{
	{"Mary", "Okafor", "1961-04-30", "+447700900101", "letrozole", "left"},
	{"Sian", "Pritchard", "1974-11-02", "+447700900102", "tamoxifen", "right"},
}

// demoClock is a clock that a button turns. What it was turned to is kept with the state.
type demoClock struct {
	mu     sync.Mutex
	base   func() time.Time
	offset time.Duration
	file   string
}

func (c *demoClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base().Add(c.offset)
}

func (c *demoClock) turn(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	return os.WriteFile(c.file, []byte(c.offset.String()), 0o600)
}

// demo is one running demonstration.
type demo struct {
	*process
	clock   *demoClock
	carrier *standin.Carrier
	file    string // the carrier's texts
	pages   *template.Template
}

// Run runs the demo until it is stopped.
func (c *demoCmd) Run(e *env) error {
	if host, _, err := net.SplitHostPort(c.Addr); err != nil || (host != "127.0.0.1" && host != "localhost" && host != "::1") {
		return errors.New("--addr: the demo has no real sign-in: it listens on this machine only, like 127.0.0.1:8080")
	}
	if c.Fresh {
		if err := clearDemo(c.Dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	d := &demo{clock: &demoClock{base: e.now, file: filepath.Join(c.Dir, "clock")}, carrier: standin.New("AC00000000000000000000000000000001", "demo"), file: filepath.Join(c.Dir, "texts.json")}
	if text, err := os.ReadFile(d.clock.file); err == nil {
		d.clock.offset, _ = time.ParseDuration(string(text))
	}
	_, err := os.Stat(filepath.Join(c.Dir, "lookout.db"))
	first := errors.Is(err, os.ErrNotExist)
	twilio, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := &http.Server{Handler: d.carrier, ReadHeaderTimeout: 5 * time.Second}
	go api.Serve(twilio)
	defer api.Close()
	defer d.carrier.Close()
	if err := d.start(e, c, "http://"+twilio.Addr().String()); err != nil {
		return err
	}
	if err := d.carrier.Load(d.file); err != nil {
		return err
	}
	seeded := make(chan error, 1)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	err = d.serve(ctx, func(addr string) {
		go func() {
			if first {
				if err := d.seed(ctx); err != nil {
					seeded <- fmt.Errorf("make the demo's history: %w", err)
					cancel()
					return
				}
			}
			d.announce(e, c.Dir)
		}()
	})
	select {
	case e := <-seeded:
		err = errors.Join(e, err)
	default:
	}
	return errors.Join(err, d.carrier.Save(d.file))
}

// clearDemo removes what a demo left, and nothing else.
func clearDemo(dir string) error {
	for _, name := range []string{"lookout.db", "lookout.db-wal", "lookout.db-shm", "clock", "texts.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--fresh: %w", err)
		}
	}
	return nil
}

// start wires a process with the stand-in for a carrier.
func (d *demo) start(e *env, c *demoCmd, twilio string) error {
	s := &settings{Addr: c.Addr, Store: "sqlite:" + filepath.Join(c.Dir, "lookout.db")}
	s.Twilio.AccountSID, s.Twilio.AuthToken, s.Twilio.From, s.Twilio.APIURL = d.carrier.SID, d.carrier.Token, demoNumber, twilio
	s.Service.Name, s.Service.NurseLine, s.Service.CancerLine = "Anytown breast nurses", "01632 960 001", "01632 960 002"
	s.Service.Duty = []dutySettings{{Name: "Ann (nurse on duty)", Phone: demoNurse}, {Name: "Bea (lead)", Phone: demoLead}}
	s.defaults()
	if err := s.check(); err != nil {
		return err
	}
	pack, err := s.pack()
	if err != nil {
		return err
	}
	team, err := s.team(pack)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if d.process, err = newProcess(e.ctx, s, pack, team, log, d.clock.now); err != nil {
		return err
	}
	d.carrier.Product, d.carrier.Now = s.PublicURL, d.clock.now
	if d.pages, err = template.New("").Funcs(template.FuncMap{"clock": func(t time.Time) string { return t.In(team.Location).Format("Mon 2 Jan 15:04") }}).ParseFS(demoPages, "demo.html"); err != nil {
		return err
	}
	d.mux.HandleFunc("GET /demo/{$}", d.home)
	d.mux.HandleFunc("GET /demo/phone/{number}", d.phone)
	d.mux.HandleFunc("GET /demo/phone/{number}/texts", d.texts)
	d.mux.HandleFunc("POST /demo/phone/{number}/send", d.send)
	d.mux.HandleFunc("POST /demo/phone/{number}/check-in", d.checkIn)
	d.mux.HandleFunc("POST /demo/phone/{number}/chat", d.chat)
	d.mux.HandleFunc("POST /demo/clock", d.turnClock)
	d.mux.Handle("GET /{$}", http.RedirectHandler("/demo/", http.StatusSeeOther))
	return nil
}

// talks are what the people answered to their check-ins of the last weeks, in order.
var talks = [][]string{
	{"no", "no nothing new", "NO", "all", "no", "just to say the choir is back on, lovely to sing again",
		"no", "no", "no", "all", "no", "no thanks love"},
	{"no", "yes", "my hip aches, started after gardening", "a week ago", "3", "yes", "no", "no", "SOME", "the flushes are awful at night so I skip a few", "no", "thank you",
		"no", "no", "the same as ever", "all", "no", "no"},
}

// seed makes people and seven weeks of history, through the real doors: their plan
// texts them, they answer, the nurse rings, and what else was due has come.
func (d *demo) seed(ctx context.Context) error {
	for _, u := range []bot.User{{Email: "ann@demo.example", Name: "Ann Price", Role: bot.Nurse}, {Email: "bea@demo.example", Name: "Bea Hughes", Role: bot.Lead}, {Email: "ida@demo.example", Name: "Ida Khan", Role: bot.Admin}} {
		hash, err := desk.HashPassword(demoPassword)
		if err != nil {
			return err
		}
		u.Password, u.Created = hash, d.clock.now()
		if err := d.bot.PutUser(ctx, u); err != nil {
			return err
		}
	}
	until := d.clock.now().Add(-5 * time.Minute)
	if err := d.clock.turn(-7 * 7 * 24 * time.Hour); err != nil {
		return err
	}
	ended := d.clock.now().AddDate(0, 0, -7).Format(time.DateOnly)
	ids := make([]string, len(people))
	for i, p := range people {
		patient, err := d.bot.Enrol(ctx, bot.Enrolment{GivenName: p.Given, FamilyName: p.Family, BirthDate: p.Born, Phone: p.Phone, TreatmentEnded: ended, ConsentSMS: true,
			Profile: bot.Profile{Tablets: p.Tablets, Side: p.Side, NodesRemoved: true, ChemoKnown: true}}, "demo")
		if err != nil {
			return err
		}
		ids[i] = patient.ID
	}
	if err := d.weeks(ctx, ids, until); err != nil {
		return err
	}
	if err := d.exchange(ctx, people[1].Phone, "found a small lump by my scar this morning. probably nothing, sorry to bother you"); err != nil {
		return err
	}
	return d.clock.turn(-d.clock.offset)
}

// weeks lets time go by: their plans text them, they answer what they are asked, and
// the nurse rings.
func (d *demo) weeks(ctx context.Context, ids []string, until time.Time) error {
	said := make([]int, len(ids))
	return d.pass(ctx, until, func() error {
		for i, id := range ids {
			for said[i] < len(talks[i]) {
				if asked, _, err := d.bot.OpenQuestion(ctx, id); err != nil {
					return err
				} else if asked == "" {
					break
				}
				if err := d.exchange(ctx, people[i].Phone, talks[i][said[i]]); err != nil {
					return err
				}
				said[i]++
			}
		}
		return d.work(ctx)
	})
}

// mostSteps bounds what one turn of the clock lets happen one by one: an emergency
// that nobody takes is paged every few minutes, and a week of that fills a phone.
const mostSteps = 200

// pass turns the clock to a time, from one thing that falls due to the next, and does
// something after each.
func (d *demo) pass(ctx context.Context, until time.Time, each func() error) error {
	for step := 0; ; step++ {
		if err := d.tick(ctx); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
		left := until.Sub(d.clock.now())
		if left <= 0 {
			return nil
		}
		if due, err := d.store.Due(ctx, until, 1); err != nil {
			return err
		} else if len(due) > 0 && step < mostSteps {
			left = max(time.Second, due[0].At.Sub(d.clock.now()))
		}
		if err := d.clock.turn(left); err != nil {
			return err
		}
	}
}

// tick does what the scheduler does, for the clock as it is turned, and comes back
// when every text is on its phone: the scheduler itself may be sending some of them.
func (d *demo) tick(ctx context.Context) error {
	if _, err := d.bot.Wake(ctx); err != nil {
		return err
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		if _, err := d.bot.Deliver(ctx); err != nil {
			return err
		}
		d.carrier.Settle()
		if st, err := d.store.Stats(ctx, d.clock.now()); err != nil || st.Outgoing == 0 {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// work is what the nurse did then: she rang, and closed what was open.
func (d *demo) work(ctx context.Context) error {
	rows, err := d.bot.Queue(ctx, bot.QueueFilter{})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := d.bot.Take(ctx, bot.Act{Row: row.ID, By: "ann@demo.example"}); err != nil {
			return err
		}
		if _, err := d.bot.Ring(ctx, bot.Act{Row: row.ID, By: "ann@demo.example"}, "spoke"); err != nil {
			return err
		}
		closing := bot.Closing{Row: row.ID, By: "ann@demo.example", Outcome: "advice", Note: "Talked it through; she will text if it changes."}
		if _, err := d.bot.CloseRow(ctx, closing); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends a text from a phone and lets the answer arrive.
func (d *demo) exchange(ctx context.Context, phone, words string) error {
	if _, status, err := d.carrier.Reply(phone, demoNumber, words); err != nil || status != http.StatusOK {
		return fmt.Errorf("the webhook answered %d: %w", status, err)
	}
	if err := d.tick(ctx); err != nil {
		return err
	}
	return d.clock.turn(2 * time.Minute)
}

func (d *demo) announce(e *env, dir string) {
	url := d.settings.PublicURL
	fmt.Fprintf(e.out, `lookout demo: made-up people, nothing leaves this machine. State: %s (start over with --fresh).
Nothing that it says has been approved by a clinician.

  Start here   %s/demo/
  The desk     %s/desk/   sign in as ann@demo.example (nurse), bea@demo.example (lead) or
               ida@demo.example (administrator), password %s
`, dir, url, url, demoPassword)
	for _, p := range people {
		fmt.Fprintf(e.out, "  %s's phone %s/demo/phone/%s\n", p.Given, url, strings.TrimPrefix(p.Phone, "+"))
	}
	fmt.Fprint(e.out, `
Try: on Mary's phone press "Send her next check-in now", answer "yes, my back is agony at night and my legs feel weak".
She is told to ring 999, the row stands on the desk within a second, and the nurse's phone is paged.
Ctrl-C ends it.
`)
}

// phoneView is a phone on the screen.
type phoneView struct {
	Owner, Number string
	Patient       bool
	Born          string
	Texts         []standin.Message
	Now           time.Time
}

func (d *demo) home(w http.ResponseWriter, r *http.Request) { d.show(w, "home", d.views()) }

func (d *demo) views() []phoneView {
	var out []phoneView
	for _, p := range people {
		born := p.Born
		if t, err := time.Parse(time.DateOnly, born); err == nil {
			born = t.Format("2 January 2006")
		}
		out = append(out, phoneView{p.Given + " " + p.Family, strings.TrimPrefix(p.Phone, "+"), true, born, nil, d.clock.now()})
	}
	return append(out, phoneView{"Ann Price, nurse on duty", strings.TrimPrefix(demoNurse, "+"), false, "", nil, d.clock.now()}, phoneView{"Bea Hughes, lead nurse", strings.TrimPrefix(demoLead, "+"), false, "", nil, d.clock.now()})
}

func (d *demo) show(w http.ResponseWriter, page string, v any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := d.pages.ExecuteTemplate(w, page, v); err != nil {
		d.log.Error("a page of the demo could not be made", "page", page, "err", err)
	}
}

// view gives the phone of an address, or answers that there is none.
func (d *demo) view(w http.ResponseWriter, r *http.Request) (phoneView, bool) {
	for _, v := range d.views() {
		if v.Number == r.PathValue("number") {
			v.Texts = d.carrier.Messages("+" + v.Number)
			return v, true
		}
	}
	http.NotFound(w, r)
	return phoneView{}, false
}

func (d *demo) phone(w http.ResponseWriter, r *http.Request) {
	if v, ok := d.view(w, r); ok {
		d.show(w, "phone", v)
	}
}

// texts is what the phone's script asks for.
func (d *demo) texts(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	type text struct {
		Mine       bool
		Body, When string
	}
	out := []text{}
	for _, m := range v.Texts {
		out = append(out, text{m.Inbound, m.Body, m.Created.In(d.bot.Service().Location).Format("Mon 15:04")})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

func (d *demo) back(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/demo/phone/"+r.PathValue("number"), http.StatusSeeOther)
}

func (d *demo) send(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	if words := strings.TrimSpace(r.FormValue("words")); words != "" {
		if _, status, err := d.carrier.Reply("+"+v.Number, demoNumber, words); err != nil || status != http.StatusOK {
			http.Error(w, "The text did not get through. Send it again.", http.StatusBadGateway)
			return
		}
	}
	d.back(w, r)
}

func (d *demo) checkIn(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	ids, err := d.store.PatientsAt(r.Context(), d.bot.Service().ID, bot.Address{Channel: "sms", At: "+" + v.Number})
	if err == nil && len(ids) > 0 {
		err = d.bot.Start(r.Context(), ids[0], "check-in", "demo")
	}
	if err != nil {
		http.Error(w, "It could not be sent: "+err.Error(), http.StatusConflict)
		return
	}
	d.back(w, r)
}

// chat opens her chat by a link, as a text would bring it.
func (d *demo) chat(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	ids, err := d.store.PatientsAt(r.Context(), d.bot.Service().ID, bot.Address{Channel: "sms", At: "+" + v.Number})
	if err != nil || len(ids) == 0 {
		http.NotFound(w, r)
		return
	}
	link, err := d.bot.NewLink(r.Context(), ids[0])
	if err != nil {
		http.Error(w, "No link could be made. Try again.", http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, link, http.StatusSeeOther)
}

func (d *demo) turnClock(w http.ResponseWriter, r *http.Request) {
	step := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}[r.FormValue("by")]
	if step == 0 {
		http.Error(w, "The clock moves by an hour, a day or a week.", http.StatusBadRequest)
		return
	}
	if err := d.pass(r.Context(), d.clock.now().Add(step), func() error { return nil }); err != nil {
		http.Error(w, "The clock could not be moved: "+err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/demo/", http.StatusSeeOther)
}
