// Package desk is the nurses' pages: the open-access queue and each person's case.
//
// It promises: every page works without JavaScript and with live updates dead;
// every read and every act is audited before it is answered; an act on a row that
// another holds is refused with who holds it, and what was typed is kept; nothing
// of a patient is ever in an address. It refuses whoever is not signed in, every
// form from another site, and to know a clinical rule or the store.
package desk

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-webauthn/webauthn/webauthn"

	"lookout/bot"
	"lookout/content"
	"lookout/flows/triage"
)

//go:embed assets templates
var files embed.FS

// Bot is what the desk asks of the bot.
type Bot interface {
	Queue(ctx context.Context, filter bot.QueueFilter) ([]bot.Row, error)
	Count(ctx context.Context, filter bot.QueueFilter) (int, error)
	Row(ctx context.Context, id string) (bot.Row, error)
	Case(ctx context.Context, patient string) (bot.Case, error)
	Patient(ctx context.Context, id string) (bot.Patient, error)
	CarerName(p *bot.Patient, id string) string
	EndCarer(ctx context.Context, patient, carer, by string) error
	Photo(ctx context.Context, patient, name string) ([]byte, error)
	Find(ctx context.Context, query string, limit int) ([]bot.Patient, error)
	RowsNamed(ctx context.Context, query string) ([]bot.Row, error)
	FindSaid(ctx context.Context, query string, limit int) (found []bot.Said, more bool, err error)
	Take(ctx context.Context, a bot.Act) (bot.Row, error)
	Release(ctx context.Context, a bot.Act) (bot.Row, error)
	Ring(ctx context.Context, a bot.Act, result string) (bot.Row, error)
	Note(ctx context.Context, a bot.Act, text string) (bot.Row, error)
	TookCall(ctx context.Context, patient, by, words string) (bot.Row, error)
	PutOff(ctx context.Context, a bot.Act, until time.Time, why string) (bot.Row, error)
	Offer(ctx context.Context, a bot.Act, to, why string) (bot.Row, error)
	TakeOver(ctx context.Context, a bot.Act) (bot.Row, error)
	TurnDown(ctx context.Context, a bot.Act) (bot.Row, error)
	WrongLevel(ctx context.Context, a bot.Act, should triage.Level, why string) (bot.Row, error)
	Expect(ctx context.Context, x bot.Expecting) error
	CloseRow(ctx context.Context, closing bot.Closing) (bot.Row, error)
	UndoClose(ctx context.Context, a bot.Act) (bot.Row, error)
	EndReferral(ctx context.Context, a bot.Act, end string, on time.Time) (bot.Row, error)
	Say(ctx context.Context, saying bot.Saying) error
	SendLink(ctx context.Context, patient, by string) error
	Sheet(key string, c *bot.Case) (bot.Sheet, error)
	SendSheet(ctx context.Context, patient, key, by string) error
	Preview(ctx context.Context, saying bot.Saying) (string, error)
	Look(ctx context.Context, row, by string) error
	Looking(ctx context.Context) (map[string][]string, error)
	Drafts(ctx context.Context, row, by string) (map[string]string, error)
	PutDraft(ctx context.Context, row, by, field, text string) error
	LabelledJSONL(ctx context.Context) ([]byte, error)
	Labelled(ctx context.Context) ([]bot.Labelled, error)
	Rota(ctx context.Context, days int) ([]bot.OnCallShift, error)
	Cover(ctx context.Context, day time.Time, names []string) error
	Reachable(ctx context.Context) ([]bot.Tested, error)
	Proof(ctx context.Context) (bot.Proof, error)
	Proofs(ctx context.Context) ([]bot.Run, error)
	Audit(ctx context.Context, entry bot.AuditEntry) error
	AuditAll(ctx context.Context, entries []bot.AuditEntry) error
	Report(ctx context.Context, from, to time.Time) (bot.Report, error)
	Figures(ctx context.Context, days int) (bot.Figures, error)
	CountFigures(ctx context.Context) error
	Better(ctx context.Context, f *bot.Figures) ([]bot.Entry, error)
	Pledge(ctx context.Context, public bool) (bot.Pledge, error)
	PutPledge(ctx context.Context, p bot.Pledge, publish bool) error
	TakePledgeDown(ctx context.Context) error
	AuditTail(ctx context.Context, before int64, limit int) ([]bot.AuditEntry, error)
	AccessTo(ctx context.Context, patient string) ([]bot.AuditEntry, error)
	Watch(ctx context.Context) <-chan bot.Hint
	User(ctx context.Context, email string) (bot.User, error)
	Users(ctx context.Context) ([]bot.User, error)
	ChangeUser(ctx context.Context, email string, change func(u *bot.User) error) (bot.User, error)
	ChangeSignIn(ctx context.Context, email, what, session string, change func(u *bot.User) error) (bot.User, error)
	Invite(ctx context.Context, u bot.User) (link string, err error)
	Invited(ctx context.Context, token string) (bot.User, error)
	Accept(ctx context.Context, token, hash, session string) (bot.User, error)
	Content() *content.Pack
	Service() *bot.Service
}

// Sessions keeps who is signed in where.
type Sessions interface {
	scs.CtxStore
	scs.IterableCtxStore
}

// Config is what the desk needs.
type Config struct {
	Bot      Bot
	Sessions Sessions
	Now      func() time.Time
	Log      *slog.Logger
	Secure   bool   // cookies only over TLS
	Banner   string // stands on every page
	// Untrusted says, on every page, why nothing can be saved; "": all can. nil: never.
	Untrusted func() string
	Segments  func(string) int // SMS parts of a text
	Stopping  <-chan struct{}  // closed when live pages shall let go

	PublicURL    string    // the address at which nurses reach the desk
	Provider     *Provider // the hospital's own sign-in; nil: none
	SecondFactor bool      // whoever signs in must have a second factor
}

// Desk serves /desk/ and /assets/.
type Desk struct {
	Config
	sessions *scs.SessionManager
	// background reads the same sessions, and keeps none alive: what a page asks of
	// itself must not keep somebody signed in who has left it.
	background *scs.SessionManager
	pages      *template.Template
	csrf       *http.CrossOriginProtection
	attempts   attempts
	nobody     string             // a password hash that nothing matches
	passkeys   *webauthn.WebAuthn // nil where there can be none
	glances    rounds[glanceKey, *glance]
}

// glanceKey is one page of one view of the queue; of whom, where each has her own.
type glanceKey struct {
	tab, page int
	of        string
}

// New makes the desk. Its templates are checked here.
func New(c Config) (*Desk, error) {
	d := &Desk{Config: c, sessions: scs.New(), csrf: http.NewCrossOriginProtection()}
	d.sessions.Store = c.Sessions
	d.sessions.IdleTimeout, d.sessions.Lifetime = 30*time.Minute, 12*time.Hour
	d.sessions.HashTokenInStore = true
	d.sessions.Cookie.Name, d.sessions.Cookie.Path = "lookout_desk", "/desk"
	d.sessions.Cookie.HttpOnly, d.sessions.Cookie.Secure, d.sessions.Cookie.SameSite = true, c.Secure, http.SameSiteLaxMode
	d.sessions.ErrorFunc = d.sessionFailed
	quiet := *d.sessions
	quiet.IdleTimeout = 0
	d.background = &quiet
	var err error
	if d.pages, err = template.New("").Funcs(d.functions()).Option("missingkey=error").ParseFS(files, "templates/*.html"); err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	if d.nobody, err = HashPassword("nobody has this password"); err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	if d.passkeys, err = relyingParty(c.PublicURL); err != nil {
		return nil, fmt.Errorf("desk: passkeys: %w", err)
	}
	return d, nil
}

// Stylesheet serves /assets/: nhsuk-frontend's stylesheet, and the pictures that it
// asks for.
func Stylesheet() http.Handler {
	nhsuk, err := fs.Sub(files, "assets/nhsuk")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return cached(http.StripPrefix("/assets/", http.FileServerFS(nhsuk)))
}

// Register puts every page of the desk on a mux.
func (d *Desk) Register(mux *http.ServeMux) {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux.Handle("GET /assets/", Stylesheet())
	mux.Handle("GET /desk/static/", cached(http.StripPrefix("/desk/static/", http.FileServerFS(assets))))
	mux.Handle("GET /pledge", headers(http.HandlerFunc(d.public)))
	pages := http.NewServeMux()
	for pattern, x := range map[string]struct {
		handle page
		roles  []bot.Role
	}{
		"GET /desk/{$}":                              {d.queue, clinical},
		"GET /desk/hand-over":                        {d.handOver, clinical},
		"GET /desk/call-list":                        {d.callList, clinical},
		"GET /desk/referrals":                        {d.board, clinical},
		"POST /desk/rows/{id}/referral":              {d.endReferral, clinical},
		"GET /desk/rota":                             {d.rota, clinical},
		"POST /desk/rota":                            {d.cover, clinical},
		"GET /desk/labelled":                         {d.labelled, leads},
		"GET /desk/labelled.jsonl":                   {d.labelledFile, leads},
		"GET /desk/rows/{id}":                        {d.row, clinical},
		"GET /desk/rows/{id}/close":                  {d.closing, clinical},
		"POST /desk/rows/{id}/close":                 {d.close, clinical},
		"POST /desk/rows/{id}/looking":               {d.looking, clinical},
		"GET /desk/rows/{id}/version":                {d.version, clinical},
		"POST /desk/rows/{id}/draft":                 {d.draft, clinical},
		"GET /desk/patients/{id}/sheets/{key}":       {d.sheetPage, clinical},
		"GET /desk/patients/{id}/sheets/{key}/pdf":   {d.sheetPDF, clinical},
		"POST /desk/patients/{id}/sheets/{key}/link": {d.sheetLink, clinical},
		"GET /desk/reports":                          {d.reports, leads},
		"GET /desk/reports/{key}":                    {d.reportFile, leads},
		"GET /desk/figures":                          {d.figures, leads},
		"POST /desk/figures":                         {d.countFigures, leads},
		"GET /desk/figures/{key}":                    {d.figureFile, leads},
		"GET /desk/pledge":                           {d.pledge, leads},
		"POST /desk/pledge":                          {d.putPledge, leads},
		"GET /desk/pledge.csv":                       {d.pledgeFile, leads},
		"GET /desk/audit":                            {d.auditPage, auditors},
		"GET /desk/patients/{id}/access":             {d.access, leads},
		"GET /desk/patients/{id}/access.csv":         {d.accessFile, leads},
		"GET /desk/patients/{id}":                    {d.patient, clinical},
		"POST /desk/patients/{id}/link":              {d.link, clinical},
		"POST /desk/patients/{id}/call":              {d.call, clinical},
		"GET /desk/patients/{id}/photos/{name}":      {d.photo, clinical},
		"POST /desk/patients/{id}/carers/{carer}":    {d.endCarer, clinical},
		"POST /desk/search":                          {d.search, clinical},
		"GET /desk/events":                           {d.events, clinical},
		"POST /desk/stay":                            {d.stay, everybody},
		"GET /desk/second-factor":                    {d.secondFactor, everybody},
		"POST /desk/second-factor":                   {d.changeSecond, everybody},
		"GET /desk/second-factor.png":                {d.secondPicture, everybody},
		"POST /desk/second-factor/options":           {d.newPasskeyOptions, everybody},
		"POST /desk/second-factor/passkey":           {d.newPasskey, everybody},
		"POST /desk/second-factor/remove":            {d.removePasskey, everybody},
		"POST /desk/sign-out-everywhere":             {d.signOutEverywhere, everybody},
		"POST /desk/devices/end":                     {d.endDevice, everybody},
		"POST /desk/devices/others":                  {d.endOthers, everybody},
		"POST /desk/changes":                         {d.knowsOf, everybody},
		"GET /desk/password":                         {d.passwordPage, everybody},
		"POST /desk/password":                        {d.changePassword, everybody},
		"GET /desk/users":                            {d.team, administrative},
		"POST /desk/users":                           {d.invite, administrative},
		"POST /desk/users/disable":                   {d.disable, administrative},
	} {
		pages.Handle(pattern, d.signedIn(x.handle, x.roles))
	}
	for what, handle := range d.rowActs() {
		pages.Handle("POST /desk/rows/{id}/"+what, d.signedIn(handle, clinical))
	}
	pages.HandleFunc("GET /desk/welcome", d.welcomePage)
	pages.HandleFunc("POST /desk/welcome", d.welcome)
	pages.HandleFunc("GET /desk/sign-in", d.signInPage)
	pages.HandleFunc("POST /desk/sign-in", d.signIn)
	pages.HandleFunc("POST /desk/code", d.code)
	pages.HandleFunc("POST /desk/passkey/options", d.passkeyOptions)
	pages.HandleFunc("POST /desk/passkey", d.passkeyIn)
	if d.Provider != nil {
		pages.HandleFunc("GET /desk/sign-in/provider", d.toProvider)
		pages.HandleFunc("GET /desk/sign-in/provider/back", d.fromProvider)
		pages.HandleFunc("POST /desk/sign-in/provider/out", d.outByProvider)
	}
	pages.HandleFunc("POST /desk/sign-out", d.signOut)
	pages.HandleFunc("/desk/", func(w http.ResponseWriter, r *http.Request) { d.fail(w, r, bot.ErrNotFound) })
	awake, asleep := d.sessions.LoadAndSave(pages), d.background.LoadAndSave(pages)
	mux.Handle("/desk/", d.csrf.Handler(headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = &answer{ResponseWriter: w}
		if byItself(r) {
			asleep.ServeHTTP(w, r)
			return
		}
		awake.ServeHTTP(w, r)
	}))))
}

// sessionFailed answers where the session could not be read or kept. It is called
// just before the page is written: the page must not follow its own fault.
func (d *Desk) sessionFailed(w http.ResponseWriter, r *http.Request, err error) {
	d.fail(w, r, err)
	if a, ok := w.(*answer); ok {
		a.failed = true
	}
}

// answer is what a page is written to. After a fault of the session it takes no more.
type answer struct {
	http.ResponseWriter
	failed bool
}

// Unwrap lets an http.ResponseController flush it.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if !a.failed {
		a.ResponseWriter.WriteHeader(status)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	if a.failed {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// cached lets browsers keep what never changes between releases for an hour.
func cached(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // a folder is listed to nobody
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// headers keep a page of patients to itself: no cache, no frame, no script from elsewhere.
func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// page is a page for somebody who is signed in.
type page func(w http.ResponseWriter, r *http.Request, u bot.User) error

// Who may see what: an administrator reads no word of a patient's.
var (
	clinical       = []bot.Role{bot.Nurse, bot.Lead}
	leads          = []bot.Role{bot.Lead}
	auditors       = []bot.Role{bot.Auditor, bot.Lead}
	administrative = []bot.Role{bot.Admin}
	everybody      = []bot.Role{bot.Nurse, bot.Lead, bot.Admin, bot.Auditor}
)

// signedIn lets nobody through who is not, or whose role is another, and turns
// errors into pages.
func (d *Desk) signedIn(handle page, roles []bot.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		email := d.sessions.GetString(r.Context(), "email")
		u, err := d.Bot.User(r.Context(), email)
		if email == "" || errors.Is(err, bot.ErrNotFound) || err == nil && (u.Disabled || d.ended(r.Context(), u)) {
			if r.Method == http.MethodGet {
				if r.Header.Get("X-Background") != "" { // a script asks: a page is no answer to it
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				http.Redirect(w, r, "/desk/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
				return
			}
			d.show(w, r, http.StatusUnauthorized, "sign-in", view{"Title": "Sign in", "Lost": strings.TrimSpace(r.FormValue("text")), "Next": rowPage(r)})
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), userKey{}, u))
		d.used(r)
		if err == nil && d.enrol(w, r, u) {
			return
		}
		if err == nil && !slices.Contains(roles, u.Role) {
			first := map[bot.Role]string{bot.Admin: "/desk/users", bot.Auditor: "/desk/audit"}[u.Role]
			if first != "" && r.URL.Path == "/desk/" {
				http.Redirect(w, r, first, http.StatusSeeOther)
				return
			}
			err = fmt.Errorf("%w: this page is not for your role (%s)", bot.ErrRefused, u.Role)
		}
		if err == nil {
			err = handle(w, r, u)
		}
		if err != nil {
			d.fail(w, r, err)
		}
	})
}

// rowPage is the page of the row that a form acts on; "" when it acts on none.
func rowPage(r *http.Request) string {
	if id := r.PathValue("id"); id != "" && strings.Contains(r.Pattern, "/rows/") {
		return "/desk/rows/" + id
	}
	return ""
}

// userKey is where a request carries who is signed in, for the top of every page.
type userKey struct{}

// view is what a template gets.
type view map[string]any

// show writes a page.
func (d *Desk) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	u, _ := r.Context().Value(userKey{}).(bot.User)
	untrusted := ""
	if d.Untrusted != nil {
		untrusted = d.Untrusted()
	}
	var news []bot.SignInChange
	if u.Email != "" {
		news = d.news(r, u)
	}
	defaults := view{"SignInNews": news, "Untrusted": untrusted, "Banner": d.Banner, "Service": d.Bot.Service().Name, "User": u, "Emergencies": 0, "Now": d.Now(), "Lost": "", "Fault": "", "Next": "", "OutThere": "", "Provider": "", "Only": false, "Passkeys": d.passkeys != nil}
	if d.Provider != nil {
		defaults["Provider"], defaults["Only"] = d.Provider.Name, d.Provider.Only
	}
	for k, x := range defaults {
		if _, ok := v[k]; !ok {
			v[k] = x
		}
	}
	var b strings.Builder
	if err := d.pages.ExecuteTemplate(&b, name, v); err != nil {
		d.Log.ErrorContext(r.Context(), "a page could not be made", "page", name, "err", err)
		http.Error(w, "This page could not be made. Nothing was lost: go back and try again.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}

// fail shows what went wrong, in words for a nurse.
func (d *Desk) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, title, text := http.StatusInternalServerError, "Something went wrong", "It was not carried out. Go back and try again."
	var held *bot.HeldError
	var field *bot.FieldError
	switch {
	case errors.As(err, &held):
		status, title = http.StatusConflict, d.person(r.Context(), held.By)+" has this one"
		text = "It is hers until " + held.Until.In(d.Bot.Service().Location).Format("15:04") + ", or until she gives it back."
	case errors.As(err, &field):
		status, title, text = http.StatusUnprocessableEntity, "There is a problem", fieldNames[field.Field]+" "+field.Problem
	case errors.Is(err, bot.ErrNotFound):
		status, title, text = http.StatusNotFound, "Not found", "There is no such page, or it is closed."
	case errors.Is(err, bot.ErrConflict):
		status, title, text = http.StatusConflict, "It has changed", "Somebody else was faster, or it is closed already. Look again before you act."
	case errors.Is(err, bot.ErrRefused):
		status, title, text = http.StatusForbidden, "Not possible", strings.TrimPrefix(err.Error(), "refused: ")
	case errors.Is(err, bot.ErrUnavailable):
		status, title, text = http.StatusServiceUnavailable, "Not available just now", "Nothing was changed. Try again in a moment; if it stays so, use the printed call list."
	}
	if status >= 500 && r.Context().Err() == nil { // who has gone away wants no answer
		d.Log.ErrorContext(r.Context(), "desk request failed", "route", r.Pattern, "err", err)
	}
	row := r.PathValue("id")
	if status == http.StatusNotFound || !strings.Contains(r.Pattern, "/rows/") {
		row = ""
	}
	d.show(w, r, status, "fault", view{"Title": title, "Text": text, "Row": row, "Lost": strings.TrimSpace(r.FormValue("text"))})
}

// fieldNames is what a nurse calls the fields of the forms.
var fieldNames = map[string]string{"by": "Your name", "text": "What you write", "text_id": "The text", "outcome": "What came of it", "result": "The result of the call", "why": "The reason", "until": "The time", "to": "The colleague", "level": "The level", "concept": "What is expected",
	"plan": "The plan", "route": "The route", "end": "What came of it", "on": "The day", "who": "Who covers", "day": "The day",
	"email": "The e-mail address", "role": "The role"}

// audit keeps who read what. What cannot be audited is not shown.
func (d *Desk) audit(r *http.Request, u bot.User, did, patient, ref string) error {
	return d.Bot.Audit(r.Context(), entry(r, u, did, patient, ref))
}

func entry(r *http.Request, u bot.User, did, patient, ref string) bot.AuditEntry {
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	return bot.AuditEntry{By: u.Email, Did: did, Patient: patient, Ref: ref, From: from}
}

// functions are what templates may use.
func (d *Desk) functions() template.FuncMap {
	zone := func(t time.Time) time.Time { return t.In(d.Bot.Service().Location) }
	return template.FuncMap{
		"clock":   func(t time.Time) string { return zone(t).Format("15:04") },
		"seconds": func(t time.Time) string { return zone(t).Format("15:04:05") },
		"when":    func(t time.Time) string { return zone(t).Format("Mon 2 Jan, 15:04") },
		"proved": func(t time.Time) string { // the day only where it is another
			if t, now := zone(t), d.now(); !t.Before(midnight(now, 0)) {
				return "today " + t.Format("15:04")
			}
			return zone(t).Format("Mon 2 Jan, 15:04")
		},
		"stage":   func(s bot.Stage) string { return strings.ToUpper(string(s[:1])) + string(s[1:]) },
		"concern": func(id string) string { return d.Bot.Content().ConcernLabel(id) },
		"person":  func(email string) string { return d.person(context.Background(), email) },
		"left": func(due time.Time) string {
			switch left := due.Sub(d.Now()).Round(time.Minute); {
			case left < 0:
				return "Overdue by " + spell(-left)
			default:
				return spell(left) + " left"
			}
		},
		"rule": func(rule string) string { // a pattern is for those who write rules
			if name, why, _ := strings.Cut(rule, ":"); strings.ContainsAny(why, "@~|") {
				return name
			}
			return rule
		},
		"overdue": func(due time.Time) bool { return due.Before(d.Now()) },
		"colour": func(l triage.Level) string {
			return map[triage.Level]string{triage.Emergency: "red", triage.Urgent: "orange", triage.Soon: "blue"}[l]
		},
		"level":     levelName,
		"nhs":       bot.SpacedNHSNumber,
		"bar":       bar,
		"pledged":   func(state string) string { return stateWords[state] },
		"sheetname": func(key string) string { s, _ := d.Bot.Content().Sheet(key, nil); return s.Title },
		"age": func(birth string) int {
			born, err := time.Parse(time.DateOnly, birth)
			if err != nil {
				return 0
			}
			now := d.Now()
			age := now.Year() - born.Year()
			if now.Month() < born.Month() || (now.Month() == born.Month() && now.Day() < born.Day()) {
				age--
			}
			return age
		},
		"day":      bot.LongDay,
		"marked":   marked,
		"clinical": func(r bot.Role) bool { return slices.Contains(clinical, r) },
		"roles": func() []content.Choice {
			return []content.Choice{{Key: "nurse", Label: "Nurse: works the queue"}, {Key: "lead", Label: "Lead nurse: the same, and answers for it"},
				{Key: "admin", Label: "Administrator: who may sign in; sees no patients"}, {Key: "auditor", Label: "Auditor: who read and did what; sees no patients"}}
		},
		"dict": func(pairs ...any) view { // what a part of a page is given
			v := view{}
			for i := 0; i+1 < len(pairs); i += 2 {
				v[pairs[i].(string)] = pairs[i+1]
			}
			return v
		},
		"carer": func(p bot.Patient, id string) string { return d.Bot.CarerName(&p, id) },
		"photo": func(m bot.Media) string {
			if name, ours := m.PhotoName(); ours {
				return name
			}
			return ""
		},
		"concept": func(id string) string { c, _ := d.Bot.Content().Lexicon().Concept(id); return c.Name },
		"parts":   func(s string) int { return d.Segments(s) },
		"iso":     func(t time.Time) string { return zone(t).Format(time.DateOnly) },
		"date":    func(t time.Time) string { return zone(t).Format("Mon 2 Jan 2006") },
		"route":   func(key string) string { x, _ := d.Bot.Content().Route(key); return x.Label },
		"fds":     func(key string) bool { x, _ := d.Bot.Content().Route(key); return x.FDS },
		"end_":    func(key string) string { x, _ := d.Bot.Content().ReferralEnd(key); return x.Label },
		"outcome": func(key string) string { x, _ := d.Bot.Content().Outcome(key); return x.Label },
		"source":  func(id string) string { c, _ := d.Bot.Content().Lexicon().Concept(id); return c.Source },
		"add":     func(x, y int) int { return x + y },
		"days": func(due time.Time) int { // whole days of the calendar that are left
			return int(midnight(zone(due), 0).Sub(midnight(d.now(), 0)).Round(24*time.Hour) / (24 * time.Hour))
		},
		"hand": func(row bot.Row, u bot.User) bool { return row.ClaimedBy == u.Email },
		"short": func(s string, n int) string {
			if r := []rune(s); len(r) > n {
				return string(r[:n-1]) + "…"
			}
			return s
		},
	}
}

// levelName is what the desk calls a level.
func levelName(l triage.Level) string {
	return map[triage.Level]string{triage.Emergency: "Emergency", triage.Urgent: "Urgent", triage.Soon: "Soon", triage.Routine: "Routine", triage.None: "None"}[l]
}

// person is what the team calls a member: her name, or her address where she has
// left it.
func (d *Desk) person(ctx context.Context, email string) string {
	if u, err := d.Bot.User(ctx, email); err == nil && u.Name != "" {
		return u.Name
	}
	return email
}

func spell(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// marked gives her words with what was found in them marked. Everything is escaped.
func marked(words string, spans []bot.Span) template.HTML {
	var b strings.Builder
	inside := make([]bool, len(words)+1)
	for _, s := range spans {
		for i := max(0, s.Start); i < min(s.End, len(words)); i++ {
			inside[i] = true
		}
	}
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && inside[j] == inside[i] {
			j++
		}
		piece := strings.ReplaceAll(template.HTMLEscapeString(words[i:j]), "\n", "<br>")
		if inside[i] {
			piece = "<mark>" + piece + "</mark>"
		}
		b.WriteString(piece)
		i = j
	}
	return template.HTML(b.String())
}

// tag names what a page looks like.
type tag struct{ hash.Hash }

func newTag() tag { return tag{sha256.New()} }

func (t tag) add(parts ...any) { fmt.Fprintln(t, parts...) }

func (t tag) String() string { return hex.EncodeToString(t.Sum(nil)[:8]) }
