package dag

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

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
			artifacts[name] = r.artifactJSON(r.asPaths(list))
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
	elsewhere  map[string]string     // custom_path, by the artifact's name
}

// notANumber is what Python writes for floats that JSON does not have.
var notANumber = regexp.MustCompile(`\b(NaN|-?Infinity)\b`)

// readExecutorOutput reads the executor output file.
func readExecutorOutput(file string) (*executorResult, error) {
	text, err := readParameter(file)
	if err != nil {
		return nil, fmt.Errorf("the executor output file: %w", err)
	}
	x, err := ParseJSON([]byte(text))
	if err != nil {
		if where := notANumber.FindString(text); where != "" {
			return nil, fmt.Errorf("%s is not a number that JSON can hold: a metric or a value that the component returned (%s)", where, clip(text[max(0, strings.Index(text, where)-40):], 60))
		}
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
	res := &executorResult{artifacts: map[string][]Artifact{}, elsewhere: map[string]string{}}
	res.parameters, _ = doc["parameterValues"].(map[string]any)
	lists, _ := doc["artifacts"].(map[string]any)
	for _, name := range sortedKeys(lists) {
		entry, _ := lists[name].(map[string]any)
		items, _ := entry["artifacts"].([]any)
		for _, item := range items {
			m, _ := item.(map[string]any)
			if err := res.addElsewhere(name, m); err != nil {
				return nil, err
			}
			a := Artifact{Name: name}
			a.URI, _ = m["uri"].(string)
			a.Metadata, _ = m["metadata"].(map[string]any)
			res.artifacts[name] = append(res.artifacts[name], a)
		}
	}
	return res, nil
}

// addElsewhere takes note of where in its container a component wrote an artifact
// instead of its own place. The SDK writes custom_path; KFP's launcher reads
// customPath too.
func (res *executorResult) addElsewhere(name string, m map[string]any) error {
	custom := ""
	for _, field := range []string{"custom_path", "customPath"} {
		x, ok := m[field]
		text, isText := x.(string)
		if ok && x != nil && !isText {
			return fmt.Errorf("the executor output file: %s of artifact %q is %s, not a text", field, name, clip(jsonText(x), 60))
		}
		custom = orElse(text, custom)
	}
	switch {
	case custom == "":
		return nil
	case !path.IsAbs(custom):
		return fmt.Errorf("artifact %q: its custom_path %q must be absolute: os.path.abspath(...) makes it so", name, custom)
	}
	res.elsewhere[name] = path.Clean(custom)
	return nil
}
