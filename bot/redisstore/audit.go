package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lookout/bot"
	"lookout/bot/vault"
)

// Audit appends who read or did what, all of it or nothing.
func (s *Store) Audit(ctx context.Context, entries ...bot.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	texts := make([]any, len(entries))
	for i := range entries {
		text, err := s.vault.Encode(vault.AuditPlace, &entries[i])
		if err != nil {
			return fmt.Errorf("%w: audit: %w", bot.ErrInvalid, err)
		}
		texts[i] = text
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	sl := slotOf(entries[0].Patient + entries[0].By)
	return s.servers.write(ctx, scriptAudit.call([]string{s.keys.audit(sl), s.keys.counters(sl)}, texts...))
}

const (
	chunkSize  = 10_000 // audit entries a list
	gatherPart = 500    // entries of a slot that are gathered at once
)

// AuditLog reads the audit, oldest first, after gathering what the slots have.
func (s *Store) AuditLog(ctx context.Context, after int64, limit int) ([]bot.AuditEntry, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.gatherAudit(ctx); err != nil {
		return nil, err
	}
	var out []bot.AuditEntry
	for at := max(after, 0); len(out) < limit; {
		chunk, from := at/chunkSize, at%chunkSize
		to := min(from+int64(limit-len(out)), chunkSize) - 1
		get := plain("lrange", s.keys.log(chunk), from, to)
		if err := s.servers.read(ctx, get); err != nil {
			return nil, err
		}
		texts, _ := get.done.StringSlice()
		for _, text := range texts {
			e, err := open[bot.AuditEntry](s, vault.AuditPlace, text)
			if err != nil {
				return nil, err
			}
			at++
			e.Seq = at
			out = append(out, e)
		}
		if int64(len(texts)) < to-from+1 {
			break
		}
	}
	return out, nil
}

// waiting is an audit entry of a slot that may not be in the log yet.
type waiting struct {
	slot  slot
	seq   string
	stamp string // microseconds since 1970, all of one length
	entry string
}

// gatherAudit brings the slots' entries into the log, in the order in which they
// were kept as far as the servers' clocks agree; those of a slot always in order.
// Two processes may do it at once: the log's script takes each entry once.
func (s *Store) gatherAudit(ctx context.Context) error {
	for {
		marks := plain("hgetall", s.keys.gathered())
		if err := s.servers.read(ctx, marks); err != nil {
			return err
		}
		mark := pairs(marks)
		look := everySlot(func(sl slot) *command {
			from := "(" + mark[strconv.Itoa(int(sl))]
			if from == "(" {
				from = "-inf"
			}
			return plain("zrange", s.keys.audit(sl), from, "+inf", "byscore", "limit", 0, gatherPart)
		})
		if err := s.servers.read(ctx, look...); err != nil {
			return err
		}
		of := make([][]waiting, slotCount)
		total, more := 0, false
		for i, c := range look {
			texts, _ := c.done.StringSlice()
			more = more || len(texts) == gatherPart
			total += len(texts)
			for _, text := range texts {
				f := strings.SplitN(text, " ", 3)
				of[i] = append(of[i], waiting{slot(i), f[0], f[1], f[2]})
			}
		}
		if total == 0 {
			return nil
		}
		if err := s.appendAudit(ctx, inTime(of), atoi(mark["n"])); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// inTime puts entries of the slots together by their stamps, without changing
// the order inside a slot.
func inTime(of [][]waiting) []waiting {
	var all []waiting
	for i := range of {
		for j := range of[i] { // a server's clock that was put back changes no order
			if j > 0 {
				of[i][j].stamp = max(of[i][j].stamp, of[i][j-1].stamp)
			}
		}
		all = append(all, of[i]...)
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return strings.Compare(a.stamp, b.stamp) })
	return all
}

// appendAudit appends entries to the log, which has n as the caller knows it. When
// another process was faster, its work is as good: the next gathering finds the rest.
func (s *Store) appendAudit(ctx context.Context, entries []waiting, n int64) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	for part := range slices.Chunk(entries, gatherPart) {
		for {
			chunk := n / chunkSize
			args := []any{n, chunkSize}
			for _, e := range part {
				args = append(args, int(e.slot), e.seq, e.entry)
			}
			add := scriptGather.call([]string{s.keys.gathered(), s.keys.log(chunk), s.keys.log(chunk + 1)}, args...)
			if err := s.servers.write(ctx, add); err != nil {
				return err
			}
			now, err := add.done.Int64()
			if err != nil {
				return unavailable(err)
			}
			if now >= 0 {
				n = now
				break
			}
			count := plain("hget", s.keys.gathered(), "n")
			if err := s.servers.read(ctx, count); err != nil {
				return err
			}
			text, _ := count.done.Text()
			n = atoi(text)
		}
	}
	return nil
}

// trimAudit removes from the slots what is in the log since before the last
// gathering, and gathers. In between both have it, so that a log's server that
// fails over to a replica a moment behind loses nothing.
func (s *Store) trimAudit(ctx context.Context) error {
	marks := plain("hgetall", s.keys.gathered())
	if err := s.servers.read(ctx, marks); err != nil {
		return err
	}
	var trim []*command
	for name, mark := range pairs(marks) {
		if sl, err := strconv.Atoi(name); err == nil && sl < slotCount {
			trim = append(trim, plain("zremrangebyscore", s.keys.audit(slot(sl)), "-inf", mark))
		}
	}
	if len(trim) > 0 {
		if err := s.servers.write(ctx, trim...); err != nil {
			return err
		}
	}
	return s.gatherAudit(ctx)
}
