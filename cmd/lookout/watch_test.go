package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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

// promtool runs Prometheus's own tool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v (is it there? .ci/setup installs it)\n%s", args, err, out)
	}
}

// Prometheus reads every alert and every panel, and plays what alerts_test.yaml says of the
// alerts; each is about a metric that /metrics has, names a heading of the runbook, every job
// that it waits for, and the promises that it guards; and each promise is guarded.
func TestAlertRules(t *testing.T) {
	w := canaryWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "lookout.db"))
	w.follow(w.process.bot)
	w.reply(mary, "who is this") // a row
	w.expect(mary, 0, "")
	scraped := w.page("/metrics")
	folder := filepath.Join("..", "..", "docs", "operations")
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	rules, runbook := read("alerts.yaml"), string(read("../operations.md"))
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
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read("dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	panels, exprs := "groups:\n- name: panels\n  rules:\n", []string{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			panels += fmt.Sprintf("  - {record: panel%d, expr: %q}\n", len(exprs), target.Expr)
			exprs = append(exprs, target.Expr)
		}
	}
	asRules := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(asRules, []byte(panels), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", filepath.Join(folder, "alerts.yaml"), asRules)
	promtool(t, "test", "rules", filepath.Join(folder, "alerts_test.yaml"))

	headings := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(runbook, -1) {
		headings[strings.ReplaceAll(strings.ToLower(h[1]), " ", "-")] = true
	}
	jobs := map[string]bool{}
	for _, j := range w.process.jobList(w.clock.now) {
		jobs[j.Name] = true
	}
	guarded := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
			_, at, _ := strings.Cut(r.Annotations["runbook"], "#")
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || !headings[at] {
				t.Errorf("%s: needs a severity, a summary and a heading of docs/operations.md (%q)", r.Alert, at)
			}
			for _, job := range regexp.MustCompile(`\{task="([a-z ]+)"\}`).FindAllStringSubmatch(r.Expr, -1) {
				if !jobs[job[1]] {
					t.Errorf("%s: there is no job %s", r.Alert, job[1])
				}
			}
			for _, promise := range strings.Fields(r.Labels["promise"]) {
				guarded[promise] = true
			}
			if !strings.Contains(runbook, "`"+r.Alert+"`") {
				t.Errorf("%s is not in the runbook's table of promises", r.Alert)
			}
		}
	}
	for promise := '1'; promise <= '6'; promise++ {
		if !guarded[string(promise)] {
			t.Errorf("no alert guards promise %c", promise)
		}
	}
	for _, expr := range exprs {
		for _, name := range regexp.MustCompile(`\b(lookout|process|go)_[a-z_]+\b`).FindAllString(expr, -1) {
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(scraped) {
				t.Errorf("%s: /metrics has no %s", expr, name)
			}
		}
		for _, route := range regexp.MustCompile(`route="([^"]+)"`).FindAllStringSubmatch(expr, -1) {
			if _, found := w.process.mux.Handler(routed(route[1])); found != route[1] {
				t.Errorf("%s: there is no route %s, but %q", expr, route[1], found)
			}
		}
	}
	// Prometheus puts these on whatever it scrapes, and would rename ours.
	if regexp.MustCompile(`(?m)^lookout_[a-z_]+\{(.*,)?(job|instance)="`).MatchString(scraped) {
		t.Error("a metric has a label that Prometheus uses itself")
	}
}

// routed is a request that a route's own pattern answers.
func routed(pattern string) *http.Request {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, pattern
	}
	return httptest.NewRequest(method, path, nil)
}
