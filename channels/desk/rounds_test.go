package desk

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever asks while a reading is under way gets the next one, never what was read before
// she asked; all who wait share it, and a fault is theirs alone.
func TestManyShareOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rounds[string, int]
		reads := 0 // one at a time
		read := func(context.Context) (int, error) {
			reads++
			n := reads
			time.Sleep(time.Second)
			if n == 3 {
				return 0, errors.New("the store is away")
			}
			return n, nil
		}
		ask := func(ctx context.Context, want int, fails bool) {
			t.Helper()
			if n, err := r.get(ctx, "now", read); n != want || (err != nil) != fails {
				t.Errorf("got reading %d, %v; want %d", n, err, want)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { ask(t.Context(), 1, false) })
		synctest.Wait() // the first is being read
		for range 200 {
			all.Go(func() { ask(t.Context(), 2, false) })
		}
		gone, leave := context.WithCancel(t.Context())
		all.Go(func() { ask(gone, 0, true) })
		synctest.Wait()
		leave()
		all.Wait()
		ask(t.Context(), 0, true) // the third fails
		ask(t.Context(), 4, false)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if reads != 4 || len(r.at) != 0 {
			t.Errorf("%d readings for 204 questions, %d are still kept", reads, len(r.at))
		}
	})
}
