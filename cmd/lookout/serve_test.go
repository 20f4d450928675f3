package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
	"lookout/content"
)

const apiToken = "a-token-for-tests-only"

// clock is a time that a test turns.
type clock struct{ turnedClock }

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a whole lookout with a carrier beside it, over real sockets.
type world struct {
	*testing.T
	carrier *standin.Carrier
	url     string
	clock   *clock
	process *process
	log     *bytes.Buffer
	halt    func() // ends lookout
	stop    func() // ends lookout and the carrier
}

const nursePhone, ourNumber = "+447700900900", "+447700900001"

// newWorld starts lookout on a Tuesday morning, in working hours, with settings that
// a test may change.
func newWorld(t *testing.T, changes ...func(*settings)) *world {
	t.Helper()
	return newWorldOn(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"), changes...)
}

// onEachStore plays a test on a file and on a real redis-server.
func onEachStore(t *testing.T, test func(*testing.T, *world)) {
	t.Run("File", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("Redis", func(t *testing.T) { test(t, newWorldOn(t, "redis://"+storetest.StartRedis(t).Addr)) })
}

// withPack is a fresh file that keeps the shipped content already: it is large, and every
// world would write it anew.
var withPack = sync.OnceValues(func() (file []byte, err error) {
	folder, err := os.MkdirTemp("", "lookout-test")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "lookout.db")
	store, err := sqlitestore.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	pack, err := content.Shipped()
	if err == nil {
		_, err = bot.New(context.Background(), bot.Config{Store: store, Content: pack, Service: &bot.Service{ID: "anytown", Location: time.UTC}})
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newWorldOn(t *testing.T, store string, changes ...func(*settings)) *world {
	t.Helper()
	w := &world{T: t, carrier: standin.New("AC00000000000000000000000000000001", "secret"), log: &bytes.Buffer{},
		clock: &clock{turnedClock{at: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)}}}
	carrier := httptest.NewServer(w.carrier)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	w.url = "http://" + addr
	w.carrier.Product, w.carrier.Now = w.url, w.clock.now
	s := &settings{Addr: addr, Store: store, APIToken: apiToken}
	s.Twilio.AccountSID, s.Twilio.AuthToken, s.Twilio.From, s.Twilio.APIURL = w.carrier.SID, w.carrier.Token, ourNumber, carrier.URL
	s.Service.NurseLine, s.Service.Name = "01632 960 001", "Anytown breast nurses"
	s.Service.Duty = []dutySettings{{Name: "Duty nurse", Phone: nursePhone}, {Name: "Lead", Phone: "+447700900901"}}
	for _, change := range changes {
		change(s)
	}
	s.defaults()
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	if path, ok := strings.CutPrefix(s.Store, "sqlite:"); ok && s.KeysetFile == "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			file, err := withPack()
			if err == nil {
				err = os.WriteFile(path, file, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team, err := s.team(pack)
	if err != nil {
		t.Fatal(err)
	}
	w.process, err = newProcess(t.Context(), s, pack, team, slog.New(slog.NewTextHandler(&locked{w: w.log}, nil)), w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.process.serve(ctx, func(string) { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	w.halt = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		w.halt()
		for _, m := range w.carrier.Unexpected() {
			t.Errorf("%s had a text that the test does not speak of: %q", m.To, m.Body)
		}
		w.carrier.Close()
		carrier.Close()
	})
	t.Cleanup(w.stop)
	return w
}

// locked makes a buffer safe for many writers.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// call calls the API and decodes its answer.
func (w *world) call(method, path, body string, want int) map[string]any {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		w.Fatalf("%s %s: %d, want %d: %s", method, path, response.StatusCode, want, text)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		w.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return out
}

// enrol enrols somebody who has agreed to texts, and waits until she is welcomed.
func (w *world) enrol(given, phone string) string {
	w.Helper()
	id := w.enrolUnheard(given, phone)
	w.expect(phone, 0, "will text you check-ins")
	return id
}

// enrolUnheard enrols somebody and waits for no welcome: her telephone takes no text, or the
// clock is the real one and it may be night.
func (w *world) enrolUnheard(given, phone string) string {
	w.Helper()
	return w.call("POST", "/api/v1/patients", fmt.Sprintf(`{"given_name":%q,"family_name":"Jones","birth_date":"1961-04-30","nhs_number":"999 012 3454","phone":%q,
		"locale":"en-GB","treatment_ended":"2026-09-30","plan":"standard","consent":{"sms":true},"profile":{"tablets":"letrozole"}}`, given, phone), 201)["id"].(string)
}

// expect waits for a text to a phone, among those after the first skip, that holds the words.
func (w *world) expect(phone string, skip int, words string) standin.Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	m, err := w.carrier.WaitFor(ctx, phone, skip, func(m standin.Message) bool { return strings.Contains(m.Body, words) })
	if err != nil {
		var got []string
		for _, m := range w.carrier.Messages(phone) {
			got = append(got, m.From+" → "+m.To+": "+m.Body)
		}
		w.Fatalf("no text with %q; the phone has:\n%s\nlog:\n%s", words, strings.Join(got, "\n"), w.log)
	}
	return m
}

// texts is how many texts a phone has got.
func (w *world) texts(phone string) int {
	n := 0
	for _, m := range w.carrier.Messages(phone) {
		if m.To == phone {
			n++
		}
	}
	return n
}

func (w *world) reply(phone, words string) {
	w.Helper()
	if _, status, err := w.carrier.Reply(phone, ourNumber, words); err != nil || status != 200 {
		w.Fatalf("the webhook answered %d, %v", status, err)
	}
}

func (w *world) rows(state string) []map[string]any {
	w.Helper()
	var out []map[string]any
	for _, x := range w.call("GET", "/api/v1/queue?state="+state, "", 200)["items"].([]any) {
		out = append(out, x.(map[string]any))
	}
	return out
}

const mary = "+447700900123"

// The whole job: a check-in goes out, she answers in her own words, the answer is
// on the desk with her words, the reason and a time, she is told by when, a
// nurse takes it, a second is told who has it, and it is closed with an outcome.
func TestTheWholeJob(t *testing.T) { onEachStore(t, theWholeJob) }

func theWholeJob(t *testing.T, w *world) {
	id := w.enrol("Mary", mary)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	n := w.texts(mary)
	w.reply(mary, "yes I've found a lump under my arm, about 2 weeks now")
	w.expect(mary, n, "Your nurse will contact you by")
	rows := w.rows("open")
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1: %v", len(rows), rows)
	}
	row := rows[0]
	if row["level"] != "soon" || row["patient_name"] != "Mary Jones" || !strings.Contains(row["message"].(string), "lump under my arm") || row["reason"] == "" || row["due_at"] == "" {
		t.Errorf("the row does not say what it must: %v", row)
	}
	rowID := row["id"].(string)
	w.call("POST", "/api/v1/queue/"+rowID+"/claim", `{"by":"ann"}`, 200)
	if p := w.call("POST", "/api/v1/queue/"+rowID+"/claim", `{"by":"bea"}`, 409); !strings.Contains(p["detail"].(string), "ann") {
		t.Errorf("the second nurse is not told who has it: %v", p)
	}
	w.call("POST", "/api/v1/queue/"+rowID+"/note", `{"by":"ann","text":"rang, will see her on Thursday"}`, 200)
	w.call("POST", "/api/v1/queue/"+rowID+"/close", `{"by":"ann","outcome":"clinic"}`, 200)
	if rows := w.rows("closed"); len(rows) != 1 || rows[0]["outcome"] != "clinic" {
		t.Errorf("closed rows: %v", rows)
	}
}

// An emergency is answered at once, ends the questions, and pages until somebody answers.
func TestEmergencyIsAnsweredAndPagedUntilAcknowledged(t *testing.T) {
	onEachStore(t, emergencyIsAnsweredAndPagedUntilAcknowledged)
}

func emergencyIsAnsweredAndPagedUntilAcknowledged(t *testing.T, w *world) {
	id := w.enrol("Mary", mary)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	n := w.texts(mary)
	w.reply(mary, "my legs have gone all weak and I cant feel when I wipe")
	w.expect(mary, n, "ring 999 or go to A&E now")
	w.expect(nursePhone, 0, "emergency in the queue")
	if got := w.texts(mary); got != n+1 {
		t.Errorf("she got %d texts after her emergency, want only the one that tells her what to do", got-n)
	}
	w.clock.forward(6 * time.Minute)
	w.expect("+447700900901", 0, "emergency in the queue")
	w.reply("+447700900901", "ACK")
	w.expect("+447700900901", 1, "you have row")
	before := w.texts(nursePhone)
	w.clock.forward(6 * time.Minute)
	if _, err := w.process.bot.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.texts(nursePhone); got != before {
		t.Error("somebody was paged after the page had been answered")
	}
}

// A STOP with an emergency in it is still an emergency; STOP alone stops, and keeps her open row.
func TestStop(t *testing.T) { onEachStore(t, stopKeepsHerRow) }

func stopKeepsHerRow(t *testing.T, w *world) {
	id := w.enrol("Mary", mary)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	w.reply(mary, "found a lump in my breast")
	w.expect(mary, 0, "Your nurse will contact you")
	w.carrier.Allow(mary) // the check-in's next question may be on its way when she stops
	w.reply(mary, "STOP")
	if got := w.call("GET", "/api/v1/patients/"+id, "", 200)["status"]; got != "stopped" {
		t.Errorf("after STOP she is %v", got)
	}
	if rows := w.rows("open"); len(rows) == 0 {
		t.Error("STOP took her open row away")
	}
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 409)
	w.reply(mary, "cant breathe, chest pain")
	if rows := w.rows("open"); rows[0]["level"] != "emergency" {
		t.Errorf("an emergency after STOP is not in the queue: %v", rows)
	}
	// Her carrier lets nothing through: the nurse is paged for her, and because she
	// could not be told.
	w.expect(nursePhone, 0, "emergency in the queue")
	w.expect(nursePhone, 1, "emergency in the queue")
}

// The same message delivered three times counts once; a bad signature leaves no trace.
func TestDuplicatesAndForgeries(t *testing.T) { onEachStore(t, duplicatesAndForgeries) }

func duplicatesAndForgeries(t *testing.T, w *world) {
	w.enrol("Mary", mary)
	sid, _, err := w.carrier.Reply(mary, ourNumber, "found a lump in my breast")
	if err != nil {
		t.Fatal(err)
	}
	w.expect(mary, 0, "Your nurse will contact you")
	for range 2 {
		if status, err := w.carrier.Redeliver(sid); err != nil || status != 200 {
			t.Fatalf("a repeated webhook: %d, %v", status, err)
		}
	}
	if rows := w.rows("open"); len(rows) != 1 || strings.Count(rows[0]["message"].(string), "lump") != 1 {
		t.Errorf("three deliveries of one message made %v", rows)
	}
	response, err := http.PostForm(w.url+"/twilio/inbound", map[string][]string{"MessageSid": {"SMforged"}, "From": {mary}, "Body": {"chest pain"}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 403 {
		t.Errorf("a forged webhook: %d, want 403", response.StatusCode)
	}
	if rows := w.rows("open"); len(rows) != 1 {
		t.Error("a forged webhook left a trace")
	}
}

// What never reached the webhook is taken in from the carrier's log.
func TestSweepTakesInWhatWasLost(t *testing.T) { onEachStore(t, sweepTakesInWhatWasLost) }

func sweepTakesInWhatWasLost(t *testing.T, w *world) {
	w.enrol("Mary", mary)
	w.carrier.Lose(mary, ourNumber, "my back is agony at night")
	n, err := w.process.twilio.Sweep(t.Context(), w.process.bot, "anytown", w.clock.now())
	if err != nil || n != 1 {
		t.Fatalf("the sweep took in %d, %v", n, err)
	}
	if rows := w.rows("open"); len(rows) != 1 || rows[0]["level"] != "urgent" {
		t.Errorf("rows after the sweep: %v", rows)
	}
	w.expect(mary, 0, "A nurse will ring you")
	if n, err := w.process.twilio.Sweep(t.Context(), w.process.bot, "anytown", w.clock.now()); err != nil || n != 0 {
		t.Errorf("a second sweep took in %d, %v", n, err)
	}
}

// A person whom nobody knows gets one polite answer a day, and an emergency text if it is one.
func TestUnknownNumber(t *testing.T) {
	w := newWorld(t)
	const stranger = "+447700900555"
	w.reply(stranger, "who is this")
	w.expect(stranger, 0, "We do not know your number")
	w.reply(stranger, "hello??")
	w.reply(stranger, "help I cant breathe")
	w.expect(stranger, 1, "999")
	w.expect(nursePhone, 0, "emergency in the queue")
	if got := w.texts(stranger); got != 2 {
		t.Errorf("a stranger got %d texts, want the polite one and the emergency one", got)
	}
	if rows := w.rows("open"); len(rows) == 0 || rows[0]["level"] != "emergency" {
		t.Errorf("a stranger's emergency is not in the queue: %v", rows)
	}
}

// A text that the carrier refuses for good becomes a row; one that it cannot take now goes later, once.
func TestCarrierFaults(t *testing.T) { onEachStore(t, carrierFaults) }

func carrierFaults(t *testing.T, w *world) {
	const dead = "+447700900666"
	// The clock is turned while texts are with the carrier: so slowly that none of them, on
	// the busiest machine, is there for longer than its lease of 30 s.
	const tick = time.Second
	w.carrier.BadNumber(dead, 21211)
	id := w.enrolUnheard("Dora", dead)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	if !eventually(t, func() bool { return len(w.rows("open")) == 1 }) {
		t.Fatal("a dead number made no row")
	}
	if row := w.rows("open")[0]; row["concern"] != "unreachable" {
		t.Errorf("row: %v", row)
	}
	w.carrier.Fail(standin.Fault{Status: 503, Code: 0}, standin.Fault{Break: true, Accept: true})
	other := w.enrolUnheard("Mary", mary)
	w.call("POST", "/api/v1/patients/"+other+"/start", `{"flow":"check-in"}`, 200)
	if !eventually(t, func() bool { w.clock.forward(tick); return w.texts(mary) >= 1 }) {
		t.Fatal("a text that failed for a moment never went")
	}
	if !eventually(t, func() bool {
		w.clock.forward(tick)
		st, err := w.process.store.Stats(t.Context(), w.clock.now())
		return err == nil && st.Outgoing == 0
	}) {
		t.Fatal("the outbox was not settled")
	}
	w.expect(mary, 0, "will text you check-ins")
	w.expect(mary, 0, "Any change in your chest")
	bodies := map[string]int{}
	for _, m := range w.carrier.Messages(mary) {
		bodies[m.Body]++
	}
	for body, n := range bodies {
		if n != 1 {
			t.Errorf("sent %d times: %.40q: a send of unknown outcome was repeated without asking", n, body)
		}
	}
}

// eventually tries again and again, for as long as the busiest machine may need.
func eventually(t *testing.T, holds func() bool) bool {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 12_000 {
		if holds() {
			return true
		}
		<-tick.C
	}
	return false
}

// A stop does not wait for a carrier that never answers; whoever starts next asks its
// log, and sends nothing twice.
func TestStopDoesNotWaitForAHungCarrier(t *testing.T) {
	w := newWorld(t)
	w.process.grace = 300 * time.Millisecond
	w.carrier.Receipts = false
	w.carrier.Fail(standin.Fault{Hang: true})
	w.enrolUnheard("Mary", mary)
	w.expect(mary, 0, "will text you check-ins") // taken, and not answered
	w.halt()
	if !strings.Contains(w.log.String(), "a carrier does not answer") {
		t.Errorf("it waited for the carrier:\n%s", w.log)
	}
	w.clock.forward(time.Minute)
	next, err := newProcess(t.Context(), w.process.settings, w.process.bot.Content(), w.process.bot.Service(), slog.New(slog.DiscardHandler), w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	defer next.store.Close()
	if n, err := next.bot.Deliver(t.Context()); err != nil || n != 1 {
		t.Errorf("the next start settled %d, %v", n, err)
	}
	if got := w.texts(mary); got != 1 {
		t.Errorf("she has had it %d times", got)
	}
	if st, err := next.store.Stats(t.Context(), w.clock.now()); err != nil || st.Outgoing != 0 {
		t.Errorf("%d messages are not settled, %v", st.Outgoing, err)
	}
}

// No patient's name, number or words come into the log, the metrics or an error.
func TestPrivacy(t *testing.T) {
	w := newWorld(t)
	const number = "+447700900321"
	id := w.enrol("Zebedeemarker", number)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.carrier.Fail(standin.Fault{Status: 400, Code: 21614})
	w.reply(number, "flamingomarker lump in my breast")
	w.reply(number, "chest pain flamingomarker")
	w.expect(number, 0, "ring 999")
	w.expect(nursePhone, 0, "emergency in the queue")
	w.carrier.Settle()
	w.carrier.Allow(number) // what was on its way when the carrier's fault came goes in either order
	response, err := http.Get(w.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(response.Body)
	response.Body.Close()
	bad := w.call("POST", "/api/v1/patients", `{"given_name":"Zebedeemarker","family_name":"x","birth_date":"flamingomarker","treatment_ended":"2026-09-30"}`, 422)
	w.stop()
	all := w.log.String() + string(metrics) + fmt.Sprint(bad)
	for _, marker := range []string{"Zebedeemarker", "flamingomarker", "7700900321"} {
		if strings.Contains(all, marker) {
			t.Errorf("%q got out:\n%s", marker, all)
		}
	}
	if !strings.Contains(string(metrics), "lookout_queue_rows") {
		t.Error("the metrics do not count the queue")
	}
}
