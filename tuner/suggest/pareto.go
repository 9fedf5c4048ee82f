package suggest

import (
	"cmp"
	"math"
	"slices"
)

// ParetoFront is the numbers of the trials that no other one dominates: none has every
// loss as low and one lower. Only trials that ended and keep all constraints count.
// With one objective it is all the trials with the lowest loss.
func ParetoFront(history []Trial) []int {
	var at []int
	for i := range history {
		if history[i].Ended() && history[i].Violation <= 0 {
			at = append(at, i)
		}
	}
	front := []int{}
	for _, rank := range paretoRanks(history, at, 1)[:min(1, len(at))] {
		for _, i := range rank {
			front = append(front, history[i].Number)
		}
	}
	return front
}

// dominates says whether losses a are nowhere above b and somewhere below.
func dominates(a, b []float64) bool {
	below := false
	for k := range a {
		if a[k] > b[k] {
			return false
		}
		below = below || a[k] < b[k]
	}
	return below
}

// paretoRanks divides trials into fronts: the first is what nothing dominates, the
// second what nothing dominates once the first is gone, and so on, until they hold at
// least n. What is left is the last rank.
func paretoRanks(history []Trial, at []int, n int) (ranks [][]int) {
	rest := slices.Clone(at)
	for taken := 0; len(rest) > 0 && taken < n; {
		var front, behind []int
		for _, i := range rest {
			if slices.ContainsFunc(rest, func(j int) bool { return dominates(history[j].Losses, history[i].Losses) }) {
				behind = append(behind, i)
			} else {
				front = append(front, i)
			}
		}
		ranks, rest = append(ranks, front), behind
		taken += len(front)
	}
	if len(rest) > 0 {
		ranks = append(ranks, rest)
	}
	return ranks
}

// paretoOrder puts trials in the order of their ranks; in the rank that the n-th falls
// into those come first that add most to the hypervolume of the ones before them.
func paretoOrder(history []Trial, at []int, n int) []int {
	var out []int
	for _, rank := range paretoRanks(history, at, n) {
		if len(out) < n && len(out)+len(rank) > n {
			rank = byHypervolume(history, rank, n-len(out))
		}
		out = append(out, rank...)
	}
	return out
}

// byHypervolume brings n trials of a front to its start, one after another the one that
// adds most to the hypervolume (greedy subset selection, Guerreiro et al. 2016). Losses
// are scaled to the front's own extent, so that units do not count.
func byHypervolume(history []Trial, front []int, n int) []int {
	points := scaled(history, front)
	var chosen [][]float64
	order := make([]int, 0, len(front))
	// What a point adds gets only less as others are chosen: what it added at an earlier
	// look bounds it, and most points need no second look.
	adds, looked := make([]float64, len(front)), make([]int, len(front))
	for i := range adds {
		adds[i] = math.Inf(1)
	}
	for volume := 0.0; len(order) < n; {
		best := 0
		for i := range adds {
			if adds[i] > adds[best] {
				best = i
			}
		}
		if looked[best] <= len(order) {
			adds[best], looked[best] = hypervolume(append(slices.Clip(chosen), points[best]))-volume, len(order)+1
			continue
		}
		volume += adds[best]
		chosen, order = append(chosen, points[best]), append(order, front[best])
		adds[best] = math.Inf(-1)
	}
	for i, a := range adds {
		if !math.IsInf(a, -1) {
			order = append(order, front[i])
		}
	}
	return order
}

// scaled are losses on [0, 1] by the front's extent; infinite ones are its ends.
func scaled(history []Trial, front []int) [][]float64 {
	out := make([][]float64, len(front))
	for i := range out {
		out[i] = slices.Clone(history[front[i]].Losses)
	}
	for k := range out[0] {
		low, high := math.Inf(1), math.Inf(-1)
		for _, p := range out {
			if !math.IsInf(p[k], 0) {
				low, high = math.Min(low, p[k]), math.Max(high, p[k])
			}
		}
		for _, p := range out {
			switch {
			case math.IsInf(p[k], 1):
				p[k] = 1
			case math.IsInf(p[k], -1) || high <= low:
				p[k] = 0
			default:
				p[k] = (p[k] - low) / (high - low)
			}
		}
	}
	return out
}

// corner is the far end of the hypervolume, a tenth beyond the worst on each axis.
const corner = 1.1

// hypervolume is the volume between points on [0, 1] and the corner, by slicing along
// the last objective: O(n log n) for two objectives, n times that for each further one.
func hypervolume(points [][]float64) float64 {
	if len(points) == 0 {
		return 0
	}
	last := len(points[0]) - 1
	if last == 0 {
		low := corner
		for _, p := range points {
			low = math.Min(low, p[0])
		}
		return corner - low
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b []float64) int { return cmp.Compare(a[last], b[last]) })
	volume, slab := 0.0, make([][]float64, 0, len(sorted))
	for i, p := range sorted {
		slab = append(slab, p[:last])
		top := corner
		if i+1 < len(sorted) {
			top = sorted[i+1][last]
		}
		if top > p[last] {
			volume += hypervolume(slab) * (top - p[last])
		}
	}
	return volume
}
