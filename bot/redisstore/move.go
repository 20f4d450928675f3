package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/vault"
)

var _ bot.Portable = (*Store)(nil)

// Everyone lists the ids of all people.
func (s *Store) Everyone(ctx context.Context, after string, limit int) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	services, err := s.services(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, service := range services {
		part, err := s.idsOf(ctx, service, after, limit)
		if err != nil {
			return nil, err
		}
		ids = append(ids, part...)
	}
	slices.Sort(ids)
	return ids[:min(len(ids), limit)], nil
}

// exportTries is how often a patient is read who changes while she is read.
const exportTries = 50

// Export gives everything of a patient, of one moment.
func (s *Store) Export(ctx context.Context, patient string) (bot.Whole, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return bot.Whole{}, err
	}
	defer leave()
	for range exportTries {
		w, err := s.export(ctx, patient)
		if err != nil {
			return w, err
		}
		// A commit in between has raised her version.
		head := plain("getrange", s.keys.record(patient), 0, 31)
		if err := s.servers.read(ctx, head); err != nil {
			return w, err
		}
		text, _ := head.done.Text()
		if version, _, _ := strings.Cut(text, " "); atoi(version) == w.Version {
			return w, nil
		}
	}
	return bot.Whole{}, fmt.Errorf("%w: %s was changed again and again while she was read", bot.ErrUnavailable, patient)
}

func (s *Store) export(ctx context.Context, patient string) (bot.Whole, error) {
	var w bot.Whole
	record, journal := plain("get", s.keys.record(patient)), plain("lrange", s.keys.journal(patient), 0, -1)
	rows, messages, done := plain("hgetall", s.keys.rows(patient)), plain("hgetall", s.keys.messages(patient)), plain("hgetall", s.keys.done(patient))
	if err := s.servers.read(ctx, record, journal, rows, messages, done); err != nil {
		return w, err
	}
	text, err := record.done.Text()
	if errors.Is(err, redis.Nil) {
		return w, bot.ErrNotFound
	}
	head, text, _ := strings.Cut(text, "\n")
	version, _, _ := strings.Cut(head, " ")
	w.Version = atoi(version)
	if w.Record, err = open[bot.Record](s, vault.RecordPlace(patient), text); err != nil {
		return w, err
	}
	texts, _ := journal.done.StringSlice()
	for i, text := range texts {
		e, err := open[bot.Entry](s, vault.EntryPlace(patient), text)
		if err != nil {
			return w, err
		}
		e.Seq = int64(i) + 1
		w.Entries = append(w.Entries, e)
	}
	for n, text := range pairs(rows) {
		if strings.HasSuffix(n, ":q") {
			continue
		}
		row, err := open[bot.Row](s, vault.RowPlace(patient+bot.RowMark+n), text)
		if err != nil {
			return w, err
		}
		w.Rows = append(w.Rows, row)
	}
	slices.SortFunc(w.Rows, func(a, b bot.Row) int { return byNumber(a.ID, b.ID, bot.RowMark) })
	fields := pairs(messages)
	for n, text := range fields {
		if strings.Contains(n, ":") {
			continue
		}
		o, err := s.decodeOutgoing(patient+bot.MessageMark+n, text, fields[n+":s"], fields[n+":c"], fields[n+":e"])
		if err != nil {
			return w, err
		}
		w.Messages = append(w.Messages, o)
	}
	slices.SortFunc(w.Messages, func(a, b bot.Outgoing) int { return byNumber(a.ID, b.ID, bot.MessageMark) })
	for key, is := range pairs(done) {
		if is == "done" {
			w.Keys = append(w.Keys, key)
		}
	}
	slices.Sort(w.Keys)
	w.Places, err = s.placesOf(ctx, &w.Record.Patient)
	return w, err
}

// byNumber compares ids of one patient's rows or messages.
func byNumber(a, b, mark string) int {
	_, x, _ := bot.OwnerOf(a, mark)
	_, y, _ := bot.OwnerOf(b, mark)
	return cmp.Compare(atoi(x), atoi(y))
}

// placesOf says the how-manyth she was to have each of her addresses.
func (s *Store) placesOf(ctx context.Context, p *bot.Patient) ([]int, error) {
	if len(p.Addresses) == 0 {
		return nil, nil
	}
	look := make([]*command, len(p.Addresses))
	for i, a := range p.Addresses {
		look[i] = plain("hgetall", s.keys.at(p.Service, s.blindAt(a)))
	}
	if err := s.servers.read(ctx, look...); err != nil {
		return nil, err
	}
	places := make([]int, len(look))
	for i, c := range look {
		entries := pairs(c)
		mine, _, _ := strings.Cut(entries[p.ID], " ")
		places[i] = 1
		for _, other := range entries {
			if place, _, _ := strings.Cut(other, " "); atoi(place) < atoi(mine) {
				places[i]++
			}
		}
	}
	return places, nil
}

// writing gathers what a slot shall hold of a patient, for the script import.
type writing struct {
	keys []string
	args []any
}

// mostArgs is how many arguments a command of a script takes at once; even, for pairs.
const mostArgs = 1000

func (x *writing) add(name, key string, args ...any) {
	place := slices.Index(x.keys, key) + 1
	if place == 0 {
		x.keys = append(x.keys, key)
		place = len(x.keys)
	}
	for part := range slices.Chunk(args, mostArgs) {
		x.args = append(append(x.args, name, place, len(part)), part...)
	}
}

// Import keeps everything of a patient. What lies in other slots is written
// first, as with a change; her record decides.
func (s *Store) Import(ctx context.Context, w bot.Whole) error {
	c := bot.Change{Record: w.Record, Rows: w.Rows, Send: w.Messages}
	if err := c.Check(); err != nil {
		return err
	}
	if w.Version <= 0 {
		return fmt.Errorf("%w: patient %q has no version", bot.ErrInvalid, w.Record.Patient.ID)
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	there := plain("exists", s.keys.record(w.Record.Patient.ID))
	if err := s.servers.read(ctx, there); err != nil {
		return err
	}
	if n, _ := there.done.Int64(); n > 0 {
		return bot.ErrConflict
	}
	x, err := s.writingOf(&w)
	if err != nil {
		return err
	}
	if outside := s.outside(&w); len(outside) > 0 {
		if err := s.servers.write(ctx, outside...); err != nil {
			return err
		}
	}
	run := scriptImport.call(x.keys, x.args...)
	if err := s.servers.write(ctx, run); err != nil {
		return err
	}
	if n, _ := run.done.Int64(); n == 0 {
		return bot.ErrConflict
	}
	return nil
}

// outside is what other slots hold of a patient.
func (s *Store) outside(w *bot.Whole) []*command {
	p := &w.Record.Patient
	var all []*command
	for i, a := range p.Addresses {
		place := 1
		if i < len(w.Places) {
			place = w.Places[i]
		}
		all = append(all, plain("hsetnx", s.keys.at(p.Service, s.blindAt(a)), p.ID, fmt.Sprintf("%d %d", place, w.Version)))
	}
	for _, key := range w.Keys {
		all = append(all, plain("hsetnx", s.keys.claims(key), key, "1 "+p.ID))
	}
	for i := range w.Messages {
		if o := &w.Messages[i]; o.CarrierID != "" {
			all = append(all, plain("hset", s.keys.carrier(o.CarrierID), o.CarrierID, o.ID))
		}
	}
	return append(all, s.enterSaid(p.ID, p.Service, w.Entries)...)
}

// writingOf is what her own slot shall hold of a patient.
func (s *Store) writingOf(w *bot.Whole) (*writing, error) {
	p := &w.Record.Patient
	k, sl := s.keys, slotOf(p.ID)
	x := &writing{keys: []string{k.record(p.ID)}}
	var faults []error
	text := func(place string, y any) string {
		text, err := s.vault.Encode(place, y)
		faults = append(faults, err)
		return string(text)
	}
	var live []string
	for i := range w.Rows {
		r := &w.Rows[i]
		_, n, _ := bot.OwnerOf(r.ID, bot.RowMark)
		place, score := slices.Index(places, r.State), queueScore(r)
		if place < 0 {
			return nil, fmt.Errorf("%w: row %q: there is no state %q", bot.ErrInvalid, r.ID, r.State)
		}
		if r.State == bot.Closed {
			score = millis(r.ClosedAt)
		} else {
			live = append(live, n)
		}
		x.add("HSET", k.rows(p.ID), n, text(vault.RowPlace(r.ID), r), n+":q", fmt.Sprintf("%d %s", place+1, queueMember(r)))
		x.add("ZADD", k.queue(sl, r.Service, r.State), score, queueMember(r))
	}
	x.add("SET", k.record(p.ID), fmt.Sprintf("%d %s\n%s", w.Version, strings.Join(live, ","), text(vault.RecordPlace(p.ID), &w.Record)))
	entries := make([]any, len(w.Entries))
	for i := range w.Entries {
		entries[i] = text(vault.EntryPlace(p.ID), &w.Entries[i])
	}
	x.add("RPUSH", k.journal(p.ID), entries...)
	var keys []any
	for _, key := range w.Keys {
		keys = append(keys, key, "done")
	}
	x.add("HSET", k.done(p.ID), keys...)
	for i := range w.Messages {
		s.writeMessage(x, &w.Messages[i], text(vault.MessagePlace(w.Messages[i].ID), &w.Messages[i]))
	}
	if wake := nextWake(w.Record.Wakes); wake != "" {
		x.add("ZADD", k.due(sl), wake, p.ID)
	}
	whoIs := s.whoIs(p)
	card, err := s.cardOf(p)
	if err != nil {
		return nil, err
	}
	if card != nil {
		x.add("HSET", k.cards(sl), p.ID, card)
	}
	whoText, err := json.Marshal(whoIs)
	if err != nil {
		return nil, err
	}
	x.add("HSET", k.who(sl), p.ID, whoText)
	for _, m := range whoIs.Index {
		x.add("ZADD", k.index(sl), 0, m)
	}
	x.add("SADD", k.services(sl), p.Service)
	return x, errors.Join(faults...)
}

// since2026 is where the order of messages begins, in milliseconds since 1970.
const since2026 = 1767225600_000

// writeMessage adds a message as it stands. It takes its place among others by
// when it was made.
func (s *Store) writeMessage(x *writing, o *bot.Outgoing, text string) {
	patient, n, _ := bot.OwnerOf(o.ID, bot.MessageMark)
	k, sl := s.keys, slotOf(patient)
	state, unsettled := slices.Index(states, o.State), 0
	if o.Unsettled {
		unsettled = 1
	}
	order := max(millis(o.CreatedAt)-since2026, 0)*1000 + min(atoi(n), 999)
	score := strconv.FormatInt(int64(o.Priority)*(1<<51)+min(order, math.MaxInt64>>12), 10)
	to := s.recipient(o.To)
	x.add("HSET", k.messages(patient), n, text, n+":s", fmt.Sprintf("%d %d %d %d %d %d %s %d %s %s", state, o.Fence, o.Attempts, millis(o.LeaseUntil), unsettled,
		millis(o.NotBefore), score, millis(o.SettledAt), channelName(o.To.Channel), to))
	if o.CarrierID != "" {
		x.add("HSET", k.messages(patient), n+":c", o.CarrierID)
	}
	if o.Code != "" {
		x.add("HSET", k.messages(patient), n+":e", o.Code)
	}
	if state > 1 {
		return
	}
	if wait := max(millis(o.LeaseUntil), millis(o.NotBefore)); wait > 0 {
		x.add("ZADD", k.later(sl, o.To.Channel), wait, score+" "+to+":"+o.ID)
	} else {
		x.add("ZADD", k.ready(sl, o.To.Channel), score, to+":"+o.ID)
	}
	x.add("ZADD", k.unsettled(sl), max(millis(o.NotBefore), millis(o.CreatedAt)), o.ID)
}

// Drawers lists the drawers that have values.
func (s *Store) Drawers(ctx context.Context) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	get := everySlot(func(sl slot) *command { return plain("smembers", s.keys.drawers(sl)) })
	if err := s.servers.read(ctx, get...); err != nil {
		return nil, err
	}
	var all []string
	for _, c := range get {
		names, _ := c.done.StringSlice()
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Drawer gives the values of a drawer, by key.
func (s *Store) Drawer(ctx context.Context, drawer string) ([]bot.StoredValue, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	get := everySlot(func(sl slot) *command { return plain("hgetall", s.keys.values(sl, drawer)) })
	if err := s.servers.read(ctx, get...); err != nil {
		return nil, err
	}
	var all []bot.StoredValue
	for _, c := range get {
		for key, text := range pairs(c) {
			until, kept, _ := strings.Cut(text, "\n")
			key, value, err := s.vault.OpenValue(drawer, key, []byte(kept))
			if err != nil {
				return nil, unavailable(err)
			}
			all = append(all, bot.StoredValue{Key: key, Value: value, Expires: fromMillis(atoi(until))})
		}
	}
	slices.SortFunc(all, func(a, b bot.StoredValue) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}
