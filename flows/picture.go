package flows

import (
	"fmt"
	"html"
	"math"
	"strings"
	"unicode/utf8"
)

// Picture is how a flow is drawn. The zero Picture shows the ids of texts.
type Picture struct {
	Words func(text string) string // the words of a text by its id; "": its id is shown
	Link  func(flow string) string // where another flow is drawn; nil: it is no link
}

// The measures of a picture, in pixels. A letter's width is that of Arial at its
// size, on the average of English and Welsh, with some room.
const (
	letter   = 7.0
	line     = 17.0
	inside   = 11.0
	boxChars = 34
	wayChars = 26
)

// SVG draws a flow as a picture that stands by itself, with a title and with all of
// it in words for whoever does not see it; "" when there is no such flow.
func (p *Program) SVG(name string, as Picture) string {
	f := p.flows[name]
	if f == nil {
		return ""
	}
	steps := p.InWords(name)
	start := &box{w: 24, h: 24}
	boxes := []*box{start}
	byStep := map[string]*box{}
	texts := map[string][]string{}
	for _, s := range steps {
		texts[s.Step] = wrap(as.saying(s), boxChars)
		b := sized(texts[s.Step], 2*inside)
		b.w, b.h = max(b.w, letter*1.15*float64(utf8.RuneCountInString(heading(s)))+2*inside+8), b.h+line
		byStep[s.Step] = b
		boxes = append(boxes, b)
	}
	ways := []*way{{from: start, to: byStep[f.start]}}
	silent := map[*way]bool{}
	labels := map[*way][]string{}
	for _, s := range steps {
		for _, w := range merged(s) {
			drawn := &way{from: byStep[s.Step], to: byStep[w.To]}
			if w.When != "" {
				labels[drawn] = wrap(w.When, wayChars)
				drawn.words = sized(labels[drawn], 6)
			}
			silent[drawn] = strings.HasPrefix(w.When, "no answer in ")
			ways = append(ways, drawn)
		}
	}
	width, height := lay(boxes, ways)

	var b strings.Builder
	id := "flow-" + name
	role := "img"
	if as.Link != nil {
		role = "group" // what is in an image cannot be pressed
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="%s" aria-labelledby="%s-title %s-desc" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Arial, sans-serif" font-size="13">`+"\n",
		role, id, id, width, height, width, height)
	fmt.Fprintf(&b, "<title id=\"%s-title\">The flow %s</title>\n<desc id=\"%s-desc\">%s</desc>\n", id, html.EscapeString(name), id, html.EscapeString(inOne(steps)))
	fmt.Fprintf(&b, `<defs><marker id="%s-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#4c6272"/></marker></defs>`+"\n", id)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", width, height)
	for _, w := range ways {
		dash := ""
		if silent[w] {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#4c6272" stroke-width="1.5"%s marker-end="url(#%s-tip)"/>`+"\n", w.path(), dash, id)
	}
	for _, w := range ways {
		if w.words == nil {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#fff"/>`+"\n", w.words.x-w.words.w/2, w.words.y-w.words.h/2, w.words.w, w.words.h)
		write(&b, w.words, labels[w], `fill="#425563" font-size="12"`, "")
	}
	fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="11" fill="#212b32"/>`+"\n", start.x, start.y)
	for _, s := range steps {
		as.draw(&b, s, byStep[s.Step], texts[s.Step])
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// inOne tells all of a flow in one line.
func inOne(steps []StepWords) string {
	var out []string
	for _, s := range steps {
		out = append(out, "Step "+s.Step+": "+strings.Join(s.Lines(), "; ")+".")
	}
	return strings.Join(out, " ")
}

// merged are the ways of a step with those to the same step as one; silence is told
// apart, because it is drawn otherwise.
func merged(s StepWords) []WayWords {
	var out []WayWords
	at := map[string]int{}
	for _, w := range s.Ways {
		key := w.To
		if strings.HasPrefix(w.When, "no answer in ") {
			key += " silence"
		}
		if i, ok := at[key]; ok {
			out[i].When += ", " + w.When
			continue
		}
		at[key] = len(out)
		out = append(out, w)
	}
	return out
}

// heading is what a step does, in a word or two.
func heading(s StepWords) string {
	switch s.Verb {
	case "ask":
		return "ASKS: " + kindWords[string(s.Kind)]
	case "form":
		return "ASKS AT ONCE IN A FORM, BY TEXT ONE BY ONE"
	case "say":
		if s.Ends != "" {
			return "SAYS, AND ENDS: " + s.Ends
		}
		return "SAYS"
	case "branch":
		return "LOOKS AT WHAT IS KNOWN"
	case "call":
		return "GOES THROUGH"
	case "wait":
		return "WAITS"
	}
	return "NURSE: a row, " + s.Level.String()
}

// saying is what stands in the box of a step.
func (as Picture) saying(s StepWords) string {
	text := ""
	if len(s.Texts) > 0 {
		text = s.Texts[0]
		if as.Words != nil {
			if words := as.Words(text); words != "" {
				text = words
			}
		}
	}
	switch s.Verb {
	case "branch":
		return s.Step
	case "form":
		return strings.Join(s.Shows, ", ")
	case "call":
		return s.Calls
	case "wait":
		return LengthWords(s.Waits)
	case "escalate":
		return s.Reason
	}
	return text
}

// The colours of a step: its border, which says by its heading too what it is, and
// its ground.
var colours = map[string][2]string{"ask": {"#005eb8", "#f0f6fc"}, "form": {"#005eb8", "#fff"}, "say": {"#007f3b", "#f0f8f2"}, "branch": {"#4c6272", "#f0f4f5"},
	"call": {"#330072", "#f5f1fa"}, "wait": {"#4c6272", "#fff"}, "escalate": {"#d5281b", "#fdf1f0"}}

func (as Picture) draw(b *strings.Builder, s StepWords, at *box, lines []string) {
	colour := colours[s.Verb]
	x, y := at.x-at.w/2, at.y-at.h/2
	link := ""
	if s.Verb == "call" && as.Link != nil {
		link = as.Link(s.Calls)
	}
	if link != "" {
		fmt.Fprintf(b, `<a href="%s" aria-label="The flow %s">`, html.EscapeString(link), html.EscapeString(s.Calls))
	}
	radius := map[string]int{"ask": 4, "form": 4, "say": 16, "wait": 16}[s.Verb]
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%d" fill="%s" stroke="%s" stroke-width="2"/>`+"\n", x, y, at.w, at.h, radius, colour[1], colour[0])
	if s.Verb == "call" { // the bars of a subroutine
		fmt.Fprintf(b, `<path d="M%.1f %.1fv%.1fM%.1f %.1fv%.1f" stroke="%s" stroke-width="2"/>`+"\n", x+6, y, at.h, x+at.w-6, y, at.h, colour[0])
	}
	if s.Ends != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="13" fill="none" stroke="%s"/>`+"\n", x+4, y+4, at.w-8, at.h-8, colour[0])
	}
	write(b, at, append([]string{heading(s)}, lines...), `fill="#212b32"`, ` fill="`+colour[0]+`" font-weight="bold" font-size="11"`)
	if link != "" {
		b.WriteString("</a>")
	}
}

// write writes lines into the middle of a box; the first may look otherwise.
func write(b *strings.Builder, at *box, lines []string, all, first string) {
	y := at.y - line*float64(len(lines))/2 + line*0.72
	fmt.Fprintf(b, `<text text-anchor="middle" %s>`, all)
	for i, words := range lines {
		look := ""
		if i == 0 {
			look = first
		}
		fmt.Fprintf(b, `<tspan x="%.1f" y="%.1f"%s>%s</tspan>`, at.x, y+line*float64(i), look, html.EscapeString(words))
	}
	b.WriteString("</text>\n")
}

// sized is a box for some lines, with room round them.
func sized(lines []string, room float64) *box {
	longest := 0
	for _, l := range lines {
		longest = max(longest, utf8.RuneCountInString(l))
	}
	return &box{w: letter*float64(longest) + room, h: line*float64(len(lines)) + room*0.7}
}

// wrap breaks words into lines.
func wrap(words string, width int) []string {
	var out []string
	current := ""
	for _, word := range strings.Fields(words) {
		if current != "" && utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) > width {
			out, current = append(out, current), ""
		}
		if current != "" {
			current += " "
		}
		current += word
	}
	return append(out, current)
}

// path is the line of a way: straight down through the boxes that it passes, in
// curves between them.
func (w *way) path() string {
	var b strings.Builder
	if w.top() == w.bottom() { // a circle
		t, v := w.top(), w.via[0]
		return fmt.Sprintf("M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", t.x, t.y+t.h/2, t.x, v.y, v.x, v.y-8, v.x, v.y, v.x+v.w/2+12, v.y, t.x+t.w/2+12, t.y, t.x+t.w/2, t.y)
	}
	type point struct{ x, y float64 }
	var line []point
	line = append(line, point{w.top().x, w.top().y + w.top().h/2}, point{w.top().x, w.top().below})
	for _, p := range w.via {
		line = append(line, point{p.x, p.above}, point{p.x, p.below})
	}
	end := w.bottom()
	line = append(line, point{end.x, end.above}, point{end.x, end.y - end.h/2})
	if w.turned {
		for i, j := 0, len(line)-1; i < j; i, j = i+1, j-1 {
			line[i], line[j] = line[j], line[i]
		}
	}
	fmt.Fprintf(&b, "M%.1f %.1f", line[0].x, line[0].y)
	for i := 1; i < len(line); i++ {
		from, to := line[i-1], line[i]
		if math.Abs(from.x-to.x) < 1 {
			if from.y != to.y {
				fmt.Fprintf(&b, "V%.1f", to.y)
			}
			continue
		}
		middle := (from.y + to.y) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", from.x, middle, to.x, middle, to.x, to.y)
	}
	return b.String()
}
