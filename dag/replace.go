package dag

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Replacement lets a newer run take the place of one that is being driven. The older
// starts nothing more. A step of it that still runs goes on if the newer run would run
// the same: the newer waits for it, and finds its outputs in the cache. All others are
// stopped, and what comes in their place waits until they have.
//
//	older Drive ── offer ──> Replacement <── claim or drop ── newer Drive
//
// The older run's Driver gets it from its channel Replace, the newer's has it in its
// field Replaces. It is safe for concurrent use.
type Replacement struct {
	ready chan struct{} // closed once everything is offered
	once  sync.Once

	mu    sync.Mutex
	steps map[string]*offered // by path
}

// NewReplacement returns a Replacement for one older and one newer run.
func NewReplacement() *Replacement {
	return &Replacement{ready: make(chan struct{}), steps: map[string]*offered{}}
}

// Ready is closed once the older run has offered what runs.
func (r *Replacement) Ready() <-chan struct{} { return r.ready }

// offered is a running step of the older run.
type offered struct {
	key, base string // base: see Reads
	stop      func() // asks the older run to stop it
	ended     chan struct{}
	sources   []Mount      // of the older run: its sources
	views     *sharedViews // what it has read so far
	asked     bool         // to stop
	stopped   bool         // of the older run's loop: it was told to stop
	wanted    bool         // the newer run waits for it
}

func (o *offered) over() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

// outdatedGrace is how long a step that nobody waits for any more has to end by itself.
const outdatedGrace = 2 * time.Second

// makeWay is giveWay for what asks for it, once what an earlier driver left running has
// been taken up: else it could not be offered.
func (d *drive) makeWay() {
	r := d.asksWay
	if r == nil || !d.canceled && d.adopting() {
		return
	}
	d.asksWay = nil
	d.giveWay(r)
}

// adopting reports whether a step that runs has not been taken up yet.
func (d *drive) adopting() bool {
	for _, n := range d.byID {
		if n.begun && !n.live && n.phase == phaseResolving && n.exec.State == Running {
			return true
		}
	}
	return false
}

// giveWay offers what runs to a newer run, and ends everything else as cancel does.
func (d *drive) giveWay(r *Replacement) {
	defer r.once.Do(func() { close(r.ready) })
	if d.canceled {
		return
	}
	d.givesWay = r
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Replaces != nil { // what this one still waits for is the newer's to want
		maps.Copy(r.steps, d.Replaces.take())
	}
	for _, id := range slices.Sorted(maps.Keys(d.byID)) {
		n := d.byID[id]
		if !n.live || n.exec.State.Ended() {
			continue
		}
		n.offer = &offered{
			key: n.exec.Key, base: baseKey(d.run, n.exec.KeyParts), stop: d.stopOffered(n), ended: make(chan struct{}),
			sources: d.run.Options.Mounts, views: n.views,
		}
		r.steps[n.exec.Path] = n.offer
	}
	d.cancel()
}

// stopOffered returns what another run's loop calls to stop a step of this one.
func (d *drive) stopOffered(n *node) func() {
	return func() {
		go d.post(func() {
			if n.offer.stopped = true; n.live {
				d.stop(n.pod(), min(d.stopGrace(), outdatedGrace))
			}
		})
	}
}

// stopOffers stops everything that was kept for a newer run.
func (d *drive) stopOffers() {
	for _, n := range d.byID {
		if n.live && n.offer != nil {
			n.offer.stopped = true
			d.stop(n.pod(), d.stopGrace())
		}
	}
}

// endOffers tells who waits that no more will come of what has not ended.
func (d *drive) endOffers() {
	for _, n := range d.byID {
		if n.offer != nil && !n.offer.over() {
			close(n.offer.ended)
		}
	}
	for _, r := range []*Replacement{d.givesWay, d.asksWay} {
		if r != nil {
			r.once.Do(func() { close(r.ready) })
		}
	}
}

// take hands what still runs over to a further Replacement.
func (r *Replacement) take() map[string]*offered {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]*offered{}
	for path, o := range r.steps {
		if !o.over() {
			o.wanted = false
			out[path] = o
		}
	}
	r.steps = map[string]*offered{}
	return out
}

// drop asks for the stop of the steps that match, unless this run waits for them, and
// returns those that have not ended yet.
func (r *Replacement) drop(match func(path string) bool) []*offered {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*offered
	for _, path := range slices.Sorted(maps.Keys(r.steps)) {
		o := r.steps[path]
		if o.wanted || !match(path) || o.over() {
			continue
		}
		if !o.asked {
			o.asked = true
			o.stop()
		}
		out = append(out, o)
	}
	return out
}

// reject stops a step that was waited for, unless a still newer run has it by now. It
// reports whether it was asked to stop.
func (r *Replacement) reject(path string, o *offered) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.steps[path] != o || o.over() {
		return false
	}
	o.wanted = false
	if !o.asked {
		o.asked = true
		o.stop()
	}
	return true
}

// dropAll drops everything, wanted or not: the newer run is over.
func (r *Replacement) dropAll() {
	if r == nil {
		return
	}
	r.mu.Lock()
	for _, o := range r.steps {
		o.wanted = false
	}
	r.mu.Unlock()
	r.drop(func(string) bool { return true })
}

// dropGone drops the steps of tasks that the newer run does not have.
func (d *drive) dropGone() {
	tasks := d.run.Pipeline.Components[d.run.Pipeline.Root].Graph.Tasks
	d.Replaces.drop(func(path string) bool {
		name, _, _ := strings.Cut(path, "/")
		name, _, _ = strings.Cut(name, "[")
		return tasks[name] == nil
	})
}

// await lets a task that is about to run wait for the run that this one replaces: for
// a step of it that does the same, else until those have stopped whose place it, and
// what depends on it, will take. It reports whether there is something to wait for.
func (d *drive) await(n *node) bool {
	if d.Replaces == nil {
		return false
	}
	if o := d.claimStep(n); o != nil {
		d.note("%s: goes on: what it has read has not changed", n.exec.Path)
		if o.key == n.exec.Key {
			d.awaitOffers(n, []*offered{o}, nil)
		} else {
			d.awaitOffers(n, []*offered{o}, func() bool { return d.sameSoFar(o) })
		}
		return true
	}
	left := d.Replaces.drop(inPlaceOf(n))
	if len(left) > 0 {
		d.awaitOffers(n, left, nil)
	}
	return len(left) > 0
}

// lookAgain is how often it is looked whether a step that is waited for still does the
// same.
const lookAgain = time.Second

// awaitOffers begins n anew once these steps have ended. They are stopped when same, if
// there is one, says that they do something else after all.
func (d *drive) awaitOffers(n *node, list []*offered, same func() bool) {
	n.phase = phaseResolving
	path := n.exec.Path
	d.spawn(func() func() {
		ticker := time.NewTicker(lookAgain)
		defer ticker.Stop()
		for _, o := range list {
			for waits := true; waits; {
				select {
				case <-o.ended:
					waits = false
				case <-d.ops.Done():
					waits = false
				case <-ticker.C:
					if same != nil && !same() && d.Replaces.reject(path, o) {
						same = nil
					}
				}
			}
		}
		return func() {
			if n.exec.State == Pending && n.phase == phaseResolving {
				n.phase = phaseIdle
				d.dirty = append(d.dirty, n)
			}
		}
	})
}

// claimStep returns the step of the replaced run that does what n would, as far as that is
// known: it has the same key, or the same but for sources, of which it has read nothing
// so far that differs. When it has ended, reuse knows for certain.
func (d *drive) claimStep(n *node) *offered {
	if d.steering.anew(n) != "" || d.run.Options.Cache == CacheOff || !n.task.Cache && d.run.Options.Cache != CacheOn {
		return nil
	}
	r := d.Replaces
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.steps[n.exec.Path]
	if o == nil || o.asked || o.over() || o.key != n.exec.Key && !d.readsTheSame(n, o) {
		return nil
	}
	o.wanted = true
	return o
}

// readsTheSame reports whether what a step has read so far is in this run's sources as
// it was.
func (d *drive) readsTheSame(n *node, o *offered) bool {
	return o.base != "" && o.base == baseKey(d.run, n.exec.KeyParts) && o.views != nil && d.sameSoFar(o)
}

// sameSoFar is readsTheSame for a step of which that was known before. It touches nothing
// of the loop.
func (d *drive) sameSoFar(o *offered) bool {
	read := o.views.soFar()
	for i, m := range o.sources {
		if !m.snapshotted() {
			continue
		}
		files, known := read[mountName(i)]
		before, err1 := d.Artifacts.ReadDigest(d.ops, m.Digest, files)
		now, err2 := d.Artifacts.ReadDigest(d.ops, d.sourceAt(m.Target), files)
		if !known || err1 != nil || err2 != nil || before != now {
			return false
		}
	}
	return true
}

// inPlaceOf matches the paths of n and of all that depends on it.
func inPlaceOf(n *node) func(path string) bool {
	var prefixes []string
	seen := map[*node]bool{}
	var visit func(n *node)
	visit = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		prefixes = append(prefixes, n.exec.Path)
		if n.parent.loop == nil {
			for _, after := range n.parent.dependents[n.task.Name] {
				visit(after)
			}
		}
	}
	visit(n)
	for group := n.parent.owner; group != nil; group = group.parent.owner {
		if group.parent.loop != nil {
			continue
		}
		for _, after := range group.parent.dependents[group.task.Name] {
			visit(after)
		}
	}
	return func(path string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool {
			rest, ok := strings.CutPrefix(path, p)
			return ok && (rest == "" || rest[0] == '/' || rest[0] == '[')
		})
	}
}

// sharedViews are an attempt's views, as long as it has them.
type sharedViews struct {
	mu sync.Mutex
	v  map[string]View
}

func (s *sharedViews) set(v views) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.v = maps.Clone(v)
}

// soFar returns what was opened of each source up to now, by the volume's name.
func (s *sharedViews) soFar() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]string{}
	for name, v := range s.v {
		out[name] = v.SoFar()
	}
	return out
}
