package simulate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// pageView is what the page shows.
type pageView struct {
	First    *Figures
	Names    []string
	Patients string
	Several  bool
	Summary  []Line
	Runs     []runView
}

// runView is the charts and the table of one run.
type runView struct {
	ID, Name string
	Charts   []chart
	Columns  []string
	Weeks    [][]string
	Found    []Found
}

// Page writes the page of one run, or of several side by side. It stands alone: no
// script, nothing from elsewhere. Each chart has its figures in words beside it, and
// tells its parts apart by pattern as well as by colour.
func Page(to io.Writer, names []string, runs ...*Figures) error {
	v := pageView{First: runs[0], Names: names, Patients: grouped(float64(runs[0].Patients)), Several: len(runs) > 1, Summary: Summary(runs...)}
	for i, f := range runs {
		r := runView{ID: fmt.Sprintf("run%d", i+1), Name: names[i], Columns: columns, Found: f.Found}
		for _, w := range f.Weeks {
			r.Weeks = append(r.Weeks, f.cells(w))
		}
		r.Charts = f.charts(r.ID)
		v.Runs = append(v.Runs, r)
	}
	return page.Execute(to, v)
}

// chart is one picture.
type chart struct {
	ID, Title, Words string
	Legend           []legend
	Bars             []bar
	Lines            []line
	YTicks, XTicks   []tick
}

type legend struct{ Class, Name string }

// bar and line are in the picture's own units, 360 by 200, with the axes at 34 and 176.
type bar struct {
	Class      string
	X, Y, W, H float64
}

type line struct{ Class, Points string }

type tick struct {
	At    float64
	Label string
}

const (
	left, right, top, bottom = 36.0, 356.0, 8.0, 172.0
)

// scale rounds a maximum up to one that divides well.
func scale(most float64) float64 {
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if most <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

// charts are the pictures of a run.
func (f *Figures) charts(id string) []chart {
	sent := series{"sent", "Sent", func(w Week) float64 { return float64(w.Sent) }}
	received := series{"received", "Received", func(w Week) float64 { return float64(w.Received) }}
	worked := series{"worked", "Nurse hours", func(w Week) float64 { return float64(w.Seconds) / 3600 }}
	rota := series{"rota", "Hours of the rota", func(w Week) float64 { return float64(w.Staffed) / 3600 }}
	texts := f.lined(id+"-texts", "Texts a week", sent, received)
	texts.Words += " Cost: " + f.money() + "."
	charts := []chart{texts, f.stacked(id + "-rows"), f.lined(id+"-hours", "Nurse hours a week, and what the rota has", worked, rota),
		f.lined(id+"-answers", "Check-ins asked and answered a week", series{"sent", "Asked", func(w Week) float64 { return float64(w.Asked) }},
			series{"received", "Answered", func(w Week) float64 { return float64(w.Answered) }})}
	return charts
}

func (f *Figures) money() string {
	least, most := math.Inf(1), 0.0
	for _, w := range f.whole() {
		least, most = min(least, w.Cost(f.Price)), max(most, w.Cost(f.Price))
	}
	return "from " + money(least) + " to " + money(most) + " a week"
}

type series struct {
	class, name string
	of          func(Week) float64
}

// whole are the weeks that have all their days: the last may be cut short.
func (f *Figures) whole() []Week {
	if f.Days%7 != 0 {
		return f.Weeks[:len(f.Weeks)-1]
	}
	return f.Weeks
}

// x is the place of a week.
func (f *Figures) x(i int) float64 {
	return left + (right-left)*(float64(i)+0.5)/float64(len(f.whole()))
}

func y(v, most float64) float64 { return bottom - (bottom-top)*v/most }

// axes are the ticks of a picture.
func (f *Figures) axes(c *chart, most float64) {
	for i := range 5 {
		v := most * float64(i) / 4
		label := grouped(v)
		c.YTicks = append(c.YTicks, tick{y(v, most), label})
	}
	every := max(1, (len(f.whole())+3)/4)
	for i := 0; i < len(f.whole()); i += every {
		c.XTicks = append(c.XTicks, tick{f.x(i), f.Weeks[i].Start.Format("Jan 2006")})
		if every < 5 {
			c.XTicks[len(c.XTicks)-1].Label = f.Weeks[i].Start.Format("2 Jan")
		}
	}
}

// lined draws series as lines, and says them in words.
func (f *Figures) lined(id, title string, all ...series) chart {
	c := chart{ID: id, Title: title}
	most := 0.0
	for _, s := range all {
		for _, w := range f.whole() {
			most = max(most, s.of(w))
		}
	}
	most = scale(most)
	f.axes(&c, most)
	var words []string
	for _, s := range all {
		var points strings.Builder
		sum, high, when := 0.0, -1.0, time.Time{}
		for i, w := range f.whole() {
			v := s.of(w)
			if i > 0 {
				points.WriteByte(' ')
			}
			fmt.Fprintf(&points, "%.1f,%.1f", f.x(i), y(v, most))
			sum += v
			if v > high {
				high, when = v, w.Start
			}
		}
		c.Lines = append(c.Lines, line{s.class, points.String()})
		c.Legend = append(c.Legend, legend{s.class, s.name})
		words = append(words, fmt.Sprintf("%s: on average %s a week, at most %s, in the week of %s.", s.name, grouped(sum/float64(len(f.whole()))), grouped(high), when.Format("2 January 2006")))
	}
	c.Words = strings.Join(words, " ")
	return c
}

// grouped writes a number as people read it: 10,000, and 2.5.
func grouped(v float64) string {
	text := strconv.FormatFloat(round(v), 'f', -1, 64)
	whole, rest, found := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + rest
	}
	return whole
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// stacked draws the rows of each week, by level.
func (f *Figures) stacked(id string) chart {
	c := chart{ID: id, Title: "Rows a week, by level"}
	most := 0.0
	for _, w := range f.whole() {
		most = max(most, float64(rowsOf(w)))
	}
	most = scale(most)
	f.axes(&c, most)
	wide := (right - left) / float64(len(f.whole()))
	var words []string
	for i, w := range f.whole() {
		sum := 0.0
		for _, level := range Levels {
			n := float64(w.Rows[level.String()])
			if n > 0 {
				c.Bars = append(c.Bars, bar{level.String(), f.x(i) - wide*0.42, y(sum+n, most), wide * 0.84, y(sum, most) - y(sum+n, most)})
			}
			sum += n
		}
	}
	t := f.Total()
	for _, level := range Levels {
		c.Legend = append(c.Legend, legend{level.String(), level.String()})
		words = append(words, fmt.Sprintf("%s: on average %.1f a week.", level.String(), f.perWeek(t.Rows[level.String()])))
	}
	c.Words = strings.Join(words, " ")
	return c
}
