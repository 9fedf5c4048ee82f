package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filetree"
	"github.com/wherry-ml/wherry/runner"
)

var _ runner.Housekeeper = (*Backend)(nil)

// Holdings lists the Python environments, finished and half-made, and the named
// volumes of this home.
func (b *Backend) Holdings(_ context.Context, sizes bool) ([]runner.Holding, error) {
	var out []runner.Holding
	size := func(dir string) int64 {
		if !sizes {
			return -1
		}
		return diskUse(dir)
	}
	running := b.running()
	for _, dir := range subdirs(b.venvs()) {
		h := runner.Holding{Kind: runner.HoldingEnvironment, ID: filepath.Base(dir), Name: filepath.Base(dir), Bytes: size(dir), Own: true, Busy: running}
		mark, err := os.Stat(filepath.Join(dir, completeMark))
		if err == nil {
			h.Used = mark.ModTime()
		} else if busy, _ := locked(dir + ".lock"); !busy {
			h.Kind, h.Busy = runner.HoldingBuild, false
		}
		out = append(out, h)
	}
	for _, dir := range subdirs(filepath.Dir(b.named("x"))) {
		h := runner.Holding{Kind: runner.HoldingVolume, ID: filepath.Base(dir), Name: filepath.Base(dir), Bytes: size(dir), Own: true}
		if info, err := os.Stat(dir); err == nil {
			h.Used = info.ModTime()
		}
		h.Busy = b.userOf(dir) != ""
		out = append(out, h)
	}
	return out, nil
}

// running reports whether any pod runs; what it has of an environment is not
// looked into.
func (b *Backend) running() bool {
	entries, _ := os.ReadDir(b.live())
	for _, e := range entries {
		if st, err := b.pod(e.Name()).look(); err != nil || st.phase == runner.PhaseRunning {
			return true
		}
	}
	return false
}

func subdirs(dir string) (out []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out
}

// diskUse is what a folder takes on the disk; of a file with several names its
// share.
func diskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone, or not ours to look into
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512 / max(1, int64(st.Nlink))
			}
		}
		return nil
	})
	return n
}

// Discard removes an environment or a volume.
func (b *Backend) Discard(ctx context.Context, h runner.Holding) (bool, error) {
	if !fileName(h.ID) {
		return false, fmt.Errorf("remove %s %q: it can't be the name of a directory", h.Kind, h.ID)
	}
	switch h.Kind {
	case runner.HoldingVolume:
		if b.userOf(b.named(h.ID)) != "" {
			return false, nil
		}
		return true, b.RemoveVolume(ctx, h.ID)
	case runner.HoldingEnvironment, runner.HoldingBuild:
		return b.discardEnvironment(h)
	}
	return false, nil
}

// discardEnvironment takes the mark away before it looks when it was set: who uses
// the environment meanwhile finds none, and waits for the lock to make it anew.
func (b *Backend) discardEnvironment(h runner.Holding) (bool, error) {
	dir := filepath.Join(b.venvs(), h.ID)
	lock, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil || b.running() {
		return false, nil
	}
	mark := filepath.Join(dir, completeMark)
	aside := strings.TrimSuffix(mark, "-complete") + "-removing"
	switch err := os.Rename(mark, aside); {
	case err == nil:
		if info, err := os.Stat(aside); err != nil || info.ModTime().After(h.Used) {
			return false, errors.Join(err, os.Rename(aside, mark))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := filetree.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove environment %s: %w", h.ID, err)
	}
	return true, nil // the lock stays: somebody may wait for it
}
