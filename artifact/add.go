package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filetree"
)

// object is what is to be stored: one file or a directory.
type object struct {
	sum     sum
	kind    byte    // kindDir, kindFile, or kindExec: see execSum
	entries []entry // of a directory: what it holds; of a file: itself
}

func (o *object) size() int64  { return treeSize(o.entries) }
func (o *object) isFile() bool { return o.kind == kindFile || o.kind == kindExec }

// Add stores the file or directory at path under the digest of its content, and
// returns the digest and the bytes of its files. Files are hashed where they
// lie and hard-linked into the store, which makes them read-only; they are
// copied only across file systems, and where a link could be written to later:
// a file of another owner, or one that has other names. The caller deletes path
// afterwards, and must not write to it any more.
//
// The digest of a file is the sha256 of its content, whatever its mode. That of
// a directory depends on the names, contents and executable bits below it and
// nothing else. Symbolic links inside are kept as links; one at path itself is
// followed if it leads to something else in its own folder or to an object of
// this store (what Link leaves), else it is an *EscapeError. A socket, device or pipe is a *SpecialFileError; a full disk is
// a *NoSpaceError.
//
// What Add returns is on the disk, also after a power cut.
func (s *Store) Add(ctx context.Context, path string) (digest string, size int64, err error) {
	d, size, err := s.add(ctx, path)
	if err != nil {
		return "", 0, fmt.Errorf("store %s: %w", path, err)
	}
	return d.String(), size, nil
}

func (s *Store) add(ctx context.Context, name string) (sum, int64, error) {
	// What a crashed Add of the same files left counts as another name of them.
	s.sweepOnce.Do(s.sweep)
	if d, size, ok := s.own(ctx, name); ok {
		return d, size, nil
	}
	root, o, err := scan(ctx, name)
	if err != nil {
		return sum{}, 0, err
	}
	defer root.Close()
	if err := hashAll(ctx, root, o.entries); err != nil {
		return sum{}, 0, err
	}
	o.finish()
	s.reached("hashed")
	err = s.put(ctx, o, s.placeOriginal(root))
	return o.sum, o.size(), s.noSpace(err, "storing "+name, s.copied(o))
}

// copied returns how many bytes of o can't be linked, as far as can be told.
func (s *Store) copied(o *object) int64 {
	home, err := statPath(s.home)
	var n int64
	for i := range o.entries {
		e := &o.entries[i]
		linked := e.stat.nlink == 1 && (s.uid == 0 || e.stat.uid == s.uid) && err == nil && e.stat.dev == home.dev
		if e.isFile() && !linked {
			n += e.stat.size
		}
	}
	return n
}

// finish computes the digest of an object whose files are hashed.
func (o *object) finish() {
	switch o.kind {
	case kindDir:
		o.sum = treeSum(o.entries)
	case kindExec:
		o.sum = execSum(o.entries[0].sum)
	default:
		o.sum = o.entries[0].sum
	}
}

// scan opens what lies at name. The paths of the object's entries are relative
// to the root that it returns: of a file, its folder.
func scan(ctx context.Context, name string) (*os.Root, *object, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, nil, err
	}
	parent, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return nil, nil, err
	}
	rel, fi, err := follow(parent, filepath.Base(abs))
	if err != nil {
		parent.Close()
		return nil, nil, err
	}
	if !fi.IsDir() {
		o, err := scanFile(parent, rel)
		if err != nil {
			parent.Close()
		}
		return parent, o, err
	}
	defer parent.Close()
	root, err := parent.OpenRoot(rel)
	if err != nil {
		return nil, nil, err
	}
	entries, err := walk(ctx, root, noSpecial(root))
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return root, &object{kind: kindDir, entries: entries}, nil
}

func scanFile(parent *os.Root, rel string) (*object, error) {
	dir, err := openDir(parent, path.Dir(rel))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	st, err := statAt(dir, path.Base(rel))
	if err != nil {
		return nil, err
	}
	if !st.mode.IsRegular() {
		return nil, &SpecialFileError{Path: path.Join(parent.Name(), rel), Mode: st.mode}
	}
	return &object{kind: kindFile, entries: []entry{{path: rel, kind: kindFile, stat: st}}}, nil
}

// follow resolves a symbolic link that leads to something else in its own
// folder, also one with an absolute target, which os.Root takes for an escape.
func follow(parent *os.Root, base string) (string, fs.FileInfo, error) {
	rel := base
	for range 40 {
		fi, err := parent.Lstat(rel)
		if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			return rel, fi, err
		}
		target, err := parent.Readlink(rel)
		if err != nil {
			return "", nil, err
		}
		next := filepath.Join(filepath.Dir(rel), target)
		if filepath.IsAbs(target) {
			if next, err = filepath.Rel(parent.Name(), target); err != nil {
				return "", nil, err
			}
		}
		if !filepath.IsLocal(next) || next == "." {
			return "", nil, &EscapeError{Path: filepath.Join(parent.Name(), rel), Target: target}
		}
		rel = filepath.ToSlash(next)
	}
	return "", nil, &fs.PathError{Op: "open", Path: filepath.Join(parent.Name(), base), Err: unix.ELOOP}
}

// put makes o an object of the store unless it is there already.
func (s *Store) put(ctx context.Context, o *object, place placeFunc) error {
	if err := s.pin(o.sum); err != nil {
		return err
	}
	if there, err := s.has(ctx, o); err != nil || there && s.sound(ctx, o) {
		return err
	}
	st, err := s.newStage()
	if err != nil {
		return err
	}
	defer st.close()
	if err := stageObject(ctx, st, o, place); err != nil {
		return err
	}
	return s.putStaged(ctx, st, o)
}

// putStaged makes what was staged an object of the store.
func (s *Store) putStaged(ctx context.Context, st *stage, o *object) error {
	s.reached("staged")
	if err := syncStage(st, o); err != nil {
		return err
	}
	s.reached("synced")
	err := s.commit(ctx, st, o)
	if err == nil {
		s.sealNew(ctx, o.sum)
	}
	return err
}

// sound reports whether the object that is there is not known to be damaged.
func (s *Store) sound(ctx context.Context, o *object) bool {
	_, corrupt := errors.AsType[*CorruptError](s.Check(ctx, o.sum.String()))
	return !corrupt
}

const staged = "object" // name of the new object in a stage

func stageObject(ctx context.Context, st *stage, o *object, place placeFunc) error {
	if o.kind == kindDir {
		return build(ctx, st, staged, o.entries, place)
	}
	dst, err := openDir(st.Root, ".")
	if err != nil {
		return err
	}
	defer dst.Close()
	return place(ctx, &o.entries[0], dst, staged)
}

// syncStage makes what was staged durable: its content first, then its names.
func syncStage(st *stage, o *object) error {
	files := slices.DeleteFunc(slices.Clone(o.entries), func(e entry) bool { return e.kind == kindLink })
	if len(files) >= manyFiles {
		if done, err := syncAll(st.lock); done {
			return err
		}
	}
	for _, e := range files {
		at := filepath.Join(staged, e.path)
		if o.kind != kindDir {
			at = staged
		}
		if err := syncIn(st.Root, at); err != nil {
			return err
		}
	}
	if o.kind == kindDir {
		return syncIn(st.Root, staged)
	}
	return nil
}

func syncIn(root *os.Root, rel string) error {
	f, err := root.Open(rel)
	if err != nil {
		return err
	}
	defer f.Close()
	return ignore(f.Sync(), unix.EINVAL)
}

// commit renames what was staged to its place. Another process may come first;
// what lies there and is not the object is put aside.
func (s *Store) commit(ctx context.Context, st *stage, o *object) error {
	final := s.objectPath(o.sum)
	shard := filepath.Dir(final)
	err := mkdir(shard)
	if err == nil {
		err = filetree.SyncDir(s.objects())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for i := range 10 {
		// A name that stands for another name of the same file stays where it is:
		// the stage's clean-up takes it away.
		err = os.Rename(st.path(staged), final)
		if err == nil {
			s.reached("renamed")
			return filetree.SyncDir(shard)
		}
		if !errors.Is(err, fs.ErrExist) && ignore(err, unix.ENOTEMPTY, unix.EISDIR, unix.ENOTDIR) != nil {
			return err
		}
		if there, err := s.has(ctx, o); err != nil || there {
			return err
		}
		aside := st.path(fmt.Sprintf("damaged-%d", i))
		if err := os.Rename(final, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// has reports whether o is in the store, judged by names, kinds and sizes.
func (s *Store) has(ctx context.Context, o *object) (bool, error) {
	final := s.objectPath(o.sum)
	st, err := statPath(final)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || st.kind() != o.kind {
		return false, err
	}
	if o.kind != kindDir {
		return st.size == o.entries[0].stat.size, filetree.SyncDir(filepath.Dir(final))
	}
	root, err := os.OpenRoot(final)
	if err != nil {
		return false, err
	}
	defer root.Close()
	entries, err := walk(ctx, root, func(string, stat) (bool, error) { return false, nil })
	if err != nil || !slices.EqualFunc(entries, o.entries, alike) {
		return false, err
	}
	return true, filetree.SyncDir(filepath.Dir(final))
}

func alike(a, b entry) bool {
	return a.path == b.path && a.kind == b.kind && a.target == b.target && (!a.isFile() || a.stat.size == b.stat.size)
}
