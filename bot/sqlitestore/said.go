package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"lookout/bot"
	"lookout/bot/vault"
)

// saidMark is a word of hers as it is entered, with the day.
type saidMark struct {
	Mark uint32 `json:"m"`
	Day  int64  `json:"d"`
}

// saidMarks are those of the words of messages, as JSON; nil: there are none.
func (s *Store) saidMarks(service string, entries []bot.Entry) ([]byte, error) {
	var marks []saidMark
	for day, words := range bot.SaidOn(entries) {
		for _, w := range words {
			marks = append(marks, saidMark{s.vault.Said(service, w), day})
		}
	}
	if len(marks) == 0 {
		return nil, nil
	}
	return json.Marshal(marks)
}

// putSaid enters marks, in the writer's transaction.
func (s *Store) putSaid(ctx context.Context, patient string, marks []byte) error {
	if marks == nil {
		return nil
	}
	_, err := s.stmt.putSaid.ExecContext(ctx, patient, marks)
	return err
}

// EnterSaid enters the words of all of her messages, from her journal.
func (s *Store) EnterSaid(ctx context.Context, patient string) error {
	var service string
	if err := s.read.QueryRowContext(ctx, "SELECT service FROM patients WHERE id = ?", patient).Scan(&service); err != nil {
		return unavailable(err)
	}
	entries, err := s.Journal(ctx, patient, 0, 0)
	if err != nil {
		return err
	}
	marks, err := s.saidMarks(service, entries)
	if err != nil || marks == nil {
		return err
	}
	return s.submit(ctx, func() error { return s.putSaid(context.Background(), patient, marks) })
}

// newSaidAtOnce is how many lines of the journal are entered in one of the writer's turns:
// whoever commits meanwhile waits a few milliseconds for it.
const newSaidAtOnce = 200

// EnterNewSaid enters the words of what was committed since the last line that was entered.
func (s *Store) EnterNewSaid(ctx context.Context) error {
	for {
		if n, err := s.enterNextSaid(ctx); err != nil || n < newSaidAtOnce {
			return err
		}
	}
}

// enterNextSaid enters the words of the next lines, and says how many those were. Read
// beside the writer, a line may be erased and its number given again before it is entered:
// then the last is not the one that was read, and all are read again.
func (s *Store) enterNextSaid(ctx context.Context) (int, error) {
	if err := s.open(ctx); err != nil {
		return 0, err
	}
	type line struct {
		n, seq  int64
		patient string
		marks   []byte
	}
	var from int64
	if err := s.reads.saidUpTo.QueryRowContext(ctx).Scan(&from); err != nil {
		return 0, unavailable(err)
	}
	found, err := s.reads.newSaid.QueryContext(ctx, from, newSaidAtOnce)
	lines, err := collect(found, err, func(scan func(...any) error) (l line, err error) {
		var service string
		var text sql.RawBytes
		if err := scan(&l.n, &l.patient, &l.seq, &service, &text); err != nil {
			return l, err
		}
		entries, err := vault.Decode[[]bot.Entry](s.vault, vault.EntryPlace(l.patient), text)
		if err != nil {
			return l, nil // a damaged line is told of where her record is read: here it must not end everybody's search
		}
		l.marks, err = s.saidMarks(service, entries)
		return l, err
	})
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	return len(lines), s.submit(ctx, func() error {
		bg := context.Background()
		for _, l := range lines {
			if err := s.putSaid(bg, l.patient, l.marks); err != nil {
				return err
			}
		}
		last := lines[len(lines)-1]
		_, err := s.stmt.saidUpTo.ExecContext(bg, from, last.n, last.patient, last.seq)
		return err
	})
}

// saidAnew enters what she has said under the marks of a store that is encrypted, in the
// writer's transaction.
func (s *Store) saidAnew(ctx context.Context, p *bot.Patient) error {
	rows, err := s.write.QueryContext(ctx, "SELECT entries FROM journal WHERE patient = ?", p.ID)
	entries, err := collect(rows, err, func(scan func(...any) error) ([]bot.Entry, error) {
		var text []byte
		if err := scan(&text); err != nil {
			return nil, err
		}
		return vault.Decode[[]bot.Entry](s.vault, vault.EntryPlace(p.ID), text)
	})
	if err != nil {
		return err
	}
	if _, err := s.write.ExecContext(ctx, "DELETE FROM said WHERE patient = (SELECT n FROM patients WHERE id = ?)", p.ID); err != nil {
		return err
	}
	for _, line := range entries {
		marks, err := s.saidMarks(p.Service, line)
		if err != nil {
			return err
		}
		if err := s.putSaid(ctx, p.ID, marks); err != nil {
			return err
		}
	}
	return nil
}

// manySaid is from how many people on it does not matter how many have said a word: another
// is asked for first.
const manySaid = 2000

// Said lists people by whom each of the words was said.
func (s *Store) Said(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if err := s.EnterNewSaid(ctx); err != nil {
		return nil, err
	}
	marks := make([]any, len(words))
	first, fewest := 0, manySaid+1
	for i, w := range words {
		marks[i] = s.vault.Said(service, w)
		var n int
		if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM said WHERE mark = ? LIMIT ?)", marks[i], manySaid).Scan(&n); err != nil {
			return nil, unavailable(err)
		}
		if n < fewest {
			first, fewest = i, n
		}
	}
	if fewest == 0 {
		return nil, nil
	}
	marks[0], marks[first] = marks[first], marks[0]
	query := "SELECT p.id FROM said w JOIN patients p ON p.n = w.patient WHERE w.mark = ?1 AND p.service = ?2"
	args := []any{marks[0], service, limit}
	for _, m := range marks[1:] {
		args = append(args, m)
		query += fmt.Sprintf(" AND EXISTS (SELECT 1 FROM said WHERE patient = w.patient AND mark = ?%d)", len(args))
	}
	found, err := s.read.QueryContext(ctx, query+" ORDER BY w.day DESC LIMIT ?3", args...)
	return collect(found, err, func(scan func(...any) error) (id string, err error) { err = scan(&id); return id, err })
}
