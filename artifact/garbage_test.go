package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// collect removes all that is garbage where only kept digests are referred to.
func collect(t testing.TB, s *Store, kept map[string]bool) (bytes int64) {
	t.Helper()
	parts, err := s.Garbage(t.Context(), func(d string) bool { return kept[d] })
	must(t, err)
	for _, p := range parts {
		gone, err := s.Discard(p, func(d string) (bool, error) { return kept[d], nil })
		must(t, err)
		if gone {
			bytes += p.Bytes
		}
	}
	return bytes
}

// left lists the files in the store.
func left(t testing.TB, s *Store) (files []string) {
	t.Helper()
	for _, dir := range []string{s.objects(), s.blobs(), s.tmp(), s.snapshots()} {
		must(t, each(t.Context(), dir, func(path string, st stat) error {
			if st.kind() != kindDir {
				files = append(files, path)
			}
			return nil
		}))
	}
	return files
}

func TestGarbage(t *testing.T) {
	s := open(t)
	one := add(t, s, filepath.Join(tree(t, map[string]string{"f": "one"}), "f"))
	output := tree(t, map[string]string{"a/b": "two", "run*": "x"})
	dir := add(t, s, output)
	must(t, os.RemoveAll(output)) // it has the same files
	source := tree(t, map[string]string{"main.py": "print(1)", "lib/x.py": "x"})
	old, _, err := s.Snapshot(t.Context(), source, SnapshotOptions{})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(source, "main.py"), []byte("print(2)"), 0o644))
	now, _, err := s.Snapshot(t.Context(), source, SnapshotOptions{})
	must(t, err)

	before, err := DiskUse(t.Context(), s.home)
	must(t, err)
	freed := collect(t, s, map[string]bool{one: true, now: true})
	after, err := DiskUse(t.Context(), s.home)
	must(t, err)
	if freed == 0 || max(before-after-freed, freed-before+after) > 10 { // shares are rounded
		t.Errorf("said to free %d bytes, freed %d", freed, before-after)
	}
	for _, d := range []string{one, now} {
		must(t, s.Verify(t.Context(), d))
	}
	for _, d := range []string{old, dir} {
		if _, err := s.Path(d); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", d, err)
		}
	}
	// lib/x.py and the new main.py; nothing has to be read again
	again, _, err := s.Snapshot(t.Context(), source, SnapshotOptions{})
	if must(t, err); again != now {
		t.Errorf("another digest: %s, %s", again, now)
	}
	must(t, os.RemoveAll(source))
	collect(t, s, nil)
	if files := left(t, s); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

// TestGarbageSpares: what a process at work has brought in, or found there, stays,
// until it is gone; so does what came on record since.
func TestGarbageSpares(t *testing.T) {
	s := open(t)
	name := filepath.Join(tree(t, map[string]string{"f": "one"}), "f")
	d := add(t, s, name)
	other, err := Open(s.home)
	must(t, err)
	must(t, other.Hold())
	if busy, err := s.InUse(); err != nil || !busy {
		t.Errorf("in use: %t, %v", busy, err)
	}
	parts, err := s.Garbage(t.Context(), func(string) bool { return false })
	must(t, err)
	if len(parts) != 1 || parts[0].Digest != d {
		t.Fatalf("parts %+v", parts)
	}
	add(t, other, name) // it is there already
	nothing := func(string) (bool, error) { return false, nil }
	if gone, err := s.Discard(parts[0], nothing); gone || err != nil {
		t.Fatalf("what another process has just found was removed (%v)", err)
	}
	must(t, other.Close())
	if gone, err := s.Discard(parts[0], func(string) (bool, error) { return true, nil }); gone || err != nil {
		t.Fatalf("what is on record by now was removed (%v)", err)
	}
	if gone, err := s.Discard(parts[0], nothing); !gone || err != nil {
		t.Fatalf("it stays: %v", err)
	}
	if busy, err := s.InUse(); err != nil || busy {
		t.Errorf("in use: %t, %v", busy, err)
	}
	if gone, err := s.Discard(parts[0], nothing); err != nil {
		t.Errorf("again: %t, %v", gone, err)
	}
}

// TestGarbageRace: processes bring in the same few objects, put them on record and
// end, while another collects. What is on record is in the store.
func TestGarbageRace(t *testing.T) {
	home := open(t).home
	dir := t.TempDir()
	var mu sync.Mutex
	record := map[string]bool{}
	onRecord := func(d string) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return record[d], nil
	}
	var work, sweep sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		work.Go(func() {
			for i := range 60 {
				s, err := Open(home)
				if err == nil {
					err = s.Hold()
				}
				name := filepath.Join(dir, fmt.Sprintf("%d-%d", w, i))
				if err == nil {
					err = os.WriteFile(name, fmt.Append(nil, rand.IntN(4)), 0o644)
				}
				if err != nil {
					t.Error(err)
					return
				}
				d, _, err := s.Add(t.Context(), name)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				record[d] = true
				if _, err := s.Path(d); err != nil {
					t.Errorf("put on record, and not there: %v", err)
				}
				mu.Unlock()
				s.Close()
				mu.Lock()
				if _, err := s.Path(d); err != nil && record[d] {
					t.Errorf("on record, and not there: %v", err)
				}
				if rand.IntN(2) == 0 {
					delete(record, d)
				}
				mu.Unlock()
			}
		})
	}
	removed := 0
	sweep.Go(func() {
		s, err := Open(home)
		for err == nil {
			select {
			case <-done:
				return
			default:
			}
			var parts []Part
			if parts, err = s.Garbage(t.Context(), func(string) bool { return false }); err != nil {
				break
			}
			for _, p := range parts {
				if p.Kind != PartObject {
					continue
				}
				var gone bool
				if gone, err = s.Discard(p, onRecord); gone {
					removed++
				}
			}
		}
		t.Error(err)
	})
	work.Wait()
	close(done)
	sweep.Wait()
	if removed == 0 {
		t.Error("nothing was ever removed: this tests nothing")
	}
}

// TestGarbageProperty: whatever was stored by any way, what is kept stays whole,
// and the rest is gone with all that belongs to it.
func TestGarbageProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Open(t.TempDir())
		must(t, err)
		stored := map[string]bool{}
		sources := []string{}
		for range rapid.IntRange(1, 6).Draw(rt, "operations") {
			dir, err := os.MkdirTemp(t.TempDir(), "d")
			must(t, err)
			fill(t, dir, drawTree(rt))
			var d string
			switch rapid.IntRange(0, 2).Draw(rt, "how") {
			case 0:
				d, _, err = s.Add(testContext, dir)
			case 1:
				d, _, err = s.Import(testContext, dir)
				sources = append(sources, dir) // it is remembered
			case 2:
				d, _, err = s.Snapshot(testContext, dir, SnapshotOptions{})
				sources = append(sources, dir)
			}
			if err != nil {
				rt.Fatal(err)
			}
			stored[d] = true
			kept := map[string]bool{}
			for _, d := range slices.Sorted(maps.Keys(stored)) {
				if rapid.Bool().Draw(rt, "kept") {
					kept[d] = true
				}
			}
			collect(t, s, kept)
			for d := range stored {
				err := s.Verify(testContext, d)
				if kept[d] && err != nil || !kept[d] && !errors.Is(err, fs.ErrNotExist) {
					rt.Fatalf("%s, kept %t: %v", d, kept[d], err)
				}
			}
			stored = kept
		}
		for _, dir := range sources {
			must(t, os.RemoveAll(dir))
		}
		collect(t, s, nil)
		if files := left(t, s); len(files) > 0 {
			rt.Fatalf("left: %v", files)
		}
	})
}
