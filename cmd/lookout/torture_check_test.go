package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"lookout/bot"
	"lookout/channels/sms"
	"lookout/flows/triage"
)

// settled says whether the sweep at its start is done, every text has left, and
// nothing is due.
func settled(w *world) bool {
	response, err := http.Get(w.url + "/metrics")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for _, line := range []string{"lookout_outgoing_messages 0\n", "lookout_wakes_due 0\n", `lookout_job_seconds_count{task="sweep"}`} {
		if !strings.Contains(string(text), line) {
			return false
		}
	}
	return true
}

// check starts a process anew, so that it sweeps, lets everything settle, and proves
// what lookout has promised.
func (o *ordeal) check(pages []*chatter) {
	o.Helper()
	for _, page := range pages {
		if page.conn != nil {
			page.conn.Close()
		}
	}
	first := o.hosts[0]
	o.kill(first)
	if !eventually(o.T, func() bool {
		for range 200 { // two seconds: a tick, and what follows from it
			if settled(first.world) {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		o.turn(40 * time.Second) // leases of the dead, and the next try
		return false
	}) {
		o.Errorf("it does not settle; seed %d:\n%s", o.seed, tail(first.log, &o.logged))
	}
	seen := o.desk(first)
	if out := o.command(first, "audit", "verify"); !strings.Contains(out, "The audit is whole") {
		o.Errorf("the audit: %s; seed %d", out, o.seed)
	}
	repeats := map[string]int{} // by message: sent again because nobody could know
	again := regexp.MustCompile(`sending again a message whose first send was never settled" message=(\S+)`)
	for _, h := range o.hosts {
		h.cmd.Process.Signal(os.Interrupt)
		if <-h.ended; h.fault != nil {
			o.Errorf("it did not stop cleanly: %v\n%s", h.fault, tail(h.log, &o.logged))
		}
		for _, m := range again.FindAllStringSubmatch(tail(h.log, &o.logged), -1) {
			repeats[m[1]]++
		}
	}
	x := &examiner{ordeal: o, repeats: repeats, spans: map[string][]span{}}
	x.examine(first.store, seen)
	o.held.check(o)
	accepted := 0
	for _, m := range o.messages {
		if !m.accepted.IsZero() {
			accepted++
		}
	}
	o.Logf("seed %d: %d messages written, %d of them accepted at once; %d texts sent, %d again because nobody could know; %d acts of nurses in the history", o.seed, len(o.messages), accepted, x.sent, len(repeats), len(o.held.all))
}

// desk is what a nurse sees in the end: every row that is not closed, by id, with who holds it.
func (o *ordeal) desk(h *host) map[string]string {
	o.Helper()
	seen := map[string]string{}
	for _, state := range []string{"open", "claimed"} {
		status, body := o.ask(http.DefaultClient, "GET", "/api/v1/queue?state="+state, "")
		var queue struct {
			Items []struct {
				ID        string `json:"id"`
				ClaimedBy string `json:"claimed_by"`
			}
		}
		if err := json.Unmarshal(body, &queue); err != nil || status != http.StatusOK {
			o.Errorf("the queue: %d, %v", status, err)
		}
		for _, row := range queue.Items {
			seen[row.ID] = row.ClaimedBy
		}
	}
	ann := o.signIn(h)
	var pages strings.Builder
	for n := range len(seen)/50 + 1 {
		pages.WriteString(o.fetch(ann, h.url+fmt.Sprintf("/desk/?show=all&page=%d", n+1), http.StatusOK))
	}
	for id := range seen {
		if !strings.Contains(pages.String(), `/desk/rows/`+id+`"`) {
			o.Errorf("row %s is not on the desk's list; seed %d", id, o.seed)
		}
	}
	return seen
}

// examiner compares the store with what people, phones and nurses know.
type examiner struct {
	*ordeal
	store   bot.Store
	repeats map[string]int
	sent    int
	spans   map[string][]span // by row
}

func (x *examiner) fault(format string, args ...any) {
	x.Helper()
	x.Errorf(format+"; seed %d", append(args, x.seed)...)
}

func (x *examiner) examine(where string, seen map[string]string) {
	x.Helper()
	ctx := context.Background()
	if x.redis != nil {
		where = "redis://" + x.master.Addr
	}
	var err error
	if x.store, err = openStore(ctx, &settings{Store: where}, slog.New(slog.DiscardHandler), x.carrier.Now); err != nil {
		x.Fatal(err)
	}
	defer x.store.Close()
	people, err := x.store.Patients(ctx, "anytown", "", 1000)
	if err != nil {
		x.Fatal(err)
	}
	place := map[string]int{} // of a message in its journal, by id
	rows := map[string]bot.Row{}
	for _, p := range people {
		entries, err := x.store.Journal(ctx, p.ID, 0, 0)
		if err != nil {
			x.Fatal(err)
		}
		hers, err := x.store.Queue(ctx, bot.QueueFilter{Patient: p.ID, States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed, bot.Closed}})
		if err != nil {
			x.Fatal(err)
		}
		queued := ""
		for _, r := range hers {
			queued += r.Message + "\n"
			rows[r.ID] = r
		}
		x.journal(ctx, entries, queued, place)
		x.quiet(entries)
	}
	x.everyMessage(ctx, place)
	x.everyText(ctx)
	for id, holder := range seen {
		if r := rows[id]; r.State == bot.Closed || r.ClaimedBy != holder {
			x.fault("row %s: the desk says that %q holds it, the store %q (%s)", id, holder, r.ClaimedBy, r.State)
		}
	}
	for id, r := range rows {
		if _, ok := seen[id]; !ok && (r.State == bot.Open || r.State == bot.Claimed) {
			x.fault("row %s is %s, and the desk does not show it", id, r.State)
		}
	}
	x.audited(ctx)
}

// journal looks at one person's: every message once with its reading behind it, every
// worrying one in a row, every text gone.
func (x *examiner) journal(ctx context.Context, entries []bot.Entry, queued string, place map[string]int) {
	x.Helper()
	for i, e := range entries {
		switch e.Kind {
		case bot.EntryIn:
			if _, twice := place[e.Carrier]; twice {
				x.fault("message %s is in the journals twice", e.Carrier)
			}
			place[e.Carrier] = i
			if e.By != "patient" {
				continue // a nurse's answer to a page
			}
			if i+1 >= len(entries) || entries[i+1].Kind != bot.EntryReading || entries[i+1].Ref != e.Carrier {
				x.fault("message %s has no reading behind it", e.Carrier)
				continue
			}
			if level := entries[i+1].Reading.Level; level >= triage.Routine && !strings.Contains(queued, e.Text) {
				x.fault("message %s is %s and its words are in no row", e.Carrier, level)
			}
		case bot.EntryOut:
			if e.Ref == "" {
				continue
			}
			out, err := x.store.Outgoing(ctx, e.Ref)
			if err != nil {
				x.Fatal(err)
			}
			if out.State != bot.OutSent && out.State != bot.OutDelivered {
				x.fault("text %s is %s after all has settled", out.ID, out.State)
			}
		}
	}
}

// span is a time in which nobody is to be paged for a row.
type span struct {
	from, until time.Time // by the turned clocks
	why         string
}

// quiet holds that nobody was paged for a row after somebody had answered or taken it.
func (x *examiner) quiet(entries []bot.Entry) {
	x.Helper()
	end := func(row string, at time.Time) {
		if spans := x.spans[row]; len(spans) > 0 && spans[len(spans)-1].until.IsZero() {
			spans[len(spans)-1].until = at
		}
	}
	for _, e := range entries {
		if e.Kind != bot.EntryPage && e.Kind != bot.EntryRow {
			continue
		}
		switch why := e.Why; {
		case why == "answered the page: ACK", why == "taken", strings.HasPrefix(why, "closed:"):
			end(e.Ref, e.At)
			x.spans[e.Ref] = append(x.spans[e.Ref], span{from: e.At, why: why})
		case strings.HasPrefix(why, "raised to "), strings.HasPrefix(why, "given back"), why == "passed the page on", strings.HasSuffix(why, "nobody has taken the row since"):
			end(e.Ref, e.At)
		case strings.HasPrefix(why, "paged ") && !strings.HasPrefix(why, "paged the lead"):
			if spans := x.spans[e.Ref]; len(spans) > 0 && spans[len(spans)-1].until.IsZero() {
				x.fault("row %s: %q after %q", e.Ref, why, spans[len(spans)-1].why)
			}
		}
	}
}

// everyMessage holds that what was accepted, and what the carrier took, is kept once
// and in order.
func (x *examiner) everyMessage(ctx context.Context, place map[string]int) {
	x.Helper()
	byPerson := map[string][]*written{}
	for _, m := range x.messages {
		id := m.id
		if !strings.HasPrefix(m.phone, "+") {
			id = "chat:" + m.phone + ":" + m.id
		}
		if m.phone == nursePhone || m.phone == leadPhone {
			if known, err := x.store.Seen(ctx, "in:"+id); err != nil || !known {
				x.fault("%s of a nurse's phone (%s) was not taken in: %v", m.text, id, err)
			}
			continue
		}
		if _, ok := place[id]; !ok {
			x.fault("message %s is in no journal; accepted: %t", id, !m.accepted.IsZero())
			continue
		}
		m.id = id
		byPerson[m.phone] = append(byPerson[m.phone], m)
	}
	for _, all := range byPerson {
		for _, a := range all {
			for _, b := range all {
				if !a.accepted.IsZero() && a.accepted.Before(b.at) && place[a.id] > place[b.id] {
					x.fault("message %s was accepted before %s was written, and stands behind it", a.id, b.id)
				}
			}
		}
	}
}

// lateAtMost is how long a page may be under way: longer than any pause, and than
// any request.
//
// A lease is in it since 2026-11-27: on a tortured Cluster a page has been seen to leave when
// its claim ran out, 31 s after its row was taken. Why the row did not say so is not known.
const lateAtMost = 45 * time.Second

// everyText holds that each text left once, or as often as the log says that it had to.
func (x *examiner) everyText(ctx context.Context) {
	x.Helper()
	left := map[string]int{}
	taken := map[string]bot.Outgoing{} // what the carrier has, by its id
	for _, m := range x.carrier.Messages("") {
		if m.Inbound {
			continue
		}
		x.sent++
		to, err := url.Parse(m.Callback)
		if err != nil {
			x.Fatal(err)
		}
		id := to.Query().Get("m")
		left[id]++
		out, err := x.store.Outgoing(ctx, id)
		if err != nil {
			x.fault("the carrier has text %s, and the store has not: %v", id, err)
			continue
		}
		taken[m.SID] = out
		if out.TextID != "page.emergency" {
			continue
		}
		for _, s := range x.spans[out.Row] {
			if came := x.arrived[m.SID]; came.After(x.real(s.from).Add(lateAtMost)) && (s.until.IsZero() || came.Before(x.real(s.until))) {
				x.fault("page %s for row %s came %s after %q", id, out.Row, came.Sub(x.real(s.from)), s.why)
			}
		}
	}
	for id, n := range left {
		if n > 1+x.repeats[id] {
			x.fault("text %s left %d times, and the log lists %d repetitions:\n%s", id, n, x.repeats[id], x.traces(ctx, id))
		}
	}
	for _, p := range x.people() {
		for n := 1; ; n++ {
			out, err := x.store.Outgoing(ctx, fmt.Sprintf("%s%s%d", p, bot.MessageMark, n))
			if err != nil {
				break
			}
			if out.To.Channel == sms.Channel && (out.State == bot.OutSent || out.State == bot.OutDelivered) {
				// The carrier's log is asked for the words: of two texts in the same words to one
				// telephone it may have either. A page names its row, and is never another row's.
				if as := taken[out.CarrierID]; as.To != out.To || as.Text != out.Text || as.Row != out.Row {
					x.fault("text %s is %s, and the carrier never had it:\n%s", out.ID, out.State, x.traces(ctx, out.ID))
				}
			}
			if out.State == bot.OutCancelled && left[out.ID] > x.repeats[out.ID] {
				x.fault("text %s was taken back, and left:\n%s", out.ID, x.traces(ctx, out.ID))
			}
		}
	}
}

// traces is what the store, the carrier and the logs know of a text, for who looks
// into a failure.
func (x *examiner) traces(ctx context.Context, id string) string {
	var b strings.Builder
	out, err := x.store.Outgoing(ctx, id)
	fmt.Fprintf(&b, "%+v %v\n", out, err)
	for _, m := range x.carrier.Messages("") {
		if strings.HasSuffix(m.Callback, "?m="+url.QueryEscape(id)) {
			fmt.Fprintf(&b, "carrier: %s at %s, %s, %q\n", m.SID, x.arrived[m.SID].Format(time.StampMilli), m.Status, m.Body)
		}
	}
	for i, h := range x.hosts {
		for line := range strings.Lines(tail(h.log, &x.logged)) {
			if strings.Contains(line, id) {
				fmt.Fprintf(&b, "host %d: %s", i, line)
			}
		}
	}
	return b.String()
}

func (x *examiner) people() (ids []string) {
	all, err := x.store.Patients(context.Background(), "anytown", "", 1000)
	if err != nil {
		x.Fatal(err)
	}
	for _, p := range all {
		ids = append(ids, p.ID)
	}
	return ids
}

// real is the time of this process when the turned clocks showed a time.
func (x *examiner) real(at time.Time) time.Time {
	turned := x.turns[0].by
	for _, turn := range x.turns {
		if !turn.at.Add(turn.by).After(at) {
			turned = turn.by
		}
	}
	return at.Add(-turned)
}

// audited holds that every claim that was granted is in the audit.
func (x *examiner) audited(ctx context.Context) {
	x.Helper()
	claims := map[string]int{}
	for after := int64(0); ; {
		page, err := x.store.AuditLog(ctx, after, 1000)
		if err != nil {
			x.Fatal(err)
		}
		for _, e := range page {
			after = e.Seq
			if strings.HasPrefix(e.Did, "claim row") {
				claims[e.Ref]++
			}
		}
		if len(page) < 1000 {
			break
		}
	}
	granted := map[string]int{}
	for _, op := range x.held.all {
		if a := op.Input.(act); a.what == "claim" && op.Output == http.StatusOK {
			granted[a.row]++
		}
	}
	for row, n := range granted {
		if claims[row] < n {
			x.fault("row %s was taken %d times, the audit has %d", row, n, claims[row])
		}
	}
}

// history is who did what with which row, and what she was told, in time.
type history struct {
	mu  sync.Mutex
	all []porcupine.Operation
	// granted: what is looked at and what is refused is left out. A master that others hold for
	// dead shows for some seconds what it was told and could not pass on, and refuses by it; what it
	// grants must hold.
	granted bool
}

// act is one act on a row, or a look at who holds it.
type act struct {
	nurse int
	row   string
	what  string // claim, release, note, close, see, or "run out" of claims
	by    string // who acts; of a look, who was seen to hold it
}

const noWord = 0 // a status: nobody knows what came of it

func (h *history) add(a act, status int, began time.Time) {
	if status == noWord && a.what == "note" {
		return // whether or not, nothing follows
	}
	if h.granted && (a.what == "see" || status == http.StatusConflict) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := time.Now().UnixNano()
	if status == noWord {
		ended = math.MaxInt64 // it may still happen
	}
	h.all = append(h.all, porcupine.Operation{ClientId: a.nurse, Input: a, Output: status, Call: began.UnixNano(), Return: ended})
}

// runOut notes that every claim ran out since a time.
func (h *history) runOut(began time.Time) {
	rows := map[string]bool{}
	for _, op := range h.all {
		rows[op.Input.(act).row] = true
	}
	for row := range rows {
		h.add(act{nurses, row, "run out", ""}, http.StatusOK, began)
	}
}

// rowState is all that the model of a row knows.
type rowState struct {
	holder string
	closed bool
}

// oneHolder is a row as lookout promises it: one holds it, or nobody.
var oneHolder = porcupine.NondeterministicModel{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		rows := map[string][]porcupine.Operation{}
		for _, op := range all {
			rows[op.Input.(act).row] = append(rows[op.Input.(act).row], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range rows {
			out = append(out, ops)
		}
		return out
	},
	Init: func() []any { return []any{rowState{}} },
	Step: func(state, input, output any) []any {
		s, a, status := state.(rowState), input.(act), output.(int)
		mine := !s.closed && (s.holder == "" || s.holder == a.by)
		after, may := s, mine
		switch a.what {
		case "see":
			may = !s.closed && s.holder == a.by
		case "run out":
			after.holder, may = "", true
		case "claim":
			after.holder = a.by
		case "release":
			after.holder, may = "", mine && s.holder == a.by
		case "close":
			after = rowState{closed: true}
		}
		switch {
		case status == http.StatusOK && may:
			return []any{after}
		case status == http.StatusConflict && !may:
			return []any{s}
		case status == noWord && may:
			return []any{s, after}
		case status == noWord:
			return []any{s}
		}
		return nil
	},
	DescribeOperation: func(input, output any) string {
		a := input.(act)
		return fmt.Sprintf("%s %s: %d", a.what, a.by, output)
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
}

// check holds the history to the model.
func (h *history) check(o *ordeal) {
	o.Helper()
	model := oneHolder.ToModel()
	result, info := porcupine.CheckOperationsVerbose(model, h.all, 20*time.Second)
	if result == porcupine.Ok {
		return
	}
	picture := filepath.Join(os.TempDir(), fmt.Sprintf("lookout-claims-%d.html", o.seed))
	if err := porcupine.VisualizePath(model, info, picture); err != nil {
		o.Error(err)
	}
	h.tell(o, model)
	o.Errorf("what nurses were told of who holds which row fits no order (%s): %s; seed %d", result, picture, o.seed)
}

// tell lists what happened to each row that fits no order, for who looks into a failure.
func (h *history) tell(o *ordeal, model porcupine.Model) {
	for _, ops := range oneHolder.Partition(h.all) {
		if porcupine.CheckOperationsTimeout(model, ops, 20*time.Second) == porcupine.Ok {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		for _, op := range ops {
			until := "?"
			if op.Return != math.MaxInt64 {
				until = time.Unix(0, op.Return).Format("05.000")
			}
			o.Logf("%s %s to %s %d %s", op.Input.(act).row, time.Unix(0, op.Call).Format("05.000"), until, op.ClientId, oneHolder.DescribeOperation(op.Input, op.Output))
		}
	}
}
