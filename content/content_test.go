package content

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func shipped(t testing.TB) *Pack {
	t.Helper()
	p, err := Load(Embedded())
	if err != nil {
		t.Fatalf("the pack that is shipped has faults:\n%v", err)
	}
	return p
}

func TestShippedPackHasNoFaults(t *testing.T) { shipped(t) }

// Whoever reads a folder, its faults name the file from the pack's root, so that
// an editor can jump there.
func TestFaultsNameTheFileFromTheRoot(t *testing.T) {
	t.Parallel()
	for file, x := range map[string]struct{ old, new, want string }{
		"flows/leg.yaml":         {"on: {unsure: done}", "on: {unsure: gone}", "flows/leg.yaml:19: "},
		"lexicon/answers.yaml":   {"\n", "\nnot_a_field: 1\n", "lexicon/answers.yaml:"},
		"texts/commands.yaml":    {"version: 1", "version: 0", "texts/commands.yaml:2: "},
		"service/concerns.yaml":  {"concepts: [dvt]", "concepts: [dvvt]", "service/concerns.yaml:"},
		"calendar/holidays.yaml": {`"2026-01-01"`, `"2026-13-01"`, "calendar/holidays.yaml:"},
	} {
		files := fstest.MapFS{}
		err := fs.WalkDir(Embedded(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(Embedded(), path)
			if path == file {
				text = bytes.Replace(text, []byte(x.old), []byte(x.new), 1)
			}
			files[path] = &fstest.MapFile{Data: text}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(files); err == nil || !strings.Contains("\n"+err.Error(), "\n"+x.want) {
			t.Errorf("%s: the fault is %v, want one that begins with %s", file, err, x.want)
		}
	}
}
