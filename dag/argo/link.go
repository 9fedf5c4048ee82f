package argo

import (
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// tmpl is a template with what the reader finds out about it.
type tmpl struct {
	*template
	callers []*call // tasks that run it
	calls   []*call // of a dag: its tasks, in the order of the file
	byName  map[string]*call

	image         []part // of a container
	command, args [][]part
	env           [][]part
	requests      map[string][]part
	limits        map[string][]part
	flags         []option
	refs          []*ref // all of a container's references, in the order of the file

	declared map[string]*parameter      // its outputs, as declared
	results  map[string][]part          // of a dag: the declared outputs' valueFrom.parameter
	inputs   map[string]*dag.Parameter  // declared ones, and what callers give
	inferred []string                   // inputs that it doesn't declare, in the order of its callers
	globals  map[string]bool            // parameters of the workflow that it, or what it calls, uses
	outputs  map[string]*output         // declared, and inferred where somebody asks
	dirs     map[string]*graphDirectory // of a dag
	pods     []*variant                 // of a container
}

// call is a task of a dag: a template in use.
type call struct {
	*task
	in, of  *tmpl
	index   int // in the dag
	args    map[string][]part
	argPos  map[string]source.Pos
	needs   []string // the tasks that it waits for, once each
	waits   []*call  // the same
	rank    int      // longest way from the start of the dag
	dirs    []string // directories that it names: first folders, with their slash
	feeds   map[string][]port
	variant *variant
}

// link indexes the templates, follows the calls from the entrypoint, and parses
// every reference.
func (r *reader) link() error {
	for _, t := range r.w.Templates {
		if t == nil {
			continue
		}
		if err := r.addTemplate(t); err != nil {
			return err
		}
	}
	entry, ok := r.templates[r.w.Entrypoint.S]
	if !ok {
		err := r.errorf(r.w.Entrypoint.Pos, "entrypoint: there is no template %q", r.w.Entrypoint.S)
		return near(err, r.w.Entrypoint.S, keys(r.templates))
	}
	if entry.Container != nil {
		entry = r.wrap(entry)
	}
	r.root = entry
	return r.follow()
}

func (r *reader) addTemplate(t *template) error {
	switch {
	case t.Name.S == "":
		return r.errorf(t.Pos, "a template has no name")
	case r.templates[t.Name.S] != nil:
		return r.errorf(t.Name.Pos, "there are two templates %q", t.Name.S).
			WithMend("the first is on line %d", r.templates[t.Name.S].Name.Pos.Line)
	case t.Container == nil && t.DAG == nil:
		return r.errorf(t.Pos, "template %q has neither a container nor a dag", t.Name.S)
	case t.Container != nil && t.DAG != nil:
		return r.errorf(t.Pos, "template %q has a container and a dag; it must be one of them", t.Name.S)
	}
	r.templates[t.Name.S] = &tmpl{template: t, globals: map[string]bool{}, outputs: map[string]*output{}}
	return nil
}

// wrap returns a dag whose only task runs the container template that is the
// entrypoint, so that a run always has a task.
func (r *reader) wrap(entry *tmpl) *tmpl {
	name := "entrypoint"
	for r.templates[name] != nil {
		name += "-dag"
	}
	single := &task{Name: entry.Name, Template: entry.Name, Pos: entry.Pos}
	seen := map[string]bool{}
	for _, p := range slices.Concat(r.w.Arguments.Parameters, entry.Inputs.Parameters) {
		if seen[p.Name.S] {
			continue
		}
		seen[p.Name.S] = true
		value := text{S: "{{inputs.parameters." + p.Name.S + "}}", Set: true, Pos: p.Pos}
		single.Arguments.Parameters = append(single.Arguments.Parameters, parameter{Name: p.Name, Value: value, Pos: p.Pos})
	}
	t := &tmpl{globals: map[string]bool{}, outputs: map[string]*output{}, template: &template{
		Name:   text{S: name, Set: true, Pos: entry.Pos},
		Inputs: entry.Inputs,
		DAG:    &dagTemplate{Tasks: []*task{single}, Pos: entry.Pos},
		Pos:    entry.Pos,
	}}
	r.templates[name] = t
	return t
}

// follow visits what the root reaches, depth first, and orders it so that
// callers come before what they call.
func (r *reader) follow() error {
	const open, done = 1, 2
	state := map[*tmpl]int{}
	var visit func(t *tmpl) error
	visit = func(t *tmpl) error {
		state[t] = open
		if err := r.linkTemplate(t); err != nil {
			return err
		}
		for _, c := range t.calls {
			if state[c.of] == open {
				return r.errorf(c.Pos, "task %q: template %q calls itself, without an end", c.Name.S, c.of.Name.S)
			}
			c.of.callers = append(c.of.callers, c)
			if state[c.of] == 0 {
				if err := visit(c.of); err != nil {
					return err
				}
			}
		}
		state[t] = done
		r.order = append(r.order, t)
		return nil
	}
	if err := visit(r.root); err != nil {
		return err
	}
	slices.Reverse(r.order)
	return nil
}

func (r *reader) linkTemplate(t *tmpl) error {
	if err := r.linkOutputs(t); err != nil {
		return err
	}
	if t.Container != nil {
		return r.linkContainer(t)
	}
	t.byName = make(map[string]*call, len(t.DAG.Tasks))
	for i, k := range t.DAG.Tasks {
		if k == nil {
			continue
		}
		c, err := r.linkTask(t, k)
		if err != nil {
			return err
		}
		c.index = i
		t.calls = append(t.calls, c)
		t.byName[k.Name.S] = c
	}
	if len(t.calls) == 0 {
		return r.errorf(t.DAG.Pos, "template %q: the dag has no tasks", t.Name.S)
	}
	for _, c := range t.calls {
		if err := r.linkNeeds(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) linkTask(t *tmpl, k *task) (*call, error) {
	switch {
	case k.Name.S == "":
		return nil, r.errorf(k.Pos, "template %q: a task has no name", t.Name.S)
	case t.byName[k.Name.S] != nil:
		return nil, r.errorf(k.Name.Pos, "template %q: there are two tasks %q", t.Name.S, k.Name.S).
			WithMend("the first is on line %d", t.byName[k.Name.S].Name.Pos.Line)
	case k.Template.S == "":
		return nil, r.errorf(k.Pos, "task %q names no template", k.Name.S)
	}
	of, ok := r.templates[k.Template.S]
	if !ok {
		err := r.errorf(k.Template.Pos, "task %q: there is no template %q", k.Name.S, k.Template.S)
		return nil, near(err, k.Template.S, keys(r.templates))
	}
	c := &call{task: k, in: t, of: of, args: map[string][]part{}, argPos: map[string]source.Pos{}}
	for _, p := range k.Arguments.Parameters {
		if err := r.linkArgument(c, p); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (r *reader) linkArgument(c *call, p parameter) error {
	what := "task " + quote(c.Name.S) + ": argument " + quote(p.Name.S)
	switch {
	case p.Name.S == "":
		return r.errorf(p.Pos, "task %q: an argument has no name", c.Name.S)
	case c.argPos[p.Name.S].Line > 0:
		return r.errorf(p.Pos, "%s is given twice", what)
	case p.ValueFrom != nil:
		return r.errorf(p.ValueFrom.Pos, "%s: `valueFrom` is not supported here yet", what).WithMend("give it a value")
	case p.Default.Set:
		return r.errorf(p.Default.Pos, "%s: an argument has a value, not a default", what)
	case !p.Value.Set:
		return r.errorf(p.Pos, "%s has no value", what)
	}
	parts, err := r.parse(p.Value)
	if err != nil {
		return err
	}
	c.args[p.Name.S], c.argPos[p.Name.S] = parts, p.Value.Pos
	return nil
}

// linkNeeds resolves what a task waits for: its dependencies, and the tasks that
// its arguments refer to.
func (r *reader) linkNeeds(c *call) error {
	seen := map[string]bool{}
	need := func(name string, pos source.Pos) error {
		other, ok := c.in.byName[name]
		if !ok {
			err := r.errorf(pos, "task %q: there is no task %q in template %q", c.Name.S, name, c.in.Name.S)
			return near(err, name, keys(c.in.byName))
		}
		if !seen[name] {
			seen[name] = true
			c.needs = append(c.needs, name)
			c.waits = append(c.waits, other)
		}
		return nil
	}
	for _, d := range c.Dependencies {
		if err := need(d.S, d.Pos); err != nil {
			return err
		}
	}
	for _, p := range c.Arguments.Parameters {
		for _, x := range refsOf(c.args[p.Name.S]) {
			switch x.kind {
			case refTask:
				if err := need(x.task, x.pos); err != nil {
					return err
				}
			case refRun, refOutputPath:
				return r.errorf(x.pos, "task %q: %s is not supported in an argument yet", c.Name.S, x.tag).
					WithMend("write it in the container")
			}
		}
	}
	return nil
}

func refsOf(parts []part) []*ref {
	var refs []*ref
	for _, p := range parts {
		if p.ref != nil {
			refs = append(refs, p.ref)
		}
	}
	return refs
}

func quote(s string) string { return `"` + s + `"` }

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
