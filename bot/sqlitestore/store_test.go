package sqlitestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/storetest"
	"lookout/bot/vault"
	"lookout/flows"
	"lookout/flows/triage"
)

// files opens stores in files of a test's own.
var files = storetest.Harness{Open: func(t *testing.T) (bot.Store, func(*testing.T) bot.Store) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	again := func(t *testing.T) bot.Store {
		s, err := Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return again(t), again
}}

func TestConformance(t *testing.T) { storetest.Run(t, files) }

// The whole suite on a file that is encrypted.
func TestConformanceSealed(t *testing.T) {
	_, v := storetest.Keys(t)
	storetest.Run(t, storetest.Harness{Open: func(t *testing.T) (bot.Store, func(*testing.T) bot.Store) {
		path := filepath.Join(t.TempDir(), "lookout.db")
		again := func(t *testing.T) bot.Store {
			s, err := OpenWith(context.Background(), path, Options{Keys: vault.Opening{Vault: v}})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return again(t), again
	}})
}

func TestSealed(t *testing.T) {
	storetest.RunSealed(t, func(t *testing.T) storetest.Place {
		path := filepath.Join(t.TempDir(), "lookout.db")
		var said storetest.Said
		return storetest.Place{
			Said: &said,
			Open: func(o vault.Opening) (storetest.Sealable, error) {
				s, err := OpenWith(context.Background(), path, Options{Keys: o, Log: slog.New(slog.NewTextHandler(&said, nil))})
				if err != nil {
					return nil, err
				}
				return s, nil
			},
			Bytes: func(t *testing.T) (all []byte) {
				files, err := filepath.Glob(path + "*")
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range files {
					data, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, data...)
				}
				return all
			},
		}
	})
}

// A file in the clear that somebody else has open is not encrypted under her hands.
func TestEncryptedOnlyAlone(t *testing.T) {
	_, v := storetest.Keys(t)
	path := filepath.Join(t.TempDir(), "lookout.db")
	serving, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer serving.Close()
	if err := serving.Commit(t.Context(), bot.Change{Record: bot.Record{Patient: bot.Patient{ID: "a-p1", Service: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenWith(t.Context(), path, Options{Keys: vault.Opening{Vault: v, Encrypt: true}}); err == nil || !strings.Contains(err.Error(), "another process") {
		if err == nil {
			s.Close()
		}
		t.Fatalf("under somebody's hands: %v", err)
	}
	if err := serving.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenWith(t.Context(), path, Options{Keys: vault.Opening{Vault: v, Encrypt: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMove(t *testing.T) { storetest.RunMove(t, files, files) }

// Two addresses, or two messages of one millisecond, whose names have one hash: their
// lines were numbered by it, and of such two the second was refused, each time again.
func TestMoveKeepsWhatSharesAHash(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	sum := func(name string) uint32 {
		h := fnv.New32a()
		h.Write([]byte(name))
		return h.Sum32()
	}
	shared := bot.Address{Channel: "sms", At: "+447700900999"}
	id := func(n int) string { return fmt.Sprintf("a-p%06d", n) }
	own := func(n int) bot.Address { return bot.Address{Channel: "sms", At: fmt.Sprintf("+4477%08d", n)} }
	low, high := twoAlike(func(n int) uint32 { return sum(id(n) + own(n).Channel + own(n).At) })
	message := func(n int) string { return fmt.Sprintf("%s-m%d", id(high), n) }
	first, second := twoAlike(func(n int) uint32 { return sum(message(n)) << 12 })

	from, to := open(t), open(t)
	for _, n := range []int{high, low} { // who has the shared number first stands last by her id
		c := bot.Change{Record: bot.Record{Patient: bot.Patient{ID: id(n), Service: "a", Addresses: []bot.Address{own(n), shared}}}}
		if n == high {
			for _, m := range []int{first, second} {
				c.Send = append(c.Send, bot.Outgoing{ID: message(m), Service: "a", Patient: id(n), To: shared, Text: "x", CreatedAt: now, State: bot.OutPending})
			}
		}
		if err := from.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	moved, err := bot.Move(t.Context(), from, to, nil)
	if err != nil || moved.People != 2 || moved.Messages != 2 {
		t.Fatalf("moved %+v, %v", moved, err)
	}
	if again, err := bot.Move(t.Context(), from, to, nil); err != nil || again != moved {
		t.Errorf("and once more %+v, %v", again, err)
	}
	if ids, err := to.PatientsAt(t.Context(), "a", shared); err != nil || !slices.Equal(ids, []string{id(high), id(low)}) {
		t.Errorf("at the number that they share are %v, %v", ids, err)
	}
	for _, want := range []string{message(first), message(second)} {
		claimed, err := to.ClaimOutgoing(t.Context(), "sms", now, time.Minute, 10)
		if err != nil || len(claimed) != 1 || claimed[0].ID != want {
			t.Fatalf("claimed %+v, %v, want %s", claimed, err, want)
		}
		if err := to.Settle(t.Context(), bot.Settlement{ID: want, Fence: claimed[0].Fence, State: bot.OutSent, At: now}); err != nil {
			t.Fatal(err)
		}
	}
}

// twoAlike finds the first two numbers of which something is the same.
func twoAlike(of func(n int) uint32) (first, second int) {
	seen := make(map[uint32]int)
	for n := 1; ; n++ {
		if before, ok := seen[of(n)]; ok {
			return before, n
		}
		seen[of(n)] = n
	}
}

func TestBackup(t *testing.T) { storetest.RunBackup(t, files, files) }

func open(tb testing.TB) *Store {
	tb.Helper()
	s, err := Open(context.Background(), filepath.Join(tb.TempDir(), "lookout.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "lookout.db")
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, want 0600", info.Mode().Perm())
	}
}

func TestRefusesANewerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err := Open(context.Background(), path); err == nil {
		s.Close()
		t.Fatal("a file of a newer lookout was opened")
	}
}

// A file whose commits entered their own words (format 7) goes on: what was entered is found,
// and what comes after the upgrade.
func TestUpgradeOfTheWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	says := func(s *Store, n int, text string) {
		t.Helper()
		rec := bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("a-p%d", n), Service: "a"}}
		if err := s.Commit(t.Context(), bot.Change{Record: rec, Entries: []bot.Entry{{At: time.Now(), Kind: bot.EntryIn, By: "patient", Text: text}}}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	says(s, 1, "my hip")
	if err := s.EnterSaid(t.Context(), "a-p1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec("DROP TABLE said_upto; DELETE FROM goose_db_version WHERE version_id > 7"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err = Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var waits int
	if err := s.read.QueryRow("SELECT count(*) FROM journal WHERE n > (SELECT n FROM said_upto)").Scan(&waits); err != nil || waits != 0 {
		t.Errorf("%d lines wait to be entered once more, %v", waits, err)
	}
	says(s, 2, "her hip")
	if ids, err := s.Said(t.Context(), "a", []string{"hip"}, 10); err != nil || len(ids) != 2 {
		t.Errorf("found %v, %v, want both", ids, err)
	}
}

// A line of one person's journal that is damaged keeps nobody else from being found.
func TestADamagedLineIsPassedOver(t *testing.T) {
	s := open(t)
	for n, text := range []string{"my hip", "spoiled", "her hip"} {
		rec := bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("a-p%d", n), Service: "a"}}
		if err := s.Commit(t.Context(), bot.Change{Record: rec, Entries: []bot.Entry{{At: time.Now(), Kind: bot.EntryIn, By: "patient", Text: text}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.write.Exec("UPDATE journal SET entries = 'damaged' WHERE patient = (SELECT n FROM patients WHERE id = 'a-p1') OR patient = 'a-p1'"); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.Said(t.Context(), "a", []string{"hip"}, 10); err != nil || len(ids) != 2 {
		t.Errorf("found %v, %v, want the two others", ids, err)
	}
}

// A full disk refuses the change whole, says that the store is unavailable, and
// the store goes on when there is room again.
func TestFullDisk(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	var pages int
	if err := s.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+8)); err != nil {
		t.Fatal(err)
	}
	big := func(n int) bot.Change {
		rec := bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("a-p%d", n), Service: "a"}}
		return bot.Change{Key: fmt.Sprintf("k%d", n), Record: rec, Entries: []bot.Entry{{Kind: bot.EntryNote, Text: string(make([]byte, 4000))}}}
	}
	kept := 0
	var err error
	for ; kept < 100 && err == nil; kept++ {
		err = s.Commit(ctx, big(kept))
	}
	if !errors.Is(err, bot.ErrUnavailable) {
		t.Fatalf("on a full disk: %v, want ErrUnavailable", err)
	}
	failed := kept - 1
	if _, err := s.Load(ctx, big(failed).Record.Patient.ID); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("the refused change left a record: %v", err)
	}
	if err := s.Refusal(); err == nil || err.Error() != "the disk is full" {
		t.Errorf("what it says of itself: %v", err)
	}
	// A change that finds a little room left is kept, and the disk is full none the less.
	if err := s.PutValue(ctx, "d", "k", []byte("v"), time.Time{}); err == nil && s.Refusal() == nil {
		t.Error("one small value, and the disk is not full any more")
	}
	if err := s.submit(ctx, func() error {
		_, err := s.write.Exec("PRAGMA max_page_count = 100000")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for ticker := time.Tick(5 * time.Millisecond); s.Refusal() != nil; { // it finds out by itself
		<-ticker
	}
	if err := s.Commit(ctx, big(failed)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// Two processes may have the file open; here two stores stand for them.
func TestTwoStoresOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	ctx := context.Background()
	var stores []*Store
	for range 2 {
		s, err := Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	rec := bot.Record{Patient: bot.Patient{ID: "a-p1", Service: "a"}}
	if err := stores[0].Commit(ctx, bot.Change{Record: rec}); err != nil {
		t.Fatal(err)
	}
	seen, err := stores[1].Load(ctx, "a-p1")
	if err != nil {
		t.Fatal(err)
	}
	if err := stores[1].Commit(ctx, bot.Change{Base: seen.Version, Record: seen}); err != nil {
		t.Fatal(err)
	}
	if err := stores[0].Commit(ctx, bot.Change{Base: seen.Version, Record: seen}); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("the slower of two: %v, want ErrConflict", err)
	}
}

// floor is what the disk and SQLite give at best: one row of 200 bytes with one
// index, grouped into transactions by the same writer.
func floor(b *testing.B) func(i int64) {
	s := open(b)
	if _, err := s.write.Exec("CREATE TABLE floor (n INTEGER PRIMARY KEY, k TEXT NOT NULL, v BLOB NOT NULL); CREATE INDEX floor_k ON floor (k)"); err != nil {
		b.Fatal(err)
	}
	insert, err := s.write.Prepare("INSERT INTO floor (k, v) VALUES (?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 200)
	return func(i int64) {
		if err := s.submit(context.Background(), func() error {
			_, err := insert.ExecContext(context.Background(), fmt.Sprintf("key-%d", i), value)
			return err
		}); err != nil {
			b.Error(err)
		}
	}
}

// turn is what one reply of a patient costs the store: look up and load, commit.
func turn(b *testing.B, s *Store, patient int, n int64) {
	ctx := context.Background()
	number := fmt.Sprintf("+44770090%04d", patient)
	found, err := s.RecordsAt(ctx, "a", bot.Address{Channel: "sms", At: number})
	if err != nil || len(found) != 1 {
		b.Errorf("%d there, %v", len(found), err)
		return
	}
	rec := found[0]
	now := time.Now()
	rec.NextOut++
	rec.Talk.Wait++
	rec.Wakes = []bot.Wake{{Key: "talk", Kind: bot.WakeTalk, At: now.Add(time.Hour), Ref: "remind"}, {Key: "plan", Kind: bot.WakePlan, At: now.AddDate(0, 1, 0), Ref: "m3"}}
	c := bot.Change{Key: fmt.Sprintf("in:SM%d", n), Base: rec.Version, Record: rec,
		Entries: []bot.Entry{
			{At: now, Kind: bot.EntryIn, By: "patient", Channel: "sms", Text: "no nothing new thank you just a bit tired", Carrier: fmt.Sprintf("SM%d", n)},
			{At: now, Kind: bot.EntryReading, Reading: &triage.Reading{Level: triage.None, Why: "Nothing new.", Understood: true}},
			{At: now, Kind: bot.EntryOut, By: "lookout", Channel: "sms", Text: "Thank you. Are you taking your daily tablets? ALL, SOME or STOPPED"},
		},
		Send: []bot.Outgoing{{ID: fmt.Sprintf("%s-m%d", rec.Patient.ID, rec.NextOut), Service: "a", Patient: rec.Patient.ID, To: rec.Patient.Addresses[0],
			Text: "Thank you. Are you taking your daily tablets? ALL, SOME or STOPPED", Priority: bot.PriorityReply, CreatedAt: now, State: bot.OutPending}},
	}
	if err := s.Commit(ctx, c); err != nil {
		b.Error(err)
	}
}

func people(b *testing.B, s *Store, n int) {
	b.Helper()
	var wg sync.WaitGroup
	for k := range 64 {
		wg.Go(func() {
			for i := k; i < n; i += 64 {
				rec := bot.Record{Patient: bot.Patient{ID: fmt.Sprintf("a-p%d", i), Service: "a", GivenName: "Mary", FamilyName: "Jones", Status: bot.Active,
					Addresses: []bot.Address{{Channel: "sms", At: fmt.Sprintf("+44770090%04d", i)}}, Plan: "standard", TreatmentEnded: "2026-09-30"},
					Talk: flows.State{Pack: "sha256:0000", Flow: "check-in", Frames: []flows.Frame{{Flow: "check-in", Step: "tablets", Answers: map[string]triage.Answer{"new": {Kind: triage.SaidNo}}}}}}
				if err := s.Commit(context.Background(), bot.Change{Record: rec}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTurn1(b *testing.B) {
	s := open(b)
	people(b, s, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		turn(b, s, i%100, int64(i))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
}

// BenchmarkTurn64 has 64 callers take turns, and beside them 64 who make the barest commits.
func BenchmarkTurn64(b *testing.B) {
	s := open(b)
	const n = 2000
	people(b, s, n)
	storetest.BenchBeside(b, storetest.Beside{Name: "floor", Do: floor(b)}, storetest.Beside{Name: "turns", Do: func(i int64) { turn(b, s, int(i)%n, i) }})
}

// Whoever reads the file's bytes after an erasure finds nothing of her.
func TestErasedFromTheBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lookout.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	const marker = "Zebedeemarker"
	rec := bot.Record{Patient: bot.Patient{ID: "a-p1", Service: "a", GivenName: marker, Addresses: []bot.Address{{Channel: "sms", At: "+447700900123"}}}}
	for n := range 60 { // enough for pages of their own
		c := bot.Change{Base: int64(n), Record: rec, Entries: []bot.Entry{{Text: strings.Repeat(marker+" ", 100)}}}
		if err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Erase(t.Context(), "a-p1", 60, bot.AuditEntry{Did: "erase"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the log goes into the file
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(bytes.ToLower(data), []byte(strings.ToLower(marker))); n > 0 {
			t.Errorf("%s holds her name %d times", filepath.Base(name), n)
		}
	}
}

// The list of the desk is answered from indexes: neither a page of rows nor a count
// reads the rows that it leaves out, or sorts.
func TestQueueIsAnsweredFromIndexes(t *testing.T) {
	s := open(t)
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for _, f := range []bot.QueueFilter{{}, {DueBefore: now}, {Holder: "ann"}, {States: []bot.RowState{bot.Open}, DueBefore: now}, {States: []bot.RowState{bot.Snoozed}}, {States: []bot.RowState{bot.Closed}, ClosedSince: now}, {Concern: "referral", States: []bot.RowState{bot.Open, bot.Snoozed, bot.Closed}}} {
		f.Service = "anytown"
		for _, p := range s.parts(f) {
			for what, query := range map[string]string{"list": p.list() + " LIMIT 50", "count": p.counted()} {
				rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, p.args...)
				plan, err := collect(rows, err, func(scan func(...any) error) (line string, err error) {
					var id, parent, unused int
					err = scan(&id, &parent, &unused, &line)
					return line, err
				})
				if err != nil {
					t.Fatal(err)
				}
				all := strings.Join(plan, "; ")
				if !strings.Contains(all, "INDEX queue_") || strings.Contains(all, "TEMP B-TREE FOR ORDER BY") && p.long {
					t.Errorf("%s of %+v: %s", what, f, all)
				}
				if what == "count" && f.Holder == "" && !strings.Contains(all, "COVERING") {
					t.Errorf("%s of %+v reads the rows themselves: %s", what, f, all)
				}
			}
		}
	}
}

// What a turn costs in the clear and encrypted.
func BenchmarkTurnSealed(b *testing.B) {
	_, v := storetest.Keys(b)
	clear := open(b)
	sealed, err := OpenWith(b.Context(), filepath.Join(b.TempDir(), "lookout.db"), Options{Keys: vault.Opening{Vault: v}})
	if err != nil {
		b.Fatal(err)
	}
	defer sealed.Close()
	const n = 1000
	people(b, clear, n)
	people(b, sealed, n)
	storetest.BenchBeside(b, storetest.Beside{Name: "clear", Do: func(i int64) { turn(b, clear, int(i)%n, i) }}, storetest.Beside{Name: "sealed", Do: func(i int64) { turn(b, sealed, int(i)%n, i) }})
}

// What the desk's search takes among 50,000 people, in the clear and encrypted.
func BenchmarkFind(b *testing.B) {
	for name, sealed := range map[string]bool{"Clear": false, "Sealed": true} {
		b.Run(name, func(b *testing.B) {
			var o vault.Opening
			if sealed {
				_, o.Vault = storetest.Keys(b)
			}
			s, err := OpenWith(b.Context(), filepath.Join(b.TempDir(), "lookout.db"), Options{Keys: o})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			storetest.BenchFind(b, s, 50_000)
		})
	}
}
