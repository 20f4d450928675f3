package bot

import (
	"encoding/json"
	"testing"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// BenchmarkTurnInMemory is one reply in a check-in of the shipped pack, without a
// store: her state decoded, her words read with the question, a step taken, the
// state encoded; and the same without the reading.
func BenchmarkTurnInMemory(b *testing.B) {
	pack, err := content.Shipped()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	state, _, err := flows.Step(pack.Program(), flows.State{}, flows.Event{Now: now, Start: "check-in"}, flows.Facts{})
	if err != nil {
		b.Fatal(err)
	}
	stored, err := json.Marshal(state)
	if err != nil {
		b.Fatal(err)
	}
	open, ok := pack.Program().Open(state)
	if !ok {
		b.Fatal("no question is open")
	}
	prompt, err := pack.Text(open.Text, "en-GB", "sms", map[string]string{"given_name": "Mary", "service": "Anytown breast nurses"})
	if err != nil {
		b.Fatal(err)
	}
	question := &triage.Question{Prompt: prompt, Kind: open.Kind, Concepts: open.Concepts, Today: now}
	const words = "no nothing new thank you just a bit tired"
	facts := flows.Facts{Profile: map[string]any{"tablets": "letrozole", "age": 65}, Service: map[string]any{"open_access": true}, Open: true}
	read := triage.Read(pack.Lexicon(), words, question, triage.Profile{}, nil)
	for name, reading := range map[string]func() triage.Reading{
		"with triage":    func() triage.Reading { return triage.Read(pack.Lexicon(), words, question, triage.Profile{}, nil) },
		"without triage": func() triage.Reading { return read },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var s flows.State
				if err := json.Unmarshal(stored, &s); err != nil {
					b.Fatal(err)
				}
				s, effects, err := flows.Step(pack.Program(), s, flows.Event{Now: now, Reply: &flows.Reply{Text: words, Reading: reading()}}, facts)
				if err != nil || len(effects) == 0 {
					b.Fatal(effects, err)
				}
				if _, err := json.Marshal(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
