package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// lookEvery is how often it is looked for runs that have lost their driver. A look is
// one query of an index that holds only what has not ended.
const lookEvery = 500 * time.Millisecond

// resumer is the part of `wherry up` that goes on with interrupted runs and experiments.
type resumer struct {
	*server
	kept  func(watch string) bool // a watch goes on with its runs itself
	group sync.WaitGroup

	mu     sync.Mutex
	inHand map[string]bool
	later  map[string]*pause // by run
	failed string            // what was wrong with the last look
}

// pause is how long something is not tried again, and why.
type pause struct {
	until time.Time
	wait  time.Duration
	why   string
}

func newResumer(s *server, kept func(string) bool) *resumer {
	return &resumer{server: s, kept: kept, inHand: map[string]bool{}, later: map[string]*pause{}}
}

func (r *resumer) run(ctx context.Context) error {
	defer r.group.Wait()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		r.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look takes in hand what has lost its driver.
func (r *resumer) look(ctx context.Context) {
	list, err := r.open(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && err.Error() != r.failed {
			r.failed = err.Error()
			r.report(err)
		}
		return
	}
	r.failed = ""
	for _, w := range list {
		if p := r.later[w.id]; r.inHand[w.id] || p != nil && time.Now().Before(p.until) || !r.lost(w.id) {
			continue
		}
		r.inHand[w.id] = true
		r.group.Go(func() { r.done(ctx, w.id, w.goOn(ctx, w.id)) })
	}
}

// work is a run or an experiment that has not ended. Both are locked in the same way.
type work struct {
	id   string
	goOn func(ctx context.Context, id string) error
}

// open lists what has not ended. The runs of trials belong to their experiments.
func (r *resumer) open(ctx context.Context) ([]work, error) {
	db, err := r.database(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := db.Interrupted(ctx)
	if err != nil {
		return nil, err
	}
	experiments, err := db.OpenExperiments(ctx)
	if err != nil {
		return nil, err
	}
	var list []work
	for _, row := range runs {
		list = append(list, work{row.ID, r.goOn})
	}
	for _, row := range experiments {
		if row.Run() != "" {
			continue // a tuning step: its run goes on with it
		}
		list = append(list, work{row.ID, r.goOnTuning})
	}
	return list, nil
}

// goOnTuning drives an experiment to its end. One that fails has ended too.
func (r *resumer) goOnTuning(ctx context.Context, id string) error {
	g := r.part(r.log.With("experiment", id))
	err := g.goOnExperiment(ctx, id, 0)
	if is[*workError](err) {
		g.report(err)
		err = nil
	}
	if err == nil && ctx.Err() == nil {
		g.log.Info("the experiment has ended")
	}
	return err
}

// lost reports whether a run has no driver, or one that has not beaten for so long that
// it may hang: lockRun finds out.
func (r *resumer) lost(run string) bool {
	if !r.driven(run) {
		return true
	}
	last, err := r.lastBeat(run)
	age := time.Since(last)
	return err == nil && !r.owns(run) && age >= hungAfter/2
}

// errOthers says that it is for somebody else to go on with a run.
var errOthers = errors.New("somebody else goes on with it")

// goOn drives a run to its end.
func (r *resumer) goOn(ctx context.Context, id string) error {
	db, err := r.database(ctx)
	if err != nil {
		return err
	}
	run, executions, err := db.LoadRun(ctx, id)
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return nil
	case err != nil:
		return err
	case run.State.Ended():
		return nil
	case run.Options.Watch != "" && r.kept(run.Options.Watch):
		return errOthers
	}
	if err := checkStillGiven(run); err != nil {
		return err
	}
	g := r.part(r.log)
	p := newProgress(g).of(id)
	driver, lock, err := g.takeUp(ctx, run, executions, p)
	if err != nil {
		return err
	}
	defer g.letGo()
	defer lock.Close()
	r.tell(id, "")
	driver.Beat = lock.beat
	if run, executions, err = driver.Drive(ctx, id); err != nil {
		return err
	}
	text := fmt.Sprintf("run %s: %s", run.Name, run.State)
	if run.State == dag.Failed {
		r.log.Error(text, "run", id, "error", run.Error, "try", failureMend(run, executions))
	} else {
		r.log.Info(text, "run", id)
	}
	return nil
}

// absentError says that what a run was given can't be read by this process.
type absentError struct {
	run string
	err error
}

func (e *absentError) Error() string { return e.err.Error() }

// Hint says what to do next.
func (e *absentError) Hint() string {
	return fmt.Sprintf("wherry resume %s, where it can be read; or wherry down, and wherry up there", e.run)
}

// checkStillGiven refuses to go on with a run whose secrets come from variables, or files,
// that the shell which began it had, and this process has not: its steps would fail.
func checkStillGiven(run *dag.Run) error {
	err := dag.CheckGiven(run)
	if err == nil {
		if e, ok := errors.AsType[*dag.GivenError](dag.MayNeed(run)); ok && e.Unread != nil {
			err = e
		}
	}
	if err != nil {
		return &absentError{run.ID, err}
	}
	return nil
}

// done notes how it went, and when the run is to be tried again.
func (r *resumer) done(ctx context.Context, id string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inHand, id)
	if err == nil || ctx.Err() != nil {
		delete(r.later, id)
		r.tell(id, "")
		return
	}
	p := r.later[id]
	if p == nil {
		p = &pause{}
		r.later[id] = p
	}
	p.next(err)
	if is[*ownedError](err) || is[*dag.TakenOverError](err) || errors.Is(err, errOthers) {
		p.why = ""
		r.tell(id, "")
		return
	}
	if p.why != err.Error() {
		p.why = err.Error()
		r.tell(id, p.why)
		r.log.Warn("can't go on with it now; it is tried again", "id", id, "why", p.why, "try", nextStep(err, exitFailed))
	}
}

// next says when to try again: an engine is looked for every second, anything else less
// and less often.
func (p *pause) next(err error) {
	p.wait = min(max(time.Second, 2*p.wait), 30*time.Second)
	if is[*runner.UnavailableError](err) || is[*ownedError](err) || errors.Is(err, errOthers) {
		p.wait = time.Second
	}
	p.until = time.Now().Add(p.wait)
}

// tell says why a run waits; empty: it does not.
func (r *resumer) tell(run, why string) {
	r.state.change(func(s *upState) {
		if why == "" {
			delete(s.waits, run)
			return
		}
		s.waits[run] = why
	})
}
