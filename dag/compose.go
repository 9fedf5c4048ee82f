package dag

import (
	"errors"
	"fmt"
	"maps"
	"strings"
)

// compose returns the value of a source that is made of others; value evaluates
// these. What has no value is null, and nothing in a text.
func (s *Source) compose(value func(*Source) (any, error)) (any, error) {
	switch {
	case s.Concat != nil:
		var text strings.Builder
		for _, part := range s.Concat {
			x, err := value(part)
			if err != nil {
				return nil, err
			}
			if x != nil {
				text.WriteString(FormatValue(x))
			}
		}
		return text.String(), nil
	case s.List != nil:
		list := make([]any, len(s.List))
		for i, item := range s.List {
			var err error
			if list[i], err = value(item); err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
		}
		return list, nil
	case s.Fields != nil:
		return s.composeFields(value)
	}
	return nil, errors.New("its source can't be evaluated")
}

func (s *Source) composeFields(value func(*Source) (any, error)) (any, error) {
	fields := make(map[string]any, len(s.Fields))
	for _, name := range sortedKeys(s.Fields) {
		x, err := value(s.Fields[name])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		if key := s.Keys[name]; key != nil {
			k, err := value(key)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
			name = FormatValue(k)
		}
		fields[name] = x
	}
	return fields, nil
}

// own returns the value of a source that is made of the execution's own inputs:
// an importer's metadata, a pod's task config.
func (r render) own(src *Source) (any, error) {
	switch {
	case src.Constant != nil:
		return src.Constant.Value, nil
	case src.Input != "":
		return r.node.exec.Inputs.Parameters[src.Input], nil
	case src.Run != "":
		return runValue(r.run, r.node, src.Run)
	}
	return src.compose(r.own)
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
