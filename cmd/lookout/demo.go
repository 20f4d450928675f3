package main

import (
	"context"
	"embed"
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
