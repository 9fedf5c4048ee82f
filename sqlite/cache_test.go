package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// TestLookupSeesTheLastCommit: a look-up never sees what was there at an earlier one,
// whatever connection it gets, with any number of artifacts.
func TestLookupSeesTheLastCommit(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	lookUp := func(key string) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 { // more than there are readers
			all.Go(func() {
				if _, err := d.LookupCache(t.Context(), key); err != nil && !errors.Is(err, dag.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	for n := range 20 {
		x := task("a", fmt.Sprint("t", n), dag.Succeeded)
		x.Key = x.Task
		lookUp(x.Key)
		list := make([]dag.Artifact, n)
		for i := range list {
			list[i] = artifact(x.Task, fmt.Sprint(i))
		}
		x.Outputs = outputs(map[string][]dag.Artifact{"models": list})
		commit(t, d, dag.Batch{Executions: []*dag.Execution{x}})
		entry, err := d.LookupCache(t.Context(), x.Key)
		if err != nil {
			t.Fatalf("after the commit of an execution with %d artifacts: %v", n, err)
		}
		if diff := cmp.Diff(x.Outputs, entry.Outputs); diff != "" {
			t.Errorf("%d artifacts (-made +found):\n%s", n, diff)
		}
	}
}

func TestLookupWhenCanceled(t *testing.T) {
	d := open(t, "")
	why := errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := d.LookupCache(ctx, "x"); !errors.Is(err, why) {
		t.Errorf("a look-up after a cancelation: %v", err)
	}
}

// TestEventsOfManyArtifacts: each artifact of a long list is an edge, and of executions
// whose artifacts change only the last ones are.
func TestEventsOfManyArtifacts(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	x := task("a", "split", dag.Running)
	for _, n := range []int{0, 1, 7, 8, 9, 40, 3, 0} {
		list := make([]dag.Artifact, n)
		for i := range list {
			list[i] = artifact("part", fmt.Sprint(i))
		}
		x.Outputs = outputs(map[string][]dag.Artifact{"parts": list})
		commit(t, d, dag.Batch{Executions: []*dag.Execution{x}})
		made, err := d.ListArtifacts(t.Context(), sqlite.ArtifactFilter{Run: "a"}) // by their edges
		if err != nil {
			t.Fatal(err)
		}
		if len(made) != n {
			t.Errorf("%d of %d artifacts have an edge", len(made), n)
		}
	}
}
