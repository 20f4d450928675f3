package bot_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"lookout/bot"
	"lookout/bot/rehearsal"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

var update = flag.Bool("update", false, "write what conversations are now into their files; read the difference before you commit it")

// Every conversation of content/conversations goes as its file says: the same
// texts, pages, rows and states, and none besides. The README there is the
// contract of the format.
func TestWholeConversations(t *testing.T) {
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../content/conversations/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conversations:", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			talks, err := rehearsal.ReadConversations(file, string(text))
			if err != nil {
				t.Fatal(err)
			}
			var now []string
			for i, talk := range talks {
				if i > 0 {
					now = append(now, rehearsal.Dashes)
				}
				played, err := talk.Play(t.Context(), pack, newStore(t))
				if err != nil {
					t.Fatal(err)
				}
				for _, broken := range played.Broken {
					t.Error(broken)
				}
				now = append(now, played.Lines...)
			}
			was := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			if slices.Equal(was, now) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			line := 0
			for line < min(len(was), len(now)) && was[line] == now[line] {
				line++
			}
			t.Errorf("%s:%d: it goes otherwise (-file +now):\n%s", file, line+1, gocmp.Diff(was, now))
		})
	}
}

// What a conversation is on a real store it is in memory too, where a change of content
// is played before it is deployed.
func TestConversationsInMemory(t *testing.T) {
	t.Parallel()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"paging", "shared-phone"} {
		file := "../content/conversations/" + name + ".txt"
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		talks, err := rehearsal.ReadConversations(file, string(text))
		if err != nil {
			t.Fatal(err)
		}
		var now []string
		for i, talk := range talks {
			if i > 0 {
				now = append(now, rehearsal.Dashes)
			}
			played, err := talk.Play(t.Context(), pack, nil)
			if err != nil {
				t.Fatal(err)
			}
			now = append(now, played.Lines...)
		}
		if diff := gocmp.Diff(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), now); diff != "" {
			t.Errorf("%s goes otherwise in memory (-file +now):\n%s", file, diff)
		}
	}
}

// newStore is an empty store in a real file.
func newStore(t *testing.T) bot.Store {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// smsChannel is how everybody is reached in a world.
const smsChannel = rehearsal.Channel

// world is that of a conversation, on a real store, for tests that act in it by hand.
type world struct {
	*rehearsal.World
	t *testing.T
}

func newWorld(t *testing.T, in rehearsal.Setting) *world {
	t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	w, err := rehearsal.NewWorld(t.Context(), pack, newStore(t), in)
	if err != nil {
		t.Fatal(err)
	}
	return &world{w, t}
}

// happened delivers what waits, and tells what is new.
func (w *world) happened() []string {
	w.t.Helper()
	lines, err := w.Happened(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

// allowed holds a text to what no conversation may break.
func (w *world) allowed(at string, out bot.Outgoing) {
	w.t.Helper()
	if err := w.Allowed(w.t.Context(), out); err != nil {
		w.t.Errorf("%s: %v", at, err)
	}
}
