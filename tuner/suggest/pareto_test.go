package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The front is exactly what no other trial dominates, by comparing each with each.
func TestParetoFront(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objectives := rapid.IntRange(1, 3).Draw(t, "objectives")
		var history []Trial
		for i := range rapid.IntRange(0, 12).Draw(t, "trials") {
			trial := Trial{Number: 100 + i, State: rapid.SampledFrom([]State{Succeeded, Stopped, Failed, Running}).Draw(t, "state")}
			if trial.State < Failed && trial.State != Running {
				trial.Losses = rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1, 2, math.Inf(1)}), objectives, objectives).Draw(t, "losses")
			}
			if rapid.IntRange(0, 4).Draw(t, "violates") == 0 {
				trial.Violation = 1
			}
			history = append(history, trial)
		}
		var want []int
		for _, a := range history {
			if !a.Ended() || a.Violation > 0 {
				continue
			}
			if !slices.ContainsFunc(history, func(b Trial) bool {
				return b.Ended() && b.Violation == 0 && dominates(b.Losses, a.Losses)
			}) {
				want = append(want, a.Number)
			}
		}
		if got := ParetoFront(history); !slices.Equal(got, want) {
			t.Fatalf("front %v, want %v of %v", got, want, history)
		}
	})
}

// The hypervolume is what counting random points finds dominated.
func TestHypervolume(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, objectives := range []int{1, 2, 3, 4} {
		points := make([][]float64, 6)
		for i := range points {
			for range objectives {
				points[i] = append(points[i], chance.Float64())
			}
		}
		const n = 20_000
		dominated := 0
		for range n {
			at := make([]float64, objectives)
			for k := range at {
				at[k] = chance.Float64() * corner
			}
			if slices.ContainsFunc(points, func(p []float64) bool { return dominates(p, at) }) {
				dominated++
			}
		}
		want := float64(dominated) / n * math.Pow(corner, float64(objectives))
		if got := hypervolume(points); math.Abs(got-want) > 0.02 {
			t.Errorf("%d objectives: hypervolume %.4f, random points say %.4f", objectives, got, want)
		}
	}
}

// Of a front the trials that come first are those that a plain greedy choice takes.
func TestByHypervolume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history []Trial
		var front []int
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "chance"), 0))
		for i := range rapid.IntRange(1, 12).Draw(t, "front") {
			history = append(history, Trial{Losses: []float64{chance.NormFloat64(), chance.NormFloat64(), chance.NormFloat64()}})
			front = append(front, i)
		}
		n := rapid.IntRange(0, len(front)).Draw(t, "n")
		got := byHypervolume(history, front, n)
		points := scaled(history, front)
		var chosen [][]float64
		for _, i := range got[:n] {
			most := 0.0
			for _, p := range points {
				most = math.Max(most, hypervolume(append(slices.Clip(chosen), p)))
			}
			chosen = append(chosen, points[i])
			if v := hypervolume(chosen); v < most-1e-12 {
				t.Fatalf("trial %d makes the hypervolume %v, another one %v", i, v, most)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, front) {
			t.Fatalf("%v is not the front", got)
		}
	})
}
