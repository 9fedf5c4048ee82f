package main

import (
	"context"
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
)

// trialRunner runs trials as runs of their own, driven in this process.
type trialRunner struct {
	g        *globals
	db       *sqlite.DB
	driver   *dag.Driver // what all trials' drivers have in common
	capacity runner.Capacity
	note     func(string) // told what a trial waits for: an image that is built
}

// trialRunner opens what the trials of an experiment need.
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
	f := &follower{backend: r.driver.Backend, meter: m, note: r.note}
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
	return r.outcome(ctx, e, run, executions, observe)
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
	return &dag.Run{
		ID: t.Run, Name: t.Name, Pipeline: e.Trial.Pipeline, Options: o, Parameters: bound, State: dag.Pending, Created: time.Now(),
	}, nil
}

// giveCheckpoint hands a trial what its parent left.
func (r *trialRunner) giveCheckpoint(ctx context.Context, e *tuner.Experiment, run *dag.Run, parent *tuner.Trial) error {
	from, _, err := r.db.LoadRun(ctx, parent.Run)
	if err != nil {
		return fmt.Errorf("the checkpoint of trial %s: %w", parent.Name, err)
	}
	list := from.Outputs.Artifacts[e.Trial.Checkpoint]
	if len(list) == 0 {
		return nil // it left none: the trial starts from nothing
	}
	p := *run.Pipeline
	p.Components = maps.Clone(p.Components)
	root := *p.Components[p.Root]
	p.Components[p.Root] = &root
	run.Pipeline = &p
	return p.GiveArtifacts(map[string]string{e.Trial.Checkpoint: list[0].URI})
}

// outcome reads what a run that has ended says.
func (r *trialRunner) outcome(ctx context.Context, e *tuner.Experiment, run *dag.Run, executions []*dag.Execution, observe func(tuner.Observed)) (tuner.Outcome, error) {
	m, err := newMeter(e, observe)
	if err != nil {
		return tuner.Outcome{}, err
	}
	for _, x := range executions {
		if err := r.readLog(ctx, m, x); err != nil {
			return tuner.Outcome{}, err
		}
	}
	m.outputs(run, executions)
	o := tuner.Outcome{Succeeded: run.State == dag.Succeeded, Error: run.Error}
	if err := m.collector.Err(); err != nil {
		o.Missing = err.Error()
		if hint := hintText(err); hint != "" {
			o.Missing += "; try: " + hint
		}
	}
	if !o.Succeeded {
		o.Tail = r.tail(executions)
		if o.Error == "" {
			o.Error = "run " + run.ID + " " + string(run.State)
		}
	}
	return o, nil
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
	if !x.Kind.Runs() || len(attempts) == 0 || !m.wants(x) {
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

// tail is the end of the log of the step that failed.
func (r *trialRunner) tail(executions []*dag.Execution) []string {
	for _, x := range executions {
		if x.State != dag.Failed || !x.Kind.Runs() || len(x.Attempts) == 0 {
			continue
		}
		var out []string
		if log := x.Attempts[len(x.Attempts)-1].Log; log != "" {
			lines, _ := logfile.Tail(filepath.Join(r.g.Home, log), 5)
			for _, l := range lines {
				out = append(out, strings.TrimSpace(string(l.Text)))
			}
		}
		return slices.DeleteFunc(out, func(s string) bool { return s == "" })
	}
	return nil
}
