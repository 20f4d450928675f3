package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// demoAt runs the demo as a user starts it, at a time of our choice, and gives its
// address and what ends it.
func demoAt(t *testing.T, at time.Time, dir string, more ...string) (address string, stop func()) {
	t.Helper()
	return demoOn(t, "127.0.0.1", at, dir, more...)
}

// demoOn is the same at a host of our choice: browsers keep passkeys of names only.
func demoOn(t *testing.T, host string, at time.Time, dir string, more ...string) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort(host, port)
	listener.Close()
	begun := time.Now()
	now := func() time.Time { return at.Add(time.Since(begun)) }
	ctx, cancel := context.WithCancel(context.Background())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	var log bytes.Buffer
	go func() {
		err := run(&env{ctx, strings.NewReader(""), out, &locked{w: &log}, nil, now}, append([]string{"demo", "--dir", dir, "--addr", addr}, more...))
		out.CloseWithError(io.EOF)
		ended <- err
	}()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with: %v", err)
		}
		if log.Len() > 0 {
			t.Errorf("the demo complained: %s", log.String())
		}
	}
	ready := make(chan bool)
	go func() { // the last thing that it says is how to end it
		var all []byte
		buffer := make([]byte, 4096)
		for {
			n, err := said.Read(buffer)
			all = append(all, buffer[:n]...)
			if bytes.Contains(all, []byte("Ctrl-C")) {
				close(ready)
				io.Copy(io.Discard, said)
				return
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("the demo does not start: %v", err)
	case <-time.After(patience * 3):
		t.Fatal("the demo does not come up")
	}
	return "http://" + addr, stop
}

// The demo has something to show whenever it is started: by night, on a holiday, in
// the hours in which the clocks change, on a leap day.
func TestDemoAtAnyHour(t *testing.T) {
	for _, at := range []string{"2026-11-29T03:10:00Z", "2026-12-25T12:00:00Z", "2027-03-28T00:59:30Z", "2026-10-25T00:30:00Z", "2028-02-29T23:59:50Z", "2026-08-31T16:59:00Z"} {
		t.Run(at, func(t *testing.T) {
			when, err := time.Parse(time.RFC3339, at)
			if err != nil {
				t.Fatal(err)
			}
			address, stop := demoAt(t, when, filepath.Join(t.TempDir(), "demo"))
			defer stop()
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Jar: jar}
			page := read(t)(client.PostForm(address+"/desk/sign-in", url.Values{"email": {"ann@demo.example"}, "password": {demoPassword}}))
			if n := strings.Count(page, "<tr class="); n != 1 || !strings.Contains(page, "by my scar this morning") {
				t.Errorf("%d rows are on the desk, want the one of the lump:\n%s", n, page)
			}
			if phone := read(t)(client.Get(address + "/demo/phone/447700900101")); strings.Count(phone, `class="t in"`) < 6 {
				t.Errorf("Mary's phone has hardly any history:\n%s", phone)
			}
		})
	}
}

// A second start finds what the first has left, and --fresh leaves nothing of it.
func TestDemoFindsItsState(t *testing.T) {
	dir, at := filepath.Join(t.TempDir(), "demo"), time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	const sian, words = "/demo/phone/447700900102", "purple elephants"
	address, stop := demoAt(t, at, dir)
	read(t)(http.PostForm(address+sian+"/send", url.Values{"words": {words}}))
	stop()
	address, stop = demoAt(t, at.Add(time.Hour), dir)
	if page := read(t)(http.Get(address + sian)); !strings.Contains(page, words) || !strings.Contains(page, "hip aches") {
		t.Errorf("after a second start her phone is empty:\n%s", page)
	}
	stop()
	address, stop = demoAt(t, at.Add(2*time.Hour), dir, "--fresh")
	defer stop()
	if page := read(t)(http.Get(address + sian)); strings.Contains(page, words) || !strings.Contains(page, "hip aches") {
		t.Errorf("--fresh did not start over:\n%s", page)
	}
}

// read gives the body of an answer that must have succeeded.
func read(t *testing.T) func(*http.Response, error) string {
	return func(r *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d, %v", r.Request.Method, r.Request.URL.Path, r.StatusCode, err)
		}
		return string(body)
	}
}

// The clock is moved from one thing that falls due to the next: a week later her
// plan's text has come, at its own hour.
func TestDemoMovesItsClock(t *testing.T) {
	address, stop := demoAt(t, time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), filepath.Join(t.TempDir(), "demo"))
	defer stop()
	const mary = "/demo/phone/447700900101"
	before := strings.Count(read(t)(http.Get(address+mary)), `class="t in"`)
	for _, by := range []string{"hour", "day", "week", "week"} {
		read(t)(http.PostForm(address+"/demo/clock", url.Values{"by": {by}}))
	}
	if page := read(t)(http.Get(address + "/demo/")); !strings.Contains(page, "It is Wed 9 Dec 11:30") {
		t.Errorf("the clock was not moved on:\n%s", page)
	}
	if page := read(t)(http.Get(address + mary)); strings.Count(page, `class="t in"`) <= before {
		t.Errorf("in two weeks nothing has come: %d texts before and after", before)
	}
	if response, err := http.PostForm(address+"/demo/clock", url.Values{"by": {"century"}}); err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("moved by a century: %v %v", response.StatusCode, err)
	}
}
