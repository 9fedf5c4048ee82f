package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A driver beats every 2 s (dag.Driver.Beat): the time of its lock file is that of
// its last beat.
const (
	hungAfter = 8 * time.Second         // without a beat: with what a takeover takes, under 10 s
	watchFor  = 2500 * time.Millisecond // at least: after a sleep of the machine, all beats are old
)

// ownedError says that another process drives the run.
type ownedError struct{ run, holder string }

func (e *ownedError) Error() string {
	return fmt.Sprintf("run %s is driven by process %s", e.run, e.holder)
}

// Hint says what to do next.
func (e *ownedError) Hint() string {
	return fmt.Sprintf("wherry logs -f %s follows it, wherry cancel %s ends it", e.run, e.run)
}

// hungError says that a run's driver hangs and could not be ended.
type hungError struct {
	run, holder string
	err         error
}

func (e *hungError) Error() string {
	return fmt.Sprintf("run %s is driven by process %s, which hangs and can't be ended: %v", e.run, e.holder, e.err)
}

// Hint says what to do next.
func (e *hungError) Hint() string {
	return fmt.Sprintf("end it (kill -9 %s), then wherry resume %s", e.holder, e.run)
}

func (g *globals) owned(run string) *ownedError {
	holder, _ := os.ReadFile(g.lockPath(run))
	return &ownedError{run: run, holder: strings.TrimSpace(string(holder))}
}

// replaceHung ends the driver that holds the run's lock if it hangs. It is killed,
// because one that is only stopped may be in the middle of a call to the engine:
// woken later, it would start a step again that has long ended. Nil: the lock is
// free, or will be in a moment.
func (g *globals) replaceHung(ctx context.Context, run string) error {
	last, err := g.lastBeat(run)
	if err != nil {
		return err
	}
	age := time.Since(last)
	if age >= 0 && age < hungAfter/2 {
		return g.owned(run)
	}
	g.note(fmt.Sprintf("process %s drives run %s and has not been heard of for a while; looking whether it hangs", g.owned(run).holder, run))
	wait := watchFor
	if left := hungAfter - max(age, 0); left > wait { // a clock that was set back: age says nothing
		wait = left
	}
	for until := time.Now().Add(wait); time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
		if !g.driven(run) {
			return nil
		}
		if now, err := g.lastBeat(run); err != nil || !now.Equal(last) {
			return errors.Join(err, g.owned(run))
		}
	}
	return g.killHung(run, last)
}

// killHung kills the holder of the run's lock unless it has beaten since last. Who
// takes the lock beats before it says its pid: a second process that comes here at
// the same time never kills the first.
func (g *globals) killHung(run string, last time.Time) error {
	holder := g.owned(run).holder
	pid, err := g.holderPID(run)
	if err != nil {
		return &hungError{run, holder, err}
	}
	if now, err := g.lastBeat(run); err != nil || !now.Equal(last) || pid == 0 {
		return err // somebody else was faster, or it has ended
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return &hungError{run, holder, err}
	}
	for until := time.Now().Add(2 * time.Second); g.driven(run); time.Sleep(10 * time.Millisecond) {
		if now, err := g.lastBeat(run); err == nil && !now.Equal(last) {
			break // and has the lock
		}
		if time.Now().After(until) {
			return &hungError{run, holder, errors.New("it was killed and is still there")}
		}
	}
	g.note(fmt.Sprintf("process %d drove run %s, had not moved since %s and was killed", pid, run, last.Format(time.TimeOnly)))
	return nil
}

func (g *globals) lastBeat(run string) (time.Time, error) {
	fi, err := os.Stat(g.lockPath(run))
	if err != nil {
		return time.Time{}, err
	}
	return fi.ModTime(), nil
}

// beat says that the holder of the lock is well.
func (l *runLock) beat() {
	now := time.Now()
	_ = os.Chtimes(l.file.Name(), now, now)
}

// The holder of a run's lock also holds a POSIX lock, of which the kernel tells
// whose it is: a number in a file could be anybody's by now. It is on a file of its
// own, because closing any descriptor of it gives it back.
func (g *globals) ownerPath(run string) string { return filepath.Join(g.Home, "runs", run, "owner") }

func claimOwner(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &l)
	for i := 0; i < 100 && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES)); i++ {
		time.Sleep(10 * time.Millisecond) // the kernel is still closing the files of one that was killed
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &l)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// holderPID is the process that holds the run's lock; 0: nobody does.
func (g *globals) holderPID(run string) (int, error) { return ownerOf(g.ownerPath(run)) }

// ownerOf is the process that holds the POSIX lock of a file; 0: nobody does. It must
// not be asked of a file that this process holds: that would give the lock back.
func ownerOf(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); err != nil {
		return 0, err
	}
	switch {
	case l.Type == unix.F_UNLCK:
		return 0, nil
	case l.Pid <= 0:
		return 0, errors.New("it can't be seen from here (another machine or container)")
	}
	return int(l.Pid), nil
}
