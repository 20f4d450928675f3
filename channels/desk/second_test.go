package desk

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

var secretForm = regexp.MustCompile(`Key: <strong class="desk-words">([A-Z2-7 ]+)</strong>`)

// A nurse sets up a code beside her password; from then on the password alone opens
// nothing, a code counts once, and her other devices are signed out.
func TestSecondFactor(t *testing.T) {
	o := newOffice(t)
	here, elsewhere := o.browser("ann@example.org"), o.browser("ann@example.org")
	_, page := o.get(here, "/desk/second-factor")
	m := secretForm.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no key is shown:\n%s", page)
	}
	secret := strings.ReplaceAll(m[1], " ", "")
	if status, picture := o.get(here, "/desk/second-factor.png"); status != 200 || !strings.HasPrefix(picture, "\x89PNG") {
		t.Errorf("the picture: %d", status)
	}
	code := func() string {
		t.Helper()
		c, err := totp.GenerateCode(secret, o.clock.at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if status, page := o.post(here, "/desk/second-factor", url.Values{"code": {"000000"}}); status != 422 || !strings.Contains(page, m[1]) {
		t.Errorf("a wrong code: %d, or another key is shown", status)
	}
	used := code()
	if status, _ := o.post(here, "/desk/second-factor", url.Values{"code": {used}}); status != 200 {
		t.Errorf("switch on: %d", status)
	}
	if _, page := o.get(elsewhere, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("another device is still signed in")
	}
	jar, _ := cookiejar.New(nil)
	fresh := &http.Client{Jar: jar}
	if status, page := o.post(fresh, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}, "next": {"/desk/rows/" + o.row}}); status != 200 || !strings.Contains(page, "Six digits") || strings.Contains(page, "Zebedeemarker") {
		t.Errorf("with the password alone: %d", status)
	}
	if _, page := o.get(fresh, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("the password alone opens the queue")
	}
	if status, _ := o.post(fresh, "/desk/code", url.Values{"code": {used}}); status != 401 {
		t.Errorf("a code that was used: %d", status)
	}
	o.clock.at = o.clock.at.Add(30 * time.Second)
	if status, page := o.post(fresh, "/desk/code", url.Values{"code": {code()}, "next": {"/desk/rows/" + o.row}}); status != 200 || !strings.Contains(page, "Why is this here?") {
		t.Errorf("with the next: %d", status)
	}
	// Half signed in for too long.
	jar2, _ := cookiejar.New(nil)
	slow := &http.Client{Jar: jar2}
	o.post(slow, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}})
	o.clock.at = o.clock.at.Add(6 * time.Minute)
	if status, _ := o.post(slow, "/desk/code", url.Values{"code": {code()}}); status != 401 {
		t.Errorf("after six minutes: %d", status)
	}
	// Many codes are tried.
	o.post(slow, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}})
	last := 0
	for range 8 {
		last, _ = o.post(slow, "/desk/code", url.Values{"code": {"123456"}})
	}
	if last != 429 {
		t.Errorf("after many codes: %d, want 429", last)
	}
	// An invitation helps who has lost her phone, and a new name alone takes nothing off.
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil || u.TOTP == "" {
		t.Fatalf("%+v, %v", u, err)
	}
	link, err := o.bot.Invite(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if u, _ := o.bot.User(t.Context(), "ann@example.org"); u.TOTP == "" {
		t.Error("an invitation that nobody has used takes the second factor off")
	}
	_, token, _ := strings.Cut(link, "k=")
	if u, err := o.bot.Accept(t.Context(), token, u.Password, ""); err != nil || u.TOTP != "" {
		t.Errorf("%v: the phone that is lost is still asked for", err)
	}
}

// Whoever signs out everywhere has no session left.
func TestSignOutEverywhere(t *testing.T) {
	o := newOffice(t)
	here, elsewhere := o.browser("ann@example.org"), o.browser("ann@example.org")
	o.post(here, "/desk/sign-out-everywhere", nil)
	for _, c := range []*http.Client{here, elsewhere} {
		if _, page := o.get(c, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
			t.Error("a session is left")
		}
	}
}
