package artifact

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// old makes a tree look as if it had been written a while ago.
func old(t testing.TB, dir string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, then, then)
	}))
}

// TestCheckFindsDamage: an object that was changed after it was stored is found when it
// is to be used, is gone afterwards, and can be stored anew.
func TestCheckFindsDamage(t *testing.T) {
	write := func(text string) func(t *testing.T, p string) {
		return func(t *testing.T, p string) { must(t, os.WriteFile(p, []byte(text), 0o644)) }
	}
	for name, damage := range map[string]func(t *testing.T, p string){
		"longer":    write("the rows, and more"),
		"truncated": write("the"),
		"same size": write("ThE RoWs"),
		"replaced, with its old time": func(t *testing.T, p string) {
			fi, err := os.Stat(p)
			must(t, err)
			must(t, os.WriteFile(p+".new", []byte("ThE RoWs"), 0o644))
			must(t, os.Chtimes(p+".new", fi.ModTime(), fi.ModTime()))
			must(t, os.Rename(p+".new", p))
		},
		"in a folder": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			src, at := tree(t, map[string]string{"rows": "the rows"}), "rows"
			again := tree(t, map[string]string{"rows": "the rows"})
			old(t, src)
			if damage == nil {
				at, damage = ".", func(t *testing.T, p string) { write("ThE RoWs")(t, filepath.Join(p, "rows")) }
			}
			d := add(t, s, filepath.Join(src, at))
			must(t, s.Check(t.Context(), d))
			p, err := s.Path(d)
			must(t, err)
			damage(t, p)
			err = s.Check(t.Context(), d)
			if c, ok := errors.AsType[*CorruptError](err); !ok || !c.Removed || c.Hint() == "" {
				t.Fatalf("Check: %v", err)
			}
			if err := s.Check(t.Context(), d); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("afterwards: %v", err)
			}
			if now := add(t, s, filepath.Join(again, at)); now != d {
				t.Errorf("stored anew as %s", now)
			}
			must(t, s.Check(t.Context(), d))
		})
	}
}

// TestCheckReadsOnce: what looks as it did is not read again.
func TestCheckReadsOnce(t *testing.T) {
	s := open(t)
	src := tree(t, map[string]string{"rows": "the rows"})
	old(t, src)
	d := add(t, s, filepath.Join(src, "rows"))
	p, err := s.Path(d)
	must(t, err)
	fi, err := os.Stat(p)
	must(t, err)
	must(t, os.WriteFile(p, []byte("ThE RoWs"), 0o644)) // a failing disk changes no time
	must(t, os.Chtimes(p, fi.ModTime(), fi.ModTime()))
	must(t, s.Check(t.Context(), d))
	if _, ok := errors.AsType[*CorruptError](s.Verify(t.Context(), d)); !ok {
		t.Error("Verify reads everything")
	}
	if list, err := s.Digests(); err != nil || len(list) != 1 || list[0] != d {
		t.Error(list, err)
	}
	if err := s.Check(t.Context(), d); err == nil {
		t.Error("Check does not find what Verify has found")
	}
}

// TestCheckOfAnOlderStore: of an object that was stored before anything was remembered,
// what is small is read; and put away, it is found to be damaged by Add.
func TestCheckOfAnOlderStore(t *testing.T) {
	s := open(t)
	src, again := tree(t, map[string]string{"rows": "the rows"}), tree(t, map[string]string{"rows": "the rows"})
	old(t, src)
	d := add(t, s, filepath.Join(src, "rows"))
	sum, err := parseDigest(d)
	must(t, err)
	must(t, os.Remove(s.sealPath(sum)))
	must(t, s.Check(t.Context(), d))
	if _, err := os.Stat(s.sealPath(sum)); err != nil {
		t.Error("it is not remembered:", err)
	}
	p, err := s.Path(d)
	must(t, err)
	must(t, os.WriteFile(p, []byte("ThE RoWs"), 0o644)) // the same size: only its content tells
	add(t, s, filepath.Join(again, "rows"))
}

func BenchmarkCheck(b *testing.B) {
	s := open(b)
	src := tree(b, map[string]string{"rows": "the rows"})
	old(b, src)
	d := add(b, s, filepath.Join(src, "rows"))
	for b.Loop() {
		must(b, s.Check(b.Context(), d))
	}
}
