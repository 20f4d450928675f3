package bot

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Spend is what texts of one channel came to in a stretch of time.
type Spend struct {
	Patients int // of whom any text went or came
	Sent     int // messages that went to people; pages are not counted
	Segments int // the parts of those, by which a carrier is paid
	Received int
	Talks    int // conversations that were begun
	// Ahead is what the plans will send in as many days from now on, by what a talk
	// has taken until now.
	Ahead Ahead
}

// Ahead is what is still to come.
type Ahead struct {
	Days     int
	Texts    int // of plans
	Talks    int
	Segments float64
}

// talkSegments is how many segments a talk takes when none has been yet: a dozen
// questions of one segment each.
const talkSegments = 12

// Spend adds up what went and came on a channel from a time to another, and what
// the plans will send in as long a time after now. segments counts the parts of a
// text. It reads every journal: it is for a report, not for a page.
func (b *Bot) Spend(ctx context.Context, channel string, from, until time.Time, segments func(text string) int) (Spend, error) {
	var s Spend
	s.Ahead.Days = int(until.Sub(from).Hours()/24 + 0.5)
	inTalks := 0
	for after := ""; ; {
		people, err := b.store.Patients(ctx, b.service.ID, after, retainPage)
		if err != nil {
			return s, fmt.Errorf("spend: %w", err)
		}
		for _, p := range people {
			after = p.ID
			n, err := b.spendOn(ctx, p, channel, from, until, segments, &s)
			if err != nil {
				return s, fmt.Errorf("spend: %w", err)
			}
			inTalks += n
		}
		if len(people) < retainPage {
			break
		}
	}
	perTalk := float64(talkSegments)
	if s.Talks > 0 {
		perTalk = float64(inTalks) / float64(s.Talks)
	}
	s.Ahead.Segments += perTalk * float64(s.Ahead.Talks)
	return s, nil
}

// spendOn adds what one person came to, and gives the segments that were part of talks.
func (b *Bot) spendOn(ctx context.Context, p Patient, channel string, from, until time.Time, segments func(string) int, s *Spend) (int, error) {
	entries, err := b.store.Journal(ctx, p.ID, 0, 0)
	if err != nil {
		return 0, err
	}
	inTalks, any, talking := 0, false, false
	var ended time.Time // what a talk says at its end is journalled after its end, in the same turn
	for _, e := range entries {
		within := !e.At.Before(from) && e.At.Before(until)
		switch {
		case e.Kind == EntryFlow && strings.HasPrefix(e.Why, "began:"):
			talking = true
			if within {
				s.Talks++
			}
		case e.Kind == EntryFlow && strings.HasPrefix(e.Why, "ended:"):
			talking, ended = false, e.At
		case !within || e.Channel != channel:
		case e.Kind == EntryIn:
			any = true
			s.Received++
		case e.Kind == EntryOut && e.Ref != "":
			any = true
			n := segments(e.Text)
			s.Sent++
			s.Segments += n
			if talking || e.At.Equal(ended) {
				inTalks += n
			}
		}
	}
	if any {
		s.Patients++
	}
	ahead, err := b.Forecast(ctx, p.ID, b.now().AddDate(0, 0, s.Ahead.Days))
	if err != nil {
		return 0, err
	}
	for _, item := range ahead {
		switch {
		case item.Dropped || item.Goes.IsZero():
		case item.Flow != "":
			s.Ahead.Talks++
		default:
			for _, locale := range spoken(p.Locale) {
				if words, err := b.content.Text(b.variant(b.content, item.Text), locale, channel, b.vars(&p)); err == nil {
					s.Ahead.Texts++
					s.Ahead.Segments += float64(segments(words))
				}
			}
		}
	}
	return inTalks, nil
}
