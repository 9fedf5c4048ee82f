package source

import "go.yaml.in/yaml/v3"

// Text is a scalar as it is written, whatever its YAML type: where a format's values are
// text, people write numbers. Set is false for null and for what is not there.
type Text struct {
	S   string
	Set bool
	Pos Pos
}

// UnmarshalSource implements Unmarshaler.
func (t *Text) UnmarshalSource(d *Decoder, n *yaml.Node) error {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		t.Pos = PosOf(n)
	case n.Kind == yaml.ScalarNode:
		*t = Text{S: n.Value, Set: true, Pos: PosOf(n)}
	case n.Kind == yaml.SequenceNode:
		return d.Errorf(n, "must be text, not a list")
	default:
		return d.Errorf(n, "must be text, not a mapping")
	}
	return nil
}
