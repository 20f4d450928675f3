package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// step moves the talk and carries out what follows.
func (t *turn) step(e flows.Event) {
	e.Now = t.now.In(t.zone())
	state, effects, err := flows.Traced(t.pack.Program(), t.rec.Talk, e, t.facts(), t.bot.took)
	if err != nil {
		t.entry(Entry{Kind: EntryFlow, Why: "the talk could not go on: " + err.Error()})
		t.bot.log.ErrorContext(t.ctx, "talk could not go on", "patient", t.rec.Patient.ID, "flow", t.rec.Talk.Flow, "err", err)
		return
	}
	if state.Active() && state.Pack == "" {
		state.Pack = t.pack.Digest()
	}
	t.rec.Talk = state
	for _, effect := range effects {
		t.effect(effect)
	}
	if !state.Active() {
		t.rec.Talk = flows.State{}
		t.unwakeTalk()
	}
}

// effect carries out one thing that a flow asked for.
func (t *turn) effect(e flows.Effect) {
	switch {
	case e.Say != nil:
		priority := PriorityReply
		if e.Say.Reminder || t.unasked {
			priority = PriorityPlanned
		}
		t.ask(e.Say.Text, e.Say.Options, priority)
	case e.Ask != nil:
		priority := PriorityReply
		if t.unasked {
			priority = PriorityPlanned
		}
		if e.Ask.Form != "" && t.showsForms() {
			t.ask(e.Ask.Form, nil, priority)
			return
		}
		t.ask(e.Ask.Text, e.Ask.Options, priority)
	case e.Escalate != nil:
		x := e.Escalate
		words := "(" + x.Reason + ")"
		if x.Words != "" {
			words = x.Words
		}
		r := t.openRow(x.Concern, x.Level, x.Reason, words, nil)
		if !t.unasked { // to her silence nothing is promised; the flow's own words are said
			t.promise([]raised{r}, true)
		}
	case e.SetTimer != nil:
		// A timer speaks or gives up waiting for her: both belong into hours in
		// which somebody can hear the answer.
		when, _ := t.slot(e.SetTimer.At, e.SetTimer.Key)
		if when.IsZero() {
			when = e.SetTimer.At
		}
		t.wake(Wake{Key: "talk:" + e.SetTimer.Key, Kind: WakeTalk, At: when, Ref: e.SetTimer.Key})
	case e.Save != nil:
		t.save(e.Save)
	case e.Ended != nil:
		t.entry(Entry{Kind: EntryFlow, Ref: e.Ended.Flow, Why: "ended: " + e.Ended.Outcome, Pack: t.pack.Digest()})
	}
}

// ask queues a question, or what is said about one, with the list of its options.
func (t *turn) ask(id string, options []flows.Option, priority Priority) {
	t.sayFrom(t.pack, id, priority, func(locale string) map[string]string { return content.Choices(options, locale) })
}

// unwakeTalk takes back every timer of the talk.
func (t *turn) unwakeTalk() {
	kept := t.rec.Wakes[:0]
	for _, w := range t.rec.Wakes {
		if w.Kind != WakeTalk {
			kept = append(kept, w)
		}
	}
	t.rec.Wakes = kept
}

// begin starts a flow. A talk that is open ends first: two questions are never open at once.
func (t *turn) begin(flow, why string) {
	t.endTalk("superseded")
	t.pack = t.bot.content
	t.entry(Entry{Kind: EntryFlow, Ref: flow, Why: "began: " + why, Pack: t.pack.Digest()})
	t.step(flows.Event{Start: flow})
}

// save keeps an answer that is about her.
func (t *turn) save(s *flows.Save) {
	switch s.Field {
	case "consent":
		yes := s.Answer.Kind == triage.SaidYes
		t.consent(yes, "patient", answeredInvitation)
	case "weight":
		if s.Answer.Kind == triage.Value && s.Answer.Number > 0 {
			t.rec.Weights = append(t.rec.Weights, Weight{At: t.now, Kg: s.Answer.Number})
		}
	case "pause":
		if s.Answer.Kind == triage.Value {
			t.pause(t.bot.content.WeeksOf(s.Answer.Number, s.Text), "she said for how long")
		}
	case "texts_time", "texts_day":
		if s.Answer.Kind == triage.Chosen {
			t.wish(s.Field, s.Answer.Option, nil)
		}
	case "texts_here":
		if s.Answer.Kind == triage.SaidNo {
			t.cancelPlanned()
			t.rec.Patient.NotHere = true
			t.pause(pauseWeeks, "she wants no texts on this telephone; a nurse agrees another way")
		}
	case "moves_to":
		if s.Answer.Kind == triage.FreeText {
			t.rec.Patient.MovesTo = strings.ToValidUTF8(s.Text[:min(len(s.Text), 400)], "")
		}
	}
	t.entry(Entry{Kind: EntryFlow, Ref: s.Field, By: "patient", Why: "she answered: " + answerWords(s.Answer), Carrier: t.answering[s.Question]})
}

// answerWords says an answer in a word or two, for the nurse.
func answerWords(a triage.Answer) string {
	switch a.Kind {
	case triage.Value:
		if a.DaysAgo > 0 {
			return fmt.Sprintf("%d days ago", a.DaysAgo)
		}
		return fmt.Sprintf("%g", a.Number)
	case triage.Chosen:
		return a.Option
	case triage.NoAnswer:
		return "nothing that could be read"
	}
	return string(a.Kind)
}

// facts are what the conditions of a flow may ask about.
func (t *turn) facts() flows.Facts {
	p := t.profile()
	profile := map[string]any{
		"lobular": p.Lobular, "side": p.Side, "nodes_removed": p.NodesRemoved, "lymphoedema": p.Lymphoedema,
		"implant": p.Implant, "bisphosphonate": p.Bisphosphonate, "tablets": p.Tablets, "abemaciclib": p.Abemaciclib,
		"male": p.Male, "lives_alone": p.LivesAlone,
	}
	for name, v := range map[string]triage.Tri{"on_chemo": p.OnChemo, "immunotherapy": p.Immunotherapy,
		"trastuzumab": p.Trastuzumab, "post_menopause": p.PostMenopause} {
		if v != triage.Unknown {
			profile[name] = v == triage.Yes
		}
	}
	if p.Age > 0 {
		profile["age"] = p.Age
	}
	past := make(map[string]int, len(t.rec.Past))
	for _, e := range t.rec.Past {
		if !e.Gone {
			past[e.Concept] = int(t.now.Sub(e.Last) / (24 * time.Hour))
		}
	}
	s := t.bot.service
	return flows.Facts{
		Profile: profile, Open: s.Hours.Open(t.now),
		Service: map[string]any{"open_access": s.OpenAccess, "nation": s.Nation},
		Past:    past,
	}
}

// command gives the command word that the message is, or "". The carrier's own
// word counts as hers: after STOP it lets nothing through.
func (t *turn) command(in Inbound, reading triage.Reading) string {
	switch in.OptOut {
	case "STOP":
		return "stop"
	case "START":
		return "start"
	case "HELP":
		return "help"
	}
	return reading.Command
}

// obey does what a command word asks for.
func (t *turn) obey(in Inbound, command string) {
	p := &t.rec.Patient
	silent := in.OptOut != "" // the carrier has answered already, or lets nothing through
	switch command {
	case "stop":
		t.stop("patient", "said stop", !silent)
		return
	case "start":
		switch p.Status {
		case Stopped, Paused, Invited:
			t.consent(true, "patient", "said start")
			return
		case Ended:
			t.contactRequest("She said START after her follow-up had ended.")
			return
		}
		if !silent {
			t.say("command.start", nil, PriorityReply)
		}
		return
	}
	if p.Status == Stopped || p.Status == Ended {
		// She may ask for help or for a nurse all the same; the answer to that is wanted.
		if command == "call" {
			t.contactRequest("She asked to be rung.")
		}
		if command != "help" && command != "call" {
			return
		}
	}
	switch command {
	case "pause":
		t.endTalk("paused")
		t.pause(pauseWeeks, "she said so") // at once, whether or not she says for how long
		if t.bot.content.Program().Has("pause") {
			t.begin("pause", "she said pause")
			return
		}
		t.say("command.pause", map[string]string{"by": dayWords(p.PausedUntil.In(t.zone()), p.Locale)}, PriorityReply)
	case "call":
		if p.Status != Stopped && p.Status != Ended {
			t.contactRequest("She asked to be rung.")
		}
	case "later":
		t.later()
	case "help", "signs":
		t.say("command."+command, nil, PriorityReply)
	}
}

// dayWords writes a day as a patient reads it.
func dayWords(day time.Time, locale string) string {
	if locale == localeBoth {
		return fmt.Sprintf("%d/%d", day.Day(), day.Month())
	}
	if len(locale) >= 2 && locale[:2] == "cy" {
		return fmt.Sprintf("%s %d/%d", daysWelsh[day.Weekday()], day.Day(), day.Month())
	}
	return fmt.Sprintf("%s %d %s", daysEnglish[day.Weekday()], day.Day(), day.Month())
}

// contactRequest puts her wish to speak to somebody before a nurse and tells her by
// when: by the soonest call that she has been promised, when there is one already.
func (t *turn) contactRequest(reason string) {
	r := t.openRow("contact-request", triage.Routine, reason, "("+reason+")", nil)
	soonest := r.row
	for _, row := range t.rec.Rows {
		if row.State != Closed && !row.Spoke && row.Level < triage.Emergency && row.DueAt.After(t.now) && row.DueAt.Before(soonest.DueAt) {
			soonest = row
		}
	}
	t.say("command.call", t.byVars(&soonest), PriorityReply)
	t.promised(r.row.ID)
}

// later asks the open question again on the next day in whose sending hours that may be, and
// tells her which.
func (t *turn) later() {
	if !t.rec.Talk.Active() {
		t.sayFrom(t.bot.content, "command.later-none", PriorityReply, func(string) map[string]string { return nil })
		return
	}
	when, _ := t.slot(t.now.Add(20*time.Hour), "later")
	for i := range t.rec.Wakes { // reminders, and giving up, count from then
		if w := &t.rec.Wakes[i]; w.Kind == WakeTalk && w.Key != "later" {
			w.At, _ = t.slot(w.At.Add(when.Sub(t.now)), w.Ref)
		}
	}
	t.wake(Wake{Key: "later", Kind: WakeTalk, At: when, Ref: flows.TimerAskAgain(t.rec.Talk)})
	t.sayFrom(t.pack, "command.later", PriorityReply, func(locale string) map[string]string {
		return map[string]string{"begins": t.dayWords(when, locale)}
	})
}

// stop ends everything unasked. Her open rows stay: a nurse rings instead.
func (t *turn) stop(by, how string, confirm bool) {
	p := &t.rec.Patient
	if p.Status == Stranger {
		return
	}
	t.endTalk("stopped")
	if p.Status != Ended {
		p.Status = Stopped
	}
	p.Consents = append(p.Consents, Consent{To: t.channel(), Yes: false, At: t.now, By: by, How: how})
	t.entry(Entry{Kind: EntryConsent, By: by, Why: "stopped all texts: " + how})
	t.unwake("plan")
	t.unwake("resume")
	t.cancelPlanned()
	if confirm {
		t.say("command.stop", nil, PriorityReply)
	}
}

// deathReported says whether a message tells of a death that may be the patient's
// own.
func deathReported(reading triage.Reading) bool {
	return slices.ContainsFunc(reading.Findings, func(f triage.Finding) bool {
		return f.Concept == "deceased" && f.Polarity == "said" && f.Level > triage.None
	})
}

// bereavedDays is how long nothing unasked is sent after a death was reported, and
// how often it is looked whether a nurse has found out who it was that died.
const bereavedDays = 14

// bereaved holds everything back after a death was reported, and answers nothing:
// a machine's thanks would hurt (clinical digest 8.6, HZ11). A nurse finds out
// whose death it was, and ends her follow-up, or lets it go on.
func (t *turn) bereaved() {
	p := &t.rec.Patient
	t.endTalk("death reported")
	t.unwake("plan")
	t.cancelPlanned()
	t.entry(Entry{Kind: EntryStatus, Why: "a death was reported: nothing is sent until a nurse has looked"})
	if p.Status == Active || p.Status == Invited || p.Status == Paused {
		t.holdBack()
	}
}

// holdBack pauses her texts for bereavedDays, and again as long as no nurse has
// closed the row about the death.
func (t *turn) holdBack() {
	p := &t.rec.Patient
	p.Status, p.PausedUntil = Paused, t.now.AddDate(0, 0, bereavedDays)
	t.wake(Wake{Key: "resume", Kind: WakeResume, At: p.PausedUntil})
}

// end ends her follow-up with lookout: nothing that is not an answer to her goes to
// her again, and after her death nothing at all. Her rows stay until a nurse has
// closed each; nobody is paged for somebody who has died.
func (t *turn) end(by, reason string) {
	p := &t.rec.Patient
	p.Status, p.EndReason, p.PausedUntil = Ended, reason, time.Time{}
	t.endTalk("her follow-up has ended")
	t.cancelPlanned()
	for _, key := range []string{"plan", "resume", welcomeItem} {
		t.unwake(key)
	}
	if reason == "died" {
		for i := range t.rec.Rows {
			t.unpage(&t.rec.Rows[i])
			t.kept(&t.rec.Rows[i], false)
		}
	}
	t.entry(Entry{Kind: EntryStatus, By: by, Why: "her follow-up has ended: " + reason})
}

// wrongNumber says whether a message tells that the number is not the patient's.
func wrongNumber(reading triage.Reading) bool {
	return slices.ContainsFunc(reading.Findings, func(f triage.Finding) bool {
		return f.Concept == "wrong_number" && f.Polarity == "said" && f.Level > triage.None
	})
}

// misdirect holds everything back when somebody says that the number is not hers:
// nothing clinical goes to a stranger's telephone (HZ6). A nurse finds out.
func (t *turn) misdirect() {
	t.endTalk("wrong number")
	t.unwake("plan")
	t.unwake("reask")
	t.cancelPlanned()
	t.entry(Entry{Kind: EntryStatus, Why: "the number may not be hers: nothing is sent until a nurse has looked"})
	t.holdBack()
	if !t.told("safety.wrong-number", 24*time.Hour) {
		t.say("safety.wrong-number", nil, PriorityReply)
	}
}

// misdirected says whether somebody has said that the number is not hers, and no
// nurse has found out yet.
func (t *turn) misdirected() bool {
	row := t.row("wrong-number")
	return row != nil && row.State != Closed
}

// mourning says whether a death was reported and no nurse has found out yet whose:
// until then neither thanks nor a promise about small things is sent.
func (t *turn) mourning() bool {
	row := t.row("deceased")
	return row != nil && row.State != Closed
}

// consent records a yes or no to texts, and starts or ends what depends on it.
func (t *turn) consent(yes bool, by, how string) {
	p := &t.rec.Patient
	p.Consents = append(p.Consents, Consent{To: t.channel(), Yes: yes, At: t.now, By: by, How: how})
	if !yes {
		p.Status = Stopped
		t.entry(Entry{Kind: EntryConsent, By: by, Why: "said no to texts: " + how})
		t.unwake("plan")
		return
	}
	was := p.Status
	if was == Paused {
		t.endTalk("she has begun again") // she is not asked any more for how long
	}
	p.Status, p.PausedUntil, p.NotHere = Active, time.Time{}, false
	t.unwake("resume")
	t.entry(Entry{Kind: EntryConsent, By: by, Why: "said yes to texts: " + how})
	t.planNext("")
	switch was {
	case Stopped, Paused:
		t.say("command.start", nil, PriorityReply)
	case Invited:
		if how != answeredInvitation { // whose own flow welcomes her
			t.welcome()
		}
	}
}

const answeredInvitation = "answered the invitation"

// welcome tells her that she will be texted. When it was not she who said so, it
// waits for sending hours like all that we begin.
func (t *turn) welcome() {
	if when, _ := t.slot(t.now, welcomeItem); t.unasked && when.After(t.now) && !t.mayText() {
		t.wake(Wake{Key: welcomeItem, Kind: WakePlan, At: when, Ref: welcomeItem})
		return
	}
	t.say("welcome.consented", nil, PriorityReply)
}

// cancelPlanned takes back the unasked texts that have not left.
func (t *turn) cancelPlanned() {
	if t.rec.LastPlanned != "" {
		t.change.Cancel = append(t.change.Cancel, t.rec.LastPlanned)
		t.rec.LastPlanned = ""
	}
}
