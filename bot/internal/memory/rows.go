package memory

import (
	"cmp"
	"context"
	"slices"

	"lookout/bot"
)

// putRows writes rows, and lets her record list those that are not closed.
func (m *Store) putRows(p *person, rows []bot.Row) {
	for _, r := range rows {
		r.Spans = slices.Clone(r.Spans)
		if _, known := m.opened[r.ID]; !known {
			m.next++
			m.opened[r.ID] = int(m.next)
		}
		delete(m.live, r.ID)
		p.live = slices.DeleteFunc(p.live, func(id string) bool { return id == r.ID })
		if r.State != bot.Closed {
			m.live[r.ID] = &r
			n, _ := slices.BinarySearchFunc(p.live, r.ID, func(a, b string) int { return cmp.Compare(m.opened[a], m.opened[b]) })
			p.live = slices.Insert(p.live, n, r.ID)
		}
		m.rows[r.ID] = &r
		if r.State == bot.Closed && m.watch != nil {
			delete(m.rows, r.ID)
			delete(m.opened, r.ID)
		}
	}
	p.rec.Rows = nil
	for _, id := range p.live {
		p.rec.Rows = append(p.rec.Rows, *m.live[id])
	}
}

// chosen lists the rows that a filter means, in the queue's order.
func (m *Store) chosen(f bot.QueueFilter) []bot.Row {
	states := f.States
	if len(states) == 0 {
		states = []bot.RowState{bot.Open, bot.Claimed}
	}
	from := m.live
	if slices.Contains(states, bot.Closed) {
		from = m.rows
	}
	var out []bot.Row
	for _, r := range from {
		closed := r.State == bot.Closed
		switch {
		case !slices.Contains(states, r.State), f.Service != "" && r.Service != f.Service, f.Patient != "" && r.Patient != f.Patient, f.Concern != "" && r.Concern != f.Concern:
		case f.Holder != "" && (closed || r.ClaimedBy != f.Holder), !f.DueBefore.IsZero() && (closed || !r.DueAt.Before(f.DueBefore)):
		case !f.ClosedSince.IsZero() && (!closed || r.ClosedAt.Before(f.ClosedSince)):
		default:
			row := *r
			row.Spans = slices.Clone(row.Spans)
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b bot.Row) int {
		aClosed, bClosed := a.State == bot.Closed, b.State == bot.Closed
		switch {
		case aClosed != bClosed && aClosed:
			return 1
		case aClosed != bClosed:
			return -1
		case aClosed:
			return cmp.Or(b.ClosedAt.Compare(a.ClosedAt), cmp.Compare(m.opened[b.ID], m.opened[a.ID]))
		}
		return cmp.Or(cmp.Compare(b.Level, a.Level), a.DueAt.Compare(b.DueAt), a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(m.opened[a.ID], m.opened[b.ID]))
	})
	return out
}

func (m *Store) Queue(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	rows := m.chosen(f)
	rows = rows[min(f.Skip, len(rows)):]
	return rows[:min(cmp.Or(f.Limit, 500), len(rows))], nil
}

func (m *Store) Count(ctx context.Context, f bot.QueueFilter) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return len(m.chosen(f)), nil
}

func (m *Store) Row(ctx context.Context, id string) (bot.Row, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Row{}, err
	}
	defer m.mu.Unlock()
	if r := m.rows[id]; r != nil {
		return *r, nil
	}
	return bot.Row{}, bot.ErrNotFound
}

// First gives the first n of the rows that are not closed and wanted, in the order in
// which nurses take them: the most dangerous, then the one that is due first. A desk
// that is behind has thousands, and takes a few: they are not all put in order.
func (m *Store) First(n int, wanted func(*bot.Row) bool) []bot.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := func(a, b *bot.Row) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
	}
	top := make([]*bot.Row, 0, n+1)
	for _, r := range m.live {
		if !wanted(r) || len(top) == n && before(r, top[n-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, r, before)
		if top = slices.Insert(top, at, r); len(top) > n {
			top = top[:n]
		}
	}
	out := make([]bot.Row, len(top))
	for i, r := range top {
		out[i] = *r
	}
	return out
}
