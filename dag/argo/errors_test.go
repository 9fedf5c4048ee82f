package argo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
)

// errorCase is a file that is wrong in one way, and what is said about it. The
// position is that of the mark § in the file, which is taken out.
type errorCase struct {
	name string
	// One of: the whole file, the workflowSpec's body, or the tasks of main.
	whole, body, tasks string
	msg, mend          string // parts of the message and of the advice
}

const head = `apiVersion: kubeflow.org/v1
kind: Pipeline
metadata: {name: p}
spec:
  pipelineSpec:
    workflowSpec:
`

const train = `
        - name: train
          container:
            image: busybox
            args: ["--lr", "{{inputs.parameters.lr}}", "--model-path", "/models/m"]
`

func (c errorCase) file() string { return strings.ReplaceAll(c.marked(), "§", "") }

func (c errorCase) marked() string {
	switch {
	case c.whole != "":
		return c.whole
	case c.body != "":
		return head + indent(c.body, 6)
	}
	return head + "      entrypoint: main\n      templates:\n        - name: main\n          dag:\n            tasks:\n" +
		indent(c.tasks, 14) + train
}

func indent(s string, n int) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.Trim(s, "\n"), "\n", "\n"+pad) + "\n"
}

// podBody is a body with one task and one container that has these lines.
func podBody(lines string) string {
	return "entrypoint: main\ntemplates:\n- name: main\n  dag: {tasks: [{name: a, template: x, arguments: {parameters: [{name: lr, value: 1}]}}]}\n" +
		"- name: x\n" + indent(lines, 2)
}

var errorCases = []errorCase{
	{name: "argo workflow", whole: "apiVersion: argoproj.io/v1alpha1\nkind: §Workflow\nspec: {entrypoint: a}\n",
		msg: "Argo Workflows come with a later version", mend: "kind: Pipeline"},
	{name: "no spec", whole: "§apiVersion: kubeflow.org/v1\nkind: Pipeline\n", msg: "has no spec"},
	{name: "no workflow", whole: "apiVersion: kubeflow.org/v1\nkind: Pipeline\nspec:\n  §pipelineSpec: {}\n", msg: "no spec.pipelineSpec.workflowSpec"},
	{name: "two workflows", whole: "apiVersion: kubeflow.org/v1\nkind: Pipeline\nspec:\n  pipelineSpec: {workflowSpec: {}}\n  workflowSpec: §{}\n", msg: "given twice"},
	{name: "unknown field", whole: "apiVersion: kubeflow.org/v1\nkind: Pipeline\nspec:\n  §pipelinSpec: {}\n", msg: `unknown field "pipelinSpec"`, mend: `"pipelineSpec"`},
	{name: "no entrypoint", body: "§templates: []", msg: "no entrypoint"},
	{name: "unknown entrypoint", body: "entrypoint: §mian\ntemplates: [{name: main, container: {image: x}}]", msg: `no template "mian"`, mend: `"main"`},
	{name: "two templates", body: "entrypoint: a\ntemplates:\n- {name: a, container: {image: x}}\n- {name: §a, container: {image: x}}", msg: `two templates "a"`, mend: "line 9"},
	{name: "empty template", body: "entrypoint: a\ntemplates:\n- §{name: a}", msg: "neither a container nor a dag"},
	{name: "both", body: "entrypoint: a\ntemplates:\n- §{name: a, container: {image: x}, dag: {tasks: []}}", msg: "a container and a dag"},
	{name: "no tasks", body: "entrypoint: a\ntemplates:\n- {name: a, dag: §{tasks: []}}", msg: "no tasks"},
	{name: "calls itself", body: "entrypoint: a\ntemplates:\n- name: a\n  dag:\n    tasks:\n    - §{name: t, template: a}", msg: "calls itself"},

	{name: "unknown template", tasks: "- {name: a, template: §trian}", msg: `no template "trian"`, mend: `"train"`},
	{name: "unknown dependency", tasks: "- {name: aa, template: train, dependencies: [§bb], arguments: {parameters: [{name: lr, value: 1}]}}\n- {name: bbb, template: train}",
		msg: `no task "bb"`, mend: `"bbb"`},
	{name: "two tasks", tasks: "- {name: a, template: train}\n- {name: §a, template: train}", msg: `two tasks "a"`},
	{name: "no template", tasks: "- §{name: a}", msg: "names no template"},
	{name: "cycle", tasks: "- §{name: a, template: train, dependencies: [b], arguments: {parameters: [{name: lr, value: 1}]}}\n- {name: b, template: train, dependencies: [a], arguments: {parameters: [{name: lr, value: 1}]}}",
		msg: "a -> b -> a"},
	{name: "argument twice", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}, §{name: lr, value: 2}]}}", msg: "given twice"},
	{name: "argument without value", tasks: "- {name: a, template: train, arguments: {parameters: [§{name: lr}]}}", msg: "has no value"},
	{name: "one caller forgets", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}}\n- §{name: b, template: train, arguments: {parameters: [{name: lrr, value: 1}]}}",
		msg: `task "b": template "train" needs parameter "lr"`, mend: `"lrr"`},
	{name: "when", tasks: "- name: a\n  template: train\n  §when: '1 == 2'", msg: "template \"main\": task \"a\": `when` is not supported yet"},
	{name: "withItems", tasks: "- {name: a, template: train, §withItems: [1, 2]}", msg: "`withItems` is not supported yet"},
	{name: "depends", tasks: "- {name: a, template: train, §depends: b.Succeeded}", msg: "`depends` is not supported yet"},
	{name: "argument artifacts", tasks: "- {name: a, template: train, arguments: {§artifacts: [{name: x}]}}", msg: "`artifacts` is not supported yet"},
	{name: "unknown task reference", tasks: "- {name: aaa, template: train, arguments: {parameters: [{name: lr, value: '1 §{{tasks.aa.outputs.parameters.p}}'}]}}",
		msg: `no task "aa"`, mend: `"aaa"`},
	{name: "unknown output", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}}\n- {name: b, template: train, arguments: {parameters: [{name: lr, value: '§{{tasks.a.outputs.parameters.modelpath}}'}]}}",
		msg: `template "train" has no output "modelpath"`, mend: `"model-path"`},
	{name: "unknown output, nothing near", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}}\n- {name: b, template: train, arguments: {parameters: [{name: lr, value: '§{{tasks.a.outputs.parameters.zzzzzz}}'}]}}",
		msg: `has no output "zzzzzz"`, mend: "/tmp/outputs/zzzzzz/data"},
	{name: "result", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: '§{{tasks.b.outputs.result}}'}]}}", msg: "not supported yet"},
	{name: "item", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: '§{{item}}'}]}}", msg: "not supported yet"},
	{name: "run in argument", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: '§{{workflow.uid}}'}]}}", msg: "in an argument"},
	{name: "input of the entrypoint", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: '§{{inputs.parameters.q}}'}]}}",
		msg: "the workflow's arguments don't give"},
	{name: "unknown workflow parameter", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: '§{{workflow.parameters.q}}'}]}}",
		msg: "the workflow's arguments have no parameter"},
	{name: "retry limit", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}, retryStrategy: {limit: §many}}", msg: "limit must be a whole number"},
	{name: "retry policy", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}, retryStrategy: {retryPolicy: §OnFailures}}", msg: "unknown retryPolicy", mend: `"OnFailure"`},
	{name: "retry expression", tasks: "- {name: a, template: train, retryStrategy: {§expression: 'true'}}", msg: "`expression` is not supported yet"},
	{name: "backoff", tasks: "- {name: a, template: train, arguments: {parameters: [{name: lr, value: 1}]}, retryStrategy: {backoff: {duration: §soon}}}", msg: "must be a duration"},

	{name: "steps", body: "entrypoint: a\ntemplates:\n- name: a\n  §steps: [[{name: b, template: c}]]", msg: "template \"a\": `steps` is not supported yet"},
	{name: "suspend", body: "entrypoint: a\ntemplates:\n- name: a\n  §suspend: {}", msg: "`suspend` is not supported yet"},
	{name: "onExit", body: "entrypoint: a\n§onExit: b", msg: "`onExit` is not supported yet"},
	{name: "volumes", body: podBody("container: {image: x, §volumeMounts: [{name: v}]}"), msg: "template \"x\": `volumeMounts` is not supported yet"},
	{name: "env valueFrom", body: podBody("container: {image: x, env: [{name: A, §valueFrom: {}}]}"), msg: "env \"A\": `valueFrom` is not supported yet"},
	{name: "misspelt", body: podBody("container: {image: x, §workingdir: /x}"), msg: `unknown field "workingdir"`, mend: `"workingDir"`},
	{name: "no image", body: podBody("container: §{command: [x]}"), msg: "no image"},
	{name: "nonsense in a script", body: podBody("container:\n  image: x\n  command: [sh, -c]\n  args:\n  - |\n    echo\n    echo §{{x}}"), msg: "reference {{x}} resolves to nothing"},
	{name: "input nobody gives", body: podBody("container:\n  image: x\n  command: [sh, -c]\n  args:\n  - |\n    echo\n    echo {{inputs.parameters.lr}} §{{inputs.parameters.lrr}}"),
		msg: "no task that runs it gives parameter \"lrr\"", mend: `"lr"`},
	{name: "expression", body: podBody("container: {image: x, args: [\"§{{=1+1}}\"]}"), msg: "expressions"},
	{name: "unclosed", body: podBody("container: {image: x, args: [\"a §{{inputs\"]}"), msg: "without `}}`"},
	{name: "unknown reference", body: podBody("container: {image: x, args: [\"§{{input.parameters.lr}}\"]}"), msg: "resolves to nothing", mend: "{{inputs.parameters.lr}}"},
	{name: "task in container", body: podBody("container: {image: x, args: [\"§{{tasks.a.outputs.parameters.p}}\"]}"), msg: "can't refer to a task"},
	{name: "quantity", body: podBody("container: {image: x, resources: {limits: {memory: §4 GB}}}"), msg: "not a quantity"},
	{name: "resource", body: podBody("container: {image: x, resources: {limits: {ephemeral-storage: §4Gi}}}"), msg: "not supported yet"},
	{name: "timeout", body: podBody("container: {image: x, timeoutSeconds: §5m}"), msg: "whole number of seconds"},
	{name: "pull policy", body: podBody("container: {image: x, imagePullPolicy: §always}"), msg: "imagePullPolicy", mend: `"Always"`},
	{name: "list for text", body: podBody("container: {image: §[x]}"), msg: "must be text"},
	{name: "output without valueFrom", body: podBody("outputs: {parameters: [§{name: p}]}\ncontainer: {image: x}"), msg: "needs valueFrom"},
	{name: "output artifacts", body: podBody("outputs: {§artifacts: [{name: p}]}\ncontainer: {image: x}"), msg: "`artifacts` is not supported yet"},
}

func TestErrors(t *testing.T) {
	for _, c := range errorCases {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(&source.File{Name: "flow.yaml", Text: []byte(c.file())}, Options{})
			e, ok := errors.AsType[*source.Error](err)
			if !ok {
				t.Fatalf("got %v\n%s", err, c.file())
			}
			if !strings.Contains(e.Msg, c.msg) || !strings.Contains(e.Mend, c.mend) {
				t.Errorf("got %q, advice %q", e.Msg, e.Mend)
			}
			before, _, marked := strings.Cut(c.marked(), "§")
			want := source.Pos{Line: strings.Count(before, "\n") + 1, Col: len(before) - strings.LastIndex(before, "\n")}
			if marked && e.Pos != want {
				t.Errorf("at %d:%d, want %d:%d: %v", e.Pos.Line, e.Pos.Col, want.Line, want.Col, err)
			}
		})
	}
}

// TestLater keeps the table of refused names apart from what is read.
func TestLater(t *testing.T) {
	for kind, names := range later {
		seen := map[string]bool{}
		for _, name := range strings.Fields(names) {
			if seen[name] {
				t.Errorf("%s: %s is listed twice", kind, name)
			}
			seen[name] = true
		}
	}
	for kind, known := range map[string][]string{
		"workflowSpec": {"entrypoint", "arguments", "templates"},
		"template":     {"name", "metadata", "inputs", "outputs", "container", "dag", "activeDeadlineSeconds", "retryStrategy"},
		"task":         {"name", "template", "dependencies", "arguments", "retryStrategy"},
		"container":    {"name", "image", "command", "args", "env", "workingDir", "imagePullPolicy", "resources", "timeoutSeconds"},
	} {
		for _, name := range strings.Fields(later[kind]) {
			for _, k := range known {
				if name == k {
					t.Errorf("%s: %s is read, and refused", kind, name)
				}
			}
		}
	}
}

func TestDirectories(t *testing.T) {
	for _, c := range []struct {
		args    string // of the container
		lr      string
		mounted []string
		want    string
	}{
		{args: `["--a", /data/raw, "--b=/models/m.h5", "--c", /results]`, want: "/data /models /results"},
		{args: `["--a", /app/x, "--b", /tmp/x, "--c", /library/x, "--d", /usr]`},
		{args: `[/data/raw, "-o", /out/x, "--", /y/z]`},
		{args: `["--a", "{{inputs.parameters.lr}}"]`, lr: "/data/raw", want: "/data"},
		{args: `["--a", "{{inputs.parameters.lr}}/x/y"]`, lr: "/da", want: "/da"},
		{args: `["--a", "/{{inputs.parameters.lr}}ta/x"]`, lr: "da", want: "/data"},
		{args: `["--a", "/data/{{workflow.uid}}", "--b", "/mod{{workflow.uid}}"]`, want: "/data"},
		{args: `["--a", "/../etc/x", "--b", "//data//x", "--c", "/data.csv", "--d", "/"]`, want: "/data"},
		{args: `["--a", /data/raw]`, mounted: []string{"/data"}},
		{args: `["--a", /data/raw/x, "--b", /data/out]`, mounted: []string{"/data/raw/"}, want: "/data"},
		{args: `["--a", /data/raw/x]`, mounted: []string{"/data/raw/"}},
		{args: `["--a", "--b", /data]`, want: "/data"},
		{args: `["-c", "train --out '/data dir'/x --p=\"/q/$X\" # --no /no/no\n --o2 \\\n /r; echo --x && /s/t"]`, want: "/data dir /q /r"},
	} {
		t.Run(c.args, func(t *testing.T) {
			body := podBody("container:\n  image: x\n  args: " + c.args)
			body = strings.Replace(body, "value: 1", fmt.Sprintf("value: %q", c.lr), 1)
			p, err := read(&source.File{Name: "flow.yaml", Text: []byte(head + indent(body, 6))}, Options{Mounted: c.mounted})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range p.Components["x"].Pod.Directories {
				got = append(got, d.Path)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
