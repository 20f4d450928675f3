package triage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is one word of a message, with its place in the text as it came.
type token struct {
	text       string // normalised: lower case, no apostrophes
	alt        string // the vocabulary's nearest word, when text is in no word list
	start, end int    // bytes in the message
	clause     int    // sentences and strong breaks count up
	comma      bool   // a comma or dash stands before it
	question   bool   // its sentence ends in a question mark
	syms       []sym  // what of the lexicon it can be
	number     float64
	isNumber   bool
}

// emoji that mean something are read as words.
var emojiWords = map[rune]string{
	'👍': "yes", '👌': "ok", '✅': "yes", '👎': "no", '❌': "no", '😊': "happy", '🙂': "happy", '😀': "happy", '😃': "happy", '😄': "happy",
	'🙏': "thanks", '❤': "love", '💕': "love", '😘': "love", '🥰': "love", '😢': "sad", '😭': "crying", '😞': "sad", '😔': "sad",
	'🤒': "fever", '🤕': "hurt", '🤢': "nausea", '🤮': "vomiting", '🩸': "blood", '🔥': "burning", '💀': "dead", '⚰': "coffin", '🆘': "help", '🥵': "hot",
	'😴': "sleepy", '😡': "angry", '💪': "strong", '🎉': "happy",
}

// textese spells out what people shorten. It holds no word that changes a
// concept by itself.
var textese = map[string]string{
	"u": "you", "ur": "your", "r": "are", "n": "and", "wiv": "with", "wid": "with", "w": "with", "2day": "today", "2moro": "tomorrow",
	"b4": "before", "cnt": "cant", "cannae": "cant", "cannot": "cant", "cannit": "cant", "couldnt": "couldnt", "wont": "wont",
	"wnt": "wont", "dnt": "dont", "dunno": "dont know", "didnae": "didnt", "dinnae": "dont", "isnae": "isnt", "wasnae": "wasnt", "havenae": "havent",
	"thru": "through", "fone": "phone", "wen": "when", "wot": "what", "wat": "what", "wer": "where", "dis": "this", "da": "the", "de": "the", "plz": "please", "pls": "please",
	"thx": "thanks", "tnx": "thanks", "ta": "thanks", "ty": "thanks", "msg": "message", "txt": "text", "appt": "appointment", "appts": "appointment",
	"doc": "doctor", "docs": "doctor", "hosp": "hospital", "meds": "tablets", "tabs": "tablets", "tabz": "tablets", "ive": "ive", "im": "im",
	"wk": "week", "wks": "weeks", "mth": "month", "mths": "months", "yr": "year", "yrs": "years", "hrs": "hours", "hr": "hour", "mins": "minutes",
	"nite": "night", "2nite": "tonight", "tonite": "tonight", "yest": "yesterday", "bk": "back", "bak": "back", "hav": "have", "gd": "good", "jst": "just",
	"brst": "breast", "brest": "breast", "boob": "breast", "boobs": "breast", "tit": "breast", "boobie": "breast", "wee": "pee", "weeing": "peeing", "weed": "peed",
	"summat": "something", "sumthing": "something", "smthing": "something", "sumfing": "something", "nowt": "nothing", "owt": "anything", "nuffin": "nothing", "nuthin": "nothing", "nothin": "nothing",
	"nae": "no", "naw": "no", "nah": "no", "nope": "no", "noo": "now", "aye": "yes", "yep": "yes", "yup": "yes", "yeah": "yes", "yea": "yes", "ye": "yes", "yess": "yes", "yeh": "yes", "yas": "yes", "ys": "yes",
	"wi": "with", "ma": "my", "mi": "my", "me": "my", "ma'am": "my", "oxter": "armpit", "gonna": "going to", "gotta": "got to", "wanna": "want to", "becos": "because", "cos": "because", "coz": "because",
	"breafless": "breathless", "brethless": "breathless", "breth": "breath", "bref": "breath", "breaf": "breath", "diareah": "diarrhoea", "diarea": "diarrhoea", "diarrhea": "diarrhoea", "runs": "runs",
	"vom": "vomit", "vomming": "vomiting", "puking": "vomiting", "puke": "vomit", "chucking": "vomiting", "spewing": "vomiting", "boaking": "vomiting", "tamox": "tamoxifen", "tamoxafen": "tamoxifen", "tamoxfen": "tamoxifen", "letro": "letrozole", "letrazole": "letrozole", "anastrazole": "anastrozole", "exemestaine": "exemestane",
	"agen": "again", "agane": "again", "wrk": "work", "werk": "work", "wotsit": "thing", "arnt": "arent", "aint": "isnt", "amnt": "not",
	"spk": "speak", "tlk": "talk", "tlkin": "talking", "sumone": "someone", "sum1": "someone", "any1": "anyone", "no1": "nobody", "every1": "everyone",
}

var numberWords = map[string]float64{
	"zero": 0, "nought": 0, "nil": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"eleven": 11, "twelve": 12, "dozen": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fortnight": 2, "couple": 2, "few": 3, "several": 4, "half": 0.5,
}

// tokenise splits a message into words that keep their places. It never fails.
func tokenise(text string) []token {
	tokens := make([]token, 0, len(text)/5+4)
	clause, comma := 0, false
	sentence := 0 // index of the first token of the sentence
	endSentence := func(question bool) {
		if question {
			for i := sentence; i < len(tokens); i++ {
				tokens[i].question = true
			}
		}
		sentence = len(tokens)
		clause++
	}
	add := func(word string, start, end int) {
		if full, ok := textese[word]; ok {
			for part := range strings.FieldsSeq(full) {
				tokens = append(tokens, token{text: part, start: start, end: end, clause: clause, comma: comma})
				comma = false
			}
			return
		}
		t := token{text: word, start: start, end: end, clause: clause, comma: comma}
		if n, ok := numberWords[word]; ok {
			t.number, t.isNumber = n, true
		}
		tokens = append(tokens, t)
		comma = false
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '+' || r == '&':
			add("and", i, i+size)
			i += size
		case unicode.IsDigit(r):
			i = number(text, i, clause, &comma, &tokens)
		case isLetter(r):
			i = word(text, i, add)
		case emojiWords[r] != "":
			add(emojiWords[r], i, i+size)
			i += size
		default:
			switch r {
			case '.', '!', ';', '\n', '…':
				endSentence(false)
			case '?':
				endSentence(true)
			case ',', '-', '–', '—', '(', ')', ':':
				comma = true
			}
			i += size
		}
	}
	return tokens
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.Is(unicode.Mn, r) }

// word reads one word from i, folding case, accents and apostrophes.
func word(text string, i int, add func(string, int, int)) int {
	start := i
	var b strings.Builder
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case isLetter(r):
			b.WriteString(foldRune(r))
		case r == '\'' || r == '’' || r == '‘' || r == '`' || r == '´':
			// inside a word only: "can't"
			if next, _ := utf8.DecodeRuneInString(text[i+size:]); !isLetter(next) {
				add(b.String(), start, i)
				return i + size
			}
		case unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			add(b.String(), start, i)
			return i
		}
		i += size
	}
	add(b.String(), start, i)
	return i
}

// foldRune gives a letter in lower case without its accent; other scripts stay.
func foldRune(r rune) string {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return string(r)
	}
	if plain, ok := plainLetters[unicode.ToLower(r)]; ok {
		return plain
	}
	if unicode.Is(unicode.Mn, r) {
		return ""
	}
	return string(unicode.ToLower(r))
}

var plainLetters = map[rune]string{
	'à': "a", 'á': "a", 'â': "a", 'ä': "a", 'ã': "a", 'å': "a", 'ç': "c", 'è': "e", 'é': "e", 'ê': "e", 'ë': "e", 'ì': "i", 'í': "i", 'î': "i", 'ï': "i",
	'ñ': "n", 'ò': "o", 'ó': "o", 'ô': "o", 'ö': "o", 'õ': "o", 'ù': "u", 'ú': "u", 'û': "u", 'ü': "u", 'ŵ': "w", 'ŷ': "y", 'ý': "y", 'ß': "ss", 'æ': "ae", 'ø': "o",
}

// number reads digits and what hangs on them: "38.2", "7/10", "2wks", "8ish", "1-5".
func number(text string, i, clause int, comma *bool, tokens *[]token) int {
	start := i
	value, scale := 0.0, 0.0
	for i < len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			if scale == 0 {
				value = value*10 + float64(c-'0')
			} else {
				value += float64(c-'0') * scale
				scale /= 10
			}
		case (c == '.' || c == ',') && scale == 0 && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			scale = 0.1
		default:
			goto done
		}
		i++
	}
done:
	end := i
	// letters at once behind: a unit, or textese such as "2day"
	j := i
	for j < len(text) && (text[j] >= 'a' && text[j] <= 'z' || text[j] >= 'A' && text[j] <= 'Z') {
		j++
	}
	tail := strings.ToLower(text[i:j])
	if full, ok := textese[strings.ToLower(text[start:j])]; ok && tail != "" {
		*tokens = append(*tokens, token{text: full, start: start, end: j, clause: clause, comma: *comma})
		*comma = false
		return j
	}
	if i == start { // a digit of another script
		_, size := utf8.DecodeRuneInString(text[i:])
		return i + size
	}
	*tokens = append(*tokens, token{text: text[start:end], start: start, end: end, clause: clause, comma: *comma, number: value, isNumber: true})
	*comma = false
	if tail != "" && tail != "ish" && tail != "th" && tail != "st" && tail != "nd" && tail != "rd" {
		w := tail
		if full, ok := textese[w]; ok {
			w = full
		}
		*tokens = append(*tokens, token{text: w, start: i, end: j, clause: clause})
	}
	return j
}
