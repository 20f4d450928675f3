package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/flows/triage"
)

// drawerLabelled keeps messages that a nurse has labelled, by patient, row and nurse.
const drawerLabelled = "labelled"

// maxExpected is how long "known, checked, expected" may hold without a new look
// (clinical.md 11, DN4): the reader counts no more than that either.
const maxExpected = 28 * 24 * time.Hour

// Expecting is "known, checked, expected until a day" of one concept of one person.
type Expecting struct {
	Patient string
	Concept string
	Until   time.Time // the last day of it, by the service's clock; the zero time takes it back
	By, Why string
}

// Expect marks a concept of hers as known, checked and expected until a day, or
// takes that back. It spares what she writes about it one level at most, never an
// emergency, and she is told of it. It is refused for what is an emergency by itself.
func (b *Bot) Expect(ctx context.Context, x Expecting) error {
	concept, ok := b.content.Lexicon().Concept(x.Concept)
	day := b.service.Hours.day(x.Until)
	end := day.AddDate(0, 0, 1)
	back := x.Until.IsZero()
	switch {
	case x.By == "":
		return &FieldError{"by", "is missing: say who acts"}
	case !ok:
		return &FieldError{"concept", "is nothing that lookout reads: choose one from the list"}
	case concept.Level >= triage.Emergency:
		return fmt.Errorf("%w: %s is an emergency by itself, and is never expected", ErrRefused, strings.ToLower(concept.Name))
	case !back && strings.TrimSpace(x.Why) == "":
		return &FieldError{"why", "is missing: say what was checked, and by whom"}
	case !back && !end.After(b.now()):
		return &FieldError{"until", "must be a day that is still to come"}
	case !back && day.After(b.now().Add(maxExpected)):
		return &FieldError{"until", "may be at most 28 days from now: after that somebody has to look again"}
	}
	return b.turnOfHers(ctx, x.Patient, func(t *turn) error {
		i := slices.IndexFunc(t.rec.Past, func(e Episode) bool { return e.Concept == x.Concept && !e.Gone })
		if back {
			if i < 0 || t.rec.Past[i].ExpectedUntil.IsZero() {
				return fmt.Errorf("%w: it is not marked as expected", ErrConflict)
			}
			t.rec.Past[i].ExpectedUntil = time.Time{}
			t.entry(Entry{Kind: EntryExpected, By: x.By, Ref: x.Concept, Why: concept.Name + " is no longer expected"})
			return nil
		}
		if i < 0 {
			t.rec.Past = append(t.rec.Past, Episode{Concept: x.Concept, First: t.now, Last: t.now, Times: 1})
			i = len(t.rec.Past) - 1
		}
		t.rec.Past[i].ExpectedUntil = end
		t.entry(Entry{Kind: EntryExpected, By: x.By, Ref: x.Concept,
			Why: concept.Name + ": known, checked and expected until " + dayWords(day, "") + ": " + strings.TrimSpace(x.Why)})
		if t.mayTell() {
			t.say("desk.expected", map[string]string{"by": dayWords(day, t.rec.Patient.Locale)}, PriorityReply)
		}
		return nil
	})
}

// mayTell says whether a text of the team's may go to her.
func (t *turn) mayTell() bool {
	switch t.rec.Patient.Status {
	case Active, Invited, Paused:
		return t.channel() != "" && !t.mourning()
	}
	return false
}

// Labelled is a message that a nurse has read otherwise than lookout did.
type Labelled struct {
	triage.Example
	Ask *Asked `json:"ask"`
	// What is not for the corpus: who said so, when, and why.
	By   string       `json:"by"`
	At   time.Time    `json:"at"`
	Was  triage.Level `json:"was"`
	Why  string       `json:"why"`
	Row  string       `json:"row"`
	Pack string       `json:"pack"`
}

// WrongLevel says that a row should have been of another level, and why: the words
// become a labelled message for the reader. A row that should have been higher is
// raised now; nothing lowers one, it is closed.
func (b *Bot) WrongLevel(ctx context.Context, a Act, should triage.Level, why string) (Row, error) {
	why = strings.TrimSpace(why)
	if why == "" {
		return Row{}, &FieldError{"why", "is missing: say what makes it more or less urgent"}
	}
	var label Labelled
	row, err := b.onRow(ctx, a, func(t *turn, r *Row) error {
		if should == r.Level || should < triage.None || should > triage.Emergency {
			return &FieldError{"level", "is the level that it has: choose the one that it should have been"}
		}
		var err error
		if label, err = t.label(r, should); err != nil {
			return err
		}
		label.By, label.Why = a.By, why
		t.entry(Entry{Kind: EntryRow, By: a.By, Ref: r.ID, Why: "should have been " + should.String() + ", not " + r.Level.String() + ": " + why})
		if should > r.Level {
			r.Level, r.Reason, r.AckedBy = should, "Raised by a nurse: "+why, ""
			if due := b.service.DueAt(should, t.now); due.Before(r.DueAt) {
				r.DueAt = due
			}
			if r.State == Snoozed {
				t.comeBack(r, "")
			}
			t.changed(r, "", true)
			if r.State == Open {
				t.watchRow(r)
			} else { // whoever holds it knows of it, and may let it go
				t.guard(r)
			}
		}
		return nil
	})
	if err != nil {
		return Row{}, err
	}
	value, err := json.Marshal(label)
	if err != nil {
		return Row{}, err
	}
	if err := b.store.PutValue(ctx, drawerLabelled, a.Row+" "+a.By, value, time.Time{}); err != nil {
		return Row{}, fmt.Errorf("keep the label: %w", err)
	}
	return row, nil
}

// label makes a labelled message of the one that a row is about: the latest that
// was read as about its concern, else the row's own words.
func (t *turn) label(r *Row, should triage.Level) (Labelled, error) {
	sum := sha256Hex(r.ID + r.Message)[:10]
	x := Labelled{At: t.now, Was: r.Level, Row: r.ID, Pack: t.bot.content.Digest(), Example: triage.Example{ID: "N" + sum, Text: r.Message,
		Level: should, Accept: []triage.Level{should}, Concepts: []string{}, Tags: []string{"desk", "should-be-lower"}}}
	if should > r.Level {
		x.Tags[1] = "should-be-higher"
	}
	entries, err := t.bot.store.Journal(t.ctx, r.Patient, 0, 0)
	if err != nil {
		return x, err
	}
	reading := -1
	for i, e := range entries {
		if e.Reading != nil && slices.ContainsFunc(e.Reading.Findings, func(f triage.Finding) bool { return t.bot.content.Concern(f.Concept) == r.Concern }) {
			reading = i
		}
	}
	if reading < 0 {
		return x, nil
	}
	e := entries[reading]
	for _, f := range e.Reading.Findings {
		if f.Polarity != "denied" && !slices.Contains(x.Concepts, f.Concept) {
			x.Concepts = append(x.Concepts, f.Concept)
		}
	}
	for _, in := range entries {
		if in.Kind == EntryIn && in.Carrier == e.Ref {
			x.Text, x.Ask = in.Text, e.Asked
		}
	}
	return x, nil
}

// Labelled lists what nurses have labelled, by id.
func (b *Bot) Labelled(ctx context.Context) ([]Labelled, error) {
	values, err := b.store.Values(ctx, drawerLabelled, b.now())
	if err != nil {
		return nil, err
	}
	var out []Labelled
	for key, value := range values {
		if !strings.HasPrefix(key, b.service.ID+"-") {
			continue
		}
		var x Labelled
		if err := json.Unmarshal(value, &x); err != nil {
			return nil, fmt.Errorf("labelled message: %w", err)
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(x, y Labelled) int { return strings.Compare(x.ID+x.By, y.ID+y.By) })
	return out, nil
}

// LabelledJSONL gives them in the form of content/triage, one JSON object a line.
// They hold what patients wrote: whoever takes them out takes out every name first.
func (b *Bot) LabelledJSONL(ctx context.Context) ([]byte, error) {
	all, err := b.Labelled(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	lines.SetEscapeHTML(false)
	for _, x := range all {
		if err := lines.Encode(struct {
			ID  string `json:"id"`
			Ask *Asked `json:"ask"`
			triage.Example
		}{x.ID, x.Ask, x.Example}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
