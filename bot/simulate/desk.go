package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// desk is the nurses of the rota. They look at the queue every few minutes, take the
// most dangerous row that nobody has, ring, and close it; who is not reached is
// tried again. Out of hours the nurse on call answers pages.
type desk struct {
	w      *world
	nurses []*nurse
	oncall nurse
	pages  []called
	retry  map[string]time.Time // rows whose person did not answer, and when she is rung again
	spoke  string               // keys of what can come of a call
	nobody string
}

type nurse struct {
	name string
	row  string // at work on; "" when free
	done time.Time
	took time.Duration
}

// called is a page that the nurse on call has heard.
type called struct {
	row string
	at  time.Time // when she is at it
}

// look is how often nurses look at the queue, and hours how long a person who did
// not answer the phone is let be.
const (
	look       = 5 * time.Minute
	ringAgain  = 2 * time.Hour
	answersNow = 0.72 // of calls to patients: hospital numbers are withheld, and go unanswered (desk.md 5)
)

// minutes is what a row takes: about 16 minutes a call (Royal Marsden), less where
// nobody has to be rung.
var minutes = map[triage.Level]float64{triage.Emergency: 22, triage.Urgent: 17, triage.Soon: 15, triage.Routine: 6}

func newDesk(w *world) *desk {
	d := &desk{w: w, retry: map[string]time.Time{}, oncall: nurse{name: "oncall@example.nhs.uk"}}
	for _, r := range w.Pack.RingResults() {
		switch {
		case r.Spoke && d.spoke == "":
			d.spoke = r.Key
		case !r.Spoke && d.nobody == "":
			d.nobody = r.Key
		}
	}
	return d
}

// next is when somebody at the desk does something, or looks.
func (d *desk) next(now time.Time) time.Time {
	next := now.AddDate(1, 0, 0)
	for _, p := range d.pages {
		if p.at.Before(next) {
			next = p.at
		}
	}
	if len(d.w.store.Live()) == 0 {
		return next
	}
	open := d.w.Service.Hours.Next(now)
	if open.IsZero() {
		return next
	}
	if open.Equal(now) || !open.After(now) {
		open = now.Truncate(look).Add(look)
	}
	if open.Before(next) {
		return open
	}
	return next
}

// chance is the desk's own for one row and one try: it hangs on nothing else.
func (d *desk) chance(row string, try int) *rand.Rand {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%s/%d", row, try)
	return rand.New(rand.NewPCG(d.w.Seed, sum.Sum64()))
}

// length is how long a row takes, lognormal about its middle.
func length(r *rand.Rand, level triage.Level) time.Duration {
	return time.Duration(minutes[level] * math.Exp(0.35*r.NormFloat64()) * float64(time.Minute)).Round(time.Second)
}

// work is what the desk does in one step.
func (d *desk) work() error {
	now := d.w.now
	if err := d.answerPages(); err != nil {
		return err
	}
	staff := d.w.Service.Hours.Staff(now)
	open := d.w.Service.Hours.Open(now)
	if open {
		for len(d.nurses) < staff {
			d.nurses = append(d.nurses, &nurse{name: fmt.Sprintf("nurse%d@example.nhs.uk", len(d.nurses)+1)})
		}
	}
	var queue []bot.Row
	for i, n := range d.nurses {
		if n.row != "" && !n.done.After(now) {
			if err := d.finish(n, n.row); err != nil {
				return err
			}
			n.row = ""
		}
		if n.row != "" || !open || i >= staff {
			continue
		}
		if queue == nil {
			queue = d.queue()
		}
		for len(queue) > 0 && n.row == "" {
			row := queue[0]
			queue = queue[1:]
			if _, err := d.w.bot.Take(d.w.ctx, bot.Act{Row: row.ID, By: n.name}); taken(err) {
				continue
			} else if err != nil {
				return err
			}
			n.row, n.took = row.ID, length(d.chance(row.ID, row.Rung), row.Level)
			n.done = now.Add(n.took)
		}
	}
	return nil
}

// queue is what can be taken now, the most dangerous first, as many as there are nurses.
func (d *desk) queue() []bot.Row {
	return d.w.store.First(len(d.nurses), func(r *bot.Row) bool { return r.State == bot.Open && !d.retry[r.ID].After(d.w.now) })
}

// finish rings and closes a row, or gives it back when nobody answered.
func (d *desk) finish(n *nurse, id string) error {
	row, err := d.w.bot.Row(d.w.ctx, id)
	if taken(err) {
		return nil // another has closed it
	}
	if err != nil {
		return err
	}
	if row.ClaimedBy != n.name { // it took longer than a claim holds
		if row, err = d.w.bot.Take(d.w.ctx, bot.Act{Row: id, By: n.name}); taken(err) {
			return nil // another has it now
		} else if err != nil {
			return err
		}
	}
	p := d.w.byID[row.Patient]
	r := d.chance(id, 1000+row.Rung)
	d.w.figures.worked(d.w.now, n.took, row.Level)
	d.w.figures.began(row, d.w.now.Add(-n.took))
	rings := row.Level >= triage.Soon || row.Concern == "contact-request" || row.Concern == "no-answer" || row.Concern == "unreachable"
	if rings && p != nil {
		result := d.spoke
		if r.Float64() > answersNow || p.gone(d.w.now) && row.Rung < 2 {
			result = d.nobody
		}
		if _, err := d.w.bot.Ring(d.w.ctx, bot.Act{Row: id, By: n.name}, result); err != nil {
			return err
		}
		if result == d.nobody && row.Rung < 3 {
			d.retry[id] = d.w.now.Add(ringAgain)
			_, err := d.w.bot.Release(d.w.ctx, bot.Act{Row: id, By: n.name})
			return err
		}
		if result == d.spoke {
			d.w.figures.spoken(p, row, d.w.now)
			if x := p.ill; x != nil && !x.told.IsZero() && x.heard.IsZero() && row.Level >= triage.Soon {
				x.heard = d.w.now
			}
		}
	}
	delete(d.retry, id)
	_, err = d.w.bot.CloseRow(d.w.ctx, bot.Closing{Row: id, By: n.name, Outcome: d.ending(row, p, rings)})
	d.w.figures.closed(row, d.w.now)
	return err
}

// ending is how a row is closed.
func (d *desk) ending(row bot.Row, p *someone, rings bool) string {
	key := "not-needed"
	switch {
	case row.Level == triage.Emergency:
		key = "emergency"
	case p != nil && p.ill != nil && !p.ill.heard.IsZero() && row.Level >= triage.Soon:
		key = "clinic"
	case rings:
		key = "advice"
	}
	if _, ok := d.w.Pack.Outcome(key); !ok {
		key = d.w.Pack.Outcomes()[0].Key
	}
	return key
}

// paged is what the nurse on call does about a page: she is at it within minutes.
func (d *desk) paged(out bot.Outgoing) {
	if out.Row == "" || d.w.Service.Hours.Open(d.w.now) || slices.ContainsFunc(d.pages, func(p called) bool { return p.row == out.Row }) {
		return // by day whoever is at the desk takes it first anyway
	}
	d.pages = append(d.pages, called{out.Row, d.w.now.Add(time.Duration(2+d.chance(out.Row, 2000).IntN(7)) * time.Minute)})
}

func (d *desk) answerPages() error {
	left := d.pages[:0:0]
	slices.SortFunc(d.pages, func(a, b called) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.row, b.row)) })
	for _, p := range d.pages {
		if p.at.After(d.w.now) {
			left = append(left, p)
			continue
		}
		row, err := d.w.bot.Take(d.w.ctx, bot.Act{Row: p.row, By: d.oncall.name})
		if taken(err) {
			continue
		}
		if err != nil {
			return err
		}
		d.oncall.took = length(d.chance(row.ID, row.Rung), row.Level)
		d.w.figures.began(row, d.w.now)
		if err := d.finish(&d.oncall, row.ID); err != nil {
			return err
		}
	}
	d.pages = left
	return nil
}

// taken says that somebody else was faster: she has the row, or has closed it.
func taken(err error) bool { return errors.Is(err, bot.ErrConflict) || errors.Is(err, bot.ErrNotFound) }
