package triage

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

type labelled struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Ask  *struct {
		Prompt string `json:"prompt"`
		Kind   Kind   `json:"kind"`
	} `json:"ask"`
	Level    Level    `json:"level"`
	Accept   []Level  `json:"accept"`
	Concepts []string `json:"concepts"`
}

func labelledFile(tb testing.TB, path string) []labelled {
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []labelled
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x labelled
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			tb.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func shipped(tb testing.TB) *Lexicon {
	lex, err := LoadLexicon(os.DirFS("../../content/lexicon"))
	if err != nil {
		tb.Fatal(err)
	}
	return lex
}

// The bar below which the reader may not fall on messages that its rules were
// not written from (dev.jsonl).
func TestHeldOutMessages(t *testing.T) {
	lex := shipped(t)
	for _, file := range []string{"dev", "train-1", "train-2", "train-3"} {
		var emergencies, emergenciesRead, worrying, queued, ok, n, harmless, raised, falseE int
		for _, x := range labelledFile(t, "../../content/triage/"+file+".jsonl") {
			var q *Question
			if x.Ask != nil {
				q = &Question{Prompt: x.Ask.Prompt, Kind: x.Ask.Kind}
			}
			got := Read(lex, x.Text, q, Profile{}, nil)
			n++
			if slices.Contains(x.Accept, got.Level) {
				ok++
			}
			if x.Level == Emergency {
				emergencies++
				if got.Level == Emergency {
					emergenciesRead++
				} else if testing.Verbose() && os.Getenv("MISSES") == file {
					t.Logf("E→%s %s %v %q %s", got.Level, x.ID, x.Concepts, x.Text, got.Why)
				}
			} else if got.Level == Emergency && !slices.Contains(x.Accept, Emergency) {
				falseE++
				if os.Getenv("MISSES") == file+"-fe" {
					t.Logf("%s→E %v %q %s", x.Level, x.Concepts, x.Text, got.Why)
				}
			}
			if x.Level >= Soon {
				worrying++
				if got.Level >= Routine {
					queued++
				} else if os.Getenv("MISSES") == file+"-q" {
					t.Logf("%s→none %v %q %s", x.Level, x.Concepts, x.Text, got.Why)
				}
			}
			if x.Level == None {
				harmless++
				if got.Level > None {
					raised++
					if os.Getenv("MISSES") == file+"-h" {
						t.Logf("none→%s %v %q %s", got.Level, x.Concepts, x.Text, got.Why)
					}
				}
			}
		}
		t.Logf("%s: emergencies %d/%d (%.1f%%), worrying queued %d/%d (%.2f%%), acceptable %.1f%%, harmless raised %.1f%%, false emergencies %.1f%%", file, emergenciesRead, emergencies,
			100*float64(emergenciesRead)/float64(emergencies), queued, worrying, 100*float64(queued)/float64(worrying), 100*float64(ok)/float64(n), 100*float64(raised)/float64(max(harmless, 1)), 100*float64(falseE)/float64(n-emergencies))
		if file == "dev" {
			// The bars of this version, in percent: raise them with the reader. The goal
			// is 95 and 99.5 (docs/triage.md).
			if 100*emergenciesRead < 90*emergencies {
				t.Errorf("emergencies read as emergency: %d of %d, want 90%%", emergenciesRead, emergencies)
			}
			if 100*queued < 99*worrying {
				t.Errorf("worrying messages that reach the queue: %d of %d, want 99%%", queued, worrying)
			}
		}
	}
}
