package dag

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// resolveInputs returns the values of a task's inputs when all that it waits for
// has ended. What has no value is absent, so that the component's own default
// holds; of a loop, what the iterations get one by one is absent too.
func (s *scope) resolveInputs(n *node) (Values, error) {
	if s.loop != nil {
		return s.iterationInputs(n)
	}
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for _, name := range sortedKeys(n.comp.Inputs.Parameters) {
		if n.task.perItem(name) {
			continue
		}
		x, ok, err := s.input(n, name)
		if err != nil {
			return v, fmt.Errorf("input parameter %q %w", name, err)
		}
		if ok {
			v.Parameters[name] = x
		}
	}
	for _, name := range sortedKeys(n.comp.Inputs.Artifacts) {
		if n.task.perItem(name) {
			continue
		}
		port := n.comp.Inputs.Artifacts[name]
		list, ok := s.artifacts(n.task.Artifacts[name])
		if !ok || len(list) == 0 && !port.List {
			if !port.Optional {
				return v, fmt.Errorf("input artifact %q has no value", name)
			}
			continue
		}
		v.Artifacts[name] = list
	}
	return v, nil
}

// perItem reports whether an input has another value in each iteration.
func (t *Task) perItem(input string) bool {
	if t.Iterate == nil {
		return false
	}
	src := t.Parameters[input]
	return input == t.Iterate.Input || src != nil && src.usesItem()
}

// input returns the value of an input parameter as its type has it, and whether
// there is one.
func (s *scope) input(n *node, name string) (any, bool, error) {
	p := n.comp.Inputs.Parameters[name]
	x, ok, err := s.value(n, n.task.Parameters[name])
	if err != nil {
		return nil, false, fmt.Errorf("has no value: %w", err)
	}
	if !ok || x == nil {
		switch {
		case p.Optional && n.comp.Pod != nil:
			return nil, false, nil // the component's own code has the default
		case p.HasDefault:
			x = p.Default
		case p.Optional:
			return nil, false, nil
		default:
			return nil, false, s.valueless(n.task.Parameters[name])
		}
	}
	x, err = Coerce(x, p.Type)
	return x, err == nil, err
}

// valueless is the error for a required input without a value. One that comes from
// the pipeline's own parameters names these, through whatever groups.
func (s *scope) valueless(src *Source) error {
	for src != nil && src.Input != "" {
		if s.owner == nil {
			return fmt.Errorf("has no value: the pipeline's parameter %q has none; try: -p %s=VALUE, or a default other than None", src.Input, src.Input)
		}
		task := s.owner
		if task.parent.loop != nil { // an iteration has what its loop has
			task = task.parent.owner
		}
		src, s = task.task.Parameters[src.Input], task.parent
	}
	return errors.New("has no value")
}

// value returns the value of a source for task n (nil: the graph's own outputs),
// and whether there is one.
func (s *scope) value(n *node, src *Source) (any, bool, error) {
	x, ok, err := s.whole(n, src)
	if err != nil || !ok || src.Select == nil {
		return x, ok, err
	}
	x, err = s.choose(src.Select, x)
	return x, err == nil, err
}

// whole is value before a selector takes its part of it.
func (s *scope) whole(n *node, src *Source) (any, bool, error) {
	switch {
	case src == nil:
		return nil, false, nil
	case src.Constant != nil:
		return src.Constant.Value, true, nil
	case src.Input != "":
		x, ok := s.inputs.Parameters[src.Input]
		return x, ok, nil
	case src.Task != "":
		x, ok := s.handedOn(src.Task).Parameters[src.Output]
		return x, ok, nil
	case src.Status != "":
		return s.finalStatus(s.nodes[src.Status].exec), true, nil
	case src.Item:
		return n.parent.loop.items[n.exec.Iteration], true, nil
	case src.Run != "":
		x, err := runValue(s.run, n, src.Run)
		return x, err == nil, err
	}
	x, err := src.compose(func(part *Source) (any, error) {
		x, _, err := s.value(n, part)
		return x, err
	})
	return x, err == nil, err
}

// handedOn are the outputs of a task: a failed or skipped one has none.
func (s *scope) handedOn(task string) Values {
	if x := s.nodes[task].exec; x.State == Succeeded {
		return x.Outputs
	}
	return Values{}
}

// artifacts returns the artifacts of a source, and whether it has any; a list
// that was collected may be empty.
func (s *scope) artifacts(src *Source) ([]Artifact, bool) {
	switch {
	case src == nil:
		return nil, false
	case src.Input != "":
		list, ok := s.inputs.Artifacts[src.Input]
		return list, ok
	case src.Task != "":
		list, ok := s.handedOn(src.Task).Artifacts[src.Output]
		return list, ok
	}
	return nil, false
}

// outputs returns what the graph or loop hands on once all its tasks have ended.
// Of several sources (KFP's OneOf) the first that has a value counts.
func (s *scope) outputs() Values {
	if s.loop != nil {
		return s.collected()
	}
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for name, o := range s.comp.Outputs.Parameters {
		for _, src := range o.Select {
			if x, ok, err := s.value(nil, src); err == nil && ok {
				v.Parameters[name] = x
				break
			}
		}
	}
	for name, o := range s.comp.Outputs.Artifacts {
		for _, src := range o.Select {
			if list, ok := s.artifacts(src); ok {
				v.Artifacts[name] = list
				break
			}
		}
	}
	return v
}

// runValue returns what a run-wide placeholder stands for, by KFP's names. n is
// the task that asks; nil: none.
func runValue(run *Run, n *node, name string) (string, error) {
	const stamp = "2006-01-02T15:04:05Z"
	switch name {
	case "pipeline_job_name":
		return run.Name, nil
	case "pipeline_job_resource_name":
		return (&setting{run: run}).resourceName(), nil
	case "pipeline_job_uuid":
		return run.ID, nil
	case "workspace_path":
		return workspacePath(run), nil
	case "pipeline_root":
		return "wherry://" + run.ID, nil
	case "pipeline_job_create_time_utc", "pipeline_job_schedule_time_utc":
		return run.Created.UTC().Format(stamp), nil
	case "pipeline_task_name":
		if n != nil {
			return n.task.Name, nil
		}
	case "pipeline_task_uuid":
		if n != nil {
			return fmt.Sprintf("%s-%d", run.ID, n.exec.ID), nil
		}
	}
	return "", fmt.Errorf("the placeholder %q has no value here", name)
}

// render is what the placeholders of one execution resolve to.
type render struct {
	run  *Run
	node *node
	dir  string // the attempt's outputs directory, in the container
}

func (r render) inputs() Values { return r.withTaskConfig(r.node.exec.Inputs) }

// text returns t with its placeholders replaced.
func (r render) text(t Text) (string, error) {
	out := ""
	for _, p := range t {
		if p.Ref == nil {
			out += p.Text
			continue
		}
		x, err := r.ref(p.Ref)
		if err != nil {
			return "", err
		}
		out += x
	}
	return out, nil
}

func (r render) ref(ref *Ref) (string, error) {
	switch ref.Kind {
	case RefExecutorInput:
		return r.executorInput(), nil
	case RefOutputFile:
		return r.dir + "/" + executorOutput, nil
	case RefInputValue:
		x, ok := r.inputs().Parameters[ref.Name]
		if !ok {
			if p, declared := r.node.comp.Inputs.Parameters[ref.Name]; declared && p.Optional {
				return "", nil
			}
			return "", fmt.Errorf("input parameter %q has no value", ref.Name)
		}
		return FormatValue(x), nil
	case RefOutputValue:
		return r.parameterPath(ref.Name), nil
	case RefWorkspace:
		return workspacePath(r.run), nil
	case RefRun:
		return runValue(r.run, r.node, ref.Name)
	case RefInputArtifact, RefInputURI, RefInputPath, RefInputMetadata:
		list := r.inputs().Artifacts[ref.Name]
		if len(list) == 0 {
			return "", fmt.Errorf("input artifact %q has no value", ref.Name)
		}
		if ref.Kind == RefInputPath {
			return r.inputPath(list[0]), nil
		}
		return artifactRef(ref, list[0], r.artifactJSON(list)), nil
	case RefOutputArtifact, RefOutputURI, RefOutputPath, RefOutputMetadata:
		a := r.outputArtifact(ref.Name)
		if ref.Kind == RefOutputPath {
			return r.artifactPath(ref.Name), nil
		}
		return artifactRef(ref, a, r.artifactJSON([]Artifact{a})), nil
	}
	return "", fmt.Errorf("the placeholder %q can't be resolved yet", ref.Kind)
}

func artifactRef(ref *Ref, a Artifact, whole any) string {
	switch ref.Kind {
	case RefInputURI, RefOutputURI:
		return a.URI
	case RefInputMetadata, RefOutputMetadata:
		if ref.Key == "" {
			return jsonText(a.Metadata)
		}
		return FormatValue(a.Metadata[ref.Key])
	}
	return jsonText(whole)
}

// parameterPath is where a container writes output parameter name.
func (r render) parameterPath(name string) string { return r.dir + "/parameter-" + name }

// artifactPath is where a container writes output artifact name.
func (r render) artifactPath(name string) string {
	if o := r.node.comp.Outputs.Artifacts[name]; o != nil && o.Path != "" {
		return o.Path
	}
	return r.dir + "/" + name
}

// outputArtifact is an output artifact before it is written. Its URI is a path
// below the run's directory, where a person finds it afterwards too.
func (r render) outputArtifact(name string) Artifact {
	o := r.node.comp.Outputs.Artifacts[name]
	if o == nil {
		return Artifact{Name: name}
	}
	return Artifact{Name: name, URI: r.dir + "/" + name, Type: o.Type.Title, Version: o.Type.Version, Metadata: maps.Clone(o.Metadata)}
}

// args returns the arguments that a becomes.
func (r render) args(list []Arg) ([]string, error) {
	var out []string
	for _, a := range list {
		expanded, err := r.arg(a)
		if err != nil {
			return nil, err
		}
		out = append(out, expanded...)
	}
	return out, nil
}

func (r render) arg(a Arg) ([]string, error) {
	switch {
	case a.IfPresent != nil:
		if r.present(a.IfPresent.Input) {
			return r.args(a.IfPresent.Then)
		}
		return r.args(a.IfPresent.Else)
	case a.Concat != nil:
		parts, err := r.args(a.Concat)
		if err != nil {
			return nil, err
		}
		joined := ""
		for _, p := range parts {
			joined += p
		}
		return []string{joined}, nil
	}
	text, err := r.text(a.Text)
	return []string{text}, err
}

func (r render) present(input string) bool {
	x, ok := r.inputs().Parameters[input]
	return ok && x != nil || slices.Contains(sortedKeys(r.inputs().Artifacts), input)
}
