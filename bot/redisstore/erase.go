package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/vault"
)

// leavings are what is kept of a patient in other slots than hers and must be
// taken out after a change or an erasure. They are noted by the script that
// makes them superfluous, so that what is cut short is done by a later sweep.
type leavings struct {
	who
	Carriers map[string]string `json:"c,omitempty"` // carrier's id → message of hers
	Keys     []string          `json:"k,omitempty"` // idempotency keys
	Said     []string          `json:"s,omitempty"` // keys at which her words are entered
	Held     []string          `json:"h,omitempty"` // "CHANNEL RECIPIENT MESSAGE" of each message that was not settled
}

// Erase removes everything of a patient, and then has the servers write their
// files anew, so that her words do not stay in them.
func (s *Store) Erase(ctx context.Context, patient string, version int64, entry bot.AuditEntry) error {
	text, err := s.vault.Encode(vault.AuditPlace, &entry)
	if err != nil {
		return fmt.Errorf("%w: audit entry: %w", bot.ErrInvalid, err)
	}
	entries, err := s.Journal(ctx, patient, 0, 0)
	if err != nil {
		return err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	sl := slotOf(patient)
	left, channels, service, err := s.leavingsOf(ctx, patient)
	if err != nil {
		return err
	}
	left.Said = s.saidKeys(s.vault, service, entries)
	k := s.keys
	keys := []string{k.record(patient), k.journal(patient), k.rows(patient), k.messages(patient), k.done(patient), k.who(sl), k.index(sl), k.due(sl)}
	for _, state := range places {
		keys = append(keys, k.queue(sl, service, state))
	}
	keys = append(keys, k.unsettled(sl), k.audit(sl), k.counters(sl), k.leavings(sl), k.cards(sl), k.unsaid(sl))
	leftText, err := json.Marshal(left)
	if err != nil {
		return unavailable(err)
	}
	args := []any{patient, version, text, leftText}
	for _, channel := range channels {
		keys = append(keys, k.ready(sl, channel), k.later(sl, channel))
		args = append(args, channelName(channel))
	}
	run := scriptErase.call(keys, args...)
	if err := s.servers.write(ctx, run); err != nil {
		return err
	}
	switch answer, _ := run.done.Text(); answer {
	case "missing":
		return bot.ErrNotFound
	case "conflict":
		return bot.ErrConflict
	}
	if err := s.takeOut(ctx, sl, fmt.Sprintf("%s@%d", patient, version), string(leftText)); err != nil {
		s.options.Log.Warn("not everything of an erased patient was taken out of the other slots: the next sweep does it", "patient", patient, "err", err)
		return nil
	}
	s.rewrite(ctx, k.record(patient))
	return nil
}

// leavingsOf looks up what of a patient lies outside her slot. Should she change
// meanwhile, her version does too, and nothing is erased.
func (s *Store) leavingsOf(ctx context.Context, patient string) (left leavings, channels []string, service string, err error) {
	w := plain("hget", s.keys.who(slotOf(patient)), patient)
	done := plain("hkeys", s.keys.done(patient))
	messages := plain("hgetall", s.keys.messages(patient))
	record := plain("get", s.keys.record(patient))
	if err := s.servers.read(ctx, w, done, messages, record); err != nil {
		return left, nil, "", err
	}
	text, err := w.done.Text()
	if errors.Is(err, redis.Nil) {
		return left, nil, "", bot.ErrNotFound
	}
	if left.who, err = decode[who](text); err != nil {
		return left, nil, "", err
	}
	recordText, _ := record.done.Text()
	_, recordText, _ = strings.Cut(recordText, "\n")
	rec, err := open[bot.Record](s, vault.RecordPlace(patient), recordText)
	if err != nil {
		return left, nil, "", err
	}
	left.Keys, _ = done.done.StringSlice()
	left.Carriers = make(map[string]string)
	for field, value := range pairs(messages) {
		n, what, _ := strings.Cut(field, ":")
		switch what {
		case "c":
			left.Carriers[value] = patient + bot.MessageMark + n
		case "s":
			st, err := parseStanding(value)
			if err != nil {
				return left, nil, "", unavailable(err)
			}
			if !slices.Contains(channels, st.channel) {
				channels = append(channels, st.channel)
			}
			if st.state < 2 {
				left.Held = append(left.Held, channelName(st.channel)+" "+st.recipient+" "+patient+bot.MessageMark+n)
			}
		}
	}
	return left, channels, rec.Patient.Service, nil
}

// takeOut takes leavings ("PATIENT@VERSION" → JSON) out of the other slots, and
// then their note out of hers. What she has now stays.
func (s *Store) takeOut(ctx context.Context, sl slot, name, text string) error {
	left, err := decode[leavings](text)
	if err != nil {
		return err
	}
	at := strings.LastIndex(name, "@")
	if at < 0 {
		return unavailable(errors.New("leavings without a version"))
	}
	patient, version := name[:at], name[at+1:]
	has := plain("hget", s.keys.who(sl), patient)
	if err := s.servers.read(ctx, has); err != nil {
		return err
	}
	var now who
	text, err = has.done.Text()
	there := err == nil
	if there {
		if now, err = decode[who](text); err != nil {
			return err
		}
	}
	service := left.service()
	var out []*command
	for _, a := range left.Addresses {
		if slices.Contains(now.Addresses, a) {
			continue
		}
		channel, at, _ := strings.Cut(a, "\x00")
		out = append(out, scriptLeave.call([]string{s.keys.at(service, bot.Address{Channel: channel, At: at})}, patient, version))
	}
	for id := range left.Carriers {
		out = append(out, plain("hdel", s.keys.carrier(id), id))
	}
	for _, h := range left.Held {
		f := strings.Fields(h)
		out = append(out, scriptLetGo.call([]string{s.keys.held(channelOf(f[0]), f[1])}, f[1], f[2]))
	}
	for _, key := range left.Said {
		if !there { // who has begun anew may say it again
			out = append(out, plain("zrem", key, patient))
		}
	}
	if len(out) > 0 {
		if err := s.servers.write(ctx, out...); err != nil {
			return err
		}
	}
	if err := s.takeOutKeys(ctx, patient, left.Keys); err != nil {
		return err
	}
	return s.servers.write(ctx, plain("hdel", s.keys.leavings(sl), name))
}

// takeOutKeys gives up the claims of idempotency keys that are still hers.
func (s *Store) takeOutKeys(ctx context.Context, patient string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	look := make([]*command, len(keys))
	for i, key := range keys {
		look[i] = plain("hget", s.keys.claims(key), key)
	}
	if err := s.servers.read(ctx, look...); err != nil {
		return err
	}
	var out []*command
	for i, key := range keys {
		held, err := look[i].done.Text()
		if _, owner, _ := strings.Cut(held, " "); err == nil && owner == patient {
			out = append(out, scriptSwap.call([]string{s.keys.claims(key)}, key, held, ""))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return s.servers.write(ctx, out...)
}

// takeOutLeavings does what was cut short, in all slots.
func (s *Store) takeOutLeavings(ctx context.Context) error {
	look := everySlot(func(sl slot) *command { return plain("hgetall", s.keys.leavings(sl)) })
	if err := s.servers.read(ctx, look...); err != nil {
		return err
	}
	erased := false
	for i, c := range look {
		for name, text := range pairs(c) {
			if err := s.takeOut(ctx, slot(i), name, text); err != nil {
				return err
			}
			erased = true
		}
	}
	if erased {
		return s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
			c.BgRewriteAOF(ctx) // it may be under way already
			return nil
		})
	}
	return nil
}

// rewrite has a server write its file anew, from what it holds. One that is at it
// already began before the erasure: it is asked again by the next erasure or sweep.
func (s *Store) rewrite(ctx context.Context, key string) {
	node, err := s.servers.server(ctx, key)
	if err == nil {
		err = node.BgRewriteAOF(ctx).Err()
	}
	if err != nil {
		s.options.Log.Warn("the file was not written anew after an erasure: see that BGREWRITEAOF is done", "err", err)
	}
}
