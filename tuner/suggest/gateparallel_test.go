package suggest

import (
	"strings"
	"testing"
)

// parallelLoss is what an algorithm may lose of its gain over random search when four
// trials run at once, at an equal number of trials.
const parallelLoss = 0.10

// Four trials at once, ending in any order, lose next to nothing against one after
// another. The gain is (random - ours)/(random - optimum), the mean over the functions at
// one budget; random is what optuna-random reached.
func TestParallel(t *testing.T) {
	references, all := readReferences(t), objectives(t)
	for _, name := range []string{"tpe", "multivariate-tpe", "bayesianoptimization", "cmaes", "auto"} {
		if !strings.Contains(name, *gateAlgo) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			heavy := !strings.HasSuffix(name, "tpe")
			seeds, budget, allowed := 20, 100, parallelLoss
			switch {
			case heavy && !*gateFull:
				t.Skip("takes long: make bench runs it")
			case heavy:
				seeds, budget = 8, 50
			case !*gateFull:
				seeds, allowed = 6, 2*parallelLoss
			}
			var gains [2]float64
			cells := 0.0
			for i := range all {
				o := &all[i]
				if !*gateFull && !strings.Contains("branin hartmann6 mixed levy8", o.name) || o.noise > 0 {
					continue // noise is drawn trial by trial: it differs with the order
				}
				random := references["optuna-random"][cell{o.name, budget}].mean
				for k, workers := range []int{1, 4} {
					out := playAll(t, name, nil, o, seeds, budget, workers)
					gains[k] += (random - mean(out[budget])) / (random - o.optimum)
				}
				cells++
			}
			lost := 1 - gains[1]/gains[0]
			t.Logf("at %d trials: gain over random %.3f one by one, %.3f four at once: %.1f %% lost", budget, gains[0]/cells, gains[1]/cells, 100*lost)
			if lost > allowed {
				t.Errorf("loses %.1f %% of its gain over random search", 100*lost)
			}
		})
	}
}
