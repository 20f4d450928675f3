package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"lookout/bot"
)

func (m *Store) keepAudit(entries []bot.AuditEntry) {
	for _, e := range entries {
		e.Seq = int64(len(m.audit) + 1)
		m.audit = append(m.audit, e)
	}
}

func (m *Store) Audit(ctx context.Context, entries ...bot.AuditEntry) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.watch == nil {
		m.keepAudit(entries)
	}
	return nil
}

func (m *Store) AuditLog(ctx context.Context, after int64, limit int) ([]bot.AuditEntry, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	rest := m.audit[min(int(max(after, 0)), len(m.audit)):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (m *Store) PutValue(ctx context.Context, drawer, key string, data []byte, expires time.Time) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.put(drawer, key, data, expires)
	return nil
}

func (m *Store) put(drawer, key string, data []byte, expires time.Time) {
	if m.drawers[drawer] == nil {
		m.drawers[drawer] = map[string]value{}
	}
	m.drawers[drawer][key] = value{slices.Clone(data), expires}
}

func (v value) gone(now time.Time) bool { return !v.expires.IsZero() && !v.expires.After(now) }

func (m *Store) value(drawer, key string, now time.Time) ([]byte, error) {
	v, there := m.drawers[drawer][key]
	if !there || v.gone(now) {
		return nil, bot.ErrNotFound
	}
	return slices.Clone(v.data), nil
}

func (m *Store) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.value(drawer, key, now)
}

func (m *Store) TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	data, err := m.value(drawer, key, now)
	if err == nil {
		delete(m.drawers[drawer], key)
	}
	return data, err
}

func (m *Store) SwapValue(ctx context.Context, drawer, key string, was, data []byte, expires, now time.Time) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	is, err := m.value(drawer, key, now)
	if there := err == nil; there != (was != nil) || !bytes.Equal(is, was) {
		return bot.ErrConflict
	}
	m.put(drawer, key, data, expires)
	return nil
}

func (m *Store) Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	out := map[string][]byte{}
	for key, v := range m.drawers[drawer] {
		if !v.gone(now) {
			out[key] = slices.Clone(v.data)
		}
	}
	return out, nil
}

func (m *Store) DeleteValue(ctx context.Context, drawer, key string) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.drawers[drawer], key)
	return nil
}

func (m *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for _, drawer := range m.drawers {
		for key, v := range drawer {
			if v.gone(now) {
				delete(drawer, key)
				n++
			}
		}
	}
	return n, nil
}
