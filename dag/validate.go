package dag

import (
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// Validate checks what every format has in common: that each name refers to
// something, that each task's inputs fit its component's, and that no tasks wait
// for each other in a circle. f gives the errors their lines.
func Validate(p *Pipeline, f *source.File) error {
	v := &validator{p: p, f: f}
	if _, ok := p.Components[p.Root]; !ok {
		return f.Errorf(source.Pos{}, "the pipeline has no root component %q", p.Root)
	}
	for _, name := range sortedKeys(p.Components) {
		if err := v.component(p.Components[name]); err != nil {
			return err
		}
	}
	return v.runnable()
}

// Refuse returns an error for the first construct that can't be run yet.
func Refuse(p *Pipeline, f *source.File) error {
	if len(p.Unsupported) == 0 {
		return nil
	}
	first := p.Unsupported[0]
	e := f.Errorf(first.Pos, "%s is read but can't be run yet; nothing was started", first.What).
		WithMend("take it out, or wait for a later version")
	if first.Mend != "" { // it never will
		e = f.Errorf(first.Pos, "%s can't be run here; nothing was started", first.What).WithMend("%s", first.Mend)
	}
	var names []string
	for _, u := range p.Unsupported[1:] {
		names = append(names, fmt.Sprintf("%s (line %d)", u.What, u.Pos.Line))
	}
	if len(names) > 0 {
		e.Mend = strings.TrimPrefix(first.Mend+"; also not yet: ", "; ") + strings.Join(names[:min(len(names), 8)], ", ")
	}
	return e
}

type validator struct {
	p *Pipeline
	f *source.File
}

func (v *validator) component(c *Component) error {
	bodies := 0
	for _, set := range []bool{c.Graph != nil, c.Pod != nil, c.Importer != nil, c.Claim != nil, c.Tune != nil} {
		if set {
			bodies++
		}
	}
	if bodies != 1 {
		return v.f.Errorf(c.Pos, "component %q must have exactly one of a graph, a container, an importer, a claim and a search", c.Name)
	}
	if err := v.names(c); err != nil {
		return err
	}
	if c.Pod != nil {
		return v.pod(c)
	}
	if c.Tune != nil && len(c.Outputs.Artifacts) > 0 {
		return v.f.Errorf(c.Pos, "component %q: a tuning step (image %s) hands on parameters, no artifact %q", c.Name, c.Tune.Image, sortedKeys(c.Outputs.Artifacts)[0])
	}
	if c.Graph == nil {
		return nil
	}
	for _, name := range sortedKeys(c.Graph.Tasks) {
		if err := v.task(c, c.Graph.Tasks[name]); err != nil {
			return err
		}
	}
	if err := v.outputs(c); err != nil {
		return err
	}
	return v.cycle(c)
}

// pod refuses resources that are no quantities, where the file alone says them.
func (v *validator) pod(c *Component) error {
	for i := range c.Pod.Containers {
		spec := &c.Pod.Containers[i]
		if spec.Resources.placeholders() {
			continue
		}
		if _, err := (render{}).resources(spec.Resources); err != nil {
			return v.f.Errorf(at(spec.Pos, c.Pos), "component %q: %v", c.Name, err)
		}
	}
	return nil
}

func (v *validator) task(c *Component, t *Task) error {
	target, ok := v.p.Components[t.Component]
	if !ok {
		return v.unknown(t.Pos, fmt.Sprintf("task %q: unknown component", t.Name), t.Component, sortedKeys(v.p.Components))
	}
	for _, e := range t.Needs {
		if _, ok := c.Graph.Tasks[e.Task]; !ok {
			return v.unknown(t.Pos, fmt.Sprintf("task %q: depends on unknown task", t.Name), e.Task, sortedKeys(c.Graph.Tasks))
		}
	}
	for _, name := range sortedKeys(t.Parameters) {
		if _, ok := target.Inputs.Parameters[name]; !ok {
			return v.unknown(at(t.Parameters[name].Pos, t.Pos), fmt.Sprintf("task %q: component %q has no input parameter", t.Name, target.Name), name, sortedKeys(target.Inputs.Parameters))
		}
		if err := v.source(c, t, t.Parameters[name], false); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(t.Artifacts) {
		if _, ok := target.Inputs.Artifacts[name]; !ok {
			return v.unknown(at(t.Artifacts[name].Pos, t.Pos), fmt.Sprintf("task %q: component %q has no input artifact", t.Name, target.Name), name, sortedKeys(target.Inputs.Artifacts))
		}
		if err := v.source(c, t, t.Artifacts[name], true); err != nil {
			return err
		}
	}
	if t.Iterate != nil {
		if err := v.source(c, t, t.Iterate.Items, t.Iterate.Artifact); err != nil {
			return err
		}
	}
	return v.missingInputs(t, target)
}

// missingInputs refuses a task that gives a required input no value.
func (v *validator) missingInputs(t *Task, target *Component) error {
	for _, name := range sortedKeys(target.Inputs.Parameters) {
		p := target.Inputs.Parameters[name]
		_, given := t.Parameters[name]
		item := t.Iterate != nil && t.Iterate.Input == name
		if !given && !item && !p.HasDefault && !p.Optional {
			return v.f.Errorf(t.Pos, "task %q: input parameter %q of component %q has no value", t.Name, name, target.Name)
		}
	}
	for _, name := range sortedKeys(target.Inputs.Artifacts) {
		_, given := t.Artifacts[name]
		item := t.Iterate != nil && t.Iterate.Input == name
		if !given && !item && !target.Inputs.Artifacts[name].Optional {
			return v.f.Errorf(t.Pos, "task %q: input artifact %q of component %q has no value", t.Name, name, target.Name)
		}
	}
	return nil
}

// source checks what a source of a task in component c refers to.
func (v *validator) source(c *Component, t *Task, s *Source, artifact bool) error {
	pos := at(s.Pos, t.Pos)
	switch {
	case s.Input != "":
		known := sortedKeys(c.Inputs.Parameters)
		if artifact {
			known = sortedKeys(c.Inputs.Artifacts)
		}
		return v.known(pos, fmt.Sprintf("task %q: component %q has no input", t.Name, c.Name), s.Input, known)
	case s.Task != "":
		return v.siblingOutput(c, fmt.Sprintf("task %q", t.Name), s, pos, artifact)
	case s.Status != "":
		return v.known(pos, fmt.Sprintf("task %q: asks for the status of unknown task", t.Name), s.Status, sortedKeys(c.Graph.Tasks))
	}
	for _, part := range s.parts() {
		if err := v.source(c, t, part, artifact); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) siblingOutput(c *Component, who string, s *Source, pos source.Pos, artifact bool) error {
	sibling, ok := c.Graph.Tasks[s.Task]
	if !ok {
		return v.unknown(pos, who+": takes an input from unknown task", s.Task, sortedKeys(c.Graph.Tasks))
	}
	producer, ok := v.p.Components[sibling.Component]
	if !ok {
		return nil // reported at the sibling itself
	}
	known := sortedKeys(producer.Outputs.Parameters)
	if artifact {
		known = sortedKeys(producer.Outputs.Artifacts)
	}
	return v.known(pos, fmt.Sprintf("%s: task %q has no output", who, s.Task), s.Output, known)
}

// outputs checks what a graph's outputs select.
func (v *validator) outputs(c *Component) error {
	for _, name := range sortedKeys(c.Outputs.Parameters) {
		for _, s := range c.Outputs.Parameters[name].Select {
			if err := v.selected(c, name, s, false); err != nil {
				return err
			}
		}
	}
	for _, name := range sortedKeys(c.Outputs.Artifacts) {
		for _, s := range c.Outputs.Artifacts[name].Select {
			if err := v.selected(c, name, s, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *validator) selected(c *Component, output string, s *Source, artifact bool) error {
	if s.Task == "" {
		return nil
	}
	who := fmt.Sprintf("output %q of component %q", output, c.Name)
	if _, ok := c.Graph.Tasks[s.Task]; !ok {
		return v.unknown(at(s.Pos, c.Pos), who+" comes from unknown task", s.Task, sortedKeys(c.Graph.Tasks))
	}
	return v.siblingOutput(c, who, s, at(s.Pos, c.Pos), artifact)
}

// cycle finds tasks that wait for each other, and names them in order.
func (v *validator) cycle(c *Component) error {
	const (
		unseen = iota
		open
		done
	)
	state := make(map[string]int, len(c.Graph.Tasks))
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		state[name] = open
		path = append(path, name)
		for _, dep := range c.Graph.Tasks[name].dependencies() {
			switch state[dep] {
			case open:
				return append(path, dep)
			case unseen:
				if found := visit(dep); found != nil {
					return found
				}
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range sortedKeys(c.Graph.Tasks) {
		if state[name] != unseen {
			continue
		}
		if found := visit(name); found != nil {
			first := found[len(found)-1]
			for found[0] != first {
				found = found[1:]
			}
			return v.f.Errorf(c.Graph.Tasks[first].Pos, "task %q waits for itself: %s", first, strings.Join(found, " -> ")).
				WithMend("take one of these dependencies out")
		}
	}
	return nil
}

// runnable refuses graphs that contain themselves with nothing to end them: a
// circle of components in which no task has a condition.
func (v *validator) runnable() error {
	open := map[string]bool{}
	done := map[string]bool{}
	roots := []string{v.p.Root} // and what conditions lead to: no circle goes on through these
	var visit func(name string) error
	visit = func(name string) error {
		c := v.p.Components[name]
		if done[name] || c.Graph == nil {
			return nil
		}
		open[name] = true
		for _, tn := range sortedKeys(c.Graph.Tasks) {
			t := c.Graph.Tasks[tn]
			if t.When != nil {
				roots = append(roots, t.Component)
				continue
			}
			if open[t.Component] {
				return v.f.Errorf(t.Pos, "task %q: component %q contains itself without a condition, so that it would never end", t.Name, t.Component)
			}
			if err := visit(t.Component); err != nil {
				return err
			}
		}
		open[name] = false
		done[name] = true
		return nil
	}
	for len(roots) > 0 {
		name := roots[0]
		roots = roots[1:]
		if err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

// dependencies returns the tasks that t waits for, once each, in order.
func (t *Task) dependencies() []string {
	seen := map[string]bool{}
	for _, e := range t.Needs {
		seen[e.Task] = true
	}
	for _, sources := range []map[string]*Source{t.Parameters, t.Artifacts} {
		for _, s := range sources {
			s.tasks(seen)
		}
	}
	if t.Iterate != nil {
		t.Iterate.Items.tasks(seen)
	}
	return sortedKeys(seen)
}

// tasks adds the siblings that s reads to seen.
func (s *Source) tasks(seen map[string]bool) {
	if s.Task != "" {
		seen[s.Task] = true
	}
	if s.Status != "" {
		seen[s.Status] = true
	}
	for _, part := range s.parts() {
		part.tasks(seen)
	}
}

// parts are the sources that s is made of.
func (s *Source) parts() []*Source {
	if len(s.Fields) == 0 {
		return append(s.Concat[:len(s.Concat):len(s.Concat)], s.List...)
	}
	var parts []*Source
	for _, name := range sortedKeys(s.Fields) {
		parts = append(parts, s.Fields[name])
		if key := s.Keys[name]; key != nil {
			parts = append(parts, key)
		}
	}
	return parts
}

func (v *validator) known(pos source.Pos, what, name string, known []string) error {
	for _, k := range known {
		if k == name {
			return nil
		}
	}
	return v.unknown(pos, what, name, known)
}

func (v *validator) unknown(pos source.Pos, what, name string, known []string) error {
	e := v.f.Errorf(pos, "%s %q", what, name)
	if near := source.Nearest(name, known); near != "" {
		return e.WithMend("did you mean %q?", near)
	}
	if len(known) > 0 && len(known) <= 12 {
		return e.WithMend("known: %s", strings.Join(known, ", "))
	}
	return e
}

// at returns the first position that is one.
func at(positions ...source.Pos) source.Pos {
	for _, p := range positions {
		if p.Line > 0 {
			return p
		}
	}
	return source.Pos{}
}
