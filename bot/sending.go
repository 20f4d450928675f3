package bot

import (
	"fmt"
	"strings"
	"time"

	"lookout/content"
)

// Sending says when unasked texts may go out, within the desk's days.
type Sending struct {
	From, To int           // minutes after midnight by the clock of whom they go to
	Before   time.Duration // how long before the desk closes the last one goes, so that its answer is read that day
}

// Wish is when she would rather be texted, by the clock of her own zone.
type Wish struct {
	From int            `json:"from,omitempty"` // minutes after midnight
	To   int            `json:"to,omitempty"`   // 0: the service's sending hours
	Days []time.Weekday `json:"days,omitempty"` // none: any day
}

func (w Wish) none() bool { return w.To == 0 && len(w.Days) == 0 }

// Quiet is a stretch of days on which nothing unasked goes to her: a scan and its
// result, an anniversary, a bereavement, days in hospital.
type Quiet struct {
	From  string `json:"from"`  // 2006-01-02, included
	Until string `json:"until"` // 2006-01-02, included
	Why   string `json:"why"`
}

// A Shift is a stretch of days on which an unasked text did not go, and why.
type Shift struct {
	From, Until time.Time // midnights of the first and the last of the days
	Why         string
}

// The rules of unasked texts (clinical.md 8.3). Whatever she wishes and wherever
// she is, none goes before 8am or after 9pm by her clock.
const (
	betweenPlanned = 48 * time.Hour
	earliest       = 8 * 60
	latest         = 21 * 60
	// late is how much a tick may be late without a text missing its window: no
	// place in a window lies nearer to its end.
	late = 15 * time.Minute
	// planAhead bounds every search for a day, in days: quiet weeks may follow upon
	// each other for a season.
	planAhead = 120
)

// rules are what decides when an unasked text may go to one person. They are
// pure: they read no clock.
type rules struct {
	hours   Hours
	sending Sending
	zone    *time.Location // hers
	wish    Wish
	hush    func(day time.Time) string // why nothing goes to her on a day of hers: a holiday, a quiet week
	lastOut time.Time                  // when the last unasked text was queued
}

// span is part of the rules that bends when there is no other way: her wish to
// her service's hours, those to any decent hour.
type span struct {
	from, to int
	days     []time.Weekday
	bent     string // why it is not what she wished
}

// spans lists what may be tried, in this order, the first that ever meets the
// desk's hours.
func (r *rules) spans() []span {
	plain := span{from: r.sending.From, to: r.sending.To}
	var out []span
	if !r.wish.none() {
		wished := span{plain.from, plain.to, r.wish.Days, ""}
		if r.wish.To > 0 {
			wished.from, wished.to = max(r.wish.From, earliest), min(r.wish.To, latest)
		}
		out = append(out, wished)
		plain.bent = "the desk is never there at the time that she wished for"
	}
	out = append(out, plain)
	if r.zone.String() != r.hours.Location.String() {
		out = append(out, span{from: earliest, to: latest, bent: "the desk is never there in the sending hours of her time zone"})
	}
	return out
}

// span is the first of them that meets the desk's hours in a day's week; false: she
// and the desk are never awake together. It is asked for each week, because the
// clocks of two zones do not change on the same day.
func (r *rules) span(day time.Time) (span, bool) {
	spans := r.spans()
	if len(spans) == 1 {
		return spans[0], true
	}
	monday := day.AddDate(0, 0, -int(day.Weekday()+6)%7)
	for _, s := range spans {
		for n := range 7 {
			day := monday.AddDate(0, 0, n)
			if from, to := r.window(day, s, r.hours.Week[day.Weekday()]); from.Before(to) {
				return s, true
			}
		}
	}
	return span{}, false
}

// window is the stretch of one of the desk's days in which an unasked text may go
// to her: while the desk is staffed, early enough for an answer to be read, and in
// hours that suit her. It is empty when from is not before to.
func (r *rules) window(day time.Time, s span, spells []Spell) (from, to time.Time) {
	if len(spells) == 0 {
		return day, day
	}
	hers := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, r.zone)
	if len(s.days) > 0 {
		wished := false
		for _, d := range s.days {
			wished = wished || d == hers.Weekday()
		}
		if !wished {
			return day, day
		}
	}
	from, to = at(day, spells[0].From), at(day, spells[len(spells)-1].To).Add(-r.sending.Before)
	if lo := at(hers, s.from); lo.After(from) {
		from = lo
	}
	if hi := at(hers, s.to); hi.Before(to) {
		to = hi
	}
	return from, to
}

// closed says why nothing unasked goes to her on one of the desk's days.
func (r *rules) closed(day time.Time) (why string, spells []Spell) {
	spells, why = r.hours.Spells(day)
	if why == "" && r.hours.Staff(day) == 0 {
		why = "nobody is on the desk"
	}
	if why == "" && r.hush != nil {
		why = r.hush(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, r.zone))
	}
	return why, spells
}

// day is the first of the desk's days whose window can lie after t: east of the
// desk her midnight comes while the desk's day before is not over.
func (r *rules) day(t time.Time) time.Time {
	hers := t.In(r.zone)
	desk := r.hours.day(t)
	if same := time.Date(hers.Year(), hers.Month(), hers.Day(), 0, 0, 0, 0, r.hours.Location); same.After(desk) {
		return same
	}
	return desk
}

// allowed says whether an unasked text may go to her at this very moment; it
// leaves out the 48 hours, which are between two of them.
func (r *rules) allowed(now time.Time) bool {
	day := r.hours.day(now)
	why, spells := r.closed(day)
	s, ok := r.span(day)
	if why != "" || !ok {
		return false
	}
	from, to := r.window(day, s, spells)
	return !now.Before(from) && now.Before(to)
}

// place gives the moment at or after t at which an unasked text goes to her, and
// why it is not on t's own day. who spreads the texts of a day: the same name
// always gets the same place in the window. A place that has gone by is now while
// the window is open; with afresh, it is another in what is left of the window, so
// that what has waited does not go all at once. The zero time: there is no such day.
func (r *rules) place(t time.Time, who string, afresh bool) (time.Time, []Shift) {
	var shifts []Shift
	shift := func(day time.Time, why string) {
		if n := len(shifts) - 1; n >= 0 && shifts[n].Why == why && !shifts[n].Until.AddDate(0, 0, 1).Before(day) {
			shifts[n].Until = day
			return
		}
		shifts = append(shifts, Shift{day, day, why})
	}
	if next := r.lastOut.Add(betweenPlanned); !r.lastOut.IsZero() && next.After(t) {
		for day := r.day(t); day.Before(r.day(next)); day = day.AddDate(0, 0, 1) {
			shift(day, "another text goes before it, and two days lie between")
		}
		t = next
	}
	day := r.day(t)
	for range planAhead {
		why, spells := r.closed(day)
		s, ok := r.span(day)
		if why == "" && !ok {
			why = "the desk is never open while it is day with her"
		}
		if why == "" {
			from, to := r.window(day, s, spells)
			begin := from
			if afresh && t.After(begin) {
				begin = t
			}
			switch {
			case !from.Before(to):
				why = "not at a time that suits her"
			case !t.Before(to):
				why = "too late on that day for an answer to be read"
			case begin.After(from) && to.Sub(begin) <= late:
				why = "too little is left of that day's sending hours"
			default:
				if s.bent != "" {
					shift(day, s.bent)
				}
				place := begin.Add(spread(who, to.Sub(begin)-late))
				if t.After(place) {
					place = t.In(r.hours.Location)
				}
				return place, shifts
			}
		}
		shift(day, why)
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, append(shifts, Shift{day, day, "there is no day on which it may go"})
}

// rules are hers, as her record stands.
func (t *turn) rules() *rules {
	if t.ruled != nil && t.ruled.lastOut.Equal(t.rec.LastOut) {
		return t.ruled
	}
	t.ruled = t.bot.rulesFor(t.rec, t.zone())
	return t.ruled
}

func (b *Bot) rulesFor(rec *Record, zone *time.Location) *rules {
	p := &rec.Patient
	r := &rules{hours: b.service.Hours, sending: b.service.Sending, zone: zone, wish: p.Wish, lastOut: rec.LastOut}
	plan, planned := b.content.Plan(p.Plan)
	var anchors map[string]time.Time
	r.hush = func(day time.Time) string {
		if p.Nation != "" && p.Nation != b.service.Nation {
			if name := b.content.Holiday(p.Nation, day); name != "" {
				return name
			}
		}
		text := day.Format(time.DateOnly)
		for _, q := range p.Quiet {
			if q.From <= text && text <= q.Until {
				return "quiet days: " + q.Why
			}
		}
		if planned && len(plan.Quiet) > 0 {
			if anchors == nil {
				anchors = anchorsOf(p, zone)
			}
			if why := plan.Hushed(anchors, day); why != "" {
				return "quiet days: " + why
			}
		}
		return ""
	}
	return r
}

// anchorsOf are the days of hers that a plan counts from, those that are known.
func anchorsOf(p *Patient, zone *time.Location) map[string]time.Time {
	anchors := map[string]time.Time{"enrolled": p.EnrolledAt.In(zone)}
	for name, text := range map[string]string{"treatment_ended": p.TreatmentEnded, "surgery": p.Profile.Surgery, "tablets_started": p.Profile.TabletsStarted,
		"last_mammogram": p.Profile.LastMammogram, "next_scan": p.Profile.NextScan} {
		if day, err := time.ParseInLocation(time.DateOnly, text, zone); text != "" && err == nil {
			anchors[name] = day
		}
	}
	return anchors
}

// slot is the first moment at which an unasked text may go to her, and why it is
// not from itself. It is for what belongs to a talk that is open: the 48 hours are
// between talks.
func (t *turn) slot(from time.Time, what string) (time.Time, string) {
	r := *t.rules()
	r.lastOut = time.Time{}
	when, shifts := r.place(from, t.rec.Patient.ID+what, false)
	if len(shifts) == 0 && when.After(from) {
		return when, "it waits for her place in the sending hours"
	}
	return when, shiftWords(shifts)
}

// mayText says whether an unasked text may go to her now.
func (t *turn) mayText() bool { return t.rules().allowed(t.now) }

// shiftWords says why something was put off, in a line.
func shiftWords(shifts []Shift) string {
	parts := make([]string, len(shifts))
	for i, s := range shifts {
		parts[i] = s.String()
	}
	return strings.Join(parts, "; ")
}

// String is a shift in words: "Fri 25 Dec to Mon 28 Dec: Christmas Day".
func (s Shift) String() string {
	const form = "Mon 2 Jan"
	if s.From.Equal(s.Until) {
		return s.From.Format(form) + ": " + s.Why
	}
	return fmt.Sprintf("%s to %s: %s", s.From.Format(form), s.Until.Format(form), s.Why)
}

// person is what her plan must know of her.
func (t *turn) person() content.Person {
	return content.Person{Anchors: anchorsOf(&t.rec.Patient, t.zone()), Facts: t.facts(), Done: t.rec.Planned, Since: t.rec.Patient.EnrolledAt.In(t.zone())}
}
