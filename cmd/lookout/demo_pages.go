package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"lookout/bot"
	"lookout/channels/sms/standin"
)

// phoneView is a phone on the screen.
type phoneView struct {
	Owner, Number string
	Patient       bool
	Born          string
	Texts         []standin.Message
	Now           time.Time
}

func (d *demo) home(w http.ResponseWriter, r *http.Request) { d.show(w, "home", d.views()) }

func (d *demo) views() []phoneView {
	var out []phoneView
	for _, p := range people {
		born := p.Born
		if t, err := time.Parse(time.DateOnly, born); err == nil {
			born = t.Format("2 January 2006")
		}
		out = append(out, phoneView{p.Given + " " + p.Family, strings.TrimPrefix(p.Phone, "+"), true, born, nil, d.clock.now()})
	}
	return append(out, phoneView{"Ann Price, nurse on duty", strings.TrimPrefix(demoNurse, "+"), false, "", nil, d.clock.now()}, phoneView{"Bea Hughes, lead nurse", strings.TrimPrefix(demoLead, "+"), false, "", nil, d.clock.now()})
}

func (d *demo) show(w http.ResponseWriter, page string, v any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := d.pages.ExecuteTemplate(w, page, v); err != nil {
		d.log.Error("a page of the demo could not be made", "page", page, "err", err)
	}
}

// view gives the phone of an address, or answers that there is none.
func (d *demo) view(w http.ResponseWriter, r *http.Request) (phoneView, bool) {
	for _, v := range d.views() {
		if v.Number == r.PathValue("number") {
			v.Texts = d.carrier.Messages("+" + v.Number)
			return v, true
		}
	}
	http.NotFound(w, r)
	return phoneView{}, false
}

func (d *demo) phone(w http.ResponseWriter, r *http.Request) {
	if v, ok := d.view(w, r); ok {
		d.show(w, "phone", v)
	}
}

// texts is what the phone's script asks for.
func (d *demo) texts(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	type text struct {
		Mine       bool
		Body, When string
	}
	out := []text{}
	for _, m := range v.Texts {
		out = append(out, text{m.Inbound, m.Body, m.Created.In(d.bot.Service().Location).Format("Mon 15:04")})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

func (d *demo) back(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/demo/phone/"+r.PathValue("number"), http.StatusSeeOther)
}

func (d *demo) send(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	if words := strings.TrimSpace(r.FormValue("words")); words != "" {
		if _, status, err := d.carrier.Reply("+"+v.Number, demoNumber, words); err != nil || status != http.StatusOK {
			http.Error(w, "The text did not get through. Send it again.", http.StatusBadGateway)
			return
		}
	}
	d.back(w, r)
}

func (d *demo) checkIn(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	ids, err := d.store.PatientsAt(r.Context(), d.bot.Service().ID, bot.Address{Channel: "sms", At: "+" + v.Number})
	if err == nil && len(ids) > 0 {
		err = d.bot.Start(r.Context(), ids[0], "check-in", "demo")
	}
	if err != nil {
		http.Error(w, "It could not be sent: "+err.Error(), http.StatusConflict)
		return
	}
	d.back(w, r)
}

// chat opens her chat by a link, as a text would bring it.
func (d *demo) chat(w http.ResponseWriter, r *http.Request) {
	v, ok := d.view(w, r)
	if !ok {
		return
	}
	ids, err := d.store.PatientsAt(r.Context(), d.bot.Service().ID, bot.Address{Channel: "sms", At: "+" + v.Number})
	if err != nil || len(ids) == 0 {
		http.NotFound(w, r)
		return
	}
	link, err := d.bot.NewLink(r.Context(), ids[0])
	if err != nil {
		http.Error(w, "No link could be made. Try again.", http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, link, http.StatusSeeOther)
}

func (d *demo) turnClock(w http.ResponseWriter, r *http.Request) {
	step := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}[r.FormValue("by")]
	if step == 0 {
		http.Error(w, "The clock moves by an hour, a day or a week.", http.StatusBadRequest)
		return
	}
	if err := d.pass(r.Context(), d.clock.now().Add(step), func() error { return nil }); err != nil {
		http.Error(w, "The clock could not be moved: "+err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/demo/", http.StatusSeeOther)
}
