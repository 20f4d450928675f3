package content

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func shipped(t testing.TB) *Pack {
	t.Helper()
	p, err := Shipped()
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
		files := copied(t)
		files[file] = &fstest.MapFile{Data: bytes.Replace(files[file].Data, []byte(x.old), []byte(x.new), 1)}
		if _, err := Load(files); err == nil || !strings.Contains("\n"+err.Error(), "\n"+x.want) {
			t.Errorf("%s: the fault is %v, want one that begins with %s", file, err, x.want)
		}
	}
}

// A talk finishes on the pack that it began with: what is shipped can be kept, and
// brought back as it was.
func TestShippedPackIsKeptWhole(t *testing.T) {
	t.Parallel()
	pack := shipped(t)
	archive, err := pack.Archive()
	if err != nil {
		t.Fatal(err)
	}
	if 2*len(archive) > maxPack {
		t.Errorf("the archive has %d bytes, and %d are taken: raise the bound before it is reached", len(archive), maxPack)
	}
	again, err := OpenArchive(archive)
	if err != nil || again.Digest() != pack.Digest() {
		t.Errorf("%v: it is another pack", err)
	}
}

// The weights of the embedded pack are read from where they lie in the program, and are
// those of its folder.
func TestEmbeddedWeightsAreNotCopied(t *testing.T) {
	name := weightsName
	first, err := fs.ReadFile(Embedded(), name)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fs.ReadFile(Embedded(), name)
	if err != nil {
		t.Fatal(err)
	}
	if &first[0] != &again[0] {
		t.Error("each reading copies them")
	}
	onDisk, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, onDisk) {
		t.Error("they are not those of the folder")
	}
}

// A pack that a later lookout kept may have fields that this one does not know: its
// talks go on here, and nobody may serve it.
func TestAKeptPackOfALaterLookoutIsRead(t *testing.T) {
	t.Parallel()
	later := *shipped(t)
	later.files = maps.Clone(later.files)
	for _, name := range []string{"flows/leg.yaml", "lexicon/answers.yaml"} {
		later.files[name] = append(slices.Clone(later.files[name]), "\nof_a_later_lookout: 1\n"...)
	}
	archive, err := later.Archive()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenArchive(archive); err == nil || !strings.Contains(err.Error(), "of_a_later_lookout") {
		t.Errorf("to be served: %v", err)
	}
	if p, err := OpenKept(archive); err != nil || len(p.Program().Flows()) < 30 {
		t.Errorf("to go on: %v", err)
	}
}
