package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lookout/bot"
	"lookout/bot/vault"
)

// job is one caller's writing. run executes statements on the writer's
// connection inside a transaction. An error that is a code of package bot means
// that it wrote nothing; any other means that it may have written in part.
type job struct {
	run  func() error
	err  error
	done chan struct{}
}

// maxGroup bounds a transaction: long enough to share the fsync, short enough
// that nobody waits long.
const maxGroup = 256

// submit hands a job to the writer and waits until it is durable. A context that
// ends before the job is handed over undoes it; after that it is waited for,
// because its outcome must be known.
func (s *Store) submit(ctx context.Context, run func() error) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	if s.jobs == nil {
		return fmt.Errorf("%w: a snapshot is not written to", bot.ErrInvalid)
	}
	j := &job{run: run, done: make(chan struct{})}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fmt.Errorf("%w: the store is closed", bot.ErrUnavailable)
	}
	select {
	case s.jobs <- j:
		s.mu.RUnlock()
	case <-ctx.Done():
		s.mu.RUnlock()
		return unavailable(ctx.Err())
	}
	<-j.done
	return unavailable(j.err)
}

// tryAgain is how long a file that took nothing is left alone before it is tried, should
// nobody else.
const tryAgain = 500 * time.Millisecond

// writer takes what waits, makes it durable as one transaction, and answers. A file that
// has taken nothing it tries until it does.
func (s *Store) writer() {
	defer close(s.done)
	again := time.NewTicker(tryAgain)
	defer again.Stop()
	group := make([]*job, 0, maxGroup)
	for {
		var first *job
		select {
		case j, ok := <-s.jobs:
			if !ok {
				return
			}
			first = j
		case <-again.C:
			if s.Refusal() != nil && s.transact([]*job{{run: s.probe}}) == nil {
				s.refusal.Store(nil)
			}
			continue
		}
		group = append(group[:0], first)
		runtime.Gosched() // whoever is about to hand something over shares the fsync
	gather:
		for len(group) < maxGroup {
			select {
			case j, ok := <-s.jobs:
				if !ok {
					break gather
				}
				group = append(group, j)
			default:
				break gather
			}
		}
		if err := s.transact(group); err != nil {
			// Something failed that is not a plain answer: each on its own, then.
			for _, j := range group {
				if err := s.transact([]*job{j}); err != nil {
					j.err = err
					s.refused(err)
				}
			}
		}
		for _, j := range group {
			close(j.done)
		}
	}
}

// troubles are the answers of SQLite that say that the file itself takes nothing, whatever
// is to be written, in words for whoever runs lookout. The kernel says of a full disk what
// the first is for; of a quota and of a limit on the size of files it says something else,
// for which SQLite has the second.
var troubles = map[int]string{
	sqlite3.SQLITE_FULL:     "the disk is full",
	sqlite3.SQLITE_IOERR:    "the disk is full, or gives errors",
	sqlite3.SQLITE_READONLY: "the file can only be read",
	sqlite3.SQLITE_CORRUPT:  "the file is damaged",
}

// refused keeps in mind why the file took nothing.
func (s *Store) refused(err error) {
	var said *sqlite.Error
	if !errors.As(err, &said) {
		return
	}
	if why := troubles[said.Code()&0xff]; why != "" {
		s.refusal.Store(&why)
	}
}

// Refusal says why the file takes no change, as the last one found that could not be
// written; nil: it takes them. It is forgotten only when there is room for more than one
// change, and not when some small one finds a place.
func (s *Store) Refusal() error {
	if why := s.refusal.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// probeSize is what must find room before a file is trusted again: some changes.
const probeSize = 256 << 10

// probe writes something of that size and takes it out again. What is taken out is
// overwritten (secure_delete), so that all of it must find room in the log.
func (s *Store) probe() error {
	bg := context.Background()
	if _, err := s.stmt.putValue.ExecContext(bg, "probe", "", make([]byte, probeSize), nil); err != nil {
		return err
	}
	_, err := s.stmt.deleteValue.ExecContext(bg, "probe", "")
	return err
}

// transact runs jobs as one transaction. An error means that nothing was kept.
func (s *Store) transact(group []*job) error {
	ctx := context.Background()
	if _, err := s.stmt.begin.ExecContext(ctx); err != nil {
		return err
	}
	for _, j := range group {
		j.err = j.run()
		if j.err != nil && !plain(j.err) {
			err := j.err
			j.err = nil
			if _, undo := s.write.ExecContext(ctx, "ROLLBACK"); undo != nil && !strings.Contains(undo.Error(), "no transaction is active") {
				return errors.Join(err, undo)
			}
			return err
		}
	}
	if _, err := s.stmt.commit.ExecContext(ctx); err != nil {
		// A full disk may have rolled it back already.
		s.write.ExecContext(ctx, "ROLLBACK")
		return err
	}
	return nil
}

// plain says that an error is an answer of a job that wrote nothing.
func plain(err error) bool {
	return errors.Is(err, bot.ErrConflict) || errors.Is(err, bot.ErrDuplicate) || errors.Is(err, bot.ErrNotFound)
}

// statements are those of the writer's connection.
type statements struct {
	begin, commit                                          *sql.Stmt
	updatePatient, movePatient, insertPatient              *sql.Stmt
	seen, setWho                                           *sql.Stmt
	insertJournal, putRow, insertOutgoing, cancelOutgoing  *sql.Stmt
	dropAddresses, putAddress, dropNames, putName, putCard *sql.Stmt
	claimable, claim, putOff                               *sql.Stmt
	settle, settleCarrier, receipt                         *sql.Stmt
	insertAudit, putValue, value, deleteValue, sweep       *sql.Stmt
	putSaid, saidUpTo                                      *sql.Stmt
}

const (
	whatChanges = "version = ?2 + 1, next_wake = ?3, seq = seq + ?4, rowed = rowed | ?5, record = ?6"
	keyIsNew    = "(?7 IS NULL OR NOT EXISTS (SELECT 1 FROM journal WHERE key = ?7))"
)

func (st *statements) prepare(ctx context.Context, db *sql.DB) error {
	for text, to := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &st.begin,
		"COMMIT":          &st.commit,
		// The guard: nothing is written unless version and key allow it. The first is
		// for the many changes after which she is found as before.
		"UPDATE patients SET " + whatChanges + " WHERE id = ?1 AND version = ?2 AND who = ?8 AND " + keyIsNew:  &st.updatePatient,
		"UPDATE patients SET " + whatChanges + " WHERE id = ?1 AND version = ?2 AND who <> ?8 AND " + keyIsNew: &st.movePatient,
		`INSERT INTO patients (id, service, version, next_wake, seq, rowed, record)
			SELECT ?1, ?2, 1, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM patients WHERE id = ?1) AND ` + keyIsNew: &st.insertPatient,
		"SELECT EXISTS (SELECT 1 FROM journal WHERE key = ?)":                                                 &st.seen,
		"UPDATE patients SET who = ?2, nhs = ?3, birth = ?4 WHERE id = ?1":                                    &st.setWho,
		"INSERT INTO journal (patient, seq, key, entries) SELECT id, seq, ?2, ?3 FROM patients WHERE id = ?1": &st.insertJournal,
		`INSERT INTO queue (id, service, patient, state, level, due, opened, closed, row, holder, concern) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)
			ON CONFLICT (id) DO UPDATE SET state = ?4, level = ?5, due = ?6, opened = ?7, closed = ?8, row = ?9, holder = ?10, concern = ?11`: &st.putRow,
		`INSERT INTO outgoing (id, channel, recipient, priority, not_before, created, state, message) VALUES (?,?,?,?,?,?,0,?)`: &st.insertOutgoing,
		"UPDATE outgoing SET state = 6 WHERE id = ? AND state = 0":                                                              &st.cancelOutgoing,
		// An address that stays hers keeps its place in the order of who came to have it.
		`DELETE FROM addresses WHERE patient = ?1 AND (service <> ?3 OR NOT EXISTS
			(SELECT 1 FROM json_each(?2) WHERE value ->> 'channel' = addresses.channel AND value ->> 'at' = addresses.at))`: &st.dropAddresses,
		`INSERT INTO addresses (service, channel, at, patient) SELECT ?1, ?2, ?3, ?4
			WHERE NOT EXISTS (SELECT 1 FROM addresses WHERE service = ?1 AND channel = ?2 AND at = ?3 AND patient = ?4)`: &st.putAddress,
		"INSERT INTO cards (patient, card) VALUES (?1, ?2) ON CONFLICT (patient) DO UPDATE SET card = ?2": &st.putCard,
		"DELETE FROM names WHERE patient = ?":                                 &st.dropNames,
		"INSERT OR IGNORE INTO names (service, part, patient) VALUES (?,?,?)": &st.putName,
		// What may leave: due, not leased, nothing of the same recipient on its
		// way, and nothing of hers that should go before it.
		`SELECT o.n, o.id, o.fence, o.attempts, o.unsettled, o.state, o.not_before, o.message FROM outgoing o
			WHERE o.channel = ?1 AND o.state < 2 AND o.not_before <= ?2 AND o.lease_until <= ?2
			AND NOT EXISTS (SELECT 1 FROM outgoing e WHERE e.channel = ?1 AND e.recipient = o.recipient AND e.state < 2 AND e.n <> o.n
				AND (e.lease_until > ?2 OR (e.not_before <= ?2 AND (e.priority < o.priority OR (e.priority = o.priority AND e.n < o.n)))))
			ORDER BY o.priority, o.n LIMIT ?3`: &st.claimable,
		`UPDATE outgoing SET state = 1, fence = fence + 1, attempts = attempts + 1, lease_until = ?2, unsettled = ?3 WHERE n = ?1`: &st.claim,
		"UPDATE outgoing SET not_before = ?2 WHERE n = ?1":                                                                         &st.putOff,
		`UPDATE outgoing SET state = ?3, carrier_id = coalesce(?4, carrier_id), code = coalesce(?5, code), settled_at = ?6,
			not_before = CASE WHEN ?3 = 0 THEN ?7 ELSE not_before END, unsettled = ?8, lease_until = 0
			WHERE id = ?1 AND fence = ?2 AND state = 1`: &st.settle,
		"UPDATE outgoing SET carrier_id = ?3 WHERE id = ?1 AND fence = ?2 AND carrier_id IS NULL AND ?3 IS NOT NULL": &st.settleCarrier,
		`UPDATE outgoing SET state = ?2, carrier_id = coalesce(carrier_id, ?3), code = coalesce(?4, code), settled_at = ?5, lease_until = 0, unsettled = 0
			WHERE id = ?1 AND (state < 2 OR (state = 2 AND ?2 > 2))`: &st.receipt,
		`INSERT INTO said (patient, mark, day) SELECT p.n, j.value ->> 'm', j.value ->> 'd' FROM json_each(?2) j, patients p WHERE p.id = ?1
			ON CONFLICT (patient, mark) DO UPDATE SET day = excluded.day WHERE excluded.day > day`: &st.putSaid,
		"UPDATE said_upto SET n = ?2 WHERE n = ?1 AND EXISTS (SELECT 1 FROM journal WHERE n = ?2 AND patient = ?3 AND seq = ?4)": &st.saidUpTo,
		"INSERT INTO audit (entry) VALUES (?)": &st.insertAudit,
		"INSERT INTO drawers (drawer, key, value, expires) VALUES (?1,?2,?3,?4) ON CONFLICT (drawer, key) DO UPDATE SET value = ?3, expires = ?4": &st.putValue,
		"SELECT value FROM drawers WHERE drawer = ? AND key = ? AND (expires IS NULL OR expires > ?)":                                             &st.value,
		"DELETE FROM drawers WHERE drawer = ? AND key = ?":                                                                                        &st.deleteValue,
		"DELETE FROM drawers WHERE expires <= ?":                                                                                                  &st.sweep,
	} {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("prepare %.40q: %w", text, err)
		}
		*to = stmt
	}
	return nil
}

// states numbers the delivery states in the order in which they may move.
var states = []bot.OutState{bot.OutPending, bot.OutSending, bot.OutSent, bot.OutDelivered, bot.OutUndelivered, bot.OutFailed, bot.OutCancelled}

func stateNumber(s bot.OutState) int { return slices.Index(states, s) }

// Commit makes a change durable, whole.
func (s *Store) Commit(ctx context.Context, c bot.Change) error {
	if err := c.Check(); err != nil {
		return err
	}
	p := &c.Record.Patient
	// All encoding and sealing happens here, on the caller's time.
	record, err := s.vault.Encode(vault.RecordPlace(p.ID), &c.Record)
	if err != nil {
		return fmt.Errorf("%w: record: %w", bot.ErrInvalid, err)
	}
	entries, err := s.vault.Encode(vault.EntryPlace(p.ID), c.Entries)
	if err != nil {
		return fmt.Errorf("%w: entries: %w", bot.ErrInvalid, err)
	}
	rows := make([][]byte, len(c.Rows))
	for i := range c.Rows {
		if rows[i], err = s.vault.Encode(vault.RowPlace(c.Rows[i].ID), &c.Rows[i]); err != nil {
			return fmt.Errorf("%w: row: %w", bot.ErrInvalid, err)
		}
	}
	sends := make([][]byte, len(c.Send))
	for i := range c.Send {
		if sends[i], err = s.vault.Encode(vault.MessagePlace(c.Send[i].ID), &c.Send[i]); err != nil {
			return fmt.Errorf("%w: outgoing: %w", bot.ErrInvalid, err)
		}
	}
	audit := make([][]byte, len(c.Audit))
	for i := range c.Audit {
		if audit[i], err = s.vault.Encode(vault.AuditPlace, &c.Audit[i]); err != nil {
			return fmt.Errorf("%w: audit entry: %w", bot.ErrInvalid, err)
		}
	}
	who := s.whoIs(p)
	recipients := make([]string, len(c.Send))
	for i := range c.Send {
		recipients[i] = s.blindAt(c.Send[i].To)
	}
	return s.submit(ctx, func() error {
		bg := context.Background()
		key := nullable(c.Key)
		moved, err := s.guard(bg, &c, record, key, who)
		if err != nil {
			return err
		}
		if len(c.Entries) > 0 || c.Key != "" {
			if _, err := s.stmt.insertJournal.ExecContext(bg, p.ID, key, entries); err != nil {
				return err
			}
		}
		for i := range c.Rows {
			r := &c.Rows[i]
			if err := s.writeRow(bg, r, rows[i]); err != nil {
				return err
			}
		}
		for i := range c.Send {
			o := &c.Send[i]
			if _, err := s.stmt.insertOutgoing.ExecContext(bg, o.ID, o.To.Channel, recipients[i], int(o.Priority), millis(o.NotBefore), millis(o.CreatedAt), sends[i]); err != nil {
				return err
			}
		}
		for _, id := range c.Cancel {
			if _, err := s.stmt.cancelOutgoing.ExecContext(bg, id); err != nil {
				return err
			}
		}
		for _, text := range audit {
			if _, err := s.stmt.insertAudit.ExecContext(bg, text); err != nil {
				return err
			}
		}
		if !moved {
			return nil
		}
		return s.putWho(bg, p, who)
	})
}

// guard writes her record if version and key allow it, before anything else is
// written. moved says that she is found by something else than before.
func (s *Store) guard(ctx context.Context, c *bot.Change, record []byte, key any, who string) (moved bool, err error) {
	rowed := 0
	if len(c.Rows) > 0 {
		rowed = 1
	}
	wrote := func(stmt *sql.Stmt, args ...any) bool {
		if err != nil {
			return false
		}
		var done sql.Result
		if done, err = stmt.ExecContext(ctx, args...); err != nil {
			return false
		}
		var n int64
		n, err = done.RowsAffected()
		return n == 1
	}
	id, wake := c.Record.Patient.ID, nextWake(c.Record.Wakes)
	if c.Base == 0 {
		if wrote(s.stmt.insertPatient, id, c.Record.Patient.Service, wake, len(c.Entries), rowed, record, key) {
			return true, nil
		}
	} else {
		args := []any{id, c.Base, wake, len(c.Entries), rowed, record, key, who}
		if wrote(s.stmt.updatePatient, args...) {
			return false, nil
		}
		if wrote(s.stmt.movePatient, args...) {
			return true, nil
		}
	}
	if err == nil {
		err = s.whyNot(ctx, c.Key)
	}
	return false, err
}

// writeRow writes a row as it stands.
func (s *Store) writeRow(ctx context.Context, r *bot.Row, text []byte) error {
	_, err := s.stmt.putRow.ExecContext(ctx, r.ID, r.Service, r.Patient, string(r.State), int(r.Level), millis(r.DueAt), millis(r.OpenedAt), millis(r.ClosedAt), text,
		s.vault.Blind("holder", r.ClaimedBy), s.vault.Blind("concern", r.Concern))
	return err
}

// whyNot tells a duplicate from a conflict, after the guard let nothing through.
func (s *Store) whyNot(ctx context.Context, key string) error {
	if key != "" {
		var seen bool
		if err := s.stmt.seen.QueryRowContext(ctx, key).Scan(&seen); err != nil {
			return err
		}
		if seen {
			return bot.ErrDuplicate
		}
	}
	return bot.ErrConflict
}

// blindAt stands for where somebody can be reached.
func (s *Store) blindAt(a bot.Address) string {
	if s.vault == nil {
		return a.At
	}
	return s.vault.Blind("at", a.Channel+"\x00"+a.At)
}

// whoIs sums up by what she is found, so that the tables of names and addresses
// are written only when that changes.
func (s *Store) whoIs(p *bot.Patient) string {
	var b strings.Builder
	b.WriteString(p.GivenName + "\x00" + p.FamilyName + "\x00" + p.NHSNumber + "\x00" + p.BirthDate)
	for _, a := range p.Addresses {
		b.WriteString("\x00" + a.Channel + "\x00" + a.At)
	}
	return s.vault.Blind("who", b.String())
}

func (s *Store) putWho(ctx context.Context, p *bot.Patient, who string) error {
	parts := bot.NameParts(p.GivenName + " " + p.FamilyName)
	if s.vault != nil {
		card, err := s.vault.Encode(vault.CardPlace(p.ID), parts)
		if err != nil {
			return err
		}
		if _, err := s.stmt.putCard.ExecContext(ctx, p.ID, card); err != nil {
			return err
		}
		var marks []string
		for _, part := range parts {
			marks = append(marks, s.vault.Begins(part)...)
		}
		parts = marks
	}
	if _, err := s.stmt.setWho.ExecContext(ctx, p.ID, who, nullable(s.vault.Blind("nhs", p.NHSNumber)), nullable(s.vault.Blind("birth", p.BirthDate))); err != nil {
		return err
	}
	at := make([]bot.Address, len(p.Addresses))
	for i, a := range p.Addresses {
		at[i] = bot.Address{Channel: a.Channel, At: s.blindAt(a)}
	}
	addresses, err := json.Marshal(at)
	if err != nil {
		return err
	}
	if _, err := s.stmt.dropAddresses.ExecContext(ctx, p.ID, addresses, p.Service); err != nil {
		return err
	}
	for _, a := range at {
		if _, err := s.stmt.putAddress.ExecContext(ctx, p.Service, a.Channel, a.At, p.ID); err != nil {
			return err
		}
	}
	if _, err := s.stmt.dropNames.ExecContext(ctx, p.ID); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := s.stmt.putName.ExecContext(ctx, p.Service, part, p.ID); err != nil {
			return err
		}
	}
	return nil
}

func nextWake(wakes []bot.Wake) any {
	var first time.Time
	for _, w := range wakes {
		if first.IsZero() || w.At.Before(first) {
			first = w.At
		}
	}
	if first.IsZero() {
		return nil
	}
	return first.UnixMilli()
}

// ClaimOutgoing leases messages that may leave. One that cannot be opened waits as long, and
// others are looked for in its place.
func (s *Store) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
	var claimed []bot.Outgoing
	var closed []string
	until := max(millis(now.Add(lease)), millis(now)+1)
	err := s.submit(ctx, func() error {
		claimed, closed = claimed[:0], closed[:0]
		for {
			some, not, err := s.claimNext(channel, millis(now), until, limit-len(claimed))
			if err != nil {
				return err
			}
			claimed, closed = append(claimed, some...), append(closed, not...)
			if len(not) == 0 || len(claimed) >= limit {
				return nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, id := range closed {
		s.log.Error("a message does not leave, for it cannot be opened: it is damaged, or sealed by a key that this process does not have", "message", id)
	}
	return claimed, nil
}

// claimNext leases the next messages, in the writer's transaction. closed are those that
// cannot be opened: they wait as long.
func (s *Store) claimNext(channel string, now, until int64, limit int) (claimed []bot.Outgoing, closed []string, err error) {
	bg := context.Background()
	found, err := s.stmt.claimable.QueryContext(bg, channel, now, limit)
	if err != nil {
		return nil, nil, err
	}
	var rows, wait []int64
	for found.Next() {
		var (
			o               bot.Outgoing
			n, fence, from  int64
			attempts, state int
			unsettled       bool
			message         []byte
			id              string
		)
		if err := found.Scan(&n, &id, &fence, &attempts, &unsettled, &state, &from, &message); err != nil {
			return nil, nil, errors.Join(err, found.Close())
		}
		if o, err = vault.Decode[bot.Outgoing](s.vault, vault.MessagePlace(id), message); err != nil {
			closed, wait = append(closed, id), append(wait, n)
			continue
		}
		// A lease that ran out, or a send whose outcome is not known: it may have gone.
		o.Unsettled = unsettled || state == 1
		o.State, o.Fence, o.Attempts, o.NotBefore = bot.OutSending, fence+1, attempts+1, fromMillis(from)
		o.LeaseUntil = fromMillis(until)
		claimed, rows = append(claimed, o), append(rows, n)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return nil, nil, err
	}
	for i, n := range rows {
		if _, err := s.stmt.claim.ExecContext(bg, n, until, claimed[i].Unsettled); err != nil {
			return nil, nil, err
		}
	}
	for _, n := range wait {
		if _, err := s.stmt.putOff.ExecContext(bg, n, until); err != nil {
			return nil, nil, err
		}
	}
	return claimed, closed, nil
}

// Settle records what became of messages.
func (s *Store) Settle(ctx context.Context, settlements ...bot.Settlement) error {
	if len(settlements) == 0 {
		return nil
	}
	return s.submit(ctx, func() error {
		bg := context.Background()
		for _, x := range settlements {
			state := stateNumber(x.State)
			if state < 0 {
				return fmt.Errorf("unknown delivery state %q", x.State)
			}
			if x.Fence == 0 {
				if _, err := s.stmt.receipt.ExecContext(bg, x.ID, state, nullable(x.CarrierID), nullable(x.Code), millis(x.At)); err != nil {
					return err
				}
				continue
			}
			done, err := s.stmt.settle.ExecContext(bg, x.ID, x.Fence, state, nullable(x.CarrierID), nullable(x.Code), millis(x.At), millis(x.RetryAt), x.Unsettled)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil {
				return err
			} else if n == 0 && x.CarrierID != "" {
				// A receipt was faster than the carrier's answer to us: keep the id at least.
				if _, err := s.stmt.settleCarrier.ExecContext(bg, x.ID, x.Fence, x.CarrierID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// erasures remove a patient; ?1 is her id. Her messages' ids begin with it.
var erasures = []string{
	"DELETE FROM said WHERE patient = (SELECT n FROM patients WHERE id = ?1)",
	"DELETE FROM patients WHERE id = ?1",
	"DELETE FROM addresses WHERE patient = ?1",
	"DELETE FROM names WHERE patient = ?1",
	"DELETE FROM cards WHERE patient = ?1",
	"DELETE FROM journal WHERE patient = ?1",
	"UPDATE said_upto SET n = min(n, coalesce((SELECT max(n) FROM journal), 0))", // numbers after the last are given again
	"DELETE FROM queue WHERE patient = ?1",
	"DELETE FROM outgoing WHERE id > ?1 || '-m' AND id < ?1 || '-n'",
}

// Erase removes everything of a patient. Its pages are overwritten; what was in
// the log goes with its next checkpoint.
func (s *Store) Erase(ctx context.Context, patient string, version int64, entry bot.AuditEntry) error {
	text, err := s.vault.Encode(vault.AuditPlace, entry)
	if err != nil {
		return fmt.Errorf("%w: audit entry: %w", bot.ErrInvalid, err)
	}
	return s.submit(ctx, func() error {
		bg := context.Background()
		var is int64
		switch err := s.write.QueryRowContext(bg, "SELECT version FROM patients WHERE id = ?", patient).Scan(&is); {
		case errors.Is(err, sql.ErrNoRows):
			return bot.ErrNotFound
		case err != nil:
			return err
		case is != version:
			return bot.ErrConflict
		}
		for _, text := range erasures {
			if _, err := s.write.ExecContext(bg, text, patient); err != nil {
				return err
			}
		}
		_, err := s.stmt.insertAudit.ExecContext(bg, text)
		return err
	})
}

// Audit appends who read or did what.
func (s *Store) Audit(ctx context.Context, entries ...bot.AuditEntry) error {
	texts := make([][]byte, len(entries))
	for i := range entries {
		text, err := s.vault.Encode(vault.AuditPlace, &entries[i])
		if err != nil {
			return fmt.Errorf("%w: audit: %w", bot.ErrInvalid, err)
		}
		texts[i] = text
	}
	return s.submit(ctx, func() error {
		for _, text := range texts {
			if _, err := s.stmt.insertAudit.ExecContext(context.Background(), text); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutValue keeps a value.
func (s *Store) PutValue(ctx context.Context, drawer, key string, value []byte, expires time.Time) error {
	name, kept, err := s.vault.SealValue(drawer, key, value)
	if err != nil {
		return unavailable(err)
	}
	return s.submit(ctx, func() error { return s.put(drawer, name, kept, expires) })
}

// TakeValue reads and removes a value in one step.
func (s *Store) TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	var kept []byte
	name := s.vault.ValueName(drawer, key)
	err := s.submit(ctx, func() error {
		bg := context.Background()
		kept = nil
		if err := s.stmt.value.QueryRowContext(bg, drawer, name, millis(now)).Scan(&kept); errors.Is(err, sql.ErrNoRows) {
			return bot.ErrNotFound
		} else if err != nil {
			return err
		}
		_, err := s.stmt.deleteValue.ExecContext(bg, drawer, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	_, value, err := s.vault.OpenValue(drawer, name, kept)
	return value, unavailable(err)
}

// SwapValue puts a value in the place of the one that the caller has read.
func (s *Store) SwapValue(ctx context.Context, drawer, key string, was, value []byte, expires, now time.Time) error {
	name, kept, err := s.vault.SealValue(drawer, key, value)
	if err != nil {
		return unavailable(err)
	}
	return s.submit(ctx, func() error {
		bg := context.Background()
		var there []byte
		switch err := s.stmt.value.QueryRowContext(bg, drawer, name, millis(now)).Scan(&there); {
		case errors.Is(err, sql.ErrNoRows):
			if was != nil {
				return bot.ErrConflict
			}
		case err != nil:
			return err
		default:
			_, is, err := s.vault.OpenValue(drawer, name, there)
			if err != nil {
				return err
			}
			if was == nil || !bytes.Equal(is, was) {
				return bot.ErrConflict
			}
		}
		return s.put(drawer, name, kept, expires)
	})
}

// put writes a value as it is kept.
func (s *Store) put(drawer, name string, kept []byte, expires time.Time) error {
	var until any
	if !expires.IsZero() {
		until = millis(expires)
	}
	if kept == nil {
		kept = []byte{}
	}
	_, err := s.stmt.putValue.ExecContext(context.Background(), drawer, name, kept, until)
	return err
}

// DeleteValue removes a value; one that is not there is no error.
func (s *Store) DeleteValue(ctx context.Context, drawer, key string) error {
	name := s.vault.ValueName(drawer, key)
	return s.submit(ctx, func() error {
		_, err := s.stmt.deleteValue.ExecContext(context.Background(), drawer, name)
		return err
	})
}

// Sweep removes values that expired before now.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	var n int64
	err := s.submit(ctx, func() error {
		done, err := s.stmt.sweep.ExecContext(context.Background(), millis(now))
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	return int(n), err
}
