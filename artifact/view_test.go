//go:build linux

package artifact

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func snapshotOf(t *testing.T, s *Store, dir string) string {
	t.Helper()
	digest, _, err := s.Snapshot(t.Context(), dir, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestViewSeesOpens(t *testing.T) {
	s := openStore(t)
	dir := tree(t, map[string]string{"a.py": "a", "b.py": "b", "pkg/c.py": "c", "pkg/d.py": "d", "e.bin": "mapped", "same-as-a.py": "a"})
	if err := os.Symlink("pkg/d.py", filepath.Join(dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	digest := snapshotOf(t, s, dir)
	at := filepath.Join(t.TempDir(), "view")
	v, err := s.View(t.Context(), digest, at)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.View(t.Context(), digest, at+"2")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.py", "pkg/c.py", "link.py"} {
		if _, err := os.ReadFile(filepath.Join(at, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.ReadDir(at); err != nil { // what is only listed was not opened
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(at, "e.bin"))
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, 6, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil || string(mapped) != "mapped" {
		t.Fatal(err)
	}
	f.Close()
	_ = unix.Munmap(mapped)
	got, all := v.Opened()
	if want := []string{"a.py", "e.bin", "pkg/c.py", "pkg/d.py"}; !all || !cmp.Equal(got, want) {
		t.Errorf("opened %v (all: %v), want %v", got, all, want)
	}
	if got, all := other.Opened(); !all || len(got) > 0 {
		t.Errorf("in another view of the same files %v were opened", got)
	}
	if err := os.RemoveAll(at); err != nil {
		t.Errorf("delete the view: %v", err)
	}
	if _, err := s.Path(digest); err != nil {
		t.Errorf("the store has lost what the view linked to: %v", err)
	}
}

// TestViewOverflow asserts that dropped events are admitted.
func TestViewOverflow(t *testing.T) {
	v := &View{dirs: map[int32]string{}, seen: map[string]bool{}}
	event := make([]byte, unix.SizeofInotifyEvent)
	event[5] = byte(unix.IN_Q_OVERFLOW >> 8)
	v.take(event)
	if !v.missed {
		t.Error("an overflow of the queue went unnoticed")
	}
}

// TestReadDigest asserts what counts of a folder for a step that opened a.py.
func TestReadDigest(t *testing.T) {
	s := openStore(t)
	files := map[string]string{"a.py": "a", "b.py": "b", "pkg/c.py": "c"}
	opened := []string{"a.py"}
	digest := func(change func(dir string)) string {
		dir := tree(t, files)
		if err := os.Symlink("a.py", filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(dir)
		}
		d, err := s.ReadDigest(t.Context(), snapshotOf(t, s, dir), opened)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write := func(name, text string) func(string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := digest(nil)
	for name, change := range map[string]func(string){
		"another file's content":       write("b.py", "B"),
		"a file in __pycache__ or pyc": write("b.pyc", "x"),
	} {
		if digest(change) != before {
			t.Errorf("%s: counts, and was not opened", name)
		}
	}
	for name, change := range map[string]func(string){
		"the opened file":           write("a.py", "A"),
		"a new file that may shade": write("c.py", "c"),
		"a file is gone":            func(dir string) { os.Remove(filepath.Join(dir, "b.py")) },
		"a file became executable":  func(dir string) { os.Chmod(filepath.Join(dir, "b.py"), 0o755) },
		"a link leads elsewhere": func(dir string) {
			os.Remove(filepath.Join(dir, "current"))
			os.Symlink("b.py", filepath.Join(dir, "current"))
		},
	} {
		if digest(change) == before {
			t.Errorf("%s: does not count", name)
		}
	}
}

// TestFileAlone asserts that a stored file is listed like a folder's: by ".", by which it
// can be told as read.
func TestFileAlone(t *testing.T) {
	s := openStore(t)
	dir := tree(t, map[string]string{"a.cfg": "a", "b.cfg": "b"})
	a, b := snapshotOf(t, s, filepath.Join(dir, "a.cfg")), snapshotOf(t, s, filepath.Join(dir, "b.cfg"))
	files, err := s.Files(t.Context(), a)
	if want := map[string]string{".": a}; err != nil || !cmp.Equal(files, want) {
		t.Errorf("got %v (%v), want %v", files, err, want)
	}
	readA, errA := s.ReadDigest(t.Context(), a, []string{"."})
	readB, errB := s.ReadDigest(t.Context(), b, []string{"."})
	if errA != nil || errB != nil || readA == readB {
		t.Errorf("two files are read as %s (%v) and %s (%v)", readA, errA, readB, errB)
	}
	if _, err := s.ReadDigest(t.Context(), snapshotOf(t, s, dir), []string{"."}); err == nil {
		t.Error("a folder was taken for a file")
	}
}

func TestManifestRoundTrip(t *testing.T) {
	s := openStore(t)
	digest := snapshotOf(t, s, tree(t, map[string]string{"a b\nc": "1", "d/é": "2"}))
	kept, err := s.entriesOf(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := parseDigest(digest)
	if err := os.WriteFile(s.manifestPath(d), []byte("wherry tree 1\nf lies"), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := s.entriesOf(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b entry) bool {
		return a.path == b.path && a.kind == b.kind && a.sum == b.sum && a.target == b.target
	}
	if !slices.EqualFunc(kept, read, same) || treeSum(kept).String() != digest {
		t.Errorf("kept %v, read %v", kept, read)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add("wherry tree 1\nd a\x00")
	f.Add("wherry tree 1\nl x\x00y\x00")
	f.Add("wherry tree 1\nf " + fmt.Sprintf("%064d", 0) + " a\x00")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := parseManifest(text)
		if err == nil && len(entries) > len(text) {
			t.Errorf("%d entries of %d bytes", len(entries), len(text))
		}
	})
}
