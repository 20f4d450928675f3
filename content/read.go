package content

import (
	"cmp"
	"fmt"
	"strings"
)

// TextWords is a text with all its wordings, as its author wrote them.
type TextWords struct {
	ID       string
	Segments int // that it may need
	Wordings []Wording
}

// Wording is a text in one language, and perhaps for one channel alone.
type Wording struct {
	Key   string // "en-GB", "cy", or "en-GB/chat" for a channel's own
	Name  string // in words
	Words string
	Welsh bool
	Note  string // how long it is at its longest, and how hard to read
}

// Texts lists every text, by id.
func (p *Pack) Texts() []TextWords {
	var out []TextWords
	for _, id := range sortedKeys(p.texts) {
		t := p.texts[id]
		w := TextWords{ID: id, Segments: t.segments}
		for _, key := range []string{"en-GB", "cy", "en-GB/chat", "cy/chat", "en-GB/email", "en-GB/webhook"} {
			words := t.wording[key]
			if words == "" {
				continue
			}
			x := Wording{Key: key, Name: Wordings[key], Words: words, Welsh: strings.HasPrefix(key, "cy")}
			var notes []string
			if !strings.Contains(key, "/") {
				n, _ := Segments(placeholder.ReplaceAllStringFunc(words, func(m string) string { return Placeholders[m[1:len(m)-1]] }))
				notes = append(notes, fmt.Sprintf("%d of %d SMS segments at its longest", n, t.segments))
			}
			if !x.Welsh {
				notes = append(notes, fmt.Sprintf("reading age %d", ReadingAge(fillOrdinary(words))))
			}
			x.Note = strings.Join(notes, ", ")
			w.Wordings = append(w.Wordings, x)
		}
		out = append(out, w)
	}
	return out
}

// In is the wording that somebody gets, with its placeholders open.
func (t TextWords) In(locale, channel string) string {
	by := map[string]string{}
	for _, w := range t.Wordings {
		by[w.Key] = w.Words
	}
	return cmp.Or(by[locale+"/"+channel], by[locale], by["en-GB/"+channel], by["en-GB"])
}
