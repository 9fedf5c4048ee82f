package artifact

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Hold says that this process is at work with the store, until Close or its end:
// what it brings in or finds here from now on is safe from the Discard of another
// process, though nothing on record refers to it yet. It can be repeated.
//
// The hold is a locked folder in artifacts/tmp with an empty file for each such
// object: no clock decides what is young.
func (s *Store) Hold() error {
	s.holding.Lock()
	defer s.holding.Unlock()
	if s.hold != nil {
		return nil
	}
	st, err := s.newStage()
	if err != nil {
		return s.noSpace(err, "opening the artifact store", 0)
	}
	s.hold = st
	return nil
}

// Close ends the hold. What this process has put on record stays safe.
func (s *Store) Close() error {
	s.holding.Lock()
	defer s.holding.Unlock()
	if s.hold != nil {
		s.hold.close()
		s.hold = nil
	}
	return nil
}

// pin keeps the object of d from a Discard, before its caller looks whether it is
// there: it then finds it gone, or it stays.
func (s *Store) pin(d sum) error {
	s.holding.Lock()
	defer s.holding.Unlock()
	if s.hold == nil {
		return nil
	}
	unlock, err := s.lockObjects(unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := s.hold.OpenFile(d.hex(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// lockObjects is held shared for a pin, and alone while an object is taken away.
func (s *Store) lockObjects(how int) (unlock func(), err error) {
	f, err := os.Open(s.objects())
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: s.objects(), Err: err}
	}
	return func() { f.Close() }, nil
}

// pinned reports whether a live process holds the object of d.
func (s *Store) pinned(d sum) (bool, error) {
	stages, err := os.ReadDir(s.tmp())
	if err != nil {
		return false, err
	}
	for _, dir := range stages {
		at := filepath.Join(s.tmp(), dir.Name())
		if _, err := os.Lstat(filepath.Join(at, d.hex())); err != nil {
			continue
		}
		if free, err := unheld(at); err != nil || !free {
			return err == nil, err
		}
	}
	return false, nil
}

// InUse reports whether another process is at work with the store.
func (s *Store) InUse() (bool, error) {
	s.holding.Lock()
	defer s.holding.Unlock()
	stages, err := os.ReadDir(s.tmp())
	if err != nil {
		return false, err
	}
	for _, dir := range stages {
		if s.hold != nil && dir.Name() == filepath.Base(s.hold.dir) {
			continue
		}
		if free, err := unheld(filepath.Join(s.tmp(), dir.Name())); err != nil || !free {
			return err == nil, err
		}
	}
	return false, nil
}

// unheld reports whether the process that made a stage is gone. A stage that is
// gone itself is no longer held.
func unheld(dir string) (bool, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
