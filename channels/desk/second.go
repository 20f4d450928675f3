package desk

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"lookout/bot"
)

// The second factor is a code of six digits that her phone makes of a secret and the
// time (TOTP, RFC 6238), a new one each codeStep seconds. A code counts once, and one
// step early or late, for clocks that differ. Whoever has lost her phone is invited
// again by an administrator, which takes it off.
const codeStep = 30

// codeAt says for which step of time a code is right, later than the last one used; 0: for none.
// Of no secret none is: whoever has a passkey alone has none, and anybody can compute its codes.
func codeAt(secret, code string, now time.Time, last int64) int64 {
	if secret == "" {
		return 0
	}
	code = strings.ReplaceAll(code, " ", "")
	for _, off := range []int64{0, -1, 1} {
		step := now.Unix()/codeStep + off
		want, err := totp.GenerateCode(secret, time.Unix(step*codeStep, 0))
		if err == nil && step > last && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step
		}
	}
	return 0
}

// askCode asks for the second factor of somebody whose password was right.
func (d *Desk) askCode(w http.ResponseWriter, r *http.Request, u bot.User, next string) {
	err := d.sessions.RenewToken(r.Context())
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.sessions.Put(r.Context(), "half", u.Email)
	d.sessions.Put(r.Context(), "half-password", fingerprint(u))
	d.sessions.Put(r.Context(), "half-until", d.Now().Add(5*time.Minute).Unix())
	d.show(w, r, http.StatusOK, "code", view{"Title": "Your second factor", "Next": next, "Who": u})
}

// code takes the second factor.
func (d *Desk) code(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	next := nextPage(r.PostFormValue("next"))
	email := d.sessions.GetString(r.Context(), "half")
	u, err := d.Bot.User(r.Context(), email)
	if email == "" || err != nil || u.Disabled || u.TOTP == "" && len(u.Passkeys) == 0 || d.sessions.GetString(r.Context(), "half-password") != fingerprint(u) || d.Now().Unix() > d.sessions.GetInt64(r.Context(), "half-until") {
		d.show(w, r, http.StatusUnauthorized, "sign-in", view{"Title": "Sign in", "Next": next, "Fault": "That took too long. Sign in again."})
		return
	}
	if !d.mayTry(w, r, "code:"+email, "code", view{"Title": "Your second factor", "Next": next, "Who": u}) {
		return
	}
	u, err = d.useCode(r.Context(), u, r.PostFormValue("code"))
	if err != nil && !errors.Is(err, errCode) {
		d.fail(w, r, err)
		return
	}
	if err != nil {
		if err := d.audit(r, u, "sign in: code refused", "", ""); err != nil {
			d.fail(w, r, err)
			return
		}
		d.show(w, r, http.StatusUnauthorized, "code", view{"Title": "Your second factor", "Next": next, "Who": u, "Fault": "The code is not right, or was used already. Wait for the next one."})
		return
	}
	d.proceed(w, r, u, next, true, d.sessions.GetString(r.Context(), "by"))
}

// errCode says that a code is not right, or was used.
var errCode = fmt.Errorf("%w: the code is not right", bot.ErrRefused)

// useCode uses a code up of whoever has shown her password: of two that come at once, to
// whichever process, one is told that it was used. [errCode].
func (d *Desk) useCode(ctx context.Context, u bot.User, code string) (bot.User, error) {
	used, err := d.Bot.ChangeUser(ctx, u.Email, func(x *bot.User) error {
		step := codeAt(x.TOTP, code, d.Now(), x.TOTPStep)
		if step == 0 || x.Disabled || fingerprint(*x) != fingerprint(u) {
			return errCode
		}
		x.TOTPStep = step
		return nil
	})
	if err != nil {
		return u, err
	}
	return used, nil
}

// enrol keeps somebody from every page but those of her second factor until she has
// one, where the team asks for it. It says whether it has answered.
func (d *Desk) enrol(w http.ResponseWriter, r *http.Request, u bot.User) bool {
	if !d.SecondFactor || d.sessions.GetBool(r.Context(), "strong") {
		return false
	}
	if u.TOTP != "" || len(u.Passkeys) > 0 { // she has one, and has not shown it in this session
		if r.Method == http.MethodGet {
			http.Redirect(w, r, "/desk/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		} else {
			d.show(w, r, http.StatusUnauthorized, "sign-in", view{"Title": "Sign in", "Lost": strings.TrimSpace(r.FormValue("text")), "Next": rowPage(r)})
		}
		return true
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/desk/second-factor"):
		return false
	case r.Header.Get("X-Background") != "" || r.URL.Path == "/desk/events":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet:
		http.Redirect(w, r, "/desk/second-factor?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	default:
		d.show(w, r, http.StatusForbidden, "fault", view{"Title": "A second factor first", "Text": "Your team asks for one. Nothing was changed.", "Row": "", "Lost": strings.TrimSpace(r.FormValue("text"))})
	}
	return true
}

const (
	wrongCode  = "The code is not right, or was used already. Wait for the next one"
	lastFactor = "Your team asks for a second factor: set up another before you take this one off"
)

// errLast says that she has no other second factor, and must have one.
var errLast = fmt.Errorf("%w: it is the last second factor", bot.ErrRefused)

// secondFactor is where one sets up one's second factor, or takes it off.
func (d *Desk) secondFactor(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showSecond(w, r, u, http.StatusOK, "")
}

func (d *Desk) showSecond(w http.ResponseWriter, r *http.Request, u bot.User, status int, fault string) error {
	v := view{"Title": "Your second factor", "Fault": fault, "Has": u.TOTP != "", "Secret": "", "Link": "", "Must": d.SecondFactor && u.TOTP == "" && len(u.Passkeys) == 0, "Next": nextPage(r.FormValue("next"))}
	if u.TOTP == "" {
		key, err := d.newSecret(r, u)
		if err != nil {
			return err
		}
		v["Secret"] = grouped(key.Secret())
	}
	d.show(w, r, status, "second-factor", v)
	return nil
}

// newSecret is the secret that she is about to take on: kept in her session until she
// has shown that her phone has it.
func (d *Desk) newSecret(r *http.Request, u bot.User) (*otp.Key, error) {
	if link := d.sessions.GetString(r.Context(), "second"); link != "" {
		return otp.NewKeyFromURL(link)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "lookout", AccountName: u.Email})
	if err == nil {
		d.sessions.Put(r.Context(), "second", key.URL())
	}
	return key, err
}

// secondPicture is the secret as a picture that a phone reads.
func (d *Desk) secondPicture(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if u.TOTP != "" {
		return bot.ErrNotFound
	}
	key, err := d.newSecret(r, u)
	if err != nil {
		return err
	}
	picture, err := key.Image(220, 220)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	w.Write(out.Bytes())
	return nil
}

// changeSecond sets the second factor up, or takes it off: each with a code of it.
func (d *Desk) changeSecond(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if !d.mayTry(w, r, "code:"+u.Email, "fault", view{"Title": "Too many tries", "Text": "Wait a minute, then try again.", "Row": ""}) {
		return nil
	}
	if u.TOTP != "" && d.SecondFactor && len(u.Passkeys) == 0 {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, lastFactor)
	}
	secret, did := u.TOTP, "take second factor off"
	if secret == "" {
		key, err := d.newSecret(r, u)
		if err != nil {
			return err
		}
		secret, did = key.Secret(), "set up second factor"
	}
	step := codeAt(secret, r.PostFormValue("code"), d.Now(), u.TOTPStep)
	if step == 0 {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, wrongCode)
	}
	if err := d.audit(r, u, did, "", ""); err != nil {
		return err
	}
	off := u.TOTP != ""
	what := "A code from a phone was set up beside your password"
	if off {
		what = "The code from your phone was taken off"
	}
	u, err := d.changed(r, u, what, func(x *bot.User) error {
		switch {
		case step <= x.TOTPStep:
			return errCode
		case off && d.SecondFactor && len(x.Passkeys) == 0:
			return errLast
		}
		x.TOTPStep, x.TOTP = step, secret
		if off {
			x.TOTP = ""
		}
		return nil
	})
	switch {
	case errors.Is(err, errCode):
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, wrongCode)
	case errors.Is(err, errLast):
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, lastFactor)
	case err != nil:
		return err
	}
	d.sessions.Remove(r.Context(), "second")
	d.sessions.Put(r.Context(), "strong", true)
	d.begin(w, r, u)
	return nil
}

// signOutEverywhere ends every session of hers, this one too.
func (d *Desk) signOutEverywhere(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if err := d.audit(r, u, "sign out everywhere", "", ""); err != nil {
		return err
	}
	_, err := d.Bot.ChangeUser(r.Context(), u.Email, func(x *bot.User) error {
		x.Epoch++
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/sign-in", http.StatusSeeOther)
	return nil
}

// grouped writes a secret in fours, for whoever types it.
func grouped(secret string) string {
	var parts []string
	for len(secret) > 4 {
		parts, secret = append(parts, secret[:4]), secret[4:]
	}
	return strings.Join(append(parts, secret), " ")
}
