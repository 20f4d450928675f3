package bot_test

import (
	"errors"
	"testing"
	"time"

	"lookout/bot"
	"lookout/content"
)

// A team that is given the id of another team's patient or row finds nobody: nothing of
// hers is read, and nothing is done.
func TestActsOnAnotherTeamsPatientFindNobody(t *testing.T) {
	store, at := newStore(t), time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	hers, team := botOn(t, store, &at, map[string]bot.Outlet{"sms": {Sender: &carrier{text: map[string]string{}, dead: map[string]bool{}}, Lease: time.Minute}})
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	theirs := *team
	theirs.ID = "othertown"
	other, err := bot.New(t.Context(), bot.Config{Store: store, Content: pack, Service: &theirs, PublicURL: "http://x", Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.PutUser(t.Context(), bot.User{Email: "bea@example.org", Name: "Bea", Role: bot.Nurse, Password: "x"}); err != nil {
		t.Fatal(err)
	}
	her, err := hers.Enrol(t.Context(), bot.Enrolment{GivenName: "Mary", FamilyName: "Jones", BirthDate: "1961-04-30", Phone: herPhone, TreatmentEnded: "2026-09-30", ConsentSMS: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := hers.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: herPhone}, Text: "found a lump in my breast", CarrierID: "SM1"}); err != nil {
		t.Fatal(err)
	}
	rows, err := hers.Queue(t.Context(), bot.QueueFilter{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	before, err := store.Load(t.Context(), her.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, id, act := t.Context(), her.ID, bot.Act{Row: rows[0].ID, By: "eve@example.org"}
	day := at.Add(48 * time.Hour)
	for name, do := range map[string]func() error{
		"row":         func() error { _, err := other.Row(ctx, act.Row); return err },
		"take":        func() error { _, err := other.Take(ctx, act); return err },
		"release":     func() error { _, err := other.Release(ctx, act); return err },
		"ring":        func() error { _, err := other.Ring(ctx, act, "spoke"); return err },
		"note":        func() error { _, err := other.Note(ctx, act, "x"); return err },
		"put off":     func() error { _, err := other.PutOff(ctx, act, at.Add(time.Hour), "later"); return err },
		"offer":       func() error { _, err := other.Offer(ctx, act, "bea@example.org", "x"); return err },
		"take over":   func() error { _, err := other.TakeOver(ctx, act); return err },
		"turn down":   func() error { _, err := other.TurnDown(ctx, act); return err },
		"wrong level": func() error { _, err := other.WrongLevel(ctx, act, 0, "x"); return err },
		"close": func() error {
			_, err := other.CloseRow(ctx, bot.Closing{Row: act.Row, By: act.By, Outcome: "advice", Note: "x"})
			return err
		},
		"undo close":  func() error { _, err := other.UndoClose(ctx, act); return err },
		"look":        func() error { return other.Look(ctx, act.Row, act.By) },
		"case":        func() error { _, err := other.Case(ctx, id); return err },
		"patient":     func() error { _, err := other.Patient(ctx, id); return err },
		"photo":       func() error { _, err := other.Photo(ctx, id, "x"); return err },
		"hers":        func() error { _, err := other.Hers(ctx, id, 0); return err },
		"thread":      func() error { _, err := other.Thread(ctx, id, 0, 0); return err },
		"question":    func() error { _, err := other.OpenQuestion(ctx, id); return err },
		"wishes":      func() error { _, err := other.WishesOf(ctx, id); return err },
		"dates":       func() error { _, err := other.DatesOf(ctx, id); return err },
		"forecast":    func() error { _, err := other.Forecast(ctx, id, day); return err },
		"took a call": func() error { _, err := other.TookCall(ctx, id, "eve@example.org", "she is well"); return err },
		"expect": func() error {
			return other.Expect(ctx, bot.Expecting{Patient: id, By: "eve@example.org", Concept: before.Past[0].Concept, Until: day, Why: "seen"})
		},
		"say": func() error { return other.Say(ctx, bot.Saying{Patient: id, By: "eve@example.org", Words: "hello"}) },
		"preview": func() error {
			_, err := other.Preview(ctx, bot.Saying{Patient: id, By: "eve@example.org", Words: "hello"})
			return err
		},
		"link":        func() error { return other.SendLink(ctx, id, "eve@example.org") },
		"sheet":       func() error { return other.SendSheet(ctx, id, "summary", "eve@example.org") },
		"start":       func() error { return other.Start(ctx, id, "check-in", "api") },
		"language":    func() error { return other.SetLanguage(ctx, id, "cy", "patient") },
		"channel":     func() error { return other.SetChannel(ctx, id, "sms", "patient") },
		"set wishes":  func() error { return other.SetWishes(ctx, id, bot.Wishes{}, "patient") },
		"set dates":   func() error { return other.SetDates(ctx, id, bot.Dates{}, "desk") },
		"add a carer": func() error { _, err := other.AddCarer(ctx, id, bot.Carer{Name: "Tom"}); return err },
		"end a carer": func() error { return other.EndCarer(ctx, id, "c1", "eve@example.org") },
		"receive": func() error {
			return other.Receive(ctx, bot.Inbound{From: bot.Address{Channel: "chat", At: id}, Patient: id, Text: "a new lump", CarrierID: "C1"})
		},
		"receive a carer's": func() error {
			return other.Receive(ctx, bot.Inbound{From: bot.Address{Channel: "chat", At: id}, Patient: id, Carer: "c1", Text: "she has a new lump", CarrierID: "C2"})
		},
		"keep a photo": func() error { _, err := other.KeepPhoto(ctx, id, "x", []byte("x"), "image/jpeg"); return err },
	} {
		if err := do(); !errors.Is(err, bot.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, err := store.Load(t.Context(), her.ID); err != nil || after.Version != before.Version {
		t.Errorf("her record is at %d, and was at %d: %v", after.Version, before.Version, err)
	}
}
