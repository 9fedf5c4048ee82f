package process

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/wherry-ml/wherry/runner"
)

// Collect hands on the log of the ended pod, then its outputs where they lie, as
// runner.Backend says.
func (b *Backend) Collect(ctx context.Context, pod runner.Pod, to runner.Sink) (runner.Exit, error) {
	d := b.pod(pod.Name)
	st, err := d.look()
	switch {
	case err != nil:
		return runner.Exit{}, err
	case st.phase == runner.PhaseGone:
		d.killLeft()
		return st.exit, fmt.Errorf("collect pod %q: %w", pod.Name, runner.ErrLost)
	case st.phase != runner.PhaseEnded:
		return runner.Exit{}, fmt.Errorf("collect pod %q: it has not ended: it is %s", pod.Name, st.phase)
	}
	s, err := d.readSpec()
	if err != nil {
		return runner.Exit{}, fmt.Errorf("collect pod %q: %w", pod.Name, err)
	}
	var failed error
	err = b.logs(ctx, d, runner.LogOptions{}, func(l runner.Line) bool {
		failed = to.Line(l)
		return failed == nil
	})
	if err := errors.Join(failed, err); err != nil {
		return st.exit, fmt.Errorf("collect the log of pod %q: %w", pod.Name, err)
	}
	for _, o := range pod.Outputs {
		if err := ctx.Err(); err != nil {
			return st.exit, err
		}
		if err := s.output(d, o, to); err != nil {
			return st.exit, fmt.Errorf("collect output %q of pod %q: %w", o.Name, pod.Name, err)
		}
	}
	return st.exit, nil
}

// output hands on o if it is there, where it really lies: in a mounted volume, or
// in what else belongs to the pod alone. What links lead to outside of that is a
// *runner.OutputError: it isn't the pod's.
func (s *spec) output(d podDir, o runner.Output, to runner.Sink) error {
	in, ok := s.locate(o.Path)
	for _, own := range []string{d.cwd(), d.tmp()} {
		if !ok && within(own, o.Path) {
			in, ok = bind{own, own}, true
		}
	}
	if !ok {
		return unsupported(fmt.Sprintf("output %q at %s", o.Name, o.Path),
			"host processes have no file system of their own; it must lie in a mounted volume, the working directory or TMPDIR")
	}
	rel, err := filepath.Rel(in.Path, o.Path)
	if err != nil {
		return err
	}
	volume, err := filepath.EvalSymlinks(in.Real)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	at, err := filepath.EvalSymlinks(filepath.Join(in.Real, rel))
	switch {
	case gone(err):
		return nil
	case err != nil:
		return &runner.OutputError{Name: o.Name, Path: o.Path, Err: err}
	case !within(volume, at):
		return &runner.OutputError{Name: o.Name, Path: o.Path, Err: fmt.Errorf("a symbolic link leads to %s, out of its volume", at)}
	}
	return to.Output(o.Name, at)
}
