package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// Each server of a Cluster fails over by itself. One that was promoted a moment
// behind may lack entries that lead to a patient whose own slot lies elsewhere and
// has lost nothing: her number would be a stranger's. Her slot knows what should
// be there, so it can be put back. Where one server has all slots, what was
// written before her record cannot be lost without it.

// mendPage is how many people are looked at before others have their turn.
const mendPage = 64

// mendAfterFailOver puts back what leads to people, once for each set of servers
// that take writes: a server that is another, or was started again, makes another set.
func (s *Store) mendAfterFailOver(ctx context.Context) error {
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
		return nil
	}
	n, err := s.mend(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		s.options.Log.WarnContext(ctx, "a fail-over had lost entries that lead to people: they were put back", "entries", n)
	}
	return s.servers.write(ctx, plain("set", s.keys.mended(), are))
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

// mend puts back what should lead to people and does not, and says how much.
func (s *Store) mend(ctx context.Context) (int, error) {
	put, after := 0, ""
	for {
		ids, err := s.Everyone(ctx, after, mendPage)
		if err != nil || len(ids) == 0 {
			return put, err
		}
		for _, id := range ids {
			n, err := s.mendOne(ctx, id)
			if err != nil {
				return put, err
			}
			put += n
		}
		after = ids[len(ids)-1]
	}
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
