package redisstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"
)

// member is one member of a sorted set of a slot.
type member struct {
	slot  slot
	name  string
	score float64
}

func byScore(a, b member) int {
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.name, b.name))
}

func lastFirst(a, b member) int { return byScore(b, a) }

// list is a sorted set that every slot has: give asks for its first n, and says
// whether scores come with them.
type list struct {
	give   func(s slot, n int) *command
	scored bool
	order  func(a, b member) int
	// all gives the first n of every slot in one question, in order in each slot; nil: each is asked.
	all func(ctx context.Context, n int) ([]member, error)
}

// first puts the first limit members of all slots together. It asks each slot
// for a few; only where those do not prove to be enough is the slot asked again,
// so that its cost goes by slots and limit, not by how much there is.
func (s *Store) first(ctx context.Context, l list, limit int) ([]member, error) {
	if limit <= 0 {
		return nil, nil
	}
	few := min(limit, 2*limit/slotCount+4)
	of := make([][]member, slotCount)
	if err := s.fetch(ctx, l, allSlots, few, of); err != nil {
		return nil, err
	}
	all := merge(of, l, limit)
	if few == limit {
		return all, nil
	}
	var again []slot
	for i, part := range of {
		// Its last is among the first of all, so that its next may be too.
		if len(part) == few && (len(all) < limit || l.order(part[few-1], all[len(all)-1]) <= 0) {
			again = append(again, slot(i))
		}
	}
	if len(again) == 0 {
		return all, nil
	}
	if err := s.fetch(ctx, l, again, limit, of); err != nil {
		return nil, err
	}
	return merge(of, l, limit), nil
}

var allSlots = func() []slot {
	all := make([]slot, slotCount)
	for i := range all {
		all[i] = slot(i)
	}
	return all
}()

// fetch asks slots for their first n.
func (s *Store) fetch(ctx context.Context, l list, slots []slot, n int, of [][]member) error {
	if l.all != nil && len(slots) == slotCount {
		clear(of)
		found, err := l.all(ctx, n)
		for _, m := range found {
			of[m.slot] = append(of[m.slot], m)
		}
		return err
	}
	asks := make([]*command, len(slots))
	for i, sl := range slots {
		asks[i] = l.give(sl, n)
	}
	if err := s.servers.read(ctx, asks...); err != nil {
		return err
	}
	for i, sl := range slots {
		of[sl] = members(sl, asks[i], l.scored)
	}
	return nil
}

// members reads a sorted set's answer.
func members(sl slot, c *command, scored bool) []member {
	answer, _ := c.done.StringSlice() // its fault was seen
	step := 1
	if scored {
		step = 2
	}
	out := make([]member, 0, len(answer)/step)
	for i := 0; i+step <= len(answer); i += step {
		m := member{slot: sl, name: answer[i]}
		if scored {
			m.score, _ = strconv.ParseFloat(answer[i+1], 64)
		}
		out = append(out, m)
	}
	return out
}

func merge(of [][]member, l list, limit int) []member {
	var all []member
	for _, part := range of {
		all = append(all, part...)
	}
	slices.SortFunc(all, l.order)
	return all[:min(len(all), limit)]
}
