package sqlite_test

import (
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// What the cache saved is the time of the executions that were reused.
func TestSavedTime(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	newRun(t, d, "b")
	original, other := task("a", "train", dag.Succeeded), task("a", "look", dag.Succeeded)
	for _, x := range []*dag.Execution{original, other} {
		x.Key = x.Task
		x.Started = time.Unix(1000, 0)
		x.Ended = x.Started.Add(90 * time.Second)
	}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{original, other}})
	hit, ran := task("b", "train", dag.Succeeded), task("b", "more", dag.Succeeded)
	hit.Key, hit.Cached, ran.Key = "train", true, "more"
	taken := task("b", "taken", dag.Succeeded) // by what the steps read, not by its key
	taken.Cached, taken.Key, taken.Source = true, "another", other.ID
	commit(t, d, dag.Batch{Executions: []*dag.Execution{hit, ran, taken}})
	for run, want := range map[string]time.Duration{"a": 0, "b": 180 * time.Second} {
		if got, err := d.SavedTime(t.Context(), run); err != nil || got != want {
			t.Errorf("run %s: %s, %v; want %s", run, got, err, want)
		}
	}
}
