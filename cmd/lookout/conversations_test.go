package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lookout/bot/rehearsal"
	"lookout/content"
)

// Every conversation goes as its file says, and together they go every way of
// every flow that is shipped. `go run ./cmd/lookout flows check --update content` writes
// how they go now.
func TestConversations(t *testing.T) {
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../content/talks/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conversations:", err)
	}
	walked := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := rehearsal.ReadScript(file, string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		var now []string
		for _, was := range c.Talks {
			played, err := c.Play(pack, was, func(way string) { walked[way] = true })
			if err != nil {
				t.Fatal(err)
			}
			if played.Open {
				t.Errorf("%s: a talk is still open at its end:\n%s", file, played.Words)
			}
			now = append(now, played.Words)
		}
		for _, fault := range c.Check(pack) {
			t.Error(fault)
		}
		if diff := cmp.Diff(c.Talks, now); diff != "" {
			t.Errorf("%s: it goes otherwise (-file +now):\n%s", file, diff)
		}
	}
	all, open := 0, []string{}
	for _, flow := range pack.Program().Flows() {
		for _, way := range pack.Program().Ways(flow) {
			if all++; !walked[way] {
				open = append(open, way)
			}
		}
	}
	t.Logf("%d of %d ways of the flows are walked", all-len(open), all)
	if len(open) > 0 {
		slices.Sort(open)
		t.Errorf("no conversation goes these ways:\n%s", strings.Join(open, "\n"))
	}
}
