package desk

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"lookout/bot"
	"lookout/content"
)

// series is one trend of hers, oldest first.
type series struct {
	Key, Label, Unit string
	Low, High        float64 // of the axis
	Points           []point
}

type point struct {
	At    time.Time
	Value float64
}

// trends are what she has scored or weighed, where there are two figures at least.
func trends(pack *content.Pack, c *bot.Case) []series {
	var out []series
	for _, t := range pack.Trends() {
		s := series{Key: t.Key, Label: t.Label, Low: 0, High: 10}
		for _, m := range c.Moments {
			if m.Reading == nil {
				continue
			}
			worst := 0
			for _, f := range m.Reading.Findings {
				if slices.Contains(t.Concepts, f.Concept) && f.Polarity != "denied" && f.Experiencer != "other" {
					worst = max(worst, f.Severity)
				}
			}
			if worst > 0 {
				s.Points = append(s.Points, point{m.At, float64(worst)})
			}
		}
		out = append(out, s)
	}
	weight := series{Key: "weight", Label: "Weight in kg", Unit: " kg"}
	for _, w := range c.Weights {
		if len(weight.Points) == 0 {
			weight.Low, weight.High = w.Kg, w.Kg
		}
		weight.Low, weight.High = min(weight.Low, w.Kg), max(weight.High, w.Kg)
		weight.Points = append(weight.Points, point{w.At, w.Kg})
	}
	weight.Low, weight.High = weight.Low-2, weight.High+2
	return slices.DeleteFunc(append(out, weight), func(s series) bool { return len(s.Points) < 2 })
}

// Words says a trend in a sentence, for whoever does not see the picture.
func (s series) Words() string {
	first, last := s.Points[0], s.Points[len(s.Points)-1]
	low, high := first.Value, first.Value
	for _, p := range s.Points {
		low, high = min(low, p.Value), max(high, p.Value)
	}
	return fmt.Sprintf("%s: from %g%s on %s to %g%s on %s; lowest %g, highest %g, %d figures.", s.Label, first.Value, s.Unit, first.At.Format("2 Jan 2006"),
		last.Value, s.Unit, last.At.Format("2 Jan 2006"), low, high, len(s.Points))
}

// SVG draws it. The figures stand in a table beside it too.
func (s series) SVG() template.HTML {
	const w, h, left, top, right, bottom = 320.0, 120.0, 34.0, 10.0, 12.0, 22.0
	from, to := s.Points[0].At, s.Points[len(s.Points)-1].At
	span := max(to.Sub(from).Seconds(), 1)
	x := func(p point) float64 { return left + p.At.Sub(from).Seconds()/span*(w-left-right) }
	y := func(v float64) float64 { return top + (s.High-v)/(s.High-s.Low)*(h-top-bottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="desk-chart" viewBox="0 0 %g %g" role="img" aria-label="%s" focusable="false">`, w, h, template.HTMLEscapeString(s.Words()))
	for _, v := range []float64{s.Low, (s.Low + s.High) / 2, s.High} {
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#d8dde0"/><text x="%g" y="%.1f" font-size="11" text-anchor="end" fill="#4c6272">%.3g</text>`, left, w-right, y(v), y(v), left-5, y(v)+4, v)
	}
	var line []string
	for _, p := range s.Points {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(p), y(p.Value)))
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#005eb8" stroke-width="2"/>`, strings.Join(line, " "))
	for _, p := range s.Points {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="#005eb8"/>`, x(p), y(p.Value))
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" font-size="11" fill="#4c6272">%s</text><text x="%g" y="%g" font-size="11" text-anchor="end" fill="#4c6272">%s</text></svg>`,
		left, h-5, from.Format("2 Jan"), w-right, h-5, to.Format("2 Jan"))
	return template.HTML(b.String())
}
