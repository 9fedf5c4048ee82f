package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/runner"
)

// liveDir is the folder in work that holds one empty file per running pod. Its
// removal is what tells watchers of the end: unlike making a file, it can't fail
// on a full disk, and one watch sees all pods.
const liveDir = ".live"

// podDir is the directory of one pod, work/<pod>.
type podDir string

func (d podDir) name() string              { return filepath.Base(string(d)) }
func (d podDir) spec() string              { return filepath.Join(string(d), "spec.json") }
func (d podDir) lock() string              { return filepath.Join(string(d), "lock") }
func (d podDir) pid() string               { return filepath.Join(string(d), "pid") }
func (d podDir) exit() string              { return filepath.Join(string(d), "exit.json") }
func (d podDir) stop() string              { return filepath.Join(string(d), "stop.json") }
func (d podDir) cwd() string               { return filepath.Join(string(d), "cwd") }
func (d podDir) tmp() string               { return filepath.Join(string(d), "tmp") }
func (d podDir) venv() string              { return filepath.Join(string(d), "venv") }
func (d podDir) logs() string              { return filepath.Join(string(d), "logs") }
func (d podDir) run() string               { return filepath.Join(string(d), "run") }
func (d podDir) volume(name string) string { return filepath.Join(string(d), "volumes", name) }
func (d podDir) log(container string) string {
	return filepath.Join(d.logs(), container+".log")
}
func (d podDir) container(name string) string { return filepath.Join(d.run(), name) }
func (d podDir) live() string {
	return filepath.Join(filepath.Dir(string(d)), liveDir, d.name())
}

// spec is what the supervisor is told, and what a later wherry reads. It holds
// no secret value: those reach the supervisor through its standard input.
type spec struct {
	Name       string            `json:"name"`
	Labels     map[string]string `json:"labels,omitempty"`
	Containers []containerSpec   `json:"containers"`
	Deadline   time.Duration     `json:"deadline,omitempty"` // nanoseconds
	Grace      time.Duration     `json:"grace"`              // nanoseconds
	FailFast   bool              `json:"failFast,omitempty"`
	Mounts     []bind            `json:"mounts,omitempty"`
	Links      []bind            `json:"links,omitempty"`  // symbolic links that the pod made
	Inputs     []bind            `json:"inputs,omitempty"` // and those to artifacts, which stay
}

// containerSpec is one container as the supervisor starts it.
type containerSpec struct {
	Name  string      `json:"name"`
	Role  runner.Role `json:"role,omitempty"`
	After []string    `json:"after,omitempty"`
	Argv  []string    `json:"argv"`
	Env   []string    `json:"env,omitempty"` // NAME=value, those that the pod gave
	Dir   string      `json:"dir"`
	Paths []string    `json:"paths,omitempty"` // PATH starts with these
	Venv  string      `json:"venv,omitempty"`  // VIRTUAL_ENV
}

// bind says that Path stands for Real.
type bind struct {
	Path string `json:"path"`
	Real string `json:"real"`
}

// secrets are the values of secret variables, by container: NAME=value.
type secrets map[string][]string

// stopRequest is what Stop leaves for the supervisor beside its signal.
type stopRequest struct {
	Grace time.Duration `json:"grace"` // nanoseconds
}

func (d podDir) readSpec() (spec, error) {
	var s spec
	err := readJSON(d.spec(), &s)
	return s, err
}

// state is what can be seen of a pod from its directory.
type state struct {
	phase runner.Phase
	exit  runner.Exit
}

// look says where the pod is in its life. A supervisor that began and is gone
// without an exit on record has lost its pod.
func (d podDir) look() (state, error) {
	if e, err := d.readExit(); err == nil {
		return state{runner.PhaseEnded, e}, nil
	}
	// In this order: who writes the pid holds the lock from before that until its
	// end, and records the exit before that. Seen the other way round, a pod that
	// is just being started looks like one that died.
	_, err := os.Stat(d.pid())
	begun := err == nil
	alive, err := locked(d.lock())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state{phase: runner.PhaseGone, exit: lostExit("its directory is gone")}, nil
	case err != nil:
		return state{}, fmt.Errorf("look at pod %q: %w", d.name(), err)
	case alive:
		return state{phase: runner.PhaseRunning}, nil
	case !begun:
		return state{phase: runner.PhaseCreated}, nil
	}
	if e, err := d.readExit(); err == nil {
		return state{runner.PhaseEnded, e}, nil
	}
	return state{phase: runner.PhaseGone, exit: lostExit("its supervisor died")}, nil
}

func lostExit(why string) runner.Exit {
	return runner.Exit{Cause: runner.CauseLost, Message: why}
}

func (d podDir) readExit() (runner.Exit, error) {
	var e runner.Exit
	err := readJSON(d.exit(), &e)
	return e, err
}

// process names a process beyond the reuse of its id.
type process struct {
	pid   int
	start string // as the kernel counts it; never parsed
}

func (p process) String() string { return strconv.Itoa(p.pid) + " " + p.start + "\n" }

// alive reports whether this very process is still there.
func (p process) alive() bool {
	start, err := startTime(p.pid)
	return err == nil && start == p.start
}

// self returns the calling process.
func self() process {
	p := process{pid: os.Getpid()}
	p.start, _ = startTime(p.pid)
	return p
}

func readProcess(path string) (process, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	id, start, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err := strconv.Atoi(id)
	if err != nil || pid <= 1 {
		return process{}, fmt.Errorf("%s: no process id in %q", path, data)
	}
	return process{pid, start}, nil
}

// locked reports whether another process holds the lock of path.
func locked(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	// A shared lock, so that two that look at once don't take each other for the holder.
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON puts v at path at once or not at all.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
