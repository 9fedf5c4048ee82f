package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
// with its holder.
type runLock struct{ file *os.File }

// ownedError says that another process drives the run.
type ownedError struct{ run, holder string }

func (e *ownedError) Error() string {
	return fmt.Sprintf("run %s is driven by process %s", e.run, e.holder)
}

// Hint says what to do next.
func (e *ownedError) Hint() string {
	return fmt.Sprintf("wherry logs -f %s follows it, wherry cancel %s ends it", e.run, e.run)
}

func (g *globals) lockPath(run string) string {
	return filepath.Join(g.Home, "runs", run, "lock")
}

// lockRun takes the lock of a run, or says who has it.
func (g *globals) lockRun(run string) (*runLock, error) {
	path := g.lockPath(run)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for range 10 { // who only looks whether it is held holds it for an instant
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder, _ := os.ReadFile(path)
			return nil, &ownedError{run: run, holder: strings.TrimSpace(string(holder))}
		}
		return nil, fmt.Errorf("lock run %s: %w", run, err)
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	return &runLock{file: f}, nil
}

// Close gives the lock back.
func (l *runLock) Close() error { return l.file.Close() }

// driven reports whether a process drives the run.
func (g *globals) driven(run string) bool {
	f, err := os.Open(g.lockPath(run))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}
