package sms

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"lookout/bot"
)

// SweepBack is how far back Twilio's log is gone through: longer than any outage that
// nobody has noticed.
const SweepBack = 48 * time.Hour

// recent is how far back most sweeps look, and for how long: then one goes all the way. So
// does the first one after a start, and one after a fault. No sweep remembers what the store
// has said before: in a fail-over it may have lost what it had a second ago (docs/redis.md).
const recent = time.Hour

// maxUnanswered is with how many numbers a sweep gives up for which the store does not
// answer: each may keep it waiting for seconds, and the next sweep tries them all again.
const maxUnanswered = 40

// logPage is how many messages of its log Twilio gives at once.
const logPage = 1000

// swept is how a client's last sweeps went.
type swept struct {
	mu    sync.Mutex
	whole time.Time // when the log was last gone through all the way, and everything taken in
	fault bool      // of the last sweep
}

// Sweep takes in every message of Twilio's log that has not reached us, and the final
// state of what we sent. Handing a message in twice does no harm, so that it may be asked
// for more than is missing. It says how many messages it handed in. A part of the store that
// does not answer keeps back only the numbers that lie there, each from its first message
// that was not taken in. One sweep goes at a time.
func (c *Client) Sweep(ctx context.Context, b Bot, service string, now time.Time) (n int, err error) {
	s := &c.swept
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := s.fault || now.Sub(s.whole) >= recent || now.Before(s.whole)
	back := recent
	if whole {
		back = SweepBack
	}
	ended := false // not so where it panics: the scheduler goes on
	defer func() {
		if s.fault = err != nil || !ended; whole && !s.fault {
			s.whole = now
		}
	}()
	list, err := c.log(ctx, now.Add(-back))
	if err != nil {
		return 0, err
	}
	var numbers []string // the last heard of first: what was just lost is reached before what came long ago
	of := make(map[string][]api.ApiV2010Message)
	for _, x := range list { // Twilio lists the newest first
		number := value(x.To)
		if value(x.Direction) == "inbound" {
			number = value(x.From)
		}
		if of[number] == nil {
			numbers = append(numbers, number)
		}
		of[number] = append(of[number], x)
	}
	unanswered := 0
	var faults []error
	for _, number := range numbers {
		for _, x := range slices.Backward(of[number]) { // she wrote the oldest first
			took, err := c.takeIn(ctx, b, service, x)
			if took {
				n++
			}
			if err == nil {
				continue
			}
			faults = append(faults, err)
			if errors.Is(err, bot.ErrUnavailable) { // a START must not be taken in before the STOP that she wrote first
				unanswered++
				break
			}
		}
		if unanswered == maxUnanswered || ctx.Err() != nil {
			break
		}
	}
	ended = true
	return n, errors.Join(faults...)
}

// log gives the messages of Twilio's log since a time, the newest first.
func (c *Client) log(ctx context.Context, since time.Time) (list []api.ApiV2010Message, err error) {
	rest, k := c.service(ctx)
	params := &api.ListMessageParams{}
	params.SetDateSentAfter(since.UTC().AddDate(0, 0, -1)).SetPageSize(logPage) // Twilio goes by the day
	for token, number := "", ""; ; {
		page, err := rest.PageMessage(params, token, number)
		if err != nil {
			return nil, c.classify(err, k)
		}
		older := true
		for _, x := range page.Messages {
			if sent, err := time.Parse(time.RFC1123Z, value(x.DateSent)); err != nil || !sent.Before(since) {
				list, older = append(list, x), false
			}
		}
		if older || value(page.NextPageUri) == "" {
			return list, nil
		}
		next, err := url.Parse(*page.NextPageUri)
		if err != nil {
			return nil, errors.New("twilio's log does not say where it goes on")
		}
		token, number = next.Query().Get("PageToken"), next.Query().Get("Page")
	}
}

// takeIn hands in one message of Twilio's log, and says whether it was one that had not reached us.
func (c *Client) takeIn(ctx context.Context, b Bot, service string, x api.ApiV2010Message) (bool, error) {
	sent, _ := time.Parse(time.RFC1123Z, value(x.DateSent))
	if value(x.Direction) == "inbound" {
		if c.account.Canary != "" && value(x.To) == c.account.Canary {
			return false, nil
		}
		if seen, err := b.Seen(ctx, "in:"+value(x.Sid)); err != nil || seen {
			return false, err
		}
		in := bot.Inbound{Service: service, From: bot.Address{Channel: Channel, At: value(x.From)}, To: value(x.To), Text: value(x.Body), CarrierID: value(x.Sid), Piece: piece(value(x.Body)), Swept: true, At: sent}
		if media, _ := strconv.Atoi(value(x.NumMedia)); media > 0 {
			in.Media = []bot.Media{{URL: "twilio:" + value(x.Sid), Type: "image/unknown"}}
		}
		err := b.Receive(ctx, in)
		return err == nil, err
	}
	state, final := states[value(x.Status)]
	if !final || state == bot.OutSent {
		return false, nil
	}
	receipt := bot.DeliveryReceipt{CarrierID: value(x.Sid), State: state, At: sent}
	if x.ErrorCode != nil {
		receipt.Code = strconv.Itoa(*x.ErrorCode)
		receipt.Obstacle = obstacle(receipt.Code)
	}
	if err := b.DeliveryReceipt(ctx, receipt); err != nil && !errors.Is(err, bot.ErrNotFound) {
		return false, err
	}
	return false, nil
}
