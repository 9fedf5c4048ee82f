package suggest

import (
	"fmt"
	"math"
	"slices"
)

// medianStop stops a trial whose best loss so far is worse than the median of what the
// trials that succeeded had reached on average up to the same step: the median stopping
// rule of Golovin, Solnik, Moitra, Kochanski, Karro & Sculley, "Google Vizier: A Service
// for Black-Box Optimization", 2017, section 3.2.1. (Katib's own service takes the mean
// of the trials' averages, over a fixed number of readings.)
//
// Settings: min_trials_required (3), how many trials must have succeeded first;
// start_step (4), the number of readings of a trial before which it is never stopped.
type medianStop struct {
	trials int
	start  int
}

func newMedianStop(s *settings) Stopper {
	return &medianStop{trials: s.int("min_trials_required", 3, 1), start: s.int("start_step", 4, 0)}
}

func (m *medianStop) Stop(history []Trial, number int) (string, bool) {
	if number < 0 || number >= len(history) {
		return "", false
	}
	curve := history[number].Curve
	if len(curve) == 0 || len(curve) < m.start {
		return "", false
	}
	best, step := math.Inf(1), math.Inf(-1)
	for _, r := range curve {
		best, step = math.Min(best, r.Loss), math.Max(step, r.Step)
	}
	var averages []float64
	for i := range history {
		if t := &history[i]; t.State == Succeeded && i != number {
			if v, ok := averageTo(t.Curve, step); ok {
				averages = append(averages, v)
			}
		}
	}
	if len(averages) < m.trials {
		return "", false
	}
	if middle := median(averages); best > middle {
		return fmt.Sprintf("at step %g its best value is worse than the median of %d trials' averages up to there", step, len(averages)), true
	}
	return "", false
}

// averageTo is the mean loss of the readings up to a step.
func averageTo(curve []Reading, step float64) (float64, bool) {
	sum, n := 0.0, 0
	for _, r := range curve {
		if r.Step <= step {
			sum += r.Loss
			n++
		}
	}
	return sum / float64(n), n > 0
}

// median is the middle of some numbers, or between the middle two.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	if low, high := v[(n-1)/2], v[n/2]; low != high {
		return low + (high-low)/2
	}
	return v[n/2]
}
