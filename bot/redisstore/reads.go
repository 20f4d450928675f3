package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
	"lookout/bot/vault"
	"lookout/flows/triage"
)

// open reads what this store keeps in a place.
func open[T any](s *Store, place, text string) (T, error) {
	x, err := vault.Decode[T](s.vault, place, []byte(text))
	return x, unavailable(err)
}

// decode reads JSON that names nobody and is never sealed.
func decode[T any](text string) (x T, err error) {
	return x, unavailable(json.Unmarshal([]byte(text), &x))
}

// PatientsAt lists who can be reached at an address.
func (s *Store) PatientsAt(ctx context.Context, service string, a bot.Address) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	a = s.blindAt(a)
	key := s.keys.at(service, a)
	get := plain("hgetall", key)
	// Who was there the last time is asked in the same breath.
	asked := make(map[string]*command)
	ask := func(patient string) *command {
		c := plain("hget", s.keys.who(slotOf(patient)), patient)
		asked[patient] = c
		return c
	}
	first := []*command{get}
	for _, patient := range s.met.get(key) {
		first = append(first, ask(patient))
	}
	if err := s.servers.read(ctx, first...); err != nil {
		return nil, err
	}
	entries := pairs(get)
	var more []*command
	for patient := range entries {
		if asked[patient] == nil {
			more = append(more, ask(patient))
		}
	}
	if len(more) > 0 {
		if err := s.servers.read(ctx, more...); err != nil {
			return nil, err
		}
	}
	patients := inOrder(entries)
	s.met.put(key, patients)
	var out []string
	for _, patient := range patients {
		text, err := asked[patient].done.Text()
		if err != nil {
			continue // her record is not there, or not yet
		}
		w, err := decode[who](text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(w.Addresses, a.Channel+"\x00"+a.At) { // her record says whether it is so
			out = append(out, patient)
		}
	}
	return out, nil
}

// pairs reads a hash's answer.
func pairs(c *command) map[string]string {
	answer, _ := c.done.StringSlice()
	out := make(map[string]string, len(answer)/2)
	for i := 0; i+1 < len(answer); i += 2 {
		out[answer[i]] = answer[i+1]
	}
	return out
}

// RecordsAt gives the records of who can be reached at an address. Who was there
// the last time is asked for in the same breath; each record says whether it is so.
func (s *Store) RecordsAt(ctx context.Context, service string, a bot.Address) ([]bot.Record, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	key := s.keys.at(service, s.blindAt(a))
	get := plain("hgetall", key)
	first := []*command{get}
	asked := make(map[string]*asking)
	for _, patient := range s.met.get(key) {
		asked[patient] = s.ask(patient)
		first = append(first, asked[patient].commands()...)
	}
	if err := s.servers.read(ctx, first...); err != nil {
		return nil, err
	}
	patients := inOrder(pairs(get))
	s.met.put(key, patients)
	var more []*command
	for _, patient := range patients {
		if asked[patient] == nil {
			asked[patient] = s.ask(patient)
			more = append(more, asked[patient].commands()...)
		}
	}
	if len(more) > 0 {
		if err := s.servers.read(ctx, more...); err != nil {
			return nil, err
		}
	}
	var out []bot.Record
	for _, patient := range patients {
		rec, err := s.answer(ctx, asked[patient])
		if errors.Is(err, bot.ErrNotFound) {
			continue // her record is not there, or not yet
		}
		if err != nil {
			return nil, err
		}
		if slices.Contains(rec.Patient.Addresses, a) && rec.Patient.Service == service {
			out = append(out, rec)
		}
	}
	return out, nil
}

// inOrder lists the patients of an address, from its "PLACE VERSION"s.
func inOrder(entries map[string]string) []string {
	if len(entries) == 1 {
		for patient := range entries {
			return []string{patient}
		}
	}
	return slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, _, _ := strings.Cut(entries[a], " ")
		y, _, _ := strings.Cut(entries[b], " ")
		return cmp.Compare(atoi(x), atoi(y))
	})
}

// Load gives a patient's record as of the last commit.
func (s *Store) Load(ctx context.Context, patient string) (bot.Record, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return bot.Record{}, err
	}
	defer leave()
	a := s.ask(patient)
	if err := s.servers.read(ctx, a.commands()...); err != nil {
		return bot.Record{}, err
	}
	return s.answer(ctx, a)
}

// asking is the question for a record, and in the same breath for those rows of
// hers that were not closed the last time.
type asking struct {
	patient   string
	get, rows *command // rows: nil where she had none
	live      string   // the numbers that rows asks for
}

func (s *Store) ask(patient string) *asking {
	a := &asking{patient: patient, get: plain("get", s.keys.record(patient)), live: s.listed.get(patient).live}
	if a.live != "" {
		a.rows = plain("hmget", s.keys.rows(patient), numbersOf(a.live)...)
	}
	return a
}

// commands are in the order that counts: a row that is written between the two
// comes with an older version, which a commit then refuses.
func (a *asking) commands() []*command {
	if a.rows == nil {
		return []*command{a.get}
	}
	return []*command{a.get, a.rows}
}

// numbersOf are the numbers of rows, in their order.
func numbersOf(live string) []any {
	numbers := strings.Split(live, ",")
	slices.SortFunc(numbers, func(a, b string) int { return cmp.Compare(atoi(a), atoi(b)) })
	args := make([]any, len(numbers))
	for i, n := range numbers {
		args[i] = n
	}
	return args
}

// answer reads what came, and asks for her rows where that is not all.
func (s *Store) answer(ctx context.Context, a *asking) (bot.Record, error) {
	text, err := a.get.done.Text()
	if errors.Is(err, redis.Nil) {
		return bot.Record{}, bot.ErrNotFound
	}
	head, record, _ := strings.Cut(text, "\n")
	version, live, _ := strings.Cut(head, " ")
	rec, err := open[bot.Record](s, vault.RecordPlace(a.patient), record)
	if err != nil {
		return bot.Record{}, err
	}
	rec.Version = atoi(version)
	s.listed.put(a.patient, listing{rec.Version, foundBy(&rec.Patient), live})
	if live == "" {
		return rec, nil
	}
	rows := a.rows
	if live != a.live || a.get.again || rows.again { // what was sent again may have been answered in another order
		rows = plain("hmget", s.keys.rows(a.patient), numbersOf(live)...)
		if err := s.servers.read(ctx, rows); err != nil {
			return bot.Record{}, err
		}
	}
	if rec.Rows, err = s.decodeRows(a.patient, numbersOf(live), rows); err != nil {
		return bot.Record{}, err
	}
	rec.Rows = slices.DeleteFunc(rec.Rows, func(r bot.Row) bool { return r.State == bot.Closed })
	return rec, nil
}

// decodeRows reads an answer of rows of a patient, by their numbers; one that is
// not there is left out.
func (s *Store) decodeRows(patient string, numbers []any, c *command) ([]bot.Row, error) {
	answer, _ := c.done.Slice()
	var rows []bot.Row
	for i, x := range answer {
		text, ok := x.(string)
		if !ok || i >= len(numbers) {
			continue
		}
		row, err := open[bot.Row](s, vault.RowPlace(patient+bot.RowMark+numbers[i].(string)), text)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Due lists patients whose earliest wake is at or before now.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]bot.Due, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	due, err := s.first(ctx, list{scored: true, order: byScore, give: func(sl slot, n int) *command {
		return plain("zrange", s.keys.due(sl), "-inf", now.UnixMilli(), "byscore", "limit", 0, n, "withscores")
	}}, limit)
	if err != nil {
		return nil, err
	}
	out := make([]bot.Due, len(due))
	for i, m := range due {
		out[i] = bot.Due{Patient: m.name, At: time.UnixMilli(int64(m.score)).UTC()}
	}
	return out, nil
}

// Seen says whether a change with this key was committed. That it was is said only of what
// no fail-over loses; a change whose key was not used finds out by itself.
func (s *Store) Seen(ctx context.Context, key string) (bool, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	claim := plain("hget", s.keys.claims(key), key)
	if err := s.servers.read(ctx, claim); err != nil {
		return false, err
	}
	held, err := claim.done.Text()
	if err != nil {
		return false, nil
	}
	_, owner, _ := strings.Cut(held, " ")
	done := plain("hget", s.keys.done(owner), key)
	if err := s.servers.read(ctx, done); err != nil {
		return false, err
	}
	if is, _ := done.done.Text(); is != "done" || s.servers.copies == 0 {
		return is == "done", nil
	}
	if err := s.servers.sure(ctx, claim, done); err != nil {
		return false, err
	}
	is, _ := done.done.Text()
	return is == "done", nil
}

// Journal gives a patient's entries above a sequence number.
func (s *Store) Journal(ctx context.Context, patient string, after int64, limit int) ([]bot.Entry, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	after = max(after, 0)
	last := int64(-1)
	if limit > 0 {
		last = after + int64(limit) - 1
	}
	get := plain("lrange", s.keys.journal(patient), after, last)
	if err := s.servers.read(ctx, get); err != nil {
		return nil, err
	}
	texts, _ := get.done.StringSlice()
	var out []bot.Entry
	for i, text := range texts {
		e, err := open[bot.Entry](s, vault.EntryPlace(patient), text)
		if err != nil {
			return nil, err
		}
		e.Seq = after + int64(i) + 1
		out = append(out, e)
	}
	return out, nil
}

// Row gives one row by id.
func (s *Store) Row(ctx context.Context, id string) (bot.Row, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return bot.Row{}, err
	}
	defer leave()
	patient, n, ok := bot.OwnerOf(id, bot.RowMark)
	if !ok {
		return bot.Row{}, bot.ErrNotFound
	}
	get := plain("hget", s.keys.rows(patient), n)
	if err := s.servers.read(ctx, get); err != nil {
		return bot.Row{}, err
	}
	text, err := get.done.Text()
	if err != nil {
		return bot.Row{}, bot.ErrNotFound
	}
	return open[bot.Row](s, vault.RowPlace(id), text)
}

// queued opens a row of a list; where that cannot be, it gives what stands for it. there is
// false when nothing can: it has gone to another list meanwhile.
func (s *Store) queued(ctx context.Context, id, text string) (row bot.Row, there bool, err error) {
	if row, err := open[bot.Row](s, vault.RowPlace(id), text); err == nil {
		return row, true, nil
	}
	s.options.Log.Error("a row of the queue cannot be opened: it is damaged, or sealed by a key that this process does not have", "row", id)
	patient, n, _ := bot.OwnerOf(id, bot.RowMark)
	get := plain("hget", s.keys.rows(patient), n+":q")
	if err := s.servers.read(ctx, get); err != nil {
		return row, false, err
	}
	stands, _ := get.done.Text()
	place, name, _ := strings.Cut(stands, " ")
	i := int(atoi(place)) - 1
	opened, _, _ := strings.Cut(name, ":")
	services, err := s.services(ctx)
	if err != nil || i < 0 || i >= len(places) {
		return row, false, err
	}
	scores := make([]*command, len(services))
	for j, service := range services {
		scores[j] = plain("zscore", s.keys.queue(slotOf(patient), service, places[i]), name)
	}
	if err := s.servers.read(ctx, scores...); err != nil {
		return row, false, err
	}
	for j, c := range scores {
		score, err := c.done.Float64()
		if err != nil {
			continue // she is another service's
		}
		row = bot.Row{ID: id, Service: services[j], Patient: patient, State: places[i], OpenedAt: fromMillis(atoi(opened))}
		if row.State == bot.Closed {
			row.ClosedAt = fromMillis(int64(score))
		} else {
			row.Level = triage.Emergency - triage.Level(int64(score)/levelBand)
			row.DueAt = fromMillis(int64(score) % levelBand)
		}
		return bot.UnreadableRow(row), true, nil
	}
	return row, false, nil
}

// rowsByID gives rows of a list in the order of their ids; what is not there is left out.
func (s *Store) rowsByID(ctx context.Context, ids []string) ([]bot.Row, error) {
	var get []*command
	var asked []string
	for _, id := range ids {
		if patient, n, ok := bot.OwnerOf(id, bot.RowMark); ok {
			get = append(get, plain("hget", s.keys.rows(patient), n))
			asked = append(asked, id)
		}
	}
	if len(get) == 0 {
		return nil, nil
	}
	if err := s.servers.read(ctx, get...); err != nil {
		return nil, err
	}
	var rows []bot.Row
	for i, c := range get {
		text, err := c.done.Text()
		if err != nil {
			continue
		}
		row, there, err := s.queued(ctx, asked[i], text)
		if err != nil {
			return nil, err
		}
		if there {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// Queue lists rows.
func (s *Store) Queue(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.queue(ctx, f)
}

func (s *Store) queue(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	if f.Limit <= 0 {
		f.Limit = 500
	}
	if f.Patient != "" || f.Holder != "" || f.Concern != "" {
		rows, err := s.queueOfFew(ctx, f)
		rows = rows[min(len(rows), f.Skip):]
		return rows[:min(len(rows), f.Limit)], err
	}
	live, closed, err := s.stretches(ctx, f)
	if err != nil {
		return nil, err
	}
	upTo := f.Skip + f.Limit
	all, err := s.queueMembers(ctx, live, byScore, upTo)
	if err == nil && len(all) < upTo {
		var more []member
		more, err = s.queueMembers(ctx, closed, lastFirst, upTo-len(all))
		all = append(all, more...)
	}
	if err != nil {
		return nil, err
	}
	all = all[min(len(all), f.Skip):]
	ids := make([]string, len(all))
	for i, m := range all {
		_, ids[i], _ = strings.Cut(m.name, ":")
	}
	rows, err := s.rowsByID(ctx, ids)
	// What has gone to another state since the lists were read stands there now.
	return slices.DeleteFunc(rows, func(r bot.Row) bool { return !slices.Contains(statesOf(f), r.State) }), err
}

// Count counts rows.
func (s *Store) Count(ctx context.Context, f bot.QueueFilter) (int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if f.Patient != "" || f.Holder != "" || f.Concern != "" {
		rows, err := s.queueOfFew(ctx, f)
		return len(rows), err
	}
	live, closed, err := s.stretches(ctx, f)
	if err != nil {
		return 0, err
	}
	var asks []*command
	for _, x := range append(live, closed...) {
		asks = append(asks, everySlot(func(sl slot) *command {
			return plain("zcount", s.keys.queue(sl, x.service, x.state), x.from, x.to)
		})...)
	}
	if err := s.servers.read(ctx, asks...); err != nil {
		return 0, err
	}
	n := int64(0)
	for _, c := range asks {
		here, _ := c.done.Int64() // its fault was seen
		n += here
	}
	return int(n), nil
}

// stretch is part of the queue of one service and state, by score.
type stretch struct {
	service  string
	state    bot.RowState
	from, to string
}

// stretches are what a filter looks at: rows that are not closed, and those that are.
func (s *Store) stretches(ctx context.Context, f bot.QueueFilter) (live, closed []stretch, err error) {
	services := []string{f.Service}
	if f.Service == "" {
		if services, err = s.services(ctx); err != nil {
			return nil, nil, err
		}
	}
	for _, state := range statesOf(f) {
		for _, service := range services {
			x := stretch{service, state, "-inf", "+inf"}
			switch {
			case state == bot.Closed && f.DueBefore.IsZero():
				if !f.ClosedSince.IsZero() {
					x.from = strconv.FormatInt(millis(f.ClosedSince), 10)
				}
				closed = append(closed, x)
			case state == bot.Closed || !f.ClosedSince.IsZero():
			case f.DueBefore.IsZero():
				live = append(live, x)
			default: // each level has its own band of due times
				for level := triage.None; level <= triage.Emergency; level++ {
					x.from = strconv.FormatInt(queueScore(&bot.Row{Level: level}), 10)
					x.to = "(" + strconv.FormatInt(queueScore(&bot.Row{Level: level, DueAt: f.DueBefore}), 10)
					live = append(live, x)
				}
			}
		}
	}
	return live, closed, nil
}

func statesOf(f bot.QueueFilter) []bot.RowState {
	if len(f.States) == 0 {
		return []bot.RowState{bot.Open, bot.Claimed}
	}
	return f.States
}

// queueMembers gives the first of several stretches together.
func (s *Store) queueMembers(ctx context.Context, stretches []stretch, order func(a, b member) int, limit int) ([]member, error) {
	var all []member
	for _, x := range stretches {
		part, err := s.first(ctx, list{scored: true, order: order, give: func(sl slot, n int) *command {
			args := []any{x.from, x.to, "byscore", "limit", 0, n, "withscores"}
			if x.state == bot.Closed {
				args = []any{x.to, x.from, "byscore", "rev", "limit", 0, n, "withscores"}
			}
			return plain("zrange", s.keys.queue(sl, x.service, x.state), args...)
		}}, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, order)
	return all[:min(len(all), limit)], nil
}

// queueOfFew lists the rows of one patient, of one nurse or of one concern. It looks
// at those of a patient, or at all in the states that count, one by one.
func (s *Store) queueOfFew(ctx context.Context, f bot.QueueFilter) ([]bot.Row, error) {
	var rows []bot.Row
	if f.Patient != "" {
		get := plain("hgetall", s.keys.rows(f.Patient))
		if err := s.servers.read(ctx, get); err != nil {
			return nil, err
		}
		for n, text := range pairs(get) {
			if strings.HasSuffix(n, ":q") {
				continue
			}
			row, there, err := s.queued(ctx, f.Patient+bot.RowMark+n, text)
			if err != nil {
				return nil, err
			}
			if there {
				rows = append(rows, row)
			}
		}
	} else {
		states := statesOf(f)
		if f.Holder != "" {
			states = []bot.RowState{bot.Claimed}
		}
		var err error
		if rows, err = s.queue(ctx, bot.QueueFilter{Service: f.Service, States: states, DueBefore: f.DueBefore, ClosedSince: f.ClosedSince, Limit: 1 << 20}); err != nil {
			return nil, err
		}
	}
	rows = slices.DeleteFunc(rows, func(r bot.Row) bool {
		live := r.State != bot.Closed
		return !slices.Contains(statesOf(f), r.State) || f.Service != "" && f.Service != r.Service || f.Holder != "" && (!live || f.Holder != r.ClaimedBy) || f.Concern != "" && f.Concern != r.Concern ||
			!f.DueBefore.IsZero() && !(live && r.DueAt.Before(f.DueBefore)) || !f.ClosedSince.IsZero() && (live || r.ClosedAt.Before(f.ClosedSince))
	})
	slices.SortFunc(rows, queueOrder)
	return rows, nil
}

// queueOrder is the order of [bot.Store.Queue].
func queueOrder(a, b bot.Row) int {
	if closed := a.State == bot.Closed; closed != (b.State == bot.Closed) {
		if closed {
			return 1
		}
		return -1
	} else if closed {
		return cmp.Or(b.ClosedAt.Compare(a.ClosedAt), cmp.Compare(queueMember(&b), queueMember(&a)))
	}
	return cmp.Or(cmp.Compare(queueScore(&a), queueScore(&b)), cmp.Compare(queueMember(&a), queueMember(&b)))
}

// services lists the services that have patients.
func (s *Store) services(ctx context.Context) ([]string, error) {
	get := everySlot(func(sl slot) *command { return plain("smembers", s.keys.services(sl)) })
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

// findCap is how many members of the index a search looks at in one slot.
const findCap = 2000

// Find looks people up for the desk.
func (s *Store) Find(ctx context.Context, service, query string, limit int) ([]bot.Patient, error) {
	if limit <= 0 {
		return nil, nil
	}
	q := bot.ParseSearch(query)
	var ids []string
	switch {
	case q.BirthDate != "":
		found, err := s.findIndexed(ctx, limit, "b\x00"+service+"\x00"+s.vault.Blind("birth", q.BirthDate)+"\x00")
		if err != nil {
			return nil, err
		}
		ids = found
	case q.Digits != "":
		found, err := s.findIndexed(ctx, limit, "n\x00"+service+"\x00"+s.vault.Blind("nhs", q.Digits)+"\x00")
		if err != nil {
			return nil, err
		}
		at, err := s.PatientsAt(ctx, service, bot.Address{Channel: "sms", At: q.Phone})
		if err != nil {
			return nil, err
		}
		ids = append(found, at...)
	case len(q.Words) > 0 && s.vault != nil:
		found, err := s.findSealed(ctx, service, q.Words, limit)
		if err != nil {
			return nil, err
		}
		ids = found
	case len(q.Words) > 0:
		// The longest word is the rarest, as names go.
		slices.SortStableFunc(q.Words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
		members := make([]string, len(q.Words))
		for i, w := range q.Words {
			members[i] = "w\x00" + service + "\x00" + w
		}
		found, err := s.findIndexed(ctx, limit, members...)
		if err != nil {
			return nil, err
		}
		ids = found
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return s.people(ctx, ids[:min(len(ids), limit)])
}

// findIndexed gives patients of whom, for each text, some member of the index begins with it.
func (s *Store) findIndexed(ctx context.Context, limit int, begins ...string) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	args := []any{begins[0], begins[0] + "\xff", findCap, limit}
	for _, b := range begins[1:] {
		args = append(args, b)
	}
	find := everySlot(func(sl slot) *command { return scriptFind.call([]string{s.keys.index(sl), s.keys.who(sl)}, args...) })
	if err := s.servers.read(ctx, find...); err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range find {
		part, _ := c.done.StringSlice()
		ids = append(ids, part...)
	}
	return ids, nil
}

// fewCards is how many names of a slot a search opens before it asks for more.
const fewCards = 16

// findSealed finds people by the marks of what their names must begin with, and
// opens the names of those: a few of each slot, and more of it only where those do
// not prove that the first by id are among them.
func (s *Store) findSealed(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	args := []any{"", findCap, fewCards}
	for i, w := range words {
		marks := s.vault.Begins(w)
		member := "w\x00" + service + "\x00" + marks[len(marks)-1] + "\x00" // the longest says most
		if i == 0 {
			args[0] = member
		} else {
			args = append(args, member)
		}
	}
	of, more := make([][]string, slotCount), make([]string, slotCount)
	ask := func(slots []slot) error {
		find := make([]*command, len(slots))
		for i, sl := range slots {
			find[i] = scriptCards.call([]string{s.keys.index(sl), s.keys.cards(sl)}, args...)
		}
		if err := s.servers.read(ctx, find...); err != nil {
			return err
		}
		for i, sl := range slots {
			var err error
			if of[sl], more[sl], err = s.named(find[i], words); err != nil {
				return err
			}
		}
		return nil
	}
	if err := ask(allSlots); err != nil {
		return nil, err
	}
	first := func() []string {
		all := slices.Sorted(slices.Values(slices.Concat(of...)))
		return all[:min(len(all), limit)]
	}
	found := first()
	var again []slot
	for sl, last := range more {
		if last != "" && (len(found) < limit || last < found[len(found)-1]) {
			again = append(again, slot(sl))
		}
	}
	if len(again) == 0 {
		return found, nil
	}
	args[2] = findCap
	if err := ask(again); err != nil {
		return nil, err
	}
	return first(), nil
}

// named gives whose names are so of an answer of cards, and the last that was
// looked at, if there may be more.
func (s *Store) named(c *command, words []string) (found []string, more string, err error) {
	answer, _ := c.done.Slice() // its fault was seen
	for i := 1; i+1 < len(answer); i += 2 {
		id, _ := answer[i].(string)
		card, _ := answer[i+1].(string)
		parts, err := open[[]string](s, vault.CardPlace(id), card)
		if err != nil {
			return nil, "", err
		}
		if bot.NamedSo(parts, words) {
			found = append(found, id)
		}
		if cut, _ := answer[0].(int64); cut == 1 {
			more = id
		}
	}
	return found, more, nil
}

// people gives patients by id; who is not there is left out.
func (s *Store) people(ctx context.Context, ids []string) ([]bot.Patient, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if len(ids) == 0 {
		return nil, nil
	}
	get := make([]*command, len(ids))
	for i, id := range ids {
		get[i] = plain("get", s.keys.record(id))
	}
	if err := s.servers.read(ctx, get...); err != nil {
		return nil, err
	}
	var out []bot.Patient
	for i, c := range get {
		text, err := c.done.Text()
		if err != nil {
			continue
		}
		_, record, _ := strings.Cut(text, "\n")
		rec, err := open[bot.Record](s, vault.RecordPlace(ids[i]), record)
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Patient)
	}
	return out, nil
}

// Patients lists people by id.
func (s *Store) Patients(ctx context.Context, service, after string, limit int) ([]bot.Patient, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := s.idsOf(ctx, service, after, limit)
	leave()
	if err != nil {
		return nil, err
	}
	return s.people(ctx, ids)
}

// idsOf lists the ids of a service's people.
func (s *Store) idsOf(ctx context.Context, service, after string, limit int) ([]string, error) {
	begin := "i\x00" + service + "\x00"
	found, err := s.first(ctx, list{order: byScore, give: func(sl slot, n int) *command {
		return plain("zrange", s.keys.index(sl), "("+begin+after, "("+begin+"\xff", "bylex", "limit", 0, n)
	}}, limit)
	ids := make([]string, len(found))
	for i, m := range found {
		ids[i] = strings.TrimPrefix(m.name, begin)
	}
	return ids, err
}

// Stats counts what stands open.
func (s *Store) Stats(ctx context.Context, now time.Time) (bot.Stats, error) {
	st := bot.Stats{Rows: map[bot.RowState]map[string]int{}}
	leave, err := s.enter(ctx)
	if err != nil {
		return st, err
	}
	defer leave()
	services, err := s.services(ctx)
	if err != nil {
		return st, err
	}
	count := everySlot(func(sl slot) *command {
		keys := []string{s.keys.who(sl), s.keys.due(sl), s.keys.unsettled(sl)}
		for _, service := range services {
			for _, state := range places[:3] {
				keys = append(keys, s.keys.queue(sl, service, state))
			}
		}
		return scriptCount.call(keys, millis(now), levelBand)
	})
	if err := s.servers.read(ctx, count...); err != nil {
		return st, err
	}
	for _, c := range count {
		n, err := c.done.Int64Slice()
		if want := 6 + len(services)*3*len(triage.Levels); err != nil || len(n) != want {
			return st, fmt.Errorf("%w: redis store: a count has %d numbers, not %d", bot.ErrUnavailable, len(n), want)
		}
		st.Patients += int(n[0])
		st.WakesDue += int(n[1])
		st.OldestWake = older(st.OldestWake, n[2])
		st.Outgoing += int(n[3])
		st.OldestOut = older(st.OldestOut, n[4])
		st.OldestDue = older(st.OldestDue, n[5])
		for i, rows := range n[6:] {
			if rows == 0 {
				continue
			}
			state := places[i/len(triage.Levels)%3]
			if st.Rows[state] == nil {
				st.Rows[state] = map[string]int{}
			}
			st.Rows[state][triage.Levels[i%len(triage.Levels)].String()] += int(rows)
		}
	}
	return st, nil
}

// older is the earlier of two times; 0 is none.
func older(t time.Time, ms int64) time.Time {
	if x := fromMillis(ms); ms != 0 && (t.IsZero() || x.Before(t)) {
		return x
	}
	return t
}
