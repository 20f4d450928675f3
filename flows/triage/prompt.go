package triage

import (
	"slices"
	"strings"
)

// asked is what a question asks about.
type asked struct {
	topics    []*Concept // what a "yes" affirms, or a "no" where being well is asked
	tokens    []token    // of the question
	well      bool       // it asks whether she is well, able, or rid of something: a "no" is bad news
	negative  bool       // it is put in the negative: "You haven't had any trouble, have you?"
	presumes  bool       // it takes the topic for granted: "Which leg is swollen?"
	practical bool       // it asks about nothing medical
	relief    bool       // it asks whether painkillers help
	safety    bool       // it asks whether she is safe
	offer     bool       // it offers a call
	errand    bool       // it is about messages, visits, medicines or help, and not about how she is
	open      bool       // it asks how something is or was, and takes nothing for granted
	prompt    []uint32   // hashes of its words, for the second reader
	content   []uint32   // those that are not light
	signs     []uint32   // of the classes that its words are in, those of word i in signs[signEnds[i-1]:signEnds[i]]
	signEnds  []int32
}

// maxPrompts bounds how many questions a lexicon remembers. A service asks some
// hundreds; what is beyond is read each time.
const maxPrompts = 2000

// ask reads the question. The words of a question are read once and remembered.
func (r *reader) ask() asked {
	var a asked
	if known, ok := r.lex.prompts.Load(r.q.Prompt); ok {
		a = *known.(*asked)
	} else {
		a = r.readPrompt()
		if r.lex.promptCount.Add(1) <= maxPrompts {
			words := a // what follows is of this question alone, and others read what is kept
			r.lex.prompts.Store(r.q.Prompt, &words)
		}
	}
	if len(r.q.Concepts) > 0 {
		a.topics = nil
		for _, id := range r.q.Concepts {
			if c := r.lex.concepts[id]; c != nil {
				a.topics = append(a.topics, c)
			}
		}
	}
	if r.q.Trouble != "" {
		a.well, a.negative = r.q.Trouble == "no" || r.q.Trouble == "low", false
	}
	for _, c := range a.topics {
		a.offer = a.offer || c.ID == "contact_request"
	}
	a.practical = len(a.topics) > 0 && !slices.ContainsFunc(a.topics, func(c *Concept) bool { return c.Level >= Soon })
	return a
}

// readPrompt reads the words of the question.
func (r *reader) readPrompt() asked {
	var a asked
	inner := &reader{lex: r.lex, text: r.q.Prompt, p: r.p, prompt: true}
	stem, _ := splitOptions(r.q.Prompt)
	inner.text = withoutReplyWords(stem)
	inner.tokens, _ = r.lex.tokenise(inner.text)
	found, _, _ := r.lex.find(inner.tokens)
	inner.settle(found)
	a.tokens = inner.tokens
	question := inner.questionAt()
	for i, k := range inner.mask {
		switch {
		case i >= len(inner.tokens) || question >= 0 && inner.tokens[i].clause != question:
		case k&bit(markWell) != 0: // "free of" is a negation too, and asks whether she is well
			a.well = true
		case k&bit(markNegation) != 0:
			a.negative = a.negative || !a.well // "Did they feel normal, no weakness?" is not put in the negative
		}
	}
	words := r.lex.words
	a.presumes = inner.anywhere(words.presumes)
	a.relief = inner.anywhere(words.relief)
	a.safety = inner.anywhere(words.safety)
	a.errand = inner.anywhere(words.errand)
	a.open = inner.anywhere(words.open)
	a.topics = inner.topics()
	whole, _ := r.lex.tokenise(r.q.Prompt)
	for i := range whole[:min(len(whole), maxPrompt)] {
		a.prompt = append(a.prompt, wordHash(whole[i].meant()))
		if !whole[i].light {
			a.content = append(a.content, a.prompt[i])
		}
		for _, c := range whole[i].classes() {
			a.signs = append(a.signs, r.lex.classSigns[c])
		}
		a.signEnds = append(a.signEnds, int32(len(a.signs)))
	}
	return a
}

// questionAt gives the sentence that ends with the last question mark, or -1: what is
// said before it ("We have not heard from you.") asks nothing.
func (r *reader) questionAt() int16 {
	for i := len(r.tokens) - 1; i >= 0; i-- {
		if r.tokens[i].question {
			return r.tokens[i].clause
		}
	}
	return -1
}

// withoutReplyWords takes the words out that say how to answer: the "NO" of
// "Reply YES or NO" denies nothing.
func withoutReplyWords(prompt string) string {
	end := strings.LastIndexByte(prompt, '?')
	if end < 0 {
		return prompt
	}
	for word := range strings.FieldsFuncSeq(prompt[end:], func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') }) {
		switch strings.ToLower(word) {
		case "reply", "please", "answer", "text", "with", "just", "yes", "no", "or", "y", "n", "unsure", "not", "sure", "if", "you", "can":
		default:
			return prompt
		}
	}
	return prompt[:end+1]
}

// topics gives what a question is about: the wordings that are kept for
// questions first, else whatever it names.
func (r *reader) topics() []*Concept {
	var special, plain []*Concept
	for i := range r.matches {
		m := &r.matches[i]
		c := m.pattern.concept
		if c.Level == None || c.askedOnly && !m.pattern.asked {
			continue
		}
		list := &plain
		if m.pattern.asked {
			list = &special
		}
		if !slices.Contains(*list, c) {
			*list = append(*list, c)
		}
	}
	if len(special) > 0 {
		plain = append(special, plain...)
	}
	definite := slices.ContainsFunc(plain, func(c *Concept) bool { return c.Level >= Soon && !c.Vague })
	out := plain[:0:0]
	for _, c := range plain {
		if definite && (c.Vague || c.Level < Soon) || slices.Contains(out, c) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// anywhere says whether a word or phrase of a part stands in the message.
func (r *reader) anywhere(p *part) bool {
	for i := range r.tokens {
		if r.phraseAt(i, p) > 0 {
			return true
		}
	}
	return false
}

// phraseAt gives the length in tokens of the longest word or phrase of a part
// that stands at token i, or 0. A phrase does not reach over a comma.
func (r *reader) phraseAt(i int, p *part) int {
	if p == nil || i >= len(r.tokens) {
		return 0
	}
	t := &r.tokens[i]
	u := t.unit
	if u == nil {
		return 0
	}
	best := 0
	if u.fits(p) {
		best = 1
	}
	for k := i + 1; k < len(r.tokens) && u.next != nil && r.tokens[k].clause == t.clause && !r.tokens[k].comma; k++ {
		w := r.tokens[k].word
		if u.next[w] == nil && r.tokens[k].read != "" {
			w = r.tokens[k].read
		}
		if u = u.next[w]; u == nil {
			break
		}
		if u.fits(p) {
			best = k - i + 1
		}
	}
	return best
}

// scaleEnds reads which numbers a scale runs between, and whether its high end
// is the good one.
func (r *reader) scaleEnds(a *asked) (low, high float64, reversed bool) {
	low, high = 0, 10
	inner := &reader{lex: r.lex, text: r.q.Prompt, p: r.p, prompt: true}
	inner.tokens, _ = r.lex.tokenise(r.q.Prompt)
	var at []int
	for i := range inner.tokens {
		if t := &inner.tokens[i]; t.isNumber && t.number <= 100 && (t.word[0] <= '9') {
			at = append(at, i)
		}
	}
	values := map[float64]int{} // number → its last place with words behind it
	least, most := 1e9, -1.0
	for _, i := range at {
		n := inner.tokens[i].number
		values[n] = i
		least, most = min(least, n), max(most, n)
	}
	switch {
	case r.q.Min != r.q.Max:
		low, high = r.q.Min, r.q.Max
	case len(values) >= 2:
		low, high = least, most
	case len(values) == 1 && most > 1:
		high = most
	}
	words := r.lex.words
	meaning := func(n float64) (good, bad bool) {
		for _, i := range at {
			if inner.tokens[i].number != n {
				continue
			}
			for k := i + 1; k < len(inner.tokens) && k <= i+9 && !inner.tokens[k].isNumber; k++ {
				if inner.phraseAt(k, words.scaleGood) > 0 {
					good = true
					break
				}
				if inner.phraseAt(k, words.scaleBad) > 0 {
					bad = true
					break
				}
			}
		}
		return good, bad
	}
	goodHigh, badHigh := meaning(high)
	goodLow, badLow := meaning(low)
	switch {
	case goodHigh && !badHigh:
		reversed = true
	case badHigh && !goodHigh:
	case badLow && !goodLow:
		reversed = true
	case goodLow && !badLow:
	default:
		for i := range inner.tokens {
			if inner.tokens[i].isNumber {
				break
			}
			if inner.phraseAt(i, words.scaleAsksGood) > 0 {
				reversed = true
				break
			}
		}
	}
	return low, high, reversed
}

// splitOptions takes the options out of the words of a question: "A) … B) …",
// "1 … 2 …", "1 = …". Of letters and numbers those name the options that come first: "A less
// than a week, B 1 to 2 weeks".
func splitOptions(prompt string) (stem string, options []Option) {
	keys, letters := optionKeys(prompt, '1'), optionKeys(prompt, 'A')
	if len(keys) < 2 || len(letters) >= 2 && letters[0].start < keys[0].start {
		keys = letters
	}
	if len(keys) < 2 {
		if stem, options := shoutedOptions(prompt); len(options) > 1 {
			return stem, options
		}
		return prompt, nil
	}
	for i, k := range keys {
		end := len(prompt)
		if i+1 < len(keys) {
			end = keys[i+1].start
		}
		label := strings.Trim(prompt[k.end:end], " ,.;:=()-?\n")
		if strings.HasSuffix(label, " or") || strings.HasSuffix(label, " and") {
			label = label[:strings.LastIndexByte(label, ' ')]
		}
		if label == "" {
			return prompt, nil
		}
		options = append(options, Option{Key: k.name, Label: strings.Trim(label, " ,.;:")})
	}
	return prompt[:keys[0].start], options
}

// optionKey is the letter or number of an option in the words of a question.
type optionKey struct {
	name       string
	start, end int
}

// optionKeys finds the keys of options in a question: first and those that follow it, in
// their order. A small letter is one only with a sign behind it: "a)".
func optionKeys(prompt string, first byte) (keys []optionKey) {
	letters := first == 'A'
	for i := 0; i+1 < len(prompt) && len(keys) < 9; i++ {
		c, want := prompt[i], first+byte(len(keys))
		if i > 0 && isNameByte(prompt[i-1]) || isNameByte(prompt[i+1]) || c != want && !(letters && c == want|0x20) {
			continue
		}
		if marked := strings.IndexByte(").:=", prompt[i+1]) >= 0; letters && c != want && !marked {
			continue
		}
		keys = append(keys, optionKey{strings.ToLower(string(c)), i, i + 1})
	}
	return keys
}

// shoutedOptions takes out options that are words in capitals at the end: "Reply
// ALL, SOME or STOPPED". YES, NO and UNSURE are answers to any question, and no
// options.
func shoutedOptions(prompt string) (stem string, options []Option) {
	at := strings.LastIndexByte(prompt, '?') + 1
	for word := range strings.FieldsFuncSeq(prompt[at:], func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') }) {
		switch {
		case word == "YES" || word == "NO" || word == "UNSURE" || word == "STOP":
			return prompt, nil
		case len(word) > 1 && strings.ToUpper(word) == word:
			options = append(options, Option{Key: strings.ToLower(word), Label: strings.ToLower(word)})
		case word != "Reply" && word != "or" && word != "Answer" && word != "with" && word != "Please" && word != "reply":
			return prompt, nil
		}
	}
	return prompt[:at], options
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '\''
}
