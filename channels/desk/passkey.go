package desk

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"lookout/bot"
)

// A passkey is a key of her device, which it uses only after it has seen her (by face,
// finger or PIN): so it is two factors at once, and no page but ours can ask for it. It
// needs scripts, and an address with a name; the password works without either.

// relyingParty is who asks for passkeys: the host of our public address. Nil where that
// is a number, of which browsers keep no passkeys.
func relyingParty(public string) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(public)
	if err != nil || u.Hostname() == "" {
		return nil, nil
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil, nil
	}
	inTime := webauthn.TimeoutConfig{Enforce: true, Timeout: 5 * time.Minute, TimeoutUVD: 5 * time.Minute}
	return webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: "lookout", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference:  protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired},
		Timeouts:               webauthn.TimeoutsConfig{Login: inTime, Registration: inTime}})
}

// holder is a member of the team as the passkey library wants her.
type holder struct {
	bot.User
	credentials []webauthn.Credential
}

func newHolder(u bot.User) (*holder, error) {
	h := &holder{User: u}
	for _, p := range u.Passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(p.Credential, &c); err != nil {
			return nil, fmt.Errorf("a passkey: %w", err)
		}
		h.credentials = append(h.credentials, c)
	}
	return h, nil
}

func (h *holder) WebAuthnID() []byte                         { return h.Handle }
func (h *holder) WebAuthnName() string                       { return h.Email }
func (h *holder) WebAuthnDisplayName() string                { return h.Name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// keep and kept hold what a ceremony began with in her session, for one answer.
func (d *Desk) keep(r *http.Request, key string, began *webauthn.SessionData) error {
	text, err := json.Marshal(began)
	if err == nil {
		d.sessions.Put(r.Context(), key, string(text))
	}
	return err
}

func (d *Desk) kept(r *http.Request, key string) (webauthn.SessionData, error) {
	var began webauthn.SessionData
	text := d.sessions.PopString(r.Context(), key)
	if text == "" {
		return began, errors.New("no ceremony was begun")
	}
	return began, json.Unmarshal([]byte(text), &began)
}

func sendOptions(w http.ResponseWriter, options any) error {
	text, err := json.Marshal(options)
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	}
	return err
}

// passkeyOptions begins a sign-in with a passkey, of whomever the device has one.
func (d *Desk) passkeyOptions(w http.ResponseWriter, r *http.Request) {
	if d.passkeys == nil {
		d.fail(w, r, bot.ErrNotFound)
		return
	}
	if !d.mayTry(w, r, "passkey:"+rand.Text(), "sign-in", view{"Title": "Sign in"}) { // by address alone: nobody is named yet
		return
	}
	options, began, err := d.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err == nil {
		err = d.keep(r, "passkey", began)
	}
	if err == nil {
		err = sendOptions(w, options.Response)
	}
	if err != nil {
		d.fail(w, r, err)
	}
}

// passkeyIn signs somebody in with a passkey.
func (d *Desk) passkeyIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	next := nextPage(r.PostFormValue("next"))
	u, err := d.withPasskey(r, r.PostFormValue("credential"))
	if err == nil && (u.Disabled || !d.Provider.local(u.Email)) {
		err = fmt.Errorf("%w: not for this account", bot.ErrRefused)
	}
	if errors.Is(err, bot.ErrUnavailable) {
		d.fail(w, r, err)
		return
	}
	if err != nil {
		if u.Email != "" {
			if err := d.audit(r, u, "sign in: passkey refused", "", ""); err != nil {
				d.fail(w, r, err)
				return
			}
		}
		d.notIn(w, r, http.StatusUnauthorized, next, "The passkey is not known here. Sign in another way.")
		return
	}
	d.proceed(w, r, u, next, true, "passkey")
}

// withPasskey says whose passkey has answered, and keeps that it was used.
func (d *Desk) withPasskey(r *http.Request, answer string) (bot.User, error) {
	if d.passkeys == nil {
		return bot.User{}, bot.ErrNotFound
	}
	began, err := d.kept(r, "passkey")
	if err != nil {
		return bot.User{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return bot.User{}, err
	}
	users, err := d.Bot.Users(r.Context())
	if err != nil {
		return bot.User{}, err
	}
	i := slices.IndexFunc(users, func(u bot.User) bool {
		return len(u.Handle) > 0 && bytes.Equal(u.Handle, parsed.Response.UserHandle)
	})
	if i < 0 {
		return bot.User{}, bot.ErrNotFound
	}
	var whose bot.User // once the answer has proved to be hers
	u, err := d.Bot.ChangeUser(r.Context(), users[i].Email, func(x *bot.User) error {
		h, err := newHolder(*x)
		if err != nil {
			return err
		}
		_, credential, err := d.passkeys.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return h, nil }, began, parsed)
		if err != nil {
			return errors.Join(errors.New("the passkey did not answer rightly"), err)
		}
		whose = *x
		if credential.Authenticator.CloneWarning {
			return fmt.Errorf("%w: the passkey counts as if there were two of it", bot.ErrRefused)
		}
		text, err := json.Marshal(credential)
		if err != nil {
			return err
		}
		for i := range x.Passkeys {
			if x.Passkeys[i].ID == passkeyID(credential) {
				x.Passkeys[i].Credential, x.Passkeys[i].Used = text, d.Now()
			}
		}
		return nil
	})
	if err != nil {
		return whose, err
	}
	return u, nil
}

func passkeyID(c *webauthn.Credential) string { return base64.RawURLEncoding.EncodeToString(c.ID) }

// mostPasskeys bounds what one account keeps.
const mostPasskeys = 10

var errMany = fmt.Errorf("%w: too many passkeys", bot.ErrRefused)

// newPasskeyOptions begins to make a passkey for who is signed in.
func (d *Desk) newPasskeyOptions(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if d.passkeys == nil {
		return bot.ErrNotFound
	}
	if len(u.Handle) == 0 { // random, so that a device tells nobody who she is
		handle := make([]byte, 64)
		rand.Read(handle)
		var err error
		u, err = d.Bot.ChangeUser(r.Context(), u.Email, d.signed(r, func(x *bot.User) error {
			if len(x.Handle) == 0 {
				x.Handle = handle
			}
			return nil
		}))
		if err != nil {
			return err
		}
	}
	h, err := newHolder(u)
	if err != nil {
		return err
	}
	var have []protocol.CredentialDescriptor
	for i := range h.credentials {
		have = append(have, h.credentials[i].Descriptor())
	}
	options, began, err := d.passkeys.BeginRegistration(h, webauthn.WithExclusions(have))
	if err != nil {
		return err
	}
	if err := d.keep(r, "new-passkey", began); err != nil {
		return err
	}
	return sendOptions(w, options.Response)
}

// newPasskey keeps the passkey that her device has made. Her other sessions end.
func (d *Desk) newPasskey(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if d.passkeys == nil {
		return bot.ErrNotFound
	}
	tooMany := func() error {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, fmt.Sprintf("You have %d passkeys: remove one first", mostPasskeys))
	}
	if len(u.Passkeys) >= mostPasskeys {
		return tooMany()
	}
	began, err := d.kept(r, "new-passkey")
	var parsed *protocol.ParsedCredentialCreationData
	if err == nil {
		parsed, err = protocol.ParseCredentialCreationResponseBytes([]byte(r.PostFormValue("credential")))
	}
	h, e := newHolder(u)
	if e != nil {
		return e
	}
	var credential *webauthn.Credential
	if err == nil {
		credential, err = d.passkeys.CreateCredential(h, began, parsed)
	}
	if err != nil {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, "Your device did not make a passkey that we can use. Try again")
	}
	text, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" {
		name = "Passkey"
	}
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[:60])
	}
	if err := d.audit(r, u, "add passkey", "", ""); err != nil {
		return err
	}
	u, err = d.changed(r, u, "A passkey was added: "+name, func(x *bot.User) error {
		if len(x.Passkeys) >= mostPasskeys {
			return errMany
		}
		x.Passkeys = append(x.Passkeys, bot.Passkey{ID: passkeyID(credential), Name: name, Added: d.Now(), Credential: text})
		x.Epoch++
		return nil
	})
	if errors.Is(err, errMany) {
		return tooMany()
	}
	if err != nil {
		return err
	}
	d.sessions.Put(r.Context(), "strong", true)
	d.begin(w, r, u)
	return nil
}

// removePasskey takes a passkey off. Her other sessions end.
func (d *Desk) removePasskey(w http.ResponseWriter, r *http.Request, u bot.User) error {
	one := func(p bot.Passkey) bool { return p.ID == r.PostFormValue("passkey") }
	i := slices.IndexFunc(u.Passkeys, one)
	if i < 0 {
		return bot.ErrNotFound
	}
	if d.SecondFactor && u.TOTP == "" && len(u.Passkeys) == 1 {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, lastFactor)
	}
	name := u.Passkeys[i].Name
	if err := d.audit(r, u, "remove passkey", "", ""); err != nil {
		return err
	}
	u, err := d.changed(r, u, "A passkey was removed: "+name, func(x *bot.User) error {
		n := len(x.Passkeys)
		if x.Passkeys = slices.DeleteFunc(x.Passkeys, one); len(x.Passkeys) == n {
			return bot.ErrNotFound
		}
		if d.SecondFactor && x.TOTP == "" && len(x.Passkeys) == 0 {
			return errLast
		}
		x.Epoch++
		return nil
	})
	if errors.Is(err, errLast) {
		return d.showSecond(w, r, u, http.StatusUnprocessableEntity, lastFactor)
	}
	if err != nil {
		return err
	}
	d.begin(w, r, u)
	return nil
}
