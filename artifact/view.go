package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrNoView says that opens can't be watched here, for want of a kernel that
// tells of them or of its resources.
var ErrNoView = errors.New("opens can't be watched here")

// maxView is how many entries a directory may have to be watched: each step has a
// tree of links of its own.
const maxView = 100_000

// View makes a tree of links to a stored directory at the path at, which must
// not exist, for one reader alone, and watches which files are opened there
// until Opened is called. The tree stays until its maker deletes it. ErrNoView
// where that can't be.
func (s *Store) View(ctx context.Context, digest, at string) (*View, error) {
	src, err := s.Path(digest)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(src)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is a file, not a directory", ErrNoView, digest)
	}
	entries, err := s.entriesOf(ctx, digest)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxView {
		return nil, fmt.Errorf("%w: it has %d entries", ErrNoView, len(entries))
	}
	dirs, err := makeDirs(at, entries)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", at, s.noSpace(err, "making "+at, 0))
	}
	v, err := watchOpens(at, dirs) // first: where there are too few watches no file is linked
	if err != nil {
		return nil, err
	}
	if err := linkFiles(ctx, src, at, entries); err != nil {
		v.Opened()
		return nil, fmt.Errorf("make %s: %w", at, s.noSpace(err, "making "+at, 0))
	}
	return v, nil
}

// makeDirs makes at and the directories in it, and returns these.
func makeDirs(at string, entries []entry) ([]string, error) {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(at, 0o755); err != nil {
		return nil, err
	}
	dirs := []string{"."}
	for i := range entries {
		if entries[i].kind != kindDir {
			continue
		}
		if err := os.Mkdir(filepath.Join(at, filepath.FromSlash(entries[i].path)), 0o755); err != nil {
			return nil, err
		}
		dirs = append(dirs, entries[i].path)
	}
	return dirs, nil
}

// linkFiles makes links to files, and symbolic links. A file that has to be copied
// counts as opened.
func linkFiles(ctx context.Context, src, at string, entries []entry) error {
	for i := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := &entries[i]
		to := filepath.Join(at, filepath.FromSlash(e.path))
		var err error
		switch e.kind {
		case kindDir:
		case kindLink:
			err = os.Symlink(e.target, to)
		default:
			err = linkOrCopy(filepath.Join(src, filepath.FromSlash(e.path)), to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// linkOrCopy links, or copies where a file has as many links as it can have.
func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, unix.EMLINK) {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm()|fs.FileMode(0o200))
}
