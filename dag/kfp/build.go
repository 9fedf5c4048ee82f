package kfp

import (
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// builder makes sources of values in whose strings placeholders may stand, at any
// depth and in the keys of structs too. As in the backend, which replaces them in
// the JSON text of the whole, a string that holds one stays a string, also when
// it is all of it.
type builder struct {
	known func(dag.Ref) bool                 // what else looks like a placeholder is the person's own text
	ref   func(dag.Ref) (*dag.Source, error) // what a known one stands for
	pos   source.Pos
}

func (b *builder) source(v any) (*dag.Source, error) {
	if !hasKnown(v, b.known) {
		return b.constant(v), nil
	}
	src, _, err := b.build(v)
	return src, err
}

func (b *builder) constant(v any) *dag.Source {
	return &dag.Source{Constant: &dag.Constant{Value: v}, Pos: b.pos}
}

// build reports, besides the source, whether v holds a placeholder.
func (b *builder) build(v any) (*dag.Source, bool, error) {
	switch v := v.(type) {
	case string:
		return b.text(v)
	case []any:
		return b.list(v)
	case map[string]any:
		return b.fields(v)
	}
	return b.constant(v), false, nil
}

func (b *builder) list(v []any) (*dag.Source, bool, error) {
	out, found := &dag.Source{List: make([]*dag.Source, len(v)), Pos: b.pos}, false
	for i, item := range v {
		src, has, err := b.build(item)
		if err != nil {
			return nil, false, err
		}
		out.List[i], found = src, found || has
	}
	if !found {
		return b.constant(v), false, nil
	}
	return out, true, nil
}

func (b *builder) fields(v map[string]any) (*dag.Source, bool, error) {
	out, found := &dag.Source{Fields: make(map[string]*dag.Source, len(v)), Pos: b.pos}, false
	for _, name := range keys(v) {
		src, has, err := b.build(v[name])
		if err != nil {
			return nil, false, err
		}
		out.Fields[name], found = src, found || has
		key, has, err := b.text(name)
		if err != nil {
			return nil, false, err
		}
		if has {
			put(&out.Keys, name, key)
			found = true
		}
	}
	if !found {
		return b.constant(v), false, nil
	}
	return out, true, nil
}

func (b *builder) text(s string) (*dag.Source, bool, error) {
	parts, _ := split(s, b.known)
	if !hasRef(parts) {
		return b.constant(s), false, nil
	}
	out := &dag.Source{Pos: b.pos}
	for _, part := range parts {
		src := b.constant(part.Text)
		if part.Ref != nil {
			var err error
			if src, err = b.ref(*part.Ref); err != nil {
				return nil, false, err
			}
		}
		out.Concat = append(out.Concat, src)
	}
	return out, true, nil
}

// hasKnown reports whether a string anywhere in v, keys included, holds a known
// placeholder.
func hasKnown(v any, known func(dag.Ref) bool) bool {
	found := false
	eachString(v, func(s string) {
		if !found {
			parts, _ := split(s, known)
			found = hasRef(parts)
		}
	})
	return found
}

// refers reports whether a string anywhere in v holds a placeholder for an input.
func refers(v any, known func(dag.Ref) bool) bool {
	return hasKnown(v, func(ref dag.Ref) bool { return ref.Kind == dag.RefInputValue && known(ref) })
}

func hasRef(parts dag.Text) bool {
	return slices.ContainsFunc(parts, func(p dag.Part) bool { return p.Ref != nil })
}

// own returns the source of a value of component c itself: its placeholders stand
// for c's inputs.
func (t *translator) own(c *dag.Component, v any, pos source.Pos) (*dag.Source, error) {
	b := builder{pos: pos,
		known: func(ref dag.Ref) bool {
			return ref.Kind == dag.RefRun || ref.Kind == dag.RefInputValue && c.Inputs.Parameters[ref.Name] != nil
		},
		ref: func(ref dag.Ref) (*dag.Source, error) {
			if ref.Kind == dag.RefRun {
				return &dag.Source{Run: ref.Name, Pos: pos}, nil
			}
			return &dag.Source{Input: ref.Name, Pos: pos}, nil
		}}
	return b.source(v)
}
