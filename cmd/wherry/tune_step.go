package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
)

// stepTuner carries out the tuning steps of pipelines. What such a step searches is an
// experiment like any other, whose id says which execution it belongs to.
type stepTuner struct{ g *globals }

// Tune brings the search of a step to its end; see dag.Tuner.
func (s stepTuner) Tune(ctx context.Context, x dag.Search) (map[string]string, string, error) {
	ctx, stop := withSearchEnd(ctx)
	defer stop(nil)
	lock, err := s.lock(ctx, x)
	if err != nil {
		return nil, "", err
	}
	defer lock.Close()
	e, trials, limit, err := s.open(ctx, x)
	if err != nil {
		return nil, "", err
	}
	if limit > 0 {
		t := time.AfterFunc(time.Until(e.Created.Add(limit)), func() { stop(dag.ErrTuneTimeout) })
		defer t.Stop()
	}
	if !e.State.Ended() {
		if e, trials, err = s.drive(ctx, x, e, trials, lock); err != nil {
			return nil, "", err
		}
	}
	return searchResult(e, trials, x)
}

// lock takes the lock of the step's experiment. Somebody may be driving it who resumed
// it by its own name: then what comes of that is waited for.
func (s stepTuner) lock(ctx context.Context, x dag.Search) (*runLock, error) {
	for told := false; ; told = true {
		lock, err := s.g.lockRun(ctx, x.ID)
		if !is[*ownedError](err) {
			return lock, err
		}
		if !told {
			x.Note(fmt.Sprintf("waits: %v", err))
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// withSearchEnd is ctx for a tuner.Controller: only what ends a search for good
// cancels its trials.
func withSearchEnd(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if !errors.Is(cause, dag.ErrTuneCanceled) && !errors.Is(cause, dag.ErrTuneTimeout) {
			cause = tuner.ErrLeave
		}
		cancel(cause)
	})
	return out, func(cause error) { stop(); cancel(cause) }
}

// open returns the step's experiment, which it makes where there is none yet, and the
// limit of its time that the arguments give.
func (s stepTuner) open(ctx context.Context, x dag.Search) (*tuner.Experiment, []*tuner.Trial, time.Duration, error) {
	db, err := s.g.database(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	asked, err := readSearch(x)
	if err != nil {
		return nil, nil, 0, err
	}
	e, trials, _, err := db.LoadExperiment(ctx, x.ID, false)
	if !is[*sqlite.NotFoundError](err) {
		return e, trials, asked.limit, err
	}
	if strings.Contains(x.Run.Options.Experiment, "-") {
		return nil, nil, 0, errors.New("the trials of a tuning step can't have one themselves")
	}
	if e, err = s.prepare(ctx, x, asked); err != nil {
		return nil, nil, 0, err
	}
	return e, nil, asked.limit, db.CreateExperiment(ctx, e)
}

// read reads and checks what a step searches. It needs no engine.
func (s stepTuner) read(ctx context.Context, x dag.Search, asked *asked) (e *tuner.Experiment, j *job, err error) {
	if asked.katib != nil {
		e, j, err = s.g.prepareKatib(ctx, asked.katib, asked.flags, asked.changed)
	} else {
		e, j, err = s.g.prepareExperiment(ctx, asked.flags, asked.changed)
	}
	if err != nil {
		return nil, nil, err
	}
	if j.pipeline.File == x.Run.Pipeline.File && j.pipeline.Name == x.Run.Pipeline.Name && asked.katib == nil {
		return nil, nil, fmt.Errorf("%s would run itself: a tuning step needs a pipeline of its own", j.pipeline.File)
	}
	values := searchValues(e, nil)
	for _, name := range x.Outputs {
		if _, ok := values.text(name, x.Launcher); !ok {
			return nil, nil, &usageError{msg: fmt.Sprintf("the search has no output %q", name), mend: "one of " + strings.Join(sortedNames(values), ", ")}
		}
	}
	return e, j, nil
}

// prepare makes the experiment of a step. Its trials have what the run has.
func (s stepTuner) prepare(ctx context.Context, x dag.Search, asked *asked) (*tuner.Experiment, error) {
	e, j, err := s.read(ctx, x, asked)
	if err != nil {
		return nil, err
	}
	if err := s.g.warmStart(ctx, e, asked.flags.warm); err != nil {
		return nil, err
	}
	e.ID = x.ID
	o := x.Run.Options
	o.MaxParallel, o.Workspace, o.NoCache, o.From, o.Only, o.Base, o.Experiment = 0, "", nil, nil, "", "", ""
	own := j.run.Options
	o.Images = own.Images
	o.Env = withMore(o.Env, own.Env, func(v runner.EnvVar) string { return v.Name })
	o.Secrets = withMore(o.Secrets, own.Secrets, func(r given.Ref) string { return r.Name })
	o.ConfigMaps = withMore(o.ConfigMaps, own.ConfigMaps, func(r given.Ref) string { return r.Name })
	if err := s.mount(ctx, &o, own.Mounts); err != nil {
		return nil, err
	}
	e.Trial.Options, j.run.Options = o, o
	if err := dag.CheckGiven(j.run); err != nil {
		return nil, err
	}
	r, q, err := s.g.trialRunner(ctx, o, e.ID)
	if err != nil {
		return nil, err
	}
	defer s.g.letGo()
	if err := checkSizes(j, q); err != nil {
		return nil, err
	}
	return e, checkBackend(j, r.driver.Backend, s.g.Home)
}

// withMore adds to a list those of another that it has none of that name of.
func withMore[T any](list, more []T, name func(T) string) []T {
	have := map[string]bool{}
	for _, x := range list {
		have[name(x)] = true
	}
	out := slices.Clone(list)
	for _, x := range more {
		if !have[name(x)] {
			out = append(out, x)
		}
	}
	return out
}

// mount adds the mounts of the trials' own project: those of the run are snapshots
// already, which all of its steps share.
func (s stepTuner) mount(ctx context.Context, o *dag.RunOptions, own []dag.Mount) error {
	var more dag.Run
	more.Options.Mounts = withMore(o.Mounts, own, func(m dag.Mount) string { return m.Target })[len(o.Mounts):]
	if err := s.g.snapshot(ctx, &more); err != nil {
		return err
	}
	o.Mounts = append(slices.Clip(o.Mounts), more.Options.Mounts...)
	return nil
}

// drive drives the experiment, and says how it goes.
func (s stepTuner) drive(ctx context.Context, x dag.Search, e *tuner.Experiment, trials []*tuner.Trial, lock *runLock) (*tuner.Experiment, []*tuner.Trial, error) {
	r, _, err := s.g.trialRunner(ctx, e.Trial.Options, e.ID)
	if err != nil {
		return nil, nil, err
	}
	defer s.g.letGo()
	r.note = func(string) {}
	p := &searchProgress{note: x.Note, best: tuner.Optimal(e, trials), trials: trials}
	if len(trials) > 0 {
		x.Note(fmt.Sprintf("going on with experiment %s, %d trials are on record", e.ID, len(trials)))
	} else {
		x.Note(fmt.Sprintf("experiment %s, %d trials at once", e.ID, e.Parallel))
	}
	c := &tuner.Controller{Store: r.db, Runner: r, Observe: p.observe, Beat: lock.beat}
	e, trials, err = c.Drive(ctx, e.ID)
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(cause, tuner.ErrLeave) {
		return e, trials, err
	}
	e.State, e.Reason, e.Message, e.Ended = tuner.Failed, tuner.ReasonCanceled, cause.Error(), time.Now()
	if end := r.db.CommitTrials(context.WithoutCancel(ctx), tuner.Batch{Experiment: e, Durable: true}); end != nil {
		return nil, nil, end
	}
	return nil, nil, cause
}

// searchProgress tells of each trial that ends.
type searchProgress struct {
	note   func(string)
	trials []*tuner.Trial // that have ended
	best   *tuner.Trial
}

func (p *searchProgress) observe(ev tuner.Event) {
	t := ev.Trial
	if t == nil || ev.Measured || !t.State.Ended() {
		return
	}
	p.trials = append(slices.DeleteFunc(p.trials, func(o *tuner.Trial) bool { return o.Name == t.Name || !o.State.Ended() }), t)
	e := ev.Experiment
	lead := e.Objectives[0].Metric
	text := fmt.Sprintf("%s %s", t.Name, t.State)
	if t.State.Counts() {
		text += fmt.Sprintf(", %s %s", lead, figure(t.Value(e, lead)))
	} else if reason, _, _ := strings.Cut(t.Reason, "\n"); reason != "" {
		text += ": " + reason
	}
	if best := tuner.Optimal(e, p.trials); best != nil {
		text += fmt.Sprintf(" (best %s %s)", best.Name, figure(best.Value(e, lead)))
	}
	p.note(text)
}
