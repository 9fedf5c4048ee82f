package watch

import (
	"path/filepath"
	"time"
)

// skipAnew gives a known root other rules of what does not count. What they hide is
// forgotten, and is no change; what they don't hide any more is known from now on, but
// for what was modified after since. All else is left to the events that tell of it.
func (w *Watcher) skipAnew(r *root, t Target, since time.Time) []change {
	before := root{Target: r.Target}
	dirs := r.dirs
	r.Target, r.dirs = t, map[string]string{}
	var changed []change
	seen := map[string]bool{}
	r.walk(func(path string, s stamp) {
		seen[path] = true
		if _, known := r.files[path]; known {
			return
		}
		if before.hides(path, false) && (since.IsZero() || s.mtime <= since.UnixNano()) {
			r.files[path] = s
			return
		}
		changed = append(changed, change{place: place{r, path}})
	}, w.enter(r))
	for path := range r.files {
		if !seen[path] && r.hides(path, false) {
			delete(r.files, path)
		}
	}
	for path, real := range dirs {
		if _, there := r.dirs[path]; !there && !r.hides(path, true) {
			r.dirs[path] = real // where it is gone, its event says what was in it
		}
	}
	return changed
}

// hides reports whether the root's rules leave out what is at a path, or a folder that
// it lies in.
func (r *root) hides(path string, dir bool) bool {
	for ; len(path) > len(r.Path); path, dir = filepath.Dir(path), true {
		if r.skips(path, dir) {
			return true
		}
	}
	return false
}
