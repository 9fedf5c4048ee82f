package main

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/watch"
)

// errUnwatched is why the run of a watch is canceled that was taken out of wherry.yaml.
var errUnwatched = errors.New("its watch was taken out of wherry.yaml")

// keeper is the part of `wherry up` that keeps the watches of wherry.yaml.
type keeper struct {
	*server
	mu   sync.Mutex
	kept map[string]*keptWatch // by key
}

// keptWatch is a watch that is kept.
type keptWatch struct {
	entry watchEntry
	end   context.CancelCauseFunc
	over  chan struct{}
}

func newKeeper(s *server) *keeper {
	k := &keeper{server: s, kept: map[string]*keptWatch{}}
	for i := range s.project.Watch { // from the start: their runs are theirs
		k.kept[s.project.Watch[i].flags.watchKey] = nil
	}
	return k
}

// keeps reports whether there is a watch with this key.
func (k *keeper) keeps(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.kept[key]
	return ok
}

// run keeps the watches of the project, and follows its changes.
func (k *keeper) run(ctx context.Context) error {
	w := watch.New(ctx, k.files(k.project), watch.Options{Note: k.note})
	defer w.Close()
	k.keep(ctx, k.project)
	for {
		select {
		case <-w.Changes():
			since := time.Now()
			if p := k.reread(); p != nil {
				k.keep(ctx, p)
				w.Watch(k.files(p), since)
			}
		case <-ctx.Done():
			k.endAll()
			return nil
		}
	}
}

// files are those that say what is watched.
func (k *keeper) files(p *project) []watch.Target {
	own := filepath.Join(k.dir, projectFile) // one may come
	out := []watch.Target{{Path: own}}
	if p.File != "" && p.File != own {
		out = append(out, watch.Target{Path: p.File})
	}
	return out
}

// reread reads wherry.yaml again; nil: what it says now can't be used, and was shown.
func (k *keeper) reread() *project {
	p, err := findProject(k.dir)
	if err == nil {
		err = p.checkWatched()
	}
	problem := ""
	if err != nil {
		k.report(err)
		problem = err.Error()
	}
	k.state.change(func(s *upState) {
		if s.doc.Problem = problem; err == nil {
			s.doc.Project = p.File
		}
	})
	if err != nil {
		return nil
	}
	return p
}

// keep makes the entries of a project what is kept.
func (k *keeper) keep(ctx context.Context, p *project) {
	wanted := map[string]watchEntry{}
	for _, e := range p.Watch {
		wanted[e.flags.watchKey] = e
	}
	for _, key := range sortedNames(k.kept) {
		old := k.kept[key]
		e, stays := wanted[key]
		switch {
		case old == nil || stays && reflect.DeepEqual(old.entry.flags, e.flags):
			continue
		case stays:
			old.stop(dag.ErrHangup) // the changed one takes its run over
		default:
			old.stop(errUnwatched)
			k.log.Info("no longer watched", "watch", old.entry.label())
		}
		k.set(key, nil, stays)
	}
	for _, key := range sortedNames(wanted) {
		if k.kept[key] == nil {
			k.set(key, k.begin(ctx, wanted[key]), true)
		}
	}
}

func (k *keeper) set(key string, w *keptWatch, there bool) {
	k.mu.Lock()
	if k.kept[key] = w; !there {
		delete(k.kept, key)
	}
	k.mu.Unlock()
	if !there {
		k.state.change(func(s *upState) { delete(s.watches, key) })
	}
}

func (k *keeper) endAll() {
	for _, key := range sortedNames(k.kept) {
		if w := k.kept[key]; w != nil {
			w.stop(dag.ErrHangup)
		}
	}
}

// stop ends a watch, and waits for its end. Its run is canceled unless cause is
// dag.ErrHangup.
func (w *keptWatch) stop(cause error) {
	w.end(cause)
	<-w.over
}

// label is how people know the watch.
func (e *watchEntry) label() string {
	text := relativeName(e.flags.file)
	if e.Name != "" {
		text = e.Name
	}
	return text
}

// begin begins a watch.
func (k *keeper) begin(ctx context.Context, e watchEntry) *keptWatch {
	ctx, end := context.WithCancelCause(ctx)
	w := &keptWatch{entry: e, end: end, over: make(chan struct{})}
	g := k.part(k.log.With("watch", e.label()))
	key := e.flags.watchKey
	alone := &unattended{owes: true, tell: func(set func(*upWatch)) {
		k.state.change(func(s *upState) {
			u := s.watches[key]
			u.Key, u.File, u.Name = key, e.flags.file, e.Name
			set(&u)
			s.watches[key] = u
		})
	}}
	alone.tell(func(*upWatch) {})
	go func() {
		defer close(w.over)
		defer end(nil)
		s := newWatching(ctx, g, e.flags)
		defer s.w.Close()
		s.alone = alone
		s.settle(ctx)
		if err := s.loop(ctx, nil); err != nil && !is[*watchEnded](err) && !errors.Is(err, dag.ErrHangup) {
			g.report(err)
		}
	}()
	return w
}

// unattended is what a watch of `wherry up` has beside: nobody looks on, so what no
// save could mend is tried again after a while.
type unattended struct {
	retry <-chan time.Time // nil: nothing is to be tried again
	pause pause
	owes  bool                     // a run has not begun that should have
	tell  func(set func(*upWatch)) // tells how it is
}

// again yields when it is time to try again.
func (u *unattended) again() <-chan time.Time {
	if u == nil {
		return nil
	}
	return u.retry
}

// begun notes that a run has begun.
func (u *unattended) begun(run string) {
	if u == nil {
		return
	}
	u.owes, u.pause = false, pause{}
	u.tell(func(w *upWatch) { w.State, w.Run, w.Why = string(dag.Running), run, "" })
}

// settle goes on with what an earlier process has left of this watch, and begins the
// run that is owed.
func (s *watching) settle(ctx context.Context) {
	s.alone.retry = nil
	if err := s.adopt(ctx); err != nil {
		if ctx.Err() == nil {
			s.tryLater(err)
		}
		return
	}
	if s.alone.owes {
		_ = s.runAgain(ctx, watch.Set{}) // failed has seen to an error
	}
}

// adopt goes on with the runs of this watch that have lost their driver: with the last
// one, in whose place a newer one then comes as with a save. Older ones, and all where
// there is a newer, are outdated, and canceled.
func (s *watching) adopt(ctx context.Context) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	rows, err := db.Interrupted(ctx)
	if err != nil {
		return err
	}
	var last *dag.Run
	var executions []*dag.Execution
	for i := len(rows) - 1; i >= 0; i-- { // the newest first
		if s.driven(rows[i].ID) {
			continue
		}
		run, list, err := db.LoadRun(ctx, rows[i].ID)
		switch {
		case err != nil:
			return err
		case run.State.Ended() || run.Options.Watch != s.f.watchKey:
		case last == nil && s.current == nil:
			last, executions = run, list
		default:
			if err := db.RequestCancel(ctx, run.ID); err != nil {
				return err
			}
			if err := s.cancelInterrupted(ctx, run.ID); err != nil && !is[*ownedError](err) {
				return err
			}
		}
	}
	if last == nil {
		return nil
	}
	p := newProgress(s.globals).of(last.ID)
	driver, lock, err := s.takeUp(ctx, last, executions, p)
	if is[*ownedError](err) {
		return nil
	}
	if err != nil {
		return err
	}
	owes := s.alone.owes
	s.driveBeside(ctx, driver, lock, last, p, time.Time{})
	s.alone.owes = owes
	return nil
}

// postpone shows why there is no new run. What a save may mend waits for one.
func (s *watching) postpone(err error, mendable bool) {
	if s.alone.owes = !mendable; !mendable {
		s.tryLater(err)
		return
	}
	s.report(err)
	s.sayWaits(err)
}

// tryLater tries again after a while. Why is said once.
func (s *watching) tryLater(err error) {
	p := &s.alone.pause
	p.next(err)
	s.alone.retry = time.After(p.wait)
	if p.why == err.Error() {
		return
	}
	p.why = err.Error()
	s.log.Warn("can't run now; it is tried again", "why", p.why, "try", nextStep(err, exitFailed))
	s.sayWaits(err)
}

func (s *watching) sayWaits(err error) {
	s.alone.tell(func(w *upWatch) {
		if s.current == nil {
			w.State = watchWaits
		}
		w.Why = err.Error()
	})
}

// left notes how the newest run has ended. One that could not be driven to its end is
// gone on with.
func (s *watching) left(c *watched) {
	if s.alone == nil {
		return
	}
	switch {
	case c.err == nil:
		s.alone.tell(func(w *upWatch) { w.State, w.Run, w.Why = string(c.run.State), c.run.ID, c.run.Error })
	case !errors.Is(c.err, dag.ErrHangup) && !is[*dag.TakenOverError](c.err):
		s.tryLater(c.err)
	}
}
