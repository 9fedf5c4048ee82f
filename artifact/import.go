package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/wherry-ml/wherry/artifact/fetch"
	"github.com/wherry-ml/wherry/redact"
)

// Import stores a copy of what uri names, a file or a directory, and returns its
// digest and the bytes of its files. It reads file:// URIs and paths, relative
// ones from the working directory; others are an *UnsupportedSchemeError.
// Symbolic links inside a directory are kept as links. Files that have not changed since
// the last import, by size, times and inode, are not read.
func (s *Store) Import(ctx context.Context, uri string) (digest string, size int64, err error) {
	name, err := localPath(uri)
	if err != nil {
		return "", 0, err
	}
	d, size, err := s.importPath(ctx, name)
	if err != nil {
		return "", 0, fmt.Errorf("import %s: %w", name, err)
	}
	return d.String(), size, nil
}

func (s *Store) importPath(ctx context.Context, name string) (sum, int64, error) {
	if d, size, ok := s.own(ctx, name); ok {
		return d, size, nil
	}
	name, err := filepath.EvalSymlinks(name) // the person named it
	if err != nil {
		return sum{}, 0, err
	}
	o, err := s.importOnce(ctx, name, s.recall(name))
	if _, ok := errors.AsType[*ChangedError](err); ok { // what is remembered may be wrong
		o, err = s.importOnce(ctx, name, &remembered{})
	}
	if err != nil {
		return sum{}, 0, err
	}
	return o.sum, o.size(), nil
}

// importOnce is one try, in which files that are known are read only to be copied.
func (s *Store) importOnce(ctx context.Context, name string, known *remembered) (*object, error) {
	taken := time.Now()
	root, o, err := scan(ctx, name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	anew := true
	if len(known.Files) == 0 {
		err = s.putNew(ctx, o, root)
	} else if anew, err = hashNew(ctx, root, o.entries, known); err == nil {
		o.finish()
		err = s.put(ctx, o, placeCopy(root))
	}
	if err != nil {
		return nil, s.noSpace(err, "copying "+name, o.size())
	}
	if !anew {
		return o, nil
	}
	if st, err := s.newStage(); err == nil { // nothing depends on it
		_ = s.remember(st, name, taken, o.entries)
		st.close()
	}
	return o, nil
}

// putNew copies what has never been imported, and hashes it meanwhile: it is read once.
// A copy of what the store has already is dropped.
func (s *Store) putNew(ctx context.Context, o *object, root *os.Root) error {
	st, err := s.newStage()
	if err != nil {
		return err
	}
	defer st.close()
	err = stageObject(ctx, st, o, func(ctx context.Context, e *entry, dst *os.File, name string) (err error) {
		e.sum, err = copyFile(ctx, root, e, dst, name)
		return err
	})
	if err != nil {
		return err
	}
	o.finish()
	s.reached("hashed")
	if err := s.pin(o.sum); err != nil {
		return err
	}
	if there, err := s.has(ctx, o); err != nil || there && s.sound(ctx, o) {
		return err
	}
	return s.putStaged(ctx, st, o)
}

// hashNew fills in the digests of all files, and reports whether it had to read any:
// those that have not changed since they are known are not read.
func hashNew(ctx context.Context, root *os.Root, entries []entry, known *remembered) (anew bool, err error) {
	var read atomic.Bool
	err = parallel(ctx, entries, func(ctx context.Context, e *entry) (err error) {
		if !e.isFile() {
			return nil
		}
		var certain bool
		if e.sum, certain, _ = known.known(e); certain {
			return nil
		}
		read.Store(true)
		e.sum, err = hashFile(ctx, root, e.path, e.stat)
		return err
	})
	return read.Load(), err
}

// placeCopy copies a file below root whose digest is known.
func placeCopy(root *os.Root) placeFunc {
	return func(ctx context.Context, e *entry, dst *os.File, name string) error {
		got, err := copyFile(ctx, root, e, dst, name)
		if err == nil && got != e.sum {
			err = &ChangedError{path.Join(root.Name(), e.path)}
		}
		return err
	}
}

// localPath returns the path that uri names on this machine.
func localPath(uri string) (string, error) {
	scheme := fetch.SchemeOf(uri)
	if scheme == "" {
		if uri == "" {
			return "", fmt.Errorf("import: the URI is empty")
		}
		return filepath.Abs(uri)
	}
	if scheme != "file" {
		return "", &UnsupportedSchemeError{URI: redact.URL(uri), Scheme: scheme}
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("import %q: %w", uri, err)
	}
	if u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("import %q: a file on the host %q can't be read: an absolute path has three slashes, file:///path", uri, u.Host)
	}
	return filepath.Clean(u.Path), nil
}
