package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Wishes are when and where a person wishes to be reached, and when not at all.
// They are replaced as a whole.
type Wishes struct {
	Zone   string // IANA name, e.g. Europe/Madrid; empty: the service's
	Nation string // whose bank holidays are hers; empty: the service's
	Wish   Wish
	Quiet  []Quiet
}

// WishesOf gives them as they stand. [ErrNotFound].
func (b *Bot) WishesOf(ctx context.Context, patient string) (Wishes, error) {
	rec, err := b.load(ctx, patient)
	p := rec.Patient
	return Wishes{Zone: p.Zone, Nation: p.Nation, Wish: p.Wish, Quiet: p.Quiet}, err
}

// SetWishes replaces a person's wishes, journals them, and plans what comes next
// anew. A *[FieldError] names the first that is wrong. [ErrNotFound].
func (b *Bot) SetWishes(ctx context.Context, patient string, w Wishes, by string) error {
	if err := b.checkWishes(w); err != nil {
		return err
	}
	if _, err := b.load(ctx, patient); err != nil {
		return err
	}
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		p := &t.rec.Patient
		p.Zone, p.Nation, p.Wish, p.Quiet = w.Zone, w.Nation, w.Wish, w.Quiet
		t.ruled, t.soon = nil, nil
		t.entry(Entry{Kind: EntryStatus, By: by, Why: "when she is texted: " + w.String()})
		if p.Status == Active {
			t.planNext("")
		}
		return nil
	})
}

func (b *Bot) checkWishes(w Wishes) error {
	if w.Zone != "" {
		if _, err := time.LoadLocation(w.Zone); err != nil || w.Zone == "Local" {
			return &FieldError{"zone", "is not a time zone like Europe/Madrid"}
		}
	}
	if w.Nation != "" && !b.content.HasNation(w.Nation) {
		return &FieldError{"nation", "must be one of " + strings.Join(b.content.Nations(), ", ")}
	}
	if w.Wish.To != 0 && (w.Wish.From < earliest || w.Wish.To > latest || w.Wish.From >= w.Wish.To) {
		return &FieldError{"wish", "must be from a time of day to a later one, between 08:00 and 21:00"}
	}
	for _, q := range w.Quiet {
		from, err := time.Parse(time.DateOnly, q.From)
		until, err2 := time.Parse(time.DateOnly, q.Until)
		switch {
		case err != nil || err2 != nil || until.Before(from):
			return &FieldError{"quiet", "must be from a day to the same or a later one, written like 2026-12-20"}
		case until.Sub(from) > 92*24*time.Hour:
			return &FieldError{"quiet", "is longer than three months: pause her texts instead, so that somebody asks her when they shall go on"}
		case strings.TrimSpace(q.Why) == "":
			return &FieldError{"quiet", "needs a reason: scan, anniversary, bereavement, admission, or another"}
		}
	}
	return nil
}

// String is a person's wishes in a line, for the journal.
func (w Wishes) String() string {
	var parts []string
	if w.Zone != "" {
		parts = append(parts, "by the clock of "+w.Zone)
	}
	if w.Nation != "" {
		parts = append(parts, "bank holidays of "+w.Nation)
	}
	if w.Wish.To != 0 {
		parts = append(parts, fmt.Sprintf("%02d:%02d to %02d:%02d", w.Wish.From/60, w.Wish.From%60, w.Wish.To/60, w.Wish.To%60))
	}
	if len(w.Wish.Days) > 0 {
		days := make([]string, len(w.Wish.Days))
		for i, d := range slices.Sorted(slices.Values(w.Wish.Days)) {
			days[i] = d.String()
		}
		parts = append(parts, "on "+strings.Join(days, ", "))
	}
	for _, q := range w.Quiet {
		parts = append(parts, "not from "+q.From+" to "+q.Until+" ("+q.Why+")")
	}
	if len(parts) == 0 {
		return "in the service's sending hours"
	}
	return strings.Join(parts, "; ")
}

// Dates are the days of hers that plans count from and that change. An empty one
// is not known.
type Dates struct {
	Surgery, TabletsStarted, LastMammogram, NextScan string // 2006-01-02
}

// DatesOf gives them as they stand. [ErrNotFound].
func (b *Bot) DatesOf(ctx context.Context, patient string) (Dates, error) {
	rec, err := b.load(ctx, patient)
	p := rec.Patient.Profile
	return Dates{p.Surgery, p.TabletsStarted, p.LastMammogram, p.NextScan}, err
}

// SetDates replaces them, journals them, and plans what comes next anew. A
// *[FieldError] names the first that is wrong. [ErrNotFound].
func (b *Bot) SetDates(ctx context.Context, patient string, d Dates, by string) error {
	rec, err := b.load(ctx, patient)
	if err != nil {
		return err
	}
	born, _ := time.Parse(time.DateOnly, rec.Patient.BirthDate)
	given := Profile{Surgery: d.Surgery, TabletsStarted: d.TabletsStarted, LastMammogram: d.LastMammogram, NextScan: d.NextScan}
	days := given.days()
	for _, field := range slices.Sorted(maps.Keys(days)) {
		if problem := wrongDay(days[field], born, b.now()); problem != "" {
			return &FieldError{field, problem}
		}
	}
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		p := &t.rec.Patient
		p.Profile.Surgery, p.Profile.TabletsStarted, p.Profile.LastMammogram, p.Profile.NextScan = d.Surgery, d.TabletsStarted, d.LastMammogram, d.NextScan
		t.ruled, t.soon = nil, nil
		t.entry(Entry{Kind: EntryStatus, By: by, Why: "the days that her plan counts from: " + d.String()})
		if p.Status == Active {
			t.planNext("")
		}
		return nil
	})
}

// String is the dates in a line, for the journal.
func (d Dates) String() string {
	var parts []string
	for _, x := range [][2]string{{"operation", d.Surgery}, {"tablets started", d.TabletsStarted}, {"last mammogram", d.LastMammogram}, {"next scan", d.NextScan}} {
		if x[1] != "" {
			parts = append(parts, x[0]+" "+x[1])
		}
	}
	if len(parts) == 0 {
		return "none are known"
	}
	return strings.Join(parts, ", ")
}

// days are the dates of a profile, by field.
func (p *Profile) days() map[string]string {
	return map[string]string{"surgery": p.Surgery, "tablets_started": p.TabletsStarted, "last_mammogram": p.LastMammogram, "next_scan": p.NextScan,
		"last_chemo": p.LastChemo, "last_immunotherapy": p.LastImmunotherapy}
}

// wrongDay says what is wrong with a day of treatment; "" when nothing is, or none is given.
func wrongDay(text string, born, now time.Time) string {
	if text == "" {
		return ""
	}
	day, err := time.Parse(time.DateOnly, text)
	switch {
	case err != nil:
		return "must be a date like 2026-09-30"
	case !born.IsZero() && day.Before(born):
		return "is before her birth date"
	case day.After(now.AddDate(2, 0, 0)):
		return "is more than two years ahead: check the year"
	}
	return ""
}
