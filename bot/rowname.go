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
// thumb must not give a nurse another row. Without a digit it is a word as any other, like
// "thnx" or "hmmm".
func meantAsName(word string) bool {
	if !strings.ContainsAny(word, "0123456789") || timeLike.MatchString(word) {
		return false
	}
	if len(word) == nameLength && strings.Trim(word, "0123456789") != "" && !strings.ContainsAny(word, "AEIOUY") {
		return true
	}
	return word[0] >= 'A' && word[0] <= 'Z' && len(word) >= nameLength-1 && len(word) <= nameLength+1
}

// timeLike are an hour, a stretch of time and a day: "ACK, there by 10pm".
var timeLike = regexp.MustCompile(`^\d+(PM|HRS?|ST|ND|RD|TH)$`)

// rowNameIn gives the name of a row that words of a nurse hold, in capitals; "": none. The
// name of one of rows, those that wait, counts wherever it stands. Else the first word
// counts, if it is the name of any row that is not long closed, or looks like a name and
// has a digit. Whatever else she says is no name: a nurse who has answered has answered.
func (b *Bot) rowNameIn(ctx context.Context, words []string, rows []Row) (string, error) {
	called := len(words) > 0 && words[0] == "ROW"
	if called {
		words = words[1:]
	}
	if len(words) == 0 {
		return "", nil
	}
	first := words[0]
	if len(words) > 1 && isRowName(words[0]+words[1]) { // K7 RT
		first += words[1]
	}
	for _, word := range append([]string{first}, words...) {
		if slices.ContainsFunc(rows, func(r Row) bool { return r.Name() == word }) {
			return word, nil
		}
	}
	for _, word := range []string{first, words[0]} {
		if meantAsName(word) || called && len(word) == nameLength {
			return word, nil
		}
		named, err := b.RowsNamed(ctx, word)
		if err != nil {
			return "", err
		}
		if len(named) > 0 {
			return word, nil
		}
	}
	return "", nil
}

// capitals are the words of a text, in capitals and without what stands between them.
func capitals(text string) []string {
	return strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// readAnswer reads what a nurse answers to a page: ACK or PASS, and the words behind it.
// word is "" when it is no answer.
func readAnswer(text string) (word string, behind []string) {
	words := capitals(text)
	if len(words) == 0 {
		return "", nil
	}
	for _, word := range []string{"ACK", "PASS"} {
		switch rest, ok := strings.CutPrefix(words[0], word); {
		case ok && rest == "":
			return word, words[1:]
		case ok && isRowName(rest): // ACKK7RT
			words[0] = rest
			return word, words
		}
	}
	return "", nil
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
