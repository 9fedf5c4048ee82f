package artifact

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Live stores a list of what lies in a folder that is used as it is: names and kinds,
// of files also size, modification time and inode, of links the target. No file is read
// or copied. It returns the digest of the list, which stays the same while nothing
// changes, and how many files there are. source may be one file. What a snapshot
// leaves out does not count.
//
// Where a file was written in this very moment Live waits a little (50 ms; 2 s where
// the file system counts whole seconds), so that a later write has another time.
func (s *Store) Live(ctx context.Context, source string, o SnapshotOptions) (digest string, files int, err error) {
	var w *liveWalk
	for range 5 { // what is written all the time is found to have changed when a step ends
		began := time.Now()
		if w, err = s.lookLive(ctx, source, o); err != nil {
			return "", 0, err
		}
		wait := w.fresh(began)
		if wait <= 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", 0, context.Cause(ctx)
		}
	}
	text := w.text()
	d, err := s.putText(ctx, text)
	if err != nil {
		return "", 0, fmt.Errorf("list %s: %w", source, s.noSpace(err, "listing "+source, int64(len(text))))
	}
	return d.String(), w.files(), nil
}

// LiveDigest is the digest that Live would return now. It stores nothing.
func (s *Store) LiveDigest(ctx context.Context, source string, o SnapshotOptions) (string, error) {
	w, err := s.lookLive(ctx, source, o)
	if err != nil {
		return "", err
	}
	return sum(sha256.Sum256(w.text())).String(), nil
}

// liveWalk lists a folder, several of its folders at once.
type liveWalk struct {
	root  string
	home  stat // of WHERRY_HOME
	o     SnapshotOptions
	group *errgroup.Group

	mu      sync.Mutex
	entries []entry
}

func (s *Store) lookLive(ctx context.Context, source string, o SnapshotOptions) (*liveWalk, error) {
	fail := func(err error) (*liveWalk, error) { return nil, fmt.Errorf("list %s: %w", source, err) }
	source, err := filepath.Abs(source)
	if err != nil {
		return fail(err)
	}
	w := &liveWalk{o: o}
	w.home, _ = statPath(s.home) // the zero stat is no file's
	if w.root, err = filepath.EvalSymlinks(source); err != nil {
		return fail(err)
	}
	st, err := statPath(w.root)
	if err != nil {
		return fail(err)
	}
	switch kind := st.kind(); kind {
	case 0:
		return fail(&SpecialFileError{Path: w.root, Mode: st.mode})
	case kindDir:
		w.group, ctx = errgroup.WithContext(ctx)
		w.group.SetLimit(max(4, runtime.GOMAXPROCS(0))) // a file system of the network answers late
		err := w.folder(ctx, "")
		if e := w.group.Wait(); e != nil { // the first of them is why the others ended
			err = e
		}
		if err != nil {
			return fail(err)
		}
		sortEntries(w.entries)
	default:
		w.entries = []entry{{kind: kind, stat: st}}
	}
	return w, nil
}

// manyNames is how many files are looked at in one piece.
const manyNames = 1000

// folder lists the folder at rel, and what is below it.
func (w *liveWalk) folder(ctx context.Context, rel string) error {
	dir, err := w.open(rel)
	if err != nil || dir == nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	for some := range slices.Chunk(names, manyNames) {
		if err := w.also(func() error { return w.look(ctx, rel, some) }); err != nil {
			return err
		}
	}
	return nil
}

// also does f beside what is done already, or at once where that is enough.
func (w *liveWalk) also(f func() error) error {
	if w.group.TryGo(f) {
		return nil
	}
	return f()
}

// open returns nil for a folder that has vanished.
func (w *liveWalk) open(rel string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(w.root, rel), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if rel != "" {
		err = ignore(err, fs.ErrNotExist, unix.ENOTDIR, unix.ELOOP)
	}
	return f, err
}

// look lists some names of a folder, and what is below those that are folders.
func (w *liveWalk) look(ctx context.Context, rel string, names []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	dir, err := w.open(rel)
	if err != nil || dir == nil {
		return err
	}
	entries, err := w.lookIn(dir, rel, names)
	dir.Close() // before going down
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.entries = append(w.entries, entries...)
	w.mu.Unlock()
	for i := range entries {
		if entries[i].kind != kindDir || w.o.hollow(entries[i].path) {
			continue
		}
		if err := w.also(func() error { return w.folder(ctx, entries[i].path) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *liveWalk) lookIn(dir *os.File, rel string, names []string) ([]entry, error) {
	entries := make([]entry, 0, len(names))
	for _, name := range names {
		e := entry{path: path.Join(rel, name)}
		var err error
		if e.stat, err = statAt(dir, name); err == nil {
			if w.leaves(&e) {
				continue
			}
			if e.kind == kindLink {
				e.target, err = os.Readlink(filepath.Join(w.root, e.path))
			}
		}
		switch {
		case err == nil:
			entries = append(entries, e)
		case ignore(err, fs.ErrNotExist, unix.EINVAL) != nil: // else it has vanished, or is no link any more
			return nil, err
		}
	}
	return entries, nil
}

// leaves fills in the kind of e, and reports whether it does not count.
func (w *liveWalk) leaves(e *entry) bool {
	e.kind = e.stat.kind()
	if e.kind == 0 || w.o.leaves(e.path, e.kind) || e.kind == kindDir && e.stat.dev == w.home.dev && e.stat.ino == w.home.ino {
		return true
	}
	if e.isFile() && w.o.hollow(e.path) {
		e.stat = stat{mode: e.stat.mode}
	}
	return false
}

// fresh is how long to wait until a write would change the time of each file that
// was listed from began on. A time that lies ahead changes with any write.
func (w *liveWalk) fresh(began time.Time) time.Duration {
	var wait time.Duration
	now := time.Now()
	for i := range w.entries {
		st := &w.entries[i].stat
		over := time.Unix(0, st.mtime+tick(seen{Mtime: st.mtime, Ctime: st.ctime}))
		if w.entries[i].isFile() && st.mtime <= now.UnixNano() && !over.Before(began) {
			wait = max(wait, over.Sub(now)+time.Millisecond)
		}
	}
	return wait
}

func (w *liveWalk) files() int {
	n := 0
	for i := range w.entries {
		if w.entries[i].isFile() {
			n++
		}
	}
	return n
}
