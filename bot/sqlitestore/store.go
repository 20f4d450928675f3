// Package sqlitestore keeps what lookout knows in one SQLite file, for a service
// on one machine. It implements bot.Store.
//
// It promises: what Commit has returned for survives a kill and a power cut
// (WAL with synchronous=FULL); a change is kept whole or not at all; readers
// never wait for the writer. It refuses a SQLite older than 3.51.3, whose WAL
// could be corrupted, and a file that a newer lookout has written.
//
// All writing goes through one connection and one goroutine. It gathers the
// changes that wait while the last transaction is made durable into the next
// one, so that many callers share one fsync. Each change stays whole: its
// version and its key are checked by the one statement that comes before all
// others, so that a change that conflicts writes nothing; should a statement
// fail for another reason, the transaction is undone and its changes are taken
// one by one, so that a failing one does not take its neighbours down.
//
// Other processes may open the same file (`lookout users add` beside `lookout
// serve`): they wait for one another, and versions keep them from overwriting.
package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"lookout/bot"
	"lookout/bot/vault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a bot.Store in a SQLite file.
type Store struct {
	read  *sql.DB
	write *sql.DB // one connection, used by the writer goroutine only
	stmt  statements
	reads readStatements
	vault *vault.Vault // nil: everything is kept in the clear
	path  string
	log   *slog.Logger
	state vault.State

	refusal atomic.Pointer[string] // why the file took nothing the last time; nil: it did

	mu     sync.RWMutex // held for reading while handing a job over; for writing to close
	closed bool
	jobs   chan *job
	done   chan struct{}
}

var _ bot.Store = (*Store)(nil)

// Options are how a file is opened.
type Options struct {
	// Keys say whether and with what the store is encrypted.
	Keys vault.Opening
	// Log may be nil.
	Log *slog.Logger
}

// Open opens a file that is kept in the clear, see [OpenWith].
func Open(ctx context.Context, path string) (*Store, error) {
	return OpenWith(ctx, path, Options{})
}

// OpenWith opens the file, making it and its folder when they are not there, and
// brings its tables up to date. Before an upgrade it puts a copy of the file
// beside it (PATH.before-N). The file is readable by its owner only.
func OpenWith(ctx context.Context, path string, o Options) (*Store, error) {
	if path == "" {
		return nil, errors.New("sqlite store: the path is empty: write it like sqlite:/var/lib/lookout/lookout.db")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	var shared error
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Keys.Encrypt {
		shared = probe(ctx, path)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	file.Close()
	s := &Store{path: path, log: o.Log, jobs: make(chan *job, 1024), done: make(chan struct{})}
	if s.write, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("sqlite store: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite store: %w", err), s.write.Close())
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	if err := s.prepare(ctx, o.Keys, shared); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite store: %w", err), s.read.Close(), s.write.Close())
	}
	go s.writer()
	return s, nil
}

// dsn names the file and how each connection is set up. Pragmas run in order:
// busy_timeout first, so that the others wait for another process.
func dsn(path string, readOnly bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(ON)")
	q.Add("_pragma", "cache_size(-32768)")
	q.Add("_pragma", "temp_store(MEMORY)")
	if readOnly {
		q.Add("_pragma", "query_only(ON)")
	} else {
		q.Add("_pragma", "wal_autocheckpoint(4000)")
		q.Add("_pragma", "secure_delete(ON)") // what is erased is overwritten, not only unlinked
		q.Set("_txlock", "immediate")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// oldestSQLite is the first version without the WAL-reset corruption of 3.7.0 to 3.51.2.
const oldestSQLite = "3.51.3"

func (s *Store) prepare(ctx context.Context, o vault.Opening, shared error) error {
	var version string
	if err := s.write.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if older(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s can corrupt its log: at least %s is needed", version, oldestSQLite)
	}
	if err := s.migrate(ctx, s.path); err != nil {
		return err
	}
	if err := s.admit(ctx, o, shared); err != nil {
		return err
	}
	if err := s.stmt.prepare(ctx, s.write); err != nil {
		return err
	}
	return s.reads.prepare(ctx, s.read)
}

// admit finds out how the file is kept, and keeps what follows from it. shared is
// why the file cannot be encrypted now: others have it open.
func (s *Store) admit(ctx context.Context, o vault.Opening, shared error) error {
	tx, err := s.write.BeginTx(ctx, nil) // alone: two that open a new file come to the same
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var was vault.State
	var text []byte
	switch err := tx.QueryRowContext(ctx, "SELECT state FROM sealing").Scan(&text); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &was); err != nil {
			return err
		}
	}
	var used bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM patients) OR EXISTS (SELECT 1 FROM drawers) OR EXISTS (SELECT 1 FROM audit)").Scan(&used); err != nil {
		return err
	}
	if s.vault, s.state, err = o.Admit(was, !used); err != nil {
		return err
	}
	if s.state.Kept == vault.Begun && shared != nil {
		return shared
	}
	if s.state == was {
		return nil
	}
	if err := setState(ctx, tx, s.state); err != nil {
		return err
	}
	return tx.Commit()
}

// setState keeps how the file is kept.
func setState(ctx context.Context, to interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, state vault.State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	_, err = to.ExecContext(ctx, "INSERT INTO sealing (one, state) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET state = ?1", text)
	return err
}

// Encryption says how the file is kept.
func (s *Store) Encryption() vault.State { return s.state }

// older compares dotted versions.
func older(a, b string) bool {
	var x, y [3]int
	fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func (s *Store) migrate(ctx context.Context, path string) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, folder)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("the file was written by a newer lookout (its format is %d, this one knows %d): use that version, or restore a backup", current, target)
	}
	if current > 0 && current < target {
		copyTo := fmt.Sprintf("%s.before-%d", path, target)
		if _, err := s.write.ExecContext(ctx, "VACUUM INTO ?", copyTo); err != nil {
			return fmt.Errorf("copy the file before its upgrade: %w", err)
		}
	}
	_, err = provider.Up(ctx)
	return err
}

// Close waits for what is under way, and closes the file. Everything after it is bot.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.jobs)
	s.mu.Unlock()
	<-s.done
	return errors.Join(s.read.Close(), s.write.Close())
}

// unavailable marks every fault of the file or the disk as one after which
// nothing was changed, and hides nothing: it holds no patient's words, for
// statements take them as arguments.
func unavailable(err error) error {
	if err == nil || errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrConflict) ||
		errors.Is(err, bot.ErrDuplicate) || errors.Is(err, bot.ErrUnavailable) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return bot.ErrNotFound
	}
	return fmt.Errorf("%w: sqlite store: %w", bot.ErrUnavailable, err)
}

// millis is how a time is kept; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func placeholders(n int) string {
	return strings.TrimSuffix(strings.Repeat("?,", n), ",")
}
