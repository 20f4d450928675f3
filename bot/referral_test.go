package bot_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// A row closed with a referral starts its clock; the referral waits, comes back a week
// before the 28 days are over, and ends with what came of it. Her words do not wake it.
func TestReferral(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	ann := bot.Act{Row: row.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), ann))
	if _, err := w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: ann.By, Outcome: "referral", Route: "by balloon"}); !errors.Is(err, bot.ErrInvalid) {
		t.Errorf("a route that there is not: %v", err)
	}
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: ann.By, Outcome: "referral", Route: "usc"}))
	board := func(states ...bot.RowState) []bot.Row {
		t.Helper()
		return must[[]bot.Row](w)(w.Queue(t.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: states}))
	}
	open := board(bot.Snoozed)
	if len(open) != 1 || open[0].Referral.Route != "usc" || open[0].Referral.From != row.ID {
		t.Fatalf("%+v", open)
	}
	if due := open[0].DueAt; !due.Equal(time.Date(2026, 12, 22, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("due %s, want 28 days after 24 November", due)
	}
	w.writes("thank you so much, and my hip aches")
	if len(board(bot.Snoozed)) != 1 {
		t.Error("her words woke a referral, which waits for the hospital")
	}
	w.at = time.Date(2026, 12, 15, 9, 1, 0, 0, time.UTC)
	w.deliver()
	if back := board(bot.Open); len(back) != 1 || back[0].Level != triage.Routine {
		t.Fatalf("a week before the end it is not back: %+v", back)
	}
	a := bot.Act{Row: open[0].ID, By: "bea@example.org"}
	for _, on := range []time.Time{w.at.AddDate(0, 0, 1), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)} {
		if _, err := w.EndReferral(t.Context(), a, "clear", on); !errors.Is(err, bot.ErrInvalid) {
			t.Errorf("known on %s: %v", on, err)
		}
	}
	ended := must[bot.Row](w)(w.EndReferral(t.Context(), a, "clear", time.Date(2026, 12, 14, 0, 0, 0, 0, time.UTC)))
	if ended.State != bot.Closed || ended.Referral.Outcome != "clear" || len(board(bot.Open, bot.Claimed, bot.Snoozed)) != 0 {
		t.Errorf("%+v", ended)
	}
	w.at = w.at.AddDate(0, 0, 20)
	w.deliver()
	if len(board(bot.Open, bot.Claimed, bot.Snoozed)) != 0 {
		t.Error("a referral that has ended comes back")
	}
}

// For half a minute a closing can be taken back, by who closed the row: her text has
// not gone, the referral is undone, the row is hers again.
func TestUndoClose(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	w.deliver()
	ann := bot.Act{Row: row.ID, By: "ann@example.org"}
	shut := func() {
		t.Helper()
		must[bot.Row](w)(w.Take(t.Context(), ann))
		must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: ann.By, Outcome: "referral", Route: "usc", TellHer: "desk.closed"}))
		if to := w.deliver(); to != "" {
			t.Errorf("her text went at once, to %q: it could not be taken back", to)
		}
	}
	shut()
	if _, err := w.UndoClose(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org"}); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("by another: %v", err)
	}
	w.at = w.at.Add(29 * time.Second)
	if r := must[bot.Row](w)(w.UndoClose(t.Context(), ann)); r.State != bot.Claimed || r.ClaimedBy != ann.By || r.Outcome != "" {
		t.Errorf("%+v", r)
	}
	w.at = w.at.Add(time.Minute)
	if to := w.deliver(); to != "" {
		t.Errorf("a text that was taken back went to %q", to)
	}
	if rows := must[[]bot.Row](w)(w.Queue(t.Context(), bot.QueueFilter{Concern: bot.ReferralConcern, States: []bot.RowState{bot.Snoozed, bot.Open}})); len(rows) != 0 {
		t.Errorf("the referral was not taken back: %+v", rows)
	}
	must[bot.Row](w)(w.Ring(t.Context(), ann, "spoke"))
	shut()
	w.at = w.at.Add(31 * time.Second)
	if _, err := w.UndoClose(t.Context(), ann); !errors.Is(err, bot.ErrRefused) {
		t.Errorf("after half a minute: %v", err)
	}
	if to := w.deliver(); to != herPhone || !strings.Contains(w.out.text[herPhone], "thank you for talking to us") {
		t.Errorf("%q: %s", to, w.out.text[herPhone])
	}
	// She has written again: the old row stays closed, and the new one is the place.
	again := w.writes("the lump is bigger now")
	ann.Row = again.ID
	must[bot.Row](w)(w.Take(t.Context(), ann))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: again.ID, By: ann.By, Outcome: "advice"}))
	w.writes("the lump hurts")
	if _, err := w.UndoClose(t.Context(), ann); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("with a new row about the same: %v", err)
	}
}

// A row that is opened again is guarded as it was: when its claim runs out, the lead is
// paged before the time that she was told.
func TestUndoneClosingIsGuarded(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	w.deliver()
	ann := bot.Act{Row: row.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), ann))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: ann.By, Outcome: "advice"}))
	must[bot.Row](w)(w.UndoClose(t.Context(), ann))
	w.at = w.at.Add(31 * time.Minute)
	w.deliver()
	if w.at = row.DueAt.Add(-w.team.Promise.Warn); w.deliver() != carPhone {
		t.Error("the lead is not told that the time is nearly over")
	}
}

// What she meets of the criteria for non-specific symptoms is told with its day, and
// not what has gone, was explained, or is too short.
func TestCriteriaMet(t *testing.T) {
	w := newWard(t)
	keys := func() string {
		t.Helper()
		c, err := w.Case(t.Context(), w.her.ID)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, m := range c.Met {
			out = append(out, m.Key)
			if m.Key == "nss_pain" && m.Since.After(w.at.AddDate(0, 0, -28)) {
				t.Errorf("since %s: too short", m.Since)
			}
		}
		return strings.Join(out, " ")
	}
	if got := keys(); got != "prop_past_cancer" {
		t.Errorf("at first: %s", got)
	}
	w.writes("my hip has been aching for two weeks")
	if got := keys(); got != "prop_past_cancer" {
		t.Errorf("after two weeks: %s", got)
	}
	w.at = w.at.AddDate(0, 0, 15)
	if got := keys(); got != "nss_pain prop_past_cancer" {
		t.Errorf("after four weeks: %s", got)
	}
	if err := w.Expect(t.Context(), bot.Expecting{Patient: w.her.ID, Concept: "bone_pain", Until: w.at.AddDate(0, 0, 7), By: "ann@example.org", Why: "known arthritis"}); err != nil {
		t.Fatal(err)
	}
	if got := keys(); got != "prop_past_cancer" {
		t.Errorf("when it is explained: %s", got)
	}
}
