package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	permissions "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"lookout/bot"
)

// pushService stands in for a browser's push service, and for the browser: it holds every
// push to RFC 8292 (who sends it) and opens it by RFC 8291 (what it says).
type pushService struct {
	*httptest.Server
	t      *testing.T
	key    *ecdh.PrivateKey
	auth   []byte
	public string      // the key that the page was given
	gone   bool        // the device has been taken away
	got    chan string // what each push said, with its urgency
}

func newPushService(t *testing.T) *pushService {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &pushService{t: t, key: key, auth: []byte("sixteen bytes ok"), got: make(chan string, 10)}
	p.Server = httptest.NewServer(http.HandlerFunc(p.take))
	t.Cleanup(p.Close)
	return p
}

func (p *pushService) host() string { return strings.TrimPrefix(p.URL, "http://") }

// device is what a page posts of this browser.
func (p *pushService) device() url.Values {
	b64 := base64.RawURLEncoding.EncodeToString
	return url.Values{"endpoint": {p.URL + "/device/1"}, "p256dh": {b64(p.key.PublicKey().Bytes())}, "auth": {b64(p.auth)}, "lang": {"en-GB"}}
}

func (p *pushService) take(w http.ResponseWriter, r *http.Request) {
	if p.gone {
		w.WriteHeader(http.StatusGone)
		p.got <- "gone"
		return
	}
	text, err := p.open(r)
	if err != nil {
		p.t.Errorf("a push is refused: %v", err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusCreated)
	p.got <- text + " " + r.Header.Get("Urgency")
}

// open checks who sends a push, and decrypts it.
func (p *pushService) open(r *http.Request) (string, error) {
	parts := regexp.MustCompile(`^vapid t=(.+), k=(.+)$`).FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil || parts[2] != p.public || r.Header.Get("TTL") == "" || r.Header.Get("Content-Encoding") != "aes128gcm" {
		return "", fmt.Errorf("headers: %v", r.Header)
	}
	point, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", fmt.Errorf("the key: %w", err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return "", fmt.Errorf("the key: %w", err)
	}
	var claims jwt.RegisteredClaims
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(p.URL), jwt.WithExpirationRequired()).ParseWithClaims(parts[1], &claims, func(*jwt.Token) (any, error) { return public, nil })
	if err != nil || claims.Subject != "mailto:it@anytown.example" || time.Until(claims.ExpiresAt.Time) > 24*time.Hour {
		return "", fmt.Errorf("the word of who sends it: %+v, %v", claims, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) < 21+65 || len(body) > 4096 || body[20] != 65 {
		return "", fmt.Errorf("%d bytes, %v", len(body), err)
	}
	salt, sender, sealed := body[:16], body[21:86], body[86:]
	from, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return "", err
	}
	shared, err := p.key.ECDH(from)
	if err != nil {
		return "", err
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		key, e := hkdf.Key(sha256.New, secret, salt, info, n)
		err = errors.Join(err, e)
		return key
	}
	ikm := derive(shared, p.auth, "WebPush: info\x00"+string(p.key.PublicKey().Bytes())+string(sender), 32)
	block, e1 := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	gcm, e2 := cipher.NewGCM(block)
	plain, e3 := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), sealed, nil)
	if err := errors.Join(err, e1, e2, e3); err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(strings.TrimRight(string(plain), "\x00"), "\x02")
	if !ok {
		return "", errors.New("it has no end")
	}
	return text, nil
}

func (p *pushService) next() string {
	p.t.Helper()
	select {
	case text := <-p.got:
		return text
	case <-time.After(patience):
		p.t.Fatal("no push came")
		return ""
	}
}

// By her choice a device of hers is told that there is a message, and nothing else; only
// over a push service, and no more when she has left there, or the device is gone.
func TestChatPush(t *testing.T) {
	service := newPushService(t)
	w := newWorld(t, func(s *settings) {
		s.Chat.PushContact, s.Chat.PushServices = "it@anytown.example", []string{service.host()}
	})
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	service.public = regexp.MustCompile(`"push":"([^"]+)"`).FindStringSubmatch(w.fetch(c, w.url+"/chat/widget.js", 200))[1]
	for _, at := range []string{"https://evil.example/x", "http://fcm.googleapis.com/x", "https://fcm.googleapis.com.evil.example/x", "https://evil.example@fcm.googleapis.com/x", "http://127.0.0.1:1/x", "file:///etc/passwd", ""} {
		form := service.device()
		form.Set("endpoint", at)
		w.submit(c, "/chat/push", form, 422)
	}
	w.submit(http.DefaultClient, "/chat/push", service.device(), 401)
	w.submit(c, "/chat/push", service.device(), 204)

	w.submit(c, "/chat/say", url.Values{"id": {"one"}, "words": {"found a lump in my breast"}}, 200)
	const neutral = `{"body":"You have a new message.","title":"Messages"} `
	if text := service.next(); text != neutral+"normal" {
		t.Errorf("the push says %s", text)
	}
	w.submit(c, "/chat/say", url.Values{"id": {"two"}, "words": {"my chest is tight and I cant breathe"}}, 200)
	w.expect(nursePhone, 0, "emergency in the queue")
	if text := service.next(); text != neutral+"high" {
		t.Errorf("the push of an emergency says %s", text)
	}
	devices := func() int {
		t.Helper()
		all, err := w.process.store.Values(t.Context(), bot.DrawerPush+id, w.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	w.submit(c, "/chat/push", url.Values{"endpoint": service.device()["endpoint"], "stop": {"yes"}}, 204)
	if n := devices(); n != 0 {
		t.Errorf("she wants it no more, and %d devices are kept", n)
	}
	w.submit(c, "/chat/push", service.device(), 204)
	service.gone = true
	w.submit(c, "/chat/say", url.Values{"id": {"three"}, "words": {"can I park there?"}}, 200)
	if err := w.process.bot.Say(t.Context(), bot.Saying{Patient: id, By: "ann@anytown.example", Words: "Yes."}); err != nil {
		t.Fatal(err)
	}
	service.next()
	if !eventually(t, func() bool { return devices() == 0 }) {
		t.Error("a device that is gone is kept")
	}
	w.submit(c, "/chat/push", service.device(), 204)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.submit(c, "/chat/leave", nil, 303)
	if n := devices(); n != 0 {
		t.Errorf("she has left, and %d devices are kept", n)
	}
	if strings.Contains(w.log.String(), "/device/1") {
		t.Error("the address of a device is in the log")
	}
}

// She chooses it on her page, and takes it back. Chromium has no push service here: what
// it would give is put in; all else is the page's own.
func TestChatPagePush(t *testing.T) {
	service := newPushService(t)
	w := newWorld(t, func(s *settings) {
		s.Chat.PushContact, s.Chat.PushServices = "it@anytown.example", []string{service.host()}
	})
	id := w.enrol("Mary", mary)
	her := newBrowser(t).chatting(w, id, strings.TrimPrefix(w.url, "http://"))
	d := service.device()
	js[bool](her, fmt.Sprintf(`(()=>{let now=null;Notification.requestPermission=async()=>'granted';Object.defineProperty(Notification,'permission',{get:()=>'granted'});const raw=s=>Uint8Array.from(atob(s.replaceAll('-','+').replaceAll('_','/')),c=>c.charCodeAt(0)).buffer;
		PushManager.prototype.subscribe=async o=>now={endpoint:%q,getKey:k=>raw(k==='auth'?%q:%q),unsubscribe:async()=>{now=null;return true}};PushManager.prototype.getSubscription=async()=>now;return true})()`, d.Get("endpoint"), d.Get("auth"), d.Get("p256dh")))
	button := shadow + ".querySelector('button[aria-describedby=push-hint]')"
	her.until(button + "?.innerText==='Tell me on this device when a message comes'")
	her.sound("chat, with the offer to tell her")
	her.until("(" + button + ".click(),true)")
	her.until(button + ".innerText==='Stop telling me on this device'")
	all, err := w.process.store.Values(t.Context(), bot.DrawerPush+id, w.clock.now())
	if len(all) != 1 || err != nil {
		t.Errorf("%d devices are kept, %v", len(all), err)
	}
	if !js[bool](her, "navigator.serviceWorker.ready.catch(()=>0)&&navigator.serviceWorker.getRegistration('/chat/').then(r=>r.scope.endsWith('/chat/'))") {
		t.Error("no service worker is there to show it")
	}
	her.until("(" + button + ".click(),true)")
	her.until(button + ".innerText==='Tell me on this device when a message comes'")
	if all, err := w.process.store.Values(t.Context(), bot.DrawerPush+id, w.clock.now()); len(all) != 0 || err != nil {
		t.Errorf("she wants it no more, and %d devices are kept, %v", len(all), err)
	}
}

// What comes to her device while her messages are not on the screen is shown there, in
// neutral words. Chromium shows it; a push service is played by its developer's tools, which
// hand the service worker what our pushes hold (TestChatPush opens them).
func TestChatPageNotice(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Chat.PushContact = "it@anytown.example" })
	id := w.enrol("Zebedeemarker", mary)
	b := newBrowser(t)
	her := b.tabIn(b.ctx) // one without a history shows no notices
	address := strings.TrimPrefix(w.url, "http://")
	her.open(w.link(id, address))
	her.birth("30")
	her.until(shadow + ".querySelector('.log')")
	if _, err := chromedp.CallBrowser(her.ctx, permissions.SetPermission, permissions.SetPermissionParams{Permission: &permissions.PermissionDescriptor{Name: "notifications"}, Setting: permissions.PermissionSettingGranted, Origin: w.url}); err != nil {
		t.Fatal(err)
	}
	registered := make(chan serviceworker.RegistrationID, 10)
	updates := chromedp.Events(her.ctx, serviceworker.WorkerRegistrationUpdated)
	go func() {
		for e, err := range updates {
			if err != nil {
				return
			}
			for _, r := range e.Registrations {
				registered <- r.RegistrationID
			}
		}
	}()
	if _, err := chromedp.Call(her.ctx, serviceworker.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	her.open(w.url + "/chat/settings") // her messages are not on the screen
	js[bool](her, "navigator.serviceWorker.register('/chat/push.js').then(async r=>{while(!r.active)await new Promise(f=>setTimeout(f,20));return true})")
	var worker serviceworker.RegistrationID
	select {
	case worker = <-registered:
	case <-time.After(patience):
		t.Fatal("no service worker is registered")
	}
	const push = `{"body":"You have a new message.","title":"Messages"}`
	const shown = "navigator.serviceWorker.getRegistration('/chat/').then(r=>r.getNotifications()).then(all=>all.map(n=>n.title+': '+n.body+' '+n.tag).join('|'))"
	if !eventually(t, func() bool { // the tools lose what comes before the worker runs; one tag, one notice
		_, err := chromedp.Call(her.ctx, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: w.url, RegistrationID: worker, Data: push})
		return err == nil && js[string](her, shown) != ""
	}) {
		t.Fatal("no notice is shown")
	}
	if got := js[string](her, shown); got != "Messages: You have a new message. message" {
		t.Errorf("on the screen stands %q", got)
	}
}
