package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lookout/bot"
	"lookout/bot/internal/memory"
	"lookout/flows/triage"
)

// machine is one patient, her telephone and her chat, the carrier and the desk, with
// whatever can happen to them in any order.
type machine struct {
	t     *rapid.T
	ctx   context.Context
	bot   *bot.Bot
	store *memory.Store
	team  *bot.Service
	pack  interface {
		Holiday(nation string, day time.Time) string
	}
	now time.Time
	id  string

	mu      sync.Mutex // several messages are sent at once
	faults  []string   // of what was sent; a test may not end on another goroutine
	carrier string     // "up", "off", "dead", "down" (takes nothing), "mute" (takes it, and its answer is lost)
	sent    []bot.Outgoing
	wrote   map[string]string // what she wrote, by the carrier's id
	levels  map[string]triage.Level
	n       int
	shown   []bot.Asking // the questions of the form that was shown last
}

// words are what she may write: answers, symptoms, commands, and nonsense.
var words = []string{"yes", "no", "NO", "not sure", "7", "3 weeks ago", "all", "some", "no lump", "a small hard bit near my scar", "my back aches low down, always the same place",
	"cant feel my legs and i wet myself", "crushing pain in my chest", "STOP", "START", "PAUSE", "LATER", "CALL", "HELP", "SIGNS", "sorry meant no", "asdf qwer", "thanks", "😢", "",
	"should i stop the tablets?", "i cant go on", "ring me please", "This is her husband. Mary passed away on Sunday", "what time is my appointment"}

const chatChannel = "chat"

func newMachine(t *rapid.T, c Config) *machine {
	service := *c.Service
	service.RowsPerNurse = float64(rapid.SampledFrom([]int{0, 1, 12}).Draw(t, "rows per nurse"))
	service.PageEvery, service.Lease = 6*time.Hour, 12*time.Hour // an emergency that nobody takes for weeks would fill the journal with pages
	service.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: channel, At: dutyNumber}}}}
	m := &machine{t: t, ctx: context.Background(), store: memory.New(nil), team: &service, pack: c.Pack, carrier: "up", wrote: map[string]string{}, levels: map[string]triage.Level{}}
	edge := rapid.SampledFrom([]string{"2026-10-23", "2027-03-26", "2028-02-27", "2026-12-22", "2027-06-15", "2027-03-24"}).Draw(t, "begins near")
	day, _ := time.ParseInLocation(time.DateOnly, edge, service.Location)
	m.now = day.Add(time.Duration(rapid.IntRange(0, 72*60).Draw(t, "minute")) * time.Minute)
	var err error
	m.bot, err = bot.New(m.ctx, bot.Config{Ephemeral: true, Store: m.store, Content: c.Pack, Service: m.team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return m.now },
		Outlets: map[string]bot.Outlet{channel: {Sender: m, Lease: time.Minute, JoinUpTo: 300}, chatChannel: {Sender: m, Lease: time.Minute, Forms: true}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.bot.Enrol(m.ctx, bot.Enrolment{GivenName: "Mary", FamilyName: "Okafor", BirthDate: "1961-04-30", Phone: "+447700900123",
		TreatmentEnded: m.now.AddDate(0, 0, -rapid.IntRange(0, 400).Draw(t, "days since treatment")).Format(time.DateOnly), ConsentSMS: rapid.Bool().Draw(t, "agreed"),
		Profile: bot.Profile{Tablets: "letrozole", ChemoKnown: true}}, "Ann")
	if err != nil {
		t.Fatal(err)
	}
	m.id = p.ID
	return m
}

// Send is the carrier. Here every unasked text is held to the rules, by the clocks
// on the walls.
func (m *machine) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if out.Priority == bot.PriorityPlanned {
		m.allowed(out)
	}
	if out.To.Channel == channel {
		switch m.carrier {
		case "off":
			return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Obstacle: bot.ObstacleOff, Err: errors.New("off")}
		case "dead":
			return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Obstacle: bot.ObstacleDead, Err: errors.New("dead")}
		case "down":
			return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Err: errors.New("down")}
		case "mute":
			m.sent = append(m.sent, out)
			return bot.Sent{}, errors.New("the line broke")
		}
	}
	m.sent = append(m.sent, out)
	return bot.Sent{CarrierID: fmt.Sprintf("%s/%d", out.ID, len(m.sent)), Delivered: out.To.Channel == chatChannel}, nil
}

func (m *machine) allowed(out bot.Outgoing) {
	rec, err := m.store.Load(m.ctx, m.id)
	if err != nil {
		m.faults = append(m.faults, err.Error())
		return
	}
	p := &rec.Patient
	zone := m.team.Location
	if p.Zone != "" {
		zone, _ = time.LoadLocation(p.Zone)
	}
	desk, hers := m.now.In(m.team.Location), m.now.In(zone)
	minute := desk.Hour()*60 + desk.Minute()
	day := desk.Format(time.DateOnly)
	fault := func(why string) {
		m.faults = append(m.faults, fmt.Sprintf("an unasked text (%s) went on %s, %s with her: %s", out.TextID, desk.Format("Mon 2 Jan 2006 15:04"), hers.Format("15:04"), why))
	}
	switch {
	case desk.Weekday() == time.Saturday || desk.Weekday() == time.Sunday:
		fault("a weekend")
	case minute < 9*60 || minute >= 16*60:
		fault("nobody could read the answer that day")
	case hers.Hour() < 8 || hers.Hour() >= 21:
		fault("no decent hour")
	case p.Wish.To == 0 && (hers.Hour() < 10 || hers.Hour() >= 16):
		fault("outside sending hours")
	case m.pack.Holiday(m.team.Nation, desk) != "":
		fault(m.pack.Holiday(m.team.Nation, desk))
	case (p.Status == bot.Stopped || p.Status == bot.Ended || p.Status == bot.Paused):
		fault("she is " + string(p.Status))
	}
	for _, q := range p.Quiet {
		if q.From <= day && day <= q.Until {
			fault("quiet days")
		}
	}
}

func (m *machine) must(err error) {
	if err != nil && !errors.Is(err, bot.ErrRefused) && !errors.Is(err, bot.ErrConflict) && !errors.Is(err, bot.ErrNotFound) && !errors.Is(err, bot.ErrInvalid) {
		m.t.Fatal(err)
	}
}

func (m *machine) text(t *rapid.T) {
	m.n++
	in := bot.Inbound{From: bot.Address{Channel: channel, At: "+447700900123"}, Text: rapid.SampledFrom(words).Draw(t, "words"), CarrierID: fmt.Sprint("in-", m.n), At: m.now}
	if rapid.IntRange(0, 4).Draw(t, "by chat") == 0 {
		in.From, in.Patient = bot.Address{Channel: chatChannel, At: m.id}, m.id
	}
	if in.Text == "" {
		in.Media = []bot.Media{{URL: "https://media.example/1", Type: "image/jpeg"}}
	}
	m.must(m.bot.Receive(m.ctx, in))
	m.wrote[in.CarrierID] = in.Text
	if rapid.IntRange(0, 3).Draw(t, "comes twice") == 0 {
		m.must(m.bot.Receive(m.ctx, in))
	}
}

// form fills in the form that is open in her chat, or one that was.
func (m *machine) form(t *rapid.T) {
	asked, err := m.bot.OpenQuestion(m.ctx, m.id)
	m.must(err)
	if len(asked.Questions) > 0 {
		m.shown = asked.Questions
	}
	m.n++
	in := bot.Inbound{From: bot.Address{Channel: chatChannel, At: m.id}, Patient: m.id, CarrierID: fmt.Sprint("in-", m.n), At: m.now}
	part := func(words string) {
		id := in.CarrierID
		if n := len(in.Answers); n > 0 {
			id = fmt.Sprintf("%s#%d", in.CarrierID, n+1)
		}
		m.wrote[id] = words
	}
	for _, q := range m.shown {
		if words := rapid.SampledFrom(append([]string{"8", "yes", "no"}, words...)).Draw(t, "answer"); words != "" {
			part(words)
			in.Answers = append(in.Answers, bot.FormAnswer{Question: q.Name, Text: words})
		}
	}
	if len(in.Answers) == 0 {
		return
	}
	if rapid.IntRange(0, 3).Draw(t, "words beside") == 0 {
		if in.Text = rapid.SampledFrom(words).Draw(t, "words"); in.Text != "" {
			part(in.Text)
		}
	}
	m.must(m.bot.Receive(m.ctx, in))
	if rapid.IntRange(0, 3).Draw(t, "comes twice") == 0 {
		m.must(m.bot.Receive(m.ctx, in))
	}
}

func (m *machine) wake() {
	if err := m.bot.Level(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.bot.Wake(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	if due, err := m.store.Due(m.ctx, m.now, 1); err != nil || len(due) > 0 {
		m.t.Fatalf("after a wake something is due still: %v, %v", due, err)
	}
}

func (m *machine) deliver() {
	if _, err := m.bot.Deliver(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	if len(m.faults) > 0 {
		m.t.Fatal(strings.Join(m.faults, "\n"))
	}
}

// row is one of hers that is not closed.
func (m *machine) row(t *rapid.T) (string, bool) {
	rows, err := m.bot.Queue(m.ctx, bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}})
	m.must(err)
	if len(rows) == 0 {
		return "", false
	}
	return rows[rapid.IntRange(0, len(rows)-1).Draw(t, "row")].ID, true
}

func (m *machine) actions() map[string]func(*rapid.T) {
	act := func(row string) bot.Act { return bot.Act{Row: row, By: "Ann"} }
	onRow := func(do func(t *rapid.T, row string) error) func(*rapid.T) {
		return func(t *rapid.T) {
			if row, ok := m.row(t); ok {
				m.must(do(t, row))
			}
		}
	}
	return map[string]func(*rapid.T){
		"she writes":       m.text,
		"she writes.":      m.text,
		"she sends a form": m.form,
		"a talk with a form is started": func(t *rapid.T) {
			m.must(m.bot.Start(m.ctx, m.id, rapid.SampledFrom([]string{"survey", "times", "tired"}).Draw(t, "flow"), "Ann"))
		},
		"time goes on, and lookout with it": func(t *rapid.T) {
			until := m.now.Add(time.Duration(rapid.IntRange(1, 5*24*60).Draw(t, "minutes")) * time.Minute)
			m.run(until)
		},
		"a month goes by": func(t *rapid.T) { m.run(m.now.AddDate(0, 0, rapid.IntRange(6, 40).Draw(t, "days"))) },
		"lookout is down for a while": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 20*24*60).Draw(t, "minutes")) * time.Minute)
			m.wake()
		},
		"wake twice": func(*rapid.T) { m.wake(); m.wake() },
		"deliver":    func(*rapid.T) { m.deliver() },
		"the carrier changes": func(t *rapid.T) {
			m.carrier = rapid.SampledFrom([]string{"up", "up", "off", "dead", "down", "mute"}).Draw(t, "carrier")
		},
		"a receipt comes": func(t *rapid.T) {
			if len(m.sent) == 0 {
				return
			}
			out := m.sent[rapid.IntRange(max(0, len(m.sent)-4), len(m.sent)-1).Draw(t, "of")]
			r := bot.DeliveryReceipt{Outgoing: out.ID, State: rapid.SampledFrom([]bot.OutState{bot.OutSent, bot.OutDelivered, bot.OutUndelivered, bot.OutFailed}).Draw(t, "state"),
				Obstacle: rapid.SampledFrom([]bot.Obstacle{"", bot.ObstacleOff, bot.ObstacleDead, bot.ObstacleOptedOut, bot.ObstacleOurs}).Draw(t, "obstacle")}
			m.must(m.bot.DeliveryReceipt(m.ctx, r))
		},
		"a check-in is started": func(*rapid.T) { m.must(m.bot.Start(m.ctx, m.id, "check-in", "Ann")) },
		"take":                  onRow(func(_ *rapid.T, row string) error { _, err := m.bot.Take(m.ctx, act(row)); return err }),
		"give back":             onRow(func(_ *rapid.T, row string) error { _, err := m.bot.Release(m.ctx, act(row)); return err }),
		"ring": onRow(func(t *rapid.T, row string) error {
			_, err := m.bot.Ring(m.ctx, act(row), rapid.SampledFrom([]string{"spoke", "no-answer"}).Draw(t, "result"))
			return err
		}),
		"close": onRow(func(t *rapid.T, row string) error {
			_, err := m.bot.CloseRow(m.ctx, bot.Closing{Row: row, By: "Ann", Outcome: rapid.SampledFrom([]string{"advice", "clinic", "advice", "advice", "died", "left"}).Draw(t, "outcome")})
			return err
		}),
		"a nurse writes": func(*rapid.T) {
			m.must(m.bot.Say(m.ctx, bot.Saying{Patient: m.id, By: "Ann", Words: "Your scan is on Tuesday."}))
		},
		"she wishes": func(t *rapid.T) {
			w := bot.Wishes{Zone: rapid.SampledFrom([]string{"", "Europe/Madrid", "America/New_York"}).Draw(t, "zone")}
			if rapid.Bool().Draw(t, "hours") {
				w.Wish = bot.Wish{From: 11 * 60, To: 14 * 60}
			}
			if rapid.Bool().Draw(t, "quiet") {
				from := m.now.AddDate(0, 0, rapid.IntRange(-2, 5).Draw(t, "quiet from"))
				w.Quiet = []bot.Quiet{{From: from.Format(time.DateOnly), Until: from.AddDate(0, 0, 7).Format(time.DateOnly), Why: "scan"}}
			}
			m.must(m.bot.SetWishes(m.ctx, m.id, w, "Ann"))
		},
		"": func(*rapid.T) { m.holds() },
	}
}

// run lets time go on with lookout at work: each thing falls due in its turn.
func (m *machine) run(until time.Time) {
	for {
		next := until
		if at, ok := m.store.NextDue(); ok && at.Before(next) {
			next = at
		}
		if at, ok := m.store.NextOut(channel, m.now); ok && at.After(m.now) && at.Before(next) {
			next = at
		}
		if next.After(m.now) {
			m.now = next
		}
		m.wake()
		m.deliver()
		if !m.now.Before(until) {
			return
		}
		if at, ok := m.store.NextDue(); ok && !at.After(m.now) {
			continue // what was sent or failed set something off at once
		}
		if at, ok := m.store.NextOut(channel, m.now); ok && !at.After(m.now) {
			m.now = m.now.Add(time.Minute)
		}
	}
}

// holds looks at everything that must be true between any two events.
func (m *machine) holds() {
	rec, err := m.store.Load(m.ctx, m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	journal, err := m.store.Journal(m.ctx, m.id, 0, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.oneTalk(&rec, journal)
	m.nothingLost(journal)
	rows, err := m.store.Queue(m.ctx, bot.QueueFilter{Patient: m.id, States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed}, Limit: 1 << 20})
	if err != nil {
		m.t.Fatal(err)
	}
	open := map[string]bool{}
	for _, r := range rows {
		if r.Level < m.levels[r.ID] {
			m.t.Fatalf("row %s was lowered from %s to %s", r.ID, m.levels[r.ID], r.Level)
		}
		m.levels[r.ID] = r.Level
		if r.State != bot.Closed {
			if open[r.Concern] {
				m.t.Fatalf("two rows about %s", r.Concern)
			}
			open[r.Concern] = true
		}
	}
	m.heard(journal, rows)
}

// oneTalk: never two open questions. A talk begins only when the one before has ended,
// and what is planned is two days apart.
func (m *machine) oneTalk(rec *bot.Record, journal []bot.Entry) {
	talks := 0
	var last time.Time
	for _, e := range journal {
		switch {
		case e.Kind == bot.EntryFlow && strings.HasPrefix(e.Why, "began:"):
			talks++
		case e.Kind == bot.EntryFlow && strings.HasPrefix(e.Why, "ended:"):
			talks--
		case e.Kind == bot.EntryPlan && e.Why == "sent":
			if !last.IsZero() && e.At.Sub(last) < 48*time.Hour {
				m.t.Fatalf("%s was sent %s after the item before", e.Ref, e.At.Sub(last))
			}
			last = e.At
		}
		if talks < 0 || talks > 1 {
			m.t.Fatalf("%d talks are open at once", talks)
		}
	}
	if open := rec.Talk.Active(); open != (talks == 1) {
		m.t.Fatalf("a talk is open: %t; by the journal %d are", open, talks)
	}
	if asked, err := m.bot.OpenQuestion(m.ctx, m.id); err != nil || asked.Kind == "form" && (len(asked.Questions) < 2 || asked.Prompt == "") {
		m.t.Fatalf("the open question is %+v: %v", asked, err)
	}
	if rec.Talk.Active() && !slices.ContainsFunc(rec.Wakes, func(w bot.Wake) bool { return w.Kind == bot.WakeTalk }) {
		m.t.Fatalf("the talk in %s waits for ever: %+v", rec.Talk.Flow, rec.Wakes)
	}
}

// nothingLost: each of her messages is kept once, as it came, and was read.
func (m *machine) nothingLost(journal []bot.Entry) {
	kept, read := map[string]int{}, map[string]bool{}
	for _, e := range journal {
		switch e.Kind {
		case bot.EntryIn:
			kept[e.Carrier]++
			if e.Text != m.wrote[e.Carrier] {
				m.t.Fatalf("%q was kept as %q", m.wrote[e.Carrier], e.Text)
			}
		case bot.EntryReading:
			read[e.Ref] = true
		}
	}
	for id, words := range m.wrote {
		if kept[id] != 1 || !read[id] {
			m.t.Fatalf("%q was kept %d times, and read: %t", words, kept[id], read[id])
		}
	}
}

// heard: whatever was read as worrying stands in a row, with her words; but for a bare
// answer to a practical question.
func (m *machine) heard(journal []bot.Entry, rows []bot.Row) {
	for _, e := range journal {
		if e.Kind != bot.EntryReading || e.Reading == nil || e.Reading.Level < triage.Soon {
			continue
		}
		if e.Asked != nil && e.Asked.Kind == triage.Scale && strings.HasPrefix(e.Asked.Prompt, "How much do our texts help you") && !e.Reading.Answer.More && e.Reading.Level < triage.Emergency {
			continue // a bare number that says nothing of her
		}
		said := m.wrote[e.Ref]
		if !slices.ContainsFunc(rows, func(r bot.Row) bool {
			return r.Level >= e.Reading.Level && (said == "" || strings.Contains(r.Message, said))
		}) {
			m.t.Fatalf("%q was read as %s, and stands in no row", said, e.Reading.Level)
		}
	}
}

// In whatever order messages, sends, wakes, acts of the desk, receipts and jumps of
// the clock come: never two open questions, never an unasked text outside the rules,
// never a lost answer, never a row that is lowered; and when everything is quiet
// again, whatever began has ended.
func TestWhateverOrder(t *testing.T) {
	c := team(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, c)
		t.Repeat(m.actions())
		m.carrier = "up"
		for range 4 { // her plan goes on meanwhile, with a talk now and then, and those end too
			m.run(m.now.AddDate(0, 0, 35))
			m.holds()
			rec, err := m.store.Load(m.ctx, m.id)
			if err != nil {
				t.Fatal(err)
			}
			if rec.Talk.Active() && m.now.Sub(rec.Talk.Started) > 60*24*time.Hour {
				t.Fatalf("a talk that began on %s has no end", rec.Talk.Started)
			}
			if rec.Patient.Status == bot.Active && !slices.ContainsFunc(rec.Wakes, func(w bot.Wake) bool { return w.Kind == bot.WakePlan }) {
				journal, _ := m.store.Journal(m.ctx, m.id, 0, 0)
				t.Fatalf("she is active, and nothing is planned: %+v", journal[max(0, len(journal)-6):])
			}
		}
	})
}
