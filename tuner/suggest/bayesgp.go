package suggest

import (
	"math"
	"slices"
)

// Up to how many observations the kernel's parameters are fitted to, and how many the
// process is then conditioned on. Above, a subset stands for all: see subset.
const (
	gpFitLimit  = 140
	gpDataLimit = 250
)

// gpModel is what the acquisition functions of a Gaussian process see.
type gpModel struct {
	loss     *gaussianProcess
	best     float64          // the loss to beat, in the process' units
	some     bool             // there is a feasible observation
	permit   *gaussianProcess // of the classes feasible (-1) and not (1), standardized; nil: all are feasible
	boundary float64          // between the two classes
}

// newGPModel fits a process to the losses, and another to where trials failed or
// violated constraints. Running trials are taken to end as the process expects (the
// "believer" of Ginsbourger and others 2010), so that trials at once spread out.
func newGPModel(cat []bool, d *bayesData) *gpModel {
	m := &gpModel{best: math.Inf(1)}
	y := standardize(d.losses)
	order := d.best(len(d.x))
	small := subset(cat, d.x, order, gpFitLimit)
	h := fitGP(cat, pick(d.x, small), pick(y, small))
	large := subset(cat, d.x, order, gpDataLimit)
	x, values := pick(d.x, large), pick(y, large)
	g := newGP(h, cat, x, values)
	t := g.scratch()
	for i, k := range large {
		if mu, _ := g.predict(x[i], t); d.feasible[k] {
			m.best, m.some = math.Min(m.best, mu), true
		}
	}
	if len(d.running) > 0 {
		for _, z := range d.running {
			mu, _ := g.predict(z, t)
			x, values = append(x, z), append(values, mu)
			m.best = math.Min(m.best, mu) // else what is running would still seem an improvement
		}
		g = newGP(h, cat, x, values)
	}
	m.loss = g
	m.classify(cat, d)
	return m
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
	t, part := m.loss.scratch(), make([]float64, m.loss.d)
	var tp *scratch
	if m.permit != nil {
		tp = m.permit.scratch()
	}
	return func(z, grad []float64) float64 {
		v := 0.0
		clear(grad)
		if m.some || m.permit == nil {
			mu, variance := m.loss.predict(z, t)
			sd := math.Sqrt(variance)
			a, dMu, dSD := f(mu, sd, m.best)
			v = a
			if grad != nil {
				m.loss.slope(z, t, dMu, dSD/(2*sd), grad)
			}
		}
		if m.permit == nil {
			return v
		}
		mu, variance := m.permit.predict(z, tp)
		sd := math.Sqrt(variance + m.permit.noise)
		lp, slope := logCumulative((m.boundary - mu) / sd)
		if grad != nil {
			m.permit.slope(z, tp, -slope/sd, -slope*(m.boundary-mu)/(2*sd*sd*sd), part)
			for j := range grad {
				grad[j] += part[j]
			}
		}
		return v + lp
	}
}

func (m *gpModel) expect(z []float64) float64 {
	mu, _ := m.loss.predict(z, m.loss.scratch())
	return mu
}

// reach is the length scale of each coordinate, within reason.
func (m *gpModel) reach() []float64 {
	r := make([]float64, m.loss.d)
	for j, w := range m.loss.w {
		r[j] = math.Max(0.01, math.Min(1/math.Sqrt(w), 2))
	}
	return r
}
