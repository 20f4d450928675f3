package desk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// sessions makes scs's memory store take contexts.
type sessions struct{ *memstore.MemStore }

func (s sessions) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	return s.Find(token)
}
func (s sessions) CommitCtx(_ context.Context, token string, b []byte, at time.Time) error {
	return s.Commit(token, b, at)
}
func (s sessions) AllCtx(context.Context) (map[string][]byte, error) { return s.All() }
func (s sessions) DeleteCtx(_ context.Context, token string) error   { return s.Delete(token) }

// office is a desk over a real bot and a real store, with one worrying message in.
type office struct {
	keys *storage.Storage // of the provider that a test trusts
	*testing.T
	url     string
	bot     *bot.Bot
	log     *bytes.Buffer
	row     string
	clock   *clock
	handler http.Handler
	config  Config

	commits atomic.Int64 // of sessions
}

// clock is a time that a test turns.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

const password = "correct horse battery"

func newOffice(t *testing.T) *office {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, NurseLine: "01632 960 001", CancerLine: "01632 960 002", Promise: bot.DefaultPromise,
		Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}, PageEvery: time.Minute, Lease: 30 * time.Minute}
	team.Hours.Location = time.UTC
	for i := range team.Hours.Week {
		team.Hours.Week[i] = []bot.Spell{{From: 540, To: 1020}}
	}
	c := &clock{time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	now := c.now
	b, err := bot.New(t.Context(), bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, PublicURL: "http://x", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	for email, role := range map[string]bot.Role{"ann@example.org": bot.Nurse, "bea@example.org": bot.Lead, "al@example.org": bot.Auditor, "ida@example.org": bot.Admin} {
		if err := b.PutUser(t.Context(), bot.User{Email: email, Name: email, Role: role, Password: hash}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Zebedeemarker", FamilyName: "O'Jones", BirthDate: "1961-04-30", NHSNumber: "9990123454", Phone: "+447700900123", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(t.Context(), bot.Inbound{From: p.Addresses[0], Text: "<script>alert(1)</script> found a lump in my breast & it's hard", CarrierID: "SM1"}); err != nil {
		t.Fatal(err)
	}
	rows, err := b.Queue(t.Context(), bot.QueueFilter{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	o := &office{T: t, bot: b, log: &bytes.Buffer{}, row: rows[0].ID, clock: c}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	o.url = server.URL
	o.config = Config{Bot: b, Sessions: commits{sessions{memstore.New()}, &o.commits}, Now: now, Log: slog.New(slog.NewTextHandler(o.log, nil)), Banner: "not approved", Segments: func(string) int { return 1 }, PublicURL: o.url}
	o.again(func(*Config) {})
	return o
}

// again begins the desk again with another setting. Whoever is signed in stays so.
func (o *office) again(change func(*Config)) {
	o.Helper()
	change(&o.config)
	d, err := New(o.config)
	if err != nil {
		o.Fatal(err)
	}
	mux := http.NewServeMux()
	d.Register(mux)
	o.handler = mux
}

// browser is one without JavaScript.
func (o *office) browser(email string) *http.Client {
	o.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	if status, page := o.post(c, "/desk/sign-in", url.Values{"email": {email}, "password": {password}}); status != 200 && status != 403 {
		o.Fatalf("sign in: %d %s", status, page)
	}
	return c
}

func (o *office) get(c *http.Client, path string) (int, string) {
	o.Helper()
	response, err := c.Get(o.url + path)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(page)
}

func (o *office) post(c *http.Client, path string, form url.Values) (int, string) {
	o.Helper()
	response, err := c.PostForm(o.url+path, form)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(page)
}

// The whole job of a nurse, without JavaScript.
func TestTheWholeJobWithoutJavaScript(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	_, page := o.get(ann, "/desk/")
	for _, want := range []string{"Zebedeemarker", "<mark>", "lump", "&lt;script&gt;", "Most dangerous first", "not approved", ">Take"} {
		if !strings.Contains(page, want) {
			t.Errorf("the queue lacks %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") {
		t.Fatal("her words run as a script")
	}
	row := "/desk/rows/" + o.row
	for _, step := range []struct {
		path string
		form url.Values
		want string
	}{
		{row + "/take", nil, "Held by ann@example.org"},
		{row + "/ring", url.Values{"result": {"no-answer"}}, "Rang: no answer"},
		{row + "/ring", url.Values{"result": {"spoke"}}, "spoken with"},
		{row + "/note", url.Values{"text": {"will be seen on Thursday"}}, "will be seen on Thursday"},
		{row + "/text", url.Values{"text_id": {"desk.tried-to-ring"}}, "we tried to ring you"},
	} {
		if status, page := o.post(ann, step.path, step.form); status != 200 || !strings.Contains(page, step.want) {
			t.Errorf("%s: %d, and no %q", step.path, status, step.want)
		}
	}
	if _, page := o.get(ann, row+"/close"); !strings.Contains(page, "What came of it?") {
		t.Error("the closing page does not ask for an outcome")
	}
	if status, _ := o.post(ann, row+"/close", url.Values{"outcome": {"clinic"}, "text": {"imaging booked"}, "tell": {"yes"}}); status != 200 {
		t.Errorf("close: %d", status)
	}
	if _, page := o.get(ann, "/desk/?show=done"); !strings.Contains(page, "Zebedeemarker") {
		t.Error("the closed row is not under Done today")
	}
	if status, page := o.post(ann, "/desk/search", url.Values{"q": {"zeb"}}); status != 200 || !strings.Contains(page, "999 012 3454") {
		t.Errorf("search: %d %s", status, page)
	}
	log, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	did := ""
	for _, e := range log {
		did += e.Did + "\n"
		if e.Did == "take row" && (e.Patient == "" || e.Ref == "" || e.By == "" || e.At.IsZero()) {
			t.Errorf("who took what, of whom, when: %+v", e)
		}
	}
	for _, want := range []string{"sign in", "read queue", "read patient", "take row", "ring", "note", "text her", "close row", "search"} {
		if !strings.Contains(did, want) {
			t.Errorf("the audit lacks %q", want)
		}
	}
	if strings.Contains(o.log.String(), "Zebedeemarker") || strings.Contains(o.log.String(), "lump") {
		t.Error("the log holds what is hers")
	}
}

// Trap: two browsers take one row in the same moment. One wins, the other is told who has it.
func TestTwoNursesTakeOneRow(t *testing.T) {
	o := newOffice(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	told := ""
	for _, email := range []string{"ann@example.org", "bea@example.org"} {
		c := o.browser(email)
		wg.Go(func() {
			status, page := o.post(c, "/desk/rows/"+o.row+"/take", nil)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
			if status == 409 {
				told = page
			}
		})
	}
	wg.Wait()
	row, err := o.bot.Row(t.Context(), o.row)
	if err != nil {
		t.Fatal(err)
	}
	if statuses[200] != 1 || statuses[409] != 1 || !strings.Contains(told, row.ClaimedBy+" has this one") {
		t.Errorf("answers %v; the second was told: %s", statuses, told)
	}
	// What the loser typed is kept.
	loser := o.browser(map[string]string{"ann@example.org": "bea@example.org", "bea@example.org": "ann@example.org"}[row.ClaimedBy])
	if status, page := o.post(loser, "/desk/rows/"+o.row+"/note", url.Values{"text": {"my long careful note"}}); status != 409 || !strings.Contains(page, "my long careful note") {
		t.Errorf("%d: the note of the one who does not hold the row was lost", status)
	}
}

// Whoever has many IPv6 addresses of one subscriber's is one visitor, and keeps nobody
// else from signing in.
func TestTriesToSignInAreCountedBySubscriber(t *testing.T) {
	o := newOffice(t)
	try := func(from, email string) int {
		r := httptest.NewRequest("POST", o.url+"/desk/sign-in", strings.NewReader(url.Values{"email": {email}, "password": {"no"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		o.handler.ServeHTTP(w, r)
		return w.Code
	}
	last := 0
	for n := range 31 {
		last = try(fmt.Sprintf("[2001:db8:1:2::%x]:4711", n+1), fmt.Sprintf("nobody%d@example.org", n))
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the 31st try from as many addresses of one /64: %d, want 429", last)
	}
	if got := try("[2001:db8:1:3::1]:4711", "nobody@example.org"); got != http.StatusUnauthorized {
		t.Errorf("from another /64: %d, want 401", got)
	}
}

func TestSignIn(t *testing.T) {
	o := newOffice(t)
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	if _, page := o.get(c, "/desk/rows/"+o.row); !strings.Contains(page, "Sign in") || strings.Contains(page, "Zebedeemarker") {
		t.Error("a row is shown to somebody who is not signed in")
	}
	if status, page := o.post(c, "/desk/rows/"+o.row+"/note", url.Values{"text": {"typed before the session ended"}}); status != 401 || !strings.Contains(page, "typed before the session ended") {
		t.Errorf("%d: what was typed is lost with the session", status)
	}
	_, wrong := o.post(c, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {"no"}})
	_, nobody := o.post(c, "/desk/sign-in", url.Values{"email": {"nobody@example.org"}, "password": {"no"}})
	if wrong != nobody {
		t.Error("the page tells whether an account exists")
	}
	last := 0
	for range 8 {
		last, _ = o.post(c, "/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {"no"}})
	}
	if last != 429 {
		t.Errorf("after many tries: %d, want 429", last)
	}
	auditor := o.browser("al@example.org")
	if status, page := o.get(auditor, "/desk/rows/"+o.row); status != 403 && status != 429 || strings.Contains(page, "Zebedeemarker") {
		t.Errorf("an auditor sees the queue: %d", status)
	}
	r, _ := http.NewRequest("POST", o.url+"/desk/sign-in", strings.NewReader("email=a"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 403 {
		t.Errorf("a form from another site: %d, want 403", response.StatusCode)
	}
}

// The stylesheet asks for nothing from elsewhere, and every picture that it names is there.
func TestAssetsAreOurOwn(t *testing.T) {
	o := newOffice(t)
	for _, path := range []string{"/desk/static/nhsuk/nhsuk.css", "/desk/static/desk.css", "/desk/static/desk.js", "/assets/images/nhsuk-icon-arrow-down.svg"} {
		status, text := o.get(http.DefaultClient, path)
		if status != 200 || strings.Contains(text, "url(\"https:") || strings.Contains(text, "@font-face") {
			t.Errorf("%s: %d", path, status)
		}
	}
	for _, folder := range []string{"/desk/static/", "/assets/", "/assets/images/"} {
		if status, _ := o.get(http.DefaultClient, folder); status != 404 {
			t.Errorf("%s is listed: %d", folder, status)
		}
	}
}

// Two patients share a telephone: each case says so. A row closed with her death
// ends her follow-up, and no text can go with it.
func TestSharedTelephoneAndTheEndOfFollowUp(t *testing.T) {
	o := newOffice(t)
	other, err := o.bot.Enrol(t.Context(), bot.Enrolment{GivenName: "Dora", FamilyName: "Smith", BirthDate: "1950-02-03", Phone: "+447700900123", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	ann := o.browser("ann@example.org")
	row := "/desk/rows/" + o.row
	if _, page := o.get(ann, row); !strings.Contains(page, "shares her telephone number with") || !strings.Contains(page, ">Dora Smith<") {
		t.Error("the case does not say whose the telephone is too")
	}
	if _, page := o.get(ann, "/desk/patients/"+other.ID); !strings.Contains(page, ">Zebedeemarker O&#39;Jones</a>") {
		t.Error("the other's case does not say so")
	}
	o.post(ann, row+"/take", nil)
	if status, page := o.post(ann, row+"/close", url.Values{"outcome": {"died"}, "sure": {"yes"}, "tell": {"yes"}}); status != 400 && status != 422 || !strings.Contains(page, "she has died") {
		t.Errorf("%d: a text goes to somebody who has died", status)
	}
	if status, page := o.post(ann, row+"/close", url.Values{"outcome": {"died"}}); status != 422 || !strings.Contains(page, "cannot be taken back") {
		t.Errorf("%d: her follow-up ends with one press", status)
	}
	if status, _ := o.post(ann, row+"/close", url.Values{"outcome": {"died"}, "sure": {"yes"}}); status != 200 {
		t.Errorf("close: %d", status)
	}
	case1, err := o.bot.Row(t.Context(), o.row)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := o.bot.Patient(t.Context(), case1.Patient); err != nil || p.Status != bot.Ended || p.EndReason != "died" {
		t.Errorf("%v %s %s: her follow-up goes on", err, p.Status, p.EndReason)
	}
}

// What a nurse must come to know without asking for it stands on the desk: a text
// that did not arrive and why, a photo, and a check-in that was never answered.
func TestWhatDoesNotComeInWordsIsOnTheDesk(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	first, err := o.bot.Row(t.Context(), o.row)
	if err != nil {
		t.Fatal(err)
	}
	her := bot.Address{Channel: "sms", At: "+447700900123"}
	if err := o.bot.Receive(t.Context(), bot.Inbound{From: her, CarrierID: "SM2", Media: []bot.Media{{URL: "https://api.twilio.com/1", Type: "image/jpeg"}}}); err != nil {
		t.Fatal(err)
	}
	if _, page := o.get(ann, "/desk/"); !strings.Contains(page, "(sent a photo)") {
		t.Error("the queue does not say that she sent a photo")
	}
	if err := o.bot.Receive(t.Context(), bot.Inbound{From: her, CarrierID: "SM3", Text: "the lump looks like this", Media: []bot.Media{{URL: "https://api.twilio.com/2", Type: "image/jpeg"}}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/desk/", "/desk/call-list"} {
		if _, page := o.get(ann, path); !strings.Contains(page, "with a photo") {
			t.Errorf("%s does not say that a photo came with her words", path)
		}
	}
	if err := o.bot.Start(t.Context(), first.Patient, "check-in", "ann@example.org"); err != nil {
		t.Fatal(err)
	}
	moments, err := o.bot.Thread(t.Context(), first.Patient, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	asked := moments[len(moments)-1]
	if err := o.bot.DeliveryReceipt(t.Context(), bot.DeliveryReceipt{Outgoing: asked.Ref, State: bot.OutUndelivered, Code: "30005", Obstacle: bot.ObstacleDead}); err != nil {
		t.Fatal(err)
	}
	_, page := o.get(ann, "/desk/")
	if !strings.Contains(page, "not delivered") {
		t.Error("the queue does not say that a text did not arrive")
	}
	if _, page := o.get(ann, "/desk/patients/"+first.Patient); !strings.Contains(page, "· undelivered") || !strings.Contains(page, "code 30005") || !strings.Contains(page, "Sent a photo or recording (image/jpeg)") {
		t.Error("her timeline does not say why a text did not arrive, or that she sent a photo")
	}
	silent, err := o.bot.Enrol(t.Context(), bot.Enrolment{GivenName: "Dora", FamilyName: "Smith", BirthDate: "1950-02-03", Phone: "+447700900124", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.bot.Start(t.Context(), silent.ID, "check-in", "ann@example.org"); err != nil {
		t.Fatal(err)
	}
	for range 10 * 24 { // the reminder, and the end of waiting, in hours in which somebody can hear
		o.clock.at = o.clock.at.Add(time.Hour)
		if _, err := o.bot.Wake(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, page := o.get(o.browser("bea@example.org"), "/desk/"); !strings.Contains(page, "No answer to a check-in") {
		t.Error("the queue does not say that a check-in was never answered")
	}
}

// A page that she has left before it was made is no fault of ours: nobody is alarmed.
func TestWhoeverGoesAwayAlarmsNobody(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/desk/", nil)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(o.url + "/desk/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range ann.Jar.Cookies(address) {
		r.AddCookie(c)
	}
	if len(r.Cookies()) == 0 {
		t.Fatal("she is not signed in")
	}
	cancel()
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	if w.Code < 500 || o.log.Len() > 0 {
		t.Errorf("%d, and the log says: %s", w.Code, o.log)
	}
}

// A nurse texts her a link to the chat: to her telephone, though she wrote in the chat
// last; nobody is offered it who may not be texted.
func TestLinkToTheChat(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	row, err := o.bot.Row(t.Context(), o.row)
	if err != nil {
		t.Fatal(err)
	}
	her := "/desk/patients/" + row.Patient
	if err := o.bot.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "chat", At: row.Patient}, Text: "hello", CarrierID: "chat:1", Patient: row.Patient}); err != nil {
		t.Fatal(err)
	}
	if status, page := o.post(ann, her+"/link", nil); status != 200 || !strings.Contains(page, "http://x/chat?k=") {
		t.Errorf("%d: her timeline does not show the text with the link", status)
	}
	moments, err := o.bot.Thread(t.Context(), row.Patient, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if last := moments[len(moments)-1]; last.Channel != "sms" || !strings.Contains(last.Text, "/chat?k=") || last.By != "ann@example.org" {
		t.Errorf("the last that she was sent: %+v", last.Entry)
	}
	if err := o.bot.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900123"}, Text: "STOP", CarrierID: "SM9"}); err != nil {
		t.Fatal(err)
	}
	if _, page := o.get(ann, her); strings.Contains(page, "Text her a link") {
		t.Error("a link is offered for somebody who has stopped texts")
	}
	if status, _ := o.post(ann, her+"/link", nil); status != 403 {
		t.Errorf("a link to somebody who has stopped texts: %d", status)
	}
}

// A list whose drawing fails is no list: she is told, each time that it is asked for, and
// sees no half of it.
func TestHalfAListIsNotShown(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	d, err := New(o.config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.pages.Parse(`{{define "rows"}}<p>half a list</p>{{(index .Rows 99).ID}}{{end}}`); err != nil {
		t.Fatal(err)
	}
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.glance(t.Context(), len(tabs)-1, 1, u)
	if err != nil || len(g.rows) == 0 {
		t.Fatal(g, err)
	}
	for range 2 { // two share one reading of the store, and its drawing
		if html, err := d.draw(g, u); err == nil || html != "" {
			t.Errorf("drawn: %q, %v", html, err)
		}
	}
	mux := http.NewServeMux()
	d.Register(mux)
	o.handler = mux
	for range 2 {
		if status, page := o.get(ann, "/desk/"); status != 500 || !strings.Contains(page, "Something went wrong") || strings.Contains(page, "half a list") {
			t.Errorf("%d %s", status, page)
		}
	}
}
