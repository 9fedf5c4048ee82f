package kfp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

// onPlatform is the pod of exec-train with a platform document.
func onPlatform(t *testing.T, executor, config string) (*dag.Pipeline, *dag.Pod) {
	t.Helper()
	_, p, err := parse(t, small+"---\nplatforms:\n  kubernetes:\n    pipelineConfig: "+config+
		"\n    deploymentSpec:\n      executors:\n        exec-train: "+executor+"\n")
	if err != nil {
		t.Fatal(err)
	}
	return p, p.Components["comp-train"].Pod
}

var noPositions = cmpopts.IgnoreTypes(source.Pos{})

func named(name string) *dag.Source { return &dag.Source{Constant: &dag.Constant{Value: name}} }

func TestVolumes(t *testing.T) {
	for _, tt := range []struct {
		name, executor string
		volumes        []dag.Volume
		mounts         []dag.VolumeMount
	}{
		{"secret", "{secretAsVolume: [{secretName: s, mountPath: /s/, optional: true}]}",
			[]dag.Volume{{Name: "secret-0", Kind: dag.VolumeSecret, From: named("s"), Optional: true}},
			[]dag.VolumeMount{{Volume: "secret-0", Path: "/s", ReadOnly: true}}},
		{"the parameter wins over the older field", "{configMapAsVolume: [{configMapName: old, configMapNameParameter: {runtimeValue: {constant: c}}, mountPath: /c}]}",
			[]dag.Volume{{Name: "config-map-0", Kind: dag.VolumeConfigMap, From: named("c")}},
			[]dag.VolumeMount{{Volume: "config-map-0", Path: "/c", ReadOnly: true}}},
		{"claims, new and old", "{pvcMount: [{constant: old, mountPath: /a}, {pvcNameParameter: {runtimeValue: {constant: c}}, mountPath: /b, subPath: x/y}]}",
			[]dag.Volume{{Name: "claim-0", Kind: dag.VolumeClaim, From: named("old")}, {Name: "claim-1", Kind: dag.VolumeClaim, From: named("c")}},
			[]dag.VolumeMount{{Volume: "claim-0", Path: "/a"}, {Volume: "claim-1", Path: "/b", SubPath: "x/y"}}},
		{"new ones", "{emptyDirMounts: [{volumeName: e, mountPath: /e}, {volumeName: m, mountPath: /m, medium: Memory, sizeLimit: 1Mi}], genericEphemeralVolume: [{volumeName: g, mountPath: /g, size: 1Gi}], enabledSharedMemory: {size: 2Gi}}",
			[]dag.Volume{{Name: "empty-0", Kind: dag.VolumeEmpty}, {Name: "empty-1", Kind: dag.VolumeEmpty, Memory: true, Size: 1 << 20},
				{Name: "ephemeral-0", Kind: dag.VolumeEmpty}, {Name: "shared-memory", Kind: dag.VolumeEmpty, Memory: true, Size: 2 << 30}},
			[]dag.VolumeMount{{Volume: "empty-0", Path: "/e"}, {Volume: "empty-1", Path: "/m"}, {Volume: "ephemeral-0", Path: "/g"}, {Volume: "shared-memory", Path: "/dev/shm"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, pod := onPlatform(t, tt.executor, "{}")
			if diff := cmp.Diff(tt.volumes, pod.Volumes, noPositions); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.mounts, pod.Containers[0].Mounts, noPositions); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	p, pod := onPlatform(t, `{secretAsEnv: [{secretName: s, keyToEnv: [{secretKey: k, envVar: A}, {secretKey: l, envVar: B}]}],
          configMapAsEnv: [{configMapName: c, optional: true, keyToEnv: [{configMapKey: k, envVar: C}]}],
          podMetadata: {labels: {team: red}, annotations: {a: b}},
          fieldPathAsEnv: [{name: D, fieldPath: "metadata.labels['team']"}]}`, "{activeDeadlineSeconds: 90}")
	want := map[string]*dag.EnvFrom{
		"A": {Kind: dag.VolumeSecret, Name: named("s"), Key: "k"}, "B": {Kind: dag.VolumeSecret, Name: named("s"), Key: "l"},
		"C": {Kind: dag.VolumeConfigMap, Name: named("c"), Key: "k", Optional: true}, "D": {Field: "metadata.labels['team']"},
	}
	got := map[string]*dag.EnvFrom{}
	for _, e := range pod.Containers[0].Env {
		if e.From != nil {
			got[e.Name] = e.From
		}
	}
	if diff := cmp.Diff(want, got, noPositions); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&dag.Metadata{Labels: map[string]string{"team": "red"}, Annotations: map[string]string{"a": "b"}}, pod.Metadata); diff != "" {
		t.Error(diff)
	}
	if p.Deadline != 90*time.Second {
		t.Errorf("the run's deadline is %s", p.Deadline)
	}
}

func TestInitContainers(t *testing.T) {
	_, pod := onPlatform(t, `{emptyDirMounts: [{volumeName: cache, mountPath: /c}], secretAsVolume: [{secretName: s, mountPath: /s}],
          initContainers: [{name: fetch, image: busybox, command: [sh], args: ["{{$.inputs.parameters['x']}}"], env: [{name: A, value: b}],
            volumeMounts: [{volumeName: cache, mountPath: /d/}, {volumeName: s, mountPath: /t}], resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}},
          {name: side, image: proxy, restartPolicy: Always}]}`, "{}")
	want := []dag.Container{
		{Name: "fetch", Role: runner.Init, Image: dag.Literal("busybox"), Command: []dag.Arg{{Text: dag.Literal("sh")}},
			Args: []dag.Arg{{Text: dag.Literal("{{$.inputs.parameters['x']}}")}}, Env: []dag.EnvVar{{Name: "A", Value: dag.Literal("b")}},
			Mounts:    []dag.VolumeMount{{Volume: "empty-0", Path: "/d"}, {Volume: "secret-0", Path: "/t"}},
			Resources: dag.Resources{CPURequest: dag.Literal("1"), MemoryLimit: dag.Literal("1Gi")}},
		{Name: "side", Role: runner.Sidecar, Image: dag.Literal("proxy")},
	}
	if diff := cmp.Diff(want, pod.Containers[1:], noPositions); diff != "" {
		t.Error(diff)
	}
}

// TestTaskConfigVolumes: what a step hands on to a pod that it starts itself is not
// mounted in the step, unless applyToTask says so.
func TestTaskConfigVolumes(t *testing.T) {
	for _, apply := range []string{"false", "true"} {
		text := strings.Replace(small, "    inputDefinitions:\n      parameters:\n",
			"    taskConfigPassthroughs: [{field: KUBERNETES_VOLUMES, applyToTask: "+apply+"}, {field: ENV, applyToTask: "+apply+`}]
    inputDefinitions:
      parameters:
        config: {parameterType: TASK_CONFIG}
`, 1) + `---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-train:
          pvcMount: [{mountPath: /d, subPath: x, pvcNameParameter: {runtimeValue: {constant: p}}}]
          secretAsVolume: [{secretName: s, mountPath: /s}]
          configMapAsVolume: [{configMapName: c, mountPath: /c, optional: true}]
          secretAsEnv: [{secretName: s, keyToEnv: [{secretKey: k, envVar: K}]}]
          fieldPathAsEnv: [{name: POD, fieldPath: metadata.name}]
          emptyDirMounts: [{volumeName: e, mountPath: /e}]
`
		_, p, err := parse(t, text)
		if err != nil {
			t.Fatal(err)
		}
		pod := p.Components["comp-train"].Pod
		checkSource(t, "task config", pod.TaskConfig, `{"=": {
			"affinity": null, "nodeSelector": null, "tolerations": null, "resources": {},
			"volumes": [{"name": "p", "persistentVolumeClaim": {"claimName": "p"}},
				{"name": "s", "secret": {"secretName": "s", "optional": false}}, {"name": "c", "configMap": {"name": "c", "optional": true}}],
			"volumeMounts": [{"name": "p", "mountPath": "/d", "subPath": "x"}, {"name": "s", "mountPath": "/s"}, {"name": "c", "mountPath": "/c"}],
			"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": false}}},
				{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}}`)
		var at []string
		for _, m := range pod.Containers[0].Mounts {
			at = append(at, m.Path)
		}
		for _, e := range pod.Containers[0].Env {
			at = append(at, e.Name)
		}
		want := map[string]string{"false": "/e", "true": "/s /c /d /e POD K"}[apply]
		if got := strings.Join(at, " "); got != want {
			t.Errorf("applyToTask %s: the step has %q, want %q", apply, got, want)
		}
	}
}
