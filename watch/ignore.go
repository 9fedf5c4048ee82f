package watch

import (
	"path"
	"strings"
)

// leftBehind reports whether what is at a path below a target is an editor's or a
// tool's own, and never what a save is about.
func leftBehind(rel string) bool {
	name := path.Base(rel)
	switch name {
	case "__pycache__", ".ipynb_checkpoints", ".DS_Store":
		return true
	}
	return strings.HasSuffix(name, ".pyc") || EditorFile(name) || VersionControl(rel)
}

// VersionControl reports whether what is at a path below a source belongs to a version
// control system: a commit changes it, and no source. rel has slashes.
func VersionControl(rel string) bool {
	switch path.Base(rel) {
	case ".git", ".hg", ".svn", ".jj", ".sl", ".bzr":
		return true
	case "cache", "tmp": // what else is in .dvc belongs to the project
		return path.Base(path.Dir(rel)) == ".dvc"
	}
	return false
}

// EditorFile reports whether a file of this name is what an editor keeps beside a file
// that it has open: a swap or lock file, a backup, a half written copy.
func EditorFile(name string) bool {
	for _, suffix := range []string{"~", "___jb_tmp___", "___jb_old___", ".kate-swp", ".crswap"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	for _, prefix := range []string{".#", ".goutputstream-", ".~lock."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	if i := strings.LastIndex(name, ".sw"); i > 0 && name[0] == '.' && i == len(name)-4 { // vim's .name.swp, .swo, …
		return true
	}
	return len(name) > 1 && strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#")
}
