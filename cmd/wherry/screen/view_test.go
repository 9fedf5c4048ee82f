package screen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
)

var update = flag.Bool("update", false, "rewrite the expected pictures")

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a moment so many seconds after the start.
func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

// scene tells a model of a run, as a driver would.
type scene struct {
	*Model
	last int64
}

func newScene(name string) *scene {
	s := &scene{Model: NewModel(false)}
	s.SetRun(&dag.Run{ID: "k7p2rvbfk6", Name: name, State: dag.Running, Started: start})
	return s
}

// add tells of an execution and returns it.
func (s *scene) add(parent *dag.Execution, kind dag.Kind, task string, change func(*dag.Execution)) *dag.Execution {
	s.last++
	x := &dag.Execution{ID: s.last, Path: task, Task: task, Kind: kind, State: dag.Pending, Iteration: -1}
	if parent != nil {
		x.Parent, x.Path = parent.ID, parent.Path+"/"+task
		if strings.HasPrefix(task, "[") {
			x.Path = parent.Path + task
		}
	}
	s.Update(x)
	if change != nil {
		change(x)
		s.Update(x)
	}
	return x
}

func running(from float64) func(*dag.Execution) {
	return func(x *dag.Execution) {
		x.State, x.Started = dag.Running, at(from)
		if x.Kind == dag.KindContainer {
			x.Attempts = []*dag.Attempt{{Number: 1, Pod: "pod-" + x.Path, State: dag.Running}}
		}
	}
}

func ended(state dag.State, from, to float64, err string) func(*dag.Execution) {
	return func(x *dag.Execution) { x.State, x.Started, x.Ended, x.Error = state, at(from), at(to), err }
}

func cached(x *dag.Execution) {
	ended(dag.Succeeded, 1, 1, "")(x)
	x.Cached = true
}

// training is a pipeline with one of everything, in its middle.
func training() *scene {
	s := newScene("training-vbfk6")
	s.add(nil, dag.KindContainer, "load", cached)
	s.add(nil, dag.KindContainer, "清洗数据-👩‍🔬", ended(dag.Succeeded, 0.5, 2.6, ""))
	s.add(nil, dag.KindContainer, "a-task-whose-name-was-made-by-a-program-that-likes-long-names", running(3))
	s.SetTail("pod-a-task-whose-name-was-made-by-a-program-that-likes-long-names", []string{"epoch 2/10  loss 0.52", "epoch 3/10  loss 0.34  " + strings.Repeat("many more numbers ", 8)})
	sub := s.add(nil, dag.KindDAG, "evaluate", running(3))
	s.add(sub, dag.KindContainer, "score", func(x *dag.Execution) {
		running(4)(x)
		x.Attempts = append(x.Attempts, &dag.Attempt{Number: 2, Pod: "pod-second", State: dag.Running})
	})
	s.SetTail("pod-second", []string{"scored 12 of 40: 日本語のログ"})
	s.add(sub, dag.KindContainer, "plot", nil)
	done := s.add(nil, dag.KindDAG, "prepare", ended(dag.Succeeded, 0.5, 3, ""))
	s.add(done, dag.KindContainer, "one", ended(dag.Succeeded, 0.5, 2, ""))
	s.add(done, dag.KindContainer, "two", ended(dag.Succeeded, 2, 3, ""))
	loop := s.add(nil, dag.KindLoop, "for-loop-1", running(3))
	s.Observe(dag.Event{Execution: loop, Items: 20})
	for i := range 8 {
		turn := s.add(loop, dag.KindIteration, fmt.Sprintf("[%d]", i), running(3))
		change := ended(dag.Succeeded, 3, 3.5+float64(i), "")
		switch {
		case i == 2:
			change = ended(dag.Failed, 3, 4, "exit code 4\nsecond line")
		case i > 4:
			change = running(13.2)
		}
		s.add(turn, dag.KindContainer, "train", change)
		change(turn)
		s.Update(turn)
	}
	s.add(nil, dag.KindCondition, "if-better", func(x *dag.Execution) {
		x.State, x.Reason = dag.Skipped, "its condition is false: inputs.x == 'yes'"
	})
	waits := s.add(nil, dag.KindContainer, "deploy", nil)
	s.Observe(dag.Event{Execution: waits, Note: "deploy waits for 2 CPU: 8 of 8 are taken"})
	return s
}

// search is a loop over thousands of items.
func search() *scene {
	s := newScene("search")
	s.add(nil, dag.KindContainer, "load", ended(dag.Succeeded, 0, 1, ""))
	loop := s.add(nil, dag.KindLoop, "for-loop-1", running(1))
	s.Observe(dag.Event{Execution: loop, Items: 5000})
	for i := range 3000 {
		change := ended(dag.Succeeded, 2, 4.1, "")
		switch {
		case i >= 2960:
			change = running(11)
		case i%500 == 99:
			change = ended(dag.Failed, 2, 3, "exit code 1")
		case i < 1000:
			change = cached
		}
		s.add(loop, dag.KindContainer, fmt.Sprintf("[%d]", i), change)
	}
	s.add(nil, dag.KindContainer, "report", nil)
	return s
}

// wide is a thousand tasks beside each other.
func wide() *scene {
	s := newScene("wide")
	for i := range 1000 {
		var change func(*dag.Execution)
		switch {
		case i == 500:
			change = ended(dag.Failed, 1, 2, "exit code 1")
		case i < 700:
			change = ended(dag.Succeeded, 0, 1+float64(i)/100, "")
		case i < 720:
			change = running(12)
		case i < 730:
			change = func(x *dag.Execution) { x.State = dag.Skipped }
		}
		s.add(nil, dag.KindContainer, fmt.Sprintf("task-%d", i), change)
	}
	return s
}

// over is a run that has ended.
func over() *scene {
	s := newScene("training-vbfk6")
	s.add(nil, dag.KindContainer, "load", cached)
	s.add(nil, dag.KindContainer, "train", ended(dag.Failed, 1, 75, "exit code 137: it was killed because it used more than 2 GiB of memory, its limit"))
	sub := s.add(nil, dag.KindDAG, "check", ended(dag.Canceled, 1, 75, "the run was canceled"))
	s.add(sub, dag.KindContainer, "look", ended(dag.Canceled, 1, 75, "the run was canceled"))
	s.add(nil, dag.KindContainer, "report", func(x *dag.Execution) { x.State, x.Reason = dag.Skipped, "train failed" })
	s.SetRun(&dag.Run{ID: "k7p2rvbfk6", Name: "training-vbfk6", State: dag.Failed, Started: start, Ended: at(75.25)})
	return s
}

func TestView(t *testing.T) {
	for _, c := range []struct {
		name  string
		scene *scene
		sizes [][2]int
	}{
		{"training", training(), [][2]int{{40, 40}, {80, 40}, {120, 40}, {80, 12}, {80, 5}, {80, 2}, {80, 1}, {12, 12}}},
		{"search", search(), [][2]int{{40, 24}, {80, 24}, {80, 8}, {120, 24}}},
		{"wide", wide(), [][2]int{{40, 10}, {80, 24}, {120, 40}}},
		{"over", over(), [][2]int{{80, 24}}},
		{"empty", newScene("just-begun"), [][2]int{{80, 24}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got strings.Builder
			for _, size := range c.sizes {
				f := c.scene.View(at(14.9), size[0], size[1])
				fmt.Fprintf(&got, "== %d × %d\n%s\n", size[0], size[1], strings.Join(f.Lines, "\n"))
				if max := max(1, size[1]-1); len(f.Lines) > max {
					t.Errorf("%v: %d lines, more than %d", size, len(f.Lines), max)
				}
				for _, l := range f.Lines {
					if w := ansi.StringWidth(l); w >= size[0] {
						t.Errorf("%v: %d columns: %s", size, w, l)
					}
				}
			}
			golden(t, c.name, got.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Colours only mark: with them taken away, a picture is the one without colours.
func TestViewColors(t *testing.T) {
	plain, colored := training(), training()
	colored.Color = true
	want := strings.Join(plain.View(at(14.9), 80, 40).Lines, "\n")
	got := strings.Join(colored.View(at(14.9), 80, 40).Lines, "\n")
	if diff := cmp.Diff(want, ansi.Strip(got)); diff != "" {
		t.Errorf("-plain +colored\n%s", diff)
	}
	if !strings.Contains(got, "\x1b[31mexit code 4\x1b[0m") {
		t.Errorf("a failure is not red:\n%q", got)
	}
}

// A task's log is looked at once it runs for a second, and of a few tasks only.
func TestViewPods(t *testing.T) {
	s := newScene("logs")
	s.add(nil, dag.KindContainer, "young", running(14.5))
	for i := range 5 {
		s.add(nil, dag.KindContainer, fmt.Sprintf("old-%d", i), running(3))
	}
	want := []string{"pod-old-0", "pod-old-1", "pod-old-2"}
	if diff := cmp.Diff(want, s.View(at(14.9), 80, 24).Pods); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The counts are right in whatever order executions go through their states.
func TestCounts(t *testing.T) {
	s := newScene("counts")
	loop := s.add(nil, dag.KindLoop, "loop", running(0))
	x := s.add(loop, dag.KindContainer, "[0]", running(1))
	ended(dag.Failed, 1, 2, "exit code 1")(x)
	s.Update(x)
	s.Update(x) // told twice
	running(3)(x)
	s.Update(x)
	ended(dag.Succeeded, 3, 5, "")(x)
	s.Update(x)
	if got, want := s.root.leaves, (counts{total: 1, done: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	n := s.byID[loop.ID]
	if n.timings != 1 || n.took != 2*time.Second || len(n.active) != 0 {
		t.Errorf("%d timings of %s, %d active; want 1 of 2s, none", n.timings, n.took, len(n.active))
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                        "plain",
		"\x1b[31mred\x1b[0m\tand more": "red and more",
		"10%\r50%\r100%\r":             "100%",
		"bell\a and \x1b]0;title\a":    "bell· and ",
		"bad \xff bytes":               "bad · bytes",
		"\u202eright to left":          "·right to left",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func BenchmarkView(b *testing.B) {
	for _, c := range []struct {
		name  string
		scene *scene
	}{{"search", search()}, {"wide", wide()}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.scene.View(at(14.9), 120, 40)
			}
		})
	}
}
