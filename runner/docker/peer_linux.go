package docker

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// peer names the process that listens at a unix socket: pid and start time. It
// is "" where that is not known, and for a socket that systemd (pid 1) opened,
// which outlives its engine.
func peer(socket string) string {
	if socket == "" {
		return ""
	}
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ""
	}
	pid := int32(0)
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = cred.Pid
		}
	})
	if pid <= 1 {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name before may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return ""
	}
	return fmt.Sprintf("%d-%s", pid, fields[19]) // starttime is field 22 of 52
}
