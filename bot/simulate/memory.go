package simulate

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lookout/bot"
	"lookout/flows"
)

// memory is a bot.Store in memory. It keeps the store's contract (package
// bot/storetest) but for the one promise that matters: nothing survives the
// process. That is why it lives here and has no exported name: nobody can serve
// patients from it.
//
// With watch set it hands each change over after it was committed and forgets
// what is past: journals, keys, audits, closed rows, settled messages. So it grows
// with patients, and not with days.
type memory struct {
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

func newMemory(watch func(bot.Change)) *memory {
	return &memory{kept: &kept{watch: watch, patients: map[string]*person{}, keys: map[string]string{}, addresses: map[place][]string{}, rows: map[string]*bot.Row{},
		live: map[string]*bot.Row{}, opened: map[string]int{}, out: map[string]*message{}, waiting: map[string]map[string]*message{}, carriers: map[string]string{}, drawers: map[string]map[string]value{}}}
}

var _ bot.Store = (*memory)(nil)

// lock takes the store, unless it is closed or the caller has given up.
func (m *memory) lock(ctx context.Context) error {
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

func (m *memory) PatientsAt(ctx context.Context, service string, at bot.Address) ([]string, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return slices.Clone(m.addresses[place{service, at.Channel, at.At}]), nil
}

func (m *memory) Load(ctx context.Context, patient string) (bot.Record, error) {
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

func (m *memory) Commit(ctx context.Context, c bot.Change) error {
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
func (m *memory) move(p *person, now *bot.Record) {
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

// putRows writes rows, and lets her record list those that are not closed.
func (m *memory) putRows(p *person, rows []bot.Row) {
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

// settled takes a message out of the outbox; one whose fate is known is forgotten
// where nothing past is kept, but for the last that did not arrive, which may go
// again.
func (m *memory) settled(o *message) {
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

func (m *memory) drop(o *message) {
	delete(m.out, o.ID)
	delete(m.carriers, o.CarrierID)
}

func (m *memory) Due(ctx context.Context, now time.Time, limit int) ([]bot.Due, error) {
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

// nextDue is when somebody is due next; false: nobody ever.
func (m *memory) nextDue() (time.Time, bool) {
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

func (m *memory) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
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

func (m *memory) Settle(ctx context.Context, settlements ...bot.Settlement) error {
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

func (m *memory) Outgoing(ctx context.Context, id string) (bot.Outgoing, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	defer m.mu.Unlock()
	if o := m.out[id]; o != nil {
		return o.Outgoing, nil
	}
	return bot.Outgoing{}, bot.ErrNotFound
}

func (m *memory) OutgoingByCarrier(ctx context.Context, carrierID string) (bot.Outgoing, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	defer m.mu.Unlock()
	if o := m.out[m.carriers[carrierID]]; o != nil {
		return o.Outgoing, nil
	}
	return bot.Outgoing{}, bot.ErrNotFound
}

// chosen lists the rows that a filter means, in the queue's order.
func (m *memory) chosen(f bot.QueueFilter) []bot.Row {
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

func (m *memory) Queue(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	rows := m.chosen(f)
	rows = rows[min(f.Skip, len(rows)):]
	return rows[:min(cmp.Or(f.Limit, 500), len(rows))], nil
}

func (m *memory) Count(ctx context.Context, f bot.QueueFilter) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return len(m.chosen(f)), nil
}

func (m *memory) Row(ctx context.Context, id string) (bot.Row, error) {
	if err := m.lock(ctx); err != nil {
		return bot.Row{}, err
	}
	defer m.mu.Unlock()
	if r := m.rows[id]; r != nil {
		return *r, nil
	}
	return bot.Row{}, bot.ErrNotFound
}

func (m *memory) Journal(ctx context.Context, patient string, after int64, limit int) ([]bot.Entry, error) {
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

func (m *memory) Seen(ctx context.Context, key string) (bool, error) {
	if err := m.lock(ctx); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	_, seen := m.keys[key]
	return seen, nil
}

// sorted lists the ids of all patients in order.
func (m *memory) sorted() []string {
	if m.ids == nil {
		for id := range m.patients {
			m.ids = append(m.ids, id)
		}
		slices.Sort(m.ids)
	}
	return m.ids
}

func (m *memory) Find(ctx context.Context, service, query string, limit int) ([]bot.Patient, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	want := bot.ParseSearch(query)
	var out []bot.Patient
	for _, id := range m.sorted() {
		p := &m.patients[id].rec.Patient
		if len(out) < limit && p.Service == service && meant(p, want) {
			out = append(out, *p)
		}
	}
	return out, nil
}

// meant says whether somebody is whom a search means.
func meant(p *bot.Patient, want bot.Search) bool {
	switch {
	case want.BirthDate != "":
		return p.BirthDate == want.BirthDate
	case want.Digits != "":
		return p.NHSNumber == want.Digits || slices.ContainsFunc(p.Addresses, func(a bot.Address) bool { return a.At == want.Phone })
	}
	parts := bot.NameParts(p.GivenName + " " + p.FamilyName)
	for _, word := range want.Words {
		if !slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, word) }) {
			return false
		}
	}
	return len(want.Words) > 0
}

func (m *memory) Patients(ctx context.Context, service, after string, limit int) ([]bot.Patient, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	ids := m.sorted()
	i, found := slices.BinarySearch(ids, after)
	if found {
		i++
	}
	var out []bot.Patient
	for _, id := range ids[i:] {
		if p := m.patients[id]; p.rec.Patient.Service == service && len(out) < limit {
			clone := p.rec.Clone()
			out = append(out, clone.Patient)
		}
	}
	return out, nil
}

func (m *memory) Erase(ctx context.Context, patient string, version int64, entry bot.AuditEntry) error {
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

func (m *memory) keepAudit(entries []bot.AuditEntry) {
	for _, e := range entries {
		e.Seq = int64(len(m.audit) + 1)
		m.audit = append(m.audit, e)
	}
}

func (m *memory) Audit(ctx context.Context, entries ...bot.AuditEntry) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.watch == nil {
		m.keepAudit(entries)
	}
	return nil
}

func (m *memory) AuditLog(ctx context.Context, after int64, limit int) ([]bot.AuditEntry, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	rest := m.audit[min(int(max(after, 0)), len(m.audit)):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (m *memory) PutValue(ctx context.Context, drawer, key string, data []byte, expires time.Time) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.drawers[drawer] == nil {
		m.drawers[drawer] = map[string]value{}
	}
	m.drawers[drawer][key] = value{slices.Clone(data), expires}
	return nil
}

func (v value) gone(now time.Time) bool { return !v.expires.IsZero() && !v.expires.After(now) }

func (m *memory) value(drawer, key string, now time.Time) ([]byte, error) {
	v, there := m.drawers[drawer][key]
	if !there || v.gone(now) {
		return nil, bot.ErrNotFound
	}
	return slices.Clone(v.data), nil
}

func (m *memory) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.value(drawer, key, now)
}

func (m *memory) TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
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

func (m *memory) Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error) {
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

func (m *memory) DeleteValue(ctx context.Context, drawer, key string) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.drawers[drawer], key)
	return nil
}

func (m *memory) Sweep(ctx context.Context, now time.Time) (int, error) {
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

func (m *memory) Stats(ctx context.Context, now time.Time) (bot.Stats, error) {
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

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// What the simulation asks its own store beside the contract.

// talk is somebody's open talk. It is only to be read: a commit puts another in its place.
func (m *memory) talk(patient string) flows.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.patients[patient]; p != nil {
		return p.rec.Talk
	}
	return flows.State{}
}

// idle says that nothing waits to be sent.
func (m *memory) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.waiting[channel]) == 0
}

// nextOut is when a message that waits may leave.
func (m *memory) nextOut(now time.Time) (time.Time, bool) {
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
