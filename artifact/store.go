package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filetree"
)

// Store keeps files and directories by the digest of their content. All methods
// are safe for concurrent use, by several processes too, and can be repeated by
// a caller that crashed.
//
// Stored files are mode 0444, in directories 0555 where they were executable;
// directories are 0755, so that their owner can delete everything.
type Store struct {
	home      string // absolute
	uid       uint32
	sweepOnce sync.Once

	listed   sync.Mutex
	listings map[string]*listing // by digest

	holding sync.Mutex
	hold    *stage // see Hold; may be nil

	at   func(point string)                                                   // called at points where tests crash; may be nil
	link func(srcDir *os.File, src string, dstDir *os.File, dst string) error // linkat
}

// Open returns the store below home, making its directories if need be.
func Open(home string) (*Store, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	s := &Store{home: home, uid: uint32(os.Geteuid()), link: linkat}
	for _, dir := range []string{s.objects(), s.blobs(), s.tmp(), s.snapshots()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("open artifact store: %w", s.noSpace(err, "making "+dir, 0))
		}
	}
	return s, nil
}

func (s *Store) objects() string   { return filepath.Join(s.home, "artifacts", "sha256") }
func (s *Store) blobs() string     { return filepath.Join(s.home, "artifacts", "blobs") }
func (s *Store) tmp() string       { return filepath.Join(s.home, "artifacts", "tmp") }
func (s *Store) snapshots() string { return filepath.Join(s.home, "snapshots") }

func (s *Store) objectPath(d sum) string {
	h := d.hex()
	return filepath.Join(s.objects(), h[:2], h)
}

func (s *Store) reached(point string) {
	if s.at != nil {
		s.at(point)
	}
}

// Path returns the file or directory of digest; fs.ErrNotExist when the store
// has none, a *DigestError when digest is not one.
func (s *Store) Path(digest string) (string, error) {
	d, err := parseDigest(digest)
	if err != nil {
		return "", err
	}
	p := s.objectPath(d)
	if _, err := os.Lstat(p); err != nil {
		return "", fmt.Errorf("artifact %s: %w", digest, err)
	}
	return p, nil
}

// Remove deletes the object of digest. One that is gone is no error. What a
// running container has mounted stays readable there until it ends.
func (s *Store) Remove(digest string) error {
	p, err := s.Path(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := s.newStage()
	if err != nil {
		return fmt.Errorf("remove artifact %s: %w", digest, err)
	}
	defer st.close()
	if d, err := parseDigest(digest); err == nil {
		os.Remove(s.sealPath(d))
	}
	if err := os.Rename(p, st.path("removed")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove artifact %s: %w", digest, err)
	}
	if err := os.RemoveAll(st.path("removed")); err != nil {
		return fmt.Errorf("remove artifact %s: %w", digest, err)
	}
	return filetree.SyncDir(filepath.Dir(p))
}

// Link leaves a relative symbolic link to the object of digest at the path at,
// in one step, so that what was there is replaced: a file or a link anywhere, a
// directory only below the store's home.
func (s *Store) Link(digest, at string) error {
	p, err := s.Path(digest)
	if err != nil {
		return err
	}
	if err := s.linkTo(p, at); err != nil {
		err = s.noSpace(err, "linking "+at, 0)
		return fmt.Errorf("link artifact %s: %w", digest, err)
	}
	return nil
}

func (s *Store) linkTo(object, at string) error {
	// The kernel resolves ".." physically, so both ends must be physical.
	parent, err := filepath.Abs(filepath.Dir(at))
	if err != nil {
		return err
	}
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return err
	}
	if object, err = filepath.EvalSymlinks(object); err != nil {
		return err
	}
	home, err := filepath.EvalSymlinks(s.home)
	if err != nil {
		return err
	}
	target, err := filepath.Rel(parent, object)
	if err != nil {
		return err
	}
	at = filepath.Join(parent, filepath.Base(at))
	if store := filepath.Join(home, "artifacts"); within(at, store) || within(store, at) {
		return fmt.Errorf("%s is a part of the store", at)
	}
	old, err := os.Lstat(at)
	if err == nil && old.Mode()&fs.ModeSymlink != 0 {
		if now, err := os.Readlink(at); err == nil && now == target {
			return nil
		}
	}
	isDir := err == nil && old.IsDir()
	if isDir && !within(at, home) {
		return fmt.Errorf("%s is a directory outside %s", at, s.home)
	}
	st, err := s.newStage()
	if err != nil {
		return err
	}
	defer st.close()
	if !isDir {
		return replaceByLink(target, at, st)
	}
	return replaceDirByLink(target, at, st)
}

func replaceByLink(target, at string, st *stage) error {
	if err := st.Symlink(target, "link"); err != nil {
		return err
	}
	err := os.Rename(st.path("link"), at)
	if errors.Is(err, unix.EXDEV) {
		tmp := at + "." + filepath.Base(st.dir) // unique, beside at
		if err = os.Symlink(target, tmp); err != nil {
			return err
		}
		if err = os.Rename(tmp, at); err != nil {
			os.Remove(tmp)
		}
	}
	if err != nil {
		return err
	}
	return filetree.SyncDir(filepath.Dir(at))
}

func replaceDirByLink(target, at string, st *stage) error {
	if err := st.Symlink(target, "link"); err != nil {
		return err
	}
	if !exchange(st.path("link"), at) {
		if err := os.Rename(at, st.path("old")); err != nil {
			return err
		}
		if err := os.Rename(st.path("link"), at); err != nil {
			return errors.Join(err, os.Rename(st.path("old"), at))
		}
	}
	return filetree.SyncDir(filepath.Dir(at))
}

// within reports whether path is dir or lies below it; both are clean and
// absolute.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func linkat(srcDir *os.File, src string, dstDir *os.File, dst string) error {
	return retry(func() error {
		return unix.Linkat(int(srcDir.Fd()), src, int(dstDir.Fd()), dst, 0)
	})
}
