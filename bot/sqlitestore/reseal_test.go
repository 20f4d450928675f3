package sqlitestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"lookout/bot"
	"lookout/bot/vault"
)

// What is sealed anew in a transaction that is undone, because of another's fault, is
// sealed when it is tried again: after a rotation no entry of the audit is left to the old
// key.
func TestResealingTheAuditOutlivesAnothersFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	keys, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*Store, *vault.Vault) {
		t.Helper()
		v, err := keys.Vault()
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenWith(t.Context(), path, Options{Keys: vault.Opening{Vault: v}})
		if err != nil {
			t.Fatal(err)
		}
		return s, v
	}
	s, _ := open()
	for n := range 5 {
		if err := s.Audit(t.Context(), bot.AuditEntry{By: "ann@example.org", Did: fmt.Sprint("read ", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if keys, err = keys.Rotated(false); err != nil {
		t.Fatal(err)
	}
	s, v := open()
	defer s.Close()
	// The writer is kept busy until both stand behind it, so that it takes them together.
	begun, hold, ended := make(chan struct{}), make(chan struct{}), make(chan error, 3)
	go func() {
		ended <- s.submit(t.Context(), func() error { close(begun); <-hold; return nil })
	}()
	<-begun
	var done vault.Resealed
	go func() { ended <- s.resealAudit(t.Context(), &done) }()
	for len(s.jobs) < 1 {
		runtime.Gosched()
	}
	go func() {
		if s.submit(t.Context(), func() error { return errors.New("a fault of another's") }) == nil {
			ended <- errors.New("the fault was not told")
			return
		}
		ended <- nil
	}()
	for len(s.jobs) < 2 {
		runtime.Gosched()
	}
	close(hold)
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	rows, err := s.read.QueryContext(t.Context(), "SELECT entry FROM audit")
	entries, err := collect(rows, err, func(scan func(...any) error) (entry []byte, err error) { err = scan(&entry); return entry, err })
	if err != nil || len(entries) != 5 || done.Audit != 5 {
		t.Fatalf("%v: %d entries, %d were sealed anew", err, len(entries), done.Audit)
	}
	for n, entry := range entries {
		if !v.Fresh(entry) {
			t.Errorf("entry %d still needs the old key", n+1)
		}
	}
}
