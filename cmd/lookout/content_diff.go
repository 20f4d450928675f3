package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"lookout/bot/rehearsal"
	"lookout/content"
)

type contentDiffCmd struct {
	Old        string `arg:"" help:"The content as it was: a folder, an archive (.zip), or \"embedded\" for that which comes with lookout."`
	New        string `arg:"" help:"The content as it is to be."`
	Recordings string `help:"A folder with conversations and talks to play; those of NEW when it has any, else those that come with lookout." placeholder:"DIR" type:"existingdir"`
	Words      bool   `help:"Show also the conversations that take the same course in other words."`
	NoReplay   bool   `help:"Do not play the recorded conversations."`
}

// Help is shown by lookout content diff --help.
func (*contentDiffCmd) Help() string {
	return "Example:\n  lookout content diff embedded ./content\n\n" +
		"First what is said and done otherwise, old words on the left and new ones on the right; then the recorded conversations, each played on both, that go otherwise: other texts, other rows, other pages."
}

// Run compares.
func (c *contentDiffCmd) Run(e *env) error {
	var recordings *rehearsal.Recordings
	if !c.NoReplay {
		var err error
		if recordings, err = recordingsOf(c.Recordings, c.New); err != nil {
			return err
		}
	}
	old, err := packAt(c.Old)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Old, err)
	}
	now, err := packAt(c.New)
	if err != nil {
		return fmt.Errorf("%s: %w", c.New, err)
	}
	changes := old.Diff(now)
	if len(changes) == 0 {
		fmt.Fprintln(e.out, "Nothing that is said or done differs.")
		return nil
	}
	printChanges(e.out, changes)
	if c.NoReplay {
		return nil
	}
	differences, err := recordings.Differs(e.ctx, old, now, progress(e.err, "recorded conversations played", recordings.Count()))
	if err != nil {
		return err
	}
	printDifferences(e.out, differences, recordings.Count(), c.Words)
	return nil
}

// recordingsOf reads the recordings of a folder, of the content where that is a folder
// which has some, or those that come with lookout.
func recordingsOf(dir, place string) (*rehearsal.Recordings, error) {
	if dir != "" {
		if !rehearsal.Has(os.DirFS(dir)) {
			return nil, fmt.Errorf("--recordings: %s has no conversations/*.txt and no talks/*.txt", dir)
		}
		return rehearsal.ReadRecordings(os.DirFS(dir))
	}
	if info, err := os.Stat(place); err == nil && info.IsDir() && rehearsal.Has(os.DirFS(place)) {
		return rehearsal.ReadRecordings(os.DirFS(place))
	}
	return rehearsal.ReadRecordings(content.Embedded())
}

// column is how many characters the old words have on the left, and the new ones on
// the right.
const column = 56

func printChanges(to io.Writer, changes []content.Change) {
	part, id := "", ""
	for _, c := range changes {
		if c.Part != part {
			if part != "" {
				fmt.Fprintln(to)
			}
			fmt.Fprintf(to, "%s\n%s\n", c.Part, strings.Repeat("=", utf8.RuneCountInString(c.Part)))
			part, id = c.Part, ""
		}
		if c.ID != id {
			fmt.Fprintf(to, "\n%s\n", c.ID)
			id = c.ID
		}
		fmt.Fprintf(to, "  %s%s\n", c.What, map[bool]string{true: " (" + c.Note + ")"}[c.Note != ""])
		left, right := wrapped(c.Before, "(not there before)"), wrapped(c.Now, "(not there any more)")
		for i := range max(len(left), len(right)) {
			fmt.Fprintln(to, strings.TrimRight(fmt.Sprintf("    %s | %s", pad(lineAt(left, i)), lineAt(right, i)), " "))
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func pad(line string) string {
	return line + strings.Repeat(" ", max(0, column-utf8.RuneCountInString(line)))
}

// wrapped breaks phrases into lines of a column.
func wrapped(phrases []string, none string) []string {
	if len(phrases) == 0 {
		return []string{none}
	}
	var out []string
	for _, phrase := range phrases {
		line := ""
		for _, word := range strings.Fields(phrase) {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > column {
				out, line = append(out, line), ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, line)
	}
	return out
}

func printDifferences(to io.Writer, differences []rehearsal.Difference, all int, words bool) {
	const heading = "Recorded conversations"
	otherwise := 0
	for _, d := range differences {
		if !d.Words {
			otherwise++
		}
	}
	fmt.Fprintf(to, "\n%s\n%s\n\nOf %d recorded conversations %d would go otherwise, and %d would take the same course in other words.\n",
		heading, strings.Repeat("=", len(heading)), all, otherwise, len(differences)-otherwise)
	for _, d := range differences {
		if d.Words && !words {
			continue
		}
		fmt.Fprintf(to, "\n%s: %s\n", d.Where, d.Shows)
		for _, l := range d.Lines {
			fmt.Fprintf(to, "  %-7s %s\n", l.On, l.Words)
		}
	}
}
