package suggest

import "slices"

// auto chooses an algorithm by the space, the history and the budget:
//
//   - a Gaussian process (bayesianoptimization), for one objective in a space without
//     conditions that has a continuous parameter, or one nearly so, for the first
//     autoProcess trials: it learns most from a trial;
//   - else multivariate-tpe, whose proposals take no more time after thousands of trials
//     than after some, and which knows conditions and several objectives; also where
//     so many trials run at once that a model of what has ended says little of what to
//     try next, and where there are only a few values of each parameter to tell apart.
//
// Its settings are random_state and n_startup_trials (10).
type auto struct{ process, estimator Algorithm }

// From so many trials on, and for so many at once, auto leaves the Gaussian process, and
// a parameter with so many values counts as nearly continuous.
const (
	autoProcess = 500
	autoWorkers = 32
	autoValues  = 20
)

func newAuto(s *settings) Algorithm {
	shared := s.only("random_state", "n_startup_trials")
	return &auto{process: s.with(shared, newBayes), estimator: s.with(shared, newMultivariateTPE)}
}

func (a *auto) Next(q Query) (Proposal, error) {
	if a.suitsProcess(&q) {
		return a.process.Next(q)
	}
	return a.estimator.Next(q)
}

func (a *auto) suitsProcess(q *Query) bool {
	if len(q.History) >= autoProcess || q.Workers > autoWorkers {
		return false
	}
	if slices.ContainsFunc(q.History, func(t Trial) bool { return len(t.Losses) > 1 }) {
		return false
	}
	continuous := false
	for i := range q.Space.Parameters {
		p := &q.Space.Parameters[i]
		if p.When != nil {
			return false
		}
		n := p.Cardinality()
		continuous = continuous || p.Kind != Categorical && (n == 0 || n >= autoValues)
	}
	return continuous
}
