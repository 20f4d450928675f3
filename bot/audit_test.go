package bot_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// Whoever changes, adds or takes out an entry of the audit is found out, also when
// she can write in the store; the store itself refuses an ordinary change.
func TestAuditIsChained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	store, err := sqlitestore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	b, err := bot.New(t.Context(), bot.Config{Store: store, Content: pack, Service: &bot.Service{ID: "anytown", Location: time.UTC}, PublicURL: "http://x", Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	add := func(n int) {
		t.Helper()
		for range n {
			if err := b.Audit(t.Context(), bot.AuditEntry{By: "ann", Did: "read patient", Patient: "anytown-p1"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	verify := func(kept string) bot.AuditState {
		t.Helper()
		state, err := b.VerifyAudit(t.Context(), kept)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	if s := verify(""); s.Broken != "" || s.Entries != 0 {
		t.Errorf("an empty audit: %+v", s)
	}
	var kept []string
	for range 3 {
		add(1200) // more than a page
		if err := b.SealAudit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.SealAudit(t.Context()); err != nil { // twice does no harm
			t.Fatal(err)
		}
		kept = append(kept, verify("").Sealed.Hash)
		at = at.AddDate(0, 0, 1)
	}
	add(5)
	s := verify(kept[0])
	if s.Broken != "" || s.Entries != 3605 || s.Sealed.Seq != 3600 || s.Seals != 4 {
		t.Errorf("%+v", s)
	}
	if s := verify(strings.Repeat("0", 64)); !strings.Contains(s.Broken, "kept elsewhere") {
		t.Errorf("a hash that is in no place: %+v", s)
	}
	tail, err := b.AuditTail(t.Context(), 0, 10)
	if err != nil || len(tail) != 10 || tail[0].Seq != 3605 || tail[9].Seq != 3596 {
		t.Errorf("%+v, %v", tail, err)
	}
	if hers, err := b.AccessTo(t.Context(), "anytown-p1"); err != nil || len(hers) != 3605 {
		t.Errorf("%d entries, %v", len(hers), err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(statement string) error {
		t.Helper()
		_, err := db.ExecContext(context.Background(), statement)
		return err
	}
	for _, statement := range []string{"UPDATE audit SET entry = '{}' WHERE n = 7", "DELETE FROM audit WHERE n = 7"} {
		if err := do(statement); err == nil || !strings.Contains(err.Error(), "only grows") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	for _, statement := range []string{"DROP TRIGGER audit_stays", "DROP TRIGGER audit_is_kept", `UPDATE audit SET entry = replace(CAST(entry AS TEXT), 'ann', 'bea') WHERE n = 1300`} {
		if err := do(statement); err != nil {
			t.Fatal(err)
		}
	}
	if s := verify(""); !strings.Contains(s.Broken, "before entry 2400") {
		t.Errorf("an entry was changed: %+v", s)
	}
	for _, statement := range []string{`UPDATE audit SET entry = replace(CAST(entry AS TEXT), 'bea', 'ann') WHERE n = 1300`, "DELETE FROM audit WHERE n > 3500"} {
		if err := do(statement); err != nil {
			t.Fatal(err)
		}
	}
	if s := verify(""); !strings.Contains(s.Broken, "is not there") {
		t.Errorf("its end was cut off: %+v", s)
	}
}
