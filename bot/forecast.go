package bot

import (
	"context"
	"time"

	"lookout/content"
)

// Planned is one item of somebody's plan, with the moment at which it will go if
// nothing comes between, and why that is not the day on which it is due.
type Planned struct {
	content.Item
	Goes   time.Time // zero: it cannot go
	Shifts []Shift
	// Dropped says that its place would be after its stale day, so that it is not sent.
	Dropped bool
}

// Forecast lists what goes out to somebody by her plan until a day, as her record,
// the rules and the rota stand now. It changes nothing. [ErrNotFound].
func (b *Bot) Forecast(ctx context.Context, patient string, until time.Time) ([]Planned, error) {
	rec, err := b.load(ctx, patient)
	if err != nil {
		return nil, err
	}
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	plan, ok := b.content.Plan(rec.Patient.Plan)
	if !ok || rec.Patient.Status == Stopped || rec.Patient.Status == Ended || rec.Patient.Status == Stranger {
		return nil, nil
	}
	from := t.now
	if rec.Patient.Status == Paused && rec.Patient.PausedUntil.After(from) {
		from = rec.Patient.PausedUntil
	}
	var out []Planned
	for _, item := range plan.Due(t.person(), time.Time{}, until.In(t.zone())) {
		p := Planned{Item: item}
		start := item.At
		if start.Before(from) {
			start = from
		}
		if p.Goes, p.Shifts = t.rules().place(start, rec.Patient.ID+item.ID, true); !p.Goes.IsZero() {
			if w, ok := rec.wakeOf(item.ID); ok && w.At.After(t.now) {
				p.Goes = w.At
			}
			if p.Dropped = !p.Goes.Before(item.Stale); !p.Dropped {
				rec.LastOut = p.Goes
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// wakeOf gives the wake that is set for an item of her plan.
func (r *Record) wakeOf(item string) (Wake, bool) {
	for _, w := range r.Wakes {
		if w.Kind == WakePlan && w.Ref == item {
			return w, true
		}
	}
	return Wake{}, false
}
