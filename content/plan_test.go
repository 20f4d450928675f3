package content

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"lookout/flows"
)

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// plan loads a plan beside all else that is shipped.
func plan(t testing.TB, items string) (*Plan, error) {
	t.Helper()
	pack := *shipped(t)
	pack.files = map[string][]byte{"plans/standard.yaml": []byte("plan: standard\nversion: 1\nreview: {state: draft, author: a}\nsource: test\nends: 120m\n" + items)}
	c := &checker{}
	plans := c.plans(&pack)
	return plans["standard"], errors.Join(c.faults...)
}

// due lists what is due of a plan in ten years, a line each.
func due(p *Plan, who Person) []string {
	var out []string
	for _, item := range p.Due(who, day("2020-01-01"), day("2040-01-01")) {
		out = append(out, item.At.Format(time.DateOnly)+" "+item.ID)
	}
	return out
}

func TestDueDays(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		items   string
		anchors map[string]string
		want    []string
	}{
		"once": {"items: [{id: a, after: 2w, flow: check-in}]", map[string]string{"treatment_ended": "2026-01-31"}, []string{"2026-02-14 a"}},
		"the last day of a short month, and the 31st again": {"items: [{id: a, after: 1m, every: 1m, until: 4m, flow: check-in}]",
			map[string]string{"treatment_ended": "2027-01-31"}, []string{"2027-02-28 a-1", "2027-03-31 a-2", "2027-04-30 a-3", "2027-05-31 a-4"}},
		"leap day": {"items: [{id: a, after: 12m, every: 12m, until: 48m, flow: check-in}]",
			map[string]string{"treatment_ended": "2028-02-29"}, []string{"2029-02-28 a-1", "2030-02-28 a-2", "2031-02-28 a-3", "2032-02-29 a-4"}},
		"over the year's end, in weeks": {"items: [{id: a, after: 2w, every: 4w, until: 6w, flow: check-in}]",
			map[string]string{"treatment_ended": "2026-12-20"}, []string{"2027-01-03 a-1", "2027-01-31 a-2"}},
		"exceptions": {"items: [{id: a, after: 3m, every: 3m, until: 12m, except: [6m], flow: check-in}]",
			map[string]string{"treatment_ended": "2026-01-15"}, []string{"2026-04-15 a-1", "2026-10-15 a-2", "2027-01-15 a-3"}},
		"a rule of RFC 5545": {"items: [{id: a, after: 1d, rule: 'FREQ=YEARLY;BYMONTH=10;BYDAY=1MO;COUNT=2', text: signs.chest}]",
			map[string]string{"treatment_ended": "2026-01-15"}, []string{"2026-10-05 a-1", "2027-10-04 a-2"}},
		"another anchor is part of the name": {"items: [{id: m, from: last_mammogram, after: 12m, flow: check-in}]",
			map[string]string{"treatment_ended": "2026-01-15", "last_mammogram": "2026-03-02"}, []string{"2027-03-02 m@2026-03-02"}},
		"an anchor that is not known": {"items: [{id: m, from: surgery, after: 12m, flow: check-in}]", map[string]string{"treatment_ended": "2026-01-15"}, nil},
		"nothing after the end":       {"items: [{id: a, after: 119m, every: 1m, until: 130m, flow: check-in}]", map[string]string{"treatment_ended": "2026-01-15"}, []string{"2035-12-15 a-1", "2036-01-15 a-2"}},
	} {
		p, err := plan(t, x.items)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		who := Person{Anchors: map[string]time.Time{}}
		for anchor, at := range x.anchors {
			who.Anchors[anchor] = day(at)
		}
		if got := due(p, who); !slices.Equal(got, x.want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, x.want)
		}
	}
}

func TestConditionsOfPlans(t *testing.T) {
	t.Parallel()
	p, err := plan(t, `items:
- {id: tablets, after: 1m, when: "profile.tablets != ''", text: signs.tablets}
- {id: back, after: 1m, when: "had('back_pain', 28)", flow: check-in}`)
	if err != nil {
		t.Fatal(err)
	}
	who := Person{Anchors: map[string]time.Time{"treatment_ended": day("2026-01-15")}}
	if got := due(p, who); got != nil {
		t.Errorf("nothing is known of her, and due is %v: what is not known takes no branch", got)
	}
	who.Facts = flows.Facts{Profile: map[string]any{"tablets": "letrozole"}, Past: map[string]int{"back_pain": 3}}
	if got, want := due(p, who), []string{"2026-02-15 tablets", "2026-02-15 back"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWrongPlans(t *testing.T) {
	t.Parallel()
	for items, want := range map[string]string{
		"items: [{id: a, after: 2x, flow: check-in}]":                                         `standard.yaml:6: the item a: "2x" is no length of time for ` + "`after`",
		"items: [{id: a, after: 2w, flow: chek-in}]":                                          `there is no flow "chek-in"`,
		"items: [{id: a, after: 2w, text: signs.nose}]":                                       `there is no text "signs.nose"`,
		"items: [{id: a, after: 2w}]":                                                         "exactly one of flow, text and texts",
		"items: [{id: a, after: 2w, every: 0d, until: 3m, flow: check-in}]":                   "comes again every nothing",
		"items: [{id: a, after: 2w, every: 1m, flow: check-in}]":                              `"" is no length of time for ` + "`until`",
		"items: [{id: a, after: 2w, every: 1m, rule: FREQ=DAILY, until: 3m, flow: check-in}]": "both `every` and `rule`",
		"items: [{id: a, after: 2w, rule: FREQ=HOURLY, until: 3m, flow: check-in}]":           "more often than once a day",
		"items: [{id: a, after: 2w, rule: FREQ=YEARLY, flow: check-in}]":                      "has no end",
		"items: [{id: a, after: 2w, rule: WHENEVER, until: 3m, flow: check-in}]":              "cannot be read",
		"items: [{id: a, after: 2m, every: 1m, until: 1m, flow: check-in}]":                   "it never comes",
		"items: [{id: a, after: 2w, until: 3m, flow: check-in}]":                              "are for what comes again",
		"items: [{id: a, from: birthday, after: 2w, flow: check-in}]":                         `cannot count from "birthday"`,
		"items: [{id: a, after: 2w, when: profile.tablet, flow: check-in}]":                   "does not hold together",
		"items: [{id: a, after: 2w, when: \"said('back_pain')\", flow: check-in}]":            "said() asks about a talk",
		"items: [{id: a, after: 2w, when: open, flow: check-in}]":                             "open says nothing on the day of planning",
		"items: [{id: a, after: 2w, alerts: 3, flow: check-in}]":                              "shares from 0 to 1",
		"items: [{id: a, after: 1d, flow: check-in}, {id: a, after: 2d, flow: check-in}]":     "needs an id of its own",
		"quiet: [{around: birthday, before: 1d, after: 1d, why: x}]":                          `quiet days cannot be round "birthday"`,
		"quiet: [{around: surgery, before: 1d, after: 1d}]":                                   "need a reason",
	} {
		if _, err := plan(t, items); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", items, err, want)
		}
	}
}

func TestQuietDays(t *testing.T) {
	t.Parallel()
	p, err := plan(t, `quiet:
- {around: next_scan, before: 3d, after: 1w, why: scan}
- {around: surgery, every: 12m, before: 1d, after: 1d, why: anniversary}`)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]time.Time{"next_scan": day("2026-12-30"), "surgery": day("2024-02-29")}
	for text, want := range map[string]string{
		"2026-12-26": "", "2026-12-27": "scan", "2027-01-06": "scan", "2027-01-07": "",
		"2024-02-28": "anniversary", "2027-02-26": "", "2027-02-27": "anniversary", "2027-03-01": "anniversary", "2027-03-02": "",
	} {
		if got := p.Hushed(anchors, day(text)); got != want {
			t.Errorf("%s is quiet for %q, want %q", text, got, want)
		}
	}
}

// Whatever the plan, the person and the days: what is due is due once, in order,
// the same each time, never after the plan's end, never what is done; and what is
// due in two stretches of days is what is due in both together.
func TestDueIsPure(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/London", "Europe/Madrid", "Australia/Sydney", "America/New_York", "UTC"}
	pack := shipped(t)
	p, _ := pack.Plan("standard")
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		date := func(label string) time.Time {
			return time.Date(2020, 1, rapid.IntRange(1, 4000).Draw(t, label), 0, 0, 0, 0, zone)
		}
		who := Person{Anchors: map[string]time.Time{}, Facts: flows.Facts{Profile: map[string]any{"tablets": "tamoxifen"}}, Done: map[string]time.Time{}}
		for _, anchor := range sortedKeys(Anchors) {
			if anchor == "treatment_ended" || rapid.Bool().Draw(t, anchor+" known") {
				who.Anchors[anchor] = date(anchor)
			}
		}
		from := date("from")
		middle := from.AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "to the middle"))
		until := middle.AddDate(0, 0, rapid.IntRange(1, 900).Draw(t, "to the end"))
		all := p.Due(who, from, until)
		seen := map[string]bool{}
		for i, item := range all {
			if seen[item.ID] || item.At.Before(from) || item.At.After(until) || item.At.Location() != zone || !item.Stale.After(item.At) {
				t.Fatalf("%+v", item)
			}
			if i > 0 && item.At.Before(all[i-1].At) {
				t.Fatalf("%s stands after %s", item.ID, all[i-1].ID)
			}
			if item.At.After(who.Anchors["treatment_ended"].AddDate(0, 61, 3)) {
				t.Fatalf("%s is due after the plan's end", item.ID)
			}
			seen[item.ID] = true
		}
		same := func(a, b []Item, what string) {
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("%s:\n%v\n%v", what, a, b)
			}
		}
		same(all, p.Due(who, from, until), "asked twice")
		same(all, append(p.Due(who, from, middle), p.Due(who, middle.AddDate(0, 0, 1), until)...), "in two stretches")
		if len(all) > 0 {
			done := rapid.SampledFrom(all).Draw(t, "done")
			who.Done[done.ID] = done.At
			same(slices.DeleteFunc(slices.Clone(all), func(i Item) bool { return i.ID == done.ID }), p.Due(who, from, until), "one done")
		}
	})
}

// BenchmarkDueMillion is what is due in the next year for a million people, none
// of whose days have been worked out before; the goal is 10 seconds on one core.
func BenchmarkDueMillion(b *testing.B) {
	now := day("2026-11-24")
	profile := map[string]any{"tablets": "letrozole"}
	for b.Loop() {
		b.StopTimer()
		p, err := plan(b, string(shipped(b).files["plans/standard.yaml"][bytes.Index(shipped(b).files["plans/standard.yaml"], []byte("quiet:")):]))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		items := 0
		for i := range 1_000_000 {
			ended := now.AddDate(0, 0, -(i*7)%1800)
			who := Person{Since: ended, Facts: flows.Facts{Profile: profile}, Anchors: map[string]time.Time{
				"treatment_ended": ended, "surgery": ended.AddDate(0, -7, i%28), "tablets_started": ended.AddDate(0, 0, 14), "last_mammogram": now.AddDate(0, 0, -i%365)}}
			items += len(p.Due(who, now, now.AddDate(1, 0, 0)))
		}
		b.ReportMetric(float64(items)/1_000_000, "items/person")
	}
}

// Whoever has come to the end of the shipped plan has been told so, and nothing is
// due after it (HZ15).
func TestThePlanEndsWithAFarewell(t *testing.T) {
	t.Parallel()
	p, _ := shipped(t).Plan("standard")
	who := Person{Anchors: map[string]time.Time{"treatment_ended": day("2026-01-15"), "last_mammogram": day("2031-02-10"), "tablets_started": day("2026-02-01")}}
	items := p.Due(who, day("2026-01-01"), day("2046-01-01"))
	if last := items[len(items)-1]; last.Flow != "farewell" || last.At.Format(time.DateOnly) != "2031-02-15" {
		t.Errorf("the last of the plan is %+v", last)
	}
}

// The calendar knows each nation's holidays for some years, and says until when.
func TestTheCalendarSaysHowFarItGoes(t *testing.T) {
	t.Parallel()
	p := shipped(t)
	for _, nation := range p.Nations() {
		if until := p.HolidaysUntil(nation); until.Year() < 2031 {
			t.Errorf("%s: until %s", nation, until)
		}
	}
	if until := p.HolidaysUntil("atlantis"); !until.IsZero() {
		t.Errorf("atlantis: until %s", until)
	}
}
