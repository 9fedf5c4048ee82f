package suggest

import (
	"math"
	"math/rand/v2"
)

// keepMargin is the correction of CMA-ES with Margin (Hamano 2022, section 4): an axis
// with steps must leave the cell of its mean with a probability of at least alpha,
// 1/(d*lambda), or it would be stuck as soon as the deviation is small against a step.
func (s *cmaDistribution) keepMargin(c *cmaCoding) {
	alpha := 1 / float64(s.d*s.lambda)
	for i := range c.axes {
		a := &c.axes[i]
		if !a.cells {
			continue
		}
		sd := s.deviation(i)
		low, high := a.edges(a.value(s.mean[i]))
		if math.IsInf(low, -1) || math.IsInf(high, 1) {
			// At the end of the range the mean moves towards the only edge.
			reach := sd * cmaQuantile(1-alpha)
			if math.IsInf(high, 1) {
				s.mean[i] = math.Min(s.mean[i], low+reach)
			} else {
				s.mean[i] = math.Max(s.mean[i], high-reach)
			}
			continue
		}
		below, above := phi((low-s.mean[i])/sd), 1-phi((high-s.mean[i])/sd)
		if below >= alpha/2 && above >= alpha/2 {
			continue
		}
		// Both sides get their least; what that takes comes from the middle and the larger side.
		b, t := math.Max(below, alpha/2), math.Max(above, alpha/2)
		rest := 1 - below - above
		if extra := b + t + rest - 1; extra > 0 {
			over := b + t + rest - 3*alpha/2
			b, t = b-extra*(b-alpha/2)/over, t-extra*(t-alpha/2)/over
		}
		zb, zt := cmaQuantile(1-b), cmaQuantile(1-t)
		if zb+zt < 1e-9 {
			continue
		}
		s.margin[i] *= (high - low) / (zb + zt) / sd
		s.mean[i] = (low*zt + high*zb) / (zb + zt)
	}
}

// unround draws where in its cell a value lay before it was rounded: from the
// distribution, as far as it lies in the cell. The history knows values alone, and the
// value's own place would let the deviation collapse.
func (s *cmaDistribution) unround(c *cmaCoding, p cmaPoint, rng *rand.Rand) []float64 {
	x := append([]float64(nil), p.box...)
	for i := range c.axes {
		a := &c.axes[i]
		if u := rng.Float64(); a.cells && !math.IsNaN(x[i]) {
			sd := s.deviation(i)
			low, high := a.edges(p.point[a.at])
			from, to := phi((low-s.mean[i])/sd), phi((high-s.mean[i])/sd)
			if to-from > 1e-9 {
				v := s.mean[i] + sd*cmaQuantile(from+u*(to-from))
				x[i] = math.Max(math.Max(low, 0), math.Min(v, math.Min(high, 1)))
			}
		}
	}
	return x
}

// cmaQuantile is the inverse of phi.
func cmaQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
