package kfp

import (
	"github.com/wherry-ml/wherry/dag/source"
	"go.yaml.in/yaml/v3"
)

// text is a string with its place in the file.
type text struct {
	Value string
	Pos   source.Pos
}

// UnmarshalSource reads a scalar as it is written.
func (t *text) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	t.Pos = source.PosOf(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	return d.Decode(n, &t.Value)
}

// value is any JSON value with its place; Set tells null from nothing.
type value struct {
	Value any
	Set   bool
	Pos   source.Pos
}

// UnmarshalSource reads any value.
func (v *value) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	v.Set, v.Pos = true, source.PosOf(n)
	return d.Decode(n, &v.Value)
}

// dict is a mapping with free keys, in the order of the file, each with the
// place of its key.
type dict[T any] struct {
	Items []entry[T]
	index map[string]int
}

type entry[T any] struct {
	Name  string
	Pos   source.Pos
	Value T
}

// UnmarshalSource reads a mapping strictly: no key twice.
func (m *dict[T]) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.Errorf(n, "must be a mapping")
	}
	m.Items = make([]entry[T], len(n.Content)/2)
	m.index = make(map[string]int, len(m.Items))
	for i := range m.Items {
		key, e := n.Content[2*i], &m.Items[i]
		if _, twice := m.index[key.Value]; twice {
			return d.Errorf(key, "%q is given twice", key.Value)
		}
		m.index[key.Value] = i
		e.Name, e.Pos = key.Value, source.PosOf(key)
		if err := d.Decode(n.Content[2*i+1], &e.Value); err != nil {
			return err
		}
	}
	return nil
}

// get returns the entry called name, or nil.
func (m *dict[T]) get(name string) *entry[T] {
	i, ok := m.index[name]
	if !ok {
		return nil
	}
	return &m.Items[i]
}

// names returns the keys in the order of the file.
func (m *dict[T]) names() []string {
	names := make([]string, len(m.Items))
	for i, e := range m.Items {
		names[i] = e.Name
	}
	return names
}
