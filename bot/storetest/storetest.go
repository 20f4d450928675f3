// Package storetest is the contract of bot.Store as tests. Every store runs
// [Run] in its own tests; a new promise enters here first.
//
// It knows no store: only the interface, and the few things that a harness does
// from outside (open, open again, crash).
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lookout/bot"
	"lookout/flows"
	"lookout/flows/triage"
)

// Harness opens stores for the suite.
type Harness struct {
	// Open opens a store that is empty, and gives a way to open the same one
	// again, as after a crash: the first need not have been closed.
	Open func(t *testing.T) (store bot.Store, again func(t *testing.T) bot.Store)
}

const service = "anytown"

var (
	ctx = context.Background()
	t0  = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
)

// Run holds a store to the whole contract.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"RecordComesBackWhole":          recordComesBackWhole,
		"UnknownIsNotFound":             unknownIsNotFound,
		"SameKeyCountsOnce":             sameKeyCountsOnce,
		"StaleVersionIsRefusedWhole":    staleVersionIsRefusedWhole,
		"EightWritersLoseNothing":       eightWritersLoseNothing,
		"AFaultTakesNoNeighbourDown":    aFaultTakesNoNeighbourDown,
		"SurvivesOpeningAgain":          survivesOpeningAgain,
		"DueInOrderUntilMoved":          dueInOrderUntilMoved,
		"AddressesFollowTheRecord":      addressesFollowTheRecord,
		"ClaimsByPriorityOneARecipient": claimsByPriorityOneARecipient,
		"ClaimsOnce":                    claimsOnce,
		"LeaseRunsOut":                  leaseRunsOut,
		"CancelOnlyWhatIsNotClaimed":    cancelOnlyWhatIsNotClaimed,
		"DeliveryOnlyMovesForward":      deliveryOnlyMovesForward,
		"SettleTwiceAndRetry":           settleTwiceAndRetry,
		"QueueOrder":                    queueOrder,
		"JournalGrowsInOrder":           journalGrowsInOrder,
		"FindPeople":                    findPeople,
		"FoundByWhatTheySaid":           foundByWhatTheySaid,
		"FoundAsSoonAsTheyCame":         foundAsSoonAsTheyCame,
		"PatientsPageByID":              patientsPageByID,
		"AuditInOrder":                  auditInOrder,
		"AuditWithItsChange":            auditWithItsChange,
		"EraseLeavesNothingOfHer":       eraseLeavesNothingOfHer,
		"ValuesExpireAndAreTakenOnce":   valuesExpireAndAreTakenOnce,
		"OfTwoSwapsOneCounts":           ofTwoSwapsOneCounts,
		"Stats":                         stats,
		"ClosedAndCancelled":            closedAndCancelled,
		"HostileWords":                  hostileWords,
		"OneKeyForOnePatient":           oneKeyForOnePatient,
		"ARefusedChangeLeavesItsKey":    aRefusedChangeLeavesItsKey,
		"OnlyWhatIsHers":                onlyWhatIsHers,
		"ASharedNumberKeepsItsOrder":    aSharedNumberKeepsItsOrder,
		"OneOnItsWayToATelephone":       oneOnItsWayToATelephone,
		"AReceiptMakesWay":              aReceiptMakesWay,
		"ARetryKeepsItsPlace":           aRetryKeepsItsPlace,
		"LimitsTakeTheFirstOfAll":       limitsTakeTheFirstOfAll,
		"ARowMayOpenAgain":              aRowMayOpenAgain,
		"ErasedMayBeginAnew":            erasedMayBeginAnew,
		"ValuesAreBytes":                valuesAreBytes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

func open(t *testing.T, h Harness) bot.Store {
	t.Helper()
	store, _ := h.Open(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

// change makes a change that creates a patient or goes on from a record.
func change(rec bot.Record) bot.Change { return bot.Change{Base: rec.Version, Record: rec} }

func patient(n int) bot.Record {
	return bot.Record{Patient: bot.Patient{
		ID: fmt.Sprintf("%s-p%04d", service, n), Service: service, GivenName: "Mary", FamilyName: fmt.Sprintf("Number%d", n),
		BirthDate: "1961-04-30", Status: bot.Active, Addresses: []bot.Address{{Channel: "sms", At: fmt.Sprintf("+44770090%04d", n)}},
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s bot.Store, rec bot.Record) bot.Record {
	t.Helper()
	must(t, s.Commit(ctx, change(rec)))
	return load(t, s, rec.Patient.ID)
}

func load(t *testing.T, s bot.Store, id string) bot.Record {
	t.Helper()
	rec, err := s.Load(ctx, id)
	must(t, err)
	return rec
}

func wantErr(t *testing.T, err, want error, when string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", when, err, want)
	}
}

var same = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}

func recordComesBackWhole(t *testing.T, h Harness) {
	s := open(t, h)
	yes := true
	rec := bot.Record{
		Patient: bot.Patient{
			ID: service + "-p1", Service: service, GivenName: "Siân", FamilyName: "O'Brien-Jones", BirthDate: "1958-02-28",
			NHSNumber: "9991234567", Locale: "cy", Addresses: []bot.Address{{Channel: "sms", At: "+447700900123"}, {Channel: "chat", At: service + "-p1"}},
			Channel: "chat", Status: bot.Paused, EndReason: "moved", PausedUntil: t0.Add(time.Hour),
			Consents: []bot.Consent{{To: "sms", Yes: true, At: t0, By: "patient", How: "said YES"}},
			Plan:     "standard", TreatmentEnded: "2026-09-30", EnrolledAt: t0, Zone: "Europe/Madrid",
			Profile: bot.Profile{LastChemo: "2026-08-01", Lobular: true, Side: "left", Tablets: "letrozole", PostMenopause: &yes},
		},
		Talk: flows.State{Pack: "sha256:1", Flow: "check-in", Started: t0, Wait: 3, AskedAt: t0, Reminded: 1, Unclear: 1,
			Named:  []string{"bone_pain"},
			Frames: []flows.Frame{{Flow: "check-in", Step: "a", Answers: map[string]triage.Answer{"x": {Kind: triage.Value, Number: 7}}}}},
		Rows: []bot.Row{{ID: service + "-p1-r1", Service: service, Patient: service + "-p1", PatientName: "Siân", Concern: "bone", Level: triage.Urgent,
			Reason: "because", Message: "it hurts 😢", Spans: []bot.Span{{Start: 0, End: 2, Concept: "bone_pain"}}, OpenedAt: t0, DueAt: t0.Add(time.Hour),
			State: bot.Claimed, ClaimedBy: "ann", ClaimUntil: t0.Add(time.Minute), Rung: 2, Spoke: true, PagedTo: "x", AckedBy: "y", Changed: 4}},
		Past:    []bot.Episode{{Concept: "bone_pain", Side: "left", First: t0.AddDate(0, -1, 0), Last: t0, Times: 2, Severity: 7, Worsening: true, ExpectedUntil: t0.AddDate(0, 1, 0)}},
		Weights: []bot.Weight{{At: t0, Kg: 63.5}},
		Wakes:   []bot.Wake{{Key: "plan", Kind: bot.WakePlan, At: t0.Add(time.Hour), Ref: "w2", N: 1}},
		Heard:   []bot.Heard{{At: t0, Text: "hello", Level: triage.None}},
		Planned: map[string]time.Time{"w2": t0}, Told: map[string]time.Time{"x": t0}, LastOut: t0, LastPlanned: "m1", Spoken: t0, NextRow: 1, NextOut: 2,
	}
	c := change(rec)
	c.Rows = rec.Rows
	c.Entries = []bot.Entry{{At: t0, Kind: bot.EntryIn, By: "patient", Channel: "sms", Text: "it hurts", Carrier: "SM1", Media: []bot.Media{{URL: "u", Type: "image/jpeg"}},
		Reading: &triage.Reading{Level: triage.Urgent, Why: "w", Findings: []triage.Finding{{Concept: "bone_pain", Text: "hurts", End: 5}}}}}
	c.Send = []bot.Outgoing{{ID: service + "-p1-m1", Service: service, Patient: service + "-p1", To: rec.Patient.Addresses[0], Text: "Thank you",
		TextID: "x", Priority: bot.PriorityReply, CreatedAt: t0, State: bot.OutPending, NotAfter: t0.Add(time.Hour)}}
	must(t, s.Commit(ctx, c))
	got := load(t, s, rec.Patient.ID)
	if got.Version != 1 {
		t.Errorf("version %d after the first commit, want 1", got.Version)
	}
	got.Version = 0
	if diff := cmp.Diff(rec, got, same); diff != "" {
		t.Errorf("the record came back changed (-kept +got):\n%s", diff)
	}
	out, err := s.Outgoing(ctx, c.Send[0].ID)
	must(t, err)
	if diff := cmp.Diff(c.Send[0], out, same); diff != "" {
		t.Errorf("the outgoing message came back changed (-kept +got):\n%s", diff)
	}
	entries, err := s.Journal(ctx, rec.Patient.ID, 0, 0)
	must(t, err)
	c.Entries[0].Seq = 1
	if diff := cmp.Diff(c.Entries, entries, same); diff != "" {
		t.Errorf("the journal came back changed (-kept +got):\n%s", diff)
	}
	row, err := s.Row(ctx, rec.Rows[0].ID)
	must(t, err)
	if diff := cmp.Diff(rec.Rows[0], row, same); diff != "" {
		t.Errorf("the row came back changed (-kept +got):\n%s", diff)
	}
	if z := got.Wakes[0].At.Location(); z != time.UTC {
		t.Errorf("a time came back in %v, want UTC", z)
	}
}

func unknownIsNotFound(t *testing.T, h Harness) {
	s := open(t, h)
	_, err := s.Load(ctx, "nobody")
	wantErr(t, err, bot.ErrNotFound, "Load")
	_, err = s.Row(ctx, "nothing")
	wantErr(t, err, bot.ErrNotFound, "Row")
	_, err = s.Outgoing(ctx, "nothing")
	wantErr(t, err, bot.ErrNotFound, "Outgoing")
	_, err = s.OutgoingByCarrier(ctx, "nothing")
	wantErr(t, err, bot.ErrNotFound, "OutgoingByCarrier")
	_, err = s.Value(ctx, "drawer", "key", t0)
	wantErr(t, err, bot.ErrNotFound, "Value")
	if at, err := s.PatientsAt(ctx, service, bot.Address{Channel: "sms", At: "+447700900999"}); err != nil || len(at) != 0 {
		t.Errorf("PatientsAt of nobody: %v, %v", at, err)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: "nothing", State: bot.OutDelivered, At: t0}))
	wantErr(t, s.Commit(ctx, bot.Change{Base: 7, Record: patient(1)}), bot.ErrConflict, "a change of a record that is not there")
}

func sameKeyCountsOnce(t *testing.T, h Harness) {
	s := open(t, h)
	rec := create(t, s, patient(1))
	c := change(rec)
	c.Key, c.Entries = "in:SM1", []bot.Entry{{Kind: bot.EntryIn, Text: "once"}}
	must(t, s.Commit(ctx, c))
	wantErr(t, s.Commit(ctx, c), bot.ErrDuplicate, "the same change again (duplicate wins over conflict)")
	other := change(create(t, s, patient(2)))
	other.Key = "in:SM1"
	wantErr(t, s.Commit(ctx, other), bot.ErrDuplicate, "the same key for another patient")
	first := change(patient(3))
	first.Key = "in:SM1"
	wantErr(t, s.Commit(ctx, first), bot.ErrDuplicate, "the same key for a new patient")
	_, err := s.Load(ctx, first.Record.Patient.ID)
	wantErr(t, err, bot.ErrNotFound, "a record whose creation was a duplicate")
	entries, err := s.Journal(ctx, rec.Patient.ID, 0, 0)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("%d entries, want 1", len(entries))
	}
	for key, want := range map[string]bool{"in:SM1": true, "in:SM2": false} {
		if seen, err := s.Seen(ctx, key); err != nil || seen != want {
			t.Errorf("Seen(%q) = %v, %v", key, seen, err)
		}
	}
}

func staleVersionIsRefusedWhole(t *testing.T, h Harness) {
	s := open(t, h)
	rec := create(t, s, patient(1))
	must(t, s.Commit(ctx, change(rec)))
	stale := change(rec)
	stale.Key, stale.Entries = "in:SM9", []bot.Entry{{Kind: bot.EntryNote, Text: "stale"}}
	stale.Rows = []bot.Row{{ID: rec.Patient.ID + "-r1", Service: service, Patient: rec.Patient.ID, State: bot.Open, Level: triage.Soon}}
	stale.Send = []bot.Outgoing{{ID: rec.Patient.ID + "-m1", To: rec.Patient.Addresses[0], Text: "stale"}}
	stale.Record.Patient.Addresses = nil
	wantErr(t, s.Commit(ctx, stale), bot.ErrConflict, "a stale change")
	wantErr(t, s.Commit(ctx, change(patient(1))), bot.ErrConflict, "creating a record that is there")
	if seen, _ := s.Seen(ctx, "in:SM9"); seen {
		t.Error("the key of a refused change counts as seen")
	}
	if got := load(t, s, rec.Patient.ID); len(got.Rows) != 0 || len(got.Patient.Addresses) != 1 || got.Version != 2 {
		t.Errorf("a refused change left something: %+v", got)
	}
	if entries, _ := s.Journal(ctx, rec.Patient.ID, 0, 0); len(entries) != 0 {
		t.Error("a refused change left a journal entry")
	}
	_, err := s.Outgoing(ctx, rec.Patient.ID+"-m1")
	wantErr(t, err, bot.ErrNotFound, "the message of a refused change")
}

func eightWritersLoseNothing(t *testing.T, h Harness) {
	s := open(t, h)
	id := create(t, s, patient(1)).Patient.ID
	const writers, each = 8, 25
	var wg sync.WaitGroup
	var conflicts atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				for {
					rec, err := s.Load(ctx, id)
					if err != nil {
						t.Error(err)
						return
					}
					rec.NextOut++
					c := change(rec)
					c.Entries = []bot.Entry{{Kind: bot.EntryNote, Text: fmt.Sprintf("%d/%d", w, i)}}
					err = s.Commit(ctx, c)
					if err == nil {
						break
					}
					if !errors.Is(err, bot.ErrConflict) {
						t.Error(err)
						return
					}
					conflicts.Add(1)
				}
			}
		})
	}
	wg.Wait()
	rec := load(t, s, id)
	if rec.NextOut != writers*each || rec.Version != 1+writers*each {
		t.Errorf("counter %d, version %d after %d writes: updates were lost", rec.NextOut, rec.Version, writers*each)
	}
	entries, err := s.Journal(ctx, id, 0, 0)
	must(t, err)
	said := map[string]bool{}
	for i, e := range entries {
		said[e.Text] = true
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has number %d", i+1, e.Seq)
		}
	}
	if len(said) != writers*each {
		t.Errorf("%d different entries, want %d", len(said), writers*each)
	}
}

// aFaultTakesNoNeighbourDown commits good changes beside ones that fail midway
// (their message's id is taken already), at once, so that they share a group.
func aFaultTakesNoNeighbourDown(t *testing.T, h Harness) {
	s := open(t, h)
	change := func(rec bot.Record) bot.Change {
		c := change(rec)
		c.Entries = []bot.Entry{{Kind: bot.EntryNote, Text: "x"}}
		c.Send = []bot.Outgoing{{ID: rec.Patient.ID + "-m1", Service: service, Patient: rec.Patient.ID, To: rec.Patient.Addresses[0], Text: "x"}}
		return c
	}
	var changes []bot.Change
	for i := range 64 {
		rec := patient(i)
		if i%8 == 0 {
			must(t, s.Commit(ctx, change(rec)))
			rec = load(t, s, rec.Patient.ID)
		}
		changes = append(changes, change(rec))
	}
	var wg sync.WaitGroup
	for i, c := range changes {
		wg.Go(func() {
			err := s.Commit(ctx, c)
			switch {
			case i%8 == 0 && !errors.Is(err, bot.ErrUnavailable):
				t.Errorf("a change with a message id that is taken: %v, want ErrUnavailable", err)
			case i%8 != 0 && err != nil:
				t.Errorf("its neighbour failed: %v", err)
			}
		})
	}
	wg.Wait()
	for i, c := range changes {
		id := c.Record.Patient.ID
		entries, err := s.Journal(ctx, id, 0, 0)
		must(t, err)
		if got := load(t, s, id); got.Version != 1 || len(entries) != 1 {
			t.Errorf("patient %d is at version %d with %d entries, want her one good change", i, got.Version, len(entries))
		}
	}
}

func survivesOpeningAgain(t *testing.T, h Harness) {
	s, again := h.Open(t)
	rec := create(t, s, patient(1))
	c := change(rec)
	c.Key, c.Entries = "k", []bot.Entry{{Kind: bot.EntryNote, Text: "kept"}}
	must(t, s.Commit(ctx, c))
	must(t, s.PutValue(ctx, "d", "k", []byte("v"), time.Time{}))
	// Not closed: as after a crash.
	s2 := again(t)
	t.Cleanup(func() { s2.Close(); s.Close() })
	if got := load(t, s2, rec.Patient.ID); got.Version != 2 {
		t.Errorf("version %d, want 2", got.Version)
	}
	wantErr(t, s2.Commit(ctx, c), bot.ErrDuplicate, "the same key after opening again")
	if v, err := s2.Value(ctx, "d", "k", t0); err != nil || string(v) != "v" {
		t.Errorf("value %q, %v", v, err)
	}
}

func dueInOrderUntilMoved(t *testing.T, h Harness) {
	s := open(t, h)
	for i, after := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour, 5 * time.Hour} {
		rec := patient(i)
		rec.Wakes = []bot.Wake{{Key: "later", At: t0.AddDate(1, 0, 0)}, {Key: "plan", At: t0.Add(after)}}
		create(t, s, rec)
	}
	create(t, s, patient(9)) // no wakes
	ids := func(now time.Time, limit int) (out []string) {
		due, err := s.Due(ctx, now, limit)
		must(t, err)
		for _, d := range due {
			out = append(out, d.Patient)
		}
		return out
	}
	id := func(n int) string { return patient(n).Patient.ID }
	if got := ids(t0, 10); len(got) != 0 {
		t.Errorf("due too early: %v", got)
	}
	if got, want := ids(t0.Add(3*time.Hour), 10), []string{id(1), id(2), id(0)}; !slices.Equal(got, want) {
		t.Errorf("due %v, want %v (earliest first, the last exactly now)", got, want)
	}
	if got, want := ids(t0.Add(9*time.Hour), 2), []string{id(1), id(2)}; !slices.Equal(got, want) {
		t.Errorf("due with a limit %v, want %v", got, want)
	}
	rec := load(t, s, id(1))
	rec.Wakes = rec.Wakes[:1]
	must(t, s.Commit(ctx, change(rec)))
	if got, want := ids(t0.Add(3*time.Hour), 10), []string{id(2), id(0)}; !slices.Equal(got, want) {
		t.Errorf("due after a commit moved one %v, want %v", got, want)
	}
	rec = load(t, s, id(2))
	rec.Wakes = nil
	must(t, s.Commit(ctx, change(rec)))
	if got, want := ids(t0.AddDate(2, 0, 0), 10), []string{id(0), id(3), id(1)}; !slices.Equal(got, want) {
		t.Errorf("due at last %v, want %v", got, want)
	}
}

func addressesFollowTheRecord(t *testing.T, h Harness) {
	s := open(t, h)
	at := func(number string) []string {
		ids, err := s.PatientsAt(ctx, service, bot.Address{Channel: "sms", At: number})
		must(t, err)
		records, err := s.RecordsAt(ctx, service, bot.Address{Channel: "sms", At: number})
		must(t, err)
		for i := range records {
			if whole := load(t, s, records[i].Patient.ID); !reflect.DeepEqual(records[i], whole) {
				t.Errorf("a record by its address is %+v, want %+v", records[i], whole)
			}
		}
		if found := func() (ids []string) {
			for i := range records {
				ids = append(ids, records[i].Patient.ID)
			}
			return ids
		}(); !slices.Equal(found, ids) {
			t.Errorf("RecordsAt gives %v where PatientsAt gives %v", found, ids)
		}
		return ids
	}
	one, two := patient(1), patient(2)
	shared := one.Patient.Addresses[0].At
	two.Patient.Addresses = append([]bot.Address{{Channel: "sms", At: shared}}, two.Patient.Addresses...)
	one = create(t, s, one)
	create(t, s, two)
	if got, want := at(shared), []string{one.Patient.ID, two.Patient.ID}; !slices.Equal(got, want) {
		t.Errorf("a shared number gives %v, want %v", got, want)
	}
	one.Patient.Addresses = []bot.Address{{Channel: "sms", At: "+447700900777"}}
	must(t, s.Commit(ctx, change(one)))
	if got, want := at(shared), []string{two.Patient.ID}; !slices.Equal(got, want) {
		t.Errorf("after one changed her number: %v, want %v", got, want)
	}
	if got := at("+447700900777"); len(got) != 1 {
		t.Errorf("the new number gives %v", got)
	}
	if ids, err := s.PatientsAt(ctx, "othertown", bot.Address{Channel: "sms", At: shared}); err != nil || len(ids) != 0 {
		t.Errorf("another service sees %v, %v", ids, err)
	}
	if ids, err := s.PatientsAt(ctx, service, bot.Address{Channel: "chat", At: shared}); err != nil || len(ids) != 0 {
		t.Errorf("another channel sees %v, %v", ids, err)
	}
}

// outbox creates patients with messages: (recipient, priority, not before) each.
func outbox(t *testing.T, s bot.Store, messages ...bot.Outgoing) {
	t.Helper()
	for i, m := range messages {
		m.ID = message(i)
		m.Service, m.State, m.CreatedAt = service, bot.OutPending, t0
		if m.To.Channel == "" {
			m.To.Channel = "sms"
		}
		c := change(patient(100 + i))
		m.Patient = c.Record.Patient.ID
		c.Send = []bot.Outgoing{m}
		must(t, s.Commit(ctx, c))
	}
}

// message is the id of the nth message of an [outbox].
func message(n int) string { return patient(100+n).Patient.ID + "-m1" }

func claim(t *testing.T, s bot.Store, now time.Time, limit int) []bot.Outgoing {
	t.Helper()
	out, err := s.ClaimOutgoing(ctx, "sms", now, time.Minute, limit)
	must(t, err)
	return out
}

// idsOf names messages of an [outbox] m0, m1, …
func idsOf(out []bot.Outgoing) (ids []string) {
	for _, o := range out {
		n := 0
		fmt.Sscanf(o.ID, service+"-p%d-m1", &n)
		ids = append(ids, fmt.Sprintf("m%d", n-100))
	}
	return ids
}

func to(at string) bot.Address { return bot.Address{Channel: "sms", At: at} }

func claimsByPriorityOneARecipient(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s,
		bot.Outgoing{To: to("a"), Priority: bot.PriorityPlanned},                                 // m0
		bot.Outgoing{To: to("b"), Priority: bot.PriorityReply},                                   // m1
		bot.Outgoing{To: to("b"), Priority: bot.PriorityReply},                                   // m2: behind m1
		bot.Outgoing{To: to("c"), Priority: bot.PriorityReply, NotBefore: t0.Add(time.Hour)},     // m3: later
		bot.Outgoing{To: to("d"), Priority: bot.PriorityEmergency},                               // m4
		bot.Outgoing{To: to("a"), Priority: bot.PriorityEmergency},                               // m5: overtakes m0
		bot.Outgoing{To: bot.Address{Channel: "chat", At: "e"}, Priority: bot.PriorityEmergency}, // m6: other channel
		bot.Outgoing{To: to("f"), Priority: bot.PriorityPage},                                    // m7
		bot.Outgoing{To: to("c"), Priority: bot.PriorityPlanned},                                 // m8: m3 is not due and does not hold it up
	)
	first := claim(t, s, t0, 10)
	if got, want := idsOf(first), []string{"m4", "m5", "m7", "m1", "m8"}; !slices.Equal(got, want) {
		t.Fatalf("claimed %v, want %v: emergency, page, reply, planned; one a recipient", got, want)
	}
	for _, o := range first {
		if o.State != bot.OutSending || o.Attempts != 1 || o.Unsettled || !o.LeaseUntil.Equal(t0.Add(time.Minute)) || o.Fence == 0 {
			t.Errorf("claimed message %+v", o)
		}
	}
	if got := claim(t, s, t0, 10); len(got) != 0 {
		t.Errorf("claimed %v while others to the same people are on their way", idsOf(got))
	}
	for _, o := range first {
		must(t, s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0}))
	}
	if got, want := idsOf(claim(t, s, t0, 10)), []string{"m2", "m0"}; !slices.Equal(got, want) {
		t.Errorf("then claimed %v, want %v", got, want)
	}
	if got, want := idsOf(claim(t, s, t0.Add(time.Hour), 10)), []string{"m3", "m2", "m0"}; len(got) != len(want) {
		t.Errorf("an hour later claimed %v, want m3, and those whose lease ran out", got)
	}
}

func claimsOnce(t *testing.T, h Harness) {
	s := open(t, h)
	var messages []bot.Outgoing
	for i := range 60 {
		messages = append(messages, bot.Outgoing{To: to(fmt.Sprint(i)), Priority: bot.PriorityReply})
	}
	outbox(t, s, messages...)
	var mu sync.Mutex
	times := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				batch, err := s.ClaimOutgoing(ctx, "sms", t0, time.Minute, 3)
				if err != nil {
					t.Error(err)
					return
				}
				if len(batch) == 0 {
					return
				}
				mu.Lock()
				for _, o := range batch {
					times[o.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(times) != 60 {
		t.Errorf("%d of 60 messages claimed", len(times))
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}

func leaseRunsOut(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s, bot.Outgoing{To: to("a")})
	first := claim(t, s, t0, 1)[0]
	if got := claim(t, s, t0.Add(59*time.Second), 1); len(got) != 0 {
		t.Fatal("claimed again inside the lease")
	}
	second := claim(t, s, t0.Add(61*time.Second), 1)
	if len(second) != 1 || !second[0].Unsettled || second[0].Fence <= first.Fence || second[0].Attempts != 2 {
		t.Fatalf("after the lease: %+v, want it again, marked unsettled, with a larger fence", second)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: first.ID, Fence: first.Fence, State: bot.OutFailed, At: t0}))
	if o, _ := s.Outgoing(ctx, first.ID); o.State != bot.OutSending {
		t.Errorf("a claim that had run out settled the message: %s", o.State)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: first.ID, Fence: second[0].Fence, State: bot.OutSent, CarrierID: "C1", At: t0}))
	o, err := s.OutgoingByCarrier(ctx, "C1")
	must(t, err)
	if o.ID != first.ID || o.State != bot.OutSent || !o.SettledAt.Equal(t0) {
		t.Errorf("by the carrier's id: %+v", o)
	}
}

func cancelOnlyWhatIsNotClaimed(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s, bot.Outgoing{To: to("a")}, bot.Outgoing{To: to("b")})
	claimed := claim(t, s, t0, 1)[0]
	if claimed.ID != message(0) {
		t.Fatalf("claimed %s, want the older one", claimed.ID)
	}
	for i := range 2 {
		c := change(load(t, s, patient(100+i).Patient.ID))
		c.Cancel = []string{message(i), c.Record.Patient.ID + "-m77"}
		must(t, s.Commit(ctx, c))
	}
	if o, _ := s.Outgoing(ctx, claimed.ID); o.State != bot.OutSending {
		t.Errorf("a claimed message is %s after a cancel, want sending", o.State)
	}
	if o, _ := s.Outgoing(ctx, message(1)); o.State != bot.OutCancelled {
		t.Errorf("a waiting message is %s after a cancel", o.State)
	}
	if got := claim(t, s, t0, 10); len(got) != 0 {
		t.Errorf("a cancelled message was claimed: %v", idsOf(got))
	}
}

func deliveryOnlyMovesForward(t *testing.T, h Harness) {
	s := open(t, h)
	receipts := []bot.OutState{bot.OutSent, bot.OutDelivered, bot.OutSent, bot.OutUndelivered}
	for trial := range 24 {
		order := rand.New(rand.NewPCG(1, uint64(trial))).Perm(3)
		var messages []bot.Outgoing
		c := change(patient(trial))
		id := c.Record.Patient.ID + "-m1"
		messages = append(messages, bot.Outgoing{ID: id, To: to(id), State: bot.OutPending, CreatedAt: t0})
		c.Send = messages
		must(t, s.Commit(ctx, c))
		o := claim(t, s, t0, 1)[0]
		settle := bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0}
		sawDelivered := false
		for _, i := range order {
			if i == 0 {
				must(t, s.Settle(ctx, settle)) // the carrier's answer may come after its receipts
				continue
			}
			r := receipts[i]
			sawDelivered = sawDelivered || r == bot.OutDelivered
			must(t, s.Settle(ctx, bot.Settlement{ID: o.ID, State: r, CarrierID: "C" + o.ID, At: t0}))
		}
		must(t, s.Settle(ctx, bot.Settlement{ID: o.ID, State: bot.OutUndelivered, At: t0}))
		got, err := s.OutgoingByCarrier(ctx, "C"+o.ID)
		must(t, err)
		if got.State != bot.OutDelivered {
			t.Errorf("order %v: state %s, want delivered: a late receipt must not move it back", order, got.State)
		}
	}
}

func settleTwiceAndRetry(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s, bot.Outgoing{To: to("a")})
	o := claim(t, s, t0, 1)[0]
	retry := bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutPending, RetryAt: t0.Add(time.Hour), Code: "30001", At: t0}
	must(t, s.Settle(ctx, retry, retry))
	if got := claim(t, s, t0.Add(59*time.Minute), 1); len(got) != 0 {
		t.Error("retried before its time")
	}
	again := claim(t, s, t0.Add(time.Hour), 1)
	if len(again) != 1 || again[0].Unsettled || again[0].Attempts != 2 {
		t.Fatalf("retry: %+v", again)
	}
	unknown := bot.Settlement{ID: o.ID, Fence: again[0].Fence, State: bot.OutPending, RetryAt: t0.Add(2 * time.Hour), Unsettled: true, At: t0}
	must(t, s.Settle(ctx, unknown))
	third := claim(t, s, t0.Add(2*time.Hour), 1)
	if len(third) != 1 || !third[0].Unsettled {
		t.Fatalf("a send of unknown outcome came back without saying so: %+v", third)
	}
}

func row(n int, level triage.Level, due time.Duration, state bot.RowState) bot.Row {
	holder := ""
	if state == bot.Claimed {
		holder = "ann"
	}
	return bot.Row{ID: patient(n).Patient.ID + "-r1", Service: service, Patient: patient(n).Patient.ID, Level: level, State: state, ClaimedBy: holder, Concern: []string{"even", "odd"}[n%2],
		OpenedAt: t0.Add(time.Duration(n) * time.Second), DueAt: t0.Add(due), ClosedAt: t0.Add(time.Duration(n) * time.Hour)}
}

func queueOrder(t *testing.T, h Harness) {
	s := open(t, h)
	for _, r := range []bot.Row{
		row(0, triage.Soon, time.Hour, bot.Open), row(1, triage.Emergency, 9*time.Hour, bot.Open), row(2, triage.Urgent, 2*time.Hour, bot.Claimed),
		row(3, triage.Urgent, time.Hour, bot.Open), row(4, triage.Urgent, time.Hour, bot.Open), row(5, triage.Routine, 0, bot.Snoozed),
		row(6, triage.Emergency, 0, bot.Closed), row(7, triage.Soon, 0, bot.Closed),
	} {
		rec := patient(0)
		rec.Patient.ID = r.Patient
		c := change(rec)
		c.Rows = []bot.Row{r}
		must(t, s.Commit(ctx, c))
	}
	for _, x := range []struct {
		filter bot.QueueFilter
		want   []string
	}{
		{bot.QueueFilter{}, []string{"r1", "r3", "r4", "r2", "r0"}},
		{bot.QueueFilter{Service: service, Limit: 2}, []string{"r1", "r3"}},
		{bot.QueueFilter{Service: "othertown"}, nil},
		{bot.QueueFilter{States: []bot.RowState{bot.Claimed}}, []string{"r2"}},
		{bot.QueueFilter{States: []bot.RowState{bot.Closed}}, []string{"r7", "r6"}},
		{bot.QueueFilter{States: []bot.RowState{bot.Snoozed, bot.Closed}}, []string{"r5", "r7", "r6"}},
		{bot.QueueFilter{Patient: patient(2).Patient.ID}, []string{"r2"}},
		{bot.QueueFilter{Holder: "ann"}, []string{"r2"}},
		{bot.QueueFilter{Holder: "bea"}, nil},
		{bot.QueueFilter{Concern: "even"}, []string{"r4", "r2", "r0"}},
		{bot.QueueFilter{Concern: "even", Skip: 1, Limit: 1}, []string{"r2"}},
		{bot.QueueFilter{Concern: "even", States: []bot.RowState{bot.Closed}}, []string{"r6"}},
		{bot.QueueFilter{DueBefore: t0.Add(2 * time.Hour)}, []string{"r3", "r4", "r0"}},
		{bot.QueueFilter{DueBefore: t0.Add(2 * time.Hour), States: []bot.RowState{bot.Open, bot.Closed}}, []string{"r3", "r4", "r0"}},
		{bot.QueueFilter{ClosedSince: t0.Add(7 * time.Hour), States: []bot.RowState{bot.Open, bot.Closed}}, []string{"r7"}},
		{bot.QueueFilter{Skip: 3}, []string{"r2", "r0"}},
		{bot.QueueFilter{Skip: 2, Limit: 2}, []string{"r4", "r2"}},
		{bot.QueueFilter{Skip: 2, States: []bot.RowState{bot.Snoozed, bot.Closed}}, []string{"r6"}},
		{bot.QueueFilter{Skip: 9}, nil},
	} {
		rows, err := s.Queue(ctx, x.filter)
		must(t, err)
		all := x.filter
		all.Limit, all.Skip = 0, 0
		every, err := s.Queue(ctx, all)
		must(t, err)
		if n, err := s.Count(ctx, x.filter); err != nil || n != len(every) {
			t.Errorf("%+v: Count = %d, %v, want %d whatever Limit and Skip are", x.filter, n, err, len(every))
		}
		var got []string
		for _, r := range rows {
			n := 0
			fmt.Sscanf(r.Patient, service+"-p%d", &n)
			got = append(got, fmt.Sprintf("r%d", n))
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%+v: %v, want %v", x.filter, got, x.want)
		}
	}
	rec := load(t, s, patient(1).Patient.ID)
	if len(rec.Rows) != 1 {
		t.Fatalf("an open row does not come with its record")
	}
	rec.Rows[0].State = bot.Closed
	c := change(rec)
	c.Rows = rec.Rows
	must(t, s.Commit(ctx, c))
	if rec := load(t, s, patient(1).Patient.ID); len(rec.Rows) != 0 {
		t.Error("a closed row still comes with the record")
	}
}

func journalGrowsInOrder(t *testing.T, h Harness) {
	s := open(t, h)
	rec := create(t, s, patient(1))
	n := 0
	for i := range 5 {
		c := change(rec)
		for range i {
			n++
			c.Entries = append(c.Entries, bot.Entry{At: t0, Kind: bot.EntryNote, Text: fmt.Sprint(n)})
		}
		must(t, s.Commit(ctx, c))
		rec = load(t, s, rec.Patient.ID)
	}
	for _, x := range []struct {
		after       int64
		limit, from int
		want        int
	}{{0, 0, 1, 10}, {0, 3, 1, 3}, {4, 2, 5, 2}, {9, 0, 10, 1}, {10, 0, 0, 0}} {
		entries, err := s.Journal(ctx, rec.Patient.ID, x.after, x.limit)
		must(t, err)
		if len(entries) != x.want {
			t.Errorf("after %d, at most %d: %d entries, want %d", x.after, x.limit, len(entries), x.want)
			continue
		}
		for i, e := range entries {
			if e.Seq != int64(x.from+i) || e.Text != fmt.Sprint(x.from+i) {
				t.Errorf("after %d: entry %d is number %d %q", x.after, i, e.Seq, e.Text)
			}
		}
	}
}

func findPeople(t *testing.T, h Harness) {
	s := open(t, h)
	a, b, other := patient(1), patient(2), patient(3)
	a.Patient.GivenName, a.Patient.FamilyName, a.Patient.NHSNumber = "Siân", "O'Brien-Jones", "9991234567"
	a.Patient.Addresses = []bot.Address{{Channel: "sms", At: "+447700900123"}}
	b.Patient.GivenName, b.Patient.FamilyName, b.Patient.BirthDate = "Sandra", "Brightwell", "1970-01-02"
	other.Patient.GivenName, other.Patient.Service = "Siân", "othertown"
	for _, rec := range []bot.Record{a, b, other} {
		create(t, s, rec)
	}
	for query, want := range map[string][]string{
		"sian": {"A"}, "SIÂN": {"A"}, "s": {"A", "B"}, "br": {"A", "B"}, "obrien": {"A"}, "o'brien": {"A"}, "jones sian": {"A"}, "bright": {"B"}, "zz": nil,
		"999 123 4567": {"A"}, "9991234567": {"A"}, "07700 900123": {"A"}, "+44 7700 900123": {"A"}, "00447700900123": {"A"},
		"1970-01-02": {"B"}, "": nil, "%": nil, "' OR 1=1 --": nil,
	} {
		people, err := s.Find(ctx, service, query, 10)
		must(t, err)
		var got []string
		for _, p := range people {
			got = append(got, map[string]string{a.Patient.ID: "A", b.Patient.ID: "B"}[p.ID])
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
	rec := load(t, s, b.Patient.ID)
	rec.Patient.FamilyName = "Newname"
	must(t, s.Commit(ctx, change(rec)))
	if people, _ := s.Find(ctx, service, "bright", 10); len(people) != 0 {
		t.Error("she is still found by a name that she no longer has")
	}
	if people, _ := s.Find(ctx, service, "newn", 10); len(people) != 1 {
		t.Error("she is not found by her new name")
	}
}

func patientsPageByID(t *testing.T, h Harness) {
	s := open(t, h)
	for i := range 7 {
		create(t, s, patient(i))
	}
	var got []string
	after := ""
	for {
		page, err := s.Patients(ctx, service, after, 3)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			got = append(got, p.ID)
		}
		after = page[len(page)-1].ID
	}
	if len(got) != 7 || !slices.IsSorted(got) {
		t.Errorf("paged through %v", got)
	}
}

func auditInOrder(t *testing.T, h Harness) {
	s := open(t, h)
	for i := range 5 {
		must(t, s.Audit(ctx, bot.AuditEntry{At: t0, By: "ann", Did: fmt.Sprint(i)}, bot.AuditEntry{At: t0, By: "bea", Did: "x", Patient: "p", Ref: "r", From: "127.0.0.1"}))
	}
	all, err := s.AuditLog(ctx, 0, 100)
	must(t, err)
	if len(all) != 10 || all[0].Did != "0" || all[9].From != "127.0.0.1" {
		t.Fatalf("audit log: %+v", all)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Seq <= all[i-1].Seq {
			t.Error("audit entries out of order")
		}
	}
	if rest, err := s.AuditLog(ctx, all[6].Seq, 2); err != nil || len(rest) != 2 || rest[0].Seq != all[7].Seq {
		t.Errorf("paging: %+v, %v", rest, err)
	}
}

// What a change did and who did it stand or fall together.
func auditWithItsChange(t *testing.T, h Harness) {
	s := open(t, h)
	c := bot.Change{Key: "k", Record: bot.Record{Patient: bot.Patient{ID: "a-p1", Service: "a"}}, Audit: []bot.AuditEntry{{At: t0, By: "ann", Did: "enrol patient", Patient: "a-p1"}}}
	must(t, s.Commit(ctx, c))
	if err := s.Commit(ctx, c); !errors.Is(err, bot.ErrDuplicate) {
		t.Errorf("the same again: %v", err)
	}
	c.Key = ""
	if err := s.Commit(ctx, c); !errors.Is(err, bot.ErrConflict) {
		t.Errorf("on an old version: %v", err)
	}
	all, err := s.AuditLog(ctx, 0, 100)
	must(t, err)
	if len(all) != 1 || all[0].By != "ann" || all[0].Did != "enrol patient" || !all[0].At.Equal(t0) {
		t.Errorf("audit log: %+v, want the one entry of the one change that was kept", all)
	}
}

func valuesExpireAndAreTakenOnce(t *testing.T, h Harness) {
	s := open(t, h)
	must(t, s.PutValue(ctx, "d", "gone", []byte("x"), t0))
	must(t, s.PutValue(ctx, "d", "here", []byte("one"), t0.Add(time.Second)))
	must(t, s.PutValue(ctx, "d", "here", []byte("two"), t0.Add(time.Hour)))
	must(t, s.PutValue(ctx, "d", "ever", nil, time.Time{}))
	must(t, s.PutValue(ctx, "e", "here", []byte("other drawer"), time.Time{}))
	_, err := s.Value(ctx, "d", "gone", t0)
	wantErr(t, err, bot.ErrNotFound, "a value that expires now")
	if v, err := s.Value(ctx, "d", "here", t0.Add(30*time.Minute)); err != nil || string(v) != "two" {
		t.Errorf("value %q, %v", v, err)
	}
	all, err := s.Values(ctx, "d", t0)
	must(t, err)
	if len(all) != 2 || string(all["here"]) != "two" {
		t.Errorf("values %v", all)
	}
	if n, err := s.Sweep(ctx, t0.Add(time.Minute)); err != nil || n != 1 {
		t.Errorf("swept %d, %v; want the one that expired", n, err)
	}
	var got atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v, err := s.TakeValue(ctx, "d", "here", t0)
			switch {
			case err == nil && string(v) == "two":
				got.Add(1)
			case !errors.Is(err, bot.ErrNotFound):
				t.Errorf("TakeValue: %q, %v", v, err)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("a value was taken %d times", got.Load())
	}
	_, err = s.TakeValue(ctx, "d", "gone", t0)
	wantErr(t, err, bot.ErrNotFound, "taking an expired value")
	must(t, s.DeleteValue(ctx, "d", "ever"))
	must(t, s.DeleteValue(ctx, "d", "ever"))
	_, err = s.Value(ctx, "d", "ever", t0)
	wantErr(t, err, bot.ErrNotFound, "a deleted value")
}

// Of those who have read the same value one may change it; the others have changed nothing.
func ofTwoSwapsOneCounts(t *testing.T, h Harness) {
	s := open(t, h)
	never := time.Time{}
	must(t, s.SwapValue(ctx, "d", "new", nil, []byte("one"), never, t0))
	wantErr(t, s.SwapValue(ctx, "d", "new", nil, []byte("two"), never, t0), bot.ErrConflict, "a value that is there already")
	wantErr(t, s.SwapValue(ctx, "d", "new", []byte("another"), []byte("two"), never, t0), bot.ErrConflict, "one that says another thing")
	wantErr(t, s.SwapValue(ctx, "d", "none", []byte("one"), []byte("two"), never, t0), bot.ErrConflict, "one that is not there")
	if v, err := s.Value(ctx, "d", "new", t0); err != nil || string(v) != "one" {
		t.Errorf("after the conflicts %q, %v", v, err)
	}
	must(t, s.SwapValue(ctx, "d", "new", []byte("one"), []byte("two"), t0.Add(time.Minute), t0))
	if v, err := s.Value(ctx, "d", "new", t0); err != nil || string(v) != "two" {
		t.Errorf("after the swap %q, %v", v, err)
	}
	wantErr(t, s.SwapValue(ctx, "d", "new", []byte("two"), []byte("x"), never, t0.Add(time.Hour)), bot.ErrConflict, "one that has expired")
	must(t, s.SwapValue(ctx, "d", "new", nil, []byte("three"), never, t0.Add(time.Hour)))
	if n, err := s.Sweep(ctx, t0.Add(2*time.Hour)); err != nil || n != 0 {
		t.Errorf("swept %d, %v; what was put anew never expires", n, err)
	}
	must(t, s.PutValue(ctx, "d", "count", []byte{0}, never)) // as one that was put before swaps were known
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				v, err := s.Value(ctx, "d", "count", t0)
				if err != nil {
					t.Error(err)
					return
				}
				err = s.SwapValue(ctx, "d", "count", v, []byte{v[0] + 1}, never, t0)
				if err == nil {
					return
				}
				if !errors.Is(err, bot.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if v, err := s.Value(ctx, "d", "count", t0); err != nil || v[0] != 8 {
		t.Errorf("8 counted to %d, %v", v, err)
	}
}

func stats(t *testing.T, h Harness) {
	s := open(t, h)
	c := change(patient(1))
	c.Record.Wakes = []bot.Wake{{Key: "x", At: t0.Add(-time.Hour)}}
	c.Rows = []bot.Row{row(1, triage.Urgent, time.Hour, bot.Open), row(1, triage.Soon, 2*time.Hour, bot.Claimed), row(1, triage.Soon, 0, bot.Closed)}
	for i := range c.Rows {
		c.Rows[i].ID = fmt.Sprintf("%s-r%d", c.Record.Patient.ID, i+1)
	}
	c.Send = []bot.Outgoing{{ID: c.Record.Patient.ID + "-m1", To: to("a"), CreatedAt: t0, State: bot.OutPending}}
	must(t, s.Commit(ctx, c))
	got, err := s.Stats(ctx, t0)
	must(t, err)
	want := bot.Stats{Patients: 1, Rows: map[bot.RowState]map[string]int{bot.Open: {"urgent": 1}, bot.Claimed: {"soon": 1}},
		OldestDue: t0.Add(time.Hour), Outgoing: 1, OldestOut: t0, WakesDue: 1, OldestWake: t0.Add(-time.Hour)}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func closedAndCancelled(t *testing.T, h Harness) {
	s, _ := h.Open(t)
	over, cancel := context.WithCancel(ctx)
	cancel()
	wantErr(t, s.Commit(over, change(patient(1))), bot.ErrUnavailable, "a commit with a context that has ended")
	_, err := s.Load(over, "x")
	wantErr(t, err, bot.ErrUnavailable, "a load with a context that has ended")
	_, err = s.Load(ctx, patient(1).Patient.ID)
	wantErr(t, err, bot.ErrNotFound, "the patient of that commit")
	must(t, s.Close())
	must(t, s.Close())
	wantErr(t, s.Commit(ctx, change(patient(1))), bot.ErrUnavailable, "a commit after Close")
	_, err = s.Load(ctx, "x")
	wantErr(t, err, bot.ErrUnavailable, "a load after Close")
	_, err = s.Due(ctx, t0, 1)
	wantErr(t, err, bot.ErrUnavailable, "Due after Close")
}

func hostileWords(t *testing.T, h Harness) {
	s := open(t, h)
	for i, words := range []string{"", "\x00", "a\x00b", "'; DROP TABLE patients; --", "😀 lwmp ŵ \u202e", string(make([]byte, 100_000)), "\ufffd", "\u2028"} {
		rec := patient(i)
		rec.Heard = []bot.Heard{{At: t0, Text: words}}
		c := change(rec)
		c.Entries = []bot.Entry{{At: t0, Kind: bot.EntryIn, Text: words}}
		must(t, s.Commit(ctx, c))
		if got := load(t, s, rec.Patient.ID); got.Heard[0].Text != words {
			t.Errorf("words %d came back changed", i)
		}
		entries, err := s.Journal(ctx, rec.Patient.ID, 0, 0)
		must(t, err)
		if entries[0].Text != words {
			t.Errorf("words %d came back changed from the journal", i)
		}
	}
}

func eraseLeavesNothingOfHer(t *testing.T, h Harness) {
	s := open(t, h)
	hers, other := patient(1), patient(11) // one id begins with the other's
	other.Patient.ID, other.Patient.FamilyName = hers.Patient.ID+"1", "Elsewhere"
	for _, rec := range []bot.Record{hers, other} {
		id := rec.Patient.ID
		c := change(rec)
		c.Key = "in:" + id
		c.Entries = []bot.Entry{{At: t0, Kind: bot.EntryIn, By: "patient", Text: "hers"}}
		c.Rows = []bot.Row{{ID: id + "-r1", Service: service, Patient: id, State: bot.Closed, ClosedAt: t0}}
		c.Send = []bot.Outgoing{{ID: id + "-m1", Service: service, Patient: id, To: rec.Patient.Addresses[0], CreatedAt: t0, State: bot.OutPending}}
		must(t, s.Commit(ctx, c))
	}
	entry := bot.AuditEntry{At: t0, By: "lookout", Did: "erase", Patient: hers.Patient.ID}
	wantErr(t, s.Erase(ctx, hers.Patient.ID, 7, entry), bot.ErrConflict, "erase at another version")
	wantErr(t, s.Erase(ctx, "anytown-nobody", 1, entry), bot.ErrNotFound, "erase nobody")
	must(t, s.Erase(ctx, hers.Patient.ID, 1, entry))
	for _, rec := range []bot.Record{hers, other} {
		id, there := rec.Patient.ID, rec.Patient.ID == other.Patient.ID
		_, err := s.Load(ctx, id)
		_, rowErr := s.Row(ctx, id+"-r1")
		_, outErr := s.Outgoing(ctx, id+"-m1")
		for what, err := range map[string]error{"record": err, "row": rowErr, "message": outErr} {
			if there != (err == nil) {
				t.Errorf("%s of %s: %v", what, id, err)
			}
		}
		journal, err := s.Journal(ctx, id, 0, 0)
		must(t, err)
		at, err := s.PatientsAt(ctx, service, rec.Patient.Addresses[0])
		must(t, err)
		found, err := s.Find(ctx, service, rec.Patient.FamilyName, 10)
		must(t, err)
		if there != (len(journal) == 1) || there != (len(at) == 1) || there != (len(found) == 1) {
			t.Errorf("%s: %d entries, %d at her number, %d by her name", id, len(journal), len(at), len(found))
		}
	}
	all, err := s.AuditLog(ctx, 0, 10)
	must(t, err)
	if len(all) != 1 || all[0].Did != "erase" {
		t.Errorf("the audit: %+v, want the one erasure", all)
	}
}
