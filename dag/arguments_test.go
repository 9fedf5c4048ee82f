package dag

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

// longPod builds the pod of a component with one input parameter.
func longPod(value any, c Container) (runner.Pod, error) {
	c.Image = Literal("img")
	comp := &Component{Name: "train", Inputs: Inputs{Parameters: map[string]*Parameter{"text": {}, "rate": {}}}, Pod: &Pod{Executor: true, Containers: []Container{c}}}
	n := &node{task: &Task{}, comp: comp, exec: &Execution{ID: 7, Inputs: Values{Parameters: map[string]any{"text": value, "rate": 0.1}}}, image: make([]resolved, 1)}
	return buildPod(&Run{ID: "r", Pipeline: &Pipeline{}}, n, 1, "/home/w", "h", nil)
}

func literals(words ...string) []Arg {
	var out []Arg
	for _, w := range words {
		out = append(out, Arg{Text: Literal(w)})
	}
	return out
}

func TestLongArguments(t *testing.T) {
	text := []Arg{{Text: Literal("--text")}, {Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: "text"}}}}}
	all := []Arg{{Text: Literal("--executor_input")}, {Text: Text{{Ref: &Ref{Kind: RefExecutorInput}}}}}
	if _, err := longPod(strings.Repeat("x", maxArgument-1), Container{Command: literals("train"), Args: text}); err != nil {
		t.Errorf("the longest that fits: %v", err)
	}
	for name, tt := range map[string]struct {
		value any
		c     Container
		want  string
	}{
		"an argument":   {strings.Repeat("x", maxArgument), Container{Command: literals("train"), Args: text}, `argument 2 of the command has 131073 bytes, and Linux takes at most 131072: input parameter "text" has 131072 of them`},
		"in other JSON": {map[string]any{"a": strings.Repeat("<", 1<<20)}, Container{Command: literals("train"), Args: all}, `input parameter "text" has`},
		"a variable": {strings.Repeat("x", maxArgument), Container{Command: literals("train"), Python: &Python{Module: "m"}, Env: []EnvVar{{Name: "TEXT", Value: text[1].Text}}},
			`variable TEXT has 131078 bytes, and Linux takes at most 131072: input parameter "text"`},
		"all together": {strings.Repeat("x", 120<<10), Container{Command: literals("train"), Args: []Arg{text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1], text[1]}},
			`the command with its variables has 22`},
	} {
		_, err := longPod(tt.value, tt.c)
		e, ok := err.(*tooLongError)
		if !ok || !strings.Contains(err.Error(), tt.want) || e.Hint() == "" {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// The SDK's Python components get what is too long in a file, whole; what the
// command does before them stays.
func TestLongArgumentsOfPython(t *testing.T) {
	value := strings.Repeat("é\n'\"{{$}}", 1<<19)
	args := append(literals("--executor_input"), Arg{Text: Text{{Ref: &Ref{Kind: RefExecutorInput}}}})
	c := Container{
		Command: literals("sh", "-c", "pip", "sh", "-ec", "bootstrap", "def f(): '<&>'"), Args: args,
		Layer: &Layer{Installs: [][]string{{"six"}}, Words: 3}, Python: &Python{Word: 3, Module: "kfp.dsl.executor_main", Source: true},
	}
	pod, err := longPod(value, c)
	if err != nil {
		t.Fatal(err)
	}
	got := pod.Containers[0]
	const file = "/home/w/runs/r/7/1.arguments-main/arguments.json"
	if diff := cmp.Diff([]string{"python3", "-c", pythonStarter, file}, append(got.Command, got.Args...)); diff != "" {
		t.Errorf("%s", diff)
	}
	v, m := pod.Volumes[len(pod.Volumes)-1], got.Mounts[len(got.Mounts)-1]
	if m.Volume != v.Name || m.Path+"/"+argumentsFile != file {
		t.Errorf("%+v", m)
	}
	var start struct {
		Module, Source string
		Arguments      []string
	}
	if err := json.Unmarshal(v.Files[argumentsFile].Data, &start); err != nil {
		t.Fatal(err)
	}
	var input struct {
		Inputs struct{ ParameterValues map[string]any }
	}
	if err := json.Unmarshal([]byte(start.Arguments[1]), &input); err != nil || input.Inputs.ParameterValues["text"] != value {
		t.Errorf("the value is not whole: %v", err)
	}
	if start.Module != "kfp.dsl.executor_main" || start.Source != "def f(): '<&>'" || start.Arguments[0] != "--executor_input" {
		t.Errorf("%q %q %q", start.Module, start.Source, start.Arguments[0])
	}
	if pod, err = longPod("short", c); err != nil || len(pod.Volumes) != 1 || pod.Containers[0].Command[0] != "sh" {
		t.Errorf("what fits goes as it is written: %v %+v", err, pod.Containers)
	}
	c.Layer = nil
	if pod, err = longPod(value, c); err != nil || !cmp.Equal(pod.Containers[0].Command[:4], []string{"sh", "-c", "pip", "python3"}) {
		t.Errorf("--no-layers: %v %q", err, pod.Containers[0].Command[:4])
	}
}
