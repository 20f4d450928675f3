package triage

import (
	"math"
	"slices"
	"strings"
)

// answer reads the message as an answer to its question, and adds what the
// answer affirms.
func (r *reader) answer() {
	bare := r.yesNo()
	switch {
	case r.wantsNurse():
		r.out.Answer = Answer{Kind: WantsNurse}
		return
	case r.starts("skip", "pass", "rather not", "id rather not", "prefer not", "not saying", "none of your business", "id prefer not"):
		r.out.Answer = Answer{Kind: Refused}
	case r.corrects():
		r.out.Answer = Answer{Kind: Correction}
	case r.q == nil:
		r.out.Answer = bare
		return
	default:
		switch r.q.Kind {
		case YesNo:
			r.out.Answer = bare
			if bare.Kind == NoAnswer && r.unsure() {
				r.out.Answer = Answer{Kind: Unsure}
			}
		case Scale, Number:
			r.out.Answer = r.numberAnswer()
		case Weight:
			r.out.Answer = r.weight()
		case Date:
			r.out.Answer = r.date()
		case Choice:
			r.out.Answer = r.choice()
		default:
			r.out.Answer = Answer{Kind: FreeText}
			if bare.Kind != NoAnswer && !bare.More {
				r.affirm(bare)
			}
			return
		}
		if r.out.Answer.Kind == NoAnswer && r.unsure() {
			r.out.Answer = Answer{Kind: Unsure}
		}
	}
	r.affirm(r.out.Answer)
}

var yesWords = map[string]bool{"yes": true, "y": true, "definitely": true, "sure": true, "ok": true, "correct": true, "indeed": true, "afraid": true, "ydw": true, "oes": true, "ie": true, "true": true}
var noWords = map[string]bool{"no": true, "n": true, "none": true, "never": true, "negative": true, "nothing": true, "nil": true, "na": true, "nac": true, "nage": true, "not": true, "false": true}

// yesNo reads a yes or a no at the beginning of the message, or the only one in it.
func (r *reader) yesNo() Answer {
	if len(r.tokens) == 0 {
		return Answer{}
	}
	first := -1
	for i := range r.tokens {
		if i > 3 {
			break
		}
		w := r.tokens[i].text
		if yesWords[w] || noWords[w] {
			first = i
			break
		}
		if !small[w] {
			break
		}
	}
	if first < 0 {
		return Answer{}
	}
	w := r.tokens[first].text
	kind := SaidNo
	if yesWords[w] {
		kind = SaidYes
	}
	if w == "not" && !(first+1 < len(r.tokens) && slices.Contains([]string{"really", "at", "today", "now", "so", "that", "any", "anymore", "yet", "this", "noticed", "had"}, r.tokens[first+1].text)) {
		if len(r.tokens) > 1 {
			return Answer{}
		}
	}
	rest := 0
	for i := range r.tokens {
		t := &r.tokens[i]
		if i == first || small[t.text] || yesWords[t.text] {
			// "no yes" is neither
			if i != first && (yesWords[t.text] && kind == SaidNo || noWords[t.text] && kind == SaidYes) && t.text != "ok" && t.text != "sure" && len(r.tokens) <= 3 {
				return Answer{}
			}
			continue
		}
		rest++
	}
	return Answer{Kind: kind, More: rest > 1}
}

func (r *reader) starts(phrases ...string) bool {
	text := r.joined(8)
	for _, p := range phrases {
		if text == p || strings.HasPrefix(text, p+" ") {
			return true
		}
	}
	return false
}

// joined gives the first words as one string.
func (r *reader) joined(n int) string {
	var b strings.Builder
	for i := range r.tokens {
		if i == n {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(r.tokens[i].text)
	}
	return b.String()
}

func (r *reader) unsure() bool {
	return r.has[markUnsure]
}

func (r *reader) wantsNurse() bool {
	if r.q == nil {
		return false
	}
	return slices.ContainsFunc(r.out.Findings, func(f Finding) bool { return f.Concept == "contact_request" && f.Polarity == "said" }) && len(r.tokens) <= 12
}

func (r *reader) corrects() bool {
	return len(r.tokens) <= 8 && r.starts("sorry meant", "sorry i meant", "oops meant", "i meant", "meant to say", "wrong answer", "sorry wrong answer", "go back", "oops i meant", "sorry no i meant")
}

// bounds are the ends of the scale, from the question, else from its words.
func (r *reader) bounds() (low, high float64) {
	if r.q.Min != r.q.Max {
		return r.q.Min, r.q.Max
	}
	var numbers []float64
	for _, t := range tokenise(r.q.Prompt) {
		if t.isNumber && t.number <= 100 {
			numbers = append(numbers, t.number)
		}
	}
	if len(numbers) >= 2 && numbers[0] < numbers[1] {
		return numbers[0], numbers[1]
	}
	if r.q.Kind == Number {
		return 0, 9999
	}
	return 0, 10
}

// numberAnswer reads a score: "7", "7/10", "about a 7", "8 or 9", "not a 10, more like 2".
func (r *reader) numberAnswer() Answer {
	low, high := r.bounds()
	best, found := 0.0, false
	for i := range r.tokens {
		t := &r.tokens[i]
		if !t.isNumber {
			continue
		}
		before := ""
		if i > 0 {
			before = r.tokens[i-1].text
		}
		switch {
		case (before == "of" && i > 1 && r.tokens[i-2].text == "out") || strings.HasPrefix(strings.TrimLeft(r.text[max(0, t.start-2):t.start], " "), "/") || (t.start > 0 && r.text[t.start-1] == '/'):
			continue // the "10" of "7 out of 10" and "7/10"
		case before == "not" || (before == "a" && i > 1 && r.tokens[i-2].text == "not"):
			continue
		case r.q.Kind == Scale && i+1 < len(r.tokens) && dayUnits[r.tokens[i+1].text] > 0:
			continue // "2 weeks"
		case t.text == "couple" || t.text == "few" || t.text == "several" || t.text == "half" || t.text == "fortnight" || (t.text == "one" && len(r.tokens) > 4):
			if r.q.Kind == Scale {
				continue
			}
		}
		n := t.number
		if r.q.Kind == Number && i+1 < len(r.tokens) {
			if unit := dayUnits[r.tokens[i+1].text]; unit > 1 && strings.Contains(strings.ToLower(r.q.Prompt), "day") {
				n *= float64(unit)
			}
		}
		if n < low || n > high {
			return Answer{}
		}
		if !found || n > best {
			best, found = n, true
		}
	}
	if !found {
		return Answer{}
	}
	return Answer{Kind: Value, Number: best, More: r.says()}
}

// says says whether the message holds more words than an answer needs.
func (r *reader) says() bool {
	n := 0
	for i := range r.tokens {
		if t := &r.tokens[i]; !t.isNumber && !small[t.text] && dayUnits[t.text] == 0 {
			n++
		}
	}
	return n > 1
}

// weight reads kilograms, or stones and pounds (1 st = 6.35029 kg, 1 lb = 0.453592 kg).
func (r *reader) weight() Answer {
	kg, found := 0.0, false
	for i := range r.tokens {
		t := &r.tokens[i]
		if !t.isNumber {
			continue
		}
		unit := ""
		if i+1 < len(r.tokens) {
			unit = r.tokens[i+1].text
		}
		switch unit {
		case "kg", "kgs", "kilo", "kilos", "k":
			kg, found = t.number, true
		case "st", "stone", "stones", "stn":
			kg += t.number * 6.35029
			found = true
		case "lb", "lbs", "pound", "pounds", "ib", "ibs":
			kg += t.number * 0.453592
			found = true
		default:
			if !found {
				kg = t.number
			} else if i > 0 && strings.HasPrefix(r.tokens[i-1].text, "st") && t.number < 14 {
				kg += t.number * 0.453592 // "10 stone 4"
			}
		}
	}
	if !found && kg < 30 { // "11" alone may be stones: ask again
		return Answer{}
	}
	if kg < 25 || kg > 350 {
		return Answer{}
	}
	return Answer{Kind: Value, Number: math.Round(kg*10) / 10}
}

var weekdays = map[string]int{"sunday": 0, "sun": 0, "monday": 1, "mon": 1, "tuesday": 2, "tues": 2, "tue": 2, "wednesday": 3, "wed": 3, "weds": 3, "thursday": 4, "thurs": 4, "thur": 4, "friday": 5, "fri": 5, "saturday": 6, "sat": 6}
var months = map[string]int{"january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "april": 4, "apr": 4, "may": 5, "june": 6, "july": 7, "august": 8, "aug": 8, "september": 9, "sept": 9, "sep": 9, "october": 10, "oct": 10, "november": 11, "nov": 11, "december": 12, "dec": 12}

// date reads a day as so many days ago: "3 weeks", "since Tuesday", "yesterday", "5 May".
func (r *reader) date() Answer {
	for i := range r.tokens {
		t := &r.tokens[i]
		switch t.text {
		case "today", "tonight":
			return Answer{Kind: Value, DaysAgo: 0}
		case "yesterday":
			return Answer{Kind: Value, DaysAgo: 1}
		}
		if unit, ok := dayUnits[t.text]; ok {
			n := 1.0
			if i > 0 && r.tokens[i-1].isNumber {
				n = r.tokens[i-1].number
			} else if i > 1 && r.tokens[i-2].isNumber {
				n = r.tokens[i-2].number
			}
			if t.text == "fortnight" {
				n = 2
			}
			return Answer{Kind: Value, DaysAgo: min(int(n*float64(unit)), 36500)}
		}
		if r.q.Today.IsZero() {
			continue
		}
		if day, ok := weekdays[t.text]; ok {
			ago := (int(r.q.Today.Weekday()) - day + 7) % 7
			return Answer{Kind: Value, DaysAgo: ago}
		}
		if month, ok := months[t.text]; ok {
			day := 1
			if i > 0 && r.tokens[i-1].isNumber && r.tokens[i-1].number <= 31 {
				day = int(r.tokens[i-1].number)
			}
			year := r.q.Today.Year()
			ago := r.q.Today.YearDay() - yearDay(year, month, day)
			if ago < 0 {
				ago += 365
			}
			return Answer{Kind: Value, DaysAgo: ago}
		}
	}
	return Answer{}
}

func yearDay(year, month, day int) int {
	n := day
	for m := 1; m < month; m++ {
		n += [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
	}
	if month > 2 && year%4 == 0 {
		n++
	}
	return n
}

// options are those of the question, else those that its words number or name.
func (r *reader) options() []Option {
	if len(r.q.Options) > 0 {
		return r.q.Options
	}
	prompt := r.q.Prompt
	tokens := tokenise(prompt)
	type key struct {
		name       string
		start, end int
	}
	var keys []key
	for i := range tokens {
		t := &tokens[i]
		letter := string(rune('a' + len(keys)))
		lettered := t.text == letter && t.end < len(prompt) && strings.IndexByte(").:=", prompt[t.end]) >= 0
		if lettered || (t.isNumber && t.number == float64(len(keys)+1)) {
			keys = append(keys, key{t.text, t.start, t.end})
		}
	}
	if len(keys) < 2 {
		return nil
	}
	out := make([]Option, len(keys))
	for i, k := range keys {
		end := len(prompt)
		if i+1 < len(keys) {
			end = keys[i+1].start
		}
		out[i] = Option{Key: k.name, Label: strings.Trim(prompt[k.end:end], " ,.;:=()-\n")}
	}
	return out
}

// choice reads a letter, a number, the words of an option, or the words that only one option has.
func (r *reader) choice() Answer {
	options := r.options()
	if len(options) == 0 || len(r.tokens) == 0 {
		return Answer{}
	}
	first := &r.tokens[0]
	if len(r.tokens) <= 2 || (len(r.tokens) > 1 && (r.tokens[1].comma || r.tokens[1].clause > 0)) {
		for i, o := range options {
			if first.isNumber && (first.number == float64(i+1)) || first.text == string(rune('a'+i)) || first.text == strings.ToLower(o.Key) {
				return Answer{Kind: Chosen, Option: o.Key, More: len(r.tokens) > 2}
			}
		}
	}
	best, bestScore, tie := -1, 0, false
	for i, o := range options {
		score := 0
		for _, t := range tokenise(o.Label) {
			if small[t.text] && len(options) > 0 && t.text != "fine" && t.text != "well" && t.text != "no" && t.text != "same" && t.text != "all" && t.text != "some" {
				continue
			}
			for k := range r.tokens {
				if r.tokens[k].text == t.text {
					score++
					break
				}
			}
		}
		switch {
		case score > bestScore:
			best, bestScore, tie = i, score, false
		case score == bestScore && score > 0:
			tie = true
		}
	}
	if best < 0 || tie {
		return Answer{}
	}
	return Answer{Kind: Chosen, Option: options[best].Key, More: r.says()}
}

// affirm adds what an answer says about what the question asked.
func (r *reader) affirm(a Answer) {
	if r.q == nil {
		return
	}
	prompt := r.promptMeaning()
	add := func(concept string, level Level, rule string) {
		c := r.lex.concepts[concept]
		if c == nil {
			return
		}
		r.add(Finding{Concept: concept, Text: r.text, Start: 0, End: len(r.text), Polarity: "said", Time: "now", Experiencer: "her", Level: level, Rule: rule})
	}
	if a.More && r.saidElse(prompt.concepts) {
		return // "yes, my back is agony": what she names is the answer
	}
	bad := (a.Kind == SaidYes && !prompt.well) || (a.Kind == SaidNo && prompt.well)
	switch {
	case a.Kind == Refused && prompt.safety:
		add("abuse_disclosure", Urgent, "would rather not say whether she is safe")
	case a.Kind == Refused:
		if r.lex.Has("refusal") {
			add("refusal", Routine, "would rather not say")
		}
	case a.Kind == Unsure && len(prompt.concepts) > 0:
		for _, c := range prompt.concepts {
			level := r.lex.concepts[c].Level
			switch {
			case level == Emergency && r.mayBe():
			case level == Emergency:
				level = Urgent
			default:
				level = min(max(level, Routine), Soon)
			}
			add(c, level, "not sure about what was asked: "+c)
		}
	case a.Kind == Unsure:
		add("not_understood", Routine, "not sure")
	case a.Kind == SaidNo && prompt.relief:
		add("severe_pain", Soon, "what she takes does not ease it")
	case bad && len(prompt.concepts) > 0:
		for _, c := range prompt.concepts {
			level := r.lex.concepts[c].Level
			if r.thumb() {
				level = min(level, Routine)
			}
			add(c, level, "answered yes to: "+c)
		}
	case bad && prompt.well && a.Kind == SaidNo:
		add("unwell_general", Soon, "says that she is not well")
	case bad && !prompt.practical:
		// Yes to a question that was not understood: a person looks.
		add("not_understood", Routine, "said yes to a question")
	case a.Kind == Value && r.q.Kind == Scale:
		r.score(a.Number, prompt, add)
	case a.Kind == Value && r.q.Kind == Weight:
		r.weightLost(a.Number, add)
	case a.Kind == Chosen:
		r.chosen(a, add)
	}
}

// saidElse says whether she has named something that a nurse must hear, and
// nothing of what was asked about.
func (r *reader) saidElse(asked []string) bool {
	other := false
	for _, f := range r.out.Findings {
		if f.Polarity == "denied" || f.Level < Soon {
			continue
		}
		if slices.Contains(asked, f.Concept) {
			return false
		}
		other = true
	}
	return other
}

// thumb says whether the answer is only a thumb or an "ok", which may mean "seen".
func (r *reader) thumb() bool {
	return len(r.tokens) == 1 && (r.tokens[0].text == "ok" || strings.HasPrefix(r.text, "👍"))
}

// mayBe says whether she is more sure than unsure: "maybe a bit".
func (r *reader) mayBe() bool {
	return r.starts("maybe", "a bit", "slightly", "think so", "i think so", "possibly", "sort of", "kind of", "a little")
}

// meaning is what a question asks about.
type meaning struct {
	concepts  []string
	well      bool // asks whether she is well or able: a "no" is bad
	safety    bool // asks about safety at home
	practical bool // asks about something that is no symptom
	reversed  bool // of a scale: high is good
	relief    bool // asks whether painkillers help
}

func (r *reader) promptMeaning() meaning {
	var m meaning
	tokens := tokenise(r.q.Prompt)
	for i := range tokens {
		r.lex.see(&tokens[i])
	}
	marks := r.lex.context.marks(tokens)
	for _, k := range marks {
		if k.kind == markWell {
			m.well = true
		}
	}
	lower := strings.ToLower(r.q.Prompt)
	m.relief = (strings.Contains(lower, "ease") || strings.Contains(lower, "help")) && (strings.Contains(lower, "painkiller") || strings.Contains(lower, "paracetamol") || strings.Contains(lower, "tablets help"))
	m.safety = strings.Contains(lower, "safe ")
	for _, good := range []string{"10 = good", "10 = very good", "10 = best", "10 good", "10 is good", "10 = well", "10 being good", "10 the best", "10 = great", "10 = excellent", "0 = worst", "0 = very low", "0 is worst", "0 = bad", "0 = awful", "10 means well", "10 means very well", "10 = full", "10 is the best", "10 = no ", "10 is no ", "10 means no ", "10 = fine", "0 = very bad", "0 is very low", "0 = unbearable"} {
		m.reversed = m.reversed || strings.Contains(lower, good)
	}
	if len(r.q.Concepts) > 0 {
		m.concepts = r.q.Concepts
		return m
	}
	for _, found := range r.lex.find(tokens) {
		c := r.lex.concepts[found.pattern.concept]
		if c.Level >= Soon && !slices.Contains(m.concepts, c.ID) {
			m.concepts = append(m.concepts, c.ID)
		} else if c.Level < Soon {
			m.practical = true
		}
	}
	return m
}

// score reads a number on a scale: 8 to 10 is severe, 2 to 7 is there, 0 and 1 is not.
func (r *reader) score(n float64, prompt meaning, add func(string, Level, string)) {
	low, high := r.bounds()
	n = (n - low) / (high - low) * 10
	if prompt.reversed {
		n = 10 - n
	}
	concepts := prompt.concepts
	if len(concepts) == 0 {
		concepts = []string{"pain_unspecified"}
		if !strings.Contains(strings.ToLower(r.q.Prompt), "pain") {
			concepts = []string{"unwell_general"}
		}
	}
	for _, id := range concepts {
		c := r.lex.concepts[id]
		if c == nil {
			continue
		}
		switch {
		case n >= 7.5:
			add(id, max(c.Severe, Soon), "scored 8 or more")
		case n >= 2:
			add(id, min(max(c.Level, Soon), Soon), "scored 2 to 7")
		}
	}
}

// weightLost compares a weight with the one of 60 to 120 days ago (clinical.md 6.6).
func (r *reader) weightLost(kg float64, add func(string, Level, string)) {
	for _, p := range r.history {
		if p.KgBefore <= 0 {
			continue
		}
		switch loss := (p.KgBefore - kg) / p.KgBefore; {
		case loss >= 0.10:
			add("weight_loss", Urgent, "10% or more lost in about 3 months")
		case loss >= 0.05:
			add("weight_loss", Soon, "5% or more lost in about 3 months")
		}
		return
	}
}

// chosen reads the words of the option that she chose, behind the question's
// own, as if she had written them.
func (r *reader) chosen(a Answer, add func(string, Level, string)) {
	options := r.options()
	i := slices.IndexFunc(options, func(o Option) bool { return o.Key == a.Option })
	if i < 0 {
		return
	}
	label, stem := options[i].Label, r.q.Prompt
	if len(r.q.Options) == 0 {
		if at := strings.Index(stem, options[0].Label); at > 0 {
			stem = stem[:at]
		}
	} else if question, _, ok := strings.Cut(stem, "?"); ok {
		stem = question // what follows lists the options
	}
	found := false
	for _, text := range []string{label, strings.NewReplacer("?", " ", ".", " ", "!", " ").Replace(stem) + " " + label} {
		for _, f := range r.lex.plainFindings(text) {
			if f.Polarity == "said" {
				add(f.Concept, f.Level, "chose: "+label)
				found = found || f.Level > None
			}
		}
		if found {
			return
		}
	}
	if harmless := r.lex.plainFindings(label); len(harmless) == 0 && !sounds(label, "none", "no", "usual", "same", "never", "all", "yes", "not at all", "better", "good", "well", "fine", "ok") {
		add("unwell_general", Routine, "chose: "+label)
	}
}

// sounds says whether a label has one of the words.
func sounds(label string, words ...string) bool {
	label = " " + strings.ToLower(label) + " "
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(label, " "+w+" ") })
}

// plainFindings reads words that answer nothing.
func (l *Lexicon) plainFindings(text string) []Finding {
	inner := &reader{lex: l, text: text, tokens: tokenise(text), p: &Profile{}}
	for i := range inner.tokens {
		l.see(&inner.tokens[i])
	}
	inner.marks = l.context.marks(inner.tokens)
	for _, k := range inner.marks {
		inner.has[k.kind] = true
	}
	inner.matches = l.find(inner.tokens)
	inner.findings()
	return inner.out.Findings
}
