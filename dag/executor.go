package dag

import "fmt"

// executorOutput is the name of the file that a component with the executor
// contract writes in its outputs directory.
const executorOutput = "executor_output.json"

// executorInput is the JSON that KFP's launcher gives for {{$}}: camelCase, an
// outputFile for each output parameter, dirname(outputFile) is the task's root.
func (r render) executorInput() string {
	inputs := map[string]any{}
	if len(r.inputs().Parameters) > 0 {
		inputs["parameterValues"] = r.inputs().Parameters
	}
	if len(r.inputs().Artifacts) > 0 {
		artifacts := map[string]any{}
		for name, list := range r.inputs().Artifacts {
			artifacts[name] = r.artifactJSON(list)
		}
		inputs["artifacts"] = artifacts
	}
	outputs := map[string]any{"outputFile": r.dir + "/" + executorOutput}
	if o := r.node.comp.Outputs; len(o.Parameters) > 0 {
		parameters := map[string]any{}
		for name := range o.Parameters {
			parameters[name] = map[string]any{"outputFile": r.parameterPath(name)}
		}
		outputs["parameters"] = parameters
	}
	if o := r.node.comp.Outputs; len(o.Artifacts) > 0 {
		artifacts := map[string]any{}
		for name := range o.Artifacts {
			artifacts[name] = r.artifactJSON([]Artifact{r.outputArtifact(name)})
		}
		outputs["artifacts"] = artifacts
	}
	return jsonText(map[string]any{"inputs": inputs, "outputs": outputs})
}

// artifactJSON is KFP's ArtifactList.
func (r render) artifactJSON(list []Artifact) any {
	items := make([]any, len(list))
	for i, a := range list {
		metadata := a.Metadata
		if metadata == nil {
			metadata = map[string]any{}
		}
		items[i] = map[string]any{
			"name": a.Name, "uri": a.URI, "metadata": metadata,
			"type": map[string]any{"schemaTitle": a.Type, "schemaVersion": a.Version},
		}
	}
	return map[string]any{"artifacts": items}
}

// executorResult is what a component wrote to its executor output file.
type executorResult struct {
	parameters map[string]any
	artifacts  map[string][]Artifact // Metadata, and URI where the component changed it
}

// readExecutorOutput reads the executor output file at path.
func readExecutorOutput(path string) (*executorResult, error) {
	text, err := readParameter(path)
	if err != nil {
		return nil, fmt.Errorf("the executor output file: %w", err)
	}
	x, err := ParseJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the executor output file is not JSON: %w", err)
	}
	doc, ok := x.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the executor output file holds %s, not a JSON object", clip(jsonText(x), 60))
	}
	for _, field := range []string{"parameterValues", "artifacts"} {
		if _, ok := doc[field].(map[string]any); !ok && doc[field] != nil {
			return nil, fmt.Errorf("the executor output file: %s is not a JSON object", field)
		}
	}
	res := &executorResult{artifacts: map[string][]Artifact{}}
	res.parameters, _ = doc["parameterValues"].(map[string]any)
	lists, _ := doc["artifacts"].(map[string]any)
	for name, list := range lists {
		entry, _ := list.(map[string]any)
		items, _ := entry["artifacts"].([]any)
		for _, item := range items {
			m, _ := item.(map[string]any)
			if custom, _ := m["custom_path"].(string); custom != "" {
				return nil, fmt.Errorf("artifact %q: custom_path (%s) is not supported yet: write it to its own path", name, custom)
			}
			a := Artifact{Name: name}
			a.URI, _ = m["uri"].(string)
			a.Metadata, _ = m["metadata"].(map[string]any)
			res.artifacts[name] = append(res.artifacts[name], a)
		}
	}
	return res, nil
}
