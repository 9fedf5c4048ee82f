package artifact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// View is a tree in which opens are watched.
type View struct {
	file   *os.File         // of inotify
	dirs   map[int32]string // by watch
	mu     sync.Mutex       // of seen
	seen   map[string]bool  // files that were opened
	missed bool             // the kernel has dropped events
	ended  chan struct{}    // the reader has
}

// watchOpens watches the directories below at.
func watchOpens(at string, dirs []string) (*View, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, noWatches(err)
	}
	v := &View{file: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]string{}, seen: map[string]bool{}, ended: make(chan struct{})}
	for _, dir := range dirs {
		wd, err := unix.InotifyAddWatch(fd, path.Join(at, dir), unix.IN_OPEN|unix.IN_ONLYDIR)
		if err != nil {
			v.file.Close()
			return nil, noWatches(err)
		}
		v.dirs[int32(wd)] = dir
	}
	go func() {
		defer close(v.ended)
		buf := make([]byte, 64<<10)
		for {
			n, err := v.file.Read(buf)
			if err != nil {
				v.missed = v.missed || !errors.Is(err, os.ErrDeadlineExceeded)
				return
			}
			v.take(buf[:n])
		}
	}()
	return v, nil
}

// noWatches says why opens can't be watched, in the same words for each step.
func noWatches(err error) error {
	limit := "max_user_watches"
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		limit = "max_user_instances"
	case !errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: %w", ErrNoView, err)
	}
	text, n := "", 0
	if now, err := os.ReadFile("/proc/sys/fs/inotify/" + limit); err == nil {
		_, _ = fmt.Sscan(string(now), &n)
		text = fmt.Sprintf("; try: sudo sysctl fs.inotify.%s=%d", limit, max(4*n, 1024))
	}
	return fmt.Errorf("%w: the system has no more file watches to give%s", ErrNoView, text)
}

// take reads events as inotify(7) lays them out.
func (v *View) take(buf []byte) {
	for len(buf) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(buf))
		mask := binary.NativeEndian.Uint32(buf[4:])
		size := int(binary.NativeEndian.Uint32(buf[12:]))
		name := strings.TrimRight(string(buf[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size]), "\x00")
		buf = buf[unix.SizeofInotifyEvent+size:]
		dir, known := v.dirs[wd]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			v.missed = true
		case mask&unix.IN_OPEN != 0 && mask&unix.IN_ISDIR == 0 && name != "" && known:
			v.mu.Lock()
			v.seen[path.Join(dir, name)] = true
			v.mu.Unlock()
		}
	}
}

// Opened ends the watching and returns the files that were opened, sorted, and
// whether that is all of them: a kernel that has more to tell than its queue
// holds drops events.
func (v *View) Opened() (files []string, all bool) {
	_ = v.file.SetReadDeadline(time.Unix(1, 0))
	<-v.ended
	conn, err := v.file.SyscallConn()
	if err == nil {
		err = conn.Control(v.drain)
	}
	v.missed = v.missed || err != nil
	v.file.Close()
	for name := range v.seen {
		files = append(files, name)
	}
	slices.Sort(files)
	return files, !v.missed
}

// SoFar returns the files that were opened up to now, sorted.
func (v *View) SoFar() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.seen))
}

// drain takes what is in the queue when the reader was told to end.
func (v *View) drain(fd uintptr) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(int(fd), buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n <= 0:
			v.missed = true
			return
		default:
			v.take(buf[:n])
		}
	}
}
