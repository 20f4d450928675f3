package bot_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"lookout/bot"
)

// behind is a store of which two see at first that there is no key of photos.
type behind struct {
	bot.Store
	asked   atomic.Int64
	bothSaw chan struct{}
}

func (s *behind) Value(ctx context.Context, drawer, key string, now time.Time) ([]byte, error) {
	value, err := s.Store.Value(ctx, drawer, key, now)
	if drawer == "keys" && key == "photos" && err != nil {
		if s.asked.Add(1) == 2 {
			close(s.bothSaw)
		}
		<-s.bothSaw
	}
	return value, err
}

// Two first photos at the same moment are sealed with one key: each opens later.
func TestTwoFirstPhotosHaveOneKey(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	store := &behind{Store: newStore(t), bothSaw: make(chan struct{})}
	b, _ := botOn(t, store, &at, nil)
	her, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	kept := make(chan error, 2)
	for _, name := range []string{"one", "two"} {
		go func() {
			_, err := b.KeepPhoto(t.Context(), her.ID, name, []byte(name), "image/jpeg")
			kept <- err
		}()
	}
	for range 2 {
		if err := <-kept; err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"one", "two"} {
		if photo, err := b.Photo(t.Context(), her.ID, name); err != nil || string(photo) != name {
			t.Errorf("photo %s: %q, %v", name, photo, err)
		}
	}
}
