package sqlite

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lockHolder names the process that holds SQLite's write lock, where the kernel
// says so (Linux). It opens neither file: closing one would drop this process's
// own locks on it, as POSIX has it.
func lockHolder(path string) string {
	const (
		walWrite = 120        // offset in -shm: https://sqlite.org/walformat.html#wal_locks
		pending  = 0x40000000 // first lock byte of the file itself
	)
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	for file, at := range map[string]uint64{path + "-shm": walWrite, path: pending} {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		if pid := writeLocker(string(locks), uint64(stat.Ino), at); pid != 0 && pid != os.Getpid() {
			return describe(pid)
		}
	}
	return ""
}

// writeLocker finds who has locked the byte at offset at, or one behind it in the
// file itself, for writing. A line of /proc/locks:
//
//	1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120
func writeLocker(locks string, inode, at uint64) int {
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] == "->" || f[3] != "WRITE" || !strings.HasSuffix(f[5], ":"+strconv.FormatUint(inode, 10)) {
			continue
		}
		from, err := strconv.ParseUint(f[6], 10, 64)
		if err != nil {
			continue
		}
		to, err := strconv.ParseUint(f[7], 10, 64)
		if err != nil { // "EOF"
			to = from + 1<<40
		}
		if from <= at && at <= to || at > 1<<20 && from >= at {
			pid, _ := strconv.Atoi(f[4])
			return max(0, pid)
		}
	}
	return 0
}

func describe(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name)))
}
