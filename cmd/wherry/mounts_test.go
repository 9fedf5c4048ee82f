package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
)

// TestSnapshotOptions asserts what of a source does not count: what version control and
// editors keep, and what is mounted by itself.
func TestSnapshotOptions(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"src/state", "src/data", "src/lib", "src/link-to-here", "out"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("src/link-to-here", filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	o := snapshotOptions([]dag.Mount{
		{Source: at("src"), Target: "/app", ReadOnly: true},
		{Source: at("src/state"), Target: "/app/state"},
		{Source: at("src/data"), Target: "/data", ReadOnly: true, Live: true},
		{Source: at("linked"), Target: "/elsewhere"},
		{Source: at("src/lib"), Target: "/lib", ReadOnly: true}, // a source itself
		{Source: at("src"), Target: "/the-same"},
		{Source: dir, Target: "/above"},
		{Source: at("out"), Target: "/out"},
	}, 0, nil)
	if want := []string{"state", "data", "link-to-here"}; !slices.Equal(o.Hollow, want) {
		t.Errorf("hollow are %q, want %q", o.Hollow, want)
	}
	for rel, out := range map[string]bool{
		".git": true, "sub/.git": true, ".hg": true, ".svn": true, ".jj": true, ".dvc/cache": true, ".dvc/tmp": true, ".main.py.swp": true,
		".dvc": false, ".dvc/config": false, "cache": false, "tmp": false, ".gitignore": false, "git": false, "main.py": false,
	} {
		if o.Skip(rel, false) != out {
			t.Errorf("%s is left out: %v, want %v", rel, !out, out)
		}
	}
}

// TestExplainedChanges asserts that a person is not shown thousands of files.
func TestExplainedChanges(t *testing.T) {
	var out bytes.Buffer
	e := explained{Path: "train", Reason: "x", Compared: "r1"}
	for i := range 1200 {
		e.Changes = append(e.Changes, dag.Difference{What: fmt.Sprintf("/data/%d", i), Before: "(none)", After: "new"})
	}
	(&globals{Out: &out}).printExplained(e)
	if lines := strings.Count(out.String(), "\n"); lines != 53 || !strings.Contains(out.String(), "    and 1150 more; -o json lists them\n") {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
}
