package triage

// markKind is what a word of context says about the findings near it. The words
// themselves are in content/lexicon/context.yaml.
type markKind uint8

const (
	markNegation   markKind = iota // "no", "haven't had": denies what follows
	markNoNegation                 // looks like one and is none: "no idea", "no joke", "not only"
	markDenyAfter                  // denies what stands before: "pain free", "lumps none"
	markCarrier                    // words that a negation reaches across: "had any new"
	markBreak                      // ends the reach of a negation: "but", "except"
	markPast                       // "last year", "used to"
	markSettled                    // said behind a symptom: "all gone now"
	markNotSettled                 // looks like it and is none: "gone yellow", "gone right up"
	markOver                       // said before a symptom: "recovered from", "got over"
	markCleared                    // seen and cleared by a professional
	markStill                      // "still", "back again": present whatever else is said
	markNow                        // "now", "since", "keeps"
	markIf                         // "what if", "should I look for"
	markNoIf                       // looks like one and is none: "not sure if", "as if"
	markQuoted                     // words of a leaflet or a letter
	markOther                      // somebody who is not the patient: "my sister", "the dog"
	markCarer                      // somebody who may be the patient, told of by a carer: "mum", "she"
	markProxy                      // somebody writes for the patient
	markSelf                       // "I", "my"
	markSubject                    // begins a new statement
	markUnsure                     // "not sure", "maybe"
	markWorse                      // "getting worse"
	markBetter                     // "easing"
	markSame                       // "same as always", "normal for me"
	markSevere                     // "agony", "unbearable"
	markMild                       // "a bit"
	markSudden
	markNight // "wakes me", "at night"
	markAsk   // asks for something: "can you", "who do I"
	markWell  // in a question: being well, able, free of: a "no" is bad news
	markIdiom // a figure of speech: hides what stands inside it
	markUneased
	markNoun     // a thing that can be denied: "pain", "lumps"
	markCourtesy // a greeting, a kiss, an excuse: it says nothing
	markKinds
)

var markNames = map[string]markKind{
	"negation": markNegation, "no_negation": markNoNegation, "deny_after": markDenyAfter, "carrier": markCarrier, "break": markBreak,
	"past": markPast, "settled": markSettled, "not_settled": markNotSettled, "over": markOver, "cleared": markCleared, "still": markStill,
	"now": markNow, "if": markIf, "no_if": markNoIf, "quoted": markQuoted, "other": markOther, "carer": markCarer, "proxy": markProxy,
	"self": markSelf, "subject": markSubject, "unsure": markUnsure, "worse": markWorse, "better": markBetter, "same": markSame,
	"severe": markSevere, "mild": markMild, "sudden": markSudden, "night": markNight, "ask": markAsk, "well": markWell, "idiom": markIdiom,
	"uneased": markUneased, "noun": markNoun, "courtesy": markCourtesy,
}

func bit(k markKind) uint64 { return 1 << k }

// marked says whether a token carries a mark of one of the kinds.
func (r *reader) marked(i int, kinds uint64) bool { return r.mask[i]&kinds != 0 }

// sentence gives the tokens of the sentence that token i stands in.
func (r *reader) sentence(i int) (from, to int) {
	from, to = i, i+1
	for from > 0 && r.tokens[from-1].clause == r.tokens[i].clause {
		from--
	}
	for to < len(r.tokens) && r.tokens[to].clause == r.tokens[i].clause {
		to++
	}
	return from, to
}

// near says whether a mark stands in the sentence of a match, within a number of
// words on either side, and not on the wording itself.
func (r *reader) near(kinds uint64, m *match, words int) bool {
	return r.nearest(kinds, m, words, words) >= 0
}

// lessening are the marks that make less of a finding.
const lessening = 1<<markPast | 1<<markSettled | 1<<markOver | 1<<markSame | 1<<markBetter | 1<<markMild

// nearest gives the token nearest to a match, in its sentence, that carries one
// of the marks and is not denied itself, or -1.
func (r *reader) nearest(kinds uint64, m *match, before, after int) int {
	if r.kinds&kinds == 0 {
		return -1
	}
	from, to := r.sentence(m.start)
	if kinds&lessening == kinds { // what was said before a "but" lessens nothing behind it
		for i := m.start - 1; i >= from; i-- {
			if r.phraseAt(i, r.lex.words.turns) > 0 {
				from = i
				break
			}
		}
	}
	for d := range max(before, after) + 1 {
		if i := m.end - 1 + d; d <= after && i < to && r.marked(i, kinds) && !r.plainlyDenied(i) {
			return i
		}
		if i := m.start - d; d <= before && i >= from && r.marked(i, kinds) && !r.plainlyDenied(i) {
			return i
		}
	}
	for i := m.start; i < m.end; i++ {
		if r.marked(i, kinds) && !r.plainlyDenied(i) {
			return i
		}
	}
	return -1
}

// plainlyDenied says whether "not" or the like stands right before a word of
// context: "not severe", "no better", "hasn't really changed".
func (r *reader) plainlyDenied(i int) bool {
	if r.marked(i, bit(markNegation)) {
		return false
	}
	for back := 1; back <= 3 && i-back >= 0 && r.tokens[i-back].clause == r.tokens[i].clause; back++ {
		if r.marked(i-back, bit(markNegation)) {
			return true
		}
		if !r.tokens[i-back].light && !r.marked(i-back, bit(markCarrier)) {
			return false
		}
	}
	return false
}

// negationReach is how many words a negation reaches forward.
const negationReach = 14

// denied says whether she says that she does not have what a match names.
func (r *reader) denied(m *match) bool {
	if r.kinds&(bit(markNegation)|bit(markDenyAfter)) == 0 {
		return false
	}
	for i := m.start; i < m.end; i++ {
		if m.uses(i) && !r.tokens[i].light {
			if r.scope[i] && !r.marked(m.start, bit(markNegation)) {
				return true
			}
			break
		}
	}
	return r.deniedInside(m) || r.deniedAfter(m)
}

// scopes finds what each negation of the message reaches.
func (r *reader) scopes() {
	r.scope = make([]bool, len(r.tokens)+1)
	if r.kinds&bit(markNegation) == 0 {
		return
	}
	for i := range r.tokens {
		if r.marked(i, bit(markNegation)) && !r.partOfWording(i) && !r.isAnswer(i) {
			r.reach(i)
		}
	}
}

// partOfWording says whether a wording stands on a negation: "no feeling".
func (r *reader) partOfWording(i int) bool {
	for k := range r.matches {
		if m := &r.matches[k]; m.uses(i) && m.pattern.concept.Level >= Soon {
			return true
		}
	}
	return false
}

// isAnswer says whether a "no" is an answer and denies nothing behind it: "No,
// my back hurts".
func (r *reader) isAnswer(i int) bool {
	switch r.tokens[i].word {
	case "no", "nae", "never", "none", "nothing":
	default:
		return false
	}
	next := i + 1
	if next >= len(r.tokens) || r.tokens[next].clause != r.tokens[i].clause {
		return true
	}
	return r.tokens[i].word != "never" && (r.tokens[next].comma || r.marked(next, bit(markSubject)|bit(markSelf)))
}

// connectors join one denied thing to a next, or say where it is.
var connectors = map[string]bool{"or": true, "nor": true, "in": true, "on": true, "at": true, "of": true, "to": true, "from": true, "with": true, "around": true, "near": true,
	"under": true, "round": true, "down": true, "up": true, "across": true, "over": true, "for": true, "about": true, "by": true, "when": true, "while": true, "and": true, "like": true, "than": true}

// determiners deny a thing; the other negations deny what somebody does.
var determiners = map[string]bool{"no": true, "without": true, "nae": true, "zero": true, "nor": true, "neither": true, "any": true, "nee": true, "of": true, "from": true}

// reach marks what the negation at token i reaches: the thing that it stands
// before, with what "or", commas and "in" join to it. A word of action that it
// stands before ("not slept"), a "but", or a new statement ends it.
func (r *reader) reach(i int) {
	if i > 0 && r.tokens[i].word == "without" && r.marked(i-1, bit(markNegation)) {
		return // "never without pain"
	}
	determiner := determiners[r.tokens[i].word]
	clause := r.tokens[i].clause
	others, head, joined := 0, -1, true
	for k := i + 1; k < len(r.tokens) && r.tokens[k].clause == clause && k-i <= negationReach; k++ {
		w := r.tokens[k].word
		if r.marked(k, bit(markBreak)) {
			return
		}
		if r.marked(k, bit(markNegation)) && k > i+1 {
			return
		}
		if r.tokens[k].comma && k > i+1 {
			if !r.listGoesOn(k) {
				return
			}
			joined = true
		}
		carrier := r.marked(k, bit(markCarrier))
		switch {
		case r.marked(k, bit(markSubject)|bit(markSelf)) && !carrier && !connectors[r.tokens[k-1].word] && !r.named(k):
			return
		case w == "and":
			if !r.nounAt(k + 1) {
				return
			}
			joined = true
		case connectors[w]:
			joined = true
		case r.named(k) || r.marked(k, bit(markNoun)):
			if head >= 0 && !joined && !r.marked(k, bit(markNoun)) && !r.sameWording(head, k) {
				return
			}
			head, joined = k, false
		case r.tokens[k].light || carrier:
		case head >= 0 && !joined:
			return
		case determiner && others < 2:
			others++
		default:
			return
		}
		r.scope[k] = true
	}
}

// nounAt says whether a thing that can be denied stands at token k, behind at
// most two words such as "any new".
func (r *reader) nounAt(k int) bool {
	for n := 0; n < 3 && k < len(r.tokens); n++ {
		if r.marked(k, bit(markNoun)|bit(markNegation)) {
			return true
		}
		if !r.marked(k, bit(markCarrier)) {
			return false
		}
		k++
	}
	return false
}

// listGoesOn says whether the comma before token k joins a next thing to a list
// of what is denied: another such thing, or an "or" before the next comma or two.
func (r *reader) listGoesOn(k int) bool {
	if r.marked(k, bit(markSubject)|bit(markSelf)) {
		return false
	}
	if r.nounAt(k) {
		return true
	}
	for n := k; n < len(r.tokens) && n < k+8 && r.tokens[n].clause == r.tokens[k].clause; n++ {
		if w := r.tokens[n].word; w == "or" || w == "nor" {
			return true
		}
		if r.marked(n, bit(markSubject)|bit(markSelf)|bit(markBreak)) {
			return false
		}
	}
	return false
}

// sameWording says whether one wording stands on both tokens.
func (r *reader) sameWording(a, b int) bool {
	for i := range r.matches {
		if m := &r.matches[i]; m.uses(a) && m.uses(b) {
			return true
		}
	}
	return false
}

// deniedInside finds "legs are not weak". A negation that the wording stands on
// ("can't breathe") denies nothing.
func (r *reader) deniedInside(m *match) bool {
	for i := m.start + 1; i < m.end; i++ {
		if !r.marked(i, bit(markNegation)) || m.uses(i) {
			continue
		}
		for k := i + 1; k < m.end && r.scope[k]; k++ {
			if m.uses(k) {
				return true
			}
		}
	}
	return false
}

// named says whether a token belongs to some symptom that is named.
func (r *reader) named(i int) bool { return i < len(r.symptom) && r.symptom[i] }

// deniedAfter finds "lumps none", "pain free", "hot yes, painful no".
func (r *reader) deniedAfter(m *match) bool {
	_, to := r.sentence(m.start)
	i := m.end
	for i < to && r.tokens[i].light && !r.marked(i, bit(markNegation)|bit(markDenyAfter)) {
		i++
	}
	if i >= to {
		return false
	}
	if r.marked(i, bit(markDenyAfter)) {
		return true
	}
	if w := r.tokens[i].word; w == "no" || w == "none" || w == "never" || w == "nope" {
		return i+1 >= to || r.tokens[i+1].comma || r.tokens[i+1].word == "and" && i+2 >= to || r.tokens[i+1].word == "yes"
	}
	return false
}

// over says whether what a match names is over by now, as she says.
func (r *reader) over(m *match) bool {
	if r.kinds&(bit(markSettled)|bit(markOver)) == 0 {
		return false
	}
	from, to := r.sentence(m.start)
	for i := m.start - 1; i >= from && m.start-i <= 8; i-- {
		if r.marked(i, bit(markBreak)) {
			break
		}
		if r.marked(i, bit(markOver)) && !r.plainlyDenied(i) {
			return true
		}
	}
	// Behind it in its sentence, or at the head of a next one.
	sentences, since := 0, 0
	for i := m.start; i < len(r.tokens); i++ {
		if i >= to && r.tokens[i].clause != r.tokens[i-1].clause {
			sentences++
			since = 0
		}
		if sentences > 2 {
			break
		}
		since++
		if r.marked(i, bit(markStill)|bit(markWorse)) && !r.plainlyDenied(i) {
			return false
		}
		if i >= m.end && r.startsOther(i, m) {
			break
		}
		if r.marked(i, bit(markSettled)) && !m.uses(i) && !r.plainlyDenied(i) && (sentences == 0 || since <= 6) {
			return !r.returns(i)
		}
	}
	return false
}

// startsOther says whether the wording of some other concept begins at token i.
func (r *reader) startsOther(i int, m *match) bool {
	for k := range r.matches {
		o := &r.matches[k]
		if o.start == i && o.pattern.concept != m.pattern.concept && o.pattern.concept.Level >= Soon && !o.pattern.concept.Vague && !o.overlaps(m) {
			return true
		}
	}
	return false
}

// returns says whether something behind token i takes an ending back: "went
// away but it's back".
func (r *reader) returns(i int) bool {
	for k := i + 1; k < len(r.tokens) && k < i+14; k++ {
		if r.marked(k, bit(markStill)) && !r.plainlyDenied(k) {
			return true
		}
	}
	return false
}

// experiencer says whose a finding is: "her", or "other".
func (r *reader) experiencer(m *match) string {
	if r.kinds&bit(markOther) == 0 || r.p.Carer {
		return "her"
	}
	from, to := r.sentence(m.start)
	for i := m.start; i < m.end; i++ {
		if r.marked(i, bit(markSelf)) && !r.marked(i, bit(markOther)) {
			return "her"
		}
	}
	for i := m.start; i >= from && i >= m.start-14; i-- {
		switch {
		case r.marked(i, bit(markOther)):
			return "other"
		case r.marked(i, bit(markSelf)):
			// "my sister found a lump in my breast": hers. "my" alone begins "my sister" and does not count.
			return "her"
		}
	}
	for i := m.end; i < to && i < m.end+4; i++ {
		if r.marked(i, bit(markOther)) && !r.marked(i, bit(markSelf)) && r.tokens[i-1].word != "and" {
			if i > m.end && (r.tokens[i-1].word == "in" || r.tokens[i-1].word == "on" || r.tokens[i-1].word == "my" && i-2 >= 0 && (r.tokens[i-2].word == "in" || r.tokens[i-2].word == "on")) {
				return "other" // "a lump in my sister's breast"
			}
		}
	}
	// The sentence before spoke of somebody else, and this one says "she" or "his".
	if from > 0 && r.kinds&bit(markCarer) != 0 && r.kinds&bit(markProxy) == 0 {
		selfHere, carerHere := false, false
		for i := from; i < to; i++ {
			selfHere = selfHere || r.marked(i, bit(markSelf))
			carerHere = carerHere || r.marked(i, bit(markCarer))
		}
		if carerHere && !selfHere {
			for i := from - 1; i >= 0; i-- {
				if r.marked(i, bit(markOther)) {
					return "other"
				}
			}
		}
	}
	return "her"
}

// before says whether a mark stands in front of a match or at its head, in its
// sentence, within a number of words, with no break between.
func (r *reader) before(kinds uint64, m *match, words int) bool {
	if r.kinds&kinds == 0 {
		return false
	}
	from, _ := r.sentence(m.start)
	for i := m.start; i >= from && m.start-i <= words; i-- {
		if i < m.start && r.marked(i, bit(markBreak)) {
			return false
		}
		if r.marked(i, kinds) && !(i == m.start && m.uses(i)) {
			return true
		}
	}
	return false
}
