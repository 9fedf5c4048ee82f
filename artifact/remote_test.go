package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact/fetch"
	"github.com/wherry-ml/wherry/artifact/fetch/fetchtest"
)

// What is fetched is stored as if it had been imported from this machine, and
// nothing is left beside it.
func TestFetch(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	dir := t.TempDir()
	for name, text := range map[string]string{"a.csv": "1,2", "tree/config.json": "{}", "tree/sub/weights": strings.Repeat("w", 1<<20)} {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	web, registry := fetchtest.HTTP(t, dir), fetchtest.Registry(t)
	fetchtest.PushFiles(t, registry, "car", map[string]string{"config.json": "{}", "sub/weights": strings.Repeat("w", 1<<20)})
	for uri, local := range map[string]string{
		web.URL + "/a.csv":                  "a.csv",
		"oci://" + registry.Host() + "/car": "tree",
		dir + "/tree":                       "tree",
		"file://" + dir + "/a.csv":          "a.csv",
	} {
		digest, size, err := s.Fetch(t.Context(), uri, nil)
		want, wantSize, err2 := s.Import(t.Context(), filepath.Join(dir, local))
		if err != nil || err2 != nil || digest != want || size != wantSize {
			t.Errorf("%s: %s, %d, %v; %s is %s, %d, %v", uri, digest, size, err, local, want, wantSize, err2)
		}
	}
	if left, err := os.ReadDir(s.tmp()); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	_, _, err = s.Fetch(t.Context(), "wherry-test://x/y", nil)
	if e, ok := errors.AsType[*fetch.UnknownSchemeError](err); !ok || e.Scheme != "wherry-test" {
		t.Error(err)
	}
}

// A fetch that is broken off leaves nothing behind.
func TestFetchCanceled(t *testing.T) {
	stop := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<20))
		io.WriteString(w, strings.Repeat("x", 1<<19))
		w.(http.Flusher).Flush()
		<-stop
	}))
	defer web.Close()
	defer close(stop)
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err = s.Fetch(ctx, web.URL, func(done, _ int64) {
		if left, _ := os.ReadDir(s.tmp()); len(left) != 1 {
			t.Errorf("being made: %v", left)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, dir := range []string{s.tmp(), s.objects()} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}
