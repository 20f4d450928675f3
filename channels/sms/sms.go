// Package sms is the door to Twilio: texts that people send us come in here,
// and ours go out.
//
// It promises: a webhook is answered with success only after the bot has made
// the message durable; what is not signed by Twilio over our public address is
// refused and leaves no trace; every failed send is put into one of four
// classes (bot.SendClass), and nothing is sent again whose outcome is not known
// before Twilio's own log was asked. It refuses to know what a message means, who
// wrote it, or any clinical rule; and it never lets a number or a word of a
// text into an error or a log.
package sms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"lookout/bot"
)

// Channel is the name under which the bot knows this door.
const Channel = "sms"

// Account is how we are known to Twilio.
type Account struct {
	SID       string
	AuthToken string
	// From is our number in E.164, or MessagingService the SID of a messaging
	// service; exactly one of them.
	From             string
	MessagingService string
	// APIURL is another base address for Twilio's API: a regional edge, or a
	// stand-in. Empty: https://api.twilio.com.
	APIURL string
	// PublicURL is our own address as Twilio sees it, without a slash at the end.
	PublicURL string
	// Canary is the number of the daily test, where it is one of this account: what
	// Twilio's log has as come to it is our own. Empty: there is none.
	Canary string
}

// Client speaks to Twilio's API. It is a bot.Sender and a bot.Finder.
type Client struct {
	account Account
	base    *url.URL
	http    http.RoundTripper
	swept   swept
}

var (
	_ bot.Sender = (*Client)(nil)
	_ bot.Finder = (*Client)(nil)
)

// NewClient makes a client. transport is nil for the usual one.
func NewClient(account Account, transport http.RoundTripper) (*Client, error) {
	c := &Client{account: account, http: transport}
	if c.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 32, 64
		c.http = t
	}
	if account.APIURL != "" {
		base, err := url.Parse(account.APIURL)
		if err != nil || base.Host == "" {
			return nil, errors.New("twilio api url: write it like https://api.ie1.twilio.com")
		}
		c.base = base
	}
	return c, nil
}

// call is one request of ours: twilio-go knows no context, so that it is carried by
// the transport; and whether the request was written at all decides what a
// broken connection means.
type call struct {
	client *Client
	ctx    context.Context
	wrote  atomic.Bool
	after  atomic.Int64 // seconds of a Retry-After header
}

// RoundTrip is part of http.RoundTripper.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{WroteHeaders: func() { c.wrote.Store(true) }})
	r = r.Clone(ctx)
	if base := c.client.base; base != nil {
		r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
		r.URL.Path = strings.TrimRight(base.Path, "/") + r.URL.Path
		r.Host = base.Host
	}
	response, err := c.client.http.RoundTrip(r)
	if err == nil {
		if n, e := strconv.Atoi(response.Header.Get("Retry-After")); e == nil {
			c.after.Store(int64(n))
		}
	}
	return response, err
}

func (c *Client) service(ctx context.Context) (*api.ApiService, *call) {
	k := &call{client: c, ctx: ctx}
	twilio := &client.Client{
		Credentials: client.NewCredentials(c.account.SID, c.account.AuthToken),
		HTTPClient:  &http.Client{Transport: k, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	twilio.SetAccountSid(c.account.SID)
	return api.NewApiServiceWithClient(twilio), k
}

// maxBody is the longest text that Twilio takes, in characters.
const maxBody = 1600

// Send hands one message to Twilio. Our id goes into the callback's address, so
// that a delivery receipt finds it even when Twilio's answer to us was lost.
func (c *Client) Send(ctx context.Context, m bot.Outgoing) (bot.Sent, error) {
	text := Plain(m.Text)
	if len([]rune(text)) > maxBody {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "too-long", Obstacle: bot.ObstacleOurs, Err: errors.New("the text is longer than 1,600 characters")}
	}
	service, k := c.service(ctx)
	params := &api.CreateMessageParams{}
	params.SetTo(m.To.At).SetBody(text).SetStatusCallback(c.account.PublicURL + statusPath + "?m=" + url.QueryEscape(m.ID))
	if c.account.MessagingService != "" {
		params.SetMessagingServiceSid(c.account.MessagingService)
	} else {
		params.SetFrom(c.account.From)
	}
	taken, err := service.CreateMessage(params)
	if err != nil {
		return bot.Sent{}, c.classify(err, k)
	}
	if taken.Sid == nil || *taken.Sid == "" {
		return bot.Sent{}, &bot.SendError{Class: bot.SendUnknown, Err: errors.New("twilio's answer names no message")}
	}
	return bot.Sent{CarrierID: *taken.Sid}, nil
}

// classify says what follows from a failed send. The error that it gives holds
// neither the number nor the text, which twilio-go's own may.
func (c *Client) classify(err error, k *call) *bot.SendError {
	var rest *client.TwilioRestError
	if errors.As(err, &rest) {
		class := bot.SendRefused
		known, ok := codes[rest.Code]
		switch {
		case ok:
			class = known.class
		case rest.Status >= 500:
			class = bot.SendUnknown // it may have been taken before the fault
		case rest.Status == http.StatusTooManyRequests:
			class = bot.SendRetry
		case rest.Status == http.StatusUnauthorized || rest.Status == http.StatusForbidden || rest.Status == http.StatusNotFound:
			class = bot.SendRetry // our account, not her number: mend it, and the text goes
		}
		code := strconv.Itoa(rest.Code)
		if rest.Code == 0 {
			code = "http-" + strconv.Itoa(rest.Status)
		}
		return &bot.SendError{Class: class, Code: code, Obstacle: known.obstacle, After: time.Duration(k.after.Load()) * time.Second,
			Err: fmt.Errorf("twilio answered %d", rest.Status)}
	}
	if !k.wrote.Load() {
		return &bot.SendError{Class: bot.SendRetry, Code: "network", Err: errors.New("twilio could not be reached")}
	}
	return &bot.SendError{Class: bot.SendUnknown, Code: "network", Err: errors.New("the connection to twilio broke before its answer")}
}

// code is what one of Twilio's error codes means to us.
type code struct {
	class    bot.SendClass
	obstacle bot.Obstacle
}

// codes is the closed list of Twilio's error codes that mean something to us,
// as they are described in Twilio's error dictionary. What is not here is
// refused if Twilio says 4xx, tried again if it says 429, and looked for in its log
// before it is tried again if it says 5xx.
var codes = map[int]code{
	20429: {bot.SendRetry, ""},                      // too many requests
	30001: {bot.SendRetry, ""},                      // queue overflow
	14107: {bot.SendRetry, ""},                      // send rate exceeded
	30022: {bot.SendRetry, ""},                      // rate limit of the carrier exceeded
	21211: {bot.SendRefused, bot.ObstacleDead},      // the number is not valid
	21214: {bot.SendRefused, bot.ObstacleDead},      // the number cannot be reached
	21610: {bot.SendOptedOut, bot.ObstacleOptedOut}, // she has replied STOP at the carrier
	21612: {bot.SendRefused, bot.ObstacleOurs},      // this number cannot be reached from ours
	21614: {bot.SendRefused, bot.ObstacleLandline},  // the number is not a mobile
	21617: {bot.SendRefused, bot.ObstacleOurs},      // the text is too long
	30003: {bot.SendRefused, bot.ObstacleOff},       // the telephone is off, out of reach or abroad
	30004: {bot.SendRefused, bot.ObstacleBlocked},   // the telephone blocks us
	30005: {bot.SendRefused, bot.ObstacleDead},      // the number is unknown or no longer exists
	30006: {bot.SendRefused, bot.ObstacleLandline},  // a landline or a carrier that cannot be reached
	30007: {bot.SendRefused, bot.ObstacleBlocked},   // filtered by the carrier
	30008: {bot.SendRefused, bot.ObstacleUnknown},   // not delivered, reason unknown
}

// obstacle says what a code of Twilio's means for the way to her.
func obstacle(text string) bot.Obstacle {
	n, _ := strconv.Atoi(text)
	return codes[n].obstacle
}

// Find looks in Twilio's log for a message of ours that may have gone: to the
// same number, with the same words, since it was made, and not known to be another's. The
// log has no id of ours: two texts that must not be taken for one another differ in words,
// as pages do, which name their row.
func (c *Client) Find(ctx context.Context, m bot.Outgoing, known func(string) bool) (bot.Sent, bool, error) {
	service, k := c.service(ctx)
	params := &api.ListMessageParams{}
	params.SetTo(m.To.At).SetDateSentAfter(m.CreatedAt.UTC().AddDate(0, 0, -1)).SetPageSize(200).SetLimit(1000)
	list, err := service.ListMessage(params)
	if err != nil {
		return bot.Sent{}, false, c.classify(err, k)
	}
	text := Plain(m.Text)
	for _, x := range list {
		if x.Sid == nil || x.Body == nil || *x.Body != text || value(x.Direction) == "inbound" {
			continue
		}
		if made, err := time.Parse(time.RFC1123Z, value(x.DateCreated)); err == nil && made.Before(m.CreatedAt.Add(-time.Minute)) {
			continue
		}
		if !known(*x.Sid) {
			return bot.Sent{CarrierID: *x.Sid}, true, nil
		}
	}
	return bot.Sent{}, false, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Check asks Twilio whether the account and the token are right, for `lookout doctor`.
func (c *Client) Check(ctx context.Context) error {
	service, k := c.service(ctx)
	if _, err := service.ListMessage((&api.ListMessageParams{}).SetPageSize(1).SetLimit(1)); err != nil {
		return c.classify(err, k)
	}
	return nil
}
