package triage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// second is the statistical reader. It is a linear model over words, pairs of
// words, runs of letters, word vectors and what the rules found, with one output
// for each level above none. It may only raise: what the rules decided stands,
// and it adds to it. It is trained from content/triage by `lookout triage train`
// and never changes while lookout runs.
type second struct {
	bias       [outputs]float32
	scale      [outputs]float32 // of the weights of features
	vectors    [outputs]float32 // of the weights of word vectors
	thresholds [outputs]float32
	features   table
	words      table // by hash of the word: what its vector says, already multiplied out
}

// outputs are the levels that the reader can raise to, from Routine up.
const outputs = 4

// table holds weights by 32-bit hash. Its hashes are sorted, and start gives where
// those with the same upper 16 bits begin, so that a look takes one or two steps.
type table struct {
	start   []uint32
	hashes  []uint32
	weights [][outputs]int8
}

func (t *table) index() {
	t.start = make([]uint32, 1<<16+1)
	for _, h := range t.hashes {
		t.start[h>>16+1]++
	}
	for i := range 1 << 16 {
		t.start[i+1] += t.start[i]
	}
}

func (t *table) find(h uint32) *[outputs]int8 {
	for i := t.start[h>>16]; i < t.start[h>>16+1]; i++ {
		if t.hashes[i] == h {
			return &t.weights[i]
		}
	}
	return nil
}

// secondMagic opens a file of weights, and names its format.
const secondMagic = "lookout second reader 1\n"

// maxWeights bounds each table of a file.
const maxWeights = 1 << 20

// loadSecond reads weights as pack writes them.
func loadSecond(text []byte) (*second, error) {
	rest, ok := bytes.CutPrefix(text, []byte(secondMagic))
	if !ok {
		return nil, errors.New("it is no file of weights, or of another format")
	}
	in := bytes.NewReader(rest)
	s := &second{}
	for _, x := range []*[outputs]float32{&s.bias, &s.scale, &s.vectors, &s.thresholds} {
		if err := binary.Read(in, binary.LittleEndian, x); err != nil {
			return nil, errors.New("it ends too early")
		}
		for _, n := range x {
			if n != n || math.IsInf(float64(n), 0) {
				return nil, errors.New("a number in it is none")
			}
		}
	}
	for _, t := range []*table{&s.features, &s.words} {
		var n uint32
		if err := binary.Read(in, binary.LittleEndian, &n); err != nil {
			return nil, errors.New("it ends too early")
		}
		if n > maxWeights || int64(n)*(4+outputs) > int64(in.Len()) {
			return nil, errors.New("it ends too early")
		}
		t.hashes, t.weights = make([]uint32, n), make([][outputs]int8, n)
		if err := errors.Join(binary.Read(in, binary.LittleEndian, t.hashes), binary.Read(in, binary.LittleEndian, t.weights)); err != nil {
			return nil, err
		}
		if !slices.IsSorted(t.hashes) {
			return nil, errors.New("its hashes are out of order")
		}
		t.index()
	}
	if in.Len() > 0 {
		return nil, errors.New("something stands behind its end")
	}
	return s, nil
}

// pack gives the file of weights.
func (s *second) pack() []byte {
	var out bytes.Buffer
	out.WriteString(secondMagic)
	write := func(x any) { binary.Write(&out, binary.LittleEndian, x) } // a Buffer takes everything
	for _, x := range []*[outputs]float32{&s.bias, &s.scale, &s.vectors, &s.thresholds} {
		write(x)
	}
	for _, t := range []*table{&s.features, &s.words} {
		write(uint32(len(t.hashes)))
		write(t.hashes)
		write(t.weights)
	}
	return out.Bytes()
}

// scores gives for each level above none how far the message is beyond the
// threshold of being raised to it: from nought up, it is. Above routine, words of
// hers must speak for it: what was asked, and that little was understood, do not.
func (s *second) scores(r *reader) [outputs]float32 {
	var sum, said, vec [outputs]int32
	var words int32
	r.features(func(h uint32, token int) {
		if w := s.features.find(h); w != nil {
			for k := range outputs {
				sum[k] += int32(w[k])
				if token >= 0 {
					said[k] += int32(w[k])
				}
			}
		}
	})
	for i := range r.tokens {
		if w := s.words.find(wordHash(r.tokens[i].meant())); w != nil {
			words++
			for k := range outputs {
				vec[k] += int32(w[k])
			}
		}
	}
	out := s.bias
	for k := range outputs {
		out[k] += s.scale[k] * float32(sum[k])
		if words > 0 {
			out[k] += s.vectors[k] * float32(vec[k]) / float32(words)
		}
		out[k] -= s.thresholds[k]
		if k > 0 && said[k] <= 0 {
			out[k] = min(out[k], silent)
		}
	}
	return out
}

// silent is the score of a level for which none of her words speaks.
const silent = -100

// raises gives the level that the message reads like to the second reader.
func (s *second) raises(r *reader) Level {
	level := None
	for k, score := range s.scores(r) {
		if score >= 0 {
			level = Level(k + 1)
		}
	}
	return level
}

// strongest gives her words that speak most for a level, in her own order.
func (s *second) strongest(r *reader, level Level) []string {
	k := int(level) - 1
	by := make([]float32, len(r.tokens))
	r.features(func(h uint32, token int) {
		if token < 0 {
			return
		}
		if w := s.features.find(h); w != nil {
			by[token] += s.scale[k] * float32(w[k])
		}
	})
	order := make([]int, 0, len(by))
	for i := range by {
		if by[i] > 0 && !r.tokens[i].light {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case by[a] > by[b]:
			return -1
		case by[a] < by[b]:
			return 1
		}
		return 0
	})
	order = order[:min(len(order), 4)]
	slices.Sort(order)
	out := make([]string, 0, len(order))
	for _, i := range order {
		word := r.text[r.tokens[i].start:r.tokens[i].end]
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

// plainWords is how long a message out of the blue may be that the rules alone
// understand, and plainAnswer how long an answer to a question.
const (
	plainWords  = 6
	plainAnswer = 4
)

// plain says whether the rules have the whole say: over an option that was offered,
// a short answer and nothing beside it, or a few words in which they found nothing,
// like "all good thanks". There is nothing in it to have a doubt about.
func (r *reader) plain() bool {
	if r.out.Command != "" || len(r.tokens) == 0 {
		return true
	}
	if r.q == nil {
		return len(r.tokens) <= plainWords && r.ruled() == None && r.harmless()
	}
	switch a := r.out.Answer; a.Kind {
	case Chosen:
		return !a.More
	case NoAnswer, FreeText:
		return len(r.tokens) <= plainAnswer && r.ruled() == None && r.harmless()
	default:
		return !a.More && len(r.tokens) <= plainAnswer
	}
}

// secondReading raises what the rules decided if the second reader says so.
func (r *reader) secondReading() {
	s := r.lex.second
	if s == nil || r.plain() {
		return
	}
	level := s.raises(r)
	// What a nurse has spared is what the words say: to read the same in them again is
	// no reason to raise it.
	if level <= max(r.out.Level, r.spared) || level == Routine && !r.harmless() { // the floor says that better
		return
	}
	words := strings.Join(s.strongest(r, level), "”, “")
	rule := fmt.Sprintf("second reader: %s", level)
	why := fmt.Sprintf("It reads like what is %s, by a comparison with labelled messages", level)
	if words != "" {
		why += " (“" + words + "”)"
	}
	r.out.Level, r.out.Why = level, why+"."
	r.out.Rules = append(r.out.Rules, rule)
	f := r.hinted()
	if f == nil {
		id := "reads_like_trouble"
		if level == Routine {
			id = "reads_like_request"
		}
		r.affirmed(id, level, rule)
		return
	}
	f.Level, f.Rule = level, rule
}

// hinted gives the finding that the second reader's doubt is about: the worst of
// what the rules saw a hint of, or found at a lower level.
func (r *reader) hinted() *Finding {
	best := -1
	var worst Level
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		c := r.lex.concepts[f.Concept]
		if f.Polarity != "said" || c == nil || c.Level < Soon || f.Time == "past" || f.Experiencer == "other" {
			continue
		}
		if best < 0 || c.Level > worst {
			best, worst = i, c.Level
		}
	}
	if best < 0 {
		return nil
	}
	return &r.out.Findings[best]
}
