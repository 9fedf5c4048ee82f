package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

// memory is a Store that forgets.
type memory struct {
	mu   sync.Mutex
	seq  int64
	rows []queue.Admission
}

func (m *memory) UpdateAdmissions(_ context.Context, _ string, decide func([]queue.Admission) queue.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := decide(slices.Clone(m.rows))
	m.rows = slices.DeleteFunc(m.rows, func(a queue.Admission) bool { return slices.Contains(c.Delete, a.Pod) })
	for _, a := range c.Put {
		i := slices.IndexFunc(m.rows, func(b queue.Admission) bool { return a.Pod == b.Pod })
		if i >= 0 {
			m.rows[i] = a
			continue
		}
		m.seq++
		a.Seq = m.seq
		m.rows = append(m.rows, a)
	}
	return nil
}

func (m *memory) DeleteAdmissions(ctx context.Context, backend string, pods []string) error {
	return m.UpdateAdmissions(ctx, backend, func([]queue.Admission) queue.Change { return queue.Change{Delete: pods} })
}

const gib = 1 << 30

var laptop = runner.Capacity{CPU: 4000, Memory: 8 * gib, GPUs: []string{"g0", "g1"}, Pods: 10}

func request(pod string, cpu int64) queue.Request {
	return queue.Request{Pod: pod, Run: "r", Resources: runner.Resources{CPU: cpu}}
}

// admit returns the decisions in words.
func admit(t *testing.T, q *queue.Queue, requests ...queue.Request) (words []string) {
	t.Helper()
	decisions, err := q.Admit(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range decisions {
		switch {
		case !d.Granted:
			words = append(words, d.Pod+" "+d.Waits)
		case len(d.Devices) > 0:
			words = append(words, fmt.Sprint(d.Pod, " ", d.Devices))
		default:
			words = append(words, d.Pod)
		}
	}
	return words
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func release(t *testing.T, q *queue.Queue, pods ...string) {
	t.Helper()
	if err := q.Release(t.Context(), pods...); err != nil {
		t.Fatal(err)
	}
}

func TestAdmit(t *testing.T) {
	q := queue.New(&memory{}, laptop, "docker", "me", nil)
	expect(t, admit(t, q, request("a", 1500), request("b", 2000), request("c", 500), request("d", 2000), request("e", 100)),
		"a", "b", "c",
		"d waits for 2 CPU: 4 of 4 in use by 3 pods",
		"e waits for 0.1 CPU: 4 of 4 in use by 3 pods")
	expect(t, admit(t, q, request("zero", 0)), "zero") // costs a slot only
	release(t, q, "a", "never seen")
	// 1.5 are free, and kept for d, which waits longer.
	expect(t, admit(t, q, request("e", 100)), "e waits for 0.1 CPU: 2.5 of 4 in use by 2 pods, 1.5 kept for 1 request ahead")
	release(t, q, "b")
	expect(t, admit(t, q, request("e", 100), request("d", 2000)), "e", "d")
	expect(t, admit(t, q, request("d", 2000)), "d") // the same grant again
}

func TestWaitsForWhat(t *testing.T) {
	q := queue.New(&memory{}, laptop, "docker", "me", nil)
	all := queue.Request{Pod: "all", Pods: 9, Resources: runner.Resources{CPU: 4000, Memory: 7.5 * gib, GPU: 1}}
	gang := queue.Request{Pod: "gang", Pods: 3, Resources: runner.Resources{CPU: 250, Memory: gib, GPU: 2}}
	expect(t, admit(t, q, all, gang), "all [g0]",
		"gang waits for 0.25 CPU: 4 of 4 in use by 9 pods; 1 GiB memory: 7.5 GiB of 8 GiB in use by 9 pods; "+
			"2 GPU: 1 of 2 in use by 9 pods; 3 places: 9 of 10 in use by 9 pods")
	release(t, q, "all")
	expect(t, admit(t, q, gang), "gang [g0 g1]")
}

func TestPriority(t *testing.T) {
	q := queue.New(&memory{}, laptop, "docker", "me", nil)
	urgent := request("urgent", 4000)
	urgent.Priority = 5
	admit(t, q, request("a", 4000), request("b", 4000))
	expect(t, admit(t, q, urgent), "urgent waits for 4 CPU: 4 of 4 in use by 1 pod")
	release(t, q, "a")
	expect(t, admit(t, q, request("b", 4000), urgent), "b waits for 4 CPU: 4 of 4 in use by 1 pod", "urgent")
}

// TestOthers: several owners on one store.
func TestOthers(t *testing.T) {
	store := &memory{}
	dead := map[string]bool{}
	alive := func(owner string) bool { return !dead[owner] }
	me := queue.New(store, laptop, "docker", "me", alive)
	you := queue.New(store, laptop, "docker", "you", alive)
	gpu := queue.Request{Pod: "your", Resources: runner.Resources{GPU: 1, CPU: 2000}}
	expect(t, admit(t, you, gpu), "your [g0]")
	admit(t, you, request("big", 4000))
	expect(t, admit(t, me, request("small", 1000)), "small waits for 1 CPU: 2 of 4 in use by 1 pod, 2 kept for 1 request ahead")

	dead["you"] = true // big is out of the line; the pod "your" may still run
	expect(t, admit(t, me, request("small", 1000), request("more", 2000)), "small", "more waits for 2 CPU: 3 of 4 in use by 2 pods")
	got, err := me.Reclaim(t.Context(), func(pod string) bool { return true })
	if err != nil || len(got) > 0 {
		t.Errorf("reclaimed %v, %v", got, err)
	}
	// Who resumes the run gets the same devices.
	expect(t, admit(t, me, gpu), "your [g0]")
	got, _ = me.Reclaim(t.Context(), func(string) bool { return false })
	if len(got) > 0 {
		t.Errorf("reclaimed %v, whose owner lives", got)
	}
	dead["me"] = true
	got, _ = queue.New(store, laptop, "docker", "third", alive).Reclaim(t.Context(), func(pod string) bool { return pod == "small" })
	expect(t, got, "your")
}

// TestClaimNeedsAsking: who does not ask any more holds up nobody for long, and
// has kept its place when it asks again.
func TestClaimNeedsAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		me := queue.New(store, laptop, "docker", "me", nil)
		stopped := queue.New(store, laptop, "docker", "stopped", nil)
		admit(t, me, request("a", 2000))
		admit(t, stopped, request("big", 4000))
		time.Sleep(10 * time.Second)
		expect(t, admit(t, me, request("b", 2000)), "b waits for 2 CPU: 2 of 4 in use by 1 pod, 2 kept for 1 request ahead")
		time.Sleep(6 * time.Second)
		expect(t, admit(t, me, request("b", 2000)), "b")
		admit(t, me, request("c", 2000))
		admit(t, stopped, request("big", 4000))
		release(t, me, "a")
		expect(t, admit(t, me, request("c", 2000)), "c waits for 2 CPU: 2 of 4 in use by 1 pod, 2 kept for 1 request ahead")
	})
}

func TestSizes(t *testing.T) {
	q := queue.New(&memory{}, laptop, "docker", "me", nil)
	err := q.Fits(runner.Resources{CPU: 16500, Memory: 64 * gib, GPU: 3})
	oversized, ok := errors.AsType[*queue.OversizedError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := "asks for more than the docker backend has: 16.5 CPU (there is 4), 64 GiB memory (there is 8 GiB), 3 GPU (there is 2)"
	if oversized.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if err := q.Fits(runner.Resources{Memory: 8*gib + 1}); err.Error() !=
		"asks for more than the docker backend has: 8589934593 bytes memory (there is 8589934592 bytes)" {
		t.Error(err)
	}
	if err := q.Fits(runner.Resources{CPU: 4000, Memory: 8 * gib, GPU: 2, CPULimit: 99999}); err != nil {
		t.Error(err)
	}
	if _, err := q.Admit(t.Context(), []queue.Request{request("a", 1), request("b", 4001)}); !errors.As(err, &oversized) {
		t.Errorf("admitted: %v", err)
	}
	res, notes := q.Clamp(runner.Resources{CPU: 1, CPULimit: 8000, MemoryLimit: 10 * gib, GPU: 1})
	if diff := cmp.Diff(runner.Resources{CPU: 1, CPULimit: 4000, MemoryLimit: 8 * gib, GPU: 1}, res); diff != "" {
		t.Error(diff)
	}
	expect(t, notes, "CPU limit 8 is lowered to 4, all that the docker backend has",
		"memory limit 10 GiB is lowered to 8 GiB, all that the docker backend has")
}

func TestNoGPU(t *testing.T) {
	q := queue.New(&memory{}, runner.Capacity{}, "process", "me", nil) // nothing is known: nothing is limited
	res, notes := q.Clamp(runner.Resources{GPU: 1, CPULimit: 99000})
	expect(t, notes, "the process backend has no GPU: what asks for one runs without")
	if res.GPU != 0 || res.CPULimit != 99000 {
		t.Errorf("%+v", res)
	}
	if _, notes := q.Clamp(runner.Resources{GPU: 1}); len(notes) > 0 {
		t.Errorf("named twice: %v", notes)
	}
	if err := q.Fits(runner.Resources{GPU: 1, CPU: 99000}); err != nil {
		t.Error(err)
	}
	expect(t, admit(t, q, queue.Request{Pod: "a", Resources: runner.Resources{GPU: 1, CPU: 99000}}), "a")
}
