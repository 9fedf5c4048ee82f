package dag

import (
	"fmt"
	"maps"
	"time"
)

// maxOpenIterations is how many iterations of a loop exist unfinished at once: more
// than any one machine runs, and few enough that a loop over very many items
// stays small and can be canceled at once.
const maxOpenIterations = 256

// loop is what a scope has instead of a graph when it belongs to a task with an
// iterator: one node for each item that was reached.
type loop struct {
	items   []any // values; of an artifact iterator, *Artifact
	next    int   // the first item that has no node yet
	limit   int   // of open iterations
	dropped bool  // a cancelation came before the last item
	task    *Task // of the iterations: the loop's own without iterator, condition and sources
}

// newLoop makes the scope of a loop over items.
func newLoop(owner *node, items []any) *scope {
	t := owner.task
	l := &loop{items: items, limit: maxOpenIterations, task: &Task{
		Name: t.Name, DisplayName: t.DisplayName, Component: t.Component, Retry: t.Retry, Timeout: t.Timeout,
		Cache: t.Cache, CacheKey: t.CacheKey, Pos: t.Pos,
	}}
	if p := t.Iterate.Parallelism; p > 0 {
		l.limit = min(p, l.limit)
	}
	return &scope{
		setting: owner.parent.setting, owner: owner, comp: owner.comp, inputs: owner.exec.Inputs,
		nodes: map[string]*node{}, open: len(items), loop: l,
	}
}

// iteration adds the node of item i. exec is its stored execution; nil: a new one.
func (s *scope) iteration(i int, exec *Execution) *node {
	if exec == nil {
		exec = &Execution{
			Path: fmt.Sprintf("%s[%d]", s.owner.exec.Path, i), Task: s.loop.task.Name, Component: s.loop.task.Component,
			Kind: KindIteration, Iteration: i, State: Pending,
		}
		if s.comp.Graph == nil {
			exec.Kind = kindOf(s.loop.task, s.comp)
		}
	}
	n := &node{task: s.loop.task, comp: s.comp, parent: s, exec: exec}
	s.order = append(s.order, n)
	s.loop.next = max(s.loop.next, i+1)
	return n
}

// unfinished is how many iterations are there and have not ended.
func (s *scope) unfinished() int { return s.open - (len(s.loop.items) - s.loop.next) }

// iterate starts the next iterations of a loop, as many as may be open.
func (d *drive) iterate(s *scope) {
	var fresh []*node
	for !d.canceled && s.loop.next < len(s.loop.items) && s.unfinished() < s.loop.limit {
		n := s.iteration(s.loop.next, nil)
		n.exec.Run, n.exec.Parent, n.exec.Created = d.run.ID, s.owner.exec.ID, time.Now()
		d.executions = append(d.executions, n.exec)
		d.change(n)
		fresh = append(fresh, n)
	}
	if len(fresh) == 0 {
		return
	}
	d.after(func() { // they have ids now
		for _, n := range fresh {
			d.byID[n.exec.ID] = n
		}
		d.dirty = append(d.dirty, fresh...)
	})
}

// drop gives up the items that have no node yet.
func (s *scope) drop() {
	if left := len(s.loop.items) - s.loop.next; left > 0 {
		s.open -= left
		s.loop.next = len(s.loop.items)
		s.loop.dropped = true
	}
}

// items returns what a loop iterates over: values, or *Artifact.
func (s *scope) items(n *node) ([]any, error) {
	it := n.task.Iterate
	if it.Artifact {
		list, _ := s.artifacts(it.Items)
		items := make([]any, len(list))
		for i := range list {
			items[i] = &list[i]
		}
		return items, nil
	}
	x, ok, err := s.value(n, it.Items)
	if err != nil {
		return nil, fmt.Errorf("its items: %w", err)
	}
	if text, isText := x.(string); isText { // a list that came as STRING
		if parsed, err := ParseJSON([]byte(text)); err == nil {
			x = parsed
		}
	}
	list, isList := x.([]any)
	if !ok || !isList {
		return nil, fmt.Errorf("its items must be a JSON list, not %s", clip(jsonText(x), 60))
	}
	return list, nil
}

// iterationInputs returns what differs between iterations: the item, and the
// inputs that are made from it. An iteration that is no graph has all its inputs
// as its own: they are what its container sees and what its cache key is made of.
func (s *scope) iterationInputs(n *node) (Values, error) {
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	if s.comp.Graph == nil {
		maps.Copy(v.Parameters, s.inputs.Parameters)
		maps.Copy(v.Artifacts, s.inputs.Artifacts)
	}
	it := s.owner.task.Iterate
	item := s.loop.items[n.exec.Iteration]
	if a, ok := item.(*Artifact); ok {
		v.Artifacts[it.Input] = []Artifact{*a}
		return v, nil
	}
	for name, p := range s.comp.Inputs.Parameters {
		x := item
		if name != it.Input {
			src := s.owner.task.Parameters[name]
			if src == nil || !src.usesItem() {
				continue
			}
			var err error
			if x, _, err = s.owner.parent.value(n, src); err != nil {
				return v, fmt.Errorf("input parameter %q: %w", name, err)
			}
		}
		x, err := Coerce(x, p.Type)
		if err != nil {
			return v, fmt.Errorf("input parameter %q %w", name, err)
		}
		if x != nil {
			v.Parameters[name] = x
		}
	}
	return v, nil
}

// scopeInputs are the inputs that the tasks inside n see. An iteration's own are
// only what differs between iterations, so that a long list is stored once.
func (n *node) scopeInputs() Values {
	if n.parent.loop == nil {
		return n.exec.Inputs
	}
	outer := n.parent.inputs
	v := Values{Parameters: maps.Clone(outer.Parameters), Artifacts: maps.Clone(outer.Artifacts)}
	if v.Parameters == nil {
		v.Parameters = map[string]any{}
	}
	if v.Artifacts == nil {
		v.Artifacts = map[string][]Artifact{}
	}
	maps.Copy(v.Parameters, n.exec.Inputs.Parameters)
	maps.Copy(v.Artifacts, n.exec.Inputs.Artifacts)
	return v
}

// collected returns a loop's outputs: of each, the list over its iterations. Where
// an iteration's own output is a list that an inner loop collected, the lists are
// joined to one, as the KFP backend does. An iteration whose branch was skipped
// adds nothing.
func (s *scope) collected() Values {
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for name := range s.comp.Outputs.Parameters {
		flat := s.run.Pipeline.collects(s.comp, name)
		list := []any{}
		for _, n := range s.order {
			x, ok := n.exec.Outputs.Parameters[name]
			if inner, isList := x.([]any); flat && isList {
				list = append(list, inner...)
			} else if ok {
				list = append(list, x)
			}
		}
		v.Parameters[name] = list
	}
	for name := range s.comp.Outputs.Artifacts {
		list := []Artifact{}
		for _, n := range s.order {
			list = append(list, n.exec.Outputs.Artifacts[name]...)
		}
		v.Artifacts[name] = list
	}
	return v
}

// collects reports whether a graph's output parameter comes, through whatever sub-graphs,
// from a loop.
func (p *Pipeline) collects(c *Component, output string) bool {
	type end struct{ component, output string }
	seen := map[end]bool{} // a component may contain itself
	var visit func(c *Component, output string) bool
	visit = func(c *Component, output string) bool {
		o := c.Outputs.Parameters[output]
		if c.Graph == nil || o == nil || seen[end{c.Name, output}] {
			return false
		}
		seen[end{c.Name, output}] = true
		for _, src := range o.Select {
			t := c.Graph.Tasks[src.Task]
			if t != nil && (t.Iterate != nil || visit(p.Components[t.Component], src.Output)) {
				return true
			}
		}
		return false
	}
	return visit(c, output)
}

// usesItem reports whether the source depends on the iterator's item.
func (s *Source) usesItem() bool {
	if s.Item {
		return true
	}
	for _, part := range s.parts() {
		if part.usesItem() {
			return true
		}
	}
	return false
}

// loopResult is the state that a loop ends with, and why.
func (s *scope) loopResult() (State, string) {
	failed := 0
	var first *node
	for _, n := range s.order {
		switch {
		case n.canceled():
			return Canceled, canceledReason
		case n.exec.State == Failed:
			failed++
			if first == nil {
				first = n
			}
		}
	}
	switch {
	case s.loop.dropped:
		return Canceled, canceledReason
	case failed == 1:
		return Failed, fmt.Sprintf("iteration %d failed: %s", first.exec.Iteration, first.exec.Error)
	case failed > 1:
		return Failed, fmt.Sprintf("%d of %d iterations failed; iteration %d: %s", failed, len(s.loop.items), first.exec.Iteration, first.exec.Error)
	}
	return Succeeded, ""
}
