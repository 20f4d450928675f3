package main

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"lookout/bot"
)

// wire passes connections on to lookout until it is cut, as a phone's signal is in
// a lift, and passes them on again when it is mended.
type wire struct {
	net.Listener
	to   string
	mu   sync.Mutex
	dead bool
	deaf bool // what comes back is thrown away
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
		w.mu.Lock()
		to := w.to
		w.mu.Unlock()
		far, err := net.Dial("tcp", to)
		if err != nil || !w.keep(near, far) {
			near.Close()
			continue
		}
		go func() { io.Copy(far, near); far.Close() }()
		go func() { io.Copy(&ear{w, near}, far); near.Close() }()
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

func (w *wire) mend() { w.mu.Lock(); w.dead, w.deaf = false, false; w.mu.Unlock() }

func (w *wire) deafen() { w.mu.Lock(); w.deaf = true; w.mu.Unlock() }

func (w *wire) leadTo(to string) { w.mu.Lock(); w.to = to; w.mu.Unlock() }

// ear is the way back of a connection.
type ear struct {
	*wire
	to net.Conn
}

func (e *ear) Write(p []byte) (int, error) {
	e.mu.Lock()
	deaf := e.deaf
	e.mu.Unlock()
	if deaf {
		return len(p), nil
	}
	return e.to.Write(p)
}

// shadow is the tree of the chat's element.
const shadow = "document.querySelector('lookout-chat').shadowRoot"

// chatReads waits until her messages, or what stands around them, say some words.
func (t *tab) chatReads(words string) {
	t.Helper()
	t.until(fmt.Sprintf("%s.firstElementChild.innerText.includes(%q)", shadow, words))
}

// say types a message into the chat, and sends it.
func (t *tab) say(words string) {
	t.Helper()
	t.write(words)
	t.until(shadow + ".querySelector('form>button').click()||true")
}

// write types into the chat. It is not done by keys: a tab that is behind another gets none.
func (t *tab) write(words string) {
	t.Helper()
	t.until(fmt.Sprintf("(e=>{e.value=%q;e.dispatchEvent(new Event('input'));return true})(%s.getElementById('words'))", words, shadow))
}

// choosePhoto chooses a photo of 2000 by 1000, as she does with the file picker.
func (t *tab) choosePhoto() {
	t.Helper()
	js[bool](t, "new Promise(done=>{const c=document.createElement('canvas');c.width=2000;c.height=1000;c.getContext('2d').fillRect(0,0,900,900);c.toBlob(b=>{const i="+shadow+".getElementById('photo'),d=new DataTransfer();i.closest('details').open=true;d.items.add(new File([b],'holiday.png',{type:'image/png'}));i.files=d.files;i.dispatchEvent(new Event('change'));done(true)})})")
	t.until(shadow + ".querySelector('.chosen img')?.naturalWidth>0")
}

// said is all that she has said, as the page shows it.
func (t *tab) said() string {
	t.Helper()
	return js[string](t, "[..."+shadow+".querySelectorAll('.mine .text')].map(e=>e.innerText).join('|')")
}

// expectLate lets the page complain: the test has cut its connection.
func (t *tab) expectLate() {
	t.mu.Lock()
	t.deaf = true // Chromium tells of every connection that fails
	t.mu.Unlock()
}

// birth gives a birth date, and Enter.
func (t *tab) birth(day string) {
	t.Helper()
	t.fill("#day", day)
	t.fill("#month", "4")
	t.fill("#year", "1961")
	t.press("\r")
}

// chatting is a tab that has opened her chat, at another address than lookout's own.
func (b *browser) chatting(w *world, id, address string) *tab {
	b.Helper()
	t := b.tab()
	t.open(w.link(id, address))
	t.birth("30")
	t.until(shadow + ".querySelector('.log')")
	return t
}

func (w *world) link(id, address string) string {
	w.Helper()
	link, err := w.process.bot.NewLink(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return strings.Replace(link, w.url, "http://"+address, 1)
}

// The chat keeps every word through a cut: what she sent without a signal is
// marked as not sent, goes when it is back, and stands there once and in order.
func TestChatPageThroughACut(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	line := newWire(t, strings.TrimPrefix(w.url, "http://"))
	b := newBrowser(t)
	her, thief := b.tab(), b.tab()
	link := w.link(id, line.Addr().String())

	her.open(link)
	her.until("location.search===''") // the key is in no history
	her.sound("chat, who is it")
	her.birth("1")
	her.until("document.querySelector('[role=alert].fault')")
	her.sound("chat, wrong birth date")
	her.open(link)
	her.birth("30")
	her.until(shadow + ".querySelector('.log')")
	if at := js[string](her, "location.href"); strings.Contains(at, "k=") {
		t.Error("the link's key is still in the address:", at)
	}
	her.chatReads("will text you check-ins")
	her.sound("chat")
	thief.open(link)
	thief.birth("30")
	thief.until("document.querySelector('[role=alert].fault')")
	thief.sound("chat, link used on another device")

	her.say("first, the hospital car park is a joke")
	her.until(shadow + ".querySelector('.mine .sent').innerText==='Received'")
	her.expectLate()
	line.cut()
	for _, words := range []string{"second, found a lump in my breast", "third, sorry to bother you"} {
		her.say(words)
	}
	her.chatReads("Not sent yet")
	her.chatReads("01632 960 001")
	her.sound("chat, offline")
	if rows := w.rows("open"); strings.Contains(rowsText(rows), "lump") {
		t.Error("what was not sent is at the desk")
	}
	line.mend()
	her.chatReads("Your nurse will contact you")
	her.until("!" + shadow + ".firstElementChild.innerText.includes('Not sent yet')")
	her.open("http://" + line.Addr().String() + "/chat")
	her.chatReads("third, sorry to bother you")
	if said := her.said(); said != "first, the hospital car park is a joke|second, found a lump in my breast|third, sorry to bother you" {
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
	her.chatReads("A nurse will be in touch by")
	her.sound("chat, with a promise")

	row := w.rows("open")[0]["id"].(string)
	w.call("POST", "/api/v1/queue/"+row+"/claim", `{"by":"ann@anytown.example"}`, 200)
	her.chatReads("ann, breast care nurse, has your messages")
	her.chatReads("has taken over from the automatic answers")
	her.chatReads("Read by a nurse")
	if err := w.process.bot.PutDraft(t.Context(), row, "ann@anytown.example", "text", "Dear Mary"); err != nil {
		t.Fatal(err)
	}
	her.chatReads("ann, breast care nurse, is writing to you")
	her.sound("chat, a nurse has it")
	w.call("POST", "/api/v1/queue/"+row+"/release", `{"by":"ann@anytown.example"}`, 200)
	her.chatReads("ann, breast care nurse, has handed back")
	her.say("and my chest is tight and I cant breathe")
	her.until(shadow + ".querySelector('[role=alert]').innerText.includes('999')")
	w.expect(nursePhone, 0, "emergency in the queue")
	her.sound("chat, emergency")
}

// The answer to a message is lost on the way back, and lookout is started anew while
// more are kept: each is stored once, in her order.
func TestChatPageOverARestart(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "lookout.db")
	w := newWorldOn(t, store)
	id := w.enrol("Mary", mary)
	line := newWire(t, strings.TrimPrefix(w.url, "http://"))
	her := newBrowser(t).chatting(w, id, line.Addr().String())
	her.say("one")
	her.until(shadow + ".querySelector('.mine .sent').innerText==='Received'")
	her.expectLate()
	line.deafen() // what she sends goes through, and no answer comes back
	her.say("two")
	w.untilSaid(id, "two")
	line.cut()
	her.choosePhoto()
	her.sound("chat, a photo chosen")
	her.say("three")
	her.chatReads("Photos, which only your nurses see: 1")
	w.halt()
	again := newWorldOn(t, store)
	line.leadTo(strings.TrimPrefix(again.url, "http://"))
	line.mend()
	again.untilSaid(id, "three")
	her.until("!" + shadow + ".firstElementChild.innerText.includes('Not sent yet')")
	if said := her.said(); said != "one|two|three" {
		t.Errorf("on the page she has said %s", said)
	}
	if said := again.saidBy(id); said != "one|two|three" {
		t.Errorf("in the record she has said %s", said)
	}
	moments, err := again.process.bot.Thread(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range moments {
		if m.Text != "three" {
			continue
		}
		if len(m.Media) != 1 {
			t.Fatalf("three came with %d photos", len(m.Media))
		}
		name, _ := m.Media[0].PhotoName()
		photo, err := again.process.bot.Photo(t.Context(), id, name)
		if p, e := jpeg.DecodeConfig(bytes.NewReader(photo)); err != nil || e != nil || p.Width != 1600 || p.Height != 800 {
			t.Errorf("the photo that waited on the device is %d by %d, %v, %v", p.Width, p.Height, err, e)
		}
	}
}

// slowDraft is a device that gives nothing back of what it keeps before window.given.
const slowDraft = `const get = IDBObjectStore.prototype.get
IDBObjectStore.prototype.get = function (key) {
	const asked = get.call(this, key), late = {}
	const give = () => {
		if (!window.given) return setTimeout(give, 10)
		late.result = asked.result
		late.onsuccess?.({ target: late })
	}
	asked.onsuccess = give
	return late
}`

// Two tabs show the same thread; what one keeps is sent once; leaving in one signs the
// other out, and the back button brings nothing back.
func TestChatPageInTwoTabs(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	one := newBrowser(t).chatting(w, id, strings.TrimPrefix(w.url, "http://"))
	two := one.another()
	two.open(w.url + "/chat")
	one.say("all well in the first tab")
	two.chatReads("all well in the first tab")
	two.say("all well in the second tab too")
	one.chatReads("all well in the second tab too")
	w.untilSaid(id, "all well in the second tab too")
	if said := w.saidBy(id); said != "all well in the first tab|all well in the second tab too" {
		t.Errorf("she has said %s", said)
	}
	// What she is in the middle of writing is there when the page is loaded anew.
	two.write("half a sen")
	two.until("(async()=>{const d=await new Promise(r=>{const o=indexedDB.open('lookout');o.onsuccess=()=>r(o.result)});const x=await new Promise(r=>{const g=d.transaction('draft').objectStore('draft').getAll();g.onsuccess=()=>r(g.result)});d.close();window.kept=x[0]?.text})()&&window.kept==='half a sen'")
	two.open(w.url + "/chat")
	two.until(shadow + ".getElementById('words').value==='half a sen'")
	// What she writes before the device has given her draft back stays.
	if _, err := chromedp.Call(two.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: slowDraft}); err != nil {
		t.Fatal(err)
	}
	two.open(w.url + "/chat")
	two.write("written at once")
	two.until("window.given=true")
	two.chatReads("all well in the first tab")
	if got := js[string](two, shadow+".getElementById('words').value"); got != "written at once" {
		t.Errorf("she wrote at once, and there stands %q", got)
	}

	one.expectLate()
	one.click("form.leave button", "Leave this page")
	two.chatReads("You are signed out")
	two.sound("chat, signed out")
	if left := js[string](two, shadow+".firstElementChild.innerText"); strings.Contains(left, "all well in") {
		t.Errorf("her words are still on the screen: %s", left)
	}
	two.do(chromedp.NavigateBack())
	two.open(w.url + "/chat")
	two.reads("use the link in our text")
}

// Where sockets are blocked the page asks instead, and says so; nothing else changes.
func TestChatPageWithoutSockets(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	to, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(to)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chat/ws" {
			http.Error(rw, "no sockets here", http.StatusForbidden)
			return
		}
		r.Host = strings.TrimPrefix(r.Header.Get("Origin"), "http://") // as a proxy on the way does not change it
		through.ServeHTTP(rw, r)
	}))
	defer proxy.Close()
	defer proxy.CloseClientConnections() // one of them waits for news
	b := newBrowser(t)
	her := b.tab()
	her.expectLate()
	her.open(w.link(id, strings.TrimPrefix(proxy.URL, "http://")))
	her.birth("30")
	her.chatReads("This network blocks the live connection")
	her.say("found a lump in my breast")
	her.chatReads("Your nurse will contact you")
	her.until(shadow + ".querySelector('.mine .sent').innerText==='Received'")
	her.sound("chat, sockets blocked")
	if err := w.process.bot.Say(t.Context(), bot.Saying{Patient: id, By: "ann@anytown.example", Words: "Thank you Mary. I ring at four."}); err != nil {
		t.Fatal(err)
	}
	her.chatReads("I ring at four")
	if said := w.saidBy(id); said != "found a lump in my breast" {
		t.Errorf("she has said %s", said)
	}
}

// Without JavaScript the chat is a form.
func TestChatPageWithoutScripts(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	her := newBrowser(t).tab()
	if _, err := chromedp.Call(her.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	her.open(w.link(id, strings.TrimPrefix(w.url, "http://")))
	her.birth("30")
	her.do(chromedp.WaitVisible(chromedp.CSS("#words")))
	her.fill("#words", "found a lump in my breast")
	her.do(chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS(".promise")), chromedp.WaitVisible(chromedp.CSS(".line.mine")))
	if said := w.saidBy(id); said != "found a lump in my breast" {
		t.Errorf("she has said %s", said)
	}
	// Several questions are one form, half of which she fills in.
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"times"}`, 200)
	her.open(w.url + "/chat")
	her.do(chromedp.Click(chromedp.CSS("#q1-5")), chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("fieldset:not(.form) #c0")))
	if said := w.saidBy(id); said != "found a lump in my breast|Friday" {
		t.Errorf("she has said %s", said)
	}
}

// A check-in in the chat: radios and Send, numbers, days; in both languages, in the
// dark, in forced colours, by keyboard alone.
func TestChatPageCheckIn(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	her := newBrowser(t).chatting(w, id, strings.TrimPrefix(w.url, "http://"))
	her.say("hello")
	her.chatReads("hello")
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	her.chatReads("Any change in your chest")
	her.until(shadow + ".querySelector('fieldset')")
	her.sound("chat, yes or no")
	her.until("(()=>{const s=" + shadow + ";s.querySelector('fieldset input').focus();return true})()")
	her.press(" ")
	her.press("\r") // Enter sends a form
	her.until(shadow + ".querySelector('.mine:last-of-type, .mine')&&" + shadow + ".firstElementChild.innerText.includes('Yes')")
	w.untilSaid(id, "Yes")
	for _, media := range []emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}, {Name: "forced-colors", Value: "active"}} {
		if _, err := chromedp.Call(her.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{&media}}); err != nil {
			t.Fatal(err)
		}
		her.sound("chat, " + media.Value)
	}
	if _, err := chromedp.Call(her.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}); err != nil {
		t.Fatal(err)
	}
	// Several questions are one form, by keyboard alone: two radios, a few words, Enter.
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"tired"}`, 200)
	her.until(shadow + ".querySelector('fieldset.form')")
	her.sound("chat, a form")
	her.until("(s=>{s.querySelector('.form input').focus();return true})(" + shadow + ")")
	her.press(" ")
	her.press("\t")
	her.press(" ")
	for range 4 { // over day, month and year
		her.press("\t")
	}
	her.press("3 weeks")
	her.press("\r")
	her.chatReads("off your food, or are your clothes getting loose? Yes")
	w.untilSaid(id, "3 weeks")
	her.chatReads("Your nurse will see all of it")
	her.until("!" + shadow + ".querySelector('fieldset')")
	if said := her.said(); strings.Count(said, "example 3 weeks. 3 weeks") != 1 || strings.Count(said, "does rest not help? Yes") != 1 {
		t.Errorf("what she sent as a form stands there as %q", said)
	}
	her.open(w.url + "/chat") // and so it is when she comes back
	her.chatReads("does rest not help? Yes\nAre you off your food")
	her.open(w.url + "/chat/settings")
	her.click("summary", "Let somebody see")
	her.sound("chat, settings")
	her.fill("#carer-name", "Tom")
	her.fill("#carer-phone", "07700 900555")
	her.click("label", "write for you")
	her.click("button", "Text them a link")
	her.reads("Tell them this code")
	her.sound("chat, a carer let in")
	code := js[string](her, "document.querySelector('.promise strong').innerText")
	text := w.expect("+447700900555", 0, "lets you see messages")
	w.expect(mary, 0, "text STOP Tom")
	tom := (&browser{t, her.ctx}).tabIn(her.ctx, chromedp.WithNewBrowserContext())
	tom.open(text.Body[strings.Index(text.Body, "http"):])
	tom.sound("chat, a carer's link")
	tom.fill("#code", code)
	tom.press("\r")
	tom.chatReads("Add a photo")
	tom.say("she says her back is worse")
	tom.chatReads("You, ")
	tom.sound("chat, a carer's")
	tom.open(w.url + "/chat/sheets/summary")
	tom.chatReads("Add a photo") // her summary is hers alone
	her.open(w.url + "/chat/sheets/summary")
	her.reads("What I would like to ask")
	her.sound("chat, her summary")
	her.open(w.url + "/chat")
	her.chatReads("Tom (husband)")
	her.click("button", "Cymraeg")
	her.until("document.documentElement.lang==='cy'&&" + shadow + ".querySelector('form button').innerText==='Anfon'")
	her.sound("chat, in Welsh")
	if p, err := w.process.bot.Patient(t.Context(), id); err != nil || p.Locale != "cy" {
		t.Errorf("her language is %q, %v", p.Locale, err)
	}
}

// saidBy is all that she has said, as her record has it.
func (w *world) saidBy(id string) string {
	w.Helper()
	moments, err := w.process.bot.Thread(w.Context(), id, 0, 0)
	if err != nil {
		w.Fatal(err)
	}
	var said []string
	for _, m := range moments {
		if m.Kind == bot.EntryIn {
			said = append(said, m.Text)
		}
	}
	return strings.Join(said, "|")
}

// untilSaid waits until her record holds some words of hers.
func (w *world) untilSaid(id, words string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	hints := w.process.bot.Watch(ctx)
	for !strings.Contains("|"+w.saidBy(id)+"|", "|"+words+"|") {
		if _, ok := <-hints; !ok {
			w.Fatalf("she never said %q, but %q", words, w.saidBy(id))
		}
	}
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
	page.until(shadow + ".querySelector('section')")
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

// A hospital's page that is on the list shows the chat in a frame of ours, in its own
// colours, and cannot see into it; a page that is not on the list gets no frame.
func TestWidgetInAFrame(t *testing.T) {
	const key = "a key for tests only, of forty letters.."
	var w *world
	voucher := ""
	page := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src "+w.url+"; frame-src "+w.url)
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(rw, `<!DOCTYPE html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>Anytown Hospital</title><style>:root{--lookout-colour:#7c2855}</style>
			<script src="%s/chat/widget.js" async></script></head><body><main><h1>Breast care</h1><lookout-chat voucher="%s"></lookout-chat></main></body></html>`, w.url, voucher)
	})
	hospital, stranger := httptest.NewServer(page), httptest.NewServer(page)
	defer hospital.Close()
	defer stranger.Close()
	w = newWorld(t, func(s *settings) { s.Chat.Origins, s.Chat.VouchKey = []string{hospital.URL}, key })
	w.enrol("Mary", mary)
	now := w.clock.now()
	var err error
	voucher, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: "9990123454", Audience: jwt.ClaimStrings{w.url + "/chat"}, ID: "one", IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute))}).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	her, other := b.tab(), b.tab()
	her.open(hospital.URL)
	her.until(shadow + ".querySelector('iframe')")
	if js[bool](her, "(()=>{try{return !!"+shadow+".querySelector('iframe').contentWindow.document}catch{return false}})()") {
		t.Error("the hospital's page sees into the frame")
	}
	// What is in the frame is looked at in a tab of its own, which has the same cookies.
	framed := her.another()
	framed.open(w.url + "/chat")
	for end := time.Now().Add(patience); !js[bool](framed, "!!document.querySelector('lookout-chat[me]')"); framed.open(w.url + "/chat") {
		if time.Now().After(end) {
			t.Fatal("the hospital's word never let her in")
		}
	}
	framed.chatReads("will text you check-ins")
	her.expectLate() // of axe, which tries to speak with the frame and may not
	her.sound("widget in a frame")
	other.open(stranger.URL)
	other.until(shadow + ".querySelector('section')")
	if js[bool](other, "!!"+shadow+".querySelector('iframe')") {
		t.Error("a page that is not on the list gets a frame")
	}
	response, err := http.Get(w.url + "/chat")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors "+hospital.URL) || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
}

// What a telephone must load until she sees something is small: that is held. How long
// it takes on a slow network is printed, since it hangs on the machine too.
func TestChatPageIsLight(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	sizes := map[string]int{}
	for _, path := range []string{"/chat", "/chat/chat.css", "/chat/widget.js"} {
		r, _ := http.NewRequest("GET", w.url+path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, response.StatusCode, err)
		}
		sizes[path] = len(body)
	}
	// A first flight of packets is 14 kB: page and style are what the first paint waits for.
	if first := sizes["/chat"] + sizes["/chat/chat.css"]; first > 14<<10 || sizes["/chat/widget.js"] > 24<<10 {
		t.Errorf("page and style are %d bytes, and may be 14 kB; the script %d, and may be 24 kB", first, sizes["/chat/widget.js"])
	}
	her := newBrowser(t).tab()
	slow := &network.Conditions{Latency: 400, DownloadThroughput: 50_000, UploadThroughput: 50_000, ConnectionType: network.ConnectionTypeCellular3g}
	if _, err := chromedp.Call(her.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{slow}}); err != nil {
		t.Fatal(err)
	}
	paint := func() float64 {
		t.Helper()
		her.until("performance.getEntriesByName('first-contentful-paint').length")
		return js[float64](her, "performance.getEntriesByName('first-contentful-paint')[0].startTime")
	}
	her.open(w.link(id, strings.TrimPrefix(w.url, "http://")))
	first := paint()
	her.birth("30")
	her.until(shadow + ".querySelector('.log')")
	t.Logf("400 ms and 50 kB/s: first paint of the link's page after %.0f ms, of her messages after %.0f ms; %d bytes of page, %d of style, %d of script", first, paint(), sizes["/chat"], sizes["/chat/chat.css"], sizes["/chat/widget.js"])
}
