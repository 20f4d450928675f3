package bot

import (
	"context"
	"sync"
	"time"
)

// watchers passes hints on to everybody who watches. It never blocks a commit: what
// a reader that is behind has not taken becomes one zero [Hint].
type watchers struct {
	mu   sync.Mutex
	next int
	to   map[int]chan Hint
}

// Relay passes hints between the processes that share a store. Nothing hangs on
// it: a hint that is lost shows at the next look.
type Relay interface {
	// Tell passes a hint on to the other processes. It does not wait.
	Tell(hint Hint)
	// Listen calls heard with what other processes tell, until ctx ends; with the
	// zero Hint after hints may have been lost.
	Listen(ctx context.Context, heard func(Hint)) error
}

// Pace shares a carrier's rate between the processes that share a store: it is the
// sender's, however many of them send.
type Pace interface {
	// Pass counts n messages of a sender as leaving now, when perSecond lets all of
	// them; else it counts none, and says after how long to ask again. An error says
	// that nobody can know: then each process goes by the whole rate for itself, for a
	// text that is late is worse than one that the carrier queues.
	Pass(ctx context.Context, sender string, perSecond float64, n int) (wait time.Duration, err error)
}

// tell passes a hint on to everybody who watches, in this process and the others.
func (b *Bot) tell(hint Hint) {
	b.watchers.tell(hint)
	if b.relay != nil {
		b.relay.Tell(hint)
	}
}

// Nudge lets everybody look again who watches somebody, here and at the other processes:
// something has changed that is in no commit.
func (b *Bot) Nudge(patient string) {
	b.tell(Hint{Service: b.service.ID, Patient: patient})
}

// Watch gives hints until ctx ends, and then closes the channel.
func (b *Bot) Watch(ctx context.Context) <-chan Hint {
	w := &b.watchers
	hints := make(chan Hint, 64)
	w.mu.Lock()
	if w.to == nil {
		w.to = make(map[int]chan Hint)
	}
	id := w.next
	w.next++
	w.to[id] = hints
	w.mu.Unlock()
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.to, id)
		close(hints)
	})
	return hints
}

func (w *watchers) tell(hint Hint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range w.to {
		select {
		case to <- hint:
			continue
		default:
		}
		for len(to) > 0 { // only the reader takes from it meanwhile
			select {
			case <-to:
			default:
			}
		}
		to <- Hint{}
	}
}
