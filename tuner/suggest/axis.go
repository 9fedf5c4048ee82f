package suggest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// axis is a parameter laid on [0, 1] so that its distribution becomes the uniform one:
// the quantile of a value. Of a parameter with countable values each one has a cell of
// that interval, its half steps to either side, so that all are met alike; the
// distances of categories mean nothing.
type axis struct {
	*Parameter
	values    int     // Cardinality
	low, high float64 // ends on the parameter's own scale, logarithm taken
}

func (s *Space) axes() []axis {
	out := make([]axis, len(s.Parameters))
	for i := range out {
		out[i] = newAxis(&s.Parameters[i])
	}
	return out
}

func newAxis(p *Parameter) axis {
	a := axis{Parameter: p, values: p.Cardinality(), low: p.Min, high: p.Max}
	switch {
	case p.Kind == Discrete || p.Kind == Categorical:
		a.low, a.high = -0.5, float64(len(p.List))-0.5
		return a
	case a.values > 0:
		half := p.step() / 2
		a.high = p.Min + float64(a.values-1)*p.step() + half
		a.low = p.Min - half
	}
	if p.Log() {
		a.low, a.high = math.Log(math.Max(a.low, p.Min/2)), math.Log(a.high)
	}
	return a
}

// three is by how many deviations the normal distributions reach to either side.
const three = 3

// quantile is where v, not rounded to a value, stands on [0, 1].
func (a *axis) quantile(v float64) float64 {
	if a.high <= a.low {
		return 0.5
	}
	number := a.Kind == Double || a.Kind == Int
	if number && a.Log() {
		v = math.Log(math.Max(v, 1e-300))
	}
	u := math.Max(0, math.Min((v-a.low)/(a.high-a.low), 1))
	if number && (a.Distribution == Normal || a.Distribution == LogNormal) {
		low := phi(-three)
		u = (phi(three*(2*u-1)) - low) / (1 - 2*low)
	}
	return u
}

// cell is what part of [0, 1] belongs to a value; of a continuous parameter it is
// empty.
func (a *axis) cell(v float64) (low, high float64) {
	switch {
	case a.values == 0:
		u := a.quantile(v)
		return u, u
	case a.Kind == Discrete || a.Kind == Categorical:
		return v / float64(a.values), (v + 1) / float64(a.values)
	}
	half := a.step() / 2
	return a.quantile(v - half), a.quantile(v + half)
}

// unit is the middle of a value's cell.
func (a *axis) unit(v float64) float64 {
	low, high := a.cell(v)
	return (low + high) / 2
}

// value is the inverse of unit: the value that u falls on.
func (a *axis) value(u float64) float64 {
	if a.Kind == Discrete || a.Kind == Categorical {
		return math.Max(0, math.Min(math.Floor(u*float64(a.values)), float64(a.values-1)))
	}
	if a.Distribution == Normal || a.Distribution == LogNormal {
		low := phi(-three)
		z := math.Sqrt2 * math.Erfinv(2*(low+u*(1-2*low))-1)
		u = math.Max(0, math.Min((z/three+1)/2, 1))
	}
	v := a.low + u*(a.high-a.low)
	if a.Log() {
		v = math.Exp(v)
	}
	return a.Round(v)
}

// phi is the distribution function of the standard normal distribution.
func phi(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// draw is a point by chance, from the parameters' distributions.
func (s *Space) draw(axes []axis, chance *rand.Rand) Point {
	x := make(Point, len(axes))
	for i := range axes {
		u := chance.Float64()
		if x[i] = math.NaN(); s.Active(x, i) {
			x[i] = axes[i].value(u)
		}
	}
	return x
}

// tries is how often a point is looked for that the space allows.
const tries = 10_000

// errNoPoint says that constraints leave next to nothing of a space.
var errNoPoint = errors.New("the space's constraints left no point to try; loosen them")

// fresh is a point by chance that the space allows and, unless all of its points have
// been, that is in none of the trials: the same parameters again teach nothing.
func (s *Space) fresh(axes []axis, chance *rand.Rand, been map[string]bool) (Point, error) {
	var again Point
	for range tries {
		x := s.draw(axes, chance)
		if !s.May(x) {
			continue
		}
		if !been[x.key()] {
			return x, nil
		}
		if again = x; s.exhausted(len(been)) {
			break
		}
	}
	if again == nil {
		return nil, fmt.Errorf("%w (%d points by chance)", errNoPoint, tries)
	}
	return again, nil
}

// exhausted says whether a space of so many points that have been has no other one.
// With conditions it may say no where the answer is yes.
func (s *Space) exhausted(been int) bool {
	n := s.Cardinality()
	return n > 0 && been >= n
}

// key is equal for equal points.
func (x Point) key() string {
	b := make([]byte, 0, 8*len(x))
	for _, v := range x {
		bits := math.Float64bits(v)
		if math.IsNaN(v) {
			bits = math.MaxUint64
		}
		b = append(b, byte(bits>>56), byte(bits>>48), byte(bits>>40), byte(bits>>32), byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits))
	}
	return string(b)
}

// been are the points of a history. Of a space with uncountably many it is nil: there
// a point hardly comes twice.
func (q *Query) been() map[string]bool {
	for i := range q.Space.Parameters {
		if q.Space.Parameters[i].Cardinality() == 0 {
			return nil
		}
	}
	out := make(map[string]bool, len(q.History))
	for i := range q.History {
		out[q.History[i].Point.key()] = true
	}
	return out
}
