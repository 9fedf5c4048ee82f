package queue

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/wherry-ml/wherry/runner"
)

// kind is one of the things that are shared out.
type kind int

const (
	cpu kind = iota
	memory
	gpu
	pods
	kinds
)

// amount is so much of each kind.
type amount [kinds]int64

func (a *Admission) amount() amount {
	return amount{a.CPU, a.Memory, int64(a.GPU), int64(a.Pods)}
}

// total is the capacity; -1: not limited.
func total(c runner.Capacity) amount {
	t := amount{c.CPU, c.Memory, int64(len(c.GPUs)), int64(c.Pods)}
	for _, k := range []kind{cpu, memory, pods} {
		if t[k] <= 0 {
			t[k] = -1
		}
	}
	return t
}

// room is what is left, while admissions are gone through in order.
type room struct {
	total   amount
	used    amount     // granted
	kept    amount     // for those further ahead in the line
	users   [kinds]int // pods that use some
	keepers [kinds]int // requests that some is kept for
	devices []string   // not granted
}

func (r *room) left(k kind) int64 {
	return max(0, r.total[k]-r.used[k]-r.kept[k])
}

// blocks reports whether k is what a request for n of it waits for.
func (r *room) blocks(k kind, n int64) bool {
	return r.total[k] >= 0 && n > 0 && n > r.left(k)
}

func (r *room) fits(want amount) bool {
	for k := range kinds {
		if r.blocks(k, want[k]) {
			return false
		}
	}
	return want[gpu] <= int64(len(r.devices))
}

func (r *room) use(a *Admission) {
	want := a.amount()
	for k := range kinds {
		r.used[k] += want[k]
		if want[k] > 0 {
			r.users[k] += a.Pods
		}
	}
	r.devices = slices.DeleteFunc(r.devices, func(id string) bool { return slices.Contains(a.Devices, id) })
}

// keep reserves what there is of what want needs. Those behind can only take what
// is beyond it, so that a large request is never overtaken for good by small ones.
func (r *room) keep(want amount) {
	for k := range kinds {
		if n := min(want[k], r.left(k)); n > 0 && r.total[k] >= 0 {
			r.kept[k] += n
			r.keepers[k]++
		}
	}
}

// grant takes want for a.
func (r *room) grant(a *Admission) {
	a.Granted = true
	a.Devices = slices.Clone(r.devices[:a.GPU])
	r.use(a)
}

// decide is pure but for q.alive and the clock: the answers to requests, given
// all admissions, and what changes by them.
func (q *Queue) decide(rows []Admission, requests []Request) ([]Decision, Change, error) {
	var change Change
	lives := q.memo()
	now := q.now()
	byPod := make(map[string]*Admission, len(rows)+len(requests))
	dirty := map[string]bool{}
	var line []*Admission
	r := &room{total: total(q.capacity), devices: slices.Clone(q.capacity.GPUs)}
	for i := range rows {
		a := &rows[i]
		byPod[a.Pod] = a
		if a.Granted {
			r.use(a)
		}
	}
	mine := make(map[string]bool, len(requests))
	for i, req := range requests {
		mine[req.Pod] = true
		a := byPod[req.Pod]
		switch {
		case a == nil:
			a = &Admission{Pod: req.Pod, Asked: now}
			byPod[req.Pod] = a
			line = append(line, a)
			dirty[req.Pod] = true
		case now.Sub(a.Asked) > fresh || a.Owner != q.owner:
			a.Asked = now
			dirty[req.Pod] = true
		}
		a.Owner = q.owner
		if a.Granted {
			continue
		}
		if err := q.Fits(req.Resources); err != nil {
			return nil, Change{}, fmt.Errorf("pod %q: %w", req.Pod, err)
		}
		dirty[req.Pod] = q.fill(a, requests[i]) || dirty[req.Pod]
	}
	waiting := make([]*Admission, 0, len(rows)+len(line))
	for i := range rows {
		a := &rows[i]
		switch {
		case a.Granted:
		case !lives(a.Owner):
			change.Delete = append(change.Delete, a.Pod)
		default:
			waiting = append(waiting, a)
		}
	}
	waiting = append(waiting, line...) // new ones come last, in the order given
	slices.SortStableFunc(waiting, func(a, b *Admission) int { return cmp.Compare(b.Priority, a.Priority) })
	waits := map[string]string{}
	for _, a := range waiting {
		want := a.amount()
		switch {
		case mine[a.Pod] && r.fits(want):
			r.grant(a)
			dirty[a.Pod] = true
		case mine[a.Pod]:
			waits[a.Pod] = r.explain(want)
			r.keep(want)
		case now.Sub(a.Asked) < stale:
			r.keep(want)
		}
	}
	for i := range rows {
		if dirty[rows[i].Pod] {
			change.Put = append(change.Put, rows[i])
		}
	}
	for _, a := range line {
		change.Put = append(change.Put, *a)
	}
	decisions := make([]Decision, len(requests))
	for i, req := range requests {
		a := byPod[req.Pod]
		decisions[i] = Decision{Pod: a.Pod, Granted: a.Granted, Devices: slices.Clone(a.Devices), Waits: waits[a.Pod]}
	}
	return decisions, change, nil
}

// fill writes what req asks for into a waiting admission, and reports whether
// that changed it.
func (q *Queue) fill(a *Admission, req Request) bool {
	n := *a
	n.Run, n.Priority, n.Pods = req.Run, req.Priority, max(1, req.Pods)
	n.CPU, n.Memory, n.GPU = max(0, req.Resources.CPU), max(0, req.Resources.Memory), max(0, req.Resources.GPU)
	if len(q.capacity.GPUs) == 0 {
		n.GPU = 0 // passed over, see Clamp
	}
	changed := n.Run != a.Run || n.Priority != a.Priority || n.amount() != a.amount()
	*a = n
	return changed
}
