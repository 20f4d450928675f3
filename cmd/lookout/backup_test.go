package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/content"
)

// A backup is made while lookout serves, from a file; another lookout is filled with it, on
// Redis, and goes on with the talk that was open. What is no whole backup of this keyset is refused.
func TestBackupAndRestore(t *testing.T) {
	folder := t.TempDir()
	keyset, backup := filepath.Join(folder, "keyset"), filepath.Join(folder, "a.backup")
	store := "sqlite:" + filepath.Join(folder, "lookout.db")
	on := func(store string, args ...string) (string, error) {
		return in(t, []string{"LOOKOUT_STORE=" + store, "LOOKOUT_KEYSET_FILE=" + keyset}, args...)
	}
	if _, err := in(t, nil, "keys", "make", keyset); err != nil {
		t.Fatal(err)
	}
	before := newWorldOn(t, store, func(s *settings) { s.KeysetFile = keyset })
	id := before.enrol("Zebedeegiven", mary)
	before.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	before.expect(mary, 0, "Any change in your chest")
	// The content is large, and every lookout has it: without it the test takes a tenth of the time.
	for _, drawer := range []string{"packs", "packs-kept"} {
		values, err := before.process.store.Values(t.Context(), drawer, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for key := range values {
			if err := before.process.store.DeleteValue(t.Context(), drawer, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := on(store, "backup", backup)
	if err != nil || !strings.Contains(out, "1 people") {
		t.Fatalf("%s, %v", out, err)
	}
	if _, err := on(store, "backup", backup); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a backup: %v", err)
	}
	if _, err := in(t, []string{"LOOKOUT_STORE=" + store}, "backup", backup+"2"); err == nil || !strings.Contains(err.Error(), "none is set") {
		t.Errorf("without a keyset: %v", err)
	}
	before.stop()
	if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	lower := bytes.ToLower(data)
	for _, secret := range []string{"zebedee", "jones", "7700900123", "9990123454"} {
		if bytes.Contains(lower, []byte(secret)) {
			t.Errorf("the backup holds %q", secret)
		}
	}
	if out, err := on("sqlite:none", "restore", backup, "--check"); err != nil || !strings.Contains(out, "is whole: 1 people") {
		t.Errorf("%s, %v", out, err)
	}

	other := filepath.Join(folder, "other")
	if _, err := in(t, nil, "keys", "make", other); err != nil {
		t.Fatal(err)
	}
	for what, x := range map[string]struct {
		data   []byte
		keyset string
		want   string
	}{
		"cut short":       {data[:len(data)-100], keyset, "cut short or changed"},
		"changed":         {append(bytes.Clone(data[:len(data)/2]), append([]byte{data[len(data)/2] ^ 1}, data[len(data)/2+1:]...)...), keyset, "cut short or changed"},
		"another keyset":  {data, other, "another keyset"},
		"no backup":       {[]byte("SQLite format 3, and not a backup"), keyset, "no backup"},
		"an empty backup": {nil, keyset, "no backup"},
	} {
		bad := filepath.Join(folder, "bad.backup")
		if err := os.WriteFile(bad, x.data, 0o600); err != nil {
			t.Fatal(err)
		}
		target := "sqlite:" + filepath.Join(folder, filepath.Base(x.keyset)+".db")
		_, err := in(t, []string{"LOOKOUT_STORE=" + target, "LOOKOUT_KEYSET_FILE=" + x.keyset}, "restore", bad)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want an error with %q", what, err, x.want)
		}
	}
	url := "redis://" + storetest.StartRedis(t).Addr
	out, err = on(url, "restore", backup)
	if err != nil || !strings.Contains(out, "read again and compared: 1 people") {
		t.Fatalf("%s, %v", out, err)
	}
	if _, err := on(url, "restore", backup); !errors.Is(err, bot.ErrRefused) {
		t.Errorf("into a store that is not empty: %v", err)
	}
	after := newWorldOn(t, url, func(s *settings) { s.KeysetFile = keyset })
	after.reply(mary, "yes I've found a lump under my arm, about 2 weeks now") // to the question that was put before
	after.expect(mary, 0, "Your nurse will contact you by")
	if rows := after.rows("open"); len(rows) != 1 || rows[0]["patient_name"] != "Zebedeegiven Jones" {
		t.Errorf("rows after the restore: %v", rows)
	}
	if err := after.process.store.PutValue(t.Context(), "restore", "restore", []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bot.New(t.Context(), bot.Config{Store: after.process.store, Content: pack}); !errors.Is(err, bot.ErrHalfRestored) {
		t.Errorf("on a store that is half filled: %v", err)
	}
}
