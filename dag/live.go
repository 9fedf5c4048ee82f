package dag

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// LiveChange is how a file differs between two lists of a live mount.
type LiveChange struct {
	Path          string // relative to the mount; empty: the one file that is mounted
	What          string // size, mtime, inode, mode or link; empty: it is new or gone
	Before, After string
}

// snapshotted reports whether steps see a snapshot of m, of which counts what they read.
func (m Mount) snapshotted() bool { return m.ReadOnly && !m.Live }

// Mode is how the mount is made, as it is written after SOURCE:TARGET.
func (m Mount) Mode() string {
	switch {
	case m.Live:
		return ":ro,live"
	case m.ReadOnly:
		return ":ro"
	}
	return ""
}

// liveWord marks the digest of a live mount's list in a cache key: it is of no tree.
const liveWord = "live "

// keyText is what a cache key has of m.
func (m Mount) keyText() string {
	if m.Live && m.Digest != "" {
		return liveWord + m.Digest
	}
	return m.Digest
}

// liveLook looks at a run's live mounts, once for all steps that ended before.
type liveLook struct {
	mu      sync.Mutex
	began   time.Time // of the last look
	changed string    // target of a mount that is no more as it was; empty: all are
}

// liveChanged returns the target of a live mount in which something has changed since
// the run began; "" where none has. A step that has ended may have seen either, and is
// not to be remembered.
func (d *drive) liveChanged() string {
	ended := time.Now()
	l := &d.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != "" || l.began.After(ended) {
		return l.changed
	}
	l.began = time.Now()
	for i, m := range d.run.Options.Mounts {
		if !m.Live {
			continue
		}
		now, err := d.Artifacts.LiveDigest(d.ops, d.run.Options.Mounts, i)
		if err != nil && d.ops.Err() != nil {
			return m.Target // not known: the drive ends
		}
		if now != m.Digest {
			l.changed = m.Target
			break
		}
	}
	return l.changed
}

// changedMount says what has changed in a mount between two parts of keys; "" where that
// is not known.
func (d *drive) changedMount(part, before, now string) string {
	target, isMount := strings.CutPrefix(part, mountPart(""))
	old, live1 := strings.CutPrefix(before, liveWord)
	fresh, live2 := strings.CutPrefix(now, liveWord)
	if !isMount || live1 != live2 {
		return ""
	}
	if !live1 {
		return d.changedTree(target, before, now)
	}
	changes, err := d.Artifacts.LiveChanges(d.ops, old, fresh)
	if err != nil || len(changes) == 0 {
		return ""
	}
	c := changes[0]
	text := filepath.Join(target, c.Path)
	switch {
	case c.What != "":
		text += fmt.Sprintf(" changed, %s %s -> %s", c.What, c.Before, c.After)
	case c.After == "new":
		text += " is new"
	default:
		text += " is gone"
	}
	return text + andMore(len(changes)-1)
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more", n)
}

// liveDifferences are the files that differ between two lists of a live mount.
func liveDifferences(target string, changes []LiveChange) []Difference {
	var out []Difference
	for _, c := range changes {
		what := filepath.Join(target, c.Path)
		if c.What != "" {
			what += " " + c.What
		}
		out = append(out, Difference{What: what, Before: c.Before, After: c.After})
	}
	return out
}
