package bot_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

var update = flag.Bool("update", false, "write what conversations are now into their files; read the difference before you commit it")

var shippedPack = sync.OnceValues(func() (*content.Pack, error) { return content.Load(content.Embedded()) })

// Every conversation of content/conversations goes as its file says: the same
// texts, pages, rows and states, and none besides. The README there is the
// contract of the format.
func TestWholeConversations(t *testing.T) {
	files, err := filepath.Glob("../content/conversations/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conversations:", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			talks, err := readConversations(file, string(text))
			if err != nil {
				t.Fatal(err)
			}
			var now []string
			for i, talk := range talks {
				if i > 0 {
					now = append(now, dashes)
				}
				now = append(now, talk.play(t)...)
			}
			was := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			if slices.Equal(was, now) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			line := 0
			for line < min(len(was), len(now)) && was[line] == now[line] {
				line++
			}
			t.Errorf("%s:%d: it goes otherwise (-file +now):\n%s", file, line+1, gocmp.Diff(was, now))
		})
	}
}

// world is one team with its patients, its store and its clock, and a carrier
// that only notes what it is given.
type world struct {
	*bot.Bot
	t      *testing.T
	store  bot.Store
	pack   *content.Pack
	now    time.Time
	team   *bot.Service
	people []person
	inbox  int // numbers what comes in

	mu   sync.Mutex
	sent []bot.Outgoing
	dead map[string]bool // numbers that no text reaches

	rows     map[string]string // as they were told last, by id
	statuses map[string]bot.Status
	journal  map[string]int64 // how far each journal has been told
	last     map[string]bot.Outgoing
}

// person is somebody who was enrolled.
type person struct{ id, name, phone string }

const smsChannel = "sms"

func newWorld(t *testing.T, c *conversation) *world {
	t.Helper()
	pack, err := shippedPack()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t: t, store: store, pack: pack, now: c.begin, dead: map[string]bool{}, rows: map[string]string{},
		statuses: map[string]bot.Status{}, journal: map[string]int64{}, last: map[string]bot.Outgoing{}}
	w.team = &bot.Service{ID: "anytown", Name: "Anytown breast nurses", Nation: c.nation, Location: zone, OpenAccess: !c.closedDoor,
		NurseLine: "01632 960001", CancerLine: "01632 960002", Promise: bot.DefaultPromise, PageEvery: 5 * time.Minute, Lease: 30 * time.Minute,
		Hours:   bot.Hours{Location: zone, Closed: func(day time.Time) string { return pack.Holiday(c.nation, day) }},
		Sending: bot.Sending{From: 10 * 60, To: 16 * 60, Before: time.Hour}, Duty: c.duty}
	for day := time.Monday; day <= time.Friday; day++ {
		w.team.Hours.Week[day] = []bot.Spell{{From: 9 * 60, To: 17 * 60}}
	}
	w.Bot, err = bot.New(t.Context(), bot.Config{Store: store, Content: pack, Service: w.team, PublicURL: "https://lookout.example.nhs.uk",
		Now: func() time.Time { return w.now }, Random: rand.NewChaCha8([32]byte{}), Outlets: map[string]bot.Outlet{smsChannel: {Sender: w, Lease: time.Minute, JoinUpTo: 300}}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Send notes a message, as the carrier.
func (w *world) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead[out.To.At] {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "21211", Obstacle: bot.ObstacleDead, Err: errors.New("no such number")}
	}
	w.sent = append(w.sent, out)
	return bot.Sent{CarrierID: fmt.Sprintf("out-%s", out.ID)}, nil
}

// play plays a conversation, and gives it as it is now.
func (c *conversation) play(t *testing.T) []string {
	t.Helper()
	w := newWorld(t, c)
	lines := slices.Clone(c.heading)
	for _, e := range c.enrolments {
		p, err := w.Enrol(t.Context(), e, "Ann")
		if err != nil {
			t.Fatalf("%s: %v", c.at(0), err)
		}
		w.people = append(w.people, person{p.ID, e.GivenName, e.Phone})
		w.statuses[p.ID] = p.Status
		if e.ConsentSMS {
			w.statuses[p.ID] = bot.Active
		}
	}
	enrolled := w.happened(c.at(0))
	if len(enrolled) > 0 {
		lines = append(lines, keep(enrolled, c.opening)...)
	}
	for _, turn := range c.turns {
		lines = append(lines, turn.remarks...)
		lines = append(lines, turn.does)
		outs, err := w.do(c, turn)
		if err != nil {
			t.Fatalf("%s: %v", c.at(turn.line), err)
		}
		if len(outs) == 0 {
			outs = []string{nothing}
		}
		lines = append(lines, keep(outs, turn.outs)...)
	}
	return append(lines, c.closing...)
}

// keep gives what happened, with the file's own shortened line for each that it
// is the beginning of.
func keep(outs, file []string) []string {
	kept := slices.Clone(outs)
	for i, out := range kept {
		for _, line := range file {
			if begin, ok := strings.CutSuffix(line, "…"); ok && strings.HasPrefix(out, begin) {
				kept[i] = line
				break
			}
		}
	}
	return kept
}

// do carries one turn out, and gives what came of it.
func (w *world) do(c *conversation, turn turn) ([]string, error) {
	who, what, _ := strings.Cut(turn.does, ": ")
	at := c.at(turn.line)
	var err error
	switch who {
	case "clock":
		until, err := moved(w.now, what)
		if err != nil {
			return nil, err
		}
		return w.wait(at, until)
	case "desk":
		err = w.desk(what)
	case "carrier":
		err = w.carrier(what)
	default:
		err = w.writes(who, what)
	}
	var outs []string
	if err != nil {
		if !errors.Is(err, bot.ErrRefused) && !errors.Is(err, bot.ErrConflict) {
			return nil, err
		}
		outs = []string{"refused: " + strings.TrimPrefix(err.Error(), bot.ErrRefused.Error()+": ")}
	}
	return append(outs, w.happened(at)...), nil
}

var modifier = regexp.MustCompile(`^(\S+)(?: \((photo|carrier STOP|carrier START)\))?$`)

// writes takes in a text of somebody's.
func (w *world) writes(who, words string) error {
	m := modifier.FindStringSubmatch(who)
	if m == nil {
		return fmt.Errorf("%q is nobody who writes", who)
	}
	number, err := w.number(m[1])
	if err != nil {
		return err
	}
	w.inbox++
	in := bot.Inbound{From: bot.Address{Channel: smsChannel, At: number}, Text: words, CarrierID: fmt.Sprintf("in-%d", w.inbox)}
	switch m[2] {
	case "photo":
		in.Media = []bot.Media{{URL: "https://media.example/1", Type: "image/jpeg"}}
	case "carrier STOP", "carrier START":
		in.OptOut = strings.TrimPrefix(m[2], "carrier ")
	}
	return w.Receive(w.t.Context(), in)
}

// person is who is meant by a name, or by "her" when there is only one.
func (w *world) person(name string) (person, error) {
	if (name == "her" || name == "") && len(w.people) == 1 {
		return w.people[0], nil
	}
	if i := slices.IndexFunc(w.people, func(p person) bool { return p.name == name }); i >= 0 {
		return w.people[i], nil
	}
	return person{}, fmt.Errorf("%q is none of the patients, or there are several", name)
}

// number is whose phone is meant, in full.
func (w *world) number(name string) (string, error) {
	for _, d := range w.team.Duty {
		if d.Name == name {
			return d.Addresses[0].At, nil
		}
	}
	if number, ok := e164(name); ok {
		return number, nil
	}
	p, err := w.person(name)
	return p.phone, err
}

// acts are what can be done at the desk. The first group of each is who does it.
var acts = []struct {
	form *regexp.Regexp
	do   func(w *world, m []string) error
}{
	{regexp.MustCompile(`^(\w+) takes ` + rowForm + `$`), func(w *world, m []string) error {
		return w.onRow(m, func(row string) error { _, err := w.Take(w.t.Context(), bot.Act{Row: row, By: m[1]}); return err })
	}},
	{regexp.MustCompile(`^(\w+) gives back ` + rowForm + `$`), func(w *world, m []string) error {
		return w.onRow(m, func(row string) error { _, err := w.Release(w.t.Context(), bot.Act{Row: row, By: m[1]}); return err })
	}},
	{regexp.MustCompile(`^(\w+) rings about ` + rowForm + `: (.+)$`), func(w *world, m []string) error {
		return w.onRow(m, func(row string) error { _, err := w.Ring(w.t.Context(), bot.Act{Row: row, By: m[1]}, m[4]); return err })
	}},
	{regexp.MustCompile(`^(\w+) notes on ` + rowForm + `: (.+)$`), func(w *world, m []string) error {
		return w.onRow(m, func(row string) error { _, err := w.Note(w.t.Context(), bot.Act{Row: row, By: m[1]}, m[4]); return err })
	}},
	{regexp.MustCompile(`^(\w+) puts off ` + rowForm + ` until (\w{3} \d+ \w{3} \d{4} \d\d:\d\d): (.+)$`), func(w *world, m []string) error {
		until, err := clockTime(m[4], w.now.Location())
		if err != nil {
			return err
		}
		return w.onRow(m, func(row string) error {
			_, err := w.PutOff(w.t.Context(), bot.Act{Row: row, By: m[1]}, until, m[5])
			return err
		})
	}},
	{regexp.MustCompile(`^(\w+) closes ` + rowForm + `: (.+)$`), func(w *world, m []string) error {
		return w.onRow(m, func(row string) error {
			_, err := w.CloseRow(w.t.Context(), bot.Closing{Row: row, By: m[1], Outcome: m[4]})
			return err
		})
	}},
	{regexp.MustCompile(`^(\w+) starts ([a-z-]+)(?: with (\w+))?$`), func(w *world, m []string) error {
		p, err := w.person(m[3])
		if err != nil {
			return err
		}
		return w.Start(w.t.Context(), p.id, m[2], m[1])
	}},
	{regexp.MustCompile(`^(\w+) texts(?: (\w+))?: (.+)$`), func(w *world, m []string) error {
		p, err := w.person(m[2])
		if err != nil {
			return err
		}
		say := bot.Saying{Patient: p.id, By: m[1], Words: m[3]}
		if w.pack.HasText(m[3]) {
			say.TextID, say.Words = m[3], ""
		}
		return w.Say(w.t.Context(), say)
	}},
}

// rowForm names a row that is not closed by its concern.
const rowForm = `([a-z-]+)(?: of (\w+))?`

// onRow finds the row that an act names, and does it.
func (w *world) onRow(m []string, act func(row string) error) error {
	filter := bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}}
	if m[3] != "" {
		p, err := w.person(m[3])
		if err != nil {
			return err
		}
		filter.Patient = p.id
	}
	rows, err := w.Queue(w.t.Context(), filter)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r bot.Row) bool { return r.Concern != m[2] })
	if len(rows) != 1 {
		return fmt.Errorf("%d rows that are not closed are about %s: name one", len(rows), m[2])
	}
	return act(rows[0].ID)
}

func (w *world) desk(what string) error {
	for _, act := range acts {
		if m := act.form.FindStringSubmatch(what); m != nil {
			return act.do(w, m)
		}
	}
	return fmt.Errorf("%q is nothing that is done at the desk", what)
}

var (
	deadForm        = regexp.MustCompile(`^(\w+?)(?:'s)? phone is dead$`)
	undeliveredForm = regexp.MustCompile(`^the last text to (\w+) was not delivered$`)
)

func (w *world) carrier(what string) error {
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
	return w.DeliveryReceipt(w.t.Context(), bot.DeliveryReceipt{Outgoing: out.ID, State: bot.OutUndelivered, Code: "30003", Obstacle: bot.ObstacleOff})
}

// maxDue bounds what one turn of the clock may set off, so that a file stays one
// that can be read.
const maxDue = 200

// wait turns the clock, from one thing that falls due to the next.
func (w *world) wait(at string, until time.Time) ([]string, error) {
	if until.Before(w.now) {
		return nil, errors.New("the clock does not run backwards")
	}
	day := w.now.Format(time.DateOnly)
	var outs []string
	for range maxDue {
		due, err := w.store.Due(w.t.Context(), until, 1)
		if err != nil {
			return nil, err
		}
		if len(due) == 0 {
			w.now = until
			return outs, nil
		}
		if due[0].At.After(w.now) {
			w.now = due[0].At.In(w.team.Location)
		}
		if _, err := w.Wake(w.t.Context()); err != nil {
			return nil, err
		}
		happened := w.happened(at)
		if len(happened) == 0 {
			continue
		}
		// Only what is paged, and what is promised, has a minute that does not hang
		// on her place in the sending hours, which is chance.
		exact := slices.ContainsFunc(happened, func(line string) bool { return strings.HasPrefix(line, "page ") })
		if today := w.now.Format(time.DateOnly); exact {
			outs = append(outs, "then: "+w.now.Format("Mon 2 Jan 15:04"))
			day = today
		} else if today != day {
			outs = append(outs, "then: "+w.now.Format("Mon 2 Jan"))
			day = today
		}
		outs = append(outs, happened...)
	}
	return nil, fmt.Errorf("more than %d things fall due: is an emergency paged that nobody takes? At the end:\n%s", maxDue, strings.Join(outs[max(0, len(outs)-9):], "\n"))
}

// happened delivers what waits, and tells what is new since it was asked last.
func (w *world) happened(at string) []string {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.Deliver(ctx); err != nil {
		w.t.Fatalf("%s: %v", at, err)
	}
	var lines []string
	sent := w.sent
	w.sent = nil
	// Several go at once; each person's own come in their order.
	slices.SortStableFunc(sent, func(a, b bot.Outgoing) int {
		return cmp.Or(cmp.Compare(w.place(a.To.At), w.place(b.To.At)), strings.Compare(a.To.At, b.To.At))
	})
	for _, out := range sent {
		w.last[out.To.At] = out
		w.allowed(at, out)
		lines = append(lines, w.to(out)+strings.ReplaceAll(out.Text, "\n", " / "))
	}
	for _, p := range w.people {
		now, err := w.Patient(ctx, p.id)
		if err != nil {
			w.t.Fatalf("%s: %v", at, err)
		}
		if now.Status != w.statuses[p.id] {
			w.statuses[p.id] = now.Status
			lines = append(lines, fmt.Sprintf("%s is: %s", w.name(p, "she"), now.Status))
		}
		entries, err := w.store.Journal(ctx, p.id, w.journal[p.id], 0)
		if err != nil {
			w.t.Fatalf("%s: %v", at, err)
		}
		for _, e := range entries {
			w.journal[p.id] = e.Seq
			if e.Kind == bot.EntryPlan && strings.HasPrefix(e.Why, "dropped") {
				lines = append(lines, fmt.Sprintf("plan: %s dropped", e.Ref))
			}
		}
	}
	return append(lines, w.rowsNow(at)...)
}

// rowsNow tells the rows that are new or have changed.
func (w *world) rowsNow(at string) []string {
	rows, err := w.Queue(w.t.Context(), bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed}})
	if err != nil {
		w.t.Fatalf("%s: %v", at, err)
	}
	slices.SortFunc(rows, func(a, b bot.Row) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
	})
	var lines []string
	for _, r := range rows {
		line := "row: "
		if i := slices.IndexFunc(w.people, func(p person) bool { return p.id == r.Patient }); i < 0 {
			line += "unknown number, "
		} else if len(w.people) > 1 {
			line += w.people[i].name + ", "
		}
		line += fmt.Sprintf("%s %s, due %s", r.Level, r.Concern, r.DueAt.In(w.team.Location).Format("Mon 2 Jan 15:04"))
		switch {
		case r.State == bot.Claimed:
			line += ", taken by " + r.ClaimedBy
		case r.State == bot.Snoozed:
			line += ", put off until " + r.WakeAt.In(w.team.Location).Format("Mon 2 Jan 15:04")
		case r.State == bot.Closed:
			line += ", closed: " + r.Outcome
		case r.AckedBy != "":
			line += ", answered by " + r.AckedBy
		}
		if r.Spoke {
			line += ", spoken with"
		}
		line += ": “" + strings.ReplaceAll(r.Message, "\n", " / ") + "”"
		if w.rows[r.ID] != line {
			w.rows[r.ID] = line
			lines = append(lines, line)
		}
	}
	return lines
}

// allowed holds each text to what no conversation may break, whatever its file says.
func (w *world) allowed(at string, out bot.Outgoing) {
	w.t.Helper()
	local := w.now.In(w.team.Location)
	weekend := local.Weekday() == time.Saturday || local.Weekday() == time.Sunday
	if out.Priority == bot.PriorityPlanned && (weekend || local.Hour() < 10 || local.Hour() >= 16 || w.pack.Holiday(w.team.Nation, local) != "") {
		w.t.Errorf("%s: a text that she did not cause went on %s: %q", at, local.Format("Mon 2 Jan 15:04"), out.Text)
	}
	if i := slices.IndexFunc(w.people, func(p person) bool { return p.id == out.Patient }); i >= 0 && out.Priority == bot.PriorityPlanned {
		if p, err := w.Patient(w.t.Context(), out.Patient); err == nil && (p.Status == bot.Stopped || p.Status == bot.Ended) && out.TextID != "welcome.declined" {
			w.t.Errorf("%s: a text that she did not cause went though she is %s: %q", at, p.Status, out.Text)
		}
	}
}

// place orders telephones: patients, strangers, then nurses.
func (w *world) place(number string) int {
	if i := slices.IndexFunc(w.people, func(p person) bool { return p.phone == number }); i >= 0 {
		return i
	}
	for i, d := range w.team.Duty {
		if d.Addresses[0].At == number {
			return 1000 + i
		}
	}
	return 500
}

// to is the beginning of the line of a text.
func (w *world) to(out bot.Outgoing) string {
	for _, d := range w.team.Duty {
		if d.Addresses[0] == out.To {
			return "page " + d.Name + ": "
		}
	}
	if i := slices.IndexFunc(w.people, func(p person) bool { return p.id == out.Patient }); i >= 0 {
		if len(w.people) == 1 {
			return "lookout: "
		}
		return "lookout to " + w.people[i].name + ": "
	}
	return "lookout to 0" + strings.TrimPrefix(out.To.At, "+44") + ": "
}

// name is a person's name, or the given word when there is only one.
func (w *world) name(p person, alone string) string {
	if len(w.people) == 1 {
		return alone
	}
	return p.name
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
