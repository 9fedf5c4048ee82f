package suggest

import (
	"math"
	"math/rand/v2"
)

// cmaAxis is a numeric parameter as one side of the unit box.
type cmaAxis struct {
	axis
	at    int // its place in the space
	cells bool
}

// cmaCoding is a space as a box of numeric axes and a list of categorical parameters.
// Those with one value are neither.
type cmaCoding struct {
	space      *Space
	axes       []cmaAxis
	categories []int // places in the space
}

// cmaPoint is a point of the coding: box is len(axes) long, classes len(categories).
// A parameter that a condition takes away is NaN in the box, -1 in classes.
type cmaPoint struct {
	box     []float64
	classes []int
	point   Point
}

func newCMACoding(s *Space) *cmaCoding {
	c := &cmaCoding{space: s}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		n := p.Cardinality()
		switch {
		case n > 1 && p.Kind == Categorical:
			c.categories = append(c.categories, i)
		case n > 1, n == 0 && p.Max > p.Min:
			c.axes = append(c.axes, newCMAAxis(p, i))
		}
	}
	return c
}

func newCMAAxis(p *Parameter, at int) cmaAxis {
	return cmaAxis{axis: newAxis(p), at: at, cells: p.Cardinality() > 0}
}

// edges are those of a value's cell; the outermost are at ±Inf.
func (a *cmaAxis) edges(v float64) (low, high float64) {
	low, high = a.cell(v)
	if low < 1e-9 {
		low = math.Inf(-1)
	}
	if high > 1-1e-9 {
		high = math.Inf(1)
	}
	return low, high
}

// point is a point of the box as one of the space.
func (c *cmaCoding) point(p cmaPoint) Point {
	x := make(Point, len(c.space.Parameters))
	for i := range c.space.Parameters { // what has one value
		if q := &c.space.Parameters[i]; q.Kind == Double || q.Kind == Int {
			x[i] = q.Min
		}
	}
	for i := range c.axes {
		x[c.axes[i].at] = c.axes[i].value(p.box[i])
	}
	for i, at := range c.categories {
		x[at] = float64(p.classes[i])
	}
	return c.space.Mask(x)
}

// code is the inverse of point: what has cells comes out at the value, not where in
// its cell it was drawn.
func (c *cmaCoding) code(x Point) cmaPoint {
	p := cmaPoint{box: make([]float64, len(c.axes)), classes: make([]int, len(c.categories)), point: x}
	for i := range c.axes {
		if p.box[i] = x[c.axes[i].at]; !math.IsNaN(p.box[i]) {
			p.box[i] = c.axes[i].unit(p.box[i])
		}
	}
	for i, at := range c.categories {
		if p.classes[i] = -1; !math.IsNaN(x[at]) {
			p.classes[i] = int(x[at])
		}
	}
	return p
}

// uniform is any point of the box.
func (c *cmaCoding) uniform(rng *rand.Rand) cmaPoint {
	p := cmaPoint{box: make([]float64, len(c.axes)), classes: make([]int, len(c.categories))}
	for i := range p.box {
		p.box[i] = rng.Float64()
	}
	for i, at := range c.categories {
		p.classes[i] = rng.IntN(len(c.space.Parameters[at].List))
	}
	return p
}
