package desk

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/trustelem/zxcvbn"
	"golang.org/x/time/rate"

	"lookout/bot"
)

// passwordCost is OWASP's smallest setting for argon2id: 19 MiB, two passes.
var passwordCost = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// HashPassword makes what is kept of a password.
func HashPassword(password string) (string, error) {
	return argon2id.CreateHash(password, passwordCost)
}

// attempts bounds how often a password can be tried, for an account and for an address.
type attempts struct {
	mu    sync.Mutex
	by    map[[32]byte]*rate.Limiter
	swept time.Time
	hash  sync.Mutex // one hash at a time: each takes 19 MiB
}

// allow says whether one more try is all right: for an account five at once, then
// one each 12 seconds; for an address six times that, for a whole ward may sit
// behind one.
func (a *attempts) allow(now time.Time, account, address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil || now.Sub(a.swept) > time.Hour {
		a.by, a.swept = make(map[[32]byte]*rate.Limiter), now
	}
	limited := func(key string, times int) bool {
		sum := sha256.Sum256([]byte(key))
		l := a.by[sum]
		if l == nil {
			l = rate.NewLimiter(rate.Every(12*time.Second/time.Duration(times)), 5*times)
			a.by[sum] = l
		}
		return !l.AllowN(now, 1)
	}
	overAccount, overAddress := limited("account:"+account, 1), limited("address:"+address, 6)
	return !overAccount && !overAddress
}

// mayTry says whether one more password may be tried, and answers when not.
func (d *Desk) mayTry(w http.ResponseWriter, r *http.Request, email, page string, v view) bool {
	if d.attempts.allow(d.Now(), email, bot.Household(r.RemoteAddr)) {
		return true
	}
	w.Header().Set("Retry-After", "60")
	v["Fault"] = "Too many tries. Wait a minute, then try again."
	d.show(w, r, http.StatusTooManyRequests, page, v)
	return false
}

// matches compares a password with a hash, one at a time.
func (d *Desk) matches(password, hash string) bool {
	d.attempts.hash.Lock()
	defer d.attempts.hash.Unlock()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	return err == nil && match && hash != d.nobody
}

func (d *Desk) signInPage(w http.ResponseWriter, r *http.Request) {
	v := view{"Title": "Sign in", "Next": nextPage(r.URL.Query().Get("next"))}
	if d.Provider != nil && r.URL.Query().Get("out") == "yes" {
		v["OutThere"] = d.outThere(r.Context())
	}
	d.show(w, r, http.StatusOK, "sign-in", v)
}

// signIn checks a password. Whatever was wrong, the words and the time are the same.
func (d *Desk) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	email := strings.ToLower(strings.TrimSpace(r.FormValue("email")))
	next := nextPage(r.FormValue("next"))
	if !d.mayTry(w, r, email, "sign-in", view{"Title": "Sign in", "Next": next}) {
		return
	}
	u, err := d.Bot.User(r.Context(), email)
	if err != nil && !errors.Is(err, bot.ErrNotFound) {
		d.fail(w, r, err)
		return
	}
	hash := u.Password
	if err != nil || hash == "" || u.Disabled {
		hash = d.nobody
	}
	if !d.matches(r.FormValue("password"), hash) {
		if u.Email != "" { // what nobody is called may be a password in the wrong field: it is kept nowhere
			if err := d.audit(r, u, "sign in: refused", "", ""); err != nil {
				d.fail(w, r, err)
				return
			}
		}
		d.show(w, r, http.StatusUnauthorized, "sign-in", view{"Title": "Sign in", "Next": next, "Fault": "The e-mail address or the password is not right."})
		return
	}
	if !d.Provider.local(email) {
		d.notIn(w, r, http.StatusForbidden, next, "This account signs in with "+d.Provider.Name+".")
		return
	}
	if d.Provider != nil && d.Provider.Only {
		d.Log.Warn("a local account was used to sign in, though the provider is the rule")
		if err := d.audit(r, u, "sign in: local account, past the provider", "", ""); err != nil {
			d.fail(w, r, err)
			return
		}
	}
	d.proceed(w, r, u, next, false, "password")
}

// proceed asks for the second factor of somebody who has shown the first, or begins
// her session. Strong says that she has shown two.
func (d *Desk) proceed(w http.ResponseWriter, r *http.Request, u bot.User, next string, strong bool, by string) {
	d.sessions.Put(r.Context(), "by", by)
	if !strong && (u.TOTP != "" || d.SecondFactor && len(u.Passkeys) > 0) {
		d.askCode(w, r, u, next)
		return
	}
	for _, key := range []string{"half", "half-password", "half-until", "half-next"} {
		d.sessions.Remove(r.Context(), key)
	}
	d.sessions.Put(r.Context(), "strong", strong)
	d.fresh(r)
	d.beginAt(w, r, u, next)
}

// begin begins a session and shows her first page.
func (d *Desk) begin(w http.ResponseWriter, r *http.Request, u bot.User) {
	d.beginAt(w, r, u, nextPage(r.FormValue("next")))
}

func (d *Desk) beginAt(w http.ResponseWriter, r *http.Request, u bot.User, next string) {
	err := d.sessions.RenewToken(r.Context())
	if err == nil {
		d.sessions.Put(r.Context(), "email", u.Email)
		d.sessions.Put(r.Context(), "password", fingerprint(u))
		did := "sign in"
		if by := d.sessions.PopString(r.Context(), "by"); by != "" && by != "password" {
			did += " by " + by
		}
		err = d.audit(r, u, did, "", "")
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	http.Redirect(w, r, cmp.Or(next, "/desk/"), http.StatusSeeOther)
}

// nextPage is where somebody goes after she has signed in again: a page of the desk,
// and nowhere else.
func nextPage(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/desk/") || strings.ContainsAny(path, "\\") || strings.HasPrefix(u.Path, "/desk/sign") {
		return ""
	}
	return path
}

// fingerprint ties a session to what it began with: whoever changes her password or
// her second factor is signed out everywhere else.
func fingerprint(u bot.User) string {
	sum := sha256.Sum256([]byte(u.Password + "\x00" + u.TOTP + "\x00" + strconv.Itoa(u.Epoch)))
	return hex.EncodeToString(sum[:8])
}

func (d *Desk) signOut(w http.ResponseWriter, r *http.Request) {
	if email := d.sessions.GetString(r.Context(), "email"); email != "" {
		if err := d.audit(r, bot.User{Email: email}, "sign out", "", ""); err != nil {
			d.fail(w, r, err)
			return
		}
	}
	there := d.sessions.GetBool(r.Context(), "by-provider")
	if err := d.sessions.Destroy(r.Context()); err != nil {
		d.fail(w, r, err)
		return
	}
	to := "/desk/sign-in"
	if there {
		to += "?out=yes"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// The bounds of a password, in characters. Length is what counts, and no rule about
// signs and digits (NCSC, "Password administration for system owners").
const shortest, longest = 12, 128

// strongEnough is zxcvbn's mark from which a password is taken: more than 10^8 guesses by
// whoever knows the lists of common ones, names, dates and rows of keys.
const strongEnough = 3

// weak says what is wrong with a password that somebody chooses; "" when nothing is.
func weak(password string, u bot.User) string {
	lower := strings.ToLower(password)
	mine, _, _ := strings.Cut(strings.ToLower(u.Email), "@")
	n := utf8.RuneCountInString(strings.Join(strings.Fields(password), " "))
	switch {
	case n < shortest:
		return fmt.Sprintf("The new password must have at least %d characters: three words that do not belong together are good", shortest)
	case n > longest:
		return fmt.Sprintf("The new password may have at most %d characters", longest)
	case strings.Contains(lower, "password") || strings.Contains(lower, "lookout") || len(mine) > 2 && strings.Contains(lower, mine):
		return "The new password is easy to guess: it must not hold your name, “lookout” or “password”"
	case strings.Count(lower, lower[:1]) == len(lower):
		return "The new password is one character again and again: choose three words"
	}
	if zxcvbn.PasswordStrength(password, []string{u.Name, mine}).Score < strongEnough {
		return "The new password is one that many people use, or is easy to guess: choose three words that do not belong together"
	}
	return ""
}

// welcomePage asks an invited member of the team for a password. Looking uses the
// link up no more than a mail scanner does.
func (d *Desk) welcomePage(w http.ResponseWriter, r *http.Request) {
	d.welcomeWith(w, r, r.URL.Query().Get("k"), http.StatusOK, "")
}

func (d *Desk) welcomeWith(w http.ResponseWriter, r *http.Request, token string, status int, fault string) {
	u, err := d.Bot.Invited(r.Context(), token)
	if errors.Is(err, bot.ErrNotFound) || err == nil && u.Disabled {
		d.show(w, r, http.StatusNotFound, "welcome", view{"Title": "Invitation", "Invited": bot.User{}, "Token": "", "Shortest": shortest})
		return
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	if !d.Provider.local(u.Email) {
		d.show(w, r, status, "welcome", view{"Title": "Invitation", "Invited": u, "Token": "", "Fault": fault, "Shortest": shortest})
		return
	}
	d.show(w, r, status, "welcome", view{"Title": "Choose a password", "Invited": u, "Token": token, "Fault": fault, "Shortest": shortest})
}

// welcome sets the password that she chose, and signs her in.
func (d *Desk) welcome(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	token, password := r.FormValue("k"), r.FormValue("password")
	u, err := d.Bot.Invited(r.Context(), token)
	if err != nil || u.Disabled || !d.Provider.local(u.Email) {
		d.welcomeWith(w, r, token, http.StatusNotFound, "")
		return
	}
	if fault := weak(password, u); fault != "" {
		d.welcomeWith(w, r, token, http.StatusUnprocessableEntity, fault)
		return
	}
	hash, err := d.hash(password)
	if err == nil {
		err = d.audit(r, u, "choose password by invitation", "", "")
	}
	if err == nil {
		u, err = d.Bot.Accept(r.Context(), token, hash, d.fresh(r))
	}
	if errors.Is(err, bot.ErrNotFound) {
		d.welcomeWith(w, r, token, http.StatusNotFound, "")
		return
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.begin(w, r, u)
}

// hash makes a hash, one at a time.
func (d *Desk) hash(password string) (string, error) {
	d.attempts.hash.Lock()
	defer d.attempts.hash.Unlock()
	return HashPassword(password)
}

// passwordPage is where one changes one's own password, and sees where one is signed in.
func (d *Desk) passwordPage(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showAccount(w, r, u, http.StatusOK, "")
}

func (d *Desk) showAccount(w http.ResponseWriter, r *http.Request, u bot.User, status int, fault string) error {
	devices, err := d.devices(r, u)
	if err != nil {
		return err
	}
	d.show(w, r, status, "password", view{"Title": "Your account", "Shortest": shortest, "Devices": devices, "Fault": fault})
	return nil
}

func (d *Desk) changePassword(w http.ResponseWriter, r *http.Request, u bot.User) error {
	password := r.FormValue("new")
	fault := weak(password, u)
	if fault == "" {
		if !d.mayTry(w, r, u.Email, "fault", view{"Title": "Too many tries", "Text": "Wait a minute, then try again.", "Row": ""}) {
			return nil
		}
		if !d.matches(r.FormValue("now"), u.Password) {
			fault = "Your present password is not right"
		}
	}
	if fault != "" {
		return d.showAccount(w, r, u, http.StatusUnprocessableEntity, fault)
	}
	hash, err := d.hash(password)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "change password", "", ""); err != nil {
		return err
	}
	u, err = d.changed(r, u, "Your password was changed", func(x *bot.User) error {
		x.Password = hash
		return nil
	})
	if err != nil {
		return err
	}
	d.begin(w, r, u)
	return nil
}
