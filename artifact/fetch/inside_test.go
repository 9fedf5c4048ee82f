package fetch

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newJob is a job that fetches into dir.
func newJob(t *testing.T, dir string) *job {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &job{uri: "s3://b/k", dir: root, name: "got", meter: newMeter(nil)}
}

// Names from elsewhere are anybody's text.
func TestNamesStayInside(t *testing.T) {
	j := newJob(t, t.TempDir())
	for _, rel := range []string{"../x", "a/../../x", "/etc/x", "a//b", "./a", "a/", ".", "..", "", "a/../b"} {
		if at, err := j.place(rel); err == nil || !strings.HasPrefix(err.Error(), "import s3://b/k: ") {
			t.Errorf("%q is placed at %s, %v", rel, at, err)
		}
	}
	for _, rel := range []string{"a", "a/b", "..a", "a..", "a/..b", "ü/ x", "a\\b"} {
		if at, err := j.place(rel); err != nil || at != "got/"+rel {
			t.Errorf("%q is placed at %s, %v", rel, at, err)
		}
	}
}

// A link in an archive that leads out of the folder is kept as a link, and nothing
// is written through it.
func TestArchivesStayInside(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20) + strings.TrimPrefix(outside, "/")
	for _, entries := range [][]tar.Header{
		{{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}, {Typeflag: tar.TypeReg, Name: "out/evil"}},
		{{Typeflag: tar.TypeSymlink, Name: "out", Linkname: up}, {Typeflag: tar.TypeReg, Name: "out/evil"}},
		{{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}, {Typeflag: tar.TypeDir, Name: "out/evil"}},
		{{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}, {Typeflag: tar.TypeLink, Name: "stolen", Linkname: "out/secret"}},
		{{Typeflag: tar.TypeLink, Name: "stolen", Linkname: up + "/secret"}},
		{{Typeflag: tar.TypeSymlink, Name: "evil", Linkname: outside + "/evil"}, {Typeflag: tar.TypeReg, Name: "evil"}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		_, err := newJob(t, dir).untar(t.Context(), &b, "")
		if err == nil {
			t.Errorf("%s %s was unpacked", entries[0].Name, entries[0].Linkname)
		}
		if left, _ := os.ReadDir(outside); len(left) != 1 {
			t.Fatalf("%v outside, by %+v", left, entries)
		}
		if fi, err := os.Lstat(filepath.Join(dir, "got", "stolen")); err == nil && fi.Mode().IsRegular() {
			t.Errorf("a file of this machine was linked by %+v", entries)
		}
	}
	// A name that leads up stays below: as in a container, whose root has no parent.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "../../up"}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	dir := t.TempDir()
	if _, err := newJob(t, dir).untar(t.Context(), &b, ""); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "got", "up")); err != nil {
		t.Error(err)
	}
}

func TestNetrc(t *testing.T) {
	const text = `# mine
machine a.example login zoe password hush
macdef init
machine b.example login evil password evil

machine	b.example
  password "pass word"
  account x login bob
default login anyone password none
`
	for host, want := range map[string]string{
		"a.example": "zoe hush true", "A.Example": "zoe hush true", "b.example": "bob pass word true", "c.example": "anyone none true", "login": "anyone none true",
	} {
		login, password, ok := lookUpNetrc(text, host)
		if got := fmt.Sprint(login, " ", password, " ", ok); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	for _, text := range []string{"", "machine", "machine b login x password y", "login x password y", "default", "machine b login"} {
		if login, password, ok := lookUpNetrc(text, "a"); ok && login+password != "" {
			t.Errorf("%q: %s %s", text, login, password)
		}
	}
}
