package suggest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// anySpace is a space of all kinds of parameters, some of them conditional.
func anySpace(t *rapid.T) *Space {
	s := &Space{}
	for i := range rapid.IntRange(1, 6).Draw(t, "parameters") {
		p := anyParameter(t, "p"+strconv.Itoa(i))
		if i > 0 && rapid.IntRange(0, 2).Draw(t, "conditional") == 0 {
			on := rapid.IntRange(0, i-1).Draw(t, "on")
			if c := &s.Parameters[on]; len(c.List) > 0 {
				p.When = &When{Parameter: on, In: []float64{float64(rapid.IntRange(0, len(c.List)-1).Draw(t, "is"))}}
			}
		}
		s.Parameters = append(s.Parameters, p)
	}
	if s.Parameters[0].Kind == Double && rapid.Bool().Draw(t, "constrained") {
		p := s.Parameters[0]
		s.Feasible = func(x Point) bool { return x[0] <= p.Min+(p.Max-p.Min)*0.6 }
	}
	return s
}

func anyParameter(t *rapid.T, name string) Parameter {
	p := Parameter{Name: name, Kind: rapid.SampledFrom([]Kind{Double, Int, Discrete, Categorical}).Draw(t, "kind")}
	if p.Kind == Discrete || p.Kind == Categorical {
		for k := range rapid.IntRange(1, 5).Draw(t, "values") {
			p.List = append(p.List, strconv.Itoa(3*k))
		}
		return p
	}
	p.Distribution = rapid.SampledFrom([]Distribution{Uniform, LogUniform, Normal, LogNormal}).Draw(t, "distribution")
	p.Min = float64(rapid.IntRange(1, 5).Draw(t, "min"))
	if !p.Log() {
		p.Min -= 10
	}
	p.Max = p.Min + float64(rapid.IntRange(0, 20).Draw(t, "range"))
	if rapid.Bool().Draw(t, "stepped") {
		p.Step = rapid.SampledFrom([]float64{1, 2, 3}).Draw(t, "step")
		if p.Kind == Double {
			p.Step /= 4
		}
	}
	return p
}

// wrong says what of a point is not as the space wants it; empty: nothing.
func wrong(s *Space, x Point) string {
	if len(x) != len(s.Parameters) {
		return fmt.Sprintf("%d values for %d parameters", len(x), len(s.Parameters))
	}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		if !s.Active(x, i) {
			if !math.IsNaN(x[i]) {
				return fmt.Sprintf("%s is %v, its condition does not hold", p.Name, x[i])
			}
			continue
		}
		if math.IsNaN(x[i]) || p.Round(x[i]) != x[i] {
			return fmt.Sprintf("%s is %v: out of its range or between its values", p.Name, x[i])
		}
	}
	if !s.May(x) {
		return fmt.Sprintf("%v is not feasible", x)
	}
	return ""
}

// ours are the algorithms that these properties are about, by how they are asked for.
var ours = map[string]func() (Algorithm, error){
	"random":           func() (Algorithm, error) { return New("random", nil) },
	"grid":             func() (Algorithm, error) { return New("grid", nil) },
	"sobol":            func() (Algorithm, error) { return New("sobol", nil) },
	"tpe":              func() (Algorithm, error) { return New("tpe", []Setting{{"n_startup_trials", "3"}}) },
	"multivariate-tpe": func() (Algorithm, error) { return New("multivariate-tpe", []Setting{{"n_startup_trials", "3"}}) },
	"grouped": func() (Algorithm, error) {
		return New("multivariate-tpe", []Setting{{"n_startup_trials", "3"}, {"group", "true"}})
	},
	"auto": func() (Algorithm, error) { return New("auto", nil) },
}

// Whatever a space is like and whatever comes of the trials, in whatever order they
// end: each proposal lies in the space, and an algorithm made anew proposes the same.
func TestProposalsLieInSpace(t *testing.T) {
	for name, build := range ours {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := anySpace(t)
				objectives := rapid.IntRange(1, 2).Draw(t, "objectives")
				chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "chance"), 0))
				old, err := build()
				if err != nil {
					t.Fatal(err)
				}
				var history []Trial
				for i := range 14 {
					q := Query{Space: s, History: history, Seed: 5, Budget: 14, Workers: 3}
					p, err := old.Next(q)
					if errors.Is(err, ErrExhausted) || name == "grid" && err != nil {
						return
					}
					if err != nil {
						t.Fatalf("trial %d in %+v: %v", i, s.Parameters, err)
					}
					if w := wrong(s, p.Point); w != "" {
						t.Fatalf("trial %d in %+v: %s", i, s.Parameters, w)
					}
					fresh, _ := build()
					if again, err := fresh.Next(q); err != nil || again.Point.key() != p.Point.key() {
						t.Fatalf("trial %d: proposes %v, asked again %v, %v", i, p.Point, again.Point, err)
					}
					history = append(history, Trial{Proposal: p, Number: i})
					endSome(history, objectives, chance)
				}
			})
		})
	}
}

// endSome ends running trials by chance, in all ways that trials end.
func endSome(history []Trial, objectives int, chance *rand.Rand) {
	for i := range history {
		t := &history[i]
		if t.State != Running || chance.IntN(2) == 0 {
			continue
		}
		t.State = []State{Succeeded, Succeeded, Stopped, Failed}[chance.IntN(4)]
		if t.State == Failed {
			continue
		}
		for range objectives {
			t.Losses = append(t.Losses, []float64{chance.NormFloat64(), 1, math.Inf(1), math.Inf(-1)}[min(3, chance.IntN(8))])
		}
		if chance.IntN(4) == 0 {
			t.Violation = chance.Float64()
		}
	}
}

// The estimators see only the order of losses.
func TestTPEOrderOnly(t *testing.T) {
	o := mixedObjective()
	for _, name := range []string{"tpe", "multivariate-tpe"} {
		a, _ := New(name, nil)
		plain := drawnHistory(t, &o.space, 40, 3, func(x Point) []float64 { return []float64{o.value(x)} })
		bent := drawnHistory(t, &o.space, 40, 3, func(x Point) []float64 { return []float64{math.Exp(5*o.value(x)) - 7} })
		p, err := a.Next(Query{Space: &o.space, History: plain, Seed: 1, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		q, err := a.Next(Query{Space: &o.space, History: bent, Seed: 1, Workers: 1})
		if err != nil || p.Point.key() != q.Point.key() {
			t.Errorf("%s: %v, with bent losses %v, %v", name, p.Point, q.Point, err)
		}
	}
}
