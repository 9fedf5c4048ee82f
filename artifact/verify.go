package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Verify reads the object of digest again and returns a *CorruptError unless it
// is what its digest says; fs.ErrNotExist when the store has none. Check finds what
// Verify has found.
func (s *Store) Verify(ctx context.Context, digest string) error {
	p, err := s.Path(digest)
	if err != nil {
		return err
	}
	got, err := digestOf(ctx, p)
	if err != nil {
		return fmt.Errorf("verify artifact %s: %w", digest, err)
	}
	if got.String() != digest {
		s.suspect(digest)
		return &CorruptError{Digest: digest, Path: p, Got: got.String()}
	}
	return nil
}

// Digests lists the objects of the store.
func (s *Store) Digests() ([]string, error) {
	dirs, err := os.ReadDir(s.objects())
	var list []string
	for _, dir := range dirs {
		names, e := os.ReadDir(filepath.Join(s.objects(), dir.Name()))
		err = errors.Join(err, ignore(e, fs.ErrNotExist))
		for _, name := range names {
			if _, bad := parseDigest(scheme + name.Name()); bad == nil {
				list = append(list, scheme+name.Name())
			}
		}
	}
	return list, err
}

// digestOf is the digest of what lies in the store at name.
func digestOf(ctx context.Context, name string) (sum, error) {
	st, err := statPath(name)
	if err != nil {
		return sum{}, err
	}
	o := &object{kind: st.kind()}
	var root *os.Root
	if o.kind == kindDir {
		if root, err = os.OpenRoot(name); err != nil {
			return sum{}, err
		}
		defer root.Close()
		o.entries, err = walk(ctx, root, noSpecial(root))
	} else {
		if root, err = os.OpenRoot(filepath.Dir(name)); err != nil {
			return sum{}, err
		}
		defer root.Close()
		if !o.isFile() {
			return sum{}, &SpecialFileError{Path: name, Mode: st.mode}
		}
		o.entries = []entry{{path: filepath.Base(name), kind: o.kind, stat: st}}
	}
	if err != nil {
		return sum{}, err
	}
	if err := hashAll(ctx, root, o.entries); err != nil {
		return sum{}, err
	}
	o.finish()
	return o.sum, nil
}

// own returns the digest of the object of this store that path leads to through
// symbolic links: what Link left there, so that a caller that crashed between
// Link and its own commit can repeat Add.
func (s *Store) own(ctx context.Context, path string) (d sum, size int64, ok bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return d, 0, false
	}
	objects, err := filepath.EvalSymlinks(s.objects())
	if err != nil || filepath.Dir(filepath.Dir(real)) != objects {
		return d, 0, false
	}
	if d, err = parseDigest(scheme + filepath.Base(real)); err != nil {
		return d, 0, false
	}
	if s.pin(d) != nil {
		return d, 0, false
	}
	st, err := statPath(real)
	if err != nil || st.kind() != kindDir {
		return d, st.size, err == nil
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return d, 0, false
	}
	defer root.Close()
	entries, err := walk(ctx, root, noSpecial(root))
	return d, treeSize(entries), err == nil
}
