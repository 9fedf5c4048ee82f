package suggest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// bayesData is a history as surrogate models see it.
type bayesData struct {
	x        [][]float64 // trials that ended with losses
	losses   []float64   // of x, one each
	feasible []bool      // of x: violates no constraint
	running  [][]float64
	failed   [][]float64
	tried    map[string]bool
}

func newBayesData(e *embedding, history []Trial, rng *rand.Rand) *bayesData {
	d := &bayesData{tried: map[string]bool{}}
	var all [][]float64
	for i := range history {
		t := &history[i]
		if len(t.Point) != len(e.axes) {
			continue
		}
		d.tried[pointKey(t.Point)] = true
		z := e.vector(t.Point)
		switch {
		case t.Ended():
			d.x = append(d.x, z)
			d.feasible = append(d.feasible, t.Violation <= 0)
			all = append(all, t.Losses)
		case t.State == Running:
			d.running = append(d.running, z)
		case t.State == Failed:
			d.failed = append(d.failed, z)
		}
	}
	d.losses = scalarize(all, rng)
	return d
}

// scalarize is the first of each trial's losses. Several objectives are made one with
// weights drawn anew for each proposal, as in ParEGO (Knowles 2006): the augmented
// Chebyshev norm of the losses scaled to [0, 1].
func scalarize(all [][]float64, rng *rand.Rand) []float64 {
	out := make([]float64, len(all))
	objectives := 0
	for i, l := range all {
		out[i] = l[0]
		if i == 0 || len(l) < objectives {
			objectives = len(l)
		}
	}
	if objectives < 2 {
		return out
	}
	weights, total := make([]float64, objectives), 0.0
	for k := range weights {
		weights[k] = rng.ExpFloat64()
		total += weights[k]
	}
	worst, sum := make([]float64, len(all)), make([]float64, len(all))
	column := make([]float64, len(all))
	for k, w := range weights {
		for i, l := range all {
			column[i] = l[k]
		}
		column := finite(column)
		lo, hi := slices.Min(column), slices.Max(column)
		for i, v := range column {
			if hi > lo {
				v = w / total * (v/2 - lo/2) / (hi/2 - lo/2) // halves: the difference may overflow
			} else {
				v = 0
			}
			worst[i], sum[i] = math.Max(worst[i], v), sum[i]+v
		}
	}
	for i := range out {
		out[i] = worst[i] + 0.05*sum[i]
	}
	return out
}

// best lists the places of up to k feasible observations (any, if none is), the lowest
// loss first.
func (d *bayesData) best(k int) []int {
	order := make([]int, len(d.x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d.feasible[a] != d.feasible[b] {
			if d.feasible[a] {
				return -1
			}
			return 1
		}
		return cmp.Compare(d.losses[a], d.losses[b])
	})
	return order[:min(k, len(order))]
}

// subset picks at most k of rows x to model: half of them by order, the best first, the
// others each as far as can be from those picked.
func subset(cat []bool, x [][]float64, order []int, k int) []int {
	if len(x) <= k {
		return order
	}
	picked := slices.Clone(order[:k/2])
	rest := order[k/2:]
	away := make([]float64, len(rest))
	for i := range away {
		away[i] = math.Inf(1)
	}
	closer := func(p int) {
		for i, r := range rest {
			away[i] = math.Min(away[i], apart(cat, x[r], x[p]))
		}
	}
	for _, p := range picked {
		closer(p)
	}
	for len(picked) < k {
		far := 0
		for i := range away {
			if away[i] > away[far] {
				far = i
			}
		}
		picked = append(picked, rest[far])
		away[far] = -1
		closer(rest[far])
	}
	return picked
}

// apart is the squared distance of two vectors, 1 for each differing category.
func apart(cat []bool, a, b []float64) float64 {
	sum := 0.0
	for j := range a {
		t := a[j] - b[j]
		if cat[j] && t != 0 {
			t = 1
		}
		sum += t * t
	}
	return sum
}

// pick takes rows of a matrix or entries of a vector.
func pick[T any](from []T, at []int) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = from[k]
	}
	return out
}
