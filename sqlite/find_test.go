package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// library is a database with three runs of "flow": raw -> features -> model.
// Run c1 hit the cache; d9 read the same raw content from another place.
func library(t *testing.T) *sqlite.DB {
	t.Helper()
	d := open(t, "")
	raw := artifact("raw", "aaaa1111")
	var features, model []dag.Artifact
	for i, id := range []string{"c0ffee", "c1", "d9"} {
		run := &dag.Run{ID: id, Name: []string{"nightly", "nightly", "manual"}[i], State: dag.Succeeded,
			Pipeline: &dag.Pipeline{Name: "flow"}, Created: noon.Add(time.Duration(i) * time.Hour)}
		if err := d.CreateRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		in := raw
		if id == "d9" {
			in.ID, in.URI = 0, "/elsewhere"
		}
		load, prepare := task(id, "load", dag.Succeeded), task(id, "group/prepare", dag.Succeeded)
		group, train := task(id, "group", dag.Succeeded), task(id, "train", dag.Succeeded)
		load.Kind, group.Kind = dag.KindImporter, dag.KindDAG
		prepare.Key, train.Key = "p", "t"
		load.Outputs = outputs(map[string][]dag.Artifact{"artifact": {in}})
		commit(t, d, dag.Batch{Executions: []*dag.Execution{load}})
		in = load.Outputs.Artifacts["artifact"][0]
		if i == 0 {
			features, model = []dag.Artifact{artifact("features", "aaaa2222")}, []dag.Artifact{artifact("model", "bbbb1111")}
			raw.ID = in.ID
		}
		prepare.Cached, train.Cached = i > 0, i > 0
		prepare.Inputs = outputs(map[string][]dag.Artifact{"data": {in}})
		prepare.Outputs = outputs(map[string][]dag.Artifact{"features": features})
		group.Inputs, group.Outputs = prepare.Inputs, prepare.Outputs
		commit(t, d, dag.Batch{Executions: []*dag.Execution{prepare, group}})
		train.Inputs = outputs(map[string][]dag.Artifact{"data": features})
		train.Outputs = outputs(map[string][]dag.Artifact{"model": model, "report": {artifact("report", "cccc"+id)}})
		train.Attempts = []*dag.Attempt{{Number: 1}, {Number: 2, Log: "logs/x"}}
		commit(t, d, dag.Batch{Executions: []*dag.Execution{train}})
	}
	return d
}

// words is the error with its hint.
func words(err error) string {
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		return err.Error() + "; " + hint.Hint()
	}
	return fmt.Sprint(err)
}

func TestFindRun(t *testing.T) {
	d := library(t)
	for ref, want := range map[string]string{
		"c0ffee": "c0ffee", "c0": "c0ffee", "d": "d9", "nightly": "c1", "last": "d9",
		"c":        `run "c" is ambiguous: c1 (nightly), c0ffee (nightly); write more of the id`,
		"nigthly":  `no run "nigthly"; did you mean nightly?`,
		"x%":       "no run \"x%\"; `wherry get runs` lists those there are",
		"":         "no run \"\"; `wherry get runs` lists those there are",
		"NIGHTLY2": "no run \"NIGHTLY2\"; `wherry get runs` lists those there are",
	} {
		r, err := d.FindRun(t.Context(), ref)
		got := words(err)
		if err == nil {
			got = r.ID
		} else if strings.HasPrefix(want, "no ") && !errors.Is(err, dag.ErrNotFound) {
			t.Errorf("%v is not dag.ErrNotFound", err)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", ref, got, want)
		}
	}
}

func TestFindTask(t *testing.T) {
	d := library(t)
	for ref, want := range map[string]string{
		"c0/train": "c0ffee train", "last/group/prepare": "d9 group/prepare", "nightly/prepare": "c1 group/prepare",
		"last/trian": `no task "last/trian"; did you mean last/train?`,
		"last":       "no task \"last\"; `wherry get tasks` lists those there are",
	} {
		r, err := d.FindTask(t.Context(), ref)
		got := words(err)
		if err == nil {
			got = r.Run + " " + r.Path
			if r.Path == "train" && (r.Attempts != 2 || r.Log != "logs/x") {
				t.Errorf("%+v", r)
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", ref, got, want)
		}
	}
}

func TestFindArtifact(t *testing.T) {
	d := library(t)
	for ref, want := range map[string]string{
		"1": "raw", "bbbb": "model", "sha256:aaaa2": "features", "/runs/modelbbbb1111": "model",
		"c0ffee/train/model": "model", "c1/train/model": "model", "last/prepare": "features", "last/group/prepare/features": "features",
		"aaaa":                 `artifact "aaaa" is ambiguous: sha256:aaaa1111, sha256:aaaa2222; write more of the id`,
		"last/train":           `artifact "last/train" is ambiguous: last/train/model, last/train/report; write more of the id`,
		"last/train/modle":     `no artifact "last/train/modle"; did you mean last/train/model?`,
		"999":                  "no artifact \"999\"; `wherry get artifacts` lists those there are",
		"nobody/train/model":   "no artifact \"nobody/train/model\"; `wherry get artifacts` lists those there are",
		"/no/such/file":        "no artifact \"/no/such/file\"; `wherry get artifacts` lists those there are",
		"sha256:aaaa1111' --x": "no artifact \"sha256:aaaa1111' --x\"; `wherry get artifacts` lists those there are",
	} {
		a, err := d.FindArtifact(t.Context(), ref)
		got := words(err)
		if err == nil {
			got = a.Name
			if a.Name == "model" && (a.Run != "c0ffee" || a.Path != "train" || a.Output != "model") {
				t.Errorf("%q: made by %+v", ref, a)
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", ref, got, want)
		}
	}
}

func TestLists(t *testing.T) {
	d := library(t)
	ctx := t.Context()
	ids := func(f sqlite.RunFilter) (ids []string) {
		list, err := d.ListRuns(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			ids = append(ids, fmt.Sprintf("%s %d/%d", r.ID, r.Done, r.Tasks))
		}
		return ids
	}
	expect := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	expect(ids(sqlite.RunFilter{}), "d9 3/3", "c1 3/3", "c0ffee 3/3")
	expect(ids(sqlite.RunFilter{Name: "nightly", Limit: 1}), "c1 3/3")
	expect(ids(sqlite.RunFilter{State: dag.Failed}))
	expect(ids(sqlite.RunFilter{State: dag.Succeeded, Pipeline: "flow", Name: "manual"}), "d9 3/3")
	tasks, err := d.ListTasks(ctx, sqlite.TaskFilter{Run: "c1"})
	if err != nil || len(tasks) != 4 || tasks[0].Path != "load" || !tasks[1].Cached || tasks[1].RunName != "nightly" {
		t.Errorf("%+v, %v", tasks, err)
	}
	artifacts, err := d.ListArtifacts(ctx, sqlite.ArtifactFilter{Run: "c1"})
	names := []string{}
	for _, a := range artifacts {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	expect(names, "features", "model", "raw", "report")
	if err != nil || artifacts[0].Metadata["accuracy"] != 1.0 || artifacts[0].Metadata["rows"] != int64(1) {
		t.Errorf("%+v, %v", artifacts[0], err)
	}
	if list, err := d.Interrupted(ctx); err != nil || len(list) != 0 {
		t.Errorf("interrupted: %v, %v", list, err)
	}
	if err := d.RequestCancel(ctx, "nobody"); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
	if err := d.RequestCancel(ctx, "c1"); err != nil {
		t.Error(err)
	}
	if cancel, _ := d.CancelRequested(ctx, "c1"); cancel {
		t.Error("an ended run is to be cancelled")
	}
}

// TestCancelStays: the driver's commit does not take back another process's request.
func TestCancelStays(t *testing.T) {
	d := open(t, "")
	run := newRun(t, d, "a")
	if err := open(t, d.Path()).RequestCancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	commit(t, d, dag.Batch{Run: run})
	if cancel, err := d.CancelRequested(t.Context(), "a"); err != nil || !cancel {
		t.Errorf("%t, %v", cancel, err)
	}
}

// picture prints a graph by names.
func picture(t *testing.T, d *sqlite.DB, ref string, direction sqlite.Direction, depth int) string {
	t.Helper()
	a, err := d.FindArtifact(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.Lineage(t.Context(), a.ID, direction, depth)
	if err != nil {
		t.Fatal(err)
	}
	artifacts, executions := map[int64]string{}, map[int64]string{}
	for _, a := range g.Artifacts {
		artifacts[a.ID] = fmt.Sprintf("%s(%+d)", a.Name, a.Depth)
	}
	for _, e := range g.Executions {
		executions[e.ID] = fmt.Sprintf("%s/%s(%+d)", e.Run, e.Path, e.Depth)
	}
	var lines []string
	for _, e := range g.Edges {
		line := artifacts[e.Artifact] + " > " + executions[e.Execution]
		if e.Output {
			line = executions[e.Execution] + " > " + artifacts[e.Artifact]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestLineage(t *testing.T) {
	d := library(t)
	for _, c := range []struct {
		ref       string
		direction sqlite.Direction
		depth     int
		want      string
	}{
		{"bbbb", sqlite.Up, 20, `
c0ffee/group/prepare(-2) > features(-1)
c0ffee/load(-3) > raw(-2)
c0ffee/train(-1) > model(+0)
c1/load(-3) > raw(-2)
features(-1) > c0ffee/train(-1)
raw(-2) > c0ffee/group/prepare(-2)`},
		{"bbbb", sqlite.Up, 1, `
c0ffee/train(-1) > model(+0)
features(-1) > c0ffee/train(-1)`},
		{"bbbb", sqlite.Down, 20, ``},
		{"c0ffee/load", sqlite.Down, 20, `
c0ffee/group/prepare(+1) > features(+1)
c0ffee/train(+2) > model(+2)
c0ffee/train(+2) > report(+2)
features(+1) > c0ffee/train(+2)
raw(+0) > c0ffee/group/prepare(+1)`},
		// Only the cache hit of d9 says that this copy led to the features.
		{"d9/load", sqlite.Down, 1, `
d9/group/prepare(+1) > features(+1)
raw(+0) > d9/group/prepare(+1)`},
		{"sha256:aaaa2", sqlite.Both, 1, `
c0ffee/group/prepare(-1) > features(+0)
c0ffee/train(+1) > model(+1)
c0ffee/train(+1) > report(+1)
features(+0) > c0ffee/train(+1)
raw(-1) > c0ffee/group/prepare(-1)`},
		{"bbbb", sqlite.Both, 0, ``},
	} {
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), picture(t, d, c.ref, c.direction, c.depth)); diff != "" {
			t.Errorf("%s %s %d (-want +got):\n%s", c.ref, c.direction, c.depth, diff)
		}
	}
	if _, err := d.Lineage(t.Context(), 999, sqlite.Both, 3); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestLineageLimit: what everybody used is cut off, not read for ever.
func TestLineageLimit(t *testing.T) {
	d := open(t, "")
	newRun(t, d, "a")
	shared := []dag.Artifact{artifact("raw", "1")}
	var b dag.Batch
	for i := range sqlite.LineageLimit + 100 {
		e := task("a", fmt.Sprint("t", i), dag.Succeeded)
		e.Inputs = outputs(map[string][]dag.Artifact{"data": shared})
		b.Executions = append(b.Executions, e)
	}
	commit(t, d, b)
	g, err := d.Lineage(t.Context(), shared[0].ID, sqlite.Down, 20)
	if err != nil || !g.Truncated || len(g.Executions) != sqlite.LineageLimit+1 {
		t.Errorf("truncated %t, %d executions, %v", g.Truncated, len(g.Executions), err)
	}
}
