package bot

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"

	"lookout/flows/triage"
)

// Carer is somebody whom she lets see her messages from then on, or also write for her.
// He is never taken out of her record: what he wrote keeps his name.
type Carer struct {
	ID       string    `json:"id"` // "c1": his number among hers
	Name     string    `json:"name"`
	Relation string    `json:"relation"` // one of the content's
	At       Address   `json:"at"`       // his own telephone
	Write    bool      `json:"write,omitempty"`
	Since    time.Time `json:"since"` // when she agreed; he sees nothing from before
	Ended    time.Time `json:"ended,omitzero"`
}

// CarerFault is why somebody cannot be let in: a closed list, said to her in her language.
type CarerFault string

const (
	CarerName     CarerFault = "name"     // it is no first name of 1 to 20 letters
	CarerKnown    CarerFault = "known"    // somebody of that name has access already
	CarerWord     CarerFault = "word"     // the name is a word that means something in a text to us
	CarerRelation CarerFault = "relation" // it is none of the list
	CarerPhone    CarerFault = "phone"    // it is no mobile number of their own
	CarerMany     CarerFault = "many"     // as many have access as can
	CarerStopped  CarerFault = "stopped"  // she has stopped texts, by which we would tell her
	CarerUntold   CarerFault = "untold"   // we have no way to text her of it
)

// CarerFaults are all of them.
var CarerFaults = []CarerFault{CarerName, CarerKnown, CarerWord, CarerRelation, CarerPhone, CarerMany, CarerStopped, CarerUntold}

func (f CarerFault) Error() string { return "no access for a carer: " + string(f) }
func (f CarerFault) Unwrap() error { return ErrInvalid }

// byCarer is the By of what a carer wrote; the entry's Ref is his id.
const byCarer = "carer"

// maxCarers is how many may have access at once.
const maxCarers = 3

// Carer gives one of hers by id, one whose access has ended too.
func (p Patient) Carer(id string) (Carer, bool) {
	i := slices.IndexFunc(p.Carers, func(c Carer) bool { return c.ID == id })
	if i < 0 {
		return Carer{}, false
	}
	return p.Carers[i], true
}

// CarersNow are those who have access.
func (p Patient) CarersNow() []Carer {
	return slices.DeleteFunc(slices.Clone(p.Carers), func(c Carer) bool { return !c.Ended.IsZero() })
}

// plainWords are the words of a short text, without case and marks.
func plainWords(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '-' }), " ")
}

// AddCarer lets somebody see her messages, or also write for her, because she says so.
// He gets a link on his own telephone, which opens once, and only with the code that
// is given back here, for her to tell him. She is told of it on her own telephone, so
// that nobody who finds her page open lets himself in unseen. A [CarerFault] says what
// is wrong; [ErrNotFound].
func (b *Bot) AddCarer(ctx context.Context, patient string, c Carer) (code string, err error) {
	c.Name = strings.Join(strings.Fields(c.Name), " ")
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	code = fmt.Sprintf("%06d", n)
	token, key := newToken()
	err = b.turnOfHers(ctx, patient, func(t *turn) error {
		p := &t.rec.Patient
		if err := t.mayBeCarer(&c); err != nil {
			return err
		}
		c.ID, c.Since, c.Ended = fmt.Sprintf("c%d", len(p.Carers)+1), t.now, time.Time{}
		value, err := json.Marshal(map[string]string{"patient": patient, "carer": c.ID, "code": tokenKey(token + code)})
		if err == nil {
			err = b.store.PutValue(ctx, drawerLinks, key, value, t.now.Add(linkLives))
		}
		if err != nil {
			return fmt.Errorf("keep the link: %w", err)
		}
		text, err := t.renderAt(c.At.Channel, "link.carer", map[string]string{"link": b.linkBase + "/chat?k=" + token})
		if err != nil {
			return fmt.Errorf("link.carer is not in the content: %w", err)
		}
		out := t.outgoing(c.At, text, PriorityReply)
		out.TextID = "link.carer"
		t.change.Send = append(t.change.Send, out)
		p.Carers = append(p.Carers, c)
		what := "see her messages"
		if c.Write {
			what = "see her messages and write for her"
		}
		t.entry(Entry{Kind: EntryConsent, By: "patient", Ref: c.ID, Why: "lets " + t.bot.carerName(&c) + ", " + what + ", from now on"})
		t.entry(Entry{Kind: EntryOut, Channel: c.At.Channel, Text: "(a link to her messages, to " + c.Name + "'s own telephone)", TextID: "link.carer", Ref: out.ID})
		t.via = c.At.Channel // to her telephone, though she writes in the chat
		t.say("carer.added", map[string]string{"carer": c.Name}, PriorityReply)
		return nil
	})
	return code, err
}

// renderAt fills a text for a channel that is not hers.
func (t *turn) renderAt(channel, id string, vars map[string]string) (string, error) {
	via := t.via
	t.via = channel
	defer func() { t.via = via }()
	return t.render(t.bot.content, id, spoken(t.rec.Patient.Locale)[0], vars)
}

// mayBeCarer checks who shall have access.
func (t *turn) mayBeCarer(c *Carer) error {
	p := &t.rec.Patient
	name := plainWords(c.Name)
	letters := strings.IndexFunc(c.Name, func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune(" -'", r) }) < 0
	_, known := t.bot.content.Relation(c.Relation)
	switch {
	case p.Status == Ended || p.Status == Stopped || p.Status == Stranger:
		return CarerStopped
	case name == "" || len([]rune(c.Name)) > 20 || !letters:
		return CarerName
	case slices.ContainsFunc(p.CarersNow(), func(x Carer) bool { return plainWords(x.Name) == name }):
		return CarerKnown
	case t.isCommand(name):
		return CarerWord
	case len(p.CarersNow()) >= maxCarers:
		return CarerMany
	case !known:
		return CarerRelation
	case c.At.At == "" || slices.Contains(p.Addresses, c.At):
		return CarerPhone
	case t.bot.outlets[c.At.Channel] == nil || !slices.ContainsFunc(p.Addresses, func(a Address) bool { return a.Channel == c.At.Channel }):
		return CarerUntold
	}
	return nil
}

// isCommand says whether a text that ends the access of somebody of that name would be
// taken for another command, as "stop all" is.
func (t *turn) isCommand(name string) bool {
	return slices.ContainsFunc(t.bot.content.RevokeWords(), func(phrase string) bool {
		words := strings.ReplaceAll(phrase, "{name}", name)
		return triage.Read(t.bot.content.Lexicon(), words, nil, triage.Profile{}, nil).Command != ""
	})
}

// carerName is how the team and the journal name him: "Tom, her husband".
func (b *Bot) carerName(c *Carer) string {
	if r, ok := b.content.Relation(c.Relation); ok {
		return c.Name + ", her " + r.Label
	}
	return c.Name
}

// EndCarer ends somebody's access at once. That it has ended already is no error.
// [ErrNotFound].
func (b *Bot) EndCarer(ctx context.Context, patient, carer, by string) error {
	return b.turnOfHers(ctx, patient, func(t *turn) error {
		c, ok := t.rec.Patient.Carer(carer)
		if !ok {
			return ErrNotFound
		}
		if !c.Ended.IsZero() {
			return errNothing
		}
		t.endCarer(carer, by, "on her page or at the desk")
		return nil
	})
}

func (t *turn) endCarer(id, by, how string) {
	p := &t.rec.Patient
	for i := range p.Carers {
		if c := &p.Carers[i]; c.ID == id {
			c.Ended = t.now
			t.entry(Entry{Kind: EntryConsent, By: by, Ref: id, Why: t.bot.carerName(c) + ", no longer sees her messages: " + how})
		}
	}
}

// revokes finds the carer whose access a text of hers ends, as "STOP TOM" does.
func (t *turn) revokes(words string) (Carer, bool) {
	words = plainWords(words)
	if words == "" || len(words) > 80 {
		return Carer{}, false
	}
	for _, c := range t.rec.Patient.CarersNow() {
		for _, phrase := range t.bot.content.RevokeWords() {
			if words == plainWords(strings.ReplaceAll(phrase, "{name}", c.Name)) {
				return c, true
			}
		}
	}
	return Carer{}, false
}

// revoke ends a carer's access by her text, and says so.
func (t *turn) revoke(c Carer) {
	t.endCarer(c.ID, "patient", "she said so in a message")
	t.say("carer.stopped", map[string]string{"carer": c.Name}, PriorityReply)
}

// receiveFromCarer is the turn of a message that a carer wrote for her. It is read as a
// third party's: whomever it speaks of may be she, it answers no question that she was
// asked, and it is no command. What answers it stands in the chat, where he reads it.
func (t *turn) receiveFromCarer(in Inbound) error {
	p := &t.rec.Patient
	c, ok := p.Carer(in.Carer)
	if !ok || !c.Ended.IsZero() || !c.Write {
		return fmt.Errorf("%w: they may not write for her", ErrRefused)
	}
	if _, ok := p.Address(in.From.Channel); !ok {
		p.Addresses = append(p.Addresses, in.From)
	}
	t.entry(Entry{Kind: EntryIn, At: in.At, By: byCarer, Ref: c.ID, Channel: in.From.Channel, Text: in.Text, Media: in.Media, Carrier: in.CarrierID})
	reading, words := t.read(in, nil, true) // he does not answer for her
	t.remember(in, reading, t.settles(reading))
	defer t.wakeRows()
	// The row says whose words they are.
	who := t.bot.carerName(&c)
	reading.Why = who + ", wrote it. " + reading.Why
	words = who + ": " + words
	reading.Findings = slices.Clone(reading.Findings)
	for i := range reading.Findings {
		f := &reading.Findings[i]
		f.Start, f.End = f.Start+len(who)+2, f.End+len(who)+2
	}
	t.via = in.From.Channel
	switch {
	case reading.Level == triage.Emergency:
		t.endTalk("emergency")
		t.queue(reading, words)
		t.emergencyText(reading)
	case deathReported(reading) && p.Status != Ended:
		t.queue(reading, words)
		t.bereaved()
	case t.mourning() || p.Status == Stopped || p.Status == Ended:
		t.queue(reading, words)
	default:
		opened := t.queue(reading, words)
		t.promise(opened, false)
		if len(in.Media) > 0 && !t.told("photo.received", time.Hour) {
			t.say("photo.received", nil, PriorityReply)
		}
		if len(opened) == 0 && !t.told("thanks.received", 24*time.Hour) {
			t.say("thanks.received", nil, PriorityReply)
		}
	}
	return nil
}

// Named is one of a list, with what it is called.
type Named struct{ Key, Label string }

// Relations are how a carer may stand to her, in a language.
func (b *Bot) Relations(locale string) []Named {
	var out []Named
	for _, r := range b.content.Relations() {
		label := r.Label
		if strings.HasPrefix(locale, "cy") {
			label = cmp.Or(r.Welsh, r.Label)
		}
		out = append(out, Named{r.Key, label})
	}
	return out
}

// CarerName is how the team names a carer of hers: "Tom, her husband".
func (b *Bot) CarerName(p *Patient, id string) string {
	c, ok := p.Carer(id)
	if !ok {
		return "A carer"
	}
	return b.carerName(&c)
}
