package suggest

import (
	"math"
	"slices"
)

// embedding maps the points of a space to the vectors that surrogate models see: one
// coordinate for each parameter, in [0, 1] on the parameter's own scale for numbers,
// the index in the list for a categorical. Values on a grid lie in the middle of equal
// cells, so that a uniform vector rounds to each of them equally often.
//
// A parameter that a condition switches off is imputed: 0.5, or category -1, which is
// like no other. Its condition's own coordinate tells the model the two cases apart.
type embedding struct {
	space *Space
	axes  []gpAxis
}

// gpAxis is one coordinate of an embedding.
type gpAxis struct {
	p      *Parameter
	card   int // 0: uncountable
	lo, hi float64
}

// gridLimit is how many values of a parameter local searches try one by one; numbers
// with more are searched as if continuous, and rounded.
const gridLimit = 32

func newEmbedding(s *Space) *embedding {
	e := &embedding{space: s}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		a := gpAxis{p: p, card: p.Cardinality()}
		switch {
		case p.Kind == Discrete || p.Kind == Categorical:
			a.lo, a.hi = -0.5, float64(a.card)-0.5
		case a.card > 0:
			top := p.Min + float64(a.card-1)*p.step()
			low := p.Min - p.step()/2
			if p.Log() && low < p.Min/2 {
				low = p.Min / 2 // a step as wide as the smallest value reaches zero
			}
			a.lo, a.hi = a.scale(low), a.scale(top+p.step()/2)
		default:
			a.lo, a.hi = a.scale(p.Min), a.scale(p.Max)
		}
		if !(a.hi > a.lo) {
			a.hi = a.lo + 1
		}
		e.axes = append(e.axes, a)
	}
	return e
}

func (a *gpAxis) scale(v float64) float64 {
	if a.p.Log() && (a.p.Kind == Double || a.p.Kind == Int) {
		return math.Log(v)
	}
	return v
}

func (a *gpAxis) categorical() bool { return a.p.Kind == Categorical }

// fixed says that there is nothing to choose.
func (a *gpAxis) fixed() bool {
	return a.card == 1 || a.card == 0 && a.p.Max <= a.p.Min
}

// smooth says that a local search follows the gradient along this axis.
func (a *gpAxis) smooth() bool {
	return !a.categorical() && !a.fixed() && (a.card == 0 || a.card > gridLimit)
}

// unit is the coordinate of a value.
func (a *gpAxis) unit(v float64) float64 {
	switch {
	case math.IsNaN(v) && a.categorical():
		return -1
	case math.IsNaN(v):
		return 0.5
	case a.categorical():
		return v
	}
	return math.Max(0, math.Min((a.scale(v)-a.lo)/(a.hi-a.lo), 1))
}

// value is the parameter's value nearest to a coordinate.
func (a *gpAxis) value(u float64) float64 {
	if a.categorical() {
		return a.p.Round(u)
	}
	v := a.lo + math.Max(0, math.Min(u, 1))*(a.hi-a.lo)
	if a.p.Log() && (a.p.Kind == Double || a.p.Kind == Int) {
		v = math.Exp(v)
	}
	return a.p.Round(v)
}

// at is the coordinate for a number drawn uniformly from [0, 1).
func (a *gpAxis) at(u float64) float64 {
	if a.categorical() {
		return math.Min(math.Floor(u*float64(a.card)), float64(a.card-1))
	}
	return u
}

// quantile is the coordinate below which the parameter's distribution has the share u.
func (a *gpAxis) quantile(u float64) float64 {
	d := a.p.Distribution
	if a.p.Kind == Categorical || a.p.Kind == Discrete || d != Normal && d != LogNormal {
		return a.at(u)
	}
	const tail = 0.0013498980316301035 // of a normal distribution beyond three deviations
	z := math.Sqrt2 * math.Erfinv(2*(tail+u*(1-2*tail))-1)
	return math.Max(0, math.Min(0.5+z/6, 1))
}

// grid lists the coordinates of an axis with countably many values.
func (a *gpAxis) grid() []float64 {
	g := make([]float64, a.card)
	for k := range g {
		switch {
		case a.p.Kind == Double || a.p.Kind == Int:
			g[k] = a.unit(a.p.Min + float64(k)*a.p.step())
		default:
			g[k] = a.unit(float64(k))
		}
	}
	return g
}

// vector is where a point lies.
func (e *embedding) vector(x Point) []float64 {
	z := make([]float64, len(e.axes))
	for j := range z {
		z[j] = e.axes[j].unit(x[j])
	}
	return z
}

// point is the point of the space nearest to a vector, with what conditions switch off
// as NaN.
func (e *embedding) point(z []float64) Point {
	x := make(Point, len(z))
	for j := range z {
		x[j] = e.axes[j].value(z[j])
	}
	return e.space.Mask(x)
}

// snap moves a vector onto the point nearest to it, and says whether that may be tried.
func (e *embedding) snap(z []float64) bool {
	x := e.point(z)
	for j := range z {
		z[j] = e.axes[j].unit(x[j])
	}
	return e.space.May(x)
}

// pointKey tells points apart; equal points have equal keys.
func pointKey(x Point) string {
	b := make([]byte, 0, 8*len(x))
	for _, v := range x {
		u := math.Float64bits(v)
		if math.IsNaN(v) {
			u = math.MaxUint64
		}
		b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24), byte(u>>32), byte(u>>40), byte(u>>48), byte(u>>56))
	}
	return string(b)
}

// all lists the vectors of all points of a space with at most limit of them, in
// lexical order; nil if there are more.
func (e *embedding) all(limit int) [][]float64 {
	n := e.space.Cardinality()
	if n == 0 || n > limit {
		return nil
	}
	grids := make([][]float64, len(e.axes))
	for j := range e.axes {
		grids[j] = e.axes[j].grid()
	}
	var list [][]float64
	seen := map[string]bool{} // switched off parameters make points equal
	at := make([]int, len(e.axes))
	for range n {
		z := make([]float64, len(e.axes))
		for j := range z {
			z[j] = grids[j][at[j]]
		}
		k := pointKey(e.point(z))
		if may := e.snap(z); may && !seen[k] {
			list = append(list, z)
		}
		seen[k] = true
		for j := len(at) - 1; j >= 0; j-- {
			if at[j]++; at[j] < len(grids[j]) {
				break
			}
			at[j] = 0
		}
	}
	return slices.Clip(list)
}
