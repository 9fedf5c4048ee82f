package suggest

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// cmaDistribution is the strategy's normal distribution over the d axes: x = mean +
// sigma * margin * B * D * z with z standard normal. Names are those of Hansen 2016,
// matrices are d*d, row by row.
type cmaDistribution struct {
	d, lambda, mu          int
	weights                []float64 // lambda long, the best member's first; negative from mu on
	muEff                  float64
	cc, cs, c1, cmu, damps float64
	chi                    float64 // the expected length of z

	mean   []float64
	sigma  float64
	c      []float64
	b, dd  []float64 // c = B * diag(dd^2) * B'
	pc, ps []float64
	margin []float64 // of Hamano 2022: stretches axes that have steps
	gen    int
}

func newCMADistribution(d, lambda int, mean []float64, sigma float64) *cmaDistribution {
	n := float64(d)
	s := &cmaDistribution{d: d, lambda: lambda, mu: lambda / 2, mean: mean, sigma: sigma,
		c: make([]float64, d*d), b: make([]float64, d*d), dd: make([]float64, d), margin: make([]float64, d),
		pc: make([]float64, d), ps: make([]float64, d), weights: make([]float64, lambda)}
	for i := range d {
		s.c[i*d+i], s.b[i*d+i], s.dd[i], s.margin[i] = 1, 1, 1, 1
	}
	s.chi = math.Sqrt(n) * (1 - 1/(4*n) + 1/(21*n*n))
	if d > 0 {
		s.weigh(n)
	}
	return s
}

// weigh sets the weights and learning rates of Hansen 2016, table 1.
func (s *cmaDistribution) weigh(n float64) {
	var plus, plus2, minus, minus2 float64
	for i := range s.weights {
		w := math.Log(float64(s.lambda+1)/2) - math.Log(float64(i+1))
		if s.weights[i] = w; i < s.mu {
			plus, plus2 = plus+w, plus2+w*w
		} else {
			minus, minus2 = minus+w, minus2+w*w
		}
	}
	s.muEff = plus * plus / plus2
	s.cc = (4 + s.muEff/n) / (n + 4 + 2*s.muEff/n)
	s.cs = (s.muEff + 2) / (n + s.muEff + 5)
	s.c1 = 2 / ((n+1.3)*(n+1.3) + s.muEff)
	s.cmu = math.Min(1-s.c1, 2*(0.25+s.muEff+1/s.muEff-2)/((n+2)*(n+2)+s.muEff))
	s.damps = 1 + 2*math.Max(0, math.Sqrt((s.muEff-1)/(n+1))-1) + s.cs
	negative := math.Min(1+s.c1/s.cmu, math.Min(1+2*(minus*minus/minus2)/(s.muEff+2), (1-s.c1-s.cmu)/(n*s.cmu)))
	for i := range s.weights {
		if i < s.mu {
			s.weights[i] /= plus
		} else {
			s.weights[i] *= negative / math.Abs(minus)
		}
	}
}

// sample draws a point, its deviation wide times what it is. What falls out of the box
// is drawn again a few times, then moved to the edge.
func (s *cmaDistribution) sample(rng *rand.Rand, wide float64) []float64 {
	x, z := make([]float64, s.d), make([]float64, s.d)
	for try := range 6 {
		for i := range z {
			z[i] = s.dd[i] * rng.NormFloat64()
		}
		out := false
		for i := range x {
			y := 0.0
			for j, v := range z {
				y += s.b[i*s.d+j] * v
			}
			x[i] = s.mean[i] + wide*s.sigma*s.margin[i]*y
			out = out || x[i] < 0 || x[i] > 1
		}
		if !out || try == 5 {
			break
		}
	}
	for i := range x {
		x[i] = math.Max(0, math.Min(x[i], 1))
	}
	return x
}

// whiten is C^(-1/2) y, and its length.
func (s *cmaDistribution) whiten(y []float64) (w []float64, length float64) {
	t := make([]float64, s.d)
	for j := range t {
		for i, v := range y {
			t[j] += s.b[i*s.d+j] * v
		}
		length += t[j] / s.dd[j] * (t[j] / s.dd[j])
		t[j] /= s.dd[j]
	}
	w = make([]float64, s.d)
	for i := range w {
		for j, v := range t {
			w[i] += s.b[i*s.d+j] * v
		}
	}
	return w, math.Sqrt(length)
}

// update moves the distribution to a generation: lambda points of the box, the best
// first. An axis that is NaN in a point has no say.
func (s *cmaDistribution) update(members [][]float64) {
	d, n := s.d, float64(s.d)
	s.gen++
	longest := math.Sqrt(n) + 2*n/(n+2) // what is injected may be anywhere: Hansen 2011
	ys, lengths := make([][]float64, s.lambda), make([]float64, s.lambda)
	step := make([]float64, d)
	for k, x := range members {
		y := make([]float64, d)
		for i, v := range x {
			if !math.IsNaN(v) {
				y[i] = (v - s.mean[i]) / (s.sigma * s.margin[i])
			}
		}
		_, lengths[k] = s.whiten(y)
		if lengths[k] > longest {
			for i := range y {
				y[i] *= longest / lengths[k]
			}
			lengths[k] = longest
		}
		if ys[k] = y; k < s.mu {
			for i, v := range y {
				step[i] += s.weights[k] * v
			}
		}
	}
	white, _ := s.whiten(step)
	norm := 0.0
	for i := range d {
		s.mean[i] = math.Max(0, math.Min(s.mean[i]+s.sigma*s.margin[i]*step[i], 1))
		s.ps[i] = (1-s.cs)*s.ps[i] + math.Sqrt(s.cs*(2-s.cs)*s.muEff)*white[i]
		norm += s.ps[i] * s.ps[i]
	}
	norm = math.Sqrt(norm)
	moving := 0.0
	if norm/math.Sqrt(1-math.Pow(1-s.cs, 2*float64(s.gen)))/s.chi < 1.4+2/(n+1) {
		moving = 1
	}
	for i := range d {
		s.pc[i] = (1-s.cc)*s.pc[i] + moving*math.Sqrt(s.cc*(2-s.cc)*s.muEff)*step[i]
	}
	s.adapt(ys, lengths, moving)
	s.sigma *= math.Exp(math.Min(1, s.cs/s.damps*(norm/s.chi-1)))
	s.decompose()
}

// adapt is the rank-one and rank-mu update of the covariance.
func (s *cmaDistribution) adapt(ys [][]float64, lengths []float64, moving float64) {
	d, n := s.d, float64(s.d)
	sum, w := 0.0, make([]float64, s.lambda)
	for k, v := range s.weights {
		sum += v
		if w[k] = v; v < 0 {
			w[k] *= n / math.Max(lengths[k]*lengths[k], 1e-8)
		}
	}
	keep := 1 + s.c1*(1-moving)*s.cc*(2-s.cc) - s.c1 - s.cmu*sum
	for i := range d {
		for j := range i + 1 {
			v := keep*s.c[i*d+j] + s.c1*s.pc[i]*s.pc[j]
			for k, y := range ys {
				v += s.cmu * w[k] * y[i] * y[j]
			}
			s.c[i*d+j], s.c[j*d+i] = v, v
		}
	}
}

// decompose renews B and D. A covariance that can't be one any more starts again as
// the unit matrix.
func (s *cmaDistribution) decompose() {
	var eigen mat.EigenSym
	var vectors mat.Dense
	ok := eigen.Factorize(mat.NewSymDense(s.d, append([]float64(nil), s.c...)), true)
	if ok {
		eigen.Values(s.dd)
		eigen.VectorsTo(&vectors)
		copy(s.b, vectors.RawMatrix().Data)
		ok = s.dd[0] > 0 && s.dd[s.d-1] < 1e14*s.dd[0] && !math.IsInf(s.dd[s.d-1], 1)
	}
	s.sigma = math.Max(1e-9, math.Min(s.sigma, 1e3))
	if !ok || math.IsNaN(s.sigma) {
		fresh := newCMADistribution(s.d, s.lambda, s.mean, s.sigma)
		if math.IsNaN(s.sigma) {
			fresh.sigma = 1.0 / 6
		}
		*s = *fresh
		return
	}
	for i, v := range s.dd {
		s.dd[i] = math.Sqrt(v)
	}
}

// deviation is the standard deviation along an axis.
func (s *cmaDistribution) deviation(i int) float64 {
	return s.sigma * s.margin[i] * math.Sqrt(s.c[i*s.d+i])
}
