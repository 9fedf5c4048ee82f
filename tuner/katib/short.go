package katib

import (
	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/tuner"
)

// Short makes a trialTemplate of what is less than one: a container (a mapping with
// image and perhaps command, args, env, resources; and checkpoint), or a Job, Pod or training job. Its
// trial parameters are the experiment's own, under their names. What is a whole
// trialTemplate is returned as it is; nil where n is none of them.
func Short(e *tuner.Experiment, n *yaml.Node) *yaml.Node {
	spec := n
	checkpoint := child(n, "checkpoint")
	switch {
	case has(n, "trialSpec") || has(n, "configMap"):
		return n
	case has(n, "image") && !has(n, "kind"):
		n = without(n, "checkpoint")
		if !has(n, "name") {
			c := *n
			c.Content = append([]*yaml.Node{word(n, "name"), word(n, "main")}, n.Content...)
			n = &c
		}
		spec = mapping(n, word(n, "containers"), &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{n}, Line: n.Line, Column: n.Column})
	case !has(n, "kind"):
		return nil
	}
	parameters := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Column: n.Column}
	for _, p := range e.Parameters {
		parameters.Content = append(parameters.Content, mapping(n, word(n, "name"), word(n, p.Name), word(n, "reference"), word(n, p.Name)))
	}
	template := mapping(n, word(n, "trialSpec"), spec, word(n, "trialParameters"), parameters, word(n, "primaryContainerName"), word(n, firstContainer(spec)))
	if checkpoint != nil {
		template.Content = append(template.Content, word(n, "checkpoint"), checkpoint)
	}
	return template
}

// without is a mapping without a field.
func without(n *yaml.Node, name string) *yaml.Node {
	c := *n
	c.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != name {
			c.Content = append(c.Content, n.Content[i], n.Content[i+1])
		}
	}
	return &c
}

// firstContainer is the name of the container whose metrics count where nobody says.
func firstContainer(spec *yaml.Node) string {
	for _, path := range [][]string{{"containers"}, {"spec", "containers"}, {"spec", "template", "spec", "containers"}} {
		if list := child(spec, path...); list != nil && list.Kind == yaml.SequenceNode && len(list.Content) > 0 {
			return field(list.Content[0], "name")
		}
	}
	return ""
}

func word(at *yaml.Node, s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: at.Line, Column: at.Column}
}

func mapping(at *yaml.Node, content ...*yaml.Node) *yaml.Node {
	pos := source.PosOf(at)
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: content, Line: pos.Line, Column: pos.Col}
}
