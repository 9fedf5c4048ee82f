package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes orphans of the containers children of this process, so
// that none outlives its pod.
func becomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// containerAttr starts a container in a process group of its own, which the
// kernel kills with its supervisor. The thread that starts it must live on.
func containerAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startTime returns when pid started: boot id and clock ticks since that boot.
func startTime(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	f, err := statFields(data)
	if err != nil {
		return "", err
	}
	if f[0] == "Z" || f[0] == "X" {
		return "", os.ErrProcessDone
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(boot)) + "/" + f[19], nil
}

// statFields returns the fields of /proc/PID/stat from the third (state) on; the
// second, the command's name, may hold blanks and brackets.
func statFields(data []byte) ([]string, error) {
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return nil, fmt.Errorf("process status %q", data)
	}
	f := strings.Fields(string(data[i+1:]))
	if len(f) < 20 {
		return nil, fmt.Errorf("process status %q", data)
	}
	return f, nil
}

// children returns the direct children of this process.
func children() []int {
	self := strconv.Itoa(os.Getpid())
	var pids []int
	eachProcess(func(pid int) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return
		}
		if f, err := statFields(data); err == nil && f[1] == self {
			pids = append(pids, pid)
		}
	})
	return pids
}

// killMarked kills every process that carries marker in the environment with
// which it was started. groups is for systems that can't see that.
func killMarked(marker string, _ []process) {
	// Again, for one that was being forked.
	for range 10 {
		found := false
		eachProcess(func(pid int) {
			if pid != os.Getpid() && carries(pid, marker) {
				found = unix.Kill(pid, unix.SIGKILL) == nil || found
			}
		})
		if !found {
			return
		}
	}
}

func carries(pid int, marker string) bool {
	env, err := environ(pid)
	return err == nil && slices.Contains(env, marker)
}

func eachProcess(do func(pid int)) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, n := range names {
		if pid, err := strconv.Atoi(filepath.Base(n)); err == nil {
			do(pid)
		}
	}
}

// environ returns the environment with which pid was started, secrets included.
func environ(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

// totalMemory returns the bytes of memory of this host.
func totalMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no MemTotal in /proc/meminfo")
}
