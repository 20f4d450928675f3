package widget

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"lookout/bot"
)

// The drawers of links and of sessions. Tokens are kept hashed.
const (
	drawerLinks    = "chat-link"
	drawerSessions = "chat-session"
	cookieName     = "lookout_chat"
	sessionLives   = 30 * 24 * time.Hour
	sessionMost    = 180 * 24 * time.Hour // with all that she has stayed
	warnBefore     = 3 * 24 * time.Hour   // of its end
	maxTries       = 5
)

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// session is a device that has shown for whom it speaks. The zero session: it has not.
type session struct {
	Patient string    `json:"patient"`
	Carer   string    `json:"carer,omitempty"` // of hers, who has it; "": she has
	Code    string    `json:"code,omitempty"`  // of a link to a carer: hashed with the key
	To      string    `json:"to,omitempty"`    // of a link: the sheet of hers that it leads to
	Began   time.Time `json:"began,omitzero"`
	Ends    time.Time `json:"ends,omitzero"`
	key     string    // of the drawer
}

// errOut says that a session has ended: she has left, its time is over, or a carer's access
// is taken back.
var errOut = fmt.Errorf("%w: signed out", bot.ErrRefused)

// still gives a session as it is kept by now, for a page that has been open since. It may
// have ended at another process, of which the store alone knows. [errOut].
func (c *Chat) still(ctx context.Context, s session) (session, error) {
	value, err := c.Values.Value(ctx, drawerSessions, s.key, c.Now())
	now := session{key: s.key}
	switch {
	case c.gone(err):
		return now, errOut
	case err != nil:
		return now, err
	}
	return now, json.Unmarshal(value, &now)
}

// carer gives whose session it is, if it is a carer's; errOut when she has taken his
// access back.
func (s session) carer(p *bot.Patient) (*bot.Carer, error) {
	if s.Carer == "" {
		return nil, nil
	}
	c, ok := p.Carer(s.Carer)
	if !ok || !c.Ended.IsZero() {
		return nil, errOut
	}
	return &c, nil
}

// who gives the session that a request carries.
func (c *Chat) who(r *http.Request) (session, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, nil
	}
	s := session{key: hashed(cookie.Value)}
	value, err := c.Values.Value(r.Context(), drawerSessions, s.key, c.Now())
	if errors.Is(err, bot.ErrNotFound) {
		return session{}, nil
	}
	if err == nil && json.Unmarshal(value, &s) != nil {
		return session{}, nil
	}
	if err == nil && s.Carer != "" {
		p, e := c.Bot.Patient(r.Context(), s.Patient)
		if e != nil && !errors.Is(e, bot.ErrNotFound) {
			return session{}, e
		}
		if _, out := s.carer(&p); e != nil || out != nil {
			return session{}, nil
		}
	}
	return s, err
}

// begin starts a session on this device, and goes to her messages. Nothing of hers
// is in an address from here on.
func (c *Chat) begin(w http.ResponseWriter, r *http.Request, s session) error {
	token := make([]byte, 32)
	rand.Read(token)
	secret := base64.RawURLEncoding.EncodeToString(token)
	s.Began = c.Now()
	return c.lend(w, r, s, secret)
}

// lend keeps a session for its time from now, and no longer than any may last.
func (c *Chat) lend(w http.ResponseWriter, r *http.Request, s session, secret string) error {
	s.Ends = c.Now().Add(sessionLives)
	if most := s.Began.Add(sessionMost); most.Before(s.Ends) {
		s.Ends = most
	}
	value, err := json.Marshal(s)
	if err == nil {
		err = c.Values.PutValue(r.Context(), drawerSessions, hashed(secret), value, s.Ends)
	}
	if err != nil {
		return err
	}
	c.setCookie(w, cookieName, secret, s.Ends.Sub(c.Now()))
	return nil
}

// stay makes a session that is about to end last longer: she is told of its end before,
// and loses nothing by it.
func (c *Chat) stay(w http.ResponseWriter, r *http.Request) {
	s, err := c.who(r)
	if err == nil && s.Patient == "" {
		c.welcome(w, r, http.StatusUnauthorized, "")
		return
	}
	if cookie, e := r.Cookie(cookieName); err == nil && e == nil && !s.Ends.IsZero() {
		err = c.lend(w, r, s, cookie.Value)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/chat", http.StatusSeeOther)
}

// setCookie sets a cookie that no script reads; lives below 0 takes it away. Where a
// hospital's page may frame the chat, the cookie must be sent there too, and is kept
// apart for each hospital's page (CHIPS): it follows her nowhere else.
func (c *Chat) setCookie(w http.ResponseWriter, name, value string, lives time.Duration) {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/chat", HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(lives.Seconds())}
	if c.secure && len(c.Origins) > 0 {
		cookie.SameSite, cookie.Partitioned = http.SameSiteNoneMode, true
	}
	http.SetCookie(w, cookie)
}

// from is the address that a request came from.
func from(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// allow bounds how often something may happen: burst at once, then one each every.
func (c *Chat) allow(key string, every time.Duration, burst int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.limits) > 100_000 {
		now := c.Now()
		for k, l := range c.limits { // those that are full again say nothing
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(c.limits, k)
			}
		}
	}
	l := c.limits[key]
	if l == nil {
		l = rate.NewLimiter(rate.Every(every), burst)
		c.limits[key] = l
	}
	return l.AllowN(c.Now(), 1)
}

// mayTry bounds tries to get in: from an address, and with one link, code or number.
func (c *Chat) mayTry(r *http.Request, what string) bool {
	return c.allow("address:"+bot.Household(r.RemoteAddr), 6*time.Second, 30) && c.allow("try:"+hashed(what), time.Hour, maxTries)
}

// open takes a link and her birth date. Whatever is wrong, the words are the same.
func (c *Chat) open(w http.ResponseWriter, r *http.Request) {
	key := r.FormValue("k")
	refuse := func() {
		c.show(w, r, http.StatusForbidden, "open", map[string]any{"Key": key, "Fault": true, "Carer": c.forCarer(r, key)})
	}
	if !c.mayTry(r, key) {
		refuse()
		return
	}
	value, err := c.Values.Value(r.Context(), drawerLinks, hashed(key), c.Now())
	if err != nil {
		refuse()
		return
	}
	var link session
	if json.Unmarshal(value, &link) != nil || !c.knows(r, &link, key) {
		refuse()
		return
	}
	if _, err := c.Values.TakeValue(r.Context(), drawerLinks, hashed(key), c.Now()); err != nil {
		refuse() // somebody was faster
		return
	}
	err = c.begin(w, r, session{Patient: link.Patient, Carer: link.Carer})
	if err == nil && link.Carer != "" {
		err = c.Bot.Audit(r.Context(), bot.AuditEntry{By: "carer", Did: "open her messages", Patient: link.Patient, Ref: link.Carer, From: from(r)})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	to := "/chat"
	if slices.Contains(bot.HerSheets, link.To) {
		to = "/chat/sheets/" + link.To
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// forCarer says whether a link is one for a carer, who is asked another thing.
func (c *Chat) forCarer(r *http.Request, key string) bool {
	value, err := c.Values.Value(r.Context(), drawerLinks, hashed(key), c.Now())
	var link session
	return err == nil && json.Unmarshal(value, &link) == nil && link.Carer != ""
}

// me names whose unsent words are whose on a device that is shared.
func (s session) me() string {
	if s.Carer != "" {
		return hashed("me:" + s.Patient + "/" + s.Carer)[:16]
	}
	return hashed("me:" + s.Patient)[:16]
}

// knows says whether a form holds what goes with a link: her birth date, or, of a
// carer's, the code that she has told him.
func (c *Chat) knows(r *http.Request, link *session, key string) bool {
	if link.Carer == "" {
		return c.born(r, link.Patient)
	}
	code := strings.ReplaceAll(r.FormValue("code"), " ", "")
	p, err := c.Bot.Patient(r.Context(), link.Patient)
	if err != nil {
		return false
	}
	_, out := link.carer(&p)
	return out == nil && subtle.ConstantTimeCompare([]byte(hashed(key+code)), []byte(link.Code)) == 1
}

// born says whether the birth date of a form is that of the patient.
func (c *Chat) born(r *http.Request, patient string) bool {
	p, err := c.Bot.Patient(r.Context(), patient)
	return err == nil && p.BirthDate != "" && p.BirthDate == birthDate(r.FormValue("day"), r.FormValue("month"), r.FormValue("year"))
}

// birthDate puts three fields together; "" when they are no date.
func birthDate(day, month, year string) string {
	d, err1 := strconv.Atoi(strings.TrimSpace(day))
	m, err2 := strconv.Atoi(strings.TrimSpace(month))
	y, err3 := strconv.Atoi(strings.TrimSpace(year))
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if err1 != nil || err2 != nil || err3 != nil || t.Day() != d || int(t.Month()) != m {
		return ""
	}
	return t.Format(time.DateOnly)
}

// harmless is where "leave this page" goes.
const harmless = "https://www.bbc.co.uk/weather"

// leave ends the session and goes somewhere harmless.
func (c *Chat) leave(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		key := hashed(cookie.Value)
		s, err := c.who(r)
		if err == nil {
			err = c.Push.end(r.Context(), s)
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if err := c.Values.DeleteValue(r.Context(), drawerSessions, key); err != nil {
			c.fail(w, r, err)
			return
		}
		if s.Patient != "" {
			c.Bot.Nudge(s.Patient) // pages that are open look again, at whichever process they are
		}
	}
	c.setCookie(w, cookieName, "", -time.Second)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, harmless, http.StatusSeeOther)
}
