package desk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lookout/bot"
)

// mostSaid is how many people a search shows with a message of theirs.
const mostSaid = 20

// search finds people, by who they are and by what they wrote, and rows by their short
// names; what was typed never stands
// in an address, in a log or in the audit. Each message that is shown has an entry there, for
// it is read.
func (d *Desk) search(w http.ResponseWriter, r *http.Request, u bot.User) error {
	query := r.FormValue("q")
	rows, err := d.Bot.RowsNamed(r.Context(), query)
	if err != nil {
		return err
	}
	people, err := d.Bot.Find(r.Context(), query, 50)
	if err != nil {
		return err
	}
	said, more, err := d.Bot.FindSaid(r.Context(), query, mostSaid)
	if err != nil {
		return err
	}
	found := fmt.Sprintf("%d found, %d by their words", len(people), len(said))
	if len(rows) > 0 {
		found += fmt.Sprintf(", %d by the name of a row", len(rows))
	}
	entries := []bot.AuditEntry{entry(r, u, "search", "", found)}
	for _, s := range said {
		entries = append(entries, entry(r, u, "read a message found by its words", s.Patient.ID, ""))
	}
	if err := d.Bot.AuditAll(r.Context(), entries); err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "search", view{"Title": "Search", "Rows": rows, "People": people, "Said": said, "More": more, "Query": query})
	return nil
}

// stay keeps somebody signed in who says that she is still there.
func (d *Desk) stay(w http.ResponseWriter, r *http.Request, u bot.User) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// beat is how often a live connection says that it is alive.
const beat = 15 * time.Second

// events tells open pages that something has changed: look again. It carries
// nothing of a patient. Proxies that buffer are flushed by padding.
func (d *Desk) events(w http.ResponseWriter, r *http.Request, u bot.User) error {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	hints := d.Bot.Watch(r.Context())
	if _, err := fmt.Fprintf(w, ": %s\nretry: 3000\n\n", strings.Repeat(" ", 2048)); err != nil {
		return nil
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if err := rc.SetWriteDeadline(time.Now().Add(2 * beat)); err != nil {
			return nil
		}
		if err := rc.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-d.Stopping:
			return nil
		case hint, ok := <-hints:
			if !ok {
				return nil
			}
			if hint.Service != "" && hint.Service != d.Bot.Service().ID {
				continue // the daily test's
			}
			data, err := json.Marshal(map[string]any{"row": hint.Row, "level": hint.Level, "new": hint.New})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "event: change\ndata: %s\n\n", data); err != nil {
				return nil
			}
		case <-tick.C:
			if _, err := fmt.Fprint(w, "event: beat\ndata: {}\n\n"); err != nil {
				return nil
			}
		}
	}
}
