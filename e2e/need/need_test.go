package need_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/wherry-ml/wherry/e2e/need"
)

// fate notes how a test ended.
type fate struct {
	testing.TB
	how string
}

func (f *fate) Helper()                           {}
func (f *fate) Fatalf(format string, args ...any) { f.end("failed: "+format, args...) }
func (f *fate) Skipf(format string, args ...any)  { f.end("skipped: "+format, args...) }

func (f *fate) end(format string, args ...any) {
	f.how = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ends returns how a test ends that calls body.
func ends(body func(t testing.TB)) string {
	f := &fate{}
	done := make(chan struct{})
	go func() { defer close(done); body(f) }()
	<-done
	return f.how
}

// What is missing skips a test, but not where CI is set.
func TestMissing(t *testing.T) {
	for ci, want := range map[string]string{
		"": "skipped: no boat", "false": "skipped: no boat", "true": "failed: no boat", "1": "failed: no boat",
	} {
		t.Setenv("CI", ci)
		if got := ends(func(t testing.TB) { need.Missing(t, "no %s", "boat") }); got != want {
			t.Errorf("CI=%s: %q, want %q", ci, got, want)
		}
	}
}

func TestShared(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WHERRY_SHARED", dir)
	t.Setenv("CI", "true")
	name := filepath.Join("kfp", "suite")
	want := "failed: no shared data: stat " + filepath.Join(dir, name) + ": no such file or directory; WHERRY_SHARED names its folder"
	got := ""
	if how := ends(func(t testing.TB) { got = need.Shared(t, "kfp/suite") }); how != want {
		t.Errorf("absent: %q, want %q", how, want)
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	if how := ends(func(t testing.TB) { got = need.Shared(t, "kfp/suite") }); how != "" || got != filepath.Join(dir, name) {
		t.Errorf("there: %q, %q", how, got)
	}
}
