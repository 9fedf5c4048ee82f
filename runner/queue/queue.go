package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// Request asks for room for one pod, or for a gang as a whole.
type Request struct {
	Pod       string           // pod name, or the gang's; what Release is given
	Run       string           // for those who look
	Resources runner.Resources // CPU, Memory and GPU requested, of the whole gang; limits don't count
	Priority  int              // higher is granted first
	Pods      int              // pod slots of the gang; 0: 1
}

// Decision is the answer to a Request.
type Decision struct {
	Pod     string
	Granted bool
	Devices []string // GPUs granted
	Waits   string   // when not granted: "waits for 2 CPU: 4 of 4 in use by 3 pods"
}

// Admission is a stored request, waiting or granted.
type Admission struct {
	Seq      int64 // order of arrival, given by the Store; 0: new
	Pod      string
	Run      string
	Owner    string
	Pods     int
	CPU      int64 // millicores
	Memory   int64 // bytes
	GPU      int
	Priority int
	Granted  bool
	Devices  []string
	Asked    time.Time // when its owner last asked
}

// Change is what a transaction writes.
type Change struct {
	Put    []Admission // by Pod: new ones (Seq 0) at the end of the line, others in place
	Delete []string    // pods
}

// Store keeps admissions. It is implemented by package sqlite.
type Store interface {
	// UpdateAdmissions hands the admissions of a backend in the order of Seq to
	// decide and writes what it returns, in one transaction: no other process
	// reads or writes them between. decide may be called again after a failure.
	UpdateAdmissions(ctx context.Context, backend string, decide func([]Admission) Change) error
	// DeleteAdmissions deletes those of pods that are there.
	DeleteAdmissions(ctx context.Context, backend string, pods []string) error
}

// Queue admits pods to one backend. It is safe for concurrent use, by many
// processes at once; it holds no state of its own.
type Queue struct {
	store    Store
	capacity runner.Capacity
	backend  string
	owner    string
	alive    func(owner string) bool
	now      func() time.Time

	gpuNamed sync.Once
}

// stale is how long a waiting request keeps its first claim after its owner last
// asked, so that a process that is stopped (Ctrl-Z) or no longer wants it doesn't
// hold up the others; it keeps its place in the line. fresh is how often asking
// is written.
const (
	stale = 15 * time.Second
	fresh = 4 * time.Second
)

// New returns a queue for capacity of the backend of this name. A capacity of 0
// CPU, memory or pods is not known and not limited. owner is this process; alive
// reports whether another one still runs, quickly: it is called within a
// transaction (nil: all do).
func New(store Store, capacity runner.Capacity, backend, owner string, alive func(owner string) bool) *Queue {
	q := &Queue{store: store, capacity: capacity, backend: backend, owner: owner, alive: alive, now: time.Now}
	q.capacity.GPUs = slices.Clone(capacity.GPUs)
	return q
}

// Admit tries to grant each request, in order of priority and arrival, and
// returns a decision for each, in the order given. It never blocks for room: what
// waits keeps its place and its claim as long as the caller asks again at least
// every 10 s, until Release. A pod that has a grant gets the same again, and the
// caller becomes its owner. An *OversizedError means that nothing was done.
func (q *Queue) Admit(ctx context.Context, requests []Request) ([]Decision, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	var decisions []Decision
	var refused error
	err := q.store.UpdateAdmissions(ctx, q.backend, func(rows []Admission) Change {
		var change Change
		decisions, change, refused = q.decide(rows, requests)
		return change
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, fmt.Errorf("admit %d pods: %w", len(requests), err)
	}
	return decisions, nil
}

// Release gives back what pods were granted, and takes out of the line what
// waits. Pods that are not there are passed over.
func (q *Queue) Release(ctx context.Context, pods ...string) error {
	if len(pods) == 0 {
		return nil
	}
	err := q.store.DeleteAdmissions(ctx, q.backend, pods)
	if err != nil {
		return fmt.Errorf("release %d pods: %w", len(pods), err)
	}
	return nil
}

// Reclaim releases the grants of dead owners whose pods no longer run, and
// returns those pods. keep reports whether a pod still runs; a crashed owner's
// pods may, and whoever resumes its run adopts them.
func (q *Queue) Reclaim(ctx context.Context, keep func(pod string) bool) ([]string, error) {
	var dead []Admission
	err := q.store.UpdateAdmissions(ctx, q.backend, func(rows []Admission) Change {
		dead = nil
		lives := q.memo()
		for _, r := range rows {
			if r.Granted && !lives(r.Owner) {
				dead = append(dead, r)
			}
		}
		return Change{}
	})
	if err != nil {
		return nil, fmt.Errorf("look for grants of dead owners: %w", err)
	}
	gone := map[string]string{} // pod: its owner; keep asks an engine, so not in the transaction
	for _, r := range dead {
		if !keep(r.Pod) {
			gone[r.Pod] = r.Owner
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	var c Change
	err = q.store.UpdateAdmissions(ctx, q.backend, func(rows []Admission) Change {
		c = Change{}
		for _, r := range rows {
			if owner, ok := gone[r.Pod]; ok && owner == r.Owner {
				c.Delete = append(c.Delete, r.Pod)
			}
		}
		return c
	})
	if err != nil {
		return nil, fmt.Errorf("release grants of dead owners: %w", err)
	}
	return c.Delete, nil
}

// memo returns alive with a memory for one transaction.
func (q *Queue) memo() func(owner string) bool {
	known := map[string]bool{q.owner: true}
	return func(owner string) bool {
		live, ok := known[owner]
		if !ok {
			live = q.alive == nil || q.alive(owner)
			known[owner] = live
		}
		return live
	}
}
