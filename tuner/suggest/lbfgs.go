package suggest

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// boxLBFGS minimizes a smooth function over a box by a projected L-BFGS method: the
// quasi-Newton step is taken in the coordinates that are not held at a bound, the line
// search follows the projection of the path (Bertsekas 1982; Nocedal and Wright 2006,
// chapters 7 and 16). f returns the value and fills the gradient; a value of NaN or
// +Inf makes the step shorter. x is moved in place; the value there is returned.
type boxLBFGS struct {
	lo, hi []float64
	memory int     // pairs kept; 8
	limit  int     // iterations at most
	tol    float64 // ends when the projected gradient is below, in the maximum norm
}

func (m *boxLBFGS) minimize(x []float64, f func(x, g []float64) float64) float64 {
	d := len(x)
	g, next, nextG, dir := make([]float64, d), make([]float64, d), make([]float64, d), make([]float64, d)
	m.clip(x)
	v := f(x, g)
	var pairs []lbfgsPair
	for it := 0; it < m.limit && !math.IsNaN(v) && m.slope(x, g) > m.tol; it++ {
		m.direction(x, g, pairs, dir)
		step, ok := 1.0, false
		if len(pairs) == 0 {
			step = math.Min(1, 0.5/math.Max(floats.Norm(dir, 2), 1e-300))
		}
		var nv float64
		for range 25 {
			floats.AddScaledTo(next, x, step, dir)
			m.clip(next)
			nv = f(next, nextG)
			fall := 0.0
			for j := range x {
				fall += g[j] * (next[j] - x[j])
			}
			if nv <= v+1e-4*fall && fall < 0 {
				ok = true
				break
			}
			step *= 0.4
		}
		if !ok {
			if len(pairs) == 0 {
				break
			}
			pairs = nil // the curvature misled: go on from the gradient alone
			continue
		}
		pairs = m.keep(pairs, x, next, g, nextG)
		gain := v - nv
		copy(x, next)
		copy(g, nextG)
		v = nv
		if gain < 1e-9*(1+math.Abs(v)) {
			break
		}
	}
	return v
}

// lbfgsPair is one step and the change of the gradient along it.
type lbfgsPair struct {
	s, y []float64
	rho  float64
}

func (m *boxLBFGS) keep(pairs []lbfgsPair, x, next, g, nextG []float64) []lbfgsPair {
	p := lbfgsPair{s: make([]float64, len(x)), y: make([]float64, len(x))}
	floats.SubTo(p.s, next, x)
	floats.SubTo(p.y, nextG, g)
	sy := floats.Dot(p.s, p.y)
	if sy <= 1e-10*floats.Norm(p.s, 2)*floats.Norm(p.y, 2) {
		return pairs
	}
	p.rho = 1 / sy
	if len(pairs) == max(m.memory, 8) {
		pairs = pairs[1:]
	}
	return append(pairs, p)
}

// direction is the quasi-Newton step, zero along what a bound holds.
func (m *boxLBFGS) direction(x, g []float64, pairs []lbfgsPair, dir []float64) {
	for j := range dir {
		dir[j] = -g[j]
	}
	m.hold(x, g, dir)
	a := make([]float64, len(pairs))
	for i := len(pairs) - 1; i >= 0; i-- {
		a[i] = pairs[i].rho * floats.Dot(pairs[i].s, dir)
		floats.AddScaled(dir, -a[i], pairs[i].y)
	}
	if n := len(pairs); n > 0 {
		floats.Scale(1/(pairs[n-1].rho*floats.Dot(pairs[n-1].y, pairs[n-1].y)), dir)
	}
	for i, p := range pairs {
		floats.AddScaled(dir, a[i]-p.rho*floats.Dot(p.y, dir), p.s)
	}
	m.hold(x, g, dir)
	if floats.Dot(dir, g) >= 0 {
		for j := range dir {
			dir[j] = -g[j]
		}
		m.hold(x, g, dir)
	}
}

func (m *boxLBFGS) hold(x, g, dir []float64) {
	for j := range dir {
		if x[j] <= m.lo[j] && g[j] > 0 || x[j] >= m.hi[j] && g[j] < 0 {
			dir[j] = 0
		}
	}
}

func (m *boxLBFGS) clip(x []float64) {
	for j := range x {
		x[j] = math.Max(m.lo[j], math.Min(x[j], m.hi[j]))
	}
}

// slope is the largest part of the gradient along which x can still move.
func (m *boxLBFGS) slope(x, g []float64) float64 {
	s := 0.0
	for j := range x {
		if x[j] <= m.lo[j] && g[j] > 0 || x[j] >= m.hi[j] && g[j] < 0 {
			continue
		}
		s = math.Max(s, math.Abs(g[j]))
	}
	return s
}
