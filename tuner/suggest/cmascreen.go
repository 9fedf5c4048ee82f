package suggest

import (
	"math"
	"slices"
)

const (
	cmaScreenFrom  = 4  // observations before the first draw is screened
	cmaScreenDraws = 60 // draws of which one is proposed
	cmaMemory      = 80 // newest observations that the process knows
	cmaFitted      = 50 // and those by which its scales are chosen
)

// cmaScale is the process' kernel: exp(-r²/(2 length²) - differing categories * apart), and the noise's
// share of the variance.
type cmaScale struct{ length, apart, noise float64 }

// cmaPool is how many points are to be drawn with n trials in the history.
func cmaPool(n int) int {
	if n < cmaScreenFrom {
		return 1
	}
	return cmaScreenDraws
}

// cmaFeature is a point as the process sees it: the axes whitened by the covariance.
type cmaFeature struct {
	x       []float64
	classes []int
}

func (r *cmaRun) feature(p cmaPoint) cmaFeature {
	s := r.s
	f := cmaFeature{make([]float64, s.d), p.classes}
	size := 0.0
	for _, v := range s.dd {
		size += math.Log(v)
	}
	size = math.Exp(size / math.Max(1, float64(s.d)))
	for i, v := range p.box {
		if math.IsNaN(v) {
			continue
		}
		y := v - s.mean[i]
		for j := range f.x {
			f.x[j] += s.b[i*s.d+j] * y
		}
	}
	for j := range f.x {
		f.x[j] *= size / s.dd[j]
	}
	return f
}

func (k cmaScale) of(a, b *cmaFeature) float64 {
	r := 0.0
	for i, v := range a.x {
		r += (v - b.x[i]) * (v - b.x[i])
	}
	e := r / (2 * k.length * k.length)
	for i, c := range a.classes {
		if c != b.classes[i] {
			e += k.apart
		}
	}
	return math.Exp(-e)
}

// best is the place in the pool of the point with the highest expected improvement, or
// the lowest expected loss, in turn.
func (r *cmaRun) best(pool []cmaPoint, q *Query) int {
	trials, running := r.observed(q, cmaMemory)
	if len(pool) < 2 || len(trials) < cmaScreenFrom {
		return 0
	}
	g := cmaFit(r.features(trials), cmaScores(trials), r.scales(q), r.features(running))
	best, most := 0, math.Inf(-1)
	for i := range pool {
		f := r.feature(r.coding.code(pool[i].point))
		m, v := g.predict(&f)
		value := cmaLogEI((g.lowest-m)/math.Sqrt(v)) + 0.5*math.Log(v)
		if len(q.History)%2 == 0 { // every second trial: what is expected to be lowest
			value = -m
		}
		if value > most {
			best, most = i, value
		}
	}
	return best
}

// observed are the newest trials that have ended, up to so many, and those that run.
func (r *cmaRun) observed(q *Query, most int) (trials, running []*Trial) {
	for i := len(q.History) - 1; i >= 0 && len(trials) < most; i-- {
		if t := &q.History[i]; t.State == Running {
			running = append(running, t)
		} else {
			trials = append(trials, t)
		}
	}
	return trials, running
}

func (r *cmaRun) features(trials []*Trial) []cmaFeature {
	out := make([]cmaFeature, len(trials))
	for i, t := range trials {
		out[i] = r.feature(r.coding.code(t.Point))
	}
	return out
}

// scales are fitted once for each generation, to the trials before it. Until the first
// has ended they are fitted for every proposal.
func (r *cmaRun) scales(q *Query) cmaScale {
	if r.fitted && r.next > 0 {
		return r.scale
	}
	before := *q
	if r.next > 0 {
		before.History = q.History[:r.next]
	}
	trials, _ := r.observed(&before, cmaFitted)
	r.fitted, r.scale = true, cmaFitScale(r.features(trials), cmaScores(trials))
	return r.scale
}

// cmaLogEI is the logarithm of the expected improvement of a standard normal by z.
func cmaLogEI(z float64) float64 {
	if z > -5 {
		return math.Log(z*phi(z) + math.Exp(-z*z/2)/math.Sqrt(2*math.Pi))
	}
	return -z*z/2 - 0.5*math.Log(2*math.Pi) - 2*math.Log(-z)
}

// cmaScores are normal scores of the trials' ranks: the expected place of each in a
// sorted sample of a standard normal. Equals share theirs.
func cmaScores(trials []*Trial) []float64 {
	order := make([]int, len(trials))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmaCompare(trials[i], trials[j]) })
	y, n := make([]float64, len(trials)), float64(len(trials))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && cmaCompare(trials[order[from]], trials[order[to]]) == 0 {
			to++
		}
		rank := float64(from+to+1) / 2
		for _, i := range order[from:to] {
			y[i] = cmaQuantile((rank - 0.375) / (n + 0.25))
		}
		from = to
	}
	return y
}

// cmaProcess is a fitted Gaussian process with mean 0.
type cmaProcess struct {
	k        cmaScale
	xs       []cmaFeature
	lower    []float64 // Cholesky factor, row by row
	alpha    []float64
	variance float64
	lowest   float64
}

func newCMAProcess(k cmaScale, xs []cmaFeature, y []float64) (g *cmaProcess, likelihood float64) {
	n := len(xs)
	g = &cmaProcess{k: k, xs: xs, lower: make([]float64, n*n), alpha: make([]float64, n)}
	for i := range n {
		for j := range i {
			g.lower[i*n+j] = k.of(&xs[i], &xs[j])
		}
		g.lower[i*n+i] = 1 + k.noise
	}
	logdet := 0.0
	for i := range n {
		row := g.lower[i*n : i*n+n]
		for j := range i + 1 {
			other := g.lower[j*n : j*n+n]
			v := row[j]
			for p := range j {
				v -= row[p] * other[p]
			}
			if i == j {
				row[i] = math.Sqrt(math.Max(v, 1e-10))
				logdet += math.Log(row[i])
			} else {
				row[j] = v / other[j]
			}
		}
	}
	square := 0.0
	for i := range n {
		v := y[i]
		for j := range i {
			v -= g.lower[i*n+j] * g.alpha[j]
		}
		g.alpha[i] = v / g.lower[i*n+i]
		square += g.alpha[i] * g.alpha[i]
	}
	for i := n - 1; i >= 0; i-- {
		g.alpha[i] /= g.lower[i*n+i]
		for j := range i {
			g.alpha[j] -= g.lower[i*n+j] * g.alpha[i]
		}
	}
	g.variance = math.Max(square/float64(n), 1e-6)
	return g, -0.5*float64(n)*math.Log(g.variance) - logdet
}

// predict is the mean and variance at a point, without the noise.
func (g *cmaProcess) predict(f *cmaFeature) (mean, variance float64) {
	n := len(g.xs)
	k := make([]float64, n)
	rest := 1.0
	for i := range g.xs {
		k[i] = g.k.of(f, &g.xs[i])
		mean += k[i] * g.alpha[i]
	}
	for i := range n {
		v := k[i]
		for j := range i {
			v -= g.lower[i*n+j] * k[j]
		}
		k[i] = v / g.lower[i*n+i]
		rest -= k[i] * k[i]
	}
	return mean, g.variance * math.Max(rest, 1e-9)
}

// cmaFitScale chooses the likeliest scales by the first observations.
func cmaFitScale(xs []cmaFeature, y []float64) cmaScale {
	n := min(len(xs), cmaFitted)
	xs, y = xs[:n], y[:n]
	var best cmaScale
	most := math.Inf(-1)
	aparts := []float64{0}
	if len(xs[0].classes) > 0 {
		aparts = []float64{0.1, 0.3, 1}
	}
	for _, length := range []float64{0.1, 0.2, 0.4, 0.8, 1.6} {
		for _, apart := range aparts {
			for _, noise := range []float64{1e-6, 1e-4, 1e-2, 0.1, 0.5} {
				k := cmaScale{length * math.Sqrt(math.Max(1, float64(len(xs[0].x)))), apart, noise}
				if _, l := newCMAProcess(k, xs, y); l > most {
					best, most = k, l
				}
			}
		}
	}
	return best
}

// cmaFit is the process with given scales. Points that still run are taken to come to
// what is expected of them, so that nothing more is to be learnt there (the "kriging
// believer" of Ginsbourger, Le Riche & Carraro 2010).
func cmaFit(xs []cmaFeature, y []float64, k cmaScale, running []cmaFeature) *cmaProcess {
	g, _ := newCMAProcess(k, xs, y)
	// The best expected loss where something was tried. At such a point it is what the noise
	// leaves of y: K alpha = y - noise alpha.
	lowest := math.Inf(1)
	for i := range xs {
		lowest = math.Min(lowest, y[i]-k.noise*g.alpha[i])
	}
	if len(running) > 0 {
		variance := g.variance
		for i := range running {
			m, _ := g.predict(&running[i])
			y = append(y, m)
		}
		g, _ = newCMAProcess(k, append(xs, running...), y)
		g.variance = variance
	}
	g.lowest = lowest
	return g
}
