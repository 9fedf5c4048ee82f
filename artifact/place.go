package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// modeOf is the mode of a stored file.
func modeOf(kind byte) fs.FileMode {
	if kind == kindExec {
		return 0o555
	}
	return 0o444
}

// placeFunc puts the file e into the directory dst under name.
type placeFunc func(ctx context.Context, e *entry, dst *os.File, name string) error

// build makes the directory name in st from entries, its files by place.
func build(ctx context.Context, st *stage, name string, entries []entry, place placeFunc) error {
	if err := mkdir(st.path(name)); err != nil {
		return err
	}
	files := map[string][]*entry{}
	for i := range entries {
		e := &entries[i]
		at := filepath.Join(name, e.path)
		var err error
		switch e.kind {
		case kindDir:
			if err = st.Mkdir(at, 0o755); err == nil {
				err = st.Chmod(at, 0o755)
			}
		case kindLink:
			err = st.Symlink(e.target, at)
		default:
			dir := path.Dir(e.path)
			files[dir] = append(files[dir], e)
		}
		if err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for dir, all := range files {
		for len(all) > 0 {
			some := all[:min(len(all), 256)]
			all = all[len(some):]
			g.Go(func() error { return placeAll(ctx, st, filepath.Join(name, dir), some, place) })
		}
	}
	return g.Wait()
}

func placeAll(ctx context.Context, st *stage, dir string, files []*entry, place placeFunc) error {
	dst, err := openDir(st.Root, dir)
	if err != nil {
		return err
	}
	defer dst.Close()
	for _, e := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := place(ctx, e, dst, path.Base(e.path)); err != nil {
			return err
		}
	}
	return nil
}

// placeOriginal links a file below root into dst, or copies it where it can't
// be linked or where somebody else could still write to it.
func (s *Store) placeOriginal(root *os.Root) placeFunc {
	return func(ctx context.Context, e *entry, dst *os.File, name string) error {
		// A file of another owner can't be made read-only; one that has other names
		// could be written to through them.
		if e.stat.nlink == 1 && (s.uid == 0 || e.stat.uid == s.uid) {
			if done, err := s.linkOriginal(root, e, dst, name); done || err != nil {
				return err
			}
		}
		return placeCopy(root)(ctx, e, dst, name)
	}
}

func (s *Store) linkOriginal(root *os.Root, e *entry, dst *os.File, name string) (bool, error) {
	src, err := openDir(root, path.Dir(e.path))
	if err != nil {
		return false, err
	}
	defer src.Close()
	if err := s.link(src, path.Base(e.path), dst, name); err != nil {
		return false, ignore(err, unix.EXDEV, unix.EPERM, unix.EACCES, unix.EMLINK, unix.ENOTSUP, unix.ENOSYS)
	}
	now, err := statAt(dst, name)
	if err != nil {
		return false, err
	}
	if !now.same(e.stat) || !now.mode.IsRegular() {
		return false, &ChangedError{path.Join(root.Name(), e.path)}
	}
	if now.uid != s.uid {
		if err := unix.Fchownat(int(dst.Fd()), name, int(s.uid), -1, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return false, &fs.PathError{Op: "chown", Path: path.Join(root.Name(), e.path), Err: err}
		}
	}
	if want := modeOf(e.kind); now.mode.Perm() != want {
		if err := unix.Fchmodat(int(dst.Fd()), name, uint32(want), 0); err != nil {
			return false, &fs.PathError{Op: "chmod", Path: path.Join(root.Name(), e.path), Err: err}
		}
	}
	return true, nil
}

// ignore returns nil where err is one of these.
func ignore(err error, these ...error) error {
	for _, e := range these {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// copyFile copies the file e below root into dst, sharing blocks where the file
// system can, and returns the digest of the copy.
func copyFile(ctx context.Context, root *os.Root, e *entry, dst *os.File, name string) (sum, error) {
	src, err := openFile(root, e.path, e.stat)
	if err != nil {
		return sum{}, err
	}
	defer src.Close()
	out, err := create(dst, name)
	if err != nil {
		return sum{}, err
	}
	defer out.Close()
	h := sha256.New()
	var n int64
	if e.stat.size > 0 && reflink(out, src) {
		n, err = drink(ctx, h, nil, out, e.stat.size) // what was cloned, whatever happens to src
	} else {
		n, err = drink(ctx, h, out, src, e.stat.size)
	}
	if err == nil {
		err = unchanged(src, e.stat, n, path.Join(root.Name(), e.path))
	}
	if err == nil {
		err = out.Chmod(modeOf(e.kind))
	}
	if err == nil {
		err = out.Close()
	}
	return sum(h.Sum(nil)), err
}

// create makes a new file in dir and never follows a symbolic link.
func create(dir *os.File, name string) (*os.File, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(int(dir.Fd()), name, flags, 0o600)
		return err
	})
	full := filepath.Join(dir.Name(), name)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: full, Err: err}
	}
	return os.NewFile(uintptr(fd), full), nil
}
