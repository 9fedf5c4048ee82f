package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// phase is where a container is in its life.
type phase int

const (
	pending phase = iota
	running
	draining // its first process has ended while it was being stopped, others of its group haven't
	ended
	skipped // never started
)

// container is one container of a pod under its supervisor.
type container struct {
	spec    *containerSpec
	phase   phase
	pid     int // of its first process and of its process group
	code    int
	err     error // why it could not be started
	started time.Time
	ended   time.Time
	log     *logFile
	pipes   []*os.File // read ends of stdout and stderr
	pumps   sync.WaitGroup
}

// well reports whether c has ended well.
func (c *container) well() bool { return c.phase == ended && c.code == 0 && c.err == nil }

// start starts c. One that can't be started has ended, with the code that a
// shell would give.
func (s *supervisor) start(c *container) {
	c.phase, c.started = running, time.Now()
	if c.err = s.exec(c); c.err == nil {
		s.byPid[c.pid] = c
		p := process{pid: c.pid}
		p.start, _ = startTime(c.pid)
		_ = os.WriteFile(s.dir.container(c.spec.Name), []byte(p.String()), 0o600)
		return
	}
	c.phase, c.ended, c.code = ended, time.Now(), 126
	if errors.Is(c.err, fs.ErrNotExist) {
		c.code = 127
	}
	s.note("start container %q: %v", c.spec.Name, c.err)
}

func (s *supervisor) exec(c *container) error {
	env := containerEnv(s.host, s.dir, c.spec, s.secrets[c.spec.Name])
	path, err := lookPath(c.spec.Argv[0], c.spec.Dir, env)
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	var ends []*os.File
	defer func() {
		for _, w := range ends {
			w.Close()
		}
	}()
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		c.pipes, ends = append(c.pipes, r), append(ends, w)
	}
	c.pid, err = syscall.ForkExec(path, c.spec.Argv, &syscall.ProcAttr{
		Dir: c.spec.Dir, Env: env, Sys: containerAttr(),
		Files: []uintptr{null.Fd(), ends[0].Fd(), ends[1].Fd()},
	})
	if err != nil {
		return &fs.PathError{Op: "start", Path: path, Err: err}
	}
	c.pumps.Go(func() { c.log.pump(runner.Stdout, c.pipes[0]) })
	c.pumps.Go(func() { c.log.pump(runner.Stderr, c.pipes[1]) })
	return nil
}

// reap takes note of every child that has ended, orphans among them.
func (s *supervisor) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c := s.byPid[pid]; c != nil {
			delete(s.byPid, pid)
			s.finish(c, ws)
		}
	}
}

// finish takes note of what c's first process returned. What else it started in
// its group is killed, as in a container; but if it is being stopped, that gets
// SIGTERM too and the rest of the time: a shell hands no signal on.
func (s *supervisor) finish(c *container, ws syscall.WaitStatus) {
	c.ended, c.code = time.Now(), exitCode(ws)
	_ = os.Remove(s.dir.container(c.spec.Name))
	stopping := (s.stopped != "" || s.ending) && !s.killed
	if stopping && syscall.Kill(-c.pid, syscall.SIGTERM) == nil {
		c.phase = draining
		s.poll.Reset(pollDrained)
		return
	}
	s.close(c)
}

// pollDrained is how often a group is looked at that is being stopped.
const pollDrained = 10 * time.Millisecond

// drained ends the containers whose group has ended.
func (s *supervisor) drained() {
	for _, c := range s.all {
		if c.phase != draining {
			continue
		}
		if syscall.Kill(-c.pid, 0) == nil {
			s.poll.Reset(pollDrained)
			continue
		}
		c.ended = time.Now()
		s.close(c)
	}
}

// close ends c: nothing of its group is left, and its log is read to the end.
func (s *supervisor) close(c *container) {
	c.phase = ended
	_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	// A process that left the group may hold the pipes open: wait for it a little.
	for _, r := range c.pipes {
		_ = r.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	}
	c.pumps.Wait()
	for _, r := range c.pipes {
		r.Close()
	}
}

// exitCode is the code of an exit, or 128+n for signal n.
func exitCode(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// killStrays kills what left its process group: as the reaper of orphans, this
// process is or becomes the parent of all of it.
func (s *supervisor) killStrays() {
	for range 100 {
		_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return
		}
		kids := children()
		for _, pid := range kids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range kids {
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
		if len(kids) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// lookPath finds the program as a shell in dir with this environment would.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		_, err := os.Stat(name)
		return name, err
	}
	search := ""
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			search = p
		}
	}
	for _, d := range filepath.SplitList(search) {
		path := filepath.Join(d, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("command %q: %w in PATH", name, errNotFound)
}

// errNotFound is fs.ErrNotExist in other words.
var errNotFound error = notFound{}

type notFound struct{}

func (notFound) Error() string        { return "not found" }
func (notFound) Is(target error) bool { return target == fs.ErrNotExist }
