package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Locales that texts can be asked for in.
var locales = []string{"en-GB", "cy"}

// Enrol takes somebody into follow-up. With her consent to texts she is welcomed
// and her plan begins; without it she is invited and asked. A *[FieldError]
// names the first field that is wrong; the number and the date are never repeated.
func (b *Bot) Enrol(ctx context.Context, e Enrolment, by string) (Patient, error) {
	now := b.now()
	p := Patient{
		ID: b.newID(), Service: b.service.ID,
		GivenName: strings.TrimSpace(e.GivenName), FamilyName: strings.TrimSpace(e.FamilyName),
		BirthDate: e.BirthDate, Locale: e.Locale, Plan: e.Plan, TreatmentEnded: e.TreatmentEnded,
		EnrolledAt: now, Status: Invited, Profile: e.Profile,
	}
	if p.Locale == "" {
		p.Locale = "en-GB"
	}
	if p.Plan == "" {
		p.Plan = "standard"
	}
	var err error
	if e.NHSNumber != "" {
		if p.NHSNumber, err = ParseNHSNumber(e.NHSNumber); err != nil {
			return Patient{}, err
		}
	}
	if err := b.checkPatient(&p, now); err != nil {
		return Patient{}, err
	}
	if e.Phone != "" {
		if !strings.HasPrefix(e.Phone, "+") || strings.Trim(e.Phone[1:], "0123456789") != "" || len(e.Phone) < 8 || len(e.Phone) > 16 {
			return Patient{}, &FieldError{"phone", "must be a mobile number in full, for example +447700900123"}
		}
		p.Addresses = []Address{{Channel: "sms", At: e.Phone}}
	}
	return p, b.turn(ctx, p.ID, "", func() Record { return Record{Patient: p} }, func(t *turn) error {
		t.unasked = true
		t.entry(Entry{Kind: EntryStatus, By: by, Why: "enrolled on the plan " + p.Plan})
		if len(p.Addresses) == 0 {
			t.rec.Patient.Status = Active // reached through the chat, or rung
			t.planNext("")
			return nil
		}
		when, _ := t.slot(t.now, "welcome")
		if !e.ConsentSMS {
			t.entry(Entry{Kind: EntryStatus, By: by, Why: "to be invited: she is asked before anything else is sent"})
			t.wake(Wake{Key: "plan", Kind: WakePlan, At: when, Ref: inviteItem})
			return nil
		}
		t.consent(true, by, "agreed to texts when she was enrolled")
		return nil
	})
}

// checkPatient says which field is wrong.
func (b *Bot) checkPatient(p *Patient, now time.Time) error {
	switch {
	case p.GivenName == "":
		return &FieldError{"given_name", "is missing"}
	case p.FamilyName == "":
		return &FieldError{"family_name", "is missing"}
	case len(p.GivenName) > 100 || len(p.FamilyName) > 100:
		return &FieldError{"given_name", "and family_name may have at most 100 characters"}
	case !slices.Contains(locales, p.Locale):
		return &FieldError{"locale", "must be one of " + strings.Join(locales, ", ")}
	}
	if _, ok := b.content.Plan(p.Plan); !ok {
		return &FieldError{"plan", "is not a plan of this service's content"}
	}
	born, err := time.Parse(time.DateOnly, p.BirthDate)
	switch {
	case err != nil:
		return &FieldError{"birth_date", "must be a date like 1961-04-30"}
	case born.After(now.AddDate(-16, 0, 0)) || born.Before(now.AddDate(-120, 0, 0)):
		return &FieldError{"birth_date", "must be that of somebody between 16 and 120 years old"}
	}
	ended, err := time.Parse(time.DateOnly, p.TreatmentEnded)
	switch {
	case err != nil:
		return &FieldError{"treatment_ended", "must be a date like 2026-09-30"}
	case ended.After(now.AddDate(1, 0, 0)):
		return &FieldError{"treatment_ended", "is more than a year ahead: check the year"}
	case ended.Before(born):
		return &FieldError{"treatment_ended", "is before her birth date"}
	}
	return nil
}

// Start begins a flow with her now, whatever the hour: somebody asked for it.
// [ErrRefused] when no text may go to her.
func (b *Bot) Start(ctx context.Context, patient, flow, by string) error {
	if !b.content.Program().Has(flow) {
		return &FieldError{"flow", "is not a flow of this service's content"}
	}
	if _, err := b.load(ctx, patient); err != nil {
		return err
	}
	return b.turn(ctx, patient, "", nil, func(t *turn) error {
		if s := t.rec.Patient.Status; s != Active && s != Invited && s != Paused {
			return fmt.Errorf("%w: she is %s; nothing is asked of her", ErrRefused, s)
		}
		if t.channel() == "" {
			return fmt.Errorf("%w: no address is known for her", ErrRefused)
		}
		t.begin(flow, "started by "+by)
		return nil
	})
}
