package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
)

// states numbers the delivery states in the order in which they may move.
var states = []bot.OutState{bot.OutPending, bot.OutSending, bot.OutSent, bot.OutDelivered, bot.OutUndelivered, bot.OutFailed, bot.OutCancelled}

// standing is where a message stands, as it is kept beside it.
type standing struct {
	state              int
	fence              int64
	attempts           int
	lease, from        int64
	unsettled          bool
	settled            int64
	channel, recipient string
}

func parseStanding(text string) (standing, error) {
	f := strings.Fields(text)
	if len(f) != 10 {
		return standing{}, errors.New("a message's standing cannot be read")
	}
	return standing{state: int(atoi(f[0])), fence: atoi(f[1]), attempts: int(atoi(f[2])), lease: atoi(f[3]), unsettled: f[4] == "1",
		from: atoi(f[5]), settled: atoi(f[7]), channel: channelOf(f[8]), recipient: f[9]}, nil
}

// decodeOutgoing puts a message together from what was committed and where it stands.
func (s *Store) decodeOutgoing(id, text, state, carrier, code string) (bot.Outgoing, error) {
	st, err := parseStanding(state)
	if err != nil {
		return bot.Outgoing{}, unavailable(err)
	}
	o, err := open[bot.Outgoing](s, vault.MessagePlace(id), text)
	if err != nil {
		return o, err
	}
	if st.state < 0 || st.state >= len(states) {
		return o, unavailable(errors.New("a message stands where none can"))
	}
	o.State, o.Fence, o.Attempts, o.Unsettled = states[st.state], st.fence, st.attempts, st.unsettled
	o.LeaseUntil, o.NotBefore, o.SettledAt = fromMillis(st.lease), fromMillis(st.from), fromMillis(st.settled)
	o.CarrierID, o.Code = carrier, code
	return o, nil
}

// claiming is one call of ClaimOutgoing under way.
type claiming struct {
	store   *Store
	channel string
	now     int64
	until   int64
	limit   int
	claimed []bot.Outgoing
	settled map[string]bool // recipients for whom nothing more can be done in this call
	gone    map[string]bool // members that turned out not to be ready, or cannot be leased in this call
	lost    [slotCount]bool // of servers that cannot be written to in this call
	fault   error           // the first of such a server
	back    []*command      // what gives back recipients, and claims of messages that cannot be opened
}

// ClaimOutgoing leases messages that may leave. It looks at the first of every
// slot, holds each one's recipient, and then leases it in its own slot, which
// decides; where one server has all slots, one script does both. A claim that is
// cut short leaves at most held recipients, who are free again with the lease's end.
// Where one of several servers cannot be written to, what lies on the others leaves;
// the fault is given when that is nothing.
func (s *Store) ClaimOutgoing(ctx context.Context, channel string, now time.Time, lease time.Duration, limit int) ([]bot.Outgoing, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	c := &claiming{store: s, channel: channel, now: millis(now), until: millis(now.Add(lease)), limit: limit,
		settled: make(map[string]bool), gone: make(map[string]bool)}
	ready := list{scored: true, order: byScore, give: func(sl slot, n int) *command {
		return plain("zrange", s.keys.ready(sl, channel), 0, n-1, "withscores")
	}}
	try := c.try
	if s.servers.single != nil {
		try, ready.all = c.tryAtOnce, c.look
	} else if err := c.ripen(ctx); err != nil {
		return nil, err
	}
	// What is seen but cannot leave (its recipient is held) makes room for more to be looked at.
	for look := limit + 16; len(c.claimed) < limit; look *= 4 {
		seen, err := s.first(ctx, ready, look)
		if err != nil {
			return c.claimed, c.unless(err)
		}
		for len(c.claimed) < limit {
			round := c.choose(seen)
			if len(round) == 0 {
				break
			}
			if err := try(ctx, round); err != nil {
				return c.claimed, c.unless(err)
			}
		}
		if len(seen) < look {
			break
		}
	}
	return c.claimed, c.unless(c.fault)
}

// look gives the first messages of each slot that may leave, by one script.
func (c *claiming) look(ctx context.Context, n int) ([]member, error) {
	s := c.store
	keys := make([]string, 2*slotCount)
	for sl := range slot(slotCount) {
		keys[sl], keys[slotCount+sl] = s.keys.ready(sl, c.channel), s.keys.later(sl, c.channel)
	}
	for {
		run := scriptLook.call(keys, c.now, ripenAtOnce, n)
		if err := s.servers.write(ctx, run); err != nil {
			return nil, err
		}
		answer, err := run.done.Slice()
		if err != nil || len(answer)%3 != 1 {
			return nil, unavailable(fmt.Errorf("an answer that is none: %w", err))
		}
		if more, _ := answer[0].(int64); more != 0 {
			continue
		}
		out := make([]member, 0, len(answer)/3)
		for i := 1; i < len(answer); i += 3 {
			sl, _ := answer[i].(int64)
			name, _ := answer[i+1].(string)
			score, _ := answer[i+2].(string)
			m := member{slot: slot(sl), name: name}
			m.score, _ = strconv.ParseFloat(score, 64)
			out = append(out, m)
		}
		return out, nil
	}
}

// unless keeps a fault back when messages were claimed already: they must be sent.
func (c *claiming) unless(err error) error {
	if len(c.claimed) > 0 {
		return nil
	}
	return err
}

// ripenAtOnce bounds how long a script moves messages in one slot.
const ripenAtOnce = 500

// lose notes that a command on a slot failed. It says whether its server cannot be written to:
// then nothing more is asked of that in this call, for each try may take seconds. If not, the
// command itself is at fault.
func (c *claiming) lose(ctx context.Context, sl slot, failed *command) bool {
	err := failed.err()
	if c.fault == nil {
		c.fault = unavailable(err)
	}
	if failed.few == nil && !isLost(err) && (strings.HasPrefix(err.Error(), "ERR ") || strings.HasPrefix(err.Error(), "WRONGTYPE ")) {
		return false
	}
	s := c.store
	server, _ := s.servers.server(ctx, s.keys.ready(sl, c.channel))
	for other := range slot(slotCount) {
		if its, _ := s.servers.server(ctx, s.keys.ready(other, c.channel)); its == server {
			c.lost[other] = true
		}
	}
	return true
}

// ripen puts messages whose time has come, or whose lease ran out, among the ready.
func (c *claiming) ripen(ctx context.Context) error {
	s := c.store
	counts := everySlot(func(sl slot) *command { return plain("zcount", s.keys.later(sl, c.channel), "-inf", c.now) })
	if err := s.servers.read(ctx, counts...); err != nil {
		return err
	}
	var ripe []slot
	for i, count := range counts {
		if n, _ := count.done.Int64(); n > 0 {
			ripe = append(ripe, slot(i))
		}
	}
	for len(ripe) > 0 {
		moves := make([]*command, len(ripe))
		for i, sl := range ripe {
			moves[i] = scriptRipen.call([]string{s.keys.ready(sl, c.channel), s.keys.later(sl, c.channel)}, c.now, ripenAtOnce)
		}
		_ = s.servers.write(ctx, moves...) // each has its own fault
		var more []slot
		for i, move := range moves {
			if move.err() != nil {
				c.lose(ctx, ripe[i], move)
			} else if n, _ := move.done.Int64(); n == ripenAtOnce {
				more = append(more, ripe[i])
			}
		}
		ripe = more
	}
	return nil
}

// candidate is a message that stands ready.
type candidate struct {
	member
	recipient, id string
	patient, n    string
}

// choose gives the first messages that may be tried: one a recipient.
func (c *claiming) choose(seen []member) []candidate {
	var round []candidate
	chosen := make(map[string]bool)
	for _, m := range seen {
		if len(c.claimed)+len(round) >= c.limit {
			break
		}
		to, id, _ := strings.Cut(m.name, ":")
		if c.gone[m.name] || c.settled[to] || chosen[to] || c.lost[m.slot] || c.lost[slotOf(to)] {
			continue
		}
		patient, n, ok := bot.OwnerOf(id, bot.MessageMark)
		if !ok {
			continue
		}
		chosen[to] = true
		round = append(round, candidate{m, to, id, patient, n})
	}
	return round
}

// tryAtOnce leases the messages of a round whose recipients are free, and holds those.
func (c *claiming) tryAtOnce(ctx context.Context, round []candidate) error {
	s := c.store
	leases := make([]*command, len(round))
	for i, m := range round {
		leases[i] = scriptClaim.call([]string{s.keys.messages(m.patient), s.keys.ready(m.slot, c.channel), s.keys.later(m.slot, c.channel), s.keys.held(c.channel, m.recipient)},
			m.n, m.name, c.now, c.until, m.recipient, m.id)
	}
	fault := s.servers.write(ctx, leases...)
	for i, m := range round {
		if leases[i].err() != nil {
			c.settled[m.recipient] = true
			continue
		}
		answer, err := leases[i].done.StringSlice()
		if err != nil {
			c.gone[m.name] = true
			continue
		}
		if len(answer) != 2 {
			c.settled[m.recipient] = true // another message is on its way there
			continue
		}
		c.took(m, answer)
	}
	c.giveBack(ctx)
	return fault
}

// took keeps what was leased. What cannot be opened is passed over: its claim is given back
// by [claiming.giveBack], and then its recipient is free for the next.
func (c *claiming) took(m candidate, answer []string) {
	s := c.store
	o, err := s.decodeOutgoing(m.id, answer[0], answer[1], "", "")
	if err == nil {
		s.bound.put(m.id, bound{c.channel, m.recipient})
		c.claimed, c.settled[m.recipient] = append(c.claimed, o), true
		return
	}
	s.options.Log.Error("a message does not leave, for it cannot be opened: it is damaged, or sealed by a key that this process does not have", "message", m.id)
	c.gone[m.name] = true
	st, err := parseStanding(answer[1])
	if err != nil {
		c.settled[m.recipient] = true // until the lease ends
		return
	}
	keys, held := []string{s.keys.messages(m.patient), s.keys.unsettled(m.slot)}, s.keys.held(c.channel, m.recipient)
	if s.servers.single != nil {
		keys = append(keys, held)
	} else {
		c.back = append(c.back, scriptLetGo.call([]string{held}, m.recipient, m.id))
	}
	c.back = append(c.back, scriptPutOff.call(keys, m.n, m.id, st.fence, c.until, m.recipient))
}

// giveBack gives back what this call holds and does not need. What is not given back is free
// again with the lease's end.
func (c *claiming) giveBack(ctx context.Context) {
	if len(c.back) > 0 {
		_ = c.store.servers.write(ctx, c.back...)
	}
	c.back = nil
}

// try holds the recipients of a round, and leases the messages whose recipients it got.
func (c *claiming) try(ctx context.Context, round []candidate) error {
	s := c.store
	holds := make([]*command, len(round))
	for i, m := range round {
		holds[i] = scriptHold.call([]string{s.keys.held(c.channel, m.recipient)}, m.recipient, m.id, c.now, c.until)
	}
	_ = s.servers.write(ctx, holds...) // each has its own fault
	var free []candidate
	var had []bool // the message had its recipient before: it is not ours to give back
	var leases []*command
	for i, m := range round {
		if holds[i].err() != nil {
			c.lose(ctx, slotOf(m.recipient), holds[i])
			c.settled[m.recipient] = true
		} else if got, _ := holds[i].done.Int64(); got > 0 {
			free, had = append(free, m), append(had, got == 2)
			leases = append(leases, scriptClaim.call([]string{s.keys.messages(m.patient), s.keys.ready(m.slot, c.channel), s.keys.later(m.slot, c.channel)},
				m.n, m.name, c.now, c.until))
		} else {
			c.settled[m.recipient] = true // another message is on its way there
		}
	}
	if len(leases) == 0 {
		return nil
	}
	_ = s.servers.write(ctx, leases...) // of several servers one may fail: what the others leased must be sent
	for i, m := range free {
		var answer []string
		err, lost := leases[i].err(), false
		if err == nil {
			answer, err = leases[i].done.StringSlice()
		} else if lost = c.lose(ctx, m.slot, leases[i]); !lost {
			c.settled[m.recipient] = true // what else goes there may be hers too, and comes after it
		}
		if err != nil || len(answer) != 2 {
			c.gone[m.name] = true
			if lost || !had[i] { // lost: nobody can have it, and its recipient may be a nurse to whom others' pages go
				c.back = append(c.back, scriptLetGo.call([]string{s.keys.held(c.channel, m.recipient)}, m.recipient, m.id))
			}
			continue
		}
		c.took(m, answer)
	}
	c.giveBack(ctx)
	return nil
}

// bound is where a message goes, which never changes.
type bound struct{ channel, recipient string }

// Settle records what became of messages. Each is settled in its own slot; then
// its recipient is free for the next. Where one server has all slots, one script
// does both.
func (s *Store) Settle(ctx context.Context, settlements ...bot.Settlement) error {
	if len(settlements) == 0 {
		return nil
	}
	for _, x := range settlements {
		if !slices.Contains(states, x.State) {
			return fmt.Errorf("%w: unknown delivery state %q", bot.ErrInvalid, x.State)
		}
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	there, err := s.boundFor(ctx, settlements)
	if err != nil {
		return err
	}
	if s.servers.single != nil {
		var record []*command
		for i, x := range settlements {
			if there[i] != nil {
				record = append(record, s.settlement(x, there[i], s.keys.held(there[i].channel, there[i].recipient), s.keys.carrier(x.CarrierID)))
			}
		}
		if len(record) == 0 {
			return nil
		}
		return s.servers.write(ctx, record...)
	}
	var index []*command
	var of []int
	for i, x := range settlements {
		if there[i] != nil && x.CarrierID != "" {
			// Before the message has it, so that it is found once it has.
			index, of = append(index, plain("hset", s.keys.carrier(x.CarrierID), x.CarrierID, x.ID)), append(of, i)
		}
	}
	var fault error
	if len(index) > 0 {
		fault = s.servers.write(ctx, index...)
	}
	for i, c := range index {
		if c.err() != nil {
			there[of[i]] = nil // the carrier is asked after it when its lease has ended; a receipt comes again
		}
	}
	return errors.Join(fault, s.settle(ctx, settlements, there))
}

// boundFor says where messages go: what this process has claimed it knows. nil: there
// is no such message.
func (s *Store) boundFor(ctx context.Context, settlements []bot.Settlement) ([]*bound, error) {
	there := make([]*bound, len(settlements))
	look := make([]*command, len(settlements))
	var asks []*command
	for i, x := range settlements {
		if b := s.bound.get(x.ID); b.channel != "" {
			there[i] = &b
			continue
		}
		patient, n, _ := bot.OwnerOf(x.ID, bot.MessageMark)
		look[i] = plain("hget", s.keys.messages(patient), n+":s")
		asks = append(asks, look[i])
	}
	if len(asks) == 0 {
		return there, nil
	}
	if err := s.servers.read(ctx, asks...); err != nil {
		return nil, err
	}
	for i, c := range look {
		if c == nil {
			continue
		}
		text, err := c.done.Text()
		if err != nil {
			continue // settling what is not there is no error
		}
		st, err := parseStanding(text)
		if err != nil {
			return nil, unavailable(err)
		}
		there[i] = &bound{st.channel, st.recipient}
	}
	return there, nil
}

// settlement is the command that records one; more are further keys of the script.
func (s *Store) settlement(x bot.Settlement, to *bound, more ...string) *command {
	patient, n, _ := bot.OwnerOf(x.ID, bot.MessageMark)
	sl := slotOf(patient)
	unknown := 0
	if x.Unsettled {
		unknown = 1
	}
	keys := append([]string{s.keys.messages(patient), s.keys.ready(sl, to.channel), s.keys.later(sl, to.channel), s.keys.unsettled(sl)}, more...)
	return scriptSettle.call(keys, n, x.ID, x.Fence, slices.Index(states, x.State), x.CarrierID, x.Code, millis(x.At), millis(x.RetryAt), unknown, to.recipient)
}

func (s *Store) settle(ctx context.Context, settlements []bot.Settlement, there []*bound) error {
	var record []*command
	var of []int
	for i, x := range settlements {
		if there[i] != nil {
			record, of = append(record, s.settlement(x, there[i])), append(of, i)
		}
	}
	if len(record) == 0 {
		return nil
	}
	fault := s.servers.write(ctx, record...)
	var free []*command
	for i, c := range record {
		if c.err() != nil {
			continue
		}
		if done, err := c.done.Int64(); err == nil && done == 1 {
			x, to := settlements[of[i]], there[of[i]]
			free = append(free, scriptLetGo.call([]string{s.keys.held(to.channel, to.recipient)}, to.recipient, x.ID))
		}
	}
	if len(free) > 0 {
		if err := s.servers.write(ctx, free...); err != nil {
			// They are settled; the telephones are free again when the lease ends.
			s.options.Log.Warn("a telephone stays held until its lease ends", "err", err)
		}
	}
	return fault
}

// Outgoing gives one message by our id.
func (s *Store) Outgoing(ctx context.Context, id string) (bot.Outgoing, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return bot.Outgoing{}, err
	}
	defer leave()
	return s.outgoing(ctx, id)
}

func (s *Store) outgoing(ctx context.Context, id string) (bot.Outgoing, error) {
	patient, n, ok := bot.OwnerOf(id, bot.MessageMark)
	if !ok {
		return bot.Outgoing{}, bot.ErrNotFound
	}
	get := plain("hmget", s.keys.messages(patient), n, n+":s", n+":c", n+":e")
	if err := s.servers.read(ctx, get); err != nil {
		return bot.Outgoing{}, err
	}
	answer, _ := get.done.Slice()
	var text [4]string
	for i := range text {
		if i < len(answer) {
			text[i], _ = answer[i].(string)
		}
	}
	if text[0] == "" {
		return bot.Outgoing{}, bot.ErrNotFound
	}
	return s.decodeOutgoing(id, text[0], text[1], text[2], text[3])
}

// OutgoingByCarrier gives one message by the carrier's id.
func (s *Store) OutgoingByCarrier(ctx context.Context, carrierID string) (bot.Outgoing, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return bot.Outgoing{}, err
	}
	defer leave()
	get := plain("hget", s.keys.carrier(carrierID), carrierID)
	if err := s.servers.read(ctx, get); err != nil {
		return bot.Outgoing{}, err
	}
	id, err := get.done.Text()
	if err != nil || carrierID == "" {
		return bot.Outgoing{}, bot.ErrNotFound
	}
	o, err := s.outgoing(ctx, id)
	if err == nil && o.CarrierID != carrierID {
		return bot.Outgoing{}, bot.ErrNotFound // it was entered, and the message never settled so
	}
	return o, err
}
