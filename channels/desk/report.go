package desk

import (
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"lookout/bot"
)

// smallest is the least number that a report shows: smaller ones could point at a person.
const smallest = 5

// table is one table of the report, as words: small numbers are hidden in it already.
type table struct {
	Key, Title, Note string
	Head             []string
	Rows             [][]string
	Shares           []float64 // of a row's bar, in per cent; below 0: none
}

// few writes a count, and hides a small one.
func few(n int) string {
	if n > 0 && n < smallest {
		return "fewer than " + strconv.Itoa(smallest)
	}
	return strconv.Itoa(n)
}

// share is a part of a whole in per cent, where the whole is large enough to tell.
func share(part, whole int) (string, float64) {
	if whole < smallest {
		return "–", -1
	}
	percent := 100 * float64(part) / float64(whole)
	return fmt.Sprintf("%.0f%%", percent), percent
}

// tables puts a report into words.
func (d *Desk) tables(r *bot.Report) []table {
	pack := d.Bot.Content()
	kept := func(t *table, groups []bot.Kept, name func(bot.Kept) string) {
		t.Head = []string{"", "Rows", "In time", "Half waited less than", "95 in 100 less than"}
		var counts []int
		for _, k := range groups {
			counts = append(counts, k.Rows)
		}
		hide := hidden(counts)
		for i, k := range groups {
			words, percent, median, p95 := "–", -1.0, "–", "–"
			if k.Rows >= smallest && !hide[i] {
				words, percent = share(k.Kept, k.Rows)
				median, p95 = spell(k.Median.Round(time.Minute)), spell(k.P95.Round(time.Minute))
			}
			t.Rows, t.Shares = append(t.Rows, []string{name(k), count(k.Rows, hide[i]), words, median, p95}), append(t.Shares, percent)
		}
	}
	levels := table{Key: "promises", Title: "Promises kept", Note: "In time: somebody spoke with her by the time that she was told, or it was closed by then because nobody had to. Waits count nights and weekends."}
	kept(&levels, r.Levels, func(k bot.Kept) string { return levelName(k.Level) })
	ages := table{Key: "ages", Title: "By age", Note: "Is anybody left behind? Groups with fewer than 5 rows are hidden."}
	kept(&ages, r.Ages, func(k bot.Kept) string { return k.Group })
	concerns := table{Key: "concerns", Title: "What came of it", Note: "Of the rows of a concern, how many led to clinic, imaging, a referral or an emergency: where it is few, the rules may cry wolf.", Head: []string{"", "Rows", "Something came of it", ""}}
	for _, c := range r.Concerns {
		words, percent := share(c.Acted, c.Rows)
		acted := few(c.Acted)
		if c.Rows < smallest {
			acted = "–"
		}
		concerns.Rows, concerns.Shares = append(concerns.Rows, []string{pack.ConcernLabel(c.Concern), few(c.Rows), acted, words}), append(concerns.Shares, percent)
	}
	target := ""
	if percent := pack.FDSTarget(r.To); percent > 0 {
		target = fmt.Sprintf(" The Faster Diagnosis Standard asks for %g%% on its routes.", percent)
	}
	referrals := table{Key: "referrals", Title: "Routes to diagnosis", Note: "By the day on which the outcome was known." + target, Head: []string{"", "Open", "Ended", "Cancer found", "Ruled out", "In time"}}
	for _, x := range r.Referrals {
		route, _ := pack.Route(x.Route)
		words, percent := share(x.InTime, x.Cancer+x.Clear)
		referrals.Rows, referrals.Shares = append(referrals.Rows, []string{route.Label, few(x.Open), few(x.Ended), few(x.Cancer), few(x.Clear), words}), append(referrals.Shares, percent)
	}
	return []table{levels, concerns, referrals, ages}
}

// bar draws a share. The number stands beside it.
func bar(percent float64) template.HTML {
	if percent < 0 {
		return ""
	}
	return template.HTML(fmt.Sprintf(`<svg class="desk-bar-chart" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect width="100" height="12" fill="#d8dde0"/><rect width="%.1f" height="12" fill="#005eb8"/></svg>`, percent))
}

// reportOf makes the report of the days that a request names.
func (d *Desk) reportOf(r *http.Request, u bot.User, did string) (bot.Report, int, error) {
	days, _ := strconv.Atoi(r.URL.Query().Get("days"))
	if days < 1 || days > 366 {
		days = 30
	}
	to := midnight(d.now(), 1)
	report, err := d.Bot.Report(r.Context(), midnight(d.now(), 1-days), to)
	if err == nil {
		err = d.audit(r, u, did, "", strconv.Itoa(days)+" days")
	}
	return report, days, err
}

func (d *Desk) reports(w http.ResponseWriter, r *http.Request, u bot.User) error {
	report, days, err := d.reportOf(r, u, "read reports")
	if err != nil {
		return err
	}
	d.show(w, r, http.StatusOK, "reports", view{"Title": "Reports", "Tables": d.tables(&report), "Days": days, "Report": report, "Spans": []int{7, 30, 90, 365}, "Path": "reports"})
	return nil
}

// reportFile gives one table as a file.
func (d *Desk) reportFile(w http.ResponseWriter, r *http.Request, u bot.User) error {
	report, _, err := d.reportOf(r, u, "export report: "+r.PathValue("key"))
	if err != nil {
		return err
	}
	return sendTable(w, d.tables(&report), r.PathValue("key"))
}
