package argo

import (
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

const tuning = `apiVersion: kubeflow.org/v1
kind: Pipeline
metadata: {name: flow}
spec:
  pipelineSpec:
    workflowSpec:
      entrypoint: main
      templates:
      - name: main
        dag:
          tasks:
          - {name: tune, template: search}
          - name: train
            template: train
            dependencies: [tune]
            arguments: {parameters: [{name: lr, value: "{{tasks.tune.outputs.parameters.best-lr}}"}]}
      - name: search
        activeDeadlineSeconds: 60
        container: {image: IMAGE, args: [trial.yaml, -p, "data=/data/x.csv", --out=/data]}
      - name: train
        inputs: {parameters: [{name: lr}]}
        container: {image: img, command: [train, "{{inputs.parameters.lr}}", /data]}
`

// TestTuningStep: a launcher's container becomes a search, whose outputs need not be
// declared, and which shares no directory with the steps around it.
func TestTuningStep(t *testing.T) {
	f := &source.File{Name: "flow.yaml", Text: []byte(strings.Replace(tuning, "IMAGE", "wherry/tune", 1))}
	p, err := read(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := p.Components["search"]
	if c.Pod != nil || c.Tune == nil || c.Tune.Image != "wherry/tune" || len(c.Tune.Args) != 4 || c.Tune.Timeout.Seconds() != 60 {
		t.Errorf("the step is %+v", c)
	}
	if c.Outputs.Parameters["best-lr"] == nil || len(c.Outputs.Artifacts)+len(c.Inputs.Artifacts) != 0 {
		t.Errorf("its outputs are %+v, its input artifacts %v", c.Outputs, c.Inputs.Artifacts)
	}
	if src := p.Components["main"].Graph.Tasks["train"].Parameters["lr"]; src.Task != "tune" || src.Output != "best-lr" {
		t.Errorf("train gets %+v", src)
	}
	for _, n := range p.Notes {
		if strings.Contains(n, "best-lr") || strings.Contains(n, "tune (") {
			t.Errorf("note %q", n)
		}
	}
	f.Text = []byte(strings.Replace(tuning, "IMAGE", "kubeflow/katib:v1.8.0", 1))
	if _, err := read(f, Options{}); err == nil || !strings.Contains(err.Error(), `no output "best-lr"`) {
		t.Errorf("of a plain container: %v", err)
	}
}

// TestSeedTuning: the article's tuning step names an image of Katib that is no launcher.
func TestSeedTuning(t *testing.T) {
	p := readFile(t, shared(t, "katib_pipeline.yaml"), Options{})
	if c := p.Components["katib-tuning"]; c.Pod == nil || c.Tune != nil || dag.Launcher(c.Pod.Containers[0].Image[0].Text) != "" {
		t.Errorf("its step is %+v", c)
	}
}
