package triage

import (
	"fmt"
	"slices"
	"strings"
)

// reader is one reading under way.
type reader struct {
	lex          *Lexicon
	text         string
	tokens       []token
	mask         []uint64 // by token: the kinds of context on it
	kinds        uint64   // all kinds in the message
	scope        []bool   // by token: a negation reaches it
	symptom      []bool   // by token: it belongs to a symptom that is named
	matches      []match
	spans        []span // the words and phrases of the lexicon
	q            *Question
	asked        asked // what the question is about
	p            *Profile
	history      []Past
	hints        []string // concepts of which there is a hint, which counts only for the second reader
	doubts       []doubt  // what each hint in her own words is worth, if the second reader agrees
	guesses      []string // concepts of what the rules make of an answer to a question that no flow asks
	combined     Level    // what combinations and history came to
	onlyCourtesy bool     // it holds nothing but greetings and kisses
	signOff      int      // how many words at its end sign it off, like "thanks x"
	height       int      // where her score lies on its scale, see heights; 0: none
	badness      int      // her score, 1 more than on a scale from 0 to 10, 10 the worst; 0: none
	picked       []token  // the words of the options that she chose
	prompt       bool     // it is a question that is read, not her words
	spared       Level    // what a finding was worth that is known and expected
	cutOff       bool     // the message was longer than is read
	out          Reading
}

// Read reads a message. question is nil when it answers none. The levels, and
// what raises them, are the lexicon's.
func Read(lex *Lexicon, message string, question *Question, profile Profile, history []Past) Reading {
	r := &reader{lex: lex, text: message, q: question, p: &profile, history: history}
	r.out.Lexicon = lex.digest
	r.tokens, r.cutOff = lex.tokenise(message)
	r.rules()
	r.level()
	return r.out
}

// rules finds what the lexicon knows, in its context, and what follows from it.
func (r *reader) rules() {
	r.command()
	r.understand()
	r.answer()
	r.giveWay()
	r.combine()
	r.persist()
	r.combined = r.out.Level
}

// understand finds the wordings and puts each into its context.
func (r *reader) understand() {
	found, spans, cut := r.lex.find(r.tokens)
	r.spans = spans
	r.cutOff = r.cutOff || cut
	r.settle(found)
	r.symptom = make([]bool, len(r.tokens)+1)
	for i := range r.matches {
		m := &r.matches[i]
		if m.pattern.concept.Level < Soon {
			continue
		}
		for k := m.start; k < m.end; k++ {
			r.symptom[k] = r.symptom[k] || m.uses(k)
		}
	}
	r.scopes()
	r.onlyCourtesy = true
	for i := range r.tokens {
		r.onlyCourtesy = r.onlyCourtesy && r.marked(i, bit(markCourtesy))
	}
	r.signOff = r.signOffWords()
	for i := range r.matches {
		r.finding(&r.matches[i])
	}
}

// signOffWords counts the words of "thanks" and of kisses at the end; none, where there
// are no others before them.
func (r *reader) signOffWords() int {
	end := len(r.tokens)
	for at := end - 1; at >= 0 && at >= end-longestSignOff; at-- {
		if r.marked(at, bit(markCourtesy)) && at == end-1 || at+r.phraseAt(at, r.lex.words.signOff) == end {
			end = at
		}
	}
	if end == 0 {
		return 0
	}
	return len(r.tokens) - end
}

// longestSignOff is how many words a phrase of it has at most.
const longestSignOff = 4

// command finds the command word that the whole message is.
func (r *reader) command() {
	n := len(r.tokens)
	for n > 1 && (r.tokens[n-1].word == "please" || r.tokens[n-1].word == "thanks" || r.tokens[n-1].word == "x") {
		n--
	}
	from := 0
	for from < n-1 && (r.tokens[from].word == "please" || r.tokens[from].word == "hi" || r.tokens[from].word == "hello") {
		from++
	}
	if n-from < 1 || n-from > 7 || r.tokens[n-1].question {
		return
	}
	words := make([]string, 0, 7)
	for i := from; i < n; i++ {
		words = append(words, r.tokens[i].word)
	}
	r.out.Command = r.lex.commands[strings.Join(words, " ")]
}

// place gives the bytes of the message that tokens stand on.
func (r *reader) place(start, end int) (int, int) {
	from, to := r.tokens[start].start, r.tokens[end-1].end
	for i := start; i < end; i++ { // a rewriting may have changed their order
		from, to = min(from, r.tokens[i].start), max(to, r.tokens[i].end)
	}
	return from, to
}

// finding puts a match into its context.
func (r *reader) finding(m *match) {
	c := m.pattern.concept
	f := Finding{Concept: c.ID, Polarity: "said", Time: "now", Experiencer: "her", Level: c.Level, Rule: c.ID + ": " + m.pattern.text}
	f.Start, f.End = r.place(m.start, m.end)
	f.Text = r.text[f.Start:f.End]
	if c.Level >= Soon {
		r.context(m, c, &f)
	}
	if m.pattern.hint && r.lex.second != nil && !(c.Level == Routine && r.asks()) {
		if f.Level > None {
			r.hints = append(r.hints, c.ID)
			r.doubts = append(r.doubts, doubt{c.ID, f.Level})
		}
		f.Level = None
	}
	r.add(f)
}

// doubt is a hint, and what it is worth if the second reader agrees.
type doubt struct {
	concept string
	level   Level
}

// hinted gives what a finding is worth as a hint; None: it is none.
func (r *reader) hinted(f *Finding) Level {
	level := None
	for _, d := range r.doubts {
		if f.Polarity == "said" && d.concept == f.Concept {
			level = max(level, d.level)
		}
	}
	return level
}

// context sets what is said about a finding, and what that makes of its level.
func (r *reader) context(m *match, c *Concept, f *Finding) {
	if r.denied(m) {
		f.Polarity, f.Level, f.Rule = "denied", None, "denied"
		return
	}
	still := r.near(bit(markStill), m, 12)
	past := r.near(bit(markPast), m, 10)
	switch {
	case still && past:
		f.Time = "recurring"
	case !still && r.over(m):
		f.Time = "past"
	case past && !still && !r.near(bit(markNow)|bit(markWorse), m, 10):
		f.Time = "past"
	}
	if f.Time == "now" && (r.before(bit(markIf), m, 10) || r.before(bit(markQuoted), m, 12)) {
		f.Time = "hypothetical"
	}
	f.Experiencer = r.experiencer(m)
	if r.near(bit(markUnsure), m, 5) {
		f.Certainty = "unsure"
	}
	switch {
	case r.near(bit(markWorse), m, 8):
		f.Trend = "worse"
	case r.near(bit(markBetter), m, 8):
		f.Trend = "better"
	case r.near(bit(markSame), m, 14):
		f.Trend = "same"
	}
	f.Severity = r.severity(m)
	f.Days = r.days(m)
	f.Side = r.side(m)
	r.levelOf(m, c, f)
}

// levelOf sets a finding's level from its concept and its context.
func (r *reader) levelOf(m *match, c *Concept, f *Finding) {
	level := c.Level
	if f.Severity >= 8 && c.Severe > level {
		level, f.Rule = c.Severe, c.ID+": called severe"
	}
	switch {
	case f.Experiencer == "other" && (level < Emergency || f.Time != "now"):
		level, f.Rule = r.others(level)
	case f.Time == "past":
		if level == Emergency && c.Lasting && !r.near(bit(markPast), m, 14) {
			f.Rule = c.ID + ": it counts though it has passed"
			break
		}
		level, f.Rule = None, "over and settled, as she says"
	case f.Time == "hypothetical":
		level, f.Rule = min(level, Routine), "asked about, not told of"
	case r.kinds&bit(markCleared) != 0 && level < Emergency && f.Trend != "worse" && r.cleared(m):
		level, f.Rule = None, "seen and cleared, as she says"
	case f.Trend == "same" && f.Severity < 8 && r.old(m):
		if level == Emergency {
			level, f.Rule = Routine, c.ID+": old and unchanged, as she says; a person reads it"
		} else {
			level, f.Rule = None, "expected and unchanged, as she says"
		}
	case f.Trend == "better" && level == Urgent && c.Level == Urgent:
		level, f.Rule = Soon, c.ID+": easing"
	}
	f.Level = level
}

// others gives the level of somebody else's symptom that is no emergency now (one
// that is counts, whoever it is: clinical digest DN3): help for them is asked of
// the nurse, or it is told in passing.
func (r *reader) others(level Level) (Level, string) {
	if r.asks() {
		return min(level, Routine), "somebody else's, and she asks about it"
	}
	return None, "somebody else's"
}

// cleared says whether a match was looked at and found harmless: the mark stands
// in its sentence or one of the next two, and nothing says that it is there again.
func (r *reader) cleared(m *match) bool {
	sentence := r.tokens[m.start].clause
	for i := range r.tokens {
		d := r.tokens[i].clause - sentence
		if r.marked(i, bit(markCleared)) && d >= -1 && d <= 2 && !r.plainlyDenied(i) {
			for k := i; k < len(r.tokens); k++ {
				if r.marked(k, bit(markStill)|bit(markWorse)|bit(markBreak)) && !r.plainlyDenied(k) {
					return false
				}
			}
			return true
		}
	}
	return false
}

// old says whether a match is told as unchanged: nothing near it is new or worse.
func (r *reader) old(m *match) bool {
	return !r.near(bit(markWorse)|bit(markSudden), m, 12)
}

// asks says whether the message asks anything.
func (r *reader) asks() bool {
	if r.kinds&bit(markAsk) != 0 {
		return true
	}
	for i := range r.tokens {
		if r.tokens[i].question {
			return true
		}
	}
	return false
}

// add keeps a finding, one a concept and polarity: the more urgent, then the longer.
func (r *reader) add(f Finding) {
	for i := range r.out.Findings {
		have := &r.out.Findings[i]
		if have.Concept != f.Concept || have.Polarity != f.Polarity {
			continue
		}
		if f.Level > have.Level || (f.Level == have.Level && f.End-f.Start > have.End-have.Start) {
			*have = f
		}
		return
	}
	if r.out.Findings == nil {
		r.out.Findings = make([]Finding, 0, 6)
	}
	r.out.Findings = append(r.out.Findings, f)
}

// giveWay takes out what is vague where she has also named something definite,
// which takes over its level: "my back is agony" is one concern, not two.
func (r *reader) giveWay() {
	top := -1
	for i, f := range r.out.Findings {
		if c := r.lex.concepts[f.Concept]; f.Polarity == "said" && f.Level >= Soon && !c.Vague && (top < 0 || f.Level > r.out.Findings[top].Level) {
			top = i
		}
	}
	if top < 0 {
		return
	}
	for _, f := range r.out.Findings {
		if r.lex.concepts[f.Concept].Vague && f.Polarity == "said" && f.Level > r.out.Findings[top].Level {
			r.out.Findings[top].Level, r.out.Findings[top].Rule = f.Level, f.Rule
		}
	}
	r.out.Findings = slices.DeleteFunc(r.out.Findings, func(f Finding) bool {
		return r.lex.concepts[f.Concept].Vague && f.Polarity == "said"
	})
}

// level takes the highest level, and where nothing was understood, the floor.
func (r *reader) level() {
	for i := range r.out.Findings {
		r.out.Level = max(r.out.Level, r.out.Findings[i].Level)
	}
	r.out.Understood = true
	harmless := r.secondReading()
	top := -1
	for i := range r.out.Findings {
		if top < 0 || r.out.Findings[i].Level > r.out.Findings[top].Level {
			top = i
		}
	}
	if r.out.Level == None && !r.harmless() {
		if !harmless {
			r.floor()
			return
		}
		r.out.Rules = append(r.out.Rules, "second reader: harmless")
		r.out.Why = "It reads like what is harmless, by a comparison with labelled messages."
	}
	if r.out.Why == "" {
		r.out.Why = r.sentenceFor(top)
	}
	if top >= 0 && !slices.Contains(r.out.Rules, r.out.Findings[top].Rule) {
		r.out.Rules = append(r.out.Rules, r.out.Findings[top].Rule)
	}
	for i := range r.tokens {
		if t := &r.tokens[i]; t.read != "" && t.unit != nil && len(r.out.Rules) < 12 {
			r.out.Rules = append(r.out.Rules, fmt.Sprintf("read “%s” as “%s”", r.text[t.start:t.end], t.read))
		}
	}
}

// sentenceFor says for the nurse why the level is what it is.
func (r *reader) sentenceFor(top int) string {
	if top < 0 {
		switch {
		case r.out.Command != "":
			return "She sent the command word " + strings.ToUpper(r.out.Command) + "."
		case r.out.Answer.Kind != NoAnswer && r.out.Answer.Kind != FreeText:
			return "A plain answer to the question, with nothing that needs a nurse."
		}
		return "Everyday words, with nothing about her health or for the nurse."
	}
	f := r.out.Findings[top]
	name := f.Concept
	if c := r.lex.concepts[f.Concept]; c != nil {
		name = c.Name
	}
	words := ""
	if f.Text != "" {
		words = fmt.Sprintf("“%s”: ", shorten(f.Text))
	}
	switch {
	case f.Polarity == "denied":
		return words + "she says that she does not have it (" + name + ")."
	case f.Level == None && f.Time == "past":
		return words + name + ", over and settled as she says."
	case f.Level == None && f.Experiencer == "other":
		return words + name + ", somebody else's."
	}
	return words + name + " (" + f.Level.String() + ")."
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return s
}

// harmless says whether a message in which nothing raised a level was
// understood, and understood as harmless.
func (r *reader) harmless() bool {
	switch {
	case r.cutOff:
		return false
	case r.out.Command != "":
		return true
	case len(r.tokens) == 0:
		return false
	}
	if r.q == nil && len(r.hints) > 0 {
		return false // "not feeling right" answers nobody, whatever it begins with
	}
	if a := r.out.Answer.Kind; a != NoAnswer && a != FreeText && a != Unsure && !r.out.Answer.More {
		return true
	}
	if bare := r.yesNo(); r.q != nil && r.q.Kind == Text && bare.Kind == SaidNo && !bare.More && r.yesNoForm(&r.asked) {
		return true // "no" to "Is there anything else?"
	}
	if len(r.hints) > 0 {
		return false // a hint of something is no sign that all is well
	}
	// Something of the lexicon must say that all is well …
	shown := r.out.Answer.Kind == Value || r.out.Answer.Kind == SaidNo
	for _, f := range r.out.Findings {
		shown = shown || !r.lex.concepts[f.Concept].Weak
	}
	// … and little may be left that nothing of the lexicon explains.
	covered := make([]bool, len(r.tokens))
	for i := range r.matches {
		m := &r.matches[i]
		for k := m.start; k < m.end; k++ {
			covered[k] = true
		}
	}
	left := 0
	for i := range r.tokens {
		t := &r.tokens[i]
		if !covered[i] && r.mask[i] == 0 && !t.light && len(t.word) > 1 && !t.isNumber {
			left++
		}
	}
	return shown && left <= 1+len(r.tokens)/12
}

// floor is what happens to words that nobody has understood: a person reads them.
func (r *reader) floor() {
	r.out.Understood = false
	r.out.Level, r.out.Why = Routine, "It could not be understood by machine; a person has to read it."
	r.out.Rules = append(r.out.Rules, "floor: not understood")
	words := 0
	for i := range r.tokens {
		if len(r.tokens[i].word) > 1 {
			words++
		}
	}
	if words > 14 || len(r.out.Findings) > 0 {
		return
	}
	flags := r.lex.words.redFlags
	for i := range r.tokens {
		if u := r.tokens[i].unit; u != nil && flags != nil && u.fits(flags) {
			r.out.Level = Urgent
			r.out.Why = fmt.Sprintf("It could not be understood by machine, and holds the word “%s”; a person has to read it today.", r.text[r.tokens[i].start:r.tokens[i].end])
			r.out.Rules = append(r.out.Rules, "floor: red-flag word")
			return
		}
	}
}
