package redisstore

import "sync"

// memory remembers what spares the servers a question. It forgets some when it
// is full; forgetting, and being wrong, cost only the question.
type memory[T any] struct {
	mu sync.Mutex
	of map[string]T
}

const maxRemembered = 20_000

func (m *memory[T]) put(name string, x T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = make(map[string]T)
	}
	if len(m.of) >= maxRemembered {
		for old := range m.of { // in no order
			delete(m.of, old)
			if len(m.of) < maxRemembered*3/4 {
				break
			}
		}
	}
	m.of[name] = x
}

func (m *memory[T]) get(name string) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[name]
}
