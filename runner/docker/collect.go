package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/mount"

	"github.com/wherry-ml/wherry/runner"
)

// Collect hands over the logs, in one call for each container, and then outputs:
// where they lie, in scratch directories of this machine, else as copies that the
// engine's archive call brings.
func (b *Backend) Collect(ctx context.Context, pod runner.Pod, to runner.Sink) (runner.Exit, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return runner.Exit{}, err
	}
	exit, err := b.exitOf(ctx, e, pod.Name)
	if err != nil {
		return exit, err
	}
	for line, err := range b.Logs(ctx, pod.Name, runner.LogOptions{}) {
		if err != nil {
			return exit, err
		}
		if err := to.Line(line); err != nil {
			return exit, err
		}
	}
	for i, o := range pod.Outputs {
		if err := b.collectOutput(ctx, e, pod, i, o, to); err != nil {
			return exit, fmt.Errorf("output %q of pod %s: %w", o.Name, pod.Name, err)
		}
	}
	return exit, nil
}

func (b *Backend) collectOutput(ctx context.Context, e *engine, pod runner.Pod, i int, o runner.Output, to runner.Sink) error {
	from, at := outputPlace(pod, o)
	vol, rel := volumeIndex(pod, at.Volume), inVolume(at, o.Path)
	pl := b.planner(pod, b.fileMode(e))
	if vol >= 0 && pl.mode.own {
		if _, err := os.Stat(pl.scratchDir(vol)); err == nil { // else another process's mode made it
			return handOver(pl.scratchDir(vol), rel, at, o, to)
		}
	}
	id := pod.Name
	if len(pod.Containers) > 1 {
		id += "-" + from.Name
	}
	dst := filepath.Join(b.workDir(pod.Name), "outputs", strconv.Itoa(i))
	found, err := b.fetch(ctx, e, id, o, from, dst)
	if err != nil || !found {
		return err
	}
	return to.Output(o.Name, dst)
}

// outputPlace says which container sees an output, and in which mount of a
// scratch volume it lies, if any.
func outputPlace(pod runner.Pod, o runner.Output) (from runner.Container, at runner.Mount) {
	p := o.Path
	if i := slices.IndexFunc(pod.Containers, func(c runner.Container) bool { return c.Name == o.Container }); i >= 0 {
		if m, ok := scratchMount(pod, pod.Containers[i], p); ok {
			at = m
		}
		return pod.Containers[i], at
	}
	for _, role := range []runner.Role{runner.Main, runner.Init, runner.Sidecar} {
		for _, c := range pod.Containers {
			if c.Role != role {
				continue
			}
			if m, ok := scratchMount(pod, c, p); ok {
				return c, m
			}
		}
	}
	return firstMain(pod), runner.Mount{}
}

// inVolume is where in its volume a path below a mount lies.
func inVolume(m runner.Mount, p string) string {
	return path.Join(".", m.SubPath, strings.TrimPrefix(strings.TrimPrefix(path.Clean(p), path.Clean(m.Path)), "/"))
}

func volumeIndex(pod runner.Pod, name string) int {
	for i, v := range pod.Volumes {
		if v.Name == name {
			return i
		}
	}
	return -1
}

// scratchMount finds the innermost mount of c that p lies in, if it is scratch.
func scratchMount(pod runner.Pod, c runner.Container, p string) (best runner.Mount, ok bool) {
	for _, m := range c.Mounts {
		if inside(m.Path, p) && len(m.Path) >= len(best.Path) {
			best, ok = m, true
		}
	}
	i := volumeIndex(pod, best.Volume)
	return best, ok && i >= 0 && pod.Volumes[i].Scratch
}

// handOver hands over what lies at rel in a scratch directory. A container may
// have put a symbolic link anywhere, so nothing is followed out of it.
func handOver(dir, rel string, at runner.Mount, o runner.Output, to runner.Sink) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	real, err := resolve(root, rel, at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &runner.OutputError{Name: o.Name, Path: o.Path, Err: err}
	}
	if err := own(root, real); err != nil {
		return err
	}
	return to.Output(o.Name, filepath.Join(dir, real))
}

// resolve follows the symbolic links in rel that stay in root, which a container
// saw at the given mount, and returns a path without any.
func resolve(root *os.Root, rel string, at runner.Mount) (string, error) {
	done, rest := ".", strings.Split(path.Clean(rel), "/")
	for links := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		if !filepath.IsLocal(next) {
			return "", errors.New("it is a symbolic link that leaves its volume")
		}
		fi, err := root.Lstat(next)
		if err != nil {
			return "", err
		}
		if fi.Mode().Type() != fs.ModeSymlink {
			done = next
			continue
		}
		target, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) && inside(at.Path, target) {
			done, target = ".", inVolume(at, target)
		}
		if path.IsAbs(target) {
			return "", fmt.Errorf("it is a symbolic link to %s, which is outside of its volume", target)
		}
		if links++; links > 40 {
			return "", errors.New("too many symbolic links")
		}
		rest = append(strings.Split(path.Clean(target), "/"), rest...)
	}
	return done, nil
}

// own makes what containers of any uid left belong to us, where we are root:
// so that the store's files have one owner.
func own(root *os.Root, rel string) error {
	uid, gid := os.Geteuid(), os.Getegid()
	if uid != 0 {
		return nil
	}
	return fs.WalkDir(root.FS(), rel, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil || ownedBy(fi, uid, gid) {
			return err
		}
		return root.Lchown(p, uid, gid)
	})
}

// fetch brings a file or directory out of a container to dst on this machine.
func (b *Backend) fetch(ctx context.Context, e *engine, id string, o runner.Output, c runner.Container, dst string) (bool, error) {
	from := path.Clean(o.Path)
	for links := 0; ; links++ {
		rc, stat, err := e.CopyFromContainer(ctx, id, from)
		if isNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, e.failed(err, "copy %s from the container", from)
		}
		if stat.Mode.Type() != fs.ModeSymlink {
			err = unpack(rc, dst)
			return err == nil, errors.Join(err, rc.Close())
		}
		rc.Close()
		scope, _ := coveringMount(c, from)
		if scope == "" || !inside(scope, stat.LinkTarget) || links > 40 {
			return false, &runner.OutputError{Name: o.Name, Path: o.Path,
				Err: fmt.Errorf("it is a symbolic link to %s, which is outside of its volume", stat.LinkTarget)}
		}
		from = path.Clean(stat.LinkTarget)
	}
}

// coveringMount is the path of the innermost mount of c that p lies in.
func coveringMount(c runner.Container, p string) (string, bool) {
	var ms []mount.Mount
	for _, m := range c.Mounts {
		ms = append(ms, mount.Mount{Target: m.Path})
	}
	m, ok := covering(ms, p)
	return m.Target, ok
}

// unpack extracts what the engine's archive call sends for one path: the file
// or directory at dst, replacing what an earlier try left there. Nothing is
// written outside of it, whatever the names in the archive are.
func unpack(r io.Reader, dst string) error {
	dir := filepath.Dir(dst)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dst); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = unpackEntry(root, tr, h, filepath.Base(dst))
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}

// under replaces the first part of an archive's name.
func under(base, name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	return path.Join(base, rest)
}

func unpackEntry(root *os.Root, r io.Reader, h *tar.Header, base string) error {
	name := under(base, h.Name)
	mode := h.FileInfo().Mode().Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, mode|0o700) // we must be able to delete what is in it
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(under(base, h.Linkname), name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Chmod(mode|0o600), f.Close())
	}
	return nil // sockets, pipes and devices have no content
}
