package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/cel"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/docker"
	"github.com/wherry-ml/wherry/runner/process"
	"github.com/wherry-ml/wherry/runner/queue"
	"github.com/wherry-ml/wherry/sqlite"
)

// opened is what a command has opened so far; closed in the end. Each is opened once,
// also where parts of a process use it at the same time.
type opened struct {
	mu       sync.Mutex
	holds    int             // how many runs of this process need the store's hold
	owned    map[string]bool // runs whose lock this process has
	db       *sqlite.DB
	store    *artifact.Store
	backends []interface{ Close() error }
	byName   map[backendKey]runner.Backend // one of each: a watch runs many times
}

type backendKey struct{ name, bundle string }

func (g *globals) close() {
	for _, b := range g.opened.backends {
		_ = b.Close()
	}
	if g.opened.db != nil {
		_ = g.opened.db.Close()
	}
	if g.opened.store != nil { // last: what it holds is on record by now
		_ = g.opened.store.Close()
	}
}

// database opens wherry.db, making WHERRY_HOME if need be.
func (g *globals) database(ctx context.Context) (*sqlite.DB, error) {
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.db != nil {
		return o.db, nil
	}
	if err := os.MkdirAll(g.Home, 0o755); err != nil {
		return nil, &usageError{msg: fmt.Sprintf("make WHERRY_HOME: %v", err), mend: "set WHERRY_HOME to a folder that you may write"}
	}
	path := filepath.Join(g.Home, "wherry.db")
	_ = g.nameHome(path) // without it the path has to do; where nothing can be written, the database says so
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	o.db = db
	return db, nil
}

// artifacts opens the artifact store.
func (g *globals) artifacts() (*artifact.Store, error) {
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.store != nil {
		return o.store, nil
	}
	s, err := artifact.Open(g.Home)
	o.store = s
	return s, err
}

// hold keeps what runs of this process bring into the store from gc, until as many
// calls of letGo.
func (g *globals) hold() error {
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := store.Hold(); err != nil {
		return err
	}
	o.holds++
	return nil
}

// letGo ends one hold. While no run is left, gc may take what nothing refers to.
func (g *globals) letGo() {
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holds--; o.holds == 0 {
		_ = o.store.Close()
	}
}

// backendNames are the backends of this version.
var backendNames = []string{"docker", "process"}

// backend returns the backend of this name. It connects at its first use.
func (g *globals) backend(ctx context.Context, name string) (runner.Backend, error) {
	return g.trustingBackend(ctx, name, "")
}

// trustingBackend is a backend whose containers and builds trust a CA bundle.
func (g *globals) trustingBackend(_ context.Context, name, bundle string) (runner.Backend, error) {
	store, err := g.artifacts()
	if err != nil {
		return nil, err
	}
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	key := backendKey{name, bundle}
	if b := o.byName[key]; b != nil {
		return b, nil
	}
	b, err := g.openBackend(o, store, name, bundle)
	if err != nil {
		return nil, err
	}
	if o.byName == nil {
		o.byName = map[backendKey]runner.Backend{}
	}
	o.byName[key] = b
	return b, nil
}

func (g *globals) openBackend(o *opened, store *artifact.Store, name, bundle string) (runner.Backend, error) {
	switch name {
	case "docker":
		b := docker.New(docker.Config{Home: g.homeID(), Dir: g.Home, Store: store, CABundle: bundle})
		o.backends = append(o.backends, b)
		return b, nil
	case "process":
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		b, err := process.New(process.Config{
			Home: g.homeID(), Dir: g.Home, Store: store, Supervisor: []string{self, superviseCommand}, Note: g.note,
		})
		if err != nil {
			return nil, err
		}
		return b, nil
	}
	return nil, &usageError{msg: fmt.Sprintf("unknown backend %q", name), mend: "--backend docker or --backend process"}
}

// note prints a line for people.
func (g *globals) note(text string) {
	if g.said != nil {
		if _, again := g.said.LoadOrStore(text, true); again {
			return
		}
	}
	g.say(text)
}

// say prints a line for people, or logs it.
func (g *globals) say(text string) {
	switch {
	case g.Quiet:
	case g.log != nil:
		g.log.Info(text)
	default:
		fmt.Fprintln(g.words(), text)
	}
}

// words is where words for people go: Err, above the tree where one is on it.
func (g *globals) words() io.Writer {
	if tree := g.tree.Load(); tree != nil {
		return tree
	}
	return g.Err
}

// ping explains what else there is where no engine answers.
func ping(ctx context.Context, b runner.Backend) error {
	err := b.Ping(ctx)
	if e, ok := errors.AsType[*runner.UnavailableError](err); ok && b.Features().Name == "docker" {
		if e.Mend == "" {
			e.Mend = "start an engine, or wherry run --backend process"
		}
		e.Mend += " (steps as processes of this machine); wherry doctor says more"
	}
	return err
}

// driver returns a driver for a run with the given options. The run's id is the
// owner of what the queue grants: its lock says whether that still lives. Until the
// caller calls letGo, gc spares what the run brings in.
func (g *globals) driver(ctx context.Context, run string, o dag.RunOptions, observe func(dag.Event)) (_ *dag.Driver, _ *queue.Queue, err error) {
	db, err := g.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	store, err := g.artifacts()
	if err != nil {
		return nil, nil, err
	}
	if err := g.hold(); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			g.letGo()
		}
	}()
	backend, err := g.trustingBackend(ctx, o.Backend, o.Trust)
	if err != nil {
		return nil, nil, err
	}
	if err := ping(ctx, backend); err != nil {
		return nil, nil, err
	}
	g.sweepDebug(ctx, o.Backend, backend)
	capacity, err := backend.Capacity(ctx)
	if err != nil {
		return nil, nil, err
	}
	q := queue.New(db, capacity, o.Backend, run, g.driven)
	return &dag.Driver{
		Backend: backend, Store: db, Artifacts: artifacts{store}, Queue: q, Home: g.Home, HomeID: g.homeID(),
		Evaluators: map[string]dag.Evaluator{"cel": cel.Evaluator{}}, Tuner: stepTuner{g},
		Observe: observe, Kill: g.Kill, Patience: g.patience(),
	}, q, nil
}

// patience is how long a lost engine is waited for.
func (g *globals) patience() time.Duration {
	d, _ := time.ParseDuration(g.Getenv("WHERRY_PATIENCE"))
	return d
}
