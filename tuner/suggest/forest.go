package suggest

import (
	"math"
	"math/rand/v2"
)

// regressor predicts a loss and how sure that is, as a standard deviation.
type regressor interface {
	predict(z []float64) (mean, sd float64)
}

// forest is a random forest (Breiman 2001) or extremely randomized trees (Geurts and
// others 2006). Its variance is that of the trees' means plus the mean of the leaves'
// variances (Hutter and others 2014, "Algorithm runtime prediction").
type forest struct{ trees []*tree }

const forestTrees = 100

// growForest grows a forest: each tree of a random one on a sample with replacement.
func growForest(r treeRule, x [][]float64, y []float64, rng *rand.Rand) *forest {
	f := &forest{}
	for range forestTrees {
		at := make([]int, len(x))
		for i := range at {
			at[i] = i
			if !r.random {
				at[i] = rng.IntN(len(x))
			}
		}
		f.trees = append(f.trees, growTree(&r, x, y, at, rng))
	}
	return f
}

func (f *forest) predict(z []float64) (mean, sd float64) {
	square, inside := 0.0, 0.0
	for _, t := range f.trees {
		n := t.leaf(z)
		mean += n.mean
		square += n.mean * n.mean
		inside += n.spread
	}
	k := float64(len(f.trees))
	mean /= k
	return mean, math.Sqrt(math.Max(square/k-mean*mean+inside/k, 1e-12))
}

// boosted are gradient boosted trees (Friedman 2001) for the quantiles 0.16, 0.5 and
// 0.84: the median stands for the mean, half of what is between the others for the
// standard deviation.
type boosted struct{ low, middle, high *booster }

func boost(r treeRule, x [][]float64, y []float64, rng *rand.Rand) *boosted {
	return &boosted{newBooster(0.16, r, x, y, rng), newBooster(0.5, r, x, y, rng), newBooster(0.84, r, x, y, rng)}
}

func (b *boosted) predict(z []float64) (mean, sd float64) {
	return b.middle.at(z), math.Max((b.high.at(z)-b.low.at(z))/2, 1e-6)
}

// booster is a sum of trees that predicts one quantile.
type booster struct {
	base  float64
	trees []*tree
}

const (
	boostTrees = 30
	boostRate  = 0.1
	boostDepth = 3
)

// newBooster fits trees to the signs of what is left, each leaf moving to the quantile
// of what is left in it.
func newBooster(q float64, r treeRule, x [][]float64, y []float64, rng *rand.Rand) *booster {
	r.depth, r.random = boostDepth, false
	b := &booster{base: sampleQuantile(y, q)}
	now, residual, sign, at := make([]float64, len(y)), make([]float64, len(y)), make([]float64, len(y)), make([]int, len(y))
	for i := range y {
		now[i], at[i] = b.base, i
	}
	for range boostTrees {
		for i := range y {
			residual[i] = y[i] - now[i]
			sign[i] = q - 1
			if residual[i] > 0 {
				sign[i] = q
			}
		}
		t := growTree(&r, x, sign, at, rng)
		for i := range t.nodes {
			if n := &t.nodes[i]; n.axis < 0 {
				n.mean = boostRate * sampleQuantile(pick(residual, n.rows), q)
				for _, k := range n.rows {
					now[k] += n.mean
				}
			}
		}
		b.trees = append(b.trees, t)
	}
	return b
}

func (b *booster) at(z []float64) float64 {
	v := b.base
	for _, t := range b.trees {
		v += t.leaf(z).mean
	}
	return v
}
