package sqlite_test

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

var awkward = map[string]any{
	"int": int64(1), "whole": 1.0, "big": int64(math.MaxInt64), "tiny": 5e-324, "large": 1e300, "nan": math.NaN(),
	"inf": math.Inf(-1), "null": nil, "text": "a <b> & \u2028", "list": []any{int64(1), 2.0, []any{}}, "yes": true,
	"map": map[string]any{"lr": 0.01, "epochs": int64(3), "empty": map[string]any{}},
}

// TestRunRoundTrip: what was stored comes back, with its types.
func TestRunRoundTrip(t *testing.T) {
	d := open(t, "")
	run := &dag.Run{
		ID: "abc", Name: "first", State: dag.Running, Created: noon, Started: noon.Add(time.Second), Parameters: awkward,
		Pipeline: &dag.Pipeline{Name: "flow", Format: dag.FormatIR, Root: "root", Components: map[string]*dag.Component{
			"root": {Name: "root", Inputs: dag.Inputs{Parameters: map[string]*dag.Parameter{
				"p": {Type: dag.TypeDouble, HasDefault: true, Default: 2.0, Literals: []any{int64(1), 1.0}},
			}}, Graph: &dag.Graph{Tasks: map[string]*dag.Task{
				"train": {Name: "train", Retry: &dag.Retry{Limit: 2, Backoff: time.Minute},
					Parameters: map[string]*dag.Source{"x": {Constant: &dag.Constant{Value: awkward}}}},
			}}},
		}},
		Options: dag.RunOptions{Backend: "docker", MaxParallel: 4, Grace: time.Second,
			Env:    []runner.EnvVar{{Name: "A", Value: "b"}, secret},
			Images: map[string]dag.Alias{"x": {Build: &runner.BuildSpec{Base: "python:3.12"}}}},
	}
	if err := d.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	model := artifact("model", "1")
	e := task("abc", "train", dag.Succeeded)
	e.Key, e.KeyParts, e.Reason = "sha256:k", map[string]string{"image": "x"}, "first run"
	e.Source = 41
	e.Inputs.Parameters = awkward
	e.Outputs = dag.Values{Parameters: map[string]any{}, Artifacts: map[string][]dag.Artifact{"model": {model}, "none": {}}}
	e.Attempts = []*dag.Attempt{{Number: 1, Pod: "p1", State: dag.Lost, Cause: runner.CauseLost, Started: noon},
		{Number: 2, Pod: "p2", State: dag.Succeeded, Ended: noon.Add(time.Hour), Log: "logs/2"}}
	e.RetryAt, e.Started, e.Ended = noon.Add(1), noon.Add(2), noon.Add(3)
	run.State, run.Ended = dag.Succeeded, noon.Add(time.Hour)
	run.Outputs = outputs(map[string][]dag.Artifact{"model": {model}})
	commit(t, d, dag.Batch{Run: run, Executions: []*dag.Execution{e}, Durable: true})
	if e.ID == 0 || e.Outputs.Artifacts["model"][0].ID == 0 {
		t.Fatalf("no IDs: %+v", e)
	}
	if run.Outputs.Artifacts["model"][0].ID != e.Outputs.Artifacts["model"][0].ID {
		t.Error("the run's output is another artifact than the task's")
	}

	got, executions, err := d.LoadRun(t.Context(), "abc")
	if err != nil {
		t.Fatal(err)
	}
	want := *run
	want.Options.Env = []runner.EnvVar{{Name: "A", Value: "b"}, {Name: "TOKEN", Secret: true}}
	if diff := cmp.Diff(&want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]*dag.Execution{e}, executions, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	if run.Options.Env[1].Value != "hunter2" {
		t.Error("the caller's run has lost its secret")
	}
	d.Close()
	if text, err := os.ReadFile(d.Path()); err != nil || strings.Contains(string(text), "hunter2") {
		t.Errorf("the database holds a secret (or %v)", err)
	}
}

// TestArtifactsAt: what has this URI, the newest first; one that is handed on keeps
// its id.
func TestArtifactsAt(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	commitOutput := func(path string, a dag.Artifact) dag.Artifact {
		e := task("a", path, dag.Succeeded)
		e.Kind = dag.KindImporter
		e.Outputs = outputs(map[string][]dag.Artifact{"artifact": {a}})
		commit(t, d, dag.Batch{Executions: []*dag.Execution{e}})
		return e.Outputs.Artifacts["artifact"][0]
	}
	one, two := artifact("one", ""), artifact("two", "")
	one.URI, two.URI = "s3://b/k", "s3://b/k"
	two.Digest = ""
	one, two = commitOutput("one", one), commitOutput("two", two)
	commitOutput("other", artifact("other", ""))
	if again := commitOutput("again", one); again.ID != one.ID {
		t.Errorf("%d became %d", one.ID, again.ID)
	}
	got, err := d.ArtifactsAt(t.Context(), "s3://b/k")
	if diff := cmp.Diff([]dag.Artifact{two, one}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := d.ArtifactsAt(t.Context(), "s3://b"); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPipelineIsStoredOnce(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	newRun(t, d, "b")
	if n := count(t, d, "pipelines"); n != 1 {
		t.Errorf("%d pipelines, want 1", n)
	}
	if err := d.CreateRun(t.Context(), &dag.Run{ID: "a", Pipeline: &dag.Pipeline{}}); err == nil {
		t.Error("two runs with one id")
	}
}

func TestNotFound(t *testing.T) {
	d := open(t, "")
	ctx := t.Context()
	_, _, err1 := d.LoadRun(ctx, "x")
	_, err2 := d.LookupCache(ctx, "x")
	_, err3 := d.LastKeyParts(ctx, "x", "y")
	_, err4 := d.CancelRequested(ctx, "x")
	err5 := d.Commit(ctx, &dag.Batch{Run: &dag.Run{ID: "x"}})
	err6 := d.Commit(ctx, &dag.Batch{Executions: []*dag.Execution{task("x", "train", dag.Running)}})
	err7 := d.Commit(ctx, &dag.Batch{Executions: []*dag.Execution{{ID: 7, Run: "x"}}})
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if !errors.Is(err, dag.ErrNotFound) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}

// TestBatchIsAllOrNothing: the second execution breaks a foreign key, so nothing
// of the first is there, and the IDs are taken back.
func TestBatchIsAllOrNothing(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	good, bad := task("a", "good", dag.Succeeded), task("a", "bad", dag.Running)
	good.Outputs = outputs(map[string][]dag.Artifact{"model": {artifact("model", "1")}})
	bad.Parent = 999
	if err := d.Commit(t.Context(), &dag.Batch{Executions: []*dag.Execution{good, bad}}); err == nil {
		t.Fatal("a parent that is not there was accepted")
	}
	if good.ID != 0 || good.Outputs.Artifacts["model"][0].ID != 0 {
		t.Errorf("IDs of a transaction that was rolled back: %+v", good)
	}
	if n := count(t, d, "executions") + count(t, d, "artifacts"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	bad.Parent = 0
	commit(t, d, dag.Batch{Executions: []*dag.Execution{good, bad}})
}

func TestEndedStaysEnded(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	e := task("a", "train", dag.Succeeded)
	commit(t, d, dag.Batch{Executions: []*dag.Execution{e}})
	commit(t, d, dag.Batch{Executions: []*dag.Execution{e}}) // repeating is fine
	e.State = dag.Running
	err := d.Commit(t.Context(), &dag.Batch{Executions: []*dag.Execution{e}})
	if ended, ok := errors.AsType[*sqlite.EndedError](err); !ok || ended.Was != dag.Succeeded {
		t.Errorf("got %v", err)
	}
}

// TestSharedArtifacts: a group's output and another task's input are the task's
// artifact, also by value and in one batch; a second one that was made is not.
func TestSharedArtifacts(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	model := artifact("model", "1")
	one := map[string][]dag.Artifact{"model": {model}}
	copied := func() map[string][]dag.Artifact { return map[string][]dag.Artifact{"model": {model}} }
	train, group, use, again := task("a", "train", dag.Succeeded), task("a", "group", dag.Succeeded),
		task("a", "use", dag.Running), task("a", "again", dag.Succeeded)
	group.Kind = dag.KindDAG
	group.Outputs, use.Inputs, train.Outputs = outputs(copied()), outputs(copied()), outputs(one)
	commit(t, d, dag.Batch{Executions: []*dag.Execution{group, use, train}})
	again.Outputs = outputs(copied())
	commit(t, d, dag.Batch{Executions: []*dag.Execution{again}})
	id := one["model"][0].ID
	if id == 0 || group.Outputs.Artifacts["model"][0].ID != id || use.Inputs.Artifacts["model"][0].ID != id {
		t.Errorf("not one artifact: %v %v %v", train.Outputs, group.Outputs, use.Inputs)
	}
	if again.Outputs.Artifacts["model"][0].ID == id {
		t.Error("what was made again is the old artifact")
	}
}

func TestCache(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	first, failed := task("a", "train", dag.Running), task("a", "bad", dag.Failed)
	first.Key, failed.Key = "k", "f"
	first.KeyParts = map[string]string{"image": "x"}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{first, failed}})
	if _, err := d.LookupCache(t.Context(), "k"); !errors.Is(err, dag.ErrNotFound) {
		t.Fatalf("a running task is an entry: %v", err)
	}
	first.State = dag.Succeeded
	first.Outputs = dag.Values{Parameters: map[string]any{"p": 1.0}, Artifacts: map[string][]dag.Artifact{"model": {artifact("model", "1")}}}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{first}, Durable: true})
	entry, err := d.LookupCache(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&dag.CacheEntry{Execution: first.ID, Run: "a", Outputs: first.Outputs}, entry); diff != "" {
		t.Error(diff)
	}
	if _, err := d.LookupCache(t.Context(), "f"); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("a failed task is an entry: %v", err)
	}

	newRun(t, d, "b")
	hit, other := task("b", "train", dag.Succeeded), task("b", "train", dag.Succeeded)
	hit.Key, hit.Cached, hit.Outputs = "k", true, entry.Outputs
	commit(t, d, dag.Batch{Executions: []*dag.Execution{hit}})
	if again, _ := d.LookupCache(t.Context(), "k"); again.Execution != first.ID {
		t.Error("a hit has replaced the original")
	}
	other.Key, other.KeyParts = "k", map[string]string{"image": "y"}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{other}})
	if again, _ := d.LookupCache(t.Context(), "k"); again.Execution != other.ID {
		t.Error("a newer execution has not replaced the older")
	}
	parts, err := d.LastKeyParts(t.Context(), "flow", "train")
	if err != nil || parts["image"] != "y" {
		t.Errorf("last key parts %v, %v", parts, err)
	}
}

// TestSourceOf: what made the outputs of a cached execution, also where another has
// the same key by now.
func TestSourceOf(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	newRun(t, d, "b")
	made, hit, newer := task("a", "train", dag.Succeeded), task("b", "train", dag.Succeeded), task("b", "again", dag.Succeeded)
	made.Key, hit.Key, newer.Key, hit.Cached = "sha256:k", "sha256:k", "sha256:k", true
	made.Attempts = []*dag.Attempt{{Number: 1, Pod: "p1", State: dag.Lost}, {Number: 2, Pod: "p2", Log: "logs/x", State: dag.Succeeded}}
	made.Outputs = outputs(map[string][]dag.Artifact{"model": {artifact("model", "1")}})
	unread := task("a", "other", dag.Succeeded)
	commit(t, d, dag.Batch{Executions: []*dag.Execution{unread, made}})
	if _, err := raw(t, d.Path()).Exec(`UPDATE executions SET inputs = 'no JSON' WHERE id = ?`, unread.ID); err != nil {
		t.Fatal(err)
	}
	hit.Source = made.ID
	commit(t, d, dag.Batch{Executions: []*dag.Execution{hit}})
	commit(t, d, dag.Batch{Executions: []*dag.Execution{newer}})
	if got, err := d.SourceOf(t.Context(), hit); err != nil || got.ID != made.ID || got.Run != "a" {
		t.Errorf("got %+v, %v", got, err)
	} else if len(got.Attempts) != 2 || got.Attempts[1].Log != "logs/x" || got.Outputs.Artifacts["model"][0].Name != "model" {
		t.Errorf("of its attempts and outputs there is %+v", got)
	}
	hit.Source = 0 // of a database from before it was kept
	if got, err := d.SourceOf(t.Context(), hit); err != nil || got.ID != newer.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	hit.Source = 99
	if _, err := d.SourceOf(t.Context(), hit); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
