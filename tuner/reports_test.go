package tuner_test

import (
	"context"
	"testing"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// told is a Store where somebody else reports of every trial but the second, all of it
// again at each look.
type told struct{ *memory }

func (r *told) Report(context.Context, string, int, []metrics.Observation) error { return nil }

func (r *told) Reported(context.Context, string) (list []tuner.Observed, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.trials {
		if n != 1 {
			list = append(list, tuner.Observed{Trial: n, Stream: tuner.ReportStream, Attempt: 1, List: []metrics.Observation{
				{Metric: "loss", Value: 2, Step: -1}, {Metric: "loss", Value: float64(n), Step: -1},
			}})
		}
	}
	return list, nil
}

// TestReports: with a collector that reads nothing, what was reported until a trial's
// end counts, once; a trial of which nobody reports is MetricsUnavailable.
func TestReports(t *testing.T) {
	m, w := &told{&memory{}}, newWorld()
	w.steps = 0
	e := experiment("random", 3, 1)
	e.Collector.Kind = tuner.Push
	_ = m.CreateExperiment(t.Context(), e)
	c := tuner.Controller{Store: m, Runner: w}
	e, trials, err := c.Drive(t.Context(), "e")
	if err != nil || e.Reason != tuner.ReasonMaxTrials || len(trials) != 3 {
		t.Fatalf("%v, %+v", err, e)
	}
	for i, want := range []tuner.TrialState{tuner.TrialSucceeded, tuner.TrialMetricsUnavailable, tuner.TrialSucceeded} {
		if trials[i].State != want {
			t.Errorf("trial %d is %s, want %s", i, trials[i].State, want)
		}
	}
	if s := trials[2].Summary; len(s) != 1 || s[0].Count != 2 || s[0].Latest != 2 {
		t.Errorf("%+v", s)
	}
}

// TestObserveNext: what can't be read twice goes on where it is on record.
func TestObserveNext(t *testing.T) {
	e := experiment("random", 1, 1)
	trial := &tuner.Trial{}
	for i, want := range []int64{0, 2, 4} {
		o := trial.Observe(e, tuner.Observed{Stream: "page", Attempt: 1, First: -1, List: []metrics.Observation{{Metric: "loss", Value: 1}, {Metric: "loss", Value: 2}}})
		if o.First != want || len(o.List) != 2 {
			t.Errorf("%d: from %d, %d new", i, o.First, len(o.List))
		}
	}
	o := trial.Observe(e, tuner.Observed{Stream: "page", Attempt: 2, First: -1, List: []metrics.Observation{{Metric: "loss", Value: 9}}})
	if o.First != 0 || trial.Summary[0].Count != 1 {
		t.Errorf("a second attempt: from %d, %+v", o.First, trial.Summary)
	}
}
