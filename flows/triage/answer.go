package triage

import (
	"slices"
	"strings"
)

// answerWords are the classes of the lexicon by which answers are read; each may
// be missing, and then nothing is of it.
type answerWords struct {
	yes, no, fine, unsure, maybe, refuse, nurse, correct, filler, seen, none, some, signOff *part
	presumes, relief, safety, errand, open                                                  *part
	scaleGood, scaleBad, scaleAsksGood                                                      *part
	redFlags, turns                                                                         *part
}

// answerClasses finds the classes that answers are read by.
func (c *compiler) answerClasses() {
	get := func(name string) *part {
		if c.classes[name] == nil {
			return nil
		}
		return c.part("@"+name, "@"+name, 1)
	}
	c.lex.words = answerWords{
		yes: get("answer_yes"), no: get("answer_no"), fine: get("answer_fine"), unsure: get("answer_unsure"), maybe: get("answer_maybe"),
		refuse: get("answer_refuse"), nurse: get("answer_nurse"), correct: get("answer_correct"), filler: get("answer_filler"),
		seen: get("answer_seen"), none: get("answer_none"), some: get("answer_some"),
		presumes: get("asks_presuming"), relief: get("asks_relief"), safety: get("asks_safety"), errand: get("asks_errand"), open: get("asks_open"),
		scaleGood: get("scale_good"), scaleBad: get("scale_bad"), scaleAsksGood: get("scale_asks_good"),
		redFlags: get("red_flags"), turns: get("turns"), signOff: get("sign_off"),
	}
}

// answer reads the message as an answer to its question, and adds what the
// answer affirms.
func (r *reader) answer() {
	if len(r.tokens) == 0 {
		return
	}
	if r.q == nil {
		r.out.Answer = r.yesNo()
		return
	}
	if r.out.Command != "" && r.q.Kind != Choice {
		return // it answers nothing
	}
	r.asked = r.ask()
	a := r.asked
	bare := r.yesNo()
	w := &r.lex.words
	switch {
	case r.opensWith(w.nurse):
		r.out.Answer = Answer{Kind: WantsNurse}
		r.affirmed("contact_request", Routine, "would rather talk to somebody")
		return
	case r.opensWith(w.refuse):
		r.out.Answer = Answer{Kind: Refused}
		r.refused(&a)
		return
	}
	switch r.q.Kind {
	case Scale:
		r.scale(&a)
	case Number:
		r.number()
	case Weight:
		r.out.Answer = r.weight()
		if r.out.Answer.Kind == Value {
			r.weightLost(r.out.Answer.Number)
		}
	case Date:
		r.out.Answer = r.date()
	case Choice:
		r.choice(&a)
	case YesNo:
		r.out.Answer = bare
		if bare.Kind == NoAnswer && len(r.tokens) <= 8 && r.opensWith(w.correct) {
			r.out.Answer = Answer{Kind: Correction}
		}
	default:
		r.out.Answer = Answer{Kind: FreeText, More: true}
	}
	if r.out.Answer.Kind == NoAnswer && (bare.Kind == Unsure || r.opensWith(w.unsure)) {
		r.out.Answer = Answer{Kind: Unsure, More: r.says(2)}
		bare = r.out.Answer
	}
	if r.out.Answer.Kind == Value || r.out.Answer.Kind == Chosen {
		r.across(&a)
		return
	}
	r.across(&a)
	r.affirm(&a, bare)
}

// opensWith says whether the message begins, behind fillers, with words of a part.
func (r *reader) opensWith(p *part) bool {
	if p == nil {
		return false
	}
	for i := 0; i < len(r.tokens) && i < 6; i++ {
		if r.phraseAt(i, p) > 0 {
			return true
		}
		if r.phraseAt(i, r.lex.words.filler) == 0 && !r.tokens[i].light {
			return false
		}
	}
	return false
}

// yesNo reads a yes or a no at the head of the message. Where she takes it back
// ("y oops NO"), the last counts; where both stand side by side, neither does.
func (r *reader) yesNo() Answer {
	w := &r.lex.words
	kind, end := NoAnswer, 0
	for i := 0; i < len(r.tokens) && i < 8; i++ {
		// The longest wins: "not sure" is no "not", "no idea" no "no".
		n := 0
		k := NoAnswer
		for _, option := range [...]struct {
			part *part
			kind AnswerKind
		}{{w.fine, SaidNo}, {w.yes, SaidYes}, {w.no, SaidNo}, {w.unsure, Unsure}, {w.maybe, Unsure}} {
			if l := r.phraseAt(i, option.part); l > n {
				n, k = l, option.kind
			}
		}
		if n > 0 {
			kind, end = k, i+n
			break
		}
		if r.phraseAt(i, w.filler) == 0 && !r.tokens[i].light {
			break
		}
	}
	if kind == NoAnswer {
		return Answer{}
	}
	if n := len(r.tokens); n > 2 && r.phraseAt(n-1, w.no) > 0 && (r.phraseAt(n-2, w.turns) > 0 || r.tokens[n-2].word == "so") {
		return Answer{Kind: SaidNo, More: true} // "bit personal but no"
	}
	// "No yes", "yes. sorry meant no"
	for i := end; i < len(r.tokens) && i < end+6; i++ {
		yes, no := r.phraseAt(i, w.yes) > 0, r.phraseAt(i, w.no) > 0
		if !yes && !no {
			continue
		}
		other := yes && kind == SaidNo || no && kind == SaidYes
		if !other {
			continue
		}
		taken := false
		for k := end; k < i; k++ {
			taken = taken || r.phraseAt(k, w.correct) > 0
		}
		rest := len(r.tokens) - i
		switch {
		case taken && yes:
			return Answer{Kind: SaidYes, More: rest > 3}
		case taken && no:
			return Answer{Kind: SaidNo, More: rest > 3}
		case i == end && rest == 1:
			return Answer{}
		}
		break
	}
	return Answer{Kind: kind, More: r.more(end)}
}

// more says whether words of weight stand behind token i.
func (r *reader) more(i int) bool {
	n := 0
	for ; i < len(r.tokens); i++ {
		if t := &r.tokens[i]; !t.light && !t.isNumber && r.phraseAt(i, r.lex.words.filler) == 0 && !r.courtesy(i) && len(t.word) > 1 {
			n++
		}
	}
	return n > 0
}

// says says whether the message holds more words than an answer needs.
func (r *reader) says(most int) bool {
	n := 0
	for i := range r.tokens {
		if t := &r.tokens[i]; !t.isNumber && !t.light {
			n++
		}
	}
	return n > most
}

// affirmed adds a finding that the answer as a whole makes.
func (r *reader) affirmed(concept string, level Level, rule string) {
	c := r.lex.concepts[concept]
	if c == nil {
		return
	}
	if r.q != nil && !r.q.Scripted && r.lex.second != nil {
		r.guesses = append(r.guesses, c.ID)
	}
	r.add(Finding{Concept: c.ID, Text: r.text, Start: 0, End: len(r.text), Polarity: "said", Time: "now", Experiencer: "her", Level: level, Rule: rule})
}

// suggested is affirmed where the level is no more than routine: the second reader,
// where there is one, knows better which of such answers a person need not read.
func (r *reader) suggested(concept string, level Level, rule string) {
	if r.lex.second == nil || r.q != nil && r.q.Scripted || level > Routine || r.lex.concepts[concept] == nil {
		r.affirmed(concept, level, rule)
		return
	}
	r.hints = append(r.hints, concept)
	r.affirmed(concept, None, rule)
}

func (r *reader) refused(a *asked) {
	if a.safety {
		r.affirmed("abuse_disclosure", Urgent, "would rather not say whether she is safe")
		return
	}
	r.affirmed("refusal", Routine, "would rather not say")
}

// across finds wordings that begin in the question and end in the answer:
// "Where is the pain?" "Middle of my chest".
func (r *reader) across(a *asked) {
	if len(a.tokens) == 0 || len(a.tokens) > 40 {
		return
	}
	first := 0
	for first < len(r.tokens) && r.tokens[first].clause == r.tokens[0].clause && first < 16 {
		first++
	}
	inner := &reader{lex: r.lex, text: r.text, p: r.p}
	inner.tokens = make([]token, 0, len(a.tokens)+first)
	for _, t := range a.tokens {
		t.clause, t.light, t.comma, t.question = 0, true, false, false
		t.start, t.end = r.tokens[0].start, r.tokens[0].start
		inner.tokens = append(inner.tokens, t)
	}
	border := len(inner.tokens)
	for _, t := range r.tokens[:first] {
		t.clause = 0
		inner.tokens = append(inner.tokens, t)
	}
	found, _, _ := r.lex.find(inner.tokens)
	inner.settle(found)
	inner.symptom = make([]bool, len(inner.tokens)+1)
	for i := range inner.matches {
		m := &inner.matches[i]
		for k := m.start; k < m.end; k++ {
			inner.symptom[k] = inner.symptom[k] || m.uses(k) && m.pattern.concept.Level >= Soon
		}
	}
	for i := range border { // the question's own words deny and settle nothing
		inner.mask[i] = 0
	}
	inner.scopes()
	for i := range inner.matches {
		m := &inner.matches[i]
		c := m.pattern.concept
		if m.start >= border || m.end <= border || c.Level < Soon || c.Vague {
			continue
		}
		touches := false
		for k := border; k < m.end; k++ {
			touches = touches || m.uses(k) && !inner.tokens[k].light && !r.spoken(k-border, min(c.Level, Urgent))
		}
		if !touches {
			continue
		}
		f := Finding{Concept: c.ID, Polarity: "said", Time: "now", Experiencer: "her", Level: c.Level, Rule: c.ID + ": " + m.pattern.text + " (with the question)"}
		f.Start, f.End = r.tokens[0].start, inner.tokens[m.end-1].end
		f.Text = r.text[f.Start:f.End]
		if inner.denied(m) || m.end < len(inner.tokens) && inner.deniedAfter(m) {
			continue
		}
		inner.context(m, c, &f)
		if f.Polarity == "said" && f.Level > None {
			r.add(f)
		}
	}
}

// spoken says whether a word of hers is part of something that she says by herself
// and that is urgent or no less dangerous: the "can't" of "can't feel my legs" is not the
// "can't" of "can't breathe".
func (r *reader) spoken(token int, level Level) bool {
	return slices.ContainsFunc(r.matches, func(m match) bool {
		return m.start <= token && token < m.end && m.uses(token) && m.pattern.concept.Level >= level
	})
}

// affirm adds what an answer in words says about what was asked.
func (r *reader) affirm(a *asked, bare Answer) {
	yesForm := r.q.Kind == YesNo || r.yesNoForm(a)
	kind := bare.Kind
	if !yesForm && kind != Unsure {
		kind = NoAnswer
	}
	if a.negative && kind == SaidYes && !bare.More && !r.echoes() {
		// "Yes" to "You haven't had any, have you?" is neither
	}
	if r.namesWorse(a, bare) {
		return // "yes, my back is agony": what she names is the answer
	}
	bad := kind == SaidYes && !a.well || kind == SaidNo && a.well && !r.opensWith(r.lex.words.fine)
	if a.negative && a.well {
		bad = kind == SaidYes // "No new falls at all?"
	}
	switch {
	case kind == Unsure:
		r.unsure(a)
	case bad && r.opensWith(r.lex.words.seen) && !bare.More:
		r.affirmed(r.firstTopic(a), Routine, "a thumb or an OK to a question about a symptom may only mean that it was seen")
	case bad:
		r.badAnswer(a)
	case kind == SaidYes || kind == SaidNo:
		// good news; a "better" or "worse" behind it still counts
		if bare.More && (kind == SaidYes && a.well || kind == SaidNo && !a.well) {
			r.course(a, true)
		}
	default:
		r.course(a, false)
	}
}

// yesNoForm says whether a question in free text can be answered with yes or no.
func (r *reader) yesNoForm(a *asked) bool {
	if len(a.tokens) == 0 {
		return false
	}
	last := a.tokens[len(a.tokens)-1].clause
	for i := range a.tokens {
		if a.tokens[i].clause == last {
			switch a.tokens[i].word {
			case "any", "is", "are", "do", "does", "did", "have", "has", "can", "was", "were", "no", "you", "anything", "will", "would":
				return true
			}
			return false
		}
	}
	return false
}

// echoes says whether the answer repeats the question's verb: "I am", "it has".
func (r *reader) echoes() bool {
	return len(r.tokens) > 1 && r.marked(0, bit(markSelf))
}

// namesWorse says whether she has named something that a nurse must hear, beside
// a plain yes, and nothing of what was asked about.
func (r *reader) namesWorse(a *asked, bare Answer) bool {
	if !bare.More && bare.Kind != NoAnswer {
		return false
	}
	top := None
	for _, f := range r.out.Findings {
		if f.Polarity == "said" {
			top = max(top, f.Level)
		}
	}
	if top < Soon {
		return false
	}
	for _, c := range a.topics {
		if c.Level > top && bare.Kind == SaidYes && !a.well {
			return false
		}
		if c.Level > top && bare.Kind == SaidNo && a.well {
			return false
		}
	}
	return true
}

func (r *reader) firstTopic(a *asked) string {
	if len(a.topics) > 0 {
		return a.topics[0].ID
	}
	return "not_understood"
}

// badAnswer adds what was asked about: she says that she has it.
func (r *reader) badAnswer(a *asked) {
	switch {
	case a.relief:
		r.affirmed("pain_unspecified", Soon, "what she takes does not ease it")
		for _, c := range a.topics {
			r.affirmed(c.ID, min(c.Level, Soon), "what she takes does not ease it")
		}
		return
	case len(a.topics) == 0 && a.well && a.errand:
		r.suggested("not_understood", Routine, "said no to a question")
		return
	case len(a.topics) == 0 && a.well:
		r.affirmed("unwell_general", Soon, "says that she is not well, or not able")
		return
	case len(a.topics) == 0:
		r.suggested("not_understood", Routine, "said yes to a question")
		return
	}
	for _, c := range a.topics {
		level := c.Level
		m := r.whole()
		if level < Emergency && r.lex.second != nil && !r.q.Scripted && r.near(bit(markSettled)|bit(markOver)|bit(markCleared), &m, 0) && !r.near(bit(markStill)|bit(markWorse)|bit(markNow), &m, 0) {
			r.hints = append(r.hints, c.ID) // "Had one in February, it was scanned and is a cyst"
			r.affirmed(c.ID, None, "over or seen, as the answer says: "+c.ID)
			continue
		}
		if level == Urgent && r.kinds&bit(markBetter) != 0 && r.near(bit(markBetter), &m, 0) {
			level = Soon
		}
		if sev := r.severity(&m); sev >= 8 {
			level = max(level, c.Severe)
		}
		r.suggested(c.ID, level, "the answer says so: "+c.ID)
	}
}

// whole is a match of the whole first sentence.
func (r *reader) whole() match {
	_, to := r.sentence(0)
	return match{start: 0, end: to}
}

// unsure adds what she is not sure of.
func (r *reader) unsure(a *asked) {
	if len(a.topics) == 0 {
		r.suggested("not_understood", Routine, "not sure")
		return
	}
	for _, c := range a.topics {
		level := c.Level
		switch {
		case level == Emergency && r.opensWith(r.lex.words.maybe):
		case level == Emergency:
			level = Urgent
		default:
			level = min(max(level, Routine), Soon)
		}
		r.affirmed(c.ID, level, "not sure about what was asked: "+c.ID)
	}
}

// course reads how what was asked about goes: "worse", "same", "gone", "severe",
// where the answer neither says yes nor no.
func (r *reader) course(a *asked, good bool) {
	if len(a.topics) == 0 || a.practical {
		return
	}
	// What she says of something else says nothing of the topic.
	for _, f := range r.out.Findings {
		if f.Polarity == "said" && f.Level >= Soon && !r.lex.concepts[f.Concept].Vague {
			return
		}
	}
	m := r.whole()
	has := func(kinds uint64) bool { return r.near(kinds, &m, 0) }
	worse, better, same := has(bit(markWorse)), has(bit(markBetter)), has(bit(markSame)|bit(markStill))
	settled := has(bit(markSettled)|bit(markOver)) && !has(bit(markStill))
	severe := r.severity(&m) >= 8
	denies := r.opensWith(r.lex.words.none) || r.opensWith(r.lex.words.no) || r.opensWith(r.lex.words.fine) || r.said("all_clear")
	for _, c := range a.topics {
		level := c.Level
		switch {
		case c.Level < Soon:
			continue
		case worse || severe && !good:
			if severe {
				level = max(level, c.Severe)
			}
			if worse && c.Severe > level && c.Level >= Soon && r.worseCounts(c) {
				level = c.Severe
			}
		case settled:
			continue
		case good, denies && !r.opensWith(r.lex.words.some):
			continue
		case better:
			level = min(level, Soon)
		case same && !r.expected():
			level = min(level, Urgent)
		case r.opensWith(r.lex.words.some):
			level = min(level, Urgent)
		case a.open && r.lex.second != nil && !r.q.Scripted:
			r.hints = append(r.hints, c.ID) // "Like the dead, in the nice sense"
			continue
		case a.presumes && !denies && !r.harmlessNumber():
			level = min(level, Urgent)
		default:
			continue
		}
		r.affirmed(c.ID, level, "the answer about "+c.ID+" says so")
	}
}

// worseCounts says whether getting worse alone makes a concept severe.
func (r *reader) worseCounts(c *Concept) bool { return c.WorseIsSevere }

// expected says whether she calls it her normal.
func (r *reader) expected() bool {
	return r.kinds&bit(markSame) != 0 && r.kinds&bit(markStill) == 0
}

// harmlessNumber says whether the answer is the number nought.
func (r *reader) harmlessNumber() bool {
	return len(r.tokens) > 0 && r.tokens[0].isNumber && r.tokens[0].number == 0
}

// said says whether a concept was found and not denied.
func (r *reader) said(id string) bool {
	return slices.ContainsFunc(r.out.Findings, func(f Finding) bool { return f.Concept == id && f.Polarity == "said" })
}

// choice reads which options she chose, and what they say behind the question.
func (r *reader) choice(a *asked) {
	options := r.q.Options
	stem, parsed := splitOptions(r.q.Prompt)
	if len(options) == 0 {
		options = parsed
	} else if question, _, ok := strings.Cut(r.q.Prompt, "?"); ok && len(parsed) == 0 {
		stem = question
	}
	chosen := r.chosen(options)
	if len(chosen) == 0 {
		if len(options) == 0 || r.says(1) {
			bare := r.yesNo()
			if bare.Kind != NoAnswer && !bare.More && len(options) == 0 {
				r.out.Answer = bare
			}
			if len(options) == 0 {
				r.out.Answer = Answer{Kind: FreeText, More: true}
				r.affirm(a, Answer{Kind: bare.Kind, More: true})
				r.course(a, false)
			}
		}
		return
	}
	first := options[chosen[0]]
	r.out.Answer = Answer{Kind: Chosen, Option: first.Key, More: r.says(2)}
	for _, k := range chosen {
		r.option(a, stem, options[k].Label)
		label, _ := r.lex.tokenise(options[k].Label)
		r.picked = append(r.picked, label...)
	}
}

// chosen gives the places of the options that she names: by letter or number,
// several if she names several, else by the words that only one has.
func (r *reader) chosen(options []Option) []int {
	if len(options) == 0 || len(r.tokens) == 0 {
		return nil
	}
	key := func(i int) int {
		t := &r.tokens[i]
		word := t.word
		if t.end-t.start == 1 { // "d" is no "the" here
			if word = strings.ToLower(r.text[t.start:t.end]); r.article(i, word) {
				return -1
			}
		}
		for k, o := range options {
			if word == strings.ToLower(o.Key) || t.isNumber && !t.decimal && t.number == float64(k+1) && (len(o.Key) > 1 || o.Key[0] <= '9') || len(word) == 1 && word[0] == byte('a'+k) && len(o.Key) <= 1 && o.Key >= "a" {
				return k
			}
			if len(o.Key) > 1 && len(word) == 1 && word[0] == byte('a'+k) && len(r.tokens) == 1 {
				return k
			}
		}
		return -1
	}
	var out []int
	corrected := false
	for i := 0; i < len(r.tokens) && i < 12; i++ {
		if r.phraseAt(i, r.lex.words.correct) > 0 {
			corrected = true
			continue
		}
		k := key(i)
		switch {
		case k >= 0 && i > 0 && (r.tokens[i-1].word == "was" || r.tokens[i-1].word == "a"):
			continue
		case k >= 0 && i > 0 && len(out) == 0 && !r.onlySmallBefore(i):
			continue
		case k >= 0 && i+1 < len(r.tokens) && dayUnits[r.tokens[i+1].word] > 0:
			continue
		case k >= 0 && corrected:
			out, corrected = []int{k}, false
		case k >= 0 && !slices.Contains(out, k):
			if len(out) > 0 && len(r.tokens[i].word) == 1 && r.tokens[i].word[0] >= 'a' && !(r.tokens[i-1].word == "and" || r.tokens[i].comma || r.tokens[i-1].word == "or" || key(i-1) >= 0 || r.tokens[i].clause != r.tokens[i-1].clause && i+1 == len(r.tokens)) {
				continue
			}
			out = append(out, k)
		}
		if len(out) > 0 && k < 0 && !(r.tokens[i].word == "and" || r.tokens[i].word == "or" || r.tokens[i].word == "going" || r.tokens[i].word == "on" || r.tokens[i].word == "to") && i > 3 {
			break
		}
	}
	if len(out) > 0 {
		return out
	}
	best, bestScore, tie := -1, 0, false
	for i, o := range options {
		score := 0
		label, _ := r.lex.tokenise(o.Label)
		for _, t := range label {
			if t.light && t.word != "no" {
				continue
			}
			for k := range r.tokens {
				if r.tokens[k].word == t.word {
					score += 2
					break
				}
			}
		}
		if score > 0 && len(label) <= 2 {
			score++
		}
		switch {
		case score > bestScore:
			best, bestScore, tie = i, score, false
		case score == bestScore && score > 0:
			tie = true
		}
	}
	if best < 0 || tie {
		return nil
	}
	return []int{best}
}

// behindLetter are words that may stand behind the letter of an option and say nothing of
// a thing: "A I think", "D most days". Behind an article stand others: "a bit", "a dull ache".
var behindLetter = wordSet("i im ive id my me it its is was the and or but as so if please pls thanks thank ta love nurse sorry x xx xxx yes no not " +
	"definitely probably mostly usually always sometimes often really still again now today then since because for with at on in most all some getting feel feeling going maybe actually")

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// article says whether a letter is an article, and names no option: "a bit worse", and "d
// pain" for "the pain".
func (r *reader) article(i int, letter string) bool {
	if letter != "a" && letter != "d" || i+1 == len(r.tokens) {
		return false
	}
	next := &r.tokens[i+1]
	return next.clause == r.tokens[i].clause && !next.comma && !behindLetter[next.word] && !next.isNumber && next.end-next.start > 1 && r.phraseAt(i+1, r.lex.words.filler) == 0
}

// onlySmallBefore says whether nothing of weight stands before token i.
func (r *reader) onlySmallBefore(i int) bool {
	for k := range i {
		if !r.tokens[k].light && r.phraseAt(k, r.lex.words.filler) == 0 && r.phraseAt(k, r.lex.words.correct) == 0 {
			return false
		}
	}
	return true
}

// option reads the words of an option behind the question's own, as if she had
// written them.
func (r *reader) option(a *asked, stem, label string) {
	inner := &reader{lex: r.lex, text: label, p: r.p, q: &Question{Prompt: strings.TrimSpace(stem), Kind: Text}}
	inner.tokens, _ = r.lex.tokenise(label)
	if len(inner.tokens) == 0 {
		return
	}
	inner.understand()
	top := *a
	inner.across(&top)
	bare := inner.yesNo()
	inner.affirm(&top, bare)
	inner.giveWay()
	found := false
	for _, f := range inner.out.Findings {
		if f.Polarity == "said" && f.Level > None {
			r.affirmed(f.Concept, f.Level, "chose: "+label)
			found = true
		}
	}
	if found || inner.said("all_clear") || inner.said("tablets_taken") || inner.kinds&(bit(markBetter)|bit(markSettled)|bit(markSame)|bit(markNegation)) != 0 || bare.Kind == SaidNo || bare.Kind == SaidYes || a.practical {
		return
	}
	if len(a.topics) > 0 && inner.phraseAt(0, r.lex.words.scaleBad) > 0 {
		for _, c := range a.topics {
			r.affirmed(c.ID, min(c.Level, Urgent), "chose: "+label)
		}
		return
	}
	if inner.phraseAt(0, r.lex.words.scaleGood) == 0 {
		r.affirmed("not_understood", Routine, "chose: "+label)
	}
}
