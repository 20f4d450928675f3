package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"golang.org/x/sys/unix"

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
		o := newOrdeal(t, binary, seed, 1, (*ordeal).onFile)
		o.play(rounds, (*ordeal).kill, (*ordeal).pause, (*ordeal).kill, (*ordeal).fullDisk)
	})
	t.Run("FullDisk", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 1, (*ordeal).onSmallDisk)
		stuff := filepath.Join(filepath.Dir(o.file), "stuff")
		fullDisk(t, o, func() {
			if !eventually(t, o.rewindLog) {
				t.Fatal("SQLite's log is not begun anew")
			}
			err := os.WriteFile(stuff, make([]byte, smallDisk), 0o600)
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
		}, func() {
			if err := os.Remove(stuff); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("FileAtItsLimit", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 1, (*ordeal).onFile)
		fullDisk(t, o, func() { o.fill(o.hosts[0], 0) }, func() { o.free(o.hosts[0]) })
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 3, (*ordeal).onRedis)
		o.play(rounds, (*ordeal).kill, (*ordeal).pause, (*ordeal).cut, (*ordeal).mute, (*ordeal).slow, (*ordeal).full, (*ordeal).powerCut, (*ordeal).failOver)
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 3, (*ordeal).onCluster)
		o.play(rounds, (*ordeal).kill, (*ordeal).pause, (*ordeal).killMaster, (*ordeal).pauseMaster, (*ordeal).cutOff, (*ordeal).moveSlots, (*ordeal).handOver)
	})
	// A rolling restart, behind a proxy that asks /readyz, fails no request at all.
	t.Run("RollingRestart", func(t *testing.T) {
		t.Parallel()
		o := newOrdeal(t, binary, seed, 2, (*ordeal).onRedis)
		go o.askReady(t.Context())
		o.play(min(rounds, 20), (*ordeal).renew, (*ordeal).renew)
		if n := o.refused.Load(); n > 0 {
			t.Errorf("%d requests found no process", n)
		}
	})
}

// A disk that is full takes nothing, which lookout says to everybody who asks: to the carrier,
// which must try again, to the proxy, to who watches, and to the nurse. It goes on by itself
// when there is room, and has lost nothing.
func fullDisk(t *testing.T, o *ordeal, fill, free func()) {
	h := o.hosts[0]
	mary := "+447700900201"
	o.enrolUnheard("Mary", mary)
	o.expect(mary, 0, "")
	get := func(path string) (int, string) {
		t.Helper()
		response, err := http.Get(h.url + path)
		if err != nil {
			t.Fatalf("%v\n%s", err, tail(h.log, &o.logged))
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	ready := func() bool { status, _ := get("/readyz"); return status == http.StatusOK }
	fill()
	var ids []string
	for n := range 3 {
		id := o.carrier.Lose(mary, ourNumber, fmt.Sprintf("found a lump (%d)", n))
		ids = append(ids, id)
		if status, err := o.carrier.Redeliver(id); status != http.StatusServiceUnavailable {
			t.Errorf("a text on a full disk is answered with %d, %v", status, err)
		}
	}
	const says = "the disk is full"
	if status, text := get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, says) {
		t.Errorf("/readyz on a full disk: %d %s", status, text)
	}
	if status, text := get("/desk/sign-in"); status != http.StatusOK || !strings.Contains(text, "Nothing can be saved") || !strings.Contains(text, says) {
		t.Errorf("the desk does not say that nothing can be saved: %d", status)
	}
	if _, text := get("/metrics"); !strings.Contains(text, "\nlookout_store_trusted 0\n") {
		t.Error("/metrics does not say that the store takes nothing")
	}
	if log := tail(h.log, &o.logged); !strings.Contains(log, "a message was not kept") {
		t.Errorf("the log does not say that messages are not kept:\n%s", log)
	}
	if status, _ := get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d: who runs lookout would end it, which makes no room", status)
	}
	free()
	if !eventually(t, ready) {
		t.Fatalf("it does not go on when there is room:\n%s", tail(h.log, &o.logged))
	}
	for _, id := range ids {
		if status, err := o.carrier.Redeliver(id); status != http.StatusOK {
			t.Errorf("a text that is tried again: %d, %v", status, err)
		}
	}
	if _, text := get("/metrics"); !strings.Contains(text, "\nlookout_store_trusted 1\n") {
		t.Error("/metrics does not say that the store is well again")
	}
	o.expect(mary, 1, "")
	h.cmd.Process.Signal(syscall.SIGTERM)
	if <-h.ended; h.fault != nil {
		t.Errorf("it ended with %v", h.fault)
	}
	store, err := openStore(t.Context(), &settings{Store: h.store}, slog.New(slog.DiscardHandler), o.carrier.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, id := range ids {
		if kept, err := store.Seen(t.Context(), "in:"+id); err != nil || !kept {
			t.Errorf("a text is lost: %v", err)
		}
	}
}

// host is one lookout process.
type host struct {
	*world
	settings string
	store    string
	log      *bytes.Buffer
	clock    *os.File         // its time, as it is turned
	proxy    *toxiproxy.Proxy // between it and Redis; nil: it finds the servers by itself
	cmd      *exec.Cmd
	ended    <-chan struct{} // closed when cmd has ended, with fault
	fault    error
	resting  atomic.Bool // killed or paused: the balancer leaves it out
}

// ordeal is a service that is tortured.
type ordeal struct {
	*world  // through the balancer
	binary  string
	seed    uint64
	random  *mathrand.Rand // of the faults; each actor has its own
	hosts   []*host
	file    string             // "": it is none
	redis   *storetest.Watched // nil: it is none
	master  *storetest.Redis
	cluster *storetest.Cluster // nil: it is none
	logged  sync.Mutex
	turned  time.Duration
	turns   []turned
	night   time.Duration // turned since the claims last ran out

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

// onFile keeps everything in a file of the one process.
func (o *ordeal) onFile() (reach func(*host) (url, copies string)) {
	o.file = filepath.Join(o.TempDir(), "lookout.db")
	return func(*host) (string, string) { return "sqlite:" + o.file, "" }
}

const smallDisk = 160 << 20

// onSmallDisk keeps everything in a file on a disk of its own, where that is allowed.
func (o *ordeal) onSmallDisk() (reach func(*host) (url, copies string)) {
	reach = o.onFile()
	disk := filepath.Dir(o.file)
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprint("size=", smallDisk)); err != nil {
		o.Skipf("a disk can be made by root only: %v", err)
	}
	o.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			o.Error(err)
		}
	})
	return reach
}

// asTheyMustBe are the settings of Redis where there are replicas, as docs/redis.md says them.
var asTheyMustBe = []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "10", "--repl-ping-replica-period", "1"}

const oneCopy = `redis: {copies: "1"}`

// onRedis keeps everything in a Redis that Sentinels watch; each process reaches the master by
// a proxy of its own, which can be spoilt.
func (o *ordeal) onRedis() (reach func(*host) (url, copies string)) {
	o.redis = storetest.StartWatched(o.T, 2, asTheyMustBe...)
	o.master = o.redis.Servers[0]
	toxics := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	return func(h *host) (string, string) {
		h.proxy = toxiproxy.NewProxy(toxics, filepath.Base(h.settings), "127.0.0.1:0", o.master.Addr)
		if err := h.proxy.Start(); err != nil {
			o.Fatal(err)
		}
		o.Cleanup(h.proxy.Stop)
		return "redis://" + h.proxy.Listen, oneCopy
	}
}

// onCluster keeps everything in a Cluster of three masters, each with a replica.
func (o *ordeal) onCluster() (reach func(*host) (url, copies string)) {
	o.held.granted = true
	o.cluster = storetest.StartCluster(o.T, 3, 1, nil, asTheyMustBe...)
	return func(*host) (string, string) { return o.cluster.URL, oneCopy }
}

// newOrdeal starts so many processes on a store.
func newOrdeal(t *testing.T, binary string, seed uint64, n int, store func(*ordeal) func(*host) (url, copies string)) *ordeal {
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
	reach := store(o)
	for i := range n {
		h := &host{world: &world{T: t, carrier: carrier}, log: &bytes.Buffer{}, settings: filepath.Join(dir, fmt.Sprintf("lookout%d.yaml", i))}
		var copies string
		h.store, copies = reach(h)
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

// anyMaster is one of the Cluster's masters, with its replica.
func (o *ordeal) anyMaster() (master, replica *storetest.Redis) {
	o.Helper()
	masters, replicas := o.cluster.Masters(o.T)
	master = masters[o.random.IntN(len(masters))]
	return master, replicas[master][0]
}

// heal waits until the Cluster is whole, and every process works on it.
func (o *ordeal) heal() {
	o.Helper()
	o.cluster.AwaitWhole(o.T, 3)
	for _, h := range o.hosts {
		if !eventually(o.T, func() bool { return h.answers("/readyz") }) {
			o.Errorf("a process does not find its way in the Cluster:\n%s", tail(h.log, &o.logged))
		}
	}
}

// killMaster ends a master, whose replica takes its place; it comes back as a replica.
func (o *ordeal) killMaster(*host) {
	master, replica := o.anyMaster()
	master.Kill()
	o.cluster.AwaitPromoted(o.T, replica)
	master.Again(o.T)
	o.heal()
}

// pauseMaster stops a master until its replica has taken its place, which it does not know
// when it goes on.
func (o *ordeal) pauseMaster(*host) {
	master, replica := o.anyMaster()
	master.Signal(syscall.SIGSTOP)
	o.cluster.AwaitPromoted(o.T, replica)
	master.Signal(syscall.SIGCONT)
	o.heal()
}

// cutOff cuts a master off from the other servers, and not from the processes, until its
// replica has taken its place.
func (o *ordeal) cutOff(*host) {
	master, replica := o.anyMaster()
	mend := o.cluster.Cut(master)
	o.cluster.AwaitPromoted(o.T, replica)
	<-time.After(500 * time.Millisecond) // two that hold themselves for the master
	mend()
	o.heal()
}

// moveSlots moves hash slots that hold people from one master to another.
func (o *ordeal) moveSlots(*host) {
	from, _ := o.anyMaster()
	to := from
	for to == from {
		to, _ = o.anyMaster()
	}
	for range 12 {
		o.cluster.Move(o.T, o.cluster.SlotOf(o.T, from), from, to)
	}
	o.heal()
}

// handOver has a master and its replica change places, by consent.
func (o *ordeal) handOver(*host) {
	_, replica := o.anyMaster()
	o.cluster.FailOver(o.T, replica)
	o.heal()
}

// fullDisk leaves the file no room to grow, and gives it back.
func (o *ordeal) fullDisk(h *host) {
	o.fill(h, uint64(o.random.IntN(64<<10)))
	<-time.After(900 * time.Millisecond)
	o.free(h)
	if !eventually(o.T, func() bool { return h.answers("/readyz") }) {
		o.Errorf("it does not go on when there is room:\n%s", tail(h.log, &o.logged))
	}
}

// fill lets a process write nothing that lies further back in its files than so many bytes.
// SQLite's log begins there anew, so that this is as if it could not grow.
func (o *ordeal) fill(h *host, room uint64) {
	o.Helper()
	if !eventually(o.T, o.rewindLog) {
		o.Error("SQLite's log is not begun anew")
	}
	o.limit(h, room)
}

// rewindLog takes what stands in SQLite's log into its file, and empties the log: what a process
// writes next needs room. It says whether it could, beside those who read and write.
func (o *ordeal) rewindLog() bool {
	db, err := sql.Open("sqlite", "file:"+o.file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		o.Fatal(err)
	}
	defer db.Close()
	var busy, pages, moved int
	return db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved) == nil && busy == 0
}

func (o *ordeal) free(h *host) { o.limit(h, unix.RLIM_INFINITY) }

func (o *ordeal) limit(h *host, size uint64) {
	if err := unix.Prlimit(h.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
		o.Error(err)
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
