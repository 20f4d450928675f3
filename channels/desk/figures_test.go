package desk

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"lookout/bot"
	"lookout/flows/triage"
)

// A small number is hidden, and cannot be had by taking the others from the whole.
func TestSmallNumbersAreHidden(t *testing.T) {
	for _, x := range []struct {
		counts []int
		want   []bool
	}{
		{[]int{40, 0, 7}, []bool{false, false, false}},
		{[]int{40, 3, 7}, []bool{false, true, true}},
		{[]int{40, 3, 2}, []bool{false, true, true}},
		{[]int{4}, []bool{true}},
		{nil, []bool{}},
	} {
		if got := hidden(x.counts); !slices.Equal(got, x.want) {
			t.Errorf("%v: %v, want %v", x.counts, got, x.want)
		}
	}
	f := &bot.Figures{CheckIns: 200, Levels: []bot.LevelCount{{Level: triage.Urgent, Rows: 3}, {Level: triage.Soon, Rows: 30}, {Level: triage.Routine, Rows: 9}},
		Rules: []bot.RuleCount{{Rule: "rare", Rows: 3, Acted: 1}, {Rule: "often", Rows: 40, Acted: 2}},
		Ages:  []bot.Group{{Name: "old", CheckIns: 3, Answered: 1, Calls: bot.Kept{Rows: 2}}, {Name: "young", CheckIns: 60, Answered: 31}, {Name: "middle", CheckIns: 137, Answered: 111}}}
	f.Survey.Told = map[string]int{"fully": 77, "not_told": 2, "partly": 19}
	text := ""
	for _, table := range figureTables(f, func(rule string) string { return rule }) {
		for _, row := range table.Rows {
			text += strings.Join(row, "|") + "\n"
		}
	}
	for _, want := range []string{"Soon|30|15.0\n", "Urgent|fewer than 5|–\n", "Routine|hidden|–\n", "rare|fewer than 5|–|–\n", "often|40|fewer than 5|–\n", "old|fewer than 5|–|–|", "young|hidden|–|–|", "middle|137|81%|", "Told fully|77|79%\n", "Not told|fewer than 5|–\n", "Told in part|hidden|–\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables lack %q:\n%s", want, text)
		}
	}
}

// The lead counts, reads and takes out the figures; nobody else does.
func TestFiguresByPages(t *testing.T) {
	o := newOffice(t)
	lead, nurse := o.browser("bea@example.org"), o.browser("ann@example.org")
	if status, page := o.get(lead, "/desk/figures"); status != 200 || !strings.Contains(page, "have not been counted yet") {
		t.Errorf("before: %d", status)
	}
	if status, page := o.post(lead, "/desk/figures", url.Values{"days": {"30"}}); status != 200 || !strings.Contains(page, "Rows per 100 check-ins") || strings.Contains(page, "Zebedeemarker") || !strings.Contains(page, `days=30" aria-current`) {
		t.Errorf("counted: %d %s", status, page)
	}
	for _, key := range []string{"per-100", "rules", "by-age", "by-language", "by-area", "survey-told", "survey-contact", "survey-helpful"} {
		if status, file := o.get(lead, "/desk/figures/"+key+"?days=30"); status != 200 || strings.Count(file, ",") < 2 || strings.Contains(file, "Zebedeemarker") {
			t.Errorf("%s: %d %s", key, status, file)
		}
	}
	if status, _ := o.get(lead, "/desk/figures/none?days=30"); status != 404 {
		t.Errorf("a table that there is not: %d", status)
	}
	for _, path := range []string{"/desk/figures", "/desk/figures/rules", "/desk/pledge", "/desk/pledge.csv"} {
		if status, _ := o.get(nurse, path); status != 403 {
			t.Errorf("%s: a nurse: %d", path, status)
		}
	}
	log, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, did := range []string{"read figures", "count figures", "export figures: rules"} {
		if !slices.ContainsFunc(log, func(e bot.AuditEntry) bool { return e.Did == did && e.By == "bea@example.org" }) {
			t.Errorf("the audit lacks %q", did)
		}
	}
}

// What the lead publishes is read by everybody without a sign-in, as text and not as
// markup, and is gone when she takes it down.
func TestPledgeByPages(t *testing.T) {
	o := newOffice(t)
	lead, anybody := o.browser("bea@example.org"), nobodyYet()
	if status, page := o.get(anybody, "/pledge"); status != 404 || !strings.Contains(page, "nothing here yet") {
		t.Errorf("before: %d", status)
	}
	form := url.Values{"do": {"draft"}, "said0": {"You ring too late <b>"}, "did0": {"A second nurse\non Mondays"}, "state0": {"begun"}, "said1": {""}, "did1": {""}, "state1": {"planned"}}
	if status, page := o.post(lead, "/desk/pledge", form); status != 200 || !strings.Contains(page, "The draft is kept") {
		t.Errorf("a draft: %d", status)
	}
	if status, _ := o.get(anybody, "/pledge"); status != 404 {
		t.Errorf("a draft is public: %d", status)
	}
	form.Set("do", "publish")
	form.Set("did0", "")
	if status, page := o.post(lead, "/desk/pledge", form); status != 422 || !strings.Contains(page, "“We did” is missing") || !strings.Contains(page, "You ring too late") {
		t.Errorf("half of one is published, or what was typed is lost: %d", status)
	}
	form.Set("did0", "A second nurse\non Mondays")
	if status, page := o.post(lead, "/desk/pledge", form); status != 200 || !strings.Contains(page, "It is on the public page") {
		t.Errorf("publish: %d", status)
	}
	response, err := anybody.Get(o.url + "/pledge")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if len(response.Cookies()) > 0 || response.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("the public page: %v", response.Header)
	}
	if _, page := o.get(anybody, "/pledge"); !strings.Contains(page, "You ring too late &lt;b&gt;") || !strings.Contains(page, "We have begun") || strings.Contains(page, "bea@example.org") {
		t.Errorf("the public page:\n%s", page)
	}
	// In Welsh, where the lead has it; what she has not, in English, and said to be.
	if _, page := o.get(anybody, "/pledge?lang=cy"); !strings.Contains(page, `<html lang="cy">`) || !strings.Contains(page, `<h1>Fe ddywedoch chi`) || !strings.Contains(page, "Rydym wedi dechrau") || !strings.Contains(page, `<span lang="en-GB">You ring too late`) || strings.Contains(page, "We have begun") {
		t.Errorf("the public page in Welsh:\n%s", page)
	}
	form.Set("saidcy0", "Rydych yn ffonio'n rhy hwyr")
	if status, page := o.post(lead, "/desk/pledge", form); status != 422 || !strings.Contains(page, "or neither") || !strings.Contains(page, "rhy hwyr") {
		t.Errorf("half of it in Welsh: %d", status)
	}
	form.Set("didcy0", "Ail nyrs ar ddydd Llun")
	o.post(lead, "/desk/pledge", form)
	if _, page := o.get(anybody, "/pledge?lang=cy"); !strings.Contains(page, "Ail nyrs ar ddydd Llun") || strings.Contains(page, "A second nurse") {
		t.Errorf("the public page in Welsh:\n%s", page)
	}
	if _, page := o.get(anybody, "/pledge"); strings.Contains(page, "Ail nyrs") {
		t.Error("the English page speaks Welsh")
	}
	if status, file := o.get(lead, "/desk/pledge.csv"); status != 200 || !strings.Contains(file, "You ring too late") {
		t.Errorf("as a file: %d %s", status, file)
	}
	form.Set("do", "take-down")
	o.post(lead, "/desk/pledge", form)
	if status, _ := o.get(anybody, "/pledge"); status != 404 {
		t.Errorf("it was taken down: %d", status)
	}
}
