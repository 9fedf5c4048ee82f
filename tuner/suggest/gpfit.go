package suggest

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// Priors of the kernel's parameters; all are wide normal distributions of logarithms.
// The length scales share a part that is as uncertain as can be, and differ from each
// other by less: with ten trials the data tell how rough a loss is, not yet along which
// of ten axes, and a fit that believes they do runs into corners. Their mean grows with
// the square root of the dimension (Hvarfner and others 2024, "Vanilla Bayesian
// Optimization Performs Great in High Dimensions").
const (
	commonSD    = 2.0 // of log w, shared by all coordinates
	ownSD       = 0.6 // of log w, of one coordinate
	signalMean  = 0.7 // log of the variance of the signal
	signalSD    = 1.2
	noiseMean   = -9.0 // log of the variance of the noise, where the values have variance 1
	noiseSD     = 3.0
	noiseRate   = 15.0 // and its density falls by exp(-noiseRate × noise): "all is noise" explains any ten trials
	noiseFloor  = 1e-10
	fitSteps    = 60
	fitTol      = 1e-2
	logWeightLo = -9.0 // bounds of log w
	logWeightHi = 9.0
)

// gpFit is what a fit of the kernel's parameters needs: the squared differences of all
// pairs of observations, (n(n-1)/2) × d, and the values.
type gpFit struct {
	n, d   int
	y      []float64
	d2     []float64
	dk     []float64
	k, inv [][]float64
	kinv   [][]float64
	alpha  []float64
	meanW  float64 // mean of log w by the prior
}

// fitGP finds the parameters of the kernel of the highest posterior density given rows
// x (n × d) and standardized values y (n), from fixed starts, with the gradient of
// Rasmussen and Williams 2006, equation 5.9. O(n³ + n² d) for each of some 50 steps.
func fitGP(cat []bool, x [][]float64, y []float64) hyper {
	f := newGPFit(cat, x, y)
	return f.hyper(f.maximize())
}

// maximize returns the logarithms (log w, log s, log noise).
func (f *gpFit) maximize() []float64 {
	lo, hi := make([]float64, f.d+2), make([]float64, f.d+2)
	for j := range f.d {
		lo[j], hi[j] = logWeightLo, logWeightHi
	}
	lo[f.d], hi[f.d] = -5, 8
	lo[f.d+1], hi[f.d+1] = math.Log(noiseFloor), 1
	m := &boxLBFGS{lo: lo, hi: hi, limit: fitSteps, tol: fitTol}
	best, bestV := []float64(nil), math.Inf(1)
	for _, start := range [][3]float64{{0, 0, -7}, {2.5, 0, -2}} {
		t := make([]float64, f.d+2)
		for j := range f.d {
			t[j] = start[0] + f.meanW
		}
		t[f.d], t[f.d+1] = start[1], start[2]
		if v := m.minimize(t, f.loss); v < bestV || best == nil {
			best, bestV = t, v
		}
	}
	return best
}

func newGPFit(cat []bool, x [][]float64, y []float64) *gpFit {
	n, d := len(x), len(cat)
	f := &gpFit{n: n, d: d, y: y, meanW: -math.Log(float64(max(d, 1)))}
	f.d2 = make([]float64, 0, n*(n-1)/2*d)
	for i := range x {
		for j := range i {
			for c := range cat {
				t := x[i][c] - x[j][c]
				if cat[c] && t != 0 {
					t = 1
				}
				f.d2 = append(f.d2, t*t)
			}
		}
	}
	f.dk, f.alpha = make([]float64, n*(n-1)/2), make([]float64, n)
	f.k, f.inv, f.kinv = triangle(n), triangle(n), triangle(n)
	return f
}

func (f *gpFit) hyper(t []float64) hyper {
	h := hyper{w: make([]float64, f.d), s: math.Exp(t[f.d]), noise: math.Exp(t[f.d+1])}
	for j := range h.w {
		h.w[j] = math.Exp(t[j])
	}
	return h
}

// loss is the negative log posterior density at t = (log w, log s, log noise), but for
// a constant, and its gradient.
func (f *gpFit) loss(t, grad []float64) float64 {
	h := f.hyper(t)
	f.covariance(h)
	if !cholesky(f.k) {
		return math.Inf(1)
	}
	v := f.prior(t, grad) + noiseRate*h.noise
	for i := range f.n {
		v += math.Log(f.k[i][i])
	}
	invertLower(f.k, f.inv)
	clear(f.alpha)
	for i, row := range f.inv {
		u := floats.Dot(row, f.y[:i+1])
		v += u * u / 2
		floats.AddScaled(f.alpha[:i+1], u, row)
	}
	f.slope(h, grad)
	return v
}

func (f *gpFit) covariance(h hyper) {
	p := 0
	for i := range f.n {
		for j := range i {
			r2 := 0.0
			for c, v := range f.d2[p*f.d : (p+1)*f.d] {
				r2 += h.w[c] * v
			}
			k, dk := matern(r2)
			f.k[i][j], f.dk[p] = h.s*k, h.s*dk
			p++
		}
		f.k[i][i] = h.s + h.noise
	}
}

// slope adds the gradient of the likelihood: ½ tr((K⁻¹ - α αᵀ) ∂K/∂t).
func (f *gpFit) slope(h hyper, grad []float64) {
	for _, row := range f.kinv {
		clear(row)
	}
	for i, row := range f.inv {
		for a := range i + 1 {
			floats.AddScaled(f.kinv[a], row[a], row[:a+1])
		}
	}
	p, trace, total := 0, 0.0, -float64(f.n)
	gw := make([]float64, f.d)
	for i := range f.n {
		for j := range i {
			m := (f.kinv[i][j] - f.alpha[i]*f.alpha[j]) * f.dk[p]
			for c, v := range f.d2[p*f.d : (p+1)*f.d] {
				gw[c] += m * v
			}
			p++
		}
		trace += f.kinv[i][i] - f.alpha[i]*f.alpha[i]
		total += f.alpha[i] * f.y[i]
	}
	for c := range gw {
		grad[c] += gw[c] * h.w[c]
	}
	// tr((K⁻¹ - α αᵀ) K) is n - yᵀα, and K is the signal's part and the noise's.
	grad[f.d] += (-total - h.noise*trace) / 2
	grad[f.d+1] += h.noise*trace/2 + noiseRate*h.noise
}

// prior is the negative log density of the priors at t; it sets grad to its gradient.
func (f *gpFit) prior(t, grad []float64) float64 {
	v := 0.0
	add := func(i int, mean, sd float64) {
		z := (t[i] - mean) / sd
		v += z * z / 2
		grad[i] = z / sd
	}
	sum := 0.0
	for j := range f.d {
		sum += t[j] - f.meanW
	}
	const own, common = ownSD * ownSD, commonSD * commonSD
	pool := common / (own + float64(f.d)*common) * sum
	for j := range f.d {
		z := t[j] - f.meanW
		grad[j] = (z - pool) / own
		v += z * grad[j] / 2
	}
	add(f.d, signalMean, signalSD)
	add(f.d+1, noiseMean, noiseSD)
	return v
}
