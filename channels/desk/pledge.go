package desk

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lookout/bot"
)

// stateWords are what a reader of the pledge sees of how far a thing is.
var stateWords = map[string]string{"done": "Done", "begun": "We have begun", "planned": "Planned", "cannot": "We cannot, and say why"}

// pledgeWords are what the public page says by itself, in the languages that it speaks. The
// Welsh wants a Welsh speaker's review.
var pledgeWords = map[string]map[string]string{
	"en-GB": {"title": "You said, we did", "said": "You said", "changed": "Last changed on", "other": "Cymraeg", "skip": "Skip to main content",
		"worry": "If something worries you, do not wait for a survey: write to us or ring us. In an emergency ring 999.",
		"none":  "There is nothing here yet", "will": "Here you will read what people told us, and what was done about it.",
		"done": stateWords["done"], "begun": stateWords["begun"], "planned": stateWords["planned"], "cannot": stateWords["cannot"]},
	"cy": {"title": "Fe ddywedoch chi, fe wnaethom ni", "said": "Fe ddywedoch chi", "changed": "Newidiwyd ddiwethaf ar", "other": "English", "skip": "Neidio i'r prif gynnwys",
		"worry": "Os oes rhywbeth yn eich poeni, peidiwch ag aros am arolwg: ysgrifennwch atom neu ffoniwch ni. Mewn argyfwng ffoniwch 999.",
		"none":  "Nid oes dim yma eto", "will": "Yma cewch ddarllen yr hyn a ddywedodd pobl wrthym, a'r hyn a wnaed yn ei gylch.",
		"done": "Wedi'i wneud", "begun": "Rydym wedi dechrau", "planned": "Wedi'i gynllunio", "cannot": "Ni allwn, a dywedwn pam"},
}

// pledgeLanguage is that of the public page: the one that its address names, else the
// browser's.
func pledgeLanguage(r *http.Request) string {
	if strings.HasPrefix(cmp.Or(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language")), "cy") {
		return "cy"
	}
	return "en-GB"
}

// pledge is where the lead writes what people said and what was done.
func (d *Desk) pledge(w http.ResponseWriter, r *http.Request, u bot.User) error {
	p, err := d.Bot.Pledge(r.Context(), false)
	if err != nil && !errors.Is(err, bot.ErrNotFound) {
		return err
	}
	if err := d.audit(r, u, "read pledge", "", ""); err != nil {
		return err
	}
	return d.showPledge(w, r, http.StatusOK, p, "", "")
}

func (d *Desk) showPledge(w http.ResponseWriter, r *http.Request, status int, p bot.Pledge, fault, at string) error {
	public, err := d.Bot.Pledge(r.Context(), true)
	if err != nil && !errors.Is(err, bot.ErrNotFound) {
		return err
	}
	for range 2 { // room for more
		if len(p.Items) < bot.MostPledges {
			p.Items = append(p.Items, bot.PledgeItem{State: "planned"})
		}
	}
	d.show(w, r, status, "pledge-edit", view{"Title": "You said, we did", "Pledge": p, "Public": public, "Fault": fault, "At": at, "States": bot.PledgeStates, "Saved": r.URL.Query().Get("saved")})
	return nil
}

// putPledge keeps what the lead wrote, publishes it, or takes it down.
func (d *Desk) putPledge(w http.ResponseWriter, r *http.Request, u bot.User) error {
	do := r.PostFormValue("do")
	if do == "take-down" {
		if err := d.audit(r, u, "take pledge down", "", ""); err != nil {
			return err
		}
		if err := d.Bot.TakePledgeDown(r.Context()); err != nil {
			return err
		}
		http.Redirect(w, r, "/desk/pledge?saved=down", http.StatusSeeOther)
		return nil
	}
	p := bot.Pledge{By: u.Email, Intro: strings.TrimSpace(r.PostFormValue("intro")), IntroCy: strings.TrimSpace(r.PostFormValue("introcy"))}
	for i := range bot.MostPledges + 1 {
		item := bot.PledgeItem{Said: strings.TrimSpace(r.PostFormValue(fmt.Sprintf("said%d", i))), Did: strings.TrimSpace(r.PostFormValue(fmt.Sprintf("did%d", i))), State: r.PostFormValue(fmt.Sprintf("state%d", i)),
			SaidCy: strings.TrimSpace(r.PostFormValue(fmt.Sprintf("saidcy%d", i))), DidCy: strings.TrimSpace(r.PostFormValue(fmt.Sprintf("didcy%d", i)))}
		if item.Said != "" || item.Did != "" { // an empty one is left out
			p.Items = append(p.Items, item)
		}
	}
	did, saved := "write pledge", "draft"
	if do == "publish" {
		did, saved = "publish pledge", "public"
	}
	if err := d.audit(r, u, did, "", ""); err != nil {
		return err
	}
	err := d.Bot.PutPledge(r.Context(), p, do == "publish")
	var field *bot.FieldError
	if errors.As(err, &field) {
		name := "What you write"
		switch {
		case strings.HasPrefix(field.Field, "didcy"):
			name = "“We did”, in Welsh,"
		case strings.HasPrefix(field.Field, "said"):
			name = "“You said”"
		case strings.HasPrefix(field.Field, "did"):
			name = "“We did”"
		case strings.HasPrefix(field.Field, "state"):
			name = "How far it is"
		}
		return d.showPledge(w, r, http.StatusUnprocessableEntity, p, name+" "+field.Problem, field.Field)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/pledge?saved="+saved, http.StatusSeeOther)
	return nil
}

// pledgeFile is what is published, as a file.
func (d *Desk) pledgeFile(w http.ResponseWriter, r *http.Request, u bot.User) error {
	p, err := d.Bot.Pledge(r.Context(), true)
	if err == nil {
		err = d.audit(r, u, "export pledge", "", "")
	}
	if err != nil {
		return err
	}
	t := table{Key: "pledge", Head: []string{"you said", "we did", "state", "you said (Welsh)", "we did (Welsh)"}}
	for _, item := range p.Items {
		t.Rows = append(t.Rows, []string{item.Said, item.Did, stateWords[item.State], item.SaidCy, item.DidCy})
	}
	return sendTable(w, []table{t}, "pledge")
}

// public is the page for everybody. It needs no sign-in, sets no cookie, and says
// nothing of who wrote it.
func (d *Desk) public(w http.ResponseWriter, r *http.Request) {
	p, err := d.Bot.Pledge(r.Context(), true)
	lang, other := pledgeLanguage(r), "cy"
	if lang == other {
		other = "en-GB"
	}
	v := view{"Title": pledgeWords[lang]["title"], "W": pledgeWords[lang], "Lang": lang, "Other": other, "Pledge": p}
	w.Header().Add("Vary", "Accept-Language")
	switch {
	case errors.Is(err, bot.ErrNotFound):
		d.show(w, r, http.StatusNotFound, "pledge", v)
	case err != nil:
		d.Log.ErrorContext(r.Context(), "the pledge cannot be shown", "err", err)
		w.Header().Set("Retry-After", "30")
		http.Error(w, "This page cannot be shown just now. Try again in a moment.", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Cache-Control", "public, max-age=300")
		d.show(w, r, http.StatusOK, "pledge", v)
	}
}
