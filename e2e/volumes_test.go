package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// cmdVolumes asserts which named volumes the home has on the engine; the home's id
// is left out of their names.
func cmdVolumes(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, true, "volumes [NAME]…")
	home := ts.Getenv("WHERRY_HOME")
	names, err := harness.Volumes(home)
	ts.Check(err)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, "wherry-"+harness.HomeID(home)+"-")
	}
	if got, want := strings.Join(names, " "), strings.Join(args, " "); got != want {
		ts.Fatalf("volumes %q, want %q", got, want)
	}
}

// cmdNowhere asserts that no file below a folder holds a text.
func cmdNowhere(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "nowhere TEXT DIR")
	seen := 0
	err := filepath.WalkDir(ts.MkAbs(args[1]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if seen++; bytes.Contains(data, []byte(args[0])) {
			ts.Fatalf("%s holds %q", path, args[0])
		}
		return err
	})
	ts.Check(err)
	if seen == 0 {
		ts.Fatalf("%s holds no file at all", args[1])
	}
}
