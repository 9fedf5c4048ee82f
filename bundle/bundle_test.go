package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/bundle"
)

func quiet(string, int64) {}

// site is a WHERRY_HOME with a file, an executable and a folder in its store.
type site struct {
	home  *os.Root
	store *artifact.Store
	plan  *bundle.Plan
}

func newSite(t *testing.T) *site {
	t.Helper()
	home := t.TempDir()
	store, err := artifact.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &site{home: root, store: store, plan: &bundle.Plan{}}
}

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// full is a site with something of everything but images.
func full(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	dir := t.TempDir()
	file := write(t, dir+"/file", "a model", 0o644)
	tool := write(t, dir+"/tool", "#!/bin/sh\n", 0o755)
	write(t, dir+"/tree/sub/one.txt", "one", 0o644)
	write(t, dir+"/tree/run.sh", "run", 0o755)
	if err := os.Symlink("sub/one.txt", dir+"/tree/link"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, dir + "/tree"} {
		digest, _, err := s.store.Import(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		s.plan.Objects = append(s.plan.Objects, digest)
	}
	digest, _, err := s.store.Snapshot(t.Context(), tool, artifact.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.plan.Objects = append(s.plan.Objects, digest)
	write(t, s.home.Name()+"/logs/r1/1-1.log", "hello", 0o644)
	s.plan.LogPaths = []string{"logs/r1/1-1.log", "logs/r1/gone.log"}
	s.plan.Rows = []byte(`{"schema":1}`)
	s.plan.Folder = filepath.Dir(write(t, t.TempDir()+"/files/pipeline.yaml", "kind: Pipeline\n", 0o644))
	s.plan.Document.Pipeline = "p"
	return s
}

func (s *site) save(t *testing.T, path string) *bundle.Saved {
	t.Helper()
	saved, err := bundle.Save(t.Context(), path, s.plan, bundle.Source{Objects: s.store, Home: s.home}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// load loads a bundle, and returns the records and the files that it brought.
func (s *site) load(t *testing.T, path string) (records, files []byte, err error) {
	t.Helper()
	b, err := bundle.Open(t.Context(), path, quiet)
	if err != nil {
		return nil, nil, err
	}
	defer b.Close()
	in, err := s.store.NewIntake()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, err = b.Load(t.Context(), bundle.Machine{
		Objects: in, Home: s.home,
		Records: func(_ context.Context, text []byte) (func(context.Context) error, error) {
			return func(context.Context) error { records = text; return nil }, nil
		},
		Files: func(_ context.Context, r io.Reader) (func(context.Context) error, error) {
			text, err := io.ReadAll(r)
			return func(context.Context) error { files = text; return nil }, err
		},
	}, quiet)
	return records, files, err
}

// everything is what lies below a folder, as one text.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.Mode(), info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestThereAndBack: what was saved is there after a load, and a second load changes
// nothing.
func TestThereAndBack(t *testing.T) {
	from, to := full(t), newSite(t)
	path := t.TempDir() + "/b.tar"
	from.save(t, path)
	records, files, err := to.load(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if string(records) != `{"schema":1}` {
		t.Errorf("records are %q", records)
	}
	if !bytes.Contains(files, []byte("kind: Pipeline")) {
		t.Error("the files have not come")
	}
	for _, digest := range from.plan.Objects {
		if err := to.store.Verify(t.Context(), digest); err != nil {
			t.Error(err)
		}
	}
	if text, err := to.home.ReadFile("logs/r1/1-1.log"); err != nil || string(text) != "hello" {
		t.Errorf("the log is %q, %v", text, err)
	}
	before := everything(t, to.home.Name())
	if _, _, err := to.load(t, path); err != nil {
		t.Fatal(err)
	}
	if after := everything(t, to.home.Name()); after != before {
		t.Errorf("a second load changed\n%s\nto\n%s", before, after)
	}
}

// TestEveryByteCounts: a bundle that was changed anywhere, or cut anywhere, is refused
// whole.
func TestEveryByteCounts(t *testing.T) {
	from, to := full(t), newSite(t)
	path := t.TempDir() + "/b.tar"
	from.save(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := everything(t, to.home.Name())
	bad := filepath.Join(t.TempDir(), "bad.tar")
	refused := func(text []byte, what string) {
		t.Helper()
		write(t, bad, string(text), 0o644)
		var broken *bundle.BrokenError
		if _, _, err := to.load(t, bad); !errors.As(err, &broken) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := 0; i < len(whole); i += 13 {
		text := bytes.Clone(whole)
		text[i] ^= 1 << (i % 8)
		refused(text, fmt.Sprintf("byte %d of %d changed", i, len(whole)))
	}
	for n := 0; n < len(whole); n += 97 {
		refused(whole[:n], fmt.Sprintf("cut after %d of %d bytes", n, len(whole)))
	}
	refused(whole[:len(whole)-1], "without its last byte")
	refused(append(bytes.Clone(whole), 0), "with one byte more")
	if after := everything(t, to.home.Name()); after != before {
		t.Errorf("something was changed:\n%s\nwas\n%s", after, before)
	}
}

// TestSaveGoesOn: wherever a Save was cut short, the next one makes the same file.
func TestSaveGoesOn(t *testing.T) {
	from := full(t)
	path := t.TempDir() + "/b.tar"
	first := from.save(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := int64(0)
	for n := 0; n < len(whole); n += 211 {
		write(t, path+".partial", string(whole[:n]), 0o644)
		saved := from.save(t, path)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, whole) || saved.Digest != first.Digest {
			t.Fatalf("cut after %d bytes, it becomes another bundle", n)
		}
		kept = max(kept, saved.Kept)
	}
	if kept < int64(len(whole))/2 {
		t.Errorf("at most %d of %d bytes were kept", kept, len(whole))
	}
	// What is left of another bundle does not get into this one.
	other := full(t)
	other.plan.Rows = []byte(`{"schema":2}`)
	other.save(t, path+".other")
	if err := os.Rename(path+".other", path+".partial"); err != nil {
		t.Fatal(err)
	}
	from.save(t, path)
	if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
		t.Error("what was left of another bundle is in this one")
	}
	if _, err := os.Stat(path + ".partial"); !os.IsNotExist(err) {
		t.Error("the partial file is still there")
	}
}

// TestForgedArtifact: an artifact that is not what its digest says is refused, also
// where all digests of blobs are right.
func TestForgedArtifact(t *testing.T) {
	from, to := newSite(t), newSite(t)
	digest := "sha256:" + strings.Repeat("ab", 32)
	path := t.TempDir() + "/b.tar"
	from.plan.Objects = []string{digest}
	if _, err := bundle.Save(t.Context(), path, from.plan, bundle.Source{Objects: forger{}, Home: from.home}, quiet); err != nil {
		t.Fatal(err)
	}
	before := everything(t, to.home.Name())
	var broken *bundle.BrokenError
	if _, _, err := to.load(t, path); !errors.As(err, &broken) {
		t.Fatalf("it was taken: %v", err)
	}
	if after := everything(t, to.home.Name()); after != before {
		t.Errorf("something was changed:\n%s\nwas\n%s", after, before)
	}
}

type forger struct{}

func (forger) Export(_ context.Context, _ string, w io.Writer) (string, error) {
	_, err := io.WriteString(w, "something else")
	return artifact.File, err
}

// engine is one whose images lie in memory, in the form of docker save.
type engine struct {
	images map[string][]byte // archives by name
	ids    map[string]string
	saves  int
	loaded []byte
}

func (e *engine) SaveImage(_ context.Context, name string) (io.ReadCloser, error) {
	e.saves++
	return io.NopCloser(bytes.NewReader(e.images[name])), nil
}

func (e *engine) LoadImages(_ context.Context, r io.Reader) (err error) {
	e.loaded, err = io.ReadAll(r)
	return err
}

func (e *engine) ImageID(_ context.Context, name string) (string, error) { return e.ids[name], nil }

func archiveOf(t *testing.T, headers ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(headers); i += 2 {
		name, content := headers[i].(string), headers[i+1].(string)
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if to, ok := strings.CutPrefix(content, "-> "); ok {
			h = &tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
			content = ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestImages: layers that images share are written once, those that an older engine
// gives as links too; of an image that was written before nothing is read; and the
// engine gets what it gave.
func TestImages(t *testing.T) {
	base, top := strings.Repeat("base", 100_000), "top"
	e := &engine{ids: map[string]string{}, images: map[string][]byte{
		"old": archiveOf(t, "aa/layer.tar", base, "bb/layer.tar", "-> ../aa/layer.tar", "c1.json", `{"os":"linux"}`,
			"manifest.json", `[{"Config":"c1.json","RepoTags":["old:latest"],"Layers":["aa/layer.tar","bb/layer.tar"]}]`),
		"new": archiveOf(t, "blobs/sha256/"+digestHex(base), base, "blobs/sha256/"+digestHex(top), top, "blobs/sha256/"+digestHex(`{"os":"x"}`), `{"os":"x"}`,
			"manifest.json", `[{"Config":"blobs/sha256/`+digestHex(`{"os":"x"}`)+`","RepoTags":["new:latest"],"Layers":["blobs/sha256/`+digestHex(base)+`","blobs/sha256/`+digestHex(top)+`"]}]`),
	}}
	s := newSite(t)
	s.plan.Images = []bundle.Image{{Name: "new", ID: "sha256:" + digestHex(`{"os":"x"}`)}, {Name: "old", ID: "sha256:" + digestHex(`{"os":"linux"}`)}}
	path := t.TempDir() + "/b.tar"
	save := func() {
		t.Helper()
		if _, err := bundle.Save(t.Context(), path, s.plan, bundle.Source{Engine: e, Objects: s.store, Home: s.home}, quiet); err != nil {
			t.Fatal(err)
		}
	}
	save()
	info, err := os.Stat(path)
	if err != nil || info.Size() > int64(len(base))+20_000 {
		t.Errorf("it has %d bytes (%v): the shared layer of %d is not shared", info.Size(), err, len(base))
	}
	whole, _ := os.ReadFile(path)
	write(t, path+".partial", string(whole[:len(whole)-2000]), 0o644)
	e.saves = 0
	save()
	if e.saves != 0 {
		t.Errorf("%d images were read again", e.saves)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, whole) {
		t.Error("the bundle has become another one")
	}
	b, err := bundle.Open(t.Context(), path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	to := newSite(t)
	in, err := to.store.NewIntake()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// This engine forgets what it loads: that is seen.
	_, err = b.Load(t.Context(), bundle.Machine{Engine: e, Objects: in, Home: to.home}, quiet)
	if err == nil || !strings.Contains(err.Error(), "does not have it") {
		t.Errorf("an engine that has not kept the image was believed: %v", err)
	}
	r := tar.NewReader(bytes.NewReader(e.loaded))
	sizes := map[string]int64{}
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		sizes[h.Name] = h.Size
	}
	if sizes["blobs/sha256/"+digestHex(base)] != int64(len(base)) || sizes["manifest.json"] == 0 || sizes["index.json"] == 0 {
		t.Errorf("the engine was given %v", sizes)
	}
}

func digestHex(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
