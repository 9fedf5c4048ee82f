package dag

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of two snapshots only what differs is listed, with its lines where it is a text;
// links by where they lead, files also by their mode.
func TestCompareSources(t *testing.T) {
	store := &trees{dir: t.TempDir()}
	for tree, files := range map[string]map[string]string{
		"old": {"same.py": "x\n", "train.py": "lr = 1\nrun()\n", "gone.py": "", "model": "a\x00b", "large": strings.Repeat("a", maxDiffed+1)},
		"new": {"same.py": "x\n", "train.py": "lr = 2\nrun()\n", "new.py": "", "model": "a\x00c", "large": strings.Repeat("b", maxDiffed+1)},
	} {
		at := filepath.Join(store.dir, tree)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(tree+".py", filepath.Join(at, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "run.sh"), nil, map[string]os.FileMode{"old": 0o644, "new": 0o755}[tree]); err != nil {
			t.Fatal(err)
		}
	}
	want := []SourceChange{
		{File: "/app/gone.py", Change: "removed"}, {File: "/app/large", Change: "changed"},
		{File: "/app/link", Change: "changed", Diff: "@@ -1,1 +1,1 @@\n-old.py\n+new.py\n"}, {File: "/app/model", Change: "changed"},
		{File: "/app/new.py", Change: "added"}, {File: "/app/run.sh", Change: "changed"},
		{File: "/app/train.py", Change: "changed", Diff: "@@ -1,2 +1,2 @@\n-lr = 1\n+lr = 2\n run()\n"},
	}
	if diff := cmp.Diff(want, compareSources(store, "/app", "old", "new")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for digest, text := range map[string]string{"cfg1": "a: 1\nb: 1\n", "cfg2": "a: 1\nb: 2\n"} {
		if err := os.WriteFile(filepath.Join(store.dir, digest), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want = []SourceChange{{File: "/one.cfg", Change: "changed", Diff: "@@ -1,2 +1,2 @@\n a: 1\n-b: 1\n+b: 2\n"}}
	if diff := cmp.Diff(want, compareSources(store, "/one.cfg", "cfg1", "cfg2")); diff != "" {
		t.Errorf("a single file: (-want +got)\n%s", diff)
	}
	if n, old, now := differingLine(store, "cfg1", "cfg2", "."); n != 2 || old != "b: 1" || now != "b: 2" {
		t.Errorf("a single file: line %d, %q -> %q", n, old, now)
	}
	for name, want := range map[string]int{"train.py": 1, "model": 0, "large": 0, "same.py": 0} {
		n, old, now := differingLine(store, "old", "new", name)
		if n != want || n == 1 && (old != "lr = 1" || now != "lr = 2") {
			t.Errorf("%s: line %d, %q -> %q", name, n, old, now)
		}
	}
}
