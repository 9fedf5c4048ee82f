package podspec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/podspec"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

func read(text string) (*podspec.Result, error) {
	f, err := source.Of("pod.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	docs, err := f.Documents()
	if err != nil {
		return nil, err
	}
	return podspec.Read(f, docs[0], podspec.Options{})
}

// TestRead: a template with all that is understood.
func TestRead(t *testing.T) {
	got, err := read(`
metadata: {labels: {app: x}}
spec:
  activeDeadlineSeconds: 60
  terminationGracePeriodSeconds: 5
  nodeSelector: {gpu: "yes"}
  tolerations: []
  initContainers:
    - {name: fetch, image: busybox, command: [sh, -c, "true"]}
    - {name: proxy, image: proxy, restartPolicy: Always}
  containers:
    - name: main
      image: python:3.11
      command: [python, -c]
      args: [1]
      workingDir: /w
      imagePullPolicy: IfNotPresent
      env:
        - {name: A, value: b}
        - {name: S, valueFrom: {secretKeyRef: {name: creds, key: token, optional: true}}}
        - {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      resources: {requests: {cpu: 250m}, limits: {memory: 1Gi, nvidia.com/gpu: 1}}
      securityContext: {runAsUser: 1000, runAsGroup: 100, allowPrivilegeEscalation: false}
      ports: [{containerPort: 8080}]
      volumeMounts: [{name: cache, mountPath: /cache, readOnly: true}]
  volumes:
    - {name: cache, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
    - {name: conf, configMap: {name: settings}}
    - {name: data, persistentVolumeClaim: {claimName: disk}}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := got.Pod
	if p.Timeout != time.Minute || got.Grace != 5*time.Second || p.Metadata.Labels["app"] != "x" {
		t.Errorf("%v, %v, %v", p.Timeout, got.Grace, p.Metadata)
	}
	if diff := cmp.Diff([]string{"nodeSelector", "securityContext", "tolerations"}, got.Ignored); diff != "" {
		t.Error(diff)
	}
	roles := []runner.Role{runner.Init, runner.Sidecar, runner.Main}
	for i, c := range p.Containers {
		if c.Role != roles[i] {
			t.Errorf("%s: role %d", c.Name, c.Role)
		}
	}
	c := p.Containers[2]
	if c.User != "1000:100" || c.WorkDir != "/w" || c.PullPolicy != runner.PullMissing || c.Args[0].Text[0].Text != "1" || len(got.Ports) != 1 {
		t.Errorf("%+v", c)
	}
	if c.Env[1].From.Kind != dag.VolumeSecret || !c.Env[1].From.Optional || c.Env[2].From.Field != "metadata.name" {
		t.Errorf("%+v", c.Env)
	}
	if c.Resources.CPURequest[0].Text != "250m" || c.Resources.MemoryLimit[0].Text != "1Gi" || c.Resources.AcceleratorCount[0].Text != "1" {
		t.Errorf("%+v", c.Resources)
	}
	if v := p.Volumes[0]; !v.Memory || v.Size != 1<<20 || len(p.Volumes) != 3 {
		t.Errorf("%+v", p.Volumes)
	}
}

// TestRefused: what would change a result is refused, where it stands.
func TestRefused(t *testing.T) {
	const head = "containers:\n- name: a\n  image: x\n"
	for _, tt := range []struct{ text, want string }{
		{"spec: {}", "pod.yaml:1:7: the pod has no containers"},
		{"metadata: {}", "the pod template has no spec"},
		{"containers: [{name: a}]", `1:14: container "a" has no image`},
		{head + "hostNetwork: true", "4:14: hostNetwork"},
		{head + "  securityContext: {privileged: true}", "4:33: container \"a\" asks to be privileged"},
		{head + "  envFrom: [{secretRef: {name: s}}]", "envFrom is not supported yet"},
		{head + "  env: [{value: x}]", "a variable of env has no name"},
		{head + "  volumeMounts: [{name: v, mountPath: /v}]", "which the pod does not have"},
		{head + "  volumeMounts: [{name: v, mountPath: v}]", "is not absolute"},
		{head + "  resources: {limits: {memory: lots}}", `"lots" is not a quantity`},
		{head + "  resources: {limits: {tpu: 1}}", `resource "tpu" is not supported`},
		{head + "volumes: [{name: v, hostPath: {path: /etc}}]", "4:31: volume \"v\": hostPath"},
		{head + "volumes: [{name: v}]", "there is no emptyDir"},
		{head + "- name: a\n  image: y\n", "two containers are called"},
		{head + "activeDeadlineSeconds: soon", "a whole number of seconds"},
		{head + "  imagePulPolicy: Always", "imagePullPolicy"},
	} {
		if _, err := read(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			if e, ok := err.(*source.Error); !ok || !strings.Contains(e.Mend, tt.want) {
				t.Errorf("%s\n%v, want %q", tt.text, err, tt.want)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"containers: [{name: a, image: x}]", "spec: {containers: [], volumes: [{name: v, emptyDir: {}}]}", "spec:", "[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := read(text); err == nil && (r.Pod == nil || len(r.Pod.Containers) == 0) {
			t.Errorf("%q gives no pod and no error", text)
		}
	})
}
