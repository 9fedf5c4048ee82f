package watch

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// gitWorks reports whether git is at work on what is watched: then more will change.
// A lock that a killed git has left is old, and says nothing.
func (w *Watcher) gitWorks() bool {
	for _, r := range w.roots {
		if !r.sought {
			r.git, r.sought = gitDir(r.Path), true
		}
		if r.git == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(r.git, "index.lock"))
		if err == nil && time.Since(info.ModTime()) < upperBound {
			return true
		}
	}
	return false
}

// gitDir finds the folder in which git keeps the index of the working tree that path
// is in; "" where there is none.
func gitDir(path string) string {
	for dir := path; ; dir = filepath.Dir(dir) {
		git := filepath.Join(dir, ".git")
		if info, err := os.Stat(git); err == nil && info.IsDir() {
			return git
		}
		if text, err := os.ReadFile(git); err == nil { // a further working tree
			to, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
			if ok && filepath.IsAbs(to) {
				return to
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
