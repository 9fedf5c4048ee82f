package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/logfile"
	"github.com/wherry-ml/wherry/runner/queue"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/katib"
)

// trialRunner runs trials as runs of their own, driven in this process.
type trialRunner struct {
	g        *globals
	db       *sqlite.DB
	driver   *dag.Driver // what all trials' drivers have in common
	capacity runner.Capacity
	note     func(string) // told what a trial waits for: an image that is built
}

// trialRunner opens what the trials of an experiment need, until the caller calls letGo.
func (g *globals) trialRunner(ctx context.Context, o dag.RunOptions, experiment string) (*trialRunner, *queue.Queue, error) {
	db, err := g.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	driver, q, err := g.driver(ctx, experiment, o, nil)
	if err != nil {
		return nil, nil, err
	}
	capacity, err := driver.Backend.Capacity(ctx)
	if err != nil {
		g.letGo()
		return nil, nil, err
	}
	return &trialRunner{g: g, db: db, driver: driver, capacity: capacity}, q, nil
}

// NewRun is the id for a new run.
func (r *trialRunner) NewRun() string { return newID() }

// Run drives a trial's run to its end; see tuner.Runner.
func (r *trialRunner) Run(ctx context.Context, e *tuner.Experiment, t, parent *tuner.Trial, observe func(tuner.Observed)) (tuner.Outcome, error) {
	lock, err := r.g.lockRun(ctx, t.Run)
	if err != nil {
		return tuner.Outcome{}, err
	}
	defer lock.Close()
	if err := r.ensure(ctx, e, t, parent); err != nil {
		return tuner.Outcome{}, err
	}
	m, err := newMeter(e, observe)
	if err != nil {
		return tuner.Outcome{}, err
	}
	f := &follower{backend: r.driver.Backend, meter: m, note: r.note, last: map[string]float64{}}
	if e.Collector.Kind == tuner.Prometheus { // nobody but this Run tells of it: no report changes it meanwhile
		for _, known := range t.Summary {
			f.last[known.Name] = known.Latest
		}
	}
	driver := *r.driver
	driver.Queue = queue.New(r.db, r.capacity, e.Trial.Options.Backend, t.Run, r.g.driven)
	driver.Observe, driver.Beat = f.event, lock.beat
	drive, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if errors.Is(cause, tuner.ErrLeave) {
			cause = dag.ErrHangup
		}
		cancel(cause)
	})()
	run, executions, err := driver.Drive(drive, t.Run)
	f.stop()
	if err != nil {
		return tuner.Outcome{}, err
	}
	return r.outcome(ctx, e, m, run, executions)
}

// ensure makes the trial's run, unless an earlier process has.
func (r *trialRunner) ensure(ctx context.Context, e *tuner.Experiment, t, parent *tuner.Trial) error {
	_, _, err := r.db.LoadRun(ctx, t.Run)
	if !errors.Is(err, dag.ErrNotFound) {
		return err
	}
	run, err := newTrialRun(e, t)
	if err != nil {
		return err
	}
	if parent != nil && e.Trial.Checkpoint != "" {
		if err := r.giveCheckpoint(ctx, e, run, parent); err != nil {
			return err
		}
	}
	return r.db.CreateRun(context.WithoutCancel(ctx), run)
}

// trialGrace is how long a trial that is stopped has between SIGTERM and SIGKILL,
// where its template does not say: what it would still do is of no use.
const trialGrace = time.Second

// newTrialRun is the run of a trial.
func newTrialRun(e *tuner.Experiment, t *tuner.Trial) (*dag.Run, error) {
	values := maps.Clone(e.Trial.Fixed)
	if values == nil {
		values = map[string]any{}
	}
	text, err := t.Inputs(e)
	if err != nil {
		return nil, err
	}
	for name := range text {
		delete(values, name)
	}
	bound, err := e.Trial.Pipeline.Bind(text, values)
	if err != nil {
		return nil, fmt.Errorf("trial %s: %w", t.Name, err)
	}
	o := e.Trial.Options
	o.Experiment = e.ID
	o.Grace = cmp.Or(e.Trial.Grace, trialGrace)
	return &dag.Run{
		ID: t.Run, Name: t.Name, Pipeline: e.Trial.Pipeline, Options: o, Parameters: bound, State: dag.Pending, Created: time.Now(),
	}, nil
}

// giveCheckpoint hands a trial what its parent left.
func (r *trialRunner) giveCheckpoint(ctx context.Context, e *tuner.Experiment, run *dag.Run, parent *tuner.Trial) error {
	from, _, err := r.db.LoadRun(ctx, parent.Run)
	if errors.Is(err, dag.ErrNotFound) { // somebody deleted it: the trial starts from nothing, as without a checkpoint
		return nil
	}
	if err != nil {
		return fmt.Errorf("the checkpoint of trial %s: %w", parent.Name, err)
	}
	list := from.Outputs.Artifacts[e.Trial.Checkpoint]
	if len(list) == 0 || list[0].Digest == "" {
		return nil // it left none: the trial starts from nothing
	}
	data, err := json.Marshal(run.Pipeline) // a copy: other trials have the same
	if err != nil {
		return err
	}
	run.Pipeline = &dag.Pipeline{}
	if err := json.Unmarshal(data, run.Pipeline); err != nil {
		return err
	}
	return run.Pipeline.GiveArtifacts(map[string]string{e.Trial.Checkpoint: list[0].URI})
}

// outcome reads what a run that has ended says: its logs once more and from the
// beginning; of files what live has not seen of them.
func (r *trialRunner) outcome(ctx context.Context, e *tuner.Experiment, live *meter, run *dag.Run, executions []*dag.Execution) (tuner.Outcome, error) {
	m := live
	if e.Collector.Kind == tuner.StdOut || e.Collector.Kind == tuner.Outputs {
		var err error
		if m, err = newMeter(e, live.observe); err != nil {
			return tuner.Outcome{}, err
		}
	}
	for _, x := range executions {
		if err := r.readRest(ctx, m, x); err != nil {
			return tuner.Outcome{}, err
		}
	}
	m.outputs(run, executions)
	o := tuner.Outcome{Succeeded: run.State == dag.Succeeded, Error: run.Error, Missing: m.missing()}
	if !o.Succeeded {
		o.Tail = r.tail(executions)
		if o.Error == "" {
			o.Error = "run " + run.ID + " " + string(run.State)
		}
	}
	return o, nil
}

// readRest reads what an execution that has ended left.
func (r *trialRunner) readRest(ctx context.Context, m *meter, x *dag.Execution) error {
	switch {
	case !m.wants(x) || m.e.Collector.Kind == tuner.Prometheus:
		return nil
	case !m.inFiles():
		return r.readLog(ctx, m, x)
	case x.State != dag.Succeeded:
		return nil // nothing is kept of what did not end well
	}
	at := ""
	for _, a := range x.Outputs.Artifacts[katib.MetricsOutput] {
		if a.Digest != "" {
			var err error
			if at, err = r.driver.Artifacts.Path(a.Digest); err != nil {
				return fmt.Errorf("the metrics of %s: %w", x.Path, err)
			}
		}
	}
	return m.files(x.Path, len(x.Attempts)).finish(at)
}

// readLog reads the log of an execution that has ended: of its last attempt, or of
// the one whose result the cache gave to it.
func (r *trialRunner) readLog(ctx context.Context, m *meter, x *dag.Execution) error {
	attempts := x.Attempts
	if x.Cached {
		source, err := r.db.SourceOf(ctx, x)
		if errors.Is(err, dag.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		attempts = source.Attempts
	}
	if len(attempts) == 0 {
		return nil
	}
	a := attempts[len(attempts)-1]
	if a.Log == "" {
		return nil
	}
	s := m.streams(x, a)
	err := logfile.Read(filepath.Join(r.g.Home, a.Log), func(l runner.Line) bool { s.line(l); return true })
	s.end()
	return err
}

// How many lines of a failed step's log are looked at, and how many are shown.
const (
	tailRead  = 200
	tailShown = 5
)

// tail is the end of the log of the step that failed.
func (r *trialRunner) tail(executions []*dag.Execution) []string {
	for _, x := range executions {
		if x.State != dag.Failed || !x.Kind.Runs() || len(x.Attempts) == 0 {
			continue
		}
		var out []string
		if log := x.Attempts[len(x.Attempts)-1].Log; log != "" {
			lines, _ := logfile.Tail(filepath.Join(r.g.Home, log), tailRead)
			container, _, _ := strings.Cut(x.Attempts[len(x.Attempts)-1].Error, ": ") // of several, the one that failed
			if slices.ContainsFunc(lines, func(l runner.Line) bool { return l.Container == container }) {
				lines = slices.DeleteFunc(lines, func(l runner.Line) bool { return l.Container != container })
			}
			for _, l := range lines {
				out = append(out, strings.TrimSpace(string(l.Text)))
			}
		}
		out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
		return out[max(0, len(out)-tailShown):]
	}
	return nil
}
