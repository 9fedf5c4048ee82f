package tuner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/tuner/suggest"
)

// turn decides what follows: the end, or more trials.
func (d *drive) turn() error {
	if !d.over {
		d.askStopper()
		d.decideEnd()
	}
	for !d.over && !d.spent && !d.waiting && len(d.live) < d.e.Parallel && (d.e.MaxTrials == 0 || len(d.trials)-d.killed < d.e.MaxTrials) {
		if err := d.propose(); err != nil {
			return err
		}
	}
	if d.spent && len(d.live) == 0 && !d.over {
		d.complete(ReasonExhausted, "the search space is exhausted")
	}
	if len(d.changed) > 0 || len(d.told) > 0 && !d.onlyMeasured() {
		return d.commit()
	}
	return nil
}

func (d *drive) onlyMeasured() bool {
	for _, e := range d.told {
		if !e.Measured {
			return false
		}
	}
	return true
}

// decideEnd ends the experiment where its goal, its failures or its number of trials
// say so, in Katib's order.
func (d *drive) decideEnd() {
	lead := d.e.Objectives[0]
	if d.best != nil && lead.reached(d.best.Value(d.e, lead.Metric)) {
		d.end(Succeeded, ReasonGoal, fmt.Sprintf("%s of %s reached the goal", lead.Metric, d.best.Name))
		return
	}
	if d.e.MaxFailed != nil && d.failed > *d.e.MaxFailed {
		d.end(Failed, ReasonFailed, fmt.Sprintf("%d trials failed, %d may (maxFailedTrialCount)", d.failed, *d.e.MaxFailed))
		return
	}
	if n := d.ended - d.killed; d.e.MaxTrials > 0 && n >= d.e.MaxTrials {
		d.complete(ReasonMaxTrials, fmt.Sprintf("%d trials have ended", n))
	}
}

// complete ends an experiment that has made all its trials. Where none of them has a
// value there is nothing that succeeded, whatever maxFailedTrialCount allows.
func (d *drive) complete(reason, message string) {
	if d.best == nil && len(d.trials) > 0 {
		d.end(Failed, ReasonFailed, message+", and none has a value of "+d.e.Objectives[0].Metric)
		return
	}
	d.end(Succeeded, reason, message)
}

// end ends the experiment. What still runs is of no use any more.
func (d *drive) end(state State, reason, message string) {
	d.over = true
	d.e.State, d.e.Reason, d.e.Message, d.e.Ended = state, reason, message, time.Now()
	for _, cancel := range d.live {
		cancel(errStopped)
	}
	d.tell(nil, false)
}

// giveUp ends the driving, not the experiment. Only who was asked to cancels trials.
func (d *drive) giveUp() {
	d.over = true
	cause := context.Cause(d.ctx)
	if cause == nil {
		cause = ErrLeave
	}
	for _, cancel := range d.live {
		cancel(cause)
	}
}

// propose makes a trial, and has it run once it is on record.
func (d *drive) propose() error {
	t, err := d.next()
	if t == nil || err != nil {
		return err
	}
	t.Run = d.Runner.NewRun()
	if err := d.commit(); err != nil {
		return err
	}
	d.start(t)
	return nil
}

// next asks the algorithm for a trial. There is none where the algorithm is waiting
// for another one to end, or is spent.
func (d *drive) next() (*Trial, error) {
	p, err := d.algorithm.Next(d.query())
	switch {
	case errors.Is(err, suggest.ErrWait) && len(d.trials) > d.ended:
		d.waiting = true
		return nil, nil
	case errors.Is(err, suggest.ErrExhausted):
		d.spent = true
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("algorithm %s: %w", d.e.Algorithm.Name, err)
	}
	if p.Parent >= 0 {
		p.Parent -= len(d.warm)
	}
	n := len(d.trials)
	t := &Trial{
		Number: n, Name: fmt.Sprintf("%s-%d", d.e.Name, n+1), State: TrialRunning, Proposal: p,
		Created: time.Now(), Started: time.Now(),
	}
	d.trials = append(d.trials, t)
	d.tell(t, false)
	return t, nil
}

func (d *drive) query() suggest.Query {
	history := make([]suggest.Trial, len(d.warm), len(d.warm)+len(d.trials)+1)
	copy(history, d.warm)
	for i, t := range d.trials {
		if i += len(d.warm); i < len(d.history) && d.history[i].State != suggest.Running {
			history = append(history, d.history[i])
			continue
		}
		history = append(history, t.record(d.e, d.constraints, len(d.warm)))
	}
	d.history = history
	return suggest.Query{Space: d.space, History: history, Seed: d.e.Seed, Budget: d.budget(), Workers: max(1, d.e.Parallel)}
}

// budget is how many trials there are to be in all.
func (d *drive) budget() int {
	if d.e.MaxTrials == 0 {
		return 0
	}
	return d.e.MaxTrials + len(d.warm)
}

// start has a trial run.
func (d *drive) start(t *Trial) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(d.ctx))
	d.live[t.Number] = cancel
	var parent *Trial
	if p := t.Proposal.Parent; p >= 0 && p < t.Number {
		parent = d.trials[p]
	}
	if t.Stop != "" { // it was condemned, and the process ended before it was stopped
		cancel(errStopped)
	}
	e := d.e
	go func() {
		o, err := d.Runner.Run(ctx, e, t, parent, func(o Observed) {
			o.Trial = t.Number
			d.events <- func() { d.measured(t, o) }
		})
		d.events <- func() { d.finish(t, context.Cause(ctx), o, err) }
	}()
}

// measured takes in observations, and stops the trial where they say so.
func (d *drive) measured(t *Trial, o Observed) {
	o = t.Observe(d.e, o)
	if len(o.List) == 0 {
		return
	}
	d.batch.Observed = append(d.batch.Observed, o)
	d.told = append(d.told, Event{Experiment: d.e, Trial: t, Measured: true})
	d.measuredNow[t] = true
}

// askStopper asks once for each trial that has measured something since the last turn
// whether it is worth going on with.
func (d *drive) askStopper() {
	if d.stopper == nil || len(d.measuredNow) == 0 {
		clear(d.measuredNow)
		return
	}
	history := d.query().History
	for t := range d.measuredNow {
		cancel := d.live[t.Number]
		if cancel == nil || t.Stop != "" {
			continue
		}
		if reason, stop := d.stopper.Stop(history, t.Number+len(d.warm)); stop {
			t.Stop = reason
			d.tell(t, false)
			d.acts = append(d.acts, func() { cancel(errStopped) }) // once it is on record
		}
	}
	clear(d.measuredNow)
}

// finish records how a trial ended.
func (d *drive) finish(t *Trial, cause error, o Outcome, err error) {
	unread := d.takeReports() // they may be all that is known of it
	d.live[t.Number](nil)
	delete(d.live, t.Number)
	d.waiting = false
	if errors.Is(cause, ErrLeave) {
		return
	}
	if unread != nil {
		d.fatal = cmp.Or(d.fatal, unread)
		return
	}
	if err != nil && cause == nil {
		d.fatal = cmp.Or(d.fatal, fmt.Errorf("trial %s: %w", t.Name, err))
		return
	}
	missing := t.losses(d.e) == nil
	switch {
	case t.Stop != "" && missing:
		t.State, t.Reason = TrialMetricsUnavailable, "stopped early, without a value of "+d.e.Objectives[0].Metric
	case t.Stop != "":
		t.State, t.Reason = TrialEarlyStopped, t.Stop
	case cause != nil:
		t.State, t.Reason = TrialKilled, killed(d.e, cause)
	case !o.Succeeded:
		t.State, t.Reason = TrialFailed, strings.Join(append([]string{o.Error}, o.Tail...), "\n  ")
	case missing:
		t.State, t.Reason = TrialMetricsUnavailable, o.Missing
	default:
		t.State, t.Reason = TrialSucceeded, ""
	}
	t.Ended = time.Now()
	d.count(t)
	d.batch.Durable = true
	d.tell(t, false)
}

func killed(e *Experiment, cause error) string {
	if errors.Is(cause, errStopped) {
		return "the experiment ended before it: " + e.Message
	}
	return cause.Error()
}
