package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
)

// gcWorld is a home that runs and gc change in turn.
type gcWorld struct {
	*testing.T
	rt   *rapid.T
	home string
	now  time.Time
	runs map[string]bool // that are on record
	n    int

	sweeps map[string]bool   // experiments that are on record: whether they have ended
	of     map[string]string // run to experiment
}

func (w *gcWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.rt.Fatal(err)
	}
}

// in opens the home as a process of its own does.
func (w *gcWorld) in(do func(ctx context.Context, g *globals, db *sqlite.DB, s *artifact.Store)) {
	g := &globals{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Home: w.home, Quiet: true}
	defer g.close()
	db, err := g.database(context.Background())
	w.must(err)
	s, err := g.artifacts()
	w.must(err)
	do(context.Background(), g, db, s)
}

// run does what a run of a few tasks does: each takes its result from the cache, or
// makes it.
func (w *gcWorld) run(tasks []int, ends bool, experiment string) {
	w.n++
	w.now = w.now.Add(time.Hour)
	id := fmt.Sprint("run", w.n)
	w.in(func(ctx context.Context, g *globals, db *sqlite.DB, s *artifact.Store) {
		w.must(s.Hold())
		source := filepath.Join(w.home, "..", "source")
		w.must(os.WriteFile(filepath.Join(source, "main.py"), fmt.Append(nil, w.n/3), 0o644))
		tree, _, err := s.Snapshot(ctx, source, artifact.SnapshotOptions{})
		w.must(err)
		r := &dag.Run{ID: id, Name: id, Pipeline: &dag.Pipeline{Name: "flow"}, State: dag.Running, Created: w.now, Started: w.now,
			Options: dag.RunOptions{Experiment: experiment, Mounts: []dag.Mount{{Source: source, Target: "/app", ReadOnly: true, Digest: tree}}}}
		w.must(db.CreateRun(ctx, r))
		w.must(os.MkdirAll(filepath.Join(w.home, "runs", id), 0o755))
		w.must(os.WriteFile(filepath.Join(w.home, "runs", id, "lock"), nil, 0o644))
		for _, k := range tasks {
			e := &dag.Execution{Run: id, Path: fmt.Sprint("task-", k), Task: fmt.Sprint("task-", k), Kind: dag.KindContainer, Iteration: -1,
				State: dag.Succeeded, Key: fmt.Sprint("key-", k), Created: w.now}
			entry, err := db.LookupCache(ctx, e.Key)
			if err == nil {
				e.Cached, e.Outputs = true, entry.Outputs
			} else {
				e.Outputs = dag.Values{Artifacts: map[string][]dag.Artifact{"model": {w.make(ctx, s, id, k)}}}
			}
			w.must(db.Commit(ctx, &dag.Batch{Executions: []*dag.Execution{e}}))
			for _, a := range e.Outputs.Artifacts["model"] {
				w.must(s.Link(a.Digest, a.URI))
			}
		}
		w.must(os.MkdirAll(filepath.Join(w.home, "runs", id, "views", "pod"), 0o755))
		if ends {
			r.State, r.Ended = dag.Succeeded, w.now
			w.must(db.Commit(ctx, &dag.Batch{Run: r}))
		}
		log := filepath.Join(w.home, "logs", id)
		w.must(errors.Join(os.MkdirAll(log, 0o755), os.WriteFile(filepath.Join(log, "1-1.log"), []byte(id), 0o644)))
	})
	w.runs[id], w.of[id] = true, experiment
}

// tune does what an experiment of some trials does: each is a run.
func (w *gcWorld) tune(trials int, ends bool) {
	e := &tuner.Experiment{ID: fmt.Sprint("sweep", w.n), Name: "sweep", State: tuner.Running, Created: w.now}
	w.in(func(ctx context.Context, g *globals, db *sqlite.DB, s *artifact.Store) {
		w.must(s.Hold())
		source := filepath.Join(w.home, "..", "source")
		w.must(os.WriteFile(filepath.Join(source, "main.py"), []byte(e.ID), 0o644))
		tree, _, err := s.Snapshot(ctx, source, artifact.SnapshotOptions{})
		w.must(err)
		e.Trial.Pipeline = &dag.Pipeline{Name: "flow"}
		e.Trial.Options.Mounts = []dag.Mount{{Source: source, Target: "/app", ReadOnly: true, Digest: tree}}
		w.must(db.CreateExperiment(ctx, e))
	})
	for i := range trials {
		t := &tuner.Trial{Number: i, Name: fmt.Sprint("sweep-", i), State: tuner.TrialRunning, Run: fmt.Sprint("run", w.n+1), Created: w.now}
		w.run([]int{i}, ends || rapid.Bool().Draw(w.rt, "trial ends"), e.ID)
		w.in(func(ctx context.Context, _ *globals, db *sqlite.DB, _ *artifact.Store) {
			w.must(db.CommitTrials(ctx, tuner.Batch{Experiment: e, Trials: []*tuner.Trial{t}}))
		})
	}
	w.sweeps[e.ID] = ends
	if ends {
		w.end(e.ID)
	}
}

func (w *gcWorld) end(experiment string) {
	w.in(func(ctx context.Context, _ *globals, db *sqlite.DB, _ *artifact.Store) {
		e, _, _, err := db.LoadExperiment(ctx, experiment, false)
		w.must(err)
		e.State, e.Ended = tuner.Succeeded, w.now
		w.must(db.CommitTrials(ctx, tuner.Batch{Experiment: e}))
	})
}

// tuned asserts that of experiments that have not ended all is there, and of others all or,
// where gc was not killed, nothing.
func (w *gcWorld) tuned(ctx context.Context, db *sqlite.DB, there map[string]bool, whole bool) {
	known := map[string]bool{}
	rows, err := db.ListExperiments(ctx, 0)
	w.must(err)
	for _, e := range rows {
		known[e.ID] = true
	}
	for id, ended := range w.sweeps {
		left, runs := 0, 0
		for run, of := range w.of {
			if of == id && (w.runs[run] || there[run]) {
				runs++
			}
			if of == id && there[run] {
				left++
			}
		}
		switch {
		case !ended && (!known[id] || left < runs):
			w.rt.Fatalf("%s has not ended: on record %t, %d of %d runs", id, known[id], left, runs)
		case left > 0 && (!known[id] || whole && left < runs):
			w.rt.Fatalf("%s: on record %t, %d of %d runs", id, known[id], left, runs)
		}
		if !known[id] {
			delete(w.sweeps, id)
		}
	}
}

// make stores what a task wrote: of two tasks in three the same as another's.
func (w *gcWorld) make(ctx context.Context, s *artifact.Store, run string, k int) dag.Artifact {
	dir := filepath.Join(w.home, "runs", run, fmt.Sprint(k))
	w.must(os.MkdirAll(dir, 0o755))
	at := filepath.Join(dir, "model")
	w.must(os.WriteFile(at, fmt.Append(nil, "weights", k/3), 0o644))
	digest, size, err := s.Add(ctx, at)
	w.must(err)
	return dag.Artifact{Name: "model", URI: at, Digest: digest, Size: size}
}

// gc runs one that is killed after so many steps; -1: it is not.
func (w *gcWorld) gc(l gcLimits, steps int) {
	w.in(func(ctx context.Context, g *globals, db *sqlite.DB, _ *artifact.Store) {
		c, err := g.newGarbage(ctx, l)
		w.must(err)
		p, err := c.plan(ctx, false)
		w.must(err)
		if steps >= 0 {
			p.items = p.items[:min(len(p.items), steps)]
		}
		w.must(c.remove(ctx, p))
		rows, err := db.ListRuns(ctx, sqlite.RunFilter{})
		w.must(err)
		there := map[string]bool{}
		for _, r := range rows {
			there[r.ID] = true
		}
		for id := range w.runs {
			if !there[id] && !slices.Contains(p.forget, id) {
				w.rt.Fatalf("%s is gone, and was not to go: %v", id, p.forget)
			}
		}
		w.tuned(ctx, db, there, steps < 0)
		w.runs = there
		for _, r := range rows {
			_, err := os.Stat(filepath.Join(w.home, "runs", r.ID, "views"))
			if left := err == nil; steps < 0 && left == r.State.Ended() {
				w.rt.Fatalf("views of %s, which is %s: %t", r.ID, r.State, left)
			}
		}
	})
}

// check asserts that all that is on record is there, whole.
func (w *gcWorld) check() {
	w.in(func(ctx context.Context, g *globals, db *sqlite.DB, s *artifact.Store) {
		for id := range w.runs {
			r, executions, err := db.LoadRun(ctx, id)
			w.must(err)
			w.must(s.Verify(ctx, r.Options.Mounts[0].Digest))
			for _, e := range executions {
				for _, a := range e.Outputs.Artifacts["model"] {
					w.must(s.Verify(ctx, a.Digest))
					data, err := os.ReadFile(a.URI)
					if err != nil || !strings.HasPrefix(string(data), "weights") {
						w.rt.Fatalf("%s of %s: %q, %v", a.URI, id, data, err)
					}
				}
			}
			if _, err := os.Stat(filepath.Join(g.Home, "logs", id, "1-1.log")); err != nil {
				w.rt.Fatal(err)
			}
		}
		for id := range w.sweeps { // which may go on: its next trial sees its sources
			e, _, _, err := db.LoadExperiment(ctx, id, false)
			w.must(err)
			w.must(s.Verify(ctx, e.Trial.Options.Mounts[0].Digest))
		}
		for k := range 6 {
			entry, err := db.LookupCache(ctx, fmt.Sprint("key-", k))
			if errors.Is(err, dag.ErrNotFound) {
				continue
			}
			w.must(err)
			w.must(s.Verify(ctx, entry.Outputs.Artifacts["model"][0].Digest))
		}
	})
}

// TestGCProperty: after any runs, hits and gc, also those that were killed after
// any step, all that is on record is whole, what a run that stays was given can be
// had from the cache, and once no run is to stay nothing is left.
func TestGCProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "gc")
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, "source"), 0o755)
		}
		if err != nil {
			rt.Fatal(err)
		}
		w := &gcWorld{T: t, rt: rt, home: filepath.Join(dir, "home"), now: gcNow, runs: map[string]bool{}, sweeps: map[string]bool{}, of: map[string]string{}}
		for range rapid.IntRange(1, 5).Draw(rt, "steps") {
			if rapid.IntRange(0, 2).Draw(rt, "what") > 0 {
				tasks := rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 4, rapid.ID).Draw(rt, "tasks")
				ends := rapid.IntRange(0, 5).Draw(rt, "ends") > 0
				if trials := rapid.IntRange(-3, 3).Draw(rt, "trials"); trials > 0 {
					w.tune(trials, ends)
				} else {
					w.run(tasks, ends, "")
				}
				continue
			}
			l := gcLimits{keep: rapid.IntRange(-1, 3).Draw(rt, "keep"), maxSize: -1}
			if rapid.Bool().Draw(rt, "age") {
				l.before = w.now.Add(-time.Duration(rapid.IntRange(0, 4).Draw(rt, "hours")) * time.Hour)
			}
			w.gc(l, rapid.IntRange(-1, 6).Draw(rt, "killed"))
			w.check()
		}
		w.gc(gcLimits{keep: 1, maxSize: -1}, -1)
		w.check()
		w.empty()
	})
}

// empty ends all runs, forgets them, and asserts that nothing is left.
func (w *gcWorld) empty() {
	w.in(func(ctx context.Context, g *globals, db *sqlite.DB, _ *artifact.Store) {
		for id := range w.runs {
			r, _, err := db.LoadRun(ctx, id)
			w.must(err)
			r.State, r.Ended = dag.Failed, w.now
			w.must(db.Commit(ctx, &dag.Batch{Run: r}))
		}
	})
	for id := range w.sweeps {
		w.end(id)
		w.sweeps[id] = true
	}
	w.must(os.RemoveAll(filepath.Join(w.home, "..", "source")))
	w.gc(gcLimits{keep: 0, maxSize: -1}, -1)
	if len(w.runs)+len(w.sweeps) > 0 {
		w.rt.Fatalf("%v, %v are left", slices.Collect(maps.Keys(w.runs)), slices.Collect(maps.Keys(w.sweeps)))
	}
	w.must(filepath.WalkDir(w.home, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Dir(path) != w.home {
			return fmt.Errorf("%s is left", path)
		}
		return err
	}))
}
