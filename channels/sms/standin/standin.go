// Package standin is a stand-in of Twilio that keeps state and telephones: the
// carrier of `lookout demo`, of the tests and of the benchmarks.
//
// It speaks the part of Twilio's API that lookout uses (create, list and fetch
// messages), signs and calls our webhooks as Twilio does (inbound texts,
// delivery receipts), stops texts at STOP as a carrier does, and makes every
// fault on command that a carrier can make. Its shape is held to Twilio's
// published API description by the tests of package sms. It refuses to be used
// for anything but our own addresses.
package standin

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Message is one text that the carrier knows.
type Message struct {
	SID       string
	From, To  string
	Body      string
	Inbound   bool
	Status    string
	ErrorCode int
	Created   time.Time
	Media     []string
	Callback  string `json:"-"` // where its delivery receipts go
	expected  bool   // somebody has waited for it
}

// Fault is what goes wrong with the next request to send.
type Fault struct {
	To          string // only a request to send to this number; empty: any
	Status      int    // answer this HTTP status …
	Code        int    // … with this error code of Twilio's
	Accept      bool   // take the message first
	Break       bool   // then break the connection instead of answering
	Hang        bool   // take it, and never answer
	Undelivered int    // take it, and report it undelivered with this code
}

// Carrier is the stand-in. Its zero value is not ready: use New.
type Carrier struct {
	SID, Token string
	// Product is the address of our own webhooks; empty: they are not called.
	Product string
	// Numbers are those of the account: a text from one to another comes back in, as with
	// Twilio. The webhook of the first is ours; the others have none.
	Numbers []string
	// Receipts says whether delivery receipts are sent.
	Receipts bool
	// Now gives the time, so that a demo's clock can be turned.
	Now func() time.Time
	// OnMessage is called for every text in either direction, after it is kept.
	OnMessage func(Message)

	mu       sync.Mutex
	changed  *sync.Cond
	messages []*Message
	number   int
	faults   []Fault
	bad      map[string]int  // number → error code at once
	stopped  map[string]bool // numbers that have said STOP
	allowed  map[string]bool // numbers that may have any text
	underWay int             // webhooks that are being called
	ctx      context.Context
	cancel   context.CancelFunc
	client   *http.Client
}

// New makes a carrier with an account.
func New(sid, token string) *Carrier {
	c := &Carrier{SID: sid, Token: token, Receipts: true, Now: time.Now, bad: map[string]int{}, stopped: map[string]bool{}, allowed: map[string]bool{}}
	c.changed = sync.NewCond(&c.mu)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	return c
}

// Close ends every call under way.
func (c *Carrier) Close() {
	c.cancel()
	c.Settle()
	c.client.CloseIdleConnections()
}

// Save writes every message to a file, and Load reads them back, so that a demo
// that is started again still has its phones.
func (c *Carrier) Save(path string) error {
	c.mu.Lock()
	text, err := json.Marshal(c.messages)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// Load reads what Save wrote; a file that is not there holds nothing.
func (c *Carrier) Load(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(text, &c.messages); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c.number = len(c.messages)
	return nil
}

// Settle waits until every webhook that is under way has ended.
func (c *Carrier) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.underWay > 0 {
		c.changed.Wait()
	}
}

// calls counts webhooks that begin and end.
func (c *Carrier) calls(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay += n
	c.changed.Broadcast()
}

// Fail makes the next requests to send go wrong, one each, in this order.
func (c *Carrier) Fail(faults ...Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, faults...)
}

// BadNumber makes every send to a number fail with a code of Twilio's.
func (c *Carrier) BadNumber(number string, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bad[number] = code
}

// Messages gives every text to or from a number (empty: all), oldest first.
func (c *Carrier) Messages(number string) []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Message
	for _, m := range c.messages {
		if number == "" || m.From == number || m.To == number {
			out = append(out, *m)
		}
	}
	return out
}

// WaitFor waits until a text to a number satisfies want, among those after the
// first skip, and gives it. The context bounds the wait.
func (c *Carrier) WaitFor(ctx context.Context, number string, skip int, want func(Message) bool) (Message, error) {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n := 0
		for _, m := range c.messages {
			if m.To != number || m.Inbound {
				continue
			}
			if n++; n > skip && want(*m) {
				m.expected = true
				return *m, nil
			}
		}
		if err := ctx.Err(); err != nil {
			return Message{}, fmt.Errorf("no such text to the phone: %w", err)
		}
		c.changed.Wait()
	}
}

// Allow says that a number may have any text, though nobody waits for it.
func (c *Carrier) Allow(number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed[number] = true
}

// Unexpected gives the texts to telephones that nobody has waited for, and that were
// not allowed: a test that ends with one has shown that somebody was texted whom it
// does not speak of.
func (c *Carrier) Unexpected() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Message
	for _, m := range c.messages {
		if !m.Inbound && !m.expected && !c.allowed[m.To] {
			out = append(out, *m)
		}
	}
	return out
}

// keep adds a message, and gives it as it is now: what happens to it later
// happens under the lock.
func (c *Carrier) keep(m *Message) Message {
	c.mu.Lock()
	c.number++
	prefix := "SM"
	if len(m.Media) > 0 {
		prefix = "MM"
	}
	m.SID = fmt.Sprintf("%s%032x", prefix, c.number)
	m.Created = c.Now()
	c.messages = append(c.messages, m)
	c.changed.Broadcast()
	seen, copied := c.OnMessage, *m
	c.mu.Unlock()
	if seen != nil {
		seen(copied)
	}
	return copied
}

// Reply sends a text from a phone to our number, as somebody who types it would,
// and waits for the webhook's answer. It gives the message's SID and the answer's status.
func (c *Carrier) Reply(from, to, body string, media ...string) (string, int, error) {
	m := c.keep(&Message{From: from, To: to, Body: body, Inbound: true, Status: "received", Media: media})
	status, err := c.Redeliver(m.SID)
	return m.SID, status, err
}

// Lose takes a text from a phone that never reaches our webhook; only the log has it.
func (c *Carrier) Lose(from, to, body string) string {
	return c.keep(&Message{From: from, To: to, Body: body, Inbound: true, Status: "received"}).SID
}

// Redeliver calls our webhook for an inbound message, again.
func (c *Carrier) Redeliver(sid string) (int, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.messages, func(m *Message) bool { return m.SID == sid })
	if i < 0 {
		c.mu.Unlock()
		return 0, fmt.Errorf("no message %s", sid)
	}
	m := *c.messages[i]
	optOut := ""
	switch strings.ToUpper(strings.TrimSpace(m.Body)) {
	case "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT":
		c.stopped[m.From] = true
		optOut = "STOP"
	case "START", "UNSTOP", "YES":
		if c.stopped[m.From] {
			optOut = "START"
		}
		delete(c.stopped, m.From)
	}
	c.mu.Unlock()
	form := url.Values{"MessageSid": {m.SID}, "SmsSid": {m.SID}, "AccountSid": {c.SID}, "From": {m.From}, "To": {m.To}, "Body": {m.Body},
		"NumMedia": {strconv.Itoa(len(m.Media))}, "NumSegments": {"1"}, "SmsStatus": {"received"}, "ApiVersion": {"2010-04-01"}}
	if optOut != "" {
		form.Set("OptOutType", optOut)
	}
	for i, address := range m.Media {
		form.Set("MediaUrl"+strconv.Itoa(i), address)
		form.Set("MediaContentType"+strconv.Itoa(i), "image/jpeg")
	}
	return c.call(c.Product+"/twilio/inbound", form)
}

// Sign is Twilio's signature of a webhook: HMAC-SHA1 over the address and the
// sorted parameters.
func Sign(token, address string, form url.Values) string {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(address)
	for _, name := range names {
		b.WriteString(name + form.Get(name))
	}
	mac := hmac.New(sha1.New, []byte(token))
	io.WriteString(mac, b.String())
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (c *Carrier) call(address string, form url.Values) (int, error) {
	if c.Product == "" {
		return 0, fmt.Errorf("the carrier does not know the product's address")
	}
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", Sign(c.Token, address, form))
	response, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, nil
}

// Receipt reports a state of a message of ours to our webhook.
func (c *Carrier) Receipt(sid, status string, code int) (int, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.messages, func(m *Message) bool { return m.SID == sid })
	if i < 0 {
		c.mu.Unlock()
		return 0, fmt.Errorf("no message %s", sid)
	}
	c.messages[i].Status, c.messages[i].ErrorCode = status, code
	m := *c.messages[i]
	c.mu.Unlock()
	if m.Callback == "" {
		return 0, nil
	}
	form := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "AccountSid": {c.SID}, "From": {m.From}, "To": {m.To}}
	if code != 0 {
		form.Set("ErrorCode", strconv.Itoa(code))
	}
	return c.call(m.Callback, form)
}

// ServeHTTP is Twilio's API.
func (c *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sid, token, ok := r.BasicAuth()
	if !ok || sid != c.SID || token != c.Token {
		fail(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	prefix := "/2010-04-01/Accounts/" + c.SID + "/Messages"
	switch {
	case r.Method == http.MethodPost && r.URL.Path == prefix+".json":
		c.create(w, r)
	case r.Method == http.MethodGet && r.URL.Path == prefix+".json":
		c.list(w, r)
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, prefix+"/"):
		c.fetch(w, strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, prefix+"/"), ".json"))
	default:
		fail(w, http.StatusNotFound, 20404, "not found")
	}
}

func fail(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "status": status, "more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(code)})
}

func (c *Carrier) create(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, 20001, "form")
		return
	}
	f := r.PostForm
	m := &Message{From: f.Get("From"), To: f.Get("To"), Body: f.Get("Body"), Status: "queued", Callback: f.Get("StatusCallback")}
	if m.From == "" {
		m.From = f.Get("MessagingServiceSid")
	}
	switch {
	case m.To == "":
		fail(w, http.StatusBadRequest, 21604, "A 'To' phone number is required.")
		return
	case m.Body == "":
		fail(w, http.StatusBadRequest, 21602, "Message body is required.")
		return
	}
	c.mu.Lock()
	var fault Fault
	if at := slices.IndexFunc(c.faults, func(f Fault) bool { return f.To == "" || f.To == m.To }); at >= 0 {
		fault = c.faults[at]
		c.faults = slices.Delete(c.faults, at, at+1)
	}
	bad, stopped := c.bad[m.To], c.stopped[m.To]
	c.mu.Unlock()
	switch {
	case stopped:
		fail(w, http.StatusBadRequest, 21610, "Attempt to send to unsubscribed recipient")
		return
	case bad != 0:
		fail(w, http.StatusBadRequest, bad, "cannot be sent")
		return
	case fault.Status != 0 && !fault.Accept:
		if fault.Status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		fail(w, fault.Status, fault.Code, "fault")
		return
	case fault.Break && !fault.Accept:
		panic(http.ErrAbortHandler)
	}
	kept := c.keep(m)
	if at := slices.Index(c.Numbers, m.To); at >= 0 {
		c.calls(1)
		go func() {
			defer c.calls(-1)
			if at > 0 {
				c.Lose(m.From, m.To, m.Body)
				return
			}
			c.Reply(m.From, m.To, m.Body)
		}()
	}
	if c.Receipts {
		c.calls(1)
		go func() {
			defer c.calls(-1)
			if fault.Undelivered != 0 {
				c.Receipt(kept.SID, "undelivered", fault.Undelivered)
				return
			}
			c.Receipt(kept.SID, "sent", 0)
			c.Receipt(kept.SID, "delivered", 0)
		}()
	}
	switch {
	case fault.Break:
		panic(http.ErrAbortHandler)
	case fault.Hang:
		select {
		case <-r.Context().Done():
		case <-c.ctx.Done():
		}
		return
	case fault.Status != 0:
		fail(w, fault.Status, fault.Code, "fault")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(c.resource(kept))
}

// resource is a message as Twilio shows it.
func (c *Carrier) resource(m Message) map[string]any {
	direction := "outbound-api"
	if m.Inbound {
		direction = "inbound"
	}
	stamp := m.Created.UTC().Format(time.RFC1123Z)
	out := map[string]any{
		"sid": m.SID, "account_sid": c.SID, "from": m.From, "to": m.To, "body": m.Body, "status": m.Status, "direction": direction,
		"date_created": stamp, "date_sent": stamp, "date_updated": stamp, "num_media": strconv.Itoa(len(m.Media)), "num_segments": "1",
		"error_code": nil, "error_message": nil, "price": nil, "price_unit": "GBP", "api_version": "2010-04-01", "messaging_service_sid": nil,
		"uri":              "/2010-04-01/Accounts/" + c.SID + "/Messages/" + m.SID + ".json",
		"subresource_uris": map[string]any{"media": "/2010-04-01/Accounts/" + c.SID + "/Messages/" + m.SID + "/Media.json"},
	}
	if strings.HasPrefix(m.From, "MG") {
		out["messaging_service_sid"], out["from"] = m.From, nil
	}
	if m.ErrorCode != 0 {
		out["error_code"] = m.ErrorCode
	}
	return out
}

func (c *Carrier) fetch(w http.ResponseWriter, sid string) {
	c.mu.Lock()
	i := slices.IndexFunc(c.messages, func(m *Message) bool { return m.SID == sid })
	if i < 0 {
		c.mu.Unlock()
		fail(w, http.StatusNotFound, 20404, "not found")
		return
	}
	m := *c.messages[i]
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(c.resource(m))
}

// list gives messages, newest first, a page at a time.
func (c *Carrier) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("PageSize"))
	page, _ := strconv.Atoi(q.Get("Page"))
	if size < 1 || size > 1000 {
		size = 50
	}
	c.mu.Lock()
	var all []map[string]any
	for _, m := range slices.Backward(c.messages) {
		if (q.Get("To") != "" && q.Get("To") != m.To) || (q.Get("From") != "" && q.Get("From") != m.From) {
			continue
		}
		if after, err := time.Parse(time.DateOnly, q.Get("DateSent>")); err == nil && m.Created.UTC().Before(after) {
			continue
		}
		all = append(all, c.resource(*m))
	}
	c.mu.Unlock()
	from := min(page*size, len(all))
	to := min(from+size, len(all))
	uri := func(n int) string {
		next := r.URL.Query()
		next.Set("Page", strconv.Itoa(n))
		next.Set("PageSize", strconv.Itoa(size))
		return r.URL.Path + "?" + next.Encode()
	}
	answer := map[string]any{"messages": slices.Concat([]map[string]any{}, all[from:to]), "page": page, "page_size": size, "start": from, "end": max(to-1, 0),
		"uri": uri(page), "first_page_uri": uri(0), "next_page_uri": nil, "previous_page_uri": nil}
	if to < len(all) {
		answer["next_page_uri"] = uri(page + 1)
	}
	if page > 0 {
		answer["previous_page_uri"] = uri(page - 1)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}
