package memory

import (
	"container/heap"
	"context"
	"time"

	"lookout/bot"
)

// wake is a time at which somebody was due when it was written; it counts as long
// as her record still says so.
type wake struct {
	at      int64 // nanoseconds; time.Time takes three times the room
	n       int64
	patient string
}

type dueHeap []wake

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(wake)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// earliest is when a record wants to be woken; 0: never.
func earliest(wakes []bot.Wake) int64 {
	var first int64
	for i := range wakes {
		if at := wakes[i].At.UnixNano(); first == 0 || at < first {
			first = at
		}
	}
	return first
}

func (m *Store) Due(ctx context.Context, now time.Time, limit int) ([]bot.Due, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []bot.Due
	var back []wake
	seen := map[string]bool{}
	until := now.UnixNano()
	for len(m.due) > 0 && m.due[0].at <= until && len(out) < limit {
		w := heap.Pop(&m.due).(wake)
		p := m.patients[w.patient]
		if p == nil || p.n != w.n || seen[w.patient] || p.at != w.at {
			continue // she has been moved since, or this is a second time
		}
		seen[w.patient] = true
		back = append(back, w)
		out = append(out, bot.Due{Patient: w.patient, At: time.Unix(0, w.at).UTC()})
	}
	for _, w := range back {
		heap.Push(&m.due, w)
	}
	return out, nil
}

// NextDue is when somebody is due next; false: nobody ever.
func (m *Store) NextDue() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.due) > 0 {
		w := m.due[0]
		if p := m.patients[w.patient]; p != nil && p.n == w.n && p.at == w.at {
			return time.Unix(0, w.at).UTC(), true
		}
		heap.Pop(&m.due)
	}
	return time.Time{}, false
}
