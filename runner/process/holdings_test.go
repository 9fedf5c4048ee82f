package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// TestHoldings: an environment that is not in use goes, one that was used since it
// was listed stays, and one that nobody finishes is listed as a build.
func TestHoldings(t *testing.T) {
	dir := t.TempDir()
	b, err := New(Config{Home: "h", Dir: dir, Supervisor: []string{"/bin/true"}})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.makeDirs())
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, name := range []string{"done", "half"} {
		must(os.MkdirAll(filepath.Join(b.venvs(), name, "lib"), 0o755))
		must(os.WriteFile(filepath.Join(b.venvs(), name, "lib", "x.py"), make([]byte, 5000), 0o444))
		must(os.Chmod(filepath.Join(b.venvs(), name, "lib"), 0o555))
	}
	mark := filepath.Join(b.venvs(), "done", completeMark)
	must(os.WriteFile(mark, nil, 0o644))
	must(os.Chtimes(mark, at, at))
	must(os.MkdirAll(b.named("wherry-h-claim-x"), 0o755))

	list, err := b.Holdings(t.Context(), true)
	must(err)
	got := map[string]runner.Holding{}
	for _, h := range list {
		got[h.ID] = h
	}
	done, half, volume := got["done"], got["half"], got["wherry-h-claim-x"]
	if done.Kind != runner.HoldingEnvironment || !done.Used.Equal(at) || done.Bytes < 5000 || done.Busy ||
		half.Kind != runner.HoldingBuild || volume.Kind != runner.HoldingVolume || len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	now := time.Now()
	must(os.Chtimes(mark, now, now)) // a use
	if gone, err := b.Discard(t.Context(), done); gone || err != nil || !complete(filepath.Join(b.venvs(), "done")) {
		t.Errorf("it was used since: gone %t, %v", gone, err)
	}
	done.Used = time.Now()
	for _, h := range []runner.Holding{done, half, volume, done} {
		if gone, err := b.Discard(t.Context(), h); !gone || err != nil {
			t.Errorf("%s: gone %t, %v", h.ID, gone, err)
		}
	}
	for _, path := range []string{filepath.Join(b.venvs(), "done"), filepath.Join(b.venvs(), "half"), b.named("wherry-h-claim-x")} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if _, err := b.Discard(t.Context(), runner.Holding{Kind: runner.HoldingEnvironment, ID: "../work"}); err == nil {
		t.Error("it leaves its folder")
	}
}
