package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
)

const canaryPhone = "+447700900002"

// canaryWorld is a lookout with a daily test, at a carrier that has both its numbers.
func canaryWorld(t *testing.T, store string, changes ...func(*settings)) *world {
	w := newWorldOn(t, store, append(changes, func(s *settings) { s.Canary.Phone = canaryPhone })...)
	w.carrier.Numbers = []string{ourNumber, canaryPhone}
	w.carrier.Allow(canaryPhone)
	w.carrier.Allow(ourNumber)
	return w
}

// follow looks at the daily test, in several processes at once, until it has ended.
func (w *world) follow(of ...*bot.Bot) bot.Proof {
	w.Helper()
	var proof bot.Proof
	if !eventually(w.T, func() bool {
		var all sync.WaitGroup
		for _, b := range of {
			all.Go(func() {
				if err := b.CheckCanary(w.Context()); err != nil {
					w.Errorf("the daily test: %v", err)
				}
			})
		}
		all.Wait()
		w.carrier.Settle()
		var err error
		if proof, err = of[0].Proof(w.Context()); err != nil {
			w.Fatal(err)
		}
		return !proof.Run.Ended.IsZero()
	}) {
		w.Fatalf("the daily test does not end: %+v\n%s", proof, w.log)
	}
	return proof
}

// sentBy counts the texts that a number has sent through the carrier.
func (w *world) sentBy(number string) (n int) {
	for _, m := range w.carrier.Messages(number) {
		if m.From == number && !m.Inbound {
			n++
		}
	}
	return n
}

// A text of nobody's goes the whole path once a day, whatever the number of processes; the
// desk says when; and no list, count or report of the service has anything of it.
func TestCanary(t *testing.T) {
	t.Run("File", func(t *testing.T) {
		w := canaryWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"))
		theDailyTest(t, w, w.process.bot)
	})
	t.Run("Redis", func(t *testing.T) {
		at := "redis://" + storetest.StartRedis(t).Addr
		w := canaryWorld(t, at)
		s := *w.process.settings
		other, err := newProcess(t.Context(), &s, w.process.bot.Content(), w.process.bot.Service(), w.process.log, w.clock.now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { other.store.Close() })
		theDailyTest(t, w, w.process.bot, other.bot)
	})
}

func theDailyTest(t *testing.T, w *world, of ...*bot.Bot) {
	proof := w.follow(of...)
	if proof.Failed != "" || proof.Proved.IsZero() || proof.Warning() != "" {
		t.Fatalf("the whole path is not proved: %+v\n%s", proof, w.log)
	}
	for _, s := range bot.Stages {
		if proof.Run.At[s].IsZero() {
			t.Errorf("%s has no time: %v", s, proof.Run.At)
		}
	}
	if n := w.sentBy(canaryPhone); n != 1 {
		t.Errorf("the daily test sent %d texts, want 1", n)
	}
	var paged, answered int
	for _, m := range w.carrier.Messages(canaryPhone) {
		switch {
		case m.To != canaryPhone || m.Inbound:
		case strings.Contains(m.Body, "999"):
			answered++
		default:
			paged++
		}
	}
	if paged != 1 || answered != 1 {
		t.Errorf("its telephone has %d pages and %d answers, want 1 of each: %v", paged, answered, w.carrier.Messages(canaryPhone))
	}
	if n, err := w.process.twilio.Sweep(t.Context(), w.process.bot, "anytown", w.clock.now()); n != 0 || err != nil {
		t.Errorf("the sweep took in %d texts of lookout's own, %v", n, err)
	}
	w.nothingOfTheCanary()
	if body := w.page("/readyz"); !strings.Contains(body, "whole path proved 2026-11-24T10:30:00Z") {
		t.Errorf("/readyz: %s", body)
	}
	if body := w.page("/metrics"); !strings.Contains(body, "lookout_canary_proved_seconds 1.7955162e+09") || !strings.Contains(body, `lookout_canary_failing{stage="paged"} 0`) || !strings.Contains(body, "lookout_patients 0") {
		t.Errorf("/metrics lacks the proof:\n%s", body)
	}

	// Not again that day; and the next day the page reaches no telephone.
	w.clock.forward(6 * time.Hour)
	w.follow(of...)
	if n := w.sentBy(canaryPhone); n != 1 {
		t.Errorf("%d tests on one day", n)
	}
	w.clock.forward(16 * time.Hour) // to 08:30
	w.carrier.BadNumber(canaryPhone, 30003)
	for _, b := range of {
		if err := b.CheckCanary(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !eventually(t, func() bool { return w.sentBy(canaryPhone) == 2 }) {
		t.Fatalf("no test on the second day\n%s", w.log)
	}
	w.carrier.Settle()
	w.clock.forward(10 * time.Minute)
	proof = w.follow(of...)
	if proof.Failed != bot.StagePaged || !strings.Contains(proof.Warning(), "nurses may not be paged") || proof.Run.At[bot.StageRead].IsZero() {
		t.Errorf("a test whose page arrived nowhere: %+v", proof)
	}
	if body := w.page("/metrics"); !strings.Contains(body, `lookout_canary_failing{stage="paged"} 1`) {
		t.Errorf("/metrics does not tell of the failure:\n%s", body)
	}
	w.nothingOfTheCanary()

	// An hour later it is tried again, and goes.
	w.carrier.BadNumber(canaryPhone, 0)
	w.clock.forward(time.Hour + time.Minute)
	if proof = w.follow(of...); proof.Failed != "" || proof.Run.Name != "2026-11-25-2" {
		t.Errorf("the next try: %+v\n%s", proof, w.log)
	}
	w.nothingOfTheCanary()
	if runs, err := of[0].Proofs(t.Context()); err != nil || len(runs) != 3 || runs[0].Name != "2026-11-25-2" {
		t.Errorf("%v: the tests are %+v", err, runs)
	}
}

func (w *world) page(path string) string {
	w.Helper()
	response, err := http.Get(w.url + path)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// nothingOfTheCanary holds every list and count of the service to have nothing of it, and
// that nobody was paged.
func (w *world) nothingOfTheCanary() {
	w.Helper()
	ctx, b := w.Context(), w.process.bot
	for _, state := range []string{"open", "claimed", "closed"} {
		if rows := w.rows(state); len(rows) != 0 {
			w.Errorf("the queue has %v", rows)
		}
	}
	report, err := b.Report(ctx, w.clock.now().AddDate(0, 0, -7), w.clock.now().AddDate(0, 0, 1))
	if err != nil || len(report.Concerns) != 0 || report.Levels[0].Rows != 0 {
		w.Errorf("%v: the report has %+v", err, report)
	}
	if err := b.CountFigures(ctx); err != nil {
		w.Fatal(err)
	}
	if figures, err := b.Figures(ctx, 30); err != nil || figures.Rows != 0 || len(figures.Ages)+len(figures.Rules) != 0 {
		w.Errorf("%v: the figures have %+v", err, figures)
	}
	for _, query := range []string{"Daily", "Test", canaryPhone} {
		if found, err := b.Find(ctx, query, 10); err != nil || len(found) != 0 {
			w.Errorf("%v: a search for %s finds %v", err, query, found)
		}
	}
	if all, err := w.process.store.Patients(ctx, "anytown", "", 10); err != nil || len(all) != 0 {
		w.Errorf("%v: the service has %v", err, all)
	}
	st, err := b.Stats(ctx)
	open := 0
	for _, levels := range st.Rows {
		for _, n := range levels {
			open += n
		}
	}
	if err != nil || st.Patients != 0 || open != 0 || !st.OldestDue.IsZero() {
		w.Errorf("%v: the counts are %+v", err, st)
	}
	for _, m := range w.carrier.Messages("") {
		if m.To == nursePhone {
			w.Errorf("a nurse was paged: %s", m.Body)
		}
	}
}

// Each fault of the path is told by its stage: a carrier that refuses, a text that only the
// carrier's log has, and a number that is somebody's.
func TestCanaryFailures(t *testing.T) {
	w := canaryWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"))
	b := w.process.bot
	w.carrier.Fail(standin.Fault{Status: 400, Code: 21606})
	if proof := w.follow(b); proof.Failed != bot.StageSent || !strings.Contains(proof.Warning(), "did not leave by the carrier") {
		t.Errorf("a carrier that refuses: %+v", proof)
	}
	w.carrier.Numbers[0] = "+447700900999" // our number's webhook is not called any more
	w.clock.forward(24 * time.Hour)
	if err := b.CheckCanary(t.Context()); err != nil || !eventually(t, func() bool { return w.sentBy(canaryPhone) == 1 }) {
		t.Fatalf("%v: no test on the second day\n%s", err, w.log)
	}
	w.carrier.Lose(canaryPhone, ourNumber, w.carrier.Messages(canaryPhone)[0].Body)
	if _, err := w.process.twilio.Sweep(t.Context(), b, "anytown", w.clock.now()); err != nil {
		t.Fatal(err)
	}
	if proof := w.follow(b); proof.Failed != bot.StageReceived || !strings.Contains(w.page("/readyz"), "has failed at: received") {
		t.Errorf("a text that only the sweep found: %+v", proof)
	}
	w.nothingOfTheCanary()
	w.call("POST", "/api/v1/patients", `{"given_name":"Mary","family_name":"Jones","birth_date":"1961-04-30","phone":"`+canaryPhone+`","locale":"en-GB","treatment_ended":"2026-09-30","consent":{"sms":true}}`, 422)
	w.enrol("Mary", mary)
	w.halt()

	s := *w.process.settings
	s.Canary.Phone = mary
	team, err := s.team(b.Content())
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := newProcess(t.Context(), &s, b.Content(), team, w.process.log, w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.store.Close()
	w.clock.forward(24 * time.Hour)
	if proof := w.follow(wrong.bot); proof.Failed != bot.StageSetup || !strings.Contains(proof.Warning(), "belongs to somebody") {
		t.Errorf("a test with a patient's number: %+v", proof)
	}
	if n := w.sentBy(mary); n != 0 {
		t.Errorf("%d texts were sent in her name", n)
	}
}

// A number that is not the carrier's sends nothing by it: its text is posted at our own
// public address, with the carrier's signature, and counts once.
func TestCanaryByWebhook(t *testing.T) {
	w := canaryWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"), func(s *settings) { s.Canary.Way = byWebhook })
	if proof := w.follow(w.process.bot); proof.Failed != "" || w.sentBy(canaryPhone) != 0 {
		t.Errorf("%+v, and %d texts by the carrier\n%s", proof, w.sentBy(canaryPhone), w.log)
	}
	w.nothingOfTheCanary()
}

// Faults of the settings are named.
func TestCanarySettings(t *testing.T) {
	_, err := loaded(t, goodSettings+"canary: {phone: \"+447700900001\", way: pigeon, at: \"25:00\"}\n")
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"canary.phone: is the number that patients text", "canary.way: must be carrier or webhook", "canary.at: must be a time of day"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the faults lack %q:\n%v", want, err)
		}
	}
}
