package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lookout/bot"
	"lookout/channels/sms"
)

// canarySettings are the daily test of the whole path (bot.Canary).
type canarySettings struct {
	Phone string `yaml:"phone"` // a number of the service's own, and nobody's; "": there is no test
	Way   string `yaml:"way"`   // byCarrier or byWebhook
	To    string `yaml:"to"`    // the number that patients text; default: twilio.from
	At    string `yaml:"at"`    // a time of day
}

// How the test's text comes in.
const (
	byCarrier = "carrier" // the number is one of the Twilio account: its text goes through Twilio
	byWebhook = "webhook" // lookout posts its text to its own public address, signed as Twilio does
)

// canary reads the settings of the daily test, and finds their faults.
func (s *settings) canary() (bot.Canary, error) {
	c := s.Canary
	if c.Phone == "" {
		if c.To != "" {
			return bot.Canary{}, errors.New("canary.phone: is missing, though canary.to is there: set a number of the service's own, or take canary.to out")
		}
		return bot.Canary{}, nil
	}
	var faults []error
	fault := func(name, problem string) { faults = append(faults, fmt.Errorf("canary.%s: %s", name, problem)) }
	number := func(name, text string) string {
		n, err := sms.ParseNumber(text)
		if err != nil {
			fault(name, err.Error())
		}
		return n
	}
	out := bot.Canary{From: bot.Address{Channel: sms.Channel, At: number("phone", c.Phone)}, To: bot.Address{Channel: sms.CanaryChannel}}
	switch {
	case c.To != "":
		out.To.At = number("to", c.To)
	case s.Twilio.From != "":
		out.To.At = s.Twilio.From
	default:
		fault("to", "is missing: the number of the messaging service that patients text")
	}
	if out.From.At == out.To.At {
		fault("phone", "is the number that patients text: the test needs another of the service's own")
	}
	for _, d := range s.Service.Duty {
		if n, err := sms.ParseNumber(d.Phone); err == nil && n == out.From.At {
			fault("phone", "is on the paging list: the test needs a number that is nobody's")
		}
	}
	if c.Way != byCarrier && c.Way != byWebhook {
		fault("way", "must be carrier or webhook")
	}
	spells, err := bot.ParseSpells(c.At + "-24:00")
	if err != nil || len(spells) != 1 {
		fault("at", "must be a time of day like 07:30")
	} else {
		out.Daily = time.Duration(spells[0].From) * time.Minute
	}
	return out, errors.Join(faults...)
}

// canaryOutlet is how the daily test's text leaves.
func (s *settings) canaryOutlet(account sms.Account, c bot.Canary) (bot.Outlet, error) {
	if s.Canary.Way == byWebhook {
		return bot.Outlet{Sender: &sms.CanaryDoor{Account: account, Number: c.From.At, Client: &http.Client{Timeout: 20 * time.Second}}, Lease: 30 * time.Second}, nil
	}
	sender, err := sms.NewCanary(account, c.From.At, nil)
	return bot.Outlet{Sender: sender, Lease: 30 * time.Second}, err
}

// proof says for /readyz how the daily test stands; "": there is none. A test that has
// failed leaves the process ready: to take it out would not help.
func (p *process) proof(ctx context.Context) string {
	proof, err := p.bot.Proof(ctx)
	switch {
	case err != nil || !proof.On:
		return ""
	case proof.Failed != "":
		return "the daily test of the whole path has failed at: " + string(proof.Failed)
	case proof.Late:
		return "the daily test of the whole path is late"
	case proof.Proved.IsZero():
		return "the whole path is not proved yet"
	}
	return "whole path proved " + proof.Proved.UTC().Format(time.RFC3339)
}

// canaryMetrics reads at each scrape how the daily test stands.
type canaryMetrics struct {
	bot                    *bot.Bot
	proved, failing, stage *prometheus.Desc
}

func newCanaryMetrics(b *bot.Bot) *canaryMetrics {
	return &canaryMetrics{b,
		prometheus.NewDesc("lookout_canary_proved_seconds", "When the daily test last went through the whole path, in seconds since 1970; 0: never.", nil, nil),
		prometheus.NewDesc("lookout_canary_failing", "1 when the daily test is late or has failed, by the stage that it has not reached; else 0.", []string{"stage"}, nil),
		prometheus.NewDesc("lookout_canary_stage_seconds", "How long after its beginning the last daily test was at a stage.", []string{"stage"}, nil)}
}

// Describe is part of prometheus.Collector.
func (m *canaryMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.proved, m.failing, m.stage} {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (m *canaryMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	proof, err := m.bot.Proof(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.proved, err)
		return
	}
	if !proof.On {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	proved := 0.0
	if !proof.Proved.IsZero() {
		proved = float64(proof.Proved.Unix())
	}
	gauge(m.proved, proved)
	for _, s := range bot.Stages {
		failing := 0.0
		if proof.Failed == s {
			failing = 1
		}
		gauge(m.failing, failing, string(s))
		if at, ok := proof.Run.At[s]; ok {
			gauge(m.stage, max(0, at.Sub(proof.Run.Begun).Seconds()), string(s))
		}
	}
	late := 0.0
	if proof.Late || proof.Failed == bot.StageSetup {
		late = 1
	}
	gauge(m.failing, late, "begun")
}
