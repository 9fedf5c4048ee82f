package tuner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/tuner/metrics"
)

// Ask makes up to n trials of an experiment whose trials somebody else runs, and
// returns the experiment with them. Several processes may ask and tell at once: each
// trial is made from all that is on record, and nobody gets another one's. Where none
// can be made it is a *NoTrialError. The Runner is not needed.
func (c *Controller) Ask(ctx context.Context, id string, n int) (e *Experiment, made []*Trial, err error) {
	e, err = c.exclusively(ctx, id, func(d *drive) (err error) {
		made, err = d.ask(n)
		return err
	})
	return e, made, err
}

// Report is what those who run a trial say of it.
type Report struct {
	// Values are what was measured, in its order. A Step of -1 is not said, a zero Time
	// is now; Source and Pos do not count.
	Values  []metrics.Observation
	Running bool   // the trial goes on
	Failed  string // why it has failed; empty: it has not
}

// Tell takes in what a trial has measured, and ends it unless it goes on. A trial that
// goes on and is not worth it, by the experiment's early stopping, has ended as
// EarlyStopped then. A *TellError says what is wrong with the report; nothing of it
// counts. Of an experiment that has ended the trials that were under way still count.
func (c *Controller) Tell(ctx context.Context, id, trial string, r Report) (e *Experiment, t *Trial, err error) {
	e, err = c.exclusively(ctx, id, func(d *drive) (err error) {
		t, err = d.hear(trial, r)
		return err
	})
	return e, t, err
}

// NoTrialError says why there is no trial to be had.
type NoTrialError struct {
	Experiment *Experiment
	Msg        string
	Mend       string
}

func (e *NoTrialError) Error() string {
	return fmt.Sprintf("experiment %s has no trial to give: %s", e.Experiment.Name, e.Msg)
}

// Hint says what to do next.
func (e *NoTrialError) Hint() string { return e.Mend }

// TellError says what is wrong with a report, or with who asks.
type TellError struct{ Msg, Mend string }

func (e *TellError) Error() string { return e.Msg }

// Hint says what to do next.
func (e *TellError) Hint() string { return e.Mend }

// exclusively changes an experiment with f, and does it anew where somebody else was
// faster: of all that try at once one always gets on.
func (c *Controller) exclusively(ctx context.Context, id string, f func(*drive) error) (*Experiment, error) {
	for {
		d, err := c.load(ctx, id)
		if err != nil {
			return nil, err
		}
		if !d.e.Asked() {
			return d.e, &TellError{fmt.Sprintf("experiment %s runs its trials itself", d.e.Name), "wherry resume " + d.e.ID + " goes on with it"}
		}
		refused := f(d)
		if _, ok := errors.AsType[*NoTrialError](refused); refused != nil && !ok {
			return d.e, refused
		}
		d.batch.Durable = true // nobody is told of a trial that a power cut takes back
		if err = d.commit(); !errors.Is(err, ErrConflict) {
			return d.e, errors.Join(refused, err)
		}
		if err := context.Cause(ctx); err != nil {
			return d.e, err
		}
	}
}

func (d *drive) ask(n int) ([]*Trial, error) {
	if d.e.State.Ended() {
		return nil, &NoTrialError{d.e, d.e.Message, "wherry describe " + d.e.ID + " shows what came of it"}
	}
	d.begin()
	first := len(d.trials)
	for len(d.trials)-first < n && !d.spent && !d.waiting && !d.full() {
		if _, err := d.next(); err != nil {
			return nil, err
		}
	}
	if made := d.trials[first:]; len(made) > 0 {
		return made, nil
	}
	return nil, d.noTrial()
}

// begin notes that an experiment is under way.
func (d *drive) begin() {
	if d.e.State == Created || d.e.State == Restarting {
		d.e.State, d.e.Reason, d.e.Message = Running, ReasonRunning, ""
		d.tell(nil, false)
	}
}

func (d *drive) full() bool { return d.e.MaxTrials > 0 && len(d.trials) >= d.e.MaxTrials }

// noTrial says why no trial was made, and ends an experiment that has nothing left.
func (d *drive) noTrial() error {
	var open []string
	for _, t := range d.trials {
		if !t.State.Ended() {
			open = append(open, t.Name)
		}
	}
	e := &NoTrialError{Experiment: d.e}
	switch {
	case d.full():
		e.Msg = fmt.Sprintf("all of its %d trials have been handed out (maxTrialCount)", d.e.MaxTrials)
	case d.waiting:
		e.Msg = "algorithm " + d.e.Algorithm.Name + " waits for a trial to end"
	default:
		e.Msg = "the search space is exhausted"
	}
	if len(open) == 0 {
		d.end(Succeeded, ReasonExhausted, e.Msg)
		return e
	}
	shown, more := open, ""
	if len(open) > 3 {
		shown, more = open[:3], fmt.Sprintf(" and %d more", len(open)-3)
	}
	e.Mend = fmt.Sprintf("wherry report %s TRIAL %s=VALUE, or --failed REASON, for %s%s", d.e.Name, d.e.Objectives[0].Metric, strings.Join(shown, ", "), more)
	return e
}

// hear takes in a report.
func (d *drive) hear(name string, r Report) (*Trial, error) {
	i := slices.IndexFunc(d.trials, func(t *Trial) bool { return t.Name == name })
	if i < 0 {
		return nil, &TellError{fmt.Sprintf("experiment %s has no trial %q", d.e.Name, name), "wherry get trials " + d.e.ID + " lists them"}
	}
	t := d.trials[i]
	if t.State.Ended() {
		return t, &TellError{fmt.Sprintf("trial %s has ended already: %s", t.Name, t.State), "wherry suggest " + d.e.Name + " asks for another"}
	}
	for _, v := range r.Values {
		if !slices.Contains(d.e.Metrics(), v.Metric) {
			return t, &TellError{fmt.Sprintf("%q is no metric of experiment %s", v.Metric, d.e.Name), "there are " + strings.Join(d.e.Metrics(), ", ")}
		}
	}
	d.take(t, r.Values)
	switch {
	case r.Running && d.stopper != nil:
		if reason, stop := d.stopper.Stop(d.query().History, t.Number+len(d.warm)); stop {
			t.Stop = reason
			d.conclude(t, TrialEarlyStopped, reason)
		}
	case r.Running:
	case r.Failed != "":
		d.conclude(t, TrialFailed, r.Failed)
	default:
		for _, o := range d.e.Objectives {
			if t.metric(o.Metric) == nil {
				return t, &TellError{fmt.Sprintf("trial %s would end without a value of %s", t.Name, o.Metric), o.Metric + "=VALUE, --running or --failed REASON"}
			}
		}
		d.conclude(t, TrialSucceeded, "")
	}
	if !d.e.State.Ended() {
		d.decideEnd()
	}
	return t, nil
}

// take takes in values that were reported.
func (d *drive) take(t *Trial, values []metrics.Observation) {
	if len(values) == 0 {
		return
	}
	o := Observed{Trial: t.Number, Stream: ReportStream, Attempt: 1, List: slices.Clone(values)}
	if s := t.streams[ReportStream]; s != nil {
		o.First = s.count
	}
	for i := range o.List {
		if o.List[i].Time.IsZero() {
			o.List[i].Time = time.Now()
		}
	}
	t.Observe(d.e, o)
	d.batch.Observed = append(d.batch.Observed, o)
	d.tell(t, false)
}

// conclude ends a trial.
func (d *drive) conclude(t *Trial, s TrialState, reason string) {
	if s.Counts() && t.losses(d.e) == nil {
		s, reason = TrialMetricsUnavailable, d.e.Objectives[0].Metric+" was never a number"
	}
	t.State, t.Reason, t.Ended = s, reason, time.Now()
	d.count(t)
	d.tell(t, false)
}
