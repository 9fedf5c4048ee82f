package tuner

import "github.com/wherry-ml/wherry/tuner/suggest"

// Importance is the share that each parameter has in how good a trial is, in the order
// of e.Parameters; they add up to 1. Nil where there are too few trials to say.
func Importance(e *Experiment, trials []*Trial) []float64 {
	shares, err := suggest.Importance(e.Space(nil), records(e, trials))
	if err != nil {
		return nil
	}
	return shares
}

// Pareto are the trials of an experiment with several objectives that no other trial
// is better than in one objective and as good in all; nil with one objective.
func Pareto(e *Experiment, trials []*Trial) []*Trial {
	if len(e.Objectives) < 2 {
		return nil
	}
	var out []*Trial
	for _, i := range suggest.ParetoFront(records(e, trials)) {
		out = append(out, trials[i])
	}
	return out
}

func records(e *Experiment, trials []*Trial) []suggest.Trial {
	constraints, _ := e.compile() // who made the experiment has seen that they can be read
	var out []suggest.Trial
	for _, t := range trials {
		out = append(out, t.record(e, constraints, 0))
	}
	return out
}
