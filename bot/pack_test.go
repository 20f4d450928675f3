package bot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"lookout/bot"
	"lookout/bot/rehearsal"
	"lookout/content"
)

// otherPack is the shipped content with some files changed.
func otherPack(t *testing.T, changes map[string]*strings.Replacer) *content.Pack {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(content.Embedded(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(content.Embedded(), path)
		if change := changes[path]; change != nil {
			other := []byte(change.Replace(string(data)))
			if bytes.Equal(data, other) {
				t.Fatalf("%s has nothing of what is to be changed", path)
			}
			data = other
		}
		files[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pack, err := content.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// keepsPacks has the world's store keep the shipped content, as a process that serves does.
func (w *world) keepsPacks() {
	w.t.Helper()
	pack, err := content.Shipped()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := bot.New(w.t.Context(), bot.Config{Store: w.Store, Content: pack, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return w.Now }}); err != nil {
		w.t.Fatal(err)
	}
}

// inCheckIn has Mary asked the first question of her check-in, on the content that the
// store keeps, and gives her id.
func (w *world) inCheckIn() string {
	w.t.Helper()
	w.keepsPacks()
	p, err := w.Enrol(w.t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: "+447700900123",
		TreatmentEnded: "2026-11-04", ConsentSMS: true}, "Ann")
	if err != nil {
		w.t.Fatal(err)
	}
	w.People = []rehearsal.Person{{ID: p.ID, Name: "Mary", Phone: "+447700900123"}}
	if err := w.Start(w.t.Context(), p.ID, "check-in", "Ann"); err != nil {
		w.t.Fatal(err)
	}
	w.happened()
	return p.ID
}

// A talk in progress finishes on the content that it began with, whatever is
// deployed meanwhile: its steps, its words and its reading of her answers. The
// next talk begins on the new content.
func TestATalkFinishesOnItsPack(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	duty, err := rehearsal.ReadDuty("Ann 07700900901")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Duty: duty, Begin: time.Date(2026, 11, 24, 10, 30, 0, 0, zone)})
	mary := w.inCheckIn()

	// The new content leads from the first question to another step, in other words,
	// and has no step that the open talk stands on.
	renamed := otherPack(t, map[string]*strings.Replacer{
		"flows/check-in.yaml": strings.NewReplacer("start: chest\n", "start: first\n", "  chest:\n", "  first:\n"),
		"texts/check-in.yaml": strings.NewReplacer("Any pain, cough, breathlessness", "NEW WORDS: any pain, cough, breathlessness"),
	})
	deployed, err := bot.New(t.Context(), bot.Config{Store: w.Store, Content: renamed, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.Now }, Random: rand.NewChaCha8([32]byte{}), Outlets: map[string]bot.Outlet{smsChannel: {Sender: w, Lease: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Bot = deployed
	said := func(what, want, not string) {
		t.Helper()
		got := strings.Join(w.happened(), "\n")
		if !strings.Contains(got, want) || not != "" && strings.Contains(got, not) {
			t.Errorf("%s: %s\nwant %q, and not %q", what, got, want, not)
		}
	}
	if err := w.Writes(t.Context(), "her", "no"); err != nil {
		t.Fatal(err)
	}
	said("an answer after the deployment", "Any pain, cough, breathlessness", "NEW WORDS")
	for _, answer := range []string{"no", "no", "no", "nothing"} {
		if err := w.Writes(t.Context(), "her", answer); err != nil {
			t.Fatal(err)
		}
	}
	said("the end of the talk", "That is all for now", "NEW WORDS")
	if err := w.Start(t.Context(), mary, "check-in", "Ann"); err != nil {
		t.Fatal(err)
	}
	w.happened()
	if err := w.Writes(t.Context(), "her", "no"); err != nil {
		t.Fatal(err)
	}
	said("the next talk", "NEW WORDS", "")
}

// A pack is kept in pieces that no store takes long to write, and one that differs in a
// few words shares the others' pieces.
func TestPacksShareTheirPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Begin: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)})
	w.keepsPacks()
	pieces := func() map[string][]byte {
		t.Helper()
		all, err := w.Store.Values(t.Context(), "packs", w.Now)
		if err != nil {
			t.Fatal(err)
		}
		for key, piece := range all {
			if len(piece) > 1<<20 {
				t.Errorf("piece %s has %d bytes", key, len(piece))
			}
		}
		return all
	}
	before := len(pieces())
	changed := otherPack(t, map[string]*strings.Replacer{"texts/check-in.yaml": strings.NewReplacer("Any pain, cough, breathlessness", "NEW WORDS: any pain, cough, breathlessness")})
	if _, err := bot.New(t.Context(), bot.Config{Store: w.Store, Content: changed, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return w.Now }}); err != nil {
		t.Fatal(err)
	}
	if after := len(pieces()); before < 10 || after <= before || after > before+2 {
		t.Errorf("%d pieces, and %d once a text has changed", before, after)
	}
}

// forgetful is a store that does not give its packs while it is down.
type forgetful struct {
	bot.Store
	down  bool
	reads atomic.Int64 // of pieces
}

func (s *forgetful) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	if s.down && strings.HasPrefix(drawer, "packs") {
		return nil, fmt.Errorf("%w: it is down", bot.ErrUnavailable)
	}
	if drawer == "packs" {
		s.reads.Add(1)
	}
	return s.Store.Value(ctx, drawer, key, now)
}

// However many talks on an old pack go on at once, it is read once.
func TestAKeptPackIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Begin: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)})
	mary := w.inCheckIn()
	store := &forgetful{Store: w.Store}
	changed := otherPack(t, map[string]*strings.Replacer{"texts/check-in.yaml": strings.NewReplacer("Any pain, cough, breathlessness", "NEW WORDS: any pain, cough, breathlessness")})
	deployed, err := bot.New(t.Context(), bot.Config{Ephemeral: true, Store: store, Content: changed, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.Now }, Outlets: map[string]bot.Outlet{smsChannel: {Sender: w, Lease: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := deployed.Case(t.Context(), mary); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	pieces, err := w.Store.Values(t.Context(), "packs", w.Now)
	if err != nil {
		t.Fatal(err)
	}
	if n := store.reads.Load(); n != int64(len(pieces)) {
		t.Errorf("%d pieces were read %d times", len(pieces), n)
	}
}

// While the store does not give the content on which her talk began, her answer is not
// taken, and comes again: the talk is not lost, and does not end.
func TestATalkOutlastsAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Begin: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)})
	w.inCheckIn()
	store := &forgetful{Store: w.Store}
	changed := otherPack(t, map[string]*strings.Replacer{"texts/check-in.yaml": strings.NewReplacer("Any pain, cough, breathlessness", "NEW WORDS: any pain, cough, breathlessness")})
	deployed, err := bot.New(t.Context(), bot.Config{Store: store, Content: changed, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.Now }, Outlets: map[string]bot.Outlet{smsChannel: {Sender: w, Lease: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Bot = deployed
	store.down = true
	if err := w.Writes(t.Context(), "her", "no"); !errors.Is(err, bot.ErrUnavailable) {
		t.Errorf("while the store is down her answer is taken: %v", err)
	}
	store.down = false
	if err := w.Writes(t.Context(), "her", "no"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.happened(), "\n"); !strings.Contains(got, "Any pain, cough, breathlessness") || strings.Contains(got, "NEW WORDS") {
		t.Errorf("the next question is not that of her talk: %s", got)
	}
}
