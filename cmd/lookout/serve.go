package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // the zones, where the machine has none

	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"lookout/bot"
	"lookout/channels/api"
	"lookout/channels/desk"
	"lookout/channels/email"
	"lookout/channels/sms"
	"lookout/channels/webhook"
	"lookout/channels/widget"
	"lookout/content"
	"lookout/scheduler"
)

type serveCmd struct {
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
	Unsigned bool   `help:"Serve a content pack that no clinician has signed."`
}

// Help is shown by lookout serve --help.
func (*serveCmd) Help() string {
	return "Example:\n  LOOKOUT_PUBLIC_URL=https://lookout.example.nhs.uk lookout serve --settings /etc/lookout.yaml --unsigned"
}

// Run serves until it is told to stop, and then ends within 10 seconds.
func (c *serveCmd) Run(e *env) error {
	s, pack, team, err := c.load(e)
	if err != nil {
		return err
	}
	if !pack.Signed() && !c.Unsigned {
		return fmt.Errorf("no clinician has signed this content (%s): have it signed (lookout content sign), or serve it with --unsigned, by name", pack.Digest())
	}
	log := slog.New(slog.NewTextHandler(e.err, nil))
	for _, lack := range s.lacks() {
		log.Warn(lack)
	}
	p, err := newProcess(e.ctx, s, pack, team, log, e.now)
	if err != nil {
		return err
	}
	if err := s.encrypted(p.store); err != nil {
		log.Warn(err.Error())
	}
	return p.serve(e.ctx, func(addr string) {
		fmt.Fprintf(e.out, "lookout serves %s on http://%s (%s)\n", team.Name, addr, cmp.Or(strings.ToLower(unapproved(pack)), "content signed by "+signedBy(pack)))
		debug.FreeOSMemory() // what loading the content took is more than all that stays
	})
}

// load reads and checks everything, and reports all faults at once.
func (c *serveCmd) load(e *env) (*settings, *content.Pack, *bot.Service, error) {
	s, err := loadSettings(c.Settings, e)
	if s == nil {
		return nil, nil, nil, err
	}
	s.defaults()
	faults := []error{err, s.check()}
	pack, err := s.pack()
	faults = append(faults, err)
	var team *bot.Service
	if pack != nil {
		team, err = s.team(pack)
		faults = append(faults, err)
	}
	return s, pack, team, errors.Join(faults...)
}

// process is one running lookout.
type process struct {
	settings *settings
	store    bot.Store
	bot      *bot.Bot
	twilio   *sms.Client
	push     *widget.Push // nil: it is not set
	jobs     *scheduler.Scheduler
	mux      *http.ServeMux
	log      *slog.Logger
	metrics  *metrics
	desk     *desk.Desk
	traces   *sdktrace.TracerProvider // nil: there are none
	draining atomic.Bool              // a stop has begun, and every request is still answered
	stopping chan struct{}            // closed when the server stops
	grace    time.Duration            // how long a stop waits for what is under way
}

// newProcess opens the store and wires the parts. Nothing runs yet.
func newProcess(ctx context.Context, s *settings, pack *content.Pack, team *bot.Service, log *slog.Logger, now func() time.Time) (*process, error) {
	store, err := openStore(ctx, s, log, now)
	if err != nil {
		return nil, err
	}
	log = slog.New(traceLines{log.Handler()})
	p := &process{settings: s, store: store, log: log, mux: http.NewServeMux(), stopping: make(chan struct{}), grace: 9 * time.Second}
	fail := func(err error) (*process, error) { return nil, errors.Join(err, store.Close()) }
	account := sms.Account{SID: s.Twilio.AccountSID, AuthToken: s.Twilio.AuthToken, From: s.Twilio.From,
		MessagingService: s.Twilio.MessagingServiceSID, APIURL: s.Twilio.APIURL, PublicURL: s.PublicURL, Canary: team.Canary.From.At}
	p.twilio, err = sms.NewClient(account, nil)
	if err != nil {
		return fail(err)
	}
	if s.Chat.PushContact != "" {
		if p.push, err = widget.NewPush(ctx, store, s.Chat.PushContact, s.Chat.PushServices, now, log); err != nil {
			return fail(err)
		}
	}
	unasked := newUnasked()
	outlets := map[string]bot.Outlet{
		widget.Channel: {Sender: widget.Sender{Push: p.push}, Lease: 30 * time.Second, Forms: true},
		sms.Channel:    {Sender: counted{p.twilio, team, now, unasked}, PerSecond: s.Twilio.PerSecond, Lease: 30 * time.Second, JoinUpTo: 300},
	}
	mail := ""
	if s.SMTP.Address != "" {
		mail = email.Channel
		outlets[mail] = bot.Outlet{Sender: email.New(s.mail()), Lease: time.Minute}
	}
	if key, err := webhook.ParseKey(s.Webhook.Key); err == nil {
		outlets[webhook.Channel] = bot.Outlet{Sender: webhook.New(key, time.Now), Lease: 30 * time.Second}
	}
	if team.Canary.From.At != "" {
		if outlets[sms.CanaryChannel], err = s.canaryOutlet(account, team.Canary); err != nil {
			return fail(err)
		}
	}
	var tracer trace.Tracer
	if p.traces, err = s.Traces.provider(ctx, log); err != nil {
		return fail(err)
	}
	if p.traces != nil {
		tracer = p.traces.Tracer(tracerName)
	}
	relay, _ := store.(bot.Relay) // a store that processes share is both
	pace, _ := store.(bot.Pace)
	p.bot, err = bot.New(ctx, bot.Config{Store: store, Relay: relay, Pace: pace, Content: pack, Service: team, PublicURL: s.PublicURL, Mail: mail, Now: now, Log: log, Outlets: outlets, Tracer: tracer})
	if err != nil {
		return fail(err)
	}
	p.metrics = newMetrics(p.bot, store, now, unasked)
	if err := p.routes(now); err != nil {
		return fail(err)
	}
	jobs := p.jobList(now)
	for _, job := range jobs {
		p.metrics.began(job.Name)
	}
	if p.jobs, err = scheduler.New(jobs, log, p.metrics.ran); err != nil {
		return fail(err)
	}
	return p, nil
}

// routes is every address that lookout answers.
func (p *process) routes(now func() time.Time) error {
	webhooks := &sms.Webhooks{Bot: p.bot, Service: p.bot.Service().ID, AuthToken: p.settings.Twilio.AuthToken, PublicURL: p.settings.PublicURL, Canary: p.bot.Service().Canary.From.At, Now: now, Log: p.log}
	webhooks.Register(p.mux) // POST /twilio/inbound, POST /twilio/status
	api := &api.API{Bot: p.bot, Token: p.settings.APIToken, ParseNumber: sms.ParseNumber, Log: p.log}
	api.Register(p.mux) // /api/v1/…, GET /openapi.json
	pages, err := desk.New(desk.Config{Bot: p.bot, Sessions: sessions{p.store}, Now: now, Log: p.log,
		Secure: strings.HasPrefix(p.settings.PublicURL, "https:"), Banner: unapproved(p.bot.Content()), Segments: sms.Segments, Untrusted: p.untrusted, Stopping: p.stopping,
		PublicURL: p.settings.PublicURL, Provider: p.settings.OIDC.provider(), SecondFactor: p.settings.Desk.SecondFactor == "required"})
	if err != nil {
		return err
	}
	pages.Register(p.mux) // /desk/…, /assets/…, /pledge
	p.desk = pages
	chat, err := widget.New(widget.Config{Bot: p.bot, Values: p.store, PublicURL: p.settings.PublicURL,
		Origins: p.settings.Chat.Origins, VouchKey: p.settings.Chat.VouchKey, Push: p.push, PhoneChannel: sms.Channel, ParseNumber: sms.ParseNumber, Now: now, Log: p.log, Stopping: p.stopping})
	if err != nil {
		return err
	}
	chat.Register(p.mux) // /chat…
	p.mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	p.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	p.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	p.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if p.draining.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if _, err := p.store.Stats(ctx, now()); err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		accepted, err := trust(p.store)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
		fmt.Fprintln(w, encryption(p.store))
		if accepted != "" {
			fmt.Fprintln(w, accepted)
		}
		if proof := p.proof(ctx); proof != "" {
			fmt.Fprintln(w, proof)
		}
	})
	return nil
}

// untrusted says on the desk why the store refuses what is done there; "": it does not.
func (p *process) untrusted() string {
	if _, err := trust(p.store); err != nil {
		return "Nothing can be saved: " + err.Error() + ". Tell whoever runs lookout."
	}
	return ""
}

// unapproved stands on every page of the desk, unless a clinician has signed the content.
func unapproved(pack *content.Pack) string {
	if pack.Signed() {
		return ""
	}
	return "The texts and rules in use have not been approved by a clinician."
}

// signedBy names who signed the content last.
func signedBy(pack *content.Pack) string {
	if all := pack.Signatures(); len(all) > 0 {
		return all[len(all)-1].String()
	}
	return "nobody"
}

// sessions keeps the desk's sign-in sessions in the store. It is an scs.CtxStore,
// and like scs it goes by the machine's own clock.
type sessions struct{ store bot.Store }

const drawerSessions = "desk-session"

func (s sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	value, err := s.store.Value(ctx, drawerSessions, token, time.Now())
	if errors.Is(err, bot.ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (s sessions) CommitCtx(ctx context.Context, token string, value []byte, expiry time.Time) error {
	return s.store.PutValue(ctx, drawerSessions, token, value, expiry)
}

func (s sessions) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return s.store.Values(ctx, drawerSessions, time.Now())
}

func (s sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.store.DeleteValue(ctx, drawerSessions, token)
}

func (s sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s sessions) Commit(token string, value []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, value, expiry)
}

func (s sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// jobList is every job that ticks, with its reason.
func (p *process) jobList(now func() time.Time) []scheduler.Job {
	service := p.bot.Service().ID
	var more []scheduler.Job
	if p.settings.CallList.on() {
		more = append(more, scheduler.Job{Name: "call list", Every: "0 * * * *", AtStart: true, Why: "who is to be rung stands elsewhere too, encrypted, for the day on which this machine is down",
			Run: func(ctx context.Context) error {
				return p.settings.CallList.writeCallList(ctx, p.desk, now().In(p.bot.Service().Location))
			}})
	}
	if p.settings.Watch.URL != "" {
		more = append(more, scheduler.Job{Name: "watch", Every: "@every 1m", Why: "somebody outside must notice when lookout itself stands still",
			Run: func(ctx context.Context) error { return p.report(ctx, now()) }})
	}
	if p.bot.Service().Canary.From.At != "" {
		more = append(more, scheduler.Job{Name: "canary", Every: "@every 10s", Why: "once a day a text of nobody's proves that the whole path works, before anybody needs it",
			Run: p.bot.CheckCanary})
	}
	return append(more, []scheduler.Job{
		{Name: "wake", Every: "@every 1s", AtStart: true, Why: "check-ins, reminders, leases, promises and pages fall due by the clock",
			Run: func(ctx context.Context) error { _, err := p.bot.Wake(ctx); return err }},
		{Name: "reach", Every: "@every 5m", Why: "once a day a test message proves that those on call can be reached",
			Run: p.bot.CheckReach},
		{Name: "level", Every: "@every 1m", AtStart: true, Why: "what is planned is spread by what the nurses of a day can answer, before the day begins",
			Run: func(ctx context.Context) error { return p.bot.Level(ctx) }},
		{Name: "deliver", Every: "@every 1s", AtStart: true, Why: "retries fall due by the clock, and a send that was cut off must be settled",
			Run: func(context.Context) error { return p.bot.KeepDelivering() }},
		{Name: "sweep", Every: "@every 3m", AtStart: true, Why: "Twilio gives up on a webhook after one try: what never reached us is in its log",
			Run: func(ctx context.Context) error {
				n, err := p.twilio.Sweep(ctx, p.bot, service, now())
				if n > 0 {
					p.log.Warn("the sweep took in messages that had never reached us", "messages", n)
				}
				return err
			}},
		{Name: "retention", Every: "40 3 * * *", Why: "people whose follow-up has been over for the years that the service set are erased",
			Run: func(ctx context.Context) error {
				n, err := p.bot.Retain(ctx)
				if n > 0 {
					p.log.Info("people were erased: the service keeps nobody for longer", "people", n)
				}
				return err
			}},
		{Name: "words", Every: "@every 1m", AtStart: true, Why: "the words of new messages are entered, so that a search need not, and of those from before they were searched by their words, a part each time",
			Run: p.bot.EnterSaid},
		{Name: "figures", Every: "10 2 * * *", Why: "how check-ins, rules and the survey went is counted by night, for every journal is read",
			Run: p.bot.CountFigures},
		{Name: "seal", Every: "@every 1m", AtStart: true, Why: "the audit's chain is written down, so that no entry before it can be changed unseen",
			Run: p.bot.SealAudit},
		{Name: "tidy", Every: "@every 1h", Why: "sessions and links that have run out are removed",
			Run: func(ctx context.Context) error { _, err := p.store.Sweep(ctx, now()); return err }},
	}...)
}

// guarded tells browsers with every answer to take it for what it says that it is, and,
// where people come with TLS, never to come without it again.
func guarded(publicURL string, h http.Handler) http.Handler {
	tls := strings.HasPrefix(publicURL, "https:")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if tls {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		h.ServeHTTP(w, r)
	})
}

// drain goes on answering for the time that is set, while /readyz says no and each answer
// ends its connection: a proxy that asks /readyz turns elsewhere before the door is shut,
// and no request meets a door that shuts.
func (p *process) drain(long time.Duration, served <-chan error) error {
	if long == 0 {
		return nil
	}
	p.draining.Store(true)
	select {
	case <-time.After(long):
		return nil
	case err := <-served:
		return err
	}
}

// ending closes a connection with its next answer while the process drains.
func (p *process) ending(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.draining.Load() && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// serve answers until ctx ends: then it drains, takes nothing new, finishes what is
// under way, and closes the store, all within 10 seconds.
func (p *process) serve(ctx context.Context, ready func(addr string)) error {
	listener, err := net.Listen("tcp", p.settings.Addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), p.store.Close())
	}
	own, _ := parseProxies(p.settings.TrustedProxies) // check has found both sound
	drains, _ := p.settings.drain()
	server := &http.Server{Handler: own.seen(p.ending(guarded(p.settings.PublicURL, traced(p.traces, p.mux, p.metrics.timed(p.mux))))), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)}
	// Open pages of the desk hold a connection each; a stop must not wait for them.
	server.RegisterOnShutdown(func() { close(p.stopping) })
	working, stopWorking := context.WithCancel(context.Background())
	defer stopWorking()
	delivered := make(chan error, 1)
	go func() { delivered <- p.bot.Run(working) }()
	p.jobs.Start()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ready(listener.Addr().String())
	select {
	case <-ctx.Done():
		err = p.drain(drains, served)
	case err = <-served:
	}
	closing, cancel := context.WithTimeout(context.Background(), p.grace-drains)
	defer cancel()
	if e := server.Shutdown(closing); e != nil {
		err = errors.Join(err, fmt.Errorf("stop taking requests: %w", e), server.Close())
	}
	stopWorking()
	drained := make(chan error, 1)
	go func() { drained <- errors.Join(p.jobs.Stop(context.Background()), <-delivered) }()
	select {
	case e := <-drained:
		err = errors.Join(err, e)
	case <-closing.Done():
		// The lease of such a send runs out, and whoever starts next asks the carrier first.
		p.log.Warn("a carrier does not answer: what it was given last is settled at the next start")
	}
	if p.traces != nil {
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = p.traces.Shutdown(last) // what the collector did not get, it says itself
		cancel()
	}
	err = errors.Join(err, p.store.Close())
	p.log.Info("stopped")
	return err
}
