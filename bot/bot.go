// Package bot takes a turn.
//
// A turn is all that one event does to one patient: a message came in, a wake
// fell due, a delivery failed, a nurse acted. Each turn is one straight path:
// load the record, read and decide with pure functions (triage.Read,
// flows.Step), put everything that follows into one [Change], commit it. Only
// after the commit does anything leave: [Bot.Run] takes it from the store.
// The path of a message is [Bot.Receive], in receive.go; start reading there.
//
// It promises: an event with a key counts once; on a conflict the turn is
// taken again on the newer record; triage sees every message before anything
// else does and outranks the flow; nothing lowers a level; each decision is in
// the journal with its reason. It owns consent, the queue with its clocks and
// the paging of a nurse.
//
// It refuses to know HTTP, Twilio, sockets, SQL or Redis, and what the name of
// a channel means.
package bot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"lookout/content"
)

// Bot takes turns. Its methods may be called from many goroutines, and several
// Bots may share one Store.
type Bot struct {
	store    Store
	service  *Service
	now      func() time.Time
	log      *slog.Logger
	outlets  map[string]*outlet
	linkBase string
	mail     string // see Config
	idKey    []byte
	random   io.Reader
	content  *content.Pack
	tracer   trace.Tracer // nil: there are no traces
	took     func(way string)

	packsMu sync.Mutex
	loading singleflight.Group       // of packs, by digest
	packs   map[string]*content.Pack // by digest, the current one too

	spread   spreader
	watchers watchers
	relay    Relay
	pace     Pace
}

// Config is what a Bot needs. All of it is required but Log and Now.
type Config struct {
	Store   Store
	Content *content.Pack
	Service *Service
	Outlets map[string]Outlet // by channel
	// Relay passes hints to other processes that share the store; nil: there are none.
	Relay Relay
	// Pace shares the carriers' rates with those processes; nil: each rate is this one's alone.
	Pace Pace
	// PublicURL is where people reach the chat page, without a slash at the end.
	PublicURL string
	Mail      string           // the channel of the team's e-mail addresses; "": there is none
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: none
	// Random is what patients' ids, and those of strangers, are made of; nil: crypto/rand. Their place in the
	// sending hours comes from their id, so that who gives a seeded source sees the
	// same texts at the same minutes.
	Random io.Reader
	// Tracer takes the spans of what is done; nil: there are none, and none cost anything.
	Tracer trace.Tracer
	// Ephemeral says that the store ends with this process: the content is not kept in it for
	// a later one, whose talks would go on.
	Ephemeral bool
	// Took is told each way that a talk goes, as flows.Program.Ways lists them; nil: nobody asks.
	Took func(way string)
}

// Outlet is how messages of one channel leave.
type Outlet struct {
	Sender    Sender
	PerSecond float64       // the carrier's rate; 0: no limit
	Lease     time.Duration // longer than a send can take
	// JoinUpTo puts texts of one turn to one person into one message up to that
	// many characters; 0: never.
	JoinUpTo int
	// Forms says that the channel shows several questions at once, as Asking.Questions;
	// elsewhere one is asked after another.
	Forms bool
}

type outlet struct {
	Outlet
	limit  *rate.Limiter
	kicked chan struct{} // something was put into its outbox
	ticked chan struct{} // something may have fallen due there

	mu    sync.Mutex
	waits time.Time // the first tick since anything moved; zero: something has
	fault error     // the last that nobody was told of
}

// The drawers of the store's values that package bot uses.
const (
	drawerKeys      = "keys"
	drawerPacks     = "packs"      // by digest: a piece of packs; or a whole pack, as they were kept at first
	drawerKeptPacks = "packs-kept" // by digest of a pack: its pieces, or that it is kept whole
	drawerLinks     = "chat-link"  // key: hex(sha256(token)); value: {"patient": id}
	drawerUsers     = "users"
	// key: hex(sha256(token)); value: her e-mail address
	drawerInvites = "desk-invite"
)

// New makes a Bot, and keeps the content in the store for the talks that will
// begin on it.
func New(ctx context.Context, c Config) (*Bot, error) {
	b := &Bot{
		store: c.Store, service: c.Service, now: c.Now, log: c.Log, linkBase: c.PublicURL, mail: c.Mail,
		content: c.Content, packs: map[string]*content.Pack{c.Content.Digest(): c.Content},
		random:  c.Random,
		took:    c.Took,
		outlets: make(map[string]*outlet, len(c.Outlets)),
		relay:   c.Relay,
		pace:    c.Pace,
		tracer:  c.Tracer,
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.random == nil {
		b.random = rand.Reader
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	for channel, o := range c.Outlets {
		limit := rate.Inf
		if o.PerSecond > 0 {
			limit = rate.Limit(o.PerSecond)
		}
		b.outlets[channel] = &outlet{Outlet: o, limit: rate.NewLimiter(limit, max(1, int(o.PerSecond))), kicked: make(chan struct{}, 1), ticked: make(chan struct{}, 1)}
	}
	if err := halfRestored(ctx, b.store, b.now()); err != nil {
		return nil, err
	}
	if !c.Ephemeral {
		if err := b.keepPack(ctx); err != nil {
			return nil, fmt.Errorf("keep the content: %w", err)
		}
	}
	var err error
	if b.idKey, err = b.key(ctx, "stranger-ids"); err != nil {
		return nil, err
	}
	return b, nil
}

// key gives a random key that the store keeps, making it the first time.
func (b *Bot) key(ctx context.Context, name string) ([]byte, error) {
	key, err := b.store.Value(ctx, drawerKeys, name, b.now())
	if !errors.Is(err, ErrNotFound) {
		return key, err
	}
	key = make([]byte, 32)
	if _, err := io.ReadFull(b.random, key); err != nil {
		rand.Read(key)
	}
	// Of several that make it at once the first one's is it, for all.
	err = b.store.SwapValue(ctx, drawerKeys, name, nil, key, time.Time{}, b.now())
	if errors.Is(err, ErrConflict) {
		return b.store.Value(ctx, drawerKeys, name, b.now())
	}
	return key, err
}

// Content is the pack that new talks begin on.
func (b *Bot) Content() *content.Pack { return b.content }

// Service is the service that this Bot speaks for.
func (b *Bot) Service() *Service { return b.service }

// newID makes an id that says which service it belongs to and nothing else.
func (b *Bot) newID() string {
	random := make([]byte, 8)
	if _, err := io.ReadFull(b.random, random); err != nil {
		rand.Read(random)
	}
	return b.service.ID + "-p" + hex.EncodeToString(random)
}
