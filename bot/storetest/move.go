package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lookout/bot"
	"lookout/flows/triage"
)

// RunMove holds two stores, of one kind or of two, to what [bot.Move] promises.
func RunMove(t *testing.T, from, to Harness) {
	opened := func(t *testing.T, h Harness) bot.Portable {
		s, ok := open(t, h).(bot.Portable)
		if !ok {
			t.Fatal("the store is not portable")
		}
		return s
	}
	t.Run("Whole", func(t *testing.T) { movesWhole(t, opened(t, from), opened(t, to)) })
	t.Run("GoesOn", func(t *testing.T) { moveGoesOn(t, opened(t, from), opened(t, to)) })
	t.Run("NotOverOthers", func(t *testing.T) { movesNotOverOthers(t, opened(t, from), opened(t, to)) })
}

const movedPeople = 40

// fill makes people in every state that a move must bring over.
func fill(t *testing.T, s bot.Store) {
	t.Helper()
	shared := bot.Address{Channel: "sms", At: "+447700900999"}
	for i := movedPeople - 1; i >= 0; i-- { // later ids came first
		rec := patient(i)
		id := rec.Patient.ID
		if i%5 == 0 {
			rec.Patient.Addresses = append(rec.Patient.Addresses, shared)
		}
		rec.Heard = []bot.Heard{{At: t0.In(time.FixedZone("", 3600)), Text: "a\x00b ŵ"}}
		rec.Wakes = []bot.Wake{{Key: "plan", At: t0.Add(time.Duration(i) * time.Minute)}}
		c := change(rec)
		c.Key = "in:SM" + id
		for n := range 3 * i {
			c.Entries = append(c.Entries, bot.Entry{At: t0, Kind: bot.EntryNote, Text: fmt.Sprint(n)})
		}
		for n, state := range []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed} {
			r := row(i, triage.Level(1+(i+n)%4), time.Duration(i)*time.Hour, state)
			r.ID = fmt.Sprintf("%s-r%d", id, n+1)
			c.Rows = append(c.Rows, r)
		}
		for n := range 11 {
			c.Send = append(c.Send, bot.Outgoing{ID: fmt.Sprintf("%s-m%d", id, n+1), Service: service, Patient: id, To: to(fmt.Sprint(i%7, n)), Text: "x",
				Priority: bot.Priority(n % 4), CreatedAt: t0.Add(time.Duration(movedPeople-i) * time.Second), State: bot.OutPending})
		}
		c.Send[3].NotBefore = t0.Add(time.Hour)
		must(t, s.Commit(ctx, c))
		must(t, s.Commit(ctx, bot.Change{Base: 1, Record: rec, Key: "again:" + id}))
	}
	for i, o := range claim(t, s, t0, 60) {
		state := []bot.OutState{bot.OutSent, bot.OutFailed, bot.OutPending}[i%3]
		if i%4 == 0 {
			continue // still on its way
		}
		x := bot.Settlement{ID: o.ID, Fence: o.Fence, State: state, CarrierID: "C" + o.ID, Code: "30001", At: t0}
		if state == bot.OutPending {
			x.RetryAt, x.Unsettled = t0.Add(time.Hour), true
		}
		must(t, s.Settle(ctx, x))
	}
	must(t, s.PutValue(ctx, "users", "ann", []byte("a\x00\xff"), time.Time{}))
	must(t, s.PutValue(ctx, "sessions", "x", []byte("y"), t0.Add(time.Hour)))
	var entries []bot.AuditEntry
	for i := range 600 {
		entries = append(entries, bot.AuditEntry{At: t0, By: "ann", Did: fmt.Sprint(i), Patient: patient(i % movedPeople).Patient.ID})
	}
	for part := range slices.Chunk(entries, 7) {
		must(t, s.Audit(ctx, part...))
	}
}

func movesWhole(t *testing.T, from, to bot.Portable) {
	fill(t, from)
	m, err := bot.Move(ctx, from, to, nil)
	must(t, err)
	if m.People != movedPeople || m.Rows != 4*movedPeople || m.Messages != 11*movedPeople || m.Values != 2 || m.Audit != 600 || m.Digest == "" {
		t.Errorf("moved %+v", m)
	}
	shows := func(what string, show func(bot.Portable) (any, error)) {
		t.Helper()
		was, err := show(from)
		must(t, err)
		is, err := show(to)
		must(t, err)
		if diff := cmp.Diff(was, is, same); diff != "" {
			t.Errorf("%s differs (-from +to):\n%s", what, diff)
		}
	}
	shows("who is due", func(s bot.Portable) (any, error) { return s.Due(ctx, t0.Add(time.Hour), 25) })
	shows("the queue", func(s bot.Portable) (any, error) { return s.Queue(ctx, bot.QueueFilter{Limit: 30}) })
	shows("closed rows", func(s bot.Portable) (any, error) {
		return s.Queue(ctx, bot.QueueFilter{States: []bot.RowState{bot.Closed}, Limit: 30})
	})
	shows("the counts", func(s bot.Portable) (any, error) { return s.Stats(ctx, t0.Add(time.Minute)) })
	shows("a shared number", func(s bot.Portable) (any, error) {
		return s.PatientsAt(ctx, service, bot.Address{Channel: "sms", At: "+447700900999"})
	})
	shows("a search", func(s bot.Portable) (any, error) { return s.Find(ctx, service, "mary number1", 50) })
	shows("a search by words", func(s bot.Portable) (any, error) { // by day: who said it on the same is in no order
		ids, err := s.Said(ctx, service, []string{"hip"}, 50)
		slices.Sort(ids)
		return ids, err
	})
	shows("a record", func(s bot.Portable) (any, error) { return s.Load(ctx, patient(7).Patient.ID) })
	shows("a journal", func(s bot.Portable) (any, error) { return s.Journal(ctx, patient(39).Patient.ID, 60, 20) })
	// It goes on living: old keys count, versions and journals go on, claims too.
	id := patient(39).Patient.ID
	c := change(load(t, to, id))
	c.Key, c.Entries = "in:SM"+id, []bot.Entry{{Kind: bot.EntryNote, Text: "new"}}
	wantErr(t, to.Commit(ctx, c), bot.ErrDuplicate, "a key that was used before the move")
	c.Key = "new"
	must(t, to.Commit(ctx, c))
	if entries, err := to.Journal(ctx, id, 3*39, 0); err != nil || len(entries) != 1 || entries[0].Seq != 3*39+1 {
		t.Errorf("the next entry: %+v, %v", entries, err)
	}
	// The same messages go next, though not in one order among those made at one moment.
	next := func(s bot.Portable) []string {
		var ids []string
		for _, o := range claim(t, s, t0.Add(2*time.Hour), 500) {
			ids = append(ids, fmt.Sprint(o.ID, o.Priority, o.Unsettled, o.Attempts, o.Fence))
		}
		slices.Sort(ids)
		return ids
	}
	if diff := cmp.Diff(next(from), next(to)); diff != "" {
		t.Errorf("what leaves next differs (-from +to):\n%s", diff)
	}
}

// A move that was cut short goes on when it is begun again, and one that is begun
// once more changes nothing.
func moveGoesOn(t *testing.T, from, to bot.Portable) {
	fill(t, from)
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := bot.Move(short, from, to, func(people int) {
		if people == movedPeople/2 {
			cancel()
		}
	}); !errors.Is(err, bot.ErrUnavailable) {
		t.Fatalf("cut short: %v", err)
	}
	half, err := to.Everyone(ctx, "", 1000)
	must(t, err)
	if len(half) < movedPeople/2 || len(half) == movedPeople {
		t.Errorf("%d people after half a move", len(half))
	}
	first, err := bot.Move(ctx, from, to, nil)
	must(t, err)
	again, err := bot.Move(ctx, from, to, nil)
	must(t, err)
	if first != again || first.People != movedPeople {
		t.Errorf("moved %+v, and then %+v", first, again)
	}
	back, err := bot.Move(ctx, to, from, nil)
	must(t, err)
	if back != first {
		t.Errorf("moved back %+v, want what was moved over %+v", back, first)
	}
}

func movesNotOverOthers(t *testing.T, from, to bot.Portable) {
	rec := patient(1)
	create(t, from, rec)
	rec.Patient.FamilyName = "Somebody-Else"
	create(t, to, rec)
	_, err := bot.Move(ctx, from, to, nil)
	wantErr(t, err, bot.ErrConflict, "over another of the same id")
	if got := load(t, to, rec.Patient.ID); got.Patient.FamilyName != "Somebody-Else" {
		t.Error("she was overwritten")
	}
}
