package docker

import (
	"context"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
)

// step is what a supervisor does next: nothing of it means to wait.
type step struct {
	start []unit
	stop  []unit // what is left when the pod has nothing more to do, or must end
	done  bool
}

// next decides what to do for a pod of several containers.
func (v view) next() step {
	if v.phase() == runner.PhaseEnded || v.phase() == runner.PhaseGone {
		return step{done: true}
	}
	if v.halted() || v.broken() || v.incomplete() {
		return step{stop: v.runningUnits()}
	}
	if !v.worksOn() {
		return step{stop: v.runningUnits()} // sidecars and the holder
	}
	inits := v.of(roleInit)
	for _, u := range inits {
		if u.fresh() {
			return step{start: []unit{u}}
		}
		if u.running() {
			return step{}
		}
	}
	var s step
	for _, u := range v.of(roleSidecar) {
		if u.fresh() {
			s.start = append(s.start, u)
		}
	}
	for _, u := range v.of(roleMain) {
		if v.mayStart(u) && v.readyFor(u) {
			s.start = append(s.start, u)
		}
	}
	return s
}

// readyFor reports whether all that u comes after has ended well.
func (v view) readyFor(u unit) bool {
	for _, name := range u.after {
		for _, x := range v.units {
			if x.name == name && (!x.over() || x.failed()) {
				return false
			}
		}
	}
	return true
}

func (v view) runningUnits() (out []unit) {
	for _, u := range v.units {
		if u.running() {
			out = append(out, u)
		}
	}
	if len(out) == 0 && v.holder != nil && v.holder.running() {
		out = append(out, *v.holder) // last: it owns the network
	}
	return out
}

// supervise takes a pod of several containers to its end. It keeps nothing that
// a supervisor in another process could not see on the engine.
func (b *Backend) supervise(ctx context.Context, e *engine, pod string) {
	wait := 50 * time.Millisecond
	for ctx.Err() == nil {
		done, err := b.superviseOnce(ctx, e, pod)
		if done {
			return
		}
		if err == nil {
			wait = 50 * time.Millisecond
			continue
		}
		if ctx.Err() == nil {
			b.log.Warn("supervise", "pod", pod, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (b *Backend) superviseOnce(ctx context.Context, e *engine, pod string) (done bool, err error) {
	v, err := b.observe(ctx, e, pod)
	if err != nil {
		return false, err
	}
	next := v.next()
	switch {
	case next.done:
		b.tell(v.status(pod))
		return true, nil
	case len(next.stop) > 0:
		return false, stopUnits(ctx, e, next.stop)
	}
	for _, u := range next.start {
		err := e.ContainerStart(ctx, u.id, container.StartOptions{})
		if err != nil && (isAway(err) || ctx.Err() != nil) {
			return false, err
		} // else the engine keeps why it could not be started, and the next look sees it
	}
	if len(next.start) > 0 {
		return false, nil
	}
	b.awaitChange(ctx, e, v)
	return false, nil
}

// awaitChange returns when an init or main container ended, the deadline
// passed, or Stop was called.
func (b *Backend) awaitChange(ctx context.Context, e *engine, v view) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a missed end is seen then
	defer cancel()
	if d := v.deadline(); d > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, v.started().Add(d))
		defer stop()
	}
	var wg sync.WaitGroup
	for _, u := range v.units {
		if u.role == roleSidecar || !u.running() {
			continue
		}
		wg.Go(func() {
			ended, failed := e.ContainerWait(ctx, u.id, container.WaitConditionNotRunning)
			select {
			case <-ended:
			case <-failed:
			}
			cancel()
		})
	}
	<-ctx.Done()
	wg.Wait()
}

func stopUnits(ctx context.Context, e *engine, units []unit) error {
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for i, u := range units {
		wg.Go(func() { errs[i] = e.stop(ctx, u.id, u.duration(labelGrace)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
