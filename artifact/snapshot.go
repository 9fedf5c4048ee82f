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
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SnapshotOptions are what Snapshot needs beside the source.
type SnapshotOptions struct {
	// Note is told what a person should know: links that lead out of the source,
	// special files that were left out. May be nil.
	Note func(string)
	// Skip says what else is left out: rel is relative to the source, with slashes.
	// May be nil.
	Skip func(rel string, dir bool) bool
	// Hollow are paths below the source, relative and with slashes, where something
	// else is mounted: of a folder what is in it does not count, of a file its content.
	Hollow []string
}

// leaves reports whether what is at rel does not count at all.
func (o *SnapshotOptions) leaves(rel string, kind byte) bool {
	return o.Skip != nil && o.Skip(rel, kind == kindDir) ||
		kind == kindDir && path.Base(rel) == "__pycache__" || kind != kindDir && strings.HasSuffix(rel, ".pyc")
}

// hollow reports whether only the place of what is at rel counts.
func (o *SnapshotOptions) hollow(rel string) bool { return slices.Contains(o.Hollow, rel) }

// Snapshot stores the folder or file at source as it is now, and returns the
// digest and how many files it has. Each file is copied (its blocks shared where
// the file system can), never linked; files that have not changed since the last
// snapshot of the same source are neither read nor copied, since the object of a
// folder is a tree of hard links to what snapshots share. __pycache__ and *.pyc
// are left out, and so are the store itself and what o says. Symbolic links are kept
// as they are.
//
// The digest is that of Add, but for an executable file as source it also
// depends on its being executable.
func (s *Store) Snapshot(ctx context.Context, source string, o SnapshotOptions) (digest string, files int, err error) {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	n := snapshot{store: s, note: o.Note, o: o}
	// What is saved in the meantime is no reason to give up.
	for i := range 5 {
		if err = n.take(ctx, source, i > 0); err == nil {
			return n.object.sum.String(), n.files(), nil
		}
		if _, ok := errors.AsType[*ChangedError](err); !ok && (n.object == nil || !errors.Is(err, fs.ErrNotExist)) {
			break
		}
		n.note = func(string) {} // said already
		select {
		case <-time.After(20 * time.Millisecond << i):
		case <-ctx.Done():
			return "", 0, context.Cause(ctx)
		}
	}
	return "", 0, fmt.Errorf("snapshot %s: %w", source, s.noSpace(err, "copying "+source, n.need))
}

// snapshot is one Snapshot in progress.
type snapshot struct {
	store   *Store
	note    func(string)
	o       SnapshotOptions
	source  string // physical
	root    *os.Root
	object  *object
	st      *stage
	known   *remembered
	need    int64        // bytes of the files that may have to be copied
	staged  [16]*os.File // folders of new copies, by the first digit of their digest
	claimed sync.Map     // blobName of each new copy
	copies  atomic.Int64 // names copies whose digest is not known yet
	read    atomic.Int64 // files that were read
	direct  atomic.Int64 // files of the tree that are no links
}

func (n *snapshot) files() int {
	files := 0
	for i := range n.object.entries {
		if n.object.entries[i].isFile() {
			files++
		}
	}
	return files
}

// take is one try. again: trust nothing that is remembered.
func (n *snapshot) take(ctx context.Context, source string, again bool) (err error) {
	taken := time.Now()
	if err := n.look(ctx, source); err != nil {
		return err
	}
	defer n.root.Close()
	if n.known = n.store.recall(n.source); again {
		n.known = &remembered{}
	}
	if n.st, err = n.store.newStage(); err != nil {
		return err
	}
	defer n.st.close()
	n.claimed.Clear()
	defer n.closeNewBlobs()
	if err := n.makeNewBlobs(); err != nil {
		return err
	}
	if err := n.ingest(ctx); err != nil {
		return err
	}
	if n.object.isFile() {
		n.object.kind = n.object.entries[0].kind
	}
	n.object.finish()
	n.store.reached("hashed")
	if err := n.store.pin(n.object.sum); err != nil {
		return err
	}
	there, err := n.store.has(ctx, n.object)
	if err != nil {
		return err
	}
	if !there {
		if err := n.buildTree(ctx); err != nil {
			return err
		}
	}
	if n.object.kind == kindDir {
		if err := n.store.keepManifest(n.st, n.object.sum, n.object.entries); err != nil {
			return err
		}
	}
	if n.read.Load() > 0 || len(n.known.Files) != n.files() {
		return n.store.remember(n.st, n.source, taken, n.object.entries)
	}
	return nil
}

// look opens the source and lists what counts of it.
func (n *snapshot) look(ctx context.Context, source string) (err error) {
	if source, err = filepath.Abs(source); err != nil {
		return err
	}
	if n.source, err = filepath.EvalSymlinks(source); err != nil {
		return err
	}
	st, err := statPath(n.source)
	if err != nil {
		return err
	}
	n.object = &object{kind: st.kind()}
	switch {
	case n.object.kind == kindDir:
		if n.root, err = os.OpenRoot(n.source); err != nil {
			return err
		}
		if n.object.entries, err = walk(ctx, n.root, n.skip()); err != nil {
			n.root.Close()
		}
		n.empty()
	case n.object.isFile():
		n.object.entries = []entry{{path: filepath.Base(n.source), kind: n.object.kind, stat: st}}
		n.root, err = os.OpenRoot(filepath.Dir(n.source))
	default:
		err = &SpecialFileError{Path: n.source, Mode: st.mode}
	}
	return err
}

// empty makes files empty of which only the place counts. They have no inode, so that
// nothing is remembered of their content.
func (n *snapshot) empty() {
	for i := range n.object.entries {
		if e := &n.object.entries[i]; e.isFile() && n.o.hollow(e.path) {
			e.hollow, e.stat = true, stat{mode: e.stat.mode}
		}
	}
}

func (n *snapshot) skip() skipFunc {
	home, _ := statPath(n.store.home) // the zero stat is no file's
	return func(rel string, st stat) (bool, error) {
		kind := st.kind()
		switch {
		case kind == 0:
			n.note(fmt.Sprintf("%s was left out: it is a %s", filepath.Join(n.source, rel), special(st.mode)))
			return true, nil
		case kind == kindDir && st.dev == home.dev && st.ino == home.ino:
			n.note(fmt.Sprintf("%s was left out: it is WHERRY_HOME", filepath.Join(n.source, rel)))
			return true, nil
		case n.o.leaves(rel, kind):
			return true, nil
		case kind == kindDir && n.o.hollow(rel):
			return false, fs.SkipDir
		case kind == kindLink:
			n.noteLink(rel)
		}
		return false, nil
	}
}

func (n *snapshot) noteLink(rel string) {
	target, err := n.root.Readlink(rel)
	if err != nil || !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(filepath.Dir(rel), target)) {
		return
	}
	n.note(fmt.Sprintf("%s is a symbolic link to %s, outside the folder: a step will not find it there",
		filepath.Join(n.source, rel), target))
}
