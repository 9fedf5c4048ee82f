package suggest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// pbt is population based training: Jaderberg, Dalibard, Osindero and others, "Population
// Based Training of Neural Networks", 2017, with truncation selection.
//
// Settings: n_population (at least 5), the members; truncation_threshold (0.2), the part
// of them that is replaced by, and the part that replaces; resample_probability (0), with
// which a parameter is drawn anew instead of perturbed; suggestion_trial_dir, where a
// trial finds and leaves its checkpoint: the caller's business.
//
// A trial is one member (Bracket, 0 … n_population-1) for one generation (Rung): it goes
// on from the checkpoint of Parent, and ends with a checkpoint of its own. After it the
// member goes on from there with the same parameters. But if it is among the worst of
// its generation, it takes over a trial of the best: its checkpoint, and its parameters
// times 0.8 or 1.2 (one step up or down where values are countable, another value of a
// categorical one). Katib copies the loser's checkpoint in that case, and it perturbs
// those that did well.
//
// A generation does not wait for its last trials: a member is judged among those of its
// generation that have ended, so that workers idle only when every member runs.
// A failed trial is the worst. A generation all of which failed starts anew.
type pbt struct {
	population int
	threshold  float64
	resample   float64
	seed       fixedSeed
}

func newPBT(s *settings) Algorithm {
	p := &pbt{
		population: s.int("n_population", 10, 5),
		threshold:  s.float("truncation_threshold", 0.2, 0, 1),
		resample:   s.float("resample_probability", 0, 0, 1),
		seed:       s.randomState(),
	}
	s.ignore("suggestion_trial_dir")
	return p
}

// Next is ErrWait while every member runs.
func (p *pbt) Next(q Query) (Proposal, error) {
	q.Seed = p.seed.of(&q)
	rng := q.Rand()
	newest := make([]*Trial, p.population) // of each member
	for i := range q.History {
		if t := &q.History[i]; t.Bracket >= 0 && t.Bracket < p.population {
			newest[t.Bracket] = t
		}
	}
	member := -1 // the one that is behind
	for m, t := range newest {
		if t == nil {
			return p.begin(&q, rng, m, 0)
		}
		if t.State != Running && (member < 0 || t.Rung < newest[member].Rung) {
			member = m
		}
	}
	if member < 0 {
		return Proposal{}, ErrWait
	}
	t := newest[member]
	ranked := p.generation(&q, t.Rung)
	place := slices.Index(ranked, t)
	cut := p.cut(len(ranked))
	switch {
	case !ranked[0].Ended():
		return p.begin(&q, rng, member, t.Rung+1)
	case place >= len(ranked)-cut, !t.Ended():
		return p.exploit(&q, rng, ranked[rng.IntN(max(1, min(cut, winners(ranked))))], t)
	}
	return Proposal{Point: slices.Clone(t.Point), Bracket: member, Rung: t.Rung + 1, Parent: t.Number}, nil
}

// begin is a member that starts from nothing.
func (p *pbt) begin(q *Query, rng *rand.Rand, member, generation int) (Proposal, error) {
	x, err := q.Space.fresh(q.Space.axes(), rng, nil)
	return Proposal{Point: x, Bracket: member, Rung: generation, Parent: None}, err
}

// generation are the trials of one that have ended, the best first.
func (p *pbt) generation(q *Query, n int) []*Trial {
	var out []*Trial
	for i := range q.History {
		if t := &q.History[i]; t.Rung == n && t.State != Running {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *Trial) int { return cmp.Or(cmaCompare(a, b), a.Number-b.Number) })
	return out
}

// cut is how many of so many trials are the worst, and the best.
func (p *pbt) cut(n int) int {
	if p.threshold == 0 {
		return 0
	}
	return min(max(1, int(float64(n)*p.threshold+1e-9)), n/2)
}

// winners is how many of some trials, the best first, have ended well.
func winners(ranked []*Trial) (n int) {
	for n < len(ranked) && ranked[n].Ended() {
		n++
	}
	return n
}

// exploit is a member that goes on as another, explored from there.
func (p *pbt) exploit(q *Query, rng *rand.Rand, winner, loser *Trial) (Proposal, error) {
	axes := q.Space.axes()
	for range tries {
		x := make(Point, len(winner.Point))
		for i := range axes {
			if x[i] = math.NaN(); !q.Space.Active(x, i) {
				continue
			}
			if v := winner.Point[i]; math.IsNaN(v) || rng.Float64() < p.resample {
				x[i] = axes[i].value(rng.Float64())
			} else {
				x[i] = perturb(&axes[i], v, rng)
			}
		}
		if q.Space.May(x) {
			return Proposal{Point: x, Bracket: loser.Bracket, Rung: loser.Rung + 1, Parent: winner.Number}, nil
		}
	}
	return Proposal{}, errInfeasible
}

// perturb moves a value by a fifth of itself; one near 0 by at least a hundredth of
// the range; one of countable values by at least a step.
func perturb(a *axis, v float64, rng *rand.Rand) float64 {
	up := float64(2*rng.IntN(2) - 1)
	switch {
	case a.values == 1:
		return v
	case a.Kind == Categorical:
		return math.Mod(v+1+float64(rng.IntN(a.values-1)), float64(a.values))
	case a.Kind == Discrete:
		return a.Round(v + up)
	}
	by := math.Max(0.2*math.Abs(v), 0.01*(a.Max-a.Min))
	if a.Log() {
		by = 0.2 * v
	}
	return a.Round(v + up*math.Max(by, a.step()))
}
