package sqlite_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// sweep stores an experiment with sources of that digest, and trials whose runs are named after it.
func sweep(t testing.TB, d *sqlite.DB, id string, source, trials int, state dag.State) *tuner.Experiment {
	t.Helper()
	e := &tuner.Experiment{ID: id, Name: "sweep", State: tuner.Running, Created: noon, Objectives: []tuner.Objective{{Metric: "loss"}}}
	e.Trial.Options.Mounts = []dag.Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: hex64(source)}}
	if err := d.CreateExperiment(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for i := range trials {
		run := &dag.Run{ID: fmt.Sprint(id, "-", i), Name: fmt.Sprint("sweep-", i), Pipeline: &dag.Pipeline{Name: "flow"}, State: state,
			Created: noon.Add(time.Hour), Options: dag.RunOptions{Experiment: id}}
		if err := d.CreateRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		b := tuner.Batch{Experiment: e, Trials: []*tuner.Trial{{Number: i, Name: run.Name, State: tuner.TrialRunning, Run: run.ID}},
			Observed: []tuner.Observed{{Trial: i, Stream: "main", Attempt: 1, List: []metrics.Observation{{Metric: "loss", Value: 1}}}}}
		if err := d.CommitTrials(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// TestListTrials: a list has all runs, unless it is told otherwise; last and what was interrupted
// are no trials.
func TestListTrials(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "mine")
	sweep(t, d, "e", 1, 2, dag.Running)
	for want, f := range map[string]sqlite.RunFilter{
		"e-0 e-1 mine": {}, "mine": {NoTrials: true}, "e-0 e-1": {Trials: "e"}, "": {Trials: "f"}, "e-1": {Name: "sweep-1"},
	} {
		list, err := d.ListRuns(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
			if (r.Experiment == "e") != strings.HasPrefix(r.ID, "e-") {
				t.Errorf("%s is of %q", r.ID, r.Experiment)
			}
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
	if r, err := d.FindRun(t.Context(), "last"); err != nil || r.ID != "mine" {
		t.Errorf("last is %+v, %v", r, err)
	}
	if list, err := d.Interrupted(t.Context()); err != nil || len(list) != 1 || list[0].ID != "mine" {
		t.Errorf("interrupted: %+v, %v", list, err)
	}
}

// TestForgetExperiment: it goes with its trials and what they have measured, but not before
// their runs; what it is made of stays for as long as it does.
func TestForgetExperiment(t *testing.T) {
	d := open(t, "")
	sweep(t, d, "e", 7, 2, dag.Succeeded)
	sweep(t, d, "other", 8, 1, dag.Succeeded)
	if gone, err := d.ForgetExperiment(t.Context(), "e"); gone || err != nil {
		t.Errorf("with runs: %t, %v", gone, err)
	}
	forget(t, d, "e-0", "e-1")
	if got := references(t, d); got != "7 8" {
		t.Errorf("after its runs: %s", got)
	}
	if yes, err := d.Refers(t.Context(), hex64(7)); err != nil || !yes {
		t.Errorf("its source is on record: %t, %v", yes, err)
	}
	if got := references(t, d, "e"); got != "8" {
		t.Errorf("without it: %s", got)
	}
	for range 2 {
		if gone, err := d.ForgetExperiment(t.Context(), "e"); !gone || err != nil {
			t.Errorf("without runs: %t, %v", gone, err)
		}
	}
	for _, table := range []string{"experiments", "trials", "observations"} {
		if n := count(t, d, table); n != 1 {
			t.Errorf("%d rows of %s are left, want the other's", n, table)
		}
	}
	if yes, err := d.Refers(t.Context(), hex64(7)); err != nil || yes {
		t.Errorf("its source is on record: %t, %v", yes, err)
	}
}

// TestRefersToOld: a run that was loaded may have been made long ago.
func TestRefersToOld(t *testing.T) {
	d := open(t, "")
	r := &dag.Run{ID: "loaded", Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Succeeded, Created: noon.AddDate(-5, 0, 0),
		Options: dag.RunOptions{Mounts: []dag.Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: hex64(7)}}}}
	if err := d.CreateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if yes, err := d.Refers(t.Context(), hex64(7)); err != nil || !yes {
		t.Errorf("its source is on record: %t, %v", yes, err)
	}
}

// TestTrialIndexes: what leaves out the runs of trials, or looks for them, reads no others.
func TestTrialIndexes(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "mine")
	sweep(t, d, "e", 1, 3, dag.Succeeded)
	db := raw(t, d.Path())
	for q, want := range map[string]string{
		sqlite.SelectRuns + sqlite.WhereLast:                                                                "runs_plain",
		sqlite.SelectRuns + sqlite.WhereInterrupted:                                                         "runs_plain_open",
		sqlite.SelectRuns + ` WHERE r.experiment = ? ORDER BY r.created DESC, r.id DESC LIMIT -1`:           "runs_experiment",
		`DELETE FROM experiments WHERE id = 'e' AND NOT EXISTS (SELECT 1 FROM runs WHERE experiment = 'e')`: "runs_experiment",
	} {
		rows, err := db.Query("EXPLAIN QUERY PLAN "+q, slices.Repeat([]any{"e"}, strings.Count(q, "?"))...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		plan := ""
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan += detail + "\n"
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, " INDEX "+want+" ") && !strings.Contains(plan, " INDEX "+want+"\n") {
			t.Errorf("%s\nuses %s, want %s", q, plan, want)
		}
	}
}
