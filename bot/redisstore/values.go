package redisstore

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
)

// PutValue keeps a value.
func (s *Store) PutValue(ctx context.Context, drawer, key string, value []byte, expires time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	key, value, err = s.vault.SealValue(drawer, key, value)
	if err != nil {
		return unavailable(err)
	}
	name := valueName(drawer, key)
	sl := slotOf(name)
	return s.servers.write(ctx, scriptPut.call([]string{s.keys.values(sl, drawer), s.keys.expires(sl), s.keys.drawers(sl)},
		key, name, millis(expires), value, drawer))
}

// live takes a value as it is kept apart; one that has expired is not there.
func (s *Store) live(drawer, name, text string, now time.Time) (key string, value []byte, err error) {
	until, kept, ok := strings.Cut(text, "\n")
	if !ok {
		return "", nil, bot.ErrNotFound
	}
	if ms := atoi(until); ms != 0 && ms <= now.UnixMilli() {
		return "", nil, bot.ErrNotFound
	}
	key, value, err = s.vault.OpenValue(drawer, name, []byte(kept))
	return key, value, unavailable(err)
}

// Value gives a value that has not expired.
func (s *Store) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	key = s.vault.ValueName(drawer, key)
	get := plain("hget", s.keys.values(slotOf(valueName(drawer, key)), drawer), key)
	if err := s.servers.read(ctx, get); err != nil {
		return nil, err
	}
	text, _ := get.done.Text()
	_, value, err := s.live(drawer, key, text, now)
	return value, err
}

// TakeValue reads and removes a value in one step.
func (s *Store) TakeValue(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	key = s.vault.ValueName(drawer, key)
	name := valueName(drawer, key)
	sl := slotOf(name)
	take := scriptTake.call([]string{s.keys.values(sl, drawer), s.keys.expires(sl)}, key, name)
	if err := s.servers.write(ctx, take); err != nil {
		return nil, err
	}
	text, _ := take.done.Text()
	_, value, err := s.live(drawer, key, text, now)
	return value, err
}

// swapTries is how often a value is compared anew that says what it said, and was kept
// again or sealed anew meanwhile.
const swapTries = 20

// SwapValue puts a value in the place of the one that the caller has read.
func (s *Store) SwapValue(ctx context.Context, drawer, key string, was, value []byte, expires, now time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	key, value, err = s.vault.SealValue(drawer, key, value)
	if err != nil {
		return unavailable(err)
	}
	name := valueName(drawer, key)
	sl := slotOf(name)
	for range swapTries {
		get := plain("hget", s.keys.values(sl, drawer), key)
		if err := s.servers.read(ctx, get); err != nil {
			return err
		}
		text, _ := get.done.Text()
		switch _, is, err := s.live(drawer, key, text, now); {
		case errors.Is(err, bot.ErrNotFound):
			if was != nil {
				return bot.ErrConflict
			}
		case err != nil:
			return err
		case was == nil || !bytes.Equal(is, was):
			return bot.ErrConflict
		}
		swap := scriptSwapValue.call([]string{s.keys.values(sl, drawer), s.keys.expires(sl), s.keys.drawers(sl)},
			key, name, millis(expires), value, drawer, text)
		if err := s.servers.write(ctx, swap); err != nil {
			return err
		}
		if n, _ := swap.done.Int64(); n == 1 {
			return nil
		}
	}
	return bot.ErrConflict
}

// Values gives every value of a drawer that has not expired.
func (s *Store) Values(ctx context.Context, drawer string, now time.Time) (map[string][]byte, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	get := everySlot(func(sl slot) *command { return plain("hgetall", s.keys.values(sl, drawer)) })
	if err := s.servers.read(ctx, get...); err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	for _, c := range get {
		for name, text := range pairs(c) {
			switch key, value, err := s.live(drawer, name, text, now); {
			case err == nil:
				out[key] = value
			case !errors.Is(err, bot.ErrNotFound):
				return nil, err
			}
		}
	}
	return out, nil
}

// DeleteValue removes a value; one that is not there is no error.
func (s *Store) DeleteValue(ctx context.Context, drawer, key string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := whole(ctx)
	defer cancel()
	key = s.vault.ValueName(drawer, key)
	name := valueName(drawer, key)
	sl := slotOf(name)
	return s.servers.write(ctx, scriptTake.call([]string{s.keys.values(sl, drawer), s.keys.expires(sl)}, key, name))
}

// sweepAtOnce is how many values of a slot one round of the sweep removes.
const sweepAtOnce = 500

// Sweep removes values that expired before now, and says how many. It also does
// what was left when a change or an erasure was cut short after it was kept.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	removed := 0
	for {
		look := everySlot(func(sl slot) *command {
			return plain("zrange", s.keys.expires(sl), "-inf", strconv.FormatInt(now.UnixMilli(), 10), "byscore", "limit", 0, sweepAtOnce)
		})
		if err := s.servers.read(ctx, look...); err != nil {
			return removed, err
		}
		var expire []*command
		more := false
		for i, c := range look {
			names, _ := c.done.StringSlice()
			more = more || len(names) == sweepAtOnce
			of := make(map[string][]any)
			for _, name := range names {
				drawer, key := splitValueName(name)
				of[drawer] = append(of[drawer], key, name)
			}
			for drawer, args := range of {
				expire = append(expire, scriptExpire.call([]string{s.keys.values(slot(i), drawer), s.keys.expires(slot(i))}, append([]any{now.UnixMilli()}, args...)...))
			}
		}
		if len(expire) > 0 {
			if err := s.servers.write(ctx, expire...); err != nil {
				return removed, err
			}
		}
		for _, c := range expire {
			n, _ := c.done.Int64()
			removed += int(n)
		}
		if !more {
			break
		}
	}
	if err := s.takeOutLeavings(ctx); err != nil {
		return removed, err
	}
	return removed, s.trimAudit(ctx)
}
