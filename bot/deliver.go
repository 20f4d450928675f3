package bot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// kick asks [Bot.Run] to look at the outbox of those channels now.
func (b *Bot) kick(send []Outgoing) {
	for i := range send {
		if o := b.outlets[send[i].To.Channel]; o != nil {
			signal(o.kicked)
		}
	}
}

// signal leaves a word for [Bot.Run], unless there is one that it has not read.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Run delivers whenever a commit has put something into the outbox, and listens
// to the other processes' hints, until ctx ends, and then returns after the sends
// under way are settled. Each channel goes at its own pace, whatever happens on another.
// What goes wrong is told by [Bot.KeepDelivering], whose ticks are the safety net below it.
func (b *Bot) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	if b.relay != nil {
		running.Go(func() {
			if err := b.relay.Listen(ctx, b.watchers.tell); err != nil {
				b.log.Error("other processes' hints are not heard: pages show their changes late", "err", err)
			}
		})
	}
	for channel, o := range b.outlets {
		running.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-o.kicked:
				case <-o.ticked:
				}
				b.deliver(ctx, channel, o, o.ticked, o.failed)
			}
		})
	}
	<-ctx.Done()
	return nil
}

// KeepDelivering asks [Bot.Run] to look at every outbox now, for what falls due by the
// clock, and waits for nothing. It says what has gone wrong on a channel since it was
// called before, or that nothing was looked at or settled there for as long as a lease:
// however much waits, and whatever the carrier does, something is by then.
func (b *Bot) KeepDelivering() error {
	var faults []error
	for channel, o := range b.outlets {
		if err := o.tick(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", channel, err))
		}
	}
	return errors.Join(faults...)
}

// tick has Run look at the outbox, and says what is wrong there.
func (o *outlet) tick() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	signal(o.ticked)
	err := o.fault
	o.fault = nil
	if now := time.Now(); o.waits.IsZero() {
		o.waits = now
	} else if stood := now.Sub(o.waits); stood > o.Lease {
		err = errors.Join(err, fmt.Errorf("nothing has moved for %s", stood.Round(time.Second)))
	}
	return err
}

// moved notes that the outbox was looked at, or that something of it was settled.
func (o *outlet) moved() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = time.Time{}
}

func (o *outlet) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = err
}

// inFlight is how many messages of one channel are claimed and sent together, and
// mostUnder how many may be with the carrier when the next are claimed: those that hang
// there one by one do not soon keep back what comes after them.
const (
	inFlight  = 32
	mostUnder = 3 * inFlight
)

// Deliver sends what may leave now, on every channel, and says how many messages
// the carriers took, when all of them are settled. It may run twice at once, and beside
// [Bot.Run]: the store leases each message to one.
func (b *Bot) Deliver(ctx context.Context) (int, error) {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		sent   int
		faults []error
	)
	for channel, o := range b.outlets {
		wg.Go(func() {
			n := b.deliver(ctx, channel, o, nil, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %w", channel, err))
			})
			mu.Lock()
			defer mu.Unlock()
			sent += n
		})
	}
	wg.Wait()
	return sent, errors.Join(faults...)
}

// deliver sends what may leave now on one channel, and says how many messages the
// carrier took, when all are settled. After a fault it claims nothing more before the next
// tick. A tick also has it look for what came while messages are with the carrier: as a
// rule that goes when they are settled, many in one claim, but they may hang there.
func (b *Bot) deliver(ctx context.Context, channel string, o *outlet, ticked <-chan struct{}, failed func(error)) int {
	type outcome struct {
		had, sent int
		err       error
	}
	var (
		finished = make(chan outcome)
		under    int // messages with the carrier
		sent     int
		faulty   bool
		more     = true // the last claim got as much as it might: there is more
	)
	for {
		if ctx.Err() != nil || !more || under > mostUnder {
			if under == 0 {
				return sent
			}
			select {
			case r := <-finished:
				under -= r.had
				sent += r.sent
				if r.err != nil {
					faulty = true
					failed(r.err)
				}
				more = !faulty // its people may have another text
			case <-ticked:
				more, faulty = true, false
			}
			continue
		}
		room, err := o.room(ctx)
		if err != nil {
			continue // told to stop
		}
		until := time.Now().Add(o.Lease * 3 / 4) // well before the lease ends, whatever happens to us meanwhile
		batch, err := b.store.ClaimOutgoing(ctx, channel, b.now(), o.Lease, room)
		if err != nil {
			more, faulty = false, true
			if ctx.Err() == nil {
				failed(err)
			}
			continue
		}
		o.moved()
		if more = len(batch) == room; len(batch) == 0 {
			continue
		}
		o.limit.ReserveN(time.Now(), len(batch))
		b.inTurn(ctx, channel, o, len(batch), until)
		under += len(batch)
		go func() {
			n, err := b.sendBatch(ctx, o, batch, until)
			finished <- outcome{len(batch), n, err}
		}()
	}
}

// room waits until the carrier's rate lets a message go, and says how many it lets go
// now. Only those are claimed, so that an emergency that comes in a moment still goes
// first; and only what was claimed counts, so that looking for nothing costs nothing.
func (o *outlet) room(ctx context.Context) (int, error) {
	if o.limit.Limit() == rate.Inf {
		return inFlight, nil
	}
	for {
		tokens := o.limit.Tokens()
		if tokens >= 1 {
			return min(inFlight, int(tokens)), nil
		}
		wait := time.NewTimer(time.Duration((1-tokens)/float64(o.limit.Limit())*float64(time.Second)) + time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return 0, ctx.Err()
		}
	}
}

// inTurn waits until the carrier's rate, which other processes use too, lets so many
// messages go, or until it is too late for them: then they are put back.
func (b *Bot) inTurn(ctx context.Context, channel string, o *outlet, n int, until time.Time) {
	if b.pace == nil || o.limit.Limit() == rate.Inf {
		return
	}
	for time.Now().Before(until) {
		wait, err := b.pace.Pass(ctx, b.service.ID+":"+channel, o.PerSecond, n)
		if err != nil || wait == 0 {
			return
		}
		again := time.NewTimer(min(wait, time.Until(until)))
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// result is what came of one send.
type result struct {
	out      Outgoing
	what     Settlement
	class    SendClass // "" when it went
	obstacle Obstacle
	gone     bool
}

// sendBatch sends a claimed batch and settles it whole. A stop that comes
// meanwhile does not cut a send short: its outcome would be unknown. Nothing is
// begun after until: whoever slept so long may no longer be the one who holds the
// messages.
func (b *Bot) sendBatch(ctx context.Context, o *outlet, batch []Outgoing, until time.Time) (int, error) {
	ctx = context.WithoutCancel(ctx)
	results := make([]result, len(batch))
	var wg sync.WaitGroup
	for i, out := range batch {
		wg.Go(func() {
			ctx, cancel := context.WithDeadline(ctx, until)
			defer cancel()
			results[i] = b.sendOne(ctx, o, out, until)
		})
	}
	wg.Wait()
	settlements := make([]Settlement, len(results))
	sent := 0
	for i, r := range results {
		settlements[i] = r.what
		if r.gone {
			sent++
		}
	}
	var unsettled error // of some, perhaps: what follows from the others must follow, and does so once
	if err := b.store.Settle(ctx, settlements...); err != nil {
		unsettled = fmt.Errorf("settle: %w", err)
	} else {
		o.moved()
	}
	var faults []error
	for _, r := range results {
		if r.class == SendRefused || r.class == SendOptedOut || r.what.State == OutFailed {
			if err := b.undeliverable(ctx, r.out, r.what.Code, r.obstacle); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return sent, errors.Join(append(faults, unsettled)...)
}

// sendOne sends one message, after asking the carrier's log when an earlier try
// may have gone.
func (b *Bot) sendOne(ctx context.Context, o *outlet, out Outgoing, until time.Time) (r result) {
	ctx, span := b.span(b.following(ctx, &out), "send", trace.WithSpanKind(trace.SpanKindProducer))
	tag(span, "channel", out.To.Channel)
	count(span, "attempt", out.Attempts)
	defer func() {
		if r.class != "" && span.IsRecording() {
			span.SetStatus(codes.Error, string(r.class))
		}
		tag(span, "state", string(r.what.State))
		span.End()
	}()
	s := Settlement{ID: out.ID, Fence: out.Fence, At: b.now()}
	finder, canFind := o.Sender.(Finder)
	if out.Unsettled && canFind { // before all else: what may have gone is not taken back
		found, ok, err := finder.Find(ctx, out, b.knownCarrierID(ctx))
		if err != nil {
			s.State, s.Unsettled, s.RetryAt = OutPending, true, b.now().Add(backoff(out.Attempts))
			return result{out: out, what: s, class: SendUnknown}
		}
		if ok {
			s.State, s.CarrierID = OutSent, found.CarrierID
			return result{out: out, what: s, gone: true}
		}
	}
	switch ok, err := b.wanted(ctx, out, b.now()); {
	case errors.Is(err, ErrUnavailable): // it may have been taken since: the store will say
		s.State, s.RetryAt, s.Unsettled = OutPending, b.now().Add(backoff(out.Attempts)), out.Unsettled
		return result{out: out, what: s}
	case err == nil && !ok:
		s.State = OutCancelled
		return result{out: out, what: s}
	}
	later, wanted, err := b.stillRight(ctx, out)
	switch {
	case err != nil:
		s.State, s.RetryAt, s.Unsettled = OutPending, b.now().Add(backoff(out.Attempts)), out.Unsettled
		return result{out: out, what: s}
	case !wanted:
		s.State = OutCancelled
		return result{out: out, what: s}
	case !later.IsZero():
		s.State, s.RetryAt, s.Unsettled = OutPending, later, out.Unsettled
		return result{out: out, what: s}
	}
	if out.Unsettled {
		b.log.WarnContext(ctx, "sending again a message whose first send was never settled", "message", out.ID, "attempt", out.Attempts, "carrier_asked", canFind)
	}
	if now := b.now(); !time.Now().Before(until) || !now.Before(out.LeaseUntil) {
		// Another may have it by now, and send it. If nobody has, this claim still
		// counts, and puts it back.
		s.State, s.RetryAt, s.Unsettled = OutPending, now, out.Unsettled
		b.log.WarnContext(ctx, "a claim of a message ran out before it was sent", "message", out.ID, "attempt", out.Attempts)
		return result{out: out, what: s}
	}
	taken, err := o.Sender.Send(ctx, out)
	s.At = b.now()
	if err == nil {
		s.State, s.CarrierID = OutSent, taken.CarrierID
		if taken.Delivered {
			s.State = OutDelivered
		}
		return result{out: out, what: s, gone: true}
	}
	var failed *SendError
	if !errors.As(err, &failed) {
		failed = &SendError{Class: SendUnknown, Err: err}
	}
	s.Code = failed.Code
	switch failed.Class {
	case SendRetry, SendUnknown:
		if out.Attempts >= maxAttempts {
			s.State = OutFailed
			break
		}
		s.State, s.Unsettled = OutPending, failed.Class == SendUnknown
		s.RetryAt = b.now().Add(max(failed.After, backoff(out.Attempts)))
	case SendRefused, SendOptedOut:
		s.State = OutFailed
	}
	b.log.WarnContext(ctx, "a message did not go", "message", out.ID, "class", failed.Class, "code", failed.Code, "attempt", out.Attempts)
	obstacle := failed.Obstacle
	if failed.Class == SendOptedOut {
		obstacle = ObstacleOptedOut
	}
	return result{out: out, what: s, class: failed.Class, obstacle: obstacle}
}

// momentary is how soon after it was queued a text leaves, where nothing is in its way: so
// soon, nothing about her can have changed.
const momentary = 10 * time.Second

// stillRight says whether a text to her may leave now. None that waited goes after her
// death was reported. An unasked one waits (until later) when it would leave outside the
// rules: the carrier was down, or lookout was, and now it is evening. It is not wanted any
// more when she has stopped, paused or ended since it was queued.
func (b *Bot) stillRight(ctx context.Context, out Outgoing) (later time.Time, wanted bool, err error) {
	if out.Priority == PriorityPage || out.Priority != PriorityPlanned && b.now().Sub(out.CreatedAt) < momentary {
		return time.Time{}, true, nil
	}
	rec, err := b.store.Load(ctx, out.Patient)
	if err != nil {
		return time.Time{}, true, err
	}
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	report := t.row("deceased")
	switch {
	case rec.Patient.Status == Ended && rec.Patient.EndReason == "died",
		out.Priority != PriorityEmergency && report != nil && out.CreatedAt.Before(report.OpenedAt):
		return time.Time{}, false, nil
	case out.Priority != PriorityPlanned:
		return time.Time{}, true, nil
	}
	if ok, _ := t.mayAsk(); !ok {
		return time.Time{}, false, nil
	}
	if t.mayText() {
		return time.Time{}, true, nil
	}
	later, _ = t.slot(t.now, out.ID)
	return later, true, nil
}

// knownCarrierID says whether a carrier's id belongs to a message of ours.
func (b *Bot) knownCarrierID(ctx context.Context) func(string) bool {
	return func(id string) bool {
		_, err := b.store.OutgoingByCarrier(ctx, id)
		return err == nil
	}
}

// maxAttempts is when we give up on a message: after about a day of trying.
const maxAttempts = 24

// backoff is how long to wait after the nth try: seconds at first, for an
// emergency text must not wait for a hiccup, at most an hour.
func backoff(attempts int) time.Duration {
	wait := 2 * time.Second << min(max(attempts-1, 0), 11)
	return min(wait, time.Hour)
}

// DeliveryReceipt takes in a carrier's later word on a message. It may come
// twice, late, or out of order. [ErrNotFound]: it is about no message of ours.
func (b *Bot) DeliveryReceipt(ctx context.Context, r DeliveryReceipt) (err error) {
	out, err := b.store.Outgoing(ctx, r.Outgoing)
	if errors.Is(err, ErrNotFound) && r.CarrierID != "" {
		out, err = b.store.OutgoingByCarrier(ctx, r.CarrierID)
	}
	if err != nil {
		return fmt.Errorf("delivery receipt: %w", err)
	}
	if known, err := b.tookReceipt(ctx, out, r.State); known || err != nil {
		return err
	}
	// It belongs to what the message was sent for, and only came by the webhook.
	came := trace.LinkFromContext(ctx)
	ctx, span := b.span(b.following(ctx, &out), "receipt", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(came))
	tag(span, "state", string(r.State))
	tag(span, "code", r.Code)
	defer func() { done(span, err) }()
	if r.At.IsZero() {
		r.At = b.now()
	}
	if r.State == OutDelivered && out.Priority != PriorityPage { // before it is settled: then it is not asked for again
		if err := b.reached(ctx, out); err != nil {
			return fmt.Errorf("delivery receipt: %w", err)
		}
	}
	err = b.store.Settle(ctx, Settlement{ID: out.ID, State: r.State, CarrierID: r.CarrierID, Code: r.Code, At: r.At})
	if err != nil {
		return fmt.Errorf("delivery receipt: %w", err)
	}
	if r.State == OutUndelivered || r.State == OutFailed {
		return b.undeliverable(ctx, out, r.Code, r.Obstacle)
	}
	b.tell(Hint{Service: out.Service, Patient: out.Patient})
	return nil
}

// tookReceipt says whether a carrier's last word on a message, and all that follows from
// it, was taken in before. Its log says the same of a message for two days.
func (b *Bot) tookReceipt(ctx context.Context, out Outgoing, state OutState) (bool, error) {
	switch {
	case out.State != state:
		return false, nil
	case state == OutDelivered:
		return true, nil
	case state != OutUndelivered && state != OutFailed:
		return false, nil
	case out.Priority == PriorityPage:
		return b.store.Seen(ctx, "page-failed:"+out.ID)
	}
	return b.store.Seen(ctx, "undelivered:"+out.ID)
}
