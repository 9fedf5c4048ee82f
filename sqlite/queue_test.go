package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
	"github.com/wherry-ml/wherry/sqlite"
)

var machine = runner.Capacity{CPU: 4000, Memory: 8 << 30, GPUs: []string{"g0", "g1", "g2"}, Pods: 6}

// overCapacity says what is wrong with the admissions of one moment.
func overCapacity(rows []queue.Admission) error {
	var cpu, memory int64
	var pods int
	devices := map[string]string{}
	for _, a := range rows {
		if !a.Granted {
			continue
		}
		cpu, memory, pods = cpu+a.CPU, memory+a.Memory, pods+a.Pods
		for _, id := range a.Devices {
			if other, ok := devices[id]; ok {
				return fmt.Errorf("%s granted to %s and %s", id, other, a.Pod)
			}
			devices[id] = a.Pod
		}
		if len(a.Devices) != a.GPU {
			return fmt.Errorf("%s asked for %d GPUs and has %v", a.Pod, a.GPU, a.Devices)
		}
	}
	if cpu > machine.CPU || memory > machine.Memory || pods > machine.Pods {
		return fmt.Errorf("over capacity: %d CPU, %d memory, %d pods", cpu, memory, pods)
	}
	return nil
}

// work lets an owner bring n pods through the queue, up to five at a time.
func work(ctx context.Context, d *sqlite.DB, owner string, n int) error {
	q := queue.New(d, machine, "docker", owner, nil)
	random := rand.New(rand.NewPCG(1, uint64(len(owner))))
	var want []queue.Request
	for done, next := 0, 0; done < n; {
		for ; len(want) < 5 && next < n; next++ {
			want = append(want, queue.Request{Pod: fmt.Sprint(owner, "-", next), Pods: 1 + random.IntN(2), Resources: runner.Resources{
				CPU: random.Int64N(machine.CPU + 1), Memory: random.Int64N(machine.Memory), GPU: random.IntN(4)}})
		}
		decisions, err := q.Admit(ctx, want)
		if err != nil {
			return err
		}
		rows, err := d.Admissions(ctx, "docker")
		if err == nil {
			err = overCapacity(rows)
		}
		if err != nil {
			return err
		}
		for _, g := range decisions {
			if g.Granted {
				done++
				want = slices.DeleteFunc(want, func(r queue.Request) bool { return r.Pod == g.Pod })
				if err := q.Release(ctx, g.Pod); err != nil {
					return err
				}
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func childQueue(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	return work(ctx, d, os.Getenv("WHERRY_SQLITE_TEST_OWNER"), 100)
}

// TestQueueProcesses: two handles here and two processes on one file. Never over
// capacity, no device twice, and everybody gets through.
func TestQueueProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wherry.db")
	open(t, path)
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() {
			if err := work(t.Context(), open(t, path), fmt.Sprint("handle", i), 100); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			cmd := child(t, "queue", path, fmt.Sprint("WHERRY_SQLITE_TEST_OWNER=process", i))
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, cmd.Stderr)
			}
		})
	}
	group.Wait()
	if rows, err := open(t, path).Admissions(t.Context(), "docker"); err != nil || len(rows) != 0 {
		t.Errorf("left: %v, %v", rows, err)
	}
}

// TestQueueSurvives: grants and places in the line outlive the process.
func TestQueueSurvives(t *testing.T) {
	d := open(t, "")
	admit := func(d *sqlite.DB, owner string) []queue.Decision {
		q := queue.New(d, machine, "docker", owner, func(o string) bool { return o != "dead" })
		got, err := q.Admit(t.Context(), []queue.Request{
			{Pod: "a", Resources: runner.Resources{CPU: 4000, GPU: 2}}, {Pod: "b", Resources: runner.Resources{CPU: 1000}}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := admit(d, "dead")
	d.Close()
	d = open(t, d.Path())
	again := admit(d, "heir")
	if !again[0].Granted || !slices.Equal(first[0].Devices, again[0].Devices) || again[1].Granted || again[1].Waits == "" {
		t.Errorf("first %+v, again %+v", first, again)
	}
	other := queue.New(d, machine, "process", "x", nil) // another backend has a capacity of its own
	if got, err := other.Admit(t.Context(), []queue.Request{{Pod: "a", Resources: runner.Resources{CPU: 4000}}}); err != nil || !got[0].Granted {
		t.Errorf("%v, %v", got, err)
	}
}

// BenchmarkAdmit: one pod comes and goes while others wait.
func BenchmarkAdmit(b *testing.B) {
	for _, waiting := range []int{0, 1000} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			d := open(b, "")
			q := queue.New(d, machine, "docker", "me", nil)
			requests := []queue.Request{{Pod: "next"}}
			for i := range waiting {
				requests = append(requests, queue.Request{Pod: fmt.Sprint("p", i), Resources: runner.Resources{CPU: 4000}})
			}
			for b.Loop() {
				if _, err := q.Admit(b.Context(), requests); err != nil {
					b.Fatal(err)
				}
				if err := q.Release(b.Context(), "next"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
