package scheduler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewFindsFaultsOfTheList(t *testing.T) {
	run := func(context.Context) error { return nil }
	for name, jobs := range map[string][]Job{
		"does not parse":    {{Name: "a", Every: "now and then", Run: run}},
		"never comes":       {{Name: "a", Every: "0 0 30 2 *", Run: run}},
		"panics in cron":    {{Name: "a", Every: "TZ=Europe/London", Run: run}},
		"stands twice":      {{Name: "a", Every: "@every 1s", Run: run}, {Name: "a", Every: "@every 2s", Run: run}},
		"of no time at all": {{Name: "a", Every: "", Run: run}},
	} {
		if _, err := New(jobs, slog.New(slog.DiscardHandler), nil); err == nil {
			t.Errorf("a job that %s was accepted", name)
		}
	}
}

func TestJobsRunDoNotOverlapAndOutliveFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var quick, slow, atStart atomic.Int32
		s, err := New([]Job{
			{Name: "quick", Every: "@every 1s", Run: func(context.Context) error { quick.Add(1); return errors.New("no luck") }},
			{Name: "slow", Every: "@every 1s", Run: func(ctx context.Context) error {
				slow.Add(1)
				select {
				case <-time.After(3500 * time.Millisecond):
				case <-ctx.Done():
				}
				return nil
			}},
			{Name: "bad", Every: "@every 1s", Run: func(context.Context) error { panic("oh") }},
			{Name: "first", Every: "@every 1h", AtStart: true, Run: func(context.Context) error { atStart.Add(1); return nil }},
		}, slog.New(slog.NewTextHandler(&log, nil)), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		time.Sleep(8*time.Second + 100*time.Millisecond) // virtual time
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := quick.Load(); n < 7 {
			t.Errorf("the failing job ran %d times in 8 seconds, want about 8: a fault must not end it", n)
		}
		if n := slow.Load(); n < 2 || n > 3 {
			t.Errorf("the slow job ran %d times in 8 seconds, want 2: runs of one job must not overlap", n)
		}
		if atStart.Load() != 1 {
			t.Error("the job that runs at the start did not run once")
		}
		if !strings.Contains(log.String(), "panic: oh") {
			t.Error("a panic was not logged")
		}
	})
}

// The run at the start is one run of its job like any other: the first ticks wait for it.
func TestTheRunAtTheStartOverlapsWithNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, runs atomic.Int32
		s, err := New([]Job{{Name: "slow", Every: "@every 1s", AtStart: true, Run: func(context.Context) error {
			if running.Add(1) > 1 {
				t.Error("a run has begun while the run at the start was under way")
			}
			runs.Add(1)
			time.Sleep(2500 * time.Millisecond) // virtual time
			running.Add(-1)
			return nil
		}}}, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		time.Sleep(5 * time.Second)
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if runs.Load() < 2 {
			t.Errorf("%d runs: the ticks after the start did not come", runs.Load())
		}
	})
}
