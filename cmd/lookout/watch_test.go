package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// The watch outside hears of a healthy cycle, and of no other; the address, which is a
// secret, is in no error.
func TestTheWatchHearsWhileAllIsWell(t *testing.T) {
	var heard atomic.Int64
	watch := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	w := newWorld(t, func(s *settings) { s.Watch.URL = watch.URL + "/ping/secret" })
	if !eventually(t, func() bool { return w.process.healthy(t.Context(), w.clock.now()) == nil }) {
		t.Fatalf("a lookout that works is not healthy: %v", w.process.healthy(t.Context(), w.clock.now()))
	}
	before := heard.Load()
	if err := w.process.report(t.Context(), w.clock.now()); err != nil || heard.Load() <= before {
		t.Errorf("the watch has heard %d times, %v", heard.Load(), err)
	}
	before = heard.Load()
	if err := w.process.report(t.Context(), w.clock.now().Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "has not gone well") {
		t.Errorf("after an hour without a job: %v", err)
	}
	watch.Close()
	err := w.process.report(t.Context(), w.clock.now())
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a watch that is away: %v", err)
	}
	if heard.Load() != before {
		t.Error("the watch was told of a cycle that was not healthy")
	}
}

// Every alert and every panel is about a metric that there is, every alert names a
// heading of the runbook, and every job that an alert waits for.
func TestAlertRules(t *testing.T) {
	w := canaryWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"))
	w.follow(w.process.bot)
	w.call("GET", "/api/v1/queue?state=open", "", 200)
	families, err := w.process.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{"lookout_queue_rows": true, "lookout_job_failures_total": true} // these have no series until there is a row, a failure
	for _, f := range families {
		there[f.GetName()] = true
	}
	folder := filepath.Join("..", "..", "docs", "operations")
	rules, err := os.ReadFile(filepath.Join(folder, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\b(lookout|process|go)_[a-z_]+\b`).FindAllString(string(rules)+string(dashboard), -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if !there[name] && !there[base] {
			t.Errorf("there is no metric %s", name)
		}
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Load(rules, &file, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(runbook), -1) {
		headings[strings.ReplaceAll(strings.ToLower(h[1]), " ", "-")] = true
	}
	jobs := map[string]bool{}
	for _, j := range w.process.jobList(w.clock.now) {
		jobs[j.Name] = true
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			_, at, _ := strings.Cut(r.Annotations["runbook"], "#")
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || !headings[at] {
				t.Errorf("%s: needs a severity, a summary and a heading of docs/operations.md (%q)", r.Alert, at)
			}
			for _, job := range regexp.MustCompile(`(?:seconds|count|seconds_count)\{job="([a-z]+)"\}`).FindAllStringSubmatch(r.Expr, -1) {
				if !jobs[job[1]] {
					t.Errorf("%s: there is no job %s", r.Alert, job[1])
				}
			}
		}
	}
}
