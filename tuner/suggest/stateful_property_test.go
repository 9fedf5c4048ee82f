package suggest

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// The same as TestProposalsLieInSpace, for those with generations and rungs.
func TestStatefulProposalsLieInSpace(t *testing.T) {
	for _, a := range []struct {
		name     string
		settings []Setting
	}{
		{"cmaes", []Setting{{"popsize", "3"}, {"restart_strategy", "ipop"}}},
		{"asha", []Setting{{"max_resource", "9"}}},
		{"pbt", []Setting{{"n_population", "5"}, {"resample_probability", "0.5"}}},
	} {
		t.Run(a.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := anySpace(t)
				chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "chance"), 0))
				old, err := New(a.name, a.settings)
				if err != nil {
					t.Fatal(err)
				}
				var history []Trial
				for i := range 20 {
					q := Query{Space: s, History: history, Seed: 5, Budget: 20, Workers: 3}
					p, err := old.Next(q)
					if errors.Is(err, ErrWait) {
						endSome(history, 1, chance)
						continue
					}
					if err != nil {
						t.Fatalf("trial %d in %+v: %v", i, s.Parameters, err)
					}
					if w := wrong(s, p.Point); w != "" {
						t.Fatalf("trial %d in %+v: %s", i, s.Parameters, w)
					}
					fresh, _ := New(a.name, a.settings)
					if again, err := fresh.Next(q); err != nil || again.Point.key() != p.Point.key() || again.Parent != p.Parent {
						t.Fatalf("trial %d: proposes %v, asked again %v, %v", i, p, again, err)
					}
					history = append(history, Trial{Proposal: p, Number: len(history)})
					endSome(history, 1, chance)
				}
			})
		})
	}
}

// The strategy and the process that screens its draws see only the order of losses.
func TestCMAESOrderOnly(t *testing.T) {
	o := mixedObjective()
	plain := drawnHistory(t, &o.space, 40, 3, func(x Point) []float64 { return []float64{o.value(x)} })
	bent := drawnHistory(t, &o.space, 40, 3, func(x Point) []float64 { return []float64{math.Exp(5*o.value(x)) - 7} })
	p, err := newOrFail(t, "cmaes").Next(Query{Space: &o.space, History: plain, Seed: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := newOrFail(t, "cmaes").Next(Query{Space: &o.space, History: bent, Seed: 1, Workers: 1})
	if err != nil || p.Point.key() != q.Point.key() {
		t.Errorf("%v, with bent losses %v, %v", p.Point, q.Point, err)
	}
}
