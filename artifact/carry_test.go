package artifact_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact"
)

// TestUnpackStaysInside: nothing is made outside of the folder, whatever the archive
// says.
func TestUnpackStaysInside(t *testing.T) {
	dir := func(name string) *tar.Header { return &tar.Header{Name: name, Typeflag: tar.TypeDir} }
	file := func(name string) *tar.Header { return &tar.Header{Name: name, Typeflag: tar.TypeReg} }
	link := func(name, to string) *tar.Header {
		return &tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	for name, headers := range map[string][]*tar.Header{
		"a way up":               {file("../out")},
		"a way up in the middle": {dir("a/"), file("a/../../out")},
		"from the root":          {file("/out")},
		"without its folder":     {file("a/b")},
		"through a link":         {link("a", ".."), file("a/out")},
		"through a link inside":  {dir("b/"), link("a", "b"), file("a/out")},
		"twice":                  {file("a"), file("a")},
		"over a link":            {link("a", "b"), file("a")},
		"a device":               {{Name: "a", Typeflag: tar.TypeChar}},
		"a hard link":            {{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}},
		"a link out":             {link("a", "../x")},
		"a link to the root":     {link("a", "/etc/passwd")},
		"a link out from below":  {dir("b/"), link("b/a", "../../x")},
		"the folder itself":      {dir("./")},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		parent := t.TempDir()
		root := openRoot(t, filepath.Join(parent, "in"))
		if err := artifact.Unpack(t.Context(), root, &b, true); err == nil {
			t.Errorf("%s: it was unpacked", name)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
			t.Errorf("%s: beside the folder there is %v, %v", name, left, err)
		}
	}
}

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestIntake: objects of all kinds come as they were, all of them or none; links that
// lead out are part of an artifact.
func TestIntake(t *testing.T) {
	from, to := newPlain(t), newPlain(t)
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/tree/"+strings.Repeat("deep/", 40), 0o755))
	must(t, os.WriteFile(dir+"/tree/run.sh", []byte("run"), 0o755))
	must(t, os.WriteFile(dir+"/tree/empty", nil, 0o644))
	must(t, os.Symlink("/nowhere", dir+"/tree/out"))
	must(t, os.WriteFile(dir+"/file", []byte("a model"), 0o644))
	in, err := to.NewIntake()
	must(t, err)
	defer in.Close()
	var digests []string
	for _, name := range []string{"tree", "file"} {
		digest, _, err := from.Import(t.Context(), dir+"/"+name)
		must(t, err)
		var one, two bytes.Buffer
		kind, err := from.Export(t.Context(), digest, &one)
		must(t, err)
		_, err = from.Export(t.Context(), digest, &two)
		must(t, err)
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("%s: two exports differ", name)
		}
		must(t, in.Take(t.Context(), digest, kind, &one))
		if _, err := to.Path(digest); err == nil {
			t.Errorf("%s is there before Commit", name)
		}
		digests = append(digests, digest)
	}
	bad := "sha256:" + strings.Repeat("0", 64)
	var corrupt *artifact.CorruptError
	if err := in.Take(t.Context(), bad, artifact.File, strings.NewReader("x")); !errors.As(err, &corrupt) {
		t.Errorf("what is not its digest was taken: %v", err)
	}
	must(t, in.Commit(t.Context()))
	for _, digest := range digests {
		must(t, to.Verify(t.Context(), digest))
	}
	if _, err := to.Path(bad); err == nil {
		t.Error("what was refused is there")
	}
	// A damaged object does not leave.
	p, err := from.Path(digests[1])
	must(t, err)
	must(t, os.Chmod(p, 0o644))
	must(t, os.WriteFile(p, []byte("b model"), 0o644))
	if _, err := from.Export(t.Context(), digests[1], &bytes.Buffer{}); !errors.As(err, &corrupt) {
		t.Errorf("a damaged object was exported: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newPlain(t *testing.T) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.TempDir())
	must(t, err)
	return s
}
