package argo

import (
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// bindInputs gives each template its inputs, and checks that all references to
// inputs and to the workflow's parameters stand for something, and that each
// task gives what the template that it runs uses.
func (r *reader) bindInputs() error {
	globals, err := r.declaredInputs("workflowSpec", r.w.Arguments.Parameters)
	if err != nil {
		return err
	}
	r.globals = globals
	for _, t := range r.order { // callers first: what they give is known
		if err := r.bindTemplate(t); err != nil {
			return err
		}
	}
	for _, t := range slices.Backward(r.order) { // what is called first: what it uses is known
		for _, x := range t.references() {
			if x.kind == refGlobal {
				t.globals[x.name] = true
			}
		}
		for _, c := range t.calls {
			for name := range c.of.globals {
				t.globals[name] = true
			}
		}
	}
	return nil
}

// references returns all references of a template's body.
func (t *tmpl) references() []*ref {
	refs := slices.Clone(t.refs)
	for _, c := range t.calls {
		for _, p := range c.Arguments.Parameters {
			refs = append(refs, refsOf(c.args[p.Name.S])...)
		}
	}
	return refs
}

// declaredInputs reads a list of parameters that may have a default, under the
// name value or default.
func (r *reader) declaredInputs(who string, list []parameter) (map[string]*dag.Parameter, error) {
	out := map[string]*dag.Parameter{}
	for _, p := range list {
		if p.Name.S == "" {
			return nil, r.errorf(p.Pos, "%s: a parameter has no name", who)
		}
		if out[p.Name.S] != nil {
			return nil, r.errorf(p.Name.Pos, "%s: parameter %q is given twice", who, p.Name.S)
		}
		if p.ValueFrom != nil {
			return nil, r.errorf(p.ValueFrom.Pos, "%s: parameter %q: `valueFrom` is not supported here yet", who, p.Name.S)
		}
		x := &dag.Parameter{Type: dag.TypeString, Description: p.Description.S, Pos: p.Pos}
		value := p.Value
		if !value.Set {
			value = p.Default
		}
		if value.Set {
			parts, err := r.parse(value)
			if err != nil {
				return nil, err
			}
			if refs := refsOf(parts); len(refs) > 0 {
				return nil, r.errorf(refs[0].pos, "%s: parameter %q: a reference in a default is not supported yet", who, p.Name.S)
			}
			x.HasDefault, x.Default = true, value.S
		}
		for _, e := range p.Enum {
			x.Literals = append(x.Literals, e.S)
		}
		out[p.Name.S] = x
	}
	return out, nil
}

func (r *reader) bindTemplate(t *tmpl) error {
	declared, err := r.declaredInputs("template "+quote(t.Name.S), t.Inputs.Parameters)
	if err != nil {
		return err
	}
	t.inputs = declared
	if t == r.root { // the workflow calls it
		for name, p := range r.globals {
			if d := declared[name]; d != nil && p.HasDefault {
				d.HasDefault, d.Default = true, p.Default
			} else if d == nil {
				t.inputs[name] = p
			}
		}
	}
	r.inferInputs(t)
	used := map[string]*ref{}
	for _, x := range t.references() {
		if err := r.checkInput(t, x); err != nil {
			return err
		}
		if x.kind == refInput && used[x.name] == nil {
			used[x.name] = x
		}
	}
	return r.checkCallers(t, used)
}

// inferInputs makes what the callers of t give its inputs.
func (r *reader) inferInputs(t *tmpl) {
	for _, c := range t.callers {
		for _, p := range c.Arguments.Parameters {
			if t.inputs[p.Name.S] == nil {
				t.inputs[p.Name.S] = &dag.Parameter{Type: dag.TypeString, Pos: c.argPos[p.Name.S]}
				t.inferred = append(t.inferred, p.Name.S)
			}
		}
	}
}

// checkInput refuses a reference to an input that the template doesn't have.
func (r *reader) checkInput(t *tmpl, x *ref) error {
	switch {
	case x.kind == refGlobal && r.globals[x.name] == nil:
		err := r.errorf(x.pos, "template %q: %s: the workflow's arguments have no parameter %q", t.Name.S, x.tag, x.name)
		return near(err, x.name, keys(r.globals))
	case x.kind == refInput && t.inputs[x.name] == nil:
		who := "no task that runs it gives"
		if t == r.root {
			who = "the workflow's arguments don't give"
		}
		err := r.errorf(x.pos, "template %q: %s: %s parameter %q", t.Name.S, x.tag, who, x.name)
		return near(err, x.name, keys(t.inputs))
	}
	return nil
}

// checkCallers refuses a task that doesn't give an input without which the
// template can't run. An inferred input that the template doesn't use is
// optional.
func (r *reader) checkCallers(t *tmpl, used map[string]*ref) error {
	for _, name := range t.inferred {
		t.inputs[name].Optional = used[name] == nil
	}
	for _, name := range keys(t.inputs) {
		p := t.inputs[name]
		if p.HasDefault || p.Optional {
			continue
		}
		for _, c := range t.callers {
			if _, given := c.args[name]; given {
				continue
			}
			return near(r.missing(c, name, used[name]), name, keys(c.args))
		}
	}
	return nil
}

func (r *reader) missing(c *call, name string, use *ref) *source.Error {
	if use == nil {
		return r.errorf(c.Pos, "task %q: template %q needs parameter %q", c.Name.S, c.of.Name.S, name)
	}
	return r.errorf(c.Pos, "task %q: template %q needs parameter %q (used on line %d)", c.Name.S, c.of.Name.S, name, use.pos.Line)
}
