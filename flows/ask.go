package flows

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"lookout/flows/triage"
)

// answerType is the type that conditions know an answer by; nil when there is
// no such kind of question.
func answerType(kind triage.Kind) *cel.Type {
	switch kind {
	case triage.YesNo, triage.Choice, triage.Text:
		return cel.StringType
	case triage.Scale, triage.Number, triage.Weight:
		return cel.DoubleType
	case triage.Date: // so many days ago
		return cel.IntType
	}
	return nil
}

// words lists the answers in words that a question can get, those that its kind
// names first: what `on` may hold beside ranges.
func (s *step) words() (named, always []string) {
	always = []string{string(triage.Unsure), string(triage.Refused), string(triage.WantsNurse)}
	switch s.kind {
	case triage.YesNo:
		named = []string{string(triage.SaidYes), string(triage.SaidNo)}
	case triage.Choice:
		for _, o := range s.options {
			named = append(named, o.Key)
		}
	case triage.Text: // "not sure" is as good a text as any
		named = []string{string(triage.FreeText)}
		always = always[1:]
	}
	return named, always
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (l *loader) ask(s *step, f *stepFile) {
	here := func(path ...string) pos { return l.at(append([]string{"steps", s.name}, path...)...) }
	s.text, s.kind, s.save, s.record, s.practical, s.concepts, s.trouble = f.Ask, triage.Kind(f.Kind), f.Save, f.Record, f.Practical, f.Concepts, f.Trouble
	l.needText(f.Ask, "steps", s.name, "ask")
	if answerType(s.kind) == nil {
		l.fault(here("kind"), "kind", "use yes_no, scale, choice, number, date, weight or text", "%q is not a kind of question", f.Kind)
		return
	}
	if f.Save != "" && !identifier.MatchString(f.Save) {
		l.fault(here("save"), "save", "use small letters, digits and _, and begin with a letter", "%q cannot be the name of an answer", f.Save)
	}
	switch want := records[f.Record]; {
	case f.Record == "" || want == s.kind || strings.HasPrefix(f.Record, surveyRecord):
	case want == "":
		l.fault(here("record"), "record", "use one of "+strings.Join(slices.Sorted(maps.Keys(records)), ", ")+" or a name that begins with survey_, or `save:` it for a condition", "nothing of hers is kept under the name %q", f.Record)
	default:
		l.fault(here("record"), "record", fmt.Sprintf("set `kind: %s`, or take the record out", want), "what is recorded as %s must be a %s, and this is a %s", f.Record, want, s.kind)
	}
	for i, c := range f.Concepts {
		if !l.refs.HasConcept(c) {
			l.fault(here("concepts", strconv.Itoa(i)), "concept", "mend the spelling, or add it to content/lexicon", "there is no concept %q in the lexicon", c)
		}
	}
	if f.Trouble != "" && !slices.Contains(troubles[s.kind], f.Trouble) {
		mend := "take it out: only a yes_no or a scale has it"
		if can := troubles[s.kind]; can != nil {
			mend = "write " + strings.Join(can, " or ")
		}
		l.fault(here("trouble"), "trouble", mend, "%q cannot be the bad answer to a %s question", f.Trouble, s.kind)
	}
	l.bounds(s, f)
	l.options(s, f)
	l.on(s, f)
	l.patience(s, f)
	if s.kind == triage.Text {
		if f.Unclear != nil {
			l.fault(here("unclear"), "misplaced", "take it out", "any words answer a text question: it needs no unclear")
		}
		return
	}
	if f.Unclear == nil {
		l.fault(here(), "unclear", "add `unclear: {say: …, times: 1, next: …}`", "step %s does not say what happens when she is not understood", s.name)
		return
	}
	s.unclear, s.times, s.unclearNext = f.Unclear.Say, f.Unclear.Times, f.Unclear.Next
	l.needText(s.unclear, "steps", s.name, "unclear", "say")
	if s.times < 1 || s.times > 3 {
		l.fault(here("unclear", "times"), "unclear", "ask again once or twice, then let a person read it", "times must be 1, 2 or 3")
	}
}

// troubles are the answers that can be the bad news, by kind of question.
var troubles = map[triage.Kind][]string{triage.YesNo: {"yes", "no"}, triage.Scale: {"high", "low"}}

// records are what of her record an answer can change, each with the kind of
// question that gives it. Whoever runs a flow acts on each of them.
var records = map[string]triage.Kind{"consent": triage.YesNo, "weight": triage.Weight,
	"pause": triage.Number, "texts_time": triage.Choice, "texts_day": triage.Choice, "texts_here": triage.YesNo, "moves_to": triage.Text}

// surveyRecord begins the names of answers that are counted over many people, and
// change nothing of hers. They may be of any kind.
const surveyRecord = "survey_"

// bounds reads the ends of a scale, or of a number.
func (l *loader) bounds(s *step, f *stepFile) {
	switch s.kind {
	case triage.Scale:
		s.min, s.max = 0, 10
	case triage.Number:
		s.min, s.max = 0, 9999
	default:
		for _, x := range []struct {
			field string
			set   bool
		}{{"min", f.Min != nil}, {"max", f.Max != nil}} {
			if x.set {
				l.fault(l.at("steps", s.name, x.field), "misplaced", "take it out", "a %s question has no %s", s.kind, x.field)
			}
		}
		return
	}
	if f.Min != nil {
		s.min = *f.Min
	}
	if f.Max != nil {
		s.max = *f.Max
	}
	if !(s.min >= -9999 && s.min < s.max && s.max <= 9999) {
		l.fault(l.at("steps", s.name), "range", "let min be below max, and both between -9999 and 9999", "nothing lies between %g and %g", s.min, s.max)
	}
}

func (l *loader) options(s *step, f *stepFile) {
	at := l.at("steps", s.name, "options")
	if s.kind != triage.Choice {
		if len(f.Options) > 0 {
			l.fault(at, "options", "set `kind: choice`, or take them out", "only a choice has options")
		}
		return
	}
	if len(f.Options) < 2 {
		l.fault(at, "options", "add `options:`", "a choice needs at least two options")
	}
	_, always := s.words()
	keys, labels := make(map[string]bool), make(map[string]bool)
	for i, o := range f.Options {
		at, label := l.at("steps", s.name, "options", strconv.Itoa(i)), strings.ToLower(strings.TrimSpace(o.Label))
		if !identifier.MatchString(o.Key) || label == "" || slices.Contains(always, o.Key) {
			l.fault(at, "options", "write `{key: pain, label: Pain}`; unsure, refused and nurse are taken", "the option %q needs a key of small letters and a label", o.Key)
		}
		if keys[o.Key] || labels[label] {
			l.fault(at, "options", "give each its own key and label", "the option %q (%s) is there twice", o.Key, o.Label)
		}
		keys[o.Key], labels[label] = true, true
		if welsh := strings.ToLower(strings.TrimSpace(o.Welsh)); welsh != "" && welsh != label {
			if labels[welsh] {
				l.fault(at, "options", "give each its own words", "the Welsh of the option %q (%s) is there twice", o.Key, o.Welsh)
			}
			labels[welsh] = true
		}
		s.options = append(s.options, Option(o))
	}
}

// on reads where each answer leads, and checks that every answer leads somewhere.
func (l *loader) on(s *step, f *stepFile) {
	at := func(key string) pos { return l.at("steps", s.name, "on", key) }
	s.on = make(map[string]string)
	named, always := s.words()
	keys := make([]string, 0, len(f.On))
	for key := range f.On {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	numeric := answerType(s.kind) != cel.StringType
	for _, key := range keys {
		if slices.Contains(named, key) || slices.Contains(always, key) {
			s.on[key] = f.On[key]
			continue
		}
		m := rangeForm.FindStringSubmatch(key)
		if m == nil || !numeric {
			mend := "use " + strings.Join(append(named, always...), ", ")
			if numeric {
				mend += ", or whole numbers like 8 or 0-3"
			}
			l.fault(at(key), "on", mend, "%q is not an answer that this question can get", key)
			continue
		}
		from, _ := strconv.ParseFloat(m[1], 64)
		to, _ := strconv.ParseFloat(cmp.Or(m[2], m[1]), 64)
		if from > to {
			l.fault(at(key), "range", "write the smaller number first", "the range %s runs backwards", key)
			continue
		}
		if s.min < s.max && (from < s.min || to > s.max) {
			l.fault(at(key), "range", fmt.Sprintf("the answers run from %g to %g", s.min, s.max), "the range %s holds numbers that cannot be answered", key)
		}
		s.ranges = append(s.ranges, rangeTo{from, to, f.On[key]})
	}
	slices.SortFunc(s.ranges, func(a, b rangeTo) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(s.ranges); i++ {
		before, r := s.ranges[i-1], s.ranges[i]
		switch {
		case r.from <= before.to:
			l.fault(at(""), "range", "let them not overlap: 0-3, 4-7, 8-10", "two ranges hold %g", r.from)
		case r.from > before.to+1:
			l.fault(at(""), "range", "let the ranges join: 0-3, 4-7, 8-10", "no range holds %g", before.to+1)
		}
	}
	if s.next == "" && !s.exhaustive() {
		l.fault(l.at("steps", s.name), "next", "add `next:` for every answer that `on` does not name", "step %s has answers that lead nowhere", s.name)
	}
}

var rangeForm = regexp.MustCompile(`^(\d{1,5})(?:-(\d{1,5}))?$`)

// exhaustive says whether `on` names every answer, so that there need be no
// next. "nurse" has its own way out.
func (s *step) exhaustive() bool {
	named, always := s.words()
	for _, key := range append(named, always...) {
		if s.on[key] == "" && key != string(triage.WantsNurse) {
			return false
		}
	}
	if answerType(s.kind) == cel.StringType {
		return true
	}
	// The ranges join; do they hold both ends?
	return s.min < s.max && len(s.ranges) > 0 && s.ranges[0].from <= s.min && s.ranges[len(s.ranges)-1].to >= s.max
}

// patience reads reminders and expiry: every question has an end.
func (l *loader) patience(s *step, f *stepFile) {
	if f.Expire == nil {
		l.fault(l.at("steps", s.name), "expire", "add `expire: {after: 7d, next: …}`", "step %s waits for ever", s.name)
		return
	}
	s.expire, s.expired = l.duration(f.Expire.After, "steps", s.name, "expire", "after"), f.Expire.Next
	var last time.Duration
	for i, r := range f.Remind {
		path := []string{"steps", s.name, "remind", strconv.Itoa(i)}
		after := l.duration(r.After, append(path, "after")...)
		l.needText(r.Say, append(path, "say")...)
		if after > 0 && s.expire > 0 && (after <= last || after >= s.expire) {
			l.fault(l.at(path...), "remind", "put reminders in order, all before expire", "the reminder after %s does not come after the one before it and before the question expires", r.After)
		}
		last = after
		s.remind = append(s.remind, remind{after, r.Say})
	}
	if len(f.Remind) > 3 {
		l.fault(l.at("steps", s.name, "remind"), "remind", "somebody who does not answer three times wants to be rung, not texted", "more than three reminders")
	}
}

var durationForm = regexp.MustCompile(`^(\d{1,4})(m|h|d|w)$`)

// duration reads a length of time; 0 when it is none.
func (l *loader) duration(text string, path ...string) time.Duration {
	m := durationForm.FindStringSubmatch(text)
	n := 0
	if m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	if n == 0 {
		l.fault(l.at(path...), "duration", "write it like 30m, 48h, 7d or 2w", "%q is not a length of time", text)
		return 0
	}
	unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
	return time.Duration(n) * unit
}
