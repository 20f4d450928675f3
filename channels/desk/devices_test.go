package desk

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"lookout/bot"
)

var deviceForm = regexp.MustCompile(`name="device" value="([^"]+)"`)

// as is a browser that says what it is, and has signed in.
func (o *office) as(agent, email string) *http.Client {
	o.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Transport: agents(agent)}
	if status, page := o.post(c, "/desk/sign-in", url.Values{"email": {email}, "password": {password}}); status != 200 {
		o.Fatalf("sign in: %d %s", status, page)
	}
	return c
}

type agents string

func (a agents) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", string(a))
	return http.DefaultTransport.RoundTrip(r)
}

// A nurse sees where she is signed in, and since when, and signs out there: on one of
// her devices, or on all but the one before her. Nobody ends what is not hers.
func TestWhereSheIsSignedIn(t *testing.T) {
	o := newOffice(t)
	phone := o.as("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1", "ann@example.org")
	o.clock.at = o.clock.at.Add(10 * time.Minute)
	ward := o.as("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0", "ann@example.org")
	bea := o.as("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "bea@example.org")
	o.clock.at = o.clock.at.Add(10 * time.Minute)
	_, page := o.get(ward, "/desk/password")
	for _, want := range []string{`Edge on Windows <strong class="nhsuk-tag nhsuk-tag--grey">This one`, "Safari on an iPhone", "Tue 24 Nov, 10:00", "Tue 24 Nov, 10:20"} {
		if !strings.Contains(page, want) {
			t.Errorf("her page does not say %q", want)
		}
	}
	ids := deviceForm.FindAllStringSubmatch(page, -1)
	if len(ids) != 1 || strings.Contains(page, "Firefox") {
		t.Fatalf("she can end %d others, or sees a colleague's", len(ids))
	}
	o.post(bea, "/desk/devices/end", url.Values{"device": {ids[0][1]}})
	if _, page := o.get(phone, "/desk/"); !strings.Contains(page, "The queue") {
		t.Error("a colleague has signed her out")
	}
	if _, page := o.post(ward, "/desk/devices/end", url.Values{"device": {ids[0][1]}}); strings.Contains(page, "iPhone") || !strings.Contains(page, "Edge on Windows") {
		t.Error("it is on the list still, or she has signed herself out")
	}
	if _, page := o.get(phone, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("she is signed in there still")
	}
	o.post(phone, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}})
	if _, page := o.get(phone, "/desk/"); !strings.Contains(page, "The queue") {
		t.Error("she cannot sign in there again")
	}
	if _, page := o.post(ward, "/desk/devices/others", nil); strings.Contains(page, "iPhone") || !strings.Contains(page, "Edge on Windows") {
		t.Error("after signing out everywhere else the list is not this one alone")
	}
	if _, page := o.get(phone, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("the other is signed in still")
	}
	if status, page := o.get(bea, "/desk/"); status != 200 || !strings.Contains(page, "The queue") {
		t.Error("a colleague was signed out")
	}
}

// Whoever has her password changed, a code or passkey set up or taken off, or an invitation
// used in her place, reads so on every page where it was not done, until she says that it
// was she.
func TestToldOfChangesOfHerSignIn(t *testing.T) {
	o := newOffice(t)
	thief, jar := o.browser("ann@example.org"), must(cookiejar.New(nil))
	const chosen = "teapot viola gravel"
	o.post(thief, "/desk/password", url.Values{"now": {password}, "new": {chosen}})
	const words = "Your password was changed"
	if _, page := o.get(thief, "/desk/"); strings.Contains(page, words) {
		t.Error("it is news where it was done")
	}
	ann := &http.Client{Jar: jar}
	o.post(ann, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {chosen}})
	var page string
	for _, path := range []string{"/desk/", "/desk/rows/" + o.row, "/desk/second-factor"} {
		if _, page = o.get(ann, path); !strings.Contains(page, words+"</strong>, Tue 24 Nov, 10:00") {
			t.Errorf("%s does not say that her password was changed", path)
		}
	}
	change := regexp.MustCompile(`name="change" value="([^"]+)"`).FindStringSubmatch(page)[1]
	// One that came after the page was made stays.
	o.clock.at = o.clock.at.Add(time.Second)
	u, err := o.bot.ChangeSignIn(t.Context(), "ann@example.org", "A passkey was added: thief", "", func(*bot.User) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, page := o.post(ann, "/desk/changes", url.Values{"change": {change}}); strings.Contains(page, words) || !strings.Contains(page, "A passkey was added: thief") {
		t.Error("what she knows of is shown again, or what she does not know of is not")
	}
	link, err := o.bot.Invite(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(link, "k=")
	fresh := &http.Client{Jar: must(cookiejar.New(nil))}
	if status, page := o.post(fresh, "/desk/welcome", url.Values{"k": {token}, "password": {"harbour lemon ladder"}}); status != 200 || strings.Contains(page, "chosen with an invitation") {
		t.Errorf("%d: the invitation is news where it was used", status)
	}
	elsewhere := &http.Client{Jar: must(cookiejar.New(nil))}
	if _, page := o.post(elsewhere, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {"harbour lemon ladder"}}); !strings.Contains(page, "A new password was chosen with an invitation") {
		t.Error("she is not told that an invitation was used in her name")
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func TestDeviceName(t *testing.T) {
	for agent, want := range map[string]string{
		"":         "A browser on another device",
		"curl/8.5": "A browser on another device",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15":                  "Safari on a Mac",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/131.0 Safari/537.36":                             "Chrome on a Chromebook",
	} {
		if got := deviceName(agent); got != want {
			t.Errorf("%.40s is called %s, want %s", agent, got, want)
		}
	}
}
