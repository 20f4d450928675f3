package triage

import (
	"strings"
)

// markKind is what a word of context says about the findings near it.
type markKind uint8

const (
	markNegation markKind = iota // "no", "haven't had"
	markBreak                    // ends the reach of a negation: "but", "except"
	markPast                     // "last year", "used to"
	markSettled                  // "all gone now", "fine now"
	markCleared                  // seen and cleared by a professional
	markStill                    // "still", "keeps", "back again": present whatever else is said
	markNow                      // "now", "today", "since"
	markIf                       // "what if", "should I look for"
	markOther                    // somebody else: "my husband"
	markUnsure                   // "not sure", "maybe"
	markWorse                    // "getting worse"
	markBetter                   // "easing"
	markSame                     // "same as always", "normal for me"
	markSevere                   // "agony", "unbearable"
	markMild                     // "a bit"
	markSudden
	markNight  // "wakes me", "at night"
	markAsk    // asks for something: "can you", "who do I"
	markWell   // in a question: being well, or able: a "no" is bad news
	markIdiom  // a figure of speech: hides the findings inside it
	markQuoted // words of a leaflet or a letter
	markKinds
)

var markNames = map[string]markKind{
	"negation": markNegation, "break": markBreak, "past": markPast, "settled": markSettled, "cleared": markCleared, "still": markStill, "now": markNow,
	"if": markIf, "other": markOther, "unsure": markUnsure, "worse": markWorse, "better": markBetter, "same": markSame, "severe": markSevere,
	"mild": markMild, "sudden": markSudden, "night": markNight, "ask": markAsk, "well": markWell, "idiom": markIdiom, "quoted": markQuoted,
}

// contextWords are the phrases of context, by their first word.
type contextWords struct {
	byFirst map[string][]phrase
}

type phrase struct {
	kind  markKind
	words []string
}

func (c *contextWords) add(lists map[string][]string) {
	if c.byFirst == nil {
		c.byFirst = make(map[string][]phrase)
	}
	for name, list := range lists {
		kind, ok := markNames[name]
		if !ok {
			continue
		}
		for _, text := range list {
			words := strings.Fields(joined(text))
			if len(words) > 0 {
				c.byFirst[words[0]] = append(c.byFirst[words[0]], phrase{kind, words})
			}
		}
	}
}

// mark is a phrase of context found in a message, by tokens.
type mark struct {
	kind       markKind
	start, end int
}

// marks finds every phrase of context. Of two that begin at the same word and
// say the same, the longer counts.
func (c *contextWords) marks(tokens []token) []mark {
	var out []mark
	for i := range tokens {
		for _, p := range c.byFirst[tokens[i].text] {
			if i+len(p.words) > len(tokens) {
				continue
			}
			match := true
			for k, w := range p.words {
				if tokens[i+k].text != w {
					match = false
					break
				}
			}
			if match {
				out = append(out, mark{p.kind, i, i + len(p.words)})
			}
		}
	}
	return out
}

// negationReach is how many words a negation reaches forward.
const negationReach = 9

// subjects begin a new statement after a comma, and end the reach of a negation.
var subjects = map[string]bool{"i": true, "my": true, "ive": true, "im": true, "it": true, "its": true, "the": true, "she": true, "he": true, "just": true, "only": true, "then": true, "now": true, "and": true, "theres": true, "there": true, "but": true, "got": true, "have": true, "been": true}

// denied says whether a negation reaches the words from start to end. used says
// which of these words the wording itself stands on: a negation that is part of
// "can't breathe" denies nothing.
func (r *reader) denied(m *match) bool {
	for _, k := range r.marks {
		if k.kind != markNegation {
			continue
		}
		if k.start >= m.start && k.start < m.end {
			if !m.uses(k.start) { // "legs are not weak"
				return !r.doubled(k)
			}
			continue
		}
		if k.end > m.start || m.start-k.end > negationReach || r.tokens[k.start].clause != r.tokens[m.start].clause {
			continue
		}
		// "No, my back hurts": the no is the answer.
		if k.start == 0 && k.end < len(r.tokens) && r.tokens[0].text == "no" && (r.tokens[k.end].comma || subjects[r.tokens[k.end].text]) {
			continue
		}
		if r.cut(k.end, m.start) || r.doubled(k) {
			continue
		}
		return true
	}
	return false
}

// cut says whether something between a negation and a finding ends its reach.
func (r *reader) cut(from, to int) bool {
	for i := from; i < to; i++ {
		if r.tokens[i].comma && subjects[r.tokens[i].text] {
			return true
		}
		// "no lumps and my arm is hot": a new statement begins.
		if r.tokens[i].text == "and" && i+1 < to && (r.tokens[i+1].text == "my" || r.tokens[i+1].text == "i" || r.tokens[i+1].text == "ive" || r.tokens[i+1].text == "im") {
			return true
		}
	}
	for _, k := range r.marks {
		if k.kind == markBreak && k.start >= from && k.start < to {
			return true
		}
	}
	return to < len(r.tokens) && r.tokens[to].comma && subjects[r.tokens[to].text]
}

// doubled says whether a negation is itself denied: "not without pain".
func (r *reader) doubled(k mark) bool {
	for _, o := range r.marks {
		if o.kind == markNegation && o.end <= k.start && k.start-o.end <= 1 && r.tokens[o.start].clause == r.tokens[k.start].clause && r.tokens[k.start].text == "without" {
			return true
		}
	}
	return false
}

// near says whether a mark of a kind stands in the clause of a match, within a
// number of words on either side.
func (r *reader) near(kind markKind, m *match, words int) bool {
	for _, k := range r.marks {
		if k.kind == kind && r.tokens[k.start].clause == r.tokens[m.start].clause &&
			k.end > m.start-words && k.start < m.end+words {
			return true
		}
	}
	return false
}

// before says whether a mark of a kind stands in front of a match, in its clause.
func (r *reader) before(kind markKind, m *match, words int) bool {
	for _, k := range r.marks {
		if k.kind == kind && k.start < m.start && m.start-k.end <= words && r.tokens[k.start].clause == r.tokens[m.start].clause {
			return true
		}
	}
	return false
}

// anywhere says whether a mark of a kind stands in the message at all.
func (r *reader) anywhere(kind markKind) bool { return r.has[kind] }
