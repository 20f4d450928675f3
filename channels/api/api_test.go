package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

const token = "a-token-for-tests-only"

// contract is openapi.json as a router.
func contract(t testing.TB) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

// serve is the API over a real bot and a real store.
func serve(t testing.TB) http.Handler {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, NurseLine: "01632 960 001", CancerLine: "01632 960 002", Promise: bot.DefaultPromise,
		Sending: bot.Sending{From: 600, To: 960, Before: time.Hour}, PageEvery: time.Minute, Lease: time.Minute}
	team.Hours.Location = time.UTC
	for i := range team.Hours.Week {
		team.Hours.Week[i] = []bot.Spell{{From: 540, To: 1020}}
	}
	b, err := bot.New(t.Context(), bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, PublicURL: "http://x", Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&API{Bot: b, Token: token, ParseNumber: func(s string) (string, error) {
		if !strings.HasPrefix(s, "+") {
			return "", errors.New("must be in full")
		}
		return s, nil
	}, Log: slog.New(slog.DiscardHandler)}).Register(mux)
	return mux
}

// call makes a request, and holds answer (and where it should be good, request) to the contract.
func call(t *testing.T, h http.Handler, router routers.Router, method, path, body string, want int) string {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, w.Code, want, w.Body)
	}
	check := httptest.NewRequest(method, path, strings.NewReader(body))
	check.Header = r.Header
	route, params, err := router.FindRoute(check)
	if err != nil {
		t.Fatalf("%s %s is not in the contract: %v", method, path, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: check, PathParams: params, Route: route, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if want < 300 {
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("%s %s: taken, and not in the contract: %v", method, path, err)
		}
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes()))})
	if err != nil {
		t.Errorf("%s %s: the answer is not in the contract: %v", method, path, err)
	}
	return w.Body.String()
}

const good = `{"given_name":"Mary","family_name":"Jones","birth_date":"1961-04-30","nhs_number":"999 012 3454","phone":"+447700900123","locale":"en-GB","treatment_ended":"2026-09-30","plan":"standard","consent":{"sms":true}}`

func TestHandlersKeepTheContract(t *testing.T) {
	_, router := contract(t)
	h := serve(t)
	id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(call(t, h, router, "POST", "/api/v1/patients", good, 201))[1]
	call(t, h, router, "GET", "/api/v1/patients/"+id, "", 200)
	call(t, h, router, "GET", "/api/v1/patients/nobody", "", 404)
	call(t, h, router, "POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	call(t, h, router, "POST", "/api/v1/patients/"+id+"/start", `{"flow":"nothing"}`, 422)
	if text := call(t, h, router, "GET", "/api/v1/patients/"+id+"/timeline", "", 200); !strings.Contains(text, "Any change in your chest") {
		t.Errorf("the timeline lacks the check-in: %s", text)
	}
	call(t, h, router, "GET", "/api/v1/queue?state=open", "", 200)
	call(t, h, router, "GET", "/api/v1/queue?state=lost", "", 422)
	for _, act := range []string{"claim", "release", "note", "close"} {
		call(t, h, router, "POST", "/api/v1/queue/nothing/"+act, `{"by":"ann","text":"x"}`, 404)
		call(t, h, router, "POST", "/api/v1/queue/nothing/"+act, `{}`, 422)
	}
}

// Each wrong field is named, and what was given is not repeated.
func TestWrongFieldsAreNamed(t *testing.T) {
	_, router := contract(t)
	h := serve(t)
	for change, field := range map[[2]string]string{
		{`"Mary"`, `""`}:                     "given_name",
		{`"Mary"`, `"Ma\u0000ry"`}:           "given_name",
		{`"1961-04-30"`, `"30/04/1961"`}:     "birth_date",
		{`"1961-04-30"`, `"2025-04-30"`}:     "birth_date",
		{`"999 012 3454"`, `"999 012 3455"`}: "nhs_number",
		{`"+447700900123"`, `"flamingo"`}:    "phone",
		{`"en-GB"`, `"fr"`}:                  "locale",
		{`"2026-09-30"`, `"1900-01-01"`}:     "treatment_ended",
		{`"standard"`, `"gold"`}:             "plan",
		{`"plan"`, `"plam"`}:                 "plam",
		{`{"sms":true}`, `{"sms":"yes"}`}:    "consent",
	} {
		body := strings.Replace(good, change[0], change[1], 1)
		text := call(t, h, router, "POST", "/api/v1/patients", body, 422)
		if !strings.Contains(text, field) || strings.Contains(text, "flamingo") {
			t.Errorf("%v: %s, want it to name %s and repeat nothing", change, text, field)
		}
	}
	both := strings.NewReplacer(`"Mary"`, `""`, `"en-GB"`, `"fr"`).Replace(good)
	if text := call(t, h, router, "POST", "/api/v1/patients", both, 422); !strings.Contains(text, `"field":"given_name"`) || !strings.Contains(text, `"field":"locale"`) {
		t.Errorf("two fields are wrong, and not both are named: %s", text)
	}
	call(t, h, router, "POST", "/api/v1/patients", `{`, 400)
	call(t, h, router, "POST", "/api/v1/patients", `{"given_name":"`+strings.Repeat("x", 70_000)+`"}`, 413)
}

// Every refusal is a problem detail with the status that the fault has in HTTP: for
// an address that is not there, a method that it does not take, a body of another kind.
func TestRefusalsAreProblems(t *testing.T) {
	h := serve(t)
	doc, _ := contract(t)
	try := func(method, path, kind, bearer string, want int) http.Header {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", "Bearer "+bearer)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var p problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); method != http.MethodHead && (err != nil || p.Status != want || p.Title == "" || p.Detail == "" || p.Type != "about:blank") {
			t.Errorf("%s %s: %v, %s", method, path, err, w.Body)
		}
		if w.Code != want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d with %v, want %d", method, path, w.Code, w.Header(), want)
		}
		return w.Header()
	}
	for template, item := range doc.Paths.Map() {
		if !strings.HasPrefix(template, "/api/") {
			continue
		}
		path := strings.ReplaceAll(template, "{id}", "nobody")
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if item.GetOperation(method) != nil {
				if method == "POST" {
					try(method, path, "text/csv", token, 415)
				}
				continue
			}
			if allow := try(method, path, "application/json", token, 405).Get("Allow"); allow == "" || strings.Contains(allow, method) {
				t.Errorf("%s %s: it says that it takes %q", method, path, allow)
			}
		}
		try("DELETE", path, "application/json", "wrong", 401)
	}
	for _, path := range []string{"/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/queue", "/api/v1/patients/nobody/nothing"} {
		try("GET", path, "application/json", token, 404)
		try("GET", path, "application/json", "wrong", 401)
	}
	try("GET", "/api/v1/queue?stat=open", "application/json", token, 422)
}

func TestTokenIsRequired(t *testing.T) {
	h := serve(t)
	for _, header := range []string{"", "Bearer", "Bearer wrong", "Basic " + token, "Bearer " + token + "x"} {
		r := httptest.NewRequest("GET", "/api/v1/queue", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d %s", header, w.Code, w.Header())
		}
	}
}

// Whatever is posted: an answer below 500.
func FuzzPatients(f *testing.F) {
	f.Add(good)
	f.Add(`{"profile":{"side":7}}`)
	h := serve(f)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/api/v1/patients", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
	})
}
