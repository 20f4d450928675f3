package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/vault"
)

const (
	resealPage   = 256 // people of one list
	resealAtOnce = 8   // people under way
	resealTries  = 50  // while others change her

	rewriteAgain = time.Second // after a server that is writing its file anew already
)

// Reseal seals everything that is in the clear, or was sealed by an old key, with
// the primary one. The store must have been opened to be encrypted. What was cut
// short goes on when it is called again. told hears how many people are done.
//
// A store in the clear must be nobody else's meanwhile: those that have it open
// refuse patients from their next check on. One that is encrypted may be served.
func (s *Store) Reseal(ctx context.Context, told func(people int)) (vault.Resealed, error) {
	var done vault.Resealed
	if s.vault == nil {
		return done, fmt.Errorf("%w: the store was not opened to be encrypted", bot.ErrInvalid)
	}
	first := s.Encryption().Kept == vault.Begun
	if err := s.takeOutLeavings(ctx); err != nil {
		return done, err
	}
	var err error
	if done.Looked, done.People, err = s.resealPeople(ctx, told); err != nil {
		return done, err
	}
	if done.Values, err = s.resealValues(ctx); err != nil {
		return done, err
	}
	// Twice: what the first gathers into the log, the second takes out of the slots.
	if err := errors.Join(s.trimAudit(ctx), s.trimAudit(ctx)); err != nil {
		return done, err
	}
	if done.Audit, err = s.resealAudit(ctx); err != nil {
		return done, err
	}
	if first {
		err = s.resealed(ctx)
	}
	return done, err
}

func (s *Store) resealPeople(ctx context.Context, told func(people int)) (looked, people int, err error) {
	var sealed atomic.Int64
	for after := ""; ; {
		ids, err := s.Everyone(ctx, after, resealPage)
		if err != nil || len(ids) == 0 {
			return looked, int(sealed.Load()), err
		}
		for part := range slices.Chunk(ids, resealAtOnce) {
			errs := make([]error, len(part))
			var wg sync.WaitGroup
			for i, id := range part {
				wg.Go(func() {
					did, err := s.resealOne(ctx, id)
					if errs[i] = err; did {
						sealed.Add(1)
					}
				})
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				return looked, int(sealed.Load()), err
			}
		}
		looked += len(ids)
		after = ids[len(ids)-1]
		if told != nil {
			told(looked)
		}
	}
}

// resealing is what is kept of a patient, as it was read.
type resealing struct {
	id             string
	record, who    string
	card           string
	wasClear       bool
	journal        []string
	rows, messages map[string]string
	before         who

	outside              []*command // to be written first
	guards               []any      // what must still be so
	x                    writing
	leavings, leavingsOf string // to be taken out afterwards
}

// resealOne seals what is kept of a patient anew; false: it was fresh.
func (s *Store) resealOne(ctx context.Context, id string) (bool, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	for range resealTries {
		r, err := s.readToReseal(ctx, id)
		if err != nil || r == nil {
			return false, err
		}
		if err := s.sealAnew(ctx, r); err != nil {
			return false, err
		}
		if len(r.x.args) == 0 {
			return false, nil
		}
		if len(r.outside) > 0 {
			if err := s.servers.write(ctx, r.outside...); err != nil {
				return false, err
			}
		}
		run := scriptReseal.call(r.x.keys, append(append([]any{len(r.guards) / 3}, r.guards...), r.x.args...)...)
		if err := s.servers.write(ctx, run); err != nil {
			return false, err
		}
		if n, _ := run.done.Int64(); n == 0 {
			continue // she has written just now
		}
		if r.leavings != "" {
			return true, s.takeOut(ctx, slotOf(id), r.leavingsOf, r.leavings)
		}
		return true, nil
	}
	return false, fmt.Errorf("%w: %s was changed again and again meanwhile", bot.ErrConflict, id)
}

func (s *Store) readToReseal(ctx context.Context, id string) (*resealing, error) {
	k := s.keys
	record, who, journal := plain("get", k.record(id)), plain("hget", k.who(slotOf(id)), id), plain("lrange", k.journal(id), 0, -1)
	card := plain("hget", k.cards(slotOf(id)), id)
	rows, messages := plain("hgetall", k.rows(id)), plain("hgetall", k.messages(id))
	if err := s.servers.read(ctx, record, who, card, journal, rows, messages); err != nil {
		return nil, err
	}
	r := &resealing{id: id, rows: pairs(rows), messages: pairs(messages)}
	var err error
	if r.record, err = record.done.Text(); err != nil {
		return nil, nil // she was erased meanwhile
	}
	r.who, _ = who.done.Text()
	r.card, _ = card.done.Text()
	r.journal, _ = journal.done.StringSlice()
	return r, nil
}

// sealAnew gathers the commands that seal what is stale.
func (s *Store) sealAnew(ctx context.Context, r *resealing) error {
	k, sl := s.keys, slotOf(r.id)
	head, body, _ := strings.Cut(r.record, "\n")
	r.wasClear = !vault.Sealed([]byte(body))
	rec, err := open[bot.Record](s, vault.RecordPlace(r.id), body)
	if err != nil {
		return err
	}
	r.x.keys = []string{k.record(r.id), k.who(sl)}
	r.guards = []any{1, "", r.record, 2, r.id, r.who}
	if r.before, err = decode[who](r.who); err != nil {
		return err
	}
	again := func(name, key, place, kept string, args ...any) error {
		if s.vault.Fresh([]byte(kept)) {
			return nil
		}
		sealed, err := s.vault.Again(place, []byte(kept))
		if err == nil {
			r.x.add(name, key, append(args, sealed)...)
		}
		return unavailable(err)
	}
	var errs []error
	for i, text := range r.journal {
		errs = append(errs, again("LSET", k.journal(r.id), vault.EntryPlace(r.id), text, i))
	}
	for n, text := range r.rows {
		if !strings.HasSuffix(n, ":q") {
			errs = append(errs, again("HSET", k.rows(r.id), vault.RowPlace(r.id+bot.RowMark+n), text, n))
		}
	}
	for n, text := range r.messages {
		if strings.Contains(n, ":") {
			continue
		}
		if !vault.Sealed([]byte(text)) {
			errs = append(errs, s.recipientAnew(ctx, r, n, text))
		}
		errs = append(errs, again("HSET", k.messages(r.id), vault.MessagePlace(r.id+bot.MessageMark+n), text, n))
	}
	if r.wasClear {
		errs = append(errs, s.saidAnew(r, rec.Patient.Service))
	}
	errs = append(errs, s.whoAnew(ctx, r, &rec.Patient, head))
	if !s.vault.Fresh([]byte(body)) {
		sealed, err := s.vault.Again(vault.RecordPlace(r.id), []byte(body))
		errs = append(errs, err)
		r.x.add("SET", k.record(r.id), head+"\n"+string(sealed))
	}
	return errors.Join(errs...)
}

// saidAnew enters what she has said under the marks of a store that is encrypted, and
// takes it out where it was.
func (s *Store) saidAnew(r *resealing, service string) error {
	entries := make([]bot.Entry, len(r.journal))
	for i, text := range r.journal {
		var err error
		if entries[i], err = open[bot.Entry](s, vault.EntryPlace(r.id), text); err != nil {
			return err
		}
	}
	r.outside = append(r.outside, s.enterSaid(r.id, service, entries)...)
	stay := s.saidKeys(s.vault, service, entries)
	for _, key := range s.saidKeys(nil, service, entries) {
		if !slices.Contains(stay, key) {
			r.outside = append(r.outside, plain("zrem", key, r.id))
		}
	}
	return nil
}

// whoAnew is how she is found: all of it where it is in the clear, else her card,
// which changes with her record alone.
func (s *Store) whoAnew(ctx context.Context, r *resealing, p *bot.Patient, head string) error {
	k, sl := s.keys, slotOf(r.id)
	if !r.wasClear && s.vault.Fresh([]byte(r.card)) {
		return nil
	}
	card, err := s.cardOf(p)
	if err != nil {
		return unavailable(err)
	}
	r.x.add("HSET", k.cards(sl), r.id, card)
	if !r.wasClear {
		return nil
	}
	now := s.whoIs(p)
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	r.x.add("HSET", k.who(sl), r.id, text)
	for _, m := range r.before.Index {
		r.x.add("ZREM", k.index(sl), m)
	}
	for _, m := range now.Index {
		r.x.add("ZADD", k.index(sl), 0, m)
	}
	// She is entered where her addresses are looked up from now on, and taken out
	// where they were: a note of that is kept until it is done.
	if len(p.Addresses) == 0 {
		return nil
	}
	look := make([]*command, len(p.Addresses))
	for i, a := range p.Addresses {
		look[i] = plain("hget", k.at(p.Service, a), r.id)
	}
	if err := s.servers.read(ctx, look...); err != nil {
		return err
	}
	for i, a := range p.Addresses {
		if place, err := look[i].done.Text(); err == nil {
			r.outside = append(r.outside, plain("hsetnx", k.at(p.Service, s.blindAt(a)), r.id, place))
		}
	}
	version, _, _ := strings.Cut(head, " ")
	note, err := json.Marshal(leavings{who: r.before})
	r.leavingsOf, r.leavings = r.id+"@"+version, string(note)
	r.x.add("HSET", k.leavings(sl), r.leavingsOf, r.leavings)
	return err
}

// recipientAnew changes whom a message is for where the order is kept in which
// messages leave.
func (s *Store) recipientAnew(ctx context.Context, r *resealing, n, text string) error {
	k, sl, id := s.keys, slotOf(r.id), r.id+bot.MessageMark+n
	o, err := s.decodeOutgoing(id, text, r.messages[n+":s"], "", "")
	if err != nil {
		return err
	}
	f := strings.Fields(r.messages[n+":s"])
	was, is := f[9], s.recipient(o.To)
	if was == is {
		return nil
	}
	ready, later := k.ready(sl, o.To.Channel), k.later(sl, o.To.Channel)
	inReady, inLater := plain("zscore", ready, was+":"+id), plain("zscore", later, f[6]+" "+was+":"+id)
	if err := s.servers.read(ctx, inReady, inLater); err != nil {
		return err
	}
	for _, x := range []struct {
		score       *command
		key, before string
	}{{inReady, ready, ""}, {inLater, later, f[6] + " "}} {
		if score, err := x.score.done.Text(); err == nil {
			r.x.add("ZREM", x.key, x.before+was+":"+id)
			r.x.add("ZADD", x.key, score, x.before+is+":"+id)
		}
	}
	f[9] = is
	r.x.add("HSET", k.messages(r.id), n+":s", strings.Join(f, " "))
	return nil
}

// resealValues seals the values of all drawers anew, one by one.
func (s *Store) resealValues(ctx context.Context) (int, error) {
	drawers, err := s.Drawers(ctx)
	if err != nil {
		return 0, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	n := 0
	for _, drawer := range drawers {
		get := everySlot(func(sl slot) *command { return plain("hgetall", s.keys.values(sl, drawer)) })
		if err := s.servers.read(ctx, get...); err != nil {
			return n, err
		}
		for i, c := range get {
			for name, text := range pairs(c) {
				until, kept, ok := strings.Cut(text, "\n")
				if !ok || s.vault.Fresh([]byte(kept)) {
					continue
				}
				if err := s.resealValue(ctx, slot(i), drawer, name, until, kept, text); err != nil {
					return n, err
				}
				n++
			}
		}
	}
	return n, nil
}

func (s *Store) resealValue(ctx context.Context, sl slot, drawer, name, until, kept, text string) error {
	key, value, err := s.vault.OpenValue(drawer, name, []byte(kept))
	if err != nil {
		return unavailable(err)
	}
	again, sealed, err := s.vault.SealValue(drawer, key, value)
	if err != nil {
		return unavailable(err)
	}
	if again == name { // another may have put a new one meanwhile, sealed well enough
		return s.servers.write(ctx, scriptSwap.call([]string{s.keys.values(sl, drawer)}, name, text, until+"\n"+string(sealed)))
	}
	to := slotOf(valueName(drawer, again))
	err = s.servers.write(ctx, scriptPut.call([]string{s.keys.values(to, drawer), s.keys.expires(to), s.keys.drawers(to)},
		again, valueName(drawer, again), until, sealed, drawer))
	if err != nil {
		return err
	}
	return s.servers.write(ctx, scriptTake.call([]string{s.keys.values(sl, drawer), s.keys.expires(sl)}, name, valueName(drawer, name)))
}

// resealAudit seals the entries of the log anew, each in its place.
func (s *Store) resealAudit(ctx context.Context) (int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	n := 0
	for chunk := int64(0); ; chunk++ {
		for from := int64(0); from < chunkSize; from += gatherPart {
			get := plain("lrange", s.keys.log(chunk), from, from+gatherPart-1)
			if err := s.servers.read(ctx, get); err != nil {
				return n, err
			}
			texts, _ := get.done.StringSlice()
			if len(texts) == 0 {
				return n, nil
			}
			var put []*command
			for i, text := range texts {
				if s.vault.Fresh([]byte(text)) {
					continue
				}
				sealed, err := s.vault.Again(vault.AuditPlace, []byte(text))
				if err != nil {
					return n, unavailable(err)
				}
				put = append(put, plain("lset", s.keys.log(chunk), from+int64(i), sealed))
			}
			if len(put) > 0 {
				if err := s.servers.write(ctx, put...); err != nil {
					return n, err
				}
				n += len(put)
			}
		}
	}
}

// resealed ends a first encryption: it looks over all once more, forgets which
// telephones were held, says that it is done, and has the servers write their
// files anew.
func (s *Store) resealed(ctx context.Context) error {
	if err := s.takeOutLeavings(ctx); err != nil {
		return err
	}
	_, people, err := s.resealPeople(ctx, nil)
	if err != nil {
		return err
	}
	values, err := s.resealValues(ctx)
	if err != nil {
		return err
	}
	if people+values > 0 {
		return fmt.Errorf("%d people and values were in the clear again: somebody else has written to the store: stop every lookout, and run this again", people+values)
	}
	if err := s.forgetHeld(ctx); err != nil {
		return err
	}
	was := s.Encryption()
	is := vault.State{Kept: vault.Whole, Keyset: was.Keyset}
	now, err := s.setState(ctx, was, is)
	if err != nil {
		return err
	}
	s.kept.Store(&now)
	return s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		for {
			err := c.BgRewriteAOF(ctx).Err()
			if err == nil || !strings.Contains(err.Error(), "in progress") {
				return unavailable(err)
			}
			if err := pause(ctx, rewriteAgain); err != nil { // that one began too early
				return err
			}
		}
	})
}

// forgetHeld removes what says which telephones a message is on its way to: their
// names were made without a key. A message's own lease still holds.
func (s *Store) forgetHeld(ctx context.Context) error {
	return s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		keys := c.Scan(ctx, 0, s.keys.prefix+":{s*}:held:*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := c.Del(ctx, keys.Val()).Err(); err != nil {
				return unavailable(err)
			}
		}
		return unavailable(keys.Err())
	})
}
