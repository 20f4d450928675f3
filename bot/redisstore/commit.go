package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
	"lookout/flows/triage"
)

// who is how a patient is found, kept in her slot beside her record.
type who struct {
	// Addresses are "CHANNEL\0AT" of each.
	Addresses []string `json:"a"`
	// Index are her members of the index, each ending in her id:
	// "i\0SERVICE\0ID", "w\0SERVICE\0PART OF HER NAME\0ID", "n\0SERVICE\0NHS NUMBER\0ID", "b\0SERVICE\0BIRTH DATE\0ID".
	// Where the store is encrypted, what stands there of her is as package vault looks up by it.
	Index []string `json:"i"`
}

// service is the one that she belongs to.
func (w *who) service() (service string) {
	for _, m := range w.Index {
		if rest, ok := strings.CutPrefix(m, "i\x00"); ok {
			service, _, _ = strings.Cut(rest, "\x00")
		}
	}
	return service
}

func (s *Store) whoIs(p *bot.Patient) who {
	w := who{Addresses: []string{}}
	for _, a := range p.Addresses {
		w.Addresses = append(w.Addresses, a.Channel+"\x00"+s.blindAt(a).At)
	}
	add := func(kind string, parts ...string) {
		w.Index = append(w.Index, kind+"\x00"+p.Service+"\x00"+strings.Join(append(parts, p.ID), "\x00"))
	}
	add("i")
	parts := bot.NameParts(p.GivenName + " " + p.FamilyName)
	for _, part := range parts {
		if s.vault == nil {
			add("w", part)
			continue
		}
		for _, mark := range s.vault.Begins(part) {
			add("w", mark)
		}
	}
	if p.NHSNumber != "" {
		add("n", s.vault.Blind("nhs", p.NHSNumber))
	}
	if p.BirthDate != "" {
		add("b", s.vault.Blind("birth", p.BirthDate))
	}
	slices.Sort(w.Index)
	w.Index = slices.Compact(w.Index)
	return w
}

// cardOf is the parts of her name, sealed; nil where the store is in the clear.
func (s *Store) cardOf(p *bot.Patient) ([]byte, error) {
	if s.vault == nil {
		return nil, nil
	}
	return s.vault.Encode(vault.CardPlace(p.ID), bot.NameParts(p.GivenName+" "+p.FamilyName))
}

// blindAt is an address as it is looked up.
func (s *Store) blindAt(a bot.Address) bot.Address {
	if s.vault != nil {
		a.At = s.vault.Blind("at", a.Channel+"\x00"+a.At)
	}
	return a
}

// recipient stands for an address where the order in which messages leave is
// kept, so that no number is copied there.
func (s *Store) recipient(a bot.Address) string {
	if s.vault != nil {
		return s.blindAt(a).At
	}
	sum := sha256.Sum256([]byte(a.Channel + "\x00" + a.At))
	return hex.EncodeToString(sum[:8])
}

// foundBy sums up all that whoIs goes by, without its work.
func foundBy(p *bot.Patient) string {
	parts := []string{p.Service, p.GivenName, p.FamilyName, p.NHSNumber, p.BirthDate}
	for _, a := range p.Addresses {
		parts = append(parts, a.Channel, a.At)
	}
	return strings.Join(parts, "\x00")
}

// places numbers the lists of the queue as the scripts know them.
var places = []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed}

// levelBand is the width of a level in the scores of the queue: more than any
// due time in milliseconds.
const levelBand = 1 << 43

// queueScore orders rows that are not closed: the most dangerous first, then by due time.
func queueScore(r *bot.Row) int64 {
	level := min(max(int64(r.Level), 0), int64(triage.Emergency))
	return (int64(triage.Emergency)-level)*levelBand + min(max(millis(r.DueAt), 0), levelBand-1)
}

// queueMember makes rows of the same score stand by their opening.
func queueMember(r *bot.Row) string { return fmt.Sprintf("%014d:%s", max(millis(r.OpenedAt), 0), r.ID) }

// channelName is a channel's name without spaces, as it stands among other words.
func channelName(channel string) string { return url.QueryEscape(channel) + "." }

func channelOf(name string) string {
	channel, _ := url.QueryUnescape(strings.TrimSuffix(name, ".")) // channelName made it
	return channel
}

// encoded is a change as the script takes it, but for the claim of its key.
type encoded struct {
	keys []string
	args []any // args[genArg] is the claim's generation
}

const (
	genArg    = 3
	claimsKey = 17 // of keys: where the claim of the change's key lies, if that is on the same server
)

// encode encodes a change. known: by what she is found has not changed.
func (s *Store) encode(c *bot.Change, known bool) (*encoded, error) {
	p, k := &c.Record.Patient, s.keys
	e := &encoded{}
	record, err := s.vault.Encode(vault.RecordPlace(p.ID), &c.Record)
	if err != nil {
		return nil, fmt.Errorf("%w: record: %w", bot.ErrInvalid, err)
	}
	var whoText, card []byte
	if !known {
		if whoText, err = json.Marshal(s.whoIs(p)); err != nil {
			return nil, fmt.Errorf("%w: record: %w", bot.ErrInvalid, err)
		}
		if card, err = s.cardOf(p); err != nil {
			return nil, fmt.Errorf("%w: record: %w", bot.ErrInvalid, err)
		}
	}
	sl := slotOf(p.ID)
	e.keys = []string{k.record(p.ID), k.journal(p.ID), k.rows(p.ID), k.messages(p.ID), k.done(p.ID), k.who(sl), k.index(sl), k.due(sl), k.services(sl)}
	for _, state := range places {
		e.keys = append(e.keys, k.queue(sl, p.Service, state))
	}
	e.keys = append(e.keys, k.unsettled(sl), k.audit(sl), k.counters(sl), k.leavings(sl), k.done(p.ID), k.cards(sl), k.unsaid(sl))
	words := ""
	if len(bot.SaidOn(c.Entries)) > 0 {
		words = "1"
	}
	e.args = []any{p.ID, c.Base, c.Key, 0, nextWake(c.Record.Wakes), record, whoText, p.Service,
		len(c.Entries), len(c.Rows), len(c.Send), len(c.Cancel), len(c.Audit), words}
	for i := range c.Entries {
		if err := e.add(s.vault, vault.EntryPlace(p.ID), "entry", &c.Entries[i]); err != nil {
			return nil, err
		}
	}
	if err := e.addRows(s.vault, c.Rows); err != nil {
		return nil, err
	}
	if err := e.addSends(s, sl, c.Send); err != nil {
		return nil, err
	}
	for _, id := range c.Cancel {
		_, n, _ := bot.OwnerOf(id, bot.MessageMark) // Change.Check has seen it
		e.args = append(e.args, n)
	}
	for i := range c.Audit {
		if err := e.add(s.vault, vault.AuditPlace, "audit entry", &c.Audit[i]); err != nil {
			return nil, err
		}
	}
	if card != nil {
		e.args = append(e.args, card)
	}
	return e, nil
}

// add appends something as it is kept in its place.
func (e *encoded) add(v *vault.Vault, place, what string, x any) error {
	text, err := v.Encode(place, x)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", bot.ErrInvalid, what, err)
	}
	e.args = append(e.args, text)
	return nil
}

func (e *encoded) addRows(v *vault.Vault, rows []bot.Row) error {
	for i := range rows {
		r := &rows[i]
		_, n, _ := bot.OwnerOf(r.ID, bot.RowMark)
		place := slices.Index(places, r.State)
		if place < 0 {
			return fmt.Errorf("%w: row %q: there is no state %q", bot.ErrInvalid, r.ID, r.State)
		}
		e.args = append(e.args, n)
		if err := e.add(v, vault.RowPlace(r.ID), "row", r); err != nil {
			return err
		}
		score := queueScore(r)
		if r.State == bot.Closed {
			score = millis(r.ClosedAt)
		}
		e.args = append(e.args, place+1, queueMember(r), score)
	}
	return nil
}

func (e *encoded) addSends(s *Store, sl slot, sends []bot.Outgoing) error {
	var channels []string
	for i := range sends {
		o := &sends[i]
		channel := slices.Index(channels, o.To.Channel)
		if channel < 0 {
			channel = len(channels)
			channels = append(channels, o.To.Channel)
			e.keys = append(e.keys, s.keys.ready(sl, o.To.Channel), s.keys.later(sl, o.To.Channel))
		}
		_, n, _ := bot.OwnerOf(o.ID, bot.MessageMark)
		e.args = append(e.args, n, o.ID)
		if err := e.add(s.vault, vault.MessagePlace(o.ID), "outgoing", o); err != nil {
			return err
		}
		if o.Priority < 0 || o.Priority > bot.PriorityPlanned {
			return fmt.Errorf("%w: message %q: there is no priority %d", bot.ErrInvalid, o.ID, o.Priority)
		}
		e.args = append(e.args, channel+1, channelName(o.To.Channel), s.recipient(o.To), int(o.Priority), millis(o.NotBefore), millis(o.CreatedAt))
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
		return ""
	}
	return first.UnixMilli()
}

// maxClaims bounds how often a change is tried while others claim its key. Each
// time that it is barred, another has claimed it meanwhile.
const maxClaims = 20

// Commit makes a change durable, whole.
func (s *Store) Commit(ctx context.Context, c bot.Change) error {
	if err := c.Check(); err != nil {
		return err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.state.Load().Refusal(); err != nil {
		s.checkSoon()
		return fmt.Errorf("%w: %w", bot.ErrUnavailable, err)
	}
	p := &c.Record.Patient
	found := foundBy(p)
	last := s.listed.get(p.ID)
	known := c.Base > 0 && last.version == c.Base && last.found == found
	e, err := s.encode(&c, known) // all encoding on the caller's time
	if err != nil {
		return err
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	barred, claimed := int64(0), false
	for range maxClaims {
		switch {
		case c.Key == "":
		case s.servers.single != nil && barred == 0 && !claimed:
			// One server has all slots: the script claims the key itself.
			e.keys[claimsKey], e.args[genArg] = s.keys.claims(c.Key), ""
		default:
			gen, err := s.claimKey(ctx, c.Key, p.ID, barred)
			if err != nil {
				return err
			}
			e.args[genArg] = gen
		}
		if !known {
			if err := s.enterAddresses(ctx, p, c.Base); err != nil {
				return err
			}
		}
		run := scriptCommit.call(e.keys, e.args...)
		if err := s.servers.write(ctx, run); err != nil {
			s.checkSoon()
			return err
		}
		answer, err := run.done.Slice()
		if err != nil || len(answer) == 0 {
			return unavailable(fmt.Errorf("an answer that is none: %w", err))
		}
		switch answer[0] {
		case "ok":
			was, _ := answer[1].(string)
			s.listed.put(p.ID, listing{c.Base + 1, found, last.live})
			s.committed(ctx, p.ID, c.Base+1, was)
			return nil
		case "duplicate":
			return bot.ErrDuplicate
		case "conflict":
			return bot.ErrConflict
		case "taken":
			return fmt.Errorf("%w: a message's id is taken", bot.ErrUnavailable)
		case "claimed":
			claimed = true
		case "barred":
			barred, _ = answer[1].(int64)
		}
	}
	return fmt.Errorf("%w: the change's key was claimed by others %d times", bot.ErrUnavailable, maxClaims)
}

// yield is how long a claim of another is given to end in a commit, before it is
// barred; longer each time, and never quite as long as another caller's.
const yield = 20 * time.Millisecond

// claimKey claims an idempotency key for a patient, above the generation that was
// barred, and gives the claim's generation. [bot.ErrDuplicate]: another has used it.
func (s *Store) claimKey(ctx context.Context, key, patient string, barred int64) (int64, error) {
	register := s.keys.claims(key)
	yielded := "" // the claim that was given time
	for try := range maxClaims {
		mine, held := plain("hsetnx", register, key, "1 "+patient), plain("hget", register, key)
		if err := s.servers.write(ctx, mine, held); err != nil {
			return 0, err
		}
		now, _ := held.done.Text()
		gen, owner, _ := strings.Cut(now, " ")
		is := atoi(gen)
		if owner == patient && is > barred {
			return is, nil
		}
		if owner != patient {
			used, err := s.keyUsed(ctx, key, owner, is, now == yielded)
			if err != nil {
				return 0, err
			}
			if used {
				return 0, bot.ErrDuplicate
			}
			if now != yielded {
				yielded = now
				if err := pause(ctx, yield<<min(try, 6)+rand.N(yield)); err != nil {
					return 0, err
				}
				continue
			}
		}
		next := max(is, barred) + 1
		swap := scriptSwap.call([]string{register}, key, now, fmt.Sprintf("%d %s", next, patient))
		if err := s.servers.write(ctx, swap); err != nil {
			return 0, err
		}
		if ok, _ := swap.done.Int64(); ok == 1 {
			return next, nil
		}
	}
	return 0, fmt.Errorf("%w: the change's key was claimed by others %d times", bot.ErrUnavailable, maxClaims)
}

// keyUsed says whether the owner of a claim has used the key. With bar, if she
// has not, that claim of hers counts no more from here on.
func (s *Store) keyUsed(ctx context.Context, key, owner string, gen int64, bar bool) (bool, error) {
	if !bar {
		look := plain("hget", s.keys.done(owner), key)
		err := s.servers.sure(ctx, look)
		is, _ := look.done.Text()
		return is == "done", err
	}
	run := scriptBar.call([]string{s.keys.done(owner)}, key, gen)
	if err := s.servers.write(ctx, run); err != nil {
		return false, err
	}
	barred, _ := run.done.Int64()
	return barred == 0, nil
}

// pause waits, or gives up with the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-timer.C:
		return nil
	}
}

// enterAddresses enters her where her addresses are looked up, before her record
// lists them.
func (s *Store) enterAddresses(ctx context.Context, p *bot.Patient, base int64) error {
	if len(p.Addresses) == 0 {
		return nil
	}
	var enter []*command
	for _, a := range p.Addresses {
		enter = append(enter, scriptAddress.call([]string{s.keys.at(p.Service, s.blindAt(a))}, p.ID, base+1))
	}
	return s.servers.write(ctx, enter...)
}

// committed tidies up after a commit: it is kept already, and what fails here
// the next [Store.Sweep] does.
func (s *Store) committed(ctx context.Context, patient string, version int64, was string) {
	if was == "" {
		return
	}
	if err := s.takeOut(ctx, slotOf(patient), fmt.Sprintf("%s@%d", patient, version), was); err != nil {
		s.options.Log.Warn("an old address was not taken out: the next sweep does it", "patient", patient, "err", err)
	}
}
