package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"lookout/flows/triage"
)

type evalCmd struct {
	Files   []string `arg:"" help:"Files of labelled messages, one JSON object a line (content/triage/LABELS.md)." type:"existingfile"`
	Content string   `help:"A content folder; the embedded pack when not given." placeholder:"DIR"`
	Misses  bool     `help:"List every message that was read at a level that no careful nurse would give, with the reading's reason."`
	HTML    string   `name:"html" help:"Write the figures and the misses as a page to this file." placeholder:"FILE"`
}

// Help is shown by lookout triage eval --help.
func (*evalCmd) Help() string {
	return `Example:
  lookout triage eval --misses --html figures.html my-messages.jsonl

Figures on messages that the rules were written from, or that the second reader was trained on, say little:
use files that nobody has looked at. Messages are read without a profile and without a history.`
}

// miss is a labelled message that was read at a level that no careful nurse would give.
type miss struct {
	triage.Example
	Got    triage.Level
	Why    string
	Prompt string
	TooLow bool
}

// Run reads labelled messages and counts.
func (c *evalCmd) Run(e *env) error {
	lex, err := lexiconOf(c.Content)
	if err != nil {
		return err
	}
	var figures triage.Figures
	var misses []miss
	for _, file := range c.Files {
		examples, err := labelled(file)
		if err != nil {
			return err
		}
		for i := range examples {
			x := &examples[i]
			got := triage.Read(lex, x.Text, x.Ask, triage.Profile{}, nil)
			figures.Add(x, got.Level)
			if !slices.Contains(x.Accept, got.Level) {
				m := miss{Example: *x, Got: got.Level, Why: got.Why, TooLow: got.Level < slices.Min(x.Accept)}
				if x.Ask != nil {
					m.Prompt = x.Ask.Prompt
				}
				misses = append(misses, m)
			}
		}
	}
	// What was read too low comes first, the most dangerous of it at the top.
	slices.SortStableFunc(misses, func(a, b miss) int { return (int(b.Level) - int(b.Got)) - (int(a.Level) - int(a.Got)) })
	if c.Misses {
		for _, m := range misses {
			fmt.Fprintf(e.out, "%s read as %s, %s: %q\n    %s\n", m.Level, m.Got, m.ID, m.Text, m.Why)
		}
	}
	fmt.Fprint(e.out, figures.String())
	return writeFile("--html", c.HTML, func(w io.Writer) error {
		return figuresPage.Execute(w, map[string]any{"Figures": &figures, "Levels": triage.Levels, "Misses": misses, "Files": strings.Join(c.Files, ", "), "Lexicon": lex.Digest()})
	})
}

//go:embed figures.html
var figuresHTML string

var figuresPage = template.Must(template.New("figures").Funcs(template.FuncMap{
	"percent": func(part float64) string { return fmt.Sprintf("%.1f%%", 100*part) },
	"share":   func(of, n int) float64 { return float64(of) / float64(max(n, 1)) },
}).Parse(figuresHTML))

type triageDiffCmd struct {
	Old   string   `arg:"" help:"The content folder as it was, or \"embedded\" for that which comes with lookout."`
	New   string   `arg:"" help:"The content folder as it is now."`
	Files []string `arg:"" help:"Files of labelled messages, one JSON object a line." type:"existingfile"`
}

// Help is shown by lookout triage diff --help.
func (*triageDiffCmd) Help() string {
	return `Example:
  git worktree add /tmp/old HEAD && lookout triage diff /tmp/old/content content content/triage/*.jsonl

Reads every message with both lexicons and lists those whose level changed, the lowered ones first. Look at each of
these before a change of the lexicon is signed.`
}

// Run reads every message twice and lists what changed.
func (c *triageDiffCmd) Run(e *env) error {
	old, err := lexiconOf(c.Old)
	if err != nil {
		return err
	}
	now, err := lexiconOf(c.New)
	if err != nil {
		return err
	}
	type change struct {
		id, text string
		was, is  triage.Reading
	}
	var changes []change
	n := 0
	for _, file := range c.Files {
		examples, err := labelled(file)
		if err != nil {
			return err
		}
		for _, x := range examples {
			n++
			was, is := triage.Read(old, x.Text, x.Ask, triage.Profile{}, nil), triage.Read(now, x.Text, x.Ask, triage.Profile{}, nil)
			if was.Level != is.Level {
				changes = append(changes, change{x.ID, x.Text, was, is})
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		return (int(a.is.Level) - int(a.was.Level)) - (int(b.is.Level) - int(b.was.Level))
	})
	lowered := 0
	for _, x := range changes {
		if x.is.Level < x.was.Level {
			lowered++
		}
		fmt.Fprintf(e.out, "%s → %s  %s: %q\n    was: %s\n    is:  %s\n", x.was.Level, x.is.Level, x.id, x.text, x.was.Why, x.is.Why)
	}
	fmt.Fprintf(e.out, "%d of %d messages changed level, %d of them to a lower one\n", len(changes), n, lowered)
	return nil
}

type conceptCmd struct {
	ID      string `arg:"" optional:"" help:"The concept's id; without it, all are listed."`
	Content string `help:"A content folder; the embedded pack when not given." placeholder:"DIR"`
}

// Help is shown by lookout triage concept --help.
func (*conceptCmd) Help() string {
	return `Example:
  lookout triage concept breast_lump

Shows what a concept is, how urgent, from which source, by which wordings it is found, and what a nurse asks next.`
}

// Run shows one concept, or lists all.
func (c *conceptCmd) Run(e *env) error {
	lex, err := lexiconOf(c.Content)
	if err != nil {
		return err
	}
	if c.ID == "" {
		for _, id := range lex.Concepts() {
			x, _ := lex.Concept(id)
			fmt.Fprintf(e.out, "%-26s %-10s %s\n", id, x.Level, x.Name)
		}
		return nil
	}
	x, ok := lex.Concept(c.ID)
	if !ok {
		return fmt.Errorf("there is no concept %q: `lookout triage concept` lists them", c.ID)
	}
	fmt.Fprintf(e.out, "%s: %s\nlevel: %s", x.ID, x.Name, x.Level)
	if x.Severe > x.Level {
		fmt.Fprintf(e.out, ", %s when she calls it severe or scores it 8 or more", x.Severe)
	}
	fmt.Fprintf(e.out, "\nsource: %s\n", x.Source)
	for _, list := range []struct {
		name  string
		words []string
	}{{"found by", lex.Wordings(x.ID)}, {"a hint of it, for the second reader", lex.Hints(x.ID)}, {"a nurse asks next", x.Ask}} {
		if len(list.words) > 0 {
			fmt.Fprintf(e.out, "%s:\n  %s\n", list.name, strings.Join(list.words, "\n  "))
		}
	}
	return nil
}
