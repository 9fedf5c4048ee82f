package artifact

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree makes files below a new directory. A name that ends in / is a directory,
// one with a * is executable, and "@target" is a symbolic link.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	fill(t, dir, files)
	return dir
}

func fill(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	for name, content := range files {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, "*") {
			name, mode = strings.TrimSuffix(name, "*"), 0o755
		}
		at := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(at, 0o755))
		case strings.HasPrefix(content, "@"):
			must(t, os.Symlink(content[1:], at))
		default:
			must(t, os.WriteFile(at, []byte(content), mode))
			must(t, os.Chmod(at, mode))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, s *Store, path string) string {
	t.Helper()
	d, _, err := s.Add(t.Context(), path)
	must(t, err)
	must(t, s.Verify(t.Context(), d))
	return d
}

// noLitter checks that nothing is left in artifacts/tmp.
func noLitter(t testing.TB, s *Store) {
	t.Helper()
	left, err := os.ReadDir(s.tmp())
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%s is not empty: %v", s.tmp(), left)
	}
}

func TestAddFile(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"model*": "weights"})
	name := filepath.Join(dir, "model")
	d, size, err := s.Add(t.Context(), name)
	must(t, err)
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("weights"))); d != want || size != 7 {
		t.Errorf("Add = %s, %d; want %s, 7", d, size, want)
	}
	p, err := s.Path(d)
	must(t, err)
	if want := filepath.Join(s.home, "artifacts/sha256", d[7:9], d[7:]); p != want {
		t.Errorf("Path = %s, want %s", p, want)
	}
	a, _ := os.Stat(name)
	b, _ := os.Stat(p)
	if !os.SameFile(a, b) {
		t.Error("the file was copied, not linked")
	}
	if b.Mode() != 0o444 {
		t.Errorf("mode = %v, want 0444", b.Mode())
	}
	for range 2 { // again, and again without the original's other name
		if again := add(t, s, name); again != d {
			t.Errorf("again = %s, want %s", again, d)
		}
	}
	must(t, os.Remove(name))
	must(t, s.Verify(t.Context(), d))
	noLitter(t, s)
}

func TestAddDirectory(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{
		"a.txt": "a", "bin/run*": "#!/bin/sh", "empty/": "", "link": "@a.txt", "away": "@/etc/passwd",
		"bin.txt": "sorted between bin and bin/run", "odd\nname\xff": "x",
	})
	d, size, err := s.Add(t.Context(), dir)
	must(t, err)
	if want := int64(1 + 9 + 30 + 1); size != want {
		t.Errorf("size = %d, want %d", size, want)
	}
	must(t, s.Verify(t.Context(), d))
	must(t, os.RemoveAll(dir))
	must(t, s.Verify(t.Context(), d))
	p, _ := s.Path(d)
	for name, want := range map[string]fs.FileMode{"a.txt": 0o444, "bin/run": 0o555, "empty": fs.ModeDir | 0o755, ".": fs.ModeDir | 0o755} {
		if fi, err := os.Stat(filepath.Join(p, name)); err != nil || fi.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, fi.Mode(), err, want)
		}
	}
	for name, want := range map[string]string{"link": "a.txt", "away": "/etc/passwd"} {
		if got, err := os.Readlink(filepath.Join(p, name)); got != want {
			t.Errorf("%s leads to %q, %v; want %q", name, got, err, want)
		}
	}
	noLitter(t, s)
}

func TestAddDamagedIsReplaced(t *testing.T) {
	for _, damage := range []string{"truncate", "remove", "kind"} {
		t.Run(damage, func(t *testing.T) {
			s := open(t)
			files := map[string]string{"a": "one", "b/c": "two"}
			d := add(t, s, tree(t, files))
			p, _ := s.Path(d)
			switch damage {
			case "truncate":
				must(t, os.Truncate(filepath.Join(p, "b/c"), 1))
			case "remove":
				must(t, os.Remove(filepath.Join(p, "a")))
			case "kind":
				must(t, os.RemoveAll(p))
				must(t, os.WriteFile(p, nil, 0o444))
			}
			if _, ok := errors.AsType[*CorruptError](s.Verify(t.Context(), d)); !ok {
				t.Error("Verify does not see it")
			}
			if again := add(t, s, tree(t, files)); again != d {
				t.Errorf("again = %s, want %s", again, d)
			}
			noLitter(t, s)
		})
	}
}

func TestAddTopLevelLink(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"real/model": "m", "plain": "p", "in": "@real", "chain": "@in", "out": "@../x", "self": "@.", "loop": "@loop", "gone": "@nothing"})
	must(t, os.Symlink(filepath.Join(dir, "plain"), filepath.Join(dir, "absolute")))
	must(t, os.Symlink("/etc/hostname", filepath.Join(dir, "etc")))
	fill(t, filepath.Join(dir, "real"), map[string]string{"up": "@../plain"})
	want := map[string]string{"chain": add(t, s, filepath.Join(dir, "real")), "absolute": add(t, s, filepath.Join(dir, "plain"))}
	want["in"] = want["chain"]
	for name, d := range want {
		if got := add(t, s, filepath.Join(dir, name)); got != d {
			t.Errorf("%s: %s, want %s", name, got, d)
		}
	}
	for _, name := range []string{"out", "self", "etc"} {
		_, _, err := s.Add(t.Context(), filepath.Join(dir, name))
		if _, ok := errors.AsType[*EscapeError](err); !ok {
			t.Errorf("%s: %v, want an *EscapeError", name, err)
		}
	}
	if _, _, err := s.Add(t.Context(), filepath.Join(dir, "loop")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("loop: %v, want ELOOP", err)
	}
	if _, _, err := s.Add(t.Context(), filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone: %v, want fs.ErrNotExist", err)
	}
	// An intermediate link that leads out, too.
	must(t, os.Symlink("/etc", filepath.Join(dir, "d")))
	must(t, os.Symlink("d/hostname", filepath.Join(dir, "via")))
	if d, _, err := s.Add(t.Context(), filepath.Join(dir, "via")); err == nil {
		t.Errorf("via: %s, want an error", d)
	}
	noLitter(t, s)
}

func TestAddSpecialFile(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"sub/a": "a"})
	must(t, unix.Mkfifo(filepath.Join(dir, "sub/pipe"), 0o644))
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	must(t, err)
	defer l.Close()
	for name, want := range map[string]string{
		"sub":      dir + "/sub/pipe is a named pipe",
		"sub/pipe": dir + "/sub/pipe is a named pipe",
		"sock":     dir + "/sock is a socket",
	} {
		_, _, err := s.Add(t.Context(), filepath.Join(dir, name))
		if _, ok := errors.AsType[*SpecialFileError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestAddLinkedElsewhereIsCopied(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"mine": "v1"})
	out := filepath.Join(dir, "out")
	must(t, os.Link(filepath.Join(dir, "mine"), out))
	d := add(t, s, out)
	must(t, os.WriteFile(filepath.Join(dir, "mine"), []byte("v2"), 0))
	must(t, s.Verify(t.Context(), d))
}

func TestPath(t *testing.T) {
	s := open(t)
	for _, bad := range []string{"", "sha256:", "sha256:../../../etc/passwd", "md5:" + strings.Repeat("a", 64),
		"sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("g", 64), "sha256:" + strings.Repeat("a", 63)} {
		if _, err := s.Path(bad); !is[*DigestError](err) {
			t.Errorf("Path(%q): %v, want a *DigestError", bad, err)
		}
	}
	none := "sha256:" + strings.Repeat("a", 64)
	if _, err := s.Path(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Path: %v, want fs.ErrNotExist", err)
	}
	if err := s.Verify(t.Context(), none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Verify: %v, want fs.ErrNotExist", err)
	}
}

func is[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

func TestVerifyFindsFlippedBit(t *testing.T) {
	s := open(t)
	d := add(t, s, tree(t, map[string]string{"a": "one", "b": "two"}))
	p, _ := s.Path(d)
	must(t, os.WriteFile(filepath.Join(p, "b"), []byte("tvo"), 0)) // root may
	if err := s.Verify(t.Context(), d); !is[*CorruptError](err) {
		t.Errorf("Verify: %v, want a *CorruptError", err)
	}
}

func TestLink(t *testing.T) {
	s := open(t)
	for _, what := range []string{"file", "dir"} {
		t.Run(what, func(t *testing.T) {
			out := filepath.Join(s.home, "runs", "1", what)
			if what == "file" {
				fill(t, filepath.Dir(out), map[string]string{"file": "content"})
			} else {
				fill(t, out, map[string]string{"a": "content", "b/c": "d"})
			}
			d := add(t, s, out)
			for range 2 {
				must(t, s.Link(d, out))
				if again := add(t, s, out); again != d {
					t.Errorf("Add of the link = %s, want %s", again, d)
				}
			}
			target, err := os.Readlink(out)
			must(t, err)
			if filepath.IsAbs(target) {
				t.Errorf("the link is absolute: %s", target)
			}
			p, _ := s.Path(d)
			a, _ := os.Stat(out)
			if b, _ := os.Stat(p); !os.SameFile(a, b) {
				t.Errorf("%s does not lead to %s", out, p)
			}
			must(t, s.Verify(t.Context(), d))
		})
	}
	noLitter(t, s)
}

func TestLinkThroughSymlinkedFolder(t *testing.T) {
	s := open(t)
	d := add(t, s, tree(t, map[string]string{"a": "b"}))
	real := filepath.Join(t.TempDir(), "deep/er/still")
	must(t, os.MkdirAll(real, 0o755))
	alias := filepath.Join(t.TempDir(), "alias")
	must(t, os.Symlink(real, alias))
	must(t, s.Link(d, filepath.Join(alias, "x")))
	if data, err := os.ReadFile(filepath.Join(alias, "x", "a")); string(data) != "b" {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestLinkRefusesOthersDirectories(t *testing.T) {
	s := open(t)
	d := add(t, s, tree(t, map[string]string{"a": "b"}))
	theirs := tree(t, map[string]string{"precious": "data"})
	for _, at := range []string{theirs, s.objects(), filepath.Join(s.objects(), "x"), s.home} {
		if err := s.Link(d, at); err == nil {
			t.Errorf("Link(%s) replaced it", at)
		}
	}
	if _, err := os.Stat(filepath.Join(theirs, "precious")); err != nil {
		t.Error(err)
	}
}

func TestRemove(t *testing.T) {
	s := open(t)
	d := add(t, s, tree(t, map[string]string{"a/b/c": "d"}))
	for range 2 {
		must(t, s.Remove(d))
		if _, err := s.Path(d); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Path after Remove: %v", err)
		}
	}
	if err := s.Remove("sha256:.."); !is[*DigestError](err) {
		t.Errorf("Remove: %v, want a *DigestError", err)
	}
	noLitter(t, s)
}

func TestImport(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"data.csv": "1,2", "with space": "x", "sub/a*": "b"})
	want := add(t, open(t), tree(t, map[string]string{"sub/a*": "b"})+"/sub")
	for _, uri := range []string{dir + "/sub", "file://" + dir + "/sub", "file://localhost" + dir + "/./sub/"} {
		d, size, err := s.Import(t.Context(), uri)
		must(t, err)
		if d != want || size != 1 {
			t.Errorf("Import(%s) = %s, %d; want %s, 1", uri, d, size, want)
		}
	}
	d, _, err := s.Import(t.Context(), "file://"+dir+"/with%20space")
	must(t, err)
	p, _ := s.Path(d)
	if fi, _ := os.Stat(filepath.Join(dir, "with space")); fi.Mode() != 0o644 || fi.Sys() == nil {
		t.Errorf("the person's file is now %v", fi.Mode())
	}
	must(t, os.WriteFile(filepath.Join(dir, "with space"), []byte("y"), 0o644))
	must(t, s.Verify(t.Context(), d))
	if d2, _, err := s.Import(t.Context(), p); err != nil || d2 != d {
		t.Errorf("Import of an object = %s, %v; want %s", d2, err, d)
	}
	t.Chdir(dir)
	if _, _, err := s.Import(t.Context(), "data.csv"); err != nil {
		t.Error(err)
	}
	noLitter(t, s)
}

func TestImportErrors(t *testing.T) {
	s := open(t)
	_, _, err := s.Import(t.Context(), "s3://me:secret@bucket/key")
	if e, ok := errors.AsType[*UnsupportedSchemeError](err); !ok || e.Scheme != "s3" || strings.Contains(err.Error(), "secret") {
		t.Errorf("s3: %v", err)
	}
	if _, _, err := s.Import(t.Context(), "/no/such/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for _, uri := range []string{"", "file://data/x.csv"} {
		if _, _, err := s.Import(t.Context(), uri); err == nil {
			t.Errorf("Import(%q) succeeded", uri)
		}
	}
}
