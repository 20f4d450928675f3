package content

import (
	"math"
	"strings"
	"unicode"
)

// ReadingAge estimates the age at which a text can be read, in years: the grade of
// Flesch and Kincaid (1975) and five. The clinical digest (8.1) asks for 9 to 11. Of
// a text of a few words it is a hint, no more. 0: there are no words.
func ReadingAge(text string) int {
	words, sentences, syllables := 0, 0, 0
	for _, sentence := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".!?;:\n", r) }) {
		n := 0
		for word := range strings.FieldsFuncSeq(sentence, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
			n++
			syllables += syllablesOf(strings.ToLower(word))
		}
		if words += n; n > 0 {
			sentences++
		}
	}
	if words == 0 {
		return 0
	}
	grade := 0.39*float64(words)/float64(sentences) + 11.8*float64(syllables)/float64(words) - 15.59
	return max(5, int(math.Round(grade))+5)
}

// syllablesOf counts groups of vowels; a silent e at the end is none.
func syllablesOf(word string) int {
	n, before := 0, false
	for _, r := range word {
		vowel := strings.ContainsRune("aeiouy", r)
		if vowel && !before {
			n++
		}
		before = vowel
	}
	if strings.HasSuffix(word, "e") && !strings.HasSuffix(word, "le") && n > 1 {
		n--
	}
	return max(1, n)
}
