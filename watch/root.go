package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Target is a file or folder to watch. It need not be there yet.
type Target struct {
	Path string // absolute
	// Skip says what below a folder does not count: rel is relative to Path, with
	// slashes. nil: everything counts, but for what editors and tools leave there.
	Skip func(rel string, dir bool) bool
	// Rules is what Skip goes by, in any words: where they are others, so is what counts.
	Rules string
}

// root is a target, where it really lies, and what is known of it.
type root struct {
	Target
	real  string            // without symbolic links; "": it is not there
	isDir bool              // its content counts
	way   []string          // what decides where it lies: symbolic links, what is missing, itself
	files map[string]stamp  // by path as the target names it
	dirs  map[string]string // its folders: where they really lie, by path
	over  bool              // it is watched no more

	git    string // the folder of git's index; "": it is in no repository
	sought bool   // git was looked for
}

// stamp is what is known of a file. The zero value is that of one that is not there.
type stamp struct {
	mode  fs.FileMode
	size  int64
	mtime int64 // ns since 1970
	ino   uint64
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{mode: info.Mode(), size: info.Size(), mtime: info.ModTime().UnixNano(), ino: inode(info)}
}

// now returns the stamp of one of the root's files. A target that is a symbolic link is
// what it leads to; links in a folder are what they say, as in a snapshot.
func (r *root) now(path string) stamp {
	look := os.Lstat
	if path == r.Path {
		look = os.Stat
	}
	info, err := look(path)
	if err != nil || info.IsDir() {
		return stamp{}
	}
	return stampOf(info)
}

// resolve finds out where the target lies now.
func (r *root) resolve() {
	r.real, r.way = locate(r.Path)
	info, err := os.Stat(r.Path)
	r.isDir = err == nil && info.IsDir()
}

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// maxLinks is how many symbolic links one path may go through, as in Linux.
const maxLinks = 40

// locate follows the symbolic links of a path. way is what can change where it leads:
// each link, and the path itself or the first part of it that is missing, all in
// folders without links. real is "" where the path leads to nothing.
func locate(path string) (real string, way []string) {
	at, rest := "/", strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, part) // ".." of a link's target too: at holds no links
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return "", append(way, next)
		case info.Mode()&fs.ModeSymlink == 0:
			at = next
			continue
		}
		way = append(way, next)
		target, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return "", way
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(filepath.Clean(strings.TrimPrefix(target, "/")), "/"), rest...)
	}
	return at, append(way, at)
}

// walk looks at everything of the root that counts: file is called with its paths as
// the target names them, dir before its content is listed, with where it really lies.
func (r *root) walk(file func(path string, s stamp), dir func(path, real string)) {
	switch {
	case r.real == "":
	case r.isDir:
		r.walkDir(r.Path, r.real, file, dir)
	default:
		file(r.Path, r.now(r.Path))
	}
}

func (r *root) walkDir(path, real string, file func(string, stamp), dir func(string, string)) {
	dir(path, real)
	entries, _ := os.ReadDir(real) // gone, or not ours to read: nothing in it counts
	for _, e := range entries {
		below := filepath.Join(path, e.Name())
		if r.skips(below, e.IsDir()) {
			continue
		}
		if e.IsDir() {
			r.walkDir(below, filepath.Join(real, e.Name()), file, dir)
		} else if info, err := e.Info(); err == nil {
			file(below, stampOf(info))
		}
	}
}

// skips reports whether what is at a path below the root does not count.
func (r *root) skips(path string, dir bool) bool {
	rel, err := filepath.Rel(r.Path, path)
	rel = filepath.ToSlash(rel)
	return err != nil || leftBehind(rel) || r.Skip != nil && r.Skip(rel, dir)
}

// differing lists what differs from what is known.
func (r *root) differing() []change {
	var out []change
	seen := map[string]bool{}
	r.walk(func(path string, s stamp) {
		seen[path] = true
		if r.files[path] != s {
			out = append(out, change{place: place{r, path}})
		}
	}, func(string, string) {})
	for path := range r.files {
		if !seen[path] {
			out = append(out, change{place: place{r, path}})
		}
	}
	return out
}

// know takes a stamp for what is known. It reports whether it differed.
func (r *root) know(path string, s stamp) bool {
	old, there := r.files[path]
	switch {
	case s == (stamp{}):
		delete(r.files, path)
		return there
	case old == s:
		return false
	}
	r.files[path] = s
	return true
}
