//go:build unix

package docker

import (
	"io/fs"
	"syscall"
)

// ownedBy reports whether a file already belongs to uid and gid.
func ownedBy(fi fs.FileInfo, uid, gid int) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid && int(st.Gid) == gid
}
