package bot_test

import (
	"context"
	"errors"
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
	mu   sync.Mutex
	sent []string
	text map[string]string
	dead map[string]bool
}

func (c *carrier) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead[out.To.At] {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "550", Err: errors.New("refused")}
	}
	c.sent, c.text[out.To.At] = append(c.sent, out.To.At), out.Text
	return bot.Sent{CarrierID: out.ID}, nil
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
	if !strings.Contains(out.text[nurse], "nothing waits") {
		t.Errorf("she was answered: %q", out.text[nurse])
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
