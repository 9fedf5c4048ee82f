package sqlite_test

import (
	"errors"
	"testing"

	"github.com/wherry-ml/wherry/dag"
)

// TestOwner: what an earlier owner of a run commits is refused whole, and it can
// look whether it still is the owner.
func TestOwner(t *testing.T) {
	d := open(t, "")
	run := newRun(t, d, "a")
	newRun(t, d, "b")
	first, err1 := d.Own(t.Context(), "a")
	other, err2 := d.Own(t.Context(), "b")
	if err := errors.Join(err1, err2, d.Owns(t.Context(), "a", first)); err != nil {
		t.Fatal(err)
	}
	e := task("a", "train", dag.Running)
	commit(t, d, dag.Batch{Run: run, Executions: []*dag.Execution{e}, Epoch: first})
	second, err := d.Own(t.Context(), "a")
	if err != nil || second == first {
		t.Fatalf("epochs %d, %d, %v", first, second, err)
	}
	taken := func(err error) bool { _, ok := errors.AsType[*dag.TakenOverError](err); return ok }
	late := *e
	late.State = dag.Failed
	for _, b := range []dag.Batch{
		{Executions: []*dag.Execution{&late}, Epoch: first},
		{Executions: []*dag.Execution{task("a", "new", dag.Pending)}, Epoch: first, Durable: true},
		{Run: run, Epoch: first},
	} {
		if err := d.Commit(t.Context(), &b); !taken(err) {
			t.Errorf("an earlier owner's commit: %v", err)
		}
	}
	if err := d.Owns(t.Context(), "a", first); !taken(err) {
		t.Errorf("the earlier owner is told %v", err)
	}
	if err := errors.Join(d.Owns(t.Context(), "a", second), d.Owns(t.Context(), "b", other)); err != nil {
		t.Error(err)
	}
	late.State = dag.Succeeded
	commit(t, d, dag.Batch{Executions: []*dag.Execution{&late}, Epoch: second})
	_, list, err := d.LoadRun(t.Context(), "a")
	if err != nil || len(list) != 1 || list[0].State != dag.Succeeded {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := d.Own(t.Context(), "nosuch"); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
}
