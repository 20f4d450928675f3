package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"lookout/bot"
	"lookout/channels/sms/standin"
)

type benchCmd struct {
	Stores   []string      `name:"store" help:"The stores to measure: sqlite, redis." default:"sqlite,redis" enum:"sqlite,redis" placeholder:"KIND"`
	Redis    string        `help:"A Redis of your own that may be written to (a prefix of its own is used); else a redis-server that is on the PATH is started." placeholder:"URL"`
	Patients int           `help:"People who write. Nobody is answered more than 40 times a day." default:"2000"`
	For      time.Duration `help:"How long each door is driven." default:"10s"`
	Enrolled int           `help:"Measure instead how lookout does with so many people enrolled on sqlite (1000000): its memory, its start, and what a wake costs. Makes a file of 5 KB a person." placeholder:"N"`
	BareDoor string        `hidden:"" help:"Is the floor, for a bench that has started this process."`
	Share    float64       `help:"The open-loop rate of webhooks, as a share of what the store was found to take at most." default:"0.5"`
}

// Help is shown by lookout bench --help.
func (*benchCmd) Help() string {
	return `Starts a process of its own with a stand-in for Twilio, drives its public doors, and prints throughput, latencies, memory and CPU beside what the
machine can do at best in the same run. Latencies are counted from when a request was due, whether or not the earlier ones had been served.

Example:
  lookout bench --store sqlite --for 5s`
}

// Run measures each store, and beside it the floors.
func (c *benchCmd) Run(e *env) error {
	if c.Patients < 1 || c.For <= 0 || c.Share <= 0 || c.Share > 1 {
		return errors.New("bench: --patients and --for must be above 0, --share above 0 and at most 1")
	}
	dir, err := os.MkdirTemp("", "lookout-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if c.BareDoor != "" {
		return (&bench{benchCmd: c, env: e, kind: c.Stores[0], client: newBenchClient()}).serveBareDoor(c.BareDoor)
	}
	if c.Enrolled > 0 {
		return (&bench{benchCmd: c, env: e, kind: "sqlite", dir: dir, client: newBenchClient()}).manyEnrolled()
	}
	fmt.Fprintf(e.out, "%d people, each door for %s\n", c.Patients, c.For)
	for _, kind := range c.Stores {
		b := &bench{benchCmd: c, env: e, kind: kind, dir: filepath.Join(dir, kind)}
		if err := errors.Join(os.Mkdir(b.dir, 0o700), b.run()); err != nil {
			return fmt.Errorf("bench on %s: %w", kind, err)
		}
	}
	return nil
}

// bench is the measurement of one store.
type bench struct {
	*benchCmd
	*env
	kind, dir string
	url       string
	table     *tabwriter.Writer
	patients  []string
	client    *http.Client
	process   *os.Process  // the lookout that is measured
	answered  atomic.Int64 // texts that it has given to the carrier
}

func newBenchClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * callers}}
}

const (
	benchToken = "the-token-of-the-bench"
	benchKey   = "the key of the bench, of forty letters.."
	benchSID   = "AC00000000000000000000000000000001"
	benchAuth  = "secret"
	callers    = 64 // at once, where it is asked how much goes
	// answersEach is how many answers one person is made to have: package bot sends nobody
	// more than 40 texts a day, and some of these are not answers.
	answersEach = 30
)

func (b *bench) run() error {
	b.client = newBenchClient()
	defer b.client.CloseIdleConnections()
	store, bare, apart := "sqlite:"+filepath.Join(b.dir, "lookout.db"), b.bareSQLite, filepath.Join(b.dir, "door")
	if b.kind == "redis" {
		at, stop, err := b.redis()
		if err != nil {
			return err
		}
		defer stop()
		store, bare, apart = at, func() (*bareStore, error) { return b.bareRedis(at) }, at
	} else if err := os.Mkdir(apart, 0o700); err != nil {
		return err
	}
	b.table = tabwriter.NewWriter(b.out, 2, 4, 2, ' ', 0)
	fmt.Fprintf(b.table, "\n%s\tper second\tp50\tp99\tp99.9\tworst\n", b.kind)
	if err := errors.Join(b.bareHandler(), b.echo()); err != nil {
		return err
	}
	stop, settings, err := b.begin(store)
	if err != nil {
		return err
	}
	defer stop()
	if err := b.enrol(); err != nil {
		return err
	}
	floor, err := bare()
	if err != nil {
		return fmt.Errorf("the floor: %w", err)
	}
	defer floor.close()
	door, err := b.bareDoor(apart)
	if err != nil {
		return fmt.Errorf("the floor: %w", err)
	}
	defer door.stop()
	idle, err := b.use()
	if err != nil {
		return err
	}
	// In turns, so that whatever else the machine does meanwhile falls on both.
	const rounds = 4
	var texts, bareTexts, commits tally
	keep := floorTurns(floor)
	for range rounds {
		left := answersEach*int64(b.Patients) - texts.n
		if left <= 0 {
			break // nobody is answered more often: what was measured so far has to do
		}
		if err := errors.Join(commits.flood(b, b.For/rounds, math.MaxInt64, keep, nil), bareTexts.flood(b, b.For/rounds, math.MaxInt64, door.text, &door.answered), texts.flood(b, b.For/rounds, left, b.webhook, &b.answered)); err != nil {
			return fmt.Errorf("texts: %w", err)
		}
	}
	busy, err := b.use()
	if err != nil {
		return err
	}
	b.row("floor: bare grouped commits of a text's turn", commits.rate(), nil)
	b.row("floor of the door: texts taken, kept and answered", bareTexts.rate(), nil)
	b.row("texts taken, kept and answered, as fast as it goes", texts.rate(), nil)
	most := texts.rate()
	rate := most * b.Share
	for _, door := range []struct {
		name string
		rate float64
		make func(settings string) (func(i int64) error, func(), error)
	}{
		{"webhooks", rate, func(string) (func(int64) error, func(), error) { return b.webhook, func() {}, nil }},
		{"chat sockets", 0, b.sockets},
		{"desk list", 10, b.desk},
		{"API queue", 50, func(string) (func(int64) error, func(), error) { return b.queue, func() {}, nil }},
	} {
		one, done, err := door.make(settings)
		if err == nil {
			if door.rate == 0 {
				door.rate = float64(min(100, b.Patients))
			}
			err = b.openLoop(door.name, door.rate, one)
			done()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", door.name, err)
		}
	}
	if err := b.table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b.out, `a text makes %d commits: her turn, the claim of its answer, and that it was sent. The floor of the door is a bare handler that makes
as many, of the same rows and bytes, with the same request to the same kind of carrier, and checks and decides nothing.
texts answered: %.0f a second, %.0f commits; the floor %.0f, %.0f commits: %.2f of the floor
CPU of lookout's process a text %.2f ms; memory %.0f MB, of which %.0f MB without load
`,
		commitsOfText, most, commitsOfText*most, bareTexts.rate(), commitsOfText*bareTexts.rate(), most/bareTexts.rate(),
		1000*(busy.cpu-idle.cpu)/float64(texts.n), busy.memory/1e6, idle.memory/1e6)
	return nil
}

// floorTurns keeps what a text's turn keeps, and nothing more comes of it.
func floorTurns(store *bareStore) func(int64) error {
	next := atomic.Int64{}
	return func(int64) error { return store.turn(next.Add(1)) }
}

// tally is what went in several stretches of time.
type tally struct {
	n    int64
	took time.Duration
}

func (t *tally) rate() float64 { return float64(t.n) / t.took.Seconds() }

// flood lets many callers go on for a while, most times at most, and waits until all that
// they did is answered, where something counts the answers.
func (t *tally) flood(b *bench, length time.Duration, most int64, one func(i int64) error, answered *atomic.Int64) error {
	began, before := time.Now(), int64(0)
	if answered != nil {
		before = answered.Load()
	}
	_, n, err := b.floodFor(length, most, one)
	for err == nil && answered != nil && answered.Load()-before < n {
		if time.Since(began) > length+time.Minute {
			return fmt.Errorf("%d of %d texts were never answered", n-(answered.Load()-before), n)
		}
		time.Sleep(time.Millisecond)
	}
	t.n, t.took = t.n+n, t.took+time.Since(began)
	return err
}

// row prints one line of the table.
func (b *bench) row(name string, perSecond float64, h *hdrhistogram.Histogram) {
	fmt.Fprintf(b.table, "%s\t%.0f", name, perSecond)
	if h != nil {
		for _, q := range []float64{50, 99, 99.9, 100} {
			fmt.Fprintf(b.table, "\t%.1f ms", float64(h.ValueAtPercentile(q))/1000)
		}
	}
	fmt.Fprintln(b.table)
}

// flood lets many callers go on without a pause, and says how many went a second, and in all.
func (b *bench) flood(one func(i int64) error) (float64, int64, error) {
	return b.floodFor(b.For, math.MaxInt64, one)
}

func (b *bench) floodFor(length time.Duration, most int64, one func(i int64) error) (float64, int64, error) {
	var next, done atomic.Int64
	began := time.Now()
	err := b.atOnce(callers, func(int) error {
		for time.Since(began) < length {
			i := next.Add(1)
			if i > most {
				return nil
			}
			if err := one(i); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(began).Seconds(), done.Load(), err
}

// atOnce runs n of something, and gives the first fault.
func (b *bench) atOnce(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	faults := make(chan error, n)
	for i := range n {
		wg.Go(func() {
			if err := do(i); err != nil {
				faults <- err
			}
		})
	}
	wg.Wait()
	close(faults)
	return <-faults
}

// openLoop makes requests at a rate, each at its own moment, and prints how long each
// took since then.
func (b *bench) openLoop(name string, rate float64, one func(i int64) error) error {
	h := hdrhistogram.New(1, 120_000_000, 3) // microseconds
	var mu sync.Mutex
	var fault error
	var wg sync.WaitGroup
	n := max(1, int64(rate*b.For.Seconds()))
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-b.ctx.Done():
				return b.ctx.Err()
			}
		}
		wg.Go(func() {
			err := one(i)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && fault == nil {
				fault = err
			}
			_ = h.RecordValue(max(1, took.Microseconds())) // beyond two minutes: the client has given up before
		})
	}
	wg.Wait()
	b.row(name, float64(n)/time.Since(began).Seconds(), h)
	return fault
}

// begin starts a process on the store and gives what ends it, and its settings' file.
func (b *bench) begin(store string) (stop func(), file string, err error) {
	carrier := standin.New(benchSID, benchAuth)
	carrier.Receipts = false
	carrier.OnMessage = func(standin.Message) { b.answered.Add(1) }
	twilio := httptest.NewServer(carrier)
	end := func() { carrier.Close(); twilio.Close() }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		end()
		return nil, "", err
	}
	addr := listener.Addr().String()
	listener.Close()
	b.url = "http://" + addr
	file = filepath.Join(b.dir, "lookout.yaml")
	err = os.WriteFile(file, fmt.Appendf(nil, `
addr: %s
store: %q
api_token: %s
twilio: {account_sid: %s, auth_token: %s, from: "+447700900001", api_url: %s, per_second: 100000}
chat: {vouch_key: %q}
trusted_proxies: [127.0.0.1]
service: {name: Anytown breast nurses, nurse_line: 01632 960 001}
`, addr, store, benchToken, benchSID, benchAuth, twilio.URL, benchKey), 0o600)
	if err != nil {
		end()
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		end()
		return nil, "", err
	}
	var log bytes.Buffer
	process := exec.CommandContext(b.ctx, self, "serve", "--unsigned", "--settings", file)
	process.Stderr = &log
	if err := process.Start(); err != nil {
		end()
		return nil, "", err
	}
	b.process = process.Process
	ended := make(chan struct{})
	go func() { _ = process.Wait(); close(ended) }() // how it ends is in its log
	stop = func() {
		_ = process.Process.Signal(os.Interrupt) // it may have ended
		<-ended
		end()
	}
	for range 600 {
		if response, err := b.client.Get(b.url + "/readyz"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return stop, file, nil
			}
		}
		select {
		case <-ended:
			stop()
			return nil, "", fmt.Errorf("the process ended: %s", &log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	return nil, "", fmt.Errorf("the process does not become ready: %s", &log)
}

// use is what the process has used so far.
type use struct{ cpu, memory float64 } // seconds, bytes

func (b *bench) use() (use, error) {
	response, err := b.client.Get(b.url + "/metrics")
	if err != nil {
		return use{}, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return use{}, err
	}
	value := func(name string) float64 {
		m := all[name].GetMetric()
		if len(m) == 0 {
			return 0
		}
		return m[0].GetCounter().GetValue() + m[0].GetGauge().GetValue()
	}
	return use{value("process_cpu_seconds_total"), value("process_resident_memory_bytes")}, nil
}

// ask makes a request, and wants an answer.
func (b *bench) ask(client *http.Client, method, path, kind, body string, want int, head http.Header) ([]byte, *http.Response, error) {
	r, err := http.NewRequestWithContext(b.ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if head != nil {
		r.Header = head
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s answered %d, not %d", path, response.StatusCode, want)
	}
	return text, response, err
}

const formKind = "application/x-www-form-urlencoded"

func bearer() http.Header { return http.Header{"Authorization": {"Bearer " + benchToken}} }

func benchPhone(i int64) string { return fmt.Sprintf("+44770%07d", 9_000_000+i) }

func (b *bench) enrol() error {
	b.patients = make([]string, b.Patients)
	return b.atOnce(min(callers, b.Patients), func(k int) error {
		for i := k; i < b.Patients; i += min(callers, b.Patients) {
			text, _, err := b.ask(b.client, "POST", "/api/v1/patients", "application/json", fmt.Sprintf(`{"given_name":"Mary","family_name":"Jones","birth_date":"1961-04-30","phone":%q,"locale":"en-GB",
				"treatment_ended":"2026-09-30","plan":"standard","consent":{"sms":true}}`, benchPhone(int64(i))), http.StatusCreated, bearer())
			var is struct{ ID string }
			if err == nil {
				err = json.Unmarshal(text, &is)
			}
			if err != nil {
				return fmt.Errorf("enrol: %w", err)
			}
			b.patients[i] = is.ID
		}
		return nil
	})
}

// webhook is one text to lookout. She asks for the signs to know, which is answered
// each time.
func (b *bench) webhook(i int64) error { return b.text(b.url, i) }

// text is one text to a door, signed as Twilio does.
func (b *bench) text(door string, i int64) error {
	form := url.Values{"MessageSid": {"SM" + rand.Text()}, "AccountSid": {benchSID}, "From": {benchPhone(i % int64(b.Patients))}, "To": {"+447700900001"}, "Body": {"SIGNS"}, "NumMedia": {"0"}}
	r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, door+"/twilio/inbound", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", formKind)
	r.Header.Set("X-Twilio-Signature", standin.Sign(benchAuth, door+"/twilio/inbound", form))
	response, err := b.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("a text was answered with %d, not 200", response.StatusCode)
	}
	return nil
}

func (b *bench) queue(int64) error {
	_, _, err := b.ask(b.client, "GET", "/api/v1/queue?state=open", "", "", http.StatusOK, bearer())
	return err
}

// sockets lets people into the chat by the hospital's word, and gives what says one message.
func (b *bench) sockets(string) (func(int64) error, func(), error) {
	type page struct {
		mu   sync.Mutex
		conn *websocket.Conn
	}
	pages := make([]page, min(100, b.Patients))
	done := func() {
		for i := range pages {
			if pages[i].conn != nil {
				pages[i].conn.Close()
			}
		}
	}
	err := b.atOnce(len(pages), func(i int) error {
		now := b.now()
		word, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: b.patients[i], Audience: jwt.ClaimStrings{b.url + "/chat"}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(4 * time.Minute))}).SignedString([]byte(benchKey))
		if err != nil {
			return err
		}
		_, in, err := b.ask(b.client, "POST", "/chat/vouch", formKind, url.Values{"voucher": {word}}.Encode(), http.StatusNoContent, http.Header{"X-Forwarded-For": {fmt.Sprintf("10.0.%d.%d", i/250, i%250)}})
		if err != nil {
			return err
		}
		head := http.Header{"Origin": {b.url}}
		for _, cookie := range in.Cookies() {
			head.Add("Cookie", cookie.Name+"="+cookie.Value)
		}
		conn, _, err := websocket.DefaultDialer.DialContext(b.ctx, "ws"+strings.TrimPrefix(b.url, "http")+"/chat/ws", head)
		if err != nil {
			return err
		}
		pages[i].conn = conn
		return conn.WriteJSON(map[string]any{"type": "hello", "after": 0})
	})
	return func(i int64) error {
		p, id := &pages[int(i)%len(pages)], rand.Text()
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := p.conn.WriteJSON(map[string]any{"type": "say", "id": id, "text": fmt.Sprintf("no nothing new thanks %d", i)}); err != nil {
			return err
		}
		for {
			var f struct{ Type, ID string }
			if err := p.conn.ReadJSON(&f); err != nil {
				return err
			}
			switch {
			case f.Type == "stored" && f.ID == id:
				return nil
			case f.Type == "later" || f.Type == "refused":
				return fmt.Errorf("a message was answered with %s", f.Type)
			}
		}
	}, done, err
}

// desk signs a nurse in, and gives what opens the list. Twenty people have said what
// worries, so that there is one.
func (b *bench) desk(settings string) (func(int64) error, func(), error) {
	done := func() {}
	link := ""
	err := withBot(b.env, settings, mustExist, func(ctx context.Context, lookout *bot.Bot) (err error) {
		link, err = lookout.Invite(ctx, bot.User{Email: "bench@example.nhs.uk", Name: "Bench", Role: bot.Nurse})
		return err
	})
	if err != nil {
		return nil, done, err
	}
	_, token, _ := strings.Cut(link, "k=")
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, done, err
	}
	ann := &http.Client{Jar: jar, Timeout: b.client.Timeout, Transport: b.client.Transport}
	if _, _, err := b.ask(ann, "POST", "/desk/welcome", formKind, url.Values{"k": {token}, "password": {"harbour lemon ladder"}}.Encode(), http.StatusOK, nil); err != nil {
		return nil, done, err
	}
	for i := range min(20, int64(b.Patients)) {
		form := url.Values{"MessageSid": {"SM" + rand.Text()}, "AccountSid": {benchSID}, "From": {benchPhone(i)}, "To": {"+447700900001"}, "Body": {"found a lump in my breast"}, "NumMedia": {"0"}}
		if _, _, err := b.ask(b.client, "POST", "/twilio/inbound", formKind, form.Encode(), http.StatusOK, http.Header{"X-Twilio-Signature": {standin.Sign(benchAuth, b.url+"/twilio/inbound", form)}}); err != nil {
			return nil, done, err
		}
	}
	return func(int64) error {
		page, _, err := b.ask(ann, "GET", "/desk/", "", "", http.StatusOK, nil)
		if err == nil && !bytes.Contains(page, []byte("desk-rows")) {
			err = errors.New("the list shows no rows")
		}
		return err
	}, done, nil
}
