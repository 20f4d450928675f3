package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What an author sees: the pages are on this machine alone, show flows and texts, play
// a flow without JavaScript, and an edit of the folder is there at the next look, with
// its fault.
func TestAuthorPages(t *testing.T) {
	dir := spoilt(t, "leg", "version: 1", "version: 2")
	ctx, stop := context.WithCancel(context.Background())
	out, printed := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(&env{ctx, strings.NewReader(""), printed, printed, nil, func() time.Time { return time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC) }},
			[]string{"content", "serve", dir, "--addr", "127.0.0.1:0"})
	}()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, at, _ := strings.Cut(string(line[:n]), "http://")
	at, _, _ = strings.Cut(at, "/ ")
	url := "http://" + at
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()

	b := newBrowser(t)
	page := b.tab()
	page.open(url + "/")
	page.reads("By nobody.")
	page.sound("author home")
	page.click(".author-cards h3 a", "breathing")
	page.reads("Are you short of breath when you sit still")
	page.sound("author flow")
	if got := js[string](page, "document.querySelector('svg desc').textContent"); !strings.Contains(got, "Step rest: begins the talk; asks ask.breath-rest (yes or no)") {
		t.Errorf("the picture says in words: %s", got)
	}
	page.click("a", "Show it in Welsh")
	page.reads("Ydych chi'n fyr o anadl")
	page.open(url + "/texts?find=breath-rest")
	page.reads("Ydych chi'n fyr o anadl")
	page.reads("draft by lookout")
	page.reads("needs a Welsh speaker's review")
	page.sound("author texts")

	page.open(url + "/play/leg")
	page.fill("#words", "no")
	page.click("button", "Answer")
	page.reads("Since when?")
	page.click("button", "Nothing for a week")
	page.reads("the talk ended: expired")
	page.reads("The talk is over.")
	page.click("button", "Take the last answer back")
	page.until("document.querySelector('input#words')")
	page.fill("#words", "i cant feel my legs")
	page.click("button", "Answer")
	page.reads("ring 999")
	page.reads("whoever is on duty is paged")
	page.click("summary", "What is known of her")
	page.sound("author play")

	// An edit with a fault is told, and mended it is gone.
	file := filepath.Join(dir, "flows", "leg.yaml")
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(was), "on: {unsure: done}", "on: {unsure: gone}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(url + "/flows/leg")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("content with a fault is shown: %s", answer.Status)
	}
	if err := os.WriteFile(file, was, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/flows/leg": 200, "/flows/nothing": 404, "/play/nothing": 404, "/play/leg?fact.tablets=bread": 400} {
		answer, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %s, %v", path, answer.Status, answer.Header)
		}
	}
}

// The pages are for whoever sits at this machine.
func TestAuthorPagesStayOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":8090", "0.0.0.0:8090", "192.0.2.1:80", "lookout.example:80", "8090"} {
		if _, err := lookout(t, "", "content", "serve", "--addr", addr); err == nil || !strings.Contains(err.Error(), "--addr") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
