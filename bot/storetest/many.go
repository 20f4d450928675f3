package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// Here are the promises that only show with many patients, callers or messages:
// a store that keeps patients apart from each other must keep them too.

// One carrier's message may be read as the message of any who share a telephone:
// of many who try at once, one has it, and the others hear that it was done.
func oneKeyForOnePatient(t *testing.T, h Harness) {
	s := open(t, h)
	const callers, keys = 8, 12
	for k := range keys {
		key := fmt.Sprintf("in:SM%d", k)
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				c := change(patient(100*k + i))
				c.Key, c.Entries = key, []bot.Entry{{Kind: bot.EntryIn, Text: "hers"}}
				errs[i] = s.Commit(ctx, c)
			})
		}
		wg.Wait()
		kept := 0
		for i, err := range errs {
			entries, e := s.Journal(ctx, patient(100*k+i).Patient.ID, 0, 0)
			must(t, e)
			switch {
			case err == nil && len(entries) == 1:
				kept++
			case !errors.Is(err, bot.ErrDuplicate) || len(entries) != 0:
				t.Errorf("caller %d: %v with %d entries, want ErrDuplicate and nothing kept", i, err, len(entries))
			}
		}
		if kept != 1 {
			t.Errorf("%d of %d callers have %s, want one", kept, callers, key)
		}
		if seen, err := s.Seen(ctx, key); err != nil || !seen {
			t.Errorf("Seen(%s) = %v, %v", key, seen, err)
		}
	}
}

// A change that was refused has not used its key up, for her or for another.
func aRefusedChangeLeavesItsKey(t *testing.T, h Harness) {
	s := open(t, h)
	one, two := create(t, s, patient(1)), create(t, s, patient(2))
	must(t, s.Commit(ctx, change(one)))
	stale := change(one)
	stale.Key = "in:SM1"
	wantErr(t, s.Commit(ctx, stale), bot.ErrConflict, "a stale change")
	other := change(two)
	other.Key = "in:SM1"
	must(t, s.Commit(ctx, other))
	again := change(load(t, s, one.Patient.ID))
	again.Key = "in:SM1"
	wantErr(t, s.Commit(ctx, again), bot.ErrDuplicate, "the first, after the other has it")
}

func onlyWhatIsHers(t *testing.T, h Harness) {
	s := open(t, h)
	rec := create(t, s, patient(1))
	id := rec.Patient.ID
	for what, fill := range map[string]func(*bot.Change){
		"no patient":        func(c *bot.Change) { c.Record.Patient.ID = "" },
		"another's row":     func(c *bot.Change) { c.Rows = []bot.Row{{ID: patient(2).Patient.ID + "-r1"}} },
		"a row of no form":  func(c *bot.Change) { c.Rows = []bot.Row{{ID: id + "-row"}} },
		"another's message": func(c *bot.Change) { c.Send = []bot.Outgoing{{ID: id + "1-m1"}} },
		"a padded number":   func(c *bot.Change) { c.Send = []bot.Outgoing{{ID: id + "-m01"}} },
		"another's cancel":  func(c *bot.Change) { c.Cancel = []string{patient(2).Patient.ID + "-m1"} },
	} {
		c := change(rec)
		fill(&c)
		wantErr(t, s.Commit(ctx, c), bot.ErrInvalid, what)
	}
	if got := load(t, s, id); got.Version != 1 {
		t.Errorf("version %d after refused changes", got.Version)
	}
}

func aSharedNumberKeepsItsOrder(t *testing.T, h Harness) {
	s := open(t, h)
	shared := bot.Address{Channel: "sms", At: "+447700900500"}
	var want []string
	for i := range 6 {
		rec := patient(i)
		rec.Patient.Addresses = append(rec.Patient.Addresses, shared)
		create(t, s, rec)
		want = append(want, rec.Patient.ID)
	}
	at := func() []string {
		ids, err := s.PatientsAt(ctx, service, shared)
		must(t, err)
		return ids
	}
	if got := at(); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	first := load(t, s, want[0])
	first.Patient.FamilyName = "Renamed"
	first.Patient.Addresses = append(first.Patient.Addresses, bot.Address{Channel: "chat", At: "x"})
	must(t, s.Commit(ctx, change(first)))
	if got := at(); !slices.Equal(got, want) {
		t.Errorf("after one was renamed: %v, want %v", got, want)
	}
	first = load(t, s, want[0])
	first.Patient.Addresses = nil
	must(t, s.Commit(ctx, change(first)))
	if got := at(); !slices.Equal(got, want[1:]) {
		t.Errorf("after the first gave it up: %v, want %v", got, want[1:])
	}
	first = load(t, s, want[0])
	first.Patient.Addresses = []bot.Address{shared}
	must(t, s.Commit(ctx, change(first)))
	if got, want := at(), append(want[1:], want[0]); !slices.Equal(got, want) {
		t.Errorf("after she took it up again: %v, want %v", got, want)
	}
}

// Messages of many patients go to few telephones (the nurse's on duty): whoever
// claims, one is on its way to a telephone at a time, and each goes once.
func oneOnItsWayToATelephone(t *testing.T, h Harness) {
	s := open(t, h)
	const messages, telephones = 36, 3
	var list []bot.Outgoing
	for i := range messages {
		list = append(list, bot.Outgoing{To: to(fmt.Sprint(i % telephones)), Priority: bot.PriorityPage})
	}
	outbox(t, s, list...)
	var mu sync.Mutex
	onTheWay, gone := map[string]int{}, map[string]int{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				batch, err := s.ClaimOutgoing(ctx, "sms", t0, time.Minute, 4)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, o := range batch {
					onTheWay[o.To.At]++
					gone[o.ID]++
					if onTheWay[o.To.At] > 1 {
						t.Errorf("%d messages on their way to %s at once", onTheWay[o.To.At], o.To.At)
					}
				}
				all := len(gone) == messages
				for _, o := range batch {
					onTheWay[o.To.At]--
				}
				mu.Unlock()
				for _, o := range batch {
					if err := s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C" + o.ID, At: t0}); err != nil {
						t.Error(err)
					}
				}
				if all || t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	for id, n := range gone {
		if n != 1 {
			t.Errorf("%s went %d times", id, n)
		}
	}
}

// The word that a message has arrived, or will not, makes way for the next to
// the same telephone, though its sender never settled it.
func aReceiptMakesWay(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s, bot.Outgoing{To: to("a")}, bot.Outgoing{To: to("a")})
	first := claim(t, s, t0, 5)
	if got, want := idsOf(first), []string{"m0"}; !slices.Equal(got, want) {
		t.Fatalf("claimed %v, want %v", got, want)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: first[0].ID, State: bot.OutDelivered, CarrierID: "C1", At: t0}))
	if got, want := idsOf(claim(t, s, t0, 5)), []string{"m1"}; !slices.Equal(got, want) {
		t.Errorf("after the receipt: claimed %v, want %v", got, want)
	}
	// The sender's own word comes late: it does not move the message back.
	must(t, s.Settle(ctx, bot.Settlement{ID: first[0].ID, Fence: first[0].Fence, State: bot.OutPending, RetryAt: t0, At: t0}))
	if o, err := s.Outgoing(ctx, first[0].ID); err != nil || o.State != bot.OutDelivered {
		t.Errorf("a delivered message became %s, %v", o.State, err)
	}
}

func aRetryKeepsItsPlace(t *testing.T, h Harness) {
	s := open(t, h)
	outbox(t, s, bot.Outgoing{To: to("a")}, bot.Outgoing{To: to("a")}, bot.Outgoing{To: to("b"), Priority: bot.PriorityPlanned})
	first := claim(t, s, t0, 1)[0]
	must(t, s.Settle(ctx, bot.Settlement{ID: first.ID, Fence: first.Fence, State: bot.OutPending, RetryAt: t0.Add(time.Hour), At: t0}))
	second := claim(t, s, t0, 1)
	if got, want := idsOf(second), []string{"m1"}; !slices.Equal(got, want) {
		t.Fatalf("while the first waits: %v, want %v", got, want)
	}
	must(t, s.Settle(ctx, bot.Settlement{ID: second[0].ID, Fence: second[0].Fence, State: bot.OutPending, RetryAt: t0.Add(time.Minute), At: t0}))
	if got, want := idsOf(claim(t, s, t0.Add(time.Hour), 5)), []string{"m0", "m2"}; !slices.Equal(got, want) {
		t.Errorf("when both are due again: %v, want %v, the older first", got, want)
	}
}

// A limit takes the first of all, not the first of some.
func limitsTakeTheFirstOfAll(t *testing.T, h Harness) {
	s := open(t, h)
	const people = 60
	id := func(n int) string { return patient(n).Patient.ID }
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			rec := patient(i)
			rec.Wakes = []bot.Wake{{Key: "plan", At: t0.Add(time.Duration(i) * time.Second)}}
			c := change(rec)
			c.Rows = []bot.Row{row(i, triage.Soon, time.Duration(people-i)*time.Minute, bot.Open), row(i, triage.Urgent, 0, bot.Closed)}
			c.Rows[1].ID = rec.Patient.ID + "-r2"
			if err := s.Commit(ctx, c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, limit := range []int{1, 7, 25, 59, 60, 200} {
		n := min(limit, people)
		var want, wantRows, wantClosed []string
		for i := range n {
			want = append(want, id(i))
			wantRows = append(wantRows, id(people-1-i)+"-r1")
			wantClosed = append(wantClosed, id(people-1-i)+"-r2")
		}
		due, err := s.Due(ctx, t0.Add(time.Hour), limit)
		must(t, err)
		if got := names(due, func(d bot.Due) string { return d.Patient }); !slices.Equal(got, want) {
			t.Errorf("due, at most %d: %v", limit, got)
		}
		rowID := func(r bot.Row) string { return r.ID }
		rows, err := s.Queue(ctx, bot.QueueFilter{Service: service, Limit: limit})
		must(t, err)
		if got := names(rows, rowID); !slices.Equal(got, wantRows) {
			t.Errorf("open rows, at most %d: %v", limit, got)
		}
		rows, err = s.Queue(ctx, bot.QueueFilter{Service: service, States: []bot.RowState{bot.Closed}, Limit: limit})
		must(t, err)
		if got := names(rows, rowID); !slices.Equal(got, wantClosed) {
			t.Errorf("closed rows, at most %d: %v", limit, got)
		}
	}
	found, err := s.Find(ctx, service, "mary number5", 4)
	must(t, err)
	if len(found) != 4 {
		t.Errorf("found %d people by two words, at most 4 of 11", len(found))
	}
}

func names[T any](list []T, name func(T) string) (out []string) {
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// A row that is opened again stands in the queue again, and only there.
func aRowMayOpenAgain(t *testing.T, h Harness) {
	s := open(t, h)
	r := row(1, triage.Soon, time.Hour, bot.Open)
	rec := patient(1)
	for _, state := range []bot.RowState{bot.Open, bot.Closed, bot.Snoozed, bot.Claimed, bot.Closed, bot.Open} {
		r.State = state
		c := change(rec)
		c.Rows = []bot.Row{r}
		must(t, s.Commit(ctx, c))
		rec = load(t, s, rec.Patient.ID)
		if live := state != bot.Closed; live != (len(rec.Rows) == 1) {
			t.Errorf("%s: %d rows come with the record", state, len(rec.Rows))
		}
		for _, listed := range []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed} {
			for _, of := range []string{"", rec.Patient.ID} {
				rows, err := s.Queue(ctx, bot.QueueFilter{Service: service, States: []bot.RowState{listed}, Patient: of})
				must(t, err)
				if (len(rows) == 1) != (listed == state) {
					t.Errorf("a row that is %s stands %d times among the %s ones", state, len(rows), listed)
				}
			}
		}
	}
}

// After an erasure her number, her carrier's ids and her own id are free again.
func erasedMayBeginAnew(t *testing.T, h Harness) {
	s := open(t, h)
	rec := patient(1)
	id := rec.Patient.ID
	c := change(rec)
	c.Key, c.Entries = "in:SM1", []bot.Entry{{Kind: bot.EntryIn, Text: "hers"}}
	c.Rows = []bot.Row{row(1, triage.Soon, 0, bot.Open)}
	c.Record.Wakes = []bot.Wake{{Key: "plan", At: t0}}
	c.Send = []bot.Outgoing{
		{ID: id + "-m1", Service: service, Patient: id, To: rec.Patient.Addresses[0], CreatedAt: t0, State: bot.OutPending},
		{ID: id + "-m2", Service: service, Patient: id, To: rec.Patient.Addresses[0], CreatedAt: t0, State: bot.OutPending},
	}
	must(t, s.Commit(ctx, c))
	o := claim(t, s, t0, 1)[0]
	must(t, s.Settle(ctx, bot.Settlement{ID: o.ID, Fence: o.Fence, State: bot.OutSent, CarrierID: "C1", At: t0}))
	must(t, s.Erase(ctx, id, 1, bot.AuditEntry{At: t0, Did: "erase"}))
	_, err := s.OutgoingByCarrier(ctx, "C1")
	wantErr(t, err, bot.ErrNotFound, "her message by the carrier's id")
	if got := claim(t, s, t0, 5); len(got) != 0 {
		t.Errorf("a message of somebody erased was claimed: %v", idsOf(got))
	}
	if due, err := s.Due(ctx, t0, 5); err != nil || len(due) != 0 {
		t.Errorf("due after the erasure: %v, %v", due, err)
	}
	if rows, err := s.Queue(ctx, bot.QueueFilter{}); err != nil || len(rows) != 0 {
		t.Errorf("rows after the erasure: %v, %v", rows, err)
	}
	if people, err := s.Patients(ctx, service, "", 5); err != nil || len(people) != 0 {
		t.Errorf("people after the erasure: %v, %v", people, err)
	}
	if st, err := s.Stats(ctx, t0); err != nil || st.Patients != 0 || st.Outgoing != 0 || st.WakesDue != 0 {
		t.Errorf("counts after the erasure: %+v, %v", st, err)
	}
	c.Send, c.Rows, c.Key = nil, nil, "in:SM2"
	must(t, s.Commit(ctx, c))
	if got := load(t, s, id); got.Version != 1 || len(got.Rows) != 0 {
		t.Errorf("begun anew: version %d with %d rows", got.Version, len(got.Rows))
	}
	if entries, err := s.Journal(ctx, id, 0, 0); err != nil || len(entries) != 1 || entries[0].Seq != 1 {
		t.Errorf("her new journal: %+v, %v", entries, err)
	}
	if at, err := s.PatientsAt(ctx, service, rec.Patient.Addresses[0]); err != nil || !slices.Equal(at, []string{id}) {
		t.Errorf("at her number: %v, %v", at, err)
	}
}

func valuesAreBytes(t *testing.T, h Harness) {
	s := open(t, h)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, key := range []string{"", "a:b", "a b\x00c", "{x}", "ŵ"} {
		must(t, s.PutValue(ctx, "drawer of\x00bytes", key, all, t0.Add(time.Hour)))
		v, err := s.Value(ctx, "drawer of\x00bytes", key, t0)
		must(t, err)
		if !slices.Equal(v, all) {
			t.Errorf("under %q: %d bytes came back changed", key, len(v))
		}
	}
	if values, err := s.Values(ctx, "drawer of\x00bytes", t0); err != nil || len(values) != 5 || !slices.Equal(values["{x}"], all) {
		t.Errorf("%d values, %v", len(values), err)
	}
	if n, err := s.Sweep(ctx, t0.Add(2*time.Hour)); err != nil || n != 5 {
		t.Errorf("swept %d, %v", n, err)
	}
	if values, err := s.Values(ctx, "drawer of\x00bytes", t0); err != nil || len(values) != 0 {
		t.Errorf("%d values after the sweep, %v", len(values), err)
	}
}
