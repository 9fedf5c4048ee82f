package main

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// TestExplainLoadsOnce: the run that many tasks are compared with is read once.
func TestExplainLoadsOnce(t *testing.T) {
	g := &globals{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Home: t.TempDir(), Quiet: true}
	defer g.close()
	db, err := g.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last []*dag.Execution
	run := func(id, lr string) *dag.Run {
		r := &dag.Run{ID: id, Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Succeeded, Created: time.Now()}
		if err := db.CreateRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		last = nil
		for i := range 20 {
			last = append(last, &dag.Execution{Run: id, Path: fmt.Sprint("loop/", i), Kind: dag.KindContainer, Iteration: i, State: dag.Succeeded,
				Key: fmt.Sprint(id, i), KeyParts: map[string]string{"parameter lr": lr}})
		}
		if err := db.Commit(t.Context(), &dag.Batch{Executions: last}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	run("before", "1")
	now := run("now", "2")
	loads := 0
	past := &pastRuns{known: map[string]*dag.Run{}, load: func(ctx context.Context, id string) (*dag.Run, []*dag.Execution, error) {
		loads++
		return db.LoadRun(ctx, id)
	}}
	for _, x := range last {
		e, err := g.explainTask(t.Context(), db, past, now, x)
		if err != nil || e.Compared != "before" || len(e.Changes) != 1 {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if loads != 1 {
		t.Errorf("it was read %d times", loads)
	}
}
