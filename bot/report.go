package bot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lookout/flows/triage"
)

// Report is how the queue went for a while, by rows that were closed in it. It counts
// rows, never nurses.
type Report struct {
	From, To  time.Time
	Levels    []Kept
	Ages      []Kept
	Concerns  []Came
	Referrals []Referred
}

// Kept is how promises were kept for a group of rows.
type Kept struct {
	Group       string
	Level       triage.Level // of a group that is a level
	Rows, Kept  int
	Median, P95 time.Duration // from her words to the talk, or to the closing where there was none; nights and weekends count
}

// Came is what came of the rows of a concern.
type Came struct {
	Concern     string
	Rows, Acted int // Acted: clinic, imaging, a referral or an emergency came of it
}

// Referred is what came of the referrals of a route.
type Referred struct {
	Route                   string
	Open, Ended, InTime     int
	Cancer, Clear, Withdraw int
}

// bands are the ages by which the report looks whether anybody is left behind.
var bands = []struct {
	below int
	name  string
}{{50, "under 50"}, {65, "50 to 64"}, {80, "65 to 79"}, {1 << 30, "80 and over"}}

// reportPage is how many closed rows are looked at together. A page may be shorter than that
// before the last one: a row of it was opened again meanwhile.
const reportPage = 1000

// Report adds up what was closed from a time until another.
func (b *Bot) Report(ctx context.Context, from, to time.Time) (Report, error) {
	r := Report{From: from, To: to}
	var rows []Row
	for skip := 0; ; skip += reportPage {
		page, err := b.Queue(ctx, QueueFilter{States: []RowState{Closed}, ClosedSince: from, Limit: reportPage, Skip: skip})
		if err != nil {
			return r, fmt.Errorf("report: %w", err)
		}
		if rows = append(rows, page...); len(page) == 0 {
			break
		}
	}
	open, err := b.Queue(ctx, QueueFilter{Concern: ReferralConcern, States: []RowState{Open, Claimed, Snoozed}, Limit: 10_000})
	if err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	rows = slices.DeleteFunc(rows, func(x Row) bool { return !x.ClosedAt.Before(to) })
	r.Referrals = b.referred(rows, open)
	rows = slices.DeleteFunc(rows, func(x Row) bool { return x.Referral != nil })
	for level := triage.Emergency; level >= triage.Routine; level-- {
		k := keptOf(rows, func(x *Row) bool { return x.Level == level })
		k.Group, k.Level = level.String(), level
		r.Levels = append(r.Levels, k)
	}
	least := 0
	for _, band := range bands {
		k := keptOf(rows, func(x *Row) bool {
			born, err := time.Parse(time.DateOnly, x.PatientBorn)
			age := yearsBetween(born, x.OpenedAt)
			return err == nil && age >= least && age < band.below
		})
		k.Group, least = band.name, band.below
		r.Ages = append(r.Ages, k)
	}
	came := map[string]*Came{}
	for i := range rows {
		x := &rows[i]
		if came[x.Concern] == nil {
			came[x.Concern] = &Came{Concern: x.Concern}
		}
		came[x.Concern].Rows++
		if acted(x.Outcome) {
			came[x.Concern].Acted++
		}
	}
	for _, c := range came {
		r.Concerns = append(r.Concerns, *c)
	}
	slices.SortFunc(r.Concerns, func(x, y Came) int {
		if x.Rows != y.Rows {
			return y.Rows - x.Rows
		}
		if x.Concern < y.Concern {
			return -1
		}
		return 1
	})
	return r, nil
}

// keptOf adds up the promises of some rows. One was kept when somebody spoke with her
// in time, or when it was closed in time because nobody had to.
func keptOf(rows []Row, of func(*Row) bool) Kept {
	var k Kept
	var waits []time.Duration
	for i := range rows {
		x := &rows[i]
		if !of(x) {
			continue
		}
		met := x.SpokeAt
		if met.IsZero() {
			met = x.ClosedAt
		}
		if k.Rows++; !met.After(x.DueAt) {
			k.Kept++
		}
		waits = append(waits, met.Sub(x.OpenedAt))
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		k.Median, k.P95 = waits[len(waits)/2], waits[len(waits)*95/100]
	}
	return k
}

// referred adds up referrals by route.
func (b *Bot) referred(closed, open []Row) []Referred {
	var out []Referred
	for _, route := range b.content.Routes() {
		x := Referred{Route: route.Key}
		for _, r := range open {
			if r.Referral.Route == route.Key {
				x.Open++
			}
		}
		for _, r := range closed {
			if r.Referral == nil || r.Referral.Route != route.Key || r.Referral.Outcome == "" {
				continue
			}
			x.Ended++
			switch r.Referral.Outcome {
			case "cancer":
				x.Cancer++
			case "clear":
				x.Clear++
			default:
				x.Withdraw++
				continue
			}
			if r.Referral.OutcomeAt.Before(r.Referral.DueAt.AddDate(0, 0, 1)) {
				x.InTime++
			}
		}
		if x.Open+x.Ended > 0 {
			out = append(out, x)
		}
	}
	return out
}
