package docker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/wherry-ml/wherry/runner"
)

const (
	awayFor = 10 * time.Second // how long Watch tries to reach an engine that went away
	// The engine drops events for a reader that is slow, so the list is looked at
	// again: once soon after the stream was opened, then now and then.
	firstLook = time.Second
	laterLook = 15 * time.Second
)

// watcher is one Watch: what its caller knows, and what Ensure, Stop and
// supervisors of this process have seen that brings no event.
type watcher struct {
	seen  map[string]runner.Phase
	again bool // everything is to be yielded again
	yield func(runner.Status, error) bool

	mu     sync.Mutex
	told   []runner.Status
	wakeup chan struct{}
}

// errEnough ends a Watch whose caller has broken off its loop.
var errEnough = errors.New("caller wants no more")

// Watch lists the pods of this home, then follows the engine's events. An exit
// with code 0 needs no further question to the engine.
func (b *Backend) Watch(ctx context.Context) iter.Seq2[runner.Status, error] {
	return func(yield func(runner.Status, error) bool) {
		w := &watcher{seen: map[string]runner.Phase{}, yield: yield, wakeup: make(chan struct{}, 1)}
		b.mu.Lock()
		b.watchers[w] = struct{}{}
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			delete(b.watchers, w)
			b.mu.Unlock()
		}()
		err := b.watch(ctx, w)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errEnough) {
			yield(runner.Status{}, err)
		}
	}
}

// watch follows the engine, connecting again when the stream breaks.
func (b *Backend) watch(ctx context.Context, w *watcher) error {
	wait, since := 100*time.Millisecond, time.Time{} // an engine that was never there is not waited for
	for {
		synced, err := b.watchOnce(ctx, w)
		if ctx.Err() != nil || errors.Is(err, errEnough) {
			return err
		}
		if synced {
			wait, since = 100*time.Millisecond, time.Now()
		}
		if time.Since(since) > awayFor {
			return err
		}
		b.log.Debug("watch: connecting again", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
}

// watchOnce follows one stream of events until it breaks. synced reports
// whether it got as far as the first list.
func (b *Backend) watchOnce(ctx context.Context, w *watcher) (synced bool, err error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	msgs, errs := e.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("label", runner.LabelHome+"="+b.cfg.Home),
		filters.Arg("event", "create"), filters.Arg("event", "start"),
		filters.Arg("event", "die"), filters.Arg("event", "destroy"))})
	w.again = true
	if err := b.look(ctx, e, w); err != nil {
		return false, err
	}
	w.again = false
	if !w.yield(runner.Status{Synced: true}, nil) {
		return true, errEnough
	}
	look := time.NewTimer(firstLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case err := <-errs:
			return true, e.failed(err, "follow the engine's events")
		case m := <-msgs:
			err = b.event(ctx, e, w, m)
		case <-w.wakeup:
			err = b.yieldTold(w)
		case <-look.C:
			err = b.look(ctx, e, w)
			look.Reset(laterLook)
		}
		if err != nil {
			return true, err
		}
	}
}

// look lists all pods of this home and yields what the caller does not know.
func (b *Backend) look(ctx context.Context, e *engine, w *watcher) error {
	list, err := e.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", runner.LabelHome+"="+b.cfg.Home))})
	if err != nil {
		return e.failed(err, "list containers")
	}
	pods := map[string][]container.Summary{}
	for _, c := range list {
		pod := c.Labels[runner.LabelPod]
		pods[pod] = append(pods[pod], c)
	}
	for pod, cs := range pods {
		if b.isRemoved(pod) { // its end comes as an event
			continue
		}
		s, err := b.statusOf(ctx, e, w, pod, cs)
		if err != nil {
			return err
		}
		if err := b.emit(w, s); err != nil {
			return err
		}
	}
	for _, pod := range missing(w.seen, pods) {
		if err := b.emit(w, b.gone(pod, nil)); err != nil {
			return err
		}
	}
	return nil
}

func missing[T any](seen map[string]runner.Phase, there map[string]T) (out []string) {
	for pod, phase := range seen {
		if _, ok := there[pod]; !ok && phase != runner.PhaseGone {
			out = append(out, pod)
		}
	}
	return out
}

// statusOf asks no more of the engine than the list does not tell.
func (b *Backend) statusOf(ctx context.Context, e *engine, w *watcher, pod string, cs []container.Summary) (runner.Status, error) {
	c := cs[0]
	if c.Labels[labelMulti] == "" {
		switch {
		case c.State == "running":
			return runner.Status{Pod: pod, Labels: c.Labels, Phase: runner.PhaseRunning}, nil
		case !w.again && w.seen[pod] == runner.PhaseEnded:
			return runner.Status{Pod: pod, Labels: c.Labels, Phase: runner.PhaseEnded}, nil
		case !w.again && c.State == "created" && b.isStarting(pod, c.ID):
			return runner.Status{Pod: pod, Labels: c.Labels, Phase: runner.PhaseCreated}, nil
		}
	}
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.ID)
	}
	v, err := b.inspect(ctx, e, pod, ids)
	return v.status(pod), err
}

// event turns one of the engine's events into a status.
func (b *Backend) event(ctx context.Context, e *engine, w *watcher, m events.Message) error {
	labels := m.Actor.Attributes
	pod := labels[runner.LabelPod]
	if b.passOver(pod, m) {
		return nil
	}
	at := time.Unix(0, m.TimeNano).UTC()
	if labels[labelMulti] != "" {
		v, err := b.observe(ctx, e, pod)
		if err != nil {
			return err
		}
		if s := v.status(pod); s.Phase != runner.PhaseGone {
			return b.emit(w, s)
		}
		return b.emit(w, b.gone(pod, labels))
	}
	s := runner.Status{Pod: pod, Labels: podLabelsOf(labels)}
	switch m.Action {
	case events.ActionCreate:
		s.Phase = runner.PhaseCreated
	case events.ActionStart:
		s.Phase = runner.PhaseRunning
		b.mu.Lock()
		b.state(pod).started = at
		b.mu.Unlock()
	case events.ActionDie:
		v, err := b.died(ctx, e, pod, m.Actor.ID, s.Labels, labels["exitCode"], at)
		if err != nil {
			return err
		}
		if s = v.status(pod); s.Phase == runner.PhaseGone {
			s = b.gone(pod, s.Labels)
		}
	case events.ActionDestroy:
		s = b.gone(pod, s.Labels)
	}
	return b.emit(w, s)
}

// passOver reports whether an event says nothing about a pod: what happens while
// Remove is at work, but for the end of it, and what happened to an earlier pod
// of the same name.
func (b *Backend) passOver(pod string, m events.Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, removing := b.removed[pod]; removing {
		container := m.Actor.Attributes[labelContainer]
		return m.Action != events.ActionDestroy || m.Actor.Attributes[labelMulti] != "" && container != ""
	}
	s := b.pods[pod]
	return s != nil && s.id != "" && s.id != m.Actor.ID && m.Actor.Attributes[labelMulti] == ""
}

// isStarting reports whether an Ensure of this process made the container and has
// yet to start it: Ensure tells how that went, and the engine answers nothing
// about a container while it starts it, which would hold up the events of others.
func (b *Backend) isStarting(pod, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.pods[pod]
	return s != nil && s.id == id && (s.phase == "" || s.phase == runner.PhaseCreated)
}

func (b *Backend) isRemoved(pod string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.removed[pod]
	return ok
}

// died is the view of a pod whose only container ended. An exit with 0 needs
// only its times; all else is asked of the engine.
func (b *Backend) died(ctx context.Context, e *engine, pod, id string, labels map[string]string, code string, at time.Time) (view, error) {
	b.mu.Lock()
	started := b.state(pod).started
	b.mu.Unlock()
	if code != "0" || started.IsZero() {
		return b.inspect(ctx, e, pod, []string{id})
	}
	u := unit{id: id, role: roleMain, name: labels[labelContainer], status: "exited", started: started, ended: at, labels: labels}
	return newView([]unit{u}, facts{now: at, stopped: b.stoppedAt(pod)}), nil
}

// podLabelsOf leaves out what the engine adds to the labels in its events.
func podLabelsOf(attributes map[string]string) map[string]string {
	labels := maps.Clone(attributes)
	for _, k := range []string{"image", "name", "exitCode", "execDuration"} {
		delete(labels, k)
	}
	return labels
}

// gone is the status of a pod whose container is no longer there.
func (b *Backend) gone(pod string, labels map[string]string) runner.Status {
	s := view{}.status(pod)
	s.Labels = labels
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.removed[pod]; ok {
		s.Exit = runner.Exit{Cause: runner.CauseStopped, Message: "removed"}
	}
	return s
}

// emit notes a status and yields it if it is news to the caller.
func (b *Backend) emit(w *watcher, s runner.Status) error {
	known, ok := w.seen[s.Pod]
	if s.Phase == runner.PhaseGone && !ok {
		return nil
	}
	b.note(s)
	switch {
	case w.again:
	case ok && known == s.Phase, known == runner.PhaseEnded && s.Phase == runner.PhaseRunning:
		return nil
	}
	w.seen[s.Pod] = s.Phase
	if s.Phase == runner.PhaseGone {
		delete(w.seen, s.Pod)
	}
	if !w.yield(s, nil) {
		return errEnough
	}
	return nil
}

// note keeps what Collect and Remove would else have to ask for.
func (b *Backend) note(s runner.Status) {
	b.mu.Lock()
	st := b.state(s.Pod)
	st.phase = s.Phase
	st.multi = st.multi || s.Labels[labelMulti] != ""
	if gang := s.Labels[labelGang]; gang != "" {
		st.gang = gang
	}
	var end func()
	switch s.Phase {
	case runner.PhaseEnded:
		if st.exit == nil && s.Exit.Cause != "" {
			st.exit = &s.Exit
		}
		if !st.multi {
			end, st.end = st.end, nil
		}
	case runner.PhaseGone:
		end = st.end
		delete(b.pods, s.Pod)
	}
	b.mu.Unlock()
	if end != nil {
		go end() // it may be the caller: a supervisor tells how its pod ended
	}
}

// tell brings a status that no event reports to every Watch.
func (b *Backend) tell(s runner.Status) {
	b.note(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.watchers {
		w.mu.Lock()
		w.told = append(w.told, s)
		w.mu.Unlock()
		select {
		case w.wakeup <- struct{}{}:
		default:
		}
	}
}

func (b *Backend) yieldTold(w *watcher) error {
	w.mu.Lock()
	told := w.told
	w.told = nil
	w.mu.Unlock()
	for _, s := range told {
		if err := b.emit(w, s); err != nil {
			return err
		}
	}
	return nil
}

// exitOf is how a pod ended: from memory, else from the engine.
func (b *Backend) exitOf(ctx context.Context, e *engine, pod string) (runner.Exit, error) {
	b.mu.Lock()
	if s := b.pods[pod]; s != nil && s.exit != nil {
		defer b.mu.Unlock()
		return *s.exit, nil
	}
	b.mu.Unlock()
	v, err := b.observe(ctx, e, pod)
	if err != nil {
		return runner.Exit{}, err
	}
	s := v.status(pod)
	switch s.Phase {
	case runner.PhaseGone:
		return s.Exit, fmt.Errorf("pod %s: %w", pod, runner.ErrLost)
	case runner.PhaseEnded:
		return s.Exit, nil
	}
	return runner.Exit{}, fmt.Errorf("pod %s has not ended: it is %s since %s", pod, s.Phase, strconv.Quote(v.started().Format(time.TimeOnly)))
}
