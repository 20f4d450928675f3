package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lookout/bot"
	"lookout/channels/sms"
)

// metrics are what a service watches. No label ever holds anything of a patient.
type metrics struct {
	registry *prometheus.Registry
	jobs     *prometheus.HistogramVec
	failed   *prometheus.CounterVec
	http     *prometheus.HistogramVec
	well     *prometheus.GaugeVec
	now      func() time.Time

	mu   sync.Mutex
	last map[string]time.Time // when a job last went well
}

// The label of a job is called task: Prometheus gives the name job to what it scrapes, and
// would rename ours.

// began counts a job from now on: what has never failed, and what never goes well, can both be
// told from what is not there.
func (m *metrics) began(job string) {
	m.failed.WithLabelValues(job)
	m.well.WithLabelValues(job).Set(float64(m.now().Unix()))
}

// storeMetrics reads the store's counts at each scrape.
type storeMetrics struct {
	bot                                                          *bot.Bot
	store                                                        bot.Store
	now                                                          func() time.Time
	rows, outgoing, wakes, patients, overdue, oldestOut, trusted *prometheus.Desc
}

func newMetrics(b *bot.Bot, store bot.Store, now func() time.Time, unasked *prometheus.CounterVec) *metrics {
	m := &metrics{
		now: now, last: make(map[string]time.Time),
		well:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lookout_job_last_success_seconds", Help: "When a job last went well, in seconds since 1970; before it has, when the process began."}, []string{"task"}),
		registry: prometheus.NewRegistry(),
		jobs:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "lookout_job_seconds", Help: "How long a run of a job took."}, []string{"task"}),
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "lookout_http_seconds", Help: "How long an answer took, by route and status.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 15}}, []string{"route", "code"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lookout_job_failures_total", Help: "Runs of a job that failed."}, []string{"task"}),
	}
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lookout_"+name, help, labels, nil)
	}
	signed := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lookout_content_signed", Help: "1 when a clinician has signed the content that is served, else 0."})
	if b.Content().Signed() {
		signed.Set(1)
	}
	m.registry.MustRegister(unasked, signed, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.jobs, m.failed, m.http, m.well, newCanaryMetrics(b), &storeMetrics{
		bot: b, store: store, now: now,
		rows:      describe("queue_rows", "Rows that are not closed.", "state", "level"),
		outgoing:  describe("outgoing_messages", "Messages that are not settled."),
		oldestOut: describe("outgoing_oldest_seconds", "Age of the oldest message that may leave."),
		wakes:     describe("wakes_due", "Patients with something due."),
		patients:  describe("patients", "People on record."),
		trusted:   describe("store_trusted", "1 when the store keeps what it is told, 0 when it may forget, or has no room: then changes are refused."),
		overdue:   describe("queue_overdue_seconds", "By how much the oldest promise is missed; 0 when none is."),
	})
	return m
}

// stays says whether a request is for a page or a socket that stays open.
func stays(r *http.Request) bool {
	return r.URL.Path == "/desk/events" || r.URL.Path == "/chat/ws" || r.URL.Path == "/chat/news"
}

// timed measures every answer of a mux, by the route's pattern: an address may hold
// an id. Open pages and sockets are not answers, and are passed on as they are.
func (m *metrics) timed(mux *http.ServeMux) http.Handler {
	var byRoute sync.Map // of http.Handler: to make one takes as long as a short answer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stays(r) {
			mux.ServeHTTP(w, r)
			return
		}
		_, route := mux.Handler(r)
		handler, ok := byRoute.Load(route)
		if !ok {
			handler, _ = byRoute.LoadOrStore(route, promhttp.InstrumentHandlerDuration(m.http.MustCurryWith(prometheus.Labels{"route": route}), mux))
		}
		handler.(http.Handler).ServeHTTP(w, r)
	})
}

// newUnasked counts texts that nobody has asked for.
func newUnasked() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lookout_unasked_texts_total", Help: "Texts that nobody has asked for, by whether it was a time of day at which the desk reads answers."}, []string{"desk"})
	c.WithLabelValues("open")
	c.WithLabelValues("closed")
	return c
}

// counted is Twilio, with a look at the clock beside it that knows nothing of how the bot
// keeps to it.
type counted struct {
	*sms.Client
	team    *bot.Service
	now     func() time.Time
	unasked *prometheus.CounterVec
}

// Send is part of bot.Sender.
func (c counted) Send(ctx context.Context, out bot.Outgoing) (bot.Sent, error) {
	sent, err := c.Client.Send(ctx, out)
	if out.Priority == bot.PriorityPlanned && err == nil {
		desk, now := "closed", c.now().In(c.team.Location)
		spells, _ := c.team.Hours.Spells(now)
		minute := now.Hour()*60 + now.Minute()
		if len(spells) > 0 && minute >= spells[0].From && minute < spells[len(spells)-1].To {
			desk = "open"
		}
		c.unasked.WithLabelValues(desk).Inc()
	}
	return sent, err
}

func (m *metrics) ran(job string, took time.Duration, err error) {
	m.jobs.WithLabelValues(job).Observe(took.Seconds())
	if err != nil {
		m.failed.WithLabelValues(job).Inc()
		return
	}
	now := m.now()
	m.well.WithLabelValues(job).Set(float64(now.Unix()))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[job] = now
}

// succeeded says when a job last went well; zero: never.
func (m *metrics) succeeded(job string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[job]
}

// Describe is part of prometheus.Collector.
func (s *storeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.rows, s.outgoing, s.oldestOut, s.wakes, s.patients, s.overdue, s.trusted} {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (s *storeMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	now := s.now()
	trusted := 1.0
	if _, err := trust(s.store); err != nil {
		trusted = 0
	}
	to <- prometheus.MustNewConstMetric(s.trusted, prometheus.GaugeValue, trusted)
	st, err := s.bot.Stats(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(s.patients, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for state, levels := range st.Rows {
		for level, n := range levels {
			gauge(s.rows, float64(n), string(state), level)
		}
	}
	gauge(s.outgoing, float64(st.Outgoing))
	gauge(s.wakes, float64(st.WakesDue))
	gauge(s.patients, float64(st.Patients))
	age := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(0, now.Sub(t).Seconds())
	}
	gauge(s.oldestOut, age(st.OldestOut))
	gauge(s.overdue, age(st.OldestDue))
}
