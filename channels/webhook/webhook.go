// Package webhook is the door through which a nurse on duty is paged by another
// system: a paging service, a team chat, a switchboard.
//
// It promises: each page is signed in the manner of Standard Webhooks, so that the
// receiver can know that it is ours and when it was made; it keeps its id over repeats, so
// that a receiver can drop a second copy; it counts as taken only by an answer of 2xx;
// neither the address nor a word of a page comes into an error. It follows no redirect,
// and takes nothing in: whoever is paged takes the row on the desk.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lookout/bot"
)

// Channel is the name under which the bot knows this door.
const Channel = "webhook"

// ParseAddress says what is wrong with an address: it must be https, or on this machine.
func ParseAddress(text string) error {
	u, err := url.Parse(text)
	local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return errors.New("must be an address like https://pager.example.nhs.uk/lookout")
	}
	return nil
}

// ParseKey reads a signing key as Standard Webhooks writes it: whsec_ and base64 of 24
// to 64 bytes.
func ParseKey(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New(`must be whsec_ and 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)"`)
	}
	return key, nil
}

// Sender posts pages. It is a bot.Sender, and no bot.Finder: a receiver keeps no log that
// it could be asked for, so that a page whose outcome is not known goes again, with the
// same id.
type Sender struct {
	key    []byte
	client *http.Client
	now    func() time.Time
}

var _ bot.Sender = (*Sender)(nil)

// patience is how long a receiver may take: less than any lease.
const patience = 10 * time.Second

// New makes a sender that signs with a key. Receivers hold the time of a page to their
// own clock: now is the machine's.
func New(key []byte, now func() time.Time) *Sender {
	return &Sender{key: key, now: now, client: &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Page is what is posted. It names no patient.
type Page struct {
	ID   string    `json:"id"`
	Kind string    `json:"kind"`          // page.emergency, page.promise, page.check, …
	Row  string    `json:"row,omitempty"` // the short name of the row that it is about, like K7RT
	Text string    `json:"text"`
	At   time.Time `json:"at"` // when the page was made
}

// Send posts one page.
func (s *Sender) Send(ctx context.Context, m bot.Outgoing) (bot.Sent, error) {
	page := Page{ID: m.ID, Kind: m.TextID, Text: m.Text, At: m.CreatedAt.UTC()}
	if m.Row != "" {
		page.Row = bot.RowName(m.Row)
	}
	body, err := json.Marshal(page)
	if err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "body", Err: errors.New("the page cannot be written")}
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.To.At, bytes.NewReader(body))
	if err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "address", Err: errors.New("the address is not one")}
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "lookout")
	r.Header.Set("Webhook-Id", m.ID)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", s.sign(m.ID, at, body))
	answer, err := s.client.Do(r)
	if err != nil { // it names the address, which is not to be told
		if wrote.Load() {
			return bot.Sent{}, &bot.SendError{Class: bot.SendUnknown, Code: "http", Err: errors.New("the connection broke before the receiver's answer")}
		}
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: "connect", Err: errors.New("the receiver could not be reached")}
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return sent(m, answer)
}

// sign is the signature of a page: over its id, the time and its body.
func (s *Sender) sign(id, at string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sent says what follows from an answer: what may pass is tried again, the rest never.
func sent(m bot.Outgoing, answer *http.Response) (bot.Sent, error) {
	code := answer.StatusCode
	switch {
	case code >= 200 && code < 300:
		return bot.Sent{CarrierID: "webhook:" + m.ID, Delivered: true}, nil
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: strconv.Itoa(code), After: min(max(0, time.Duration(after)*time.Second), time.Minute), Err: errors.New("the receiver cannot take it now")}
	}
	return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: strconv.Itoa(code), Err: errors.New("the receiver refused it")}
}
