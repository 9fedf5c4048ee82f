package tuner

import (
	"context"
	"errors"
	"fmt"
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
	killed  int
	ended   int
	waiting bool // the algorithm waits for a trial to end
	spent   bool // the algorithm has nothing left
	over    bool // no more trials: the experiment is about to end
	fatal   error

	batch   Batch
	changed map[*Trial]bool
	told    []Event
	acts    []func() // to be done once the batch is committed

	best        *Trial          // of those that have ended
	measuredNow map[*Trial]bool // since the last turn
}

func (c *Controller) load(ctx context.Context, id string) (*drive, error) {
	d := &drive{Controller: c, ctx: ctx, events: make(chan func(), 64), live: map[int]context.CancelCauseFunc{}, changed: map[*Trial]bool{}, measuredNow: map[*Trial]bool{}}
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
	candidates := []*Trial{t}
	if d.best != nil {
		candidates = []*Trial{d.best, t}
	}
	d.best = optimal(d.e, d.constraints, candidates)
	switch t.State {
	case TrialFailed, TrialMetricsUnavailable:
		d.failed++
	case TrialKilled: // with the experiment, by a person: another one takes its place
		d.killed++
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
			if err := errors.Join(d.takeReports(), d.commit()); err != nil && d.fatal == nil {
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

// drain applies what has come meanwhile, so that it shares a transaction; not what
// comes while it does, or trials that write without a pause would keep the loop in it.
func (d *drive) drain() {
	for range cap(d.events) {
		select {
		case f := <-d.events:
			f()
		default:
			return
		}
	}
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
	told, acts := d.told, d.acts
	d.batch, d.told, d.acts = Batch{}, nil, nil
	for _, act := range acts {
		act()
	}
	clear(d.changed)
	if d.Controller.Observe != nil {
		for _, e := range told {
			d.Controller.Observe(e)
		}
	}
	return nil
}
