package suggest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var estimators = []string{"GP", "RF", "ET", "GBRT"}

func newTestBayes(t testing.TB, given ...string) Algorithm {
	t.Helper()
	var s []Setting
	for i := 0; i < len(given); i += 2 {
		s = append(s, Setting{given[i], given[i+1]})
	}
	a, err := New("bayesianoptimization", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// everyKind is a space with each kind of parameter, a condition and a constraint.
func everyKind() *Space {
	return &Space{
		Parameters: []Parameter{
			{Name: "lr", Kind: Double, Min: 1e-5, Max: 1, Distribution: LogUniform},
			{Name: "width", Kind: Int, Min: 1, Max: 1000, Distribution: LogNormal},
			{Name: "depth", Kind: Int, Min: 2, Max: 11, Step: 3},
			{Name: "share", Kind: Double, Min: 0, Max: 1, Step: 0.1, Distribution: Normal},
			{Name: "batch", Kind: Discrete, List: []string{"16", "64", "256"}},
			{Name: "kind", Kind: Categorical, List: []string{"a", "b", "c"}},
			{Name: "gamma", Kind: Double, Min: -1, Max: 1, When: &When{Parameter: 5, In: []float64{1, 2}}},
			{Name: "only", Kind: Double, Min: 4, Max: 4},
		},
		Feasible: func(x Point) bool { return x[2]+x[4] < 12 },
	}
}

// lies says why a point is not one of a space.
func lies(s *Space, x Point) error {
	if len(x) != len(s.Parameters) {
		return fmt.Errorf("%d coordinates", len(x))
	}
	for i := range x {
		p := &s.Parameters[i]
		if !s.Active(x, i) {
			if !math.IsNaN(x[i]) {
				return fmt.Errorf("%s is %g, its condition says it is not there", p.Name, x[i])
			}
			continue
		}
		if p.Round(x[i]) != x[i] {
			return fmt.Errorf("%s is %v, the nearest value is %v", p.Name, x[i], p.Round(x[i]))
		}
	}
	if !s.May(x) {
		return fmt.Errorf("%v is not feasible", x)
	}
	return nil
}

// TestBayesAnyHistory: whatever the trials came to, a proposal lies in the space, and
// the same query gives the same one, whatever was asked between.
func TestBayesAnyHistory(t *testing.T) {
	losses := []float64{math.Inf(1), math.Inf(-1), 0, 0, 1, -3.5, 1e300, -1e300, 1e-300, math.MaxFloat64}
	rapid.Check(t, func(t *rapid.T) {
		space := everyKind()
		estimator := rapid.SampledFrom(estimators).Draw(t, "estimator")
		function := rapid.SampledFrom([]string{"EI", "PI", "LCB", "gp_hedge", "EIps"}).Draw(t, "function")
		given := []Setting{{"base_estimator", estimator}, {"acq_func", function}, {"n_initial_points", "4"}, {"n_ei_candidates", "40"}}
		a, _ := New("bayesianoptimization", given)
		q := Query{Space: space, Seed: rapid.Uint64().Draw(t, "seed"), Workers: 2}
		for i := range rapid.IntRange(1, 7).Draw(t, "trials") {
			p, err := a.Next(q)
			if err != nil {
				t.Fatal(err)
			}
			if err := lies(space, p.Point); err != nil {
				t.Fatalf("trial %d: %v", i, err)
			}
			if rapid.Bool().Draw(t, "again") && len(q.History) > 0 {
				p.Point = slices.Clone(q.History[0].Point)
			}
			trial := Trial{Proposal: p, Number: i, State: rapid.SampledFrom([]State{Running, Succeeded, Succeeded, Stopped, Failed}).Draw(t, "state")}
			if trial.State == Succeeded || trial.State == Stopped {
				trial.Losses = []float64{rapid.SampledFrom(losses).Draw(t, "loss")}
				trial.Violation = rapid.SampledFrom([]float64{0, 0, 1, math.Inf(1)}).Draw(t, "violation")
			}
			q.History = append(q.History, trial)
		}
		p, err := a.Next(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := lies(space, p.Point); err != nil {
			t.Fatal(err)
		}
		again, _ := New("bayesianoptimization", given)
		if r, _ := again.Next(q); pointKey(r.Point) != pointKey(p.Point) || p.Parent != None {
			t.Fatalf("%v, then %v", p, r)
		}
	})
}

// history plays n random trials on a loss.
func randomHistory(s *Space, n int, loss func(Point) float64) []Trial {
	rng := rand.New(rand.NewPCG(1, 2))
	e := newEmbedding(s)
	var out []Trial
	for len(out) < n {
		z := make([]float64, len(e.axes))
		for j := range z {
			z[j] = e.axes[j].at(rng.Float64())
		}
		if x := e.point(z); s.May(x) {
			out = append(out, Trial{Proposal: Proposal{Point: x, Parent: None}, Number: len(out), State: Succeeded, Losses: []float64{loss(x)}})
		}
	}
	return out
}

func unitSpace(d int) *Space {
	s := &Space{}
	for j := range d {
		s.Parameters = append(s.Parameters, Parameter{Name: fmt.Sprintf("x%d", j), Max: 1})
	}
	return s
}

func bowl(x Point) float64 {
	sum := 0.0
	for _, v := range x {
		sum += (v - 0.3) * (v - 0.3)
	}
	return sum
}

// TestBayesFinds: after 15 trials of a bowl the next one is near its bottom.
func TestBayesFinds(t *testing.T) {
	for estimator, within := range map[string]float64{"GP": 0.001, "RF": 0.1, "ET": 0.1, "GBRT": 0.25} {
		q := Query{Space: unitSpace(2), History: randomHistory(unitSpace(2), 30, bowl), Seed: 3, Workers: 1}
		p, err := newTestBayes(t, "base_estimator", estimator, "acq_func", "PI").Next(q)
		if err != nil || bowl(p.Point) > within {
			t.Errorf("%s proposes %v, a loss of %g; %v", estimator, p.Point, bowl(p.Point), err)
		}
	}
}

// TestBayesSpreads: trials that run are not proposed again, nor is what is next to them.
func TestBayesSpreads(t *testing.T) {
	q := Query{Space: unitSpace(2), History: randomHistory(unitSpace(2), 12, bowl), Seed: 3, Workers: 4}
	for _, estimator := range estimators {
		q := q
		for range 4 {
			p, err := newTestBayes(t, "base_estimator", estimator).Next(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range q.History {
				if d := math.Hypot(h.Point[0]-p.Point[0], h.Point[1]-p.Point[1]); d < 1e-6 {
					t.Errorf("%s: %v is proposed again as %v", estimator, h.Point, p.Point)
				}
			}
			q.History = append(slices.Clip(q.History), Trial{Proposal: p, Number: len(q.History)})
		}
	}
}

// TestBayesExhausts a finite space: no point comes twice while another is left.
func TestBayesExhausts(t *testing.T) {
	space := &Space{Parameters: []Parameter{{Name: "a", Kind: Int, Min: 1, Max: 5}, {Name: "b", Kind: Categorical, List: []string{"x", "y", "z"}}}}
	for _, estimator := range estimators {
		a, seen := newTestBayes(t, "base_estimator", estimator, "n_initial_points", "3"), map[string]bool{}
		q := Query{Space: space, Workers: 1}
		for i := range 16 {
			p, err := a.Next(q)
			if err != nil {
				t.Fatal(err)
			}
			seen[pointKey(p.Point)] = true
			if want := min(i+1, 15); len(seen) != want {
				t.Fatalf("%s: %d points in %d trials", estimator, len(seen), i+1)
			}
			q.History = append(q.History, Trial{Proposal: p, Number: i, State: Succeeded, Losses: []float64{p.Point[0]}})
		}
	}
}

// TestBayesAvoids what failed or violates a constraint, though losses are best there.
func TestBayesAvoids(t *testing.T) {
	for _, state := range []State{Failed, Succeeded} {
		q := Query{Space: unitSpace(2), History: randomHistory(unitSpace(2), 30, bowl), Seed: 3, Workers: 1}
		for i := range q.History {
			h := &q.History[i]
			if h.Point[0] > 0.45 {
				continue
			}
			if h.State = state; state == Failed {
				h.Losses = nil
			} else {
				h.Violation = 1
			}
		}
		p, err := newTestBayes(t).Next(q)
		if err != nil || p.Point[0] < 0.4 {
			t.Errorf("state %v: proposes %v where trials went wrong; %v", state, p.Point, err)
		}
	}
}

func TestBayesNowhere(t *testing.T) {
	space := unitSpace(1)
	space.Feasible = func(Point) bool { return false }
	if _, err := newTestBayes(t).Next(Query{Space: space, Workers: 1}); !errors.Is(err, errInfeasible) {
		t.Errorf("no point may be tried: %v", err)
	}
}

func TestBayesSettings(t *testing.T) {
	var setting *SettingError
	for _, bad := range []Setting{{"base_estimator", "SVM"}, {"n_initial_points", "0"}, {"acq_func", "UCB"}, {"gamma", "1"}} {
		if _, err := New("bayesianoptimization", []Setting{bad}); !errors.As(err, &setting) || setting.Name != bad.Name {
			t.Errorf("%v: %v", bad, err)
		}
	}
	q := Query{Space: unitSpace(3), Seed: 1, Workers: 1}
	seeded := newTestBayes(t, "random_state", "5", "n_startup_trials", "20", "acq_optimizer", "lbfgs")
	a, _ := seeded.Next(q)
	q.Seed = 2
	if b, _ := seeded.Next(q); !slices.Equal(a.Point, b.Point) {
		t.Errorf("random_state is not the seed: %v %v", a.Point, b.Point)
	}
}

// BenchmarkBayes is one suggestion; issue 6 asks for less than 250 ms for GP with
// 1,000 observations of 20 parameters.
func BenchmarkBayes(b *testing.B) {
	for _, estimator := range estimators {
		for _, size := range [][2]int{{100, 5}, {100, 20}, {1000, 5}, {1000, 20}} {
			b.Run(fmt.Sprintf("%s/n=%d/d=%d", estimator, size[0], size[1]), func(b *testing.B) {
				space := unitSpace(size[1])
				q := Query{Space: space, History: randomHistory(space, size[0], bowl), Workers: 1}
				a := newTestBayes(b, "base_estimator", estimator)
				for b.Loop() {
					if _, err := a.Next(q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
