package widget

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"lookout/bot"
)

// times are when she may wish to be texted, in minutes after midnight by her clock.
var times = []struct {
	Key      string // of words.json
	From, To int
}{{"set_any", 0, 0}, {"set_morning", 8 * 60, 12 * 60}, {"set_afternoon", 12 * 60, 17 * 60}, {"set_evening", 17 * 60, 21 * 60}}

// signedIn gives the session and the record of whoever asks, or sends her to where
// she gets in; false: it has answered. What is here is hers alone: a carer goes back to
// the messages.
func (c *Chat) signedIn(w http.ResponseWriter, r *http.Request) (session, bot.Patient, bool) {
	s, err := c.who(r)
	if err == nil && s.Patient == "" {
		c.welcome(w, r, http.StatusUnauthorized, "")
		return s, bot.Patient{}, false
	}
	if s.Carer != "" {
		http.Redirect(w, r, "/chat", http.StatusSeeOther)
		return s, bot.Patient{}, false
	}
	var p bot.Patient
	if err == nil {
		p, err = c.Bot.Patient(r.Context(), s.Patient)
	}
	if err != nil {
		c.fail(w, r, err)
		return s, p, false
	}
	return s, p, true
}

// settings shows what she may change, and what is held about her.
func (c *Chat) settings(w http.ResponseWriter, r *http.Request) {
	if s, p, ok := c.signedIn(w, r); ok {
		c.showSettings(w, r, http.StatusOK, s, p, r.URL.Query().Has("saved"), "")
	}
}

// carerFields are where on her page each fault is mended.
var carerFields = map[bot.CarerFault]string{bot.CarerName: "carer-name", bot.CarerKnown: "carer-name", bot.CarerWord: "carer-name", bot.CarerRelation: "relation", bot.CarerPhone: "carer-phone"}

// showSettings shows them, with what is wrong with what she sent (a key of the words, "": nothing),
// and with what she typed.
func (c *Chat) showSettings(w http.ResponseWriter, r *http.Request, status int, s session, p bot.Patient, saved bool, fault string) {
	moments, err := c.Bot.Thread(r.Context(), s.Patient, 0, 0)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	when := "set_any"
	for _, t := range times {
		if t.From == p.Wish.From && t.To == p.Wish.To {
			when = t.Key
		}
	}
	lang := c.hers(r, p.Locale)
	var channels []string
	for _, a := range p.Addresses {
		if !slices.Contains(channels, a.Channel) {
			channels = append(channels, a.Channel)
		}
	}
	c.show(w, r, status, "settings", map[string]any{"Lang": lang, "Patient": p, "Channels": channels, "Times": times, "Time": when, "Count": len(moments), "ID": rand.Text(), "Saved": saved, "Fault": fault, "At": cmp.Or(carerFields[bot.CarerFault(strings.TrimPrefix(fault, carerBad))], "carers"), "Form": r.PostForm, "Carer": strings.HasPrefix(fault, carerBad),
		"Carers": c.carersOf(&p, lang), "Relations": c.Bot.Relations(lang), "MayAdd": c.mayAdd(&p)})
}

// carerBad begins the key of what is said of each [bot.CarerFault].
const carerBad = "carer_bad_"

// mayAdd says whether she can let a carer in: we must be able to tell her of it on her
// own telephone.
func (c *Chat) mayAdd(p *bot.Patient) bool {
	_, phone := p.Address(c.PhoneChannel)
	return phone && p.Status != bot.Stopped && p.Status != bot.Ended
}

// carer is somebody who has access, ready to show.
type carer struct {
	ID, Name string
	Write    bool
	Since    time.Time
}

func (c *Chat) carersOf(p *bot.Patient, lang string) []carer {
	var out []carer
	for _, x := range p.CarersNow() {
		out = append(out, carer{x.ID, c.carerName(&x, lang), x.Write, x.Since})
	}
	return out
}

// carerName is how she knows a carer: "Tom (husband)".
func (c *Chat) carerName(x *bot.Carer, lang string) string {
	for _, r := range c.Bot.Relations(lang) {
		if r.Key == x.Relation {
			return x.Name + " (" + r.Label + ")"
		}
	}
	return x.Name
}

// addCarer lets somebody see her messages, and shows her, once, the code that he needs
// beside the link on his telephone.
func (c *Chat) addCarer(w http.ResponseWriter, r *http.Request) {
	s, p, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	phone, err := c.ParseNumber(r.FormValue("phone"))
	if err != nil {
		phone = "" // the bot says what is wrong
	}
	if !c.allow("carer:"+s.Patient, time.Hour, 10) {
		c.showSettings(w, r, http.StatusTooManyRequests, s, p, false, "code_many")
		return
	}
	x := bot.Carer{Name: r.FormValue("name"), Relation: r.FormValue("relation"), At: bot.Address{Channel: c.PhoneChannel, At: phone}, Write: r.FormValue("write") == "yes"}
	code, err := c.Bot.AddCarer(r.Context(), s.Patient, x)
	var fault bot.CarerFault
	switch {
	case errors.As(err, &fault):
		c.showSettings(w, r, http.StatusUnprocessableEntity, s, p, false, carerBad+string(fault))
	case err != nil:
		c.fail(w, r, err)
	default:
		c.show(w, r, http.StatusOK, "carer", map[string]any{"Lang": c.hers(r, p.Locale), "Name": x.Name, "Code": code})
	}
}

// endCarer takes a carer's access back, at once.
func (c *Chat) endCarer(w http.ResponseWriter, r *http.Request) {
	s, _, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	if err := c.Bot.EndCarer(r.Context(), s.Patient, r.FormValue("carer"), "patient"); err != nil && !c.gone(err) {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/chat/settings?saved", http.StatusSeeOther)
}

// saveSettings keeps where and when she wishes to be reached.
func (c *Chat) saveSettings(w http.ResponseWriter, r *http.Request) {
	s, p, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	err := c.keepSettings(r, p)
	switch {
	case errors.Is(err, bot.ErrInvalid): // no form of ours sends it
		c.showSettings(w, r, http.StatusUnprocessableEntity, s, p, false, "set_bad")
	case err != nil:
		c.fail(w, r, err)
	default:
		http.Redirect(w, r, "/chat/settings?saved", http.StatusSeeOther)
	}
}

func (c *Chat) keepSettings(r *http.Request, p bot.Patient) error {
	ctx := r.Context()
	if channel := r.FormValue("channel"); channel != "" {
		if err := c.Bot.SetChannel(ctx, p.ID, channel, "patient"); err != nil {
			return err
		}
	}
	for _, t := range times {
		if t.Key != r.FormValue("time") || t.From == p.Wish.From && t.To == p.Wish.To {
			continue
		}
		wishes, err := c.Bot.WishesOf(ctx, p.ID)
		if err != nil {
			return err
		}
		wishes.Wish.From, wishes.Wish.To = t.From, t.To
		if err := c.Bot.SetWishes(ctx, p.ID, wishes, "patient"); err != nil {
			return err
		}
	}
	return nil
}

// held gives her everything that is kept about her, as a file.
func (c *Chat) held(w http.ResponseWriter, r *http.Request) {
	_, p, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	moments, err := c.Bot.Thread(r.Context(), p.ID, 0, 0)
	if err == nil {
		err = c.Bot.Audit(r.Context(), bot.AuditEntry{By: "patient", Did: "download her record", Patient: p.ID, From: from(r)})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="messages.json"`)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(map[string]any{"service": cmp.Or(c.Bot.Service().Name, p.Service), "at": c.Now().UTC(), "about_you": p, "messages": c.lines(r.Context(), moments, &audience{patient: &p, lang: c.hers(r, p.Locale)})})
}
