// Package redisstore keeps what lookout knows in Redis 7, for a service on
// several machines. It implements bot.Store; many processes may share one.
//
// It promises: a change is kept whole or not at all, by one script on one
// server; what Commit has returned for is in the append-only file, synced, of
// the server that it lies on (and in the memory of as many replicas as
// Options.Copies asks for); a key counts once, for whomever it is used, also
// when an answer was lost and the caller tries again. It refuses patients on
// servers that may forget what they were told (see [Store.Check]), unless the
// operator accepts that by name, and servers that a newer lookout has written to.
//
// Patients are dealt to 128 slots; everything of one lies in hers, under one
// hash tag ({s042}), so that each change is one script there, on a Cluster too.
// Lists over all people (what is due, what may leave, the queue, search) are kept
// per slot, and put together from the first of each. What is looked up by
// something that is no patient's id (an address, an idempotency key, a carrier's
// id, who holds a telephone) lies in the slot of that, written so that the
// patient's slot always decides:
//
//   - an address is entered before her record lists it, and taken out after;
//     her record says whether it is so;
//   - an idempotency key is claimed for a patient before her commit, which
//     records it as done in her slot. Another patient's claim first bars the
//     older one there, so that of two one counts, whenever either comes;
//   - a telephone is held for one message before that is leased, so that one at
//     a time is on its way to it, whoever sends;
//   - words by which a message is searched are entered after it was committed, which
//     notes that they are to be: they decide nothing about it;
//   - audit entries stand in the slot of what they are about, and are gathered
//     from there into one log, each once.
//
// All keys, with their types, are in keys.go; each script says at its head what
// it takes and gives. docs/redis.md says what a fail-over may lose, and why.
package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
)

// Store is a bot.Store in Redis.
type Store struct {
	target  *target
	servers *servers
	keys    keys
	options Options
	vault   *vault.Vault // nil: everything is kept in the clear
	kept    atomic.Pointer[vault.State]

	mu     sync.RWMutex // held for reading while a call is under way; for writing to close
	closed bool
	stop   context.CancelFunc // ends the checks, the mending and the telling
	checks sync.WaitGroup     // all three

	state   atomic.Pointer[State]
	recheck chan struct{} // asks for a check now
	remend  chan struct{} // asks for what a fail-over has lost
	told    chan bot.Hint // on their way to the other processes
	self    string        // tells our hints from theirs

	// listed is, by patient, in which version of her record she is found by what
	// (foundBy): from what Load gave and Commit kept here. A commit on that very
	// version that changes none of it need not look whether it is entered.
	listed memory[listing]
	// met is, by key of an address, who was there the last time: a guess, which is checked.
	met memory[[]string]
	// bound is, by message, where those go that were claimed here.
	bound memory[bound]
}

type listing struct {
	version int64
	found   string
	live    string // the numbers of her rows that are not closed, as her record has them: a guess
}

var (
	_ bot.Store = (*Store)(nil)
	_ bot.Relay = (*Store)(nil)
)

// Options are what an operator says of the servers.
type Options struct {
	// Accept names faults that [Store.Check] may find and the operator has decided
	// to live with.
	Accept []string
	// Copies is how many replicas must have a write in memory before it counts
	// (WAIT). 0: none.
	Copies int
	// Now is the process's clock, which is compared with the servers'. nil: it is not.
	Now func() time.Time
	// Keys say whether and with what the store is encrypted.
	Keys vault.Opening
	// Log may be nil.
	Log *slog.Logger
}

// Open connects to the servers that the URL names, checks that they keep what
// they are told, and goes on checking each minute.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	t, err := parse(url)
	if err = errors.Join(err, o.check()); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{target: t, servers: connect(t, o.Copies, o.Log), keys: keys{t.prefix}, options: o, recheck: make(chan struct{}, 1), remend: make(chan struct{}, 1),
		told: make(chan bot.Hint, 256), self: rand.Text()}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.servers.close())
	}
	return s, nil
}

// Valid says what is wrong with a URL and options, without connecting.
func Valid(url string, o Options) error {
	_, err := parse(url)
	return errors.Join(err, o.check())
}

func (o *Options) check() error {
	for _, name := range o.Accept {
		if !knownFault(name) {
			return fmt.Errorf("redis store: %q is no fault that could be accepted: there are %s", name, faultNames())
		}
	}
	if o.Copies < 0 {
		return errors.New("redis store: the copies that must have a write cannot be below 0")
	}
	return nil
}

// begin does what must be right before anything is kept.
func (s *Store) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := s.checkFormat(ctx); err != nil {
		return fmt.Errorf("redis store at %s: %w", s.target, err)
	}
	state := s.Check(ctx)
	if err := state.Refusal(); err != nil {
		return fmt.Errorf("redis store at %s: %w", s.target, err)
	}
	if err := s.admit(ctx); err != nil {
		return fmt.Errorf("redis store at %s: %w", s.target, err)
	}
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.checks.Go(func() { s.keepChecking(watching) })
	s.checks.Go(func() { s.keepMending(watching) })
	s.checks.Go(func() { s.keepTelling(watching) })
	return nil
}

// checkFormat marks new servers with our format, and refuses those of a newer lookout.
func (s *Store) checkFormat(ctx context.Context) error {
	set := plain("setnx", s.keys.format(), clearSchema)
	get := plain("get", s.keys.format())
	if err := s.servers.write(ctx, set, get); err != nil {
		return err
	}
	is, err := get.done.Int()
	if err != nil {
		return fmt.Errorf("%s is not lookout's: choose another prefix", s.keys.format())
	}
	if is > schema {
		return fmt.Errorf("it was written by a newer lookout (its format is %d, this one knows %d): use that version", is, schema)
	}
	return nil
}

// admit finds out how the store is kept, and keeps what follows from it. Of
// several processes that open a new store at once, the first decides.
func (s *Store) admit(ctx context.Context) error {
	get := plain("get", s.keys.sealing())
	used := plain("hlen", s.keys.gathered())
	asks := []*command{get, used}
	asks = append(asks, everySlot(func(sl slot) *command { return plain("scard", s.keys.services(sl)) })...)
	asks = append(asks, everySlot(func(sl slot) *command { return plain("scard", s.keys.drawers(sl)) })...)
	if err := s.servers.read(ctx, asks...); err != nil {
		return err
	}
	was, err := stateOf(get)
	if err != nil {
		return err
	}
	empty := true
	for _, c := range asks[1:] {
		n, _ := c.done.Int64()
		empty = empty && n == 0
	}
	for {
		var is vault.State
		if s.vault, is, err = s.options.Keys.Admit(was, empty); err != nil {
			return err
		}
		if s.kept.Store(&is); is == was {
			return nil
		}
		if was, err = s.setState(ctx, was, is); err != nil {
			return err
		}
	}
}

func stateOf(c *command) (state vault.State, err error) {
	text, err := c.done.Text()
	if err != nil {
		return state, nil // nothing was said yet
	}
	return decode[vault.State](text)
}

// setState keeps how the store is kept, if that is as the caller knows it, and
// gives how it is then.
func (s *Store) setState(ctx context.Context, was, is vault.State) (vault.State, error) {
	text, err := json.Marshal(is)
	if err != nil {
		return was, err
	}
	if is.Kept != vault.Clear { // lookouts that know no encryption must not read it
		if err := s.servers.write(ctx, plain("set", s.keys.format(), schema)); err != nil {
			return was, err
		}
	}
	if was.Kept == vault.Unsaid {
		err = s.servers.write(ctx, plain("setnx", s.keys.sealing(), text))
	} else {
		err = s.servers.write(ctx, plain("set", s.keys.sealing(), text))
	}
	get := plain("get", s.keys.sealing())
	if err == nil {
		err = s.servers.read(ctx, get)
	}
	if err != nil {
		return was, err
	}
	return stateOf(get)
}

// Encryption says how the store is kept.
func (s *Store) Encryption() vault.State { return *s.kept.Load() }

// stillKept says whether the store is kept as it was when it was opened. What says
// so is written again where a fail-over has lost it.
func (s *Store) stillKept(ctx context.Context) (bool, error) {
	opened := s.kept.Load()
	if opened == nil {
		return true, nil // it is being opened
	}
	text, err := json.Marshal(opened)
	if err != nil {
		return false, err
	}
	get := plain("get", s.keys.sealing())
	if err := s.servers.write(ctx, plain("setnx", s.keys.sealing(), text), get); err != nil {
		return false, err
	}
	is, err := stateOf(get)
	return is == *s.kept.Load(), err
}

// Close waits for what is under way. Everything after it is bot.ErrUnavailable.
func (s *Store) Close() error {
	s.stop()
	s.checks.Wait() // before the lock: they make calls too
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.servers.close()
}

// enter begins a call: it refuses a store that is closed and a context that has
// ended. leave must be called when err is nil.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return nil, fmt.Errorf("%w: the store is closed", bot.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		s.mu.RUnlock()
		return nil, unavailable(err)
	}
	return s.mu.RUnlock, nil
}

// whole lets a write that has begun end, whatever becomes of its caller: its
// outcome must be known.
func whole(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 2*ioTimeout)
}

// everySlot makes one command for each slot.
func everySlot(make1 func(slot) *command) []*command {
	all := make([]*command, slotCount)
	for i := range all {
		all[i] = make1(slot(i))
	}
	return all
}

// millis is how a time is kept; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func atoi(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // what scripts wrote
	return n
}
