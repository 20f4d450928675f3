package triage

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxTokens bounds how much of a message is read. A message that is longer is
// never harmless: what was not read goes to a person.
const maxTokens = 700

// maxBytes bounds what is looked at before it is split into words: longer than
// any text message, and than what the chat takes. It keeps the time that the
// worst input takes below the 5 ms that are promised for any.
const maxBytes = 8000

// token is one word, number or sign of a message, with its place in the text as
// it came.
type token struct {
	word       string // folded: lower case, no accents, no apostrophes
	start, end int    // bytes in the message
	clause     int16  // sentences count up
	comma      bool   // a comma, dash or bracket stands before it
	question   bool   // its sentence ends in a question mark
	shout      bool   // its sentence ends in an exclamation mark
	light      bool   // an article, pronoun or auxiliary: it costs no gap
	known      bool   // a word of English, of the lexicon, or a number
	isNumber   bool
	slash      bool // a number behind a slash: the 10 of 7/10
	decimal    bool
	number     float64
	unit       *unit // what of the lexicon it is, by itself
	read       string
}

// folded is a message in lower case without accents and apostrophes, with the
// place of each byte in the message as it came.
type folded struct {
	text string
	at   []int32 // at[i] is where byte i of text came from; one more for the end
}

// fold brings text into the form that words are compared in. The only thing
// that it loses is how the text looked; at keeps where each byte came from.
func fold(text string) folded {
	out := make([]byte, 0, len(text)+8)
	at := make([]int32, 0, len(text)+9)
	put := func(b byte, i int) {
		out = append(out, b)
		at = append(at, int32(i))
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			switch {
			case 'A' <= c && c <= 'Z':
				put(c+'a'-'A', i)
			case c == '\'' || c == '`':
				out, at = apostrophe(out, at, text, i, i+1)
			default:
				put(c, i)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch r {
		case '’', '‘', '´', 'ʼ', '＇':
			out, at = apostrophe(out, at, text, i, i+size)
		case '–', '—', '‒', '−':
			put('-', i)
		case '…':
			put('.', i)
		case '“', '”', '„', '«', '»':
			put('"', i)
		case '\u200d', '\ufe0f', '\u00ad':
		case '½':
			for _, b := range []byte(".5") {
				put(b, i)
			}
		default:
			if unicode.In(r, unicode.Mn) || (r >= 0x1f3fb && r <= 0x1f3ff) { // accents and skin tones
				break
			}
			var buf [32]byte
			for _, f := range string(norm.NFKD.AppendString(buf[:0], text[i:i+size])) {
				if unicode.Is(unicode.Mn, f) {
					continue
				}
				for _, b := range []byte(string(unicode.ToLower(f))) {
					put(b, i)
				}
			}
		}
		i += size
	}
	return folded{string(out), append(at, int32(len(text)))}
}

// keepsS are the words whose 's is part of one word: "it's" is "its".
var keepsS = [...]string{"it", "he", "she", "that", "what", "there", "here", "where", "who", "how", "let", "when", "why", "hat", "wot", "thats", "everyone", "someone"}

// apostrophe drops an apostrophe inside a word, and sets off the 's of a noun:
// "can't" is "cant", "it's" is "its", "my back's bad" is "my back s bad".
func apostrophe(out []byte, at []int32, text string, i, next int) ([]byte, []int32) {
	inside := len(out) > 0 && isWordByte(out[len(out)-1])
	if !inside {
		return append(out, ' '), append(at, int32(i))
	}
	if next < len(text) && (text[next] == 's' || text[next] == 'S') && (next+1 == len(text) || !isWordByte(text[next+1]|0x20)) {
		begin := len(out)
		for begin > 0 && isWordByte(out[begin-1]) {
			begin--
		}
		for _, w := range keepsS {
			if string(out[begin:]) == w {
				return out, at
			}
		}
		return append(out, ' '), append(at, int32(i))
	}
	if begin := len(out) - len("od"); begin >= 0 && string(out[begin:]) == "od" && (begin == 0 || !isWordByte(out[begin-1])) &&
		next < len(text) && text[next]|0x20 == 'd' && (next+1 == len(text) || !isWordByte(text[next+1]|0x20)) {
		from := at[begin] // "od'd" would be "odd"
		out, at = out[:begin], at[:begin]
		for _, b := range []byte("overdose") {
			out, at = append(out, b), append(at, from)
		}
		return out, at
	}
	if next < len(text) && (isWordByte(text[next]|0x20) || text[next] >= utf8.RuneSelf) {
		return out, at
	}
	return append(out, ' '), append(at, int32(i))
}

func isWordByte(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// tokenise splits a message into words that keep their places. It never fails;
// of a message that is too long it gives the beginning, and says so.
func (l *Lexicon) tokenise(text string) (tokens []token, cut bool) {
	whole := len(text)
	text = text[:wholeRunes(text, maxBytes)]
	f := fold(text)
	tokens = make([]token, 0, min(len(text)/4+6, maxTokens+8))
	s := splitter{lex: l, f: f, tokens: tokens}
	cut = s.run() || len(text) < whole
	l.rewrite(&s.tokens)
	l.numbers(s.tokens)
	for i := range s.tokens {
		l.identify(&s.tokens[i])
	}
	return s.tokens, cut
}

// wholeRunes gives how much of text to take, at most most bytes, so that no rune
// is cut.
func wholeRunes(text string, most int) int {
	if len(text) <= most {
		return len(text)
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return most
}

// splitter is one tokenising under way.
type splitter struct {
	lex      *Lexicon
	f        folded
	tokens   []token
	clause   int16
	sentence int // index of the first token of the sentence
	comma    bool
	slash    bool
}

func (s *splitter) run() (cut bool) {
	text := s.f.text
	for i := 0; i < len(text); {
		if len(s.tokens) >= maxTokens {
			return true
		}
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf:
			i = s.word(i)
		case c == '.' && i+1 < len(text) && '0' <= text[i+1] && text[i+1] <= '9' && (i == 0 || text[i-1] == ' '):
			i = s.word(i)
		case c == '+' || c == '&':
			s.add("and", i, i+1)
			i++
		default:
			s.sign(c, i)
			i++
		}
	}
	s.endSentence('.')
	return false
}

// sign takes in punctuation.
func (s *splitter) sign(c byte, i int) {
	switch c {
	case '.', '!', ';', '\n', '?':
		s.endSentence(c)
	case ',', '-', '(', ')', ':', '[', ']', '<', '>', '*', '=':
		s.comma = true
	case '/':
		s.slash = i > 0 && i+1 < len(s.f.text)
	}
}

func (s *splitter) endSentence(c byte) {
	if s.sentence < len(s.tokens) {
		for i := s.sentence; i < len(s.tokens); i++ {
			s.tokens[i].question = s.tokens[i].question || c == '?'
			s.tokens[i].shout = s.tokens[i].shout || c == '!'
		}
		s.sentence = len(s.tokens)
		s.clause++
	} else if c == '?' && len(s.tokens) > 0 { // "…?!"
		last := s.tokens[len(s.tokens)-1].clause
		for i := len(s.tokens) - 1; i >= 0 && s.tokens[i].clause == last; i-- {
			s.tokens[i].question = true
		}
	}
	s.comma, s.slash = false, false
}

// place gives the bytes of the message as it came that text[start:end] is.
func (s *splitter) place(start, end int) (int, int) {
	from, to := int(s.f.at[start]), int(s.f.at[end-1])
	// to the end of the rune that the last byte came from
	next := end
	for next < len(s.f.at)-1 && int(s.f.at[next]) == to {
		next++
	}
	return from, int(s.f.at[next])
}

func (s *splitter) add(word string, start, end int) {
	from, to := s.place(start, end)
	s.tokens = append(s.tokens, token{word: word, start: from, end: to, clause: s.clause, comma: s.comma, slash: s.slash})
	s.comma, s.slash = false, false
}

// word reads one run of letters and digits from i.
func (s *splitter) word(i int) int {
	text, start := s.f.text, i
	digits, letters, other := false, false, false
	for i < len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z':
			letters = true
		case '0' <= c && c <= '9':
			digits = true
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(text[i:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				if i == start {
					return s.symbol(r, i, size)
				}
				goto done
			}
			other = true
			i += size
			continue
		case (c == '.' || c == ',') && !letters && i+1 < len(text) && '0' <= text[i+1] && text[i+1] <= '9' && (digits || i == start):
			digits = true
		default:
			goto done
		}
		i++
	}
done:
	if digits && letters && !other {
		s.mixed(start, i)
		return i
	}
	s.spelled(text[start:i], start, i)
	return i
}

// spelled adds a word, or the words that it is short for.
func (s *splitter) spelled(word string, start, end int) {
	full, ok := s.lex.spellings[word]
	if !ok {
		s.add(word, start, end)
		return
	}
	for part := range strings.FieldsSeq(full) {
		s.add(part, start, end)
	}
}

// mixed takes apart digits with letters at once behind: "3wks", "38.5c", "2day".
func (s *splitter) mixed(start, end int) {
	text := s.f.text
	if _, ok := s.lex.spellings[text[start:end]]; ok {
		s.spelled(text[start:end], start, end)
		return
	}
	for i := start; i < end; {
		j := i
		digit := text[i] < 'a'
		for j < end && (text[j] < 'a') == digit {
			j++
		}
		s.spelled(text[i:j], i, j)
		i = j
	}
}

// symbol takes in an emoji that has words, and passes over any other sign.
func (s *splitter) symbol(r rune, i, size int) int {
	if words, ok := s.lex.emoji[r]; ok {
		for part := range strings.FieldsSeq(words) {
			s.add(part, i, i+size)
		}
	}
	return i + size
}

var tens = map[string]float64{"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
var units = map[string]float64{
	"zero": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}

// numbers gives the tokens that are numbers their value: digits, "eight",
// "thirty eight point five", "nine and a half".
func (l *Lexicon) numbers(tokens []token) {
	for i := 0; i < len(tokens); i++ {
		t := &tokens[i]
		if c := t.word[0]; c <= '9' {
			t.number, t.decimal, t.isNumber = decimal(t.word), strings.ContainsAny(t.word, ".,"), true
			if i+2 < len(tokens) && tokens[i+1].word == "and" && (tokens[i+2].word == "half" || i+3 < len(tokens) && tokens[i+3].word == "half" && tokens[i+2].word == "a") {
				t.number += 0.5
			}
			continue
		}
		if n, ok := units[t.word]; ok {
			t.number, t.isNumber = n, true
		} else if n, ok := tens[t.word]; ok {
			t.number, t.isNumber = n, true
			if i+1 < len(tokens) {
				if u, ok := units[tokens[i+1].word]; ok && u > 0 && u < 10 {
					t.number += u
					tokens[i+1].light = true
					i++
				}
			}
		}
		if !t.isNumber {
			continue
		}
		if i+2 < len(tokens) && tokens[i+1].word == "point" {
			if u, ok := units[tokens[i+2].word]; ok && u < 10 {
				t.number += u / 10
				t.decimal = true
				i += 2
			}
		} else if i+3 < len(tokens) && tokens[i+1].word == "and" && tokens[i+2].word == "a" && tokens[i+3].word == "half" {
			t.number += 0.5
			i += 3
		}
	}
}

func decimal(digits string) float64 {
	value, scale := 0.0, 0.0
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' || c == ',':
			if scale != 0 {
				return value
			}
			scale = 0.1
		case scale != 0:
			value += float64(c-'0') * scale
			scale /= 10
		case value < 1e9:
			value = value*10 + float64(c-'0')
		}
	}
	return value
}

// numberSign gives the sign under which the lexicon knows a kind of number.
func (t *token) numberSign() string {
	switch n := t.number; {
	case n >= 38 && n < 43:
		return "#fever"
	case n >= 37.5 && n < 38:
		return "#warm"
	case n >= 35 && n < 37.5 && t.decimal:
		return "#cool"
	case n >= 1940 && n <= 2100 && !t.decimal:
		return "#year"
	}
	return "#number"
}

// identify finds what of the lexicon a token is: the word itself, its form
// without slips, or the word that it was meant to be.
func (l *Lexicon) identify(t *token) {
	if t.isNumber {
		t.known = true
		if t.unit = l.units[t.word]; t.unit == nil {
			t.unit = l.units[t.numberSign()]
		} else if sign := l.units[t.numberSign()]; sign != nil && t.word[0] > '9' {
			t.unit = t.unit.with(sign)
		}
		return
	}
	if u := l.units[t.word]; u != nil {
		t.unit, t.known = u, true
		t.light = t.light || u.light
		return
	}
	if l.english[t.word] {
		t.known = true
		return
	}
	if len(t.word) > 24 {
		return
	}
	if w := l.variant(t.word); w != "" {
		t.read, t.known = w, true
		if t.unit = l.units[w]; t.unit != nil {
			t.light = t.unit.light
		}
		return
	}
	if u := l.byPrefix(t.word); u != nil {
		t.unit, t.known = u, true
		return
	}
	if w := l.correct(t.word); w != "" {
		t.read, t.known, t.unit = w, true, l.units[w]
	}
}

// variant undoes regular changes of spelling: dropped g's, drawn-out letters.
func (l *Lexicon) variant(w string) string {
	var buf [32]byte
	is := func(b []byte) bool { return l.units[string(b)] != nil || l.english[string(b)] }
	if n := len(w); n > 4 && w[n-2:] == "in" {
		if b := append(append(buf[:0], w...), 'g'); is(b) {
			return string(b)
		}
	}
	if n := len(w); n > 5 && w[n-2:] == "an" { // Scots "-an"
		if b := append(append(buf[:0], w[:n-2]...), "ing"...); is(b) {
			return string(b)
		}
	}
	once, twice := buf[:0], make([]byte, 0, 32)
	drawn := false
	for i := range len(w) {
		run := 1
		for i-run >= 0 && w[i-run] == w[i] {
			run++
		}
		if run == 1 {
			once = append(once, w[i])
		}
		if run <= 2 {
			twice = append(twice, w[i])
		} else {
			drawn = true
		}
	}
	if drawn {
		if is(twice) {
			return string(twice)
		}
		if is(once) {
			return string(once)
		}
	}
	if n := len(w); n > 4 && w[n-1] == 's' && l.units[w[:n-1]] != nil {
		return w[:n-1]
	}
	return ""
}
