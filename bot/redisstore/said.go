package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lookout/bot"
	"lookout/bot/vault"
)

// enterSaid are the commands that enter the words of messages.
func (s *Store) enterSaid(patient, service string, entries []bot.Entry) []*command {
	var all []*command
	for day, words := range bot.SaidOn(entries) {
		for _, w := range words {
			all = append(all, plain("zadd", s.keys.said(service, s.vault.Said(service, w)), "gt", day, patient))
		}
	}
	return all
}

// saidKeys are where the words of messages are entered, as a vault marks them.
func (s *Store) saidKeys(v *vault.Vault, service string, entries []bot.Entry) []string {
	var all []string
	for _, words := range bot.SaidOn(entries) {
		for _, w := range words {
			all = append(all, s.keys.said(service, v.Said(service, w)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unsaid is a note of somebody whose new messages are not entered.
type unsaid struct{ patient, note string }

// newSaidAtOnce is how many people's new messages are entered in one go.
const newSaidAtOnce = 100

// EnterNewSaid enters the words of what was committed and is not entered yet. Where a server
// takes none, those of others are entered all the same, and it is told.
func (s *Store) EnterNewSaid(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	look := everySlot(func(sl slot) *command { return plain("hgetall", s.keys.unsaid(sl)) })
	if err := s.servers.read(ctx, look...); err != nil {
		return err
	}
	var noted []unsaid
	for _, c := range look {
		for patient, note := range pairs(c) {
			noted = append(noted, unsaid{patient, note})
		}
	}
	for part := range slices.Chunk(noted, newSaidAtOnce) {
		if fault := s.enterUnsaid(ctx, part); err == nil {
			err = fault
		}
	}
	return err
}

// enterUnsaid works notes off. One stays while not all of its words are entered, or when
// more came meanwhile.
func (s *Store) enterUnsaid(ctx context.Context, noted []unsaid) error {
	var look []*command
	for _, u := range noted {
		from, _, _ := strings.Cut(u.note, " ")
		look = append(look, plain("hget", s.keys.who(slotOf(u.patient)), u.patient), plain("lrange", s.keys.journal(u.patient), atoi(from)-1, -1))
	}
	if err := s.servers.read(ctx, look...); err != nil {
		return err
	}
	enter := make([][]*command, len(noted))
	var all, there []*command
	for i, u := range noted {
		text, _ := look[2*i].done.Text()
		lines, _ := look[2*i+1].done.StringSlice()
		w, err := decode[who](text)
		if err != nil {
			lines = nil // she was erased
		}
		var entries []bot.Entry
		for _, line := range lines {
			e, err := open[bot.Entry](s, vault.EntryPlace(u.patient), line)
			if err != nil {
				continue // it is told of where her journal is read: here it must not end everybody's search
			}
			entries = append(entries, e)
		}
		enter[i] = s.enterSaid(u.patient, w.service(), entries)
		all = append(all, enter[i]...)
		there = append(there, plain("exists", s.keys.record(u.patient)))
	}
	var fault error
	if len(all) > 0 {
		fault = s.servers.write(ctx, all...)
	}
	if err := s.servers.read(ctx, there...); err != nil {
		return err
	}
	var after []*command
	for i, u := range noted {
		if n, _ := there[i].done.Int64(); n == 0 { // an erasure did not know yet what was entered here
			for _, c := range enter[i] {
				after = append(after, plain("zrem", c.key, u.patient))
			}
		} else if slices.ContainsFunc(enter[i], func(c *command) bool { return c.err() != nil }) {
			continue
		}
		after = append(after, scriptSwap.call([]string{s.keys.unsaid(slotOf(u.patient))}, u.patient, u.note, ""))
	}
	if len(after) > 0 {
		if err := s.servers.write(ctx, after...); err != nil {
			return err
		}
	}
	return fault
}

// EnterSaid enters the words of all of her messages, from her journal.
func (s *Store) EnterSaid(ctx context.Context, patient string) error {
	rec, err := s.Load(ctx, patient)
	if err != nil {
		return err
	}
	entries, err := s.Journal(ctx, patient, 0, 0)
	if err != nil {
		return err
	}
	enter := s.enterSaid(patient, rec.Patient.Service, entries)
	if len(enter) == 0 {
		return nil
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.servers.write(ctx, enter...)
}

// saidAtOnce is how many of those who said the rarest word are looked at in one go, and
// saidCap how many at all.
const saidAtOnce, saidCap = 1000, 20_000

// Said lists people by whom each of the words was said.
func (s *Store) Said(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	if len(words) == 0 || limit <= 0 {
		return nil, nil
	}
	if err := s.EnterNewSaid(ctx); err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	keys, count := make([]string, len(words)), make([]*command, len(words))
	for i, w := range words {
		keys[i] = s.keys.said(service, s.vault.Said(service, w))
		count[i] = plain("zcard", keys[i])
	}
	if err := s.servers.read(ctx, count...); err != nil {
		return nil, err
	}
	first, fewest := 0, int64(-1)
	for i, c := range count {
		if n, _ := c.done.Int64(); fewest < 0 || n < fewest {
			first, fewest = i, n
		}
	}
	keys[0], keys[first] = keys[first], keys[0]
	var found []string
	for from := 0; from < min(int(fewest), saidCap) && len(found) < limit; from += saidAtOnce {
		page := saidAtOnce
		if len(keys) == 1 {
			page = limit
		}
		list := plain("zrevrange", keys[0], from, from+page-1)
		if err := s.servers.read(ctx, list); err != nil {
			return nil, err
		}
		ids, err := list.done.StringSlice()
		if err != nil {
			return nil, unavailable(fmt.Errorf("an answer that is none: %w", err))
		}
		if ids, err = s.alsoSaid(ctx, ids, keys[1:]); err != nil {
			return nil, err
		}
		if found = append(found, ids...); len(keys) == 1 {
			break
		}
	}
	return found[:min(len(found), limit)], nil
}

// alsoSaid keeps those who are in each of the sets.
func (s *Store) alsoSaid(ctx context.Context, ids, keys []string) ([]string, error) {
	if len(ids) == 0 || len(keys) == 0 {
		return ids, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	look := make([]*command, len(keys))
	for i, key := range keys {
		look[i] = plain("zmscore", key, args...)
	}
	if err := s.servers.read(ctx, look...); err != nil {
		return nil, err
	}
	var out []string
	scores := make([][]any, len(look))
	for i, c := range look {
		scores[i], _ = c.done.Slice()
	}
	for i, id := range ids {
		if !slices.ContainsFunc(scores, func(of []any) bool { return i >= len(of) || of[i] == nil }) {
			out = append(out, id)
		}
	}
	return out, nil
}
