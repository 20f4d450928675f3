package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/flows/triage"
)

// Figures are how check-ins, rules and the survey went for a while. They count rows and
// answers, never nurses, and hold no word of anybody's.
type Figures struct {
	At, From, To time.Time
	CheckIns     int // that were begun
	Answered     int // with any word of hers before the next, or within answerWithin
	Rows         int // that were opened
	Levels       []LevelCount
	Ages         []Group
	Languages    []Group
	Areas        []Group
	Rules        []RuleCount
	Survey       Survey
}

// LevelCount is how many of the rows came to a level.
type LevelCount struct {
	Level triage.Level
	Rows  int
}

// Group is how it went for people who have something in common.
type Group struct {
	Name               string
	People             int
	CheckIns, Answered int
	ReplyMedian        time.Duration // from the check-in to her first word
	Calls              Kept          // of her rows that were closed
}

// RuleCount is what came of the closed rows in which a rule had a part.
type RuleCount struct {
	Rule        string
	Rows, Acted int
}

// Survey is what people answered to the experience survey.
type Survey struct {
	Asked   int
	Told    map[string]int // by option: was she told of the signs
	Contact map[string]int // yes, no, unsure: does she know whom to contact
	Helpful [11]int        // by mark
	Better  []EntryRef     // where their words on what to do better stand, newest first
}

// EntryRef is a place in a journal: the words stay there, and go with the person.
type EntryRef struct {
	Patient string
	Seq     int64
}

// FigureDays are the stretches of days for which figures are kept.
var FigureDays = []int{30, 90, 365}

const (
	drawerFigures = "figures" // key: days; value: Figures
	answerWithin  = 14 * 24 * time.Hour
	mostBetter    = 100
	checkInFlow   = "check-in"
	surveyFlow    = "survey"
)

// Figures gives the figures of so many days as they were counted last. [ErrNotFound]:
// they never were.
func (b *Bot) Figures(ctx context.Context, days int) (Figures, error) {
	var f Figures
	value, err := b.store.Value(ctx, drawerFigures, strconv.Itoa(days), b.now())
	if err == nil {
		err = json.Unmarshal(value, &f)
	}
	return f, err
}

// CountFigures counts the figures of all FigureDays up to now, and keeps them. It reads
// every journal: it is for a job by night, or somebody who waits. It may run twice, or on
// two machines: they come to the same.
func (b *Bot) CountFigures(ctx context.Context) error {
	now := b.now()
	counts := make([]*counting, len(FigureDays))
	for i, days := range FigureDays {
		counts[i] = newCounting(now.AddDate(0, 0, -days), now)
	}
	outcomes := map[string]string{} // of closed rows
	calls := map[string][]Row{}     // closed rows by person
	longest := counts[len(counts)-1].From
	for skip := 0; ; skip += reportPage {
		page, err := b.Queue(ctx, QueueFilter{States: []RowState{Closed}, ClosedSince: longest, Limit: reportPage, Skip: skip})
		if err != nil {
			return fmt.Errorf("figures: %w", err)
		}
		for _, r := range page {
			if r.Referral == nil {
				outcomes[r.ID] = r.Outcome
				calls[r.Patient] = append(calls[r.Patient], Row{ID: r.ID, Level: r.Level, OpenedAt: r.OpenedAt, DueAt: r.DueAt, SpokeAt: r.SpokeAt, ClosedAt: r.ClosedAt})
			}
		}
		if len(page) == 0 {
			break
		}
	}
	for after := ""; ; {
		people, err := b.store.Patients(ctx, b.service.ID, after, retainPage)
		if err != nil {
			return fmt.Errorf("figures: %w", err)
		}
		for i := range people {
			after = people[i].ID
			entries, err := b.store.Journal(ctx, after, 0, 0)
			if err != nil {
				return fmt.Errorf("figures: %w", err)
			}
			course := courseOf(entries)
			for _, c := range counts {
				c.add(&people[i], course, calls[after], outcomes, now)
			}
		}
		if len(people) < retainPage {
			break
		}
	}
	for i, c := range counts {
		value, err := json.Marshal(c.done(now))
		if err == nil {
			err = b.store.PutValue(ctx, drawerFigures, strconv.Itoa(FigureDays[i]), value, time.Time{})
		}
		if err != nil {
			return fmt.Errorf("figures: %w", err)
		}
	}
	return nil
}

// Better gives people's words on what to do better, newest first, without their names.
func (b *Bot) Better(ctx context.Context, f *Figures) ([]Entry, error) {
	var out []Entry
	for _, ref := range f.Survey.Better {
		entries, err := b.store.Journal(ctx, ref.Patient, ref.Seq-1, 1)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if len(entries) == 1 && entries[0].Seq == ref.Seq && entries[0].Kind == EntryIn {
			out = append(out, entries[0])
		}
	}
	return out, nil
}

// course is what of a journal the figures are made of.
type course struct {
	checkIns []struct{ at, answered time.Time }
	surveys  []time.Time
	answers  []struct {
		at           time.Time
		field, words string
		in           EntryRef
	}
	opened []struct {
		at  time.Time
		row string
	}
	level map[string]triage.Level // of a row, the highest
	rules map[string][]string     // of a row
}

// courseOf reads a journal. The readings of her words stand before what became of the
// rows, in the same turn.
func courseOf(entries []Entry) course {
	c := course{level: map[string]triage.Level{}, rules: map[string][]string{}}
	var rules []string
	var in Entry
	seqs := map[string]int64{} // of her messages, by the carrier's id
	for _, e := range entries {
		switch e.Kind {
		case EntryIn:
			rules, in = nil, e
			seqs[e.Carrier] = e.Seq
			if n := len(c.checkIns); n > 0 && c.checkIns[n-1].answered.IsZero() && e.At.Sub(c.checkIns[n-1].at) <= answerWithin {
				c.checkIns[n-1].answered = e.At
			}
		case EntryReading:
			rules = append(rules, e.Reading.Rules...)
		case EntryFlow:
			switch began := strings.HasPrefix(e.Why, "began:"); {
			case began && e.Ref == checkInFlow:
				c.checkIns = append(c.checkIns, struct{ at, answered time.Time }{at: e.At})
			case began && e.Ref == surveyFlow:
				c.surveys = append(c.surveys, e.At)
			}
			if words, ok := strings.CutPrefix(e.Why, "she answered: "); ok && strings.HasPrefix(e.Ref, "survey_") {
				seq := in.Seq
				if form, ok := seqs[e.Carrier]; ok && e.Carrier != "" { // several answers came at once
					seq = form
				}
				c.answers = append(c.answers, struct {
					at           time.Time
					field, words string
					in           EntryRef
				}{e.At, e.Ref, words, EntryRef{Seq: seq}})
			}
		case EntryRow:
			if e.By != "" && e.By != "lookout" {
				continue
			}
			level, opened := levelIn(e.Why)
			if opened {
				c.opened = append(c.opened, struct {
					at  time.Time
					row string
				}{e.At, e.Ref})
			}
			c.level[e.Ref] = max(c.level[e.Ref], level)
			for _, rule := range rules {
				name, _, _ := strings.Cut(rule, ":")
				if !slices.Contains(c.rules[e.Ref], name) {
					c.rules[e.Ref] = append(c.rules[e.Ref], name)
				}
			}
		}
	}
	return c
}

// levelIn reads the level of "opened: urgent. …" and "raised to urgent. …".
func levelIn(why string) (level triage.Level, opened bool) {
	word, opened := strings.CutPrefix(why, "opened: ")
	if !opened {
		var raised bool
		if word, raised = strings.CutPrefix(why, "raised to "); !raised {
			return triage.None, false
		}
	}
	word, _, _ = strings.Cut(word, ".")
	for l := triage.Emergency; l > triage.None; l-- {
		if l.String() == word {
			return l, opened
		}
	}
	return triage.None, opened
}

// counting adds up the figures of one stretch of time.
type counting struct {
	Figures
	levels    map[triage.Level]int
	rules     map[string]*RuleCount
	ages      map[string]*grouping
	languages map[string]*grouping
	areas     map[string]*grouping
	better    []struct {
		at  time.Time
		ref EntryRef
	}
}

type grouping struct {
	Group
	replies []time.Duration
	calls   []Row
}

func newCounting(from, to time.Time) *counting {
	return &counting{Figures: Figures{From: from, To: to, Survey: Survey{Told: map[string]int{}, Contact: map[string]int{}}},
		levels: map[triage.Level]int{}, rules: map[string]*RuleCount{}, ages: map[string]*grouping{}, languages: map[string]*grouping{}, areas: map[string]*grouping{}}
}

func groupOf(groups map[string]*grouping, name string) *grouping {
	if groups[name] == nil {
		groups[name] = &grouping{Group: Group{Name: name}}
	}
	return groups[name]
}

// bandOf is the band of her age.
func bandOf(birth string, at time.Time) string {
	born, err := time.Parse(time.DateOnly, birth)
	if err != nil {
		return "not known"
	}
	age := yearsBetween(born, at)
	for _, band := range bands {
		if age < band.below {
			return band.name
		}
	}
	return "not known"
}

var languages = map[string]string{"": "English", "en-GB": "English", "cy": "Welsh", localeBoth: "English and Welsh"}

func (c *counting) within(t time.Time) bool { return !t.Before(c.From) && t.Before(c.To) }

// add adds one person.
func (c *counting) add(p *Patient, course course, calls []Row, outcomes map[string]string, now time.Time) {
	for _, o := range course.opened {
		if c.within(o.at) {
			c.Rows++
			c.levels[course.level[o.row]]++
		}
	}
	for row, rules := range course.rules {
		i := slices.IndexFunc(calls, func(r Row) bool { return r.ID == row && c.within(r.ClosedAt) })
		if i < 0 {
			continue
		}
		for _, rule := range rules {
			if c.rules[rule] == nil {
				c.rules[rule] = &RuleCount{Rule: rule}
			}
			c.rules[rule].Rows++
			if acted(outcomes[row]) {
				c.rules[rule].Acted++
			}
		}
	}
	if p.Status == Stranger {
		return
	}
	groups := []*grouping{groupOf(c.ages, bandOf(p.BirthDate, now)), groupOf(c.languages, languages[p.Locale]), groupOf(c.areas, cmp.Or(p.Area, "not recorded"))}
	for _, g := range groups {
		g.People++
	}
	for _, x := range course.checkIns {
		if !c.within(x.at) {
			continue
		}
		c.CheckIns++
		for _, g := range groups {
			g.CheckIns++
		}
		if x.answered.IsZero() {
			continue
		}
		c.Answered++
		for _, g := range groups {
			g.Answered++
			g.replies = append(g.replies, x.answered.Sub(x.at))
		}
	}
	for _, r := range calls {
		if c.within(r.ClosedAt) {
			for _, g := range groups {
				g.calls = append(g.calls, r)
			}
		}
	}
	for _, at := range course.surveys {
		if c.within(at) {
			c.Survey.Asked++
		}
	}
	for _, a := range course.answers {
		if !c.within(a.at) {
			continue
		}
		switch mark, err := strconv.Atoi(a.words); a.field {
		case "survey_told":
			c.Survey.Told[a.words]++
		case "survey_contact":
			c.Survey.Contact[a.words]++
		case "survey_helpful":
			if err == nil && mark >= 0 && mark < len(c.Survey.Helpful) {
				c.Survey.Helpful[mark]++
			}
		case "survey_better":
			c.better = append(c.better, struct {
				at  time.Time
				ref EntryRef
			}{a.at, EntryRef{p.ID, a.in.Seq}})
		}
	}
}

// acted says whether something came of a row.
func acted(outcome string) bool {
	return outcome == "clinic" || outcome == "referral" || outcome == "emergency"
}

// done gives what was added up.
func (c *counting) done(now time.Time) *Figures {
	f := &c.Figures
	f.At = now
	for l := triage.Emergency; l >= triage.Routine; l-- {
		f.Levels = append(f.Levels, LevelCount{l, c.levels[l]})
	}
	finish := func(groups map[string]*grouping) []Group {
		var out []Group
		for _, g := range groups {
			if len(g.replies) > 0 {
				slices.Sort(g.replies)
				g.ReplyMedian = g.replies[len(g.replies)/2]
			}
			g.Calls = keptOf(g.calls, func(*Row) bool { return true })
			out = append(out, g.Group)
		}
		slices.SortFunc(out, func(x, y Group) int { return strings.Compare(x.Name, y.Name) })
		return out
	}
	f.Languages, f.Areas = finish(c.languages), finish(c.areas)
	ages := finish(c.ages)
	for _, band := range bands {
		for _, g := range ages {
			if g.Name == band.name {
				f.Ages = append(f.Ages, g)
			}
		}
	}
	for _, r := range c.rules {
		f.Rules = append(f.Rules, *r)
	}
	slices.SortFunc(f.Rules, func(x, y RuleCount) int { return cmp.Or(y.Rows-x.Rows, strings.Compare(x.Rule, y.Rule)) })
	slices.SortFunc(c.better, func(x, y struct {
		at  time.Time
		ref EntryRef
	}) int {
		return y.at.Compare(x.at)
	})
	for _, b := range c.better[:min(len(c.better), mostBetter)] {
		f.Survey.Better = append(f.Survey.Better, b.ref)
	}
	return f
}
