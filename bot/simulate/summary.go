package simulate

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Line is one figure of a summary, in words.
type Line struct {
	Name   string
	Values []string // of each run, in order
}

// Summary lists what a service asks first, for one run or for several side by side.
func Summary(runs ...*Figures) []Line {
	line := func(name string, value func(f *Figures, t Week) string) Line {
		l := Line{Name: name}
		for _, f := range runs {
			l.Values = append(l.Values, value(f, f.Total()))
		}
		return l
	}
	lines := []Line{
		line("Patients, and patient-years", func(f *Figures, _ Week) string { return fmt.Sprintf("%d, %.0f", f.Patients, f.Years) }),
		line("Texts sent and received a week", func(f *Figures, t Week) string {
			return fmt.Sprintf("%.0f and %.0f", f.perWeek(t.Sent), f.perWeek(t.Received))
		}),
		line("Cost a week", func(f *Figures, t Week) string { return money(t.Cost(f.Price) * 7 / float64(f.Days)) }),
		line("Cost a patient-year", func(f *Figures, t Week) string { return money(t.Cost(f.Price) / max(f.Years, 0.001)) }),
		line("Check-ins answered", func(_ *Figures, t Week) string { return share(t.Answered, t.Asked) }),
		line("Rows a week", func(f *Figures, t Week) string { return fmt.Sprintf("%.1f", f.perWeek(rowsOf(t))) }),
		line("Rows for each 100 check-ins", func(_ *Figures, t Week) string {
			if t.Asked == 0 {
				return "none were asked"
			}
			return fmt.Sprintf("%.0f", 100*float64(rowsOf(t))/float64(t.Asked))
		}),
	}
	for _, level := range Levels {
		lines = append(lines, line("Rows a week: "+level.String(), func(f *Figures, t Week) string { return fmt.Sprintf("%.1f", f.perWeek(t.Rows[level.String()])) }))
	}
	lines = append(lines,
		line("Nurse hours a week", func(f *Figures, t Week) string {
			return fmt.Sprintf("%.1f (%s of the rota's)", float64(t.Seconds)/3600*7/float64(f.Days), share(int(t.Seconds), int(t.Staffed)))
		}),
		line("Promises kept", func(_ *Figures, t Week) string { return share(t.KeptOf, t.Promised) }))
	for _, level := range Levels {
		lines = append(lines, line("Promises kept: "+level.String(), func(f *Figures, _ Week) string {
			p := f.Rows[level.String()]
			if p.Rows == 0 {
				return "none made"
			}
			return fmt.Sprintf("%s; half within %s", share(p.Kept, p.Rows), p.Middle())
		}))
	}
	return append(lines,
		line("Busiest day", func(f *Figures, _ Week) string {
			day, d := f.Busiest()
			return fmt.Sprintf("%s: %d rows, %d texts", day.Format("Mon 2 Jan 2006"), d.Rows, d.Sent)
		}),
		line("First symptom to a nurse", func(f *Figures, _ Week) string {
			var all []int
			for _, x := range f.Found {
				all = append(all, x.Days...)
			}
			if len(all) == 0 {
				return "nobody fell ill"
			}
			slices.Sort(all)
			return fmt.Sprintf("half within %d days, 9 in 10 within %d (%d people; %d more not heard of by the end)", all[len(all)/2], all[len(all)*9/10], len(all), f.Unheard)
		}),
		line("Stopped texts", func(f *Figures, _ Week) string { return strconv.Itoa(f.Stopped) }),
		line("Rows about numbers that texts do not reach", func(f *Figures, _ Week) string { return strconv.Itoa(f.Unreachable) }))
}

func (f *Figures) perWeek(n int) float64 { return float64(n) * 7 / float64(f.Days) }

func rowsOf(w Week) (n int) {
	for _, level := range Levels {
		n += w.Rows[level.String()]
	}
	return n
}

func share(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of))
}

func money(x float64) string { return fmt.Sprintf("£%.2f", x) }

// Middle is the middle one of the waits until a nurse began, in words.
func (p *Promise) Middle() string {
	if len(p.Waits) == 0 {
		return "no time"
	}
	d := p.Waits[len(p.Waits)/2]
	switch {
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// Print writes the summary as text, the runs side by side.
func Print(to io.Writer, names []string, runs ...*Figures) error {
	f := runs[0]
	fmt.Fprintf(to, "%d made-up patients, %d days from %s, seed %d. Nobody real answers, falls ill or is rung like this: see docs/simulate.md.\n\n", f.Patients, f.Days, f.Start.Format("Mon 2 Jan 2006"), f.Seed)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if len(runs) > 1 {
		fmt.Fprint(w, "\t")
		for _, name := range names {
			fmt.Fprintf(w, "%s\t", name)
		}
		fmt.Fprintln(w)
	}
	for _, line := range Summary(runs...) {
		fmt.Fprint(w, line.Name)
		for _, v := range line.Values {
			fmt.Fprintf(w, "\t%s", v)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, f := range runs {
		if len(runs) > 1 {
			fmt.Fprintf(to, "\n%s", names[i])
		}
		if err := f.printLines(to); err != nil {
			return err
		}
	}
	return nil
}

// printLines sets what a plan says beside what came of it, and tells what most rows were
// about.
func (f *Figures) printLines(to io.Writer) error {
	fmt.Fprintln(to, "\nOf each 100 messages of a plan: answered, and rows within 14 days of them, as the plan has it and as it came.")
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "plan\tline\tsent\tanswered: plan\tcame\trows: plan\tcame\t")
	for _, l := range f.Lines {
		of := func(n int) float64 { return 100 * float64(n) / float64(max(l.Sent, 1)) }
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.1f\t%.1f\t\n", l.Plan, l.ID, l.Sent, 100*l.PlanAnswered, of(l.Answered), 100*l.PlanRows, of(l.Rows))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(to, "\nWhat most rows were about, for each 100 check-ins:")
	about := slices.SortedFunc(maps.Keys(f.Concerns), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.Concerns[b], f.Concerns[a]), strings.Compare(a, b))
	})
	asked := float64(max(f.Total().Asked, 1))
	for _, name := range about[:min(len(about), 12)] {
		fmt.Fprintf(to, "%6.1f  %s\n", 100*float64(f.Concerns[name])/asked, name)
	}
	return nil
}

// columns are those of the weekly table, on the page and as CSV.
var columns = []string{"week", "sent", "received", "segments", "cost", "check-ins", "answered", "emergency", "urgent", "soon", "routine", "nurse hours", "rota hours", "promises", "kept"}

// cells are a week's figures, in the order of columns.
func (f *Figures) cells(w Week) []string {
	cells := []string{w.Start.Format(time.DateOnly), strconv.Itoa(w.Sent), strconv.Itoa(w.Received), strconv.Itoa(w.Segments), fmt.Sprintf("%.2f", w.Cost(f.Price)), strconv.Itoa(w.Asked), strconv.Itoa(w.Answered)}
	for _, level := range Levels {
		cells = append(cells, strconv.Itoa(w.Rows[level.String()]))
	}
	return append(cells, fmt.Sprintf("%.1f", float64(w.Seconds)/3600), fmt.Sprintf("%.1f", float64(w.Staffed)/3600), strconv.Itoa(w.Promised), strconv.Itoa(w.KeptOf))
}

// CSV writes a line for each week of each run.
func CSV(to io.Writer, names []string, runs ...*Figures) error {
	w := csv.NewWriter(to)
	if err := w.Write(append([]string{"pack"}, columns...)); err != nil {
		return err
	}
	for i, f := range runs {
		for _, week := range f.Weeks {
			if err := w.Write(append([]string{names[i]}, f.cells(week)...)); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}
