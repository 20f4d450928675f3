package desk

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lookout/bot"
	"lookout/flows/triage"
)

// pageSize is how many rows stand on one page of the queue.
const pageSize = 50

// tab is a view of the queue.
type tab struct {
	Key, Label, Empty string
	filter            func(now time.Time, u bot.User) bot.QueueFilter
	hers              bool // each member of the team has one of her own
}

// tabs are the views of the queue, in the order in which they are shown. The days
// are those of the service's clock.
var tabs = []tab{
	{"now", "To do now", "Nothing needs you now.", func(now time.Time, _ bot.User) bot.QueueFilter {
		return bot.QueueFilter{States: []bot.RowState{bot.Open}, DueBefore: midnight(now, 1)}
	}, false},
	{"today", "Today", "Nothing is due today.", func(now time.Time, _ bot.User) bot.QueueFilter {
		return bot.QueueFilter{DueBefore: midnight(now, 1)}
	}, false},
	{"week", "This week", "Nothing is due this week.", func(now time.Time, _ bot.User) bot.QueueFilter {
		return bot.QueueFilter{DueBefore: midnight(now, 7)}
	}, false},
	{"mine", "Mine", "You hold no row.", func(_ time.Time, u bot.User) bot.QueueFilter { return bot.QueueFilter{Holder: u.Email} }, true},
	{"waiting", "Put off", "No row is put off.", func(time.Time, bot.User) bot.QueueFilter {
		return bot.QueueFilter{States: []bot.RowState{bot.Snoozed}}
	}, false},
	{"done", "Done today", "Nothing was closed today yet.", func(now time.Time, _ bot.User) bot.QueueFilter {
		return bot.QueueFilter{States: []bot.RowState{bot.Closed}, ClosedSince: midnight(now, 0)}
	}, false},
	{"all", "All open", "Nothing here needs you now.", func(time.Time, bot.User) bot.QueueFilter { return bot.QueueFilter{} }, false},
}

// midnight is the beginning of the day so many days after now's.
func midnight(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

// now is the time by the service's clock.
func (d *Desk) now() time.Time { return d.Now().In(d.Bot.Service().Location) }

// tabView is a tab with how many rows it has.
type tabView struct {
	tab
	Count int
	Here  bool
}

// listRow is a row as the list shows it.
type listRow struct {
	bot.Row
	Looking  []string // who has it on her screen, without whoever holds it
	SameName bool     // another row on the page is of somebody of that name
}

// glance is what was read of the queue at one moment, for everybody who asked for the
// same view of it: what differs from one to the other is made of it.
type glance struct {
	tab         int
	counts      []int // of each tab; -1: it is hers, see hers
	page, pages int
	rows        []bot.Row
	emergencies int
	claimed     []bot.Row // by anybody, at most [mostClaimed]
	looking     map[string][]string
	proof       bot.Proof
	drawn       map[string]template.HTML // the rows, by whose own looking is left out; "": nobody's
	drawing     sync.Mutex
}

// mostClaimed bounds how many rows that are taken a list knows of.
const mostClaimed = 500

// glance reads one page of one view.
func (d *Desk) glance(ctx context.Context, here, page int, u bot.User) (*glance, error) {
	now := d.now()
	g := &glance{tab: here, counts: make([]int, len(tabs)), drawn: map[string]template.HTML{}}
	var err error
	if g.claimed, err = d.Bot.Queue(ctx, bot.QueueFilter{States: []bot.RowState{bot.Claimed}, Limit: mostClaimed}); err != nil {
		return nil, err
	}
	for i, t := range tabs {
		if t.hers && i != here {
			g.counts[i] = -1
			continue
		}
		if g.counts[i], err = d.Bot.Count(ctx, t.filter(now, u)); err != nil {
			return nil, err
		}
	}
	g.pages = (g.counts[here] + pageSize - 1) / pageSize
	g.page = max(1, min(page, g.pages))
	filter := tabs[here].filter(now, u)
	filter.Limit, filter.Skip = pageSize, (g.page-1)*pageSize
	if g.rows, err = d.Bot.Queue(ctx, filter); err != nil {
		return nil, err
	}
	top, err := d.Bot.Queue(ctx, bot.QueueFilter{States: []bot.RowState{bot.Open}, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	for _, row := range top {
		if row.Level == triage.Emergency {
			g.emergencies++
		}
	}
	if g.proof, err = d.Bot.Proof(ctx); err != nil {
		d.Log.Error("the daily test cannot be read", "err", err) // the queue is shown whatever is known of it
	}
	g.looking, err = d.Bot.Looking(ctx)
	return g, err
}

// views are the tabs as one member of the team has them.
func (d *Desk) views(ctx context.Context, g *glance, u bot.User) ([]tabView, error) {
	views := make([]tabView, len(tabs))
	for i, t := range tabs {
		views[i] = tabView{t, g.counts[i], i == g.tab}
		switch {
		case views[i].Count >= 0:
		case len(g.claimed) < mostClaimed:
			views[i].Count = 0
			for _, row := range g.claimed {
				if row.ClaimedBy == u.Email {
					views[i].Count++
				}
			}
		default:
			var err error
			if views[i].Count, err = d.Bot.Count(ctx, t.filter(d.now(), u)); err != nil {
				return nil, err
			}
		}
	}
	return views, nil
}

// draw gives the rows of a glance as they stand in the page, drawn once for all for
// whom they look the same.
func (d *Desk) draw(g *glance, u bot.User) (template.HTML, error) {
	whose := ""
	for _, r := range g.rows {
		if slices.Contains(g.looking[r.ID], u.Email) {
			whose = u.Email
		}
	}
	g.drawing.Lock()
	defer g.drawing.Unlock()
	if html, ok := g.drawn[whose]; ok {
		return html, nil
	}
	var b strings.Builder
	if err := d.pages.ExecuteTemplate(&b, "rows", view{"Rows": d.listed(g.rows, g.looking, u), "Here": tabs[g.tab]}); err != nil {
		return "", fmt.Errorf("draw the list: %w", err) // half a list is none, for whoever asks next too
	}
	g.drawn[whose] = template.HTML(b.String()) // a template has escaped it
	return g.drawn[whose], nil
}

// queue is the list: most dangerous first, then least time left. Whoever asks at the
// same moment shares one reading of the store; each has her own entry in the audit.
func (d *Desk) queue(w http.ResponseWriter, r *http.Request, u bot.User) error {
	ctx := r.Context()
	here := slices.IndexFunc(tabs, func(t tab) bool { return t.Key == r.URL.Query().Get("show") })
	if here < 0 {
		here = len(tabs) - 1
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	key := glanceKey{tab: here, page: max(1, page)}
	if tabs[here].hers {
		key.of = u.Email
	}
	g, err := d.glances.get(ctx, key, func(ctx context.Context) (*glance, error) { return d.glance(ctx, here, page, u) })
	if err != nil {
		return err
	}
	views, err := d.views(ctx, g, u)
	if err != nil {
		return err
	}
	var offered []bot.Row
	for _, row := range g.claimed {
		if row.OfferedTo == u.Email {
			offered = append(offered, row)
		}
	}
	tag := listTag(views, g.rows, offered, g.looking, g.proof)
	if r.Header.Get("X-Have") == tag { // the script asks whether anything has changed
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := d.audit(r, u, "read queue: "+tabs[here].Key, "", ""); err != nil {
		return err
	}
	title := "The queue"
	if g.emergencies > 0 {
		title = fmt.Sprintf("(%d emergency) The queue", g.emergencies)
	}
	v := view{"Title": title, "Tabs": views, "Rows": template.HTML(""), "Emergencies": g.emergencies, "Tag": tag, "Here": tabs[here],
		"Offered": offered, "Page": g.page, "Pages": g.pages, "Undo": d.undoable(r, u), "Proof": g.proof, "Next": d.Bot.Service().Hours.Next(d.now())}
	if len(g.rows) > 0 {
		if v["Rows"], err = d.draw(g, u); err != nil {
			return err
		}
	}
	d.show(w, r, http.StatusOK, "queue", v)
	return nil
}

func (d *Desk) listed(rows []bot.Row, looking map[string][]string, u bot.User) []listRow {
	names := map[string]string{} // name → patient; "" when there are two
	for _, r := range rows {
		if p, ok := names[r.PatientName]; ok && p != r.Patient {
			names[r.PatientName] = ""
		} else if !ok {
			names[r.PatientName] = r.Patient
		}
	}
	out := make([]listRow, len(rows))
	for i, r := range rows {
		out[i] = listRow{Row: r, SameName: names[r.PatientName] == ""}
		for _, who := range looking[r.ID] {
			if who != r.ClaimedBy && who != u.Email {
				out[i].Looking = append(out[i].Looking, who)
			}
		}
	}
	return out
}

// listTag names what a list looks like, so that a script can ask whether it has changed.
func listTag(views []tabView, rows, offered []bot.Row, looking map[string][]string, proof bot.Proof) string {
	sum := newTag()
	sum.add(proof.Proved.Unix(), proof.Warning())
	for _, v := range views {
		sum.add(v.Key, v.Count)
	}
	for _, r := range slices.Concat(rows, offered) {
		sum.add(r.ID, r.Changed, r.State, r.PagedTo, r.AckedBy, r.ClaimUntil.Unix(), r.DueAt.Unix(), r.OfferedTo, looking[r.ID])
	}
	return sum.String()
}

// undoable is the row that she closed a moment ago, while that can be taken back.
func (d *Desk) undoable(r *http.Request, u bot.User) *bot.Row {
	id := r.URL.Query().Get("closed")
	if id == "" {
		return nil
	}
	row, err := d.Bot.Row(r.Context(), id)
	if err != nil || row.State != bot.Closed || row.ClosedBy != u.Email || d.Now().After(row.ClosedAt.Add(30*time.Second)) {
		return nil
	}
	return &row
}

// handOver is the end of a shift: what is still hers, what she waits for, and what
// was promised for the next days. One button offers a row to a colleague.
func (d *Desk) handOver(w http.ResponseWriter, r *http.Request, u bot.User) error {
	mine, err := d.Bot.Queue(r.Context(), bot.QueueFilter{Holder: u.Email})
	if err != nil {
		return err
	}
	waiting, err := d.Bot.Queue(r.Context(), bot.QueueFilter{States: []bot.RowState{bot.Snoozed}, Limit: pageSize})
	if err != nil {
		return err
	}
	promised, err := d.Bot.Queue(r.Context(), bot.QueueFilter{States: []bot.RowState{bot.Open}, DueBefore: midnight(d.now(), 2), Limit: pageSize})
	if err != nil {
		return err
	}
	colleagues, err := d.colleagues(r, u)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read hand-over", "", ""); err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "hand-over", view{"Title": "Hand over", "Mine": mine, "Waiting": waiting, "Promised": promised, "Colleagues": colleagues})
	return nil
}

// colleagues are those to whom a row can be handed over.
func (d *Desk) colleagues(r *http.Request, u bot.User) ([]bot.User, error) {
	users, err := d.Bot.Users(r.Context())
	return slices.DeleteFunc(users, func(x bot.User) bool {
		return x.Email == u.Email || !x.CanSignIn() || !slices.Contains(clinical, x.Role)
	}), err
}

// call is one call to make, on paper.
type call struct {
	bot.Row
	Phone string
}

// mostCalls bounds what is printed.
const mostCalls = 500

// calls are those due within seven days, the most dangerous first, and how many more
// there are than these.
func (d *Desk) calls(ctx context.Context) ([]call, int, error) {
	filter := bot.QueueFilter{States: []bot.RowState{bot.Open, bot.Claimed, bot.Snoozed}, DueBefore: midnight(d.now(), 7), Limit: mostCalls}
	rows, err := d.Bot.Queue(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	more := 0
	if len(rows) == mostCalls {
		all, err := d.Bot.Count(ctx, filter)
		if err != nil {
			return nil, 0, err
		}
		more = all - len(rows)
	}
	calls := make([]call, len(rows))
	for i, row := range rows {
		p, err := d.Bot.Patient(ctx, row.Patient)
		if err != nil {
			return nil, 0, err
		}
		phone, _ := p.Address("sms")
		calls[i] = call{row, phone.At}
	}
	return calls, more, nil
}

// callList is the queue on paper: for the day on which the network is down.
func (d *Desk) callList(w http.ResponseWriter, r *http.Request, u bot.User) error {
	calls, more, err := d.calls(r.Context())
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "print call list", "", strconv.Itoa(len(calls))+" rows"); err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "call-list", view{"Title": "Call list", "Calls": calls, "More": more})
	return nil
}

// CallListFile is the same as one page that needs nothing else, to be kept elsewhere.
func (d *Desk) CallListFile(ctx context.Context) ([]byte, error) {
	calls, more, err := d.calls(ctx)
	if err == nil {
		err = d.Bot.Audit(ctx, bot.AuditEntry{By: "lookout", Did: "write call list", Ref: strconv.Itoa(len(calls)) + " rows"})
	}
	var out bytes.Buffer
	if err == nil {
		err = d.pages.ExecuteTemplate(&out, "call-list-file", view{"Calls": calls, "More": more, "Now": d.Now(), "Service": d.Bot.Service().Name, "Banner": d.Banner})
	}
	return out.Bytes(), err
}
