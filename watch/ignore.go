package watch

import "strings"

// leftBehind reports whether something of this name is an editor's or a tool's own,
// and never what a save is about.
func leftBehind(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", ".jj", "__pycache__", ".ipynb_checkpoints", ".DS_Store":
		return true
	}
	return strings.HasSuffix(name, ".pyc") || EditorFile(name)
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
