package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
)

// What one process commits, those who watch at another hear.
func TestHintsReachTheOtherProcess(t *testing.T) {
	url := "redis://" + storetest.StartRedis(t).Addr
	one, other := newWorldOn(t, url), newWorldOn(t, url)
	one.carrier.Allow(mary) // either may send what the other committed
	other.carrier.Allow(mary)
	hints := other.process.bot.Watch(t.Context())
	one.enrolUnheard("Mary", mary)
	for n := 0; ; n++ { // until the other has begun to listen, hints are lost
		one.reply(mary, fmt.Sprintf("found a lump in my breast %d", n))
		select {
		case hint := <-hints:
			if hint.Patient != "" {
				t.Logf("heard after %d texts", n+1)
				return
			}
		default:
		}
		if n > 200 {
			t.Fatal("no hint came")
		}
	}
}

// host is one lookout process among several on one store.
type host struct {
	*world
	cmd *exec.Cmd
	log *bytes.Buffer
}

// hosts are real processes on one real Redis, behind a balancer.
type hosts struct {
	*world // through the balancer
	store  string
	all    []*host
	open   atomic.Pointer[[]*host] // to whom the balancer goes
	logged sync.Mutex
}

// severalHosts builds lookout and starts so many processes, each ready.
func severalHosts(t *testing.T, n int) *hosts {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "lookout")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	carrier := standin.New("AC00000000000000000000000000000001", "secret")
	t.Cleanup(carrier.Close)
	twilio := httptest.NewServer(carrier)
	t.Cleanup(twilio.Close)
	h := &hosts{store: "redis://" + storetest.StartRedis(t).Addr}
	var turn atomic.Int64
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			open := *h.open.Load()
			to, _ := url.Parse(open[int(turn.Add(1))%len(open)].url) // a test's own address
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(balancer.Close)
	carrier.Product, carrier.Receipts = balancer.URL, false
	h.world = &world{T: t, carrier: carrier, url: balancer.URL, log: &bytes.Buffer{}}
	for i := range n {
		addr := storetest.FreeAddr(t)
		settings := filepath.Join(dir, fmt.Sprintf("lookout%d.yaml", i))
		err := os.WriteFile(settings, fmt.Appendf(nil, `
addr: %s
public_url: %s
store: %s
api_token: %s
twilio: {account_sid: %s, auth_token: %s, from: "%s", api_url: %s, per_second: 1000}
service: {name: Anytown breast nurses, nurse_line: 01632 960 001}
`, addr, balancer.URL, h.store, apiToken, carrier.SID, carrier.Token, ourNumber, twilio.URL), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		x := &host{world: &world{T: t, carrier: carrier, url: "http://" + addr}, log: &bytes.Buffer{}}
		x.cmd = exec.Command(binary, "serve", "--unsigned", "--settings", settings)
		x.cmd.Stderr = &lockedBuffer{&h.logged, x.log}
		x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := x.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.cmd.Process.Kill(); x.cmd.Wait() })
		if !inTime(t, func() bool {
			r, err := http.Get(x.url + "/readyz")
			if err != nil {
				return false
			}
			r.Body.Close()
			return r.StatusCode == http.StatusOK
		}) {
			t.Fatalf("process %d did not start:\n%s", i, tail(x.log, &h.logged))
		}
		h.all = append(h.all, x)
	}
	h.open.Store(&h.all)
	return h
}

// inTime waits for what a busy machine may take two minutes to do.
func inTime(t *testing.T, holds func() bool) bool {
	t.Helper()
	for range 24 {
		if eventually(t, holds) {
			return true
		}
	}
	return false
}

// claim takes a row for somebody, and gives the answer's status.
func (h *host) claim(row, by string) int {
	r, err := http.NewRequest("POST", h.url+"/api/v1/queue/"+row+"/claim", strings.NewReader(`{"by":"`+by+`"}`))
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+apiToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// Two processes share one Redis: a row goes to one of two nurses who take it at
// once, each message is read once and answered once, and a process that is
// paused beyond its leases and wakes up again sends nothing twice.
func TestTwoProcesses(t *testing.T) {
	h := severalHosts(t, 2)
	const people = 8
	phones := make([]string, people)
	for i := range phones {
		phones[i] = fmt.Sprintf("+4477009003%02d", i)
		h.enrolUnheard("Patient", phones[i]) // by night and at weekends her welcome waits
	}
	accepted := map[string]string{}
	var mu sync.Mutex
	say := func(round, each int) {
		var wg sync.WaitGroup
		for i, phone := range phones {
			wg.Go(func() {
				for n := range each {
					words := []string{"found a lump in my breast", "all fine thanks", "my calf is swollen and hot", "who knows, wibble wobble"}[(i+n)%4]
					sid, status, err := h.carrier.Reply(phone, ourNumber, fmt.Sprintf("%s (%d.%d)", words, round, n))
					if err == nil && status == http.StatusOK {
						mu.Lock()
						accepted[sid] = phone
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
	}
	say(0, 6)
	if len(accepted) != people*6 {
		t.Errorf("%d of %d messages were answered with 200", len(accepted), people*6)
	}
	var queue struct{ Items []struct{ ID string } }
	text, err := json.Marshal(h.call("GET", "/api/v1/queue?state=open", "", 200))
	if err == nil {
		err = json.Unmarshal(text, &queue)
	}
	if err != nil || len(queue.Items) < people {
		t.Fatalf("%d rows, %v", len(queue.Items), err)
	}
	for _, row := range queue.Items {
		var took [2]int
		var wg sync.WaitGroup
		for i, name := range []string{"ann", "bea"} {
			wg.Go(func() { took[i] = h.all[i].claim(row.ID, name) })
		}
		wg.Wait()
		if took != [2]int{200, 409} && took != [2]int{409, 200} {
			t.Errorf("two nurses at once took %s with %v, want 200 for one and 409 for the other", row.ID, took)
		}
	}
	// One is paused in the middle of its work, and all goes on at the other.
	paused, other := h.all[0], h.all[1]
	paced := make(chan struct{})
	go func() { say(1, 6); close(paced) }()
	paused.cmd.Process.Signal(syscall.SIGSTOP)
	left := h.all[1:]
	h.open.Store(&left)
	// The balancer's requests to the paused one hang until it goes on.
	if !inTime(t, func() bool { return settled(other.world) }) { // beyond the lease of half a minute
		t.Errorf("the other does not settle what the paused one had claimed:\n%s", tail(other.log, &h.logged))
	}
	paused.cmd.Process.Signal(syscall.SIGCONT)
	<-paced
	if !inTime(t, func() bool { return settled(other.world) }) {
		t.Error("the outbox did not settle after it went on")
	}
	repeats := 0
	for _, x := range h.all {
		x.cmd.Process.Signal(os.Interrupt)
		if err := x.cmd.Wait(); err != nil {
			t.Errorf("it did not stop cleanly: %v\n%s", err, tail(x.log, &h.logged))
		}
		repeats += strings.Count(tail(x.log, &h.logged), "never settled")
	}
	check(t, h.store, h.carrier, accepted, repeats)
	t.Logf("%d messages answered with 200, %d texts repeated because nobody could know", len(accepted), repeats)
}
