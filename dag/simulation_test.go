package dag

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

var (
	simSeeds = flag.Int("sim.seeds", 400, "how many seeded schedules the simulation runs")
	simSeed  = flag.Uint64("sim.seed", 0, "replay this seed only")
)

// TestSimulation runs random pipelines on a seeded backend with faults, crashes
// the driver at random commits, resumes, and checks what must always hold. A
// failing seed is replayed with -sim.seed.
func TestSimulation(t *testing.T) {
	home := t.TempDir()
	first, last := uint64(1), uint64(*simSeeds)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var lives, hung, setBacks int
	for seed := first; seed <= last; seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := &simulation{t: t, seed: seed, home: home, rng: rand.New(rand.NewPCG(seed, 1))}
			s.run()
			lives, hung, setBacks = lives+s.lives, hung+s.hung, setBacks+s.setBacks
		})
		if t.Failed() {
			t.Fatalf("replay with: go test ./dag -run Simulation -sim.seed=%d", seed)
		}
	}
	t.Logf("%d schedules: %d drivers, of which %d hung and lost their run; the clock set back by an hour %d times", last-first+1, lives, hung, setBacks)
}

type simulation struct {
	t         *testing.T
	seed      uint64
	home      string
	rng       *rand.Rand
	store     *memStore
	backend   *simBackend
	fails     map[string]int // by execution id: how many of its first starts fail
	frozen    sync.WaitGroup // drivers that hang
	hanging   atomic.Int32
	artifacts *simArtifacts

	lives, hung, setBacks int
}

func (s *simulation) run() {
	s.store = newMemStore()
	s.backend = &simBackend{fakeBackend: newFakeBackend(rand.New(rand.NewPCG(s.seed, 2))), dir: s.home}
	s.fails = map[string]int{}
	s.artifacts = &simArtifacts{seed: s.seed}
	s.backend.exit = s.outcome
	if s.rng.IntN(3) == 0 {
		s.backend.away = 0.2
	}
	if s.rng.IntN(3) == 0 {
		s.backend.vanish = 0.1
	}
	run := &Run{ID: fmt.Sprintf("s%d", s.seed), Name: "sim", Pipeline: s.pipeline(), State: Pending, Created: time.Now()}
	if s.rng.IntN(2) == 0 {
		run.Options.MaxParallel = 1 + s.rng.IntN(4)
	}
	if err := Validate(run.Pipeline, testFile()); err != nil {
		s.t.Fatalf("seed %d: generated an invalid pipeline: %v", s.seed, err)
	}
	if err := s.store.CreateRun(s.t.Context(), run); err != nil {
		s.t.Fatal(err)
	}
	cancelAt := -1
	if s.rng.IntN(5) == 0 {
		cancelAt = s.rng.IntN(4)
	}
	for life := 0; ; life++ {
		if life > 200 {
			s.t.Fatalf("seed %d: the run does not end", s.seed)
		}
		if s.drive(run.ID, life == cancelAt) {
			break
		}
		if s.hanging.Load() == 0 && s.rng.IntN(6) == 0 { // the times of one that hangs would be mixed with ours
			s.store.setBack(run.ID, time.Hour)
			s.setBacks++
		}
	}
	s.frozen.Wait()
	s.check(run.ID)
}

// drive is one life of a driver. It reports whether the run has ended.
func (s *simulation) drive(id string, cancel bool) bool {
	s.lives++
	s.store.mu.Lock()
	s.store.crashed = false
	s.store.crashIn = -1
	if s.rng.IntN(2) == 0 {
		s.store.crashIn, s.store.crashLate = 1+s.rng.IntN(12), s.rng.IntN(2) == 0
	}
	s.store.mu.Unlock()
	ctx, stop := context.WithCancelCause(s.t.Context())
	defer stop(nil)
	if cancel {
		time.AfterFunc(time.Duration(s.rng.IntN(5000))*time.Millisecond, func() { stop(errors.New("interrupted")) })
	} else if s.rng.IntN(4) == 0 {
		time.AfterFunc(time.Duration(s.rng.IntN(5000))*time.Millisecond, func() { stop(ErrHangup) })
	}
	f := newFreezer(s.store, 1<<30)
	if s.backend.away == 0 && s.rng.IntN(4) == 0 { // when it asks once more, its attempts are no longer harmless
		f.in = 1 + s.rng.IntN(10)
	}
	capacity, _ := s.backend.Capacity(ctx)
	d := &Driver{
		Backend: s.backend, Store: f, Artifacts: s.artifacts, Home: s.home, HomeID: "h",
		Queue: queue.New(f, capacity, "fake", id, nil), Patience: time.Second,
		Evaluators: map[string]Evaluator{"sim": simEvaluator{}}, Tuner: simTuner{},
	}
	var run *Run
	var err error
	ended := make(chan struct{})
	go func() { run, _, err = d.Drive(ctx, id); close(ended) }()
	select {
	case <-ended:
	case <-f.frozen:
		time.Sleep(10 * time.Second)
		wakes := time.Second + time.Duration(s.rng.IntN(20_000))*time.Millisecond // the next one is there then
		s.hanging.Add(1)
		s.hung++
		s.frozen.Go(func() {
			defer s.hanging.Add(-1)
			time.Sleep(wakes)
			close(f.thaw)
			<-ended
			if !isTakenOver(err) && !errors.Is(err, errCrash) {
				s.t.Errorf("seed %d: a driver that lost its run ended with %v", s.seed, err)
			}
		})
		return false
	}
	var away *runner.UnavailableError
	var full *NoRoomError
	switch {
	case err == nil:
		return run.State.Ended()
	case errors.Is(err, errCrash), errors.Is(err, ErrHangup), errors.As(err, &away), errors.As(err, &full):
		time.Sleep(time.Duration(s.rng.IntN(3000)) * time.Millisecond) // pods go on meanwhile
		return false
	}
	s.t.Fatalf("seed %d: Drive: %v", s.seed, err)
	return false
}

// simTuner is a Tuner whose searches last as long as their id says; some fail.
type simTuner struct{}

func (simTuner) Tune(ctx context.Context, s Search) (map[string]string, string, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.ID))
	select {
	case <-time.After(time.Duration(h.Sum32()%3000) * time.Millisecond):
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
	if h.Sum32()%7 == 0 {
		return nil, "", errors.New("all trials failed")
	}
	return map[string]string{"best-lr": "0.1"}, "best of 3 trials", nil
}

// outcome decides how long a pod runs and how it ends.
func (s *simulation) outcome(pod runner.Pod, _ int) (time.Duration, runner.Exit) {
	after := time.Duration(s.backend.rng.IntN(3000)) * time.Millisecond
	id := pod.Labels[runner.LabelExecution]
	if _, ok := s.fails[id]; !ok {
		s.fails[id] = max(0, s.backend.rng.IntN(6)-3)
	}
	if s.fails[id] > 0 {
		s.fails[id]--
		return after, runner.Exit{Cause: runner.CauseError, Code: 1}
	}
	return after, runner.Exit{Cause: runner.CauseCompleted}
}

// pipeline makes a random pipeline of one or two levels.
func (s *simulation) pipeline() *Pipeline {
	p := &Pipeline{Name: "sim", Root: "root", Components: map[string]*Component{
		"step":      {Name: "step", Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("step")}}}},
		"item step": {Name: "item step", Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("item")}}}, Inputs: itemInput},
		"no image":  {Name: "no image", Pod: &Pod{Containers: []Container{{Image: Literal("missing"), Command: Args("step")}}}},
		"list": {Name: "list", Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("list")}}},
			Outputs: Outputs{Parameters: map[string]*OutputParameter{"items": {Type: TypeList}}}},
		"search":  {Name: "search", Tune: &Tune{Image: LauncherWherry}, Outputs: Outputs{Parameters: map[string]*OutputParameter{"best-lr": {Type: TypeDouble}}}},
		"claim":   {Name: "claim", Claim: &Claim{}, Outputs: Outputs{Parameters: map[string]*OutputParameter{"name": {}}}},
		"unclaim": {Name: "unclaim", Claim: &Claim{Delete: true}, Inputs: Inputs{Parameters: map[string]*Parameter{"pvc_name": {Type: TypeString}}}},
	}}
	for _, uri := range []string{"https://sim/well", "https://sim/broken", "https://sim/full"} {
		p.Components[uri] = &Component{Name: uri, Importer: &Importer{URI: &Source{Constant: &Constant{uri}}, Reimport: s.rng.IntN(2) == 0},
			Outputs: Outputs{Artifacts: map[string]*OutputArtifact{"artifact": {}}}}
	}
	others := []string{"step", "step", "list", "claim", "https://sim/well", "https://sim/full", "https://sim/broken", "no image", "search"}
	p.Components["inner"] = &Component{Name: "inner", Graph: s.graph([]string{"step", "step", "claim"}, 4)}
	p.Components["body"] = &Component{Name: "body", Graph: s.graph([]string{"step", "with item", "inner", "loop step", "list"}, 3), Inputs: itemInput}
	p.Components["root"] = &Component{Name: "root", Graph: s.graph(append(others, "step", "inner", "loop body", "loop step", "loop body", "unclaim"), 8)}
	if s.rng.IntN(8) == 0 {
		p.Deadline = time.Duration(1+s.rng.IntN(20)) * time.Second
	}
	return p
}

// itemInput is what the component of a loop's iterations takes.
var itemInput = Inputs{Parameters: map[string]*Parameter{"item": {Type: TypeInteger}}}

// simEvaluator knows four conditions.
type simEvaluator struct{}

func (simEvaluator) Condition(text string, inputs map[string]any) (bool, error) {
	switch text {
	case "broken":
		return false, errors.New("no such key")
	case "odd":
		return odd(inputs["item"]), nil
	}
	return text == "true", nil
}

func odd(x any) bool { return strings.ContainsAny(fmt.Sprint(x), "13579") }

func (simEvaluator) Select(string, any) (any, error) { return nil, errors.New("selects nothing") }

// loops makes the task a loop over a few items.
func (s *simulation) loops(task *Task, component string) {
	items := []any{}
	for i := range s.rng.IntN(5) {
		items = append(items, int64(i))
	}
	task.Component = component
	task.Iterate = &Iterator{Items: &Source{Constant: &Constant{items}}, Input: "item", Parallelism: s.rng.IntN(3)}
}

// wire gives the i-th task of g what it takes from its loop or from an earlier task,
// which it returns; -1: none.
func (s *simulation) wire(g *Graph, task *Task, i int) int {
	needs := func(component string) int {
		for j := range i {
			if g.Tasks[fmt.Sprintf("t%d", j)].Component == component {
				task.Needs = append(task.Needs, Edge{Task: fmt.Sprintf("t%d", j), On: OnSuccess})
				return j
			}
		}
		return -1
	}
	switch {
	case task.Component == "with item":
		task.Component = "item step"
		task.Parameters = map[string]*Source{"item": {Input: "item"}}
		task.When = &Expression{Language: "sim", Text: "odd"}
	case task.Component == "unclaim":
		from := needs("claim")
		task.Parameters = map[string]*Source{"pvc_name": {Task: fmt.Sprintf("t%d", from), Output: "name"}}
		if from < 0 {
			task.Component, task.Parameters = "step", nil
		}
		return from
	case task.Iterate != nil && s.rng.IntN(2) == 0:
		from := needs("list")
		if from >= 0 {
			task.Iterate.Items = &Source{Task: fmt.Sprintf("t%d", from), Output: "items"}
		}
		return from
	}
	return -1
}

func (s *simulation) graph(components []string, most int) *Graph {
	g := &Graph{Tasks: map[string]*Task{}, FailFast: s.rng.IntN(4) == 0}
	for i := range 1 + s.rng.IntN(most) {
		task := &Task{Name: fmt.Sprintf("t%d", i), Component: components[s.rng.IntN(len(components))], Cache: s.rng.IntN(2) == 0}
		if body, ok := strings.CutPrefix(task.Component, "loop "); ok {
			s.loops(task, map[string]string{"body": "body", "step": "item step"}[body])
		}
		from := s.wire(g, task, i)
		if s.rng.IntN(5) == 0 && task.When == nil {
			task.When = &Expression{Language: "sim", Text: []string{"true", "false", "false", "broken"}[s.rng.IntN(4)]}
		}
		for j := range i {
			if s.rng.IntN(3) == 0 && j != from {
				task.Needs = append(task.Needs, Edge{Task: fmt.Sprintf("t%d", j), On: []Predicate{OnSuccess, OnSuccess, OnEnd, OnDone, OnFailure}[s.rng.IntN(5)]})
			}
		}
		if s.rng.IntN(2) == 0 {
			task.Retry = &Retry{Limit: s.rng.IntN(3), Policy: RetryAlways, Backoff: time.Duration(s.rng.IntN(2000)) * time.Millisecond, Factor: 2}
		}
		g.Tasks[task.Name] = task
	}
	return g
}

// check asserts what must hold of every ended run, whatever happened to it.
func (s *simulation) check(id string) {
	run, executions, err := s.store.LoadRun(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	bad := func(format string, args ...any) {
		s.t.Errorf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
	}
	if !run.State.Ended() {
		bad("the run is %s", run.State)
	}
	recorded := map[string]State{}
	byParent := map[int64]map[string]*Execution{}
	for _, x := range executions {
		if byParent[x.Parent] == nil {
			byParent[x.Parent] = map[string]*Execution{}
		}
		key := x.Task
		if x.Iteration >= 0 {
			key = x.Path
		}
		if byParent[x.Parent][key] != nil {
			bad("%s is there twice", x.Path)
		}
		byParent[x.Parent][key] = x
		if !x.State.Ended() {
			bad("%s is %s in an ended run", x.Path, x.State)
		}
		if n := s.store.ends[x.ID]; n != 1 {
			bad("%s was committed as ended %d times", x.Path, n)
		}
		ok := 0
		for _, a := range x.Attempts {
			recorded[a.Pod] = a.State
			if a.State == Succeeded {
				ok++
			}
			if !a.State.Ended() {
				bad("%s: attempt %d is %s", x.Path, a.Number, a.State)
			}
		}
		if x.Kind == KindContainer && run.Pipeline.Components[x.Component].Claim == nil && !x.Cached && (x.State == Succeeded) != (ok == 1) {
			bad("%s is %s with %d successful attempts", x.Path, x.State, ok)
		}
	}
	for pod, n := range s.backend.starts {
		// A pod that somebody removed before its start was on record can't be told
		// from one that never started.
		if n != 1 && s.backend.vanish == 0 {
			bad("pod %s was started %d times", pod, n)
		}
		if _, ok := recorded[pod]; !ok {
			bad("pod %s was started and is not on record", pod)
		}
	}
	s.checkStates(run, byParent, bad)
	if len(s.backend.pods) > 0 {
		bad("%d pods were left behind", len(s.backend.pods))
	}
	if len(s.store.admissions) > 0 {
		bad("%d admissions were left behind: %v", len(s.store.admissions), s.store.admissions)
	}
	if m := run.Options.MaxParallel; m > 0 && s.backend.most > m && s.store.crashIn < 0 {
		bad("%d pods ran at once, at most %d may", s.backend.most, m)
	}
}

// checkStates asserts that SKIPPED and FAILED follow from the other states.
func (s *simulation) checkStates(run *Run, byParent map[int64]map[string]*Execution, bad func(string, ...any)) {
	failed := false
	for _, siblings := range byParent {
		for name, x := range siblings {
			failed = failed || x.State == Failed
			if x.Iteration >= 0 {
				continue
			}
			task := s.taskOf(run, x, byParent)
			holds := true
			for _, e := range task.Needs {
				holds = holds && e.On.holds(siblings[e.Task].State)
			}
			if x.State == Succeeded && task.Iterate != nil && len(byParent[x.ID]) != len(itemsOf(task, siblings)) {
				bad("%s has %d iterations", name, len(byParent[x.ID]))
			}
			if task.When != nil && holds {
				isOdd := task.When.Text == "odd" && odd(x.Inputs.Parameters["item"])
				if x.State == Succeeded && task.When.Text != "true" && !isOdd {
					bad("%s is %s with the condition %s", name, x.State, task.When.Text)
				}
				holds = task.When.Text == "true" || task.When.Text == "broken" || isOdd || task.When.Text == "odd" && x.State == Skipped && x.Reason == canceledReason
				if x.State == Failed && task.When.Text == "broken" {
					continue
				}
			}
			switch {
			case x.State == Skipped && holds && !strings.Contains(x.Reason, "first failure") && x.Reason != canceledReason:
				bad("%s was skipped although all that it needs holds", name)
			case x.State != Skipped && x.State != Canceled && !holds:
				bad("%s is %s although what it needs does not hold", name, x.State)
			}
		}
	}
	if run.State == Succeeded && failed || run.State == Failed && !failed && run.Pipeline.Deadline == 0 {
		bad("the run is %s", run.State)
	}
}

// itemsOf are the items of a loop.
func itemsOf(task *Task, siblings map[string]*Execution) []any {
	items := task.Iterate.Items
	if items.Constant != nil {
		return items.Constant.Value.([]any)
	}
	list, _ := siblings[items.Task].Outputs.Parameters[items.Output].([]any)
	return list
}

func (s *simulation) taskOf(run *Run, x *Execution, byParent map[int64]map[string]*Execution) *Task {
	comp := run.Pipeline.Root
	if x.Parent != 0 {
		for _, siblings := range byParent {
			for _, parent := range siblings {
				if parent.ID == x.Parent {
					comp = parent.Component
				}
			}
		}
	}
	return run.Pipeline.Components[comp].Graph.Tasks[x.Task]
}
