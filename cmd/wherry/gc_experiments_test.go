package main

import (
	"slices"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
)

// TestUnits: limits count an experiment with the runs of its trials as one, that is as young as
// its last run, and stays while it or one of them is not free.
func TestUnits(t *testing.T) {
	trial := func(id string, days int, of string, state dag.State) runFacts {
		r := aged(id, days, state, "shared", id)
		r.Experiment, r.bytes = of, 5
		return r
	}
	sweep := func(id string, days int, state tuner.State) sweepFacts {
		return sweepFacts{ExperimentRow: sqlite.ExperimentRow{ID: id, State: state, Created: gcNow.AddDate(0, 0, -days), Ended: gcNow.AddDate(0, 0, -days)}}
	}
	driven := sweep("driven", 30, tuner.Succeeded)
	driven.driven = true
	asked := sweep("asked", 50, tuner.Succeeded)
	asked.Asked = true
	sweeps := []sweepFacts{asked, sweep("ended", 20, tuner.Succeeded), sweep("open", 40, tuner.Running), sweep("bare", 5, tuner.Failed), driven}
	runs := []runFacts{
		aged("run", 10, dag.Succeeded), trial("e1", 21, "ended", dag.Succeeded), trial("e2", 8, "ended", dag.Failed),
		trial("o1", 40, "open", dag.Succeeded), trial("d1", 31, "driven", dag.Succeeded), trial("lost", 50, "nobody", dag.Succeeded),
	}
	sizes := map[string]int64{"shared": 100, "e1": 1, "e2": 2}
	for _, c := range []struct {
		what string
		l    gcLimits
		want []string
	}{
		{"the last two", gcLimits{keep: 2, maxSize: -1}, []string{"lost", "run"}},
		{"the last", gcLimits{keep: 1, maxSize: -1}, []string{"ended", "lost", "run"}},
		{"by age", gcLimits{keep: -1, maxSize: -1, before: gcNow.AddDate(0, 0, -9)}, []string{"lost", "run"}},
		{"all", gcLimits{keep: 0, maxSize: -1}, []string{"bare", "ended", "lost", "run"}},
		{"by size, what fits", gcLimits{keep: -1, maxSize: 10 + 100 + 10 + 3 + 5}, nil},
		{"by size", gcLimits{keep: -1, maxSize: 10 + 100 + 10 + 2}, []string{"ended", "lost", "run"}},
	} {
		got := sortedNames(chooseRuns(units(runs, sweeps), sizes, c.l))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v go, want %v", c.what, got, c.want)
		}
	}
}

// TestUnitsOfSteps: a tuning step's experiment stays or goes with the run, which looks there for
// its result when it goes on; also where that run is a trial itself.
func TestUnitsOfSteps(t *testing.T) {
	run := func(id, experiment string, state dag.State) runFacts {
		r := aged(id, 10, state)
		r.Experiment = experiment
		return r
	}
	sweep := func(id string) sweepFacts {
		return sweepFacts{ExperimentRow: sqlite.ExperimentRow{ID: id, State: tuner.Succeeded, Created: gcNow, Ended: gcNow}}
	}
	sweeps := []sweepFacts{sweep("open-1"), sweep("done-1"), sweep("gone-1"), sweep("outer"), sweep("trial-1")}
	runs := []runFacts{
		run("open", "", dag.Running), run("o1", "open-1", dag.Succeeded), run("done", "", dag.Succeeded), run("d1", "done-1", dag.Succeeded),
		run("g1", "gone-1", dag.Succeeded), run("trial", "outer", dag.Succeeded), run("t1", "trial-1", dag.Succeeded),
	}
	got := sortedNames(chooseRuns(units(runs, sweeps), nil, gcLimits{keep: 0, maxSize: -1}))
	if want := []string{"done", "gone-1", "outer"}; !slices.Equal(got, want) {
		t.Errorf("%v go, want %v", got, want)
	}
	c := &garbage{runs: runs, sweeps: sweeps, family: familyOf(runs, sweeps)}
	all := sortedNames(c.everyone(map[string]string{"done": "x", "outer": "x"}))
	if want := []string{"d1", "done", "done-1", "outer", "t1", "trial", "trial-1"}; !slices.Equal(all, want) {
		t.Errorf("with these go %v, want %v", all, want)
	}
}
