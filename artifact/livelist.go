package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// liveHeader begins the list of a live folder.
const liveHeader = "wherry live 1\n"

// text is the list. Neither paths nor link targets can hold a NUL byte, so that no two
// folders have the same.
func (w *liveWalk) text() []byte {
	b := make([]byte, 0, len(liveHeader)+len(w.entries)*96)
	b = append(b, liveHeader...)
	for i := range w.entries {
		e := &w.entries[i]
		b = append(b, e.kind, ' ')
		switch {
		case e.isFile():
			b = append(strconv.AppendInt(b, e.stat.size, 10), ' ')
			b = append(strconv.AppendInt(b, e.stat.mtime, 10), ' ')
			b = append(strconv.AppendUint(b, e.stat.ino, 10), ' ')
		case e.kind == kindLink:
			b = append(append(b, e.target...), 0)
		}
		b = append(append(b, e.path...), 0)
	}
	return b
}

// parseLive reads a list back.
func parseLive(text string) ([]entry, error) {
	bad := errors.New("not the list of a live folder")
	rest, ok := strings.CutPrefix(text, liveHeader)
	var entries []entry
	for ok && rest != "" {
		if len(rest) < 2 {
			return nil, bad
		}
		e := entry{kind: rest[0]}
		rest = rest[2:]
		if e.isFile() {
			var words [3]string
			for i := range words {
				words[i], rest, _ = strings.Cut(rest, " ")
			}
			e.stat.size, _ = strconv.ParseInt(words[0], 10, 64) // it is its digest's: what wrote it was text
			e.stat.mtime, _ = strconv.ParseInt(words[1], 10, 64)
			e.stat.ino, _ = strconv.ParseUint(words[2], 10, 64)
		}
		if e.kind == kindLink {
			e.target, rest, _ = strings.Cut(rest, "\x00")
		}
		e.path, rest, ok = strings.Cut(rest, "\x00")
		entries = append(entries, e)
	}
	if !ok {
		return nil, bad
	}
	return entries, nil
}

// putText stores a text as a file.
func (s *Store) putText(ctx context.Context, text []byte) (sum, error) {
	d := sum(sha256.Sum256(text))
	o := &object{kind: kindFile, entries: []entry{{path: "text", kind: kindFile, sum: d, stat: stat{size: int64(len(text))}}}}
	o.finish()
	return d, s.put(ctx, o, func(_ context.Context, e *entry, dst *os.File, name string) error {
		return placeText(text, e.kind, dst, name)
	})
}

// placeText writes a new file into dst.
func placeText(text []byte, kind byte, dst *os.File, name string) error {
	f, err := create(dst, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Chmod(modeOf(kind)); err != nil {
		return err
	}
	return f.Close()
}

// LiveChange is how a file differs between two lists of a live folder.
type LiveChange struct {
	Path          string // relative to the folder; "" is the one file that is mounted
	What          string // size, mtime, inode, mode or link; empty: it is new or gone
	Before, After string
}

// LiveChanges says what differs between two lists that Live has stored, by path.
// fs.ErrNotExist where the store has one no more.
func (s *Store) LiveChanges(ctx context.Context, before, now string) ([]LiveChange, error) {
	var lists [2][]entry
	for i, digest := range []string{before, now} {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		at, err := s.Path(digest)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(text, []byte(liveHeader)) {
			return nil, fmt.Errorf("artifact %s is %w", digest, fs.ErrInvalid)
		}
		if lists[i], err = parseLive(string(text)); err != nil {
			return nil, fmt.Errorf("artifact %s: %w", digest, err)
		}
	}
	return liveChanges(lists[0], lists[1]), nil
}

// liveChanges compares two sorted lists. Folders show by what is in them.
func liveChanges(a, b []entry) []LiveChange {
	var out []LiveChange
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].path < b[0].path:
			if a[0].kind != kindDir {
				out = append(out, LiveChange{Path: a[0].path, Before: "there", After: "(none)"})
			}
			a = a[1:]
		case len(a) == 0 || a[0].path > b[0].path:
			if b[0].kind != kindDir {
				out = append(out, LiveChange{Path: b[0].path, Before: "(none)", After: "new"})
			}
			b = b[1:]
		default:
			if c, differs := liveChange(&a[0], &b[0]); differs {
				out = append(out, c)
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// liveChange says the most telling difference between a file then and now.
func liveChange(a, b *entry) (LiveChange, bool) {
	c := LiveChange{Path: a.path}
	switch {
	case a.kind != b.kind:
		c.What, c.Before, c.After = "mode", kindWord(a.kind), kindWord(b.kind)
	case a.target != b.target:
		c.What, c.Before, c.After = "link", a.target, b.target
	case a.stat.size != b.stat.size:
		c.What, c.Before, c.After = "size", fmt.Sprint(a.stat.size), fmt.Sprint(b.stat.size)
	case a.stat.mtime != b.stat.mtime:
		c.What, c.Before, c.After = "mtime", timeWord(a.stat.mtime), timeWord(b.stat.mtime)
	case a.stat.ino != b.stat.ino:
		c.What, c.Before, c.After = "inode", fmt.Sprint(a.stat.ino), fmt.Sprint(b.stat.ino)
	default:
		return c, false
	}
	return c, true
}

func kindWord(kind byte) string {
	if kind == kindLink {
		return "link"
	}
	return kindNames[kind]
}

func timeWord(ns int64) string { return time.Unix(0, ns).Format("2006-01-02T15:04:05.000") }
