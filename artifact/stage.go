package artifact

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stage is a folder in artifacts/tmp in which one operation makes an object. Its
// lock says that the operation lives; the kernel drops it with the process.
type stage struct {
	*os.Root
	lock *os.File
	dir  string
}

// newStage makes a stage. The first one of a Store also removes what
// operations of dead processes left behind.
func (s *Store) newStage() (*stage, error) {
	s.sweepOnce.Do(s.sweep)
	for i := 0; ; i++ {
		dir := filepath.Join(s.tmp(), rand.Text())
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		st, err := lockStage(dir)
		if errors.Is(err, fs.ErrNotExist) && i < 100 {
			continue // swept by another process before it was locked
		}
		return st, err
	}
}

// Scratch is an empty folder for what one operation makes. What a process that died
// has left in its own is removed by the next.
func (s *Store) Scratch() (dir string, remove func(), err error) {
	st, err := s.newStage()
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", s.noSpace(err, "making a folder", 0))
	}
	return st.dir, st.close, nil
}

func lockStage(dir string) (*stage, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := flock(lock, unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir) // fs.ErrNotExist: swept between Mkdir and flock
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &stage{Root: root, lock: lock, dir: dir}, nil
}

func (st *stage) path(name string) string { return filepath.Join(st.dir, name) }

// close removes the stage and what was left in it.
func (st *stage) close() {
	st.Root.Close()
	os.RemoveAll(st.dir) // what can't be removed now is swept later
	st.lock.Close()
}

// sweep removes the stages of processes that died.
func (s *Store) sweep() {
	left, err := os.ReadDir(s.tmp())
	if err != nil {
		return
	}
	for _, d := range left {
		dir := filepath.Join(s.tmp(), d.Name())
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(dir)
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	return retry(func() error { return unix.Flock(int(f.Fd()), how) })
}

// mkdir makes a directory that everybody may enter, whatever the umask:
// containers run as any uid.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
