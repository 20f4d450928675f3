package widget

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"lookout/bot"
)

// times are when she may wish to be texted, in minutes after midnight by her clock.
var times = []struct {
	Key      string // of words.json
	From, To int
}{{"set_any", 0, 0}, {"set_morning", 8 * 60, 12 * 60}, {"set_afternoon", 12 * 60, 17 * 60}, {"set_evening", 17 * 60, 21 * 60}}

// signedIn gives the session and the record of whoever asks, or sends her to where
// she gets in; false: it has answered.
func (c *Chat) signedIn(w http.ResponseWriter, r *http.Request) (session, bot.Patient, bool) {
	s, err := c.who(r)
	if err == nil && s.Patient == "" {
		c.welcome(w, r, http.StatusUnauthorized, "")
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

func (c *Chat) showSettings(w http.ResponseWriter, r *http.Request, status int, s session, p bot.Patient, saved bool, fault string) {
	moments, err := c.Bot.Thread(r.Context(), s.Patient, 0, 0)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	time := "set_any"
	for _, t := range times {
		if t.From == p.Wish.From && t.To == p.Wish.To {
			time = t.Key
		}
	}
	var channels []string
	for _, a := range p.Addresses {
		if !slices.Contains(channels, a.Channel) {
			channels = append(channels, a.Channel)
		}
	}
	c.show(w, r, status, "settings", map[string]any{"Lang": c.hers(r, p.Locale), "Patient": p, "Channels": channels, "Times": times, "Time": time, "Count": len(moments), "ID": rand.Text(), "Saved": saved, "Fault": fault})
}

// saveSettings keeps where and when she wishes to be reached.
func (c *Chat) saveSettings(w http.ResponseWriter, r *http.Request) {
	s, p, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	err := c.keepSettings(r, p)
	var field *bot.FieldError
	switch {
	case errors.As(err, &field):
		c.showSettings(w, r, http.StatusUnprocessableEntity, s, p, false, field.Problem)
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
		err = c.Bot.Audit(r.Context(), bot.AuditEntry{By: "patient", Did: "download her record", Patient: p.ID, From: c.from(r)})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="messages.json"`)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(map[string]any{"service": cmp.Or(c.Bot.Service().Name, p.Service), "at": c.Now().UTC(), "about_you": p, "messages": c.lines(r.Context(), moments)})
}
