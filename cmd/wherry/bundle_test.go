package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/given"
)

// TestBundleProject: a wherry.yaml that names places elsewhere is changed in these,
// and images by digest get a name that needs no registry; else it stays as it is.
func TestBundleProject(t *testing.T) {
	dir := t.TempDir()
	text := "# mine\nmounts: [./src:/app:ro, /data/x:/x:ro] # two\nimages: {a: b}\n"
	at := filepath.Join(dir, "wherry.yaml")
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	files := func() *bundleFiles { return &bundleFiles{dir: t.TempDir(), base: dir} }
	got, err := files().projectText(at)
	if text := string(got); err != nil || !strings.Contains(text, ".outside/0-x:/x:ro") || !strings.Contains(text, "# two") || !strings.Contains(text, "src:/app:ro") {
		t.Errorf("%v\n%s", err, got)
	}
	pinned := files()
	pinned.pinned = map[string]string{"c@sha256:1": "sha256:2"}
	for _, name := range []string{at, filepath.Join(dir, "none", "wherry.yaml")} {
		got, err := pinned.projectText(name)
		var doc struct{ Images map[string]string }
		if err == nil {
			err = yaml.Unmarshal(got, &doc)
		}
		if err != nil || doc.Images["c@sha256:1"] != "sha256:2" {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	plain := "# mine\nmounts: [src:/app:ro]\n"
	if err := os.WriteFile(at, []byte(plain), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := files().projectText(at); err != nil || string(got) != plain {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestBundleSecrets: a secret's file or folder is left out, wherever it lies.
func TestBundleSecrets(t *testing.T) {
	src := t.TempDir()
	for _, name := range []string{"keep.txt", "token.env", "keys/one", "keys.txt"} {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := &bundleFiles{dir: t.TempDir(), base: src, secrets: []given.Ref{
		{Name: "token", From: filepath.Join(src, "token.env")}, {Name: "keys", From: filepath.Join(src, "keys")}, {Name: "v", From: "env:V"},
	}}
	if err := b.copyTree(t.Context(), src, src); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"keep.txt": true, "keys.txt": true, "token.env": false, "keys/one": false} {
		if _, err := os.Stat(filepath.Join(b.dir, name)); (err == nil) != want {
			t.Errorf("%s: in the bundle: %t", name, err == nil)
		}
	}
}

// TestBundleOfATrial: an experiment stays in its home, so that what is loaded is a run like others.
func TestBundleOfATrial(t *testing.T) {
	o := dag.RunOptions{Experiment: "sweep"}
	translateRun(&o, &dag.Pipeline{}, func(path string) string { return path })
	if o.Experiment != "" {
		t.Errorf("it is a trial of %q, which is not there", o.Experiment)
	}
}
