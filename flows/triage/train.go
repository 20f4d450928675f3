package triage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// sample is an example as the trainer sees it: places in the trainer's lists
// instead of hashes.
type sample struct {
	bag    []int32
	words  []int32 // of the sequence; -1: a word without a place
	signs  [][]int32
	hers   int // how many of the words are hers and have a place
	target [outputs]float32
	ruled  Level
	sure   Level // without what the rules guess
	plain  bool  // the second reader has no say
	spared bool  // it may be taken for harmless
	ground int   // see ground
}

// trainer holds the samples of one training, and the lists that they point into.
type trainer struct {
	bag, words, signs places
	vectors           [][]float32 // by word, all of one length; nil: none
	samples           []sample
}

// places numbers hashes in the order in which they come.
type places struct {
	of     map[uint32]int32
	hashes []uint32
}

func (p *places) place(h uint32) int32 {
	if i, ok := p.of[h]; ok {
		return i
	}
	if p.of == nil {
		p.of = map[uint32]int32{}
	}
	i := int32(len(p.hashes))
	p.of[h] = i
	p.hashes = append(p.hashes, h)
	return i
}

// The settings, found on content/triage by leaving parts out.
const (
	rounds      = 18   // over all samples
	pace        = 0.05 // of the steps
	decay       = 1e-5 // of weights that are touched
	dropFeature = 0.5  // share of the features that a sample is trained without
	dropWord    = 0.3  // and of the words that the filters do not see
	softness    = 0.4  // of a level that a careful nurse may call right or not
	leastSeen   = 6    // a feature counts when so many samples have it
	vectorSize  = 3    // length to which word vectors are brought
	folds       = 4    // parts that are each read by networks trained on the others
	judges      = 2    // how many networks read each part
)

// bare gives the lexicon with a second reader that says nothing, as the trainer has
// to see what the rules alone find.
func (l *Lexicon) bare() *Lexicon {
	out := *l
	out.second = empty()
	return &out
}

// prepare reads an example by the rules.
func prepare(lex *Lexicon, x *Example) *reader {
	r := &reader{lex: lex, text: x.Text, q: x.Ask, p: &Profile{}}
	r.tokens, r.cutOff = lex.tokenise(x.Text)
	r.rules()
	return r
}

func newTrainer(lex *Lexicon, examples []Example, vectors *Vectors) *trainer {
	t := &trainer{}
	lex = lex.bare()
	bags := make([][]uint32, len(examples))
	seen := map[uint32]int{}
	names := map[uint32]string{} // of words that have a vector
	for word := range vectors.of {
		names[wordHash(word)] = word
	}
	for i := range examples {
		r := prepare(lex, &examples[i])
		s := sample{ruled: r.ruled(), sure: r.sure(), plain: r.plain(), spared: r.harmless() || r.readable(), ground: ground(r.grounded())}
		if s.plain && s.ruled == None && !r.harmless() {
			s.ruled, s.sure = Routine, Routine // the floor
		}
		r.features(func(h uint32, _ int) { bags[i] = append(bags[i], h) })
		slices.Sort(bags[i])
		for k, h := range bags[i] {
			if k == 0 || h != bags[i][k-1] {
				seen[h]++
			}
		}
		var q sequence
		r.sequence(&q)
		for k, h := range q.words {
			s.words = append(s.words, t.words.place(h))
			var signs []int32
			for _, sign := range q.of(k) {
				signs = append(signs, t.signs.place(sign))
			}
			s.signs = append(s.signs, signs)
			if q.tokens[k] < 0 {
				s.words[k] |= notHers
			} else {
				s.hers++
			}
		}
		s.aim(&examples[i])
		t.samples = append(t.samples, s)
	}
	for i := range t.samples {
		for _, h := range bags[i] {
			if seen[h] >= leastSeen {
				t.samples[i].bag = append(t.samples[i].bag, t.bag.place(h))
			}
		}
	}
	t.vectors = make([][]float32, len(t.words.hashes))
	for i, h := range t.words.hashes {
		t.vectors[i] = vectors.unit(names[h])
	}
	return t
}

// notHers marks a word of a sequence that she did not write: the question's, a stop.
const notHers = 1 << 30

// aim sets what the outputs shall be: sure where every level that a careful nurse
// would call right is on one side, less sure where they are on both.
func (s *sample) aim(x *Example) {
	for k := range s.target {
		level := Level(k + 1)
		switch {
		case slices.Min(x.Accept) >= level:
			s.target[k] = 1
		case slices.Max(x.Accept) < level:
		case x.Level >= level:
			s.target[k] = 1 - softness
		default:
			s.target[k] = softness
		}
	}
}

// unit gives a word's vector, brought to one length, or nil.
func (v *Vectors) unit(word string) []float32 {
	vec := v.of[word]
	if vec == nil {
		return nil
	}
	sum := 0.0
	for _, x := range vec {
		sum += float64(x) * float64(x)
	}
	out := make([]float32, len(vec))
	for i, x := range vec {
		out[i] = float32(float64(x) * vectorSize / (math.Sqrt(sum) + 1e-9))
	}
	return out
}

// layer is a block of weights, with the sums of the squares of their slopes, by
// which each weight's steps grow smaller (Duchi et al., Adaptive Subgradient
// Methods, JMLR 2011).
type layer struct{ w, g []float32 }

func newLayer(n int, spread float64, random *rand.Rand) *layer {
	l := &layer{make([]float32, n), make([]float32, n)}
	if spread > 0 {
		for i := range l.w {
			l.w[i] = float32(random.NormFloat64() * spread)
		}
	}
	return l
}

func (l *layer) step(i int, slope float32) {
	slope += decay * l.w[i]
	l.g[i] += slope * slope
	l.w[i] -= pace * slope / (float32(math.Sqrt(float64(l.g[i]))) + 1e-3)
}

const (
	memberBag = outputs + memberHidden
	memberRow = width * memberFilters
)

// network is a member of a second reader in training.
type network struct {
	t      *trainer
	random *rand.Rand

	bag, bagVector              *layer // rows of memberBag: by feature, by dimension
	word, wordVector, sign      *layer // rows of memberRow: by word, by dimension (transposed), by sign
	bias, hiddenBias, hiddenOut *layer
	filterBias, filterOut       *layer
	filterHidden                *layer    // rows of memberHidden: by filter
	projected                   []float32 // of the words of the sample
	skipped                     []bool
	sums                        [memberBag]float32
	mean                        []float32
	answers                     [memberFilters]float32
	at                          [memberFilters]int
	kept                        []int32
}

func (t *trainer) network(seed uint64) *network {
	random := rand.New(rand.NewPCG(seed, 1))
	size := 0
	for _, v := range t.vectors {
		size = max(size, len(v))
	}
	n := &network{t: t, random: random, mean: make([]float32, size),
		bag: newLayer(len(t.bag.hashes)*memberBag, 0.1, random), bagVector: newLayer(size*memberBag, 0.1, random),
		word: newLayer(len(t.words.hashes)*memberRow, 0.02, random), wordVector: newLayer(memberRow*size, 0.06, random),
		sign: newLayer(len(t.signs.hashes)*memberRow, 0.1, random),
		bias: newLayer(outputs, 0, random), hiddenBias: newLayer(memberHidden, 0, random), hiddenOut: newLayer(memberHidden*outputs, 0.3, random),
		filterBias: newLayer(memberFilters, 0, random), filterOut: newLayer(memberFilters*outputs, 0.2, random), filterHidden: newLayer(memberFilters*memberHidden, 0.1, random)}
	for i := range len(t.bag.hashes) { // what goes straight to the outputs begins at nought
		clear(n.bag.w[i*memberBag : i*memberBag+outputs])
	}
	return n
}

// project gives what a word with its signs says to each place of each filter.
func (n *network) project(out []float32, word int32, signs []int32) {
	copy(out, n.word.w[int(word)*memberRow:][:memberRow])
	if v := n.t.vectors[word]; v != nil {
		for k := range out {
			out[k] += dot(n.wordVector.w[k*len(v):][:len(v)], v)
		}
	}
	for _, s := range signs {
		for k, x := range n.sign.w[int(s)*memberRow:][:memberRow] {
			out[k] += x
		}
	}
}

// dot multiplies two rows, four numbers at a time so that no sum waits for the one
// before it. Most of a training is spent here.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// forward reads a sample; bag is what of its features counts.
func (n *network) forward(s *sample, bag []int32) (out [outputs]float32) {
	n.sums = [memberBag]float32{}
	scale := bagWeight(len(bag))
	for _, p := range bag {
		for k, x := range n.bag.w[int(p)*memberBag:][:memberBag] {
			n.sums[k] += scale * x
		}
	}
	clear(n.mean)
	for _, w := range s.words {
		if w&notHers == 0 {
			for d, x := range n.t.vectors[w] {
				n.mean[d] += x / float32(s.hers)
			}
		}
	}
	for d, x := range n.mean {
		for k, w := range n.bagVector.w[d*memberBag:][:memberBag] {
			n.sums[k] += x * w
		}
	}
	n.convolve(s)
	for f, x := range n.answers {
		if x > 0 {
			for j, w := range n.filterHidden.w[f*memberHidden:][:memberHidden] {
				n.sums[outputs+j] += x * w
			}
		}
	}
	for k := range out {
		out[k] = n.bias.w[k] + n.sums[k]
	}
	for j := range memberHidden {
		if x := n.sums[outputs+j] + n.hiddenBias.w[j]; x > 0 {
			for k := range out {
				out[k] += x * n.hiddenOut.w[j*outputs+k]
			}
		}
	}
	for f, x := range n.answers {
		if x > 0 {
			for k := range out {
				out[k] += x * n.filterOut.w[f*outputs+k]
			}
		}
	}
	return out
}

// convolve finds the strongest place of each filter.
func (n *network) convolve(s *sample) {
	words := len(s.words)
	n.projected = slices.Grow(n.projected[:0], words*memberRow)[:words*memberRow]
	for i, w := range s.words {
		row := n.projected[i*memberRow:][:memberRow]
		if n.skipped[i] {
			clear(row)
			continue
		}
		n.project(row, w&^notHers, s.signs[i])
	}
	for f := range memberFilters {
		n.answers[f] = 0
	}
	for at := 1 - width; at < words; at++ {
		for f := range memberFilters {
			x := n.filterBias.w[f]
			for j := range width {
				if i := at + j; i >= 0 && i < words {
					x += n.projected[i*memberRow+j*memberFilters+f]
				}
			}
			if x > n.answers[f] {
				n.answers[f], n.at[f] = x, at
			}
		}
	}
}

// learn takes one step on a sample.
func (n *network) learn(s *sample) {
	n.kept = n.kept[:0]
	for _, p := range s.bag {
		if n.random.Float64() >= dropFeature {
			n.kept = append(n.kept, p)
		}
	}
	n.skip(s, dropWord)
	out := n.forward(s, n.kept)
	var slope [outputs]float32
	for k := range slope {
		slope[k] = float32(1/(1+math.Exp(-float64(out[k])))) - s.target[k]
	}
	var back [memberBag]float32 // to the sums
	copy(back[:], slope[:])
	for j := range memberHidden {
		x := n.sums[outputs+j] + n.hiddenBias.w[j]
		if x <= 0 {
			continue
		}
		for k := range slope {
			back[outputs+j] += slope[k] * n.hiddenOut.w[j*outputs+k]
			n.hiddenOut.step(j*outputs+k, slope[k]*x)
		}
		n.hiddenBias.step(j, back[outputs+j])
	}
	scale := bagWeight(len(n.kept))
	for _, p := range n.kept {
		for k, b := range back {
			if b != 0 {
				n.bag.step(int(p)*memberBag+k, b*scale)
			}
		}
	}
	for d, x := range n.mean {
		for k, b := range back {
			if b != 0 && x != 0 {
				n.bagVector.step(d*memberBag+k, b*x)
			}
		}
	}
	for k := range slope {
		n.bias.step(k, slope[k])
	}
	n.learnFilters(s, slope, back)
}

// skip chooses the words of a sample that the memberFilters do not see.
func (n *network) skip(s *sample, share float64) {
	n.skipped = slices.Grow(n.skipped[:0], len(s.words))[:len(s.words)]
	for i := range n.skipped {
		n.skipped[i] = share > 0 && n.random.Float64() < share
	}
}

func (n *network) learnFilters(s *sample, slope [outputs]float32, toHidden [memberBag]float32) {
	for f, x := range n.answers {
		if x <= 0 {
			continue
		}
		var back float32
		for k := range slope {
			back += slope[k] * n.filterOut.w[f*outputs+k]
			n.filterOut.step(f*outputs+k, slope[k]*x)
		}
		for j, h := range toHidden[outputs:] {
			if h != 0 {
				back += h * n.filterHidden.w[f*memberHidden+j]
				n.filterHidden.step(f*memberHidden+j, h*x)
			}
		}
		n.filterBias.step(f, back)
		for j := range width {
			i := n.at[f] + j
			if i < 0 || i >= len(s.words) || n.skipped[i] {
				continue
			}
			k := j*memberFilters + f
			word := s.words[i] &^ notHers
			n.word.step(int(word)*memberRow+k, back)
			for _, sign := range s.signs[i] {
				n.sign.step(int(sign)*memberRow+k, back)
			}
			v := n.t.vectors[word]
			for d, x := range v {
				n.wordVector.step(k*len(v)+d, back*x)
			}
		}
	}
}

// train makes a network from some of the samples. The same samples in the same
// order with the same seed give the same network.
func (t *trainer) train(on []int, seed uint64) *network {
	n := t.network(seed)
	order := slices.Clone(on)
	for range rounds {
		n.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			n.learn(&t.samples[i])
		}
	}
	return n
}

// scores reads a sample that the network has not seen.
func (n *network) scores(s *sample) [outputs]float32 {
	n.skip(s, 0)
	return n.forward(s, s.bag)
}

// steps is how many steps a small number has on either side of nought.
const steps = 127

// round makes a second reader of networks: multiplied out, averaged, rounded to a
// byte a number, with no thresholds. It knows the words of vectors, and those of the
// samples.
func (t *trainer) round(of [members]*network, vectors *Vectors) *second {
	s := &second{}
	s.tables()
	bag := newRows(t.bag.hashes, bagRow)
	sign := newRows(t.signs.hashes, filterRow)
	word := newRows(t.words.hashes, wordRow)
	more := t.otherWords(vectors)
	others := newRows(more.hashes, wordRow)
	for m, n := range of {
		for k := range s.bias {
			s.bias[k] += n.bias.w[k] / members
		}
		copy(s.hiddenBias[m*memberHidden:], n.hiddenBias.w)
		copy(s.filterBias[m*memberFilters:], n.filterBias.w)
		for i, x := range n.hiddenOut.w {
			s.hiddenOut[m*memberHidden+i/outputs][i%outputs] = x / members
		}
		for i, x := range n.filterOut.w {
			s.filterOut[m*memberFilters+i/outputs][i%outputs] = x / members
		}
		for i, x := range n.filterHidden.w {
			s.filterHidden[m*memberFilters+i/memberHidden][i%memberHidden] = x
		}
		for i := range bag {
			addBag(bag[i].numbers, m, n.bag.w[i*memberBag:][:memberBag], 1)
		}
		for i := range sign {
			addFilters(sign[i].numbers, m, n.sign.w[i*memberRow:][:memberRow])
		}
		for i := range word {
			n.multiplyOut(word[i].numbers, m, t.vectors[i], n.word.w[i*memberRow:][:memberRow])
		}
		for i := range others {
			n.multiplyOut(others[i].numbers, m, more.vectors[i], nil)
		}
	}
	word = append(word, others...)
	var filter [filters]float32
	for _, r := range slices.Concat(sign, word) {
		for k, x := range r.numbers[len(r.numbers)-filterRow:] {
			filter[k%filters] = max(filter[k%filters], float32(math.Abs(float64(x))))
		}
	}
	for f := range filter {
		s.filterScale[f] = max(filter[f], 1e-9) / steps
	}
	scales(&s.bagScale, bag)
	scales(&s.wordScale, word)
	scale := func(first []float32) func(k int) float32 {
		return func(k int) float32 {
			if k < len(first) {
				return first[k]
			}
			return s.filterScale[(k-len(first))%filters]
		}
	}
	fill(&s.bag, bag, scale(s.bagScale[:]))
	fill(&s.words, word, scale(s.wordScale[:]))
	fill(&s.signs, sign, scale(nil))
	return s
}

// others are words of the vectors that no sample holds.
type others struct {
	hashes  []uint32
	vectors [][]float32
}

func (t *trainer) otherWords(vectors *Vectors) (out others) {
	for _, word := range slices.Sorted(maps.Keys(vectors.of)) {
		h := wordHash(word)
		if _, ok := t.words.of[h]; !ok && !slices.Contains(out.hashes[max(0, len(out.hashes)-1):], h) {
			out.hashes, out.vectors = append(out.hashes, h), append(out.vectors, vectors.unit(word))
		}
	}
	return out
}

// addBag adds a member's row of numbers for its outputs and hidden units.
func addBag(to []float32, member int, row []float32, times float32) {
	for k, x := range row {
		if k < outputs {
			to[k] += times * x / members
		} else {
			to[outputs+member*memberHidden+k-outputs] += times * x
		}
	}
}

// addFilters adds a member's row of numbers for the places of its filters.
func addFilters(to []float32, member int, row []float32) {
	for k, x := range row {
		to[k/memberFilters*filters+member*memberFilters+k%memberFilters] += x
	}
}

// multiplyOut adds what a word says to a member, by its vector and by itself.
func (n *network) multiplyOut(to []float32, member int, vector, own []float32) {
	for d, x := range vector {
		addBag(to, member, n.bagVector.w[d*memberBag:][:memberBag], x)
	}
	row := make([]float32, memberRow)
	copy(row, own)
	for k := range row {
		weights := n.wordVector.w[k*len(vector):][:len(vector)]
		for d, x := range vector {
			row[k] += x * weights[d]
		}
	}
	addFilters(to[bagRow:], member, row)
}

// hashedRow is a row of a table before it is rounded.
type hashedRow struct {
	hash    uint32
	numbers []float32
}

func newRows(hashes []uint32, width int) []hashedRow {
	out := make([]hashedRow, len(hashes))
	numbers := make([]float32, len(hashes)*width)
	for i, h := range hashes {
		out[i] = hashedRow{h, numbers[i*width:][:width:width]}
	}
	return out
}

// scales finds what a step of each small number is worth.
func scales(to *[bagRow]float32, rows []hashedRow) {
	for _, r := range rows {
		for k := range to {
			to[k] = max(to[k], float32(math.Abs(float64(r.numbers[k]))))
		}
	}
	for k := range to {
		to[k] = max(to[k], 1e-9) / steps
	}
}

func fill(t *table, rows []hashedRow, scale func(k int) float32) {
	small := make([]int8, t.width)
	slices.SortFunc(rows, func(a, b hashedRow) int { return cmp.Compare(a.hash, b.hash) })
	for _, r := range rows {
		for k, x := range r.numbers {
			small[k] = int8(math.Round(float64(x / scale(k))))
		}
		t.add(r.hash, small)
	}
	t.index()
}

// Trained is what a training gives.
type Trained struct {
	Weights []byte
	// Readings are the level of each example, read with weights that were trained
	// without the part of the examples that it belongs to.
	Readings []Level
}

// Train trains the second reader on labelled messages, and tells how rules and
// reader together read messages that it was not trained on. source names what it
// is trained from (see [TrainingSource]). It takes a minute or more for each ten
// thousand messages. The rules were written by people who had seen some of them:
// content/triage/README.md says which.
func Train(lex *Lexicon, examples []Example, vectors *Vectors, source string) (*Trained, error) {
	digest, err := hex.DecodeString(source)
	if err != nil || len(digest) != sha256.Size {
		return nil, errors.New("the source of a training is the digest of its files")
	}
	if len(examples) < 100 {
		return nil, fmt.Errorf("%d labelled messages are too few to train on", len(examples))
	}
	copies, of := elsewhere(examples)
	lessons := append(slices.Clone(examples), copies...)
	part := parts(examples, folds) // by lesson: the part of it, and of its copy
	for _, k := range of {
		part = append(part, part[k])
	}
	t := newTrainer(lex, lessons, vectors)
	scores := make([][outputs]float32, len(lessons))
	judged := make([][judges][outputs]float32, len(lessons))
	var final [members]*network
	parallel(folds*judges+members, func(i int) {
		if i >= folds*judges {
			final[i-folds*judges] = t.train(all(len(lessons)), uint64(i))
			return
		}
		var on, off []int
		for k := range lessons {
			if part[k] == i%folds {
				off = append(off, k)
			} else {
				on = append(on, k)
			}
		}
		n := t.train(on, uint64(i))
		for _, k := range off {
			judged[k][i/folds] = n.scores(&t.samples[k])
		}
	})
	for i := range judged {
		for _, by := range judged[i] {
			for k, x := range by {
				scores[i][k] += x / judges
			}
		}
	}
	s := t.round(final, vectors)
	t.setThresholds(s, examples, scores)
	copy(s.source[:], digest)
	out := &Trained{Weights: s.pack()}
	for i := range examples {
		out.Readings = append(out.Readings, t.samples[i].raised(scores[i], s))
	}
	return out, nil
}

// parts puts examples into n parts of about one size, always the same: all that one author
// wrote (the letters at the head of its id say who) into one, so that none is judged by a
// network that knows the author's turns of phrase. Most of the questions are the author's
// own too.
func parts(examples []Example, n int) []int {
	author := func(x *Example) string { return strings.TrimRight(x.ID, "0123456789") }
	wrote := map[string]int{}
	for i := range examples {
		wrote[author(&examples[i])]++
	}
	most := slices.SortedFunc(maps.Keys(wrote), func(a, b string) int { return cmp.Or(wrote[b]-wrote[a], strings.Compare(a, b)) })
	of, size := map[string]int{}, make([]int, n)
	for _, name := range most {
		k := slices.Index(size, slices.Min(size))
		of[name] = k
		size[k] += wrote[name]
	}
	out := make([]int, len(examples))
	for i := range examples {
		out[i] = of[author(&examples[i])]
	}
	return out
}

// elsewhere gives a third of the messages that came unasked once more, as if a question
// had been open: what she writes of something else means the same, whatever was asked.
// It is learned from, and no figure counts it. of gives the place of each one's original.
func elsewhere(examples []Example) (copies []Example, of []int) {
	var questions []*Question
	for i := range examples {
		if q := examples[i].Ask; q != nil && (q.Kind == YesNo || q.Kind == Text) {
			questions = append(questions, q)
		}
	}
	for i := range examples {
		x := examples[i]
		h := int(signHash(x.ID))
		if x.Ask != nil || len(questions) == 0 || h%3 != 0 || len(strings.Fields(x.Text)) < 3 {
			continue
		}
		x.Ask = questions[h/3%len(questions)]
		copies, of = append(copies, x), append(of, i)
	}
	return copies, of
}

// parallel does n pieces of work, two at a time.
func parallel(n int, do func(i int)) {
	var wait sync.WaitGroup
	turn := make(chan struct{}, 2)
	for i := range n {
		turn <- struct{}{}
		wait.Go(func() {
			do(i)
			<-turn
		})
	}
	wait.Wait()
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// trainerForm names what the trainer does, for [TrainingSource]; a trainer that gives
// other weights from the same files has another.
const trainerForm = "lookout second reader 6\n"

// TrainingSource gives the digest of all that a second reader is trained from: the
// lexicon's YAML, the labelled messages, the word vectors, and the trainer's form. Who
// answers for a file and remarks in it do not count: to sign it trains nothing anew.
func TrainingSource(lexicon, messages fs.FS) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s%d %d %d %d %d\n", trainerForm, members, hidden, filters, width, rounds)
	for _, from := range []struct {
		fsys    fs.FS
		pattern string
	}{{lexicon, "*.yaml"}, {messages, "train-*.jsonl"}, {messages, VectorsFile}} {
		names, err := fs.Glob(from.fsys, from.pattern)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			text, err := fs.ReadFile(from.fsys, name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s\n", name)
			if from.pattern == "*.yaml" {
				text = withoutHead.ReplaceAll(text, nil)
			}
			sum.Write(text)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// withoutHead finds the lines of a YAML file that mean nothing to the reader.
var withoutHead = regexp.MustCompile(`(?m)^(#|version:|review:|source:).*\n`)

// raised is the level that rules and second reader give a sample together; of the reader
// only its thresholds count.
func (s *sample) raised(scores [outputs]float32, by *second) Level {
	if s.plain {
		return s.ruled
	}
	for k := range scores {
		scores[k] -= by.thresholds[s.ground][k]
	}
	level := s.sure
	if s.ruled > s.sure {
		level = max(level, by.supported(s.ruled, scores))
	}
	level = max(level, raisedTo(scores))
	if level == None && !s.spared {
		return Routine // the floor
	}
	return level
}

// price is what a reading costs that no careful nurse would call right: how the
// thresholds weigh a nurse's time against a sign that is missed.
func price(x *Example, got Level) float64 {
	least, most := slices.Min(x.Accept), slices.Max(x.Accept)
	if least <= got && got <= most {
		return 0 // between two levels that are both right
	}
	switch {
	case got < least && least == Emergency:
		return 24 + 3*float64(least-got)
	case got == None && least >= Soon:
		return 14
	case got < least && least == Urgent:
		return 8 * float64(least-got)
	case got < least:
		return 3.2 * float64(least-got)
	case got == Emergency:
		return 5
	case most <= Routine && got >= Soon: // she is rung for nothing
		return 2 + 1.2*float64(got-most)
	}
	return 1.2 * float64(got-most)
}

// ordinary says whether an example is of the mixture that a service gets, and not
// one of those that were written to be hard. Thresholds are set on these.
func ordinary(x *Example) bool { return slices.Contains(x.Tags, "ordinary") }

// commonness is how much more common messages that say nothing of health are in life
// than among the examples, most of which were written because they do.
const commonness = 2

// setThresholds finds the scores from which a message is raised that make the mistakes
// on ordinary examples cheapest: four for those in which the rules saw something, and
// four for the others. Then it finds from which scores a guess of the rules counts.
func (t *trainer) setThresholds(of *second, examples []Example, scores [][outputs]float32) {
	any := slices.ContainsFunc(examples, func(x Example) bool { return ordinary(&x) })
	of.thresholds, of.guesses = [2][outputs]float32{}, allGuesses
	total := func(on []int) float64 {
		sum := 0.0
		for _, i := range on {
			got := t.samples[i].raised(scores[i], of)
			cost := price(&examples[i], got)
			if t.samples[i].ground == 0 && got >= Soon && got > slices.Max(examples[i].Accept) {
				cost *= commonness
			}
			sum += cost
		}
		return sum
	}
	cheapest := func(value *float32, from, to int, on []int) {
		best, least := *value, total(on)
		for step := from; step <= to; step++ {
			*value = float32(step) * 0.05
			if cost := total(on); cost < least {
				best, least = *value, cost
			}
		}
		*value = best
	}
	var guesses []int // they are few: all examples that hold one count
	for g := range of.thresholds {
		var on []int
		for i := range examples {
			if t.samples[i].ground == g && (!any || ordinary(&examples[i])) {
				on = append(on, i)
			}
			if g == 0 && t.samples[i].ruled > t.samples[i].sure {
				guesses = append(guesses, i)
			}
		}
		for range 4 {
			for k := range outputs {
				cheapest(&of.thresholds[g][k], -80, 80, on)
			}
		}
	}
	for range 2 {
		for k := outputs - 1; k >= 0; k-- {
			cheapest(&of.guesses[k], -160, 20, guesses)
		}
	}
}
