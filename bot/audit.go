package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The audit is chained: the hash of each entry is made of the entry and of the hash
// before it, so that the hash of the last says what all of them were. A job writes
// that down, as a seal; whoever changes, adds or takes out an entry before a seal
// cannot make the chain meet it again. Who can write in the store can write seals
// too: so each day's is put into the process's log, where the hospital keeps logs out
// of reach, and [Bot.VerifyAudit] can be held to it.

// drawerSeals keeps the seals: one a day, and the last.
const (
	drawerSeals = "audit-seal" // key: 2006-01-02, or sealHead
	sealHead    = "head"
)

// Seal is the state of the audit's chain at an entry.
type Seal struct {
	Seq  int64     `json:"seq"`
	Hash string    `json:"hash"` // hex SHA-256
	At   time.Time `json:"at"`
}

// next is the chain's hash with one entry more.
func (s Seal) next(e *AuditEntry) (Seal, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return s, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%d\n", s.Hash, len(text))
	sum.Write(text)
	return Seal{Seq: e.Seq, Hash: hex.EncodeToString(sum.Sum(nil)), At: s.At}, nil
}

const auditPage = 1000

// walk follows the chain from a seal, entry by entry.
func (b *Bot) walk(ctx context.Context, from Seal, each func(Seal, *AuditEntry) error) error {
	for {
		entries, err := b.store.AuditLog(ctx, from.Seq, auditPage)
		if err != nil {
			return err
		}
		for i := range entries {
			if from, err = from.next(&entries[i]); err == nil {
				err = each(from, &entries[i])
			}
			if err != nil {
				return err
			}
		}
		if len(entries) < auditPage {
			return nil
		}
	}
}

func (b *Bot) seal(ctx context.Context, key string) (Seal, error) {
	var s Seal
	value, err := b.store.Value(ctx, drawerSeals, key, b.now())
	if errors.Is(err, ErrNotFound) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &s)
	}
	return s, err
}

// SealAudit follows the chain to its end, and writes its state down. It may be called
// at any time, twice, or on two machines: they come to the same.
func (b *Bot) SealAudit(ctx context.Context) error {
	last, err := b.seal(ctx, sealHead)
	if err != nil {
		return fmt.Errorf("seal the audit: %w", err)
	}
	now := last
	if err := b.walk(ctx, last, func(s Seal, _ *AuditEntry) error { now = s; return nil }); err != nil {
		return fmt.Errorf("seal the audit: %w", err)
	}
	if now.Seq == last.Seq {
		return nil
	}
	now.At = b.now()
	value, err := json.Marshal(now)
	if err != nil {
		return err
	}
	day := now.At.In(b.service.Location).Format(time.DateOnly)
	if today, err := b.seal(ctx, day); err != nil {
		return fmt.Errorf("seal the audit: %w", err)
	} else if today.Seq == 0 {
		if err := b.store.PutValue(ctx, drawerSeals, day, value, time.Time{}); err != nil {
			return fmt.Errorf("seal the audit: %w", err)
		}
		b.log.Info("the audit is sealed", "day", day, "entries", now.Seq, "hash", now.Hash)
	}
	return b.store.PutValue(ctx, drawerSeals, sealHead, value, time.Time{})
}

// AuditState is what was found when the audit was verified.
type AuditState struct {
	Entries int64
	Sealed  Seal // the last seal, with which the chain agrees
	Seals   int
	Broken  string // where it does not; "" when it is whole
}

// VerifyAudit follows the whole chain and holds it to every seal, and to a hash that
// somebody has kept elsewhere, when one is given.
func (b *Bot) VerifyAudit(ctx context.Context, kept string) (AuditState, error) {
	var state AuditState
	values, err := b.store.Values(ctx, drawerSeals, b.now())
	if err != nil {
		return state, err
	}
	var seals []Seal
	for _, value := range values {
		var s Seal
		if err := json.Unmarshal(value, &s); err != nil {
			return state, fmt.Errorf("a seal of the audit: %w", err)
		}
		seals = append(seals, s)
	}
	slices.SortFunc(seals, func(x, y Seal) int { return int(x.Seq - y.Seq) })
	state.Seals = len(seals)
	found := kept == ""
	err = b.walk(ctx, Seal{}, func(s Seal, _ *AuditEntry) error {
		state.Entries++
		found = found || s.Hash == kept
		for len(seals) > 0 && seals[0].Seq <= s.Seq {
			if seals[0].Hash != s.Hash && state.Broken == "" {
				state.Broken = fmt.Sprintf("before entry %d, which was sealed on %s: an entry was changed, added or taken out since the seal before it", seals[0].Seq, seals[0].At.UTC().Format(time.RFC3339))
			} else if state.Broken == "" {
				state.Sealed = seals[0]
			}
			seals = seals[1:]
		}
		return nil
	})
	switch {
	case err != nil || state.Broken != "":
	case len(seals) > 0:
		state.Broken = fmt.Sprintf("at its end: entry %d was sealed on %s, and is not there", seals[0].Seq, seals[0].At.UTC().Format(time.RFC3339))
	case !found:
		state.Broken = "the hash that was kept elsewhere is in no place of the chain"
	}
	return state, err
}

// AuditTail gives the last entries, newest first.
func (b *Bot) AuditTail(ctx context.Context, before int64, limit int) ([]AuditEntry, error) {
	if before == 0 {
		head, err := b.seal(ctx, sealHead)
		if err != nil {
			return nil, err
		}
		err = b.walk(ctx, head, func(s Seal, _ *AuditEntry) error { head = s; return nil })
		if err != nil {
			return nil, err
		}
		before = head.Seq + 1
	}
	entries, err := b.store.AuditLog(ctx, max(0, before-1-int64(limit)), limit)
	entries = slices.DeleteFunc(entries, func(e AuditEntry) bool { return e.Seq >= before })
	slices.Reverse(entries)
	return entries, err
}

// AccessTo lists everything that was read or done of one person, oldest first: she
// may ask for it.
func (b *Bot) AccessTo(ctx context.Context, patient string) ([]AuditEntry, error) {
	var out []AuditEntry
	err := b.walk(ctx, Seal{}, func(_ Seal, e *AuditEntry) error {
		if e.Patient == patient || strings.HasPrefix(e.Ref, patient+RowMark) {
			out = append(out, *e)
		}
		return nil
	})
	return out, err
}
