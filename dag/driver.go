package dag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

// Admission is what the driver needs of the queue.
type Admission interface {
	Admit(ctx context.Context, requests []queue.Request) ([]queue.Decision, error)
	Release(ctx context.Context, pods ...string) error
	Fits(r runner.Resources) error
	Clamp(r runner.Resources) (runner.Resources, []string)
}

// Event is what a driver tells its observer, after it was committed.
type Event struct {
	Run       *Run
	Execution *Execution // that changed; nil: the run did, or Note is all
	Note      string     // for people: "waits for 2 CPU: …", pull progress; with Execution: about it
	Items     int        // how many iterations Execution, a loop that has begun, will have; 0: not said
	Detail    bool       // Note is for who wants to know more: lines of an image build
}

// Driver drives runs. Its fields are set once, before the first call.
type Driver struct {
	Backend   runner.Backend
	Store     Store
	Artifacts Artifacts
	Queue     Admission
	Home      string // WHERRY_HOME, absolute
	HomeID    string // short id of it, in pod names
	// Evaluators evaluate conditions and selectors, by the expression's language.
	Evaluators map[string]Evaluator
	Tuner      Tuner // nil: a tuning step fails

	// Observe is called from the driver's loop; it must not block. May be nil.
	Observe func(Event)
	// Kill, when closed, kills what a cancelation is still waiting for. May be nil.
	Kill <-chan struct{}
	// Replace, when it yields one, makes Drive give way to a newer run. May be nil.
	Replace <-chan *Replacement
	// Replaces is what an older run has given way to this one with. May be nil.
	Replaces *Replacement
	// Beat is called every 2 s while the loop turns: a driver that doesn't beat
	// hangs. It must not block. May be nil.
	Beat func()
	// Patience is how long a backend may stay away before the driver gives up;
	// 0: 30 s.
	Patience time.Duration
}

func (d *Driver) patience() time.Duration {
	if d.Patience == 0 {
		return 30 * time.Second
	}
	return d.Patience
}

// ErrHangup, as the cause of a canceled context, makes Drive leave the pods
// running for a later Drive.
var ErrHangup = errors.New("hangup: the run goes on and can be resumed")

// tick is how often the driver looks for what other processes did: requests to
// cancel, and room in the queue.
const tick = 250 * time.Millisecond

// beatEvery is how often the loop says that it turns.
const beatEvery = 2 * time.Second

// Drive drives a stored run to its end, from wherever it stands, and returns it
// with its executions. The caller holds the run's lock; should that fail as a lock,
// what an earlier driver still commits is refused, and it ends with a
// *TakenOverError. When ctx is canceled the
// run is canceled, unless the cause is ErrHangup. A backend that stays away ends
// it with a *runner.UnavailableError: then nothing is lost, and Drive can be
// called again.
func (d *Driver) Drive(ctx context.Context, id string) (*Run, []*Execution, error) {
	defer d.Replaces.dropAll()         // nothing, where a still newer run has taken it
	epoch, err := d.Store.Own(ctx, id) // first: what is loaded then is final
	if err != nil {
		return nil, nil, err
	}
	run, executions, err := d.Store.LoadRun(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if run.State.Ended() {
		return run, executions, nil
	}
	ops, stop := context.WithCancel(context.WithoutCancel(ctx))
	dr := &drive{Driver: d, run: run, epoch: epoch, ops: ops, events: make(chan func(), 64), images: map[imageKey]*imageCall{}, noted: map[string]bool{}, byID: map[int64]*node{}}
	if dr.steering, err = newSteering(ctx, d.Store, run); err != nil {
		stop()
		return nil, nil, err
	}
	dr.watch = watchPods(ops, d.Backend, run.ID, d.patience())
	err = dr.loop(ctx, executions)
	dr.endOffers()
	dr.over = true
	stop() // pauses and pulls that a cancelation left; what was to be removed is, see finish
	dr.drainAll()
	dr.watch.wait()
	return run, dr.executions, err
}

// drive is one run being driven. All fields but events belong to the loop.
type drive struct {
	*Driver
	run        *Run
	epoch      int64           // of this owner of the run
	beaten     time.Time       // when Beat was last called
	ops        context.Context // of what the loop started; outlives a cancelation
	root       *scope
	shared     *setting
	steering   *steering // nil: no task is treated in its own way
	executions []*Execution
	byID       map[int64]*node
	images     map[imageKey]*imageCall
	watch      *watcher

	events  chan func() // results of goroutines, applied by the loop
	pending int         // goroutines that have not posted their last event
	over    bool        // the loop has ended

	dirty    []*node   // may have become ready
	waiting  []*node   // want to be admitted, in order
	running  int       // live attempts
	cleaning int       // ended attempts of which something may be left on the engine
	asked    time.Time // when the queue was last asked
	room     bool      // something was given back since
	giving   int       // ended attempts that hold room until the next transaction

	batch   Batch
	changed map[*Execution]bool
	acts    []func() // carried out once the batch is committed

	noted    map[string]bool // what was said once
	fatal    error
	canceled bool // Cancel was seen
	expired  bool // canceled by the pipeline's deadline
	cleared  bool // the workspace was seen to
	resumed  bool // a driver before this one began it
	tidied   bool // what that one left was seen to
	killed   bool
	swept    bool         // see sweep
	asksWay  *Replacement // that giveWay was not told of yet
	givesWay *Replacement // nil: to nobody
	live     liveLook
}

// setting is what the run's scopes share.
func (d *drive) setting() *setting {
	if d.shared == nil {
		d.shared = &setting{run: d.run, evaluators: d.Evaluators}
	}
	return d.shared
}

func (d *drive) loop(ctx context.Context, executions []*Execution) error {
	if err := d.restore(executions); err != nil {
		return err
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	if d.Replaces != nil {
		d.dropGone()
	}
	done, kill := ctx.Done(), d.Kill
	var deadline <-chan time.Time
	if limit := d.run.Pipeline.Deadline; limit > 0 {
		deadline = time.After(min(limit, time.Until(d.run.Started.Add(limit)))) // a clock that was set back gives no more
	}
	for {
		if err := d.turn(); err != nil {
			return err
		}
		if d.run.State.Ended() {
			return nil
		}
		select {
		case apply := <-d.events:
			apply()
			d.drain()
		case <-ticker.C:
			d.lookAround()
		case <-done:
			done = nil
			if errors.Is(context.Cause(ctx), ErrHangup) {
				return ErrHangup
			}
			d.cancel()
			d.stopOffers()
		case r := <-d.Replace:
			d.asksWay = r
		case <-deadline:
			d.expire()
		case <-kill:
			kill = nil
			d.kill()
		case err := <-d.watch.failed:
			return err
		}
		d.makeWay()
		d.beat()
		if d.fatal != nil {
			return d.fatal
		}
	}
}

// beat says from time to time that the loop turns, and ends it when the run has
// another owner.
func (d *drive) beat() {
	if time.Since(d.beaten) < beatEvery {
		return
	}
	d.beaten = time.Now()
	if err := d.Store.Owns(d.ops, d.run.ID, d.epoch); isTakenOver(err) {
		d.fatal = err
		return
	}
	if d.Beat != nil {
		d.Beat()
	}
}

func isTakenOver(err error) bool {
	_, ok := errors.AsType[*TakenOverError](err)
	return ok
}

// drain applies what is there without waiting, so that many events share one
// transaction.
func (d *drive) drain() {
	for range cap(d.events) {
		select {
		case apply := <-d.events:
			apply()
		default:
			return
		}
	}
}

// turn decides until nothing more follows, commits, and then acts.
func (d *drive) turn() error {
	for {
		for len(d.dirty) > 0 {
			n := d.dirty[0]
			d.dirty = d.dirty[1:]
			d.settle(n)
		}
		if err := d.admit(); err != nil {
			return err
		}
		if err := d.commit(); err != nil {
			return err
		}
		acts := d.acts
		d.acts = nil
		for _, act := range acts {
			act()
		}
		if d.room && len(d.waiting) > 0 {
			continue // an act gave it back: don't leave it to the next tick
		}
		if len(d.dirty) == 0 && len(d.acts) == 0 && d.batch.Empty() && (d.fatal != nil || !d.finish()) {
			return d.fatal
		}
	}
}

func (d *drive) commit() error {
	if d.batch.Empty() {
		return nil
	}
	b := d.batch
	b.Epoch = d.epoch
	d.batch, d.changed = Batch{}, nil
	if err := d.Store.Commit(d.ops, &b); err != nil {
		return fmt.Errorf("store the state of run %s: %w", d.run.ID, err)
	}
	if d.Observe != nil {
		for _, x := range b.Executions {
			d.Observe(Event{Run: d.run, Execution: x})
		}
		if b.Run != nil {
			d.Observe(Event{Run: d.run})
		}
	}
	return nil
}

// change puts the node's execution into the next transaction.
func (d *drive) change(n *node) {
	if d.changed == nil {
		d.changed = map[*Execution]bool{}
	}
	if !d.changed[n.exec] {
		d.changed[n.exec] = true
		d.batch.Executions = append(d.batch.Executions, n.exec)
	}
}

// after carries f out once the next transaction is committed.
func (d *drive) after(f func()) { d.acts = append(d.acts, f) }

// spawn runs f beside the loop. The function that f returns is applied by the
// loop; after the loop has ended it is dropped.
func (d *drive) spawn(f func() func()) {
	d.pending++
	go func() {
		apply := f()
		d.events <- func() {
			d.pending--
			if apply != nil && !d.over {
				apply()
			}
		}
	}()
}

// post lets the loop apply f, in the middle of a spawned function.
func (d *drive) post(f func()) {
	select {
	case d.events <- func() {
		if !d.over {
			f()
		}
	}:
	case <-d.ops.Done():
	}
}

// drainAll returns when all goroutines have ended. The loop has ended before:
// what they still say changes nothing.
func (d *drive) drainAll() {
	for d.pending > 0 {
		(<-d.events)()
	}
}

func (d *drive) note(format string, args ...any) {
	if d.Observe != nil {
		d.Observe(Event{Run: d.run, Note: fmt.Sprintf(format, args...)})
	}
}

// noteOn is a note about one execution; the text begins with its path.
func (d *drive) noteOn(n *node, format string, args ...any) {
	if d.Observe != nil {
		d.Observe(Event{Run: d.run, Execution: n.exec, Note: n.exec.Path + fmt.Sprintf(format, args...)})
	}
}

// tellItems says how many iterations a loop will have.
func (d *drive) tellItems(n *node) {
	if d.Observe != nil {
		d.Observe(Event{Run: d.run, Execution: n.exec, Items: len(n.inner.loop.items)})
	}
}

// noteOnce is a note that is not repeated for every attempt.
func (d *drive) noteOnce(text string) {
	if !d.noted[text] {
		d.noted[text] = true
		d.note("%s", text)
	}
}

// detail is a note for who asked for more.
func (d *drive) detail(format string, args ...any) {
	if d.Observe != nil {
		d.Observe(Event{Run: d.run, Note: fmt.Sprintf(format, args...), Detail: true})
	}
}

// lookAround notices what other processes asked for, and asks the queue again.
func (d *drive) lookAround() {
	d.room = d.room || len(d.waiting) > 0
	if d.canceled {
		return
	}
	asked, err := d.Store.CancelRequested(d.ops, d.run.ID)
	if err == nil && asked {
		d.cancel()
	}
}

// admit asks the queue for room for what waits, in order, and starts what got it.
func (d *drive) admit() error {
	if len(d.waiting) == 0 || !d.room && time.Since(d.asked) < tick {
		return nil
	}
	d.skipWaiting()
	room := 64 // more than any one machine starts at once; keeps the transaction small
	if m := d.run.Options.MaxParallel; m > 0 {
		room = min(room, m-d.running)
	}
	ask := d.waiting[:max(0, min(room, len(d.waiting)))]
	d.asked, d.room = time.Now(), false
	if len(ask) == 0 {
		return nil
	}
	requests := make([]queue.Request, len(ask))
	for i, n := range ask {
		requests[i] = queue.Request{Pod: d.nextPod(n), Run: d.run.ID, Resources: n.request}
	}
	decisions, err := d.Queue.Admit(d.ops, requests)
	if err != nil {
		return fmt.Errorf("ask the queue: %w", err)
	}
	var left []*node
	for i, dec := range decisions {
		n := ask[i]
		if dec.Granted {
			n.waits = ""
			d.begin(n, dec.Devices)
			continue
		}
		left = append(left, n)
		if d.giving > 0 {
			continue // it is asked for again in this turn
		}
		if n.waits == "" && dec.Waits != "" {
			d.noteOn(n, " %s", dec.Waits)
		}
		n.waits = dec.Waits
	}
	d.waiting = append(left, d.waiting[len(ask):]...)
	return nil
}

// skipWaiting ends those that wait for room in a graph which has meanwhile stopped
// at its first failure.
func (d *drive) skipWaiting() {
	d.waiting = slices.DeleteFunc(d.waiting, func(n *node) bool {
		if n.parent.loop != nil || !n.parent.comp.Graph.FailFast || n.parent.failed == 0 || n.exec.State != Pending {
			return false
		}
		v, why := n.parent.verdict(n)
		if v != skip {
			return false
		}
		_ = d.Queue.Release(d.ops, d.nextPod(n))
		n.exec.Reason = why
		d.end(n, Skipped, "")
		return true
	})
}

func (d *drive) nextPod(n *node) string {
	return runner.PodName(d.HomeID, d.run.ID, n.exec.ID, int64(len(n.exec.Attempts))+1)
}
