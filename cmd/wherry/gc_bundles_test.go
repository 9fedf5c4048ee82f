package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/dag"
)

// gcHome is a home without an engine, with runs that have ended or have not.
func gcHome(t *testing.T, runs ...*dag.Run) *globals {
	t.Helper()
	g := &globals{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Home: t.TempDir(), Quiet: true}
	t.Cleanup(g.close)
	db, err := g.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		r.Created = time.Now().Add(time.Second) // nothing of the test's is newer than the runs
		if err := db.CreateRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// collect does what gc does without an engine, and returns what has gone of kind.
func collect(t *testing.T, g *globals, l gcLimits, kind string) string {
	t.Helper()
	c, err := g.newGarbage(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	c.began = c.began.Add(time.Minute)
	plan, err := c.plan(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.remove(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, i := range plan.items {
		if i.Kind == kind && i.gone {
			name, _, _ := strings.Cut(filepath.Base(i.Name), " ")
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return strings.Join(gone, " ")
}

// TestGCBundles: what a killed load has left goes; a bundle's files go with the runs
// that were made of them, and what a person has put there stays.
func TestGCBundles(t *testing.T) {
	const file, mount, param, loose = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"
	run := &dag.Run{ID: "one", Name: "one", Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Succeeded}
	g := gcHome(t)
	at := func(name string) string { return filepath.Join(g.Home, "bundles", name) }
	for _, name := range []string{file, mount, param, loose, "mine", "." + file + loadSuffix, "." + mount + loadSuffix} {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"demo.tar", "demo.tar.partial", loose + "/pipeline.yaml"} {
		if err := os.WriteFile(at(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run.Created = time.Now().Add(time.Second)
	run.Pipeline.File = at(file + "/pipeline.yaml")
	run.Options.Mounts = []dag.Mount{{Source: at(mount), Target: "/app"}}
	run.Parameters = map[string]any{"data": at(param) + "/data.csv"}
	db, err := g.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	loading, err := os.Open(at("." + mount + loadSuffix))
	if err != nil {
		t.Fatal(err)
	}
	defer loading.Close()
	if err := unix.Flock(int(loading.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if got, want := collect(t, g, noLimits, "bundle"), "."+file+loadSuffix; got != want {
		t.Errorf("without flags %s goes, want %s", got, want)
	}
	if got, want := collect(t, g, gcLimits{keep: 1, maxSize: -1}, "bundle"), loose+" demo.tar.partial"; got != want {
		t.Errorf("beside the run %s goes, want %s", got, want)
	}
	if got, want := collect(t, g, gcLimits{keep: 0, maxSize: -1}, "bundle"), strings.Join([]string{file, mount, param}, " "); got != want {
		t.Errorf("with the run %s goes, want %s", got, want)
	}
	for _, name := range []string{"mine", "demo.tar", "." + mount + loadSuffix} {
		if _, err := os.Stat(at(name)); err != nil {
			t.Error(err)
		}
	}
}

// TestGCBundlesInUse: the files of a bundle that was loaded, or changed, since the oldest
// run that stays are not touched.
func TestGCBundlesInUse(t *testing.T) {
	g := gcHome(t)
	at := filepath.Join(g.Home, "bundles", "aaaaaaaaaaaa")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := g.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := &dag.Run{ID: "old", Name: "old", Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Succeeded, Created: time.Now().Add(-time.Hour)}
	if err := db.CreateRun(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, g, gcLimits{keep: 5, maxSize: -1}, "bundle"); got != "" {
		t.Errorf("%s goes", got)
	}
}

// TestGCBase: the run that an open rerun takes results from stays, whatever the flags
// say, until that one has ended.
func TestGCBase(t *testing.T) {
	ended := func(id string) *dag.Run {
		return &dag.Run{ID: id, Name: id, Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Succeeded}
	}
	again := ended("again")
	again.State, again.Options.Base = dag.Running, "base"
	g := gcHome(t, ended("base"), ended("other"), again)
	if got := collect(t, g, gcLimits{keep: 0, maxSize: -1, all: true}, "run"); got != "other" {
		t.Errorf("%q goes, want other alone", got)
	}
	db, err := g.database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again.State = dag.Succeeded
	if err := db.Commit(t.Context(), &dag.Batch{Run: again}); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, g, gcLimits{keep: 0, maxSize: -1}, "run"); got != "again base" {
		t.Errorf("%q goes, want both", got)
	}
}
