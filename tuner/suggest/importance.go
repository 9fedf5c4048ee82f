package suggest

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// importanceBest is the part of the trials that importance is asked for: what decides
// whether a trial is among the best tenth.
const importanceBest = 0.1

// importanceBins is into how many parts a continuous parameter's range is divided.
const importanceBins = 50

// Importance is how much each parameter of a space decides whether a trial is among the
// best tenth (at least two), by PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently
// Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023): the
// Pearson divergence between the best trials' density and all trials' density of the
// parameter by itself. One number from 0 to 1 for each parameter, in the space's order,
// 1 in all; all 0 where nothing tells the best trials from the others. Several
// objectives count by their Pareto ranks. What a parameter does only together with
// another one is not seen. It needs four ended trials at least.
func Importance(space *Space, history []Trial) ([]float64, error) {
	n := ended(history)
	if n < 4 {
		return nil, fmt.Errorf("parameter importance needs 4 trials that ended with the objective's metric, there are %d", n)
	}
	if allAlike(history) {
		return make([]float64, len(space.Parameters)), nil
	}
	good, _ := divide(history, max(2, int(math.Ceil(importanceBest*float64(n)))), false)
	var all []Point
	for i := range history {
		if history[i].Ended() {
			all = append(all, history[i].Point)
		}
	}
	best := make([]Point, len(good))
	for i, g := range good {
		best[i] = history[g].Point
	}
	out, sum := make([]float64, len(space.Parameters)), 0.0
	for i, a := range space.axes() {
		if len(all[0]) != len(out) {
			return nil, errors.New("the trials are of another space")
		}
		out[i] = pearson(binned(&a, i, best), binned(&a, i, all))
		sum += out[i]
	}
	for i := range out {
		if sum > 0 {
			out[i] /= sum
		}
	}
	return out, nil
}

// allAlike says whether all ended trials have the same losses.
func allAlike(history []Trial) bool {
	var first []float64
	for i := range history {
		if t := &history[i]; t.Ended() {
			if first == nil {
				first = t.Losses
			} else if !slices.Equal(first, t.Losses) || t.Violation > 0 {
				return false
			}
		}
	}
	return true
}

// binned is the density of a parameter's values over the parts of its range; the last
// part is where it is not there. Numbers are smoothed by normal kernels after Scott's
// rule, categories only by the prior that every part gets a share of.
func binned(a *axis, at int, points []Point) []float64 {
	bins := importanceBins
	if a.values > 0 && a.values < bins {
		bins = a.values
	}
	out := make([]float64, bins+1)
	var units []float64
	for _, x := range points {
		if math.IsNaN(x[at]) {
			out[bins]++
			continue
		}
		units = append(units, a.unit(x[at]))
	}
	width := scott(units)
	for _, u := range units {
		k := newKernel(u, math.Max(width, 0.5/float64(bins)))
		for b := range bins {
			low, high := float64(b)/float64(bins), float64(b+1)/float64(bins)
			if a.Kind == Categorical {
				if u >= low && u < high {
					out[b]++
				}
			} else {
				out[b] += k.mass(low, high)
			}
		}
	}
	for b := range out {
		share := 1 / float64(len(out))
		out[b] = (out[b] + share) / float64(len(points)+1)
	}
	return out
}

// scott is the kernels' width by Scott's rule.
func scott(units []float64) float64 {
	n := float64(len(units))
	if n < 2 {
		return 1
	}
	m, sum := 0.0, 0.0
	for _, u := range units {
		m += u / n
	}
	for _, u := range units {
		sum += (u - m) * (u - m)
	}
	return 1.059 * math.Sqrt(sum/(n-1)) * math.Pow(n, -0.2)
}

// pearson is the divergence of p from q: the mean over q of (p/q - 1) squared.
func pearson(p, q []float64) (sum float64) {
	for i := range p {
		sum += (p[i] - q[i]) * (p[i] - q[i]) / q[i]
	}
	return sum
}
