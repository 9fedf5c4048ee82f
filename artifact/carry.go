package artifact

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// The kinds of an object, where it travels.
const (
	File       = "file"
	Executable = "executable"
	Directory  = "directory"
)

var kindNames = map[byte]string{kindFile: File, kindExec: Executable, kindDir: Directory}

// Export verifies the object of digest and writes it: a file's content, a directory
// as Pack does. It returns its kind; fs.ErrNotExist when the store has none.
func (s *Store) Export(ctx context.Context, digest string, w io.Writer) (kind string, err error) {
	p, err := s.Path(digest)
	if err != nil {
		return "", err
	}
	if err := s.Verify(ctx, digest); err != nil {
		return "", err
	}
	st, err := statPath(p)
	if err != nil {
		return "", err
	}
	if kind = kindNames[st.kind()]; kind == Directory {
		root, err := os.OpenRoot(p)
		if err != nil {
			return "", err
		}
		defer root.Close()
		return kind, Pack(ctx, root, w)
	}
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = pour(ctx, w, f)
	return kind, err
}

// Intake takes objects from elsewhere: all of them or none. Nothing is in the store
// before Commit.
type Intake struct {
	store   *Store
	st      *stage
	objects []*object
}

// NewIntake begins an intake. Close it after use.
func (s *Store) NewIntake() (*Intake, error) {
	st, err := s.newStage()
	if err != nil {
		return nil, fmt.Errorf("take in artifacts: %w", s.noSpace(err, "taking in artifacts", 0))
	}
	return &Intake{store: s, st: st}, nil
}

// Take reads what Export has written. What is not what its digest says is a
// *CorruptError. An object that the store has is not read.
func (in *Intake) Take(ctx context.Context, digest, kind string, r io.Reader) error {
	want, err := parseDigest(digest)
	if err != nil {
		return err
	}
	if err := in.store.pin(want); err != nil {
		return err
	}
	if _, err := in.store.Path(digest); err == nil {
		return nil
	}
	name := fmt.Sprintf("in-%d", len(in.objects))
	if err := in.unpack(ctx, name, kind, r); err != nil {
		return fmt.Errorf("take in artifact %s: %w", digest, in.store.noSpace(err, "taking in "+digest, 0))
	}
	o, err := in.look(ctx, name, kind)
	if err != nil {
		return fmt.Errorf("take in artifact %s: %w", digest, err)
	}
	if o.sum != want {
		return &CorruptError{Digest: digest, Path: "(what was to be taken in)", Got: o.sum.String()}
	}
	in.objects = append(in.objects, o)
	return nil
}

func (in *Intake) unpack(ctx context.Context, name, kind string, r io.Reader) error {
	mode := os.FileMode(0o644)
	switch kind {
	case Directory:
		if err := in.st.Mkdir(name, 0o755); err != nil {
			return err
		}
		root, err := in.st.OpenRoot(name)
		if err != nil {
			return err
		}
		defer root.Close()
		return Unpack(ctx, root, r, false)
	case Executable:
		mode = 0o755
	case File:
	default:
		return fmt.Errorf("its kind %q is unknown", kind)
	}
	f, err := in.st.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := pour(ctx, f, r); err != nil {
		return err
	}
	return f.Close()
}

// look hashes what was unpacked.
func (in *Intake) look(ctx context.Context, name, kind string) (*object, error) {
	root, o, err := scan(ctx, in.st.path(name))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if kind == Executable {
		o.kind, o.entries[0].kind = kindExec, kindExec
	}
	if err := hashAll(ctx, root, o.entries); err != nil {
		return nil, err
	}
	o.finish()
	return o, nil
}

// Commit brings what was taken into the store.
func (in *Intake) Commit(ctx context.Context) error {
	for i, o := range in.objects {
		at := in.st.path(fmt.Sprintf("in-%d", i))
		if o.kind != kindDir {
			at = filepath.Dir(at)
		}
		root, err := os.OpenRoot(at)
		if err != nil {
			return err
		}
		err = in.store.put(ctx, o, in.store.placeOriginal(root))
		root.Close()
		if err != nil {
			return fmt.Errorf("store artifact %s: %w", o.sum, in.store.noSpace(err, "storing "+path.Base(at), o.size()))
		}
	}
	return nil
}

// Close removes what was not committed.
func (in *Intake) Close() { in.st.close() }
