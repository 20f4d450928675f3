package triage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v4"
)

// Lexicon is the compiled vocabulary: concepts with their wordings, the words
// of context, and the rules that combine. It never changes, and may be used by
// many goroutines.
type Lexicon struct {
	digest    string
	concepts  map[string]*Concept
	order     []*Concept // by number
	ids       []string
	units     map[string]*unit
	english   map[string]bool // words of everyday English, which are not corrected
	spellings map[string]string
	emoji     map[rune]string
	rewrites  map[string][]rewrite // by first word
	prefixes  map[string]*unit
	shortest  int // of the prefixes
	longest   int
	near      map[string][]string // a word of the lexicon with one letter left out → the words that it may be
	patterns  []pattern
	classes   []string // names of the word classes, sorted
	blocks    int      // 64-bit words of a set of parts
	rules     []rule
	commands  map[string]string
	words     answerWords
	second    *second // the statistical reader; nil: none

	classSigns  []uint32  // of the classes, for the second reader
	prompts     *sync.Map // words of a question → *asked
	promptCount *atomic.Int64
}

// Concept is one thing that a message can be about.
type Concept struct {
	ID     string
	Name   string // plain English
	Level  Level  // of the concept by itself
	Severe Level  // when she calls it severe or scores it 8 or more; at least Level
	// New concepts count because they are new or lasting: an old unchanged one is harmless.
	New bool
	// Vague says less than others: it gives way to what is named beside it.
	Vague bool
	// Weak words stand in any message: they show nothing by themselves.
	Weak bool
	// Lasting counts even when it is over by now: a stroke that passed, a fit.
	Lasting bool
	// WorseIsSevere says that getting worse makes it as urgent as being severe.
	WorseIsSevere bool

	askedOnly bool // a question asks about it by the wordings for questions alone
	// Scores are the levels of an answer on a scale, where 10 is the worst; none:
	// 8 and more is severe, 4 and more is soon.
	Scores []Score
	Source string
	Ask    []string // what a nurse asks next
	Page   string   // what the page says to whoever is on call; no patient's words

	number int
	sign   uint32
}

// Score is the level of an answer from From up, on a scale where 10 is the worst.
type Score struct {
	From  float64
	Level Level
}

type lexiconFile struct {
	Version   int                 `yaml:"version"`
	Review    reviewState         `yaml:"review"`
	Source    string              `yaml:"source"`
	Classes   map[string][]string `yaml:"classes"`
	Concepts  []conceptFile       `yaml:"concepts"`
	Rules     []ruleFile          `yaml:"rules"`
	Commands  map[string][]string `yaml:"commands"`
	Context   map[string][]string `yaml:"context"`
	Light     []string            `yaml:"light"`
	Spellings map[string]string   `yaml:"spellings"`
	Rewrites  []string            `yaml:"rewrites"`
	Emoji     map[string]string   `yaml:"emoji"`
	English   string              `yaml:"english"`
}

// reviewState is whether a clinician has approved a file: "draft" or "approved",
// alone or as the state in a mapping that names who answers for it. Package
// content reads the rest.
type reviewState string

// UnmarshalYAML reads either form.
func (r *reviewState) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return node.Decode((*string)(r))
	}
	var in struct {
		State string `yaml:"state"`
	}
	err := node.Decode(&in)
	*r = reviewState(in.State)
	return err
}

type conceptFile struct {
	ID       string   `yaml:"id"`
	Name     string   `yaml:"name"`
	Level    string   `yaml:"level"`
	Severe   string   `yaml:"severe"`
	New      bool     `yaml:"new"`
	Vague    bool     `yaml:"vague"`
	Weak     bool     `yaml:"weak"`
	Lasting  bool     `yaml:"lasting"`
	Source   string   `yaml:"source"`
	Ask      []string `yaml:"ask"`
	Page     string   `yaml:"page"`
	Wordings []string `yaml:"wordings"`
	Hints    []string `yaml:"hints"`
	Unless   []string `yaml:"unless"`
	Asked    []string `yaml:"asked"`
	Only     bool     `yaml:"asked_only"`
	Worse    bool     `yaml:"worse_is_severe"`
	Scores   []string `yaml:"scores"`
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
func (l *Lexicon) Has(concept string) bool { return l.concepts[concept] != nil }

// Concept gives a concept by id.
func (l *Lexicon) Concept(id string) (Concept, bool) {
	c, ok := l.concepts[id]
	if !ok {
		return Concept{}, false
	}
	return *c, true
}

// Wordings lists the wordings by which a concept is found, as they are compiled.
func (l *Lexicon) Wordings(id string) []string {
	return l.written(func(p *pattern) bool { return p.concept != nil && p.concept.ID == id && !p.veto && !p.asked && !p.hint })
}

// Hints lists the wordings that only hint at a concept.
func (l *Lexicon) Hints(id string) []string {
	return l.written(func(p *pattern) bool { return p.concept != nil && p.concept.ID == id && p.hint })
}

func (l *Lexicon) written(which func(*pattern) bool) (out []string) {
	for i := range l.patterns {
		if which(&l.patterns[i]) {
			out = append(out, l.patterns[i].text)
		}
	}
	return out
}

// Concepts lists the ids of all concepts, sorted.
func (l *Lexicon) Concepts() []string { return slices.Clone(l.ids) }

// compiler gathers faults while it reads.
type compiler struct {
	kept     bool // of a pack that was kept: fields that are not known are passed over
	lex      *Lexicon
	classes  map[string][]string
	expand   map[string][]string // classes with their classes spelled out
	parts    map[string]*part    // by the text of their alternatives
	numbered map[*part]uint16    // of the parts that are a class: its place in Lexicon.classes
	stems    map[string][]*unit  // words with a star, whose endings are found at the end
	faults   []error
	file     string
}

func (c *compiler) fault(line int, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s:%d: %s", c.file, max(line, 1), fmt.Sprintf(format, args...)))
}

// LoadLexicon reads every *.yaml at the root of fsys. The error joins every
// fault, each with file, line and what to do. It never panics, whatever is in
// the files. The lexicon keeps the bytes that fsys gives for [WeightsFile]: they must
// not change any more.
func LoadLexicon(fsys fs.FS) (*Lexicon, error) { return loadLexicon(fsys, true, false) }

// LoadKept reads the lexicon of a pack that was kept when a talk began on it, perhaps by
// a later lookout: a field that this one does not know is passed over.
func LoadKept(fsys fs.FS) (*Lexicon, error) { return loadLexicon(fsys, true, true) }

// LoadRules reads a lexicon as [LoadLexicon] does, but not the weights of its second
// reader. A training starts from the rules alone, and must be able to start when the
// weights that lie there are damaged, or of a format that is no longer read.
func LoadRules(fsys fs.FS) (*Lexicon, error) { return loadLexicon(fsys, false, false) }

func loadLexicon(fsys fs.FS, weights, kept bool) (*Lexicon, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("lexicon: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("lexicon: there is no *.yaml file in the folder")
	}
	lex := &Lexicon{
		concepts: map[string]*Concept{}, units: map[string]*unit{}, english: map[string]bool{}, spellings: map[string]string{},
		emoji: map[rune]string{}, rewrites: map[string][]rewrite{}, prefixes: map[string]*unit{}, near: map[string][]string{}, commands: map[string]string{},
		prompts: new(sync.Map), promptCount: new(atomic.Int64),
	}
	c := &compiler{lex: lex, kept: kept, classes: map[string][]string{}, expand: map[string][]string{}, parts: map[string]*part{}, numbered: map[*part]uint16{}, stems: map[string][]*unit{}}
	sum := sha256.New()
	loaded := make([]lexiconFile, len(files))
	nodes := make([]*yaml.Node, len(files))
	for i, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("lexicon: %w", err)
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", file, len(text))
		sum.Write(text)
		loaded[i], nodes[i] = c.read(file, text)
	}
	if weights {
		if err := lex.loadWeights(fsys, sum); err != nil {
			c.faults = append(c.faults, err)
		}
	}
	lex.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	each := func(do func(lexiconFile, *yaml.Node)) {
		for i, f := range loaded {
			c.file = files[i]
			do(f, nodes[i])
		}
	}
	each(c.vocabulary)
	each(c.concepts)
	each(c.contextWords)
	each(c.rules)
	for id := range lex.concepts {
		lex.ids = append(lex.ids, id)
	}
	slices.Sort(lex.ids)
	c.answerClasses()
	c.finish()
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	return lex, nil
}

// TrainedFrom names what the second reader was trained from (see [TrainingSource]);
// it is empty where there is none.
func (l *Lexicon) TrainedFrom() string {
	if l.second == nil {
		return ""
	}
	return hex.EncodeToString(l.second.source[:])
}

// WithWeights gives the lexicon with other weights of the second reader, which must
// not change any more.
func (l *Lexicon) WithWeights(weights []byte) (*Lexicon, error) {
	second, err := loadSecond(weights)
	if err != nil {
		return nil, err
	}
	out := *l
	out.second = second
	return &out, nil
}

func (l *Lexicon) loadWeights(fsys fs.FS, sum io.Writer) error {
	weights, err := fs.ReadFile(fsys, WeightsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lexicon: %w", err)
	}
	if l.second, err = loadSecond(weights); err != nil {
		return fmt.Errorf("%s:1: %w: train it again with `lookout triage train`", WeightsFile, err)
	}
	// Its head names it: what it was trained from, and its biases and thresholds. The rows
	// behind it follow from these, and are read from where they lie when a message needs them.
	fmt.Fprintf(sum, "%s\x00", WeightsFile)
	sum.Write(weights[:l.second.head()])
	return nil
}

func (c *compiler) read(file string, text []byte) (f lexiconFile, node *yaml.Node) {
	c.file = file
	defer func() {
		if r := recover(); r != nil {
			c.fault(1, "the file cannot be read: check its indents and quotes")
		}
	}()
	if err := yaml.Load(text, &f, yaml.WithKnownFields(!c.kept)); err != nil {
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
	if f.English == "" { // the word list is long, and its lines are of no use
		var doc yaml.Node
		if yaml.Load(text, &doc) == nil {
			node = &doc
		}
	}
	if f.Version < 1 {
		c.fault(1, "the version is missing: write `version: 1`")
	}
	if f.Review != "draft" && f.Review != "approved" {
		c.fault(1, "the review state is missing: write `review: draft`")
	}
	return f, node
}

// lineOf finds the line of what stands under keys from the top: of the nth item
// where a key is a list (n below 0: of the list itself).
func lineOf(doc *yaml.Node, n int, keys ...string) int {
	if doc == nil || len(doc.Content) == 0 {
		return 1
	}
	at, line := doc.Content[0], 1
	for _, key := range keys {
		found := false
		for i := 0; i+1 < len(at.Content); i += 2 {
			if at.Content[i].Value == key {
				line, at, found = at.Content[i].Line, at.Content[i+1], true
				break
			}
		}
		if !found {
			return line
		}
	}
	if n >= 0 && n < len(at.Content) {
		return at.Content[n].Line
	}
	return line
}

// vocabulary takes in the classes, and the words that other parts build on.
func (c *compiler) vocabulary(f lexiconFile, node *yaml.Node) {
	for name, words := range f.Classes {
		line := lineOf(node, -1, "classes", name)
		if c.classes[name] != nil {
			c.fault(line, "the class %s is there twice: give it one place", name)
		}
		if len(words) == 0 {
			c.fault(line, "the class %s is empty: give it words, or take it out", name)
		}
		c.classes[name] = words
	}
	for short, full := range f.Spellings {
		if short == "" || full == "" {
			c.fault(lineOf(node, -1, "spellings"), "a spelling needs both sides: write `wot: what`")
			continue
		}
		c.lex.spellings[short] = full
	}
	for sign, words := range f.Emoji {
		for _, r := range sign {
			c.lex.emoji[r] = words
			break
		}
	}
	for w := range strings.FieldsSeq(f.English) {
		c.lex.english[w] = true
	}
	for i, text := range f.Rewrites {
		c.rewriteRule(text, lineOf(node, i, "rewrites"))
	}
}

func (c *compiler) concepts(f lexiconFile, node *yaml.Node) {
	for _, w := range f.Light {
		for _, u := range c.plainUnits(w, lineOf(node, -1, "light")) {
			u.light = true
		}
	}
	for i, x := range f.Concepts {
		line := lineOf(node, i, "concepts")
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
		case x.Only && len(x.Asked) == 0:
			c.fault(line, "concept %s: no question can ask about it: write the wordings of such questions under `asked`", x.ID)
		case len(x.Wordings)+len(x.Hints) == 0:
			c.fault(line, "concept %s: it has no wordings, and can never be found", x.ID)
		}
		concept := &Concept{ID: x.ID, Name: x.Name, Level: level, Severe: severe, New: x.New, Vague: x.Vague, Weak: x.Weak, Lasting: x.Lasting,
			WorseIsSevere: x.Worse, askedOnly: x.Only, Scores: c.scores(x, line), Source: cmp.Or(x.Source, f.Source), Ask: x.Ask, Page: x.Page, number: len(c.lex.order), sign: signHash("!" + x.ID)}
		c.lex.concepts[x.ID] = concept
		c.lex.order = append(c.lex.order, concept)
		seen := map[string]bool{}
		for k, w := range x.Wordings {
			at := line
			if node != nil && len(node.Content) > 0 {
				at = lineOf(&yaml.Node{Content: []*yaml.Node{itemOf(node, i, "concepts")}}, k, "wordings")
			}
			if seen[w] {
				c.fault(at, "concept %s: the wording %q is there twice: take one out", x.ID, w)
			}
			seen[w] = true
			c.wording(goal{concept: concept}, w, at)
		}
		for _, w := range x.Hints {
			if seen[w] {
				c.fault(line, "concept %s: the hint %q is a wording already: take one out", x.ID, w)
			}
			c.wording(goal{concept: concept, hint: true}, w, line)
		}
		for _, w := range x.Unless {
			c.wording(goal{concept: concept, veto: true}, w, line)
		}
		for _, w := range x.Asked {
			c.wording(goal{concept: concept, asked: true}, w, line)
		}
	}
}

// scores reads "from 4: urgent".
func (c *compiler) scores(x conceptFile, line int) []Score {
	var out []Score
	for _, text := range x.Scores {
		from, name, _ := strings.Cut(text, " ")
		n, err := strconv.ParseFloat(from, 64)
		level, err2 := ParseLevel(strings.TrimSpace(name))
		if err != nil || err2 != nil || n < 0 || n > 10 {
			c.fault(line, "concept %s: the score %q: write `4 urgent`: from 4 of 10 on it is urgent", x.ID, text)
			continue
		}
		out = append(out, Score{n, level})
	}
	return out
}

// itemOf gives the nth item of a list at the top of a file.
func itemOf(doc *yaml.Node, n int, list string) *yaml.Node {
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == list && n < len(root.Content[i+1].Content) {
			return root.Content[i+1].Content[n]
		}
	}
	return root
}

func (c *compiler) contextWords(f lexiconFile, node *yaml.Node) {
	names := make([]string, 0, len(f.Context))
	for name := range f.Context {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		kind, ok := markNames[name]
		if !ok {
			c.fault(lineOf(node, -1, "context", name), "there is no kind of context %q: mend the spelling; the kinds are in docs/triage.md", name)
			continue
		}
		for i, text := range f.Context[name] {
			c.wording(goal{mark: kind}, text, lineOf(node, i, "context", name))
		}
	}
	for command, words := range f.Commands {
		if !slices.Contains(commandNames, command) {
			c.fault(lineOf(node, -1, "commands", command), "there is no command %q: the commands are %s", command, strings.Join(commandNames, ", "))
		}
		for _, w := range words {
			c.lex.commands[c.lex.joined(w)] = command
		}
	}
}

var commandNames = []string{"stop", "start", "help", "pause", "call", "signs", "later"}
