package suggest

import (
	"cmp"
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
	kernels []kernel
	class   []int32   // of countable values: equal kernels have equal classes
	classes []kernel  // by class
	values  []float64 // of categories: the trial's, NaN where it has none
	hit     float64   // log mass of the trial's category
	miss    float64   // and of each other one
}

// kernel is a normal distribution on [0, 1]; with a NaN mu it is the uniform one, of
// trials without the parameter.
type kernel struct{ mu, sigma, norm float64 } // norm: the logarithm of its factor

var uniform = kernel{mu: math.NaN()}

// newKernel is the normal distribution around mu, cut off at 0 and 1.
func newKernel(mu, sigma float64) kernel {
	k := kernel{mu: mu, sigma: sigma}
	k.norm = -math.Log(k.mass(0, 1) * sigma * math.Sqrt(2*math.Pi))
	return k
}

// mass is what the kernel, not cut off, has from low to high.
func (k *kernel) mass(low, high float64) float64 {
	a, b := (low-k.mu)/k.sigma, (high-k.mu)/k.sigma
	if a < -6 && b > 6 {
		return 1
	}
	if a > 0 { // in the lower tail no digits are lost
		a, b = -b, -a
	}
	return math.Max(phi(b)-phi(a), 1e-300)
}

// draw is a number from the kernel, cut off.
func (k *kernel) draw(chance *rand.Rand) float64 {
	u := chance.Float64()
	if math.IsNaN(k.mu) {
		return u
	}
	low, high := phi(-k.mu/k.sigma), phi((1-k.mu)/k.sigma)
	z := math.Sqrt2 * math.Erfinv(2*(low+u*(high-low))-1)
	return math.Max(0, math.Min(k.mu+k.sigma*z, 1))
}

// shape is how a mixture's kernels come to their widths.
type shape struct {
	prior     float64 // weight of the prior beside a trial's 1
	magicClip bool    // widths of at least 1/min(100, products+1)
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
	for _, i := range at {
		m.columns = append(m.columns, newColumn(&axes[i], i, points, s))
	}
	return m
}

func newColumn(a *axis, at int, points []Point, s shape) column {
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
	c.numbers(s)
	return c
}

// numbers makes the kernels of an axis of numbers: each is as wide as the farther one of
// its neighbours is away (Bergstra et al. 2011), within bounds.
func (c *column) numbers(s shape) {
	n := len(c.values) - 1
	c.kernels = make([]kernel, n+1)
	type place struct {
		mu float64
		j  int
	}
	var sorted []place
	for j, v := range c.values[:n] {
		if c.kernels[j] = uniform; !math.IsNaN(v) {
			sorted = append(sorted, place{c.unit(v), j})
		}
	}
	slices.SortFunc(sorted, func(a, b place) int { return cmp.Compare(a.mu, b.mu) })
	least := 1e-12
	if s.magicClip {
		least = 1 / math.Min(100, float64(n+2))
	}
	for i, p := range sorted {
		left, right := p.mu, 1-p.mu
		if i > 0 {
			left = p.mu - sorted[i-1].mu
		}
		if i+1 < len(sorted) {
			right = sorted[i+1].mu - p.mu
		}
		if !s.endpoints && len(sorted) > 1 {
			if i == 0 {
				left = 0
			} else if i+1 == len(sorted) {
				right = 0
			}
		}
		c.kernels[p.j] = newKernel(p.mu, math.Max(least, math.Min(math.Max(left, right), 1)))
	}
	c.kernels[n] = newKernel(0.5, 1)
	if c.axis.values > 0 {
		c.classify()
	}
}

// classify finds equal kernels, of which countable values have many: their masses on
// cells are computed only once.
func (c *column) classify() {
	seen := make(map[[2]float64]int32, len(c.kernels))
	c.class = make([]int32, len(c.kernels))
	for j, k := range c.kernels {
		key := [2]float64{k.mu, k.sigma}
		if math.IsNaN(k.mu) {
			key = [2]float64{-1, -1}
		}
		class, ok := seen[key]
		if !ok {
			class = int32(len(c.classes))
			seen[key] = class
			c.classes = append(c.classes, k)
		}
		c.class[j] = class
	}
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
	return c.value(c.kernels[j].draw(chance))
}

// density is the logarithm of the mixture's density at values on its axes. NaN, of a
// parameter that is not there, has no factor. sums is room for the products.
func (m *mixture) density(x []float64, sums []float64) float64 {
	sums = append(sums[:0], m.logs...)
	for i := range m.columns {
		if !math.IsNaN(x[i]) {
			m.columns[i].add(x[i], sums)
		}
	}
	most := slices.Max(sums)
	total := 0.0
	for _, v := range sums {
		if v > most-40 {
			total += math.Exp(v - most)
		}
	}
	return most + math.Log(total)
}

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
		masses := make([]float64, len(c.classes))
		low, high := c.cell(v)
		for i := range c.classes {
			masses[i] = c.classes[i].logMass(low, high)
		}
		for j, class := range c.class {
			sums[j] += masses[class]
		}
	default:
		u := c.unit(v)
		for j := range c.kernels {
			if k := &c.kernels[j]; k.mu == k.mu { // not NaN
				z := (u - k.mu) / k.sigma
				sums[j] += k.norm - 0.5*z*z
			}
		}
	}
}

// logMass is the logarithm of what the kernel, cut off, has from low to high.
func (k *kernel) logMass(low, high float64) float64 {
	if math.IsNaN(k.mu) {
		return math.Log(high - low)
	}
	// Where the cell is narrow the density in its middle will do.
	if high-low < k.sigma/4 {
		z := ((low+high)/2 - k.mu) / k.sigma
		return k.norm - 0.5*z*z + math.Log(high-low)
	}
	return math.Log(k.mass(low, high)) + k.norm + math.Log(k.sigma*math.Sqrt(2*math.Pi))
}
