package desk

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
)

// hidden says which counts of a whole may not be shown: the small ones, and where that
// is one alone, the next larger too, else it could be had by taking the others from the
// whole.
func hidden(counts []int) []bool {
	out := make([]bool, len(counts))
	small, next := 0, -1
	for i, n := range counts {
		switch {
		case n > 0 && n < smallest:
			out[i] = true
			small++
		case n >= smallest && (next < 0 || n < counts[next]):
			next = i
		}
	}
	if small == 1 && next >= 0 {
		out[next] = true
	}
	return out
}

// count writes a count, or that it is hidden.
func count(n int, hide bool) string {
	if hide && n >= smallest {
		return "hidden"
	}
	return few(n)
}

// surveyWords are what the options of the survey mean on the page.
var surveyWords = map[string]string{"fully": "Told fully", "partly": "Told in part", "not_told": "Not told", "not_wanted": "Did not want to know",
	"yes": "Knows whom to contact", "no": "Does not know", "unsure": "Is unsure"}

// figureTables puts figures into words. name gives what people call a rule.
func figureTables(f *bot.Figures, name func(rule string) string) []table {
	levels := table{Key: "per-100", Title: "Rows per 100 check-ins", Note: "Every row that was opened, whatever she wrote in answer to, beside the check-ins that were sent.", Head: []string{"Level", "Rows", "Per 100 check-ins"}}
	var counts []int
	for _, l := range f.Levels {
		counts = append(counts, l.Rows)
	}
	hide := hidden(counts)
	for i, l := range f.Levels {
		per := "–"
		if !hide[i] && f.CheckIns >= smallest {
			per = fmt.Sprintf("%.1f", 100*float64(l.Rows)/float64(f.CheckIns))
		}
		levels.Rows, levels.Shares = append(levels.Rows, []string{levelName(l.Level), count(l.Rows, hide[i]), per}), append(levels.Shares, -1)
	}
	rules := table{Key: "rules", Title: "What each rule led to", Note: "Of the closed rows in which a rule had a part, how many led to clinic, imaging, a referral or an emergency. Many rows and few of those: the rule may cry wolf. Never a reason to weaken one of an emergency.",
		Head: []string{"Rule", "Rows", "Something came of it", "Hit rate"}}
	for _, r := range f.Rules {
		words, percent := share(r.Acted, r.Rows)
		came := few(r.Acted)
		if r.Rows < smallest {
			came = "–"
		}
		if r.Acted > 0 && r.Acted < smallest { // the rate would tell it
			words, percent = "–", -1
		}
		rules.Rows, rules.Shares = append(rules.Rows, []string{name(r.Rule), few(r.Rows), came, words}), append(rules.Shares, percent)
	}
	out := []table{levels, rules}
	for _, x := range []struct {
		key, title, note string
		groups           []bot.Group
	}{
		{"by-age", "Replies and call-backs by age", "Is anybody left behind?", f.Ages},
		{"by-language", "By language", "By the language in which she is written to.", f.Languages},
		{"by-area", "By area", "By the area that was given when she was enrolled.", f.Areas},
	} {
		out = append(out, groupTable(x.key, x.title, x.note, x.groups))
	}
	return append(out, surveyTables(&f.Survey)...)
}

// ruleName is the name of the concept that a rule is about, where it is about one.
func (d *Desk) ruleName(rule string) string {
	if c, ok := d.Bot.Content().Lexicon().Concept(rule); ok {
		return c.Name
	}
	return rule
}

// groupTable compares groups of people: whether they answer, and are rung in time.
func groupTable(key, title, note string, groups []bot.Group) table {
	t := table{Key: key, Title: title, Note: note + " The bar shows the answered share. Groups with fewer than 5 check-ins, or 5 rows, are hidden, and one beside a group that is hidden alone.",
		Head: []string{"Group", "Check-ins", "Answered", "Half answered within", "Rows closed", "In time", "Half waited less than"}}
	var asked, rows []int
	for _, g := range groups {
		asked, rows = append(asked, g.CheckIns), append(rows, g.Calls.Rows)
	}
	hideAsked, hideRows := hidden(asked), hidden(rows)
	for i, g := range groups {
		answered, percent, reply, kept, wait := "–", -1.0, "–", "–", "–"
		if !hideAsked[i] && g.CheckIns >= smallest {
			answered, percent = share(g.Answered, g.CheckIns)
			if g.Answered >= smallest {
				reply = spell(g.ReplyMedian.Round(time.Minute))
			}
		}
		if !hideRows[i] && g.Calls.Rows >= smallest {
			kept, _ = share(g.Calls.Kept, g.Calls.Rows)
			wait = spell(g.Calls.Median.Round(time.Minute))
		}
		t.Rows, t.Shares = append(t.Rows, []string{g.Name, count(g.CheckIns, hideAsked[i]), answered, reply, count(g.Calls.Rows, hideRows[i]), kept, wait}), append(t.Shares, percent)
	}
	return t
}

// surveyTables are what people answered to the experience survey.
func surveyTables(s *bot.Survey) []table {
	tableOf := func(key, title, note string, names []string, counts []int) table {
		t := table{Key: key, Title: title, Note: note, Head: []string{"Answer", "People", "Share"}}
		total, hide := 0, hidden(counts)
		for _, n := range counts {
			total += n
		}
		for i, n := range counts {
			words, percent := "–", -1.0
			if !hide[i] {
				words, percent = share(n, total)
			}
			t.Rows, t.Shares = append(t.Rows, []string{names[i], count(n, hide[i]), words}), append(t.Shares, percent)
		}
		return t
	}
	pick := func(answers map[string]int, keys ...string) ([]string, []int) {
		var names []string
		var counts []int
		for _, key := range keys {
			names, counts = append(names, surveyWords[key]), append(counts, answers[key])
		}
		return names, counts
	}
	told, toldCounts := pick(s.Told, "fully", "partly", "not_told", "not_wanted")
	contact, contactCounts := pick(s.Contact, "yes", "no", "unsure")
	marks := []int{0, 0, 0}
	for mark, n := range s.Helpful {
		switch {
		case mark >= 8:
			marks[0] += n
		case mark >= 5:
			marks[1] += n
		default:
			marks[2] += n
		}
	}
	asked := few(s.Asked) + " surveys were sent."
	return []table{
		tableOf("survey-told", "Survey: were you told of the signs to look out for?", asked+" The question of the national patient survey, in our own words.", told, toldCounts),
		tableOf("survey-contact", "Survey: do you know whom to contact?", "", contact, contactCounts),
		tableOf("survey-helpful", "Survey: how much do the texts help?", "From 0 (not at all) to 10 (very much).", []string{"8 to 10", "5 to 7", "0 to 4"}, marks),
	}
}

// figureDays is the stretch of days that a request names.
func figureDays(r *http.Request) int {
	days, _ := strconv.Atoi(r.FormValue("days"))
	if !slices.Contains(bot.FigureDays, days) {
		days = bot.FigureDays[1]
	}
	return days
}

// figures shows how check-ins, rules and the survey went, as they were counted last.
func (d *Desk) figures(w http.ResponseWriter, r *http.Request, u bot.User) error {
	days := figureDays(r)
	f, err := d.Bot.Figures(r.Context(), days)
	never := errors.Is(err, bot.ErrNotFound)
	if err != nil && !never {
		return err
	}
	better, err := d.Bot.Better(r.Context(), &f)
	if err != nil {
		return err
	}
	if err := d.audit(r, u, "read figures", "", strconv.Itoa(days)+" days"); err != nil {
		return err
	}
	v := view{"Title": "Check-ins and survey", "Days": days, "Spans": bot.FigureDays, "Figures": f, "Never": never, "Better": better, "Tables": []table(nil), "Path": "figures"}
	if !never {
		v["Tables"] = figureTables(&f, d.ruleName)
	}
	d.show(w, r, http.StatusOK, "figures", v)
	return nil
}

// countFigures counts them anew, for a lead who waits.
func (d *Desk) countFigures(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if err := d.audit(r, u, "count figures", "", ""); err != nil {
		return err
	}
	if err := d.Bot.CountFigures(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/desk/figures?days=%d", figureDays(r)), http.StatusSeeOther)
	return nil
}

// figureFile gives one table as a file.
func (d *Desk) figureFile(w http.ResponseWriter, r *http.Request, u bot.User) error {
	f, err := d.Bot.Figures(r.Context(), figureDays(r))
	if err == nil {
		err = d.audit(r, u, "export figures: "+r.PathValue("key"), "", strconv.Itoa(figureDays(r))+" days")
	}
	if err != nil {
		return err
	}
	return sendTable(w, figureTables(&f, d.ruleName), r.PathValue("key"))
}

// sendTable writes one of some tables as CSV. [bot.ErrNotFound].
func sendTable(w http.ResponseWriter, tables []table, key string) error {
	i := slices.IndexFunc(tables, func(t table) bool { return t.Key == key })
	if i < 0 {
		return bot.ErrNotFound
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+key+`.csv"`)
	out := csv.NewWriter(w)
	out.Write(tables[i].Head)
	for _, row := range tables[i].Rows {
		safe := make([]string, len(row))
		for j, cell := range row {
			safe[j] = inert(cell)
		}
		out.Write(safe)
	}
	out.Flush()
	return nil
}

// inert keeps a spreadsheet from taking a cell for a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
