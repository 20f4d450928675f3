package desk

import (
	"errors"
	"net/http"
	"strings"

	"lookout/bot"
)

// team is the page of who may sign in.
func (d *Desk) team(w http.ResponseWriter, r *http.Request, u bot.User) error {
	return d.showTeam(w, r, u, http.StatusOK, view{})
}

func (d *Desk) showTeam(w http.ResponseWriter, r *http.Request, u bot.User, status int, v view) error {
	users, err := d.Bot.Users(r.Context())
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read users", "", ""); err != nil {
		return err
	}
	for key, x := range (view{"Title": "Who may sign in", "Users": users, "Link": "", "Invited": bot.User{}}) {
		if _, ok := v[key]; !ok {
			v[key] = x
		}
	}
	d.show(w, r, status, "team", v)
	return nil
}

// invite invites somebody, or gives her another name, role or chance, and shows the
// link once: whoever invites hands it over.
func (d *Desk) invite(w http.ResponseWriter, r *http.Request, u bot.User) error {
	invited := bot.User{Email: strings.ToLower(strings.TrimSpace(r.FormValue("email"))), Name: strings.TrimSpace(r.FormValue("name")), Role: bot.Role(r.FormValue("role"))}
	if invited.Email == u.Email && invited.Role != u.Role {
		return d.showTeam(w, r, u, http.StatusUnprocessableEntity, view{"Fault": "Your own role can be changed only by another administrator", "Invited": invited})
	}
	if invited.Name == "" {
		invited.Name, _, _ = strings.Cut(invited.Email, "@")
	}
	if err := d.audit(r, u, "invite user as "+string(invited.Role), "", invited.Email); err != nil {
		return err
	}
	link, err := d.Bot.Invite(r.Context(), invited)
	var field *bot.FieldError
	if errors.As(err, &field) {
		return d.showTeam(w, r, u, http.StatusUnprocessableEntity, view{"Fault": fieldNames[field.Field] + " " + field.Problem, "Invited": invited})
	}
	if err != nil {
		return err
	}
	return d.showTeam(w, r, u, http.StatusOK, view{"Link": link, "Invited": invited})
}

// disable lets somebody in no more, or again. Her open pages end with it.
func (d *Desk) disable(w http.ResponseWriter, r *http.Request, u bot.User) error {
	who, err := d.Bot.User(r.Context(), r.FormValue("email"))
	if err != nil {
		return err
	}
	if who.Email == u.Email {
		return d.showTeam(w, r, u, http.StatusUnprocessableEntity, view{"Fault": "You cannot shut yourself out: another administrator can"})
	}
	out := r.FormValue("disabled") == "yes"
	did := "let user in again"
	if out {
		did = "shut user out"
	}
	if err := d.audit(r, u, did, "", who.Email); err != nil {
		return err
	}
	_, err = d.Bot.ChangeUser(r.Context(), who.Email, func(x *bot.User) error {
		x.Disabled = out
		return nil
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/users", http.StatusSeeOther)
	return nil
}
