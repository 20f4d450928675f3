package desk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

var seenForm = regexp.MustCompile(`name="seen" value="(\d+)"><input type="hidden" name="upto" value="(\d+)"`)

// form fills in what a page says was on the screen.
func (o *office) form(page string, pairs ...string) url.Values {
	o.Helper()
	m := seenForm.FindStringSubmatch(page)
	if m == nil {
		o.Fatalf("the page does not say what it shows:\n%s", page)
	}
	v := url.Values{"seen": {m[1]}, "upto": {m[2]}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// writes takes in a text of hers.
func (o *office) writes(id, words string) {
	o.Helper()
	if err := o.bot.Receive(o.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900123"}, Text: words, CarrierID: id}); err != nil {
		o.Fatal(err)
	}
}

// Trap: the live connection was cut for ten minutes while she wrote again and a
// colleague acted. What is then done from the old page is refused with what happened
// since, nothing is sent, and what was typed is kept.
func TestAnOldPageActsOnNothing(t *testing.T) {
	o := newOffice(t)
	ann, bea := o.browser("ann@example.org"), o.browser("bea@example.org")
	row := "/desk/rows/" + o.row
	_, old := o.post(ann, row+"/take", nil)
	o.writes("SM2", "it is bleeding now")
	for _, act := range []struct {
		path string
		form url.Values
	}{{"/text", o.form(old, "text", "come to clinic on Friday")}, {"/note", o.form(old, "text", "come to clinic on Friday")}, {"/close", o.form(old, "text", "come to clinic on Friday", "outcome", "advice")}} {
		status, page := o.post(ann, row+act.path, act.form)
		if status != 409 || !strings.Contains(page, "What happened since") || !strings.Contains(page, "it is bleeding now") || !strings.Contains(page, "come to clinic on Friday") {
			t.Errorf("%s from an old page: %d, and not what happened since with what was typed", act.path, status)
		}
	}
	sent := func() (texts int) {
		c, err := o.bot.Case(t.Context(), strings.Split(o.row, bot.RowMark)[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.Moments {
			if strings.Contains(m.Text, "clinic on Friday") {
				texts++
			}
		}
		return texts
	}
	if sent() != 0 {
		t.Error("something was sent or noted all the same")
	}
	_, fresh := o.get(ann, row)
	o.post(bea, row+"/takeover", nil)
	o.post(bea, row+"/note", url.Values{"text": {"rang her, 999 is on the way"}})
	if status, page := o.post(ann, row+"/text", o.form(fresh, "text", "come to clinic on Friday")); status != 409 || !strings.Contains(page, "bea@example.org has this one") || !strings.Contains(page, "come to clinic on Friday") || sent() != 0 {
		t.Errorf("while a colleague has it: %d", status)
	}
	_, hers := o.get(bea, row)
	if status, _ := o.post(bea, row+"/text", o.form(hers, "text", "come to clinic on Friday")); status != 200 || sent() != 1 {
		t.Errorf("from a page that shows everything: %d", status)
	}
}

// A nurse hands a row over at the end of her shift, by pages alone.
func TestHandOverByPages(t *testing.T) {
	o := newOffice(t)
	ann, bea := o.browser("ann@example.org"), o.browser("bea@example.org")
	row := "/desk/rows/" + o.row
	o.post(ann, row+"/take", nil)
	_, page := o.get(ann, "/desk/hand-over")
	if !strings.Contains(page, "Still yours") || !strings.Contains(page, "Zebedeemarker") || !strings.Contains(page, `value="bea@example.org"`) || strings.Contains(page, `value="al@example.org"`) {
		t.Errorf("the hand-over page lacks her row or who can take it, or offers it to an auditor:\n%s", page)
	}
	o.post(ann, row+"/offer", url.Values{"to": {"bea@example.org"}, "text": {"my shift ends, imaging rings back"}})
	if _, page := o.get(bea, "/desk/"); !strings.Contains(page, "Offered to you") || !strings.Contains(page, "imaging rings back") {
		t.Error("she is not told of what is offered to her")
	}
	if status, page := o.post(bea, row+"/takeover", nil); status != 200 || !strings.Contains(page, "Held by bea@example.org") {
		t.Errorf("taken over: %d", status)
	}
	if _, page := o.get(ann, "/desk/hand-over"); !strings.Contains(page, "You hold no row") {
		t.Error("it is still hers")
	}
}

// A row is put off with a reason, stands among those that are, and comes back.
func TestPutOffByPages(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	row := "/desk/rows/" + o.row
	o.post(ann, row+"/take", nil)
	if status, page := o.post(ann, row+"/putoff", url.Values{"when": {"day"}, "day": {"2026-12-01"}, "text": {"imaging rings back"}}); status != 409 || !strings.Contains(page, "nobody has spoken with her yet") || !strings.Contains(page, `value="imaging rings back"`) {
		t.Errorf("put off beyond the promise: %d", status)
	}
	o.post(ann, row+"/ring", url.Values{"result": {"spoke"}})
	if status, _ := o.post(ann, row+"/putoff", url.Values{"when": {"day"}, "day": {"2026-12-01"}, "text": {"imaging rings back"}}); status != 200 {
		t.Errorf("put off: %d", status)
	}
	if _, page := o.get(ann, "/desk/?show=waiting"); !strings.Contains(page, "imaging rings back") {
		t.Error("it does not stand among those that are put off")
	}
	o.writes("SM2", "thanks")
	if _, page := o.get(ann, "/desk/?show=all"); !strings.Contains(page, "Zebedeemarker") {
		t.Error("on her word it is not back")
	}
}

// One page closes a row: outcome, route, advice, what she is told. It can be taken
// back; the referral stands on the board with its days until its outcome is recorded.
func TestCloseReferAndRecord(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	row := "/desk/rows/" + o.row
	_, page := o.post(ann, row+"/take", nil)
	if status, page := o.post(ann, row+"/close", o.form(page, "text", "sent her to the clinic", "route", "usc")); status != 422 || !strings.Contains(page, "Say what came of it") || !strings.Contains(page, "sent her to the clinic") || !strings.Contains(page, `value="usc" id="r2" checked`) {
		t.Errorf("without an outcome: %d, or what was chosen is lost", status)
	}
	form := o.form(page, "outcome", "referral", "route", "usc", "text", "sent her to the clinic", "tell", "own", "own", "We agreed that you come on Friday.")
	status, list := o.post(ann, row+"/close", form)
	if status != 200 || !strings.Contains(list, "Take it back") {
		t.Fatalf("close: %d, and no way back:\n%s", status, list)
	}
	if _, page := o.get(ann, "/desk/referrals"); !strings.Contains(page, "Urgent suspected cancer") || !strings.Contains(page, "28 days left") {
		t.Errorf("the board lacks the referral:\n%s", page)
	}
	if status, page := o.post(ann, row+"/undo", nil); status != 200 || !strings.Contains(page, "Held by ann@example.org") {
		t.Errorf("take back: %d", status)
	}
	if _, page := o.get(ann, "/desk/referrals"); strings.Contains(page, "days left") {
		t.Error("the referral was not taken back")
	}
	_, page = o.get(ann, row+"/close")
	o.post(ann, row+"/close", o.form(page, "outcome", "referral", "route", "usc"))
	rows, err := o.bot.Queue(t.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: []bot.RowState{bot.Snoozed}})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	referral := "/desk/rows/" + rows[0].ID
	if _, page := o.get(ann, referral+"/close"); !strings.Contains(page, "Cancer was ruled out") {
		t.Error("its closing page does not ask what came of the referral")
	}
	if status, page := o.post(ann, referral+"/referral", url.Values{"end": {"clear"}, "day": {"2027-01-01"}}); status != 422 || !strings.Contains(page, "from the referral until today") {
		t.Errorf("a day to come: %d", status)
	}
	if status, page := o.post(ann, referral+"/referral", url.Values{"end": {"clear"}, "day": {"2026-11-24"}}); status != 200 || !strings.Contains(page, "1 of 1 had their answer within 28 days") {
		t.Errorf("record: %d\n%s", status, page)
	}
}

// What is half written is kept on the server, and is there again after signing out.
func TestDraftsSurviveSigningOut(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	row := "/desk/rows/" + o.row
	o.post(ann, row+"/take", nil)
	if status, _ := o.post(ann, row+"/draft", url.Values{"field": {"note"}, "text": {"she sounded short of bre"}}); status != 204 {
		t.Errorf("keep: %d", status)
	}
	if status, _ := o.post(ann, row+"/draft", url.Values{"field": {"elsewhere"}, "text": {"x"}}); status != 422 {
		t.Errorf("a field that is not kept: %d", status)
	}
	o.post(ann, "/desk/sign-out", nil)
	again := o.browser("ann@example.org")
	if _, page := o.get(again, row); !strings.Contains(page, "she sounded short of bre</textarea>") {
		t.Error("it is lost")
	}
	if _, page := o.get(o.browser("bea@example.org"), row); strings.Contains(page, "short of bre") {
		t.Error("a colleague reads it")
	}
	_, page := o.get(again, row)
	if _, page := o.post(again, row+"/note", o.form(page, "text", "she sounded short of breath")); strings.Contains(page, "short of bre</textarea>") {
		t.Error("it stays after the note was saved")
	}
}

// commits counts how often a session is written, which is what keeps it alive.
type commits struct {
	sessions
	n *atomic.Int64
}

func (c commits) CommitCtx(ctx context.Context, token string, b []byte, at time.Time) error {
	c.n.Add(1)
	return c.sessions.CommitCtx(ctx, token, b, at)
}

// A page that somebody has left asks on by itself, and must not keep her signed in.
func TestAPageAloneKeepsNobodySignedIn(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	ask := func(background bool) {
		t.Helper()
		r, err := http.NewRequest("GET", o.url+"/desk/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if background {
			r.Header.Set("X-Background", "1")
		}
		response, err := ann.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("background %v: %d", background, response.StatusCode)
		}
	}
	before := o.commits.Load()
	ask(true)
	if o.commits.Load() != before {
		t.Error("what a page asks of itself makes the session live longer")
	}
	ask(false)
	if o.commits.Load() == before {
		t.Error("what she does herself does not")
	}
}

// Whoever signs in again comes back to where she was, and never elsewhere.
func TestSignInComesBackToThePage(t *testing.T) {
	o := newOffice(t)
	c := o.browser("bea@example.org")
	o.post(c, "/desk/sign-out", nil)
	if _, page := o.get(c, "/desk/rows/"+o.row); !strings.Contains(page, `name="next" value="/desk/rows/`+o.row) {
		t.Error("the page to come back to is lost")
	}
	for next, want := range map[string]bool{"/desk/rows/" + o.row: true, "https://evil.example/desk/": false, "//evil.example/desk/": false, "/desk/sign-out": false, `/desk/\evil`: false, "/chat": false, "": false} {
		if got := nextPage(next) != ""; got != want {
			t.Errorf("nextPage(%q) goes on: %v", next, got)
		}
	}
	if _, page := o.post(c, "/desk/sign-in", url.Values{"email": {"bea@example.org"}, "password": {password}, "next": {"/desk/rows/" + o.row}}); !strings.Contains(page, "Why is this here?") {
		t.Error("she does not come back to the case")
	}
}

// Who has a case on her screen is told to the others, in the list and on the page.
func TestPresence(t *testing.T) {
	o := newOffice(t)
	ann, bea := o.browser("ann@example.org"), o.browser("bea@example.org")
	o.get(bea, "/desk/rows/"+o.row)
	if _, page := o.get(ann, "/desk/"); !strings.Contains(page, "bea@example.org is looking") {
		t.Error("the list does not say who is looking")
	}
	if _, page := o.get(ann, "/desk/rows/"+o.row); !strings.Contains(page, "bea@example.org is looking at this too") {
		t.Error("the case does not say who is looking")
	}
	if _, page := o.get(bea, "/desk/"); strings.Contains(page, "bea@example.org is looking") {
		t.Error("she is told of herself")
	}
}

// Trap: every read, search and export has its entry in the audit, in the same breath.
func TestReadsSearchesAndExportsAreAudited(t *testing.T) {
	o := newOffice(t)
	lead := o.browser("bea@example.org")
	patient := strings.Split(o.row, bot.RowMark)[0]
	if _, err := o.bot.WrongLevel(t.Context(), bot.Act{Row: o.row, By: "bea@example.org"}, triage.Urgent, "it is hard and fixed"); err != nil {
		t.Fatal(err)
	}
	for path, did := range map[string]string{"/desk/": "read queue: all", "/desk/rows/" + o.row: "read patient", "/desk/patients/" + patient: "read patient", "/desk/rows/" + o.row + "/close": "read row",
		"/desk/hand-over": "read hand-over", "/desk/call-list": "print call list", "/desk/referrals": "read referrals", "/desk/rota": "read rota", "/desk/labelled": "read labelled messages", "/desk/labelled.jsonl": "export labelled messages",
		"/desk/audit": "read audit", "/desk/patients/" + patient + "/access": "read access report", "/desk/patients/" + patient + "/access.csv": "export access report"} {
		before, err := o.bot.AuditLog(t.Context(), 0, 10000)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := o.get(lead, path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
		after, err := o.bot.AuditLog(t.Context(), int64(len(before)), 10000)
		if err != nil {
			t.Fatal(err)
		}
		if len(after) != 1 || after[0].Did != did || after[0].By != "bea@example.org" || after[0].From == "" {
			t.Errorf("%s: the audit has %+v, want %q", path, after, did)
		}
	}
	if _, page := o.get(lead, "/desk/call-list"); !strings.Contains(page, "447700900123") || !strings.Contains(page, "999 012 3454") {
		t.Error("the call list lacks whom to ring")
	}
	if status, _ := o.get(o.browser("ann@example.org"), "/desk/labelled.jsonl"); status != 403 {
		t.Errorf("a nurse takes out the labelled messages: %d", status)
	}
}

// She is found by what she wrote, with her words and the found ones marked; each message that
// is shown is in the audit, and what was asked for nowhere. Who may see no patient finds none.
func TestSearchByWordsOfMessages(t *testing.T) {
	o := newOffice(t)
	patient := strings.Split(o.row, bot.RowMark)[0]
	ann := o.browser("ann@example.org")
	before, err := o.bot.AuditLog(t.Context(), 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	status, page := o.post(ann, "/desk/search", url.Values{"q": {"my LUMPS"}})
	if status != 200 || !strings.Contains(page, "By what they wrote") || !strings.Contains(page, "<mark>lump</mark>") || !strings.Contains(page, "/desk/patients/"+patient) {
		t.Errorf("%d: not found by her words:\n%s", status, page)
	}
	after, err := o.bot.AuditLog(t.Context(), int64(len(before)), 10000)
	if err != nil || len(after) != 2 {
		t.Fatalf("the audit has %+v, %v", after, err)
	}
	if shown := after[1]; shown.Did != "read a message found by its words" || shown.Patient != patient || shown.By != "ann@example.org" || after[0].Ref != "0 found, 1 by their words" {
		t.Errorf("the audit has %+v", after)
	}
	if strings.Contains(strings.ToLower(fmt.Sprintf("%+v%s", after, o.log)), "lumps") {
		t.Error("what was asked for stands in the audit or the log")
	}
	if status, page := o.post(ann, "/desk/search", url.Values{"q": {"zymurgy"}}); status != 200 || !strings.Contains(page, "words that she wrote") {
		t.Errorf("%d: a word of nobody's", status)
	}
	if status, page := o.post(o.browser("ida@example.org"), "/desk/search", url.Values{"q": {"lump"}}); status != 403 || strings.Contains(page, patient) {
		t.Errorf("an administrator searches: %d", status)
	}
}

// A row is shown by its short name in the list, on its page and on paper, and is found by
// it as a nurse has it from a page, also when it is closed; what was asked for stands nowhere.
func TestARowIsShownAndFoundByItsName(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	name := bot.RowName(o.row)
	for _, path := range []string{"/desk/", "/desk/rows/" + o.row, "/desk/call-list"} {
		if _, page := o.get(ann, path); !strings.Contains(page, "Row "+name+"<") {
			t.Errorf("%s does not say that it is row %s:\n%s", path, name, page)
		}
	}
	found := `<a href="/desk/rows/` + o.row + `">`
	search := func(query string) string {
		t.Helper()
		status, page := o.post(ann, "/desk/search", url.Values{"q": {query}})
		if status != 200 {
			t.Errorf("%q: %d", query, status)
		}
		return page
	}
	for _, query := range []string{name, strings.ToLower(name), "row " + name, " Row " + name + "."} {
		if page := search(query); !strings.Contains(page, found) || !strings.Contains(page, "Row "+name) || strings.Contains(page, "Nobody was found") {
			t.Errorf("%q does not find it:\n%s", query, page)
		}
	}
	if page := search("C2C2"); strings.Contains(page, found) || !strings.Contains(page, "Nobody was found") {
		t.Errorf("the name of another finds it:\n%s", page)
	}
	o.post(ann, "/desk/rows/"+o.row+"/take", nil)
	_, page := o.get(ann, "/desk/rows/"+o.row)
	if status, page := o.post(ann, "/desk/rows/"+o.row+"/close", o.form(page, "outcome", "advice")); status != 200 {
		t.Fatalf("closing: %d\n%s", status, page)
	}
	if page := search(name); !strings.Contains(page, found) || !strings.Contains(page, "closed ") {
		t.Errorf("it is not found once it is closed:\n%s", page)
	}
	audit, err := o.bot.AuditLog(t.Context(), 0, 10000)
	if err != nil || strings.Contains(strings.ToUpper(fmt.Sprintf("%+v%s", audit, o.log)), name) {
		t.Errorf("%v: what was asked for stands in the audit or the log", err)
	}
}

// A text is checked before it goes: its parts and its reading age are shown.
func TestTextIsCheckedFirst(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	row := "/desk/rows/" + o.row
	_, page := o.post(ann, row+"/take", nil)
	status, page := o.post(ann, row+"/text", o.form(page, "text", "Notwithstanding the multidisciplinary recommendation, immunohistochemistry is being reconsidered.", "check", "yes"))
	if status != 200 || !strings.Contains(page, "She would get:") || !strings.Contains(page, "aim for 11 or less") {
		t.Errorf("%d: not checked", status)
	}
	if c, err := o.bot.Case(t.Context(), strings.Split(o.row, bot.RowMark)[0]); err != nil || strings.Contains(c.Moments[len(c.Moments)-1].Text, "Notwithstanding") {
		t.Errorf("%v: it was sent", err)
	}
}

// An auditor sees who read and did what, and no word of a patient's; a person may have
// what was read and done of her.
func TestAuditPages(t *testing.T) {
	o := newOffice(t)
	o.get(o.browser("ann@example.org"), "/desk/rows/"+o.row)
	patient := strings.Split(o.row, bot.RowMark)[0]
	al := o.browser("al@example.org")
	if status, page := o.get(al, "/desk/"); status != 200 || !strings.Contains(page, "read patient") || !strings.Contains(page, "ann@example.org") || strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "lump") {
		t.Errorf("%d: an auditor's first page:\n%s", status, page)
	}
	for _, path := range []string{"/desk/rows/" + o.row, "/desk/patients/" + patient, "/desk/patients/" + patient + "/access", "/desk/call-list"} {
		if status, page := o.get(al, path); status != 403 || strings.Contains(page, "Zebedeemarker") {
			t.Errorf("%s: %d, an auditor sees a patient", path, status)
		}
	}
	lead := o.browser("bea@example.org")
	if status, file := o.get(lead, "/desk/patients/"+patient+"/access.csv"); status != 200 || !strings.Contains(file, "ann@example.org,read patient") {
		t.Errorf("her access report: %d %s", status, file)
	}
	if status, _ := o.get(lead, "/desk/patients/nobody/access"); status != 404 {
		t.Errorf("of nobody: %d", status)
	}
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if u.Name = "=1+1"; o.bot.PutUser(t.Context(), u) != nil {
		t.Fatal("the name is not kept")
	}
	if _, file := o.get(lead, "/desk/patients/"+patient+"/access.csv"); strings.Contains(file, ",=1+1,") || !strings.Contains(file, ",'=1+1,") {
		t.Errorf("a name is a formula to a spreadsheet: %s", file)
	}
}

// The lead's reports hide small numbers, also in the files, and name no nurse.
func TestReports(t *testing.T) {
	o := newOffice(t)
	lead := o.browser("bea@example.org")
	row := "/desk/rows/" + o.row
	o.post(lead, row+"/take", nil)
	o.post(lead, row+"/ring", url.Values{"result": {"spoke"}})
	o.post(lead, row+"/close", url.Values{"outcome": {"clinic"}})
	for _, path := range []string{"/desk/reports", "/desk/reports?days=7", "/desk/reports/promises", "/desk/reports/concerns?days=365", "/desk/reports/ages"} {
		status, page := o.get(lead, path)
		if status != 200 || !strings.Contains(page, "fewer than 5") || strings.Contains(page, "ann@") || strings.Contains(page, "Zebedeemarker") || strings.Contains(page, "100%") {
			t.Errorf("%s: %d, a small number, a nurse or a patient is shown:\n%s", path, status, page)
		}
	}
	if status, _ := o.get(lead, "/desk/reports/none"); status != 404 {
		t.Errorf("a table that there is not: %d", status)
	}
	if status, _ := o.get(o.browser("ann@example.org"), "/desk/reports"); status != 403 {
		t.Errorf("a nurse: %d", status)
	}
}

// full is a store of sessions that takes nothing more.
type full struct{ Sessions }

func (full) CommitCtx(context.Context, string, []byte, time.Time) error {
	return bot.ErrUnavailable
}

// A page whose session cannot be kept is the fault alone, not the fault and then the page.
func TestASessionThatCannotBeKept(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	o.again(func(c *Config) { c.Sessions = full{c.Sessions} })
	status, page := o.get(ann, "/desk/")
	if status != http.StatusServiceUnavailable || strings.Count(page, "<h1") != 1 || !strings.Contains(page, "Not available just now") {
		t.Errorf("%d %s", status, page)
	}
}

// She rings: the nurse finds her, writes down what she says, and is on the row that it
// belongs to, which is hers. What she typed is kept when it is not taken.
func TestACallFromHer(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	her := "/desk/patients/" + strings.Split(o.row, bot.RowMark)[0]
	if status, page := o.post(ann, her+"/call", url.Values{"text": {strings.Repeat("x", 2001)}}); status != 422 || !strings.Contains(page, "too long") || !strings.Contains(page, "xxx</textarea>") {
		t.Errorf("too long: %d", status)
	}
	status, page := o.post(ann, her+"/call", url.Values{"text": {"the lump has doubled in size, she is in tears"}})
	if status != 200 || !strings.Contains(page, "Held by ann@example.org") || !strings.Contains(page, "Somebody has spoken with her") || !strings.Contains(page, "has doubled in size") || !strings.Contains(page, bot.RangUs) {
		t.Errorf("%d: the row of her call:\n%s", status, page)
	}
	if status, _ := o.post(o.browser("ida@example.org"), her+"/call", url.Values{"text": {"x"}}); status != 403 {
		t.Errorf("an administrator: %d", status)
	}
	entries, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil || !slices.ContainsFunc(entries, func(e bot.AuditEntry) bool {
		return e.Did == "write down a call from her" && e.By == "ann@example.org" && "/desk/patients/"+e.Patient == her
	}) {
		t.Errorf("the audit does not have it: %v", err)
	}
}
