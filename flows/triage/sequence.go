package triage

// sequence is a message as the second reader's filters run over it: the words of
// the question, if any, a stop, and her words in their order with the stops
// between them. Each word carries signs of what the rules saw on it: the classes of
// the lexicon that it is in, the concepts whose wordings stand on it, the context.
type sequence struct {
	words  []uint32 // hashes
	signs  []uint32 // hashes, those of word i in signs[ends[i-1]:ends[i]]
	ends   []int32
	tokens []int32 // where the word stands among the message's tokens; -1: nowhere
}

// maxSequence bounds a sequence, in words; what is behind is left to the rules.
const maxSequence = 400

// maxPrompt bounds what of a question is looked at, in words.
const maxPrompt = 60

var (
	signDenied  = signHash("denied")
	signUnknown = signHash("unknown")
	signAsked   = signHash("asked")
	signPicked  = signHash("picked")
	signOf      [markKinds]uint32

	stopSentence = wordHash("#.")
	stopQuestion = wordHash("#?")
	stopComma    = wordHash("#,")
	stopAsked    = wordHash("#asked")
)

func init() {
	for name, kind := range markNames {
		signOf[kind] = signHash(name)
	}
}

// signHash is the hash of a sign. A class of the lexicon is "@legs", a concept "!cough".
func signHash(name string) uint32 { return mix(hashOf('s', name)) }

func (s *sequence) add(word uint32, token int) {
	s.words = append(s.words, word)
	s.tokens = append(s.tokens, int32(token))
	s.ends = append(s.ends, int32(len(s.signs)))
}

// of gives the signs of word i.
func (s *sequence) of(i int) []uint32 {
	from := int32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.signs[from:s.ends[i]]
}

// sequence fills s with the message that the rules have read.
func (r *reader) sequence(s *sequence) {
	s.words, s.signs, s.ends, s.tokens = s.words[:0], s.signs[:0], s.ends[:0], s.tokens[:0]
	if r.q != nil {
		answered, from := r.answerSign(), int32(0)
		for i := range r.asked.prompt {
			s.signs = append(s.signs, signAsked, answered)
			s.signs = append(s.signs, r.asked.signs[from:r.asked.signEnds[i]]...)
			from = r.asked.signEnds[i]
			s.add(r.asked.prompt[i], -1)
		}
		s.add(stopAsked, -1)
	}
	nextSpan, hers := 0, false // hers: a word of hers stands already
	for i := range r.tokens {
		if len(s.words) >= maxSequence {
			return
		}
		t := &r.tokens[i]
		if r.courtesy(i) {
			continue
		}
		switch {
		case !hers:
		case r.tokens[i-1].clause != t.clause && r.tokens[i-1].question:
			s.add(stopQuestion, -1)
		case r.tokens[i-1].clause != t.clause:
			s.add(stopSentence, -1)
		case t.comma:
			s.add(stopComma, -1)
		}
		hers = true
		r.signsOn(i, s, &nextSpan)
		s.add(wordHash(t.meant()), i)
	}
	if n := len(r.tokens); n > 0 && r.tokens[n-1].question {
		s.add(stopQuestion, -1)
	}
	for i := range r.picked {
		if len(s.words) >= maxSequence {
			return
		}
		s.signs = append(s.signs, signPicked)
		for _, c := range r.picked[i].classes() {
			s.signs = append(s.signs, r.lex.classSigns[c])
		}
		s.add(wordHash(r.picked[i].meant()), -1)
	}
}

// answerSign is the sign of how she answers, which stands on every word of the question:
// "no" says one thing to a question about pain, and another to one about sleep. A number
// counts by where it lies on its scale, whichever end of that is the bad one.
func (r *reader) answerSign() uint32 {
	kind := r.out.Answer.Kind
	if kind == NoAnswer || kind == FreeText {
		kind = r.yesNo().Kind
	}
	if kind == Value && r.height > 0 {
		return mix(hashInto(hashOf('s', "answered "), heights[r.height]))
	}
	return mix(hashInto(hashOf('s', "answered "), string(kind)))
}

// heights name the quarters of a scale, the middle two as one.
var heights = [...]string{1: "low", 2: "middle", 3: "high"}

// courtesy says whether token i says nothing, like a greeting, a kiss or the thanks at the
// end, so that the second reader passes over it. In a message of nothing else it counts.
func (r *reader) courtesy(i int) bool {
	return i >= len(r.tokens)-r.signOff || r.marked(i, bit(markCourtesy)) && !r.onlyCourtesy
}

// longestSpan is how many words behind its first a phrase's classes count on.
const longestSpan = 6

// signsOn appends the signs on token i. from is the first span that may reach it.
func (r *reader) signsOn(i int, s *sequence, from *int) {
	begin := len(s.signs)
	put := func(h uint32) {
		for _, have := range s.signs[begin:] {
			if have == h {
				return
			}
		}
		s.signs = append(s.signs, h)
	}
	if r.scope[i] {
		put(signDenied)
	}
	if !r.tokens[i].known {
		put(signUnknown)
	}
	for k, rest := markKind(0), r.mask[i]; rest != 0; k, rest = k+1, rest>>1 {
		if rest&1 != 0 {
			put(signOf[k])
		}
	}
	for k := range r.matches {
		if r.matches[k].uses(i) {
			put(r.matches[k].pattern.concept.sign)
		}
	}
	for *from < len(r.spans) && int(r.spans[*from].at) < i-longestSpan {
		*from++
	}
	for k := *from; k < len(r.spans) && int(r.spans[k].at) <= i; k++ {
		if sp := &r.spans[k]; i < int(sp.at+sp.len) {
			for _, c := range sp.unit.classes {
				put(r.lex.classSigns[c])
			}
		}
	}
}

// classes gives the classes that a word is in by itself.
func (t *token) classes() []uint16 {
	if t.unit == nil {
		return nil
	}
	return t.unit.classes
}
