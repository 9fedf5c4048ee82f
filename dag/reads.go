package dag

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// View watches which files of a directory are opened.
type View interface {
	// Opened ends the watching and returns the files that were opened, and whether
	// that is all of them.
	Opened() (files []string, all bool)
	// SoFar returns the files that were opened up to now.
	SoFar() []string
}

// Reads is what a step has read of the sources mounted in it: what counts for its
// cache key instead of all that is in them.
type Reads struct {
	// Base is the cache key without the content of the mounted sources.
	Base    string       `json:"base"`
	Sources []SourceRead `json:"sources"` // by Target
}

// SourceRead is what a step has read of one mounted source.
type SourceRead struct {
	Target string   `json:"target"` // in the container
	Tree   string   `json:"tree"`   // digest of the snapshot that it saw
	Opened []string `json:"opened"` // files, relative to it
	Digest string   `json:"digest"` // of what it read, see Artifacts.ReadDigest
}

// opened tells which files were opened, of which there may be as many as there are files.
func (r *SourceRead) opened() func(name string) bool {
	set := make(map[string]bool, len(r.Opened))
	for _, name := range r.Opened {
		set[name] = true
	}
	return func(name string) bool { return set[name] }
}

// mountPart names the part of a cache key that is a mounted source.
func mountPart(target string) string { return "mount " + target }

// baseKey is the cache key without the content of the sources whose reads can be
// told; "" where the run has none.
func baseKey(run *Run, parts map[string]string) string {
	base := maps.Clone(parts)
	any := false
	for _, m := range run.Options.Mounts {
		if m.snapshotted() && base[mountPart(m.Target)] != "" {
			base[mountPart(m.Target)] = "as far as it is read"
			any = true
		}
	}
	if !any {
		return ""
	}
	return cacheKey(base)
}

// views watch the sources of one attempt, in trees of links that are its own; by
// the volume's name.
type views map[string]View

// viewsDir is where the trees of an attempt's views are.
func (d *drive) viewsDir(pod string) string {
	return filepath.Join(d.Home, "runs", d.run.ID, "views", pod)
}

// watchReads replaces the pod's sources by views of them, where the backend runs
// on this machine's kernel. Where that can't be all of a source counts, which is
// said once.
func (d *drive) watchReads(pod *runner.Pod) (views, error) {
	w := views{}
	if f := d.Backend.Features(); !f.SeesOpens || !f.Isolation {
		return w, nil
	}
	dir := d.viewsDir(pod.Name)
	if err := os.RemoveAll(dir); err != nil { // of a driver that was killed before it started this attempt
		return w, err
	}
	pod.Volumes = slices.Clone(pod.Volumes)
	for i, v := range pod.Volumes {
		if v.Tree == "" || !strings.HasPrefix(v.Name, mountVolume) {
			continue
		}
		if d.isFile(v.Tree) {
			w[v.Name] = wholeFile{}
			continue
		}
		at := filepath.Join(dir, fmt.Sprint(i))
		view, err := d.Artifacts.View(d.ops, v.Tree, at)
		switch {
		case errors.Is(err, ErrNoView):
			d.post(func() {
				d.noteOnce(fmt.Sprintf("what steps read can't be seen (%v): every change of a mounted source counts", err))
			})
			continue
		case err != nil:
			w.drop()
			return nil, err
		}
		w[v.Name] = view
		pod.Volumes[i] = runner.Volume{Name: v.Name, Host: at}
	}
	return w, nil
}

// isFile reports whether a stored source is a single file.
func (d *drive) isFile(digest string) bool {
	at, err := d.Artifacts.Path(digest)
	if err != nil {
		return false
	}
	info, err := os.Lstat(at)
	return err == nil && info.Mode().IsRegular()
}

// wholeFile is the view of a source that is a single file: it counts as read, so that
// nobody has to watch it. A store lists such a file by the name ".".
type wholeFile struct{}

func (wholeFile) Opened() ([]string, bool) { return []string{"."}, true }
func (wholeFile) SoFar() []string          { return []string{"."} }

// ErrNoView says that it can't be seen which files are opened.
var ErrNoView = errors.New("opens can't be seen here")

// drop ends watching that nobody asks for any more.
func (w views) drop() {
	for name, v := range w {
		v.Opened()
		delete(w, name)
	}
}

// end ends the watching and returns what was read of each source; nil where
// something may have been missed.
func (w views) end(ctx context.Context, a Artifacts, run *Run) []SourceRead {
	var reads []SourceRead
	for i, m := range run.Options.Mounts {
		if !m.snapshotted() {
			continue
		}
		name := mountName(i)
		view := w[name]
		if view == nil {
			return nil
		}
		delete(w, name)
		opened, all := view.Opened()
		digest, err := a.ReadDigest(ctx, m.Digest, opened)
		if err != nil || !all {
			return nil
		}
		reads = append(reads, SourceRead{Target: m.Target, Tree: m.Digest, Opened: opened, Digest: digest})
	}
	return reads
}

// reuseReads looks for an execution that differs in nothing but files of mounted
// sources which it has not read. last is the newest one otherwise the same.
func (d *drive) reuseReads(n *node) (entry *CacheEntry, last *PastReads, err error) {
	base := baseKey(d.run, n.exec.KeyParts)
	if base == "" {
		return nil, nil, ErrNotFound
	}
	past, err := d.Store.PastReads(d.ops, base)
	if err != nil {
		return nil, nil, err
	}
	for i := range past {
		if d.readTheSame(&past[i]) {
			if entry, err = d.Store.LookupCache(d.ops, past[i].Key); !errors.Is(err, ErrNotFound) {
				return entry, &past[i], err
			}
		}
	}
	if len(past) > 0 {
		last = &past[0]
	}
	return nil, last, ErrNotFound
}

// readTheSame reports whether what an execution has read is in the run's sources
// as it was.
func (d *drive) readTheSame(p *PastReads) bool {
	for _, r := range p.Sources {
		now := d.sourceAt(r.Target)
		digest, err := d.Artifacts.ReadDigest(d.ops, now, r.Opened)
		if now == "" || err != nil || digest != r.Digest {
			return false
		}
	}
	return true
}

// leaveUnread gives the parts of an earlier key the snapshots that the run has, since
// what changed in them was not read. A mount that was not there, or was live, is a
// change of its own.
func (d *drive) leaveUnread(parts map[string]string) {
	for _, m := range d.run.Options.Mounts {
		was := parts[mountPart(m.Target)]
		if m.snapshotted() && was != "" && !strings.HasPrefix(was, liveWord) {
			parts[mountPart(m.Target)] = m.Digest
		}
	}
}

// removeViews deletes the trees of an attempt's views.
func (d *drive) removeViews(pod string) error {
	dir := d.viewsDir(pod)
	err := os.RemoveAll(dir)
	_ = os.Remove(filepath.Dir(dir)) // once it is empty
	return err
}

// mountName is the name of the volume of a run's mount.
func mountName(i int) string { return fmt.Sprintf("%s%d", mountVolume, i) }

// sourceAt is the digest of the run's snapshot that is mounted at target.
func (d *drive) sourceAt(target string) string {
	for _, m := range d.run.Options.Mounts {
		if m.snapshotted() && m.Target == target {
			return m.Digest
		}
	}
	return ""
}
