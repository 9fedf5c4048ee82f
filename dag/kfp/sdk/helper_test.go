package sdk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
)

// testEnv is the virtualenv with kfp that scripts/kfp-env.sh makes.
func testEnv(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("WHERRY_TEST_KFP")
	if dir == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		dir = filepath.Join(cache, "wherry", "kfp-"+Version)
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "python")); err != nil {
		t.Fatalf("no virtualenv with kfp: %v; `make kfp` makes it", err)
	}
	return dir
}

// write writes files below a new folder, and returns that folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// said collects what a person is told.
type said struct {
	notes  []string
	stderr bytes.Buffer
}

// options are those for a file with an environment and nothing else.
func options(t testing.TB, file, env string) (Options, *said) {
	t.Helper()
	s := &said{}
	return Options{
		File: file, Home: t.TempDir(), Stderr: &s.stderr,
		Getenv: func(name string) string {
			if name == "VIRTUAL_ENV" {
				return env
			}
			return ""
		},
		Note: func(text string) { s.notes = append(s.notes, text) },
	}, s
}

// wantError asserts an error with this place (from the file's folder on; without a
// column any will do), and these parts of message and advice.
func wantError(t testing.TB, err error, dir, place, msg, mend string) {
	t.Helper()
	var e *source.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *source.Error", err)
	}
	text := strings.ReplaceAll(e.Error(), dir+"/", "")
	there := strings.HasPrefix(text, place+": ") || strings.Contains(place, ":") && strings.HasPrefix(text, place+":")
	if !there || !strings.Contains(e.Msg, msg) {
		t.Errorf("got  %s\nwant %s: …%s", text, place, msg)
	}
	if !strings.Contains(e.Mend, mend) || mend == "" && e.Mend != "" {
		t.Errorf("got try: %s\nwant try: …%s", e.Mend, mend)
	}
	if e.Pos.Line > 0 && e.Excerpt(100) == "" {
		t.Errorf("%s: the line itself is not shown", text)
	}
}
