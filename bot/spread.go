package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// spreadAhead is how many days are levelled at once, spreadEvery how often a day is
// looked at again when somebody was planned into it since, and spreadMost bounds
// what is looked at.
const (
	spreadAhead = 14
	spreadEvery = 15 * time.Minute
	spreadMost  = 1_000_000
)

// spreader remembers when the sends were levelled last. It is a saver of work only:
// levelling twice, or on two machines, moves nothing more.
type spreader struct {
	mu   sync.Mutex
	at   time.Time
	room float64      // of at's day, when it was looked at first
	more atomic.Bool  // somebody was planned for that day since
	sent atomic.Int64 // rows to be expected of what went since, in thousandths
}

// load is one item of somebody's plan, on the day on which it would go.
type load struct {
	patient string
	wake    Wake
	tie     uint64 // orders those who are due on the same day, otherwise each time
}

// Level spreads what is planned by what the nurses of a day can answer
// ([Service.RowsPerNurse]): who has waited longest goes, and the rest goes on the
// next day with room. It is stable: run again, it moves nothing. The rows that are
// to be expected are the plan's (answer rate by alert rate). It may be called at any
// time, and does its work once a day, and again when somebody was planned into the
// day since; the first call of a day comes long before its sending hours. It is no
// part of Wake, which pages nurses and must not wait for it.
func (b *Bot) Level(ctx context.Context) error {
	if b.service.RowsPerNurse <= 0 {
		return nil
	}
	b.spread.mu.Lock()
	defer b.spread.mu.Unlock()
	now, hours := b.now(), b.service.Hours
	today := hours.day(now)
	if !b.spread.at.IsZero() && hours.day(b.spread.at).Equal(today) {
		if !b.spread.more.Load() || now.Sub(b.spread.at) < spreadEvery {
			return nil
		}
	} else {
		b.spread.sent.Store(0)
		b.spread.room = b.room(today, now)
	}
	b.spread.more.Store(false)
	days, err := b.planned(ctx, now)
	if err != nil {
		return fmt.Errorf("level the days: %w", err)
	}
	moves := levelled(days, func(n int) float64 {
		if n == 0 {
			return max(0, b.spread.room-float64(b.spread.sent.Load())/1000)
		}
		return b.room(today.AddDate(0, 0, n), now)
	})
	var faults []error
	for _, m := range moves {
		err := b.turn(ctx, m.patient, "", nil, func(t *turn) error {
			w, ok := t.rec.wakeOf(m.wake.Ref)
			if !ok || !w.At.Equal(m.wake.At) {
				return errNothing // somebody else was faster
			}
			t.putOff(w, today.AddDate(0, 0, m.to), "the nurses have as many answers to expect on "+hours.day(m.wake.At).Format("Mon 2 Jan")+" as they can read")
			return nil
		})
		if err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("level the days: %w", err)
	}
	b.spread.at = now
	return nil
}

// room is how many rows a day's nurses can answer; of today what is left of the
// sending hours.
func (b *Bot) room(day, now time.Time) float64 {
	hours := b.service.Hours
	rows := b.service.RowsPerNurse * float64(hours.Staff(day))
	if rows == 0 || !hours.day(now).Equal(day) {
		return rows
	}
	spells, _ := hours.Spells(day)
	r := rules{hours: hours, sending: b.service.Sending, zone: hours.Location}
	from, to := r.window(day, r.spans()[0], spells)
	switch {
	case !from.Before(to) || !now.Before(to):
		return 0
	case now.After(from):
		return rows * float64(to.Sub(now)) / float64(to.Sub(from))
	}
	return rows
}

// planned lists what is planned for the next days, by days from now on; what is
// overdue is today's.
func (b *Bot) planned(ctx context.Context, now time.Time) ([][]load, error) {
	today := b.service.Hours.day(now)
	due, err := b.store.Due(ctx, today.AddDate(0, 0, spreadAhead), spreadMost)
	if err != nil {
		return nil, err
	}
	wakes, faults := make([][]Wake, len(due)), make([]error, len(due))
	atOnce(len(due), func(i int) {
		var rec Record
		if rec, faults[i] = b.store.Load(ctx, due[i].Patient); faults[i] == nil {
			wakes[i] = slices.DeleteFunc(rec.Wakes, func(w Wake) bool { return w.Kind != WakePlan || w.N == 0 })
		} else if errors.Is(faults[i], ErrNotFound) {
			faults[i] = nil // she has been erased meanwhile
		}
	})
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	days := make([][]load, spreadAhead)
	for i, d := range due {
		for _, w := range wakes[i] {
			n := max(0, daysBetween(today, b.service.Hours.day(w.At)))
			if n >= spreadAhead {
				continue
			}
			sum := fnv.New64a()
			sum.Write([]byte(d.Patient))
			sum.Write([]byte(w.Ref))
			days[n] = append(days[n], load{d.Patient, w, sum.Sum64()})
		}
	}
	return days, nil
}

// daysBetween counts the days of the calendar from one midnight to another.
func daysBetween(from, to time.Time) int {
	return int(to.Sub(from).Round(24*time.Hour) / (24 * time.Hour))
}

// move is one item that goes on another day than was planned.
type move struct {
	load
	to int
}

// levelled says what moves, so that no day holds more than its room. It is pure.
// An item that alone is more than a day's room still goes: nobody waits for ever.
func levelled(days [][]load, room func(n int) float64) []move {
	first := make(map[string]int)
	for n, day := range days {
		for _, l := range day {
			first[l.patient+" "+l.wake.Ref] = n
		}
	}
	var moves []move
	for n := range days {
		day := days[n]
		slices.SortStableFunc(day, func(a, b load) int {
			return cmp.Or(a.wake.Due.Compare(b.wake.Due), cmp.Compare(a.tie, b.tie))
		})
		left := room(n) + 1e-9
		kept := day[:0:0]
		for _, l := range day {
			rows := float64(l.wake.N) / 1000
			if last := n == len(days)-1; rows > left && !last && (len(kept) > 0 || room(n) == 0) {
				days[n+1] = append(days[n+1], l)
				continue
			}
			left -= rows
			kept = append(kept, l)
		}
		days[n] = kept
		for _, l := range kept {
			if first[l.patient+" "+l.wake.Ref] != n {
				moves = append(moves, move{l, n})
			}
		}
	}
	return moves
}
