package bot

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The signs of the short name of a row: none that looks like another, as 0 and O, 1, I
// and L, 2 and Z, 5 and S, 8 and B do, and no vowel, so that no word comes out.
const (
	nameLetters = "CDFGHJKMNPQRTVWX"
	nameSigns   = nameLetters + "23456789"
	nameLength  = 4
)

// RowName is the short name of a row, for people to say and to type, like "K7RT". It
// comes from the row's id alone, so that it is the same on every process and for ever.
// The first sign is a letter, so that no name is a number.
//
// There are 16 × 24³ = 221,184. Of ten rows that are open in one team, two share a name
// once in 4,900 times, of thirty once in 500, of a hundred once in 45. Where two do, an
// answer goes to the one that [Bot.answerPage] would take of all, and the desk shows both.
func RowName(id string) string {
	sum := sha256.Sum256([]byte(id))
	n := binary.BigEndian.Uint64(sum[:])
	name := make([]byte, nameLength)
	for i := range name {
		signs := nameSigns
		if i == 0 {
			signs = nameLetters
		}
		name[i] = signs[n%uint64(len(signs))]
		n /= uint64(len(signs))
	}
	return string(name)
}

// Name is the row's short name; see [RowName].
func (r Row) Name() string { return RowName(r.ID) }

// isRowName says whether a word in capitals could be the name of a row.
func isRowName(word string) bool {
	return len(word) == nameLength && strings.Contains(nameLetters, word[:1]) && strings.Trim(word, nameSigns) == ""
}

// meantAsName says whether a word that is no name of a row was meant as one: a slip of the
// thumb must not give a nurse another row.
func meantAsName(word string) bool {
	digits := strings.ContainsAny(word, "0123456789")
	letters := strings.Trim(word, "0123456789") != ""
	if len(word) == nameLength && letters && !strings.ContainsAny(word, "AEIOUY") {
		return !timeLike.MatchString(word)
	}
	return digits && word[0] >= 'A' && word[0] <= 'Z' && len(word) >= nameLength-1 && len(word) <= nameLength+1
}

// timeLike are an hour, a stretch of time and a day: "ACK, there by 10pm".
var timeLike = regexp.MustCompile(`^\d+(PM|HRS?|ST|ND|RD|TH)$`)

// rowNameIn gives the name of a row that words of a nurse hold, in capitals; "": none.
func rowNameIn(words []string) string {
	called := len(words) > 0 && words[0] == "ROW"
	if called {
		words = words[1:]
	}
	for _, word := range words {
		if isRowName(word) {
			return word
		}
	}
	switch {
	case len(words) == 0:
		return ""
	case len(words) > 1 && isRowName(words[0]+words[1]): // K7 RT
		return words[0] + words[1]
	case meantAsName(words[0]), called && len(words[0]) == nameLength:
		return words[0]
	}
	return ""
}

// capitals are the words of a text, in capitals and without what stands between them.
func capitals(text string) []string {
	return strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// readAnswer reads what a nurse answers to a page: ACK or PASS, and the name of the row
// that she means, if she gives one. word is "" when it is no answer.
func readAnswer(text string) (word, row string) {
	words := capitals(text)
	if len(words) == 0 {
		return "", ""
	}
	for _, word := range []string{"ACK", "PASS"} {
		switch rest, ok := strings.CutPrefix(words[0], word); {
		case ok && rest == "":
			return word, rowNameIn(words[1:])
		case ok && isRowName(rest): // ACKK7RT
			return word, rest
		}
	}
	return "", ""
}

// mostNamed bounds how many rows one text names.
const mostNamed = 8

// rowNames lists the names of rows in words.
func rowNames(rows []Row) string {
	names := make([]string, min(len(rows), mostNamed))
	for i := range names {
		names[i] = rows[i].Name()
	}
	list := strings.Join(names, ", ")
	if more := len(rows) - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// namedSince is for how long a closed row is found by its name.
const namedSince = 14 * 24 * time.Hour

// RowsNamed finds rows by what somebody at the desk typed, when that is the name of a row:
// those that are not closed, the most dangerous first, then those closed in the last days.
func (b *Bot) RowsNamed(ctx context.Context, query string) ([]Row, error) {
	words := capitals(query)
	if len(words) > 1 && words[0] == "ROW" {
		words = words[1:]
	}
	if len(words) != 1 || !isRowName(words[0]) {
		return nil, nil
	}
	var found []Row
	for _, filter := range []QueueFilter{
		{States: []RowState{Open, Claimed, Snoozed}, Limit: mostLooked},
		{States: []RowState{Closed}, ClosedSince: b.now().Add(-namedSince), Limit: mostLooked},
	} {
		rows, err := b.Queue(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("look for a row by its name: %w", err)
		}
		found = append(found, slices.DeleteFunc(rows, func(r Row) bool { return r.Name() != words[0] })...)
	}
	return found, nil
}

// mostLooked bounds among how many rows one is looked for.
const mostLooked = 2000
