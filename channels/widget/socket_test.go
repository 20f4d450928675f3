package widget

import (
	"encoding/json"
	"testing"
)

// Whatever comes over a socket is a frame of ours or none.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{`{"type":"hello","after":3}`, `{"type":"say","id":"x","text":"hello"}`, `{"type":"say","text":1}`, `null`, `[]`, `{"type":"hello","after":-1}`, "\xff", `{"type":"hello","after":1e99}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		frame, ok := parseFrame(text)
		if !ok {
			return
		}
		if frame.After < 0 || (frame.Type != "hello" && frame.Type != "say") || !json.Valid(text) {
			t.Errorf("taken for a frame: %q", text)
		}
	})
}

// Every word of the pages is there in each language.
func TestWordsInBothLanguages(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{english, welsh}, {welsh, english}} {
		for key, text := range words[pair[0]] {
			if text == "" || words[pair[1]][key] == "" {
				t.Errorf("%q is in %s and not in %s, or is empty", key, pair[0], pair[1])
			}
		}
	}
	if len(words[english]) == 0 {
		t.Error("there are no words")
	}
}
