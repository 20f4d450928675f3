package triage

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const labelledFolder = "../../content/triage"

// labelledMessages gives the messages that the reader learns from, all or every nth.
func labelledMessages(tb testing.TB, nth int) []Example {
	tb.Helper()
	files, err := filepath.Glob(labelledFolder + "/train-*.jsonl")
	if err != nil || len(files) == 0 {
		tb.Fatal("no labelled messages:", err)
	}
	var out []Example
	for _, file := range files {
		out = append(out, examplesIn(tb, file)...)
	}
	n := 0
	return slices.DeleteFunc(out, func(Example) bool { n++; return n%nth != 0 })
}

// heldOut gives the messages that no training and no rule has seen.
func heldOut(tb testing.TB) []Example {
	tb.Helper()
	return append(examplesIn(tb, labelledFolder+"/dev.jsonl"), examplesIn(tb, labelledFolder+"/held-out.jsonl")...)
}

func examplesIn(tb testing.TB, file string) []Example {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	examples, err := ReadExamples(f, file)
	if err != nil {
		tb.Fatal(err)
	}
	return examples
}

func shipped(tb testing.TB) *Lexicon {
	tb.Helper()
	lex, err := LoadLexicon(os.DirFS("../../content/lexicon"))
	if err != nil {
		tb.Fatal(err)
	}
	return lex
}

// The weights in the pack were made from the lexicon, the labelled messages and the
// word vectors that stand beside them.
func TestSecondReaderIsFresh(t *testing.T) {
	want, err := TrainingSource(os.DirFS("../../content/lexicon"), os.DirFS(labelledFolder))
	if err != nil {
		t.Fatal(err)
	}
	if got := shipped(t).TrainedFrom(); got != want {
		t.Error("the weights are not those of the lexicon and the labelled messages: run `go run ./cmd/lookout triage train`")
	}
}

// On messages that neither a rule nor a training has seen the reader is above the
// bars of this version. The goals are higher (docs/triage.md): raise the bars with
// the reader.
func TestHeldOutMessagesAreReadAboveTheBars(t *testing.T) {
	lex := shipped(t)
	var f Figures
	for _, x := range heldOut(t) {
		f.Add(&x, Read(lex, x.Text, x.Ask, Profile{}, nil).Level)
	}
	t.Logf("\n%s", f.String())
	for _, bar := range []struct {
		what    string
		of, n   int
		atLeast float64
	}{
		{"emergencies read as emergency", f.count(Emergency, Emergency, Emergency), f.count(Emergency, Emergency, None), 0.96},
		{"urgent read as urgent or higher", f.count(Urgent, Urgent, Urgent), f.count(Urgent, Urgent, None), 0.92},
		{"soon or higher that reach the queue", f.count(Soon, Emergency, Routine), f.count(Soon, Emergency, None), 0.985},
		{"acceptable", f.Acceptable, f.N, 0.91},
		{"harmless left alone", f.Table[None][None], f.count(None, None, None), 0.86},
		{"others not read as emergency", f.N - f.FalseEmergencies, f.N, 0.98},
	} {
		if float64(bar.of) < bar.atLeast*float64(bar.n) {
			t.Errorf("%s: %d of %d, want %.1f%%", bar.what, bar.of, bar.n, 100*bar.atLeast)
		}
	}
}

// The second reader may only raise: no message is read below what the rules are sure of;
// what they guess of an answer to a question that no flow asks counts where it agrees. What no rule understands as harmless goes to a person, unless the second reader
// takes it for harmless and can read nearly every word of it.
func TestSecondReaderOnlyRaises(t *testing.T) {
	lex := shipped(t)
	bare := lex.bare()
	for _, x := range append(labelledMessages(t, 9), heldOut(t)...) {
		r := prepare(bare, &x)
		got := Read(lex, x.Text, x.Ask, Profile{}, nil)
		switch {
		case got.Level < r.sure():
			t.Errorf("%s: the rules are sure that it is %s, and it is read as %s", x.ID, r.sure(), got.Level)
		case got.Level == None && !r.harmless() && !r.readable():
			t.Errorf("%s: nobody understands it, and it goes to nobody", x.ID)
		case got.Level == None && !r.harmless() && !slices.Contains(got.Rules, "second reader: harmless"):
			t.Errorf("%s: it is spared, and the reading does not say why: %q", x.ID, got.Rules)
		}
	}
}

// The same samples train the same network, and what is rounded reads as the network
// does.
func TestTrainingIsRepeatable(t *testing.T) {
	text, err := os.ReadFile(labelledFolder + "/" + VectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := ReadVectors(text)
	if err != nil {
		t.Fatal(err)
	}
	lex, examples := shipped(t), labelledMessages(t, 160)
	tr := newTrainer(lex, examples, vectors)
	on := all(len(examples))
	var networks [members]*network
	for m := range networks {
		networks[m] = tr.train(on, uint64(m))
	}
	again := tr.train(on, 0)
	if !slices.Equal(again.bag.w, networks[0].bag.w) || !slices.Equal(again.word.w, networks[0].word.w) {
		t.Error("a second training gives another network")
	}
	rounded := tr.round(networks, vectors)
	loaded, err := loadSecond(rounded.pack())
	if err != nil {
		t.Fatal(err)
	}
	bare := lex.bare()
	for i := range examples {
		var want [outputs]float32
		for _, n := range networks {
			for k, x := range n.scores(&tr.samples[i]) {
				want[k] += x / members
			}
		}
		for k, x := range loaded.scores(prepare(bare, &examples[i]), new(look)) {
			if off := math.Abs(float64(x - want[k])); off > 0.35 {
				t.Errorf("%s: output %d is %.2f, and %.2f before rounding", examples[i].ID, k, x, want[k])
			}
		}
	}
}

// A lexicon whose weights are damaged is refused with the file's name; whatever
// the bytes are, loading does not panic.
func FuzzWeights(f *testing.F) {
	f.Add([]byte(secondMagic))
	f.Add([]byte("something else"))
	f.Add(empty().pack())
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := loadSecond(text); err == nil {
			if !bytes.Equal(s.pack(), text) {
				t.Error("it is packed otherwise than it was read")
			}
		}
	})
}

// Damaged weights, or those of an earlier format, keep nobody from training new ones.
func TestRulesAreReadBesideDamagedWeights(t *testing.T) {
	files := fstest.MapFS{WeightsFile: {Data: []byte("of a format that is read no more")}}
	from := os.DirFS("../../content/lexicon")
	names, err := fs.Glob(from, "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no lexicon:", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	if _, err := LoadLexicon(files); err == nil || !strings.Contains(err.Error(), "lookout triage train") {
		t.Error("damaged weights: got", err)
	}
	lex, err := LoadRules(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := Read(lex, "found a lump in my breast", nil, Profile{}, nil).Level; got < Soon {
		t.Error("without its second reader it reads a lump as", got)
	}
}
