package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/watch"
)

// watchEnded ends a watch with an exit code. All that there was to say was said.
type watchEnded struct{ code int }

func (e *watchEnded) Error() string { return "the watch has ended" }

// errStopped is why a run is canceled that the person has stopped by a key.
var errStopped = errors.New("stopped by a key")

// watching is one `run --watch`. All fields belong to its loop.
type watching struct {
	*globals
	f       runFlags
	w       *watch.Watcher
	reads   []string // what a .py file was made of, the last time
	job     *job     // the last one that could be read; nil: none yet
	keys    bool     // keys are read
	current *watched // the newest run, while it is driven; nil: none is
	last    string   // id of the newest run
	older   map[*watched]bool
	ended   chan *watched
	code    int // how the last run ended, as an exit code

	alone *unattended // nil: a person looks on
}

// watched is a run that is being driven.
type watched struct {
	run      *dag.Run
	p        *progress
	saved    time.Time // zero: no save caused it
	cancel   context.CancelCauseFunc
	replace  chan *dag.Replacement
	replaced bool          // a newer run has taken its place
	shut     sync.Once     // closes p
	over     chan struct{} // closed after what follows was set

	executions []*dag.Execution
	err        error
}

// watchPipeline runs a file, and again what each save affects, until the person ends
// it: with Ctrl-C, or the key q.
func (g *globals) watchPipeline(ctx context.Context, f runFlags) error {
	switch {
	case f.dryRun:
		return &usageError{msg: "--watch and --dry-run exclude each other", mend: "wherry run FILE --dry-run"}
	case f.detach:
		return &usageError{msg: "--watch and --detach exclude each other", mend: "leave out --detach: a watch stays in the foreground"}
	}
	if _, err := os.Stat(f.file); err != nil {
		_, err = g.prepareRun(ctx, f) // what it says of a missing file
		return err
	}
	defer goOnUnread()()
	g.said = &sync.Map{}
	s := newWatching(ctx, g, f)
	defer s.w.Close()
	keys, restore := g.readKeys(ctx)
	defer restore()
	s.keys = keys != nil
	if err := s.runAgain(ctx, watch.Set{}); err != nil {
		return err
	}
	return s.loop(ctx, keys)
}

// newWatching begins to watch what a file's runs are made of. The caller closes w.
func newWatching(ctx context.Context, g *globals, f runFlags) *watching {
	s := &watching{globals: g, f: f, older: map[*watched]bool{}, ended: make(chan *watched)}
	s.f.reads = func(files []string) { s.reads = files }
	s.w = watch.New(ctx, s.targets(), watch.Options{Note: g.note})
	return s
}

func (s *watching) loop(ctx context.Context, keys <-chan byte) error {
	for {
		select {
		case set := <-s.w.Changes():
			s.sayChanged(set)
			if err := s.runAgain(ctx, set); err != nil {
				return err
			}
		case c := <-s.ended:
			s.finish(c)
			if !c.replaced && ctx.Err() == nil {
				s.sayWatching()
			}
		case key := <-keys:
			if quit, err := s.key(ctx, key); quit || err != nil {
				return err
			}
		case <-s.alone.again():
			s.settle(ctx)
		case <-ctx.Done():
			return s.quit(context.Cause(ctx))
		}
	}
}

// runAgain reads everything anew and starts a run of it. What can't be read is shown,
// and changes nothing: the next save may mend it. An error ends the watch.
func (s *watching) runAgain(ctx context.Context, set watch.Set) error {
	since, before := time.Now(), s.reads
	job, err := s.prepareRun(ctx, s.f)
	if err == nil {
		s.job = job
	} else { // what comes after the error was not read
		s.reads = append(slices.Clip(s.reads), before...)
	}
	s.w.Watch(s.targets(), since)
	if err != nil {
		return s.failed(ctx, err)
	}
	if err := s.start(ctx, job, set.Last); err != nil {
		return s.failed(ctx, err)
	}
	return nil
}

// failed shows why there is no new run. At the start of the watch, what no save of a
// watched file could mend ends it.
func (s *watching) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil // the loop sees it
	}
	code := exitCode(err)
	mendable := is[*source.Error](err) || is[*dag.ParameterError](err)
	if s.alone != nil {
		s.postpone(err, mendable)
		return nil
	}
	if s.last == "" && !mendable {
		return err
	}
	s.report(err)
	if s.current == nil {
		s.code = code
		s.sayWatching()
	}
	return nil
}

// start stores a run and drives it beside the loop, in the place of the one before
// where that has not ended.
func (s *watching) start(ctx context.Context, job *job, saved time.Time) error {
	p := newProgress(s.globals).of(job.run.ID)
	driver, lock, err := s.begin(ctx, job, p)
	if err != nil {
		return err
	}
	s.driveBeside(ctx, driver, lock, job.run, p, saved)
	return nil
}

// driveBeside drives a run beside the loop. The driver is let go of when it has ended.
func (s *watching) driveBeside(ctx context.Context, driver *dag.Driver, lock *runLock, run *dag.Run, p *progress, saved time.Time) {
	runCtx, cancel := context.WithCancelCause(ctx)
	c := &watched{
		run: run, p: p, saved: saved, cancel: cancel, replace: make(chan *dag.Replacement, 1), over: make(chan struct{}),
	}
	driver.Replace, driver.Replaces = c.replace, s.giveWay()
	s.current, s.last = c, c.run.ID
	s.alone.begun(run.ID)
	driver.Beat = lock.beat
	p.await(driver.Backend.Logs)
	go func() {
		run, executions, err := driver.Drive(runCtx, run.ID)
		c.shut.Do(func() { p.close(false) })
		cancel(nil)
		_ = lock.Close()
		if run != nil {
			c.run = run
		}
		c.executions, c.err = executions, err
		close(c.over)
		s.ended <- c
	}()
}

// giveWay makes the current run, if there is one, give way to the next.
func (s *watching) giveWay() *dag.Replacement {
	c := s.current
	if c == nil {
		return nil
	}
	s.older[c] = true
	s.current = nil
	r := dag.NewReplacement()
	c.replace <- r
	select {
	case <-r.Ready():
		c.replaced = true
		c.p.mute()
		c.shut.Do(func() { c.p.close(true) })
		return r
	case <-c.over: // by itself
		return nil
	}
}

// finish shows how a run has ended.
func (s *watching) finish(c *watched) {
	delete(s.older, c)
	if s.current == c {
		s.current = nil
	}
	s.letGo() // while nothing runs, gc may take what nothing refers to
	code := exitCode(s.shown(c))
	if !c.replaced {
		s.code = code
		s.left(c)
	}
}

// shown shows how a run has ended, and returns the error that gives the exit code.
func (s *watching) shown(c *watched) error {
	if c.err == nil {
		return s.printWatched(c)
	}
	err := c.err
	if !is[*dag.TakenOverError](err) {
		err = &interruptedError{run: c.run.ID, err: c.err}
	}
	if !errors.Is(err, dag.ErrHangup) {
		s.report(err)
	}
	return err
}

// quit ends the watch: with the last run's exit code, or 130 where it cuts one short.
func (s *watching) quit(cause error) error {
	if s.current != nil {
		s.current.cancel(cause)
	}
	for c := range s.older {
		c.cancel(cause)
	}
	for s.current != nil || len(s.older) > 0 {
		s.finish(<-s.ended)
	}
	switch {
	case errors.Is(cause, dag.ErrHangup):
		return cause
	case s.code == exitOK:
		return nil
	}
	return &watchEnded{code: s.code}
}

// key does what a key asks for, and reports whether the watch is over.
func (s *watching) key(ctx context.Context, key byte) (quit bool, err error) {
	switch key {
	case 'q', 'Q', 4: // Ctrl-D
		return true, s.quit(errInterrupted)
	case 'r', 'R', '\r', '\n':
		s.line("▸ again")
		return false, s.runAgain(ctx, watch.Set{})
	case 's', 'S':
		if s.current == nil {
			s.line("nothing is running")
			return false, nil
		}
		s.current.cancel(errStopped)
	case 'l', 'L':
		if s.last != "" {
			s.printLogs(ctx)
		}
	case '?', 'h':
		s.sayWatching()
	}
	return false, nil
}

// printLogs prints what the last run's steps have written so far.
func (s *watching) printLogs(ctx context.Context) {
	words := s.words() // stdout is for results
	quiet := &globals{Out: words, Err: words, Getenv: s.Getenv, Home: s.Home, parent: s.globals}
	if err := quiet.logs(ctx, s.last, logsFlags{tail: 200}); err != nil {
		s.line(fmt.Sprintf("logs: %v", err))
	}
}
