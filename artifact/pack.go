package artifact

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
)

// maxLink is how long the target of a symbolic link in a packed folder may be.
const maxLink = 4096

// Pack writes what lies below root as a tar. It depends on names, contents,
// executable bits and link targets and nothing else, as a digest does.
func Pack(ctx context.Context, root *os.Root, w io.Writer) error {
	entries, err := walk(ctx, root, noSpecial(root))
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for i := range entries {
		if err := packEntry(ctx, root, &entries[i], t); err != nil {
			return err
		}
	}
	return t.Close()
}

func packEntry(ctx context.Context, root *os.Root, e *entry, t *tar.Writer) error {
	h := &tar.Header{Name: e.path, Format: tar.FormatPAX}
	switch e.kind {
	case kindDir:
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, e.path+"/", 0o755
	case kindLink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.target, 0o777
	case kindExec:
		h.Typeflag, h.Size, h.Mode = tar.TypeReg, e.stat.size, 0o755
	default:
		h.Typeflag, h.Size, h.Mode = tar.TypeReg, e.stat.size, 0o644
	}
	if err := t.WriteHeader(h); err != nil || !e.isFile() {
		return err
	}
	f, err := openFile(root, e.path, e.stat)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := pour(ctx, t, io.LimitReader(f, e.stat.size))
	if err != nil {
		return err
	}
	return unchanged(f, e.stat, n, path.Join(root.Name(), e.path))
}

// Unpack makes what Pack has written, below the empty folder root. Nothing is made
// outside of it: names lead down, folders come before what they hold, and nothing is
// written through a link. With local, links that lead out are refused too.
func Unpack(ctx context.Context, root *os.Root, r io.Reader, local bool) error {
	dirs := map[string]bool{".": true}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(name) || name == "." || !dirs[path.Dir(name)] {
			return fmt.Errorf("%q has no place in a folder", h.Name)
		}
		if err := unpackEntry(ctx, root, name, h, t, local); err != nil {
			return err
		}
		dirs[name] = h.Typeflag == tar.TypeDir
	}
}

func unpackEntry(ctx context.Context, root *os.Root, name string, h *tar.Header, r io.Reader, local bool) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(name, 0o755)
	case tar.TypeSymlink:
		out := filepath.IsAbs(h.Linkname) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), h.Linkname))
		if len(h.Linkname) > maxLink || local && out {
			return &EscapeError{Path: name, Target: h.Linkname}
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
	default:
		return fmt.Errorf("%q is neither a file nor a folder", h.Name)
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := pour(ctx, f, r); err != nil {
		return err
	}
	return f.Close()
}
