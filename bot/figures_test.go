package bot_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lookout/bot"
)

// The figures say how many rows the check-ins led to, what came of each rule, who
// answers and is rung in time, and what people said to the survey.
func TestFigures(t *testing.T) {
	w := newWard(t)
	if _, err := w.Figures(t.Context(), 30); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("before they were counted: %v", err)
	}
	begin := func(flow string) {
		t.Helper()
		if err := w.Start(t.Context(), w.her.ID, flow, "ann@example.org"); err != nil {
			t.Fatal(err)
		}
	}
	begin("check-in")
	w.at = w.at.Add(2 * time.Hour)
	row := w.writes("found a lump in my breast")
	a := bot.Act{Row: row.ID, By: "ann@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), a))
	must[bot.Row](w)(w.Ring(t.Context(), a, "spoke"))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: a.By, Outcome: "referral", Route: "usc"}))
	w.at = w.at.Add(24 * time.Hour)
	begin("check-in") // which she does not answer
	w.at = w.at.Add(20 * 24 * time.Hour)
	begin("survey")
	for _, answer := range []string{"not told", "yes", "8", "ring me sooner please"} {
		w.at = w.at.Add(time.Minute)
		w.n++
		if err := w.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: herPhone}, Text: answer, CarrierID: "SV" + answer}); err != nil {
			t.Fatal(err)
		}
	}
	w.at = w.at.Add(time.Hour)
	if err := w.CountFigures(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := w.Figures(t.Context(), 30)
	if err != nil {
		t.Fatal(err)
	}
	if f.CheckIns != 2 || f.Answered != 1 {
		t.Errorf("%d check-ins, %d answered, want 2 and 1", f.CheckIns, f.Answered)
	}
	if i := slices.IndexFunc(f.Rules, func(r bot.RuleCount) bool { return strings.HasPrefix(r.Rule, "breast_lump") }); i < 0 || f.Rules[i].Rows != 1 || f.Rules[i].Acted != 1 {
		t.Errorf("the rules: %+v", f.Rules)
	}
	if len(f.Ages) != 1 || f.Ages[0].Name != "65 to 79" || f.Ages[0].ReplyMedian != 2*time.Hour || f.Ages[0].Calls.Rows != 1 || f.Ages[0].Calls.Kept != 1 {
		t.Errorf("by age: %+v", f.Ages)
	}
	if len(f.Areas) != 1 || f.Areas[0].Name != "not recorded" || f.Languages[0].Name != "English" {
		t.Errorf("by area and language: %+v %+v", f.Areas, f.Languages)
	}
	if f.Survey.Asked != 1 || f.Survey.Told["not_told"] != 1 || f.Survey.Contact["yes"] != 1 || f.Survey.Helpful[8] != 1 {
		t.Errorf("the survey: %+v", f.Survey)
	}
	if better, err := w.Better(t.Context(), &f); err != nil || len(better) != 1 || better[0].Text != "ring me sooner please" {
		t.Errorf("%v: what to do better: %+v", err, better)
	}
	year, err := w.Figures(t.Context(), 365)
	if err != nil || year.CheckIns != 2 {
		t.Errorf("%v: of the year: %+v", err, year)
	}
}

// A pledge is published whole or not at all, and its draft is nobody else's business.
func TestPledge(t *testing.T) {
	w := newWard(t)
	for _, bad := range []bot.Pledge{{}, {Items: []bot.PledgeItem{{Said: "ring us back", State: "done"}}}, {Items: []bot.PledgeItem{{Said: "x", Did: "y", State: "soon"}}}, {Items: []bot.PledgeItem{{Said: strings.Repeat("é", 301), Did: "y", State: "done"}}}} {
		var field *bot.FieldError
		if err := w.PutPledge(t.Context(), bad, true); !errors.As(err, &field) {
			t.Errorf("%+v is published: %v", bad, err)
		}
	}
	p := bot.Pledge{By: "lea@example.org", Items: []bot.PledgeItem{{Said: "Ring us back sooner", Did: "A second nurse on Mondays", State: "begun"}}}
	if err := w.PutPledge(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Pledge(t.Context(), true); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("a draft is public: %v", err)
	}
	if err := w.PutPledge(t.Context(), p, true); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Pledge(t.Context(), true); err != nil || len(got.Items) != 1 || !got.At.Equal(w.at) {
		t.Errorf("%v: %+v", err, got)
	}
	if err := errors.Join(w.TakePledgeDown(t.Context()), w.TakePledgeDown(t.Context())); err != nil {
		t.Error(err)
	}
	if _, err := w.Pledge(t.Context(), true); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("it was taken down: %v", err)
	}
	if d, err := w.Pledge(t.Context(), false); err != nil || len(d.Items) != 1 {
		t.Errorf("%v: the draft is gone", err)
	}
}
