package dag

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

// restore brings the drive to where the stored run stands: at its beginning, or
// in the middle of what a driver before this one left.
func (d *drive) restore(executions []*Execution) error {
	comp := d.run.Pipeline.Components[d.run.Pipeline.Root]
	inputs := Values{Parameters: d.run.Parameters}
	if d.run.State == Pending {
		d.run.State = Running
		d.run.Started = time.Now()
		d.batch.Run = d.run
	}
	if len(executions) == 0 {
		d.expand(nil, comp, inputs)
		if d.run.Cancel {
			d.cancel()
		}
		return nil
	}
	d.executions, d.resumed = executions, true
	children := map[int64][]*Execution{}
	for _, x := range executions {
		children[x.Parent] = append(children[x.Parent], x)
	}
	d.root = newScope(d.setting(), nil, comp, inputs)
	if err := d.rebuild(d.root, children); err != nil {
		return err
	}
	if err := d.adopt(); err != nil {
		return err
	}
	limit := d.run.Pipeline.Deadline
	switch {
	case d.run.Cancel:
		d.cancel()
	case limit > 0 && time.Since(d.run.Started) > limit:
		d.expire()
	case d.run.State == Canceling:
		d.cancel()
	}
	return nil
}

// rebuild brings a scope to where its stored executions stand, and those inside it.
func (d *drive) rebuild(s *scope, children map[int64][]*Execution) error {
	for _, x := range children[s.id()] {
		switch n := s.nodes[x.Task]; {
		case s.loop != nil:
			s.iteration(x.Iteration, x)
		case n != nil:
			n.exec = x
		}
	}
	for _, n := range s.order {
		if n.exec.ID != 0 {
			d.byID[n.exec.ID] = n
		}
		if n.exec.State.Ended() {
			s.ended(n.exec.State)
		}
		inside := len(children[n.exec.ID]) > 0 && n.exec.ID != 0
		switch {
		case n.exec.State == Pending:
			d.dirty = append(d.dirty, n)
			continue
		case inside && n.task.Iterate != nil:
			items, err := s.items(n)
			if err != nil {
				return fmt.Errorf("restore %s: %w", n.exec.Path, err)
			}
			n.inner = newLoop(n, items)
			d.tellItems(n)
		case inside:
			n.inner = newScope(s.setting, n, n.comp, n.scopeInputs())
		default:
			continue
		}
		if err := d.rebuild(n.inner, children); err != nil {
			return err
		}
	}
	return nil
}

// id is that of the execution that the scope belongs to; 0: the root.
func (s *scope) id() int64 {
	if s.owner == nil {
		return 0
	}
	return s.owner.exec.ID
}

// adopt goes on with every execution that was RUNNING, and removes what ended
// attempts have left on the engine.
func (d *drive) adopt() error {
	pods, err := d.watch.sync(d.ops, d.beat)
	if err != nil {
		return err
	}
	var open []*node
	var over []string // pods that are gone, or were granted room and never came to be
	for _, id := range slices.Sorted(maps.Keys(d.byID)) {
		n := d.byID[id]
		if n.exec.State == Running {
			open = append(open, n)
		}
		if !n.exec.State.Ended() && n.comp.Pod != nil {
			over = append(over, d.nextPod(n))
		}
		for _, a := range n.exec.Attempts {
			_, there := pods[a.Pod]
			switch {
			case a.State.Ended() && there:
				d.cleanUp(a.Pod, n.made(a))
			case a.State.Ended():
				over = append(over, a.Pod)
				// The driver before may have been killed after it removed the pod.
				if err := d.linkArtifacts(n.made(a)); err != nil {
					d.note("%v", err)
				}
			}
		}
	}
	if err := d.Queue.Release(d.ops, over...); err != nil {
		return fmt.Errorf("give back what ended attempts held: %w", err)
	}
	for _, n := range open {
		switch {
		case n.inner != nil && n.inner.open == 0:
			d.close(n.inner)
		case n.inner != nil && n.inner.loop != nil:
			d.iterate(n.inner)
		case n.inner != nil:
		case n.task.Iterate != nil:
			d.openLoop(n)
		case n.comp.Graph != nil:
			d.expand(n, n.comp, n.scopeInputs())
		case n.comp.Importer != nil:
			d.importArtifact(n)
		case n.comp.Claim != nil:
			d.claim(n)
		case n.comp.Tune != nil:
			d.tune(n)
		default:
			d.adoptPod(n, pods)
		}
	}
	return nil
}

// adoptPod goes on with a container execution. An attempt that was on record but
// never started is started now; one that ran and is gone is LOST.
func (d *drive) adoptPod(n *node, pods map[string]runner.Status) {
	a := n.lastAttempt()
	st, there := pods[orEmpty(a).Pod]
	there = there && st.Phase != runner.PhaseGone
	n.begun = there && st.Phase != runner.PhaseCreated
	switch {
	case a == nil:
		d.enqueue(n)
		return
	case a.State.Ended():
		// The clock may have been set back since: never longer than it was meant to be.
		d.backOff(n, min(time.Until(n.exec.RetryAt), n.exec.RetryAt.Sub(a.Ended)))
		return
	case !there && a.State == Running:
		n.live = true
		d.running++
		d.attemptEnded(n, a, render{}, outcome{exit: runner.Exit{Cause: runner.CauseLost, Message: "it was gone when the run was resumed"}})
		return
	}
	n.phase = phaseResolving
	n.look()
	d.haveImages(n, func(err error) {
		if err == nil {
			err = d.measure(n)
		}
		switch {
		case there && err != nil:
			n.image = make([]resolved, len(n.comp.Pod.Containers)) // it runs without us finding its image
			d.readopt(n, a, true)
			n.image = nil
		case err != nil:
			d.abandon(n, a, err)
		case d.canceled && !there:
			a.State, a.Ended = Canceled, time.Now()
			d.cleanUp(a.Pod, Values{})
			d.end(n, Canceled, canceledReason)
		default:
			if !there {
				d.rekey(n)
			}
			d.readopt(n, a, there)
		}
	})
}

// abandon ends an attempt on record that can't be started.
func (d *drive) abandon(n *node, a *Attempt, err error) {
	if d.unavailable(err) || d.noRoom(err) {
		return
	}
	a.State, a.Ended, a.Error = Failed, time.Now(), err.Error()
	d.cleanUp(a.Pod, Values{})
	d.failWith(n, err)
}

// made returns what an attempt handed on.
func (n *node) made(a *Attempt) Values {
	if a.State != Succeeded {
		return Values{}
	}
	return n.exec.Outputs
}

// lastAttempt returns the newest attempt, or nil.
func (n *node) lastAttempt() *Attempt {
	if len(n.exec.Attempts) == 0 {
		return nil
	}
	return n.exec.Attempts[len(n.exec.Attempts)-1]
}

func orEmpty(a *Attempt) Attempt {
	if a == nil {
		return Attempt{}
	}
	return *a
}

// readopt launches an attempt that is on record. What it was granted is still its
// own: asking again only names it.
func (d *drive) readopt(n *node, a *Attempt, there bool) {
	granted, err := d.Queue.Admit(d.ops, []queue.Request{{Pod: a.Pod, Run: d.run.ID, Resources: n.request}})
	if err != nil {
		d.fatal = fmt.Errorf("ask the queue for %s: %w", a.Pod, err)
		return
	}
	pod, err := buildPod(d.run, n, a.Number, d.Home, d.HomeID, granted[0].Devices)
	if err != nil {
		d.abandon(n, a, fmt.Errorf("adopt %s: %w", a.Pod, err))
		return
	}
	d.clamp(n, pod)
	d.launch(n, a, pod, there)
}
