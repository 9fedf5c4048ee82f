package suggest

import "math/rand/v2"

// cmaCategories is a frequency for each value of each categorical parameter, learnt
// from a generation's better half with its weights, as in population based incremental
// learning and CatCMA (Hamano 2024). No frequency falls under a floor, so that nothing
// is lost for good.
type cmaCategories struct {
	q [][]float64
}

// cmaRate is how much of the frequencies a generation replaces.
const cmaRate = 0.3

func newCMACategories(c *cmaCoding) *cmaCategories {
	k := &cmaCategories{}
	for _, at := range c.categories {
		f := make([]float64, len(c.space.Parameters[at].List))
		for i := range f {
			f[i] = 1 / float64(len(f))
		}
		k.q = append(k.q, f)
	}
	return k
}

// sample draws a value for each parameter; wide above 1 takes the frequencies towards
// equal ones.
func (k *cmaCategories) sample(rng *rand.Rand, wide float64) []int {
	out := make([]int, len(k.q))
	for i, f := range k.q {
		u := rng.Float64()
		if rng.Float64() > 1/wide {
			out[i] = rng.IntN(len(f))
			continue
		}
		for out[i] = 0; out[i] < len(f)-1 && u >= f[out[i]]; out[i]++ {
			u -= f[out[i]]
		}
	}
	return out
}

// update learns from a generation, the best first.
func (k *cmaCategories) update(members []cmaPoint) {
	better := members[:max(1, len(members)/2)]
	for i, f := range k.q {
		floor := 0.2 / float64(len(f))
		share := make([]float64, len(f))
		total := 0.0
		for _, m := range better {
			if c := m.classes[i]; c >= 0 {
				share[c]++
				total++
			}
		}
		if total == 0 {
			continue
		}
		sum := 0.0
		for c := range f {
			f[c] = max(floor, (1-cmaRate)*f[c]+cmaRate*share[c]/total)
			sum += f[c]
		}
		for c := range f {
			f[c] /= sum
		}
	}
}
