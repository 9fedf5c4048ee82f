package argo

import (
	"maps"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// translate makes the components of all templates that the entrypoint reaches.
func (r *reader) translate() error {
	r.p.Root = r.root.Name.S
	for _, t := range r.order {
		if t.DAG != nil {
			if err := r.graph(t); err != nil {
				return err
			}
			continue
		}
		for _, v := range t.pods {
			if err := r.pod(t, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// component starts the component of a template under a name.
func (r *reader) component(t *tmpl, name string) *dag.Component {
	c := &dag.Component{Name: name, Pos: t.Pos}
	c.Inputs.Parameters = map[string]*dag.Parameter{}
	c.Inputs.Artifacts = map[string]*dag.ArtifactPort{}
	c.Outputs.Parameters = map[string]*dag.OutputParameter{}
	c.Outputs.Artifacts = map[string]*dag.OutputArtifact{}
	maps.Copy(c.Inputs.Parameters, t.inputs)
	if t != r.root {
		for name := range t.globals {
			c.Inputs.Parameters[globalInput(name)] = &dag.Parameter{Type: dag.TypeString, Pos: r.globals[name].Pos}
		}
	}
	r.p.Components[name] = c
	return c
}

// directoryType is the artifact type of a directory.
var directoryType = dag.ArtifactType{Title: "system.Artifact", Version: "0.0.1"}

func addPorts(c *dag.Component, dir string, n int) []string {
	var names []string
	for i := range n {
		name := portName(dir, i)
		names = append(names, name)
		c.Inputs.Artifacts[name] = &dag.ArtifactPort{Type: directoryType, Optional: true, Description: "content of " + dir}
	}
	return names
}

func (r *reader) pod(t *tmpl, v *variant) error {
	c := r.component(t, v.name)
	body, err := r.container(t)
	if err != nil {
		return err
	}
	c.Pod = &dag.Pod{Containers: []dag.Container{body}}
	if c.Pod.Timeout, err = r.timeout(t); err != nil {
		return err
	}
	if c.Pod.Retry, err = r.retry("template "+quote(t.Name.S), t.RetryStrategy); err != nil {
		return err
	}
	for name, o := range t.outputs {
		c.Outputs.Parameters[name] = &dag.OutputParameter{Type: dag.TypeString, From: o.origins, Pos: o.pos}
		if p := t.declared[name]; p != nil {
			c.Outputs.Parameters[name].Description = p.Description.S
		}
	}
	c.MakeTune()
	for _, d := range v.dirs { // of a tuning step there are none
		c.Pod.Directories = append(c.Pod.Directories, dag.Directory{Name: d[1:], Path: d, From: addPorts(c, d, v.ins[d])})
		c.Outputs.Artifacts[d[1:]] = &dag.OutputArtifact{Type: directoryType, Path: d, Pos: t.Pos}
	}
	return nil
}

func (r *reader) graph(t *tmpl) error {
	if t.ActiveDeadlineSeconds.Set {
		return r.errorf(t.ActiveDeadlineSeconds.Pos, "template %q: activeDeadlineSeconds of a dag is not supported yet", t.Name.S).
			WithMend("give it to the container templates")
	}
	if t.RetryStrategy != nil {
		return r.errorf(t.RetryStrategy.Pos, "template %q: retryStrategy of a dag is not supported yet", t.Name.S).
			WithMend("give it to the container templates")
	}
	c := r.component(t, t.Name.S)
	c.Graph = &dag.Graph{
		Tasks:    make(map[string]*dag.Task, len(t.calls)),
		FailFast: t.DAG.FailFast != nil && *t.DAG.FailFast, // in kind: Pipeline independent branches go on
	}
	for _, call := range t.calls {
		task, err := r.task(call)
		if err != nil {
			return err
		}
		c.Graph.Tasks[call.Name.S] = task
	}
	for name, o := range t.outputs {
		c.Outputs.Parameters[name] = &dag.OutputParameter{
			Type: dag.TypeString, Description: t.declared[name].Description.S,
			Select: []*dag.Source{r.source(t, o.sel, o.pos)}, Pos: o.pos,
		}
	}
	if t == r.root { // a run's outputs are those that its file declares
		return nil
	}
	for d, g := range t.dirs {
		addPorts(c, d, g.ins)
		for i, out := range g.outs {
			c.Outputs.Artifacts[portName(d, i)] = &dag.OutputArtifact{
				Type: directoryType, Select: []*dag.Source{{Task: out.task, Output: out.name, Pos: t.Pos}}, Pos: t.Pos,
			}
		}
	}
	return nil
}

func (r *reader) task(c *call) (*dag.Task, error) {
	t := &dag.Task{
		Name:       c.Name.S,
		Component:  c.of.Name.S,
		Parameters: map[string]*dag.Source{},
		Artifacts:  map[string]*dag.Source{},
		Cache:      true,
		Pos:        c.Pos,
	}
	if c.variant != nil {
		t.Component = c.variant.name
	}
	if c.RetryStrategy != nil && c.of.DAG != nil {
		return nil, r.errorf(c.RetryStrategy.Pos, "task %q: retryStrategy of a dag is not supported yet", c.Name.S).
			WithMend("give it to the tasks of template %q", c.of.Name.S)
	}
	var err error
	if t.Retry, err = r.retry("task "+quote(c.Name.S), c.RetryStrategy); err != nil {
		return nil, err
	}
	for _, name := range c.needs {
		t.Needs = append(t.Needs, dag.Edge{Task: name, On: dag.OnSuccess})
	}
	for name, parts := range c.args {
		t.Parameters[name] = r.source(c.in, parts, c.argPos[name])
	}
	for name := range c.of.globals {
		t.Parameters[globalInput(name)] = &dag.Source{Input: r.globalFrom(c.in, name), Pos: c.Pos}
	}
	for dir, feeds := range c.feeds {
		for i, p := range feeds {
			s := &dag.Source{Task: p.task, Output: p.name, Pos: c.Pos}
			if p.task == "" {
				s = &dag.Source{Input: p.name, Pos: c.Pos}
			}
			t.Artifacts[portName(dir, i)] = s
		}
	}
	return t, nil
}

// globalFrom returns the input by which a dag has a parameter of the workflow.
func (r *reader) globalFrom(t *tmpl, name string) string {
	if t == r.root {
		return name
	}
	return globalInput(name)
}

// source translates a text of a dag.
func (r *reader) source(t *tmpl, parts []part, pos source.Pos) *dag.Source {
	var all []*dag.Source
	for _, p := range parts {
		switch {
		case p.ref == nil:
			all = append(all, &dag.Source{Constant: &dag.Constant{Value: p.lit}, Pos: pos})
		case p.ref.kind == refInput:
			all = append(all, &dag.Source{Input: p.ref.name, Pos: p.ref.pos})
		case p.ref.kind == refGlobal:
			all = append(all, &dag.Source{Input: r.globalFrom(t, p.ref.name), Pos: p.ref.pos})
		case p.ref.kind == refTask:
			all = append(all, &dag.Source{Task: p.ref.task, Output: p.ref.name, Pos: p.ref.pos})
		}
	}
	switch len(all) {
	case 0:
		return &dag.Source{Constant: &dag.Constant{Value: ""}, Pos: pos}
	case 1:
		return all[0]
	}
	return &dag.Source{Concat: all, Pos: pos}
}
