package dag

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
)

var allStates = []State{Pending, Running, Suspended, Succeeded, Failed, Skipped, Canceled}

// TestVerdict is the truth table of one edge.
func TestVerdict(t *testing.T) {
	const w, r, s = "wait", "ready", "skip"
	for on, want := range map[Predicate][]string{
		//         PENDING RUNNING SUSPENDED SUCCEEDED FAILED SKIPPED CANCELED
		OnSuccess: {w, w, w, r, s, s, s},
		OnEnd:     {w, w, w, r, r, r, r},
		OnDone:    {w, w, w, r, s, r, s},
		OnFailure: {w, w, w, s, r, s, s},
	} {
		for i, state := range allStates {
			sc := scopeOf([]Edge{{Task: "a", On: on}}, state)
			v, why := sc.verdict(sc.nodes["t"])
			if got := []string{w, r, s}[v]; got != want[i] || (got == s) != (why != "") {
				t.Errorf("on %q of %s: %s (%s), want %s", on, state, got, why, want[i])
			}
		}
	}
	for state, want := range map[State]string{Failed: "a failed", Skipped: "a was skipped", Canceled: "a was canceled"} {
		sc := scopeOf([]Edge{{Task: "a"}}, state)
		if _, why := sc.verdict(sc.nodes["t"]); why != want {
			t.Errorf("%s: %q, want %q", state, why, want)
		}
	}
	sc := scopeOf([]Edge{{Task: "a", On: OnFailure}}, Succeeded)
	if _, why := sc.verdict(sc.nodes["t"]); why != "a ended SUCCEEDED" {
		t.Errorf("a success where a failure is waited for: %q", why)
	}
}

// scopeOf is the scope of a task t with edges to a, b, … in these states.
func scopeOf(edges []Edge, states ...State) *scope {
	s := &scope{comp: &Component{Graph: &Graph{}}, nodes: map[string]*node{}}
	for i, state := range states {
		name := string(rune('a' + i))
		s.nodes[name] = &node{task: &Task{Name: name}, exec: &Execution{State: state}}
		s.order = append(s.order, s.nodes[name])
		if state.Ended() {
			s.ended(state)
		}
	}
	t := &node{task: &Task{Name: "t", Needs: edges}, exec: &Execution{State: Pending}}
	s.nodes["t"], s.order = t, append(s.order, t)
	return s
}

func TestVerdictOfMany(t *testing.T) {
	both := []Edge{{Task: "a"}, {Task: "b", On: OnEnd}}
	for _, tt := range []struct {
		name     string
		edges    []Edge
		states   []State
		failFast bool
		want     verdict
		why      string
	}{
		{"nothing to wait for", nil, nil, false, ready, ""},
		{"both hold", both, []State{Succeeded, Failed}, false, ready, ""},
		{"one runs", both, []State{Succeeded, Running}, false, wait, ""},
		{"one can't hold any more, the other runs", both, []State{Failed, Running}, false, skip, "a failed"},
		{"the other one can't", []Edge{{Task: "a"}, {Task: "b"}}, []State{Running, Skipped}, false, skip, "b was skipped"},
		{"fail fast", []Edge{{Task: "a"}}, []State{Succeeded, Failed}, true, skip, "b failed, and the graph stops at the first failure"},
		{"fail fast, still waits", []Edge{{Task: "a"}}, []State{Running, Failed}, true, wait, ""},
		{"not fail fast", []Edge{{Task: "a"}}, []State{Succeeded, Failed}, false, ready, ""},
	} {
		s := scopeOf(tt.edges, tt.states...)
		s.comp.Graph.FailFast = tt.failFast
		if v, why := s.verdict(s.nodes["t"]); v != tt.want || why != tt.why {
			t.Errorf("%s: %v %q, want %v %q", tt.name, v, why, tt.want, tt.why)
		}
	}
}

func TestResult(t *testing.T) {
	for _, tt := range []struct {
		states []State
		want   State
		why    string
	}{
		{nil, Succeeded, ""},
		{[]State{Succeeded, Skipped}, Succeeded, ""},
		{[]State{Succeeded, Failed, Skipped, Failed}, Failed, `task "b" failed: broke`},
		{[]State{Failed, Canceled}, Canceled, "the run was canceled"},
	} {
		s := scopeOf(nil, tt.states...)
		s.order = s.order[:len(tt.states)]
		for _, n := range s.order {
			n.exec.Error = "broke"
		}
		if got, why := s.result(); got != tt.want || why != tt.why {
			t.Errorf("%v: %s %q, want %s %q", tt.states, got, why, tt.want, tt.why)
		}
	}
}

func TestTaskEdges(t *testing.T) {
	task := &Task{
		Needs:      []Edge{{Task: "load", On: OnEnd}, {Task: "load", On: OnDone}},
		Parameters: map[string]*Source{"a": {Concat: []*Source{{Task: "x", Output: "o"}, {Constant: &Constant{1}}}}, "b": {Task: "load", Output: "o"}, "c": {Status: "z"}},
		Artifacts:  map[string]*Source{"d": {Task: "y", Output: "o"}},
		Iterate:    &Iterator{Items: &Source{Task: "list", Output: "o"}},
	}
	if got, want := fmt.Sprint(task.dependencies()), "[list load x y z]"; got != want {
		t.Errorf("dependencies %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(task.edges()), "[{load end} {load succeeded} {list } {x } {y } {z }]"; got != want {
		t.Errorf("edges %s, want %s", got, want)
	}
}

func TestTopological(t *testing.T) {
	g := &Graph{Tasks: map[string]*Task{}}
	for i, s := range strings.Fields("evaluate<-train,load train<-features load features<-load report<-evaluate first") {
		name, needs, _ := strings.Cut(s, "<-")
		task := &Task{Name: name, Pos: source.Pos{Line: 10 + i}}
		if name == "first" {
			task.Pos.Line = 1
		}
		for _, dep := range strings.FieldsFunc(needs, func(r rune) bool { return r == ',' }) {
			task.Needs = append(task.Needs, Edge{Task: dep})
		}
		g.Tasks[name] = task
	}
	for range 20 { // maps have no order
		var names []string
		for _, task := range topological(g) {
			names = append(names, task.Name)
		}
		if got, want := strings.Join(names, " "), "first load features train evaluate report"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	when, loop := &Expression{}, &Iterator{}
	for _, tt := range []struct {
		task Task
		comp Component
		want Kind
	}{
		{Task{}, Component{Pod: &Pod{}}, KindContainer},
		{Task{When: when}, Component{Pod: &Pod{}}, KindContainer},
		{Task{}, Component{Importer: &Importer{}}, KindImporter},
		{Task{}, Component{Graph: &Graph{}}, KindDAG},
		{Task{When: when}, Component{Graph: &Graph{}}, KindCondition},
		{Task{Iterate: loop, When: when}, Component{Graph: &Graph{}}, KindLoop},
	} {
		if got := kindOf(&tt.task, &tt.comp); got != tt.want {
			t.Errorf("%+v of %+v: %s, want %s", tt.task, tt.comp, got, tt.want)
		}
	}
}

func TestStates(t *testing.T) {
	for _, s := range append(allStates, Canceling, Lost) {
		want := s == Succeeded || s == Failed || s == Skipped || s == Canceled || s == Lost
		if s.Ended() != want {
			t.Errorf("%s ended: %v", s, s.Ended())
		}
	}
}

func TestNewPlan(t *testing.T) {
	p := small()
	p.Notes = []string{"inferred"}
	train := p.Components["train"].Pod
	p.Components["train"].Pod = &Pod{Containers: []Container{{
		Image: Text{{Text: "py:"}, {Ref: &Ref{Kind: RefInputValue, Name: "tag"}}}, Command: Args("python3", "train.py"),
		Args: []Arg{{Text: Text{{Text: "--n="}, {Ref: &Ref{Kind: RefInputValue, Name: "rows"}}}}},
	}, train.Containers[0]}}
	p.Components["inner"] = &Component{Name: "inner", Graph: &Graph{Tasks: map[string]*Task{
		"b": {Name: "b", Component: "load", Pos: line(2), Needs: []Edge{{Task: "a"}}}, "a": {Name: "a", Component: "load", Pos: line(1)},
	}}}
	p.Components["root"].Graph.Tasks["more"] = &Task{Name: "more", Component: "inner", Pos: line(15), Needs: []Edge{{Task: "load"}}}
	p.Components["root"].Graph.Tasks["train"].Cache = true
	golden(t, "plan", NewPlan(&Run{Pipeline: p, Parameters: map[string]any{"size": int64(7)}}))

	for mode, want := range map[CacheMode]string{CacheFormat: "false true", CacheOn: "true true", CacheOff: "false false"} {
		p := small()
		p.Components["root"].Graph.Tasks["train"].Cache = true
		plan := NewPlan(&Run{Pipeline: p, Options: RunOptions{Cache: mode}})
		if got := fmt.Sprint(plan.Tasks[0].Cache, " ", plan.Tasks[1].Cache); got != want {
			t.Errorf("cache %q: %s, want %s", mode, got, want)
		}
		if plan.Notes == nil || plan.Tasks[0].After == nil {
			t.Error("an empty list is null in JSON")
		}
	}
}

// TestNewPlanIsBounded asserts that graphs that multiply, or contain themselves,
// end.
func TestNewPlanIsBounded(t *testing.T) {
	p := &Pipeline{Root: "c0", Components: map[string]*Component{"leaf": {Pod: &Pod{Containers: []Container{{}}}}}}
	for i := range 60 {
		next := fmt.Sprintf("c%d", (i+1)%60)
		p.Components[fmt.Sprintf("c%d", i)] = &Component{Graph: &Graph{Tasks: map[string]*Task{
			"a": {Name: "a", Component: next}, "b": {Name: "b", Component: next}, "c": {Name: "c", Component: "leaf"},
		}}}
	}
	if n := len(NewPlan(&Run{Pipeline: p}).Tasks); n != maxPlanned {
		t.Errorf("%d tasks, want %d", n, maxPlanned)
	}
}
