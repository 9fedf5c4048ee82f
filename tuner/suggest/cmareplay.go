package suggest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// cmaRun is the strategy after some generations of a history.
type cmaRun struct {
	coding   *cmaCoding
	s        *cmaDistribution
	classes  *cmaCategories
	next     int // number of the first trial of the next generation
	restarts int
	fitted   bool     // scale is that of the generations so far
	scale    cmaScale // of the process that screens draws
	first    int      // first trial since the restart

	recent []float64 // best loss of each generation since the restart
	large  int       // bipop: population of the newest large run
	small  bool      // bipop: this run is one of the small ones
	spent  [2]int    // bipop: trials of large and small runs
	limit  int       // trials of this run; 0: no limit
}

// cmaMemo remembers the newest run, and what it was replayed from.
type cmaMemo struct {
	run    *cmaRun
	space  *Space
	seed   uint64
	prefix []Trial // the history up to run.next
}

// holds says whether the memo's run is what a replay of the query would come to.
func (m *cmaMemo) holds(q *Query) bool {
	if m.run == nil || m.space != q.Space || m.seed != q.Seed || len(m.prefix) > len(q.History) {
		return false
	}
	for i := range m.prefix {
		a, b := &m.prefix[i], &q.History[i]
		if a.State != b.State || a.Loss() != b.Loss() || a.Violation != b.Violation || !slices.EqualFunc(a.Point, b.Point, same) {
			return false
		}
	}
	return true
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// replay is the run after all generations of the history that have ended.
func (m *cmaMemo) replay(a *cmaes, coding *cmaCoding, q *Query) *cmaRun {
	if !m.holds(q) {
		m.run, m.space, m.seed, m.prefix = newCMARun(a, coding), q.Space, q.Seed, nil
	}
	r := m.run
	done := cmaDone(q.History)
	for end := r.next + r.s.lambda; end <= done; end = r.next + r.s.lambda {
		r.generation(a, q, q.History[r.next:end])
	}
	// Trials count by their losses alone, so the prefix may share their memory.
	m.prefix = append(m.prefix, q.History[len(m.prefix):r.next]...)
	return r
}

// cmaDone is how many trials from the first on have ended, or been given up: a trial
// still running after twice a generation of later ones have ended.
func cmaDone(history []Trial) int {
	later := 0
	for i := range history {
		if history[i].State != Running {
			later++
		}
	}
	for i := range history {
		if history[i].State != Running {
			later--
		} else if later < cmaPatience {
			return i
		}
	}
	return len(history)
}

// cmaPatience is for how many trials a running one is waited for.
const cmaPatience = 40

func newCMARun(a *cmaes, coding *cmaCoding) *cmaRun {
	r := &cmaRun{coding: coding, classes: newCMACategories(coding)}
	d := len(coding.axes)
	lambda := a.popsize
	if lambda == 0 {
		lambda = 4 + int(3*math.Log(math.Max(1, float64(d))))
	}
	mean := make([]float64, d)
	for i := range mean {
		mean[i] = 0.5
	}
	r.large = lambda
	r.s = newCMADistribution(d, lambda, mean, a.sigma)
	return r
}

// draw is a point of the distribution and of the categories' frequencies.
func (r *cmaRun) draw(rng *rand.Rand, wide float64) cmaPoint {
	return cmaPoint{box: r.s.sample(rng, wide), classes: r.classes.sample(rng, wide)}
}

// generation learns from the trials of one.
func (r *cmaRun) generation(a *cmaes, q *Query, members []Trial) {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmaCompare(&members[i], &members[j]) })
	ranked, boxes := make([]cmaPoint, len(order)), make([][]float64, len(order))
	for k, i := range order {
		ranked[k] = r.coding.code(members[i].Point)
		rng := rand.New(rand.NewPCG(q.Seed^0xce11, uint64(members[i].Number)))
		boxes[k] = r.s.unround(r.coding, ranked[k], rng)
	}
	r.next += len(members)
	r.fitted = false
	r.classes.update(ranked)
	if r.s.d > 0 {
		r.s.update(boxes)
		r.s.keepMargin(r.coding)
	}
	r.recent = append(r.recent, members[order[0]].Loss())
	if a.strategy != "none" && r.finished(members) {
		r.restart(a, q)
	}
}

// cmaCompare ranks trials by their first loss; those that violate constraints come after
// the others, the worse the later, and what failed or still runs comes last.
func cmaCompare(a, b *Trial) int {
	x, y := a.Loss(), b.Loss()
	switch {
	case a.Ended() != b.Ended() && a.Ended():
		return -1
	case a.Ended() != b.Ended():
		return 1
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return cmp.Compare(a.Violation, b.Violation)
}

// finished says whether a run has come to its end: no axis without steps moves by more
// than a hundred thousandth of its range, or the best losses of many generations are
// one and the same.
func (r *cmaRun) finished(members []Trial) bool {
	if r.limit > 0 && r.next-r.first >= r.limit {
		return true
	}
	narrow := false
	for i := range r.coding.axes {
		if !r.coding.axes[i].cells {
			if narrow = r.s.deviation(i) < 1e-5; !narrow {
				break
			}
		}
	}
	flat := 10
	if r.s.d > 0 {
		flat += 30 * r.s.d / r.s.lambda
	}
	if len(r.recent) < flat {
		return narrow
	}
	last := r.recent[len(r.recent)-flat:]
	return narrow || slices.Max(last) == slices.Min(last) || slices.Max(last)-slices.Min(last) < 1e-12
}

// restart begins a new run at a random mean. With ipop its population is twice the last
// one's; with bipop large runs (so doubled) and small ones take turns so that both use
// as many trials.
func (r *cmaRun) restart(a *cmaes, q *Query) {
	rng := rand.New(rand.NewPCG(q.Seed^0x5e57a27, uint64(r.next)))
	used := r.next - r.first
	base := newCMARun(a, r.coding).s.lambda
	if r.small {
		r.spent[1] += used
	} else if r.restarts > 0 {
		r.spent[0] += used
	}
	lambda, sigma := 2*r.large, a.sigma
	r.small, r.limit = a.strategy == "bipop" && r.restarts > 0 && r.spent[1] < r.spent[0], 0
	if r.small {
		u := rng.Float64()
		lambda = int(float64(base) * math.Pow(0.5*float64(r.large)/float64(base), u*u))
		sigma *= math.Pow(10, -2*rng.Float64())
		r.limit = max(used/2, 2*lambda)
	} else {
		r.large = lambda
	}
	mean := make([]float64, r.s.d)
	for i := range mean {
		mean[i] = rng.Float64()
	}
	r.s = newCMADistribution(r.s.d, max(2, lambda), mean, sigma)
	r.classes = newCMACategories(r.coding)
	r.recent, r.first = nil, r.next
	r.restarts++
}
