package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Locales that texts can be asked for in. Both is for whose wish is not known yet:
// she gets each text in English and in Welsh (Welsh Language Standards, No. 7).
var locales = []string{"en-GB", "cy", localeBoth}

const localeBoth = "both"

// fullPostcode is one of the United Kingdom, both halves.
var fullPostcode = regexp.MustCompile(`(?i)^[a-z]{1,2}[0-9][a-z0-9]? *[0-9][a-z]{2}$`)

// Enrol takes somebody into follow-up. With her consent to texts she is welcomed
// and her plan begins; without it she is invited and asked. [FieldErrors] name
// every field that is wrong; the number and the date are never repeated.
func (b *Bot) Enrol(ctx context.Context, e Enrolment, by string) (Patient, error) {
	p, err := b.CheckEnrolment(e)
	if err != nil {
		return Patient{}, err
	}
	p.ID = b.newID()
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

// CheckEnrolment gives the patient that an enrolment would make, without an id, or
// [FieldErrors] with every field that is wrong. It keeps nothing.
func (b *Bot) CheckEnrolment(e Enrolment) (Patient, error) {
	now := b.now()
	p := Patient{
		Service:   b.service.ID,
		GivenName: strings.TrimSpace(e.GivenName), FamilyName: strings.TrimSpace(e.FamilyName),
		BirthDate: e.BirthDate, Locale: cmp.Or(e.Locale, "en-GB"), Plan: cmp.Or(e.Plan, "standard"), TreatmentEnded: e.TreatmentEnded,
		EnrolledAt: now, Status: Invited, Profile: e.Profile, Area: strings.TrimSpace(e.Area),
	}
	var faults FieldErrors
	fault := func(field, problem string) { faults = append(faults, &FieldError{field, problem}) }
	for field, name := range map[string]string{"given_name": p.GivenName, "family_name": p.FamilyName} {
		switch {
		case name == "":
			fault(field, "is missing")
		case len(name) > 100:
			fault(field, "may have at most 100 characters")
		case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
			fault(field, "has a character that is no part of a name: a line break, a tab, or one that cannot be read")
		}
	}
	born, err := time.Parse(time.DateOnly, p.BirthDate)
	switch {
	case err != nil:
		fault("birth_date", "must be a date like 1961-04-30")
	case born.After(now.AddDate(-16, 0, 0)) || born.Before(now.AddDate(-120, 0, 0)):
		fault("birth_date", "must be that of somebody between 16 and 120 years old")
	}
	if e.NHSNumber != "" {
		var field *FieldError
		if p.NHSNumber, err = ParseNHSNumber(e.NHSNumber); errors.As(err, &field) {
			faults = append(faults, field)
		}
	}
	if e.Phone != "" {
		if !strings.HasPrefix(e.Phone, "+") || strings.Trim(e.Phone[1:], "0123456789") != "" || len(e.Phone) < 8 || len(e.Phone) > 16 {
			fault("phone", "must be a mobile number in full, for example +447700900123")
		}
		p.Addresses = []Address{{Channel: "sms", At: e.Phone}}
		if b.service.Canary.on() && p.Addresses[0] == b.service.Canary.From {
			fault("phone", "is the service's own number for its daily test")
		}
	}
	if !slices.Contains(locales, p.Locale) {
		fault("locale", "must be one of "+strings.Join(locales, ", "))
	}
	ended, err := time.Parse(time.DateOnly, p.TreatmentEnded)
	switch {
	case err != nil:
		fault("treatment_ended", "must be a date like 2026-09-30")
	case ended.After(now.AddDate(1, 0, 0)):
		fault("treatment_ended", "is more than a year ahead: check the year")
	case !born.IsZero() && ended.Before(born):
		fault("treatment_ended", "is before her birth date")
	}
	for field, day := range p.Profile.days() {
		if problem := wrongDay(day, born, now); problem != "" {
			fault(field, problem)
		}
	}
	switch {
	case len(p.Area) > 40 || !utf8.ValidString(p.Area) || strings.ContainsFunc(p.Area, unicode.IsControl):
		fault("area", "may have at most 40 characters, like LS12 or a ward's name")
	case fullPostcode.MatchString(p.Area):
		fault("area", "must not be a full postcode, which is too near to a person: its first half is enough")
	}
	if _, ok := b.content.Plan(p.Plan); !ok {
		fault("plan", "is not a plan of this service's content")
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(x, y *FieldError) int { return strings.Compare(x.Field, y.Field) })
		return Patient{}, faults
	}
	return p, nil
}

// Known finds whoever an enrolment would enrol a second time: by her NHS number, or
// by telephone and birth date. [ErrNotFound]: nobody. [FieldErrors]: her NHS number
// is that of somebody with another birth date.
func (b *Bot) Known(ctx context.Context, p Patient) (Patient, error) {
	if p.NHSNumber != "" {
		found, err := b.store.Find(ctx, b.service.ID, p.NHSNumber, 50)
		if err != nil {
			return Patient{}, err
		}
		for _, x := range found {
			if x.NHSNumber != p.NHSNumber {
				continue // a telephone of the same digits
			}
			if x.BirthDate != p.BirthDate {
				return Patient{}, FieldErrors{{"nhs_number", "is on record for somebody with another birth date: find out which is right"}}
			}
			return x, nil
		}
	}
	for _, at := range p.Addresses {
		ids, err := b.store.PatientsAt(ctx, b.service.ID, at)
		if err != nil {
			return Patient{}, err
		}
		for _, id := range ids {
			rec, err := b.store.Load(ctx, id)
			if err != nil {
				return Patient{}, err
			}
			x := rec.Patient
			if x.BirthDate == p.BirthDate && (x.NHSNumber == "" || p.NHSNumber == "" || x.NHSNumber == p.NHSNumber) {
				return x, nil
			}
		}
	}
	return Patient{}, ErrNotFound
}

// Start begins a flow with her now, whatever the hour: somebody asked for it.
// [ErrRefused] when no text may go to her.
func (b *Bot) Start(ctx context.Context, patient, flow, by string) error {
	if !b.content.Program().Has(flow) {
		return &FieldError{"flow", "is not a flow of this service's content"}
	}
	return b.turnOfHers(ctx, patient, func(t *turn) error {
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
