package bot

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Spell is a stretch of one day, in minutes after midnight by the wall clock.
type Spell struct{ From, To int }

// Hours says when the desk is staffed. Its sums are pure: they read no clock,
// and they count by the wall clock of Location, so that 9am stays 9am over a
// change of the clocks.
type Hours struct {
	Location *time.Location
	Week     [7][]Spell // by time.Weekday; the spells of a day in order, not touching
	// Closed says why a day is closed (a bank holiday, a closure of the team's); "" is open.
	Closed func(day time.Time) string
	// Nurses is how many nurses answer the desk on a day of the week that is open;
	// where all are 0, nobody counts them, and one is there on each open day.
	Nurses [7]int
	// Rota holds the days that differ, by 2006-01-02; it outranks Week, and not Closed.
	Rota map[string]RotaDay
}

// RotaDay is one day that is not like its weekday.
type RotaDay struct {
	Spells []Spell // none: those of the weekday
	Nurses int     // 0: nobody is there, and the day is closed
	Why    string
}

// horizon bounds every search for an open day: a service that is closed for
// longer than this has no working days at all.
const horizon = 60 // days

// day is midnight of t's day by the wall clock.
func (h Hours) day(t time.Time) time.Time {
	t = t.In(h.Location)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, h.Location)
}

// at gives the moment that many minutes after midnight by the wall clock.
func at(day time.Time, minutes int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, minutes, 0, 0, day.Location())
}

// Spells lists the open spells of t's day, and why there are none.
func (h Hours) Spells(t time.Time) ([]Spell, string) {
	day := h.day(t)
	if h.Closed != nil {
		if why := h.Closed(day); why != "" {
			return nil, why
		}
	}
	spells := h.Week[day.Weekday()]
	if rota, ok := h.rota(day); ok {
		if rota.Nurses == 0 {
			return nil, cmp.Or(rota.Why, "nobody is on the desk")
		}
		if len(rota.Spells) > 0 {
			spells = rota.Spells
		}
	}
	if len(spells) > 0 {
		return spells, ""
	}
	return nil, "not a working day"
}

func (h Hours) rota(day time.Time) (RotaDay, bool) {
	if len(h.Rota) == 0 {
		return RotaDay{}, false
	}
	rota, ok := h.Rota[day.Format(time.DateOnly)]
	return rota, ok
}

// Staff says how many nurses answer the desk on t's day; 0 on a day that is closed.
func (h Hours) Staff(t time.Time) int {
	day := h.day(t)
	if spells, _ := h.Spells(day); len(spells) == 0 {
		return 0
	}
	if rota, ok := h.rota(day); ok {
		return rota.Nurses
	}
	if h.Nurses == [7]int{} {
		return 1
	}
	return h.Nurses[day.Weekday()]
}

// Open says whether the desk is staffed at t.
func (h Hours) Open(t time.Time) bool {
	spells, _ := h.Spells(t)
	day := h.day(t)
	for _, s := range spells {
		if !t.Before(at(day, s.From)) && t.Before(at(day, s.To)) {
			return true
		}
	}
	return false
}

// Next gives t if the desk is open then, else the next opening. The zero time: never.
func (h Hours) Next(t time.Time) time.Time {
	day := h.day(t)
	for range horizon {
		spells, _ := h.Spells(day)
		for _, s := range spells {
			if t.Before(at(day, s.To)) {
				if from := at(day, s.From); t.Before(from) {
					return from
				}
				return t.In(h.Location)
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// Close gives the end of the last spell of t's day; the zero time when that day is closed.
func (h Hours) Close(t time.Time) time.Time {
	spells, _ := h.Spells(t)
	if len(spells) == 0 {
		return time.Time{}
	}
	return at(h.day(t), spells[len(spells)-1].To)
}

// Add gives the moment by which d of staffed time has passed after t.
func (h Hours) Add(t time.Time, d time.Duration) time.Time {
	for range horizon {
		t = h.Next(t)
		if t.IsZero() {
			return t
		}
		day := h.day(t)
		spells, _ := h.Spells(day)
		for _, s := range spells {
			end := at(day, s.To)
			if !t.Before(end) {
				continue
			}
			if from := at(day, s.From); t.Before(from) {
				t = from
			}
			if left := end.Sub(t); d <= left {
				return t.Add(d)
			} else {
				d -= left
				t = end
			}
		}
	}
	return time.Time{}
}

// Back gives the moment from which d of staffed time is left until t.
func (h Hours) Back(t time.Time, d time.Duration) time.Time {
	day := h.day(t)
	for range horizon {
		spells, _ := h.Spells(day)
		for _, s := range slices.Backward(spells) {
			from, end := at(day, s.From), at(day, s.To)
			if !from.Before(t) {
				continue
			}
			if end.After(t) {
				end = t
			}
			if open := end.Sub(from); d <= open {
				return end.Add(-d)
			} else {
				d -= open
			}
		}
		day = day.AddDate(0, 0, -1)
	}
	return time.Time{}
}

// EndOfWorkingDay gives the close of the nth working day after the day on which
// t is first heard: 0 is that day itself. What comes in out of hours is heard
// at the next opening.
func (h Hours) EndOfWorkingDay(t time.Time, n int) time.Time {
	heard := h.Next(t)
	if heard.IsZero() {
		return heard
	}
	day := h.day(heard)
	for range horizon {
		if spells, _ := h.Spells(day); len(spells) > 0 {
			if n == 0 {
				return h.Close(day)
			}
			n--
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// spread gives a stable place in a window to a name, to the minute.
func spread(who string, window time.Duration) time.Duration {
	if window < time.Minute {
		return 0
	}
	minutes := uint64(window / time.Minute)
	sum := fnv.New64a()
	sum.Write([]byte(who))
	return time.Duration(sum.Sum64()%minutes) * time.Minute
}

// ParseSpells reads the hours of one day, e.g. "09:00-12:30 13:30-17:00".
func ParseSpells(text string) ([]Spell, error) {
	var spells []Spell
	for _, word := range strings.Fields(text) {
		var h1, m1, h2, m2 int
		var tail string
		if n, _ := fmt.Sscanf(word, "%d:%d-%d:%d%s", &h1, &m1, &h2, &m2, &tail); n != 4 {
			return nil, fmt.Errorf("%q is not a time span: write it like 09:00-17:00", word)
		}
		s := Spell{h1*60 + m1, h2*60 + m2}
		if h1 < 0 || m1 < 0 || m1 > 59 || h2 < 0 || m2 < 0 || m2 > 59 || s.To > 24*60 || s.From >= s.To {
			return nil, fmt.Errorf("%q is not a time span: the end must come after the beginning, on the same day", word)
		}
		if len(spells) > 0 && s.From <= spells[len(spells)-1].To {
			return nil, fmt.Errorf("%q begins before the span in front of it has ended", word)
		}
		spells = append(spells, s)
	}
	return spells, nil
}
