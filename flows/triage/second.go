package triage

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// second is the statistical reader: a linear model over hashed words, pairs of
// words and runs of letters, trained from content/triage by the command that
// docs/triage.md names. It may only raise: it decides whether a message in which
// the rules found nothing is everyday talk, or goes to a person.
type second struct {
	bias    float64
	scale   float64
	weights []int8
}

// secondBits is the size of the table of weights, as a power of two.
const secondBits = 14

// loadSecond reads weights as the trainer writes them: a bias, a scale, and the
// table in base64.
func loadSecond(text string) (*second, error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return nil, errors.New("a bias, a scale and a table are wanted")
	}
	bias, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return nil, errors.New("the bias is no number")
	}
	scale, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return nil, errors.New("the scale is no number")
	}
	table, err := base64.StdEncoding.DecodeString(strings.Join(fields[2:], ""))
	if err != nil {
		return nil, errors.New("the table is no base64")
	}
	if len(table) != 1<<secondBits {
		return nil, errors.New("the table has the wrong length")
	}
	s := &second{bias: bias, scale: scale, weights: make([]int8, len(table))}
	for i, b := range table {
		s.weights[i] = int8(b)
	}
	return s, nil
}

// harmless says whether the message looks like everyday talk.
func (s *second) harmless(r *reader) bool { return s.score(r) < 0 }

// score is above nought for what looks like something for a nurse.
func (s *second) score(r *reader) float64 {
	sum, n := 0, 0
	r.features(func(h uint32) {
		sum += int(s.weights[h&(1<<secondBits-1)])
		n++
	})
	if n == 0 {
		return 1
	}
	return s.bias + s.scale*float64(sum)
}

const fnvOffset, fnvPrime = 2166136261, 16777619

func hashInto(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * fnvPrime
	}
	return h
}

// features gives the hashes of what the statistical reader sees of a message.
func (r *reader) features(yield func(uint32)) {
	last := hashInto(fnvOffset, "^")
	for i := range r.tokens {
		t := &r.tokens[i]
		w := t.word
		if t.read != "" {
			w = t.read
		}
		if t.isNumber {
			w = "#"
		}
		h := hashInto(hashInto(fnvOffset, "w"), w)
		yield(mix(h))
		yield(mix(last*31 + h))
		last = h
		if len(w) > 5 {
			for k := 0; k+5 <= len(w); k++ {
				yield(mix(hashInto(hashInto(fnvOffset, "c"), w[k:k+5])))
			}
		}
		if i+1 == len(r.tokens) || r.tokens[i+1].clause != t.clause {
			switch {
			case t.question:
				yield(mix(hashInto(fnvOffset, "?")))
			case t.shout:
				yield(mix(hashInto(fnvOffset, "!")))
			}
		}
	}
	size := min(len(r.tokens)/4, 12)
	yield(mix(hashInto(fnvOffset, "size") + uint32(size)))
	if r.q != nil {
		yield(mix(hashInto(hashInto(fnvOffset, "kind"), string(r.q.Kind))))
	}
}

// mix spreads the bits of a hash, so that its low ones are as good as any.
func mix(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	return h
}
