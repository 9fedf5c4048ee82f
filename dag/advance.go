package dag

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// settle decides what follows for a task that may have become ready.
func (d *drive) settle(n *node) {
	if n.exec.State != Pending || n.phase != phaseIdle {
		return
	}
	if d.canceled {
		d.endCanceled(n)
		return
	}
	v, why := n.parent.verdict(n)
	switch v, why = d.steering.confine(n, v, why); v {
	case wait:
		return
	case skip:
		n.exec.Reason = why
		d.end(n, Skipped, "")
		return
	}
	inputs, err := n.parent.resolveInputs(n)
	if err != nil {
		d.end(n, Failed, err.Error())
		return
	}
	n.exec.Inputs = inputs
	d.steering.recall(n)
	if when := n.task.When; when != nil && !d.steering.confined() {
		switch ok, err := n.parent.holds(when, inputs); {
		case err != nil:
			d.end(n, Failed, err.Error())
			return
		case !ok:
			n.exec.Reason = "its condition is false: " + clip(when.Text, 200)
			d.end(n, Skipped, "")
			return
		}
	}
	switch {
	case d.take(n):
	case n.task.Iterate != nil:
		d.openLoop(n)
	case n.comp.Graph != nil:
		d.open(n)
	case n.comp.Importer != nil:
		d.importArtifact(n)
	case n.comp.Claim != nil:
		d.claim(n)
	case n.comp.Tune != nil:
		d.tune(n)
	default:
		d.prepare(n)
	}
}

// open starts a graph: its tasks become executions.
func (d *drive) open(n *node) {
	n.exec.State = Running
	n.exec.Started = time.Now()
	d.change(n)
	d.after(func() { d.expand(n, n.comp, n.scopeInputs()) }) // the children need the parent's id
}

// openLoop starts a loop: its first items become executions.
func (d *drive) openLoop(n *node) {
	items, err := n.parent.items(n)
	if err != nil {
		d.end(n, Failed, err.Error())
		return
	}
	if n.exec.State == Pending {
		n.exec.State = Running
		n.exec.Started = time.Now()
		d.change(n)
		d.noteOn(n, ": a loop over %d items", len(items))
	}
	n.inner = newLoop(n, items)
	if len(items) == 0 {
		d.close(n.inner)
		return
	}
	d.after(func() { // the iterations need the loop's id
		d.tellItems(n)
		d.iterate(n.inner)
	})
}

// expand adds the executions of a graph's tasks. n is nil for the root.
func (d *drive) expand(n *node, comp *Component, inputs Values) {
	s := newScope(d.setting(), n, comp, inputs)
	if n == nil {
		d.root = s
	} else {
		n.inner = s
	}
	now := time.Now()
	for _, child := range s.order {
		child.exec.Run = d.run.ID
		child.exec.Created = now
		if n != nil {
			child.exec.Parent = n.exec.ID
		}
		d.executions = append(d.executions, child.exec)
		d.change(child)
	}
	d.after(func() { // they have ids now
		for _, child := range s.order {
			d.byID[child.exec.ID] = child
		}
		d.dirty = append(d.dirty, s.order...)
	})
	if s.open == 0 {
		d.close(s)
	}
}

// prepare finds out what a container task would run, and whether it has been run
// before.
func (d *drive) prepare(n *node) {
	if pause := time.Until(n.exec.RetryAt); pause > 0 { // of a driver before this one
		d.backOff(n, pause)
		return
	}
	n.exec.RetryAt = time.Time{}
	n.phase = phaseResolving
	n.look()
	d.resolveImages(n, func(err error) {
		if n.exec.State != Pending || n.phase != phaseResolving {
			return // canceled meanwhile
		}
		if err == nil {
			err = d.measure(n)
		}
		if err != nil {
			d.failWith(n, err)
			return
		}
		if d.reuse(n) {
			d.Replaces.drop(func(path string) bool { return path == n.exec.Path })
			return
		}
		if !d.await(n) {
			d.enqueue(n)
		}
	})
}

// measure finds out what the queue is asked for.
func (d *drive) measure(n *node) error {
	r := render{run: d.run, node: n}
	var total runner.Resources
	for i := range n.comp.Pod.Containers {
		one, err := r.resources(n.comp.Pod.Containers[i].Resources)
		if err != nil {
			return err
		}
		total = addResources(total, one)
	}
	clamped, notes := d.Queue.Clamp(total)
	for _, note := range notes {
		d.noteOnce(n.exec.Path + ": " + note)
	}
	n.request = clamped
	return d.Queue.Fits(clamped)
}

// enqueue asks for room for the next attempt, once its images and their layers are
// there. A driver that took over looks the images up first.
func (d *drive) enqueue(n *node) {
	if n.imagesMade() {
		n.phase = phaseWaiting
		d.waiting = append(d.waiting, n)
		d.room = true
		return
	}
	n.phase = phaseResolving
	n.look()
	known := n.image != nil
	have := d.haveImages
	if known {
		have = d.makeImages
	}
	have(n, func(err error) {
		if err == nil {
			err = d.measure(n)
		}
		switch {
		case n.exec.State.Ended():
		case d.canceled:
			d.endCanceled(n)
		case err != nil:
			d.failWith(n, err)
		default:
			if !known {
				d.rekey(n)
			}
			d.enqueue(n)
		}
	})
}

// rekey computes the cache key from what is about to run.
func (d *drive) rekey(n *node) {
	n.exec.KeyParts = keyParts(d.run, n)
	n.exec.Key = cacheKey(n.exec.KeyParts)
}

// reuse ends the execution with the outputs of an earlier one that had the same
// key, if caching is on and all of them are still there.
func (d *drive) reuse(n *node) bool {
	d.rekey(n)
	if why := d.steering.anew(n); why != "" {
		n.exec.Reason = why
		return false
	}
	switch {
	case d.run.Options.Cache == CacheOff:
		n.exec.Reason = "caching is off (--no-cache)"
		return false
	case !n.task.Cache && d.run.Options.Cache != CacheOn:
		n.exec.Reason = "caching is off for this task"
		return false
	}
	entry, err := d.Store.LookupCache(d.ops, n.exec.Key)
	same := "same inputs and code as in run "
	var last *PastReads
	if errors.Is(err, ErrNotFound) {
		if entry, last, err = d.reuseReads(n); err == nil {
			same = d.unread(last) + ", which it does not read; else as in run "
			n.exec.Key = last.Key // what it did is what that one did, also for those that come after it
		}
	}
	if err == nil {
		if gone := d.missing(entry.Outputs); gone != "" {
			n.exec.Reason = fmt.Sprintf("output %q of run %s is gone from the artifact store", gone, entry.Run)
			return false
		}
		n.exec.Cached = true
		n.exec.Outputs = entry.Outputs
		n.exec.Source = entry.Execution
		n.exec.Started = time.Now()
		n.exec.Reason = same + entry.Run
		d.end(n, Succeeded, "")
		return true
	}
	if !errors.Is(err, ErrNotFound) {
		d.fatal = err
		return true
	}
	n.exec.Reason = d.why(n, last)
	return false
}

func (d *drive) missing(v Values) string {
	for name, list := range v.Artifacts {
		for _, a := range list {
			if a.Digest == "" {
				continue
			}
			if err := d.Artifacts.Check(d.ops, a.Digest); err != nil {
				d.noteDamage(err)
				return name
			}
		}
	}
	return ""
}

// noteDamage tells why a stored artifact is not used, unless it is only gone.
func (d *drive) noteDamage(err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		d.note("%v; it is not used", err)
	}
}

// why explains a cache miss. read is the newest execution that differs in mounted
// sources only, if there is one.
func (d *drive) why(n *node, read *PastReads) string {
	last, err := d.Store.LastKeyParts(d.ops, d.run.Pipeline.Name, n.exec.Path)
	if err != nil {
		return "first run"
	}
	base := baseKey(d.run, last)
	if read != nil && base == baseKey(d.run, n.exec.KeyParts) {
		if text := d.changedSource(read); text != "" {
			return text
		}
	}
	if past, err := d.Store.PastReads(d.ops, base); err == nil && base != "" && slices.ContainsFunc(past, func(p PastReads) bool { return d.readTheSame(&p) }) {
		d.leaveUnread(last)
	}
	return explainMiss(last, n.exec.KeyParts, d.changedMount)
}

// failWith ends an execution that could not be run at all, unless it was for want of
// an image or a layer and the retry policy grants another try.
func (d *drive) failWith(n *node, err error) {
	if d.unavailable(err) || d.noRoom(err) {
		return
	}
	text := describeError(err)
	if images, ok := errors.AsType[*imagesError](err); ok {
		if d.retryImages(n, images.err) {
			return
		}
		if tries := n.exec.Retries + 1; tries > 1 {
			first, rest, _ := strings.Cut(text+"\n", "\n")
			text = strings.TrimSpace(fmt.Sprintf("%s (after %d tries)\n%s", first, tries, rest))
		}
	}
	d.end(n, Failed, text)
}

// unavailable makes a backend that stays away the end of the drive: nothing is
// marked, so that the run can be resumed.
func (d *drive) unavailable(err error) bool {
	if _, ok := errors.AsType[*runner.UnavailableError](err); ok && d.fatal == nil {
		d.fatal = err
	}
	return d.fatal != nil
}

// end ends an execution and tells those that wait for it.
func (d *drive) end(n *node, s State, err string) {
	if n.exec.State.Ended() {
		return
	}
	n.exec.State = s
	n.exec.Error = err
	n.exec.Ended = time.Now()
	if a := n.lastAttempt(); a != nil && a.State.Ended() && (s == Succeeded || s == Failed) {
		n.exec.Ended = a.Ended // not when a driver came to see it
	}
	n.phase = phaseIdle
	if o := n.offer; o != nil {
		d.after(func() { close(o.ended) }) // it can be found in the cache now
	}
	d.change(n)
	d.batch.Durable = d.batch.Durable || s == Succeeded && !n.exec.Cached || s == Failed
	n.parent.ended(s)
	d.dirty = append(d.dirty, n.parent.dependents[n.task.Name]...)
	switch {
	case n.parent.open == 0:
		d.close(n.parent)
	case n.parent.loop != nil:
		d.iterate(n.parent)
	}
}

// close ends a graph whose tasks have all ended.
func (d *drive) close(s *scope) {
	if s.owner == nil {
		return // the run ends when nothing of it is left on the engine, see finish
	}
	state, why := s.result()
	s.owner.exec.Outputs = s.outputs()
	d.end(s.owner, state, why)
}

// finish ends the run once its tasks have ended and what they left on the engine
// is gone: then nobody has to look after it any more. It reports whether it did.
func (d *drive) finish() bool {
	if d.root == nil || d.root.open > 0 || d.cleaning > 0 || d.run.State.Ended() || d.tidy() || d.clearWorkspace() {
		return false
	}
	d.run.State, d.run.Error = d.root.result()
	switch {
	case d.expired:
		d.run.State, d.run.Error = Failed, fmt.Sprintf("stopped: it ran longer than its limit of %s", d.run.Pipeline.Deadline)
	case d.canceled:
		d.run.State, d.run.Error = Canceled, "canceled"
	}
	d.run.Outputs = d.root.outputs()
	d.run.Ended = time.Now()
	d.batch.Run = d.run
	d.batch.Durable = true
	return true
}

// cancel ends what has not started and stops what runs.
func (d *drive) cancel() {
	if d.canceled {
		return
	}
	d.canceled = true
	d.run.State = Canceling
	d.run.Cancel = !d.expired
	d.batch.Run = d.run
	d.waiting = nil
	var release []string
	var visit func(s *scope)
	visit = func(s *scope) {
		if s.loop != nil {
			s.drop()
		}
		for _, n := range s.order {
			switch {
			case n.inner != nil && !n.exec.State.Ended():
				visit(n.inner)
			case n.live && n.offer != nil:
				// a newer run may want it
			case n.live:
				pod := n.pod()
				d.after(func() { d.stop(pod, d.stopGrace()) })
			case n.stopSearch != nil:
				stop := n.stopSearch // the search ends with its trials
				d.after(func() { stop(ErrTuneCanceled) })
			case n.phase == phaseResolving && n.exec.State == Running:
				// being adopted; adoptPod sees that the run is canceled
			case n.phase == phaseWaiting:
				release = append(release, d.nextPod(n))
				d.endCanceled(n)
			default:
				d.endCanceled(n)
			}
		}
		if s.loop != nil && s.open == 0 && !s.owner.exec.State.Ended() {
			d.close(s) // none of its items had been reached
		}
	}
	visit(d.root)
	if len(release) > 0 {
		_ = d.Queue.Release(d.ops, release...)
	}
}

// expire stops a run that has reached its pipeline's deadline.
func (d *drive) expire() {
	if !d.canceled {
		d.expired = true
		d.cancel()
	}
}

// canceledReason is why what never started is SKIPPED in a canceled run.
const canceledReason = "the run was canceled"

// endCanceled ends what a cancelation finds not running: SKIPPED if it never
// started.
func (d *drive) endCanceled(n *node) {
	if n.exec.State == Pending {
		n.exec.Reason = canceledReason
		d.end(n, Skipped, "")
		return
	}
	d.end(n, Canceled, canceledReason)
}

func (n *node) pod() string { return n.exec.Attempts[len(n.exec.Attempts)-1].Pod }

// stopGrace is how long a canceled pod has to end by itself.
func (d *drive) stopGrace() time.Duration {
	if d.killed {
		return 0
	}
	return grace(d.run)
}

// stop stops a pod; the attempt's own goroutine sees its end.
func (d *drive) stop(pod string, grace time.Duration) {
	d.spawn(func() func() {
		err := d.patiently(func() error { return d.Backend.Stop(d.ops, pod, grace) })
		return func() {
			if err != nil {
				d.unavailable(err)
			}
		}
	})
}

// kill kills what a cancelation still waits for.
func (d *drive) kill() {
	d.cancel()
	d.killed = true
	for _, id := range slices.Sorted(maps.Keys(d.byID)) {
		if n := d.byID[id]; n.live {
			pod := n.pod()
			d.after(func() { d.stop(pod, 0) })
		}
	}
}
