package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// hex64 is a digest that reads like one.
func hex64(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// ran stores a run that has ended, with one task for each key, which makes or, as
// a hit, is given the artifact of that number.
func ran(t testing.TB, d *sqlite.DB, id string, keys ...int) {
	t.Helper()
	r := newRun(t, d, id)
	for _, k := range keys {
		e := task(id, fmt.Sprint("task-", k), dag.Succeeded)
		e.Key, e.KeyParts = fmt.Sprint("key-", k), map[string]string{}
		a := artifact("model", "")
		a.Digest, a.URI = hex64(k), "/runs/"+id+fmt.Sprint("/", k)
		e.Outputs = outputs(map[string][]dag.Artifact{"model": {a}})
		entry, err := d.LookupCache(t.Context(), e.Key)
		switch {
		case err == nil:
			e.Cached, e.Outputs = true, entry.Outputs
		case !errors.Is(err, dag.ErrNotFound):
			t.Fatal(err)
		}
		commit(t, d, dag.Batch{Executions: []*dag.Execution{e}})
	}
	r.State, r.Ended = dag.Succeeded, noon
	commit(t, d, dag.Batch{Run: r})
}

func forget(t testing.TB, d *sqlite.DB, runs ...string) {
	t.Helper()
	err := d.Retire(t.Context(), runs)
	for _, run := range runs {
		err = errors.Join(err, d.Forget(t.Context(), run))
	}
	if err = errors.Join(err, d.Tidy(t.Context()), d.Compact(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func references(t testing.TB, d *sqlite.DB, without ...string) string {
	t.Helper()
	digests, _, err := d.References(t.Context(), without)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, digest := range slices.Sorted(maps.Keys(digests)) {
		numbers = append(numbers, strings.TrimLeft(strings.TrimPrefix(digest, "sha256:"), "0"))
	}
	return strings.Join(numbers, " ")
}

// TestForget: a run goes with its artifacts; what the cache gave to another run
// stays in the cache, and lineage leads through that run.
func TestForget(t *testing.T) {
	d := open(t, "")
	ran(t, d, "a", 1, 2)
	ran(t, d, "b", 1, 3) // has 1 from a
	if got := references(t, d, "a"); got != "1 3" {
		t.Errorf("without a: %s", got)
	}
	forget(t, d, "a")
	if got := references(t, d); got != "1 3" {
		t.Errorf("after a: %s", got)
	}
	if _, _, err := d.LoadRun(t.Context(), "a"); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("a is still there: %v", err)
	}
	entry, err := d.LookupCache(t.Context(), "key-1")
	if err != nil || entry.Run != "b" || entry.Outputs.Artifacts["model"][0].Digest != hex64(1) {
		t.Errorf("entry %+v, %v", entry, err)
	}
	if _, err := d.LookupCache(t.Context(), "key-2"); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("a's own result can still be had: %v", err)
	}
	id := entry.Outputs.Artifacts["model"][0].ID
	g, err := d.Lineage(t.Context(), id, sqlite.Up, 10)
	if err != nil || len(g.Executions) != 1 || g.Executions[0].Run != "b" {
		t.Errorf("lineage %+v, %v", g, err)
	}
	for _, digest := range []string{hex64(1), hex64(2)} {
		if yes, err := d.Refers(t.Context(), digest); err != nil || yes != (digest == hex64(1)) {
			t.Errorf("%s on record: %t, %v", digest, yes, err)
		}
	}
	forget(t, d, "b", "b")
	for _, table := range []string{"runs", "executions", "events", "artifacts", "attempts", "cache_entries", "pipelines"} {
		if n := count(t, d, table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// TestForgetOnlyEnded: nothing of a run that has not ended goes, nor anything it
// refers to: also the snapshots of its sources.
func TestForgetOnlyEnded(t *testing.T) {
	d := open(t, "")
	r := &dag.Run{ID: "a", Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Running, Created: noon,
		Options: dag.RunOptions{Mounts: []dag.Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: hex64(7)}}}}
	if err := d.CreateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*sqlite.NotEndedError](d.Retire(t.Context(), []string{"a"})); !ok {
		t.Error("a running run was retired")
	}
	if _, ok := errors.AsType[*sqlite.NotEndedError](d.Forget(t.Context(), "a")); !ok {
		t.Error("a running run was forgotten")
	}
	if got := references(t, d); got != "7" {
		t.Errorf("it refers to %q", got)
	}
	if yes, err := d.Refers(t.Context(), hex64(7)); err != nil || !yes {
		t.Errorf("its source is on record: %t, %v", yes, err)
	}
}

// TestForgetReads: what a step has read of its sources goes over with its entry, so
// that a change in a file that it does not read still costs nothing.
func TestForgetReads(t *testing.T) {
	d := open(t, "")
	ran(t, d, "a", 1)
	made := task("a", "reads", dag.Succeeded)
	made.Key, made.Reads = "key-r", &dag.Reads{Base: "base", Sources: []dag.SourceRead{{Target: "/app", Tree: hex64(9), Digest: hex64(8)}}}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{made}})
	newRun(t, d, "b")
	hit := task("b", "reads", dag.Succeeded)
	hit.Key, hit.Cached = "key-r", true
	commit(t, d, dag.Batch{Executions: []*dag.Execution{hit}})
	forget(t, d, "a")
	past, err := d.PastReads(t.Context(), "base")
	if err != nil || len(past) != 1 || past[0].Run != "b" || past[0].Key != "key-r" || past[0].Sources[0].Digest != hex64(8) {
		t.Errorf("%+v, %v", past, err)
	}
}

// TestForgetBase: the run that an unfinished rerun takes results from stays.
func TestForgetBase(t *testing.T) {
	d := open(t, "")
	ran(t, d, "a", 1)
	again := &dag.Run{ID: "again", Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Running, Created: noon,
		Options: dag.RunOptions{Base: "a"}}
	if err := d.CreateRun(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if bases, err := d.Bases(t.Context()); err != nil || !bases["a"] || bases["again"] {
		t.Errorf("bases %v, %v", bases, err)
	}
	if _, ok := errors.AsType[*sqlite.NeededError](d.Forget(t.Context(), "a")); !ok {
		t.Error("it was forgotten")
	}
	again.State = dag.Failed
	commit(t, d, dag.Batch{Run: again})
	forget(t, d, "a")
	if got := references(t, d); got != "" {
		t.Errorf("it still refers to %s", got)
	}
}

// TestForgetInUse: whoever was given a result of a run that goes meanwhile either
// has it on record in time, and then it stays, or his commit fails whole.
func TestForgetInUse(t *testing.T) {
	d := open(t, "")
	ran(t, d, "a", 1)
	hit := func(run string) *dag.Execution {
		newRun(t, d, run)
		entry, err := d.LookupCache(t.Context(), "key-1")
		if err != nil {
			t.Fatal(err)
		}
		e := task(run, "task-1", dag.Succeeded)
		e.Key, e.Cached, e.Outputs = "key-1", true, entry.Outputs
		return e
	}
	early, late := hit("early"), hit("late")
	if err := d.Retire(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{early}})
	forget(t, d, "a")
	if got := references(t, d); got != "1" {
		t.Errorf("what was used in time is gone: %q", got)
	}
	early.Run = "early"
	if _, err := raw(t, d.Path()+"?_foreign_keys=1").Exec("DELETE FROM runs WHERE id = 'early'"); err != nil {
		t.Fatal(err)
	}
	if err := d.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(t.Context(), &dag.Batch{Executions: []*dag.Execution{late}}); err == nil {
		t.Error("a result that is gone was put on record")
	}
}

func TestInUse(t *testing.T) {
	now := noon
	d, err := sqlite.Open(t.Context(), t.TempDir()+"/wherry.db", sqlite.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ran(t, d, "a", 1)
	ran(t, d, "b", 2)
	ran(t, d, "c", 3)
	now = noon.Add(time.Hour)
	ran(t, d, "later", 2) // stands for b
	if _, err := d.LookupCache(t.Context(), "key-1"); err != nil {
		t.Fatal(err)
	}
	commit(t, d, dag.Batch{Run: &dag.Run{ID: "later", State: dag.Succeeded}}) // writes the use
	used, err := d.InUse(t.Context(), []string{"a", "b", "c"}, noon.Add(time.Minute))
	if want := (map[string]bool{"a": true}); err != nil || !maps.Equal(used, want) {
		t.Errorf("in use %v, %v; want %v", used, err, want)
	}
}

// TestCompact: the file shrinks by what was deleted.
func TestCompact(t *testing.T) {
	d := open(t, "")
	for i := range 4 {
		id := fmt.Sprint("run-", i)
		r := newRun(t, d, id)
		for j := range 40 {
			e := task(id, fmt.Sprint("task-", j), dag.Succeeded)
			e.Reason = strings.Repeat("x", 20_000)
			commit(t, d, dag.Batch{Executions: []*dag.Execution{e}})
		}
		r.State = dag.Succeeded
		commit(t, d, dag.Batch{Run: r})
	}
	if err := d.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(d.Path())
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	forget(t, d, "run-0", "run-1", "run-2")
	if after := size(); after > before/3 {
		t.Errorf("%d bytes of %d are left after three of four runs went", after, before)
	}
	if _, executions, err := d.LoadRun(t.Context(), "run-3"); err != nil || len(executions) != 40 {
		t.Errorf("%d executions, %v", len(executions), err)
	}
}

// TestForgetProperty: after any runs and hits and whatever was forgotten, each run
// that stays can be loaded whole, each entry of the cache leads to a run that
// stays, and nothing is on record that no run refers to.
func TestForgetProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "db")
		if err != nil {
			t.Fatal(err)
		}
		d, err := sqlite.Open(context.Background(), dir+"/wherry.db", sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		there := map[string]map[int]bool{} // keys of each run
		for i := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			keys := rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 4, rapid.ID).Draw(rt, "keys")
			id := fmt.Sprint("r", i)
			ran(t, d, id, keys...)
			there[id] = map[int]bool{}
			for _, k := range keys {
				there[id][k] = true
			}
			var gone []string
			for _, id := range slices.Sorted(maps.Keys(there)) {
				if rapid.IntRange(0, 2).Draw(rt, "gone") == 0 {
					gone = append(gone, id)
				}
			}
			foretold := references(t, d, gone...)
			forget(t, d, gone...)
			for _, id := range gone {
				delete(there, id)
			}
			checkForgotten(rt, t, d, there, foretold)
		}
		forget(t, d, slices.Sorted(maps.Keys(there))...)
		if n := count(t, d, "artifacts") + count(t, d, "cache_entries") + count(t, d, "executions"); n != 0 {
			rt.Fatalf("%d rows are left of nothing", n)
		}
	})
}

func checkForgotten(rt *rapid.T, t *testing.T, d *sqlite.DB, there map[string]map[int]bool, foretold string) {
	all := map[int]bool{}
	for id, keys := range there {
		_, executions, err := d.LoadRun(t.Context(), id)
		if err != nil || len(executions) != len(keys) {
			rt.Fatalf("run %s: %d executions, %v", id, len(executions), err)
		}
		maps.Copy(all, keys)
	}
	var want []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		want = append(want, fmt.Sprint(k))
		entry, err := d.LookupCache(t.Context(), fmt.Sprint("key-", k))
		if err != nil || there[entry.Run] == nil {
			rt.Fatalf("key %d: %+v, %v", k, entry, err)
		}
	}
	if got := references(t, d); got != strings.Join(want, " ") || got != foretold {
		rt.Fatalf("refers to %q, foretold %q, want %q", got, foretold, want)
	}
	if n := count(t, d, "artifacts"); n != len(want) {
		rt.Fatalf("%d artifacts, want %d", n, len(want))
	}
	if n := count(t, d, "cache_entries"); n != len(want) {
		rt.Fatalf("%d cache entries, want %d", n, len(want))
	}
}
