package triage

import "strings"

// dayUnits are the units of time of the calendar, in days.
var dayUnits = map[string]int{
	"day": 1, "days": 1, "night": 1, "nights": 1, "week": 7, "weeks": 7, "fortnight": 14, "fortnights": 14, "month": 30, "months": 30,
	"year": 365, "years": 365, "weekend": 2, "hours": 0, "hour": 0, "minutes": 0, "minute": 0,
}

// amounts are the words that count like numbers.
var amounts = map[string]float64{"couple": 2, "few": 3, "several": 4, "a": 1, "an": 1, "half": 0.5, "dozen": 12}

// days gives the duration that is stated in the sentence of a match, in days, or
// 0: "for three weeks", "a month now", "since tuesday" counts as a few days.
func (r *reader) days(m *match) int {
	from, to := r.sentence(m.start)
	best := 0
	for i := from; i < to; i++ {
		unit, ok := dayUnits[r.tokens[i].word]
		if !ok || unit == 0 {
			continue
		}
		n := 1.0
		for back := i - 1; back >= max(from, i-3); back-- {
			t := &r.tokens[back]
			if t.isNumber {
				n = t.number
				break
			}
			if k, ok := amounts[t.word]; ok {
				n = k
				if k != 1 {
					break
				}
			}
		}
		best = max(best, min(int(n*float64(unit)), 36500))
	}
	return best
}

// side gives the side that stands near a match.
func (r *reader) side(m *match) string {
	from, to := r.sentence(m.start)
	for i := max(from, m.start-3); i < min(to, m.end+3); i++ {
		switch r.tokens[i].word {
		case "left":
			return "left"
		case "right":
			if i == 0 || !strings.Contains(" not all just isnt feel feels felt feeling quite about is ", " "+r.tokens[i-1].word+" ") {
				return "right"
			}
		case "both":
			return "both"
		}
	}
	return ""
}

// severity gives how bad she calls it: 8 for words such as "agony", 2 for "a
// bit", or her own number out of ten; 0 when she does not say.
func (r *reader) severity(m *match) int {
	if n, ok := r.ownScore(m); ok {
		return n
	}
	if r.near(bit(markSevere), m, 6) {
		return 8
	}
	if r.near(bit(markMild), m, 3) {
		return 2
	}
	return 0
}

// ownScore finds "8/10" and "8 out of 10" in the sentence of a match.
func (r *reader) ownScore(m *match) (int, bool) {
	from, to := r.sentence(m.start)
	best, found := 0, false
	for i := from; i+1 < to; i++ {
		t := &r.tokens[i]
		if !t.isNumber || t.number > 10 {
			continue
		}
		out := r.tokens[i+1].slash && r.tokens[i+1].number == 10 ||
			i+3 < to && r.tokens[i+1].word == "out" && r.tokens[i+2].word == "of" && (r.tokens[i+3].number == 10)
		if out {
			best, found = max(best, int(t.number+0.5)), true
		}
	}
	return best, found
}
