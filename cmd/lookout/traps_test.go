package main

import (
	"strings"
	"testing"
	"time"
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
	w.expect(mary, 0, "Your nurse will contact you")
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
	w.expect(nursePhone, 1, "you have it")
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
