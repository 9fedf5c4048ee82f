package kfp

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/wherry-ml/wherry/dag"
)

func (t *translator) component(name string, spec *componentSpec) (*dag.Component, error) {
	c := &dag.Component{Name: name}
	if err := t.inputs(c, spec); err != nil {
		return nil, err
	}
	if err := t.outputs(c, spec); err != nil {
		return nil, err
	}
	if len(spec.SinglePlatformSpecs) > 0 {
		t.unused["singlePlatformSpecs"] = true // nothing in KFP reads them
	}
	switch {
	case spec.Dag != nil && spec.ExecutorLabel != nil:
		return nil, t.errorf(spec.Pos, "component %q has both a dag and an executorLabel", name)
	case spec.Dag != nil:
		return c, t.graph(c, spec)
	case spec.ExecutorLabel != nil:
		return c, t.executor(c, spec)
	}
	return nil, t.errorf(spec.Pos, "component %q has neither a dag nor an executorLabel", name)
}

func (t *translator) inputs(c *dag.Component, spec *componentSpec) error {
	for i := range spec.InputDefinitions.Parameters.Items {
		e := &spec.InputDefinitions.Parameters.Items[i]
		p, err := t.parameter(c, e)
		if err != nil {
			return err
		}
		put(&c.Inputs.Parameters, e.Name, p)
	}
	for i := range spec.InputDefinitions.Artifacts.Items {
		e := &spec.InputDefinitions.Artifacts.Items[i]
		put(&c.Inputs.Artifacts, e.Name, &dag.ArtifactPort{
			Type: artifactType(&e.Value.ArtifactType),
			List: e.Value.IsArtifactList, Optional: e.Value.IsOptional, Description: e.Value.Description,
		})
	}
	return nil
}

func (t *translator) parameter(c *dag.Component, e *entry[inputParameterSpec]) (*dag.Parameter, error) {
	spec := &e.Value
	typ, err := parseType(spec.ParameterType, spec.Type)
	if err != nil {
		return nil, t.errorf(spec.ParameterType.Pos, "%s: %s", subject(c, "input", e.Name), err)
	}
	p := &dag.Parameter{Type: typ, Description: spec.Description, Optional: spec.IsOptional, Pos: e.Pos}
	if p.HasDefault = spec.DefaultValue.Set; p.HasDefault {
		if p.Default, err = convert(typ, spec.DefaultValue.Value); err != nil {
			return nil, t.errorf(spec.DefaultValue.Pos, "%s: default value %s", subject(c, "input", e.Name), err)
		}
	}
	for _, l := range spec.Literals {
		v, err := convert(typ, l.Value)
		if err != nil {
			return nil, t.errorf(l.Pos, "%s: its literal %s", subject(c, "input", e.Name), err)
		}
		p.Literals = append(p.Literals, v)
	}
	if p.HasDefault && p.Default != nil && len(p.Literals) > 0 && !slices.ContainsFunc(p.Literals, func(l any) bool { return reflect.DeepEqual(l, p.Default) }) {
		return nil, t.errorf(spec.DefaultValue.Pos, "%s: default %s is none of its literals",
			subject(c, "input", e.Name), show(p.Default))
	}
	return p, nil
}

func (t *translator) outputs(c *dag.Component, spec *componentSpec) error {
	for i := range spec.OutputDefinitions.Parameters.Items {
		e := &spec.OutputDefinitions.Parameters.Items[i]
		typ, err := parseType(e.Value.ParameterType, e.Value.Type)
		if err != nil {
			return t.errorf(e.Value.ParameterType.Pos, "%s: %s", subject(c, "output", e.Name), err)
		}
		put(&c.Outputs.Parameters, e.Name, &dag.OutputParameter{Type: typ,
			Description: e.Value.Description, Pos: e.Pos})
	}
	for i := range spec.OutputDefinitions.Artifacts.Items {
		e := &spec.OutputDefinitions.Artifacts.Items[i]
		about := subject(c, "output", e.Name)
		meta, err := t.metadata(e.Value.Metadata, about, &e.Value.Properties, &e.Value.CustomProperties)
		if err != nil {
			return err
		}
		put(&c.Outputs.Artifacts, e.Name, &dag.OutputArtifact{
			Type: artifactType(&e.Value.ArtifactType), List: e.Value.IsArtifactList,
			Description: e.Value.Description, Metadata: meta, Pos: e.Pos,
		})
	}
	return nil
}

// metadata adds the older properties to the metadata, which wins.
func (t *translator) metadata(meta map[string]any, about string, older ...*dict[valueOrRuntimeParameter]) (map[string]any, error) {
	for _, properties := range older {
		for i := range properties.Items {
			e := &properties.Items[i]
			if _, ok := meta[e.Name]; ok {
				continue
			}
			var v any
			switch spec := &e.Value; {
			case spec.RuntimeParameter != nil:
				v = fmt.Sprintf("{{$.inputs.parameters['%s']}}", spec.RuntimeParameter.Value)
			case spec.ConstantValue != nil:
				v = spec.ConstantValue.get()
			case spec.Constant.Set:
				v = spec.Constant.Value
			default:
				return nil, t.errorf(spec.Pos, "%s: property %q has no value", about, e.Name)
			}
			put(&meta, e.Name, v)
		}
	}
	return meta, nil
}

func artifactType(s *artifactTypeSchema) dag.ArtifactType {
	return dag.ArtifactType{Title: cmp.Or(s.SchemaTitle, s.SchemaURI), Instance: s.InstanceSchema, Version: s.SchemaVersion}
}

// graph translates a component made of tasks.
func (t *translator) graph(c *dag.Component, spec *componentSpec) error {
	c.Graph = &dag.Graph{Tasks: make(map[string]*dag.Task, len(spec.Dag.Tasks.Items))}
	if len(spec.Dag.Tasks.Items) == 0 {
		return t.errorf(spec.Pos, "component %q: its dag has no tasks", c.Name)
	}
	for i := range spec.Dag.Tasks.Items {
		task, err := t.task(c, &spec.Dag.Tasks, &spec.Dag.Tasks.Items[i])
		if err != nil {
			return err
		}
		c.Graph.Tasks[task.Name] = task
	}
	if err := t.selectParameters(c, &spec.Dag.Outputs); err != nil {
		return err
	}
	return t.selectArtifacts(c, &spec.Dag.Outputs)
}

func (t *translator) selectParameters(c *dag.Component, spec *dagOutputs) error {
	for i := range spec.Parameters.Items {
		e := &spec.Parameters.Items[i]
		about := subject(c, "output", e.Name)
		out := c.Outputs.Parameters[e.Name]
		var selectors []parameterSelector
		switch one, many := e.Value.ValueFromParameter, e.Value.ValueFromOneof; {
		case out == nil:
			return t.errorf(e.Pos, "%s is not declared in outputDefinitions", about)
		case one != nil && many == nil:
			selectors = []parameterSelector{*one}
		case many != nil && one == nil:
			selectors = many.ParameterSelectors
		}
		if len(selectors) == 0 {
			return t.errorf(e.Pos, "%s needs valueFromParameter or valueFromOneof", about)
		}
		for _, s := range selectors {
			out.Select = append(out.Select, &dag.Source{Task: s.ProducerSubtask.Value,
				Output: s.OutputParameterKey.Value, Pos: s.ProducerSubtask.Pos})
		}
	}
	for _, name := range keys(c.Outputs.Parameters) {
		out := c.Outputs.Parameters[name]
		if out.Select == nil {
			return t.errorf(out.Pos, "%s has no source in the dag's outputs", subject(c, "output", name))
		}
	}
	return nil
}

func (t *translator) selectArtifacts(c *dag.Component, spec *dagOutputs) error {
	for i := range spec.Artifacts.Items {
		e := &spec.Artifacts.Items[i]
		about := subject(c, "output", e.Name)
		out := c.Outputs.Artifacts[e.Name]
		switch {
		case out == nil:
			return t.errorf(e.Pos, "%s is not declared in outputDefinitions", about)
		case len(e.Value.ArtifactSelectors) == 0:
			return t.errorf(e.Pos, "%s needs artifactSelectors", about)
		}
		for _, s := range e.Value.ArtifactSelectors {
			out.Select = append(out.Select, &dag.Source{Task: s.ProducerSubtask.Value,
				Output: s.OutputArtifactKey.Value, Pos: s.ProducerSubtask.Pos})
		}
	}
	for _, name := range keys(c.Outputs.Artifacts) {
		out := c.Outputs.Artifacts[name]
		if out.Select == nil {
			return t.errorf(out.Pos, "%s has no source in the dag's outputs", subject(c, "output", name))
		}
	}
	return nil
}

// subject names a part of a component for a message.
func subject(c *dag.Component, what, name string) string {
	return fmt.Sprintf("component %q: %s %q", c.Name, what, name)
}

// put sets a key of a map that may be nil.
func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// keys returns the keys of a map in order.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
