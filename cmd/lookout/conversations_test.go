package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lookout/content"
	"lookout/flows/triage"
)

var update = flag.Bool("update", false, "write what conversations are now into their files; read the difference before you commit it")

// conversation is one file of testdata/conversations: a heading of lines with a
// hash that says what it shows, `flow: NAME`, `fact: NAME=VALUE` lines, an empty
// line, and talks as `lookout flows try` plays them, parted by lines of three
// dashes. A talk may begin with lines with a hash. What she writes and the moves of
// the clock stand behind `> `; all else is what lookout says and does.
type conversation struct {
	heading, flow string
	facts         map[string]string
	talks         []string
}

const dashes = "---\n"

func readConversation(path string) (conversation, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return conversation{}, err
	}
	head, talk, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return conversation{}, fmt.Errorf("%s: no empty line parts the heading from the talk", path)
	}
	c := conversation{heading: head, facts: map[string]string{"tablets": "letrozole"}, talks: strings.Split(talk, dashes)}
	for n, line := range strings.Split(head, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case name == "flow":
			c.flow = value
		case name == "fact":
			field, is, _ := strings.Cut(value, "=")
			c.facts[field] = is
		default:
			return c, fmt.Errorf("%s:%d: the heading has `# what it shows`, `flow: NAME` and `fact: NAME=VALUE`, and not %q", path, n+1, line)
		}
	}
	return c, nil
}

// answers are what she writes in a talk, and the moves of the clock.
func answers(talk string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(talk, "\n") {
		if words, ok := strings.CutPrefix(line, "> "); ok {
			out.WriteString(words + "\n")
		}
	}
	return out.String()
}

// Every conversation goes as its file says, and together they go every way of
// every flow that is shipped.
func TestConversations(t *testing.T) {
	pack, err := shippedPack()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/conversations/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conversations:", err)
	}
	walked := map[string]bool{}
	for _, file := range files {
		c, err := readConversation(file)
		if err != nil {
			t.Error(err)
			continue
		}
		var now []string
		for _, was := range c.talks {
			now = append(now, c.replay(t, pack, file, was, walked))
		}
		if *update {
			if err := os.WriteFile(file, []byte(c.heading+"\n\n"+strings.Join(now, dashes)), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(c.talks, now); diff != "" {
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

// replay plays a talk again with what she wrote in it, and gives it as it is now.
func (c *conversation) replay(t *testing.T, pack *content.Pack, file, was string, walked map[string]bool) string {
	t.Helper()
	var out bytes.Buffer
	for line := range strings.Lines(was) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		out.WriteString(line)
	}
	talk := &try{pack: pack, out: &out, locale: "en-GB", channel: "sms", now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		timers: map[string]time.Time{}, rows: map[string]triage.Level{}, took: func(way string) { walked[way] = true }}
	if err := talk.know(maps.Clone(c.facts)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := talk.play(c.flow, strings.NewReader(answers(was)), true); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	if talk.state.Active() {
		t.Errorf("%s: a talk is still open at its end:\n%s", file, out.String())
	}
	return out.String()
}
