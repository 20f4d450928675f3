package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// Each server of a Cluster fails over by itself. One that was promoted a moment
// behind may lack entries that lead to a patient whose own slot lies elsewhere and
// has lost nothing: her number would be a stranger's. Her slot knows what should
// be there, so it can be put back. Where one server has all slots, what was
// written before her record cannot be lost without it.

const (
	mendPage   = 256 // people of one list
	mendAtOnce = 16  // people under way
)

// mending is how far people were looked over for the servers as they run. While those run
// on they lose nothing, so that who was looked at need not be again.
type mending struct {
	servers string   // as runs names them
	after   string   // the last who was looked at
	passed  []string // who could not be read, and is tried again
	put     int      // entries that were put back
}

// keepMending puts back what leads to people, at the start and whenever a check has found
// no fault, until ctx ends. It has all the time that it needs: nothing waits for it.
func (s *Store) keepMending(ctx context.Context) {
	var m mending
	for {
		if err := s.mendAfterFailOver(ctx, &m); err != nil && ctx.Err() == nil {
			s.options.Log.Warn("whether a fail-over lost what leads to people is not known yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.remend:
		}
	}
}

// mendSoon asks whether there is something to put back: the servers were found to be well.
func (s *Store) mendSoon() {
	select {
	case s.remend <- struct{}{}:
	default:
	}
}

// mendAfterFailOver puts back what leads to people, once for each set of servers
// that take writes: a server that is another, or was started again, makes another set.
// What is cut short goes on where it was.
func (s *Store) mendAfterFailOver(ctx context.Context, m *mending) error {
	if s.servers.cluster == nil {
		return nil
	}
	are, err := s.runs(ctx)
	if err != nil {
		return err
	}
	mended := plain("get", s.keys.mended())
	if err := s.servers.read(ctx, mended); err != nil {
		return err
	}
	if was, err := mended.done.Text(); err == nil && was == are {
		*m = mending{} // by us, or by another process
		return nil
	}
	if m.servers != are {
		*m = mending{servers: are}
	}
	before := m.put
	err = s.mend(ctx, m)
	if n := m.put - before; n > 0 {
		s.options.Log.WarnContext(ctx, "a fail-over had lost entries that lead to people: they were put back", "entries", n)
	}
	if err != nil {
		return err
	}
	if n := len(m.passed); n > 0 {
		s.options.Log.WarnContext(ctx, "people could not be read, and what leads to them is not put back: it is tried again after the next check", "people", n)
		return nil
	}
	if err := s.servers.write(ctx, plain("set", s.keys.mended(), are)); err != nil {
		return err
	}
	*m = mending{}
	return nil
}

// runs names the servers that take writes as they run now.
func (s *Store) runs(ctx context.Context) (string, error) {
	found := make(chan string, 1024)
	err := s.servers.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		text, err := c.Info(ctx, "server").Result()
		_, id, _ := strings.Cut(text, "run_id:")
		id, _, _ = strings.Cut(id, "\r\n")
		found <- id
		return err
	})
	close(found)
	var all []string
	for id := range found {
		all = append(all, id)
	}
	slices.Sort(all)
	return strings.Join(all, " "), unavailable(err)
}

// mend puts back what should lead to people and does not: of those whom it had to pass
// over, and of all who come after them.
func (s *Store) mend(ctx context.Context, m *mending) error {
	again := m.passed
	m.passed = nil
	if err := s.mendThese(ctx, m, again); err != nil {
		return err
	}
	for {
		ids, err := s.Everyone(ctx, m.after, mendPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := s.mendThese(ctx, m, ids); err != nil {
			return err
		}
		m.after = ids[len(ids)-1]
	}
}

// mendThese looks people over, some at once. Who cannot be read keeps nobody else waiting.
func (s *Store) mendThese(ctx context.Context, m *mending, ids []string) error {
	for part := range slices.Chunk(ids, mendAtOnce) {
		put, errs := make([]int, len(part)), make([]error, len(part))
		var wg sync.WaitGroup
		for i, id := range part {
			wg.Go(func() { put[i], errs[i] = s.mendOne(ctx, id) })
		}
		wg.Wait()
		for i, id := range part {
			m.put += put[i]
			if errs[i] != nil {
				m.passed = append(m.passed, id)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) mendOne(ctx context.Context, patient string) (int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	known, _, service, err := s.leavingsOf(ctx, patient)
	if errors.Is(err, bot.ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	head := plain("getrange", s.keys.record(patient), 0, 31)
	if err := s.servers.read(ctx, head); err != nil {
		return 0, err
	}
	text, _ := head.done.Text()
	version, _, _ := strings.Cut(text, " ")
	var back []*command
	for _, a := range known.Addresses {
		channel, at, _ := strings.Cut(a, "\x00")
		back = append(back, scriptAddress.call([]string{s.keys.at(service, bot.Address{Channel: channel, At: at})}, patient, atoi(version)))
	}
	for _, key := range known.Keys {
		back = append(back, plain("hsetnx", s.keys.claims(key), key, "1 "+patient))
	}
	for carrier, message := range known.Carriers {
		back = append(back, plain("hsetnx", s.keys.carrier(carrier), carrier, message))
	}
	if len(back) == 0 {
		return 0, nil
	}
	if err := s.servers.write(ctx, back...); err != nil {
		return 0, err
	}
	put, addresses := 0, 0
	for i, c := range back {
		if n, _ := c.done.Int64(); n == 1 {
			put++
			if i < len(known.Addresses) {
				addresses++
			}
		}
	}
	if addresses > 0 {
		// Should she have given one up meanwhile, or been erased, it goes again.
		note, err := json.Marshal(leavings{who: known.who})
		if err != nil {
			return put, err
		}
		return put, s.takeOut(ctx, slotOf(patient), patient+"@"+version, string(note))
	}
	return put, nil
}
