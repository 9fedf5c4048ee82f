package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// copyTree copies the directory src into the directory dst, sharing blocks
// where the file system can. What it makes can be written by any uid. It is
// never a hard link, so that a write can't reach src.
func copyTree(src, dst string) error {
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	return filepath.WalkDir(src, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, file)
		if err != nil || rel == "." && d.IsDir() {
			return err
		}
		if rel == "." { // src is a file
			rel = filepath.Base(src)
		}
		return copyEntry(root, file, rel, d)
	})
}

func copyEntry(root *os.Root, file, rel string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		if err := root.Mkdir(rel, 0o777); err != nil && !os.IsExist(err) {
			return err
		}
		return root.Chmod(rel, 0o777)
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		root.Remove(rel)
		return root.Symlink(target, rel)
	case d.Type().IsRegular():
		return copyFile(root, file, rel)
	}
	return nil // sockets, pipes and devices have no content
}

func copyFile(root *os.Root, file, rel string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	root.Remove(rel)
	out, err := root.OpenFile(rel, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer out.Close()
	if !reflink(out, in) {
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	if err := out.Chmod(openMode(fi.Mode())); err != nil {
		return err
	}
	return out.Close()
}

// openMode lets any uid read and write, and run what could be run.
func openMode(m fs.FileMode) fs.FileMode {
	if m.IsDir() || m&0o111 != 0 {
		return 0o777
	}
	return 0o666
}

// put brings copies into a container that has not started.
func (e *engine) put(ctx context.Context, id string, copies []fill) error {
	if len(copies) == 0 {
		return nil
	}
	return e.putArchive(ctx, id, func(w *tar.Writer) error {
		for _, c := range copies {
			if err := writeFill(w, c); err != nil {
				return fmt.Errorf("copy %s: %w", c.src, err)
			}
		}
		return nil
	})
}

// putArchive extracts at the container's root what write writes.
func (e *engine) putArchive(ctx context.Context, id string, write func(*tar.Writer) error) error {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		tw := tar.NewWriter(w)
		err := write(tw)
		if err == nil {
			err = tw.Close()
		}
		w.CloseWithError(err)
		done <- err
	}()
	err := e.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{})
	r.CloseWithError(io.ErrClosedPipe)
	if werr := <-done; werr != nil && werr != io.ErrClosedPipe {
		return werr
	}
	return e.failed(err, "copy files into the container")
}

func writeFill(w *tar.Writer, c fill) error {
	base := strings.TrimPrefix(path.Clean(c.dst), "/")
	switch {
	case c.files != nil:
		return writeFiles(w, base, c.files)
	case c.link != "":
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: base, Linkname: c.link, Mode: 0o777})
	case c.src == "":
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: base + "/", Mode: 0o777})
	}
	return filepath.WalkDir(c.src, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(c.src, file)
		if err != nil {
			return err
		}
		return writeEntry(w, file, path.Join(base, filepath.ToSlash(rel)), c.open)
	})
}

func writeEntry(w *tar.Writer, file, name string, open bool) error {
	fi, err := os.Lstat(file)
	if err != nil {
		return err
	}
	link := ""
	switch {
	case fi.Mode().Type() == fs.ModeSymlink:
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	case !fi.IsDir() && !fi.Mode().IsRegular():
		return nil
	}
	h, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if fi.IsDir() {
		h.Name += "/"
	}
	if open && link == "" {
		h.Mode = int64(openMode(fi.Mode()))
	}
	if err := w.WriteHeader(h); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.CopyN(w, in, fi.Size())
	return err
}
