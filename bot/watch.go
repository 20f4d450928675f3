package bot

import (
	"context"
	"sync"
)

// watchers passes hints on to everybody who watches. It never blocks a commit:
// a reader that is behind loses hints, and looks at the store anyway.
type watchers struct {
	mu   sync.Mutex
	next int
	to   map[int]chan Hint
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
		default:
		}
	}
}
