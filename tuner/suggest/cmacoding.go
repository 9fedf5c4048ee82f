package suggest

import (
	"math"
	"math/rand/v2"
)

// cmaAxis is a numeric parameter as one side of the unit box: log, if it is searched so,
// and with half a step more at both ends, where it has steps, so that each value has a
// cell around it.
type cmaAxis struct {
	parameter *Parameter
	at        int // its place in the space
	low, high float64
	cells     bool
}

// cmaCoding is a space as a box of numeric axes and a list of categorical parameters.
// Those with one value are neither.
type cmaCoding struct {
	space      *Space
	axes       []cmaAxis
	categories []int // places in the space
	countable  bool  // all parameters have finitely many values
}

// cmaPoint is a point of the coding: box is len(axes) long, classes len(categories).
// A parameter that a condition takes away is NaN in the box, -1 in classes.
type cmaPoint struct {
	box     []float64
	classes []int
	point   Point
}

func newCMACoding(s *Space) *cmaCoding {
	c := &cmaCoding{space: s, countable: true}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		n := p.Cardinality()
		switch {
		case n == 0:
			c.countable = false
			if p.Max > p.Min {
				c.axes = append(c.axes, newCMAAxis(p, i))
			}
		case n > 1 && p.Kind == Categorical:
			c.categories = append(c.categories, i)
		case n > 1:
			c.axes = append(c.axes, newCMAAxis(p, i))
		}
	}
	return c
}

func newCMAAxis(p *Parameter, at int) cmaAxis {
	a := cmaAxis{parameter: p, at: at, cells: p.Cardinality() > 0}
	if p.Kind == Discrete {
		a.low, a.high = -0.5, float64(len(p.List))-0.5
		return a
	}
	a.low, a.high = a.scale(p.Min), a.scale(p.Max)
	if a.cells {
		step, last := p.step(), p.Round(p.Max)
		a.high = a.scale(last + step/2)
		if a.low = p.Min - step/2; p.Log() { // as far below as the next edge is above: Min - step/2 may be 0
			a.low = 2*math.Log(p.Min) - math.Log(p.Min+step/2)
		}
	}
	return a
}

// scale is a value on the axis' own scale: logarithmic, or as it is.
func (a *cmaAxis) scale(v float64) float64 {
	if a.parameter.Kind != Discrete && a.parameter.Log() {
		return math.Log(v)
	}
	return v
}

// unit is the place of a value, from 0 to 1.
func (a *cmaAxis) unit(v float64) float64 {
	return math.Max(0, math.Min((a.scale(v)-a.low)/(a.high-a.low), 1))
}

// value is the parameter's value at a place.
func (a *cmaAxis) value(u float64) float64 {
	v := a.low + u*(a.high-a.low)
	if a.parameter.Kind != Discrete && a.parameter.Log() {
		v = math.Exp(v)
	}
	return a.parameter.Round(v)
}

// cell is the edges of the cell of a value; the outermost are at ±Inf.
func (a *cmaAxis) cell(v float64) (low, high float64) {
	p, half := a.parameter, 0.5
	first, last := 0.0, float64(p.Cardinality()-1)
	if p.Kind != Discrete {
		half = p.step() / 2
		first, last = p.Min, p.Min+last*p.step()
	}
	low, high = math.Inf(-1), math.Inf(1)
	if v > first+half {
		low = (a.scale(v-half) - a.low) / (a.high - a.low)
	}
	if v < last-half {
		high = (a.scale(v+half) - a.low) / (a.high - a.low)
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
		p.box[i] = c.axes[i].unit(x[c.axes[i].at])
		if v := x[c.axes[i].at]; math.IsNaN(v) {
			p.box[i] = v
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
