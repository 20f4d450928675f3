// Package simulate runs a made-up cohort through months in seconds: made-up people
// on the real engine, content, reader and planner, with a made-up desk and carrier,
// in virtual time. It tells a service what queue it will get per week before the
// first patient is enrolled, and what a change of plan would do.
//
// It promises: the same configuration gives the same figures, to the last digit,
// on any number of cores; every message goes through bot.Receive, bot.Wake and
// bot.Deliver like a real one; memory grows with patients, and not with days.
//
// It refuses to be more than it is: nobody's answers, falls ill or is rung as the
// made-up people do. What they do is in people.go, with where each rate is from;
// docs/simulate.md says what must not be read from it.
package simulate

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lookout/bot"
	"lookout/bot/internal/memory"
	"lookout/content"
)

// Config is what a run depends on, and all that it depends on.
type Config struct {
	Patients int
	Days     int
	Seed     uint64
	Start    time.Time // the first day, at midnight of the service's zone
	Pack     *content.Pack
	Service  *bot.Service // it is not changed; one without a duty list is given a made-up one
	// PricePerSegment is what a segment of a text costs.
	PricePerSegment float64
	// Progress is called after each day with how many are over; it may be nil.
	Progress func(days int)
}

// The addresses of the made-up carrier.
const (
	channel    = "sms"
	dutyNumber = "+447700900900"
)

// Run runs a cohort through its days.
func Run(ctx context.Context, c Config) (*Figures, error) {
	// A run makes much and keeps little: to clear up less often is worth the memory.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	w, err := newWorld(ctx, c)
	if err != nil {
		return nil, err
	}
	for day := range c.Days {
		if err := w.until(c.Start.AddDate(0, 0, day+1)); err != nil {
			return nil, fmt.Errorf("day %d: %w", day+1, err)
		}
		if c.Progress != nil {
			c.Progress(day + 1)
		}
	}
	return w.figures.finish(w), nil
}

// world is everything of one run.
type world struct {
	Config
	ctx     context.Context
	bot     *bot.Bot
	store   *memory.Store
	people  []*someone
	byID    map[string]*someone
	events  events
	desk    *desk
	figures *Figures

	now time.Time // moves between two steps only

	sending sync.Mutex
	sent    []bot.Outgoing // taken by the carrier in this step
}

func newWorld(ctx context.Context, c Config) (*world, error) {
	service := *c.Service
	if len(service.Duty) == 0 {
		service.Duty = []bot.Duty{{Name: "the nurse on call", Addresses: []bot.Address{{Channel: channel, At: dutyNumber}}}}
	}
	c.Service = &service
	w := &world{Config: c, ctx: ctx, byID: make(map[string]*someone, c.Patients), now: c.Start}
	w.figures = newFigures(c)
	w.store = memory.New(w.figures.watch)
	w.figures.who = w.byID
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], c.Seed)
	var err error
	w.bot, err = bot.New(ctx, bot.Config{Ephemeral: true, Store: w.store, Content: c.Pack, Service: c.Service, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.now }, Random: rand.NewChaCha8(seed),
		Outlets: map[string]bot.Outlet{channel: {Sender: w, Lease: time.Minute, JoinUpTo: 300}}})
	if err != nil {
		return nil, err
	}
	w.desk = newDesk(w)
	w.figures.count = newCounter().segments
	for i := range c.Patients {
		p := newSomeone(w, i)
		w.people = append(w.people, p)
		w.push(event{at: p.enrols, who: p, does: enrol})
	}
	return w, nil
}

// Send takes a message, as the carrier. What becomes of it is decided by where it
// goes, so that the order in which messages are sent does not matter.
func (w *world) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	sent := bot.Sent{CarrierID: out.ID, Delivered: true}
	p := w.byID[out.Patient]
	if out.Priority != bot.PriorityPage && p != nil && p.gone(w.now) {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "30005", Obstacle: bot.ObstacleDead, Err: errors.New("no such number")}
	}
	if out.Priority != bot.PriorityPage && p != nil && p.off(w.now) {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "30003", Obstacle: bot.ObstacleOff, Err: errors.New("out of reach")}
	}
	w.sending.Lock()
	w.sent = append(w.sent, out)
	w.sending.Unlock()
	return sent, nil
}

// step is how fine time is. What happens within a step happens at its end.
const step = time.Minute

// until goes on to a time, from one thing that happens to the next.
func (w *world) until(end time.Time) error {
	for {
		next := end
		if len(w.events) > 0 && w.events[0].at.Before(next) {
			next = w.events[0].at
		}
		if at, ok := w.store.NextDue(); ok && at.Before(next) {
			next = at
		}
		if at := w.desk.next(w.now); at.Before(next) {
			next = at
		}
		if at, ok := w.store.NextOut(channel, w.now); ok && at.Before(next) {
			next = at
		}
		if !next.Before(end) {
			w.now = end
			return nil
		}
		if next = next.Truncate(step).Add(step); next.After(end) {
			next = end
		}
		w.now = next
		if err := w.step(); err != nil {
			return err
		}
	}
}

// step does all that is due now: what people do, what falls due, what is sent and
// read, and what the desk does.
func (w *world) step() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.happen(); err != nil {
		return err
	}
	if err := w.bot.Level(w.ctx); err != nil {
		return err
	}
	for range 20 { // a text can set something off that is due at once
		if at, ok := w.store.NextDue(); ok && !at.After(w.now) {
			if _, err := w.bot.Wake(w.ctx); err != nil {
				return err
			}
		}
		if w.store.Idle(channel) {
			break
		}
		n, err := w.bot.Deliver(w.ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		w.read()
	}
	return w.desk.work()
}

// happen does what people do up to now, each person's in its order, several people
// at once.
func (w *world) happen() error {
	var turn [][]event // by person
	place := map[*someone]int{}
	for len(w.events) > 0 && !w.events[0].at.After(w.now) {
		e := heap.Pop(&w.events).(event)
		if i, known := place[e.who]; known {
			turn[i] = append(turn[i], e)
			continue
		}
		place[e.who] = len(turn)
		turn = append(turn, []event{e})
	}
	// Enrolments are one after another: the ids come from one source.
	for _, es := range turn {
		if es[0].does == enrol {
			if err := es[0].who.enrol(); err != nil {
				return err
			}
		}
	}
	faults := make([]error, len(turn))
	atOnce(len(turn), func(i int) {
		for _, e := range turn[i] {
			if err := e.who.do(e); err != nil {
				faults[i] = err
			}
		}
	})
	// What each set off is put into the one list here, in the order of people.
	for _, es := range turn {
		es[0].who.settle()
	}
	return errors.Join(faults...)
}

// atOnce does n things on all cores; where there are few, one after another.
func atOnce(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/2)
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}

// read lets everybody read what has come to her phone, in an order of its own.
func (w *world) read() {
	sent := w.sent
	w.sent = nil
	slices.SortFunc(sent, func(a, b bot.Outgoing) int {
		return cmp.Or(strings.Compare(a.Patient, b.Patient), cmp.Compare(number(a.ID), number(b.ID)))
	})
	for i := 0; i < len(sent); {
		j := i + 1
		for j < len(sent) && sent[j].Patient == sent[i].Patient {
			j++
		}
		for _, out := range sent[i:j] {
			if out.Priority == bot.PriorityPage {
				w.desk.paged(out)
			}
		}
		if p := w.byID[sent[i].Patient]; p != nil {
			p.reads(slices.DeleteFunc(slices.Clone(sent[i:j]), func(o bot.Outgoing) bool { return o.Priority == bot.PriorityPage }))
			p.settle()
		}
		i = j
	}
}

// number is the number at the end of a message's id.
func number(id string) int {
	n, _ := strconv.Atoi(id[strings.LastIndexByte(id, 'm')+1:])
	return n
}

// deed is what somebody does.
type deed int

const (
	enrol deed = iota
	say        // send a text
	tell       // tell of her illness unasked
)

// event is something that somebody does at a time.
type event struct {
	at    time.Time
	who   *someone
	n     int // numbers the events of one person
	does  deed
	words string
	// answers says that it is caused by what she was sent.
	answers bool
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	if a.who.i != b.who.i {
		return a.who.i < b.who.i
	}
	return a.n < b.n
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (w *world) push(e event) { heap.Push(&w.events, e) }
