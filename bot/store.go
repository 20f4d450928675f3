package bot

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Store keeps what lookout knows. It keeps every [Change] whole or not at all
// and never tells that something is kept before it would survive a power cut.
//
// A store knows no flow, no clinical rule and no wall clock: every time that it
// compares with is an argument. All its methods may be called at once from many
// goroutines, and by several processes where the implementation says so. Every
// method may also return an error that wraps [ErrUnavailable]: nothing was
// changed as far as the caller can know, and trying again is right.
//
// Its contract is held by package bot/storetest, which every store passes.
type Store interface {
	// PatientsAt lists the ids of the people who can be reached at an address,
	// in the order in which they came to have it. Nobody there is an empty list
	// and no error. An address belongs to a person while her record lists it.
	PatientsAt(ctx context.Context, service string, at Address) ([]string, error)

	// RecordsAt is PatientsAt with their records, as Load gives them: what a message
	// that comes in asks first, in one round where the store is a server.
	RecordsAt(ctx context.Context, service string, at Address) ([]Record, error)

	// Load gives a patient's record as of the last commit. [ErrNotFound].
	Load(ctx context.Context, patient string) (Record, error)

	// Commit makes a change durable, whole. When it returns nil, everything in
	// the change is on disk. [ErrDuplicate]: a change with this Key was committed
	// before, for whomever, nothing was done now. [ErrConflict]: the record is no
	// longer at Base, nothing was done. Duplicate wins over conflict. [ErrInvalid]:
	// the change does not hold together, see [Change.Check].
	Commit(ctx context.Context, change Change) error

	// Due lists up to limit patients whose earliest wake is at or before now,
	// earliest first. A patient stays due until a Commit moves her wakes.
	Due(ctx context.Context, now time.Time, limit int) ([]Due, error)

	// ClaimOutgoing leases up to limit messages of one channel that may leave at
	// now: by priority (emergency, page, reply, planned), then oldest first; at most
	// one a recipient at a time, her earliest unsettled; nothing before its NotBefore. A claimed message
	// has its lease's end in LeaseUntil and a Fence larger than any claim of it before. A message
	// whose lease has run out is claimed again, with Unsettled true: it may have gone. One that
	// cannot be opened is passed over: it is logged, waits as long as a lease, and holds nothing up.
	ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]Outgoing, error)

	// Settle records what became of messages, each independent of the others: after
	// an error some may be recorded.
	// A settlement with a Fence that is not the last claim's is dropped (a claim that
	// ran out cannot speak). Delivery states only move forward: a late
	// "sent" never overwrites "delivered". Settling what is not there is no error.
	Settle(ctx context.Context, settlements ...Settlement) error

	// Outgoing gives one message by id, or by the carrier's id for it. [ErrNotFound].
	Outgoing(ctx context.Context, id string) (Outgoing, error)
	OutgoingByCarrier(ctx context.Context, carrierID string) (Outgoing, error)

	// Queue lists rows: the most dangerous first, then by due time, then by
	// opening; closed rows by closing time, latest first. Count says how many there
	// are, whatever the filter's Limit and Skip. A row that cannot be opened is logged, and stands
	// there as an [UnreadableRow]; of one holder or one concern it may be left out.
	Queue(ctx context.Context, filter QueueFilter) ([]Row, error)
	Count(ctx context.Context, filter QueueFilter) (int, error)

	// Row gives one row by id, closed ones too. [ErrNotFound].
	Row(ctx context.Context, id string) (Row, error)

	// Journal gives a patient's entries with Seq above after, oldest first, at
	// most limit (0: all). The journal only grows.
	Journal(ctx context.Context, patient string, after int64, limit int) ([]Entry, error)

	// Seen says whether a change with this key was committed.
	Seen(ctx context.Context, key string) (bool, error)

	// Find looks people up for the desk, by the start of any part of a name, by
	// NHS number, by telephone number or by birth date (2006-01-02), best first.
	Find(ctx context.Context, service, query string, limit int) ([]Patient, error)

	// Said lists up to limit people by whom each of the words was said, in one of her
	// messages or another, who said the rarest of them last first. The words are those of
	// [SearchWords]; every message that was committed before is searched ([SaidOn]). It may
	// name people who said none of it: her journal decides.
	Said(ctx context.Context, service string, words []string, limit int) ([]string, error)

	// EnterNewSaid enters the words of messages that were committed, or imported, and are
	// not entered yet: a store may leave that for later, so that a turn does not wait for it.
	// Said does it first; whoever does it meanwhile leaves it less to do.
	EnterNewSaid(ctx context.Context) error

	// EnterSaid enters the words of all of her messages, from her journal: for a store that
	// was written before they were searched. Doing it again changes nothing. [ErrNotFound].
	EnterSaid(ctx context.Context, patient string) error

	// Patients lists people by id, ids above after, at most limit.
	Patients(ctx context.Context, service, after string, limit int) ([]Patient, error)

	// Erase removes everything of a patient (record, journal, rows, messages),
	// overwrites it in the file, and appends the audit entry, whole or not at all.
	// [ErrConflict] when her version is another, [ErrNotFound].
	Erase(ctx context.Context, patient string, version int64, entry AuditEntry) error

	// Audit appends who read or did what. AuditLog reads it, oldest first, Seq above after.
	Audit(ctx context.Context, entries ...AuditEntry) error
	AuditLog(ctx context.Context, after int64, limit int) ([]AuditEntry, error)

	// The values are small things with a life of their own: users, sign-in
	// sessions, chat links, content packs. A value past its expiry (zero: never)
	// at now is not there. TakeValue reads and removes in one step, so that of
	// two callers one gets [ErrNotFound]. SwapValue puts a value in the place of the one
	// that the caller has read, or where there was none (was: nil), so that of two who
	// have read the same one gets [ErrConflict], and has changed nothing.
	PutValue(ctx context.Context, drawer, key string, value []byte, expires time.Time) error
	Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error)
	SwapValue(ctx context.Context, drawer, key string, was, value []byte, expires, now time.Time) error
	Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error)
	DeleteValue(ctx context.Context, drawer, key string) error
	// Sweep removes values that expired before now, and says how many.
	Sweep(ctx context.Context, now time.Time) (int, error)

	// Stats counts what is open, for metrics and readiness; it also proves that
	// the store answers.
	Stats(ctx context.Context, now time.Time) (Stats, error)

	// Close waits for what is under way, and then gives up the store.
	Close() error
}

// Change is everything that one event does to one patient, kept whole.
type Change struct {
	// Key makes the change happen once: the carrier's message id, the widget's
	// message id, the wake's name. Unique for ever. Empty: not guarded.
	Key string
	// Base is the record's version as it was loaded; 0 creates the record.
	Base int64
	// Record is the record as it shall be; the store sets its Version to Base+1.
	Record Record
	// Entries are appended to the journal; the store gives them their Seq.
	Entries []Entry
	// Rows are written as they stand here (new ones, and those that changed).
	Rows []Row
	// Send are new messages to go out; Cancel are ids of hers that shall not go any
	// more, if they have not been claimed yet. One that is not there is no error.
	Send   []Outgoing
	Cancel []string
	// Audit is kept with the change: an act and the record of who did it stand or
	// fall together.
	Audit []AuditEntry
}

// Check refuses a change that a store could not keep whole: all that is in it
// must be hers. A store may find a row or a message by its id alone (see
// [OwnerOf]), and may keep patients apart from each other. [ErrInvalid].
func (c *Change) Check() error {
	patient := c.Record.Patient.ID
	if patient == "" {
		return fmt.Errorf("%w: a change without a patient", ErrInvalid)
	}
	for i := range c.Rows {
		if owner, _, ok := OwnerOf(c.Rows[i].ID, RowMark); !ok || owner != patient {
			return fmt.Errorf("%w: row %q is not of patient %q: its id must be hers, %q and a number", ErrInvalid, c.Rows[i].ID, patient, RowMark)
		}
	}
	for i := range c.Send {
		if owner, _, ok := OwnerOf(c.Send[i].ID, MessageMark); !ok || owner != patient {
			return fmt.Errorf("%w: message %q is not of patient %q: its id must be hers, %q and a number", ErrInvalid, c.Send[i].ID, patient, MessageMark)
		}
	}
	for _, id := range c.Cancel {
		if owner, _, ok := OwnerOf(id, MessageMark); !ok || owner != patient {
			return fmt.Errorf("%w: message %q to take back is not of patient %q", ErrInvalid, id, patient)
		}
	}
	return nil
}

// What stands between a patient's id and the number in the ids of her rows and
// her messages.
const (
	RowMark     = "-r"
	MessageMark = "-m"
)

// OwnerOf takes the id of a row or a message apart: whose it is, and its number
// as it is written. A store may find what belongs to a patient by it.
func OwnerOf(id, mark string) (patient, number string, ok bool) {
	i := strings.LastIndex(id, mark)
	if i <= 0 {
		return "", "", false
	}
	patient, number = id[:i], id[i+len(mark):]
	if _, err := strconv.ParseUint(number, 10, 63); err != nil || len(number) > 1 && number[0] == '0' {
		return "", "", false
	}
	return patient, number, true
}

// Due is a patient with something to do.
type Due struct {
	Patient string
	At      time.Time
}

// QueueFilter chooses rows. Zero fields do not restrict.
type QueueFilter struct {
	Service string
	States  []RowState // none: open and claimed
	Patient string
	Concern string
	Holder  string // who has claimed it
	// DueBefore keeps rows that are not closed and due before a time; ClosedSince
	// keeps closed rows, closed at a time or after it.
	DueBefore   time.Time
	ClosedSince time.Time
	Limit       int // 0: 500
	Skip        int // so many of the first are left out
}

// Stats is a count of what stands open.
type Stats struct {
	Patients   int
	Rows       map[RowState]map[string]int // state → level name → rows; closed ones are not counted
	OldestDue  time.Time                   // earliest due time of an open or claimed row
	Outgoing   int                         // messages not settled yet
	OldestOut  time.Time                   // oldest of those that may leave
	WakesDue   int                         // patients due at now
	OldestWake time.Time
}
