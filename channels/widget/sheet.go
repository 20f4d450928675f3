package widget

import (
	"net/http"
	"slices"

	"lookout/bot"
)

// sheet shows one of her own sheets to her, to be shown to a doctor or printed. Each
// look is in the audit.
func (c *Chat) sheet(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if !slices.Contains(bot.HerSheets, key) {
		http.NotFound(w, r)
		return
	}
	_, p, ok := c.signedIn(w, r)
	if !ok {
		return
	}
	her, err := c.Bot.Case(r.Context(), p.ID)
	var s bot.Sheet
	if err == nil {
		s, err = c.Bot.Sheet(key, &her)
	}
	if err == nil {
		err = c.Bot.Audit(r.Context(), bot.AuditEntry{By: "patient", Did: "read sheet: " + key, Patient: p.ID, From: from(r)})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	other := bot.HerSheets[0]
	if other == key {
		other = bot.HerSheets[1]
	}
	c.show(w, r, http.StatusOK, "sheet", map[string]any{"Lang": c.hers(r, p.Locale), "Sheet": s, "Other": other, "Today": c.Now()})
}
