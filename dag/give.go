package dag

import (
	"fmt"
	"maps"
)

// GiveArtifacts binds the artifacts that the pipeline itself takes as inputs to
// what the person named: given is by input name, each a path or URI. Each becomes a
// task that imports it, so that a run has nothing else to know. It takes the names
// that are artifacts out of given.
func (p *Pipeline) GiveArtifacts(given map[string]string) error {
	root := p.Components[p.Root]
	for _, name := range sortedKeys(root.Inputs.Artifacts) {
		port := root.Inputs.Artifacts[name]
		uri, ok := given[name]
		delete(given, name)
		switch {
		case !ok && port.Optional:
			continue
		case !ok:
			return &ParameterError{Name: name, Msg: "is an artifact that the pipeline needs, and is not given", Mend: fmt.Sprintf("-p %s=PATH, or a URI", name)}
		case port.List:
			return &ParameterError{Name: name, Msg: "is a list of artifacts, which can't be given from outside", Mend: "import them in the pipeline (dsl.importer)"}
		case uri == "":
			return &ParameterError{Name: name, Msg: "is an artifact, and its URI is empty", Mend: fmt.Sprintf("-p %s=PATH, or a URI", name)}
		}
		p.importRoot(name, uri)
	}
	return nil
}

// importRoot adds an importer to the root graph, and makes it the source of
// everything that reads the root's input.
func (p *Pipeline) importRoot(input, uri string) {
	root := p.Components[p.Root]
	const output = "artifact"
	task := "import-" + input
	for root.Graph.Tasks[task] != nil || p.Components[task] != nil {
		task += "-"
	}
	port := root.Inputs.Artifacts[input]
	p.Given = maps.Clone(p.Given)
	if p.Given == nil {
		p.Given = map[string]string{}
	}
	p.Given[input] = task
	p.Components[task] = &Component{
		Name: task, Pos: root.Pos,
		Importer: &Importer{URI: &Source{Constant: &Constant{Value: uri}}, Type: port.Type},
		Outputs:  Outputs{Artifacts: map[string]*OutputArtifact{output: {Type: port.Type, Pos: root.Pos}}},
	}
	imported := &Source{Task: task, Output: output}
	for _, t := range root.Graph.Tasks {
		t.Artifacts = maps.Clone(t.Artifacts)
		for name, src := range t.Artifacts {
			if src.Input == input {
				t.Artifacts[name] = imported
			}
		}
		if it := t.Iterate; it != nil && it.Artifact && it.Items.Input == input {
			it.Items = imported
		}
	}
	root.Graph.Tasks[task] = &Task{Name: task, Component: task, Pos: root.Pos}
	delete(root.Inputs.Artifacts, input)
}

// GivenArtifact reports whether name is an input artifact that GiveArtifacts bound.
func (p *Pipeline) GivenArtifact(name string) bool { return p.Given[name] != "" }

// GiveAgain binds such an input to another path or URI.
func (p *Pipeline) GiveAgain(name, uri string) {
	c := *p.Components[p.Given[name]]
	importer := *c.Importer
	importer.URI = &Source{Constant: &Constant{Value: uri}}
	c.Importer = &importer
	p.Components[c.Name] = &c
}
