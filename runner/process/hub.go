package process

import (
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How often subscribers look again by themselves: only a supervisor that was
// killed ends without a sign.
const (
	tick      = time.Second
	blindTick = 200 * time.Millisecond // where the system has no more watches to give
)

// hub tells subscribers that something about a pod has changed. All of a backend
// share one inotify instance, which exists while somebody listens.
type hub struct {
	work, live string

	mu   sync.Mutex
	subs map[*subscription]struct{}
	w    *fsnotify.Watcher // nil when there is none to be had
	dirs map[string]int    // watched for followers of logs
	quit chan struct{}
	done chan struct{}
}

// subscription collects what has changed until its owner takes it. One that is
// slow costs nobody anything.
type subscription struct {
	hub   *hub
	pod   string // empty: all
	mu    sync.Mutex
	dirty map[string]struct{}
	all   bool          // anything may have changed
	wake  chan struct{} // has a value when there is something to take
}

// subscribe returns a subscription to changes of pod, or of all pods. The caller
// must close it.
func (h *hub) subscribe(pod string) *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &subscription{hub: h, pod: pod, dirty: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	if len(h.subs) == 0 {
		h.open()
	}
	h.subs[s] = struct{}{}
	return s
}

func (s *subscription) close() {
	h := s.hub
	h.mu.Lock()
	delete(h.subs, s)
	last := len(h.subs) == 0
	var done chan struct{}
	if last {
		close(h.quit)
		done = h.done
	}
	h.mu.Unlock()
	if last {
		<-done
	}
}

// open starts to listen; h.mu is held.
func (h *hub) open() {
	h.subs, h.dirs = map[*subscription]struct{}{}, map[string]int{}
	h.quit, h.done = make(chan struct{}), make(chan struct{})
	w, err := fsnotify.NewWatcher()
	if err == nil {
		for _, dir := range []string{h.work, h.live} {
			if e := w.Add(dir); e != nil {
				err = e
			}
		}
		if err != nil {
			w.Close()
		}
	}
	h.w = nil
	if err == nil {
		h.w = w
	}
	go h.listen(h.w, h.quit, h.done)
}

func (h *hub) listen(w *fsnotify.Watcher, quit, done chan struct{}) {
	defer close(done)
	var events chan fsnotify.Event
	var errs chan error
	every := blindTick
	if w != nil {
		defer w.Close()
		events, errs, every = w.Events, w.Errors, tick
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-quit:
			return
		case e := <-events:
			h.poke(h.podOf(e.Name))
		case <-errs: // the queue overflowed
			h.poke("")
		case <-t.C:
			h.poke("")
		}
	}
}

// podOf returns the pod to which a path belongs.
func (h *hub) podOf(path string) string {
	dir := filepath.Dir(path)
	if dir == h.work || dir == h.live {
		return filepath.Base(path)
	}
	rel, _ := strings.CutPrefix(path, h.work+"/")
	name, _, _ := strings.Cut(rel, "/")
	return name
}

// poke says that the pod may have changed; empty: any of them.
func (h *hub) poke(pod string) {
	if strings.HasPrefix(pod, ".") {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.poke(pod)
	}
}

func (s *subscription) poke(pod string) {
	if s.pod != "" && pod != "" && s.pod != pod {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if pod == "" {
		s.all = true
	} else {
		s.dirty[pod] = struct{}{}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns what may have changed since the last time.
func (s *subscription) take() (pods map[string]struct{}, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pods, all = s.dirty, s.all
	s.dirty, s.all = map[string]struct{}{}, false
	return pods, all
}

// watchLogs adds the folder to what is listened to, until release is called.
// The subscription must be open.
func (s *subscription) watchLogs(dir string) (release func()) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.w
	if w == nil {
		return func() {}
	}
	if h.dirs[dir]++; h.dirs[dir] == 1 {
		_ = w.Add(dir) // else the ticks must do
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.dirs[dir]--; h.dirs[dir] == 0 {
			delete(h.dirs, dir)
			_ = w.Remove(dir)
		}
	}
}
