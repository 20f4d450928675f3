package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// wire passes connections on to lookout until it is cut, as a phone's signal is in
// a lift, and passes them on again when it is mended.
type wire struct {
	net.Listener
	to   string
	mu   sync.Mutex
	dead bool
	open map[net.Conn]bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to, open: map[net.Conn]bool{}}
	go w.accept()
	t.Cleanup(func() { l.Close(); w.cut() })
	return w
}

func (w *wire) accept() {
	for {
		near, err := w.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil || !w.keep(near, far) {
			near.Close()
			continue
		}
		go func() { io.Copy(far, near); far.Close() }()
		go func() { io.Copy(near, far); near.Close() }()
	}
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.dead {
			c.Close()
			continue
		}
		w.open[c] = true
	}
	return !w.dead
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
	for c := range w.open {
		c.Close()
	}
	clear(w.open)
}

func (w *wire) mend() { w.mu.Lock(); w.dead = false; w.mu.Unlock() }

// The chat keeps every word through a cut: what she sent without a signal is
// marked as not sent, goes when it is back, and stands there once and in order.
func TestChatPageThroughACut(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	line := newWire(t, strings.TrimPrefix(w.url, "http://"))
	b := newBrowser(t)
	her, thief := b.tab(), b.tab()
	link, err := w.process.bot.NewLink(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	link = strings.Replace(link, w.url, "http://"+line.Addr().String(), 1)

	her.open(link)
	her.sound("chat, who is it")
	birth := func(tab *tab, day string) {
		tab.fill("#day", day)
		tab.fill("#month", "4")
		tab.fill("#year", "1961")
		tab.press("\r")
	}
	birth(her, "1")
	her.until("document.querySelector('[role=alert].fault')")
	her.sound("chat, wrong birth date")
	her.open(link)
	birth(her, "30")
	her.until("document.getElementById('log')")
	if at := js[string](her, "location.href"); strings.Contains(at, "k=") {
		t.Error("the link's key is still in the address:", at)
	}
	her.sound("chat")
	thief.open(link)
	thief.until("!document.getElementById('log')&&document.querySelector('h1')")
	thief.sound("chat, link used")

	her.fill("#words", "first, the hospital car park is a joke")
	her.click("#form button", "Send")
	her.until("document.querySelector('.mine .sent')?.innerText==='Received'||[...document.querySelectorAll('.mine')].length&&!document.querySelector('.mine .sent')")
	her.mu.Lock()
	her.deaf = true // Chromium tells of every connection that fails
	her.mu.Unlock()
	line.cut()
	for _, words := range []string{"second, found a lump in my breast", "third, sorry to bother you"} {
		her.fill("#words", words)
		her.click("#form button", "Send")
	}
	her.reads("Not sent yet")
	her.sound("chat, offline")
	if rows := w.rows("open"); strings.Contains(rowsText(rows), "lump") {
		t.Error("what was not sent is at the desk")
	}
	line.mend()
	her.until("!document.body.innerText.includes('Not sent yet')&&document.getElementById('log').innerText.includes('Your nurse will contact you')")
	her.open("http://" + line.Addr().String() + "/chat")
	said := js[string](her, "[...document.querySelectorAll('.mine .text')].map(e=>e.innerText).join('|')")
	if said != "first, the hospital car park is a joke|second, found a lump in my breast|third, sorry to bother you" {
		t.Errorf("after the cut she has said: %s", said)
	}
	if rows := w.rows("open"); !strings.Contains(rowsText(rows), "found a lump") {
		t.Error("the lump is not at the desk")
	} else {
		for _, row := range rows {
			if strings.Count(rowsText([]map[string]any{row}), "found a lump") > 1 {
				t.Errorf("a row has it twice: %v", row)
			}
		}
	}
	her.sound("chat, with a promise")
}

// rowsText is what the rows of the queue say, for a test to look into.
func rowsText(rows []map[string]any) string {
	var out strings.Builder
	for _, row := range rows {
		words, _ := row["message"].(string)
		out.WriteString(words + "\n")
	}
	return out.String()
}

// One script tag on a hospital's own page, under a strict content policy, gives an
// element that says what the chat is and opens it in a window of its own.
func TestWidgetOnAHospitalsPage(t *testing.T) {
	w := newWorld(t)
	hospital := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+w.url)
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(rw, `<!DOCTYPE html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>Anytown Hospital</title>
			<script src="%s/chat/widget.js" async></script></head><body><main><h1>Breast care</h1><lookout-chat></lookout-chat></main></body></html>`, w.url)
	}))
	defer hospital.Close()
	page := newBrowser(t).tab()
	page.open(hospital.URL)
	const shadow = "document.querySelector('lookout-chat').shadowRoot"
	page.until(shadow)
	for _, words := range []string{"Not watched day and night", "999", "Anytown breast nurses", "01632 960 001", "new window"} {
		if text := js[string](page, shadow+".querySelector('section').innerText"); !strings.Contains(text, words) {
			t.Errorf("it does not say %q: %s", words, text)
		}
	}
	page.sound("widget on a hospital's page")
	if to := js[string](page, shadow+".querySelector('a.open').href"); to != w.url+"/chat" {
		t.Errorf("it opens %s", to)
	}
	if rel := js[string](page, shadow+".querySelector('a.open').rel"); !strings.Contains(rel, "noopener") {
		t.Errorf("the hospital's page keeps a hand on the chat: rel=%q", rel)
	}
	page.open(w.url + "/chat")
	page.reads("use the link in our text")
}
