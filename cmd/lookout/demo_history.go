package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"lookout/bot"
	"lookout/channels/desk"
)

// talks are what the people answered to their check-ins of the last weeks, in order.
var talks = [][]string{
	{"no", "no nothing new", "NO", "all", "no", "just to say the choir is back on, lovely to sing again",
		"no", "no", "no", "all", "no", "no thanks love"},
	{"no", "yes", "my hip aches, started after gardening", "a week ago", "3", "yes", "no", "no", "SOME", "the flushes are awful at night so I skip a few", "no", "thank you",
		"no", "no", "the same as ever", "all", "no", "no"},
}

// seed makes people and seven weeks of history, through the real doors: their plan
// texts them, they answer, the nurse rings, and what else was due has come.
func (d *demo) seed(ctx context.Context) error {
	for _, u := range []bot.User{{Email: "ann@demo.example", Name: "Ann Price", Role: bot.Nurse}, {Email: "bea@demo.example", Name: "Bea Hughes", Role: bot.Lead}, {Email: "ida@demo.example", Name: "Ida Khan", Role: bot.Admin}} {
		hash, err := desk.HashPassword(demoPassword)
		if err != nil {
			return err
		}
		u.Password, u.Created = hash, d.clock.now()
		if err := d.bot.PutUser(ctx, u); err != nil {
			return err
		}
	}
	until := d.clock.now().Add(-5 * time.Minute)
	if err := d.clock.turn(-7 * 7 * 24 * time.Hour); err != nil {
		return err
	}
	ended := d.clock.now().AddDate(0, 0, -7).Format(time.DateOnly)
	ids := make([]string, len(people))
	for i, p := range people {
		patient, err := d.bot.Enrol(ctx, bot.Enrolment{GivenName: p.Given, FamilyName: p.Family, BirthDate: p.Born, Phone: p.Phone, TreatmentEnded: ended, ConsentSMS: true,
			Profile: bot.Profile{Tablets: p.Tablets, Side: p.Side, NodesRemoved: true, ChemoKnown: true}}, "demo")
		if err != nil {
			return err
		}
		ids[i] = patient.ID
	}
	if err := d.weeks(ctx, ids, until); err != nil {
		return err
	}
	if err := d.exchange(ctx, people[1].Phone, "found a small lump by my scar this morning. probably nothing, sorry to bother you"); err != nil {
		return err
	}
	return d.clock.turn(-d.clock.offset)
}

// weeks lets time go by: their plans text them, they answer what they are asked, and
// the nurse rings.
func (d *demo) weeks(ctx context.Context, ids []string, until time.Time) error {
	said := make([]int, len(ids))
	return d.pass(ctx, until, func() error {
		for i, id := range ids {
			for said[i] < len(talks[i]) {
				if asked, err := d.bot.OpenQuestion(ctx, id); err != nil {
					return err
				} else if asked.Kind == "" {
					break
				}
				if err := d.exchange(ctx, people[i].Phone, talks[i][said[i]]); err != nil {
					return err
				}
				said[i]++
			}
		}
		return d.work(ctx)
	})
}

// mostSteps bounds what one turn of the clock lets happen one by one: an emergency
// that nobody takes is paged every few minutes, and a week of that fills a phone.
const mostSteps = 200

// pass turns the clock to a time, from one thing that falls due to the next, and does
// something after each.
func (d *demo) pass(ctx context.Context, until time.Time, each func() error) error {
	for step := 0; ; step++ {
		if err := d.tick(ctx); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
		left := until.Sub(d.clock.now())
		if left <= 0 {
			return nil
		}
		if due, err := d.store.Due(ctx, until, 1); err != nil {
			return err
		} else if len(due) > 0 && step < mostSteps {
			left = max(time.Second, due[0].At.Sub(d.clock.now()))
		}
		if err := d.clock.turn(left); err != nil {
			return err
		}
	}
}

// tick does what the scheduler does, for the clock as it is turned, and comes back
// when every text is on its phone: the scheduler itself may be sending some of them.
func (d *demo) tick(ctx context.Context) error {
	if _, err := d.bot.Wake(ctx); err != nil {
		return err
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		if _, err := d.bot.Deliver(ctx); err != nil {
			return err
		}
		d.carrier.Settle()
		if st, err := d.store.Stats(ctx, d.clock.now()); err != nil || st.Outgoing == 0 {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// work is what the nurse did then: she rang, and closed what was open.
func (d *demo) work(ctx context.Context) error {
	rows, err := d.bot.Queue(ctx, bot.QueueFilter{})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := d.bot.Take(ctx, bot.Act{Row: row.ID, By: "ann@demo.example"}); err != nil {
			return err
		}
		if _, err := d.bot.Ring(ctx, bot.Act{Row: row.ID, By: "ann@demo.example"}, "spoke"); err != nil {
			return err
		}
		closing := bot.Closing{Row: row.ID, By: "ann@demo.example", Outcome: "advice", Note: "Talked it through; she will text if it changes."}
		if _, err := d.bot.CloseRow(ctx, closing); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends a text from a phone and lets the answer arrive.
func (d *demo) exchange(ctx context.Context, phone, words string) error {
	if _, status, err := d.carrier.Reply(phone, demoNumber, words); err != nil || status != http.StatusOK {
		return fmt.Errorf("the webhook answered %d: %w", status, err)
	}
	if err := d.tick(ctx); err != nil {
		return err
	}
	return d.clock.turn(2 * time.Minute)
}
