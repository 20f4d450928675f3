package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lookout/flows/triage"
)

// againAfter is how long a text that was not delivered waits until it is sent once
// more: a telephone that is off is off for hours, and an answer is stale by then.
const (
	againAfter      = 4 * time.Hour
	answerAgain     = 10 * time.Minute
	unreachedHolds  = 7 * 24 * time.Hour // how long her plan waits when nothing reaches her
	unreachedReason = "no text reaches her"
)

// undeliverable does what follows when a message did not reach her: she may
// think that we know, and we may think that she does. It is sent once more; the
// second time, or when the number takes no texts, it goes by another channel of
// hers, and where there is none a nurse looks. What was urgent waits for neither.
func (b *Bot) undeliverable(ctx context.Context, out Outgoing, code string, obstacle Obstacle) error {
	if out.Priority == PriorityPage {
		return b.pageFailed(ctx, out, "code "+code)
	}
	if out.TextID == canaryText {
		return nil // it was to nobody: the daily test says that it has failed
	}
	return b.turn(ctx, out.Patient, "undelivered:"+out.ID, nil, func(t *turn) error {
		why := "not delivered: " + obstacle.words()
		if code != "" {
			why += " (the carrier's code " + code + ")"
		}
		t.entry(Entry{Kind: EntryDelivery, By: "carrier", Ref: out.ID, Why: why})
		if out.TextID == "link.carer" {
			return nil // it was not to her
		}
		if obstacle == ObstacleOptedOut {
			t.stop("carrier", "has stopped texts at the carrier", false)
		}
		if t.rec.Patient.Status == Stranger {
			return nil
		}
		t.unreached(out, obstacle)
		return nil
	})
}

// unreached notes a miss, and finds another way to her.
func (t *turn) unreached(out Outgoing, obstacle Obstacle) {
	lost := false
	if obstacle != ObstacleOurs {
		if t.rec.Reach == nil {
			t.rec.Reach = make(map[string]Reach)
		}
		r := t.rec.Reach[out.To.Channel]
		if r.Failed == 0 {
			r.Since = t.now
		}
		r.Failed, r.Obstacle = r.Failed+1, obstacle
		t.rec.Reach[out.To.Channel] = r
		lost = r.lost()
	}
	// What she has written since was written without it; what follows answers that.
	wanted := !t.rec.Wrote.After(out.CreatedAt) && t.mayStillHear()
	other, found := t.otherWay(out.To.Channel)
	grave := out.Priority == PriorityEmergency || t.hasUrgentRow()
	switch {
	case wanted && found && (lost || grave):
		t.again(out, other, "by another channel of hers")
	case wanted && !lost && obstacle != ObstacleOurs && out.Priority == PriorityEmergency:
		t.again(out, out.To, "once more")
	case wanted && !lost && obstacle != ObstacleOurs:
		t.wake(Wake{Key: "again:" + out.To.Channel, Kind: WakeAgain, At: t.againAt(out), Ref: out.ID})
	case lost && !found:
		// She has never had the question: her silence says nothing (clinical.md 6.7).
		t.endTalk("it never reached her")
	}
	level, reason := triage.Routine, "A text to her was not delivered: "+obstacle.words()+". Check her number."
	switch {
	case out.Priority == PriorityEmergency:
		level, reason = triage.Emergency, "The text that tells her to ring 999 was not delivered. Ring her."
	case t.hasUrgentRow():
		level, reason = triage.Urgent, "A text to her was not delivered while an urgent concern is open. Ring her."
	case obstacle == ObstacleOptedOut:
		reason = "She has stopped texts at her carrier: offer letter or phone."
	case obstacle == ObstacleOurs:
		reason = "A text to her could not be sent; the fault is ours, not her number's. Tell whoever runs lookout."
	case !lost, found && !obstacle.lasting():
		return // the second try or the other way may do
	}
	t.openRow("unreachable", level, reason, "("+reason+")", nil)
}

// mayStillHear says whether a text that was on its way to her may go to her still.
func (t *turn) mayStillHear() bool {
	s := t.rec.Patient.Status
	return s == Active || s == Invited || s == Paused
}

// otherWay is an address of another channel that texts reach.
func (t *turn) otherWay(channel string) (Address, bool) {
	for _, a := range t.rec.Patient.Addresses {
		if a.Channel != channel && !t.rec.Reach[a.Channel].lost() && t.bot.outlets[a.Channel] != nil {
			return a, true
		}
	}
	return Address{}, false
}

// againAt is when a text is sent once more: an answer soon, what she did not ask
// for in her hours.
func (t *turn) againAt(out Outgoing) time.Time {
	if out.Priority == PriorityReply {
		return t.now.Add(answerAgain)
	}
	if when, _ := t.slot(t.now.Add(againAfter), out.ID); !when.IsZero() {
		return when
	}
	return t.now.Add(againAfter)
}

// wakeAgain sends once more what was not delivered, unless it has been overtaken.
func (t *turn) wakeAgain(w Wake) {
	out, err := t.bot.store.Outgoing(t.ctx, w.Ref)
	if err != nil || t.rec.Wrote.After(out.CreatedAt) || !t.mayStillHear() || t.rec.Reach[out.To.Channel].Failed == 0 {
		return
	}
	if out.Priority == PriorityPlanned && !t.mayText() {
		w.At, _ = t.slot(t.now, w.Ref)
		if w.At.After(t.now) {
			t.wake(w)
		}
		return
	}
	t.again(out, out.To, "once more")
}

// again sends the words of a message once more, now.
func (t *turn) again(out Outgoing, to Address, how string) {
	next := t.outgoing(to, out.Text, out.Priority)
	next.TextID, next.Row, next.NotAfter = out.TextID, out.Row, out.NotAfter
	if next.Priority == PriorityPlanned {
		t.rec.LastOut, t.rec.LastPlanned = t.now, next.ID
	}
	t.change.Send = append(t.change.Send, next)
	t.entry(Entry{Kind: EntryOut, Channel: to.Channel, Text: out.Text, TextID: out.TextID, Ref: next.ID, Why: "sent " + how + ": " + out.ID + " was not delivered"})
}

// reached forgets the misses of a channel once something has come through on it. out is
// as it stood before this receipt: a carrier's log is read again and again, and what came
// through before the first miss says nothing of what has missed her since.
func (b *Bot) reached(ctx context.Context, out Outgoing) error {
	rec, err := b.store.Load(ctx, out.Patient)
	r := rec.Reach[out.To.Channel]
	if errors.Is(err, ErrNotFound) || err == nil && (r.Failed == 0 || out.State == OutDelivered && !out.SettledAt.After(r.Since)) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.turn(ctx, out.Patient, "", nil, func(t *turn) error {
		if t.rec.Reach[out.To.Channel].Failed == 0 {
			return errNothing
		}
		t.heardOn(out.To.Channel)
		return nil
	})
}

// heardOn notes that a channel works.
func (t *turn) heardOn(channel string) {
	if t.rec.Reach[channel].Failed == 0 {
		return
	}
	delete(t.rec.Reach, channel)
	t.entry(Entry{Kind: EntryDelivery, Channel: channel, Why: "texts reach her on this channel again"})
}

// reachable says whether any channel of hers is not given up.
func (t *turn) reachable() bool {
	for _, a := range t.rec.Patient.Addresses {
		if !t.rec.Reach[a.Channel].lost() {
			return true
		}
	}
	return len(t.rec.Patient.Addresses) == 0
}

// perDay bounds what lookout itself sends to one person in a day. Nobody who talks
// with it comes near: it is for two machines that answer each other.
const perDay = 40

// full says whether she has had as many texts today as anybody may, and counts one
// more. A text of safety and a nurse's own always go.
func (t *turn) full(s saying) bool {
	if s.priority == PriorityEmergency || s.by != "" {
		return false
	}
	if day := t.now.In(t.zone()).Format(time.DateOnly); t.rec.OutDay != day {
		t.rec.OutDay, t.rec.Outs = day, 0
	}
	t.rec.Outs++
	if t.rec.Outs <= perDay {
		return false
	}
	t.entry(Entry{Kind: EntryOut, TextID: s.id, Why: fmt.Sprintf("not sent: she has had %d texts today", perDay)})
	if t.rec.Outs == perDay+1 {
		reason := "She has had more texts in a day than anybody should: look whether a machine answers ours."
		t.openRow("not-understood", triage.Routine, reason, "("+reason+")", nil)
	}
	return true
}
