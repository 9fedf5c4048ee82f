package suggest

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/floats"
)

// sampleGP draws k parameters of the kernel from their posterior, after the best ones.
// An acquisition function averaged over such does not take a guess at the kernel for
// certain while the trials are few (Snoek and others 2012, section 3.2). The draws are
// by elliptical slice sampling (Murray and others 2010), thinned.
func sampleGP(cat []bool, x [][]float64, y []float64, k int, rng *rand.Rand) []hyper {
	f := newGPFit(cat, x, y)
	t := f.maximize()
	out := []hyper{f.hyper(t)}
	if k == 0 {
		return out
	}
	mean := f.priorMean()
	at := make([]float64, len(t)) // of mean 0 by the prior
	floats.SubTo(at, t, mean)
	v := f.likelihood(t)
	for range k {
		for range sliceThin {
			v = f.slice(at, mean, v, rng)
		}
		floats.AddTo(t, at, mean)
		out = append(out, f.hyper(t))
	}
	return out
}

// sliceThin is how many steps lie between two draws.
const sliceThin = 6

// slice is a step of elliptical slice sampling from the point at, whose likelihood is
// v; it returns the one of the new point.
func (f *gpFit) slice(at, mean []float64, v float64, rng *rand.Rand) float64 {
	other := f.priorDraw(rng)
	bar := v - rng.ExpFloat64()
	angle := 2 * math.Pi * rng.Float64()
	lo, hi := angle-2*math.Pi, angle
	next, t := make([]float64, len(at)), make([]float64, len(at))
	for range 40 {
		sin, cos := math.Sincos(angle)
		for i := range at {
			next[i] = at[i]*cos + other[i]*sin
		}
		floats.AddTo(t, next, mean)
		if now := f.likelihood(t); now > bar {
			copy(at, next)
			return now
		}
		if angle < 0 {
			lo = angle
		} else {
			hi = angle
		}
		angle = lo + rng.Float64()*(hi-lo)
	}
	return v
}

// likelihood is the log marginal likelihood at t, but for a constant, with what the
// prior says beside normal distributions; -Inf outside the bounds of the fit.
func (f *gpFit) likelihood(t []float64) float64 {
	for j := range f.d {
		if t[j] < logWeightLo || t[j] > logWeightHi {
			return math.Inf(-1)
		}
	}
	if t[f.d+1] < math.Log(noiseFloor) || t[f.d+1] > 1 {
		return math.Inf(-1)
	}
	h := f.hyper(t)
	f.covariance(h)
	if !cholesky(f.k) {
		return math.Inf(-1)
	}
	v, u := -noiseRate*h.noise, f.alpha
	for i, row := range f.k {
		u[i] = (f.y[i] - floats.Dot(row[:i], u[:i])) / row[i]
		v -= u[i]*u[i]/2 + math.Log(row[i])
	}
	return v
}

func (f *gpFit) priorMean() []float64 {
	m := make([]float64, f.d+2)
	for j := range f.d {
		m[j] = f.meanW
	}
	m[f.d], m[f.d+1] = signalMean, noiseMean
	return m
}

// priorDraw is a draw from the prior, less its mean.
func (f *gpFit) priorDraw(rng *rand.Rand) []float64 {
	t, common := make([]float64, f.d+2), commonSD*rng.NormFloat64()
	for j := range f.d {
		t[j] = common + ownSD*rng.NormFloat64()
	}
	t[f.d], t[f.d+1] = signalSD*rng.NormFloat64(), noiseSD*rng.NormFloat64()
	return t
}
