package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/runner"
)

// What a supervisor says on descriptor 3 when the first containers have started.
// It keeps that descriptor open, so that its end is seen there too.
const (
	saysOK    = "ok"
	saysTaken = "taken" // another supervisor has this pod, or had it
)

// supervisor runs one pod. Everything happens in one goroutine, except copying logs.
type supervisor struct {
	dir     podDir
	lock    *os.File // held, and never closed: it goes with this process
	spec    spec
	secrets secrets
	host    []string // the environment that containers inherit

	all      []*container // in the order of the spec
	byPid    map[int]*container
	began    time.Time
	child    chan os.Signal
	term     chan os.Signal
	stopped  runner.Cause // why it is being stopped; empty while it isn't
	ending   bool         // the main ones have ended, sidecars are being stopped
	killAt   time.Time    // zero: no kill is due
	killed   bool         // that moment has come
	kill     *time.Timer
	poll     *time.Timer      // groups that are being stopped
	deadline <-chan time.Time // nil: none

	logMu sync.Mutex
	clock clock
	notes []string // for Exit.Message
}

// Supervise runs the pod of dir (work/<pod> of a WHERRY_HOME) to its end and
// returns the exit code of the supervising process: 0 once the pod's exit is on
// record, whatever it was. Secret values come on standard input, as JSON. It
// must be called on the main goroutine of a process of its own, which Backend
// starts; what it starts dies with it.
func Supervise(dir string) int {
	// A container is killed with the thread that started it: stay on this one.
	runtime.LockOSThread()
	say := openStatus()
	s, err := newSupervisor(podDir(dir))
	switch {
	case errors.Is(err, errTaken):
		say(saysTaken)
		return 0
	case err != nil:
		say(err.Error())
		return 1
	}
	// A pod in which nothing could be started has ended before it is said to have
	// started, so that Ensure can tell at once.
	defer runtime.KeepAlive(s.lock) // its finalizer would release it
	s.begin()
	if !s.over() {
		say(saysOK)
	}
	s.run()
	if err := s.record(); err != nil {
		err = fmt.Errorf("record the exit of pod %q: %w", s.dir.name(), err)
		fmt.Fprintln(os.Stderr, err)
		say(err.Error())
		return 1
	}
	say(saysOK) // for who waits still
	return 0
}

// openStatus returns what answers the process that started this one.
func openStatus() func(string) {
	const fd = 3
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return func(string) {}
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(fd, "status")
	return func(line string) { _, _ = f.WriteString(line + "\n") }
}

var errTaken = errors.New("the pod has a supervisor")

// newSupervisor claims the pod. From here on it has begun: if this process dies,
// the pod is lost.
func newSupervisor(dir podDir) (*supervisor, error) {
	s := &supervisor{dir: dir, host: os.Environ(), byPid: map[int]*container{},
		child: make(chan os.Signal, 1), term: make(chan os.Signal, 4), kill: idleTimer(), poll: idleTimer()}
	if err := json.NewDecoder(os.Stdin).Decode(&s.secrets); err != nil {
		return nil, fmt.Errorf("read secrets of pod %q: %w", dir.name(), err)
	}
	var err error
	if s.spec, err = dir.readSpec(); err != nil {
		return nil, fmt.Errorf("read what to run: %w", err)
	}
	if s.lock, err = dir.claim(); err != nil {
		return nil, err
	}
	if err := becomeSubreaper(); err != nil {
		return nil, fmt.Errorf("adopt orphans of pod %q: %w", dir.name(), err)
	}
	for i := range s.spec.Containers {
		c := &container{spec: &s.spec.Containers[i]}
		if c.log, err = newLogFile(dir.log(c.spec.Name), &s.logMu, &s.clock); err != nil {
			return nil, err
		}
		s.all = append(s.all, c)
	}
	// Not ignored: that would be handed on to the containers.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT)
	signal.Notify(s.child, syscall.SIGCHLD)
	signal.Notify(s.term, syscall.SIGTERM)
	return s, reserveExit(dir)
}

// idleTimer returns a timer that never fires until it is reset.
func idleTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// claim takes the pod's lock until this process ends, and errTaken if another
// process has it or had it.
func (d podDir) claim() (*os.File, error) {
	f, err := os.Open(d.lock())
	if err != nil {
		return nil, fmt.Errorf("lock pod %q: %w", d.name(), err)
	}
	for try := 0; ; try++ {
		if _, err := os.Stat(d.pid()); err == nil {
			return nil, errTaken
		}
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		// Who only looks whether it is locked holds it for an instant.
		if !errors.Is(err, unix.EWOULDBLOCK) || try == 100 {
			return nil, errTaken
		}
		time.Sleep(2 * time.Millisecond)
	}
	if _, err := os.Stat(d.pid()); err == nil {
		return nil, errTaken
	}
	if err := os.WriteFile(d.pid()+".tmp", []byte(self().String()), 0o644); err != nil {
		return nil, fmt.Errorf("claim pod %q: %w", d.name(), err)
	}
	return f, nil
}

// begin makes it known that the pod runs.
func (d podDir) begin() error {
	if err := os.Rename(d.pid()+".tmp", d.pid()); err != nil {
		return err
	}
	return os.WriteFile(d.live(), nil, 0o644)
}

// begin starts what runs first.
func (s *supervisor) begin() {
	s.began = time.Now()
	if s.spec.Deadline > 0 {
		s.deadline = time.After(s.spec.Deadline)
	}
	s.advance()
}

// run takes the pod through its life.
func (s *supervisor) run() {
	for ; !s.over(); s.advance() {
		select {
		case <-s.child:
			s.reap()
		case <-s.term:
			s.stop(runner.CauseStopped, s.dir.stopGrace(s.spec.Grace))
		case <-s.deadline:
			s.stop(runner.CauseDeadline, s.spec.Grace)
		case <-s.kill.C:
			s.killAll()
		case <-s.poll.C:
			s.drained()
		}
	}
	s.killStrays()
	for _, c := range s.all {
		if err := c.log.close(); err != nil {
			s.note("log of %q: %v", c.spec.Name, err)
		}
	}
}

// stopGrace is what the one who asked to stop allows, else fallback.
func (d podDir) stopGrace(fallback time.Duration) time.Duration {
	var r stopRequest
	if err := readJSON(d.stop(), &r); err != nil {
		return fallback
	}
	return r.Grace
}

// stop ends the pod: SIGTERM now, SIGKILL after grace. A second call can only
// shorten the time. The cause of a pod whose main containers have ended stays.
func (s *supervisor) stop(why runner.Cause, grace time.Duration) {
	if s.stopped == "" && !s.ending {
		s.stopped = why
		s.skipPending()
		s.terminate()
	}
	s.killWithin(grace)
}

func (s *supervisor) killWithin(grace time.Duration) {
	at := time.Now().Add(grace)
	if s.killAt.IsZero() || at.Before(s.killAt) {
		s.killAt = at
		s.kill.Reset(grace)
	}
}

// terminate sends SIGTERM to the first process of every container, as an engine
// does. What it doesn't hand on, finish does.
func (s *supervisor) terminate() {
	for _, c := range s.all {
		if c.phase == running {
			_ = syscall.Kill(c.pid, syscall.SIGTERM)
		}
	}
}

func (s *supervisor) killAll() {
	s.killed = true
	for _, c := range s.all {
		if c.phase == running || c.phase == draining {
			_ = syscall.Kill(-c.pid, syscall.SIGKILL)
		}
	}
}

// advance starts what may start now, and stops the sidecars once the main
// containers have ended.
func (s *supervisor) advance() {
	if s.stopped == "" && s.initialized() {
		s.startRest()
	}
	if s.ending || !s.mainsOver() && !s.broken() {
		return
	}
	s.ending = true
	if s.stopped == "" {
		s.skipPending()
		s.terminate()
		s.killWithin(s.spec.Grace)
	}
}

// broken reports that a main container failed whose failure ends the pod.
func (s *supervisor) broken() bool {
	return s.spec.FailFast && slices.ContainsFunc(s.all, func(c *container) bool {
		return c.spec.Role == runner.Main && c.phase == ended && !c.well()
	})
}

// initialized runs the init containers, one after the other, and reports whether
// all have ended well. After a failure the others are skipped.
func (s *supervisor) initialized() bool {
	for _, c := range s.all {
		if c.spec.Role != runner.Init {
			continue
		}
		if c.phase == pending {
			s.start(c)
		}
		if c.phase < ended {
			return false
		}
		if !c.well() {
			s.skipPending()
			return false
		}
	}
	return true
}

func (s *supervisor) skipPending() {
	for _, c := range s.all {
		if c.phase == pending {
			c.phase = skipped
		}
	}
}

// startRest starts sidecars, then main containers as their order allows.
func (s *supervisor) startRest() {
	for _, c := range s.all {
		if c.spec.Role == runner.Sidecar && c.phase == pending {
			s.start(c)
		}
	}
	for again := true; again; {
		again = false
		for _, c := range s.all {
			if c.spec.Role != runner.Main || c.phase != pending {
				continue
			}
			switch s.ready(c) {
			case pending:
				continue
			case skipped:
				c.phase = skipped
			default:
				s.start(c)
			}
			again = true // another may wait for this one
		}
	}
}

// ready says whether c may run: pending not yet, skipped never, running now.
func (s *supervisor) ready(c *container) phase {
	verdict := running
	for _, name := range c.spec.After {
		for _, before := range s.all {
			switch {
			case before.spec.Name != name || before.well():
			case before.phase == ended || before.phase == skipped:
				return skipped
			default:
				verdict = pending
			}
		}
	}
	return verdict
}

func (s *supervisor) mainsOver() bool {
	for _, c := range s.all {
		if c.spec.Role != runner.Sidecar && c.phase < ended {
			return false
		}
	}
	return true
}

// over reports whether nothing runs and nothing is to run.
func (s *supervisor) over() bool {
	for _, c := range s.all {
		if c.phase < ended {
			return false
		}
	}
	return true
}

func (s *supervisor) note(format string, a ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, a...))
}
