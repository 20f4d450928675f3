package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/flows/triage"
)

// Canary is the daily test of the whole path: once a day a made-up patient sends a
// text that must alarm, by the carrier, from a number of the service's own. It is read,
// queued, paged for and answered by the same code as anybody's, and the row is taken
// and closed by itself. She belongs to a service of her own, beside the real one, so
// that no list, count, report or export of the real one has ever to leave her out.
type Canary struct {
	From  Address       // who texts from there is the canary; its pages go there too. The zero Address: there is no test
	To    Address       // the service's number, with the channel of the [Sender] that texts it from From
	Daily time.Duration // after midnight, by the service's clock
}

// on says whether there is a test.
func (c Canary) on() bool { return c.From.At != "" }

// canaryText marks the messages that are the canary's own, and no text of the content.
const canaryText = "canary"

const (
	drawerCanary = "canary" // key: canaryLast, or a run's name; value: canaryKept, or Run
	canaryLast   = "last"
	canaryBy     = "canary" // who takes and closes its row

	// canaryWithin is how long the whole path may take: less than an emergency's time.
	canaryWithin = 8 * time.Minute
	// canaryAgain is how long after a test that failed the next one begins.
	canaryAgain = time.Hour
	// canaryKeeps is how long a test's times are kept.
	canaryKeeps = 35 * 24 * time.Hour
)

// canaryWords are what the made-up patient writes: words that every pack of content must
// read as an emergency. The day tells the texts of two days apart.
func canaryWords(name string) string {
	return "Test " + name + ". I have crushing chest pain now and I cannot breathe"
}

// service is the one that the canary belongs to. No real one can have that name: settings
// allow letters and digits.
func (c Canary) service(of string) string { return "canary." + of }

// patient is the canary's id.
func (c Canary) patient(of string) string { return c.service(of) + "-p0" }

// duty is whom a page about the canary goes to: nobody but itself.
func (c Canary) duty() Duty { return Duty{Name: "the daily test", Addresses: []Address{c.From}} }

// canary says whether a service is the canary's.
func (b *Bot) canary(service string) bool {
	return b.service.Canary.on() && service == b.service.Canary.service(b.service.ID)
}

// Stage is a place on the whole path at which the daily test has been seen.
type Stage string

// The stages, in their order.
const (
	StageSent     Stage = "sent"     // its text was taken by the carrier
	StageReceived Stage = "received" // it came in by the webhook
	StageRead     Stage = "read"     // it was read as an emergency
	StageQueued   Stage = "queued"   // its row stands in the queue
	StagePaged    Stage = "paged"    // the page has reached a telephone
	StageAnswered Stage = "answered" // so has the answer that tells her to ring 999
	StageClosed   Stage = "closed"   // its row was taken and closed
)

// Stages are all of them, in their order.
var Stages = []Stage{StageSent, StageReceived, StageRead, StageQueued, StagePaged, StageAnswered, StageClosed}

// Words say what has not happened when a stage was not reached, and what to do, to
// whoever reads the desk.
func (s Stage) Words() string {
	switch s {
	case StageSent:
		return "its text did not leave by the carrier. Texts to people may not leave either"
	case StageReceived:
		return "its text did not come in by the webhook. People's texts may come minutes late, from the carrier's log"
	case StageRead:
		return "its text was not read as the emergency that it tells of. Do not trust how messages are ordered: read all of them"
	case StageQueued:
		return "its text was read and did not come to the queue. Look at the newest messages of people yourself"
	case StagePaged:
		return "its page did not reach a telephone. Keep this page open: nurses may not be paged"
	case StageAnswered:
		return "the answer to it did not reach a telephone. Ring people instead of texting them"
	case StageClosed:
		return "its row could not be taken and closed. Note on paper whom you have rung"
	}
	return "it could not begin: the number of the test belongs to somebody on record"
}

// StageSetup is where a test fails that could not begin.
const StageSetup Stage = "begun"

// Run is one daily test.
type Run struct {
	Name   string              `json:"name"` // the day, and which try of it
	Begun  time.Time           `json:"begun"`
	Text   string              `json:"text,omitempty"` // the message that begins it
	Seq    int64               `json:"seq,omitempty"`  // of the canary's journal, where it begins
	At     map[Stage]time.Time `json:"at"`             // the stages that it has reached
	Ended  time.Time           `json:"ended,omitzero"`
	Failed Stage               `json:"failed,omitempty"` // the first that it has not
}

// canaryKept is what is kept of the last test, and of the last that went well.
type canaryKept struct {
	Run    Run       `json:"run"`
	Try    int       `json:"try"`
	Day    string    `json:"day"`
	Proved time.Time `json:"proved,omitzero"`
}

// Proof is how the daily test of the whole path stands.
type Proof struct {
	On     bool
	Proved time.Time // when it last went well; zero: never
	Run    Run       // the last
	Late   bool      // today's has not gone well in its time
	Failed Stage     // where the last has failed; "": it has not
}

// Warning says what is wrong in a sentence, for the desk; "": nothing.
func (p Proof) Warning() string {
	switch {
	case p.Failed != "":
		return "The daily test of the whole path has failed: " + p.Failed.Words() + ". Tell whoever runs lookout."
	case p.Late && p.Proved.IsZero():
		return "The daily test of the whole path is late, and has never gone well: tell whoever runs lookout."
	case p.Late:
		return "The daily test of the whole path is late: look at the newest messages of people yourself, and tell whoever runs lookout."
	}
	return ""
}

// due is when the test of a day begins.
func (c Canary) due(hours Hours, now time.Time) time.Time {
	day := hours.day(now)
	return time.Date(day.Year(), day.Month(), day.Day(), 0, int(c.Daily/time.Minute), 0, 0, day.Location())
}

// canaryKept reads what is kept; nothing yet is no error.
func (b *Bot) canaryKept(ctx context.Context) (canaryKept, error) {
	var kept canaryKept
	value, err := b.store.Value(ctx, drawerCanary, canaryLast, b.now())
	if errors.Is(err, ErrNotFound) {
		return kept, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &kept)
	}
	return kept, err
}

// keepCanary writes down how a test stands: for the desk, and among those of the last weeks.
func (b *Bot) keepCanary(ctx context.Context, kept canaryKept) error {
	run, err := json.Marshal(kept.Run)
	if err != nil {
		return err
	}
	if err := b.store.PutValue(ctx, drawerCanary, kept.Run.Name, run, b.now().Add(canaryKeeps)); err != nil {
		return err
	}
	value, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return b.store.PutValue(ctx, drawerCanary, canaryLast, value, time.Time{})
}

// Proof says how the daily test stands.
func (b *Bot) Proof(ctx context.Context) (Proof, error) {
	c, now := b.service.Canary, b.now()
	if !c.on() {
		return Proof{}, nil
	}
	kept, err := b.canaryKept(ctx)
	if err != nil {
		return Proof{On: true}, fmt.Errorf("the daily test: %w", err)
	}
	p := Proof{On: true, Proved: kept.Proved, Run: kept.Run, Failed: kept.Run.Failed}
	due := c.due(b.service.Hours, now)
	if now.Before(due.Add(canaryWithin)) {
		due = c.due(b.service.Hours, due.AddDate(0, 0, -1))
	}
	// Who has only begun has had no test yet: that is not late before it can have been.
	p.Late = kept.Proved.Before(due) && (!kept.Run.Begun.IsZero() && now.After(kept.Run.Begun.Add(canaryWithin+time.Minute)) || !kept.Proved.IsZero() && now.After(due.Add(canaryWithin+time.Minute)))
	return p, nil
}

// Proofs are the daily tests of the last weeks, the newest first.
func (b *Bot) Proofs(ctx context.Context) ([]Run, error) {
	values, err := b.store.Values(ctx, drawerCanary, b.now())
	if err != nil {
		return nil, err
	}
	delete(values, canaryLast)
	out := make([]Run, 0, len(values))
	for _, value := range values {
		var run Run
		if err := json.Unmarshal(value, &run); err != nil {
			return nil, err
		}
		out = append(out, run)
	}
	slices.SortFunc(out, func(x, y Run) int { return y.Begun.Compare(x.Begun) })
	return out, nil
}

// CheckCanary begins the day's test when its time has come, follows the one that is
// under way, and closes what it has opened. It may be called at any time, twice, or on
// two machines: there is one test a day, and one more each hour after one that failed.
func (b *Bot) CheckCanary(ctx context.Context) error {
	c, now := b.service.Canary, b.now()
	if !c.on() {
		return nil
	}
	kept, err := b.canaryKept(ctx)
	if err != nil {
		return fmt.Errorf("the daily test: %w", err)
	}
	due := c.due(b.service.Hours, now)
	today := due.Format(time.DateOnly)
	switch {
	case kept.Day != "" && kept.Run.Ended.IsZero():
		err = b.followCanary(ctx, kept)
	case !now.Before(due) && kept.Day < today:
		err = b.beginCanary(ctx, canaryKept{Day: today, Try: 1, Proved: kept.Proved})
	case kept.Run.Failed != "" && !now.Before(kept.Run.Ended.Add(canaryAgain)):
		err = b.beginCanary(ctx, canaryKept{Day: kept.Day, Try: kept.Try + 1, Proved: kept.Proved})
	default: // a text that came late, or twice, has opened another row
		err = b.closeCanary(ctx)
	}
	if err != nil {
		return fmt.Errorf("the daily test: %w", err)
	}
	return nil
}

// beginCanary puts the canary's text into the outbox, once for all processes: the change
// has the name of the test.
func (b *Bot) beginCanary(ctx context.Context, kept canaryKept) error {
	c := b.service.Canary
	id := c.patient(b.service.ID)
	name := kept.Day + "-" + strconv.Itoa(kept.Try)
	at, err := b.store.PatientsAt(ctx, b.service.ID, c.From)
	if err != nil {
		return err
	}
	stranger := b.strangerID(c.From)
	if slices.ContainsFunc(at, func(id string) bool { return id != stranger }) {
		kept.Run = Run{Name: name, Begun: b.now(), Ended: b.now(), Failed: StageSetup}
		b.log.Error("the daily test could not begin: canary.phone is the number of somebody on record: set a number of the service's own")
		return b.keepCanary(ctx, kept)
	}
	if err := b.closeCanary(ctx); err != nil { // what an earlier one has left
		return err
	}
	create := func() Record {
		return Record{Patient: Patient{ID: id, Service: c.service(b.service.ID), Status: Active, Locale: "en-GB", GivenName: "Daily", FamilyName: "Test", EnrolledAt: b.now()}}
	}
	err = b.turn(ctx, id, "canary:"+b.service.ID+":"+name, create, func(t *turn) error {
		// Each day is like the first: nothing of yesterday's makes it more or less urgent.
		r := t.rec
		r.Past, r.Heard, r.Wakes, r.Told, r.Reach, r.Planned = nil, nil, nil, nil, nil, nil
		r.Patient.Status, r.Patient.Addresses, r.Patient.Channel = Active, []Address{c.From}, c.From.Channel
		out := t.outgoing(c.To, canaryWords(name), PriorityReply)
		out.TextID, out.NotAfter = canaryText, t.now.Add(canaryWithin)
		t.change.Send = append(t.change.Send, out)
		t.entry(Entry{Kind: EntryFlow, Ref: out.ID, Why: "began: the daily test " + name})
		return nil
	})
	if err != nil {
		return err
	}
	// Whoever has begun it, all go on from what stands in the journal.
	entries, err := b.store.Journal(ctx, id, 0, 0)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) {
		if e.Kind == EntryFlow && strings.HasSuffix(e.Why, " "+name) {
			kept.Run = Run{Name: name, Begun: e.At, Text: e.Ref, Seq: e.Seq, At: map[Stage]time.Time{}}
			return b.keepCanary(ctx, kept)
		}
	}
	return errors.New("its beginning is not in the journal")
}

// followCanary looks how far the test has come, and ends it when it is done or its time
// is over.
func (b *Bot) followCanary(ctx context.Context, kept canaryKept) error {
	run, now := &kept.Run, b.now()
	before := len(run.At)
	failed, err := b.seeCanary(ctx, run)
	if err != nil {
		return err
	}
	missing := ""
	for _, s := range Stages[:len(Stages)-1] {
		if _, ok := run.At[s]; !ok {
			missing = string(s)
			break
		}
	}
	switch {
	case missing != "" && failed == "" && now.Before(run.Begun.Add(canaryWithin)):
		if len(run.At) == before {
			return nil
		}
		return b.keepCanary(ctx, kept)
	case failed != "":
		run.Failed = failed
	case missing != "":
		run.Failed = Stage(missing)
	}
	if err := b.closeCanary(ctx); err != nil {
		if now.Before(run.Begun.Add(2 * canaryWithin)) {
			return err // the next look tries again
		}
		if run.Failed == "" {
			run.Failed = StageClosed
		}
	}
	run.Ended = b.now()
	if run.Failed == "" {
		run.At[StageClosed], kept.Proved = run.Ended, run.Ended
	} else {
		b.log.Error("the daily test of the whole path has failed", "test", run.Name, "stage", string(run.Failed))
	}
	return b.keepCanary(ctx, kept)
}

// seeCanary notes the stages that the test has reached, from what the store has of it,
// and says which can be reached no more.
func (b *Bot) seeCanary(ctx context.Context, run *Run) (failed Stage, err error) {
	c := b.service.Canary
	id := c.patient(b.service.ID)
	saw := func(s Stage, at time.Time) {
		if _, ok := run.At[s]; !ok {
			run.At[s] = at
		}
	}
	text, err := b.store.Outgoing(ctx, run.Text)
	if err != nil {
		return "", err
	}
	switch text.State {
	case OutSent, OutDelivered:
		saw(StageSent, text.SettledAt)
	case OutFailed, OutUndelivered, OutCancelled:
		return StageSent, nil
	}
	entries, err := b.store.Journal(ctx, id, run.Seq, 0)
	if err != nil {
		return "", err
	}
	came := false
	for _, e := range entries {
		switch {
		case e.Kind == EntryIn && e.Text == canaryWords(run.Name) && !came:
			if came = true; e.Why != "" { // it came by the sweep, not by the webhook
				return StageReceived, nil
			}
			saw(StageReceived, e.At)
		case e.Kind == EntryReading && came && e.Reading != nil:
			if e.Reading.Level < triage.Emergency {
				return StageRead, nil
			}
			saw(StageRead, e.At)
		}
	}
	if !came {
		return "", nil
	}
	rows, err := b.store.Queue(ctx, QueueFilter{Service: c.service(b.service.ID)})
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Level == triage.Emergency && !r.OpenedAt.Before(run.Begun) {
			saw(StageQueued, r.OpenedAt)
		}
	}
	rec, err := b.store.Load(ctx, id)
	if err != nil {
		return "", err
	}
	_, number, _ := OwnerOf(run.Text, MessageMark)
	first, err := strconv.Atoi(number)
	if err != nil {
		return "", err
	}
	for n := first + 1; n <= rec.NextOut; n++ {
		out, err := b.store.Outgoing(ctx, id+MessageMark+strconv.Itoa(n))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if out.State != OutDelivered {
			continue
		}
		switch out.Priority {
		case PriorityPage:
			saw(StagePaged, out.SettledAt)
		case PriorityEmergency:
			saw(StageAnswered, out.SettledAt)
		}
	}
	return "", nil
}

// closeCanary takes and closes every row of the canary's, as a nurse does.
func (b *Bot) closeCanary(ctx context.Context) error {
	c := b.service.Canary
	rows, err := b.store.Queue(ctx, QueueFilter{Service: c.service(b.service.ID), States: []RowState{Open, Claimed, Snoozed}})
	if err != nil {
		return err
	}
	key := "not-needed"
	for _, o := range b.content.Outcomes() {
		if _, ok := b.content.Outcome(key); !ok && o.Ends == "" { // a pack with other outcomes
			key = o.Key
		}
	}
	for _, r := range rows {
		_, err := b.Take(ctx, Act{Row: r.ID, By: canaryBy})
		if err == nil {
			_, err = b.CloseRow(ctx, Closing{Row: r.ID, By: canaryBy, Outcome: key})
		}
		if err != nil && !errors.Is(err, ErrConflict) { // another process was faster
			return err
		}
	}
	return nil
}

// Stats counts what stands open, without the canary.
func (b *Bot) Stats(ctx context.Context) (Stats, error) {
	st, err := b.store.Stats(ctx, b.now())
	c := b.service.Canary
	if err != nil || !c.on() {
		return st, err
	}
	id := c.patient(b.service.ID)
	if _, err := b.store.Load(ctx, id); errors.Is(err, ErrNotFound) {
		return st, nil
	} else if err != nil {
		return st, err
	}
	st.Patients--
	rows, err := b.store.Queue(ctx, QueueFilter{Service: c.service(b.service.ID), States: []RowState{Open, Claimed, Snoozed}})
	if err != nil {
		return st, err
	}
	oldest := false
	for _, r := range rows {
		if of := st.Rows[r.State]; of[r.Level.String()] > 0 {
			of[r.Level.String()]--
		}
		oldest = oldest || r.DueAt.Equal(st.OldestDue)
	}
	if oldest { // what is overdue of people's comes behind it
		st.OldestDue = time.Time{}
		late, err := b.store.Queue(ctx, QueueFilter{Service: b.service.ID, DueBefore: b.now()})
		if err != nil {
			return st, err
		}
		for _, r := range late {
			if st.OldestDue.IsZero() || r.DueAt.Before(st.OldestDue) {
				st.OldestDue = r.DueAt
			}
		}
	}
	return st, nil
}
