package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

// open opens a database in a new directory, or the one at path.
func open(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "wherry.db")
	}
	d, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

var noon = time.Date(2025, 3, 1, 12, 0, 0, 123456789, time.UTC)

// newRun stores a run whose pipeline is called "flow".
func newRun(t testing.TB, d *sqlite.DB, id string) *dag.Run {
	t.Helper()
	r := &dag.Run{ID: id, Name: "flow-" + id, Pipeline: &dag.Pipeline{Name: "flow", Root: "root"}, State: dag.Running, Created: noon}
	if err := d.CreateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func commit(t testing.TB, d *sqlite.DB, b dag.Batch) {
	t.Helper()
	if err := d.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func task(run, path string, state dag.State) *dag.Execution {
	return &dag.Execution{Run: run, Path: path, Task: path, Component: "comp-" + path, Kind: dag.KindContainer,
		Iteration: -1, State: state, Created: noon}
}

func outputs(artifacts map[string][]dag.Artifact) dag.Values { return dag.Values{Artifacts: artifacts} }

func artifact(name, content string) dag.Artifact {
	return dag.Artifact{Name: name, URI: "/runs/" + name + content, Digest: "sha256:" + content, Type: "system.Model",
		Version: "0.0.1", Metadata: map[string]any{"framework": "sklearn", "accuracy": 1.0, "rows": int64(1)}, Size: 42}
}

var secret = runner.EnvVar{Name: "TOKEN", Value: "hunter2", Secret: true}
