package suggest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// drawnHistory is trials by chance with a loss each; a NaN loss is a failed trial.
func drawnHistory(t testing.TB, s *Space, n int, seed uint64, losses func(Point) []float64) []Trial {
	t.Helper()
	chance, axes := rand.New(rand.NewPCG(seed, 1)), s.axes()
	var out []Trial
	for i := range n {
		trial := Trial{Proposal: Proposal{Point: s.draw(axes, chance), Parent: None}, Number: i, State: Succeeded}
		if trial.Losses = losses(trial.Point); math.IsNaN(trial.Losses[0]) {
			trial.State, trial.Losses = Failed, nil
		}
		out = append(out, trial)
	}
	return out
}

// The order of importance is that of how strongly a parameter acts, whatever its kind,
// and a parameter that does nothing has next to none.
func TestImportanceOrder(t *testing.T) {
	s := &Space{Parameters: []Parameter{
		double("idle", -1, 1), double("strong", -1, 1), integer("weak", 0, 10), choice("idlekind", "a b c"), choice("kind", "a b c d")}}
	history := drawnHistory(t, s, 400, 1, func(x Point) []float64 {
		return []float64{10*x[1]*x[1] + 0.05*x[2] + 3*float64(min(1, int(x[4])))}
	})
	got, err := Importance(s, history)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range got {
		sum += v
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("importance sums to %v: %v", sum, got)
	}
	if !(got[1] > got[2] && got[4] > got[2] && got[2] > got[0] && got[0] < 0.05 && got[3] < 0.05) {
		t.Errorf("importance %.3f of idle, strong, weak, idle kind, kind", got)
	}
}

// Of a conditional parameter it counts that it is there.
func TestImportanceCondition(t *testing.T) {
	s := &Space{Parameters: []Parameter{choice("kind", "a b"), double("x", 0, 1), double("idle", 0, 1)}}
	s.Parameters[1].When = &When{Parameter: 0, In: []float64{1}}
	history := drawnHistory(t, s, 200, 2, func(x Point) []float64 {
		if math.IsNaN(x[1]) {
			return []float64{1}
		}
		return []float64{x[1] / 2}
	})
	got, err := Importance(s, history)
	if err != nil {
		t.Fatal(err)
	}
	if !(got[1] > got[0] && got[0] > 3*got[2]) {
		t.Errorf("importance %.3f of kind, x, idle", got)
	}
}

func TestImportanceFew(t *testing.T) {
	s := cube(2, 0, 1)
	if _, err := Importance(&s, drawnHistory(t, &s, 3, 1, func(x Point) []float64 { return x[:1] })); err == nil {
		t.Error("3 trials are no ground for importance")
	}
	same, err := Importance(&s, drawnHistory(t, &s, 30, 1, func(x Point) []float64 { return []float64{7} }))
	if err != nil || same[0] != 0 || same[1] != 0 {
		t.Errorf("trials that all came to the same: %v, %v; want zeros", same, err)
	}
}
