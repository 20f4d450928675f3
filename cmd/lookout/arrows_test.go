package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms is the house: every folder that may hold Go code, and what of lookout it
// may import. Arrows run one way: cmd → channels, scheduler → bot → content → flows.
var rooms = map[string][]string{
	"cmd/lookout":          {"bot", "bot/sqlitestore", "bot/redisstore", "bot/rehearsal", "bot/simulate", "bot/vault", "channels/api", "channels/author", "channels/desk", "channels/email", "channels/sms", "channels/sms/standin", "channels/webhook", "channels/widget", "content", "flows", "flows/triage", "scheduler"},
	"bot":                  {"content", "flows", "flows/triage"},
	"bot/sqlitestore":      {"bot", "bot/vault", "flows/triage"},
	"bot/redisstore":       {"bot", "bot/vault", "flows/triage"},
	"bot/vault":            {},               // it knows bytes and places, nobody and no store
	"bot/internal/memory":  {"bot", "flows"}, // internal: nobody but the rooms of bot can build on a store that forgets
	"bot/rehearsal":        {"bot", "bot/internal/memory", "content", "flows", "flows/triage"},
	"bot/simulate":         {"bot", "bot/internal/memory", "content", "flows", "flows/triage"},
	"bot/storetest":        {"bot", "bot/vault", "flows", "flows/triage"},
	"flows":                {"flows/triage"},
	"flows/triage":         {},
	"content":              {"flows", "flows/triage"},
	"channels/api":         {"bot"},
	"channels/author":      {"bot/rehearsal", "content", "flows"}, // no patient, and no store: what authors read and try
	"channels/desk":        {"bot", "content", "flows/triage"},
	"channels/email":       {"bot"},
	"channels/sms":         {"bot"},
	"channels/sms/standin": {},
	"channels/webhook":     {"bot"},
	"channels/widget":      {"bot"},
	"scheduler":            {},
}

// bans are imports that would let a room know what it must not, with the reason.
var bans = []struct{ room, path, why string }{
	{"bot", "net/http", "a turn does not know how its event arrived"},
	{"bot", "database/sql", "the bot knows its store by an interface only"},
	{"bot", "github.com/twilio/", "carriers live behind channels/sms"},
	{"bot", "github.com/redis/", "the bot knows its store by an interface only"},
	{"bot", "github.com/gorilla/", "sockets live behind channels/widget"},
	{"flows", "os", "the flow engine does no I/O"},
	{"flows", "net", "the flow engine does no I/O"},
	{"flows", "math/rand", "the same input gives the same output"},
	{"flows/triage", "os", "the reader does no I/O"},
	{"flows/triage", "net", "the reader does no I/O"},
	{"flows/triage", "math/rand", "the same input gives the same reading; only a training shuffles, from a fixed seed"},
	{"content", "net/http", "content is data"},
	{"content", "database/sql", "content does not know storage"},
	{"bot/sqlitestore", "net/http", "a store does not know doors"},
	{"bot/redisstore", "net/http", "a store does not know doors"},
}

// clockless are rooms whose code must be given the time.
var clockless = []string{"flows", "flows/triage", "content", "bot/sqlitestore", "bot/redisstore"}

// topLevel is all that may stand beside the rooms.
var topLevel = []string{"cmd", "bot", "flows", "channels", "scheduler", "content", "docs", "go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "Dockerfile", "compose.yaml", "bin", "lookout-demo"}

func TestTheHouse(t *testing.T) {
	root := filepath.Join("..", "..")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s stands at the top level, which is fixed: put it into a room", e.Name())
		}
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "/.") && !strings.HasPrefix(path, "..") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(rel, ".") {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(rel))
		may, known := rooms[room]
		if !known {
			t.Errorf("%s is not in a room of the house: see DESIGN in README.md", rel)
			return nil
		}
		if strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if ours, ok := strings.CutPrefix(imported, "lookout/"); ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: the arrow does not run that way", rel, imported)
			}
			if imported == "testing" && room != "bot/storetest" {
				t.Errorf("%s imports testing: it belongs into tests", rel)
			}
			for _, ban := range bans {
				if rel == "flows/triage/train.go" && imported == "math/rand/v2" {
					continue
				}
				if ban.room == room && (imported == ban.path || strings.HasPrefix(imported, strings.TrimSuffix(ban.path, "/")+"/")) {
					t.Errorf("%s imports %s: %s", rel, imported, ban.why)
				}
			}
		}
		if slices.Contains(clockless, room) {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.Contains(string(text), "time.Now()") {
				t.Errorf("%s reads the wall clock: here the time is passed in", rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
