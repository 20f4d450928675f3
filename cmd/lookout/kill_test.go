package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/channels/sms/standin"
	"lookout/flows/triage"
)

// TestKill kills the real process with SIGKILL at random points under load, again
// and again. After that every message that was answered with 200 is there once,
// with its reading, its row and its reply, and every text left once.
// KILLS sets how often; `make torture` does it 200 times.
func TestKill(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil && n > 0 {
		kills = n
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "lookout")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	carrier := standin.New("AC00000000000000000000000000000001", "secret")
	defer carrier.Close()
	twilio := httptest.NewServer(carrier)
	defer twilio.Close()
	carrier.Product, carrier.Receipts = "http://"+addr, false
	settings := filepath.Join(dir, "lookout.yaml")
	err = os.WriteFile(settings, fmt.Appendf(nil, `
addr: %s
store: "sqlite:%s"
api_token: %s
twilio: {account_sid: %s, auth_token: %s, from: "%s", api_url: %s, per_second: 1000}
service:
  name: Anytown breast nurses
  nurse_line: 01632 960 001
`, addr, filepath.Join(dir, "lookout.db"), apiToken, carrier.SID, carrier.Token, ourNumber, twilio.URL), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var logged sync.Mutex
	start := func() *exec.Cmd {
		cmd := exec.Command(binary, "serve", "--unsigned", "--settings", settings)
		cmd.Stderr = &lockedBuffer{&logged, &log}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !eventually(t, func() bool {
			response, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == 200
		}) {
			cmd.Process.Kill()
			t.Fatalf("it did not start:\n%s", &log)
		}
		return cmd
	}
	const patients = 12
	cmd := start()
	w := &world{T: t, carrier: carrier, url: "http://" + addr, log: &log}
	phones := make([]string, patients)
	for i := range phones {
		phones[i] = fmt.Sprintf("+4477009002%02d", i)
		w.enrolUnheard("Patient", phones[i]) // by night and at weekends her welcome waits
	}
	accepted := map[string]string{} // SID → phone
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(7, 7))
	for kill := range kills {
		var wg sync.WaitGroup
		for i, phone := range phones {
			wg.Go(func() {
				for n := range 20 {
					words := []string{"all fine thanks", "found a lump in my breast", "my calf is swollen and hot", "who knows, wibble wobble"}[(i+n)%4]
					sid, status, err := carrier.Reply(phone, ourNumber, fmt.Sprintf("%s (%d.%d)", words, kill, n))
					if err == nil && status == http.StatusOK {
						mu.Lock()
						accepted[sid] = phone
						mu.Unlock()
					} else if err != nil {
						return // it is dead
					}
				}
			})
		}
		pause := time.NewTimer(time.Duration(5+random.IntN(150)) * time.Millisecond)
		<-pause.C
		cmd.Process.Kill()
		cmd.Wait()
		wg.Wait()
		cmd = start()
	}
	// The sweep at the start takes in the rest; then everything settles.
	path := filepath.Join(dir, "lookout.db")
	// A text that was being sent at the last kill is leased to the dead process for
	// half a minute more.
	done := false
	for range 15 {
		if done = eventually(t, func() bool { return settled(w) }); done {
			break
		}
	}
	if !done {
		t.Errorf("the outbox did not settle:\n%s", tail(&log, &logged))
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it did not stop cleanly: %v\n%s", err, tail(&log, &logged))
	}
	check(t, "sqlite:"+path, carrier, accepted, strings.Count(tail(&log, &logged), "never settled"))
	t.Logf("%d kills, %d messages answered with 200", kills, len(accepted))
}

// settled says whether the sweep at the start is done and every text has left.
func settled(w *world) bool {
	response, err := http.Get(w.url + "/metrics")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(response.Body)
	return strings.Contains(b.String(), "lookout_outgoing_messages 0\n") && strings.Contains(b.String(), `lookout_job_seconds_count{job="sweep"}`)
}

func tail(log *bytes.Buffer, mu *sync.Mutex) string {
	mu.Lock()
	defer mu.Unlock()
	return log.String()
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

// check compares the store with what the carrier knows.
func check(t *testing.T, where string, carrier *standin.Carrier, accepted map[string]string, repeats int) {
	t.Helper()
	ctx := context.Background()
	store, err := openStore(ctx, &settings{Store: where}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	people, err := store.Patients(ctx, "anytown", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen, read, sent := map[string]int{}, map[string]triage.Level{}, 0
	queued := map[string]string{} // patient → all words of her rows
	for _, p := range people {
		entries, err := store.Journal(ctx, p.ID, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := store.Queue(ctx, bot.QueueFilter{Patient: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			queued[p.ID] += r.Message + "\n"
		}
		for i, e := range entries {
			switch e.Kind {
			case bot.EntryIn:
				seen[e.Carrier]++
				if i+1 >= len(entries) || entries[i+1].Kind != bot.EntryReading || entries[i+1].Ref != e.Carrier {
					t.Errorf("message %s has no reading behind it", e.Carrier)
					continue
				}
				read[e.Carrier] = entries[i+1].Reading.Level
				if entries[i+1].Reading.Level >= triage.Routine && !strings.Contains(queued[p.ID], e.Text) {
					t.Errorf("message %s is %s and its words are in no row", e.Carrier, entries[i+1].Reading.Level)
				}
			case bot.EntryOut:
				if e.Ref == "" {
					continue
				}
				o, err := store.Outgoing(ctx, e.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if o.State != bot.OutSent {
					t.Errorf("text %s is %s after all has settled", o.ID, o.State)
				}
				sent++
			}
		}
	}
	for sid := range accepted {
		if seen[sid] != 1 {
			t.Errorf("message %s was answered with 200 and is in the journal %d times", sid, seen[sid])
		}
	}
	left := 0
	for _, m := range carrier.Messages("") {
		if !m.Inbound {
			left++
		} else if seen[m.SID] != 1 {
			t.Errorf("message %s reached the carrier and is in the journal %d times: the sweep must take it in", m.SID, seen[m.SID])
		}
	}
	if left < sent || left > sent+repeats {
		t.Errorf("%d texts in the journal, %d at the carrier, %d repetitions logged as unavoidable", sent, left, repeats)
	}
}
