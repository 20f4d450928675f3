package triage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// second is the statistical reader: a small network that is trained from
// content/triage by `lookout triage train` and never changes while lookout runs.
// What the rules decided stands; it may only raise it, and it has a voice in
// whether words that no rule knows are understood as harmless.
//
// It looks at a message in two ways. A bag of features (words, pairs of words,
// runs of letters, what the rules found) and the average of word vectors go to the
// outputs, straight and through hidden units. Filters run over the sequence of
// words and signs (Kim, Convolutional Neural Networks for Sentence Classification,
// 2014), each keeps the strongest place, and these go to the outputs and to the hidden
// units as well. All that can be multiplied out beforehand is: a word costs one row of
// small numbers. Several such networks, trained from different beginnings, lie side by
// side, and their outputs are averaged: they err in different places.
type second struct {
	source     [32]byte // digest of what it was trained from
	bias       [outputs]float32
	thresholds [2][outputs]float32 // without and with something that the rules saw (see grounded)
	guesses    [outputs]float32    // how far below its threshold a guess of the rules still counts (see doubt)
	hiddenBias [hidden]float32
	hiddenOut  [hidden][outputs]float32
	filterBias [filters]float32
	filterOut  [filters][outputs]float32
	// filterHidden is what a filter says to the hidden units of its own network.
	filterHidden [filters][memberHidden]float32

	bagScale    [bagRow]float32 // what a step of a row's small numbers is worth
	wordScale   [bagRow]float32
	filterScale [filters]float32

	bag   table // by feature: to the outputs, and to the hidden units
	words table // by word: the same for its vector, and to each place of each filter
	signs table // by sign: to each place of each filter
}

const (
	outputs   = 4 // the levels that it can raise to, from Routine up
	members   = 3 // networks
	hidden    = 72
	filters   = 144
	width     = 3 // words that a filter sees at once
	bagRow    = outputs + hidden
	filterRow = width * filters
	wordRow   = bagRow + filterRow

	memberHidden  = hidden / members
	memberFilters = filters / members
)

// table holds rows of small numbers by 32-bit hash. Its hashes are sorted, and
// start gives where those with the same upper 16 bits begin, so that a look takes
// one or two steps. Each number is kept raised by lift, so that it is positive: rows
// are added four numbers at a time, each in 16 bits of a word of 64 (see addRow).
type table struct {
	width  int // numbers in a row, a multiple of four
	start  []uint32
	hashes []uint32
	rows   []byte
}

const (
	lift = 128
	// maxLifted is how many rows can be added before a number runs into the next.
	maxLifted = (1<<16 - 1) / 255
)

func (t *table) index() {
	t.start = make([]uint32, 1<<16+1)
	for _, h := range t.hashes {
		t.start[h>>16+1]++
	}
	for i := range 1 << 16 {
		t.start[i+1] += t.start[i]
	}
}

// find gives the row of a hash, or nil.
func (t *table) find(h uint32) []byte {
	for i := t.start[h>>16]; i < t.start[h>>16+1]; i++ {
		if t.hashes[i] == h {
			return t.rows[int(i)*t.width : int(i+1)*t.width]
		}
	}
	return nil
}

// add appends a row; its numbers lie between -127 and 127.
func (t *table) add(h uint32, row []int8) {
	t.hashes = append(t.hashes, h)
	for _, x := range row {
		t.rows = append(t.rows, byte(int(x)+lift))
	}
}

// addRow adds a row to a sum, whose words hold four numbers each.
func addRow(sum []uint64, row []byte) {
	row = row[:4*len(sum)]
	for i := range sum {
		x := uint64(binary.LittleEndian.Uint32(row[4*i:]))
		x = (x | x<<16) & 0x0000ffff0000ffff
		sum[i] += (x | x<<8) & 0x00ff00ff00ff00ff
	}
}

// lower takes the lift of n rows off a sum of rows, and adds what is left to sum.
func lower(sum []int32, lanes []uint64, n int) {
	for i, lane := range lanes {
		for k := range 4 {
			sum[4*i+k] += int32(lane>>(16*k)&0xffff) - int32(lift*n)
		}
	}
}

// secondMagic opens a file of weights, and names its format.
const secondMagic = "lookout second reader 6\n"

// secondMagic5 opens a file in which every guess of the rules counts. The packs that a
// store keeps have such files.
const secondMagic5 = "lookout second reader 5\n"

// maxRows bounds each table of a file.
const maxRows = 1 << 20

// numbers lists the parts of a reader that a file holds before its tables.
func (s *second) numbers() []any {
	return []any{&s.guesses, &s.source, &s.bias, &s.thresholds, &s.hiddenBias, &s.hiddenOut, &s.filterBias, &s.filterOut, &s.filterHidden, &s.bagScale, &s.wordScale, &s.filterScale}
}

// head is how many bytes of a file of weights stand before its tables.
func (s *second) head() int {
	n := len(secondMagic)
	for _, x := range s.numbers() {
		n += binary.Size(x)
	}
	return n
}

func (s *second) tables() []*table {
	s.bag.width, s.words.width, s.signs.width = bagRow, wordRow, filterRow
	return []*table{&s.bag, &s.words, &s.signs}
}

// loadSecond reads weights as pack writes them. The rows stay where they are in the
// file, which must not change any more: they are large.
func loadSecond(file []byte) (*second, error) {
	s := &second{}
	numbers := s.numbers()
	switch {
	case bytes.HasPrefix(file, []byte(secondMagic)):
	case bytes.HasPrefix(file, []byte(secondMagic5)):
		s.guesses, numbers = allGuesses, numbers[1:]
	default:
		return nil, errors.New("it is no file of weights, or of another format")
	}
	rest := file[len(secondMagic):]
	for _, x := range numbers {
		n, err := binary.Decode(rest, binary.LittleEndian, x)
		if err != nil {
			return nil, errTooEarly
		}
		rest = rest[n:]
	}
	if !s.finite() {
		return nil, errors.New("a number in it is none")
	}
	for _, t := range s.tables() {
		var err error
		if rest, err = t.load(rest); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, errors.New("something stands behind its end")
	}
	return s, nil
}

var errTooEarly = errors.New("it ends too early")

func (s *second) finite() bool {
	var all []float32
	all = append(append(append(all, s.bias[:]...), s.hiddenBias[:]...), s.filterBias[:]...)
	all = append(append(append(all, s.bagScale[:]...), s.wordScale[:]...), s.filterScale[:]...)
	for _, row := range slices.Concat(s.thresholds[:], [][outputs]float32{s.guesses}, s.hiddenOut[:], s.filterOut[:]) {
		all = append(all, row[:]...)
	}
	for f := range s.filterHidden {
		all = append(all, s.filterHidden[f][:]...)
	}
	return !slices.ContainsFunc(all, func(n float32) bool { return n != n || math.Abs(float64(n)) > 1e9 })
}

// load takes a table off the front of the bytes, and gives what is behind it.
func (t *table) load(from []byte) ([]byte, error) {
	if len(from) < 4 {
		return nil, errTooEarly
	}
	n := int(binary.LittleEndian.Uint32(from))
	from = from[4:]
	if n > maxRows {
		return nil, fmt.Errorf("a table in it has %d rows, at most %d are read", n, maxRows)
	}
	if len(from) < n*(4+t.width) {
		return nil, errTooEarly
	}
	t.hashes = make([]uint32, n)
	for i := range t.hashes {
		t.hashes[i] = binary.LittleEndian.Uint32(from[4*i:])
	}
	if !slices.IsSorted(t.hashes) {
		return nil, errors.New("its hashes are out of order")
	}
	from = from[4*n:]
	t.rows = from[: n*t.width : n*t.width]
	t.index()
	return from[n*t.width:], nil
}

// pack gives the file of weights.
func (s *second) pack() []byte {
	var out bytes.Buffer
	out.WriteString(secondMagic)
	write := func(x any) { binary.Write(&out, binary.LittleEndian, x) } // a Buffer takes everything
	for _, x := range s.numbers() {
		write(x)
	}
	for _, t := range s.tables() {
		write(uint32(len(t.hashes)))
		write(t.hashes)
		out.Write(t.rows)
	}
	return out.Bytes()
}

// empty gives a reader that raises nothing, and understands nothing as harmless.
func empty() *second {
	s := &second{guesses: allGuesses}
	for i := range s.thresholds {
		s.thresholds[i] = [outputs]float32{never, never, never, never}
	}
	for _, t := range s.tables() {
		t.index()
	}
	return s
}

// never is a threshold that no message reaches.
const never = 1e8

// allGuesses lets every guess of the rules count.
var allGuesses = [outputs]float32{-2 * never, -2 * never, -2 * never, -2 * never}

// look is one look of the filters at a message: its words, the answer of each filter at
// its strongest, and the place of that, which may begin before the first word.
type look struct {
	sequence
	best [filters]int32
	at   [filters]int16
}

var looks = sync.Pool{New: func() any { return new(look) }}

// answer is what filter f says, or nothing.
func (s *second) answer(l *look, f int) float32 {
	return max(0, s.filterScale[f]*float32(l.best[f])+s.filterBias[f])
}

// scores gives for each level above none how far the message is beyond the
// threshold of being raised to it: from nought up, it is. l gets what the filters saw.
func (s *second) scores(r *reader, l *look) [outputs]float32 {
	r.sequence(&l.sequence)
	var bag [bagRow]int32
	var lanes [bagRow / 4]uint64
	n, held := 0, 0
	r.features(func(h uint32, _ int) {
		row := s.bag.find(h)
		if row == nil {
			return
		}
		n++
		addRow(lanes[:], row)
		if held++; held == maxLifted {
			lower(bag[:], lanes[:], held)
			lanes, held = [bagRow / 4]uint64{}, 0
		}
	})
	lower(bag[:], lanes[:], held)
	var sum [bagRow]float32
	scale := bagWeight(n)
	for k := range sum {
		sum[k] = scale * s.bagScale[k] * float32(bag[k])
	}
	s.filter(l, &sum)
	out := s.bias
	thresholds := &s.thresholds[ground(r.grounded())]
	for k := range out {
		out[k] += sum[k] - thresholds[k]
	}
	for f := range filters {
		if x := s.answer(l, f); x > 0 {
			for k := range out {
				out[k] += x * s.filterOut[f][k]
			}
			own := sum[outputs+f/memberFilters*memberHidden:][:memberHidden]
			for j, w := range s.filterHidden[f] {
				own[j] += x * w
			}
		}
	}
	for j := range hidden {
		if x := sum[outputs+j] + s.hiddenBias[j]; x > 0 {
			for k := range out {
				out[k] += x * s.hiddenOut[j][k]
			}
		}
	}
	return out
}

// ground is the place of the thresholds for a message that is grounded, or not.
func ground(is bool) int {
	if is {
		return 1
	}
	return 0
}

// grounded says whether the rules saw anything in a message, or in what it answers,
// that a nurse may have to hear: without that, words that merely sound like danger
// ("the cat sat on the mat") must sound much more like it.
func (r *reader) grounded() bool {
	worrying := func(c *Concept) bool { return c != nil && c.Level >= Soon }
	for _, id := range r.hints {
		if worrying(r.lex.concepts[id]) {
			return true
		}
	}
	for i := range r.out.Findings {
		if f := &r.out.Findings[i]; f.Polarity == "said" && worrying(r.lex.concepts[f.Concept]) {
			return true
		}
	}
	return r.q != nil && slices.ContainsFunc(r.asked.topics, worrying)
}

// bagWeight makes bags of many features comparable with those of few.
func bagWeight(features int) float32 { return float32(1 / math.Sqrt(float64(features+1))) }

// unreached is less than any filter can give.
const unreached = math.MinInt32

// maxSigns bounds the signs of one word that count: three words' rows must fit into
// a lane.
const maxSigns = maxLifted/width - 1

// window is what the words say to the filters that a filter's place stands on.
type window struct {
	lanes [filterRow / 4]uint64
	rows  int // added to it
}

func (w *window) add(row []byte) {
	addRow(w.lanes[:], row)
	w.rows++
}

// filter runs the filters over the words, and adds the average of their vectors to sum.
func (s *second) filter(l *look, sum *[bagRow]float32) {
	var last [width]window
	var vectors [bagRow]int32
	var vectorLanes [bagRow / 4]uint64
	words, held := 0, 0
	for f := range l.best {
		l.best[f] = unreached
	}
	for i := range len(l.words) + width - 1 {
		here := &last[i%width]
		*here = window{}
		if i < len(l.words) {
			if row := s.words.find(l.words[i]); row != nil {
				here.add(row[bagRow:])
				if l.tokens[i] >= 0 {
					words++
					addRow(vectorLanes[:], row[:bagRow])
					if held++; held == maxLifted {
						lower(vectors[:], vectorLanes[:], held)
						vectorLanes, held = [bagRow / 4]uint64{}, 0
					}
				}
			}
			signs := l.of(i)
			for _, h := range signs[:min(len(signs), maxSigns)] {
				if row := s.signs.find(h); row != nil {
					here.add(row)
				}
			}
		}
		// The window ends at word i; its first word may lie before the beginning.
		l.compare(i-width+1, &last[(i+1)%width], &last[(i+2)%width], here)
	}
	lower(vectors[:], vectorLanes[:], held)
	if words > 0 {
		for k := range sum {
			sum[k] += s.wordScale[k] * float32(vectors[k]) / float32(words)
		}
	}
}

// compare keeps what each filter gives over three words where it is the strongest yet.
func (l *look) compare(place int, a, b, c *window) {
	lifted := int32(lift * (a.rows + b.rows + c.rows))
	const n = filters / 4
	for i := range n {
		lane := a.lanes[i] + b.lanes[n+i] + c.lanes[2*n+i]
		for k := range 4 {
			x := int32(lane&0xffff) - lifted
			lane >>= 16
			if x > l.best[4*i+k] {
				l.best[4*i+k], l.at[4*i+k] = x, int16(place)
			}
		}
	}
}

// strongest gives her words that speak most for a level, in her own order.
func (s *second) strongest(r *reader, l *look, level Level) []string {
	k := int(level) - 1
	by := make([]float32, len(r.tokens))
	r.features(func(h uint32, token int) {
		if row := s.bag.find(h); row != nil && token >= 0 {
			by[token] += s.bagScale[k] * float32(int(row[k])-lift)
		}
	})
	for f := range filters {
		x := s.answer(l, f)
		if x <= 0 {
			continue
		}
		for j := range width {
			if i := int(l.at[f]) + j; i >= 0 && i < len(l.words) && l.tokens[i] >= 0 {
				by[l.tokens[i]] += x * s.filterOut[f][k] / width
			}
		}
	}
	order := make([]int, 0, len(by))
	for i := range by {
		if by[i] > 0 && !r.tokens[i].light {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case by[a] > by[b]:
			return -1
		case by[a] < by[b]:
			return 1
		}
		return 0
	})
	order = order[:min(len(order), 4)]
	slices.Sort(order)
	out := make([]string, 0, len(order))
	for _, i := range order {
		word := r.text[r.tokens[i].start:r.tokens[i].end]
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

// plainWords is how long a message out of the blue may be that the rules alone
// understand, and plainAnswer how long a bare answer to a question of a flow.
const (
	plainWords  = 3
	plainAnswer = 4
)

// plain says whether the rules have the whole say: over a command word, over nothing
// at all, over a few words out of the blue in which they found nothing, like "all good
// thanks", over a day or a number that was asked for, and over a bare answer to a
// question of a flow. There is nothing in these to have a doubt about.
func (r *reader) plain() bool {
	if r.out.Command != "" || len(r.tokens) == 0 {
		return true
	}
	if r.q == nil {
		return len(r.tokens) <= plainWords && r.ruled() == None && r.harmless()
	}
	a := r.out.Answer
	if a.More || a.Kind == NoAnswer || a.Kind == FreeText {
		return false
	}
	switch r.q.Kind {
	case Date, Number, Weight:
		return true
	}
	return r.q.Scripted && len(r.tokens) <= plainAnswer
}

// raisedTo is the level that scores beyond their thresholds raise to. To be soon, a
// message must also be one that a nurse need read at all.
func raisedTo(scores [outputs]float32) Level {
	level := None
	for k, score := range scores {
		if score >= 0 && (k != 1 || scores[0] >= 0) {
			level = Level(k + 1)
		}
	}
	return level
}

// guessed says whether a finding is a guess: what the rules make of an answer to a question
// that no flow asks, so that nobody has told them what it is about.
func (r *reader) guessed(f *Finding) bool {
	return f.Start == 0 && f.End == len(r.text) && f.Level > None && slices.Contains(r.guesses, f.Concept)
}

// sure is the level that the rules give without their guesses.
func (r *reader) sure() Level {
	level := r.combined
	for i := range r.out.Findings {
		if f := &r.out.Findings[i]; !r.guessed(f) {
			level = max(level, f.Level)
		}
	}
	return level
}

// doubt lets a guess of the rules count no higher than the second reader sees at least a
// little of it. scores are how far the message is beyond each threshold.
func (r *reader) doubt(s *second, scores [outputs]float32) {
	r.out.Level = r.sure()
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		if r.guessed(f) {
			if f.Level = s.supported(f.Level, scores); f.Level == None {
				f.Rule += ", but it does not read so"
			}
		}
		r.out.Level = max(r.out.Level, f.Level)
	}
}

// supported is how much of the level of a guess counts. Of an emergency, at least urgent
// does: a nurse looks at it the same day.
func (s *second) supported(level Level, scores [outputs]float32) Level {
	least := None
	if level == Emergency {
		least = Urgent
	}
	for level > least && scores[level-1] < s.guesses[level-1] {
		level--
	}
	return level
}

// secondReading raises what the rules decided if the second reader says so. It
// says whether the second reader takes the message for harmless.
func (r *reader) secondReading() (harmless bool) {
	s := r.lex.second
	if s == nil || r.plain() || !r.legible() {
		return false
	}
	seen := looks.Get().(*look)
	defer looks.Put(seen)
	scores := s.scores(r, seen)
	r.doubt(s, scores)
	level := raisedTo(scores)
	if level > Soon && r.onlyADeath() {
		level = Soon // grief reads like despair
	}
	if level == None {
		return r.readable()
	}
	r.agree(min(level, r.out.Level))
	// What a nurse has spared is what the words say: to read the same in them again is
	// no reason to raise it, unless there is a hint of something else.
	if level <= r.out.Level || level <= r.spared && !r.doubtful() || level == Routine && !r.harmless() { // the floor says that better
		return false
	}
	bare := r.yesNo()
	if r.allWell(bare) {
		return false
	}
	if level == Routine && r.q != nil && (len(r.picked) > 0 && !r.out.Answer.More || !bare.More && (bare.Kind == SaidNo || bare.Kind == SaidYes && len(r.hints) == 0)) {
		return false // an option asks for nothing, nor does a "no xx", nor a "yes" that is good news
	}
	f := r.inDoubt()
	rule := fmt.Sprintf("second reader: %s", level)
	if f != nil && r.hinted(f) == level {
		rule = f.Concept + ": a hint, and the second reader agrees"
	}
	why := fmt.Sprintf("It reads like what is %s, by a comparison with labelled messages", level)
	if c := r.conceptOf(f); c != nil && c.Level == level && f.Text != "" {
		why = fmt.Sprintf("“%s”: %s (%s, by a comparison with labelled messages)", shorten(f.Text), c.Name, level)
	} else if words := strings.Join(s.strongest(r, seen, level), "”, “"); words != "" {
		why += " (“" + words + "”)"
	}
	r.out.Level, r.out.Why = level, why+"."
	r.out.Rules = append(r.out.Rules, rule)
	if f == nil {
		id := "reads_like_trouble"
		if level == Routine {
			id = "reads_like_request"
		}
		r.affirmed(id, level, rule)
		return false
	}
	f.Level, f.Rule = level, rule
	r.agree(level)
	r.giveWay()
	return false
}

// allWell says whether a message is but a few words that the rules know to mean that all
// is as it should be, like "all" of her tablets: the rules know better what these mean
// than words that are hardly there. A yes or a no is not among these: where the rules
// have mistaken what is asked, it may be bad news.
func (r *reader) allWell(bare Answer) bool {
	return r.q != nil && bare.Kind == NoAnswer && !bare.More && len(r.tokens) <= plainWords && r.ruled() == None && r.harmless() && len(r.hints) == 0 && len(r.out.Findings) > 0
}

// legible says whether at least half of the words are known, so that the second reader
// has something to go by.
func (r *reader) legible() bool {
	if len(r.picked) > 0 {
		return true // a letter stands for the words of the option
	}
	unknown := 0
	for i := range r.tokens {
		if !r.tokens[i].known {
			unknown++
		}
	}
	return 2*unknown <= len(r.tokens)
}

// onlyADeath says whether a death is reported, and the rules see nothing beside it
// that a nurse must hear the same day.
func (r *reader) onlyADeath() bool {
	for _, id := range r.hints {
		if c := r.lex.concepts[id]; c != nil && c.Level >= Urgent {
			return false
		}
	}
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		if c := r.lex.concepts[f.Concept]; f.Polarity == "said" && c != nil && c.Level >= Urgent && f.Experiencer != "other" {
			return false
		}
	}
	return r.said("deceased")
}

// readable says whether there is enough in a message that the second reader may
// take it for harmless: it is whole, and hardly a word in it is unknown.
func (r *reader) readable() bool {
	if r.cutOff || len(r.tokens) == 0 {
		return false
	}
	unknown, words := 0, 0
	for i := range r.tokens {
		if r.courtesy(i) {
			continue
		}
		words++
		if !r.tokens[i].known {
			unknown++
		}
	}
	return unknown <= 1+words/6
}

// doubtful says whether there is a hint of something definite that no nurse has spared.
func (r *reader) doubtful() bool {
	return slices.ContainsFunc(r.doubts, func(d doubt) bool { return d.level >= Soon && !r.lex.concepts[d.concept].Vague })
}

// agree lets the hints of no more than that level count whose words say nothing that counts
// already, the fewest words first: where a message is serious, each other thing in it that
// may be is a concern of its own for the nurse.
func (r *reader) agree(level Level) {
	for {
		var best *Finding
		for i := range r.out.Findings {
			f := &r.out.Findings[i]
			if worth := r.hinted(f); worth >= Soon && worth <= level && f.Level < worth && !r.lex.concepts[f.Concept].Vague && !r.counted(f, worth) &&
				(best == nil || f.End-f.Start < best.End-best.Start) {
				best = f
			}
		}
		if best == nil {
			return
		}
		best.Level = r.hinted(best)
	}
}

// counted says whether words of a hint count already as something no less serious.
func (r *reader) counted(hint *Finding, worth Level) bool {
	return slices.ContainsFunc(r.out.Findings, func(g Finding) bool {
		return g.Level >= worth && g.Start < hint.End && hint.Start < g.End
	})
}

// conceptOf gives the concept of a finding, or nil.
func (r *reader) conceptOf(f *Finding) *Concept {
	if f == nil {
		return nil
	}
	return r.lex.concepts[f.Concept]
}

// inDoubt gives the finding that the second reader's doubt is about: the worst of what
// the rules saw a hint of, something definite first, or else of what they found at a
// lower level.
func (r *reader) inDoubt() *Finding {
	rank := func(hint, definite bool, level Level) (n int) {
		if hint {
			n += 100
		}
		if definite {
			n += 10
		}
		return n + int(level)
	}
	best, most := -1, 0
	for i := range r.out.Findings {
		f := &r.out.Findings[i]
		c := r.lex.concepts[f.Concept]
		if f.Polarity != "said" || c == nil || c.Level < Soon || f.Time == "past" || f.Experiencer == "other" {
			continue
		}
		if n := rank(r.hinted(f) > None, !c.Vague, c.Level); best < 0 || n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return nil
	}
	return &r.out.Findings[best]
}

// WeightsFile is the name of the second reader's weights in a lexicon's folder.
// A lexicon without the file is read by rules alone.
const WeightsFile = "second.weights"
