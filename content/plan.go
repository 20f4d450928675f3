package content

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teambition/rrule-go"

	"lookout/flows"
)

// Anchors are the days that a plan may count from, and what they are in words.
// There is no birthday among them: who follows a patient's cancer does not
// send birthday wishes by machine.
var Anchors = map[string]string{
	"treatment_ended": "the end of treatment",
	"surgery":         "the operation",
	"tablets_started": "the start of the tablets",
	"last_mammogram":  "the last mammogram",
	"next_scan":       "the next scan",
	"enrolled":        "enrolment",
}

// Plan says what is sent when. It never changes, and may be used by many goroutines.
type Plan struct {
	ID          string `yaml:"plan"`
	flows.About `yaml:",inline"`
	Ends        string     `yaml:"ends"` // how long after the end of treatment: "60m"; nothing is due after it
	Quiet       []Hush     `yaml:"quiet"`
	List        []planItem `yaml:"items"`
}

// Hush is a stretch of days round one of hers on which nothing unasked is sent.
type Hush struct {
	Around string `yaml:"around"` // an anchor
	Every  string `yaml:"every"`  // again and again: "12m" is each anniversary; empty: that day alone
	Before string `yaml:"before"` // so long before the day …
	After  string `yaml:"after"`  // … until so long after it, both included
	Why    string `yaml:"why"`
}

// planItem is one line of a plan, as its authors write it.
type planItem struct {
	ID     string   `yaml:"id"`
	From   string   `yaml:"from"`   // anchor: treatment_ended (when empty) or another of Anchors
	After  string   `yaml:"after"`  // of the anchor: "2w", "3m"
	Every  string   `yaml:"every"`  // again and again …
	Rule   string   `yaml:"rule"`   // … or by a rule of RFC 5545, e.g. "FREQ=YEARLY;BYMONTH=10;BYDAY=1MO" …
	Until  string   `yaml:"until"`  // … up to here, counted from the anchor
	Except []string `yaml:"except"` // but not at these, counted from the anchor: "12m"
	When   string   `yaml:"when"`   // only for whom this condition is true
	Keep   string   `yaml:"keep"`   // how late it may still go, "14d" when empty; then it is dropped
	Flow   string   `yaml:"flow"`
	Text   string   `yaml:"text"`
	Texts  []string `yaml:"texts"` // one after another, one each time
	// Answered and Alerts are the rates that nurses' time is planned by: how many
	// are answered, and how many of those make a row.
	Answered float64 `yaml:"answered"`
	Alerts   float64 `yaml:"alerts"`

	when  *flows.Condition
	keep  offset
	days  sync.Map // int64 day of the anchor → []int64 days on which it is due
	known atomic.Int64
}

// Item is one thing that is due on a day.
type Item struct {
	ID    string
	At    time.Time // midnight of the day in the zone of the anchor
	Stale time.Time // midnight of the first day on which it is not sent any more
	Flow  string    // either a flow …
	Text  string    // … or a text
	From  string    // the anchor that it counts from
	Rows  float64   // how many rows of the queue are expected of it: answer rate × alert rate
}

// Person is what a plan must know to say what is due for somebody.
type Person struct {
	Anchors map[string]time.Time // by the names in Anchors; one that is not known is left out
	Facts   flows.Facts          // for the conditions
	Done    map[string]time.Time // the ids of items that were sent or dropped
	// Since is when lookout began to look after her. What was due before that day
	// is not sent to her.
	Since time.Time
}

// offset is a length of time on the calendar.
type offset struct{ months, days int }

// parseOffset reads "10d", "2w", "3m" or "1y".
func parseOffset(s string) (offset, bool) {
	if len(s) < 2 || len(s) > 4 {
		return offset{}, false
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	if err != nil {
		return offset{}, false
	}
	switch s[len(s)-1] {
	case 'd':
		return offset{days: int(n)}, true
	case 'w':
		return offset{days: 7 * int(n)}, true
	case 'm':
		return offset{months: int(n)}, true
	case 'y':
		return offset{months: 12 * int(n)}, true
	}
	return offset{}, false
}

// add counts on the calendar: a month after 31 January is the last of February.
func (o offset) add(t time.Time) time.Time {
	if o.months != 0 {
		first := time.Date(t.Year(), t.Month()+time.Month(o.months), 1, 0, 0, 0, 0, t.Location())
		last := first.AddDate(0, 1, -1).Day()
		t = time.Date(first.Year(), first.Month(), min(t.Day(), last), 0, 0, 0, 0, t.Location())
	}
	return t.AddDate(0, 0, o.days)
}

func (o offset) negative() offset { return offset{-o.months, -o.days} }

// civil numbers a day of the calendar, whatever the zone.
func civil(t time.Time) int64 {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// civilDay is the day of that number, at midnight UTC.
func civilDay(n int64) time.Time { return time.Unix(n*86400, 0).UTC() }

// midnight of a numbered day by the wall clock of a zone.
func midnight(n int64, zone *time.Location) time.Time {
	y, m, d := civilDay(n).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// maxOccurrences bounds how often one item can come; maxDays how many anchor days
// an item remembers (over 40 years of them).
const (
	maxOccurrences = 400
	maxDays        = 1 << 14
)

// occurrences lists the days on which an item is due, counted from an anchor. The
// days of one anchor are the same for everybody, and are worked out once.
func (x *planItem) occurrences(anchor int64) []int64 {
	if days, ok := x.days.Load(anchor); ok {
		return days.([]int64)
	}
	days := x.recur(civilDay(anchor))
	if x.known.Add(1) <= maxDays {
		x.days.Store(anchor, days)
	}
	return days
}

// recur works an item's days out, by RFC 5545.
func (x *planItem) recur(anchor time.Time) []int64 {
	after, _ := parseOffset(x.After)
	first := after.add(anchor)
	if x.Every == "" && x.Rule == "" {
		return []int64{civil(first)}
	}
	set, err := x.set(anchor, first)
	if err != nil {
		return nil // was found when the plan was loaded
	}
	var days []int64
	for next := set.Iterator(); len(days) < maxOccurrences; {
		at, ok := next()
		if !ok {
			break
		}
		days = append(days, civil(at))
	}
	return days
}

// set is an item's recurrence with its exceptions.
func (x *planItem) set(anchor, first time.Time) (*rrule.Set, error) {
	option := rrule.ROption{}
	if x.Rule != "" {
		given, err := rrule.StrToROption(x.Rule)
		if err != nil {
			return nil, err
		}
		option = *given
	} else {
		every, _ := parseOffset(x.Every)
		option.Freq, option.Interval = rrule.DAILY, every.days
		if every.months > 0 {
			option.Freq, option.Interval = rrule.MONTHLY, every.months
			// The 31st of a month that has none is its last day, not no day at all.
			day := first.Day()
			if after, _ := parseOffset(x.After); after.days == 0 {
				day = max(day, anchor.Day())
			}
			if day > 28 {
				option.Bysetpos = []int{-1}
				for d := 28; d <= day; d++ {
					option.Bymonthday = append(option.Bymonthday, d)
				}
			}
		}
	}
	option.Dtstart = first
	if until, ok := parseOffset(x.Until); ok {
		option.Until = until.add(anchor)
	}
	rule, err := rrule.NewRRule(option)
	if err != nil {
		return nil, err
	}
	set := &rrule.Set{}
	set.RRule(rule)
	for _, e := range x.Except {
		o, _ := parseOffset(e)
		set.ExDate(o.add(anchor))
	}
	return set, nil
}

// Due lists what is due for somebody from a day to another, earliest first: what
// is not done, whose anchor is known, and whose condition is true. It is pure:
// the same plan, person and days give the same items with the same ids.
func (p *Plan) Due(who Person, from, until time.Time) []Item {
	out := make([]Item, 0, 16)
	first, last := civil(from), civil(until)
	if !who.Since.IsZero() {
		first = max(first, civil(who.Since)-1)
	}
	if ended, ok := who.Anchors["treatment_ended"]; ok && p.Ends != "" {
		ends, _ := parseOffset(p.Ends)
		last = min(last, civil(ends.add(civilDay(civil(ended)))))
	}
	for i := range p.List {
		x := &p.List[i]
		name := x.anchor()
		anchor, ok := who.Anchors[name]
		if !ok {
			continue
		}
		days := x.occurrences(civil(anchor))
		n, _ := slices.BinarySearch(days, first)
		if n == len(days) || days[n] > last || (x.when != nil && !x.when.Holds(who.Facts)) {
			continue
		}
		for ; n < len(days) && days[n] <= last; n++ {
			item := Item{ID: x.id(n, name, anchor), Flow: x.Flow, Text: x.Text, From: name, Rows: x.Answered * x.Alerts}
			if _, done := who.Done[item.ID]; done {
				continue
			}
			item.At = midnight(days[n], anchor.Location())
			item.Stale = x.keep.add(item.At)
			if len(x.Texts) > 0 {
				item.Text = x.Texts[n%len(x.Texts)]
			}
			out = append(out, item)
		}
	}
	slices.SortStableFunc(out, func(a, b Item) int { return a.At.Compare(b.At) })
	return out
}

// anchor is the name of the day that an item counts from.
func (x *planItem) anchor() string {
	if x.From == "" {
		return "treatment_ended"
	}
	return x.From
}

// id names an item's nth time. A day that comes again (a mammogram is every
// year's) is part of the name, so that the next one is not taken for done.
func (x *planItem) id(n int, name string, anchor time.Time) string {
	id := x.ID
	if x.Every != "" || x.Rule != "" {
		id += "-" + strconv.Itoa(n+1)
	}
	if name != "treatment_ended" && name != "enrolled" {
		id += "@" + anchor.Format(time.DateOnly)
	}
	return id
}

// Rate is what a line of a plan says is to be expected of one message of it.
type Rate struct {
	Line     string  // the line's own id
	Answered float64 // how many are answered
	Rows     float64 // rows, for each that is sent
}

// Rate gives what is to be expected of an item; false when no line of the plan makes it.
func (p *Plan) Rate(item string) (Rate, bool) {
	item, _, _ = strings.Cut(item, "@")
	for _, id := range []string{item, strings.TrimRight(strings.TrimRight(item, "0123456789"), "-")} {
		for i := range p.List {
			if x := &p.List[i]; x.ID == id {
				return Rate{x.ID, x.Answered, x.Answered * x.Alerts}, true
			}
		}
	}
	return Rate{}, false
}

// Hushed says why nothing unasked is sent on a day, by the plan's quiet days
// round those of hers; "" when it is an ordinary one.
func (p *Plan) Hushed(anchors map[string]time.Time, day time.Time) string {
	n := civil(day)
	for _, q := range p.Quiet {
		anchor, ok := anchors[q.Around]
		if !ok {
			continue
		}
		before, _ := parseOffset(q.Before)
		after, _ := parseOffset(q.After)
		every, again := parseOffset(q.Every)
		at := civilDay(civil(anchor))
		for range maxOccurrences {
			from := civil(before.negative().add(at))
			if n >= from && n <= civil(after.add(at)) {
				return q.Why
			}
			if !again || from > n {
				break
			}
			at = every.add(at)
		}
	}
	return ""
}

// plans loads and checks every plan.
func (c *checker) plans(p *Pack) map[string]*Plan {
	out := make(map[string]*Plan)
	for _, file := range in(p.files, "plans") {
		plan := &Plan{}
		if !c.decode(file, p.files[file], plan) {
			continue
		}
		at := func(word string) int { return lineOf(p.files[file], word) }
		if "plans/"+plan.ID+".yaml" != file {
			c.fault(file, at("plan:"), "the plan is called %q, but its file %s", plan.ID, file)
		}
		if _, ok := parseOffset(plan.Ends); !ok {
			c.fault(file, at("ends:"), "%q is no length of time for `ends`: write it like 60m, counted from the end of treatment", plan.Ends)
		}
		for _, q := range plan.Quiet {
			c.hush(file, at("quiet:"), q)
		}
		seen := map[string]bool{}
		for i := range plan.List {
			x := &plan.List[i]
			line := at("id: " + x.ID)
			if seen[x.ID] || x.ID == "" || strings.ContainsAny(x.ID, "@ ") {
				c.fault(file, line, "the item %q needs an id of its own", x.ID)
			}
			seen[x.ID] = true
			c.planItem(p, file, line, x)
		}
		out[plan.ID] = plan
	}
	return out
}

// lineOf is the first line of a file with a word in it: near enough for an author.
func lineOf(file []byte, word string) int {
	for i, line := range strings.Split(string(file), "\n") {
		if strings.Contains(line, word) {
			return i + 1
		}
	}
	return 1
}

func (c *checker) hush(file string, line int, q Hush) {
	if Anchors[q.Around] == "" {
		c.fault(file, line, "quiet days cannot be round %q: use one of %s", q.Around, strings.Join(sortedKeys(Anchors), ", "))
	}
	for what, value := range map[string]string{"before": q.Before, "after": q.After, "every": q.Every} {
		if o, ok := parseOffset(value); !ok && (what != "every" || value != "") || what == "every" && ok && o == (offset{}) {
			c.fault(file, line, "the quiet days round %s: %q is no length of time for `%s`: write it like 3d", q.Around, value, what)
		}
	}
	if q.Why == "" {
		c.fault(file, line, "the quiet days round %s need a reason: write `why:`", q.Around)
	}
}

// planItem checks one line of a plan, and compiles its condition.
func (c *checker) planItem(p *Pack, file string, line int, x *planItem) {
	fault := func(format string, args ...any) {
		c.fault(file, line, "the item %s: %s", x.ID, fmt.Sprintf(format, args...))
	}
	if Anchors[x.anchor()] == "" {
		fault("it cannot count from %q: use one of %s", x.From, strings.Join(sortedKeys(Anchors), ", "))
	}
	again := x.Every != "" || x.Rule != ""
	lengths := []struct {
		what, value string
		needed      bool
	}{{"after", x.After, true}, {"every", x.Every, false}, {"until", x.Until, x.Every != ""}, {"keep", x.Keep, false}}
	for _, e := range x.Except {
		lengths = append(lengths, struct {
			what, value string
			needed      bool
		}{"except", e, true})
	}
	for _, l := range lengths {
		if _, ok := parseOffset(l.value); !ok && (l.value != "" || l.needed) {
			fault("%q is no length of time for `%s`: write it like 2w or 3m", l.value, l.what)
			return
		}
	}
	every, _ := parseOffset(x.Every)
	switch {
	case x.Every != "" && every == (offset{}):
		fault("it comes again every nothing")
		return
	case x.Every != "" && x.Rule != "":
		fault("it has both `every` and `rule`: choose one")
		return
	case !again && (x.Until != "" || len(x.Except) > 0):
		fault("`until` and `except` are for what comes again: write `every`, or leave them out")
	}
	if x.Rule != "" {
		option, err := rrule.StrToROption(x.Rule)
		switch {
		case err != nil:
			fault("the rule %q cannot be read: write it as RFC 5545 has it, like FREQ=YEARLY", x.Rule)
			return
		case option.Freq > rrule.DAILY:
			fault("the rule %q comes more often than once a day", x.Rule)
			return
		case option.Count == 0 && x.Until == "":
			fault("the rule %q has no end: write `until`, or COUNT in the rule", x.Rule)
			return
		}
	}
	if again && len(x.recur(civilDay(civil(time.Date(2024, 1, 31, 0, 0, 0, 0, time.UTC))))) == 0 {
		fault("it never comes: look at `after`, `until` and `except`")
	}
	x.keep = offset{days: 14} // two weeks late it is stale (clinical digest 8.3, inference)
	if keep, ok := parseOffset(x.Keep); ok {
		x.keep = keep
	}
	if x.Answered < 0 || x.Answered > 1 || x.Alerts < 0 || x.Alerts > 1 {
		fault("`answered` and `alerts` are shares from 0 to 1")
	}
	c.planSends(p, x, fault)
}

// planSends checks what an item sends, and to whom.
func (c *checker) planSends(p *Pack, x *planItem, fault func(string, ...any)) {
	kinds := 0
	if x.Flow != "" {
		kinds++
		if p.program != nil && !p.program.Has(x.Flow) {
			fault("there is no flow %q", x.Flow)
		}
	}
	for _, id := range append(slices.Clone(x.Texts), x.Text) {
		if id != "" && !p.HasText(id) {
			fault("there is no text %q", id)
		}
	}
	if x.Text != "" {
		kinds++
	}
	if len(x.Texts) > 0 {
		kinds++
	}
	if kinds != 1 {
		fault("it must have exactly one of flow, text and texts")
	}
	if x.When == "" || p.lexicon == nil {
		return
	}
	var err error
	if x.when, err = flows.ParseCondition(x.When, p); err != nil {
		fault("the condition %s does not hold together: %v", x.When, err)
	}
}
