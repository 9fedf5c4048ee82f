package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

func asked(id string, max int) *tuner.Experiment {
	return &tuner.Experiment{
		ID: id, Name: "own", Objectives: []tuner.Objective{{Metric: "loss"}}, Algorithm: tuner.Algorithm{Name: "tpe"}, State: tuner.Created, Created: noon,
		Parameters: []tuner.Parameter{{Name: "x", Kind: suggest.Double, Min: -5, Max: 5}}, Parallel: 4, MaxTrials: max, Seed: 7,
	}
}

// TestAskAtOnce: four who ask and tell at once, each with its own connection to the
// database, get different trials of one experiment, and no report of them is lost.
func TestAskAtOnce(t *testing.T) {
	const askers, trials = 4, 24
	path := filepath.Join(t.TempDir(), "wherry.db")
	var mu sync.Mutex
	seen, ids := map[string]bool{}, map[string]bool{}
	var wait sync.WaitGroup
	for i := range askers {
		d := open(t, path)
		wait.Go(func() {
			id, err := d.OpenAsked(t.Context(), asked(fmt.Sprint("e", i), trials))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			ids[id] = true
			mu.Unlock()
			c := tuner.Controller{Store: d}
			for {
				_, got, err := c.Ask(t.Context(), id, 1)
				if _, ok := errors.AsType[*tuner.NoTrialError](err); ok {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				x := got[0].Proposal.Point[0]
				mu.Lock()
				if seen[got[0].Name] {
					t.Errorf("trial %s was handed out twice", got[0].Name)
				}
				seen[got[0].Name] = true
				mu.Unlock()
				for step := range 3 {
					r := tuner.Report{Running: step < 2, Values: []metrics.Observation{{Metric: "loss", Value: (x-3)*(x-3) + float64(2-step), Step: int64(step)}}}
					if _, _, err := c.Tell(t.Context(), id, got[0].Name, r); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	if len(ids) != 1 || len(seen) != trials {
		t.Fatalf("%d experiments and %d trials, want 1 and %d", len(ids), len(seen), trials)
	}
	d := open(t, path)
	for id := range ids {
		e, list, _, err := d.LoadExperiment(t.Context(), id, false)
		if err != nil {
			t.Fatal(err)
		}
		if e.State != tuner.Succeeded || e.Reason != tuner.ReasonMaxTrials {
			t.Errorf("the experiment is %s (%s)", e.State, e.Reason)
		}
		for _, r := range list {
			if r.State != tuner.TrialSucceeded || r.Summary[0].Count != 3 {
				t.Errorf("trial %s is %s with %d values, want Succeeded with 3", r.Name, r.State, r.Summary[0].Count)
			}
		}
	}
}

// TestAskedAlone: an experiment that somebody else drives, and one that is driven, do
// not meet under one name.
func TestAskedAlone(t *testing.T) {
	d := open(t, "")
	driven := asked("driven", 3)
	driven.Trial.Pipeline = &dag.Pipeline{Name: "flow"}
	if err := d.CreateExperiment(t.Context(), driven); err != nil {
		t.Fatal(err)
	}
	id, err := d.OpenAsked(t.Context(), asked("mine", 3))
	if err != nil || id != "mine" {
		t.Fatalf("OpenAsked found %q, %v", id, err)
	}
	c := tuner.Controller{Store: d}
	if _, _, err := c.Ask(t.Context(), "driven", 1); !isReport(err) {
		t.Errorf("Ask of a driven experiment: %v", err)
	}
	if open, err := d.OpenExperiments(t.Context()); err != nil || len(open) != 1 || open[0].ID != "driven" {
		t.Errorf("to be gone on with are %v, %v", open, err)
	}
	rows, err := d.ListExperiments(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Asked != (r.ID == "mine") {
			t.Errorf("experiment %s: Asked is %v", r.ID, r.Asked)
		}
	}
}

func isReport(err error) bool {
	_, ok := errors.AsType[*tuner.TellError](err)
	return ok
}
