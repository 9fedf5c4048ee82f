package argo

import (
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// value is a text that may stand somewhere when the pipeline runs. An open one
// is the known start of a longer text.
type value struct {
	s    string
	open bool
}

// valueKey names what values are asked of: an argument of a task, an input of a
// template, or an output of a task.
type valueKey struct {
	in   any // *call or *tmpl
	name string
	out  bool
}

const (
	maxValues = 1000 // of one text; more say nothing new about directories
	maxDeep   = 5000 // how long a chain of references is followed
)

// remember returns the values under k, computed once. What refers to itself has
// no known value.
func (r *reader) remember(k valueKey, compute func() []value) []value {
	if v, ok := r.values[k]; ok || r.depth > maxDeep {
		return v
	}
	if r.values == nil {
		r.values = map[valueKey][]value{}
	}
	r.values[k] = nil
	r.depth++
	v := compute()
	r.depth--
	r.values[k] = v
	return v
}

// join returns the values of a text, given those of its references. A reference
// without a known value leaves the text open.
func join(parts []part, lookup func(*ref) []value) []value {
	out := []value{{}}
	for _, p := range parts {
		next := []value{{s: p.lit}}
		if p.ref != nil {
			if next = lookup(p.ref); len(next) == 0 {
				next = []value{{open: true}}
			}
		}
		out = product(out, next)
	}
	return out
}

func product(heads, tails []value) []value {
	var out []value
	seen := map[value]bool{}
	for _, h := range heads {
		for _, t := range tails {
			v := h
			if !h.open {
				v = value{h.s + t.s, t.open}
			}
			if !seen[v] && len(out) < maxValues {
				seen[v] = true
				out = append(out, v)
			}
		}
	}
	return out
}

// textOf returns the values of a text of the container that c runs.
func (r *reader) textOf(c *call, parts []part) []value {
	return join(parts, func(x *ref) []value {
		switch x.kind {
		case refInput:
			return r.argument(c, x.name)
		case refGlobal:
			return r.input(r.root, x.name)
		case refOutputPath:
			return []value{{s: c.of.declared[x.name].ValueFrom.Path.S}}
		}
		return nil
	})
}

// argument returns the values that c gives to an input of the template.
func (r *reader) argument(c *call, name string) []value {
	return r.remember(valueKey{in: c, name: name}, func() []value {
		parts, ok := c.args[name]
		if !ok {
			return defaultOf(c.of.inputs[name])
		}
		return r.inDAG(c.in, parts)
	})
}

// inDAG returns the values of a text among the tasks of t.
func (r *reader) inDAG(t *tmpl, parts []part) []value {
	return join(parts, func(x *ref) []value {
		switch x.kind {
		case refInput:
			return r.input(t, x.name)
		case refGlobal:
			return r.input(r.root, x.name)
		case refTask:
			return r.result(t.byName[x.task], x.name)
		}
		return nil
	})
}

// input returns the values of an input of a template, from all its callers.
func (r *reader) input(t *tmpl, name string) []value {
	return r.remember(valueKey{in: t, name: name}, func() []value {
		if t == r.root {
			if x, ok := r.o.Parameters[name]; ok {
				return []value{{s: dag.FormatValue(x)}}
			}
			return defaultOf(t.inputs[name])
		}
		var out []value
		seen := map[value]bool{}
		for _, c := range t.callers {
			for _, v := range r.argument(c, name) {
				if !seen[v] && len(out) < maxValues {
					seen[v] = true
					out = append(out, v)
				}
			}
		}
		return out
	})
}

func defaultOf(p *dag.Parameter) []value {
	if p == nil || !p.HasDefault {
		return nil
	}
	return []value{{s: dag.FormatValue(p.Default)}}
}

// result returns the values of an output of a task, as far as they are known
// before it has run: those of its flag.
func (r *reader) result(c *call, name string) []value {
	return r.remember(valueKey{in: c, name: name, out: true}, func() []value {
		switch out := c.of.outputs[name]; {
		case out == nil:
			return nil
		case out.sel != nil:
			return r.inDAG(c.of, out.sel)
		case out.isFlag:
			return r.textOf(c, out.flag)
		}
		return nil
	})
}

// folder returns the first folder of an absolute path, "/data" of
// "/data/raw.csv", and "" where there is none that could be a directory of the
// run.
func (r *reader) folder(v value) string {
	s := v.s
	if v.open { // the last name may go on
		s = s[:strings.LastIndex(s, "/")+1]
	}
	if !strings.HasPrefix(s, "/") {
		return ""
	}
	return r.folderOf(s)
}
