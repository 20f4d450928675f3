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

var _ Desk = (*Bot)(nil)

// Queue lists rows of this service; see [Store.Queue].
func (b *Bot) Queue(ctx context.Context, filter QueueFilter) ([]Row, error) {
	filter.Service = b.service.ID
	return b.store.Queue(ctx, filter)
}

// Count counts rows of this service; see [Store.Count].
func (b *Bot) Count(ctx context.Context, filter QueueFilter) (int, error) {
	filter.Service = b.service.ID
	return b.store.Count(ctx, filter)
}

// Row gives one row, closed ones too.
func (b *Bot) Row(ctx context.Context, id string) (Row, error) {
	row, err := b.store.Row(ctx, id)
	if err == nil && row.Service != b.service.ID {
		return Row{}, ErrNotFound
	}
	return row, err
}

// Case gives everything that the desk shows of one person.
func (b *Bot) Case(ctx context.Context, patient string) (Case, error) {
	rec, err := b.load(ctx, patient)
	if err != nil {
		return Case{}, err
	}
	c := Case{Patient: rec.Patient, Past: rec.Past, Weights: rec.Weights}
	c.Met = met(b.content.Criteria(), &rec, func(id string) string { x, _ := b.content.Lexicon().Concept(id); return x.Name }, b.now())
	c.Rows, err = b.store.Queue(ctx, QueueFilter{Patient: patient, States: []RowState{Open, Claimed, Snoozed, Closed}})
	if err != nil {
		return Case{}, err
	}
	slices.SortStableFunc(c.Rows, func(x, y Row) int { // closed ones last
		if (x.State == Closed) != (y.State == Closed) {
			if x.State == Closed {
				return 1
			}
			return -1
		}
		return 0
	})
	if c.Moments, err = b.moments(ctx, patient, 0, 0, nil); err != nil {
		return Case{}, err
	}
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	if rec.Talk.Active() {
		if t.pack, err = b.pack(ctx, rec.Talk.Pack); err != nil {
			return Case{}, err
		}
		if q := t.question(); q != nil {
			c.Talk = q.Prompt
		}
	}
	for _, a := range rec.Patient.Addresses {
		ids, err := b.store.PatientsAt(ctx, b.service.ID, a)
		if err != nil {
			return Case{}, err
		}
		for _, id := range ids {
			other, err := b.store.Load(ctx, id)
			if err != nil {
				return Case{}, err
			}
			if id != patient && other.Patient.Status != Stranger {
				c.Shares = append(c.Shares, other.Patient)
			}
		}
	}
	for _, w := range rec.Wakes {
		if w.Kind == WakePlan {
			c.NextPlan = w.Ref + " at " + clockWords(w.At.In(b.service.Location)) + " on " + dayWords(w.At.In(b.service.Location), "en-GB")
		}
	}
	return c, nil
}

// Patient gives who she is, without her journal. [ErrNotFound].
func (b *Bot) Patient(ctx context.Context, id string) (Patient, error) {
	rec, err := b.load(ctx, id)
	return rec.Patient, err
}

// load gives a record of this service only.
func (b *Bot) load(ctx context.Context, patient string) (Record, error) {
	rec, err := b.store.Load(ctx, patient)
	if err == nil && rec.Patient.Service != b.service.ID {
		return Record{}, ErrNotFound
	}
	return rec, err
}

// moments gives lines of her timeline, those that keep keeps (nil: all).
func (b *Bot) moments(ctx context.Context, patient string, after int64, limit int, keep func(Entry) bool) ([]Moment, error) {
	entries, err := b.store.Journal(ctx, patient, after, 0)
	if err != nil {
		return nil, err
	}
	var out []Moment
	for _, e := range entries {
		if keep != nil && !keep(e) {
			continue
		}
		m := Moment{Entry: e}
		if e.Kind == EntryOut && e.Ref != "" {
			o, err := b.store.Outgoing(ctx, e.Ref)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			m.Delivery, m.Code = o.State, o.Code
		}
		if out = append(out, m); limit > 0 && len(out) == limit {
			break
		}
	}
	return out, nil
}

// Find looks people up by name, NHS number, telephone number or birth date.
func (b *Bot) Find(ctx context.Context, query string, limit int) ([]Patient, error) {
	return b.store.Find(ctx, b.service.ID, query, limit)
}

// Say sends her a text from a nurse.
func (b *Bot) Say(ctx context.Context, s Saying) error {
	return b.turnOfHers(ctx, s.Patient, func(t *turn) error {
		if s.Row != "" {
			r := t.rowByID(s.Row)
			switch {
			case r == nil:
			case r.State == Claimed && r.ClaimedBy != s.By:
				return &HeldError{r.ClaimedBy, r.ClaimUntil}
			case s.Seen != 0 && s.Seen != r.Changed:
				return &StaleError{*r}
			case r.State == Claimed:
				t.changed(r, "", false)
				t.hold(r)
			}
		}
		return t.tell(s)
	})
}

// maxWords bounds a nurse's own text, in characters: four SMS.
const maxWords = 612

// tell queues a nurse's text. It is refused to somebody who has stopped texts or died.
func (t *turn) tell(s Saying) error {
	p := &t.rec.Patient
	switch {
	case s.By == "":
		return &FieldError{"by", "is missing: say who writes"}
	case p.Status == Stopped:
		return fmt.Errorf("%w: she has stopped texts; ring her instead", ErrRefused)
	case p.Status == Ended:
		return fmt.Errorf("%w: her follow-up has ended; no texts go to her", ErrRefused)
	case s.Channel != "" && !slices.ContainsFunc(p.Addresses, func(a Address) bool { return a.Channel == s.Channel }):
		return fmt.Errorf("%w: she cannot be reached that way", ErrRefused)
	case t.channel() == "":
		return fmt.Errorf("%w: no number is known for her; ring her instead", ErrRefused)
	}
	texts, err := t.words(s)
	for _, text := range texts {
		t.says = append(t.says, saying{text: text, id: s.TextID, priority: PriorityReply, by: s.By})
	}
	return err
}

// words are a saying's words as she will get them: an approved text in each of her
// languages, her nurse's own in the nurse's.
func (t *turn) words(s Saying) ([]string, error) {
	if s.TextID == "" {
		words := strings.TrimSpace(s.Words)
		if words == "" {
			return nil, &FieldError{"text", "is missing: write the text or choose one"}
		}
		if len([]rune(words)) > maxWords {
			return nil, &FieldError{"text", fmt.Sprintf("is too long: at most %d characters", maxWords)}
		}
		return []string{words}, nil
	}
	if !t.bot.content.HasText(s.TextID) {
		return nil, &FieldError{"text_id", "is not an approved text"}
	}
	var texts []string
	for _, locale := range spoken(t.rec.Patient.Locale) {
		text, err := t.render(t.bot.content, s.TextID, locale, s.Vars)
		if err != nil {
			return nil, &FieldError{"text_id", "cannot be filled in: " + err.Error()}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// Preview gives the words of a saying, as she would get them.
func (b *Bot) Preview(ctx context.Context, s Saying) (string, error) {
	rec, err := b.load(ctx, s.Patient)
	if err != nil {
		return "", err
	}
	t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content}
	texts, err := t.words(s)
	return strings.Join(texts, "\n\n"), err
}

// linkLives is how long a link to the chat opens it, once.
const linkLives = 7 * 24 * time.Hour

// NewLink makes a one-time link to her chat.
func (b *Bot) NewLink(ctx context.Context, patient string) (string, error) {
	return b.newLink(ctx, patient, "")
}

// newLink makes a link that leads to a sheet of hers, where to names one.
func (b *Bot) newLink(ctx context.Context, patient, to string) (string, error) {
	token, key := newToken()
	value, err := json.Marshal(map[string]string{"patient": patient, "to": to})
	if err != nil {
		return "", err
	}
	if err := b.store.PutValue(ctx, drawerLinks, key, value, b.now().Add(linkLives)); err != nil {
		return "", fmt.Errorf("keep the link: %w", err)
	}
	return b.linkBase + "/chat?k=" + token, nil
}

// SendLink texts her a one-time link to her chat, to her telephone, wherever she wrote last.
func (b *Bot) SendLink(ctx context.Context, patient, by string) error {
	return b.sendLink(ctx, patient, "", "link.chat", by)
}

// SendSheet texts her a one-time link to one of her sheets, to her telephone. The link
// asks who she is before it shows anything. [ErrNotFound]: it is none of hers.
func (b *Bot) SendSheet(ctx context.Context, patient, key, by string) error {
	if !slices.Contains(HerSheets, key) {
		return ErrNotFound
	}
	return b.sendLink(ctx, patient, key, "link.sheet", by)
}

func (b *Bot) sendLink(ctx context.Context, patient, to, text, by string) error {
	if _, err := b.load(ctx, patient); err != nil {
		return err
	}
	link, err := b.newLink(ctx, patient, to)
	if err != nil {
		return err
	}
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		t.unasked = true // to her telephone, though she may have written in the chat last
		return t.tell(Saying{Patient: patient, By: by, TextID: text, Vars: map[string]string{"link": link}})
	})
}

// Audit keeps who read or did what.
func (b *Bot) Audit(ctx context.Context, e AuditEntry) error { return b.AuditAll(ctx, []AuditEntry{e}) }

// AuditAll keeps several, all or none.
func (b *Bot) AuditAll(ctx context.Context, entries []AuditEntry) error {
	for i := range entries {
		if entries[i].At.IsZero() {
			entries[i].At = b.now()
		}
	}
	return b.store.Audit(ctx, entries...)
}

type auditKey struct{}

// Audited gives a context whose changes carry the entry in the same commit, so
// that no act is without the record of who did it. Time and patient are filled in.
func Audited(ctx context.Context, e AuditEntry) context.Context {
	return context.WithValue(ctx, auditKey{}, e)
}

// AuditLog reads what was kept, oldest first, with Seq above after.
func (b *Bot) AuditLog(ctx context.Context, after int64, limit int) ([]AuditEntry, error) {
	return b.store.AuditLog(ctx, after, limit)
}

// Seen says whether a change with this key was committed.
func (b *Bot) Seen(ctx context.Context, key string) (bool, error) { return b.store.Seen(ctx, key) }
