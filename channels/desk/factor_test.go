package desk

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"

	"lookout/bot"
)

// Where the team asks for a second factor, nobody sees a patient before she has set one
// up, and the last one cannot be taken off.
func TestASecondFactorIsRequired(t *testing.T) {
	o := newOffice(t)
	old := o.browser("ann@example.org") // signed in before it was asked for
	o.again(func(c *Config) { c.SecondFactor = true })
	ann := nobodyYet()
	row := "/desk/rows/" + o.row
	_, page := o.post(ann, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}, "next": {row}})
	m := secretForm.FindStringSubmatch(page)
	if m == nil || !strings.Contains(page, "Your team asks everybody for a second factor") || !strings.Contains(page, `name="next" value="`+row) {
		t.Fatalf("she is not asked to set one up:\n%s", page)
	}
	for _, path := range []string{"/desk/", row, "/desk/patients/" + strings.Split(o.row, bot.RowMark)[0], "/desk/call-list", "/desk/events", "/desk/password"} {
		if _, page := o.get(ann, path); strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "lump") {
			t.Errorf("%s: she sees a patient before", path)
		}
		if _, page := o.get(old, path); strings.Contains(page, "Zebedeemarker") {
			t.Errorf("%s: a session from before sees a patient", path)
		}
	}
	if status, page := o.post(ann, row+"/note", url.Values{"text": {"typed too soon"}}); status != 403 || !strings.Contains(page, "typed too soon") {
		t.Errorf("an act before: %d", status)
	}
	secret := strings.ReplaceAll(m[1], " ", "")
	code, err := totp.GenerateCode(secret, o.clock.at)
	if err != nil {
		t.Fatal(err)
	}
	if status, page := o.post(ann, "/desk/second-factor", url.Values{"code": {code}, "next": {row}}); status != 200 || !strings.Contains(page, "Why is this here?") {
		t.Errorf("she does not go on where she wanted to: %d", status)
	}
	o.clock.at = o.clock.at.Add(codeStep * 2e9)
	code, _ = totp.GenerateCode(secret, o.clock.at)
	if status, page := o.post(ann, "/desk/second-factor", url.Values{"code": {code}}); status != 422 || !strings.Contains(page, "set up another before") {
		t.Errorf("the last one is taken off: %d", status)
	}
	// The session from before must show it now.
	if _, page := o.get(old, row); !strings.Contains(page, "Sign in to the desk") {
		t.Error("a session from before goes on with a password alone")
	}
}

// Whoever has a passkey and no code on a telephone is let in by no code: the codes of no
// secret are known to everybody.
func TestAPasskeyAloneHasNoCode(t *testing.T) {
	o := newOffice(t)
	o.again(func(c *Config) { c.SecondFactor = true })
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	u.Handle, u.Passkeys = []byte("h"), []bot.Passkey{{ID: "p", Name: "Phone", Credential: []byte("{}")}}
	if err := o.bot.PutUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	thief := nobodyYet() // who has her password
	o.post(thief, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}})
	code, err := totp.GenerateCode("", o.clock.at)
	if err != nil {
		t.Fatal(err)
	}
	if status, page := o.post(thief, "/desk/code", url.Values{"code": {code}, "next": {"/desk/rows/" + o.row}}); status != 401 || strings.Contains(page, "Zebedeemarker") {
		t.Errorf("%d: the password alone opens a patient", status)
	}
	if _, page := o.get(thief, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("the password alone opens the queue")
	}
}
