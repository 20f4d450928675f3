package bot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Portable is a store that can hand over all that it keeps, and take it from
// another. Nothing else may write to either meanwhile.
type Portable interface {
	Store

	// Everyone lists the ids of all services' people, ids above after, by id, at most limit.
	Everyone(ctx context.Context, after string, limit int) ([]string, error)

	// Export gives everything of a patient. [ErrNotFound].
	Export(ctx context.Context, patient string) (Whole, error)

	// Import keeps everything of a patient, whole, as it was exported.
	// [ErrConflict]: she is there already, and nothing was done.
	Import(ctx context.Context, w Whole) error

	// Drawers lists the drawers that have values; Drawer gives the values of one,
	// by key, also those that have expired and were not swept yet.
	Drawers(ctx context.Context) ([]string, error)
	Drawer(ctx context.Context, drawer string) ([]StoredValue, error)
}

// Whole is everything that a store keeps of one patient.
type Whole struct {
	Version  int64
	Record   Record
	Rows     []Row      `json:",omitempty"` // all of hers, closed ones too, by number
	Entries  []Entry    `json:",omitempty"` // her whole journal
	Messages []Outgoing `json:",omitempty"` // all of hers, as they stand, by number
	Keys     []string   `json:",omitempty"` // of her changes, by name
	// Places says of each of her addresses the how-manyth she was to have it, from 1.
	// It is no part of the digest: stores count differently.
	Places []int `json:"-"`
}

// Digest is one for all stores.
func (w *Whole) Digest() (string, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// StoredValue is one value of a drawer.
type StoredValue struct {
	Key     string
	Value   []byte
	Expires time.Time // zero: never
}

// Moved is what a move has brought over, counted and summed up from the target.
type Moved struct {
	People, Entries, Rows, Messages, Values, Audit int
	Digest                                         string // over all of it
}

const (
	moveAtOnce = 16  // people under way
	movePage   = 256 // people, or audit entries
)

// Move brings everything from one store to another, and then reads both again and
// compares them. What is there already and the same is left, so that a move that
// was cut short goes on where it was when it is begun again; what is there and
// different ends it ([ErrConflict]). told hears how many people are done.
func Move(ctx context.Context, from, to Portable, told func(people int)) (Moved, error) {
	if err := movePeople(ctx, from, to, told); err != nil {
		return Moved{}, err
	}
	if err := to.EnterNewSaid(ctx); err != nil {
		return Moved{}, fmt.Errorf("words: %w", err)
	}
	if err := moveValues(ctx, from, to); err != nil {
		return Moved{}, err
	}
	if err := moveAudit(ctx, from, to); err != nil {
		return Moved{}, err
	}
	return compareStores(ctx, from, to)
}

// eachPerson walks through everybody, some at once, and stops at the first fault.
func eachPerson(ctx context.Context, s Portable, do func(ctx context.Context, id string) error) error {
	after := ""
	for {
		ids, err := s.Everyone(ctx, after, movePage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for part := range slices.Chunk(ids, moveAtOnce) {
			errs := make([]error, len(part))
			var wg sync.WaitGroup
			for i, id := range part {
				wg.Go(func() { errs[i] = do(ctx, id) })
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

func movePeople(ctx context.Context, from, to Portable, told func(people int)) error {
	var mu sync.Mutex
	done := 0
	return eachPerson(ctx, from, func(ctx context.Context, id string) error {
		w, err := from.Export(ctx, id)
		if err != nil {
			return fmt.Errorf("export %s: %w", id, err)
		}
		switch err := to.Import(ctx, w); {
		case errors.Is(err, ErrConflict):
			if _, err := sameThere(ctx, &w, to, id); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("import %s: %w", id, err)
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if told != nil {
			told(done)
		}
		return nil
	})
}

// sameThere compares a patient with what another store has of her.
func sameThere(ctx context.Context, w *Whole, to Portable, id string) (digest string, err error) {
	there, err := to.Export(ctx, id)
	if err != nil {
		return "", fmt.Errorf("compare %s: %w", id, err)
	}
	mine, err := w.Digest()
	if err != nil {
		return "", err
	}
	digest, err = there.Digest()
	if err == nil && mine != digest {
		err = fmt.Errorf("%w: %s is in the target too, and is not the same", ErrConflict, id)
	}
	return digest, err
}

func moveValues(ctx context.Context, from, to Portable) error {
	drawers, err := from.Drawers(ctx)
	if err != nil {
		return fmt.Errorf("values: %w", err)
	}
	for _, drawer := range drawers {
		values, err := from.Drawer(ctx, drawer)
		if err != nil {
			return fmt.Errorf("values: %w", err)
		}
		for _, v := range values {
			if err := to.PutValue(ctx, drawer, v.Key, v.Value, v.Expires); err != nil {
				return fmt.Errorf("values: %w", err)
			}
		}
	}
	return nil
}

// moveAudit appends what the target does not have of the audit. What it has must
// be its beginning.
func moveAudit(ctx context.Context, from, to Portable) error {
	var mine, theirs int64
	for {
		page, err := from.AuditLog(ctx, mine, movePage)
		if err != nil || len(page) == 0 {
			return err
		}
		mine = page[len(page)-1].Seq
		if theirs, err = appendAudit(ctx, to, page, theirs); err != nil {
			return err
		}
	}
}

// appendAudit appends what a store does not have of a page of the audit, which
// follows on its entry theirs. What it has must be the page's beginning. It gives
// the last entry that the store then has of it.
func appendAudit(ctx context.Context, to Portable, page []AuditEntry, theirs int64) (int64, error) {
	there, err := to.AuditLog(ctx, theirs, len(page))
	if err != nil {
		return theirs, fmt.Errorf("audit: %w", err)
	}
	for i := range there {
		theirs = there[i].Seq
		if !sameAudit(page[i], there[i]) {
			return theirs, fmt.Errorf("%w: the target has another audit", ErrConflict)
		}
	}
	rest := page[len(there):]
	if len(rest) == 0 {
		return theirs, nil
	}
	for i := range rest {
		rest[i].Seq = 0
	}
	if err := to.Audit(ctx, rest...); err != nil {
		return theirs, fmt.Errorf("audit: %w", err)
	}
	if there, err = to.AuditLog(ctx, theirs, len(rest)); err != nil {
		return theirs, fmt.Errorf("audit: %w", err)
	}
	if len(there) > 0 {
		theirs = there[len(there)-1].Seq
	}
	return theirs, nil
}

func sameAudit(a, b AuditEntry) bool {
	if !a.At.Equal(b.At) {
		return false
	}
	a.Seq, b.Seq, a.At, b.At = 0, 0, time.Time{}, time.Time{}
	return a == b
}

// compareStores reads both stores from one end to the other, and says how they differ.
func compareStores(ctx context.Context, from, to Portable) (Moved, error) {
	var m Moved
	digests := make(map[string]string)
	var mu sync.Mutex
	err := eachPerson(ctx, to, func(ctx context.Context, id string) error {
		w, err := from.Export(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: %s is in the target alone", ErrConflict, id)
		} else if err != nil {
			return err
		}
		digest, err := sameThere(ctx, &w, to, id)
		mu.Lock()
		defer mu.Unlock()
		digests[id] = digest
		m.Entries += len(w.Entries)
		m.Rows += len(w.Rows)
		m.Messages += len(w.Messages)
		return err
	})
	if err != nil {
		return m, err
	}
	m.People = len(digests)
	err = eachPerson(ctx, from, func(_ context.Context, id string) error {
		if digests[id] == "" { // only read by now
			return fmt.Errorf("%w: %s is not in the target", ErrConflict, id)
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	sum := sha256.New()
	ids := make([]string, 0, len(digests))
	for id := range digests {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		fmt.Fprintln(sum, id, digests[id])
	}
	if m.Values, err = compareValues(ctx, from, to); err != nil {
		return m, err
	}
	if m.Audit, err = compareAudit(ctx, from, to); err != nil {
		return m, err
	}
	m.Digest = hex.EncodeToString(sum.Sum(nil))
	return m, nil
}

func compareValues(ctx context.Context, from, to Portable) (int, error) {
	drawers, err := from.Drawers(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, drawer := range drawers {
		a, err := from.Drawer(ctx, drawer)
		if err != nil {
			return n, err
		}
		b, err := to.Drawer(ctx, drawer)
		if err != nil {
			return n, err
		}
		if !slices.EqualFunc(a, b, func(a, b StoredValue) bool {
			return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.Expires.Equal(b.Expires)
		}) {
			return n, fmt.Errorf("%w: drawer %q is not the same in the target", ErrConflict, drawer)
		}
		n += len(a)
	}
	return n, nil
}

func compareAudit(ctx context.Context, from, to Portable) (int, error) {
	n := 0
	var mine, theirs int64
	for {
		a, err := from.AuditLog(ctx, mine, movePage)
		if err != nil {
			return n, err
		}
		b, err := to.AuditLog(ctx, theirs, movePage)
		if err != nil {
			return n, err
		}
		if !slices.EqualFunc(a, b, sameAudit) {
			return n, fmt.Errorf("%w: the audit is not the same in the target", ErrConflict)
		}
		if n += len(a); len(a) == 0 {
			return n, nil
		}
		mine, theirs = a[len(a)-1].Seq, b[len(b)-1].Seq
	}
}
