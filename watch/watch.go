package watch

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options are what New needs beside the targets.
type Options struct {
	// Note is told what a person should know, once. May be nil.
	Note func(string)
	// Poll, if not 0, is how often files are looked at, and nothing is listened to.
	Poll time.Duration

	add func(dir string) error // of tests: instead of the listener's
}

// Watcher watches targets until Close.
type Watcher struct {
	out  chan Set
	in   chan []change
	note func(string)
	stop context.CancelFunc
	over <-chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	roots    []*root
	notify   *fsnotify.Watcher // nil: there is none to be had
	add      func(dir string) error
	polls    bool
	every    time.Duration
	poll     chan struct{}      // closed when polling begins
	dirs     map[string][]place // by where a folder really lies: whose content it has
	way      map[string][]*root // what lies elsewhere when this path changes
	listened map[string]bool
}

// pollEvery is how often files are looked at where they can't be listened to. A tree
// that takes long to look at is looked at less often.
const pollEvery = 500 * time.Millisecond

// New watches targets. What they are now is known; what differs from that is sent as
// change sets. The caller must Close it.
func New(ctx context.Context, targets []Target, o Options) *Watcher {
	ctx, stop := context.WithCancel(ctx)
	w := &Watcher{
		out: make(chan Set), in: make(chan []change, 64), note: o.Note, stop: stop, over: ctx.Done(), add: o.add,
		every: pollEvery, poll: make(chan struct{}), listened: map[string]bool{},
	}
	if w.note == nil {
		w.note = func(string) {}
	}
	if o.Poll > 0 {
		w.every = o.Poll
		w.beginPolling()
	} else if n, err := fsnotify.NewBufferedWatcher(1024); err != nil {
		w.exhausted(err)
	} else {
		w.notify = n
		if w.add == nil {
			w.add = n.Add
		}
	}
	w.Watch(targets, time.Time{})
	w.done.Go(func() { debounce(ctx, w.in, w.out, w) })
	w.done.Go(func() { w.listen(ctx) })
	w.done.Go(func() { w.pollLoop(ctx) })
	return w
}

// Changes yields the change sets. While nobody takes one, it grows.
func (w *Watcher) Changes() <-chan Set { return w.out }

// Close ends the watching.
func (w *Watcher) Close() {
	w.stop()
	w.done.Wait()
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

// Watch makes targets what is watched. Of those that are new, and of what others did not
// count by their Rules before, what was modified after since is a change already, unless
// since is zero.
func (w *Watcher) Watch(targets []Target, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var roots []*root
	var changed []change
	same := len(targets) == len(w.roots)
	for _, t := range targets {
		t.Path = filepath.Clean(t.Path)
		i := slices.IndexFunc(w.roots, func(r *root) bool { return r.Path == t.Path })
		if i >= 0 {
			r := w.roots[i]
			if r.Rules != t.Rules {
				same = false
				changed = append(changed, w.skipAnew(r, t, since)...)
			}
			roots = append(roots, r)
			continue
		}
		same = false
		r := &root{Target: t, files: map[string]stamp{}, dirs: map[string]string{}}
		roots = append(roots, r)
		r.resolve()
		r.walk(func(path string, s stamp) {
			if !since.IsZero() && s.mtime > since.UnixNano() {
				changed = append(changed, change{place: place{r, path}})
				return
			}
			r.files[path] = s
		}, w.enter(r))
	}
	if same {
		return
	}
	for _, r := range w.roots {
		r.over = !slices.Contains(roots, r)
	}
	w.roots = roots
	w.index()
	w.checkSize()
	if len(changed) > 0 {
		w.done.Go(func() { // the buffer may be full
			select {
			case w.in <- changed:
			case <-w.over:
			}
		})
	}
}

// Folders is how many folders are watched.
func (w *Watcher) Folders() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, r := range w.roots {
		for _, real := range r.dirs {
			seen[real] = true
		}
		if !r.isDir {
			seen[filepath.Dir(r.Path)] = true
		}
	}
	return len(seen)
}

// Files is how many files are watched.
func (w *Watcher) Files() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files()
}

func (w *Watcher) files() int {
	n := 0
	for _, r := range w.roots {
		n += len(r.files)
	}
	return n
}

// enter returns what a walk calls for each folder, before it lists it: what is saved
// there from then on is heard.
func (w *Watcher) enter(r *root) func(path, real string) {
	return func(path, real string) {
		r.dirs[path] = real
		w.hear(real)
	}
}

// index finds out anew which folders to listen to, and whose they are.
func (w *Watcher) index() {
	w.dirs, w.way = map[string][]place{}, map[string][]*root{}
	need := map[string]bool{}
	for _, r := range w.roots {
		for path, real := range r.dirs {
			w.dirs[real] = append(w.dirs[real], place{r, path})
			need[real] = true
		}
		for _, path := range r.way {
			w.way[path] = append(w.way[path], r)
			need[filepath.Dir(path)] = true
		}
	}
	for dir := range w.listened {
		if !need[dir] {
			w.unhear(dir)
		}
	}
	for dir := range need {
		w.hear(dir)
	}
}

// resting implements settler.
func (w *Watcher) resting(changes map[place]bool) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gitWorks() {
		return gitPatience
	}
	if len(changes) > 20 {
		return 0
	}
	for c := range changes {
		if c.root.files[c.path].size > 0 && c.root.now(c.path).size == 0 {
			return quietGap
		}
	}
	return 0
}

// settle implements settler.
func (w *Watcher) settle(changes map[place]bool) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var paths []string
	for c, written := range changes {
		s := c.root.now(c.path)
		if c.root.know(c.path, s) || written && s != (stamp{}) {
			if !c.root.over {
				paths = append(paths, c.path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
