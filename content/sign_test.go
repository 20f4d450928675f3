package content

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"lookout/flows/triage"
)

// copied is the embedded pack as files that a test may change. Their lexicon has no
// second reader, whose weights are most of the bytes.
func copied(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(Embedded(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == triage.WeightsFile {
			return err
		}
		text, err := fs.ReadFile(Embedded(), path)
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var signing = Signature{Name: "Dr A. Example", Role: "clinical safety officer", At: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}

// A signature is for the very words that were signed: one other letter, anywhere
// in the pack, and nobody has signed it.
func TestASignatureIsForTheseVeryWords(t *testing.T) {
	t.Parallel()
	files := copied(t)
	pack, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	if pack.Signed() {
		t.Fatal("the pack that is shipped claims to be signed")
	}
	signed, err := pack.Sign(signing)
	if err != nil {
		t.Fatal(err)
	}
	files[SignaturesFile] = &fstest.MapFile{Data: signed}
	again, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Signed() || again.Digest() != pack.Digest() || again.Signatures()[0].String() != "Dr A. Example, clinical safety officer, 26 November 2026" {
		t.Errorf("signed %v by %v, digest %s was %s", again.Signed(), again.Signatures(), again.Digest(), pack.Digest())
	}
	if second, err := again.Sign(Signature{Name: "B. Example", Role: "lead nurse", At: signing.At}); err != nil || bytes.Count(second, []byte("digest:")) != 2 {
		t.Errorf("a second signature: %v\n%s", err, second)
	}
	for _, file := range []string{"texts/signs.yaml", "lexicon/answers.yaml", "service/nations.yaml"} {
		was := files[file]
		files[file] = &fstest.MapFile{Data: append(bytes.Clone(was.Data), "\n# a remark\n"...)}
		if other, err := Load(files); err != nil || other.Signed() {
			t.Errorf("%s has changed, and the pack counts as signed (%v)", file, err)
		}
		files[file] = was
	}
}

func TestWhatIsNoSignature(t *testing.T) {
	t.Parallel()
	pack := shipped(t)
	for what, s := range map[string]Signature{
		"name": {Role: "nurse", At: signing.At}, "role": {Name: "A", At: signing.At}, "time": {Name: "A", Role: "nurse"},
		"no digest": {Digest: "md5:1", Name: "A", Role: "nurse", At: signing.At},
		"changed":   {Digest: "sha256:" + strings.Repeat("0", 64), Name: "A", Role: "nurse", At: signing.At},
	} {
		if _, err := pack.Sign(s); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%+v is taken (%v), want a refusal that says %q", s, err, what)
		}
	}
	for _, file := range []string{"- {name: A}\n", "- {digest: x, name: A, role: nurse, at: 2026-11-26T09:00:00Z}\n", "signed: yes\n"} {
		files := copied(t)
		files[SignaturesFile] = &fstest.MapFile{Data: []byte(file)}
		if _, err := Load(files); err == nil || !strings.Contains(err.Error(), SignaturesFile+":1: ") {
			t.Errorf("the file of signatures %q is taken: %v", file, err)
		}
	}
}

// Somebody answers for every part: who wrote it, from what, and when it is looked
// at again.
func TestSomebodyAnswersForEveryPart(t *testing.T) {
	t.Parallel()
	pack := shipped(t)
	entries := pack.Entries()
	if len(entries) < 100 || len(pack.Drafts()) != len(entries) {
		t.Errorf("%d parts, %d of them drafts: nobody has approved any", len(entries), len(pack.Drafts()))
	}
	for _, e := range entries {
		if e.Version < 1 || e.Source == "" || e.Review.Author == "" || e.Review.Next == "" || e.Line < 1 {
			t.Errorf("%s:%d: %s: nobody answers for it: %+v", e.File, e.Line, e.ID, e.About)
		}
	}
	day := time.Date(2027, 11, 24, 0, 0, 0, 0, time.UTC)
	if n := len(pack.Overdue(day)); n != 0 {
		t.Errorf("%d parts are overdue on the last day", n)
	}
	if n := len(pack.Overdue(day.AddDate(0, 0, 1))); n != len(entries) {
		t.Errorf("%d of %d parts are overdue on the day after it", n, len(entries))
	}
	for file, x := range map[string]struct{ old, new, want string }{
		"texts/signs.yaml":       {"author: lookout, ", "", "the author is missing"},
		"calendar/holidays.yaml": {"next: 2027-11-24", "next: soon", "not a date"},
		"lexicon/classes.yaml":   {"author: lookout, ", "", "the author is missing"},
		"texts/commands.yaml":    {"  version: 1", "  version: 1\n  review: {state: signed, author: A}", "must be draft or approved"},
		"texts/check-in.yaml":    {"cy_review: needs a Welsh speaker's review\n", "", "Welsh has no review state"},
		"flows/invitation.yaml":  {"author: lookout, ", "", "the author is missing"},
		"service/referral.yaml":  {"state: draft", "state: draft, reviewer: A", "a reviewer is named"},
		"texts/safety.yaml":      {"  version: 1", "  version: 0", "raise it at every change"},
	} {
		files := copied(t)
		was := files[file].Data
		if !bytes.Contains(was, []byte(x.old)) {
			t.Fatalf("%s has no %q", file, x.old)
		}
		files[file] = &fstest.MapFile{Data: bytes.Replace(was, []byte(x.old), []byte(x.new), 1)}
		if _, err := Load(files); err == nil || !strings.Contains(err.Error(), file+":") || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want a fault there that says %q", file, err, x.want)
		}
	}
}
