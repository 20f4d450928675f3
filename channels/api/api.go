// Package api is the JSON door for other systems of the hospital.
//
// It promises: the contract of openapi.json; a success is answered only after
// the change is durable; every error is a problem detail (RFC 9457) that names the
// field and what to do, and never repeats what was given. It refuses whoever
// lacks the bearer token, unknown fields, and to know any rule of the
// conversation.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"lookout/bot"
)

//go:embed openapi.json
var openAPI []byte

// Bot is what this door asks of the bot.
type Bot interface {
	Enrol(ctx context.Context, e bot.Enrolment, by string) (bot.Patient, error)
	Start(ctx context.Context, patient, flow, by string) error
	Case(ctx context.Context, patient string) (bot.Case, error)
	Queue(ctx context.Context, filter bot.QueueFilter) ([]bot.Row, error)
	Take(ctx context.Context, a bot.Act) (bot.Row, error)
	Release(ctx context.Context, a bot.Act) (bot.Row, error)
	Note(ctx context.Context, a bot.Act, text string) (bot.Row, error)
	CloseRow(ctx context.Context, closing bot.Closing) (bot.Row, error)
	Audit(ctx context.Context, entry bot.AuditEntry) error
}

// API serves /api/v1 and /openapi.json.
type API struct {
	Bot Bot
	// Token is the bearer token; empty refuses everybody.
	Token string
	// ParseNumber puts a telephone number into the form that the bot wants.
	ParseNumber func(string) (string, error)
	Log         *slog.Logger
}

// maxBody bounds a request, in bytes.
const maxBody = 64 << 10

// Register puts every route of the API on a mux.
func (a *API) Register(mux *http.ServeMux) {
	allowed := make(map[string]string) // method by path: each has one
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /api/v1/patients":              a.enrol,
		"GET /api/v1/patients/{id}":          a.patient,
		"GET /api/v1/patients/{id}/timeline": a.timeline,
		"POST /api/v1/patients/{id}/start":   a.start,
		"GET /api/v1/queue":                  a.queue,
		"POST /api/v1/queue/{id}/claim":      a.act("claim row", a.claim),
		"POST /api/v1/queue/{id}/release":    a.act("release row", a.release),
		"POST /api/v1/queue/{id}/note":       a.act("note row", a.note),
		"POST /api/v1/queue/{id}/close":      a.act("close row", a.close),
	} {
		mux.Handle(pattern, a.authorised(handle))
		method, path, _ := strings.Cut(pattern, " ")
		allowed[path] = method
	}
	for path, method := range allowed {
		if method == http.MethodGet {
			method = "GET, HEAD"
		}
		mux.Handle(path, a.authorised(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", method)
			return &problem{Status: http.StatusMethodNotAllowed, Title: "Method not allowed", Detail: "This address takes " + method + "."}
		}))
	}
	mux.Handle("/api/", a.authorised(func(w http.ResponseWriter, r *http.Request) error {
		return &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "There is no such address: see /openapi.json."}
	}))
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(openAPI)
	})
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`
}

type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Title }

// authorised checks the token in constant time, and turns errors into problems.
func (a *API) authorised(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	want := sha256.Sum256([]byte(a.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		have := sha256.Sum256([]byte(given))
		if !isBearer || a.Token == "" || subtle.ConstantTimeCompare(want[:], have[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="lookout"`)
			a.fail(w, r, &problem{Status: http.StatusUnauthorized, Title: "Not authorised", Detail: "Send the token as `Authorization: Bearer …`."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := handle(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// fail answers with a problem. What is not expected is logged, and a stranger sees no more than that.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := &problem{Status: http.StatusInternalServerError, Title: "Internal error", Detail: "It was not carried out. Try again; if it stays so, look at the log."}
	var known *problem
	var field *bot.FieldError
	var fields bot.FieldErrors
	var held *bot.HeldError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		p = known
	case errors.As(err, &field):
		p = &problem{Status: http.StatusUnprocessableEntity, Title: "A field is wrong", Detail: field.Error(), Errors: []fieldError{{field.Field, field.Problem}}}
	case errors.As(err, &fields):
		p = &problem{Status: http.StatusUnprocessableEntity, Title: "Fields are wrong", Detail: fields.Error()}
		for _, f := range fields {
			p.Errors = append(p.Errors, fieldError{f.Field, f.Problem})
		}
	case errors.As(err, &held):
		p = &problem{Status: http.StatusConflict, Title: "Another holds it", Detail: held.Error()}
	case errors.As(err, &large):
		p = &problem{Status: http.StatusRequestEntityTooLarge, Title: "Too large", Detail: "A request may have at most 64 kB."}
	case errors.Is(err, bot.ErrNotFound):
		p = &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "There is nothing of that id."}
	case errors.Is(err, bot.ErrConflict), errors.Is(err, bot.ErrRefused):
		p = &problem{Status: http.StatusConflict, Title: "Not possible now", Detail: err.Error()}
	case errors.Is(err, bot.ErrInvalid):
		p = &problem{Status: http.StatusUnprocessableEntity, Title: "Invalid", Detail: "The request cannot be carried out as it is."}
	case errors.Is(err, bot.ErrUnavailable):
		p = &problem{Status: http.StatusServiceUnavailable, Title: "Not available", Detail: "Nothing was changed. Try again in a moment."}
		w.Header().Set("Retry-After", "2")
	}
	if p.Status >= 500 && r.Context().Err() == nil { // who has gone away wants no answer
		a.Log.ErrorContext(r.Context(), "api request failed", "method", r.Method, "route", r.Pattern, "err", err)
	}
	p.Type = "about:blank"
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// read decodes a request strictly.
func read(r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); t != "" && !strings.HasPrefix(t, "application/json") {
		return &problem{Status: http.StatusUnsupportedMediaType, Title: "Not JSON", Detail: "Send Content-Type: application/json."}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		return &problem{Status: http.StatusBadRequest, Title: "Not one JSON object", Detail: "Send exactly one object."}
	}
	if err == nil {
		return nil
	}
	var large *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return large
	case errors.As(err, &kind):
		return &bot.FieldError{Field: kind.Field, Problem: "must be a " + kind.Type.String()}
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		if len(name) > 40 {
			name = name[:40]
		}
		return &bot.FieldError{Field: name, Problem: "is not a field of this request: see /openapi.json"}
	}
	return &problem{Status: http.StatusBadRequest, Title: "Not JSON", Detail: "The body cannot be read as JSON."}
}

func write(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// audit keeps who read what through this door. What cannot be audited is not shown.
func (a *API) audit(r *http.Request, did, patient, ref string) error {
	return a.Bot.Audit(r.Context(), entry(r, did, patient, ref))
}

func entry(r *http.Request, did, patient, ref string) bot.AuditEntry {
	return bot.AuditEntry{By: "api", Did: did, Patient: patient, Ref: ref, From: r.RemoteAddr}
}

type enrolRequest struct {
	GivenName      string      `json:"given_name"`
	FamilyName     string      `json:"family_name"`
	BirthDate      string      `json:"birth_date"`
	NHSNumber      string      `json:"nhs_number"`
	Phone          string      `json:"phone"`
	Locale         string      `json:"locale"`
	TreatmentEnded string      `json:"treatment_ended"`
	Plan           string      `json:"plan"`
	Area           string      `json:"area"`
	Consent        consent     `json:"consent"`
	Profile        bot.Profile `json:"profile"`
}

type consent struct {
	SMS bool `json:"sms"`
}

func (a *API) enrol(w http.ResponseWriter, r *http.Request) error {
	var q enrolRequest
	if err := read(r, &q); err != nil {
		return err
	}
	e := bot.Enrolment{GivenName: q.GivenName, FamilyName: q.FamilyName, BirthDate: q.BirthDate, NHSNumber: q.NHSNumber, Locale: q.Locale,
		TreatmentEnded: q.TreatmentEnded, Plan: q.Plan, ConsentSMS: q.Consent.SMS, Profile: q.Profile, Area: q.Area}
	if q.Phone != "" {
		number, err := a.ParseNumber(q.Phone)
		if err != nil {
			return &bot.FieldError{Field: "phone", Problem: err.Error()}
		}
		e.Phone = number
	}
	p, err := a.Bot.Enrol(bot.Audited(r.Context(), entry(r, "enrol patient", "", "")), e, "api")
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/patients/"+p.ID)
	return write(w, http.StatusCreated, map[string]string{"id": p.ID})
}

// patientView is a patient as other systems see her.
type patientView struct {
	ID             string    `json:"id"`
	GivenName      string    `json:"given_name"`
	FamilyName     string    `json:"family_name"`
	BirthDate      string    `json:"birth_date"`
	NHSNumber      string    `json:"nhs_number,omitempty"`
	Phone          string    `json:"phone,omitempty"`
	Locale         string    `json:"locale"`
	TreatmentEnded string    `json:"treatment_ended"`
	Plan           string    `json:"plan"`
	Status         string    `json:"status"`
	EnrolledAt     time.Time `json:"enrolled_at"`
}

func (a *API) patient(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Bot.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	p := c.Patient
	if err := a.audit(r, "read patient", p.ID, ""); err != nil {
		return err
	}
	phone, _ := p.Address("sms")
	return write(w, http.StatusOK, patientView{p.ID, p.GivenName, p.FamilyName, p.BirthDate, p.NHSNumber, phone.At, p.Locale, p.TreatmentEnded, p.Plan, string(p.Status), p.EnrolledAt.UTC()})
}

func (a *API) timeline(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Bot.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := a.audit(r, "read timeline", c.Patient.ID, ""); err != nil {
		return err
	}
	type moment struct {
		bot.Entry
		Delivery bot.OutState `json:"delivery,omitempty"`
		Code     string       `json:"code,omitempty"`
	}
	items := make([]moment, len(c.Moments))
	for i, m := range c.Moments {
		m.At = m.At.UTC()
		items[i] = moment{m.Entry, m.Delivery, m.Code}
	}
	return write(w, http.StatusOK, map[string]any{"items": items})
}

func (a *API) start(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Flow string `json:"flow"`
	}
	if err := read(r, &q); err != nil {
		return err
	}
	if q.Flow == "" {
		return &bot.FieldError{Field: "flow", Problem: "is missing: name the flow, for example check-in"}
	}
	id := r.PathValue("id")
	if err := a.Bot.Start(bot.Audited(r.Context(), entry(r, "start flow "+q.Flow, "", "")), id, q.Flow, "api"); err != nil {
		return err
	}
	return write(w, http.StatusOK, map[string]string{"id": id, "flow": q.Flow})
}

// rowView is a row as other systems see it.
type rowView struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	PatientID   string     `json:"patient_id"`
	PatientName string     `json:"patient_name"`
	Level       string     `json:"level"`
	Concern     string     `json:"concern"`
	Reason      string     `json:"reason"`
	Message     string     `json:"message"`
	OpenedAt    time.Time  `json:"opened_at"`
	DueAt       time.Time  `json:"due_at"`
	State       string     `json:"state"`
	ClaimedBy   string     `json:"claimed_by"`
	ClosedAt    *time.Time `json:"closed_at,omitempty"`
	Outcome     string     `json:"outcome,omitempty"`
}

func view(r bot.Row) rowView {
	v := rowView{ID: r.ID, Name: r.Name(), PatientID: r.Patient, PatientName: r.PatientName, Level: r.Level.String(), Concern: r.Concern, Reason: r.Reason, Message: r.Message,
		OpenedAt: r.OpenedAt.UTC(), DueAt: r.DueAt.UTC(), State: string(r.State), ClaimedBy: r.ClaimedBy, Outcome: r.Outcome}
	if !r.ClosedAt.IsZero() {
		at := r.ClosedAt.UTC()
		v.ClosedAt = &at
	}
	return v
}

func (a *API) queue(w http.ResponseWriter, r *http.Request) error {
	for name := range r.URL.Query() {
		if name != "state" {
			return &bot.FieldError{Field: "query", Problem: "has a parameter that is not known: only state is"}
		}
	}
	filter := bot.QueueFilter{Limit: 1000}
	switch state := r.URL.Query().Get("state"); state {
	case "":
	case "open", "claimed", "closed", "snoozed":
		filter.States = []bot.RowState{bot.RowState(state)}
	default:
		return &bot.FieldError{Field: "state", Problem: "must be open, claimed, snoozed or closed"}
	}
	rows, err := a.Bot.Queue(r.Context(), filter)
	if err != nil {
		return err
	}
	if err := a.audit(r, "read queue", "", ""); err != nil {
		return err
	}
	items := make([]rowView, len(rows))
	for i, row := range rows {
		items[i] = view(row)
	}
	return write(w, http.StatusOK, map[string]any{"items": items})
}

type actRequest struct {
	By      string `json:"by"`
	Text    string `json:"text"`
	Outcome string `json:"outcome"`
}

// act is the frame of the four acts on a row.
func (a *API) act(did string, do func(ctx context.Context, id string, q actRequest) (bot.Row, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var q actRequest
		if err := read(r, &q); err != nil {
			return err
		}
		if strings.TrimSpace(q.By) == "" {
			return &bot.FieldError{Field: "by", Problem: "is missing: say who acts"}
		}
		id := r.PathValue("id")
		row, err := do(bot.Audited(r.Context(), entry(r, did+" by "+q.By, "", id)), id, q)
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, view(row))
	}
}

func (a *API) claim(ctx context.Context, id string, q actRequest) (bot.Row, error) {
	return a.Bot.Take(ctx, bot.Act{Row: id, By: q.By})
}

func (a *API) release(ctx context.Context, id string, q actRequest) (bot.Row, error) {
	return a.Bot.Release(ctx, bot.Act{Row: id, By: q.By})
}

func (a *API) note(ctx context.Context, id string, q actRequest) (bot.Row, error) {
	return a.Bot.Note(ctx, bot.Act{Row: id, By: q.By}, q.Text)
}

func (a *API) close(ctx context.Context, id string, q actRequest) (bot.Row, error) {
	if q.Outcome == "" {
		q.Outcome = "advice"
	}
	return a.Bot.CloseRow(ctx, bot.Closing{Row: id, By: q.By, Outcome: q.Outcome, Note: q.Text})
}
