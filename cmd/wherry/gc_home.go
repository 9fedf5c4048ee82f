package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/filetree"
)

func isNotFound(err error) bool { return errors.Is(err, dag.ErrNotFound) }

// tryRun takes the lock of a run whose folder is there, if nobody holds it. A run
// without a folder is nobody's.
func (g *globals) tryRun(run string) (unlock func(), free bool) {
	f, err := os.Open(g.lockPath(run))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, true
	}
	if err != nil {
		return nil, false
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}

// folders are where a run has a folder of its own.
var folders = map[string]string{"runs": "folder", "logs": "log"}

// folderBytes is what the folders of a run take on the disk.
func (c *garbage) folderBytes(ctx context.Context, run string) (sum int64, err error) {
	for _, dir := range sortedNames(folders) {
		n, err := artifact.DiskUse(ctx, filepath.Join(c.g.Home, dir, run))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// young is how old an empty folder must be: who makes it puts its lock there next.
const young = time.Minute

// planFolders lists the folders of runs that are not on record.
func (c *garbage) planFolders(ctx context.Context, p *gcPlan) error {
	for _, dir := range sortedNames(folders) {
		entries, err := os.ReadDir(filepath.Join(c.g.Home, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			run, path := e.Name(), filepath.Join(c.g.Home, dir, e.Name())
			if c.stays(run) || !e.IsDir() || c.g.driven(run) || c.unborn(dir, e) {
				continue
			}
			n, rest, err := c.prune(ctx, path, false)
			if err != nil {
				return err
			}
			if !rest {
				continue // only links to artifacts that stay
			}
			p.add(gcItem{Kind: folders[dir], Name: filepath.Join(dir, run), Bytes: n, Why: "its run is gone",
				remove: c.folderRemover(run, path)})
		}
	}
	return nil
}

// planViews lists the trees of links through which steps of a run that has ended saw
// their sources: their driver was killed before it removed them.
func (c *garbage) planViews(ctx context.Context, p *gcPlan, run string) error {
	r, path := c.stay[run], filepath.Join(c.g.Home, "runs", run, "views")
	if _, err := os.Stat(path); r == nil || !r.State.Ended() || c.g.driven(run) || err != nil {
		return nil
	}
	n, err := artifact.DiskUse(ctx, path)
	if err != nil {
		return err
	}
	p.add(gcItem{Kind: "temporary", Name: filepath.Join("runs", run, "views"), Bytes: n, Why: "its run has ended",
		remove: func(context.Context) (bool, error) {
			unlock, free := c.g.tryRun(run)
			if !free {
				return false, nil
			}
			defer unlock()
			return true, filetree.RemoveAll(path)
		}})
	return nil
}

// unborn reports whether the folder may be that of a run which is about to be
// locked and put on record: then it is empty.
func (c *garbage) unborn(dir string, e fs.DirEntry) bool {
	inside, err := os.ReadDir(filepath.Join(c.g.Home, dir, e.Name()))
	if dir != "runs" || err != nil || len(inside) > 0 {
		return false
	}
	info, err := e.Info()
	return err == nil && time.Since(info.ModTime()) < young
}

func (c *garbage) folderRemover(run, path string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		unlock, free := c.g.tryRun(run)
		if !free {
			return false, nil
		}
		defer unlock()
		if there, err := c.recorded(ctx, run); err != nil || there {
			return false, err
		}
		_, _, err := c.prune(ctx, path, true)
		return err == nil, err
	}
}

// prune removes all below path but the links to artifacts that stay: an artifact's
// URI is a path there, and is good for as long as the artifact. It returns what
// that frees, and whether there is anything to remove.
func (c *garbage) prune(ctx context.Context, path string, really bool) (bytes int64, any bool, err error) {
	if ctx.Err() != nil {
		return 0, false, context.Cause(ctx)
	}
	if _, stays := slices.BinarySearch(c.paths, path); stays {
		return 0, false, nil
	}
	at, _ := slices.BinarySearch(c.paths, path+"/")
	if below := at < len(c.paths) && strings.HasPrefix(c.paths[at], path+"/"); !below {
		bytes, err = artifact.DiskUse(ctx, path)
		if err == nil && really {
			err = filetree.RemoveAll(path)
		}
		return bytes, true, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return 0, false, err
	}
	for _, e := range entries {
		n, some, err := c.prune(ctx, filepath.Join(path, e.Name()), really)
		if err != nil {
			return bytes, any, err
		}
		bytes, any = bytes+n, any || some
	}
	return bytes, any, nil
}
