package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lookout/content"
)

type contentCmd struct {
	Copy   contentCopyCmd   `cmd:"" help:"Write the content that comes with lookout into a folder, to be changed there."`
	Status contentStatusCmd `cmd:"" help:"Who answers for each part, what is a draft, what is to be looked at again, who has signed."`
	Diff   contentDiffCmd   `cmd:"" help:"What a change of the content changes for patients, in plain words, and which recorded conversations go otherwise."`
	Serve  contentServeCmd  `cmd:"" help:"Show every flow as a picture and every text in both languages, and play flows, in a browser on this machine."`
	Sign   contentSignCmd   `cmd:"" help:"Record that a named clinician has approved this very content."`
}

// embeddedPlace stands for the pack that comes with the program.
const embeddedPlace = "embedded"

// packAt loads the pack of a folder, of an archive (.zip), or the embedded one.
func packAt(place string) (*content.Pack, error) {
	switch {
	case place == "" || place == embeddedPlace:
		return content.Shipped()
	case strings.HasSuffix(place, ".zip"):
		archive, err := os.ReadFile(place)
		if err != nil {
			return nil, err
		}
		return content.OpenArchive(archive)
	}
	return (&settings{Content: place}).pack()
}

type contentCopyCmd struct {
	Dir string `arg:"" help:"A folder that is not there yet."`
}

// Help is shown by lookout content copy --help.
func (*contentCopyCmd) Help() string {
	return "Example:\n  lookout content copy ./content\n  LOOKOUT_CONTENT=./content lookout flows check ./content"
}

// Run copies.
func (c *contentCopyCmd) Run(e *env) error {
	if _, err := os.Stat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is there already, and would be written over: name a folder that is not", c.Dir)
	}
	if err := os.CopyFS(c.Dir, content.Embedded()); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "The content is in %s. docs/content.md says how to change it.\n", c.Dir)
	return nil
}

type contentStatusCmd struct {
	Dir string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
	All bool   `help:"List every part, with its version, author, source, reviewer and next review."`
}

// Help is shown by lookout content status --help.
func (*contentStatusCmd) Help() string {
	return "Example:\n  lookout content status ./content --all\n\nThe digest names the content word for word; it is what a clinician signs."
}

// Run tells.
func (c *contentStatusCmd) Run(e *env) error {
	pack, err := packAt(c.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Digest: %s\n", pack.Digest())
	for _, s := range pack.Signatures() {
		fmt.Fprintf(e.out, "Signed: %s\n", s)
	}
	if !pack.Signed() {
		fmt.Fprintln(e.out, "Signed: by nobody. `lookout serve` refuses it without --unsigned.")
	}
	entries, overdue := pack.Entries(), pack.Overdue(e.now())
	welsh := 0
	for _, x := range entries {
		if strings.HasPrefix(x.Welsh, "needs") {
			welsh++
		}
	}
	fmt.Fprintf(e.out, "Parts: %d. Drafts: %d. Overdue for review: %d. Welsh that needs a Welsh speaker's review: %d.\n", len(entries), len(pack.Drafts()), len(overdue), welsh)
	for _, x := range overdue {
		fmt.Fprintf(e.out, "%s:%d: %s was to be looked at again by %s\n", x.File, x.Line, x.ID, x.Review.Next)
	}
	if !c.All {
		return nil
	}
	for _, x := range entries {
		who := cmp.Or(x.Review.Reviewer, "nobody yet")
		fmt.Fprintf(e.out, "%s:%d: %s, version %d, %s, by %s, reviewed by %s, again by %s, from %s\n", x.File, x.Line, x.ID, x.Version, x.Review.State, x.Review.Author, who, cmp.Or(x.Review.Next, "no date"), x.Source)
	}
	return nil
}

type contentSignCmd struct {
	Dir          string `arg:"" help:"The content folder."`
	Name         string `required:"" help:"The clinician who has read it and approves it."`
	Role         string `required:"" help:"Her role: \"clinical safety officer\"."`
	Registration string `help:"Her number with her regulator: \"NMC 99A1234B\"."`
	Digest       string `help:"The digest of what she has read; refused when the content is another by now."`
	Note         string `help:"What she wants to say with it."`
	Drafts       bool   `help:"Sign although parts of it still say that they are drafts."`
}

// Help is shown by lookout content sign --help.
func (*contentSignCmd) Help() string {
	return "Example:\n  lookout content sign ./content --name \"Dr A. Example\" --role \"clinical safety officer\" --digest sha256:…\n\n" +
		"The signature goes to " + content.SignaturesFile + " in the folder. It is void as soon as one word of the content changes."
}

// Run signs.
func (c *contentSignCmd) Run(e *env) error {
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a folder: lookout content copy makes one of the content that comes with lookout", c.Dir)
	}
	pack, err := packAt(c.Dir)
	if err != nil {
		return err
	}
	if drafts := pack.Drafts(); len(drafts) > 0 && !c.Drafts {
		return fmt.Errorf("%d of %d parts still say that they are drafts, %s:%d (%s) the first: let their reviewers approve them, or sign them as they are with --drafts", len(drafts), len(pack.Entries()), drafts[0].File, drafts[0].Line, drafts[0].ID)
	}
	file, err := pack.Sign(content.Signature{Digest: c.Digest, Name: c.Name, Role: c.Role, Number: c.Registration, At: e.now(), Note: c.Note})
	if err != nil {
		return err
	}
	// A new file takes the place of the old one whole: a full disk leaves the old one.
	path := filepath.Join(c.Dir, content.SignaturesFile)
	if err := os.WriteFile(path+".new", file, 0o644); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s has signed %s.\n", c.Name, pack.Digest())
	return nil
}
