package bot

import (
	"fmt"
	"strings"
	"time"

	"lookout/flows/triage"
)

// Service is one hospital team: what its settings say. The levels are fixed,
// the times are the service's own (PRODUCT.md, "The levels").
type Service struct {
	ID         string // short, lower case; every id begins with it
	Name       string // as patients know it
	Nation     string // "england-and-wales", "scotland", "northern-ireland"
	Location   *time.Location
	OpenAccess bool
	NurseLine  string // the number that patients ring, as they read it
	CancerLine string // the 24-hour line for people on or just after chemotherapy
	Hours      Hours
	Sending    Sending
	Promise    Promise
	Duty       []Duty // who is paged for an emergency, in order
	// OnCall names who of them is on call on a day of the week, in order; OnCallOn on
	// a day, by 2006-01-02, which outranks it. A day on call begins at 8am.
	OnCall    [7][]string
	OnCallOn  map[string][]string
	PageEvery time.Duration // until somebody takes it or answers
	Lease     time.Duration // how long a claim holds without work
	// RowsPerNurse is how many new rows a day one nurse can answer. What is planned is
	// spread so that no more are to be expected of it; 0: no limit.
	RowsPerNurse float64
	Canary       Canary
	KeepYears    int // of silence after follow-up, until a person is erased; 0: nobody is
}

// Promise says by when somebody is rung.
type Promise struct {
	Emergency   time.Duration // by the wall clock, day and night: until a nurse has acknowledged
	UrgentLeast time.Duration // staffed time that must be left today for "today" to be promised, else after the next opening
	SoonDays    int           // working days after the day on which it is first heard
	RoutineDays int

	// What guards a promise, in staffed time (promise.go).
	Untaken time.Duration // an urgent row that nobody has taken for so long is paged; 0: not
	Warn    time.Duration // before it is due the lead is paged, when nobody has the row
	Tell    time.Duration // before it is due she is told which door to try, when nobody has it
}

// Duty is one step of the paging ladder.
type Duty struct {
	Name      string    // who, as the journal shows it
	Addresses []Address // each is paged
	Lead      bool      // is paged when a promise is about to be missed
}

// DefaultPromise is PRODUCT.md's: urgent the same day, soon within 2 working
// days, routine within 5; an emergency unacknowledged after 10 minutes is late
// (clinical.md 9.1, HZ5), an urgent row untaken after 2 hours too.
var DefaultPromise = Promise{Emergency: 10 * time.Minute, UrgentLeast: time.Hour, SoonDays: 2, RoutineDays: 5,
	Untaken: 2 * time.Hour, Warn: time.Hour, Tell: 15 * time.Minute}

// DueAt says by when a row of that level, heard at t, must be acted on.
func (s *Service) DueAt(level triage.Level, t time.Time) time.Time {
	switch level {
	case triage.Emergency:
		return t.Add(s.Promise.Emergency)
	case triage.Urgent:
		least := s.Promise.UrgentLeast
		if end := s.Hours.Close(t); s.Hours.Open(t) && end.Sub(t) >= least {
			return end
		}
		// Too late for today: the first hours of the next opening, not its last.
		if s.Hours.Open(t) {
			t = s.Hours.Close(t)
		}
		return s.Hours.Add(t, 2*least)
	case triage.Soon:
		return s.Hours.EndOfWorkingDay(t, s.Promise.SoonDays)
	default:
		return s.Hours.EndOfWorkingDay(t, s.Promise.RoutineDays)
	}
}

var (
	daysEnglish = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	daysWelsh   = [...]string{"dydd Sul", "dydd Llun", "dydd Mawrth", "dydd Mercher", "dydd Iau", "dydd Gwener", "dydd Sadwrn"}
)

// ByWords says a due time as a patient reads it: "4pm today", "10:30am
// tomorrow", "5pm on Thursday", "5pm on Tuesday 8 December" (NHS style).
// The Welsh wants a Welsh speaker's review, like all our Welsh.
func (s *Service) ByWords(due, now time.Time, locale string) string {
	due, now = due.In(s.Location), now.In(s.Location)
	welsh := strings.HasPrefix(locale, "cy")
	clock := clockWords(due)
	days := int(s.Hours.day(due).Sub(s.Hours.day(now)).Round(24*time.Hour) / (24 * time.Hour))
	switch {
	case locale == localeBoth: // in words of neither language
		return due.Format("15:04, 2/1")
	case days <= 0 && welsh:
		return clock + " heddiw"
	case days <= 0:
		return clock + " today"
	case days == 1 && welsh:
		return clock + " yfory"
	case days == 1:
		return clock + " tomorrow"
	case days < 7 && welsh:
		return clock + " " + daysWelsh[due.Weekday()]
	case days < 7:
		return clock + " on " + daysEnglish[due.Weekday()]
	case welsh:
		return fmt.Sprintf("%s %s %d/%d", clock, daysWelsh[due.Weekday()], due.Day(), due.Month())
	default:
		return fmt.Sprintf("%s on %s %d %s", clock, daysEnglish[due.Weekday()], due.Day(), due.Month())
	}
}

// clockWords writes a time of day in the NHS style: 4pm, 10:30am, midday, midnight.
func clockWords(t time.Time) string {
	hour, half := t.Hour(), "am"
	switch {
	case hour == 0 && t.Minute() == 0:
		return "midnight"
	case hour == 12 && t.Minute() == 0:
		return "midday"
	case hour >= 12:
		half = "pm"
	}
	hour = (hour+11)%12 + 1
	if t.Minute() == 0 {
		return fmt.Sprintf("%d%s", hour, half)
	}
	return fmt.Sprintf("%d:%02d%s", hour, t.Minute(), half)
}
