package bot

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"
)

// A backup is a gzipped stream of JSON, one object a line: what it is; each person
// by id, whole; the values of each drawer; the audit, oldest first; and at last how
// much there was, with a digest. Whoever writes it encrypts it (cmd/lookout).

// Snapshotter is a store that can be read as it is at one moment, while others
// write to it. Of any other, a backup holds each person as she was at one moment of
// it, then the values, and then the audit.
type Snapshotter interface {
	// Snapshot gives the store as it is now. It is read only, and must be closed.
	Snapshot(ctx context.Context) (Portable, error)
}

// Backed says what a backup holds.
type Backed struct {
	People   int       `json:"people"`
	Entries  int       `json:"entries"`
	Rows     int       `json:"rows"`
	Messages int       `json:"messages"`
	Values   int       `json:"values"`
	Audit    int       `json:"audit"`
	Digest   string    `json:"digest"` // over all of it
	Made     time.Time `json:"-"`      // when it was begun
}

// String counts in words.
func (b Backed) String() string {
	return fmt.Sprintf("%d people, %d journal entries, %d rows, %d messages, %d values, %d audit entries", b.People, b.Entries, b.Rows, b.Messages, b.Values, b.Audit)
}

const backupForm = 1

// backupLine is one line; one of its fields is set.
type backupLine struct {
	Form   int          `json:"lookout_backup,omitempty"` // of the first: the number of this form
	Made   time.Time    `json:"made,omitzero"`            // of the first
	Person *Whole       `json:"person,omitempty"`
	Places []int        `json:"places,omitempty"` // of the person
	Value  *backupValue `json:"value,omitempty"`
	Audit  *AuditEntry  `json:"audit,omitempty"`
	End    *Backed      `json:"end,omitempty"`
}

// backupValue is a value of a drawer. Its names are bytes, as in the store.
type backupValue struct {
	Drawer  []byte    `json:"drawer"`
	Key     []byte    `json:"key"`
	Value   []byte    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
}

// tally counts what a backup holds, or a store. The digest is the same for the same
// people, values and entries, whatever kind of store has them.
type tally struct {
	Backed
	sum hash.Hash
}

func newTally() *tally { return &tally{sum: sha256.New()} }

func (t *tally) person(w *Whole) error {
	digest, err := w.Digest()
	fmt.Fprintf(t.sum, "person %s %s\n", w.Record.Patient.ID, digest)
	t.People++
	t.Entries += len(w.Entries)
	t.Rows += len(w.Rows)
	t.Messages += len(w.Messages)
	return err
}

func (t *tally) value(v *backupValue) {
	fmt.Fprintf(t.sum, "value %x %x %x %d\n", v.Drawer, v.Key, sha256.Sum256(v.Value), v.Expires.UnixMilli())
	t.Values++
}

func (t *tally) entry(e AuditEntry) error {
	e.Seq, e.At = 0, e.At.UTC()
	text, err := json.Marshal(&e)
	fmt.Fprintf(t.sum, "audit %s\n", text)
	t.Audit++
	return err
}

func (t *tally) done() Backed {
	t.Digest = hex.EncodeToString(t.sum.Sum(nil))
	return t.Backed
}

// Backup writes everything that a store keeps, and says what it was. told hears how
// many people are done. The store may be served meanwhile.
func Backup(ctx context.Context, from Portable, now time.Time, to io.Writer, told func(people int)) (_ Backed, err error) {
	if x, ok := from.(Snapshotter); ok {
		if from, err = x.Snapshot(ctx); err != nil {
			return Backed{}, fmt.Errorf("backup: %w", err)
		}
		defer func() { err = errors.Join(err, from.Close()) }()
	}
	buffered := bufio.NewWriterSize(to, 1<<18)
	zipped := gzip.NewWriter(buffered)
	lines := json.NewEncoder(zipped)
	if err := lines.Encode(backupLine{Form: backupForm, Made: now.UTC()}); err != nil {
		return Backed{}, err
	}
	all, err := survey(ctx, from, nil, func(l *backupLine, people int) error {
		if l.Person != nil && told != nil {
			told(people)
		}
		return lines.Encode(l)
	})
	if err != nil {
		return all, fmt.Errorf("backup: %w", err)
	}
	return all, errors.Join(lines.Encode(backupLine{End: &all}), zipped.Close(), buffered.Flush())
}

// survey walks through all that a store keeps but some drawers, in the order of a backup.
func survey(ctx context.Context, from Portable, without []string, each func(l *backupLine, people int) error) (Backed, error) {
	t := newTally()
	if err := surveyPeople(ctx, from, t, each); err != nil {
		return t.Backed, err
	}
	drawers, err := from.Drawers(ctx)
	if err != nil {
		return t.Backed, err
	}
	for _, drawer := range drawers {
		if slices.Contains(without, drawer) {
			continue
		}
		values, err := from.Drawer(ctx, drawer)
		if err != nil {
			return t.Backed, err
		}
		for _, v := range values {
			line := &backupLine{Value: &backupValue{Drawer: []byte(drawer), Key: []byte(v.Key), Value: v.Value, Expires: v.Expires}}
			t.value(line.Value)
			if err := each(line, t.People); err != nil {
				return t.Backed, err
			}
		}
	}
	for after := int64(0); ; {
		page, err := from.AuditLog(ctx, after, movePage)
		if err != nil {
			return t.Backed, err
		}
		if len(page) == 0 {
			return t.done(), nil
		}
		for i := range page {
			after = page[i].Seq
			if err := errors.Join(t.entry(page[i]), each(&backupLine{Audit: &page[i]}, t.People)); err != nil {
				return t.Backed, err
			}
		}
	}
}

func surveyPeople(ctx context.Context, from Portable, t *tally, each func(l *backupLine, people int) error) error {
	for after := ""; ; {
		ids, err := from.Everyone(ctx, after, movePage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for part := range slices.Chunk(ids, moveAtOnce) {
			lines, errs := make([]*backupLine, len(part)), make([]error, len(part))
			var wg sync.WaitGroup
			for i, id := range part {
				wg.Go(func() {
					w, err := from.Export(ctx, id)
					switch {
					case errors.Is(err, ErrNotFound): // erased meanwhile
					case err != nil:
						errs[i] = fmt.Errorf("export %s: %w", id, err)
					default:
						lines[i] = &backupLine{Person: &w, Places: w.Places}
					}
				})
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			for _, l := range lines {
				if l == nil {
					continue
				}
				if err := errors.Join(t.person(l.Person), each(l, t.People)); err != nil {
					return err
				}
			}
		}
		after = ids[len(ids)-1]
	}
}

// ReadBackup reads a backup from one end to the other, and holds it to its own counts and
// digest. each, if not nil, has every line of it but the first and the last.
func ReadBackup(from io.Reader) (Backed, error) {
	return readBackup(from, func(*backupLine) error { return nil })
}

var errNoBackup = errors.New("it holds no backup that this lookout can read")

func readBackup(from io.Reader, each func(l *backupLine) error) (Backed, error) {
	t := newTally()
	zipped, err := gzip.NewReader(from)
	if err != nil {
		return t.Backed, unreadable(err)
	}
	lines := json.NewDecoder(zipped)
	var first backupLine
	if err := lines.Decode(&first); err != nil {
		return t.Backed, unreadable(err)
	}
	if first.Form != backupForm {
		return t.Backed, fmt.Errorf("%w: its form is %d, and this lookout knows %d", errNoBackup, first.Form, backupForm)
	}
	for {
		var l backupLine
		if err := lines.Decode(&l); err != nil {
			return t.Backed, unreadable(err)
		}
		switch {
		case l.Person != nil:
			l.Person.Places = l.Places
			err = t.person(l.Person)
		case l.Value != nil:
			t.value(l.Value)
		case l.Audit != nil:
			err = t.entry(*l.Audit)
		case l.End != nil:
			all := t.done()
			if all != *l.End {
				return all, fmt.Errorf("it is not whole: it says that it holds %s, and holds %s", l.End, all)
			}
			all.Made = first.Made
			if _, err := io.Copy(io.Discard, io.MultiReader(lines.Buffered(), zipped)); err != nil { // its end is looked at too
				return all, unreadable(err)
			}
			return all, nil
		}
		if err == nil {
			err = each(&l)
		}
		if err != nil {
			return t.Backed, err
		}
	}
}

// unreadable tells the fault of a file, which may hold anything, without repeating it.
func unreadable(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &syntax), errors.As(err, &kind):
		return errNoBackup
	}
	return err
}

// drawerRestore has a value while a store is being filled from a backup.
const drawerRestore = "restore"

// ErrHalfRestored says that a store was not filled to its end.
var ErrHalfRestored = errors.New("the store was being filled from a backup, and that was cut short: run lookout restore again, with the same file")

// Restorer fills a store from a backup.
type Restorer struct {
	To Portable
	// Open opens the backup from its beginning: it is read through before anything is
	// written, and then once more.
	Open func() (io.Reader, error)
	// Without are drawers that are not restored: what opened a door then must not now.
	Without []string
	Told    func(people int)
}

// Restore fills an empty store from a backup, and reads it again to see that it has
// all of it. [ErrRefused]: the store is not empty, and what is in it is left as it
// is. A backup that cannot be read to its end leaves the store empty; one that was
// cut short in writing goes on when it is called again with the same backup.
//
// Since it was made, messages that were waiting then may have been sent: each is
// looked up in the carrier's log before it goes (see [Outgoing.Unsettled]).
func (r *Restorer) Restore(ctx context.Context) (Backed, error) {
	from, err := r.Open()
	if err != nil {
		return Backed{}, err
	}
	backup, err := ReadBackup(from)
	if err != nil {
		return backup, err
	}
	if err := r.begin(ctx, backup.Digest); err != nil {
		return backup, err
	}
	if from, err = r.Open(); err != nil {
		return backup, err
	}
	want, err := r.fill(ctx, from)
	if err != nil {
		return backup, err
	}
	is, err := survey(ctx, r.To, []string{drawerRestore}, func(*backupLine, int) error { return nil })
	if err != nil {
		return is, err
	}
	if is != want {
		return is, fmt.Errorf("%w: the store has %s, and the backup %s", ErrConflict, is, want)
	}
	is.Made = backup.Made
	return is, r.To.DeleteValue(ctx, drawerRestore, drawerRestore)
}

// begin finds out whether the store may be filled, and notes that it is being.
func (r *Restorer) begin(ctx context.Context, digest string) error {
	drawers, err := r.To.Drawers(ctx)
	if err != nil {
		return err
	}
	empty := true
	for _, d := range drawers {
		values, err := r.To.Drawer(ctx, d)
		if err != nil {
			return err
		}
		if d == drawerRestore && len(values) == 1 {
			if string(values[0].Value) != digest {
				return fmt.Errorf("%w: the store was being filled from another backup: remove it, and restore into an empty one", ErrRefused)
			}
			return nil // it goes on
		}
		empty = empty && len(values) == 0
	}
	people, err := r.To.Everyone(ctx, "", 1)
	if err != nil {
		return err
	}
	audit, err := r.To.AuditLog(ctx, 0, 1)
	if err != nil {
		return err
	}
	if !empty || len(people)+len(audit) > 0 {
		return fmt.Errorf("%w: the store is not empty: set store to a new one", ErrRefused)
	}
	return r.To.PutValue(ctx, drawerRestore, drawerRestore, []byte(digest), time.Time{})
}

// fill writes a backup into the store, and says what is there then.
func (r *Restorer) fill(ctx context.Context, from io.Reader) (Backed, error) {
	want := newTally()
	var people []*Whole
	var audit []AuditEntry
	last := int64(0) // of the audit as it is in the store
	flush := func() error {
		err := r.people(ctx, people)
		if err == nil && len(audit) > 0 {
			last, err = appendAudit(ctx, r.To, audit, last)
		}
		people, audit = people[:0], audit[:0]
		return err
	}
	_, err := readBackup(from, func(l *backupLine) error {
		switch {
		case l.Person != nil:
			l.Person.ask()
			people = append(people, l.Person)
			if err := want.person(l.Person); err != nil || len(people) < moveAtOnce {
				return err
			}
			if r.Told != nil {
				r.Told(want.People)
			}
			return flush()
		case l.Value != nil && !slices.Contains(r.Without, string(l.Value.Drawer)):
			want.value(l.Value)
			return r.To.PutValue(ctx, string(l.Value.Drawer), string(l.Value.Key), l.Value.Value, l.Value.Expires)
		case l.Audit != nil:
			audit = append(audit, *l.Audit)
			if err := want.entry(*l.Audit); err != nil || len(audit) < movePage {
				return err
			}
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = r.To.EnterNewSaid(ctx)
	}
	return want.done(), err
}

// ask marks what may have been sent since: the carrier is asked before it goes.
func (w *Whole) ask() {
	for i := range w.Messages {
		if o := &w.Messages[i]; o.State == OutPending || o.State == OutSending {
			o.Unsettled = true
		}
	}
}

// people writes people, some at once.
func (r *Restorer) people(ctx context.Context, all []*Whole) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() {
			err := r.To.Import(ctx, *w)
			if errors.Is(err, ErrConflict) { // a try before this one has done it
				_, err = sameThere(ctx, w, r.To, w.Record.Patient.ID)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// halfRestored refuses a store that was not filled to its end.
func halfRestored(ctx context.Context, s Store, now time.Time) error {
	switch _, err := s.Value(ctx, drawerRestore, drawerRestore, now); {
	case err == nil:
		return ErrHalfRestored
	case errors.Is(err, ErrNotFound):
		return nil
	default:
		return err
	}
}
