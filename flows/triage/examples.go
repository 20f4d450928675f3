package triage

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Example is a labelled message (content/triage/LABELS.md).
type Example struct {
	ID       string    `json:"id"`
	Text     string    `json:"text"`
	Ask      *Question `json:"-"`
	Level    Level     `json:"level"`
	Accept   []Level   `json:"accept"` // levels that a careful nurse would call right, Level among them
	Concepts []string  `json:"concepts"`
	Tags     []string  `json:"tags"`
}

// ReadExamples reads labelled messages, one JSON object a line. A line that is
// none, or that contradicts itself, is an error with its number.
func ReadExamples(in io.Reader, name string) ([]Example, error) {
	var out []Example
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var x struct {
			Example
			Ask *struct {
				Prompt string `json:"prompt"`
				Kind   Kind   `json:"kind"`
			} `json:"ask"`
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("%s:%d: no labelled message: %w", name, n, err)
		}
		if !slices.Contains(x.Accept, x.Level) {
			return nil, fmt.Errorf("%s:%d: `accept` must hold the level itself, %s", name, n, x.Level)
		}
		if x.Ask != nil {
			x.Example.Ask = &Question{Prompt: x.Ask.Prompt, Kind: x.Ask.Kind}
		}
		out = append(out, x.Example)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
