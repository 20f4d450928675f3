package desk

import (
	"context"
	"sync"
	"time"
)

// rounds lets all who ask for the same thing at the same moment share one reading of
// it. Whoever asks while it is being read waits for the next one: nobody is given what
// was read before she asked, so that a page that was told of a change shows it.
type rounds[K comparable, V any] struct {
	mu sync.Mutex
	at map[K]*round[V] // those that are being read
}

// round is one reading that is under way, and the one behind it.
type round[V any] struct{ next *reading[V] }

type reading[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// patience bounds one reading: nobody's own request bounds it, for others wait too.
const patience = 10 * time.Second

// get gives what read gives, which is called after get was. It may be another's read, with
// the same key; ctx ends the waiting.
func (r *rounds[K, V]) get(ctx context.Context, key K, read func(context.Context) (V, error)) (V, error) {
	r.mu.Lock()
	if r.at == nil {
		r.at = make(map[K]*round[V])
	}
	under := r.at[key]
	first := under == nil
	if first {
		under = &round[V]{}
		r.at[key] = under
	}
	mine := under.next
	if mine == nil {
		mine = &reading[V]{done: make(chan struct{})}
		under.next = mine
	}
	r.mu.Unlock()
	if first {
		go r.run(key, under, read, context.WithoutCancel(ctx))
	}
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// run reads until nobody waits.
func (r *rounds[K, V]) run(key K, under *round[V], read func(context.Context) (V, error), ctx context.Context) {
	for {
		r.mu.Lock()
		now := under.next
		under.next = nil
		if now == nil {
			delete(r.at, key)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, patience)
		now.value, now.err = read(bounded)
		cancel()
		close(now.done)
	}
}
