package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
	"lookout/flows/triage"
)

// readStatements are those that the main path uses; the desk's rarer questions
// are prepared as they come.
type readStatements struct {
	at, recordsAt, load, rows, due, seen, journal, row, outgoing, byCarrier, value *sql.Stmt
	saidUpTo, newSaid                                                              *sql.Stmt
}

const outgoingColumns = `id, state, fence, attempts, lease_until, unsettled, not_before, coalesce(carrier_id, ''), coalesce(code, ''), settled_at, message`

func (st *readStatements) prepare(ctx context.Context, db *sql.DB) error {
	for text, to := range map[string]**sql.Stmt{
		"SELECT patient FROM addresses WHERE service = ? AND channel = ? AND at = ? ORDER BY n": &st.at,
		`SELECT p.id, p.version, p.rowed, p.record FROM addresses a JOIN patients p ON p.id = a.patient
			WHERE a.service = ? AND a.channel = ? AND a.at = ? ORDER BY a.n`: &st.recordsAt,
		"SELECT id, version, rowed, record FROM patients WHERE id = ?":                          &st.load,
		"SELECT id, row FROM queue WHERE patient = ? AND state <> 'closed' ORDER BY n":          &st.rows,
		"SELECT id, next_wake FROM patients WHERE next_wake <= ? ORDER BY next_wake, n LIMIT ?": &st.due,
		"SELECT EXISTS (SELECT 1 FROM journal WHERE key = ?)":                                   &st.seen,
		"SELECT seq, entries FROM journal WHERE patient = ? AND seq > ? ORDER BY seq":           &st.journal,
		"SELECT id, row FROM queue WHERE id = ?":                                                &st.row,
		"SELECT " + outgoingColumns + " FROM outgoing WHERE id = ?":                             &st.outgoing,
		"SELECT " + outgoingColumns + " FROM outgoing WHERE carrier_id = ? ORDER BY n LIMIT 1":  &st.byCarrier,
		"SELECT n FROM said_upto": &st.saidUpTo,
		"SELECT j.n, j.patient, j.seq, p.service, j.entries FROM journal j JOIN patients p ON p.id = j.patient WHERE j.n > ? ORDER BY j.n LIMIT ?": &st.newSaid,
		"SELECT value FROM drawers WHERE drawer = ? AND key = ? AND (expires IS NULL OR expires > ?)":                                              &st.value,
	} {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("prepare %.40q: %w", text, err)
		}
		*to = stmt
	}
	return nil
}

// open refuses a store that is closed and a context that has ended.
func (s *Store) open(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("%w: the store is closed", bot.ErrUnavailable)
	}
	return unavailable(ctx.Err())
}

// PatientsAt lists who can be reached at an address.
func (s *Store) PatientsAt(ctx context.Context, service string, a bot.Address) ([]string, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.reads.at.QueryContext(ctx, service, a.Channel, s.blindAt(a))
	return collect(found, err, func(scan func(...any) error) (id string, err error) {
		err = scan(&id)
		return id, err
	})
}

// collect reads every line of a result.
func collect[T any](found *sql.Rows, err error, one func(scan func(...any) error) (T, error)) ([]T, error) {
	if err != nil {
		return nil, unavailable(err)
	}
	defer found.Close()
	var out []T
	for found.Next() {
		x, err := one(found.Scan)
		if err != nil {
			return nil, unavailable(err)
		}
		out = append(out, x)
	}
	return out, unavailable(found.Err())
}

// decode reads something's id and its JSON, from its place.
func decode[T any](s *Store, place func(id string) string) func(scan func(...any) error) (T, error) {
	return func(scan func(...any) error) (x T, err error) {
		var id string
		var text []byte
		if err := scan(&id, &text); err != nil {
			return x, err
		}
		return vault.Decode[T](s.vault, place(id), text)
	}
}

func (s *Store) scanRow(scan func(...any) error) (bot.Row, error) {
	return decode[bot.Row](s, vault.RowPlace)(scan)
}

// Load gives a patient's record as of the last commit.
func (s *Store) Load(ctx context.Context, patient string) (bot.Record, error) {
	if err := s.open(ctx); err != nil {
		return bot.Record{}, err
	}
	records, err := s.records(ctx, s.reads.load, patient)
	if err == nil && len(records) == 0 {
		err = bot.ErrNotFound
	}
	if err != nil {
		return bot.Record{}, err
	}
	return records[0], nil
}

// RecordsAt gives the records of who can be reached at an address.
func (s *Store) RecordsAt(ctx context.Context, service string, a bot.Address) ([]bot.Record, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s.records(ctx, s.reads.recordsAt, service, a.Channel, s.blindAt(a))
}

// records gives the records that a statement finds, with their rows.
func (s *Store) records(ctx context.Context, stmt *sql.Stmt, args ...any) ([]bot.Record, error) {
	found, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer found.Close()
	var out []bot.Record
	var haveRows []bool
	for found.Next() {
		var (
			rec     bot.Record
			id      string
			version int64
			rowed   bool
			text    sql.RawBytes
		)
		if err := found.Scan(&id, &version, &rowed, &text); err != nil {
			return nil, unavailable(err)
		}
		if rec, err = vault.Decode[bot.Record](s.vault, vault.RecordPlace(id), text); err != nil {
			return nil, unavailable(err)
		}
		rec.Version = version
		out, haveRows = append(out, rec), append(haveRows, rowed)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return nil, unavailable(err)
	}
	// Version and rows must be of one moment: a row that is written between two
	// statements would come with an older version, which a commit then refuses,
	// so that reading the version first is enough.
	for i := range out {
		if !haveRows[i] {
			continue
		}
		rows, err := s.reads.rows.QueryContext(ctx, out[i].Patient.ID)
		if out[i].Rows, err = collect(rows, err, s.scanRow); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Due lists patients whose earliest wake is at or before now.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]bot.Due, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.reads.due.QueryContext(ctx, millis(now), limit)
	return collect(found, err, func(scan func(...any) error) (d bot.Due, err error) {
		var ms int64
		err = scan(&d.Patient, &ms)
		d.At = time.UnixMilli(ms).UTC()
		return d, err
	})
}

// Seen says whether a change with this key was committed.
func (s *Store) Seen(ctx context.Context, key string) (bool, error) {
	if err := s.open(ctx); err != nil {
		return false, err
	}
	var seen bool
	err := s.reads.seen.QueryRowContext(ctx, key).Scan(&seen)
	return seen, unavailable(err)
}

// Journal gives a patient's entries above a sequence number.
func (s *Store) Journal(ctx context.Context, patient string, after int64, limit int) ([]bot.Entry, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.reads.journal.QueryContext(ctx, patient, after)
	if err != nil {
		return nil, unavailable(err)
	}
	defer found.Close()
	var out []bot.Entry
	for found.Next() {
		var last int64
		var text []byte
		if err := found.Scan(&last, &text); err != nil {
			return nil, unavailable(err)
		}
		entries, err := vault.Decode[[]bot.Entry](s.vault, vault.EntryPlace(patient), text)
		if err != nil {
			return nil, unavailable(err)
		}
		for i := range entries {
			entries[i].Seq = last - int64(len(entries)-1-i)
			if entries[i].Seq <= after {
				continue
			}
			if out = append(out, entries[i]); limit > 0 && len(out) == limit {
				return out, nil
			}
		}
	}
	return out, unavailable(found.Err())
}

// Row gives one row by id.
func (s *Store) Row(ctx context.Context, id string) (bot.Row, error) {
	if err := s.open(ctx); err != nil {
		return bot.Row{}, err
	}
	row, err := s.scanRow(s.reads.row.QueryRowContext(ctx, id).Scan)
	return row, unavailable(err)
}

// Queue lists rows.
func (s *Store) Queue(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = 500
	}
	var out []bot.Row
	skip := f.Skip
	for _, part := range s.parts(f) {
		if len(out) == f.Limit {
			break
		}
		if skip > 0 { // what the first part holds is left out before the second begins
			n, err := s.count(ctx, part)
			if err != nil {
				return nil, err
			}
			if n <= skip {
				skip -= n
				continue
			}
		}
		args := append(part.args, f.Limit-len(out), skip)
		found, err := s.read.QueryContext(ctx, part.list()+" LIMIT ? OFFSET ?", args...)
		rows, err := collect(found, err, s.scanQueued)
		if err != nil {
			return nil, err
		}
		out, skip = append(out, rows...), 0
	}
	return out, nil
}

// scanQueued reads a row of a list; what stands for it where it cannot be opened.
func (s *Store) scanQueued(scan func(...any) error) (bot.Row, error) {
	var known bot.Row
	var text []byte
	var due, opened, closed int64
	if err := scan(&known.ID, &text, &known.Service, &known.Patient, &known.State, &known.Level, &due, &opened, &closed); err != nil {
		return known, err
	}
	row, err := vault.Decode[bot.Row](s.vault, vault.RowPlace(known.ID), text)
	if err == nil {
		return row, nil
	}
	s.log.Error("a row of the queue cannot be opened: it is damaged, or sealed by a key that this process does not have", "row", known.ID)
	known.DueAt, known.OpenedAt, known.ClosedAt = fromMillis(due), fromMillis(opened), fromMillis(closed)
	return bot.UnreadableRow(known), nil
}

// Count counts rows.
func (s *Store) Count(ctx context.Context, f bot.QueueFilter) (int, error) {
	if err := s.open(ctx); err != nil {
		return 0, err
	}
	all := 0
	for _, part := range s.parts(f) {
		n, err := s.count(ctx, part)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

func (s *Store) count(ctx context.Context, part part) (n int, err error) {
	err = s.read.QueryRowContext(ctx, part.counted(), part.args...).Scan(&n)
	return n, unavailable(err)
}

// part is a stretch of the queue that has one order: rows that are not closed, or
// those that are.
type part struct {
	where, states, order string
	by                   string // the index, where SQLite would take another
	long                 bool
	args                 []any
}

// list and counted are its questions. Where a list may be long, the plus keeps SQLite
// from finding its rows by their state, after which it would have to sort them all.
func (p part) list() string {
	state := " AND state"
	if p.long {
		state = " AND +state"
	}
	return "SELECT id, row, service, patient, state, level, due, opened, closed FROM queue " + p.by + " WHERE " + p.where + state + p.states + " ORDER BY " + p.order
}
func (p part) counted() string {
	return "SELECT count(*) FROM queue WHERE " + p.where + " AND state" + p.states
}

// parts takes a filter apart. What it asks of one kind of row leaves the other out.
func (s *Store) parts(f bot.QueueFilter) []part {
	if len(f.States) == 0 {
		f.States = []bot.RowState{bot.Open, bot.Claimed}
	}
	live := part{where: "state <> 'closed'", order: "level DESC, due, opened, n"}
	closed := part{where: "state = 'closed'", states: " = 'closed'", order: "closed DESC, n DESC"}
	and := func(p *part, condition string, arg any) {
		p.where += " AND " + condition
		p.args = append(p.args, arg)
	}
	for _, p := range []*part{&live, &closed} {
		if f.Service != "" {
			and(p, "service = ?", f.Service)
		}
		if f.Concern != "" {
			and(p, "concern = ?", s.vault.Blind("concern", f.Concern))
		}
		if f.Patient != "" {
			and(p, "patient = ?", f.Patient)
		}
	}
	if f.Holder != "" {
		and(&live, "holder <> '' AND holder = ?", s.vault.Blind("holder", f.Holder))
		live.by = "INDEXED BY queue_holder"
	}
	if !f.DueBefore.IsZero() {
		and(&live, "due < ?", millis(f.DueBefore))
	}
	if !f.ClosedSince.IsZero() {
		and(&closed, "closed >= ?", millis(f.ClosedSince))
	}
	n := 0
	for _, state := range f.States {
		if state != bot.Closed {
			live.args = append(live.args, string(state))
			n++
		}
	}
	live.long = f.Holder == "" && slices.Contains(f.States, bot.Open)
	live.states = " IN (" + placeholders(n) + ")"
	var out []part
	if n > 0 && f.ClosedSince.IsZero() {
		out = append(out, live)
	}
	if slices.Contains(f.States, bot.Closed) && f.Holder == "" && f.DueBefore.IsZero() {
		out = append(out, closed)
	}
	return out
}

func (s *Store) scanOutgoing(scan func(...any) error) (bot.Outgoing, error) {
	var (
		o                           bot.Outgoing
		id                          string
		state, attempts             int
		fence, lease, from, settled int64
		unsettled                   bool
		carrier, code               string
		message                     []byte
	)
	if err := scan(&id, &state, &fence, &attempts, &lease, &unsettled, &from, &carrier, &code, &settled, &message); err != nil {
		return o, err
	}
	o, err := vault.Decode[bot.Outgoing](s.vault, vault.MessagePlace(id), message)
	if err != nil {
		return o, err
	}
	o.State, o.Fence, o.Attempts, o.Unsettled = states[state], fence, attempts, unsettled
	o.LeaseUntil, o.NotBefore, o.SettledAt = fromMillis(lease), fromMillis(from), fromMillis(settled)
	o.CarrierID, o.Code = carrier, code
	return o, nil
}

// Outgoing gives one message by our id.
func (s *Store) Outgoing(ctx context.Context, id string) (bot.Outgoing, error) {
	if err := s.open(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	o, err := s.scanOutgoing(s.reads.outgoing.QueryRowContext(ctx, id).Scan)
	return o, unavailable(err)
}

// OutgoingByCarrier gives one message by the carrier's id.
func (s *Store) OutgoingByCarrier(ctx context.Context, carrierID string) (bot.Outgoing, error) {
	if err := s.open(ctx); err != nil {
		return bot.Outgoing{}, err
	}
	o, err := s.scanOutgoing(s.reads.byCarrier.QueryRowContext(ctx, carrierID).Scan)
	return o, unavailable(err)
}

// Find looks people up for the desk.
func (s *Store) Find(ctx context.Context, service, query string, limit int) ([]bot.Patient, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	ids, err := s.findIDs(ctx, service, query, limit)
	if err != nil {
		return nil, err
	}
	out := make([]bot.Patient, 0, len(ids))
	for _, id := range ids {
		rec, err := s.Load(ctx, id)
		if errors.Is(err, bot.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Patient)
	}
	return out, nil
}

func (s *Store) findIDs(ctx context.Context, service, query string, limit int) ([]string, error) {
	id := func(scan func(...any) error) (id string, err error) { err = scan(&id); return id, err }
	q := bot.ParseSearch(query)
	switch {
	case q.BirthDate != "":
		found, err := s.read.QueryContext(ctx, "SELECT id FROM patients WHERE birth = ? AND service = ? ORDER BY n LIMIT ?", s.vault.Blind("birth", q.BirthDate), service, limit)
		return collect(found, err, id)
	case q.Digits != "":
		found, err := s.read.QueryContext(ctx, `SELECT id FROM patients WHERE nhs = ?1 AND service = ?2
			UNION SELECT patient FROM addresses WHERE service = ?2 AND channel = 'sms' AND at = ?3 LIMIT ?4`, s.vault.Blind("nhs", q.Digits), service, s.blindAt(bot.Address{Channel: "sms", At: q.Phone}), limit)
		return collect(found, err, id)
	case len(q.Words) == 0:
		return nil, nil
	case s.vault != nil:
		return s.findSealed(ctx, service, q.Words, limit)
	}
	// Every word must begin a part of her name.
	var where []string
	var args []any
	for _, w := range q.Words {
		where = append(where, "SELECT patient FROM names WHERE service = ? AND part >= ? AND part < ?")
		args = append(args, service, w, w+"\U0010FFFF")
	}
	found, err := s.read.QueryContext(ctx, strings.Join(where, " INTERSECT ")+" ORDER BY patient LIMIT ?", append(args, limit)...)
	return collect(found, err, id)
}

// findSealed finds people by the marks of what their names must begin with, and
// then opens the names of those, until it has enough.
func (s *Store) findSealed(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	query := "SELECT n.patient, c.card FROM names n JOIN cards c ON c.patient = n.patient WHERE n.service = ?1 AND n.part = ?2"
	args := []any{service}
	for i, w := range words {
		marks := s.vault.Begins(w)
		args = append(args, marks[len(marks)-1]) // the longest says most
		if i > 0 {
			query += fmt.Sprintf(" AND EXISTS (SELECT 1 FROM names WHERE service = ?1 AND part = ?%d AND patient = n.patient)", len(args))
		}
	}
	rows, err := s.read.QueryContext(ctx, query+" ORDER BY n.patient", args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var found []string
	for len(found) < limit && rows.Next() {
		var id string
		var card sql.RawBytes
		if err := rows.Scan(&id, &card); err != nil {
			return nil, unavailable(err)
		}
		parts, err := vault.Decode[[]string](s.vault, vault.CardPlace(id), card)
		if err != nil {
			return nil, unavailable(err)
		}
		if bot.NamedSo(parts, words) {
			found = append(found, id)
		}
	}
	return found, unavailable(rows.Err())
}

// Patients lists people by id.
func (s *Store) Patients(ctx context.Context, service, after string, limit int) ([]bot.Patient, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT id, record FROM patients WHERE service = ? AND id > ? ORDER BY id LIMIT ?", service, after, limit)
	return collect(found, err, func(scan func(...any) error) (bot.Patient, error) {
		rec, err := decode[bot.Record](s, vault.RecordPlace)(scan)
		return rec.Patient, err
	})
}

// AuditLog reads the audit, oldest first.
func (s *Store) AuditLog(ctx context.Context, after int64, limit int) ([]bot.AuditEntry, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT n, entry FROM audit WHERE n > ? ORDER BY n LIMIT ?", after, limit)
	return collect(found, err, func(scan func(...any) error) (e bot.AuditEntry, err error) {
		var n int64
		var text []byte
		if err := scan(&n, &text); err != nil {
			return e, err
		}
		e, err = vault.Decode[bot.AuditEntry](s.vault, vault.AuditPlace, text)
		e.Seq = n
		return e, err
	})
}

// Value gives a value that has not expired.
func (s *Store) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var kept []byte
	name := s.vault.ValueName(drawer, key)
	if err := s.reads.value.QueryRowContext(ctx, drawer, name, millis(now)).Scan(&kept); err != nil {
		return nil, unavailable(err)
	}
	_, value, err := s.vault.OpenValue(drawer, name, kept)
	return value, unavailable(err)
}

// Values gives every value of a drawer that has not expired.
func (s *Store) Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT key, value FROM drawers WHERE drawer = ? AND (expires IS NULL OR expires > ?)", drawer, millis(now))
	if err != nil {
		return nil, unavailable(err)
	}
	defer found.Close()
	out := make(map[string][]byte)
	for found.Next() {
		var name string
		var kept []byte
		if err := found.Scan(&name, &kept); err != nil {
			return nil, unavailable(err)
		}
		key, value, err := s.vault.OpenValue(drawer, name, kept)
		if err != nil {
			return nil, unavailable(err)
		}
		out[key] = value
	}
	return out, unavailable(found.Err())
}

// Stats counts what stands open.
func (s *Store) Stats(ctx context.Context, now time.Time) (bot.Stats, error) {
	st := bot.Stats{Rows: map[bot.RowState]map[string]int{}}
	if err := s.open(ctx); err != nil {
		return st, err
	}
	var oldestDue, oldestOut, oldestWake int64
	err := s.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM patients),
		(SELECT coalesce(min(due), 0) FROM queue WHERE state IN ('open', 'claimed') AND state <> 'closed'),
		(SELECT count(*) FROM outgoing WHERE state < 2),
		(SELECT coalesce(min(max(not_before, created)), 0) FROM outgoing WHERE state < 2 AND not_before <= ?1),
		(SELECT count(*) FROM patients WHERE next_wake <= ?1),
		(SELECT coalesce(min(next_wake), 0) FROM patients WHERE next_wake IS NOT NULL)`, millis(now)).
		Scan(&st.Patients, &oldestDue, &st.Outgoing, &oldestOut, &st.WakesDue, &oldestWake)
	if err != nil {
		return st, unavailable(err)
	}
	st.OldestDue, st.OldestOut, st.OldestWake = fromMillis(oldestDue), fromMillis(oldestOut), fromMillis(oldestWake)
	found, err := s.read.QueryContext(ctx, "SELECT state, level, count(*) FROM queue WHERE state <> 'closed' GROUP BY state, level")
	if err != nil {
		return st, unavailable(err)
	}
	defer found.Close()
	for found.Next() {
		var state string
		var level, n int
		if err := found.Scan(&state, &level, &n); err != nil {
			return st, unavailable(err)
		}
		if st.Rows[bot.RowState(state)] == nil {
			st.Rows[bot.RowState(state)] = map[string]int{}
		}
		st.Rows[bot.RowState(state)][triage.Level(level).String()] = n
	}
	return st, unavailable(found.Err())
}
