// Package scheduler says "look now" to every job that must not wait for an
// event: it knows when to look, never what is due or for whom. What is due is
// data in the store.
//
// A tick may come twice, late, or on two machines at once, and does no harm:
// every job here is safe to repeat. One run of a job never overlaps with the
// next of the same job. A job that fails is logged and comes again at its next
// tick; a job that panics does not take the process with it.
package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Job is one line of the list.
type Job struct {
	Name string
	// Every is a robfig/cron spec: "@every 5s", or five fields. The fields are
	// read in UTC: on a clock change a local time would be skipped or come twice.
	Every string
	Why   string // why there is a tick at all, for whoever reads the list
	Run   func(context.Context) error
	// AtStart runs the job once when the scheduler starts.
	AtStart bool
}

// Scheduler runs jobs at their times.
type Scheduler struct {
	cron    *cron.Cron
	log     *slog.Logger
	atStart []func()
	// Ran is called after each run, for metrics; it may be nil.
	ran  func(job string, took time.Duration, err error)
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup
}

// New checks the list and makes a scheduler that is not started. Every fault of
// a spec is found here: one that does not parse, and one that would never run.
func New(jobs []Job, log *slog.Logger, ran func(job string, took time.Duration, err error)) (*Scheduler, error) {
	s := &Scheduler{log: log, ran: ran}
	s.cron = cron.New(cron.WithLocation(time.UTC), cron.WithLogger(cron.DiscardLogger))
	s.ctx, s.stop = context.WithCancel(context.Background())
	names := make(map[string]bool, len(jobs))
	for _, job := range jobs {
		if names[job.Name] {
			return nil, fmt.Errorf("job %q stands in the list twice", job.Name)
		}
		names[job.Name] = true
		schedule, err := parse(job.Every)
		if err != nil {
			return nil, fmt.Errorf("job %q: %w", job.Name, err)
		}
		var running sync.Mutex
		alone := func() {
			if !running.TryLock() {
				return // the last run is not over: the next tick will do
			}
			defer running.Unlock()
			s.run(job)
		}
		s.cron.Schedule(schedule, cron.FuncJob(alone))
		if job.AtStart {
			s.atStart = append(s.atStart, alone)
		}
	}
	return s, nil
}

// parse reads a spec. cron panics on some and accepts others that never come;
// both are errors here.
func parse(spec string) (schedule cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("schedule %q cannot be read", spec)
		}
	}()
	schedule, err = cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", spec, err)
	}
	if schedule.Next(time.Now()).IsZero() {
		return nil, fmt.Errorf("schedule %q never comes", spec)
	}
	return schedule, nil
}

// run runs a job once.
func (s *Scheduler) run(job Job) {
	s.wg.Add(1)
	defer s.wg.Done()
	if s.ctx.Err() != nil {
		return
	}
	start := time.Now()
	err := guarded(s.ctx, job.Run)
	if err != nil && s.ctx.Err() == nil {
		s.log.Error("job failed", "job", job.Name, "err", err)
	}
	if s.ran != nil {
		s.ran(job.Name, time.Since(start), err)
	}
}

// guarded turns a panic into an error.
func guarded(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run(ctx)
}

// Start begins ticking, after running the jobs that are to run at the start.
func (s *Scheduler) Start() {
	for _, alone := range s.atStart {
		s.wg.Go(alone)
	}
	s.cron.Start()
}

// Stop ends the ticks, tells the jobs under way to end, and waits for them or ctx.
func (s *Scheduler) Stop(ctx context.Context) error {
	ended := s.cron.Stop()
	s.stop()
	done := make(chan struct{})
	go func() {
		<-ended.Done()
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the scheduler: %w", ctx.Err())
	}
}
