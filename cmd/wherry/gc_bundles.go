package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/filetree"
)

// planBundles lists what is in the folder of loaded bundles: what a killed load has left
// there goes; files that no run refers to go as images do, with runs that were
// forgotten, if nobody has changed them since the oldest run that stays.
func (c *garbage) planBundles(ctx context.Context, p *gcPlan) error {
	dir := filepath.Join(c.g.Home, "bundles")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	since := c.oldest()
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		why, err := c.judgeBundle(ctx, path, p.gone(), since)
		if err != nil {
			return err
		}
		if why == "" {
			continue
		}
		unlock, free := tryPath(path)
		if !free { // it is being loaded or saved
			continue
		}
		unlock()
		n, err := artifact.DiskUse(ctx, path)
		if err != nil {
			return err
		}
		p.add(gcItem{Kind: "bundle", Name: filepath.Join("bundles", e.Name()), Bytes: n, Why: why, remove: func(ctx context.Context) (bool, error) {
			unlock, free := tryPath(path)
			if !free {
				return false, nil
			}
			defer unlock()
			if why, err := c.judgeBundle(ctx, path, nil, since); err != nil || why == "" {
				return false, err
			}
			return true, filetree.RemoveAll(path)
		}})
	}
	return nil
}

// loadedName is that of a folder with the files of a bundle: see loadBundle.
var loadedName = regexp.MustCompile(`^[0-9a-f]{12}$`)

// judgeBundle says why something in the folder of bundles goes, once the runs forget
// are gone; empty: it stays.
func (c *garbage) judgeBundle(ctx context.Context, path string, forget []string, since time.Time) (why string, err error) {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") && strings.HasSuffix(name, loadSuffix) {
		return "its load was interrupted", nil
	}
	what := "it was not changed since "
	switch info, err := os.Lstat(path); {
	case err != nil || !c.limits.forgets():
		return "", err
	case info.IsDir() && loadedName.MatchString(name):
		what = "no run refers to it, and " + what
	case info.Mode().IsRegular() && strings.HasSuffix(name, ".partial"):
		what = "its save was interrupted, and " + what
	default:
		return "", nil // a person's
	}
	used, err := lastChanged(path)
	if err != nil || !used.Before(since) || !c.limits.before.IsZero() && !used.Before(c.limits.before) {
		return "", err
	}
	inside := func(uri string) bool { return uri == path || strings.HasPrefix(uri, path+"/") }
	if slices.ContainsFunc(c.paths, inside) {
		return "", nil
	}
	if named, err := c.db.Names(ctx, path, forget); err != nil || named {
		return "", err
	}
	return what + ago(used), nil
}

// tryPath takes the lock of a file or folder, if nobody has it.
func tryPath(path string) (unlock func(), free bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}

// lastChanged is when anything at or below path was written last, or brought there.
func lastChanged(path string) (at time.Time, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return at, err
	}
	at = time.Unix(st.Ctim.Unix())
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
		return err
	})
	return at, err
}
