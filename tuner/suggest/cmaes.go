package suggest

import "fmt"

// cmaes is the covariance matrix adaptation evolution strategy: a normal distribution
// over the numeric parameters that moves, stretches and turns towards what was good.
//
//	Hansen, "The CMA Evolution Strategy: A Tutorial", 2016 (the update, with negative weights)
//	Auger & Hansen, "A restart CMA-ES with increasing population size", 2005 (ipop)
//	Hansen, "Benchmarking a BI-population CMA-ES on BBOB-2009", 2009 (bipop)
//	Hansen, "Injecting external solutions into CMA-ES", 2011 (members drawn elsewhere)
//	Hamano, Saito, Nomura & Shirakawa, "CMA-ES with Margin", 2022 (ints and steps)
//	Bajer, Pitra, Repický & Holeňa, "Gaussian process surrogate models for the CMA-ES", 2019 (screening)
//
// Shapes: d numeric parameters in the box [0,1]^d, logarithmic ones on their own scale,
// those with steps as cells of it; a generation of popsize (4 + 3 ln d) trials.
// The first mean is the middle of the box, as in other libraries, with a deviation of
// sigma (1/6) of each range: what has its optimum there is found sooner than it should.
// A restart begins at a random mean.
//
// There is no state but the history. Trials make up generations by number, popsize
// each; the distribution is the one after the last generation whose trials have all
// ended, replayed from the first. While some of a generation still run, further trials
// are drawn from the distribution there is and count for the next generation, as
// injected ones. A trial that still runs when 40 after it have ended, and one that
// failed, counts as its generation's worst.
//
// Of several draws from the distribution the one is proposed that a Gaussian process on
// the ranks of the losses so far expects most of: like the strategy itself it sees
// ranks alone, so that no monotone change of the loss changes a proposal.
// Categorical parameters have frequencies of their own (see cmaCategories), that are
// drawn from, screened in the same way and learnt from the generation's better half.
//
// A memo keeps what was replayed: in sequence a proposal with 1,000 observations of 20
// parameters takes under 1 ms of processor time, with no memo (another process) some 6 ms.
//
// Settings: sigma, popsize, restart_strategy (none; ipop: a restart with twice the
// population when the run has converged; bipop: such ones and small ones in turn),
// random_state.
type cmaes struct {
	sigma    float64 // first deviation, in ranges
	popsize  int     // 0: 4 + 3 ln d
	strategy string  // none, ipop, bipop
	seed     fixedSeed
	memo     cmaMemo
}

func newCMAES(s *settings) Algorithm {
	return &cmaes{
		sigma:    s.float("sigma", 1.0/6, 1e-6, 1),
		popsize:  s.int("popsize", 0, 2),
		strategy: s.oneOf("restart_strategy", "none", "none", "ipop", "bipop"),
		seed:     s.randomState(),
	}
}

// cmaDraws is how many points are drawn to find one that may be tried.
const cmaDraws = 2000

// Next is ErrExhausted when no feasible point is found.
func (a *cmaes) Next(q Query) (Proposal, error) {
	q.Seed = a.seed.of(&q)
	coding := newCMACoding(q.Space)
	run := a.memo.replay(a, coding, &q)
	rng := q.Rand()
	var pool []cmaPoint
	want := cmaPool(len(q.History))
	been := q.been()
	for draw := 0; draw < cmaDraws && len(pool) < want; draw++ {
		// Where the distribution has only points that were tried, or may not be, it is widened
		// step by step.
		wide := 1.0
		if draw > 2*want {
			wide = 1 + 8*float64(draw-2*want)/cmaDraws
		}
		c := run.draw(rng, wide)
		if draw > cmaDraws/2 {
			c = coding.uniform(rng)
		}
		if c.point = coding.point(c); q.Space.May(c.point) && (draw > cmaDraws*9/10 || !been[c.point.key()]) {
			pool = append(pool, c)
		}
	}
	if len(pool) == 0 {
		return Proposal{}, fmt.Errorf("cmaes: none of %d points drawn may be tried by the experiment's constraints: %w", cmaDraws, ErrExhausted)
	}
	best := run.best(pool, &q)
	return Proposal{Point: pool[best].point, Parent: None}, nil
}
