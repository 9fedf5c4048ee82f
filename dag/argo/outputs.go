package argo

import (
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// output is an output parameter of a template.
type output struct {
	origins []dag.Origin // of a container
	sel     []part       // of a dag: one refTask
	flag    []part       // the value of the flag of the same name, where that is an origin
	file    string       // the file that is an origin, as people write it
	isFlag  bool
	pos     source.Pos
}

// outputsVar is the variable that names the directory of outputs in a container.
const outputsVar = "WHERRY_OUTPUTS"

// linkOutputs reads a template's declared outputs.
func (r *reader) linkOutputs(t *tmpl) error {
	t.declared = make(map[string]*parameter, len(t.Outputs.Parameters))
	t.results = map[string][]part{}
	for i := range t.Outputs.Parameters {
		p := &t.Outputs.Parameters[i]
		who := "template " + quote(t.Name.S) + ": output " + quote(p.Name.S)
		v := p.ValueFrom
		switch {
		case p.Name.S == "":
			return r.errorf(p.Pos, "template %q: an output parameter has no name", t.Name.S)
		case t.declared[p.Name.S] != nil:
			return r.errorf(p.Name.Pos, "%s is declared twice", who)
		case v == nil:
			return r.errorf(p.Pos, "%s needs valueFrom", who).WithMend("valueFrom: {path: /tmp/outputs/%s/data}", p.Name.S)
		case t.DAG != nil && !v.Parameter.Set:
			return r.errorf(v.Pos, "%s needs valueFrom.parameter: a task of the dag", who)
		case t.Container != nil && v.Parameter.Set:
			return r.errorf(v.Parameter.Pos, "%s: valueFrom.parameter is for a dag; a container has valueFrom.path", who)
		case t.Container != nil && !strings.HasPrefix(v.Path.S, "/"):
			return r.errorf(v.Pos, "%s needs valueFrom.path: an absolute path in the container", who)
		case t.Container != nil && strings.Contains(v.Path.S, "{{"):
			return r.errorf(v.Path.Pos, "%s: references in valueFrom.path are not supported yet", who)
		}
		t.declared[p.Name.S] = p
		if t.DAG != nil {
			parts, err := r.parse(v.Parameter)
			if err != nil {
				return err
			}
			if len(parts) != 1 || parts[0].ref == nil || parts[0].ref.kind != refTask {
				return r.errorf(v.Parameter.Pos, "%s: valueFrom.parameter must be {{tasks.T.outputs.parameters.P}}", who)
			}
			if v.Default.Set {
				return r.errorf(v.Default.Pos, "%s: a default of a dag's output is not supported yet", who)
			}
			t.results[p.Name.S] = parts
		}
	}
	return nil
}

// bindOutputs resolves every {{tasks.T.outputs.parameters.P}}: of arguments, and
// of the declared outputs of dags.
func (r *reader) bindOutputs() error {
	for _, t := range slices.Backward(r.order) { // what is called first
		for _, name := range keys(t.declared) {
			if err := r.bindDeclared(t, name); err != nil {
				return err
			}
		}
		for _, c := range t.calls {
			for _, p := range c.Arguments.Parameters {
				for _, x := range refsOf(c.args[p.Name.S]) {
					if x.kind != refTask {
						continue
					}
					if err := r.bindOutput(t, x); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (r *reader) bindDeclared(t *tmpl, name string) error {
	p := t.declared[name]
	out := &output{pos: p.Pos}
	if t.DAG != nil {
		out.sel = t.results[name]
		x := out.sel[0].ref
		if t.byName[x.task] == nil {
			err := r.errorf(x.pos, "template %q: output %q: there is no task %q in it", t.Name.S, name, x.task)
			return near(err, x.task, keys(t.byName))
		}
		if err := r.bindOutput(t, x); err != nil {
			return err
		}
	} else {
		out.file = p.ValueFrom.Path.S
		out.origins = []dag.Origin{{Path: out.file}}
		if d := p.ValueFrom.Default; d.Set {
			out.origins = append(out.origins, dag.Origin{Text: dag.Text{{Text: d.S}}})
		}
	}
	t.outputs[name] = out
	return nil
}

// bindOutput makes sure that the task that x names has the output that x names:
// declared; else a file that it seems to write, else the value of the flag of
// that name, in this order at the end of the run.
func (r *reader) bindOutput(t *tmpl, x *ref) error {
	of := t.byName[x.task].of
	if of.outputs[x.name] != nil {
		return nil
	}
	if of.DAG == nil {
		if out := of.infer(x.name); len(out.origins) > 0 {
			out.pos = x.pos
			of.outputs[x.name] = out
			return nil
		}
	}
	known := keys(of.declared)
	for _, f := range of.flags {
		if f.isValue && !slices.Contains(known, f.name) {
			known = append(known, f.name)
		}
	}
	err := r.errorf(x.pos, "%s: template %q has no output %q", x.tag, of.Name.S, x.name)
	if n := source.Nearest(x.name, slices.Clone(known)); n != "" {
		return err.WithMend("did you mean %q?", n)
	}
	if of.DAG != nil {
		return err.WithMend("declare it in the template's outputs.parameters with valueFrom.parameter")
	}
	return err.WithMend("declare it in outputs.parameters, write it to /tmp/outputs/%s/data or $%s/%s, or give --%s in args",
		x.name, outputsVar, x.name, x.name)
}

// infer finds where a container's undeclared output may come from.
func (t *tmpl) infer(name string) *output {
	out := &output{}
	if t.launcher() { // its Tuner has the value, wherever the file is said to be
		out.origins = []dag.Origin{{Path: "/tmp/outputs/" + name + "/data"}}
		return out
	}
	if t.mentions("/tmp/outputs/" + name) {
		out.file = "/tmp/outputs/" + name + "/data"
		out.origins = append(out.origins, dag.Origin{Path: out.file})
	}
	if t.mentions(outputsVar) {
		out.file = first(out.file, "$"+outputsVar+"/"+name)
		out.origins = append(out.origins, dag.Origin{Path: name})
	}
	for _, f := range slices.Backward(t.flags) { // the last one wins, as in argparse
		if f.name != name || !f.isValue || slices.ContainsFunc(refsOf(f.value), func(x *ref) bool { return x.kind == refUnknown }) {
			continue
		}
		value := t.podText(f.value)
		if value == nil {
			value = dag.Text{{}}
		}
		out.flag, out.isFlag = f.value, true
		out.origins = append(out.origins, dag.Origin{Text: value})
		break
	}
	return out
}

// launcher reports whether the template's container is a tuning step.
func (t *tmpl) launcher() bool {
	if t.Container == nil {
		return false
	}
	image, ok := literal(t.image)
	return ok && dag.Launcher(image) != ""
}

// mentions reports whether a container's command or arguments hold the word.
func (t *tmpl) mentions(word string) bool {
	for _, parts := range slices.Concat(t.command, t.args) {
		for _, p := range parts {
			rest := p.lit
			for {
				_, after, ok := strings.Cut(rest, word)
				if !ok {
					break
				}
				if after == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", rune(after[0])) {
					return true
				}
				rest = after
			}
		}
	}
	return false
}
