package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the desk keeps beside the queue: who is looking at a row, and what somebody
// has begun to write about it. Both are found by the row's id, which begins with the
// patient's, so that they go with her.
const (
	drawerLooking = "looking" // key: row and user
	drawerDrafts  = "drafts"  // key: row and user; value: text by field
	drawerWriting = "writing" // key: patient; value: who writes to her now
)

// DrawerPush, with a patient's id behind it, is the drawer in which the chat keeps the
// devices that she wants to be told on.
const DrawerPush = "chat-push/"

// lookHolds is how long somebody counts as looking after her page has last said so.
const lookHolds = 90 * time.Second

// draftLives is how long something half written is kept.
const draftLives = 14 * 24 * time.Hour

// Look notes that somebody has a row on her screen.
func (b *Bot) Look(ctx context.Context, row, by string) error {
	r, err := b.Row(ctx, row)
	if err != nil {
		return err
	}
	_, before := b.store.Value(ctx, drawerLooking, row+" "+by, b.now())
	if before != nil && !errors.Is(before, ErrNotFound) {
		return before
	}
	if err := b.store.PutValue(ctx, drawerLooking, row+" "+by, []byte("1"), b.now().Add(lookHolds)); err != nil {
		return err
	}
	if before != nil { // she was not there before
		b.watchers.tell(Hint{Service: r.Service, Patient: r.Patient, Row: r.ID, Level: r.Level})
	}
	return nil
}

// Looking lists who has which row on her screen.
func (b *Bot) Looking(ctx context.Context) (map[string][]string, error) {
	values, err := b.store.Values(ctx, drawerLooking, b.now())
	if err != nil {
		return nil, err
	}
	out := make(map[string][]string)
	for key := range values {
		if row, by, ok := strings.Cut(key, " "); ok {
			out[row] = append(out[row], by)
		}
	}
	for _, who := range out {
		slices.Sort(who)
	}
	return out, nil
}

// Drafts gives what somebody has begun to write about a row, by field.
func (b *Bot) Drafts(ctx context.Context, row, by string) (map[string]string, error) {
	value, err := b.store.Value(ctx, drawerDrafts, row+" "+by, b.now())
	if errors.Is(err, ErrNotFound) {
		return map[string]string{}, nil
	}
	drafts := map[string]string{}
	if err == nil {
		err = json.Unmarshal(value, &drafts)
	}
	return drafts, err
}

// PutDraft keeps what somebody has begun to write; no text removes it.
func (b *Bot) PutDraft(ctx context.Context, row, by, field, text string) error {
	drafts, err := b.Drafts(ctx, row, by)
	if err != nil || drafts[field] == text {
		return err
	}
	if text == "" {
		delete(drafts, field)
	} else {
		drafts[field] = text
	}
	if field == draftToHer {
		if err := b.writing(ctx, row, by, text != ""); err != nil {
			return err
		}
	}
	if len(drafts) == 0 {
		return b.store.DeleteValue(ctx, drawerDrafts, row+" "+by)
	}
	value, err := json.Marshal(drafts)
	if err != nil {
		return err
	}
	return b.store.PutValue(ctx, drawerDrafts, row+" "+by, value, b.now().Add(draftLives))
}

// draftToHer is the field of what a nurse writes to her.
const draftToHer = "text"

// writingHolds is how long it is said that a nurse writes after her page has last said
// so, and writingAgain how soon that is told anew.
const (
	writingHolds = 10 * time.Second
	writingAgain = 4 * time.Second
)

// Writing is a nurse who writes to her just now.
type Writing struct {
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

// writing notes that the nurse who holds a row writes to her, or does so no more.
func (b *Bot) writing(ctx context.Context, row, by string, yes bool) error {
	r, err := b.Row(ctx, row)
	if err != nil || r.ClaimedBy != by {
		return err
	}
	was, err := b.writingTo(ctx, r.Patient)
	if err != nil {
		return err
	}
	if !yes {
		if was.By != by {
			return nil
		}
		if err := b.store.DeleteValue(ctx, drawerWriting, r.Patient); err != nil {
			return err
		}
		b.tell(Hint{Service: r.Service, Patient: r.Patient})
		return nil
	}
	until := b.now().Add(writingHolds)
	if was.By == by && until.Sub(was.Until) < writingAgain {
		return nil
	}
	value, err := json.Marshal(Writing{by, until})
	if err == nil {
		err = b.store.PutValue(ctx, drawerWriting, r.Patient, value, until)
	}
	if err == nil {
		b.tell(Hint{Service: r.Service, Patient: r.Patient})
	}
	return err
}

// writingTo gives who writes to her now; the zero Writing: nobody.
func (b *Bot) writingTo(ctx context.Context, patient string) (w Writing, err error) {
	value, err := b.store.Value(ctx, drawerWriting, patient, b.now())
	if errors.Is(err, ErrNotFound) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &w)
	}
	return w, err
}

// forget removes what the drawers keep of a patient who was erased.
func (b *Bot) forget(ctx context.Context, patient string) error {
	if err := b.store.DeleteValue(ctx, drawerWriting, patient); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	for _, drawer := range []string{drawerPhotos + patient, DrawerPush + patient} {
		hers, err := b.store.Values(ctx, drawer, b.now())
		if err != nil {
			return fmt.Errorf("forget: %w", err)
		}
		for name := range hers {
			if err := b.store.DeleteValue(ctx, drawer, name); err != nil {
				return fmt.Errorf("forget: %w", err)
			}
		}
	}
	for _, drawer := range []string{drawerLabelled, drawerDrafts, drawerLooking} {
		values, err := b.store.Values(ctx, drawer, b.now())
		if err != nil {
			return fmt.Errorf("forget: %w", err)
		}
		for key := range values {
			if strings.HasPrefix(key, patient+RowMark) {
				if err := b.store.DeleteValue(ctx, drawer, key); err != nil {
					return fmt.Errorf("forget: %w", err)
				}
			}
		}
	}
	return nil
}
