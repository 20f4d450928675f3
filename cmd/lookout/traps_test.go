package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"lookout/channels/sms/standin"
)

// HZ11: when a death is reported, nothing more is sent, not even thanks, and a
// nurse has it before her.
func TestHazardHZ11NoTextsAfterADeath(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	w.expect(mary, 0, "Any change in your chest")
	before := w.texts(mary)
	w.reply(mary, "This is her husband. Mary passed away on Sunday")
	if rows := w.rows("open"); len(rows) != 1 || !strings.Contains(rows[0]["message"].(string), "passed away") {
		t.Errorf("the nurse does not have it: %v", rows)
	}
	for range 13 {
		w.clock.forward(24 * time.Hour)
		if _, err := w.process.bot.Wake(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.process.bot.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.texts(mary); got != before {
		t.Errorf("%d texts were sent after her death: %v", got-before, w.carrier.Messages(mary))
	}
}

// STOP with other words is a question, and no opt-out.
func TestTrapStopWithOtherWords(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	w.reply(mary, "should i stop the tablets?")
	w.expect(mary, 0, "in an emergency 999") // routine or soon, she is answered
	if got := w.call("GET", "/api/v1/patients/"+id, "", 200)["status"]; got != "active" {
		t.Errorf("a question about her tablets made her %v", got)
	}
	if rows := w.rows("open"); len(rows) == 0 {
		t.Error("her question is not at the desk")
	}
}

// STOP during an open emergency: the row stays, the texts stop.
func TestTrapStopDuringAnEmergency(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	w.reply(mary, "cant feel my legs")
	w.expect(mary, 0, "ring 999")
	w.expect(nursePhone, 0, "emergency in the queue")
	w.reply(mary, "STOP")
	if rows := w.rows("open"); len(rows) == 0 || rows[0]["level"] != "emergency" {
		t.Errorf("after STOP the emergency is not in the queue: %v", rows)
	}
	if got := w.call("GET", "/api/v1/patients/"+id, "", 200)["status"]; got != "stopped" {
		t.Errorf("after STOP she is %v", got)
	}
}

// The phone on call cannot be reached: the next step is paged at once, and does
// not wait for the timer.
func TestTrapPageUndeliverable(t *testing.T) {
	w := newWorld(t)
	w.enrol("Mary", mary)
	w.carrier.BadNumber(nursePhone, 21211)
	w.reply(mary, "crushing pain in my chest")
	w.expect(mary, 0, "ring 999")
	w.expect("+447700900901", 0, "emergency in the queue")
}

// Two rows are opened in one minute at one level, and of the page of each nobody knows
// whether it went: the first never reached the carrier, the second did. The carrier's log
// has no id of ours, and is asked for the words: each page names its row, so that the one
// is not taken for the other, and the nurse is paged for both.
func TestTrapPagesOfOneMinute(t *testing.T) { onEachStore(t, pagesOfOneMinute) }

func pagesOfOneMinute(t *testing.T, w *world) {
	const dora = "+447700900124"
	w.enrol("Mary", mary)
	w.enrol("Dora", dora)
	w.carrier.Receipts = false // they would tell us which it was
	w.carrier.Fail(standin.Fault{To: nursePhone, Break: true}, standin.Fault{To: nursePhone, Break: true, Accept: true})
	w.reply(mary, "cant feel my legs")
	w.expect(mary, 0, "ring 999")
	w.reply(dora, "cant feel my legs")
	w.expect(dora, 0, "ring 999")
	rows := w.rows("open")
	if len(rows) != 2 {
		t.Fatalf("the rows are %v", rows)
	}
	if !eventually(t, func() bool {
		w.clock.forward(time.Second)
		st, err := w.process.store.Stats(t.Context(), w.clock.now())
		return err == nil && st.Outgoing == 0
	}) {
		t.Fatal("the outbox was not settled")
	}
	had := map[string]int{}
	for _, m := range w.carrier.Messages(nursePhone) {
		for _, row := range rows {
			if strings.Contains(m.Body, fmt.Sprintf("Row %s. ", row["name"])) {
				had[row["name"].(string)]++
			}
		}
	}
	for _, row := range rows {
		if name := row["name"].(string); had[name] != 1 {
			t.Errorf("she was paged %d times for row %s, want once", had[name], name)
		}
		w.expect(nursePhone, 0, fmt.Sprintf("Row %s. ", row["name"]))
	}
	w.reply(nursePhone, fmt.Sprintf("ack %s", strings.ToLower(rows[1]["name"].(string))))
	w.expect(nursePhone, 2, fmt.Sprintf("you have row %s. Please take it on the desk and ring her. Still waiting (1): %s.", rows[1]["name"], rows[0]["name"]))
}

// A text of 161 characters or more, and one with an emoji, goes over the air in pieces.
// Twilio joins them (the first of these; the stand-in only plays what it would send then).
// Where a carrier has not passed on their numbers they come as messages of their own, cut
// in the middle of a word, and the last may be first: they are read as the one text that
// they were, and the nurse has it whole.
func TestTrapPiecesOutOfOrder(t *testing.T) {
	const long = "Hello, it is Mary Jones. I am sorry to trouble you on a Sunday, the garden is lovely and we went for a walk by the sea with the children and the two old dogs. I cannot feel my legs today"
	const smiling, cut = "We had ice cream by the lovely sea 🌊 and so now I cannot feel my legs", "The sea was lovely and we all had ice cream. I cannot feel my legs 😢 at all"
	pieces := func(text string) (first, last string) { // as a telephone that counts units cuts it
		units := utf16.Encode([]rune(text))
		return string(utf16.Decode(units[:67])), string(utf16.Decode(units[67:]))
	}
	sea, legs := pieces(smiling)
	half, other := pieces(cut) // each with half an emoji, which is no character
	for name, texts := range map[string][]string{
		"joined":                   {long},
		"in order":                 {long[:153], long[153:]},
		"the last first":           {long[153:], long[:153]},
		"an emoji, the last first": {legs, sea},
		"an emoji cut in two":      {other, half},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.enrol("Mary", mary)
			w.carrier.Allow(mary) // a piece by itself may be answered too
			for _, text := range texts {
				w.reply(mary, text)
			}
			w.expect(mary, 0, "ring 999")
			w.expect(nursePhone, 0, "emergency in the queue")
			if row := w.rows("open")[0]; row["level"] != "emergency" || !strings.Contains(row["message"].(string), "I cannot feel my legs") {
				t.Errorf("the nurse has %v of %q", row, row["message"])
			}
			if got, want := w.saidBy(id), strings.Join(texts, "|"); got != want {
				t.Errorf("her journal has %q, want %q", got, want)
			}
		})
	}
}

// An ACK from any phone on the list stops the paging, though the ladder has moved on
// to another meanwhile; one that comes when nothing waits is answered, and makes no row.
func TestTrapAckAfterTheLadderHasMovedOn(t *testing.T) {
	w := newWorld(t)
	const lead = "+447700900901"
	w.enrol("Mary", mary)
	w.reply(mary, "my legs have gone all weak and I cant feel when I wipe")
	w.expect(mary, 0, "ring 999")
	w.expect(nursePhone, 0, "emergency in the queue")
	w.clock.forward(6 * time.Minute)
	w.expect(lead, 0, "emergency in the queue")
	w.reply(nursePhone, "ACK") // she was paged first, and last no more
	w.expect(nursePhone, 1, "you have row")
	before := w.texts(nursePhone) + w.texts(lead)
	w.clock.forward(6 * time.Minute)
	if _, err := w.process.bot.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.process.bot.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.texts(nursePhone) + w.texts(lead); got != before {
		t.Errorf("%d pages went out after the answer", got-before)
	}
	for _, m := range w.carrier.Messages(nursePhone) { // the carrier says it again
		if m.Inbound {
			if status, err := w.carrier.Redeliver(m.SID); err != nil || status != 200 {
				t.Fatalf("a repeated ACK: %d, %v", status, err)
			}
		}
	}
	if _, err := w.process.bot.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.texts(nursePhone) + w.texts(lead); got != before {
		t.Errorf("a repeated ACK was answered %d times more", got-before)
	}
	rows := len(w.rows("open"))
	w.reply(lead, "ACK")
	w.expect(lead, 1, "nothing waits")
	if got := len(w.rows("open")); got != rows {
		t.Errorf("a late ACK made %d rows", got-rows)
	}
}
