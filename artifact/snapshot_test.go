package artifact

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var testContext = context.Background()

func snap(t testing.TB, s *Store, source string) string {
	t.Helper()
	d, _, err := s.Snapshot(t.Context(), source, SnapshotOptions{})
	must(t, err)
	must(t, s.Verify(t.Context(), d))
	return d
}

// reads returns how many files one snapshot of source reads.
func reads(t *testing.T, s *Store, source string) int64 {
	t.Helper()
	n := snapshot{store: s, note: func(string) {}}
	must(t, n.take(t.Context(), source, false))
	return n.read.Load()
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	st, err := statPath(path)
	must(t, err)
	return st.ino
}

func TestSnapshot(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"train.py": "v1", "lib/util.py": "u", "run.sh*": "#!/bin/sh", "copy.py": "v1",
		"__pycache__/train.pyc": "x", "lib/__pycache__/u.pyc": "x", "old.pyc": "x", "away": "@/etc/passwd", "link": "@train.py"})
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	var notes []string
	d, files, err := s.Snapshot(t.Context(), dir, SnapshotOptions{Note: func(n string) { notes = append(notes, n) }})
	must(t, err)
	if files != 4 {
		t.Errorf("%d files, want 4", files)
	}
	if all := strings.Join(notes, "\n"); len(notes) != 2 || !strings.Contains(all, "/away is a symbolic link to /etc/passwd") ||
		!strings.Contains(all, "/pipe was left out: it is a named pipe") {
		t.Errorf("notes: %q", notes)
	}
	p, _ := s.Path(d)
	if inode(t, filepath.Join(p, "train.py")) == inode(t, filepath.Join(dir, "train.py")) {
		t.Error("the person's file was linked")
	}
	if inode(t, filepath.Join(p, "train.py")) != inode(t, filepath.Join(p, "copy.py")) {
		t.Error("files of the same content are not shared")
	}
	if fi, _ := os.Stat(filepath.Join(dir, "train.py")); fi.Mode() != 0o644 {
		t.Errorf("the person's file is now %v", fi.Mode())
	}
	// An editor changes the file in place: what was taken stays.
	must(t, os.WriteFile(filepath.Join(dir, "train.py"), []byte("v2"), 0o644))
	must(t, s.Verify(t.Context(), d))
	d2 := snap(t, s, dir)
	if d2 == d {
		t.Error("the change was not seen")
	}
	p2, _ := s.Path(d2)
	if inode(t, filepath.Join(p2, "lib/util.py")) != inode(t, filepath.Join(p, "lib/util.py")) {
		t.Error("an unchanged file was copied")
	}
	must(t, os.RemoveAll(filepath.Join(dir, "pipe")))
	must(t, os.RemoveAll(filepath.Join(dir, "__pycache__")))
	must(t, os.RemoveAll(filepath.Join(dir, "lib/__pycache__")))
	must(t, os.RemoveAll(filepath.Join(dir, "old.pyc")))
	if want := add(t, open(t), dir); d2 != want {
		t.Errorf("Snapshot = %s, Add = %s", d2, want)
	}
	noLitter(t, s)
}

// TestSnapshotRacilyClean writes another content of the same size in the same
// tick of the clock, which no file time shows.
func TestSnapshotRacilyClean(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a.py": "x = 0"})
	name := filepath.Join(dir, "a.py")
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	last := snap(t, s, dir)
	for i := range 60 {
		if _, err := f.WriteAt([]byte{byte('1' + i%2)}, 4); err != nil {
			t.Fatal(err)
		}
		d := snap(t, s, dir)
		if d == last {
			t.Fatalf("write %d was not seen", i)
		}
		last = d
	}
}

func TestSnapshotReadsOnlyWhatChanged(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a": "1", "b": "2", "c/d": "3"})
	time.Sleep(100 * time.Millisecond) // past the tick
	for i, want := range []int64{3, 0, 0} {
		if got := reads(t, s, dir); got != want {
			t.Errorf("snapshot %d read %d files, want %d", i, got, want)
		}
	}
	must(t, os.Chmod(filepath.Join(dir, "a"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
	must(t, os.Remove(filepath.Join(dir, "b")))
	time.Sleep(100 * time.Millisecond)
	for i, want := range []int64{2, 0} {
		if got := reads(t, s, dir); got != want {
			t.Errorf("after the change, snapshot %d read %d files, want %d", i, got, want)
		}
	}
	// Same size and modification time, as after cp -p or touch -r.
	was, err := os.Stat(filepath.Join(dir, "c/d"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "c/d"), []byte("4"), 0o644))
	must(t, os.Chtimes(filepath.Join(dir, "c/d"), was.ModTime(), was.ModTime()))
	if got := reads(t, s, dir); got != 1 {
		t.Errorf("after touch -r, read %d files, want 1", got)
	}
}

func TestSnapshotOfFile(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"plain": "same", "exec*": "same", "alias": "@exec"})
	plain, exec := snap(t, s, dir+"/plain"), snap(t, s, dir+"/exec")
	if plain == exec {
		t.Error("the executable bit does not count")
	}
	if alias := snap(t, s, dir+"/alias"); alias != exec {
		t.Errorf("through a link %s, want %s", alias, exec)
	}
	for d, want := range map[string]fs.FileMode{plain: 0o444, exec: 0o555} {
		p, err := s.Path(d)
		must(t, err)
		if fi, err := os.Stat(p); err != nil || fi.Mode() != want {
			t.Errorf("mode %v, %v; want %v", fi.Mode(), err, want)
		}
	}
	if d := add(t, s, filepath.Join(tree(t, map[string]string{"x": "same"}), "x")); d != plain {
		t.Errorf("Add = %s, Snapshot = %s", d, plain)
	}
}

func TestSnapshotOutOfLinks(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a/__init__.py": "", "b/__init__.py": "", "c/__init__.py": "", "d": "d"})
	var refused atomic.Int32
	s.link = func(from *os.File, src string, to *os.File, dst string) error {
		if dst == "__init__.py" && filepath.Base(to.Name()) != "a" {
			refused.Add(1)
			return unix.EMLINK
		}
		return linkat(from, src, to, dst)
	}
	snap(t, s, dir)
	if refused.Load() == 0 {
		t.Error("no link was refused")
	}
}

func TestSnapshotMendsSharedCopies(t *testing.T) {
	for _, damage := range []string{"gone", "truncated"} {
		t.Run(damage, func(t *testing.T) {
			s := open(t)
			dir := tree(t, map[string]string{"a": "content", "b*": "other"})
			time.Sleep(100 * time.Millisecond)
			d := snap(t, s, dir)
			must(t, s.Remove(d))
			must(t, filepath.WalkDir(s.blobs(), func(p string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				if damage == "gone" {
					return os.Remove(p)
				}
				return os.Truncate(p, 1)
			}))
			if again := snap(t, s, dir); again != d {
				t.Errorf("again %s, want %s", again, d)
			}
		})
	}
}

func TestSnapshotHoldsHome(t *testing.T) {
	dir := tree(t, map[string]string{"a": "1"})
	s, err := Open(filepath.Join(dir, ".wherry"))
	must(t, err)
	var notes []string
	var digests [2]string
	for i := range digests {
		digests[i], _, err = s.Snapshot(t.Context(), dir, SnapshotOptions{Note: func(n string) { notes = append(notes, n) }})
		must(t, err)
	}
	if digests[0] != digests[1] || len(notes) != 2 {
		t.Errorf("%s, notes %q", digests, notes)
	}
}

// TestSnapshotWhileSaving has an editor save by rename and in place all the time.
func TestSnapshotWhileSaving(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a": "aaaa", "b": "bbbb"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		for ctx.Err() == nil {
			if err := errors.Join(os.WriteFile(dir+"/.a.swp", []byte("cccc"), 0o644), os.Rename(dir+"/.a.swp", dir+"/a"),
				os.WriteFile(dir+"/b", []byte("dddd"), 0o644)); err != nil {
				done <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
		done <- nil
	}()
	for range 50 {
		snap(t, s, dir)
	}
	stop()
	must(t, <-done)
	noLitter(t, s)
}

func TestSnapshotErrors(t *testing.T) {
	s := open(t)
	begin := time.Now()
	if _, _, err := s.Snapshot(t.Context(), "/no/such/folder", SnapshotOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if d := time.Since(begin); d > 100*time.Millisecond {
		t.Errorf("took %v to see that it is missing", d)
	}
	if _, _, err := s.Snapshot(t.Context(), "/dev/null", SnapshotOptions{}); !is[*SpecialFileError](err) {
		t.Errorf("device: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("enough")
	cancel(mine)
	if _, _, err := s.Snapshot(ctx, tree(t, outputs(t, 50)), SnapshotOptions{}); !errors.Is(err, mine) {
		t.Errorf("canceled: %v", err)
	}
	noLitter(t, s)
}
