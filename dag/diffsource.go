package dag

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// SourceChange is a file of a mounted source that differs between two snapshots.
type SourceChange struct {
	File   string `json:"file"`   // path in the container
	Change string `json:"change"` // added, removed or changed; of a live mount also what: changed: size 3 -> 5
	Diff   string `json:"diff"`   // of its lines; empty where it is no text, or large
}

// maxDiffed is the size in bytes of the largest file whose lines are shown.
const maxDiffed = 1 << 20

// CompareMounts lists the files that differ between what two runs had mounted at one
// place. Of a live mount and a snapshot nothing can be said.
func CompareMounts(ctx context.Context, store Snapshots, a, b Mount) []SourceChange {
	switch {
	case a.Live != b.Live:
		return nil
	case !a.Live:
		return compareSources(store, a.Target, a.Digest, b.Digest)
	}
	changes, err := store.LiveChanges(ctx, a.Digest, b.Digest)
	if err != nil {
		return nil // a list is gone with its run
	}
	var out []SourceChange
	for _, c := range changes {
		s := SourceChange{File: path.Join(a.Target, c.Path), Change: "removed"}
		switch {
		case c.What != "":
			s.Change = "changed: " + c.What + " " + c.Before + " -> " + c.After
		case c.After == "new":
			s.Change = "added"
		}
		out = append(out, s)
	}
	return out
}

// compareSources lists the files that differ between two snapshots of what is mounted
// at target. What the store has lost is left out.
func compareSources(store Snapshots, target, before, now string) []SourceChange {
	dirA, errA := store.Path(before)
	dirB, errB := store.Path(now)
	if errA != nil || errB != nil {
		return nil
	}
	inA, inB := sourceFiles(dirA), sourceFiles(dirB)
	var out []SourceChange
	for _, name := range sortedKeys(union(inA, inB)) {
		c := SourceChange{File: path.Join(target, name), Change: "changed"}
		x, isA := inA[name]
		y, isB := inB[name]
		switch {
		case !isA:
			c.Change = "added"
		case !isB:
			c.Change = "removed"
		case os.SameFile(x, y):
			continue
		default:
			a, b, whole := bothVersions(dirA, dirB, name)
			if whole && bytes.Equal(a, b) && x.Mode() == y.Mode() {
				continue
			}
			if whole && isText(a) && isText(b) && utf8.Valid(a) && utf8.Valid(b) {
				c.Diff = LineDiff(string(a), string(b))
			}
		}
		out = append(out, c)
	}
	return out
}

// sourceFiles are the files below a folder, or the file itself as ".".
func sourceFiles(dir string) map[string]fs.FileInfo {
	out := map[string]fs.FileInfo{}
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		out["."] = info
		return out
	}
	_ = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what can't be read is not compared
		}
		if info, err := d.Info(); err == nil {
			out[name] = info
		}
		return nil
	})
	return out
}

// differingLine returns the first line that differs between two versions of a
// file, counted from 1; 0 where they are no texts.
func differingLine(store Snapshots, old, now, name string) (n int, before, after string) {
	dirA, errA := store.Path(old)
	dirB, errB := store.Path(now)
	if errA != nil || errB != nil {
		return 0, "", ""
	}
	a, b, whole := bothVersions(dirA, dirB, filepath.FromSlash(name))
	if !whole || !isText(a) || !isText(b) {
		return 0, "", ""
	}
	return firstDifference(string(a), string(b))
}

// bothVersions reads a file of two snapshots, and reports whether that was all of both.
func bothVersions(dirA, dirB, name string) (a, b []byte, whole bool) {
	a, wholeA := ReadSmall(filepath.Join(dirA, name))
	b, wholeB := ReadSmall(filepath.Join(dirB, name))
	return a, b, wholeA && wholeB
}

func isText(data []byte) bool { return bytes.IndexByte(data, 0) < 0 }

// ReadSmall reads the first mebibyte of a file, and reports whether that was all of
// it. A symbolic link is its target's name: it is not followed.
func ReadSmall(path string) ([]byte, bool) {
	if target, err := os.Readlink(path); err == nil {
		return []byte(target), true
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDiffed+1))
	return text, err == nil && len(text) <= maxDiffed
}

// firstDifference returns the first line in which two texts differ, counted from 1.
func firstDifference(before, after string) (n int, old, now string) {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range max(len(a), len(b)) {
		if x, y := lineAt(a, i), lineAt(b, i); x != y {
			return i + 1, lineWord(x), lineWord(y)
		}
	}
	return 0, "", ""
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func lineWord(line string) string {
	line = strings.TrimSpace(line)
	if line == "" {
		return "(empty)"
	}
	return clip(line, 60)
}
