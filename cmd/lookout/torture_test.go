package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
)

// TestTorture plays people who text and chat, nurses and the clock against real
// processes, and by a seed breaks what can break; then it proves from the store, the
// phones and the desk that nothing was lost, doubled, disordered or held by two.
// TORTURE_SEED gives the seed (a failure says its own), TORTURE_ROUNDS how many
// faults; `make torture` plays for long.
func TestTorture(t *testing.T) {
	seed := uint64(sized(t, "TORTURE_SEED", 7))
	rounds := sized(t, "TORTURE_ROUNDS", 0)
	binary := filepath.Join(t.TempDir(), "lookout")
	if out, err := exec.Command("go", "build", "-tags", "torture", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Run("File", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 1)
		o.play(rounds, (*ordeal).kill, (*ordeal).pause, (*ordeal).kill)
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 3)
		o.play(rounds, (*ordeal).kill, (*ordeal).pause, (*ordeal).cut, (*ordeal).mute, (*ordeal).slow, (*ordeal).full, (*ordeal).powerCut, (*ordeal).failOver)
	})
	// A rolling restart, behind a proxy that asks /readyz, fails no request at all.
	t.Run("RollingRestart", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 2)
		go o.askReady(t.Context())
		o.play(min(rounds, 20), (*ordeal).renew, (*ordeal).renew)
		if n := o.refused.Load(); n > 0 {
			t.Errorf("%d requests found no process", n)
		}
	})
}

// host is one lookout process.
type host struct {
	*world
	settings string
	store    string
	log      *bytes.Buffer
	clock    *os.File         // its time, as it is turned
	proxy    *toxiproxy.Proxy // between it and Redis
	cmd      *exec.Cmd
	ended    <-chan struct{} // closed when cmd has ended, with fault
	fault    error
	resting  atomic.Bool // killed or paused: the balancer leaves it out
}

// ordeal is a service that is tortured.
type ordeal struct {
	*world // through the balancer
	binary string
	seed   uint64
	random *mathrand.Rand // of the faults; each actor has its own
	hosts  []*host
	redis  *storetest.Watched // nil: a file
	master *storetest.Redis
	logged sync.Mutex
	turned time.Duration
	turns  []turned
	night  time.Duration // turned since the claims last ran out

	refused atomic.Int64 // requests that the balancer could not bring to an end

	mu       sync.Mutex
	messages []*written
	held     history
	arrived  map[string]time.Time // when a text of ours came to the carrier, by its id there
}

// turned is how far the clocks were turned from a time on.
type turned struct {
	at time.Time
	by time.Duration
}

// written is something that a person wrote.
type written struct {
	id       string // at the carrier, or her page's own
	phone    string // or, of a chat, her id
	text     string
	at       time.Time // before anybody could know of it
	accepted time.Time // when it was first called received; zero: never
}

const (
	nurses   = 3
	phones   = 10
	chatters = 3
	each     = 4 // messages of one person in a round
	vouchKey = "a key for tests only, of forty letters.."
	began    = "2026-11-24T10:30:00Z" // a Tuesday, in working hours
)

// newOrdeal starts so many processes, on a file if it is one, and enrols everybody.
func newOrdeal(t *testing.T, binary string, seed uint64, n int) *ordeal {
	t.Helper()
	at, err := time.Parse(time.RFC3339, began)
	if err != nil {
		t.Fatal(err)
	}
	o := &ordeal{binary: binary, seed: seed, random: mathrand.New(mathrand.NewPCG(seed, 0)), arrived: map[string]time.Time{}, turned: time.Until(at)}
	carrier := standin.New("AC00000000000000000000000000000001", "secret")
	t.Cleanup(carrier.Close)
	carrier.Now = func() time.Time { o.mu.Lock(); defer o.mu.Unlock(); return time.Now().Add(o.turned) }
	twilio := httptest.NewServer(carrier)
	t.Cleanup(twilio.Close)
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := url.Parse(o.anyHost().url) // a test's own address
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{ResponseHeaderTimeout: 2 * time.Second, MaxIdleConnsPerHost: 32},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() == nil { // else whoever asked has gone
				o.refused.Add(1)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	t.Cleanup(balancer.Close)
	carrier.Product = balancer.URL
	o.world = &world{T: t, carrier: carrier, url: balancer.URL, log: &bytes.Buffer{}}
	dir := t.TempDir()
	store := "sqlite:" + filepath.Join(dir, "lookout.db")
	if n > 1 {
		o.redis = storetest.StartWatched(t, 2, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--repl-ping-replica-period", "1")
		o.master = o.redis.Servers[0]
	}
	toxics := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for i := range n {
		h := &host{world: &world{T: t, carrier: carrier}, log: &bytes.Buffer{}, settings: filepath.Join(dir, fmt.Sprintf("lookout%d.yaml", i)), store: store}
		copies := ""
		if o.redis != nil {
			h.proxy = toxiproxy.NewProxy(toxics, fmt.Sprint("host", i), "127.0.0.1:0", o.master.Addr)
			if err := h.proxy.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(h.proxy.Stop)
			h.store, copies = "redis://"+h.proxy.Listen, `redis: {copies: "1"}`
		}
		addr := storetest.FreeAddr(t)
		h.url = "http://" + addr
		err := os.WriteFile(h.settings, fmt.Appendf(nil, `
addr: %s
drain: 1s
public_url: %s
store: "%s"
%s
api_token: %s
twilio: {account_sid: %s, auth_token: %s, from: "%s", api_url: %s, per_second: 1000}
chat: {vouch_key: "%s"}
service:
  name: Anytown breast nurses
  nurse_line: 01632 960 001
  duty: [{name: Duty nurse, phone: "%s"}, {name: Lead, phone: "%s"}]
`, addr, balancer.URL, h.store, copies, apiToken, carrier.SID, carrier.Token, ourNumber, twilio.URL, vouchKey, nursePhone, leadPhone), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if h.clock, err = os.Create(filepath.Join(dir, fmt.Sprintf("clock%d", i))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.clock.Close() })
		o.hosts = append(o.hosts, h)
	}
	o.turn(0)
	var starting sync.WaitGroup
	for _, h := range o.hosts {
		starting.Go(func() { o.start(h) })
	}
	starting.Wait()
	carrier.OnMessage = func(m standin.Message) {
		if !m.Inbound {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.arrived[m.SID] = time.Now()
		}
	}
	return o
}

const leadPhone = "+447700900901"

// turn puts every clock forward.
func (o *ordeal) turn(by time.Duration) {
	o.mu.Lock()
	o.turned += by
	o.night += by
	o.turns = append(o.turns, turned{time.Now(), o.turned})
	o.mu.Unlock()
	for _, h := range o.hosts {
		o.set(h, 0)
	}
}

// set turns the clock of one process, which may go wrong by a little.
func (o *ordeal) set(h *host, wrong time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var text [8]byte
	binary.LittleEndian.PutUint64(text[:], uint64(o.turned+wrong))
	if _, err := h.clock.WriteAt(text[:], 0); err != nil {
		o.Error(err)
	}
}

// start starts a process and waits until it is ready. One that ends, because it could
// not have its store, is started again, as it is by whoever runs it.
func (o *ordeal) start(h *host) {
	o.Helper()
	for range 5 {
		h.cmd = exec.Command(o.binary, "serve", "--unsigned", "--settings", h.settings)
		h.cmd.Env = append(os.Environ(), "TORTURE_CLOCK="+h.clock.Name())
		h.cmd.Stderr = &lockedBuffer{&o.logged, h.log}
		h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := h.cmd.Start(); err != nil {
			o.Error(err)
			return
		}
		cmd, ended := h.cmd, make(chan struct{})
		h.ended = ended
		go func() { h.fault = cmd.Wait(); close(ended) }()
		o.Cleanup(func() { cmd.Process.Kill(); <-ended })
		for ticker := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-ended:
			case <-ticker:
				if h.answers("/readyz") {
					return
				}
				continue
			}
			break
		}
	}
	o.Errorf("a process did not start:\n%s", tail(h.log, &o.logged))
}

func (h *host) answers(path string) bool {
	response, err := http.Get(h.url + path)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// anyHost is one of the processes that are up, most likely.
func (o *ordeal) anyHost() *host {
	from := mathrand.IntN(len(o.hosts))
	for i := range o.hosts {
		if h := o.hosts[(from+i)%len(o.hosts)]; !h.resting.Load() {
			return h
		}
	}
	return o.hosts[from]
}

// play lets the faults come, each in a round of its own and in an order by the
// seed, again and again for so many rounds (0: each once). Then it checks.
func (o *ordeal) play(rounds int, faults ...func(*ordeal, *host)) {
	people := make([]string, phones)
	for i := range people {
		people[i] = fmt.Sprintf("+4477009002%02d", i)
		o.hosts[0].enrolUnheard("Patient", people[i])
	}
	pages := make([]*chatter, chatters)
	for i := range pages {
		pages[i] = o.letIn(i)
	}
	if rounds == 0 {
		rounds = len(faults)
	}
	var order []int
	for round := range rounds {
		if len(order) == 0 {
			order = o.random.Perm(len(faults))
		}
		fault := faults[order[0]]
		order = order[1:]
		wait := time.Duration(o.random.IntN(150)) * time.Millisecond
		struck := o.hosts[o.random.IntN(len(o.hosts))]
		wrong := time.Duration(o.random.IntN(3000)-1500) * time.Millisecond
		var acting sync.WaitGroup
		own := func(who int) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(o.seed, uint64(round*1000+who+1))) }
		o.carrier.Fail(standin.Fault{Break: true, Accept: true}, standin.Fault{Status: 503}, standin.Fault{Status: 500, Accept: true}, standin.Fault{Status: 429, Code: 20429})
		o.set(struck, wrong)
		for i, phone := range people {
			acting.Go(func() { o.texts(phone, round, own(i)) })
		}
		for i, page := range pages {
			acting.Go(func() { o.chats(page, round, own(100+i)) })
		}
		done := make(chan struct{})
		var nursing sync.WaitGroup
		for i := range nurses {
			nursing.Go(func() { o.nurse(i, own(200+i), done) })
		}
		nursing.Go(func() { o.onCall(own(300), round, done) })
		<-time.After(wait) // a fault strikes amid the work: it has no event to wait for
		fault(o, struck)
		acting.Wait()
		close(done)
		nursing.Wait()
		o.set(struck, 0)
		if o.night > 18*time.Minute || o.random.IntN(4) == 0 {
			o.letClaimsRunOut()
		} else {
			o.turn(2 * time.Minute)
		}
	}
	o.check(pages)
}

// askReady leaves out who is not ready, as the proxy of compose.yaml does.
func (o *ordeal) askReady(ctx context.Context) {
	for ticker := time.Tick(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker:
			for _, h := range o.hosts {
				h.resting.Store(!h.answers("/readyz"))
			}
		}
	}
}

// renew stops each process as an operator does, and starts it again, one after the other.
func (o *ordeal) renew(*host) {
	for _, h := range o.hosts {
		if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			o.Error(err)
		}
		<-h.ended
		if h.fault != nil {
			o.Errorf("a stop ended with %v:\n%s", h.fault, tail(h.log, &o.logged))
		}
		o.start(h)
		if !eventually(o.T, func() bool { return !h.resting.Load() }) {
			o.Error("nobody is led to a process that was started again")
		}
	}
}

// kill ends a process at once, and starts it again.
func (o *ordeal) kill(h *host) {
	h.resting.Store(true)
	h.cmd.Process.Kill()
	<-h.ended
	h.resting.Store(false) // a balancer takes a while to see it, as this one does to see that it is back
	o.start(h)
}

// pause stops a process beyond its leases, and lets it go on.
func (o *ordeal) pause(h *host) {
	h.cmd.Process.Signal(syscall.SIGSTOP)
	<-time.After(300 * time.Millisecond) // requests that hang
	h.resting.Store(true)
	o.turn(45 * time.Second)
	<-time.After(1500 * time.Millisecond) // the others look at what was leased each second
	h.cmd.Process.Signal(syscall.SIGCONT)
	h.resting.Store(false)
}

// cut breaks every connection between a process and Redis.
func (o *ordeal) cut(h *host) {
	h.proxy.Stop()
	<-time.After(700 * time.Millisecond)
	if err := h.proxy.Start(); err != nil {
		o.Error(err)
	}
}

// mute loses the answers of Redis to a process, and then the connections.
func (o *ordeal) mute(h *host) {
	o.spoil(h, 800*time.Millisecond, `{"type":"timeout","stream":"downstream","attributes":{"timeout":150}}`)
}

// slow makes Redis far away.
func (o *ordeal) slow(h *host) {
	o.spoil(h, 1500*time.Millisecond, `{"type":"latency","stream":"upstream","attributes":{"latency":60,"jitter":40}}`, `{"type":"slicer","stream":"downstream","attributes":{"average_size":64,"size_variation":32,"delay":50}}`)
}

func (o *ordeal) spoil(h *host, long time.Duration, toxics ...string) {
	for _, toxic := range toxics {
		if _, err := h.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			o.Error(err)
		}
	}
	<-time.After(long)
	h.proxy.Toxics.ResetToxics(o.Context())
}

// full leaves Redis no room for anything more.
func (o *ordeal) full(*host) {
	o.master.Set(o.T, "maxmemory", "1")
	<-time.After(500 * time.Millisecond)
	o.master.Set(o.T, "maxmemory", "0")
}

// powerCut ends Redis at once, and starts it again on its file.
func (o *ordeal) powerCut(*host) {
	o.master.Kill()
	o.master.Again(o.T)
}

// failOver ends Redis for good, and lets the Sentinels choose another; the old one
// comes back as a replica.
func (o *ordeal) failOver(*host) {
	from := o.redis.Said()
	old := o.master
	old.Kill()
	addr := o.redis.AwaitSwitch(o.T, from)
	for _, r := range o.redis.Servers {
		if r.Addr == addr {
			o.master = r
		}
	}
	for _, h := range o.hosts {
		if err := h.proxy.Update(&toxiproxy.Proxy{Listen: h.proxy.Listen, Upstream: addr, Enabled: true}); err != nil {
			o.Error(err)
		}
	}
	old.Again(o.T)
	for _, h := range o.hosts {
		if !eventually(o.T, func() bool { return h.answers("/readyz") }) {
			o.Errorf("a process does not find the new master:\n%s", tail(h.log, &o.logged))
		}
	}
}

// said are the words of people: harmless, worrying, dire, and what nobody understands.
var said = []string{"all fine thanks", "found a lump in my breast", "my calf is swollen and hot", "who knows, wibble wobble", "no nothing new", "I cant breathe, chest pain"}

// texts is one person's texting: now and then the carrier calls twice, late, out
// of order or not at all.
func (o *ordeal) texts(phone string, round int, random *mathrand.Rand) {
	var late []*written
	for n := range each {
		m := &written{phone: phone, text: fmt.Sprintf("%s (%d.%d)", said[random.IntN(len(said))], round, n), at: time.Now()}
		m.id = o.carrier.Lose(phone, ourNumber, m.text)
		o.note(m)
		switch kind := random.IntN(20); {
		case kind == 0: // only the log has it
		case kind < 3:
			late = append(late, m)
		case kind < 5:
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() { o.deliver(m) })
			}
			both.Wait()
		default:
			for range 3 { // a carrier that is told to tries again
				if o.deliver(m) {
					break
				}
			}
		}
	}
	for i := range late {
		o.deliver(late[len(late)-1-i])
	}
}

func (o *ordeal) note(m *written) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages = append(o.messages, m)
}

func (o *ordeal) accept(m *written) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.accepted.IsZero() {
		m.accepted = time.Now()
	}
}

func (o *ordeal) deliver(m *written) bool {
	status, err := o.carrier.Redeliver(m.id)
	if err != nil || status != http.StatusOK {
		return false
	}
	o.accept(m)
	return true
}

// chatter is somebody who writes on the web page.
type chatter struct {
	patient string
	cookies string
	conn    *websocket.Conn
}

// letIn enrols somebody and gets her into the chat by the hospital's word.
func (o *ordeal) letIn(i int) *chatter {
	c := &chatter{patient: o.hosts[0].enrolUnheard("Chatter", fmt.Sprintf("+4477009003%02d", i))}
	now := o.carrier.Now()
	word, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: c.patient, Audience: jwt.ClaimStrings{o.url + "/chat"}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(4 * time.Minute))}).SignedString([]byte(vouchKey))
	if err != nil {
		o.Fatal(err)
	}
	response, err := http.PostForm(o.hosts[0].url+"/chat/vouch", url.Values{"voucher": {word}})
	if err != nil || response.StatusCode != http.StatusNoContent || len(response.Cookies()) != 1 {
		o.Fatalf("the chat does not let her in: %v, %v", response, err)
	}
	response.Body.Close()
	c.cookies = response.Cookies()[0].Name + "=" + response.Cookies()[0].Value
	return c
}

// chats is one person's writing on the page, which goes on where it was after every break.
func (o *ordeal) chats(c *chatter, round int, random *mathrand.Rand) {
	for n := range each {
		m := &written{id: fmt.Sprintf("r%dn%d", round, n), phone: c.patient, text: fmt.Sprintf("%s (%d.%d)", said[random.IntN(len(said))], round, n), at: time.Now()}
		o.note(m)
		for tries := 0; ; tries++ {
			if c.conn == nil {
				home := o.anyHost().url
				conn, _, err := light.Dial("ws"+strings.TrimPrefix(home, "http")+"/chat/ws", http.Header{"Origin": {home}, "Cookie": {c.cookies}})
				if err == nil && conn.WriteJSON(map[string]any{"type": "hello", "after": 0}) == nil {
					c.conn = conn
				}
			}
			if c.conn != nil && sayAndHear(c.conn, m.id, m.text) {
				break
			}
			if c.conn != nil {
				c.conn.Close()
				c.conn = nil
			}
			if tries > 200 {
				o.Errorf("a chat message is not stored after %d tries", tries)
				return
			}
			<-time.After(100 * time.Millisecond) // as a page waits
		}
		o.accept(m)
	}
}

// onCall answers pages, now and then twice.
func (o *ordeal) onCall(random *mathrand.Rand, round int, done <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(200+random.IntN(300)) * time.Millisecond):
		}
		phone := []string{nursePhone, leadPhone}[random.IntN(2)]
		m := &written{phone: phone, text: []string{"ACK", "PASS"}[random.IntN(2)], at: time.Now()}
		m.id = o.carrier.Lose(phone, ourNumber, m.text)
		o.note(m)
		o.deliver(m)
		if random.IntN(4) == 0 {
			o.deliver(m)
		}
	}
}

// nurse takes rows, notes, gives back and closes, at whichever process answers.
func (o *ordeal) nurse(i int, random *mathrand.Rand, done <-chan struct{}) {
	name := string(rune('a'+i)) + "@example.nhs.uk"
	client := &http.Client{Timeout: 3 * time.Second}
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(random.IntN(60)) * time.Millisecond):
		}
		state := []string{"open", "claimed"}[random.IntN(2)]
		began := time.Now()
		var queue struct {
			Items []struct {
				ID        string `json:"id"`
				ClaimedBy string `json:"claimed_by"`
			}
		}
		if status, body := o.ask(client, "GET", "/api/v1/queue?state="+state, ""); status != http.StatusOK || json.Unmarshal(body, &queue) != nil || len(queue.Items) == 0 {
			continue
		}
		for _, row := range queue.Items {
			o.held.add(act{i, row.ID, "see", row.ClaimedBy}, http.StatusOK, began)
		}
		row := queue.Items[random.IntN(min(5, len(queue.Items)))].ID // all go for the first ones
		what, body := "claim", map[string]string{"by": name}
		switch kind := random.IntN(10); {
		case kind < 5:
		case kind < 7:
			what = "release"
		case kind < 9:
			what, body["text"] = "note", "rang, no answer"
		default:
			what, body["outcome"] = "close", "clinic"
		}
		text, _ := json.Marshal(body)
		began = time.Now()
		status, _ := o.ask(client, "POST", "/api/v1/queue/"+row+"/"+what, string(text))
		o.held.add(act{i, row, what, name}, status, began)
	}
}

// ask asks the API of any process. Status 0: nobody knows what came of it.
func (o *ordeal) ask(client *http.Client, method, path, body string) (int, []byte) {
	r, err := http.NewRequest(method, o.anyHost().url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	r.Header.Set("Authorization", "Bearer "+apiToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 500 {
		return 0, nil
	}
	return response.StatusCode, text
}

// letClaimsRunOut turns the clocks over the length of a claim, and waits until every
// row has been given back.
func (o *ordeal) letClaimsRunOut() {
	o.Helper()
	began := time.Now()
	o.turn(31 * time.Minute)
	if !eventually(o.T, func() bool {
		status, body := o.ask(http.DefaultClient, "GET", "/api/v1/queue?state=claimed", "")
		return status == http.StatusOK && strings.Contains(string(body), `"items":[]`)
	}) {
		o.Errorf("rows are held on after their claims have run out; seed %d", o.seed)
	}
	o.held.runOut(began)
	o.night = 0
}

// signIn gives a browser in which a nurse has signed in at the desk.
func (o *ordeal) signIn(h *host) *http.Client {
	o.Helper()
	out := o.command(h, "users", "add", "ann@example.nhs.uk", "--role", "nurse", "--name", "Ann Price")
	link := regexp.MustCompile(`http\S+/desk/welcome\?\S+`).FindString(out)
	to, err := url.Parse(link)
	if err != nil || link == "" {
		o.Fatalf("no invitation: %s", out)
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	form := url.Values{"password": {"harbour lemon ladder"}}
	for name, values := range to.Query() {
		form[name] = values
	}
	h.submit(client, "/desk/welcome", form, http.StatusOK)
	return client
}

// command runs a command of lookout's beside the processes.
func (o *ordeal) command(h *host, args ...string) string {
	o.Helper()
	cmd := exec.Command(o.binary, append(args, "--settings", h.settings)...)
	cmd.Env = append(os.Environ(), "TORTURE_CLOCK="+h.clock.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.Errorf("lookout %s: %v: %s; seed %d", args[0], err, out, o.seed)
	}
	return string(out)
}

type lockedBuffer struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func tail(log *bytes.Buffer, mu *sync.Mutex) string {
	mu.Lock()
	defer mu.Unlock()
	return log.String()
}
