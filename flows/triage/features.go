package triage

const fnvOffset, fnvPrime = 2166136261, 16777619

func hashInto(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * fnvPrime
	}
	return h
}

// hashOf is the hash of a feature of a kind: the kind keeps the word "yes" apart
// from the answer "yes".
func hashOf(kind byte, name string) uint32 { return hashInto((fnvOffset^uint32(kind))*fnvPrime, name) }

func wordHash(w string) uint32 { return mix(hashOf('v', w)) }

// mix spreads the bits of a hash, so that its high ones are as good as any.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// meant is the word that a token was read as.
func (t *token) meant() string {
	switch {
	case t.isNumber:
		return t.numberSign()
	case t.read != "":
		return t.read
	}
	return t.word
}

// features gives the hashes of what the second reader sees of a message that
// the rules have read, each with the token that it stands on, or -1.
func (r *reader) features(yield func(hash uint32, token int)) {
	before, last := hashOf('^', ""), hashOf('^', "")
	unknown, words := 0, 0
	clause, around := int16(-1), uint32(0)
	var heavy [2]uint32 // the last words that are not light
	heavies, heavyAt := 0, 0
	for i := range r.tokens {
		t := &r.tokens[i]
		if r.courtesy(i) {
			continue
		}
		w := t.meant()
		if !t.known {
			unknown++
		}
		words++
		h := hashOf('w', w)
		yield(mix(h), i)
		yield(mix(last*31+h), i)
		if words > 2 {
			yield(mix(before*37+h+1), i)
		}
		before, last = last, h
		if !t.light {
			// Words of weight in pairs, whatever stands between them: "pain" and "night".
			for k := range min(heavies, len(heavy)) {
				if k > 0 || heavyAt != i-1 { // side by side they are a pair already
					yield(mix((heavy[k]*53+h)*7+3), i)
				}
			}
			heavy, heavyAt = [...]uint32{h, heavy[0]}, i
			heavies++
		}
		if t.clause != clause {
			clause, around = t.clause, r.around(i)
		}
		if c := around + denied(r.scope[i]); c != 0 {
			yield(mix(h*41+c), i)
		}
		if len(w) > 4 {
			for k := 0; k+4 <= len(w); k++ {
				yield(mix(hashOf('c', w[k:k+4])), i)
			}
		}
	}
	yield(mix(hashOf('#', "")+uint32(min((words+2)/4, 12))), -1)
	yield(mix(hashOf('u', "")+uint32(min(unknown, 4))), -1)
	r.signFeatures(yield)
	r.foundFeatures(yield)
	r.askedFeatures(yield)
}

// around gives what of the context of the sentence of token i changes what its
// words mean: past or settled, somebody else's, asked about, as always.
func (r *reader) around(i int) (c uint32) {
	const over = 1<<markPast | 1<<markSettled | 1<<markOver | 1<<markCleared
	if r.kinds&(over|1<<markOther|1<<markIf|1<<markSame) == 0 {
		return 0
	}
	var here uint64
	from, to := r.sentence(i)
	for k := from; k < to; k++ {
		here |= r.mask[k]
	}
	for n, kinds := range [...]uint64{over, 1 << markOther, 1 << markIf, 1 << markSame} {
		if here&kinds != 0 {
			c |= 2 << n
		}
	}
	return c
}

func denied(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}

// signFeatures gives what of punctuation and context stands anywhere.
func (r *reader) signFeatures(yield func(uint32, int)) {
	asks, shouts := false, false
	for i := range r.tokens {
		asks = asks || r.tokens[i].question
		shouts = shouts || r.tokens[i].shout
	}
	if asks {
		yield(mix(hashOf('?', "")), -1)
	}
	if shouts {
		yield(mix(hashOf('!', "")), -1)
	}
	for k := range markKind(64) {
		if r.kinds&^bit(markCourtesy)&bit(k) != 0 {
			yield(mix(hashOf('k', "")+uint32(k)), -1)
			yield(mix(hashOf('k', "level")+uint32(k)<<8+uint32(r.ruled())), -1)
		}
	}
}

// ruled is the level that the rules gave.
func (r *reader) ruled() Level {
	level := r.out.Level
	for i := range r.out.Findings {
		level = max(level, r.out.Findings[i].Level)
	}
	return level
}

// isCourtesy says whether a finding stands on greetings and kisses alone.
func (r *reader) isCourtesy(f *Finding) bool {
	if f.Level > None || r.kinds&bit(markCourtesy) == 0 && r.signOff == 0 {
		return false
	}
	for i := range r.tokens {
		if t := &r.tokens[i]; t.start >= f.Start && t.end <= f.End && !r.courtesy(i) {
			return false
		}
	}
	return true
}

// foundFeatures gives what the rules found.
func (r *reader) foundFeatures(yield func(uint32, int)) {
	worst, found := None, 0
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		if r.isCourtesy(f) {
			continue
		}
		found++
		h := hashInto(hashOf('f', f.Concept), f.Polarity)
		yield(mix(h), -1)
		if f.Time != "now" {
			yield(mix(hashInto(h, f.Time)), -1)
		}
		if f.Experiencer == "other" {
			yield(mix(hashInto(h, "other")), -1)
		}
		if f.Trend != "" {
			yield(mix(hashInto(h, f.Trend)), -1)
		}
		yield(mix(hashOf('g', "")+uint32(f.Level)), -1)
		if c := r.lex.concepts[f.Concept]; c != nil && f.Polarity == "said" {
			worst = max(worst, c.Level)
		}
	}
	for _, id := range r.hints {
		yield(mix(hashOf('i', id)), -1)
	}
	yield(mix(hashOf('l', "")+uint32(r.ruled())), -1)
	yield(mix(hashOf('m', "")+uint32(worst)), -1)
	yield(mix(hashOf('n', "")+uint32(min(found, 5))), -1)
	if r.harmless() {
		yield(mix(hashOf('h', "")), -1)
	}
}

// askedFeatures gives the question's kind and topic with the answer.
func (r *reader) askedFeatures(yield func(uint32, int)) {
	answer := hashOf('a', string(r.out.Answer.Kind))
	if r.out.Answer.More {
		answer++
	}
	yield(mix(answer), -1)
	if r.q == nil {
		yield(mix(hashOf('q', "")), -1)
		return
	}
	kind := hashOf('q', string(r.q.Kind))
	yield(mix(kind), -1)
	yield(mix(kind*31+answer), -1)
	topic := None
	for _, c := range r.asked.topics {
		topic = max(topic, c.Level)
		yield(mix(hashOf('t', c.ID)), -1)
	}
	way := uint32(topic) << 4
	if r.asked.well {
		way++
	}
	if r.asked.negative {
		way += 2
	}
	yield(mix(hashOf('y', "")+way), -1)
	yield(mix((hashOf('y', "")+way)*31+answer), -1)
	only := uint32(0)
	if len(r.tokens) == 1 {
		only = hashOf('w', r.tokens[0].meant())
	}
	if r.badness > 0 {
		score := hashOf('b', "") + uint32(r.badness)
		yield(mix(score), -1)
		yield(mix(score*31+uint32(topic)), -1)
	}
	last := uint32(0)
	for i := range r.picked {
		if t := &r.picked[i]; !t.light || t.word == "no" {
			h := hashOf('w', t.meant())
			yield(mix(h), -1)
			yield(mix(h*31+kind), -1)
			yield(mix(last*31+h), -1)
			last = h
		}
	}
	last = 0
	for _, h := range r.asked.content {
		yield(mix(h), -1)
		yield(mix(h*31+answer), -1)
		yield(mix((last*37+h)*31+answer), -1)
		last = h
		if only != 0 {
			yield(mix(h*31+only), -1)
		}
		if r.badness > 0 {
			yield(mix(h*43+uint32(r.badness)), -1)
		}
	}
}
