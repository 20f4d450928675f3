package bot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/flows/triage"
)

// raised is a row that this turn has opened, raised or added words to.
type raised struct {
	row    Row // as it stands after
	opened bool
	raised bool // its level went up
}

// row finds her open row of a concern. One row that is not closed a person and concern.
func (t *turn) row(concern string) *Row {
	for i := range t.rec.Rows {
		if t.rec.Rows[i].Concern == concern && t.rec.Rows[i].State != Closed {
			return &t.rec.Rows[i]
		}
	}
	return nil
}

// rowByID finds one of her rows that are not closed.
func (t *turn) rowByID(id string) *Row {
	for i := range t.rec.Rows {
		if t.rec.Rows[i].ID == id {
			return &t.rec.Rows[i]
		}
	}
	return nil
}

// queue puts what was read before a nurse: a row for each concern that is soon
// or more urgent, and at least one when the reading as a whole is routine or
// higher. The reading's own level belongs to the concern that made it.
func (t *turn) queue(reading triage.Reading, words string) []raised {
	if reading.Level == triage.None {
		return nil
	}
	type concern struct {
		level triage.Level
		spans []Span
		why   string // in the words of its own finding
	}
	concerns, order := map[string]*concern{}, []string{}
	worst := t.worstRow()
	place := func(id string) string {
		if worst != nil && (id == "not-understood" || id == "other") {
			return worst.Concern // "it is worse today" is about what she told of before
		}
		return id
	}
	add := func(id string, level triage.Level, span *Span) {
		c := concerns[id]
		if c == nil {
			c = &concern{}
			concerns[id], order = c, append(order, id)
		}
		c.level = max(c.level, level)
		if span != nil {
			c.spans = append(c.spans, *span)
		}
	}
	top, topLevel := "", triage.None
	for _, f := range reading.Findings {
		if f.Polarity == "denied" || f.Level == triage.None {
			continue
		}
		id := place(t.bot.content.Concern(f.Concept))
		if f.Level > topLevel {
			top, topLevel = id, f.Level
		}
		if f.Level >= triage.Soon && !outdone(f, reading.Findings) {
			add(id, f.Level, &Span{f.Start, f.End, f.Concept})
			if c := concerns[id]; c.why == "" || f.Level == c.level {
				known, _ := t.bot.content.Lexicon().Concept(f.Concept)
				c.why = fmt.Sprintf("“%s”: %s (%s).", f.Text, known.Name, f.Level)
			}
		}
	}
	if top == "" {
		top = place("not-understood")
		for _, f := range reading.Findings {
			if id := t.bot.content.Concern(f.Concept); id != "other" || reading.Understood {
				top = id
				break
			}
		}
	}
	add(top, reading.Level, nil)
	var out []raised
	for _, id := range order {
		c := concerns[id]
		level := c.level
		why := c.why
		if id == top || why == "" {
			why = reading.Why
		}
		out = append(out, t.openRow(id, level, why, words, c.spans))
	}
	// The most dangerous first, for what she is told.
	slices.SortStableFunc(out, func(a, b raised) int { return int(b.row.Level) - int(a.row.Level) })
	return out
}

// outdone says whether the words of a finding are part of a more dangerous one: "my
// back is agony at night and my legs feel weak" is about the cord, and needs no
// second row about a bone.
func outdone(f triage.Finding, all []triage.Finding) bool {
	return slices.ContainsFunc(all, func(g triage.Finding) bool {
		return g.Polarity != "denied" && g.Level > f.Level && g.Start < f.End && f.Start < g.End
	})
}

// worstRow is the most dangerous of her rows that are not closed and that are about
// a sign of illness, the newest of several.
func (t *turn) worstRow() *Row {
	var worst *Row
	for i := range t.rec.Rows {
		row := &t.rec.Rows[i]
		if row.State != Closed && row.Level >= triage.Soon && row.Concern != "not-understood" && (worst == nil || row.Level >= worst.Level) {
			worst = row
		}
	}
	return worst
}

// join adds words to a row's. Several texts that were read together come as one,
// and hold what the row has already: it is not said twice.
func (row *Row) join(words string, spans []Span) {
	if words == "" || strings.HasSuffix(row.Message, words) {
		return
	}
	offset := 0
	if had := strings.Index(words, row.Message); had >= 0 {
		for i := range row.Spans {
			row.Spans[i].Start += had
			row.Spans[i].End += had
		}
		row.Message = words
	} else {
		offset = len(row.Message) + 1
		row.Message += "\n" + words
	}
	for _, s := range spans {
		if s = (Span{s.Start + offset, s.End + offset, s.Concept}); !slices.Contains(row.Spans, s) {
			row.Spans = append(row.Spans, s)
		}
	}
}

// openRow opens a row, or joins what is new to the open one of that concern. The
// level only goes up; the due time only comes nearer, until somebody has spoken with
// her; a snoozed row wakes, and one that becomes an emergency is nobody's until somebody
// takes it as one.
func (t *turn) openRow(concern string, level triage.Level, reason, words string, spans []Span) raised {
	due := t.bot.service.DueAt(level, t.now)
	row := t.row(concern)
	if row == nil {
		t.rec.NextRow++
		t.rec.Rows = append(t.rec.Rows, Row{
			ID: fmt.Sprintf("%s-r%d", t.rec.Patient.ID, t.rec.NextRow), Service: t.rec.Patient.Service,
			Patient: t.rec.Patient.ID, PatientName: t.rec.Patient.Name(), PatientBorn: t.rec.Patient.BirthDate, PatientNHS: t.rec.Patient.NHSNumber,
			Concern: concern, Level: level, Reason: reason, Message: words, Spans: spans,
			OpenedAt: t.now, DueAt: due, State: Open, Sent: t.sent,
		})
		row = &t.rec.Rows[len(t.rec.Rows)-1]
		t.changed(row, "opened: "+level.String()+". "+reason, true)
		t.watchRow(row)
		t.reask(row)
		return raised{*row, true, true}
	}
	up := level > row.Level
	row.join(words, spans)
	row.Sent = cmp.Or(t.sent, row.Sent)
	why := "new words joined it"
	if up {
		row.Level, row.Reason = level, reason
		row.AckedBy = ""
		why = "raised to " + level.String() + ". " + reason
	}
	again := row.Spoke // what she was promised before was kept: new words begin a new promise
	if again {
		row.Spoke, row.ToldOfMiss, row.DueAt = false, false, t.bot.service.DueAt(row.Level, t.now)
	} else if due.Before(row.DueAt) {
		row.DueAt = due
	}
	if row.State == Snoozed {
		row.State, row.WakeAt, row.PutOffWhy = Open, time.Time{}, ""
		t.unwake("snooze:" + row.ID)
		why += "; it was put off and is back"
	}
	if up && level == triage.Emergency && row.State == Claimed {
		// Who holds it took something less. She sees it, and everybody else must.
		why += "; given back: " + row.ClaimedBy + " had taken it before"
		row.State = Open
		t.letGo(row)
	}
	t.changed(row, why, up)
	if up || again {
		t.watchRow(row)
	}
	if up {
		t.reask(row)
	}
	return raised{*row, false, up}
}

// changed notes that a row is different now: in the change, the journal and the
// hints. Whoever saw it before has to look again before she acts.
func (t *turn) changed(row *Row, why string, loud bool) {
	row.Changed++
	if why != "" {
		t.entry(Entry{Kind: EntryRow, Ref: row.ID, Why: why})
	}
	t.kept(row, loud)
}

// kept notes a change of a row that nobody has to look at before she acts: a page,
// a clock, a longer claim.
func (t *turn) kept(row *Row, loud bool) {
	if i := slices.IndexFunc(t.change.Rows, func(r Row) bool { return r.ID == row.ID }); i >= 0 {
		t.change.Rows[i] = *row
	} else {
		t.change.Rows = append(t.change.Rows, *row)
	}
	t.hints = append(t.hints, Hint{Service: row.Service, Patient: row.Patient, Row: row.ID, Level: row.Level, New: loud})
}

// promise tells her what happens now: who rings, by when, and what to do if it
// gets worse first. asked says that a question of ours was open, so that the
// talk itself goes on to answer.
func (t *turn) promise(rows []raised, asked bool) {
	if len(rows) == 0 {
		return
	}
	top := rows[0]
	for _, r := range rows {
		if r.raised && (!top.raised || r.row.Level > top.row.Level) {
			top = r
		}
	}
	row := &top.row
	if !top.raised {
		if !t.told("added:"+row.ID, 10*time.Minute) && !asked {
			t.say("safety.added", t.byVars(row), PriorityReply)
		}
		return
	}
	t.told("added:"+row.ID, 0)
	id := t.bot.content.PromiseText(row.Level, row.Concern)
	if row.Level == triage.Routine && asked {
		// The talk asks again, or goes on; a promise about a small thing can wait
		// for its end unless she asked for something.
		if row.Concern == "not-understood" {
			return
		}
	}
	t.say(id, t.byVars(row), PriorityReply)
	for _, r := range rows {
		t.promised(r.row.ID)
	}
}

// promised notes that she was told by when somebody is in touch about a row.
func (t *turn) promised(id string) {
	if row := t.rowByID(id); row != nil && !row.Promised {
		row.Promised = true
		t.kept(row, false)
	}
}

// byVars says by when a row is acted on, in her language.
func (t *turn) byVars(row *Row) map[string]string {
	return map[string]string{"by": t.bot.service.ByWords(row.DueAt, t.now, t.rec.Patient.Locale)}
}
