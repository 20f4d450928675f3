package bot

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Words bounds how many words of one message are entered, and of one search are asked for.
const (
	mostWords    = 100
	mostAsked    = 5
	shortestWord = 3
)

// common are words that say nothing of who wrote them: everybody does.
var common = func() map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(`the and for you are not but have has had was were can could would should will with this that they them their there then than what when
		where which who how why just from been being about into out over some any all very also too now only its your our his her him she did does don doesn didn isn wasn
		haven hasn won wouldn couldn shouldn aren yes thank thanks please hello dear regards
		yr yw ac mae wedi ond fel hyn hynny dim nid oes oedd bod ydw rwy dwi fy eich gan ble pam sut iawn diolch`) {
		all[foldWord(w)] = true
	}
	return all
}()

// SearchWords takes a text apart into the words by which it is found: lower case, without
// accents and plural endings, no numbers, no word of fewer than three letters, none that
// everybody uses. Each stands once, in the order of the text.
func SearchWords(text string) []string {
	var words []string
	for word := range strings.FieldsFuncSeq(fold(text), func(r rune) bool { return letters(r) < 0 && r != '\'' && r != '’' }) {
		word = foldWord(strings.Map(letters, word))
		if len([]rune(word)) < shortestWord || common[word] || !strings.ContainsFunc(word, unicode.IsLetter) || slices.Contains(words, word) {
			continue
		}
		if words = append(words, word); len(words) == mostWords {
			break
		}
	}
	return words
}

// foldWord takes the ending of a plural off (Harman's S stemmer).
func foldWord(w string) string {
	switch {
	case len(w) <= shortestWord:
	case strings.HasSuffix(w, "ies") && !strings.HasSuffix(w, "eies") && !strings.HasSuffix(w, "aies"):
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "es") && !strings.HasSuffix(w, "aes") && !strings.HasSuffix(w, "ees") && !strings.HasSuffix(w, "oes"):
		return w[:len(w)-1]
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "ss"):
		return w[:len(w)-1]
	}
	return w
}

// SaidOn are the words by which messages are found, by the day on which they came, counted
// from 1970. Only what she, or somebody who writes for her, has written is searched.
func SaidOn(entries []Entry) map[int64][]string {
	var on map[int64][]string
	for i := range entries {
		e := &entries[i]
		if e.Kind != EntryIn || e.Text == "" {
			continue
		}
		for _, w := range SearchWords(e.Text) {
			day := e.At.Unix() / 86400
			if on == nil {
				on = map[int64][]string{}
			}
			if !slices.Contains(on[day], w) {
				on[day] = append(on[day], w)
			}
		}
	}
	return on
}

// Said is somebody whose messages have the words that were searched.
type Said struct {
	Patient Patient
	Message Entry // the newest with most of the words
	Spans   []Span
}

// mostOpened bounds how many journals one search opens.
const mostOpened = 100

// FindSaid finds people by words of their messages, who wrote last first: each word must
// stand in some message of hers. more says that there may be others.
func (b *Bot) FindSaid(ctx context.Context, query string, limit int) (found []Said, more bool, err error) {
	words := SearchWords(query)
	words = words[:min(len(words), mostAsked)]
	if len(words) == 0 || limit <= 0 {
		return nil, false, nil
	}
	ids, err := b.store.Said(ctx, b.service.ID, words, mostOpened)
	if err != nil {
		return nil, false, err
	}
	for _, id := range ids {
		if len(found) == limit {
			return found, true, nil
		}
		entries, err := b.store.Journal(ctx, id, 0, 0)
		if err != nil {
			return nil, false, err
		}
		message, ok := saidAll(entries, words)
		if !ok {
			continue // the index may say too much
		}
		rec, err := b.store.Load(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		found = append(found, Said{rec.Patient, message, spansOf(message.Text, words)})
	}
	return found, len(ids) == mostOpened, nil
}

// saidAll gives the newest message with most of the words, if all of them stand in one
// message or another.
func saidAll(entries []Entry, words []string) (best Entry, all bool) {
	missing, most := slices.Clone(words), 0
	for _, e := range slices.Backward(entries) {
		if e.Kind != EntryIn || e.Text == "" {
			continue
		}
		has, n := SearchWords(e.Text), 0
		for _, w := range words {
			if slices.Contains(has, w) {
				n++
				missing = slices.DeleteFunc(missing, func(m string) bool { return m == w })
			}
		}
		if n > most {
			best, most = e, n
		}
		if most == len(words) {
			break
		}
	}
	return best, most > 0 && len(missing) == 0
}

// spansOf says where the words stand in a text.
func spansOf(text string, words []string) []Span {
	var spans []Span
	start := -1
	end := func(at int) {
		if start >= 0 && slices.ContainsFunc(SearchWords(text[start:at]), func(w string) bool { return slices.Contains(words, w) }) {
			spans = append(spans, Span{Start: start, End: at})
		}
		start = -1
	}
	for i, r := range text {
		inside := letters(r) >= 0 || unicode.Is(unicode.Mn, r) || r == '\'' || r == '’'
		if inside && start < 0 {
			start = i
		}
		if !inside {
			end(i)
		}
	}
	end(len(text))
	return spans
}

const (
	drawerSaid   = "said"
	saidAtOnce   = 50
	saidForLong  = 5 * time.Second
	saidWholeKey = "whole"
)

// EnterSaid enters the words of messages that have come since it last did, and then of
// those that were kept before messages could be searched by their words, a part of them
// each time, and goes on where it was.
func (b *Bot) EnterSaid(ctx context.Context) error {
	if err := b.store.EnterNewSaid(ctx); err != nil {
		return err
	}
	if _, err := b.store.Value(ctx, drawerSaid, saidWholeKey, b.now()); !errors.Is(err, ErrNotFound) {
		return err
	}
	after, err := b.store.Value(ctx, drawerSaid, "upto", b.now())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for begun := time.Now(); time.Since(begun) < saidForLong; {
		people, err := b.store.Patients(ctx, b.service.ID, string(after), saidAtOnce)
		if err != nil {
			return err
		}
		if len(people) == 0 {
			return b.store.PutValue(ctx, drawerSaid, saidWholeKey, []byte("1"), time.Time{})
		}
		for _, p := range people {
			if err := b.store.EnterSaid(ctx, p.ID); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			after = []byte(p.ID)
		}
		if err := b.store.PutValue(ctx, drawerSaid, "upto", after, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}
