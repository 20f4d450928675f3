package bot

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// drawerErasing holds the ids of people who are being erased, from before until all
// of it is done: an erasure that was cut short is finished by the next.
const drawerErasing = "erasing"

// retainPage is how many people are looked at between two loads of the list.
const retainPage = 200

// Retain erases whoever lookout may no longer hold: people who have ended,
// stopped, or were never known (strangers), with no row that is not closed, of
// whom the journal has been silent for Service.KeepYears. How long is a decision
// of the service's records manager; 0, the default, erases nobody. What is left
// is one audit entry with the id, which says nothing of who she was.
//
// It is safe to repeat, and gives how many it erased.
func (b *Bot) Retain(ctx context.Context) (int, error) {
	if b.service.KeepYears <= 0 {
		return 0, nil
	}
	if err := b.finishErasing(ctx); err != nil {
		return 0, err
	}
	limit := b.now().AddDate(-b.service.KeepYears, 0, 0)
	erased, after := 0, ""
	for {
		people, err := b.store.Patients(ctx, b.service.ID, after, retainPage)
		if err != nil {
			return erased, fmt.Errorf("retention: %w", err)
		}
		for _, p := range people {
			after = p.ID
			if p.Status != Ended && p.Status != Stopped && p.Status != Stranger {
				continue
			}
			rec, err := b.store.Load(ctx, p.ID)
			if err != nil {
				return erased, fmt.Errorf("retention: %w", err)
			}
			if rec.Patient.Status != p.Status || len(rec.Rows) > 0 {
				continue
			}
			last, err := b.store.Journal(ctx, p.ID, 0, 0)
			if err != nil {
				return erased, fmt.Errorf("retention: %w", err)
			}
			if len(last) > 0 && last[len(last)-1].At.After(limit) {
				continue
			}
			entry := AuditEntry{At: b.now(), By: "lookout", Did: "erase patient: kept for long enough", Patient: p.ID}
			if err := b.store.PutValue(ctx, drawerErasing, p.ID, []byte("1"), time.Time{}); err != nil {
				return erased, fmt.Errorf("retention: %w", err)
			}
			switch err := b.store.Erase(ctx, p.ID, rec.Version, entry); {
			case err == nil:
				if err := b.forgotten(ctx, p.ID); err != nil {
					return erased, err
				}
				erased++
			case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
				// She has written just now, or another process was faster.
				if err := b.finishErasing(ctx); err != nil {
					return erased, err
				}
			default:
				return erased, fmt.Errorf("retention: %w", err)
			}
		}
		if len(people) < retainPage {
			return erased, nil
		}
	}
}

// finishErasing does what erasures that were cut short have left to do.
func (b *Bot) finishErasing(ctx context.Context) error {
	begun, err := b.store.Values(ctx, drawerErasing, b.now())
	if err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	for id := range begun {
		switch _, err := b.store.Load(ctx, id); {
		case errors.Is(err, ErrNotFound):
			if err := b.forgotten(ctx, id); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("retention: %w", err)
		default: // she is still there: the erasure was not carried out
			if err := b.store.DeleteValue(ctx, drawerErasing, id); err != nil {
				return fmt.Errorf("retention: %w", err)
			}
		}
	}
	return nil
}

// forgotten removes what the drawers keep of somebody who was erased.
func (b *Bot) forgotten(ctx context.Context, patient string) error {
	err := b.forget(ctx, patient)
	if err == nil {
		err = b.store.DeleteValue(ctx, drawerErasing, patient)
	}
	if err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	return nil
}
