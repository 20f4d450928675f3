package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"lookout/bot"
	"lookout/bot/vault"
)

// resealAtOnce is how much is sealed anew in one transaction: others who write to
// the file wait so long.
const resealAtOnce = 64

// Reseal seals everything that is in the clear, or was sealed by an old key, with
// the primary one. The store must have been opened to be encrypted. What was cut
// short goes on when it is called again. told hears how many people are done.
//
// A file in the clear must be nobody else's meanwhile; one that is encrypted may
// be served.
func (s *Store) Reseal(ctx context.Context, told func(people int)) (vault.Resealed, error) {
	var done vault.Resealed
	if s.vault == nil {
		return done, fmt.Errorf("%w: the store was not opened to be encrypted", bot.ErrInvalid)
	}
	if err := s.resealPeople(ctx, &done, told); err != nil {
		return done, err
	}
	if err := s.resealValues(ctx, &done); err != nil {
		return done, err
	}
	if err := s.resealAudit(ctx, &done); err != nil {
		return done, err
	}
	return done, s.resealed(ctx)
}

func (s *Store) resealPeople(ctx context.Context, done *vault.Resealed, told func(people int)) error {
	for after := ""; ; {
		ids, err := s.Everyone(ctx, after, resealAtOnce)
		if err != nil || len(ids) == 0 {
			return err
		}
		people := 0
		err = s.submit(ctx, func() error {
			people = 0
			for _, id := range ids {
				n, err := s.resealOne(id)
				if err != nil {
					return err
				}
				if n > 0 {
					people++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		done.People += people
		done.Looked += len(ids)
		after = ids[len(ids)-1]
		if told != nil {
			told(done.Looked)
		}
	}
}

// resealOne seals what is kept of a patient anew, in the writer's transaction, and
// says how much it was.
func (s *Store) resealOne(id string) (int, error) {
	ctx := context.Background()
	var text []byte
	switch err := s.write.QueryRowContext(ctx, "SELECT record FROM patients WHERE id = ?", id).Scan(&text); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil // she was erased meanwhile
	case err != nil:
		return 0, err
	}
	n := 0
	rec, err := vault.Decode[bot.Record](s.vault, vault.RecordPlace(id), text)
	if err != nil {
		return 0, err
	}
	if !vault.Sealed(text) { // by what she is found is in the clear too
		for _, a := range rec.Patient.Addresses { // each keeps its place
			if _, err := s.write.ExecContext(ctx, "UPDATE addresses SET at = ?1 WHERE patient = ?2 AND channel = ?3 AND at = ?4", s.blindAt(a), id, a.Channel, a.At); err != nil {
				return 0, err
			}
		}
		if err := s.putWho(ctx, &rec.Patient, s.whoIs(&rec.Patient)); err != nil {
			return 0, err
		}
		if err := s.saidAnew(ctx, &rec.Patient); err != nil {
			return 0, err
		}
	}
	for _, x := range []struct {
		query, update string
		place         func(id string) string
	}{
		{"SELECT patient, card, patient FROM cards WHERE patient = ?1", "UPDATE cards SET card = ?1 WHERE patient = ?2", vault.CardPlace},
		{"SELECT n, entries, patient FROM journal WHERE patient = ?1", "UPDATE journal SET entries = ?1 WHERE n = ?2", vault.EntryPlace},
		{"SELECT id, row, id FROM queue WHERE patient = ?1", "UPDATE queue SET row = ?1, holder = coalesce(?3, holder), concern = coalesce(?4, concern) WHERE id = ?2", vault.RowPlace},
		{"SELECT id, message, id FROM outgoing WHERE id > ?1 || '-m' AND id < ?1 || '-n'", "UPDATE outgoing SET message = ?1, recipient = coalesce(?3, recipient) WHERE id = ?2", vault.MessagePlace},
		{"SELECT id, record, id FROM patients WHERE id = ?1", "UPDATE patients SET record = ?1 WHERE id = ?2", vault.RecordPlace}, // last: it says that all is done
	} {
		stale, err := s.stale(ctx, x.query, id)
		if err != nil {
			return n, err
		}
		for _, old := range stale {
			args := []any{nil, old.key}
			if args[0], err = s.vault.Again(x.place(old.whose), old.kept); err != nil {
				return n, err
			}
			if strings.Contains(x.update, "?3") {
				more, err := s.lookedUpBy(x.update, old)
				if err != nil {
					return n, err
				}
				args = append(args, more...)
			}
			if _, err := s.write.ExecContext(ctx, x.update, args...); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// kept is something as it is kept.
type kept struct {
	key   any
	kept  []byte
	whose string // the id in its place
}

// stale lists what must be sealed anew of a query for key, BLOB and id.
func (s *Store) stale(ctx context.Context, query string, args ...any) ([]kept, error) {
	rows, err := s.write.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []kept
	for rows.Next() {
		var k kept
		if err := rows.Scan(&k.key, &k.kept, &k.whose); err != nil {
			return nil, err
		}
		if !s.vault.Fresh(k.kept) {
			out = append(out, k)
		}
	}
	return out, rows.Err()
}

// lookedUpBy gives what a row or a message is looked up by, if that is in the
// clear too; nil leaves it as it is.
func (s *Store) lookedUpBy(update string, old kept) ([]any, error) {
	isRow := strings.Contains(update, "holder")
	switch {
	case vault.Sealed(old.kept) && isRow:
		return []any{nil, nil}, nil
	case vault.Sealed(old.kept):
		return []any{nil}, nil
	case isRow:
		row, err := vault.Decode[bot.Row](s.vault, vault.RowPlace(old.whose), old.kept)
		return []any{s.vault.Blind("holder", row.ClaimedBy), s.vault.Blind("concern", row.Concern)}, err
	}
	o, err := vault.Decode[bot.Outgoing](s.vault, vault.MessagePlace(old.whose), old.kept)
	return []any{s.blindAt(o.To)}, err
}

func (s *Store) resealValues(ctx context.Context, done *vault.Resealed) error {
	drawers, err := s.Drawers(ctx)
	if err != nil {
		return err
	}
	for _, drawer := range drawers {
		n := 0
		err := s.submit(ctx, func() error {
			n = 0
			bg := context.Background()
			stale, err := s.stale(bg, "SELECT key, value, coalesce(expires, 0) FROM drawers WHERE drawer = ?", drawer)
			if err != nil {
				return err
			}
			for _, old := range stale {
				name := old.key.(string)
				key, value, err := s.vault.OpenValue(drawer, name, old.kept)
				if err != nil {
					return err
				}
				name, sealed, err := s.vault.SealValue(drawer, key, value)
				if err != nil {
					return err
				}
				if _, err := s.write.ExecContext(bg, "UPDATE drawers SET key = ?1, value = ?2 WHERE drawer = ?3 AND key = ?4", name, sealed, drawer, old.key); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			return err
		}
		done.Values += n
	}
	return nil
}

// The triggers that keep the audit as it is, of migration 4. Sealing an entry anew
// changes none: its chain is made of what it says.
const (
	dropAuditStays = "DROP TRIGGER audit_stays"
	auditStays     = "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END"
)

// auditAtOnce is how many entries of the audit are sealed anew in one transaction.
const auditAtOnce = 2000

func (s *Store) resealAudit(ctx context.Context, done *vault.Resealed) error {
	for after, more := int64(0), true; more; {
		n, last := 0, after
		err := s.submit(ctx, func() error {
			n, last, more = 0, after, false // it may run again, where the first time was undone
			bg := context.Background()
			rows, err := s.write.QueryContext(bg, "SELECT n, entry FROM audit WHERE n > ? ORDER BY n LIMIT ?", after, auditAtOnce)
			if err != nil {
				return err
			}
			var stale []kept
			for rows.Next() {
				var k kept
				if err := rows.Scan(&last, &k.kept); err != nil {
					return errors.Join(err, rows.Close())
				}
				more = true
				if k.key = last; !s.vault.Fresh(k.kept) {
					stale = append(stale, k)
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
			if len(stale) > 0 {
				if err := s.resealEntries(bg, stale); err != nil {
					return err
				}
			}
			n = len(stale)
			return nil
		})
		if err != nil {
			return err
		}
		after = last
		done.Audit += n
	}
	return nil
}

func (s *Store) resealEntries(ctx context.Context, stale []kept) error {
	if _, err := s.write.ExecContext(ctx, dropAuditStays); err != nil {
		return err
	}
	for _, old := range stale {
		sealed, err := s.vault.Again(vault.AuditPlace, old.kept)
		if err != nil {
			return err
		}
		if _, err := s.write.ExecContext(ctx, "UPDATE audit SET entry = ?1 WHERE n = ?2", sealed, old.key); err != nil {
			return err
		}
	}
	_, err := s.write.ExecContext(ctx, auditStays)
	return err
}

// notSealed counts what is in the clear.
var notSealed = func() string {
	var all []string
	for _, x := range []string{"patients WHERE substr(record", "journal WHERE substr(entries", "queue WHERE substr(row", "outgoing WHERE substr(message", "audit WHERE substr(entry", "drawers WHERE substr(value"} {
		all = append(all, fmt.Sprintf("(SELECT count(*) FROM %s, 1, %d) <> CAST(?1 AS BLOB))", x, len(vault.Mark)))
	}
	return "SELECT " + strings.Join(all, " + ")
}()

// resealed ends a first encryption: it looks for what is still in the clear, says
// that there is nothing, and has the file written anew, so that no old page is left.
func (s *Store) resealed(ctx context.Context) error {
	if s.state.Kept != vault.Begun {
		return nil
	}
	whole := vault.State{Kept: vault.Whole, Keyset: s.state.Keyset}
	err := s.submit(ctx, func() error {
		bg := context.Background()
		var left int
		if err := s.write.QueryRowContext(bg, notSealed, []byte(vault.Mark)).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d things are in the clear again: somebody else has written to the file: stop every lookout, and run this again", left)
		}
		return setState(bg, s.write, whole)
	})
	if err != nil {
		return err
	}
	s.state = whole
	// Its copy of the file goes to the disk: it may be larger than the memory.
	return s.alone(ctx, "PRAGMA temp_store = FILE", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
}

// alone runs statements that no transaction may be around.
func (s *Store) alone(ctx context.Context, statements ...string) error {
	one, err := s.write.Conn(ctx) // the writer has nothing to do: nobody else writes
	if err != nil {
		return unavailable(err)
	}
	defer one.Close()
	for _, text := range statements {
		if _, err := one.ExecContext(ctx, text); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// probe finds out whether somebody else has the file open: a connection that wants
// it for itself gets it only when there is no other.
func probe(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil // nobody can
	}
	q := url.Values{"_pragma": {"busy_timeout(500)", "locking_mode(EXCLUSIVE)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, text := range []string{"BEGIN EXCLUSIVE", "ROLLBACK"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return errors.New("another process has the file open: stop every lookout while it is encrypted")
		}
	}
	return nil
}
