package bot_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/flows/triage"
)

// carrier notes what leaves, by "channel address", and refuses what a test says.
type carrier struct {
	mu            sync.Mutex
	sent, refused []string // where to, since it was last asked
	text          map[string]string
	dead          map[string]bool
	ids           map[string]string // of what went last, by address
}

func (c *carrier) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead[out.To.At] {
		c.refused = append(c.refused, out.To.At)
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "550", Err: errors.New("refused")}
	}
	c.sent, c.text[out.To.At] = append(c.sent, out.To.At), out.Text
	if c.ids == nil {
		c.ids = map[string]string{}
	}
	c.ids[out.To.At] = out.ID
	return bot.Sent{CarrierID: out.ID}, nil
}

// last is the id of what went last to an address.
func (c *carrier) last(at string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[at]
}

// took gives where pages went since it was last asked, in order of the alphabet.
func (c *carrier) took() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.sent)
	all := strings.Join(c.sent, " ")
	c.sent = nil
	return all
}

// A nurse is paged in each way that the list has for her; a way that fails does not
// call the next nurse while another is open, and two that fail call her once.
func TestPageGoesByEveryWay(t *testing.T) {
	const phone, mail, lead, her = "+447700900900", "ann@example.nhs.uk", "+447700900901", "+447700900101"
	for _, c := range []struct {
		name         string
		dead         []string
		first, later string
	}{
		{"both ways are open", nil, phone + " " + mail, lead},
		{"the phone is dead", []string{phone}, mail, lead},
		{"the mailbox is full", []string{mail}, phone, lead},
		{"both are dead: the next at once, and once", []string{phone, mail}, lead, ""}, // it is her turn again
	} {
		t.Run(c.name, func(t *testing.T) {
			at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
			out := &carrier{text: map[string]string{}, dead: map[string]bool{}}
			for _, a := range c.dead {
				out.dead[a] = true
			}
			outlet := bot.Outlet{Sender: out, Lease: time.Minute}
			b, team := newBot(t, &at, map[string]bot.Outlet{"sms": outlet, "email": outlet})
			team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: phone}, {Channel: "email", At: mail}}},
				{Name: "Bea", Addresses: []bot.Address{{Channel: "sms", At: lead}}}}
			if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: her, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
				t.Fatal(err)
			}
			deliver := func() string {
				t.Helper()
				if _, err := b.Wake(t.Context()); err != nil {
					t.Fatal(err)
				}
				for range 3 { // a page that failed makes the next
					if _, err := b.Deliver(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return out.took()
			}
			deliver()
			if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: her}, Text: "I cant breathe, chest pain", CarrierID: "SM1"}); err != nil {
				t.Fatal(err)
			}
			if got, want := deliver(), her; strings.TrimSpace(strings.Replace(got, want, "", 1)) != c.first {
				t.Errorf("paged %q, want %q", got, c.first)
			}
			if words, ok := out.text[mail]; ok && (strings.Contains(words, "Reply ACK") || !strings.Contains(words, "/desk/") || strings.Contains(words, "Mary")) {
				t.Errorf("the e-mail says %q: nobody reads an answer to it, and it names nobody", words)
			}
			at = at.Add(2 * time.Minute)
			if got := deliver(); c.later != "" && got != c.later {
				t.Errorf("two minutes later %q was paged, want %q", got, c.later)
			}
			rows, err := b.Queue(t.Context(), bot.QueueFilter{})
			if err != nil || len(rows) != 1 || rows[0].Level != triage.Emergency {
				t.Fatalf("%v, %v", rows, err)
			}
			if _, err := b.Take(t.Context(), bot.Act{Row: rows[0].ID, By: "ann"}); err != nil {
				t.Fatal(err)
			}
			at = at.Add(2 * time.Minute)
			if got := deliver(); got != "" {
				t.Errorf("%q was paged though the row is taken", got)
			}
		})
	}
}

// partly is a store of which a part does not answer when messages are settled: those of the
// other parts are.
type partly struct {
	bot.Store
	silent bool
}

func (s *partly) Settle(ctx context.Context, settlements ...bot.Settlement) error {
	err := s.Store.Settle(ctx, settlements...)
	if s.silent && err == nil {
		err = fmt.Errorf("%w: one of them cannot be settled", bot.ErrUnavailable)
	}
	return err
}

// A page that was refused calls the next nurse, though the store did not settle all that was
// sent beside it.
func TestARefusedPageCallsTheNextWhateverElseIsSettled(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	out := &carrier{text: map[string]string{}, dead: map[string]bool{annsPhone: true}}
	store := &partly{Store: newStore(t)}
	b, team := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: out, Lease: time.Minute}})
	team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: annsPhone}}}, {Name: "Bea", Addresses: []bot.Address{{Channel: "sms", At: beasPhone}}}}
	if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
		t.Fatal(err)
	}
	store.silent = true
	if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: herPhone}, Text: "I cant breathe, chest pain", CarrierID: "SM1"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := b.Deliver(t.Context()); !errors.Is(err, bot.ErrUnavailable) {
			t.Fatalf("what is not settled is told as %v", err)
		}
	}
	if got := out.took(); !strings.Contains(got, beasPhone) {
		t.Errorf("sent to %q, want a page to Bea", got)
	}
}

// faster is a store in which a colleague acts while a nurse's word is looked up.
type faster struct {
	bot.Store
	act func()
}

func (f *faster) Queue(ctx context.Context, filter bot.QueueFilter) ([]bot.Row, error) {
	rows, err := f.Store.Queue(ctx, filter)
	if act := f.act; act != nil && len(rows) > 0 {
		f.act = nil
		act()
	}
	return rows, err
}

// A nurse whose colleague takes the row in the moment in which she answers is told
// that nothing waits for her: her word is never left without an answer.
func TestAckThatComesAMomentLateIsAnswered(t *testing.T) {
	const nurse, her = "+447700900900", "+447700900101"
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	out := &carrier{text: map[string]string{}, dead: map[string]bool{}}
	outlets := map[string]bot.Outlet{"sms": {Sender: out, Lease: time.Minute}}
	first, team := newBot(t, &at, outlets)
	team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: nurse}}}}
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "lookout.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	between := &faster{Store: store}
	b, err := bot.New(t.Context(), bot.Config{Store: between, Content: first.Content(), Service: team, PublicURL: "http://x", Outlets: outlets, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	receive := func(from, id, words string) {
		t.Helper()
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: from}, Text: words, CarrierID: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: her, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"); err != nil {
		t.Fatal(err)
	}
	receive(her, "SM1", "I cant breathe, chest pain")
	rows, err := b.Queue(t.Context(), bot.QueueFilter{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	between.act = func() {
		if _, err := b.Take(t.Context(), bot.Act{Row: rows[0].ID, By: "bea"}); err != nil {
			t.Error(err)
		}
	}
	receive(nurse, "SM2", "ACK")
	if want := "no page waits for " + rows[0].Name(); !strings.Contains(out.text[nurse], want) {
		t.Errorf("she was answered: %q, want %q", out.text[nurse], want)
	}
	if row, err := b.Row(t.Context(), rows[0].ID); err != nil || row.AckedBy != "" || row.ClaimedBy != "bea" {
		t.Errorf("%+v, %v", row, err)
	}
}

// Trap: an old acknowledgement pages nobody once the row is closed, however long ago it was;
// nor does one that comes after the closing.
func TestAnOldAcknowledgementPagesNobodyAfterClosing(t *testing.T) {
	w := newWard(t)
	row := w.writes("my chest is tight and I cant breathe")
	if to := w.deliver(); !strings.Contains(to, annsPhone) {
		t.Fatalf("an emergency pages %q", to)
	}
	ack := func(id string) {
		t.Helper()
		if err := w.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: annsPhone}, Text: "ACK", CarrierID: id}); err != nil {
			t.Fatal(err)
		}
		w.deliver()
	}
	ack("SMack1")
	if by := w.row(row.ID).AckedBy; by != "Ann" {
		t.Fatalf("acknowledged by %q", by)
	}
	act := bot.Act{Row: row.ID, By: "bea@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), act))
	must[bot.Row](w)(w.Ring(t.Context(), act, "spoke"))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: act.By, Outcome: "emergency"}))
	w.deliver()
	ack("SMack2")
	for _, later := range []time.Duration{time.Minute, 40 * time.Minute, 24 * time.Hour, 120 * 24 * time.Hour} {
		w.at = w.at.Add(later)
		for _, phone := range []string{annsPhone, beasPhone, carPhone} {
			if to := w.deliver(); strings.Contains(to, phone) {
				t.Errorf("%s later %s is paged", later, phone)
			}
		}
	}
}

// twoPages is a ward in which two rows are open of one level and one minute, both of which
// Ann is paged for, the one of the cord first.
func twoPages(t *testing.T) (w *ward, cord, chest bot.Row) {
	t.Helper()
	w = newWard(t)
	w.writes("cant feel my legs")
	w.at = w.at.Add(time.Second)
	w.writes("crushing pain in my chest")
	w.deliver()
	for _, row := range must[[]bot.Row](w)(w.Queue(t.Context(), bot.QueueFilter{})) {
		switch {
		case row.PagedTo != "Ann" || row.Level != triage.Emergency:
			t.Fatalf("a row that Ann is not paged for: %+v", row)
		case row.Concern == "cord":
			cord = row
		default:
			chest = row
		}
	}
	if cord.Name() == chest.Name() || cord.ID == chest.ID {
		t.Fatalf("two rows of one name: %+v, %+v", cord, chest)
	}
	return w, cord, chest
}

// answer takes in a nurse's word, and gives what she is told.
func (w *ward) answer(phone, words string) string {
	w.Helper()
	w.n++
	if err := w.Receive(w.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: phone}, Text: words, CarrierID: fmt.Sprint("SM", w.n)}); err != nil {
		w.Fatal(err)
	}
	w.out.text[phone] = ""
	w.deliver()
	return w.out.text[phone]
}

// An answer goes to the row that it names, as people write it.
func TestAnAnswerGoesToTheRowThatItNames(t *testing.T) {
	t.Run("ACK", func(t *testing.T) {
		w, cord, chest := twoPages(t)
		name := cord.Name()
		for _, form := range []string{"ACK %s", "ack %s", "Ack%s", "ACK.%s.", "ack row %s", "ACK: Row %s!", " ACK  %s, thank you", "ack I have %s", "ACK " + name[:2] + " " + name[2:]} {
			words := strings.Replace(form, "%s", strings.ToLower(name), 1)
			told := w.answer(annsPhone, words)
			if !strings.Contains(told, "you have row "+name) || !strings.Contains(told, "Still waiting (1): "+chest.Name()+".") {
				t.Errorf("%q was answered %q", words, told)
			}
			if got, other := w.row(cord.ID).AckedBy, w.row(chest.ID).AckedBy; got != "Ann" || other != "" {
				t.Fatalf("%q was taken for the rows of %q and %q", words, got, other)
			}
		}
	})
	t.Run("PASS", func(t *testing.T) {
		w, cord, chest := twoPages(t)
		told := w.answer(annsPhone, "pass "+strings.ToLower(cord.Name())+".")
		if !strings.Contains(told, "row "+cord.Name()+" is passed") || !strings.Contains(told, "Still waiting (1): "+chest.Name()) {
			t.Errorf("she was answered %q", told)
		}
		if got, other := w.row(cord.ID).PagedTo, w.row(chest.ID).PagedTo; got != "Bea" || other != "Ann" {
			t.Errorf("%s and %s are paged for them", got, other)
		}
		if page := w.out.text[beasPhone]; !strings.Contains(page, "Row "+cord.Name()+".") || !strings.Contains(page, "ACK "+cord.Name()+" ") || !strings.Contains(page, "PASS "+cord.Name()+" ") {
			t.Errorf("Bea was paged %q", page)
		}
	})
	t.Run("a row that another is paged for", func(t *testing.T) {
		w, cord, chest := twoPages(t)
		w.answer(annsPhone, "PASS "+cord.Name())
		w.answer(annsPhone, "ack "+cord.Name()) // she thinks again
		if got, other := w.row(cord.ID).AckedBy, w.row(chest.ID).AckedBy; got != "Ann" || other != "" {
			t.Errorf("answered by %q and %q", got, other)
		}
	})
	t.Run("PASS after ACK", func(t *testing.T) {
		w, cord, _ := twoPages(t)
		w.answer(annsPhone, "ack "+cord.Name())
		w.answer(annsPhone, "pass "+cord.Name())
		if row := w.row(cord.ID); row.AckedBy != "" || row.PagedTo != "Bea" {
			t.Errorf("she has passed it on, and the row is %+v", row)
		}
	})
}

// ACK alone is for the newest of the rows whose pages that phone has; she is told which it
// was and which wait still, and of one nothing more.
func TestAckAloneSaysWhichRowItTook(t *testing.T) {
	w, cord, chest := twoPages(t)
	told := w.answer(annsPhone, "ACK")
	if !strings.Contains(told, "you have row "+chest.Name()) || !strings.Contains(told, "Still waiting (1): "+cord.Name()+".") {
		t.Errorf("the first ACK was answered %q", told)
	}
	if told = w.answer(annsPhone, "ack, 10pm"); told != "Lookout: you have row "+cord.Name()+". Please take it on the desk and ring her." {
		t.Errorf("the second was answered %q", told)
	}
	for _, row := range []bot.Row{cord, chest} {
		if by := w.row(row.ID).AckedBy; by != "Ann" {
			t.Errorf("row %s was answered by %q", row.Name(), by)
		}
	}
	if told = w.answer(annsPhone, "ACK"); !strings.Contains(told, "nothing waits") {
		t.Errorf("the third was answered %q", told)
	}
}

// A name that no page waits for takes nothing, and is answered with those that wait.
func TestANameThatNoPageWaitsForTakesNothing(t *testing.T) {
	w, cord, chest := twoPages(t)
	for said, name := range map[string]string{"ACK c2c2": "C2C2", "pass C2C": "C2C", "ack row cord": "CORD", "ACKC2C2": "C2C2", "ACK 22cc": "22CC"} {
		told := w.answer(annsPhone, said)
		if !strings.Contains(told, "no page waits for "+name+". Waiting (2): ") || !strings.Contains(told, cord.Name()) || !strings.Contains(told, chest.Name()) {
			t.Errorf("%q was answered %q", said, told)
		}
	}
	for _, row := range []bot.Row{cord, chest} {
		if r := w.row(row.ID); r.AckedBy != "" || r.PagedTo != "Ann" {
			t.Errorf("row %s was answered by %q, and %q is paged", row.Name(), r.AckedBy, r.PagedTo)
		}
	}
	w.answer(annsPhone, "ACK "+cord.Name())
	if told := w.answer(beasPhone, "PASS "+cord.Name()); !strings.Contains(told, "no page waits for "+cord.Name()+". Waiting (1): "+chest.Name()) {
		t.Errorf("a colleague has it, and she was answered %q", told)
	}
	if by := w.row(cord.ID).AckedBy; by != "Ann" {
		t.Errorf("it is %q's now", by)
	}
	w.answer(annsPhone, "ACK")
	if told := w.answer(beasPhone, "ack c2c2"); !strings.Contains(told, "no page waits for C2C2.") || !strings.Contains(told, "Nothing waits") {
		t.Errorf("nothing waits, and she was answered %q", told)
	}
}

// Words that are no name take nothing from an answer, though they have a name's letters: it
// is for the newest, and she is told which. A row's name counts wherever it stands, and of a
// row that waits no more too.
func TestWordsBehindAnAnswerAreNoNames(t *testing.T) {
	for _, words := range []string{"ACK thnx", "ACK HMMM", "ack hmmm thnx", "ACK, ringing her from ward C23D", "ACKthnx", "ack gp knws"} {
		w, _, chest := twoPages(t)
		if told := w.answer(annsPhone, words); !strings.Contains(told, "you have row "+chest.Name()) || w.row(chest.ID).AckedBy != "Ann" {
			t.Errorf("%q was answered %q", words, told)
		}
	}
	w, cord, _ := twoPages(t)
	if told := w.answer(annsPhone, "ack, thnx, going to "+cord.Name()+" now"); !strings.Contains(told, "you have row "+cord.Name()) {
		t.Errorf("she was answered %q", told)
	}
}

// The name of a row that has letters only, and is taken or closed, is a name still.
func TestTheNameOfARowThatWaitsNoMoreTakesNoOther(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	for range 200 {
		if strings.Trim(row.Name(), "CDFGHJKMNPQRTVWX") == "" {
			break
		}
		act := bot.Act{Row: row.ID, By: "bea@example.org"}
		must[bot.Row](w)(w.Take(t.Context(), act))
		must[bot.Row](w)(w.Ring(t.Context(), act, "spoke"))
		must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: act.By, Outcome: "advice"}))
		w.at = w.at.Add(time.Minute)
		row = w.writes("found a lump in my breast")
	}
	act := bot.Act{Row: row.ID, By: "bea@example.org"}
	must[bot.Row](w)(w.Take(t.Context(), act))
	must[bot.Row](w)(w.Ring(t.Context(), act, "spoke"))
	must[bot.Row](w)(w.CloseRow(t.Context(), bot.Closing{Row: row.ID, By: act.By, Outcome: "advice"}))
	w.at = w.at.Add(time.Minute)
	cord := w.writes("cant feel my legs")
	w.deliver()
	if told := w.answer(annsPhone, "ACK "+row.Name()); !strings.Contains(told, "no page waits for "+row.Name()) || w.row(cord.ID).AckedBy != "" {
		t.Errorf("row %s is closed, and she was answered %q", row.Name(), told)
	}
}

// A promise's page that is passed on reaches the next of the list, for a row below urgent
// and one that is put off too, and says that it is a promise.
func TestAPromisePassedOnReachesTheNext(t *testing.T) {
	for _, putOff := range []bool{false, true} {
		w := newWard(t)
		row := w.writes("found a lump in my breast")
		w.at = row.DueAt.Add(-61 * time.Minute)
		if putOff {
			must[bot.Row](w)(w.PutOff(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org"}, row.DueAt.Add(-30*time.Minute), "after clinic"))
		}
		w.at = row.DueAt.Add(-59 * time.Minute)
		if to := w.deliver(); row.Level != triage.Soon || !strings.Contains(to, carPhone) {
			t.Fatalf("%s: %q are paged", row.Level, to)
		}
		if told := w.answer(carPhone, "PASS"); !strings.Contains(told, "row "+row.Name()+" is passed") {
			t.Errorf("she was answered %q", told)
		}
		if page := w.out.text[annsPhone]; !strings.Contains(page, "a promise (soon, by ") || !strings.Contains(page, row.Name()) {
			t.Errorf("put off: %t: Ann was paged %q", putOff, page)
		}
		w.answer(annsPhone, "PASS")
		if page := w.out.text[beasPhone]; !strings.Contains(page, "a promise (soon, by ") {
			t.Errorf("put off: %t: Bea was paged %q", putOff, page)
		}
	}
}

// Nobody is paged for an urgent row as long as a nurse has put it off; then the first of the
// list is.
func TestARowThatIsPutOffIsPagedForWhenItComesBack(t *testing.T) {
	w := newWard(t)
	row := w.writes("my calf is swollen hot and painful")
	back := row.DueAt.Add(-2 * time.Hour)
	must[bot.Row](w)(w.PutOff(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org"}, back, "after clinic"))
	w.deliver()
	for w.at = w.at.Add(w.team.Promise.Untaken); w.at.Before(back); w.at = w.at.Add(20 * time.Minute) {
		if to := w.deliver(); to != "" {
			t.Errorf("at %s %q are paged", w.at.Format("15:04"), to)
		}
	}
	w.at = back
	if to := w.deliver(); row.Level != triage.Urgent || to != annsPhone {
		t.Errorf("%s: it is back, and %q are paged", row.Level, to)
	}
}

// Whoever is on call is paged for a promise of a row below urgent when the lead cannot be
// reached, and the next when she cannot either.
func TestAPromiseThatCannotReachTheLeadReachesTheNext(t *testing.T) {
	w := newWard(t)
	row := w.writes("found a lump in my breast")
	w.out.dead[carPhone], w.out.dead[annsPhone] = true, true
	w.at = row.DueAt.Add(-59 * time.Minute)
	w.deliver()
	w.deliver()
	if r, page := w.row(row.ID), w.out.text[beasPhone]; r.PagedTo != "Bea" || !strings.Contains(page, "a promise (soon, by ") {
		t.Errorf("%s is paged, and Bea has %q", r.PagedTo, page)
	}
}

// The next of the list is paged where a nurse has a row, has not spoken with her in time,
// and the lead cannot be reached; once round, and no further.
func TestAMissedPromiseOfAHeldRowReachesSomebody(t *testing.T) {
	w := newWard(t)
	row := w.writes("my calf is swollen hot and painful")
	w.at = row.DueAt.Add(-time.Minute)
	must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org", Seen: row.Changed}))
	w.deliver()
	w.out.dead[carPhone], w.out.dead[annsPhone] = true, true
	w.at = row.DueAt
	w.deliver()
	w.deliver()
	if page := w.out.text[beasPhone]; row.Level != triage.Urgent || !strings.Contains(page, "a promise (urgent, ") || !strings.Contains(page, row.Name()) {
		t.Errorf("%s: Bea has %q", row.Level, page)
	}
	delete(w.out.text, beasPhone)
	w.out.dead[beasPhone] = true
	for range 4 {
		w.at = w.at.Add(time.Minute)
		w.deliver()
	}
	if page := w.out.text[beasPhone]; page != "" {
		t.Errorf("Bea was paged again: %q", page)
	}
}

// Who takes an urgent row has taken no emergency: when it becomes one, it is nobody's, and
// everybody is paged.
func TestAHeldRowThatBecomesAnEmergencyIsPagedFor(t *testing.T) {
	w := newWard(t)
	row := w.writes("im breathless walking across the room")
	must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org", Seen: row.Changed}))
	w.deliver()
	w.at = w.at.Add(time.Minute)
	now := w.writes("now I cant breathe at all")
	if to := w.deliver(); row.Level != triage.Urgent || now.ID != row.ID || now.Level != triage.Emergency || !strings.Contains(to, annsPhone) {
		t.Errorf("%s, then %s (the same row: %t): %q are paged", row.Level, now.Level, now.ID == row.ID, to)
	}
	if now.State != bot.Open || now.ClaimedBy != "" {
		t.Errorf("it is %s, held by %q", now.State, now.ClaimedBy)
	}
}

// A row that is put off, and that a nurse then says is an emergency, is paged for once.
func TestARowThatIsPutOffAndRaisedIsPagedForOnce(t *testing.T) {
	w := newWard(t)
	row := w.writes("my calf is swollen hot and painful")
	must[bot.Row](w)(w.PutOff(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org"}, row.DueAt.Add(-2*time.Hour), "after clinic"))
	w.deliver()
	must[bot.Row](w)(w.WrongLevel(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org", Seen: w.row(row.ID).Changed}, triage.Emergency, "she is breathless too"))
	if to := w.deliver(); to != annsPhone {
		t.Errorf("%q are paged, want the first of the list, once", to)
	}
}

// What guards a promise fires anew when a nurse lets go of a row: a claim that ran over its
// time silences nobody's page for good.
func TestAPromiseIsGuardedAgainWhenARowIsLetGo(t *testing.T) {
	take := func(w *ward, row bot.Row) bot.Act {
		a := bot.Act{Row: row.ID, By: "bea@example.org", Seen: w.row(row.ID).Changed}
		must[bot.Row](w)(w.Take(t.Context(), a))
		a.Seen = w.row(row.ID).Changed
		return a
	}
	t.Run("urgent, and overdue", func(t *testing.T) {
		w := newWard(t)
		row := w.writes("my calf is swollen hot and painful")
		w.at = row.DueAt.Add(-10 * time.Minute)
		take(w, row)
		w.deliver()
		w.at = row.DueAt
		if to := w.deliver(); !strings.Contains(to, carPhone) {
			t.Errorf("it is due while Bea holds it: %q are paged, want the lead", to)
		}
		w.at = w.row(row.ID).ClaimUntil
		if to := w.deliver(); to != annsPhone {
			t.Errorf("her claim has run out: %q are paged, want the first of the list", to)
		}
	})
	t.Run("urgent, and given back", func(t *testing.T) {
		w := newWard(t)
		row := w.writes("my calf is swollen hot and painful")
		w.at = w.at.Add(w.team.Promise.Untaken)
		if to := w.deliver(); to == "" {
			t.Error("nobody has taken it, and nobody is paged")
		}
		a := take(w, row)
		w.at = w.at.Add(time.Minute)
		must[bot.Row](w)(w.Release(t.Context(), a))
		w.deliver()
		w.at = w.at.Add(w.team.Promise.Untaken)
		if to := w.deliver(); to != annsPhone {
			t.Errorf("nobody has taken it again: %q are paged", to)
		}
	})
	t.Run("soon, and held until it is due", func(t *testing.T) {
		w := newWard(t)
		row := w.writes("found a lump in my breast")
		w.at = row.DueAt.Add(-65 * time.Minute)
		a := take(w, row)
		for _, before := range []time.Duration{40, 15} {
			w.at = row.DueAt.Add(-before * time.Minute)
			w.deliver()
			must[bot.Row](w)(w.Take(t.Context(), a))
		}
		w.at = row.DueAt
		if to := w.deliver(); row.Level != triage.Soon || !strings.Contains(to, carPhone) {
			t.Errorf("%s: it is due while Bea holds it: %q are paged, want the lead", row.Level, to)
		}
	})
	t.Run("soon, and given back in its last hour", func(t *testing.T) {
		w := newWard(t)
		row := w.writes("found a lump in my breast")
		w.at = row.DueAt.Add(-65 * time.Minute)
		a := take(w, row)
		w.at = row.DueAt.Add(-50 * time.Minute)
		w.deliver()
		must[bot.Row](w)(w.Release(t.Context(), a))
		if to := w.deliver(); to != carPhone {
			t.Errorf("nobody has it, and it is soon due: %q are paged, want the lead", to)
		}
	})
}

// An answer that only the sweep found is for no page of a row that was opened after it was
// written.
func TestASweptAnswerIsForWhatWasPagedWhenItWasWritten(t *testing.T) {
	w := newWard(t)
	first := w.writes("cant feel my legs")
	w.deliver()
	wrote := w.at.Add(10 * time.Second)
	w.at = w.at.Add(90 * time.Second)
	w.writes("crushing pain in my chest")
	w.deliver()
	w.at = w.at.Add(time.Minute)
	if err := w.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: annsPhone}, Text: "ACK", CarrierID: "SMswept", Swept: true, At: wrote}); err != nil {
		t.Fatal(err)
	}
	for _, row := range must[[]bot.Row](w)(w.Queue(t.Context(), bot.QueueFilter{})) {
		if want := row.ID == first.ID; (row.AckedBy == "Ann") != want {
			t.Errorf("row %s, opened %s, is acknowledged by %q", row.Concern, row.OpenedAt.Format("15:04:05"), row.AckedBy)
		}
	}
}

// A list that somebody has emptied is paged by nobody, and ends no process.
func TestAMissedPromiseWithAnEmptyList(t *testing.T) {
	w := newWard(t)
	row := w.writes("my calf is swollen hot and painful")
	w.at = row.DueAt.Add(-time.Minute)
	must[bot.Row](w)(w.Take(t.Context(), bot.Act{Row: row.ID, By: "bea@example.org", Seen: row.Changed}))
	w.deliver()
	w.at = row.DueAt
	if _, err := w.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.out.dead[carPhone], w.team.Duty = true, nil
	w.deliver()
}

// Where no page leaves at all, the list is gone through once, and again when its clock says
// so: not round and round as fast as the carrier says no.
func TestAListThatCannotBeReachedIsPagedByTheClock(t *testing.T) {
	w := newWard(t)
	row := w.writes("cant feel my legs")
	w.out.dead[annsPhone], w.out.dead[beasPhone], w.out.dead[carPhone] = true, true, true
	round := []string{annsPhone, beasPhone, carPhone}
	for range 2 {
		w.out.refused = nil
		w.deliver()
		if !slices.Equal(w.out.refused, round) {
			t.Fatalf("%s, at %s: %q were paged", row.Level, w.at.Format("15:04"), w.out.refused)
		}
		w.at = w.at.Add(w.team.PageEvery)
	}
}

// Of two rows of one name, an answer by the name goes to the newest that waits, and the
// next to the other.
func TestTwoRowsOfOneName(t *testing.T) {
	store := newStore(t)
	w := &ward{T: t, at: time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC), out: &carrier{text: map[string]string{}, dead: map[string]bool{}}}
	w.Bot, w.team = botOn(t, store, &w.at, map[string]bot.Outlet{"sms": {Sender: w.out, Lease: time.Minute}})
	w.team.Duty = []bot.Duty{{Name: "Ann", Addresses: []bot.Address{{Channel: "sms", At: annsPhone}}}}
	w.her = must[bot.Patient](w)(w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test"))
	id := func(n int) string { return fmt.Sprint(w.her.ID, bot.RowMark, n) }
	first, second, named := 0, 0, map[string]int{}
	for n := 1; second == 0; n++ {
		if first = named[bot.RowName(id(n))]; first > 0 {
			second = n
		}
		named[bot.RowName(id(n))] = n
	}
	for n, words := range map[int]string{first: "cant feel my legs", second: "crushing pain in my chest"} {
		rec := must[bot.Record](w)(store.Load(t.Context(), w.her.ID))
		rec.NextRow = n - 1
		if err := store.Commit(t.Context(), bot.Change{Record: rec, Base: rec.Version}); err != nil {
			t.Fatal(err)
		}
		w.at = w.at.Add(time.Second)
		w.writes(words)
	}
	w.deliver()
	older, newer := w.row(id(first)), w.row(id(second))
	if newer.OpenedAt.Before(older.OpenedAt) {
		older, newer = newer, older
	}
	for _, row := range []bot.Row{newer, older} {
		if told := w.answer(annsPhone, "ACK "+row.Name()); !strings.Contains(told, "you have row "+row.Name()) || w.row(row.ID).AckedBy != "Ann" {
			t.Errorf("she was answered %q, and row %s is %+v", told, row.ID, w.row(row.ID))
		}
	}
}

// The name of a row comes from its id alone, to this day's letters: phones and people have
// it, whatever the process. It has no sign that looks like another, no vowel, and is no number.
func TestRowName(t *testing.T) {
	for id, want := range map[string]string{"anytown-p0123456789abcdef-r1": "JNMG", "anytown-p0123456789abcdef-r2": "NRG7"} {
		if got := bot.RowName(id); got != want {
			t.Errorf("row %s is called %s, and was called %s", id, got, want)
		}
	}
	names := map[string]bool{}
	const rows = 10_000
	for n := range rows {
		name := bot.RowName(fmt.Sprintf("anytown-p%016x-r%d", n/3, n%3))
		if names[name] = true; len(name) != 4 || strings.ContainsAny(name, "AEIOUYLSZB01") || name != strings.ToUpper(name) || name[0] < 'A' {
			t.Errorf("a row is called %q", name)
		}
	}
	if shared := rows - len(names); shared > 300 { // of 221,184, about 226
		t.Errorf("%d of %d rows share a name", shared, rows)
	}
}
