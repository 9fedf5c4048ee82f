package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// mixture is a Parzen estimator: the density of trials over some axes as a weighted sum
// of products, one for each trial, with one factor for each axis: on [0, 1] a normal
// distribution cut off at the ends around the trial's value (for countable values: its
// mass on their cells), for categories one that puts most on the trial's. The last
// product is the prior: the parameters' own distributions.
type mixture struct {
	weights []float64 // of the products, 1 in all
	logs    []float64 // their logarithms
	columns []column
}

// column is one axis of a mixture, with one entry for each of its products.
type column struct {
	*axis
	kernels []kernel  // of numbers: the distinct ones, the uniform one first
	place   []int32   // and which of them a product has
	values  []float64 // of categories: the trial's, NaN where it has none
	hit     float64   // log mass of the trial's category
	miss    float64   // and of each other one
}

// shape is how a mixture's kernels come to their widths.
type shape struct {
	prior     float64 // weight of the prior beside a trial's 1
	magicClip bool    // kernels are not narrower than narrowest
	exponent  float64 // of narrowest
	endpoints bool    // the ends of the range are neighbours too
}

// newMixture makes the estimator of trials, by their weights and their points, over
// some of the space's axes.
func newMixture(axes []axis, at []int, points []Point, weights []float64, s shape) *mixture {
	m := &mixture{weights: append(slices.Clone(weights), s.prior)}
	sum := 0.0
	for _, w := range m.weights {
		sum += w
	}
	for i, w := range m.weights {
		m.weights[i] = w / sum
		m.logs = append(m.logs, math.Log(w/sum))
	}
	room := make([]uint64, 0, len(points))
	for _, i := range at {
		m.columns = append(m.columns, newColumn(&axes[i], i, points, s, room))
	}
	return m
}

func newColumn(a *axis, at int, points []Point, s shape, room []uint64) column {
	c := column{axis: a, values: make([]float64, len(points)+1)}
	for j, x := range points {
		c.values[j] = x[at]
	}
	c.values[len(points)] = math.NaN()
	if a.Kind == Categorical {
		spread := s.prior / float64(len(points)+1)
		whole := 1 + spread*float64(a.values)
		c.hit, c.miss = math.Log((1+spread)/whole), math.Log(spread/whole)
		return c
	}
	c.numbers(s, room)
	return c
}

// numbers makes the kernels of an axis of numbers: each is as wide as the farther one of
// its neighbours is away (Bergstra et al. 2011), within bounds. room is for sorting.
func (c *column) numbers(s shape, room []uint64) {
	n := len(c.values) - 1
	c.kernels = make([]kernel, 0, n+1)
	c.place = make([]int32, n+1)
	c.kernels = append(c.kernels, uniform, newKernel(0.5, 1))
	c.place[n] = 1
	mu, order := make([]float64, n), room[:0]
	for j, v := range c.values[:n] {
		if !math.IsNaN(v) {
			mu[j] = c.unit(v)
			order = append(order, uint64(mu[j]*(1<<42))<<20|uint64(j)) // to sort whole numbers is three times as fast
		}
	}
	slices.Sort(order)
	at := func(i int) float64 { return mu[order[i]&(1<<20-1)] }
	least := 1e-12
	if s.magicClip {
		least = narrowest(n, s.exponent)
	}
	last := len(order) - 1
	for i := range order {
		left, here, right := 0.0, at(i), 1.0
		if i > 0 {
			left = at(i - 1)
		}
		if i < last {
			right = at(i + 1)
		}
		left, right = here-left, right-here
		if !s.endpoints && last > 0 {
			if i == 0 {
				left = 0
			} else if i == last {
				right = 0
			}
		}
		c.place[order[i]&(1<<20-1)] = c.find(here, math.Max(least, math.Min(math.Max(left, right), 1)))
	}
}

// find is the place of a kernel, a new one or, if the last ones are alike, as those of
// countable values often are, the one that there is.
func (c *column) find(mu, sigma float64) int32 {
	for i := len(c.kernels) - 1; i > 1 && c.kernels[i].mu == mu; i-- {
		if c.kernels[i].sigma == sigma {
			return int32(i)
		}
	}
	c.kernels = append(c.kernels, newKernel(mu, sigma))
	return int32(len(c.kernels) - 1)
}

// narrowest is the least width of the kernels of n trials (the "magic clip" of the first
// implementation, which has the exponent 1).
func narrowest(n int, exponent float64) float64 {
	return 1 / math.Min(100, math.Pow(float64(n+2), exponent))
}

// pick is the place of one of the products, by their weights.
func (m *mixture) pick(chance *rand.Rand) int {
	u := chance.Float64()
	for j, w := range m.weights {
		if u -= w; u < 0 {
			return j
		}
	}
	return len(m.weights) - 1
}

// draw is a value from the factor of a product.
func (c *column) draw(j int, chance *rand.Rand) float64 {
	if c.Kind == Categorical {
		u := chance.Float64()
		if v := c.values[j]; !math.IsNaN(v) && u < math.Exp(c.hit)-math.Exp(c.miss) {
			return v
		}
		return float64(chance.IntN(c.axis.values))
	}
	return c.value(c.kernels[c.place[j]].draw(chance))
}

// density is the logarithm of the mixture's density at values on its axes. NaN, of a
// parameter that is not there, has no factor. room is for the products.
func (m *mixture) density(x []float64, room []float64) float64 {
	if len(x) == 1 {
		if math.IsNaN(x[0]) {
			return 0
		}
		return math.Log(m.columns[0].density(x[0], m.weights))
	}
	sums := append(room[:0], m.logs...)
	for i := range m.columns {
		if !math.IsNaN(x[i]) {
			m.columns[i].add(x[i], sums)
		}
	}
	most := math.Inf(-1)
	for _, v := range sums {
		if v > most {
			most = v
		}
	}
	total := 0.0
	for _, v := range sums {
		if v > most-negligible {
			total += math.Exp(v - most)
		}
	}
	return most + math.Log(total)
}

// negligible is how far below another logarithm one does not count beside it.
const negligible = 30

// add adds the logarithm of each product's factor at v.
func (c *column) add(v float64, sums []float64) {
	switch {
	case c.Kind == Categorical:
		for j, own := range c.values {
			switch {
			case own == v:
				sums[j] += c.hit
			case math.IsNaN(own):
				sums[j] -= math.Log(float64(c.axis.values))
			default:
				sums[j] += c.miss
			}
		}
	case c.axis.values > 0:
		masses := c.masses(v)
		for i, mass := range masses {
			masses[i] = math.Log(mass)
		}
		for j, place := range c.place {
			sums[j] += masses[place]
		}
	default:
		u := c.unit(v)
		for j, place := range c.place {
			k := &c.kernels[place]
			z := (u - k.mu) * k.inverse
			sums[j] += k.log - z*z
		}
	}
}

// density is the sum of the factors at v by weight: the density of a mixture that has
// no other column.
func (c *column) density(v float64, weights []float64) (sum float64) {
	switch {
	case c.Kind == Categorical:
		hit, miss := math.Exp(c.hit), math.Exp(c.miss)
		for j, own := range c.values {
			switch {
			case own == v:
				sum += weights[j] * hit
			case math.IsNaN(own):
				sum += weights[j] / float64(c.axis.values)
			default:
				sum += weights[j] * miss
			}
		}
	case c.axis.values > 0:
		masses := c.masses(v)
		for j, place := range c.place {
			sum += weights[j] * masses[place]
		}
	default:
		u := c.unit(v)
		for j, place := range c.place {
			k := &c.kernels[place]
			if z := (u - k.mu) * k.inverse; z*z < negligible {
				sum += weights[j] * math.Exp(k.log-z*z)
			}
		}
	}
	return sum
}

// masses is what each of the kernels has on the cell of v.
func (c *column) masses(v float64) []float64 {
	low, high := c.cell(v)
	out := make([]float64, len(c.kernels))
	for i := range c.kernels {
		out[i] = c.kernels[i].mass(low, high)
	}
	return out
}
