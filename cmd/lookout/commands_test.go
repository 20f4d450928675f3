package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// lookout runs a command line in this process.
func lookout(t *testing.T, in string, args ...string) (out string, err error) {
	t.Helper()
	var b, e bytes.Buffer
	err = run(&env{context.Background(), strings.NewReader(in), &b, &e, nil, time.Now}, args)
	return b.String(), err
}

func TestTriageCommand(t *testing.T) {
	out, err := lookout(t, `{"id":"1","text":"my legs have gone weak","ask":null,"other":1}
not json

{"id":"2","text":"yes","ask":{"prompt":"Any new lumps?","kind":"yes_no"}}
{"id":3}
{"id":"4","text":"no lumps"}
`, "triage")
	if err == nil {
		t.Error("bad lines, and yet the exit code is 0")
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), out)
	}
	for i, want := range [][]string{
		{`"id":"1"`, `"level":"emergency"`, `"concept":"leg_weakness"`, `"start":3`, `"polarity":"said"`, `"time":"now"`, `"experiencer":"her"`, `"why":`},
		{`"error":`, `"line":2`}, {`"id":"2"`, `"level":"soon"`}, {`"error":`, `"line":5`}, {`"level":"none"`, `"polarity":"denied"`},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d lacks %s: %s", i+1, w, lines[i])
			}
		}
	}
}

func TestFlowsCommands(t *testing.T) {
	if out, err := lookout(t, "", "flows", "check"); err != nil || !strings.Contains(out, "No faults") {
		t.Errorf("check: %v %s", err, out)
	}
	if out, err := lookout(t, "", "flows", "graph", "check-in"); err != nil || !strings.Contains(out, "flowchart TD") {
		t.Errorf("graph: %v %s", err, out)
	}
	out, err := lookout(t, "no\nyes\nmy hip aches\n:wait 1h\n3 weeks\n:quit\n", "flows", "try", "check-in")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Any change in your chest", "Any pain, cough", "Please tell us in your own words", "bone_pain, said", "Since when?", "How bad is it"} {
		if !strings.Contains(out, want) {
			t.Errorf("the played talk lacks %q:\n%s", want, out)
		}
	}
	if out, err := lookout(t, ":wait 8d\n", "flows", "try", "check-in"); err != nil || !strings.Contains(out, "row for the nurse: routine, no-answer") {
		t.Errorf("silence: %v\n%s", err, out)
	}
}

func TestMistypedCommandsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nowhere := write("nowhere.yaml", "store: sqlite:"+filepath.Join(dir, "gone.db"))
	misspelt := write("misspelt.yaml", "stor: sqlite:marker\nservice: {keep_years: marker}\n")
	broken := write("broken.yaml", "addr: [\n")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"serv"}, []string{"serve", "Try: lookout --help"}},
		{[]string{"serve", "--unsined"}, []string{"--unsigned", "Try: lookout serve --help"}},
		{[]string{"serve", "--settings"}, []string{"--settings: needs a value", "Try: lookout serve --help"}},
		{[]string{"users", "add", "ann@example.org"}, []string{"--role", "Try: lookout users add --help"}},
		{[]string{"flows", "try", "nothing"}, []string{"check-in"}},
		{[]string{"flows", "check", "/nowhere"}, []string{"/nowhere is not a folder", "lookout content copy"}},
		{[]string{"content", "serve", "/nowhere"}, []string{"/nowhere is not a folder", "lookout content copy"}},
		{[]string{"triage", "say", "--content", "/nowhere", "my legs have gone weak"}, []string{"/nowhere is not a folder"}},
		{[]string{"serve", "--settings", "/nowhere.yaml"}, []string{"--settings", "/nowhere.yaml", "docs/settings.md"}},
		{[]string{"serve", "--settings", broken}, []string{"broken.yaml:", "is not YAML"}},
		{[]string{"serve", "--settings", misspelt}, []string{"misspelt.yaml:1: stor: there is no such setting", "misspelt.yaml:2: the value is of another kind", "docs/settings.md"}},
		{[]string{"audit", "verify", "--settings", nowhere}, []string{"gone.db is not there yet"}},
		{[]string{"patients", "plan", "anytown-p1", "--settings", nowhere}, []string{"gone.db is not there yet"}},
	} {
		out, err := lookout(t, "", c.args...)
		if err == nil || out != "" {
			t.Errorf("%v: no error (%v), or something was told as if there were none: %s", c.args, err, out)
			continue
		}
		var told strings.Builder
		exitCode(err, &told)
		for _, says := range c.says {
			if !strings.Contains(told.String(), says) {
				t.Errorf("%v: the error lacks %q: %s", c.args, says, &told)
			}
		}
		// What cannot be read is the one fault: the rest would be untrue. A value may be a secret.
		if strings.Contains(told.String(), "marker") || slices.Contains(c.args, broken) && strings.Contains(told.String(), "twilio") {
			t.Errorf("%v: it says too much: %s", c.args, &told)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gone.db")); err == nil {
		t.Error("a command that only looks has made a store")
	}
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"triage", "--help"}, {"triage", "eval", "--help"}, {"triage", "train", "--help"}, {"users", "add", "--help"}, {"demo", "--help"}, {"doctor", "--help"}, {"flows", "try", "--help"}} {
		out, err := lookout(t, "", args...)
		if err != nil || (len(args) > 1 && !strings.Contains(out, "Example")) {
			t.Errorf("%v: %v, and no example:\n%s", args, err, out)
		}
	}
}

// Every command, of today and of tomorrow, says how it is used with an example of
// itself, and refuses a flag that it does not know.
func TestEveryCommandHasAnExample(t *testing.T) {
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 10 {
		t.Fatalf("only %d commands were found", len(leaves))
	}
	for _, leaf := range leaves {
		words := strings.Fields(leaf.Path())
		args := words[1:] // without the program's name
		if words[0] != "lookout" {
			args = words
		}
		for i, word := range args { // "import <file>": the command is what comes before
			if strings.HasPrefix(word, "<") || strings.HasPrefix(word, "[") {
				args = args[:i]
				break
			}
		}
		out, err := lookout(t, "", append(slices.Clone(args), "--help")...)
		if err != nil || !strings.Contains(out, "Example") || !strings.Contains(out, "lookout "+strings.Join(args, " ")) {
			t.Errorf("lookout %s --help: %v, and no example of itself:\n%s", strings.Join(args, " "), err, out)
		}
		_, err = lookout(t, "", append(slices.Clone(args), "--no-such-flag")...)
		if code := exitCode(err, io.Discard); code != 2 {
			t.Errorf("lookout %s --no-such-flag: exit code %d, %v", strings.Join(args, " "), code, err)
		}
	}
}
