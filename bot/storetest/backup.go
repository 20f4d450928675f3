package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"lookout/bot"
)

// RunBackup holds two stores, of one kind or of two, to what [bot.Backup] and
// [bot.Restorer] promise.
func RunBackup(t *testing.T, from, to Harness) {
	s := open(t, from).(bot.Portable)
	fill(t, s)
	must(t, s.PutValue(ctx, "desk-session", "x", []byte("y"), time.Time{}))
	// While it is made, somebody writes: each of her changes has one entry.
	create(t, s, patient(900))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	wrote := sync.OnceFunc(func() { close(stop) })
	begun := make(chan struct{})
	go func() {
		begin := sync.OnceFunc(func() { close(begun) })
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			rec, err := s.Load(ctx, patient(900).Patient.ID)
			if err == nil {
				c := change(rec)
				c.Entries = []bot.Entry{{At: t0, Kind: bot.EntryNote, Text: "x"}}
				err = s.Commit(ctx, c)
			}
			begin()
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	<-begun
	var file bytes.Buffer
	made, err := bot.Backup(ctx, s, t0, &file, nil)
	wrote()
	must(t, errors.Join(err, <-stopped))
	if made.People != movedPeople+1 || made.Messages != 11*movedPeople || made.Audit != 600 || made.Values != 3 {
		t.Errorf("backed up %+v", made)
	}
	read, err := bot.ReadBackup(bytes.NewReader(file.Bytes()))
	must(t, err)
	if read.Made = (time.Time{}); read != made {
		t.Errorf("made %+v, read %+v", made, read)
	}

	target := open(t, to).(bot.Portable)
	r := &bot.Restorer{To: target, Open: func() (io.Reader, error) { return bytes.NewReader(file.Bytes()), nil }, Without: []string{"desk-session"}}
	restore := func(ctx context.Context) (bot.Backed, error) { return r.Restore(ctx) }
	for _, n := range []int{0, 20, file.Len() / 2, file.Len() - 3} {
		cut := *r
		cut.Open = func() (io.Reader, error) { return bytes.NewReader(file.Bytes()[:n]), nil }
		if _, err := cut.Restore(ctx); err == nil {
			t.Fatalf("of %d bytes it is restored", n)
		}
	}
	if ids, err := target.Everyone(ctx, "", 10); err != nil || len(ids) != 0 {
		t.Fatalf("a backup that was cut short has left %v, %v", ids, err)
	}
	short, cancel := context.WithCancel(ctx)
	r.Told = func(people int) { cancel() }
	if _, err := restore(short); err == nil {
		t.Fatal("cut short in writing, and no error")
	}
	if _, err := target.Value(ctx, "restore", "restore", t0); err != nil {
		t.Errorf("a store that is half filled does not say so: %v", err)
	}
	r.Told = nil
	done, err := restore(ctx)
	must(t, err)
	if done.People != made.People || done.Entries != made.Entries || done.Values != made.Values-1 || done.Audit != made.Audit {
		t.Errorf("restored %+v of %+v", done, made)
	}
	_, err = restore(ctx)
	wantErr(t, err, bot.ErrRefused, "into a store that is not empty")

	was, is := everything(t, s), everything(t, target)
	rec := load(t, target, patient(900).Patient.ID)
	entries, err := target.Journal(ctx, rec.Patient.ID, 0, 0)
	must(t, err)
	if rec.Version < 2 || int64(len(entries)) != rec.Version-1 {
		t.Errorf("who wrote meanwhile is at version %d with %d entries: her parts are of different moments", rec.Version, len(entries))
	}
	for _, all := range []map[string]any{was, is} {
		for id, x := range all {
			if w, ok := x.(bot.Whole); ok {
				for i := range w.Messages {
					if o := &w.Messages[i]; o.State == bot.OutPending || o.State == bot.OutSending {
						o.Unsettled = true // its carrier is asked
					}
				}
				all[id] = w
			}
		}
		delete(all, rec.Patient.ID)
		delete(all, "drawer desk-session")
		delete(all, "drawer restore")
	}
	wantSame(t, was, is)
	for _, o := range claim(t, target, t0.Add(2*time.Hour), 500) {
		if !o.Unsettled {
			t.Fatalf("%s goes without asking whether it went already", o.ID)
		}
	}
}
