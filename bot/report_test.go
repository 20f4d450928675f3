package bot_test

import (
	"context"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// The report says how promises were kept, what came of each concern and of each
// referral, from the rows that were closed in its days.
func TestReport(t *testing.T) {
	w := newWard(t)
	begin := w.at
	shut := func(words, outcome, route string, waits time.Duration) {
		t.Helper()
		row := w.writes(words)
		w.at = w.at.Add(waits)
		a := bot.Act{Row: row.ID, By: "ann@example.org"}
		must[bot.Row](w)(w.Take(t.Context(), a))
		must[bot.Row](w)(w.Ring(t.Context(), a, "spoke"))
		must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: a.By, Outcome: outcome, Route: route}))
	}
	shut("found a lump in my breast", "referral", "usc", time.Hour)
	shut("my calf is swollen hot and painful", "advice", "", 10*time.Hour) // promised by 5pm
	rows := must[[]bot.Row](w)(w.Queue(t.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: []bot.RowState{bot.Snoozed}}))
	must[bot.Row](w)(w.EndReferral(t.Context(), bot.Act{Row: rows[0].ID, By: "ann@example.org"}, "clear", w.at))
	r, err := w.Report(t.Context(), begin, w.at.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.Levels {
		want := map[triage.Level]bot.Kept{
			triage.Soon:   {Group: "soon", Level: triage.Soon, Rows: 1, Kept: 1, Median: time.Hour, P95: time.Hour},
			triage.Urgent: {Group: "urgent", Level: triage.Urgent, Rows: 1, Median: 10 * time.Hour, P95: 10 * time.Hour},
		}[k.Level]
		if want.Rows > 0 && k != want {
			t.Errorf("%+v, want %+v", k, want)
		}
	}
	for _, c := range r.Concerns {
		if acted := map[string]int{"breast": 1}[c.Concern]; c.Acted != acted || c.Rows != 1 {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Referrals) != 1 || r.Referrals[0].Route != "usc" || r.Referrals[0].InTime != 1 || r.Referrals[0].Clear != 1 {
		t.Errorf("%+v", r.Referrals)
	}
	if k := r.Ages[2]; k.Rows != 2 || k.Group != "65 to 79" {
		t.Errorf("she is 65: %+v", r.Ages)
	}
	if r, err := w.Report(t.Context(), begin.AddDate(0, 0, -9), begin); err != nil || r.Levels[1].Rows != 0 {
		t.Errorf("before: %+v, %v", r, err)
	}
}

// shortPages is a store whose pages of the queue lack a row each: it was opened again between
// the list and the look at it.
type shortPages struct {
	bot.Store
	pages []int // rows of each
}

func (s *shortPages) Queue(_ context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	if len(f.States) != 1 || f.States[0] != bot.Closed || f.Skip/f.Limit >= len(s.pages) {
		return nil, nil
	}
	rows := make([]bot.Row, s.pages[f.Skip/f.Limit])
	for i := range rows {
		rows[i] = bot.Row{Level: triage.Soon, State: bot.Closed, Concern: "pain", ClosedAt: f.ClosedSince.Add(time.Minute)}
	}
	return rows, nil
}

// A page of closed rows that is not full does not end the report.
func TestReportGoesOnAfterAShortPage(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	b, _ := botOn(t, &shortPages{newStore(t), []int{999, 1000, 3}}, &at, nil)
	r, err := b.Report(t.Context(), at.AddDate(0, -1, 0), at)
	if err != nil || r.Levels[2].Level != triage.Soon || r.Levels[2].Rows != 2002 {
		t.Errorf("%+v, %v", r.Levels, err)
	}
}
