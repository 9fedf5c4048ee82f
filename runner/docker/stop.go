package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"github.com/wherry-ml/wherry/runner"
)

// stop ends one container: its stop signal, then SIGKILL after grace. One that
// has ended or is gone is no error.
func (e *engine) stop(ctx context.Context, id string, grace time.Duration) error {
	if grace <= 0 {
		err := e.ContainerKill(ctx, id, "SIGKILL")
		if isNotFound(err) || isConflict(err) { // gone, or not running
			return nil
		}
		return e.failed(err, "kill container %s", id)
	}
	seconds := int((grace + time.Second - 1) / time.Second) // the engine counts whole seconds
	err := e.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if isNotFound(err) {
		return nil
	}
	return e.failed(err, "stop container %s", id)
}

// Stop ends every container of a pod. That it was called is kept in the pod's
// folder, so that nothing more of it starts and its exit is told as stopped,
// also after a crash.
func (b *Backend) Stop(ctx context.Context, pod string, grace time.Duration) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	v, err := b.observe(ctx, e, pod)
	if err != nil || v.phase() == runner.PhaseEnded || v.phase() == runner.PhaseGone {
		return err
	}
	if err := b.markStopped(pod); err != nil {
		return err
	}
	b.endTask(pod) // a supervisor would stop them with the pod's own grace
	for {
		v.stopped = time.Now()
		running := v.runningUnits()
		if len(running) == 0 {
			break
		}
		if err := stopAll(ctx, e, running, grace); err != nil {
			return err
		}
		if v, err = b.observe(ctx, e, pod); err != nil {
			return err
		}
	}
	v, err = b.observe(ctx, e, pod)
	if err == nil {
		b.tell(v.status(pod))
	}
	return err
}

func stopAll(ctx context.Context, e *engine, units []unit, grace time.Duration) error {
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for i, u := range units {
		wg.Go(func() { errs[i] = e.stop(ctx, u.id, grace) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// markStopped records the moment of a Stop. The first one counts.
func (b *Backend) markStopped(pod string) error {
	dir := b.workDir(pod)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "stopped"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(time.Now().UTC().Format(time.RFC3339Nano))
	return errors.Join(err, f.Close())
}

// stoppedAt is when Stop was called; zero if it was not.
func (b *Backend) stoppedAt(pod string) time.Time {
	data, err := os.ReadFile(filepath.Join(b.workDir(pod), "stopped"))
	if err != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(data))
	if err != nil { // a crash in mid-write: it was called all the same
		if fi, err := os.Stat(filepath.Join(b.workDir(pod), "stopped")); err == nil {
			return fi.ModTime()
		}
	}
	return at
}

// endTask ends the pod's supervisor or deadline timer.
func (b *Backend) endTask(pod string) {
	b.mu.Lock()
	var end func()
	if s := b.pods[pod]; s != nil {
		end, s.end = s.end, nil
	}
	b.mu.Unlock()
	if end != nil {
		end()
	}
}

// Remove deletes a pod's containers, then what was made for them.
func (b *Backend) Remove(ctx context.Context, pod string) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	b.endTask(pod)
	b.noteRemoved(pod)
	b.mu.Lock()
	s := *b.state(pod)
	b.mu.Unlock()

	ids, gang, volumes := []string{pod}, s.gang, s.volumes
	if s.multi || s.container == "" || s.exit == nil && s.phase != runner.PhaseRunning {
		v, err := b.observe(ctx, e, pod)
		if err != nil {
			return err
		}
		ids, gang, volumes = v.ids(), v.labels()[labelGang], true
	}
	for _, id := range ids {
		if err := e.remove(ctx, id); err != nil {
			return err
		}
	}
	b.mu.Lock()
	delete(b.pods, pod)
	b.mu.Unlock()
	return b.removeRest(ctx, e, pod, gang, volumes)
}

// noteRemoved lets Watch tell a pod that was removed from one that was lost.
func (b *Backend) noteRemoved(pod string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, at := range b.removed {
		if time.Since(at) > time.Minute {
			delete(b.removed, name)
		}
	}
	b.removed[pod] = time.Now()
}

// ids lists the pod's containers, those that depend on the holder first.
func (v view) ids() (ids []string) {
	for _, u := range v.units {
		ids = append(ids, u.id)
	}
	if v.holder != nil {
		ids = append(ids, v.holder.id)
	}
	return ids
}

// remove deletes a container with its anonymous volumes, killing it if it runs.
func (e *engine) remove(ctx context.Context, id string) error {
	for {
		err := e.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if !isConflict(err) { // a removal of it is in progress
			if isNotFound(err) {
				return nil
			}
			return e.failed(err, "remove container %s", id)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// removeRest deletes the volumes, network and files of a pod without containers.
func (b *Backend) removeRest(ctx context.Context, e *engine, pod, gang string, volumes bool) error {
	if volumes {
		if err := e.removeVolumes(ctx, pod); err != nil {
			return err
		}
	}
	if gang != "" {
		if err := b.removeGangNetwork(ctx, e, gang); err != nil {
			return err
		}
	}
	return os.RemoveAll(b.workDir(pod))
}

func (e *engine) removeVolumes(ctx context.Context, pod string) error {
	list, err := e.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", runner.LabelPod+"="+pod))})
	if err != nil {
		return e.failed(err, "list volumes of pod %s", pod)
	}
	for _, v := range list.Volumes {
		if err := e.VolumeRemove(ctx, v.Name, true); err != nil && !isNotFound(err) {
			return e.failed(err, "remove volume %s", v.Name)
		}
	}
	return nil
}

// removeGangNetwork deletes a gang's network with the last of its pods.
func (b *Backend) removeGangNetwork(ctx context.Context, e *engine, gang string) error {
	left, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", runner.LabelHome+"="+b.cfg.Home), filters.Arg("label", labelGang+"="+gang))})
	if err != nil || len(left) > 0 {
		return e.failed(err, "look for pods of gang %s", gang)
	}
	err = e.NetworkRemove(ctx, gangNetwork(b.cfg.Home, gang))
	if isNotFound(err) {
		return nil
	}
	return e.failed(err, "remove network of gang %s", gang)
}
