package bot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/rehearsal"
	"lookout/content"
)

// quiet carries a channel and keeps nothing.
type noted struct{ sent []bot.Outgoing }

func (n *noted) Send(_ context.Context, out bot.Outgoing) (bot.Sent, error) {
	n.sent = append(n.sent, out)
	return bot.Sent{CarrierID: "chat-" + out.ID, Delivered: true}, nil
}

// reachable is a world with one patient, who has a chat beside her telephone.
func reachable(t *testing.T) (*world, *noted, string) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, rehearsal.Setting{Nation: "england-and-wales", Begin: time.Date(2026, 11, 24, 10, 30, 0, 0, zone)})
	chat := &noted{}
	w.Bot, err = bot.New(t.Context(), bot.Config{Store: w.Store, Content: w.Pack, Service: w.Team, PublicURL: "https://lookout.example.nhs.uk", Now: func() time.Time { return w.Now },
		Outlets: map[string]bot.Outlet{smsChannel: {Sender: w, Lease: time.Minute}, "chat": {Sender: chat, Lease: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Okafor", BirthDate: "1961-04-30", Phone: "+447700900123", TreatmentEnded: "2026-11-01", ConsentSMS: true}, "Ann")
	if err != nil {
		t.Fatal(err)
	}
	w.People = append(w.People, rehearsal.Person{ID: p.ID, Name: "Mary", Phone: "+447700900123"})
	w.come(t, bot.Inbound{Patient: p.ID, From: bot.Address{Channel: "chat", At: p.ID}, Text: "thanks", CarrierID: "c1"})
	w.come(t, bot.Inbound{From: bot.Address{Channel: smsChannel, At: "+447700900123"}, Text: "thanks", CarrierID: "s1"})
	return w, chat, p.ID
}

func (w *world) come(t *testing.T, in bot.Inbound) {
	t.Helper()
	if err := w.Receive(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
}

func (w *world) deliver(t *testing.T) {
	t.Helper()
	if _, err := w.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// lastText is the last text that went to her telephone.
func (w *world) lastText(t *testing.T) bot.Outgoing {
	t.Helper()
	if len(w.Sent) == 0 {
		t.Fatal("no text has gone")
	}
	return w.Sent[len(w.Sent)-1]
}

func (w *world) missed(t *testing.T, obstacle bot.Obstacle) {
	t.Helper()
	receipt := bot.DeliveryReceipt{Outgoing: w.lastText(t).ID, State: bot.OutUndelivered, Obstacle: obstacle}
	for range 2 { // a receipt that comes twice counts once
		if err := w.DeliveryReceipt(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
	}
	w.deliver(t)
}

func (w *world) unreachableRows(t *testing.T) int {
	t.Helper()
	rows, err := w.Queue(t.Context(), bot.QueueFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(rows, func(r bot.Row) bool { return r.Concern != "unreachable" }))
}

// Undelivered twice: the question goes by her chat, and so does what follows, until
// her telephone answers again. A question that she has answered meanwhile is not
// sent again.
func TestUndeliveredTwiceGoesByTheOtherChannel(t *testing.T) {
	t.Parallel()
	w, chat, id := reachable(t)
	if err := w.Start(t.Context(), id, "check-in", "Ann"); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	question, before := w.lastText(t), len(chat.sent)
	w.missed(t, bot.ObstacleOff)
	if w.lastText(t).ID != question.ID || len(chat.sent) != before {
		t.Fatal("tried again at once")
	}
	w.Now = w.Now.Add(11 * time.Minute)
	if _, err := w.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	if again := w.lastText(t); again.ID == question.ID || again.Text != question.Text {
		t.Fatalf("the question was not sent once more, but %q", again.Text)
	}
	w.missed(t, bot.ObstacleOff)
	if len(chat.sent) != before+1 || chat.sent[before].Text != question.Text {
		t.Fatalf("the question did not come to her chat: %+v", chat.sent[before:])
	}
	if n := w.unreachableRows(t); n != 0 {
		t.Errorf("%d rows about her telephone, while her chat is open", n)
	}
	w.come(t, bot.Inbound{Patient: id, From: bot.Address{Channel: "chat", At: id}, Text: "no", CarrierID: "c2"})
	if !strings.Contains(chat.sent[len(chat.sent)-1].Text, "Any pain") {
		t.Errorf("her answer in the chat did not go on: %q", chat.sent[len(chat.sent)-1].Text)
	}
	texts := len(w.Sent)
	w.come(t, bot.Inbound{From: bot.Address{Channel: smsChannel, At: "+447700900123"}, Text: "no", CarrierID: "s2"})
	if len(w.Sent) == texts {
		t.Error("her telephone is back, and is not answered")
	}
}

func TestDeadNumberOnlyOnceAndARow(t *testing.T) {
	t.Parallel()
	for _, obstacle := range []bot.Obstacle{bot.ObstacleDead, bot.ObstacleLandline, bot.ObstacleBlocked} {
		w, chat, id := reachable(t)
		if err := w.Start(t.Context(), id, "check-in", "Ann"); err != nil {
			t.Fatal(err)
		}
		w.deliver(t)
		before := len(chat.sent)
		w.missed(t, obstacle)
		if len(chat.sent) != before+1 || w.unreachableRows(t) != 1 {
			t.Errorf("%s: %d to her chat and %d rows, want one of each", obstacle, len(chat.sent)-before, w.unreachableRows(t))
		}
	}
}

func TestOptedOutAtTheCarrier(t *testing.T) {
	t.Parallel()
	w, chat, id := reachable(t)
	if err := w.Start(t.Context(), id, "check-in", "Ann"); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	before := len(chat.sent)
	w.missed(t, bot.ObstacleOptedOut)
	if p, err := w.Patient(t.Context(), id); err != nil || p.Status != bot.Stopped || len(chat.sent) != before || w.unreachableRows(t) != 1 {
		t.Errorf("%v, %s, %d to her chat, %d rows", err, p.Status, len(chat.sent)-before, w.unreachableRows(t))
	}
}

// Two machines that answer each other come to an end, and a nurse looks; what is an
// emergency is answered all the same.
func TestDailyCap(t *testing.T) {
	t.Parallel()
	w, _, id := reachable(t)
	before := len(w.Sent)
	for i := range 80 {
		if err := w.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: smsChannel, At: "+447700900123"}, Text: "help", CarrierID: fmt.Sprint("loop", i)}); err != nil {
			t.Fatal(err)
		}
	}
	w.deliver(t)
	if n := len(w.Sent) - before; n > 40 {
		t.Errorf("%d texts in a day", n)
	}
	rows, err := w.Queue(t.Context(), bot.QueueFilter{})
	if err != nil || !slices.ContainsFunc(rows, func(r bot.Row) bool { return strings.Contains(r.Reason, "more texts in a day") }) {
		t.Errorf("%v, no row: %+v", err, rows)
	}
	w.come(t, bot.Inbound{From: bot.Address{Channel: smsChannel, At: "+447700900123"}, Text: "cant feel my legs", CarrierID: "e1"})
	if !strings.Contains(w.lastText(t).Text, "999") && !slices.ContainsFunc(w.Sent, func(o bot.Outgoing) bool { return o.TextID == "safety.emergency" }) {
		t.Error("an emergency is not answered after many texts")
	}
	_ = id
}

func TestSpend(t *testing.T) {
	t.Parallel()
	w, _, id := reachable(t)
	if err := w.Start(t.Context(), id, "check-in", "Ann"); err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, w.Team.Location)
	s, err := w.Spend(t.Context(), smsChannel, from, from.AddDate(0, 1, 0), func(text string) int { n, _ := content.Segments(text); return n })
	if err != nil {
		t.Fatal(err)
	}
	// The welcome waits for her hours; her one text is thanked for; the question is one.
	if s.Received != 1 || s.Talks != 1 || s.Sent < 2 || s.Segments < s.Sent || s.Patients != 1 || s.Ahead.Days != 30 || s.Ahead.Talks != 1 || s.Ahead.Segments <= 0 {
		t.Errorf("%+v", s)
	}
}

// The carrier's log is read again and again: what it says of a text that came through
// before another did not says nothing of the one that did not.
func TestAnOldReceiptForgetsNoMiss(t *testing.T) {
	t.Parallel()
	w, _, id := reachable(t)
	old := w.lastText(t)
	delivered := func(out bot.Outgoing) {
		t.Helper()
		if err := w.DeliveryReceipt(t.Context(), bot.DeliveryReceipt{Outgoing: out.ID, State: bot.OutDelivered}); err != nil {
			t.Fatal(err)
		}
	}
	delivered(old)
	w.Now = w.Now.Add(time.Hour)
	if err := w.Say(t.Context(), bot.Saying{Patient: id, By: "Ann", Words: "I ring you at 4pm", Channel: smsChannel}); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	lost := w.lastText(t)
	w.missed(t, bot.ObstacleOff)
	w.Now = w.Now.Add(3 * time.Minute)
	delivered(old) // by the sweep
	w.Now = w.Now.Add(8 * time.Minute)
	if _, err := w.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.deliver(t)
	again := w.lastText(t)
	if again.ID == lost.ID || again.Text != lost.Text {
		t.Fatalf("the nurse's text was not sent once more, but %q", again.Text)
	}
	w.Now = w.Now.Add(time.Minute)
	delivered(again) // and this is news: her telephone is back
	rec, err := w.Store.Load(t.Context(), id)
	if err != nil || rec.Reach[smsChannel].Failed != 0 {
		t.Errorf("%v: a text has come through, and her telephone still counts as off: %+v", err, rec.Reach)
	}
}
