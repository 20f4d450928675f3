package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lookout/bot/rehearsal"
	"lookout/content"
	"lookout/flows"
)

type flowsCmd struct {
	Check    flowsCheckCmd    `cmd:"" help:"Find every mistake of a content folder, with file and line."`
	Coverage flowsCoverageCmd `cmd:"" help:"Which ways of the flows the recorded talks and conversations go, and which nobody has walked."`
	Graph    flowsGraphCmd    `cmd:"" help:"Draw flows, as Mermaid flowcharts or as SVG."`
	Try      flowsTryCmd      `cmd:"" help:"Play a flow in the terminal, with the reading of each answer."`
}

type flowsCheckCmd struct {
	Dir    string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
	Update bool   `help:"Write into the talks of the folder how they go now. Read the difference before you keep it."`
}

// Help is shown by lookout flows check --help.
func (*flowsCheckCmd) Help() string {
	return "Example:\n  lookout flows check ./content\n\nEach fault is one line, FILE:LINE: what is wrong: how to mend it. docs/flows.md and docs/content.md explain them.\nWhat does not load is refused by lookout serve too; what is hard to read, against the style or contradicts itself is told here only."
}

// Run loads the pack, which finds what cannot be served, and holds it to the style.
func (c *flowsCheckCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Dir}).pack()
	if err != nil {
		return err
	}
	if faults := pack.Lint(); len(faults) > 0 {
		return faults
	}
	if err := c.recordings(e, pack); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "No faults: %d flows, pack %s.\n", len(pack.Program().Flows()), pack.Digest())
	if drafts := pack.Drafts(); len(drafts) > 0 {
		fmt.Fprintf(e.out, "Not approved by a clinician: %d of %d parts; lookout content status --all lists them.\n", len(drafts), len(pack.Entries()))
	}
	return nil
}

// recordings reads the recorded talks and conversations of the folder, if it has any, and
// plays the talks: each has to go as it stands there.
func (c *flowsCheckCmd) recordings(e *env, pack *content.Pack) error {
	from := content.Embedded()
	if c.Dir != "" {
		from = os.DirFS(c.Dir)
	} else if c.Update {
		return errors.New("--update: name the content folder whose talks are to be written")
	}
	if !rehearsal.Has(from) {
		return nil
	}
	recordings, err := rehearsal.ReadRecordings(from)
	if err != nil {
		return err
	}
	var faults flows.Faults
	for _, s := range recordings.Scripts {
		if missing := s.Check(pack); len(missing) > 0 {
			faults = append(faults, missing...)
			continue
		}
		if c.Update {
			was := s.String()
			if err := s.Update(pack); err != nil {
				return err
			}
			if now := s.String(); now != was {
				if err := os.WriteFile(filepath.Join(c.Dir, filepath.FromSlash(s.File)), []byte(now), 0o644); err != nil {
					return err
				}
				fmt.Fprintf(e.out, "%s is written anew.\n", s.File)
			}
		}
		otherwise, err := s.Otherwise(pack, nil)
		if err != nil {
			return err
		}
		faults = append(faults, otherwise...)
	}
	if len(faults) > 0 {
		return faults
	}
	fmt.Fprintf(e.out, "%d recorded talks go as they stand.\n", recordings.Talks())
	return nil
}

type flowsCoverageCmd struct {
	Dir        string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
	Recordings string `help:"A folder with talks to play; those of the content folder when it has any, else those that come with lookout." placeholder:"DIR" type:"existingdir"`
}

// Help is shown by lookout flows coverage --help.
func (*flowsCoverageCmd) Help() string {
	return "Example:\n  lookout flows coverage ./content\n\n" +
		"A way is what follows an answer, a condition, silence or a misunderstanding, from a step to the next. Write a talk for one that nobody has walked with lookout flows try FLOW --save content/talks/NAME.txt."
}

// Run plays the talks, and tells what they walked.
func (c *flowsCoverageCmd) Run(e *env) error {
	pack, err := packAt(c.Dir)
	if err != nil {
		return err
	}
	recordings, err := recordingsOf(c.Recordings, c.Dir)
	if err != nil {
		return err
	}
	covered, err := recordings.Cover(e.ctx, pack)
	if err != nil {
		return err
	}
	all, open := 0, 0
	for _, x := range covered {
		fmt.Fprintf(e.out, "%-18s %4d of %4d ways walked  %s\n", x.Flow, x.Ways-len(x.Open), x.Ways, strings.Join(x.By, ", "))
		all, open = all+x.Ways, open+len(x.Open)
	}
	fmt.Fprintf(e.out, "%-18s %4d of %4d ways walked; talks played: %d, whole conversations: %d\n", "all flows", all-open, all, recordings.Talks(), len(recordings.Whole))
	if open == 0 {
		return nil
	}
	var lines []string
	for _, x := range covered {
		for _, way := range x.Open {
			step, _, _ := strings.Cut(strings.TrimPrefix(way, x.Flow+"/"), " ")
			file, line := pack.Program().At(x.Flow, step)
			lines = append(lines, fmt.Sprintf("flows/%s:%d: no talk goes %s: write one with lookout flows try %s --save", file, line, way, x.Flow))
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

type flowsGraphCmd struct {
	Flow    string `arg:"" optional:"" help:"One flow; all of them when not given."`
	Content string `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
	Locale  string `help:"The language of the words: en-GB or cy." default:"en-GB" enum:"en-GB,cy"`
	Format  string `help:"mermaid, or svg: a picture of one flow, with all of it in words for whoever does not see it." default:"mermaid" enum:"mermaid,svg"`
}

// Help is shown by lookout flows graph --help.
func (*flowsGraphCmd) Help() string {
	return "Example:\n  lookout flows graph check-in --format svg > check-in.svg\n  lookout flows graph check-in > check-in.mmd\n\nGitHub, GitLab and mermaid.live draw Mermaid; a browser shows SVG."
}

// Run draws.
func (c *flowsGraphCmd) Run(e *env) error {
	if c.Format == "svg" && c.Flow == "" {
		return errors.New("--format svg: name one flow; lookout content serve shows all of them")
	}
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	names := pack.Program().Flows()
	if c.Flow != "" {
		if !slices.Contains(names, c.Flow) {
			return noFlow(c.Flow, names)
		}
		names = []string{c.Flow}
	}
	words := func(id string) string {
		text, err := pack.Text(id, c.Locale, "sms", rehearsal.SampleVars(pack))
		if err != nil {
			return "" // its id is shown
		}
		return text
	}
	if c.Format == "svg" {
		_, err := io.WriteString(e.out, pack.Program().SVG(c.Flow, flows.Picture{Words: words}))
		return err
	}
	for i, name := range names {
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		if _, err := io.WriteString(e.out, pack.Program().Mermaid(name, words)); err != nil {
			return err
		}
	}
	return nil
}

func noFlow(name string, names []string) error {
	return fmt.Errorf("there is no flow %q: the flows are %s", name, strings.Join(names, ", "))
}

type flowsTryCmd struct {
	Flow    string            `arg:"" help:"The flow to play."`
	Content string            `help:"The content folder; the embedded pack when not given." placeholder:"DIR"`
	Locale  string            `help:"The language of the words: en-GB or cy." default:"en-GB" enum:"en-GB,cy"`
	Channel string            `help:"Whose wording: sms or chat." default:"sms" enum:"sms,chat"`
	Save    string            `help:"Write the talk into a file: a test, as those in content/talks." placeholder:"FILE"`
	Fact    map[string]string `help:"What is known of her, as NAME=VALUE; docs/flows.md lists the names. Several are parted by semicolons." placeholder:"NAME=VALUE" default:"tablets=letrozole"`
}

// Help is shown by lookout flows try --help.
func (*flowsTryCmd) Help() string {
	return `Example:
  lookout flows try check-in --fact "tablets=tamoxifen;age=61"

Answer as a patient would. ":wait 2d" moves the clock on (30m, 3h, 2d, 1w), ":quit" ends it. With
--channel chat, ":form sleep: badly / worry: 8" sends a form, by the names of its steps.
Nothing is kept or sent. What the desk does, command words, and several texts in a row are left out.`
}

// Run plays a flow in this terminal.
func (c *flowsTryCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Content}).pack()
	if err != nil {
		return err
	}
	if !pack.Program().Has(c.Flow) {
		return noFlow(c.Flow, pack.Program().Flows())
	}
	t, err := rehearsal.NewTalk(pack, e.now(), c.Fact)
	if err != nil {
		return fmt.Errorf("--fact: %w", err)
	}
	t.Locale, t.Channel = c.Locale, c.Channel
	if c.Save == "" {
		return t.Play(c.Flow, e.in, e.out, false)
	}
	return c.save(t, e)
}

// save plays a talk, and writes it with its heading as a conversation that is a test.
// It is not written over what is there: that may be a test that somebody has read.
func (c *flowsTryCmd) save(t *rehearsal.Talk, e *env) error {
	file, err := os.OpenFile(c.Save, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	fmt.Fprintf(file, "# A talk of the flow %s. Say here what it shows.\nflow: %s\n", c.Flow, c.Flow)
	if c.Channel != rehearsal.Channel {
		fmt.Fprintf(file, "channel: %s\n", c.Channel)
	}
	if c.Locale != "en-GB" {
		fmt.Fprintf(file, "locale: %s\n", c.Locale)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fact)) {
		fmt.Fprintf(file, "fact: %s=%s\n", name, c.Fact[name])
	}
	fmt.Fprintln(file)
	return errors.Join(t.Play(c.Flow, e.in, io.MultiWriter(e.out, file), true), file.Close())
}
