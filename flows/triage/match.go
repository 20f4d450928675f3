package triage

import "slices"

// span is a word or phrase of the lexicon in a message, by tokens.
type span struct {
	unit *unit
	at   int32
	len  int32
}

// match is a wording found in a message, by tokens.
type match struct {
	pattern    *pattern
	start, end int
	used       uint64 // bit i: the wording stands on token start+i
}

func (m *match) uses(i int) bool {
	i -= m.start
	return i >= 0 && i < 64 && m.used&(1<<i) != 0
}

// overlaps says whether two matches stand on a common token.
func (m *match) overlaps(o *match) bool {
	if o.start >= m.end || m.start >= o.end {
		return false
	}
	if d := o.start - m.start; d >= 0 && d < 64 {
		return m.used&(o.used<<d) != 0
	} else if d > -64 {
		return o.used&(m.used<<-d) != 0
	}
	return false
}

// maxReach is how many tokens one wording may span.
const maxReach = 60

// finder looks for wordings in a message.
type finder struct {
	lex    *Lexicon
	tokens []token
	spans  []span
	first  []int32  // first[i]: the first span at token i; one more for the end
	here   []uint64 // the parts that something in the message fits
	steps  int      // taken by fit
	cut    bool     // it took too many
}

// maxSteps bounds the work on one message, whose words may be chosen to fit as
// many wordings as they can. Real messages of 1,600 characters take a tenth.
const maxSteps = 60_000

// maxMatches bounds how many wordings are taken in, since each is then put into
// its context. Real messages hold fewer than 50.
const maxMatches = 256

// find gives every wording in the tokens, in their order, and whether it had to
// stop before the end.
func (l *Lexicon) find(tokens []token) (found []match, spans []span, cut bool) {
	f := finder{lex: l, tokens: tokens, spans: make([]span, 0, len(tokens)+8), first: make([]int32, len(tokens)+1), here: make([]uint64, l.blocks)}
	for i := range tokens {
		f.first[i] = int32(len(f.spans))
		f.spansAt(i)
	}
	f.first[len(tokens)] = int32(len(f.spans))
	for i := range f.spans {
		for k, b := range f.spans[i].unit.in {
			f.here[k] |= b
		}
	}
	out := make([]match, 0, 16+len(tokens))
	for i := range f.spans {
		s := &f.spans[i]
		for _, id := range s.unit.firsts {
			p := &l.patterns[id]
			if !f.possible(p) {
				continue
			}
			if len(out) == maxMatches {
				return out, f.spans, true
			}
			start := int(s.at)
			if end, used := f.fit(p, 1, start+int(s.len), ones(0, int(s.len)), start); end > 0 {
				out = append(out, match{pattern: p, start: start, end: end, used: used})
			}
		}
	}
	return out, f.spans, f.cut
}

// spansAt lists what of the lexicon begins at token i: the word, and phrases.
func (f *finder) spansAt(i int) {
	t := &f.tokens[i]
	if t.unit == nil {
		return
	}
	if t.unit.in != nil {
		f.spans = append(f.spans, span{t.unit, int32(i), 1})
	}
	u := t.unit
	for k := i + 1; k < len(f.tokens) && u.next != nil && f.tokens[k].clause == t.clause; k++ {
		w := f.tokens[k].word
		n := u.next[w]
		if n == nil && f.tokens[k].read != "" {
			n = u.next[f.tokens[k].read]
		}
		if n == nil {
			return
		}
		if u = n; u.in != nil {
			f.spans = append(f.spans, span{u, int32(i), int32(k - i + 1)})
		}
	}
}

// possible says whether the message has something for each place of a pattern.
func (f *finder) possible(p *pattern) bool {
	for i := 1; i < len(p.parts); i++ {
		x := &p.parts[i]
		if n := x.part.number; !x.optional && f.here[n/64]&(1<<(n%64)) == 0 {
			return false
		}
	}
	return true
}

func ones(from, n int) uint64 {
	if from >= 64 {
		return 0
	}
	return (1<<n - 1) << from
}

// fit tries the places of a pattern from the nth on at token i, and gives the
// end of what fits, or 0, and the tokens that it stands on.
func (f *finder) fit(p *pattern, n, i int, used uint64, start int) (int, uint64) {
	if f.steps++; f.steps > maxSteps {
		f.cut = true
		return 0, 0
	}
	if n == len(p.parts) {
		return i, used
	}
	x := &p.parts[n]
	clause := f.tokens[start].clause
	budget := int(x.gap)
	for at := i; at < len(f.tokens) && f.tokens[at].clause == clause && at-start < maxReach; at++ {
		for k := f.first[at]; k < f.first[at+1]; k++ {
			s := &f.spans[k]
			if !s.unit.fits(x.part) {
				continue
			}
			if end, u := f.fit(p, n+1, at+int(s.len), used|ones(at-start, int(s.len)), start); end > 0 {
				return end, u
			}
		}
		if x.gap < 0 {
			break
		}
		if !f.tokens[at].light {
			budget--
		}
		if at+1 < len(f.tokens) && f.tokens[at+1].comma {
			budget--
		}
		if budget < 0 || at-i > 16 {
			break
		}
	}
	if x.optional {
		return f.fit(p, n+1, i, used, start)
	}
	return 0, 0
}

// settle takes out what does not stand: what lies inside a figure of speech, and
// what a concept's own exceptions take back. It parts concepts from marks.
func (r *reader) settle(found []match) {
	r.mask = make([]uint64, len(r.tokens)+1)
	concepts := found[:0]
	var idioms, vetoes, settled, unsettled []match
	for i := range found {
		m := found[i]
		switch {
		case m.pattern.asked && !r.prompt:
		case m.pattern.veto:
			vetoes = append(vetoes, m)
		case m.pattern.concept != nil:
			concepts = append(concepts, m)
		case m.pattern.mark == markIdiom:
			idioms = append(idioms, m)
			r.cover(&m)
		case m.pattern.mark == markSettled:
			settled = append(settled, m)
		case m.pattern.mark == markNotSettled:
			unsettled = append(unsettled, m)
			r.cover(&m)
		default:
			r.cover(&m)
		}
	}
	// "has gone" ends a thing; in "has gone yellow" it does not, with any of its words.
	for i := range settled {
		if !slices.ContainsFunc(unsettled, func(u match) bool { return u.start < settled[i].end && settled[i].start < u.end }) {
			r.cover(&settled[i])
		}
	}
	// Words that only look like a negation, a condition or an ending are none.
	for i := range r.mask {
		k := r.mask[i]
		if k&bit(markNoNegation) != 0 {
			k &^= bit(markNegation)
		}
		if k&bit(markNoIf) != 0 {
			k &^= bit(markIf)
		}
		if k&bit(markNotSettled) != 0 {
			k &^= bit(markSettled) | bit(markBetter)
		}
		if k&bit(markIdiom) != 0 {
			k &^= bit(markNegation) | bit(markSevere) | bit(markWorse)
		}
		r.mask[i] = k
		r.kinds |= k
	}
	r.matches = slices.DeleteFunc(concepts, func(m match) bool {
		for i := range idioms {
			if idioms[i].overlaps(&m) && m.pattern.concept.Level > None {
				return true
			}
		}
		for i := range vetoes {
			if vetoes[i].pattern.concept == m.pattern.concept && vetoes[i].start < m.end && m.start < vetoes[i].end {
				return true
			}
		}
		return false
	})
}

// cover marks the tokens that a mark of context stands on.
func (r *reader) cover(m *match) {
	k := m.pattern.mark
	for i := m.start; i < m.end; i++ {
		if m.uses(i) {
			r.mask[i] |= bit(k)
		}
	}
}
