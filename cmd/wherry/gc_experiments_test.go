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
		r.Of, r.bytes = of, 5
		return r
	}
	sweep := func(id string, days int, state tuner.State) sweepFacts {
		return sweepFacts{ExperimentRow: sqlite.ExperimentRow{ID: id, State: state, Created: gcNow.AddDate(0, 0, -days), Ended: gcNow.AddDate(0, 0, -days)}}
	}
	driven := sweep("driven", 30, tuner.Succeeded)
	driven.driven = true
	sweeps := []sweepFacts{sweep("ended", 20, tuner.Succeeded), sweep("open", 40, tuner.Running), sweep("bare", 5, tuner.Failed), driven}
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
