package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// turn is one event's work on one patient: the record as it was loaded, and the
// change that grows from it.
type turn struct {
	bot    *Bot
	ctx    context.Context
	now    time.Time
	rec    *Record
	change Change
	pack   *content.Pack // of the open talk, or the current one
	hints  []Hint
	says   []saying // texts to her, in order, that are not put into messages yet
	via    string   // the channel that they go by; "": see channel
	span   string   // of this turn, for the messages that it makes
	// unasked says that we begin: what is said now is not an answer to her.
	unasked bool
	// answering says by which message each question of a form was answered.
	answering map[string]string
	sent      string         // what came with her words, like "a photo"
	released  int            // rows to be expected of what this turn sends, in thousandths
	soon      []content.Item // of her plan, as it was first asked for in this turn
	ruled     *rules         // when unasked texts may go to her; made when it is asked for
}

// saying is one text to her.
type saying struct {
	text, id string
	locale   string
	priority Priority
	by       string
	notAfter time.Time
}

// maxTries bounds how often a turn is taken again on a conflict. Each conflict
// means that another turn of the same patient was committed, so somebody got on.
const maxTries = 25

// errNothing ends a turn that has nothing to commit.
var errNothing = errors.New("nothing to do")

// turn loads a patient, lets decide fill the change, and commits it, taking the
// turn again when the record has moved on. create makes the record of somebody
// who is not there; nil: ErrNotFound. A duplicate is success.
func (b *Bot) turn(ctx context.Context, patient, key string, create func() Record, decide func(*turn) error) error {
	return b.turnOn(ctx, patient, nil, key, create, decide)
}

// turnOfHers is the turn of an act on somebody whose id a door was given: one of another
// service is not there.
func (b *Bot) turnOfHers(ctx context.Context, patient string, decide func(*turn) error) error {
	return b.turn(ctx, patient, "", nil, func(t *turn) error {
		if !t.ofOurs() {
			return ErrNotFound
		}
		return decide(t)
	})
}

// ofOurs says whether it is the turn of somebody of this service.
func (t *turn) ofOurs() bool { return t.rec.Patient.Service == t.bot.service.ID }

// turnOn is a turn that begins on a record as it was just read; nil: it loads her.
func (b *Bot) turnOn(ctx context.Context, patient string, read *Record, key string, create func() Record, decide func(*turn) error) (err error) {
	ctx, span := b.span(ctx, "turn")
	tag(span, "event", eventOf(key))
	defer func() { done(span, err) }()
	for try := range maxTries {
		count(span, "tries", try+1)
		var rec Record
		var err error
		if read != nil {
			rec, read = *read, nil
		} else {
			rec, err = b.store.Load(ctx, patient)
		}
		if errors.Is(err, ErrNotFound) && create != nil {
			rec, err = create(), nil
		}
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		t := &turn{bot: b, ctx: ctx, now: b.now(), rec: &rec, pack: b.content, span: spanOf(span)}
		t.change = Change{Key: key, Base: rec.Version}
		if rec.Talk.Active() && rec.Talk.Pack != b.content.Digest() {
			if t.pack, err = b.pack(ctx, rec.Talk.Pack); errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return fmt.Errorf("load: %w", err) // it is not lost: whoever brings the event tries again
			} else if err != nil {
				// Her words count more than the talk: it ends, and a nurse reads on.
				t.pack = b.content
				t.endTalk("broken: its content is lost")
			}
		}
		if e, ok := ctx.Value(auditKey{}).(AuditEntry); ok {
			e.At, e.Patient = b.now(), patient
			t.change.Audit = append(t.change.Audit, e)
		}
		if err := decide(t); errors.Is(err, errNothing) {
			return b.store.Audit(ctx, t.change.Audit...)
		} else if err != nil {
			return err
		}
		t.flush()
		t.change.Record = rec
		committing, commit := b.span(ctx, "commit")
		err = b.store.Commit(committing, t.change)
		done(commit, err)
		switch {
		case err == nil:
			b.after(t)
			return nil
		case errors.Is(err, ErrDuplicate):
			return nil
		case errors.Is(err, ErrConflict):
			continue
		default:
			return fmt.Errorf("commit: %w", err)
		}
	}
	return fmt.Errorf("commit: %w: the record changed %d times in a row", ErrUnavailable, maxTries)
}

// after tells whoever watches, and the deliverer, that there is something new.
func (b *Bot) after(t *turn) {
	b.spread.sent.Add(int64(t.released))
	if len(t.hints) == 0 {
		t.hints = []Hint{{Service: b.service.ID, Patient: t.rec.Patient.ID}}
	}
	for _, hint := range t.hints {
		b.tell(hint)
	}
	if len(t.change.Send) > 0 {
		b.kick(t.change.Send)
	}
}

// entry adds a line to her journal.
func (t *turn) entry(e Entry) {
	if e.At.IsZero() {
		e.At = t.now
	}
	if e.By == "" {
		e.By = "lookout"
	}
	if e.Pack == "" && (e.Reading != nil || e.TextID != "") {
		e.Pack = t.pack.Digest()
	}
	t.change.Entries = append(t.change.Entries, e)
}

// say queues an approved text to her. What cannot be rendered is a fault of the
// content that its check should have found: she still gets nothing wrong, and
// the nurse is told by the journal.
func (t *turn) say(id string, vars map[string]string, priority Priority) {
	if t.unasked && priority == PriorityReply {
		priority = PriorityPlanned
	}
	t.sayFrom(t.pack, id, priority, func(string) map[string]string { return vars })
}

// sayFrom queues a text of a pack, in each of her languages; vars gives the values
// for one.
func (t *turn) sayFrom(pack *content.Pack, id string, priority Priority, vars func(locale string) map[string]string) {
	for _, locale := range spoken(t.rec.Patient.Locale) {
		text, err := t.render(pack, id, locale, vars(locale))
		if err != nil {
			t.entry(Entry{Kind: EntryOut, TextID: id, Why: "not sent: the text could not be made: " + err.Error()})
			t.bot.log.ErrorContext(t.ctx, "text could not be made", "text", id, "patient", t.rec.Patient.ID)
			return
		}
		t.says = append(t.says, saying{text: text, id: id, locale: locale, priority: priority})
	}
}

// spoken are the languages of her texts. Two never stand in one message.
func spoken(locale string) []string {
	if locale == localeBoth {
		return []string{"en-GB", "cy"}
	}
	return []string{locale}
}

// variant is the text for a hospital to which she cannot come straight back, where
// there is one: there the same answers lead to her GP.
func (b *Bot) variant(pack *content.Pack, id string) string {
	if gp := id + content.GPVariant; !b.service.OpenAccess && pack.HasText(gp) {
		return gp
	}
	return id
}

// render fills a text for her, with the service's own values beside vars.
func (t *turn) render(pack *content.Pack, id, locale string, vars map[string]string) (string, error) {
	p := &t.rec.Patient
	all := t.bot.vars(p)
	for k, v := range vars {
		all[k] = v
	}
	id = t.bot.variant(pack, id)
	if !pack.HasText(id) { // it was not there yet when the talk began
		pack = t.bot.content
		id = t.bot.variant(pack, id)
	}
	t.stands(all, pack, id, locale)
	return pack.Text(id, locale, t.channel(), all)
}

// channel is where she is spoken to: an answer goes to where she wrote last; what
// we begin goes to the first address that she has, which reaches her anywhere.
func (t *turn) channel() string {
	p := &t.rec.Patient
	if t.via != "" {
		return t.via
	}
	if _, ok := p.Address(p.Channel); ok && !t.unasked {
		return p.Channel
	}
	for _, a := range p.Addresses {
		if !t.rec.Reach[a.Channel].lost() {
			return a.Channel
		}
	}
	if len(p.Addresses) > 0 {
		return p.Addresses[0].Channel
	}
	return ""
}

// flush turns what was said into outgoing messages.
func (t *turn) flush() {
	if len(t.says) == 0 {
		return
	}
	p := &t.rec.Patient
	to, ok := p.Address(t.channel())
	if !ok {
		for _, s := range t.says {
			t.entry(Entry{Kind: EntryOut, TextID: s.id, Text: s.text, Why: "not sent: no address is known"})
		}
		t.says = nil
		return
	}
	join := 0
	if o := t.bot.outlets[to.Channel]; o != nil {
		join = o.JoinUpTo
	}
	var last *Outgoing
	locale := "" // of the last
	for _, s := range t.says {
		if t.full(s) {
			continue
		}
		// A text of safety stands alone; others to the same person may share a message.
		if last != nil && locale == s.locale && last.Priority == s.priority && s.priority > PriorityEmergency && s.by == "" &&
			len(last.Text)+1+len(s.text) <= join {
			last.Text += "\n" + s.text
			last.TextID += " " + s.id
			e := &t.change.Entries[len(t.change.Entries)-1]
			e.Text, e.TextID = last.Text, last.TextID
			continue
		}
		out := t.outgoing(to, s.text, s.priority)
		out.TextID, out.NotAfter = s.id, s.notAfter
		if out.Priority == PriorityPlanned {
			t.rec.LastOut, t.rec.LastPlanned = t.now, out.ID
		}
		t.change.Send = append(t.change.Send, out)
		last, locale = &t.change.Send[len(t.change.Send)-1], s.locale
		t.entry(Entry{Kind: EntryOut, By: s.by, Channel: to.Channel, Text: s.text, TextID: s.id, Ref: out.ID})
	}
	t.says = nil
	t.rec.Spoken = t.now
}

// outgoing makes a message with the next number of hers.
func (t *turn) outgoing(to Address, text string, priority Priority) Outgoing {
	t.rec.NextOut++
	return Outgoing{
		ID:      fmt.Sprintf("%s-m%d", t.rec.Patient.ID, t.rec.NextOut),
		Service: t.rec.Patient.Service, Patient: t.rec.Patient.ID, To: to, Text: text,
		Priority: priority, CreatedAt: t.now, Trace: t.span, State: OutPending,
	}
}

// wake asks to be woken for her. A wake with the same key is moved.
func (t *turn) wake(w Wake) {
	t.unwake(w.Key)
	t.rec.Wakes = append(t.rec.Wakes, w)
}

// unwake takes a wake back.
func (t *turn) unwake(key string) {
	t.rec.Wakes = slices.DeleteFunc(t.rec.Wakes, func(w Wake) bool { return w.Key == key })
}

// told says whether she was told this less than d ago, and notes that she is told now.
func (t *turn) told(what string, d time.Duration) bool {
	if last, ok := t.rec.Told[what]; ok && t.now.Sub(last) < d {
		return true
	}
	if t.rec.Told == nil {
		t.rec.Told = make(map[string]time.Time)
	}
	t.rec.Told[what] = t.now
	return false
}

// vars are the placeholders that any text may use.
func (b *Bot) vars(p *Patient) map[string]string {
	vars := b.content.NationVars(b.service.Nation)
	vars["service"] = b.service.Name
	vars["nurse_line"] = b.service.NurseLine
	vars["cancer_line"] = b.service.CancerLine
	vars["given_name"] = p.GivenName
	return vars
}

// zone is her own time zone.
func (t *turn) zone() *time.Location {
	if name := t.rec.Patient.Zone; name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return t.bot.service.Location
}

// question is what she was asked and has not answered, for the reader; nil when
// nothing waits.
func (t *turn) question() *triage.Question {
	if !t.rec.Talk.Active() {
		return nil
	}
	open, ok := t.pack.Program().Open(t.rec.Talk)
	if !ok {
		return nil
	}
	return t.questionFor(t.pack, &open)
}

// endTalk ends the open talk, if any.
func (t *turn) endTalk(why string) {
	if !t.rec.Talk.Active() {
		return
	}
	t.step(flows.Event{Stop: why})
}
