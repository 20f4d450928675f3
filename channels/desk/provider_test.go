package desk

import (
	"crypto/rand"
	"crypto/rsa"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/pquerna/otp/totp"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"lookout/bot"
)

// staff are the people whom the provider of the tests knows.
type staff map[string]*storage.User

func (s staff) GetUserByID(id string) *storage.User { return s[id] }
func (s staff) GetUserByUsername(name string) *storage.User {
	for _, u := range s {
		if u.Username == name {
			return u
		}
	}
	return nil
}
func (staff) ExampleClientID() string { return storage.ServiceUserID }

// trust is an OpenID provider that runs here, with the desk as its client.
func (o *office) trust(people staff, change func(*Provider)) *Provider {
	o.Helper()
	const secret = "a secret of the client"
	var at http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { at.ServeHTTP(w, r) }))
	o.Cleanup(server.Close)
	storage.RegisterClients(storage.WebClient("lookout", secret, o.url+"/desk/sign-in/provider/back"))
	o.keys = storage.NewStorage(people)
	at = exampleop.SetupServer(server.URL, o.keys, slog.New(slog.DiscardHandler), false)
	p := &Provider{Issuer: server.URL, ClientID: "lookout", ClientSecret: secret, Name: "Anytown Trust"}
	if change != nil {
		change(p)
	}
	o.again(func(c *Config) { c.Provider = p })
	return p
}

var authRequest = regexp.MustCompile(`name="id" value="([^"]+)"`)

// byProvider goes through the provider's sign-in as somebody there would.
func (o *office) byProvider(c *http.Client, path, name string) (int, string) {
	o.Helper()
	response, err := c.Get(o.url + path)
	if err != nil {
		o.Fatal(err)
	}
	page, _ := io.ReadAll(response.Body)
	response.Body.Close()
	m := authRequest.FindSubmatch(page)
	if m == nil {
		o.Fatalf("the provider shows no sign-in: %d %s", response.StatusCode, page)
	}
	response, err = c.PostForm(response.Request.URL.Scheme+"://"+response.Request.URL.Host+"/login/username", url.Values{"username": {name}, "password": {"verysecure"}, "id": {string(m[1])}})
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	page, _ = io.ReadAll(response.Body)
	return response.StatusCode, string(page)
}

func nobodyYet() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar}
}

// Whom the hospital's own sign-in vouches for is let in as the member of the team who
// was invited at that checked address, and as nobody else; nobody is made a member so.
func TestSignInByTheHospitalsProvider(t *testing.T) {
	o := newOffice(t)
	people := staff{
		"1": {ID: "1", Username: "ann", Password: "verysecure", Email: "Ann@example.org", EmailVerified: true},
		"2": {ID: "2", Username: "stranger", Password: "verysecure", Email: "stranger@example.org", EmailVerified: true},
		"3": {ID: "3", Username: "claims", Password: "verysecure", Email: "bea@example.org"},
		"4": {ID: "4", Username: "next-ann", Password: "verysecure", Email: "ann@example.org", EmailVerified: true},
	}
	o.trust(people, nil)
	if _, page := o.get(nobodyYet(), "/desk/rows/"+o.row); !strings.Contains(page, "Sign in with Anytown Trust") || !strings.Contains(page, "provider?next=%2fdesk%2frows%2f"+o.row) {
		t.Errorf("the sign-in page does not offer it:\n%s", page)
	}
	ann := nobodyYet()
	if status, page := o.byProvider(ann, "/desk/sign-in/provider?next=/desk/rows/"+o.row, "ann"); status != 200 || !strings.Contains(page, "Why is this here?") {
		t.Fatalf("invited: %d %s", status, page)
	}
	if u, err := o.bot.User(t.Context(), "ann@example.org"); err != nil || !strings.HasSuffix(u.Subject, " 1") {
		t.Errorf("%v: the account is not tied to the person: %q", err, u.Subject)
	}
	for name, want := range map[string]string{"stranger": "not to this desk", "claims": "has not checked your e-mail address", "next-ann": "not to this desk"} {
		c := nobodyYet()
		if status, page := o.byProvider(c, "/desk/sign-in/provider", name); status != 403 || !strings.Contains(page, want) {
			t.Errorf("%s: %d, and no %q", name, status, want)
		}
		if _, page := o.get(c, "/desk/"); strings.Contains(page, "Zebedeemarker") {
			t.Errorf("%s is in", name)
		}
	}
	if users, _ := o.bot.Users(t.Context()); len(users) != 4 {
		t.Errorf("%d users: a sign-in has made one", len(users))
	}
	if _, page := o.post(ann, "/desk/sign-out", nil); !strings.Contains(page, "sign out there too") {
		t.Error("on a computer that others use, she stays signed in at the provider and is not told")
	}
	// Shut out, the provider's word helps nobody.
	u, _ := o.bot.User(t.Context(), "ann@example.org")
	u.Disabled = true
	if err := o.bot.PutUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if status, _ := o.byProvider(nobodyYet(), "/desk/sign-in/provider", "ann"); status != 403 {
		t.Errorf("shut out: %d", status)
	}
	log, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]int{}
	for _, e := range log {
		did[e.Did]++
	}
	if did["sign in by provider"] != 1 || did["sign in by the provider: refused"] != 2 || did["tie account to the provider"] != 1 {
		t.Errorf("the audit has %v", did)
	}
	if s := o.log.String(); strings.Contains(s, "example.org") {
		t.Errorf("the log names people: %s", s)
	}
}

// What comes back must be of the sign-in that this browser began, once, and in time.
func TestWhatComesBackFromTheProviderIsHeldToWhatWasBegun(t *testing.T) {
	o := newOffice(t)
	o.trust(staff{"1": {ID: "1", Username: "ann", Password: "verysecure", Email: "ann@example.org", EmailVerified: true}}, nil)
	// The code of one browser, in another (login CSRF, a stolen code).
	thief := nobodyYet()
	c := nobodyYet()
	var back string
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/desk/sign-in/provider/back") {
			back = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	o.byProvider(c, "/desk/sign-in/provider", "ann")
	if back == "" {
		t.Fatal("the provider sends nobody back")
	}
	if status, page := o.get(thief, back); status != 400 || strings.Contains(page, "Zebedeemarker") {
		t.Errorf("in another browser: %d", status)
	}
	begun, err := thief.Get(o.url + "/desk/sign-in/provider") // has begun one of its own
	if err != nil {
		t.Fatal(err)
	}
	begun.Body.Close()
	if status, _ := o.get(thief, back); status != 400 {
		t.Errorf("in another browser that has begun too: %d", status)
	}
	u, _ := url.Parse(back)
	wrong := u.Query()
	wrong.Set("code", "guessed")
	if status, page := o.get(c, u.Path+"?"+wrong.Encode()); status != 502 || !strings.Contains(page, "cannot be used") {
		t.Errorf("a guessed code: %d", status)
	}
	if status, _ := o.get(c, back); status != 400 {
		t.Errorf("the state counts twice: %d", status)
	}
	o.byProvider(c, "/desk/sign-in/provider", "ann")
	o.clock.at = o.clock.at.Add(mayBeAway + time.Minute)
	if status, _ := o.get(c, back); status != 400 {
		t.Errorf("too late: %d", status)
	}
	o.byProvider(c, "/desk/sign-in/provider", "ann")
	u, _ = url.Parse(back)
	refused := url.Values{"state": {u.Query().Get("state")}, "error": {"access_denied"}, "error_description": {"<b>Zebedeemarker</b>"}}
	if status, page := o.get(c, u.Path+"?"+refused.Encode()); status != 401 || !strings.Contains(page, "did not let you in") || strings.Contains(page, "Zebedeemarker") {
		t.Errorf("the provider refuses: %d", status)
	}
}

// Where the provider is the rule, passwords are for the local accounts alone, each use
// of one is written down, and one is there when the provider is not.
func TestALocalAccountWhenTheProviderIsAway(t *testing.T) {
	o := newOffice(t)
	p := o.trust(staff{}, func(p *Provider) { p.Only, p.Local = true, []string{"Bea@example.org"} })
	if status, page := o.post(nobodyYet(), "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}}); status != 403 || !strings.Contains(page, "signs in with Anytown Trust") {
		t.Errorf("a password past the provider: %d", status)
	}
	link, err := o.bot.Invite(t.Context(), bot.User{Email: "eve@example.org", Name: "Eve", Role: bot.Nurse})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(link, "k=")
	if _, page := o.get(nobodyYet(), "/desk/welcome?k="+token); !strings.Contains(page, "You sign in with Anytown Trust") {
		t.Error("an invitation asks for a password that opens nothing")
	}
	if status, _ := o.post(nobodyYet(), "/desk/welcome", url.Values{"k": {token}, "password": {"teapot viola gravel"}}); status != 404 {
		t.Errorf("a password by invitation: %d", status)
	}
	p.Issuer = "http://127.0.0.1:1" // away
	if status, page := o.get(nobodyYet(), "/desk/sign-in/provider"); status != 503 || !strings.Contains(page, "does not answer") {
		t.Errorf("the provider is away: %d", status)
	}
	if status, page := o.post(nobodyYet(), "/desk/sign-in", url.Values{"email": {"bea@example.org"}, "password": {password}}); status != 200 || !strings.Contains(page, "Zebedeemarker") {
		t.Errorf("the local account: %d", status)
	}
	log, _ := o.bot.AuditLog(t.Context(), 0, 100)
	if !strings.Contains(o.log.String(), "a local account was used") || log[len(log)-3].Did != "sign in: local account, past the provider" {
		t.Errorf("the use of the local account is not written down: %+v", log[len(log)-3:])
	}
}

// A code of hers is asked for behind the provider's word too, unless it says that two
// factors were used.
func TestTheCodeIsAskedForBehindTheProvider(t *testing.T) {
	people := func() staff {
		return staff{"1": {ID: "1", Username: "ann", Password: "verysecure", Email: "ann@example.org", EmailVerified: true}}
	}
	o := newOffice(t)
	o.trust(people(), nil) // its amr says "pwd"
	secret := "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	u.TOTP = secret
	if err := o.bot.PutUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	c := nobodyYet()
	if _, page := o.byProvider(c, "/desk/sign-in/provider?next=/desk/rows/"+o.row, "ann"); !strings.Contains(page, "Six digits") {
		t.Fatalf("no code is asked for:\n%s", page)
	}
	code, _ := totp.GenerateCode(secret, o.clock.at)
	if status, page := o.post(c, "/desk/code", url.Values{"code": {code}, "next": {"/desk/rows/" + o.row}}); status != 200 || !strings.Contains(page, "Why is this here?") {
		t.Errorf("with the code: %d", status)
	}
}

// Who signs out at the provider is signed out here, by a token that the provider has signed
// for this desk; by no other token is anybody.
func TestSignOutByTheHospitalsProvider(t *testing.T) {
	o := newOffice(t)
	p := o.trust(staff{"1": {ID: "1", Username: "ann", Password: "verysecure", Email: "ann@example.org", EmailVerified: true}}, nil)
	ann, bea := nobodyYet(), o.browser("bea@example.org")
	o.byProvider(ann, "/desk/sign-in/provider", "ann")
	key, err := o.keys.SigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says := func(change func(jwt.MapClaims), with any) string {
		claims := jwt.MapClaims{"iss": p.Issuer, "aud": "lookout", "sub": "1", "jti": "once", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
		change(claims)
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		token.Header["kid"] = key.ID()
		signed, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	same := func(jwt.MapClaims) {}
	for what, token := range map[string]string{
		"no token": "", "signed by another": says(same, another),
		"for another client": says(func(c jwt.MapClaims) { c["aud"] = "else" }, key.Key()),
		"of another issuer":  says(func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }, key.Key()),
		"run out":            says(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }, key.Key()),
		"an id token":        says(func(c jwt.MapClaims) { delete(c, "events") }, key.Key()),
		"with a nonce":       says(func(c jwt.MapClaims) { c["nonce"] = "n" }, key.Key()),
		"of nobody named":    says(func(c jwt.MapClaims) { delete(c, "sub"); c["sid"] = "s" }, key.Key()),
	} {
		if status, _ := o.post(nobodyYet(), "/desk/sign-in/provider/out", url.Values{"logout_token": {token}}); status != 400 {
			t.Errorf("%s: %d, want 400", what, status)
		}
	}
	if _, page := o.get(ann, "/desk/"); !strings.Contains(page, "The queue") {
		t.Fatal("a token that is refused has signed her out")
	}
	for range 2 { // a provider may say it again
		if status, _ := o.post(nobodyYet(), "/desk/sign-in/provider/out", url.Values{"logout_token": {says(same, key.Key())}}); status != 200 {
			t.Errorf("signed out there: %d", status)
		}
	}
	if _, page := o.get(ann, "/desk/"); strings.Contains(page, "Zebedeemarker") || !strings.Contains(page, "Sign in to the desk") {
		t.Error("signed out at the provider, she is in here still")
	}
	if _, page := o.get(bea, "/desk/"); !strings.Contains(page, "The queue") {
		t.Error("another was signed out too")
	}
}
