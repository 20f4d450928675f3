package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lookout/bot"
	"lookout/bot/internal/memory"
	"lookout/content"
)

// Channel is how everybody is reached here, and Chat is where she may write as well.
const (
	Channel = "sms"
	Chat    = "chat"
)

// World is one team with its patients, its store and its clock, and a carrier
// that only notes what it is given. Who plays in it moves Now.
type World struct {
	*bot.Bot
	Store  bot.Store
	Now    time.Time
	Team   *bot.Service
	People []Person
	Sent   []bot.Outgoing // what the carrier was given and nobody has told yet
	Pack   *content.Pack

	inbox int // numbers what comes in
	took  func(way string)

	mu   sync.Mutex
	dead map[string]bool // numbers that no text reaches

	rows     map[string]string // as they were told last, by id
	statuses map[string]bot.Status
	journal  map[string]int64 // how far each journal has been told
	last     map[string]bot.Outgoing
	broken   []string
}

// Person is somebody who was enrolled.
type Person struct{ ID, Name, Phone string }

// NewWorld makes an empty one. store is an empty store; nil is one in memory.
func NewWorld(ctx context.Context, pack *content.Pack, store bot.Store, in Setting) (*World, error) {
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, err
	}
	if store == nil {
		store = memory.New(nil)
	}
	w := &World{Store: store, Pack: pack, Now: in.Begin, dead: map[string]bool{}, rows: map[string]string{},
		statuses: map[string]bot.Status{}, journal: map[string]int64{}, last: map[string]bot.Outgoing{}}
	w.Team = &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: in.Nation, Location: zone, OpenAccess: !in.ClosedDoor,
		NurseLine: "01632 960001", CancerLine: "01632 960002", Promise: bot.DefaultPromise, PageEvery: 5 * time.Minute, Lease: 30 * time.Minute,
		Hours:   bot.Hours{Location: zone, Closed: func(day time.Time) string { return pack.Holiday(in.Nation, day) }},
		Sending: bot.Sending{From: 10 * 60, To: 16 * 60, Before: time.Hour}, Duty: in.Duty}
	for day := time.Monday; day <= time.Friday; day++ {
		w.Team.Hours.Week[day] = []bot.Spell{{From: 9 * 60, To: 17 * 60}}
	}
	w.Bot, err = bot.New(ctx, bot.Config{Ephemeral: true, Store: store, Content: pack, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.Now }, Took: func(way string) {
			if w.took != nil {
				w.took(way)
			}
		}, Random: rand.NewChaCha8([32]byte{}), Outlets: map[string]bot.Outlet{Channel: {Sender: w, Lease: time.Minute, JoinUpTo: 300}, Chat: {Sender: w, Lease: time.Minute, Forms: true}}})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Send notes a message, as the carrier.
func (w *World) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead[out.To.At] {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "21211", Obstacle: bot.ObstacleDead, Err: errors.New("no such number")}
	}
	w.Sent = append(w.Sent, out)
	return bot.Sent{CarrierID: fmt.Sprintf("out-%s", out.ID)}, nil
}

// Played is a conversation as it went.
type Played struct {
	// Lines are the conversation as a file has it; a line of a text that the file
	// shortens is shortened where it still begins so.
	Lines []string
	// Told is what was done and what came of it.
	Told []Told
	// Broken are the rules that no conversation may break, whatever its file says.
	Broken []string
}

// Play plays a conversation on a pack. store is an empty store; nil is one in
// memory. The error is that of a conversation which cannot be played: it names the
// line.
func (c *Conversation) Play(ctx context.Context, pack *content.Pack, store bot.Store) (*Played, error) {
	return c.play(ctx, pack, store, nil)
}

// play plays a conversation, and tells the ways that its talks go.
func (c *Conversation) play(ctx context.Context, pack *content.Pack, store bot.Store, took func(way string)) (*Played, error) {
	w, err := NewWorld(ctx, pack, store, c.Setting)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.at(0), err)
	}
	w.took = took
	out := &Played{Lines: slices.Clone(c.Heading)}
	tell := func(happened []Told, file []string) {
		out.Lines = append(out.Lines, keep(happened, file)...)
		out.Told = append(out.Told, happened...)
	}
	for _, e := range c.enrolments {
		p, err := w.Enrol(ctx, e, "Ann")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.at(0), err)
		}
		w.People = append(w.People, Person{p.ID, e.GivenName, e.Phone})
		w.statuses[p.ID] = p.Status
		if e.ConsentSMS {
			w.statuses[p.ID] = bot.Active
		}
	}
	enrolled, err := w.happened(ctx, c.at(0))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.at(0), err)
	}
	tell(enrolled, c.opening)
	for _, turn := range c.turns {
		out.Lines = append(append(out.Lines, turn.remarks...), turn.does)
		out.Told = append(out.Told, same(turn.does))
		outs, err := w.do(ctx, c, turn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.at(turn.line), err)
		}
		if len(outs) == 0 {
			outs = []Told{same(nothing)}
		}
		tell(outs, turn.outs)
	}
	out.Lines, out.Broken = append(out.Lines, c.closing...), w.broken
	return out, nil
}

// Told is one line of what happened, and the same without words that may be written
// anew: of a text its id. Two packs on which all courses are the same differ in words
// alone.
type Told struct{ Words, Course string }

func same(words string) Told { return Told{words, words} }

// keep gives what happened, with the file's own shortened line for each that it
// is the beginning of.
func keep(outs []Told, file []string) []string {
	kept := make([]string, len(outs))
	for i, out := range outs {
		kept[i] = out.Words
		for _, line := range file {
			if begin, ok := strings.CutSuffix(line, "…"); ok && strings.HasPrefix(out.Words, begin) {
				kept[i] = line
				break
			}
		}
	}
	return kept
}

// do carries one turn out, and gives what came of it.
func (w *World) do(ctx context.Context, c *Conversation, turn turn) ([]Told, error) {
	who, what, _ := strings.Cut(turn.does, ": ")
	at := c.at(turn.line)
	var err error
	switch who {
	case "clock":
		until, err := moved(w.Now, what)
		if err != nil {
			return nil, err
		}
		return w.wait(ctx, at, until)
	case "desk":
		err = w.desk(ctx, what)
	case "carrier":
		err = w.carrier(ctx, what)
	default:
		err = w.Writes(ctx, who, what)
	}
	var outs []Told
	if err != nil {
		if !errors.Is(err, bot.ErrRefused) && !errors.Is(err, bot.ErrConflict) {
			return nil, err
		}
		outs = []Told{same("refused: " + strings.TrimPrefix(err.Error(), bot.ErrRefused.Error()+": "))}
	}
	happened, err := w.happened(ctx, at)
	return append(outs, happened...), err
}

var modifier = regexp.MustCompile(`^(\S+)(?: \((photo|carrier STOP|carrier START|chat|form)\))?$`)

// Writes takes in a text of somebody's: of one of People, of a nurse, or of a number.
func (w *World) Writes(ctx context.Context, who, words string) error {
	m := modifier.FindStringSubmatch(who)
	if m == nil {
		return fmt.Errorf("%q is nobody who writes", who)
	}
	number, err := w.number(m[1])
	if err != nil {
		return err
	}
	w.inbox++
	in := bot.Inbound{From: bot.Address{Channel: Channel, At: number}, Text: words, CarrierID: fmt.Sprintf("in-%d", w.inbox)}
	switch m[2] {
	case "photo":
		in.Media = []bot.Media{{URL: "https://media.example/1", Type: "image/jpeg"}}
	case "carrier STOP", "carrier START":
		in.OptOut = strings.TrimPrefix(m[2], "carrier ")
	case "chat", "form":
		p, err := w.person(m[1])
		if err != nil {
			return err
		}
		in.From, in.Patient = bot.Address{Channel: Chat, At: p.ID}, p.ID
		if m[2] == "form" {
			if in.Answers, in.Text, err = parseForm(words); err != nil {
				return err
			}
			asked, err := w.OpenQuestion(ctx, p.ID)
			if err != nil {
				return err
			}
			for i := range in.Answers {
				like := asked.Name
				if len(asked.Questions) > 0 {
					like = asked.Questions[0].Name
				}
				in.Answers[i].Question = whole(in.Answers[i].Question, like)
			}
		}
	}
	return w.Receive(ctx, in)
}

// person is who is meant by a name, or by "her" when there is only one.
func (w *World) person(name string) (Person, error) {
	if (name == "her" || name == "") && len(w.People) == 1 {
		return w.People[0], nil
	}
	if i := slices.IndexFunc(w.People, func(p Person) bool { return p.Name == name }); i >= 0 {
		return w.People[i], nil
	}
	return Person{}, fmt.Errorf("%q is none of the patients, or there are several", name)
}

// number is whose phone is meant, in full.
func (w *World) number(name string) (string, error) {
	for _, d := range w.Team.Duty {
		if d.Name == name {
			return d.Addresses[0].At, nil
		}
	}
	if number, ok := e164(name); ok {
		return number, nil
	}
	p, err := w.person(name)
	return p.Phone, err
}

// acts are what can be done at the desk. The first group of each is who does it.
var acts = []struct {
	form *regexp.Regexp
	do   func(ctx context.Context, w *World, m []string) error
}{
	{regexp.MustCompile(`^(\w+) takes ` + rowForm + `$`), func(ctx context.Context, w *World, m []string) error {
		return w.onRow(ctx, m, func(row string) error { _, err := w.Take(ctx, bot.Act{Row: row, By: m[1]}); return err })
	}},
	{regexp.MustCompile(`^(\w+) gives back ` + rowForm + `$`), func(ctx context.Context, w *World, m []string) error {
		return w.onRow(ctx, m, func(row string) error { _, err := w.Release(ctx, bot.Act{Row: row, By: m[1]}); return err })
	}},
	{regexp.MustCompile(`^(\w+) rings about ` + rowForm + `: (.+)$`), func(ctx context.Context, w *World, m []string) error {
		return w.onRow(ctx, m, func(row string) error { _, err := w.Ring(ctx, bot.Act{Row: row, By: m[1]}, m[4]); return err })
	}},
	{regexp.MustCompile(`^(\w+) notes on ` + rowForm + `: (.+)$`), func(ctx context.Context, w *World, m []string) error {
		return w.onRow(ctx, m, func(row string) error { _, err := w.Note(ctx, bot.Act{Row: row, By: m[1]}, m[4]); return err })
	}},
	{regexp.MustCompile(`^(\w+) puts off ` + rowForm + ` until (\w{3} \d+ \w{3} \d{4} \d\d:\d\d): (.+)$`), func(ctx context.Context, w *World, m []string) error {
		until, err := clockTime(m[4], w.Now.Location())
		if err != nil {
			return err
		}
		return w.onRow(ctx, m, func(row string) error {
			_, err := w.PutOff(ctx, bot.Act{Row: row, By: m[1]}, until, m[5])
			return err
		})
	}},
	{regexp.MustCompile(`^(\w+) closes ` + rowForm + `: (.+)$`), func(ctx context.Context, w *World, m []string) error {
		return w.onRow(ctx, m, func(row string) error {
			_, err := w.CloseRow(ctx, bot.Closing{Row: row, By: m[1], Outcome: m[4]})
			return err
		})
	}},
	{regexp.MustCompile(`^(\w+) starts ([a-z-]+)(?: with (\w+))?$`), func(ctx context.Context, w *World, m []string) error {
		p, err := w.person(m[3])
		if err != nil {
			return err
		}
		return w.Start(ctx, p.ID, m[2], m[1])
	}},
	{regexp.MustCompile(`^(\w+) texts(?: (\w+))?: (.+)$`), func(ctx context.Context, w *World, m []string) error {
		p, err := w.person(m[2])
		if err != nil {
			return err
		}
		say := bot.Saying{Patient: p.ID, By: m[1], Words: m[3]}
		if w.Pack.HasText(m[3]) {
			say.TextID, say.Words = m[3], ""
		}
		return w.Say(ctx, say)
	}},
}

// rowForm names a row that is not closed by its concern.
const rowForm = `([a-z-]+)(?: of (\w+))?`

// onRow finds the row that an act names, and does it.
func (w *World) onRow(ctx context.Context, m []string, act func(row string) error) error {
	filter := bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}}
	if m[3] != "" {
		p, err := w.person(m[3])
		if err != nil {
			return err
		}
		filter.Patient = p.ID
	}
	rows, err := w.Queue(ctx, filter)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r bot.Row) bool { return r.Concern != m[2] })
	if len(rows) != 1 {
		return fmt.Errorf("%d rows that are not closed are about %s: name one", len(rows), m[2])
	}
	return act(rows[0].ID)
}

func (w *World) desk(ctx context.Context, what string) error {
	for _, act := range acts {
		if m := act.form.FindStringSubmatch(what); m != nil {
			return act.do(ctx, w, m)
		}
	}
	return fmt.Errorf("%q is nothing that is done at the desk", what)
}

var (
	deadForm        = regexp.MustCompile(`^(\w+?)(?:'s)? phone is dead$`)
	undeliveredForm = regexp.MustCompile(`^the last text to (\w+) was not delivered$`)
)

func (w *World) carrier(ctx context.Context, what string) error {
	if m := deadForm.FindStringSubmatch(what); m != nil {
		number, err := w.number(m[1])
		w.dead[number] = true
		return err
	}
	m := undeliveredForm.FindStringSubmatch(what)
	if m == nil {
		return fmt.Errorf("%q is nothing that a carrier does", what)
	}
	number, err := w.number(m[1])
	if err != nil {
		return err
	}
	out, ok := w.last[number]
	if !ok {
		return errors.New("no text has gone there")
	}
	return w.DeliveryReceipt(ctx, bot.DeliveryReceipt{Outgoing: out.ID, State: bot.OutUndelivered, Code: "30003", Obstacle: bot.ObstacleOff})
}

// maxDue bounds what one turn of the clock may set off, so that a file stays one
// that can be read.
const maxDue = 200

// wait turns the clock, from one thing that falls due to the next.
func (w *World) wait(ctx context.Context, at string, until time.Time) ([]Told, error) {
	if until.Before(w.Now) {
		return nil, errors.New("the clock does not run backwards")
	}
	day := w.Now.Format(time.DateOnly)
	var outs []Told
	for range maxDue {
		due, err := w.Store.Due(ctx, until, 1)
		if err != nil {
			return nil, err
		}
		if len(due) == 0 {
			w.Now = until
			happened, err := w.happened(ctx, at) // what was held back for moments
			return append(outs, happened...), err
		}
		if due[0].At.After(w.Now) {
			w.Now = due[0].At.In(w.Team.Location)
		}
		if _, err := w.Wake(ctx); err != nil {
			return nil, err
		}
		happened, err := w.happened(ctx, at)
		if err != nil {
			return nil, err
		}
		if len(happened) == 0 {
			continue
		}
		// Only what is paged, and what is promised, has a minute that does not hang
		// on her place in the sending hours, which is chance.
		exact := slices.ContainsFunc(happened, func(l Told) bool { return strings.HasPrefix(l.Words, "page ") })
		if today := w.Now.Format(time.DateOnly); exact {
			outs = append(outs, same("then: "+w.Now.Format("Mon 2 Jan 15:04")))
			day = today
		} else if today != day {
			outs = append(outs, same("then: "+w.Now.Format("Mon 2 Jan")))
			day = today
		}
		outs = append(outs, happened...)
	}
	return nil, fmt.Errorf("more than %d things fall due: is an emergency paged that nobody takes? At the end:\n%s", maxDue, strings.Join(keep(outs[max(0, len(outs)-9):], nil), "\n"))
}

// Happened delivers what waits, and tells what is new since it was asked last, as
// a file has it.
func (w *World) Happened(ctx context.Context) ([]string, error) {
	happened, err := w.happened(ctx, "")
	return keep(happened, nil), err
}

// happened delivers what waits, and tells what is new since it was asked last.
func (w *World) happened(ctx context.Context, at string) ([]Told, error) {
	if _, err := w.Deliver(ctx); err != nil {
		return nil, err
	}
	var lines []Told
	sent := w.Sent
	w.Sent = nil
	// Several go at once; each person's own come in their order.
	slices.SortStableFunc(sent, func(a, b bot.Outgoing) int {
		return cmp.Or(cmp.Compare(w.place(a.To.At), w.place(b.To.At)), strings.Compare(a.To.At, b.To.At))
	})
	for _, out := range sent {
		w.last[out.To.At] = out
		if err := w.Allowed(ctx, out); err != nil {
			w.broken = append(w.broken, at+": "+err.Error())
		}
		lines = append(lines, Told{w.to(out) + strings.ReplaceAll(out.Text, "\n", " / "), w.to(out) + cmp.Or(out.TextID, out.Text)})
		if form, err := w.form(ctx, out); err != nil {
			return nil, err
		} else if form != nil {
			lines = append(lines, *form)
		}
	}
	for _, p := range w.People {
		now, err := w.Patient(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if now.Status != w.statuses[p.ID] {
			w.statuses[p.ID] = now.Status
			lines = append(lines, same(fmt.Sprintf("%s is: %s", w.name(p, "she"), now.Status)))
		}
		entries, err := w.Store.Journal(ctx, p.ID, w.journal[p.ID], 0)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			w.journal[p.ID] = e.Seq
			if e.Kind == bot.EntryPlan && strings.HasPrefix(e.Why, "dropped") {
				lines = append(lines, same(fmt.Sprintf("plan: %s dropped", e.Ref)))
			}
		}
	}
	rows, err := w.rowsNow(ctx)
	return append(lines, rows...), err
}

// form tells of the form that stands under what was just said in the chat; nil: none does.
func (w *World) form(ctx context.Context, out bot.Outgoing) (*Told, error) {
	if out.To.Channel != Chat {
		return nil, nil
	}
	asked, err := w.OpenQuestion(ctx, out.Patient)
	if err != nil || len(asked.Questions) == 0 || asked.Prompt != out.Text {
		return nil, err
	}
	var words, names []string
	for _, q := range asked.Questions {
		_, step, _ := strings.Cut(q.Name, "/")
		words, names = append(words, fmt.Sprintf("%s (%s)", strings.ReplaceAll(strings.TrimSpace(q.Prompt), "\n", " "), step)), append(names, q.Name)
	}
	return &Told{"form: " + strings.Join(words, " / "), "form: " + strings.Join(names, " / ")}, nil
}

// rowsNow tells the rows that are new or have changed.
func (w *World) rowsNow(ctx context.Context) ([]Told, error) {
	rows, err := w.Queue(ctx, bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed}})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b bot.Row) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
	})
	var lines []Told
	for _, r := range rows {
		told := "row: "
		if i := slices.IndexFunc(w.People, func(p Person) bool { return p.ID == r.Patient }); i < 0 {
			told += "unknown number, "
		} else if len(w.People) > 1 {
			told += w.People[i].Name + ", "
		}
		told += fmt.Sprintf("%s %s, due %s", r.Level, r.Concern, r.DueAt.In(w.Team.Location).Format("Mon 2 Jan 15:04"))
		switch {
		case r.State == bot.Claimed:
			told += ", taken by " + r.ClaimedBy
		case r.State == bot.Snoozed:
			told += ", put off until " + r.WakeAt.In(w.Team.Location).Format("Mon 2 Jan 15:04")
		case r.State == bot.Closed:
			told += ", closed: " + r.Outcome
		case r.AckedBy != "":
			told += ", answered by " + r.AckedBy
		}
		if r.Spoke {
			told += ", spoken with"
		}
		told += ": “" + strings.ReplaceAll(r.Message, "\n", " / ") + "”"
		if w.rows[r.ID] != told {
			w.rows[r.ID] = told
			lines = append(lines, same(told))
		}
	}
	return lines, nil
}

// Allowed holds a text to what no conversation may break, whatever its file says:
// the error says what it breaks.
func (w *World) Allowed(ctx context.Context, out bot.Outgoing) error {
	if out.Priority != bot.PriorityPlanned {
		return nil
	}
	local := w.Now.In(w.Team.Location)
	weekend := local.Weekday() == time.Saturday || local.Weekday() == time.Sunday
	if weekend || local.Hour() < 10 || local.Hour() >= 16 || w.Pack.Holiday(w.Team.Nation, local) != "" {
		return fmt.Errorf("a text that she did not cause went on %s: %q", local.Format("Mon 2 Jan 15:04"), out.Text)
	}
	if !slices.ContainsFunc(w.People, func(p Person) bool { return p.ID == out.Patient }) {
		return nil
	}
	if p, err := w.Patient(ctx, out.Patient); err == nil && (p.Status == bot.Stopped || p.Status == bot.Ended) && out.TextID != "welcome.declined" {
		return fmt.Errorf("a text that she did not cause went though she is %s: %q", p.Status, out.Text)
	}
	return nil
}

// place orders telephones: patients, strangers, then nurses.
func (w *World) place(number string) int {
	if i := slices.IndexFunc(w.People, func(p Person) bool { return p.Phone == number || p.ID == number }); i >= 0 {
		return i
	}
	for i, d := range w.Team.Duty {
		if d.Addresses[0].At == number {
			return 1000 + i
		}
	}
	return 500
}

// to is the beginning of the line of a text.
func (w *World) to(out bot.Outgoing) string {
	for _, d := range w.Team.Duty {
		if d.Addresses[0] == out.To {
			return "page " + d.Name + ": "
		}
	}
	if i := slices.IndexFunc(w.People, func(p Person) bool { return p.ID == out.Patient }); i >= 0 {
		in := ""
		if out.To.Channel == Chat {
			in = " in the chat"
		}
		if len(w.People) == 1 {
			return "lookout" + in + ": "
		}
		return "lookout to " + w.People[i].Name + in + ": "
	}
	return "lookout to 0" + strings.TrimPrefix(out.To.At, "+44") + ": "
}

// name is a person's name, or the given word when there is only one.
func (w *World) name(p Person, alone string) string {
	if len(w.People) == 1 {
		return alone
	}
	return p.Name
}

var shiftForm = regexp.MustCompile(`^\+(\d{1,3})([mhdw])$`)

// moved is the time that a clock line means. Days are days of the calendar, also
// when the clocks change between them.
func moved(now time.Time, what string) (time.Time, error) {
	if m := shiftForm.FindStringSubmatch(what); m != nil {
		n, _ := strconv.Atoi(m[1])
		switch m[2] {
		case "m":
			return now.Add(time.Duration(n) * time.Minute), nil
		case "h":
			return now.Add(time.Duration(n) * time.Hour), nil
		case "d":
			return now.AddDate(0, 0, n), nil
		}
		return now.AddDate(0, 0, 7*n), nil
	}
	return clockTime(what, now.Location())
}

// clockTime reads a day and a time, and holds the weekday to the day.
func clockTime(what string, zone *time.Location) (time.Time, error) {
	const form = "Mon 2 Jan 2006 15:04"
	at, err := time.ParseInLocation(form, what, zone)
	if err != nil || at.Format(form) != what {
		return time.Time{}, fmt.Errorf("%q is no time like Mon 2 Mar 2026 09:00 or +2d, or its weekday is another", what)
	}
	return at, nil
}

// e164 reads a made-up number (07700 900000 to 900999), and no other.
func e164(local string) (string, bool) {
	if !regexp.MustCompile(`^07700900\d{3}$`).MatchString(local) {
		return "", false
	}
	return "+44" + local[1:], true
}
