// Package flows is lookout's conversation language: what a flow may say, and
// the pure function [Step] that moves a talk along it.
//
// A flow is written in YAML by a clinician (content/flows) and read by [Load],
// which finds every author's mistake with file and line, so that none is found
// at a patient's. Step takes the compiled [Program], the talk's [State], one
// [Event] and the [Facts] about the person, and gives the state after it and
// the [Effect]s that the caller has to carry out. It promises: no I/O, no
// clock, no randomness; the same input gives the same output; every talk ends;
// no reply is ever dropped: what it cannot use it hands to a person.
//
// It refuses to know the words (texts have ids), who she is beyond the facts,
// what a channel is, and how a nurse is told. docs/flows.md is the language for
// its authors.
package flows

import (
	"time"

	"lookout/flows/triage"
)

// State is a talk in progress: all that is kept between two events. The zero
// State is no talk.
type State struct {
	Pack    string    `json:"pack,omitempty"`   // digest of the content that it began with, and finishes on
	Flow    string    `json:"flow,omitempty"`   // the outermost flow
	Frames  []Frame   `json:"frames,omitempty"` // innermost last
	Started time.Time `json:"started,omitzero"`
	// Wait numbers the waits of this talk. A timer names the wait that it was set
	// for; one that names an earlier wait does nothing.
	Wait int `json:"wait,omitempty"`
	// AskedAt, Reminded and Unclear belong to the question that is open.
	AskedAt  time.Time `json:"asked_at,omitzero"`
	Reminded int       `json:"reminded,omitempty"`
	Unclear  int       `json:"unclear,omitempty"`
	// Digressed says that she wrote of something else, and that the question was
	// asked again for it: that happens once.
	Digressed bool `json:"digressed,omitempty"`
	// Back is the step that asked the question before the open one, so that she
	// can correct her answer; "" when there is none. BackFrames are the frames as
	// they stood at that question, when it was asked in another flow than the open
	// one; else they are the same, and this is nil.
	Back       string  `json:"back,omitempty"`
	BackFrames []Frame `json:"back_frames,omitempty"`
	// Named are the concepts that she has named in this talk, for conditions.
	Named []string `json:"named,omitempty"`
}

// Active says whether a talk is open.
func (s State) Active() bool { return len(s.Frames) > 0 }

// Frame is a place in one flow.
type Frame struct {
	Flow    string                   `json:"flow"`
	Step    string                   `json:"step"`
	Answers map[string]triage.Answer `json:"answers,omitempty"` // by the name that the step saves under
	// Form is the form that is open: it was shown whole, and nothing of it has been
	// answered. Step is its first question then.
	Form string `json:"form,omitempty"`
	// Held are the answers that she has given in a form to questions which the talk has
	// not come to yet, by step: these are not asked any more.
	Held map[string]Held `json:"held,omitempty"`
}

// Held is an answer from a form, kept until the talk comes to its question.
type Held struct {
	Answer triage.Answer `json:"answer"`
	Words  string        `json:"words,omitempty"` // of a text question
}

// Event is what happened. Exactly one of Start, Aside, Reply, Form, Timer and Stop is
// set; Stop may go with Form: what she answered is kept, and the talk ends.
type Event struct {
	Now   time.Time // in her own zone
	Start string    // begin this flow
	Aside string    // go through this flow now, then ask the open question again
	Reply *Reply    // she wrote
	Form  []Filled  // she filled in the form that is open, or a part of it
	Timer string    // a timer that SetTimer asked for
	Stop  string    // end the talk now; the reason ("stopped", "emergency", "superseded")
}

// Reply is a message of hers, read.
type Reply struct {
	Text    string
	Reading triage.Reading
}

// Filled is her answer to one question of a form.
type Filled struct {
	Question string // see OpenQuestion.Name
	Reply
}

// Facts is what conditions may ask about. A fact that is not known is left out
// of the maps; a condition that needs it is unknown, and takes no branch.
type Facts struct {
	Profile map[string]any // by the names in ProfileFields
	Service map[string]any // by the names in ServiceFields
	Past    map[string]int // concept → days since she last named it, of those that are not gone
	Open    bool           // the desk is open now
}

// Effect is one thing for the caller to do, in order. Exactly one pointer is set.
type Effect struct {
	Say      *Say
	Ask      *Ask
	Escalate *Escalate
	SetTimer *SetTimer
	Save     *Save
	Ended    *Ended
}

// Say sends a text.
type Say struct {
	Text     string   // text id
	Options  []Option // of the question that it is about, when that is a choice
	Reminder bool     // of a question already asked
}

// Ask sends a question and waits for its answer.
type Ask struct {
	Text string
	// Form is the text that stands above a form, where one is open: the question is its
	// first. Who can show forms shows all of [Program.Form]; who cannot asks this one.
	Form    string
	Options []Option // of a choice
	Again   bool     // asked before: she said "later", took her answer back, or wrote of something else
}

// Option is one answer of a choice, in both languages.
type Option struct {
	Key, Label, Welsh string
}

// Escalate puts a concern into the nurse's queue.
type Escalate struct {
	Level   triage.Level
	Concern string
	Reason  string // one sentence, for the nurse
	// Words are her own, when she has just answered a question in words.
	Words string
}

// SetTimer asks for Event{Timer: Key} at a time. A new wait makes older timers void.
type SetTimer struct {
	Key string
	At  time.Time
}

// Save records something about her.
type Save struct {
	Field string // one of the records that docs/flows.md lists
	// Question is the one that she answered, by its OpenQuestion.Name.
	Question string
	Answer   triage.Answer
	Text     string // her words
}

// Ended says that the talk is over.
type Ended struct {
	Flow    string
	Outcome string // what the flow says at its end, what Event.Stop said, "handed over", or "broken"
}

// Outcomes that Step itself gives.
const (
	outcomeHandedOver = "handed over" // a person goes on from here
	outcomeBroken     = "broken"      // the program does not have the step: never, while a talk keeps its pack
)

// Concerns that Step itself raises; package content refuses a pack without them.
const (
	concernContact = "contact-request"
	concernUnclear = "not-understood"
)

// Limits. A program that Load accepts cannot reach the first two: it has been
// tried. A state from elsewhere can.
const (
	maxSteps  = 200 // steps that one event can run through
	maxFrames = 16  // calls in calls
	maxWaits  = 120 // questions and waits of one talk: then a person takes over
	maxNamed  = 64
)
