package bot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lookout/content"
)

func pack(t testing.TB) *content.Pack {
	t.Helper()
	p, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// planner is a Bot that only plans: it has no store.
func planner(t testing.TB, nation string) *Bot {
	t.Helper()
	s := office(t)
	s.Nation, s.OpenAccess = nation, true
	p := pack(t)
	s.Hours.Closed = func(day time.Time) string { return p.Holiday(nation, day) }
	return &Bot{service: s, content: p}
}

// her is somebody with a record, for whom times are worked out.
func (b *Bot) her(t testing.TB, p Patient, lastOut time.Time) *rules {
	t.Helper()
	zone := b.service.Location
	if p.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(p.Zone); err != nil {
			t.Fatal(err)
		}
	}
	return b.rulesFor(&Record{Patient: p, LastOut: lastOut}, zone)
}

// onDay is where an unasked text lands that is due at midnight of a day, and why.
func onDay(t testing.TB, b *Bot, p Patient, day string) (time.Time, string) {
	t.Helper()
	r := b.her(t, p, time.Time{})
	at, err := time.ParseInLocation(time.DateOnly, day, r.zone)
	if err != nil {
		t.Fatal(err)
	}
	when, shifts := r.place(at, "somebody", true)
	return when.In(r.zone), shiftWords(shifts)
}

func TestDaysOnWhichNothingUnaskedGoes(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		nation, due, want, why string
		her                    Patient
		rota                   map[string]RotaDay
	}{
		"an ordinary day":       {nation: "england-and-wales", due: "2026-11-24", want: "2026-11-24"},
		"a weekend":             {nation: "england-and-wales", due: "2026-11-28", want: "2026-11-30", why: "Sat 28 Nov to Sun 29 Nov: not a working day"},
		"Christmas":             {nation: "england-and-wales", due: "2026-12-24", want: "2026-12-29", why: "Thu 24 Dec: Christmas and New Year; Fri 25 Dec: Christmas Day"},
		"the year's end":        {nation: "england-and-wales", due: "2027-01-01", want: "2027-01-04", why: "Fri 1 Jan: New Year's Day"},
		"Scotland's 2 January":  {nation: "scotland", due: "2027-01-01", want: "2027-01-05", why: "Mon 4 Jan: 2nd January (substitute day)"},
		"St Andrew's Day":       {nation: "scotland", due: "2026-11-30", want: "2026-12-01", why: "St Andrew's Day"},
		"St Patrick's Day":      {nation: "northern-ireland", due: "2027-03-17", want: "2027-03-18", why: "St Patrick's Day"},
		"no holiday in England": {nation: "england-and-wales", due: "2027-03-17", want: "2027-03-17"},
		"her nation is another": {nation: "england-and-wales", her: Patient{Nation: "northern-ireland"}, due: "2027-03-17", want: "2027-03-18", why: "St Patrick's Day"},
		"Easter":                {nation: "england-and-wales", due: "2027-03-26", want: "2027-03-30", why: "Good Friday"},
		"leap day":              {nation: "england-and-wales", due: "2028-02-29", want: "2028-02-29"},
		"the clocks go forward": {nation: "england-and-wales", due: "2027-03-28", want: "2027-03-30", why: "Sun 28 Mar: not a working day; Mon 29 Mar: Easter Monday"},
		"the clocks go back":    {nation: "england-and-wales", due: "2026-10-25", want: "2026-10-26", why: "not a working day"},
		"a quiet week": {nation: "england-and-wales", her: Patient{Quiet: []Quiet{{From: "2026-11-23", Until: "2026-11-27", Why: "scan"}}},
			due: "2026-11-24", want: "2026-11-30", why: "Tue 24 Nov to Fri 27 Nov: quiet days: scan"},
		"the anniversary of her operation, by the plan": {nation: "england-and-wales", her: Patient{Plan: "standard", Profile: Profile{Surgery: "2024-11-25"}},
			due: "2026-11-24", want: "2026-11-30", why: "anniversary of her operation"},
		"nobody on the desk": {nation: "england-and-wales", rota: map[string]RotaDay{"2026-11-24": {Why: "study day"}}, due: "2026-11-24", want: "2026-11-25", why: "Tue 24 Nov: study day"},
		"a wish":             {nation: "england-and-wales", her: Patient{Wish: Wish{Days: []time.Weekday{time.Thursday}}}, due: "2026-11-24", want: "2026-11-26", why: "not at a time that suits her"},
		"a wish that cannot be": {nation: "england-and-wales", her: Patient{Wish: Wish{From: 18 * 60, To: 20 * 60}}, due: "2026-11-24", want: "2026-11-24",
			why: "the desk is never there at the time that she wished for"},
		"Spain's winter, a day like any other": {nation: "england-and-wales", her: Patient{Zone: "Europe/Madrid"}, due: "2026-12-29", want: "2026-12-29"},
		"Sydney, where only the evening meets": {nation: "england-and-wales", her: Patient{Zone: "Australia/Sydney"}, due: "2026-11-24", want: "2026-11-24", why: "the desk is never there in the sending hours of her time zone"},
	} {
		b := planner(t, x.nation)
		b.service.Hours.Rota = x.rota
		when, why := onDay(t, b, x.her, x.due)
		if got := when.Format(time.DateOnly); got != x.want || !strings.Contains(why, x.why) || (x.why == "" && why != "") {
			t.Errorf("%s: due %s, goes %s because %q; want %s because %q", name, x.due, got, why, x.want, x.why)
		}
	}
}

// In Spain the sending hours are hers: 10am is 9am at the desk, winter and summer.
func TestSendingHoursAreHers(t *testing.T) {
	t.Parallel()
	b := planner(t, "england-and-wales")
	for _, day := range []string{"2026-10-23", "2026-10-26", "2027-03-25", "2027-03-30"} {
		r := b.her(t, Patient{Zone: "Europe/Madrid"}, time.Time{})
		at, _ := time.ParseInLocation(time.DateOnly, day, r.zone)
		for hour, want := range map[int]bool{9: false, 10: true, 15: true, 16: false} {
			if got := r.allowed(at.Add(time.Duration(hour) * time.Hour).Add(time.Minute)); got != want {
				t.Errorf("%s %d:01 in Madrid: allowed is %t", day, hour, got)
			}
		}
	}
}

// Nobody is asked at night because she has moved far away.
func TestNoHourMeets(t *testing.T) {
	t.Parallel()
	b := planner(t, "england-and-wales")
	for _, zone := range []string{"Pacific/Auckland", "Pacific/Honolulu"} {
		if when, why := onDay(t, b, Patient{Zone: zone}, "2026-11-24"); !when.IsZero() || !strings.Contains(why, "never open while it is day with her") {
			t.Errorf("%s: %s, %s", zone, when, why)
		}
	}
}

func TestTwoDaysBetween(t *testing.T) {
	t.Parallel()
	b := planner(t, "england-and-wales")
	last := time.Date(2026, 11, 24, 15, 0, 0, 0, b.service.Location)
	r := b.her(t, Patient{}, last)
	when, shifts := r.place(last.Add(time.Hour), "somebody", true)
	if when.Before(last.Add(48*time.Hour)) || !strings.Contains(shiftWords(shifts), "two days lie between") {
		t.Errorf("after %s comes %s, because %q", last, when, shiftWords(shifts))
	}
}

// What waited goes neither at once nor all at the same minute.
func TestBacklogIsSpreadOverWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := planner(t, "england-and-wales")
	r := b.her(t, Patient{}, time.Time{})
	now := time.Date(2026, 11, 24, 13, 0, 0, 0, b.service.Location)
	minutes := map[string]int{}
	for i := range 500 {
		when, _ := r.place(now, string(rune('a'+i%26))+strings.Repeat("x", i/26), true)
		if when.Before(now) || !r.allowed(when) {
			t.Fatalf("%s", when)
		}
		minutes[when.Format("15:04")]++
	}
	if len(minutes) < 100 {
		t.Errorf("500 texts go in %d different minutes of three hours", len(minutes))
	}
}

// Whoever she is, wherever she is, whatever day it is: an unasked text goes while
// the desk is staffed, early enough to be read that day, in hours that are decent
// where she is, on no holiday of hers or the desk's, in no quiet week, two days
// after the last, never early, each time to the same moment, and with a reason for
// every day that it waits.
func TestPlacesKeepTheRules(t *testing.T) {
	t.Parallel()
	bots := map[string]*Bot{}
	for _, nation := range pack(t).Nations() {
		bots[nation] = planner(t, nation)
	}
	zones := []string{"", "Europe/Madrid", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "Atlantic/Canary"}
	edges := []string{"2026-10-24", "2027-03-27", "2028-02-28", "2026-12-23", "2027-12-30", "2027-03-16", "2026-11-29", "2027-03-25", "2029-03-24"}
	rapid.Check(t, func(t *rapid.T) {
		nation := rapid.SampledFrom(pack0().Nations()).Draw(t, "nation")
		b := bots[nation]
		s := *b.service
		s.Hours.Rota = map[string]RotaDay{}
		for range rapid.IntRange(0, 4).Draw(t, "odd days") {
			s.Hours.Rota[drawDay(t, edges, "odd day").Format(time.DateOnly)] = rapid.SampledFrom([]RotaDay{
				{Why: "study day"}, {Nurses: 1, Spells: []Spell{{540, 750}}}, {Nurses: 2, Spells: []Spell{{720, 1140}}}}).Draw(t, "rota")
		}
		one := &Bot{service: &s, content: b.content}
		p := Patient{Plan: "standard", Zone: rapid.SampledFrom(zones).Draw(t, "zone"), Nation: rapid.SampledFrom(append([]string{""}, pack0().Nations()...)).Draw(t, "her nation")}
		if rapid.Bool().Draw(t, "wishes hours") {
			p.Wish.From = 60 * rapid.IntRange(8, 19).Draw(t, "wish from")
			p.Wish.To = p.Wish.From + 60*rapid.IntRange(1, 21-p.Wish.From/60).Draw(t, "wish hours")
		}
		p.Wish.Days = rapid.SliceOfNDistinct(rapid.SampledFrom([]time.Weekday{0, 1, 2, 3, 4, 5, 6}), 0, 3, rapid.ID).Draw(t, "wish days")
		due := drawDay(t, edges, "due").Add(time.Duration(rapid.IntRange(0, 24*60).Draw(t, "minute")) * time.Minute)
		for range rapid.IntRange(0, 2).Draw(t, "quiet weeks") {
			from := drawDay(t, edges, "quiet")
			p.Quiet = append(p.Quiet, Quiet{From: from.Format(time.DateOnly), Until: from.AddDate(0, 0, rapid.IntRange(0, 20).Draw(t, "quiet days")).Format(time.DateOnly), Why: "scan"})
		}
		var last time.Time
		if rapid.Bool().Draw(t, "texted before") {
			last = due.Add(-time.Duration(rapid.IntRange(0, 60).Draw(t, "hours before")) * time.Hour)
		}
		zone := s.Location
		if p.Zone != "" {
			zone, _ = time.LoadLocation(p.Zone)
		}
		r := one.rulesFor(&Record{Patient: p, LastOut: last}, zone)
		afresh := rapid.Bool().Draw(t, "afresh")
		when, shifts := r.place(due, "somebody", afresh)
		if when.IsZero() {
			t.Fatalf("no day at all: %s", shiftWords(shifts))
		}
		if again, _ := r.place(due, "somebody", afresh); !again.Equal(when) {
			t.Fatal("asked again, another place")
		}
		keepsRules(t, one, p, zone, when)
		if when.Before(due) || (!last.IsZero() && when.Sub(last) < 48*time.Hour) {
			t.Fatalf("due %s, last %s, goes %s", due, last, when)
		}
		// Every day between has its reason.
		for day := r.day(due); day.Before(s.Hours.day(when)); day = day.AddDate(0, 0, 1) {
			if !slices.ContainsFunc(shifts, func(x Shift) bool { return !day.Before(x.From) && !day.After(x.Until) && x.Why != "" }) {
				t.Fatalf("nothing says why it did not go on %s: %s", day.Format(time.DateOnly), shiftWords(shifts))
			}
		}
		if !r.allowed(when) {
			t.Fatalf("%s is a place that is not allowed", when)
		}
	})
}

func pack0() *content.Pack { p, _ := content.Shipped(); return p }

// drawDay is a day of the next years, often near one that is not like the others.
func drawDay(t *rapid.T, edges []string, label string) time.Time {
	zone, _ := time.LoadLocation("Europe/London")
	edge, _ := time.ParseInLocation(time.DateOnly, rapid.SampledFrom(edges).Draw(t, label+" near"), zone)
	return edge.AddDate(0, 0, rapid.IntRange(-3, 12).Draw(t, label+" off"))
}

// keepsRules looks at a moment by the clocks on the walls, not by the code that chose it.
func keepsRules(t *rapid.T, b *Bot, p Patient, zone *time.Location, when time.Time) {
	desk, hers := when.In(b.service.Location), when.In(zone)
	day := desk.Format(time.DateOnly)
	spells := b.service.Hours.Week[desk.Weekday()]
	if rota, ok := b.service.Hours.Rota[day]; ok {
		if rota.Nurses == 0 {
			t.Fatalf("%s: nobody is on the desk", desk)
		}
		if len(rota.Spells) > 0 {
			spells = rota.Spells
		}
	}
	minute := desk.Hour()*60 + desk.Minute()
	switch {
	case len(spells) == 0:
		t.Fatalf("%s: the desk is closed", desk)
	case minute < spells[0].From || minute > spells[len(spells)-1].To-60:
		t.Fatalf("%s: too early or too late for the desk", desk)
	case hers.Hour() < 8 || hers.Hour() >= 21:
		t.Fatalf("%s is no decent hour with her", hers)
	}
	nation := p.Nation
	if nation == "" {
		nation = b.service.Nation
	}
	for _, x := range []struct {
		nation string
		day    time.Time
	}{{b.service.Nation, desk}, {nation, time.Date(desk.Year(), desk.Month(), desk.Day(), 12, 0, 0, 0, zone)}} {
		if name := b.content.Holiday(x.nation, x.day); name != "" {
			t.Fatalf("%s is %s", x.day, name)
		}
	}
	for _, q := range p.Quiet {
		if q.From <= day && day <= q.Until {
			t.Fatalf("%s is quiet from %s to %s", day, q.From, q.Until)
		}
	}
}
