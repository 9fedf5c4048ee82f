package artifact

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// skipFunc reports whether a walk leaves an entry out; it may return an error
// that ends the walk, or fs.SkipDir for a folder that counts without what is in it.
// A kind of 0 is a special file.
type skipFunc func(rel string, st stat) (bool, error)

// walk lists what lies below root, sorted as in a manifest, with everything but
// the digests of files. It never follows a symbolic link. What vanishes in the
// meantime is left out.
func walk(ctx context.Context, root *os.Root, skip skipFunc) ([]entry, error) {
	var entries []entry
	var visit func(rel string) error
	visit = func(rel string) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		dir, err := openDir(root, rel)
		if err != nil {
			if rel != "." && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		names, err := dir.Readdirnames(-1)
		if err != nil {
			dir.Close()
			return err
		}
		slices.Sort(names)
		var below []string
		for _, name := range names {
			e := entry{path: path.Join(rel, name)}
			e.stat, err = statAt(dir, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				break
			}
			e.kind = e.stat.kind()
			out, stop := skip(e.path, e.stat)
			shallow := errors.Is(stop, fs.SkipDir)
			if stop != nil && !shallow {
				err = stop
				break
			}
			if out {
				continue
			}
			switch e.kind {
			case kindLink:
				if e.target, err = root.Readlink(e.path); errors.Is(err, fs.ErrNotExist) {
					err = nil
					continue
				}
			case kindDir:
				if !shallow {
					below = append(below, e.path)
				}
			}
			if err != nil {
				break
			}
			entries = append(entries, e)
		}
		dir.Close() // before going down: a deep tree must not run out of file descriptors
		if err != nil {
			return err
		}
		for _, b := range below {
			if err := visit(b); err != nil {
				return err
			}
		}
		return nil
	}
	if err := visit("."); err != nil {
		return nil, err
	}
	sortEntries(entries)
	return entries, nil
}

// noSpecial is the skipFunc of data: everything counts, and what is not a file,
// directory or symbolic link is an error.
func noSpecial(root *os.Root) skipFunc {
	return func(rel string, st stat) (bool, error) {
		if st.kind() == 0 {
			return false, &SpecialFileError{Path: path.Join(root.Name(), rel), Mode: st.mode}
		}
		return false, nil
	}
}

func openDir(root *os.Root, rel string) (*os.File, error) {
	return root.OpenFile(rel, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// openFile opens a regular file for reading, if it is still the one that was
// seen.
func openFile(root *os.Root, rel string, seen stat) (*os.File, error) {
	f, err := root.OpenFile(rel, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	now, err := statFile(f)
	if err == nil && !now.same(seen) {
		err = &ChangedError{path.Join(root.Name(), rel)}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
