package triage

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Figures are how well messages were read, by count.
type Figures struct {
	Table      [5][5]int // label, reading
	N          int
	Acceptable int
	TwoTooLow  int
	// FalseEmergencies are messages read as an emergency that no careful nurse
	// would call one.
	FalseEmergencies int
}

// Add counts one message.
func (f *Figures) Add(x *Example, got Level) {
	f.N++
	f.Table[x.Level][got]++
	if slices.Contains(x.Accept, got) {
		f.Acceptable++
	}
	if x.Level >= got+2 {
		f.TwoTooLow++
	}
	if got == Emergency && !slices.Contains(x.Accept, Emergency) {
		f.FalseEmergencies++
	}
}

// count sums a part of the table.
func (f *Figures) count(labelFrom, labelTo, gotFrom Level) int {
	n := 0
	for l := labelFrom; l <= labelTo; l++ {
		for g := gotFrom; g <= Emergency; g++ {
			n += f.Table[l][g]
		}
	}
	return n
}

// Rate is a share, with the bounds of its 95% interval (Wilson).
type Rate struct {
	Name     string
	Of, N    int
	Low, Top float64
	Goal     string
}

func rate(name string, of, n int, goal string) Rate {
	const z = 1.959964
	if n == 0 {
		return Rate{Name: name, Top: 1, Goal: goal}
	}
	p, m := float64(of)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Rate{name, of, n, max(0, middle-half), min(1, middle+half), goal}
}

func (r Rate) String() string {
	if r.N == 0 {
		return fmt.Sprintf("%-52s none", r.Name)
	}
	return fmt.Sprintf("%-52s %5d of %5d = %5.1f%% (%.1f to %.1f), goal %s", r.Name, r.Of, r.N, 100*float64(r.Of)/float64(r.N), 100*r.Low, 100*r.Top, r.Goal)
}

// Rates gives the figures that docs/triage.md sets goals for.
func (f *Figures) Rates() []Rate {
	return []Rate{
		rate("emergencies read as emergency", f.count(Emergency, Emergency, Emergency), f.count(Emergency, Emergency, None), "at least 95%"),
		rate("urgent read as urgent or higher", f.count(Urgent, Urgent, Urgent), f.count(Urgent, Urgent, None), "at least 93%"),
		rate("soon or higher that reach the queue", f.count(Soon, Emergency, Routine), f.count(Soon, Emergency, None), "at least 99.5%"),
		rate("read at an acceptable level", f.Acceptable, f.N, "at least 88%"),
		rate("two levels too low", f.TwoTooLow, f.N, "at most 0.5%"),
		rate("harmless messages raised at all", f.count(None, None, Routine), f.count(None, None, None), "at most 12%"),
		rate("others read as emergency", f.FalseEmergencies, f.count(None, Urgent, None), "at most 1.5%"),
	}
}

// String is the table by level, and the figures, as text.
func (f *Figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s", "label \\ reading")
	for _, l := range Levels {
		fmt.Fprintf(&b, "%10s", l)
	}
	b.WriteByte('\n')
	for _, l := range Levels {
		fmt.Fprintf(&b, "%-16s", l)
		for _, g := range Levels {
			fmt.Fprintf(&b, "%10d", f.Table[l][g])
		}
		b.WriteByte('\n')
	}
	for _, r := range f.Rates() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}
