// Package triage reads what a patient wrote.
//
// [Read] takes a message, the question that it answers (if any), what is known
// of the person and what she told before, and gives back a [Reading]: how
// urgent it is, which concepts it names with their context, how it answers the
// question, and why, in one sentence and rule by rule.
//
// It promises: the same input gives the same reading on every machine; every
// level is explained by rules and by spans of her own text; what is not
// understood is never [None]. It refuses to know how a nurse is told, over
// which channel the words came, what time it is, or any network: everything
// that it needs is passed in. It never lowers what an approved rule raised.
//
// The levels, and what belongs where, are those of the labelling guide in
// content/triage/LABELS.md; each concept in content/lexicon names its source.
package triage

import (
	"fmt"
	"time"
)

// Level is how soon a person must hear a human voice. The order is the order
// of danger: a larger level is worse, so levels compare with < and >.
type Level uint8

const (
	None      Level = iota // nothing for the nurse
	Routine                // question, admin, not understood: within 5 working days
	Soon                   // within 2 working days
	Urgent                 // a nurse speaks to her the same day
	Emergency              // she is told to ring 999 or go to A&E now; a nurse is paged at once
)

var levelNames = [...]string{"none", "routine", "soon", "urgent", "emergency"}

// Levels lists every level, mildest first.
var Levels = [...]Level{None, Routine, Soon, Urgent, Emergency}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// ParseLevel gives the level of that name, or an error that lists the names.
func ParseLevel(name string) (Level, error) {
	for l, n := range levelNames {
		if n == name {
			return Level(l), nil
		}
	}
	return None, fmt.Errorf("unknown level %q: want none, routine, soon, urgent or emergency", name)
}

// MarshalText writes the level's name, so that JSON and YAML carry words.
func (l Level) MarshalText() ([]byte, error) {
	if int(l) >= len(levelNames) {
		return nil, fmt.Errorf("no such level: %d", uint8(l))
	}
	return []byte(levelNames[l]), nil
}

// UnmarshalText reads a level's name.
func (l *Level) UnmarshalText(text []byte) error {
	parsed, err := ParseLevel(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// Kind is the form of answer that a question wants. The first four are those
// of the `lookout triage` contract.
type Kind string

const (
	YesNo  Kind = "yes_no"
	Scale  Kind = "scale"  // 0 to 10, or Min to Max
	Choice Kind = "choice" // one of Options
	Text   Kind = "text"   // anything
	Number Kind = "number" // a count, e.g. of days
	Date   Kind = "date"   // a day, stated or relative ("last Tuesday", "3 weeks ago")
	Weight Kind = "weight" // kg, or stones and pounds
)

// Question is what she was asked last and has not answered yet.
type Question struct {
	Prompt string // the words that she was sent
	Kind   Kind
	// Concepts are what the bad answer (a "yes", a high score, or see Trouble) affirms, by concept id; empty
	// when the caller does not know, and then the prompt itself is read for them.
	Concepts []string
	Options  []Option  // of a Choice; empty: read them from the prompt if it lists any
	Min, Max float64   // of a Scale or Number; both 0: from the prompt, else 0 to 10
	Today    time.Time // the day in her own zone, for dates; zero: only relative dates are read
	// Trouble is the answer that is bad news: "yes" or "no", of a scale "high" or "low".
	// Empty when the caller does not know, and then the prompt itself is read for it.
	Trouble string
	// Scripted says that the question stands in a flow, whose next questions go on
	// from a bare answer: what such an answer says is the rules' alone.
	Scripted bool
}

// Option is one choice: Key is its stable name in the flow, Label what she sees.
type Option struct{ Key, Label string }

// Profile is what the service knows about her that changes a reading. The zero
// value means that nothing is known. "Unknown" never lowers a level.
type Profile struct {
	OnChemo        Tri    // on, or within 6 weeks of, systemic anti-cancer treatment
	Immunotherapy  Tri    // on, or within 12 months of
	Trastuzumab    Tri    // on, or has had
	Lobular        bool   // histology lobular
	Side           string // side of surgery: "left", "right", "both", ""
	NodesRemoved   bool
	Lymphoedema    bool // known
	Implant        bool
	Bisphosphonate bool
	Tablets        string // hormone tablet: "tamoxifen", "letrozole", "anastrozole", "exemestane", ""
	Abemaciclib    bool
	PostMenopause  Tri
	Age            int // years; 0 unknown
	Male           bool
	LivesAlone     bool
	Carer          bool // somebody writes for her: whomever the words speak of may be she
}

// Tri is yes, no or not known.
type Tri uint8

const (
	Unknown Tri = iota
	Yes
	No
)

// Past is one concern that she named before, and has not said is gone, with its
// ages in days at the time of this reading.
type Past struct {
	Concept      string
	Side         string
	FirstDaysAgo int  // since she first named it, or since the onset that she stated, whichever is longer
	LastDaysAgo  int  // since she last named it
	Times        int  // at how many check-ins or messages
	LastSeverity int  // 0-10, -1 unknown
	Worsening    bool // worse at the last telling than at the one before
	Gone         bool // she said that it was over, LastDaysAgo days ago
	// ExpectedDays is how many days more a nurse has marked it "known, checked,
	// expected"; 0: not marked. It never applies to an emergency concept.
	ExpectedDays int
	KgLost       float64 // weight only: kilograms lost over 60-120 days, with
	KgBefore     float64 // the weight then
}

// Reading is what was understood. It is stored whole in the journal and shown
// to the nurse; replaying the same input on the same lexicon gives it again.
type Reading struct {
	Level    Level     `json:"level"`
	Findings []Finding `json:"findings,omitempty"`
	Why      string    `json:"why"`             // one sentence, plain English, for the nurse
	Rules    []string  `json:"rules,omitempty"` // ids of every rule that set, raised or spared, in order of use
	Answer   Answer    `json:"answer,omitzero"`
	// Command is the command word that the whole message is, in its canonical
	// form ("stop", "start", "help", "pause", "call", "signs", "later"), or "".
	Command string `json:"command,omitempty"`
	// Understood is false when the floor decided: nobody but a human knows what she meant.
	Understood bool   `json:"understood"`
	Language   string `json:"language,omitempty"` // a hint for the nurse when it does not look English ("cy", "pl", …)
	Lexicon    string `json:"lexicon,omitempty"`  // digest of the lexicon that read it
}

// Finding is one concept that her words name, with its context.
type Finding struct {
	Concept string `json:"concept"`
	// Text is her own words; Start and End are byte offsets of them in the
	// message as it came (UTF-8). A finding that comes from a bare answer to a
	// question spans the answer.
	Text        string `json:"text"`
	Start       int    `json:"start"`
	End         int    `json:"end"`
	Polarity    string `json:"polarity"`            // "said" or "denied"
	Time        string `json:"time"`                // "now", "past", "recurring", "hypothetical"
	Experiencer string `json:"experiencer"`         // "her" or "other"
	Certainty   string `json:"certainty,omitempty"` // "", "unsure"
	Severity    int    `json:"severity,omitempty"`  // 0 unknown, 1 mild … 10 worst ever
	Days        int    `json:"days,omitempty"`      // duration stated, in days; 0 unknown
	Trend       string `json:"trend,omitempty"`     // "", "better", "same", "worse"
	Side        string `json:"side,omitempty"`      // "", "left", "right", "both"
	Level       Level  `json:"level"`               // what this finding alone is worth, after its own modifiers
	Rule        string `json:"rule,omitempty"`      // id of the rule that gave the level
}

// AnswerKind says in which way a message answers the question.
type AnswerKind string

const (
	NoAnswer   AnswerKind = "" // it does not answer the question
	SaidYes    AnswerKind = "yes"
	SaidNo     AnswerKind = "no"
	Unsure     AnswerKind = "unsure" // "not sure", "maybe", "don't know"
	Value      AnswerKind = "value"  // Number holds it (scale, number, weight in kg, date as DaysAgo)
	Chosen     AnswerKind = "choice" // Option holds the key
	FreeText   AnswerKind = "text"
	Refused    AnswerKind = "refused" // "rather not say", "skip"
	WantsNurse AnswerKind = "nurse"   // "rather talk to someone"
	Correction AnswerKind = "back"    // "sorry, meant no": about the question before
)

// Answer is how a message answers the question that it was sent for.
type Answer struct {
	Kind    AnswerKind `json:"kind,omitempty"`
	Number  float64    `json:"number,omitempty"`
	DaysAgo int        `json:"days_ago,omitempty"` // of a Date
	Option  string     `json:"option,omitempty"`
	// More is true when she said more than the answer ("yes and my back hurts").
	More bool `json:"more,omitempty"`
}
