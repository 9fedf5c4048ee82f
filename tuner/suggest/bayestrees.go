package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// treeDataLimit is how many observations trees are grown on; above, a subset stands for
// all: see subset.
const treeDataLimit = 1000

// treeModel is what the acquisition functions of trees see. Trials that failed or
// violate constraints count as the worst loss.
type treeModel struct {
	regressor
	best float64
}

func (b *bayes) newTreeModel(e *embedding, d *bayesData, rng *rand.Rand) *treeModel {
	cat := categories(e)
	at := subset(cat, d.x, d.best(len(d.x)), treeDataLimit)
	y := pick(standardize(d.losses), at)
	x := pick(d.x, at)
	worst := slices.Max(y)
	for i, k := range at {
		if !d.feasible[k] {
			y[i] = worst
		}
	}
	m := &treeModel{best: slices.Min(y)}
	for _, z := range d.failed {
		x, y = append(x, z), append(y, worst)
	}
	m.regressor = b.grow(e, x, y, rng)
	if len(d.running) > 0 {
		for _, z := range d.running {
			mu, _ := m.predict(z)
			x, y = append(x, z), append(y, mu)
		}
		m.regressor = b.grow(e, x, y, rng)
	}
	return m
}

func (b *bayes) grow(e *embedding, x [][]float64, y []float64, rng *rand.Rand) regressor {
	r := treeRule{cat: categories(e), leaf: 1}
	for j := range e.axes {
		r.card = append(r.card, e.axes[j].card)
	}
	switch b.estimator {
	case "RF":
		return growForest(r, x, y, rng)
	case "ET":
		r.random = true
		return growForest(r, x, y, rng)
	}
	return boost(r, x, y, rng)
}

// value is an acquisition function as an acqSearch wants it; trees have no gradient.
func (m *treeModel) value(f acquisition) func(z, grad []float64) float64 {
	return func(z, _ []float64) float64 {
		mu, sd := m.predict(z)
		v, _, _ := f(mu, sd, m.best)
		return v
	}
}

func (m *treeModel) expect(z []float64) float64 {
	mu, _ := m.predict(z)
	return mu
}

// sampleQuantile is a quantile of values by linear interpolation, as numpy's.
func sampleQuantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(math.Floor(at))
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
