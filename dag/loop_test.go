package dag

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

// looped is plan -> loop(square) -> total, where each square hands on its item
// and the loop's list is the run's output. items is what plan hands on.
func looped(parallel int) *Pipeline {
	p := steps("plan loop<-plan total<-loop")
	root := p.Components["root"]
	p.Components["plan"] = &Component{
		Name: "plan", Outputs: Outputs{Parameters: map[string]*OutputParameter{"items": {Type: TypeList}}},
		Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("plan")}}},
	}
	p.Components["square"] = &Component{
		Name:    "square",
		Inputs:  Inputs{Parameters: map[string]*Parameter{"x": {Type: TypeString}}},
		Outputs: Outputs{Parameters: map[string]*OutputParameter{"y": {Type: TypeString}}},
		Pod:     &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("square"), Args: []Arg{{Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}}}}}}},
	}
	p.Components["body"] = &Component{
		Name:    "body",
		Inputs:  Inputs{Parameters: map[string]*Parameter{"item": {}, "list": {Type: TypeList}}},
		Outputs: Outputs{Parameters: map[string]*OutputParameter{"ys": {Type: TypeList, Select: []*Source{{Task: "square", Output: "y"}}}}},
		Graph: &Graph{Tasks: map[string]*Task{"square": {
			Name: "square", Component: "square", Parameters: map[string]*Source{"x": {Input: "item"}},
		}}},
	}
	tasks := root.Graph.Tasks
	tasks["plan"].Component = "plan"
	tasks["loop"].Component = "body"
	tasks["loop"].Parameters = map[string]*Source{"list": {Task: "plan", Output: "items"}}
	tasks["loop"].Iterate = &Iterator{Items: &Source{Task: "plan", Output: "items"}, Input: "item", Parallelism: parallel}
	root.Outputs.Parameters = map[string]*OutputParameter{"all": {Select: []*Source{{Task: "loop", Output: "ys"}}}}
	return p
}

// plays lets plan hand on items, and each square its own argument.
func (s *stage) plans(items string) {
	s.backend.outputs = func(pod runner.Pod) map[string]string {
		files := map[string]string{"parameter:0:items": items}
		if len(pod.Containers[0].Args) > 0 {
			files["parameter:0:y"] = "<" + pod.Containers[0].Args[0] + ">"
		}
		return files
	}
}

func TestLoopOverUpstreamList(t *testing.T) {
	play(t, func(s *stage) {
		s.plans(`["a", 7, {"k": [true]}]`)
		s.create("r1", looped(0))
		start := time.Now()
		run, got := s.drive("r1")
		want := []any{"<a>", "<7>", `<{"k":[true]}>`}
		if run.State != Succeeded || !cmp.Equal(run.Outputs.Parameters["all"], any(want)) {
			s.t.Fatalf("run %s %q, outputs %v, want %v\n%s", run.State, run.Error, run.Outputs.Parameters, want, states(got))
		}
		for path, kind := range map[string]Kind{"loop": KindLoop, "loop[0]": KindIteration, "loop[2]/square": KindContainer} {
			if x := got[path]; x == nil || x.Kind != kind || x.State != Succeeded {
				s.t.Errorf("%s is %+v, want a %s that SUCCEEDED", path, x, kind)
			}
		}
		if in := got["loop[1]"].Inputs.Parameters; !cmp.Equal(in, map[string]any{"item": int64(7)}) && !cmp.Equal(in, map[string]any{"item": 7.0}) {
			s.t.Errorf("loop[1] is stored with %v: the list belongs to the loop alone", in)
		}
		if d := time.Since(start); d > 3500*time.Millisecond {
			s.t.Errorf("three iterations side by side took %s", d)
		}
		s.clean()
	})
}

// A loop whose body is a container itself gives each iteration the loop's other
// inputs too.
func TestLoopOverContainer(t *testing.T) {
	play(t, func(s *stage) {
		s.plans(`["a", "b"]`)
		p := looped(0)
		delete(p.Components, "body")
		square := p.Components["square"]
		square.Inputs.Parameters["same"] = &Parameter{Type: TypeInteger}
		square.Pod.Containers[0].Args[0].Text = Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}, {Ref: &Ref{Kind: RefInputValue, Name: "same"}}}
		loop := p.Components["root"].Graph.Tasks["loop"]
		loop.Component, loop.Iterate.Input = "square", "x"
		loop.Parameters = map[string]*Source{"same": {Constant: &Constant{int64(5)}}}
		p.Components["root"].Outputs.Parameters["all"].Select[0].Output = "y"
		s.create("r1", p)
		run, got := s.drive("r1")
		if want := any([]any{"<a5>", "<b5>"}); run.State != Succeeded || !cmp.Equal(run.Outputs.Parameters["all"], want) {
			s.t.Errorf("run %s %q, outputs %v, want %v\n%s", run.State, run.Error, run.Outputs.Parameters, want, states(got))
		}
		if in := jsonText(got["loop[1]"].Inputs.Parameters); in != `{"same":5,"x":"b"}` {
			s.t.Errorf("loop[1] is stored with %s: its container sees both", in)
		}
	})
}

func TestLoopOverNothing(t *testing.T) {
	play(t, func(s *stage) {
		s.plans(`[]`)
		s.create("r1", looped(0))
		run, got := s.drive("r1")
		if run.State != Succeeded || got["total"].State != Succeeded || !cmp.Equal(run.Outputs.Parameters["all"], any([]any{})) {
			s.t.Errorf("run %s, outputs %v\n%s", run.State, run.Outputs.Parameters, states(got))
		}
	})
}

func TestLoopParallelism(t *testing.T) {
	play(t, func(s *stage) {
		s.plans(`[1, 2, 3, 4, 5]`)
		s.create("r1", looped(2))
		if run, got := s.drive("r1"); run.State != Succeeded || s.backend.most != 2 {
			s.t.Errorf("run %s, %d ran at once, want 2\n%s", run.State, s.backend.most, states(got))
		}
	})
}

func TestLoopIterationFails(t *testing.T) {
	for limit, want := range map[string]string{
		"[1, 2]":    `task "loop" failed: iteration 0 failed: task "square" failed: exit code 1`,
		"[1, 1, 2]": `task "loop" failed: 2 of 3 iterations failed; iteration 0: task "square" failed: exit code 1`,
	} {
		play(t, func(s *stage) {
			s.plans(limit)
			s.backend.exit = func(pod runner.Pod, _ int) (time.Duration, runner.Exit) {
				if len(pod.Containers[0].Args) > 0 && pod.Containers[0].Args[0] == "1" {
					return time.Second, exit1
				}
				return time.Second, exit0
			}
			s.create("r1", looped(0))
			run, got := s.drive("r1")
			if run.Error != want || got["total"].State != Skipped {
				s.t.Errorf("%s: run %q, want %q\n%s", limit, run.Error, want, states(got))
			}
		})
	}
}

func TestLoopItemsAreNoList(t *testing.T) {
	play(t, func(s *stage) {
		p := looped(0)
		p.Components["plan"].Outputs.Parameters["items"].Type = TypeAny
		p.Components["body"].Inputs.Parameters["list"].Type = TypeAny
		s.plans(`{"a": 1}`)
		s.create("r1", p)
		if _, got := s.drive("r1"); got["loop"].Error != `its items must be a JSON list, not {"a":1}` {
			s.t.Errorf("got %q", got["loop"].Error)
		}
	})
}

// TestLoopCollectsFlat asserts the backend's rule for loops in loops: one list.
func TestLoopCollectsFlat(t *testing.T) {
	play(t, func(s *stage) {
		p := looped(0)
		p.Components["outer"] = &Component{
			Name: "outer", Inputs: Inputs{Parameters: map[string]*Parameter{"row": {Type: TypeList}}},
			Outputs: Outputs{Parameters: map[string]*OutputParameter{"ys": {Select: []*Source{{Task: "inner", Output: "ys"}}}}},
			Graph: &Graph{Tasks: map[string]*Task{"inner": {
				Name: "inner", Component: "body", Parameters: map[string]*Source{"list": {Input: "row"}},
				Iterate: &Iterator{Items: &Source{Input: "row"}, Input: "item"},
			}}},
		}
		loop := p.Components["root"].Graph.Tasks["loop"]
		loop.Component, loop.Parameters, loop.Iterate.Input = "outer", nil, "row"
		s.plans(`[["a", "b"], [], ["c"]]`)
		s.create("r1", p)
		run, got := s.drive("r1")
		if want := []any{"<a>", "<b>", "<c>"}; !cmp.Equal(run.Outputs.Parameters["all"], any(want)) {
			s.t.Errorf("outputs %v, want %v\n%s", run.Outputs.Parameters, want, states(got))
		}
		if got["loop[2]/inner[0]/square"] == nil {
			s.t.Errorf("no loop[2]/inner[0]/square in\n%s", states(got))
		}
	})
}

// TestLoopIsSmall asserts that a loop over very many items holds few of them at
// once, and ends soon after a cancelation.
func TestLoopIsSmall(t *testing.T) {
	play(t, func(s *stage) {
		s.plans("[" + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + "]")
		s.create("r1", looped(0))
		ctx, stop := context.WithCancel(s.t.Context())
		time.AfterFunc(5*time.Second, stop)
		start := time.Now()
		run, got, err := s.driveCtx(ctx, "r1")
		if err != nil || run.State != Canceled {
			s.t.Fatalf("run %s, %v", run.State, err)
		}
		if d := time.Since(start); d > 20*time.Second {
			s.t.Errorf("it ended after %s", d)
		}
		if len(got) > 2*maxOpenIterations+200 {
			s.t.Errorf("%d executions", len(got))
		}
		if st := got["loop"].State; st != Canceled {
			s.t.Errorf("the loop is %s", st)
		}
		s.clean()
	})
}

func TestLoopResumes(t *testing.T) {
	for hangup := range 6 {
		play(t, func(s *stage) {
			s.plans(`[1, 2, 3, 4]`)
			s.create("r1", looped(2))
			ctx, stop := context.WithCancelCause(s.t.Context())
			time.AfterFunc(time.Duration(hangup)*700*time.Millisecond, func() { stop(ErrHangup) })
			if _, _, err := s.driveCtx(ctx, "r1"); !errors.Is(err, ErrHangup) {
				s.t.Fatal(err)
			}
			run, got := s.drive("r1")
			if want := []any{"<1>", "<2>", "<3>", "<4>"}; run.State != Succeeded || !cmp.Equal(run.Outputs.Parameters["all"], any(want)) {
				s.t.Errorf("run %s, outputs %v\n%s", run.State, run.Outputs.Parameters, states(got))
			}
			for pod, n := range s.backend.starts {
				if n != 1 {
					s.t.Errorf("%s was started %d times", pod, n)
				}
			}
		})
	}
}

// letters is an evaluator of one-word expressions.
type letters struct{}

func (letters) Condition(text string, inputs map[string]any) (bool, error) {
	x, ok := inputs[text]
	if !ok {
		return false, fmt.Errorf("no such key: %s", text)
	}
	return x == true, nil
}

func (letters) Select(text string, value any) (any, error) {
	x, ok := value.(map[string]any)[text]
	if !ok {
		return nil, fmt.Errorf("no such key: %s", text)
	}
	return x, nil
}

func TestConditions(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("yes no broken after<-no either")
		step := p.Components["step"]
		step.Inputs.Parameters = map[string]*Parameter{"flag": {Type: TypeBoolean, Optional: true}}
		tasks := p.Components["root"].Graph.Tasks
		for name, value := range map[string]any{"yes": true, "no": false, "broken": nil} {
			tasks[name].When = &Expression{Language: "letters", Text: "flag"}
			tasks[name].Parameters = map[string]*Source{"flag": {Constant: &Constant{map[string]any{"f": value}}, Select: &Expression{Language: "letters", Text: "f"}}}
		}
		delete(tasks["broken"].Parameters, "flag")
		s.create("r1", p)
		d := s.driver("r1")
		d.Evaluators = map[string]Evaluator{"letters": letters{}}
		run, executions, err := d.Drive(s.t.Context(), "r1")
		if err != nil {
			s.t.Fatal(err)
		}
		got := map[string]*Execution{}
		for _, x := range executions {
			got[x.Path] = x
		}
		want := `after SKIPPED (no was skipped)
broken FAILED (condition flag: no such key: flag)
either SUCCEEDED (caching is off for this task)
no SKIPPED (its condition is false: flag)
yes SUCCEEDED (caching is off for this task)`
		if states(got) != want || run.State != Failed {
			s.t.Errorf("run %s, got\n%s\nwant\n%s", run.State, states(got), want)
		}
	})
}

func TestFinalStatus(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("good bad<-good report<-bad:end")
		p.Components["report"] = &Component{
			Name: "report", Inputs: Inputs{Parameters: map[string]*Parameter{"good": {Type: TypeFinal}, "bad": {Type: TypeFinal}}},
			Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("report")}}},
		}
		task := p.Components["root"].Graph.Tasks["report"]
		task.Component = "report"
		task.Parameters = map[string]*Source{"good": {Status: "good"}, "bad": {Status: "bad"}}
		task.Needs = append(task.Needs, Edge{Task: "good", On: OnEnd})
		s.exits(func(task string, _ int) runner.Exit {
			if task == "bad" {
				return runner.Exit{Cause: runner.CauseError, Code: 3}
			}
			return exit0
		})
		s.create("r1", p)
		run, got := s.drive("r1")
		want := map[string]any{
			"good": map[string]any{"state": "COMPLETE", "pipelineJobResourceName": "steps-r1", "pipelineTaskName": "good"},
			"bad": map[string]any{
				"state": "FAILED", "pipelineJobResourceName": "steps-r1", "pipelineTaskName": "bad",
				"error": map[string]any{"code": 3.0, "message": "exit code 3"},
			},
		}
		if diff := cmp.Diff(want, got["report"].Inputs.Parameters); diff != "" || run.State != Failed {
			s.t.Errorf("run %s: %s", run.State, diff)
		}
	})
}

func TestDeadlineOfRun(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		play(t, func(s *stage) {
			s.lasts(time.Hour)
			p := steps("long after<-long")
			p.Deadline = 3 * time.Second
			s.create("r1", p)
			if resumed {
				ctx, stop := context.WithCancelCause(s.t.Context())
				time.AfterFunc(time.Second, func() { stop(ErrHangup) })
				_, _, _ = s.driveCtx(ctx, "r1")
				time.Sleep(time.Minute)
			}
			run, got := s.drive("r1")
			if run.State != Failed || run.Error != "stopped: it ran longer than its limit of 3s" || got["after"].State != Skipped {
				s.t.Errorf("run %s %q\n%s", run.State, run.Error, states(got))
			}
			s.clean()
		})
	}
}

// TestCollectsOfRecursion: a component that hands on its own output, from a task of
// itself or else from a loop, ends the search.
func TestCollectsOfRecursion(t *testing.T) {
	again := &Component{Name: "again", Graph: &Graph{Tasks: map[string]*Task{
		"again": {Name: "again", Component: "again"},
		"each":  {Name: "each", Component: "pod", Iterate: &Iterator{}},
	}}, Outputs: Outputs{Parameters: map[string]*OutputParameter{
		"self": {Select: []*Source{{Task: "again", Output: "self"}}},
		"list": {Select: []*Source{{Task: "again", Output: "list"}, {Task: "each", Output: "x"}}},
	}}}
	p := &Pipeline{Components: map[string]*Component{"again": again, "pod": {Name: "pod"}}}
	if p.collects(again, "self") {
		t.Error("an output that comes from nowhere comes from a loop")
	}
	if !p.collects(again, "list") {
		t.Error("an output of a loop does not come from one")
	}
}
