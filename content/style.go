package content

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"lookout/flows"
)

// styleFile is service/style.yaml: how lookout speaks.
type styleFile struct {
	flows.About  `yaml:",inline"`
	Reading      readingLimits `yaml:"reading"`
	Never        []styleWord   `yaml:"never"`
	Words        []styleWord   `yaml:"words"`
	LockedScreen lockedScreen  `yaml:"locked_screen"`

	locked *regexp.Regexp
}

// readingLimits are how hard a text may be to read.
type readingLimits struct {
	Age      int `yaml:"age"`      // ReadingAge, at most
	Sentence int `yaml:"sentence"` // words of a sentence, at most
}

// styleWord is a word or a phrase that is not said.
type styleWord struct {
	Word   string `yaml:"word"`
	Why    string `yaml:"why"`    // of what is never said
	Say    string `yaml:"say"`    // instead
	SMS    bool   `yaml:"sms"`    // only text messages must not have it
	Source string `yaml:"source"` // in the clinical digest

	form *regexp.Regexp
}

// lockedScreen is what somebody sees of a text who does not unlock her phone.
type lockedScreen struct {
	Characters int      `yaml:"characters"`
	Words      []string `yaml:"words"`
}

const styleName = "service/style.yaml"

// style reads how a pack speaks. A pack from before the file is held to the one that
// comes with the program.
func (c *checker) style(files map[string][]byte) *styleFile {
	data := files[styleName]
	if data == nil {
		data, _ = embedded.ReadFile(styleName)
	}
	s := &styleFile{}
	if !c.decode(styleName, data, s) {
		return s
	}
	line := func(word string) int { return lineOf(data, word) }
	for _, list := range [][]styleWord{s.Never, s.Words} {
		for i := range list {
			w := &list[i]
			if w.form = wordForm(w.Word); w.form == nil {
				c.fault(styleName, line("word: "), "%q is no word: write letters, with a star behind them for any ending", w.Word)
			}
			if w.Say == "" || w.Why+w.Source == "" {
				c.fault(styleName, line(w.Word), "the word %q needs `say:` (what to say instead) and `why:` or `source:`", w.Word)
			}
		}
	}
	if s.Reading.Age < 5 || s.Reading.Sentence < 5 {
		c.fault(styleName, line("reading:"), "write `reading: {age: 11, sentence: 20}`")
	}
	if s.LockedScreen.Characters < 20 || len(s.LockedScreen.Words) == 0 {
		c.fault(styleName, line("locked_screen:"), "locked_screen needs `characters:` and `words:`")
		return s
	}
	var forms []string
	for _, w := range s.LockedScreen.Words {
		form := wordForm(w)
		if form == nil {
			c.fault(styleName, line("locked_screen:"), "%q is no word: write letters, with a star behind them for any ending", w)
			return s
		}
		forms = append(forms, strings.TrimPrefix(form.String(), wordStart))
	}
	s.locked = regexp.MustCompile(wordStart + "(?:" + strings.Join(forms, "|") + ")")
	return s
}

const (
	wordStart = `(?i)(?:^|[^\pL])`
	wordEnd   = `(?:$|[^\pL])`
)

// wordForm finds a word, or a phrase, as a whole; a star behind it stands for any
// ending. nil: it is none.
func wordForm(word string) *regexp.Regexp {
	stem, open := strings.CutSuffix(word, "*")
	if strings.TrimSpace(stem) == "" || strings.Contains(stem, "*") {
		return nil
	}
	form := "(" + regexp.QuoteMeta(stem)
	if open {
		form += `\pL*)`
	} else {
		form += ")" + wordEnd
	}
	return regexp.MustCompile(wordStart + form)
}

// inBrackets is what stands in round brackets.
var inBrackets = regexp.MustCompile(`\([^()]*\)`)

// firstSeen is the first telling word that a locked screen would show of a text
// message; "" when there is none.
func (s *styleFile) firstSeen(words string) string {
	if s.locked == nil {
		return ""
	}
	start := []rune(words)
	seen := string(start[:min(s.LockedScreen.Characters, len(start))])
	return strings.TrimFunc(s.locked.FindString(seen), func(r rune) bool { return !unicode.IsLetter(r) })
}

// neverIn says what of `never` a wording has; "" when it has nothing.
func (s *styleFile) neverIn(words string) string {
	for _, w := range s.Never {
		if w.form != nil && w.form.MatchString(words) {
			return fmt.Sprintf("it says %q, and %s: say %s", w.Word, w.Why, w.Say)
		}
	}
	return ""
}
