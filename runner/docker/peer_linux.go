package docker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rootListens reports whether root's process on this machine listens at a unix
// socket.
func rootListens(socket string) bool {
	cred, err := peerCred(socket)
	return err == nil && cred.Uid == 0
}

func peerCred(socket string) (cred *unix.Ucred, err error) {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, cerr)
}

// peer names the process that listens at a unix socket: pid and start time. It
// is "" where that is not known, and for a socket that systemd (pid 1) opened,
// which outlives its engine.
func peer(socket string) string {
	cred, err := peerCred(socket)
	if err != nil || cred.Pid <= 1 {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cred.Pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name before may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return ""
	}
	return fmt.Sprintf("%d-%s", cred.Pid, fields[19]) // starttime is field 22 of 52
}
