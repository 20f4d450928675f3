package bot

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lookout/flows"
	"lookout/flows/triage"
)

// joinWithin is how long her texts count as one breath: several texts within it
// are read together as well as alone.
const joinWithin = 90 * time.Second

// maxText bounds what is read and kept of one message, in bytes. A carrier's
// longest message is 1,600 characters; a chat's is bounded at its door.
const maxText = 16 << 10

// Receive takes in one message, from anybody. When it returns nil, the message
// is stored, with its reading, its queue row and its reply; so too when the
// same message had come before. [ErrInvalid]: it lacks an id or a sender.
// [ErrNotFound]: it names a patient of another service.
// Any other error: nothing was kept, hand it in again.
func (b *Bot) Receive(ctx context.Context, in Inbound) (err error) {
	ctx, span := b.span(ctx, "receive")
	tag(span, "channel", in.From.Channel)
	defer func() { done(span, err) }()
	if in.CarrierID == "" {
		return &FieldError{"message id", "is missing: without it a message that comes twice would count twice"}
	}
	if in.From.At == "" {
		return &FieldError{"sender", "is missing"}
	}
	if !utf8.ValidString(in.Text) {
		in.Text = strings.ToValidUTF8(in.Text, "\uFFFD")
	}
	if len(in.Text) > maxText {
		in.Text = strings.ToValidUTF8(in.Text[:maxText], "")
	}
	if in.At.IsZero() {
		in.At = b.now()
	}
	if duty, ok := b.onDuty(in.From); ok {
		if done, err := b.answerPage(ctx, in, duty); done || err != nil {
			return err
		}
	}
	if in.Carer != "" {
		return b.turn(ctx, in.Patient, "in:"+in.CarrierID, nil, func(t *turn) error {
			if !t.ofOurs() {
				return ErrNotFound
			}
			return t.receiveFromCarer(in)
		})
	}
	patient, read, others, err := b.whoWrote(ctx, in)
	if err != nil {
		return err
	}
	stops := false
	err = b.turnOn(ctx, patient, read, "in:"+in.CarrierID, func() Record { return b.stranger(patient, in.From) }, func(t *turn) error {
		if in.Patient != "" && !t.ofOurs() {
			return ErrNotFound
		}
		if len(in.Answers) > 0 {
			t.receiveForm(in)
		} else {
			t.receive(in)
		}
		stops = t.rec.Patient.Status == Stopped && len(t.change.Entries) > 0 &&
			slices.ContainsFunc(t.change.Entries, func(e Entry) bool { return e.Kind == EntryConsent })
		return nil
	})
	if err != nil || !stops {
		return err
	}
	// A telephone that wants no more texts wants none, whomever they are for: the
	// carrier lets none through either.
	for _, id := range others {
		err := b.turn(ctx, id, "in:"+in.CarrierID+":"+id, nil, func(t *turn) error {
			if s := t.rec.Patient.Status; s == Stopped || s == Ended {
				return errNothing
			}
			t.stop("patient", "STOP came from the telephone that she shares", false)
			t.openRow("opt-out", triage.Routine, "STOP came from the telephone that she shares with another patient: ask her how she wants to be reached.", "(STOP, from a shared telephone)", nil)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whoWrote finds the person, with her record where that was read, and whoever
// shares her telephone: then it is the one with whom lookout spoke last. A number
// that nobody has gets an id of its own, always the same.
func (b *Bot) whoWrote(ctx context.Context, in Inbound) (who string, read *Record, others []string, err error) {
	if in.Patient != "" {
		return in.Patient, nil, nil, nil
	}
	if c := b.service.Canary; c.on() && in.From == c.From {
		return c.patient(b.service.ID), nil, nil, nil
	}
	records, err := b.store.RecordsAt(ctx, b.service.ID, in.From)
	if err != nil {
		return "", nil, nil, fmt.Errorf("look up the sender: %w", err)
	}
	stranger := b.strangerID(in.From)
	for i := range records {
		rec := &records[i]
		switch {
		case rec.Patient.ID == stranger:
			continue
		case read == nil:
			read = rec
		case rec.Patient.Status == Ended:
		case read.Patient.Status == Ended || rec.Spoken.After(read.Spoken):
			read = rec
		}
		others = append(others, rec.Patient.ID)
	}
	if read == nil {
		return stranger, nil, nil, nil
	}
	who = read.Patient.ID
	return who, read, slices.DeleteFunc(others, func(id string) bool { return id == who }), nil
}

// strangerID is the id of the record for an address that nobody has. It is made
// with a key that the store keeps, so that it gives no number away.
func (b *Bot) strangerID(at Address) string {
	mac := hmac.New(sha256.New, b.idKey)
	mac.Write([]byte(at.Channel + "\x00" + at.At))
	return b.service.ID + "-x" + hex.EncodeToString(mac.Sum(nil)[:8])
}

func (b *Bot) stranger(id string, from Address) Record {
	return Record{Patient: Patient{
		ID: id, Service: b.service.ID, Status: Stranger, Locale: "en-GB",
		Addresses: []Address{from}, EnrolledAt: b.now(),
	}}
}

// receive is the turn of one message, in the order of what counts: it is kept,
// read, put before a nurse where that is due, and answered.
func (t *turn) receive(in Inbound) {
	t.arrived(in)
	came := Entry{Kind: EntryIn, At: in.At, By: "patient", Channel: in.From.Channel, Text: in.Text, Media: in.Media, Carrier: in.CarrierID}
	if in.Swept {
		came.Why = "did not reach lookout when it was sent: found in the carrier's log"
	}
	t.entry(came)
	question := t.question()
	reading, words := t.read(in, question, true)
	t.remember(in, reading, t.settles(reading))
	defer t.wakeRows()
	t.act(in, question, reading, words)
}

// settles says whether a reading is no more than an answer to a practical question
// that is open.
func (t *turn) settles(reading triage.Reading) bool {
	question, ok := t.pack.Program().Open(t.rec.Talk)
	return ok && question.Settles(reading)
}

// arrived notes that something of hers has come, and by which way.
func (t *turn) arrived(in Inbound) {
	p := &t.rec.Patient
	if _, ok := p.Address(in.From.Channel); ok {
		p.Channel = in.From.Channel
	} else if in.Patient != "" {
		p.Addresses = append(p.Addresses, in.From)
		p.Channel = in.From.Channel
	}
	t.rec.Spoken, t.rec.Wrote = t.now, t.now
	t.heardOn(in.From.Channel)
}

// act does what a message that has been read calls for. question is the one that it
// was read with; nil: none.
func (t *turn) act(in Inbound, question *triage.Question, reading triage.Reading, words string) {
	p := &t.rec.Patient
	carer, revoked := t.revokes(in.Text)
	ask, asks := t.asksFor(in.Text, question, reading)

	switch {
	case reading.Level == triage.Emergency:
		// Outranks everything: commands, flows, a stop, a stranger's silence.
		t.endTalk("emergency")
		t.queue(reading, words)
		t.emergencyText(reading)
		if command := t.command(in, reading); command == "stop" {
			t.stop("patient", "said so in a message that was an emergency", false)
		}
	case revoked:
		if reading.Level > triage.Routine {
			t.queue(reading, words)
		}
		t.revoke(carer)
	case p.Status == Stranger:
		t.queue(reading, words)
		if !t.told("stranger.polite", 24*time.Hour) {
			t.say("stranger.polite", nil, PriorityReply)
		}
	case deathReported(reading) && p.Status != Ended:
		t.queue(reading, words)
		t.bereaved()
	case wrongNumber(reading) && (p.Status == Active || p.Status == Invited || p.Status == Paused):
		t.queue(reading, words)
		t.misdirect()
	case t.mourning() && t.command(in, reading) == "stop":
		t.queue(reading, words)
		t.stop("patient", "wrote it after a death was reported", false)
	case t.command(in, reading) != "":
		t.queue(reading, words)
		t.obey(in, t.command(in, reading))
	case asks && !t.mourning() && !t.misdirected():
		t.grant(ask)
	case t.mourning() && reading.Level <= triage.Routine:
		t.queue(reading, words)
	case p.Status == Stopped || p.Status == Ended:
		// Not to be texted; still read, and still put before a nurse.
		t.queue(reading, words)
	default:
		t.converse(in, reading, words)
	}
}

// read reads the message alone, with the question that it answers if there is one, and,
// where it may be part of more, with what she wrote in the last moments; the more urgent
// reading counts. It gives the words that the reading's spans are in.
func (t *turn) read(in Inbound, question *triage.Question, joined bool) (triage.Reading, string) {
	lexicon := t.bot.content.Lexicon()
	profile, past := t.profile(), t.past()
	profile.Carer = in.Carer != ""
	if strings.TrimSpace(in.Text) != "" && len(in.Media) > 0 {
		t.sent = mediaWords(in.Media)
	}
	if strings.TrimSpace(in.Text) == "" {
		what := "an empty message"
		if len(in.Media) > 0 {
			what = mediaWords(in.Media)
		}
		reading := triage.Reading{Level: triage.Routine, Why: "She sent " + what + "; only a person can read it.", Lexicon: lexicon.Digest()}
		t.entry(Entry{Kind: EntryReading, Reading: &reading, Ref: in.CarrierID})
		return reading, "(sent " + what + ")"
	}
	alone := triage.Read(lexicon, in.Text, question, profile, past)
	if _, ok := t.asksFor(in.Text, question, alone); ok && in.Carer == "" {
		alone.Level, alone.Understood, alone.Findings = triage.None, true, nil
		alone.Why, alone.Rules = "It asks for something about the texts themselves: a message of service/asks.yaml.", []string{ruleAsks}
	}
	if len(in.Media) > 0 && alone.Level < triage.Routine {
		alone.Level, alone.Understood = triage.Routine, false
		alone.Why = "She sent " + mediaWords(in.Media) + " with her words; only a person can read it."
	}
	var asked *Asked
	if question != nil {
		asked = &Asked{question.Prompt, question.Kind}
	}
	t.entry(Entry{Kind: EntryReading, Reading: &alone, Asked: asked, Ref: in.CarrierID})
	var breath []Heard
	var texts []string
	known := triage.None
	for _, h := range t.rec.Heard {
		if since := in.At.Sub(h.At); since.Abs() <= joinWithin && h.By == in.Carer {
			breath, texts, known = append(breath, h), append(texts, h.Text), max(known, h.Level)
		}
	}
	if len(breath) == 0 || !joined {
		return alone, in.Text
	}
	breath, texts = append(breath, Heard{Text: in.Text, Piece: in.Piece}), append(texts, in.Text)
	words := strings.Join(texts, "\n")
	together := triage.Read(lexicon, words, nil, profile, past)
	for _, whole := range wholes(breath) {
		if r := triage.Read(lexicon, whole, nil, profile, past); r.Level >= together.Level {
			together, words = r, whole
		}
	}
	if together.Level <= alone.Level || slices.Equal(alone.Rules, []string{ruleAsks}) || alone.Command != "" && together.Level <= known {
		return alone, in.Text // a command word is hardly ever part of a sentence
	}
	if together.Level < triage.Urgent && t.settles(alone) {
		return alone, in.Text // nor is "not sure" to "On which day?" of what she wrote before it was asked
	}
	together.Answer, together.Command = alone.Answer, alone.Command
	together.Why = "Read together with her texts of the last moments: " + together.Why
	t.entry(Entry{Kind: EntryReading, Reading: &together, Ref: in.CarrierID, Why: "several texts within moments, read as one"})
	return together, words
}

// wholes puts a long text together again of the last of these messages, if they may be
// pieces of one, cut in the middle of a word too, that came one by one and out of order:
// all are full but the last, if that. Of three full ones or more it tries the order in
// which they came and its reverse. Nil: they are no pieces.
func wholes(messages []Heard) []string {
	var full []string
	rest, some := "", false
	for _, h := range slices.Backward(messages) {
		if !h.Piece && some {
			break // of another text
		}
		if h.Piece {
			full = append(full, h.Text)
		} else {
			rest, some = h.Text, true
		}
	}
	if len(full) == 0 || len(full) == 1 && !some {
		return nil
	}
	backwards := strings.Join(full, "") + rest
	slices.Reverse(full)
	return []string{backwards, strings.Join(full, "") + rest}
}

// mediaWords says what came, for the nurse.
func mediaWords(media []Media) string {
	photos, others := 0, 0
	for _, m := range media {
		if strings.HasPrefix(m.Type, "image/") {
			photos++
		} else {
			others++
		}
	}
	switch {
	case photos == 1 && others == 0:
		return "a photo"
	case others == 0:
		return fmt.Sprintf("%d photos", photos)
	case photos == 0 && others == 1:
		return "a file or voice note"
	}
	return fmt.Sprintf("%d files", photos+others)
}

// remember keeps what later readings need: the last texts, and each concern's course.
// settled says that they are no more than an answer to a practical question.
func (t *turn) remember(in Inbound, reading triage.Reading, settled bool) {
	r := t.rec
	r.Heard = slices.DeleteFunc(r.Heard, func(h Heard) bool { return in.At.Sub(h.At) > joinWithin })
	if in.Text != "" && reading.Command == "" && !slices.Equal(reading.Rules, []string{ruleAsks}) && !settled {
		r.Heard = append(r.Heard, Heard{At: in.At, Text: in.Text, Level: reading.Level, By: in.Carer, Piece: in.Piece})
	}
	if len(r.Heard) > 8 {
		r.Heard = r.Heard[len(r.Heard)-8:]
	}
	for _, f := range reading.Findings {
		if f.Experiencer == "other" || f.Time == "hypothetical" {
			continue
		}
		i := slices.IndexFunc(r.Past, func(e Episode) bool {
			return e.Concept == f.Concept && (e.Side == f.Side || e.Side == "" || f.Side == "")
		})
		gone := f.Polarity == "denied" || f.Time == "past"
		if gone {
			// Silence never clears a concern, explicit words do (clinical.md 6.5).
			if i >= 0 && f.Time == "past" && in.Carer == "" {
				r.Past[i].Gone, r.Past[i].Last = true, t.now
			}
			continue
		}
		first := t.now.AddDate(0, 0, -f.Days)
		if i < 0 {
			r.Past = append(r.Past, Episode{Concept: f.Concept, Side: f.Side, First: first, Last: t.now, Times: 1, Severity: f.Severity, Worsening: f.Trend == "worse"})
			continue
		}
		e := &r.Past[i]
		if e.Gone {
			e.First, e.Gone, e.Times = first, false, 0
		}
		if first.Before(e.First) {
			e.First = first
		}
		if t.now.Sub(e.Last) > 12*time.Hour || e.Times == 0 {
			e.Times++
		}
		e.Worsening = f.Trend == "worse" || (f.Severity > 0 && e.Severity > 0 && f.Severity > e.Severity)
		e.Severity, e.Last = cmp.Or(f.Severity, e.Severity), t.now
		e.Side = cmp.Or(e.Side, f.Side)
	}
}

// past puts her episodes into the reader's terms.
func (t *turn) past() []triage.Past {
	days := func(at time.Time) int { return int(t.now.Sub(at) / (24 * time.Hour)) }
	out := make([]triage.Past, 0, len(t.rec.Past)+1)
	for _, e := range t.rec.Past {
		p := triage.Past{Concept: e.Concept, Side: e.Side, FirstDaysAgo: days(e.First), LastDaysAgo: days(e.Last),
			Times: e.Times, LastSeverity: cmp.Or(e.Severity, -1), Worsening: e.Worsening, Gone: e.Gone}
		if e.ExpectedUntil.After(t.now) {
			p.ExpectedDays = max(1, int(e.ExpectedUntil.Sub(t.now)/(24*time.Hour)))
		}
		out = append(out, p)
	}
	// A weight of 60 to 120 days ago is what a new one is compared with (clinical.md 6.6).
	for _, w := range t.rec.Weights {
		if d := days(w.At); d >= 60 && d <= 120 {
			out = append(out, triage.Past{Concept: "weight", LastDaysAgo: d, LastSeverity: -1, KgBefore: w.Kg})
			break
		}
	}
	return out
}

// within says whether a day (2006-01-02) lies no more than so many days before now; Unknown when it is not known.
func within(day string, now time.Time, days int) triage.Tri {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return triage.Unknown
	}
	if now.Sub(at) <= time.Duration(days+1)*24*time.Hour {
		return triage.Yes
	}
	return triage.No
}

// profile puts what her team knows into the reader's terms. On chemotherapy
// means on it or within 6 weeks, immunotherapy within 12 months (clinical.md 2, UP6).
func (t *turn) profile() triage.Profile {
	p := t.rec.Patient.Profile
	out := triage.Profile{
		Lobular: p.Lobular, Side: p.Side, NodesRemoved: p.NodesRemoved, Lymphoedema: p.Lymphoedema,
		Implant: p.Implant, Bisphosphonate: p.Bisphosphonate, Tablets: p.Tablets, Abemaciclib: p.Abemaciclib,
		Male: p.Male, LivesAlone: p.LivesAlone,
		OnChemo:       within(p.LastChemo, t.now, 42),
		Immunotherapy: within(p.LastImmunotherapy, t.now, 365),
	}
	switch {
	case p.OnChemo:
		out.OnChemo = triage.Yes
	case out.OnChemo == triage.Unknown && p.ChemoKnown:
		out.OnChemo = triage.No
	}
	if p.Trastuzumab {
		out.Trastuzumab = triage.Yes
	}
	if p.PostMenopause != nil {
		out.PostMenopause = triage.No
		if *p.PostMenopause {
			out.PostMenopause = triage.Yes
		}
	}
	if born, err := time.Parse(time.DateOnly, t.rec.Patient.BirthDate); err == nil {
		out.Age = yearsBetween(born, t.now)
	}
	return out
}

func yearsBetween(born, now time.Time) int {
	years := now.Year() - born.Year()
	if now.YearDay() < time.Date(now.Year(), born.Month(), born.Day(), 0, 0, 0, 0, time.UTC).YearDay() {
		years--
	}
	return years
}

// emergencyText tells her what to do now. It goes at any hour and whatever her
// status, but not to somebody who has died, and not twice within two minutes.
func (t *turn) emergencyText(reading triage.Reading) {
	p := &t.rec.Patient
	if p.Status == Ended && p.EndReason == "died" {
		return
	}
	id := "safety.emergency"
	switch p.Status {
	case Stranger:
		id = "stranger.emergency"
	case Stopped, Ended:
		id = "stopped.emergency"
	}
	concern := t.bot.content.EmergencyText(reading)
	if concern != "" && (p.Status != Stranger || concern == "safety.emergency-crisis") {
		id = concern
	}
	if t.told(id, 2*time.Minute) {
		return
	}
	t.say(id, nil, PriorityEmergency)
}

// converse is the turn of an ordinary message: the talk goes on, a nurse gets
// what she must get, and she is told by when.
func (t *turn) converse(in Inbound, reading triage.Reading, words string) {
	question, asked := t.pack.Program().Open(t.rec.Talk)
	var opened []raised
	if !asked || !question.Settles(reading) {
		opened = t.queue(reading, words)
		t.promise(opened, asked)
	}
	if len(in.Media) > 0 && !t.told("photo.received", time.Hour) {
		t.say("photo.received", nil, PriorityReply)
	}
	if asked {
		t.step(flows.Event{Reply: &flows.Reply{Text: in.Text, Reading: reading}})
		return
	}
	if len(opened) == 0 && reading.Level == triage.None && !t.told("thanks.received", 24*time.Hour) {
		t.say("thanks.received", nil, PriorityReply)
	}
}
