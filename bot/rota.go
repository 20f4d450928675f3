package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// handOverHour is when one day on call ends and the next begins, by the service's
// clock: a night belongs to the day before it.
const handOverHour = 8

// drawerCover keeps who covers a day, by 2006-01-02: a list of names, in order.
const drawerCover = "cover"

// OnCallDay is the day on call to which a moment belongs.
func (s *Service) OnCallDay(t time.Time) time.Time {
	t = t.In(s.Location)
	if t.Hour() < handOverHour { // by the clock: eight hours before 8am is another day where the clocks have changed
		t = t.AddDate(0, 0, -1)
	}
	return s.Hours.day(t)
}

// Named says who is on call on a day by the rota, in order. Nobody: the whole
// paging list is called, in its order.
func (s *Service) Named(day time.Time) []string {
	if names, ok := s.OnCallOn[day.Format(time.DateOnly)]; ok {
		return names
	}
	return s.OnCall[day.Weekday()]
}

// Ladder puts those who are on call first, in order, and everybody else of the
// paging list behind them: a gap in the rota never means that nobody is called.
func (s *Service) Ladder(named []string) []Duty {
	ladder := make([]Duty, 0, len(s.Duty))
	for _, name := range named {
		if i := slices.IndexFunc(s.Duty, func(d Duty) bool { return d.Name == name }); i >= 0 {
			ladder = append(ladder, s.Duty[i])
		}
	}
	for _, d := range s.Duty {
		if !slices.Contains(named, d.Name) {
			ladder = append(ladder, d)
		}
	}
	return ladder
}

// LeadOn is who is paged when a promise is about to be missed: the lead of the
// settings, else the last of the paging list.
func (s *Service) LeadOn() (Duty, bool) {
	if i := slices.IndexFunc(s.Duty, func(d Duty) bool { return d.Lead }); i >= 0 {
		return s.Duty[i], true
	}
	if len(s.Duty) == 0 {
		return Duty{}, false
	}
	return s.Duty[len(s.Duty)-1], true
}

// onCall says who is on call on a day: who covers it, else the rota.
func (b *Bot) onCall(ctx context.Context, day time.Time) (names []string, covered bool, err error) {
	value, err := b.store.Value(ctx, drawerCover, b.service.ID+" "+day.Format(time.DateOnly), b.now())
	if errors.Is(err, ErrNotFound) {
		return b.service.Named(day), false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return names, true, json.Unmarshal(value, &names)
}

// ladder is who is paged now, in order. What cannot be read of the rota keeps
// nobody from being paged.
func (b *Bot) ladder(ctx context.Context) []Duty {
	names, _, err := b.onCall(ctx, b.service.OnCallDay(b.now()))
	if err != nil {
		b.log.ErrorContext(ctx, "who covers today cannot be read: the paging list is called in its own order", "err", err)
	}
	return b.service.Ladder(names)
}

// ladder is who is paged for the person of this turn: the daily test pages nobody.
func (t *turn) ladder() []Duty {
	if t.bot.canary(t.rec.Patient.Service) {
		return []Duty{t.bot.service.Canary.duty()}
	}
	return t.bot.ladder(t.ctx)
}

// OnCallShift is one day of the rota.
type OnCallShift struct {
	Day     time.Time
	Names   []string // in order; none: the whole list
	Covered bool     // somebody has changed it at the desk
	Closed  string   // why the desk is closed on that day
}

// Rota lists who is on call in the next days.
func (b *Bot) Rota(ctx context.Context, days int) ([]OnCallShift, error) {
	day := b.service.OnCallDay(b.now())
	var out []OnCallShift
	for range days {
		names, covered, err := b.onCall(ctx, day)
		if err != nil {
			return nil, err
		}
		shift := OnCallShift{Day: day, Names: names, Covered: covered}
		if spells, why := b.service.Hours.Spells(day); len(spells) == 0 {
			shift.Closed = why
		}
		out = append(out, shift)
		day = day.AddDate(0, 0, 1)
	}
	return out, nil
}

// Cover puts others on call on a day; no names: the rota holds again.
func (b *Bot) Cover(ctx context.Context, day time.Time, names []string) error {
	day = b.service.Hours.day(day)
	if day.Before(b.service.OnCallDay(b.now())) {
		return &FieldError{"day", "is over: choose today or a day to come"}
	}
	for i, name := range names {
		if !slices.ContainsFunc(b.service.Duty, func(d Duty) bool { return d.Name == name }) {
			return &FieldError{"who", "is not on the paging list: choose from the list"}
		}
		if slices.Contains(names[:i], name) {
			return &FieldError{"who", "is there twice: choose two people"}
		}
	}
	key := b.service.ID + " " + day.Format(time.DateOnly)
	if len(names) == 0 {
		return b.store.DeleteValue(ctx, drawerCover, key)
	}
	value, err := json.Marshal(names)
	if err != nil {
		return err
	}
	return b.store.PutValue(ctx, drawerCover, key, value, day.AddDate(0, 0, 3))
}

// drawerReach keeps the last test message to each address of the paging list.
const drawerReach = "reach"

// reachHour is when those on call are tried each day, by the service's clock.
const reachHour = 9

// reached is what is kept of a test message.
type reached struct {
	Outgoing string    `json:"outgoing"`
	At       time.Time `json:"at"`
}

// CheckReach sends a test message, once a day after 9am, to each address of those
// who are on call that day. One that does not arrive pages the lead. It may be
// called at any time, twice, or on two machines.
func (b *Bot) CheckReach(ctx context.Context) error {
	now := b.now().In(b.service.Location)
	if now.Hour() < reachHour {
		return nil
	}
	day := b.service.OnCallDay(now)
	names, _, err := b.onCall(ctx, day)
	if err != nil {
		return fmt.Errorf("check the rota: %w", err)
	}
	var faults []error
	for _, duty := range b.service.Ladder(names) {
		if len(names) > 0 && !slices.Contains(names, duty.Name) {
			continue
		}
		for _, to := range duty.Addresses {
			faults = append(faults, b.testReach(ctx, duty, to, day))
		}
	}
	return errors.Join(faults...)
}

func (b *Bot) testReach(ctx context.Context, duty Duty, to Address, day time.Time) error {
	id, key := b.strangerID(to), "reach:"+day.Format(time.DateOnly)+":"+sha256Hex(to.Channel + "\x00" + to.At)[:16]
	if seen, err := b.store.Seen(ctx, key); seen || err != nil {
		return err
	}
	var sent reached
	err := b.turn(ctx, id, key, func() Record { return b.stranger(id, to) }, func(t *turn) error {
		t.entry(Entry{Kind: EntryPage, Why: "the daily test of the paging list"})
		t.answerNurse("page.check", to, map[string]string{"service": b.service.Name})
		sent = reached{t.change.Send[0].ID, t.now}
		return nil
	})
	if err != nil {
		return fmt.Errorf("test the paging list: %w", err)
	}
	value, err := json.Marshal(sent)
	if err != nil {
		return err
	}
	return b.store.PutValue(ctx, drawerReach, duty.Name+" "+to.Channel, value, time.Time{})
}

// Tested is what the last test message to somebody on the paging list came to.
type Tested struct {
	Name    string
	Channel string
	At      time.Time // the zero time: never tested
	State   OutState
	Lead    bool
}

// Reachable lists the last test of every address of the paging list.
func (b *Bot) Reachable(ctx context.Context) ([]Tested, error) {
	values, err := b.store.Values(ctx, drawerReach, b.now())
	if err != nil {
		return nil, err
	}
	lead, _ := b.service.LeadOn()
	var out []Tested
	for _, d := range b.service.Duty {
		for _, a := range d.Addresses {
			r := Tested{Name: d.Name, Channel: a.Channel, Lead: d.Name == lead.Name}
			if value, ok := values[d.Name+" "+a.Channel]; ok {
				var sent reached
				if err := json.Unmarshal(value, &sent); err != nil {
					return nil, err
				}
				o, err := b.store.Outgoing(ctx, sent.Outgoing)
				if err != nil && !errors.Is(err, ErrNotFound) {
					return nil, err
				}
				r.At, r.State = sent.At, o.State
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// unreachable tells the lead that a test message did not arrive; when it was the
// lead's own, everybody else.
func (b *Bot) unreachable(ctx context.Context, out Outgoing, duty Duty) error {
	return b.turn(ctx, out.Patient, "page-failed:"+out.ID, nil, func(t *turn) error {
		t.entry(Entry{Kind: EntryPage, Why: "the daily test of the paging list did not reach " + duty.Name + " by " + out.To.Channel})
		lead, _ := b.service.LeadOn()
		for _, d := range b.service.Duty {
			if d.Name == duty.Name || d.Name != lead.Name && lead.Name != duty.Name {
				continue
			}
			for _, to := range d.Addresses {
				t.answerNurse(unreachableID, to, map[string]string{"nurse": duty.Name, "desk": b.linkBase + "/desk/rota"})
			}
		}
		return nil
	})
}

// unreachableID is the page which says that somebody cannot be reached, and toldEverybody
// what it is called when the lead could not be told, so that it goes round but once.
const (
	unreachableID = "page.unreachable"
	toldEverybody = "page.unreachable to everybody"
)

// tellEverybody tells everybody else what the lead, who cannot be reached either, was told.
func (b *Bot) tellEverybody(ctx context.Context, out Outgoing, duty Duty) error {
	return b.turn(ctx, out.Patient, "page-failed:"+out.ID, nil, func(t *turn) error {
		t.entry(Entry{Kind: EntryPage, Why: duty.Name + " could not be told by " + out.To.Channel + " that somebody on the paging list cannot be reached"})
		for _, d := range b.service.Duty {
			for _, to := range d.Addresses {
				if d.Name != duty.Name {
					again := t.outgoing(to, out.Text, PriorityPage)
					again.TextID = toldEverybody
					t.change.Send = append(t.change.Send, again)
				}
			}
		}
		return nil
	})
}

// pageLead pages the lead for a promise that may be missed. An answer counts as one
// to any page.
func (t *turn) pageLead(row *Row, why string) {
	lead, ok := t.bot.service.LeadOn()
	if t.bot.canary(row.Service) {
		lead, ok = t.bot.service.Canary.duty(), true
	}
	if !ok {
		t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: why + "; nobody is on the paging list: set `duty` in the settings"})
		return
	}
	ways := t.sendPage(row, lead, "page.promise", promiseUnworded(row))
	if row.PagedTo == "" {
		row.PagedTo = lead.Name
	}
	t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: "paged the lead, " + lead.Name + ", by " + ways + ": " + why})
	t.kept(row, true)
}

// promiseUnworded says that a promise may be missed where the content has no words for it.
func promiseUnworded(row *Row) string {
	return "Lookout: the promise of row " + row.Name() + " is about to be missed. See the desk."
}
