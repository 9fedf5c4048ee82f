package kfp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
)

// small is a pipeline that TestErrors breaks in one place at a time.
const small = `pipelineInfo:
  name: small
schemaVersion: 2.1.0
components:
  comp-train:
    executorLabel: exec-train
    inputDefinitions:
      parameters:
        rate: {parameterType: NUMBER_DOUBLE, defaultValue: 1.0}
    outputDefinitions:
      parameters:
        score: {parameterType: NUMBER_DOUBLE}
deploymentSpec:
  executors:
    exec-train:
      container:
        image: python:3.11
        command: [train]
        args: ["{{$.inputs.parameters['rate']}}", "{{$.outputs.parameters['score'].output_file}}"]
        resources: {cpuLimit: 0.5, memoryLimit: 2.147483648}
root:
  dag:
    tasks:
      train:
        componentRef: {name: comp-train}
        retryPolicy: {maxRetryCount: 2, backoffDuration: 5s, backoffFactor: 2.0, backoffMaxDuration: 3600s}
        inputs:
          parameters:
            rate: {runtimeValue: {constant: 2.0}}
      again:
        componentRef: {name: comp-train}
        dependentTasks: [train]
        triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}
`

func parse(t testing.TB, text string) (*source.File, *dag.Pipeline, error) {
	t.Helper()
	f := &source.File{Name: "p.yaml", Text: []byte(text)}
	docs, err := f.Documents()
	if err != nil {
		t.Fatal(err)
	}
	p, err := kfp.Read(f, docs)
	return f, p, err
}

func TestErrors(t *testing.T) {
	if _, p, err := parse(t, small); err != nil || len(p.Unsupported) > 0 {
		t.Fatal(err, p.Unsupported)
	}
	for _, tt := range []struct{ old, new, want, hint string }{
		{"schemaVersion:", "schemaVersionn:", `p.yaml:3:1: unknown field "schemaVersionn"`, `did you mean "schemaVersion"?`},
		{"componentRef: {name: comp-train}", "componentRef: {name: comp-trian}", `p.yaml:25:30: task "train": unknown component "comp-trian"`, `did you mean "comp-train"?`},
		{"executorLabel: exec-train", "executorLabel: exec-trai", `p.yaml:6:20: component "comp-train": unknown executor "exec-trai"`, `did you mean "exec-train"?`},
		{"dependentTasks: [train]", "dependentTasks: [trane]", `p.yaml:32:26: task "again": unknown task "trane"`, `did you mean "train"?`},
		{"inputs.parameters['rate']", "inputs.parameters['rat']", `p.yaml:19:16: executor "exec-train": unknown placeholder {{$.inputs.parameters['rat']}}`, `did you mean "rate"?`},
		{"{{$.inputs", "{{$.input", `p.yaml:19:16: executor "exec-train": unknown placeholder {{$.input.parameters['rate']}}`, ""},
		{"COMPLETED", "COMPLETE", `p.yaml:33:35: task "again": unknown strategy "ALL_UPSTREAM_TASKS_COMPLETE"`, `did you mean "ALL_UPSTREAM_TASKS_COMPLETED"?`},
		{"defaultValue: 1.0", "defaultValue: fast", `p.yaml:9:60: component "comp-train": input "rate": default value must be a number, not "fast"`, ""},
		{"constant: 2.0", "constant: fast", `p.yaml:29:45: task "train": input "rate" must be a number, not "fast"`, ""},
		{"parameterType: NUMBER_DOUBLE, d", "parameterType: NUMBER, d", `p.yaml:9:31: component "comp-train": input "rate": unknown parameterType "NUMBER"`, ""},
		{"backoffDuration: 5s", "backoffDuration: 5m", `p.yaml:26:58: task "train": backoffDuration "5m" is not a duration in seconds, like "30s"`, ""},
		{"maxRetryCount: 2", "maxRetryCount: -2", `p.yaml:26:38: task "train": a retry policy has no negative figures`, ""},
		{"image: python:3.11", "image: ''", `p.yaml:17:9: executor "exec-train" has no image`, ""},
		{"name: small", "name:", `p.yaml:2:8: the pipeline has no name (pipelineInfo.name)`, ""},
		{"schemaVersion: 2.1.0", "schemaVersion: 3.0.0", `p.yaml:3:16: schemaVersion "3.0.0": only 2.x is known`, ""},
		{"{runtimeValue: {constant: 2.0}}", "{}", `p.yaml:29:19: task "train": input "rate" needs exactly one source, not 0`, ""},
		{`"{{$.inputs.parameters['rate']}}"`, `'{"IfPresent": {"InputName": "rat"}}'`, `p.yaml:19:16: executor "exec-train": IfPresent: unknown input "rat"`, ""},
		{`"{{$.inputs.parameters['rate']}}"`, `'{"Concat": ["a", 3]}'`, `p.yaml:19:16: executor "exec-train": argument {"Concat": ["a", 3]} is not a placeholder: an item must be text, IfPresent or Concat`, ""},
		{"{runtimeValue: {constant: 2.0}}", `{runtimeValue: {constant: "{{$.inputs.parameters['rate']}}"}}`, `p.yaml:29:34: task "train": input "rate" holds placeholders, and another input refers to it`, ""},
		{"{runtimeValue: {constant: 2.0}}", `{runtimeValue: {constantValue: {stringValue: "{{$.inputs.parameters['rate']}}"}}}`, `p.yaml:29:34: task "train": input "rate" holds placeholders, and another input refers to it`, ""},
		{"root:", "root2:", `p.yaml:21:1: unknown field "root2"`, `did you mean "root"?`},
		{"  dag:", "  executorLabel: x\n  dag:", `p.yaml:22:3: component "root" has both a dag and an executorLabel`, ""},
		{"retryPolicy:", "retryPolicy: {}\n        retryPolicy:", `p.yaml:27:9: "retryPolicy" is given twice`, ""},
		{"      again:", "      train:", `p.yaml:30:7: "train" is given twice`, ""},
	} {
		text := strings.Replace(small, tt.old, tt.new, 1)
		if text == small {
			t.Errorf("%q is not in the pipeline", tt.old)
		}
		_, _, err := parse(t, text)
		e, ok := errors.AsType[*source.Error](err)
		if !ok {
			t.Errorf("%s -> %s: error %v", tt.old, tt.new, err)
			continue
		}
		if !strings.HasPrefix(e.Error(), tt.want) {
			t.Errorf("%s -> %s:\n got %s\nwant %s", tt.old, tt.new, e, tt.want)
		}
		if tt.hint != "" && e.Hint() != tt.hint {
			t.Errorf("%s -> %s: hint %q, want %q", tt.old, tt.new, e.Hint(), tt.hint)
		}
	}
}

func TestSmall(t *testing.T) {
	_, p, err := parse(t, small)
	if err != nil {
		t.Fatal(err)
	}
	c := p.Components["comp-train"].Pod.Containers[0]
	if got := render(c.Resources.CPULimit) + " " + render(c.Resources.MemoryLimit); got != "0.5 2147483648" {
		t.Errorf("limits %s", got)
	}
	tasks := p.Components["root"].Graph.Tasks
	if r := *tasks["train"].Retry; r != (dag.Retry{Limit: 2, Backoff: 5e9, Factor: 2, MaxDuration: 3600e9}) {
		t.Errorf("retry %+v", r)
	}
	if e := tasks["again"].Needs; len(e) != 1 || e[0] != (dag.Edge{Task: "train", On: dag.OnEnd}) {
		t.Errorf("needs %v", e)
	}
	if p.Root != "root" || tasks["train"].Cache {
		t.Errorf("root %q, cache %v", p.Root, tasks["train"].Cache)
	}
}

func TestRootName(t *testing.T) {
	text := strings.ReplaceAll(small, "comp-train", "root")
	if _, p, err := parse(t, text); err != nil || p.Root != "root-" || p.Components["root"].Pod == nil {
		t.Errorf("root %v, %v", p, err)
	}
}

func TestSniff(t *testing.T) {
	for text, want := range map[string]bool{
		small: true,
		strings.Replace(small, "schemaVersion", "schemaVersionn", 1): true,
		"pipelineInfoo: {name: x}\nroot: {}":                         true,
		"{pipelineSpec: {root: {}}}":                                 true,
		"{pipeline_spec: {root: {}}}":                                true,
		"apiVersion: kubeflow.org/v1\nkind: Pipeline\nroot: 1":       false,
		"components: {a: b}":                                         false,
		"images: {a: b}\nmounts: []":                                 false,
		"[pipelineInfo]":                                             false,
		"text":                                                       false,
	} {
		f := &source.File{Text: []byte(text)}
		docs, err := f.Documents()
		if err != nil {
			t.Fatal(err)
		}
		if got := kfp.Sniff(docs[0]); got != want {
			t.Errorf("Sniff(%.40q) = %v", text, got)
		}
	}
	if kfp.Sniff(nil) {
		t.Error("Sniff(nil)")
	}
}

// TestWrapped reads the pipeline inside a PipelineJob, with values for its
// parameters, and inside the API's wrapper.
func TestWrapped(t *testing.T) {
	text := strings.ReplaceAll(strings.Replace(small, "root:\n", "root:\n  inputDefinitions: {parameters: {n: {parameterType: NUMBER_INTEGER}}}\n", 1), "\n", "\n  ")
	_, p, err := parse(t, "pipelineSpec:\n  "+text+"\nruntimeConfig: {parameterValues: {n: 3.0}}\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Components["root"].Inputs.Parameters["n"]; !n.HasDefault || n.Default != int64(3) {
		t.Errorf("n = %+v", n)
	}
	if _, _, err = parse(t, "pipelineSpec:\n  "+text+"\nruntimeConfig: {parameterValues: {m: 3.0}}\n"); err == nil {
		t.Error("unknown parameter of runtimeConfig was read")
	}
	_, p, err = parse(t, "pipeline_spec:\n  "+text+"\nplatform_spec: {platforms: {kubernetes: {deploymentSpec: {executors: {exec-train: {imagePullPolicy: Never}}}}}}\n")
	if err != nil || p.Components["comp-train"].Pod.Containers[0].PullPolicy != "Never" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPlatform(t *testing.T) {
	head := small + "---\nplatforms:\n  kubernetes:\n    deploymentSpec:\n      executors:\n        exec-train: "
	for _, tt := range []struct{ config, unsupported, note, err string }{
		{"{securityContext: {runAsUser: 5, runAsGroup: 6}, activeDeadlineSeconds: 7, imagePullPolicy: Always}", "", "", ""},
		{"{nodeSelector: {labels: {a: b}}, podMetadata: {labels: {a: b}}}", "", "not used here: nodeSelector, podMetadata (but for field paths)", ""},
		{"{emptyDirMounts: [{mountPath: /x}]}", "", "", ""},
		{"{emptyDirMounts: [{mountPath: /x, sizeLimit: 1Gi}]}", "", "not used here: sizes and storage classes of volumes (a volume may fill the disk)", ""},
		{"{emptyDirMounts: [{mountPath: /x, medium: Memori}]}", "", "", `p.yaml:39:38: executor "exec-train": emptyDirMounts: unknown medium "Memori"`},
		{"{emptyDirMounts: [{mountPath: x}]}", "", "", `p.yaml:39:38: executor "exec-train": emptyDirMounts: mountPath "x" is not absolute`},
		{"{emptyDirMounts: [{mountPath: /x}, {mountPath: /x/}]}", "", "", `p.yaml:39:38: executor "exec-train": emptyDirMounts: two volumes at /x`},
		{"{enabledSharedMemory: {size: lots}}", "", "", `p.yaml:39:43: executor "exec-train": "lots" is not a quantity`},
		{"{imagePullSecret: [{secretName: x}]}", "", "not used here: imagePullSecret (images are pulled with the credentials of docker login)", ""},
		{"{fieldPathAsEnv: [{name: IP, fieldPath: status.podIP}]}", "", "not used here: status.podIP (it is 127.0.0.1)", ""},
		{"{fieldPathAsEnv: [{name: X, fieldPath: metadata.colour}]}", "", "", `p.yaml:39:38: executor "exec-train": fieldPathAsEnv: a pod has no field "metadata.colour"`},
		{"{secretAsEnv: [{keyToEnv: [{secretKey: k, envVar: V}]}]}", "", "", `p.yaml:39:35: executor "exec-train": secretAsEnv has no name`},
		{"{secretAsVolume: [{secretNameParameter: {componentInputParameter: nobody}, mountPath: /s}]}", "", "", `p.yaml:39:87: task "again": platform kubernetes: unknown input parameter "nobody"`},
		{"{pvcMount: [{pvcNameParameter: {taskOutputParameter: {producerTask: nobody, outputParameterKey: name}}, mountPath: /s}]}", "", "", `p.yaml:39:89: task "again": platform kubernetes: unknown task "nobody"`},
		{"{initContainers: [{name: a, image: i, volumeMounts: [{volumeName: v, mountPath: /x}]}]}", "", "", `p.yaml:39:38: executor "exec-train": init container "a": unknown volume "v"`},
		{"{initContainers: [{name: a, image: i, restartPolicy: Never}]}", "", "", `p.yaml:39:38: executor "exec-train": init container "a": unknown restartPolicy "Never"`},
		{"{imagePullPolicy: Sometimes}", "", "", `p.yaml:39:39: executor "exec-train": unknown imagePullPolicy "Sometimes"`},
		{"{pvcMounts: []}", "", "", `p.yaml:39:22: unknown field "pvcMounts"`},
		{"{}\n        exec-trane: {}", "", "", `p.yaml:40:9: platform kubernetes: unknown executor "exec-trane"`},
	} {
		_, p, err := parse(t, head+tt.config+"\n")
		if tt.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want %s", tt.config, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.config, err)
			continue
		}
		got := ""
		if len(p.Unsupported) > 0 {
			got = p.Unsupported[0].What
		}
		if note := strings.Join(p.Notes, ";"); got != tt.unsupported || note != tt.note {
			t.Errorf("%s: unsupported %q, note %q", tt.config, got, note)
		}
	}
	_, p, _ := parse(t, head+"{securityContext: {runAsUser: 5, runAsGroup: 6}, activeDeadlineSeconds: 7}\n")
	if pod := p.Components["comp-train"].Pod; pod.Containers[0].User != "5:6" || pod.Timeout != 7e9 {
		t.Errorf("pod %+v", pod)
	}
}

func TestDocuments(t *testing.T) {
	for text, want := range map[string]string{
		small + "---\n" + small:             "p.yaml:35:1: a second pipeline document",
		"platforms: {}":                     "p.yaml: holds no pipeline (pipelineInfo, components, root)",
		"platforms: {}\n---\nplatforms: {}": "p.yaml:3:1: a second platform document",
		"[1]":                               "p.yaml:1:1: must be a mapping, not a list",
		"pipelineSpec:\nname: x":            "p.yaml:1:1: pipelineSpec is empty",
	} {
		if _, _, err := parse(t, text); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := kfp.Read(&source.File{Name: "p.yaml"}, nil); err == nil {
		t.Error("no documents were read")
	}
}

// A file of aliases is refused before it is expanded.
func TestBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("pipelineInfo: {name: bomb}\ncomponents:\n  c0: &c {executorLabel: e, inputDefinitions: {parameters: &p {")
	for i := range 1000 {
		fmt.Fprintf(&b, "p%d: {parameterType: STRING}, ", i)
	}
	b.WriteString("}}}\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  c%d: *c\n", i+1)
	}
	for text, want := range map[string]string{
		b.String(): "p.yaml:1:1: aliases expand to more than 100000 values",
		"pipelineInfo: {name: x}\nroot: &r {dag: {tasks: {a: {inputs: *r}}}}":                        "p.yaml:1:1: aliases expand to more than 100000 values",
		strings.Replace(small, "componentRef: {name: comp-train}", "componentRef: &a {name: *a}", 1): "p.yaml:1:1: aliases expand to more than 100000 values",
	} {
		if _, _, err := parse(t, text); err == nil || err.Error() != want {
			t.Errorf("%.60q: error %v, want %s", text, err, want)
		}
	}
	text := strings.Replace(small, "train:\n        componentRef: {name: comp-train}", "train:\n        componentRef: &c {name: comp-train}", 1)
	text = strings.Replace(text, "again:\n        componentRef: {name: comp-train}", "again:\n        componentRef: *c", 1)
	if _, _, err := parse(t, text); err != nil || !strings.Contains(text, "*c") {
		t.Errorf("an honest alias: %v", err)
	}
}
