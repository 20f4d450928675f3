package bot_test

import (
	"fmt"
	"testing"
	"time"

	"lookout/bot"
)

// A command counts though she wrote other things moments before, with which it is
// read as one: here the carrier does not tell that it was STOP.
func TestStopBehindOtherTexts(t *testing.T) {
	at := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	b, _ := newBot(t, &at, nil)
	p, err := b.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: "+447700900101", TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for i, words := range []string{"no", "HELP", "SIGNS", "LATER", "stop"} {
		if err := b.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900101"}, Text: words, CarrierID: fmt.Sprintf("SM%d", i), At: at}); err != nil {
			t.Fatal(err)
		}
		at = at.Add(5 * time.Second)
	}
	if p, err = b.Patient(t.Context(), p.ID); err != nil || p.Status != bot.Stopped {
		t.Errorf("after STOP she is %v, %v", p.Status, err)
	}
}
