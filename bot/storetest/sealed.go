package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lookout/bot"
	"lookout/bot/vault"
	"lookout/flows/triage"
)

// Sealable is a store that may be encrypted.
type Sealable interface {
	bot.Portable
	Encryption() vault.State
	Reseal(ctx context.Context, told func(people int)) (vault.Resealed, error)
}

// Place is where one store of a test lies.
type Place struct {
	Open func(o vault.Opening) (Sealable, error)
	// Bytes gives all that whoever takes the disk, or asks the servers, would see,
	// once the store is closed.
	Bytes func(t *testing.T) []byte
	// Said is what the stores opened there have logged.
	Said *Said
}

// Said keeps what is logged.
type Said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *Said) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *Said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// RunSealed holds a store to what is promised of one that is encrypted.
func RunSealed(t *testing.T, place func(t *testing.T) Place) {
	t.Run("NothingInTheClear", func(t *testing.T) { nothingInTheClear(t, place(t)) })
	t.Run("EncryptedInPlace", func(t *testing.T) { encryptedInPlace(t, place(t)) })
	t.Run("Rotation", func(t *testing.T) { rotation(t, place(t)) })
	t.Run("PassesOverWhatItCannotOpen", func(t *testing.T) { PassesOverWhatItCannotOpen(t, place(t)) })
	t.Run("OpensWithItsKeysetOnly", func(t *testing.T) { opensWithItsKeysetOnly(t, place(t)) })
}

// Keys makes a keyset, and the vault that it makes.
func Keys(t testing.TB) (*vault.Keyset, *vault.Vault) {
	t.Helper()
	k, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return k, vaultOf(t, k)
}

func vaultOf(t testing.TB, k *vault.Keyset) *vault.Vault {
	t.Helper()
	v, err := k.Vault()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (p Place) open(t *testing.T, o vault.Opening) Sealable {
	t.Helper()
	s, err := p.Open(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// secrets are marks that stand for all that must not be seen; what stands of them in
// a store that is encrypted is a fault.
var secrets = []string{"Zebedeegiven", "zebedeefamily", "9990123454", "1949-07-05", "7700900321", "7700900322", "markedwords", "markednote", "markedtext", "markedreason",
	"markedplan", "markedconcern", "markedanswer", "marked.nurse@example.org", "TOTPMARKER", "192.0.2.77", "letrozolemark"}

// marked puts somebody into a store who is marked in every way.
func marked(t *testing.T, s bot.Store) string {
	t.Helper()
	const nurse = "marked.nurse@example.org"
	rec := patient(7777)
	id := rec.Patient.ID
	p := &rec.Patient
	p.GivenName, p.FamilyName, p.NHSNumber, p.BirthDate = "Zebedeegiven", "Zebedeefamily", "9990123454", "1949-07-05"
	p.Addresses = []bot.Address{{Channel: "sms", At: "+447700900321"}, {Channel: "email", At: "her.markedwords@example.org"}}
	p.Plan, p.Profile.Tablets = "markedplan", "letrozolemark"
	rec.Heard = []bot.Heard{{At: t0, Text: "markedwords"}}
	rec.Past = []bot.Episode{{Concept: "markedconcern", First: t0}}
	rec.Weights = []bot.Weight{{At: t0, Kg: 63.5}}
	c := change(rec)
	c.Key = "in:SMmarked"
	c.Entries = []bot.Entry{{At: t0, Kind: bot.EntryIn, By: "patient", Text: "markedwords in a row"}, {At: t0, Kind: bot.EntryNote, By: nurse, Text: "markednote"},
		{At: t0, Kind: bot.EntryReading, Reading: &triage.Reading{Why: "markedreason", Findings: []triage.Finding{{Concept: "markedconcern", Text: "markedwords"}}}}}
	r := row(7777, triage.Urgent, time.Hour, bot.Claimed)
	r.PatientName, r.PatientNHS, r.PatientBorn, r.Concern, r.Reason, r.Message, r.ClaimedBy = "Zebedeegiven Zebedeefamily", p.NHSNumber, p.BirthDate, "markedconcern", "markedreason", "markedwords", nurse
	c.Rows = []bot.Row{r}
	for n, at := range []bot.Address{p.Addresses[0], to("+447700900322"), p.Addresses[0]} {
		c.Send = append(c.Send, bot.Outgoing{ID: fmt.Sprintf("%s-m%d", id, n+1), Service: service, Patient: id, To: at, Text: "markedtext", CreatedAt: t0, State: bot.OutPending})
	}
	c.Audit = []bot.AuditEntry{{At: t0, By: nurse, Did: "search markedanswer", Patient: id, From: "192.0.2.77:4"}}
	must(t, s.Commit(ctx, c))
	must(t, s.Audit(ctx, bot.AuditEntry{At: t0, By: nurse, Did: "read", Ref: "markedanswer", From: "192.0.2.77:4"}))
	must(t, s.PutValue(ctx, "users", nurse, []byte(`{"totp":"TOTPMARKER"}`), time.Time{}))
	must(t, s.PutValue(ctx, "drafts", id+"-r1 "+nurse, []byte("markednote"), t0.Add(time.Hour)))
	return id
}

func wantNothingOf(t *testing.T, raw []byte) {
	t.Helper()
	if len(raw) < 1000 {
		t.Fatalf("only %d bytes were read", len(raw))
	}
	raw = bytes.ToLower(raw)
	for _, secret := range secrets {
		if bytes.Contains(raw, []byte(strings.ToLower(secret))) {
			t.Errorf("the store's bytes hold %q", secret)
		}
	}
}

// Whoever reads the bytes finds no name, number or word; whoever has the keyset
// finds her by each of them.
func nothingInTheClear(t *testing.T, p Place) {
	_, v := Keys(t)
	s := p.open(t, vault.Opening{Vault: v})
	if s.Encryption().Kept != vault.Whole {
		t.Fatalf("a new store with a keyset: %+v", s.Encryption())
	}
	id := marked(t, s)
	create(t, s, patient(1))
	claimed := claim(t, s, t0, 10)
	if len(claimed) != 2 || claimed[0].Text != "markedtext" {
		t.Fatalf("claimed %+v, want one a telephone", claimed)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: claimed[0].ID, Fence: claimed[0].Fence, State: bot.OutSent, CarrierID: "SM1", At: t0}))
	for query, want := range map[string]int{"zebedeeg": 1, "Zebedeefamily Z": 1, "z": 1, "999 012 3454": 1, "07700 900321": 1, "1949-07-05": 1, "zebedeex": 0, "ze other": 0, "9990123455": 0, "mary": 1} {
		found, err := s.Find(ctx, service, query, 10)
		must(t, err)
		if len(found) != want {
			t.Errorf("%q finds %d, want %d", query, len(found), want)
		}
	}
	for what, f := range map[string]bot.QueueFilter{"holder": {Holder: "marked.nurse@example.org"}, "concern": {Concern: "markedconcern"}} {
		if rows, err := s.Queue(ctx, f); err != nil || len(rows) != 1 || rows[0].Message != "markedwords" {
			t.Errorf("rows by %s: %v, %v", what, rows, err)
		}
	}
	must(t, s.Close())
	wantNothingOf(t, p.Bytes(t))
	s = p.open(t, vault.Opening{Vault: v})
	if got := load(t, s, id); got.Patient.GivenName != "Zebedeegiven" || got.Weights[0].Kg != 63.5 {
		t.Errorf("opened again: %+v", got)
	}
}

// A store that was written in the clear is encrypted where it lies; cut short, it is
// refused until that has gone on to its end; then nothing is lost and nothing is seen.
func encryptedInPlace(t *testing.T, p Place) {
	_, v := Keys(t)
	s := p.open(t, vault.Opening{})
	marked(t, s)
	fill(t, s)
	must(t, s.Close())
	s = p.open(t, vault.Opening{Vault: v})
	if s.Encryption().Kept != vault.Clear {
		t.Fatalf("a store in the clear, with a keyset: %+v", s.Encryption())
	}
	before := everything(t, s)
	must(t, s.Close())
	clear := bytes.ToLower(p.Bytes(t))
	for _, secret := range secrets {
		if !bytes.Contains(clear, []byte(strings.ToLower(secret))) {
			t.Errorf("the bytes of a store in the clear lack %q: the search for it shows nothing", secret)
		}
	}
	if s, err := p.Open(vault.Opening{Encrypt: true}); err == nil {
		s.Close()
		t.Fatal("a store is encrypted without a keyset")
	}
	s = p.open(t, vault.Opening{Vault: v, Encrypt: true})
	short, cancel := context.WithCancel(ctx)
	_, err := s.Reseal(short, func(int) { cancel() })
	wantErr(t, err, bot.ErrUnavailable, "cut short")
	must(t, s.Close())
	for _, o := range []vault.Opening{{}, {Vault: v}} {
		if s, err := p.Open(o); err == nil || !strings.Contains(err.Error(), "lookout keys reencrypt") {
			if err == nil {
				s.Close()
			}
			t.Fatalf("half encrypted, and opened: %v", err)
		}
	}
	s = p.open(t, vault.Opening{Vault: v, Encrypt: true})
	done, err := s.Reseal(ctx, nil)
	must(t, err)
	if done.Looked != movedPeople+1 || s.Encryption().Kept != vault.Whole {
		t.Errorf("encrypted %+v, %+v", done, s.Encryption())
	}
	must(t, s.Close())
	wantNothingOf(t, p.Bytes(t))
	s = p.open(t, vault.Opening{Vault: v})
	wantSame(t, before, everything(t, s))
	if found, err := s.Find(ctx, service, "zebedee", 10); err != nil || len(found) != 1 {
		t.Errorf("a search finds %d, %v", len(found), err)
	}
	if ids, err := s.Said(ctx, service, bot.SearchWords("markedwords row"), 10); err != nil || len(ids) != 1 {
		t.Errorf("a search by her words finds %v, %v", ids, err)
	}
	if at, err := s.PatientsAt(ctx, service, to("+447700900999")); err != nil || len(at) != movedPeople/5 || at[0] != patient(movedPeople-5).Patient.ID {
		t.Errorf("at a shared number are %v, %v: the order was lost", at, err)
	}
	if rows, err := s.Queue(ctx, bot.QueueFilter{Holder: "ann"}); err != nil || len(rows) != movedPeople {
		t.Errorf("%d rows by their holder, %v", len(rows), err)
	}
	next := claim(t, s, t0.Add(2*time.Hour), 500)
	seen := map[string]bool{}
	for _, o := range next {
		if seen[o.To.At] {
			t.Errorf("two are on their way to %s", o.To.At)
		}
		seen[o.To.At] = true
	}
	if len(next) == 0 {
		t.Error("nothing leaves")
	}
	again := p.open(t, vault.Opening{Vault: v, Encrypt: true})
	if done, err := again.Reseal(ctx, nil); err != nil || done.People+done.Values+done.Audit != 0 {
		t.Errorf("encrypted once more: %+v, %v", done, err)
	}
}

// everything is all that a store has of people, values and audit.
func everything(t *testing.T, s bot.Portable) map[string]any {
	t.Helper()
	all := map[string]any{}
	ids, err := s.Everyone(ctx, "", 1000)
	must(t, err)
	for _, id := range ids {
		w, err := s.Export(ctx, id)
		must(t, err)
		all[id] = w
	}
	drawers, err := s.Drawers(ctx)
	must(t, err)
	for _, d := range drawers {
		values, err := s.Drawer(ctx, d)
		must(t, err)
		all["drawer "+d] = values
	}
	log, err := s.AuditLog(ctx, 0, 10_000)
	must(t, err)
	for i := range log {
		log[i].Seq = 0
	}
	all["audit"] = log
	return all
}

func wantSame(t *testing.T, before, after map[string]any) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%d things became %d", len(before), len(after))
	}
	for what, was := range before {
		if diff := cmp.Diff(was, after[what], same); diff != "" {
			t.Errorf("%s is another (-before +after):\n%.500s", what, diff)
		}
	}
}

// What an old key has sealed is read; it is sealed anew with the new one while
// others read and write.
func rotation(t *testing.T, p Place) {
	keys, v := Keys(t)
	s := p.open(t, vault.Opening{Vault: v})
	id := marked(t, s)
	create(t, s, patient(1))
	must(t, s.Close())
	next, err := keys.Rotated(false)
	must(t, err)
	rotated := vaultOf(t, next)
	s = p.open(t, vault.Opening{Vault: rotated})
	before := everything(t, s)
	command := p.open(t, vault.Opening{Vault: rotated, Encrypt: true})
	var wg, told = make(chan error, 1), false
	done, err := command.Reseal(ctx, func(int) {
		if told {
			return
		}
		told = true
		go func() { wg <- s.Commit(ctx, change(patient(2))) }()
	})
	must(t, errors.Join(err, <-wg))
	if done.People < 2 || done.Values != 2 || done.Audit != 2 {
		t.Errorf("sealed anew: %+v", done)
	}
	if again, err := command.Reseal(ctx, nil); err != nil || again.People+again.Values+again.Audit != 0 {
		t.Errorf("once more: %+v, %v", again, err)
	}
	after := everything(t, s)
	delete(after, patient(2).Patient.ID)
	wantSame(t, before, after)
	if found, err := s.Find(ctx, service, "zebedeegiven", 10); err != nil || len(found) != 1 || found[0].ID != id {
		t.Errorf("a search finds %v, %v", found, err)
	}
	if old, err := p.Open(vault.Opening{Vault: v}); err == nil {
		defer old.Close()
		if _, err := old.Load(ctx, id); err == nil || !strings.Contains(err.Error(), "not in the keyset") {
			t.Errorf("the old keyset opens what the new one has sealed: %v", err)
		}
	}
}

// PassesOverWhatItCannotOpen: what a process cannot open, for it was sealed by a key that it
// does not have yet, holds nothing else up: not the messages behind it, not those to the
// same number, not the queue. Another process that has the key finds it as it was.
func PassesOverWhatItCannotOpen(t *testing.T, p Place) {
	keys, v := Keys(t)
	rotated, err := keys.Rotated(false)
	must(t, err)
	s := p.open(t, vault.Opening{Vault: v})
	ahead := p.open(t, vault.Opening{Vault: vaultOf(t, rotated)})
	id := func(n int) string { return patient(n).Patient.ID }
	put := func(s bot.Store, n int, at string) {
		t.Helper()
		c := change(patient(n))
		c.Rows = []bot.Row{row(n, triage.Urgent, time.Duration(n)*time.Hour, bot.Open), row(n, triage.Routine, 0, bot.Closed)}
		c.Rows[1].ID = id(n) + "-r2"
		c.Rows[0].Message, c.Rows[0].ClosedAt = "markedwords", time.Time{}
		c.Send = []bot.Outgoing{{ID: id(n) + "-m1", Service: service, Patient: id(n), To: to(at), Text: "markedtext", CreatedAt: t0, State: bot.OutPending}}
		must(t, s.Commit(ctx, c))
	}
	put(ahead, 1, "a") // the first of all, and the first to its number
	put(s, 2, "b")
	put(s, 3, "a")
	put(s, 4, "c")

	leaves := func(s bot.Store, now time.Time, limit int, want ...int) []bot.Outgoing {
		t.Helper()
		claimed := claim(t, s, now, limit)
		var is, ids []string
		for _, o := range claimed {
			is = append(is, o.ID)
			must(t, s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, At: now}))
		}
		for _, n := range want {
			ids = append(ids, id(n)+"-m1")
		}
		if slices.Sort(is); !slices.Equal(is, ids) {
			t.Errorf("%v leave, want %v", is, ids)
		}
		return claimed
	}
	leaves(s, t0, 1, 2) // as many as are asked for
	leaves(s, t0, 10, 3, 4)
	later := t0.Add(time.Hour)
	put(s, 5, "a")
	leaves(s, later, 10, 5)
	leaves(s, later, 10)
	for _, o := range leaves(ahead, later.Add(time.Hour), 10, 1) {
		if o.Text != "markedtext" || o.Attempts != 1 || o.Unsettled {
			t.Errorf("with its key it is claimed as %+v, want it as it was", o)
		}
	}

	unread := bot.UnreadableRow(bot.Row{ID: id(1) + "-r1", Service: service, Patient: id(1), State: bot.Open, Level: triage.Urgent, DueAt: t0.Add(time.Hour), OpenedAt: t0.Add(time.Second)})
	ended := bot.UnreadableRow(bot.Row{ID: id(1) + "-r2", Service: service, Patient: id(1), State: bot.Closed, OpenedAt: unread.OpenedAt, ClosedAt: t0.Add(time.Hour)})
	ended.Level, ended.DueAt = triage.Routine, t0
	for what, x := range map[string]struct {
		filter bot.QueueFilter
		want   bot.Row
		rows   int
	}{
		"open":            {bot.QueueFilter{Service: service}, unread, 5},
		"of all services": {bot.QueueFilter{DueBefore: t0.Add(90 * time.Minute)}, unread, 1},
		"hers":            {bot.QueueFilter{Patient: id(1)}, unread, 1},
		"closed":          {bot.QueueFilter{States: []bot.RowState{bot.Closed}}, ended, 5},
	} {
		rows, err := s.Queue(ctx, x.filter)
		must(t, err)
		if len(rows) != x.rows {
			t.Errorf("%s: %d rows, want %d", what, len(rows), x.rows)
			continue
		}
		is := rows[0]
		if x.want.State == bot.Closed {
			is = rows[len(rows)-1]                          // of the closed ones the latest is first
			is.Level, is.DueAt = x.want.Level, x.want.DueAt // not every store keeps them in the clear
		}
		if diff := cmp.Diff(x.want, is, same); diff != "" {
			t.Errorf("%s: what stands for a row that cannot be read (-want +got):\n%s", what, diff)
		}
	}
	said := p.Said.String()
	for _, what := range []string{id(1) + "-m1", id(1) + "-r1"} {
		if !strings.Contains(said, "level=ERROR") || !strings.Contains(said, what) {
			t.Errorf("of %s nothing is logged: %s", what, said)
		}
	}
	if strings.Contains(said, "marked") {
		t.Errorf("her words are logged: %s", said)
	}
}

func opensWithItsKeysetOnly(t *testing.T, p Place) {
	_, v := Keys(t)
	s := p.open(t, vault.Opening{Vault: v})
	create(t, s, patient(1))
	must(t, s.Close())
	_, other := Keys(t)
	for want, o := range map[string]vault.Opening{"no keyset is set": {}, "give the one that it was encrypted with": {Vault: other}} {
		if s, err := p.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			if err == nil {
				s.Close()
			}
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
