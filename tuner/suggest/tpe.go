package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// tpe is the tree-structured Parzen estimator of Bergstra et al., "Algorithms for
// Hyper-Parameter Optimization" (NIPS 2011), each parameter by itself (Katib's "tpe");
// or, as in Falkner et al., "BOHB" (ICML 2018), all together ("multivariate-tpe").
//
// The trials so far are divided in good ones and bad ones, and of some candidates drawn
// from the density l of the good ones the one with the highest l/g is proposed, g being
// that of the bad ones: the one with the highest expected improvement. The first trials
// are points of a scrambled Sobol sequence. Of several objectives the good trials are
// those of the best Pareto ranks, the last rank's by hypervolume (Ozaki et al., GECCO
// 2020).
//
// Other than the papers, after a look at what each part does (Watanabe, "Tree-Structured
// Parzen Estimator: Understanding Its Algorithm Components and Their Roles for Better
// Empirical Performance", 2023): better ones of the good trials weigh more (byRank), their
// kernels may be narrower (sharpness), and a point of a countable space does not come
// twice.
type tpe struct {
	seed       fixedSeed
	startup    int     // trials that end before the estimators are asked
	candidates int     // drawn from l
	gamma      float64 // good trials: ceil(gamma * sqrt(n)), at most 25; 0: a tenth of all
	shape      shape
	joint      bool // all parameters in one estimator
	group      bool // joint: those with the same condition in one each
	liar       bool // running trials count as bad
}

// newTPE takes Katib's settings and their names in other libraries:
//
//	gamma          1 over 0: good trials are ceil(gamma*sqrt(n)) of n; without it ceil(n/10); never more than 25
//	prior_weight   above 0: weight of the prior beside each trial's 1; 1
//	n_EI_candidates, n_ei_candidates   24
//	n_startup_trials  10
//	constant_liar  running trials count as bad; true
//	consider_magic_clip  true
//	consider_endpoints  false
//	random_state   in place of the experiment's seed
func newTPE(s *settings) Algorithm { return parzenSettings(s, 24) }

func parzenSettings(s *settings, candidates int) *tpe {
	return &tpe{
		gamma:      s.float("gamma", 0, 1e-6, 100),
		candidates: s.int("n_EI_candidates", candidates, 1),
		startup:    s.int("n_startup_trials", 10, 1),
		liar:       s.bool("constant_liar", true),
		shape: shape{
			prior:     s.float("prior_weight", 1, 1e-6, 1e6),
			magicClip: s.bool("consider_magic_clip", true),
			endpoints: s.bool("consider_endpoints", false),
		},
		seed: s.randomState(),
	}
}

func (t *tpe) Next(q Query) (Proposal, error) {
	q.Seed = t.seed.of(&q)
	n := ended(q.History)
	if n < t.startup {
		return sobol{}.Next(q)
	}
	axes, chance, been := q.Space.axes(), q.Rand(), q.been()
	good, bad := divide(q.History, t.good(n), t.liar)
	l, g := sideOf(&q, good, byRank(len(good))), sideOf(&q, bad, byAge(len(bad)))
	var pairs []pair
	for _, at := range t.groups(q.Space) {
		fine, plain := t.shape, t.shape
		fine.exponent, plain.exponent = sharpness(len(at)), 1
		pairs = append(pairs, pair{at, l.mixture(axes, at, fine), g.mixture(axes, at, plain)})
	}
	// Each further attempt is less greedy, until a point is allowed and new.
	for attempt := range attempts {
		if x := t.compose(q.Space, pairs, max(1, t.candidates>>attempt), chance, been); x != nil {
			return Proposal{Point: x, Parent: None}, nil
		}
	}
	x, err := q.Space.fresh(axes, chance, been)
	return Proposal{Point: x, Parent: None}, err
}

// attempts is how often the estimators are asked for a point that the space allows and
// that has not been, before one is drawn by chance.
const attempts = 50

// good is how many of n trials are good.
func (t *tpe) good(n int) int {
	part := math.Ceil(0.1 * float64(n))
	if t.gamma > 0 {
		part = math.Ceil(t.gamma * math.Sqrt(float64(n)))
	}
	return int(math.Min(part, 25))
}

// sharpness is the exponent of the least width of the good trials' kernels over so many
// axes. Where axes are few the good trials may close in on a minimum faster than the
// first implementation's 1 lets them; of many axes each one's neighbours tell little, and
// narrow kernels would stay where they are.
func sharpness(axes int) float64 { return math.Min(1.5, 1+1.5/float64(axes)) }

// groups are the places of the parameters that share an estimator, in the space's order.
func (t *tpe) groups(s *Space) (out [][]int) {
	for i := range s.Parameters {
		k := -1
		if t.joint {
			k = slices.IndexFunc(out, func(at []int) bool {
				return !t.group || sameCondition(s.Parameters[at[0]].When, s.Parameters[i].When)
			})
		}
		if k < 0 {
			out = append(out, []int{i})
		} else {
			out[k] = append(out[k], i)
		}
	}
	return out
}

func sameCondition(a, b *When) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Parameter == b.Parameter && slices.Equal(a.In, b.In)
}

// pair is the estimators of the good and the bad trials over some parameters.
type pair struct {
	at        []int
	good, bad *mixture
}

// compose proposes a point, group by group; nil: the space does not allow it, or it has
// been.
func (t *tpe) compose(s *Space, pairs []pair, candidates int, chance *rand.Rand, been map[string]bool) Point {
	x := make(Point, len(s.Parameters))
	for i := range x {
		x[i] = math.NaN()
	}
	whole := func(x Point) bool { return s.May(x) && !been[x.key()] }
	if len(pairs) == 1 {
		return pairs[0].best(s, x, candidates, chance, whole)
	}
	for i := range pairs {
		if x = pairs[i].best(s, x, candidates, chance, nil); x == nil {
			return nil
		}
	}
	if !whole(x) {
		return nil
	}
	return x
}

// best fills in the group's parameters with the best of some candidates, of those that
// may be; nil: none may.
func (p *pair) best(s *Space, x Point, candidates int, chance *rand.Rand, may func(Point) bool) Point {
	var (
		best  Point
		most  float64
		part  = make([]float64, len(p.at))
		room  = make([]float64, 0, len(p.bad.logs)+len(p.good.logs))
		drawn = make(Point, len(x))
	)
	for range candidates {
		copy(drawn, x)
		j := p.good.pick(chance)
		for k, i := range p.at {
			part[k] = math.NaN()
			if s.Active(drawn, i) {
				part[k] = p.good.columns[k].draw(j, chance)
			}
			drawn[i] = part[k]
		}
		if may != nil && !may(drawn) {
			continue
		}
		if score := p.good.density(part, room) - p.bad.density(part, room); best == nil || score > most {
			best, most = slices.Clone(drawn), score
		}
	}
	return best
}

// side is the trials that an estimator is made of.
type side struct {
	points  []Point
	weights []float64
}

func sideOf(q *Query, trials []int, weights []float64) side {
	s := side{weights: weights}
	for _, i := range trials {
		s.points = append(s.points, q.History[i].Point)
	}
	return s
}

// mixture is the estimator over a group's parameters, of the trials that have any.
func (s side) mixture(axes []axis, at []int, shape shape) *mixture {
	var points []Point
	var weights []float64
	for j, x := range s.points {
		if slices.ContainsFunc(at, func(i int) bool { return !math.IsNaN(x[i]) }) {
			points, weights = append(points, x), append(weights, s.weights[j])
		}
	}
	return newMixture(axes, at, points, weights, shape)
}

// byAge are weights of n trials, oldest first: 1 for the last 25, the others less and
// less, as if they were slowly forgotten.
func byAge(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
		if old := n - 25; i < old && old > 1 {
			out[i] = (1 + float64(i)*(float64(n)-1)/float64(old-1)) / float64(n)
		}
	}
	return out
}

// byRank are weights of n trials, best first: log((n+1)/rank), n in all.
func byRank(n int) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		out[i] = math.Log(float64(n+1) / float64(i+1))
		sum += out[i]
	}
	for i := range out {
		out[i] *= float64(n) / sum
	}
	return out
}
