package redisstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// lane gathers what many callers read of one server while the last answer is
// awaited, and sends it as one batch: they share the system calls. Each caller's
// commands stay together and in order. What is written goes on a connection of its
// caller's: the server syncs its file once for all that have come meanwhile, and is
// not kept waiting while a batch is gathered (measured: a third more turns).
type lane struct {
	jobs  chan *job
	ended sync.WaitGroup
}

// job is what one caller reads of one server.
type job struct {
	commands []*command
	done     chan struct{}
}

const (
	lanesAtOnce = 2   // batches of one server under way
	maxBatch    = 128 // commands that are sent together
	laneUpTo    = 8   // more commands of one caller go by themselves
)

func newLane(s *servers, node *redis.Client) *lane {
	l := &lane{jobs: make(chan *job)}
	for range lanesAtOnce {
		l.ended.Go(func() { l.work(s, node) })
	}
	return l
}

// end waits for what is under way.
func (l *lane) end() {
	close(l.jobs)
	l.ended.Wait()
}

func (l *lane) work(s *servers, node *redis.Client) {
	for first := range l.jobs {
		batch, n := []*job{first}, len(first.commands)
	gather:
		for n < maxBatch {
			select {
			case j, ok := <-l.jobs:
				if !ok {
					break gather
				}
				batch = append(batch, j)
				n += len(j.commands)
			default:
				break gather
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*ioTimeout)
		var all []*command
		for _, j := range batch {
			all = append(all, j.commands...)
		}
		s.batch(ctx, node, false, all)
		cancel()
		for _, j := range batch {
			close(j.done)
		}
	}
}

// pipe sends one caller's commands to a server, once. The faults of single
// commands stay with them.
func (s *servers) pipe(ctx context.Context, node *redis.Client, writes bool, commands []*command) error {
	if writes {
		ctx, cancel := whole(ctx) // what was sent is waited for: its outcome must be known
		defer cancel()
		s.batch(ctx, node, true, commands)
		return nil
	}
	if len(commands) > laneUpTo {
		s.batch(ctx, node, false, commands)
		return nil
	}
	j := &job{commands: commands, done: make(chan struct{})}
	select {
	case s.lane(node).jobs <- j:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	<-j.done
	return nil
}

// lane is that of a server.
func (s *servers) lane(node *redis.Client) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[node]
	if l == nil {
		l = newLane(s, node)
		s.lanes[node] = l
	}
	return l
}

// batch sends commands over one connection of a server; each has its own fault. Where too
// few replicas have what was written, all have that one: nobody may go by what they answered.
func (s *servers) batch(ctx context.Context, node *redis.Client, writes bool, commands []*command) {
	pipe := node.Pipeline()
	for _, c := range commands {
		c.done, c.few = redis.NewCmd(ctx, c.args...), nil
		_ = pipe.Process(ctx, c.done) // it only queues
	}
	if !writes || s.copies == 0 {
		_, _ = pipe.Exec(ctx) // each command has its own fault
		return
	}
	last := commands[len(commands)-1]
	wait := s.await(ctx, pipe, last.key, len(commands) > 1 && commands[len(commands)-2].args[0] == "asking")
	_, _ = pipe.Exec(ctx)
	few := wait()
	if few != nil && last.err() != nil && notDone(last.err()) { // its slot is elsewhere by now, those of others may be here
		for _, c := range commands {
			if c.key != "" && c.err() == nil {
				pipe = node.Pipeline()
				wait = s.await(ctx, pipe, c.key, false)
				_, _ = pipe.Exec(ctx)
				few = wait()
				break
			}
		}
	}
	for _, c := range commands {
		c.few = few
	}
}

// await queues the wait for the replicas, and gives what came of it. WAIT is for all that
// the server was told, by anybody, before the last write of the same connection. A read is
// none, nor a script that finds nothing to change: up to Redis 7.0 they counted, from 7.2 on
// and in Valkey they do not, and WAIT would answer at once. So a mark is written before it,
// beside a key that is on the server.
func (s *servers) await(ctx context.Context, pipe redis.Pipeliner, key string, asking bool) func() error {
	if asking {
		_ = pipe.Process(ctx, redis.NewCmd(ctx, "asking"))
	}
	marked, waited := redis.NewCmd(ctx, "set", markBeside(key), "1"), redis.NewCmd(ctx, "wait", s.copies, (ioTimeout/2).Milliseconds())
	_, _ = pipe.Process(ctx, marked), pipe.Process(ctx, waited)
	return func() error {
		if err := marked.Err(); err != nil {
			return unavailable(err)
		}
		n, err := waited.Int()
		switch {
		case err != nil:
			return unavailable(err)
		case n < s.copies:
			return fmt.Errorf("%w: redis store: the change is on %d of %d replicas that must have it: whether it stays is unknown", bot.ErrUnavailable, n, s.copies)
		}
		return nil
	}
}
