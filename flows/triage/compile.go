package triage

import (
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// unit is a word or a phrase of the lexicon.
type unit struct {
	text    string
	light   bool
	in      []uint64         // the set of parts that it fits
	firsts  []int32          // the patterns that can begin with it
	next    map[string]*unit // longer phrases that begin with it, by the next word
	phrase  bool             // it stands in the lexicon by itself, not only as the beginning of a phrase
	classes []uint16         // places in Lexicon.classes of those that it is in
	member  []*part          // while compiling: the parts that it fits
}

// with gives a unit that fits whatever either fits.
func (u *unit) with(o *unit) *unit {
	sum := &unit{text: u.text, light: u.light, next: u.next, phrase: u.phrase || o.phrase}
	sum.in = slices.Clone(u.in)
	for i, b := range o.in {
		if i < len(sum.in) {
			sum.in[i] |= b
		} else {
			sum.in = append(sum.in, b)
		}
	}
	sum.firsts = append(slices.Clone(u.firsts), o.firsts...)
	sum.classes = append(slices.Clone(u.classes), o.classes...)
	return sum
}

// goal is what a pattern shows when it is found.
type goal struct {
	concept *Concept // a concept, or
	veto    bool     // that the concept does not stand here, or
	asked   bool     // that a question asks about it, or
	hint    bool     // that it may: too little to count without the second reader, or
	mark    markKind // a mark of context
}

// pattern is one wording, compiled.
type pattern struct {
	goal
	text  string // as written, for the explanation
	parts []place
}

// place is one part of a pattern and how it follows the one before.
type place struct {
	part     *part
	gap      int8 // words that may stand between it and the place before, light ones not counted; -1: none at all
	optional bool
}

// part is a set of words and phrases, any of which may stand in a place.
type part struct {
	number int
	firsts []int32 // patterns that begin with it
}

const maxGap = 12

// wording compiles one wording. Words stand one behind another; `a|b` is either,
// `@class` any of a class, `word*` any ending, `ach[e|es|ing]` one of the
// endings, `leg(s)` with the ending or without, `a_b` two words in a row, `~3` up to
// three words between (light ones are not counted; `~` alone: only light ones),
// `word?` may be left out, and `A <6> B` is A and B within six words in either order.
func (c *compiler) wording(g goal, text string, line int) {
	if left, right, n, ok := eitherOrder(text); ok {
		gap := " ~" + strconv.Itoa(n) + " "
		c.wording(g, left+gap+right, line)
		c.wording(g, right+gap+left, line)
		return
	}
	if strings.ContainsAny(text, "<>") {
		c.fault(line, "the wording %q: write `A <6> B`, with 1 to %d words between", text, maxGap)
		return
	}
	p := pattern{goal: g, text: text}
	gap := int8(-1)
	for word := range strings.FieldsSeq(text) {
		if rest, ok := strings.CutPrefix(word, "~"); ok {
			n, err := strconv.Atoi("0" + rest)
			if err != nil || n > maxGap {
				c.fault(line, "the wording %q: %q is not a gap: write ~ or ~1 to ~%d", text, word, maxGap)
			}
			gap = int8(min(n, maxGap))
			continue
		}
		optional := false
		if rest, ok := strings.CutSuffix(word, "?"); ok && len(p.parts) > 0 {
			optional, word = true, rest
		}
		p.parts = append(p.parts, place{part: c.part(word, text, line), gap: gap, optional: optional})
		gap = -1
	}
	if len(p.parts) == 0 {
		c.fault(line, "an empty wording: take it out")
		return
	}
	id := int32(len(c.lex.patterns))
	c.lex.patterns = append(c.lex.patterns, p)
	p.parts[0].part.firsts = append(p.parts[0].part.firsts, id)
}

// eitherOrder takes "A <6> B" apart.
func eitherOrder(text string) (left, right string, n int, ok bool) {
	left, rest, ok := strings.Cut(text, " <")
	if !ok {
		return "", "", 0, false
	}
	number, right, ok := strings.Cut(rest, "> ")
	if !ok {
		return "", "", 0, false
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxGap || strings.ContainsAny(right, "<>") {
		return "", "", 0, false
	}
	return left, right, n, true
}

// part gives the part of that text; the same text is the same part.
func (c *compiler) part(text, wording string, line int) *part {
	if p := c.parts[text]; p != nil {
		return p
	}
	p := &part{number: len(c.parts)}
	c.parts[text] = p
	for alternative := range splitAlternatives(text) {
		if name, ok := strings.CutPrefix(alternative, "@"); ok {
			words, known := c.class(name, nil)
			if !known {
				c.fault(line, "the wording %q: there is no class %q: mend the spelling, or add it to classes", wording, name)
			}
			for _, w := range words {
				c.member(p, w, wording, line)
			}
			continue
		}
		c.member(p, alternative, wording, line)
	}
	return p
}

// splitAlternatives cuts at the bars that stand outside brackets.
func splitAlternatives(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		depth, from := 0, 0
		for i := range len(text) {
			switch text[i] {
			case '[', '(':
				depth++
			case ']', ')':
				depth--
			case '|':
				if depth == 0 {
					if !yield(text[from:i]) {
						return
					}
					from = i + 1
				}
			}
		}
		yield(text[from:])
	}
}

// class spells a class out: the words of the classes that it names come too.
func (c *compiler) class(name string, inside []string) ([]string, bool) {
	if words, ok := c.expand[name]; ok {
		return words, true
	}
	list, ok := c.classes[name]
	if !ok || slices.Contains(inside, name) {
		return nil, ok && !slices.Contains(inside, name)
	}
	var out []string
	for _, w := range list {
		if inner, ok := strings.CutPrefix(w, "@"); ok {
			words, known := c.class(inner, append(inside, name))
			if !known {
				c.fault(1, "the class %s: there is no class %q, or it holds itself: mend the spelling", name, inner)
			}
			out = append(out, words...)
			continue
		}
		out = append(out, strings.ReplaceAll(w, " ", "_"))
	}
	c.expand[name] = out
	return out, true
}

// member puts a word or phrase, in all its forms, into a part.
func (c *compiler) member(p *part, text, wording string, line int) {
	forms, ok := endings(text)
	if !ok {
		c.fault(line, "the wording %q: %q: write endings as `ach[e|es]` or `leg(s)`", wording, text)
		return
	}
	for _, form := range forms {
		if stem, ok := strings.CutSuffix(form, "*"); ok {
			if len(stem) < 3 || strings.ContainsAny(stem, "_*") {
				c.fault(line, "the wording %q: %q: at least three letters before a star, in one word", wording, form)
				continue
			}
			u := c.lex.prefixes[stem]
			if u == nil {
				u = &unit{text: stem}
				c.lex.prefixes[stem] = u
			}
			u.member = append(u.member, p)
			continue
		}
		u := c.phrase(form)
		if u == nil {
			c.fault(line, "the wording %q has an empty word", wording)
			continue
		}
		u.phrase = true
		u.member = append(u.member, p)
	}
}

// plainUnits gives the units of a word in all its forms.
func (c *compiler) plainUnits(text string, line int) []*unit {
	forms, _ := endings(strings.ReplaceAll(text, " ", "_"))
	var out []*unit
	for _, form := range forms {
		if u := c.phrase(form); u != nil {
			out = append(out, u)
		} else {
			c.fault(line, "%q is not a word", text)
		}
	}
	return out
}

// endings gives the forms of "ach[e|es|ing]" and "leg(s|ged)".
func endings(text string) ([]string, bool) {
	open := strings.IndexAny(text, "[(")
	if open < 0 {
		return []string{text}, !strings.ContainsAny(text, "])|") && text != ""
	}
	shut := strings.IndexAny(text[open:], "])")
	if shut < 0 || (text[open] == '[') != (text[open+shut] == ']') {
		return nil, false
	}
	shut += open
	var out []string
	if text[open] == '(' {
		out = append(out, text[:open])
	}
	for ending := range strings.SplitSeq(text[open+1:shut], "|") {
		out = append(out, text[:open]+ending)
	}
	rest := text[shut+1:]
	if rest == "" {
		return out, true
	}
	tails, ok := endings(rest)
	if !ok {
		return nil, false
	}
	var all []string
	for _, head := range out {
		for _, tail := range tails {
			all = append(all, head+tail)
		}
	}
	return all, true
}

// phrase gives the unit of words joined by "_", making it if need be; nil if
// there are no words in it.
func (c *compiler) phrase(text string) *unit {
	var words []string
	if strings.HasPrefix(text, "#") || strings.HasPrefix(text, "^") {
		words = []string{text}
	} else {
		for w := range strings.SplitSeq(text, "_") {
			f := c.lex.fold1(w)
			words = append(words, f...)
		}
	}
	if len(words) == 0 {
		return nil
	}
	u := c.lex.units[words[0]]
	if u == nil {
		u = &unit{text: words[0]}
		c.lex.units[words[0]] = u
	}
	for _, w := range words[1:] {
		if u.next == nil {
			u.next = map[string]*unit{}
		}
		n := u.next[w]
		if n == nil {
			n = &unit{text: u.text + " " + w}
			u.next[w] = n
		}
		u = n
		if c.lex.units[w] == nil { // a word inside a phrase is a word of the lexicon
			c.lex.units[w] = &unit{text: w}
		}
	}
	return u
}

// fold1 brings one written word of the lexicon into the form that the words of a
// message have: the spellings' own long forms.
func (l *Lexicon) fold1(w string) []string {
	f := strings.Fields(fold(w).text)
	var out []string
	for _, x := range f {
		if full, ok := l.spellings[x]; ok {
			out = append(out, strings.Fields(full)...)
			continue
		}
		out = append(out, x)
	}
	return out
}

// joined gives the words of a text as a message's are compared.
func (l *Lexicon) joined(text string) string {
	tokens, _ := l.tokenise(text)
	words := make([]string, len(tokens))
	for i := range tokens {
		words[i] = tokens[i].word
	}
	return strings.Join(words, " ")
}

// finish gives every unit its set of parts and its patterns.
func (c *compiler) finish() {
	l := c.lex
	names := slices.Sorted(maps.Keys(c.classes))
	for i, name := range names {
		c.numbered[c.part("@"+name, "@"+name, 1)] = uint16(i)
		l.classSigns = append(l.classSigns, signHash("@"+name))
	}
	l.classes = names
	l.blocks = (len(c.parts) + 63) / 64
	l.shortest = 99
	for stem := range l.prefixes {
		l.shortest, l.longest = min(l.shortest, len(stem)), max(l.longest, len(stem))
	}
	// Known words that a stem covers fit what the stem fits.
	cover := func(w string, make bool) {
		for n := l.shortest; n <= min(l.longest, len(w)); n++ {
			stem := l.prefixes[w[:n]]
			if stem == nil {
				continue
			}
			u := l.units[w]
			if u == nil {
				if !make {
					return
				}
				u = &unit{text: w}
				l.units[w] = u
			}
			u.phrase = true
			u.member = append(u.member, stem.member...)
		}
	}
	words := make([]string, 0, len(l.units))
	for w := range l.units {
		words = append(words, w)
	}
	for _, w := range words {
		cover(w, false)
	}
	for w := range l.english {
		if l.units[w] == nil {
			cover(w, true)
		}
	}
	var all func(u *unit)
	all = func(u *unit) {
		c.settle(u)
		for _, n := range u.next {
			all(n)
		}
	}
	for _, u := range l.units {
		all(u)
	}
	for _, u := range l.prefixes {
		c.settle(u)
	}
	l.spelling()
}

// settle turns the parts that a unit fits into a set.
func (c *compiler) settle(u *unit) {
	if u.member == nil || u.in != nil {
		return
	}
	u.in = make([]uint64, c.lex.blocks)
	seen := map[*part]bool{}
	for _, p := range u.member {
		if seen[p] {
			continue
		}
		seen[p] = true
		u.in[p.number/64] |= 1 << (p.number % 64)
		u.firsts = append(u.firsts, p.firsts...)
		if n, ok := c.numbered[p]; ok {
			u.classes = append(u.classes, n)
		}
	}
	slices.Sort(u.firsts)
	u.firsts = slices.Compact(u.firsts)
	slices.Sort(u.classes)
	u.member = nil
}

func (u *unit) fits(p *part) bool {
	return u.in != nil && u.in[p.number/64]&(1<<(p.number%64)) != 0
}

func count(set []uint64) (n int) {
	for _, b := range set {
		n += bits.OnesCount64(b)
	}
	return n
}

// byPrefix gives what a word that is in no list fits by its beginning.
func (l *Lexicon) byPrefix(w string) *unit {
	var found *unit
	for n := min(l.longest, len(w)); n >= l.shortest; n-- {
		if u := l.prefixes[w[:n]]; u != nil {
			if found == nil {
				found = u
			} else {
				found = found.with(u)
			}
		}
	}
	return found
}

// rewrite is a run of words that is read as another: slips of dictation.
type rewrite struct {
	from, to []string
}

// rewriteRule compiles "shirt of breath = short of breath".
func (c *compiler) rewriteRule(text string, line int) {
	left, right, ok := strings.Cut(text, "=")
	from, to := strings.Fields(left), strings.Fields(right)
	if !ok || len(from) == 0 || len(to) == 0 || len(from) > 6 || len(to) > 6 {
		c.fault(line, "the rewrite %q: write `shirt of breath = short of breath`, at most six words each", text)
		return
	}
	options := make([][]string, 0, len(from))
	total := 1
	for _, w := range from {
		alternatives := strings.Split(w, "|")
		total *= len(alternatives)
		options = append(options, alternatives)
	}
	if total > 500 {
		c.fault(line, "the rewrite %q has too many alternatives: make it several", text)
		return
	}
	var all func(n int, words []string)
	all = func(n int, words []string) {
		if n == len(options) {
			r := rewrite{from: slices.Clone(words), to: slices.Clone(to)}
			for i, w := range r.to { // $2 is the second word as it came
				if k, err := strconv.Atoi(strings.TrimPrefix(w, "$")); err == nil && strings.HasPrefix(w, "$") && k >= 1 && k <= len(words) {
					r.to[i] = words[k-1]
				}
			}
			c.lex.rewrites[words[0]] = append(c.lex.rewrites[words[0]], r)
			return
		}
		for _, w := range options[n] {
			all(n+1, append(words, w))
		}
	}
	all(0, nil)
}

// rewrite applies the first rewriting that fits at each word.
func (l *Lexicon) rewrite(tokens *[]token) {
	in := *tokens
	for i := 0; i < len(in); i++ {
		for _, r := range l.rewrites[in[i].word] {
			if !r.at(in, i) {
				continue
			}
			n := len(r.from)
			replaced := make([]token, len(r.to))
			for k := range replaced {
				replaced[k] = in[min(i+k, i+n-1)]
				replaced[k].word = r.to[k]
				replaced[k].read = "" // the words themselves say what was made of them
				replaced[k].comma = k == 0 && in[i].comma
			}
			if len(r.to) != n {
				for k := range replaced {
					replaced[k].start, replaced[k].end = in[i].start, in[i+n-1].end
				}
			}
			in = slices.Replace(in, i, i+n, replaced...)
			i += len(r.to) - 1
			break
		}
	}
	*tokens = in
}

func (r *rewrite) at(tokens []token, i int) bool {
	if i+len(r.from) > len(tokens) {
		return false
	}
	for k, w := range r.from {
		if tokens[i+k].word != w || tokens[i+k].clause != tokens[i].clause {
			return false
		}
	}
	return true
}

// spelling lists, for each word of the lexicon that is long enough to be
// recognised with a slip, its forms with one letter left out.
func (l *Lexicon) spelling() {
	for w := range l.units {
		if len(w) < 4 || len(w) > 16 || w[0] < 'a' || w[0] > 'z' {
			continue
		}
		if len(w) == 4 && l.english[w] { // too many neighbours
			continue
		}
		for i := range w {
			d := w[:i] + w[i+1:]
			if list := l.near[d]; len(list) == 0 || list[len(list)-1] != w {
				l.near[d] = append(list, w)
			}
		}
		l.near[w] = append(l.near[w], w)
	}
	for d := range l.near {
		slices.Sort(l.near[d])
		l.near[d] = slices.Compact(l.near[d])
	}
}

// correct gives the word of the lexicon that a misspelt one was meant to be, or
// "": one letter more, less, other, or two changed round, and the same first
// letter. A word that English has is never corrected.
func (l *Lexicon) correct(w string) string {
	if len(w) < 4 || len(w) > 18 || w[0] < 'a' || w[0] > 'z' {
		return ""
	}
	best := ""
	try := func(list []string) {
		for _, candidate := range list {
			if candidate[0] != w[0] || (len(w) == 4 && len(candidate) < 5) || !slip(w, candidate) {
				continue
			}
			// The word that says more wins: one that begins a pattern over one that stands inside a phrase.
			if best == "" || l.weight(candidate) > l.weight(best) {
				best = candidate
			}
		}
	}
	try(l.near[w])
	var buf [24]byte
	for i := range len(w) {
		d := append(append(buf[:0], w[:i]...), w[i+1:]...)
		try(l.near[string(d)])
	}
	return best
}

// weight says how much of the lexicon a word is in.
func (l *Lexicon) weight(w string) int {
	u := l.units[w]
	if u == nil || u.in == nil {
		return 0
	}
	return count(u.in) + len(u.firsts)
}

// slip says whether two words differ by one slip of the finger: a letter more or
// less or other, or two neighbours changed round.
func slip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if i == len(a) {
		return true
	}
	return a[i+1:] == b[i+1:] || (i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:])
}
