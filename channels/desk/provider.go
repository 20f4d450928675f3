package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"lookout/bot"
)

// Provider is the hospital's own sign-in (OpenID Connect, code flow with PKCE, state
// and nonce). Whom it vouches for is let in only as a member of the team whom an
// administrator has invited at the same e-mail address: it makes no accounts. The first
// sign-in ties the account to the person at the provider (issuer and subject), so that
// an address which the hospital later gives to somebody else does not open it.
type Provider struct {
	Issuer, ClientID, ClientSecret string
	Name                           string   // what nurses call it, like NHSmail
	TrustEmails                    bool     // it says nothing of whether it has checked an address, and gives only its own
	Strong                         []string // values of acr by which it says that two factors were used; amr "mfa" says so too
	Only                           bool     // passwords and passkeys are for Local alone
	Local                          []string // accounts that sign in here, for the day on which it does not answer

	mu     sync.Mutex
	found  *oidc.Provider
	client *http.Client
}

// timeToAnswer is how long the provider may take before the sign-in is given up.
const timeToAnswer = 10 * time.Second

// Find asks the provider for what it is, once it has answered never again. It may be
// away when lookout begins: then the next sign-in asks again.
func (p *Provider) Find(ctx context.Context) error {
	_, err := p.discover(ctx)
	return err
}

func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	p.client = &http.Client{Timeout: timeToAnswer}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: the sign-in provider does not answer: %w", bot.ErrUnavailable, err)
	}
	p.found = found
	return found, nil
}

// local says whether somebody may sign in at the desk itself.
func (p *Provider) local(email string) bool {
	return p == nil || !p.Only || slices.ContainsFunc(p.Local, func(x string) bool { return strings.EqualFold(x, email) })
}

func (d *Desk) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: d.Provider.ClientID, ClientSecret: d.Provider.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: d.PublicURL + "/desk/sign-in/provider/back", Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}
}

// mayBeAway is how long somebody may take at the provider.
const mayBeAway = 15 * time.Minute

// toProvider sends somebody to the provider. What must come back with her is kept in
// her session.
func (d *Desk) toProvider(w http.ResponseWriter, r *http.Request) {
	next := nextPage(r.URL.Query().Get("next"))
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	if !d.attempts.allow(d.Now(), "provider:"+state, bot.Household(r.RemoteAddr)) {
		w.Header().Set("Retry-After", "60")
		d.notIn(w, r, http.StatusTooManyRequests, next, "Too many tries. Wait a minute, then try again.")
		return
	}
	p, err := d.Provider.discover(r.Context())
	if err != nil {
		d.Log.ErrorContext(r.Context(), "sign-in by the provider failed", "err", err)
		d.notIn(w, r, http.StatusServiceUnavailable, next, d.Provider.Name+" does not answer just now. Try again in a moment.")
		return
	}
	for key, value := range map[string]string{"provider-state": state, "provider-nonce": nonce, "provider-verifier": verifier, "provider-next": next} {
		d.sessions.Put(r.Context(), key, value)
	}
	d.sessions.Put(r.Context(), "provider-until", d.Now().Add(mayBeAway).Unix())
	http.Redirect(w, r, d.oauth(p).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
}

// notIn is the sign-in page with what went wrong.
func (d *Desk) notIn(w http.ResponseWriter, r *http.Request, status int, next, fault string) {
	d.show(w, r, status, "sign-in", view{"Title": "Sign in", "Next": next, "Fault": fault})
}

// fromProvider takes somebody in who comes back from the provider.
func (d *Desk) fromProvider(w http.ResponseWriter, r *http.Request) {
	kept := map[string]string{}
	for _, key := range []string{"state", "nonce", "verifier", "next"} {
		kept[key] = d.sessions.PopString(r.Context(), "provider-"+key)
	}
	until := d.sessions.GetInt64(r.Context(), "provider-until")
	d.sessions.Remove(r.Context(), "provider-until")
	name, query := d.Provider.Name, r.URL.Query()
	if kept["state"] == "" || subtle.ConstantTimeCompare([]byte(kept["state"]), []byte(query.Get("state"))) != 1 || d.Now().Unix() > until {
		d.notIn(w, r, http.StatusBadRequest, kept["next"], "That took too long, or was begun on another page. Sign in again.")
		return
	}
	if query.Get("code") == "" {
		d.notIn(w, r, http.StatusUnauthorized, kept["next"], name+" did not let you in.")
		return
	}
	who, err := d.vouched(r.Context(), query.Get("code"), kept["nonce"], kept["verifier"])
	if err != nil {
		d.Log.ErrorContext(r.Context(), "sign-in by the provider failed", "err", err)
		d.notIn(w, r, http.StatusBadGateway, kept["next"], "The answer of "+name+" cannot be used. Try again; if it stays so, tell whoever runs lookout in your team.")
		return
	}
	if who.Verified == verifiedNot || who.Verified == verifiedUnknown && !d.Provider.TrustEmails || who.Email == "" {
		d.notIn(w, r, http.StatusForbidden, kept["next"], name+" has not checked your e-mail address, so that we cannot know you by it.")
		return
	}
	u, err := d.Bot.User(r.Context(), strings.ToLower(who.Email))
	if err != nil && !errors.Is(err, bot.ErrNotFound) {
		d.fail(w, r, err)
		return
	}
	person := d.Provider.Issuer + " " + who.Subject
	another := err == nil && u.Subject != "" && u.Subject != person
	if err != nil || u.Disabled || another {
		if another || u.Disabled {
			if err := d.audit(r, u, "sign in by the provider: refused", "", ""); err != nil {
				d.fail(w, r, err)
				return
			}
		}
		d.notIn(w, r, http.StatusForbidden, kept["next"], "You are known to "+name+", but not to this desk. Ask whoever runs lookout in your team for an invitation.")
		return
	}
	if u.Subject == "" {
		if err := d.audit(r, u, "tie account to the provider", "", ""); err != nil {
			d.fail(w, r, err)
			return
		}
		u, err = d.Bot.ChangeUser(r.Context(), u.Email, func(x *bot.User) error {
			if x.Disabled || x.Subject != "" && x.Subject != person {
				return bot.ErrConflict
			}
			x.Subject = person
			return nil
		})
		if err != nil {
			d.fail(w, r, err)
			return
		}
	}
	d.sessions.Put(r.Context(), "by-provider", true)
	strong := slices.Contains(who.Methods, "mfa") || who.Context != "" && slices.Contains(d.Provider.Strong, who.Context)
	d.proceed(w, r, u, kept["next"], strong, "provider")
}

// vouched is whom the provider vouches for.
type vouched struct {
	Subject  string
	Email    string
	Verified verified
	Methods  []string // amr
	Context  string   // acr
}

type verified int

const (
	verifiedUnknown verified = iota
	verifiedNot
	verifiedYes
)

// isVerified reads email_verified, which some providers write as words.
func isVerified(claim any) verified {
	switch claim {
	case nil:
		return verifiedUnknown
	case true, "true":
		return verifiedYes
	}
	return verifiedNot
}

// vouched changes a code for who it is of, and believes only what the provider has
// signed for us, now, for this sign-in. Tokens are good by the machine's own clock.
func (d *Desk) vouched(ctx context.Context, code, nonce, verifier string) (vouched, error) {
	var who vouched
	ctx, cancel := context.WithTimeout(ctx, timeToAnswer)
	defer cancel()
	p, err := d.Provider.discover(ctx)
	if err != nil {
		return who, err
	}
	ctx = oidc.ClientContext(ctx, d.Provider.client)
	token, err := d.oauth(p).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		var answer *oauth2.RetrieveError
		if errors.As(err, &answer) { // what it says beside its code may hold what is hers
			err = errors.New(cmp.Or(answer.ErrorCode, "the code was refused"))
		}
		return who, fmt.Errorf("change the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: d.Provider.ClientID}).Verify(ctx, raw)
	if err != nil {
		return who, fmt.Errorf("id token: %w", err)
	}
	if id.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return who, errors.New("id token: it is not of this sign-in (nonce)")
	}
	var claims struct {
		Email    string   `json:"email"`
		Verified any      `json:"email_verified"`
		Methods  []string `json:"amr"`
		Context  string   `json:"acr"`
	}
	if err := id.Claims(&claims); err != nil {
		return who, fmt.Errorf("id token: its claims cannot be read")
	}
	who = vouched{Subject: id.Subject, Email: claims.Email, Verified: isVerified(claims.Verified), Methods: claims.Methods, Context: claims.Context}
	if who.Email != "" {
		return who, nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return who, errors.New("the provider's word on who she is cannot be had")
	}
	if info.Subject != id.Subject { // OpenID Connect Core, 5.3.2
		return who, errors.New("the provider's word on who she is is of another")
	}
	claims.Verified = nil
	if err := info.Claims(&claims); err != nil {
		return who, errors.New("the provider's word on who she is cannot be read")
	}
	who.Email, who.Verified = info.Email, isVerified(claims.Verified)
	return who, nil
}

// outThere is where somebody who is signed out here signs out at the provider too; ""
// when it offers that nowhere.
func (d *Desk) outThere(ctx context.Context) string {
	p, err := d.Provider.discover(ctx)
	if err != nil {
		return ""
	}
	var says struct {
		End string `json:"end_session_endpoint"`
	}
	to, err := url.Parse("")
	if p.Claims(&says) == nil && says.End != "" {
		to, err = url.Parse(says.End)
	}
	if err != nil || to.Host == "" {
		return ""
	}
	q := to.Query()
	q.Set("client_id", d.Provider.ClientID)
	to.RawQuery = q.Encode()
	return to.String()
}

// outByProvider takes the provider's word that somebody has signed out there (OpenID Connect
// Back-Channel Logout 1.0), and ends every session of hers. It needs no session: the token
// is signed by the provider, for us, now. The same word again does no harm.
func (d *Desk) outByProvider(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	ctx, cancel := context.WithTimeout(r.Context(), timeToAnswer)
	defer cancel()
	p, err := d.Provider.discover(ctx)
	if err != nil {
		d.Log.ErrorContext(ctx, "sign-out by the provider failed", "err", err)
		http.Error(w, "the provider's keys cannot be had just now", http.StatusServiceUnavailable)
		return
	}
	token, err := p.Verifier(&oidc.Config{ClientID: d.Provider.ClientID}).VerifyLogout(oidc.ClientContext(ctx, d.Provider.client), r.PostFormValue("logout_token"))
	if err != nil || token.Subject == "" {
		d.Log.WarnContext(ctx, "a sign-out by the provider was refused", "signed", err == nil)
		http.Error(w, "logout_token must be signed by the provider for this client, be of now, and say who she is (sub)", http.StatusBadRequest)
		return
	}
	if err := d.endSessionsOf(r, d.Provider.Issuer+" "+token.Subject); err != nil {
		d.Log.ErrorContext(ctx, "sign-out by the provider failed", "err", err)
		http.Error(w, "the sessions could not be ended just now", http.StatusServiceUnavailable)
	}
}

// endSessionsOf ends every session of whom a person at the provider is here, if anybody.
func (d *Desk) endSessionsOf(r *http.Request, person string) error {
	users, err := d.Bot.Users(r.Context())
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.Subject != person {
			continue
		}
		if err := d.audit(r, u, "signed out by the provider", "", ""); err != nil {
			return err
		}
		_, err := d.Bot.ChangeUser(r.Context(), u.Email, func(x *bot.User) error {
			if x.Subject == person {
				x.Epoch++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
