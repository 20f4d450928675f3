package desk

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"lookout/bot"
)

// rotaDays is how far ahead the rota is shown.
const rotaDays = 14

// rota shows who is paged on which day, and whether a page would reach them.
func (d *Desk) rota(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showRota(w, r, u, http.StatusOK, "")
}

func (d *Desk) showRota(w http.ResponseWriter, r *http.Request, u bot.User, status int, fault string) error {
	shifts, err := d.Bot.Rota(r.Context(), rotaDays)
	if err != nil {
		return err
	}
	tested, err := d.Bot.Reachable(r.Context())
	if err != nil {
		return err
	}
	proof, err := d.Bot.Proof(r.Context())
	if err != nil {
		return err
	}
	proofs, err := d.Bot.Proofs(r.Context())
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read rota", "", ""); err != nil {
		return err
	}
	d.show(w, r, status, "rota", view{"Proof": proof, "Proofs": proofs[:min(len(proofs), rotaDays)], "Stages": bot.Stages, "Title": "Who is called", "Shifts": shifts, "Tested": tested, "Duty": d.Bot.Service().Duty, "Fault": fault})
	return nil
}

// cover puts somebody else on call on a day.
func (d *Desk) cover(w http.ResponseWriter, r *http.Request, u bot.User) error {
	day, err := time.ParseInLocation(time.DateOnly, r.PostFormValue("day"), d.Bot.Service().Location)
	if err != nil {
		return d.showRota(w, r, u, http.StatusUnprocessableEntity, "The day must be a day")
	}
	var names []string
	for _, field := range []string{"first", "second"} {
		if name := r.PostFormValue(field); name != "" {
			names = append(names, name)
		}
	}
	if err := d.audit(r, u, "set cover", "", r.PostFormValue("day")); err != nil {
		return err
	}
	err = d.Bot.Cover(r.Context(), day, names)
	var wrong *bot.FieldError
	if errors.As(err, &wrong) {
		return d.showRota(w, r, u, http.StatusUnprocessableEntity, fieldNames[wrong.Field]+" "+wrong.Problem)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/rota", http.StatusSeeOther)
	return nil
}

// labelled lists what nurses have read otherwise than lookout did, for the lead.
func (d *Desk) labelled(w http.ResponseWriter, r *http.Request, u bot.User) error {
	all, err := d.Bot.Labelled(r.Context())
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read labelled messages", "", strconv.Itoa(len(all))); err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "labelled", view{"Title": "Read otherwise", "Labelled": all})
	return nil
}

// labelledFile is the same for the reader's corpus, as a file.
func (d *Desk) labelledFile(w http.ResponseWriter, r *http.Request, u bot.User) error {
	lines, err := d.Bot.LabelledJSONL(r.Context())
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "export labelled messages", "", ""); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", `attachment; filename="labelled.jsonl"`)
	w.Write(lines)
	return nil
}
