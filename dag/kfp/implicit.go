package kfp

import "strings"

// findImplicit finds inputs that a component has without declaring them: where
// an argument of the container itself (its CPU limit, say) comes from another
// task, the compiler gives the task an input for it and names it in the executor
// alone.
func (t *translator) findImplicit() {
	t.extra = map[*componentSpec]map[string]bool{}
	t.findImplicitIn(t.spec.Root)
	for i := range t.spec.Components.Items {
		t.findImplicitIn(&t.spec.Components.Items[i].Value)
	}
}

func (t *translator) findImplicitIn(spec *componentSpec) {
	if spec.Dag == nil {
		return
	}
	for i := range spec.Dag.Tasks.Items {
		task := &spec.Dag.Tasks.Items[i].Value
		callee := t.spec.Components.get(task.ComponentRef.Name.Value)
		if callee == nil || callee.Value.ExecutorLabel == nil {
			continue
		}
		for _, in := range task.Inputs.Parameters.Items {
			if callee.Value.InputDefinitions.Parameters.get(in.Name) == nil && t.mentions(&callee.Value, in.Name) {
				if t.extra[&callee.Value] == nil {
					t.extra[&callee.Value] = map[string]bool{}
				}
				t.extra[&callee.Value][in.Name] = true
			}
		}
	}
}

// implicit returns the undeclared inputs of a component.
func (t *translator) implicit(spec *componentSpec) map[string]bool { return t.extra[spec] }

// mentions reports whether the component's container has a placeholder for the
// input.
func (t *translator) mentions(spec *componentSpec, name string) bool {
	x := t.spec.DeploymentSpec.Executors.get(spec.ExecutorLabel.Value)
	if x == nil || x.Value.Container == nil {
		return false
	}
	c, placeholder := x.Value.Container, "{{$.inputs.parameters['"+name+"']}}"
	all := []text{c.Image, c.Resources.ResourceCPULimit, c.Resources.ResourceCPURequest,
		c.Resources.ResourceMemoryLimit, c.Resources.ResourceMemoryRequest}
	all = append(append(all, c.Command...), c.Args...)
	for _, e := range c.Env {
		all = append(all, e.Value)
	}
	if a := c.Resources.Accelerator; a != nil {
		all = append(all, a.ResourceType, a.ResourceCount, a.Type)
	}
	for _, s := range all {
		if strings.Contains(s.Value, placeholder) {
			return true
		}
	}
	return false
}
