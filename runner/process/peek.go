package process

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wherry-ml/wherry/runner"
)

var _ runner.Peeker = (*Backend)(nil)

// Peek reads files where they lie, in what the pod has mounted or in directories of
// its own.
func (b *Backend) Peek(ctx context.Context, pod, _, path string, file func(string, io.Reader) error) error {
	at, err := b.peeked(pod, path)
	if err != nil {
		return err
	}
	return filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			if name != at && gone(err) { // it went while we looked
				return nil
			}
			return cmp.Or(err, ctx.Err())
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(name)
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		rel, err := filepath.Rel(at, name)
		if err != nil {
			return err
		}
		if rel == "." {
			rel = ""
		}
		return file(filepath.ToSlash(rel), f)
	})
}

// PeekAt looks at what lies at the path.
func (b *Backend) PeekAt(_ context.Context, pod, _, path string) (fs.FileInfo, error) {
	at, err := b.peeked(pod, path)
	if err != nil {
		return nil, err
	}
	return os.Stat(at)
}

// peeked is where a path of the pod lies, without links.
func (b *Backend) peeked(pod, path string) (string, error) {
	d := b.pod(pod)
	s, err := d.readSpec()
	if gone(err) {
		return "", fmt.Errorf("look at %s of pod %q: %w", path, pod, runner.ErrLost)
	}
	if err != nil {
		return "", err
	}
	real := ""
	if in, ok := s.locate(path); ok {
		rel, err := filepath.Rel(in.Path, path)
		if err != nil {
			return "", err
		}
		real = filepath.Join(in.Real, rel)
	} else if within(d.cwd(), path) || within(d.tmp(), path) {
		real = path
	} else {
		return "", unsupported("a look at "+path, "host processes have no file system of their own; it must lie in a mounted volume")
	}
	return filepath.EvalSymlinks(real)
}
