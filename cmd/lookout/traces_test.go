package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/channels/sms/standin"
)

// receiver is a collector that takes OTLP over HTTP, as a hospital's does.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*traces.Span
	text  string // everything that came, as JSON
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body := io.Reader(q.Body)
		if q.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(q.Body); err != nil {
				t.Error(err)
				return
			}
		}
		sent, err := io.ReadAll(body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(sent, &export)
		}
		if err != nil || q.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", q.URL.Path, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.text += protojson.Format(&export)
		for _, of := range export.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// named gives the spans of a name, of one trace where it is given.
func (r *receiver) named(name string, trace []byte) (out []*traces.Span) {
	for _, s := range r.spans {
		if s.Name == name && (trace == nil || string(s.TraceId) == string(trace)) {
			out = append(out, s)
		}
	}
	return out
}

// The way of an event can be followed from the webhook to the carrier's word on the answer,
// over a Redis; the log names the trace; and nothing in any of it is of a person's.
func TestTraces(t *testing.T) {
	to := newReceiver(t)
	w := newWorldOn(t, "redis://"+storetest.StartRedis(t).Addr, func(s *settings) { s.Traces.Endpoint = to.URL })
	w.carrier.Allow(nursePhone)
	id := w.enrol("Zebedeemarker", mary)
	w.carrier.Fail(standin.Fault{Status: 500, Code: 20500})
	w.reply(mary, "wordmarker I found a lump in my breast")
	if !eventually(t, func() bool {
		out, err := w.process.store.Outgoing(t.Context(), id+"-m2")
		return err == nil && out.Attempts == 1 && out.State == bot.OutPending
	}) {
		t.Fatalf("the send has not failed:\n%s", w.log)
	}
	w.clock.forward(10 * time.Second) // to the next try
	w.expect(mary, 1, "Your nurse will contact you by")
	w.carrier.Settle()
	row := w.rows("open")[0]["id"].(string)
	w.call("POST", "/api/v1/queue/"+row+"/claim", `{"by":"annmarker@example.org"}`, 200)
	w.call("POST", "/api/v1/queue/"+row+"/note", `{"by":"annmarker@example.org","text":"notemarker"}`, 200)
	w.clock.forward(time.Hour) // the claim runs out
	if _, err := w.process.bot.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.halt()

	to.mu.Lock()
	defer to.mu.Unlock()
	for _, mark := range []string{"Zebedee", "Jones", "447700", "7700900", "wordmarker", "lump", "notemarker", "annmarker", "1961", "999012", id, strings.TrimPrefix(id, "anytown-"), row, "SM00000"} {
		if strings.Contains(to.text, mark) {
			t.Errorf("the traces have %q", mark)
		}
	}
	webhooks := to.named("POST /twilio/inbound", nil)
	if len(webhooks) != 1 {
		t.Fatalf("%d webhooks are traced, want 1: %s", len(webhooks), to.text)
	}
	trace := webhooks[0].TraceId
	above := map[string]string{} // a span's id, and the name of its parent
	names := map[string]string{}
	for _, s := range to.spans {
		names[string(s.SpanId)] = s.Name
	}
	for _, s := range to.spans {
		if string(s.TraceId) == string(trace) {
			above[s.Name] = names[string(s.ParentSpanId)]
		}
	}
	for name, parent := range map[string]string{"receive": "POST /twilio/inbound", "turn": "receive", "commit": "turn", "send": "turn", "receipt": "turn"} {
		if above[name] != parent {
			t.Errorf("%s stands under %q, want %q: %v", name, above[name], parent, above)
		}
	}
	if n := len(to.named("send", trace)); n != 2 {
		t.Errorf("%d sends of her answer, want the one that failed and the one that went", n)
	}
	for _, name := range []string{"POST /api/v1/queue/{id}/claim", "POST /twilio/status", "wake"} {
		if len(to.named(name, nil)) == 0 {
			t.Errorf("no span %s", name)
		}
	}
	if line := `msg="a message did not go"`; !strings.Contains(w.log.String(), line) || !strings.Contains(w.log.String(), "trace="+hex.EncodeToString(trace)) {
		t.Errorf("the log does not name the trace of the send that failed:\n%s", w.log)
	}
}

// Without a collector a request is handed on as it is.
func TestTracesAreOff(t *testing.T) {
	if off, err := (&tracesSettings{}).provider(t.Context(), nil); off != nil || err != nil {
		t.Errorf("without an address there are traces: %v", err)
	}
	mux := http.NewServeMux()
	if h := traced(nil, mux, mux); h != http.Handler(mux) {
		t.Error("without traces a request goes through more than without")
	}
	if _, err := loaded(t, goodSettings, "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318"); err == nil || !strings.Contains(err.Error(), "traces.endpoint: must be the address") {
		t.Errorf("an address that is none: %v", err)
	}
}
