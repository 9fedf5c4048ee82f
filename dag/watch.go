package dag

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// watcher follows the pods of one run and tells those that wait for an end.
type watcher struct {
	run    string
	failed chan error // the backend stays away
	synced chan struct{}
	ended  chan struct{} // the goroutine has

	mu     sync.Mutex
	ends   map[string]chan runner.Exit // by pod; expected ones
	status map[string]runner.Status    // of pods of this run
	again  map[string]bool             // pods seen since watching began anew; nil: it has not
	listed bool
}

// watchPods starts following the run's pods until ctx ends. A backend may stay
// away for patience.
func watchPods(ctx context.Context, b runner.Backend, run string, patience time.Duration) *watcher {
	w := &watcher{
		run: run, failed: make(chan error, 1), synced: make(chan struct{}), ended: make(chan struct{}),
		ends: map[string]chan runner.Exit{}, status: map[string]runner.Status{},
	}
	go func() {
		defer close(w.ended)
		var awaySince time.Time
		for {
			var failed error
			for s, err := range b.Watch(ctx) {
				if failed = err; err != nil {
					break
				}
				awaySince = time.Time{}
				w.see(s)
			}
			if ctx.Err() != nil {
				return
			}
			if awaySince.IsZero() {
				awaySince = time.Now()
			}
			if time.Since(awaySince) >= patience {
				w.failed <- orWatchEnded(failed)
				return
			}
			select {
			case <-time.After(500 * time.Millisecond):
				w.beginAgain()
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}

func orWatchEnded(err error) error {
	if err == nil {
		return errors.New("the backend stopped telling what happens to pods")
	}
	return err
}

// beginAgain notes that everything will be yielded again, so that what is not is
// gone.
func (w *watcher) beginAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = map[string]bool{}
}

// missed tells of pods that vanished while nobody looked.
func (w *watcher) missed() {
	for pod, s := range w.status {
		if w.again != nil && !w.again[pod] {
			s.Phase, s.Exit = runner.PhaseGone, runner.Exit{Cause: runner.CauseLost, Message: "it was gone when the engine answered again"}
			w.status[pod] = s
			w.tell(s)
		}
	}
	w.again = nil
}

func (w *watcher) see(s runner.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Synced {
		w.missed()
		if !w.listed {
			w.listed = true
			close(w.synced)
		}
		return
	}
	if run := s.Labels[runner.LabelRun]; run != "" && run != w.run {
		return
	}
	if _, expected := w.ends[s.Pod]; !expected && s.Labels[runner.LabelRun] != w.run {
		return
	}
	w.status[s.Pod] = s
	if w.again != nil {
		w.again[s.Pod] = true
	}
	w.tell(s)
}

// tell hands an end to the one who expects it. The channel holds one; a second
// telling of the same end is dropped.
func (w *watcher) tell(s runner.Status) {
	end, ok := w.ends[s.Pod]
	if !ok || s.Phase != runner.PhaseEnded && s.Phase != runner.PhaseGone {
		return
	}
	select {
	case end <- s.Exit:
	default:
	}
}

// expect returns where the end of a pod will be told, once.
func (w *watcher) expect(pod string) <-chan runner.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := make(chan runner.Exit, 1)
	w.ends[pod] = end
	if s, ok := w.status[pod]; ok {
		w.tell(s)
	}
	return end
}

// forget drops a pod that was collected.
func (w *watcher) forget(pod string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ends, pod)
	delete(w.status, pod)
}

// sync waits until everything that was there at the start has been seen, and
// returns it by pod. Meanwhile it calls beat from time to time.
func (w *watcher) sync(ctx context.Context, beat func()) (map[string]runner.Status, error) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for waits := true; waits; {
		select {
		case <-w.synced:
			waits = false
		case <-ticker.C:
			beat()
		case err := <-w.failed:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]runner.Status, len(w.status))
	for k, v := range w.status {
		out[k] = v
	}
	return out, nil
}

func (w *watcher) wait() { <-w.ended }
