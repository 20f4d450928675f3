package sms

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/twilio/twilio-go/client"

	"lookout/bot"
	"lookout/channels/sms/standin"
)

const (
	account = "AC00000000000000000000000000000001"
	secret  = "12345"
	her     = "+447700900123"
	our     = "+447700900001"
)

// description is Twilio's own of its API, read once.
var description = sync.OnceValues(func() (routers.Router, error) {
	f, err := os.Open("testdata/twilio_api_v2010.json.gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil
	for _, path := range doc.Paths.Map() {
		path.Servers = nil // the stand-in is elsewhere
	}
	return gorillamux.NewRouter(doc)
})

// held is the stand-in behind a check of every request against Twilio's description.
func held(t *testing.T, c *standin.Carrier) *httptest.Server {
	t.Helper()
	router, err := description()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		route, params, err := router.FindRoute(r)
		if err == nil {
			err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
				Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}})
		}
		if err != nil {
			t.Errorf("%s %s is not in Twilio's description: %v", r.Method, r.URL.Path, err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func sender(t *testing.T) (*Client, *standin.Carrier) {
	t.Helper()
	c := standin.New(account, secret)
	c.Receipts = false
	t.Cleanup(c.Close)
	client, err := NewClient(Account{SID: account, AuthToken: secret, From: our, APIURL: held(t, c).URL, PublicURL: "https://lookout.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

func message() bot.Outgoing {
	return bot.Outgoing{ID: "anytown-p1-m1", To: bot.Address{Channel: Channel, At: her}, Text: "It’s a test – “plain”…", CreatedAt: time.Now().Add(-time.Second)}
}

func TestSendIsAsTwilioDescribes(t *testing.T) {
	c, carrier := sender(t)
	sent, err := c.Send(t.Context(), message())
	if err != nil || !strings.HasPrefix(sent.CarrierID, "SM") {
		t.Fatalf("%+v, %v", sent, err)
	}
	got := carrier.Messages(her)
	if len(got) != 1 || got[0].Body != `It's a test - "plain"...` || got[0].From != our {
		t.Errorf("the carrier has %+v", got)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// Each of Twilio's errors has its class, and none of ours holds the number or the words.
func TestFailuresAreClassed(t *testing.T) {
	for _, x := range []struct {
		fault standin.Fault
		want  bot.SendClass
		code  string
	}{
		{standin.Fault{Status: 429, Code: 20429}, bot.SendRetry, "20429"},
		{standin.Fault{Status: 400, Code: 30001}, bot.SendRetry, "30001"},
		{standin.Fault{Status: 500}, bot.SendUnknown, "http-500"}, // it may have been taken: the log is asked first
		{standin.Fault{Status: 503, Code: 20503}, bot.SendUnknown, "20503"},
		{standin.Fault{Status: 400, Code: 21211}, bot.SendRefused, "21211"},
		{standin.Fault{Status: 400, Code: 21614}, bot.SendRefused, "21614"},
		{standin.Fault{Status: 400, Code: 30003}, bot.SendRefused, "30003"},
		{standin.Fault{Status: 400, Code: 30005}, bot.SendRefused, "30005"},
		{standin.Fault{Status: 400, Code: 30006}, bot.SendRefused, "30006"},
		{standin.Fault{Status: 400, Code: 30007}, bot.SendRefused, "30007"},
		{standin.Fault{Status: 400, Code: 99999}, bot.SendRefused, "99999"},
		{standin.Fault{Status: 400, Code: 21610}, bot.SendOptedOut, "21610"},
		{standin.Fault{Accept: true, Break: true}, bot.SendUnknown, "network"},
	} {
		c, carrier := sender(t)
		carrier.Fail(x.fault)
		_, err := c.Send(t.Context(), message())
		var failed *bot.SendError
		if !errors.As(err, &failed) || failed.Class != x.want || failed.Code != x.code {
			t.Errorf("%+v: %v, want %s", x.fault, err, x.want)
			continue
		}
		if text := err.Error(); strings.Contains(text, "7700900123") || strings.Contains(text, "plain") {
			t.Errorf("the error says too much: %s", text)
		}
	}
	c, err := NewClient(Account{SID: account, AuthToken: secret, From: our, APIURL: "http://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var failed *bot.SendError
	if _, err := c.Send(t.Context(), message()); !errors.As(err, &failed) || failed.Class != bot.SendRetry {
		t.Errorf("nobody listens: %v, want retry: nothing was written", err)
	}
}

// A send whose answer was lost is found in the log, and not twice for two messages.
func TestFindASendOfUnknownOutcome(t *testing.T) {
	c, carrier := sender(t)
	m := message()
	nobody := func(string) bool { return false }
	if _, ok, err := c.Find(t.Context(), m, nobody); ok || err != nil {
		t.Fatalf("found what was never sent: %v, %v", ok, err)
	}
	carrier.Fail(standin.Fault{Accept: true, Break: true})
	c.Send(t.Context(), m)
	found, ok, err := c.Find(t.Context(), m, nobody)
	if !ok || err != nil {
		t.Fatalf("not found: %v", err)
	}
	if _, ok, _ := c.Find(t.Context(), m, func(id string) bool { return id == found.CarrierID }); ok {
		t.Error("found one that belongs to another message")
	}
}

// The example that Twilio's own libraries test their signatures with.
func TestTwiliosSignatureVector(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	const address, want = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	if got := standin.Sign("12345", address, form); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	flat := map[string]string{}
	for k := range form {
		flat[k] = form.Get(k)
	}
	validator := client.NewRequestValidator("12345")
	if !validator.Validate(address, flat, want) {
		t.Error("twilio-go refuses Twilio's own example")
	}
}

// recorder is a bot that notes what it gets.
type recorder struct {
	in       []bot.Inbound
	receipts []bot.DeliveryReceipt
	fail     error
	unsure   func(key string) (bool, error) // nil: nothing was taken in before
	asked    int
}

func (r *recorder) Receive(_ context.Context, in bot.Inbound) error {
	if r.fail == nil {
		r.in = append(r.in, in)
	}
	return r.fail
}

func (r *recorder) DeliveryReceipt(_ context.Context, x bot.DeliveryReceipt) error {
	if r.fail == nil {
		r.receipts = append(r.receipts, x)
	}
	return r.fail
}

func (r *recorder) Seen(_ context.Context, key string) (bool, error) {
	r.asked++
	if r.unsure == nil {
		return false, nil
	}
	return r.unsure(key)
}

// What never reached us is taken in as it was written, the oldest first, though Twilio
// lists the newest first: of STOP and START the last one is what she wants.
func TestTheSweepTakesInTheOldestFirst(t *testing.T) {
	client, twilio := sender(t)
	wrote := []string{"STOP", "START", "found a lump"}
	for _, words := range wrote {
		twilio.Lose(her, our, words)
	}
	r := &recorder{}
	if n, err := client.Sweep(t.Context(), r, "anytown", time.Now()); err != nil || n != len(wrote) {
		t.Fatalf("%d taken in, %v", n, err)
	}
	for i, words := range wrote {
		if r.in[i].Text != words {
			t.Errorf("number %d is %q, want %q", i+1, r.in[i].Text, words)
		}
	}
}

// A part of the store that does not answer keeps nobody else's messages back, and does not
// turn the order of her own; a sweep does not wait for it without end.
func TestTheSweepGoesOnWhereTheStoreAnswers(t *testing.T) {
	client, twilio := sender(t)
	dead := map[string]bool{"in:" + twilio.Lose(her, our, "STOP"): true}
	twilio.Lose("+447700900124", our, "found a lump")
	twilio.Lose(her, our, "START")
	r := &recorder{unsure: func(key string) (bool, error) {
		if dead[key] {
			return false, bot.ErrUnavailable
		}
		return false, nil
	}}
	n, err := client.Sweep(t.Context(), r, "anytown", time.Now())
	if n != 1 || !errors.Is(err, bot.ErrUnavailable) || len(r.in) != 1 || r.in[0].Text != "found a lump" {
		t.Errorf("%d taken in, %v: %+v; want what the other wrote, and that hers is not", n, err, r.in)
	}
	for i := range 2 * maxUnanswered {
		twilio.Lose(fmt.Sprintf("+447700900%d", 200+i), our, "hello")
	}
	r = &recorder{unsure: func(string) (bool, error) { return false, bot.ErrUnavailable }}
	if n, err := client.Sweep(t.Context(), r, "anytown", time.Now()); n != 0 || !errors.Is(err, bot.ErrUnavailable) || r.asked != maxUnanswered {
		t.Errorf("%d taken in, %v, asked %d times; want %d", n, err, r.asked, maxUnanswered)
	}
}

// A sweep looks an hour back, and two days where none has for an hour, or where the last one
// met a fault. It asks for all of that again: a fail-over may have lost what the store had.
func TestASweepLooksAtWhatMayBeMissing(t *testing.T) {
	client, twilio := sender(t)
	now := time.Now()
	lose := func(ago time.Duration) {
		twilio.Now = func() time.Time { return now.Add(-ago) }
		twilio.Lose(her, our, "hello")
	}
	sweep := func(want int) {
		t.Helper()
		r := &recorder{}
		if n, err := client.Sweep(t.Context(), r, "anytown", now); err != nil || n != want {
			t.Errorf("%d taken in, want %d, %v", n, want, err)
		}
	}
	lose(49 * time.Hour)
	lose(40 * time.Hour)
	for range logPage + 100 { // more than a page of Twilio's log
		lose(10 * time.Minute)
	}
	const all = 1 + logPage + 100
	sweep(all)
	sweep(all - 1)
	now = now.Add(recent / 2)
	lose(20 * time.Hour)
	sweep(all - 1)
	now = now.Add(recent / 2)
	sweep(all + 1)
	sweep(0)
	r := &recorder{fail: errors.New("broken")}
	lose(10 * time.Minute)
	if n, err := client.Sweep(t.Context(), r, "anytown", now); err == nil {
		t.Errorf("%d taken in by a bot that is broken", n)
	}
	sweep(all + 2)
}

const public = "https://lookout.example/base"

func webhooks(r *recorder) http.Handler {
	mux := http.NewServeMux()
	(&Webhooks{Bot: r, Service: "anytown", AuthToken: secret, PublicURL: public, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Register(mux)
	return mux
}

func post(h http.Handler, path string, form url.Values, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestInboundWebhook(t *testing.T) {
	form := url.Values{"MessageSid": {"SM1"}, "From": {her}, "To": {our}, "Body": {"hello"}, "NumMedia": {"1"}, "MediaUrl0": {"https://m"}, "MediaContentType0": {"image/jpeg"}, "OptOutType": {"STOP"}}
	signed := standin.Sign(secret, public+"/twilio/inbound", form)
	r := &recorder{}
	w := post(webhooks(r), "/twilio/inbound", form, signed)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<Response></Response>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(r.in) != 1 || r.in[0].CarrierID != "SM1" || r.in[0].From.At != her || r.in[0].OptOut != "STOP" || len(r.in[0].Media) != 1 {
		t.Errorf("the bot got %+v", r.in)
	}
	for name, x := range map[string]struct {
		signature string
		fail      error
		want      int
	}{
		"forged":          {standin.Sign("other", public+"/twilio/inbound", form), nil, 403},
		"unsigned":        {"", nil, 403},
		"of another path": {standin.Sign(secret, public+"/twilio/status", form), nil, 403},
		"store down":      {signed, bot.ErrUnavailable, 503},
		"came before":     {signed, bot.ErrDuplicate, 200},
	} {
		r := &recorder{fail: x.fail}
		if w := post(webhooks(r), "/twilio/inbound", form, x.signature); w.Code != x.want || len(r.in) != 0 {
			t.Errorf("%s: %d, want %d; the bot got %v", name, w.Code, x.want, r.in)
		}
	}
	form.Del("MessageSid")
	if w := post(webhooks(&recorder{}), "/twilio/inbound", form, standin.Sign(secret, public+"/twilio/inbound", form)); w.Code != 400 {
		t.Errorf("without an id: %d, want 400", w.Code)
	}
}

func TestStatusWebhook(t *testing.T) {
	path := "/twilio/status?m=anytown-p1-m1"
	for status, want := range map[string]bot.OutState{"delivered": bot.OutDelivered, "sent": bot.OutSent, "undelivered": bot.OutUndelivered, "failed": bot.OutFailed, "queued": "", "nonsense": ""} {
		form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {status}, "ErrorCode": {"30003"}}
		r := &recorder{}
		if w := post(webhooks(r), path, form, standin.Sign(secret, public+path, form)); w.Code != 204 {
			t.Errorf("%s: %d", status, w.Code)
		}
		if (want == "") != (len(r.receipts) == 0) || (want != "" && (r.receipts[0].State != want || r.receipts[0].Outgoing != "anytown-p1-m1")) {
			t.Errorf("%s: %+v", status, r.receipts)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]string{"07700 900123": her, "+44 7700 900123": her, "0044 7700 900123": her, "447700900123": her, "+44 (0)7700 900123": her, "+34 612 345 678": "+34612345678"} {
		if got, err := ParseNumber(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "020 7946 0123", "12345", "999", "not a number"} {
		if got, err := ParseNumber(text); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

// Whatever the form and the signature: an answer, and nothing taken in that is not signed.
func FuzzInbound(f *testing.F) {
	f.Add("MessageSid=SM1&From=%2B447700900123&Body=hi", "sig")
	f.Add("%zz", "")
	f.Fuzz(func(t *testing.T, body, signature string) {
		r := &recorder{}
		q := httptest.NewRequest("POST", "/twilio/inbound", strings.NewReader(body))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("X-Twilio-Signature", signature)
		w := httptest.NewRecorder()
		webhooks(r).ServeHTTP(w, q)
		if w.Code == 200 || len(r.in) > 0 {
			t.Fatalf("%d: an unsigned message was taken in", w.Code)
		}
	})
}

// A text of ours is counted in the segments that it is sent and paid in: 160 characters of
// GSM's alphabet fit into one and 153 into each of several, 70 and 67 where there is an emoji,
// which is two and is not cut. What fills one may be a piece of what somebody wrote.
func TestSegments(t *testing.T) {
	for _, x := range []struct {
		text string
		want int
	}{
		{"", 1}, {strings.Repeat("a", 160), 1}, {strings.Repeat("a", 161), 2}, {strings.Repeat("a", 306), 2}, {strings.Repeat("a", 307), 3},
		{strings.Repeat("€", 80), 1}, {strings.Repeat("€", 81), 2}, {"it’s " + strings.Repeat("a", 155), 1},
		{"😢" + strings.Repeat("a", 68), 1}, {"😢" + strings.Repeat("a", 69), 2}, {strings.Repeat("a", 66) + "😢" + strings.Repeat("a", 66), 3},
	} {
		if got := Segments(x.text); got != x.want {
			t.Errorf("%d characters from %.3q are %d segments, want %d", len([]rune(x.text)), x.text, got, x.want)
		}
	}
	for text, want := range map[string]bool{"": false, "hello": false, strings.Repeat("a", 153): true, strings.Repeat("a", 151) + "€": true, strings.Repeat("a", 150): false,
		strings.Repeat("a", 67): true, strings.Repeat("a", 64) + "😢": true, strings.Repeat("a", 68): false, strings.Repeat("a", 160): false} {
		if got := piece(text); got != want {
			t.Errorf("%d characters may be a piece: %v, want %v", len([]rune(text)), got, want)
		}
	}
}
