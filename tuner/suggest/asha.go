package suggest

import (
	"fmt"
	"math"
	"slices"
)

// asha is asynchronous successive halving: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur,
// Hardt, Recht & Talwalkar, "A System for Massively Parallel Hyperparameter Tuning",
// 2020, algorithm 2.
//
// Settings: max_resource (or r_l), the most that a trial may spend; min_resource (r_min;
// 1), what it starts with; reduction_factor (eta; 3); resource_name, the parameter that
// is set to the resource (without it a trial is told by Proposal.Resource alone).
//
// Whenever there is room for a trial, the highest rung is looked for that has one among
// its best 1/eta that has not gone on yet: it goes on from its checkpoint (Parent) with
// eta times the resource. If there is none, a new trial starts. Nothing ever waits. The
// points of new trials are chosen as in hyperband.
type asha struct{ ladder }

func newASHA(s *settings) Algorithm {
	a := &asha{}
	a.top = true
	a.name = s.text("resource_name", "")
	a.most, a.least, a.eta = ashaSettings(s)
	a.seed = s.randomState()
	if a.most == 0 {
		s.fail("max_resource", "", "given: the most resource that a trial spends")
	} else if a.most < a.least {
		s.fail("max_resource", fmt.Sprint(a.most), fmt.Sprintf("at least min_resource, %g", a.least))
	}
	return a
}

func ashaSettings(s *settings) (most, least, eta float64) {
	most = s.float("r_l", s.float("max_resource", 0, 1e-9, 1e12), 1e-9, 1e12)
	least = s.float("r_min", s.float("min_resource", 1, 1e-9, 1e12), 1e-9, 1e12)
	eta = s.float("eta", s.float("reduction_factor", 3, 1.1, 1e6), 1.1, 1e6)
	return most, least, eta
}

func (a *asha) Next(q Query) (Proposal, error) {
	q.Seed = a.seed.of(&q)
	most := a.rungs()
	gone := parents(q.History)
	rungs := make([][]*Trial, most+1)
	for i := range q.History {
		if t := &q.History[i]; t.Resource > 0 && t.Rung >= 0 && t.Rung <= most {
			rungs[t.Rung] = append(rungs[t.Rung], t)
		}
	}
	for rung := most - 1; rung >= 0; rung-- {
		ended := 0
		for _, t := range rungs[rung] {
			if t.State != Running {
				ended++
			}
		}
		best := promotable(rungs[rung])
		for _, t := range best[:min(len(best), int(float64(ended)/a.eta+1e-9))] {
			if !gone[t.Number] {
				return a.promote(&q, t, a.resource(most-rung-1))
			}
		}
	}
	return a.fresh(&q, a.resource(most))
}

// ashaStop is asynchronous successive halving as early stopping: at each rung a trial
// goes on only while it is among the best 1/eta of all that have come there so far (of
// few, the best one). Rungs are the steps min_resource * eta^k, below max_resource where
// that is given. A trial's loss at a rung is that of its first reading there or later.
type ashaStop struct{ least, most, eta float64 }

func newASHAStop(s *settings) Stopper {
	stop := &ashaStop{}
	stop.most, stop.least, stop.eta = ashaSettings(s)
	s.ignore("resource_name")
	return stop
}

func (a *ashaStop) Stop(history []Trial, number int) (string, bool) {
	if number < 0 || number >= len(history) || len(history[number].Curve) == 0 {
		return "", false
	}
	curve := history[number].Curve
	step := curve[len(curve)-1].Step
	for rung := a.least; rung <= step && (a.most == 0 || rung < a.most); rung *= a.eta {
		if len(curve) > 1 && curve[len(curve)-2].Step >= rung {
			continue // judged before
		}
		loss := curve[len(curve)-1].Loss
		var there []float64
		for i := range history {
			if v, ok := lossAt(&history[i], rung); ok {
				there = append(there, v)
			}
		}
		slices.Sort(there)
		keep := max(1, int(float64(len(there))/a.eta+1e-9))
		if loss > there[keep-1] || math.IsInf(loss, 1) && len(there) > 1 {
			return fmt.Sprintf("at step %g it is not among the best %d of %d trials", step, keep, len(there)), true
		}
	}
	return "", false
}

// lossAt is a trial's loss at its first reading at a step or later. A failed trial has none.
func lossAt(t *Trial, step float64) (float64, bool) {
	if t.State == Failed {
		return 0, false
	}
	for _, r := range t.Curve {
		if r.Step >= step {
			return r.Loss, true
		}
	}
	return 0, false
}
