package kfp

import (
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/cel"
	"github.com/wherry-ml/wherry/dag/source"
)

// parameter returns where an input parameter's value comes from.
func (t *taskTranslator) parameter(e *entry[taskInputParameter]) (*dag.Source, error) {
	spec, about := &e.Value, fmt.Sprintf("%s: input %q", t.about, e.Name)
	var src *dag.Source
	if n := count(spec.TaskOutputParameter != nil, spec.RuntimeValue != nil,
		spec.ComponentInputParameter != nil, spec.TaskFinalStatus != nil); n != 1 {
		return nil, t.errorf(spec.Pos, "%s needs exactly one source, not %d", about, n)
	}
	switch {
	case spec.TaskOutputParameter != nil:
		o := spec.TaskOutputParameter
		src = &dag.Source{Task: o.ProducerTask.Value, Output: o.OutputParameterKey.Value, Pos: o.ProducerTask.Pos}
		if src.Task == "" || src.Output == "" {
			return nil, t.errorf(spec.Pos, "%s: taskOutputParameter needs producerTask and outputParameterKey", about)
		}
	case spec.ComponentInputParameter != nil:
		src = &dag.Source{Input: spec.ComponentInputParameter.Value, Pos: spec.ComponentInputParameter.Pos}
	case spec.TaskFinalStatus != nil:
		src = &dag.Source{Status: spec.TaskFinalStatus.ProducerTask.Value, Pos: spec.TaskFinalStatus.ProducerTask.Pos}
	default:
		var err error
		if src, err = t.runtimeValue(e.Name, about, spec.RuntimeValue); err != nil {
			return nil, err
		}
	}
	if sel := spec.ParameterExpressionSelector; sel != nil {
		if err := t.checkExpression("parameterExpressionSelector", *sel, cel.CheckSelector); err != nil {
			return nil, err
		}
		src.Select = &dag.Expression{Language: "cel", Text: sel.Value, Pos: sel.Pos}
	}
	return src, nil
}

func (t *taskTranslator) runtimeValue(name, about string, v *valueOrRuntimeParameter) (*dag.Source, error) {
	switch {
	case v.RuntimeParameter != nil:
		return &dag.Source{Input: v.RuntimeParameter.Value, Pos: v.RuntimeParameter.Pos}, nil
	case v.ConstantValue != nil:
		return t.constant(name, about, v.get(), v.ConstantValue.Pos)
	case v.Constant.Set:
		return t.constant(name, about, v.get(), v.Constant.Pos)
	}
	return nil, t.errorf(v.Pos, "%s: runtimeValue has no constant", about)
}

func (t *taskTranslator) constant(name, about string, v any, pos source.Pos) (*dag.Source, error) {
	s, _ := v.(string)
	if strings.Contains(s, "{{channel:") {
		t.out.Notes = append(t.out.Notes, fmt.Sprintf("%s:%d: %s holds \"{{channel:…}}\", where the kfp SDK could not put a list or dict into an f-string: hand the value over as an input of its own", t.file.Name, pos.Line, about))
	}
	if parts, _ := split(s, t.known); !hasRef(parts) {
		typ, err := t.typeOf(name)
		if err == nil && typ != dag.TypeString { // which takes any value as text
			v, err = convert(typ, v)
		}
		if err != nil {
			return nil, t.errorf(pos, "%s %s", about, err)
		}
	}
	return t.value(v, pos)
}

// value returns a constant of this task; its placeholders stand for other inputs
// of the task.
func (t *taskTranslator) value(v any, pos source.Pos) (*dag.Source, error) {
	b := builder{known: t.known, pos: pos, ref: func(ref dag.Ref) (*dag.Source, error) {
		switch {
		case ref.Kind == dag.RefRun:
			return &dag.Source{Run: ref.Name, Pos: pos}, nil
		case ref.Kind == dag.RefWorkspace:
			t.out.Workspace = true
			return &dag.Source{Run: "workspace_path", Pos: pos}, nil
		case ref.Name == t.item:
			return &dag.Source{Item: true, Pos: pos}, nil
		}
		return t.input(text{ref.Name, pos})
	}}
	return b.source(v)
}

// typeOf returns the type of the component's input; any where it has none.
func (t *taskTranslator) typeOf(name string) (dag.Type, error) {
	p := t.callee.InputDefinitions.Parameters.get(name)
	if p == nil {
		return dag.TypeAny, nil
	}
	return parseType(p.Value.ParameterType, p.Value.Type)
}

// known reports whether a placeholder in a constant of this task stands for
// something; the text of any other is the person's own.
func (t *taskTranslator) known(ref dag.Ref) bool {
	switch ref.Kind {
	case dag.RefInputValue:
		return ref.Name == t.item && t.item != "" || t.spec.Inputs.Parameters.get(ref.Name) != nil
	case dag.RefRun, dag.RefWorkspace:
		return true
	}
	return false
}
