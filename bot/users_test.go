package bot_test

import (
	"errors"
	"testing"
	"time"

	"lookout/bot"
)

// An administrator blocks a nurse while she changes her password: both changes are kept,
// whichever was begun first.
func TestNoChangeOfAUserIsLost(t *testing.T) {
	w := newWard(t)
	const ann = "ann@example.org"
	read := must[bot.User](w)(w.User(t.Context(), ann))
	calls := 0
	u := must[bot.User](w)(w.ChangeUser(t.Context(), ann, func(u *bot.User) error {
		if calls++; calls == 1 { // between her reading and her writing
			must[bot.User](w)(w.ChangeUser(t.Context(), ann, func(u *bot.User) error { u.Disabled = true; return nil }))
		}
		u.Password = "new"
		return nil
	}))
	if kept := must[bot.User](w)(w.User(t.Context(), ann)); !kept.Disabled || kept.Password != "new" || !u.Disabled || calls != 2 {
		t.Errorf("kept %+v after %d tries", kept, calls)
	}
	// Who was read before cannot be put back over it, nor made as if she were new.
	for name, x := range map[string]bot.User{"as she was read": read, "as if she were new": {Email: ann, Name: "Ann", Role: bot.Nurse}} {
		if err := w.PutUser(t.Context(), x); !errors.Is(err, bot.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if kept := must[bot.User](w)(w.User(t.Context(), ann)); !kept.Disabled || kept.Password != "new" {
		t.Errorf("then %+v", kept)
	}
	// An error of the change changes nothing, and what was given back can be put.
	if _, err := w.ChangeUser(t.Context(), ann, func(u *bot.User) error { u.Name = "x"; return bot.ErrRefused }); !errors.Is(err, bot.ErrRefused) {
		t.Error(err)
	}
	if u.Name = "Ann Price"; w.PutUser(t.Context(), u) != nil {
		t.Error("she cannot be changed as she was given back")
	}
}

// A user that an earlier release has kept is read, and changed by the same rule.
func TestAUserFromBeforeIsChanged(t *testing.T) {
	at, store := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), newStore(t)
	b, team := botOn(t, store, &at, nil)
	w := &ward{T: t, Bot: b}
	if err := store.PutValue(t.Context(), "users", "old@example.org", []byte(`{"email":"old@example.org","name":"Old","role":"nurse","service":"`+team.ID+`","password":"p","created":"2026-01-02T00:00:00Z"}`), time.Time{}); err != nil {
		t.Fatal(err)
	}
	u := must[bot.User](w)(w.User(t.Context(), "old@example.org"))
	must[bot.User](w)(w.ChangeUser(t.Context(), "old@example.org", func(u *bot.User) error { u.Disabled = true; return nil }))
	if err := w.PutUser(t.Context(), u); !errors.Is(err, bot.ErrConflict) {
		t.Error(err)
	}
	if u = must[bot.User](w)(w.User(t.Context(), "old@example.org")); !u.Disabled || u.Password != "p" {
		t.Errorf("%+v", u)
	}
}
