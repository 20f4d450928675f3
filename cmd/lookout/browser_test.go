package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe/axe.min.js
var axe string

// patience is how long a page may take to come to a state, on a busy machine.
const patience = time.Minute

// browser is a headless Chromium of its own, with an empty profile.
type browser struct {
	testing.TB
	ctx context.Context
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing, and the pages are tested in it: apt-get install chromium (or run .ci/setup)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("chromium does not start:", err)
	}
	t.Cleanup(func() {
		chromedp.Cancel(ctx)
		cancelBrowser()
		cancel()
	})
	return &browser{t, ctx}
}

// refused is what Chromium says of a page that answers with a refusal.
var refused = regexp.MustCompile(`status of 4(0[1349]|22) `)

// tab is one tab, with cookies of its own. Whatever the page complains of on its
// console, a violated content policy among it, fails the test; that a sign-in, a
// row or an act was refused is no complaint of the page's.
type tab struct {
	testing.TB
	ctx  context.Context
	mu   sync.Mutex
	deaf bool // complaints are expected: the test has cut the connection
}

func (b *browser) tab() *tab {
	b.Helper()
	return b.tabIn(b.ctx, chromedp.WithNewBrowserContext())
}

// another is a second tab with the same cookies.
func (t *tab) another() *tab {
	t.Helper()
	return (&browser{t.TB, t.ctx}).tabIn(t.ctx)
}

func (b *browser) tabIn(in context.Context, options ...chromedp.ContextOption) *tab {
	b.Helper()
	ctx, cancel := chromedp.NewContext(in, options...)
	t := &tab{TB: b.TB, ctx: ctx}
	b.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		b.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			t.mu.Lock()
			if !t.deaf && !refused.MatchString(m.Text) && m.Type != "log" && m.Type != "info" && m.Type != "debug" {
				t.Errorf("the page complains: %v", m)
			}
			t.mu.Unlock()
		}
	}()
	t.width(1280)
	return t
}

func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func (t *tab) open(url string) { t.Helper(); t.do(chromedp.Navigate(url)) }

func (t *tab) width(pixels int64) {
	t.Helper()
	t.do(chromedp.EmulateViewport(pixels, 800))
}

// js evaluates an expression, and waits if it is a promise.
func js[T any](t *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.80s: %v", expression, err)
	}
	return value
}

// until waits until an expression is true, over changes of the page.
func (t *tab) until(expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && ok {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("never came: %s\non %s", expression, js[string](t, "location.pathname+'\\n'+document.body.innerText+'\\n'+(document.querySelector('lookout-chat')?.shadowRoot?.firstElementChild?.innerText||'')"))
		}
	}
}

// reads waits until the page says some words.
func (t *tab) reads(words string) {
	t.Helper()
	t.until(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", words))
}

// press sends keys to where the focus is, once the page's scripts listen.
func (t *tab) press(keys string) {
	t.Helper()
	t.until("document.readyState==='complete'")
	t.do(chromedp.KeyEvent(keys))
}

// tabTo presses Tab until the focus is on what a selector names and says, and
// fails if what has the focus on the way cannot be seen to have it.
func (t *tab) tabTo(selector, words string) {
	t.Helper()
	for range 80 {
		t.press("\t")
		if js[bool](t, fmt.Sprintf("document.activeElement.matches(%q) && (document.activeElement.innerText||'').includes(%q)", selector, words)) {
			if !js[bool](t, `(()=>{const s=getComputedStyle(document.activeElement);return s.outlineStyle!=='none'&&parseFloat(s.outlineWidth)>0||s.boxShadow!=='none'||s.backgroundColor==='rgb(255, 235, 59)'})()`) {
				t.Errorf("the focus on %s cannot be seen", selector)
			}
			return
		}
	}
	t.Fatalf("Tab never comes to %s %q on %s", selector, words, js[string](t, "location.pathname"))
}

// click clicks the first thing of a selector that says some words.
func (t *tab) click(selector, words string) {
	t.Helper()
	find := fmt.Sprintf("[...document.querySelectorAll(%q)].find(e=>(e.innerText||e.value||'').includes(%q))", selector, words)
	t.until("(e=>e&&(e.click(),true))(" + find + ")") // in one go: the page may change
}

// fill types into a field that is empty.
func (t *tab) fill(selector, words string) {
	t.Helper()
	t.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), words))
}

// Things to press must be 24 px wide and high (WCAG 2.2, 2.5.8), save links in text
// and what is only there for screen readers. A radio's label counts with it.
const smallTargets = `[document,...[...document.querySelectorAll('*')].map(e=>e.shadowRoot).filter(Boolean)].flatMap(d=>[...d.querySelectorAll('a,button,input,select,textarea,summary')]).filter(e=>{
 if(e.type==='hidden'||e.closest('.nhsuk-u-visually-hidden')||e.classList.contains('nhsuk-skip-link'))return false;
 const s=getComputedStyle(e);if(s.visibility==='hidden'||s.display==='none')return false;
 let r=e.getBoundingClientRect();if(r.width<=1||r.height<=1)return false;
 if(e.tagName==='A'&&s.display==='inline')return false;
 if(e.labels&&e.labels[0]&&(e.type==='radio'||e.type==='checkbox')){const l=e.labels[0].getBoundingClientRect();return Math.max(r.height,l.height)<24||r.width+l.width<24}
 return r.width<24||r.height<24}).map(e=>e.outerHTML.slice(0,90)).join('\n')`

// sound holds a state of a page to WCAG 2.2 AA, at 1280 and at 320 px: axe finds
// nothing, nothing is wider than the screen, nothing to press is too small. With
// LOOKOUT_SHOTS=FOLDER it leaves pictures there for a person to look at.
func (t *tab) sound(state string) {
	t.Helper()
	for _, width := range []int64{1280, 320} {
		t.width(width)
		if over := js[int](t, "document.documentElement.scrollWidth-document.documentElement.clientWidth"); over > 0 {
			t.Errorf("%s: at %d px the page is %d px too wide: %s", state, width, over, js[string](t, `[...document.querySelectorAll('body *')].filter(e=>e.getBoundingClientRect().right>innerWidth+1).slice(0,4).map(e=>e.outerHTML.slice(0,100)).join('\n')`))
		}
		if small := js[string](t, smallTargets); small != "" {
			t.Errorf("%s: at %d px these are too small to press:\n%s", state, width, small)
		}
		if dir := os.Getenv("LOOKOUT_SHOTS"); dir != "" {
			ctx, cancel := context.WithTimeout(t.ctx, patience)
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", strings.ReplaceAll(state, " ", "-"), width)), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		js[bool](t, axe+";true")
		found := js[string](t, `axe.run(document,{runOnly:{type:'tag',values:['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']}}).then(r=>r.violations.map(v=>v.id+': '+v.help+'\n'+v.nodes.map(n=>'    '+n.html.slice(0,160)+'\n    '+n.failureSummary.replaceAll('\n',' ')).join('\n')).join('\n'))`)
		if found != "" {
			t.Errorf("%s: at %d px axe finds\n%s", state, width, found)
		}
	}
	t.width(1280)
}

// signIn signs a nurse in at the desk.
func (t *tab) signIn(url, email, password string) {
	t.Helper()
	t.open(url + "/desk/")
	t.fill("#email", email)
	t.fill("#password", password)
	t.click("button", "Sign in")
	t.reads("The queue")
}

// theDemo runs the demo as a user starts it, on a Tuesday morning, and gives its address.
func theDemo(t *testing.T) string {
	t.Helper()
	url, stop := demoAt(t, time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), filepath.Join(t.TempDir(), "demo"))
	t.Cleanup(stop)
	return url
}

// The whole job on the screen: she answers on her phone, the row stands on the desk
// by itself, the nurse takes it, rings, and closes it; another nurse sees who has it.
func TestPagesFromPhoneToDesk(t *testing.T) {
	url := theDemo(t)
	b := newBrowser(t)
	phone, desk, other := b.tab(), b.tab(), b.tab()
	phone.open(url + "/demo/")
	phone.sound("demo")
	desk.open(url + "/desk/")
	desk.sound("sign-in")
	desk.fill("#email", "ann@demo.example")
	desk.fill("#password", "wrong")
	desk.click("button", "Sign in")
	desk.reads("There is a problem")
	desk.sound("sign-in failed")
	desk.signIn(url, "ann@demo.example", demoPassword)
	desk.sound("queue")
	desk.until("document.getElementById('status').innerText.includes('Up to date')")

	phone.open(url + "/demo/phone/447700900101")
	phone.sound("phone")
	phone.fill("#words", "my back is agony at night and my legs feel weak")
	js[bool](desk, "(window.mark='still the same page', true)")
	phone.click("#type button", "Send")
	desk.reads("my legs feel weak")
	if js[string](desk, "window.mark||''") == "" {
		t.Error("the queue was loaded anew, and not brought up to date in place")
	}
	if top := js[string](desk, "document.querySelector('tbody tr').innerText"); !strings.Contains(top, "Mary Okafor") || !strings.Contains(top, "Emergency") {
		t.Errorf("the emergency is not at the top: %s", top)
	}
	phone.reads("999")
	phone.sound("phone with an emergency")

	desk.click("tbody tr button", "Take")
	desk.reads("Why is this here?")
	desk.reads("Held by Ann Price")
	desk.sound("case, hers")
	other.signIn(url, "bea@demo.example", demoPassword)
	other.reads("Ann Price")
	other.click("tbody a", "Mary Okafor")
	other.reads("Held by Ann Price")
	other.sound("case, another's")
	other.reads("Take over from Ann Price") // she is the lead
	// Another who takes it all the same is told who has it.
	js[bool](other, "(f=>{f.action=f.action.replace('takeover','take');f.submit();return true})(document.querySelector(\"form[action$='/takeover']\"))")
	other.reads("Ann Price has this one")
	other.sound("taken by another")

	desk.click("a", "Close")
	desk.reads("Nobody has spoken with her")
	desk.sound("close")
	desk.open(js[string](desk, "document.querySelector('.nhsuk-back-link').href"))
	desk.click("button[name=result]", "spoke")
	desk.reads("spoken with")
	desk.fill("#note", "Legs weak since the morning. 999 is on the way.")
	desk.click("button", "Save the note")
	desk.reads("999 is on the way")
	desk.click("a", "Close")
	desk.reads("What came of it?") // the case has labels with 999 too
	desk.click("label", "999")
	desk.click("main button", "Close")
	desk.reads("The queue")
	desk.until("!document.querySelector('tbody')||!document.querySelector('tbody').innerText.includes('Emergency')")
	desk.fill("#q", "okafor")
	desk.click("button", "Search")
	desk.until("document.querySelector('h1')?.innerText==='Search'") // the queue has her name too
	desk.reads("Mary Okafor")
	desk.sound("search")
	desk.fill("#q", "nobody at all")
	desk.click("button", "Search")
	desk.reads("Nobody was found")
	desk.sound("search, nobody")
	desk.open(url + "/desk/rows/none")
	desk.sound("no such row")
}

// A nurse works the queue by keyboard alone.
func TestPagesByKeyboard(t *testing.T) {
	url := theDemo(t)
	desk := newBrowser(t).tab()
	desk.open(url + "/desk/")
	desk.tabTo("a", "Skip to main content")
	desk.tabTo("#email", "")
	desk.press("ann@demo.example")
	desk.tabTo("#password", "")
	desk.press(demoPassword + "\r")
	desk.reads("The queue")
	desk.tabTo("button", "Take")
	desk.press("\r")
	desk.reads("Held by Ann Price")
	desk.tabTo("button", "spoke")
	desk.press("\r")
	desk.reads("spoken with")
	desk.tabTo("a", "Close")
	desk.press("\r")
	desk.reads("What came of it?")
	desk.tabTo("input[name=outcome]", "")
	desk.press(" ")
	desk.tabTo("main button", "Close")
	desk.press("\r")
	desk.reads("The queue")
	desk.reads("Nothing here needs you now.")
	desk.sound("queue, empty")
}

// The desk works without JavaScript: sign in, take, ring, close.
func TestDeskWithoutScripts(t *testing.T) {
	url := theDemo(t)
	desk := newBrowser(t).tab()
	if _, err := chromedp.Call(desk.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	press := func(selector string) {
		t.Helper()
		for end := time.Now().Add(patience); ; { // the page may be changing under the query
			ctx, cancel := context.WithTimeout(desk.ctx, 2*time.Second)
			err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector)))
			cancel()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", selector, err)
			}
		}
	}
	desk.open(url + "/desk/")
	desk.fill("#email", "ann@demo.example")
	desk.fill("#password", demoPassword)
	press("form button")
	press("tbody button")
	press("button[value=spoke]")
	press("a[href$='/close']")
	press("label[for=o0]")
	press("main form button")
	desk.do(chromedp.WaitVisible(chromedp.CSS(".desk-empty")))
}

// An administrator invites a nurse, who chooses her password on her own device and
// changes it later, and then makes a passkey and signs in with it alone.
func TestPagesOfTheTeam(t *testing.T) {
	url, stop := demoOn(t, "localhost", time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), filepath.Join(t.TempDir(), "demo"))
	t.Cleanup(stop)
	b := newBrowser(t)
	admin, eve := b.tab(), b.tab()
	admin.open(url + "/desk/")
	admin.fill("#email", "ida@demo.example")
	admin.fill("#password", demoPassword)
	admin.click("button", "Sign in")
	admin.reads("Who may sign in")
	admin.sound("team")
	admin.fill("#email", "eve@demo.example")
	admin.fill("#name", "Eve Long")
	admin.click("label", "Nurse")
	admin.click("button", "Invite")
	admin.reads("Give this link to Eve Long")
	admin.sound("team, invited")
	eve.open(js[string](admin, "document.querySelector('.desk-words').innerText.trim()"))
	eve.reads("Choose a password")
	eve.sound("welcome")
	eve.fill("#new", "short")
	eve.click("button", "Save")
	eve.reads("There is a problem")
	eve.sound("welcome, weak")
	eve.fill("#new", "teapot viola gravel")
	eve.click("button", "Save")
	eve.reads("The queue")
	eve.click("a", "Eve Long")
	eve.reads("Present password")
	eve.sound("password")
	eve.fill("#now", "teapot viola gravel")
	eve.fill("#new", "harbour lemon ladder")
	eve.click("button", "Change")
	eve.reads("The queue")
	admin.open(url + "/desk/rows/none")
	admin.reads("not for your role")
	eve.passkeys(url)
}

// Where a hospital's own sign-in is set, its pages are as good as the others, and so is
// what stands there when the provider does not answer.
func TestPagesOfTheHospitalsSignIn(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.OIDC = oidcSettings{Issuer: "https://127.0.0.1:1", ClientID: "lookout", ClientSecret: "of the provider", Name: "NHSmail"}
	})
	nurse := newBrowser(t).tab()
	nurse.expectLate() // the page says 503
	nurse.open(w.url + "/desk/")
	nurse.reads("Sign in with NHSmail")
	nurse.sound("sign-in, with a provider")
	nurse.tabTo("a", "Sign in with NHSmail")
	nurse.press("\r")
	nurse.reads("NHSmail does not answer just now")
	nurse.sound("sign-in, the provider away")
}

// passkeys makes a passkey for who is signed in, on a device that the browser plays,
// signs in with it, and removes it.
func (t *tab) passkeys(url string) {
	t.Helper()
	if _, err := chromedp.Call(t.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	device, err := chromedp.Call(t.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	if err != nil {
		t.Fatal(err)
	}
	seen := func(yes bool) {
		t.Helper()
		if _, err := chromedp.Call(t.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device.AuthenticatorID, IsUserVerified: yes}); err != nil {
			t.Fatal(err)
		}
	}
	leave := func() {
		t.Helper()
		t.click("button", "Sign out")
		t.reads("Sign in to the desk")
		t.until("!document.getElementById('passkey-in').hidden")
	}
	t.open(url + "/desk/second-factor")
	t.fill("#passkey-name", "work laptop")
	t.click("button", "Add a passkey")
	t.reads("The queue")
	t.open(url + "/desk/second-factor")
	t.reads("work laptop")
	t.sound("second factor, a passkey")
	leave()
	t.sound("sign-in, with passkeys")
	seen(false) // the device is in other hands: it asks for face, finger or PIN in vain
	t.click("button", "Use a passkey")
	t.reads("That did not work")
	seen(true)
	t.click("button", "Use a passkey")
	t.reads("The queue")
	t.open(url + "/desk/second-factor")
	t.click("button", "Remove")
	t.reads("The queue")
	leave()
	t.click("button", "Use a passkey")
	t.reads("The passkey is not known here")
	t.sound("sign-in, passkey refused")
}
