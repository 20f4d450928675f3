package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lookout/flows/triage"
)

// sayCmd reads one sentence and tells a clinician, in words, how it is read and why.
type sayCmd struct {
	Words   []string    `arg:"" help:"What she writes."`
	Ask     string      `help:"The question that it answers." placeholder:"QUESTION"`
	Kind    triage.Kind `help:"The kind of that question: yes_no, scale, choice or text." default:"text" enum:"yes_no,scale,choice,text"`
	Content string      `help:"A content folder; the embedded pack when not given." placeholder:"DIR"`
	Before  string      `help:"Another content folder, or \"embedded\" for that which comes with lookout: how it reads the same." placeholder:"DIR"`
}

// Help is shown by lookout triage say --help.
func (*sayCmd) Help() string {
	return `Examples:
  lookout triage say "my legs have gone weak"
  lookout triage say --ask "Any new lumps?" --kind yes_no "yes, since Easter"
  lookout triage say --content ./content --before embedded "a wording that you added"

Shows the level, what was found in which context and by which wording, and what raised it. What you type is kept nowhere by lookout.`
}

// Run reads the words with one content, or with two.
func (c *sayCmd) Run(e *env) error {
	now, err := c.read(c.Content)
	if err != nil {
		return err
	}
	if c.Before == "" {
		return now.show(e.out)
	}
	before, err := c.read(c.Before)
	if err != nil {
		return err
	}
	if before.Level == now.Level && slices.Equal(before.Rules, now.Rules) {
		fmt.Fprintf(e.out, "Both folders read it the same.\n\n")
		return now.show(e.out)
	}
	fmt.Fprintf(e.out, "Before (%s):\n\n", c.Before)
	if err := before.show(e.out); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "\nNow:\n\n")
	return now.show(e.out)
}

// told is a reading, with the lexicon that its names are in.
type told struct {
	triage.Reading
	lex *triage.Lexicon
}

func (c *sayCmd) read(folder string) (told, error) {
	lex, err := lexiconOf(folder)
	if err != nil {
		return told{}, err
	}
	var q *triage.Question
	if c.Ask != "" {
		q = &triage.Question{Prompt: c.Ask, Kind: c.Kind}
	}
	return told{triage.Read(lex, strings.Join(c.Words, " "), q, triage.Profile{}, nil), lex}, nil
}

// show writes a reading as one would tell it.
func (r told) show(to io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n%s\n", strings.ToUpper(r.Level.String()), meaning[r.Level], r.Why)
	if a := r.Answer; a.Kind != triage.NoAnswer {
		fmt.Fprintf(&out, "\nAs an answer: %s", a.Kind)
		switch {
		case a.Option != "":
			fmt.Fprintf(&out, " %s", a.Option)
		case a.Kind == triage.Value:
			fmt.Fprintf(&out, " %g", a.Number)
		}
		if a.More {
			fmt.Fprintf(&out, ", and more than was asked")
		}
		out.WriteByte('\n')
	}
	if len(r.Findings) > 0 {
		out.WriteString("\nFound:\n")
	}
	for _, f := range r.Findings {
		name := f.Concept
		if x, ok := r.lex.Concept(f.Concept); ok {
			name = x.Name + " (" + f.Concept + ")"
		}
		fmt.Fprintf(&out, "  %-9s  %s: %s\n", f.Level, name, strings.Join(circumstances(f), ", "))
		if f.Rule != "" {
			fmt.Fprintf(&out, "             by %s\n", f.Rule)
		}
	}
	if len(r.Rules) > 0 {
		fmt.Fprintf(&out, "\nWhat set the level, in order:\n  %s\n", strings.Join(r.Rules, "\n  "))
	}
	_, err := io.WriteString(to, out.String())
	return err
}

// meaning says what becomes of a message of each level.
var meaning = map[triage.Level]string{
	triage.None:      "nothing for the nurse",
	triage.Routine:   "a person reads it within 5 working days",
	triage.Soon:      "the nurse speaks to her within 2 working days",
	triage.Urgent:    "the nurse speaks to her the same day",
	triage.Emergency: "she is told to ring 999 or go to A&E now, and a nurse is paged",
}

// circumstances lists what is said about a finding.
func circumstances(f triage.Finding) []string {
	var all []string
	if f.Text != "" {
		all = append(all, "“"+f.Text+"”")
	}
	all = append(all, f.Polarity)
	if f.Time != "now" {
		all = append(all, f.Time)
	}
	if f.Experiencer == "other" {
		all = append(all, "somebody else's")
	}
	if f.Severity > 0 {
		all = append(all, fmt.Sprintf("severity %d of 10", f.Severity))
	}
	if f.Days > 0 {
		all = append(all, fmt.Sprintf("for %d days", f.Days))
	}
	for _, word := range []string{f.Certainty, f.Trend, f.Side} {
		if word != "" {
			all = append(all, word)
		}
	}
	return all
}
