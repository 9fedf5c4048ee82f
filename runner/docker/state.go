package docker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
)

// unit is one container of a pod, as the engine shows it.
type unit struct {
	id, role, name string // name: Container.Name
	order          int
	after          []string
	status         string // created, running, paused, exited, dead, removing
	code           int
	oom            bool
	err            string // why it could not be started
	memory         int64  // limit in bytes
	started, ended time.Time
	labels         map[string]string
}

func unitOf(c container.InspectResponse) unit {
	u := unit{id: c.ID, labels: c.Config.Labels, role: c.Config.Labels[labelRole], name: c.Config.Labels[labelContainer]}
	u.order, _ = strconv.Atoi(u.labels[labelOrder])
	if after := u.labels[labelAfter]; after != "" {
		u.after = strings.Split(after, ",")
	}
	s := c.State
	u.status, u.code, u.oom, u.err = string(s.Status), s.ExitCode, s.OOMKilled, s.Error
	u.started, _ = time.Parse(time.RFC3339Nano, s.StartedAt)
	u.ended, _ = time.Parse(time.RFC3339Nano, s.FinishedAt)
	if c.HostConfig != nil {
		u.memory = c.HostConfig.Memory
	}
	return u
}

func (u unit) running() bool {
	return u.status == "running" || u.status == "paused" || u.status == "restarting"
}

// unstartable reports that the engine tried to start it and could not.
func (u unit) unstartable() bool { return u.status == "created" && (u.err != "" || u.code != 0) }

func (u unit) fresh() bool { return u.status == "created" && !u.unstartable() }

func (u unit) over() bool { return !u.running() && !u.fresh() }

func (u unit) failed() bool {
	return u.unstartable() || u.over() && (u.code != 0 || u.status == "dead" || u.status == "removing")
}

func (u unit) duration(label string) time.Duration {
	d, _ := time.ParseDuration(u.labels[label])
	return d
}

// facts are what else decides how a pod ended.
type facts struct {
	now     time.Time
	life    string    // of the engine
	stopped time.Time // when Stop was called; zero: it was not
}

// view is a pod seen through its containers: a pure function of what the engine
// shows, so that a process that starts after a crash sees the same.
type view struct {
	holder *unit // nil for a pod of one container
	units  []unit
	facts
}

func newView(units []unit, f facts) view {
	v := view{facts: f}
	for _, u := range units {
		if u.role == roleHolder {
			v.holder = &u
		} else {
			v.units = append(v.units, u)
		}
	}
	slices.SortFunc(v.units, func(a, b unit) int { return a.order - b.order })
	return v
}

func (v view) labels() map[string]string {
	if v.holder != nil {
		return v.holder.labels
	}
	if len(v.units) > 0 {
		return v.units[0].labels
	}
	return nil
}

func (v view) of(role string) (out []unit) {
	for _, u := range v.units {
		if u.role == role {
			out = append(out, u)
		}
	}
	return out
}

// started is when the pod's time began.
func (v view) started() time.Time {
	if v.holder != nil {
		return v.holder.started
	}
	if len(v.units) > 0 {
		return v.units[0].started
	}
	return time.Time{}
}

func (v view) deadline() time.Duration {
	d, _ := time.ParseDuration(v.labels()[labelDeadline])
	return d
}

// expired reports whether the deadline has passed, at the given time.
func (v view) expired(at time.Time) bool {
	d, start := v.deadline(), v.started()
	return d > 0 && start.Year() > 1 && at.Sub(start) >= d
}

// halted reports that nothing more of the pod may start.
func (v view) halted() bool { return !v.stopped.IsZero() || v.expired(v.now) }

// initFailed returns the init container that ended the pod before it began.
func (v view) initFailed() (unit, bool) {
	for _, u := range v.of(roleInit) {
		if u.failed() {
			return u, true
		}
	}
	return unit{}, false
}

// broken reports that a main container failed whose failure ends the pod.
func (v view) broken() bool {
	return v.labels()[labelFailFast] != "" && slices.ContainsFunc(v.of(roleMain), unit.failed)
}

// mayStart reports whether a container that has not started will be, now or
// later.
func (v view) mayStart(u unit) bool {
	if !u.fresh() || v.halted() || v.broken() || v.holder != nil && v.holder.over() {
		return false
	}
	if _, failed := v.initFailed(); failed {
		return false
	}
	for _, name := range u.after {
		i := slices.IndexFunc(v.units, func(x unit) bool { return x.name == name })
		if i < 0 || v.units[i].failed() || v.units[i].fresh() && !v.mayStart(v.units[i]) {
			return false
		}
	}
	return true
}

// worksOn reports whether an init or main container runs or will.
func (v view) worksOn() bool {
	return slices.ContainsFunc(v.units, func(u unit) bool {
		return u.role != roleSidecar && (u.running() || v.mayStart(u))
	})
}

// incomplete reports that somebody removed a part of the pod: what is left must
// not pass for the whole. A pod that has not begun may be in the making.
func (v view) incomplete() bool {
	n, _ := strconv.Atoi(v.labels()[labelCount])
	multi := v.labels()[labelMulti] != ""
	return multi && (v.holder == nil || len(v.units) < n && !v.holder.fresh())
}

// phase is where the pod is. It has ended only when nothing of it runs, so that
// its outputs no longer change.
func (v view) phase() runner.Phase {
	if len(v.units) == 0 && (v.holder == nil || !v.holder.fresh()) {
		return runner.PhaseGone
	}
	busy := slices.ContainsFunc(v.units, unit.running)
	switch {
	case v.incomplete() && (busy || v.holder != nil && v.holder.running()):
		return runner.PhaseRunning
	case v.incomplete():
		return runner.PhaseGone
	case v.holder == nil && busy:
		return runner.PhaseRunning
	case v.holder == nil && v.mayStart(v.units[0]):
		return runner.PhaseCreated
	case v.holder == nil:
		return runner.PhaseEnded
	case v.holder.unstartable() && !busy:
		return runner.PhaseEnded
	case v.holder.fresh() && !v.halted():
		return runner.PhaseCreated
	case busy || v.worksOn() || v.holder.running():
		return runner.PhaseRunning
	}
	return runner.PhaseEnded
}

// exit says how an ended pod ended.
func (v view) exit() runner.Exit {
	u := v.decisive()
	e := runner.Exit{Code: u.code, Container: u.name, Started: v.firstStart(), Ended: v.lastEnd()}
	if e.Ended.Before(e.Started) { // the engine notes the start of a very short one after its end
		e.Ended = e.Started
	}
	e.Cause, e.Message = v.cause(u, e)
	return e
}

// decisive is the container whose end is the pod's: the first that failed, else
// the last main one that ended.
func (v view) decisive() unit {
	if v.holder != nil && v.holder.unstartable() {
		return *v.holder
	}
	if u, failed := v.initFailed(); failed {
		return u
	}
	mains := v.of(roleMain)
	if len(mains) == 0 {
		return unit{}
	}
	best := mains[0]
	for _, u := range mains[1:] {
		switch {
		case u.failed() && (!best.failed() || u.ended.Before(best.ended)):
			best = u
		case !u.failed() && !best.failed() && (u.ended.After(best.ended) || u.fresh()):
			best = u
		}
	}
	return best
}

func (v view) cause(u unit, e runner.Exit) (runner.Cause, string) {
	switch {
	case v.orphaned(u):
		return runner.CauseLost, "the container that holds its network ended before it could start"
	case u.unstartable() && v.lost(u): // it may have begun: "task …: already exists"
		return runner.CauseLost, "the engine was restarted while it started it"
	case u.unstartable():
		return runner.CauseStart, startMessage(u.err)
	case u.status == "dead" || u.status == "removing":
		return runner.CauseLost, "the container was removed by somebody else"
	case !v.stopped.IsZero() && (u.fresh() || !u.ended.Before(v.stopped)):
		return runner.CauseStopped, ""
	case u.code != 0 && v.lost(u):
		return runner.CauseLost, "the engine was restarted while it ran"
	case v.expired(e.Ended) || u.fresh():
		return runner.CauseDeadline, fmt.Sprintf("stopped after its deadline of %v", v.deadline())
	case u.code == 0:
		return runner.CauseCompleted, ""
	case u.oom:
		return runner.CauseOOM, oomMessage(u.memory)
	}
	return runner.CauseError, signalMessage(u.code)
}

// lost reports whether the engine that started u is no longer the one there.
func (v view) lost(u unit) bool {
	was := u.labels[labelInstance]
	return was != "" && v.life != "" && was != v.life
}

// orphaned reports whether u could not start because the holder had ended: by
// somebody's hand, or with its engine. At the end of a pod, or when it is
// stopped or out of time, the holder ends last.
func (v view) orphaned(u unit) bool {
	if v.holder == nil || !v.holder.over() || v.holder.unstartable() {
		return false
	}
	for _, text := range []string{"cannot join network", "No such container", "/ns/net: no such file"} {
		if u.unstartable() && strings.Contains(u.err, text) {
			return true
		}
	}
	return u.fresh() && v.stopped.IsZero() && !v.expired(v.holder.ended)
}

func (v view) firstStart() (first time.Time) {
	for _, u := range v.units {
		if u.started.Year() > 1 && (first.IsZero() || u.started.Before(first)) {
			first = u.started
		}
	}
	return first
}

func (v view) lastEnd() (last time.Time) {
	for _, u := range v.units {
		if u.role != roleSidecar && u.ended.After(last) {
			last = u.ended
		}
	}
	return last
}

func (v view) status(pod string) runner.Status {
	s := runner.Status{Pod: pod, Labels: v.labels(), Phase: v.phase()}
	switch s.Phase {
	case runner.PhaseEnded:
		s.Exit = v.exit()
	case runner.PhaseGone:
		s.Exit = runner.Exit{Cause: runner.CauseLost, Message: "the container was removed by somebody else"}
	}
	return s
}

// startMessage leaves out how the engine's parts called each other.
func startMessage(s string) string {
	for _, preamble := range []string{"unable to start container process: ", "container_linux.go", "runc create failed: "} {
		if _, after, ok := strings.Cut(s, preamble); ok {
			s = after
			break
		}
	}
	return strings.TrimSuffix(s, ": unknown")
}

func oomMessage(limit int64) string {
	if limit == 0 {
		return "killed because the machine ran out of memory"
	}
	return fmt.Sprintf("killed because it needed more than its memory limit of %s", size(limit))
}

// size prints bytes as Kubernetes does where that is exact enough.
func size(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

func signalMessage(code int) string {
	names := map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}
	if s := names[code-128]; s != "" {
		return "ended by " + s
	}
	return ""
}
