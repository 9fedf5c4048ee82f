package katib_test

import (
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/tuner/katib"
)

const small = `apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: x}
spec:
  objective: {type: minimize, objectiveMetricName: loss, goal: 0.1, metricStrategies: [{name: loss, value: latest}]}
  algorithm: {algorithmName: random, algorithmSettings: [{name: random_state, value: "1"}]}
  maxTrialCount: 2
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.1", max: "1", step: "0.1", distribution: logUniform}}
    - {name: k, parameterType: categorical, feasibleSpace: {list: [a, b]}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: lr, reference: lr}, {name: name, reference: "${trialSpec.Name}"}]
    trialSpec:
      kind: Job
      spec: {template: {spec: {containers: [{name: main, image: x, command: [a, "${trialParameters.lr}", "${trialParameters.name}"]}]}}}
`

// FuzzRead: whatever the file holds, it is read or refused, and never more than that.
func FuzzRead(f *testing.F) {
	f.Add(small)
	f.Add("apiVersion: kubeflow.org/v1\nkind: Suggestion\nmetadata: {name: x}\nspec: {algorithmName: tpe, parameters: []}")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := source.Of("x.yaml", []byte(text))
		if err != nil {
			return
		}
		docs, err := file.Documents()
		if err != nil {
			return
		}
		for _, doc := range docs {
			if !katib.Sniff(doc) {
				continue
			}
			e, template, err := katib.Read(file, doc)
			if err != nil || template == nil {
				continue
			}
			if err := katib.Template(e, file, template, katib.Files{ConfigMap: katib.ConfigMaps(file)}); err == nil && e.Trial.Pipeline == nil {
				t.Errorf("a template that makes no pipeline and no error")
			}
		}
	})
}
