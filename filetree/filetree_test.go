package filetree_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wherry-ml/wherry/filetree"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A tree goes also where a program took its own right to write; for root there is
// none to take, and it goes at once.
func TestRemoveAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a/b/c"), nil, 0o400))
	for _, name := range []string{"a/b", "a", ""} {
		must(t, os.Chmod(filepath.Join(dir, name), 0o500))
	}
	must(t, filetree.RemoveAll(dir))
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	must(t, filetree.RemoveAll(dir)) // it is not there
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	must(t, os.WriteFile(from, []byte("cargo"), 0o500))
	must(t, os.MkdirAll(filepath.Join(to, "in the way"), 0o755))
	must(t, filetree.Copy(from, to, func(m fs.FileMode) fs.FileMode { return m | 0o200 }))
	text, err := os.ReadFile(to)
	info, err2 := os.Stat(to)
	if err != nil || err2 != nil || string(text) != "cargo" || info.Mode() != 0o700 {
		t.Errorf("%q, %v, %v, %v", text, info.Mode(), err, err2)
	}
	if err := filetree.Copy(filepath.Join(dir, "none"), to, func(m fs.FileMode) fs.FileMode { return m }); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("it took away what was there: %v", err)
	}
}
