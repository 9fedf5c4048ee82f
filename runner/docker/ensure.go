package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sync/errgroup"

	"github.com/wherry-ml/wherry/runner"
)

// made is a pod whose containers exist.
type made struct {
	pod   runner.Pod
	specs []spec
	fresh bool   // this call created all of it
	first string // id of its only container, or of its holder
}

// volumes reports whether the engine holds scratch volumes of the pod.
func (m made) volumes() bool {
	for _, s := range m.specs {
		for _, v := range s.host.Mounts {
			if v.Type == mount.TypeVolume && v.VolumeOptions.Labels[runner.LabelPod] != "" {
				return true
			}
		}
	}
	return false
}

// Ensure starts every pod of the gang or none, and adopts those that are there.
// A pod of one container takes two calls to the engine: create and start. Of a
// pod with several, the holder has started when Ensure returns, and its
// containers follow in their order while this process lives; after a crash, the
// next Ensure goes on with it.
//
// A command that can't be started is no error of Ensure: that pod has ended
// with CauseStart, and the others of its gang are stopped.
func (b *Backend) Ensure(ctx context.Context, gang []runner.Pod) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	for i, p := range gang {
		if p.Labels[runner.LabelHome] == "" {
			p.Labels = maps.Clone(p.Labels)
			if p.Labels == nil {
				p.Labels = map[string]string{}
			}
			p.Labels[runner.LabelHome] = b.cfg.Home
			gang = slices.Clone(gang)
			gang[i] = p
		}
		if err := b.check(ctx, e, p); err != nil {
			return err
		}
	}
	for _, name := range sortedNames(gang) {
		defer b.ensure.lock(name)()
	}
	pods, err := b.create(ctx, e, gang)
	if err == nil {
		err = b.startAll(ctx, e, pods)
	}
	if _, away := errors.AsType[*runner.UnavailableError](err); err != nil && (away || ctx.Err() != nil) {
		return err // the caller will ask again: what has started is adopted then
	}
	if err != nil {
		return errors.Join(err, b.undo(ctx, pods))
	}
	return nil
}

// sortedNames is the order in which a gang is locked.
func sortedNames(gang []runner.Pod) []string {
	var names []string
	for _, p := range gang {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// undo removes what this call made of a gang, so that none of it starts.
func (b *Backend) undo(ctx context.Context, pods []made) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var errs []error
	for _, m := range pods {
		if m.fresh {
			errs = append(errs, b.Remove(ctx, m.pod.Name))
		}
	}
	return errors.Join(errs...)
}

// create creates what is not there of every pod. It returns what it made also
// with an error.
func (b *Backend) create(ctx context.Context, e *engine, gang []runner.Pod) ([]made, error) {
	life := e.life(ctx)
	var pods []made
	for _, p := range gang {
		specs, err := b.specs(ctx, p, e, life)
		if err != nil {
			return pods, fmt.Errorf("pod %s: %w", p.Name, err)
		}
		if err := b.ensureGangNetwork(ctx, e, p); err != nil {
			return pods, err
		}
		m := made{pod: p, specs: specs}
		err = b.createAll(ctx, e, &m)
		pods = append(pods, m)
		if err != nil {
			return pods, err
		}
	}
	return pods, nil
}

// createAll creates what is not there of a pod. Of one whose holder has started
// nothing is created again: a container that is missing there was removed.
func (b *Backend) createAll(ctx context.Context, e *engine, m *made) error {
	for i, s := range m.specs {
		id, adopted, err := b.createOne(ctx, e, s)
		if err != nil {
			return err
		}
		m.fresh = !adopted && (i == 0 || m.fresh)
		if i == 0 {
			m.first = id
			b.noteCreated(m.pod.Name, id, adopted)
		}
		if !adopted || !s.init {
			continue
		}
		v, err := b.observe(ctx, e, m.pod.Name)
		if err != nil || v.holder == nil || !v.holder.fresh() {
			return err
		}
	}
	return nil
}

// noteCreated lets Watch tell the events of a pod from those of an earlier one
// of the same name.
func (b *Backend) noteCreated(pod, id string, adopted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.removed, pod)
	if !adopted {
		delete(b.pods, pod)
		b.state(pod).id = id
	}
}

// createOne creates a container, or finds that it is there.
func (b *Backend) createOne(ctx context.Context, e *engine, s spec) (id string, adopted bool, err error) {
	if err := s.files.make(); err != nil {
		return "", false, fmt.Errorf("make scratch directory: %w", err)
	}
	resp, err := e.ContainerCreate(ctx, s.config, s.host, s.networking, s.platform, s.name)
	switch {
	case isConflict(err):
		return s.name, true, nil
	case isNotFound(err):
		return "", false, &runner.ImageError{Image: s.config.Image, Err: plain(err), Mend: "resolve the image again: it was removed from the engine"}
	case err != nil:
		return "", false, e.failed(err, "create container %s", s.name)
	}
	for _, w := range resp.Warnings {
		b.log.Debug("engine warns", "container", s.name, "warning", w)
	}
	return resp.ID, false, nil
}

func (b *Backend) startAll(ctx context.Context, e *engine, pods []made) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, m := range pods {
		g.Go(func() error { return b.startPod(gctx, e, m) })
	}
	if err := g.Wait(); err != nil || len(pods) == 1 {
		return err
	}
	return b.stopIfOneCouldNotStart(ctx, pods)
}

func (b *Backend) stopIfOneCouldNotStart(ctx context.Context, pods []made) error {
	bad := false
	b.mu.Lock()
	for _, m := range pods {
		exit := b.state(m.pod.Name).exit
		bad = bad || exit != nil && exit.Cause == runner.CauseStart
	}
	b.mu.Unlock()
	if !bad {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range pods {
		g.Go(func() error { return b.Stop(ctx, m.pod.Name, grace(m.pod)) })
	}
	return g.Wait()
}

// startPod fills and starts a pod whose containers exist, as far as that has
// not been done.
func (b *Backend) startPod(ctx context.Context, e *engine, m made) error {
	if !m.fresh {
		return b.adopt(ctx, e, m)
	}
	if err := b.fillAll(ctx, e, m); err != nil {
		return err
	}
	return b.startFirst(ctx, e, m, time.Time{})
}

// fillAll brings the files of a pod of which nothing has started.
func (b *Backend) fillAll(ctx context.Context, e *engine, m made) error {
	for _, s := range m.specs {
		if err := s.files.fill(); err != nil {
			return err
		}
		if err := e.put(ctx, s.name, s.files.copies); err != nil {
			return err
		}
		if !s.init {
			continue
		}
		arch := ""
		if s.platform != nil {
			arch = s.platform.Architecture
		}
		if err := e.putInit(ctx, s.name, arch); err != nil {
			return err
		}
	}
	return nil
}

// startFirst starts the pod's only container, or its holder and then its
// supervisor.
func (b *Backend) startFirst(ctx context.Context, e *engine, m made, since time.Time) error {
	if since.IsZero() {
		err := e.ContainerStart(ctx, m.first, container.StartOptions{})
		switch {
		case err == nil:
		case isClosing(err) && m.fresh:
			_ = e.ContainerRemove(ctx, m.first, container.RemoveOptions{Force: true, RemoveVolumes: true}) // it never ran
			return e.away(err, "start pod %s", m.pod.Name)
		case isAway(err) || ctx.Err() != nil || isNotFound(err):
			return e.failed(err, "start pod %s", m.pod.Name)
		default:
			return b.couldNotStart(ctx, e, m.pod.Name, err)
		}
		since = time.Now()
	}
	b.began(e, m, since)
	return nil
}

// couldNotStart records that the engine refused to start a pod's container.
// The engine keeps that too, but sends no event.
func (b *Backend) couldNotStart(ctx context.Context, e *engine, pod string, cause error) error {
	v, err := b.observe(ctx, e, pod)
	if err != nil {
		return err
	}
	s := v.status(pod)
	if s.Phase != runner.PhaseEnded {
		return e.failed(cause, "start pod %s", pod)
	}
	b.tell(s)
	return nil
}

// began starts what this process does for a running pod.
func (b *Backend) began(e *engine, m made, since time.Time) {
	p := m.pod
	multi := len(p.Containers) > 1
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state(p.Name)
	s.multi, s.gang = multi, p.Network.Gang
	s.container, s.volumes = p.Containers[0].Name, m.volumes()
	if s.phase == "" || s.phase == runner.PhaseCreated {
		s.phase = runner.PhaseRunning
	}
	if s.end != nil || s.exit != nil {
		return
	}
	switch {
	case multi:
		s.end = b.task(func(ctx context.Context) { b.supervise(ctx, e, p.Name) })
	case p.Deadline > 0:
		s.end = b.task(func(ctx context.Context) { b.awaitDeadline(ctx, e, p, since) })
	}
}

// awaitDeadline stops a pod when its time is over, unless it ended before.
func (b *Backend) awaitDeadline(ctx context.Context, e *engine, p runner.Pod, since time.Time) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(min(p.Deadline, time.Until(since.Add(p.Deadline)))): // a clock that was set back gives no more
	}
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		err := e.stop(ctx, p.Name, grace(p))
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.Warn("stop at the deadline", "pod", p.Name, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// adopt goes on with a pod that was there.
func (b *Backend) adopt(ctx context.Context, e *engine, m made) error {
	v, err := b.observe(ctx, e, m.pod.Name)
	if err != nil {
		return err
	}
	if home := v.labels()[runner.LabelHome]; home != b.cfg.Home {
		return fmt.Errorf("pod %s: the engine has a container of this name that is not ours", m.pod.Name)
	}
	s := v.status(m.pod.Name)
	switch s.Phase {
	case runner.PhaseRunning:
		return b.startFirst(ctx, e, m, v.started())
	case runner.PhaseCreated:
		if err := b.fillAll(ctx, e, m); err != nil {
			return err
		}
		return b.startFirst(ctx, e, m, time.Time{})
	}
	b.tell(s)
	return nil
}

// grace is the time between SIGTERM and SIGKILL.
func grace(p runner.Pod) time.Duration {
	if p.Grace > 0 {
		return p.Grace
	}
	return 10 * time.Second
}
