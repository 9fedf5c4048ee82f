package suggest

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The gates of shared/tuning/README.md: our mean best value so far, over the seeds
// 0..n-1, against what other libraries reached. A plain run of the tests plays a few
// cells and fails only where we are worse beyond doubt; `make bench` plays all.
var (
	gateFull    = flag.Bool("gate.full", false, "play every cell, with as many seeds as the peers")
	gateSeeds   = flag.Int("gate.seeds", 0, "seeds in place of the peers' number (0)")
	gateFirst   = flag.Uint64("gate.first", 0, "first seed; others than 0 are for trying out changes on seeds that no gate uses")
	gateAlgo    = flag.String("gate.algo", "", "only the gates whose name contains this")
	gateFunc    = flag.String("gate.func", "", "only these functions, by commas")
	gateBudget  = flag.Int("gate.budget", 200, "no cells with more trials than this")
	gateWorkers = flag.Int("gate.workers", 1, "trials at once")
)

// gate is one of our algorithms with the peers of its family.
type gate struct {
	name     string // of the row; the algorithm's own where it has only one
	settings []Setting
	peers    []string
	quick    string // functions of a plain test run, by commas
	trials   int    // and its budget, one of 25, 50, 100, 200
	seeds    int    // and its seeds: many where they cost nothing, so that luck tells less
	most     int    // seeds of a whole run where the peers' number takes too long; 0: theirs
}

var gates = []gate{
	{"random", nil, []string{"optuna-random", "optuna-qmc"}, "branin,mixed,table_mlp", 100, 100, 0},
	{"sobol", nil, []string{"optuna-random", "optuna-qmc"}, "branin,mixed,table_mlp", 100, 100, 0},
	{"tpe", nil, []string{"optuna-tpe-univariate", "hyperopt-tpe"}, "branin,mixed,cat_heavy,sphere10", 100, 10, 0},
	{"multivariate-tpe", nil, []string{"optuna-tpe"}, "branin,mixed,cat_heavy,sphere10", 100, 10, 0},
	{"bayesianoptimization", nil, []string{"optuna-gp", "skopt-gp"}, "branin,mixed", 25, 4, 0},
	{"bayesianoptimization rf", []Setting{{"base_estimator", "RF"}}, []string{"skopt-rf", "skopt-et"}, "mixed", 25, 4, 0},
	{"bayesianoptimization et", []Setting{{"base_estimator", "ET"}}, []string{"skopt-rf", "skopt-et"}, "mixed", 25, 4, 0},
	{"bayesianoptimization gbrt", []Setting{{"base_estimator", "GBRT"}}, []string{"skopt-et"}, "mixed", 25, 4, 0},
	{"cmaes", nil, []string{"optuna-cmaes", "cmaes-ipop", "pycma-bipop"}, "branin,sphere10,ackley5", 100, 6, 0},
	{"cmaes ipop", []Setting{{"restart_strategy", "ipop"}}, []string{"optuna-cmaes", "cmaes-ipop", "pycma-bipop"}, "rosenbrock10", 100, 6, 0},
	{"cmaes bipop", []Setting{{"restart_strategy", "bipop"}}, []string{"optuna-cmaes", "cmaes-ipop", "pycma-bipop"}, "rosenbrock10", 100, 6, 0},
	{"auto", nil, []string{"optuna-tpe"}, "branin,mixed,cat_heavy", 25, 4, 8},
}

func (g *gate) algorithm() string { return strings.Fields(g.name)[0] }

// budgets are the numbers of trials at which the references tell the best value.
var budgets = []int{25, 50, 100, 200}

// cell is a function and a budget.
type cell struct {
	function string
	budget   int
}

// reference is what a peer reached in a cell.
type reference struct {
	n        int
	mean, se float64
	gate     float64 // what our mean must not be above: mean + se
}

// TestGates plays each family's cells and prints them.
func TestGates(t *testing.T) {
	references, all := readReferences(t), objectives(t)
	for _, g := range gates {
		if !strings.Contains(g.name, *gateAlgo) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			table := gateTable{gate: &g, references: references}
			for i := range all {
				if budget := g.budget(all[i].name, references); budget > 0 {
					table.play(t, &all[i], budget)
				}
			}
			t.Log("\n" + table.String())
			table.judge(t)
		})
	}
}

// budget is how many trials to play on a function; 0: none.
func (g *gate) budget(function string, references map[string]map[cell]reference) int {
	if *gateFunc != "" && !slices.Contains(strings.Split(*gateFunc, ","), function) {
		return 0
	}
	if !*gateFull && *gateFunc == "" && !slices.Contains(strings.Split(g.quick, ","), function) {
		return 0
	}
	most := 0
	for _, p := range g.peers {
		for _, b := range budgets {
			if _, ok := references[p][cell{function, b}]; ok && b <= *gateBudget && (*gateFull || b <= g.trials) {
				most = max(most, b)
			}
		}
	}
	return most
}

// seedsOf is how many seeds to play on a function: as many as the peer with most had.
func (g *gate) seedsOf(function string, references map[string]map[cell]reference) int {
	if *gateSeeds > 0 {
		return *gateSeeds
	}
	if !*gateFull {
		return g.seeds
	}
	n := 0
	for _, p := range g.peers {
		for c, r := range references[p] {
			if c.function == function {
				n = max(n, r.n)
			}
		}
	}
	if g.most > 0 {
		n = min(n, g.most)
	}
	return n
}

// play is one experiment on an objective, the trials' losses as they would be seen:
// the score after each trial that ended, by the rule of shared/tuning. More than one
// worker ends its trials in an order by chance.
func play(name string, given []Setting, o *objective, seed uint64, budget, workers int) ([]float64, error) {
	a, err := New(name, given)
	if err != nil {
		return nil, err
	}
	chance := rand.New(rand.NewPCG(777000, seed))
	var (
		history []Trial
		ends    []float64 // when each trial ends; Inf: it has
		scores  []float64
		now     float64
		seen    = math.Inf(1)
	)
	for len(scores) < budget {
		for running := len(history) - len(scores); running < workers && len(history) < budget; running++ {
			p, err := a.Next(Query{Space: &o.space, History: history, Seed: seed, Budget: budget, Workers: workers})
			if errors.Is(err, ErrWait) && running > 0 {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("trial %d: %w", len(history), err)
			}
			history = append(history, Trial{Proposal: p, Number: len(history)})
			ends = append(ends, now+0.5+chance.Float64())
		}
		next := 0
		for i := range ends {
			if ends[i] < ends[next] {
				next = i
			}
		}
		now, ends[next] = ends[next], math.Inf(1)
		trial, score := &history[next], math.Inf(1)
		if len(scores) > 0 {
			score = scores[len(scores)-1]
		}
		value := o.value(trial.Point)
		loss := value + o.noise*chance.NormFloat64()
		if loss < seen {
			seen, score = loss, value
		}
		trial.State, trial.Losses = Succeeded, []float64{loss}
		scores = append(scores, score)
	}
	return scores, nil
}

// playAll plays seeds 0..n-1 and gives the scores by budget.
func playAll(t testing.TB, name string, given []Setting, o *objective, n, budget, workers int) map[int][]float64 {
	t.Helper()
	var (
		group errgroup.Group
		lock  sync.Mutex
		out   = map[int][]float64{}
	)
	for _, b := range budgets {
		out[b] = make([]float64, n)
	}
	group.SetLimit(2)
	for seed := range n {
		group.Go(func() error {
			scores, err := play(name, given, o, *gateFirst+uint64(seed), budget, workers)
			lock.Lock()
			defer lock.Unlock()
			for _, b := range budgets {
				if b <= len(scores) {
					out[b][seed] = scores[b-1]
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("%s on %s: %v", name, o.name, err)
	}
	return out
}

// readReferences reads references.csv, by peer and cell. A peer is named as in
// shared/tuning/README.md.
func readReferences(t testing.TB) map[string]map[cell]reference {
	t.Helper()
	libraries := map[string]string{"cma": "pycma", "scikit-optimize": "skopt"}
	out := map[string]map[cell]reference{}
	for _, row := range readCSV(t, "references.csv")[1:] {
		library := strings.Fields(row[0])[0]
		peer := cmp.Or(libraries[library], library) + "-" + row[1]
		var v [12]float64
		for i := 3; i < len(row); i++ {
			f, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				t.Fatalf("references.csv: %v", err)
			}
			v[i] = f
		}
		if out[peer] == nil {
			out[peer] = map[cell]reference{}
		}
		out[peer][cell{row[2], int(v[3])}] = reference{n: int(v[4]), mean: v[5], se: v[7], gate: v[11]}
	}
	return out
}
