package suggest

import "strconv"

// random draws every trial from the parameters' distributions, without regard to what
// came of the others, but no point of a countable space twice before all have been.
type random struct{ seed fixedSeed }

func newRandom(s *settings) Algorithm { return random{s.randomState()} }

func (r random) Next(q Query) (Proposal, error) {
	q.Seed = r.seed.of(&q)
	x, err := q.Space.fresh(q.Space.axes(), q.Rand(), q.been())
	return Proposal{Point: x, Parent: None}, err
}

// fixedSeed is Katib's setting random_state, which stands in the place of the
// experiment's own seed.
type fixedSeed struct {
	given bool
	seed  uint64
}

func (f fixedSeed) of(q *Query) uint64 {
	if f.given {
		return f.seed
	}
	return q.Seed
}

func (s *settings) randomState() fixedSeed {
	v, ok := s.take("random_state")
	if !ok || v == "" || v == "None" {
		return fixedSeed{}
	}
	seed, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		s.fail("random_state", v, "a whole number of at least 0")
	}
	return fixedSeed{given: true, seed: seed}
}
