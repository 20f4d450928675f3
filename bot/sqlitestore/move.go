package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
)

var (
	_ bot.Portable    = (*Store)(nil)
	_ bot.Snapshotter = (*Store)(nil)
)

// snapshot is the file as it was at one moment: one connection inside a transaction
// that reads. While it is open, the log is not made shorter.
type snapshot struct{ *Store }

// Snapshot gives the file as it is now.
func (s *Store) Snapshot(ctx context.Context) (bot.Portable, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(s.path, true))
	if err != nil {
		return nil, unavailable(err)
	}
	db.SetMaxOpenConns(1)
	at := &Store{path: s.path, log: s.log, vault: s.vault, state: s.state, read: db}
	for _, text := range []string{"BEGIN", "SELECT count(*) FROM goose_db_version"} { // what is read first fixes the moment
		if err == nil {
			_, err = db.ExecContext(ctx, text)
		}
	}
	if err == nil {
		err = at.reads.prepare(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(unavailable(err), db.Close())
	}
	return snapshot{at}, nil
}

// Close gives the moment up.
func (s snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.read.Close()
}

// Everyone lists the ids of all people.
func (s *Store) Everyone(ctx context.Context, after string, limit int) ([]string, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT id FROM patients WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	return collect(found, err, func(scan func(...any) error) (id string, err error) { err = scan(&id); return id, err })
}

// Export gives everything of a patient.
func (s *Store) Export(ctx context.Context, patient string) (bot.Whole, error) {
	rec, err := s.Load(ctx, patient)
	if err != nil {
		return bot.Whole{}, err
	}
	w := bot.Whole{Version: rec.Version, Record: rec}
	w.Record.Version, w.Record.Rows = 0, nil
	rows, err := s.read.QueryContext(ctx, "SELECT id, row FROM queue WHERE patient = ?", patient)
	if w.Rows, err = collect(rows, err, s.scanRow); err != nil {
		return w, err
	}
	slices.SortFunc(w.Rows, func(a, b bot.Row) int { return byNumber(a.ID, b.ID, bot.RowMark) })
	if w.Entries, err = s.Journal(ctx, patient, 0, 0); err != nil {
		return w, err
	}
	keys, err := s.read.QueryContext(ctx, "SELECT key FROM journal WHERE patient = ? AND key IS NOT NULL ORDER BY key", patient)
	if w.Keys, err = collect(keys, err, func(scan func(...any) error) (key string, err error) { err = scan(&key); return key, err }); err != nil {
		return w, err
	}
	out, err := s.read.QueryContext(ctx, "SELECT "+outgoingColumns+" FROM outgoing WHERE id > ?1 || '-m' AND id < ?1 || '-n'", patient)
	if w.Messages, err = collect(out, err, s.scanOutgoing); err != nil {
		return w, err
	}
	slices.SortFunc(w.Messages, func(a, b bot.Outgoing) int { return byNumber(a.ID, b.ID, bot.MessageMark) })
	for _, a := range rec.Patient.Addresses {
		ids, err := s.PatientsAt(ctx, rec.Patient.Service, a)
		if err != nil {
			return w, err
		}
		w.Places = append(w.Places, slices.Index(ids, patient)+1)
	}
	return w, nil
}

// byNumber compares ids of one patient's rows or messages.
func byNumber(a, b, mark string) int {
	_, x, _ := bot.OwnerOf(a, mark)
	_, y, _ := bot.OwnerOf(b, mark)
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
}

// Lines whose order came from elsewhere are numbered within a band: addresses within the
// one of their place, messages within the one of their millisecond. Each takes the next
// number that is free there, whoever was first: no two can ever have one.
const (
	placeBits  = 32
	millisBits = 20
)

// Import keeps everything of a patient.
func (s *Store) Import(ctx context.Context, w bot.Whole) error {
	c := bot.Change{Record: w.Record, Rows: w.Rows, Send: w.Messages}
	if err := c.Check(); err != nil {
		return err
	}
	record, err := s.vault.Encode(vault.RecordPlace(w.Record.Patient.ID), &w.Record)
	if err != nil {
		return fmt.Errorf("%w: record: %w", bot.ErrInvalid, err)
	}
	return s.submit(ctx, func() error {
		bg := context.Background()
		p := &w.Record.Patient
		rowed := min(len(w.Rows), 1)
		done, err := s.write.ExecContext(bg, `INSERT INTO patients (id, service, version, next_wake, seq, rowed, record)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM patients WHERE id = ?1)`,
			p.ID, p.Service, w.Version, nextWake(w.Record.Wakes), len(w.Entries), rowed, record)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, bot.ErrConflict)
		}
		if err := s.putWho(bg, p, s.whoIs(p)); err != nil {
			return err
		}
		for i, a := range p.Addresses {
			if i >= len(w.Places) {
				break
			}
			place := int64(w.Places[i])
			_, err := s.write.ExecContext(bg, `UPDATE addresses SET n = (SELECT coalesce(max(n) + 1, ?5) FROM addresses WHERE n >= ?5 AND n < ?6)
				WHERE service = ?1 AND channel = ?2 AND at = ?3 AND patient = ?4`, p.Service, a.Channel, s.blindAt(a), p.ID, place<<placeBits, (place+1)<<placeBits)
			if err != nil {
				return err
			}
		}
		return errors.Join(s.importJournal(bg, &w), s.importRows(bg, w.Rows), s.importMessages(bg, w.Messages))
	})
}

// journalLine is how many imported entries stand in one line of the journal.
const journalLine = 50

func (s *Store) importJournal(ctx context.Context, w *bot.Whole) error {
	const line = "INSERT INTO journal (patient, seq, key, entries) VALUES (?, ?, ?, ?)"
	last := 0
	for part := range slices.Chunk(w.Entries, journalLine) {
		last += len(part)
		text, err := s.vault.Encode(vault.EntryPlace(w.Record.Patient.ID), part)
		if err != nil {
			return err
		}
		if _, err := s.write.ExecContext(ctx, line, w.Record.Patient.ID, last, nil, text); err != nil {
			return err
		}
	}
	none, err := s.vault.Encode(vault.EntryPlace(w.Record.Patient.ID), []bot.Entry{})
	if err != nil {
		return err
	}
	for _, key := range w.Keys { // lines without entries, before the first
		if _, err := s.write.ExecContext(ctx, line, w.Record.Patient.ID, 0, key, none); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) importRows(ctx context.Context, rows []bot.Row) error {
	for i := range rows {
		text, err := s.vault.Encode(vault.RowPlace(rows[i].ID), &rows[i])
		if err != nil {
			return err
		}
		if err := s.writeRow(ctx, &rows[i], text); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) importMessages(ctx context.Context, messages []bot.Outgoing) error {
	for i := range messages {
		o := &messages[i]
		text, err := s.vault.Encode(vault.MessagePlace(o.ID), o)
		if err != nil {
			return err
		}
		made := millis(o.CreatedAt)
		_, err = s.write.ExecContext(ctx, `INSERT INTO outgoing (n, id, channel, recipient, priority, not_before, created, state, fence, attempts, lease_until, unsettled,
			settled_at, carrier_id, code, message) VALUES ((SELECT coalesce(max(n) + 1, ?1) FROM outgoing WHERE n >= ?1 AND n < ?2),?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			made<<millisBits, (made+1)<<millisBits, o.ID, o.To.Channel, s.blindAt(o.To), int(o.Priority), millis(o.NotBefore), made, stateNumber(o.State), o.Fence,
			o.Attempts, millis(o.LeaseUntil), o.Unsettled, millis(o.SettledAt), nullable(o.CarrierID), nullable(o.Code), text)
		if err != nil {
			return err
		}
	}
	return nil
}

// Drawers lists the drawers that have values.
func (s *Store) Drawers(ctx context.Context) ([]string, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT DISTINCT drawer FROM drawers ORDER BY drawer")
	return collect(found, err, func(scan func(...any) error) (name string, err error) { err = scan(&name); return name, err })
}

// Drawer gives the values of a drawer, by key.
func (s *Store) Drawer(ctx context.Context, drawer string) ([]bot.StoredValue, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	found, err := s.read.QueryContext(ctx, "SELECT key, value, expires FROM drawers WHERE drawer = ?", drawer)
	all, err := collect(found, err, func(scan func(...any) error) (v bot.StoredValue, err error) {
		var name string
		var kept []byte
		var until sql.NullInt64
		if err := scan(&name, &kept, &until); err != nil {
			return v, err
		}
		if until.Valid {
			v.Expires = time.UnixMilli(until.Int64).UTC()
		}
		v.Key, v.Value, err = s.vault.OpenValue(drawer, name, kept)
		return v, err
	})
	slices.SortFunc(all, func(a, b bot.StoredValue) int { return cmp.Compare(a.Key, b.Key) })
	return all, err
}
