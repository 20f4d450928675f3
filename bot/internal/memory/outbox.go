package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"lookout/bot"
)

// settled takes a message out of the outbox; one whose fate is known is forgotten
// where nothing past is kept, but for the last that did not arrive, which may go
// again.
func (m *Store) settled(o *message) {
	delete(m.waiting[o.To.Channel], o.ID)
	if m.watch == nil {
		return
	}
	switch o.State {
	case bot.OutDelivered, bot.OutCancelled:
		m.drop(o)
	case bot.OutUndelivered, bot.OutFailed, bot.OutSent:
		p := m.patients[o.Patient]
		if p == nil {
			return
		}
		if !slices.Contains(p.last, o.ID) {
			p.last = append(p.last, o.ID)
		}
		for len(p.last) > 4 {
			if old := m.out[p.last[0]]; old != nil {
				m.drop(old)
			}
			p.last = p.last[1:]
		}
	}
}

func (m *Store) drop(o *message) {
	delete(m.out, o.ID)
	delete(m.carriers, o.CarrierID)
}

func (m *Store) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	list := make([]*message, 0, len(m.waiting[channel]))
	busy := map[string]bool{}
	for _, o := range m.waiting[channel] {
		if o.LeaseUntil.After(now) {
			busy[o.To.At] = true
		} else if !o.NotBefore.After(now) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *message) int { return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.n, b.n)) })
	var out []bot.Outgoing
	for _, o := range list {
		if len(out) == limit {
			break
		}
		if busy[o.To.At] {
			continue
		}
		busy[o.To.At] = true
		m.fence++
		o.Unsettled = o.Unsettled || o.State == bot.OutSending
		o.State, o.Fence, o.Attempts, o.LeaseUntil = bot.OutSending, m.fence, o.Attempts+1, now.Add(lease)
		out = append(out, o.Outgoing)
	}
	return out, nil
}

func (m *Store) Settle(ctx context.Context, settlements ...bot.Settlement) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, x := range settlements {
		o := m.out[x.ID]
		if o == nil {
			continue
		}
		live := o.State == bot.OutPending || o.State == bot.OutSending
		name := func() {
			if x.CarrierID != "" && o.CarrierID == "" {
				o.CarrierID = x.CarrierID
				m.carriers[x.CarrierID] = o.ID
			}
		}
		switch {
		case x.Fence == 0 && (live || o.State == bot.OutSent && x.State != bot.OutPending && x.State != bot.OutSending && x.State != bot.OutSent):
			o.Unsettled = false
		case x.Fence != 0 && x.Fence == o.Fence && o.State == bot.OutSending:
			o.Unsettled = x.Unsettled
			if x.State == bot.OutPending {
				o.NotBefore = x.RetryAt
			}
		case x.Fence != 0 && x.Fence == o.Fence:
			name() // a receipt was faster than the carrier's answer to us
			continue
		default:
			continue
		}
		name()
		o.State, o.SettledAt, o.LeaseUntil = x.State, x.At, time.Time{}
		o.Code = cmp.Or(x.Code, o.Code)
		if x.State != bot.OutPending && x.State != bot.OutSending {
			m.settled(o)
		}
	}
	return nil
}

func (m *Store) Outgoing(ctx context.Context, id string) (bot.Outgoing, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	defer m.mu.Unlock()
	if o := m.out[id]; o != nil {
		return o.Outgoing, nil
	}
	return bot.Outgoing{}, bot.ErrNotFound
}

func (m *Store) OutgoingByCarrier(ctx context.Context, carrierID string) (bot.Outgoing, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	defer m.mu.Unlock()
	if o := m.out[m.carriers[carrierID]]; o != nil {
		return o.Outgoing, nil
	}
	return bot.Outgoing{}, bot.ErrNotFound
}

// Idle says that nothing waits to be sent on a channel.
func (m *Store) Idle(channel string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.waiting[channel]) == 0
}

// NextOut is when a message that waits on a channel may leave.
func (m *Store) NextOut(channel string, now time.Time) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var next time.Time
	for _, o := range m.waiting[channel] {
		at := o.NotBefore
		if at.Before(now) {
			at = now
		}
		if o.LeaseUntil.After(at) {
			at = o.LeaseUntil
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, !next.IsZero()
}
