package bot

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Search is what somebody at the desk typed to find a person, understood. One of
// BirthDate, Digits and Words is set, or none: then nobody is meant.
type Search struct {
	BirthDate string   // 2006-01-02
	Digits    string   // of an NHS number or a telephone number
	Phone     string   // Digits as an E.164 number, read as a British one
	Words     []string // each must begin a part of her name, see [NameParts]
}

// maxSearchWords bounds what one search costs a store.
const maxSearchWords = 5

// ParseSearch understands a query of [Store.Find].
func ParseSearch(query string) Search {
	query = strings.TrimSpace(query)
	if _, err := time.Parse(time.DateOnly, query); err == nil {
		return Search{BirthDate: query}
	}
	if digits, ok := numberLike(query); ok {
		phone := digits
		switch {
		case strings.HasPrefix(phone, "00"):
			phone = "+" + phone[2:]
		case strings.HasPrefix(phone, "0"):
			phone = "+44" + phone[1:]
		case strings.HasPrefix(query, "+"):
			phone = "+" + phone
		}
		return Search{Digits: digits, Phone: phone}
	}
	words := NameParts(query)
	return Search{Words: words[:min(len(words), maxSearchWords)]}
}

// numberLike gives the digits of a query that is a number as people write it.
func numberLike(query string) (string, bool) {
	var digits strings.Builder
	for _, r := range query {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case strings.ContainsRune(" -+().", r):
		default:
			return "", false
		}
	}
	return digits.String(), digits.Len() >= 6
}

// NameParts folds a name: lower case, no accents, one word each; apostrophes
// and hyphens divide and join, so that O'Brien is found as "obrien" and as "brien".
func NameParts(name string) []string {
	var parts []string
	for word := range strings.FieldsSeq(fold(name)) {
		parts = append(parts, strings.Map(letters, word))
		if pieces := strings.FieldsFunc(word, func(r rune) bool { return letters(r) < 0 }); len(pieces) > 1 {
			parts = append(parts, pieces...)
		}
	}
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

// NamedSo says whether each of the words of a [Search] begins one of the parts of
// a name.
func NamedSo(parts, words []string) bool {
	for _, w := range words {
		if !slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, w) }) {
			return false
		}
	}
	return true
}

func letters(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return r
	}
	return -1
}

// fold is lower case without accents.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(s)))
}
