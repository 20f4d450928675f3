package desk

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"lookout/bot"
)

var linkForm = regexp.MustCompile(`http://x(/desk/welcome\?k=([\w-]+))`)

// An administrator invites a nurse by a link that opens once; she chooses a
// password, and works. The administrator herself sees no patient.
func TestInvitation(t *testing.T) {
	o := newOffice(t)
	admin := o.browser("ida@example.org")
	if status, page := o.get(admin, "/desk/"); status != 200 || !strings.Contains(page, "Who may sign in") {
		t.Errorf("an administrator's first page: %d", status)
	}
	for _, path := range []string{"/desk/rows/" + o.row, "/desk/?show=all", "/desk/events"} {
		if _, page := o.get(admin, path); strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "lump") {
			t.Errorf("%s: an administrator sees a patient", path)
		}
	}
	if status, page := o.post(admin, "/desk/users", url.Values{"email": {"no address"}, "name": {"Eve Long"}, "role": {"nurse"}}); status != 422 || !strings.Contains(page, "Eve Long") {
		t.Errorf("%d: what was typed beside a fault is lost", status)
	}
	if status, _ := o.post(admin, "/desk/users", url.Values{"email": {"eve@example.org"}, "role": {"queen"}}); status != 422 {
		t.Errorf("a role that there is not: %d", status)
	}
	_, page := o.post(admin, "/desk/users", url.Values{"email": {"Eve@example.org"}, "name": {"Eve Long"}, "role": {"nurse"}})
	link := linkForm.FindStringSubmatch(page)
	if link == nil {
		t.Fatalf("no link is shown:\n%s", page)
	}
	if _, page := o.get(admin, "/desk/users"); strings.Contains(page, link[2]) || !strings.Contains(page, "Eve Long") {
		t.Error("the link is shown again, or she is not on the list")
	}
	jar, _ := cookiejar.New(nil)
	eve := &http.Client{Jar: jar}
	for range 2 { // looking uses nothing up
		if status, page := o.get(eve, link[1]); status != 200 || !strings.Contains(page, "Eve Long") {
			t.Fatalf("the invitation: %d", status)
		}
	}
	for _, weak := range []string{"qwertyuiop12", "iloveyou1234", "liverpool1892", strings.Repeat("teapot viola ", 10), "", "short", "eve@example.org and more", "lookout lookout", "xxxxxxxxxxxxxxxx", strings.Repeat("long ", 50)} {
		if status, page := o.post(eve, "/desk/welcome", url.Values{"k": {link[2]}, "password": {weak}}); status != 422 || !strings.Contains(page, "There is a problem") {
			t.Errorf("the password %q: %d", weak, status)
		}
	}
	if status, page := o.post(eve, "/desk/welcome", url.Values{"k": {link[2]}, "password": {"teapot viola gravel"}}); status != 200 || !strings.Contains(page, "The queue") {
		t.Errorf("after she has chosen: %d", status)
	}
	if status, _ := o.post(eve, "/desk/rows/"+o.row+"/take", nil); status != 200 {
		t.Errorf("she cannot work: %d", status)
	}
	if status, page := o.get(http.DefaultClient, link[1]); status != 404 || strings.Contains(page, "Eve") {
		t.Errorf("the link opens twice: %d", status)
	}
	if status, _ := o.post(http.DefaultClient, "/desk/welcome", url.Values{"k": {link[2]}, "password": {"another good choice"}}); status != 404 {
		t.Errorf("the link is taken twice: %d", status)
	}
	if status, _ := o.get(eve, "/desk/users"); status != 403 {
		t.Errorf("a nurse sees who may sign in: %d", status)
	}
	if status, _ := o.post(eve, "/desk/users", url.Values{"email": {"mole@example.org"}, "role": {"admin"}}); status != 403 {
		t.Errorf("a nurse invites: %d", status)
	}

	o.post(admin, "/desk/users/disable", url.Values{"email": {"eve@example.org"}, "disabled": {"yes"}})
	if _, page := o.get(eve, "/desk/rows/"+o.row); !strings.Contains(page, "Sign in to the desk") {
		t.Error("whoever was shut out still reads")
	}
	for _, own := range []struct {
		path string
		form url.Values
	}{{"/desk/users/disable", url.Values{"email": {"ida@example.org"}, "disabled": {"yes"}}}, {"/desk/users", url.Values{"email": {"ida@example.org"}, "name": {"Ida"}, "role": {"nurse"}}}} {
		if status, _ := o.post(admin, own.path, own.form); status != 422 {
			t.Errorf("%s: an administrator shuts herself out: %d", own.path, status)
		}
	}
	entries, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]string{}
	for _, e := range entries {
		did[e.Did] = e.By + " " + e.Ref
	}
	for act, want := range map[string]string{"invite user as nurse": "ida@example.org eve@example.org", "choose password by invitation": "eve@example.org ", "shut user out": "ida@example.org eve@example.org"} {
		if did[act] != want {
			t.Errorf("the audit says of %q: %q, want %q", act, did[act], want)
		}
	}
}

// Whoever changes her password is signed out everywhere else, and the old one is dead.
func TestChangePassword(t *testing.T) {
	o := newOffice(t)
	here, elsewhere := o.browser("ann@example.org"), o.browser("ann@example.org")
	const chosen = "teapot viola gravel"
	if status, page := o.post(here, "/desk/password", url.Values{"now": {"wrong"}, "new": {chosen}}); status != 422 || !strings.Contains(page, "present password is not right") {
		t.Errorf("with a wrong present password: %d", status)
	}
	if status, _ := o.post(here, "/desk/password", url.Values{"now": {password}, "new": {"short"}}); status != 422 {
		t.Errorf("with a short one: %d", status)
	}
	if status, page := o.post(here, "/desk/password", url.Values{"now": {password}, "new": {chosen}}); status != 200 || !strings.Contains(page, "The queue") {
		t.Errorf("with a good one: %d", status)
	}
	if _, page := o.get(elsewhere, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("another device is still signed in")
	}
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil || u.Role != bot.Nurse || strings.Contains(u.Password, chosen) {
		t.Errorf("%+v, %v", u, err)
	}
	fresh := &http.Client{}
	if status, _ := o.post(fresh, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}}); status != 401 {
		t.Errorf("the old password: %d", status)
	}
}
