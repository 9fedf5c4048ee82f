package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// newID returns a short random id: 10 characters of an alphabet without look-alikes.
func newID() string {
	const alphabet = "23456789abcdefghjkmnpqrstvwxyz"
	var b [10]byte
	_, _ = rand.Read(b[:])
	for i, c := range b {
		b[i] = alphabet[int(c)%len(alphabet)]
	}
	return string(b[:])
}

// runLock is the lock of the one process that drives a run. The kernel drops it
// with its holder. The time of its file is that of the holder's last beat.
type runLock struct {
	file, owner *os.File
	release     func() // tells this process
}

func (g *globals) lockPath(run string) string {
	return filepath.Join(g.Home, "runs", run, "lock")
}

// lockRun takes the lock of a run, in place of a driver that is dead or hangs; an
// *ownedError says who else has it.
func (g *globals) lockRun(ctx context.Context, run string) (*runLock, error) {
	release, free := g.own(run)
	if !free { // no part of this process ends another
		return nil, g.owned(run)
	}
	l, err := g.takeRun(ctx, run)
	if err != nil {
		release()
		return nil, err
	}
	l.release = release
	return l, nil
}

// own notes that this process takes the lock of a run, unless it has it. It never
// looks at the owner file of its own runs: see claimOwner.
func (g *globals) own(run string) (release func(), free bool) {
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owned[run] {
		return nil, false
	}
	if o.owned == nil {
		o.owned = map[string]bool{}
	}
	o.owned[run] = true
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.owned, run)
	}, true
}

func (g *globals) takeRun(ctx context.Context, run string) (*runLock, error) {
	path := g.lockPath(run)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = flock(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		if err = g.replaceHung(ctx, run); err == nil {
			err = flock(f)
		}
		if errors.Is(err, unix.EWOULDBLOCK) { // another one was faster
			err = g.owned(run)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	l := &runLock{file: f}
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	l.beat() // before anybody can see whose the lock is
	if l.owner, err = claimOwner(g.ownerPath(run)); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock run %s: %w", run, err)
	}
	return l, nil
}

// flock tries for a moment: who only looks whether it is held holds it for an
// instant.
func flock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for i := 0; i < 10 && errors.Is(err, unix.EWOULDBLOCK); i++ {
		time.Sleep(10 * time.Millisecond)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// Close gives the lock back.
func (l *runLock) Close() error {
	err := errors.Join(l.owner.Close(), l.file.Close())
	l.release()
	return err
}

// driven reports whether a process drives the run.
func (g *globals) driven(run string) bool { return isHeld(g.lockPath(run)) }

// isHeld reports whether somebody holds the lock of a file.
func isHeld(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// owns reports whether this process drives the run.
func (g *globals) owns(run string) bool {
	o := g.shared()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owned[run]
}
