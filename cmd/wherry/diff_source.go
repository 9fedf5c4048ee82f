package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/wherry-ml/wherry/dag"
)

// sourceChange is a file of a mounted source that differs between two runs.
type sourceChange struct {
	File   string `json:"file"`   // path in the container
	Change string `json:"change"` // added, removed or changed; of a live mount also what: changed: size 3 -> 5
	Diff   string `json:"diff"`   // of its lines; empty where it is no text, or large
}

// maxDiffed is the size in bytes of the largest file whose lines are shown.
const maxDiffed = 256 << 10

// compareMounts lists the files that differ between what two runs had mounted at one
// place. Of a live mount and a snapshot nothing can be said.
func compareMounts(ctx context.Context, store artifacts, a, b dag.Mount) []sourceChange {
	switch {
	case a.Live != b.Live:
		return nil
	case !a.Live:
		return compareSources(store, a, b)
	}
	changes, err := store.LiveChanges(ctx, a.Digest, b.Digest)
	if err != nil {
		return nil // a list is gone with its run
	}
	var out []sourceChange
	for _, c := range changes {
		s := sourceChange{File: path.Join(a.Target, c.Path), Change: "removed"}
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
// at one place. What the store has lost is left out.
func compareSources(store interface {
	Path(digest string) (string, error)
}, a, b dag.Mount) []sourceChange {
	dirA, errA := store.Path(a.Digest)
	dirB, errB := store.Path(b.Digest)
	if errA != nil || errB != nil {
		return nil
	}
	inA, inB := sourceFiles(dirA), sourceFiles(dirB)
	names := map[string]bool{}
	for name := range inA {
		names[name] = true
	}
	for name := range inB {
		names[name] = true
	}
	var out []sourceChange
	for _, name := range sortedNames(names) {
		c := sourceChange{File: path.Join(a.Target, name), Change: "changed"}
		x, isA := inA[name]
		y, isB := inB[name]
		switch {
		case !isA:
			c.Change = "added"
		case !isB:
			c.Change = "removed"
		default:
			if os.SameFile(x, y) {
				continue
			}
			textA, wholeA := readSmall(dirA, name)
			textB, wholeB := readSmall(dirB, name)
			if wholeA && wholeB && bytes.Equal(textA, textB) && x.Mode() == y.Mode() {
				continue
			}
			if wholeA && wholeB && utf8.Valid(textA) && utf8.Valid(textB) && !slices.Contains(textA, 0) && !slices.Contains(textB, 0) {
				c.Diff = dag.LineDiff(string(textA), string(textB))
			}
		}
		out = append(out, c)
	}
	return out
}

// sourceFiles are the files below a folder, or the file itself as ".".
func sourceFiles(dir string) map[string]fs.FileInfo {
	out := map[string]fs.FileInfo{}
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

// readSmall reads a file of a snapshot, and reports whether that was all of it. A
// symbolic link is its target's name: it is not followed.
func readSmall(dir, name string) ([]byte, bool) {
	at := path.Join(dir, name)
	if target, err := os.Readlink(at); err == nil {
		return []byte(target), true
	}
	f, err := os.Open(at)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDiffed+1))
	return text, err == nil && len(text) <= maxDiffed
}
