package watch

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// listen turns events into changes until ctx ends.
func (w *Watcher) listen(ctx context.Context) {
	if w.notify == nil {
		return
	}
	for {
		var list []change
		select {
		case <-ctx.Done():
			return
		case <-w.poll:
			return
		case e := <-w.notify.Events:
			list = w.heard(e)
		case err := <-w.notify.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) { // something was not heard: look everywhere
				list = w.lookAgain()
			}
		}
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

// hear listens to a folder.
func (w *Watcher) hear(dir string) {
	if w.listened[dir] || w.polls {
		return
	}
	switch err := w.add(dir); {
	case err == nil:
		w.listened[dir] = true
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		w.exhausted(err)
	}
}

func (w *Watcher) unhear(dir string) {
	if w.listened[dir] {
		delete(w.listened, dir)
		_ = w.notify.Remove(dir)
	}
}

// heard returns what an event is about.
func (w *Watcher) heard(e fsnotify.Event) []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listened[e.Name] && e.Has(fsnotify.Remove|fsnotify.Rename) { // the system hears it no more
		w.unhear(e.Name)
	}
	var out []change
	for _, r := range w.way[e.Name] {
		out = append(out, w.moved(r, e)...)
	}
	places := w.dirs[filepath.Dir(e.Name)]
	if len(places) == 0 {
		return out
	}
	info, err := os.Lstat(e.Name)
	for _, p := range slices.Clone(places) {
		p.path = filepath.Join(p.path, filepath.Base(e.Name))
		switch {
		case err == nil && info.IsDir():
			out = append(out, w.folder(p, e)...)
		default:
			out = append(out, w.forget(p)...)
			if !p.root.skips(p.path, false) && (err == nil || errors.Is(err, fs.ErrNotExist)) {
				out = append(out, change{p, e.Has(fsnotify.Write)})
			}
		}
	}
	return out
}

// moved looks at a root where something on the way to it, or itself, has changed.
func (w *Watcher) moved(r *root, e fsnotify.Event) []change {
	real, way, wasDir := r.real, r.way, r.isDir
	r.resolve()
	if !wasDir && !r.isDir {
		if !slices.Equal(way, r.way) {
			w.index()
		}
		return []change{{place{r, r.Path}, e.Has(fsnotify.Write) && e.Name == r.real}}
	}
	if r.real == real && !e.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename) {
		return nil
	}
	return w.look(r)
}

// look walks a root anew, and returns what differs.
func (w *Watcher) look(r *root) []change {
	for _, dir := range r.dirs {
		if r.real == "" || !r.isDir {
			break
		}
		w.unhear(dir) // it may be another folder of the same name
	}
	clear(r.dirs)
	r.walk(func(string, stamp) {}, w.enter(r))
	w.index()
	return r.differing()
}

// lookAgain is look for all roots.
func (w *Watcher) lookAgain() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []change
	for _, r := range w.roots {
		r.resolve()
		out = append(out, w.look(r)...)
	}
	return out
}

// folder takes a new folder in with all that it has; what happened in it before it was
// heard is found now.
func (w *Watcher) folder(p place, e fsnotify.Event) []change {
	if !e.Has(fsnotify.Create) || p.root.skips(p.path, true) {
		return nil
	}
	out := w.forget(p) // another one was there
	enter := w.enter(p.root)
	p.root.walkDir(p.path, e.Name, func(path string, _ stamp) {
		out = append(out, change{place: place{p.root, path}})
	}, func(path, real string) {
		w.dirs[real] = append(w.dirs[real], place{p.root, path})
		enter(path, real)
	})
	return out
}

// forget drops a folder that is gone with all that is below it.
func (w *Watcher) forget(p place) []change {
	if _, known := p.root.dirs[p.path]; !known {
		return nil
	}
	var out []change
	for _, path := range slices.Collect(maps.Keys(p.root.dirs)) {
		if path != p.path && !strings.HasPrefix(path, p.path+"/") {
			continue
		}
		real := p.root.dirs[path]
		delete(p.root.dirs, path)
		w.dirs[real] = slices.DeleteFunc(w.dirs[real], func(o place) bool { return o == place{p.root, path} })
		if len(w.dirs[real]) == 0 {
			delete(w.dirs, real)
			w.unhear(real)
		}
	}
	for path := range p.root.files {
		if strings.HasPrefix(path, p.path+"/") {
			out = append(out, change{place: place{p.root, path}})
		}
	}
	return out
}
