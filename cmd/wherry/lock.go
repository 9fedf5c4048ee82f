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
type runLock struct{ file, owner *os.File }

func (g *globals) lockPath(run string) string {
	return filepath.Join(g.Home, "runs", run, "lock")
}

// lockRun takes the lock of a run, in place of a driver that is dead or hangs; an
// *ownedError says who else has it.
func (g *globals) lockRun(ctx context.Context, run string) (*runLock, error) {
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
	if l.owner, err = g.claimOwner(run); err != nil {
		f.Close()
		return nil, err
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
func (l *runLock) Close() error { return errors.Join(l.owner.Close(), l.file.Close()) }

// driven reports whether a process drives the run.
func (g *globals) driven(run string) bool {
	f, err := os.Open(g.lockPath(run))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}
