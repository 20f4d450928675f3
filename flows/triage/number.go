package triage

import (
	"math"
	"strings"
	"time"
)

// scores lists the numbers of an answer that can be the score, and says whether
// some number was off the scale.
func (r *reader) scores(low, high float64) (values []float64, off bool) {
	now, taken := -1, false
	for i := range r.tokens {
		t := &r.tokens[i]
		n, ok := t.number, t.isNumber
		if !ok && (t.word == "none" || t.word == "nil" || t.word == "zip" || t.word == "nada") && i == 0 {
			n, ok = low, true
		}
		if !ok {
			if r.phraseAt(i, r.lex.words.correct) > 0 && len(values) > 0 {
				taken = true
			}
			if t.word == "now" {
				now = i
			}
			continue
		}
		word := func(d int) string {
			if i+d < 0 || i+d >= len(r.tokens) {
				return ""
			}
			return r.tokens[i+d].word
		}
		switch {
		case t.slash && i > 0 && r.tokens[i-1].isNumber, word(-1) == "of" && word(-2) == "out":
			continue // the 10 of "7/10" and "7 out of 10"
		case word(-1) == "not" || word(-1) == "a" && word(-2) == "not" || word(-1) == "was" && (len(r.tokens) > i+2):
			continue
		case strings.Contains(" day days week weeks wk month months year years yr hour hours min mins minutes times time am pm nights night stone lb lbs kg pm oclock th point points tablets pills paracetamol miles mile st nd rd km", " "+word(1)+" ") && word(1) != "":
			continue
		case t.word[0] > '9' && t.word == "one" && i > 0 && len(r.tokens) > 3:
			continue
		}
		if n < low || n > high {
			off = true
			continue
		}
		if taken || now >= 0 && now < i && i-now <= 3 {
			values, taken, now = values[:0], false, len(r.tokens)
		}
		values = append(values, n)
		if now == len(r.tokens) {
			break
		}
	}
	return values, off
}

// scale reads a score, and adds what it says about what was asked.
func (r *reader) scale(a *asked) {
	low, high, reversed := r.scaleEnds(a)
	if r.q.Trouble != "" {
		reversed = a.well
	}
	values, off := r.scores(low, high)
	if len(values) == 0 {
		if degrees := r.degrees(a); degrees > 0 {
			r.out.Answer = Answer{Kind: Value, Number: degrees}
			if degrees >= 38 { // LABELS.md: fever
				r.badAnswer(a)
			}
			return
		}
		if off { // "11 out of 10": no score, and yet it says enough
			r.bad(a, 10)
		}
		r.out.Answer = Answer{}
		if r.yesNo().Kind == SaidNo && !r.says(2) && !reversed { // "nil", "none", "nope"
			r.out.Answer = Answer{Kind: SaidNo}
			return
		}
		r.course(a, false)
		return
	}
	worst := values[0]
	for _, n := range values {
		if reversed {
			worst = min(worst, n)
		} else {
			worst = max(worst, n)
		}
	}
	r.out.Answer = Answer{Kind: Value, Number: worst, More: r.says(2)}
	n := (worst - low) / (high - low) * 10
	switch {
	case n <= 2.5:
		r.height = 1
	case n < 7.5:
		r.height = 2
	default:
		r.height = 3
	}
	if reversed {
		n = 10 - n
	}
	r.badness = 1 + int(math.Round(min(max(n, 0), 10)))
	r.bad(a, n)
}

// degrees gives the temperature, in degrees Celsius, that answers a question about
// fever, or nought.
func (r *reader) degrees(a *asked) float64 {
	if len(a.topics) == 0 || a.topics[0].ID != "fever" {
		return 0
	}
	for i := range r.tokens {
		if t := &r.tokens[i]; t.isNumber && t.number >= 33 && t.number <= 43 {
			return t.number
		}
	}
	return 0
}

// bad adds what a score of n, on a scale where 10 is the worst, says: 8 to 10 is
// severe, 4 to 7 is there, unless a concept has bounds of its own. A pain has: 2 to 7
// is there, 0 and 1 is not (LABELS.md).
func (r *reader) bad(a *asked, n float64) {
	topics := a.topics
	if len(topics) == 0 {
		if c := r.lex.concepts["unwell_general"]; c != nil {
			topics = []*Concept{c}
		}
	}
	for _, c := range topics {
		level := None
		switch {
		case len(c.Scores) > 0:
			for _, s := range c.Scores {
				if n >= s.From-0.01 {
					level = max(level, s.Level)
				}
			}
		case c.Level < Soon:
		case n >= 7.5:
			level = max(min(c.Severe, Urgent), Soon)
		case n >= 3.5:
			level = Soon
		}
		if level > None {
			r.affirmed(c.ID, level, "by her score")
		}
	}
}

// number reads a count: of days, where days are asked for.
func (r *reader) number() {
	low, high := 0.0, 9999.0
	if r.q.Min != r.q.Max {
		low, high = r.q.Min, r.q.Max
	}
	inDays := strings.Contains(strings.ToLower(r.q.Prompt), "day")
	for i := range r.tokens {
		t := &r.tokens[i]
		n := t.number
		if !t.isNumber {
			k, ok := amounts[t.word]
			if !ok || i+1 >= len(r.tokens) || dayUnits[r.tokens[min(i+1, len(r.tokens)-1)].word] == 0 && dayUnits[r.tokens[min(i+2, len(r.tokens)-1)].word] == 0 {
				continue
			}
			n = k
		}
		for d := 1; d <= 2 && i+d < len(r.tokens); d++ {
			if unit := dayUnits[r.tokens[i+d].word]; unit > 0 && inDays {
				n *= float64(unit)
				break
			}
		}
		if n < low || n > high {
			continue
		}
		r.out.Answer = Answer{Kind: Value, Number: n, More: r.says(2)}
		return
	}
	if r.yesNo().Kind == SaidNo && low == 0 {
		r.out.Answer = Answer{Kind: Value, Number: 0}
	}
}

const (
	kgPerStone = 6.35029
	kgPerPound = 0.453592
)

// weight reads kilograms, or stones and pounds.
func (r *reader) weight() Answer {
	kg, found := 0.0, false
	for i := range r.tokens {
		t := &r.tokens[i]
		if !t.isNumber {
			continue
		}
		unit := ""
		if i+1 < len(r.tokens) {
			unit = r.tokens[i+1].word
		}
		switch unit {
		case "kg", "kgs", "kilo", "kilos", "k", "kilogram", "kilograms":
			kg, found = t.number, true
		case "st", "stone", "stones", "stn":
			kg, found = kg+t.number*kgPerStone, true
			if i+3 < len(r.tokens) && r.tokens[i+2].word == "and" && r.tokens[i+3].word == "half" {
				kg += kgPerStone / 2
			}
		case "lb", "lbs", "pound", "pounds", "ib", "ibs":
			kg, found = kg+t.number*kgPerPound, true
		default:
			if !found {
				kg = t.number
			} else if i > 0 && strings.HasPrefix(r.tokens[i-1].word, "st") && t.number < 14 {
				kg += t.number * kgPerPound // "10 stone 4"
			}
		}
	}
	if !found && kg < 30 || kg < 25 || kg > 350 { // "11" alone may be stones: ask again
		return Answer{}
	}
	return Answer{Kind: Value, Number: math.Round(kg*10) / 10, More: r.says(4)}
}

// weightLost compares a weight with the one of 60 to 120 days ago (clinical
// digest 6.6: 5% and 10%).
func (r *reader) weightLost(kg float64) {
	for _, p := range r.history {
		if p.KgBefore <= 0 {
			continue
		}
		switch loss := (p.KgBefore - kg) / p.KgBefore; {
		case loss >= 0.10:
			r.affirmed("weight_loss", Urgent, "10% or more lost in about 3 months")
		case loss >= 0.05:
			r.affirmed("weight_loss", Soon, "5% or more lost in about 3 months")
		}
		return
	}
}

var weekdays = map[string]time.Weekday{
	"sunday": time.Sunday, "sun": time.Sunday, "monday": time.Monday, "mon": time.Monday, "tuesday": time.Tuesday, "tues": time.Tuesday, "tue": time.Tuesday,
	"wednesday": time.Wednesday, "wed": time.Wednesday, "weds": time.Wednesday, "thursday": time.Thursday, "thurs": time.Thursday, "thur": time.Thursday, "thu": time.Thursday,
	"friday": time.Friday, "fri": time.Friday, "saturday": time.Saturday, "sat": time.Saturday,
}

var months = map[string]time.Month{
	"january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "mar": 3, "april": 4, "apr": 4, "may": 5, "june": 6, "jun": 6, "july": 7, "jul": 7,
	"august": 8, "aug": 8, "september": 9, "sept": 9, "sep": 9, "october": 10, "oct": 10, "november": 11, "nov": 11, "december": 12, "dec": 12,
}

// date reads a day as so many days ago: "3 weeks", "since Tuesday", "yesterday",
// "5 May". Days of the week and of the month need the question's Today.
func (r *reader) date() Answer {
	for i := range r.tokens {
		t := &r.tokens[i]
		switch t.word {
		case "today", "tonight", "now":
			return Answer{Kind: Value, DaysAgo: 0}
		case "yesterday":
			ago := 1
			if i >= 2 && r.tokens[i-1].word == "before" && r.tokens[i-2].word == "day" {
				ago = 2
			}
			return Answer{Kind: Value, DaysAgo: ago}
		}
		if unit, ok := dayUnits[t.word]; ok {
			if t.word == "day" && i+2 < len(r.tokens) && r.tokens[i+1].word == "before" {
				continue
			}
			n := 1.0
			for back := i - 1; back >= max(0, i-3); back-- {
				if r.tokens[back].isNumber {
					n = r.tokens[back].number
					break
				}
				if k, ok := amounts[r.tokens[back].word]; ok && k != 1 {
					n = k
					break
				}
			}
			return Answer{Kind: Value, DaysAgo: min(int(n*float64(unit)), 36500)}
		}
		if r.q.Today.IsZero() {
			continue
		}
		if day, ok := weekdays[t.word]; ok {
			ago := (int(r.q.Today.Weekday()-day) + 7) % 7
			return Answer{Kind: Value, DaysAgo: ago}
		}
		if month, ok := months[t.word]; ok {
			day := 1
			for _, k := range []int{i - 1, i + 1, i - 2} {
				if k >= 0 && k < len(r.tokens) && r.tokens[k].isNumber && r.tokens[k].number >= 1 && r.tokens[k].number <= 31 {
					day = int(r.tokens[k].number)
					break
				}
			}
			y, m, d := r.q.Today.Date()
			today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
			then := time.Date(y, month, day, 0, 0, 0, 0, time.UTC)
			if then.After(today) {
				then = time.Date(y-1, month, day, 0, 0, 0, 0, time.UTC)
			}
			return Answer{Kind: Value, DaysAgo: int(today.Sub(then).Hours() / 24)}
		}
	}
	return Answer{}
}
