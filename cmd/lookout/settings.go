package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lookout/bot"
	"lookout/channels/email"
	"lookout/channels/sms"
	"lookout/channels/webhook"
	"lookout/content"
	"lookout/flows/triage"
)

// settings are those of lookout.yaml; the ones with a name in env can each be
// given by the environment, which wins.
type settings struct {
	Addr      string `yaml:"addr"`
	PublicURL string `yaml:"public_url"`
	Drain     string `yaml:"drain"` // how long a stop still answers, for a proxy to turn elsewhere; "": it does not
	// TrustedProxies are the operator's own, whose word on where a request came from counts.
	TrustedProxies []string `yaml:"trusted_proxies"`
	proxyList      string   // the same, from the environment
	Store          string   `yaml:"store"`
	Redis          struct {
		Accept string `yaml:"accept"` // faults of the servers that the operator lives with, by name
		Copies string `yaml:"copies"` // replicas that must have a change before it counts
	} `yaml:"redis"`
	KeysetFile string `yaml:"keyset_file"` // with which the store is encrypted; noKeyset: it shall not be
	keyset     string // its text, from the environment
	Content    string `yaml:"content"`
	APIToken   string `yaml:"api_token"`
	Twilio     struct {
		AccountSID          string  `yaml:"account_sid"`
		AuthToken           string  `yaml:"auth_token"`
		From                string  `yaml:"from"`
		MessagingServiceSID string  `yaml:"messaging_service_sid"`
		APIURL              string  `yaml:"api_url"`
		PerSecond           float64 `yaml:"per_second"`
		PricePerSegment     float64 `yaml:"price_per_segment"`
	} `yaml:"twilio"`
	SMTP struct { // pages by e-mail; without an address none go
		Address  string `yaml:"address"`
		Security string `yaml:"security"`
		User     string `yaml:"user"`
		Password string `yaml:"password"`
		From     string `yaml:"from"`
	} `yaml:"smtp"`
	Watch   watchSettings  `yaml:"watch"`
	Canary  canarySettings `yaml:"canary"`
	Traces  tracesSettings `yaml:"traces"`
	Chat    chatSettings   `yaml:"chat"`
	Desk    deskSettings   `yaml:"desk"`
	OIDC    oidcSettings   `yaml:"oidc"`
	Webhook struct {       // pages to another system
		Key string `yaml:"key"`
	} `yaml:"webhook"`
	CallList callListSettings `yaml:"call_list"`
	Service  serviceSettings  `yaml:"service"`
}

// serviceSettings are one hospital team's.
type serviceSettings struct {
	ID           string                  `yaml:"id"`
	Name         string                  `yaml:"name"`
	Nation       string                  `yaml:"nation"`
	TimeZone     string                  `yaml:"time_zone"`
	OpenAccess   *bool                   `yaml:"open_access"`
	NurseLine    string                  `yaml:"nurse_line"`
	CancerLine   string                  `yaml:"cancer_line"`
	Hours        map[string]string       `yaml:"hours"`  // monday: "09:00-12:30 13:30-17:00"
	Closed       map[string]string       `yaml:"closed"` // "2026-12-29": "team day"
	Nurses       map[string]int          `yaml:"nurses"` // how many answer the desk: monday: 2
	Rota         map[string]rotaSettings `yaml:"rota"`   // days that differ: "2026-12-30": {nurses: 1, hours: "09:00-12:30", why: "cover"}
	RowsPerNurse float64                 `yaml:"rows_per_nurse"`
	SendFrom     string                  `yaml:"send_from"`
	SendUntil    string                  `yaml:"send_until"`
	SendBefore   string                  `yaml:"send_before_close"`
	PageEvery    string                  `yaml:"page_every"`
	ClaimHolds   string                  `yaml:"claim_holds"`
	KeepYears    int                     `yaml:"keep_years"`
	Duty         []dutySettings          `yaml:"duty"`
	OnCall       map[string][]string     `yaml:"on_call"` // monday: [Ann, Bea]; "2026-12-25": [Cara]
	Untaken      string                  `yaml:"urgent_untaken"`
	Warn         string                  `yaml:"warn_before_due"`
	Tell         string                  `yaml:"tell_before_due"`
}

// rotaSettings are one day that is not like its weekday.
type rotaSettings struct {
	Nurses int    `yaml:"nurses"`
	Hours  string `yaml:"hours"`
	Why    string `yaml:"why"`
}

type dutySettings struct {
	Name    string `yaml:"name"`
	Phone   string `yaml:"phone"`
	Email   string `yaml:"email"`
	Webhook string `yaml:"webhook"`
	Lead    bool   `yaml:"lead"`
}

// variables are the settings that the environment may give.
func (s *settings) variables() map[string]*string {
	return map[string]*string{
		"LOOKOUT_ADDR": &s.Addr, "LOOKOUT_DRAIN": &s.Drain, "LOOKOUT_TRUSTED_PROXIES": &s.proxyList, "LOOKOUT_PUBLIC_URL": &s.PublicURL, "LOOKOUT_STORE": &s.Store, "LOOKOUT_REDIS_ACCEPT": &s.Redis.Accept, "LOOKOUT_REDIS_COPIES": &s.Redis.Copies,
		"LOOKOUT_KEYSET_FILE": &s.KeysetFile, "LOOKOUT_KEYSET": &s.keyset,
		"LOOKOUT_CONTENT": &s.Content, "LOOKOUT_API_TOKEN": &s.APIToken, "LOOKOUT_WATCH_URL": &s.Watch.URL, "LOOKOUT_CANARY_PHONE": &s.Canary.Phone, "OTEL_EXPORTER_OTLP_ENDPOINT": &s.Traces.Endpoint, "LOOKOUT_CHAT_VOUCH_KEY": &s.Chat.VouchKey,
		"LOOKOUT_WEBHOOK_KEY": &s.Webhook.Key, "LOOKOUT_OIDC_ISSUER": &s.OIDC.Issuer, "LOOKOUT_OIDC_CLIENT_ID": &s.OIDC.ClientID, "LOOKOUT_OIDC_CLIENT_SECRET": &s.OIDC.ClientSecret, "LOOKOUT_DESK_SECOND_FACTOR": &s.Desk.SecondFactor,
		"LOOKOUT_TWILIO_ACCOUNT_SID": &s.Twilio.AccountSID, "LOOKOUT_TWILIO_AUTH_TOKEN": &s.Twilio.AuthToken, "LOOKOUT_TWILIO_FROM": &s.Twilio.From,
		"LOOKOUT_TWILIO_MESSAGING_SERVICE_SID": &s.Twilio.MessagingServiceSID, "LOOKOUT_TWILIO_API_URL": &s.Twilio.APIURL,
		"LOOKOUT_SMTP_ADDRESS": &s.SMTP.Address, "LOOKOUT_SMTP_SECURITY": &s.SMTP.Security, "LOOKOUT_SMTP_USER": &s.SMTP.User,
		"LOOKOUT_SMTP_PASSWORD": &s.SMTP.Password, "LOOKOUT_SMTP_FROM": &s.SMTP.From,
	}
}

// loadSettings reads the file (none: only the environment and what follows from
// it) and the environment. A misspelt setting is an error. A file that cannot be read
// gives no settings at all: whatever else was said of them would be untrue.
func loadSettings(path string, e *env) (*settings, error) {
	s := &settings{}
	var faults []error
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		err := yaml.Load(data, s, yaml.WithKnownFields())
		var many *yaml.LoadErrors
		var one *yaml.LoadError
		switch {
		case errors.As(err, &many):
			for _, e := range many.Errors {
				faults = append(faults, fmt.Errorf("%s:%d: %s", path, e.Mark.Line, settingsFault(e.Message)))
			}
		case errors.As(err, &one):
			return nil, fmt.Errorf("%s:%d: is not YAML (%s): check the indents, the quotes and the brackets up to here", path, one.Mark.Line, one.Message)
		case err != nil:
			return nil, fmt.Errorf("%s: is not YAML: %w", path, err)
		}
	case !errors.Is(err, os.ErrNotExist) || path != defaultSettings:
		return nil, fmt.Errorf("--settings: %w: docs/settings.md shows what to write into it", err)
	}
	variables := s.variables()
	for _, line := range e.environ {
		name, value, _ := strings.Cut(line, "=")
		switch to := variables[name]; {
		case to != nil && value != "":
			*to = value
		case to == nil && strings.HasPrefix(name, "LOOKOUT_"):
			faults = append(faults, fmt.Errorf("%s: there is no such setting: the ones that the environment can give are in docs/settings.md", name))
		}
	}
	if s.proxyList != "" {
		s.TrustedProxies = strings.FieldsFunc(s.proxyList, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return s, errors.Join(faults...)
}

const defaultSettings = "lookout.yaml"

var noSuchSetting = regexp.MustCompile(`^field (.+) not found in type`)

// settingsFault says in an operator's words what the parser found, and repeats no
// value, which may be a secret.
func settingsFault(message string) string {
	if m := noSuchSetting.FindStringSubmatch(message); m != nil {
		return m[1] + ": there is no such setting here: docs/settings.md lists them"
	}
	if strings.HasPrefix(message, "cannot construct") {
		return "the value is of another kind than this setting takes: docs/settings.md shows how it is written"
	}
	return message
}

// What texts say where a service has not said it: true anywhere, and no help.
const (
	unnamed      = "Your NHS breast nurses"
	noNurseLine  = "your nurses' number"
	noCancerLine = "the number on your chemotherapy card"
)

// lacks says what a service can be served without, and no patient should be: `lookout
// serve` warns of it, and the doctor calls it a fault.
func (s *settings) lacks() []string {
	v := &s.Service
	var out []string
	if len(v.Duty) == 0 {
		out = append(out, "nobody is on the paging list: an emergency would page nobody: set service.duty")
	}
	for _, x := range []struct{ name, value, instead string }{{"name", v.Name, unnamed}, {"nurse_line", v.NurseLine, noNurseLine}, {"cancer_line", v.CancerLine, noCancerLine}} {
		if x.value == x.instead {
			out = append(out, fmt.Sprintf("service.%s is not set: people would be told %q", x.name, x.instead))
		}
	}
	return out
}

// defaults fills in what is not set.
func (s *settings) defaults() {
	fill := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	fill(&s.Addr, "127.0.0.1:8080")
	fill(&s.Store, "sqlite:lookout.db")
	if s.PublicURL == "" {
		s.PublicURL = "http://" + s.Addr
	}
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	if s.Twilio.PerSecond == 0 {
		s.Twilio.PerSecond = 50
	}
	if s.Twilio.PricePerSegment == 0 {
		s.Twilio.PricePerSegment = 0.02 // pounds; clinical digest 8.2: about 2p
	}
	if s.CallList.Keep == 0 {
		s.CallList.Keep = 48
	}
	fill(&s.Canary.Way, byCarrier)
	fill(&s.Canary.At, "07:30")
	v := &s.Service
	fill(&v.ID, "anytown")
	fill(&v.Name, unnamed)
	fill(&v.Nation, "england-and-wales")
	fill(&v.TimeZone, "Europe/London")
	fill(&v.NurseLine, noNurseLine)
	fill(&v.CancerLine, noCancerLine)
	fill(&v.SendFrom, "10:00")
	fill(&v.SendUntil, "16:00")
	fill(&v.SendBefore, "1h")
	fill(&v.PageEvery, "5m")
	fill(&v.ClaimHolds, "30m")
	fill(&v.Untaken, bot.DefaultPromise.Untaken.String())
	fill(&v.Warn, bot.DefaultPromise.Warn.String())
	fill(&v.Tell, bot.DefaultPromise.Tell.String())
	if len(v.Hours) == 0 {
		v.Hours = map[string]string{}
		for _, day := range weekdays[1:6] {
			v.Hours[day] = "09:00-17:00"
		}
	}
}

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

var serviceID = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

// maxDrain leaves a stop time for what is under way.
const maxDrain = 6 * time.Second

// drain is how long a stop still answers; nought: it does not.
func (s *settings) drain() (time.Duration, error) {
	if s.Drain == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s.Drain)
	if err != nil || d < 0 || d > maxDrain {
		return 0, fmt.Errorf("drain: must be a length of time like 4s, of %s at most: a stop ends within 10 seconds", maxDrain)
	}
	return d, nil
}

// check finds every fault of the settings at once.
func (s *settings) check() error {
	var faults []error
	fault := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
	if _, _, err := net.SplitHostPort(s.Addr); err != nil {
		fault("addr", "must be a host and a port, like 127.0.0.1:8080")
	}
	if u, err := url.Parse(s.PublicURL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" {
		fault("public_url", "must be the address at which Twilio and people reach lookout, like https://lookout.example.nhs.uk")
	}
	if _, err := s.drain(); err != nil {
		faults = append(faults, err)
	}
	_, unclear := parseProxies(s.TrustedProxies)
	faults = append(faults, unclear...)
	_, err := s.vault()
	faults = append(faults, s.checkStore(), err)
	t := &s.Twilio
	switch {
	case t.AccountSID == "" && t.AuthToken == "":
		fault("twilio.account_sid", "is missing, and twilio.auth_token too: both are on the first page of Twilio's console")
	case t.AccountSID == "":
		fault("twilio.account_sid", "is missing: it is on the first page of Twilio's console, and begins with AC")
	case t.AuthToken == "":
		fault("twilio.auth_token", "is missing: it is on the first page of Twilio's console")
	}
	if (t.From == "") == (t.MessagingServiceSID == "") {
		fault("twilio.from", "set exactly one of twilio.from (a number) and twilio.messaging_service_sid")
	}
	if t.PricePerSegment < 0 {
		fault("twilio.price_per_segment", "must not be below 0")
	}
	if t.PerSecond < 0 {
		fault("twilio.per_second", "must not be below 0")
	}
	if s.SMTP.Address != "" {
		for _, f := range s.mail().Check() {
			fault("smtp."+f.Field, "%s", f.Problem)
		}
	} else if s.SMTP.User != "" || s.SMTP.Password != "" || s.SMTP.From != "" || s.SMTP.Security != "" {
		fault("smtp.address", "is missing, though other settings of smtp are there: write it like smtp.example.nhs.uk:587")
	}
	_, canary := s.canary()
	faults = append(faults, canary, s.Traces.check(), s.Watch.check(), s.Chat.check(), s.Desk.check(), s.OIDC.check(), s.CallList.check())
	if _, err := webhook.ParseKey(s.Webhook.Key); s.Webhook.Key != "" && err != nil {
		fault("webhook.key", "%v", err)
	}
	if s.APIToken != "" && len(s.APIToken) < 16 {
		fault("api_token", "must have at least 16 characters")
	}
	return errors.Join(faults...)
}

// team makes the service of the settings, and finds its faults.
func (s *settings) team(pack *content.Pack) (*bot.Service, error) {
	v := &s.Service
	var faults []error
	fault := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("service.%s: %s", name, fmt.Sprintf(format, args...)))
	}
	team := &bot.Service{ID: v.ID, Name: v.Name, Nation: v.Nation, OpenAccess: v.OpenAccess == nil || *v.OpenAccess, NurseLine: v.NurseLine, CancerLine: v.CancerLine,
		Promise: bot.DefaultPromise, KeepYears: v.KeepYears}
	if v.KeepYears < 0 || v.KeepYears > 100 {
		fault("keep_years", "must be the years of silence after follow-up until a person is erased, or 0 for never")
	}
	if !serviceID.MatchString(v.ID) {
		fault("id", "must be 2 to 31 small letters and digits")
	}
	if !pack.HasNation(v.Nation) {
		fault("nation", "must be one of %s", strings.Join(pack.Nations(), ", "))
	}
	var err error
	if team.Location, err = time.LoadLocation(v.TimeZone); err != nil {
		fault("time_zone", "is not a time zone like Europe/London")
		team.Location = time.UTC
	}
	team.Hours.Location = team.Location
	for day, text := range v.Hours {
		i := slices.Index(weekdays, strings.ToLower(day))
		if i < 0 {
			fault("hours", "%q is not a day of the week", day)
			continue
		}
		spells, err := bot.ParseSpells(text)
		if err != nil {
			fault("hours."+day, "%v", err)
		}
		team.Hours.Week[i] = spells
	}
	v.rota(team, fault)
	for day := range v.Closed {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			fault("closed", "%q is not a date like 2026-12-29", day)
		}
	}
	closed := v.Closed
	team.Hours.Closed = func(day time.Time) string {
		if why, ok := closed[day.Format(time.DateOnly)]; ok {
			return why
		}
		return pack.Holiday(v.Nation, day)
	}
	clock := func(name, text string) int {
		spells, err := bot.ParseSpells(text + "-24:00")
		if err != nil || len(spells) != 1 {
			fault(name, "must be a time of day like 10:00")
			return 0
		}
		return spells[0].From
	}
	length := func(name, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			fault(name, "must be a length of time like 5m or 1h30m")
		}
		return d
	}
	team.Sending = bot.Sending{From: clock("send_from", v.SendFrom), To: clock("send_until", v.SendUntil), Before: length("send_before_close", v.SendBefore)}
	team.PageEvery, team.Lease = length("page_every", v.PageEvery), length("claim_holds", v.ClaimHolds)
	team.Promise.Untaken, team.Promise.Warn, team.Promise.Tell = length("urgent_untaken", v.Untaken), length("warn_before_due", v.Warn), length("tell_before_due", v.Tell)
	if team.Promise.Tell > team.Promise.Warn {
		fault("tell_before_due", "must not be longer than warn_before_due: the lead hears first, and may still keep the promise")
	}
	if team.Sending.From >= team.Sending.To {
		fault("send_until", "must come after send_from")
	}
	for i, d := range v.Duty {
		name := fmt.Sprintf("duty[%d]", i)
		duty := bot.Duty{Name: d.Name, Lead: d.Lead}
		if d.Name == "" {
			fault(name, "needs a name")
		}
		if d.Phone == "" && d.Email == "" && d.Webhook == "" {
			fault(name, "needs a phone, an e-mail address or a webhook, or several of them")
		}
		if d.Phone != "" {
			number, err := sms.ParseNumber(d.Phone)
			if err != nil {
				fault(name+".phone", "%v", err)
			}
			duty.Addresses = append(duty.Addresses, bot.Address{Channel: sms.Channel, At: number})
		}
		if d.Email != "" {
			switch {
			case !email.ParseAddress(d.Email):
				fault(name+".email", "is not an e-mail address like ann@example.nhs.uk")
			case s.SMTP.Address == "":
				fault(name+".email", "cannot be paged without a mail server: set smtp.address")
			}
			duty.Addresses = append(duty.Addresses, bot.Address{Channel: email.Channel, At: d.Email})
		}
		if d.Webhook != "" {
			if err := webhook.ParseAddress(d.Webhook); err != nil {
				fault(name+".webhook", "%v", err)
			} else if s.Webhook.Key == "" {
				fault(name+".webhook", "is not paged without a key to sign with: set webhook.key")
			}
			duty.Addresses = append(duty.Addresses, bot.Address{Channel: webhook.Channel, At: d.Webhook})
		}
		team.Duty = append(team.Duty, duty)
	}
	v.onCall(team, fault)
	team.Canary, _ = s.canary() // check has told its faults
	return team, errors.Join(faults...)
}

// mail is how mail leaves.
func (s *settings) mail() email.Config {
	m := &s.SMTP
	return email.Config{Address: m.Address, Security: m.Security, User: m.User, Password: m.Password, From: m.From}
}

// onCall reads who is called first on which day.
func (v *serviceSettings) onCall(team *bot.Service, fault func(name, format string, args ...any)) {
	for day, names := range v.OnCall {
		for _, name := range names {
			if !slices.ContainsFunc(team.Duty, func(d bot.Duty) bool { return d.Name == name }) {
				fault("on_call."+day, "%q is not on the paging list: add her to `duty`", name)
			}
		}
		if i := slices.Index(weekdays, strings.ToLower(day)); i >= 0 {
			team.OnCall[i] = names
			continue
		}
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			fault("on_call", "%q is neither a day of the week nor a date like 2026-12-29", day)
			continue
		}
		if team.OnCallOn == nil {
			team.OnCallOn = make(map[string][]string)
		}
		team.OnCallOn[day] = names
	}
}

// rota reads who is on the desk when.
func (v *serviceSettings) rota(team *bot.Service, fault func(name, format string, args ...any)) {
	for day, n := range v.Nurses {
		i := slices.Index(weekdays, strings.ToLower(day))
		switch {
		case i < 0:
			fault("nurses", "%q is not a day of the week", day)
		case n < 0:
			fault("nurses."+day, "must not be below 0")
		default:
			team.Hours.Nurses[i] = n
		}
	}
	if len(v.Rota) > 0 {
		team.Hours.Rota = make(map[string]bot.RotaDay, len(v.Rota))
	}
	for day, r := range v.Rota {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			fault("rota", "%q is not a date like 2026-12-29", day)
		}
		spells, err := bot.ParseSpells(r.Hours)
		if err != nil {
			fault("rota."+day, "hours: %v", err)
		}
		if r.Nurses < 0 || (r.Nurses == 0 && r.Why == "") {
			fault("rota."+day, "needs the nurses who are there, or 0 and why")
		}
		team.Hours.Rota[day] = bot.RotaDay{Spells: spells, Nurses: r.Nurses, Why: r.Why}
	}
	if team.RowsPerNurse = v.RowsPerNurse; v.RowsPerNurse < 0 {
		fault("rows_per_nurse", "must be how many new rows a day one nurse can answer, or 0 for no limit")
	}
}

// pack loads the content of the settings.
func (s *settings) pack() (*content.Pack, error) {
	if s.Content == "" {
		return content.Shipped()
	}
	folder, err := contentFolder(s.Content)
	if err != nil {
		return nil, err
	}
	return content.Load(folder)
}

// lexiconOf loads the lexicon of a content folder, or of the embedded pack.
func lexiconOf(name string) (*triage.Lexicon, error) {
	if name == "" || name == embeddedPlace {
		return content.LoadLexicon(content.Embedded())
	}
	folder, err := contentFolder(name)
	if err != nil {
		return nil, err
	}
	return content.LoadLexicon(folder)
}

func contentFolder(name string) (fs.FS, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("content: %s is not a folder: lookout content copy makes one of the content that comes with lookout", name)
	}
	return os.DirFS(name), nil
}
