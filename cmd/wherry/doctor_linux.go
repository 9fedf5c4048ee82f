package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inotifyLimits are the kernel's limits below which watching a source tree or
// several runs at once may fail.
var inotifyLimits = []struct {
	name string
	low  int64
	good int64
}{
	{"max_user_watches", 65536, 524288},
	{"max_user_instances", 128, 512},
	{"max_queued_events", 16384, 32768},
}

// checkInotify looks at what --watch and read tracking need.
func (d *diagnosis) checkInotify() {
	var values, low, mend []string
	for _, l := range inotifyLimits {
		text, err := os.ReadFile("/proc/sys/fs/inotify/" + l.name)
		n, numErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || numErr != nil {
			d.add("inotify", findingWarn, "", "its limits can't be read, so whether file changes are seen is not known")
			return
		}
		values = append(values, fmt.Sprintf("%s %d", l.name, n))
		if n < l.low {
			low = append(low, fmt.Sprintf("%s is %d", l.name, n))
			mend = append(mend, fmt.Sprintf("fs.inotify.%s=%d", l.name, l.good))
		}
	}
	if len(low) > 0 {
		d.add("inotify", findingWarn, "sudo sysctl "+strings.Join(mend, " "), "%s: changes in large folders may be missed", strings.Join(low, ", "))
		return
	}
	d.add("inotify", findingOK, "", "%s", strings.Join(values, ", "))
}

// networkFileSystem returns the kind of the network file system of dir, or "".
func networkFileSystem(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return ""
	}
	return map[int64]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB",
		unix.CIFS_SUPER_MAGIC: "SMB", unix.V9FS_MAGIC: "9p", unix.AFS_SUPER_MAGIC: "AFS", unix.CEPH_SUPER_MAGIC: "Ceph",
	}[int64(st.Type)]
}
