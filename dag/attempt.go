package dag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/logfile"
)

// maxLost is how often in a row an attempt may be lost before its execution fails.
const maxLost = 5

// outcome is how an attempt went.
type outcome struct {
	exit    runner.Exit
	outputs Values
	reads   []SourceRead // nil: not known
	changed string       // target of a live mount that changed while it ran, or before
	err     error        // of the outputs, or what kept the attempt from ending
	log     bool         // a log file was written
}

// begin makes the next attempt of an execution that was admitted: on record
// first, started after.
func (d *drive) begin(n *node, devices []string) {
	number := int64(len(n.exec.Attempts)) + 1
	n.begun = false
	pod, err := buildPod(d.run, n, number, d.Home, d.HomeID, devices)
	if err != nil {
		_ = d.Queue.Release(d.ops, d.nextPod(n))
		d.failWith(n, err)
		return
	}
	d.clamp(n, pod)
	now := time.Now()
	a := &Attempt{Number: number, Pod: pod.Name, State: Pending, Started: now}
	n.exec.Attempts = append(n.exec.Attempts, a)
	n.exec.State = Running
	if n.exec.Started.IsZero() {
		n.exec.Started = now
	}
	n.exec.RetryAt = time.Time{}
	d.change(n)
	d.launch(n, a, pod, false)
}

// clamp lowers the limits of a pod's containers to what the machine has.
func (d *drive) clamp(n *node, pod runner.Pod) {
	for i := range pod.Containers {
		clamped, notes := d.Queue.Clamp(pod.Containers[i].Resources)
		pod.Containers[i].Resources = clamped
		for _, note := range notes {
			d.noteOnce(n.exec.Path + ": " + note)
		}
	}
}

// launch carries an attempt out, once it is on record. there says that its pod has
// been seen on the engine: then nothing that Ensure refuses ends it.
func (d *drive) launch(n *node, a *Attempt, pod runner.Pod, there bool) {
	n.phase, n.live = phaseLive, true
	read := &sharedViews{}
	n.views = read
	d.running++
	r := render{run: d.run, node: n, dir: attemptDir(d.Home, d.run.ID, n.exec.ID, a.Number)}
	end := d.watch.expect(pod.Name)
	log := filepath.Join(d.Home, logPath(d.run.ID, n.exec.ID, a.Number))
	d.after(func() {
		d.spawn(func() func() {
			out := d.attempt(pod, there, end, r, log, read, func() {
				d.post(func() {
					d.sweep()
					if a.State == Pending {
						a.State = Running
						d.change(n)
					}
					if d.canceled && (n.offer == nil || n.offer.stopped) { // while it was being started
						d.stop(pod.Name, d.stopGrace())
					}
				})
			})
			return func() { d.attemptEnded(n, a, r, out) }
		})
	})
}

// sweep lets the backend remove what dead processes have left, once, when the first
// step runs: nobody waits for it.
func (d *drive) sweep() {
	sweeper, ok := d.Backend.(runner.Sweeper)
	if d.swept || !ok {
		return
	}
	d.swept = true
	d.spawn(func() func() {
		sweeper.Sweep(d.ops)
		return nil
	})
}

// attempt starts (or adopts) the pod, waits for its end and collects it. It runs
// beside the loop and touches nothing of the node.
func (d *drive) attempt(pod runner.Pod, there bool, end <-chan runner.Exit, r render, log string, read *sharedViews, started func()) outcome {
	var watched views
	if !there {
		err := d.sound(pod)
		if err != nil {
			return outcome{err: err}
		}
		if watched, err = d.watchReads(&pod); err != nil {
			return outcome{err: err}
		}
		read.set(watched)
	}
	defer watched.drop()
	err := d.patiently(func() error { return d.Backend.Ensure(d.ops, []runner.Pod{pod}) })
	if _, away := errors.AsType[*runner.UnavailableError](err); err != nil && (away || !there || d.ops.Err() != nil) {
		return outcome{err: err}
	}
	started()
	var exit runner.Exit
	select {
	case exit = <-end:
	case <-d.ops.Done():
		return outcome{err: context.Cause(d.ops)}
	}
	if exit.Cause == runner.CauseLost {
		return outcome{exit: exit}
	}
	if !exit.OK() {
		pod.Outputs = nil // what a failed step has left half written is nobody's input
	}
	out := d.collect(pod, r, log)
	if out.err == nil && out.exit.OK() {
		out.reads = watched.end(d.ops, d.Artifacts, d.run)
		out.changed = d.liveChanged()
	}
	return out
}

// sound returns an error if an input of the pod was damaged since it was stored.
func (d *drive) sound(pod runner.Pod) error {
	for _, in := range pod.Inputs {
		if err := d.Artifacts.Check(d.ops, in.Digest); err != nil && !errors.Is(err, fs.ErrNotExist) { // gone: for the backend to say
			return fmt.Errorf("input %s: %w", in.Path, err)
		}
	}
	return nil
}

func (d *drive) collect(pod runner.Pod, r render, log string) outcome {
	var out outcome
	err := d.patiently(func() error {
		w, err := logfile.Create(log)
		if err != nil {
			return fmt.Errorf("keep the log: %w", err)
		}
		c := &collector{ctx: d.ops, artifacts: d.Artifacts, log: w, values: map[string]string{}, stored: map[string]Artifact{}}
		exit, err := d.Backend.Collect(d.ops, pod, c)
		if e := w.Close(); err == nil && e != nil {
			err = fmt.Errorf("keep the log: %w", e)
		}
		if err == nil && exit.OK() {
			err = d.collectElsewhere(pod, c)
		}
		out = outcome{exit: exit, log: true}
		if exit.Cause == runner.CauseError && exit.Message == "" {
			out.exit.Message = clip(c.raised.last, 300)
		}
		if err == nil && exit.OK() {
			out.outputs, err = c.outputs(r)
		}
		return err
	})
	if errors.Is(err, runner.ErrLost) {
		out.exit = runner.Exit{Cause: runner.CauseLost, Message: "the pod is gone"}
		return out
	}
	out.err = err
	return out
}

// patiently repeats f while the backend is away, up to d.Patience.
func (d *drive) patiently(f func() error) error {
	deadline := time.Now().Add(d.patience())
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := f()
		if _, away := errors.AsType[*runner.UnavailableError](err); !away || time.Now().After(deadline) || d.ops.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-d.ops.Done():
			return err
		}
	}
}

// attemptEnded decides what follows from an attempt's outcome.
func (d *drive) attemptEnded(n *node, a *Attempt, r render, out outcome) {
	n.live = false
	d.running--
	d.room = true
	if out.err != nil && (d.unavailable(out.err) || d.noRoom(out.err)) {
		return // nothing is marked: the run can be resumed
	}
	a.Ended = endTime(a, out.exit)
	a.Cause, a.Code = out.exit.Cause, out.exit.Code
	if out.log {
		a.Log = logPath(d.run.ID, n.exec.ID, a.Number)
	}
	n.exec.ExitCode = out.exit.Code
	a.State, a.Error = judge(out, timeout(n))
	if a.State == Failed && out.err == nil && len(n.comp.Pod.Containers) > 1 && out.exit.Container != "" {
		a.Error = out.exit.Container + ": " + a.Error
	}
	d.change(n)
	d.cleanUp(a.Pod, out.outputs)
	switch {
	case a.State == Succeeded:
		n.exec.Outputs = out.outputs
		d.noteUnwritten(n)
		if base := baseKey(d.run, n.exec.KeyParts); base != "" && out.reads != nil {
			n.exec.Reads = &Reads{Base: base, Sources: out.reads}
		}
		if out.changed != "" {
			n.exec.Key, n.exec.Reads = "", nil
			d.noteOnce(fmt.Sprintf("%s changed while the run used it: what its steps make from now on is not remembered", out.changed))
		}
		d.end(n, Succeeded, "")
	case d.canceled:
		a.State = Canceled
		d.end(n, Canceled, canceledReason)
	case a.State == Lost && n.lost < maxLost:
		n.lost++
		d.note("%s: attempt %d was lost (%s); starting it again", n.exec.Path, a.Number, a.Error)
		d.enqueue(n)
	default:
		d.retryOrFail(n, a, out)
	}
}

// noteUnwritten says which output artifacts a step has left unwritten: KFP allows
// that, and who reads them will not find them.
func (d *drive) noteUnwritten(n *node) {
	if !n.comp.Pod.Executor {
		return
	}
	for _, name := range sortedKeys(n.exec.Outputs.Artifacts) {
		for _, a := range n.exec.Outputs.Artifacts[name] {
			if a.Digest == "" && filepath.IsAbs(a.URI) && len(a.Metadata) == 0 {
				d.note("%s: wrote nothing to its output artifact %q", n.exec.Path, name)
			}
		}
	}
}

// noRoom makes a full disk of this machine the end of the drive: what the pod
// made is still there, and can be collected when there is room.
func (d *drive) noRoom(err error) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return false
	}
	if d.fatal == nil {
		d.fatal = &NoRoomError{Err: err}
	}
	return true
}

// NoRoomError says that what a step made could not be kept for want of room on
// this machine's disk. Its pod is still there.
type NoRoomError struct{ Err error }

func (e *NoRoomError) Error() string { return e.Err.Error() }

// Unwrap returns what could not be written.
func (e *NoRoomError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *NoRoomError) Hint() string { return "free some space on the disk of WHERRY_HOME" }

// endTime is when the pod itself ended, as its engine says; now where that can't
// be (another machine's clock).
func endTime(a *Attempt, e runner.Exit) time.Time {
	now := time.Now()
	if e.Ended.Before(a.Started) || e.Ended.After(now) {
		return now
	}
	return e.Ended
}

// judge returns the state of an attempt and, unless it succeeded, why.
func judge(out outcome, deadline time.Duration) (State, string) {
	e := out.exit
	switch {
	case out.err != nil:
		return Failed, describeError(out.err)
	case e.OK():
		return Succeeded, ""
	case e.Cause == runner.CauseLost:
		return Lost, orElse(e.Message, "it is gone from the engine")
	case e.Cause == runner.CauseOOM:
		return Failed, orElse(e.Message, "killed: it used more memory than its limit") + fmt.Sprintf(" (exit code %d)", e.Code)
	case e.Cause == runner.CauseDeadline:
		return Failed, fmt.Sprintf("stopped: it ran longer than its limit of %s", deadline)
	case e.Cause == runner.CauseError || e.Cause == "":
		if e.Message != "" {
			return Failed, fmt.Sprintf("exit code %d: %s", e.Code, e.Message)
		}
		return Failed, fmt.Sprintf("exit code %d", e.Code)
	}
	return Failed, orElse(e.Message, string(e.Cause))
}

func describeError(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok && h.Hint() != "" {
		return err.Error() + "; try: " + h.Hint()
	}
	return err.Error()
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// cleanUp gives back what an attempt held, once its end is on record, and leaves
// links where its artifacts were.
func (d *drive) cleanUp(pod string, outputs Values) {
	d.watch.forget(pod)
	d.cleaning++
	d.giving++
	d.after(func() {
		d.giving--
		d.room = true
		if err := d.Queue.Release(d.ops, pod); err != nil {
			d.note("give back what %s held: %v", pod, err)
		}
		d.spawn(func() func() {
			err := d.patiently(func() error { return d.Backend.Remove(d.ops, pod) })
			if err != nil {
				err = fmt.Errorf("remove %s: %w", pod, err)
			}
			err = errors.Join(err, d.linkArtifacts(outputs), d.removeViews(pod))
			return func() {
				d.cleaning--
				if err != nil && !d.unavailable(err) {
					d.note("%v", err)
				}
			}
		})
	})
}

// linkArtifacts leaves links at the artifacts' URIs, for people and for backends
// without mounts: below the run's own directory, whatever a step says.
func (d *drive) linkArtifacts(v Values) error {
	var errs []error
	own := filepath.Join(d.Home, "runs", d.run.ID)
	for _, list := range v.Artifacts {
		for _, a := range list {
			if a.Digest == "" || !filepath.IsAbs(a.URI) || !below(own, a.URI) {
				continue
			}
			err := os.MkdirAll(filepath.Dir(a.URI), 0o755)
			if err == nil {
				err = d.Artifacts.Link(a.Digest, a.URI)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// below reports whether path leads to something in dir.
func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

// retryOrFail starts another attempt where the retry policy grants one.
func (d *drive) retryOrFail(n *node, a *Attempt, out outcome) {
	pause, again := n.retry().next(n.exec, a, out, time.Now())
	if !again {
		text := a.Error
		if len(n.exec.Attempts) > 1 {
			text = fmt.Sprintf("%s (after %d attempts)", text, len(n.exec.Attempts))
		}
		d.end(n, Failed, text)
		return
	}
	n.exec.Retries++
	n.lost = 0
	d.note("%s: attempt %d: %s; retry %d of %s in %s", n.exec.Path, a.Number, a.Error, n.exec.Retries, limitWord(n.retry().Limit), pause)
	d.backOff(n, pause)
}

// retry is the node's retry policy; nil: none.
func (n *node) retry() *Retry {
	if n.task.Retry != nil {
		return n.task.Retry
	}
	return n.comp.Pod.Retry
}

// look notes when a task's images were first looked for.
func (n *node) look() {
	if n.looked.IsZero() {
		n.looked = time.Now()
	}
}

// retryImages tries again to get a task's images, where the retry policy grants it:
// pip's failure is the step's own, wherever it runs. It counts as a retry; there is
// no attempt on record, because nothing was started.
func (d *drive) retryImages(n *node, err error) bool {
	since := *n.exec
	if since.Started.IsZero() {
		since.Started = n.looked
	}
	pause, again := n.retry().next(&since, &Attempt{}, outcome{err: err}, time.Now())
	if !again || d.canceled {
		return false
	}
	n.exec.Retries++
	what, _, _ := strings.Cut(err.Error(), "\n")
	d.note("%s: %s; retry %d of %s in %s", n.exec.Path, what, n.exec.Retries, limitWord(n.retry().Limit), pause)
	d.backOff(n, pause)
	return true
}

func limitWord(limit int) string {
	if limit < 0 {
		return "any number"
	}
	return fmt.Sprint(limit)
}

func (d *drive) backOff(n *node, pause time.Duration) {
	n.exec.RetryAt = time.Now().Add(pause)
	n.phase = phaseBackoff
	d.change(n)
	if pause <= 0 {
		d.goOn(n)
		return
	}
	d.spawn(func() func() {
		select {
		case <-time.After(pause):
		case <-d.ops.Done():
		}
		return func() {
			if n.phase == phaseBackoff && !n.exec.State.Ended() {
				d.goOn(n)
			}
		}
	})
}

// goOn follows a pause: with the next attempt, or from the beginning where there was
// none yet.
func (d *drive) goOn(n *node) {
	if n.exec.State != Pending {
		d.enqueue(n)
		return
	}
	n.phase = phaseIdle
	d.dirty = append(d.dirty, n)
}

// next reports whether a failed attempt is followed by another, and after what
// pause. A nil Retry grants none.
func (r *Retry) next(x *Execution, a *Attempt, out outcome, now time.Time) (time.Duration, bool) {
	if _, never := errors.AsType[*runner.UnsupportedError](out.err); never {
		return 0, false
	}
	if r == nil || r.Limit >= 0 && x.Retries >= r.Limit || !r.covers(a, out) {
		return 0, false
	}
	factor := r.Factor
	if factor == 0 {
		factor = 1
	}
	pause := float64(r.Backoff)
	for range x.Retries {
		pause *= factor
	}
	if r.MaxBackoff > 0 {
		pause = min(pause, float64(r.MaxBackoff))
	}
	wait := time.Duration(min(pause, float64(24*time.Hour)))
	if r.MaxDuration > 0 && now.Add(wait).Sub(x.Started) > r.MaxDuration {
		return 0, false
	}
	return wait, true
}

// covers reports whether the policy grants a retry for how the attempt ended.
func (r *Retry) covers(a *Attempt, out outcome) bool {
	failure := out.err == nil && (a.Cause == runner.CauseError || a.Cause == runner.CauseOOM || a.Cause == runner.CauseDeadline)
	if _, pip := errors.AsType[*runner.LayerError](out.err); pip { // elsewhere it is the step's own command that fails
		return r.Policy != RetryOnTransientError
	}
	switch r.Policy {
	case RetryAlways:
		return true
	case RetryOnError:
		return !failure
	case RetryOnTransientError:
		return a.Cause == runner.CauseLost || a.Cause == runner.CauseEvicted
	}
	return failure
}
