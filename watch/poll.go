package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// manyFiles is how many files are too many to listen to where each costs a file
// descriptor.
const manyFiles = 1000

// checkSize polls large trees where listening to a folder opens every file in it.
func (w *Watcher) checkSize() {
	if runtime.GOOS == "linux" || w.polls || w.files() <= manyFiles {
		return
	}
	w.note(fmt.Sprintf("note: %d files are watched: they are looked at every %s or so, since each would cost a file descriptor", w.files(), w.every))
	w.beginPolling()
}

// exhausted polls from now on: the system has no more watches to give.
func (w *Watcher) exhausted(err error) {
	if w.polls {
		return
	}
	limit := "fs.inotify.max_user_watches"
	if errors.Is(err, unix.EMFILE) {
		limit = "fs.inotify.max_user_instances"
	}
	text := fmt.Sprintf("note: the system has no more file watches to give (%v): files are looked at every %s or so instead", err, w.every)
	if now, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(limit, ".", "/")); err == nil {
		n := 0
		_, _ = fmt.Sscan(string(now), &n)
		text += fmt.Sprintf("; try: sudo sysctl %s=%d (it is %d)", limit, max(4*n, 1024), n)
	}
	w.note(text)
	w.beginPolling()
}

func (w *Watcher) beginPolling() {
	if !w.polls {
		w.polls = true
		close(w.poll)
	}
}

// pollLoop looks at all files again and again, once polling has begun.
func (w *Watcher) pollLoop(ctx context.Context) {
	select {
	case <-w.poll:
	case <-ctx.Done():
		return
	}
	seen := map[place]stamp{} // what was told, so that it is told once
	pause := w.every
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		started := time.Now()
		list := w.pollOnce(seen)
		pause = max(w.every, 20*time.Since(started))
		if len(list) == 0 {
			continue
		}
		select {
		case w.in <- list:
		case <-ctx.Done():
			return
		}
	}
}

func (w *Watcher) pollOnce(seen map[place]stamp) []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []change
	now := map[place]stamp{}
	for _, r := range w.roots {
		r.resolve()
		for _, c := range r.differing() {
			now[c.place] = r.now(c.path)
			if old, told := seen[c.place]; !told || old != now[c.place] {
				out = append(out, c)
			}
		}
	}
	clear(seen)
	for p, s := range now {
		seen[p] = s
	}
	return out
}
