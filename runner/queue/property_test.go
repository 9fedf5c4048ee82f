package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
	"pgregory.net/rapid"
)

// world is what the properties are checked against: what was asked for and
// granted, as the owners saw it.
type world struct {
	capacity runner.Capacity
	store    *memory
	owners   []*queue.Queue
	asked    map[string]queue.Request
	owner    map[string]int // who asks
	order    []string       // pods in the order of arrival
	granted  map[string][]string
	next     int
}

func newWorld(t *rapid.T) *world {
	w := &world{store: &memory{}, asked: map[string]queue.Request{}, owner: map[string]int{}, granted: map[string][]string{}}
	w.capacity = runner.Capacity{CPU: rapid.Int64Range(1, 8).Draw(t, "CPU"), Memory: rapid.Int64Range(1, 8).Draw(t, "memory"),
		Pods: rapid.IntRange(3, 6).Draw(t, "pods")}
	for i := range rapid.IntRange(1, 4).Draw(t, "GPUs") {
		w.capacity.GPUs = append(w.capacity.GPUs, fmt.Sprint("g", i))
	}
	for i := range 3 {
		w.owners = append(w.owners, queue.New(w.store, w.capacity, "b", fmt.Sprint("o", i), nil))
	}
	return w
}

func (w *world) newRequest(t *rapid.T) queue.Request {
	w.next++
	r := queue.Request{Pod: fmt.Sprint("p", w.next), Pods: rapid.IntRange(0, 3).Draw(t, "gang"),
		Priority: rapid.IntRange(0, 1).Draw(t, "priority")}
	r.Resources = runner.Resources{CPU: rapid.Int64Range(0, w.capacity.CPU).Draw(t, "cpu"),
		Memory: rapid.Int64Range(0, w.capacity.Memory).Draw(t, "mem"),
		GPU:    rapid.IntRange(0, len(w.capacity.GPUs)).Draw(t, "gpu")}
	return r
}

// ask lets an owner ask for all that it wants and some more.
func (w *world) ask(t *rapid.T, owner int, more ...queue.Request) {
	var requests []queue.Request
	for _, pod := range w.order {
		if w.owner[pod] == owner {
			requests = append(requests, w.asked[pod])
		}
	}
	for _, r := range more {
		w.asked[r.Pod], w.owner[r.Pod] = r, owner
		w.order = append(w.order, r.Pod)
		requests = append(requests, r)
	}
	before := w.waiting()
	decisions, err := w.owners[owner].Admit(context.Background(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range decisions {
		old, had := w.granted[d.Pod]
		switch {
		case had && !slices.Equal(old, d.Devices):
			t.Fatalf("%s had %v and got %v", d.Pod, old, d.Devices)
		case !d.Granted && d.Waits == "":
			t.Fatalf("%s waits for nothing", d.Pod)
		case d.Granted:
			w.granted[d.Pod] = d.Devices
		}
	}
	w.fifo(t, before)
}

// waiting lists what waits, first claim first.
func (w *world) waiting() (pods []string) {
	for _, pod := range w.order {
		if _, ok := w.granted[pod]; !ok {
			pods = append(pods, pod)
		}
	}
	slices.SortStableFunc(pods, func(a, b string) int { return cmp.Compare(w.asked[b].Priority, w.asked[a].Priority) })
	return pods
}

// fifo: of equal requests of one owner, none was granted past an older one.
func (w *world) fifo(t *rapid.T, before []string) {
	for i, pod := range before {
		if _, ok := w.granted[pod]; ok {
			continue
		}
		for _, later := range before[i+1:] {
			a, b := w.asked[pod], w.asked[later]
			_, ok := w.granted[later]
			if ok && w.owner[pod] == w.owner[later] && a.Resources.CPU == b.Resources.CPU && a.Resources.Memory == b.Resources.Memory &&
				a.Resources.GPU == b.Resources.GPU && max(1, a.Pods) == max(1, b.Pods) {
				t.Fatalf("%s overtook its equal %s", later, pod)
			}
		}
	}
}

func (w *world) drop(t *rapid.T, pod string) {
	if err := w.owners[0].Release(context.Background(), pod); err != nil {
		t.Fatal(err)
	}
	delete(w.granted, pod)
	delete(w.asked, pod)
	w.order = slices.DeleteFunc(w.order, func(p string) bool { return p == pod })
}

// check: never over capacity, no device twice.
func (w *world) check(t *rapid.T) {
	var used runner.Capacity
	devices := map[string]string{}
	for pod, ids := range w.granted {
		r := w.asked[pod]
		used.CPU += r.Resources.CPU
		used.Memory += r.Resources.Memory
		used.Pods += max(1, r.Pods)
		if len(ids) != r.Resources.GPU {
			t.Fatalf("%s asked for %d GPUs and got %v", pod, r.Resources.GPU, ids)
		}
		for _, id := range ids {
			if other, ok := devices[id]; ok {
				t.Fatalf("%s granted to %s and %s", id, pod, other)
			}
			devices[id] = pod
			if !slices.Contains(w.capacity.GPUs, id) {
				t.Fatalf("no device %s", id)
			}
		}
	}
	if used.CPU > w.capacity.CPU || used.Memory > w.capacity.Memory || used.Pods > w.capacity.Pods {
		t.Fatalf("over capacity: %+v of %+v", used, w.capacity)
	}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"ask": func(t *rapid.T) {
				w.ask(t, rapid.IntRange(0, 2).Draw(t, "owner"), w.newRequest(t))
			},
			"ask again": func(t *rapid.T) { w.ask(t, rapid.IntRange(0, 2).Draw(t, "owner")) },
			"release": func(t *rapid.T) {
				if len(w.order) == 0 {
					t.Skip()
				}
				w.drop(t, rapid.SampledFrom(w.order).Draw(t, "pod"))
			},
		})
	})
}

// TestNoStarvation: whatever stream of newer requests of equal priority other
// owners bring, a request is granted once all that ran when it came has ended.
func TestNoStarvation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		equal := func() queue.Request {
			r := w.newRequest(t)
			r.Priority = 0
			return r
		}
		for range rapid.IntRange(1, 8).Draw(t, "running") {
			w.ask(t, 1, equal())
		}
		big := equal()
		w.ask(t, 0, big)
		ahead := slices.Clone(w.order[:len(w.order)-1])
		for {
			w.ask(t, 1, equal()) // always somebody newer, who asks first
			w.ask(t, 2, equal())
			w.ask(t, 0)
			if _, ok := w.granted[big.Pod]; ok {
				return
			}
			// One of those ahead ends when it runs; newer ones run for ever.
			at := slices.IndexFunc(ahead, func(pod string) bool { _, ok := w.granted[pod]; return ok })
			if at < 0 {
				t.Fatalf("%s starves behind newer ones: %+v", big.Pod, w.store.rows)
			}
			w.drop(t, ahead[at])
			ahead = slices.Delete(ahead, at, at+1)
			w.check(t)
		}
	})
}
