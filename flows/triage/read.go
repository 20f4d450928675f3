package triage

import (
	"fmt"
	"slices"
	"strings"
)

// maxTokens bounds how much of a message is read for concepts. A message that is
// longer is never harmless: what was not read goes to a person.
const maxTokens = 1200

// match is a wording found in a message, by tokens.
type match struct {
	pattern    *pattern
	start, end int
	used       [4]uint64 // bit i: the token start+i is one that the wording stands on
}

func (m *match) uses(i int) bool {
	i -= m.start
	return i >= 0 && i < 256 && m.used[i/64]&(1<<(i%64)) != 0
}

func (m *match) use(i int) {
	if i -= m.start; i >= 0 && i < 256 {
		m.used[i/64] |= 1 << (i % 64)
	}
}

// reader is one reading under way.
type reader struct {
	lex     *Lexicon
	text    string
	tokens  []token
	marks   []mark
	has     [markKinds]bool
	matches []match
	q       *Question
	p       *Profile
	history []Past
	cutOff  bool // the message was longer than is read
	out     Reading
}

// Read reads a message. question is nil when it answers none. The levels, and
// what raises them, are the lexicon's.
func Read(lex *Lexicon, message string, question *Question, profile Profile, history []Past) Reading {
	r := &reader{lex: lex, text: message, q: question, p: &profile, history: history}
	r.out.Lexicon = lex.digest
	r.tokens = tokenise(message)
	if len(r.tokens) > maxTokens {
		r.tokens, r.cutOff = r.tokens[:maxTokens], true
	}
	for i := range r.tokens {
		lex.see(&r.tokens[i])
	}
	r.marks = lex.context.marks(r.tokens)
	for _, k := range r.marks {
		r.has[k.kind] = true
	}
	r.command()
	r.matches = lex.find(r.tokens)
	r.findings()
	r.answer()
	r.giveWay()
	r.combine()
	r.level()
	return r.out
}

// command finds the command word that the whole message is.
func (r *reader) command() {
	if len(r.tokens) == 0 || len(r.tokens) > 6 {
		return
	}
	words := make([]string, len(r.tokens))
	for i := range r.tokens {
		words[i] = r.tokens[i].text
	}
	for len(words) > 1 && (words[len(words)-1] == "please" || words[len(words)-1] == "thanks") {
		words = words[:len(words)-1]
	}
	r.out.Command = r.lex.commands[strings.Join(words, " ")]
}

// find gives every wording in the tokens. Of several places of one concept the
// longest that overlap count once.
func (l *Lexicon) find(tokens []token) []match {
	var out []match
	for i := range tokens {
		for _, s := range tokens[i].syms {
			for _, id := range l.starts[s] {
				p := &l.patterns[id]
				m := match{pattern: p, start: i}
				if m.end = p.fit(tokens, i, 0, &m); m.end > 0 {
					out = append(out, m)
				}
			}
		}
	}
	return out
}

// fit tries a wording's parts from the nth on at token i, and gives the end of
// what fits, or 0.
func (p *pattern) fit(tokens []token, i, n int, m *match) int {
	if n == len(p.parts) {
		return i
	}
	x := &p.parts[n]
	clause := tokens[m.start].clause
	for skip := 0; skip <= x.gap && i+skip < len(tokens); skip++ {
		at := i + skip
		if tokens[at].clause != clause {
			break
		}
		for _, run := range x.alternatives {
			if end := runFits(tokens, at, run); end > 0 {
				if last := p.fit(tokens, end, n+1, m); last > 0 {
					for k := at; k < end; k++ {
						m.use(k)
					}
					return last
				}
			}
		}
	}
	if x.optional {
		return p.fit(tokens, i, n+1, m)
	}
	return 0
}

// runFits says where a run of words ends that stands at token i, or 0.
func runFits(tokens []token, i int, run []sym) int {
	if i+len(run) > len(tokens) {
		return 0
	}
	for k, s := range run {
		if !slices.Contains(tokens[i+k].syms, s) {
			return 0
		}
		if k > 0 && tokens[i+k].clause != tokens[i].clause {
			return 0
		}
	}
	return i + len(run)
}

// findings puts each match into its context.
func (r *reader) findings() {
	r.hideIdioms()
	for i := range r.matches {
		m := &r.matches[i]
		if m.pattern == nil {
			continue
		}
		c := r.lex.concepts[m.pattern.concept]
		f := Finding{
			Concept: c.ID, Start: r.tokens[m.start].start, End: r.tokens[m.end-1].end,
			Polarity: "said", Time: "now", Experiencer: "her", Level: c.Level,
			Rule: c.ID + ": " + m.pattern.text,
		}
		f.Text = r.text[f.Start:f.End]
		if c.Level > None {
			r.context(m, c, &f)
		}
		r.add(f)
	}
}

// hideIdioms takes out what stands inside a figure of speech.
func (r *reader) hideIdioms() {
	for _, k := range r.marks {
		if k.kind != markIdiom {
			continue
		}
		for i := range r.matches {
			m := &r.matches[i]
			if m.pattern != nil && m.start < k.end && m.end > k.start && r.lex.concepts[m.pattern.concept].Level > None {
				m.pattern = nil
			}
		}
	}
	r.matches = slices.DeleteFunc(r.matches, func(m match) bool { return m.pattern == nil })
}

// context sets what is said about a finding, and what that makes of its level.
func (r *reader) context(m *match, c *Concept, f *Finding) {
	if r.denied(m) {
		f.Polarity, f.Level, f.Rule = "denied", None, "denied"
		return
	}
	still := r.near(markStill, m, 12)
	switch {
	case still && r.near(markPast, m, 12):
		f.Time = "recurring"
	case still:
	case r.near(markSettled, m, 12) || r.settledNext(m):
		f.Time = "past"
	case c.Level < Urgent && r.near(markPast, m, 8) && !r.near(markNow, m, 8) && !r.near(markWorse, m, 8):
		f.Time = "past"
	}
	if r.before(markIf, m, 6) && !still {
		f.Time = "hypothetical"
	}
	if r.before(markQuoted, m, 8) {
		f.Time = "hypothetical"
	}
	if r.before(markOther, m, 12) {
		f.Experiencer = "other"
	}
	if r.near(markUnsure, m, 5) {
		f.Certainty = "unsure"
	}
	switch {
	case r.near(markWorse, m, 8):
		f.Trend = "worse"
	case r.near(markBetter, m, 8):
		f.Trend = "better"
	case r.near(markSame, m, 8):
		f.Trend = "same"
	}
	switch {
	case r.near(markSevere, m, 6):
		f.Severity = 8
	case r.near(markMild, m, 3):
		f.Severity = 2
	}
	f.Days = r.days(m)
	f.Side = r.side(m)
	r.levelOf(c, f)
}

// settledNext says whether the clause behind a match says that all is well again.
func (r *reader) settledNext(m *match) bool {
	next := r.tokens[m.start].clause + 1
	for _, k := range r.marks {
		if k.kind == markSettled && r.tokens[k.start].clause == next {
			return true
		}
	}
	return false
}

// levelOf sets a finding's level from its concept and its context.
func (r *reader) levelOf(c *Concept, f *Finding) {
	level := c.Level
	if f.Severity >= 8 && c.Severe > level {
		level, f.Rule = c.Severe, c.ID+": called severe"
	}
	switch {
	case f.Time == "past":
		// What is over and settled is nothing now; a stroke that has passed is not settled.
		if level == Emergency && r.recent() {
			break
		}
		level, f.Rule = None, "over and settled"
	case f.Time == "hypothetical":
		level, f.Rule = min(level, Routine), "asked about, not told of"
	case f.Experiencer == "other":
		// A carer writes of her as often as of somebody else: danger counts.
		if level < Urgent {
			if r.anywhere(markAsk) || r.asks() {
				level, f.Rule = min(level, Routine), "somebody else's, and she asks about it"
			} else {
				level, f.Rule = None, "somebody else's"
			}
		}
	case f.Trend == "better" && level > Soon:
		level, f.Rule = level-1, c.ID+": easing"
		if c.Level == Emergency {
			level = Emergency
		}
	case c.New && level < Urgent && f.Trend == "same" && f.Severity < 8:
		level, f.Rule = None, "expected and unchanged, as she says"
	case r.has[markCleared] && level < Emergency && f.Trend != "worse" && !r.has[markStill]:
		level, f.Rule = None, "seen and cleared, as she says"
	}
	f.Level = level
}

// recent says whether the words name today or yesterday.
func (r *reader) recent() bool {
	for i := range r.tokens {
		switch r.tokens[i].text {
		case "today", "yesterday", "morning", "tonight", "hour", "hours", "minutes", "just", "earlier", "night", "lunch", "breakfast":
			return true
		}
	}
	return false
}

// asks says whether the message asks anything.
func (r *reader) asks() bool {
	return strings.Contains(r.text, "?")
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

var dayUnits = map[string]int{"day": 1, "days": 1, "week": 7, "weeks": 7, "fortnight": 7, "month": 30, "months": 30, "year": 365, "years": 365, "hours": 0, "hour": 0}

// days gives the duration that is stated in the clause of a match, in days.
func (r *reader) days(m *match) int {
	for i := range r.tokens {
		t := &r.tokens[i]
		unit, ok := dayUnits[t.text]
		if !ok || t.clause != r.tokens[m.start].clause {
			continue
		}
		n := 1.0
		for back := i - 1; back >= max(0, i-3); back-- {
			if r.tokens[back].isNumber {
				n = r.tokens[back].number
				break
			}
		}
		if i+1 < len(r.tokens) && r.tokens[i+1].text == "ago" && r.has[markPast] && !r.has[markNow] {
			continue
		}
		return min(int(n*float64(unit)), 36500)
	}
	return 0
}

func (r *reader) side(m *match) string {
	for i := max(0, m.start-3); i < min(len(r.tokens), m.end+3); i++ {
		switch r.tokens[i].text {
		case "left":
			return "left"
		case "right":
			if i == 0 || r.tokens[i-1].text != "not" && r.tokens[i-1].text != "all" {
				return "right"
			}
		case "both":
			return "both"
		}
	}
	return ""
}

// level takes the highest level, and where nothing was understood, the floor.
func (r *reader) level() {
	top := -1
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		if f.Level > r.out.Level {
			r.out.Level = f.Level
		}
		if top < 0 || f.Level > r.out.Findings[top].Level {
			top = i
		}
	}
	r.out.Understood = true
	if r.out.Level == None && !r.harmless() {
		r.floor()
		return
	}
	if r.out.Why == "" {
		r.out.Why = r.sentence(top)
	}
	if top >= 0 {
		r.out.Rules = append(r.out.Rules, r.out.Findings[top].Rule)
	}
}

// sentence says for the nurse why the level is what it is.
func (r *reader) sentence(top int) string {
	if top < 0 {
		switch {
		case r.out.Command != "":
			return "She sent the command word " + strings.ToUpper(r.out.Command) + "."
		case r.out.Answer.Kind != NoAnswer:
			return "A plain answer to the question, with nothing that needs a nurse."
		}
		return "Nothing in it needs a nurse."
	}
	f := r.out.Findings[top]
	c := r.lex.concepts[f.Concept]
	name := f.Concept
	if c != nil {
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
	}
	return words + name + " (" + f.Level.String() + ")."
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return s
}

// small are words that carry nothing by themselves: what is left when they and
// the understood words are taken away is what nobody has understood.
var small = func() map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(`a about after again all also am an and any anything are arent as at away be because been before being both but by can cant come could did didnt do does doesnt doing done dont down each even ever every few for from get gets getting go goes going good got had has hasnt have havent having he her here hers hi hello him his how i id if ill im in into is isnt it its ive just last let like little lot love made make many me more morning most much my no not now of off ok okay on once one only or other our out over own people please put quite rather really right said same say see she should since so some something soon still such take than thank thanks that thats the their them then there theres these they thing things think this those though through time to today too try two u under until up us very was wasnt we week weeks well were werent what when where which while who why will with wont would yes yet you your youre yours day days x xx xxx hope hi hey dear nurse doctor bit feel feeling fine back`) {
		out[w] = true
	}
	return out
}()

// harmless says whether everything that carries meaning was understood.
func (r *reader) harmless() bool {
	if r.cutOff {
		return false
	}
	if r.out.Command != "" {
		return true
	}
	covered := make([]bool, len(r.tokens))
	known := false
	for i := range r.matches {
		m := &r.matches[i]
		known = known || !r.lex.concepts[m.pattern.concept].Weak
		for k := m.start; k < m.end; k++ {
			covered[k] = true
		}
	}
	for _, k := range r.marks {
		for i := k.start; i < k.end; i++ {
			covered[i] = true
		}
	}
	if a := r.out.Answer.Kind; a != NoAnswer && a != FreeText && !r.out.Answer.More {
		return true
	}
	if r.out.Answer.Kind == SaidNo || r.out.Answer.Kind == Value {
		known = true
	}
	if !known {
		return false
	}
	left := 0
	for i := range r.tokens {
		if !covered[i] && !small[r.tokens[i].text] && !r.tokens[i].isNumber {
			left++
		}
	}
	return left <= 1+len(r.tokens)/12
}

// redFlags are the words that make a person read at once what nobody has understood.
var redFlags = map[string]bool{"breath": true, "breathe": true, "breathing": true, "chest": true, "blood": true, "bleeding": true, "fit": true, "numb": true, "999": true,
	"die": true, "dying": true, "ambulance": true, "collapsed": true, "paralysed": true, "suicide": true, "overdose": true, "help": true, "emergency": true}

// floor is what happens to words that nobody has understood: a person reads them.
func (r *reader) floor() {
	r.out.Understood = false
	r.out.Level, r.out.Why = Routine, "It could not be understood by machine; a person has to read it."
	r.out.Rules = append(r.out.Rules, "floor: not understood")
	words := 0
	for i := range r.tokens {
		if len(r.tokens[i].text) > 1 {
			words++
		}
	}
	for i := range r.tokens {
		if redFlags[r.tokens[i].text] && words <= 12 && len(r.out.Findings) == 0 {
			r.out.Level = Urgent
			r.out.Why = fmt.Sprintf("It could not be understood by machine, and holds the word “%s”; a person has to read it today.", r.text[r.tokens[i].start:r.tokens[i].end])
			r.out.Rules = append(r.out.Rules, "floor: red-flag word")
			return
		}
	}
}
