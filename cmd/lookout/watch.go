package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// watchSettings are the watch on the watcher: an address outside that hears from
// lookout while all is well, and raises the alarm when it does not.
type watchSettings struct {
	URL string `yaml:"url"`
}

func (s *watchSettings) check() error {
	if s.URL == "" {
		return nil
	}
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("watch.url: must be an address that your monitoring gives you, like https://watch.example.nhs.uk/ping/lookout")
	}
	return nil
}

// A cycle is healthy when the jobs on which the promises hang have gone well so lately.
var healthyJobs = map[string]time.Duration{"wake": 2 * time.Minute, "deliver": 5 * time.Minute, "sweep": 15 * time.Minute}

// healthy says what is wrong; nil: a whole cycle has gone well.
func (p *process) healthy(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := p.store.Stats(ctx, now)
	if err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	if _, err := trust(p.store); err != nil {
		return err
	}
	for job, most := range healthyJobs {
		if last := p.metrics.succeeded(job); now.Sub(last) > most {
			return fmt.Errorf("the job %s has not gone well since %s", job, last.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// report tells the watch outside that a cycle was healthy. When it was not, or the
// watch cannot be reached, it tells nobody and says why: silence is the alarm.
func (p *process) report(ctx context.Context, now time.Time) error {
	if err := p.healthy(ctx, now); err != nil {
		return fmt.Errorf("the watch is not told that all is well: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.settings.Watch.URL, nil)
	if err != nil {
		return errors.New("the watch cannot be told: watch.url is no address")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return errors.New("the watch could not be reached: see whether this machine may reach watch.url") // err would repeat the address, which is a secret
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // what it says is of no interest
	if response.StatusCode >= 300 {
		return fmt.Errorf("the watch answered %d", response.StatusCode)
	}
	return nil
}
