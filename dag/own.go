package dag

import (
	"fmt"
	"maps"
)

// own returns the value of a source that is made of the execution's own inputs:
// an importer's metadata, a pod's task config. An input without a value is null,
// and nothing in a text.
func (r render) own(src *Source) (any, error) {
	switch {
	case src.Constant != nil:
		return src.Constant.Value, nil
	case src.Input != "":
		return r.node.exec.Inputs.Parameters[src.Input], nil
	case src.Run != "":
		return runValue(r.run, r.node, src.Run)
	case src.Concat != nil:
		text := ""
		for _, part := range src.Concat {
			x, err := r.own(part)
			if err != nil {
				return nil, err
			}
			if x != nil {
				text += FormatValue(x)
			}
		}
		return text, nil
	case src.List != nil:
		list := make([]any, len(src.List))
		for i, item := range src.List {
			var err error
			if list[i], err = r.own(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case src.Fields != nil:
		return r.ownFields(src)
	}
	return nil, fmt.Errorf("its source can't be evaluated")
}

func (r render) ownFields(src *Source) (any, error) {
	fields := make(map[string]any, len(src.Fields))
	for _, name := range sortedKeys(src.Fields) {
		x, err := r.own(src.Fields[name])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		if key := src.Keys[name]; key != nil {
			k, err := r.own(key)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
			name = FormatValue(k)
		}
		fields[name] = x
	}
	return fields, nil
}

// metadata returns an importer's metadata.
func (r render) metadata() (map[string]any, error) {
	src := r.node.comp.Importer.Metadata
	if src == nil {
		return map[string]any{}, nil
	}
	x, err := r.own(src)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	m, ok := x.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("metadata must be a struct, not %s", clip(jsonText(x), 60))
	}
	return maps.Clone(m), nil
}

// withTaskConfig adds the value of the inputs that receive the task's own
// configuration. It is part of no execution's record, as it says nothing that the
// pod doesn't.
func (r render) withTaskConfig(v Values) Values {
	if r.node.comp.Pod == nil || r.node.comp.Pod.TaskConfig == nil {
		return v
	}
	config, err := r.own(r.node.comp.Pod.TaskConfig)
	if err != nil {
		return v // only of a run-wide placeholder that has no value
	}
	parameters := maps.Clone(v.Parameters)
	if parameters == nil {
		parameters = map[string]any{}
	}
	for name, p := range r.node.comp.Inputs.Parameters {
		if p.Type == TypeTaskConfig {
			parameters[name] = config
		}
	}
	return Values{Parameters: parameters, Artifacts: v.Artifacts}
}
