package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Up to how many observations the kernel's parameters are fitted to, and how many the
// process is then conditioned on. Above, a subset stands for all: see subset.
const (
	gpFitLimit  = 140
	gpDataLimit = 250
	gpDraws     = 4 // kernels beside the best one, see newGPModel
)

// gpModel is what the acquisition functions of Gaussian processes see: the process of
// the best kernel, and some with kernels drawn from the posterior.
type gpModel struct {
	kernels  []gpKernel
	some     bool             // there is a feasible observation
	permit   *gaussianProcess // of the classes feasible (-1) and not (1), standardized; nil: all are feasible
	boundary float64          // between the two classes
}

// gpKernel is the process with one kernel.
type gpKernel struct {
	*gaussianProcess
	best float64 // the loss to beat, in the process' units
}

// newGPModel fits processes to the losses, and another to where trials failed or
// violated constraints. Every other proposal goes by the best kernel alone, which
// comes nearer to an optimum; the others keep it from being stuck with a wrong one.
func newGPModel(cat []bool, d *bayesData, rng *rand.Rand) *gpModel {
	m := &gpModel{some: slices.Contains(d.feasible, true)}
	y := standardize(d.losses)
	order := d.best(len(d.x))
	small, large := subset(cat, d.x, order, gpFitLimit), subset(cat, d.x, order, gpDataLimit)
	draws := gpDraws
	if len(d.x) > gpFitLimit || (len(d.x)+len(d.running)+len(d.failed))%2 == 1 {
		draws = 0
	}
	x, values, feasible := pick(d.x, large), pick(y, large), pick(d.feasible, large)
	for _, h := range sampleGP(cat, pick(d.x, small), pick(y, small), draws, rng) {
		m.kernels = append(m.kernels, condition(h, cat, x, values, feasible, d.running))
	}
	m.classify(cat, d)
	return m
}

// condition makes a process of a kernel. Running trials are taken to end as the process
// expects (the "believer" of Ginsbourger and others 2010), so that trials at once
// spread out. The loss to beat is the lowest that the process expects at a trial, which
// noise has less part in than in the lowest observed one.
func condition(h hyper, cat []bool, x [][]float64, y []float64, feasible []bool, running [][]float64) gpKernel {
	k := gpKernel{newGP(h, cat, x, y), math.Inf(1)}
	t := k.scratch()
	for i := range x {
		if feasible[i] {
			mu, _ := k.predict(x[i], t)
			k.best = math.Min(k.best, mu)
		}
	}
	if len(running) == 0 {
		return k
	}
	x, y = slices.Clip(x), slices.Clip(y)
	for _, z := range running {
		mu, _ := k.predict(z, t)
		x, y = append(x, z), append(y, mu)
		k.best = math.Min(k.best, mu) // else what is running would still seem an improvement
	}
	k.gaussianProcess = newGP(h, cat, x, y)
	return k
}

// classify models where trials end well, as in Gelbart and others (2014).
func (m *gpModel) classify(cat []bool, d *bayesData) {
	if len(d.failed) == 0 && !slices.Contains(d.feasible, false) {
		return
	}
	var x [][]float64
	var y []float64
	for i := len(d.failed) - 1; i >= 0; i-- {
		x, y = append(x, d.failed[i]), append(y, 1)
	}
	for i := len(d.x) - 1; i >= 0; i-- {
		class := 1.0
		if d.feasible[i] {
			class = -1
		}
		x, y = append(x, d.x[i]), append(y, class)
	}
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	at := subset(cat, x, order, gpFitLimit)
	x, y = pick(x, at), pick(y, at)
	mean := 0.0
	for _, v := range y {
		mean += v / float64(len(y))
	}
	sd := math.Sqrt(math.Max(1-mean*mean, 1e-3))
	for i := range y {
		y[i] = (y[i] - mean) / sd
	}
	m.boundary = -mean / sd
	m.permit = newGP(fitGP(cat, x, y), cat, x, y)
}

// value is an acquisition function with its gradient as an acqSearch wants it. It adds
// the logarithm of the probability that a point is feasible (Gardner and others 2014).
func (m *gpModel) value(f acquisition) func(z, grad []float64) float64 {
	parts := make([]func(z, grad []float64) float64, len(m.kernels))
	for i := range parts {
		parts[i] = m.kernels[i].value(f)
	}
	loss := averaged(parts, m.kernels[0].d)
	if m.permit == nil {
		return loss
	}
	permit, part := m.permitted(), make([]float64, m.permit.d)
	return func(z, grad []float64) float64 {
		if !m.some {
			return permit(z, grad)
		}
		v := loss(z, grad)
		if grad == nil {
			return v + permit(z, nil)
		}
		v += permit(z, part)
		for j := range grad {
			grad[j] += part[j]
		}
		return v
	}
}

// value is an acquisition function of one process.
func (k gpKernel) value(f acquisition) func(z, grad []float64) float64 {
	t := k.scratch()
	return func(z, grad []float64) float64 {
		mu, variance := k.predict(z, t)
		sd := math.Sqrt(variance)
		v, dMu, dSD := f(mu, sd, k.best)
		news, dNews := newNews(sd, k.noise-noiseFloor+1e-13) // the floor is for rounding, it is no noise
		if grad != nil {
			k.slope(z, t, dMu, (dSD+dNews)/(2*sd), grad)
		}
		return v + news
	}
}

// averaged is the logarithm of the mean of functions given as logarithms.
func averaged(parts []func(z, grad []float64) float64, d int) func(z, grad []float64) float64 {
	if len(parts) == 1 {
		return parts[0]
	}
	values, slopes := make([]float64, len(parts)), make([]float64, len(parts)*d)
	return func(z, grad []float64) float64 {
		top := math.Inf(-1)
		for i, p := range parts {
			if grad == nil {
				values[i] = p(z, nil)
			} else {
				values[i] = p(z, slopes[i*d:(i+1)*d])
			}
			top = math.Max(top, values[i])
		}
		sum := 0.0
		for _, v := range values {
			sum += math.Exp(v - top)
		}
		clear(grad)
		for i, v := range values {
			w := math.Exp(v-top) / sum
			for j := range grad {
				grad[j] += w * slopes[i*d+j]
			}
		}
		return top + math.Log(sum/float64(len(parts)))
	}
}

// permitted is the logarithm of the probability that a point is feasible.
func (m *gpModel) permitted() func(z, grad []float64) float64 {
	t := m.permit.scratch()
	return func(z, grad []float64) float64 {
		mu, variance := m.permit.predict(z, t)
		sd := math.Sqrt(variance + m.permit.noise)
		v, slope := logCumulative((m.boundary - mu) / sd)
		if grad != nil {
			m.permit.slope(z, t, -slope/sd, -slope*(m.boundary-mu)/(2*sd*sd*sd), grad)
		}
		return v
	}
}

func (m *gpModel) expect(z []float64) float64 {
	mu, _ := m.kernels[0].predict(z, m.kernels[0].scratch())
	return mu
}

// reach is the length scale of each coordinate, within reason.
func (m *gpModel) reach() []float64 {
	r := make([]float64, m.kernels[0].d)
	for j, w := range m.kernels[0].w {
		r[j] = math.Max(0.01, math.Min(1/math.Sqrt(w), 2))
	}
	return r
}
