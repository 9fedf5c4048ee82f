package kfp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
)

// BenchmarkRead parses, translates and validates pipelines of n tasks in a chain.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := chain(n)
			for b.Loop() {
				f := &source.File{Name: "p.yaml", Text: []byte(text)}
				docs, err := f.Documents()
				if err != nil {
					b.Fatal(err)
				}
				p, err := kfp.Read(f, docs)
				if err != nil {
					b.Fatal(err)
				}
				if err := dag.Validate(p, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// chain writes a pipeline as the compiler does: a component and an executor for
// each task.
func chain(n int) string {
	var components, executors, tasks strings.Builder
	for i := range n {
		fmt.Fprintf(&components, "  comp-%d:\n    executorLabel: exec-%d\n    inputDefinitions:\n      parameters:\n        x:\n          isOptional: true\n          parameterType: STRING\n    outputDefinitions:\n      parameters:\n        o:\n          parameterType: STRING\n", i, i)
		fmt.Fprintf(&executors, "    exec-%d:\n      container:\n        command:\n        - sh\n        - -c\n        - echo \"{{$.inputs.parameters['x']}}\" > {{$.outputs.parameters['o'].output_file}}\n        image: alpine:3.20\n", i)
		fmt.Fprintf(&tasks, "      task-%d:\n        cachingOptions:\n          enableCache: true\n        componentRef:\n          name: comp-%d\n        taskInfo:\n          name: task-%d\n", i, i, i)
		if i > 0 {
			fmt.Fprintf(&tasks, "        dependentTasks:\n        - task-%d\n        inputs:\n          parameters:\n            x:\n              taskOutputParameter:\n                outputParameterKey: o\n                producerTask: task-%d\n", i-1, i-1)
		}
	}
	return "components:\n" + components.String() + "deploymentSpec:\n  executors:\n" + executors.String() +
		"pipelineInfo:\n  name: chain\nroot:\n  dag:\n    tasks:\n" + tasks.String() + "schemaVersion: 2.1.0\n"
}
