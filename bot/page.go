package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/flows/triage"
)

// ackHolds is how long an answered page is quiet without anybody taking the row.
// An answer is a word, not a call: after this the ladder starts again.
const ackHolds = 30 * time.Minute

// betweenRounds is how long the ladder of a promise that was missed rests once it
// has been round, in hours in which the desk is open: it is no emergency, and a
// phone that rings every few minutes all weekend is switched off.
const betweenRounds = time.Hour

// page pages one step of the ladder for a row, and sets the next step. For an
// emergency it goes on, round and round at any hour, until somebody takes the row
// or answers. Of a row below urgent it is the promise that brings anybody here, and the
// page says so.
func (t *turn) page(row *Row, step int) {
	duty := t.ladder()
	if len(duty) == 0 {
		t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: "nobody is on the paging list: set `duty` in the settings"})
		return
	}
	on := duty[step%len(duty)]
	id, unworded := "page.emergency", "Lookout: row "+row.Name()+" in the queue needs a nurse now. Take it on the desk."
	if row.Level < triage.Urgent {
		id, unworded = "page.promise", promiseUnworded(row)
	}
	ways := t.sendPage(row, on, id, unworded)
	row.PagedTo = on.Name
	t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: fmt.Sprintf("paged %s by %s (step %d)", on.Name, ways, step+1)})
	t.kept(row, false)
	next := t.now.Add(t.bot.service.PageEvery)
	if last := (step+1)%len(duty) == 0; last && row.Level < triage.Emergency {
		if open := t.bot.service.Hours.Next(t.now.Add(betweenRounds)); !open.IsZero() {
			next = open
		}
	}
	t.wake(Wake{Key: "page:" + row.ID, Kind: WakePage, At: next, Ref: row.ID, N: step + 1})
}

// sendPage sends a page for a row to somebody in each of her ways, and names them.
// unworded is sent where the content has no words for it.
func (t *turn) sendPage(row *Row, on Duty, id, unworded string) string {
	vars := t.bot.pageVars(row)
	vars["by"] = t.bot.service.ByWords(row.DueAt, t.now, "")
	var ways []string
	for _, to := range on.Addresses {
		text, err := t.bot.content.Text(id, "en-GB", to.Channel, vars)
		if err != nil {
			text = unworded
		}
		out := t.outgoing(to, text, PriorityPage)
		out.Row, out.TextID = row.ID, id
		t.change.Send = append(t.change.Send, out)
		ways = append(ways, to.Channel)
	}
	return strings.Join(ways, " and ")
}

// pageVars are the placeholders of a page. It names no patient: phones lie about. It
// names the row, so that the pages of two rows are never taken for one another, by a
// nurse or in a carrier's log.
func (b *Bot) pageVars(row *Row) map[string]string {
	return map[string]string{
		"row": row.Name(), "level": row.Level.String(), "since": clockWords(row.OpenedAt.In(b.service.Location)),
		"desk": b.linkBase + "/desk/", "service": b.service.Name,
	}
}

// pageAgain goes on with the ladder when nobody has taken the row.
func (t *turn) pageAgain(row *Row, step int) {
	if row.State == Closed || row.State == Claimed {
		return
	}
	if row.AckedBy != "" {
		t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: row.AckedBy + " answered the page, and nobody has taken the row since"})
		row.AckedBy = ""
	}
	t.page(row, step)
}

// unpage ends the ladder of a row, and takes back its pages that have not left. Nobody's
// answer is for it any more.
func (t *turn) unpage(row *Row) {
	row.PagedTo = ""
	t.unwake("page:" + row.ID)
}

// onDuty says whose address on the paging list it is.
func (b *Bot) onDuty(from Address) (Duty, bool) {
	for _, d := range b.service.Duty {
		if slices.Contains(d.Addresses, from) {
			return d, true
		}
	}
	return Duty{}, false
}

// answerPage takes ACK or PASS from a phone on the paging list. It is for the row that
// she names; else for the one whose page that phone has, else for the one whose page
// another has, of several the one opened last: the ladder has moved on while the nurse was
// reaching for her phone, and her word counts no less. She is told which row was taken, and
// which wait still; a name that no page waits for takes nothing (see [Bot.rowNameIn]). done is false when it was
// neither word: then the message is an ordinary one.
func (b *Bot) answerPage(ctx context.Context, in Inbound, duty Duty) (done bool, err error) {
	word, behind := readAnswer(in.Text)
	if word == "" {
		return false, nil
	}
	rows, err := b.store.Queue(ctx, QueueFilter{Service: b.service.ID, States: []RowState{Open, Snoozed}, Limit: mostLooked})
	if err != nil {
		return false, fmt.Errorf("look for the page: %w", err)
	}
	if in.Swept { // written minutes ago: it answers no page of a row that was opened since
		rows = slices.DeleteFunc(rows, func(r Row) bool { return r.OpenedAt.After(in.At.Add(time.Second)) }) // the log is to the second
	}
	name, err := b.rowNameIn(ctx, behind, rows)
	if err != nil {
		return false, err
	}
	rows = slices.DeleteFunc(rows, func(r Row) bool { return r.PagedTo == "" || r.AckedBy != "" && r.AckedBy != duty.Name })
	waiting := slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.AckedBy != "" })
	slices.SortStableFunc(waiting, func(x, y Row) int { return hersFirst(x, y, duty) })
	meant := waiting
	if name != "" { // by its name she may also pass on what she has answered
		meant = slices.DeleteFunc(rows, func(r Row) bool { return r.Name() != name })
	}
	if len(meant) == 0 {
		return true, b.nothingPaged(ctx, in, duty, name, waiting)
	}
	row := slices.MinFunc(meant, func(x, y Row) int {
		// Of two of one name, the one that she has not answered yet.
		return cmp.Or(strings.Compare(x.AckedBy, y.AckedBy), hersFirst(x, y, duty), y.OpenedAt.Compare(x.OpenedAt))
	})
	waiting = slices.DeleteFunc(waiting, func(r Row) bool { return r.ID == row.ID })
	gone := false // answered, taken or closed since it was looked for
	err = b.turn(ctx, row.Patient, "in:"+in.CarrierID, nil, func(t *turn) error {
		r := t.rowByID(row.ID)
		if gone = r == nil || r.State == Claimed || r.AckedBy != "" && r.AckedBy != duty.Name; gone {
			return errNothing
		}
		id := "page.acked"
		if word == "ACK" {
			r.AckedBy = duty.Name
			t.entry(Entry{Kind: EntryPage, Ref: r.ID, By: duty.Name, Why: "answered the page: ACK"})
			t.kept(r, false)
			t.wake(Wake{Key: "page:" + r.ID, Kind: WakePage, At: t.now.Add(ackHolds), Ref: r.ID})
		} else {
			id, r.AckedBy = "page.passed", ""
			t.entry(Entry{Kind: EntryPage, Ref: r.ID, By: duty.Name, Why: "passed the page on"})
			t.page(r, b.stepAfter(ctx, duty))
		}
		also := waiting
		if row.PagedTo == duty.Name { // what others were paged for is theirs to answer first
			also = slices.DeleteFunc(slices.Clone(waiting), func(r Row) bool { return r.PagedTo != duty.Name })
		}
		if len(also) > 0 {
			id += "-more"
		}
		t.answerNurse(id, in.From, withWaiting(b.pageVars(r), also))
		return nil
	})
	if err == nil && gone {
		err = b.nothingPaged(ctx, in, duty, row.Name(), waiting)
	}
	return true, err
}

// hersFirst puts the rows whose page a nurse has before the others.
func hersFirst(x, y Row, duty Duty) int {
	switch hers := x.PagedTo == duty.Name; {
	case hers == (y.PagedTo == duty.Name):
		return 0
	case hers:
		return -1
	}
	return 1
}

// withWaiting adds the rows that wait for an answer to the placeholders of a page.
func withWaiting(vars map[string]string, waiting []Row) map[string]string {
	vars["rows"], vars["count"] = rowNames(waiting), strconv.Itoa(len(waiting))
	return vars
}

// nothingPaged answers a nurse whose word has come when nothing waits for one, or not the
// row that she names: a colleague was faster, the row is closed, or she has mistyped it.
// It is kept as a stranger's message is, and puts nothing into the queue.
func (b *Bot) nothingPaged(ctx context.Context, in Inbound, duty Duty, name string, waiting []Row) error {
	text := "page.nothing"
	switch {
	case name == "":
	case len(waiting) == 0:
		text = "page.nothing-row"
	default:
		text = "page.other-row"
	}
	id := b.strangerID(in.From)
	return b.turn(ctx, id, "in:"+in.CarrierID, func() Record { return b.stranger(id, in.From) }, func(t *turn) error {
		t.entry(Entry{Kind: EntryIn, At: in.At, By: duty.Name, Channel: in.From.Channel, Text: in.Text, Carrier: in.CarrierID})
		t.answerNurse(text, in.From, withWaiting(map[string]string{"row": name}, waiting))
		return nil
	})
}

// answerNurse answers a phone on the paging list. Whoever has sent ACK or PASS is never
// left without an answer, though the content has no words for it.
func (t *turn) answerNurse(id string, to Address, vars map[string]string) {
	text, err := t.bot.content.Text(id, "en-GB", "page", vars)
	if err != nil {
		t.bot.log.ErrorContext(t.ctx, "text could not be made", "text", id)
		text = "Lookout: look at the desk for what waits: " + t.bot.linkBase + "/desk/"
	}
	out := t.outgoing(to, text, PriorityPage)
	out.TextID = id
	t.change.Send = append(t.change.Send, out)
}

// stepAfter is the step of the ladder behind somebody's.
func (b *Bot) stepAfter(ctx context.Context, duty Duty) int {
	for i, d := range b.ladder(ctx) {
		if d.Name == duty.Name {
			return i + 1
		}
	}
	return 0
}

// pageFailed goes to the next step at once: a page that could not be delivered
// has reached nobody, unless another way to the same nurse is still open.
func (b *Bot) pageFailed(ctx context.Context, out Outgoing, why string) error {
	duty, _ := b.onDuty(out.To)
	switch out.TextID {
	case "page.check":
		return b.unreachable(ctx, out, duty)
	case unreachableID:
		return b.tellEverybody(ctx, out, duty)
	}
	open, err := b.otherWay(ctx, out, duty)
	if err != nil {
		return err
	}
	return b.turn(ctx, out.Patient, "page-failed:"+out.ID, nil, func(t *turn) error {
		row := t.rowByID(out.Row)
		if row != nil && row.State == Claimed && out.TextID == "page.promise" && unheard(row) && !open {
			t.pageBehind(row, duty, why)
			return nil
		}
		if row == nil || row.State == Closed || row.State == Claimed || row.AckedBy != "" {
			// Committed all the same: should the row be paged again, this failure, which
			// the sweep hands in for two days, says nothing of that page.
			return nil
		}
		t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: "the page to " + duty.Name + " by " + out.To.Channel + " was not delivered: " + why})
		if out.TextID == "page.promise" && !open && !t.paging(row) {
			t.page(row, 0) // the lead cannot be reached: whoever is on call can
			return nil
		}
		// Behind the last of the list its own clock is soon enough: where no page leaves at
		// all, the ladder would go round and round as fast as the carrier says no.
		if next := b.stepAfter(ctx, duty); !open && row.PagedTo == duty.Name && next < len(t.ladder()) {
			t.page(row, next)
		}
		return nil
	})
}

// pageBehind pages the next of the list behind somebody whose page for a missed promise was
// not delivered, though a nurse has the row: nobody has spoken with her, and somebody else
// than that nurse is to know. Once round, and no further.
func (t *turn) pageBehind(row *Row, duty Duty, why string) {
	ladder := t.ladder()
	failed := Entry{Kind: EntryPage, Ref: row.ID, Why: "the page to " + duty.Name + " was not delivered: " + why}
	lead, _ := t.bot.service.LeadOn()
	var next Duty
	if len(ladder) > 0 {
		next = ladder[t.bot.stepAfter(t.ctx, duty)%len(ladder)]
	}
	if next.Name == lead.Name || next.Name == duty.Name {
		failed.Why += "; nobody else is left to page"
		t.entry(failed)
		return
	}
	t.entry(failed)
	ways := t.sendPage(row, next, "page.promise", promiseUnworded(row))
	t.entry(Entry{Kind: EntryPage, Ref: row.ID, Why: "paged " + next.Name + ", by " + ways + ": " + row.ClaimedBy + " has it, and has not spoken with her"})
}

// otherWay says whether a page that went with this one to another address of the
// same nurse has not failed. One turn numbers its messages in a row.
func (b *Bot) otherWay(ctx context.Context, out Outgoing, duty Duty) (bool, error) {
	cut := strings.LastIndex(out.ID, "-m") + len("-m")
	n, err := strconv.Atoi(out.ID[cut:])
	if err != nil {
		return false, nil
	}
	for near := n - len(duty.Addresses) + 1; near < n+len(duty.Addresses); near++ {
		other, err := b.store.Outgoing(ctx, out.ID[:cut]+strconv.Itoa(near))
		switch {
		case near == n || errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return false, fmt.Errorf("look for another way: %w", err)
		case other.Row == out.Row && other.CreatedAt.Equal(out.CreatedAt) && slices.Contains(duty.Addresses, other.To) &&
			other.State != OutFailed && other.State != OutUndelivered && other.State != OutCancelled:
			return true, nil
		}
	}
	return false, nil
}

// wanted says whether a message should still go, at the moment of sending: a
// page whose row has been taken, answered, put off or closed is not sent. The lead is
// told of a promise whoever has the row.
func (b *Bot) wanted(ctx context.Context, out Outgoing, now time.Time) (bool, error) {
	if !out.NotAfter.IsZero() && now.After(out.NotAfter) {
		return false, nil
	}
	if out.Row == "" || out.TextID != "page.emergency" && out.TextID != "page.promise" {
		return true, nil
	}
	row, err := b.store.Row(ctx, out.Row)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if out.TextID == "page.promise" {
		duty, _ := b.onDuty(out.To)
		missed := row.State == Claimed && !row.DueAt.After(now) // whoever is paged then stands in for the lead
		if lead, _ := b.service.LeadOn(); !unheard(&row) || duty.Name == lead.Name || missed {
			return unheard(&row), nil
		}
	}
	return row.PagedTo != "" && row.AckedBy == "" && row.State != Claimed && row.State != Closed, nil
}
