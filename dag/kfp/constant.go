package kfp

import (
	"fmt"
	"slices"

	"github.com/wherry-ml/wherry/dag"
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
		t.refuse(finalStatus, about, src.Pos)
	default:
		var err error
		if src, err = t.runtimeValue(e.Name, about, spec.RuntimeValue); err != nil {
			return nil, err
		}
	}
	if sel := spec.ParameterExpressionSelector; sel != nil {
		src.Select = &dag.Expression{Language: "cel", Text: sel.Value, Pos: sel.Pos}
		t.refuse(expressionSelector, about, sel.Pos)
	}
	return src, nil
}

func (t *taskTranslator) runtimeValue(name, about string, v *valueOrRuntimeParameter) (*dag.Source, error) {
	switch {
	case v.RuntimeParameter != nil:
		t.refuse(runtimeParameter, about, v.RuntimeParameter.Pos)
		return &dag.Source{Input: v.RuntimeParameter.Value, Pos: v.RuntimeParameter.Pos}, nil
	case v.ConstantValue != nil:
		return t.constant(name, about, v.ConstantValue.get(), v.ConstantValue.Pos)
	case v.Constant.Set:
		return t.constant(name, about, v.Constant.Value, v.Constant.Pos)
	}
	return nil, t.errorf(v.Pos, "%s: runtimeValue has no constant", about)
}

func (t *taskTranslator) constant(name, about string, v any, pos source.Pos) (*dag.Source, error) {
	s, _ := v.(string)
	parts, _ := split(s, t.known)
	if !hasRef(parts) {
		typ, err := t.typeOf(name)
		if err == nil && typ != dag.TypeString { // which takes any value as text
			v, err = convert(typ, v)
		}
		if err != nil {
			return nil, t.errorf(pos, "%s %s", about, err)
		}
		return t.structured(v, pos), nil
	}
	joined := &dag.Source{Pos: pos}
	for _, part := range parts {
		src := &dag.Source{Constant: &dag.Constant{Value: part.Text}, Pos: pos}
		switch ref := part.Ref; {
		case ref == nil:
		case ref.Kind == dag.RefRun:
			src = &dag.Source{Run: ref.Name, Pos: pos}
		case ref.Kind == dag.RefWorkspace:
			src = &dag.Source{Run: "workspace_path", Pos: pos}
			t.out.Workspace = true
		case ref.Name == t.item:
			src = &dag.Source{Item: true, Pos: pos}
		default:
			var err error
			if src, err = t.input(text{ref.Name, pos}); err != nil {
				return nil, err
			}
		}
		joined.Concat = append(joined.Concat, src)
	}
	return joined, nil
}

// typeOf returns the type of the component's input; any where it has none.
func (t *taskTranslator) typeOf(name string) (dag.Type, error) {
	p := t.callee.InputDefinitions.Parameters.get(name)
	if p == nil {
		return dag.TypeAny, nil
	}
	return parseType(p.Value.ParameterType, p.Value.Type)
}

// structured returns a constant whose strings are left as they are; where they
// hold placeholders, that is not run yet.
func (t *taskTranslator) structured(v any, pos source.Pos) *dag.Source {
	found := false
	if hasPlaceholder(v) {
		eachString(v, func(s string) {
			parts, _ := split(s, t.known)
			for _, p := range parts {
				if p.Ref != nil {
					found = true
					t.mention[p.Ref.Name] = true
				}
			}
		})
	}
	if found {
		t.refuse(nestedPlaceholder, t.about, pos)
	}
	return &dag.Source{Constant: &dag.Constant{Value: v}, Pos: pos}
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

func hasRef(parts dag.Text) bool {
	return slices.ContainsFunc(parts, func(p dag.Part) bool { return p.Ref != nil })
}
