package artifact

import (
	"os"

	"golang.org/x/sys/unix"
)

// manyFiles is from how many files on it is faster to sync the whole file
// system than each file.
const manyFiles = 32

// syncAll flushes the file system of dir and reports whether it could.
func syncAll(dir *os.File) (bool, error) {
	err := retry(func() error { return unix.Syncfs(int(dir.Fd())) })
	if err == unix.ENOSYS {
		return false, nil
	}
	return true, err
}

// reflink makes dst share the blocks of src; false: this file system can't.
func reflink(dst, src *os.File) bool {
	return retry(func() error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }) == nil
}

// exchange swaps two paths in one step; false: this file system can't.
func exchange(a, b string) bool {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil
}
