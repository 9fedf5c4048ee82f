package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// Watch yields what is there, then every change, as runner.Backend says. An exit
// is seen within milliseconds, a killed supervisor within a second.
func (b *Backend) Watch(ctx context.Context) iter.Seq2[runner.Status, error] {
	return func(yield func(runner.Status, error) bool) {
		if err := b.makeDirs(); err != nil {
			yield(runner.Status{}, b.unavailable(err))
			return
		}
		sub := b.hub.subscribe("")
		defer sub.close()
		w := watcher{b: b, known: map[string]*runner.Status{}, yield: yield}
		if !w.scan() || !yield(runner.Status{Synced: true}, nil) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.wake:
			}
			pods, all := sub.take()
			if all && !w.scan() {
				return
			}
			for name := range pods {
				if !all && !w.look(name) {
					return
				}
			}
		}
	}
}

func (b *Backend) unavailable(err error) error {
	return &runner.UnavailableError{Backend: Name, Tried: []string{b.work()}, Err: err,
		Mend: "make " + b.cfg.Dir + " writable, or set WHERRY_HOME to a folder that is"}
}

// watcher remembers what it has said of each pod.
type watcher struct {
	b     *Backend
	known map[string]*runner.Status
	yield func(runner.Status, error) bool
}

// scan looks at every pod that may have changed, and reports whether to go on.
func (w *watcher) scan() bool {
	entries, err := os.ReadDir(w.b.work())
	if err != nil {
		w.yield(runner.Status{}, w.b.unavailable(fmt.Errorf("list pods: %w", err)))
		return false
	}
	there := map[string]bool{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		there[e.Name()] = true
		if old := w.known[e.Name()]; old != nil && old.Phase == runner.PhaseEnded {
			continue
		}
		if !w.look(e.Name()) {
			return false
		}
	}
	for name := range w.known {
		if !there[name] && !w.look(name) {
			return false
		}
	}
	return true
}

// look yields the pod's status if it is news.
func (w *watcher) look(name string) bool {
	d := w.b.pod(name)
	st, err := d.look()
	if err != nil {
		w.yield(runner.Status{}, w.b.unavailable(err))
		return false
	}
	old := w.known[name]
	if old == nil {
		s, err := d.readSpec()
		if err != nil {
			// Not a pod, or gone by now.
			return true
		}
		old = &runner.Status{Pod: name, Labels: s.Labels}
		w.known[name] = old
	}
	if old.Phase != st.phase {
		if st.phase == runner.PhaseGone {
			d.killLeft()
		}
		old.Phase, old.Exit = st.phase, st.exit
		if !w.yield(*old, nil) {
			return false
		}
	}
	if old.Phase == runner.PhaseGone && !d.exists() {
		delete(w.known, name)
	}
	return true
}

// killLeft kills what a killed supervisor left running: a lost pod must not go
// on beside the attempt that follows it.
func (d podDir) killLeft() {
	if !d.exists() {
		return
	}
	var groups []process
	entries, _ := os.ReadDir(d.run())
	for _, e := range entries {
		if p, err := readProcess(d.container(e.Name())); err == nil {
			groups = append(groups, p)
		}
	}
	killMarked(d.marker(), groups)
	_ = os.Remove(d.live())
}

// waitEnd waits until the pod has ended or is gone.
func (b *Backend) waitEnd(ctx context.Context, d podDir) (state, error) {
	if err := b.makeDirs(); err != nil {
		return state{}, b.unavailable(err)
	}
	sub := b.hub.subscribe(d.name())
	defer sub.close()
	for {
		st, err := d.look()
		if err != nil || st.phase == runner.PhaseEnded || st.phase == runner.PhaseGone || st.phase == runner.PhaseCreated {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-sub.wake:
			sub.take()
		}
	}
}

// gone reports whether err says that something is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
