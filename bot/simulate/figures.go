package simulate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"lookout/bot"
	"lookout/content"
	"lookout/flows/triage"
)

// Levels are those of a row, most urgent first.
var Levels = []triage.Level{triage.Emergency, triage.Urgent, triage.Soon, triage.Routine}

// Figures are what came of a run.
type Figures struct {
	Patients, Days int
	Seed           uint64
	Pack           string // digest of the content
	Start          time.Time
	Years          float64 // patient-years: the time in which people were in follow-up
	Price          float64 // of a segment
	Weeks          []Week
	Day            []Day
	Rows           map[string]*Promise // by level
	Found          []Found             // recurrences and clots, by where they showed
	Unheard        int                 // of those, told to no nurse by the end
	Stopped        int
	Lines          []PlanLine     // of the plans, by id
	Concerns       map[string]int // rows that were opened, by level and concern
	Unreachable    int            // rows about people whom no text reaches

	pack  *content.Pack
	lines map[string]*PlanLine
	who   map[string]*someone
	count func(text string) int
	tried map[string]time.Time // rows on which a nurse has begun, and when
}

// PlanLine is what came of a line of a plan: all that was sent by it.
type PlanLine struct {
	ID, Plan             string
	Sent, Answered, Rows int
	// What the plan itself says of each that is sent.
	PlanAnswered, PlanRows float64
}

// caused is how long after a message of a plan a row counts as one that it has brought.
const caused = 14 * 24 * time.Hour

// line is that of a plan's item; nil when no plan has it.
func (f *Figures) line(plan, item string) *PlanLine {
	p, ok := f.pack.Plan(plan)
	if !ok {
		return nil
	}
	rate, ok := p.Rate(item)
	if !ok {
		return nil
	}
	key := plan + "/" + rate.Line
	if f.lines[key] == nil {
		f.lines[key] = &PlanLine{ID: rate.Line, Plan: plan, PlanAnswered: rate.Answered, PlanRows: rate.Rows}
	}
	return f.lines[key]
}

// Week is one week of a run. Money is segments by the price, added up at the end.
type Week struct {
	Start            time.Time
	Sent, Received   int
	Segments         int
	Asked, Answered  int // check-ins, and those of them that had any answer
	Rows             map[string]int
	Seconds          int64 // nurses' work
	Staffed          int64 // nurses' time that the rota has
	Rung             int
	KeptOf, Promised int // promises that fell due or were kept in this week
}

// Cost is what the week's texts came to.
func (w Week) Cost(price float64) float64 { return float64(w.Segments) * price }

// Day is one day of a run.
type Day struct {
	Sent, Rows int
	CheckIns   int
}

// Promise is how the promises of one level were kept: by when somebody began on a
// row, against what she was told.
type Promise struct {
	Rows, Kept, Late int
	Waits            []time.Duration // until a nurse began, sorted
}

// Found is how long one sort of illness took from the first symptom to a nurse.
type Found struct {
	Site   string
	Cases  int
	Days   []int // of those that a nurse has heard of, sorted
	Median int
}

func newFigures(c Config) *Figures {
	f := &Figures{Patients: c.Patients, Days: c.Days, Seed: c.Seed, Pack: c.Pack.Digest(), Start: c.Start, Price: c.PricePerSegment,
		pack: c.Pack, lines: map[string]*PlanLine{}, Concerns: map[string]int{}, Rows: map[string]*Promise{}, tried: map[string]time.Time{}}
	for day := 0; day < c.Days; day += 7 {
		w := Week{Start: c.Start.AddDate(0, 0, day), Rows: map[string]int{}}
		for d := day; d < min(day+7, c.Days); d++ {
			w.Staffed += staffed(c.Service, c.Start.AddDate(0, 0, d))
		}
		f.Weeks = append(f.Weeks, w)
	}
	f.Day = make([]Day, c.Days)
	for _, level := range Levels {
		f.Rows[level.String()] = &Promise{}
	}
	return f
}

// staffed is how many seconds of nurses' time a day has.
func staffed(s *bot.Service, day time.Time) (seconds int64) {
	spells, _ := s.Hours.Spells(day)
	for _, spell := range spells {
		seconds += int64(spell.To-spell.From) * 60
	}
	return seconds * int64(s.Hours.Staff(day))
}

// day is the place of a time among the days.
func (f *Figures) day(at time.Time) int {
	local := at.In(f.Start.Location())
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, local.Location())
	n := int(midnight.Sub(f.Start).Round(24*time.Hour) / (24 * time.Hour))
	return min(max(n, 0), f.Days-1)
}

func (f *Figures) week(at time.Time) *Week { return &f.Weeks[f.day(at)/7] }

// watch counts what a change brought. The store calls it for one change at a time.
func (f *Figures) watch(c bot.Change) {
	p := f.who[c.Record.Patient.ID]
	for i := range c.Entries {
		e := &c.Entries[i]
		week := f.week(e.At)
		switch e.Kind {
		case bot.EntryIn:
			week.Received++
			if p != nil && p.asked > 0 {
				f.Weeks[p.asked-1].Answered++
				p.asked = 0
			}
			if p != nil && p.line != nil && !p.lineAnswered && !p.own {
				p.line.Answered++
				p.lineAnswered = true
			}
		case bot.EntryPlan:
			if e.Why == "sent" && p != nil {
				if p.line = f.line(c.Record.Patient.Plan, e.Ref); p.line != nil {
					p.line.Sent++
					p.lineAt, p.lineAnswered = e.At, false
				}
			}
		case bot.EntryFlow:
			if strings.HasPrefix(e.Why, "began:") && e.Ref == "check-in" && p != nil {
				week.Asked++
				f.Day[f.day(e.At)].CheckIns++
				p.asked = f.day(e.At)/7 + 1
			}
		case bot.EntryRow:
			if level, found := strings.CutPrefix(e.Why, "opened: "); found {
				level, _, _ = strings.Cut(level, ".")
				week.Rows[level]++
				f.Day[f.day(e.At)].Rows++
				if n := slices.IndexFunc(c.Rows, func(r bot.Row) bool { return r.ID == e.Ref }); n >= 0 {
					f.Concerns[level+" "+c.Rows[n].Concern]++
				}
				if p != nil && p.line != nil && !p.own && e.At.Sub(p.lineAt) <= caused {
					p.line.Rows++
				}
			}
		case bot.EntryConsent:
			if strings.HasPrefix(e.Why, "stopped all texts") {
				f.Stopped++
			}
		}
	}
	for i := range c.Send {
		o := &c.Send[i]
		if o.Priority == bot.PriorityPage {
			continue
		}
		week := f.week(o.CreatedAt)
		week.Sent++
		week.Segments += f.count(o.Text)
		f.Day[f.day(o.CreatedAt)].Sent++
	}
	for i := range c.Rows {
		if r := &c.Rows[i]; r.Concern == "unreachable" && r.Changed == 1 {
			f.Unreachable++
		}
	}
}

// joined counts the time that somebody was in follow-up.
func (f *Figures) joined(p *someone) {
	f.Years += f.Start.AddDate(0, 0, f.Days).Sub(p.enrols).Hours() / 24 / 365.25
}

// worked counts a nurse's work.
func (f *Figures) worked(now time.Time, took time.Duration, _ triage.Level) {
	f.week(now).Seconds += int64(took / time.Second)
}

// began notes when a nurse first began on a row.
func (f *Figures) began(row bot.Row, at time.Time) {
	if _, known := f.tried[row.ID]; !known {
		f.tried[row.ID] = at
	}
}

// spoken notes that a nurse has spoken with somebody.
func (f *Figures) spoken(_ *someone, _ bot.Row, now time.Time) { f.week(now).Rung++ }

// closed counts a row's promise.
func (f *Figures) closed(row bot.Row, now time.Time) {
	began, known := f.tried[row.ID]
	if !known {
		began = now
	}
	delete(f.tried, row.ID)
	f.promise(row, began)
}

func (f *Figures) promise(row bot.Row, began time.Time) {
	p := f.Rows[row.Level.String()]
	week := f.week(began)
	p.Rows++
	week.Promised++
	if began.After(row.DueAt) {
		p.Late++
	} else {
		p.Kept++
		week.KeptOf++
	}
	p.Waits = append(p.Waits, began.Sub(row.OpenedAt))
}

// finish adds up what is only known at the end.
func (f *Figures) finish(w *world) *Figures {
	for _, r := range w.store.Live() {
		if began, known := f.tried[r.ID]; known {
			f.promise(*r, began)
		} else if r.DueAt.Before(w.now) { // nobody has begun on it, and she was told somebody would
			f.promise(*r, w.now)
		}
	}
	for _, p := range f.Rows {
		slices.Sort(p.Waits)
	}
	for _, line := range f.lines {
		f.Lines = append(f.Lines, *line)
	}
	slices.SortFunc(f.Lines, func(a, b PlanLine) int { return cmp.Or(strings.Compare(a.Plan, b.Plan), strings.Compare(a.ID, b.ID)) })
	bySite := map[string]*Found{}
	for _, p := range w.people {
		x := p.ill
		if x == nil || !x.onset.Before(w.now) || p.id == "" {
			continue
		}
		if bySite[x.site.name] == nil {
			bySite[x.site.name] = &Found{Site: x.site.name}
		}
		found := bySite[x.site.name]
		found.Cases++
		if x.heard.IsZero() {
			f.Unheard++
			continue
		}
		found.Days = append(found.Days, int(x.heard.Sub(x.onset).Hours()/24))
	}
	for _, found := range bySite {
		slices.Sort(found.Days)
		if n := len(found.Days); n > 0 {
			found.Median = found.Days[n/2]
		}
		f.Found = append(f.Found, *found)
	}
	slices.SortFunc(f.Found, func(a, b Found) int { return cmp.Or(b.Cases-a.Cases, strings.Compare(a.Site, b.Site)) })
	return f
}

// Total adds the weeks up.
func (f *Figures) Total() Week {
	t := Week{Start: f.Start, Rows: map[string]int{}}
	for _, w := range f.Weeks {
		t.Sent += w.Sent
		t.Received += w.Received
		t.Segments += w.Segments
		t.Asked += w.Asked
		t.Answered += w.Answered
		t.Seconds += w.Seconds
		t.Staffed += w.Staffed
		t.Rung += w.Rung
		t.KeptOf += w.KeptOf
		t.Promised += w.Promised
		for level, n := range w.Rows {
			t.Rows[level] += n
		}
	}
	return t
}

// Busiest is the day with the most rows.
func (f *Figures) Busiest() (day time.Time, d Day) {
	best := 0
	for i := range f.Day {
		if f.Day[i].Rows > f.Day[best].Rows {
			best = i
		}
	}
	return f.Start.AddDate(0, 0, best), f.Day[best]
}

// counter counts the segments of texts. Most differ by a name or a time only, and
// come again; what it remembers is bounded.
type counter struct{ known map[string]int }

func newCounter() *counter { return &counter{known: map[string]int{}} }

const counted = 1 << 15

// segments is called for one text at a time, like [Figures.watch].
func (c *counter) segments(text string) int {
	n, known := c.known[text]
	if !known {
		n, _ = content.Segments(text)
		if len(c.known) >= counted {
			clear(c.known)
		}
		c.known[text] = n
	}
	return n
}
