package bot

import (
	"testing"
	"time"
	_ "time/tzdata"

	"lookout/flows/triage"
)

func london(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// office is open Monday to Friday, with a lunch break on Wednesdays, and closed on Christmas days.
func office(t testing.TB) *Service {
	t.Helper()
	zone := london(t)
	s := &Service{ID: "anytown", Location: zone, Promise: DefaultPromise, Hours: Hours{Location: zone}, Sending: Sending{From: 600, To: 960, Before: time.Hour}}
	for day := time.Monday; day <= time.Friday; day++ {
		s.Hours.Week[day] = []Spell{{540, 1020}}
	}
	s.Hours.Week[time.Wednesday] = []Spell{{540, 750}, {810, 1020}}
	s.Hours.Closed = func(day time.Time) string {
		if d := day.Format("01-02"); d == "12-25" || d == "12-26" || d == "01-01" {
			return "bank holiday"
		}
		return ""
	}
	return s
}

func TestDueTimes(t *testing.T) {
	s := office(t)
	for _, x := range []struct {
		level    triage.Level
		at, want string
		words    string
	}{
		{triage.Emergency, "2026-11-24 10:00", "2026-11-24 10:10", "10:10am today"},
		{triage.Urgent, "2026-11-24 10:00", "2026-11-24 17:00", "5pm today"},
		{triage.Urgent, "2026-11-24 16:30", "2026-11-25 11:00", "11am tomorrow"},  // too late for today
		{triage.Urgent, "2026-11-27 22:00", "2026-11-30 11:00", "11am on Monday"}, // Friday night
		{triage.Urgent, "2026-12-24 16:30", "2026-12-28 11:00", "11am on Monday"}, // before Christmas: Friday and the weekend are closed
		{triage.Soon, "2026-11-24 10:00", "2026-11-26 17:00", "5pm on Thursday"},
		{triage.Soon, "2026-11-27 10:00", "2026-12-01 17:00", "5pm on Tuesday"},
		{triage.Soon, "2026-11-28 10:00", "2026-12-02 17:00", "5pm on Wednesday"},               // heard on Monday
		{triage.Routine, "2026-12-23 10:00", "2026-12-31 17:00", "5pm on Thursday 31 December"}, // 25th closed
		{triage.Urgent, "2026-10-24 23:30", "2026-10-26 11:00", "11am on Monday"},               // the clocks go back on the 25th
		{triage.Urgent, "2027-03-27 23:30", "2027-03-29 11:00", "11am on Monday"},               // and forward on the 28th
	} {
		at, _ := time.ParseInLocation("2006-01-02 15:04", x.at, s.Location)
		due := s.DueAt(x.level, at)
		if got := due.Format("2006-01-02 15:04"); got != x.want {
			t.Errorf("%s at %s is due %s, want %s", x.level, x.at, got, x.want)
		}
		if got := s.ByWords(due, at, "en-GB"); got != x.words {
			t.Errorf("%s is said as %q, want %q", x.want, got, x.words)
		}
	}
}

// Working time is counted over breaks, and by the wall clock over both clock changes.
func TestAddCountsStaffedTime(t *testing.T) {
	s := office(t)
	for _, x := range []struct {
		from string
		add  time.Duration
		want string
	}{
		{"2026-11-25 12:00", time.Hour, "2026-11-25 14:00"}, // over the lunch break
		{"2026-11-25 12:45", time.Minute, "2026-11-25 13:31"},
		{"2026-11-24 16:00", 2 * time.Hour, "2026-11-25 10:00"},
		{"2026-10-23 16:00", 2 * time.Hour, "2026-10-26 10:00"},
		{"2027-03-26 16:00", 2 * time.Hour, "2027-03-29 10:00"},
	} {
		from, _ := time.ParseInLocation("2006-01-02 15:04", x.from, s.Location)
		if got := s.Hours.Add(from, x.add).Format("2006-01-02 15:04"); got != x.want {
			t.Errorf("%s + %s = %s, want %s", x.from, x.add, got, x.want)
		}
	}
}

func TestParseSpells(t *testing.T) {
	if got, err := ParseSpells("09:00-12:30 13:30-17:00"); err != nil || len(got) != 2 || got[1] != (Spell{810, 1020}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"9-5", "09:00-08:00", "09:00-25:00", "09:00-12:00 11:00-13:00", "09:00-17:00x", "-", "09:60-10:00"} {
		if got, err := ParseSpells(text); err == nil {
			t.Errorf("%q was taken as %v", text, got)
		}
	}
}

func TestNHSNumber(t *testing.T) {
	for text, want := range map[string]string{"999 012 3454": "9990123454", "999-012-3454": "9990123454", " 9990123454 ": "9990123454"} {
		if got, err := ParseNHSNumber(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "999 012 3455", "999012345", "99901234540", "999012345x", "0000000000", "9999999999"} {
		if got, err := ParseNHSNumber(text); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

// A day on call begins at 8am by the clock, also on the days on which the clocks change.
func TestADayOnCallBeginsAtEight(t *testing.T) {
	s := office(t)
	for _, x := range []struct{ at, day string }{
		{"2026-03-28T07:59", "2026-03-27"}, {"2026-03-28T08:00", "2026-03-28"},
		{"2026-03-29T07:59", "2026-03-28"}, {"2026-03-29T08:00", "2026-03-29"}, // the clocks have gone forward
		{"2026-10-25T07:59", "2026-10-24"}, {"2026-10-25T08:00", "2026-10-25"}, // and back
	} {
		at, err := time.ParseInLocation("2006-01-02T15:04", x.at, s.Location)
		if err != nil {
			t.Fatal(err)
		}
		if day := s.OnCallDay(at).Format(time.DateOnly); day != x.day {
			t.Errorf("%s belongs to %s, want %s", x.at, day, x.day)
		}
	}
}
