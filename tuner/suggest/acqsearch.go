package suggest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// acqSearch looks for the point of a space with the highest value of an acquisition
// function. Values are only ever taken at points of the space: numbers on a grid are
// rounded before, not after (Garrido-Merchán and Hernández-Lobato 2020).
type acqSearch struct {
	e     *embedding
	rng   *rand.Rand
	value func(z, grad []float64) float64 // grad is nil where it is not asked for
	tried map[string]bool                 // points that are not to be proposed again
	known [][]float64                     // where they lie
	near  [][]float64                     // the best observed points, best first
	reach []float64                       // d: how far apart on an axis points tell of each other
	n     int                             // candidates drawn at random
	climb bool                            // local searches by gradient; false: candidates only
}

// scored is a vector and its acquisition value.
type scored struct {
	z []float64
	v float64
}

const (
	enumerated  = 4096 // spaces with at most so many points are searched whole
	localStarts = 8    // candidates, and
	nearStarts  = 2    // observed points that local searches start from
)

// run returns the best point that was not tried yet; if there is none, any that may
// be tried; nil if none was found.
func (s *acqSearch) run() Point {
	var list []scored
	if all := s.e.all(enumerated); all != nil {
		for _, z := range all {
			list = append(list, scored{z, s.value(z, nil)})
		}
	} else {
		list = s.candidates()
		if s.climb {
			list = append(list, s.searches(list)...)
		}
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(b.v, a.v) })
	for _, c := range list {
		if x := s.e.point(c.z); !s.tried[pointKey(x)] && !s.beside(c.z) {
			return x
		}
	}
	if len(list) == 0 {
		return nil
	}
	return s.e.point(list[0].z)
}

// beside says whether a vector is so near to a trial that nothing would be learnt.
func (s *acqSearch) beside(z []float64) bool {
	return slices.ContainsFunc(s.known, func(k []float64) bool {
		return floats.Distance(z, k, math.Inf(1)) < 1e-5
	})
}

// candidates are n points spread over the space and, before them, a quarter as many near
// the best ones: where a model has steps, its nearest points win a tie.
func (s *acqSearch) candidates() []scored {
	var list []scored
	add := func(z []float64) {
		if s.e.snap(z) {
			list = append(list, scored{z, s.value(z, nil)})
		}
	}
	if len(s.near) > 0 {
		for i := range s.n / 4 {
			add(s.perturb(s.near[i%len(s.near)], math.Pow(10, -2.5*s.rng.Float64())))
		}
	}
	nearby, spread := len(list), newKronecker(len(s.e.axes), s.rng)
	for i := 0; i < 20*s.n && len(list) < nearby+s.n; i++ {
		z := spread.next()
		for j := range z {
			z[j] = s.e.axes[j].at(z[j])
		}
		add(z)
	}
	return list
}

// perturb is a vector near z: some of its coordinates move by scale times their reach,
// categories to any other.
func (s *acqSearch) perturb(z []float64, scale float64) []float64 {
	z = slices.Clone(z)
	share := math.Max(0.3, 1/float64(len(z)))
	only := s.rng.IntN(len(z)) // at least one moves
	for j := range z {
		if move := s.rng.Float64() < share; !move && j != only {
			continue
		}
		a := &s.e.axes[j]
		switch {
		case a.fixed():
		case a.categorical():
			if s.rng.Float64() < 0.5 {
				z[j] = float64(s.rng.IntN(a.card))
			}
		default:
			d := s.rng.NormFloat64() * scale * math.Min(s.reach[j], 0.5)
			if a.card > 0 && math.Abs(d) < 1/float64(a.card) {
				d = math.Copysign(1/float64(a.card), d)
			}
			z[j] = math.Max(0, math.Min(z[j]+d, 1))
		}
	}
	return z
}

// searches starts local searches at the best candidate, at some drawn with chances by
// their values, and at the best observed points.
func (s *acqSearch) searches(list []scored) []scored {
	var starts []scored
	if len(list) > 0 {
		starts = s.roulette(list, localStarts)
	}
	for _, z := range s.near[:min(len(s.near), nearStarts)] {
		z = slices.Clone(z)
		if s.e.snap(z) {
			starts = append(starts, scored{z, s.value(z, nil)})
		}
	}
	for i := range starts {
		starts[i].z = slices.Clone(starts[i].z)
		s.ascend(&starts[i])
	}
	return starts
}

// roulette draws k of a list, the best one first, others with chances proportional to
// the exponential of their values.
func (s *acqSearch) roulette(list []scored, k int) []scored {
	best := slices.MaxFunc(list, func(a, b scored) int { return cmp.Compare(a.v, b.v) })
	out, drawn := []scored{best}, map[int]bool{}
	weights, total := make([]float64, len(list)), 0.0
	for i, c := range list {
		if c.v < best.v {
			weights[i] = math.Exp(c.v - best.v)
			total += weights[i]
		}
	}
	for range k - 1 {
		u := s.rng.Float64() * total
		for i, w := range weights {
			if u -= w; u < 0 && !drawn[i] {
				out, drawn[i] = append(out, list[i]), true
				break
			}
		}
	}
	return out
}

// ascend alternates gradient steps along smooth axes and trials of the values of all
// others, until neither finds better.
func (s *acqSearch) ascend(c *scored) {
	for range 10 {
		before := c.v
		s.gradient(c)
		s.grids(c)
		if c.v <= before+1e-6 {
			return
		}
	}
}

// gradient follows the gradient along smooth axes, each in units of its reach.
func (s *acqSearch) gradient(c *scored) {
	var free []int
	x := s.e.point(c.z)
	for j := range s.e.axes {
		if s.e.axes[j].smooth() && !math.IsNaN(x[j]) {
			free = append(free, j)
		}
	}
	if len(free) == 0 {
		return
	}
	z, full := slices.Clone(c.z), make([]float64, len(c.z))
	u, lo, hi := make([]float64, len(free)), make([]float64, len(free)), make([]float64, len(free))
	for i, j := range free {
		u[i], hi[i] = z[j]/s.reach[j], 1/s.reach[j]
	}
	m := &boxLBFGS{lo: lo, hi: hi, limit: 60, tol: 1e-4}
	put := func(u []float64) {
		for i, j := range free {
			z[j] = math.Min(u[i]*s.reach[j], 1)
		}
	}
	m.minimize(u, func(u, g []float64) float64 {
		put(u)
		v := s.value(z, full)
		for i, j := range free {
			g[i] = -full[j] * s.reach[j]
		}
		return -v
	})
	put(u)
	s.take(c, z)
}

// take moves c to the point nearest to z if that may be tried and is better.
func (s *acqSearch) take(c *scored, z []float64) bool {
	z = slices.Clone(z)
	if !s.e.snap(z) || floats.Equal(z, c.z) {
		return false
	}
	if v := s.value(z, nil); v > c.v {
		c.z, c.v = z, v
		return true
	}
	return false
}

// grids tries the other values of each axis that no gradient leads along: all of a
// category or a short grid, the next ones of a long one.
func (s *acqSearch) grids(c *scored) {
	for j := range s.e.axes {
		a := &s.e.axes[j]
		if a.fixed() || a.card == 0 {
			continue
		}
		if a.categorical() || a.card <= gridLimit {
			from := slices.Clone(c.z)
			for _, v := range a.grid() {
				z := slices.Clone(from)
				z[j] = v
				s.take(c, z)
			}
			continue
		}
		for step := 1.0; step < float64(a.card); step *= 2 {
			for _, d := range []float64{-step, step} {
				z := slices.Clone(c.z)
				z[j] += d / float64(a.card) // equal on the scale of the axis, rounded by take
				s.take(c, z)
			}
		}
	}
}

// kronecker is a sequence of low discrepancy in any dimension: multiples of irrational
// numbers, shifted at random (Roberts 2018, "The unreasonable effectiveness of
// quasirandom sequences").
type kronecker struct{ at, step []float64 }

func newKronecker(d int, rng *rand.Rand) *kronecker {
	root := 2.0
	for range 40 { // the positive root of x^(d+1) = x + 1
		root = math.Pow(1+root, 1/float64(d+1))
	}
	k := &kronecker{make([]float64, d), make([]float64, d)}
	for j := range d {
		k.at[j], k.step[j] = rng.Float64(), math.Pow(root, -float64(j+1))
	}
	return k
}

func (k *kronecker) next() []float64 {
	for j := range k.at {
		k.at[j] += k.step[j]
		k.at[j] -= math.Floor(k.at[j])
	}
	return slices.Clone(k.at)
}
