package dag

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wherry-ml/wherry/runner/queue"
)

// TestRoomIsUsedAtOnce: a step that needs the whole machine starts when the one
// before it gives the room back, not at the next tick, and nobody is told that it
// waits.
func TestRoomIsUsedAtOnce(t *testing.T) {
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const n = 5
		backend := newFakeBackend(rand.New(rand.NewPCG(1, 2))) // each pod takes 1 s
		capacity, _ := backend.Capacity(t.Context())
		whole := Resources{CPURequest: Literal(fmt.Sprintf("%dm", capacity.CPU))}
		g := &Graph{Tasks: map[string]*Task{}}
		for i := range n {
			task := &Task{Name: fmt.Sprintf("t%d", i), Component: "step"}
			if i > 0 {
				task.Needs = []Edge{{Task: fmt.Sprintf("t%d", i-1), On: OnSuccess}}
			}
			g.Tasks[task.Name] = task
		}
		store := newMemStore()
		run := &Run{ID: "r", Name: "room", State: Pending, Created: time.Now(), Pipeline: &Pipeline{Name: "room", Root: "root", Components: map[string]*Component{
			"root": {Name: "root", Graph: g},
			"step": {Name: "step", Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("step"), Resources: whole}}}},
		}}}
		if err := Validate(run.Pipeline, testFile()); err != nil {
			t.Fatal(err)
		}
		if err := store.CreateRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		d := &Driver{
			Backend: backend, Store: store, Artifacts: noArtifacts{}, Home: home, HomeID: "h",
			Queue: queue.New(store, capacity, "fake", "r", nil),
			Observe: func(e Event) {
				if strings.Contains(e.Note, "waits") {
					t.Error(e.Note)
				}
			},
		}
		start := time.Now()
		run, _, err := d.Drive(t.Context(), "r")
		if err != nil || run.State != Succeeded {
			t.Fatal(run.State, err)
		}
		if took := time.Since(start); took != n*time.Second {
			t.Errorf("%d steps of 1 s took %s", n, took)
		}
	})
}
