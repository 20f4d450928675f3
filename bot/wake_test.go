package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
)

// parted is a store that takes no change of some people: the part that they lie in does
// not answer.
type parted struct {
	bot.Store
	silent string // what their ids begin with
}

func (s *parted) Commit(ctx context.Context, c bot.Change) error {
	if s.silent != "" && strings.HasPrefix(c.Record.Patient.ID, s.silent) {
		return fmt.Errorf("%w: too few replicas", bot.ErrUnavailable)
	}
	return s.Store.Commit(ctx, c)
}

// However many are due in a part of the store that does not answer, and were due first, the
// others are woken; and so are those once it answers.
func TestWakesThoseWhoseStoreAnswers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	store := &parted{Store: newStore(t)}
	b, team := botOn(t, store, &at, nil)
	const silent = 600 // more than are looked for at once
	due := func(id string, ago time.Duration) {
		t.Helper()
		if err := store.Commit(t.Context(), bot.Change{Record: bot.Record{Patient: bot.Patient{ID: id, Service: team.ID},
			Wakes: []bot.Wake{{Key: "lease", Kind: bot.WakeLease, At: at.Add(-ago)}}}}); err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup // they share the store's commits
	for i := range silent {
		all.Go(func() { due(fmt.Sprint("anytown-silent", i), time.Hour) })
	}
	all.Wait()
	store.silent = "anytown-silent"
	for i := range 2 {
		due(fmt.Sprint("anytown-well", i), time.Minute)
		woken, err := b.Wake(t.Context())
		if woken != 1 || !errors.Is(err, bot.ErrUnavailable) || strings.Count(err.Error(), "too few replicas") != 1 || !strings.Contains(err.Error(), fmt.Sprint(silent)) {
			t.Errorf("%d are woken, want 1; %v", woken, err)
		}
	}
	store.silent = ""
	if woken, err := b.Wake(t.Context()); woken != silent || err != nil {
		t.Errorf("once the store answers %d are woken, %v; want %d", woken, err, silent)
	}
}
