package dag

import (
	"context"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

// layering is the staged engine with a builder.
type layering struct{ *scripted }

func (layering) Build(_ context.Context, b runner.BuildSpec, _ func(string)) (runner.Image, error) {
	return runner.Image{Name: b.Name, Ref: b.Base + "+" + strings.Join(b.Layer.Installs[0], " "), Identity: b.Derivation}, nil
}

// TestDebug: the pod of a debug session is that of the step, in the image with its
// layers, under a name of its own; what waits has the step's command as a script.
func TestDebug(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("load train<-load")
		p.Components["train"] = &Component{
			Name: "train", Inputs: Inputs{Parameters: map[string]*Parameter{"n": {Type: TypeInteger}}},
			Pod: &Pod{Containers: []Container{
				{Name: "prepare", Role: runner.Init, Image: Literal("img"), Command: Args("prepare")},
				{
					Name: "main", Image: Literal("img"), Layer: &Layer{Installs: [][]string{{"six"}}, Words: 1},
					Command: []Arg{{Text: Literal("pip")}, {Text: Literal("fit")}, {Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: "n"}}}}, {Text: Literal("it's")}},
					Env:     []EnvVar{{Name: "LEVEL", Value: Literal("2")}},
				},
				{Name: "second", Image: Literal("img"), Command: Args("second"), After: []string{"main"}},
			}},
		}
		task := p.Components["root"].Graph.Tasks["train"]
		task.Component, task.Parameters = "train", map[string]*Source{"n": {Constant: &Constant{Value: int64(7)}}}
		s.exits(func(task string, _ int) runner.Exit {
			if task == "train" {
				return exit1
			}
			return exit0
		})
		s.create("r1", p)
		d := s.driver("r1")
		d.Backend = layering{s.backend}
		if _, _, err := d.Drive(s.t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		run, executions, err := s.store.LoadRun(s.t.Context(), "r1")
		if err != nil {
			t.Fatal(err)
		}
		x := executions[1]
		got, err := d.Debug(s.t.Context(), run, executions, x, "abc", 5, true)
		if err != nil {
			t.Fatal(err)
		}
		pod := got.Pod
		if pod.Name != "wherry-h-debug-abc" || pod.Labels[runner.LabelRun] != "" || pod.Labels[runner.LabelDebug] != "abc" || len(pod.Outputs) > 0 {
			t.Errorf("pod %s, labels %v, outputs %v", pod.Name, pod.Labels, pod.Outputs)
		}
		if len(pod.Containers) != 2 || pod.Containers[0].Role != runner.Init || got.Container != "main" {
			t.Fatalf("containers %+v", pod.Containers)
		}
		c := pod.Containers[1]
		if c.Image != "img+six" || c.Command[0] != "sh" || c.Env[0] != (runner.EnvVar{Name: "LEVEL", Value: "2"}) {
			t.Errorf("container %+v", c)
		}
		script := string(pod.Volumes[len(pod.Volumes)-1].Files["step.sh"].Data)
		if !strings.HasSuffix(script, `exec 'fit' '7' 'it'\''s'`+"\n") || !strings.Contains(script, got.Outputs) {
			t.Errorf("script %s", script)
		}
		if strings.HasPrefix(got.Outputs, attemptDir(s.home, "r1", x.ID, 1)+"/") || got.Outputs == attemptDir(s.home, "r1", x.ID, 1) {
			t.Errorf("outputs go to the attempt's own directory %s", got.Outputs)
		}
		own, err := d.Debug(s.t.Context(), run, executions, x, "def", 6, false)
		if err != nil || strings.Join(own.Pod.Containers[1].Command, " ") != "fit 7 it's" || len(own.Pod.Containers) != 3 {
			t.Errorf("%+v, %v", own, err)
		}
		if len(s.backend.starts) != 2 {
			t.Errorf("started %v", s.backend.starts)
		}
		if _, err := d.Debug(s.t.Context(), run, executions, &Execution{ID: 99}, "ghi", 7, true); err == nil {
			t.Error("an execution that is not there")
		}
	})
}
