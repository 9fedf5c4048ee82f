package suggest

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// points lets an algorithm propose n trials, each of which succeeds at once.
func points(t testing.TB, a Algorithm, s *Space, n int) []Point {
	t.Helper()
	var out []Point
	var history []Trial
	for i := range n {
		p, err := a.Next(Query{Space: s, History: history, Seed: 1, Workers: 1})
		if err != nil {
			t.Fatalf("trial %d: %v", i, err)
		}
		out = append(out, p.Point)
		history = append(history, Trial{Proposal: p, Number: i, State: Succeeded, Losses: []float64{float64(i)}})
	}
	return out
}

// Random values have the distribution that the parameter names.
func TestRandomDistributions(t *testing.T) {
	low, high := 1.0, 10_000.0
	for d, share := range map[Distribution][2]float64{ // of the values in the lower half, and in the middle third on a plain or log scale
		Uniform: {0.5, 1.0 / 3}, LogUniform: {0.5, 1.0 / 3}, Normal: {0.5, 0.6845}, LogNormal: {0.5, 0.6845}, // within one of six deviations, cut off at three
	} {
		s := Space{Parameters: []Parameter{{Name: "x", Kind: Double, Min: low, Max: high, Distribution: d}}}
		scale := func(v float64) float64 { return (v - low) / (high - low) }
		if s.Parameters[0].Log() {
			scale = func(v float64) float64 { return math.Log(v/low) / math.Log(high/low) }
		}
		a, chance := s.axes(), rand.New(rand.NewPCG(1, 1))
		const n = 20_000
		lower, middle := 0.0, 0.0
		for range n {
			v := scale(s.draw(a, chance)[0])
			if v < 0.5 {
				lower++
			}
			if v > 1.0/3 && v < 2.0/3 {
				middle++
			}
		}
		if math.Abs(lower/n-share[0]) > 0.015 || math.Abs(middle/n-share[1]) > 0.015 {
			t.Errorf("distribution %d: %.3f in the lower half, %.3f in the middle third, want %.3f", d, lower/n, middle/n, share)
		}
	}
}

// All values of an int are met alike, the ends too, and of a step only its multiples.
func TestRandomInts(t *testing.T) {
	s := Space{Parameters: []Parameter{{Name: "n", Kind: Int, Min: 1, Max: 11, Step: 2}}}
	count, chance, axes := map[float64]int{}, rand.New(rand.NewPCG(1, 1)), s.axes()
	for range 6000 {
		count[s.draw(axes, chance)[0]]++
	}
	for _, v := range []float64{1, 3, 5, 7, 9, 11} {
		if count[v] < 850 || count[v] > 1150 {
			t.Errorf("%v came %d times of 6000: %v", v, count[v], count)
		}
	}
}

// A random search of a countable space meets each point once before any comes again.
func TestRandomNoneTwice(t *testing.T) {
	s := &Space{Parameters: []Parameter{choice("a", "x y z"), integer("b", 1, 4)}}
	for _, name := range []string{"random", "sobol"} {
		a, _ := New(name, nil)
		seen := map[string]bool{}
		for _, x := range points(t, a, s, 24)[:12] {
			seen[x.key()] = true
		}
		if len(seen) != 12 {
			t.Errorf("%s: %d of 12 points in 12 trials", name, len(seen))
		}
	}
}

func TestInfeasible(t *testing.T) {
	s := cube(2, 0, 1)
	s.Feasible = func(Point) bool { return false }
	for _, name := range []string{"random", "sobol", "tpe", "multivariate-tpe"} {
		a, _ := New(name, nil)
		history := drawnHistory(t, &s, 20, 1, func(x Point) []float64 { return x[:1] })
		if _, err := a.Next(Query{Space: &s, History: history, Workers: 1}); !errors.Is(err, errNoPoint) {
			t.Errorf("%s in a space without points: %v", name, err)
		}
	}
}

// The last parameter is the fastest; a condition's parameter is varied only where it is
// there; at the end nothing is left, also for a grid that goes on after a crash.
func TestGridOrder(t *testing.T) {
	s := &Space{Parameters: []Parameter{choice("kind", "svm tree"), integer("depth", 2, 3), {Name: "c", Kind: Double, Min: 0, Max: 0.5, Step: 0.25}}}
	s.Parameters[1].When = &When{Parameter: 0, In: []float64{1}}
	s.Feasible = func(x Point) bool { return x[1] != 3 || x[2] != 0.5 }
	nan := math.NaN()
	want := []Point{{0, nan, 0}, {0, nan, 0.25}, {0, nan, 0.5}, {1, 2, 0}, {1, 2, 0.25}, {1, 2, 0.5}, {1, 3, 0}, {1, 3, 0.25}}
	var history []Trial
	for i, x := range want {
		a, _ := New("grid", nil)
		p, err := a.Next(Query{Space: s, History: history, Workers: 1})
		if err != nil || p.Point.key() != x.key() {
			t.Fatalf("trial %d: %v, %v; want %v", i, p.Point, err, x)
		}
		history = append(history, Trial{Proposal: p, Number: i, State: Failed})
	}
	a, _ := New("grid", nil)
	if p, err := a.Next(Query{Space: s, History: history, Workers: 1}); !errors.Is(err, ErrExhausted) {
		t.Errorf("after the last one: %v, %v", p.Point, err)
	}
	for i, x := range points(t, a, s, len(want)) { // and one grid for all trials
		if x.key() != want[i].key() {
			t.Errorf("trial %d: %v, want %v", i, x, want[i])
		}
	}
}

func TestGridNeedsStep(t *testing.T) {
	s := &Space{Parameters: []Parameter{integer("n", 1, 3), double("lr", 0, 1)}}
	a, _ := New("grid", nil)
	if _, err := a.Next(Query{Space: s, Workers: 1}); err == nil || !strings.Contains(err.Error(), "lr") || !strings.Contains(err.Error(), "step") {
		t.Errorf("a double without a step: %v", err)
	}
}

// In each dimension, scrambled or not, any 2^k points that follow on a multiple of 2^k
// have one in each 2^-k of the range: what makes the sequence one of Sobol's.
func TestSobolEven(t *testing.T) {
	const n = 64
	for dimension := range directions() {
		for seed := range uint64(3) {
			for _, start := range []uint32{0, 128} {
				var hit [n]int
				for place := start; place < start+n; place++ {
					hit[int(sobolUnit(place, dimension, seed)*n)]++
				}
				for k, h := range hit {
					if h != 1 {
						t.Fatalf("dimension %d, seed %d: %d of %d points in part %d", dimension, seed, h, n, k)
					}
				}
			}
		}
	}
	if got := len(directions()); got != 128 {
		t.Errorf("%d dimensions", got)
	}
}

// The first points of the sequence, not scrambled, as Joe and Kuo give them.
func TestSobolFirst(t *testing.T) {
	want := [][]float64{{0, 0, 0}, {0.5, 0.5, 0.5}, {0.75, 0.25, 0.25}, {0.25, 0.75, 0.75}, {0.375, 0.375, 0.625}, {0.875, 0.875, 0.125}}
	for place, x := range want {
		for dimension, v := range x {
			if got := float64(directions()[dimension].at(uint32(place))) / (1 << 32); got != v {
				t.Errorf("point %d, dimension %d: %v, want %v", place, dimension, got, v)
			}
		}
	}
}

// Pairs of dimensions are even too: 16 points in the first two, one in each square of a
// 4 by 4 board.
func TestSobolPairs(t *testing.T) {
	for seed := range uint64(20) {
		var hit [16]int
		for place := range uint32(16) {
			hit[4*int(4*sobolUnit(place, 0, seed))+int(4*sobolUnit(place, 1, seed))]++
		}
		for k, h := range hit {
			if h != 1 {
				t.Fatalf("seed %d: %d points in square %d", seed, h, k)
			}
		}
	}
}
