package desk

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"lookout/bot"
)

// auditPage shows the newest entries of the audit. It holds who read or did what, and
// no word of a patient's.
func (d *Desk) auditPage(w http.ResponseWriter, r *http.Request, u bot.User) error {
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	entries, err := d.Bot.AuditTail(r.Context(), before, pageSize)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read audit", "", ""); err != nil {
		return err
	}
	older := int64(0)
	if len(entries) > 0 && entries[len(entries)-1].Seq > 1 {
		older = entries[len(entries)-1].Seq
	}
	d.show(w, r, http.StatusOK, "audit", view{"Title": "Who read and did what", "Entries": entries, "Older": older, "Of": "", "Linked": false})
	return nil
}

// access shows what was read and done of one person: she may ask for it.
func (d *Desk) access(w http.ResponseWriter, r *http.Request, u bot.User) error {
	entries, err := d.accessTo(r, u, "read access report")
	if err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "audit", view{"Title": "Who has read and done what of her", "Entries": entries, "Older": int64(0), "Of": r.PathValue("id"), "Linked": true})
	return nil
}

// accessFile is the same as a file, to give to her.
func (d *Desk) accessFile(w http.ResponseWriter, r *http.Request, u bot.User) error {
	entries, err := d.accessTo(r, u, "export access report")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="access.csv"`)
	out := csv.NewWriter(w)
	out.Write([]string{"when", "who", "what"})
	for _, e := range entries {
		out.Write([]string{e.At.In(d.Bot.Service().Location).Format(time.RFC3339), inert(d.person(r.Context(), e.By)), inert(e.Did)})
	}
	out.Flush()
	return nil
}

func (d *Desk) accessTo(r *http.Request, u bot.User, did string) ([]bot.AuditEntry, error) {
	if _, err := d.Bot.Patient(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	if err := d.audit(r, u, did, r.PathValue("id"), ""); err != nil {
		return nil, err
	}
	return d.Bot.AccessTo(r.Context(), r.PathValue("id"))
}
