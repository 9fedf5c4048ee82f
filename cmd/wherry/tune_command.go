package main

import (
	"os"
	"regexp"
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/tuner"
)

var braced = regexp.MustCompile(`\{([A-Za-z_][\w.-]*)\}`)

// commandPipeline is a pipeline of one container that runs a command, in which {name}
// is the value of a parameter. On the process backend it runs in the current folder.
func commandPipeline(words []string, parameters []tuner.Parameter, f *runFlags, image string) (*loaded, error) {
	if image == "" {
		if f.backend != "process" {
			return nil, &usageError{msg: "a command needs an image to run in", mend: "--image python:3.11, or --backend process for a command of this machine"}
		}
		image = "none"
		cwd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		words = append([]string{"sh", "-c", `cd "$0" && exec "$@"`, cwd}, words...)
	}
	inputs := dag.Inputs{Parameters: map[string]*dag.Parameter{}}
	task := &dag.Task{Name: "trial", Component: "command", Parameters: map[string]*dag.Source{}}
	for i := range parameters {
		name := parameters[i].Name
		inputs.Parameters[name] = &dag.Parameter{Optional: parameters[i].When != nil}
		task.Parameters[name] = &dag.Source{Input: name}
	}
	container := dag.Container{Image: dag.Literal(image)}
	for _, w := range words {
		container.Command = append(container.Command, dag.Arg{Text: fill(w, parameters)})
	}
	p := &dag.Pipeline{
		Name: "command", Format: dag.FormatPipeline, Root: "root",
		Components: map[string]*dag.Component{
			"root":    {Name: "root", Inputs: inputs, Graph: &dag.Graph{Tasks: map[string]*dag.Task{task.Name: task}}},
			"command": {Name: "command", Inputs: inputs, Pod: &dag.Pod{Containers: []dag.Container{container}}},
		},
	}
	file := &source.File{Name: "command"}
	return &loaded{file: file, pipeline: p}, dag.Validate(p, file)
}

// fill turns the {name} of parameters into references; what names none stays as it is.
func fill(word string, parameters []tuner.Parameter) dag.Text {
	var out dag.Text
	last := 0
	for _, m := range braced.FindAllStringSubmatchIndex(word, -1) {
		name := word[m[2]:m[3]]
		if !slices.ContainsFunc(parameters, func(p tuner.Parameter) bool { return p.Name == name }) {
			continue
		}
		if m[0] > last {
			out = append(out, dag.Part{Text: word[last:m[0]]})
		}
		out = append(out, dag.Part{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: name}})
		last = m[1]
	}
	if last < len(word) {
		out = append(out, dag.Part{Text: word[last:]})
	}
	return out
}
