package bot

import (
	"fmt"
	"slices"
	"time"

	"lookout/content"
	"lookout/flows"
	"lookout/flows/triage"
)

// FormAnswer is what she answered to one question of a form that she was shown.
type FormAnswer struct {
	Question string // Asking.Name of it
	Text     string
}

// part is one answer of a form, or the words beside it.
type part struct {
	in       Inbound
	name     string // of its question; "": words beside the form
	open     flows.OpenQuestion
	question *triage.Question
}

// parts takes a form apart. Each part counts as a message of its own: it is kept, read
// with its own question, and shown to a nurse by itself. A question that is not known any
// more is none; the words are read all the same.
func (t *turn) parts(in Inbound) []part {
	var out []part
	add := func(p part, text string, media []Media) {
		p.in = in
		p.in.Answers, p.in.Text, p.in.Media = nil, text, media
		if len(out) > 0 {
			p.in.CarrierID = fmt.Sprintf("%s#%d", in.CarrierID, len(out)+1)
		}
		out = append(out, p)
	}
	for _, a := range in.Answers {
		p := part{name: a.Question}
		pack := t.pack
		ok := false
		if p.open, ok = pack.Program().Question(a.Question); !ok {
			pack = t.bot.content
			p.open, ok = pack.Program().Question(a.Question)
		}
		if ok {
			p.question = t.questionFor(pack, &p.open)
		}
		add(p, a.Text, nil)
	}
	if in.Text != "" || len(in.Media) > 0 {
		add(part{}, in.Text, in.Media)
	}
	return out
}

// receiveForm is the turn of a form: each answer is read as if it stood alone, the talk
// goes on over all of them, and what is more than an answer (an emergency, a command word)
// is acted upon as anywhere.
func (t *turn) receiveForm(in Inbound) {
	t.arrived(in)
	defer t.wakeRows()
	_, open := t.pack.Program().Open(t.rec.Talk)
	form, shown := t.pack.Program().Form(t.rec.Talk)
	t.answering = map[string]string{}
	filled := []flows.Filled{}
	var opened []raised
	var more []func()
	var ends string
	worst := triage.None
	for _, p := range t.parts(in) {
		asked := (*Asked)(nil)
		if p.question != nil {
			asked = &Asked{p.question.Prompt, p.question.Kind}
		}
		t.entry(Entry{Kind: EntryIn, At: in.At, By: "patient", Channel: in.From.Channel, Text: p.in.Text, Media: p.in.Media, Carrier: p.in.CarrierID, Asked: asked})
		// What stands in a field is no part of what stands in another.
		reading, words := t.read(p.in, p.question, p.question == nil)
		settled := p.question != nil && p.open.Settles(reading)
		t.remember(p.in, reading, settled || p.question != nil && p.open.Kind != triage.Text)
		worst = max(worst, reading.Level)
		if why, is := t.moreThanAnAnswer(&p, reading); is {
			act := func() { t.act(p.in, p.question, reading, words) }
			if reading.Level == triage.Emergency { // what she is told of it comes first
				more, ends = append([]func(){act}, more...), why
				continue
			}
			more = append(more, act)
			if ends == "" {
				ends = why
			}
			continue
		}
		if !settled {
			opened = append(opened, t.queue(reading, words)...)
		}
		if slices.ContainsFunc(form.Questions, func(q flows.OpenQuestion) bool { return q.Name == p.name }) {
			filled = append(filled, flows.Filled{Question: p.name, Reply: flows.Reply{Text: p.in.Text, Reading: reading}})
			t.answering[p.name] = p.in.CarrierID
		}
	}
	if t.mayAnswer() && ends == "" {
		slices.SortStableFunc(opened, func(a, b raised) int { return int(b.row.Level) - int(a.row.Level) })
		t.promise(opened, open)
		if len(in.Media) > 0 && !t.told("photo.received", time.Hour) {
			t.say("photo.received", nil, PriorityReply)
		}
	}
	switch {
	case shown && (len(filled) > 0 || ends != ""):
		t.step(flows.Event{Form: filled, Stop: ends})
	case !open && len(opened) == 0 && len(more) == 0 && worst == triage.None && t.mayAnswer() && !t.told("thanks.received", 24*time.Hour):
		t.say("thanks.received", nil, PriorityReply)
	}
	for _, act := range more {
		act()
	}
}

// moreThanAnAnswer says whether a part of a form has to be acted upon beside the talk,
// and how the talk ends by it, if it does.
func (t *turn) moreThanAnAnswer(p *part, reading triage.Reading) (ends string, is bool) {
	command := t.command(p.in, reading)
	_, revoked := t.revokes(p.in.Text)
	_, asks := t.asksFor(p.in.Text, p.question, reading)
	switch {
	case reading.Level == triage.Emergency:
		return "emergency", true
	case deathReported(reading):
		return "death reported", true
	case wrongNumber(reading):
		return "wrong number", true
	case command == "stop":
		return "stopped", true
	case command == "pause":
		return "paused", true
	}
	return "", command != "" || revoked || asks
}

// mayAnswer says whether she may be told what becomes of her words.
func (t *turn) mayAnswer() bool {
	switch t.rec.Patient.Status {
	case Stranger, Stopped, Ended:
		return false
	}
	return !t.mourning() && !t.misdirected()
}

// questionFor is a question as the reader knows it.
func (t *turn) questionFor(pack *content.Pack, open *flows.OpenQuestion) *triage.Question {
	locale := spoken(t.rec.Patient.Locale)[0]
	prompt, err := t.render(pack, open.Text, locale, content.Choices(open.Options, locale))
	if err != nil {
		prompt = ""
	}
	return open.Asked(prompt, locale, t.now.In(t.zone()))
}

// showsForms says whether what is said now goes where a form can be shown.
func (t *turn) showsForms() bool {
	o := t.bot.outlets[t.channel()]
	return o != nil && o.Forms
}
