package artifact

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawTree draws a directory in the notation of fill. No path is both a file
// and a directory: names of files begin with f, of directories with d.
func drawTree(t *rapid.T) map[string]string {
	dirs := rapid.SliceOfN(rapid.StringMatching(`(d[-. a-c\n]{0,2}/){0,3}`), 1, 5).Draw(t, "dirs")
	files := map[string]string{}
	for range rapid.IntRange(0, 8).Draw(t, "files") {
		name := rapid.SampledFrom(dirs).Draw(t, "dir") + "f" + rapid.StringMatching(`[-. a-c\xff]{0,2}`).Draw(t, "name")
		delete(files, name)
		delete(files, name+"*")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			name += "*"
			fallthrough
		case 1, 2:
			files[name] = rapid.StringMatching(`[a-c \x00]{0,4}`).Draw(t, "content")
		case 3:
			files[name] = "@" + rapid.StringMatching(`[a-c/.]{1,4}`).Draw(t, "target")
		}
	}
	for _, d := range dirs {
		if d != "" {
			files[d] = ""
		}
	}
	return files
}

// normal lists what a directory in the notation of fill holds.
func normal(files map[string]string) string {
	var lines []string
	for name, content := range files {
		dir := filepath.Dir(strings.TrimSuffix(name, "/"))
		for ; dir != "."; dir = filepath.Dir(dir) {
			lines = append(lines, fmt.Sprintf("%q", dir+"/"))
		}
		if !strings.HasSuffix(name, "/") {
			name = name + "=" + content
		}
		lines = append(lines, fmt.Sprintf("%q", name))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

func digestOfTree(t *rapid.T, files map[string]string) string {
	dir, err := os.MkdirTemp("", "property")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range files {
		at := filepath.Join(dir, strings.TrimSuffix(name, "*"))
		parent := filepath.Dir(at)
		if strings.HasSuffix(name, "/") {
			parent = at
		}
		err := os.MkdirAll(parent, 0o700|os.FileMode(rand.IntN(0o100)))
		switch mode := os.FileMode(0o600 | rand.IntN(0o100)); {
		case err != nil || strings.HasSuffix(name, "/"):
		case strings.HasPrefix(content, "@"):
			err = os.Symlink(content[1:], at)
		default:
			if strings.HasSuffix(name, "*") {
				mode |= 0o100
			}
			old := time.Unix(rand.Int64N(1e9), 0)
			err = os.WriteFile(at, []byte(content), mode)
			if err == nil {
				err = os.Chtimes(at, old, old)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := digestOf(testContext, dir)
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// TestDigestProperty: two directories have the same digest if and only if they
// hold the same names, contents, executable bits and links, whatever their
// times, other modes, owners and the order in which they were made.
func TestDigestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawTree(t)
		b := maps.Clone(a)
		if rapid.Bool().Draw(t, "changed") {
			if names := slices.Sorted(maps.Keys(b)); len(names) > 0 {
				name := rapid.SampledFrom(names).Draw(t, "which")
				switch content := b[name]; {
				case strings.HasSuffix(name, "/") || rapid.Bool().Draw(t, "removed"):
					delete(b, name)
				case strings.HasSuffix(name, "*"):
					delete(b, name)
					b[strings.TrimSuffix(name, "*")] = content
				default:
					b[name] = content + "c"
				}
			}
		}
		same := normal(a) == normal(b)
		da, db := digestOfTree(t, a), digestOfTree(t, b)
		if (da == db) != same {
			t.Fatalf("same digest: %v\n%s\n--\n%s", da == db, normal(a), normal(b))
		}
	})
}

// TestManifestProperty: no two lists of entries have the same manifest.
func TestManifestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []entry {
			return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
				e := entry{kind: rapid.SampledFrom([]byte("dfxl")).Draw(t, "kind"), path: rapid.StringMatching(`[df \n0]{1,3}`).Draw(t, "path")}
				if e.kind == kindLink {
					e.target = rapid.StringMatching(`[df \n0]{1,3}`).Draw(t, "target")
				}
				return e
			}), 0, 3).Draw(t, label)
		}
		a, b := draw("a"), draw("b")
		if (treeSum(a) == treeSum(b)) != slices.EqualFunc(a, b, func(x, y entry) bool { return x == y }) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// TestStoredProperty: what is stored by any way has the digest of the original.
func TestStoredProperty(t *testing.T) {
	s := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		files := drawTree(rt)
		dir, err := os.MkdirTemp(t.TempDir(), "stored")
		if err != nil {
			rt.Fatal(err)
		}
		fill(t, dir, files)
		want, err := digestOf(testContext, dir)
		if err != nil {
			rt.Fatal(err)
		}
		check := func(got string, err error) {
			if err == nil {
				err = s.Verify(testContext, got)
			}
			if err != nil || got != want.String() {
				rt.Fatalf("got %s, %v; want %s", got, err, want)
			}
			if err := s.Remove(got); err != nil {
				rt.Fatal(err)
			}
		}
		d, _, err := s.Import(testContext, dir)
		check(d, err)
		for range 2 {
			d, _, err = s.Snapshot(testContext, dir, SnapshotOptions{})
			check(d, err)
		}
		d, _, err = s.Add(testContext, dir)
		check(d, err)
	})
}
