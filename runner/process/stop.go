package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/filetree"
	"github.com/wherry-ml/wherry/runner"
)

// patience is how long a supervisor gets to end its pod after SIGKILL is due.
const patience = 10 * time.Second

// Stop ends the pod, as runner.Backend says. A second call with a shorter grace
// shortens the first's.
func (b *Backend) Stop(ctx context.Context, pod string, grace time.Duration) error {
	d := b.pod(pod)
	if !d.exists() {
		return nil
	}
	if err := b.stop(ctx, d, max(0, grace)); err != nil {
		return fmt.Errorf("stop pod %q: %w", pod, err)
	}
	return nil
}

func (b *Backend) stop(ctx context.Context, d podDir, grace time.Duration) error {
	st, err := d.look()
	if err != nil || st.phase != runner.PhaseRunning {
		return err
	}
	sup, err := d.supervisor(ctx)
	if err != nil {
		return err
	}
	if err := writeJSON(d.stop(), stopRequest{grace}); err != nil && !gone(err) {
		return err
	}
	if err := syscall.Kill(sup.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("tell its supervisor: %w", err)
	}
	wait, cancel := context.WithTimeoutCause(ctx, grace+patience, errHangs)
	defer cancel()
	_, err = b.waitEnd(wait, d)
	if err != nil && errors.Is(context.Cause(wait), errHangs) {
		return errHangs
	}
	return err
}

var errHangs = errors.New("its supervisor does not answer")

// supervisor returns the process that runs the pod. It is written down just after
// the lock is taken.
func (d podDir) supervisor(ctx context.Context) (process, error) {
	for {
		p, err := readProcess(d.pid())
		if err == nil || !gone(err) {
			return p, err
		}
		if alive, err := locked(d.lock()); err != nil || !alive {
			return process{}, errors.Join(err, errors.New("its supervisor is gone"))
		}
		select {
		case <-ctx.Done():
			return process{}, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Remove deletes the pod and what was made for it, as runner.Backend says.
// Links to inputs stay: they are the places of artifacts, which others may use.
func (b *Backend) Remove(ctx context.Context, pod string) error {
	d := b.pod(pod)
	if !d.exists() {
		return nil
	}
	if err := b.remove(ctx, d); err != nil {
		return fmt.Errorf("remove pod %q: %w", pod, err)
	}
	return nil
}

func (b *Backend) remove(ctx context.Context, d podDir) error {
	st, err := d.look()
	if err != nil {
		return err
	}
	switch st.phase {
	case runner.PhaseRunning:
		if err := b.kill(ctx, d); err != nil {
			return err
		}
	case runner.PhaseGone:
		d.killLeft()
	}
	if s, err := d.readSpec(); err == nil {
		for _, l := range s.Links {
			if to, err := os.Readlink(l.Path); err == nil && to == l.Real && within(string(d), to) {
				_ = os.Remove(l.Path)
			}
		}
	}
	// At once for all who look, then at leisure.
	trash := filepath.Join(b.work(), ".gone-"+d.name())
	if err := os.Rename(string(d), trash); gone(err) {
		return nil
	} else if err != nil {
		if err := filetree.RemoveAll(trash); err != nil {
			return err
		}
		if err := os.Rename(string(d), trash); err != nil && !gone(err) {
			return err
		}
	}
	_ = os.Remove(d.live())
	return filetree.RemoveAll(trash)
}

// kill ends a running pod at once, and its supervisor if that does not answer.
func (b *Backend) kill(ctx context.Context, d podDir) error {
	err := b.stop(ctx, d, 0)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if sup, e := readProcess(d.pid()); e == nil && sup.alive() {
		_ = syscall.Kill(sup.pid, syscall.SIGKILL)
	}
	d.killLeft()
	return nil
}
