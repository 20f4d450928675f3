package flows

import (
	"cmp"
	"math"
	"slices"
)

// A picture of a flow is laid out in layers from top to bottom, in the manner of
// Sugiyama, Tagawa and Toda (1981): ways that lead back are turned round, steps are
// put as low as the longest way to them, ways that pass layers get a place in each,
// the order in a layer is that of the neighbours' middle, and the places are the
// nearest to the neighbours that leave everybody room. What is said on a way has a
// place of its own between the layers, so that nothing is written over anything.

// box is a place in the picture: of a step, of the words on a way, or of a way that
// passes a layer.
type box struct {
	w, h     float64
	x, y     float64 // of its middle
	layer    int
	above    float64 // where its layer begins …
	below    float64 // … and ends: ways bend between the layers only
	order    float64
	up, down []*box
	passing  bool // nothing is drawn but the way
}

// way is a line from a box to another through those that it passes, and the one
// that holds its words.
type way struct {
	from, to *box
	words    *box
	via      []*box // from top to bottom, words among them
	turned   bool   // it leads upwards
}

const (
	gapX     = 22.0
	gapY     = 30.0
	sweeps   = 12
	passages = 24
)

// lay gives every box its place, and the size of the whole. The boxes of steps come
// in the order in which they are written, the first being where the flow begins.
func lay(boxes []*box, ways []*way) (width, height float64) {
	turnBack(boxes, ways)
	rank(boxes, ways)
	layers := pass(boxes, ways)
	order(layers)
	place(layers)
	return settle(layers)
}

// turnBack turns ways round that lead back to where they came from.
func turnBack(boxes []*box, ways []*way) {
	out := map[*box][]*way{}
	for _, w := range ways {
		out[w.from] = append(out[w.from], w)
	}
	const fresh, open, done = 0, 1, 2
	state := map[*box]int{}
	var visit func(b *box)
	visit = func(b *box) {
		state[b] = open
		for _, w := range out[b] {
			switch state[w.to] {
			case open:
				w.turned = true
			case fresh:
				visit(w.to)
			}
		}
		state[b] = done
	}
	for _, b := range boxes {
		if state[b] == fresh {
			visit(b)
		}
	}
}

func (w *way) top() *box {
	if w.turned {
		return w.to
	}
	return w.from
}

func (w *way) bottom() *box {
	if w.turned {
		return w.from
	}
	return w.to
}

// rank puts every step two layers below the lowest that leads to it: the layer
// between is for the words.
func rank(boxes []*box, ways []*way) {
	for range boxes {
		moved := false
		for _, w := range ways {
			if t, b := w.top(), w.bottom(); t != b && b.layer < t.layer+2 {
				b.layer, moved = t.layer+2, true
			}
		}
		if !moved {
			return
		}
	}
}

// pass gives every way a box in each layer that it passes, and lists the layers.
func pass(boxes []*box, ways []*way) [][]*box {
	deepest := 0
	for _, b := range boxes {
		deepest = max(deepest, b.layer)
	}
	layers := make([][]*box, deepest+2)
	for _, b := range boxes {
		layers[b.layer] = append(layers[b.layer], b)
	}
	for _, w := range ways {
		last := w.top()
		end := w.bottom().layer
		if w.top() == w.bottom() {
			end = w.top().layer + 2 // a circle hangs below its step
		}
		for l := w.top().layer + 1; l < end; l++ {
			b := &box{w: 8, passing: true, layer: l}
			if w.words != nil && l == w.top().layer+1 {
				b = w.words
				b.layer = l
			}
			w.via = append(w.via, b)
			layers[l] = append(layers[l], b)
			last.down, b.up = append(last.down, b), append(b.up, last)
			last = b
		}
		if w.top() != w.bottom() {
			last.down, w.bottom().up = append(last.down, w.bottom()), append(w.bottom().up, last)
		}
	}
	return layers
}

// order puts the boxes of each layer in the order in which the fewest ways cross, as
// far as some sweeps up and down find it.
func order(layers [][]*box) {
	number := func(layer []*box) {
		for i, b := range layer {
			b.order = float64(i)
		}
	}
	for _, l := range layers {
		number(l)
	}
	best, crossings := snapshot(layers), cross(layers)
	for i := range sweeps {
		for k := range layers {
			l := layers[k]
			near := func(b *box) []*box { return b.up }
			if i%2 == 1 {
				l = layers[len(layers)-1-k]
				near = func(b *box) []*box { return b.down }
			}
			middle := map[*box]float64{}
			for _, b := range l {
				middle[b] = b.order
				if n := near(b); len(n) > 0 {
					sum := 0.0
					for _, x := range n {
						sum += x.order
					}
					middle[b] = sum / float64(len(n))
				}
			}
			slices.SortStableFunc(l, func(a, b *box) int { return cmp.Compare(middle[a], middle[b]) })
			number(l)
		}
		if n := cross(layers); n < crossings {
			best, crossings = snapshot(layers), n
		}
	}
	for i, l := range best {
		copy(layers[i], l)
		number(layers[i])
	}
}

func snapshot(layers [][]*box) [][]*box {
	out := make([][]*box, len(layers))
	for i, l := range layers {
		out[i] = slices.Clone(l)
	}
	return out
}

// cross counts the ways that cross.
func cross(layers [][]*box) int {
	n := 0
	for _, l := range layers {
		type line struct{ a, b float64 }
		var lines []line
		for _, t := range l {
			for _, b := range t.down {
				lines = append(lines, line{t.order, b.order})
			}
		}
		for i := range lines {
			for j := i + 1; j < len(lines); j++ {
				if (lines[i].a-lines[j].a)*(lines[i].b-lines[j].b) < 0 {
					n++
				}
			}
		}
	}
	return n
}

// place moves the boxes of each layer towards the middle of those above and below,
// as near as the order and the gaps allow.
func place(layers [][]*box) {
	for _, l := range layers {
		x := 0.0
		for _, b := range l {
			b.x = x + b.w/2
			x += b.w + gapX
		}
	}
	for i := range passages {
		for k := range layers {
			l := layers[k]
			near := func(b *box) []*box { return b.up }
			switch {
			case i%2 == 1:
				l = layers[len(layers)-1-k]
				near = func(b *box) []*box { return b.down }
			case i >= passages/2:
				near = func(b *box) []*box { return slices.Concat(b.up, b.down) }
			}
			wish := make([]float64, len(l))
			for j, b := range l {
				wish[j] = b.x
				if n := near(b); len(n) > 0 {
					sum := 0.0
					for _, x := range n {
						sum += x.x
					}
					wish[j] = sum / float64(len(n))
				}
			}
			fit(l, wish)
		}
	}
}

// fit puts boxes as near to where they wish to be as their order and their gaps
// allow, by least squares: those that press on one another share their wish.
func fit(l []*box, wish []float64) {
	type group struct {
		sum, weight float64
		n           int
	}
	var groups []group
	shift := make([]float64, len(l)) // how far each is from the first, pressed together
	for i, b := range l {
		if i > 0 {
			shift[i] = shift[i-1] + (l[i-1].w+b.w)/2 + gapX
		}
		weight := 1.0
		if b.passing {
			weight = 4 // ways are straight before steps are in the middle
		}
		g := group{(wish[i] - shift[i]) * weight, weight, 1}
		for len(groups) > 0 && groups[len(groups)-1].sum/groups[len(groups)-1].weight > g.sum/g.weight {
			last := groups[len(groups)-1]
			groups = groups[:len(groups)-1]
			g = group{g.sum + last.sum, g.weight + last.weight, g.n + last.n}
		}
		groups = append(groups, g)
	}
	i := 0
	for _, g := range groups {
		for range g.n {
			l[i].x = g.sum/g.weight + shift[i]
			i++
		}
	}
}

// settle gives each layer its height, moves everything to the left edge, and says
// how large the whole is.
func settle(layers [][]*box) (width, height float64) {
	left := math.Inf(1)
	y := gapY
	for _, l := range layers {
		h := 0.0
		for _, b := range l {
			h = max(h, b.h)
			left = min(left, b.x-b.w/2)
		}
		if len(l) == 0 {
			continue
		}
		for _, b := range l {
			b.y, b.above, b.below = y+h/2, y, y+h
		}
		y += h + gapY
	}
	for _, l := range layers {
		for _, b := range l {
			b.x += gapX - left
			width = max(width, b.x+b.w/2+gapX)
		}
	}
	return width, y
}
