package bot

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// asksFor gives what a whole message of hers asks for, unless it answers the question
// that is open. The list is a rule that a clinician has read: a guess of the second
// reader about such a message does not count, a finding of the lexicon does.
func (t *turn) asksFor(text string, question *triage.Question, reading triage.Reading) (content.Ask, bool) {
	if reading.Level == triage.Emergency || reading.Command != "" ||
		question != nil && (question.Kind == triage.Text || reading.Answer.Kind == triage.Chosen) ||
		slices.ContainsFunc(reading.Findings, func(f triage.Finding) bool {
			return f.Level > triage.Routine && !strings.HasPrefix(f.Rule, "second reader")
		}) {
		return content.Ask{}, false
	}
	return t.bot.content.Ask(text)
}

// ruleAsks names in a reading that the message is one of service/asks.yaml: no part of
// what she tells of herself.
const ruleAsks = "asks"

// grant does what a message asks for: it records what there is to be recorded, and lets
// a flow answer, beside the talk that is open.
func (t *turn) grant(ask content.Ask) {
	p := &t.rec.Patient
	if p.Status == Stopped || p.Status == Ended || p.Status == Stranger {
		return
	}
	for _, record := range []string{"texts_time", "texts_day"} {
		if value, ok := ask.Keep[record]; ok {
			t.wish(record, value, ask.Days)
		}
	}
	if t.rec.Talk.Active() && t.pack.Program().Has(ask.Flow) {
		t.step(flows.Event{Aside: ask.Flow})
	} else {
		t.begin(ask.Flow, "she asked for it")
	}
	if ask.Link {
		t.sayLink()
	}
}

// sayLink texts her a one-time link to her chat.
func (t *turn) sayLink() {
	token, key := newToken()
	value, err := json.Marshal(map[string]string{"patient": t.rec.Patient.ID})
	if err == nil {
		err = t.bot.store.PutValue(t.ctx, drawerLinks, key, value, t.now.Add(linkLives))
	}
	if err != nil {
		t.entry(Entry{Kind: EntryOut, TextID: "link.chat", Why: "not sent: the link could not be kept"})
		t.bot.log.ErrorContext(t.ctx, "link could not be kept", "patient", t.rec.Patient.ID, "err", err)
		return
	}
	t.say("link.chat", map[string]string{"link": t.bot.linkBase + "/chat?k=" + token}, PriorityReply)
}

// wish keeps when she would rather be texted; days are those that her words named.
func (t *turn) wish(record, value string, days []time.Weekday) {
	p := &t.rec.Patient
	switch record {
	case "texts_time":
		from, to, _ := t.bot.content.PartOfDay(value)
		p.Wish.From, p.Wish.To = from, to
	case "texts_day":
		if day, ok := content.Weekday(value); ok {
			days = []time.Weekday{day}
		}
		p.Wish.Days = days
	}
	t.ruled, t.soon = nil, nil
	w := Wishes{Zone: p.Zone, Nation: p.Nation, Wish: p.Wish, Quiet: p.Quiet}
	t.entry(Entry{Kind: EntryStatus, By: "patient", Why: "when she is texted: " + w.String()})
	if p.Status == Active {
		t.planNext("")
	}
}

// pause sends her nothing unasked for so many weeks from now, twelve at most.
func (t *turn) pause(weeks float64, why string) {
	p := &t.rec.Patient
	days := int(math.Round(7 * min(max(weeks, 0), maxPauseWeeks)))
	p.Status, p.PausedUntil = Paused, t.now.AddDate(0, 0, max(days, 1))
	t.wake(Wake{Key: "resume", Kind: WakeResume, At: p.PausedUntil})
	t.unwake("plan")
	t.entry(Entry{Kind: EntryStatus, By: "patient", Why: "paused until " + p.PausedUntil.Format(time.DateOnly) + ": " + why})
}

const (
	pauseWeeks    = 4 // when she does not say for how long
	maxPauseWeeks = 12
)

// stands fills in the placeholders of a text that say how things stand with her.
func (t *turn) stands(vars map[string]string, pack *content.Pack, id, locale string) {
	p := &t.rec.Patient
	if _, said := vars["begins"]; !said && !p.PausedUntil.IsZero() {
		vars["begins"] = t.dayWords(p.PausedUntil, locale)
	}
	if pack.Uses(id, "when") {
		vars["when"] = t.whenWords(locale)
	}
}

func (t *turn) dayWords(day time.Time, locale string) string {
	return dayWords(day.In(t.zone()), locale)
}

var (
	shortEnglish = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	shortWelsh   = [...]string{"Sul", "Llun", "Maw", "Mer", "Iau", "Gwe", "Sad"}
)

// whenWords says when unasked texts go to her, as the rules of an ordinary week have it:
// "Mon to Fri from 10am to 4pm".
func (t *turn) whenWords(locale string) string {
	r := t.rules()
	monday := r.hours.day(t.now)
	monday = monday.AddDate(0, 0, -int(monday.Weekday()+6)%7)
	s, ok := r.span(monday)
	if !ok {
		return "" // nothing can be sent to her at all; her plan says so to a nurse
	}
	var days []time.Weekday
	var from, to time.Time
	for n := range 7 {
		day := monday.AddDate(0, 0, n)
		lo, hi := r.window(day, s, r.hours.Week[day.Weekday()])
		if !lo.Before(hi) {
			continue
		}
		lo, hi = lo.In(r.zone), hi.In(r.zone)
		if days = append(days, lo.Weekday()); len(days) == 1 {
			from, to = lo, hi
		}
		if minutes(lo) < minutes(from) {
			from = lo
		}
		if minutes(hi) > minutes(to) {
			to = hi
		}
	}
	if len(days) == 0 {
		return ""
	}
	names, words, join := shortEnglish[:], "%s from %s to %s", " to "
	if strings.HasPrefix(locale, "cy") {
		names, words, join = shortWelsh[:], "%s o %s tan %s", " i "
	}
	list := make([]string, len(days))
	for i, d := range days {
		list[i] = names[d]
	}
	said := strings.Join(list, ", ")
	if len(days) > 2 && int(days[len(days)-1]-days[0]) == len(days)-1 {
		said = list[0] + join + list[len(list)-1]
	}
	return fmt.Sprintf(words, said, clockWords(from), clockWords(to))
}

func minutes(t time.Time) int { return t.Hour()*60 + t.Minute() }
