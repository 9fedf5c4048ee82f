package artifact

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// stat is what the store looks at of a file: the same on all systems.
type stat struct {
	mode         fs.FileMode // type, permissions
	size         int64
	blocks       int64 // bytes on the disk
	mtime, ctime int64 // ns since 1970
	dev, ino     uint64
	nlink        uint64
	uid          uint32
}

// same reports whether a and b are the same file with the same content, as far
// as its size and modification time tell.
func (a stat) same(b stat) bool {
	return a.dev == b.dev && a.ino == b.ino && a.size == b.size && a.mtime == b.mtime
}

func (a stat) kind() byte {
	switch {
	case a.mode.IsDir():
		return kindDir
	case a.mode&fs.ModeSymlink != 0:
		return kindLink
	case a.mode.IsRegular() && a.mode&0o100 != 0:
		return kindExec
	case a.mode.IsRegular():
		return kindFile
	}
	return 0
}

// statAt looks at name in dir, not through a symbolic link.
func statAt(dir *os.File, name string) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error {
		return unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return stat{}, &fs.PathError{Op: "lstat", Path: dir.Name() + "/" + name, Err: err}
	}
	return convert(&st), nil
}

func statFile(f *os.File) (stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return stat{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return convert(&st), nil
}

func statPath(path string) (stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return stat{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return convert(&st), nil
}

func convert(st *unix.Stat_t) stat {
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	default:
		mode |= fs.ModeDevice
	}
	return stat{mode: mode, size: st.Size, blocks: int64(st.Blocks) * 512, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
		dev: uint64(st.Dev), ino: uint64(st.Ino), nlink: uint64(st.Nlink), uid: st.Uid}
}

// Room returns how many bytes and files the file system of dir can still take
// from an ordinary user; files is -1 where there is no such limit.
func Room(dir string) (free, files int64, err error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, -1, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	files = int64(st.Ffree)
	if st.Files == 0 {
		files = -1
	}
	return int64(st.Bavail) * int64(st.Bsize), files, nil
}

// retry calls f until no signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
