// Package need is about what tests need of a machine and may not find there. A
// developer's machine without it skips the test and says why; in continuous
// integration (CI is set, as .ci/run does) the test fails. Any package's tests may
// use it: it knows none of the project's.
package need

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Missing ends a test that lacks what the text names.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if InCI() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// InCI reports whether nothing may be skipped.
func InCI() bool {
	ci := os.Getenv("CI")
	return ci != "" && ci != "false"
}

// Shared returns the path of a file or folder of the shared data, named as it is
// there ("kfp/suite").
func Shared(t testing.TB, name string) string {
	t.Helper()
	path, err := FindShared(name)
	if err != nil {
		Missing(t, "%v", err)
	}
	return path
}

// FindShared is Shared for those who have no test yet. The data lie beside the
// module's folder unless WHERRY_SHARED names theirs.
func FindShared(name string) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	module := filepath.Dir(filepath.Dir(filepath.Dir(here)))
	dir, err := filepath.Abs(cmp.Or(os.Getenv("WHERRY_SHARED"), filepath.Join(module, "..", "shared")))
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no shared data: %w; WHERRY_SHARED names its folder", err)
	}
	return path, nil
}
