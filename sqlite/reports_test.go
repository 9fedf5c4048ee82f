package sqlite_test

import (
	"errors"
	"testing"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// TestReports: reports of a trial that runs are kept in their order; others are refused.
func TestReports(t *testing.T) {
	d := open(t, "")
	e := &tuner.Experiment{ID: "e", Name: "sweep", Objectives: []tuner.Objective{{Metric: "loss"}}, State: tuner.Running, Created: noon}
	if err := d.CreateExperiment(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	trial := &tuner.Trial{Name: "sweep-1", State: tuner.TrialRunning, Run: "r", Created: noon}
	if err := d.CommitTrials(t.Context(), tuner.Batch{Experiment: e, Trials: []*tuner.Trial{trial}}); err != nil {
		t.Fatal(err)
	}
	value := func(metric string, v float64) []metrics.Observation {
		return []metrics.Observation{{Metric: metric, Value: v, Time: noon, Step: -1}}
	}
	for _, v := range []float64{3, 2} {
		if err := d.Report(t.Context(), "e", 0, value("loss", v)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.Reported(t.Context(), "e")
	if err != nil || len(list) != 1 || list[0].First != 0 || len(list[0].List) != 2 || list[0].List[1].Value != 2 || list[0].Stream != tuner.ReportStream {
		t.Fatalf("%+v, %v", list, err)
	}
	refused := func(trial int, list []metrics.Observation) {
		t.Helper()
		if _, ok := errors.AsType[*tuner.ReportError](d.Report(t.Context(), "e", trial, list)); !ok {
			t.Errorf("report %v of trial %d was taken", list, trial)
		}
	}
	refused(0, value("los", 1))
	refused(1, value("loss", 1))
	trial.State = tuner.TrialSucceeded
	if err := d.CommitTrials(t.Context(), tuner.Batch{Experiment: e, Trials: []*tuner.Trial{trial}}); err != nil {
		t.Fatal(err)
	}
	refused(0, value("loss", 1))
	if list, err := d.Reported(t.Context(), "e"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
