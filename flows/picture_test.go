package flows

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A flow's picture is well-formed, has a title and all of it in words, every step and
// every way, and nothing that is not escaped.
func TestSVG(t *testing.T) {
	t.Parallel()
	p := program(t)
	if p.SVG("nothing", Picture{}) != "" {
		t.Error("a flow that is not there is drawn")
	}
	svg := p.SVG("small", Picture{Words: func(id string) string { return map[string]string{"t.bye": `"Bye" <b>&`}[id] }, Link: func(flow string) string { return "/flows/" + flow + "?a&b" }})
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var text strings.Builder
	count := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch x := token.(type) {
		case xml.StartElement:
			count[x.Name.Local]++
		case xml.CharData:
			text.Write(x)
			text.WriteByte(' ')
		}
	}
	for _, want := range []string{"The flow small", "Step pain: begins the talk; asks t.pain (yes or no)", "t.pain", `"Bye" <b>&`, "no answer in 1 week", "any other answer", "ASKS: yes or no", "NURSE: a row, routine", "SAYS, AND ENDS: completed"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	ways := 1 // from the start
	for _, s := range p.InWords("small") {
		ways += len(merged(s))
	}
	if got := strings.Count(svg, "marker-end="); got != ways {
		t.Errorf("%d ways are drawn, want %d", got, ways)
	}
	if count["a"] != 1 || !strings.Contains(svg, `href="/flows/sub?a&amp;b"`) {
		t.Errorf("%d links", count["a"])
	}
}

// Whatever leads where, nothing in a picture lies on anything else, every way goes
// from its step to the other, and all of it is inside.
func TestNothingOverlapsInAPicture(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "steps")
		var boxes []*box
		for range n {
			boxes = append(boxes, &box{w: rapid.Float64Range(20, 300).Draw(t, "w"), h: rapid.Float64Range(20, 100).Draw(t, "h")})
		}
		var ways []*way
		for range rapid.IntRange(0, 2*n).Draw(t, "ways") {
			w := &way{from: rapid.SampledFrom(boxes).Draw(t, "from"), to: rapid.SampledFrom(boxes).Draw(t, "to")}
			if rapid.Bool().Draw(t, "words") {
				w.words = &box{w: 90, h: 30}
			}
			ways = append(ways, w)
		}
		width, height := lay(boxes, ways)
		all := append([]*box{}, boxes...)
		for _, w := range ways {
			all = append(all, w.via...)
			if path := w.path(); !strings.HasPrefix(path, "M") || strings.Contains(path, "NaN") {
				t.Fatalf("a way is drawn as %q", path)
			}
		}
		for i, a := range all {
			if a.x-a.w/2 < 0 || a.x+a.w/2 > width || a.y-a.h/2 < 0 || a.y+a.h/2 > height || math.IsNaN(a.x) {
				t.Fatalf("a box is outside: %+v of %s", a, fmt.Sprint(width, height))
			}
			for _, b := range all[i+1:] {
				if math.Abs(a.x-b.x) < (a.w+b.w)/2-0.01 && math.Abs(a.y-b.y) < (a.h+b.h)/2-0.01 {
					t.Fatalf("%+v lies on %+v", a, b)
				}
			}
		}
	})
}
