// Package memory is a store that forgets. It keeps the store's contract (package
// bot/storetest) but for the one promise that matters: nothing survives the
// process. That is why it is internal to bot: a made-up cohort (bot/simulate) and
// a written conversation (bot/rehearsal) run on it, and the compiler keeps every
// command from serving patients from it.
package memory

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lookout/bot"
	"lookout/flows"
)

// Store is a [bot.Store] in memory.
//
// With watch set it hands each change over after it was committed and forgets
// what is past: journals, keys, audits, closed rows, settled messages. So it grows
// with patients, and not with days.
type Store struct {
	*kept
	closed bool // of this handle; others of the same store go on
}

// kept is what the handles of one store share.
type kept struct {
	mu    sync.Mutex
	watch func(bot.Change)

	patients  map[string]*person
	ids       []string // of patients, sorted; made when it is asked for
	keys      map[string]string
	addresses map[place][]string // who can be reached there, in the order in which they came
	due       dueHeap
	rows      map[string]*bot.Row
	live      map[string]*bot.Row // those that are not closed
	opened    map[string]int      // when a row was first written, by number
	out       map[string]*message
	waiting   map[string]map[string]*message // by channel: not settled
	carriers  map[string]string              // carrier's id → ours
	audit     []bot.AuditEntry
	drawers   map[string]map[string]value
	next      int64 // numbers rows and messages
	fence     int64
}

type person struct {
	rec     bot.Record // with her rows that are not closed
	journal []bot.Entry
	seq     int64
	n       int64
	at      int64    // when she is due; 0: never
	live    []string // her rows that are not closed, in the order in which they were opened
	last    []string // her messages that were not delivered, newest last
}

type place struct{ service, channel, at string }

type message struct {
	bot.Outgoing
	n int64
}

type value struct {
	data    []byte
	expires time.Time
}

// New is an empty store. watch may be nil.
func New(watch func(bot.Change)) *Store {
	return &Store{kept: &kept{watch: watch, patients: map[string]*person{}, keys: map[string]string{}, addresses: map[place][]string{}, rows: map[string]*bot.Row{},
		live: map[string]*bot.Row{}, opened: map[string]int{}, out: map[string]*message{}, waiting: map[string]map[string]*message{}, carriers: map[string]string{}, drawers: map[string]map[string]value{}}}
}

var _ bot.Store = (*Store)(nil)

// lock takes the store, unless it is closed or the caller has given up.
func (m *Store) lock(ctx context.Context) error {
	m.mu.Lock()
	switch {
	case m.closed:
		m.mu.Unlock()
		return fmt.Errorf("%w: the store is closed", bot.ErrUnavailable)
	case ctx.Err() != nil:
		m.mu.Unlock()
		return errors.Join(bot.ErrUnavailable, ctx.Err())
	}
	return nil
}

func (m *Store) PatientsAt(ctx context.Context, service string, at bot.Address) ([]string, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return slices.Clone(m.addresses[place{service, at.Channel, at.At}]), nil
}

func (m *Store) RecordsAt(ctx context.Context, service string, at bot.Address) ([]bot.Record, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []bot.Record
	for _, id := range m.addresses[place{service, at.Channel, at.At}] {
		out = append(out, m.patients[id].rec.Clone())
	}
	return out, nil
}

func (m *Store) Load(ctx context.Context, patient string) (bot.Record, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Record{}, err
	}
	defer m.mu.Unlock()
	p := m.patients[patient]
	if p == nil {
		return bot.Record{}, bot.ErrNotFound
	}
	return p.rec.Clone(), nil
}

func (m *Store) Commit(ctx context.Context, c bot.Change) error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	id := c.Record.Patient.ID
	p := m.patients[id]
	_, seen := m.keys[c.Key]
	switch {
	case c.Key != "" && seen:
		return bot.ErrDuplicate
	case c.Base == 0 && p != nil, c.Base != 0 && (p == nil || p.rec.Version != c.Base):
		return bot.ErrConflict
	}
	for i := range c.Send {
		if m.out[c.Send[i].ID] != nil {
			return fmt.Errorf("%w: message %s is there already", bot.ErrUnavailable, c.Send[i].ID)
		}
	}
	if p == nil {
		m.next++
		p = &person{n: m.next}
		m.patients[id], m.ids = p, nil
	}
	m.move(p, &c.Record)
	p.rec = c.Record.Clone()
	p.rec.Version = c.Base + 1
	for i := range c.Entries {
		p.seq++
		if m.watch == nil {
			e := c.Entries[i]
			e.Seq = p.seq
			p.journal = append(p.journal, e)
		}
	}
	if c.Key != "" && m.watch == nil {
		m.keys[c.Key] = id
	}
	m.putRows(p, c.Rows)
	for i := range c.Send {
		m.next++
		o := &message{c.Send[i], m.next}
		m.out[o.ID] = o
		if m.waiting[o.To.Channel] == nil {
			m.waiting[o.To.Channel] = map[string]*message{}
		}
		m.waiting[o.To.Channel][o.ID] = o
	}
	for _, id := range c.Cancel {
		if o := m.out[id]; o != nil && o.State == bot.OutPending {
			o.State = bot.OutCancelled
			m.settled(o)
		}
	}
	if at := earliest(p.rec.Wakes); at != p.at {
		if p.at = at; at != 0 {
			heap.Push(&m.due, wake{at, p.n, id})
		}
	}
	if m.watch != nil {
		m.watch(c)
		return nil
	}
	m.keepAudit(c.Audit)
	return nil
}

// move keeps the addresses in step with her record.
func (m *Store) move(p *person, now *bot.Record) {
	was := p.rec.Patient.Addresses
	if slices.Equal(was, now.Patient.Addresses) {
		return
	}
	id := now.Patient.ID
	for _, a := range was {
		if !slices.Contains(now.Patient.Addresses, a) {
			at := place{p.rec.Patient.Service, a.Channel, a.At}
			if left := slices.DeleteFunc(m.addresses[at], func(x string) bool { return x == id }); len(left) > 0 {
				m.addresses[at] = left
			} else {
				delete(m.addresses, at)
			}
		}
	}
	for _, a := range now.Patient.Addresses {
		at := place{now.Patient.Service, a.Channel, a.At}
		if !slices.Contains(was, a) && !slices.Contains(m.addresses[at], id) {
			m.addresses[at] = append(m.addresses[at], id)
		}
	}
}

func (m *Store) Journal(ctx context.Context, patient string, after int64, limit int) ([]bot.Entry, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	p := m.patients[patient]
	if p == nil {
		return nil, nil
	}
	entries := p.journal[min(int(max(after, 0)), len(p.journal)):]
	if limit > 0 {
		entries = entries[:min(limit, len(entries))]
	}
	return slices.Clone(entries), nil
}

func (m *Store) Seen(ctx context.Context, key string) (bool, error) {
	if err := m.lock(ctx); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	_, seen := m.keys[key]
	return seen, nil
}

func (m *Store) Erase(ctx context.Context, patient string, version int64, entry bot.AuditEntry) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	p := m.patients[patient]
	switch {
	case p == nil:
		return bot.ErrNotFound
	case p.rec.Version != version:
		return bot.ErrConflict
	}
	m.move(p, &bot.Record{Patient: bot.Patient{ID: patient}})
	delete(m.patients, patient)
	m.ids = nil
	for id, r := range m.rows {
		if r.Patient == patient {
			delete(m.rows, id)
			delete(m.live, id)
			delete(m.opened, id)
		}
	}
	for id, o := range m.out {
		if owner, _, ok := bot.OwnerOf(id, bot.MessageMark); ok && owner == patient {
			delete(m.waiting[o.To.Channel], id)
			m.drop(o)
		}
	}
	for key, id := range m.keys {
		if id == patient {
			delete(m.keys, key)
		}
	}
	m.keepAudit([]bot.AuditEntry{entry})
	return nil
}

func (m *Store) Stats(ctx context.Context, now time.Time) (bot.Stats, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Stats{}, err
	}
	defer m.mu.Unlock()
	st := bot.Stats{Patients: len(m.patients), Rows: map[bot.RowState]map[string]int{}}
	first := func(to *time.Time, at time.Time) {
		if to.IsZero() || at.Before(*to) {
			*to = at
		}
	}
	for _, r := range m.live {
		if st.Rows[r.State] == nil {
			st.Rows[r.State] = map[string]int{}
		}
		st.Rows[r.State][r.Level.String()]++
		if r.State != bot.Snoozed {
			first(&st.OldestDue, r.DueAt)
		}
	}
	for _, channel := range m.waiting {
		for _, o := range channel {
			st.Outgoing++
			if !o.NotBefore.After(now) {
				first(&st.OldestOut, o.CreatedAt)
			}
		}
	}
	for _, p := range m.patients {
		if at := p.at; at != 0 && at <= now.UnixNano() {
			st.WakesDue++
			first(&st.OldestWake, time.Unix(0, at).UTC())
		}
	}
	return st, nil
}

func (m *Store) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// What its users ask beside the contract.

// Live are the rows that are not closed, by id. They are only to be read, and not
// while anything else uses the store.
func (m *Store) Live() map[string]*bot.Row { return m.live }

// Talk is somebody's open talk. It is only to be read: a commit puts another in its place.
func (m *Store) Talk(patient string) flows.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.patients[patient]; p != nil {
		return p.rec.Talk
	}
	return flows.State{}
}

// Size is how much a store holds.
type Size struct {
	Past int // journal entries, keys and audit entries: none with a watch
	Kept int // rows, messages and what finds them
	Due  int // times at which somebody is due
}

// Size counts what is held.
func (m *Store) Size() Size {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Size{Past: len(m.keys) + len(m.audit), Kept: len(m.rows) + len(m.out) + len(m.opened) + len(m.carriers), Due: len(m.due)}
	for _, p := range m.patients {
		s.Past += len(p.journal)
	}
	return s
}
