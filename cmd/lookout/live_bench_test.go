package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/channels/desk"
)

// liveDesks is how many desks are open, and liveNurses how many nurses have them open.
const liveDesks, liveNurses = 200, 20

// liveWorld is a lookout with nurses who can sign in, and people who have not written yet.
func liveWorld(b *testing.B, people int) (p *process, reply func(i int, words string), base string) {
	b.Helper()
	p, carrier, phones := benchWorld(b, people)
	hash, err := desk.HashPassword(demoPassword)
	if err != nil {
		b.Fatal(err)
	}
	for n := range liveNurses {
		u := bot.User{Email: fmt.Sprintf("nurse%d@demo.example", n), Name: fmt.Sprintf("Nurse %d", n), Role: bot.Nurse, Password: hash}
		if err := p.bot.PutUser(b.Context(), u); err != nil {
			b.Fatal(err)
		}
	}
	reply = func(i int, words string) {
		if _, status, err := carrier.Reply(phones[i], ourNumber, words); err != nil || status != http.StatusOK {
			b.Error(status, err)
		}
	}
	return p, reply, "http://" + p.settings.Addr
}

// liveDesk is a page of the queue that somebody has open, without a browser: it does
// what desk.js does, and says when the list that it was served has some words.
type liveDesk struct {
	b       *testing.B
	client  *http.Client
	url     string
	tag     string
	changes chan struct{} // one waits at most: what comes while it asks makes it ask again
	mu      sync.Mutex
	want    []byte
	seen    chan time.Time
}

// listen hears the event stream, as EventSource does.
func (d *liveDesk) listen(ready func()) {
	response, err := d.client.Get(d.url + "/desk/events")
	if err != nil {
		d.b.Error(err)
		ready()
		return
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Scan() // the padding
	ready()
	for lines.Scan() {
		if lines.Text() == "event: change" {
			select {
			case d.changes <- struct{}{}:
			default:
			}
		}
	}
}

// refresh asks for the list each time that something has changed.
func (d *liveDesk) refresh() {
	for range d.changes {
		r, err := http.NewRequest("GET", d.url+"/desk/", nil)
		if err != nil {
			d.b.Error(err)
			return
		}
		r.Header.Set("X-Background", "1")
		r.Header.Set("X-Have", d.tag)
		response, err := d.client.Do(r)
		if err != nil {
			return // lookout has ended
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNoContent {
			d.b.Error(response.StatusCode, err)
			return
		}
		if _, rest, ok := bytes.Cut(page, []byte(`data-tag="`)); ok {
			tag, _, _ := bytes.Cut(rest, []byte(`"`))
			d.tag = string(tag)
		}
		d.mu.Lock()
		if d.want != nil && bytes.Contains(page, d.want) {
			d.want = nil
			d.seen <- time.Now()
		}
		d.mu.Unlock()
	}
}

// BenchmarkChangeOnOpenDesks is one change and 200 desks that have the queue open, each
// with its own event stream: from the moment the text leaves her phone (the turn and the
// commit are in it) to the moment the list with her row has come to each. Every desk is
// a client over a socket on the same cores. It reports over all desks and changes.
func BenchmarkChangeOnOpenDesks(b *testing.B) {
	const changes = 40 // at once in one run: a queue of a busy service, under its page size
	p, reply, base := liveWorld(b, changes)
	desks := make([]*liveDesk, liveDesks)
	jars := make([]http.CookieJar, liveNurses)
	for n := range jars {
		jars[n], _ = cookiejar.New(nil)
		response, err := (&http.Client{Jar: jars[n]}).PostForm(base+"/desk/sign-in", url.Values{"email": {fmt.Sprintf("nurse%d@demo.example", n)}, "password": {demoPassword}})
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatal(response, err)
		}
		response.Body.Close()
	}
	var ready sync.WaitGroup
	for i := range desks {
		d := &liveDesk{b: b, client: &http.Client{Jar: jars[i%liveNurses], Transport: &http.Transport{}}, url: base, changes: make(chan struct{}, 1), seen: make(chan time.Time, 1)}
		desks[i] = d
		ready.Add(1)
		go d.listen(sync.OnceFunc(ready.Done))
		go d.refresh()
		d.changes <- struct{}{} // the list as it is opened
		b.Cleanup(d.client.CloseIdleConnections)
	}
	ready.Wait()
	var took []time.Duration
	n := 0
	for b.Loop() {
		if n == changes {
			b.StopTimer()
			closeAll(b, p)
			n = 0
			b.StartTimer()
		}
		mark := fmt.Sprintf("number %06d", len(took))
		for _, d := range desks {
			d.mu.Lock()
			d.want = []byte(mark)
			d.mu.Unlock()
		}
		begun := time.Now()
		reply(n, "I found a new lump, and it is "+mark)
		for _, d := range desks {
			took = append(took, (<-d.seen).Sub(begun))
		}
		n++
		time.Sleep(100 * time.Millisecond) // what follows of it (her answer, its receipt) is not the next one's
	}
	percentiles(b, "seen", took)
}

// closeAll closes every row that is open.
func closeAll(b *testing.B, p *process) {
	b.Helper()
	rows, err := p.bot.Queue(b.Context(), bot.QueueFilter{})
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range rows {
		row, err := p.bot.Take(b.Context(), bot.Act{Row: row.ID, By: "nurse0@demo.example"})
		if err == nil {
			_, err = p.bot.Ring(b.Context(), bot.Act{Row: row.ID, By: "nurse0@demo.example", Seen: row.Changed}, "spoke")
		}
		if err == nil {
			_, err = p.bot.CloseRow(b.Context(), bot.Closing{Row: row.ID, By: "nurse0@demo.example", Outcome: "advice"})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRowOnScreen is the queue in a real browser: from the moment the signed
// webhook leaves the carrier to the moment the row stands in the page, by the page's
// own observer of itself.
func BenchmarkRowOnScreen(b *testing.B) {
	const people = 40
	p, reply, base := liveWorld(b, people)
	page := newBrowser(b).tab()
	page.signIn(base, "nurse0@demo.example", demoPassword)
	page.until("document.getElementById('status').innerText.includes('Up to date')")
	js[bool](page, `(window.saw={},new MutationObserver(()=>{const at=performance.timeOrigin+performance.now();for(const e of document.querySelectorAll('#list td')){const n=e.innerText.match(/number (\d+)/);if(n&&!saw[n[1]])saw[n[1]]=at}}).observe(document.body,{childList:true,subtree:true}),true)`)
	var took []time.Duration
	n := 0
	for b.Loop() {
		if n == people {
			b.StopTimer()
			closeAll(b, p)
			page.until("!document.querySelector('#list tbody')")
			n = 0
			b.StartTimer()
		}
		i := strconv.Itoa(len(took))
		begun := time.Now()
		reply(n, "I found a new lump, and it is number "+i)
		page.until("window.saw[" + i + "]")
		at, err := strconv.ParseFloat(js[string](page, "String(saw["+i+"])"), 64)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.UnixMicro(int64(at*1000)).Sub(begun))
		n++
	}
	percentiles(b, "screen", took)
}
