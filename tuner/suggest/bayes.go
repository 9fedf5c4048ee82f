package suggest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// bayes is Bayesian optimization: a surrogate model of the losses, and each proposal
// where the model promises most.
//
// Settings, Katib's names with its defaults unless said otherwise:
//
//	base_estimator    GP: a Gaussian process (Rasmussen and Williams 2006); RF: a random
//	                  forest (Breiman 2001; Hutter and others 2011); ET: extremely
//	                  randomized trees (Geurts and others 2006); GBRT: gradient boosting
//	                  of the quantiles 0.16, 0.5 and 0.84 (Friedman 2001)
//	n_initial_points  10 trials spread over the space before the model is asked;
//	                  n_startup_trials is the same
//	acq_func          EI (Katib's is gp_hedge): the expected improvement, in logarithms;
//	                  PI, LCB; gp_hedge draws one of the three (Hoffman and others 2011);
//	                  EIps and PIps divide by the seconds of a trial, which a history
//	                  does not tell: they are EI and PI
//	acq_optimizer     auto, lbfgs: candidates, then local searches by the gradient;
//	                  sampling: candidates only, as always with trees: the peaks of
//	                  their steps are mostly errors, and climbing them did harm
//	n_ei_candidates   2048 candidates
//	random_state      a seed in place of the experiment's
//
// A proposal takes O(n³) for n trials up to gpFitLimit, and no longer above.
type bayes struct {
	estimator  string
	initial    int
	function   string
	optimizer  string
	candidates int
	seed       uint64
	seeded     bool
}

func newBayes(s *settings) Algorithm {
	b := &bayes{
		estimator: s.oneOf("base_estimator", "GP", "GP", "RF", "ET", "GBRT"),
		initial:   s.int("n_startup_trials", 10, 1),
		function:  s.oneOf("acq_func", "EI", "gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"),
		optimizer: s.oneOf("acq_optimizer", "auto", "auto", "sampling", "lbfgs"),
	}
	b.initial = s.int("n_initial_points", b.initial, 1)
	b.candidates = s.int("n_ei_candidates", 2048, 1)
	if seed := s.int("random_state", -1, 0); seed >= 0 {
		b.seed, b.seeded = uint64(seed), true
	}
	return b
}

// maxDraws is how many points are drawn to find one that may be tried.
const maxDraws = 20000

var errInfeasible = errors.New("no point was found that the constraints on parameters allow")

func (b *bayes) Next(q Query) (Proposal, error) {
	if b.seeded {
		q.Seed = b.seed
	}
	e, rng := newEmbedding(q.Space), q.Rand()
	d := newBayesData(e, q.History, rng)
	var x Point
	if len(q.History) < b.initial || len(d.x) == 0 || len(e.axes) == 0 {
		x = b.start(e, d, q.Seed, len(q.History), rng)
	} else {
		x = b.search(e, d, rng)
	}
	if x == nil {
		return Proposal{}, errInfeasible
	}
	return Proposal{Point: x, Parent: None}, nil
}

// start is one of the initial points: of a Latin hypercube by the experiment's seed, or
// drawn where that was tried or may not be, or has been used up by trials that failed.
func (b *bayes) start(e *embedding, d *bayesData, seed uint64, number int, rng *rand.Rand) Point {
	if number < b.initial {
		z := latin(e, b.initial, rand.New(rand.NewPCG(seed, math.MaxUint64)))[number]
		if x := e.point(z); e.space.May(x) && !d.tried[pointKey(x)] {
			return x
		}
	}
	var any Point
	for i := range maxDraws {
		z := make([]float64, len(e.axes))
		for j := range z {
			z[j] = e.axes[j].quantile(rng.Float64())
		}
		x := e.point(z)
		if !e.space.May(x) {
			continue
		}
		if any = x; !d.tried[pointKey(x)] || i > 1000 {
			return x
		}
	}
	return any
}

// latin is a Latin hypercube of n points (McKay and others 1979), the one of some in
// which the two nearest points are farthest apart (Morris and Mitchell 1995).
func latin(e *embedding, n int, rng *rand.Rand) [][]float64 {
	cat, best, bestGap := categories(e), [][]float64(nil), -1.0
	for range 20 {
		x := make([][]float64, n)
		for i := range x {
			x[i] = make([]float64, len(e.axes))
		}
		for j := range e.axes {
			for i, k := range rng.Perm(n) {
				x[i][j] = e.axes[j].quantile((float64(k) + rng.Float64()) / float64(n))
			}
		}
		gap := math.Inf(1)
		for i := range min(n, 50) {
			for k := range i {
				gap = math.Min(gap, apart(cat, x[i], x[k]))
			}
		}
		if gap > bestGap {
			best, bestGap = x, gap
		}
	}
	return best
}

func categories(e *embedding) []bool {
	cat := make([]bool, len(e.axes))
	for j := range e.axes {
		cat[j] = e.axes[j].categorical()
	}
	return cat
}

// search is where the surrogate model promises most.
func (b *bayes) search(e *embedding, d *bayesData, rng *rand.Rand) Point {
	s := &acqSearch{e: e, rng: rng, tried: d.tried, known: slices.Concat(d.x, d.running, d.failed), n: b.candidates}
	for _, i := range d.best(5) {
		s.near = append(s.near, slices.Clone(d.x[i]))
	}
	var m promise
	if b.estimator == "GP" {
		g := newGPModel(categories(e), d, rng)
		m, s.climb, s.reach = g, b.optimizer != "sampling", g.reach()
	} else {
		m = b.newTreeModel(e, d, rng)
		s.reach = make([]float64, len(e.axes))
		for j := range s.reach {
			s.reach[j] = 0.5
		}
	}
	return b.hedge(s, m)
}

// promise is a model that acquisition functions can be taken of.
type promise interface {
	value(f acquisition) func(z, grad []float64) float64
	expect(z []float64) float64 // the loss, standardized
}

// hedge runs the search for the acquisition function, or for all three of a portfolio.
// Hoffman's gains add up over the experiment what each function's nominees turned out
// to be worth; as nothing is kept between two calls, they are here what the model of
// now expects of the nominees of now.
func (b *bayes) hedge(s *acqSearch, m promise) Point {
	functions := map[string]acquisition{"EI": logEI, "EIps": logEI, "PI": logPI, "PIps": logPI, "LCB": lowerBound}
	if f := functions[b.function]; f != nil {
		s.value = m.value(f)
		return s.run()
	}
	var nominees []Point
	var gains []float64
	for _, f := range []acquisition{logEI, logPI, lowerBound} {
		s.value = m.value(f)
		x := s.run()
		if x == nil {
			return nil
		}
		nominees, gains = append(nominees, x), append(gains, math.Exp(-m.expect(s.e.vector(x))))
	}
	u := s.rng.Float64() * (gains[0] + gains[1] + gains[2])
	for i, g := range gains {
		if u -= g; u < 0 {
			return nominees[i]
		}
	}
	return nominees[0]
}
