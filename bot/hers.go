package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// Hers is what a person may see of herself at one moment, for a channel that can
// show more than texts.
type Hers struct {
	Patient Patient
	Moments []Moment // see [Bot.Thread]
	// ReadUpTo is the Seq of the last thing that a nurse did for her after the Seq that
	// was asked for: what she wrote before it, a nurse has had before her. 0: nothing.
	ReadUpTo int64
	Holder   string  // the e-mail address of the nurse who has taken a row of hers; "": nobody has
	Writing  Writing // the zero Writing: nobody writes to her just now
	Promise  string  // by when somebody is in touch, in her language; "": nothing is promised
	Question Asking
}

// Asking is the question that waits for her. The zero Asking: none does.
type Asking struct {
	Kind   string // "yes_no", "scale", "choice", "number", "date", "weight", "text", or "form"
	Name   string // of the question, for FormAnswer; "" of a form
	Prompt string
	// Questions are those of a form: Prompt stands above them, and what she answers of
	// them goes at once, as Inbound.Answers.
	Questions []Asking
	Options   []string // of a choice, in her language
	Min, Max  float64  // of a scale; both 0: 0 to 10
}

// Hers gives what she may see, with moments of a Seq above after. [ErrNotFound].
func (b *Bot) Hers(ctx context.Context, patient string, after int64) (Hers, error) {
	rec, err := b.load(ctx, patient)
	if err != nil {
		return Hers{}, err
	}
	h := Hers{Patient: rec.Patient, Promise: b.promisedBy(&rec)}
	for _, row := range rec.Rows {
		if row.State == Claimed {
			h.Holder = row.ClaimedBy
		}
	}
	if h.Holder != "" { // who has taken nothing of hers is not writing to her
		if h.Writing, err = b.writingTo(ctx, patient); err != nil {
			return Hers{}, err
		}
	}
	if h.Question, err = b.openQuestion(ctx, &rec); err != nil {
		return Hers{}, err
	}
	h.Moments, err = b.moments(ctx, patient, after, 0, func(e Entry) bool {
		if byNurse(e) {
			h.ReadUpTo = max(h.ReadUpTo, e.Seq)
		}
		return inThread(e)
	})
	return h, err
}

// byNurse says whether an entry shows that a member of the team has looked at her
// words: she took the row, rang, noted, wrote or referred.
func byNurse(e Entry) bool {
	switch e.By {
	case "", "patient", "lookout", "carrier", byCarer:
		return false
	}
	return slices.Contains([]EntryKind{EntryRow, EntryRing, EntryNote, EntryReferral}, e.Kind) || e.Kind == EntryOut && e.Ref != ""
}

func inThread(e Entry) bool { return e.Kind == EntryIn || e.Kind == EntryOut && e.Ref != "" }

// Thread gives what she wrote and what she was sent, with Seq above after, oldest
// first: what she herself may see.
func (b *Bot) Thread(ctx context.Context, patient string, after int64, limit int) ([]Moment, error) {
	if _, err := b.load(ctx, patient); err != nil {
		return nil, err
	}
	return b.moments(ctx, patient, after, limit, inThread)
}

// OpenQuestion gives the question that waits for her.
func (b *Bot) OpenQuestion(ctx context.Context, patient string) (Asking, error) {
	rec, err := b.load(ctx, patient)
	if err != nil {
		return Asking{}, err
	}
	return b.openQuestion(ctx, &rec)
}

func (b *Bot) openQuestion(ctx context.Context, rec *Record) (Asking, error) {
	if !rec.Talk.Active() {
		return Asking{}, nil
	}
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: rec}
	var err error
	if t.pack, err = b.pack(ctx, rec.Talk.Pack); err != nil {
		return Asking{}, err
	}
	open, ok := t.pack.Program().Open(rec.Talk)
	if !ok {
		return Asking{}, nil
	}
	form, ok := t.pack.Program().Form(rec.Talk)
	if !ok {
		return t.asking(&open, content.Choices), nil
	}
	for _, channel := range slices.Sorted(maps.Keys(b.outlets)) {
		if b.outlets[channel].Forms {
			t.via = channel // in whose words it is asked
			break
		}
	}
	out := Asking{Kind: "form"}
	locale := spoken(rec.Patient.Locale)[0]
	if out.Prompt, err = t.render(t.pack, form.Text, locale, nil); err != nil {
		out.Prompt = ""
	}
	for i := range form.Questions {
		out.Questions = append(out.Questions, t.asking(&form.Questions[i], func(options []flows.Option, locale string) map[string]string {
			vars := content.Choices(options, locale)
			if vars != nil {
				vars["list"] = " " // the form shows it itself
			}
			return vars
		}))
	}
	return out, nil
}

func (t *turn) asking(open *flows.OpenQuestion, choices func(options []flows.Option, locale string) map[string]string) Asking {
	out := Asking{Kind: string(open.Kind), Name: open.Name, Min: open.Min, Max: open.Max}
	locale := spoken(t.rec.Patient.Locale)[0]
	for _, o := range open.Choices(locale) {
		out.Options = append(out.Options, o.Label)
	}
	var err error
	if out.Prompt, err = t.render(t.pack, open.Text, locale, choices(open.Options, locale)); err != nil {
		out.Prompt = ""
	}
	out.Prompt = strings.TrimSpace(out.Prompt)
	return out
}

// promisedBy says by when somebody will ring her, in her language; "" when nothing of
// hers waits for it. In an emergency she is promised nothing: she is told to ring 999.
func (b *Bot) promisedBy(rec *Record) string {
	var first time.Time
	for _, row := range rec.Rows {
		if row.State != Closed && !row.Spoke && row.Level > triage.None && row.Level < triage.Emergency && (first.IsZero() || row.DueAt.Before(first)) {
			first = row.DueAt
		}
	}
	if first.IsZero() {
		return ""
	}
	return b.service.ByWords(first, b.now(), spoken(rec.Patient.Locale)[0])
}

// SetLanguage keeps the language that she wishes to be spoken to in. A *[FieldError]
// when it is none of ours. [ErrNotFound].
func (b *Bot) SetLanguage(ctx context.Context, patient, locale, by string) error {
	if !slices.Contains(locales, locale) {
		return &FieldError{"language", "must be one of " + strings.Join(locales, ", ")}
	}
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		if t.rec.Patient.Locale == locale {
			return errNothing
		}
		t.rec.Patient.Locale = locale
		t.entry(Entry{Kind: EntryStatus, By: by, Why: "is spoken to in " + locale})
		return nil
	})
}

// SetChannel keeps where what we begin goes to first: to one of the channels by which
// she can be reached. A *[FieldError] when it is none. [ErrNotFound].
func (b *Bot) SetChannel(ctx context.Context, patient, channel, by string) error {
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		all := t.rec.Patient.Addresses
		i := slices.IndexFunc(all, func(a Address) bool { return a.Channel == channel })
		if i < 0 {
			return &FieldError{"channel", "is not one by which you can be reached"}
		}
		if i == 0 {
			return errNothing
		}
		first := all[i]
		t.rec.Patient.Addresses = slices.Insert(slices.Delete(slices.Clone(all), i, i+1), 0, first)
		t.entry(Entry{Kind: EntryStatus, By: by, Why: "is reached by " + channel + " first"})
		return nil
	})
}

// Advice is what lookout says to words of somebody whom it does not know.
type Advice struct {
	Emergency bool
	Text      string
}

// Advise reads words of nobody that lookout knows and says what to do about them. It
// keeps nothing, tells no nurse, and says so.
func (b *Bot) Advise(ctx context.Context, words, locale string) (Advice, error) {
	if len(words) > maxText {
		words = strings.ToValidUTF8(words[:maxText], "")
	}
	reading := triage.Read(b.content.Lexicon(), words, nil, triage.Profile{}, nil)
	rec := b.stranger("", Address{})
	rec.Patient.Locale = locale
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	a := Advice{Emergency: reading.Level == triage.Emergency}
	id := "visitor.other"
	switch {
	case a.Emergency && b.content.EmergencyText(reading) == "safety.emergency-crisis":
		id = "visitor.crisis"
	case a.Emergency:
		id = "stranger.emergency"
	}
	var err error
	a.Text, err = t.render(b.content, id, locale, nil)
	return a, err
}

// Signs is what everybody should know to look out for, in a language.
func (b *Bot) Signs(ctx context.Context, locale string) (string, error) {
	rec := b.stranger("", Address{})
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	return t.render(b.content, "command.signs", locale, nil)
}

// TextCode texts a code to a telephone, if somebody of ours has it. Before it goes, keep
// is told who may use it: all who share the telephone. To a number that nobody has, or
// to which nothing may be sent, nothing goes, and that is no error.
func (b *Bot) TextCode(ctx context.Context, at Address, code string, keep func(patients []string) error) error {
	records, err := b.store.RecordsAt(ctx, b.service.ID, at)
	if err != nil {
		return err
	}
	var known []string
	var to *Record // with whom lookout spoke last: the code takes no talk from her
	for i := range records {
		rec := &records[i]
		if s := rec.Patient.Status; s == Stranger || s == Ended || s == Stopped {
			continue
		}
		known = append(known, rec.Patient.ID)
		if to == nil || rec.Spoken.After(to.Spoken) {
			to = rec
		}
	}
	if to == nil {
		return nil
	}
	if err := keep(known); err != nil {
		return err
	}
	return b.Say(ctx, Saying{Patient: to.Patient.ID, By: "lookout", TextID: "link.code", Vars: map[string]string{"code": code}, Channel: at.Channel})
}

// Vouched finds whom a hospital's page vouches for, by NHS number or by id, and uses
// up the name of its word. [ErrNotFound]: nobody of ours; [ErrRefused]: it was used before.
func (b *Bot) Vouched(ctx context.Context, who, once string) (string, error) {
	patient := who
	if _, err := b.load(ctx, who); err != nil {
		found, err := b.store.Find(ctx, b.service.ID, who, 2)
		if err != nil {
			return "", err
		}
		if len(found) != 1 || found[0].NHSNumber != who || who == "" {
			return "", ErrNotFound
		}
		patient = found[0].ID
	}
	for range maxTries {
		rec, err := b.load(ctx, patient)
		if err != nil {
			return "", err
		}
		err = b.store.Commit(ctx, Change{Key: "vouched:" + once, Base: rec.Version, Record: rec,
			Entries: []Entry{{At: b.now(), Kind: EntryStatus, By: "lookout", Why: "opened her messages: the hospital's page vouched for her"}}})
		switch {
		case errors.Is(err, ErrDuplicate):
			return "", fmt.Errorf("%w: it was used before", ErrRefused)
		case !errors.Is(err, ErrConflict):
			return patient, err
		}
	}
	return "", fmt.Errorf("%w: the record changed %d times in a row", ErrUnavailable, maxTries)
}
