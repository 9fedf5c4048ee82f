package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
)

// maxPeekLinks bounds the links that a path may be.
const maxPeekLinks = 10

// Peek copies what lies at the path through the engine's archive call: that works for
// an engine on any machine, and changes nothing in the container.
func (b *Backend) Peek(ctx context.Context, pod, name, at string, file func(string, io.Reader) error) error {
	e, id, err := b.peeked(ctx, pod, name)
	if err != nil {
		return err
	}
	for range maxPeekLinks {
		rc, stat, err := e.CopyFromContainer(ctx, id, at)
		if err != nil {
			return e.peekError(err, pod, at)
		}
		if stat.Mode.Type() == fs.ModeSymlink {
			rc.Close()
			at = linkTarget(at, stat)
			continue
		}
		err = peekArchive(rc, file)
		rc.Close()
		if err != nil {
			return fmt.Errorf("read %s of pod %s: %w", at, pod, err)
		}
		return nil
	}
	return fmt.Errorf("read %s of pod %s: too many links", at, pod)
}

// PeekAt asks the engine for no more than the archive call's first line.
func (b *Backend) PeekAt(ctx context.Context, pod, name, at string) (fs.FileInfo, error) {
	e, id, err := b.peeked(ctx, pod, name)
	if err != nil {
		return nil, err
	}
	for range maxPeekLinks {
		stat, err := e.ContainerStatPath(ctx, id, at)
		if err != nil {
			return nil, e.peekError(err, pod, at)
		}
		if stat.Mode.Type() != fs.ModeSymlink {
			return pathInfo{stat}, nil
		}
		at = linkTarget(at, stat)
	}
	return nil, fmt.Errorf("look at %s of pod %s: too many links", at, pod)
}

// peeked returns the id of a pod's container: mostly its name, without a question to
// the engine.
func (b *Backend) peeked(ctx context.Context, pod, name string) (*engine, string, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return nil, "", err
	}
	b.mu.Lock()
	s := b.pods[pod]
	multi := s != nil && s.multi
	single := s != nil && s.container != "" && !s.multi
	b.mu.Unlock()
	switch {
	case single:
		return e, pod, nil
	case multi && name != "":
		return e, pod + "-" + name, nil
	}
	u, err := b.findUnit(ctx, e, pod, name)
	return e, u.id, err
}

func (e *engine) peekError(err error, pod, at string) error {
	if isNotFound(err) {
		if strings.Contains(err.Error(), "No such container") {
			return fmt.Errorf("look at %s of pod %s: %w", at, pod, runner.ErrLost)
		}
		return fmt.Errorf("look at %s of pod %s: %w", at, pod, fs.ErrNotExist)
	}
	return e.failed(err, "look at %s of pod %s", at, pod)
}

// linkTarget is where a link leads. The engine resolves it within the container.
func linkTarget(at string, stat container.PathStat) string {
	if path.IsAbs(stat.LinkTarget) {
		return path.Clean(stat.LinkTarget)
	}
	return path.Join(path.Dir(at), stat.LinkTarget)
}

// peekArchive hands over the plain files of an archive of one path. A file that has
// grown meanwhile is there with the size that it had; of one that shrank the rest of
// the archive can't be read, which is an error.
func peekArchive(r io.Reader, file func(string, io.Reader) error) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := under("", h.Name)
		if err := file(name, tr); err != nil {
			return err
		}
	}
}

// pathInfo is the engine's answer as a fs.FileInfo.
type pathInfo struct{ stat container.PathStat }

func (p pathInfo) Name() string       { return p.stat.Name }
func (p pathInfo) Size() int64        { return p.stat.Size }
func (p pathInfo) Mode() fs.FileMode  { return p.stat.Mode }
func (p pathInfo) ModTime() time.Time { return p.stat.Mtime }
func (p pathInfo) IsDir() bool        { return p.stat.Mode.IsDir() }
func (p pathInfo) Sys() any           { return nil }
