package triage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Lexicon is the compiled vocabulary: concepts with their wordings, the words
// of context, and the rules that combine. It never changes, and may be used by
// many goroutines.
type Lexicon struct {
	digest   string
	concepts map[string]*Concept
	ids      []string
	exact    map[string]sym
	prefixes map[string]sym
	longest  int // of the prefixes
	starts   map[sym][]int32
	patterns []pattern
	rules    []rule
	near     map[string][]string // word with one letter left out → words of the lexicon
	words    map[string]bool     // every whole word of the lexicon
	plain    map[string]bool     // common English words near them, which are not corrected
	commands map[string]string
	context  contextWords
}

// Concept is one thing that a message can be about.
type Concept struct {
	ID     string
	Name   string // plain English
	Level  Level  // of the concept by itself
	Severe Level  // when she calls it severe or scores it 8 or more; at least Level
	New    bool   // being new, or lasting, is what makes it count: an old unchanged one is harmless
	Vague  bool   // says less than others: it gives way to what is named beside it
	Weak   bool   // harmless words that stand in any message: they show nothing by themselves
	Source string
	Ask    []string // what a nurse asks next
}

// sym is a number for a word or the beginning of one.
type sym int32

// pattern is one wording of a concept, compiled.
type pattern struct {
	concept string
	text    string // as written, for the explanation
	file    string
	line    int
	parts   []part
}

// part is one place of a pattern.
type part struct {
	alternatives [][]sym // each a run of words
	gap          int     // words that may stand between it and the part before
	optional     bool
}

type lexiconFile struct {
	Version  int                 `yaml:"version"`
	Review   string              `yaml:"review"`
	Source   string              `yaml:"source"`
	Classes  map[string][]string `yaml:"classes"`
	Concepts []conceptFile       `yaml:"concepts"`
	Rules    []ruleFile          `yaml:"rules"`
	Commands map[string][]string `yaml:"commands"`
	Context  map[string][]string `yaml:"context"`
	English  []string            `yaml:"english"`
}

type conceptFile struct {
	ID       string   `yaml:"id"`
	Name     string   `yaml:"name"`
	Level    string   `yaml:"level"`
	Severe   string   `yaml:"severe"`
	New      bool     `yaml:"new"`
	Vague    bool     `yaml:"vague"`
	Weak     bool     `yaml:"weak"`
	Source   string   `yaml:"source"`
	Ask      []string `yaml:"ask"`
	Wordings []string `yaml:"wordings"`
}

type ruleFile struct {
	ID     string   `yaml:"id"`
	When   []string `yaml:"when"`
	Unless []string `yaml:"unless"`
	Level  string   `yaml:"level"`
	Why    string   `yaml:"why"`
	Source string   `yaml:"source"`
}

// Digest names the lexicon's exact content.
func (l *Lexicon) Digest() string { return l.digest }

// Has says whether there is such a concept.
func (l *Lexicon) Has(id string) bool { return l.concepts[id] != nil }

// Concept gives a concept by id.
func (l *Lexicon) Concept(id string) (Concept, bool) {
	c, ok := l.concepts[id]
	if !ok {
		return Concept{}, false
	}
	return *c, true
}

// Concepts lists the ids of all concepts, sorted.
func (l *Lexicon) Concepts() []string { return slices.Clone(l.ids) }

// compiler gathers faults while it reads.
type compiler struct {
	lex     *Lexicon
	classes map[string][]string
	faults  []error
	file    string
}

func (c *compiler) fault(line int, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s:%d: %s", c.file, max(line, 1), fmt.Sprintf(format, args...)))
}

// LoadLexicon reads every *.yaml at the root of fsys. The error joins every
// fault, each with file, line and what to do.
func LoadLexicon(fsys fs.FS) (*Lexicon, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	lex := &Lexicon{
		concepts: map[string]*Concept{}, exact: map[string]sym{}, prefixes: map[string]sym{}, starts: map[sym][]int32{},
		near: map[string][]string{}, words: map[string]bool{}, plain: map[string]bool{}, commands: map[string]string{},
	}
	c := &compiler{lex: lex, classes: map[string][]string{}}
	sum := sha256.New()
	var loaded []lexiconFile
	var nodes []*yaml.Node
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", file, len(text))
		sum.Write(text)
		f, node := c.read(file, text)
		loaded, nodes = append(loaded, f), append(nodes, node)
		for name, words := range f.Classes {
			if c.classes[name] != nil {
				c.fault(1, "the class %s is there twice: give it one place", name)
			}
			c.classes[name] = words
		}
	}
	if len(files) == 0 {
		return nil, errors.New("lexicon: there is no *.yaml file")
	}
	lex.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	for i, f := range loaded {
		c.file = files[i]
		c.concepts(f, nodes[i])
		for _, w := range f.English {
			lex.plain[w] = true
		}
		for command, words := range f.Commands {
			for _, w := range words {
				lex.commands[joined(w)] = command
			}
		}
		lex.context.add(f.Context)
	}
	for i, f := range loaded {
		c.file = files[i]
		c.rules(f, nodes[i])
	}
	for id := range lex.concepts {
		lex.ids = append(lex.ids, id)
	}
	slices.Sort(lex.ids)
	lex.spelling()
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	return lex, nil
}

func (c *compiler) read(file string, text []byte) (f lexiconFile, node *yaml.Node) {
	c.file = file
	defer func() {
		if r := recover(); r != nil {
			c.fault(1, "the file cannot be read: check its indents and quotes")
		}
	}()
	if err := yaml.Load(text, &f, yaml.WithKnownFields()); err != nil {
		var many *yaml.LoadErrors
		if errors.As(err, &many) {
			for _, e := range many.Errors {
				c.fault(e.Mark.Line, "%s: check the spelling and the indent", e.Message)
			}
		} else {
			c.fault(1, "%v", err)
		}
		return f, nil
	}
	var doc yaml.Node
	if yaml.Load(text, &doc) == nil {
		node = &doc
	}
	if f.Version < 1 {
		c.fault(1, "the version is missing: write `version: 1`")
	}
	if f.Review != "draft" && f.Review != "approved" {
		c.fault(1, "the review state is missing: write `review: draft`")
	}
	return f, node
}

// lineOf finds the line of the nth item of a list at the top of the file.
func lineOf(doc *yaml.Node, list string, n int) int {
	if doc == nil || len(doc.Content) == 0 {
		return 1
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == list && n < len(root.Content[i+1].Content) {
			return root.Content[i+1].Content[n].Line
		}
	}
	return 1
}

func (c *compiler) concepts(f lexiconFile, node *yaml.Node) {
	for i, x := range f.Concepts {
		line := lineOf(node, "concepts", i)
		level, err := ParseLevel(x.Level)
		if err != nil {
			c.fault(line, "concept %s: %v", x.ID, err)
		}
		severe := level
		if x.Severe != "" {
			if severe, err = ParseLevel(x.Severe); err != nil || severe < level {
				c.fault(line, "concept %s: severe must be a level, and not below its own", x.ID)
			}
		}
		switch {
		case x.ID == "" || x.Name == "":
			c.fault(line, "a concept needs an id and a plain name")
			continue
		case c.lex.concepts[x.ID] != nil:
			c.fault(line, "the concept %s is there twice: put its wordings together", x.ID)
			continue
		case x.Source == "" && f.Source == "":
			c.fault(line, "concept %s: the source is missing: say where its level comes from", x.ID)
		case len(x.Wordings) == 0:
			c.fault(line, "concept %s: it has no wordings, and can never be found", x.ID)
		}
		c.lex.concepts[x.ID] = &Concept{ID: x.ID, Name: x.Name, Level: level, Severe: severe, New: x.New, Vague: x.Vague, Weak: x.Weak, Source: cmp.Or(x.Source, f.Source), Ask: x.Ask}
		seen := map[string]bool{}
		for _, w := range x.Wordings {
			if seen[w] {
				c.fault(line, "concept %s: the wording %q is there twice", x.ID, w)
			}
			seen[w] = true
			c.wording(x.ID, w, line)
		}
	}
}

// wording compiles one wording. Words stand one behind another; `a|b` is either,
// `@class` any of a class, `word*` any ending, `~3` up to three words between,
// `word?` may be left out, and `A <6> B` is A and B within six words in either order.
func (c *compiler) wording(concept, text string, line int) {
	if left, right, n, ok := eitherOrder(text); ok {
		gap := " ~" + strconv.Itoa(n) + " "
		c.wording(concept, left+gap+right, line)
		c.wording(concept, right+gap+left, line)
		return
	}
	if strings.Contains(text, "<") {
		c.fault(line, "the wording %q: write `A <6> B`, with 1 to 12 words between", text)
		return
	}
	p := pattern{concept: concept, text: text, file: c.file, line: line}
	gap := 0
	for word := range strings.FieldsSeq(text) {
		if rest, ok := strings.CutPrefix(word, "~"); ok {
			n, err := strconv.Atoi(rest)
			if err != nil || n < 1 || n > 12 {
				c.fault(line, "the wording %q: %q is not a gap: write ~1 to ~12", text, word)
			}
			gap = n
			continue
		}
		x := part{gap: gap}
		gap = 0
		if rest, ok := strings.CutSuffix(word, "?"); ok && len(p.parts) > 0 {
			x.optional, word = true, rest
		}
		for alternative := range strings.SplitSeq(word, "|") {
			c.alternative(&x, alternative, text, line)
		}
		p.parts = append(p.parts, x)
	}
	if len(p.parts) == 0 {
		c.fault(line, "concept %s: an empty wording", concept)
		return
	}
	id := int32(len(c.lex.patterns))
	c.lex.patterns = append(c.lex.patterns, p)
	for _, alternative := range p.parts[0].alternatives {
		if list := c.lex.starts[alternative[0]]; len(list) == 0 || list[len(list)-1] != id {
			c.lex.starts[alternative[0]] = append(list, id)
		}
	}
}

// eitherOrder takes "A <6> B" apart.
func eitherOrder(text string) (left, right string, n int, ok bool) {
	open := strings.Index(text, " <")
	if open < 0 {
		return "", "", 0, false
	}
	shut := strings.Index(text[open:], "> ")
	if shut < 0 {
		return "", "", 0, false
	}
	n, err := strconv.Atoi(text[open+2 : open+shut])
	if err != nil || n < 1 || n > 12 {
		return "", "", 0, false
	}
	return text[:open], text[open+shut+2:], n, true
}

func (c *compiler) alternative(x *part, text, wording string, line int) {
	if name, ok := strings.CutPrefix(text, "@"); ok {
		words, known := c.classes[name]
		if !known {
			c.fault(line, "the wording %q: there is no class %q: mend the spelling, or add it to classes", wording, name)
		}
		for _, w := range words {
			if w == text {
				continue
			}
			c.alternative(x, strings.ReplaceAll(w, " ", "_"), wording, line)
		}
		return
	}
	var run []sym
	for w := range strings.SplitSeq(text, "_") {
		if w == "" {
			c.fault(line, "the wording %q has an empty word", wording)
			return
		}
		run = append(run, c.sym(w))
	}
	x.alternatives = append(x.alternatives, run)
}

// sym gives a word its number. A star stands for any ending.
func (c *compiler) sym(word string) sym {
	l := c.lex
	n := sym(len(l.exact) + len(l.prefixes))
	if stem, ok := strings.CutSuffix(word, "*"); ok {
		if s, ok := l.prefixes[stem]; ok {
			return s
		}
		l.prefixes[stem] = n
		l.longest = max(l.longest, len(stem))
		return n
	}
	word = joined(word)
	if full, ok := textese[word]; ok && !strings.Contains(full, " ") {
		word = full
	}
	if s, ok := l.exact[word]; ok {
		return s
	}
	l.exact[word] = n
	l.words[word] = true
	return n
}

// joined puts a phrase into the form that a message has after tokenising.
func joined(text string) string {
	tokens := tokenise(text)
	words := make([]string, len(tokens))
	for i, t := range tokens {
		words[i] = t.text
	}
	return strings.Join(words, " ")
}

// spelling lists, for each word of the lexicon that is long enough to be
// recognised with a slip, its forms with one letter left out.
func (l *Lexicon) spelling() {
	for w := range l.words {
		if len(w) < 5 {
			continue
		}
		for _, d := range deletions(w) {
			l.near[d] = append(l.near[d], w)
		}
		l.near[w] = append(l.near[w], w)
	}
	for d := range l.near {
		slices.Sort(l.near[d])
	}
}

// deletions lists a word with each of its letters left out.
func deletions(w string) []string {
	out := make([]string, 0, len(w))
	for i := range w {
		out = append(out, w[:i]+w[i+1:])
	}
	return out
}

// correct gives the word of the lexicon that a misspelt one was meant to be, or
// "": one letter more, less, other, or two changed round, and the same first
// letter. A word that English has is never corrected.
func (l *Lexicon) correct(w string) string {
	if len(w) < 5 || len(w) > 20 || l.words[w] || l.plain[w] {
		return ""
	}
	best := ""
	try := func(list []string) {
		for _, candidate := range list {
			if candidate[0] == w[0] && (best == "" || len(candidate) > len(best)) && slip(w, candidate) {
				best = candidate
			}
		}
	}
	try(l.near[w])
	if best != "" {
		return best
	}
	for i := range w {
		if d := w[:i] + w[i+1:]; l.words[d] {
			return d
		}
	}
	for i := range w {
		try(l.near[w[:i]+w[i+1:]])
	}
	return best
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

// see finds what of the lexicon a token can be.
func (l *Lexicon) see(t *token) {
	l.seeWord(t, t.text)
	if len(t.syms) == 0 {
		if t.alt = l.correct(t.text); t.alt != "" {
			l.seeWord(t, t.alt)
		}
	}
}

func (l *Lexicon) seeWord(t *token, w string) {
	if s, ok := l.exact[w]; ok {
		t.syms = append(t.syms, s)
	}
	for n := min(len(w), l.longest); n >= 2; n-- {
		if s, ok := l.prefixes[w[:n]]; ok {
			t.syms = append(t.syms, s)
		}
	}
}
