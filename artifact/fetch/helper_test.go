package fetch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/artifact/fetch"
)

// fetched fetches uri into a new folder and returns what came, by path: a file that
// the URI itself names has the path ".", a link is "-> " and where it leads, and an
// executable file ends with " (x)". Nothing may lie beside it.
func fetched(t *testing.T, uri string) (map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	fetchErr := fetch.Fetch(t.Context(), uri, root, "got", fetch.Options{})
	if all, _ := os.ReadDir(dir); len(all) > 1 || len(all) == 1 && all[0].Name() != "got" {
		t.Errorf("%s left %q", uri, all)
	}
	files, at := map[string]string{}, filepath.Join(dir, "got")
	err = filepath.WalkDir(at, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(at, p)
		if to, err := os.Readlink(p); err == nil {
			files[rel] = "-> " + to
			return nil
		}
		data, err := os.ReadFile(p)
		files[rel] = string(data)
		if fi, e := d.Info(); e == nil && fi.Mode()&0o100 != 0 {
			files[rel] += " (x)"
		}
		return err
	})
	if err != nil && fetchErr == nil {
		t.Errorf("%s: %v", uri, err)
	}
	return files, fetchErr
}

// check fetches uri and compares what came, or the error and its mend, one line.
func check(t *testing.T, uri string, want map[string]string, problem string) {
	t.Helper()
	got, err := fetched(t, uri)
	if problem != "" {
		hint := ""
		if h, ok := err.(interface{ Hint() string }); ok {
			hint = h.Hint()
		}
		if text := fmt.Sprintf("%v; try: %s", err, hint); !strings.Contains(text, problem) || strings.Contains(text, "\n") {
			t.Errorf("%s: %s\nwant %s", uri, text, problem)
		}
		return
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: %v (-want +got):\n%s", uri, err, diff)
	}
}
