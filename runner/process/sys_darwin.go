package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// becomeSubreaper does nothing: macOS gives orphans to launchd. Containers are
// ended by their process groups.
func becomeSubreaper() error { return nil }

// containerAttr starts a container in a process group of its own.
func containerAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startTime returns when pid started, in microseconds of the Unix era.
func startTime(pid int) (string, error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	const zombie = 5 // SZOMB
	if p.Proc.P_pid != int32(pid) || p.Proc.P_stat == zombie {
		return "", os.ErrProcessDone
	}
	t := p.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

// children returns nothing: without a subreaper, all children are known.
func children() []int { return nil }

// killMarked kills the process groups whose first process is still there.
func killMarked(_ string, groups []process) {
	for _, g := range groups {
		if g.alive() {
			_ = unix.Kill(-g.pid, unix.SIGKILL)
		}
	}
}

// environ is not to be had on macOS.
func environ(int) ([]string, error) { return nil, errors.ErrUnsupported }

// totalMemory returns the bytes of memory of this host.
func totalMemory() (int64, error) {
	n, err := unix.SysctlUint64("hw.memsize")
	return int64(n), err
}
