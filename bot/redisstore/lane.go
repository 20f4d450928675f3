package redisstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// lane gathers what many callers want of one server while the last answer is
// awaited, and sends it as one batch: they share the server's sync of its file,
// and the system calls. Each caller's commands stay together and in order.
type lane struct {
	jobs  chan *job
	ended sync.WaitGroup
}

// job is what one caller wants of one server.
type job struct {
	commands []*command
	writes   bool
	err      error
	done     chan struct{}
}

const (
	lanesAtOnce = 2   // batches of one server under way, of reads and of writes each
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
		s.batch(ctx, node, batch)
		cancel()
		for _, j := range batch {
			close(j.done)
		}
	}
}

// pipe sends one caller's commands to a server, once. The faults of single
// commands stay with them.
func (s *servers) pipe(ctx context.Context, node *redis.Client, writes bool, commands []*command) error {
	j := &job{commands: commands, writes: writes, done: make(chan struct{})}
	if len(commands) > laneUpTo {
		s.batch(ctx, node, []*job{j})
		return j.err
	}
	select {
	case s.lane(node, writes).jobs <- j:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	<-j.done // what was sent is waited for: its outcome must be known
	return j.err
}

// lane is that of a server: reads do not stand behind writes, which wait for the disk.
func (s *servers) lane(node *redis.Client, writes bool) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := way{node, writes}
	l := s.lanes[to]
	if l == nil {
		l = newLane(s, node)
		s.lanes[to] = l
	}
	return l
}

// way is what a lane is for.
type way struct {
	node   *redis.Client
	writes bool
}

// batch sends jobs over one connection of a server.
func (s *servers) batch(ctx context.Context, node *redis.Client, jobs []*job) {
	pipe := node.Pipeline()
	writes := false
	for _, j := range jobs {
		writes = writes || j.writes
		for _, c := range j.commands {
			c.done = redis.NewCmd(ctx, c.args...)
			_ = pipe.Process(ctx, c.done) // it only queues
		}
	}
	var waited *redis.Cmd
	if writes && s.copies > 0 {
		// On the same connection: WAIT counts only what that connection wrote.
		waited = redis.NewCmd(ctx, "wait", s.copies, (ioTimeout / 2).Milliseconds())
		_ = pipe.Process(ctx, waited)
	}
	_, _ = pipe.Exec(ctx) // each command has its own fault
	if waited == nil {
		return
	}
	n, err := waited.Int()
	if err != nil {
		err = unavailable(err)
	} else if n < s.copies {
		err = fmt.Errorf("%w: redis store: the change is on %d of %d replicas that must have it: whether it stays is unknown", bot.ErrUnavailable, n, s.copies)
	}
	for _, j := range jobs {
		if j.writes {
			j.err = err
		}
	}
}
