package kfp_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// loop is a pipeline with what one small one can hold of loops, conditions and
// values made of other values.
const loop = `pipelineInfo: {name: loop}
schemaVersion: 2.1.0
components:
  comp-body:
    executorLabel: exec-body
    inputDefinitions:
      parameters:
        item: {parameterType: STRING}
        spec: {parameterType: STRUCT, isOptional: true}
        list: {parameterType: LIST, isOptional: true}
        field: {parameterType: NUMBER_INTEGER, isOptional: true}
    outputDefinitions:
      parameters:
        out: {parameterType: STRING}
deploymentSpec:
  executors:
    exec-body:
      container: {image: python:3.11, command: [work]}
root:
  inputDefinitions:
    parameters:
      n: {parameterType: NUMBER_INTEGER}
      row: {parameterType: STRUCT}
  dag:
    tasks:
      body:
        componentRef: {name: comp-body}
        parameterIterator:
          itemInput: item
          items: {raw: '["a", "b-{{$.inputs.parameters[''channel--n'']}}", {"k": 1}]'}
        iteratorPolicy: {parallelismLimit: 2}
        triggerPolicy: {condition: "int(inputs.parameter_values['field']) == 3"}
        inputs:
          parameters:
            channel--n: {componentInputParameter: n}
            channel--field:
              componentInputParameter: row
              parameterExpressionSelector: parseJson(string_value)["b"]
            field:
              componentInputParameter: row
              parameterExpressionSelector: parseJson(string_value)["a"]
            spec:
              runtimeValue:
                constant:
                  plain: [1, 2.5, null]
                  deep: [{n: "{{$.inputs.parameters['channel--n']}}"}, "{{$.inputs.parameters['item']}}!"]
                  "is-{{$.inputs.parameters['channel--field']}}": "{{$.pipeline_job_name}}"
                  not: "{{$.inputs.parameters['nothing']}}"
            list: {runtimeValue: {constant: []}}
`

// show writes a source as the format does, without what is the same everywhere.
func showSource(s *dag.Source) any {
	value := func() any {
		switch {
		case s.Constant != nil:
			return map[string]any{"=": s.Constant.Value}
		case s.Input != "":
			return "$" + s.Input
		case s.Run != "":
			return "$run." + s.Run
		case s.Item:
			return "$item"
		case s.Status != "":
			return "$status." + s.Status
		case s.Task != "":
			return "$" + s.Task + "." + s.Output
		case s.Concat != nil:
			return map[string]any{"concat": showSources(s.Concat)}
		case s.List != nil:
			return showSources(s.List)
		}
		fields := map[string]any{}
		for name, f := range s.Fields {
			fields[name] = showSource(f)
			if key := s.Keys[name]; key != nil {
				fields["key "+name] = showSource(key)
			}
		}
		return fields
	}()
	if s.Select != nil {
		return []any{value, s.Select.Language + " " + s.Select.Text}
	}
	return value
}

func showSources(list []*dag.Source) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, showSource(s))
	}
	return out
}

func checkSource(t *testing.T, what string, s *dag.Source, want string) {
	t.Helper()
	got, err := json.Marshal(showSource(s))
	if err != nil {
		t.Fatal(err)
	}
	var g, w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLoop(t *testing.T) {
	f, p, err := parse(t, loop)
	if err == nil {
		err = dag.Validate(p, f)
	}
	if err != nil || len(p.Unsupported) > 0 {
		t.Fatal(err, p)
	}
	task := p.Components["root"].Graph.Tasks["body"]
	if it := task.Iterate; it.Input != "item" || it.Artifact || it.Parallelism != 2 {
		t.Errorf("iterator %+v", it)
	}
	checkSource(t, "items", task.Iterate.Items, `[{"=": "a"}, {"concat": [{"=": "b-"}, "$n"]}, {"=": {"k": 1}}]`)
	if w := task.When; w.Language != "cel" || w.Text != "int(inputs.parameter_values['field']) == 3" {
		t.Errorf("when %+v", w)
	}
	checkSource(t, "field", task.Parameters["field"], `["$row", "cel parseJson(string_value)[\"a\"]"]`)
	checkSource(t, "list", task.Parameters["list"], `{"=": []}`)
	checkSource(t, "spec", task.Parameters["spec"], `{
		"plain": {"=": [1, 2.5, null]},
		"deep": [{"n": {"concat": ["$n"]}}, {"concat": ["$item", {"=": "!"}]}],
		"is-{{$.inputs.parameters['channel--field']}}": {"concat": ["$run.pipeline_job_name"]},
		"key is-{{$.inputs.parameters['channel--field']}}": {"concat": [{"=": "is-"}, ["$row", "cel parseJson(string_value)[\"b\"]"]]},
		"not": {"=": "{{$.inputs.parameters['nothing']}}"}}`)
	if len(task.Parameters) != 3 {
		t.Errorf("inputs %v: those that only others mention must go", keys(task.Parameters))
	}
}

func TestExpressionErrors(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`['field']) == 3"`, `['field']) = 3"`, `p.yaml:32:75: task "body": condition: Syntax error: token recognition error at: '= ' (at "= 3")`},
		{`['field']) == 3"`, `['field']) > 'x'"`, `p.yaml:32:75: task "body": condition: found no matching overload for '_>_' applied to '(int, string)' (at "> 'x'")`},
		{`int(inputs`, `int(input`, `p.yaml:32:46: task "body": condition: undeclared reference to 'input.parameter_values' (did you mean 'inputs.parameter_values'?)`},
		{`parseJson(string_value)["b"]`, `parseJson(value)["b"]`, `p.yaml:38:54: task "body": parameterExpressionSelector: undeclared reference to 'value' (at "value)[\"b\"]")`},
		{`parseJson(string_value)["b"]`, "|\n                ?", `p.yaml:38:44: task "body": parameterExpressionSelector: Syntax error: mismatched input '?'`},
		{`'["a", "b-`, `'{"a": "b-`, `p.yaml:30:24: task "body": items.raw is not a JSON list`},
		{"constant: []", "constant: {}", `p.yaml:49:45: task "body": input "list" must be a JSON list, not {}`},
		{"channel--n: {componentInputParameter: n}", `channel--n: {runtimeValue: {constant: ["{{$.inputs.parameters['item']}}"]}}`,
			`p.yaml:35:40: task "body": input "channel--n" holds placeholders, and another input refers to it`},
		{"channel--n: {componentInputParameter: n}", `channel--n: {runtimeValue: {constant: {a: "{{$.inputs.parameters['channel--n']}}"}}}`,
			`p.yaml:35:40: task "body": input "channel--n" holds placeholders, and another input refers to it`},
	} {
		text := strings.Replace(loop, tt.old, tt.new, 1)
		if text == loop {
			t.Fatalf("%q is not in the pipeline", tt.old)
		}
		_, _, err := parse(t, text)
		if e, ok := errors.AsType[*source.Error](err); !ok || !strings.HasPrefix(e.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.new, err, tt.want)
		}
	}
}

// An input may hold a run-wide placeholder and be referred to.
func TestRunPlaceholderReferredTo(t *testing.T) {
	_, p, err := parse(t, strings.Replace(loop, "channel--n: {componentInputParameter: n}", `channel--n: {runtimeValue: {constant: "{{$.pipeline_job_uuid}}"}}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	checkSource(t, "item", p.Components["root"].Graph.Tasks["body"].Iterate.Items.List[1], `{"concat": [{"=": "b-"}, {"concat": ["$run.pipeline_job_uuid"]}]}`)
}

// A constant that many placeholders stand for is not copied without end.
func TestCopies(t *testing.T) {
	text := strings.Replace(loop, "channel--n: {componentInputParameter: n}", "channel--n: {runtimeValue: {constant: "+strings.Repeat("x", 1<<16)+"}}", 1)
	text = strings.Replace(text, `"b-{{$.inputs.parameters[''channel--n'']}}"`, `"`+strings.Repeat("{{$.inputs.parameters[''channel--n'']}}", 1000)+`"`, 1)
	_, _, err := parse(t, text)
	if e, ok := errors.AsType[*source.Error](err); !ok || e.Msg != "placeholders copy constants to more than 16 MiB" {
		t.Errorf("error %.200v", err)
	}
}

func TestImporterMetadata(t *testing.T) {
	_, p, err := parse(t, `pipelineInfo: {name: x}
components:
  comp-i:
    executorLabel: exec-i
    inputDefinitions: {parameters: {m: {parameterType: STRING}, k: {parameterType: NUMBER_INTEGER}}}
    outputDefinitions: {artifacts: {artifact: {artifactType: {schemaUri: "gs://schemas/a.yaml"}}}}
deploymentSpec:
  executors:
    exec-i:
      importer:
        artifactUri: {constant: /data}
        metadata:
          "{{$.inputs.parameters['k']}}": ["{{$.inputs.parameters['m']}}", 3]
          name: {a: "x-{{$.inputs.parameters['gone']}}"}
        properties: {old: {runtimeParameter: m}, name: {constant: no}}
        typeSchema: {schemaUri: "gs://schemas/a.yaml"}
root:
  dag:
    tasks:
      i:
        componentRef: {name: comp-i}
        inputs: {parameters: {m: {runtimeValue: {constant: v}}, k: {runtimeValue: {constant: 2}}}}
`)
	if err != nil || len(p.Unsupported) > 0 {
		t.Fatal(err, p)
	}
	c := p.Components["comp-i"]
	checkSource(t, "metadata", c.Importer.Metadata, `{
		"{{$.inputs.parameters['k']}}": [{"concat": ["$m"]}, {"=": 3}],
		"key {{$.inputs.parameters['k']}}": {"concat": ["$k"]},
		"name": {"=": {"a": "x-{{$.inputs.parameters['gone']}}"}},
		"old": {"concat": ["$m"]}}`)
	if c.Importer.Type.Title != "gs://schemas/a.yaml" || c.Outputs.Artifacts["artifact"].Type.Title != "gs://schemas/a.yaml" {
		t.Errorf("types %+v, %+v", c.Importer.Type, c.Outputs.Artifacts["artifact"].Type)
	}
}

func TestTaskConfig(t *testing.T) {
	text := strings.Replace(small, "    inputDefinitions:\n      parameters:\n", `    taskConfigPassthroughs: [{field: RESOURCES}, {field: ENV, applyToTask: true}, {field: KUBERNETES_NODE_SELECTOR}, {field: KUBERNETES_TOLERATIONS}]
    singlePlatformSpecs: [{platform: other}]
    inputDefinitions:
      parameters:
        config: {parameterType: TASK_CONFIG}
`, 1)
	text = strings.Replace(text, "resources: {cpuLimit: 0.5, memoryLimit: 2.147483648}",
		`resources: {cpuLimit: 0.5, resourceMemoryLimit: "{{$.inputs.parameters['rate']}}Gi", accelerator: {resourceType: nvidia.com/gpu, resourceCount: "1"}}
        env: [{name: A, value: b}, {name: EMPTY}]`, 1)
	text += `---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-train:
          nodeSelector: {labels: {disk: fast}}
          tolerations: [{key: gpu, operator: Exists, tolerationSeconds: 5}]
`
	_, p, err := parse(t, text)
	if err != nil || len(p.Unsupported) > 0 {
		t.Fatal(err, p)
	}
	pod := p.Components["comp-train"].Pod
	checkSource(t, "task config", pod.TaskConfig, `{
		"affinity": {"=": null}, "volumes": {"=": null}, "volumeMounts": {"=": null},
		"env": {"=": [{"name": "A", "value": "b"}, {"name": "EMPTY"}]},
		"nodeSelector": {"=": {"disk": "fast"}},
		"tolerations": {"=": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}]},
		"resources": {"limits": {"cpu": {"=": "0.5"}, "memory": {"concat": ["$rate", {"=": "Gi"}]}, "nvidia.com/gpu": {"=": "1"}}}}`)
	c := pod.Containers[0]
	if c.Resources.CPULimit != nil || c.Resources.MemoryLimit != nil || len(c.Env) != 2 {
		t.Errorf("what is handed on without applyToTask must not bind the step itself: %+v", c)
	}
	if want := "singlePlatformSpecs"; len(p.Notes) != 1 || !strings.Contains(p.Notes[0], want) {
		t.Errorf("notes %v", p.Notes)
	}
	_, _, err = parse(t, strings.Replace(text, "field: ENV", "field: ENVS", 1))
	if e, ok := errors.AsType[*source.Error](err); !ok || e.Mend != `did you mean "ENV"?` {
		t.Errorf("error %v", err)
	}
}

// What only Vertex AI has is refused, with what to do instead.
func TestVertexOnly(t *testing.T) {
	for kind, want := range map[string]string{
		"resolver: {outputArtifactQueries: {m: {filter: x}}}": "dsl.importer",
		"customJob: {customJob: {}}":                          "container component",
	} {
		text := small[:strings.Index(small, "      container:")] + "      " + kind + "\n" + small[strings.Index(small, "root:"):]
		f, p, err := parse(t, text)
		if err != nil || len(p.Unsupported) != 1 {
			t.Fatal(err, p)
		}
		e, ok := errors.AsType[*source.Error](dag.Refuse(p, f))
		if !ok || e.Pos.Line != 16 || !strings.Contains(e.Mend, want) {
			t.Errorf("%s: %v, try: %s", kind, e, e.Hint())
		}
	}
}
