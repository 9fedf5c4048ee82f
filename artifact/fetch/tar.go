package fetch

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// untar unpacks what lies below the folder prefix of an archive into the directory,
// and reports whether there was anything. Names and links in it are not ours: they
// are opened below j.dir only. Owners, times and devices are left out.
func (j *job) untar(ctx context.Context, r io.Reader, prefix string) (found bool, err error) {
	links := map[string]string{} // hard links, to what may come later
	t := tar.NewReader(r)
	for {
		if ctx.Err() != nil {
			return found, context.Cause(ctx)
		}
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return found, err
		}
		rel, ok := underPrefix(h.Name, prefix)
		if !ok {
			continue
		}
		if rel == "." {
			if h.Typeflag != tar.TypeDir {
				return found, j.failed("/"+prefix+" in it is not a folder", "put the model's files themselves there", nil)
			}
			continue
		}
		found = true
		if h.Typeflag == tar.TypeLink {
			if links[rel], ok = underPrefix(h.Linkname, prefix); !ok {
				return found, j.failed(fmt.Sprintf("%q in it is the same file as %q outside of /%s", h.Name, h.Linkname, prefix), "copy the file there", nil)
			}
			continue
		}
		if err := j.untarEntry(t, h, rel); err != nil {
			return found, err
		}
	}
	return found, j.hardLinks(links)
}

// underPrefix returns where below prefix a name in an archive lies.
func underPrefix(name, prefix string) (string, bool) {
	clean := path.Clean("/" + name)
	if prefix == "" {
		return strings.TrimPrefix(clean, "/"), clean != "/"
	}
	if clean == "/"+prefix {
		return ".", true
	}
	return strings.CutPrefix(clean, "/"+prefix+"/")
}

func (j *job) untarEntry(r io.Reader, h *tar.Header, rel string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		err := j.dir.MkdirAll(path.Join(j.name, rel), 0o755)
		return err
	case tar.TypeSymlink:
		at, err := j.place(rel)
		if err != nil {
			return err
		}
		return j.dir.Symlink(h.Linkname, at)
	case tar.TypeReg:
		mode := os.FileMode(0o644)
		if h.FileInfo().Mode()&0o100 != 0 {
			mode = 0o755
		}
		return j.write(rel, r, mode)
	}
	return nil // sockets, pipes and devices have no content
}

// hardLinks makes links among the files that were unpacked; of links to links the
// last is made first.
func (j *job) hardLinks(links map[string]string) error {
	for len(links) > 0 {
		before := len(links)
		for rel, to := range links {
			at, err := j.place(rel)
			if err != nil {
				return err
			}
			err = j.dir.Link(path.Join(j.name, to), at)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			delete(links, rel)
		}
		if len(links) == before {
			return j.failed("it has a link to a file that is not in it", "make it anew", nil)
		}
	}
	return nil
}

// write writes one file below the directory.
func (j *job) write(rel string, r io.Reader, mode os.FileMode) error {
	at, err := j.place(rel)
	if err != nil {
		return err
	}
	out, err := j.dir.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, r); err != nil {
		return fmt.Errorf("%s: %w", path.Base(rel), err)
	}
	return out.Close()
}
