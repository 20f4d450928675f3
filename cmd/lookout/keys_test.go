package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
)

// in runs a command line in this process, with an environment.
func in(t *testing.T, environ []string, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	err = run(&env{context.Background(), strings.NewReader(""), &b, &b, environ, time.Now}, args)
	return b.String(), err
}

// A lookout that was in the clear is encrypted where it lies, goes on with the talk
// that was open, and gets a new key.
func TestKeys(t *testing.T) {
	folder := t.TempDir()
	keyset, path := filepath.Join(folder, "keyset"), filepath.Join(folder, "lookout.db")
	environ := []string{"LOOKOUT_STORE=sqlite:" + path, "LOOKOUT_KEYSET_FILE=" + keyset}
	command := func(want string, args ...string) string {
		t.Helper()
		out, err := in(t, environ, args...)
		if err != nil {
			out += err.Error()
		}
		if !strings.Contains(out, want) {
			t.Fatalf("%v: %s\nwant %q", args, out, want)
		}
		return out
	}
	command("A new keyset is in", "keys", "make", keyset)
	command("is there already", "keys", "make", keyset)
	if info, err := os.Stat(keyset); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the keyset's file: %v, %v", info, err)
	}
	with := func(s *settings) { s.KeysetFile = keyset }
	doctor := func() (string, error) { // what it says of it
		t.Helper()
		s := &settings{Store: "sqlite:" + path, KeysetFile: keyset}
		store, err := storeAnswers(&env{ctx: t.Context(), now: time.Now}, s)
		if err != nil {
			t.Fatal(err)
		}
		return encryptionWished(s, store), s.keysRight(store)
	}

	w := newWorldOn(t, "sqlite:"+path)
	id := w.enrol("Zebedeegiven", mary)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	w.stop()
	if _, err := doctor(); err == nil || !strings.Contains(err.Error(), "still in the clear") {
		t.Errorf("the doctor, of a store in the clear: %v", err)
	}
	command("Now the store is encrypted with keyset", "keys", "reencrypt")
	if said, err := doctor(); err != nil || !strings.Contains(said, "the store is encrypted with keyset ") {
		t.Errorf("the doctor, of a store that is encrypted: %s, %v", said, err)
	}

	w = newWorldOn(t, "sqlite:"+path, with)
	w.reply(mary, "yes I've found a lump under my arm, about 2 weeks now zebedeewords")
	w.expect(mary, 0, "Your nurse will contact you by")
	r, err := http.Get(w.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(r.Body); !strings.Contains(string(text), "the store is encrypted with keyset ") {
		t.Errorf("readyz: %s", text)
	}
	r.Body.Close()
	w.stop()
	log := w.log.String()

	command("has 2 keys; key ", "keys", "rotate", "--later", keyset)
	command("waits to become the primary one", "keys", "rotate", "--later", keyset)
	command("has 2 keys; key ", "keys", "rotate", keyset)
	if out := command("Encrypted anew: 1 of 1 people", "keys", "reencrypt"); !strings.Contains(out, "audit entries") {
		t.Error(out)
	}
	command("Encrypted anew: 0 of 1 people, 0 values, 0 audit entries", "keys", "reencrypt")
	text, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	// By the environment, for places that have no files.
	store, err := openStore(t.Context(), &settings{Store: "sqlite:" + path, keyset: string(text)}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Queue(t.Context(), bot.QueueFilter{})
	if err = errors.Join(err, store.Close()); err != nil || len(rows) != 1 || rows[0].PatientName != "Zebedeegiven Jones" || !strings.Contains(rows[0].Message, "zebedeewords") {
		t.Errorf("rows after all that: %v, %v", rows, err)
	}
	for _, secret := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '"' }) {
		if len(secret) > 30 && strings.Contains(log, secret) {
			t.Error("the log holds a part of the keyset")
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.ToLower(data)
		for _, secret := range []string{"zebedee", "jones", "7700900123", "9990123454", "1961-04-30", "lump under", "letrozole"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(name), secret)
			}
		}
	}
	for want, s := range map[string]*settings{
		"take one out":          {KeysetFile: keyset, keyset: string(text)},
		"LOOKOUT_KEYSET: it is": {keyset: "marker"},
		"keyset_file: ":         {KeysetFile: filepath.Join(folder, "none")},
		"is encrypted, and no":  {},
		"no keyset is set":      {KeysetFile: noKeyset},
	} {
		s.Store = "sqlite:" + path
		store, err := openStore(t.Context(), s, slog.New(slog.DiscardHandler), time.Now)
		if err == nil {
			store.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "marker") {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// What an upgrade left in the clear beside a store that is encrypted is told.
func TestCopiesInTheClear(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"clear": strings.Repeat("x", 3<<20), "sealed": strings.Repeat("x", 1<<20-3) + vault.Mark + "y"} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if clear, err := inTheClear(file); err != nil || clear != (name == "clear") {
			t.Errorf("%s: %v, %v", name, clear, err)
		}
	}
}
