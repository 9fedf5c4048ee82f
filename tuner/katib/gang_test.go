package katib_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/katib"
)

// gangOf reads a training job as an experiment's trial.
func gangOf(t *testing.T, kind, specs, rest string) (*tuner.Experiment, *dag.Pod) {
	t.Helper()
	text := strings.NewReplacer("KIND", kind, "SPECS", specs, "REST", rest).Replace(`
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: e}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  metricsCollectorSpec: {collector: {kind: File}, source: {fileSystemPath: {path: /m, kind: File}}}
  parameters: [{name: lr, parameterType: double, feasibleSpace: {min: "0", max: "1"}}]
  trialTemplate:
    primaryContainerName: c
    REST
    trialSpec: {apiVersion: kubeflow.org/v1, kind: KIND, spec: SPECS}
`)
	f, err := source.Of("e.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := f.Documents()
	if err != nil {
		t.Fatal(err)
	}
	e, template, err := katib.Read(f, docs[0])
	if err == nil {
		err = katib.Template(e, f, template, katib.Files{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, e.Trial.Pipeline.Components["comp-trial"].Pod
}

const member = `template: {spec: {terminationGracePeriodSeconds: 5, containers: [{name: c, image: i, command: [run]}]}}`

func variables(c dag.Container) map[string]string {
	out := map[string]string{}
	for _, v := range c.Env {
		for _, part := range v.Value {
			out[v.Name] += part.Text
		}
	}
	return out
}

// TestParameterServers: they serve until the workers have ended, whose first is the
// one that counts: its metrics and its file.
func TestParameterServers(t *testing.T) {
	e, pod := gangOf(t, "TFJob", "{tfReplicaSpecs: {Worker: {replicas: 2, "+member+"}, PS: {"+member+"}}}", "")
	if len(pod.Containers) != 3 || !pod.FailFast || e.Trial.Container != "worker-0" || e.Trial.Grace.Seconds() != 5 {
		t.Fatalf("%d containers, %v, %q, %v", len(pod.Containers), pod.FailFast, e.Trial.Container, e.Trial.Grace)
	}
	for _, c := range pod.Containers {
		if role := c.Role; (c.Name == "ps-0") != (role == runner.Sidecar) {
			t.Errorf("%s has role %d", c.Name, role)
		}
	}
	if got := e.Trial.Pipeline.Components["comp-trial"].Outputs.Artifacts[katib.MetricsOutput]; got.Container != "worker-0" || got.Path != "/m" {
		t.Errorf("%+v", got)
	}
	var config struct {
		Cluster map[string][]string
		Task    struct {
			Type  string
			Index int
		}
	}
	if err := json.Unmarshal([]byte(variables(pod.Containers[2])["TF_CONFIG"]), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Cluster["worker"]) != 2 || len(config.Cluster["ps"]) != 1 || config.Task.Type != "worker" || config.Task.Index != 1 {
		t.Errorf("%+v", config)
	}
}

// TestPrimaryLabels: the replica type that primaryPodLabels name is the one that counts.
func TestPrimaryLabels(t *testing.T) {
	specs := "{pytorchReplicaSpecs: {Master: {" + member + "}, Worker: {replicas: 2, " + member + "}}}"
	e, pod := gangOf(t, "PyTorchJob", specs, "primaryPodLabels: {training.kubeflow.org/replica-type: worker}")
	if e.Trial.Container != "worker-0" {
		t.Errorf("%q", e.Trial.Container)
	}
	last := variables(pod.Containers[2])
	if last["RANK"] != "2" || last["WORLD_SIZE"] != "3" || last["MASTER_ADDR"] != "localhost" || last["MASTER_PORT"] != "23456" {
		t.Errorf("%v", last)
	}
	if e, _ := gangOf(t, "PyTorchJob", specs, ""); e.Trial.Container != "master-0" {
		t.Errorf("%q", e.Trial.Container)
	}
}
