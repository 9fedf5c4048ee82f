package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// aged makes all files of a folder an hour old, so that nothing waits for the clock.
func aged(t *testing.T, dir string) string {
	t.Helper()
	hour := time.Now().Add(-time.Hour)
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Chtimes(path, hour, hour)
	}))
	return dir
}

func live(t *testing.T, s *Store, dir string, o SnapshotOptions) string {
	t.Helper()
	d, _, err := s.Live(t.Context(), dir, o)
	must(t, err)
	now, err := s.LiveDigest(t.Context(), dir, o)
	must(t, err)
	if now != d {
		t.Fatalf("Live says %s, LiveDigest %s", d, now)
	}
	return d
}

// TestLive asserts what changes the digest of a live folder, and what is said of it.
func TestLive(t *testing.T) {
	s := open(t)
	o := SnapshotOptions{
		Skip:   func(rel string, _ bool) bool { return rel == "skipped" },
		Hollow: []string{"state", "state.db"},
	}
	for _, c := range []struct {
		name   string
		change func(dir string) error
		want   []LiveChange
	}{
		{"nothing", func(string) error { return nil }, nil},
		{"size", func(dir string) error { return os.WriteFile(dir+"/a", []byte("longer"), 0o644) }, []LiveChange{{"a", "size", "1", "6"}}},
		{"inode", func(dir string) error {
			st, err := os.Stat(dir + "/sub/b")
			return errors.Join(err, os.WriteFile(dir+"/sub/new", []byte("B"), 0o644), os.Chtimes(dir+"/sub/new", st.ModTime(), st.ModTime()), os.Rename(dir+"/sub/new", dir+"/sub/b"))
		}, []LiveChange{{Path: "sub/b", What: "inode"}}},
		{"mtime", func(dir string) error { return os.WriteFile(dir+"/sub/b", []byte("B"), 0o644) }, []LiveChange{{Path: "sub/b", What: "mtime"}}},
		{"executable", func(dir string) error { return os.Chmod(dir+"/a", 0o755) }, []LiveChange{{"a", "mode", "file", "executable"}}},
		{"link", func(dir string) error {
			return errors.Join(os.Remove(dir+"/link"), os.Symlink("sub/b", dir+"/link"))
		}, []LiveChange{{"link", "link", "a", "sub/b"}}},
		{"new and gone", func(dir string) error {
			return errors.Join(os.Remove(dir+"/a"), os.WriteFile(dir+"/sub/c", nil, 0o644))
		}, []LiveChange{{Path: "a", Before: "there", After: "(none)"}, {Path: "sub/c", Before: "(none)", After: "new"}}},
		{"what does not count", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/skipped", []byte("x"), 0o644), os.WriteFile(dir+"/sub/x.pyc", nil, 0o644), os.Mkdir(dir+"/__pycache__", 0o755),
				os.WriteFile(dir+"/state/run", []byte("x"), 0o644), os.WriteFile(dir+"/state.db", []byte("row"), 0o644), unix.Mkfifo(dir+"/pipe", 0o600))
		}, nil},
		{"a hollow folder is gone", func(dir string) error { return os.RemoveAll(dir + "/state") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := aged(t, tree(t, map[string]string{"a": "1", "sub/b": "b", "link": "@a", "skipped": "", "state/old": "", "state.db": ""}))
			before := live(t, s, dir, o)
			must(t, c.change(dir))
			after := live(t, s, dir, o)
			got, err := s.LiveChanges(t.Context(), before, after)
			must(t, err)
			for i := range got {
				if i < len(c.want) && c.want[i].Before == "" { // a time or an inode
					got[i].Before, got[i].After = "", ""
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if same := before == after; same != (len(c.want) == 0 && c.name != "a hollow folder is gone") {
				t.Errorf("the digest is the same: %v", same)
			}
		})
	}
	noLitter(t, s)
}

// TestLiveReadsNothing asserts that no content is looked at, of a file either.
func TestLiveReadsNothing(t *testing.T) {
	s := open(t)
	dir := aged(t, tree(t, map[string]string{"a": "1", "sub/b": "b"}))
	must(t, os.Truncate(dir+"/a", 1<<40)) // a sparse terabyte
	aged(t, dir)
	d, files, err := s.Live(t.Context(), dir, SnapshotOptions{})
	must(t, err)
	if files != 2 {
		t.Errorf("%d files, want 2", files)
	}
	one := live(t, s, dir+"/a", SnapshotOptions{})
	must(t, os.Truncate(dir+"/a", 5))
	changes, err := s.LiveChanges(t.Context(), one, live(t, s, dir+"/a", SnapshotOptions{}))
	if want := []LiveChange{{"", "size", fmt.Sprint(int64(1) << 40), "5"}}; err != nil || !cmp.Equal(changes, want) {
		t.Errorf("got %v, %v, want %v", changes, err, want)
	}
	if _, err := s.LiveChanges(t.Context(), d, snap(t, s, dir+"/sub")); err == nil {
		t.Error("a snapshot was taken for a list")
	}
	if _, _, err := s.Live(t.Context(), dir+"/none", SnapshotOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v of a folder that is not there", err)
	}
}

// TestLiveListsAll asserts that no file is forgotten where several folders, and pieces of
// large ones, are looked at at once.
func TestLiveListsAll(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"link": "@large/1", "large/deep/er/file": ""})
	for i := range 2*manyNames + 500 {
		must(t, os.WriteFile(fmt.Sprintf("%s/large/%d", dir, i), nil, 0o644))
		if i%50 == 0 {
			fill(t, dir, map[string]string{fmt.Sprintf("large/sub%d/x/y", i): "y"})
		}
	}
	var want []string
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			want = append(want, rel)
		}
		return err
	}))
	slices.Sort(want)
	w, err := s.lookLive(t.Context(), dir, SnapshotOptions{})
	must(t, err)
	entries, err := parseLive(string(w.text()))
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d of %d: %v", len(got), len(want), cmp.Diff(want, got))
	}
}

// TestLiveRacilyClean writes another content of the same size as soon as the list was
// made: each write must show.
func TestLiveRacilyClean(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a": "0"})
	f, err := os.OpenFile(dir+"/a", os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	var digests []string
	for i := range 8 {
		_, err := f.WriteAt([]byte{byte('1' + i)}, 0)
		must(t, err)
		d, _, err := s.Live(t.Context(), dir, SnapshotOptions{})
		must(t, err)
		if slices.Contains(digests, d) {
			t.Fatalf("write %d was not seen", i)
		}
		digests = append(digests, d)
	}
}

// TestSnapshotHollow asserts that where something else is mounted only the place counts.
func TestSnapshotHollow(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"main.py": "m", "state/deep/old": "1", "state.db*": "row", "other/state": "x"})
	hollow := func() string {
		d, _, err := s.Snapshot(t.Context(), dir, SnapshotOptions{Hollow: []string{"state", "state.db"}})
		must(t, err)
		must(t, s.Verify(t.Context(), d))
		return d
	}
	before := hollow()
	must(t, os.WriteFile(dir+"/state/new", nil, 0o644))
	must(t, os.WriteFile(dir+"/state.db", []byte("another"), 0o755))
	if hollow() != before {
		t.Error("what is in a hollow folder or file counts")
	}
	p, err := s.Path(before)
	must(t, err)
	if left, err := os.ReadDir(p + "/state"); err != nil || len(left) > 0 {
		t.Errorf("the hollow folder holds %v, %v", left, err)
	}
	if text, err := os.ReadFile(p + "/state.db"); err != nil || len(text) > 0 {
		t.Errorf("the hollow file holds %q, %v", text, err)
	}
	if text, err := os.ReadFile(p + "/other/state"); err != nil || string(text) != "x" {
		t.Errorf("a file of the same name elsewhere holds %q, %v", text, err)
	}
	whole, err := s.Path(snap(t, s, dir)) // nothing of what was left out is remembered as empty
	must(t, err)
	if text, err := os.ReadFile(whole + "/state.db"); err != nil || string(text) != "another" {
		t.Errorf("without the mount the file holds %q, %v", text, err)
	}
}

func FuzzParseLive(f *testing.F) {
	f.Add(liveHeader + "f 1 2 3 a\x00d b\x00l x\x00y\x00")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := parseLive(text)
		if err == nil && len(entries) > len(text) {
			t.Errorf("%d entries of %d bytes", len(entries), len(text))
		}
		liveChanges(entries, nil)
	})
}
