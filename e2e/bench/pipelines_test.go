package bench

import (
	"fmt"
	"strings"
)

// head is a kind: Pipeline of one step that does nothing, up to its tasks.
const head = `apiVersion: kubeflow.org/v1
kind: Pipeline
metadata: {name: bench}
spec:
  pipelineSpec:
    workflowSpec:
      entrypoint: main
      templates:
      - name: step
        inputs: {parameters: [{name: n}]}
        container: {image: %q, command: [sh, -c], args: ["echo {{inputs.parameters.n}}"]}
      - name: main
        dag:
          tasks:
`

func task(b *strings.Builder, name string, after ...string) {
	fmt.Fprintf(b, "          - {name: %s, template: step, arguments: {parameters: [{name: n, value: %q}]}", name, name)
	if len(after) > 0 {
		fmt.Fprintf(b, ", dependencies: [%s]", strings.Join(after, ", "))
	}
	b.WriteString("}\n")
}

// chain is n steps, each after the one before.
func chain(n int, image string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, image)
	task(&b, "t0")
	for i := 1; i < n; i++ {
		task(&b, fmt.Sprintf("t%d", i), fmt.Sprintf("t%d", i-1))
	}
	return b.String()
}

// fanOut is n steps side by side.
func fanOut(n int, image string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, image)
	for i := range n {
		task(&b, fmt.Sprintf("t%d", i))
	}
	return b.String()
}

// layers is depth layers of width steps, each after two of the layer before.
func layers(depth, width int, image string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, image)
	for l := range depth {
		for i := range width {
			name := fmt.Sprintf("t%d-%d", l, i)
			if l == 0 {
				task(&b, name)
				continue
			}
			task(&b, name, fmt.Sprintf("t%d-%d", l-1, i), fmt.Sprintf("t%d-%d", l-1, (i+1)%width))
		}
	}
	return b.String()
}

// compiled is the IR of n tasks in a chain, as kfp writes it: a component and an
// executor for each task, and a parameter handed on.
func compiled(n int) string {
	var components, executors, tasks strings.Builder
	for i := range n {
		fmt.Fprintf(&components, "  comp-%d:\n    executorLabel: exec-%d\n    inputDefinitions:\n      parameters:\n        x:\n"+
			"          isOptional: true\n          parameterType: STRING\n"+
			"    outputDefinitions:\n      parameters:\n        o:\n          parameterType: STRING\n", i, i)
		fmt.Fprintf(&executors, "    exec-%d:\n      container:\n        command:\n        - sh\n        - -c\n"+
			"        - echo \"{{$.inputs.parameters['x']}}\" > {{$.outputs.parameters['o'].output_file}}\n        image: python:3.11\n", i)
		fmt.Fprintf(&tasks, "      task-%d:\n        cachingOptions:\n          enableCache: true\n        componentRef:\n          name: comp-%d\n"+
			"        taskInfo:\n          name: task-%d\n", i, i, i)
		if i > 0 {
			fmt.Fprintf(&tasks, "        dependentTasks:\n        - task-%d\n        inputs:\n          parameters:\n            x:\n"+
				"              taskOutputParameter:\n                outputParameterKey: o\n                producerTask: task-%d\n", i-1, i-1)
		}
	}
	return "components:\n" + components.String() + "deploymentSpec:\n  executors:\n" + executors.String() +
		"pipelineInfo:\n  name: chain\nroot:\n  dag:\n    tasks:\n" + tasks.String() + "schemaVersion: 2.1.0\n"
}
