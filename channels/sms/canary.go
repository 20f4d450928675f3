package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lookout/bot"
)

// CanaryChannel is the name under which the bot knows the way of the daily test's text:
// from the canary's number to the service's.
const CanaryChannel = "canary"

// NewCanary makes the sender of the daily test's text through Twilio itself, from a
// number of the same account: it comes back in as anybody's text does.
func NewCanary(account Account, number string, transport http.RoundTripper) (*Client, error) {
	account.From, account.MessagingService = number, ""
	return NewClient(account, transport)
}

// CanaryDoor is the sender of the daily test's text for a number that is not Twilio's: it
// posts the text to our own webhook at its public address, signed as Twilio signs.
type CanaryDoor struct {
	Account Account
	Number  string // the canary's
	Client  *http.Client
}

var _ bot.Sender = (*CanaryDoor)(nil)

// Send posts one text. The message's id makes it count once, however often it is posted.
func (d *CanaryDoor) Send(ctx context.Context, m bot.Outgoing) (bot.Sent, error) {
	sum := sha256.Sum256([]byte(m.ID))
	sid := "SM" + hex.EncodeToString(sum[:16])
	address := d.Account.PublicURL + inboundPath
	form := url.Values{"MessageSid": {sid}, "SmsSid": {sid}, "AccountSid": {d.Account.SID}, "From": {d.Number}, "To": {m.To.At}, "Body": {Plain(m.Text)},
		"NumMedia": {"0"}, "NumSegments": {"1"}, "SmsStatus": {"received"}, "ApiVersion": {"2010-04-01"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "address", Obstacle: bot.ObstacleOurs, Err: errors.New("public_url is no address")}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", signature(d.Account.AuthToken, address, form))
	response, err := d.Client.Do(r)
	if err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: "network", Err: errors.New("our own public address could not be reached")}
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // what it says is of no interest
	code := "http-" + strconv.Itoa(response.StatusCode)
	switch {
	case response.StatusCode < 300:
		return bot.Sent{CarrierID: sid, Delivered: true}, nil
	case response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests:
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: code, Err: fmt.Errorf("our own webhook answered %d", response.StatusCode)}
	}
	return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: code, Obstacle: bot.ObstacleOurs, Err: fmt.Errorf("our own webhook answered %d", response.StatusCode)}
}

// signature is Twilio's of a webhook: HMAC-SHA1 over its address and its parameters,
// sorted by name.
func signature(token, address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	io.WriteString(mac, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
