package kfp

import (
	"fmt"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// construct is something of the format that is read but can't be run yet. A
// pipeline that has one is refused before anything starts. What can be run is
// deleted here, and the compiler then names the places that refuse it.
type construct string

const (
	parameterLoop      construct = "parameterIterator (a loop over values)"
	artifactLoop       construct = "artifactIterator (a loop over artifacts)"
	collected          construct = "collected outputs of a loop"
	condition          construct = "triggerPolicy.condition"
	oneOf              construct = "OneOf (an output of whichever branch ran)"
	finalStatus        construct = "taskFinalStatus"
	expressionSelector construct = "parameterExpressionSelector"
	nestedPlaceholder  construct = "placeholders inside a list or struct"
	runtimeParameter   construct = "runtimeValue.runtimeParameter"
	artifactList       construct = "a list of artifacts as input"
	rootArtifact       construct = "an artifact as input"
	schemaURI          construct = "schemaUri"
	remoteImport       construct = "import"
	resolver           construct = "resolver"
	customJob          construct = "customJob"
	taskConfig         construct = "taskConfigPassthroughs"
	platformSpecs      construct = "singlePlatformSpecs"
)

// refuse records that the pipeline needs c, for what about says.
func (t *translator) refuse(c construct, about string, pos source.Pos) {
	t.refuseAs(string(c), about, pos)
}

func (t *translator) refuseAs(what, about string, pos source.Pos) {
	t.out.Unsupported = append(t.out.Unsupported, dag.Unsupported{What: fmt.Sprintf("%s of %s", what, about), Pos: pos})
}

func (t *translator) refuseComponent(name string, spec *componentSpec) {
	about := fmt.Sprintf("component %q", name)
	for _, e := range spec.InputDefinitions.Parameters.Items {
		if e.Value.ParameterType.Value == string(dag.TypeTaskConfig) {
			t.refuse(taskConfig, about, e.Pos)
		}
	}
	for _, e := range spec.InputDefinitions.Artifacts.Items {
		if e.Value.IsArtifactList && spec.ExecutorLabel != nil {
			t.refuse(artifactList, about, e.Pos)
		}
	}
	if len(spec.TaskConfigPassthroughs) > 0 {
		t.refuse(taskConfig, about, spec.At["taskConfigPassthroughs"])
	}
	if len(spec.SinglePlatformSpecs) > 0 {
		t.refuse(platformSpecs, about, spec.At["singlePlatformSpecs"])
	}
}

// refuseRootArtifacts refuses a pipeline that can't start without an artifact.
func (t *translator) refuseRootArtifacts() {
	for _, e := range t.spec.Root.InputDefinitions.Artifacts.Items {
		if !e.Value.IsOptional {
			t.refuse(rootArtifact, fmt.Sprintf("the pipeline: %q", e.Name), e.Pos)
		}
	}
}

// refuseCollected refuses what takes the outputs of all iterations of a task.
func (t *translator) refuseCollected(c *dag.Component) {
	look := func(src *dag.Source) {
		if task := c.Graph.Tasks[src.Task]; task != nil && task.Iterate != nil {
			t.refuse(collected, fmt.Sprintf("task %q", src.Task), src.Pos)
		}
	}
	for _, task := range c.Graph.Tasks {
		eachSource(task, look)
	}
	for _, out := range c.Outputs.Parameters {
		for _, src := range out.Select {
			look(src)
		}
	}
	for _, out := range c.Outputs.Artifacts {
		for _, src := range out.Select {
			look(src)
		}
	}
}
