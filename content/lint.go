package content

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"lookout/flows"
	"lookout/flows/triage"
)

// Lint finds what a pack that can be served should not say: words that are hard to
// read, that the style of service/style.yaml does not allow, or that contradict one
// another. `lookout flows check` tells them beside the faults of Load; docs/content.md
// explains each. A text may be excepted from one, with a reason, in its own file.
func (p *Pack) Lint() flows.Faults {
	l := &linter{p: p, style: p.service.style, excused: map[string]map[string]bool{}}
	for _, id := range sortedKeys(p.texts) {
		l.text(p.texts[id])
	}
	for _, name := range p.program.Flows() {
		steps := p.program.InWords(name)
		for _, s := range steps {
			l.step(name, s)
			l.lower(name, s, steps)
		}
	}
	l.pages()
	l.promises()
	l.planned()
	l.unused()
	l.exceptions()
	slices.SortStableFunc(l.faults, func(a, b flows.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code))
	})
	return l.faults
}

type linter struct {
	p       *Pack
	style   *styleFile
	faults  flows.Faults
	excused map[string]map[string]bool // exceptions that were needed, by text and check
}

func (l *linter) fault(file string, line int, code, mend, format string, args ...any) {
	l.faults = append(l.faults, flows.Fault{Code: code, File: file, Line: max(line, 1), Col: 1, Message: fmt.Sprintf(format, args...), Mend: mend})
}

// ofText is a fault of one wording, unless the text says why it may have it.
func (l *linter) ofText(t *text, key, code, mend, format string, args ...any) {
	if t.except[code] != "" {
		if l.excused[t.id] == nil {
			l.excused[t.id] = map[string]bool{}
		}
		l.excused[t.id][code] = true
		return
	}
	l.fault(t.file, t.lineOf(key), code, mend, "text %s (%s): %s", t.id, Wordings[key], fmt.Sprintf(format, args...))
}

// fieldOf are the fields of a file in which the wordings stand.
var fieldOf = map[string]string{"en-GB": "en-GB", "en-GB/chat": "chat", "en-GB/email": "email", "en-GB/webhook": "webhook", "cy": "cy", "cy/chat": "cy_chat"}

// lineOf is where a wording stands.
func (t *text) lineOf(key string) int { return cmp.Or(t.lines[fieldOf[key]], t.line) }

// toNurse says whether a text goes to a nurse's own phone, and to no patient.
func (t *text) toNurse() bool { return strings.HasPrefix(t.id, "page.") }

// pagesOfRows page a nurse on duty about a row.
var pagesOfRows = []string{"page.emergency", "page.promise"}

// pages finds a page that does not name its row: nobody could tell it from another's.
func (l *linter) pages() {
	for _, id := range pagesOfRows {
		t := l.p.texts[id]
		if t == nil {
			continue
		}
		for _, key := range sortedKeys(t.wording) {
			if !strings.Contains(t.wording[key], "{row}") {
				l.fault(t.file, t.lineOf(key), "row", "write {row} into it", "text %s (%s): it pages for a row, and does not name it", t.id, Wordings[key])
			}
		}
	}
}

// ordinary are values of placeholders with which a text is as easy to read as it will be.
var ordinary = map[string]string{"given_name": "Mary", "service": "Anytown nurses", "nurse_line": "01632 960001", "cancer_line": "01632 960002",
	"urgent_route": "111", "crisis_route": "111", "by": "5pm today", "link": "", "desk": "", "since": "10am", "code": "123456", "level": "urgent", "nurse": "Ann",
	"begins": "Monday 4 May", "when": "Mon to Fri from 10am to 4pm"}

func fillOrdinary(words string) string {
	return placeholder.ReplaceAllStringFunc(words, func(m string) string { return ordinary[m[1:len(m)-1]] })
}

var (
	sentenceEnd = regexp.MustCompile(`[.!?:;]+(?:\s|$)|\n`)
	number      = regexp.MustCompile(`\d+(?:[ ,.]\d+)*`)
)

// text holds one text to the style.
func (l *linter) text(t *text) {
	if t.toNurse() {
		return
	}
	for _, key := range sortedKeys(t.wording) {
		words := t.wording[key]
		plain := fillOrdinary(words)
		if age := ReadingAge(plain); strings.HasPrefix(key, "en") && age > l.style.Reading.Age {
			l.ofText(t, key, "reading-age", "shorten its sentences and take shorter words", "it can be read from the age of %d, and should be from %d", age, l.style.Reading.Age)
		}
		for _, sentence := range sentenceEnd.Split(plain, -1) {
			if n := len(strings.Fields(sentence)); n > l.style.Reading.Sentence {
				l.ofText(t, key, "long-sentence", "make it two", "the sentence that begins %q has %d words, and should have %d at most", firstFew(sentence), n, l.style.Reading.Sentence)
			}
		}
		l.words(words, key == "en-GB" || key == "cy", func(found, say, source string) {
			l.ofText(t, key, "word", "say "+say, "it says %q (clinical digest %s)", found, source)
		})
	}
	for _, pair := range [][2]string{{"en-GB", "cy"}, {"en-GB/chat", "cy/chat"}} {
		english, welsh := numbersOf(t.wording[pair[0]]), numbersOf(t.wording[pair[1]])
		if t.wording[pair[0]] != "" && t.wording[pair[1]] != "" && !slices.Equal(english, welsh) {
			l.ofText(t, pair[1], "numbers", "let both languages give the same", "its numbers are %s, and in English %s", listOf(welsh), listOf(english))
		}
	}
}

func firstFew(sentence string) string {
	words := strings.Fields(sentence)
	return strings.Join(words[:min(4, len(words))], " ") + " …"
}

func numbersOf(words string) []string {
	out := number.FindAllString(words, -1)
	slices.Sort(out)
	return out
}

func listOf(words []string) string { return cmp.Or(strings.Join(words, ", "), "none") }

// words finds what the style does not say.
func (l *linter) words(words string, sms bool, found func(word, say, source string)) {
	words = inBrackets.ReplaceAllString(words, "")
	for _, w := range l.style.Words {
		if w.SMS && !sms || w.form == nil {
			continue
		}
		if m := w.form.FindStringSubmatch(words); m != nil {
			found(m[1], w.Say, w.Source)
		}
	}
}

// answerWords are how a question that is answered by yes or no asks for it, by language.
var answerWords = map[string]*regexp.Regexp{"en-GB": regexp.MustCompile(`\bYES\b.*\bNO\b`), "cy": regexp.MustCompile(`\b(?:IE|YDW|OES|YDY|DO)\b.*\b(?:NA|NAC|NADDO)\b`)}

// step holds what a step says to what it does.
func (l *linter) step(flow string, s flows.StepWords) {
	l.falls(flow, s)
	if s.Verb != "ask" {
		return
	}
	file, line := l.p.program.At(flow, s.Step)
	file = "flows/" + file
	if (s.Kind == triage.YesNo || s.Kind == triage.Scale) && !s.Weighed {
		l.fault(file, line, "unmeant", "name what the bad answer says of her in `concepts`, and with `trouble` which answer that is; or say `practical: true`", "nothing says what a bare answer to step %s of the flow %s means: it would be guessed from the words of the question", s.Step, flow)
	}
	t := l.p.texts[s.Texts[0]]
	list := Choices(s.Options, "en-GB")
	for _, o := range s.Options {
		for _, label := range []string{o.Label, o.Welsh} {
			l.words(label, true, func(found, say, source string) {
				l.fault(file, line, "word", "say "+say, "the option %s of step %s says %q (clinical digest %s)", o.Key, s.Step, found, source)
			})
			if says := l.style.neverIn(label); says != "" {
				l.fault(file, line, "never", "word the option otherwise", "the option %s of step %s: %s", o.Key, s.Step, says)
			}
		}
	}
	for _, key := range []string{"en-GB", "cy", "en-GB/chat", "cy/chat"} {
		words := t.wording[key]
		language, channel, _ := strings.Cut(key, "/")
		if words == "" {
			continue
		}
		lists := strings.Contains(words, "{choices}") || strings.Contains(words, "{list}")
		switch {
		case s.Kind == triage.Choice && !lists:
			l.ofText(t, key, "asks-otherwise", "write {choices} or {list} into it", "step %s of the flow %s asks it as a choice, and it does not show what there is to choose", s.Step, flow)
		case s.Kind != triage.Choice && lists:
			l.ofText(t, key, "asks-otherwise", "take the list out, or ask it as a choice", "step %s of the flow %s asks it as %s, and it shows a list to choose from", s.Step, flow, s.Kind)
		case channel != "": // there the answers are buttons
		case s.Kind == triage.YesNo && !answerWords[language].MatchString(words):
			l.ofText(t, key, "asks-otherwise", "end it with YES, NO or UNSURE, in Welsh IE, NA neu ANSICR", "step %s of the flow %s asks for yes or no, and it does not say so", s.Step, flow)
		case s.Kind != triage.YesNo && answerWords[language].MatchString(words):
			l.ofText(t, key, "asks-otherwise", "take the YES and NO out, or ask it as yes_no", "step %s of the flow %s asks it as %s, and it asks for YES or NO", s.Step, flow, s.Kind)
		case s.Kind == triage.Scale && !(slices.Contains(numbersOf(words), fmt.Sprint(s.Min)) && slices.Contains(numbersOf(words), fmt.Sprint(s.Max))):
			l.ofText(t, key, "asks-otherwise", "write the two ends of the scale into it, and what they mean", "step %s of the flow %s takes %g to %g, and it does not say so", s.Step, flow, s.Min, s.Max)
		}
		if lists && channel == "" {
			if language == "cy" {
				list = Choices(s.Options, "cy")
			}
			shown := placeholder.ReplaceAllStringFunc(words, func(m string) string { return cmp.Or(list[m[1:len(m)-1]], ordinary[m[1:len(m)-1]]) })
			if seen := l.style.firstSeen(shown); seen != "" {
				l.ofText(t, key, "locked-screen", "begin with neutral words", "with the options of step %s of the flow %s a locked screen would show %q", s.Step, flow, seen)
			}
		}
	}
}

// falls finds a scale on which a worse answer leads to a row that is less urgent
// than a better one's.
func (l *linter) falls(flow string, s flows.StepWords) {
	top, of := triage.None, ""
	rises := slices.Clone(s.Rises)
	if s.Trouble == "low" {
		slices.Reverse(rises)
	}
	for _, x := range rises {
		if x.Level == triage.None {
			continue // where it leads is more than a row
		}
		if x.Level < top {
			file, line := l.p.program.At(flow, s.Step)
			l.fault("flows/"+file, line, "falls", "let worse answers be no less urgent, or turn the scale round", "on step %s the answer %s makes a row that is %s, and %s one that is %s", s.Step, of, top, x.Answer, x.Level)
			return
		}
		top, of = x.Level, x.Answer
	}
}

// lower finds a question whose bad answer says something of her that the lexicon takes for
// more urgent than the row that the flow makes of it.
func (l *linter) lower(flow string, s flows.StepWords, steps []flows.StepWords) {
	if s.Kind != triage.YesNo {
		return
	}
	bad := cmp.Or(s.Trouble, "yes")
	for _, w := range s.Ways {
		i := slices.IndexFunc(steps, func(x flows.StepWords) bool { return x.Step == w.To && x.Verb == "escalate" })
		if w.When != bad || i < 0 {
			continue
		}
		for _, id := range s.Concepts {
			if c, ok := l.p.lexicon.Concept(id); ok && c.Level > steps[i].Level {
				file, line := l.p.program.At(flow, steps[i].Step)
				l.fault("flows/"+file, line, "lower", "raise the level, or ask about another concept", "a %s on step %s says %s of her, which the lexicon takes for %s, and step %s makes a row that is %s", bad, s.Step, id, c.Level, steps[i].Step, steps[i].Level)
			}
		}
	}
}

// planned finds questions that a plan sends by themselves: nothing waits for their
// answers.
func (l *linter) planned() {
	asked := map[string]string{}
	for _, flow := range l.p.program.Flows() {
		for _, s := range l.p.program.InWords(flow) {
			if s.Verb == "ask" {
				asked[s.Texts[0]] = flow
			}
		}
	}
	for _, id := range sortedKeys(l.p.plans) {
		plan := l.p.plans[id]
		file := "plans/" + id + ".yaml"
		for i := range plan.List {
			x := &plan.List[i]
			for _, text := range append(slices.Clone(x.Texts), x.Text) {
				if flow := asked[text]; flow != "" {
					l.fault(file, lineOf(l.p.files[file], "id: "+x.ID), "planned", "plan the flow, or write another text", "the item %s sends %s by itself, which is a question of the flow %s: nothing waits for the answer", x.ID, text, flow)
				}
			}
		}
	}
}

// ownDay are words that promise a day of their own.
var ownDay = regexp.MustCompile(wordStart + `(today|tonight|tomorrow|this week|heddiw|heno|yfory|yr wythnos hon)` + wordEnd)

// promises holds the texts of rows to what the rows promise: the desk works out by
// when, and an emergency waits for nobody.
func (l *linter) promises() {
	level := map[string]triage.Level{}
	for _, lv := range []triage.Level{triage.Routine, triage.Soon, triage.Urgent, triage.Emergency} {
		level[l.p.PromiseText(lv, "")] = lv
		for _, id := range sortedKeys(l.p.service.concerns) {
			level[l.p.PromiseText(lv, id)] = lv
		}
	}
	for _, id := range sortedKeys(level) {
		for _, id := range []string{id, id + GPVariant} {
			if l.p.texts[id] != nil {
				l.promise(l.p.texts[id], level[strings.TrimSuffix(id, GPVariant)])
			}
		}
	}
}

func (l *linter) promise(t *text, level triage.Level) {
	for _, key := range sortedKeys(t.wording) {
		words := t.wording[key]
		if level == triage.Emergency {
			if strings.Contains(words, "{by}") {
				l.ofText(t, key, "promise", "say what she should do now", "it answers an emergency, and says by when somebody will be in touch")
			}
			if !strings.Contains(words, "999") && !strings.Contains(words, "{cancer_line}") {
				l.ofText(t, key, "promise", "name 999", "it answers an emergency, and does not say where to ring")
			}
			continue
		}
		if m := ownDay.FindStringSubmatch(words); m != nil {
			l.ofText(t, key, "promise", "write {by}", "it promises %q by itself, and the row may be due on another day", m[1])
		}
	}
}

// startedByName are flows that package bot starts.
var startedByName = []string{"check-in", "invitation", "again-two-days", "again-two-weeks", "pause"}

// unused finds texts that nothing says, and flows that nothing starts: their author
// thinks that they are said.
func (l *linter) unused() {
	texts, started := map[string]bool{}, map[string]bool{}
	say := func(ids ...string) {
		for _, id := range ids {
			texts[id] = true
		}
	}
	say(requiredTexts...)
	say(laterTexts...)
	for _, c := range l.p.service.concerns {
		say(c.textIDs()...)
	}
	for _, c := range l.p.service.desk.Texts {
		say(c.Key)
	}
	for _, flow := range slices.Concat(startedByName, l.p.asks.flows()) {
		started[flow] = true
	}
	for _, plan := range l.p.plans {
		for i := range plan.List {
			say(plan.List[i].Text)
			say(plan.List[i].Texts...)
			started[plan.List[i].Flow] = true
		}
	}
	for _, flow := range l.p.program.Flows() {
		for _, s := range l.p.program.InWords(flow) {
			say(s.Texts...)
			started[s.Calls] = true
		}
	}
	for _, id := range sortedKeys(l.p.texts) {
		if t := l.p.texts[id]; !texts[id] && !texts[strings.TrimSuffix(id, GPVariant)] {
			l.ofText(t, "en-GB", "unused", "name it in a flow or a plan, or take it out", "nothing says it")
		}
	}
	for _, flow := range l.p.program.Flows() {
		if !started[flow] {
			l.fault("flows/"+flow+".yaml", 1, "unused", "name it in a plan, call it from another flow, or take it out", "no plan and no flow starts the flow %s", flow)
		}
	}
}

// lintCodes are the checks from which a text may be excepted.
var lintCodes = []string{"asks-otherwise", "locked-screen", "long-sentence", "numbers", "promise", "reading-age", "unused", "word"}

// exceptions finds those that nothing needs.
func (l *linter) exceptions() {
	for _, id := range sortedKeys(l.p.texts) {
		t := l.p.texts[id]
		for _, code := range slices.Sorted(maps.Keys(t.except)) {
			line := cmp.Or(t.lines["except"], t.line)
			switch {
			case !slices.Contains(lintCodes, code):
				l.fault(t.file, line, "except", "use one of "+strings.Join(lintCodes, ", "), "text %s: there is no check %q to except it from", id, code)
			case strings.TrimSpace(t.except[code]) == "":
				l.fault(t.file, line, "except", "say why", "text %s: its exception from %s has no reason", id, code)
			case !l.excused[id][code]:
				l.fault(t.file, line, "except", "take the exception out", "text %s needs no exception from %s", id, code)
			}
		}
	}
}
