package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
)

// ran is a run whose tasks are told by add.
type ran struct {
	run        *dag.Run
	executions []*dag.Execution
}

func newRan(seconds float64, tasks ...*dag.Task) *ran {
	graph := &dag.Graph{Tasks: map[string]*dag.Task{}}
	for _, t := range tasks {
		t.Component = "step"
		graph.Tasks[t.Name] = t
	}
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return &ran{run: &dag.Run{
		ID: "k7p2rvbfk6", Name: "a-run", State: dag.Succeeded, Started: start, Ended: start.Add(time.Duration(seconds * float64(time.Second))),
		Pipeline: &dag.Pipeline{Name: "pipe", Root: "root", Components: map[string]*dag.Component{"root": {Graph: graph}, "step": {}}},
	}}
}

func (r *ran) add(parent *dag.Execution, kind dag.Kind, path string, state dag.State, from, to float64) *dag.Execution {
	at := func(s float64) time.Time { return r.run.Started.Add(time.Duration(s * float64(time.Second))) }
	x := &dag.Execution{ID: int64(len(r.executions) + 1), Path: path, Task: path, Kind: kind, State: state, Started: at(from), Ended: at(to), Reason: "first run"}
	if parent != nil {
		x.Parent = parent.ID
	}
	r.executions = append(r.executions, x)
	return x
}

func (r *ran) summary(saved time.Duration) string {
	var b strings.Builder
	printSummary(&b, r.run, r.executions, saved)
	return b.String()
}

func TestSummarySmall(t *testing.T) {
	r := newRan(10, &dag.Task{Name: "load"}, &dag.Task{Name: "train", Needs: []dag.Edge{{Task: "load"}}},
		&dag.Task{Name: "look", Needs: []dag.Edge{{Task: "load"}}}, &dag.Task{Name: "old"})
	r.add(nil, dag.KindContainer, "load", dag.Succeeded, 0, 2)
	r.add(nil, dag.KindContainer, "train", dag.Succeeded, 2, 9.5)
	r.add(nil, dag.KindContainer, "look", dag.Succeeded, 2, 3)
	r.add(nil, dag.KindContainer, "old", dag.Succeeded, 0, 0).Cached = true
	want := `
pipe  SUCCEEDED  in 10.0s  (run k7p2rvbfk6)
4 tasks: 3 ran, 1 cached (1m05s saved)

TASK   STATE               TIME  ATTEMPTS  WHY
load   SUCCEEDED           2.0s  0         first run
train  SUCCEEDED           7.5s  0         first run
look   SUCCEEDED           1.0s  0         first run
old    SUCCEEDED (cached)  0.0s  0         first run

slowest
  7.5s  75%  train
  2.0s  20%  load
  1.0s  10%  look
  the run was as long as load → train
`
	if diff := cmp.Diff(want, r.summary(65*time.Second)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A run of thousands of tasks is summed up on a page.
func TestSummaryLarge(t *testing.T) {
	r := newRan(100, &dag.Task{Name: "load"}, &dag.Task{Name: "loop"})
	r.add(nil, dag.KindContainer, "load", dag.Succeeded, 0, 2)
	loop := r.add(nil, dag.KindLoop, "loop", dag.Failed, 2, 99)
	for i := range 2000 {
		x := r.add(loop, dag.KindContainer, fmt.Sprintf("loop[%d]", i), dag.Succeeded, 2, 3)
		x.Outputs.Parameters = map[string]any{"loss": 0.5}
		switch {
		case i%100 == 7:
			x.State, x.Error = dag.Failed, "exit code 3\nmore"
		case i == 1234:
			x.Ended = x.Started.Add(42 * time.Second)
		case i >= 1500:
			x.Cached = true
		}
	}
	got := r.summary(0)
	if n := strings.Count(got, "\n"); n > 70 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	for _, want := range []string{
		"2001 tasks: 1486 ran, 495 cached, 20 failed\n",
		"loop  FAILED     1m37s  0         2000 tasks: 1485 ran, 495 cached, 20 failed; first run\n",
		"\nfailed\n  loop[7]    1.0s  exit code 3\n", "  … and 10 more\n",
		"\nwherry get tasks k7p2rvbfk6 lists all 2002\n",
		"\nslowest\n  42.0s  42%  loop[1234]\n",
		"  … and 1970 more: wherry describe k7p2rvbfk6/TASK\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// A wide pipeline has no groups to sum it up by.
func TestSummaryWide(t *testing.T) {
	r := newRan(100)
	for i := range 1000 {
		r.add(nil, dag.KindContainer, fmt.Sprintf("task-%d", i), dag.Succeeded, 0, 1)
	}
	if got := r.summary(0); strings.Count(got, "\n") > 20 || !strings.Contains(got, "1000 tasks: 1000 ran\n") || strings.Contains(got, "TASK") {
		t.Error(got)
	}
}
