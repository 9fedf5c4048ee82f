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

// Controller drives experiments. Its fields are set once, before the first call.
type Controller struct {
	Store   Store
	Runner  Runner
	Observe func(Event) // called from the loop after each commit; it must not block. May be nil
	Beat    func()      // called every 2 s while the loop turns. May be nil
}

// Event is what a Controller tells, after it was committed.
type Event struct {
	Experiment *Experiment
	Trial      *Trial // that changed; nil: the experiment did
	Measured   bool   // only its metrics did
}

// Drive drives a stored experiment to its end, from wherever it stands, and returns it
// with its trials. The caller holds the experiment's lock. When ctx is canceled its
// trials are canceled, unless the cause is ErrLeave; either way it can be driven again.
func (c *Controller) Drive(ctx context.Context, id string) (*Experiment, []*Trial, error) {
	d, err := c.load(ctx, id)
	if err != nil || d.e.State.Ended() {
		return d.e, d.trials, err
	}
	err = d.loop()
	return d.e, d.trials, err
}

// flushEvery is how long observations may wait to be written.
const flushEvery = 200 * time.Millisecond

// beatEvery is how often the loop says that it turns.
const beatEvery = 2 * time.Second

// drive is one experiment being driven. All fields but events belong to the loop.
type drive struct {
	*Controller
	ctx         context.Context
	e           *Experiment
	trials      []*Trial
	space       *suggest.Space
	algorithm   suggest.Algorithm
	stopper     suggest.Stopper
	warm        []suggest.Trial // of earlier experiments
	constraints []constraint
	history     []suggest.Trial // of the trials; those that may change are made anew for each query

	events  chan func()
	live    map[int]context.CancelCauseFunc // trials that are being run, by number
	failed  int
	ended   int
	waiting bool // the algorithm waits for a trial to end
	spent   bool // the algorithm has nothing left
	over    bool // no more trials: the experiment is about to end
	fatal   error

	batch   Batch
	changed map[*Trial]bool
	told    []Event
}

func (c *Controller) load(ctx context.Context, id string) (*drive, error) {
	d := &drive{Controller: c, ctx: ctx, events: make(chan func(), 64), live: map[int]context.CancelCauseFunc{}, changed: map[*Trial]bool{}}
	e, trials, observed, err := c.Store.LoadExperiment(ctx, id, true)
	if err != nil {
		return d, err
	}
	d.e, d.trials = e, trials
	if err := d.equip(); err != nil {
		return d, err
	}
	Replay(e, trials, observed)
	for _, t := range trials {
		d.count(t)
	}
	return d, nil
}

// equip makes what the experiment names.
func (d *drive) equip() (err error) {
	if d.algorithm, err = suggest.New(d.e.Algorithm.Name, d.e.Algorithm.Settings); err != nil {
		return err
	}
	if d.e.Stopping != nil {
		if d.stopper, err = suggest.NewStopper(d.e.Stopping.Name, d.e.Stopping.Settings); err != nil {
			return err
		}
	}
	if d.constraints, err = d.e.compile(); err != nil {
		return err
	}
	d.space = d.e.Space(d.e.feasible(d.constraints))
	for _, id := range d.e.WarmFrom {
		from, trials, _, err := d.Store.LoadExperiment(d.ctx, id, false)
		if err != nil {
			return fmt.Errorf("warm start from experiment %s: %w", id, err)
		}
		for _, w := range d.e.Warm(from, trials) {
			w.Number = len(d.warm)
			d.warm = append(d.warm, w)
		}
	}
	return nil
}

func (d *drive) count(t *Trial) {
	if !t.State.Ended() {
		return
	}
	d.ended++
	if t.State == TrialFailed || t.State == TrialMetricsUnavailable {
		d.failed++
	}
}

// loop runs until the experiment has ended or is given up.
func (d *drive) loop() error {
	d.begin()
	for _, t := range d.trials {
		if !t.State.Ended() {
			d.start(t)
		}
	}
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		if d.fatal == nil {
			d.fatal = d.turn()
		}
		if d.fatal == nil {
			d.fatal = context.Cause(d.ctx)
		}
		if d.fatal != nil && !d.over {
			d.giveUp()
		}
		if len(d.live) == 0 && (d.fatal != nil || d.e.State.Ended()) {
			return errors.Join(d.fatal, d.commit())
		}
		select {
		case f := <-d.events:
			f()
			d.drain()
		case <-flush.C:
			if err := d.commit(); err != nil && d.fatal == nil {
				d.fatal = err
			}
		case <-beat.C:
			if d.Beat != nil {
				d.Beat()
			}
		case <-d.done():
		}
	}
}

// done is the context's end, until it was seen.
func (d *drive) done() <-chan struct{} {
	if d.fatal != nil {
		return nil
	}
	return d.ctx.Done()
}

// drain applies what has come meanwhile, so that it shares a transaction.
func (d *drive) drain() {
	for {
		select {
		case f := <-d.events:
			f()
		default:
			return
		}
	}
}

// turn decides what follows: the end, or more trials.
func (d *drive) turn() error {
	if !d.over {
		d.decideEnd()
	}
	for !d.over && !d.spent && !d.waiting && len(d.live) < d.e.Parallel && (d.e.MaxTrials == 0 || len(d.trials) < d.e.MaxTrials) {
		if err := d.propose(); err != nil {
			return err
		}
	}
	if d.spent && len(d.live) == 0 && !d.over {
		d.end(Succeeded, ReasonExhausted, "the search space is exhausted")
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
	if best := Optimal(d.e, d.trials); best != nil && lead.reached(best.Value(d.e, lead.Metric)) {
		d.end(Succeeded, ReasonGoal, fmt.Sprintf("%s of %s reached the goal", lead.Metric, best.Name))
		return
	}
	if d.e.MaxFailed != nil && d.failed > *d.e.MaxFailed {
		d.end(Failed, ReasonFailed, fmt.Sprintf("%d trials failed, %d may (maxFailedTrialCount)", d.failed, *d.e.MaxFailed))
		return
	}
	if d.e.MaxTrials > 0 && d.ended >= d.e.MaxTrials {
		d.end(Succeeded, ReasonMaxTrials, fmt.Sprintf("%d trials have ended", d.ended))
	}
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
	if d.stopper == nil || t.Stop != "" || d.over {
		return
	}
	history := d.query().History
	if reason, stop := d.stopper.Stop(history, t.Number+len(d.warm)); stop {
		t.Stop = reason
		d.tell(t, false)
		if d.commit() == nil { // else it comes again with the next readings, or as the loop's error
			d.live[t.Number](errStopped)
		}
	}
}

// finish records how a trial ended.
func (d *drive) finish(t *Trial, cause error, o Outcome, err error) {
	d.live[t.Number](nil)
	delete(d.live, t.Number)
	d.waiting = false
	if errors.Is(cause, ErrLeave) {
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

// tell remembers a change for the next commit.
func (d *drive) tell(t *Trial, measured bool) {
	if t != nil {
		d.changed[t] = true
	}
	d.told = append(d.told, Event{Experiment: d.e, Trial: t, Measured: measured})
}

// commit writes what has changed, and tells it.
func (d *drive) commit() error {
	if len(d.told) == 0 {
		return nil
	}
	d.batch.Experiment, d.batch.Exclusive = d.e, d.e.Asked()
	for _, e := range d.told { // in their order
		if e.Trial != nil && !e.Measured && d.changed[e.Trial] {
			d.batch.Trials = append(d.batch.Trials, e.Trial)
			delete(d.changed, e.Trial)
		}
	}
	d.batch.Durable = d.batch.Durable || d.e.State.Ended()
	if err := d.Store.CommitTrials(context.WithoutCancel(d.ctx), d.batch); err != nil {
		return err
	}
	told := d.told
	d.batch, d.told = Batch{}, nil
	clear(d.changed)
	if d.Controller.Observe != nil {
		for _, e := range told {
			d.Controller.Observe(e)
		}
	}
	return nil
}
